"""The schemas of the scope tests, as graphql-core and as the index see them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from automio.dialect.index import Reference, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "scope"
SCHEMA = GOLDEN / "schema.graphql"


@pytest.fixture(scope="session")
def schema() -> GraphQLSchema:
    return build_schema(SCHEMA.read_text())


@pytest.fixture(scope="session")
def index() -> SchemaIndex:
    """All tables of tests/golden/scope/schema.graphql."""
    return index_schema(Sdl.read([(SCHEMA.name, SCHEMA.read_text())]))


@pytest.fixture(scope="session")
def schema_text() -> str:
    return SCHEMA.read_text()


def load(path: Path, default: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else default


def schema_of(case: Path) -> GraphQLSchema:
    """The schema of a golden case."""
    return _built(load(case / "case.json", {}).get("schema", SCHEMA.name))


def index_of(case: Path) -> SchemaIndex:
    """What the walk knows of it."""
    options = load(case / "case.json", {})
    name, column = options.get("schema", SCHEMA.name), options.get("tenant_column", "organization_id")
    if "references" not in options:
        return _indexed(name, column)
    references = {
        table: {from_: Reference(to[0], to[1], "") for from_, to in columns.items()}
        for table, columns in options["references"].items()
    }
    sdl = Sdl.read([(name, (GOLDEN / name).read_text())])
    return index_schema(sdl, tenant_column=column, references=references)


@cache
def _built(name: str) -> GraphQLSchema:
    return build_schema((GOLDEN / name).read_text())


@cache
def _indexed(name: str, tenant_column: str | None) -> SchemaIndex:
    return index_schema(Sdl.read([(name, (GOLDEN / name).read_text())]), tenant_column=tenant_column)
