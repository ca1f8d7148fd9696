"""DocumentNode -> its text, as graphql-core 3.2 prints it. Used by walk.py.

Printing with graphql-core costs as much as the rewriting, and `generate` prints thousands of documents. Here is what
operations and fragments can hold; a document with anything else (a block string, a description) is left to graphql-core.
graphql-core 3.3 sets other spaces: with this the text that allow-lists know is the same on both.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphql import (
    ArgumentNode,
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    print_ast,
)

from automio.scope import nodes

_WIDTH = 80
"""A field with longer arguments has each on a line of its own."""


class _Other(Exception):
    """A node that is not printed here."""


def print_document(document: DocumentNode) -> str:
    """The text of a document of operations and fragments."""
    try:
        return "\n\n".join([_definition(node) for node in document.definitions])
    except _Other:
        return print_ast(document)


def print_value(node: ValueNode) -> str:
    """The text of a value, on one line where it has no block strings."""
    try:
        return _value(node)
    except _Other:
        return print_ast(node)


def print_definition(node: VariableDefinitionNode) -> str:
    """The text of a variable's definition, `$id: uuid!`."""
    try:
        return _variable(node)
    except _Other:
        return print_ast(node)


def _definition(node: DefinitionNode) -> str:
    if getattr(node, "description", None):
        raise _Other
    if isinstance(node, FragmentDefinitionNode) and not node.variable_definitions:
        head = f"fragment {node.name.value} on {node.type_condition.name.value}{_directives(node.directives)}"
        return f"{head}{_block(node.selection_set, '')}"
    if not isinstance(node, OperationDefinitionNode):
        raise _Other
    name = node.name.value if node.name else ""
    variables = ", ".join([_variable(variable) for variable in node.variable_definitions or ()])
    label = f"{name}({variables})" if variables else name
    head = f"{node.operation.value}{' ' if label else ''}{label}{_directives(node.directives)}"
    block = _block(node.selection_set, "")
    return block.lstrip() if head == "query" else f"{head}{block}"


def _variable(node: VariableDefinitionNode) -> str:
    if getattr(node, "description", None):
        raise _Other
    default = "" if node.default_value is None else f" = {_value(node.default_value)}"
    return f"${node.variable.name.value}: {nodes.type_text(node.type)}{default}{_directives(node.directives)}"


def _block(node: SelectionSetNode | None, indent: str) -> str:
    """` { … }`, or nothing. `indent` is that of the line on which it begins."""
    if not node or not node.selections:
        return ""
    inner = f"{indent}  "
    lines = "\n".join([_selection(selection, inner) for selection in node.selections])
    return f" {{\n{lines}\n{indent}}}"


def _selection(node: SelectionNode, indent: str) -> str:
    if isinstance(node, FieldNode):
        text = f"{node.alias.value}: {node.name.value}" if node.alias else node.name.value
        if node.arguments:
            text = f"{text}{_arguments(node.arguments, indent, _WIDTH - len(text))}"
    elif isinstance(node, FragmentSpreadNode):
        return f"{indent}...{node.name.value}{_directives(node.directives)}"
    else:
        assert isinstance(node, InlineFragmentNode)
        text = f"... on {node.type_condition.name.value}" if node.type_condition else "..."
    directives = _directives(node.directives) if node.directives else ""
    return f"{indent}{text}{directives}{_block(node.selection_set, indent)}"


def _arguments(arguments: Iterable[ArgumentNode], indent: str, width: int) -> str:
    texts = [_pair(argument) for argument in arguments]
    line = f"({', '.join(texts)})"
    return line if len(line) <= width else "\n".join(["(", *(f"{indent}  {text}" for text in texts), f"{indent})"])


def _directives(directives: Iterable[DirectiveNode] | None) -> str:
    """Each with a space before it."""
    found = ""
    for node in directives or ():
        arguments = ", ".join([_pair(argument) for argument in node.arguments or ()])
        found += f" @{node.name.value}({arguments})" if arguments else f" @{node.name.value}"
    return found


def _pair(node: ArgumentNode | ObjectFieldNode) -> str:
    return f"{node.name.value}: {_value(node.value)}"


def _value(node: ValueNode) -> str:
    if isinstance(node, VariableNode):
        return f"${node.name.value}"
    if isinstance(node, ObjectValueNode):
        return f"{{{', '.join([_pair(field) for field in node.fields])}}}"
    if isinstance(node, ListValueNode):
        return f"[{', '.join([_value(value) for value in node.values])}]"
    if isinstance(node, IntValueNode | FloatValueNode | EnumValueNode):
        return node.value
    text = print_ast(node)
    if "\n" in text:  # a block string: what is around it is laid out in another way
        raise _Other
    return text
