"""Catalog -> the GraphQL schema that Hasura v2 would serve for it, as graphql-core objects. Next: document.py.

Comes in: a Catalog. Goes out: `Schema`, holding the graphql-core schema (validation and introspection run on it) and the root
fields by name: what each of them does and with which table. Names, order (alphabetical), descriptions and arguments are
Hasura's. Root fields and the types of rows and answers are made here, input types in schema_inputs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    specified_directives,
)

from automio.engine.catalog import Catalog, Column, SqlType, Table
from automio.engine.naming import root_name
from automio.engine.schema_inputs import (
    BOOLEAN,
    EXTREMES,
    FLOAT,
    INT,
    STRING,
    InputTypes,
    is_json,
    listed,
    rows_of,
    symbol_argument,
)
from automio.engine.view import ADMIN, View


class Action(Enum):
    """What a root field does."""

    SELECT = "select"
    BY_KEY = "select by key"
    AGGREGATE = "aggregate"
    STREAM = "stream"
    INSERT = "insert"
    INSERT_ONE = "insert one"
    UPDATE = "update"
    UPDATE_BY_KEY = "update by key"
    UPDATE_MANY = "update many"
    DELETE = "delete"
    DELETE_BY_KEY = "delete by key"


@dataclass(frozen=True, slots=True)
class Root:
    """A root field: its action and its table (a key of Catalog.tables)."""

    action: Action
    table: str


@dataclass(frozen=True, slots=True)
class Schema:
    """`roots` are all root fields by name (a name means one thing in all three operations)."""

    graphql: GraphQLSchema
    roots: Mapping[str, Root]


_ACTIONS = {
    "select": Action.SELECT,
    "select_by_pk": Action.BY_KEY,
    "select_aggregate": Action.AGGREGATE,
    "select_stream": Action.STREAM,
    "insert": Action.INSERT,
    "insert_one": Action.INSERT_ONE,
    "update": Action.UPDATE,
    "update_by_pk": Action.UPDATE_BY_KEY,
    "update_many": Action.UPDATE_MANY,
    "delete": Action.DELETE,
    "delete_by_pk": Action.DELETE_BY_KEY,
}


def build_schema(catalog: Catalog, view: View = ADMIN) -> Schema:
    """The schema of what the view shows of the catalog. Without tables there is one placeholder field, as in Hasura."""
    return _Builder(catalog, view).build()


class _Builder(InputTypes):
    def __init__(self, catalog: Catalog, view: View) -> None:
        super().__init__(catalog, view)
        self.roots: dict[str, Root] = {}
        self.subscription: dict[str, GraphQLField] = {}

    def build(self) -> Schema:
        query: dict[str, GraphQLField] = {}
        mutation: dict[str, GraphQLField] = {}
        subscription = self.subscription
        for table in self.catalog.tables.values():
            if table.type_name:
                if self.view.reads(table):
                    self._reads(table, query, subscription)
                self._writes(table, mutation)
        if not query:
            note = "There are no queries available to the current role. Either there are no sources or roles configured, or the role doesn't have any permissions."
            query["no_queries_available"] = GraphQLField(GraphQLNonNull(STRING), description=note)
        cached = GraphQLDirective(
            "cached",
            [DirectiveLocation.QUERY],
            {
                "ttl": GraphQLArgument(GraphQLNonNull(INT), 60, description="measured in seconds"),
                "refresh": GraphQLArgument(GraphQLNonNull(BOOLEAN), False, description="refresh the cache entry"),
            },
            description="whether this query should be cached (Hasura Cloud only)",
        )
        operations: list[GraphQLObjectType | None] = [
            self._root_type("query_root", query),
            self._root_type("mutation_root", mutation, "mutation root") if mutation else None,
            self._root_type("subscription_root", subscription) if subscription else None,
        ]
        schema = GraphQLSchema(
            *operations, directives=[*specified_directives, cached], types=_reached(one for one in operations if one)
        )
        return Schema(schema, self.roots)

    # ── root fields ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _root(
        self,
        fields: dict[str, GraphQLField],
        key: str,
        table: Table,
        make: Callable[[str | None], GraphQLField],
        text: str,
    ) -> None:
        """A root field under Hasura's key, if the view has it. A name that is taken stays the earlier table's (tables come
        in order of name). `make` gets the description: the configured one, "" for none, else `text` about the table."""
        if not self.view.serves(table, key, fields is self.subscription):
            return
        configured = table.config.custom_root_fields.get(key)
        name = configured.name if configured else None
        comment = configured.comment if configured else None
        if not name:
            name = root_name(self.naming, key, table.type_name, table.config.custom_name is not None)
        root = Root(_ACTIONS[key], table.reference)
        if self.roots.setdefault(name, root) == root:
            tail = " using primary key columns" if key == "select_by_pk" else ""
            field = make(f'{text}: "{table.name}"{tail}' if comment is None else comment or None)
            field.extensions["name"] = name
            fields[name] = field

    def _reads(self, table: Table, query: dict[str, GraphQLField], subscription: dict[str, GraphQLField]) -> None:
        row, columns = self.row(table), self.view.readable(table)
        for fields in (query, subscription):

            def select(text: str | None) -> GraphQLField:
                return GraphQLField(rows_of(row), self.list_arguments(table), description=text)

            def aggregate(text: str | None) -> GraphQLField:
                result = GraphQLNonNull(self.aggregate(table))
                return GraphQLField(result, self.list_arguments(table), description=text)

            def by_key(text: str | None) -> GraphQLField:
                return GraphQLField(row, self.key_arguments(table), description=text)

            if self.shows(table):
                self._root(fields, "select", table, select, "fetch data from the table")
            if self.view.aggregates(table):
                self._root(fields, "select_aggregate", table, aggregate, "fetch aggregated fields from the table")
            if self._has_key(table):
                self._root(fields, "select_by_pk", table, by_key, "fetch data from the table")
        if not columns:
            return

        def stream(text: str | None) -> GraphQLField:
            arguments = {
                "batch_size": GraphQLArgument(
                    GraphQLNonNull(INT), description="maximum number of rows returned in a single batch"
                ),
                "cursor": GraphQLArgument(
                    GraphQLNonNull(GraphQLList(self.stream_cursor(table))),
                    description="cursor to stream the results returned by the query",
                ),
                "where": GraphQLArgument(self.bool_exp(table), description="filter the rows returned"),
            }
            return GraphQLField(rows_of(row), arguments, description=text)

        self._root(subscription, "select_stream", table, stream, "fetch data from the table in a streaming manner")

    def _has_key(self, table: Table) -> bool:
        """Whether a row can be asked for by its primary key."""
        seen = {column.name for column in self.view.readable(table)}
        return bool(table.primary_key) and seen >= set(table.primary_key)

    def _writes(self, table: Table, mutation: dict[str, GraphQLField]) -> None:
        insertable, updatable = self.view.insertable(table), self.view.updatable(table)
        if insertable:
            self._inserts(table, mutation)
        if updatable:
            self._updates(table, mutation)
        if self.view.deletes(table):

            def delete(text: str | None) -> GraphQLField:
                where = GraphQLArgument(
                    GraphQLNonNull(self.bool_exp(table)), description="filter the rows which have to be deleted"
                )
                return GraphQLField(self.response(table), {"where": where}, description=text)

            def by_key(text: str | None) -> GraphQLField:
                return GraphQLField(self.row(table), self.key_arguments(table), description=text)

            self._root(mutation, "delete", table, delete, "delete data from the table")
            if self.view.reads(table) and self._has_key(table):
                self._root(mutation, "delete_by_pk", table, by_key, "delete single row from the table")

    def _inserts(self, table: Table, mutation: dict[str, GraphQLField]) -> None:
        def rest() -> dict[str, GraphQLArgument]:
            if not self.upserts(table):
                return {}
            return {"on_conflict": GraphQLArgument(self.on_conflict(table), description="upsert condition")}

        def insert(text: str | None) -> GraphQLField:
            rows = GraphQLArgument(
                GraphQLNonNull(listed(self.insert_input(table))), description="the rows to be inserted"
            )
            return GraphQLField(self.response(table), {"objects": rows, **rest()}, description=text)

        def insert_one(text: str | None) -> GraphQLField:
            one = GraphQLArgument(GraphQLNonNull(self.insert_input(table)), description="the row to be inserted")
            return GraphQLField(self.row(table), {"object": one, **rest()}, description=text)

        self._root(mutation, "insert", table, insert, "insert data into the table")
        if self.shows(table):
            self._root(mutation, "insert_one", table, insert_one, "insert a single row into the table")

    def _updates(self, table: Table, mutation: dict[str, GraphQLField]) -> None:
        def changes() -> dict[str, GraphQLArgument]:
            return {key: GraphQLArgument(kind, description=text) for key, (kind, text) in self.changes(table).items()}

        def update(text: str | None) -> GraphQLField:
            where = GraphQLArgument(
                GraphQLNonNull(self.bool_exp(table)), description="filter the rows which have to be updated"
            )
            return GraphQLField(self.response(table), {**changes(), "where": where}, description=text)

        def by_key(text: str | None) -> GraphQLField:
            key = GraphQLArgument(GraphQLNonNull(self.pk_columns_input(table)))
            return GraphQLField(self.row(table), {**changes(), "pk_columns": key}, description=text)

        def many(text: str | None) -> GraphQLField:
            updates = GraphQLArgument(
                GraphQLNonNull(listed(self.updates(table))), description="updates to execute, in order"
            )
            return GraphQLField(GraphQLList(self.response(table)), {"updates": updates}, description=text)

        self._root(mutation, "update", table, update, "update data of the table")
        if self.view.reads(table) and self._has_key(table):
            self._root(mutation, "update_by_pk", table, by_key, "update single row of the table")
        self._root(mutation, "update_many", table, many, "update multiples rows of table")

    def list_arguments(self, table: Table) -> dict[str, GraphQLArgument]:
        columns = self.columns_enum(table, "select_column", "select columns of table", self.view.readable(table))
        found = {
            "limit": GraphQLArgument(INT, description="limit the number of rows returned"),
            "offset": GraphQLArgument(INT, description="skip the first n rows. Use only with order_by"),
            "where": GraphQLArgument(self.bool_exp(table), description="filter the rows returned"),
        }
        if columns:
            found["distinct_on"] = GraphQLArgument(listed(columns), description="distinct select on columns")
        if self.orders(table):
            text = "sort the rows by one or more columns"
            found["order_by"] = GraphQLArgument(listed(self.order_by(table)), description=text)
        return found

    def key_arguments(self, table: Table) -> dict[str, GraphQLArgument]:
        columns = [table.columns[name] for name in table.primary_key]
        return {
            c.name: GraphQLArgument(
                GraphQLNonNull(self.column_type(c)), description=c.comment, extensions={"name": c.field}
            )
            for c in columns
        }

    def _root_type(self, name: str, fields: Mapping[str, GraphQLField], description: str | None = None) -> Any:
        unserved = {one: f'function "{one}"' for one in self.catalog.functions}
        extensions = {"unserved": unserved} if unserved else None
        return GraphQLObjectType(name, self.in_order(fields), description=description, extensions=extensions)

    # ── types of rows and answers ───────────────────────────────────────────────────────────────────────────────────

    def _object(
        self,
        name: str,
        fields: Callable[[], Mapping[str, GraphQLField]],
        description: str | None,
        unserved: Mapping[str, str] | None = None,
    ) -> GraphQLObjectType:
        if name not in self.types:
            self.types[name] = GraphQLObjectType(
                name,
                lambda: self.in_order(fields()),
                description=description,
                extensions={"unserved": unserved} if unserved else None,
            )
        return self.types[name]

    def row(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            found = {c.name: self.column_field(c) for c in self.view.readable(table)}
            for one in self.view.computed(table):
                other = self.catalog.tables.get(one.target or "")
                if other is None:
                    kind: Any = self.column_type(Column(one.name, SqlType("text"), one.scalar, True))
                elif self.view.reads(other):
                    kind = listed(self.row(other))
                else:
                    continue
                text = f'computed field "{one.name}"'
                found[one.name] = GraphQLField(kind, description=one.description, extensions={"unserved": text})
            for relationship, other in self.others(table):
                name, comment = {"name": relationship.name}, relationship.comment
                if not relationship.many:
                    if self.shows(other):
                        nullable = relationship.nullable or not self.view.whole(other)
                        kind = self.row(other) if nullable else GraphQLNonNull(self.row(other))
                        text = comment or "An object relationship"
                        found[relationship.name] = GraphQLField(kind, description=text, extensions=name)
                    continue
                if self.shows(other):
                    found[relationship.name] = GraphQLField(
                        rows_of(self.row(other)),
                        self.list_arguments(other),
                        description=comment or "An array relationship",
                        extensions=name,
                    )
                if self.view.aggregates(other):
                    result = GraphQLNonNull(self.aggregate(other))
                    found[f"{relationship.name}_aggregate"] = GraphQLField(
                        result, self.list_arguments(other), description="An aggregate relationship"
                    )
            return found

        description = table.comment or f'columns and relationships of "{table.name}"'
        unserved = {name: f'computed field "{name}"' for name in table.computed}
        return self._object(table.type_name, fields, description if table.comment != "" else None, unserved)

    def column_field(self, column: Column) -> GraphQLField:
        kind = self.column_type(column)
        arguments = {"path": GraphQLArgument(STRING, description="JSON select path")} if is_json(column) else {}
        kind = kind if column.nullable else GraphQLNonNull(kind)
        return GraphQLField(kind, arguments, description=column.comment, extensions={"name": column.field})

    def aggregate(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            return {
                "aggregate": GraphQLField(self.aggregate_fields(table)),
                **({"nodes": GraphQLField(rows_of(self.row(table)))} if self.shows(table) else {}),
            }

        return self._object(self.type_of(table, "aggregate"), fields, f'aggregated selection of "{table.name}"')

    def aggregate_fields(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            columns = self.columns_enum(table, "select_column", "select columns of table", self.view.readable(table))
            count = {"columns": GraphQLArgument(listed(columns))} if columns else {}
            count["distinct"] = symbol_argument(BOOLEAN)
            found = {"count": GraphQLField(GraphQLNonNull(INT), count)}
            for function, chosen in self.functions(table).items():
                found[function] = GraphQLField(self.function_fields(table, function, chosen))
            return found

        return self._object(self.type_of(table, "aggregate_fields"), fields, f'aggregate fields of "{table.name}"')

    def function_fields(self, table: Table, function: str, columns: list[Column]) -> GraphQLObjectType:
        def kind(column: Column) -> Any:
            return self.column_type(column) if function in ("sum", *EXTREMES) else FLOAT

        def fields() -> Mapping[str, GraphQLField]:
            return {c.name: GraphQLField(kind(c), description=c.comment, extensions={"name": c.field}) for c in columns}

        return self._object(self.type_of(table, f"{function}_fields"), fields, f"aggregate {function} on columns")

    def response(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            text = "number of rows affected by the mutation"
            found = {"affected_rows": GraphQLField(GraphQLNonNull(INT), description=text)}
            if self.shows(table):
                text = "data from the rows affected by the mutation"
                found["returning"] = GraphQLField(rows_of(self.row(table)), description=text)
            return found

        text = f'response of any mutation on the table "{table.name}"'
        return self._object(self.type_of(table, "mutation_response"), fields, text)


def _reached(roots: Iterable[GraphQLObjectType]) -> list[Any]:
    """All types of the schema. graphql-core would find them too, but a call deeper for each: too deep for a chain of tables."""
    found: dict[str, Any] = {}
    waiting: list[Any] = list(roots)
    for kind in waiting:  # grows while it is read
        if kind.name not in found:
            found[kind.name] = kind
            for one in getattr(kind, "fields", {}).values():
                waiting.append(get_named_type(one.type))
                waiting += [get_named_type(argument.type) for argument in getattr(one, "args", {}).values()]
    return list(found.values())
