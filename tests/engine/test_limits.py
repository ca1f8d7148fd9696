"""The edges: the widest table, the deepest document, the longest names, the largest inserts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN, ONE = Caller(), Caller(organization=1)
LONG = "n" * 63
SETUP = f"""
DROP SCHEMA public CASCADE; CREATE SCHEMA public;
CREATE TABLE nodes (
    id integer PRIMARY KEY, organization_id integer, name text, rank integer, tags text[], body jsonb,
    parent_id integer REFERENCES nodes (id));
INSERT INTO nodes (id, organization_id, name, parent_id) VALUES (1, 1, 'root', NULL), (2, 1, 'child', 1), (3, 2, 'other', 1);
CREATE TABLE {LONG} ({"c" * 63} integer PRIMARY KEY, {"d" * 63} text);
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=2)
    await engine.run_sql(SETUP)
    yield engine
    await engine.close()


async def ask(engine: Engine, query: str, variables: Any = None, caller: Caller = ADMIN) -> Any:
    return json.loads(await engine.execute(caller, {"query": query, "variables": variables}))


def message(answer: Any) -> str:
    assert list(answer) == ["errors"], str(answer)[:300]
    return answer["errors"][0]["message"]


# ── width ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def wide(engine: Engine) -> AsyncIterator[list[str]]:
    """The names of the columns of a table with as many as PostgreSQL allows."""
    columns = [f"c{i}" for i in range(1, 1600)]
    await engine.run_sql(f"CREATE TABLE wide (id integer PRIMARY KEY, {', '.join(f'{c} smallint' for c in columns)});")
    yield columns
    await engine.run_sql("DROP TABLE wide")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_table_of_1600_columns(engine: Engine, wide: list[str]) -> None:
    row = {"id": 1} | {c: i % 100 for i, c in enumerate(wide)}
    insert = "mutation ($r: [wide_insert_input!]!) { insert_wide(objects: $r) { affected_rows returning { %s } } }"
    everything = "id " + " ".join(wide)
    answer = await ask(engine, insert % everything, {"r": [row]})
    assert answer == {"data": {"insert_wide": {"affected_rows": 1, "returning": [row]}}}
    assert await ask(engine, f"{{ wide {{ {everything} }} }}") == {"data": {"wide": [row]}}
    where = {c: {"_eq": row[c]} for c in row}
    answer = await ask(engine, f"query ($w: wide_bool_exp) {{ wide(where: $w) {{ {everything} }} }}", {"w": where})
    assert answer == {"data": {"wide": [row]}}
    # All columns are changed, and all of them are summed.
    changed = await ask(
        engine,
        "mutation ($s: wide_set_input) { update_wide(where: {}, _set: $s) { affected_rows } }",
        {"s": dict.fromkeys(wide, 7)},
    )
    assert changed == {"data": {"update_wide": {"affected_rows": 1}}}
    summed = await ask(engine, f"{{ wide_aggregate {{ aggregate {{ sum {{ {' '.join(wide)} }} }} }} }}")
    assert summed["data"]["wide_aggregate"]["aggregate"]["sum"] == dict.fromkeys(wide, 7)


async def test_more_values_than_a_row_has_columns(engine: Engine) -> None:
    """PostgreSQL's select lists end at 1,664: more fields of one object are an error that says nothing of the statement."""
    fields = " ".join(f"a{i}: id" for i in range(1700))
    assert message(await ask(engine, f"{{ nodes_by_pk(id: 1) {{ {fields} }} }}")) == "database query error"


# ── depth ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def nested(depth: int, inner: str = "id") -> str:
    return f"{{ nodes_by_pk(id: 2) {'{ parent ' * depth}{{ {inner} }}{' }' * depth} }}"


@pytest.mark.parametrize("caller", [ADMIN, ONE], ids=["admin", "bound"])
async def test_documents_of_depth_50(engine: Engine, caller: Caller) -> None:
    await engine.run_sql("UPDATE nodes SET parent_id = 1 WHERE id = 1")
    answer: Any = (await ask(engine, nested(50), caller=caller))["data"]["nodes_by_pk"]
    for _ in range(50):
        answer = answer["parent"]
    assert answer == {"id": 1}
    await engine.run_sql("UPDATE nodes SET parent_id = NULL WHERE id = 1")

    text = f"{{ nodes(where: {'{parent: ' * 49}{{}}{'}' * 49}) {{ id }} }}"
    assert await ask(engine, text, caller=caller) == {"data": {"nodes": []}}
    where: Any = {"id": {"_eq": 2}}
    for number in range(50):
        where = {"_not": where} if number % 2 else {"_and": [where]}
    found = await ask(
        engine, "query ($w: nodes_bool_exp) { nodes(where: $w, order_by: {id: asc}) { id } }", {"w": where}, caller
    )
    assert [row["id"] for row in found["data"]["nodes"]] == ([2] if 25 % 2 == 0 else [1, 3] if caller is ADMIN else [1])


@pytest.mark.parametrize("depth", [400, 3_000, 100_000])
async def test_absurd_depth_is_refused_or_answered_and_the_engine_goes_on(engine: Engine, depth: int) -> None:
    where: Any = {}
    for _ in range(min(depth, 3_000)):
        where = {"_not": where}
    bodies: list[tuple[str, Any]] = [
        (nested(depth), None),
        (f"{{ nodes(where: {'{_not: ' * depth}{{}}{'}' * depth}) {{ id }} }}", None),
        (f"{{ nodes(where: {{body: {{_eq: {'[' * depth}{']' * depth}}}}}) {{ id }} }}", None),
        ("query ($w: nodes_bool_exp) { nodes(where: $w) { id } }", {"w": where}),
    ]
    for query, variables in bodies:
        answer = await ask(engine, query, variables)
        if "errors" in answer:
            assert message(answer) in (
                "not a valid graphql query",
                "the request is nested too deeply",
                "database query error",
                "stack depth limit exceeded",
            )
        assert (await ask(engine, "{ nodes_by_pk(id: 1) { id } }"))["data"]


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_names_of_63_bytes(engine: Engine) -> None:
    first, second = "c" * 63, "d" * 63
    insert = f'mutation {{ insert_{LONG}_one(object: {{{first}: 1, {second}: "x"}}) {{ {first} }} }}'
    assert await ask(engine, insert) == {"data": {f"insert_{LONG}_one": {first: 1}}}
    read = f"{{ {LONG}(order_by: {{{first}: asc}}) {{ {first} {second} }} {LONG}_aggregate {{ aggregate {{ max {{ {first} }} }} }} }}"
    assert await ask(engine, read) == {
        "data": {LONG: [{first: 1, second: "x"}], f"{LONG}_aggregate": {"aggregate": {"max": {first: 1}}}}
    }


@pytest.mark.parametrize("length", [62, 63, 64, 200])
async def test_long_aliases_and_their_twins(engine: Engine, length: int) -> None:
    """Names that differ only behind PostgreSQL's 63 bytes stay two, at each place where a key can stand."""
    one, two = "a" * length + "1", "a" * length + "2"
    text = f"""{{
      {one}: nodes(where: {{id: {{_eq: 2}}}}) {{ {one}: id {two}: name {one}x: parent {{ {one}: id {two}: name }}
        {two}x: nodes {{ {one}: id {two}: id }} }}
      {two}: nodes_aggregate(order_by: {{id: asc}}) {{ {one}: aggregate {{ {one}: count {two}: max {{ {one}: id {two}: id }} }}
        {two}: nodes {{ {one}: id {two}: name }} }}
    }}"""
    nodes = [{one: 1, two: "root"}, {one: 2, two: "child"}]
    expected = {
        one: [{one: 2, two: "child", f"{one}x": {one: 1, two: "root"}, f"{two}x": []}],
        two: {one: {one: 2, two: {one: 2, two: 2}}, two: nodes},
    }
    assert await ask(engine, text, caller=ONE) == {"data": expected}
    text = f'mutation {{ update_nodes(where: {{id: {{_eq: 2}}}}, _set: {{name: "child"}}) {{ {one}: affected_rows {two}: returning {{ {one}: id {two}: name }} }} }}'
    assert await ask(engine, text, caller=ONE) == {"data": {"update_nodes": {one: 1, two: [{one: 2, two: "child"}]}}}


# ── amounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("caller", [ADMIN, ONE], ids=["admin", "bound"])
@pytest.mark.parametrize("form", ["alike", "mixed", "array column"])
async def test_an_insert_of_10_000_rows(engine: Engine, caller: Caller, form: str) -> None:
    """More values than a statement has parameters (32,767): rows travel as one array a column."""
    rows: list[dict[str, Any]] = [
        {"id": 100_000 + i, "name": f"n{i}", "rank": i, "body": {"i": i}} for i in range(10_000)
    ]
    for i, row in enumerate(rows):
        if form == "mixed" and i % 3 == 0:
            del row["name"]
        if form == "array column":
            row["tags"] = [str(i), 'a"b,']
    text = "mutation ($r: [nodes_insert_input!]!) { insert_nodes(objects: $r) { affected_rows } }"
    assert await ask(engine, text, {"r": rows}, caller) == {"data": {"insert_nodes": {"affected_rows": 10_000}}}
    text = "{ nodes_aggregate(where: {id: {_gte: 100000}}) { aggregate { count sum { rank } names: count(columns: name) } } }"
    names = 10_000 if form != "mixed" else 6_666
    found = await ask(engine, text, caller=caller)
    assert found["data"]["nodes_aggregate"]["aggregate"] == {
        "count": 10_000,
        "sum": {"rank": 49_995_000},
        "names": names,
    }
    if form == "array column":
        found = await ask(engine, "{ nodes_by_pk(id: 100007) { tags body organization_id } }", caller=caller)
        organization = 1 if caller is ONE else None
        assert found["data"]["nodes_by_pk"] == {
            "tags": ["7", 'a"b,'],
            "body": {"i": 7},
            "organization_id": organization,
        }
    deleted = await ask(
        engine,
        "mutation ($i: [Int!]!) { delete_nodes(where: {id: {_in: $i}}) { affected_rows } }",
        {"i": [row["id"] for row in rows]},
        caller,
    )
    assert deleted == {"data": {"delete_nodes": {"affected_rows": 10_000}}}


async def test_more_rows_than_fit_in_one_statement_are_refused_whole(engine: Engine) -> None:
    """Rows that nest something cannot be folded into arrays."""
    rows = [{"id": 200_000 + i, "name": "n", "rank": i, "body": 1, "tags": []} for i in range(9_000)]
    literals = ", ".join("{" + ", ".join(f"{k}: {json.dumps(v)}" for k, v in row.items()) + "}" for row in rows)
    text = f"mutation {{ insert_nodes(objects: [{literals}]) {{ affected_rows }} }}"
    answer = await ask(engine, text)
    if "errors" in answer:
        assert message(answer).startswith("too many values for one statement")
    count = "{ nodes_aggregate(where: {id: {_gte: 200000}}) { aggregate { count } } }"
    left = (await ask(engine, count))["data"]["nodes_aggregate"]["aggregate"]["count"]
    assert left == (0 if "errors" in answer else 9_000)
    await ask(engine, "mutation { delete_nodes(where: {id: {_gte: 200000}}) { affected_rows } }")


async def test_a_list_of_many_values(engine: Engine) -> None:
    wanted = list(range(100_000))
    found = await ask(
        engine, "query ($i: [Int!]) { nodes(where: {id: {_in: $i}}, order_by: {id: asc}) { id } }", {"i": wanted}
    )
    assert [row["id"] for row in found["data"]["nodes"]] == [1, 2, 3]
    literal = await ask(engine, f"{{ nodes(where: {{id: {{_nin: {wanted[4:]}}}}}, order_by: {{id: asc}}) {{ id }} }}")
    assert [row["id"] for row in literal["data"]["nodes"]] == [1, 2, 3]


async def test_many_root_fields(engine: Engine) -> None:
    text = "{ " + " ".join(f"f{i}: nodes_by_pk(id: {i % 4}) {{ id }}" for i in range(500)) + " }"
    answer = (await ask(engine, text, caller=ONE))["data"]
    assert answer == {f"f{i}": {"id": i % 4} if i % 4 in (1, 2) else None for i in range(500)}


async def test_a_chain_of_1000_tables(second_database: str) -> None:
    """Types that lead to each other one by one: nothing may go a call deeper for each."""
    engine = await Engine.connect(second_database, pool_size=1)
    try:
        await engine.run_sql(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
            + "".join(
                f"CREATE TABLE t{i} (id integer PRIMARY KEY, n_id integer REFERENCES t{max(i - 1, 0)});"
                for i in range(1000)
            )
        )
        assert await ask(engine, "{ t999 { n { id } } }") == {"data": {"t999": []}}
        names = await ask(engine, "{ __schema { queryType { fields { name } } } }")
        assert {"name": "t999_aggregate"} in names["data"]["__schema"]["queryType"]["fields"]
    finally:
        await engine.run_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        await engine.close()
