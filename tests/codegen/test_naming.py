"""The rules on top of naming.py, one by one."""

from __future__ import annotations

import pytest

from automio.codegen.naming import (
    Imports,
    Names,
    argument_names,
    class_name,
    constant_name,
    function_name,
    module_names,
    root_class,
    row_class,
    without_app,
)
from automio.dialect.index import Root, RootKind, Table


def table(name: str, type_: str = "") -> Table:
    return Table(type_ or f"app_1_{name}", "1", name, {}, {}, {}, frozenset(), (), {})


def root(kind: RootKind) -> Root:
    return Root("x", "query", kind, "app_1_orders", "")


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        ("GetByOrderId", "get_by_order_id"),
        ("getHTTPStatus", "get_http_status"),
        ("_Delete", "delete"),
        ("Import", "import_"),
        ("list", "list"),
        ("__", "operation_5f5f"),
        ("_2nd", "operation_2nd"),
    ],
)
def test_functions(operation: str, function: str) -> None:
    assert function_name(operation) == function


def test_modules() -> None:
    tables = [table(name) for name in ("orders", "orderItems", "order_items", "class", "aio", "2020_sales")]
    assert list(module_names(tables).values()) == [
        "field_2020_sales",
        "aio_",
        "class_",
        "order_items_2",
        "order_items",
        "orders",
    ]


def test_arguments() -> None:
    assert argument_names(["orderId", "order_id", "class"]) == {
        "orderId": "order_id_2",
        "order_id": "order_id",
        "class": "class_",
    }
    assert argument_names(["organization_id"]) == {"organization_id": "organization_id_2"}
    assert argument_names(["organizationId"]) == {"organizationId": "organization_id_2"}


def test_constants() -> None:
    assert [constant_name(name) for name in ("find", "get_by_id", "a")] == ["FIND", "GET_BY_ID", "A_"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("orders", "Order"),
        ("billing_entries", "BillingEntry"),
        ("orderItems", "OrderItem"),
        ("news", "News"),
        ("2020_sales", "Model2020Sale"),
    ],
)
def test_rows(name: str, wanted: str) -> None:
    assert row_class(table(name)) == wanted


def test_roots() -> None:
    orders = table("orders")
    assert root_class("GetById", "orders", root(RootKind.LIST), orders, False) == "GetByIdOrder"
    assert root_class("Totals", "orders_aggregate", root(RootKind.AGGREGATE), orders, False) == "TotalsOrderAggregate"
    assert root_class("Save", "insert_orders", root(RootKind.INSERT), orders, False) == "SaveOrderResponse"
    assert root_class("Board", "late", root(RootKind.LIST), orders, True) == "BoardLate"
    assert root_class("Find", "search_orders", None, None, False) == "FindSearchOrder"


def test_classes_are_identifiers() -> None:
    assert [class_name(name) for name in ("orderHead", "_x", "none", "__")] == ["OrderHead", "X", "None_", "Model"]


def test_a_taken_name_gets_a_number() -> None:
    names = Names(["Order"])
    assert [names.take("Order"), names.take("Order"), names.take("Item")] == ["Order2", "Order3", "Item"]


def test_names_without_the_app() -> None:
    assert without_app("insert_app_130_orders_one", "130") == "insert_orders_one"
    assert without_app("app_131_orders", "130") == "app_131_orders"
    assert without_app("orders", "") == "orders"


def test_imports_step_aside() -> None:
    imports = Imports(["date", "list"])
    assert imports.use("datetime", "date") == "_date"
    assert imports.use("datetime", "time") == "time"
    assert imports.use("datetime", "time", within={"time"}) == "_time"
    assert imports.builtin("list") == "builtins.list"
    assert imports.text("Decimal | int | None", [("decimal", "Decimal")], checking=True) == "Decimal | int | None"
    assert imports.lines() == [
        "import builtins",
        "from datetime import date as _date, time as _time, time",
        "from typing import TYPE_CHECKING",
        "",
        "if TYPE_CHECKING:",
        "    from decimal import Decimal",
    ]
