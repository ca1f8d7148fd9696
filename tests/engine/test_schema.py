"""The schema must be the one that Hasura serves: compared with the reference SDL, definition by definition, texts included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, is_non_null_type, print_type
from graphql import build_schema as build_from_sdl

from automio.engine.catalog import Access, Catalog, Column, Key, Relationship, SqlType, Table
from automio.engine.schema import Action, build_schema

SQL = {
    "Int": SqlType("int4"),
    "String": SqlType("text"),
    "Boolean": SqlType("bool"),
    "bigint": SqlType("int8"),
    "float8": SqlType("float8"),
}


def catalog_of(spec: list[dict[str, Any]], reference: GraphQLSchema) -> Catalog:
    """The catalog that the reference's table model describes; whether an object may be missing stands in the SDL only."""
    tables: dict[str, Table] = {}
    for one in spec:
        relationships: dict[str, Relationship] = {}
        for name, target in one["object_relationships"].items():
            row = reference.type_map[one["table"]]
            assert isinstance(row, GraphQLObjectType)
            nullable = not is_non_null_type(row.fields[name].type)
            relationships[name] = Relationship(name, target, (), False, nullable)
        relationships |= {
            name: Relationship(name, target, (), True) for name, target in one["array_relationships"].items()
        }
        columns = {
            name: Column(name, SQL.get(c["type"], SqlType(c["type"])), c["type"], c["nullable"], field=name)
            for name, c in one["columns"].items()
        }
        keys = [Key(name, tuple(names)) for name, names in dict(one["constraints"]).items()]
        tables[one["table"]] = Table(
            name=one["table"],
            schema="public",
            columns=dict(sorted(columns.items())),
            primary_key=("id",),
            keys=tuple(sorted(keys, key=lambda key: key.name)),
            relationships=dict(sorted(relationships.items())),
            access=Access.SHARED,
            type_name=one["table"],
        )
    return Catalog(dict(sorted(tables.items())))


@pytest.mark.parametrize(("tables", "columns"), [(2, 6), (10, 12), (12, 30)])
def test_schema_is_hasuras(shared: Path, tmp_path: Path, tables: int, columns: int) -> None:
    script = shared / "schemas" / "synthetic_hasura.py"
    spec = tmp_path / "spec.json"
    command = [
        sys.executable,
        str(script),
        "--apps",
        "1",
        "--tables",
        str(tables),
        "--columns",
        str(columns),
        "--spec",
        str(spec),
    ]
    sdl = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    reference = build_from_sdl(sdl, assume_valid=True)
    ours = build_schema(catalog_of(json.loads(spec.read_text()), reference)).graphql
    differences: list[str] = []
    for name in sorted(set(reference.type_map) | set(ours.type_map)):
        if name.startswith("__"):
            continue
        theirs = print_type(reference.type_map[name]) if name in reference.type_map else "(absent)"
        mine = print_type(ours.type_map[name]) if name in ours.type_map else "(absent)"
        # Float is built in, and the reference prints comparisons of Boolean also where no column is one.
        unused = name == "Boolean_comparison_exp" and mine == "(absent)"
        if theirs != mine and name != "Float" and not unused:
            differences.append(f"{name}:\n--- reference\n{theirs}\n--- ours\n{mine}")
    assert not differences, "\n\n".join(differences[:5])


def test_roots_know_what_they_do() -> None:
    column = Column("id", SqlType("int4"), "Int", nullable=False, field="id")
    table = Table("t", "public", {"id": column}, ("id",), (Key("t_pkey", ("id",)),), type_name="t")
    schema = build_schema(Catalog({"t": table}))
    assert schema.roots["update_t_many"].action is Action.UPDATE_MANY
    assert schema.roots["t_by_pk"].action is Action.BY_KEY


def test_a_view_that_takes_no_writes_has_no_mutations() -> None:
    column = Column("id", SqlType("int4"), "Int", nullable=True, field="id")
    view = Table("v", "public", {"id": column}, insertable=False, updatable=False, deletable=False, type_name="v")
    schema = build_schema(Catalog({"v": view})).graphql
    assert schema.mutation_type is None
    assert schema.query_type is not None
    assert sorted(schema.query_type.fields) == ["v", "v_aggregate"]


def test_without_tables_there_is_a_placeholder() -> None:
    schema = build_schema(Catalog({})).graphql
    assert schema.query_type is not None
    assert list(schema.query_type.fields) == ["no_queries_available"]
