"""api.task: how far the running task is. Next: progress.py (loops that report), console.py (where there is no platform).

Where CACHE_SERVICE_URL is set, progress goes to the platform: POST {url}/set-progress/{task_id}/. Elsewhere it goes to the
console and nowhere else: a line on stderr, a bar where that is a terminal and rich is installed.

The platform's rule holds in both: `completed` and `failed` are at 100, and 100 is `completed` unless it failed.

A checkpoint is a value in the app cache, under `checkpoint:<name>`: by app and organization, never by task, so that the next
run of the same work finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from automio.errors import TaskError
from automio.runtime.call import Repeat
from automio.runtime.client import run_sync
from automio.runtime.per_loop import PerLoop
from automio.services.answers import refused
from automio.services.console import Console
from automio.services.progress import AsyncTrack, State, Status, Track
from automio.services.rest import Rest, segment
from automio.settings import Settings

if TYPE_CHECKING:
    from automio.services.cache import Cache

T = TypeVar("T")
CHECKPOINT_SECONDS: Final = 7 * 86400.0
"""How long a checkpoint is kept that nobody took up."""
_LITTLE_PATIENCE: Final = 3.0
"""Seconds for a report that is sent once."""


def progress_rest(settings: Settings) -> PerLoop[Rest]:
    """A session for each loop to the cache service. ConfigError at the first use when its token is absent."""

    def make() -> Rest:
        token = settings.require("cache_service_token")
        return Rest(settings.cache_service_url or "", {"Authorization": f"Bearer {token}"}, settings.timeout)

    return PerLoop(make)


class Task:
    """The progress of one task. Safe from any thread and event loop."""

    def __init__(self, task_id: str, rests: PerLoop[Rest] | None, cache: Callable[[], Cache]) -> None:
        self.id = task_id
        self._rests = rests
        self._cache = cache
        self._console = Console()

    def set_progress(self, progress: int, info: str = "", status: Status = "pending") -> None:
        """Report `progress` percent (0 to 100), a line about it, and the state of the task.

        `status` is pending, in_progress, completed or failed. Raises TaskError for other values and when it is refused,
        TransportError. Safe to repeat: the last report counts.
        """
        state = _checked(progress, info, status)
        if self._rests is None:
            self._console.show(state)
        else:
            run_sync(self._send(state))

    async def set_progress_async(self, progress: int, info: str = "", status: Status = "pending") -> None:
        """`set_progress` for async code."""
        await self._report(_checked(progress, info, status))

    def track(
        self, items: Iterable[T], total: int | None = None, info: str = "", *, every: float = 1.0, resume: str = ""
    ) -> Track[T]:
        """`for item in api.task.track(items)`: the items, while their progress is reported, at most once in `every` seconds.

        `total` is known for a list; without one no percentage is. At the end the task is `completed`; when the loop is left
        by an exception, by SIGTERM, or the program ends in one, it is `failed`, with what was done; after `break` the last
        count stands. The platform not being reached never stops the loop before its end: a warning of the logger "automio"
        then; the last report raises. `with api.task.track(items) as tracked:` tells the end of the block for certain.

        `resume="name"`: what was done is kept in the app cache, and the next run under that name skips it; the items must
        come in the same order. An item is done when the next one is asked for. At least once: after a crash up to `every`
        seconds of items come again. Raises TaskError for arguments that can't be used, CacheError for the checkpoint.
        """
        return Track(self, items, *_tracked(items, total, info, every, resume))

    def track_async(
        self,
        items: Iterable[T] | AsyncIterable[T],
        total: int | None = None,
        info: str = "",
        *,
        every: float = 1.0,
        resume: str = "",
    ) -> AsyncTrack[T]:
        """`track` for async code: `async for`, `async with`; the items may come from an async iterator."""
        return AsyncTrack(self, items, *_tracked(items, total, info, every, resume))

    def checkpoint(self, name: str) -> Checkpoint:
        """Where this work stands, for its next run: a JSON value in the app cache. Raises TaskError for an empty name."""
        if not isinstance(name, str) or not name:
            raise TaskError("a checkpoint has a name, a text that is not empty.")
        return Checkpoint(f"checkpoint:{name}", self._cache)

    async def _report(self, state: State, *, once: bool = False) -> None:
        if self._rests is None:
            self._console.show(state)
        else:
            await self._send(state, _LITTLE_PATIENCE if once else None)

    def _get_ready(self) -> None:
        """Start the background loop, which sends the last word: at the end of the program it is too late for that."""
        if self._rests is not None:
            run_sync(asyncio.sleep(0))

    def _report_once(self, state: State) -> None:
        """Sync and once, with little patience: the program is about to end, or the next report says more."""
        if self._rests is None:
            self._console.show(state)
        else:
            run_sync(self._send(state, _LITTLE_PATIENCE))

    async def _send(self, state: State, seconds: float | None = None) -> None:
        assert self._rests is not None
        more: dict[str, Any] = {"repeat": Repeat.ALWAYS} if seconds is None else {"repeat": Repeat.NEVER}
        if seconds is not None:
            more["seconds"] = seconds
        reply = await self._rests.current().request(
            "POST",
            f"/set-progress/{segment(self.id)}/",
            source="task",
            json={"progress": state.progress, "info": state.info, "status": state.status},
            **more,
        )
        if not reply.ok:
            raise refused(reply, "the progress was refused", TaskError)

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._console.close()


class Checkpoint:
    """A value that outlives the run, for a week. Every method has a twin `…_async`. Raises CacheError, CacheUnavailable."""

    def __init__(self, key: str, cache: Callable[[], Cache]) -> None:
        self._key = key
        self._cache = cache

    def get(self, default: Any = None) -> Any:
        """What was kept, `default` when nothing was."""
        return self._cache().get(self._key, default)

    async def get_async(self, default: Any = None) -> Any:
        """`get` for async code."""
        return await self._cache().get_async(self._key, default)

    def set(self, value: Any, ttl: float | timedelta | None = CHECKPOINT_SECONDS) -> None:
        """Keep this instead."""
        self._cache().set(self._key, value, ttl)

    async def set_async(self, value: Any, ttl: float | timedelta | None = CHECKPOINT_SECONDS) -> None:
        """`set` for async code."""
        await self._cache().set_async(self._key, value, ttl)

    def clear(self) -> None:
        """The work is done; nothing is left of it."""
        self._cache().delete(self._key)

    async def clear_async(self) -> None:
        """`clear` for async code."""
        await self._cache().delete_async(self._key)


def _checked(progress: object, info: object, status: object) -> State:
    if type(progress) is not int or not 0 <= progress <= 100:
        raise TaskError(f"progress is a whole number from 0 to 100, not {progress!r}.")
    if not isinstance(info, str):
        raise TaskError(f"info is a text, not {type(info).__name__}.")
    if status not in get_args(Status):
        raise TaskError(f"status is one of {', '.join(get_args(Status))}, not {status!r}.")
    return State.of(progress, info, status)  # pyright: ignore[reportArgumentType]


def _tracked(
    items: object, total: object, info: object, every: object, resume: object
) -> tuple[int | None, str, float, str]:
    if total is None:
        total = len(items) if hasattr(items, "__len__") else None  # pyright: ignore[reportArgumentType]
    if total is not None and (type(total) is not int or total < 0):
        raise TaskError("total is a whole number of items.")
    if not isinstance(info, str) or not isinstance(resume, str):
        raise TaskError("info and resume are texts.")
    if not isinstance(every, int | float) or isinstance(every, bool) or not 0 <= every < 1e6:
        raise TaskError("every is a number of seconds.")
    return total, info, float(every), resume
