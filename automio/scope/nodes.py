"""Small makers of GraphQL syntax: what the rewriting adds, and copies of nodes with a part changed.

Nodes of the caller's document are never changed: the walk builds new ones and shares what stays the same. Names and
variables without a place are shared by all documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    NameNode,
    NonNullTypeNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    SelectionSetNode,
    StringValueNode,
    TypeNode,
    ValueNode,
    VariableNode,
)

from automio.dialect.nodes import make as make
from automio.dialect.sdl import type_name as type_name
from automio.dialect.sdl import type_text as type_text


@lru_cache(maxsize=4096)
def named(name: str) -> NameNode:
    return make(NameNode, value=name)


@lru_cache(maxsize=4096)
def variable(name: str) -> VariableNode:
    return make(VariableNode, name=named(name))


def integer(value: int) -> IntValueNode:
    return IntValueNode(value=str(value))


def entry(name: str, value: ValueNode) -> ObjectFieldNode:
    return make(ObjectFieldNode, name=named(name), value=value)


def obj(fields: Iterable[ObjectFieldNode] = ()) -> ObjectValueNode:
    return make(ObjectValueNode, fields=tuple(fields))


def array(values: Iterable[ValueNode]) -> ListValueNode:
    return make(ListValueNode, values=tuple(values))


def argument(name: str, value: ValueNode) -> ArgumentNode:
    return make(ArgumentNode, name=named(name), value=value)


def equals(column: str, value: ValueNode) -> ObjectFieldNode:
    """`column: {_eq: value}`"""
    return entry(column, obj([entry("_eq", value)]))


def both(first: ValueNode, second: ValueNode) -> ObjectValueNode:
    """`{_and: [first, second]}`"""
    return obj([entry("_and", array([first, second]))])


def field(
    node: FieldNode,
    *,
    name: str | None = None,
    arguments: Iterable[ArgumentNode] | None = None,
    selection_set: SelectionSetNode | None = None,
) -> FieldNode:
    """A copy of a field. With another `name` it keeps its response key as an alias."""
    alias = node.alias
    if name is not None and name != node.name.value and alias is None:
        alias = node.name
    return make(
        FieldNode,
        alias=alias,
        name=node.name if name is None else named(name),
        arguments=tuple(node.arguments or ()) if arguments is None else tuple(arguments),
        directives=tuple(node.directives or ()),
        selection_set=node.selection_set if selection_set is None else selection_set,
        loc=node.loc,
    )


def response_key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def non_null(node: TypeNode) -> TypeNode:
    return node if isinstance(node, NonNullTypeNode) else NonNullTypeNode(type=node)


def json_text(node: ValueNode) -> str:
    """A constant as JSON text: enum values become strings. Numbers keep their digits."""
    if isinstance(node, IntValueNode | FloatValueNode):
        return node.value
    if isinstance(node, StringValueNode | EnumValueNode):
        return json.dumps(node.value, ensure_ascii=False)
    if isinstance(node, BooleanValueNode):
        return "true" if node.value else "false"
    if isinstance(node, ListValueNode):
        return f"[{', '.join(json_text(value) for value in node.values)}]"
    if isinstance(node, ObjectValueNode):
        return f"{{{', '.join(f'{json.dumps(f.name.value)}: {json_text(f.value)}' for f in node.fields)}}}"
    assert isinstance(node, NullValueNode)
    return "null"


def variables_in(node: ValueNode) -> list[VariableNode]:
    """The variables in a value, in the order of the text."""
    if isinstance(node, VariableNode):
        return [node]
    if isinstance(node, ListValueNode):
        return [variable for value in node.values for variable in variables_in(value)]
    if isinstance(node, ObjectValueNode):
        return [variable for f in node.fields for variable in variables_in(f.value)]
    return []
