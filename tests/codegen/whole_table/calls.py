"""Everything that a table offers, called once: one JSON object a call. Run as a program by test_whole_table.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app_140 import messages, orders
from app_140.aio import orders as async_orders
from pydantic import BaseModel

from automio.scope.values import all_rows
from automio.wrapper import API


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude={"id", "created_at"}, exclude_unset=True)
    return [plain(item) for item in value] if isinstance(value, list) else value


def report(name: str, call: Callable[[], Any]) -> Any:
    try:
        value = call()
    except Exception as error:  # what a caller sees, refusals included
        print(json.dumps({name: f"{type(error).__name__}: {error}"}, default=str))
        return None
    print(json.dumps({name: plain(value)}, default=str))
    return value


def by_id(name: str) -> Any:
    return {"order_id": {"_eq": name}}


def main() -> None:
    with API():
        messages.delete(all_rows())
        orders.delete(all_rows())
        rows: Any = [
            {"order_id": f"A{n}", "total": Decimal(n) + Decimal("0.50"), "pieces": n, "details": {"tags": ["new"]}}
            for n in range(1, 4)
        ]
        report("insert_many", lambda: orders.insert_many(rows))
        nested: Any = {"order_id": "N1", "messages": {"data": [{"content": "one"}, {"content": "two"}]}}
        made = report("insert with messages", lambda: orders.insert(nested))
        report("insert_many with messages", lambda: orders.insert_many([{**nested, "order_id": "N2"}]))
        upward: Any = {"content": "three", "order": {"data": {"order_id": "N3"}}}
        report("insert a message with its order", lambda: messages.insert(upward).content)
        report("messages of the order", lambda: messages.count(where={"order": {"order_id": {"_eq": "N1"}}}))
        report("the parent's key is the children's", lambda: messages.count(where={"order_id": {"_eq": made.id}}))
        foreign: Any = {"order_id": "N4", "messages": {"data": [{"content": "x", "organization_id": 3}]}}
        report("nested row of another organization", lambda: orders.insert(foreign))
        report("aggregate", orders.aggregate)
        report(
            "aggregate of columns",
            lambda: orders.aggregate(
                where={"order_id": {"_like": "A%"}},
                sum=["total", "pieces"],
                avg=["total"],
                min=["order_id"],
                max=["total", "order_id"],
            ),
        )
        report(
            "aggregate over nothing", lambda: orders.aggregate(where=by_id("none"), sum=["total"], max=["created_at"])
        )
        newest = orders.aggregate(max=["created_at"])
        assert newest.max is not None and newest.max.created_at is not None
        report("a time is aware", lambda: newest.max.created_at.tzinfo is not None)
        report("one class", lambda: type(newest) is orders.OrderAggregate and type(newest.max) is orders.OrderMax)
        report("async", lambda: asyncio.run(async_orders.aggregate(where=by_id("A2"), sum=["pieces"])))
        report("distinct", lambda: orders.aggregate(distinct_on=["pieces"], sum=["pieces"]))
        report("inc", lambda: orders.update(by_id("A1"), inc={"pieces": 5, "total": "1.25"}))
        report("set and append", lambda: orders.update(by_id("A1"), {"order_id": "B1"}, append={"details": {"x": 1}}))
        report("prepend", lambda: orders.update(by_id("A2"), prepend={"details": {"y": [1, 2]}}))
        report("delete_key", lambda: orders.update(by_id("A2"), delete_key={"details": "tags"}))
        report("delete_at_path", lambda: orders.update(by_id("A2"), delete_at_path={"details": ["y", "0"]}))
        report("no change", lambda: orders.update(by_id("A2")))
        report("async without a change", lambda: asyncio.run(async_orders.update(by_id("A2"), set=None)))  # type: ignore
        key = orders.find(where=by_id("A3"))[0].id
        report("update_by_pk", lambda: orders.update_by_pk(key, inc={"pieces": 1}, append={"details": {"z": None}}))
        report(
            "update_many",
            lambda: orders.update_many(
                [
                    {"where": by_id("none"), "_set": {"pieces": 0}},
                    {"where": {"order_id": {"_like": "N%"}}, "_set": {"pieces": 7}},
                    {"where": {"pieces": {"_eq": 7}}, "_inc": {"pieces": 1}},
                    {"where": all_rows(), "_inc": {"total": 1}},
                ]
            ),
        )
        report("async update_many", lambda: asyncio.run(async_orders.update_many([])))
        report("update_many with an empty filter", lambda: orders.update_many([{"where": {}, "_set": {"pieces": 0}}]))
        twice: Any = [
            {"where": by_id("A2"), "_set": {"pieces": 99}},
            {"where": all_rows(), "_set": {"order_id": "same"}},
        ]
        report("update_many is one transaction", lambda: orders.update_many(twice) and "")
        report("at the end", lambda: orders.find(order_by={"order_id": "asc"}))


if __name__ == "__main__":
    main()
