"""The platform's HTTP rules, held against a recording engine; test_server.py has the real one behind real HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from automio.engine.engine import Caller, Engine
from automio.engine.metadata_format import AdminRefusal
from automio.errors import EngineError
from automio.local.config import PlatformConfig, Token
from automio.local.platform import Platform, page, root_fields

from .asgi import Answer, ask

GATEWAY = "/api/apps/graphql/?app=130&table=orders"
ANSWER = b'{"data":  {"as it": "came"}}'  # two spaces: no parser has touched it


@dataclass
class Recorder:
    """Stands where the engine stands, and answers the same to everything."""

    seen: list[tuple[Caller, Mapping[str, Any]]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    failure: Exception | None = None

    async def execute(self, caller: Caller, body: Mapping[str, Any]) -> bytes:
        if self.failure:
            raise self.failure
        self.seen.append((caller, body))
        return ANSWER

    async def admin(self, body: Any) -> Any:
        if self.failure:
            raise self.failure
        if body.get("type") != "run_sql":
            raise AdminRefusal("no", status=418, internal=["why"])
        self.statements.append(body["args"]["sql"])
        return {"result_type": "CommandOk", "result": None}

    async def ping(self) -> None:
        if self.failure:
            raise self.failure


TOKENS = (
    Token("token-1", 1, frozenset({130})),
    Token("token-2", 2, frozenset({130, 131})),
    Token("token-3", 3, frozenset()),
)


@pytest.fixture
def engine() -> Recorder:
    return Recorder()


def make(engine: Recorder, **options: Any) -> Platform:
    return Platform(PlatformConfig(Path(), tokens=TOKENS, **options), cast("Engine", engine))


@pytest.fixture
def platform(engine: Recorder) -> Platform:
    return make(engine)


def gateway(platform: Platform, query: str, target: str = GATEWAY, token: str = "token-1", **more: Any) -> Answer:
    body = json.dumps({"query": query, **more}).encode()
    return ask(platform, "POST", target, body, headers={"authorization": f"App-Token {token}"})


# The gateway: who, which app.


@pytest.mark.parametrize("path", ["/api/apps/graphql/", "/apps/graphql/", "/api/apps/graphql", "/apps/graphql"])
def test_the_engines_bytes_pass_through(platform: Platform, engine: Recorder, path: str) -> None:
    answer = gateway(platform, "{ app_130_orders { id } }", f"{path}?app=130&table=orders", variables={"a": None})
    assert (answer.status, answer.body) == (200, ANSWER)
    assert answer.headers == {"content-type": "application/json; charset=utf-8", "content-length": str(len(ANSWER))}
    body = {"query": "{ app_130_orders { id } }", "variables": {"a": None}, "operationName": None}
    assert engine.seen == [(Caller(role="admin", organization=1), body)]


def test_the_organization_is_the_tokens(platform: Platform, engine: Recorder) -> None:
    gateway(platform, "{ app_130_orders { id } }", token="token-2", organization=1, role="admin", session={})
    caller, body = engine.seen[0]
    assert caller == Caller(role="admin", organization=2)
    assert set(body) == {"query", "variables", "operationName"}


@pytest.mark.parametrize(
    "authorization",
    [None, "", "token-1", "Bearer token-1", "App-Token", "App-Token ", "App-Token nope", "App-Token None"],
)
def test_no_token_no_answer(platform: Platform, engine: Recorder, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = ask(platform, "POST", GATEWAY, b'{"query": "{ app_130_orders { id } }"}', headers=headers)
    assert answer.status == 401
    assert list(answer.json) == ["error"]
    assert engine.seen == []


@pytest.mark.parametrize(
    ("query_string", "token", "status", "key"),
    [
        ("table=orders", "token-1", 400, "error"),
        ("app=&table=orders", "token-1", 400, "error"),
        ("app=130&app=131&table=orders", "token-2", 400, "error"),
        ("app=7&table=orders", "token-1", 404, "error"),
        ("app=org%2Fapp&table=orders", "token-1", 404, "error"),
        ("app=-130&table=orders", "token-1", 404, "error"),
        ("app=%D9%A1%D9%A3%D9%A0&table=orders", "token-1", 404, "error"),
        ("app=131&table=orders", "token-1", 403, "detail"),
        ("app=130&table=orders", "token-3", 403, "detail"),
    ],
)
def test_apps(platform: Platform, engine: Recorder, query_string: str, token: str, status: int, key: str) -> None:
    answer = gateway(platform, "{ app_130_orders { id } }", f"/api/apps/graphql/?{query_string}", token)
    assert (answer.status, list(answer.json)) == (status, [key])
    assert isinstance(answer.json[key], str)
    assert engine.seen == []


# The gateway: only the app's own tables.


@pytest.mark.parametrize(
    "query",
    [
        "{ app_130_orders { id } app_130_orders_aggregate { aggregate { count } } app_130_orders_by_pk(id: 1) { id } }",
        "mutation { insert_app_130_orders(objects: []) { affected_rows } delete_app_130_orders_by_pk(id: 1) { id } }",
        "mutation { update_app_130_orders_many(updates: []) { affected_rows } }",
        "subscription { app_130_orders_stream(batch_size: 1, cursor: []) { id } }",
        '{ __schema { queryType { name } } __typename a: __type(name: "x") { name } }',
        "query A { ...F } fragment F on query_root { ... on query_root { app_130_orders { id } } }",
    ],
)
def test_own_tables(platform: Platform, engine: Recorder, query: str) -> None:
    assert gateway(platform, query).body == ANSWER
    assert len(engine.seen) == 1


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("{ app_131_orders { id } }", "app_131_orders"),
        ("{ users { id } }", "users"),
        ("{ a: users { id } }", "users"),
        ("{ app_130_orders { id } users { id } }", "users"),
        ("{ app_1300_orders { id } }", "app_1300_orders"),
        ("{ app_13_orders { id } }", "app_13_orders"),
        # A table of that name would be nobody's: its query field is not the app's because it contains the app's.
        ("{ insert_app_130_orders { id } }", "insert_app_130_orders"),
        ("mutation { delete_users(where: {}) { affected_rows } }", "delete_users"),
        ("mutation { insert_app_131_orders(objects: []) { affected_rows } }", "insert_app_131_orders"),
        ("mutation { app_130_do_something }", "app_130_do_something"),
        ("query A { app_130_orders { id } } query B { users { id } }", "users"),
        ("{ ... { users { id } } }", "users"),
        ("{ ... on query_root @include(if: true) { users { id } } }", "users"),
        ("{ ...F } fragment F on query_root { ...G } fragment G on query_root { users { id } }", "users"),
        ("{ ...F } fragment F on query_root { ...F users { id } }", "users"),
        (
            "{ ...F } fragment F on query_root { app_130_orders { id } } fragment F on query_root { users { id } }",
            "users",
        ),
        ("subscription { users { id } }", "users"),
    ],
)
def test_tables_of_others(platform: Platform, engine: Recorder, query: str, name: str) -> None:
    answer = gateway(platform, query)
    assert answer.status == 200
    (error,) = answer.json["errors"]
    assert error["message"].startswith(f"field '{name}' not found in type: '")
    assert error["extensions"] == {"path": f"$.selectionSet.{name}", "code": "validation-failed"}
    assert engine.seen == []


def test_a_cached_document_is_judged_for_each_app(platform: Platform, engine: Recorder) -> None:
    query = "{ app_131_orders { id } }"
    target = "/api/apps/graphql/?app=131&table=orders"
    assert gateway(platform, query, target, "token-2").body == ANSWER
    assert "errors" in gateway(platform, query).json
    assert gateway(platform, query, target, "token-2").body == ANSWER
    assert len(engine.seen) == 2


@pytest.mark.parametrize("query", ["", "{", "{ app_130_orders { id } ", "hello", "{ " * 5000])
def test_what_does_not_parse_does_not_pass(platform: Platform, engine: Recorder, query: str) -> None:
    answer = gateway(platform, query)
    assert answer.status == 200
    assert answer.json["errors"][0]["extensions"] == {"path": "$.query", "code": "validation-failed"}
    assert engine.seen == []


def test_long_documents_are_judged_and_not_kept(platform: Platform, engine: Recorder) -> None:
    root_fields.cache_clear()
    query = f"{{ app_130_orders {{ id }} }} # {'x' * 30_000}"
    assert gateway(platform, query).body == ANSWER
    assert root_fields.cache_info().currsize == 0


# Bodies.


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON: it is nested too deep or is not UTF-8"),
        (b"[" * 100_000, "the body is not JSON: it is nested too deep or is not UTF-8"),
        (b"[]", "the body must be one JSON object"),
        (b"{}", "the body needs `query`"),
        (b'{"query": 3}', "the body needs `query`"),
        (b'{"query": "{ a }", "variables": []}', "`variables` must be an object or null"),
        (b'{"query": "{ a }", "operationName": 3}', "`operationName` must be a text or null"),
    ],
)
def test_bodies_of_the_gateway_that_are_none(platform: Platform, engine: Recorder, body: bytes, told: str) -> None:
    answer = ask(platform, "POST", GATEWAY, body, headers={"authorization": "App-Token token-1"})
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert answer.json["error"].startswith(told)
    assert engine.seen == []


def test_bodies_that_are_too_large(engine: Recorder) -> None:
    platform = make(engine, max_body_bytes=1024)
    headers = {"authorization": "App-Token token-1"}
    large = json.dumps({"query": "{ app_130_orders { id } }", "variables": {"a": "x" * 2000}}).encode()
    for pieces in (1, 7):
        assert ask(platform, "POST", GATEWAY, large, headers=headers, pieces=pieces).status == 413
    # The length that the client announces is enough; the body is not read at all.
    assert ask(platform, "POST", GATEWAY, b"", headers={**headers, "content-length": "5000"}).status == 413
    assert engine.seen == []


def test_bodies_in_pieces(platform: Platform, engine: Recorder) -> None:
    body = json.dumps({"query": "{ app_130_orders { id } }"}).encode()
    answer = ask(platform, "POST", GATEWAY, body, headers={"authorization": "App-Token token-1"}, pieces=9)
    assert answer.body == ANSWER


def test_compressed_bodies_are_refused(platform: Platform) -> None:
    headers = {"authorization": "App-Token token-1", "content-encoding": "gzip"}
    assert ask(platform, "POST", GATEWAY, b"\x1f\x8b", headers=headers).status == 415


# Hasura's endpoint.


def hasura(platform: Platform, body: object, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(platform, "POST", "/v1/graphql", json.dumps(body).encode(), headers=given)


def test_the_admin_is_not_bound(platform: Platform, engine: Recorder) -> None:
    body = {"query": "{ users { id } }", "variables": {}, "operationName": "A"}
    assert hasura(platform, body).body == ANSWER
    assert engine.seen == [(Caller(role="admin", organization=None), body)]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "x-hasura-admin-secret/x-hasura-access-key required, but not found"),
        ({"x_hasura_admin_secret": "wrong"}, "invalid x-hasura-admin-secret/x-hasura-access-key"),
        ({"x_hasura_admin_secret": ""}, "invalid x-hasura-admin-secret/x-hasura-access-key"),
        ({"authorization": "App-Token token-1"}, "x-hasura-admin-secret/x-hasura-access-key required, but not found"),
    ],
)
def test_the_admin_secret(engine: Recorder, headers: dict[str, str], message: str) -> None:
    platform = make(engine, admin_secret="root")
    answer = hasura(platform, {"query": "{ a }"}, **headers)
    assert answer.status == 200
    assert answer.json == {"errors": [{"extensions": {"path": "$", "code": "access-denied"}, "message": message}]}
    sql = ask(platform, "POST", "/v2/query", b'{"type": "run_sql", "args": {"sql": "SELECT 1"}}', headers=headers)
    assert (sql.status, engine.seen, engine.statements) == (401, [], [])
    assert hasura(platform, {"query": "{ a }"}, x_hasura_admin_secret="root").body == ANSWER
    assert hasura(platform, {"query": "{ a }"}, x_hasura_access_key="root").body == ANSWER


def test_pages_from_elsewhere_may_not_use_an_open_endpoint(platform: Platform, engine: Recorder) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        assert hasura(platform, {"query": "{ a }"}, origin=origin).status == 403
        sql = b'{"type": "run_sql", "args": {"sql": "SELECT 1"}}'
        assert ask(platform, "POST", "/v2/query", sql, headers={"origin": origin}).status == 403
    assert (engine.seen, engine.statements) == ([], [])
    assert hasura(platform, {"query": "{ a }"}, origin="http://localhost:3000").body == ANSWER
    assert (
        hasura(
            make(engine, admin_secret="s"), {"query": "{ a }"}, origin="https://x.example", x_hasura_admin_secret="s"
        ).body
        == ANSWER
    )


def test_another_role_goes_to_the_engine_with_its_session(engine: Recorder) -> None:
    platform = make(engine, admin_secret="root")
    hasura(platform, {"query": "{ a }"}, x_hasura_role="user", x_hasura_user_id="7", x_hasura_admin_secret="root")
    session = {"x-hasura-role": "user", "x-hasura-user-id": "7"}
    assert engine.seen == [(Caller(role="user", organization=None, session=session), {"query": "{ a }"})]
    hasura(platform, {"query": "{ a }"}, x_hasura_role="admin", x_hasura_admin_secret="root")
    assert engine.seen[1][0] == Caller(role="admin", organization=None)
    headers = {"x-hasura-role": "user", "x-hasura-admin-secret": "root"}
    sql = ask(platform, "POST", "/v2/query", b'{"type": "run_sql", "args": {"sql": "SELECT 1"}}', headers=headers)
    assert (sql.status, sql.json["code"], engine.statements) == (400, "access-denied", [])


def test_bodies_of_hasuras_endpoint_that_are_none(platform: Platform) -> None:
    answer = ask(platform, "POST", "/v1/graphql", b"{")
    assert answer.status == 400
    assert answer.json["errors"][0]["extensions"] == {"path": "$", "code": "invalid-json"}
    assert hasura(platform, 5).status == 400


def test_a_batch_is_answered_one_by_one(platform: Platform, engine: Recorder) -> None:
    answer = hasura(platform, [{"query": "{ a }"}, {"query": "{ b }"}])
    assert (answer.status, answer.body) == (200, b"[" + ANSWER + b"," + ANSWER + b"]")
    assert [body["query"] for _, body in engine.seen] == ["{ a }", "{ b }"]


def test_run_sql(platform: Platform, engine: Recorder) -> None:
    body = json.dumps({"type": "run_sql", "args": {"sql": "SELECT 1", "source": "default"}}).encode()
    for path in ("/v2/query", "/v1/query"):
        answer = ask(platform, "POST", path, body)
        assert (answer.status, answer.json["result_type"]) == (200, "CommandOk")
    assert engine.statements == ["SELECT 1", "SELECT 1"]
    refused = ask(platform, "POST", "/v1/metadata", b'{"type": "x"}')
    assert refused.status == 418
    assert refused.json == {"path": "$.args", "error": "no", "code": "parse-failed", "internal": ["why"]}


def test_run_sql_that_fails(platform: Platform, engine: Recorder) -> None:
    engine.failure = EngineError('relation "x" does not exist', sqlstate="42P01")
    answer = ask(platform, "POST", "/v2/query", b'{"type": "run_sql", "args": {"sql": "SELECT * FROM x"}}')
    assert answer.status == 400
    assert answer.json["code"] == "postgres-error"
    assert answer.json["internal"]["error"] == {"message": 'relation "x" does not exist', "status_code": "42P01"}


# The rest.


def test_health(platform: Platform, engine: Recorder) -> None:
    assert ask(platform, "GET", "/healthz").json == {"status": "ok"}
    engine.failure = EngineError("The database at host:5432 cannot be used")
    answer = ask(platform, "GET", "/healthz")
    assert (answer.status, answer.json) == (503, {"status": "the database does not answer"})


def test_the_page(platform: Platform) -> None:
    answer = ask(platform, "GET", "/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert "/v1/graphql" in text
    assert "<td>2</td><td>130, 131</td>" in text
    assert not any(token.token in text for token in TOKENS)
    head = ask(platform, "HEAD", "/")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", answer.headers["content-length"])
    secret = PlatformConfig(Path(), admin_secret="hush-hush")
    assert "hush-hush" not in page(secret)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/api/", 405),
        ("POST", "/api", 404),
        ("GET", "/v1/graphql", 405),
        ("DELETE", "/api/apps/graphql/", 405),
        ("POST", "/", 405),
        ("POST", "/api/nothing/x/call/", 404),
    ],
)
def test_what_is_not_served_is_told_in_json(platform: Platform, method: str, path: str, status: int) -> None:
    answer = ask(platform, method, path)
    assert answer.status == status
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize("debug", [False, True])
def test_an_unforeseen_failure_stays_inside(
    platform: Platform,
    engine: Recorder,
    debug: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTOMIO_DEBUG", "1" if debug else "")
    engine.failure = RuntimeError("password=hush-hush")
    answer = gateway(platform, "{ app_130_orders { id } }")
    assert (answer.status, list(answer.json)) == (500, ["error"])
    admin = hasura(platform, {"query": "{ a }"})
    assert (admin.status, admin.json["errors"][0]["extensions"]["code"]) == (500, "unexpected")
    assert b"hush-hush" not in answer.body + admin.body
    assert ("hush-hush" in capsys.readouterr().err) == debug


def test_a_client_that_goes_away_gets_no_answer(platform: Platform, engine: Recorder) -> None:
    import asyncio

    messages: list[Any] = [
        {"type": "http.request", "body": b'{"query"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/graphql", "query_string": b"", "headers": []}
    asyncio.run(platform(scope, receive, send))
    assert (sent, engine.seen) == ([], [])


def test_lifespan(platform: Platform) -> None:
    import asyncio

    messages: list[Any] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(platform({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
