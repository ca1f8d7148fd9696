"""Catalog -> the input types of Hasura's dialect: filters, orders, rows to write. The lower half of schema.py.

Types are built when something reaches them and kept by name, so each exists once and a table without an array relationship
to it has no `<table>_aggregate_bool_exp`, as in Hasura.

Facts that the GraphQL types cannot say travel in `extensions`, for inputs.py:
- an input object's `nulls`: whether an explicit null in it is an error (filters, comparisons, increments), SQL's NULL (rows
  to insert, values to set) or the same as absent (everything else);
- an input field's `symbol`: its boolean chooses the SQL text (`_is_null`, `distinct`), so the value belongs to the plan;
- an input field's `fillable`: a missing value may be sent as NULL, since the column has no default;
- a type's `unserved`: what would be a field of it in Hasura and is not supported here, with its name for the text of the fault;
- an enum's `choices`: its names are values of a column (an enum table), not a part of the plan.

Names: fields are collected under the names that the planner knows (a column's in PostgreSQL, Hasura's own words in
hasura-default: `order_by`, `affected_rows`), and get their GraphQL names when a type is made. The planner's name stays in
`out_name` of inputs and arguments, in the extension `means` of fields of answers, and as the value of an enum: inputs.py and
document.py translate back, so behind them a name is never GraphQL's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
)

from automio.engine.catalog import Catalog, Column, Relationship, SqlType, Table, is_name
from automio.engine.naming import field_name, plain_type, symbol, type_name
from automio.engine.view import ADMIN, View

INT: Any = GraphQLInt
BOOLEAN: Any = GraphQLBoolean
FLOAT: Any = GraphQLFloat
STRING: Any = GraphQLString

STATISTICS = ("avg", "stddev", "stddev_pop", "stddev_samp", "sum", "var_pop", "var_samp", "variance")
EXTREMES = ("max", "min")
NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
COMPARABLE = NUMBERS | frozenset(
    "text varchar bpchar citext money date time timetz timestamp timestamptz interval uuid".split()
)
TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})

_JSON_UPDATES = {
    "_append": ("append", "append existing jsonb value of filtered columns with new jsonb value"),
    "_delete_at_path": (
        "delete_at_path",
        "delete the field or element with specified path (for JSON arrays, negative integers count from the end)",
    ),
    "_delete_elem": (
        "delete_elem",
        "delete the array element with specified index (negative integers count from the end). "
        "throws an error if top level container is not an array",
    ),
    "_delete_key": (
        "delete_key",
        "delete key/value pair or string element. key/value pairs are matched based on their key value",
    ),
    "_prepend": ("prepend", "prepend existing jsonb value of filtered columns with new jsonb value"),
}
_INC = "increments the numeric columns with given value of the filtered values"
_SET = "sets the columns of the filtered rows to the given values"
_PATTERNS = {
    "_ilike": "does the column match the given case-insensitive pattern",
    "_iregex": "does the column match the given POSIX regular expression, case insensitive",
    "_like": "does the column match the given pattern",
    "_nilike": "does the column NOT match the given case-insensitive pattern",
    "_niregex": "does the column NOT match the given POSIX regular expression, case insensitive",
    "_nlike": "does the column NOT match the given pattern",
    "_nregex": "does the column NOT match the given POSIX regular expression, case sensitive",
    "_nsimilar": "does the column NOT match the given SQL regular expression",
    "_regex": "does the column match the given POSIX regular expression, case sensitive",
    "_similar": "does the column match the given SQL regular expression",
}


LTREE_OPERANDS = {
    "_ancestor": "ltree",
    "_ancestor_any": "ltree",
    "_descendant": "ltree",
    "_descendant_any": "ltree",
    "_matches": "lquery",
    "_matches_any": "lquery",
    "_matches_fulltext": "ltxtquery",
}
"""The operators of ltree columns -> the type that they compare with; `_any` takes a list."""
_LTREE_TEXTS = {
    "_ancestor": "is the left argument an ancestor of right (or equal)?",
    "_ancestor_any": "does array contain an ancestor of `ltree`?",
    "_descendant": "is the left argument a descendant of right (or equal)?",
    "_descendant_any": "does array contain a descendant of `ltree`?",
    "_matches": "does `ltree` match `lquery`?",
    "_matches_any": "does `ltree` match any `lquery` in array?",
    "_matches_fulltext": "does `ltree` match `ltxtquery`?",
}


class Nulls(Enum):
    """What an explicit null means inside an input object."""

    REFUSED = "refused"
    KEPT = "kept"
    IGNORED = "ignored"


def is_number(column: Column) -> bool:
    """Has sum, avg and the other statistics, and `_inc`."""
    return column.type.name in NUMBERS and not column.type.array


def is_comparable(column: Column) -> bool:
    """Has max and min. Types of other schemas (enums, extensions) count as comparable, as in Hasura."""
    return (column.type.name in COMPARABLE or column.type.schema != "pg_catalog") and not column.type.array


def is_json(column: Column) -> bool:
    """Has the jsonb operators."""
    return column.type.name == "jsonb" and not column.type.array


def is_boolean(column: Column) -> bool:
    """Has bool_and and bool_or in aggregate predicates."""
    return column.type.name == "bool" and not column.type.array


def is_text(column: Column) -> bool:
    """Has the pattern operators."""
    return column.type.name in TEXTS and not column.type.array


class InputTypes:
    """Makes and keeps the input types of one catalog, as one view of it shows."""

    def __init__(self, catalog: Catalog, view: View = ADMIN) -> None:
        self.catalog = catalog
        self.view = view
        self.naming = catalog.naming
        self.types: dict[str, Any] = {"Int": INT, "Boolean": BOOLEAN, "Float": FLOAT, "String": STRING}

    def functions(self, table: Table) -> dict[str, list[Column]]:
        """Aggregate function -> the columns that have it."""
        columns = self.view.readable(table)
        numbers = [c for c in columns if is_number(c)]
        comparable = [c for c in columns if is_comparable(c)]
        found = {name: numbers for name in STATISTICS if numbers}
        return found | {name: comparable for name in EXTREMES if comparable}

    # ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def type_of(self, table: Table, suffix: str) -> str:
        """The name of a type that belongs to a table."""
        return type_name(self.naming, table.type_name, suffix)

    def in_order(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Fields, arguments or input fields under their GraphQL names, in order of these."""
        found: dict[str, Any] = {}
        for means, one in fields.items():
            name = one.extensions.get("name") or field_name(self.naming, means)
            if isinstance(one, GraphQLField):
                one.extensions["means"] = means
                one.args = self.in_order(one.args)
            else:
                one.out_name = means
            found[name] = one
        return dict(sorted(found.items()))

    def others(self, table: Table) -> Iterable[tuple[Relationship, Table]]:
        """The relationships that lead to tables which are seen."""
        for relationship in table.relationships.values():
            other = self.catalog.tables[relationship.target]
            if self.view.reads(other):
                yield relationship, other

    def shows(self, table: Table) -> bool:
        """Whether its row type has a field: a role may see aggregates of a table, and none of its columns."""
        return bool(self.view.readable(table)) or any(self.view.readable(other) for _, other in self.others(table))

    def orders(self, table: Table) -> bool:
        """Whether its rows can be ordered by anything."""
        return bool(self.view.readable(table)) or any(
            self.view.aggregates(other) if one.many else self.view.readable(other) for one, other in self.others(table)
        )

    # ── filters and orders ──────────────────────────────────────────────────────────────────────────────────────────

    def _input(
        self, name: str, fields: Callable[[], Mapping[str, GraphQLInputField]], description: str | None, nulls: Nulls
    ) -> GraphQLInputObjectType:
        if name not in self.types:
            self.types[name] = GraphQLInputObjectType(
                name, lambda: self.in_order(fields()), description=description, extensions={"nulls": nulls}
            )
        return self.types[name]

    def bool_exp(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            this = self.bool_exp(table)
            found = {
                "_and": GraphQLInputField(listed(this)),
                "_not": GraphQLInputField(this),
                "_or": GraphQLInputField(listed(this)),
            }
            for column in self.view.readable(table):
                found[column.name] = GraphQLInputField(self.comparison(column), extensions={"name": column.field})
            for relationship, other in self.others(table):
                found[relationship.name] = self._related(relationship, self.bool_exp(other))
                if relationship.many and self.view.aggregates(other):
                    found[f"{relationship.name}_aggregate"] = GraphQLInputField(self.aggregate_bool_exp(other))
            return found

        text = f"Boolean expression to filter rows from the table \"{table.name}\". All fields are combined with a logical 'AND'."
        return self._input(self.type_of(table, "bool_exp"), fields, text, Nulls.REFUSED)

    def _related(self, relationship: Relationship, kind: Any) -> GraphQLInputField:
        return GraphQLInputField(kind, extensions={"name": relationship.name})

    def comparison(self, column: Column) -> GraphQLInputObjectType:
        kind = self.column_type(column)
        suffix = "array_comparison_exp" if column.type.array else "comparison_exp"
        name = type_name(self.naming, column.scalar, suffix)

        def fields() -> Mapping[str, GraphQLInputField]:
            found = {f"_{one}": GraphQLInputField(kind) for one in ("eq", "gt", "gte", "lt", "lte", "neq")}
            found |= {one: GraphQLInputField(listed(kind)) for one in ("_in", "_nin")}
            found["_is_null"] = symbol_field(BOOLEAN)
            if is_text(column):
                found |= {one: GraphQLInputField(kind, description=text) for one, text in _PATTERNS.items()}
            if column.type.array:
                text = "is the array contained in the given array value"
                found["_contained_in"] = GraphQLInputField(kind, description=text)
                found["_contains"] = GraphQLInputField(kind, description="does the array contain the given value")
            elif is_json(column):
                found |= self._json_comparisons(kind)
            elif column.type.name == "ltree":
                found |= self._tree_comparisons()
            return found

        text = f"Boolean expression to compare columns of type \"{column.scalar}\". All fields are combined with logical 'AND'."
        return self._input(name, fields, text, Nulls.REFUSED)

    def _tree_comparisons(self) -> dict[str, GraphQLInputField]:
        found: dict[str, GraphQLInputField] = {}
        for operator, name in LTREE_OPERANDS.items():
            kind = self.types.setdefault(name, GraphQLScalarType(name))
            given = listed(kind) if operator.endswith("_any") else kind
            found[operator] = GraphQLInputField(given, description=_LTREE_TEXTS[operator])
        return found

    def _json_comparisons(self, kind: Any) -> dict[str, GraphQLInputField]:
        text = Column("", type=_TEXT, scalar="String", nullable=True)
        cast = self._input(
            plain_type(self.naming, "jsonb_cast_exp"),
            lambda: {"String": GraphQLInputField(self.comparison(text))},
            None,
            Nulls.REFUSED,
        )
        keys = listed(STRING)
        return {
            "_cast": GraphQLInputField(cast),
            "_contained_in": GraphQLInputField(kind, description="is the column contained in the given json value"),
            "_contains": GraphQLInputField(
                kind, description="does the column contain the given json value at the top level"
            ),
            "_has_key": GraphQLInputField(STRING, description="does the string exist as a top-level key in the column"),
            "_has_keys_all": GraphQLInputField(
                keys, description="do all of these strings exist as top-level keys in the column"
            ),
            "_has_keys_any": GraphQLInputField(
                keys, description="do any of these strings exist as top-level keys in the column"
            ),
        }

    def aggregate_bool_exp(self, table: Table) -> GraphQLInputObjectType:
        name = self.type_of(table, "aggregate_bool_exp")
        booleans = [c for c in self.view.readable(table) if is_boolean(c)]

        def one(function: str, arguments: Any, predicate: str) -> GraphQLInputField:
            def fields() -> Mapping[str, GraphQLInputField]:
                return {
                    **({"arguments": GraphQLInputField(arguments)} if arguments else {}),
                    "distinct": symbol_field(BOOLEAN),
                    "filter": GraphQLInputField(self.bool_exp(table)),
                    "predicate": GraphQLInputField(
                        GraphQLNonNull(self.comparison(_INT if predicate == "Int" else _BOOL))
                    ),
                }

            return GraphQLInputField(self._input(type_name(self.naming, name, function), fields, None, Nulls.IGNORED))

        def fields() -> Mapping[str, GraphQLInputField]:
            columns = self.columns_enum(table, "select_column", "select columns of table", self.view.readable(table))
            found = {"count": one("count", listed(columns) if columns else None, "Int")}
            for function in ("bool_and", "bool_or") if booleans else ():
                suffix = type_name(self.naming, name, f"{function}_arguments_columns")
                text = f'select "{suffix}" columns of table'
                chosen: Any = self.columns_enum(table, f"select_column_{suffix}", text, booleans)
                found[function] = one(function, GraphQLNonNull(chosen), "Boolean")
            return found

        return self._input(name, fields, None, Nulls.REFUSED)

    def order_by(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            found = {
                c.name: GraphQLInputField(self.direction(), extensions={"name": c.field})
                for c in self.view.readable(table)
            }
            for relationship, other in self.others(table):
                if not relationship.many:
                    if self.orders(other):
                        found[relationship.name] = self._related(relationship, self.order_by(other))
                elif self.view.aggregates(other):
                    found[f"{relationship.name}_aggregate"] = GraphQLInputField(self.aggregate_order_by(other))
            return found

        text = f'Ordering options when selecting data from "{table.name}".'
        return self._input(self.type_of(table, "order_by"), fields, text, Nulls.IGNORED)

    def aggregate_order_by(self, table: Table) -> GraphQLInputObjectType:
        def function(name: str, columns: list[Column]) -> GraphQLInputField:
            def fields() -> Mapping[str, GraphQLInputField]:
                return {
                    c.name: GraphQLInputField(self.direction(), description=c.comment, extensions={"name": c.field})
                    for c in columns
                }

            text = f'order by {name}() on columns of table "{table.name}"'
            return GraphQLInputField(self._input(self.type_of(table, f"{name}_order_by"), fields, text, Nulls.IGNORED))

        def fields() -> Mapping[str, GraphQLInputField]:
            found = {name: function(name, columns) for name, columns in self.functions(table).items()}
            return {**found, "count": GraphQLInputField(self.direction())}

        text = f'order by aggregate values of table "{table.name}"'
        return self._input(self.type_of(table, "aggregate_order_by"), fields, text, Nulls.IGNORED)

    def direction(self) -> GraphQLEnumType:
        name = plain_type(self.naming, "order_by")
        if name not in self.types:
            texts = {
                f"{way}{tail}": f"in {way}ending order, nulls {nulls}"
                for way in ("asc", "desc")
                for tail, nulls in (
                    ("", "last" if way == "asc" else "first"),
                    ("_nulls_first", "first"),
                    ("_nulls_last", "last"),
                )
            }
            values = {symbol(self.naming, key): (key, text) for key, text in texts.items()}
            self.types[name] = enum_type(name, values, "column ordering options")
        return self.types[name]

    # ── rows that are written ───────────────────────────────────────────────────────────────────────────────────────

    def _column_inputs(
        self, columns: Iterable[Column], kind: Callable[[Column], Any] | None = None
    ) -> dict[str, GraphQLInputField]:
        return {
            c.name: GraphQLInputField(
                kind(c) if kind else self.column_type(c),
                description=c.comment,
                extensions={"fillable": not c.has_default, "name": c.field},
            )
            for c in columns
        }

    def insert_input(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            found = self._column_inputs(self.view.insertable(table) or ())
            for relationship in table.relationships.values():
                other = self.catalog.tables[relationship.target]
                if other.type_name and self.view.insertable(other) is not None:
                    kind = self.relationship_input(other, relationship.many)
                    found[relationship.name] = self._related(relationship, kind)
            return found

        text = f'input type for inserting data into table "{table.name}"'
        return self._input(self.type_of(table, "insert_input"), fields, text, Nulls.KEPT)

    def relationship_input(self, table: Table, many: bool) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            rows = self.insert_input(table)
            found = {"data": GraphQLInputField(GraphQLNonNull(listed(rows) if many else rows))}
            if self.upserts(table):
                found["on_conflict"] = GraphQLInputField(self.on_conflict(table), description="upsert condition")
            return found

        name = self.type_of(table, f"{'arr' if many else 'obj'}_rel_insert_input")
        text = f'input type for inserting {"array" if many else "object"} relation for remote table "{table.name}"'
        return self._input(name, fields, text, Nulls.IGNORED)

    def upserts(self, table: Table) -> bool:
        """Whether inserts into the table take `on_conflict`."""
        return any(is_name(key.name) for key in table.keys) and self.view.upserts(table)

    def on_conflict(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            writable = self.view.updatable(table) or ()
            columns: Any = self.columns_enum(table, "update_column", "update columns of table", writable, True)
            return {
                "constraint": GraphQLInputField(GraphQLNonNull(self.constraint(table))),
                "update_columns": GraphQLInputField(GraphQLNonNull(listed(columns)), []),
                "where": GraphQLInputField(self.bool_exp(table)),
            }

        text = f'on_conflict condition type for table "{table.name}"'
        return self._input(self.type_of(table, "on_conflict"), fields, text, Nulls.IGNORED)

    def constraint(self, table: Table) -> GraphQLEnumType:
        name = self.type_of(table, "constraint")
        if name not in self.types:
            prefix = "unique or primary key constraint on columns "
            texts = {
                symbol(self.naming, key.name): (key.name, prefix + ", ".join(f'"{c}"' for c in key.columns))
                for key in table.keys
                if is_name(key.name)
            }
            self.types[name] = enum_type(name, texts, f'unique or primary key constraints on table "{table.name}"')
        return self.types[name]

    def changes(self, table: Table) -> dict[str, tuple[GraphQLInputObjectType, str]]:
        """Update operator -> (its input type, its description), in order of name."""
        writable = list(self.view.updatable(table) or ())
        numbers, documents = [c for c in writable if is_number(c)], [c for c in writable if is_json(c)]
        found: dict[str, tuple[GraphQLInputObjectType, str]] = {}
        for operator, (name, text) in _JSON_UPDATES.items() if documents else ():
            kinds = {
                "_delete_at_path": listed(STRING),
                "_delete_elem": INT,
                "_delete_key": STRING,
            }
            found[operator] = (self._change(table, name, documents, text, kinds.get(operator)), text)
        if numbers:
            text = f'input type for incrementing numeric columns in table "{table.name}"'
            found["_inc"] = (self._change(table, "inc", numbers, text), _INC)
        text = f'input type for updating data in table "{table.name}"'
        found["_set"] = (self._change(table, "set", writable, text, nulls=Nulls.KEPT), _SET)
        return dict(sorted(found.items()))

    def _change(
        self, table: Table, name: str, columns: list[Column], text: str, kind: Any = None, nulls: Nulls = Nulls.REFUSED
    ) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            return self._column_inputs(columns, (lambda _: kind) if kind else None)

        return self._input(self.type_of(table, f"{name}_input"), fields, text, nulls)

    def pk_columns_input(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            columns = [table.columns[name] for name in table.primary_key]
            return self._column_inputs(columns, lambda c: GraphQLNonNull(self.column_type(c)))

        text = f"primary key columns input for table: {table.name}"
        return self._input(self.type_of(table, "pk_columns_input"), fields, text, Nulls.REFUSED)

    def updates(self, table: Table) -> GraphQLInputObjectType:
        def fields() -> Mapping[str, GraphQLInputField]:
            found = {
                key: GraphQLInputField(kind, description=text) for key, (kind, text) in self.changes(table).items()
            }
            where = GraphQLNonNull(self.bool_exp(table))
            return {**found, "where": GraphQLInputField(where, description="filter the rows which have to be updated")}

        return self._input(self.type_of(table, "updates"), fields, None, Nulls.IGNORED)

    def stream_cursor(self, table: Table) -> GraphQLInputObjectType:
        def values() -> Mapping[str, GraphQLInputField]:
            return self._column_inputs(self.view.readable(table))

        def fields() -> Mapping[str, GraphQLInputField]:
            ordering = plain_type(self.naming, "cursor_ordering")
            if ordering not in self.types:
                texts = {"ASC": "ascending ordering of the cursor", "DESC": "descending ordering of the cursor"}
                named = {key: (key, text) for key, text in texts.items()}
                self.types[ordering] = enum_type(ordering, named, "ordering argument of a cursor")
            text = "Initial value of the column from where the streaming should start"
            value = self._input(self.type_of(table, "stream_cursor_value_input"), values, text, Nulls.KEPT)
            return {
                "initial_value": GraphQLInputField(
                    GraphQLNonNull(value), description="Stream column input with initial value"
                ),
                "ordering": GraphQLInputField(self.types[ordering], description="cursor ordering"),
            }

        text = f'Streaming cursor of the table "{table.name}"'
        return self._input(self.type_of(table, "stream_cursor_input"), fields, text, Nulls.IGNORED)

    # ── leaves ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def column_type(self, column: Column) -> Any:
        kind = self.types.get(column.scalar)
        if kind is None:
            if column.choices:
                values = {one: (one, text) for one, text in sorted(column.choices.values.items())}
                kind = enum_type(column.scalar, values, None, {"choices": column.choices})
            else:
                kind = GraphQLScalarType(column.scalar)
            self.types[column.scalar] = kind
        return listed(kind) if column.type.array else kind

    def columns_enum(
        self, table: Table, suffix: str, text: str, columns: Iterable[Column], always: bool = False
    ) -> GraphQLEnumType | None:
        """The enum of these columns; None without any, since GraphQL has no empty enum, or (`always`) Hasura's placeholder."""
        name = self.type_of(table, suffix)
        values: dict[str, tuple[str, str | None]] = {
            c.field: (c.name, "column name") for c in sorted(columns, key=lambda c: c.field)
        }
        if not values and not always:
            return None
        if name not in self.types:
            placeholder = {"_PLACEHOLDER": ("_PLACEHOLDER", "placeholder (do not use)")}
            self.types[name] = enum_type(name, values or placeholder, f'{text} "{table.name}"')
        return self.types[name]


_TEXT = SqlType("text")
_INT = Column("", type=SqlType("int4"), scalar="Int", nullable=True)
_BOOL = Column("", type=SqlType("bool"), scalar="Boolean", nullable=True)


def listed(kind: Any) -> GraphQLList[Any]:
    return GraphQLList(GraphQLNonNull(kind))


def rows_of(kind: Any) -> GraphQLNonNull[Any]:
    return GraphQLNonNull(listed(kind))


def enum_type(
    name: str,
    values: Mapping[str, tuple[str, str | None]],
    description: str | None,
    extensions: dict[str, Any] | None = None,
) -> Any:
    """`values`: GraphQL's name -> (what it means to the planner, its description)."""
    made = {key: GraphQLEnumValue(means, description=text) for key, (means, text) in values.items()}
    return GraphQLEnumType(name, made, description=description, extensions=extensions)


def symbol_argument(kind: Any) -> GraphQLArgument:
    return GraphQLArgument(kind, extensions={"symbol": True})


def symbol_field(kind: Any) -> GraphQLInputField:
    return GraphQLInputField(kind, extensions={"symbol": True})
