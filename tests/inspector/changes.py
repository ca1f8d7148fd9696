"""A schema and a seed -> the schema with one change, and what was changed. Equal seeds give equal changes.

Half of the changes are what `ALTER TABLE` does to a Hasura schema: a column comes, goes or changes in all types of its table.
The others are of a single definition, as a new version of the server or a permission makes them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from graphql import DocumentNode, parse, print_ast

Node = Any
OBJECT, INPUT, ENUM = "object_type_definition", "input_object_type_definition", "enum_type_definition"
ROOTS = ("query_root", "mutation_root", "subscription_root")


class Schema:
    """The definitions of a schema, to be changed in place."""

    def __init__(self, text: str, seed: int) -> None:
        self.document: DocumentNode = deepcopy(parse(text, no_location=True))
        self.random = random.Random(seed)
        inputs = {node.name.value for node in self.of(INPUT)}
        self.tables = sorted(
            node.name.value
            for node in self.of(OBJECT)
            if f"{node.name.value}_bool_exp" in inputs and not member(node, "nodes")
        )

    def of(self, *kinds: str) -> list[Node]:
        return [node for node in self.document.definitions if node.kind in kinds]

    def named(self, name: str) -> Node:
        return next(node for node in self.of(OBJECT, INPUT, ENUM) if node.name.value == name)

    def any(self, nodes: Any) -> Node:
        return self.random.choice(list(nodes))

    def fields(self, *kinds: str, roots: bool = False) -> Iterator[tuple[Node, Node]]:
        for node in self.of(*kinds):
            if (node.name.value in ROOTS) == roots:
                yield from ((node, field) for field in node.fields)

    def column(self) -> tuple[str, str]:
        """A table and one of its columns, the key and the organization left out."""
        table = self.any(self.tables)
        columns = [
            field.name.value
            for field in self.named(table).fields
            if not field.arguments and field.name.value not in ("id", "organization_id")
        ]
        scalars = {node.name.value for node in self.of("scalar_type_definition", ENUM)} | {"String", "Int", "Boolean"}
        columns = [name for name in columns if named(member(self.named(table), name)) in scalars]
        return table, self.any(columns)

    def of_table(self, table: str) -> list[Node]:
        """The row type and all types that belong to it and to no other table with a longer name."""
        longer = [other for other in self.tables if other.startswith(f"{table}_")]
        return [
            node
            for node in self.of(OBJECT, INPUT, ENUM)
            if (node.name.value == table or node.name.value.startswith(f"{table}_"))
            and not any(node.name.value.startswith(other) for other in longer)
        ]

    def text(self) -> str:
        return print_ast(self.document)


def named(node: Node) -> str:
    type_ = node.type
    while hasattr(type_, "type"):
        type_ = type_.type
    return type_.name.value


def members(node: Node) -> list[Node]:
    return list(node.values if node.kind == ENUM else node.fields)


def member(node: Node, name: str) -> Node | None:
    return next((one for one in members(node) if one.name.value == name), None)


def set_members(node: Node, found: list[Node]) -> None:
    if node.kind == ENUM:
        node.values = tuple(found)
    else:
        node.fields = tuple(found)


def without(node: Node, name: str) -> None:
    set_members(node, [one for one in members(node) if one.name.value != name])


def snippet(text: str) -> Node:
    return parse(text, no_location=True).definitions[0]


# Changes of columns.


def column_removed(schema: Schema) -> str:
    table, column = schema.column()
    for node in schema.of_table(table):
        if len(members(node)) > 1:
            without(node, column)
    return f"{table}.{column}"


def column_added(schema: Schema) -> str:
    table, column = schema.column()
    for node in schema.of_table(table):
        like = member(node, column)
        if like:
            new = deepcopy(like)
            new.name.value = "new_column"
            set_members(node, [*members(node), new])
    return f"{table}.new_column"


def column_renamed(schema: Schema) -> str:
    table, column = schema.column()
    for node in schema.of_table(table):
        like = member(node, column)
        if like:
            like.name.value = f"{column}_renamed"
    return f"{table}.{column}"


def column_stricter_or_looser(schema: Schema) -> str:
    table, column = schema.column()
    field = member(schema.named(table), column)
    assert field
    field.type = (
        field.type.type
        if field.type.kind == "non_null_type"
        else snippet(f"type X {{ x: {named(field)}! }}").fields[0].type
    )
    return f"{table}.{column}"


def column_of_another_type(schema: Schema) -> str:
    table, column = schema.column()
    old = named(member(schema.named(table), column))
    new = "numeric" if old != "numeric" else "String"
    for node in schema.of_table(table):
        field = member(node, column)
        if field and node.kind != ENUM:
            inner = field.type
            while hasattr(inner, "type"):
                inner = inner.type
            if inner.name.value in (old, f"{old}_comparison_exp"):
                inner.name.value = inner.name.value.replace(old, new, 1)
    return f"{table}.{column}"


def table_removed(schema: Schema) -> str:
    table = schema.any(schema.tables)
    gone = {node.name.value for node in schema.of_table(table)}
    schema.document.definitions = tuple(
        node
        for node in schema.document.definitions
        if getattr(node, "name", None) is None or node.name.value not in gone
    )
    for node in schema.of(OBJECT, INPUT):
        set_members(node, [one for one in members(node) if named(one) not in gone])
    return table


def table_added(schema: Schema) -> str:
    text = """type app_130_new { id: Int! name: String }
    input app_130_new_bool_exp { id: Int_comparison_exp }"""
    root = schema.named("query_root")
    field = snippet("type X { app_130_new(where: app_130_new_bool_exp): [app_130_new!]! }").fields[0]
    set_members(root, [*members(root), field])
    schema.document.definitions = (*schema.document.definitions, *parse(text, no_location=True).definitions)
    return "app_130_new"


# Changes of one definition.


def right_lost(schema: Schema) -> str:
    root, field = schema.any(schema.fields(OBJECT, roots=True))
    without(root, field.name.value)
    return f"{root.name.value}.{field.name.value}"


def argument_removed(schema: Schema) -> str:
    node, field = schema.any(pair for pair in schema.fields(OBJECT, roots=True) if pair[1].arguments)
    gone = schema.any(field.arguments)
    field.arguments = tuple(one for one in field.arguments if one is not gone)
    return f"{node.name.value}.{field.name.value}({gone.name.value}:)"


def argument_added(schema: Schema) -> str:
    node, field = schema.any(schema.fields(OBJECT, roots=True))
    type_ = schema.any(["Int", "Int!", "Int! = 1"])
    new = snippet(f"type X {{ x(new_argument: {type_}): Int }}").fields[0].arguments[0]
    field.arguments = (*field.arguments, new)
    return f"{node.name.value}.{field.name.value}(new_argument: {type_})"


def argument_required(schema: Schema) -> str:
    node, field = schema.any(
        pair
        for pair in schema.fields(OBJECT, roots=True)
        if any(a.type.kind != "non_null_type" for a in pair[1].arguments)
    )
    chosen = schema.any(a for a in field.arguments if a.type.kind != "non_null_type")
    inner = print_ast(chosen.type)
    chosen.type = snippet(f"type X {{ x: {inner}! }}").fields[0].type
    return f"{node.name.value}.{field.name.value}({chosen.name.value}:)"


def argument_optional(schema: Schema) -> str:
    node, field = schema.any(
        pair
        for pair in schema.fields(OBJECT, roots=True)
        if any(a.type.kind == "non_null_type" for a in pair[1].arguments)
    )
    chosen = schema.any(a for a in field.arguments if a.type.kind == "non_null_type")
    chosen.type = chosen.type.type
    return f"{node.name.value}.{field.name.value}({chosen.name.value}:)"


def default_changed(schema: Schema) -> str:
    node, field = schema.any(
        pair for pair in schema.fields(OBJECT, roots=True) if any(named(a) == "Int" for a in pair[1].arguments)
    )
    chosen = schema.any(a for a in field.arguments if named(a) == "Int")
    chosen.default_value = snippet("type X { x(y: Int = 7): Int }").fields[0].arguments[0].default_value
    return f"{node.name.value}.{field.name.value}({chosen.name.value}:)"


def input_key_removed(schema: Schema) -> str:
    node, field = schema.any(pair for pair in schema.fields(INPUT) if len(pair[0].fields) > 1)
    without(node, field.name.value)
    return f"{node.name.value}.{field.name.value}"


def input_key_added(schema: Schema) -> str:
    node = schema.any(schema.of(INPUT))
    type_ = schema.any(["Int", "Int!"])
    set_members(node, [*members(node), snippet(f"input X {{ new_key: {type_} }}").fields[0]])
    return f"{node.name.value}.new_key: {type_}"


def input_key_required(schema: Schema) -> str:
    node, field = schema.any(pair for pair in schema.fields(INPUT) if pair[1].type.kind != "non_null_type")
    field.type = snippet(f"type X {{ x: {print_ast(field.type)}! }}").fields[0].type
    return f"{node.name.value}.{field.name.value}"


def enum_value_removed(schema: Schema) -> str:
    node = schema.any(one for one in schema.of(ENUM) if len(one.values) > 1)
    gone = schema.any(node.values)
    without(node, gone.name.value)
    return f"{node.name.value}.{gone.name.value}"


def enum_value_added(schema: Schema) -> str:
    node = schema.any(schema.of(ENUM))
    set_members(node, [*members(node), *snippet("enum X { new_value }").values])
    return f"{node.name.value}.new_value"


def deprecated(schema: Schema) -> str:
    node, field = schema.any(schema.fields(OBJECT))
    field.directives = snippet('type X { x: Int @deprecated(reason: "gone soon") }').fields[0].directives
    return f"{node.name.value}.{field.name.value}"


def described(schema: Schema) -> str:
    node, field = schema.any(schema.fields(OBJECT))
    field.description = snippet('type X { "said anew" x: Int }').fields[0].description
    return f"{node.name.value}.{field.name.value}"


COLUMNS: tuple[Callable[[Schema], str], ...] = (
    column_removed,
    column_added,
    column_renamed,
    column_stricter_or_looser,
    column_of_another_type,
    table_removed,
    table_added,
)
SINGLE: tuple[Callable[[Schema], str], ...] = (
    right_lost,
    argument_removed,
    argument_added,
    argument_required,
    argument_optional,
    default_changed,
    input_key_removed,
    input_key_added,
    input_key_required,
    enum_value_removed,
    enum_value_added,
    deprecated,
    described,
)


def change(text: str, seed: int) -> tuple[str, str]:
    """The changed schema, and what was done to what."""
    schema = Schema(text, seed)
    kind = schema.random.choice(schema.random.choice((COLUMNS, SINGLE)))
    what = kind(schema)
    return schema.text(), f"{kind.__name__} {what}"
