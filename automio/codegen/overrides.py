"""What `[tables."x"]` in codegen.toml changes of a table: names, nullability, scalars. Called by groundwork.py and package.py.

SchemaIndex, CodegenConfig -> SchemaIndex; schema slice, scalars -> scalars. Four rules:
- Names are facts: they go into the index, and with it into the generated package, since the run time maps keys back.
- Nullability is the answer's alone. `required` is for what the schema cannot know (a column of a view is always nullable
  there), `nullable` for what may be missing whatever it says. What is sent is the server's to judge.
- A scalar of one column holds in models and in rows that are written. A filter compares by the column's own type, which
  all columns of that type share.
- A reference says where a foreign key leads. It is a fact, too: the checks before a write rest on it.
A column that the table hasn't got is a fault, with the place in codegen.toml. A table that no operation reaches isn't read,
so only its name is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
)

from automio.codegen.config import CodegenConfig, TableConfig
from automio.dialect.index import InputKind, SchemaIndex, Table
from automio.dialect.references import Fault, resolve
from automio.dialect.scalars import Scalar
from automio.dialect.sdl import Sdl
from automio.errors import Diagnostic
from automio.scope.values import python_fields

_ROWS = frozenset({InputKind.INSERT, InputKind.SET})


def with_names(index: SchemaIndex, config: CodegenConfig) -> SchemaIndex:
    """The index with the names that the configuration gives to columns and relationships."""
    given = {name: config.tables[name].names for name in index.tables if name in config.tables}
    if not any(given.values()):
        return index
    tables = {
        name: replace(table, names=dict(sorted(given[name].items()))) if given.get(name) else table
        for name, table in index.tables.items()
    }
    return replace(index, tables=tables)


def unknown_tables(sdl: Sdl, config: CodegenConfig) -> list[Diagnostic]:
    """A fault for each `[tables."x"]` that is no type of the schema."""
    return [
        _fault(config, name, "", f"the schema has no table {name!r}", _hint(name, sdl.definitions))
        for name in sorted(config.tables)
        if name not in sdl.definitions
    ]


def unknown_columns(tables: Iterable[Table], config: CodegenConfig) -> list[Diagnostic]:
    """A fault for each column that an override names and the table hasn't got, and for names that are others' already."""
    found: list[Diagnostic] = []
    for table in tables:
        own = config.tables.get(table.type, TableConfig())
        fields = python_fields(table)
        for key, named in (
            ("names", own.names),
            ("nullable", own.nullable),
            ("required", own.required),
            ("scalars", own.scalars),
        ):
            known = fields if key == "names" else table.columns
            for name in sorted(named):
                if name not in known:
                    where = f"{key}.{name}" if isinstance(named, Mapping) else key
                    message = f"{table.type} has no column {name!r}"
                    found.append(_fault(config, table.type, where, message, _hint(name, known)))
        for name, wanted in sorted(own.names.items()):
            if wanted != name and wanted in fields:
                message = f"{wanted!r} is the name of another column of {table.type}"
                hint = "Choose a name that no column, relationship or aggregate has."
                found.append(_fault(config, table.type, f"names.{name}", message, hint))
    return found


def unknown_references(index: SchemaIndex, sdl: Sdl, config: CodegenConfig) -> list[Diagnostic]:
    """A fault for each declared reference of these tables that the schema cannot hold."""
    found: list[Diagnostic] = []
    for name in sorted(config.references.keys() & index.tables.keys()):
        for column, declared in config.references[name].items():
            fault = resolve(
                index.tables[name],
                column,
                declared,
                index.tables,
                index.roots.get("query", {}),
                index.tenant_column or "",
            )
            if isinstance(fault, Fault):
                known = sdl.definitions if fault.of == declared.table else fault.known
                hint = fault.hint or _hint(fault.of, known)
                found.append(_fault(config, name, f"references.{column}", fault.message, hint))
    return found


def referenced(sdl: Sdl, names: Iterable[str], config: CodegenConfig) -> list[str]:
    """The tables that references lead to from what these names of the schema reach, and from there."""
    names, found = list(names), dict[str, None]()
    while config.references:
        reached = sdl.reach([*names, *found])
        more = [
            to.table for name in sorted(config.references.keys() & reached) for to in config.references[name].values()
        ]
        if found.keys() >= set(more):
            break
        found |= dict.fromkeys(more)
    return list(found)


def adjust(schema: GraphQLSchema, index: SchemaIndex, config: CodegenConfig) -> dict[str, Scalar]:
    """Change the slice's types as the configuration says; gives all scalars. After validation, which compares types."""
    scalars = dict(config.scalars)
    for name in index.tables:
        own = config.tables.get(name)
        row: Any = schema.get_type(name)
        if own is None or not isinstance(row, GraphQLObjectType):
            continue
        for column, scalar in own.scalars.items():
            if column in row.fields:
                key = f"{name}__{column}"
                scalars[key] = replace(scalar, graphql=key)
                for holder in [row, *_inputs_of(schema, index, name)]:
                    if column in holder.fields:
                        _exchange(holder.fields[column], GraphQLScalarType(key))
        for column in own.nullable & row.fields.keys():
            definition = row.fields[column]
            definition.type = (
                definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
            )
        for column in own.required & row.fields.keys():
            definition = row.fields[column]
            if not isinstance(definition.type, GraphQLNonNull):
                definition.type = GraphQLNonNull(definition.type)
    return scalars


def _inputs_of(schema: GraphQLSchema, index: SchemaIndex, table: str) -> Iterable[GraphQLInputObjectType]:
    for known in index.inputs.values():
        if known.table == table and known.kind in _ROWS:
            type_ = schema.get_type(known.name)
            if isinstance(type_, GraphQLInputObjectType):
                yield type_


def _exchange(definition: Any, scalar: Any) -> None:
    definition.type = GraphQLNonNull(scalar) if isinstance(definition.type, GraphQLNonNull) else scalar


def _fault(config: CodegenConfig, table: str, where: str, message: str, hint: str) -> Diagnostic:
    places = config.tables[table].places
    line, column, source = places.get(where) or places.get(where.partition(".")[0]) or places.get("") or (1, 1, "")
    return Diagnostic(config.path, line, column, message, code="AUTOMIO-134", hint=hint, source_line=source)


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean `{close[0]}`?" if close else ""
