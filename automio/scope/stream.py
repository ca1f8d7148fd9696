"""ScopedDocument of a subscription -> the same, able to go on after a lost connection, and its Cursor (cursor.py).

Runs after the walk, on the document that is sent. Two things are added where the author did not write them:
- the cursor's column, under a helper key that the reshape plan takes away again (STRIP), since only the last delivered row
  tells where to go on;
- a variable for a value that stands in the text (`initial_value: {id: 0}`), with that value as its default.
So there is one text for the first request and for every later one.

Refused, since a stream that starts again at its beginning would deliver rows twice: a cursor written in a form that is
neither a variable nor an object with `initial_value`, a variable of it that stands elsewhere in the document too, a
stream below a fragment. A subscription without a stream needs nothing: a live query's next answer is whole.
"""

from __future__ import annotations

import re
from dataclasses import replace

from graphql import (
    ArgumentNode,
    ConstValueNode,
    DocumentNode,
    FieldNode,
    ListValueNode,
    NamedTypeNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    print_ast,
)

from automio.dialect.index import Root, RootKind, SchemaIndex, Table
from automio.errors import ScopeError
from automio.scope import nodes, refusals
from automio.scope.cursor import Cursor
from automio.scope.reshape import Action, Step
from automio.scope.walk import ScopedDocument


def resumable(scoped: ScopedDocument, index: SchemaIndex) -> tuple[ScopedDocument, Cursor | None]:
    """The document to send and the cursor of its stream; unchanged, and None, when it has none. Raises ScopeError."""
    if scoped.kind != "subscription":
        return scoped, None
    operation = next(d for d in scoped.document.definitions if isinstance(d, OperationDefinitionNode))
    streams = {name: root for name, root in index.roots.get("subscription", {}).items() if root.kind is RootKind.STREAM}
    at = f"subscription {scoped.name}" if scoped.name else "subscription"
    selections = list(operation.selection_set.selections)
    places = [
        number for number, node in enumerate(selections) if isinstance(node, FieldNode) and node.name.value in streams
    ]
    named = [name for name in streams if re.search(rf"(?<![\w$]){name}(?!\w)", scoped.text)]
    if not named:
        return scoped, None
    if len(places) != 1 or len(selections) != 1:
        raise refusals.broken(
            "a stream must be the only field of its subscription, and stand in no fragment",
            at,
            hint="Hasura takes one root field a subscription.",
        )
    field = selections[0]
    assert isinstance(field, FieldNode)
    root = streams[field.name.value]
    return _Stream(scoped, operation, field, root, index.tables[root.table], at).resumable()


class _Stream:
    """One stream while it is made resumable."""

    def __init__(
        self,
        scoped: ScopedDocument,
        operation: OperationDefinitionNode,
        field: FieldNode,
        root: Root,
        table: Table,
        at: str,
    ) -> None:
        self.scoped = scoped
        self.operation = operation
        self.field = field
        self.root = root
        self.table = table
        self.at = f"{at}.{nodes.response_key(field)}"
        self.definitions = list(operation.variable_definitions or ())
        self.variables: list[tuple[str, str]] = []
        self.helpers: list[tuple[str, str]] = []

    def resumable(self) -> tuple[ScopedDocument, Cursor]:
        arguments = list(self.field.arguments or ())
        place = next((number for number, a in enumerate(arguments) if a.name.value == "cursor"), None)
        if place is None:
            raise refusals.broken("a stream needs a cursor", self.at)
        value = arguments[place].value
        key = nodes.response_key(self.field)
        if isinstance(value, VariableNode):
            name = value.name.value
            default = next((d.default_value for d in self.definitions if d.variable.name.value == name), None)
            text = nodes.json_text(default) if default else ""
            return self.scoped, Cursor(key, tuple(self.selected().items()), whole=name, default=text)
        arguments[place] = ArgumentNode(name=nodes.named("cursor"), value=self.cursor(value))
        selected = self.selected()
        for column, _ in self.variables:
            if column not in selected:
                selected[column] = self.fresh(column)
                self.helpers.append((column, selected[column]))
        columns = tuple((column, selected[column]) for column, _ in self.variables)
        return self.rewritten(arguments, key), Cursor(key, columns, tuple(self.variables))

    def cursor(self, value: ValueNode) -> ValueNode:
        """The argument with every value of its columns in a variable."""
        if isinstance(value, ListValueNode):
            return ListValueNode(values=tuple(self.cursor(inner) for inner in value.values))
        if not isinstance(value, ObjectValueNode):
            raise self.refused("is neither a variable nor an object with `initial_value`")
        fields: list[ObjectFieldNode] = []
        for entry in value.fields:
            if entry.name.value == "initial_value":
                if not isinstance(entry.value, ObjectValueNode):
                    raise self.refused("has an `initial_value` that is not an object")
                entry = nodes.entry("initial_value", self.initial(entry.value))
            fields.append(entry)
        return nodes.obj(fields)

    def initial(self, value: ObjectValueNode) -> ObjectValueNode:
        fields: list[ObjectFieldNode] = []
        for entry in value.fields:
            column = entry.name.value
            if column not in self.table.columns:
                raise self.refused(f"is on {column}, which is no column of {self.table.type}")
            if isinstance(entry.value, VariableNode):
                name = entry.value.name.value
                if len(re.findall(rf"\${name}(?!\w)", self.scoped.text)) > 2:  # its declaration and this use
                    raise self.refused(f"has the variable ${name}, which stands elsewhere too")
            else:
                name = self.fresh(column)
                self.definitions.append(self.declared(name, column, entry.value))
            self.variables.append((column, name))
            fields.append(nodes.entry(column, VariableNode(name=nodes.named(name))))
        return nodes.obj(fields)

    def declared(self, name: str, column: str, default: ValueNode) -> VariableDefinitionNode:
        if nodes.variables_in(default):
            raise self.refused(f"has a variable inside the value of {column}")
        constant: ConstValueNode = default  # pyright: ignore[reportAssignmentType]
        return VariableDefinitionNode(
            variable=VariableNode(name=nodes.named(name)),
            type=NamedTypeNode(name=nodes.named(self.table.columns[column].type.removesuffix("!"))),
            default_value=constant,
            directives=(),
        )

    def selected(self) -> dict[str, str]:
        """Column -> response key, of the columns that the stream's own selection names and always asks for."""
        found: dict[str, str] = {}
        for node in self.field.selection_set.selections if self.field.selection_set else ():
            if isinstance(node, FieldNode) and node.name.value in self.table.columns and not node.directives:
                found.setdefault(node.name.value, nodes.response_key(node))
        return found

    def fresh(self, column: str) -> str:
        """A name that stands nowhere in the document."""
        number = 1
        while re.search(rf"(?<!\w){column}_{number}(?!\w)", self.scoped.text):
            number += 1
        return f"{column}_{number}"

    def rewritten(self, arguments: list[ArgumentNode], key: str) -> ScopedDocument:
        assert self.field.selection_set
        helpers = [
            FieldNode(
                alias=nodes.named(alias), name=nodes.named(column), arguments=(), directives=(), selection_set=None
            )
            for column, alias in self.helpers
        ]
        field = FieldNode(
            alias=self.field.alias,
            name=self.field.name,
            arguments=tuple(arguments),
            directives=self.field.directives,
            selection_set=SelectionSetNode(selections=(*self.field.selection_set.selections, *helpers)),
        )
        operation = OperationDefinitionNode(
            operation=self.operation.operation,
            name=self.operation.name,
            variable_definitions=tuple(self.definitions),
            directives=self.operation.directives,
            selection_set=SelectionSetNode(selections=(field,)),
        )
        definitions = tuple(operation if d is self.operation else d for d in self.scoped.document.definitions)
        document = DocumentNode(definitions=definitions)
        steps = tuple(Step((key,), Action.STRIP, alias) for _, alias in self.helpers)
        return replace(self.scoped, document=document, text=print_ast(document), plan=(*self.scoped.plan, *steps))

    def refused(self, why: str) -> ScopeError:
        return refusals.broken(
            f"the cursor {why}, so the stream could not go on after a lost connection",
            f"{self.at}.cursor",
            hint="Write `cursor: {initial_value: {column: $value}}`, or `cursor: $cursor`.",
        )
