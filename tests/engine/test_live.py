"""Live queries and streams on a real PostgreSQL: what they send and when, what they share, and what never reaches another caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine, _Reading
from automio.engine.live import Subscription
from automio.engine.metadata_types import RolePermissions, SelectPermission
from automio.engine.refusal import Refusal
from automio.engine.values import text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN, ONE, TWO = Caller(), Caller(organization=1), Caller(organization=2)
TURN = 0.1
NOTES = "subscription { notes(order_by: {id: asc}) { id body } }"
STREAM = """subscription ($from: Int!, $size: Int!, $where: notes_bool_exp) {
  notes_stream(batch_size: $size, cursor: [{initial_value: {id: $from}, ordering: ASC}], where: $where) { id }
}"""
TABLES = """
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TABLE notes (id serial PRIMARY KEY, organization_id integer, body text, rank integer, at timestamptz DEFAULT now());
CREATE TABLE replies (id serial PRIMARY KEY, organization_id integer, note_id integer REFERENCES notes, body text);
CREATE TABLE mixed (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tags text[], details jsonb, ratio float8, on_ boolean);
INSERT INTO notes (organization_id, body, rank) VALUES (1, 'one', 1), (2, 'two', 1), (1, 'three', 2), (2, 'four', 2);
INSERT INTO replies (organization_id, note_id, body) VALUES (1, 1, 'r1'), (2, 2, 'r2'), (2, 1, 'r3');
INSERT INTO mixed (tags, details, ratio, on_) VALUES ('{"a,b","c\\"d"}', '{"k": [1, 2]}', 0.5, true);
"""


class Recorder:
    """Sees the statements of an engine's subscriptions: (text, arguments)."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[tuple[str, Sequence[Any]]] = []
        inner = engine._database.rows

        async def rows(text: str, arguments: Sequence[Any]) -> Any:
            self.statements.append((text, arguments))
            return await inner(text, arguments)

        monkeypatch.setattr(engine._database, "rows", rows)

    async def during(self, seconds: float) -> list[tuple[str, Sequence[Any]]]:
        self.statements.clear()
        await asyncio.sleep(seconds)
        return list(self.statements)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=4, live_interval=TURN)
    yield engine
    await engine.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _tables(engine: Engine) -> AsyncIterator[None]:
    await engine.run_sql(TABLES)
    yield
    for group in list(engine._live.groups.values()):
        for one in list(group.members):
            one.close()
    await asyncio.sleep(0.02)
    assert not engine._live.groups
    assert not engine._live.tasks


@pytest.fixture
def recorder(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(engine, monkeypatch)


def subscribe(engine: Engine, caller: Caller, text: str, **variables: Any) -> Subscription:
    found = engine.subscribe(caller, {"query": text, "variables": variables})
    assert found is not None
    return found


async def following(subscription: Subscription, seconds: float = 5) -> Any:
    """The next answer, decoded."""
    async with asyncio.timeout(seconds):
        return json.loads(await anext(subscription))


async def data(subscription: Subscription) -> Any:
    answer = await following(subscription)
    assert list(answer) == ["data"], answer
    ((_, value),) = answer["data"].items()
    return value


async def is_quiet(subscription: Subscription, seconds: float = 4 * TURN) -> bool:
    try:
        await following(subscription, seconds)
    except TimeoutError:
        return True
    return False


async def ask(engine: Engine, caller: Caller, text: str, **variables: Any) -> Any:
    answer = json.loads(await engine.execute(caller, {"query": text, "variables": variables}))
    assert "data" in answer, answer
    return answer["data"]


# ── live queries ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_answer_then_every_change(engine: Engine, database: str) -> None:
    live = subscribe(engine, ONE, NOTES)
    assert await data(live) == [{"id": 1, "body": "one"}, {"id": 3, "body": "three"}]
    assert await is_quiet(live)
    await ask(engine, ONE, 'mutation { update_notes_by_pk(pk_columns: {id: 3}, _set: {body: "III"}) { id } }')
    assert (await data(live))[1] == {"id": 3, "body": "III"}
    other = await asyncpg.connect(database)
    await other.execute("DELETE FROM replies; DELETE FROM notes WHERE id IN (1, 2)")
    await other.close()
    assert await data(live) == [{"id": 3, "body": "III"}]


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("subscription ($id: Int!) { notes_by_pk(id: $id) { body } }", {"id": 3}, {"body": "three"}),
        ("subscription ($id: Int!) { notes_by_pk(id: $id) { body } }", {"id": 4}, None),
        ("subscription { notes_aggregate { aggregate { count max { rank } } } }", {}, {"aggregate": {"count": 2, "max": {"rank": 2}}}),
        ("subscription ($l: Int, $o: Int) { notes(limit: $l, offset: $o, order_by: {id: asc}) { id } }", {"l": 1, "o": 1}, [{"id": 3}]),
        ("subscription ($w: notes_bool_exp!) { notes(where: $w) { id } }", {"w": {"body": {"_in": ["one", "a,b", 'c"d']}}}, [{"id": 1}]),
        ("subscription ($b: String!) { notes(where: {body: {_like: $b}}) { id } }", {"b": "thr%"}, [{"id": 3}]),
        ("query Q { notes { id } } subscription S { notes(where: {id: {_eq: 1}}) { id } }", None, [{"id": 1}]),
    ],
)  # fmt: skip
async def test_every_kind_of_read(engine: Engine, text: str, variables: Any, expected: Any) -> None:
    name = "S" if variables is None else None
    live = engine.subscribe(ONE, {"query": text, "variables": variables, "operationName": name})
    assert live is not None
    assert await data(live) == expected


async def test_values_of_all_types_arrive_as_in_a_query(engine: Engine) -> None:
    declared = "($id: uuid, $tags: [String!], $details: jsonb, $ratio: float8, $on: Boolean, $ids: [uuid!])"
    where = """where: {_or: [{id: {_eq: $id}}, {tags: {_eq: $tags}}, {details: {_contains: $details}}, {ratio: {_gt: $ratio}},
               {on_: {_eq: $on}}, {id: {_in: $ids}}]}"""
    zero = "00000000-0000-0000-0000-000000000000"
    for variables in (
        {"id": zero, "tags": ["a,b", 'c"d'], "details": {"none": 1}, "ratio": 2, "on": False, "ids": [zero]},
        {"id": zero, "tags": [], "details": {"k": [2]}, "ratio": 1e300, "on": False, "ids": []},
        {"id": zero, "tags": [], "details": 1, "ratio": 0.25, "on": False, "ids": [zero, zero]},
        {"id": zero, "tags": ["NULL", "\\"], "details": [None], "ratio": 2.5, "on": True, "ids": [zero]},
        {"id": zero, "tags": ["x"], "details": "{}", "ratio": 2.5, "on": False, "ids": [zero]},
    ):
        expected = await ask(engine, ADMIN, f"query {declared} {{ mixed({where}) {{ tags ratio }} }}", **variables)
        live = subscribe(engine, ADMIN, f"subscription {declared} {{ mixed({where}) {{ tags ratio }} }}", **variables)
        assert {"mixed": await data(live)} == expected
        live.close()


async def test_bound_values_as_text() -> None:
    values = [None, True, 3, 0.5, b"{}", "x", [1, None, 'a"b', ["\\"]]]
    assert [text_of(one) for one in values] == [
        None, "true", "3", "0.5", "{}", "x", '{"1",NULL,"a\\"b",{"\\\\"}}',
    ]  # fmt: skip


async def test_an_answer_that_was_not_taken_is_replaced(engine: Engine) -> None:
    live = subscribe(engine, ONE, NOTES)
    await data(live)
    for body in "abc":
        await ask(
            engine,
            ONE,
            "mutation ($b: String!) { update_notes(where: {}, _set: {body: $b}) { affected_rows } }",
            b=body,
        )
        await asyncio.sleep(3 * TURN)
    assert [one["body"] for one in await data(live)] == ["c", "c"]
    assert await is_quiet(live)


async def test_other_requests_are_not_subscriptions(engine: Engine) -> None:
    assert engine.subscribe(ONE, {"query": "{ notes { id } }"}) is None
    answer = json.loads(await engine.execute(ONE, {"query": NOTES}))
    assert answer["errors"][0]["message"] == "subscriptions are not supported over HTTP, use websockets instead"
    assert answer["errors"][0]["extensions"] == {"path": "$", "code": "unexpected-payload"}


@pytest.mark.parametrize(
    ("text", "message", "path"),
    [
        ("subscription { nothing { id } }", "field 'nothing' not found in type: 'subscription_root'", "$.selectionSet.nothing"),
        ("subscription { a: notes { id } b: notes { id } }", "subscriptions must select one top level field", "$"),
        ("subscription { ...F } fragment F on subscription_root { a: notes { id } b: notes { id } }",
         "subscriptions must select one top level field", "$"),
        ("subscription { notes_stream(batch_size: 1, cursor: []) { id } }", "one streaming column field is expected",
         "$.selectionSet.notes_stream.args"),
        ("subscription { notes_stream(batch_size: 1, cursor: [{initial_value: {id: 0, rank: 0}}]) { id } }",
         "multiple column cursors are not supported yet", "$.selectionSet.notes_stream.args"),
        ("subscription @nope { notes { id } }", 'directive "nope" is not defined in the schema', "$"),
        ("{ notes_stream(batch_size: 1, cursor: []) { id } }", "field 'notes_stream' not found in type: 'query_root'",
         "$.selectionSet.notes_stream"),
    ],
)  # fmt: skip
async def test_refusals(engine: Engine, text: str, message: str, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        subscribe(engine, ONE, text)
    assert (caught.value.message, caught.value.path) == (message, path)
    assert not engine._live.groups


async def test_hasuras_directive_for_several_root_fields(engine: Engine) -> None:
    text = "subscription @_multiple_top_level_fields { a: notes_by_pk(id: 1) { id } b: notes(where: {id: {_eq: 3}}) { id } }"
    live = subscribe(engine, ONE, text)
    assert await following(live) == {"data": {"a": {"id": 1}, "b": [{"id": 3}]}}
    introspected = await ask(engine, ONE, "{ __schema { directives { name } } }")
    assert "_multiple_top_level_fields" not in json.dumps(introspected)


async def test_a_value_that_cannot_be_read_ends_it_also_while_there_are_no_rows(engine: Engine) -> None:
    text = "subscription ($id: uuid!) { mixed(where: {id: {_eq: $id}}) { ratio } }"
    await engine.run_sql("DELETE FROM mixed")
    good = subscribe(engine, ADMIN, text, id="00000000-0000-0000-0000-000000000000")
    bad = subscribe(engine, ADMIN, text, id="no uuid")
    assert await data(good) == []
    with pytest.raises(Refusal, match='invalid input syntax for type uuid: "no uuid"'):
        await anext(bad)
    await engine.run_sql("INSERT INTO mixed (id, ratio) VALUES ('00000000-0000-0000-0000-000000000000', 7)")
    assert await data(good) == [{"ratio": 7.0}]


async def test_a_fault_in_the_rows_is_told_once_and_passes(engine: Engine) -> None:
    """Two subscribers in one statement: the fault reaches the one whose values made it."""
    text = "subscription ($p: String!) { notes(where: {body: {_regex: $p}}) { id } }"
    await engine.run_sql("UPDATE notes SET body = NULL")
    failing, other = subscribe(engine, ONE, text, p="("), subscribe(engine, ONE, text, p="x")
    assert (await data(failing), await data(other)) == ([], [])
    await engine.run_sql("UPDATE notes SET body = 'x'")
    assert await data(other) == [{"id": 1}, {"id": 3}]
    answer = await following(failing)
    assert answer["errors"][0]["extensions"] == {"path": "$", "code": "data-exception"}
    assert await is_quiet(failing)
    await engine.run_sql("UPDATE notes SET body = NULL")
    assert (await data(failing), await data(other)) == ([], [])


# ── what is shared, and what is not ─────────────────────────────────────────────────────────────────────────────────────


async def test_equal_subscribers_share_one_statement(engine: Engine, recorder: Recorder) -> None:
    many = [subscribe(engine, ONE, NOTES) for _ in range(50)]
    assert [await data(one) for one in many] == [[{"id": 1, "body": "one"}, {"id": 3, "body": "three"}]] * 50
    statements = await recorder.during(10.5 * TURN)
    assert 3 <= len(statements) <= 11
    assert len({text for text, _ in statements}) == 1


async def test_other_variables_share_one_statement_up_to_100(engine: Engine, recorder: Recorder) -> None:
    text = "subscription ($id: Int!) { notes(where: {id: {_lte: $id}}, order_by: {id: asc}) { id } }"
    many = [subscribe(engine, ADMIN, text, id=i) for i in range(150) for _ in range(2)]
    for i, one in enumerate(many):
        assert await data(one) == [{"id": n} for n in range(1, 5) if n <= i // 2]
    statements = await recorder.during(10.5 * TURN)
    assert {len(arguments[-1]) for _, arguments in statements} == {100, 50}
    assert 6 <= len(statements) <= 22
    await ask(engine, ADMIN, "mutation { insert_notes_one(object: {id: 120}) { id } }")
    for i, one in enumerate(many):
        if i // 2 >= 120:
            assert (await data(one))[-1] == {"id": 120}
    assert await is_quiet(many[0])


async def test_500_subscribers(engine: Engine, recorder: Recorder) -> None:
    many = [subscribe(engine, ONE if i % 2 else TWO, NOTES) for i in range(500)]
    await asyncio.gather(*(data(one) for one in many))
    assert len(engine._live.tasks) == 2
    statements = await recorder.during(5.5 * TURN)
    assert len(statements) <= 12
    await ask(engine, ONE, 'mutation { update_notes(where: {id: {_eq: 1}}, _set: {body: "new"}) { affected_rows } }')
    changed = await asyncio.gather(*(data(one) for one in many[1::2]))
    assert all(one[0] == {"id": 1, "body": "new"} for one in changed)
    assert await is_quiet(many[0])


async def test_organizations_never_share_a_statement(engine: Engine, recorder: Recorder) -> None:
    text = """subscription ($w: notes_bool_exp!, $n: Int) {
      notes(where: $w, limit: $n, order_by: {id: asc}) { id organization_id }
    }"""
    asked = [(caller, n) for n in range(1, 5) for caller in (ONE, TWO, ADMIN)]
    subscriptions = [(caller, n, subscribe(engine, caller, text, w={"rank": {"_lte": 9}}, n=n)) for caller, n in asked]
    rows = {1: [1, 3], 2: [2, 4], None: [1, 2, 3, 4]}
    for caller, n, one in subscriptions:
        assert [row["id"] for row in await data(one)] == rows[caller.organization][:n]
    recorder.statements.clear()
    await asyncio.sleep(3 * TURN)
    bound = {arguments[0] for statement, arguments in recorder.statements if '"organization_id" = $1' in statement}
    assert bound == {1, 2}
    assert all("organization" not in json.dumps(arguments[1:]) for _, arguments in recorder.statements)
    assert len(engine._live.groups) == 3


@pytest.mark.parametrize(
    "where",
    [
        {"organization_id": {"_eq": 2}},
        {"_or": [{"organization_id": {"_in": [1, 2]}}, {"_not": {}}]},
        {"id": {"_in": [1, 2, 3, 4]}},
        {},
    ],
)
async def test_the_second_lock_holds_for_live_queries_and_streams(engine: Engine, where: Any) -> None:
    live = subscribe(
        engine, ONE, "subscription ($w: notes_bool_exp!) { notes(where: $w) { id organization_id } }", w=where
    )
    assert all(one["organization_id"] == 1 for one in await data(live))
    stream = subscribe(engine, ONE, STREAM, **{"from": 0, "size": 10, "where": where})
    try:
        found = await following(stream, 3 * TURN)
        assert [one["id"] for one in found["data"]["notes_stream"]] == [1, 3]
    except TimeoutError:
        assert where == {"organization_id": {"_eq": 2}}
    inner = "subscription { notes_aggregate { aggregate { count } nodes { id } } }"
    assert (await data(subscribe(engine, ONE, inner)))["aggregate"] == {"count": 2}


async def test_relationships_stay_inside_the_organization(engine: Engine) -> None:
    stream = """subscription { notes_stream(batch_size: 9, cursor: {initial_value: {id: 0}}) { id replies { id } } }"""
    assert await data(subscribe(engine, ONE, stream)) == [{"id": 1, "replies": [{"id": 1}]}, {"id": 3, "replies": []}]
    live = "subscription { notes(order_by: {id: asc}) { replies { id } } }"
    assert await data(subscribe(engine, TWO, live)) == [{"replies": [{"id": 2}]}, {"replies": []}]


OWN_ROWS = {"body": {"_eq": "X-Hasura-User"}}


def permit(engine: Engine, **select: SelectPermission) -> None:
    """Gives roles a select permission on notes, as the metadata requests do."""
    notes = engine.catalog.tables["notes"]
    permissions = {role: RolePermissions(select=one) for role, one in select.items()}
    tables = {**engine.catalog.tables, "notes": replace(notes, permissions=permissions)}
    engine._reading = _Reading(replace(engine.catalog, tables=tables), stringify_numeric=False)
    engine._live.changed()


async def test_roles_and_session_variables(engine: Engine, recorder: Recorder) -> None:
    """Callers of one role differ by their session variables alone: one statement, and everybody's own rows."""
    permit(
        engine,
        user=SelectPermission(("id", "body"), OWN_ROWS),
        reader=SelectPermission(None, {}, limit=2),
    )
    users = {
        name: subscribe(engine, Caller(role="user", session={"x-hasura-user": name, "x-hasura-role": "user"}), NOTES)
        for name in ("one", "two", "nobody", "') OR true --", "{1}")
    }
    reader = subscribe(engine, Caller(role="reader"), NOTES)
    admin = subscribe(engine, ADMIN, NOTES)
    assert {name: [row["id"] for row in await data(one)] for name, one in users.items()} == {
        "one": [1], "two": [2], "nobody": [], "') OR true --": [], "{1}": [],
    }  # fmt: skip
    assert [row["id"] for row in await data(reader)] == [1, 2]
    assert [row["id"] for row in await data(admin)] == [1, 2, 3, 4]
    statements = dict(await recorder.during(3 * TURN))
    assert len(statements) == 3, "a statement for each role"
    assert sorted(len(arguments[-1]) for arguments in statements.values() if arguments) == [5]
    permit(engine)  # takes them away: no one may go on
    for one in (*users.values(), reader):
        with pytest.raises(Refusal):
            await following(one)
    assert await is_quiet(admin)


async def test_a_role_bound_to_an_organization_has_both_locks(engine: Engine) -> None:
    permit(engine, user=SelectPermission(None, {"rank": {"_lte": "x-hasura-rank"}}, limit=1))
    for organization, rank, expected in ((1, 1, [1]), (1, 9, [1]), (2, 9, [2]), (3, 9, [])):
        caller = Caller("user", organization, {"x-hasura-rank": str(rank)})
        assert [row["id"] for row in await data(subscribe(engine, caller, NOTES))] == expected
        stream = subscribe(engine, caller, STREAM, **{"from": 0, "size": 10})
        found: list[int] = []
        with suppress(TimeoutError):
            while True:
                found += [row["id"] for row in (await following(stream, 3 * TURN))["data"]["notes_stream"]]
        assert found == {(1, 1): [1], (1, 9): [1, 3], (2, 9): [2, 4]}.get((organization, rank), [])


async def test_what_a_role_may_not_see_is_no_subscription(engine: Engine) -> None:
    permit(engine, user=SelectPermission(("body",), OWN_ROWS, subscription_root_fields=frozenset({"select"})))
    caller = Caller("user", session={"x-hasura-user": "one"})
    assert await data(subscribe(engine, caller, "subscription { notes { body } }")) == [{"body": "one"}]
    for text in (
        NOTES,
        "subscription { notes_by_pk(id: 1) { body } }",
        "subscription { notes_aggregate { aggregate { count } } }",
        'subscription { notes_stream(batch_size: 1, cursor: {initial_value: {body: ""}}) { body } }',
        "subscription { replies { id } }",
    ):
        with pytest.raises(Refusal, match="not found in type"):
            subscribe(engine, caller, text)
    permit(engine, user=SelectPermission(("body",), OWN_ROWS))
    hidden = "subscription { notes_stream(batch_size: 1, cursor: {initial_value: {rank: 0}}) { body } }"
    with pytest.raises(Refusal, match="field 'rank' not found in type: 'notes_stream_cursor_value_input'"):
        subscribe(engine, caller, hidden)
    with pytest.raises(Refusal, match='missing session variable: "x-hasura-user"'):
        subscribe(engine, Caller("user"), "subscription { notes { body } }")


async def test_the_last_to_go_takes_the_statement_along(engine: Engine, recorder: Recorder) -> None:
    first, second = subscribe(engine, ONE, NOTES), subscribe(engine, ONE, NOTES)
    await data(first)
    await data(second)
    first.close()
    first.close()
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    assert await recorder.during(3 * TURN)
    second.close()
    assert await recorder.during(3 * TURN) == []
    assert not engine._live.tasks


async def test_a_statement_that_runs_is_cancelled_with_the_last(engine: Engine, database: str) -> None:
    await engine.run_sql("""
        CREATE VIEW slow AS SELECT 1 AS id, 1 AS organization_id, pg_sleep(60)::text AS slept;
        CREATE TABLE other (id integer)""")
    live = subscribe(engine, ONE, "subscription { slow { slept } }")
    other = await asyncpg.connect(database)
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%\"slow\"%' AND pid <> pg_backend_pid()"

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while await other.fetchval(running) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    await until(1)
    live.close()
    await until(0)
    await other.close()


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_sends_batches_in_order_and_then_nothing(engine: Engine) -> None:
    await engine.run_sql("INSERT INTO notes (organization_id) SELECT 1 FROM generate_series(1, 5)")
    stream = subscribe(engine, ONE, STREAM, **{"from": 1, "size": 2})
    found = [[one["id"] for one in await data(stream)] for _ in range(3)]
    assert found == [[3, 5], [6, 7], [8, 9]]
    assert await is_quiet(stream)
    await ask(engine, ONE, "mutation { insert_notes(objects: [{body: null}, {body: null}]) { affected_rows } }")
    assert [one["id"] for one in await data(stream)] == [10, 11]
    await ask(engine, ONE, 'mutation { update_notes(where: {}, _set: {body: "changed"}) { affected_rows } }')
    assert await is_quiet(stream)


async def test_a_stream_backwards_by_another_column(engine: Engine) -> None:
    text = """subscription ($at: timestamptz!) {
      notes_stream(batch_size: 1, cursor: {initial_value: {at: $at}, ordering: DESC}) { id }
    }"""
    await engine.run_sql("UPDATE notes SET at = '2024-01-01'::timestamptz + id * interval '1 microsecond'")
    stream = subscribe(engine, ONE, text, at="2025-01-01T00:00:00+02:00")
    assert [(await data(stream))[0]["id"] for _ in range(2)] == [3, 1]
    assert await is_quiet(stream)


async def test_equal_rows_at_the_end_of_a_batch_belong_to_it(engine: Engine) -> None:
    await engine.run_sql(
        "UPDATE notes SET rank = 1 + (id > 8)::int; INSERT INTO notes (organization_id, rank) SELECT 1, 1 + i % 2 FROM generate_series(1, 8) i"
    )
    stream = subscribe(
        engine, ONE, "subscription { notes_stream(batch_size: 3, cursor: {initial_value: {rank: 0}}) { rank } }"
    )
    assert [len(await data(stream)) for _ in range(2)] == [6, 4]
    assert await is_quiet(stream)


@pytest.mark.parametrize("kind", ["uuid", "text", "numeric", "float8", "boolean", "int8", "jsonb"])
async def test_cursors_of_many_types(engine: Engine, kind: str) -> None:
    values = {
        "uuid": ["00000000-0000-0000-0000-000000000001", "10000000-0000-0000-0000-000000000000"],
        "text": ['a"b', "ä{,}"], "numeric": ["1.5", "12345678901234567890.123"], "float8": ["0.1", "1e300"],
        "boolean": ["false", "true"], "int8": ["5", "9007199254740993"], "jsonb": ['{"a": 1}', '{"a": 2}'],
    }[kind]  # fmt: skip
    start = {"uuid": "00000000-0000-0000-0000-000000000000", "text": "", "boolean": False, "jsonb": None}.get(kind, 0)
    await engine.run_sql(f"CREATE TABLE typed (value {kind}, n integer)")
    connection = await asyncpg.connect(engine._database._dsn)
    for n, value in enumerate(values):
        await connection.execute(f"INSERT INTO typed VALUES ('{value}'::text::{kind}, {n})")
    await connection.close()
    stream = subscribe(
        engine, ADMIN,
        f"subscription ($v: {'Boolean' if kind == 'boolean' else 'String' if kind == 'text' else 'bigint' if kind == 'int8' else kind}!) {{ typed_stream(batch_size: 1, cursor: {{initial_value: {{value: $v}}}}) {{ n }} }}",
        v=start if kind != "jsonb" else {},
    )  # fmt: skip
    found = [(await data(stream))[0]["n"] for _ in range(2 - (kind == "boolean"))]
    assert found == ([1] if kind == "boolean" else [0, 1])
    assert await is_quiet(stream)


async def test_streams_share_a_statement_and_each_keeps_its_place(engine: Engine, recorder: Recorder) -> None:
    await engine.run_sql("INSERT INTO notes (organization_id) SELECT 1 FROM generate_series(1, 30)")
    streams = [subscribe(engine, ONE, STREAM, **{"from": i, "size": 100}) for i in range(20)]
    for i, one in enumerate(streams):
        assert [row["id"] for row in await data(one)] == [n for n in (1, 3, *range(5, 35)) if n > i]
    statements = await recorder.during(5.5 * TURN)
    assert len(statements) <= 7
    assert all(len(arguments[-1]) == 1 for _, arguments in statements[2:]), "all have come to the same place"


async def test_a_stream_that_is_not_read_is_not_asked_again(engine: Engine, recorder: Recorder) -> None:
    await engine.run_sql("INSERT INTO notes (organization_id) SELECT 1 FROM generate_series(1, 30)")
    stream = subscribe(engine, ONE, STREAM, **{"from": 0, "size": 4})
    await asyncio.sleep(3 * TURN)
    assert await recorder.during(3 * TURN) == []
    found: list[int] = []
    while len(found) < 32:
        batch = [one["id"] for one in await data(stream)]
        assert len(batch) == 4
        found += batch
    assert found == [1, 3, *range(5, 35)]


async def test_rows_of_many_writers_come_once_and_in_order(engine: Engine, database: str) -> None:
    """Writers that take turns in the order of their numbers (a lock), as a cursor needs it: no number is seen before a smaller one."""
    await engine.run_sql("DELETE FROM replies; DELETE FROM notes")
    pool = await asyncpg.create_pool(database, min_size=4, max_size=4)

    async def write(writer: int) -> None:
        for _ in range(40):
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE notes IN SHARE ROW EXCLUSIVE MODE")
                await connection.execute(
                    "INSERT INTO notes (organization_id, body) SELECT o, $1 FROM generate_series(1, 2) o", str(writer)
                )

    streams = {o: subscribe(engine, Caller(organization=o), STREAM, **{"from": 0, "size": 7}) for o in (1, 2)}

    async def read(organization: int) -> list[int]:
        found: list[int] = []
        while len(found) < 160:
            found += [one["id"] for one in await data(streams[organization])]
        return found

    *_, ones, twos = await asyncio.gather(*(write(i) for i in range(4)), read(1), read(2))
    await pool.close()
    assert await is_quiet(streams[1])
    for organization, found in ((1, ones), (2, twos)):
        rows = await ask(engine, Caller(organization=organization), "{ notes(order_by: {id: asc}) { id } }")
        assert found == [one["id"] for one in rows["notes"]]


# ── the database goes away, the tables change, the engine ends ──────────────────────────────────────────────────────────


async def test_the_database_goes_away_and_comes_back(engine: Engine, server: str, database: str) -> None:
    live, stream = subscribe(engine, ONE, NOTES), subscribe(engine, ONE, STREAM, **{"from": 0, "size": 9})
    await data(live)
    await data(stream)
    name = urlsplit(database).path.removeprefix("/")
    other = await asyncpg.connect(server)
    await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    for one in (live, stream):
        error = (await following(one))["errors"][0]
        assert error["extensions"] == {"path": "$", "code": "unexpected"}
        assert name not in json.dumps(error)
    late = subscribe(engine, TWO, NOTES)
    assert list(await following(late)) == ["errors"]
    assert await is_quiet(late)
    await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await other.close()
    assert [one["id"] for one in await data(late)] == [2, 4]
    assert [one["id"] for one in await data(live)] == [1, 3]
    await ask(engine, ONE, "mutation { insert_notes_one(object: {id: 77}) { id } }")
    assert await data(stream) == [{"id": 77}]
    assert len(await data(live)) == 3


async def test_changed_tables(engine: Engine) -> None:
    live, stream = subscribe(engine, ONE, NOTES), subscribe(engine, ONE, STREAM, **{"from": 0, "size": 9})
    rank = subscribe(engine, ONE, "subscription { notes(order_by: {id: asc}) { rank } }")
    await data(live)
    await data(stream)
    await data(rank)
    await engine.run_sql("ALTER TABLE notes ADD COLUMN more text")
    assert all(await asyncio.gather(is_quiet(live), is_quiet(stream)))
    await engine.run_sql("ALTER TABLE notes DROP COLUMN rank, ALTER COLUMN body TYPE text USING body || '!'")
    assert (await data(live))[0] == {"id": 1, "body": "one!"}
    with pytest.raises(Refusal, match="field 'rank' not found in type: 'notes'"):
        while True:  # it may have been asked for before the change was known
            assert list(await following(rank)) == ["errors"]
    await engine.run_sql("INSERT INTO notes (organization_id) VALUES (1)")
    assert await data(stream) == [{"id": 5}]


async def test_the_engine_closes(database: str) -> None:
    engine = await Engine.connect(database, live_interval=TURN)
    live = subscribe(engine, ONE, NOTES)
    await data(live)
    waiting = asyncio.create_task(anext(live))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert not engine._live.tasks
