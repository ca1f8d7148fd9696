"""What the compilation of one package starts from. Used by package.py (makes code of it) and compiled.py (judges it).

Sdl, operations, configuration -> Groundwork: the tables, where each operation belongs, the derived functions, and the
slice of the schema that all of them need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphql import GraphQLSchema

from automio.codegen.config import CodegenConfig
from automio.codegen.derived import derive
from automio.codegen.naming import OTHER_MODULE, function_name, module_names, row_class
from automio.codegen.operations import Located, OperationIR, Queries, first_root, reached_roots, schema_of
from automio.codegen.overrides import with_names
from automio.dialect.index import OperationKind, SchemaIndex, Table
from automio.dialect.names import split_app
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl, type_name
from automio.scope.policy import Policy


@dataclass(frozen=True, slots=True)
class Groundwork:
    """`places`: operation name -> (module, function); `types`: what derived functions name."""

    index: SchemaIndex
    policy: Policy
    tables: tuple[Table, ...]
    modules: Mapping[str, str]
    """Row type -> module."""
    rows: Mapping[str, str]
    """Row type -> class name of a whole row."""
    places: Mapping[str, tuple[str, str]]
    derived: tuple[OperationIR, ...]
    types: frozenset[str]
    schema: GraphQLSchema


def lay_groundwork(
    sdl: Sdl, queries: Queries, app: str, operations: Sequence[Located], types: Iterable[str], config: CodegenConfig
) -> Groundwork:
    """`types`: row types of the app that get derived functions. Raises CodegenError when the schema cannot be read."""
    roots = reached_roots(operations, queries)
    column = config.tenant_column
    index = index_schema(sdl, roots=roots, tables=types, tenant_column=column, references=config.references)
    index = with_names(index, config)
    policy = policy_of(config, index)
    tables = tuple(table for table in index.tables.values() if table.app == app)
    own_modules = {name: table.module for name, table in config.tables.items() if table.module}
    modules = module_names(tables, own_modules)
    places = {located.name: place_of(located, queries, index, modules) for located in operations}
    own = {table.type: config.tables[table.type].model if table.type in config.tables else "" for table in tables}
    rows = {table.type: own[table.type] or row_class(table) for table in tables}
    derived: list[OperationIR] = []
    for table in tables:
        module = modules[table.type]
        taken = {function for written_to, function in places.values() if written_to == module}
        kinds = config.derived_of(table.type)
        derived += derive(table, rows[table.type], module, kinds, taken, index, policy)
    named = frozenset(name for op in derived for name in _types_of(op))
    schema = schema_of(operations, queries, sdl, types=set(named))
    return Groundwork(index, policy, tables, modules, rows, places, tuple(derived), named, schema)


def tables_by_app(sdl: Sdl) -> dict[str, list[str]]:
    """App -> types that its query fields return: rows, and others that the index leaves out again."""
    found: dict[str, dict[str, None]] = {}
    for field in sdl.root_fields.get("query", {}).values():
        found.setdefault(split_app(field.named_type)[0], {})[field.named_type] = None
    return {app: sorted(types) for app, types in found.items()}


def policy_of(config: CodegenConfig, index: SchemaIndex) -> Policy:
    """What configuration allows; where there are no organizations nothing needs to be declared safe."""
    safe = set(config.safe_functions)
    if config.tenant_column is None:
        safe |= {name for fields in index.roots.values() for name, root in fields.items() if not root.table}
        safe |= {f"{table.type}.{name}" for table in index.tables.values() for name in table.other}
    return Policy(frozenset(safe), config.writable_shared_tables)


def place_of(located: Located, queries: Queries, index: SchemaIndex, modules: Mapping[str, str]) -> tuple[str, str]:
    """(module, function) of an operation, by the table of its first root field."""
    kind: OperationKind = located.operation.operation.value
    root = index.roots.get(kind, {}).get(first_root(located.node, queries))
    table = root.table or root.type.strip("[]!") if root else ""
    return modules.get(table, OTHER_MODULE), function_name(located.name)


def _types_of(op: OperationIR) -> Iterable[str]:
    for definition in op.variables.values():
        yield type_name(definition.type)
    root = op.roots[0].root
    if root:
        yield root.table
        yield (root.argument_type("on_conflict") or root.table).rstrip("!")
