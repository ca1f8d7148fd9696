"""`automio dev` as a user runs it: a process over an embedded PostgreSQL, until Ctrl-C; and how the engine hears of DDL."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from graphql import build_schema, get_introspection_query, graphql_sync

from automio.cli.dev import describe
from automio.cli.introspection import introspection_of
from automio.engine.engine import Engine
from automio.local.postgres import Postgres

from .conftest import SDL, Run, clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


ALL_KINDS = """
directive @d(a: Int = 3) on FIELD | OBJECT
interface N { id: ID! }
interface M implements N { id: ID! b: String }
type A implements N & M {
  id: ID!
  b: String
  x(a: [Int!]! = [1, 2], b: E = X, c: I = {s: "q"}, old: Int @deprecated): [U!] @deprecated(reason: "no")
}
union U = A
enum E { X "the other" Y @deprecated }
"what goes in"
input I { "text" s: String = "z" n: [I] }
scalar Z
type Query { a: A z: Z u: U }
"""


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Path:
    shutil.copytree(root / "schema", tmp_path / "schema", ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copytree(root / "queries", tmp_path / "queries")
    for name in ("codegen.toml", "platform.toml"):
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


@dataclass
class Dev:
    process: subprocess.Popen[str]
    project: Path
    home: Path

    @property
    def log(self) -> str:
        return (self.project / "log.txt").read_text()

    def told(self, text: str) -> bool:
        return until(lambda: text in self.log)

    def lines(self) -> int:
        return len(self.log.splitlines())

    def quiet(self) -> bool:
        """Whether nothing more is told: a round that started another one would go on."""
        time.sleep(1)
        before = self.lines()
        time.sleep(1.5)
        return self.lines() == before

    def sql(self, statement: str) -> None:
        """On a connection of its own, as psql or a migration would."""
        with Postgres.start(self.project / ".automio/postgres") as server:

            async def run() -> None:
                connection = await asyncpg.connect(server.dsn)
                await connection.execute(statement)
                await connection.close()

            asyncio.run(run())

    def text(self, path: str) -> str:
        file = self.project / path
        return file.read_text() if file.exists() else ""


@pytest.fixture
def dev(project: Path) -> Iterator[Dev]:
    with (project / "log.txt").open("w") as out:
        command = [sys.executable, "-m", "automio", "dev", "--port", "0"]
        with subprocess.Popen(
            command, cwd=project, env=clean_environment(), stdout=out, stderr=out, text=True
        ) as process:
            running = Dev(process, project, project / ".automio")
            try:
                assert running.told("start: wrote "), running.log
                yield running
            finally:
                process.kill()


def processes_of(folder: Path) -> list[str]:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words.replace(b"\0", b" ").decode())
    return found


def test_from_a_table_to_types_and_through_faults(dev: Dev) -> None:
    assert re.match(r"ready http://127\.0\.0\.1:\d+\nstart: wrote ", dev.log)
    orders = "app_130/orders.py"
    assert "gift_note" not in dev.text(orders)

    # A table changes under us. The whole way is measured from the statement's start; 10 s is for a machine under load.
    started = time.monotonic()
    dev.sql("ALTER TABLE app_130_orders ADD COLUMN gift_note text")
    assert until(lambda: "gift_note: str | None" in dev.text(orders))
    assert time.monotonic() - started < 10
    assert dev.told("app_130_orders +gift_note: wrote schema/app_130/orders.graphql")
    assert "gift_note" in dev.text("schema/app_130/orders.graphql")
    assert dev.quiet(), dev.log

    # An operation is written, broken, and mended.
    query = dev.project / "queries/app_130/late.graphql"
    query.write_text("query LateOrders { app_130_orders { gift_note } }\n")
    assert until(lambda: "def late_orders(" in dev.text(orders))
    before = dev.text(orders)
    query.write_text("query LateOrders { app_130_orders { gift_not } }\n")
    assert dev.told("queries/app_130/late.graphql:1:37: Cannot query field 'gift_not'")
    assert dev.told("queries/app_130/late.graphql: not in order, see above")
    assert dev.text(orders) == before
    # The server serves meanwhile, and another change does not repeat the diagnostic.
    dev.sql("ALTER TABLE app_130_orders ADD COLUMN weight int")
    assert dev.told("app_130_orders +weight: wrote schema/app_130/orders.graphql; not in order, see above")
    assert dev.log.count("queries/app_130/late.graphql:1:37: ") == 1
    query.write_text("query LateOrders { app_130_orders { gift_note weight } }\n")
    assert dev.told("queries/app_130/late.graphql: mended; wrote ")
    assert until(lambda: "weight: int | None" in dev.text(orders))

    # SQL files run when they change; a fault in one has a place and leaves the tables alone.
    schema = dev.project / "schema/app_130.sql"
    sql = schema.read_text()
    schema.write_text(sql + "ALTER TABLE app_130_orders ADD COLUMN IF NOT EXISTS colour text;\nSELEC 1;\n")
    assert dev.told(f"schema/app_130.sql:{sql.count(chr(10)) + 2}:1: syntax error")
    assert "colour" not in dev.text(orders)
    schema.write_text(sql + "ALTER TABLE app_130_orders ADD COLUMN IF NOT EXISTS colour text;\n")
    assert until(lambda: "colour: str | None" in dev.text(orders))
    assert dev.told("mended; ran schema/app_130.sql, wrote ")

    # The configuration: a fault is waited out.
    config = dev.project / "codegen.toml"
    good = config.read_text()
    config.write_text("aps = [130]\n")
    assert dev.told("codegen.toml:1:1: unknown key `aps`")
    config.write_text(
        good.replace("[tenancy]", '[apps.130]\npackage = "shop"\n[tenancy]').replace("apps = [130]\n", "")
    )
    assert until(lambda: (dev.project / "shop/orders.py").exists() and not (dev.project / orders).exists())
    (dev.project / "platform.toml").write_text("")
    assert dev.told("platform.toml has changed")

    # A table is dropped: its files go too. A temporary one is nothing.
    dev.sql("CREATE TEMPORARY TABLE scratch (id int); DROP TABLE app_130_billing_entries")
    assert dev.told("dropped app_130_billing_entries")
    assert until(lambda: not (dev.project / "schema/app_130/billing_entries.graphql").exists())
    assert dev.quiet(), dev.log

    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(timeout=20) == 0
    assert "Traceback" not in dev.log
    if sys.platform == "linux":
        assert until(lambda: not processes_of(dev.home)), processes_of(dev.home)


def test_what_is_not_there(automio: Run, tmp_path: Path) -> None:
    done = automio("dev", "--port", "0")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: codegen.toml was not found [AUTOMIO-001]")
    (tmp_path / "codegen.toml").write_text("aps = [130]\n")
    done = automio("dev", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.startswith("codegen.toml:1:1: unknown key `aps`")
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    (tmp_path / "platform.toml").write_text("tokns = 1\n")
    done = automio("dev", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.startswith("platform.toml:1:1: unknown key `tokns`")
    assert not (tmp_path / ".automio").exists()


@pytest.mark.parametrize("sdl", [ALL_KINDS, SDL])
def test_the_schema_is_read_as_the_introspection_query_tells_it(sdl: str) -> None:
    schema = build_schema(sdl)
    told = graphql_sync(schema, get_introspection_query()).data
    assert told
    for kind in ("queryType", "mutationType", "subscriptionType"):
        if told["__schema"][kind]:
            told["__schema"][kind].pop("kind", None)  # newer versions of graphql-core ask for it
    assert _plain(introspection_of(schema)) == _plain(told)


def _plain(value: Any) -> Any:
    """Without the `ofType: null` at the end of a type reference, which depends on the depth that was asked for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "ofType" or item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value


# How the engine hears.


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if address := os.environ.get("DATABASE_URL"):
        yield address
        return
    with Postgres.start(tmp_path_factory.mktemp("follow")) as server:
        yield server.dsn


@asynccontextmanager
async def database(dsn: str, owner: str = "") -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """A new database, a connection of the superuser to it, and its address."""
    name = f"follow_{os.getpid()}_{time.monotonic_ns()}"
    server = await asyncpg.connect(dsn)
    await server.execute(f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
    address = dsn.replace("/postgres?", f"/{name}?") if "/postgres?" in dsn else f"{dsn.rpartition('/')[0]}/{name}"
    connection = await asyncpg.connect(address)
    try:
        yield connection, address
    finally:
        await connection.close()
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()


async def eventually(true: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:  # noqa: ASYNC110  what is waited for is told by no event
        await asyncio.sleep(0.01)
    return true()


async def test_ddl_of_anybody_is_heard(dsn: str) -> None:
    seen: list[str] = []
    notes: list[str] = []
    async with database(dsn) as (other, address):
        engine = await Engine.connect(address)
        engine.observe(lambda before, after: seen.extend(describe(before, after)))
        async with engine.following(notes.append):
            await other.execute("CREATE TABLE notes (id int PRIMARY KEY, text text)")
            assert await eventually(lambda: seen == ["new notes"], 5), (seen, notes)
            await other.execute("ALTER TABLE notes ADD COLUMN pinned bool; ALTER TABLE notes DROP COLUMN text")
            assert await eventually(lambda: seen[1:] == ["notes +pinned -text"])
            await other.execute("ALTER TABLE notes ALTER COLUMN pinned SET NOT NULL")
            assert await eventually(lambda: seen[2:] == ["notes ~pinned"])
            await other.execute("COMMENT ON TABLE notes IS 'what people wrote'")
            assert await eventually(lambda: seen[3:] == ["notes changed"])

            # A transaction is seen when it commits, and not at all when it does not.
            transaction = other.transaction()
            await transaction.start()
            await other.execute("CREATE TABLE never (id int PRIMARY KEY)")
            await transaction.rollback()
            # Connections that are cut are made again; what happened meanwhile is seen.
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
            await other.execute("DROP TABLE notes")
            assert await eventually(lambda: seen[4:] == ["dropped notes"]), (seen, notes)
            await other.execute("CREATE TABLE again (id int PRIMARY KEY)")
            assert await eventually(lambda: seen[5:] == ["new again"]), (seen, notes)
        await engine.close()
        assert notes == ["the connection to the database is lost; trying again", "the database is back"]
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for _ in range(100):
            left = await other.fetchval(mine)
            if not left:
                break
            await asyncio.sleep(0.02)
        assert left == 0


async def test_ddl_that_was_under_way_when_the_triggers_were_made(dsn: str) -> None:
    """It does not fire them: told by nobody, and seen all the same."""
    seen: list[str] = []
    async with database(dsn) as (other, address):
        transaction = other.transaction()
        await transaction.start()
        await other.execute("CREATE TABLE notes (id int PRIMARY KEY)")
        engine = await Engine.connect(address)
        engine.observe(lambda before, after: seen.extend(describe(before, after)))
        async with engine.following(seen.append):
            await asyncio.sleep(1)
            assert seen == []
            await transaction.commit()
            assert await eventually(lambda: seen == ["new notes"]), seen
        await engine.close()


async def test_a_role_without_the_right_is_told_and_polls(dsn: str) -> None:
    seen: list[str] = []
    notes: list[str] = []
    role = f"plain_{os.getpid()}"
    server = await asyncpg.connect(dsn)
    await server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        async with database(dsn, role) as (other, address):
            await other.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
            engine = await Engine.connect(re.sub(r"//[^@]*@", f"//{role}:x@", address))
            engine.observe(lambda before, after: seen.extend(describe(before, after)))
            async with engine.following(notes.append):
                assert await eventually(lambda: len(notes) == 1)
                assert notes[0].startswith(
                    "changes of tables are looked for every 0.5 s: the database does not tell of them (permission denied"
                )
                await other.execute("CREATE TABLE notes (id int PRIMARY KEY)")
                assert await eventually(lambda: seen == ["new notes"], 5), (seen, notes)
            await engine.close()
            assert len(notes) == 1
            # The same role hears where somebody who may has made the triggers before.
            superuser = await Engine.connect(address)
            async with superuser.following(notes.append):
                assert await eventually(lambda: bool(superuser.catalog.tables))
                for _ in range(500):
                    if await other.fetchval("SELECT count(*) FROM pg_event_trigger"):
                        break
                    await asyncio.sleep(0.01)
            await superuser.close()
            engine = await Engine.connect(re.sub(r"//[^@]*@", f"//{role}:x@", address))
            engine.observe(lambda before, after: seen.extend(describe(before, after)))
            async with engine.following(notes.append):
                await other.execute("CREATE TABLE more (id int PRIMARY KEY)")
                assert await eventually(lambda: seen[1:] == ["new more"])
            await engine.close()
            assert len(notes) == 1
    finally:
        await server.execute(f"DROP ROLE {role}")
        await server.close()
