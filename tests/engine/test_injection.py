"""Strings that callers control never change a statement: neither its text, nor what an independent parser sees in it.

For each place (values of every type in literals and variables, keys and paths of jsonb, names in enums, session variables,
names of operations, aliases) the request is explained twice: with a harmless string and with one of hypothesis. The
statements must be equal in text, so the string can only be among the parameters, and sqlglot (which shares nothing with
engine/) must parse each into one statement of the same shape. Where a name of the caller does stand in the text, an alias,
the shapes are compared with names blanked out. Then the request runs, and the database must be as it was.

Names that the owner of the database chooses (tables, columns, constraints, enum values) are tried as they come: odd ones are
served as they are, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlglot
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from automio.engine.engine import Caller, Engine, _Reading
from automio.engine.metadata_format import AdminRefusal
from automio.engine.metadata_types import InsertPermission, RolePermissions, SelectPermission, UpdatePermission
from automio.errors import EngineError

SETUP = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION citext SCHEMA public;
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TABLE things (
    id text PRIMARY KEY, organization_id integer, name text, soft citext, mood mood, number integer, large bigint,
    exact numeric, ratio float8, flag boolean, at timestamptz, day date, key uuid, body jsonb, plain json, tags text[],
    raw bytea, span interval, parent_id text REFERENCES things (id));
CREATE TABLE canary (id integer PRIMARY KEY);
INSERT INTO canary VALUES (1);
"""
TEXTS = ("id", "name", "soft", "mood", "number", "large", "exact", "ratio", "flag", "at", "day", "key", "raw", "span")
NASTY = (
    "'",
    '"',
    "''; DROP TABLE canary; --",
    '"; drop table canary; --',
    "\\'; DELETE FROM canary; --",
    "$1",
    "$$; DROP TABLE canary; $$",
    "$tag$",
    "/* */ --",
    "%s{0}{}",
    "\\",
    "\0",
    "é\u202e\U0001f600\u2028",
    "E'\\''",
    ") OR TRUE --",
    "x" * 20_000,
    "\n\r\t;",
    "null",
    '{a,"b\\"}',
    "$.a['b\"]; DROP",
)
strings = st.sampled_from(NASTY) | st.text(max_size=40) | st.text(alphabet="'\"\\;-$/*{}[]()%a0\0 \n", max_size=12)
EXAMPLES = int(os.environ.get("AUTOMIO_INJECTIONS", "8"))
checked = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

Body = dict[str, Any]


def quoted(text: str) -> str:
    """A string literal of GraphQL."""
    return json.dumps(text)


# ── the places ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def literal(query: str) -> Callable[[str], Body]:
    """The string as a literal in place of `%`."""
    return lambda text: {"query": query.replace("%", quoted(text))}


def variable(kind: str, query: str, wrap: Callable[[str], Any] = lambda text: text) -> Callable[[str], Body]:
    """The string in the variable $v of this type; `wrap` makes the variable's value."""
    head = "mutation" if query.startswith("mutation") else "query"
    body = query.removeprefix("mutation").removeprefix("query")
    return lambda text: {"query": f"{head} ($v: {kind}) {body}", "variables": {"v": wrap(text)}}


SELECT = "{ things(where: {%s}) { id } }"
PLACES: dict[str, Callable[[str], Body]] = {
    **{f"{c} literal": literal(SELECT.replace("%s", f"{c}: {{_eq: %}}")) for c in TEXTS},
    **{f"{c} in where": variable("things_bool_exp", "{ things(where: $v) { id } }", lambda t, c=c: {c: {"_gt": t}}) for c in TEXTS},
    **{f"{c} in a list": variable("things_bool_exp", "{ things(where: $v) { id } }", lambda t, c=c: {c: {"_in": [t, t]}}) for c in TEXTS},
    **{f"{c} inserted": variable("[things_insert_input!]!", "mutation { insert_things(objects: $v) { affected_rows } }", lambda t, c=c: [{"id": "new", c: t}]) for c in TEXTS},
    **{f"{c} set": variable("things_set_input", 'mutation { update_things(where: {id: {_eq: "no"}}, _set: $v) { affected_rows } }', lambda t, c=c: {c: t}) for c in TEXTS},
    **{f"{o} pattern": variable("String", f"{{ things(where: {{name: {{{o}: $v}}}}) {{ id }} }}") for o in ("_like", "_nilike", "_similar", "_regex", "_iregex")},
    "by key": variable("String!", "{ things_by_pk(id: $v) { name } }"),
    "by key, literal": literal("{ things_by_pk(id: %) { name } }"),
    "limit": variable("Int", "{ things(limit: $v) { id } }"),
    "json value": variable("jsonb", "{ things(where: {body: {_contains: $v}}) { id } }"),
    "json key in a value": variable("jsonb", "{ things(where: {body: {_contains: $v}}) { id } }", lambda t: {t: [t, {t: t}]}),
    "json literal": literal("{ things(where: {body: {_contains: {a: [%]}}}) { id } }"),
    "json column set": variable("json", 'mutation { update_things(where: {id: {_eq: "no"}}, _set: {plain: $v}) { affected_rows } }', lambda t: {t: t}),
    "json key": variable("String", "{ things(where: {body: {_has_key: $v}}) { id } }"),
    "json keys": variable("[String!]", "{ things(where: {body: {_has_keys_any: $v}}) { id } }", lambda t: [t, "b"]),
    "json cast": variable("String", "{ things(where: {body: {_cast: {String: {_ilike: $v}}}}) { id } }"),
    "json path": variable("String", "{ things { body(path: $v) } }"),
    "json path, literal": literal("{ things { body(path: %) } }"),
    "json path of keys": variable("String", "{ things { body(path: $v) } }", lambda t: f'$.a["{t}"]'),
    "json append": variable("jsonb", 'mutation { update_things(where: {id: {_eq: "no"}}, _append: {body: $v}) { affected_rows } }', lambda t: {t: t}),
    "json delete key": variable("String", 'mutation { update_things(where: {id: {_eq: "no"}}, _delete_key: {body: $v}) { affected_rows } }'),
    "json delete path": variable("[String!]", 'mutation { update_things(where: {id: {_eq: "no"}}, _delete_at_path: {body: $v}) { affected_rows } }', lambda t: [t, "a"]),
    "array": variable("[String!]", "{ things(where: {tags: {_contains: $v}}) { id } }", lambda t: [t, "b"]),
    "array as text": variable("[String!]", "{ things(where: {tags: {_eq: $v}}) { id } }"),
    "increment": variable("Int", 'mutation { update_things(where: {id: {_eq: "no"}}, _inc: {number: $v}) { affected_rows } }'),
    "upsert": variable("things_insert_input!", "mutation { insert_things_one(object: $v, on_conflict: {constraint: things_pkey, update_columns: [name]}) { id } }", lambda t: {"id": "new", "name": t}),
    "nested insert": variable("things_insert_input!", "mutation { insert_things_one(object: $v) { id } }", lambda t: {"id": "new", "parent": {"data": {"id": "old", "name": t}}}),
}  # fmt: skip
ENUMS: dict[str, tuple[Callable[[str], Body], str]] = {
    "order_by": (variable("[things_order_by!]", "{ things(order_by: $v) { id } }", lambda t: [{"name": t}]), "asc"),
    "order_by column": (
        variable("[things_order_by!]", "{ things(order_by: $v) { id } }", lambda t: [{t: "asc"}]),
        "name",
    ),
    "distinct_on": (variable("[things_select_column!]", "{ things(distinct_on: $v) { id } }", lambda t: [t]), "name"),
    "where column": (variable("things_bool_exp", "{ things(where: $v) { id } }", lambda t: {t: {}}), "name"),
    "operator": (variable("things_bool_exp", "{ things(where: $v) { id } }", lambda t: {"name": {t: "a"}}), "_eq"),
    "aggregate": (
        variable(
            "things_bool_exp",
            "{ things(where: $v) { id } }",
            lambda t: {"things_aggregate": {"count": {"arguments": [t], "predicate": {"_eq": 1}}}},
        ),
        "name",
    ),
    "insert column": (
        variable(
            "[things_insert_input!]!",
            "mutation { insert_things(objects: $v) { affected_rows } }",
            lambda t: [{t: "new"}],
        ),
        "id",
    ),
    "constraint": (
        variable(
            "things_on_conflict",
            'mutation { insert_things(objects: [{id: "new"}], on_conflict: $v) { affected_rows } }',
            lambda t: {"constraint": t, "update_columns": []},
        ),
        "things_pkey",
    ),
    "update column": (
        variable(
            "things_on_conflict",
            'mutation { insert_things(objects: [{id: "new"}], on_conflict: $v) { affected_rows } }',
            lambda t: {"constraint": "things_pkey", "update_columns": [t]},
        ),
        "name",
    ),
}
HARMLESS: dict[str, Any] = {"number": "1", "large": "1", "exact": "1", "ratio": "1", "flag": "true", "mood": "good", "limit": 1, "increment": "1"}  # fmt: skip
CALLERS = (Caller(), Caller(organization=1))


# ── what a statement is ─────────────────────────────────────────────────────────────────────────────────────────────────


def shape(text: str) -> list[str]:
    """The nodes of the one statement in the text, names and strings blanked out; fails on comments and unparsed rests."""
    found = sqlglot.parse(text, read="postgres")
    assert len(found) == 1 and found[0] is not None, text
    nodes: list[str] = []
    for node in found[0].walk():
        assert not node.comments, text
        assert not isinstance(node, exp.Command), text
        nodes.append(type(node).__name__)
    return nodes


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(database: str, runner: asyncio.Runner) -> Iterator[Engine]:
    engine = runner.run(Engine.connect(database, pool_size=1))
    runner.run(engine.run_sql(SETUP))
    yield engine
    runner.run(engine.close())


class Database:
    """Explains and runs requests, and tells whether something happened that should not."""

    def __init__(self, engine: Engine, runner: asyncio.Runner) -> None:
        self.engine = engine
        self.runner = runner
        self.before = self.tables()

    def tables(self) -> Any:
        text = "SELECT json_agg(c.relname ORDER BY c.relname)::text || (SELECT count(*) FROM canary) FROM pg_class c WHERE relnamespace = 'public'::regnamespace"
        return self.runner.run(self.engine._database.one_value(text))

    def explain(self, caller: Caller, body: Body) -> list[str] | None:
        """The statements; None when the request is refused."""
        try:
            return [one.text for one in self.runner.run(self.engine.explain(caller, body))]
        except EngineError:
            return None

    def run(self, caller: Caller, body: Body) -> Any:
        """The answer. The tables are as before, and an error shows nothing of a statement."""
        answer = json.loads(self.runner.run(self.engine.execute(caller, body)))
        for error in answer.get("errors", ()):
            assert "SELECT" not in error["message"] and "syntax error at or near" not in error["message"], error
        assert self.tables() == self.before
        return answer

    def check(self, caller: Caller, body: Body, harmless: Body) -> None:
        """The two requests have the same statements, or the first is refused."""
        expected, found = self.explain(caller, harmless), self.explain(caller, body)
        assert expected, harmless
        if found is not None:
            assert found == expected
            assert list(map(shape, found)) == list(map(shape, expected))
        self.run(caller, body)


@pytest.fixture
def database_of(engine: Engine, runner: asyncio.Runner) -> Database:
    return Database(engine, runner)


# ── callers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", PLACES)
def test_a_value_is_never_in_the_statement(place: str, database_of: Database) -> None:
    word = HARMLESS.get(place.partition(" ")[0], "a")

    @checked
    @given(strings, st.sampled_from(CALLERS))
    def check(text: str, caller: Caller) -> None:
        # A mutation must not leave rows behind: what it would write is refused at its end.
        body, harmless = PLACES[place](text), PLACES[place](word)
        if "mutation" in body["query"]:
            for one in (body, harmless):
                one["query"] = (
                    one["query"].rstrip()[:-1] + " last: insert_canary(objects: [{id: 1}]) { affected_rows } }"
                )
            caller = CALLERS[0]
        database_of.check(caller, body, harmless)

    check()


@pytest.mark.parametrize("place", ENUMS)
def test_a_name_in_a_variable_is_one_of_the_schema_or_refused(place: str, database_of: Database) -> None:
    make, known = ENUMS[place]
    assert database_of.explain(CALLERS[0], make(known)), "the place exists"

    @checked
    @given(strings)
    def check(text: str) -> None:
        if text in ("name", "id"):
            return
        assert database_of.explain(CALLERS[0], make(text)) is None
        assert "errors" in database_of.run(CALLERS[0], make(text))

    check()


@checked
@given(text=strings)
def test_names_of_operations_and_variables(text: str, database_of: Database) -> None:
    harmless = {"query": "query a { things { id } }"}
    for body in (
        {"query": "query a { things { id } }", "operationName": text},
        {"query": f"query {text} {{ things {{ id }} }}"},
    ):
        found = database_of.explain(CALLERS[0], body)
        assert found is None or found == database_of.explain(CALLERS[0], harmless)
        database_of.run(CALLERS[0], body)
    body = {"query": "query ($v: String) { things(where: {name: {_eq: $v}}) { id } }", "variables": {text: text}}
    database_of.run(CALLERS[0], body)


names = st.text(alphabet="abcDEF_019", min_size=1, max_size=70).filter(lambda text: not text[0].isdigit())


@checked
@example("a" * 63)
@example("a" * 64)
@example("select")
@example("f0")
@example("t1")
@given(names)
def test_an_alias_is_a_name_and_nothing_else(database_of: Database, alias: str) -> None:
    if alias.startswith("__"):
        return
    text = "{{ {0}: things {{ {0}: id other: name {0}b: parent {{ {0}: id }} }} }}"
    found = database_of.explain(CALLERS[1], {"query": text.format(alias)})
    long = len(alias) > 62
    expected = database_of.explain(CALLERS[1], {"query": text.format("h" * 70 if long else "harmless")})
    assert found and expected
    if len(alias) not in (63,):  # there one of the two aliases is too long for a name, and the other is not
        assert list(map(shape, found)) == list(map(shape, expected))
    assert list(database_of.run(CALLERS[1], {"query": text.format(alias)})["data"]) == [alias]


@checked
@given(strings)
def test_a_document_of_anything(database_of: Database, text: str) -> None:
    for query in (text, f"{{ {text} }}", f"{{ things {{ {text}: id }} }}", f"{{ things {{ id }} }} # {text}"):
        for statement in database_of.explain(CALLERS[0], {"query": query}) or ():
            shape(statement)
        database_of.run(CALLERS[0], {"query": query})


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("column", [*TEXTS[1:], "tags", "body"])
def test_session_variables_are_values(column: str, engine: Engine, runner: asyncio.Runner) -> None:
    operator = {"tags": "_contains", "body": "_has_key"}.get(column, "_eq")
    own: dict[str, Any] = {column: {operator: "X-Hasura-Text"}}
    preset = {} if column == "body" else {column: "X-Hasura-Text"}
    permissions = RolePermissions(
        SelectPermission(None, {"_or": [own, {"id": {"_in": "X-Hasura-Texts"}}]}),
        InsertPermission(("id",), own, preset),
        UpdatePermission(("id",), own, None, preset),
    )
    before = engine._reading
    table = replace(engine.catalog.tables["things"], permissions={"user": permissions})
    engine._reading = _Reading(replace(engine.catalog, tables={**engine.catalog.tables, "things": table}), False)
    database = Database(engine, runner)
    word = str(HARMLESS.get(column, "a"))
    try:

        @checked
        @given(strings)
        def check(text: str) -> None:
            def caller(value: str) -> Caller:
                return Caller("user", session={"x-hasura-text": value, "x-hasura-texts": value, value.lower(): value})

            for query in (
                "{ things { id } }",
                'mutation { update_things(where: {id: {_eq: "no"}}, _set: {id: "a"}) { affected_rows } }',
                "mutation { insert_things(objects: [{id: null}]) { affected_rows } }",
            ):
                expected = database.explain(caller(word), {"query": query})
                assert expected
                found = database.explain(caller(text), {"query": query})
                assert found is None or found == expected
                for statement in found or ():
                    shape(statement)
                database.run(caller(text), {"query": query})

        check()
    finally:
        engine._reading = before


# ── metadata ────────────────────────────────────────────────────────────────────────────────────────────────────────────

THINGS = {"schema": "public", "name": "things"}
REQUESTS: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "table": lambda t: ("pg_track_table", {"table": t}),
    "schema": lambda t: ("pg_track_table", {"table": {"schema": t, "name": "things"}}),
    "untracked table": lambda t: ("pg_untrack_table", {"table": t, "cascade": True}),
    "enum table": lambda t: ("pg_set_table_is_enum", {"table": t, "is_enum": True}),
    "custom table name": lambda t: ("pg_set_table_customization", {"table": THINGS, "configuration": {"custom_name": t}}),
    "custom column name": lambda t: ("pg_set_table_customization", {"table": THINGS, "configuration": {"column_config": {"name": {"custom_name": t}}}}),
    "column": lambda t: ("pg_set_table_customization", {"table": THINGS, "configuration": {"column_config": {t: {"custom_name": "other"}}}}),
    "root field": lambda t: ("pg_set_table_customization", {"table": THINGS, "configuration": {"custom_root_fields": {"select": t}}}),
    "comment": lambda t: ("pg_set_table_customization", {"table": THINGS, "configuration": {"comment": t}}),
    "relationship": lambda t: ("pg_create_object_relationship", {"table": THINGS, "name": t, "using": {"foreign_key_constraint_on": "parent_id"}}),
    "key of a relationship": lambda t: ("pg_create_object_relationship", {"table": THINGS, "name": "more", "using": {"foreign_key_constraint_on": t}}),
    "mapping": lambda t: ("pg_create_array_relationship", {"table": THINGS, "name": "more", "using": {"manual_configuration": {"remote_table": "things", "column_mapping": {"id": t}}}}),
    "renamed": lambda t: ("pg_rename_relationship", {"table": THINGS, "name": "parent", "new_name": t}),
    "role": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": t, "permission": {"columns": "*", "filter": {}}}),
    "column of a permission": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": "user", "permission": {"columns": [t], "filter": {}}}),
    "value of a filter": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": "user", "permission": {"columns": "*", "filter": {"name": {"_eq": t}}}}),
    "key of a filter": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": "user", "permission": {"columns": "*", "filter": {t: {"_eq": 1}}}}),
    "operator of a filter": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": "user", "permission": {"columns": "*", "filter": {"name": {t: "a"}}}}),
    "column compared with": lambda t: ("pg_create_select_permission", {"table": THINGS, "role": "user", "permission": {"columns": "*", "filter": {"name": {"_ceq": t}}}}),
    "preset": lambda t: ("pg_create_insert_permission", {"table": THINGS, "role": "user", "permission": {"columns": "*", "check": {}, "set": {"name": t}}}),
    "type": lambda t: (t, {"table": THINGS}),
}  # fmt: skip


@pytest.mark.parametrize("place", REQUESTS)
def test_names_and_values_in_metadata(place: str, engine: Engine, runner: asyncio.Runner) -> None:
    """A request is refused, or what it changed is served: whatever comes, a statement is one and the database stays as it was."""
    database = Database(engine, runner)
    # What a role may do at most; a role that has no permission is refused.
    request = '{ %s(where: {id: {_neq: ""}}, limit: 1) { id name: __typename } }'

    @checked
    @given(strings)
    def check(text: str) -> None:
        kind, arguments = REQUESTS[place](text)
        try:
            runner.run(engine.admin({"type": kind, "args": arguments}))
        except AdminRefusal as refused:
            # A refusal may quote the caller's own text, which may be that very word; nothing else of it is excused.
            shown = refused.message.replace(text, "") if "SELECT" in text else refused.message
            assert "SELECT" not in shown
        table = engine.catalog.tables["things"]
        for caller in (Caller(), Caller(organization=1), Caller("user"), Caller(text or "user")):
            for root in {"things", table.type_name or "things"}:
                for statement in database.explain(caller, {"query": request % root}) or ():
                    shape(statement)
                database.run(caller, {"query": request % root})

    try:
        check()
    finally:
        runner.run(engine.run_sql(SETUP))
        runner.run(engine.admin({"type": "clear_metadata", "args": {}}))


# ── names of the owner ──────────────────────────────────────────────────────────────────────────────────────────────────

ODD = (
    'quo"te',
    "se;mi--",
    "quo'te",
    "back\\slash",
    "żółw",
    "select",
    "a b",
    "$1",
    "x" * 63,
    "é" * 31,
    "Order",
    "{0}",
    "%s",
    '"',
)


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_quoted_or_not_served(name: str, second_database: str, runner: asyncio.Runner) -> None:
    """Tables, columns, keys and enum values; what GraphQL can write is served, and comes back under its own name."""
    quoted_name = '"' + name.replace('"', '""') + '"'
    value = name.replace("'", "''")

    served = name.isascii() and name.isidentifier()
    clean = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"

    async def run() -> None:
        engine = await Engine.connect(second_database, pool_size=1)

        async def ask(text: str, **variables: Any) -> Any:
            body = {"query": text, "variables": variables}
            for statement in await engine.explain(Caller(), body):
                if "$" not in name:  # sqlglot takes `$1::"$1"` for a text in dollars, PostgreSQL (below) doesn't
                    shape(statement.text)
            return json.loads(await engine.execute(Caller(), body))["data"]

        try:
            await engine.run_sql(
                f"{clean} CREATE TYPE {quoted_name} AS ENUM ('a', '{value}');"
                f"CREATE TABLE plain (id integer CONSTRAINT {quoted_name} PRIMARY KEY, word {quoted_name}, {quoted_name} text);"
                f"INSERT INTO plain VALUES (1, '{value}', '{value}');"
                f"COMMENT ON TABLE plain IS '{value}';"
            )
            plain = engine.catalog.tables["plain"]
            assert plain.comment == name
            assert bool(plain.columns[name].field) is served
            scalar = plain.columns["word"].scalar
            text = f"query ($v: {scalar}!) {{ plain(where: {{word: {{_in: [$v]}}}}) {{ word {name * served} }} }}"
            assert await ask(text, v=name) == {"plain": [{"word": name, **({name: name} if served else {})}]}
            if served:
                text = "mutation { insert_plain_one(object: {id: 1}, on_conflict: {constraint: %s, update_columns: [id]}) { %s } }"
                assert await ask(text % (name, name)) == {"insert_plain_one": {name: name}}
                assert await ask(f"{{ plain(order_by: {{{name}: asc}}, distinct_on: {name}) {{ {name} }} }}")

            await engine.run_sql(
                f"{clean} CREATE TABLE {quoted_name} (id integer PRIMARY KEY, {quoted_name} integer REFERENCES {quoted_name});"
                f"INSERT INTO {quoted_name} VALUES (1, NULL), (2, 1);"
            )
            odd = engine.catalog.find("public", name)
            assert odd is not None and bool(odd.type_name) is served
            if served:
                text = "{ %s(where: {%s: {_eq: 1}}) { %s } %s_aggregate { aggregate { max { %s } } } }"
                found = {name: [{name: 1}], f"{name}_aggregate": {"aggregate": {"max": {name: 1}}}}
                assert await ask(text % ((name,) * 5)) == found
        finally:
            await engine.close()

    runner.run(run())
