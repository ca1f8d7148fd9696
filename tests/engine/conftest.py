"""One PostgreSQL for all engine tests, one database for each test module."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server where databases may be made: DATABASE_URL, else an embedded one."""
    address = os.environ.get("DATABASE_URL")
    if address:
        yield address
        return
    from automio.local.postgres import Postgres

    postgres = Postgres.start(tmp_path_factory.mktemp("postgres"))
    yield postgres.dsn
    postgres.close()


def _on_server(address: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _make_database(server: str) -> Iterator[str]:
    name = f"automio_test_{uuid.uuid4().hex[:12]}"
    _on_server(server, f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    _on_server(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def database(server: str) -> Iterator[str]:
    """The address of an empty database of this module's own."""
    yield from _make_database(server)


@pytest.fixture(scope="module")
def second_database(server: str) -> Iterator[str]:
    """Another one."""
    yield from _make_database(server)


@pytest.fixture(scope="session")
def shop() -> ModuleType:
    """The module shop.py beside this file (tests are not a package)."""
    spec = importlib.util.spec_from_file_location("engine_shop", Path(__file__).with_name("shop.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
