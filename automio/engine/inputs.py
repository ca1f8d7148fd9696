"""Literals and variables -> one tree of inputs that plan.py reads. Next: filter.py, plan.py, write.py.

A plan must serve every request of the same *shape*, so the planner may look at the shape of a variable and never at a value
in it. `shape` turns a value into a small hashable tree along its GraphQL type: keys of objects, lengths of lists, names in
enums, nulls; a scalar becomes "v" whatever its value is. The engine keys its plans on it.

What is part of the shape though it looks like a value: names in enums (they choose columns and directions), and booleans
that choose SQL text (`_is_null`, `distinct`, and a variable that is itself a Boolean, since @skip and @include read it).
What is not, though it looks like shape: the number and the nulls of rows to insert. A list of rows without relationships and
with the same keys ("*") becomes one array a column; a key that some rows lack is filled with null when the column has no
default, else the list keeps its length in the shape and is written row by row.

Absent and null: an absent variable makes its field, argument or list absent; a null is an error, SQL's NULL or the same as
absent, as `Nulls` of schema_inputs.py says for the object around it. In a list a null or absent element is always an error.
Faults of form are found here, in Hasura's words: unknown and missing fields, null, an object where a list stands. Faults of
scalars are found when they are bound (values.py), since only then there is a value.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLType,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_non_null_type,
    print_ast,
    type_from_ast,
)

from automio.engine.catalog import Choices
from automio.engine.plan_types import Composed, Constant, Hole, Variable
from automio.engine.refusal import EnumLiteral, Refusal, describe
from automio.engine.schema_inputs import Nulls


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar, or a list of scalars; `source` says where its value will be. `path` is for the text of a fault."""

    source: Constant | Variable | Composed
    path: str
    graphql: str


@dataclass(frozen=True, slots=True)
class Null:
    """SQL's NULL."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name in an enum, or a boolean that chooses SQL text."""

    value: str | bool


@dataclass(frozen=True, slots=True)
class Fields:
    """An input object: what is given in it, in the order given."""

    of: Mapping[str, Input]
    path: str


@dataclass(frozen=True, slots=True)
class Items:
    of: tuple[Input, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Spread:
    """A list of rows of one form: for each column the values of all rows."""

    columns: Mapping[str, Leaf]
    path: str


Input = Leaf | Null | Symbol | Fields | Items | Spread


# ── variables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Variables:
    """The variables that an operation declares."""

    def __init__(self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> None:
        self._declared: dict[str, tuple[GraphQLType, str]] = {}
        self._defaults: dict[str, Any] = {}
        for definition in definitions:
            name = definition.variable.name.value
            kind = type_from_ast(schema, definition.type)
            if kind is None:
                raise Refusal(f"no such type exists in the schema: '{print_ast(definition.type)}'")
            self._declared[name] = (kind, print_ast(definition.type))
            if definition.default_value is not None:
                self._defaults[name] = _plain(definition.default_value)

    def read(self, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Hashable, ...]]:
        """The values with defaults, and their shape in order of declaration. Refuses unknown, missing and null ones."""
        values = {**self._defaults, **given} if self._defaults else given
        if len(given) > len(self._declared) or not self._declared.keys() >= given.keys():
            unknown = ", ".join(sorted(given.keys() - self._declared.keys()))
            raise Refusal(f"unexpected variables in variableValues: {unknown}")
        shapes: list[Hashable] = []
        for name, (kind, text) in self._declared.items():
            if name not in values:
                if is_non_null_type(kind):
                    raise Refusal(f'expecting a value for non-nullable variable: "{name}"')
                shapes.append("-")
                continue
            value = values[name]
            if value is None and is_non_null_type(kind):
                raise Refusal(f'null value found for non-nullable type: "{text}"')
            shapes.append(shape(kind, value, symbol=True))
        return values, tuple(shapes)

    def types(self) -> list[tuple[str, GraphQLType]]:
        """(name, type) in order of declaration, as `read` orders the shapes."""
        return [(name, kind) for name, (kind, _) in self._declared.items()]


def shape(kind: Any, value: Any, nulls: Nulls = Nulls.IGNORED, symbol: bool = False) -> Hashable:
    """The shape of a value at a place of this GraphQL type (module docstring): strings, None and tuples."""
    if type(kind) is GraphQLNonNull:
        kind = kind.of_type
    if type(kind) is GraphQLInputObjectType:
        if type(value) is dict:
            inner, fields = _nulls(kind), kind.fields
            return (
                "{",
                *(
                    (key, shape(fields[key].type, one, inner, _is_symbol(fields[key])) if key in fields else "?")
                    for key, one in value.items()
                ),
            )
        return None if value is None else ("x", describe(value))
    if type(kind) is GraphQLEnumType:
        return None if value is None else ("s", value) if isinstance(value, str) else ("x", describe(value))
    if type(kind) is GraphQLList:
        if value is None:
            return "v" if nulls is Nulls.KEPT and _is_scalar(kind) else None
        if _is_scalar(kind):
            return "v"
        if not isinstance(value, list | tuple):
            return ("1", shape(kind.of_type, value))
        columns = _spread_columns(kind, value)
        return ("*", columns) if columns is not None else ("[", *(shape(kind.of_type, one) for one in value))
    if value is None:
        return "v" if nulls is Nulls.KEPT else None
    return ("s", value) if symbol and kind is GraphQLBoolean and isinstance(value, bool) else "v"


def _spread_columns(kind: GraphQLList[Any], rows: Sequence[Any]) -> tuple[str, ...] | None:
    row = get_named_type(kind)
    if not (rows and isinstance(row, GraphQLInputObjectType) and _nulls(row) is Nulls.KEPT):
        return None
    first = rows[0].keys() if type(rows[0]) is dict else None
    if not first:
        return None
    every, equal = set(first), True
    for one in rows:
        if type(one) is not dict:
            return None
        if one.keys() != first:
            equal = False
            every |= one.keys()
    if not all(name in row.fields and _is_scalar(row.fields[name].type) for name in every):
        return None
    if not equal:
        fillable = {name for name in every if row.fields[name].extensions.get("fillable")}
        if any(not every - one.keys() <= fillable for one in rows):
            return None
    return tuple(sorted(every))


def _nulls(kind: GraphQLInputObjectType) -> Nulls:
    return kind.extensions.get("nulls", Nulls.IGNORED)


def _is_symbol(field: Any) -> bool:
    return bool(field.extensions.get("symbol"))


def _is_scalar(kind: Any) -> bool:
    named = get_named_type(kind)
    if isinstance(named, GraphQLEnumType):
        return "choices" in named.extensions
    return not isinstance(named, GraphQLInputObjectType)


def _choices(kind: Any) -> Choices | None:
    return get_named_type(kind).extensions.get("choices")


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reader:
    """Reads the arguments of fields, given the shapes of the variables."""

    def __init__(self, variables: Variables, shapes: Sequence[Hashable]) -> None:
        self._shapes = {name: (kind, one) for (name, kind), one in zip(variables.types(), shapes, strict=True)}

    def boolean(self, node: ValueNode) -> bool:
        """The condition of @skip or @include."""
        if isinstance(node, BooleanValueNode):
            return node.value
        if isinstance(node, VariableNode):
            _, found = self._shapes.get(node.name.value, (None, "-"))
            if isinstance(found, tuple) and found[0] == "s":
                return found[1] is True
        raise Refusal("expected a boolean for type 'Boolean'")

    def arguments(self, definition: GraphQLField, node: FieldNode, path: str) -> dict[str, Input]:
        """What is given to a field: no entry for absent arguments and for null. Paths go on with `.args.<name>`."""
        found: dict[str, Input] = {}
        for argument in node.arguments or ():
            name = argument.name.value
            expected = definition.args[name]
            symbol = bool(expected.extensions.get("symbol"))
            one = self._read(expected.type, argument.value, f"{path}.args.{name}", Nulls.IGNORED, symbol)
            if one is not None:
                found[expected.out_name or name] = one
        return found

    def _read(self, kind: Any, node: ValueNode, path: str, nulls: Nulls, symbol: bool) -> Input | None:
        if isinstance(node, VariableNode):
            _, found = self._shapes.get(node.name.value, (None, "-"))
            if found == "-":
                return None
            return _from_shape(kind, found, Variable((node.name.value,)), path, nulls, symbol)
        if isinstance(node, NullValueNode):
            return _null(kind, path, nulls)
        inner = get_nullable_type(kind)
        if _is_scalar(inner):
            if symbol and isinstance(node, BooleanValueNode):
                return Symbol(node.value)
            if symbol:
                raise Refusal(f"expected a boolean for type 'Boolean', but found {describe(_plain(node))}", path)
            return Leaf(_literal(node, _choices(inner)), path, str(inner))
        if isinstance(inner, GraphQLList):
            elements = node.values if isinstance(node, ListValueNode) else [node]
            return Items(tuple(self._element(inner.of_type, one, path, i) for i, one in enumerate(elements)), path)
        if isinstance(inner, GraphQLEnumType):
            if not isinstance(node, EnumValueNode):
                raise Refusal(
                    f"expected an enum value for type '{inner.name}', but found {describe(_plain(node))}", path
                )
            return _symbol(inner, node.value, path)
        assert isinstance(inner, GraphQLInputObjectType)
        if not isinstance(node, ObjectValueNode):
            raise Refusal(f"expected an object for type '{inner.name}', but found {describe(_plain(node))}", path)
        fields: dict[str, Input] = {}
        for field in node.fields:
            name = field.name.value
            definition = _field(inner, name, path)
            one = self._read(definition.type, field.value, f"{path}.{name}", _nulls(inner), _is_symbol(definition))
            if one is not None:
                fields[definition.out_name or name] = one
        return _complete(inner, fields, path)

    def _element(self, kind: Any, node: ValueNode, path: str, index: int) -> Input:
        place = f"{path}[{index}]"
        found = self._read(kind, node, place, Nulls.REFUSED, False)
        return found if found is not None else _refuse_null(kind, place)


def _from_shape(kind: Any, found: Any, source: Variable, path: str, nulls: Nulls, symbol: bool) -> Input | None:
    if found is None:
        return _null(kind, path, nulls)
    inner = get_nullable_type(kind)
    if _is_scalar(inner):
        if symbol and found == "v":
            raise Refusal("expected a boolean for type 'Boolean'", path)
        return Symbol(found[1]) if symbol else Leaf(replace(source, choices=_choices(inner)), path, str(inner))
    if isinstance(inner, GraphQLList):
        return _list_from_shape(inner, found, source, path)
    if isinstance(inner, GraphQLEnumType):
        if found[0] == "x":
            raise Refusal(f"expected an enum value for type '{inner.name}', but found {found[1]}", path)
        return _symbol(inner, found[1], path)
    if found[0] == "x":
        raise Refusal(f"expected an object for type '{inner}', but found {found[1]}", path)
    assert isinstance(inner, GraphQLInputObjectType)
    fields: dict[str, Input] = {}
    for name, one in found[1:]:
        definition, place = _field(inner, name, path), f"{path}.{name}"
        deeper = Variable((*source.path, name))
        read = _from_shape(definition.type, one, deeper, place, _nulls(inner), _is_symbol(definition))
        if read is not None:
            fields[definition.out_name or name] = read
    return _complete(inner, fields, path)


def _list_from_shape(kind: GraphQLList[Any], found: Any, source: Variable, path: str) -> Input:
    if found[0] == "*":
        row = get_named_type(kind)
        assert isinstance(row, GraphQLInputObjectType)
        columns: dict[str, Leaf] = {}
        for name in found[1]:
            field = row.fields[name]
            inner, place = get_nullable_type(field.type), f"{path}[*].{name}"
            columns[field.out_name or name] = Leaf(Variable(source.path, name, _choices(inner)), place, str(inner))
        return Spread(columns, path)
    if found[0] == "x":
        raise Refusal(f"expected a list, but found {found[1]}", path)
    items: list[Input] = []
    for i, one in enumerate(found[1:]):
        deeper = source if found[0] == "1" else Variable((*source.path, i))
        place = f"{path}[{i}]"
        read = _from_shape(kind.of_type, one, deeper, place, Nulls.REFUSED, False)
        items.append(read if read is not None else _refuse_null(kind.of_type, place))
    return Items(tuple(items), path)


def _null(kind: Any, path: str, nulls: Nulls) -> Input | None:
    if nulls is Nulls.KEPT and not is_non_null_type(kind) and _is_scalar(kind):
        return Null()
    if nulls is Nulls.REFUSED or is_non_null_type(kind):
        _refuse_null(kind, path)
    return None


def _refuse_null(kind: Any, path: str) -> Any:
    inner = get_nullable_type(kind)
    if isinstance(inner, GraphQLList):
        raise Refusal("expected a list, but found null", path)
    if isinstance(inner, GraphQLInputObjectType):
        raise Refusal(f"expected an object for type '{inner.name}', but found null", path)
    if isinstance(inner, GraphQLEnumType):
        raise Refusal(f"expected an enum value for type '{inner.name}', but found null", path)
    raise Refusal(f"unexpected null value for type '{inner}'", path)


def _symbol(kind: GraphQLEnumType, name: str, path: str) -> Symbol:
    if name not in kind.values:
        names = ", ".join(f"'{one}'" for one in sorted(kind.values))
        raise Refusal(f"expected one of the values [{names}] for type '{kind.name}', but found '{name}'", path)
    return Symbol(kind.values[name].value)


def _field(kind: GraphQLInputObjectType, name: str, path: str) -> Any:
    if name not in kind.fields:
        raise Refusal(f"field '{name}' not found in type: '{kind.name}'", f"{path}.{name}")
    return kind.fields[name]


def _complete(kind: GraphQLInputObjectType, fields: dict[str, Input], path: str) -> Fields:
    for name, definition in kind.fields.items():
        if (
            (definition.out_name or name) not in fields
            and is_non_null_type(definition.type)
            and definition.default_value is Undefined
        ):
            raise Refusal(f"missing required field '{name}'", f"{path}.{name}")
    return Fields(fields, path)


def _literal(node: ValueNode, choices: Choices | None = None) -> Constant | Composed:
    value = _plain(node)
    text = _printed(value)
    return Composed(text, value, choices) if _has_hole(value) else Constant(text, value, choices)


def _printed(value: Any) -> str:
    """A literal as text that tells equal values from others; the same for every version of graphql-core."""
    match value:
        case EnumLiteral() | Decimal():
            return str(value)
        case Hole():
            return f"${value.name}"
        case list():
            return f"[{', '.join(map(_printed, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_printed(one)}' for key, one in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _has_hole(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_hole, value))
    return any(map(_has_hole, value.values())) if isinstance(value, dict) else isinstance(value, Hole)


def _plain(node: ValueNode) -> Any:
    match node:
        case VariableNode():
            return Hole(node.name.value)
        case IntValueNode() if len(node.value) < 1000:
            return int(node.value)
        case IntValueNode() | FloatValueNode():
            return Decimal(node.value)
        case StringValueNode() | BooleanValueNode():
            return node.value
        case EnumValueNode():
            return EnumLiteral(node.value)
        case ListValueNode():
            return [_plain(one) for one in node.values]
        case ObjectValueNode():
            return {field.name.value: _plain(field.value) for field in node.fields}
    return None
