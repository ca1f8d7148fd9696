"""Faults on the client's side of the platform: it hangs, it goes between two requests of one stream, the clock jumps."""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from automio.errors import IntegrationError, RequestTimeout, StreamBroken
from automio.local import notifications
from automio.local.notifications import Inbox
from automio.local.requests import Request
from automio.services import integration_stream, tasks
from automio.wrapper import API

GIVEN: dict[str, Any] = {"app_token": "t", "app_id": 130, "hasura_graphql_endpoint": None, "timeout": 2.0}


def streamed(count: int) -> bytes:
    """The whole answer to a stream of so many calls."""
    response = {"status_code": 200, "text": "1", "headers": {}, "url": "http://p/", "ok": True}
    lines = [{"index": n, "total": count, "response": {"api_data": n, "api_response": response}} for n in range(count)]
    return b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in [*lines, {"completed": True}])


@pytest.mark.parametrize("fault", ["gone", "reset", "token"])
async def test_a_platform_that_fails_between_two_requests_of_a_stream(
    serve: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A long stream is several requests; which of them failed is not the caller's business, how many answers came is."""
    monkeypatch.setattr(integration_stream, "BATCH", 3)
    seen = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        if seen > 2 and fault == "token":
            return web.json_response({"detail": "no such token"}, status=401)
        if seen > 2:
            request.transport.abort()  # pyright: ignore
        return web.Response(body=streamed(3), content_type="text/event-stream")

    async with serve(answer) as url, API(api_base_url=url, **GIVEN) as api:
        stream = api.integrations.parallel_call_stream_async("x", "POST", "/", [{}] * 9, 34)
        found = [await anext(stream) for _ in range(6)]
        if fault == "gone":
            await api.aclose()
        with pytest.raises(IntegrationError if fault == "token" else StreamBroken) as caught:
            await anext(stream)
    assert [one["index"] for one in found] == list(range(6)) and seen == (2 if fault == "gone" else 3)
    if isinstance(caught.value, StreamBroken):
        assert caught.value.received == 6
    else:
        assert (caught.value.status, caught.value.detail) == (401, "no such token")


async def test_a_platform_that_hangs_does_not_stop_a_loop(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the report and never answers. Each report waited two timeouts, so that an hour's work took days."""
    monkeypatch.setattr(tasks, "_LITTLE_PATIENCE", 0.1)
    came: list[Any] = []

    async def hang(request: web.Request) -> web.StreamResponse:
        came.append(await request.json())
        await asyncio.sleep(60)
        return web.Response()

    async with serve(hang) as url, API(cache_service_url=url, cache_service_token="t", task_id="x", timeout=0.2) as api:
        for face in ("sync", "async"):
            came.clear()
            begun = time.monotonic()
            left: list[float] = []

            def work(left: list[float] = left) -> None:
                for _ in api.task.track(range(20), every=0):
                    time.sleep(0.02)
                    left.append(time.monotonic())

            async def work_async(left: list[float] = left) -> None:
                async for _ in api.task.track_async(range(20), every=0):
                    await asyncio.sleep(0.02)
                    left.append(time.monotonic())

            with pytest.raises(RequestTimeout):  # the last report is not lost in silence
                await (asyncio.to_thread(work) if face == "sync" else work_async())
            assert len(left) == 20 and left[-1] - begun < 1.5, "at most half of the time is waiting"
            assert len({one["info"] for one in came}) >= 2 and came[-1]["status"] == "completed"


# The clock.


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wall clock of this process steps an hour forward and back, twenty times a second."""
    now, now_ns = time.time, time.time_ns
    ends, offset = threading.Event(), [0]

    def jump() -> None:
        for hour in itertools.cycle((3600, -3600)):
            offset[0] = hour
            if ends.wait(0.05):
                return

    monkeypatch.setattr(time, "time", lambda: now() + offset[0])
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + offset[0] * 10**9)
    thread = threading.Thread(target=jump)
    thread.start()
    yield
    ends.set()
    thread.join()


async def test_timeouts_pauses_and_reports_do_not_know_the_wall_clock(serve: Any, jumping: None) -> None:
    reports: list[float] = []
    busy = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal busy
        if "set-progress" in request.path:
            reports.append(time.monotonic())
            return web.json_response({"success": True})
        if request.path.endswith("/get_connections/"):
            busy += 1
            return web.json_response([], status=503 if busy == 1 else 200, headers={"Retry-After": "1"})
        await asyncio.sleep(30)
        return web.Response()

    async with (
        serve(answer) as url,
        API(api_base_url=url, cache_service_url=url, cache_service_token="t", **GIVEN) as api,
    ):
        begun = time.monotonic()
        with pytest.raises(RequestTimeout):
            await api.integrations.call_async("x", "POST", timeout=0.5)
        assert 0.4 < time.monotonic() - begun < 1.5
        begun = time.monotonic()
        assert list(await api.integrations.my_connections_async("x")) == []
        assert 0.9 < time.monotonic() - begun < 2
        async for _ in api.task.track_async(range(60), every=0.2):
            await asyncio.sleep(0.01)
    pauses = [after - before for before, after in itertools.pairwise(reports[:-1])]
    assert 3 <= len(reports) <= 8 and min(pauses) > 0.15, "throttled, and neither silent nor a flood"


async def test_notifications_keep_their_order_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are moments: with a full inbox each new message was at once the oldest one, and deleted."""
    monkeypatch.setattr(notifications, "KEPT", 3)
    inbox, moment = Inbox(tmp_path), [10**18]
    monkeypatch.setattr(time, "time_ns", lambda: moment[0])
    for number in range(6):
        if number == 3:
            moment[0] -= 3600 * 10**9

        async def read(number: int = number) -> dict[str, Any]:
            return {"subject": f"{number}", "text": "x"}

        request = Request("POST", "", {}, 1, frozenset({130}), read)
        assert (await inbox.deliver(request, ""))[0] == 200
        _, found = await inbox.listing(request, "")
        assert [one["subject"] for one in found["results"]] == [f"{n}" for n in range(number, max(-1, number - 3), -1)]


WALL_CLOCK = {
    "local/notifications.py": {"time.time_ns", "formatdate"},  # a message's name, made to ascend; its Date
    "runtime/wire.py": {"datetime.now"},  # a Retry-After moment in an answer without a Date
}
CALLS = {"time.time", "time.time_ns", "time.ctime", "time.localtime", "time.gmtime", "time.strftime", "formatdate"}
CALLS |= {f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today")}


def test_the_wall_clock_is_read_where_a_date_is_meant(root: Path) -> None:
    """Every other place measures by the monotonic clock. Who adds one here says why in docs/reliability.md."""
    found: dict[str, set[str]] = {}
    for path in sorted((root / "automio").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                for alias in node.names:
                    assert alias.name not in ("time", "time_ns"), f"{path}: import time, so that this test sees it"
            if isinstance(node, ast.Attribute | ast.Name) and (name := ast.unparse(node)) in CALLS:
                found.setdefault(path.relative_to(root / "automio").as_posix(), set()).add(name)
    assert found == WALL_CLOCK
