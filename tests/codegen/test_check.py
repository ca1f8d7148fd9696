"""check.py alone: repr as source, other installations, spellings of one key, and that nothing but counts is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from automio.codegen.allow_list import collection
from automio.codegen.compiled import compile_functions
from automio.codegen.config import load_config
from automio.codegen.explain import explain_function
from automio.codegen.sources import read_sources
from automio.dialect.index import Reference, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.scope.check import Check, Given, Gives, Guard, Prepared, prepare
from automio.scope.walk import scope_document

SCHEMA = Path(__file__).resolve().parents[1] / "golden" / "scope" / "schema.graphql"
KEY = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
DOCUMENT = """mutation M($o: [app_130_orders_insert_input!]!, $w: app_130_orders_bool_exp!, $u: [app_130_orders_updates!]!) {
    insert_app_130_orders(objects: $o) { affected_rows }
    delete_app_130_orders(where: $w) { affected_rows returning { id } }
    update_app_130_orders_many(updates: $u) { affected_rows }
}"""


def index_of(text: str, app: str = "130") -> SchemaIndex:
    declared = {f"app_{app}_messages": {"order_id": Reference(f"app_{app}_orders", "id", "")}}
    return index_schema(Sdl.read([("schema.graphql", text)]), references=declared)


@pytest.fixture(scope="module")
def index() -> SchemaIndex:
    return index_of(SCHEMA.read_text())


@pytest.fixture(scope="module")
def check(index: SchemaIndex) -> Check:
    found = scope_document(parse(DOCUMENT), index).check
    assert found is not None
    return found


def test_repr_is_source(check: Check) -> None:
    assert eval(repr(check), {"Check": Check, "Given": Given, "Gives": Gives, "Guard": Guard}) == check


def test_only_counts_are_asked(check: Check, index: SchemaIndex) -> None:
    [operation] = parse(prepare(check, index).text).definitions
    assert isinstance(operation, OperationDefinitionNode) and operation.operation.value == "query"
    for field in operation.selection_set.selections:
        assert isinstance(field, FieldNode) and field.name.value == "app_130_orders_aggregate"
        assert field.selection_set
        [inner] = field.selection_set.selections
        assert isinstance(inner, FieldNode) and inner.name.value == "aggregate" and inner.selection_set
        assert [leaf.name.value for leaf in inner.selection_set.selections] == ["count"]  # pyright: ignore


def test_another_installation_asks_for_its_own_tables(check: Check, index: SchemaIndex) -> None:
    there = index_of(SCHEMA.read_text().replace("app_130_", "app_131_"), "131")
    moved = check.moved("app_130_", "app_131_")
    assert prepare(moved, there).text == prepare(check, index).text.replace("app_130_", "app_131_")
    sent = {"o": {"messages": {"data": {"order_id": KEY}}}, "w": {}, "u": []}
    asked = prepare(moved, there).ask(sent, 7)
    assert asked is not None and asked.variables["keys_0"] == [KEY] and asked.variables["needs_rows_1"] is False


def ask(index: SchemaIndex, *keys: Any) -> tuple[Prepared, Any]:
    check = Check("C", "organization_id", (Given(Gives.ROWS, "app_130_messages", variable="o"),))
    prepared = prepare(check, index)
    return prepared, prepared.ask({"o": [{"order_id": key} for key in keys]}, 7)


def test_spellings_of_one_key_count_once(index: SchemaIndex) -> None:
    _, asked = ask(index, KEY, KEY.upper(), UUID(KEY), f"{{{KEY}}}", None)
    assert asked.variables["keys_0"] == [KEY]
    _, asked = ask(index, "no uuid", "No uuid", {"a": 1}, [1], True)
    assert len(asked.variables["keys_0"]) == 5, "what is no key is the server's to refuse"


def test_an_answer_of_another_shape_is_none(index: SchemaIndex) -> None:
    _, asked = ask(index, KEY)
    for data in (None, {}, {"keys_0": []}, {"keys_0": {"aggregate": {"count": "1"}}}):
        with pytest.raises(ValueError, match="no count"):
            asked.refusal(data)
    assert asked.refusal({"keys_0": {"aggregate": {"count": 1}}}) is None


def test_without_declarations_there_is_no_check() -> None:
    index = index_schema(Sdl.read([("schema.graphql", SCHEMA.read_text())]))
    assert scope_document(parse(DOCUMENT), index).check is None


def test_explain_and_the_allow_list_show_it(tmp_path: Path) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "queries").mkdir()
    (tmp_path / "schema/schema.graphql").write_text(SCHEMA.read_text())
    (tmp_path / "codegen.toml").write_text(
        '[tables.app_130_messages]\nreferences = { order_id = "app_130_orders.id" }\n'
    )
    config = load_config(tmp_path / "codegen.toml")
    sdl = Sdl.read((file.path, file.text) for file in read_sources(config).schema)
    explained = explain_function(sdl, (), "messages.insert", config)
    assert explained.asked.startswith("query MessagesInsertCheck(")
    assert explained.asked_for == ["app_130_messages: the foreign keys in $row must name rows of the organization"]
    deleted = explain_function(sdl, (), "orders.delete", config)
    assert deleted.asked_for == [
        "app_130_orders: no row of others may refer to the rows that are deleted or get another key by id"
    ]
    assert explain_function(sdl, (), "orders.find", config).asked == ""
    functions = compile_functions(sdl, (), config).functions.values()
    listed = collection("c", functions, {"130": "131"})
    assert "app_130.messages.insert check" in listed and "orders.find check" not in listed
    assert "keys_0: app_131_orders_aggregate(" in listed
