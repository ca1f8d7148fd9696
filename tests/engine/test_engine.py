"""The face of the engine: what it answers to good and bad requests, what it caches, and what it never says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from graphql import build_client_schema, get_introspection_query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automio.engine.engine import Caller, Engine
from automio.errors import EngineError

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN, ONE = Caller(), Caller(organization=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str, shop: ModuleType) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=4)
    await engine.run_sql(shop.script())
    yield engine
    await engine.close()


async def ask(engine: Engine, text: Any, variables: Any = None, caller: Caller = ADMIN, **more: Any) -> Any:
    return json.loads(await engine.execute(caller, {"query": text, "variables": variables, **more}))


def message(answer: Any) -> tuple[str, str, str]:
    """(message, code, path) of the one error."""
    assert list(answer) == ["errors"], answer
    (error,) = answer["errors"]
    assert set(error) == {"message", "extensions"}
    assert set(error["extensions"]) == {"path", "code"}
    return error["message"], error["extensions"]["code"], error["extensions"]["path"]


# ── connecting, scripts, reloading ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(EngineError) as caught:
        await Engine.connect("postgresql://me:s3cret@127.0.0.1:1/shop")
    assert "127.0.0.1:1/shop" in str(caught.value)
    assert "s3cret" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


async def test_a_missing_database_says_so(database: str) -> None:
    with pytest.raises(EngineError, match='database "nowhere" does not exist') as caught:
        await Engine.connect(
            database.rpartition("/")[0] + "/nowhere" if "?" not in database else _other(database, "nowhere")
        )
    assert caught.value.sqlstate == "3D000"


def _other(address: str, name: str) -> str:
    head, _, query = address.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


async def test_run_sql_tells_the_line_and_keeps_nothing(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"line 3: ") as caught:
        await engine.run_sql("CREATE TABLE half (id int);\n\nSELECT nonsense FROM half;\n")
    assert caught.value.sqlstate == "42703"
    assert "half" not in engine.catalog.tables


async def test_ddl_is_seen_after_run_sql_and_after_reload(engine: Engine, database: str) -> None:
    assert message(await ask(engine, "{ fresh { id } }"))[0] == "field 'fresh' not found in type: 'query_root'"
    await engine.run_sql("CREATE TABLE fresh (id integer PRIMARY KEY); INSERT INTO fresh VALUES (1)")
    assert await ask(engine, "{ fresh { id } }") == {"data": {"fresh": [{"id": 1}]}}
    connection = await asyncpg.connect(database)
    await connection.execute("ALTER TABLE fresh ADD note text DEFAULT 'n'; ALTER TABLE fresh ALTER id TYPE bigint")
    await connection.close()
    await engine.reload()
    assert await ask(engine, "{ fresh { id note } }") == {"data": {"fresh": [{"id": 1, "note": "n"}]}}
    await engine.run_sql("DROP TABLE fresh")


async def test_a_script_leaves_no_settings_behind(engine: Engine) -> None:
    await engine.run_sql("SET TIME ZONE 'Asia/Tokyo'; SET search_path = nowhere; BEGIN; SELECT 1;")
    assert await ask(engine, '{ countries_by_pk(code: "de") { name } }') == {
        "data": {"countries_by_pk": {"name": "Land de"}}
    }


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ('key "query" not found', "parse-failed", "$")),
        ({"query": 5}, ("expected a string for the query", "parse-failed", "$")),
        ({"query": "{ countries { code } }", "variables": [1]}, ("expected an object for variables", "parse-failed", "$")),
        ({"query": "{ countries { code }"}, ("not a valid graphql query", "validation-failed", "$.query")),
        ({"query": "{" * 100000}, ("not a valid graphql query", "validation-failed", "$.query")),
        ({"query": "query A { countries { code } } query B { countries { code } }"}, ("exactly one operation has to be present in the document when operationName is not specified", "unexpected-payload", "$")),
        ({"query": "query A { countries { code } }", "operationName": "C"}, ("no such operation found in the document: 'C'", "unexpected-payload", "$")),
        ({"query": "subscription { countries { code } }"}, ("subscriptions are not supported over HTTP, use websockets instead", "unexpected-payload", "$")),
        ({"query": "{ countries }"}, ("missing selection set for 'countries'", "validation-failed", "$.selectionSet.countries")),
        ({"query": "{ countries { code { x } } }"}, ("unexpected subselection set for non-object field", "validation-failed", "$.selectionSet.countries.selectionSet.code")),
        ({"query": "{ countries_by_pk { code } }"}, ("missing required field 'code'", "validation-failed", "$.selectionSet.countries_by_pk.args.code")),
        ({"query": "{ countries(nope: 1) { code } }"}, ("'countries' has no argument named 'nope'", "validation-failed", "$.selectionSet.countries")),
        ({"query": "{ countries { ...Nope } }"}, ('reference to undefined fragment "Nope"', "validation-failed", "$.selectionSet.countries.selectionSet")),
        ({"query": "{ countries(limit: $n) { code } }"}, ('unbound variable "n"', "validation-failed", "$.selectionSet.countries.args.limit")),
        ({"query": "query ($n: Int!) { countries(limit: $n) { code } }"}, ('expecting a value for non-nullable variable: "n"', "validation-failed", "$")),
        ({"query": "{ countries { code } }", "variables": {"b": 1, "a": 2}}, ("unexpected variables in variableValues: a, b", "validation-failed", "$")),
        ({"query": "{ app_1_orders(where: {_and: null}) { id } }"}, ("expected a list, but found null", "validation-failed", "$.selectionSet.app_1_orders.args.where._and")),
        ({"query": "{ app_1_orders(where: {_or: [null]}) { id } }"}, ("expected an object for type 'app_1_orders_bool_exp', but found null", "validation-failed", "$.selectionSet.app_1_orders.args.where._or[0]")),
        ({"query": "{ app_1_orders(where: {id: {_in: [1, null]}}) { id } }"}, ("unexpected null value for type 'Int'", "validation-failed", "$.selectionSet.app_1_orders.args.where.id._in[1]")),
        ({"query": "query ($o: [app_1_orders_order_by!]) { app_1_orders(order_by: $o) { id } }", "variables": {"o": [{"id": "up"}]}}, ("expected one of the values ['asc', 'asc_nulls_first', 'asc_nulls_last', 'desc', 'desc_nulls_first', 'desc_nulls_last'] for type 'order_by', but found 'up'", "validation-failed", "$.selectionSet.app_1_orders.args.order_by[0].id")),
        ({"query": "query ($w: app_1_orders_bool_exp) { app_1_orders(where: $w) { id } }", "variables": {"w": "x"}}, ("expected an object for type 'app_1_orders_bool_exp', but found a string", "validation-failed", "$.selectionSet.app_1_orders.args.where")),
        ({"query": "mutation { insert_countries(objects: [{code: \"x\"}, {name: 5}]) { affected_rows } }"}, ("expected a string for type 'String', but found an integer", "validation-failed", "$.selectionSet.insert_countries.args.objects[1].name")),
        ({"query": "mutation ($r: [countries_insert_input!]!) { insert_countries(objects: $r) { affected_rows } }", "variables": {"r": [{"code": "x"}, {"code": 5}]}}, ("expected a string for type 'String', but found an integer", "validation-failed", "$.selectionSet.insert_countries.args.objects[1].code")),
        ({"query": "mutation { update_countries(where: {}) { affected_rows } }"}, ("at least any one of _set is expected", "validation-failed", "$.selectionSet.update_countries.args")),
        ({"query": "mutation { insert_app_1_orders_one(object: {id: 1, on_conflict: 1}) { id } }"}, ("field 'on_conflict' not found in type: 'app_1_orders_insert_input'", "validation-failed", "$.selectionSet.insert_app_1_orders_one.args.object.on_conflict")),
    ],
    ids=lambda value: None if isinstance(value, tuple) else str(value)[:70],
)  # fmt: skip
async def test_refusals_are_in_hasuras_words(
    engine: Engine, body: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert message(json.loads(await engine.execute(ADMIN, body))) == expected


async def test_roles_have_no_permissions_yet(engine: Engine) -> None:
    user = Caller(role="user", session={"x-hasura-user-id": "1"})
    assert (
        message(await ask(engine, "{ countries { code } }", caller=user))[0]
        == "field 'countries' not found in type: 'query_root'"
    )
    assert (
        message(await ask(engine, "mutation { delete_countries(where: {}) { affected_rows } }", caller=user))[0]
        == "no mutations exist"
    )


async def test_an_organization_is_an_integer() -> None:
    for wrong in ("1", True, 1.0):
        with pytest.raises(EngineError):
            Caller(organization=wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("organization", [2**31, -(2**63), 2**200])
async def test_an_organization_out_of_range_owns_nothing(engine: Engine, organization: int) -> None:
    answer = await ask(engine, "{ app_1_orders { id } }", caller=Caller(organization=organization))
    assert answer.get("data", {"app_1_orders": []}) == {"app_1_orders": []}


async def test_nothing_internal_is_said(engine: Engine) -> None:
    """Faults of the database: its primary message at most; no statement, no DETAIL, no stored value."""
    taken = (
        await ask(engine, "{ app_1_orders(where: {sku: {_is_null: false}}, limit: 1, order_by: {id: asc}) { id sku } }")
    )["data"]["app_1_orders"][0]
    texts = [
        f'mutation {{ insert_app_1_orders_one(object: {{id: 77777, sku: "{taken["sku"]}"}}) {{ id }} }}',
        f"mutation {{ update_app_1_orders(where: {{id: {{_eq: {taken['id']}}}}}, _set: {{status: null}}) {{ affected_rows }} }}",
        'mutation { insert_app_1_orders_one(object: {id: 77777, details: {a: 1}, tags: "{"}) { id } }',
        '{ app_1_orders(where: {sku: {_regex: "["}}) { id } }',
        "mutation { update_app_1_orders(where: {}, _delete_elem: {details: 0}) { affected_rows } }",
        'mutation { insert_countries_one(object: {code: "zz"}) { code } }',
    ]
    for text in texts:
        said = json.dumps(await ask(engine, text))
        for word in ("SELECT", "$1", "DETAIL", "Key (", "Failing row", "written", "app_1_orders AS"):
            assert word not in said, said
        assert "errors" in said, text
    assert message(await ask(engine, texts[0])) == (
        'Uniqueness violation. duplicate key value violates unique constraint "app_1_orders_sku_key"',
        "constraint-violation",
        "$.selectionSet.insert_app_1_orders_one.args.object",
    )


async def test_a_failing_root_field_undoes_the_others(engine: Engine) -> None:
    text = """mutation {
        first: insert_countries_one(object: {code: "t1", name: "x"}) { code }
        insert_countries_one(object: {code: "de", name: "x"}) { code }
    }"""
    assert message(await ask(engine, text))[2] == "$.selectionSet.insert_countries_one.args.object"
    assert await ask(engine, '{ countries_by_pk(code: "t1") { code } }') == {"data": {"countries_by_pk": None}}


async def test_root_fields_of_a_mutation_run_in_order(engine: Engine) -> None:
    text = """mutation {
        b: insert_countries_one(object: {code: "t2", name: "1"}) { name }
        __typename
        a: update_countries_by_pk(pk_columns: {code: "t2"}, _set: {name: "2"}) { name customers { id } }
        c: delete_countries_by_pk(code: "t2") { name }
        d: delete_countries_by_pk(code: "t2") { name }
    }"""
    answer = (await engine.execute(ADMIN, {"query": text})).decode()
    assert json.loads(answer)["data"] == {
        "b": {"name": "1"}, "__typename": "mutation_root", "a": {"name": "2", "customers": []}, "c": {"name": "2"}, "d": None,
    }  # fmt: skip
    assert list(json.loads(answer)["data"]) == ["b", "__typename", "a", "c", "d"]


async def test_32_requests_at_once(engine: Engine) -> None:
    """More than the pool has connections; counters would show a lost update."""
    await engine.run_sql(
        "CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL); INSERT INTO counters VALUES (1, 0)"
    )
    text = "mutation { update_counters(where: {n: {_gte: 0}}, _inc: {n: 1}) { affected_rows } }"
    answers = await asyncio.gather(*(ask(engine, text) for _ in range(32)))
    assert all(answer == {"data": {"update_counters": {"affected_rows": 1}}} for answer in answers)
    assert await ask(engine, "{ counters { n } }") == {"data": {"counters": [{"n": 32}]}}
    await engine.run_sql("DROP TABLE counters")


# ── shapes of answers ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_long_keys_and_wide_rows(engine: Engine) -> None:
    """Names longer than PostgreSQL's 63 bytes, and more columns than json_build_object takes pairs."""
    columns = [f"c{i}" for i in range(120)]
    await engine.run_sql(
        f"CREATE TABLE wide ({', '.join(f'{c} integer DEFAULT {i}' for i, c in enumerate(columns))}); INSERT INTO wide DEFAULT VALUES"
    )
    answer = await ask(engine, f"{{ wide {{ {' '.join(columns)} }} }}")
    assert answer == {"data": {"wide": [{c: i for i, c in enumerate(columns)}]}}
    long, other = "k" * 80, "k" * 79 + "j"
    text = f"{{ {long}: wide {{ {long}: c1 {other}: c2 }} wide_aggregate {{ {long}: aggregate {{ {long}: count {other}: max {{ {long}: c1 }} }} {other}: nodes {{ {long}: c3 }} }} }}"
    assert await ask(engine, text) == {
        "data": {
            long: [{long: 1, other: 2}],
            "wide_aggregate": {long: {long: 1, other: {long: 1}}, other: [{long: 3}]},
        }
    }
    text = f"mutation {{ update_wide(where: {{}}, _set: {{c1: 9}}) {{ {long}: affected_rows {other}: returning {{ {long}: c1 }} }} }}"
    assert await ask(engine, text) == {"data": {"update_wide": {long: 1, other: [{long: 9}]}}}
    await engine.run_sql("DROP TABLE wide")


async def test_keys_keep_the_order_of_the_request(engine: Engine) -> None:
    text = "{ z: countries(limit: 1) { name code __typename again: name } a: countries_aggregate { nodes { code } aggregate { count } } }"
    raw = (await engine.execute(ADMIN, {"query": text})).decode()
    data = json.loads(raw)["data"]
    assert [list(data), list(data["z"][0]), list(data["a"])] == [
        ["z", "a"],
        ["name", "code", "__typename", "again"],
        ["nodes", "aggregate"],
    ]


async def test_an_empty_selection_is_an_empty_object(engine: Engine) -> None:
    text = "query ($no: Boolean!) { countries(limit: 1) { code @include(if: $no) } countries_aggregate { aggregate @include(if: $no) { count } } }"
    assert await ask(engine, text, {"no": False}) == {"data": {"countries": [{}], "countries_aggregate": {}}}
    assert await ask(engine, "query ($no: Boolean!) { countries @include(if: $no) { code } }", {"no": False}) == {
        "data": {}
    }


async def test_stringify_numeric(database: str, engine: Engine) -> None:
    await engine.run_sql(
        "CREATE TABLE numbers (a bigint, b numeric, c float8, d real, e integer, f bigint[]); INSERT INTO numbers VALUES (9007199254740993, 1.50, 0.1, 0.5, 7, '{1,2}')"
    )
    text = "{ numbers { a b c d e f } numbers_aggregate { aggregate { count sum { a e } max { b } avg { e } } } }"
    strings = await Engine.connect(database, pool_size=1, stringify_numeric=True)
    try:
        assert await ask(strings, text) == {
            "data": {
                "numbers": [{"a": "9007199254740993", "b": "1.50", "c": "0.1", "d": 0.5, "e": 7, "f": [1, 2]}],
                "numbers_aggregate": {
                    "aggregate": {
                        "count": 1,
                        "sum": {"a": "9007199254740993", "e": 7},
                        "max": {"b": "1.50"},
                        "avg": {"e": 7.0},
                    }
                },
            }
        }
    finally:
        await strings.close()
    assert b'"a":9007199254740993,"b":1.50,"c":0.1' in await engine.execute(ADMIN, {"query": text})
    await engine.run_sql("DROP TABLE numbers")


async def test_values_come_back_as_they_were_sent(engine: Engine) -> None:
    """Every kind of value by literal, by variable and in a list of rows; through RETURNING and through the detour of relationships."""
    await engine.run_sql("""
        CREATE TYPE pair AS (x int, y text);
        CREATE TABLE kinds (id integer PRIMARY KEY, parent_id integer REFERENCES kinds, u uuid, t timestamptz, d date, i interval,
            n numeric, b bytea, j jsonb, js json, a text[], aa int[][], c char(4), v varchar(5), m money, ip inet, r int4range,
            p pair, bo boolean, big bigint, f float8, tm time, du bit(3));
    """)
    row = {
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "t": "2024-02-29T12:00:00.123456+00:00", "d": "2024-02-29", "i": "1 day 02:03:04",
        "n": 1.25, "b": "\\x00ff", "j": {"k": [1, None, {"x": "ü\"\\"}]}, "js": {"z": 1, "a": 2}, "a": ["x", "a,b", "q\"", "\\", "NULL", ""],
        "aa": [[1, 2], [3, 4]], "c": "ab  ", "v": "abcde", "m": "$1.50", "ip": "10.0.0.1", "r": "[1,5)", "p": {"x": 1, "y": "z"},
        "bo": False, "big": 9007199254740993, "f": 0.1, "tm": "10:11:12", "du": "101",
    }  # fmt: skip
    sent = {**row, "p": '(1,"z")'}
    names = " ".join(row)
    text = f"mutation ($r: kinds_insert_input!) {{ insert_kinds_one(object: $r) {{ {names} }} }}"
    assert await ask(engine, text, {"r": {"id": 1, **sent}}) == {"data": {"insert_kinds_one": row}}
    text = f"mutation ($r: [kinds_insert_input!]!) {{ insert_kinds(objects: $r) {{ returning {{ {names} kinds {{ id }} }} }} }}"
    rows = [{"id": 2, **sent}, {"id": 3}]
    empty = dict.fromkeys(row)
    assert await ask(engine, text, {"r": rows}) == {
        "data": {"insert_kinds": {"returning": [{**row, "kinds": []}, {**empty, "kinds": []}]}}
    }
    for name in set(row) - {"js", "j", "p"}:
        kind = engine.catalog.tables["kinds"].columns[name].graphql
        text = f"query ($v: {kind}) {{ kinds(where: {{{name}: {{_eq: $v}}}}, order_by: {{id: asc}}) {{ id }} }}"
        assert await ask(engine, text, {"v": sent[name]}) == {"data": {"kinds": [{"id": 1}, {"id": 2}]}}, name
        assert await ask(engine, text, {"v": sent[name]}, ONE) == {"data": {"kinds": [{"id": 1}, {"id": 2}]}}, name
        text = f"query ($v: [{kind}!]) {{ kinds(where: {{{name}: {{_in: $v}}}}, order_by: {{id: asc}}) {{ id }} }}"
        assert await ask(engine, text, {"v": [sent[name]]}) == {"data": {"kinds": [{"id": 1}, {"id": 2}]}}, name
        assert await ask(engine, text, {"v": []}) == {"data": {"kinds": []}}, name
    await engine.run_sql("DROP TABLE kinds; DROP TYPE pair")


async def test_lists_of_rows_of_different_forms(engine: Engine) -> None:
    """Missing keys take the column's default, or null; the order of `returning` is that of the rows."""
    await engine.run_sql("CREATE TABLE forms (id integer GENERATED BY DEFAULT AS IDENTITY, a text DEFAULT 'd', b text)")
    text = "mutation ($r: [forms_insert_input!]!) { insert_forms(objects: $r) { affected_rows returning { a b } } }"
    rows = [{"b": "1"}, {"a": None, "b": "2"}, {"a": "x"}, {}]
    expected = [{"a": "d", "b": "1"}, {"a": None, "b": "2"}, {"a": "x", "b": None}, {"a": "d", "b": None}]
    assert await ask(engine, text, {"r": rows}) == {
        "data": {"insert_forms": {"affected_rows": 4, "returning": expected}}
    }
    assert await ask(engine, text, {"r": []}) == {"data": {"insert_forms": {"affected_rows": 0, "returning": []}}}
    assert await ask(engine, text, {"r": {"a": "one"}}) == {
        "data": {"insert_forms": {"affected_rows": 1, "returning": [{"a": "one", "b": None}]}}
    }
    many = [{"a": str(i), "b": None if i % 3 else "x"} for i in range(20000)]
    answer = await ask(engine, text, {"r": many})
    assert answer["data"]["insert_forms"]["affected_rows"] == 20000
    assert answer["data"]["insert_forms"]["returning"] == many
    await engine.run_sql("DROP TABLE forms")


async def test_nested_upserts(engine: Engine) -> None:
    await engine.run_sql(
        "CREATE TABLE makers (id integer PRIMARY KEY, name text UNIQUE); CREATE TABLE things (id integer PRIMARY KEY, maker_id integer REFERENCES makers, note text); INSERT INTO makers VALUES (1, 'old')"
    )
    conflict = "on_conflict: {constraint: makers_name_key, update_columns: [name]}"
    text = 'mutation { insert_things(objects: [{id: 1, note: "n", maker: {data: {id: 5, name: "old"}, %s}}]) { affected_rows returning { maker { id } } } }'
    assert await ask(engine, text % conflict) == {
        "data": {"insert_things": {"affected_rows": 2, "returning": [{"maker": {"id": 1}}]}}
    }
    nothing = "on_conflict: {constraint: makers_name_key}"
    said = message(await ask(engine, text % nothing))
    assert said[:2] == (
        'cannot proceed to insert object relation "maker" since insert to table "makers" affects zero rows',
        "not-supported",
    )
    text = 'mutation { insert_makers_one(object: {id: 1, name: "x", things: {data: [{id: 9}]}}, on_conflict: {constraint: makers_pkey}) { id } }'
    assert (
        message(await ask(engine, text))[0]
        == 'cannot proceed to insert array relations since insert to table "makers" affects zero rows'
    )
    text = "mutation { insert_things_one(object: {id: 9, maker_id: 1, maker: {data: {id: 8}}}) { id } }"
    assert message(await ask(engine, text))[1] == "not-supported"
    text = "mutation { insert_makers_one(object: {id: 8, things: {data: [{id: 9, maker_id: 1}]}}) { id } }"
    assert (
        message(await ask(engine, text))[0]
        == 'cannot insert "maker_id" columns as their values are already being determined by parent insert'
    )
    assert await ask(engine, "{ makers(order_by: {id: asc}) { id } things { id } }") == {
        "data": {"makers": [{"id": 1}], "things": [{"id": 1}]}
    }
    await engine.run_sql("DROP TABLE things; DROP TABLE makers")


# ── introspection ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_introspection_gives_the_schema_back(engine: Engine) -> None:
    answer = await ask(engine, get_introspection_query(descriptions=True))
    read = build_client_schema(answer["data"])
    assert set(read.type_map) == set(engine.schema.graphql.type_map)
    assert read.type_map["app_1_orders"].description == 'columns and relationships of "app_1_orders"'


async def test_introspection_beside_data_with_variables(engine: Engine) -> None:
    text = """query ($name: String!, $n: Int) {
        t: __type(name: $name) { name ...Fields }
        countries(limit: $n, order_by: {code: asc}) { code }
        __schema { queryType { name } }
    } fragment Fields on __Type { kind }"""
    for name, kind in (("countries", "OBJECT"), ("order_by", "ENUM")):
        answer = await ask(engine, text, {"name": name, "n": 1})
        assert list(answer["data"]) == ["t", "countries", "__schema"]
        assert answer["data"] == {
            "t": {"name": name, "kind": kind}, "countries": [{"code": "de"}], "__schema": {"queryType": {"name": "query_root"}},
        }  # fmt: skip


async def test_comments_are_descriptions(engine: Engine) -> None:
    await engine.run_sql(
        "CREATE TABLE told (id integer); COMMENT ON TABLE told IS 'a table'; COMMENT ON COLUMN told.id IS 'a column'"
    )
    answer = await ask(engine, '{ __type(name: "told") { description fields { description } } }')
    assert answer == {"data": {"__type": {"description": "a table", "fields": [{"description": "a column"}]}}}
    await engine.run_sql("DROP TABLE told")


# ── plans and caches ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_values_do_not_make_new_plans(engine: Engine) -> None:
    await engine.reload()
    programs = engine._reading._programs
    text = "query ($w: app_1_orders_bool_exp, $n: Int, $o: [app_1_orders_order_by!]) { app_1_orders(where: $w, limit: $n, order_by: $o) { id } }"
    for i in range(20):
        where = {
            "id": {"_in": list(range(i))},
            "status": {"_eq": f"s{i}"},
            "_or": [{"total": {"_gt": i}}, {"details": {"_contains": {"k": i}}}],
        }
        answer = await ask(engine, text, {"w": where, "n": i, "o": {"id": "asc"}}, Caller(organization=i))
        assert "data" in answer
    assert len(programs) == 1
    insert = "mutation ($r: [countries_insert_input!]!) { insert_countries(objects: $r, on_conflict: {constraint: countries_pkey}) { affected_rows } }"
    for i in range(1, 20):
        rows = [{"code": f"x{i}{k}", "name": None if (i + k) % 2 else "n"} for k in range(i)]
        await ask(engine, insert, {"r": rows})
    assert len(programs) == 2
    await ask(engine, text, {"w": {"id": {"_eq": 1}}})
    await ask(engine, text, {"w": {"id": {"_eq": 1}}}, ONE)
    assert len(programs) == 4


async def test_caches_are_bounded(engine: Engine) -> None:
    await engine.reload()
    reading = engine._reading
    for i in range(600):
        await engine.explain(ADMIN, {"query": f"{{ countries(limit: {i}) {{ code }} }}"})
    assert len(reading._admin.documents) == 512
    await engine.explain(ADMIN, {"query": "{ countries { code } }" + " " * 100_000})
    assert len(reading._admin.documents) == 512


async def test_explain_runs_nothing(engine: Engine) -> None:
    before = await ask(engine, "{ countries_aggregate { aggregate { count } } }")
    (statement,) = await engine.explain(ADMIN, {"query": "mutation { delete_countries(where: {}) { affected_rows } }"})
    assert "DELETE FROM" in statement.text
    assert await ask(engine, "{ countries_aggregate { aggregate { count } } }") == before
    with pytest.raises(EngineError, match="not found in type"):
        await engine.explain(ADMIN, {"query": "{ nope }"})


# ── nothing a client sends is raised ────────────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["id", "asc", "2024-01-01", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "_eq",
                    "_in",
                    "_and",
                    "_not",
                    "data",
                    "messages",
                    "customer",
                    "count",
                    "total",
                    "where",
                    "_set",
                    "details",
                    "tags",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
DECLARED = {
    "w": "query ($w: app_1_orders_bool_exp) { app_1_orders(where: $w) { id } }",
    "o": "query ($o: [app_1_orders_order_by!]) { app_1_orders(order_by: $o) { id } }",
    "n": "query ($n: Int) { app_1_orders(limit: $n, offset: $n) { id } }",
    "d": "query ($d: [app_1_orders_select_column!]) { app_1_orders(distinct_on: $d) { id } }",
    "p": "query ($p: String) { app_1_orders { details(path: $p) } }",
    "i": "query ($i: Int!) { app_1_orders_by_pk(id: $i) { id } }",
    "b": "query ($b: Boolean!) { app_1_orders { id @skip(if: $b) } }",
    "r": "mutation ($r: [app_1_orders_insert_input!]!) { insert_app_1_orders(objects: $r) { affected_rows } }",
    "s": "mutation ($s: app_1_orders_set_input) { update_app_1_orders(where: {id: {_eq: 0}}, _set: $s) { affected_rows } }",
    "u": "mutation ($u: [app_1_orders_updates!]!) { update_app_1_orders_many(updates: $u) { affected_rows } }",
    "k": "mutation ($k: app_1_orders_pk_columns_input!) { update_app_1_orders_by_pk(pk_columns: $k, _set: {status: \"x\"}) { id } }",
    "j": "mutation ($j: jsonb) { update_app_1_orders(where: {id: {_eq: 0}}, _set: {details: [{x: $j}]}, _inc: {total: 1}) { affected_rows } }",
}  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(name=st.sampled_from(sorted(DECLARED)), value=JSON, bound=st.booleans())
def check_variables(engine: Engine, loop: asyncio.AbstractEventLoop, name: str, value: Any, bound: bool) -> None:
    body = {"query": DECLARED[name], "variables": {name: value}}
    future = asyncio.run_coroutine_threadsafe(engine.execute(ONE if bound else ADMIN, body), loop)
    answer = json.loads(future.result(30))
    assert list(answer) in (["data"], ["errors"])
    if "errors" in answer:
        assert message(answer)[0] != "database query error", body


async def test_any_variable_is_answered(engine: Engine) -> None:
    await asyncio.to_thread(check_variables, engine, asyncio.get_running_loop())


@pytest.mark.parametrize("value", ["\ud800", "\0", "x" * 100_000, float("inf"), float("nan"), 10**400, -(10**400)])
async def test_odd_scalars_are_answered(engine: Engine, value: Any) -> None:
    for name, kind in (
        ("status", "String"),
        ("total", "numeric"),
        ("id", "Int"),
        ("details", "jsonb"),
        ("paid", "Boolean"),
    ):
        text = f"query ($v: {kind}!) {{ app_1_orders(where: {{{name}: {{_eq: $v}}}}) {{ id }} }}"
        answer = json.loads(await engine.execute(ONE, {"query": text, "variables": {"v": value}}))
        assert list(answer) in (["data"], ["errors"])


async def test_deep_nesting_is_answered(engine: Engine) -> None:
    where: dict[str, Any] = {}
    for _ in range(5000):
        where = {"_not": where}
    answer = await ask(engine, DECLARED["w"], {"w": where})
    assert message(answer)[0] == "the request is nested too deeply"
    literal = "{_not: " * 3000 + "{}" + "}" * 3000
    assert "errors" in await ask(engine, f"{{ app_1_orders(where: {literal}) {{ id }} }}")
