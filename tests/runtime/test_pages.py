"""Keyset pages against a server that filters, orders and limits as it is told."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

import automio
from automio.errors import DecodeError, ScopeError
from automio.runtime.pages import aiterate, iterate, keyset
from automio.wrapper import API


def holds(row: dict[str, Any], where: dict[str, Any]) -> bool:
    """The filters that pages build, evaluated on a row. Numbers may come as text, which PostgreSQL reads as well."""
    operators = {"_eq": lambda a, b: a == b, "_gt": lambda a, b: a > b}
    for key, value in where.items():
        if key == "_and":
            good = all(holds(row, inner) for inner in value)
        elif key == "_or":
            good = any(holds(row, inner) for inner in value)
        else:
            good = all(operators[name](row[key], type(row[key])(operand)) for name, operand in value.items())
        if not good:
            return False
    return True


class Table:
    """Rows behind the test server; `most` is the row limit of a role."""

    def __init__(self, rows: list[dict[str, Any]], most: int = 10**6) -> None:
        self.rows = rows
        self.most = most

    def __call__(self, exchange: Any) -> Any:
        variables = exchange.variables
        rows = [row for row in self.rows if holds(row, variables.get("where") or {})]
        for order in reversed(variables["order_by"]):
            [(column, direction)] = order.items()
            assert direction == "asc"
            rows.sort(key=lambda row: row[column])
        return {"data": {"orders": rows[: min(variables["limit"], self.most)]}}


def row(number: int, order_id: str = "A", total: int = 0) -> dict[str, Any]:
    return {"id": str(UUID(int=number)), "orderId": order_id, "total": total}


def numbers(batches: Any) -> list[list[int]]:
    return [[order.id.int for order in batch] for batch in batches]


def test_batches_in_the_order_of_the_key(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = Table([row(n) for n in (5, 3, 1, 4, 2)])
    assert numbers(iterate(app.find, {}, batch_size=2)) == [[1, 2], [3, 4], [5]]
    assert "where" not in environment.exchanges[0].variables or environment.exchanges[0].variables["where"] == {}
    assert environment.exchanges[1].variables["where"] == {"id": {"_gt": str(UUID(int=2))}}


@pytest.mark.parametrize("count", [0, 1, 4, 7])
async def test_nothing_is_missed_at_the_edges(environment: Any, app: SimpleNamespace, count: int) -> None:
    environment.answer = Table([row(n) for n in range(count)])
    expected = [list(batch) for batch in itertools.batched(range(count), 4)] if hasattr(itertools, "batched") else None
    found = [[order.id.int for order in batch] async for batch in aiterate(app.find, {}, batch_size=4)]
    assert [n for batch in found for n in batch] == list(range(count)) and [] not in found
    assert expected is None or found == expected


def test_a_role_that_may_read_fewer_rows_misses_none(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = Table([row(n) for n in range(10)], most=3)
    assert [n for batch in iterate(app.find, {}, batch_size=500) for n in [order.id.int for order in batch]] == list(
        range(10)
    )


def test_a_key_of_several_columns_and_a_filter(environment: Any, app: SimpleNamespace) -> None:
    rows = [row(n, order_id, total) for n, (order_id, total) in enumerate(itertools.product("ABC", range(4)))]
    environment.answer = Table(rows)
    where = {"total": {"_gt": 0}}
    batches = list(iterate(app.find, {"where": where}, key=("order_id", "total"), batch_size=2))
    assert [(o.order_id, int(o.total)) for batch in batches for o in batch] == list(itertools.product("ABC", (1, 2, 3)))
    assert [len(batch) for batch in batches] == [2, 2, 2, 2, 1]
    sent = environment.exchanges[1].variables["where"]
    assert sent["_and"][0] == where, "the caller's filter stays whole"
    assert where == {"total": {"_gt": 0}}
    exact = list(iterate(app.find, {"where": where}, key=("orderId", "total"), batch_size=9))
    assert [len(batch) for batch in exact] == [9], "GraphQL's own names are understood"


def test_three_columns() -> None:
    rows = [dict(zip("abc", values, strict=True)) for values in itertools.product(range(3), repeat=3)]
    for last in rows:
        values = tuple(last.values())
        behind = [candidate for candidate in rows if holds(candidate, keyset("abc", values))]
        assert behind == [candidate for candidate in rows if tuple(candidate.values()) > values]


def test_rows_inserted_and_deleted_on_the_way(environment: Any, app: SimpleNamespace) -> None:
    table = environment.answer = Table([row(n) for n in range(0, 20, 2)])
    found: list[int] = []
    for batch in iterate(app.find, {}, batch_size=3):
        found += [order.id.int for order in batch]
        table.rows = [row(n) for n in range(0, 20, 2) if n not in (0, 2)] + [row(1), row(19)]
    assert found == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 19]


def test_organization_and_client_are_those_of_the_start(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = Table([row(n) for n in range(6)])
    with API(app_token="one"), automio.organization(7):
        batches = iterate(app.find, {}, batch_size=2)
        next(batches)
        with automio.organization(8):
            next(batches)
    assert {exchange.variables[app.find.scope_variable] for exchange in environment.exchanges} == {7}
    assert {exchange.headers["authorization"] for exchange in environment.exchanges} == {"App-Token one"}


def test_refused_at_once(environment: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="batch_size"):
            iterate(app.find, {}, batch_size=size)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="order_by"):
        iterate(app.find, {"order_by": {"id": "desc"}})
    with pytest.raises(ValueError, match="key"):
        aiterate(app.find, {}, key=())
    with pytest.raises(ScopeError):
        iterate(app.find, {}, organization_id=None)  # pyright: ignore[reportArgumentType]
    assert environment.exchanges == []


def test_a_key_that_the_rows_do_not_show(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {"data": {"orders": [row(1)]}}
    batches = iterate(app.find, {}, key=("buyer_login",))
    next(batches)
    with pytest.raises(DecodeError, match="buyer_login is not selected"):
        next(batches)
    environment.answer = lambda exchange: {"data": {"orders": [{**row(1), "total": None}]}}
    batches = iterate(app.find, {}, key=("total",))
    next(batches)
    with pytest.raises(DecodeError, match="no key"):
        next(batches)
