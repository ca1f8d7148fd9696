"""Every call of the demo, printed as one JSON object a call. Run as a program: the environment says where, and as whom.

Generated keys and times of new rows are left out, so that two databases can be compared.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from app_130 import billing_entries, messages, orders
from app_130.aio import orders as async_orders
from automio import GraphQLRequest
from automio.wrapper import API

ORDER = "eba6bc90-faab-11f0-96f9-c518c5ba21fb"


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def report(name: str, call: Callable[[], Any]) -> Any:
    try:
        value = call()
    except Exception as error:  # the comparison is on what a caller sees, errors included
        print(json.dumps({name: f"{type(error).__name__}: {error}"}, default=str))
        return None
    print(json.dumps({name: plain(value)}, default=str))
    return value


def main() -> None:
    with API() as api:
        order = report("get_by_order_id", lambda: orders.get_by_order_id(ORDER))
        report("list_with_messages", lambda: orders.list_with_messages(False))
        report("search", lambda: messages.search("%"))
        report("latest", billing_entries.latest)
        report(
            "find through a relationship", lambda: orders.find(where={"messages": {"message_content": {"_like": "%"}}})
        )
        report("find by another's buyer", lambda: orders.find(where={"buyer_login": {"_like": "org%"}}))
        report("count", orders.count)
        report("pages", lambda: [row for page in orders.iterate(batch_size=2) for row in page])
        report("async", lambda: asyncio.run(async_orders.find(order_by={"created_at": "desc"})))
        rows: Any = [
            {
                "allegro_id": f"bill-{n}",
                "occurred_at": datetime(2026, 2, n, tzinfo=UTC),
                "type": "x",
                "value": Decimal(n),
            }
            for n in range(1, 10)
        ]
        constraint: Any = "uq_app_130_billing_entries_allegroId_org"
        report("upsert", lambda: billing_entries.upsert_many(rows, on_conflict=constraint, update=["value", "type"]))
        report("save_batch", lambda: billing_entries.save_batch([dict(row, type="y") for row in rows]))
        report("set_delivered", lambda: orders.set_delivered(ORDER, True))
        report("update", lambda: orders.update(where={"order_id": {"_neq": "none"}}, set={"status": "seen"}))
        added = report("add_to_order", lambda: order and without_keys(messages.add_to_order(order.id, "Thank you!")))
        report("delete", lambda: messages.delete(where={"message_content": {"_eq": "Thank you!"}}) if added else 0)
        report(
            "delete by another's text",
            lambda: messages.delete(where={"message_content": {"_like": "a message of organization%"}}),
        )
        document = "{ app_130_billing_entries(order_by: {allegroId: asc}) { allegroId value type } }"
        report(
            "ad hoc",
            lambda: (
                api.tables.apps_graphql_query(
                    app=130, table="billing_entries", graph_ql_request=GraphQLRequest(document)
                ).data
            ),
        )


def without_keys(message: messages.AddToOrderMessage) -> Any:
    return [message.message_content, plain(message.order)]


if __name__ == "__main__":
    main()
