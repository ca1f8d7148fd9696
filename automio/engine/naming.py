"""What GraphQL calls things, in Hasura's two conventions. Used by resolve.py and the two schema files; no state.

hasura-default: names of the database as they are, words joined by `_` (`insert_orders_one`, `orders_bool_exp`).
graphql-default: fields, arguments and root fields in camelCase (`insertOrdersOne`), types in PascalCase (`OrdersBoolExp`), the
values of `order_by` and of constraints in upper case. A custom name stands as it was given; what is joined to it follows the convention.
A leading `_` stays: `_is_null` is `_isNull`.
"""

from __future__ import annotations

from automio.engine.metadata_types import Naming


def camel(name: str) -> str:
    """`order_lines` -> `orderLines`."""
    lead = len(name) - len(name.lstrip("_"))
    first, *rest = name[lead:].split("_")
    return name[:lead] + first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in rest)


def pascal(name: str) -> str:
    """`order_lines` -> `OrderLines`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def field_name(naming: Naming, name: str) -> str:
    """A column, an argument, a field of an answer or of an input."""
    return camel(name) if naming is Naming.GRAPHQL else name


def row_type(naming: Naming, name: str, custom: bool) -> str:
    """The type of a table's rows; `custom`: the name was chosen by somebody."""
    return pascal(name) if naming is Naming.GRAPHQL and not custom else name


def type_name(naming: Naming, row: str, suffix: str) -> str:
    """A type that belongs to a row type, or to a scalar: `orders` + `bool_exp`."""
    if naming is Naming.GRAPHQL:
        return row[:1].upper() + row[1:] + pascal(suffix)
    return f"{row}_{suffix}"


def plain_type(naming: Naming, name: str) -> str:
    """A type of no table: `order_by`, `cursor_ordering`, `jsonb_cast_exp`."""
    return pascal(name) if naming is Naming.GRAPHQL else name


def symbol(naming: Naming, name: str) -> str:
    """A value of `order_by` or of a constraint enum."""
    return name.upper() if naming is Naming.GRAPHQL else name


ROOTS = {
    "select": "{}",
    "select_by_pk": "{}_by_pk",
    "select_aggregate": "{}_aggregate",
    "select_stream": "{}_stream",
    "insert": "insert_{}",
    "insert_one": "insert_{}_one",
    "update": "update_{}",
    "update_by_pk": "update_{}_by_pk",
    "update_many": "update_{}_many",
    "delete": "delete_{}",
    "delete_by_pk": "delete_{}_by_pk",
}
"""Hasura's key of a root field -> its name around the table's."""


def root_name(naming: Naming, key: str, row: str, custom: bool) -> str:
    """The name of a root field; `row` is the row type's name."""
    if naming is Naming.HASURA:
        return ROOTS[key].format(row)
    before, _, after = ROOTS[key].partition("{}")
    inner = row if not before and custom else row[:1].upper() + row[1:]
    if not before and not custom:
        inner = row[:1].lower() + row[1:]
    return f"{before.rstrip('_')}{inner}{pascal(after.lstrip('_'))}"
