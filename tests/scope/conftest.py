"""The schema that the scope tests share, as graphql-core and as the index see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema

from automio.dialect.index import SchemaIndex
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
