"""`automio serve` killed by kill -9 while it works for a client, and started again at the same address: what the client sees.

One API() lives through all of it. The provider is a server in a thread of its own, which keeps a ledger of what it did.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from automio.errors import (
    CacheUnavailable,
    ConnectError,
    IntegrationError,
    NotificationError,
    PluginError,
    ProtocolError,
    StreamBroken,
    TaskError,
    TransportError,
)
from automio.wrapper import API

from .providers import provider, text_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ROOT = Path(__file__).resolve().parents[2]


class Serve:
    """A project folder, its `automio serve`, and the provider behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger: Counter[int] = Counter()
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._provide(ready),), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    async def _provide(self, ready: threading.Event) -> None:
        async with provider(self._answer) as self.address:
            ready.set()
            await self._stop.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("n", "-1"))
        self.ledger[number] += 1
        await asyncio.sleep(0.01)
        return web.json_response(number)

    def start(self) -> None:
        """At the first port again; serves when this returns."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "DATABASE_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "automio", "serve", "--port", str(self.port)],
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        found = re.fullmatch(r"ready http://127\.0\.0\.1:(\d+)\n", self.process.stdout.readline())
        assert found
        self.port = int(found[1])

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stdout.close()
        self.process = None

    def close(self) -> None:
        if self.process is not None:
            self.end(signal.SIGTERM)
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, token: str = "token-1") -> None:
        text = text_of(self.address, "concurrency = 2").replace('"token-1"', f'"{token}"')
        (self.folder / "platform.toml").write_text(text)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`")
    made = Serve(tmp_path_factory.mktemp("killed"))
    try:
        made.write()
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def api(serve: Serve) -> Iterator[API]:
    given: dict[str, Any] = {"hasura_graphql_endpoint": None, "app_id": 130, "organization_id": 1, "task_id": "killed"}
    token = {"app_token": "token-1", "cache_service_token": "token-1"}
    with API(api_base_url=serve.url, cache_service_url=serve.url, timeout=10.0, **token, **given) as made:
        yield made


def test_killed_in_a_stream(serve: Serve, api: API) -> None:
    serve.ledger.clear()
    items = ({"params": {"n": n}} for n in range(200))
    stream = api.integrations.parallel_call_stream("shop", "POST", "/", items, 11)
    found = [next(stream) for _ in range(20)]
    serve.end()
    with pytest.raises(StreamBroken, match="broke off after") as caught:
        found.extend(stream)
    received = {one["index"] for one in found}
    assert caught.value.received == len(found) == len(received) < 200, "what had come is there"
    assert list(stream) == [], "it is over, and does not begin again"
    assert set(serve.ledger.values()) == {1} and received <= serve.ledger.keys()
    assert len(serve.ledger) - len(received) < 30, "what was on its way is all that is not known"
    with pytest.raises(ConnectError) as away:
        api.integrations.call("shop", "POST", "/", 11, params={"n": 1000})
    assert not away.value.sent
    serve.start()
    assert api.integrations.call("shop", "POST", "/", 11, params={"n": 1000})[0] == 1000
    rest = [n for n in range(200) if n not in serve.ledger]
    again = api.integrations.parallel_call_stream("shop", "POST", "/", [{"params": {"n": n}} for n in rest], 11)
    assert sorted(one["data"] for one in again if "data" in one) == rest
    assert set(serve.ledger.values()) == {1}


def test_killed_in_a_parallel_call(serve: Serve, api: API) -> None:
    serve.ledger.clear()
    items = [{"connection_id": 11, "params": {"n": n}} for n in range(200)]
    errors: list[TransportError] = []

    def call() -> None:
        with pytest.raises(TransportError) as caught:
            api.integrations.parallel_call("shop", "POST", "/", items)
        errors.append(caught.value)

    caller = threading.Thread(target=call)
    caller.start()
    while len(serve.ledger) < 20:
        time.sleep(0.01)
    serve.end()
    caller.join(10)
    assert [error.sent for error in errors] == [True], "it may have acted, and is not asked again"
    serve.start()
    assert 20 <= len(serve.ledger) < 200 and set(serve.ledger.values()) == {1}
    (one,) = api.integrations.parallel_call("shop", "POST", "/", [{"connection_id": 11, "params": {"n": 1000}}])
    assert one.api_data == 1000


def progress(serve: Serve) -> Any:
    request = urllib.request.Request(f"{serve.url}/set-progress/killed/", headers={"Authorization": "Bearer token-1"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_killed_in_a_progress_update(serve: Serve, api: API, caplog: pytest.LogCaptureFixture) -> None:
    """A loop that reports goes on without the platform, and its end is there when the platform is back."""
    api.task.set_progress(1, "before")
    begun, back = threading.Event(), threading.Event()
    done: list[int] = []

    def work() -> None:
        for item in api.task.track(range(40), every=0):
            done.append(item)
            time.sleep(0.01)
            if item == 20:
                begun.set()
            if item == 35:
                back.wait(30)

    worker = threading.Thread(target=work)
    worker.start()
    assert begun.wait(20)
    serve.end()
    before = len(done)
    with pytest.raises(ConnectError) as away:
        api.task.set_progress(2, "away")
    assert not away.value.sent
    serve.start()
    back.set()
    worker.join(30)
    assert not worker.is_alive() and done == list(range(40)) and before < 36
    assert "a report was left out" in caplog.text
    found = progress(serve)
    assert (found["info"], found["status"], found["progress"]) == ("40/40", "completed", 100)


def test_a_revoked_token_is_told_at_once(serve: Serve, api: API) -> None:
    """The token goes out of platform.toml while a client uses it: each service says so, once, and nothing is tried again."""
    serve.ledger.clear()
    query = "{ __typename }"
    assert api.tables.execute(query) == {"__typename": "query_root"}
    stream = api.integrations.parallel_call_stream("shop", "POST", "/", [{}] * 40, 11)
    next(stream)
    serve.end(signal.SIGTERM)
    assert len(list(stream)) == 40, "a platform that is stopped finishes what it has begun"
    serve.write("another")
    serve.start()
    serve.ledger.clear()
    refused: dict[type[Exception], Any] = {
        IntegrationError: lambda: api.integrations.call("shop", "POST", "/", 11),
        CacheUnavailable: lambda: api.app_cache.get("k"),
        TaskError: lambda: api.task.set_progress(3),
        NotificationError: lambda: api.notify_me("s", "t"),
        PluginError: lambda: api.plugins.get_list("prices"),
        ProtocolError: lambda: api.tables.execute(query),
    }
    began = time.monotonic()
    for error, call in refused.items():
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error and getattr(caught.value, "status") == 401  # noqa: B009
        assert "token-1" not in str(caught.value)
    assert time.monotonic() - began < 5 and not serve.ledger
