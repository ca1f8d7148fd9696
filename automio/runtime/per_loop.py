"""One resource for each event loop that asks (a session, a pool): they belong to the loop that they were made in.

`PerLoop(make)` calls `make` at a loop's first use. A resource is closed with its loop: asyncio closes open async generators
before it closes a loop, so one is kept open for each resource, and `asyncio.run(main())` leaves nothing open although
nobody closed it. Used by client.py and by the services. Importing this module does not load asyncio.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from automio.errors import TransportError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Closable(Protocol):
    """What a loop can own."""

    async def close(self) -> None:
        """Let go of connections; later uses fail."""
        ...


T = TypeVar("T", bound=Closable)


def _running_loop() -> AbstractEventLoop:
    """asyncio.get_running_loop, and replaced by it at the first call."""
    global _running_loop
    from asyncio import get_running_loop

    _running_loop = get_running_loop
    return get_running_loop()


class PerLoop(Generic[T]):
    """Safe from any thread: each loop sees its own."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[AbstractEventLoop, _Owned[T]] = weakref.WeakKeyDictionary()
        self._latest: tuple[weakref.ref[AbstractEventLoop], T] | None = None
        self._closed = False

    def current(self) -> T:
        """The resource of the running loop. Raises TransportError after close()."""
        loop = _running_loop()
        latest = self._latest
        if latest is not None and latest[0]() is loop:
            return latest[1]
        found = self._made.get(loop)
        if found is None:
            if self._closed:
                raise TransportError("this client is closed, nothing was sent.", sent=False, hint="Make a new API().")
            found = self._made[loop] = _Owned(self._make(), lambda: self._made.pop(loop, None))
        self._latest = weakref.ref(loop), found.resource
        return found.resource

    def close(self, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`aclose` from sync code; `run` waits for a coroutine in a loop that is not the caller's. Inside a running
        loop, that loop's own resource closes as soon as the loop goes on."""
        self._closed, self._latest = True, None
        if self._made:
            from asyncio import _get_running_loop

            here = _get_running_loop()
            if here is not None and (owned := self._made.pop(here, None)):
                start_in(here, owned.close())
            run(self.aclose())

    async def aclose(self) -> None:
        """Close the resource of every loop that is still alive."""
        import asyncio

        self._closed, self._latest = True, None
        here = asyncio.get_running_loop()
        waiting: list[Any] = []
        for loop, owned in list(self._made.items()):
            if loop is here:
                waiting.append(owned.close())
            elif loop.is_running():
                closing = owned.close()
                try:
                    future = asyncio.run_coroutine_threadsafe(closing, loop)
                except RuntimeError:  # it was closed in between, and took its resources along
                    closing.close()
                else:
                    # A loop that is held up by sync code closes its own when it goes on.
                    waiting.append(asyncio.wait({asyncio.wrap_future(future)}, timeout=2))
        await asyncio.gather(*waiting)

    def abandon(self) -> None:
        """The owner was collected without being closed: let the loops close what is theirs."""
        for loop, owned in list(self._made.items()):
            if loop.is_running():
                try:
                    loop.call_soon_threadsafe(start_in, loop, owned.close())
                except RuntimeError:
                    pass


class _Owned(Generic[T]):
    """A resource and its life in the running loop."""

    def __init__(self, resource: T, forget: Callable[[], object]) -> None:
        self.resource = resource
        self._life = _while_loop_runs(resource, forget)
        try:
            self._life.__anext__().send(None)  # up to its `yield`: there is nothing to wait for
        except StopIteration:
            pass

    async def close(self) -> None:
        await self._life.aclose()


async def _while_loop_runs(resource: Closable, forget: Callable[[], object]) -> AsyncGenerator[None]:
    """Suspended until it is closed, by us or by the loop's end."""
    try:
        yield
    finally:
        forget()  # this generator holds the loop
        await resource.close()


_kept_tasks: set[Any] = set()


def start_in(loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run it in `loop`, whose thread this is; nobody waits for it."""
    task = loop.create_task(coroutine)
    _kept_tasks.add(task)
    task.add_done_callback(_kept_tasks.discard)
