"""Declared foreign keys towards a Hasura endpoint: the walk's check alone keeps organizations apart.

A project with plain foreign keys (no organization in them) on the embedded PostgreSQL, called as admin through the local
platform's Hasura endpoint, which the engine does not bind: what is refused here is refused by the check before the mutation.
`test_without_the_declaration…` is the proof of that: the same calls without the declaration do the harm.
"""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query, print_schema

from automio.codegen.config import load_config
from automio.codegen.pipeline import build
from automio.codegen.write import write
from automio.errors import GraphQLErrors, ScopeError
from automio.runtime import call as call_module
from automio.scope.values import all_rows
from automio.testing.platform import ScratchPlatform, scratch_platform
from automio.wrapper import API

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded PostgreSQL")

TABLES = """
CREATE TABLE app_7_orders (id integer PRIMARY KEY, organization_id integer, name text UNIQUE);
CREATE TABLE app_7_messages (
    id integer PRIMARY KEY, organization_id integer, text text,
    order_id integer REFERENCES app_7_orders (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE app_7_notes (
    id integer PRIMARY KEY, organization_id integer,
    order_id integer REFERENCES app_7_orders (id) ON DELETE SET NULL ON UPDATE CASCADE
);
"""
ROWS = """
TRUNCATE app_7_orders, app_7_messages, app_7_notes;
INSERT INTO app_7_orders VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c'), (4, 1, 'd'), (9, 2, 'z');
INSERT INTO app_7_messages VALUES (1, 1, 'own', 1), (2, 2, 'foreign', 2), (3, NULL, 'nobody', 3), (9, 2, 'z', 9);
INSERT INTO app_7_notes VALUES (1, 2, 4);
"""
REFERENCES = """
[tables.app_7_messages]
references = { order_id = "app_7_orders.id" }
[tables.app_7_notes]
references = { order_id = "app_7_orders.id via notes" }
"""
MISSING, FOREIGN = 77, 9


def post(url: str, document: str) -> Any:
    body = json.dumps({"query": document}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/graphql", body), timeout=30) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScratchPlatform]:
    project = tmp_path_factory.mktemp("references")
    (project / "schema").mkdir()
    (project / "schema/app_7.sql").write_text(TABLES)
    (project / "platform.toml").write_text('[[tokens]]\ntoken = "t"\norganization = 1\napps = [7]\n')
    with scratch_platform(project) as running:
        yield running


@pytest.fixture(scope="module")
def packages(
    platform: ScratchPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[bool, SimpleNamespace]]:
    """The project's package with its references declared (True) and without."""
    sdl = print_schema(build_client_schema(post(platform.url, get_introspection_query())["data"]))
    before = dict(call_module._registered)
    found: dict[bool, SimpleNamespace] = {}
    folder = tmp_path_factory.mktemp("packages")
    sys.path.insert(0, str(folder))
    for declared in (False, True):
        name = f"references_{'declared' if declared else 'unknown'}"
        root = tmp_path_factory.mktemp(name)
        for part in ("schema", "queries"):
            (root / part).mkdir()
        (root / "schema/schema.graphql").write_text(sdl)
        config = root / "codegen.toml"
        config.write_text(f'[apps.7]\npackage = "{name}"\n' + (REFERENCES if declared else ""))
        built = build(load_config(config))
        write(load_config(config), built.files)
        (root / name).rename(folder / name)
        modules = {module: importlib.import_module(f"{name}.{module}") for module in ("orders", "messages", "notes")}
        found[declared] = SimpleNamespace(**modules, facts=importlib.import_module(f"{name}._facts").FACTS)
    yield found
    sys.path.remove(str(folder))
    call_module._registered.clear()
    call_module._registered.update(before)


@pytest.fixture
def rows(platform: ScratchPlatform) -> Callable[[], Any]:
    platform.run_sql(ROWS)
    fields = "app_7_orders(order_by: {id: asc}) { id organization_id name } "
    fields += "app_7_messages(order_by: {id: asc}) { id organization_id order_id text } "
    fields += "app_7_notes(order_by: {id: asc}) { id organization_id order_id }"
    return lambda: post(platform.url, f"{{ {fields} }}")["data"]


@pytest.fixture
def api(platform: ScratchPlatform, monkeypatch: pytest.MonkeyPatch) -> Iterator[API]:
    with API(hasura_graphql_endpoint=f"{platform.url}/v1/graphql", organization_id=1) as found:
        yield found


CALLS: dict[str, Callable[[SimpleNamespace, API, int], Any]] = {
    "insert": lambda app, api, key: app.messages.insert({"id": 20, "order_id": key}),
    "insert_many": lambda app, api, key: app.messages.insert_many(
        [{"id": 20, "order_id": 1}, {"id": 21, "order_id": key}]
    ),
    "update": lambda app, api, key: app.messages.update({"id": {"_eq": 1}}, {"order_id": key}),
    "update_by_pk": lambda app, api, key: app.messages.update_by_pk(id=1, set={"order_id": key}),
    "update_many": lambda app, api, key: app.messages.update_many(
        [{"where": {"id": {"_eq": 1}}, "_set": {"order_id": key}}]
    ),
    "upsert": lambda app, api, key: app.messages.upsert_many(
        [{"id": 1, "order_id": key}], on_conflict="app_7_messages_pkey", update=["order_id"]
    ),
    "ad_hoc_literal": lambda app, api, key: api.tables.execute(
        f"mutation {{ insert_app_7_messages_one(object: {{id: 20, order_id: {key}}}) {{ id }} }}"
    ),
    "ad_hoc_variable": lambda app, api, key: api.tables.execute(
        "mutation M($o: Int) { m: insert_app_7_messages(objects: {id: 20, order_id: $o}) { affected_rows } }",
        {"o": key},
    ),
    "ad_hoc_default": lambda app, api, key: api.tables.execute(
        f"mutation M($o: Int = {key}) {{ insert_app_7_messages_one(object: {{id: 20, order_id: $o}}) {{ id }} }}"
    ),
}


def known_only(packages: dict[bool, SimpleNamespace], declared: bool) -> SimpleNamespace:
    """The package, as the only one that ad-hoc documents know."""
    call_module._registered.clear()
    call_module._registered["7"] = packages[declared].facts
    return packages[declared]


@pytest.mark.parametrize("name", CALLS)
def test_a_foreign_key_value_is_refused_as_a_missing_one(
    name: str, packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    app = known_only(packages, True)
    before = rows()
    errors = []
    for key in (FOREIGN, MISSING):
        with pytest.raises(GraphQLErrors) as caught:
            CALLS[name](app, api, key)
        errors.append((caught.value.errors, str(caught.value)))
        assert rows() == before
    assert errors[0] == errors[1], "whether the row exists is not told"
    [error] = errors[0][0]
    assert error["extensions"]["code"] == "constraint-violation"
    assert "app_7_messages" in error["message"] and str(FOREIGN) not in error["message"]
    CALLS[name](app, api, 2)
    assert rows() != before, "an own row may be named"


def test_a_missing_row_has_the_class_code_and_path_that_the_database_has(
    packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    rows()
    for name in ("insert", "update", "ad_hoc_variable"):
        told = []
        for declared in (False, True):
            with pytest.raises(GraphQLErrors) as caught:
                CALLS[name](known_only(packages, declared), api, MISSING)
            told.append([error["extensions"] for error in caught.value.errors])
        assert told[0] == told[1]


def test_nested_rows_are_looked_into(packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]) -> None:
    app = known_only(packages, True)
    before = rows()
    with pytest.raises(GraphQLErrors, match="referenced row does not exist"):
        app.orders.insert({"id": 20, "messages": {"data": [{"id": 20, "order_id": FOREIGN}]}})
    assert rows() == before
    app.orders.insert({"id": 20, "messages": {"data": [{"id": 20}]}})
    assert rows() != before


def test_a_key_that_the_same_mutation_makes_may_be_named(
    packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    known_only(packages, True)
    rows()
    document = (
        "mutation M($k: Int!) { insert_app_7_orders_one(object: {id: $k} %s) { id } "
        "insert_app_7_messages_one(object: {id: 30, order_id: $k}) { order_id } }"
    )
    made = api.tables.execute(document % "", {"k": 30})
    assert made["insert_app_7_messages_one"] == {"order_id": 30}
    before = rows()
    keep = ", on_conflict: {constraint: app_7_orders_pkey, update_columns: []}"
    with pytest.raises(GraphQLErrors, match="referenced row does not exist"):
        api.tables.execute(document % keep, {"k": FOREIGN})
    with pytest.raises(GraphQLErrors, match="Uniqueness violation"):
        api.tables.execute(document % "", {"k": FOREIGN})
    assert rows() == before


DELETES: dict[str, Callable[[SimpleNamespace, API, int], Any]] = {
    "delete": lambda app, api, key: app.orders.delete({"id": {"_in": [1, key]}}),
    "delete_by_pk": lambda app, api, key: app.orders.delete_by_pk(id=key),
    "all": lambda app, api, key: app.orders.delete(all_rows()),
    "ad_hoc": lambda app, api, key: api.tables.execute(
        f"mutation {{ delete_app_7_orders(where: {{id: {{_eq: {key}}}}}) {{ affected_rows }} }}"
    ),
    "key": lambda app, api, key: app.orders.update({"id": {"_eq": key}}, {"id": 50}),
    "key_inc": lambda app, api, key: app.orders.update({"id": {"_eq": key}}, inc={"id": 50}),
    "key_by_pk": lambda app, api, key: app.orders.update_by_pk(id=key, set={"id": 50}),
    "key_many": lambda app, api, key: app.orders.update_many([{"where": {"id": {"_eq": key}}, "_set": {"id": 50}}]),
    "key_literal": lambda app, api, key: api.tables.execute(
        f"mutation {{ update_app_7_orders(where: {{id: {{_eq: {key}}}}}, _set: {{id: 50}}) {{ affected_rows }} }}"
    ),
}


@pytest.mark.parametrize("name", DELETES)
def test_rows_that_others_refer_to_stay(
    name: str, packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    app = known_only(packages, True)
    before = rows()
    for key in (2, 3, 4):  # a row of another organization refers, one of nobody, one by another table
        with pytest.raises(GraphQLErrors) as caught:
            DELETES[name](app, api, key)
        [error] = caught.value.errors
        assert error == {
            "message": 'Foreign key violation. update or delete on table "app_7_orders": row is referenced',
            "extensions": {"path": "$", "code": "constraint-violation"},
        }
        assert rows() == before
    if name != "all":
        DELETES[name](app, api, 1)
        assert rows() != before, "own rows go with those that refer to them"


def test_what_does_not_touch_a_key_is_not_checked(
    packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    app = known_only(packages, True)
    rows()
    assert app.orders.update({"id": {"_eq": 2}}, {"name": "other"}) == 1
    assert app.orders.update_many([{"where": {"id": {"_eq": 2}}, "_set": {"name": "again"}}]) == [1]
    assert app.orders.delete({"id": {"_eq": FOREIGN}}) == 0, "another's row is none of ours, referred to or not"


def test_changes_that_no_query_can_foresee_are_refused(
    packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    app = known_only(packages, True)
    before = rows()
    with pytest.raises(ScopeError, match=r"operator on a foreign key.*AUTOMIO-209"):
        app.messages.update({"id": {"_eq": 1}}, inc={"order_id": 8})
    with pytest.raises(ScopeError, match="AUTOMIO-209"):
        app.orders.upsert_many([{"id": 60, "name": "b"}], on_conflict="app_7_orders_name_key", update=["id"])
    assert rows() == before


def test_without_the_declaration_the_same_calls_do_the_harm(
    packages: dict[bool, SimpleNamespace], api: API, rows: Callable[[], Any]
) -> None:
    """The engine lets an admin do it, so it was the check that refused above."""
    app = known_only(packages, False)
    before = rows()
    app.messages.insert({"id": 20, "order_id": FOREIGN})
    app.orders.delete_by_pk(id=2)
    after = rows()
    assert [row["id"] for row in before["app_7_messages"] if row not in after["app_7_messages"]] == [2]
    assert {"id": 20, "organization_id": 1, "order_id": FOREIGN, "text": None} in after["app_7_messages"]
