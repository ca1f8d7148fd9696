"""Operation -> Subscription or AsyncSubscription: an iterator over the answers to a subscription. Next: socket.py.

**What is delivered.** A live query (`watch`, any subscription that is no `_stream`) gives the whole answer now and after each
change. Who reads slowly gets the latest answer, not each one in between; an answer equal to the last delivered one is left
out. A `_stream` gives each batch of rows, in order, none left out: when more than a few batches are unread, the server is
told to stop, and asked again when they have been read. An empty batch is left out.

**Lost connections** are made again, with growing pauses (stamina), for `reconnect_timeout` seconds; then TransportError is
raised. A connection that lasted counts as success, and so does every new answer. The first connection is tried like a
query's request. A live query goes on with its next answer. A stream goes on behind the last row that was delivered, so no
row is lost or delivered twice, whenever the server dies. This rests on the cursor's column, as in Hasura itself: a row that
appears later with a value at or below the last delivered one is not seen, and where several rows share a value, those that
the server had not put into the batch with the others are not seen either. Take a column that grows and is unique.
Raised at once, and the end of the iterator: what the server says about the document (GraphQLErrors), refused credentials
(ProtocolError), ScopeError, DecodeError.

**Organization and client** are those of the place where the iterator is made. Hooks of `API(middleware=[…])` run once for
a subscription, around its start up to the first answer: they see the scoped operation, may refuse it or answer themselves
(then that is the only answer). Later answers and reconnections pass them by; headers that they add are not sent, since one
socket serves many subscriptions.

**Ending.** `close()` (`aclose()`), a `with` block, the end of the client, or nobody holding the iterator any more: the server
is told, and with the last subscription of a socket the socket closes. `close()` from another thread or task ends an
iteration that waits. An iterator that raised is at its end.

No import of asyncio here: generated modules load this file.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from automio.errors import ConnectError
from automio.request import UNSET, Unset
from automio.runtime.call import Call, Operation
from automio.runtime.client import Client, current_client, run_sync
from automio.runtime.per_loop import start_in
from automio.runtime.transport import Reply

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from typing import Self

    from automio.runtime.scoping import ScopedOperation
    from automio.runtime.socket import Feed, Lost

T = TypeVar("T")
STABLE_SECONDS: Final = 5.0
"""A connection that lasted so long was a good one: what comes after it is a new failure."""
_END: Final = object()
Decode = Callable[[Reply, int | None], T]


def subscribe(
    operation: Operation[T], variables: Mapping[str, Any], organization_id: int | Unset = UNSET
) -> Subscription[T]:
    """Subscribe with the ambient client: an iterator for sync code, in any thread. Nothing is sent before the first `next`.

    Raises ScopeError at once; while iterating TransportError, GraphQLErrors, DecodeError.
    """
    return Subscription(_typed(operation, variables, organization_id))


def subscribe_async(
    operation: Operation[T], variables: Mapping[str, Any], organization_id: int | Unset = UNSET
) -> AsyncSubscription[T]:
    """`subscribe` for `async for`, in the caller's event loop."""
    return AsyncSubscription(_typed(operation, variables, organization_id))


def _typed(operation: Operation[T], variables: Mapping[str, Any], organization_id: int | Unset) -> Answers[T]:
    from automio.runtime.scoping import scope  # late: generated modules load this file

    client = current_client()
    call = client.call(operation, dict(variables), organization_id)
    _check(scope(call))

    async def prepared() -> Call:
        return call

    return Answers(client, prepared, lambda reply, organization: operation.decoder(reply, organization, call.operation))


class Subscription(Iterator[T]):
    """The answers to a subscription, for `for`. Close it: `with orders.watch() as answers: …`, or `close()`."""

    def __init__(self, answers: Answers[T]) -> None:
        self._answers = answers
        weakref.finalize(self, answers.abandon).atexit = False

    def __repr__(self) -> str:
        return f"Subscription({self._answers.source})"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        found = run_sync(self._answers.next())
        if found is _END:
            raise StopIteration
        return found

    def close(self) -> None:
        """End it; a `next` that waits in another thread ends, too. May be called twice."""
        if not self._answers.ended:
            run_sync(self._answers.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncSubscription(AsyncIterator[T]):
    """The answers to a subscription, for `async for`. Close it: `async with orders.watch() as answers: …`, or `aclose()`."""

    def __init__(self, answers: Answers[T]) -> None:
        self._answers = answers
        weakref.finalize(self, answers.abandon).atexit = False

    def __repr__(self) -> str:
        return f"AsyncSubscription({self._answers.source})"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        found = await self._answers.next()
        if found is _END:
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        """End it; an iteration that waits in another task ends, too. May be called twice."""
        if not self._answers.ended:
            await self._answers.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Answers(Generic[T]):
    """What both faces share. Lives in the event loop of its first `next`."""

    def __init__(self, client: Client, prepare: Callable[[], Awaitable[Call]], decode: Decode[T]) -> None:
        self._client = client
        self._prepare = prepare
        self._decode = decode
        self._call: Call | None = None
        self._operation: ScopedOperation | None = None
        self._feed: Feed | None = None
        self._last: bytes | None = None
        self._fresh = False
        """True until the first answer of a connection."""
        self._connected = False
        """True when there has been a connection."""
        self._loop: AbstractEventLoop | None = None
        self._waiting: tuple[Task[Any], Future[None]] | None = None
        """The task that waits for an answer, and what says that it does no more."""
        self.ended = False

    @property
    def source(self) -> str:
        return self._operation.operation.source if self._operation else "not started"

    async def next(self) -> T | Any:
        """The next value, or _END."""
        import asyncio

        if self.ended:
            return _END
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("this subscription belongs to another event loop")
        if self._waiting is not None:
            raise RuntimeError("another task already waits for the next answer of this subscription")
        task = asyncio.current_task()
        assert task is not None
        self._loop = loop
        self._waiting = task, loop.create_future()
        try:
            return await self._next()
        except asyncio.CancelledError:
            if not self.ended:
                raise
            task.uncancel()  # it was close() that cancelled
            return _END
        except BaseException:
            await self._end()
            raise
        finally:
            self._waiting[1].set_result(None)
            self._waiting = None

    async def _next(self) -> T | Any:
        from automio.runtime.socket import Ended

        while True:
            try:
                reply = await (self._begin() if self._operation is None else self._read())
            except Ended:
                await self._end()
                return _END
            operation = self._operation
            if operation is None:  # a hook answered
                assert self._call is not None
                await self._end()
                return self._decode(reply, self._call.organization)
            value = self._decode(reply, operation.organization)
            if self._deliver(operation, reply):
                return value

    # What comes.

    async def _begin(self) -> Reply:
        self._call = await self._prepare()
        return await self._client.chain_to(self._first)(self._call)

    async def _first(self, operation: ScopedOperation) -> Reply:
        _check(operation)
        self._operation = operation
        return await self._read()

    async def _read(self) -> Reply:
        from automio.runtime.socket import Lost, Paused

        failure: Lost | None = None
        if self._feed is not None:
            try:
                return self._reply(await self._answer(self._feed))
            except Paused:
                full, self._feed = self._feed, None
                try:
                    return self._reply(await self._connect(None))
                finally:
                    await full.close()  # after the new one has begun: their socket stays open
            except Lost as lost:
                await self._let_go()
                failure = lost
        return self._reply(await self._connect(failure))

    async def _answer(self, feed: Feed) -> bytes:
        """The next answer that is not the last one again."""
        while True:
            body = await feed.get()
            if not self._is_repeated(body):
                return body

    def _is_repeated(self, body: bytes) -> bool:
        fresh, self._fresh = self._fresh, False
        if self._last is None:
            return False
        if body == self._last:
            return True
        if not fresh:
            return False
        from pydantic_core import from_json

        return from_json(body) == from_json(self._last)

    def _deliver(self, operation: ScopedOperation, reply: Reply) -> bool:
        """Remember where we are; False for an empty batch."""
        cursor = operation.operation.cursor
        if cursor is None:
            self._last = reply.body
            return True
        import json
        from decimal import Decimal

        data = json.loads(reply.body, parse_float=Decimal).get("data")
        self._operation = operation.moved(cursor.behind(operation.variables, data))
        return bool(data.get(cursor.key))

    def _reply(self, body: bytes) -> Reply:
        return Reply(200, body, self._client.settings.secrets)

    # Connections.

    async def _connect(self, failure: Lost | None) -> bytes:
        """The first answer of a new connection. `failure` is why the old one is gone, None when it was not lost."""
        import logging

        import stamina

        from automio.runtime.socket import Lost

        logging.getLogger("stamina").addHandler(logging.NullHandler())
        settings = self._client.settings
        again = self._connected
        while True:
            attempts: int | None = None if again else 3
            seconds = settings.reconnect_timeout if again else 2 * settings.timeout
            try:
                async for attempt in stamina.retry_context(
                    on=Lost, attempts=attempts, timeout=seconds, wait_initial=0.1, wait_max=10.0, wait_jitter=0.5
                ):
                    with attempt:
                        if failure is not None:
                            lost, failure = failure, None
                            raise lost
                        return await self._attempt(min(STABLE_SECONDS, settings.reconnect_timeout))
            except _Lasted as lasted:
                failure, again = lasted.lost, True
            except Lost as lost:
                if not again:
                    raise lost.error from None
                raise ConnectError(
                    f"{self.source}: the connection was lost and not made again within {seconds:g} s. The last failure: "
                    f"{lost.error.message}",
                    sent=False,
                    hint="API(reconnect_timeout=…) or AUTOMIO_RECONNECT_TIMEOUT sets the seconds.",
                ) from lost.error

    async def _attempt(self, stable: float) -> bytes:
        import asyncio

        from automio.runtime.socket import Lost

        assert self._operation is not None
        self._feed = await self._client.open_feed(self._operation)
        self._connected = self._fresh = True
        loop = asyncio.get_running_loop()
        opened = loop.time()
        try:
            return await self._answer(self._feed)
        except Lost as lost:
            await self._let_go()
            if loop.time() - opened >= stable:
                raise _Lasted(lost) from None
            raise

    async def _let_go(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.close()

    # The end.

    async def _end(self) -> None:
        self.ended = True
        await self._let_go()

    async def close(self) -> None:
        """End it; who waits for an answer gets the end instead."""
        import asyncio

        self.ended = True
        if self._waiting is not None:
            task, done = self._waiting
            if task is not asyncio.current_task():
                task.cancel()
                await done
        await self._let_go()

    def abandon(self) -> None:
        """Nobody holds the iterator any more; may run in any thread."""
        if not self.ended and self._loop is not None and self._loop.is_running():
            try:
                self._loop.call_soon_threadsafe(start_in, self._loop, self.close())
            except RuntimeError:
                pass


class _Lasted(Exception):
    """A connection was lost that had lasted."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(str(lost))
        self.lost = lost


def _check(operation: ScopedOperation) -> None:
    """Refuse a stream that could not go on after a lost connection."""
    cursor = operation.operation.cursor
    if cursor is not None:
        cursor.check(operation.variables, operation.operation.source)
