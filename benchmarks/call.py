"""What one typed call costs, beside what it could cost at best.  python -m benchmarks.call [--rounds 12] [--rows 1,1000]

A local server in its own process answers canned rows of 12 columns. The clients take turns every few calls, so that
noise hits all alike; figures are medians, and only the ratios to `raw` bind (design, section 10):

raw      aiohttp and pydantic-core by hand: the same request body, the same models, one model_validate_json over the body
automio  run_async of a compiled operation: settings, scoping, chain, transport, errors, decoding
 sync    the same operation from sync code, with threads where 32 are in flight
 ad hoc  api.tables.execute of the document as a user writes it: scoped once, untyped dict
gql      a gql session with a reused request: parsed once, printed at every call, untyped dict
ariadne  a client that ariadne-codegen generates for the same operation, where it is installed

`in flight` is 32 calls at once (coroutines, or threads for sync), wall time by number of calls. `--numeric` makes one
column a numeric that the server writes as a JSON number (`1234.50`): exact Decimals cost a pass over the body.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ORGANIZATION = 7
IN_FLIGHT = 32
TARGETS: dict[tuple[str, int], tuple[float | None, float | None]] = {
    ("automio", 1): (1.15, 1.2),
    ("automio", 1000): (1.05, None),
    ("sync", 1): (1.8, None),
}
SDL = """
scalar numeric
input Int_comparison_exp {{ _eq: Int }}
input String_comparison_exp {{ _eq: String }}
type app_1_orders {{
  id: Int! organization_id: Int! orderId: String! status: String! external_uuid: String tracking_number: Int
  startedAt: String sortOrder: Int archived: Boolean sortOrder2: Int totalAmount: {amount} archived2: Boolean
}}
enum order_by {{ asc desc }}
enum app_1_orders_select_column {{
  id organization_id orderId status external_uuid tracking_number startedAt sortOrder archived sortOrder2 totalAmount
  archived2
}}
input app_1_orders_order_by {{ id: order_by }}
input app_1_orders_bool_exp {{
  _and: [app_1_orders_bool_exp!] _or: [app_1_orders_bool_exp!] _not: app_1_orders_bool_exp
  id: Int_comparison_exp organization_id: Int_comparison_exp orderId: String_comparison_exp status: String_comparison_exp
}}
type query_root {{
  app_1_orders(where: app_1_orders_bool_exp, order_by: [app_1_orders_order_by!], limit: Int, offset: Int,
    distinct_on: [app_1_orders_select_column!]): [app_1_orders!]!
}}
schema {{ query: query_root }}
"""
QUERY = """query ListOrders($where: app_1_orders_bool_exp, $order_by: [app_1_orders_order_by!], $limit: Int) {
  orders: app_1_orders(where: $where, order_by: $order_by, limit: $limit) {
    id organization_id orderId status external_uuid tracking_number startedAt sortOrder archived sortOrder2 totalAmount archived2
  }
}"""
VARIABLES: dict[str, Any] = {"where": {"status": {"_eq": "open"}}, "limit": 100}

Call = Callable[[], Any]
BATCH = {1: 25, 100: 12, 1000: 6}


def body(rows: int, numeric: bool) -> bytes:
    row = {
        "id": 0,
        "organization_id": ORGANIZATION,
        "orderId": "ORD-000001",
        "status": "open",
        "external_uuid": "6f1c2d34-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "tracking_number": 9007199254740993,
        "startedAt": "2026-01-02T03:04:05.678901+00:00",
        "sortOrder": 4,
        "archived": None,
        "sortOrder2": None,
        "totalAmount": 1234.25,
        "archived2": False,
    }
    text = json.dumps({"data": {"orders": [{**row, "id": n} for n in range(rows)]}})
    return (text.replace("1234.25", "1234.50") if numeric else text).encode()


async def serve(numeric: bool) -> None:
    from aiohttp import web

    bodies = {rows: body(rows, numeric) for rows in (1, 100, 1000)}

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=bodies[int(request.match_info["rows"])], content_type="application/json")

    app = web.Application()
    app.router.add_post("/{rows}/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


class Clients:
    """Every client on one URL. A method gives the function that makes one call; `close` closes all of them."""

    def __init__(self, url: str, numeric: bool) -> None:
        from graphql import parse

        from automio.dialect.read import index_schema
        from automio.dialect.sdl import Sdl
        from automio.runtime.call import Facts, Operation
        from automio.runtime.model import Model, Numeric
        from automio.scope.walk import scope_document
        from automio.wrapper import API

        self.url = url
        amount: Any = Numeric if numeric else float
        columns: dict[str, Any] = {
            "id": int,
            "organization_id": int,
            "orderId": str,
            "status": str,
            "external_uuid": str | None,
            "tracking_number": int | None,
            "startedAt": str | None,
            "sortOrder": int | None,
            "archived": bool | None,
            "sortOrder2": int | None,
            "totalAmount": amount | None,
            "archived2": bool | None,
        }
        row = _model(Model, "Row", columns)
        data = _model(Model, "Data", {"orders": list[row]})
        self.envelope: Any = _model(Model, "Envelope", {"data": data})
        index = index_schema(Sdl.read([("bench.graphql", SDL.format(amount="numeric" if numeric else "Float"))]))
        scoped = scope_document(parse(QUERY), index)
        assert scoped.scope_variable is not None
        self.text = scoped.text
        self.variables = {**VARIABLES, scoped.scope_variable: ORGANIZATION}
        self.operation: Operation[list[Any]] = Operation(
            name="ListOrders",
            kind="query",
            document=(scoped.text,),
            facts=Facts("1", index.facts()),
            table="orders",
            source="benchmarks/call.py",
            result=lambda: data,
            unwrap=("orders",),
            scope_variable=scoped.scope_variable,
            rules=scoped.rules,
            dropped=scoped.dropped,
            plan=scoped.plan,
        )
        self.api = API(hasura_graphql_endpoint=url, organization_id=ORGANIZATION, app_id=1)
        self.closing: list[Callable[[], Awaitable[Any]]] = [self.api.aclose]

    async def close(self) -> None:
        for close in self.closing:
            await close()

    async def raw(self) -> Call:
        import aiohttp
        from pydantic_core import to_json

        session = aiohttp.ClientSession(
            headers={"content-type": "application/json"}, connector=aiohttp.TCPConnector(limit=100)
        )
        self.closing.append(session.close)

        async def call() -> Any:
            request = to_json({"query": self.text, "variables": self.variables})
            async with session.post(self.url, data=request) as response:
                return self.envelope.model_validate_json(await response.read()).data.orders

        return call

    async def automio(self) -> Call:
        from automio.runtime.client import run_async

        self.api.__enter__()

        async def leave() -> None:
            self.api.__exit__(None, None, None)

        self.closing.append(leave)
        return lambda: run_async(self.operation, VARIABLES)

    async def sync(self) -> Call:
        from automio.runtime.client import run_sync

        client = self.api._client  # threads see no `with` block of this one
        return lambda: run_sync(client.run_async(self.operation, VARIABLES, ORGANIZATION))

    async def ad_hoc(self) -> Call:
        return lambda: self.api.tables.execute_async(QUERY, VARIABLES, organization_id=ORGANIZATION)

    async def gql(self) -> Call:
        from gql import Client, gql
        from gql.transport.aiohttp import AIOHTTPTransport

        client = Client(transport=AIOHTTPTransport(url=self.url), fetch_schema_from_transport=False)
        session = await client.connect_async()
        self.closing.append(client.close_async)
        request = gql(self.text)
        request.variable_values = self.variables

        async def call() -> Any:
            return (await session.execute(request))["orders"]

        return call

    def generate_ariadne(self, folder: Path, numeric: bool) -> bool:
        """Run ariadne-codegen into `folder`; False where it isn't installed."""
        (folder / "schema.graphql").write_text(SDL.format(amount="numeric" if numeric else "Float"))
        (folder / "queries.graphql").write_text(QUERY)
        (folder / "pyproject.toml").write_text(
            '[tool.ariadne-codegen]\nschema_path = "schema.graphql"\nqueries_path = "queries.graphql"\n'
            'target_package_name = "ariadne_client"\n'
        )
        done = subprocess.run([sys.executable, "-m", "ariadne_codegen"], cwd=folder, capture_output=True, check=False)
        sys.path.insert(0, str(folder))
        return done.returncode == 0

    async def ariadne(self) -> Call:
        import ariadne_client  # pyright: ignore[reportMissingImports]
        import httpx

        where = ariadne_client.app_1_orders_bool_exp.model_validate(VARIABLES["where"])
        pool = httpx.AsyncClient(limits=httpx.Limits(max_connections=100, max_keepalive_connections=100))
        self.closing.append(pool.aclose)
        client = ariadne_client.Client(url=self.url, http_client=pool)

        async def call() -> Any:
            return (await client.list_orders(where=where, limit=100)).orders

        return call


def _model(base: type, name: str, fields: dict[str, Any]) -> Any:
    return type(name, (base,), {"__annotations__": fields, "__module__": __name__})


class Times:
    """What was seen of one client: seconds of wall and of client CPU by call, and wall by call with 32 in flight."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.in_flight: list[float] = []

    def medians(self) -> tuple[float, float, float]:
        return statistics.median(self.wall), statistics.median(self.cpu), statistics.median(self.in_flight)


async def one_by_one(call: Call, count: int, times: Times) -> None:
    cpu = time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        await call()
        times.wall.append(time.perf_counter() - start)
    times.cpu.append((time.process_time() - cpu) / count)


async def together(call: Call, count: int, times: Times) -> None:
    async def worker() -> None:
        for _ in range(count):
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    times.in_flight.append((time.perf_counter() - start) / (count * IN_FLIGHT))


def sync_one_by_one(call: Call, count: int, times: Times) -> None:
    cpu = time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.wall.append(time.perf_counter() - start)
    times.cpu.append((time.process_time() - cpu) / count)


def sync_together(call: Call, count: int, times: Times, pool: ThreadPoolExecutor) -> None:
    start = time.perf_counter()
    list(pool.map(lambda _: call(), range(count * IN_FLIGHT)))
    times.in_flight.append((time.perf_counter() - start) / (count * IN_FLIGHT))


def measure_rows(
    url: str, count: int, rounds: int, numeric: bool, ariadne: Path
) -> dict[str, tuple[float, float, float]]:
    clients = Clients(url, numeric)
    with asyncio.Runner() as runner, ThreadPoolExecutor(IN_FLIGHT) as pool:
        makers = [clients.raw, clients.automio, clients.sync, clients.ad_hoc, clients.gql]
        if clients.generate_ariadne(ariadne, numeric):
            makers.append(clients.ariadne)
        calls = {maker.__name__.replace("_", " "): runner.run(maker()) for maker in makers}
        seen = {name: Times() for name in calls}
        batch = BATCH.get(count, 10)
        names = list(calls)
        for number in range(-1, rounds):  # round -1 warms up
            names.append(names.pop(0))  # who comes after whom changes
            if number == 0:
                gc.collect()
                gc.freeze()
            for name in names:
                call = calls[name]
                times = seen[name] if number >= 0 else Times()
                if name == "sync":
                    sync_one_by_one(call, batch, times)
                    sync_together(call, 1 if count > 1 else 2, times, pool)
                else:
                    runner.run(one_by_one(call, batch, times))
                    runner.run(together(call, 1 if count > 1 else 2, times))
        runner.run(clients.close())
    return {name: times.medians() for name, times in seen.items()}


def measure(rows: list[int], rounds: int, numeric: bool) -> dict[int, dict[str, tuple[float, float, float]]]:
    """rows -> client -> medians of (wall by call, client CPU by call, wall by call in flight), in seconds."""
    command = [sys.executable, "-m", "benchmarks.call", "--serve", *(["--numeric"] if numeric else [])]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        with TemporaryDirectory() as folder:
            return {
                count: measure_rows(f"{url}/{count}/v1/graphql", count, rounds, numeric, Path(folder)) for count in rows
            }
    finally:
        server.terminate()
        server.wait()


def report(results: dict[int, dict[str, tuple[float, float, float]]]) -> bool:
    """Print a table for each number of rows; True when every target is met."""
    met = True
    for count, clients in results.items():
        base = clients["raw"]
        print(f"\n{count} rows      one by one us      x   client CPU us      x   32 in flight us      x")
        for name, values in clients.items():
            cells = "   ".join(f"{values[n] * 1e6:12.0f} {values[n] / base[n]:6.2f}" for n in range(3))
            wanted = TARGETS.get((name, count))
            verdict = ""
            if wanted is not None:
                good = all(t is None or v <= t * b for t, v, b in zip(wanted, values[::2], base[::2], strict=True))
                shown = " and ".join(str(target) for target in wanted if target is not None)
                verdict = f"   target {shown}: {'met' if good else 'missed'}"
                met = met and good
            print(f"{name:<8} {cells}{verdict}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--rows", default="1,1000")
    parser.add_argument("--numeric", action="store_true")
    parser.add_argument("--serve", action="store_true", help="be the server (used by the benchmark itself)")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.numeric))
        return 0
    rows = [int(text) for text in options.rows.split(",")]
    return 0 if report(measure(rows, options.rounds, options.numeric)) else 1


if __name__ == "__main__":
    sys.exit(main())
