"""Schema + operations -> every function that would be generated, without its code. Used by diff.py and allow_list.py.

The steps are those of pipeline.py up to the point where text is made, with one difference: an operation that cannot be
compiled is handed back with what is wrong with it, and the others go on. `diff` asks for exactly that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode

from automio.codegen.aliases import flat_fields
from automio.codegen.config import CodegenConfig
from automio.codegen.derived import with_choices
from automio.codegen.groundwork import lay_groundwork, tables_by_app
from automio.codegen.operations import (
    Context,
    Findings,
    Located,
    OperationIR,
    Queries,
    assign,
    parse_queries,
    reached_roots,
    resolve,
)
from automio.codegen.sources import SourceFile
from automio.dialect.index import OperationKind, SchemaIndex
from automio.dialect.sdl import Sdl, type_name
from automio.errors import Diagnostic
from automio.scope.check import prepare
from automio.scope.walk import ScopedDocument


@dataclass(frozen=True, slots=True)
class Function:
    """A function that would be generated. `name` is `app_130.orders.find`, unique in a project."""

    name: str
    package: str
    app: str
    operation: OperationIR
    located: Located | None
    """Where the user wrote it; None for a derived one."""
    check: str = ""
    """The query that is sent before it, "" when there is none."""


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
    types = tables_by_app(sdl)
    apps = {*operations, *(app for app in types if config.package_of(app))}
    packages: list[Package] = []
    for app in sorted(apps, key=lambda app: (len(app), app)):
        own = operations.get(app, [])
        derived = [name for name in types.get(app, []) if config.derived_of(name)]
        if wanted is None or wanted(reached_roots(own, queries), derived):
            packages.append(_package(app, sdl, queries, own, derived, config))
    return Compiled(tuple(packages), tuple(dict.fromkeys(findings.errors)))


def _package(
    app: str, sdl: Sdl, queries: Queries, operations: list[Located], types: list[str], config: CodegenConfig
) -> Package:
    ground = lay_groundwork(sdl, queries, app, operations, types, config)
    package = config.package_of(app)
    functions: dict[str, Function] = {}
    failed: list[tuple[Located, tuple[Diagnostic, ...]]] = []
    for located in operations:
        findings = Findings()
        context = Context(app, ground.schema, ground.index, ground.policy)
        for op in resolve([located], queries, context, findings):
            name = ".".join((package, *ground.places[located.name]))
            functions[name] = Function(name, package, app, op, located, check_text(op.scoped, ground.index))
        if findings.errors:
            failed.append((located, tuple(findings.errors)))
    for op in ground.derived:
        if op.derived == "aggregate":
            op = with_choices(op, ground.schema, ground.index)
        name = f"{package}.{op.module}.{op.function}"
        functions.setdefault(name, Function(name, package, app, op, None, check_text(op.scoped, ground.index)))
    reached = _reached_schema(sdl, functions.values(), set(ground.types))
    return Package(app, functions, tuple(failed), reached, ground.index)


def check_text(scoped: ScopedDocument, index: SchemaIndex) -> str:
    """The query that is sent before an operation, "" when there is none."""
    return prepare(scoped.check, index).text if scoped.check else ""


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
