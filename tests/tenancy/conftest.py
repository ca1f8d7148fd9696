"""Three databases with an engine each, and the counts that a run prints at its end."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

_COUNTS = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> Counter[str]:
    """How many examples of each kind were seen, in the whole run."""
    return request.config.stash.setdefault(_COUNTS, Counter())


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """Three empty databases, on the server of DATABASE_URL or on an embedded one."""
    from automio.local.postgres import Postgres

    postgres = None
    server = os.environ.get("DATABASE_URL")
    if not server:
        postgres = Postgres.start(tmp_path_factory.mktemp("postgres"))
        server = postgres.dsn
    names = [f"automio_test_{uuid.uuid4().hex[:12]}" for _ in range(3)]
    try:
        for name in names:
            _on_server(server, f"CREATE DATABASE {name}")
            _on_server(server, f"ALTER DATABASE {name} SET synchronous_commit = off")
        first, second, third = (urlunsplit(urlsplit(server)._replace(path=f"/{name}")) for name in names)
        yield first, second, third
    finally:
        for name in names:
            _on_server(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if postgres:
            postgres.close()


def _on_server(address: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(_COUNTS, None)
    if counts:
        terminalreporter.section("tenancy: random documents on random schemas")
        for key in sorted(counts):
            terminalreporter.write_line(f"{counts[key]:>7}  {key}")
