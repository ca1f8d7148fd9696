"""Requests of api.integrations -> calls to the providers of platform.toml -> answers. Hooked into platform.py. Next:
connections.py (who may), provider.py (the calls), envelope.py (the answers).

| request                                                        | answer                                              |
|----------------------------------------------------------------|-----------------------------------------------------|
| GET  [/api]/integrations/?page=&per_page=                      | a page of integrations                              |
| GET  …/{id}/                                                   | one, with the caller's `connected_accounts`         |
| GET  …/{id}/get_connections/                                   | the connections of the caller's organization        |
| GET  …/{id}/table_connections/?app_id=&table=                  | those that the app may use, by organization         |
| POST …/{id}/call/?connection_id=&organization_id=&table=       | the provider's answer, with its status              |
| POST …/{id}/parallel_call/, …/parallel_call_for_connection/    | all answers, in the order of `data_list`; always 200 |
| POST …/{id}/parallel_call/ with `streaming: true`              | a line for each answer, in order of completion      |

**Who may use which connection** is connections.py's to say. Connections are looked up before anything is sent: a request with
one that is refused sends nothing.

**Bounds.** Each connection has its lane (provider.py), shared by all requests of the process; a request has one worker for each
place in a lane, so what waits costs nothing but its own text. A stream whose reader is slow holds one answer for each worker
and _HELD more. When the client goes, what is in flight is cancelled.

**Idempotency-Key.** The answers to writes are kept for KEPT_SECONDS by (organization, key). A request that comes again gets
the answers that are there, waits for those on their way, and makes only those calls that surely were not carried out: the
provider was not reached, or it answered 429.
So a client that goes does not cancel a write that is in flight, only those that have not begun. The same key with another
request is refused (422). More than KEPT_BYTES are not kept (some 30,000 answers): the oldest go first. They are in memory: a
platform that was started again knows no key.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import traceback
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, MutableMapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from automio.local.config import PlatformConfig, Token
from automio.local.connections import (
    Request,
    connection_for,
    connections_of_table,
    own_connections,
    page_url,
    positive,
    request_of,
)
from automio.local.envelope import Reply, dump, envelope, mirrored
from automio.local.integration_config import ConnectionConfig, IntegrationConfig
from automio.local.multipart import NotMultipart, read_form
from automio.local.provider import Answer, BadCall, Lane, Outgoing, Providers, check, outgoing
from automio.local.requests import Gone, Refusal, WrongMethod, allow, read_body
from automio.runtime.per_loop import PerLoop

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX: Final = "/integrations"
ROUTES: Final = {
    "": "GET",
    "get_connections": "GET",
    "table_connections": "GET",
    "call": "POST",
    "parallel_call": "POST",
    "parallel_call_for_connection": "POST",
}
"""What stands behind an integration's id, and the method that it takes."""
KEPT_SECONDS: Final = 600.0
KEPT_BYTES: Final = 64 * 1024 * 1024
ALIVE_SECONDS: Final = 10.0
"""An empty line goes out when a stream was silent for so long, so that its reader does not give up."""
_ANSWER_BYTES: Final = 1500
"""What a kept answer takes beside its body."""
_HELD: Final = 16
"""Answers that wait for a reader, beside one for each worker."""
_STREAM: Final = "text/event-stream; charset=utf-8"
_MOST: Final = 100
"""Integrations on a page."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One call that may be made."""

    lane: Lane
    call: Outgoing


class Kept:
    """The answers to the writes of one Idempotency-Key, by their places. `grown` is told the bytes that they take."""

    def __init__(self, digest: bytes, grown: Callable[[int], None]) -> None:
        self.digest = digest
        self.since = monotonic()
        self.tasks: dict[int, asyncio.Task[Answer]] = {}
        self.size = 0
        self.under_way = 0
        self._grown = grown
        self._add(_ANSWER_BYTES // 2)

    def made(self, number: int, call: Callable[[], Coroutine[Any, Any, Answer]]) -> asyncio.Task[Answer]:
        """The one call of this place, begun now unless it was carried out or is on its way."""
        task = self.tasks.get(number)
        if task is None or (task.done() and not _carried_out(task)):
            task = self.tasks[number] = asyncio.create_task(call())
            self.under_way += 1
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        self.under_way -= 1
        self._add(_ANSWER_BYTES + (len(task.result().body) if _succeeded(task) else 0))

    def _add(self, size: int) -> None:
        self.size += size
        self._grown(size)


class IntegrationEndpoints:
    """The endpoints below /integrations. One for each platform; what belongs to an event loop is opened at the first call."""

    def __init__(self, config: PlatformConfig) -> None:
        self._limit = config.max_body_bytes
        self._integrations = {integration.id: integration for integration in config.integrations}
        self._loops: PerLoop[_Loop] = PerLoop(lambda: _Loop(self._limit))

    async def close(self) -> None:
        """Close the connections to providers; what is in flight fails."""
        await self._loops.aclose()

    async def serve(self, path: str, token: Token, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to `path` (without the prefix /api and a slash at its end)."""
        begun = False

        async def begin(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            request = request_of(token, scope)
            reply = await self._route(path, request, scope, receive, begin)
        except Refusal as refusal:
            reply = Reply(refusal.status, dump({"detail": refusal.detail}))
        except WrongMethod as wrong:
            body = dump({"detail": f"this answers {wrong.methods} alone"})
            reply = Reply(405, body, headers={"Allow": allow(wrong.methods)})
        except Gone:
            return
        except Exception as error:
            if begun:  # the server cuts the answer off, which its reader notices
                raise
            if os.environ.get("AUTOMIO_DEBUG"):
                traceback.print_exception(error, file=sys.stderr)
            detail = "internal error; start with AUTOMIO_DEBUG=1 to see it"
            reply = Reply(500, dump({"detail": detail}))
        if reply is None:
            return
        headers = [(b"content-type", reply.kind.encode()), (b"content-length", b"%d" % len(reply.body))]
        headers += [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _route(self, path: str, request: Request, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        parts = [part for part in path.removeprefix(PREFIX).split("/") if part]
        name = parts[1] if len(parts) > 1 else ""
        if len(parts) > 2 or name not in ROUTES:
            raise Refusal(404, "nothing is served here")
        allowed = ROUTES[name]
        if scope["method"] != allowed and not (scope["method"] == "HEAD" and allowed == "GET"):
            raise WrongMethod(allowed)
        if not parts:
            return self._page(request)
        integration = self._integrations.get(parts[0])
        if integration is None:
            raise Refusal(404, "no integration of this id")
        if allowed == "GET":
            reading = {"": self._one, "get_connections": own_connections, "table_connections": connections_of_table}
            return Reply(200, dump(reading[name](integration, request)))
        body, files = await self._body(request, receive)
        if name == "call":
            work = self._call(integration, request, body, files)
        else:
            planned, digest = self._plan(integration, request, body, single=name == "parallel_call_for_connection")
            kept = self._kept(request, body.get("method"), digest)
            if body.get("streaming") is True and name == "parallel_call":
                await self._stream(planned, kept, receive, send)
                return None
            work = self._together(planned, kept, request if name == "parallel_call_for_connection" else None)
        return await _unless_gone(work, receive)

    # What there is.

    def _page(self, request: Request) -> Reply:
        number, size = positive(request, "page", 1, 1_000_000), positive(request, "per_page", 20, _MOST)
        everything = list(self._integrations.values())
        results = [self._one(item, request) for item in everything[(number - 1) * size : number * size]]
        more, less = number * size < len(everything), number > 1
        value = {
            "count": len(everything),
            "next": page_url(request, number + 1, size) if more else None,
            "previous": page_url(request, number - 1, size) if less else None,
            "results": results,
        }
        return Reply(200, dump(value))

    def _one(self, integration: IntegrationConfig, request: Request) -> Any:
        if "connection_id" in request.query:
            connection_for(integration, request, request.query["connection_id"], None)
        own = [one["id"] for one in own_connections(integration, request)]
        return {
            "integration_id": integration.id,
            "name": integration.name,
            "version": integration.version,
            "connected_accounts": own,
            "activated": bool(own),
        }

    # Calls.

    async def _body(self, request: Request, receive: Receive) -> tuple[dict[str, Any], list[tuple[str, Any, Any]]]:
        headers = request.headers
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refusal(415, "a compressed body is not read here")
        raw = await read_body(receive, self._limit)
        if raw is None:
            raise Refusal(413, f"the body is larger than {self._limit} bytes ([server] max_body_bytes)")
        kind = headers.get(b"content-type", b"").decode("latin-1")
        if kind.lower().startswith("multipart/"):
            try:
                return await read_form(kind, raw)
            except NotMultipart as fault:
                raise Refusal(400, f"the body is not multipart/form-data: {fault}") from None
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise Refusal(400, "the body must be one JSON object")
        return value, []

    async def _call(
        self,
        integration: IntegrationConfig,
        request: Request,
        body: Mapping[str, Any],
        files: list[tuple[str, Any, Any]],
    ) -> Reply:
        connection = connection_for(
            integration, request, request.query.get("connection_id"), request.query.get("organization_id")
        )
        call = _outgoing(
            integration, connection, body, body.get("request_params"), body.get("data"), body.get("url_params"), files
        )
        kept = self._kept(request, body.get("method"), _digest(integration.id, request.query, body, files))
        planned = Planned(self._loops.current().lane(integration, connection), call)
        answer = await self._made(planned, 0, kept, again=False)
        return mirrored(answer, connection)

    def _plan(
        self, integration: IntegrationConfig, request: Request, body: Mapping[str, Any], *, single: bool
    ) -> tuple[list[Planned], bytes]:
        """Every call of a parallel one, checked. Raises Refusal before any is sent."""
        items = body.get("data_list")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Refusal(400, "`data_list` is a list of objects")
        try:
            check(body.get("method"), body.get("endpoint"), body.get("request_headers"))  # also where there is no item
        except BadCall as fault:
            raise Refusal(400, str(fault)) from None
        if not isinstance(body.get("streaming"), bool | None):
            raise Refusal(400, "`streaming` is true or false")
        shared = body.get("request_params")
        if not isinstance(shared, dict | None):
            raise Refusal(400, "`request_params` is an object")
        loop = self._loops.current()
        found: dict[tuple[Any, Any], ConnectionConfig] = {}
        planned: list[Planned] = []
        for number, item in enumerate(items):
            given = {} if single else item
            name = given.get("connection_id", request.query.get("connection_id"))
            organization = given.get("organization_id", request.query.get("organization_id"))
            if isinstance(name, dict | list) or isinstance(organization, dict | list):
                raise Refusal(400, f"data_list[{number}]: an id is a number or a text")
            connection = found.get((name, organization))
            if connection is None:
                connection = found[name, organization] = connection_for(integration, request, name, organization)
            params = item.get("params")
            if not isinstance(params, dict | None):
                raise Refusal(400, f"data_list[{number}]: `params` is an object")
            try:
                call = _outgoing(
                    integration,
                    connection,
                    body,
                    {**(shared or {}), **(params or {})},
                    item.get("data"),
                    item.get("url_params"),
                )
            except Refusal as refusal:
                raise Refusal(400, f"data_list[{number}]: {refusal.detail}") from None
            planned.append(Planned(loop.lane(integration, connection), call))
        return planned, _digest(integration.id, request.query, body, [])

    async def _together(self, planned: list[Planned], kept: Kept | None, single: Request | None) -> Reply:
        answers: list[bytes] = [b""] * len(planned)

        async def done(number: int, answer: Answer) -> None:
            connection = planned[number].lane.connection
            ids = {"connection_id": connection.id, "organization_id": connection.organization}
            answers[number] = envelope(answer, ids)

        workers = [asyncio.create_task(work) for work in self._work(planned, kept, done)]
        try:
            await asyncio.gather(*workers)
        finally:
            await _cancelled(workers)
        responses = b",".join(answers)
        if single is not None:
            used = str(planned[0].lane.connection.id) if planned else single.query.get("connection_id")
            return Reply(200, b'{"responses":[%b],"connection_id":%b}' % (responses, dump(used)))
        counts = Counter(str(plan.lane.connection.id) for plan in planned)
        return Reply(200, b'{"responses":[%b],"connections_used":%b}' % (responses, dump(counts)))

    async def _stream(self, planned: list[Planned], kept: Kept | None, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", _STREAM.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        loop = asyncio.get_running_loop()
        total, last = len(planned), loop.time()

        async def write(lines: bytes, *, more: bool = True) -> None:
            nonlocal last
            last = loop.time()
            await send({"type": "http.response.body", "body": lines, "more_body": more})

        async def keep_alive() -> None:
            while True:
                await asyncio.sleep(max(0.0, last + ALIVE_SECONDS - loop.time()))
                if loop.time() - last >= ALIVE_SECONDS:
                    await write(b"\n")

        async def run() -> None:
            alive = asyncio.create_task(keep_alive())
            try:
                async with aclosing(self._answers(planned, kept)) as answers:
                    async for some in answers:
                        await write(b"".join(line(planned[number], number, total, answer) for number, answer in some))
            finally:
                await _cancelled([alive])
            await write(b"data: %b\n\n" % dump({"completed": True, "total_processed": total}), more=False)

        with suppress(Gone):
            await _unless_gone(run(), receive)

    async def _answers(self, planned: list[Planned], kept: Kept | None) -> AsyncGenerator[list[tuple[int, Answer]]]:
        """(place, answer) in order of completion: all that are there, at least one."""
        ready: asyncio.Queue[tuple[int, Answer] | None] = asyncio.Queue(_HELD)

        async def done(number: int, answer: Answer) -> None:
            await ready.put((number, answer))

        async def told(work: Coroutine[Any, Any, None]) -> None:
            try:
                await work
            except Exception:
                await ready.put(None)  # wakes the reader
                raise

        workers = [asyncio.create_task(told(work)) for work in self._work(planned, kept, done)]
        try:
            count = 0
            while count < len(planned):
                found = [await ready.get()]
                while not ready.empty():
                    found.append(ready.get_nowait())
                if None in found:
                    await asyncio.gather(*workers)  # raises what one of them raised
                count += len(found)
                yield [item for item in found if item is not None]
        finally:
            await _cancelled(workers)

    def _work(
        self, planned: list[Planned], kept: Kept | None, done: Callable[[int, Answer], Awaitable[None]]
    ) -> list[Coroutine[Any, Any, None]]:
        """What makes the calls and hand each answer on: for a connection as many as its lane has places."""
        groups: dict[Lane, deque[int]] = defaultdict(deque)
        for number, plan in enumerate(planned):
            groups[plan.lane].append(number)

        async def work(numbers: deque[int]) -> None:
            while numbers:
                number = numbers.popleft()
                await done(number, await self._made(planned[number], number, kept, again=True))

        return [
            work(numbers)
            for lane, numbers in groups.items()
            for _ in range(min(len(numbers), lane.integration.concurrency))
        ]

    async def _made(self, plan: Planned, number: int, kept: Kept | None, *, again: bool) -> Answer:
        providers = self._loops.current().providers
        if kept is None:
            return await providers.call(plan.lane, plan.call, again=again)
        return await asyncio.shield(kept.made(number, lambda: providers.call(plan.lane, plan.call, again=again)))

    def _kept(self, request: Request, method: Any, digest: bytes) -> Kept | None:
        key = request.headers.get(b"idempotency-key")
        if not key or method == "GET":
            return None
        return self._loops.current().kept_for((request.token.organization, key), digest)


class _Loop:
    """What belongs to one event loop."""

    def __init__(self, largest: int) -> None:
        self.providers = Providers(largest)
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._kept: OrderedDict[tuple[int, bytes], Kept] = OrderedDict()
        self._kept_bytes = 0

    def lane(self, integration: IntegrationConfig, connection: ConnectionConfig) -> Lane:
        """The one lane of a connection."""
        key = integration.id, connection.id
        if key not in self._lanes:
            self._lanes[key] = Lane(integration, connection)
        return self._lanes[key]

    def kept_for(self, key: tuple[int, bytes], digest: bytes) -> Kept:
        """What is kept under a key, new or old."""
        self._forget()
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = Kept(digest, self._grown)
        elif found.digest != digest:
            raise Refusal(422, "this Idempotency-Key came with another request before")
        return found

    def _grown(self, size: int) -> None:
        self._kept_bytes += size

    def _forget(self) -> None:
        """The oldest first, as long as they are too old or too many; who is still at work goes to the end."""
        for _ in range(len(self._kept)):
            key, kept = next(iter(self._kept.items()))
            if self._kept_bytes <= KEPT_BYTES and monotonic() - kept.since <= KEPT_SECONDS:
                return
            if kept.under_way:
                self._kept.move_to_end(key)
            else:
                self._kept_bytes -= kept.size
                del self._kept[key]

    async def close(self) -> None:
        tasks = [task for kept in self._kept.values() for task in kept.tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.providers.close()


# From the wire.


def line(plan: Planned, number: int, total: int, answer: Answer) -> bytes:
    """A line of a stream."""
    connection = plan.lane.connection
    return b'data: {"index":%d,"total":%d,"connection_id":%d,"organization_id":%d,"response":%b}\n\n' % (
        number,
        total,
        connection.id,
        connection.organization,
        envelope(answer, {}),
    )


def _outgoing(
    integration: IntegrationConfig,
    connection: ConnectionConfig,
    body: Mapping[str, Any],
    params: Any,
    data: Any,
    url_params: Any,
    files: list[tuple[str, Any, Any]] | None = None,
) -> Outgoing:
    try:
        return outgoing(
            integration,
            connection,
            body.get("method"),
            body.get("endpoint"),
            body.get("request_headers"),
            params,
            data,
            url_params,
            files or (),
        )
    except BadCall as fault:
        raise Refusal(400, str(fault)) from None


def _digest(integration: str, query: Mapping[str, str], body: Mapping[str, Any], files: list[Any]) -> bytes:
    text = json.dumps([integration, dict(query), body], sort_keys=True, default=str).encode("utf-8", "replace")
    digest = hashlib.sha256(text)
    for name, content, more in files:
        digest.update(f"{name}{more}".encode("utf-8", "replace") + content)
    return digest.digest()


def _succeeded(task: asyncio.Task[Answer]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _carried_out(task: asyncio.Task[Answer]) -> bool:
    """Whether the provider may have done it. 429 says that it has not."""
    return _succeeded(task) and task.result().sent and task.result().status != 429


# The client.


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _unless_gone(work: Coroutine[Any, Any, Any], receive: Receive) -> Any:
    """The result of `work`, which is cancelled when the client goes. Raises Gone."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
