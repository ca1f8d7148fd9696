"""`watch` and streams on the real engine: both ways to the platform see own rows alone, and each change of them."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from app_130 import orders
from app_130.aio import orders as aio_orders
from automio.wrapper import API

STREAM = """subscription News($after: timestamptz!) {
  app_130_orders_stream(batch_size: 10, cursor: {initial_value: {created_at: $after}, ordering: ASC}) { order_id: orderId }
}"""


@pytest.fixture(scope="module")
def url(serve: Callable[[str], str]) -> str:
    return serve("watched")


@pytest.fixture(params=["gateway", "hasura"])
def api(request: pytest.FixtureRequest, url: str) -> API:
    """Organization 2's client, through the gateway with its token or the Hasura endpoint as admin."""
    if request.param == "gateway":
        return API(api_base_url=url, app_token="local-org-2", app_id=130, organization_id=2)
    return API(hasura_graphql_endpoint=f"{url}/v1/graphql", organization_id=2)


def run_sql(url: str, sql: str) -> Any:
    body = json.dumps({"type": "run_sql", "args": {"sql": sql}}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v2/query", body), timeout=30) as answer:
        return json.load(answer)


def insert(url: str, organization: int, *ids: str) -> None:
    rows = ", ".join(f"({organization}, '{one}')" for one in ids)
    run_sql(url, f'INSERT INTO app_130_orders (organization_id, "orderId") VALUES {rows}')


def test_watch_shows_each_change_of_own_rows(api: API, url: str, request: pytest.FixtureRequest) -> None:
    mark = request.node.callspec.id
    with api, orders.watch(where={"order_id": {"_like": f"{mark}%"}}, order_by={"order_id": "asc"}) as answers:
        assert next(answers) == []
        insert(url, 3, f"{mark}-foreign")
        insert(url, 2, f"{mark}-1")
        assert [one.order_id for one in next(answers)] == [f"{mark}-1"]
        orders.update(where={"order_id": {"_eq": f"{mark}-1"}}, set={"delivered": True})
        assert [one.delivered for one in next(answers)] == [True]
        orders.delete(where={"order_id": {"_like": f"{mark}%"}})
        assert next(answers) == []


async def test_a_stream_gives_own_rows_once(api: API, url: str, request: pytest.FixtureRequest) -> None:
    mark = request.node.callspec.id
    found: list[str] = []
    async with api:
        start = await aio_orders.find(order_by={"created_at": "desc"}, limit=1)
        after = start[0].created_at.isoformat() if start else "2000-01-01T00:00:00Z"
        async with api.tables.subscribe_async(STREAM, {"after": after}) as batches:
            for number in range(3):
                await asyncio.to_thread(insert, url, 3, f"{mark}-foreign-{number}")
                await asyncio.to_thread(insert, url, 2, f"{mark}-stream-{number}")
                answer = await asyncio.wait_for(anext(batches), 20)
                found += [row["order_id"] for row in answer["app_130_orders_stream"]]
    assert found == [f"{mark}-stream-{number}" for number in range(3)]
