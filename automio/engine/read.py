"""What is read: a selection set -> fields of a Plan. Called by plan.py, and by write.py for what a mutation returns. Next: filter.py.

Fields follow the selection set: a column, an object relationship (one row or null), an array relationship (a list with the
arguments of a root list) and its aggregate. A table that a bound caller may not see has no fields at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from automio.engine.catalog import Catalog, Column, SqlType, Table
from automio.engine.document import Document, Selected
from automio.engine.filter import Filters, Tables, both, can_fail, is_true, names_of
from automio.engine.inputs import Fields, Input, Items, Leaf, Reader, Symbol
from automio.engine.permissions_types import Role
from automio.engine.plan_types import (
    AggregateField,
    Call,
    CallField,
    ColumnField,
    Comparison,
    Constant,
    Cursor,
    Everything,
    Field,
    GroupField,
    Introspection,
    Kind,
    ListField,
    NodesField,
    ObjectField,
    Order,
    Parameter,
    Predicate,
    RootField,
    Rows,
    StreamField,
    TypeName,
)
from automio.engine.refusal import Refusal
from automio.engine.schema import Action, Schema

_LONG = frozenset({"int8", "numeric", "float8"})


@dataclass(frozen=True, slots=True)
class Sight:
    """What a plan depends on besides the document: the tables, and how this caller sees them. `role` is None for the admin."""

    catalog: Catalog
    schema: Schema
    bound: bool
    stringify_numeric: bool = False
    role: Role | None = None


class ReadPlanner:
    """Plans reads: of root fields, and of what hangs below a row."""

    def __init__(self, document: Document, sight: Sight, reader: Reader) -> None:
        self.document = document
        self.sight = sight
        self.reader = reader
        self.tables = Tables(sight.catalog, sight.bound, sight.role)
        self.filters = Filters(self.tables)

    def root(self, selected: Selected) -> RootField:
        """A root field of a query, or a meta field of any operation."""
        if selected.name == "__typename":
            return TypeName(selected.key, self.document.root.name)
        if selected.name in ("__schema", "__type"):
            return Introspection(selected.key)
        found = self.sight.schema.roots.get(selected.name)
        if found is None:
            raise Refusal(f"field '{selected.name}' not found in type: '{self.document.root.name}'", selected.path)
        table = self.sight.catalog.tables[found.table]
        if not self.tables.sees(table):
            raise Refusal(f"field '{selected.name}' not found in type: '{self.document.root.name}'", selected.path)
        arguments = self.arguments(selected)
        if found.action is Action.BY_KEY:
            rows = Rows(self.tables.refer(table), where=by_key(table, arguments))
            return ObjectField(selected.key, rows, self.fields(table, selected))
        if found.action is Action.STREAM:
            return self._stream(table, arguments, selected)
        rows = self.filters.rows(table, arguments, selected.path)
        if found.action is Action.AGGREGATE:
            return AggregateField(selected.key, rows, self.aggregate(table, selected))
        return ListField(selected.key, self.filters.capped(table, rows), self.fields(table, selected))

    def _stream(self, table: Table, arguments: dict[str, Input], selected: Selected) -> StreamField:
        """The rows behind the cursor, in its order. One column makes the cursor, as in Hasura."""
        given: list[tuple[Column, Input, bool]] = []
        cursors = arguments["cursor"]
        for one in cursors.of if isinstance(cursors, Items) else ():
            assert isinstance(one, Fields)
            initial, ordering = one.of["initial_value"], one.of.get("ordering")
            assert isinstance(initial, Fields)
            backwards = isinstance(ordering, Symbol) and ordering.value == "DESC"
            given += [(table.columns[name], value, backwards) for name, value in initial.of.items()]
        if len(given) != 1:
            text = (
                "multiple column cursors are not supported yet" if given else "one streaming column field is expected"
            )
            raise Refusal(text, f"{selected.path}.args")
        column, value, backwards = given[0]
        start = column_parameter(column, value) if isinstance(value, Leaf) else _null(column)
        behind = Comparison(column.name, "_lt" if backwards else "_gt", Parameter(Cursor(), column.type, Kind.PLAIN))
        asked = {"limit": arguments["batch_size"]} | {key: arguments[key] for key in ("where",) if key in arguments}
        rows = self.filters.capped(table, self.filters.rows(table, asked, selected.path))
        rows = replace(
            rows,
            table=self.tables.refer(table, barrier=True) if can_fail(behind) else rows.table,
            where=both(behind, rows.where),
            order=(Order("desc" if backwards else "asc", column.name),),
            ties=True,
        )
        return StreamField(selected.key, rows, self.fields(table, selected), column.name, start)

    def arguments(self, selected: Selected) -> dict[str, Input]:
        """The arguments of a field (merged occurrences have equal ones)."""
        return self.reader.arguments(selected.definition, selected.nodes[0], selected.path)

    def fields(self, table: Table, selected: Selected) -> tuple[Field, ...]:
        """What is asked about a row of the table."""
        return tuple(self._field(table, one) for one in self.document.select(selected, self.reader))

    def _field(self, table: Table, selected: Selected) -> Field:
        key, name = selected.key, selected.name
        if name == "__typename":
            return TypeName(key, table.type_name)
        column = table.columns.get(name)
        if column is not None:
            return ColumnField(key, name, self._json_path(selected), self._as_text(column))
        relationship = table.relationships.get(name) or table.relationships[name.removesuffix("_aggregate")]
        other = self.sight.catalog.tables[relationship.target]
        if not self.tables.sees(other):
            raise Refusal(f"field '{name}' not found in type: '{table.name}'", selected.path)
        pairs = tuple((there, here) for here, there in relationship.pairs)
        if not relationship.many:
            return ObjectField(key, Rows(self.tables.refer(other), pairs), self.fields(other, selected))
        rows = self.filters.rows(other, self.arguments(selected), selected.path, pairs)
        if name == relationship.name:
            return ListField(key, self.filters.capped(other, rows), self.fields(other, selected))
        return AggregateField(key, rows, self.aggregate(other, selected))

    def _json_path(self, selected: Selected) -> Parameter | None:
        path = self.arguments(selected).get("path") if selected.definition.args else None
        if not isinstance(path, Leaf):
            return None
        return Parameter(path.source, SqlType("text", array=True), Kind.JSON_PATH, path=path.path)

    def _as_text(self, column: Column) -> bool:
        return self.sight.stringify_numeric and column.type.name in _LONG and not column.type.array

    def aggregate(self, table: Table, selected: Selected) -> tuple[GroupField | NodesField | TypeName, ...]:
        """What is asked about a set of rows: `aggregate` and `nodes`."""
        found: list[GroupField | NodesField | TypeName] = []
        for one in self.document.select(selected, self.reader):
            if one.name == "nodes":
                found.append(NodesField(one.key, self.fields(table, one), self.filters.most(table)))
            elif one.name == "__typename":
                found.append(TypeName(one.key, selected.kind.name))
            else:
                fields = tuple(self._value(table, one, value) for value in self.document.select(one, self.reader))
                found.append(GroupField(one.key, fields))
        return tuple(found)

    def _value(self, table: Table, parent: Selected, selected: Selected) -> CallField | TypeName | GroupField:
        if selected.name == "__typename":
            return TypeName(selected.key, parent.kind.name)
        if selected.name == "count":
            arguments = self.arguments(selected)
            columns = names_of(arguments.get("columns"))
            return CallField(selected.key, Call("count", columns, is_true(arguments.get("distinct"))))
        function, fields = selected.name, []
        for one in self.document.select(selected, self.reader):
            if one.name == "__typename":
                fields.append(TypeName(one.key, selected.kind.name))
                continue
            column = table.columns[one.name]
            text = self._as_text(column) and function in ("sum", "max", "min")
            fields.append(CallField(one.key, Call(function, (one.name,), type=column.type), text))
        return GroupField(selected.key, tuple(fields))


def by_key(table: Table, given: dict[str, Input] | Fields) -> Predicate:
    """The row with this primary key."""
    values = given.of if isinstance(given, Fields) else given
    parts: list[Comparison] = []
    for name in table.primary_key:
        leaf = values[name]
        assert isinstance(leaf, Leaf)
        parts.append(Comparison(name, "_eq", column_parameter(table.columns[name], leaf)))
    return parts[0] if len(parts) == 1 else Everything(tuple(parts))


def _null(column: Column) -> Parameter:
    return Parameter(Constant("null", None), column.type)


def column_parameter(column: Column, leaf: Leaf, kind: Kind = Kind.COLUMN, path: str = "") -> Parameter:
    """A value for a column; `path` replaces the leaf's own place in faults."""
    return Parameter(leaf.source, column.type, kind, graphql=leaf.graphql, path=path or leaf.path)
