"""Types of subscriptions: iterators over what a query would return, and what they take.

A comment says what reveal_type shows, or `refused` where a call must be an error. See tests/codegen/test_generated.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from subscriptions.app_130 import orders
from subscriptions.app_130.aio import orders as async_orders

if TYPE_CHECKING:
    from typing import reveal_type

ID = UUID(int=1)
now = datetime.now().astimezone()

reveal_type(orders.watch())  # type: Subscription[list[Order]]
reveal_type(orders.open(limit=5))  # type: Subscription[list[OpenOrder]]
reveal_type(orders.latest())  # type: Subscription[LatestOrder | None]
reveal_type(orders.one(ID))  # type: Subscription[OneOrder | None]
reveal_type(orders.all())  # type: Subscription[list[AllOrder]]
reveal_type(orders.since(now, where={"delivered": {"_eq": True}}))  # type: Subscription[list[SinceOrder]]
orders.by([{"initial_value": {"created_at": now}, "ordering": "ASC"}])
answers: Iterator[list[orders.Order]] = orders.watch(where={"delivered": {"_eq": False}}, limit=10)
with orders.watch() as rows:
    for found in rows:
        reveal_type(found)  # type: list[Order]
with closing(orders.watch()) as rows:
    reveal_type(next(rows)[0].order_id)  # type: str

orders.watch(where={"nothing": {"_eq": False}})  # refused
orders.watch(10)  # refused
orders.since()  # refused
orders.by([{"initial_value": {"nothing": now}}])  # refused


async def coroutine() -> None:
    reveal_type(async_orders.watch())  # type: AsyncSubscription[list[Order]]
    answers: AsyncIterator[orders.LatestOrder | None] = async_orders.latest()
    async for found in answers:
        reveal_type(found)  # type: LatestOrder | None
    async with async_orders.watch() as rows, aclosing(async_orders.watch()) as more:
        reveal_type(await anext(rows))  # type: list[Order]
        reveal_type(await anext(more))  # type: list[Order]
    await async_orders.watch()  # refused
