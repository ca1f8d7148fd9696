"""Two Sdl -> the changes between them, grouped for people. Next: breaks.py crosses them with our functions.

Definitions are compared as text through the Sdl index, root types a field at a time; what is equal is never parsed.
graphql-core judges the rest (find_breaking_changes, find_dangerous_changes) on two small schemas: the definitions that
differ, and for each unchanged type that they mention a scalar of its name, since its inside cannot matter. To what it
finds we add what it leaves out because it breaks nobody: new types and fields, nullable results that became non-null,
arguments that became nullable, defaults that appeared.

A column lives in a dozen of Hasura's types (row, filter, order, insert, set, min, max, cursor, enums of columns). One
ALTER TABLE would fill a page, so changes of one table that say the same about the same name become one group: the
row type's change speaks for it, the others are counted. A table that comes or goes takes its types and root fields along.
graphql-core calls an input field or an enum value that was added dangerous; where the row type got a field of that name
it is a new column, and safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from graphql import (
    DefinitionNode,
    DocumentNode,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    build_ast_schema,
    is_specified_scalar_type,
    parse,
)
from graphql.utilities import find_breaking_changes, find_dangerous_changes

from automio.dialect.sdl import BUILT_IN, Sdl, merge_extensions, references
from automio.errors import CodegenError, Diagnostic

_KINDS = ("query", "mutation", "subscription")
_AGGREGATE = re.compile(r"\{\s*aggregate\s*:.*\bnodes\s*:", re.DOTALL)
_PLACES = (
    re.compile(r"^(?P<type>\w+)\.(?P<member>\w+)(?: arg (?P<arg>\w+)|\((?P<arg2>\w+):\))?"),
    re.compile(r"^An? \w+ field (?P<member>\w+) on input type (?P<type>\w+)"),
    re.compile(r"^An? \w+ arg (?P<arg>\w+) on (?P<type>\w+)\.(?P<member>\w+)"),
    re.compile(r"^(?P<member>\w+) was (?:removed from|added to) \w+ type (?P<type>\w+)"),
    re.compile(r"(?P<type>\w+)\.(?P<member>\w+)(?:\((?P<arg>\w+):\))?"),
    re.compile(r"^(?P<type>\w+)"),
)


class Level(Enum):
    """How bad a change is for somebody who uses what it touches."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Coordinate:
    """What changed: a type, a member of it (field, enum value), an argument of that; "" where it is the whole."""

    type: str
    member: str = ""
    argument: str = ""

    def __str__(self) -> str:
        member = f".{self.member}" if self.member else ""
        return f"{self.type}{member}{f'({self.argument}:)' if self.argument else ''}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `kind` is graphql-core's word for it (`FIELD_REMOVED`), ours for what it doesn't know."""

    level: Level
    kind: str
    at: Coordinate
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that are one for people: the first speaks, `others` say the same in types that belong to it."""

    first: Change
    others: tuple[Change, ...] = ()

    @property
    def level(self) -> Level:
        return self.first.level

    @property
    def changes(self) -> tuple[Change, ...]:
        return (self.first, *self.others)

    def __str__(self) -> str:
        if not self.others:
            return self.first.text
        count = len({change.at.type for change in self.others})
        if self.first.kind in ("TYPE_ADDED", "TYPE_REMOVED"):
            return f"{self.first.text} (with its types and root fields)"
        return f"{self.first.text} (and in {count} more type{'' if count == 1 else 's'} of the table)"


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """The changes, and the names of types and root fields whose definitions differ."""

    groups: tuple[Group, ...]
    types: frozenset[str]
    roots: frozenset[tuple[str, str]]

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for group in self.groups for change in group.changes)


def compare_schemas(old: Sdl, new: Sdl) -> SchemaDiff:
    """What differs. Raises CodegenError when a definition that differs cannot be parsed."""
    root_types = set(old.root_types.values()) | set(new.root_types.values())
    types = {
        name for name in {*old.definitions, *new.definitions} - root_types if _texts(old, name) != _texts(new, name)
    }
    roots = {
        (kind, name)
        for kind in _KINDS
        for name in {*old.root_fields.get(kind, {}), *new.root_fields.get(kind, {})}
        if _root_text(old, kind, name) != _root_text(new, kind, name)
    }
    if not types and not roots:
        return SchemaDiff((), frozenset(), frozenset())
    mentioned = {name for sdl in (old, new) for name in _mentioned(sdl, types, roots)}
    slices = [_slice(sdl, types, roots, mentioned) for sdl in (old, new)]
    changes = [*_judged(*slices), *_unjudged(*slices)]
    rows = {
        field.named_type
        for sdl in (old, new)
        for field in sdl.root_fields.get("query", {}).values()
        if not any(_AGGREGATE.search(text) for text in _texts(sdl, field.named_type))
    }
    returned = {
        (f"{kind}_root", name): field.named_type
        for sdl in (new, old)
        for kind, fields in sdl.root_fields.items()
        for name, field in fields.items()
    }
    return SchemaDiff(tuple(_grouped(changes, returned, rows)), frozenset(types), frozenset(roots))


# The two slices.


def _texts(sdl: Sdl, name: str) -> list[str]:
    return sorted(span.body for span in sdl.definitions.get(name, ()))


def _root_text(sdl: Sdl, kind: str, name: str) -> str:
    field = sdl.root_fields.get(kind, {}).get(name)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return field.span.body if field else ""


def _mentioned(sdl: Sdl, types: Iterable[str], roots: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name in types:
        for text in _texts(sdl, name):
            yield from references(text)
    for kind, name in roots:
        yield from references(_root_text(sdl, kind, name))


def _slice(sdl: Sdl, types: set[str], roots: set[tuple[str, str]], mentioned: set[str]) -> GraphQLSchema:
    """The definitions that differ; what they mention beside them stands as a scalar, in both slices alike."""
    definitions: list[DefinitionNode] = [node for name in sorted(types) for node in sdl.nodes(name)]
    supers = {name for node in definitions for name in _supertypes(node)} - types
    definitions += [node for name in sorted(supers) for node in sdl.nodes(name)]
    known = {*types, *supers, *BUILT_IN}
    stubs = sorted(mentioned - known | {name for node in definitions for name in _mentions(node)} - known)
    # A scalar in place of what a default value or a directive mentions does no harm: nothing asks for it.
    text = "\n".join(f"scalar {name}" for name in stubs if not name.startswith("__"))
    parts = ["schema { query: query_root mutation: mutation_root subscription: subscription_root }"]
    for kind in _KINDS:
        bodies = [_root_text(sdl, kind, name) for _, name in sorted(r for r in roots if r[0] == kind)]
        fields = "\n".join(body for body in bodies if body)
        parts.append(f"type {kind}_root {{ _same: Boolean\n{fields} }}")
    nodes = parse(f"{text}\n" + "\n".join(parts), no_location=True).definitions
    try:
        document = DocumentNode(definitions=(*nodes, *merge_extensions(definitions)))
        return build_ast_schema(document, assume_valid=True)
    except (TypeError, ValueError) as error:
        raise CodegenError([Diagnostic("schema", 1, 1, f"the schema cannot be built: {error}")]) from error


def _supertypes(node: DefinitionNode) -> Iterator[str]:
    for part in (*(getattr(node, "interfaces", None) or ()), *(getattr(node, "types", None) or ())):
        yield part.name.value


def _mentions(node: DefinitionNode) -> Iterator[str]:
    for field in getattr(node, "fields", None) or ():
        for part in (field, *(getattr(field, "arguments", None) or ())):
            inner = part.type
            while hasattr(inner, "type"):
                inner = inner.type
            yield inner.name.value


# The changes.


def _judged(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for level, found in (
        (Level.BREAKING, find_breaking_changes(old, new)),
        (Level.DANGEROUS, find_dangerous_changes(old, new)),
    ):
        for change in found:
            if change.description.startswith("Standard scalar"):
                continue  # of the slice alone: the schema refers to Int elsewhere
            yield Change(level, change.type.name, _place(change.description), change.description.rstrip("."))


def _place(description: str) -> Coordinate:
    """The coordinate that a description of graphql-core is about: it names it in words only."""
    for pattern in _PLACES:
        found = pattern.search(description)
        if found:
            parts = found.groupdict()
            return Coordinate(parts["type"], parts.get("member") or "", parts.get("arg") or parts.get("arg2") or "")
    return Coordinate(description)


def _unjudged(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for name, type_ in new.type_map.items():
        before = old.type_map.get(name)
        if before is None:
            if not is_specified_scalar_type(type_):
                yield Change(Level.SAFE, "TYPE_ADDED", Coordinate(name), f"{name} was added")
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and isinstance(before, type(type_)):
            for key, field in type_.fields.items():
                was = before.fields.get(key)
                if was is None:
                    yield Change(Level.SAFE, "FIELD_ADDED", Coordinate(name, key), f"{name}.{key} was added")
                    continue
                if str(field.type) != str(was.type) and _is_stricter(str(was.type), str(field.type)):
                    text = f"{name}.{key} changed type from {was.type} to {field.type}"
                    yield Change(Level.SAFE, "FIELD_NARROWED", Coordinate(name, key), text)
                for argument, given in field.args.items():
                    known = was.args.get(argument)
                    if known and known.default_value is Undefined and given.default_value is not Undefined:
                        text = f"{name}.{key} arg {argument} has a default now, for who leaves it out"
                        yield Change(Level.DANGEROUS, "ARG_DEFAULT_VALUE_CHANGE", Coordinate(name, key, argument), text)
                    if known and _is_stricter(str(given.type), str(known.type)):
                        text = f"{name}.{key} arg {argument} changed type from {known.type} to {given.type}"
                        yield Change(Level.SAFE, "ARG_WIDENED", Coordinate(name, key, argument), text)
        elif isinstance(type_, GraphQLInputObjectType) and isinstance(before, GraphQLInputObjectType):
            for key, field in type_.fields.items():
                was = before.fields.get(key)
                if was and was.default_value != field.default_value:
                    text = f"{name}.{key} has another default, for who leaves it out"
                    yield Change(Level.DANGEROUS, "FIELD_DEFAULT_VALUE_CHANGE", Coordinate(name, key), text)
                if was and isinstance(was.type, GraphQLNonNull) and _is_stricter(str(field.type), str(was.type)):
                    text = f"{name}.{key} changed type from {was.type} to {field.type}"
                    yield Change(Level.SAFE, "FIELD_WIDENED", Coordinate(name, key), text)


def _is_stricter(loose: str, strict: str) -> bool:
    """The same type, less often null."""
    return (
        loose != strict and loose.replace("!", "") == strict.replace("!", "") and loose.count("!") < strict.count("!")
    )


# Groups.


def _grouped(changes: list[Change], returned: Mapping[tuple[str, str], str], types: set[str]) -> Iterator[Group]:
    """Changes of one table, of one level, that add, remove or change one name; in order of level and place.

    `returned`: (root type, root field) -> the type that it returns; `types`: what query fields return, rows above all.
    """
    columns = {change.at for change in changes if change.kind == "FIELD_ADDED" and change.at.type in types}
    whole = {change.at.type for change in changes if change.kind in ("TYPE_ADDED", "TYPE_REMOVED")} & types
    found: dict[tuple[Level, str, str, str], list[Change]] = {}
    for change in changes:
        root = _table_of(returned.get((change.at.type, change.at.member), ""), types)
        table = root or _table_of(change.at.type, types)
        name = change.at.member or change.at.type
        if (root and root not in whole) or not table:
            table, name = change.at.type, str(change.at)
        elif table in whole:
            name = ""
        if change.level is Level.DANGEROUS and Coordinate(table, change.at.member) in columns:
            change = replace(change, level=Level.SAFE)
        verb = "added" if "ADDED" in change.kind else "removed" if "REMOVED" in change.kind else "changed"
        found.setdefault((change.level, table, name, verb), []).append(change)
    order = {level: number for number, level in enumerate(Level)}
    for _, same in sorted(found.items(), key=lambda item: (order[item[0][0]], *item[0][1:])):
        same.sort(key=lambda change: (change.at.type not in types, len(change.at.type), str(change.at), change.kind))
        yield Group(same[0], tuple(same[1:]))


def _table_of(type_: str, types: set[str]) -> str:
    """The longest row type that the name begins with: `orders_bool_exp` -> `orders`, `OrdersBoolExp` -> `Orders`."""
    if type_ in types:
        return type_
    cuts = [at for at, letter in enumerate(type_) if letter == "_" or letter.isupper()]
    return next((type_[:at] for at in reversed(cuts) if type_[:at] in types), "")
