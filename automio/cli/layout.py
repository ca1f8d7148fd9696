"""Introspection -> {path: SDL text}, a file a table. Next: files.py writes them.

The files together are the introspected schema, neither more nor less; each definition stands in one of them. Text is sorted
(files, types, fields, arguments, values), so that it depends on the schema alone, and a change of one table is a diff in
one file. Where a definition goes, in this order; "table" is meant as dialect/index.py tells it, by structure:

1. A root field goes to its table's file as `extend type query_root`; one that is nobody's (actions, functions) stays in the
   root type itself, in common.graphql, with `schema`, directives and scalars. A root type whose fields are all elsewhere is
   written without braces, which GraphQL allows and which needs no placeholder field.
2. Row types, aggregates, mutation responses, and the input types that the index knows go to their table.
3. Comparison types (what a filter's columns are compared by) are common, even if one table alone uses them today: else the
   next table with such a column would move them. For the same reason enums are common, except those that only name a
   table's own parts: in arguments (`distinct_on`), in `on_conflict`, in aggregate predicates.
4. Any other type goes to the one file that all its users are in, and to common.graphql when there are two. An argument
   counts as a use by the table that the field returns: `customer { orders(distinct_on: …) }` is a use by orders.

Rejected: going by reachability alone. Relationships make every table reach every other, and a type that two tables reach
(`orders_arr_rel_insert_input`) would move from file to file as relationships come and go.

Folders: `app_<ID>/<table>.graphql` for tables of apps, `tables/<table>.graphql` for the rest. common.graphql is in the
folder of the app when there is one app and nothing else, above the folders otherwise. Two file names that differ in case
alone, and a table called `common`, get `_2`.

Restricted to apps, the schema is cut down to the tables of these apps and all that relationships lead to from there (which
scoping must know), with their root fields; those that are nobody's are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    get_named_type,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)
from graphql.utilities.print_schema import print_description, print_directive, print_type

from automio.dialect.index import InputKind, OperationKind, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl

HEADER = (
    "# Written by `automio pull` from the GraphQL schema of the server. The next pull overwrites changes made here.\n"
)
COMMON = ""
"""The owner of what belongs to no single table."""

_SORTED = ("fields", "inputFields", "enumValues", "args", "possibleTypes", "interfaces")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files by path (with `/`, below the schema folder), and what they hold."""

    files: Mapping[str, str]
    apps: tuple[str, ...]
    tables: int
    apps_there: tuple[str, ...]
    """Every app that the server has tables of, also when the files are cut down to some."""


def lay_out(introspection: Mapping[str, Any], apps: Iterable[str] = ()) -> Layout:
    """The files of an introspected schema, cut down to `apps` when some are named.

    Raises TypeError, ValueError or KeyError when the introspection is none (graphql-core's words), and CodegenError when the schema
    that it describes cannot be printed and read again.
    """
    schema = build_client_schema(_sorted(dict(introspection)))  # pyright: ignore[reportArgumentType]
    kept_types = {
        name: type_
        for name, type_ in schema.type_map.items()
        if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
    }
    parts = Parts.of(schema, kept_types)
    wanted = frozenset(apps)
    return _files(parts.cut(wanted) if wanted else parts, bool(wanted))


def _sorted(value: Any) -> Any:
    """The introspection with each list of named things in the order of the names."""
    if isinstance(value, dict):
        found = {key: _sorted(item) for key, item in value.items()}
        for key in _SORTED:
            if isinstance(found.get(key), list):
                found[key] = sorted(found[key], key=lambda item: str(item.get("name")))
        return found
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Parts:
    """A schema taken apart: its types, its root types, and what the index says about tables."""

    schema: GraphQLSchema
    types: Mapping[str, GraphQLNamedType]
    roots: Mapping[OperationKind, GraphQLObjectType]
    index: SchemaIndex
    tables: frozenset[str]

    @classmethod
    def of(cls, schema: GraphQLSchema, types: Mapping[str, GraphQLNamedType]) -> Parts:
        kinds: dict[OperationKind, GraphQLObjectType | None] = {
            "query": schema.query_type,
            "mutation": schema.mutation_type,
            "subscription": schema.subscription_type,
        }
        roots: dict[OperationKind, GraphQLObjectType] = {kind: root for kind, root in kinds.items() if root}
        text = "\n\n".join([_schema_text(schema, roots), *(print_type(type_) for type_ in types.values())])
        index = index_schema(Sdl.read([("introspection", text)]), tenant_column=None)
        return cls(schema, types, roots, index, frozenset(index.tables))

    def cut(self, apps: frozenset[str]) -> Parts:
        """The tables of these apps, what relationships lead to from there, and all types that those use."""
        pending = [table.type for table in self.index.tables.values() if table.app in apps]
        tables: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in tables:
                tables.add(name)
                table = self.index.tables[name]
                pending += [relation.table for relation in table.relationships.values()]
                pending += table.aggregates.values()
        roots: dict[OperationKind, GraphQLObjectType] = {}
        for kind, root in self.roots.items():
            known = self.index.roots.get(kind, {})
            fields = {
                name: field for name, field in root.fields.items() if name in known and known[name].table in tables
            }
            if fields or kind == "query":
                roots[kind] = _part_of(root, fields)
        types: dict[str, GraphQLNamedType] = {}
        waiting: list[GraphQLNamedType] = [*roots.values()]
        while waiting:
            type_ = waiting.pop()
            if type_.name not in types and not is_specified_scalar_type(type_):
                types[type_.name] = type_
                waiting += [used for used, _ in _uses(type_)]
                if isinstance(type_, GraphQLInterfaceType):
                    waiting += self.schema.get_possible_types(type_)
        return Parts(self.schema, dict(sorted(types.items())), roots, self.index, frozenset(tables))

    def table_of(self, kind: OperationKind, name: str) -> str:
        root = self.index.roots.get(kind, {}).get(name)
        return root.table if root else COMMON


def _files(parts: Parts, restricted: bool) -> Layout:
    owners = assign(parts)
    apps = sorted({parts.index.tables[table].app for table in parts.tables} - {""})
    alone = len(apps) == 1 and (restricted or all(parts.index.tables[table].app for table in parts.tables))
    paths = _paths(parts, f"app_{apps[0]}/" if alone else "")
    definitions: dict[str, list[str]] = {path: [] for path in sorted(paths.values())}
    for kind, root in parts.roots.items():
        by_table: dict[str, dict[str, GraphQLField]] = {}
        for name, field in root.fields.items():
            by_table.setdefault(parts.table_of(kind, name), {})[name] = field
        for table, fields in sorted(by_table.items()):
            if table != COMMON:
                definitions[paths[table]].append(f"extend {print_type(_part_of(root, fields, described=False))}")
        definitions[paths[COMMON]].append(print_type(_part_of(root, by_table.get(COMMON, {}))))
    common = definitions[paths[COMMON]]
    common.insert(0, _schema_text(parts.schema, parts.roots))
    custom = [directive for directive in parts.schema.directives if not is_specified_directive(directive)]
    common += [print_directive(directive) for directive in sorted(custom, key=lambda directive: directive.name)]
    root_names = {root.name for root in parts.roots.values()}
    for name, type_ in sorted(parts.types.items()):
        if name not in root_names:
            definitions[paths[owners[name]]].append(print_type(type_))
    files = {path: "\n\n".join([HEADER.rstrip(), *texts]) + "\n" for path, texts in definitions.items() if texts}
    there = sorted({table.app for table in parts.index.tables.values()} - {""})
    return Layout(files, tuple(apps), len(parts.tables), tuple(there))


def _part_of(
    root: GraphQLObjectType, fields: Mapping[str, GraphQLField], *, described: bool = True
) -> GraphQLObjectType:
    """The root type with some of its fields."""
    part = GraphQLObjectType(root.name, dict(fields), description=root.description if described else None)
    assert isinstance(part, GraphQLObjectType)  # its __new__ is declared wider
    return part


def _schema_text(schema: GraphQLSchema, roots: Mapping[OperationKind, GraphQLObjectType]) -> str:
    lines = "\n".join(f"  {kind}: {root.name}" for kind, root in roots.items())
    return f"{print_description(schema)}schema {{\n{lines}\n}}"


def _paths(parts: Parts, folder: str) -> dict[str, str]:
    """Owner -> path. In the folder of one app when there is only one, each table in its own app's folder otherwise."""
    paths = {COMMON: f"{folder}common.graphql"}
    taken = {path.casefold() for path in paths.values()}
    by_app = sorted(parts.tables, key=lambda table: (parts.index.tables[table].app == "", table))
    for name in by_app:
        table = parts.index.tables[name]
        base = folder or (f"app_{table.app}/" if table.app else "tables/")
        path, number = f"{base}{table.name}.graphql", 2
        while path.casefold() in taken:
            path, number = f"{base}{table.name}_{number}.graphql", number + 1
        taken.add(path.casefold())
        paths[name] = path
    return paths


def assign(parts: Parts) -> dict[str, str]:
    """Type name -> the row type of the table that owns it, or COMMON: rules 2 to 4 above."""
    owners = _known_owners(parts)
    users = _users(parts, owners)
    open_types = [name for name in parts.types if name not in owners]
    changed = True
    while changed:
        changed = False
        for name in open_types:
            found = {owners[user] for user in users.types.get(name, ()) if user in owners} | users.tables.get(
                name, set()
            )
            owner = next(iter(found)) if len(found) == 1 else COMMON
            if found and owners.get(name) != owner and owners.get(name) != COMMON:
                owners[name] = owner
                changed = True
    return {name: owners.get(name, COMMON) for name in parts.types}


def _known_owners(parts: Parts) -> dict[str, str]:
    index = parts.index
    owners: dict[str, str] = {table: table for table in index.tables}
    owners |= index.aggregate_types
    owners |= index.response_types
    owners |= {name: known.table for name, known in index.inputs.items()}
    owners |= dict.fromkeys(_comparisons(parts), COMMON)
    own_enums = _own_enums(parts)
    for name, type_ in parts.types.items():
        if isinstance(type_, GraphQLScalarType) or (isinstance(type_, GraphQLEnumType) and name not in own_enums):
            owners[name] = COMMON
    return {name: owner if owner in parts.tables else COMMON for name, owner in owners.items() if name in parts.types}


def _inputs(parts: Parts, *kinds: InputKind) -> list[GraphQLInputObjectType]:
    named = (parts.types.get(name) for name, known in parts.index.inputs.items() if known.kind in kinds)
    return [type_ for type_ in named if isinstance(type_, GraphQLInputObjectType)]


def _comparisons(parts: Parts) -> set[str]:
    """Input types of a filter's fields that are no filter of a table themselves."""
    return {
        used.name
        for filter_ in _inputs(parts, InputKind.BOOL_EXP)
        for used, _ in _uses(filter_)
        if isinstance(used, GraphQLInputObjectType) and used.name not in parts.index.inputs
    }


def _own_enums(parts: Parts) -> set[str]:
    """Enums that only name parts of tables: used in arguments, in `on_conflict` and in aggregate predicates alone."""
    naming = {type_.name for type_ in _inputs(parts, InputKind.ON_CONFLICT)}
    pending = _inputs(parts, InputKind.AGGREGATE_BOOL_EXP)
    comparisons = _comparisons(parts)
    while pending:
        type_ = pending.pop()
        if type_.name not in naming:
            naming.add(type_.name)
            pending += [
                used
                for used, _ in _uses(type_)
                if isinstance(used, GraphQLInputObjectType)
                and used.name not in comparisons
                and used.name not in parts.index.inputs
            ]
    elsewhere: set[str] = set()
    for type_ in parts.types.values():
        if type_.name not in naming:
            elsewhere |= {
                used.name for used, argument in _uses(type_) if isinstance(used, GraphQLEnumType) and not argument
            }
    enums = {name for name, type_ in parts.types.items() if isinstance(type_, GraphQLEnumType)}
    return enums - elsewhere


def _uses(type_: GraphQLNamedType) -> Iterator[tuple[GraphQLNamedType, GraphQLNamedType | None]]:
    """(type used, None), or for the type of an argument (type used, what the field returns)."""
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        for interface in type_.interfaces:
            yield interface, None
        for field in type_.fields.values():
            returned = get_named_type(field.type)
            yield returned, None
            for argument in field.args.values():
                yield _argument_type(argument), returned
    elif isinstance(type_, GraphQLInputObjectType):
        for field in type_.fields.values():
            yield get_named_type(field.type), None
    elif isinstance(type_, GraphQLUnionType):
        for member in type_.types:
            yield member, None


def _argument_type(argument: GraphQLArgument) -> GraphQLNamedType:
    return get_named_type(argument.type)


@dataclass(frozen=True, slots=True)
class _Users:
    """Who uses a type: other types by name, and tables whose root fields do."""

    types: Mapping[str, set[str]]
    tables: Mapping[str, set[str]]


def _users(parts: Parts, owners: Mapping[str, str]) -> _Users:
    types: dict[str, set[str]] = {}
    tables: dict[str, set[str]] = {}
    roots = {root.name for root in parts.roots.values()}
    for name, type_ in parts.types.items():
        if name in roots:
            continue
        for used, returned in _uses(type_):
            user = returned.name if returned and owners.get(returned.name, COMMON) != COMMON else name
            if used.name != name:
                types.setdefault(used.name, set()).add(user)
    for kind, root in parts.roots.items():
        for name, field in root.fields.items():
            table = parts.table_of(kind, name)
            returned = get_named_type(field.type)
            for used in (returned, *map(_argument_type, field.args.values())):
                # A function that returns rows takes their table's `distinct_on`: that is a use by the table.
                owner = owners.get(returned.name, COMMON) if isinstance(used, GraphQLEnumType) else table
                tables.setdefault(used.name, set()).add(owner if owner in parts.tables else COMMON)
    return _Users(types, tables)
