"""Errors about the scoped document, told about the caller's own (scope/paths.py).

Each case: the caller's document, a path as Hasura gives it for the scoped one, the path that the caller's document has.
"""

from __future__ import annotations

import pytest
from graphql import parse

from automio.dialect.index import SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.scope.paths import Sent, callers_errors
from automio.scope.walk import scope_document

ORDER = "{ app_130_orders(where: {status: {_eq: $s}, messages: {urgent: {_eq: true}}}) { id messages { order { total } } } }"
LIST = f"query ($s: String!) {ORDER}"
BY_KEY = "{ o: app_130_orders_by_pk(id: 1) { ...F } } fragment F on app_130_orders { messages(limit: 1) { id } }"
STOCK = '{ app_130_stock_by_pk(sku: "a", warehouse: 1) { amount } }'
UPDATE = (
    "mutation ($set: app_130_orders_set_input) { update_app_130_orders_by_pk(pk_columns: {id: 1}, _set: $set) "
    "{ id messages { id } } }"
)
DELETE = "mutation { delete_app_130_orders_by_pk(id: 1) { id total } }"
MANY = (
    'mutation { update_app_130_orders_many(updates: [{where: {id: {_eq: 1}}, _set: {total: "1"}}]) { affected_rows } }'
)
INSERT = """mutation ($objects: [app_130_orders_insert_input!]!, $c: app_130_orders_on_conflict) {
  insert_app_130_orders(objects: $objects, on_conflict: $c) { affected_rows returning { id } } }"""
NESTED = """mutation { insert_app_130_orders_one(object: {orderId: "A", messages: {data: [{messageContent: "x"}],
  on_conflict: {constraint: app_130_messages_pkey, where: {urgent: {_eq: true}}}}}) { id } }"""
COUNT = """query ($f: app_130_messages_bool_exp) { app_130_orders_aggregate(
  where: {_not: {messages_aggregate: {count: {predicate: {_gt: 3}, filter: $f}}}}) { aggregate { count } nodes { id } } }"""
TWO = """{ app_130_orders(where: {status: {_eq: "a"}}) { id total } one: app_130_orders_by_pk(id: 1) { id status }
  two: app_130_orders_by_pk(id: 2) { id status messages { id } } }"""
SHARED = '{ app_130_countries(where: {code: {_eq: "PL"}}) { code orders { id } } }'
S = "$.selectionSet"
ARGS = f"{S}.app_130_orders.args"

CASES = {
    "the root's filter": (LIST, f"{ARGS}.where._and[1].status._eq", f"{ARGS}.where.status._eq"),
    "its condition": (LIST, f"{ARGS}.where._and[0].organization_id._eq", f"{S}.app_130_orders"),
    "the filter as a whole": (LIST, f"{ARGS}.where._and", f"{ARGS}.where"),
    "inside a relationship": (LIST, f"{ARGS}.where._and[1].messages._and[1].urgent", f"{ARGS}.where.messages.urgent"),
    "a relationship's condition": (LIST, f"{ARGS}.where._and[1].messages._and[0]", f"{ARGS}.where.messages"),
    "an added filter": (LIST, f"{S}.app_130_orders.selectionSet.messages.args.where", None),
    "a column below": (
        LIST,
        f"{S}.app_130_orders.selectionSet.messages.selectionSet.order.selectionSet.total",
        f"{S}.app_130_orders.selectionSet.messages.selectionSet.order.selectionSet.total",
    ),
    "a helper": (
        LIST,
        f"{S}.app_130_orders.selectionSet.messages.selectionSet.order.selectionSet.organization_id",
        f"{S}.app_130_orders.selectionSet.messages.selectionSet.order",
    ),
    "a key": (BY_KEY, f"{ARGS}.where._and[1].id._eq", f"{S}.app_130_orders_by_pk.args.id"),
    "a key's limit": (BY_KEY, f"{ARGS}.limit", f"{S}.app_130_orders_by_pk"),
    "a fragment's field": (
        BY_KEY,
        f"{S}.app_130_orders.selectionSet.messages.args.limit",
        f"{S}.app_130_orders_by_pk.selectionSet.messages.args.limit",
    ),
    "a part of a key": (
        STOCK,
        f"{S}.app_130_stock.args.where._and[1].warehouse._eq",
        f"{S}.app_130_stock_by_pk.args.warehouse",
    ),
    "an update's key": (
        UPDATE,
        f"{S}.update_app_130_orders.args.where._and[1].id._eq",
        f"{S}.update_app_130_orders_by_pk.args.pk_columns.id",
    ),
    "an update's value": (
        UPDATE,
        f"{S}.update_app_130_orders.args._set.total",
        f"{S}.update_app_130_orders_by_pk.args._set.total",
    ),
    "an update's rows": (
        UPDATE,
        f"{S}.update_app_130_orders.selectionSet.returning.selectionSet.messages.args.where._and[0]",
        f"{S}.update_app_130_orders_by_pk.selectionSet.messages",
    ),
    "an update itself": (UPDATE, f"{S}.update_app_130_orders.args", f"{S}.update_app_130_orders_by_pk"),
    "a delete's key": (
        DELETE,
        f"{S}.delete_app_130_orders.args.where._and[1].id",
        f"{S}.delete_app_130_orders_by_pk.args.id",
    ),
    "a delete's rows": (
        DELETE,
        f"{S}.delete_app_130_orders.selectionSet.returning.selectionSet.total",
        f"{S}.delete_app_130_orders_by_pk.selectionSet.total",
    ),
    "one of many updates": (
        MANY,
        f"{S}.update_app_130_orders_many.args.updates[0].where._and[1].id._eq",
        f"{S}.update_app_130_orders_many.args.updates[0].where.id._eq",
    ),
    "a row in a variable": (
        INSERT,
        f"{S}.insert_app_130_orders.args.objects[2].messages.data[0].sent_at",
        f"{S}.insert_app_130_orders.args.objects[2].messages.data[0].sent_at",
    ),
    "the organization of a row": (
        INSERT,
        f"{S}.insert_app_130_orders.args.objects[2].messages.data[0].organization_id",
        f"{S}.insert_app_130_orders.args.objects[2].messages.data[0]",
    ),
    "a conflict's filter in a variable": (
        INSERT,
        f"{S}.insert_app_130_orders.args.on_conflict.where._and[1].messages._and[1].urgent._eq",
        f"{S}.insert_app_130_orders.args.on_conflict.where.messages.urgent._eq",
    ),
    "a conflict's condition": (
        INSERT,
        f"{S}.insert_app_130_orders.args.on_conflict.where._and[0]",
        f"{S}.insert_app_130_orders.args.on_conflict",
    ),
    "a nested conflict": (
        NESTED,
        f"{S}.insert_app_130_orders_one.args.object.messages.on_conflict.where._and[1].urgent",
        f"{S}.insert_app_130_orders_one.args.object.messages.on_conflict.where.urgent",
    ),
    "an aggregate's filter": (
        COUNT,
        f"{S}.app_130_orders_aggregate.args.where._and[1]._not.messages_aggregate.count.filter._and[1].urgent",
        f"{S}.app_130_orders_aggregate.args.where._not.messages_aggregate.count.filter.urgent",
    ),
    "an aggregate's condition": (
        COUNT,
        f"{S}.app_130_orders_aggregate.args.where._and[1]._not.messages_aggregate.count.filter._and[0]",
        f"{S}.app_130_orders_aggregate.args.where._not.messages_aggregate.count",
    ),
    "an aggregate's predicate": (
        COUNT,
        f"{S}.app_130_orders_aggregate.args.where._and[1]._not.messages_aggregate.count.predicate._gt",
        f"{S}.app_130_orders_aggregate.args.where._not.messages_aggregate.count.predicate._gt",
    ),
    "one name, told by its argument": (TWO, f"{ARGS}.where._and[1].status", f"{ARGS}.where.status"),
    "one name, told by its field": (
        TWO,
        f"{S}.app_130_orders.selectionSet.messages.args.order_by",
        f"{S}.app_130_orders_by_pk.selectionSet.messages.args.order_by",
    ),
    "one name, two fields of a kind": (TWO, f"{ARGS}.where._and[1].id._eq", f"{S}.app_130_orders_by_pk.args.id"),
    "one name, not told": (TWO, f"{S}.app_130_orders.selectionSet.id", "$"),
    "a shared table's filter": (SHARED, f"{S}.app_130_countries.args.where.code._eq", None),
    "a place beside the document": (LIST, "$.variableValues", None),
    "the document": (LIST, "$", None),
    "no path": (LIST, "somewhere <else>", "$"),
}


def told(document: str, index: SchemaIndex, error: dict[str, object], renamed: tuple[str, str] | None = None) -> dict:
    scoped = scope_document(parse(document), index)
    sent = Sent(scoped.text, scoped.kind, index, scoped.plan, scoped.rules, renamed)
    [found] = callers_errors([error], sent)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_path_is_that_of_the_callers_document(name: str, index: SchemaIndex) -> None:
    document, given, expected = CASES[name]
    error = {"message": "m", "extensions": {"code": "c", "path": given}}
    found = told(document, index, error)
    assert found == {"message": "m", "extensions": {"code": "c", "path": given if expected is None else expected}}


def test_response_paths_and_locations(index: SchemaIndex) -> None:
    error = {"message": "m", "locations": [{"line": 9, "column": 9}]}
    path = ["o", 0, "messages", 3, "id"]
    assert told(BY_KEY, index, {**error, "path": path}) == {"message": "m", "path": ["o", "messages", 3, "id"]}
    found = told(UPDATE, index, {**error, "path": ["update_app_130_orders_by_pk", "returning", 0, "id"]})
    assert found["path"] == ["update_app_130_orders_by_pk", "id"]
    hidden = ["app_130_orders", 1, "messages", 0, "order", "organization_id_1"]
    assert told(LIST, index, {**error, "path": hidden})["path"] == hidden[:-1]


def test_names_of_variables_in_messages(index: SchemaIndex) -> None:
    document = """mutation ($key: app_130_orders_pk_columns_input!, $m: app_130_messages_bool_exp, $key_id: Int) {
      update_app_130_orders_by_pk(pk_columns: $key, _set: {status: "key_id_1"}) { id messages(where: $m, limit: $key_id)
      { id } more: messages(where: {_not: $m}) { id } } }"""

    def message(text: str) -> str:
        return told(document, index, {"message": text})["message"]

    assert message('expecting a value for non-nullable variable: "key_id_1"') == (
        'expecting a value for non-nullable variable: "key"'
    )
    assert message("variable '$m_1' is declared as 'x'") == "variable '$m' is declared as 'x'"
    assert message("variable 'key_id' is declared as 'Int'") == "variable 'key_id' is declared as 'Int'"
    assert message("unexpected variables in variableValues: m, m_1, key_id_1") == (
        "unexpected variables in variableValues: m, key"
    )
    assert message('invalid input syntax for type integer: "key_id_1"').endswith('"key_id_1"'), "a value, no variable"


def test_another_installations_app(index: SchemaIndex) -> None:
    other = SchemaIndex.from_facts(index.facts().replace("app_130_", "app_131_"))
    error = {"message": "m", "extensions": {"path": f"{S}.app_131_orders.args.where._and[1].id._eq"}}
    found = told(BY_KEY.replace("app_130_", "app_131_"), other, error, ("app_130_", "app_131_"))
    assert found["extensions"]["path"] == f"{S}.app_130_orders_by_pk.args.id"


def test_without_organizations_only_keys_are_not_touched(schema_text: str) -> None:
    index = index_schema(Sdl.read([("schema.graphql", schema_text)]), tenant_column=None)
    place = f"{S}.app_130_orders.args.where._and[1].status"
    document = '{ app_130_orders(where: {_and: [{}, {status: {_eq: "x"}}]}) { id } }'
    assert told(document, index, {"message": "m", "extensions": {"path": place}})["extensions"]["path"] == place
