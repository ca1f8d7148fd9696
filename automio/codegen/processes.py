"""Work that is shared with other processes: items in, (item, result) out, as they come. Used by packages.py.

A package needs nothing of another one, and Python compiles with one core. So other processes take items from the end of
the list while this one works from its front, until they meet: whoever is free takes the next one. They are started
(`spawn`, so it may be done beside threads) for one run and end with it: a Ctrl-C is this process's to handle, and a
process whose parent was killed ends by itself. One that dies (memory) leaves its items to this process.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 4
"""Processes at most, this one included: each holds an index of the schema of its own."""
_AHEAD = 2
"""Items that another process is given at once, so that it never waits for this one to look."""


def shared(
    items: Iterable[_Item],
    here: Callable[[_Item], _Result],
    there: Callable[[_Item], _Result],
    prepare: Callable[..., None],
    arguments: tuple[object, ...],
) -> Iterator[tuple[_Item, _Result]]:
    """Each item with its result, in no order. `prepare(*arguments)` runs first in each other process.

    `there` and `prepare` are functions of a module, and items, arguments and results can be pickled. What `here` raises
    comes through; `there` should return its faults.
    """
    others = min(_cores(), _MOST) - 1
    if not others:
        yield from ((item, here(item)) for item in items)
        return
    pool = ProcessPoolExecutor(others, get_context("spawn"), _begin, (gc.get_threshold(), prepare, *arguments))
    waiting = deque(items)
    elsewhere: dict[Future[_Result], _Item] = {}
    try:
        while waiting or elsewhere:
            while waiting and len(elsewhere) < others * _AHEAD:
                with _sigint_blocked():
                    future = pool.submit(there, waiting[-1])
                elsewhere[future] = waiting.pop()
            if waiting:
                item = waiting.popleft()
                yield item, here(item)
            done, _ = wait(elsewhere, timeout=0 if waiting else None, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                yield elsewhere.pop(future), result
    except BrokenProcessPool:
        for item in (*waiting, *elsewhere.values()):
            yield item, here(item)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A process that is started here never hears of Ctrl-C, not even before it can ignore it; this one hears of it after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threshold: tuple[int, int, int], prepare: Callable[..., None], *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*threshold)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
