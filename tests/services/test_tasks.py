"""Progress on a real local platform and on the console; loops that report it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from automio.errors import CacheUnavailable, ConfigError, TaskError, TransportError
from automio.wrapper import API

Make = Callable[..., API]
ROOT = Path(__file__).resolve().parents[2]


def progress_of(url: str, task: str, token: str = "one") -> dict[str, Any] | None:
    """What the platform knows."""
    request = urllib.request.Request(f"{url}/set-progress/{task}/", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        assert error.code == 404
        error.close()
        return None


class Recorder:
    """Keeps what a loop reports, in order."""

    def __init__(self, api: API, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[int, str, str]] = []
        self.error: Exception | None = None

        async def send(state: Any, seconds: float | None = None) -> None:
            if self.error is not None:
                raise self.error
            self.seen.append((state.progress, state.info, state.status))

        monkeypatch.setattr(api.task, "_send", send)


@pytest.fixture
def task(api_of: Make, monkeypatch: pytest.MonkeyPatch) -> tuple[API, Recorder]:
    api = api_of()
    return api, Recorder(api, monkeypatch)


def test_progress_reaches_the_platform(api_of: Make, local: Any) -> None:
    api = api_of(task_id="t 1/ä")
    path = "t%201%2F%C3%A4"
    api.task.set_progress(0, "Starting data processing...", "pending")
    assert progress_of(local.url, path) == {
        "task_id": "t 1/ä",
        "progress": 0,
        "info": "Starting data processing...",
        "status": "pending",
    }
    api.task.set_progress(50, "Halfway", "in_progress")
    found = progress_of(local.url, path)
    assert found and found["status"] == "in_progress" and found["progress"] == 50
    api.task.set_progress(30, "broken", "failed")
    found = progress_of(local.url, path)
    assert found and found["progress"] == 100 and found["status"] == "failed"
    api.task.set_progress(100, "all")
    found = progress_of(local.url, path)
    assert found and found["status"] == "completed"
    assert progress_of(local.url, path, "two") is None, "another organization"
    api_of("two", task_id="t 1/ä").task.set_progress(7)
    found = progress_of(local.url, path)
    assert found and found["progress"] == 100


async def test_async_twin(api_of: Make, local: Any) -> None:
    api = api_of(task_id="async")
    await api.task.set_progress_async(12, "twelve")
    found = await asyncio.to_thread(progress_of, local.url, "async")
    assert found and found["info"] == "twelve"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((-1, "x"), "whole number from 0 to 100"),
        ((101, "x"), "whole number"),
        ((True, "x"), "whole number"),
        ((1.5, "x"), "whole number"),
        ((1, None), "info is a text"),
        ((1, "x", "done"), "status is one of"),
    ],
)
def test_wrong_values_are_told(api_of: Make, given: Any, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        api_of().task.set_progress(*given)


def test_refusals_and_silence_are_told(api_of: Make, local: Any) -> None:
    with pytest.raises(TaskError, match=r"refused \(status 401\)"):
        api_of(cache_service_token="nobody").task.set_progress(1)
    with pytest.raises(TransportError):
        api_of(cache_service_url="http://127.0.0.1:9", timeout=1).task.set_progress(1)
    with pytest.raises(ConfigError, match="CACHE_SERVICE_TOKEN is not set"):
        api_of(cache_service_token=None).task.set_progress(1)


async def test_an_update_whose_answer_is_lost_is_sent_again(serve: Any) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        if len(seen) == 1:
            assert request.transport is not None
            request.transport.abort()  # killed in the middle of it
        return web.json_response({"success": True})

    async with serve(handler) as url, API(cache_service_url=url, cache_service_token="t", task_id=1) as api:
        await api.task.set_progress_async(3, "three")
    assert seen == [{"progress": 3, "info": "three", "status": "pending"}] * 2


# Loops.


def test_a_loop_reports_begin_and_end_and_little_between(task: tuple[API, Recorder]) -> None:
    api, recorder = task
    assert list(api.task.track(range(10_000), info="rows", every=3600)) == list(range(10_000))
    assert recorder.seen == [(0, "rows: 0/10000", "in_progress"), (100, "rows: 10000/10000", "completed")]
    recorder.seen.clear()
    assert list(api.task.track(iter("abc"), every=0)) == ["a", "b", "c"]
    assert [info for _, info, _ in recorder.seen] == ["0", "1", "2", "3", "3"]
    recorder.seen.clear()
    assert list(api.task.track([])) == []
    assert recorder.seen[-1] == (100, "0/0", "completed")


def fail(api: API, how: str) -> None:
    for item in api.task.track(range(4), every=3600):
        if item == 2:
            if how == "raise":
                raise ValueError
            if how == "call":
                json.loads("{")
            if how == "return":
                return
            if how == "break":
                break


@pytest.mark.parametrize("how", ["raise", "call"])
def test_a_loop_left_by_an_exception_has_failed(task: tuple[API, Recorder], how: str) -> None:
    api, recorder = task
    with contextlib.suppress(ValueError):
        fail(api, how)
    assert recorder.seen[1:] == [(100, "2/4, an exception", "failed")]


@pytest.mark.parametrize("how", ["break", "return"])
def test_a_loop_left_on_purpose_has_not(task: tuple[API, Recorder], how: str) -> None:
    api, recorder = task
    fail(api, how)
    assert recorder.seen[1:] == [(50, "2/4", "in_progress")]


def test_a_block_tells_the_exception(task: tuple[API, Recorder]) -> None:
    api, recorder = task
    with pytest.raises(ZeroDivisionError), api.task.track(range(4), every=3600) as tracked:
        for item in tracked:
            1 / (item - 1)
    assert recorder.seen[1:] == [(100, "1/4, ZeroDivisionError", "failed")]


def test_an_iterable_that_raises_has_failed(task: tuple[API, Recorder]) -> None:
    api, recorder = task

    def items() -> Any:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        list(api.task.track(items(), 2, every=3600))
    assert recorder.seen[-1] == (100, "1/2, LookupError", "failed")


def test_a_loop_outlives_a_platform_that_does_not_answer(
    task: tuple[API, Recorder], caplog: pytest.LogCaptureFixture
) -> None:
    api, recorder = task
    recorder.error = TransportError("away", sent=True)
    done: list[int] = []
    with pytest.raises(TransportError, match="away"):  # the last report is not lost in silence
        for item in api.task.track(range(3), every=0):
            done.append(item)
            time.sleep(0.05)  # longer than the failure took
    assert done == [0, 1, 2] and caplog.text.count("a report was left out: away") == 4


def test_a_loop_outlives_a_cache_that_goes_away(
    task: tuple[API, Recorder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api, recorder = task
    done: list[int] = []

    async def away(*_: Any) -> None:
        raise CacheUnavailable("gone")

    for item in api.task.track(range(3), every=0, resume="away"):
        monkeypatch.setattr(api.app_cache, "_set", away)
        done.append(item)
    assert done == [0, 1, 2] and "a report was left out: gone" in caplog.text
    assert recorder.seen[-1][2] == "completed"


@pytest.mark.parametrize(
    "arguments", [{"total": -1}, {"total": True}, {"info": 3}, {"every": -1}, {"every": "1"}, {"resume": 3}]
)
def test_arguments_that_are_none_are_told(task: tuple[API, Recorder], arguments: Any) -> None:
    with pytest.raises(TaskError):
        task[0].task.track([1], **arguments)


async def test_async_loops(task: tuple[API, Recorder]) -> None:
    api, recorder = task

    async def items() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    found = [item async for item in api.task.track_async(items(), 3, "x", every=3600)]
    assert found == [0, 1, 2]
    assert recorder.seen == [(0, "x: 0/3", "in_progress"), (100, "x: 3/3", "completed")]

    async def broken() -> None:
        async for item in api.task.track_async([1, 2], every=3600):
            if item == 2:
                await asyncio.sleep(0)
                raise ValueError

    recorder.seen.clear()
    with contextlib.suppress(ValueError):
        await broken()
    for _ in range(100):
        if len(recorder.seen) == 2:
            break
        await asyncio.sleep(0.02)
    assert recorder.seen[1:] == [(100, "1/2, an exception", "failed")]
    recorder.seen.clear()
    with pytest.raises(ZeroDivisionError):
        async with api.task.track_async(range(2), every=3600) as tracked:
            async for item in tracked:
                1 / item
    assert recorder.seen[1:] == [(100, "0/2, ZeroDivisionError", "failed")]


# The end of a program.

PROGRAM = """
import json, os, signal, sys, time
from automio.wrapper import API
api = API(**json.loads(sys.argv[1]))
def run():
    tracked = api.task.track(range(4), every=3600)
    for item in tracked:
        if item == 2:
            {end}
run()
"""


@pytest.mark.parametrize(
    ("end", "code", "info", "status"),
    [
        ("raise LookupError('x')", 1, "2/4, LookupError", "failed"),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)", -signal.SIGTERM, "2/4, SIGTERM", "failed"),
        ("sys.exit(0)", 0, "2/4", "in_progress"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_end_of_a_program_is_told(local: Any, end: str, code: int, info: str, status: str) -> None:
    given = {
        "task_id": f"program {code}",
        "app_token": None,
        "cache_service_url": local.url,
        "cache_service_token": "one",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{end}", end), json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    found = progress_of(local.url, f"program%20{code}")
    assert found and (found["info"], found["status"]) == (info, status), done.stderr


def test_a_handler_of_ones_own_is_left_alone(task: tuple[API, Recorder]) -> None:
    def mine(*_: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        for _ in task[0].task.track([1]):
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    for _ in task[0].task.track([1]):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    thread = threading.Thread(target=lambda: list(task[0].task.track([1])))
    thread.start()
    thread.join()


# Checkpoints.


def test_a_loop_goes_on_where_the_last_one_was_left(api_of: Make) -> None:
    done: list[int] = []

    def run(token: str, stop: int | None) -> None:
        for item in api_of(token).task.track(range(6), every=0, resume="import"):
            if item == stop:
                raise ValueError
            done.append(item)

    with contextlib.suppress(ValueError):
        run("one", 3)
    run("two", None)
    assert done == [0, 1, 2, *range(6)], "another organization's checkpoint is another one"
    done.clear()
    run("one", None)
    assert done == [3, 4, 5]
    done.clear()
    run("one", None)
    assert done == [0, 1, 2, 3, 4, 5], "a run that came to its end leaves nothing"


async def test_async_loops_go_on_too(api_of: Make) -> None:
    api = api_of()
    with contextlib.suppress(ValueError):
        async with api.task.track_async("abcd", every=0, resume="async") as tracked:
            async for item in tracked:
                if item == "c":
                    raise ValueError
    assert [item async for item in api.task.track_async("abcd", resume="async")] == ["c", "d"]
    assert await api.task.checkpoint("async").get_async("nothing") == "nothing"


def test_checkpoints_by_hand(api_of: Make) -> None:
    checkpoint = api_of().task.checkpoint("by hand")
    assert checkpoint.get() is None
    checkpoint.set({"page": 7})
    assert api_of(task_id="another").task.checkpoint("by hand").get() == {"page": 7}
    checkpoint.clear()
    assert checkpoint.get("none") == "none"
    with pytest.raises(TaskError, match="has a name"):
        api_of().task.checkpoint("")


# The console.


def test_without_a_platform_it_goes_to_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    with API(cache_service_url=None, app_token=None) as api:
        api.task.set_progress(50, "Halfway done", "pending")
        api.task.set_progress(10, "gone wrong", "failed")
        assert list(api.task.track([1], info="rows")) == [1]
    out, err = capfd.readouterr()
    assert out == "", "what a program prints is its own"
    assert err.splitlines() == [
        "[ 50 %] Halfway done (pending)",
        "[100 %] gone wrong (failed)",
        "[  0 %] rows: 0/1 (in_progress)",
        "[100 %] rows: 1/1 (completed)",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals of POSIX")
def test_a_terminal_gets_a_bar() -> None:
    import pty

    code = """
from automio.wrapper import API
with API(cache_service_url=None) as api:
    api.task.set_progress(50, "Halfway [done]")
    api.task.set_progress(100, "All", "completed")
print("after")
"""
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        stderr=follower,
        stdout=subprocess.PIPE,
        env=environment,
        timeout=60,
        check=True,
    )
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(leader, 65536):
            shown += part
    os.close(leader)
    assert b"Halfway [done]" in shown or b"All" in shown
    assert b"100%" in shown and b"\x1b[" in shown
    assert done.stdout == b"after\n"
