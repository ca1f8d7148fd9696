"""From a change to fresh types on disk, with `automio dev` running.  python -m benchmarks.dev_loop [--rounds 15] [--tables 3,33]

A process as users run it, over an embedded PostgreSQL, in a copy of this repository's workspace: its three tables, and with
33 thirty more in the same app. Measured from outside, with the clock stopped when the text is in the generated file: an
ALTER TABLE on a connection of its own (the whole way: event trigger, catalog, schema, pull, generate), the same through
run_sql, an operation file that is saved, and a DDL file that is saved. An operation that is broken counts until its
diagnostic is printed, one that is mended until its function is there. There is no rival: ariadne-codegen has no such loop;
one run of it, process and all, is in `benchmarks.generate`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from automio.local.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
TARGET_SECONDS = 1.0
PATIENCE = 60.0
OWN_TABLES = 3
Awaited = tuple[Path, str]
"""A file, and the text that shows up in it."""


@contextmanager
def workspace(tables: int) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("schema", "queries"):
            shutil.copytree(ROOT / name, place / name)
        for name in ("codegen.toml", "platform.toml"):
            shutil.copy(ROOT / name, place / name)
        (place / "schema/app_130_more.sql").write_text(
            "".join(
                f"CREATE TABLE IF NOT EXISTS app_130_more_{number} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "
                "organization_id int NOT NULL, name text NOT NULL, amount numeric, created_at timestamptz);\n"
                for number in range(tables)
            )
        )
        yield place


@contextmanager
def running(place: Path, log: Path) -> Iterator[str]:
    """The URL of `automio dev`, once its first round is done. What it prints goes to `log`."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "automio", "dev", "--port", "0"], cwd=place, env=environment, stdout=out, stderr=out
        )
    try:
        wait(lambda: "\nstart: " in log.read_text())
        yield log.read_text().split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait(true: Callable[[], bool]) -> None:
    end = time.perf_counter() + PATIENCE
    while not true():
        if time.perf_counter() > end:
            sys.exit(f"nothing came of it within {PATIENCE:.0f} s")
        time.sleep(0.002)


def measure(name: str, change: Callable[[int], Awaited], rounds: int) -> None:
    """Median seconds from before the change until what it awaits is there; the first round is not counted."""
    seconds: list[float] = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        path, text = change(number)
        wait(lambda path=path, text=text: text in path.read_text())
        seconds.append(time.perf_counter() - started)
        time.sleep(0.5)  # let what the change itself caused end
    counted = sorted(seconds[1:])
    median = statistics.median(counted)
    met = "" if median <= TARGET_SECONDS else "  MISSED"
    shown = f"(of {rounds}: {counted[0] * 1000:.0f} to {counted[-1] * 1000:.0f})"
    print(f"  {name:<36} {median * 1000:6.0f} ms   {shown}{met}", flush=True)


def run(tables: int, rounds: int) -> None:
    print(f"{tables} tables; target: {TARGET_SECONDS:g} s each")
    with workspace(tables - OWN_TABLES) as place, running(place, place / "log.txt") as url:
        orders, queries = place / "app_130/orders.py", place / "queries/app_130"
        with Postgres.start(place / ".automio/postgres") as server, asyncio.Runner() as loop:
            connection = loop.run(asyncpg.connect(server.dsn))

            def ddl(number: int) -> Awaited:
                loop.run(connection.execute(f"ALTER TABLE app_130_orders ADD COLUMN by_ddl_{number} text"))
                return orders, f"by_ddl_{number}: str"

            def run_sql(number: int) -> Awaited:
                sql = f"ALTER TABLE app_130_orders ADD COLUMN by_run_sql_{number} text"
                body = json.dumps({"type": "run_sql", "args": {"sql": sql}}).encode()
                urllib.request.urlopen(urllib.request.Request(f"{url}/v2/query", body), timeout=30).close()
                return orders, f"by_run_sql_{number}: str"

            def operation(number: int) -> Awaited:
                (queries / "saved.graphql").write_text(f"query Saved{number} {{ app_130_orders {{ id }} }}\n")
                return orders, f"def saved{number}("

            def broken(number: int) -> Awaited:
                (queries / "saved.graphql").write_text(f"query Saved {{ app_130_orders {{ broken_{number} }} }}\n")
                return place / "log.txt", f"'broken_{number}'"

            def mended(number: int) -> Awaited:
                broken(number + rounds + 1)
                wait(lambda: f"'broken_{number + rounds + 1}'" in (place / "log.txt").read_text())
                return operation(number + rounds + 1)

            def file(number: int) -> Awaited:
                with (place / "schema/app_130.sql").open("a") as script:
                    script.write(f"ALTER TABLE app_130_orders ADD COLUMN IF NOT EXISTS by_file_{number} text;\n")
                return orders, f"by_file_{number}: str"

            measure("ALTER TABLE on another connection", ddl, rounds)
            measure("ALTER TABLE through run_sql", run_sql, rounds)
            measure("an operation is edited", operation, rounds)
            measure("an operation is broken", broken, rounds)
            measure("an operation is broken and mended", mended, rounds)
            measure("a DDL file is saved", file, rounds)
            loop.run(connection.close())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tables", default=f"{OWN_TABLES},33", help="sizes of the app, one run each")
    options = parser.parse_args()
    for tables in map(int, options.tables.split(",")):
        run(tables, options.rounds)


if __name__ == "__main__":
    main()
