"""Tables, relationships and root fields are told by structure."""

from __future__ import annotations

from pathlib import Path

import pytest

from automio.dialect.index import InputKind, RootKind, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import ScopeError

RENAMED = '''
scalar numeric
input IntComparison { _eq: Int }
input OrderFilter { _and: [OrderFilter!] number: IntComparison lines: LineFilter linesAggregate: LinePredicate }
input LinePredicate { count: LineCount }
input LineCount { filter: LineFilter predicate: IntComparison! }
input LineFilter { id: IntComparison order: OrderFilter }
input OrderSort { number: Sort linesAggregate: LineSortAggregate }
input LineSort { id: Sort order: OrderSort }
input LineSortAggregate { count: Sort }
enum Sort { asc desc }
enum OrderColumn { number total }
enum LineColumn { id }
"""unique or primary key constraint on columns "number", "total" """
enum Unused { a }
enum OrderKey {
  """unique or primary key constraint on columns "number", "total" """
  order_key
}
input OrderInsert { number: Int total: numeric lines: LineMany }
input LineMany { data: [LineInsert!]! }
input LineInsert { id: Int order: OrderOne }
input OrderOne { data: OrderInsert! on_conflict: OrderConflict }
input OrderConflict { constraint: OrderKey! update_columns: [OrderColumn!]! = [] where: OrderFilter }
input OrderSet { total: numeric }
type Order {
  number: Int!
  total: numeric
  computed: numeric
  late(args: LateArgs): Boolean
  lines(where: LineFilter, order_by: [LineSort!], limit: Int, offset: Int, distinct_on: [LineColumn!]): [Line!]!
  linesAggregate(where: LineFilter): LineTotals!
}
input LateArgs { days: Int }
type Line { id: Int! order: Order! }
type LineTotals { nodes: [Line!]! count: Int! }
type OrderChange { affected_rows: Int! returning: [Order!]! }
type Weather { degrees: Int! }
type Query {
  allOrders(where: OrderFilter, order_by: [OrderSort!], limit: Int, offset: Int, distinct_on: [OrderColumn!]): [Order!]!
  """execute function "late_orders" which returns "Order" """
  lateOrders(where: OrderFilter, limit: Int): [Order!]!
  oneOrder(number: Int!): Order
  allLines(where: LineFilter, order_by: [LineSort!], distinct_on: [LineColumn!]): [Line!]!
  lineTotals(where: LineFilter): LineTotals!
  weather(city: String!): Weather
}
type Mutation {
  addOrders(objects: [OrderInsert!]!, on_conflict: OrderConflict): OrderChange
  addOrder(object: OrderInsert!): Order
  changeOrders(where: OrderFilter!, _set: OrderSet): OrderChange
  dropOrders(where: OrderFilter!): OrderChange
  dropOrder(number: Int!): Order
}
'''


@pytest.fixture(scope="module")
def index() -> SchemaIndex:
    return index_schema(Sdl.read([("s.graphql", RENAMED)]))


def test_renamed_root_fields_are_classified(index: SchemaIndex) -> None:
    kinds = {root.name: (root.kind, root.table) for fields in index.roots.values() for root in fields.values()}
    assert kinds == {
        "allOrders": (RootKind.LIST, "Order"),
        "lateOrders": (RootKind.OTHER, ""),
        "oneOrder": (RootKind.BY_PK, "Order"),
        "allLines": (RootKind.LIST, "Line"),
        "lineTotals": (RootKind.AGGREGATE, "Line"),
        "weather": (RootKind.OTHER, ""),
        "addOrders": (RootKind.INSERT, "Order"),
        "addOrder": (RootKind.INSERT_ONE, "Order"),
        "changeOrders": (RootKind.UPDATE, "Order"),
        "dropOrders": (RootKind.DELETE, "Order"),
        "dropOrder": (RootKind.DELETE_BY_PK, "Order"),
    }


def test_fields_of_a_row_are_classified(index: SchemaIndex) -> None:
    order = index.tables["Order"]
    assert list(order.columns) == ["number", "total"]
    assert {name: (r.kind, r.table) for name, r in order.relationships.items()} == {"lines": ("array", "Line")}
    assert order.aggregates == {"linesAggregate": "Line"}
    assert order.other == {"computed", "late"}, "computed fields are no columns: distinct_on does not name them"
    assert order.primary_key == ("number",)
    assert order.constraints == {"order_key": ("number", "total")}


def test_input_types_are_classified(index: SchemaIndex) -> None:
    assert {name: i.kind for name, i in index.inputs.items()} == {
        "OrderFilter": InputKind.BOOL_EXP,
        "LineFilter": InputKind.BOOL_EXP,
        "LinePredicate": InputKind.AGGREGATE_BOOL_EXP,
        "OrderSort": InputKind.ORDER_BY,
        "LineSort": InputKind.ORDER_BY,
        "LineSortAggregate": InputKind.AGGREGATE_ORDER_BY,
        "OrderInsert": InputKind.INSERT,
        "OrderConflict": InputKind.ON_CONFLICT,
        "OrderSet": InputKind.SET,
        "LineMany": InputKind.ARRAY_INSERT,
    }


def test_only_the_closure_of_what_is_asked_for_is_read() -> None:
    sdl = Sdl.read([("s.graphql", RENAMED)])
    assert set(index_schema(sdl, roots={"query": ["weather"]}).tables) == set()
    assert set(index_schema(sdl, roots={"query": ["allLines"]}).tables) == {"Line", "Order"}
    assert set(index_schema(sdl, roots={}, tables=["Line"]).tables) == {"Line", "Order"}


@pytest.mark.parametrize("name", ["carnet_de_bord", "intuition", "learn_dotnet_todo", "learn_go"])
def test_facts_of_real_schemas_come_back_whole(shared: Path, name: str) -> None:
    index = index_schema(Sdl.read([(name, (shared / "schemas/real" / f"{name}.graphql").read_text())]))
    assert index.tables
    again = SchemaIndex.from_facts(index.facts())
    assert again.facts() == index.facts()
    assert again.tables.keys() == index.tables.keys()


HIDDEN = """
input Int_comparison_exp { _eq: Int }
input orders_bool_exp { _and: [orders_bool_exp!] id: Int_comparison_exp organization_id: Int_comparison_exp }
enum orders_select_column { id }
type orders { id: Int! }
type query_root { orders(where: orders_bool_exp, limit: Int, distinct_on: [orders_select_column!]): [orders!]! }
"""


def test_an_organization_column_that_cannot_be_read_is_no_shared_table() -> None:
    index = index_schema(Sdl.read([("s.graphql", HIDDEN)]))
    with pytest.raises(ScopeError, match="cannot be scoped"):
        index.is_tenant("orders")
    with pytest.raises(ScopeError, match="cannot be scoped"):
        SchemaIndex.from_facts(index.facts()).is_tenant("orders")
    assert not index_schema(Sdl.read([("s.graphql", HIDDEN)]), tenant_column=None).is_tenant("orders")
