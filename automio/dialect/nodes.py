"""Text of one definition or field -> graphql-core's node, without graphql-core's parser where the text is plain. Used by sdl.py.

Hasura writes SDL in a few shapes, again and again: `id: uuid!`, `limit: Int` with the same description in every list.
So a field is cut by one pattern, and equal texts share one node: nodes are read, never changed. What is taken here is
plain: objects, inputs, enums and scalars without directives and interfaces; fields with a description, arguments, a type
and a short default; descriptions without escapes but `\\"`. For anything else the answer is None, and the caller asks
graphql-core, which also finds the words for faults. The nodes equal those of graphql-core: a property test compares
them.

As in sdl.py, possessive quantifiers stand on character classes alone.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

from graphql import (
    DefinitionNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLSyntaxError,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    Node,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    StringValueNode,
    TypeNode,
    ValueNode,
    parse,
    parse_value,
    version_info,
)
from graphql.language.block_string import dedent_block_string_lines

_SPACE = r"[ \t\n\r,\ufeff]*+"
_NAME = r"[A-Za-z_][A-Za-z_0-9]*+"
_TEXT = r"\"\\\ud800-\udfff"  # ends, escapes, or is no character
_STRING = rf'"""(?:[^{_TEXT}]++|"(?!""))*"""|"(?!"")(?:[^\n\r{_TEXT}]++|\\")*"'
_DESCRIBED = rf"(?:({_STRING}){_SPACE})?"
_TYPED = (
    rf"({_NAME}){_SPACE}:{_SPACE}(\[*+{_NAME}[\]!]*+){_SPACE}(?:={_SPACE}(\[\]|{_NAME}|-?[0-9]++(?![.\w])){_SPACE})?"
)
_INPUT = re.compile(rf"{_DESCRIBED}{_TYPED}")
_ARGUMENTS = rf'\({_SPACE}((?:[^()"#]++|{_STRING})*)\)'
_FIELD = re.compile(
    rf"{_DESCRIBED}({_NAME}){_SPACE}(?:{_ARGUMENTS}{_SPACE})?:{_SPACE}(\[*+{_NAME}[\]!]*+){_SPACE}",
)
_VALUE = re.compile(rf"{_DESCRIBED}({_NAME}){_SPACE}")
_HEAD = re.compile(
    rf"{_DESCRIBED}(?:(extend)[ \t\n\r,]++)?(type|input|enum|scalar)[ \t\n\r,]++({_NAME}){_SPACE}(\{{{_SPACE})?"
)
_LINES = re.compile(r"\r\n|[\n\r]")
_NO_ENUM_VALUES = frozenset({"true", "false", "null"})
_NONE = cast(Any, parse("scalar X").definitions[0]).directives
"""What graphql-core puts where nothing stands: () in 3.2, None in 3.3."""


_Made = TypeVar("_Made", bound=Node)
_set = object.__setattr__


def make(kind: type[_Made], **parts: Any) -> _Made:
    """`kind(**parts)`. In graphql-core 3.2 that takes two Python calls an attribute: a fifth of a whole `generate`."""
    if version_info >= (3, 3):
        return kind(**parts)
    node = kind.__new__(kind)
    given = parts.get
    for key in kind.keys:
        _set(node, key, given(key))
    return node


class _NotPlain(Exception):
    """The text is not of a shape that is read here."""


class Nodes:
    """Nodes of plain texts; equal texts of fields, types and names give one node."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget every text. Nodes that somebody holds stay as they are."""
        self.fields: dict[str, FieldDefinitionNode] = {}
        self.inputs: dict[str, InputValueDefinitionNode] = {}
        self.types = Types()
        self.names = self.types.names
        self.values: dict[str, EnumValueDefinitionNode] = {}
        self.strings: dict[str, StringValueNode] = {}

    def definition(self, text: str) -> DefinitionNode | None:
        """The node of a whole definition, as `parse(text, no_location=True)` gives it; None when it is not plain."""
        head = _HEAD.match(text)
        if not head:
            return None
        described, extend, kind, name, body = head.groups()
        at, end = head.end(), len(text) - 1
        try:
            own: dict[str, Any] = {"name": self.names[name], "directives": _NONE}
            if not extend:
                own["description"] = self.string(described)
            elif described or kind != "type":
                return None
            if kind == "scalar":
                return ScalarTypeDefinitionNode(**own) if not body and at == end + 1 else None
            if not body or not text.endswith("}") or at == end:
                return None
            if kind == "input":
                return make(InputObjectTypeDefinitionNode, **own, fields=self.input_values(text, at, end))
            if kind == "enum":
                return make(EnumTypeDefinitionNode, **own, values=self.enum_values(text, at, end))
            made = ObjectTypeExtensionNode if extend else ObjectTypeDefinitionNode
            return make(made, **own, interfaces=_NONE, fields=self.object_fields(text, at, end))
        except _NotPlain:
            return None

    def field(self, text: str) -> FieldDefinitionNode | None:
        """The node of one field of an object type; None when it is not plain."""
        try:
            (node,) = self.object_fields(text, 0, len(text))
        except (_NotPlain, ValueError):
            return None
        return node

    def object_fields(self, text: str, at: int, end: int) -> tuple[FieldDefinitionNode, ...]:
        found: list[FieldDefinitionNode] = []
        while at < end:
            cut = _FIELD.match(text, at, end)
            if not cut:
                raise _NotPlain
            at = cut.end()
            node = self.fields.get(cut[0])
            if node is None:
                described, name, arguments, type_ = cut.groups()
                node = self.fields[cut[0]] = make(
                    FieldDefinitionNode,
                    name=self.names[name],
                    description=self.string(described),
                    arguments=_NONE if arguments is None else self.input_values(arguments, 0, len(arguments)),
                    type=self.types[type_],
                    directives=_NONE,
                )
            found.append(node)
        return tuple(found)

    def input_values(self, text: str, at: int, end: int) -> tuple[InputValueDefinitionNode, ...]:
        """Arguments, or the fields of an input type. None at all is a fault, which graphql-core words."""
        found: list[InputValueDefinitionNode] = []
        while at < end:
            cut = _INPUT.match(text, at, end)
            if not cut:
                raise _NotPlain
            at = cut.end()
            node = self.inputs.get(cut[0])
            if node is None:
                described, name, type_, default = cut.groups()
                node = self.inputs[cut[0]] = make(
                    InputValueDefinitionNode,
                    name=self.names[name],
                    description=self.string(described),
                    type=self.types[type_],
                    default_value=_value(default),
                    directives=_NONE,
                )
            found.append(node)
        if not found:
            raise _NotPlain
        return tuple(found)

    def enum_values(self, text: str, at: int, end: int) -> tuple[EnumValueDefinitionNode, ...]:
        found: list[EnumValueDefinitionNode] = []
        while at < end:
            cut = _VALUE.match(text, at, end)
            if not cut or cut[2] in _NO_ENUM_VALUES:
                raise _NotPlain
            at = cut.end()
            node = self.values.get(cut[0])
            if node is None:
                node = self.values[cut[0]] = make(
                    EnumValueDefinitionNode, name=self.names[cut[2]], description=self.string(cut[1]), directives=_NONE
                )
            found.append(node)
        return tuple(found)

    def string(self, text: str | None) -> StringValueNode | None:
        """The node of a string as the patterns cut it, quotes included."""
        if text is None:
            return None
        node = self.strings.get(text)
        if node is None:
            block = text.startswith('"""')
            value = (
                "\n".join(dedent_block_string_lines(_LINES.split(text[3:-3])))
                if block
                else text[1:-1].replace('\\"', '"')
            )
            node = self.strings[text] = make(StringValueNode, value=value, block=block)
        return node


class _Names(dict[str, NameNode]):
    def __missing__(self, text: str) -> NameNode:
        node = self[text] = make(NameNode, value=text)
        return node


class Types(dict[str, TypeNode]):
    """Type text without spaces -> node; equal texts give one node. Brackets are counted here: the patterns don't."""

    def __init__(self) -> None:
        super().__init__()
        self.names = _Names()

    def __missing__(self, text: str) -> TypeNode:
        if text.endswith("!"):
            inner = self[text[:-1]]
            if isinstance(inner, NonNullTypeNode):
                raise _NotPlain
            node: TypeNode = make(NonNullTypeNode, type=inner)
        elif text.startswith("[") and text.endswith("]"):
            node = make(ListTypeNode, type=self[text[1:-1]])
        elif text and "[" not in text and "]" not in text and "!" not in text:
            node = make(NamedTypeNode, name=self.names[text])
        else:
            raise _NotPlain
        self[text] = node
        return node


def _value(text: str | None) -> ValueNode | None:
    try:
        return parse_value(text, no_location=True) if text else None
    except GraphQLSyntaxError:
        raise _NotPlain from None
