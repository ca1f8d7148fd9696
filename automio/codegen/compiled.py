"""Schema + operations -> every function that would be generated, without its code. Used by diff.py and allow_list.py.

The steps are those of pipeline.py up to the point where text is made, with one difference: an operation that cannot be
compiled is handed back with what is wrong with it, and the others go on. `diff` asks for exactly that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode, TypeNode

from automio.codegen.aliases import flat_fields
from automio.codegen.config import CodegenConfig
from automio.codegen.derived import derive, with_choices
from automio.codegen.naming import OTHER_MODULE, function_name, module_names, row_class
from automio.codegen.operations import (
    Context,
    Findings,
    Located,
    OperationIR,
    Queries,
    assign,
    first_root,
    parse_queries,
    reached_roots,
    resolve,
    schema_of,
)
from automio.codegen.sources import SourceFile
from automio.dialect.index import OperationKind, SchemaIndex
from automio.dialect.names import split_app
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import Diagnostic
from automio.scope.policy import Policy


@dataclass(frozen=True, slots=True)
class Function:
    """A function that would be generated. `name` is `app_130.orders.find`, unique in a project."""

    name: str
    package: str
    app: str
    operation: OperationIR
    located: Located | None
    """Where the user wrote it; None for a derived one."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package: the functions that compile, the operations that don't, and the slice of the schema they reach."""

    app: str
    functions: Mapping[str, Function]
    failed: tuple[tuple[Located, tuple[Diagnostic, ...]], ...]
    schema: GraphQLSchema
    index: SchemaIndex


@dataclass(frozen=True, slots=True)
class Compiled:
    """All packages in order of their apps; `errors`: files that are no GraphQL, operations without name or package."""

    packages: tuple[Package, ...]
    errors: tuple[Diagnostic, ...]

    @property
    def functions(self) -> dict[str, Function]:
        return {name: function for package in self.packages for name, function in package.functions.items()}


def compile_functions(
    sdl: Sdl,
    files: Iterable[SourceFile],
    config: CodegenConfig,
    *,
    wanted: Callable[[Mapping[OperationKind, set[str]], list[str]], bool] | None = None,
) -> Compiled:
    """Every function of the project. `wanted`, given a package's root fields and types, says whether to compile it.

    Raises CodegenError when the schema itself cannot be built; faults of operations are handed back.
    """
    findings = Findings()
    queries = parse_queries(files, findings)
    operations = assign(queries, sdl, config, findings)
    types = _types_by_app(sdl)
    apps = {*operations, *(app for app in types if config.package_of(app))}
    packages: list[Package] = []
    for app in sorted(apps, key=lambda app: (len(app), app)):
        own = operations.get(app, [])
        derived = [name for name in types.get(app, []) if config.derived_of(name)]
        if wanted is None or wanted(reached_roots(own, queries), derived):
            packages.append(_package(app, sdl, queries, own, derived, config))
    return Compiled(tuple(packages), tuple(dict.fromkeys(findings.errors)))


def policy_of(config: CodegenConfig, index: SchemaIndex) -> Policy:
    """What configuration allows; where there are no organizations nothing needs to be declared safe."""
    safe = set(config.safe_functions)
    if config.tenant_column is None:
        safe |= {name for fields in index.roots.values() for name, root in fields.items() if not root.table}
        safe |= {f"{table.type}.{name}" for table in index.tables.values() for name in table.other}
    return Policy(frozenset(safe), config.writable_shared_tables)


def _types_by_app(sdl: Sdl) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for field in sdl.root_fields.get("query", {}).values():
        found.setdefault(split_app(field.named_type)[0], {})[field.named_type] = None
    return {app: sorted(types) for app, types in found.items()}


def _package(
    app: str, sdl: Sdl, queries: Queries, operations: list[Located], types: list[str], config: CodegenConfig
) -> Package:
    roots = reached_roots(operations, queries)
    index = index_schema(sdl, roots=roots, tables=types, tenant_column=config.tenant_column)
    policy = policy_of(config, index)
    tables = [table for table in index.tables.values() if table.app == app]
    modules = module_names(tables)
    places = {id(located): _place(located, queries, index, modules) for located in operations}
    package = config.package_of(app)
    derived: list[OperationIR] = []
    for table in tables:
        kinds = config.derived_of(table.type)
        row = config.tables[table.type].model if table.type in config.tables else ""
        taken = {function for module, function in places.values() if module == modules[table.type]}
        derived += derive(table, row or row_class(table), modules[table.type], kinds, taken, index, policy)
    used = {part for op in derived for part in _types_of(op)}
    schema = schema_of(operations, queries, sdl, types=used)
    functions: dict[str, Function] = {}
    failed: list[tuple[Located, tuple[Diagnostic, ...]]] = []
    for located in operations:
        findings = Findings()
        for op in resolve([located], queries, Context(app, schema, index, policy), findings):
            name = ".".join((package, *places[id(located)]))
            functions[name] = Function(name, package, app, op, located)
        if findings.errors:
            failed.append((located, tuple(findings.errors)))
    for op in derived:
        if op.derived == "aggregate":
            op = with_choices(op, schema, index)
        name = f"{package}.{op.module}.{op.function}"
        functions.setdefault(name, Function(name, package, app, op, None))
    return Package(app, functions, tuple(failed), _reached_schema(sdl, functions.values(), used), index)


def _reached_schema(sdl: Sdl, functions: Iterable[Function], types: set[str]) -> GraphQLSchema:
    """What the functions reach, by the documents that were written and by those that are sent."""
    roots: dict[OperationKind, set[str]] = {}
    for function in functions:
        op = function.operation
        for document in (op.document, op.scoped.document):
            fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
            for definition in document.definitions:
                if isinstance(definition, OperationDefinitionNode):
                    names = {field.name.value for field in flat_fields(definition.selection_set, fragments)}
                    roots.setdefault(op.kind, set()).update(names)
                    types = types | {type_name(d.type) for d in definition.variable_definitions or ()}
    ordered: dict[OperationKind, list[str]] = {kind: sorted(names) for kind, names in roots.items()}
    return sdl.schema_for(ordered, sorted(types))


def _place(located: Located, queries: Queries, index: SchemaIndex, modules: Mapping[str, str]) -> tuple[str, str]:
    fields = index.roots.get(located.operation.operation.value, {})
    root = fields.get(first_root(located.node, queries))
    table = root.table or root.type.strip("[]!") if root else ""
    return modules.get(table, OTHER_MODULE), function_name(located.name)


def _types_of(op: OperationIR) -> Iterable[str]:
    for definition in op.variables.values():
        yield type_name(definition.type)
    root = op.roots[0].root
    if root:
        yield root.table
        yield root.arguments.get("on_conflict", root.table).rstrip("!")


def type_name(node: TypeNode) -> str:
    """The named type of `[orders!]!`."""
    inner: Any = node
    while hasattr(inner, "type"):
        inner = inner.type
    return inner.name.value
