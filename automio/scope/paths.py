"""An error of the server about a scoped document -> the same error about the caller's own. Called by runtime/decode.py.

The server speaks of the document that it got: `$.selectionSet.app_130_orders.args.where._and[1].id` stands for what the
caller wrote as `app_130_orders_by_pk(id: …)`. Nothing is stored for this: the sent text, the plan, the rules and the
index tell what the walk did, since it does the same at every place of a kind. They are read when an error has come.

A path is followed in the sent text, as far as that names fields, and by types below arguments, whose values may stand in
variables. Hasura names fields, not aliases, in its paths, so one path may mean several fields of the text; where these
differ in the caller's document the path ends at what they have in common. A part that the walk added (the organization's
condition, a helper alias, `limit`) has no place of its own: the path ends at what it was added to.

Also changed: `path` (response keys) by the plan; a variable that was sent under another name gets its own name back, where
a message calls it a variable; `locations` go, as they count lines of the sent text. The app's id of another installation
in a path becomes the one in the caller's document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    parse,
)

from automio.dialect.index import OperationKind, Root, RootKind, SchemaIndex
from automio.dialect.names import word
from automio.scope.nodes import response_key
from automio.scope.reshape import Action, ReshapePlan
from automio.scope.rules import Rule

Part = str | int
Parts = tuple[Part, ...]

_PART: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[[\"']([^\"'\]]*)[\"']\]")
_VARIABLE: Final = re.compile(r"(\bvariable:?\s+[\"'$]*)(\w+)", re.IGNORECASE)
_VARIABLES: Final = re.compile(r"(\bvariableValues:\s+)(.+)")
_ROWS: Final = (RootKind.LIST, RootKind.STREAM, RootKind.BY_PK, RootKind.INSERT_ONE)
_BY_KEY: Final = {
    RootKind.LIST: RootKind.BY_PK,
    RootKind.UPDATE: RootKind.UPDATE_BY_PK,
    RootKind.DELETE: RootKind.DELETE_BY_PK,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of a scoped operation when its errors come. `renamed`: as in BoundOperation."""

    text: str
    kind: OperationKind
    index: SchemaIndex
    plan: ReshapePlan = ()
    rules: tuple[Rule, ...] = ()
    renamed: tuple[str, str] | None = None


def callers_errors(errors: Iterable[Mapping[str, Any]], sent: Sent) -> list[dict[str, Any]]:
    """The errors as the caller's own document would have had them. Messages keep their words but for names of variables."""
    reading = _Reading(sent)
    own = {rule.target: rule.variable for rule in sent.rules if rule.variable and rule.target}
    found: list[dict[str, Any]] = []
    for error in errors:
        changed = {key: value for key, value in error.items() if key != "locations"}
        if isinstance(message := changed.get("message"), str):
            changed["message"] = _callers_message(message, own)
        if isinstance(path := changed.get("path"), list):
            changed["path"] = _response_path(path, sent.plan)
        extensions = changed.get("extensions")
        if isinstance(extensions, Mapping) and isinstance(place := extensions.get("path"), str):
            changed["extensions"] = {**extensions, "path": reading.path(place)}
        found.append(changed)
    return found


def _callers_message(message: str, own: Mapping[str, str]) -> str:
    def named(match: re.Match[str]) -> str:
        return match[1] + own.get(match[2], match[2])

    def listed(match: re.Match[str]) -> str:
        return match[1] + ", ".join(dict.fromkeys(own.get(name, name) for name in match[2].split(", ")))

    return _VARIABLES.sub(listed, _VARIABLE.sub(named, message))


def _response_path(path: Sequence[Any], plan: ReshapePlan) -> list[Any]:
    """GraphQL's own path: response keys and places in lists."""
    actions = {step.path: step.action for step in plan if step.action in (Action.FIRST, Action.RETURNING_FIRST)}
    helpers = {(*step.path, step.helper) for step in plan if step.helper}
    out: list[Any] = []
    keys: tuple[str, ...] = ()
    rest = list(path)
    while rest:
        part = rest.pop(0)
        if isinstance(part, str):
            keys = (*keys, part)
            if keys in helpers:
                break
            action = actions.get(keys)
            if action is Action.RETURNING_FIRST and rest[:1] == ["returning"]:
                del rest[0]
            if action is not None and rest and type(rest[0]) is int:
                del rest[0]
        out.append(part)
    return out


class _Reading:
    """The sent text, read at the first path that needs it."""

    def __init__(self, sent: Sent) -> None:
        self.index = sent.index
        self.kind: OperationKind = sent.kind
        self.text = sent.text
        self.renamed = sent.renamed
        self.actions = {s.path: s.action for s in sent.plan if s.action in (Action.FIRST, Action.RETURNING_FIRST)}
        self.helpers = {(*step.path, step.helper) for step in sent.plan if step.helper}
        self.fragments: dict[str, FragmentDefinitionNode] = {}
        self.operation: OperationDefinitionNode | None = None

    def path(self, text: str) -> str:
        """`$.selectionSet…` in the caller's document; `$` for a text that is no path."""
        parts = _parts(text)
        if parts is None:
            return "$"
        if parts[:1] == ("selectionSet",) and len(parts) > 1:
            if self.operation is None:
                self.read()
            assert self.operation is not None
            below = self.roots(self.operation.selection_set, parts[1:])
            parts = ("selectionSet", *below) if below else ()
        return _text(parts, self.renamed)

    def read(self) -> None:
        for definition in parse(self.text, no_location=True).definitions:
            if isinstance(definition, OperationDefinitionNode):
                self.operation = definition
            elif isinstance(definition, FragmentDefinitionNode):
                self.fragments[definition.name.value] = definition

    # Fields. A method gives the caller's parts from its place on; none where the caller has nothing of the kind.

    def roots(self, selection_set: SelectionSetNode, parts: Parts) -> Parts:
        roots = self.index.roots.get(self.kind, {})

        def one(node: FieldNode) -> Parts:
            root = roots.get(node.name.value)
            if root is None:
                return parts
            keys = (response_key(node),)
            action = self.actions.get(keys)
            by_key = self.by_key(root) if action is not None else None
            table, rows = self.position(root)
            name = by_key.name if by_key else root.name
            if parts[1:2] == ("args",):
                below = self.by_key_argument(by_key, parts[2:]) if by_key else self.argument(table, parts[2:])
                return (name, "args", *below) if below else (name,)
            if action is Action.RETURNING_FIRST:
                inner = next(iter(self.fields(node.selection_set, ("returning",))), None)
                if inner is None or parts[1:3] != ("selectionSet", "returning"):
                    return (name,)
                return (name, *self.below(inner, table, keys, parts[3:], rows=True))
            return (name, *self.below(node, table, keys, parts[1:], rows=rows))

        return self.agreed(one(node) for node in self.fields(selection_set, parts))

    def by_key(self, root: Root) -> Root | None:
        """The root field by key that the walk turned into this one."""
        wanted = _BY_KEY.get(root.kind)
        roots = self.index.roots.get(self.kind, {}).values()
        return next((other for other in roots if other.kind is wanted and other.table == root.table), None)

    def position(self, root: Root) -> tuple[str, bool]:
        """The row type behind a root field, and whether its selection is of rows."""
        if root.kind is not RootKind.OTHER:
            return root.table, root.kind in _ROWS or root.kind is RootKind.UPDATE_BY_PK
        type_ = root.type.strip("[]!")
        return (type_, True) if type_ in self.index.tables else (self.index.aggregate_types.get(type_, ""), False)

    def below(self, node: FieldNode, table: str, keys: tuple[str, ...], parts: Parts, *, rows: bool) -> Parts:
        """What follows a field of the caller's: its arguments are done, so its selection or nothing."""
        if parts[:1] != ("selectionSet",) or len(parts) < 2 or node.selection_set is None or not table:
            return parts
        below = self.selection(node.selection_set, table, keys, parts[1:], rows=rows)
        return ("selectionSet", *below) if below else ()

    def selection(
        self, selection_set: SelectionSetNode, table: str, keys: tuple[str, ...], parts: Parts, *, rows: bool
    ) -> Parts:
        facts = self.index.tables[table]

        def one(node: FieldNode) -> Parts:
            name = node.name.value
            here = (*keys, response_key(node))
            if here in self.helpers:
                return ()
            relationship = facts.relationships.get(name) if rows else None
            if relationship is not None:
                target, inside = relationship.table, True
            elif rows:
                target, inside = facts.aggregates.get(name, ""), False
            else:
                target, inside = (table, True) if name in ("nodes", "returning") else ("", False)
            if parts[1:2] == ("args",) and target:
                below = self.argument(target, parts[2:])
                return (name, "args", *below) if below else (name,)
            return (name, *self.below(node, target, here, parts[1:], rows=inside))

        return self.agreed(one(node) for node in self.fields(selection_set, parts))

    def fields(self, selection_set: SelectionSetNode | None, parts: Parts) -> list[FieldNode]:
        """The fields of a selection that a path may mean: by their name, else by their key; of several those that have
        the most of what follows. Fragments stand in place."""
        found: list[FieldNode] = []
        seen: set[str] = set()

        def collect(selections: SelectionSetNode) -> None:
            for node in selections.selections:
                if isinstance(node, FieldNode):
                    found.append(node)
                elif isinstance(node, InlineFragmentNode):
                    collect(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                    seen.add(node.name.value)
                    collect(self.fragments[node.name.value].selection_set)

        if selection_set is not None:
            collect(selection_set)
        named = [node for node in found if node.name.value == parts[0]]
        named = named or [node for node in found if response_key(node) == parts[0]]
        if len(named) < 2:
            return named
        known = [self.known(node, parts[1:]) for node in named]
        return [node for node, depth in zip(named, known, strict=True) if depth == max(known)]

    def known(self, node: FieldNode, parts: Parts) -> int:
        """How many parts of a path stand in the text below this field."""
        if parts[:1] == ("args",):
            given = {argument.name.value: argument.value for argument in node.arguments or ()}
            return 1 + (1 + _known(given[str(parts[1])], parts[2:]) if len(parts) > 1 and parts[1] in given else 0)
        if parts[:1] == ("selectionSet",) and node.selection_set is not None:
            below = self.fields(node.selection_set, parts[1:]) if len(parts) > 1 else []
            return 1 + max((1 + self.known(inner, parts[2:]) for inner in below), default=0)
        return 0

    def agreed(self, ways: Iterable[Parts]) -> Parts:
        """What all ways have in common. A helper beside a field that the caller wrote does not count."""
        known = list(dict.fromkeys(way for way in ways if way))
        if not known:
            return ()
        common: list[Part] = []
        for parts in zip(*known, strict=False):
            if len(set(parts)) > 1:
                break
            common.append(parts[0])
        while common and common[-1] in ("selectionSet", "args"):
            common.pop()
        return tuple(common)

    # Arguments.

    def by_key_argument(self, root: Root, parts: Parts) -> Parts:
        """Of a root field by key, which was sent as one by filter: the key stands in `where`."""
        if parts[:1] == ("where",):
            if parts[1:3] != ("_and", 1) or len(parts) < 4:
                return ()
            key = (parts[3], *parts[5:])  # between them stands `_eq`
            return (root.argument("pk_columns"), *key) if root.kind is RootKind.UPDATE_BY_PK else key
        return parts if not parts or str(parts[0]) in root.arguments else ()

    def argument(self, table: str, parts: Parts) -> Parts:
        """Of a field that has rows of T."""
        match parts:
            case ("where", *rest) if table:
                below = self.scope(table, tuple(rest))
                return ("where", *below) if below is not None else ()
            case (("objects" | "object") as name, *rest):
                return (name, *self.insert(table, tuple(rest)))
            case ("updates", *rest):
                return ("updates", *self.update(table, tuple(rest)))
            case (str() as name, *rest) if word(name) == "on_conflict":
                return (name, *self.on_conflict(table, tuple(rest)))
            case _:
                return parts

    def scope(self, table: str, parts: Parts) -> Parts | None:
        """A filter that was wrapped, if T is a tenant's. None for the organization's condition."""
        if not self.index.is_tenant(table):
            return self.bool_exp(table, parts)
        if len(parts) < 2:
            return ()
        return self.bool_exp(table, parts[2:]) if parts[:2] == ("_and", 1) else None

    def bool_exp(self, table: str, parts: Parts) -> Parts:
        if not parts:
            return ()
        facts, key, rest = self.index.tables[table], parts[0], parts[1:]
        if isinstance(key, int) or key in ("_and", "_or", "_not"):
            return (key, *self.bool_exp(table, rest))
        if key in facts.relationships:
            return (key, *(self.scope(facts.relationships[key].table, rest) or ()))
        if key in facts.aggregates and rest[1:2] == ("filter",):
            below = self.scope(facts.aggregates[key], rest[2:])
            return (key, rest[0], "filter", *below) if below is not None else (key, rest[0])
        return parts

    def insert(self, table: str, parts: Parts) -> Parts:
        """Rows of T. The organization was filled in, so it has no place."""
        if not parts:
            return ()
        facts, key, rest = self.index.tables[table], parts[0], parts[1:]
        if isinstance(key, int):
            return (key, *self.insert(table, rest))
        if key == self.index.tenant_column and self.index.is_tenant(table):
            return ()
        if key not in facts.relationships or not rest:
            return parts
        target = facts.relationships[key].table
        if rest[0] == "data":
            return (key, "data", *self.insert(target, rest[1:]))
        return (key, rest[0], *self.on_conflict(target, rest[1:])) if word(str(rest[0])) == "on_conflict" else parts

    def on_conflict(self, table: str, parts: Parts) -> Parts:
        if parts[:1] != ("where",):
            return parts
        below = self.scope(table, parts[1:])
        return ("where", *below) if below is not None else ()

    def update(self, table: str, parts: Parts) -> Parts:
        """`updates`: each has a filter."""
        index = parts[:1] if parts and isinstance(parts[0], int) else ()
        return (*index, *self.on_conflict(table, parts[len(index) :]))


def _known(value: ValueNode, parts: Parts) -> int:
    """The same for a value; the inside of a variable may hold all that is asked for."""
    if not parts or isinstance(value, VariableNode):
        return len(parts)
    part, rest = parts[0], parts[1:]
    if isinstance(value, ListValueNode) and isinstance(part, int):
        return 1 + _known(value.values[part], rest) if part < len(value.values) else 0
    if isinstance(value, ObjectValueNode) and isinstance(part, int):
        return 1 + _known(value, rest)  # one object for a list
    if isinstance(value, ObjectValueNode):
        inner = next((entry.value for entry in value.fields if entry.name.value == part), None)
        return 1 + _known(inner, rest) if inner is not None else 0
    return 0


def _parts(path: str) -> Parts | None:
    """`$.a.b[0]["c"]` -> ("a", "b", 0, "c"); None for another text."""
    if not path.startswith("$"):
        return None
    found: list[Part] = []
    place = 1
    while place < len(path):
        match = _PART.match(path, place)
        if match is None:
            return None
        name, number, quoted = match.groups()
        found.append(int(number) if number is not None else name if name is not None else quoted)
        place = match.end()
    return tuple(found)


def _text(parts: Parts, renamed: tuple[str, str] | None) -> str:
    shown = "$"
    for part in parts:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part.replace(renamed[1], renamed[0]) if renamed else part
            shown += f".{name}" if re.fullmatch(r"[\w$-]+", name) else f'["{name}"]'
    return shown
