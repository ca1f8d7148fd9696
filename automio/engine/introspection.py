"""`__schema` and `__type` -> JSON, by graphql-core's own execution on the schema. Called by engine.py, outside of any plan.

The fields of a request that are about the schema are cut out of the document, with the fragments and variables that they
use, and executed alone; engine.py puts their answers back in their places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    Visitor,
    execute,
    visit,
)
from graphql.execution import ExecutionResult

from automio.engine.document import Document, Selected
from automio.engine.refusal import Refusal
from automio.engine.values import dumps


def introspect(document: Document, selected: Selected, variables: Mapping[str, Any]) -> bytes:
    """The answer of one introspection field. Refuses what graphql-core finds wrong with its arguments."""
    names = _Names()
    selections = SelectionSetNode(selections=selected.nodes)
    visit(selections, names)
    for fragment in document.fragments.values():
        visit(fragment, names)
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY,
        variable_definitions=tuple(
            one for one in (document.operation.variable_definitions or ()) if one.variable.name.value in names.found
        ),
        directives=(),
        selection_set=selections,
    )
    used = {name: value for name, value in variables.items() if name in names.found}
    parsed = DocumentNode(definitions=(operation, *document.fragments.values()))
    result = execute(document.schema, parsed, variable_values=used)
    assert isinstance(result, ExecutionResult)
    if result.errors or result.data is None:
        raise Refusal(result.errors[0].message if result.errors else "introspection failed", selected.path)
    return dumps(result.data[selected.key]).encode()


class _Names(Visitor):
    """The names of all variables below a node."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)
