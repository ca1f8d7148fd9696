"""Types of what is generated, as a user's checker sees them. Copied beside the golden packages and checked there.

A comment says what reveal_type shows, or `refused` where a call must be an error. See tests/codegen/test_generated.py.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sample.app_130 import billing_entries, messages, orders
from sample.app_130.aio import orders as async_orders
from several_roots.app_130 import orders as dashboard

from automio.scope.values import all_rows

if TYPE_CHECKING:
    from typing import reveal_type

ID = UUID(int=1)

# What functions give.
reveal_type(orders.get(ID))  # type: Order | None
reveal_type(orders.get_by_order_id("A1"))  # type: GetByOrderIdOrder | None
reveal_type(orders.find())  # type: list[Order]
reveal_type(orders.count(where={"delivered": {"_eq": False}}))  # type: int
reveal_type(orders.insert({"order_id": "A1"}))  # type: Order
reveal_type(orders.insert_many([{"order_id": "A1"}]))  # type: list[Order]
reveal_type(orders.update({"id": {"_eq": ID}}, {"status": "new"}))  # type: int
reveal_type(orders.update_by_pk(ID, {"total": Decimal("1.50")}))  # type: Order | None
reveal_type(orders.delete(all_rows()))  # type: int
reveal_type(orders.delete_by_pk("00000000-0000-0000-0000-000000000001"))  # type: Order | None
reveal_type(orders.set_delivered("A1", True))  # type: int
reveal_type(billing_entries.latest())  # type: LatestBillingEntry | None
reveal_type(messages.add_to_order(ID, "hello"))  # type: AddToOrderMessage
reveal_type(messages.search("%a%"))  # type: list[SearchMessage]
reveal_type(orders.list_with_messages(False, limit=3)[0].messages[0].sent_at)  # type: datetime
reveal_type(orders.list_with_messages(False)[0].messages_aggregate.aggregate.count)  # type: int
reveal_type(dashboard.dashboard(ID))  # type: Dashboard
for batch in orders.iterate(batch_size=10):
    reveal_type(batch)  # type: list[Order]


async def coroutines() -> None:
    reveal_type(await async_orders.find())  # type: list[Order]
    async for batch in async_orders.iterate():
        reveal_type(batch)  # type: list[Order]


def attributes(order: orders.Order, message: messages.SearchMessage) -> None:
    reveal_type(order.order_id)  # type: str
    reveal_type(order.total)  # type: Decimal | None
    reveal_type(order.created_at)  # type: datetime
    # An object relationship to rows of organizations may be empty, whatever the schema says.
    reveal_type(message.order)  # type: MessageOrder | None
    print(order.orderId)  # refused


# What is accepted.
now = datetime.now().astimezone()
orders.find(where={"_or": [{"created_at": {"_gt": now}}, {"_not": {"buyer_login": {"_is_null": True}}}]})
orders.find(where={"messages": {"message_content": {"_ilike": "%a%"}}}, order_by={"created_at": "desc"}, limit=2)
orders.find(order_by=[{"status": "asc"}, {"total": "desc_nulls_last"}], distinct_on=["status"])
orders.find(where={"messages_aggregate": {"count": {"predicate": {"_gt": 3}, "arguments": ["order_id"]}}})
orders.insert({"order_id": "A1", "messages": {"data": [{"message_content": "hello"}]}})
billing_entries.upsert_many(
    [{"allegro_id": "b1", "occurred_at": now, "type": "fee", "value": 1}],
    on_conflict="uq_app_130_billing_entries_allegroId_org",
    update=["type", "value"],
)
orders.get(ID, organization_id=2)

# What must be refused.
orders.find(where={"orderid": {"_eq": "A1"}})  # refused
orders.find(where={"orderId": {"_eq": "A1"}})  # refused
orders.find(where={"order_id": {"_equals": "A1"}})  # refused
orders.find(where={"order_id": {"_eq": 1}})  # refused
orders.find(where={"order_id": {"_eq": None}})  # refused
orders.find(where={"messages": {"content": {"_eq": "a"}}})  # refused
orders.find(order_by={"created_at": "down"})  # refused
orders.find(order_by={"created": "desc"})  # refused
orders.find(distinct_on=["orderId"])  # refused
orders.find({"status": {"_eq": "new"}})  # refused
orders.insert({"organization_id": 2})  # refused
orders.insert({"order_id": 1})  # refused
orders.update(None, {"status": "new"})  # refused
orders.update({"status": {"_eq": "new"}})  # refused
orders.update({"status": {"_eq": "new"}}, {"state": "x"})  # refused
orders.upsert_many([{"order_id": "A1"}], "app_130_orders_key", ["status"])  # refused
orders.upsert_many([{"order_id": "A1"}], "app_130_orders_pkey", ["state"])  # refused
orders.get(1)  # refused
orders.get_by_order_id()  # refused
orders.get_by_order_id("A1", organization_id="2")  # refused
messages.search(1)  # refused
