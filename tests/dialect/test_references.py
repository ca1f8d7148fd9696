"""Which declared references a schema can hold, and the words for those it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from automio.dialect.index import Reference, Relationship, RootKind, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.references import Fault, resolve
from automio.dialect.sdl import Sdl

SCHEMA = Path(__file__).resolve().parents[1] / "golden" / "scope" / "schema.graphql"
ORDERS, MESSAGES = "app_130_orders", "app_130_messages"


@pytest.fixture(scope="module")
def index() -> SchemaIndex:
    return index_schema(Sdl.read([("schema.graphql", SCHEMA.read_text())]))


def found(index: SchemaIndex, changed: dict[str, Relationship] | None = None, via: str = "") -> Reference | Fault:
    """The reference of messages to orders, where orders have these relationships instead of their own (if any)."""
    orders = index.tables[ORDERS]
    tables = {**index.tables, ORDERS: replace(orders, relationships=changed or orders.relationships)}
    declared = Reference(ORDERS, "id", via)
    return resolve(index.tables[MESSAGES], "order_id", declared, tables, index.roots["query"], "organization_id")


def to_messages(name: str, kind: str = "array") -> Relationship:
    return Relationship(name, kind, MESSAGES, f"[{MESSAGES}!]!")  # pyright: ignore[reportArgumentType]


def test_the_one_array_relationship_back_is_found(index: SchemaIndex) -> None:
    assert found(index) == Reference(ORDERS, "id", "messages")
    both = {"messages": to_messages("messages"), "last": to_messages("last", "object")}
    assert found(index, both) == Reference(ORDERS, "id", "messages")


def test_of_several_one_must_be_named(index: SchemaIndex) -> None:
    two = {"sent": to_messages("sent"), "got": to_messages("got")}
    fault = found(index, two)
    assert isinstance(fault, Fault)
    assert fault.message == "2 relationships lead from app_130_orders to app_130_messages"
    assert '"app_130_orders.id via got" or "app_130_orders.id via sent"' in fault.hint
    assert found(index, two, "got") == Reference(ORDERS, "id", "got")
    fault = found(index, two, "gone")
    assert isinstance(fault, Fault) and fault.of == "gone" and fault.known == ("sent", "got")


def test_without_a_way_back_or_a_count_there_is_nothing_to_ask(index: SchemaIndex) -> None:
    fault = found(index, {"country": index.tables[ORDERS].relationships["country"]})
    assert isinstance(fault, Fault) and "no relationship leads from app_130_orders back" in fault.message
    queries = {name: root for name, root in index.roots["query"].items() if root.kind is not RootKind.AGGREGATE}
    declared = Reference(ORDERS, "id", "")
    fault = resolve(index.tables[MESSAGES], "order_id", declared, index.tables, queries, "organization_id")
    assert isinstance(fault, Fault) and "no aggregate over app_130_orders" in fault.message


def test_a_referenced_table_is_read_and_facts_keep_the_reference() -> None:
    sdl = Sdl.read([("schema.graphql", SCHEMA.read_text())])
    declared = {
        "app_130_stock": {"sku": Reference(ORDERS, "id", "")},
        MESSAGES: {"order_id": Reference(ORDERS, "id", "")},
    }
    index = index_schema(sdl, tables=["app_130_stock"], references=declared)
    assert ORDERS in index.tables, "no relationship of stock leads there"
    assert index.tables["app_130_stock"].references == {}, "the schema has no way back"
    again = SchemaIndex.from_facts(index.facts())
    assert again.tables[MESSAGES].references == {"order_id": Reference(ORDERS, "id", "messages")}
    assert again.referred == {ORDERS: {"id"}}
    assert '"references"' not in index_schema(sdl).facts()
