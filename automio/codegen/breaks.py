"""SchemaDiff x our functions -> Findings: which change breaks which function. Used by cli/diff.py.

What an operation uses is read off its documents, the one that was written and the one that is sent: fields, arguments,
keys and enum values of literals, types of variables. A breaking change meets a function when it is about something that
the function uses. Three ways, from sure to possible:

- it **breaks**: the document asks for what changed, or the value of one of its arguments may hold it directly: the type
  of `where`, `order_by`, `set`, `rows` of the function's own table, and the enums of its columns. Callers of such an
  argument fail a type check, and fail at run time if they use the name.
- it **may break**: only a value that goes through a relationship can name it (`orders.find(where={"messages": …})`).
- it does not **reach** us: no function of ours uses it.

A removed value of an enum breaks who sends it, not who reads it: it merely arrives no more. And since no list of rules is
complete, every operation of a touched package is compiled against the new schema as well; what fails there without a
change to blame is reported as it stands. What does not compile against the old schema is no news: it is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    get_named_type,
)

from automio.codegen.compiled import Compiled, Function, Package, compile_functions
from automio.codegen.config import CodegenConfig
from automio.codegen.diff import Change, Coordinate, Group, Level, SchemaDiff, compare_schemas
from automio.codegen.sources import SourceFile
from automio.dialect.index import OperationKind
from automio.dialect.sdl import Sdl, references, type_name
from automio.errors import Diagnostic


@dataclass(frozen=True, slots=True)
class Finding:
    """A group of changes, the functions that it breaks, and those that break only with certain values."""

    group: Group
    breaks: tuple[Function, ...] = ()
    may_break: tuple[tuple[Function, str], ...] = ()
    """With the place in a value: `where.messages.status`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A function that is gone or no longer compiles, and no change explains it."""

    function: Function
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the change of the schema means for a project. `broken_before`: operations that the old schema refuses."""

    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]
    broken_before: tuple[Diagnostic, ...]

    @property
    def broken(self) -> list[Function]:
        """The functions that break, each once, by name."""
        found = {one.name: one for finding in self.findings for one in finding.breaks}
        found |= {failure.function.name: failure.function for failure in self.failures}
        return [found[name] for name in sorted(found)]


@dataclass(slots=True)
class _Uses:
    """What one function uses of the old schema."""

    members: set[Coordinate] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    """Types whose values are written or read, and directives."""
    literals: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    """Input objects that the document writes, with their keys."""
    variables: dict[str, str] = field(default_factory=dict)
    """The caller's variables and their named types."""


def compare(old: Sdl, new: Sdl, files: Iterable[SourceFile], config: CodegenConfig) -> Report:
    """The changes from old to new and what they do to the functions of these operations.

    Only packages that reach a changed definition are compiled. Raises CodegenError when a schema cannot be read.
    """
    diff = compare_schemas(old, new)
    if not diff.types and not diff.roots:
        return Report((), (), ())
    files = tuple(files)
    reach = _Reach(diff, (old, new))
    before = compile_functions(old, files, config, wanted=reach.touches)
    after = compile_functions(new, files, config, wanted=reach.touches)
    findings = _cross(diff, before)
    explained = {function.name for finding in findings for function in finding.breaks}
    failures = [failure for failure in _failures(before, after) if failure.function.name not in explained]
    stale = [*before.errors, *(d for package in before.packages for _, found in package.failed for d in found)]
    return Report(tuple(findings), tuple(failures), tuple(dict.fromkeys(stale)))


class _Reach:
    """Says whether a package reaches anything that changed, by the texts of definitions alone."""

    def __init__(self, diff: SchemaDiff, schemas: tuple[Sdl, Sdl]) -> None:
        self.diff = diff
        self.schemas = schemas

    def touches(self, roots: Mapping[OperationKind, set[str]], types: list[str]) -> bool:
        """`roots`: root fields that operations name. `types`: row types with derived functions, of any root field."""
        return any(self._touches(sdl, roots, set(types)) for sdl in self.schemas)

    def _touches(self, sdl: Sdl, roots: Mapping[OperationKind, set[str]], types: set[str]) -> bool:
        todo, prefixes = list(types), tuple(types)
        for kind, fields in sdl.root_fields.items():
            for name, root in fields.items():
                if name in roots.get(kind, ()) or root.named_type.startswith(prefixes):
                    if (kind, name) in self.diff.roots:
                        return True
                    todo += [root.named_type, *references(root.span.body)]
        for kind, names in roots.items():
            if any((kind, name) in self.diff.roots for name in names):
                return True
        seen: set[str] = set()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.diff.types:
                return True
            for span in sdl.definitions.get(name, ()):
                todo += references(span.body)
        return False


def _failures(before: Compiled, after: Compiled) -> Iterator[Failure]:
    now = after.functions
    failed = {
        located.place: tuple(found.message for found in faults)
        for package in after.packages
        for located, faults in package.failed
    }
    moved = {one.located.place: one.name for one in now.values() if one.located}
    for name, function in before.functions.items():
        if name in now:
            continue
        place = function.located.place if function.located else ""
        if place in failed:
            yield Failure(function, failed[place])
        elif place in moved:
            yield Failure(function, (f"it is called {moved[place]} now",))
        elif place:
            yield Failure(function, ("its table belongs to no generated app any more",))
        else:
            yield Failure(function, ("it is no longer derived: the table, its key or the right to do it is gone",))


def _cross(diff: SchemaDiff, before: Compiled) -> list[Finding]:
    breaking = [change for change in diff.changes if change.level is Level.BREAKING]
    breaks: dict[Change, list[Function]] = {}
    may_break: dict[Change, list[tuple[Function, str]]] = {}
    for package in before.packages if breaking else ():
        inputs = _Values(package, breaking)
        for function in package.functions.values():
            uses = _uses_of(function, package.schema)
            for change in breaking:
                if _meets(change, uses, package.schema):
                    breaks.setdefault(change, []).append(function)
            for change, place, direct in inputs.met_by(uses.variables):
                if direct:
                    breaks.setdefault(change, []).append(function)
                else:
                    may_break.setdefault(change, []).append((function, place))
    findings: list[Finding] = []
    for group in diff.groups:
        broken = {one.name: one for change in group.changes for one in breaks.get(change, ())}
        maybe = {
            one.name: (one, place)
            for change in group.changes
            for one, place in may_break.get(change, ())
            if one.name not in broken
        }
        findings.append(
            Finding(group, tuple(broken[name] for name in sorted(broken)), tuple(maybe[name] for name in sorted(maybe)))
        )
    return findings


def _meets(change: Change, uses: _Uses, schema: GraphQLSchema) -> bool:
    """True when the documents themselves use what changed."""
    at = change.at
    match change.kind:
        case "REQUIRED_ARG_ADDED":
            return Coordinate(at.type, at.member) in uses.members
        case "REQUIRED_INPUT_FIELD_ADDED":
            return any(type_ == at.type and at.member not in keys for type_, keys in uses.literals)
        case _ if at.member:
            return at in uses.members
        case _:
            return at.type in uses.types


class _Values:
    """Which breaking changes the values of variables can meet, in one package."""

    def __init__(self, package: Package, breaking: Iterable[Change]) -> None:
        self.package = package
        self.changes: dict[str, list[Change]] = {}
        for change in breaking:
            type_ = package.schema.get_type(change.at.type)
            if isinstance(type_, GraphQLInputObjectType | GraphQLEnumType):
                self.changes.setdefault(change.at.type, []).append(change)
        self.known: dict[str, list[tuple[Change, str, bool]]] = {}

    def met_by(self, variables: Mapping[str, str]) -> Iterator[tuple[Change, str, bool]]:
        """(change, `where.messages.status`, direct) for everything that a value of these variables can name."""
        if self.changes:
            for name, type_ in variables.items():
                for change, path, direct in self._below(type_):
                    yield change, f"{name}{path}", direct

    def _below(self, start: str) -> list[tuple[Change, str, bool]]:
        if start in self.known:
            return self.known[start]
        found: list[tuple[Change, str, bool]] = []
        inputs = self.package.index.inputs
        own = inputs[start].table if start in inputs else ""
        todo: list[tuple[str, str, bool]] = [(start, "", True)]
        seen: set[str] = set()
        while todo:
            name, path, direct = todo.pop(0)
            if name in seen:
                continue
            seen.add(name)
            for change in self.changes.get(name, ()):
                found.append((change, f"{path}.{change.at.member}" if change.at.member else path, direct))
            type_ = self.package.schema.get_type(name)
            if isinstance(type_, GraphQLInputObjectType):
                for key, inner in type_.fields.items():
                    below = get_named_type(inner.type).name
                    table = inputs[below].table if below in inputs else own
                    todo.append((below, f"{path}.{key}", direct and table in (own, "")))
        self.known[start] = found
        return found


# What a function uses.


def _uses_of(function: Function, schema: GraphQLSchema) -> _Uses:
    uses = _Uses()
    operation = function.operation
    for name, definition in operation.variables.items():
        uses.variables[name] = type_name(definition.type)
        uses.types.add(uses.variables[name])
    for document in (operation.document, operation.scoped.document):
        _Reader(document, schema, uses).read()
    return uses


class _Reader:
    """One document read with the types of a schema."""

    def __init__(self, document: DocumentNode, schema: GraphQLSchema, uses: _Uses) -> None:
        self.document = document
        self.schema = schema
        self.uses = uses
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.read_fragments: set[str] = set()

    def read(self) -> None:
        for operation in self.document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                root = self.schema.get_root_type(operation.operation)
                self.directives(operation)
                if root:
                    self.selections(root, operation.selection_set, f"{operation.operation.value}_root")

    def directives(self, node: object) -> None:
        self.uses.types |= {directive.name.value for directive in getattr(node, "directives", None) or ()}

    def selections(self, parent: object, node: SelectionSetNode, shown: str = "") -> None:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return
        name = shown or parent.name
        self.uses.types.add(name)
        for selection in node.selections:
            self.directives(selection)
            if isinstance(selection, FieldNode):
                self.field(parent, selection, name)
                continue
            if isinstance(selection, FragmentSpreadNode):
                fragment = self.fragments.get(selection.name.value)
                if fragment is None or selection.name.value in self.read_fragments:
                    continue
                self.read_fragments.add(selection.name.value)
            else:
                fragment = selection
            condition = getattr(fragment, "type_condition", None)
            inner = self.schema.get_type(condition.name.value) if condition else parent
            self.selections(inner, fragment.selection_set, shown if inner is parent else "")  # pyright: ignore[reportAttributeAccessIssue]

    def field(self, parent: GraphQLObjectType | GraphQLInterfaceType, node: FieldNode, shown: str) -> None:
        known = parent.fields.get(node.name.value)
        if known is None:
            return
        self.uses.members.add(Coordinate(shown, node.name.value))
        for argument in node.arguments or ():
            given = known.args.get(argument.name.value)
            if given:
                self.uses.members.add(Coordinate(shown, node.name.value, argument.name.value))
                self.value(get_named_type(given.type), argument.value)
        inner = get_named_type(known.type)
        # A removed or changed type is met by who reads it; a value that an enum lost is not.
        self.uses.types.add(inner.name)
        if node.selection_set:
            self.selections(inner, node.selection_set)

    def value(self, type_: object, node: ValueNode) -> None:
        if isinstance(node, ListValueNode):
            for value in node.values:
                self.value(type_, value)
        elif isinstance(node, EnumValueNode) and isinstance(type_, GraphQLEnumType):
            self.uses.types.add(type_.name)
            self.uses.members.add(Coordinate(type_.name, node.value))
        elif isinstance(node, ObjectValueNode) and isinstance(type_, GraphQLInputObjectType):
            self.uses.types.add(type_.name)
            self.uses.literals.add((type_.name, frozenset(part.name.value for part in node.fields)))
            for part in node.fields:
                self.uses.members.add(Coordinate(type_.name, part.name.value))
                known = type_.fields.get(part.name.value)
                if known:
                    self.value(get_named_type(known.type), part.value)
