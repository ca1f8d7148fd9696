"""Operation files + Sdl -> OperationIR: parsed, validated, aliased, scoped. Next: models.py, functions.py.

The steps, each collecting its diagnostics:
1. `parse_queries`: every file by graphql-core, so that each node knows its file and place. Operations and fragments of
   all files are one set: a fragment may live in another file.
2. `assign`: each operation to a package, by the table of its first root field. Names alone decide nothing here: the app
   is read from the row type that the root field returns.
3. `resolve`, a package at a time, since a schema of fifty apps is never needed at once: validation against the slice of
   the schema that the package reaches; aliases without the app's id (naming.py); the scoping walk.

Each operation is validated with the fragments that it reaches, so one broken operation hides no fault of another.
Codes: 120 syntax, 121 validation, 122 no name, 123 a name twice, 124 a fragment that nothing uses (a warning), 126 a filter of an update or delete that may be absent (a warning), 127 no
package, 128 introspection, 132 something deprecated (a warning). What scoping refuses keeps the code of scope/refusals.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from graphql import (
    ArgumentNode,
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    ListValueNode,
    NameNode,
    Node,
    NonNullTypeNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import (
    LoneAnonymousOperationRule,
    NoDeprecatedCustomRule,
    NoUnusedFragmentsRule,
    UniqueFragmentNamesRule,
    UniqueOperationNamesRule,
)

from automio.codegen.aliases import alias_document, flat_fields, response_key
from automio.codegen.config import CodegenConfig
from automio.codegen.sources import SourceFile
from automio.dialect.index import OperationKind, Root, RootKind, SchemaIndex
from automio.dialect.names import split_app
from automio.dialect.sdl import BUILT_IN, Sdl, position
from automio.errors import Diagnostic, ScopeError
from automio.scope.cursor import Cursor
from automio.scope.policy import Policy
from automio.scope.stream import resumable
from automio.scope.walk import ScopedDocument, scope_document

# What these rules say is said here across files, or is no fault of an operation.
_RULES = [
    rule
    for rule in specified_rules
    if rule
    not in (LoneAnonymousOperationRule, NoUnusedFragmentsRule, UniqueFragmentNamesRule, UniqueOperationNamesRule)
]
_FILTERED_WRITES = frozenset({RootKind.UPDATE, RootKind.UPDATE_MANY, RootKind.DELETE})


@dataclass(frozen=True, slots=True)
class Located:
    """An operation or fragment and the file it stands in."""

    node: OperationDefinitionNode | FragmentDefinitionNode
    file: SourceFile

    @property
    def name(self) -> str:
        return self.node.name.value if self.node.name else ""

    @property
    def operation(self) -> OperationDefinitionNode:
        assert isinstance(self.node, OperationDefinitionNode)
        return self.node

    @property
    def place(self) -> str:
        """`queries/app_130/orders.graphql:3`."""
        return f"{self.file.path}:{position(self.file.text, _start(self.node))[0]}"


@dataclass(frozen=True, slots=True)
class Queries:
    """All operations and fragments of a project, in the order of files."""

    operations: tuple[Located, ...]
    fragments: Mapping[str, Located]

    @property
    def fragment_nodes(self) -> dict[str, FragmentDefinitionNode]:
        nodes = {name: located.node for name, located in self.fragments.items()}
        return {name: node for name, node in nodes.items() if isinstance(node, FragmentDefinitionNode)}


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field of an operation after aliasing. `root` is None for `__typename` and what the index doesn't know."""

    node: FieldNode
    root: Root | None
    aliased: bool
    """True when the author gave the alias."""

    @property
    def key(self) -> str:
        return response_key(self.node)


@dataclass(frozen=True, slots=True)
class OperationIR:
    """One operation, ready to be rendered. `document` has its fragments and aliases, `scoped` is what is sent."""

    name: str
    function: str
    kind: OperationKind
    module: str
    document: DocumentNode
    roots: tuple[RootField, ...]
    scoped: ScopedDocument
    source: str
    description: str = ""
    derived: str = ""
    """The kind of derived function (`find`), "" for an operation that the user wrote."""
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of a derived `aggregate`: function -> Python name of each column that it takes -> the column."""
    table: str = ""
    """The module's table without the app, for the gateway's `?table=`."""
    cursor: Cursor | None = None
    """Of a stream: how it goes on after a lost connection."""

    @property
    def operation(self) -> OperationDefinitionNode:
        return next(d for d in self.document.definitions if isinstance(d, OperationDefinitionNode))

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return {d.name.value: d for d in self.document.definitions if isinstance(d, FragmentDefinitionNode)}

    @property
    def variables(self) -> dict[str, VariableDefinitionNode]:
        """The variables that the caller gives, by name; the organization's is none of them."""
        given = {d.variable.name.value: d for d in self.operation.variable_definitions or ()}
        given.pop(self.scoped.scope_variable or "", None)
        return given


@dataclass(slots=True)
class Findings:
    """What a run has to say so far: errors stop it before anything is written, warnings don't."""

    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def error(self, located: Located, node: Node, message: str, code: str, hint: str = "") -> None:
        self.errors.append(at_node(located.file, node, message, code, hint))

    def warning(self, located: Located, node: Node, message: str, code: str, hint: str = "") -> None:
        self.warnings.append(at_node(located.file, node, message, code, hint))


def at_node(file: SourceFile, node: Node, message: str, code: str, hint: str = "") -> Diagnostic:
    line, column, source = position(file.text, _start(node))
    return Diagnostic(file.path, line, column, message, code=code, hint=hint, source_line=source)


def _start(node: Node) -> int:
    return node.loc.start if node.loc else 0


# 1. Parsing.


def parse_queries(files: Iterable[SourceFile], findings: Findings) -> Queries:
    """Operations and fragments of all files; what cannot be parsed or named is left out and reported."""
    operations: list[Located] = []
    fragments: dict[str, Located] = {}
    for file in files:
        for node in _parse(file, findings):
            located = (
                Located(node, file) if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode) else None
            )
            if located is None:
                diagnostic = at_node(file, node, "only operations and fragments may stand here", "AUTOMIO-120")
                findings.errors.append(diagnostic)
            elif isinstance(located.node, FragmentDefinitionNode):
                first = fragments.setdefault(located.name, located)
                if first is not located:
                    message = f"fragment `{located.name}` is defined twice, first at {first.place}"
                    findings.error(located, located.node.name, message, "AUTOMIO-123")
            elif not located.name:
                hint = f"Write `{located.operation.operation.value} Name {{ … }}`: the function is called after it."
                findings.error(located, node, "this operation has no name", "AUTOMIO-122", hint)
            else:
                operations.append(located)
    return Queries(tuple(operations), fragments)


def _parse(file: SourceFile, findings: Findings) -> tuple[DefinitionNode, ...]:
    try:
        return parse(Source(file.text, file.path)).definitions
    except GraphQLSyntaxError as error:
        offset = next(iter(error.positions or ()), 0)
        if not any(line.strip() and not line.lstrip().startswith("#") for line in file.text.splitlines()):
            return ()
        line, column, source = position(file.text, min(offset, len(file.text)))
        message = error.message.removeprefix("Syntax Error: ")
        findings.errors.append(Diagnostic(file.path, line, column, message, code="AUTOMIO-120", source_line=source))
        return ()


# 2. Packages.


def assign(queries: Queries, sdl: Sdl, config: CodegenConfig, findings: Findings) -> dict[str, list[Located]]:
    """App id -> its operations ("" for tables of no app). Reports names that are taken and apps that go nowhere."""
    found: dict[str, list[Located]] = {}
    for located in queries.operations:
        app = _app_of(located, queries, sdl)
        if not config.package_of(app):
            name = first_root(located.node, queries)
            message = f"app {app} is not generated" if app else f"`{name}` belongs to no app"
            hint = (
                f"Add {app} to `apps` in {config.path}."
                if app
                else f'Name a package for such tables: `package = "…"` in {config.path}.'
            )
            findings.error(located, located.node.name or located.node, message, "AUTOMIO-127", hint)
            continue
        same = found.setdefault(app, [])
        first = next((other for other in same if other.name == located.name), None)
        if first:
            message = f"operation `{located.name}` is defined twice, first at {first.place}"
            findings.error(located, located.node.name or located.node, message, "AUTOMIO-123", "Rename one of them.")
        else:
            same.append(located)
    return found


def _app_of(located: Located, queries: Queries, sdl: Sdl) -> str:
    name = first_root(located.node, queries)
    root = sdl.root_fields.get(located.operation.operation.value, {}).get(name)
    app = split_app(root.named_type)[0] if root else ""
    if app:
        return app
    # Not in the schema (validation will say so), or a type without an app: a name such as `insert_app_130_x` still tells.
    _, found, rest = name.partition("app_")
    number = rest.partition("_")[0]
    return number if found and number.isdigit() and not root else ""


def first_root(node: OperationDefinitionNode | FragmentDefinitionNode, queries: Queries) -> str:
    return next((f.name.value for f in flat_fields(node.selection_set, queries.fragment_nodes)), "")


# 3. One package.


def reached_roots(operations: Iterable[Located], queries: Queries) -> dict[OperationKind, set[str]]:
    """The root fields that operations name, by kind of operation."""
    found: dict[OperationKind, set[str]] = {}
    for located in operations:
        node = located.operation
        names = {f.name.value for f in flat_fields(node.selection_set, queries.fragment_nodes)}
        found.setdefault(node.operation.value, set()).update(names)
    return found


def schema_of(
    operations: Iterable[Located],
    queries: Queries,
    sdl: Sdl,
    types: Iterable[str] = (),
) -> GraphQLSchema:
    """The slice that these operations are validated against: what they reach, `types`, and names close to unknown ones."""
    wanted: dict[OperationKind, set[str]] = {}
    for kind, names in reached_roots(operations, queries).items():
        for name in names:
            wanted.setdefault(kind, set()).update(_known(name, sdl.root_fields.get(kind, {})))
    types = set(types)
    types |= _aggregate_types(sdl, types)
    variable_types = {
        name
        for located in operations
        for definition in located.operation.variable_definitions or ()
        for name in _known(_type_name(definition), sdl.definitions)
    }
    ordered: dict[OperationKind, list[str]] = {kind: sorted(names) for kind, names in wanted.items()}
    return sdl.schema_for(ordered, sorted({*types, *variable_types}))


def _aggregate_types(sdl: Sdl, rows: Iterable[str]) -> set[str]:
    """The types of the aggregates over these row types: only they say which columns can be summed (derived.py)."""
    roots = (root for row in rows for root in sdl.places.get(row, ()) if root.named_type != row)
    return {root.named_type for root in roots if root.operation == "query"}


def _known(name: str, names: Mapping[str, Any]) -> list[str]:
    """The name, or those that it may have meant. Looking for them is slow, so only what is unknown is looked for."""
    if name in BUILT_IN:
        return []
    return [name] if name in names else get_close_matches(name, names, n=3)


def _type_name(definition: VariableDefinitionNode) -> str:
    node: Any = definition.type
    while hasattr(node, "type"):
        node = node.type
    return node.name.value


@dataclass(frozen=True, slots=True)
class Context:
    """What the operations of one package are resolved with."""

    app: str
    schema: GraphQLSchema
    index: SchemaIndex
    policy: Policy


def resolve(operations: Iterable[Located], queries: Queries, context: Context, findings: Findings) -> list[OperationIR]:
    """The operations that are valid and can be scoped, in their order; module and function are filled in later."""
    resolved: list[OperationIR] = []
    reaching = [(located, _reached(located.node, queries.fragments)) for located in operations]
    fine = _all_valid(reaching, context.schema)
    for located, reached in reaching:
        faults, deprecated = ([], []) if fine else _validate(located, reached, context.schema, queries)
        findings.warnings += [warning for warning in deprecated if warning not in findings.warnings]
        findings.errors += [fault for fault in faults if fault not in findings.errors]
        if faults:
            continue
        node = located.operation
        if context.schema.get_root_type(node.operation) is None:
            message = f"this schema has no {node.operation.value}s"
            findings.error(
                located, node, message, "AUTOMIO-121", "The role may have none: pull its schema, or drop this."
            )
            continue
        introspection = next((f for f in flat_fields(node.selection_set, queries.fragment_nodes) if _is_meta(f)), None)
        if introspection:
            message = f"`{introspection.name.value}` is about the schema and has no typed function"
            hint = "Send it as a document: api.tables.execute(…)."
            findings.error(located, introspection, message, "AUTOMIO-128", hint)
            continue
        document = alias_document([node, *(found.node for found in reached)], context.schema, context.app)
        operation = resolve_document(document, context, located, findings)
        if operation:
            _warn_of_optional_filters(operation, located, findings)
            resolved.append(operation)
    return resolved


def resolve_document(
    document: DocumentNode, context: Context, located: Located, findings: Findings
) -> OperationIR | None:
    """One valid document through the scoping walk; None, and a diagnostic at the field, when that refuses it."""
    node = located.operation
    try:
        scoped, cursor = resumable(scope(document, context.index, context.policy), context.index)
    except ScopeError as error:
        place = _node_at(document, error.path)
        owner = next((f for f in _files_of(located, document) if _stands_in(place, f)), located)
        message = f"{error.message} ({error.path})" if error.path else error.message
        findings.error(owner, place, message, error.code, error.hint)
        return None
    return OperationIR(
        name=located.name,
        function="",
        kind=node.operation.value,
        module="",
        document=document,
        roots=root_fields(document, context.index, node),
        scoped=scoped,
        source=located.place,
        description=_comment(node),
        cursor=cursor,
    )


def scope(document: DocumentNode, index: SchemaIndex, policy: Policy) -> ScopedDocument:
    """The scoping walk over a document of one operation. Raises ScopeError."""
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    column = index.tenant_column
    declared = {d.variable.name.value for d in operation.variable_definitions or ()}
    return scope_document(
        document,
        index,
        operation_name=operation.name.value if operation.name else None,
        scope_variable=column if column in declared else None,
        policy=policy,
    )


def root_fields(document: DocumentNode, index: SchemaIndex, written: OperationDefinitionNode) -> tuple[RootField, ...]:
    """The root fields, merged by response key. `written` is the operation before aliasing: it tells the author's aliases."""
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    roots = index.roots.get(operation.operation.value, {})
    found: dict[str, RootField] = {}
    for node in flat_fields(operation.selection_set, fragments):
        name = node.name.value
        aliased = bool(node.alias and node.alias.loc)
        found.setdefault(response_key(node), RootField(node, roots.get(name), aliased))
    return tuple(found.values())


def _reached(node: Any, fragments: Mapping[str, Located]) -> list[Located]:
    """The fragments that a definition reaches, in the order of their names."""
    found: dict[str, Located] = {}
    todo: list[Any] = [node]
    while todo:
        for name in _spreads(todo.pop().selection_set):
            if name in fragments and name not in found:
                found[name] = fragments[name]
                todo.append(fragments[name].node)
    return [found[name] for name in sorted(found)]


def _spreads(selection_set: SelectionSetNode | None) -> Iterator[str]:
    for selection in selection_set.selections if selection_set else ():
        if isinstance(selection, FragmentSpreadNode):
            yield selection.name.value
        elif isinstance(selection, FieldNode | InlineFragmentNode):
            yield from _spreads(selection.selection_set)


def unused_fragments(queries: Queries, findings: Findings) -> None:
    """Warns of fragments that no operation reaches: they make no model."""
    used = {found.name for operation in queries.operations for found in _reached(operation.node, queries.fragments)}
    for name, located in queries.fragments.items():
        if name not in used:
            findings.warning(located, located.node, f"fragment `{name}` is used by no operation", "AUTOMIO-124")


class _Deprecation(GraphQLError):
    """Something that still works; the schema names what to use instead."""


class _DeprecatedRule(NoDeprecatedCustomRule):
    def report_error(self, error: GraphQLError) -> None:
        super().report_error(_Deprecation(error.message, error.nodes))


def _all_valid(operations: Iterable[tuple[Located, list[Located]]], schema: GraphQLSchema) -> bool:
    """True when there is nothing to say of any: one validation of them all costs a third of one for each."""
    definitions = {located.name: located.node for _, reached in operations for located in reached}
    nodes = (*(located.node for located, _ in operations), *definitions.values())
    return not validate(schema, DocumentNode(definitions=nodes), [*_RULES, _DeprecatedRule], max_errors=1)


def _validate(
    located: Located, reached: list[Located], schema: GraphQLSchema, queries: Queries
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """The faults, and the warnings of what is deprecated."""
    document = DocumentNode(definitions=(located.node, *(found.node for found in reached)))
    files = {found.file.path: found.file for found in (located, *reached)}
    errors = validate(schema, document, [*_RULES, _DeprecatedRule])
    deprecated = [error for error in errors if isinstance(error, _Deprecation)]
    return (
        [_fault(error, files, located, queries) for error in errors if not isinstance(error, _Deprecation)],
        [_fault(error, files, located, queries, "AUTOMIO-132") for error in deprecated],
    )


def _fault(
    error: GraphQLError,
    files: Mapping[str, SourceFile],
    located: Located,
    queries: Queries,
    code: str = "AUTOMIO-121",
) -> Diagnostic:
    node = next((node for node in error.nodes or () if node.loc), located.node)
    source = node.loc.source.name if node.loc and node.loc.source else ""
    # A fault of two nodes (a conflict, an unused variable) is shown at the one that the author is likely to change.
    message, found, guess = error.message.partition(" Did you mean ")
    hint = f"Did you mean {guess}" if found else ""
    if message.startswith("Unknown fragment") and isinstance(node, NameNode | FragmentSpreadNode):
        name = node.value if isinstance(node, NameNode) else node.name.value
        close = get_close_matches(name, queries.fragments, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
    return at_node(files.get(source, located.file), node, message, code, hint)


def _comment(node: OperationDefinitionNode) -> str:
    """The comment right above the operation, its lines joined: it becomes the docstring's beginning."""
    lines: list[str] = []
    token = node.loc.start_token.prev if node.loc else None
    line = node.loc.start_token.line if node.loc else 0
    while token and token.kind is TokenKind.COMMENT and token.line == line - 1:
        lines.insert(0, (token.value or "").strip())
        line, token = token.line, token.prev
    return " ".join(text for text in lines if text)


# Filters that may be absent, and places of refusals.


def _is_meta(node: FieldNode) -> bool:
    return node.name.value in ("__schema", "__type")


def _warn_of_optional_filters(operation: OperationIR, located: Located, findings: Findings) -> None:
    for root in operation.roots:
        if root.root and root.root.kind in _FILTERED_WRITES:
            for argument in root.node.arguments or ():
                if argument.name.value in ("where", "updates"):
                    for node in _variables_in(argument.value):
                        definition = operation.variables.get(node.name.value)
                        if definition and not isinstance(definition.type, NonNullTypeNode):
                            message = f"`${node.name.value}` may be absent, but it decides which rows are changed"
                            hint = f"Declare it non-null; the call is refused without it. `{operation.name}` can't mean all rows."
                            findings.warning(located, node, message, "AUTOMIO-126", hint)


def _variables_in(value: ValueNode) -> Iterator[VariableNode]:
    if isinstance(value, VariableNode):
        yield value
    elif isinstance(value, ListValueNode):
        for inner in value.values:
            yield from _variables_in(inner)
    elif isinstance(value, ObjectValueNode):
        for entry in value.fields:
            yield from _variables_in(entry.value)


def _files_of(located: Located, document: DocumentNode) -> list[Located]:
    found = [located]
    for definition in document.definitions:
        source = definition.loc.source if definition.loc else None
        if source and source.name != located.file.path and isinstance(definition, FragmentDefinitionNode):
            found.append(Located(definition, SourceFile(source.name, source.body)))
    return found


def _stands_in(node: Node, located: Located) -> bool:
    return bool(node.loc and node.loc.source and node.loc.source.name == located.file.path)


def _node_at(document: DocumentNode, path: str) -> Node:
    """The deepest node of the user's document on a path such as `orders.where.order`, the operation when none is."""
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    node: Any = operation
    for part in path.partition(": ")[2].replace("[", ".").split("."):
        below = _step(node, part, fragments)
        if below is None:
            break
        node = below
    return node.name if isinstance(node, OperationDefinitionNode) and node.name else node


def _step(node: Any, part: str, fragments: Mapping[str, FragmentDefinitionNode]) -> Any:
    if isinstance(node, ArgumentNode):
        node = node.value
    if isinstance(node, OperationDefinitionNode | FieldNode):
        for argument in getattr(node, "arguments", None) or ():
            if argument.name.value == part:
                return argument
        for selection in flat_fields(node.selection_set, fragments):
            if part in (response_key(selection), selection.name.value):
                return selection
    if isinstance(node, ObjectValueNode):
        return next((entry.value for entry in node.fields if entry.name.value == part), None)
    if isinstance(node, ListValueNode) and part.rstrip("]").isdigit():
        number = int(part.rstrip("]"))
        return node.values[number] if number < len(node.values) else None
    return None
