"""The admin's requests against a real database: what they answer, what they refuse, and what is served afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine
from automio.engine.metadata_format import AdminRefusal, read_metadata, write_metadata
from automio.engine.script import first_word, split_script

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETUP = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS sales CASCADE; CREATE SCHEMA sales;
CREATE TABLE colors (value text PRIMARY KEY, comment text);
INSERT INTO colors VALUES ('red', '#F00'), ('blue', '#00F');
CREATE TABLE authors (id integer PRIMARY KEY, "full ""name"" é" text, color text REFERENCES colors);
CREATE TABLE sales.books (id integer PRIMARY KEY, author_id integer NOT NULL REFERENCES authors, title text);
INSERT INTO authors VALUES (1, 'Ann', 'red'), (2, 'Bob', NULL);
INSERT INTO sales.books VALUES (1, 1, 'One'), (2, 1, 'Two');
"""


@pytest_asyncio.fixture(loop_scope="module")
async def engine(database: str) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=2)
    await post(engine, "clear_metadata")
    await post(engine, "run_sql", sql=SETUP, check_metadata_consistency=False)
    yield engine
    await post(engine, "clear_metadata")
    await engine.close()


async def post(engine: Engine, kind: str, **args: Any) -> Any:
    return await engine.admin({"type": kind, "args": args})


async def track(engine: Engine) -> None:
    """All three tables with custom names and both relationships."""
    await post(engine, "pg_track_table", table="colors", is_enum=True)
    config = {"custom_name": "Writer", "column_config": {'full "name" é': {"custom_name": "name"}}}
    await post(engine, "pg_track_table", table="authors", configuration=config)
    books = {"schema": "sales", "name": "books"}
    await post(engine, "pg_track_table", table=books)
    using: dict[str, Any] = {"foreign_key_constraint_on": "author_id"}
    await post(engine, "pg_create_object_relationship", table=books, name="author", using=using)
    using = {"foreign_key_constraint_on": {"table": books, "column": "author_id"}}
    await post(engine, "pg_create_array_relationship", table="authors", name="books", using=using)


async def ask(engine: Engine, query: str, role: str = "admin", **variables: Any) -> Any:
    answer = json.loads(await engine.execute(Caller(role), {"query": query, "variables": variables}))
    return answer["data"] if "data" in answer else answer["errors"][0]["message"]


async def test_names_of_graphql_and_of_postgresql(engine: Engine) -> None:
    await track(engine)
    text = "query ($c: colors_enum) { Writer(where: {color: {_eq: $c}, name: {_like: \"A%\"}}, order_by: {name: asc}) { name books { title author { __typename } } } }"  # fmt: skip
    row = {"name": "Ann", "books": [{"title": t, "author": {"__typename": "Writer"}} for t in ("One", "Two")]}
    assert await ask(engine, text, c="red") == {"Writer": [row]}
    text = "mutation ($r: [Writer_insert_input!]!) { insert_Writer(objects: $r, on_conflict: {constraint: authors_pkey, update_columns: [name]}) { returning { name color } } }"  # fmt: skip
    rows = [{"id": 2, "name": "Bo", "color": "blue"}, {"id": 3, "name": "Cy"}]
    assert await ask(engine, text, r=rows) == {
        "insert_Writer": {"returning": [{"name": "Bo", "color": None}, {"name": "Cy", "color": None}]}
    }
    assert await ask(engine, "{ sales_books_by_pk(id: 1) { title } }") == {"sales_books_by_pk": {"title": "One"}}


async def test_enum_values_are_checked(engine: Engine) -> None:
    await track(engine)
    wanted = "expected one of the values ['blue', 'red'] for type 'colors_enum', but found 'pink'"
    assert await ask(engine, "{ Writer(where: {color: {_in: [red, pink]}}) { id } }") == wanted
    text = "mutation ($r: [Writer_insert_input!]!) { insert_Writer(objects: $r) { affected_rows } }"
    assert await ask(engine, text, r=[{"id": 5, "color": "red"}, {"id": 6, "color": "pink"}]) == wanted
    await post(engine, "run_sql", sql="INSERT INTO colors VALUES ('pink')")
    assert await ask(engine, "{ Writer(where: {color: {_in: [red, pink]}}) { id } }") == {"Writer": [{"id": 1}]}


async def test_what_depends_on_something_keeps_it(engine: Engine) -> None:
    await track(engine)
    with pytest.raises(AdminRefusal, match=r"relationship sales\.books\.author in source") as refused:
        await post(engine, "run_sql", sql="DROP TABLE authors CASCADE")
    assert refused.value.code == "dependency-error"
    assert (await ask(engine, "{ Writer_aggregate { aggregate { count } } }"))["Writer_aggregate"]
    await post(engine, "run_sql", sql="DROP TABLE authors CASCADE", cascade=True)
    assert await ask(engine, "{ Writer { id } }") == "field 'Writer' not found in type: 'query_root'"
    assert await ask(engine, "{ sales_books { title } }")


async def test_renames_are_followed_into_permissions(engine: Engine) -> None:
    await track(engine)
    permission = {"columns": ["title"], "filter": {"_and": [{"author": {"color": {"_eq": "red"}}}, {"id": {"_lt": 2}}]}}
    books = {"schema": "sales", "name": "books"}
    await post(engine, "create_select_permission", table=books, role="reader", permission=permission)
    await post(
        engine,
        "run_sql",
        sql="ALTER TABLE authors RENAME color TO tint; ALTER TABLE sales.books RENAME title TO heading; "
        "ALTER TABLE sales.books RENAME TO volumes; ALTER TABLE authors RENAME TO people",
    )
    assert await ask(engine, "{ sales_volumes { heading } }", "reader") == {"sales_volumes": [{"heading": "One"}]}
    kept = (await post(engine, "export_metadata"))["sources"][0]["tables"]
    assert [one["table"]["name"] for one in kept] == ["colors", "people", "volumes"]
    assert kept[2]["select_permissions"][0]["permission"] == {
        "columns": ["heading"],
        "filter": {"_and": [{"author": {"tint": {"_eq": "red"}}}, {"id": {"_lt": 2}}]},
    }


async def test_metadata_survives_the_engine(engine: Engine, database: str) -> None:
    await track(engine)
    exported = await post(engine, "export_metadata")
    other = await Engine.connect(database, pool_size=1)
    try:
        assert await post(other, "export_metadata") == exported
        assert (await ask(other, "{ Writer(limit: 1) { name } }")) == {"Writer": [{"name": "Ann"}]}
    finally:
        await other.close()
    assert write_metadata(read_metadata(exported)) == exported
    await post(engine, "clear_metadata")
    assert await post(engine, "replace_metadata", **exported) == {"message": "success"}
    assert await post(engine, "export_metadata") == exported


async def test_an_inconsistent_change_is_not_kept(engine: Engine) -> None:
    await track(engine)
    before = await post(engine, "export_metadata")
    with pytest.raises(AdminRefusal, match="no foreign constraint exists"):
        using = {"foreign_key_constraint_on": "id"}
        await post(engine, "create_object_relationship", table="authors", name="other", using=using)
    with pytest.raises(AdminRefusal) as refused:
        await post(engine, "set_table_customization", table="authors", configuration={"custom_name": "sales_books"})
    assert (refused.value.status, refused.value.code) == (500, "unexpected")
    assert await post(engine, "export_metadata") == before


@pytest.mark.parametrize("kind", ["create_event_trigger", "add_remote_schema", "create_action", "pg_add_source"])
async def test_what_is_out_of_scope_is_named(engine: Engine, kind: str) -> None:
    with pytest.raises(AdminRefusal, match=f'"{kind}" is not supported by the local engine') as refused:
        await post(engine, kind, name="x")
    assert refused.value.code == "not-supported"


async def test_a_computed_field_is_kept_and_refused_when_asked_for(engine: Engine) -> None:
    await track(engine)
    body = "CREATE FUNCTION shout(r authors) RETURNS text STABLE LANGUAGE sql AS 'SELECT upper(r.color)'"
    await post(engine, "run_sql", sql=body)
    await post(engine, "add_computed_field", table="authors", name="loud", definition={"function": "shout"})
    assert await ask(engine, "{ Writer { loud } }") == 'computed field "loud" is not supported by the local engine'
    permission = {"columns": "*", "filter": {"loud": {"_eq": "RED"}}}
    await post(engine, "create_select_permission", table="authors", role="reader", permission=permission)
    assert await ask(engine, "{ Writer { id } }", "reader") == "field 'Writer' not found in type: 'query_root'"


@pytest.mark.parametrize(
    ("script", "rows"),
    [
        ("SELECT true AS a, NULL AS a, ARRAY[1, 2] AS c, 1.50 AS d;", [["a", "a", "c", "d"], ["t", None, "{1,2}", "1.50"]]),
        ("SELECT 1; SELECT ';' AS \"x;\" -- ; end", [["x;"], [";"]]),
        ("INSERT INTO colors VALUES ('green') RETURNING value", [["value"], ["green"]]),
        ("SHOW timezone", [["TimeZone"], ["UTC"]]),
        ("WITH w AS (DELETE FROM colors WHERE value = 'blue' RETURNING value) SELECT * FROM w", [["value"], ["blue"]]),
    ],
)  # fmt: skip
async def test_run_sql_answers_the_last_statements_rows(engine: Engine, script: str, rows: Any) -> None:
    assert await post(engine, "run_sql", sql=script) == {"result_type": "TuplesOk", "result": rows}


async def test_a_script_is_split_where_postgresql_would() -> None:
    script = (
        "SELECT $a$;$a$, $$;$$, E'\\';', ';' /* ; /* ; */ ; */ ; -- ;\n; CREATE FUNCTION f() AS $x$ BEGIN; END $x$; "
    )
    assert [first_word(one) for one in split_script(script)] == ["SELECT", "CREATE"]


async def test_graphql_default_naming(engine: Engine) -> None:
    metadata = {
        "version": 3,
        "sources": [
            {
                "name": "default",
                "kind": "postgres",
                "customization": {"naming_convention": "graphql-default"},
                "tables": [{"table": "authors"}, {"table": {"schema": "sales", "name": "books"}}],
            }
        ],
    }
    await post(engine, "replace_metadata", metadata=metadata)
    text = "{ salesBooks(orderBy: {authorId: ASC}, where: {authorId: {_isNull: false}}) { authorId __typename } salesBooksAggregate { aggregate { count } } }"  # fmt: skip
    assert await ask(engine, text) == {
        "salesBooks": [{"authorId": 1, "__typename": "SalesBooks"}] * 2,
        "salesBooksAggregate": {"aggregate": {"count": 2}},
    }
    text = "mutation { updateSalesBooksByPk(pkColumns: {id: 1}, _set: {title: \"Neu\"}) { title } insertSalesBooks(objects: [], onConflict: {constraint: BOOKS_PKEY, updateColumns: [authorId]}) { affectedRows } }"  # fmt: skip
    assert await ask(engine, text) == {
        "updateSalesBooksByPk": {"title": "Neu"},
        "insertSalesBooks": {"affectedRows": 0},
    }


@pytest.mark.parametrize(
    "using",
    [
        {"foreign_key_constraint_on": {"table": "details", "column": "person_id"}},
        {
            "manual_configuration": {
                "remote_table": "details",
                "column_mapping": {"id": "person_id"},
                "insertion_order": "after_parent",
            }
        },
    ],
    ids=["key on the other table", "manual, after the parent"],
)
async def test_a_nested_object_whose_key_is_on_the_other_table_comes_after_its_parent(
    engine: Engine, using: dict[str, Any]
) -> None:
    await post(engine, "clear_metadata")
    sql = """DROP TABLE IF EXISTS details; DROP TABLE IF EXISTS people;
        CREATE TABLE people (id serial PRIMARY KEY, name text);
        CREATE TABLE details (person_id integer PRIMARY KEY REFERENCES people, note text);"""
    await post(engine, "run_sql", sql=sql)
    for name in ("people", "details"):
        await post(engine, "track_table", schema="public", name=name)
    await post(engine, "create_object_relationship", table="people", name="detail", using=using)
    made = await ask(
        engine,
        """mutation { insert_people(objects: [{name: "Ann", detail: {data: {note: "tall"}}}, {name: "Bob"}]) {
             affected_rows returning { name detail { person_id note } } } }""",
    )
    assert made == {
        "insert_people": {
            "affected_rows": 3,
            "returning": [
                {"name": "Ann", "detail": {"person_id": 1, "note": "tall"}},
                {"name": "Bob", "detail": None},
            ],
        }
    }
    message = await ask(
        engine, 'mutation { insert_people_one(object: {name: "C", detail: {data: {person_id: 7, note: "x"}}}) { id } }'
    )
    assert "already being determined by parent insert" in message
