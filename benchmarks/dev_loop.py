"""From a change to fresh types on disk, with `automio dev` running.  python -m benchmarks.dev_loop [--rounds 15] [--tables 0]

A process as users run it, over an embedded PostgreSQL, in a copy of this repository's workspace. Measured from outside, with
the clock stopped when the text is in the generated file: an ALTER TABLE on a connection of its own (the whole way: event
trigger, catalog, schema, pull, generate), the same through run_sql, an operation file that is saved, and a DDL file that is
saved. `--tables N` adds N further tables to app 130. There is no rival: ariadne-codegen has no such loop; one run of it,
process and all, is in `benchmarks.generate`.
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
def running(place: Path) -> Iterator[str]:
    """The URL of `automio dev`, once its first round is done."""
    log = place / "log.txt"
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


def measure(name: str, change: Callable[[int], str], orders: Path, rounds: int) -> float:
    """Median seconds from before the change until its text is in the generated module; the first round is not counted."""
    seconds: list[float] = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        text = change(number)
        wait(lambda text=text: text in orders.read_text())
        seconds.append(time.perf_counter() - started)
        time.sleep(0.5)  # let what the change itself caused end
    counted = sorted(seconds[1:])
    median = statistics.median(counted)
    print(f"{name:<42} {median * 1000:6.0f} ms   (of {rounds}: {counted[0] * 1000:.0f} to {counted[-1] * 1000:.0f})")
    return median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tables", type=int, default=0, help="further tables of the app")
    options = parser.parse_args()
    with workspace(options.tables) as place, running(place) as url:
        orders = place / "app_130/orders.py"
        with Postgres.start(place / ".automio/postgres") as server, asyncio.Runner() as loop:
            connection = loop.run(asyncpg.connect(server.dsn))

            def ddl(number: int) -> str:
                loop.run(connection.execute(f"ALTER TABLE app_130_orders ADD COLUMN by_ddl_{number} text"))
                return f"by_ddl_{number}: str"

            def run_sql(number: int) -> str:
                sql = f"ALTER TABLE app_130_orders ADD COLUMN by_run_sql_{number} text"
                body = json.dumps({"type": "run_sql", "args": {"sql": sql}}).encode()
                urllib.request.urlopen(urllib.request.Request(f"{url}/v2/query", body), timeout=30).close()
                return f"by_run_sql_{number}: str"

            def operation(number: int) -> str:
                query = f"query Saved{number} {{ app_130_orders {{ id }} }}\n"
                (place / "queries/app_130/saved.graphql").write_text(query)
                return f"def saved{number}("

            def file(number: int) -> str:
                with (place / "schema/app_130.sql").open("a") as script:
                    script.write(f"ALTER TABLE app_130_orders ADD COLUMN IF NOT EXISTS by_file_{number} text;\n")
                return f"by_file_{number}: str"

            median = measure("ALTER TABLE on another connection", ddl, orders, options.rounds)
            measure("ALTER TABLE through run_sql", run_sql, orders, options.rounds)
            measure("an operation file is saved", operation, orders, options.rounds)
            measure("a DDL file is saved", file, orders, options.rounds)
            loop.run(connection.close())
    print(
        f"target: ALTER TABLE to types within {TARGET_SECONDS:g} s: {'met' if median <= TARGET_SECONDS else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
