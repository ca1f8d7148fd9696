"""The engine beside hand-written SQL, and how its cost grows.  python -m benchmarks.engine [--rounds 5] [--seconds 1] [--only WORK] [--largest 1000000]

First part, the ratios: one uvicorn process answers `/engine/WORK` (a GraphQL document for a caller bound to an organization)
and `/sql/WORK` (one statement written by hand, its bytes passed on) through one pool of one driver; 32 keep-alive connections
ask the two in turn. The works: nested query, by-key read, aggregate, insert of 1,000 rows. Then, within this process, a live
query of 500 subscribers in ten organizations: from a committed change until each of them holds the new answer, beside one
statement by hand for all ten and 500 queues. Both answers are compared before anything is timed.

Second part, the growth: medians of single requests against rows in the table, depth of nesting, rows of an insert and tables in
the schema, with what EXPLAIN ANALYZE says: the rows that the busiest node of the plan touched for each row of the answer. A
figure that grows there means that a step is worse than linear. Written as a table and drawn into an SVG (--svg).

Needs `automio[local]`; uses DATABASE_URL, else an embedded PostgreSQL, and a database of its own there. Only ratios bind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.engine_rows import DOCUMENT, IN_FLIGHT, ORGANIZATIONS, STATEMENT, TARGET, drop, load, wait

SUBSCRIBERS = 500
INSERTED = 1_000
MORE = """
CREATE TABLE app_1_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, organization_id integer NOT NULL, kind text NOT NULL,
    amount integer, details jsonb, happened timestamptz NOT NULL);
CREATE TABLE app_1_alerts (id integer PRIMARY KEY, organization_id integer NOT NULL, text text);
INSERT INTO app_1_alerts SELECT i, 1 + i % 10, 'text ' || i FROM generate_series(1, 1000) i;
CREATE INDEX ON app_1_alerts (organization_id, id);
ANALYZE app_1_alerts;
"""


@dataclass(frozen=True)
class Work:
    """One thing that is asked of both. `variables` makes those of request number n; `arguments` turns them into the statement's."""

    document: str
    statement: str
    variables: Callable[[int], dict[str, Any]]
    arguments: Callable[[dict[str, Any], int], Sequence[Any]]
    root: str


def _rows(first: int) -> dict[str, Any]:
    at = "2026-01-01T00:00:00+00:00"
    return {
        "rows": [
            {"kind": f"kind{i % 7}", "amount": i, "details": {"n": i}, "happened": at}
            for i in range(first, first + INSERTED)
        ]
    }


def _columns(variables: dict[str, Any], organization: int) -> Sequence[Any]:
    rows = variables["rows"]
    return (
        organization,
        [row["kind"] for row in rows],
        [row["amount"] for row in rows],
        [json.dumps(row["details"]) for row in rows],
        [row["happened"] for row in rows],
    )


WORKS = {
    "nested": Work(DOCUMENT, STATEMENT, lambda _: {}, lambda _, organization: (organization,), "app_1_orders"),
    "by key": Work(
        "query ($id: uuid!) { app_1_orders_by_pk(id: $id) { id orderId status total created_at details } }",
        'SELECT row_to_json(o) FROM (SELECT id, "orderId", status, total, created_at, details FROM app_1_orders '
        "WHERE id = $1 AND organization_id = $2) o",
        lambda n: {"id": KEYS[n % len(KEYS)]},
        lambda variables, organization: (variables["id"], organization),
        "app_1_orders_by_pk",
    ),
    "aggregate": Work(
        "query ($d: Boolean) { app_1_orders_aggregate(where: {delivered: {_eq: $d}}) "
        "{ aggregate { count sum { total } max { total created_at } } } }",
        "SELECT json_build_object('aggregate', json_build_object('count', count(*), 'sum', json_build_object('total', "
        "sum(total)), 'max', json_build_object('total', max(total), 'created_at', max(created_at)))) "
        "FROM app_1_orders WHERE organization_id = $1 AND delivered = $2",
        lambda n: {"d": n % 2 == 0},
        lambda variables, organization: (organization, variables["d"]),
        "app_1_orders_aggregate",
    ),
    "insert of 1,000 rows": Work(
        "mutation ($rows: [app_1_events_insert_input!]!) { insert_app_1_events(objects: $rows) { affected_rows } }",
        "WITH w AS (INSERT INTO app_1_events (organization_id, kind, amount, details, happened) "
        "SELECT $1, * FROM unnest($2::text[], $3::int4[], $4::jsonb[], $5::timestamptz[]) RETURNING 1) "
        "SELECT json_build_object('affected_rows', count(*)) FROM w",
        _rows,
        _columns,
        "insert_app_1_events",
    ),
}
KEYS: list[str] = []


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def serve(dsn: str, port: int) -> None:
    """The server process: answers until it is ended."""
    import uvicorn

    from automio.engine.engine import Caller, Engine

    engine = await Engine.connect(dsn, pool_size=8)
    pool = engine._database._pool
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
        organization, (_, way, name) = request["organization"], scope["path"].split("/")
        if way == "engine":
            answer = await engine.execute(callers[organization], request)
        else:
            work = WORKS[name]
            found = await pool.fetchval(work.statement, *work.arguments(request["variables"], organization))
            answer = b'{"data":{"%b":%b}}' % (work.root.encode(), found or b"null")
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": answer})

    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off", access_log=False)).serve()


async def _connection(port: int, way: str, name: str, until: float, first: int) -> tuple[int, Any]:
    """One keep-alive connection: asks until the time is over. (answers, the last of them)."""
    work, path = WORKS[name], f"/{way}/{name}".replace(" ", "%20")
    # The bodies are made beforehand: their cost is the client's.
    bodies = []
    for n in range(8):
        organization = 1 + (first + n) % ORGANIZATIONS
        bodies.append(
            json.dumps(
                {"query": work.document, "variables": work.variables(first + n), "organization": organization}
            ).encode()
        )
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    done, body = 0, b""
    while time.perf_counter() < until or not done:
        sent = bodies[done % len(bodies)]
        writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(sent)) + sent)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} answered {head[:60]!r}")
        body = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        done += 1
    writer.close()
    return done, json.loads(body)


async def _rate(port: int, way: str, name: str, seconds: float) -> float:
    started = time.perf_counter()
    loops = [_connection(port, way, name, started + seconds, n) for n in range(IN_FLIGHT)]
    found = await asyncio.gather(*loops)
    return sum(done for done, _ in found) / (time.perf_counter() - started)


def ratios(dsn: str, arguments: argparse.Namespace) -> None:
    """Prints requests a second of both ways, and their ratio."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.engine", "--serve", str(port), "--dsn", dsn]
    server = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent)
    try:
        wait(port)
        print(f"{'work':<24}{'by hand':>10}{'engine':>10}{'ratio':>8}   (requests a second, {IN_FLIGHT} in flight)")
        for name in WORKS:
            answers = [asyncio.run(_connection(port, way, name, 0, 0))[1] for way in ("engine", "sql")]
            assert answers[0] == answers[1] and answers[0]["data"][WORKS[name].root], (name, str(answers)[:500])
            if name == "nested":
                shown = [len(row["messages"]) for row in answers[0]["data"]["app_1_orders"]]
                assert shown == [5] * 100, "not the query that was meant"
            rates: dict[str, list[float]] = {"engine": [], "sql": []}
            for turn in range(arguments.rounds):
                for way in ("engine", "sql") if turn % 2 else ("sql", "engine"):
                    rates[way].append(asyncio.run(_rate(port, way, name, arguments.seconds)))
                    asyncio.run(execute(dsn, "TRUNCATE app_1_events"))
            by_hand, engine = (statistics.median(rates[way]) for way in ("sql", "engine"))
            target = f"target: at least {TARGET}" if name == "nested" else ""
            print(f"{name:<24}{by_hand:>10.0f}{engine:>10.0f}{engine / by_hand:>8.2f}   {target}", flush=True)
    finally:
        server.terminate()
        server.wait()


async def execute(dsn: str, text: str, *arguments: Any) -> Any:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        return (
            await connection.fetchval(text, *arguments) if text.startswith("SELECT") else await connection.execute(text)
        )
    finally:
        await connection.close()


# ── live ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

LIVE = "subscription { app_1_alerts(order_by: {id: desc}, limit: 20) { id text } }"
LIVE_BY_HAND = """
SELECT o, (SELECT coalesce(json_agg(row_to_json(a)), '[]') FROM (
    SELECT id, text FROM app_1_alerts WHERE organization_id = o ORDER BY id DESC LIMIT 20) a)
FROM unnest($1::int4[]) o
"""


async def live(dsn: str, rounds: int) -> None:
    """Prints the time from a committed change to the last of 500 subscribers, medians."""
    from automio.engine.engine import Caller, Engine

    interval = 0.02
    engine = await Engine.connect(dsn, pool_size=4, live_interval=interval)
    pool = engine._database._pool
    organizations = list(range(1, ORGANIZATIONS + 1))
    waiting = 0
    everybody = asyncio.Event()

    def arrived() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            everybody.set()

    async def timed(kick: Callable[[], Awaitable[Any]]) -> float:
        nonlocal waiting
        waiting = SUBSCRIBERS
        everybody.clear()
        await pool.execute("UPDATE app_1_alerts SET text = $1 WHERE id > 900", uuid.uuid4().hex)
        started = time.perf_counter()
        await kick()
        await asyncio.wait_for(everybody.wait(), 60)
        return time.perf_counter() - started

    async def nothing() -> None:
        pass

    async def subscriber(organization: int) -> None:
        async for _ in engine.subscribe(Caller(organization=organization), {"query": LIVE}):  # type: ignore[union-attr]
            arrived()

    waiting = SUBSCRIBERS
    tasks = [asyncio.create_task(subscriber(1 + n % ORGANIZATIONS)) for n in range(SUBSCRIBERS)]
    await asyncio.wait_for(everybody.wait(), 60)
    found = [await timed(nothing) for _ in range(rounds * 4)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    queues: dict[int, list[asyncio.Queue[bytes]]] = {one: [] for one in organizations}

    async def reader(queue: asyncio.Queue[bytes]) -> None:
        while True:
            await queue.get()
            arrived()

    for n in range(SUBSCRIBERS):
        queues[1 + n % ORGANIZATIONS].append(asyncio.Queue())
    readers = [asyncio.create_task(reader(queue)) for several in queues.values() for queue in several]
    before: dict[int, bytes] = {}

    async def poll() -> None:
        for row in await pool.fetch(LIVE_BY_HAND, organizations):
            if before.get(row[0]) != row[1]:
                before[row[0]] = row[1]
                answer = b'{"data":{"app_1_alerts":%b}}' % row[1]
                for queue in queues[row[0]]:
                    queue.put_nowait(answer)

    by_hand = [await timed(poll) for _ in range(rounds * 4)]
    for task in readers:
        task.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await engine.close()
    print(
        f"live query, {SUBSCRIBERS} subscribers, from a change to the last of them: engine {_ms(found)} "
        f"(asks every {interval * 1000:.0f} ms), one statement and queues by hand {_ms(by_hand)}"
    )


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


# ── growth ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

NODES = """
DROP TABLE IF EXISTS nodes;
CREATE TABLE nodes (id integer PRIMARY KEY, organization_id integer NOT NULL, parent_id integer REFERENCES nodes (id));
INSERT INTO nodes SELECT i, 1, NULLIF(i / 2, 0) FROM generate_series(1, 2047) i;
CREATE INDEX ON nodes (parent_id);
ANALYZE nodes;
"""


@dataclass(frozen=True)
class Point:
    """`line`'s cost at `x`: milliseconds of the engine and by hand (0: there is none), rows of the answer, rows touched for each."""

    line: str
    x: int
    engine: float
    by_hand: float = 0.0
    rows: int = 0
    touched: float = 0.0


class Meter:
    """One engine; times requests and explains their statements."""

    def __init__(self, engine: Any, rounds: int) -> None:
        from automio.engine.engine import Caller

        self.engine = engine
        self.pool = engine._database._pool
        self.caller = Caller(organization=1)
        self.times = max(3, rounds) * 5

    async def point(
        self, line: str, x: int, document: str, variables: dict[str, Any], statement: str = "", *arguments: Any
    ) -> Point:
        body = {"query": document, "variables": variables}
        answer = await self.engine.execute(self.caller, body)
        assert b'"errors"' not in answer[:12], answer[:300]
        rows = _objects(json.loads(answer)["data"])
        engine, by_hand = [], []
        for _ in range(self.times):
            engine.append(await _timed(self.engine.execute(self.caller, body)))
            if statement:
                by_hand.append(await _timed(self.pool.fetchval(statement, *arguments)))
        touched = await self.touched(body) / max(rows, 1) if not document.startswith("mutation") else 0.0
        hand = statistics.median(by_hand) * 1000 if by_hand else 0.0
        return Point(line, x, statistics.median(engine) * 1000, hand, rows, touched)

    async def touched(self, body: dict[str, Any]) -> float:
        """Rows that the busiest node of the plan gave or threw away."""
        from automio.engine.values import Context

        prepared, values = self.engine._reading.prepare(self.caller, body)
        context = Context(values, self.caller.organization)
        most = 0.0
        for step, binders in zip(prepared.program.steps, prepared.binders, strict=True):
            text = f"EXPLAIN (ANALYZE, FORMAT JSON) {step.statement.text}"
            plan = json.loads(await self.pool.fetchval(text, *(bind(context) for bind in binders)))
            nodes = [plan[0]["Plan"]]
            while nodes:
                node = nodes.pop()
                seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                most = max(most, seen * node["Actual Loops"])
                nodes += node.get("Plans", [])
        return most


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _objects(value: Any) -> int:
    """The rows of an answer: its objects, besides the outermost."""
    if isinstance(value, list):
        return sum(1 + _objects(one) for one in value)
    return sum(map(_objects, value.values())) if isinstance(value, dict) else 0


def _deep(depth: int) -> tuple[str, str]:
    """A document of `depth` levels of children below the root node, and the same by hand."""
    document, statement = "id", "id"
    for level in range(depth, 0, -1):
        document = f"id nodes(order_by: {{id: asc}}) {{ {document} }}"
        inner = statement.replace("id, (", f"n{level}.id, (", 1) if "(" in statement else f"n{level}.id"
        outer = f"n{level - 1}"
        rows = f"SELECT {inner} FROM nodes n{level} WHERE n{level}.parent_id = {outer}.id AND n{level}.organization_id = $1 ORDER BY n{level}.id"
        statement = f"id, (SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM ({rows}) r) AS nodes"
    top = statement.replace("id, (", "n0.id, (", 1)
    return (
        f"{{ nodes_by_pk(id: 1) {{ {document} }} }}",
        f"SELECT row_to_json(r) FROM (SELECT {top} FROM nodes n0 WHERE id = 1 AND organization_id = $1) r",
    )


async def growth(address: str, arguments: argparse.Namespace) -> list[Point]:
    """The points of all lines."""
    from automio.engine.engine import Engine

    points: list[Point] = []
    for size in [n for n in (1_000, 100_000, 1_000_000) if n <= arguments.largest]:
        name = f"automio_bench_{uuid.uuid4().hex[:8]}"
        dsn = await load(address, name, size)
        engine = await Engine.connect(dsn, pool_size=2)
        try:
            meter = Meter(engine, arguments.rounds)
            key = await execute(dsn, "SELECT id::text FROM app_1_orders WHERE organization_id = 1 LIMIT 1")
            points.append(await meter.point("nested query, rows of the table", size, DOCUMENT, {}, STATEMENT, 1))
            work = WORKS["by key"]
            points.append(
                await meter.point("by key, rows of the table", size, work.document, {"id": key}, work.statement, key, 1)
            )
            work = WORKS["aggregate"]
            points.append(
                await meter.point(
                    "aggregate, rows of the table", size, work.document, {"d": True}, work.statement, 1, True
                )
            )
            if size == 1_000:
                await execute(dsn, NODES)
                await execute(dsn, MORE)
                await engine.reload()
                for depth in range(1, 11):
                    document, statement = _deep(depth)
                    points.append(await meter.point("children, depth", depth, document, {}, statement, 1))
                for rows in (10, 100, 1_000, 10_000):
                    given = {"rows": _rows(0)["rows"] * -(-rows // INSERTED)}
                    given["rows"] = given["rows"][:rows]
                    work = WORKS["insert of 1,000 rows"]
                    columns = _columns(given, 1)
                    points.append(
                        await meter.point("insert, rows given", rows, work.document, given, work.statement, *columns)
                    )
        finally:
            await engine.close()
            await drop(address, name)
    for tables in (30, 300, 1_000):
        points += await _schema(address, tables, arguments.rounds)
    return points


async def _schema(address: str, tables: int, rounds: int) -> list[Point]:
    """The start, the first request and a later one on a schema of this many tables."""
    from automio.engine.engine import Caller, Engine

    name = f"automio_bench_{uuid.uuid4().hex[:8]}"
    dsn = await load(address, name, 100)
    made = "".join(
        f"CREATE TABLE app_2_t{i} (id integer PRIMARY KEY, organization_id integer, a text, b integer, c jsonb, d timestamptz, "
        f"parent_id integer REFERENCES app_2_t{max(i - 1, 0)} (id));"
        for i in range(tables)
    )
    try:
        await execute(dsn, made)
        starts, firsts, later = [], [], []
        body = {"query": "{ app_2_t5 { id a parent { id } } }"}
        for _ in range(max(3, rounds)):
            started = time.perf_counter()
            engine = await Engine.connect(dsn, pool_size=1)
            starts.append(time.perf_counter() - started)
            firsts.append(await _timed(engine.execute(Caller(organization=1), body)))
            later += [await _timed(engine.execute(Caller(organization=1), body)) for _ in range(20)]
            await engine.close()
    finally:
        await drop(address, name)
    lines = {"start, tables": starts, "first request, tables": firsts, "later request, tables": later}
    return [Point(line, tables, statistics.median(found) * 1000) for line, found in lines.items()]


def show(points: Sequence[Point]) -> None:
    """The points as a table, a line after the other."""
    print(f"\n{'what, against':<34}{'':>10}{'engine':>11}{'by hand':>11}{'ratio':>7}{'answer':>8}{'touched/row':>13}")
    for line in dict.fromkeys(one.line for one in points):
        for one in (point for point in points if point.line == line):
            hand = f"{one.by_hand:>8.2f} ms{one.by_hand / one.engine:>7.2f}" if one.by_hand else " " * 18
            rest = f"{one.rows:>8}{one.touched:>13.1f}" if one.touched else ""
            print(f"{line:<34}{one.x:>10}{one.engine:>8.2f} ms{hand}{rest}")


def draw(points: Sequence[Point], path: Path) -> None:
    """A small chart for each line, both axes logarithmic: the engine's cost, and by hand in grey."""
    import math

    wide, high, edge = 300, 200, 40
    lines = list(dict.fromkeys(one.line for one in points))
    parts: list[str] = []
    for number, line in enumerate(lines):
        mine = [one for one in points if one.line == line]
        left, top = (number % 3) * wide, (number // 3) * high
        costs = [cost for one in mine for cost in (one.engine, one.by_hand) if cost]
        low, most = math.log10(min(costs)) - 0.1, math.log10(max(costs)) + 0.1
        first, last = math.log10(mine[0].x), math.log10(mine[-1].x) or 1

        def place(
            x: float, cost: float, at: tuple[float, ...] = (left, top, first, last, low, most)
        ) -> tuple[float, float]:
            x = at[0] + edge + (wide - 2 * edge) * (math.log10(x) - at[2]) / ((at[3] - at[2]) or 1)
            y = at[1] + high - edge - (high - 2 * edge) * (math.log10(cost) - at[4]) / (at[5] - at[4])
            return round(x, 1), round(y, 1)

        parts.append(f'<text x="{left + edge}" y="{top + 20}">{line}</text>')
        box = f'x="{left + edge}" y="{top + edge}" width="{wide - 2 * edge}" height="{high - 2 * edge}"'
        parts.append(f'<rect {box} fill="none" stroke="#ddd"/>')
        for colour, series in (
            ("#999", [(one.x, one.by_hand) for one in mine if one.by_hand]),
            ("#06c", [(one.x, one.engine) for one in mine]),
        ):
            at = [place(x, cost) for x, cost in series]
            if not at:
                continue
            parts.append(f'<polyline points="{" ".join(f"{x},{y}" for x, y in at)}" fill="none" stroke="{colour}"/>')
            parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in at]
            x, y = at[-1]
            parts.append(f'<text x="{x - 30}" y="{y - 6}" fill="{colour}">{series[-1][1]:.2f} ms</text>')
        parts.append(f'<text x="{left + edge}" y="{top + high - 22}">{mine[0].x:,}</text>')
        parts.append(f'<text x="{left + wide - edge - 30}" y="{top + high - 22}">{mine[-1].x:,}</text>')
    size = f'width="{3 * wide}" height="{-(-len(lines) // 3) * high}"'
    style = 'font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect width="100%" height="100%" fill="white"/>'
    path.write_text("\n".join([head, *parts, "</svg>", ""]))


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def measure(address: str, arguments: argparse.Namespace) -> None:
    if arguments.only in (None, "ratios", "live"):
        name = f"automio_bench_{uuid.uuid4().hex[:8]}"
        dsn = asyncio.run(load(address, name, arguments.orders))
        try:
            asyncio.run(execute(dsn, MORE))
            KEYS[:] = json.loads(asyncio.run(execute(dsn, _SOME_KEYS)))
            if arguments.only != "live":
                ratios(dsn, arguments)
            if arguments.only != "ratios":
                asyncio.run(live(dsn, arguments.rounds))
        finally:
            asyncio.run(drop(address, name))
    if arguments.only in (None, "growth"):
        points = asyncio.run(growth(address, arguments))
        show(points)
        if arguments.svg:
            draw(points, Path(arguments.svg))
            print(f"drawn into {arguments.svg}")


# In order of organization, as `_connection` walks through them: request n asks for a row of its own organization.
_SOME_KEYS = """SELECT json_agg(id ORDER BY place, organization_id)::text FROM (
    SELECT id, organization_id, row_number() OVER (PARTITION BY organization_id ORDER BY "orderId") AS place
    FROM app_1_orders) o WHERE place <= 100"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each way in each round")
    parser.add_argument("--orders", type=int, default=50_000, help="rows behind the ratios")
    parser.add_argument("--largest", type=int, default=1_000_000, help="rows of the largest table of the growth part")
    parser.add_argument("--only", choices=("ratios", "live", "growth"))
    parser.add_argument("--svg", help="a file to draw the growth into")
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
