"""A real HTTP server to talk to, and a small compiled package made as codegen makes one: scoped ahead of time.

The server (aiohttp, its own thread) records what came and answers as the test says: well, slowly, with rubbish, with a
body that is cut, with no answer at all.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional
from uuid import UUID

import pytest
from aiohttp import web
from pydantic import Field

from automio.dialect.index import SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.runtime import call as call_module
from automio.runtime import client as client_module
from automio.runtime.call import Facts, Operation
from automio.runtime.model import Model, Numeric

SCHEMA = Path(__file__).with_name("schema.graphql")
VARIABLES = (
    "API_BASE_URL APP_TOKEN APP_ID ACTION_ID TASK_ID ORGANIZATION_ID HASURA_GRAPHQL_ENDPOINT HASURA_GRAPHQL_ADMIN_SECRET "
    "CACHE_SERVICE_URL CACHE_SERVICE_TOKEN REDIS_URL REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD AUTOMIO_TIMEOUT "
    "AUTOMIO_KEEP_ALIVE AUTOMIO_RECONNECT_TIMEOUT"
).split()


@dataclass
class Exchange:
    """One request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    connection: int

    @property
    def document(self) -> str:
        """The document without spaces: versions of graphql-core print them differently."""
        return "".join(self.body["query"].split())

    @property
    def variables(self) -> dict[str, Any]:
        return self.body.get("variables", {})


@dataclass
class Answer:
    """What the server does. `cut` sends the first half of the body; `drop` closes without an answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    drop: bool = False


class Server:
    """The server's face: `url`, what came in `exchanges`, and `answer`, called for each request (or a list, in turn)."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.answer: Callable[[Exchange], Any] | list[Any] = lambda exchange: {"data": {}}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test server", daemon=True)
        self._thread.start()
        self._ready.wait()

    def data(self, **data: Any) -> None:
        """Answer every request with this data."""
        self.answer = lambda exchange: {"data": data}

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        exchange = Exchange(
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=json.loads(raw) if raw else {},
            raw=raw,
            connection=id(request.transport),
        )
        self.exchanges.append(exchange)
        answer = self.answer.pop(0) if isinstance(self.answer, list) else self.answer(exchange)
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.drop and request.transport is not None:
            request.transport.abort()
            return web.Response()
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        if answer.cut:
            response = web.StreamResponse(status=answer.status, headers={**headers, "Content-Length": str(len(body))})
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            if request.transport is not None:
                request.transport.close()
            return response
        return web.Response(status=answer.status, body=body, headers=headers)

    def stop(self) -> None:
        async def stop() -> None:
            await self._runner.cleanup()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.exchanges = []
    running_server.answer = lambda exchange: {"data": {}}
    return running_server


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the machine, no .env, no client left of another test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    left = client_module._environment.client
    if left is not None:
        left.close()
        client_module._environment.client = None
    assert client_module._overrides.count == 0
    assert client_module._clients_with_organization.count == 0


@pytest.fixture
def environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The environment names the test server as the gateway, and organization 2."""
    monkeypatch.setenv("API_BASE_URL", server.url)
    monkeypatch.setenv("APP_TOKEN", "secret-token")
    monkeypatch.setenv("ORGANIZATION_ID", "2")
    return server


# A compiled package.


class Order(Model):
    id: UUID
    order_id: str = Field(alias="orderId")
    total: Optional[Numeric] = None  # noqa: UP045 - as codegen writes it
    created_at: datetime | None = None


class Orders(Model):
    orders: list[Order]


class Hidden(Model):
    id: UUID
    order_id_1: Optional[Numeric] = Field(None, alias="orderId_1")  # noqa: UP045


class HiddenOrders(Model):
    orders: list[Hidden]


class OneOrder(Model):
    order: Order | None


class MessageOrder(Model):
    id: UUID
    total: Numeric | None = None


class Message(Model):
    id: UUID
    message_content: str = Field(alias="messageContent")
    order: MessageOrder | None = None


class Messages(Model):
    messages: list[Message]


class Changed(Model):
    affected_rows: int


class Changes(Model):
    change: Changed | None


DOCUMENTS = {
    "find": """query Find($where: app_130_orders_bool_exp, $order_by: [app_130_orders_order_by!], $limit: Int) {
        orders: app_130_orders(where: $where, order_by: $order_by, limit: $limit) { id orderId total created_at } }""",
    "get": "query Get($id: uuid!) { order: app_130_orders_by_pk(id: $id) { id orderId total created_at } }",
    "by_order_id": """query ByOrderId($order_id: String!) {
        orders: app_130_orders(where: {orderId: {_eq: $order_id}}, limit: 1) { id orderId total } }""",
    "messages": """query Messages($where: app_130_messages_bool_exp) {
        messages: app_130_messages(where: $where) { id messageContent order { id total } } }""",
    "update": """mutation Update($where: app_130_orders_bool_exp!, $set: app_130_orders_set_input) {
        change: update_app_130_orders(where: $where, _set: $set) { affected_rows } }""",
    "update_by_pk": """mutation UpdateByPk($id: uuid!, $set: app_130_orders_set_input) {
        order: update_app_130_orders_by_pk(pk_columns: {id: $id}, _set: $set) { id orderId total } }""",
    "upsert": """mutation Upsert($objects: [app_130_orders_insert_input!]!, $on_conflict: app_130_orders_on_conflict) {
        change: insert_app_130_orders(objects: $objects, on_conflict: $on_conflict) { affected_rows } }""",
    "upsert_on": """mutation UpsertOn($objects: [app_130_orders_insert_input!]!, $name: app_130_orders_constraint!,
        $text: String!) {
        change: insert_app_130_orders(
            objects: $objects, on_conflict: {constraint: $name, where: {orderId: {_eq: $text}}}
        ) { affected_rows } }""",
    "watch": """subscription Watch($where: app_130_orders_bool_exp, $limit: Int) {
        orders: app_130_orders(where: $where, limit: $limit) { id orderId total } }""",
    "stream": """subscription Stream($from: String!, $batch_size: Int = 3) { orders: app_130_orders_stream(
        batch_size: $batch_size, cursor: {initial_value: {orderId: $from}}) { id orderId total } }""",
    "stream_hidden": """subscription StreamHidden { orders: app_130_orders_stream(
        batch_size: 3, cursor: [{initial_value: {orderId: "0"}, ordering: ASC}]) { id orderId_1: total } }""",
    "stream_by": """subscription StreamBy($cursor: [app_130_orders_stream_cursor_input]!) {
        orders: app_130_orders_stream(batch_size: 3, cursor: $cursor) { id orderId total } }""",
    "stream_default": """subscription StreamDefault(
        $cursor: [app_130_orders_stream_cursor_input]! = {initial_value: {orderId: "0"}, ordering: ASC}) {
        orders: app_130_orders_stream(batch_size: 3, cursor: $cursor) { id orderId total } }""",
    "add_messages": """mutation AddMessages($objects: [app_130_messages_insert_input!]!) {
        change: insert_app_130_messages(objects: $objects) { affected_rows } }""",
}
RESULTS: dict[str, tuple[type[Model], tuple[str, ...]]] = {
    "find": (Orders, ("orders",)),
    "get": (OneOrder, ("order",)),
    "by_order_id": (Orders, ("orders", "0")),
    "messages": (Messages, ("messages",)),
    "update": (Changes, ("change", "affected_rows")),
    "update_by_pk": (OneOrder, ("order",)),
    "upsert": (Changes, ("change", "affected_rows")),
    "upsert_on": (Changes, ("change", "affected_rows")),
    "watch": (Orders, ("orders",)),
    "stream": (Orders, ("orders",)),
    "stream_default": (Orders, ("orders",)),
    "stream_hidden": (HiddenOrders, ("orders",)),
    "stream_by": (Orders, ("orders",)),
    "add_messages": (Changes, ("change", "affected_rows")),
}


@pytest.fixture(scope="session")
def index() -> SchemaIndex:
    return index_schema(Sdl.read([("schema.graphql", SCHEMA.read_text())]))


def compile_operation(facts: Facts, index: SchemaIndex, name: str) -> Operation[Any]:
    from graphql import parse

    from automio.scope.stream import resumable
    from automio.scope.walk import scope_document

    scoped, cursor = resumable(scope_document(parse(DOCUMENTS[name]), index), index)
    model, unwrap = RESULTS[name]
    table = "messages" if "app_130_messages(" in DOCUMENTS[name] else "orders"
    head, *tail = scoped.text.split("app_130_")
    return Operation(
        name=scoped.name or "",
        kind=scoped.kind,
        document=tuple([f"{head}app_", *[f"_{piece}app_" for piece in tail[:-1]], f"_{tail[-1]}"] if tail else [head]),
        facts=facts,
        table=table,
        source=f"queries/orders.graphql:{list(DOCUMENTS).index(name) + 1}",
        result=lambda: model,
        unwrap=unwrap,
        scope_variable=scoped.scope_variable,
        rules=scoped.rules,
        dropped=scoped.dropped,
        plan=scoped.plan,
        cursor=cursor,
    )


@pytest.fixture
def app(index: SchemaIndex, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The compiled operations of app 130, by name, and the models that they return."""
    monkeypatch.setattr(call_module, "_registered", {})
    facts = Facts("130", index.facts())
    operations = {name: compile_operation(facts, index, name) for name in DOCUMENTS}
    return SimpleNamespace(facts=facts, Order=Order, Message=Message, Answer=Answer, **operations)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled package is imported."""
    monkeypatch.setattr(call_module, "_registered", {})


@pytest.fixture(scope="session")
def schema_text() -> str:
    return SCHEMA.read_text()


@pytest.fixture
def app_answer() -> type[Answer]:
    return Answer
