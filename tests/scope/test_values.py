"""Rules on values: what is refused, what is wrapped, what stays."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automio.dialect.index import SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import ScopeError
from automio.request import UNSET
from automio.scope.values import (
    Missing,
    Rule,
    ValueRule,
    all_rows,
    apply_rules,
    changed,
    check_organization,
    python_fields,
    retarget,
)

from .conftest import SCHEMA

ORDERS, MESSAGES = "app_130_orders", "app_130_messages"
OWN = {"organization_id": {"_eq": 7}}
INDEX = index_schema(Sdl.read([(SCHEMA.name, SCHEMA.read_text())]))


def turn(kind: ValueRule, value: Any, *, table: str = ORDERS, python: bool = False, **options: Any) -> Any:
    """What one variable becomes; ABSENT when nothing is sent."""
    rule = Rule("v", kind, table=table, target="v", **options)
    given = {} if value is UNSET else {"v": value}
    return apply_rules([rule], given, 7, INDEX, python_names=python).get("v", UNSET)


def refusal(kind: ValueRule, value: Any, **options: Any) -> ScopeError:
    with pytest.raises(ScopeError) as caught:
        turn(kind, value, **options)
    return caught.value


@pytest.mark.parametrize("value", [7, 0, -1, 2**31 - 1, -(2**31)])
def test_an_organization_is_an_int(value: int) -> None:
    assert check_organization(value) == value


@pytest.mark.parametrize("value", [None, UNSET, True, False, "7", 7.0, 2**31, math.nan, [7]])
def test_and_nothing_else(value: object) -> None:
    with pytest.raises(ScopeError) as caught:
        check_organization(value)
    assert caught.value.code == "AUTOMIO-201"
    with pytest.raises(ScopeError):
        apply_rules([], {}, value, INDEX, python_names=False)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("kind", "missing", "absent", "null"),
    [
        (ValueRule.BOOL_EXP, Missing.EMPTY, {}, {}),
        (ValueRule.BOOL_EXP, Missing.KEEP, UNSET, None),
        (ValueRule.BOOL_EXP, Missing.OPTIONAL, UNSET, "null inside a filter"),
        (ValueRule.BOOL_EXP, Missing.REFUSE, "is not given", "null inside a filter"),
        (ValueRule.COMPARISON, Missing.OPTIONAL, UNSET, "null in a comparison"),
        (ValueRule.COMPARISON, Missing.REFUSE, "is not given", "null in a comparison"),
        (ValueRule.REQUIRED_FILTER, Missing.REFUSE, "needs its filter", "needs its filter"),
        (ValueRule.KEY, Missing.REFUSE, "key value is null or missing", "key value is null or missing"),
        (ValueRule.OWN_ORGANIZATION, Missing.KEEP, UNSET, None),
        (ValueRule.OWN_ORGANIZATION, Missing.OPTIONAL, UNSET, "cannot be changed"),
        (ValueRule.INSERT, Missing.REFUSE, "a value is null or missing", "a value is null or missing"),
    ],
)
def test_absent_and_null(kind: ValueRule, missing: Missing, absent: Any, null: Any) -> None:
    for value, expected in ((UNSET, absent), (None, null)):
        if isinstance(expected, str):
            assert expected in str(refusal(kind, value, missing=missing))
        else:
            assert turn(kind, value, missing=missing) == expected


def test_unset_variables_are_absent() -> None:
    rules = [Rule("v", ValueRule.BOOL_EXP, table=ORDERS, target="v", missing=Missing.EMPTY)]
    assert apply_rules(rules, {"v": UNSET, "w": UNSET, "x": 1}, 7, INDEX, python_names=False) == {"v": {}, "x": 1}


def test_a_default_counts_as_absent_only() -> None:
    options: dict[str, Any] = {"missing": Missing.EMPTY, "default": '{"messages": {}}'}
    assert turn(ValueRule.BOOL_EXP, UNSET, **options) == {"messages": {"_and": [OWN, {}]}}
    assert turn(ValueRule.BOOL_EXP, None, **options) == {}
    assert turn(ValueRule.BOOL_EXP, {}, **options) == {}


def test_split_variables_and_extra_ones() -> None:
    """One variable, two targets; a caller's own variable of a target's name does not get through."""
    rules = [
        Rule("v", ValueRule.BOOL_EXP, table=ORDERS, target="v"),
        Rule("v", ValueRule.SCOPED_BOOL_EXP, table=ORDERS, target="v_1"),
        Rule("w", ValueRule.BOOL_EXP, table=ORDERS, target="w_1"),
        Rule("gone", ValueRule.OWN_ORGANIZATION),
    ]
    given = {"v": {"status": {"_eq": "a"}}, "w_1": {"unscoped": True}, "gone": 7, "limit": 3}
    assert apply_rules(rules, given, 7, INDEX, python_names=False) == {
        "v": {"status": {"_eq": "a"}},
        "v_1": {"_and": [OWN, {"status": {"_eq": "a"}}]},
        "limit": 3,
    }


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"_and": []},
        {"_and": [{}]},
        {"status": {}},
        {"_or": [{"status": {"_eq": "a"}}, {}]},
        {"_and": {}},
        {"_or": {}},
    ],
)
def test_filters_that_hold_for_every_row_are_refused_in_writes(value: Any) -> None:
    assert "all_rows()" in str(refusal(ValueRule.REQUIRED_FILTER, value))
    assert "all_rows()" in str(refusal(ValueRule.UPDATES, [{"where": value, "_set": {"status": "x"}}]))
    assert turn(ValueRule.REQUIRED_FILTER, UNSET, default="{}") == {}
    assert turn(ValueRule.BOOL_EXP, value) == value


@pytest.mark.parametrize("value", [{"_or": []}, {"_not": {}}, {"messages": {}}, {"country": {}}, {"id": {"_in": []}}])
def test_filters_that_say_something_are_not(value: Any) -> None:
    assert isinstance(turn(ValueRule.REQUIRED_FILTER, value), dict)


def test_all_rows() -> None:
    assert turn(ValueRule.REQUIRED_FILTER, all_rows()) == {}
    assert turn(ValueRule.BOOL_EXP, all_rows()) == {}
    assert turn(ValueRule.UPDATES, {"where": all_rows(), "_inc": {"total": 1}}) == {
        "where": {"_and": [OWN, {}]},
        "_inc": {"total": 1},
    }
    assert repr(all_rows()) == "all_rows()"


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        ({"status": None}, ".status", "an object is expected"),
        ({"status": "open"}, ".status", "an object is expected"),
        ({"status": {"_eq": None}}, ".status._eq", "null in a comparison"),
        ({"status": {"_eq": UNSET}}, ".status._eq", "UNSET inside a filter"),
        ({"status": UNSET}, ".status", "UNSET inside a filter"),
        ({"meta": {"_cast": {"String": {"_like": None}}}}, ".meta._cast.String._like", "null in a comparison"),
        ({"_and": None}, "._and", "null inside a filter"),
        ({"_or": [None]}, "._or", "null inside a filter"),
        ({"_not": None}, "._not", "null inside a filter"),
        ({"messages": None}, ".messages", "null inside a filter"),
        ({"messages": {"order": {"nope": {}}}}, ".messages.order.nope", "has no field 'nope'"),
        ({"score": {"_gt": 1}}, ".score", "function is not declared safe"),
        (
            {"messages_aggregate": {"count": {"filter": {}, "predicat": {}}}},
            ".messages_aggregate.count.predicat",
            "no field",
        ),
        (
            {"messages_aggregate": {"count": {"predicate": {"_eq": None}}}},
            ".messages_aggregate.count.predicate._eq",
            "null",
        ),
        ([], "", "an object is expected"),
    ],
)
def test_filters_refused(value: Any, path: str, text: str) -> None:
    error = refusal(ValueRule.BOOL_EXP, value)
    assert (error.path, text in str(error)) == (f"$v{path}", True), str(error)


def test_a_comparison_of_null_is_called_so() -> None:
    assert "null in a comparison" in str(refusal(ValueRule.BOOL_EXP, {"status": {"_neq": None}}))


@pytest.mark.parametrize("given", [9, 8.0, True, "7", "9", [7], {}])
def test_rows_of_another_organization_are_refused(given: Any) -> None:
    row = {"status": "a", "messages": {"data": [{"urgent": True, "organization_id": given}]}}
    assert refusal(ValueRule.INSERT, [{}, row]).path == "$v[1].messages.data[0].organization_id"
    assert refusal(ValueRule.SET, {"organization_id": given}).code == "AUTOMIO-202"
    assert refusal(ValueRule.OWN_ORGANIZATION, given).code == "AUTOMIO-202"


def test_rows_get_the_organization_at_every_depth() -> None:
    row = {
        "status": UNSET,
        "organization_id": None,
        "messages": {"data": {"order": {"data": {"organization_id": 7}}}, "on_conflict": None},
        "country": None,
    }
    assert turn(ValueRule.INSERT, row) == {
        "organization_id": 7,
        "messages": {
            "data": {"order": {"data": {"organization_id": 7}}, "organization_id": 7},
            "on_conflict": None,
        },
        "country": None,
    }


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        (ValueRule.SET, {"organization_id": None}, "AUTOMIO-203"),
        (ValueRule.OPERATOR, {"organization_id": 0}, "AUTOMIO-203"),
        (ValueRule.UPDATES, [{"where": all_rows(), "_inc": {"organization_id": 1}}], "AUTOMIO-203"),
        (ValueRule.UPDATES, [{"where": all_rows(), "_set": {"organization_id": 9}}], "AUTOMIO-202"),
        (ValueRule.UPDATES, [{"_set": {"status": "a"}}], "AUTOMIO-207"),
        (ValueRule.UPDATES, [{"where": None}], "AUTOMIO-207"),
        (ValueRule.UPDATES, [{"where": {"id": {"_eq": "1"}}, "what": {}}], "AUTOMIO-208"),
        (ValueRule.UPDATES, [None], "AUTOMIO-207"),
        (ValueRule.INSERT, [None], "AUTOMIO-207"),
        (ValueRule.INSERT, [{"country": {"data": {"code": "x"}}}], "AUTOMIO-204"),
        (ValueRule.INSERT, [{"score": 1}], "AUTOMIO-206"),
        (ValueRule.INSERT, [{"messages": {"dat": []}}], "AUTOMIO-208"),
        (ValueRule.ON_CONFLICT, {"constraint": "c", "wher": {}}, "AUTOMIO-208"),
        (ValueRule.ORDER_BY, [{"country": {"orders_aggregate": {"count": "asc"}}}], "AUTOMIO-205"),
        (ValueRule.ORDER_BY, {"messages_aggregate": {"count": "asc"}}, "AUTOMIO-205"),
        (ValueRule.ORDER_BY, [{"score": "asc"}], "AUTOMIO-206"),
    ],
)
def test_writes_and_orders_refused(kind: ValueRule, value: Any, code: str) -> None:
    assert refusal(kind, value).code == code


def test_policy_opens_what_it_names() -> None:
    assert turn(ValueRule.BOOL_EXP, {"score": {"_gt": 1}}, allowed=(f"{ORDERS}.score",)) == {"score": {"_gt": 1}}
    rows = [{"country": {"data": {"code": "x", "orders": {"data": []}}}}]
    assert turn(ValueRule.INSERT, rows, allowed=("app_130_countries",)) == [{**rows[0], "organization_id": 7}]


@pytest.mark.parametrize("text", ["", "not", "[]"])
def test_texts_hold_no_values(text: str) -> None:
    """A refusal names places, never what the caller's rows say."""
    error = refusal(ValueRule.INSERT, [{"status": f"secret{text}", "organization_id": 4711}])
    assert "secret" not in str(error)
    assert "4711" not in str(error)


def test_python_names() -> None:
    names = python_fields(INDEX.tables[ORDERS])
    assert names["orderId"] == "order_id"
    filter_ = {"order_id": {"_eq": "x"}, "messages": {"message_content": {"_eq": "y"}}}
    assert turn(ValueRule.BOOL_EXP, filter_, python=True) == {
        "orderId": {"_eq": "x"},
        "messages": {"_and": [OWN, {"messageContent": {"_eq": "y"}}]},
    }
    assert turn(ValueRule.BOOL_EXP, {"orderId": {"_eq": "x"}}, python=True) == {"orderId": {"_eq": "x"}}
    assert refusal(ValueRule.BOOL_EXP, filter_).path == "$v.order_id"
    assert turn(ValueRule.COLUMNS, ["order_id", "status"], python=True) == ["orderId", "status"]
    assert turn(ValueRule.ORDER_BY, {"order_id": "asc"}, python=True) == {"orderId": "asc"}
    assert turn(ValueRule.SET, {"order_id": "x"}, python=True) == {"orderId": "x"}
    cursor = [{"initial_value": {"order_id": "x"}, "ordering": "ASC"}]
    assert turn(ValueRule.CURSOR, cursor, python=True) == [{"initial_value": {"orderId": "x"}, "ordering": "ASC"}]
    conflict = {"constraint": "app_130_orders_pkey", "update_columns": ["order_id"]}
    assert turn(ValueRule.ON_CONFLICT, conflict, python=True) == {
        "constraint": "app_130_orders_pkey",
        "update_columns": ["orderId"],
        "where": {"_and": [OWN, {}]},
    }
    predicate = {"count": {"arguments": ["message_content"], "predicate": {"_gt": 1}}}
    turned = turn(ValueRule.AGGREGATE_BOOL_EXP, predicate, table=MESSAGES, python=True)
    assert turned["count"]["arguments"] == ["messageContent"]


def test_keys_are_taken_apart() -> None:
    rules = [
        Rule("k", ValueRule.PK_COLUMN, table="app_130_stock", target=f"k_{column}", column=column)
        for column in ("sku", "warehouse")
    ]
    sent = apply_rules(rules, {"k": {"sku": "s", "warehouse": 0}}, 7, INDEX, python_names=True)
    assert sent == {"k_sku": "s", "k_warehouse": 0}
    for value in ({"sku": "s"}, {"sku": "s", "warehouse": None}, {"sku": "s", "warehouse": 1, "amount": 2}, "s"):
        with pytest.raises(ScopeError):
            apply_rules(rules, {"k": value}, 7, INDEX, python_names=True)


def test_mappings_and_tuples_are_taken_too() -> None:
    value = MappingProxyType({"_and": ({"messages": MappingProxyType({})},)})
    assert turn(ValueRule.BOOL_EXP, value) == {"_and": [{"messages": {"_and": [OWN, {}]}}]}


def test_deep_values_are_refused_not_crashed_on() -> None:
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"_not": value}
    assert "nested too deeply" in str(refusal(ValueRule.BOOL_EXP, value))


def test_rules_print_as_source_and_move_to_other_installations() -> None:
    rule = Rule(
        "v", ValueRule.ON_CONFLICT, ORDERS, "v", Missing.REFUSE, default='{"constraint": "app_130_orders_pkey"}'
    )
    assert eval(repr(rule), {"Rule": Rule, "ValueRule": ValueRule, "Missing": Missing}) == rule
    (moved,) = retarget([rule], "app_130_", "app_131_")
    other = SchemaIndex.from_facts(INDEX.facts().replace("app_130_", "app_131_"))
    sent = apply_rules([moved], {}, 7, other, python_names=False)
    assert sent["v"]["constraint"] == "app_131_orders_pkey"


# Properties.

SCALARS = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]), st.booleans())
COMPARISONS = st.dictionaries(st.sampled_from(["_eq", "_neq", "_gt"]), SCALARS, max_size=2)
TENANT_KEYS = {ORDERS: ("messages",), MESSAGES: ("order",), "app_130_countries": ("orders",)}


def exps(table: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    facts = INDEX.tables[table]
    optional: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(list(facts.columns)[:3], COMPARISONS)
    if depth:
        optional |= {name: exps(r.table, depth - 1) for name, r in facts.relationships.items()}
        optional |= {
            name: st.fixed_dictionaries(
                {
                    "count": st.fixed_dictionaries(
                        {"predicate": COMPARISONS}, optional={"filter": exps(target, depth - 1)}
                    )
                }
            )
            for name, target in facts.aggregates.items()
        }
        optional |= {"_not": exps(table, depth - 1), "_and": st.lists(exps(table, depth - 1), max_size=2)}
        optional["_or"] = st.one_of(exps(table, depth - 1), st.lists(exps(table, depth - 1), max_size=2))
    return st.fixed_dictionaries({}, optional=optional)


def unscoped(table: str, value: Mapping[str, Any]) -> list[str]:
    """The relationships to tenant rows in a turned filter that have no scope right below them."""
    facts = INDEX.tables[table]
    found: list[str] = []
    for key, inner in value.items():
        if key in ("_and", "_or", "_not"):
            for each in inner if isinstance(inner, list) else [inner]:
                found += unscoped(table, each)
        elif key in facts.relationships or key in facts.aggregates:
            target = facts.relationships[key].table if key in facts.relationships else facts.aggregates[key]
            below = inner if key in facts.relationships else inner["count"].get("filter", {})
            if INDEX.is_tenant(target):
                if list(below) != ["_and"] or len(below["_and"]) != 2 or below["_and"][0] != OWN:
                    found.append(key)
                    continue
                below = below["_and"][1]
            found += unscoped(target, below)
    return found


@settings(deadline=None, max_examples=150)
@given(exps(ORDERS, 3))
def test_every_relationship_to_tenant_rows_is_wrapped(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    turned = turn(ValueRule.BOOL_EXP, value)
    assert unscoped(ORDERS, turned) == []
    assert value == before
    assert turned.keys() == value.keys()
    # What is wrapped can be wrapped again: the output is a filter of the same type.
    assert unscoped(ORDERS, turn(ValueRule.BOOL_EXP, turned)) == []


def rows(table: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    facts = INDEX.tables[table]
    optional: dict[str, st.SearchStrategy[Any]] = {name: SCALARS for name in facts.columns if name != "organization_id"}
    optional["organization_id"] = st.sampled_from([None, 7])
    if depth:
        for name, relationship in facts.relationships.items():
            inner = rows(relationship.table, depth - 1)
            if INDEX.is_tenant(relationship.table):
                data = inner if relationship.kind == "object" else st.one_of(inner, st.lists(inner, max_size=2))
                optional[name] = st.none() | st.fixed_dictionaries({"data": data})
    return st.fixed_dictionaries({}, optional=optional)


def strays(value: Any) -> int:
    """Rows without the organization."""
    if isinstance(value, list):
        return sum(map(strays, value))
    nested = sum(strays(inner["data"]) for inner in value.values() if isinstance(inner, dict))
    return nested + (value.get("organization_id") != 7)


@settings(deadline=None, max_examples=150)
@given(st.one_of(rows(ORDERS, 3), st.lists(rows(ORDERS, 2), max_size=3)))
def test_every_row_gets_the_organization(value: Any) -> None:
    before = copy.deepcopy(value)
    turned = turn(ValueRule.INSERT, value)
    assert strays(turned) == 0
    assert value == before
    assert turn(ValueRule.INSERT, turned) == turned


def test_an_update_needs_one_change() -> None:
    assert changed(set=UNSET, inc={"score": 1}) == {"set": UNSET, "inc": {"score": 1}}
    assert changed(set={}, inc=UNSET) == {"set": {}, "inc": UNSET}, "an empty object is the caller's choice"
    for none in (UNSET, None):
        with pytest.raises(ScopeError) as caught:
            changed(set=none, inc=UNSET)
        assert caught.value.code == "AUTOMIO-207"
        assert caught.value.hint == "Give at least one of set, inc."
