"""GraphQL text + schema -> Document: one operation, validated, with its fragments and variables. Next: inputs.py, plan.py.

graphql-core parses and validates, with its full rule set except three: values are checked in Hasura's words and with Hasura's
coercions (inputs.py, values.py), and unused fragments and variables are no fault for Hasura. Of several faults the first one
in the document is reported, as Hasura does; `_TEXTS` says in which words, and `_Place` finds Hasura's path of it.

`select` gives the fields of a selection set in order of the answer: fragments in their place, @skip and @include decided,
fields of one response key merged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    Node,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SchemaMetaFieldDef,
    SelectionSetNode,
    SingleFieldSubscriptionsRule,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    ValuesOfCorrectTypeRule,
    get_named_type,
    parse,
    specified_rules,
    validate,
)

from automio.engine.inputs import Reader, Variables
from automio.engine.refusal import Refusal

_LENIENT = (
    ValuesOfCorrectTypeRule,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    SingleFieldSubscriptionsRule,  # plan.py has Hasura's words for it
)
_RULES = [rule for rule in specified_rules if rule not in _LENIENT]
_META: dict[str, GraphQLField] = {
    "__schema": SchemaMetaFieldDef,
    "__type": TypeMetaFieldDef,
    "__typename": TypeNameMetaFieldDef,
}


@dataclass(frozen=True, slots=True)
class Selected:
    """A field of the answer. `nodes` are its occurrences (their sub-selections are merged), `path` is Hasura's.

    `name` is the planner's (schema_inputs.py): a column as PostgreSQL calls it, `affected_rows`; of a root field GraphQL's.
    """

    key: str
    name: str
    definition: GraphQLField
    nodes: tuple[FieldNode, ...]
    path: str

    @property
    def kind(self) -> Any:
        """The named type of the field."""
        return get_named_type(self.definition.type)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One operation, ready to plan. Compared by identity: it is a key of caches."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Variables
    root: GraphQLObjectType = field(repr=False)
    many_roots: bool = False

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.operation

    def roots(self, reader: Reader) -> list[Selected]:
        """The root fields."""
        return self._select(self.root, [self.operation.selection_set], "$", reader)

    def select(self, selected: Selected, reader: Reader) -> list[Selected]:
        """The fields below a field, in order of the answer."""
        sets = [node.selection_set for node in selected.nodes if node.selection_set]
        return self._select(selected.kind, sets, selected.path, reader)

    def _select(
        self, parent: GraphQLObjectType, sets: Iterable[SelectionSetNode], path: str, reader: Reader
    ) -> list[Selected]:
        found: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()

        def collect(selection_set: SelectionSetNode) -> None:
            for node in selection_set.selections:
                if not _is_included(node, reader):
                    continue
                if isinstance(node, FieldNode):
                    key = node.alias.value if node.alias else node.name.value
                    found.setdefault(key, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    collect(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                    seen.add(node.name.value)
                    collect(self.fragments[node.name.value].selection_set)

        for one in sets:
            collect(one)
        selected: list[Selected] = []
        for key, nodes in found.items():
            name = nodes[0].name.value
            definition = _META.get(name) or parent.fields[name]
            means, unserved = definition.extensions.get("means", name), definition.extensions.get("unserved")
            if unserved:
                text = f"{unserved} is not supported by the local engine"
                raise Refusal(text, f"{path}.selectionSet.{name}", "not-supported")
            selected.append(Selected(key, means, definition, tuple(nodes), f"{path}.selectionSet.{name}"))
        return selected


def read_document(schema: GraphQLSchema, text: str, operation_name: str | None) -> Document:
    """The chosen operation of a document. Refuses what does not parse, does not validate or is ambiguous."""
    try:
        parsed = parse(text, no_location=True)
        operation = _choose(parsed, operation_name)
        many_roots = _allow_many_roots(operation)
        fragments = {d.name.value: d for d in parsed.definitions if isinstance(d, FragmentDefinitionNode)}
        root = schema.get_root_type(operation.operation)
        if root is None:
            raise Refusal(f"no {operation.operation.value}s exist")
        errors = validate(schema, parsed, _RULES, max_errors=1)
    except (GraphQLError, RecursionError):
        raise Refusal("not a valid graphql query", "$.query") from None
    if errors:
        raise _unserved(errors[0], schema, operation, fragments) or _translate(errors[0], operation, fragments)
    variables = Variables(schema, operation.variable_definitions or ())
    return Document(schema, operation, fragments, variables, root, many_roots)


def _choose(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if name is None:
        if len(operations) == 1:
            return operations[0]
        text = "exactly one operation has to be present in the document when operationName is not specified"
        raise Refusal(text, code="unexpected-payload")
    for one in operations:
        if one.name and one.name.value == name:
            return one
    raise Refusal(f"no such operation found in the document: '{name}'", code="unexpected-payload")


def _allow_many_roots(operation: OperationDefinitionNode) -> bool:
    """Whether a subscription carries Hasura's directive for several root fields; takes it away, since no schema tells of it."""
    if operation.operation is not OperationType.SUBSCRIPTION:
        return False
    rest = tuple(one for one in operation.directives or () if one.name.value != "_multiple_top_level_fields")
    found = len(rest) < len(operation.directives or ())
    operation.directives = rest
    return found


def _is_included(node: Any, reader: Reader) -> bool:
    for directive in node.directives or ():
        name = directive.name.value
        if name in ("skip", "include") and reader.boolean(directive.arguments[0].value) is (name == "skip"):
            return False
    return True


# ── faults in Hasura's words ────────────────────────────────────────────────────────────────────────────────────────────

_TEXTS: list[tuple[str, str, Callable[[str, re.Match[str]], str]]] = [
    (r"Cannot query field '(\w+)' on type '(\w+)'", r"field '\1' not found in type: '\2'", lambda p, m: p),
    (
        r"Unknown argument '(\w+)' on field '\w+\.(\w+)'",
        r"'\2' has no argument named '\1'",
        lambda p, m: p.partition(".args")[0],
    ),
    (
        r"(?:Field '\w+' argument '|Argument '[\w.]+\()(\w+).* is required",
        r"missing required field '\1'",
        lambda p, m: f"{p}.args.{m[1]}",
    ),
    (r"Field '(\w+)' of type .* must have a selection", r"missing selection set for '\1'", lambda p, m: p),
    (r"Field '(\w+)' must not have a selection", r"unexpected subselection set for non-object field", lambda p, m: p),
    (
        r"Variable '\$(\w+)' of type '(.+)' used in position expecting type '(.+)'",
        r"variable '\1' is declared as '\2', but used where '\3' is expected",
        lambda p, m: p,
    ),
    (r"Variable '\$(\w+)' is not defined", r'unbound variable "\1"', lambda p, m: p),
    (r"Unknown directive '@(\w+)'", r'directive "\1" is not defined in the schema', lambda p, m: p),
    (
        r"The directive '@(\w+)' can only be used once",
        r"the following directives are used more than once: \1",
        lambda p, m: p,
    ),
    (r"Unknown fragment '(\w+)'", r'reference to undefined fragment "\1"', lambda p, m: p),
    (r"Unknown type '(\w+)'", r"no such type exists in the schema: '\1'", lambda p, m: "$"),
]
_MISPLACED = re.compile(r"Directive '@(\w+)' may not be used on (\w+)")
_CYCLE = re.compile(r"Cannot spread fragment '(\w+)' within itself(?: via (.*))?")


def _unserved(
    error: GraphQLError,
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> Refusal | None:
    """The refusal of a field that Hasura would have and we have not (a computed field, a function)."""
    found = re.match(r"Cannot query field '(\w+)' on type '(\w+)'", error.message)
    kind = schema.type_map.get(found[2]) if found else None
    thing = kind.extensions.get("unserved", {}).get(found[1]) if found and kind else None
    if thing is None or not error.nodes:
        return None
    path = _Place(error.nodes[0], fragments).find(operation) or "$"
    return Refusal(f"{thing} is not supported by the local engine", path, "not-supported")


def _translate(
    error: GraphQLError, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Refusal:
    nodes = error.nodes or []
    place = _Place(nodes[-1] if "used in position" in error.message else nodes[0], fragments) if nodes else None
    found = _CYCLE.match(error.message)
    if found:
        names = [found[1], *re.findall(r"'(\w+)'", found[2] or "")]
        text = (
            f"the fragment definition(s) {', '.join(names[:-1]) + ' and ' if names[1:] else ''}{names[-1]} form a cycle"
        )
        return Refusal(text, _cycle_path(operation, fragments))
    path = (place.find(operation) if place else None) or "$"
    found = _MISPLACED.match(error.message)
    if found:
        return Refusal(f'directive "{found[1]}" is not allowed on a {found[2].lower().replace("_", " ")}', path)
    for pattern, text, where in _TEXTS:
        found = re.match(pattern, error.message)
        if found:
            return Refusal(found.expand(text), where(path, found))
    return Refusal(error.message, path)


class _Place:
    """Finds a node below an operation and gives Hasura's path of it; a directive's is that of the selection set around it."""

    def __init__(self, node: Node, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._node = node
        self._fragments = fragments
        self._seen: set[str] = set()

    def find(self, operation: OperationDefinitionNode) -> str | None:
        if operation is self._node or any(one is self._node for one in operation.directives or ()):
            return "$"
        return self._selections(operation.selection_set, "$")

    def _selections(self, selection_set: SelectionSetNode | None, path: str) -> str | None:
        if selection_set is None:
            return None
        if selection_set is self._node:
            return path
        inner = f"{path}.selectionSet"
        for node in selection_set.selections:
            if node is self._node and isinstance(node, FieldNode):
                return f"{inner}.{node.name.value}"
            named = node.name if isinstance(node, FragmentSpreadNode) else None
            if any(one is self._node for one in (node, named, *(node.directives or ()))):
                return inner
            for directive in node.directives or ():
                for argument in directive.arguments or ():
                    if argument is self._node or argument.value is self._node:
                        return inner
            if isinstance(node, FieldNode):
                here = f"{inner}.{node.name.value}"
                found = self._arguments(node, here) or self._selections(node.selection_set, here)
            elif isinstance(node, InlineFragmentNode):
                found = self._selections(node.selection_set, path)
            else:
                found = self._fragment(node, path)
            if found:
                return found
        return None

    def _fragment(self, node: Any, path: str) -> str | None:
        name = node.name.value
        if name in self._seen or name not in self._fragments:
            return None
        self._seen.add(name)
        definition = self._fragments[name]
        return path if definition is self._node else self._selections(definition.selection_set, path)

    def _arguments(self, node: FieldNode, path: str) -> str | None:
        for argument in node.arguments or ():
            place = f"{path}.args.{argument.name.value}"
            if argument is self._node:
                return place
            found = self._value(argument.value, place)
            if found:
                return found
        return None

    def _value(self, node: Node, path: str) -> str | None:
        if node is self._node:
            return path
        if isinstance(node, ListValueNode):
            inner = [(one, f"{path}[{i}]") for i, one in enumerate(node.values)]
        elif isinstance(node, ObjectValueNode):
            inner = [(one.value, f"{path}.{one.name.value}") for one in node.fields]
        else:
            return None
        return next((found for one, place in inner if (found := self._value(one, place))), None)


def _cycle_path(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> str:
    """Where following the fragments comes back to one of them; their names are part of the path, as in Hasura."""

    def follow(selection_set: SelectionSetNode | None, path: str, open_: tuple[str, ...]) -> str | None:
        inner = f"{path}.selectionSet"
        for node in selection_set.selections if selection_set else ():
            if isinstance(node, FieldNode):
                found = follow(node.selection_set, f"{inner}.{node.name.value}", open_)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in open_:
                    return inner
                definition = fragments.get(name)
                found = follow(definition.selection_set, f"{inner}.{name}", (*open_, name)) if definition else None
            elif isinstance(node, InlineFragmentNode):
                found = follow(node.selection_set, path, open_)
            else:
                continue
            if found:
                return found
        return None

    return follow(operation.selection_set, "$", ()) or "$"
