"""data_list -> answers in order of completion, while the platform makes them. Used by integrations.py.

    data: {"index": 3, "total": 100, "response": {"api_data": …, "api_response": {…}}}     one a call
    data: {"completed": true, "total_processed": 100}                                      the last line

What is held at a time: one batch of requests (`data_list` may be a generator; each batch is one request to the platform) and
one line, for sync readers a few lines. Lines are UTF-8 whatever the answer's headers say. A stream that ends without its last
line, or with fewer answers than calls, is StreamBroken; so is a line that says what went wrong in the platform, and a
platform that is not there any more for the next batch. One that refuses a batch is what it is in the first one.

Ending early (`break`, close(), cancellation, nobody holds the iterator any more) closes the connection, by which the platform
stops what it has not done yet.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from automio.errors import StreamBroken, TransportError
from automio.runtime.client import run_sync
from automio.runtime.per_loop import start_in
from automio.services.integration_values import envelope, identifier, refusal
from automio.services.rest import Rest, RestReply, detail_of

if TYPE_CHECKING:
    import asyncio
    from typing import Self

Item = dict[str, Any]
"""{"data", "response", "index", "total", "connection_id", "organization_id"}, the last one {"final": True, "total_processed"}."""
BATCH: Final = 1000
"""Calls in one request to the platform."""
_HELD: Final = 64
"""Answers between the event loop and a sync reader."""
_LONGEST_REFUSAL: Final = 65_536


async def stream_items(
    rest: Callable[[], Rest],
    path: str,
    params: Mapping[str, object],
    data_list: Iterable[Any],
    total: int | None,
    body_of: Callable[[list[Any], int], dict[str, Any]],
    headers_of: Callable[[int], dict[str, str]],
    silence: float | None,
) -> AsyncGenerator[Item]:
    """The items. `body_of(batch, first index)` makes a request's body and checks it; `headers_of(number of the batch)`."""
    source = "integrations.parallel_call_stream"
    remaining = iter(data_list)
    done, number = 0, 0
    while True:
        batch = list(islice(remaining, BATCH))
        if not batch and number:
            break
        body = body_of(batch, done)
        if not batch:
            break
        received = 0
        try:
            async with rest().stream(
                "POST", path, source=source, params=params, json=body, headers=headers_of(number), silence=silence
            ) as (status, lines):
                if status != 200:
                    raise refusal(RestReply(status, {}, await _some(lines), source))
                async for item in _answers(lines, source, done, len(batch)):
                    item["index"] += done
                    item["total"] = total
                    received += 1
                    yield item
        except TransportError as error:
            if not done:
                raise
            text = f"{source}: the stream broke off after {done} answers ({error.message})"
            raise StreamBroken(text, received=done) from error
        done += received
        number += 1
    yield {"final": True, "total_processed": done}


async def _answers(lines: AsyncIterator[bytes], source: str, before: int, count: int) -> AsyncGenerator[Item]:
    """The answers of one request, with the numbers of its own items. Returns after its last line alone."""
    received = 0

    def broken(why: str, detail: str = "") -> StreamBroken:
        return StreamBroken(f"{source}: {why}", received=before + received, status=200, detail=detail)

    try:
        async for line in lines:
            if not line.startswith(b"data:"):  # an empty line, a comment, the name of an event
                continue
            try:
                frame = json.loads(line[5:])
            except (ValueError, RecursionError):
                raise broken("a line of the stream is not JSON") from None
            if not isinstance(frame, dict):
                raise broken("a line of the stream is not an object")
            if frame.get("completed") is True:
                if received != count:
                    raise broken(f"the stream ended with {received} answers to {count} calls")
                return
            if "response" not in frame:
                detail = detail_of(frame)
                raise broken(f"the platform broke the stream off{': ' + detail if detail else ''}", detail)
            index = frame.get("index")
            if type(index) is not int or not 0 <= index < count or not isinstance(frame["response"], dict):
                raise broken("an answer of the stream has no usable index and response")
            data, response = envelope(frame["response"], source, 200)
            received += 1
            own = {
                key: identifier(frame.get(key, frame["response"].get(key)))
                for key in ("connection_id", "organization_id")
            }
            yield {"data": data, "response": response, "index": index, "total": count, **own}
    except TransportError as error:
        raise broken(f"the stream broke off after {before + received} answers ({error.message})") from error
    raise broken(f"the stream ended early, after {before + received} answers")


async def _some(lines: AsyncIterator[bytes]) -> bytes:
    found = bytearray()
    async for line in lines:
        found += line + b"\n"
        if len(found) > _LONGEST_REFUSAL:
            break
    return bytes(found)


class AsyncStream(AsyncIterator[Item]):
    """`async for item in stream`; `aclose()` or `async with` end it early."""

    def __init__(self, items: AsyncGenerator[Item]) -> None:
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        return await self._items.__anext__()

    async def aclose(self) -> None:
        """End it; calls that the platform has not made yet are not made."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Stream(Iterator[Item]):
    """`for item in stream`, in any thread; `close()` or `with` end it early. The requests run on the background loop."""

    def __init__(self, items: AsyncGenerator[Item]) -> None:
        self._pump = _Pump(items)
        self._ready: list[Item] = []
        weakref.finalize(self, self._pump.abandon).atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if not self._ready:
            self._ready = run_sync(self._pump.take())
            self._ready.reverse()
            if not self._ready:
                raise StopIteration
        return self._ready.pop()

    def close(self) -> None:
        """End it; calls that the platform has not made yet are not made."""
        self._ready = []
        run_sync(self._pump.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Pump:
    """Reads ahead on the background loop, at most _HELD items, so that a sync reader crosses threads once for several."""

    def __init__(self, items: AsyncGenerator[Item]) -> None:
        self._items = items
        self._queue: asyncio.Queue[Item | BaseException | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self._failure: BaseException | None = None

    async def take(self) -> list[Item]:
        """What has come, at least one item; none at the end."""
        import asyncio

        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._ended:
            return []
        if self._queue is None:
            self._loop = asyncio.get_running_loop()
            self._queue = asyncio.Queue(_HELD)
            self._task = self._loop.create_task(self._fill(self._queue))
        found: list[Item] = []
        entry = await self._queue.get()
        while True:
            if isinstance(entry, dict):
                found.append(entry)
            else:
                self._ended = True
                if entry is not None:
                    if not found:
                        raise entry
                    self._failure = entry  # the items before it first
                return found
            if self._queue.empty():
                return found
            entry = self._queue.get_nowait()

    async def _fill(self, queue: asyncio.Queue[Item | BaseException | None]) -> None:
        try:
            async for item in self._items:
                await queue.put(item)
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(None)
        finally:
            await self._items.aclose()

    async def close(self) -> None:
        self._ended, self._failure = True, None
        task, self._task = self._task, None
        if task is None:
            await self._items.aclose()
            return
        import asyncio

        task.cancel()
        await asyncio.wait({task})
        if self._queue is not None and not self._queue.full():
            self._queue.put_nowait(None)  # who waits in another thread gets the end

    def abandon(self) -> None:
        """Nobody holds the iterator any more; may run in any thread."""
        if self._task is not None and self._loop is not None and self._loop.is_running():
            try:
                self._loop.call_soon_threadsafe(start_in, self._loop, self.close())
            except RuntimeError:
                pass
