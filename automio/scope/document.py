"""DocumentNode -> the chosen operation and the fragments it reaches, free of the faults that need no schema. Next: walk.py.

What is not sent cannot run, so everything else of the document is left out before anything is looked at. Names must be
unique in the whole document, though: otherwise "the chosen one" would be a guess.

The checks are GraphQL's own validation rules in one pass of ours, in graphql-core's words: running its rules costs more
than the whole rewriting, and `generate` scopes thousands of documents that it has validated already. The one rule with
real content, that fields which share a response key must be the same field, is left to graphql-core; it is asked only
when some response key of the document stands for two fields or two sets of arguments, without which it cannot fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    build_schema,
    get_location,
    print_ast,
    validate,
)

from automio.errors import ScopeError
from automio.scope import nodes, refusals


@dataclass(frozen=True, slots=True)
class Chosen:
    """One operation, the fragments it reaches in the order of the document, and every response key in them."""

    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    response_keys: frozenset[str]

    @property
    def label(self) -> str:
        """`query Open`, or `query` when it has no name: the start of every place."""
        kind = self.operation.operation.value
        return f"{kind} {self.operation.name.value}" if self.operation.name else kind


def choose(document: DocumentNode, operation_name: str | None) -> Chosen:
    """The operation to run. ScopeError when none or several fit, or when GraphQL forbids the document as it stands."""
    operations, known = _named(document)
    if operation_name is not None:
        operations = [d for d in operations if d.name and d.name.value == operation_name]
        if not operations:
            raise refusals.broken(f"the document has no operation {operation_name!r}")
    if not operations:
        raise refusals.broken("the document has no operation")
    if len(operations) > 1:
        raise refusals.broken("the document has several operations", hint="Name one: operation_name=….")
    check = _Check(known)
    check.operation(operations[0])
    chosen = {name: node for name, node in known.items() if name in check.reached}
    if check.may_conflict:
        _check_conflicts(DocumentNode(definitions=(operations[0], *chosen.values())))
    return Chosen(operations[0], chosen, frozenset(check.fields))


def _named(document: DocumentNode) -> tuple[list[OperationDefinitionNode], dict[str, FragmentDefinitionNode]]:
    """The operations and fragments, when their names are unique and nothing else stands beside them."""
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            if node.name and any(other.name and other.name.value == node.name.value for other in operations):
                raise _fault(f"There can be only one operation named '{node.name.value}'.", node)
            operations.append(node)
        elif isinstance(node, FragmentDefinitionNode):
            if node.name.value in fragments:
                raise _fault(f"There can be only one fragment named '{node.name.value}'.", node)
            fragments[node.name.value] = node
        else:
            raise _fault("Only operations and fragments can be run.", node)
    for node in operations:
        if node.name is None and len(operations) > 1:
            raise _fault("An operation without a name must be the only one.", node)
    return operations, fragments


class _Check:
    """One pass over an operation and what it reaches."""

    def __init__(self, known: dict[str, FragmentDefinitionNode]) -> None:
        self.known = known
        self.reached: set[str] = set()
        self.open: list[str] = []
        """The fragments that the pass is inside of."""
        self.declared: set[str] = set()
        self.used: set[str] = set()
        self.fields: dict[str, FieldNode] = {}
        """Response key -> the field that it stands for, as first met."""
        self.may_conflict = False

    def operation(self, node: OperationDefinitionNode) -> None:
        for definition in node.variable_definitions or ():
            name = definition.variable.name.value
            if name in self.declared:
                raise _fault(f"There can be only one variable named '${name}'.", definition)
            self.declared.add(name)
            if definition.default_value is not None:
                self.value(definition.default_value, constant=True)
        self.directives(node.directives)
        self.selections(node.selection_set)
        for definition in node.variable_definitions or ():
            if definition.variable.name.value not in self.used:
                raise _fault(f"Variable '${definition.variable.name.value}' is never used.", definition)

    def selections(self, node: SelectionSetNode) -> None:
        for selection in node.selections:
            self.directives(selection.directives)
            if isinstance(selection, FieldNode):
                self.field(selection)
            elif isinstance(selection, FragmentSpreadNode):
                self.fragment(selection)
            else:
                self.selections(selection.selection_set)  # pyright: ignore[reportAttributeAccessIssue]

    def field(self, node: FieldNode) -> None:
        self.arguments(node.arguments or ())
        first = self.fields.setdefault(nodes.response_key(node), node)
        if first is not node and not self.may_conflict:
            self.may_conflict = _shape(first) != _shape(node)
        if node.selection_set:
            self.selections(node.selection_set)

    def fragment(self, node: FragmentSpreadNode) -> None:
        name = node.name.value
        if name not in self.known:
            raise _fault(f"Unknown fragment '{name}'.", node)
        if name in self.open:
            raise _fault(f"Cannot spread fragment '{name}' within itself.", node)
        if name not in self.reached:
            self.reached.add(name)
            self.open.append(name)
            self.directives(self.known[name].directives)
            self.selections(self.known[name].selection_set)
            self.open.pop()

    def directives(self, directives: Iterable[DirectiveNode] | None) -> None:
        for directive in directives or ():
            self.arguments(directive.arguments or ())

    def arguments(self, arguments: Iterable[ArgumentNode]) -> None:
        names: set[str] = set()
        for argument in arguments:
            name = argument.name.value
            if name in names:
                raise _fault(f"There can be only one argument named '{name}'.", argument)
            names.add(name)
            self.value(argument.value)

    def value(self, node: ValueNode, *, constant: bool = False) -> None:
        if isinstance(node, VariableNode):
            name = node.name.value
            if constant or name not in self.declared:
                raise _fault(f"Variable '${name}' is not defined.", node)
            self.used.add(name)
        elif isinstance(node, ListValueNode):
            for value in node.values:
                self.value(value, constant=constant)
        elif isinstance(node, ObjectValueNode):
            names: set[str] = set()
            for field in node.fields:
                if field.name.value in names:
                    raise _fault(f"There can be only one input field named '{field.name.value}'.", field)
                names.add(field.name.value)
                self.value(field.value, constant=constant)


def _shape(node: FieldNode) -> tuple[str, ...]:
    return (node.name.value, *map(print_ast, node.arguments or ()))


def _check_conflicts(document: DocumentNode) -> None:
    errors = validate(_no_schema(), document, [OverlappingFieldsCanBeMergedRule])
    if errors:
        raise _fault(errors[0].message, errors[0].nodes[0] if errors[0].nodes else None)


def _fault(message: str, node: Node | None) -> ScopeError:
    if node is None or node.loc is None:
        return refusals.broken(message)
    place = get_location(node.loc.source, node.loc.start)
    return refusals.broken(f"{message} (line {place.line}, column {place.column})")


@cache
def _no_schema() -> GraphQLSchema:
    """The rule never asks the schema; graphql-core wants one all the same."""
    return build_schema("type Query { _: Int }")
