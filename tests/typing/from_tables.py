"""Types of what a table offers without an operation: aggregates, several updates, operators of an update.

A comment says what reveal_type shows, or `refused` where a call must be an error. See tests/codegen/test_generated.py.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from arrays_and_citext.app_130 import orders as arrays
from sample.app_130 import orders as sample
from view_without_key.app_130 import order_totals
from whole_table.app_130 import orders
from whole_table.app_130.aio import orders as async_orders

from automio.scope.values import all_rows

if TYPE_CHECKING:
    from typing import reveal_type

ID = UUID(int=1)
now = datetime.now().astimezone()

# Aggregates.
reveal_type(orders.aggregate())  # type: OrderAggregate
found = orders.aggregate(
    where={"pieces": {"_gt": 0}}, sum=["total", "pieces"], avg=["total"], min=["id"], max=["created_at"]
)
reveal_type(found.count)  # type: int
if found.sum and found.avg and found.min and found.max:
    reveal_type(found.sum.total)  # type: Decimal | None
    reveal_type(found.sum.pieces)  # type: int | None
    reveal_type(found.sum.weight)  # type: float | None
    reveal_type(found.avg.total)  # type: float | None
    reveal_type(found.min.id)  # type: UUID | None
    reveal_type(found.max.created_at)  # type: datetime | None
    reveal_type(found.max.order_id)  # type: str | None
    print(found.sum.created_at)  # refused
    print(found.sum.organization_id)  # refused
reveal_type(order_totals.aggregate(max=["buyer"]).sum)  # type: OrderTotalSum | None
kept: orders.OrderAggregate = found


async def coroutines() -> None:
    reveal_type(await async_orders.aggregate(sum=["total"]))  # type: OrderAggregate
    reveal_type(await async_orders.update_many([]))  # type: list[int]


print(found.sum.total)  # refused
orders.aggregate(sum=["created_at"])  # refused
orders.aggregate(sum="total")  # refused
orders.aggregate(sum=["organization_id"])  # refused
orders.aggregate(max=["details"])  # refused
orders.aggregate(median=["total"])  # refused
arrays.aggregate(sum=["grid"])  # refused

# Several updates.
reveal_type(orders.update_many([{"where": {"id": {"_eq": ID}}, "_set": {"order_id": "A1"}}]))  # type: list[int]
orders.update_many([{"where": all_rows(), "_inc": {"pieces": 1}, "_append": {"details": {"a": 1}}}])
orders.update_many([{"_set": {"order_id": "A1"}}])  # refused
orders.update_many([{"where": {"pieces": {"_eq": "1"}}, "_set": {"pieces": 1}}])  # refused
orders.update_many([{"where": all_rows(), "_inc": {"order_id": 1}}])  # refused
orders.update_many({"where": all_rows(), "_set": {"pieces": 1}})  # refused

# Operators of an update.
reveal_type(orders.update({"pieces": {"_gt": 1}}, inc={"total": Decimal("0.5"), "pieces": -1}))  # type: int
reveal_type(orders.update_by_pk(ID, {"created_at": now}, prepend={"details": [1]}))  # type: Order | None
orders.update(all_rows(), delete_key={"details": "a"}, delete_elem={"details": 0})
orders.update(all_rows(), delete_at_path={"details": ["a", "0"]})
orders.update(all_rows(), inc={"order_id": 1})  # refused
orders.update(all_rows(), inc={"organization_id": 1})  # refused
orders.update(all_rows(), inc=None)  # refused
orders.update(all_rows(), None)  # refused
orders.update(all_rows(), append={"pieces": [1]})  # refused
orders.update(all_rows(), delete_elem={"details": "0"})  # refused
arrays.update(all_rows())  # refused
arrays.update(all_rows(), inc={})  # refused

# Arrays, citext, and rows with rows below them.
reveal_type(arrays.get(ID))  # type: Order | None
arrays.find(where={"tags": {"_contains": ["new"]}, "email": {"_ilike": "%@example.org"}})
arrays.find(where={"tags": {"_contains": [1]}})  # refused
arrays.insert({"email": "a@example.org", "tags": ["a"], "grid": [Decimal(1), 2]})
sample.insert({"order_id": "A1", "messages": {"data": [{"message_content": "a"}, {"message_content": "b"}]}})
sample.insert({"order_id": "A1", "messages": {"data": [{"content": "a"}]}})  # refused
sample.insert({"order_id": "A1", "messages": [{"message_content": "a"}]})  # refused
