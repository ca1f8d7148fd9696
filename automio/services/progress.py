"""An iterable -> the same items, while their progress is reported. Made by tasks.py.

The rules:
- Reports are throttled by time. The last one is not: the end, an exception and a signal are always told.
- A report on the way is sent once and with little patience, since the next one says more. After one that failed the next comes
  when as much time has gone as it took: a platform that hangs costs a loop at most half of its time.
- Whether a plain `for` was left by an exception or by `break` Python does not tell the iterator. It is dropped at that moment,
  and the instruction at which the loop's frame stands says it: `break` and `return` drop it by an instruction of their own,
  an exception from the one that raised. Where that cannot be read (the iterator is kept in a variable, the loop is a generator's)
  the count stands, and is `failed` when the program then ends in an exception that nobody caught.
- An item is done when the next one is asked for, and only then: the one that the loop was left at comes again.
- SIGTERM ends a program without a word. While a loop runs in the main thread, and nobody else handles SIGTERM, it is told
  first: the state is `failed`, then the signal has its usual effect.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import opcode
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from itertools import islice
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from automio.errors import AutomioError

if TYPE_CHECKING:
    from typing import Self

    from automio.services.tasks import Task

logger = logging.getLogger("automio")
logger.addHandler(logging.NullHandler())

T = TypeVar("T")
Status = Literal["pending", "in_progress", "completed", "failed"]
_DROPS: Final = frozenset(
    {"POP_TOP", "POP_ITER", "END_FOR", "RETURN_VALUE", "RETURN_CONST", "STORE_FAST", "STORE_NAME", "STORE_GLOBAL"}
)
"""Instructions that let go of a loop's iterator where nothing was raised."""
_CLOSES: Final = frozenset({"YIELD_VALUE", "RESUME", "SEND"})
"""Where a generator stands when it is closed before its end."""


@dataclass(frozen=True, slots=True)
class State:
    """What is reported."""

    progress: int
    info: str
    status: Status

    @classmethod
    def of(cls, progress: int, info: str, status: Status) -> State:
        """With the platform's rule: an end is at 100, and 100 is an end."""
        if status in ("completed", "failed"):
            return cls(100, info, status)
        return cls(progress, info, "completed" if progress == 100 else status)

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed")

    def line(self) -> str:
        """For a console: `[ 50 %] Halfway done (pending)`."""
        return f"[{self.progress:3d} %] {self.info} ({self.status})"


class _Meter:
    """What both faces count."""

    def __init__(self, task: Task, total: int | None, info: str, every: float, resume: str) -> None:
        self.task = task
        self.total = total
        self.info = info
        self.every = every
        self.checkpoint = task.checkpoint(resume) if resume else None
        self.done = 0
        self.skipped = 0
        self.begun = self.ended = False
        self.frame = 0
        self._reported = -1e9
        self._pause = every

    def begin(self) -> None:
        self.begun = True
        self.task._get_ready()
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)  # now: before the end of the background loop, which is to send it
        _running.append(weakref.ref(self))
        _handle_sigterm()

    def skip(self, kept: object) -> None:
        if isinstance(kept, dict) and type(kept.get("done")) is int and kept["done"] > 0:
            self.done = self.skipped = kept["done"]

    def kept(self) -> dict[str, int]:
        return {"done": self.done}

    def due(self) -> bool:
        """Whether it is time for a report; the clock does not go back."""
        now = time.monotonic()
        if now - self._reported < self._pause:
            return False
        self._reported, self._pause = now, self.every
        return True

    def left_out(self, error: AutomioError) -> None:
        """The report that was due has failed."""
        logger.warning("task: a report was left out: %s", error.message)
        now = time.monotonic()
        self._reported, self._pause = now, max(self.every, now - self._reported)

    def state(self, status: Status, why: str = "") -> State:
        of = f"/{self.total}" if self.total is not None else ""
        text = f"{self.info}: {self.done}{of}" if self.info else f"{self.done}{of}"
        percent = min(99, self.done * 100 // self.total) if self.total else 0
        return State.of(percent, f"{text}, {why}" if why else text, status)

    def finish(self) -> bool:
        """Whether there is something left to tell; True once."""
        if self.ended or not self.begun:
            return False
        self.ended = True
        _running[:] = [one for one in _running if one() not in (self, None)]
        _handle_sigterm()
        return True

    def last_word(self, status: Status, why: str = "") -> None:
        """The last state, where nothing can be raised any more."""
        if self.finish():
            try:
                self.task._report_once(self.state(status, why))
                if self.checkpoint is not None:
                    self.checkpoint.set(self.kept())
            except AutomioError as error:
                logger.warning("task: the last state was not told: %s", error.message)


class Track(Generic[T]):
    """See Task.track."""

    def __init__(self, task: Task, items: Iterable[T], total: int | None, info: str, every: float, resume: str) -> None:
        self._meter = _Meter(task, total, info, every, resume)
        self._items = items
        self._iterator: Iterator[T] | None = None
        self._given = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        meter = self._meter
        if meter.ended:
            raise StopIteration
        if self._iterator is None:
            meter.frame = id(sys._getframe(1))
            self._begin()
        assert self._iterator is not None
        if self._given:
            self._given = False
            meter.done += 1
        if meter.due():
            self._tell()
        try:
            item = next(self._iterator)
        except StopIteration:
            self._complete()
            raise
        except BaseException as error:
            meter.last_word("failed", type(error).__name__)
            raise
        self._given = True
        return item

    def _begin(self) -> None:
        meter = self._meter
        if meter.checkpoint is not None:
            meter.skip(meter.checkpoint.get())
        meter.begin()
        self._iterator = islice(self._items, meter.skipped, None) if meter.skipped else iter(self._items)

    def _tell(self) -> None:
        meter = self._meter
        try:
            if meter.checkpoint is not None and meter.done > meter.skipped:
                meter.checkpoint.set(meter.kept())
            meter.task._report_once(meter.state("in_progress"))
        except AutomioError as error:
            meter.left_out(error)

    def _complete(self) -> None:
        meter = self._meter
        if meter.finish():
            if meter.checkpoint is not None:
                meter.checkpoint.clear()
            state = meter.state("completed")
            meter.task.set_progress(state.progress, state.info, state.status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(kind.__name__ if kind is not None else "")

    def __del__(self) -> None:
        if not self._meter.ended and self._meter.begun:
            failed = _left_by_exception(self._meter, sys._getframe(0).f_back)
            self._leave("an exception" if failed else "")

    def _leave(self, why: str) -> None:
        self._meter.last_word("failed" if why else "in_progress", why)


class AsyncTrack(Generic[T]):
    """See Task.track_async."""

    def __init__(
        self,
        task: Task,
        items: Iterable[T] | AsyncIterable[T],
        total: int | None,
        info: str,
        every: float,
        resume: str,
    ) -> None:
        self._meter = _Meter(task, total, info, every, resume)
        self._items = items
        self._iterator: AsyncIterator[T] | None = None
        self._given = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        meter = self._meter
        if meter.ended:
            raise StopAsyncIteration
        if self._iterator is None:
            meter.frame = id(sys._getframe(1))
            await self._begin()
        assert self._iterator is not None
        if self._given:
            self._given = False
            meter.done += 1
        if meter.due():
            await self._tell()
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration:
            await self._complete()
            raise
        except BaseException as error:
            await asyncio.to_thread(meter.last_word, "failed", type(error).__name__)
            raise
        self._given = True
        return item

    async def _begin(self) -> None:
        meter = self._meter
        if meter.checkpoint is not None:
            meter.skip(await meter.checkpoint.get_async())
        meter.begin()
        self._iterator = _one_by_one(self._items)
        for _ in range(meter.skipped):
            await anext(self._iterator, None)

    async def _tell(self) -> None:
        meter = self._meter
        try:
            if meter.checkpoint is not None and meter.done > meter.skipped:
                await meter.checkpoint.set_async(meter.kept())
            await meter.task._report(meter.state("in_progress"), once=True)
        except AutomioError as error:
            meter.left_out(error)

    async def _complete(self) -> None:
        meter = self._meter
        if meter.finish():
            if meter.checkpoint is not None:
                await meter.checkpoint.clear_async()
            await meter.task._report(meter.state("completed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = kind.__name__ if kind is not None else ""
        await asyncio.to_thread(self._meter.last_word, "failed" if why else "in_progress", why)

    def __del__(self) -> None:
        meter = self._meter
        if not meter.ended and meter.begun:
            failed = _left_by_exception(meter, sys._getframe(0).f_back)
            # In a thread of its own: this one may be the loop's, which must not wait.
            words = ("failed", "an exception") if failed else ("in_progress", "")
            try:
                threading.Thread(target=meter.last_word, args=words, name="automio-last-word").start()
            except RuntimeError:  # the interpreter ends
                meter.last_word(*words)


async def _one_by_one(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _left_by_exception(meter: _Meter, frame: FrameType | None) -> bool:
    """Whether `frame`, which drops a loop's iterator, is the loop's and does so because something was raised in it."""
    if frame is None or id(frame) != meter.frame or frame.f_lasti < 0:
        return False
    name = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
    if name in _CLOSES and frame.f_code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        return False
    return name not in _DROPS


# The end of the program.

_running: list[weakref.ref[_Meter]] = []


def _all_running() -> list[_Meter]:
    return [meter for one in list(_running) if (meter := one()) is not None]


def _at_exit() -> None:
    """Loops that were left without our seeing how: failed, when the program ends in an exception that nobody caught."""
    error = getattr(sys, "last_value", None)
    for meter in _all_running():
        meter.last_word("failed" if error is not None else "in_progress", type(error).__name__ if error else "")


def _handle_sigterm() -> None:
    """Handle SIGTERM while a loop runs, and only where nobody else does."""
    if threading.current_thread() is not threading.main_thread():
        return
    now = signal.getsignal(signal.SIGTERM)
    if _all_running():
        if now is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminated)
    elif now is _terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> None:
    for meter in _all_running():
        meter.last_word("failed", "SIGTERM")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
