"""What scoping costs a call, and that its cache stays bounded.  python -m benchmarks.scoping

A hook of `API(middleware=…)` answers in the network's place, so what is timed is automio alone: the look-up of the text,
the rules on the variables, the organization, the decoding of a canned answer. The same calls without an organization
(towards the gateway they go as they were written) are subtracted: the rest is scoping. Compiled operations are called the
same way through the sample's typed functions; they never see an AST, and the benchmark fails if graphql-core is loaded.

`--texts N` sends N distinct documents and prints the process's memory at ten steps; `--only texts` does that alone. Each
text is parsed and scoped, since none comes twice: a million takes twenty to thirty minutes. Memory does not mind a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
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


def peak() -> float:
    """Megabytes that the process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def now() -> float:
    """Megabytes that it holds; the peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak()
    return pages * resource.getpagesize() / 1024**2


def many_texts(count: int) -> None:
    """Distinct texts over HTTP to a server of its own process, so that every layer's memory is in it: the kept documents,
    the transport's request heads, names in the syntax. Nothing in a text but Hasura's names comes twice."""
    from app_130 import _facts  # what is known of the tables, as in a program that imports its package

    assert _facts.FACTS
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.call", "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        asyncio.run(send_texts(f"http://127.0.0.1:{int(server.stdout.readline())}/1/v1/graphql", count))
    finally:
        server.terminate()
        server.wait()


async def send_texts(url: str, count: int) -> None:
    async with API(hasura_graphql_endpoint=url, organization_id=1) as client:
        started = time.perf_counter()
        steps = {1000, *(count * tenth // 10 for tenth in range(1, 11))}
        for number in range(1, count + 1):
            text, variables = a_text(number)
            await client.tables.execute_async(text, variables)
            if number in steps:
                print(
                    f"  {number:9,} distinct texts: {now():6.1f} MB, at most {peak():6.1f} MB,"
                    f" {len(client.tables._documents):,} kept, {time.perf_counter() - started:6.0f} s",
                    flush=True,
                )


def a_text(number: int) -> tuple[str, dict[str, Any]]:
    text = f"""query Q{number}($w{number}: app_130_orders_bool_exp, $s{number}: String) {{
  a{number}: app_130_orders(where: {{_and: [{{status: {{_eq: "s{number}"}}}}, {{status: {{_neq: $s{number}}}}}, $w{number}]}}) {{
    id k{number}: orderId messages {{ ...F{number} }}
  }}
}}
fragment F{number} on app_130_messages {{ id order {{ id m{number}: status }} }}"""
    return text, {f"w{number}": {"messages": {"messageContent": {"_like": f"%{number}%"}}}, f"s{number}": "done"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--only", choices=["texts"])
    given = parser.parse_args()
    if given.only == "texts":
        many_texts(given.texts)
        return
    asyncio.run(compiled(given.rounds, given.each))
    if "graphql" in sys.modules:
        raise SystemExit("a compiled call loaded graphql-core")
    asyncio.run(ad_hoc(given.rounds, given.each))
    many_texts(given.texts)


if __name__ == "__main__":
    main()
