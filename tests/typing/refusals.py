"""Calls that a type checker must refuse, by what is wrong with them; each beside one that it accepts.

A comment says `refused` where a call must be an error. See tests/codegen/test_generated.py.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sample.app_130 import billing_entries, messages, orders
from sample.app_130.aio import orders as async_orders

from automio.scope.values import all_rows

ID = UUID(int=1)
now = datetime.now().astimezone()

# A column of another table, of no table, or of another spelling.
orders.find(where={"buyer_login": {"_eq": "a"}})
orders.find(where={"message_content": {"_eq": "a"}})  # refused
orders.find(where={"colour": {"_eq": "a"}})  # refused
orders.find(where={"buyerLogin": {"_eq": "a"}})  # refused
orders.count(where={"colour": {"_eq": "a"}})  # refused
orders.delete({"colour": {"_eq": "a"}})  # refused
orders.update(all_rows(), {"colour": "red"})  # refused
orders.insert({"colour": "red"})  # refused
orders.insert_many([{"order_id": "A1"}, {"colour": "red"}])  # refused
orders.update_by_pk(ID, {"colour": "red"})  # refused
orders.find(order_by={"colour": "asc"})  # refused
orders.find(distinct_on=["colour"])  # refused
orders.aggregate(max=["colour"])  # refused

# An operator that there is not, or that this column doesn't have.
orders.find(where={"total": {"_gte": 1, "_in": [1, 2]}, "order_id": {"_like": "A%"}})
orders.find(where={"total": {"_like": "1%"}})  # refused
orders.find(where={"delivered": {"_like": "t%"}})  # refused
orders.find(where={"order_id": {"eq": "A1"}})  # refused
orders.find(where={"order_id": "A1"})  # refused
orders.find(where={"created_at": {"_between": [now, now]}})  # refused

# A value of another type.
orders.find(where={"delivered": {"_eq": True}, "created_at": {"_lt": now}, "id": {"_eq": ID}})
orders.find(where={"delivered": {"_eq": "yes"}})  # refused
orders.find(where={"created_at": {"_lt": 1700000000}})  # refused
orders.find(where={"id": {"_eq": 7}})  # refused
orders.find(where={"total": {"_in": 1}})  # refused
orders.find(where={"order_id": {"_in": [1]}})  # refused
orders.find(where={"order_id": {"_is_null": "yes"}})  # refused
orders.find(limit="10")  # refused
orders.find(offset=1.5)  # refused
orders.find(distinct_on="status")  # refused
orders.insert({"order_id": "A1", "delivered": "yes"})  # refused
orders.insert({"order_id": "A1", "total": [1]})  # refused
orders.update(all_rows(), {"delivered": 1.5})  # refused
orders.set_delivered("A1", "yes")  # refused
orders.list_with_messages(False, limit="3")  # refused
messages.add_to_order(7, "hello")  # refused

# None where there is a value or nothing.
orders.update(all_rows(), {"total": None})
orders.find(where={"total": {"_gt": None}})  # refused
orders.find(where={"order_id": {"_in": None}})  # refused
orders.find(where={"order_id": {"_in": ["A1", None]}})  # refused
orders.find(where={"order_id": None})  # refused
orders.get(None)  # refused
orders.get_by_order_id(None)  # refused
orders.delete(None)  # refused
orders.insert(None)  # refused

# Combinations.
orders.find(where={"_or": [{"status": {"_eq": "a"}}, {"_and": [{"status": {"_eq": "b"}}]}]})
orders.find(where={"_or": {"status": {"_eq": "a"}}})  # refused
orders.find(where={"_and": [{"colour": {"_eq": "a"}}]})  # refused
orders.find(where={"_not": [{"status": {"_eq": "a"}}]})  # refused
orders.find(where={"messages": {"colour": {"_eq": "a"}}})  # refused
messages.find(where={"order": {"message_content": {"_eq": "a"}}})  # refused
messages.find(order_by={"sent_at": "desc"})
messages.find(order_by={"sent_at": "descending"})  # refused

# Constraints.
orders.upsert_many([{"order_id": "A1"}], on_conflict="uq_app_130_orders_orderId_org", update=["order_id"])
orders.upsert_many([{"order_id": "A1"}], on_conflict="orders_pkey", update=["order_id"])  # refused
orders.upsert_many([{"order_id": "A1"}], on_conflict="uq_app_130_orders_orderId_org", update=["colour"])  # refused
orders.upsert_many([{"order_id": "A1"}], on_conflict="uq_app_130_orders_orderId_org", update="order_id")  # refused
orders.upsert_many({"order_id": "A1"}, on_conflict="uq_app_130_orders_orderId_org", update=["order_id"])  # refused
orders.upsert_many([{"order_id": "A1"}])  # refused
billing_entries.upsert_many([], on_conflict="uq_app_130_orders_orderId_org", update=["type"])  # refused

# Arguments that are missing, too many or unknown.
orders.set_delivered("A1", True)
orders.set_delivered("A1")  # refused
orders.set_delivered("A1", True, False)  # refused
orders.set_delivered("A1", delivered=True, colour="red")  # refused
orders.get()  # refused
orders.find(were={"status": {"_eq": "a"}})  # refused
orders.insert()  # refused
orders.update({"status": {"_eq": "a"}})  # refused
orders.delete()  # refused
orders.get(ID, organization_id=2)
orders.get(ID, organization_id=None)  # refused
orders.get(ID, organization_id="2")  # refused
orders.iterate(batch_size="10")  # refused

# The organization is the scope's.
orders.update(all_rows(), {"organization_id": 2})  # refused
orders.insert_many([{"order_id": "A1", "organization_id": 2}])  # refused

# Answers.
found = orders.get(ID)
print(found.order_id)  # refused
if found:
    print(found.order_id)
    print(found.colour)  # refused
    text: str = found.created_at  # refused
number: str = orders.count()  # refused
total: Decimal = orders.find()[0].total  # refused
for order in orders.iterate():
    print(order.order_id)  # refused


async def coroutines() -> None:
    print((await async_orders.find())[0].order_id)
    print(async_orders.find()[0])  # refused
    await async_orders.find(where={"colour": {"_eq": "a"}})  # refused
    await async_orders.insert({"colour": "red"})  # refused
    for one in async_orders.iterate():  # refused
        del one
