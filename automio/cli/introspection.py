"""GraphQLSchema -> the answer to graphql-core's introspection query, without executing it. Used by sync.py.

The query of `get_introspection_query()` with its default options, in the shape that a server would answer; a test holds the two
against each other. Executing it resolves some hundred thousand fields one by one for a schema of thirty tables (a third of a
second); reading the schema's own values takes a tenth of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLAbstractType,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    Undefined,
    is_abstract_type,
    print_ast,
)
from graphql.type.introspection import TypeKind
from graphql.utilities import ast_from_value

_KINDS: tuple[tuple[type[GraphQLNamedType], TypeKind], ...] = (
    (GraphQLObjectType, TypeKind.OBJECT),
    (GraphQLInterfaceType, TypeKind.INTERFACE),
    (GraphQLEnumType, TypeKind.ENUM),
    (GraphQLInputObjectType, TypeKind.INPUT_OBJECT),
)


def introspection_of(schema: GraphQLSchema) -> dict[str, Any]:
    """The `data` of the answer. Parts may be shared between places: read it, don't change it."""
    known: dict[str, dict[str, Any]] = {}
    roots = {"queryType": schema.query_type, "mutationType": schema.mutation_type}
    roots["subscriptionType"] = schema.subscription_type
    found: dict[str, Any] = {name: {"name": root.name} if root else None for name, root in roots.items()}
    found["types"] = [_type(schema, type_, known) for type_ in schema.type_map.values()]
    found["directives"] = [
        {
            "name": directive.name,
            "description": directive.description,
            "locations": [location.name for location in directive.locations],
            "args": _inputs(directive.args, known),
        }
        for directive in schema.directives
    ]
    return {"__schema": found}


def _type(schema: GraphQLSchema, type_: GraphQLNamedType, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    fields = interfaces = inputs = values = possible = None
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        fields = [
            {
                "name": name,
                "description": field.description,
                "args": _inputs(field.args, known),
                "type": _reference(field.type, known),
                "isDeprecated": field.deprecation_reason is not None,
                "deprecationReason": field.deprecation_reason,
            }
            for name, field in type_.fields.items()
        ]
        interfaces = [_reference(interface, known) for interface in type_.interfaces]
    elif isinstance(type_, GraphQLInputObjectType):
        inputs = _inputs(type_.fields, known)
    elif isinstance(type_, GraphQLEnumType):
        values = [
            {
                "name": name,
                "description": value.description,
                "isDeprecated": value.deprecation_reason is not None,
                "deprecationReason": value.deprecation_reason,
            }
            for name, value in type_.values.items()
        ]
    if is_abstract_type(type_):
        assert isinstance(type_, GraphQLAbstractType)
        possible = [_reference(one, known) for one in schema.get_possible_types(type_)]
    return {
        "kind": _kind(type_),
        "name": type_.name,
        "description": type_.description,
        "fields": fields,
        "inputFields": inputs,
        "interfaces": interfaces,
        "enumValues": values,
        "possibleTypes": possible,
    }


def _inputs(
    inputs: Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField], known: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": value.description,
            "type": _reference(value.type, known),
            "defaultValue": _default(value),
        }
        for name, value in inputs.items()
        if value.deprecation_reason is None
    ]


def _default(value: GraphQLArgument | GraphQLInputField) -> str | None:
    if value.default_value is Undefined:
        return None
    node = ast_from_value(value.default_value, value.type)
    return print_ast(node) if node else None


def _reference(type_: GraphQLType, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    text = str(type_)
    found = known.get(text)
    if found is None:
        if isinstance(type_, GraphQLNonNull | GraphQLList):
            kind = TypeKind.NON_NULL if isinstance(type_, GraphQLNonNull) else TypeKind.LIST
            found = {"kind": kind.name, "name": None, "ofType": _reference(type_.of_type, known)}
        else:
            assert isinstance(type_, GraphQLNamedType)
            found = {"kind": _kind(type_), "name": type_.name, "ofType": None}
        known[text] = found
    return found


def _kind(type_: GraphQLNamedType) -> str:
    for class_, kind in _KINDS:
        if isinstance(type_, class_):
            return kind.name
    return TypeKind.UNION.name if is_abstract_type(type_) else TypeKind.SCALAR.name
