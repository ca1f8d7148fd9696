"""GraphQL over WebSocket, on ASGI itself: queries, mutations and subscriptions, any number at once on one socket. Used by platform.py.

Comes in: a WebSocket connection to the gateway or to /v1/graphql. Goes out: the engine's answers, its bytes in the frame of the
subprotocol. Two are spoken; a client that offers none gets the older one, as from Hasura:

|                          | `graphql-transport-ws`               | `graphql-ws` (Apollo's older one)                        |
|--------------------------|--------------------------------------|----------------------------------------------------------|
| begin, end of one        | subscribe, complete                  | start, stop                                              |
| an answer, the last      | next, complete                       | data, complete                                           |
| the request is refused   | error with a list; nothing follows   | error with {"errors": …}, complete                       |
| not let in               | closed, 4403                         | connection_error; the next start is refused              |
| not a message            | closed, 4400                         | connection_error                                         |
| before connection_init   | closed, 4401                         | error, complete                                          |
| a second connection_init | closed, 4429                         | connection_ack                                           |
| an id that is in use     | closed, 4409                         | error                                                    |
| still there?             | ping from us, every 5 s              | ka, every 5 s                                            |

Closed in both: 4408 without a connection_init in 3 s, 4406 for other subprotocols, 1009 for a message that is too long
(server.py sets the size), 1012 when the server stops.

- Who calls is decided once, at connection_init: by `payload.headers`, and for what is not there by the headers of the upgrade
  request, with the rules of HTTP (platform.py). The Origin is always the upgrade request's, which a page can't choose. Nothing
  of a header is ever sent back or printed.
- An operation is a task. The client's complete or stop ends a subscription; a query or a mutation runs to its end, as over
  HTTP, and its answer is dropped. When the client goes away all of them are cancelled, and awaited, before the socket's task ends.
- Who reads slowly holds up itself alone: a task waits until its answer is taken by the socket, and live.py makes no second one
  meanwhile. At most 1,000 operations run on one socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from automio.engine.engine import Caller, Engine
    from automio.engine.live import Subscription

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]

MODERN, LEGACY = "graphql-transport-ws", "graphql-ws"
MOST_OPERATIONS = 1000
INIT_SECONDS = 3.0
ALIVE_SECONDS = 5.0
_LONGEST_REASON = 123
_AFTER_IT_RAN = frozenset({"constraint-violation", "permission-error", "data-exception", "unexpected"})


class NotAdmitted(Exception):
    """Who asks may not come in; the text is for them."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whom the socket speaks for. `foreign` gives the answer to a document that may not be asked there, else None."""

    caller: Caller
    foreign: Callable[[str], Mapping[str, Any] | None]


class Gate(Protocol):
    """What the platform decides about sockets."""

    @property
    def engine(self) -> Engine: ...

    def refuses(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text for a connection that isn't accepted at all."""
        ...

    def admit(self, scope: Scope, headers: Headers) -> Admitted:
        """Raises NotAdmitted."""
        ...

    def failure(self, error: Exception) -> Mapping[str, Any]:
        """The answer when something broke inside."""
        ...


async def serve_socket(gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket connection, from the handshake to its end."""
    if (await receive())["type"] != "websocket.connect":
        return
    refused = gate.refuses(scope)
    if refused is not None:
        await _refuse(scope, send, *refused)
        return
    offered = list(scope.get("subprotocols") or ())
    chosen = next((one for one in offered if one in (MODERN, LEGACY)), None)
    await send({"type": "websocket.accept", "subprotocol": chosen})
    if offered and chosen is None:
        await send({"type": "websocket.close", "code": 4406, "reason": "Subprotocol not acceptable"})
        return
    connection = (_Modern if chosen == MODERN else _Legacy)(gate, scope, receive, send)
    try:
        await connection.run()
    finally:
        await connection.end()


async def _refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    """An HTTP answer instead of a socket, where the server can give one; else it answers 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": text[:_LONGEST_REASON]})
        return
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


class _Closed(Exception):
    """The socket is closed, or is to be closed with this code."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


@dataclass(eq=False, slots=True)
class _Operation:
    """A running operation. `dropped`: the client does not want its answer any more."""

    id: str
    subscription: Subscription | None = None
    dropped: bool = False


class _Connection:
    """What both subprotocols have in common; the rest is in the two classes below."""

    starts, stops, answers, keep_alive = "", "", "", ""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate = gate
        self.scope = scope
        self.receive = receive
        self.send = send
        self.admitted: Admitted | None = None
        self.failed = ""
        self.closed = False
        self.operations: dict[str, _Operation] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until one of both ends the connection."""
        deadline: float | None = asyncio.get_running_loop().time() + INIT_SECONDS
        try:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await self.receive()
                except TimeoutError:
                    raise _Closed(4408, "Connection initialisation timeout") from None
                if message["type"] != "websocket.receive":
                    raise _Closed
                await self._read(message)
                if self.admitted is not None:
                    deadline = None
        except _Closed as closed:
            if closed.code is not None and not self.closed:
                reason = closed.reason.encode(errors="replace")[:_LONGEST_REASON].decode(errors="ignore")
                with suppress(OSError):  # it has gone meanwhile
                    await self.send({"type": "websocket.close", "code": closed.code, "reason": reason})
            self.closed = True

    async def end(self) -> None:
        """Nothing runs for this socket afterwards."""
        self.closed = True
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, received: Message) -> None:
        try:
            message = json.loads(received.get("text") or "")
        except (ValueError, RecursionError):
            await self.misread("the message is not JSON text")
            return
        if not isinstance(message, dict):
            await self.misread("the message is not a JSON object")
            return
        kind, id_, payload = message.get("type"), message.get("id"), message.get("payload")
        if kind == "connection_init":
            await self._init(payload)
        elif kind in (self.starts, self.stops):
            if not isinstance(id_, str) or not id_:
                await self.misread(f"{kind} needs an id, a text")
            elif kind == self.stops:
                self._stop(id_)
            elif not isinstance(payload, dict):
                await self.misread(f"{kind} needs a payload, an object")
            else:
                await self._start(id_, payload)
        elif not await self.other(kind, payload):
            text = kind if isinstance(kind, str) else "null"
            await self.misread(f"unexpected type for a message: {text[:40]}")

    # ── connection_init ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _init(self, payload: Any) -> None:
        if self.admitted is not None and not await self.init_again():
            return
        given = payload.get("headers") if isinstance(payload, dict) else None
        if not isinstance(given, dict | None) or not all(isinstance(one, str) for one in (given or {}).values()):
            await self.misread("payload.headers must be an object of texts")
            return
        upgrade = dict(self.scope["headers"])
        said = {
            name.lower().encode(errors="replace"): one.encode(errors="replace") for name, one in (given or {}).items()
        }
        said.pop(b"origin", None)
        try:
            self.admitted = self.gate.admit(self.scope, {**upgrade, **said})
        except NotAdmitted as refused:
            await self.not_admitted(str(refused))
            return
        self.failed = ""
        await self.put({"type": "connection_ack"})
        if not self.tasks:
            await self.put_raw(self.keep_alive)
            self._spawn(self._keep_alive())

    async def _keep_alive(self) -> None:
        while not self.closed:
            await asyncio.sleep(ALIVE_SECONDS)
            await self.put_raw(self.keep_alive)

    # ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, id_: str, payload: Mapping[str, Any]) -> None:
        if self.admitted is None:
            await self.not_initialised(id_)
        elif id_ in self.operations:
            await self.id_in_use(id_)
        elif len(self.tasks) > MOST_OPERATIONS:  # one of them keeps the connection alive
            text = f"at most {MOST_OPERATIONS} operations run on one connection"
            await self.refused(_Operation(id_), [_error(text, "unexpected-payload")])
        else:
            operation = self.operations[id_] = _Operation(id_)
            self._spawn(self._run(operation, self.admitted, payload))

    def _stop(self, id_: str) -> None:
        operation = self.operations.pop(id_, None)
        if operation is not None:
            operation.dropped = True
            if operation.subscription is not None:
                operation.subscription.close()

    async def _run(self, operation: _Operation, admitted: Admitted, payload: Mapping[str, Any]) -> None:
        from automio.engine.refusal import Refusal

        query = payload.get("query")
        body = {"query": query, "variables": payload.get("variables"), "operationName": payload.get("operationName")}
        try:
            foreign = admitted.foreign(query) if isinstance(query, str) else None
            if foreign is not None:
                await self.refused(operation, foreign["errors"])
                return
            operation.subscription = self.gate.engine.subscribe(admitted.caller, body)
            if operation.subscription is None:
                await self._last(operation, await self.gate.engine.execute(admitted.caller, body))
                return
            async for answer in operation.subscription:
                await self.answer(operation, answer)
            await self.complete(operation)
        except Refusal as refusal:
            await self.refused(operation, json.loads(refusal.body())["errors"])
        except Exception as error:
            await self.refused(operation, self.gate.failure(error)["errors"])
        finally:
            if operation.subscription is not None:
                operation.subscription.close()
            self.forget(operation)

    async def _last(self, operation: _Operation, answer: bytes) -> None:
        """The answer of a query or mutation, and the end of it."""
        if answer.startswith(b'{"errors"') and not self.shows_failed(answer):
            await self.refused(operation, json.loads(answer)["errors"])
        else:
            await self.answer(operation, answer)
            await self.complete(operation)

    def forget(self, operation: _Operation) -> None:
        """From now on its id may be used again: said before the message that tells the client so."""
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]

    async def answer(self, operation: _Operation, answer: bytes) -> None:
        """An answer, unless the client has dropped the operation."""
        if not operation.dropped:
            head = f'{{"type":"{self.answers}","id":{json.dumps(operation.id)},"payload":'
            await self.put_raw(head + answer.decode() + "}")

    async def complete(self, operation: _Operation) -> None:
        self.forget(operation)
        if not operation.dropped:
            await self.put({"type": "complete", "id": operation.id})

    # ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def put(self, message: Mapping[str, Any]) -> None:
        await self.put_raw(json.dumps(message, separators=(",", ":")))

    async def put_raw(self, text: str) -> None:
        """Returns when the socket has taken it; at once when the client has gone."""
        if not self.closed:
            try:
                await self.send({"type": "websocket.send", "text": text})
            except OSError:
                self.closed = True

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # ── what the subprotocols say differently ───────────────────────────────────────────────────────────────────────

    async def misread(self, text: str) -> None:
        raise NotImplementedError

    async def other(self, kind: Any, payload: Any) -> bool:
        """Another message; False when there is none of this type."""
        raise NotImplementedError

    async def init_again(self) -> bool:
        """A second connection_init; whether it counts."""
        raise NotImplementedError

    async def not_admitted(self, text: str) -> None:
        raise NotImplementedError

    async def not_initialised(self, id_: str) -> None:
        raise NotImplementedError

    async def id_in_use(self, id_: str) -> None:
        raise NotImplementedError

    async def refused(self, operation: _Operation, errors: list[Any]) -> None:
        """The end of an operation that was not answered."""
        raise NotImplementedError

    def shows_failed(self, answer: bytes) -> bool:
        """Whether an answer with errors is an answer like others."""
        return False


class _Modern(_Connection):
    """graphql-transport-ws."""

    starts, stops, answers = "subscribe", "complete", "next"
    keep_alive = '{"type":"ping","payload":{"message":"keepalive"}}'

    async def misread(self, text: str) -> None:
        raise _Closed(4400, text)

    async def other(self, kind: Any, payload: Any) -> bool:
        if kind == "ping":
            await self.put({"type": "pong"} | ({} if payload is None else {"payload": payload}))
        return kind in ("ping", "pong")

    async def init_again(self) -> bool:
        raise _Closed(4429, "Too many initialisation requests")

    async def not_admitted(self, text: str) -> None:
        raise _Closed(4403, f"Forbidden: {text}")

    async def not_initialised(self, id_: str) -> None:
        raise _Closed(4401, "Unauthorized")

    async def id_in_use(self, id_: str) -> None:
        raise _Closed(4409, f"Subscriber for {id_} already exists")

    async def refused(self, operation: _Operation, errors: list[Any]) -> None:
        self.forget(operation)
        if not operation.dropped:
            await self.put({"type": "error", "id": operation.id, "payload": errors})


class _Legacy(_Connection):
    """graphql-ws, the protocol of subscriptions-transport-ws."""

    starts, stops, answers = "start", "stop", "data"
    keep_alive = '{"type":"ka"}'

    async def misread(self, text: str) -> None:
        await self.put({"type": "connection_error", "payload": f"parsing ClientMessage failed: {text}"})

    async def other(self, kind: Any, payload: Any) -> bool:
        if kind == "connection_terminate":
            raise _Closed(1000, "GQL_CONNECTION_TERMINATE received")
        return False

    async def init_again(self) -> bool:
        return True

    async def not_admitted(self, text: str) -> None:
        self.failed = text
        self.admitted = None
        await self.put({"type": "connection_error", "payload": text})

    async def not_initialised(self, id_: str) -> None:
        text = (
            f"cannot start as connection_init failed with : {self.failed}"
            if self.failed
            else "start received before the connection is initialised"
        )
        await self.refused(_Operation(id_), [_error(text, "unexpected-payload")])

    async def id_in_use(self, id_: str) -> None:
        text = f"an operation already exists with this id: {id_}"
        errors = [_error(text, "unexpected-payload")]
        await self.put({"type": "error", "id": id_, "payload": {"errors": errors}})

    async def refused(self, operation: _Operation, errors: list[Any]) -> None:
        self.forget(operation)
        if not operation.dropped:
            await self.put({"type": "error", "id": operation.id, "payload": {"errors": errors}})
            await self.put({"type": "complete", "id": operation.id})

    def shows_failed(self, answer: bytes) -> bool:
        """What failed while it ran is data with errors in it, as Hasura sends it."""
        return any(one["extensions"]["code"] in _AFTER_IT_RAN for one in json.loads(answer)["errors"])


def _error(text: str, code: str) -> Mapping[str, Any]:
    return {"extensions": {"path": "$", "code": code}, "message": text}
