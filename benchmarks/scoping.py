"""What scoping costs a call, and that its cache stays bounded.  python -m benchmarks.scoping

A hook of `API(middleware=…)` answers in the network's place, so what is timed is automio alone: the look-up of the text,
the rules on the variables, the organization, the decoding of a canned answer. The same calls without an organization
(towards the gateway they go as they were written) are subtracted: the rest is scoping. Compiled operations are called the
same way through the sample's typed functions; they never see an AST, and the benchmark fails if graphql-core is loaded.

`--texts N` sends N distinct documents and prints the process's memory on the way (a million takes some ten minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from automio.runtime.transport import Reply
from automio.wrapper import API

TARGET = 20
DOCUMENT = """query Late($where: app_130_orders_bool_exp, $limit: Int) {
  app_130_orders(where: {_and: [{delivered: {_eq: false}}, $where]}, limit: $limit, order_by: {created_at: desc}) {
    id orderId messages(limit: 3) { id messageContent }
  }
}"""
SMALL = "query One($id: String!) { app_130_orders(where: {orderId: {_eq: $id}}, limit: 1) { id orderId } }"
WHERE = {"status": {"_eq": "new"}, "messages": {"messageContent": {"_like": "%a%"}}}


async def canned(operation: Any, following: Any) -> Reply:
    return Reply(200, b'{"data":{"orders":[],"app_130_orders":[]}}', ())


def api(organization: int | None) -> API:
    return API(
        api_base_url="http://127.0.0.1:9", app_token="t", app_id=130, organization_id=organization, middleware=[canned]
    )


async def microseconds(call: Callable[[], Awaitable[Any]], rounds: int, each: int) -> float:
    """The median over the rounds."""
    await call()
    found: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(each):
            await call()
        found.append((time.perf_counter() - started) / each * 1e6)
    return statistics.median(found)


async def ad_hoc(rounds: int, each: int) -> None:
    scoped, written = api(1), api(None)
    for label, text, variables in (
        ("filter by one column", SMALL, {"id": "A1"}),
        ("filter in a variable, through a relationship", DOCUMENT, {"where": WHERE, "limit": 5}),
    ):
        ours = await microseconds(lambda t=text, v=variables: scoped.tables.execute_async(t, v), rounds, each)
        bare = await microseconds(lambda t=text, v=variables: written.tables.execute_async(t, v), rounds, each)
        print(
            f"  ad hoc, {label:46} {ours:6.1f} µs, as written {bare:5.1f}: scoping {ours - bare:5.1f}, target {TARGET}"
        )
    await scoped.aclose()
    await written.aclose()


async def compiled(rounds: int, each: int) -> None:
    from app_130.aio import orders

    async with api(1):
        cost = await microseconds(lambda: orders.find(where=WHERE, limit=5), rounds, each)
    print(f"  compiled, orders.find with the same filter             {cost:6.1f} µs in all")


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


async def many_texts(count: int) -> None:
    client = api(1)
    for number in range(count):
        text = f'query Q{number} {{ app_130_orders(where: {{status: {{_eq: "s{number}"}}}}) {{ id orderId }} }}'
        await client.tables.execute_async(text)
        if number + 1 in (1000, count // 2, count):
            print(f"  {number + 1:9,} distinct texts: at most {megabytes():.0f} MB so far")
    await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--texts", type=int, default=20_000)
    given = parser.parse_args()
    asyncio.run(compiled(given.rounds, given.each))
    if "graphql" in sys.modules:
        raise SystemExit("a compiled call loaded graphql-core")
    asyncio.run(ad_hoc(given.rounds, given.each))
    asyncio.run(many_texts(given.texts))


if __name__ == "__main__":
    main()
