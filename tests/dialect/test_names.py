from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automio.dialect.names import RESERVED_ATTRIBUTES, collisions, python_names, singular, snake_case, split_app


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orderId", "order_id"),
        ("order_id", "order_id"),
        ("HTTPStatus", "http_status"),
        ("ORDER_ID", "order_id"),
        ("uq_app_130_orders_orderId_org", "uq_app_130_orders_order_id_org"),
        ("GetByOrderId", "get_by_order_id"),
        ("sortOrder2", "sort_order2"),
    ],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("orders", "order"),
        ("billing_entries", "billing_entry"),
        ("boxes", "box"),
        ("addresses", "address"),
        ("status", "status"),
        ("order_statuses", "order_status"),
        ("causes", "cause"),
        ("news", "news"),
        ("series", "series"),
        ("people", "people"),
        ("bus", "bus"),
        ("analysis", "analysis"),
        ("sales_orders", "sales_order"),
    ],
)
def test_singular(plural: str, expected: str) -> None:
    assert singular(plural) == expected


def test_split_app() -> None:
    assert split_app("app_130_billing_entries") == ("130", "billing_entries")
    assert split_app("app_x_orders") == ("", "app_x_orders")
    assert split_app("orders") == ("", "orders")


def test_both_of_two_names_that_want_one_are_kept_and_the_exact_one_has_it() -> None:
    assert python_names(["orderId", "order_id", "OrderId"]) == {
        "orderId": "order_id_3",
        "order_id": "order_id",
        "OrderId": "order_id_2",
    }
    assert collisions(["orderId", "order_id", "id"]) == [("orderId", "order_id")]


def test_keywords_and_model_attributes_get_an_underscore() -> None:
    names = python_names(["class", "mro", "copy", "value", "name", "_id", "2fa", "__"])
    assert names == {
        "class": "class_",
        "mro": "mro_",
        "copy": "copy_",
        "value": "value",
        "name": "name",
        "_id": "field_id",
        "2fa": "field_2fa",
        "__": "field_5f5f",
    }


@given(st.lists(st.from_regex(r"[_A-Za-z][_0-9A-Za-z]{0,8}", fullmatch=True), max_size=12))
def test_python_names_are_distinct_identifiers(names: list[str]) -> None:
    mapped = python_names(names)
    assert list(mapped) == list(dict.fromkeys(names))
    assert len(set(mapped.values())) == len(mapped)
    for name in mapped.values():
        assert name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED_ATTRIBUTES
        assert not name.startswith("_"), "pydantic takes a leading underscore for a private attribute"
