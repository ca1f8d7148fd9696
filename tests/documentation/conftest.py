"""What the documentation's examples run against: `automio serve` in a project of its own, HTTP services behind it, a Valkey.

`World` is what a test has of them. Organization 2 runs the examples; 101, 123 and 456 have connections that app 130 may use
(the ids that the examples name); what organizations 3 and 9 have must never be seen.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import redis
from aiohttp import web

from automio.settings import _VARIABLES
from automio.wrapper import API

from ..services.conftest import Valkey
from .blocks import Block, named_blocks

ROOT: Final = Path(__file__).resolve().parents[2]
PLATFORM: Final = """
plugins = [
    {{ namespace = "test_interface", integration = "allegro_sandbox", organization = 2 }},
    {{ namespace = "test_interface", integration = "github", organization = 2, enabled = false }},
    {{ namespace = "test_interface", integration = "service_name", organization = 3 }},
]
tokens = [
    {{ token = "org-2", organization = 2, apps = [130, 131] }},
    {{ token = "org-3", organization = 3, apps = [130] }},
]

[[integrations]]
id = "github"
name = "GitHub"
base_url = "{url}/github"
{github}

[[integrations]]
id = "allegro_sandbox"
name = "Allegro sandbox"
base_url = "{url}/allegro_sandbox"
{allegro_sandbox}

[[integrations]]
id = "api_service"
name = "API service"
base_url = "{url}/api_service"
{api_service}

[[integrations]]
id = "service_name"
name = "Service"
base_url = "{url}/service_name"
{service_name}
"""
CONNECTIONS: Final = {
    "github": [(7, "octocat", 2, True), (8, "other", 3, False)],
    "allegro_sandbox": [
        (34, "first", 2, False),
        (35, "second", 2, False),
        (36, "user@domain.com", 3, False),
        (50, "user@domain.com", 123, True),
        (123, "shop", 456, True),
        (789, "shop", 101, True),
        (900, "shop", 9, False),
    ],
    "api_service": [
        (21, "user@domain.com", 123, True),
        (22, "main", 2, False),
        (23, "user@domain.com", 3, False),
    ],
    "service_name": [(41, "first", 2, False), (42, "second", 2, False), (43, "third", 3, False)],
}
"""(id, name, organization, whether app 130 may use it for every organization)."""


def _platform_file(url: str) -> str:
    def tables(integration: str) -> str:
        return "\n".join(
            f'[[integrations.connections]]\nid = {number}\nname = "{name}"\norganization = {organization}\n'
            f"apps = {[130] if granted else []}\nheaders = {{ Authorization = 'Bearer account-{number}' }}"
            for number, name, organization, granted in CONNECTIONS[integration]
        )

    return PLATFORM.format(url=url, **{integration: tables(integration) for integration in CONNECTIONS})


# HTTP services.


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that a service got. `account` is the connection whose credentials came with it."""

    method: str
    path: str
    account: int
    query: dict[str, str]
    body: Any


@dataclass
class Services:
    """The services of all integrations, below a folder of the address each.

    `answers` replaces what a path answers ("path", or "path account"); a path in `held` answers when its event is set.
    """

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        account = request.headers.get("Authorization", "").removeprefix("Bearer account-")
        sent = json.loads(body) if body else None
        self.seen.append(Seen(request.method, request.path, int(account), dict(request.query), sent))
        if (held := self.held.get(request.path)) and not await asyncio.to_thread(held.wait, 5):
            return web.json_response("nothing happened meanwhile", status=400)
        given = self.answers.get(f"{request.path} {account}") or self.answers.get(request.path)
        status, value = given or _usual(request.path, int(account))
        return web.json_response(value, status=status)

    def paths(self) -> list[tuple[str, int]]:
        """(path, account) of every request, sorted: parallel ones come in any order."""
        return sorted((one.path, one.account) for one in self.seen)


def _usual(path: str, account: int) -> tuple[int, Any]:
    parts = path.strip("/").split("/")
    match parts:
        case ["github", "user"]:
            return 200, {"login": "octocat"}
        case ["allegro_sandbox", "sale", "offers"]:
            return 200, {"offers": [{"id": "o1"}], "account": account}
        case ["allegro_sandbox", "sale", "product-offers", offer]:
            return 200, {"id": offer, "name": f"Offer {offer}"}
        case ["allegro_sandbox", "messages", "submit"]:
            return 201, {"accepted": True}
        case ["allegro_sandbox", "billing", "billing-entries"]:
            return 200, {"billingEntries": [], "account": account}
        case ["api_service", "items"]:
            return 200, {"items": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}
        case ["api_service", "items", item, "details"]:
            return 200, {"item": item}
        case ["api_service", "accounts", number, "data"]:
            return 200, {"account": number}
        case ["service_name", "data"]:
            return 200, {"account": account}
        case _:
            return 404, {"detail": "no such page"}


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """They answer in a thread of their own."""
    found = Services()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", found.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="services", daemon=True)
    thread.start()
    yield found
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


# The platform.


@dataclass(frozen=True, slots=True)
class Served:
    """A running `automio serve`, and the folder of its project."""

    url: str
    project: Path


def _clean_environment() -> dict[str, str]:
    ours = {variable for variable, _ in _VARIABLES.values()} | {"DATABASE_URL"}
    return {name: value for name, value in os.environ.items() if name not in ours}


@pytest.fixture(scope="session")
def served(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`")
    project = tmp_path_factory.mktemp("documented project")
    (project / "schema").mkdir()
    shutil.copy2(ROOT / "schema" / "app_130.sql", project / "schema")
    (project / "platform.toml").write_text(_platform_file(services.url))
    command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
    environment = _clean_environment()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    with (project / "serve.log").open("w") as log:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    with server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline().strip()
            assert line.startswith("ready "), (line, (project / "serve.log").read_text()[-2000:])
            yield Served(line.removeprefix("ready "), project)
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The Redis of local development."""
    server = Valkey(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


# The documentation.


@pytest.fixture(scope="session")
def text(shared: Path) -> str:
    """The documentation as it stands there."""
    path = shared / "reference" / "automio-api-documentation.txt"
    if not path.is_file():
        pytest.skip("the documentation (../shared/reference/automio-api-documentation.txt) is not here")
    return path.read_bytes().decode("utf-8")


@pytest.fixture(scope="session")
def blocks(text: str) -> dict[str, Block]:
    """Its blocks by name."""
    return named_blocks(text)


# What a test has.


@dataclass
class World:
    """One test's view: the environment of organization 2 and app 130, a fresh record of the services' requests."""

    blocks: dict[str, Block]
    services: Services
    served: Served
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    request: pytest.FixtureRequest
    backend: str = ""
    opened: list[API] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    """The lines on stdout, and on stderr, that were read."""

    # Running.

    def run(self, name: str, **given: Any) -> dict[str, Any]:
        """The names after the block has run as a script, in which those of `given` are known."""
        return self._execute(name, compile(self.blocks[name].text, self.blocks[name].place, "exec"), given)

    def run_in_function(self, name: str, **given: Any) -> None:
        """Run a block as the body of a function: it returns."""
        module = ast.parse("def block(): ...")
        (function,) = module.body
        assert isinstance(function, ast.FunctionDef)
        function.body = ast.parse(self.blocks[name].text).body
        space = self._execute(name, compile(module, self.blocks[name].place, "exec"), given)
        assert space["block"]() is None

    def _execute(self, name: str, code: Any, given: dict[str, Any]) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": name, **given}
        try:
            exec(code, space)
        finally:
            if isinstance(api := space.get("api"), API) and api not in self.opened:
                self.opened.append(api)
        return space

    def api(self, **settings: Any) -> API:
        """An API() of the environment, closed at the end of the test."""
        self.opened.append(API(**settings))
        return self.opened[-1]

    def printed(self) -> list[str]:
        """The lines on stdout since the last look."""
        self._read()
        found, self.out = self.out, []
        return found

    def _read(self) -> None:
        out, err = self.capsys.readouterr()
        self.out += out.splitlines()
        self.console += err.splitlines()

    # The environment.

    def use(self, backend: str) -> None:
        """`service`: the platform's cache service, as CACHE_SERVICE_URL says; `redis`: a server of this machine."""
        self.backend = backend
        if backend == "service":
            self.monkeypatch.setenv("CACHE_SERVICE_URL", self.served.url)
            self.monkeypatch.setenv("CACHE_SERVICE_TOKEN", "org-2")
            return
        server: Valkey = self.request.getfixturevalue("redis_server")
        for variable, value in {"HOST": "127.0.0.1", "PORT": str(server.port), "PASSWORD": server.password}.items():
            self.monkeypatch.setenv(f"REDIS_{variable}", value)
        with self.redis() as client:
            client.flushall()

    def of_organization_3(self) -> API:
        """An API() as another organization's script has it, in the same environment."""
        token = {"cache_service_token": "org-3"} if self.backend == "service" else {}
        return self.api(app_token="org-3", **token)

    # Looking at the effects from outside.

    def ask(self, path: str, token: str = "org-2", body: Any = None) -> Any:
        """What the platform answers to a request of ours, None for 404."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"App-Token {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.served.url}{path}", sent, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise AssertionError((error.code, error.read())) from error

    def sql(self, text: str) -> list[list[str]]:
        """The rows of a statement, as text; every organization's."""
        answer = self.ask("/v2/query", body={"type": "run_sql", "args": {"sql": text}})
        return (answer["result"] or [])[1:]

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        server: Valkey = self.request.getfixturevalue("redis_server")
        with redis.Redis(port=server.port, password=server.password, decode_responses=True) as client:
            yield client

    def cached(self, key: str, kind: str = "app") -> tuple[Any, int] | None:
        """(value, seconds to live) of a key as the backend keeps it; `kind` is app or org."""
        if self.backend == "service":
            found = self.ask(f"/get/{quote(key, safe='')}/?cache_type={kind}&app_id=130")
            return (found["value"], found["ttl"]) if found["exists"] else None
        with self.redis() as client:
            names = [name for name in client.keys("*") if f"{{{kind}:" in name and name.endswith(f":value:{key}")]
            assert len(names) <= 1, names
            return (json.loads(client.get(names[0]) or ""), client.ttl(names[0])) if names else None

    def reported(self, task: str) -> str:
        """The last report of a task's progress, as a line of the console; "" when there is none."""
        self._read()
        if self.backend != "service":
            return self.console[-1] if self.console else ""
        found = self.ask(f"/set-progress/{task}/")
        return f"[{found['progress']:3d} %] {found['info']} ({found['status']})" if found else ""

    def before(self, owner: Any, method: str, look: Callable[[], None]) -> None:
        """Call `look` each time before `owner.method` is called."""
        real = getattr(owner, method)

        def looked_at(*arguments: Any, **more: Any) -> Any:
            look()
            return real(*arguments, **more)

        self.monkeypatch.setattr(owner, method, looked_at)


@pytest.fixture
def world(
    blocks: dict[str, Block],
    services: Services,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    for variable, _ in _VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"API_BASE_URL": served.url, "APP_TOKEN": "org-2", "APP_ID": "130"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(served.project)
    services.seen.clear()
    services.answers.clear()
    services.held.clear()
    found = World(blocks, services, served, monkeypatch, capsys, request)
    hooks = list(sys.meta_path)
    yield found
    for api in found.opened:
        api.close()
    assert [hook for hook in sys.meta_path if hook not in hooks] == []
    assert [name for name in sys.modules if name == "plugins" or name.startswith("plugins.")] == []
