"""The engine's nested query beside the same query written by hand.  python -m benchmarks.engine_nested [--rounds 7] [--seconds 2]

One uvicorn process with a raw ASGI app answers two paths through pools of the same size and settings: `/engine` runs a GraphQL
document for a caller bound to an organization (100 orders with 5 messages each, 29 kB), `/sql` sends one statement written by
hand and passes its bytes on. 32 keep-alive connections ask the two in turn; figures are medians, and only their ratio binds
(design, section 10: at least 0.85). Needs `automio[local]`; uses DATABASE_URL, else an embedded PostgreSQL, and a database of
its own there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

IN_FLIGHT = 32
ORGANIZATIONS = 10
TARGET = 0.85
TABLES = """
CREATE TABLE app_1_orders (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id integer NOT NULL, "orderId" text NOT NULL,
    "buyerLogin" text, status text NOT NULL, delivered boolean NOT NULL, total numeric(12, 2), details jsonb,
    created_at timestamptz NOT NULL, updated_at timestamptz, note text, country text,
    UNIQUE ("orderId", organization_id), UNIQUE (id, organization_id));
CREATE TABLE app_1_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id integer NOT NULL, order_id uuid NOT NULL,
    content text NOT NULL, sent_at timestamptz NOT NULL);
INSERT INTO app_1_orders
    SELECT gen_random_uuid(), 1 + i % {organizations}, 'order-' || i, 'buyer' || i % 997, 'new', i % 2 = 0, i % 1000,
           '{{"colour": "red"}}', now() - i * interval '1 second', now(), NULL, 'PL'
    FROM generate_series(1, {orders}) i;
INSERT INTO app_1_messages
    SELECT gen_random_uuid(), o.organization_id, o.id, 'message ' || k, o.created_at + k * interval '1 minute'
    FROM app_1_orders o, generate_series(1, 6) k;
CREATE INDEX ON app_1_orders (organization_id, created_at DESC);
CREATE INDEX ON app_1_messages (order_id, sent_at);
ALTER TABLE app_1_messages ADD FOREIGN KEY (order_id, organization_id) REFERENCES app_1_orders (id, organization_id);
ANALYZE;
"""
DOCUMENT = """
query Newest($delivered: Boolean) {
  app_1_orders(where: {delivered: {_eq: $delivered}}, order_by: {created_at: desc}, limit: 100) {
    id orderId status total created_at
    messages(order_by: {sent_at: asc}, limit: 5) { id content }
  }
}
"""
STATEMENT = """
SELECT coalesce(json_agg(row_to_json(o)), '[]') FROM (
    SELECT id, "orderId", status, total, created_at, (
        SELECT coalesce(json_agg(row_to_json(m)), '[]') FROM (
            SELECT id, content FROM app_1_messages
            WHERE order_id = t.id AND organization_id = $1 ORDER BY sent_at LIMIT 5) m) AS messages
    FROM app_1_orders t WHERE organization_id = $1 ORDER BY created_at DESC LIMIT 100) o
"""


async def serve(dsn: str, port: int) -> None:
    """The server process: answers until it is ended."""
    import asyncpg
    import uvicorn

    from automio.engine.engine import Caller, Engine

    async def prepare(connection: Any) -> None:
        await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=lambda b: b, format="binary")

    async def keep(connection: Any) -> None:
        pass

    engine = await Engine.connect(dsn, pool_size=8)
    pool = await asyncpg.create_pool(
        dsn, min_size=8, max_size=8, init=prepare, reset=keep, server_settings={"jit": "off"}
    )
    callers = {n: Caller(organization=n) for n in range(1, ORGANIZATIONS + 1)}
    headers = [(b"content-type", b"application/json")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        request = json.loads(body)
        organization = request["organization"]
        if scope["path"] == "/engine":
            answer = await engine.execute(callers[organization], request)
        else:
            answer = b'{"data":{"app_1_orders":%b}}' % await pool.fetchval(STATEMENT, organization)
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": answer})

    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off", access_log=False)).serve()


async def connection_loop(port: int, path: str, until: float, first: int) -> tuple[int, bytes]:
    """One keep-alive connection: asks until the time is over. (answers, the last body)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done, body = 0, b""
    while time.perf_counter() < until or not done:
        organization = 1 + (first + done) % ORGANIZATIONS
        sent = json.dumps({"query": DOCUMENT, "variables": {}, "organization": organization}).encode()
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            % (path.encode(), len(sent))
            + sent
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} answered {head[:60]!r}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        done += 1
    writer.close()
    return done, body


async def ask(port: int, path: str, seconds: float) -> float:
    """Requests a second with 32 in flight."""
    started = time.perf_counter()
    loops = [connection_loop(port, path, started + seconds, n) for n in range(IN_FLIGHT)]
    found = await asyncio.gather(*loops)
    return sum(done for done, _ in found) / (time.perf_counter() - started)


async def load(address: str, name: str, orders: int) -> str:
    """Makes the database with its rows; its address."""
    import asyncpg

    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    dsn = urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLES.format(organizations=ORGANIZATIONS, orders=orders))
    await connection.close()
    return dsn


async def drop(address: str, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(address)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.close()


def measure(address: str, arguments: argparse.Namespace) -> float:
    """Prints the figures; the ratio."""
    name = f"automio_bench_{uuid.uuid4().hex[:8]}"
    dsn = asyncio.run(load(address, name, arguments.orders))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.engine_nested", "--serve", str(port), "--dsn", dsn]
    server = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent)
    try:
        _wait(port)
        answers = {path: json.loads(asyncio.run(connection_loop(port, path, 0, 0))[1]) for path in ("/engine", "/sql")}
        shown = [len(row["messages"]) for row in answers["/engine"]["data"]["app_1_orders"]]
        assert answers["/engine"] == answers["/sql"], "the two paths answer differently"
        assert shown == [5] * 100, "not the query that was meant"
        rates: dict[str, list[float]] = {"/engine": [], "/sql": []}
        for turn in range(arguments.rounds):
            for path in ("/engine", "/sql") if turn % 2 else ("/sql", "/engine"):
                rates[path].append(asyncio.run(ask(port, path, arguments.seconds)))
    finally:
        server.terminate()
        server.wait()
        asyncio.run(drop(address, name))
    engine, by_hand = (statistics.median(rates[path]) for path in ("/engine", "/sql"))
    packages = ", ".join(
        f"{one} {version(one)}" for one in ("asyncpg", "graphql-core", "uvicorn", "uvloop", "httptools")
    )
    print(f"Python {platform.python_version()}, {packages}; {arguments.orders} orders, {IN_FLIGHT} in flight")
    print(f"by hand {by_hand:7.0f} req/s  ({min(rates['/sql']):.0f} to {max(rates['/sql']):.0f})")
    print(f"engine  {engine:7.0f} req/s  ({min(rates['/engine']):.0f} to {max(rates['/engine']):.0f})")
    print(f"ratio   {engine / by_hand:7.2f}  (target: at least {TARGET})")
    return engine / by_hand


def _wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each path in each round")
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--dsn", default=os.environ.get("DATABASE_URL"), help="a server where a database may be made")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        import uvloop

        uvloop.run(serve(arguments.dsn, arguments.serve))
        return
    if arguments.dsn:
        measure(arguments.dsn, arguments)
        return
    from automio.local.postgres import Postgres

    with TemporaryDirectory() as home:
        postgres = Postgres.start(Path(home))
        try:
            measure(postgres.dsn, arguments)
        finally:
            postgres.close()


if __name__ == "__main__":
    main()
