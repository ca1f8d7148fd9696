"""ScopedOperation -> a Feed of answers over a WebSocket, on gql's aiohttp transport. Used by http.py; next: subscribe.py.

The second importer of gql: http.py is for one answer, this file for many. gql connects, says `connection_init`, waits for
the acknowledgement and closes, in both subprotocols (`graphql-transport-ws`, and `graphql-ws` of older servers). What it
would do for each answer is left out: it parses a message into Python values and keeps them in a queue without bounds; here
the answer's own bytes are cut out for decode.py, and a Feed is bounded.

One socket an address, shared by the subscriptions of a client in one loop: a Hasura endpoint is one address, the gateway
has one for each app and table. It opens with the first subscription and closes with the last. Credentials go twice, as
headers of the upgrade and in the payload of `connection_init`, where Hasura reads them. The HTTP session is http.py's.

A slow reader must not hold up the others on its socket, so a Feed never makes the socket wait. A live query keeps the
latest answer, which is whole. A stream keeps `UNREAD` answers; when one more comes, the server is told to stop, the Feed
says Paused when it has been read, and the subscription is started again behind what was read.

How a connection ends decides what comes next. Lost: try again. Everything else is final: what the server refuses today it
refuses tomorrow (4400 and its kind, connection_error, a status such as 403 instead of the upgrade, frames that are no
GraphQL). A peer that is silent is asked by a ping after `keep_alive` seconds and lost when it doesn't answer.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportProtocolError,
    TransportServerError,
)
from yarl import URL

from automio.errors import AutomioError, ConfigError, ConnectError, ProtocolError, TransportError
from automio.runtime.call import BoundOperation
from automio.runtime.decode import graphql_errors
from automio.runtime.transport import Reply

UNREAD: Final = 8
CONNECT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 2.0
_PROTOCOLS: Final = ["graphql-transport-ws", "graphql-ws"]
_PASSING_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_FINAL_CODES: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010, *range(4000, 5000)} - {4408, 4499})
"""4408: the server did not get our init in time; 4499: terminated, as graphql-ws says when its process ends."""
_CREDENTIALS: Final = "Check the token (APP_TOKEN, or HASURA_GRAPHQL_ADMIN_SECRET) and what it may do."


class Lost(Exception):
    """The connection is gone, or was not made, in a way that passes. `error` is what to raise when nobody tries again."""

    def __init__(self, error: TransportError) -> None:
        super().__init__(str(error))
        self.error = error


class Paused(Exception):
    """More answers came than a stream keeps unread; the server was told to stop. Start again behind what was read."""


class Ended(Exception):
    """The server says that there is nothing more."""


class Feed:
    """The answers to one subscription, as bytes. One reader at a time."""

    def __init__(self, connection: _Connection, number: int, operation: BoundOperation) -> None:
        self._connection = connection
        self._number = number
        self._operation = operation
        self._source = operation.source
        self._keep_all = operation.cursor is not None
        self._answers: deque[bytes] = deque()
        self._end: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.send_stop = True
        """gql asks for it when it closes a connection."""

    async def get(self) -> bytes:
        """The next answer. Raises Lost, Paused, Ended, or the error that ended the subscription."""
        while not self._answers:
            if self._end is not None:
                raise self._end
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._answers.popleft()

    async def close(self) -> None:
        """Tell the server, and close the socket when this was its last subscription."""
        self.finish(Ended())
        await self._connection.stop(self._number)

    def add(self, answer: bytes) -> bool:
        """False when it was one too many."""
        if self._end is not None:
            return True
        if not self._keep_all:
            self._answers.clear()
        elif len(self._answers) >= UNREAD:
            self.finish(Paused())
            return False
        self._answers.append(answer)
        self._wake()
        return True

    def finish(self, end: Exception) -> None:
        """Nothing comes after what is unread but this; the first one counts."""
        if self._end is None:
            self._end = end
            self._wake()

    def refuse(self, errors: Any) -> None:
        errors = errors if isinstance(errors, list) else [errors]
        self.finish(graphql_errors(errors, None, self._source, self._operation))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What gql calls on its listeners.

    async def put(self, item: Any) -> None:
        """A `complete` that gql makes up when it stops us: the reason of the end follows."""

    async def set_exception(self, error: Exception) -> None:
        self.send_stop = False
        self.finish(self._connection.explain(error, self._source))


class _Closed(TransportConnectionFailed):
    """The connection ended with this code: the server's, or 1006 when it just broke."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason or "the connection was closed")
        self.code = code
        self.reason = reason


class _Refused(TransportServerError):
    """`connection_error`: the server does not want us."""


class _Connection(AIOHTTPWebsocketsTransport):
    """gql's transport with our reading of messages. `listeners` are Feeds."""

    def __init__(self, url: URL, session: aiohttp.ClientSession, headers: dict[str, str], sockets: Sockets) -> None:
        super().__init__(
            url=url,
            session=session,
            subprotocols=_PROTOCOLS,
            heartbeat=sockets.keep_alive,
            init_payload={"headers": headers},
            connect_timeout=None,  # gql's asyncio.wait_for loses a cancellation in Python 3.11: open() has its own
            ack_timeout=None,
            close_timeout=CLOSE_SECONDS,
            websocket_close_timeout=CLOSE_SECONDS,
            connect_args={"max_msg_size": 0},
        )
        self._place = URL(url).origin()
        self._secrets = sockets.secrets
        self._seconds = sockets.connect_seconds
        self.feeds: dict[int, Feed] = {}
        self.listeners = self.feeds  # pyright: ignore[reportAttributeAccessIssue] # gql's name for them

    @property
    def alive(self) -> bool:
        return self._connected and self.close_task is None

    async def open(self, source: str) -> None:
        """Raises Lost, ConfigError, ProtocolError; then nothing is left open."""
        try:
            async with asyncio.timeout(self._seconds):
                await self.connect()
        except (TransportConnectionFailed, TransportProtocolError, TransportServerError, TimeoutError) as error:
            await self._tidy()
            raise self.explain(error, source) from error
        except BaseException:
            await self._tidy()
            raise

    async def _tidy(self) -> None:
        if self.close_task is not None:
            await asyncio.wait({self.close_task}, timeout=2 * CLOSE_SECONDS)
        self._connected = False
        await self.adapter.close()

    async def start(self, body: bytes, operation: BoundOperation) -> Feed:
        number = self.next_query_id
        self.next_query_id += 1
        feed = self.feeds[number] = Feed(self, number, operation)
        self._no_more_listeners.clear()
        kind = "subscribe" if self.subprotocol == self.GRAPHQLWS_SUBPROTOCOL else "start"
        try:
            await self._send(f'{{"id":"{number}","type":"{kind}","payload":{body.decode()}}}')
        except BaseException as error:
            self._remove_listener(number)
            if isinstance(error, TransportConnectionFailed):
                raise self.explain(error, operation.source) from error
            raise
        return feed

    async def stop(self, number: int) -> None:
        """Shielded: whoever closes may be cancelled, and the server has to be told all the same."""
        if number in self.feeds:
            self._remove_listener(number)
            await asyncio.shield(asyncio.ensure_future(self._say_goodbye(number)))

    async def _say_goodbye(self, number: int) -> None:
        if not self.feeds:
            await self.end()
        elif self.alive:
            try:
                await self._tell_to_stop(number)
            except TransportConnectionFailed:
                pass

    async def _tell_to_stop(self, number: int) -> None:
        kind = "complete" if self.subprotocol == self.GRAPHQLWS_SUBPROTOCOL else "stop"
        await self._send(json.dumps({"id": str(number), "type": kind}))

    async def end(self) -> None:
        """Close the socket; when it is over, no task is left."""
        reading = self.receive_data_task
        await self.close()
        if reading is not None:
            _, late = await asyncio.wait({reading}, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()

    # What gql calls for each message.

    async def _receive(self) -> str:
        websocket = self.adapter.websocket
        if websocket is None:
            raise _Closed(1006, "")
        message = await websocket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return message.data
        if message.type is aiohttp.WSMsgType.BINARY:
            raise TransportProtocolError("binary data")
        reason = message.extra if isinstance(message.extra, str) else ""
        raise _Closed(websocket.close_code or 1006, reason)

    async def _wait_ack(self) -> None:
        while (kind := self._parse_answer(await self._receive())[0]) != "connection_ack":
            if kind == "ping":
                await self.send_pong()
            elif kind not in ("ka", "pong"):
                raise TransportProtocolError(f"{kind} before connection_ack")

    def _parse_answer(self, answer: str) -> tuple[str, int | None, Any]:
        kind, number, payload = read_message(answer)
        if kind == "connection_error":
            raise _Refused(payload.decode() if payload else "")
        return kind, number, payload

    async def _handle_answer(self, answer_type: str, answer_id: int | None, execution_result: Any) -> None:
        kind, payload = answer_type, execution_result
        if kind == "ping":
            await self.send_pong()
        feed = self.feeds.get(answer_id) if answer_id is not None else None
        if feed is None:
            return
        if kind in ("next", "data") and not feed.add(payload or b"{}"):
            await self._tell_to_stop(feed._number)
        elif kind == "error":
            feed.refuse(json.loads(payload or b"{}"))
        elif kind == "complete":
            feed.finish(Ended())

    # What went wrong.

    def explain(self, error: BaseException, source: str) -> AutomioError | Lost:
        """The error in our terms: a Lost, or what is final."""
        place = self._place
        if isinstance(error, _Closed):
            reason = self._excerpt(error.reason)
            text = f"{source}: {place} closed the connection ({error.code}){reason}"
            if error.code in _FINAL_CODES:
                hint = _CREDENTIALS if error.code in (4400, 4401, 4403) else None
                return ProtocolError(text, status=error.code, hint=hint)
            return Lost(TransportError(text, sent=True))
        if isinstance(error, _Refused):
            return ProtocolError(
                f"{source}: {place} refused the connection{self._excerpt(str(error))}", status=4400, hint=_CREDENTIALS
            )
        if isinstance(error, TransportProtocolError):
            return ProtocolError(f"{source}: {place} sent what is no GraphQL over a WebSocket.", status=101)
        if isinstance(error, TimeoutError):
            return Lost(ConnectError(f"{source}: {place} did not take the connection in time.", sent=False))
        cause = error.__cause__
        if isinstance(cause, aiohttp.WSServerHandshakeError):
            refused = ProtocolError(
                f"{source}: {place} answered {cause.status} instead of opening a WebSocket.",
                status=cause.status,
                hint=_CREDENTIALS if cause.status in (401, 403) else "Check that this endpoint serves subscriptions.",
            )
            return Lost(refused) if cause.status in _PASSING_STATUS else refused
        if isinstance(cause, aiohttp.InvalidURL):
            return ConfigError(f"{place} is not a usable URL.")
        if isinstance(cause, aiohttp.ClientConnectorError):
            return Lost(ConnectError(f"{source}: {place} was not reached: {cause.os_error}.", sent=False))
        return Lost(TransportError(f"{source}: the connection to {place} broke.", sent=True))

    def _excerpt(self, text: str) -> str:
        shown = Reply(0, text.encode(), self._secrets).excerpt()
        return f": {shown}" if shown else "."


class Sockets:
    """The sockets of one transport, an address each."""

    def __init__(
        self,
        session: Callable[[], Awaitable[aiohttp.ClientSession]],
        headers: dict[str, str],
        *,
        seconds: float,
        keep_alive: float,
        secrets: tuple[str, ...],
    ) -> None:
        self._session = session
        self._headers = headers
        self.connect_seconds = min(seconds, CONNECT_SECONDS)
        self.keep_alive = keep_alive
        self.secrets = secrets
        self._connections: dict[URL, _Connection] = {}
        self._opening: dict[URL, asyncio.Lock] = {}
        self._closed = False

    async def subscribe(self, url: URL, body: bytes, operation: BoundOperation) -> Feed:
        """Start a subscription. Raises Lost, or what is final."""
        address = url.with_scheme("wss" if url.scheme == "https" else "ws")
        async with self._opening.setdefault(address, asyncio.Lock()):
            connection = self._connections.get(address)
            if connection is None or not connection.alive or not connection.feeds:
                session = await self._session()
                connection = _Connection(address, session, self._headers, self)
                await connection.open(operation.source)
                if self._closed:
                    await connection.end()
                    raise TransportError("this client is closed.", sent=False, hint="Make a new API().")
                self._connections[address] = connection
            try:
                return await connection.start(body, operation)
            except BaseException:
                if not connection.feeds:
                    await connection.end()
                raise

    async def close(self) -> None:
        """End every subscription with TransportError and close the sockets."""
        self._closed = True
        connections = list(self._connections.values())
        self._connections.clear()
        for connection in connections:
            for number, feed in list(connection.feeds.items()):
                feed.finish(TransportError("this client is closed.", sent=True, hint="Make a new API()."))
                connection._remove_listener(number)
        await asyncio.gather(*(connection.end() for connection in connections))


_decoder: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def read_message(text: str) -> tuple[str, int | None, bytes | None]:
    """A message's `type`, `id` and the bytes of its `payload`. Raises TransportProtocolError when it is none.

    The payload is not turned into Python values for good: decode.py reads the bytes, with every digit of its numbers.
    """
    found: dict[str, Any] = {}
    payload: bytes | None = None
    try:
        place = _skip(text, 0, "{")
        while text[place] != "}":
            key, place = _decoder.raw_decode(text, place)
            start = _skip(text, place, ":")
            found[key], place = _decoder.raw_decode(text, start)
            if key == "payload":
                payload = text[start:place].encode()
            place = _SPACE.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess]
            if text[place] != "}":
                place = _skip(text, place, ",")
        kind = found["type"]
        number = int(found["id"]) if kind in ("next", "data", "error", "complete") else None
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        raise TransportProtocolError("not a message of GraphQL over a WebSocket") from None
    if not isinstance(kind, str):
        raise TransportProtocolError("a message without a type")
    return kind, number, payload


def _skip(text: str, place: int, expected: str) -> int:
    """The place behind `expected` and the space around it."""
    place = _SPACE.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess]
    if text[place] != expected:
        raise ValueError(expected)
    return _SPACE.match(text, place + 1).end()  # pyright: ignore[reportOptionalMemberAccess]
