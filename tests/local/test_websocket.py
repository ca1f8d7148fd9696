"""GraphQL over WebSocket on the platform as it runs: both subprotocols, who is let in, and what is left when a client goes."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from gql import Client, GraphQLRequest
from gql.transport.websockets import WebsocketsTransport

from automio.local.config import load_platform
from automio.local.platform import Platform
from automio.local.server import RunningPlatform, running_platform
from automio.local.websocket import LEGACY, MODERN, MOST_OPERATIONS, serve_socket

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "s3cret-of-the-admin"
GATEWAY = "/api/apps/graphql/?app=130&table=orders"
ADMIN = "/v1/graphql"
ORDERS = "subscription { app_130_orders(order_by: {orderId: asc}) { orderId } }"
STREAM = """subscription {
  app_130_messages_stream(batch_size: 2, cursor: {initial_value: {messageContent: ""}}) { messageContent }
}"""
TOKENS = {n: {"headers": {"Authorization": f"App-Token local-org-{n}"}} for n in (1, 2)}
ADMINS = {"headers": {"X-Hasura-Admin-Secret": SECRET}}
PROTOCOLS = [MODERN, LEGACY]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, root: Path) -> AsyncIterator[RunningPlatform]:
    """A platform with the tables of the sample; its admin has a secret."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(root / "schema", project / "schema", ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copy(root / "platform.toml", project / "platform.toml")
    config = replace(
        load_platform(project / "platform.toml"), admin_secret=SECRET, live_interval_ms=100, max_body_bytes=200_000
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        async with running_platform(config) as running:
            yield running


class Socket:
    """One connection in one subprotocol, spoken by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, modern: bool) -> None:
        self.socket = socket
        self.modern = modern
        self.pings = 0

    async def send(self, type_: str, id_: str | None = None, payload: Any = None) -> None:
        message = {"type": type_} | ({"id": id_} if id_ is not None else {})
        await self.socket.send_json(message | ({"payload": payload} if payload is not None else {}))

    async def init(self, payload: Any) -> None:
        await self.send("connection_init", payload=payload)
        assert await self.read() == {"type": "connection_ack"}

    async def start(self, id_: str, query: str, **variables: Any) -> None:
        await self.send("subscribe" if self.modern else "start", id_, {"query": query, "variables": variables})

    async def stop(self, id_: str) -> None:
        await self.send("complete" if self.modern else "stop", id_)

    async def read(self, seconds: float = 5) -> Any:
        """The next message; our pings are answered and left out. (code, reason) when the socket was closed."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            message = await self.socket.receive(max(0.001, end - asyncio.get_running_loop().time()))
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return (self.socket.close_code, message.extra)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            found = json.loads(message.data)
            if found["type"] not in ("ping", "ka"):
                return found
            self.pings += 1

    async def data(self, id_: str) -> Any:
        """The next answer to this operation: what its root field says."""
        found = await self.read()
        assert (found["type"], found["id"]) == ("next" if self.modern else "data", id_), found
        ((_, value),) = found["payload"]["data"].items()
        return value

    async def is_quiet(self, seconds: float = 0.4) -> bool:
        try:
            found = await self.read(seconds)
        except TimeoutError:
            return True
        raise AssertionError(found)


@asynccontextmanager
async def connected(
    running: RunningPlatform,
    protocol: str | None = MODERN,
    path: str = GATEWAY,
    init: Any = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Socket]:
    """A socket, initialised when `init` is given."""
    async with aiohttp.ClientSession() as session:
        protocols = (protocol,) if protocol else ()
        async with session.ws_connect(running.url + path, protocols=protocols, headers=headers) as socket:
            found = Socket(socket, protocol == MODERN)
            if init is not None:
                await found.init(init)
            yield found


async def until_nothing_runs(running: RunningPlatform) -> None:
    """No subscription and no task of a socket is left."""
    live = running.engine._live
    async with asyncio.timeout(5):
        while live.groups or live.tasks or any("_Connection" in repr(one) for one in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def execute(running: RunningPlatform, query: str, organization: int = 1) -> Any:
    headers = {"Authorization": f"App-Token local-org-{organization}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(running.url + GATEWAY, json={"query": query}) as answer,
    ):
        found = await answer.json()
    assert "data" in found, found
    return found["data"]


async def add(running: RunningPlatform, order: str, organization: int = 1) -> None:
    await execute(
        running, f'mutation {{ insert_app_130_orders_one(object: {{orderId: "{order}"}}) {{ id }} }}', organization
    )


# ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_live_query_of_an_organization(running: RunningPlatform, protocol: str) -> None:
    async with connected(running, protocol, init=TOKENS[1]) as one, connected(running, protocol, init=TOKENS[2]) as two:
        await one.start("a", ORDERS)
        await two.start("a", ORDERS)
        before, of_two = await one.data("a"), await two.data("a")
        assert before and of_two and before != of_two
        await add(running, f"zz-{protocol}")
        after = await one.data("a")
        assert [row for row in after if row not in before] == [{"orderId": f"zz-{protocol}"}]
        assert await two.is_quiet()
        await one.stop("a")
        await add(running, f"zzz-{protocol}")
        assert await one.is_quiet()
    await until_nothing_runs(running)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_queries_mutations_and_errors(running: RunningPlatform, protocol: str) -> None:
    answers = "next" if protocol == MODERN else "data"
    async with connected(running, protocol, init=TOKENS[1]) as one:
        await one.start("q", "query ($n: Int) { app_130_orders(limit: $n) { __typename } }", n=1)
        assert await one.data("q") == [{"__typename": "app_130_orders"}]
        assert await one.read() == {"type": "complete", "id": "q"}
        await one.start("q", 'mutation { delete_app_130_orders(where: {orderId: {_eq: "none"}}) { affected_rows } }')
        assert await one.data("q") == {"affected_rows": 0}
        assert await one.read() == {"type": "complete", "id": "q"}

        for query in (
            "{ app_130_orders { nothing } }",
            "subscription { app_130_orders { nothing } }",
            "{ users { id } }",
            "{",
        ):
            await one.start("bad", query)
            refused = await one.read()
            assert (refused["type"], refused["id"]) == ("error", "bad")
            errors = refused["payload"] if protocol == MODERN else refused["payload"]["errors"]
            assert [sorted(error) for error in errors] == [["extensions", "message"]]
            if protocol == LEGACY:
                assert await one.read() == {"type": "complete", "id": "bad"}

        await one.start("late", "query ($p: String!) { app_130_orders(where: {orderId: {_regex: $p}}) { id } }", p="(")
        failed = await one.read()
        if protocol == MODERN:
            assert failed["type"] == "error"
            assert failed["payload"][0]["extensions"]["code"] == "data-exception"
        else:
            assert failed["type"] == answers
            assert failed["payload"]["errors"][0]["extensions"]["code"] == "data-exception"
            assert await one.read() == {"type": "complete", "id": "late"}
        assert await one.is_quiet(0.1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_stream(running: RunningPlatform, protocol: str) -> None:
    expected = await execute(running, "{ app_130_messages(order_by: {messageContent: asc}) { messageContent } }")
    rows = expected["app_130_messages"]
    async with connected(running, protocol, init=TOKENS[1]) as one:
        await one.start("s", STREAM)
        found: list[Any] = []
        while len(found) < len(rows):
            found += await one.data("s")
        assert found == rows
        assert await one.is_quiet()
    await until_nothing_runs(running)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_operations_run_at_the_same_time(running: RunningPlatform, protocol: str) -> None:
    await running.engine.run_sql(
        "CREATE VIEW app_130_naps AS SELECT 1 AS organization_id, pg_sleep(0.7)::text AS slept"
    )
    async with connected(running, protocol, init=TOKENS[1]) as one:
        await one.start("live", ORDERS)
        await one.data("live")
        await one.start("slow", "{ app_130_naps { slept } }")
        await one.start("fast", "{ app_130_orders { __typename } }")
        assert (await one.read())["id"] == "fast"
        assert await one.read() == {"type": "complete", "id": "fast"}
        assert await one.data("slow") == [{"slept": ""}]
        assert await one.read() == {"type": "complete", "id": "slow"}
    await running.engine.run_sql("DROP VIEW app_130_naps")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_mutation_that_is_stopped_runs_to_its_end_without_an_answer(
    running: RunningPlatform, protocol: str
) -> None:
    await running.engine.run_sql("""
        CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$;
        CREATE TRIGGER nap BEFORE INSERT ON app_130_orders FOR EACH ROW EXECUTE FUNCTION nap();""")
    order = f"stopped-{protocol}"
    async with connected(running, protocol, init=TOKENS[1]) as one:
        await one.start("m", f'mutation {{ insert_app_130_orders_one(object: {{orderId: "{order}"}}) {{ id }} }}')
        await asyncio.sleep(0.1)
        await one.stop("m")
        assert await one.is_quiet(0.7)
    await running.engine.run_sql("DROP TRIGGER nap ON app_130_orders; DROP FUNCTION nap")
    found = await execute(running, f'{{ app_130_orders(where: {{orderId: {{_eq: "{order}"}}}}) {{ orderId }} }}')
    assert found["app_130_orders"] == [{"orderId": order}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_hasura_answered(running: RunningPlatform, shared: Path, protocol: str) -> None:
    """The corpus' case of live queries, step by step; its tables are served without metadata."""
    suite = json.loads((shared / "hasura-corpus" / "subscriptions.live_queries.json").read_text())
    (case,) = suite["cases"]
    (setup,) = (one["args"]["sql"] for one in suite["setup"][0]["body"]["args"] if one["type"] == "run_sql")
    await running.engine.run_sql(f"CREATE SCHEMA hge_tests; {setup}")
    async with connected(running, protocol, ADMIN, init=ADMINS) as one:
        got: dict[str, Any] = {}

        async def all_of(expected: Mapping[str, Any]) -> None:
            for id_, data in expected.items():
                while id_ not in got:
                    message = await one.read()
                    if message["type"] != "complete":
                        got[message["id"]] = message["payload"]
                assert got.pop(id_) == {"data": data}

        for each in case["subscriptions"]:
            await one.start(each["id"], each["query"], **each["variables"])
        await all_of(case["initial"])
        for number, step in enumerate(case["steps"]):
            await one.start(f"step {number}", step["query"]["query"], **step["query"].get("variables", {}))
            await all_of({f"step {number}": step["response"]["data"], **step["expect"]})
    await running.engine.run_sql("DROP SCHEMA hge_tests CASCADE")


async def test_gqls_own_client(running: RunningPlatform) -> None:
    transport = WebsocketsTransport(
        url=running.url.replace("http", "ws") + GATEWAY, init_payload=TOKENS[1], subprotocols=[MODERN]
    )
    async with Client(transport=transport) as session:
        answers = session.subscribe(GraphQLRequest(ORDERS))
        first = await anext(answers)
        await add(running, "zzzz-gql")
        async with asyncio.timeout(5):
            second = await anext(answers)
        assert second["app_130_orders"][:-1] == first["app_130_orders"]
        await answers.aclose()
        answer = await session.execute(GraphQLRequest("{ app_130_orders(limit: 1) { __typename } }"))
        assert answer == {"app_130_orders": [{"__typename": "app_130_orders"}]}
    await until_nothing_runs(running)


# ── who is let in ───────────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED = [
    (GATEWAY, None),
    (GATEWAY, {}),
    (GATEWAY, {"headers": None}),
    (GATEWAY, {"headers": {}}),
    (GATEWAY, {"headers": {"Authorization": "App-Token nobody"}}),
    (GATEWAY, {"headers": {"Authorization": "Bearer local-org-1"}}),
    (GATEWAY, ADMINS),
    (GATEWAY.replace("130", "7"), TOKENS[1]),
    (GATEWAY.partition("?")[0], TOKENS[1]),
    (ADMIN, {}),
    (ADMIN, TOKENS[1]),
    (ADMIN, {"headers": {"x-hasura-admin-secret": "wrong"}}),
    (ADMIN, {"headers": {"x-hasura-admin-secret": ""}}),
]


@pytest.mark.parametrize(("path", "payload"), REFUSED)
async def test_who_is_not_let_in(running: RunningPlatform, path: str, payload: Any) -> None:
    async with connected(running, MODERN, path) as one:
        await one.send("connection_init", payload=payload)
        code, reason = await one.read()
        assert code == 4403
        assert reason.startswith("Forbidden: ")
        assert "local-org" not in reason
        assert SECRET not in reason
    async with connected(running, LEGACY, path) as one:
        await one.send("connection_init", payload=payload)
        refused = await one.read()
        assert refused["type"] == "connection_error"
        assert "local-org" not in json.dumps(refused)
        await one.start("a", ORDERS)
        error = (await one.read())["payload"]["errors"][0]
        assert error["message"] == f"cannot start as connection_init failed with : {refused['payload']}"
        assert await one.read() == {"type": "complete", "id": "a"}
        if path in (ADMIN, GATEWAY):
            await one.init(ADMINS if path == ADMIN else TOKENS[1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", [GATEWAY, GATEWAY.removeprefix("/api"), GATEWAY.replace("/?", "?")])
async def test_the_token_in_the_upgrade_request(running: RunningPlatform, protocol: str, path: str) -> None:
    headers = {"Authorization": "App-Token local-org-2"}
    async with connected(running, protocol, path, init={}, headers=headers) as one:
        await one.start("a", "{ app_130_orders { organization_id } }")
        assert {row["organization_id"] for row in await one.data("a")} == {2}
    async with connected(running, protocol, path, init=TOKENS[1], headers=headers) as one:
        await one.start("a", "{ app_130_orders { organization_id } }")
        assert {row["organization_id"] for row in await one.data("a")} == {1}


async def test_the_admin_and_a_role(running: RunningPlatform) -> None:
    async with connected(running, MODERN, ADMIN, init=ADMINS) as one:
        await one.start("a", "subscription { app_130_orders(distinct_on: organization_id) { organization_id } }")
        assert {row["organization_id"] for row in await one.data("a")} >= {1, 2}
    role = {"headers": {**ADMINS["headers"], "X-Hasura-Role": "nobody"}}
    async with connected(running, MODERN, ADMIN, init=role) as one:
        await one.start("a", "subscription { app_130_orders { id } }")
        assert (await one.read())["type"] == "error"


@pytest.mark.parametrize(
    "query", ["subscription { users { id } }", "subscription { ...F } fragment F on x { users { id } }"]
)
async def test_the_gateway_opens_its_app_alone(running: RunningPlatform, query: str) -> None:
    await running.engine.run_sql("CREATE TABLE IF NOT EXISTS users (id integer, organization_id integer)")
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        await one.start("a", query)
        refused = await one.read()
        assert refused["type"] == "error"
        assert refused["payload"][0]["message"] == "field 'users' not found in type: 'subscription_root'"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/v2/query", 404), ("/", 404), ("/healthz", 404)])
async def test_other_paths(running: RunningPlatform, path: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(running, MODERN, path):
            pass
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (None, True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("https://example.org", False),
        ("null", False),
    ],
)
async def test_the_origin_where_there_is_no_secret(
    running: RunningPlatform, origin: str | None, accepted: bool
) -> None:
    """Said by the upgrade request alone: what the page puts into connection_init does not count."""
    platform = Platform(replace(_config(running), admin_secret=None), running.engine)
    headers = [(b"host", b"127.0.0.1")] + ([(b"origin", origin.encode())] if origin else [])
    sent = await _by_hand(platform, headers, {"headers": {"Origin": "http://localhost"}})
    assert (sent[0]["type"] == "websocket.accept") is accepted
    if accepted:
        assert json.loads(sent[1]["text"]) == {"type": "connection_ack"}
    else:
        assert sent[0]["type"] == "websocket.close"
    with_origin_within = await _by_hand(platform, [], {"headers": {"Origin": "https://example.org"}})
    assert json.loads(with_origin_within[1]["text"]) == {"type": "connection_ack"}


def _config(running: RunningPlatform) -> Any:
    from automio.local.config import PlatformConfig, Token

    return PlatformConfig(Path(), tokens=(Token("local-org-1", 1, frozenset({130})),), admin_secret=SECRET)


async def _by_hand(platform: Platform, headers: list[tuple[bytes, bytes]], payload: Any) -> list[Any]:
    """What the app sends to a client that initialises and goes away at once; without a server."""
    said = json.dumps({"type": "connection_init", "payload": payload})
    messages: list[Any] = [
        {"type": "websocket.connect"}, {"type": "websocket.receive", "text": said}, {"type": "websocket.disconnect"},
    ]  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": ADMIN, "query_string": b"", "headers": headers, "subprotocols": [MODERN]}
    await serve_socket(cast("Any", platform), scope, receive, send)
    return sent


# ── the protocols' own rules ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', "{}", '{"type": 5}', '{"type": "start", "id": "a", "payload": {}}', '{"type": "subscribe"}',
     '{"type": "subscribe", "id": 5, "payload": {}}', '{"type": "subscribe", "id": "a"}', '{"type": "complete"}',
     '{"type": "connection_init", "payload": {"headers": []}}', '{"type": "connection_init", "payload": {"headers": {"a": 1}}}',
     "[" * 100_000, '{"type": "\\ud800"}', '{"type": "subscribe", "id": "\\ud800"}'],
)  # fmt: skip
async def test_what_is_no_message(running: RunningPlatform, text: str) -> None:
    async with connected(running, MODERN) as one:
        await one.socket.send_str(text)
        code, reason = await one.read()
        assert code == 4400
        assert len(reason.encode()) <= 123
    async with connected(running, LEGACY) as one:
        await one.socket.send_str(
            text.replace("start", "subscribe") if "start" in text else text.replace("subscribe", "start")
        )
        refused = await one.read()
        if refused["type"] != "complete":
            assert refused["type"] == "connection_error"
        await one.init(TOKENS[1])


async def test_binary_messages(running: RunningPlatform) -> None:
    async with connected(running, MODERN) as one:
        await one.socket.send_bytes(b'{"type": "connection_init"}')
        assert (await one.read())[0] == 4400


async def test_before_connection_init(running: RunningPlatform) -> None:
    async with connected(running, MODERN) as one:
        await one.start("a", ORDERS)
        assert await one.read() == (4401, "Unauthorized")
    async with connected(running, LEGACY) as one:
        await one.start("a", ORDERS)
        error = (await one.read())["payload"]["errors"][0]
        assert error["message"] == "start received before the connection is initialised"
        assert await one.read() == {"type": "complete", "id": "a"}


async def test_a_second_connection_init(running: RunningPlatform) -> None:
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        await one.send("connection_init", payload=TOKENS[2])
        assert await one.read() == (4429, "Too many initialisation requests")
    async with connected(running, LEGACY, init=TOKENS[1]) as one:
        await one.init(TOKENS[2])
        await one.start("a", "{ app_130_orders { organization_id } }")
        assert {row["organization_id"] for row in await one.data("a")} == {2}


async def test_an_id_that_is_in_use(running: RunningPlatform) -> None:
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        await one.start("a", ORDERS)
        await one.data("a")
        await one.start("a", ORDERS)
        assert await one.read() == (4409, "Subscriber for a already exists")
    async with connected(running, LEGACY, init=TOKENS[1]) as one:
        await one.start("a", ORDERS)
        await one.data("a")
        await one.start("a", ORDERS)
        assert (await one.read())["payload"]["errors"][0]["message"] == "an operation already exists with this id: a"
    await until_nothing_runs(running)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_id_may_be_used_again_at_once(running: RunningPlatform, protocol: str) -> None:
    async with connected(running, protocol, init=TOKENS[1]) as one:
        for _ in range(20):
            await one.start("a", ORDERS)
            await one.data("a")
            await one.stop("a")
        for _ in range(20):
            await one.start("a", "{ app_130_orders { __typename } }")
            await one.data("a")
            assert await one.read() == {"type": "complete", "id": "a"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("id_", ["ä", "\ud800", '"', " ", "x" * 500])
async def test_any_text_is_an_id(running: RunningPlatform, protocol: str, id_: str) -> None:
    async with connected(running, protocol, init=TOKENS[1]) as one:
        for query in ("{ app_130_orders { __typename } }", "{ nothing }"):
            await one.start(id_, query)
            assert (await one.read())["id"] == id_
            if protocol == LEGACY or "nothing" not in query:
                assert await one.read() == {"type": "complete", "id": id_}
        await one.start(id_, ORDERS)
        await one.data(id_)
        await one.start(id_, ORDERS)
        await one.read()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_connection_init(running: RunningPlatform, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automio.local.websocket.INIT_SECONDS", 0.2)
    async with connected(running, protocol) as one:
        assert await one.read(2) == (4408, "Connection initialisation timeout")


async def test_subprotocols(running: RunningPlatform) -> None:
    async with connected(running, None, init=TOKENS[1]) as one:
        assert one.socket.protocol is None
        await one.start("a", ORDERS)
        await one.data("a")
    async with connected(running, "soap") as one:
        assert await one.read() == (4406, "Subprotocol not acceptable")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(running.url + GATEWAY, protocols=("soap", LEGACY, MODERN)) as found,
    ):
        assert found.protocol == LEGACY


async def test_pings_and_keep_alive(running: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automio.local.websocket.ALIVE_SECONDS", 0.1)
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        await one.send("ping", payload={"n": 1})
        assert await one.read() == {"type": "pong", "payload": {"n": 1}}
        await one.send("ping")
        await one.send("pong")
        assert await one.read() == {"type": "pong"}
        assert await one.is_quiet(0.5)
        assert one.pings >= 3
    async with connected(running, LEGACY, init=TOKENS[1]) as one:
        assert await one.is_quiet(0.5)
        assert one.pings >= 3
        await one.send("connection_terminate")
        assert (await one.read())[0] == 1000


async def test_a_message_that_is_too_long(running: RunningPlatform) -> None:
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        await one.start("a", "{ app_130_orders { id } }" + " " * 200_000)
        assert (await one.read())[0] == 1009


async def test_too_many_operations(running: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_OPERATIONS >= 500
    monkeypatch.setattr("automio.local.websocket.MOST_OPERATIONS", 5)
    async with connected(running, MODERN, init=TOKENS[1]) as one:
        for i in range(5):
            await one.start(str(i), ORDERS)
            await one.data(str(i))
        await one.start("more", ORDERS)
        refused = await one.read()
        assert (refused["type"], refused["id"]) == ("error", "more")
        await one.stop("0")
        await asyncio.sleep(0.05)
        await one.start("more", ORDERS)
        await one.data("more")


# ── many, slow, gone, stopped ───────────────────────────────────────────────────────────────────────────────────────────


async def test_500_subscriptions_on_ten_sockets(running: RunningPlatform) -> None:
    async def one_socket(number: int) -> None:
        organization = 1 + number % 2
        async with connected(running, MODERN, init=TOKENS[organization]) as one:
            for i in range(50):
                await one.start(str(i), ORDERS.replace("{ orderId }", "{ orderId organization_id }"))
            seen: dict[str, Any] = {}
            while len(seen) < 50:
                message = await one.read(20)
                seen[message["id"]] = message["payload"]["data"]["app_130_orders"]
            assert {row["organization_id"] for rows in seen.values() for row in rows} == {organization}
            await ready.wait()
            if number == 0:
                await add(running, "zzzzz-500")
            if organization == 1:
                told: set[str] = set()
                while len(told) < 50:
                    message = await one.read(20)
                    if message["payload"]["data"]["app_130_orders"][-1]["orderId"] == "zzzzz-500":
                        told.add(message["id"])

    ready = asyncio.Barrier(10)
    await asyncio.gather(*(one_socket(number) for number in range(10)))
    await until_nothing_runs(running)


async def test_a_slow_client_gets_the_latest_state_and_holds_up_nobody(running: RunningPlatform) -> None:
    """It reads nothing while a large answer changes; then it has what fitted into the buffers, and the latest state."""
    await running.engine.run_sql("""
        CREATE TABLE app_130_blobs (id integer PRIMARY KEY, organization_id integer, body text);
        INSERT INTO app_130_blobs VALUES (1, 1, '')""")
    large, changes = 4_000_000, 12
    async with connected(running, MODERN, init=TOKENS[1]) as slow, connected(running, MODERN, init=TOKENS[1]) as fast:
        await slow.start("a", "subscription { app_130_blobs { body } }")
        await slow.data("a")
        await fast.start("a", "subscription { app_130_blobs_aggregate { aggregate { count } } }")
        await fast.data("a")
        for n in range(changes):
            await running.engine.run_sql(f"UPDATE app_130_blobs SET body = repeat('{n % 10}', {large}) || '{n}'")
            await asyncio.sleep(0.25)
        await running.engine.run_sql("INSERT INTO app_130_blobs VALUES (2, 1, 'last')")
        assert (await fast.data("a"))["aggregate"] == {"count": 2}
        seen = 0
        while True:
            rows = await slow.data("a")
            seen += 1
            if len(rows) == 2:
                break
        assert seen < changes
    await running.engine.run_sql("DROP TABLE app_130_blobs")
    await until_nothing_runs(running)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_client_that_vanishes_leaves_nothing(running: RunningPlatform, protocol: str) -> None:
    await running.engine.run_sql(
        "CREATE VIEW app_130_sleepers AS SELECT 1 AS organization_id, pg_sleep(300)::text AS slept"
    )
    async with connected(running, protocol, init=TOKENS[1]) as one:
        await one.start("live", ORDERS)
        await one.data("live")
        await one.start("stream", STREAM)
        await one.start("query", "{ app_130_sleepers { slept } }")
        await one.start("asleep", "subscription { app_130_sleepers { slept } }")
        await asyncio.sleep(0.3)
        transport = one.socket.get_extra_info("socket")
        assert transport is not None
        transport.shutdown(socket.SHUT_RDWR)
        await until_nothing_runs(running)
    other = await asyncpg.connect(running.engine._database._dsn)
    async with asyncio.timeout(5):
        while await other.fetchval(  # noqa: ASYNC110
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleepers%' AND state = 'active' AND pid <> pg_backend_pid()"
        ):
            await asyncio.sleep(0.02)
    await other.close()
    await running.engine.run_sql("DROP VIEW app_130_sleepers")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_server_stops(tmp_path: Path, root: Path, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shutil.copytree(root / "schema", tmp_path / "schema", ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copy(root / "platform.toml", tmp_path / "platform.toml")
    async with running_platform(load_platform(tmp_path / "platform.toml")) as running:
        session = aiohttp.ClientSession()
        found = await session.ws_connect(running.url + GATEWAY, protocols=(protocol,))
        one = Socket(found, protocol == MODERN)
        await one.init(TOKENS[1])
        await one.start("a", ORDERS)
        await one.data("a")
        reading = asyncio.create_task(one.read())
        engine, begun = running.engine, asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 3
    assert (await reading)[0] == 1012
    assert not engine._live.tasks
    await session.close()
