"""What an app writes. The environment says where the data is and whose it is: API_BASE_URL, APP_TOKEN, ORGANIZATION_ID.

automio serve --port 8080                                   # in one terminal
API_BASE_URL=http://127.0.0.1:8080 APP_TOKEN=local-org-2 ORGANIZATION_ID=2 python examples/orders.py
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from textwrap import shorten
from typing import TypeVar, cast

from app_130 import billing_entries, messages, orders
from app_130.aio import orders as async_orders
from automio import GraphQLRequest
from automio.wrapper import API

T = TypeVar("T")
ORDER = "eba6bc90-faab-11f0-96f9-c518c5ba21fb"


def show(what: str, call: Callable[[], T]) -> T:
    """Run one call and print what came back and how long it took."""
    started = time.perf_counter()
    value = call()
    print(f"  {what}  ({(time.perf_counter() - started) * 1000:.1f} ms)")
    shown: object = value
    for row in cast("list[object]", shown if isinstance(shown, list) else [shown]):
        print(f"      {shorten(repr(row), width=150, placeholder=' …')}")
    return value


def main() -> None:
    with API() as api:
        order = show("orders.get_by_order_id(…)", lambda: orders.get_by_order_id(ORDER))
        open_orders = show("orders.list_with_messages(delivered=False)", lambda: orders.list_with_messages(False))
        show(
            "billing_entries.upsert_many([…])",
            lambda: billing_entries.upsert_many(
                [
                    {
                        "allegro_id": f"bill-{number}",
                        "occurred_at": datetime(2026, 2, number, tzinfo=UTC),
                        "type": "fee",
                        "value": Decimal("-1.25"),
                    }
                    for number in range(1, 6)
                ],
                on_conflict="uq_app_130_billing_entries_allegroId_org",
                update=["occurred_at", "type", "value"],
            ),
        )
        show("billing_entries.latest()", billing_entries.latest)
        show("orders.set_delivered(…, True)", lambda: orders.set_delivered(ORDER, True))
        if order:
            found = order
            show("messages.add_to_order(…)", lambda: messages.add_to_order(found.id, "Thank you!"))
        late = show(
            "orders.find(where=…)",
            lambda: orders.find(where={"delivered": {"_eq": False}}, order_by={"created_at": "desc"}, limit=2),
        )
        show("orders.count()", orders.count)
        show("await aio.orders.find()", lambda: asyncio.run(newest()))
        response = show(
            "api.tables.apps_graphql_query(…)",
            lambda: api.tables.apps_graphql_query(
                app=130,
                table="billing_entries",
                graph_ql_request=GraphQLRequest(
                    "{ app_130_billing_entries(order_by: {occurredAt: desc}, limit: 1) { allegroId } }"
                ),
            ),
        )
        assert not response.errors
        print(f"  {len(open_orders)} orders were open, {len(late)} of them shown")


async def newest() -> list[orders.Order]:
    return await async_orders.find(order_by={"created_at": "desc"}, limit=1)


if __name__ == "__main__":
    main()
