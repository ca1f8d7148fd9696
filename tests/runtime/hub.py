"""A real WebSocket server that speaks both subprotocols of GraphQL over rows of its own, and can be hurt.

It answers by what it is sent: a document with `_stream(` gives batches behind the cursor in the variables (or in the
document's default), any other the whole list, again at each change, as Hasura does. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

PROTOCOLS = ("graphql-transport-ws", "graphql-ws")


class Hub:
    def __init__(self, protocols: tuple[str, ...] = PROTOCOLS) -> None:
        self.protocols = protocols
        self.rows: list[dict[str, Any]] = []
        self.upgrades: list[dict[str, Any]] = []
        """Path, query and headers of each upgrade."""
        self.messages: list[dict[str, Any]] = []
        self.refuse_upgrades: Callable[[], int] = lambda: 0
        """The status to answer instead of an upgrade; 0 takes it."""
        self.on_init: Callable[[], Any] = lambda: None
        """A close code, or "error" for a connection_error, instead of connection_ack."""
        self.on_subscribe: Callable[[dict[str, Any]], Any] = lambda message: None
        """A list of GraphQL errors, a close code, "complete" or "rubbish" instead of answers."""
        self.killer: random.Random | None = None
        """Breaks connections at random places."""
        self.silent = False
        """Answers no ping any more."""
        self.greedy = False
        """Sends batches of a stream without waiting between them."""
        self.open: set[web.WebSocketResponse] = set()
        self.loop = asyncio.new_event_loop()
        self._changed: asyncio.Event = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test hub", daemon=True)
        self._thread.start()
        self._ready.wait()

    # What tests do.

    def add(self, *rows: dict[str, Any]) -> None:
        self._do(self._add, rows)

    def kill(self) -> None:
        """Break every connection without a goodbye."""
        self._do(self._kill)

    def close(self, code: int) -> None:
        self._do(lambda: [asyncio.ensure_future(each.close(code=code, message=b"because")) for each in self.open])

    def stop(self) -> None:
        async def stop() -> None:
            self._kill()
            await self._runner.cleanup()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def _do(self, what: Callable[..., Any], *arguments: Any) -> None:
        done = threading.Event()

        def run() -> None:
            what(*arguments)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(5)

    def _add(self, rows: tuple[dict[str, Any], ...]) -> None:
        self.rows += rows
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _kill(self) -> None:
        for each in list(self.open):
            transport = each._req.transport if each._req else None
            if transport is not None:
                transport.abort()

    # The server.

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self._ready.set()
        self.loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.upgrades.append({"path": request.path, "query": dict(request.query), "headers": dict(request.headers)})
        if status := self.refuse_upgrades():
            return web.Response(status=status)
        socket = web.WebSocketResponse(protocols=self.protocols, autoping=False)
        await socket.prepare(request)
        self.open.add(socket)
        running: dict[str, asyncio.Task[None]] = {}
        life = self.killer.randrange(1, 6) if self.killer else -1
        try:
            async for frame in socket:
                if frame.type is WSMsgType.PING and not self.silent:
                    await socket.pong(frame.data)
                if frame.type is not WSMsgType.TEXT:
                    continue
                message = json.loads(frame.data)
                self.messages.append(message)
                kind = message["type"]
                if kind == "connection_init":
                    await self._init(socket)
                elif kind in ("subscribe", "start"):
                    instead = self.on_subscribe(message)
                    if instead is not None:
                        await self._instead(socket, message["id"], instead)
                        continue
                    follow = self._follow(socket, message, life)
                    running[message["id"]] = asyncio.ensure_future(follow)
                elif kind in ("complete", "stop") and message["id"] in running:
                    running.pop(message["id"]).cancel()
        finally:
            self.open.discard(socket)
            for task in running.values():
                task.cancel()
        return socket

    async def _init(self, socket: web.WebSocketResponse) -> None:
        what = self.on_init()
        if isinstance(what, int):
            await socket.close(code=what, message=b"invalid x-hasura-admin-secret: the-secret")
        elif what == "error":
            await socket.send_json({"type": "connection_error", "payload": "invalid token the-secret"})
        else:
            if socket.ws_protocol == "graphql-ws":
                await socket.send_json({"type": "ka"})
            else:
                await socket.send_json({"type": "ping"})
            await socket.send_json({"type": "connection_ack"})

    async def _instead(self, socket: web.WebSocketResponse, number: str, what: Any) -> None:
        if isinstance(what, int):
            await socket.close(code=what)
        elif what == "complete":
            await socket.send_json({"id": number, "type": "complete"})
        elif what == "rubbish":
            await socket.send_str("<html>")
        else:
            old = socket.ws_protocol == "graphql-ws"
            await socket.send_json({"id": number, "type": "error", "payload": what[0] if old else what})

    async def _follow(self, socket: web.WebSocketResponse, message: dict[str, Any], life: int) -> None:
        payload = message["payload"]
        text, variables = payload["query"], payload.get("variables", {})
        stream = "_stream(" in text
        place = _start(text, variables) if stream else ""
        size = int(variables.get("batch_size", 3))
        last: Any = None
        while True:
            changed = self._changed
            rows = self.rows
            if stream:
                rows = sorted((row for row in rows if row["orderId"] > place), key=lambda row: row["orderId"])[:size]
            if rows != last and (rows or not stream):
                if life == 0:
                    self._kill_one(socket)
                    return
                life -= 1
                shown = [{key: row[column] for key, column in _selection(text)} for row in rows]
                kind = "data" if socket.ws_protocol == "graphql-ws" else "next"
                await socket.send_json({"id": message["id"], "type": kind, "payload": {"data": {"orders": shown}}})
                last = list(rows)
                if stream:
                    place = rows[-1]["orderId"]
                    if not self.greedy:
                        await asyncio.sleep(0)
                    continue
            await changed.wait()

    def _kill_one(self, socket: web.WebSocketResponse) -> None:
        transport = socket._req.transport if socket._req else None
        if transport is not None:
            transport.abort()


def _start(text: str, variables: dict[str, Any]) -> str:
    """The cursor's value: in the variable that stands in the text, in the whole cursor, or in the default."""
    whole = re.search(r"cursor: \$(\w+)", text)
    if whole:
        if whole[1] not in variables:
            return "0"  # the default of the one test document that has one
        value = variables[whole[1]]
        return (value[0] if isinstance(value, list) else value)["initial_value"]["orderId"]
    name = re.search(r"initial_value: \{ ?orderId: \$(\w+) ?\}", text)
    assert name, text
    default = re.search(rf'\${name[1]}: String = "(\w*)"', text)
    return variables[name[1]] if name[1] in variables else default[1] if default else ""


def _selection(text: str) -> list[tuple[str, str]]:
    """(response key, column) of the innermost selection."""
    inner = re.findall(r"\{([^{}]*)\}", text)[-1].split("\n")
    fields = [line.strip().split(": ") for line in inner if line.strip()]
    return [(field[0], field[-1]) for field in fields]
