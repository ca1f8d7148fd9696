"""Catalog -> the GraphQL schema that Hasura v2 would serve for it, as graphql-core objects. Next: document.py.

Comes in: a Catalog. Goes out: `Schema`, holding the graphql-core schema (validation and introspection run on it) and the root
fields by name: what each of them does and with which table. Names, order (alphabetical), descriptions and arguments are
Hasura's. Root fields and the types of rows and answers are made here, input types in schema_inputs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    specified_directives,
)

from automio.engine.catalog import Catalog, Column, Table
from automio.engine.schema_inputs import (
    BOOLEAN,
    EXTREMES,
    FLOAT,
    INT,
    STRING,
    InputTypes,
    in_order,
    is_json,
    listed,
    rows_of,
    symbol_argument,
)


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
    """A root field: its action and its table's name."""

    action: Action
    table: str


@dataclass(frozen=True, slots=True)
class Schema:
    """`roots` are all root fields by name (a name means one thing in all three operations)."""

    graphql: GraphQLSchema
    roots: Mapping[str, Root]


def build_schema(catalog: Catalog) -> Schema:
    """The schema of all tables of the catalog. Without tables there is one placeholder field, as in Hasura."""
    return _Builder(catalog).build()


class _Builder(InputTypes):
    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.roots: dict[str, Root] = {}

    def build(self) -> Schema:
        query: dict[str, GraphQLField] = {}
        mutation: dict[str, GraphQLField] = {}
        subscription: dict[str, GraphQLField] = {}
        for table in self.catalog.tables.values():
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
        schema = GraphQLSchema(
            query=_root_type("query_root", query),
            mutation=_root_type("mutation_root", mutation, "mutation root") if mutation else None,
            subscription=_root_type("subscription_root", subscription) if subscription else None,
            directives=[*specified_directives, cached],
        )
        return Schema(schema, self.roots)

    # ── root fields ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _root(
        self, fields: dict[str, GraphQLField], name: str, action: Action, table: Table, field: GraphQLField
    ) -> None:
        """A name that is taken stays the earlier table's (tables come in order of name)."""
        if self.roots.setdefault(name, Root(action, table.name)) == Root(action, table.name):
            fields[name] = field

    def _reads(self, table: Table, query: dict[str, GraphQLField], subscription: dict[str, GraphQLField]) -> None:
        name, row = table.name, self.row(table)
        for fields in (query, subscription):
            text = f'fetch data from the table: "{name}"'
            self._root(
                fields,
                name,
                Action.SELECT,
                table,
                GraphQLField(rows_of(row), self.list_arguments(table), description=text),
            )
            text = f'fetch aggregated fields from the table: "{name}"'
            result = GraphQLNonNull(self.aggregate(table))
            field = GraphQLField(result, self.list_arguments(table), description=text)
            self._root(fields, f"{name}_aggregate", Action.AGGREGATE, table, field)
            if table.primary_key:
                text = f'fetch data from the table: "{name}" using primary key columns'
                field = GraphQLField(row, self.key_arguments(table), description=text)
                self._root(fields, f"{name}_by_pk", Action.BY_KEY, table, field)
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
        text = f'fetch data from the table in a streaming manner: "{name}"'
        field = GraphQLField(rows_of(row), arguments, description=text)
        self._root(subscription, f"{name}_stream", Action.STREAM, table, field)

    def _writes(self, table: Table, mutation: dict[str, GraphQLField]) -> None:
        name, row = table.name, self.row(table)
        response = self.response(table)
        writable = [column for column in table.columns.values() if column.writable]
        if table.insertable and writable:
            rest = {}
            if table.keys:
                rest["on_conflict"] = GraphQLArgument(self.on_conflict(table), description="upsert condition")
            rows = GraphQLArgument(
                GraphQLNonNull(listed(self.insert_input(table))), description="the rows to be inserted"
            )
            text = f'insert data into the table: "{name}"'
            field = GraphQLField(response, {"objects": rows, **rest}, description=text)
            self._root(mutation, f"insert_{name}", Action.INSERT, table, field)
            one = GraphQLArgument(GraphQLNonNull(self.insert_input(table)), description="the row to be inserted")
            field = GraphQLField(
                row, {"object": one, **rest}, description=f'insert a single row into the table: "{name}"'
            )
            self._root(mutation, f"insert_{name}_one", Action.INSERT_ONE, table, field)
        if table.updatable and writable:
            changes = {
                key: GraphQLArgument(kind, description=text) for key, (kind, text) in self.changes(table).items()
            }
            where = GraphQLArgument(
                GraphQLNonNull(self.bool_exp(table)), description="filter the rows which have to be updated"
            )
            field = GraphQLField(
                response, {**changes, "where": where}, description=f'update data of the table: "{name}"'
            )
            self._root(mutation, f"update_{name}", Action.UPDATE, table, field)
            if table.primary_key:
                key = GraphQLArgument(GraphQLNonNull(self.pk_columns_input(table)))
                text = f'update single row of the table: "{name}"'
                field = GraphQLField(row, {**changes, "pk_columns": key}, description=text)
                self._root(mutation, f"update_{name}_by_pk", Action.UPDATE_BY_KEY, table, field)
            updates = GraphQLArgument(
                GraphQLNonNull(listed(self.updates(table))), description="updates to execute, in order"
            )
            text = f'update multiples rows of table: "{name}"'
            field = GraphQLField(GraphQLList(response), {"updates": updates}, description=text)
            self._root(mutation, f"update_{name}_many", Action.UPDATE_MANY, table, field)
        if table.deletable:
            where = GraphQLArgument(
                GraphQLNonNull(self.bool_exp(table)), description="filter the rows which have to be deleted"
            )
            field = GraphQLField(response, {"where": where}, description=f'delete data from the table: "{name}"')
            self._root(mutation, f"delete_{name}", Action.DELETE, table, field)
            if table.primary_key:
                text = f'delete single row from the table: "{name}"'
                field = GraphQLField(row, self.key_arguments(table), description=text)
                self._root(mutation, f"delete_{name}_by_pk", Action.DELETE_BY_KEY, table, field)

    def list_arguments(self, table: Table) -> dict[str, GraphQLArgument]:
        columns = self.columns_enum(table, "select_column", "select columns of table", table.columns)
        return {
            "distinct_on": GraphQLArgument(listed(columns), description="distinct select on columns"),
            "limit": GraphQLArgument(INT, description="limit the number of rows returned"),
            "offset": GraphQLArgument(INT, description="skip the first n rows. Use only with order_by"),
            "order_by": GraphQLArgument(
                listed(self.order_by(table)), description="sort the rows by one or more columns"
            ),
            "where": GraphQLArgument(self.bool_exp(table), description="filter the rows returned"),
        }

    def key_arguments(self, table: Table) -> dict[str, GraphQLArgument]:
        columns = [table.columns[name] for name in table.primary_key]
        return {c.name: GraphQLArgument(GraphQLNonNull(self.column_type(c)), description=c.comment) for c in columns}

    # ── types of rows and answers ───────────────────────────────────────────────────────────────────────────────────

    def _object(
        self, name: str, fields: Callable[[], Mapping[str, GraphQLField]], description: str
    ) -> GraphQLObjectType:
        if name not in self.types:
            self.types[name] = GraphQLObjectType(name, lambda: in_order(fields()), description=description)
        return self.types[name]

    def row(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            found = {c.name: self.column_field(c) for c in table.columns.values()}
            for relationship in table.relationships.values():
                other = self.catalog.tables[relationship.target]
                if not relationship.many:
                    kind = self.row(other) if relationship.nullable else GraphQLNonNull(self.row(other))
                    found[relationship.name] = GraphQLField(kind, description="An object relationship")
                    continue
                arguments = self.list_arguments(other)
                found[relationship.name] = GraphQLField(
                    rows_of(self.row(other)), arguments, description="An array relationship"
                )
                found[f"{relationship.name}_aggregate"] = GraphQLField(
                    GraphQLNonNull(self.aggregate(other)), arguments, description="An aggregate relationship"
                )
            return found

        return self._object(table.name, fields, table.comment or f'columns and relationships of "{table.name}"')

    def column_field(self, column: Column) -> GraphQLField:
        kind = self.column_type(column)
        arguments = {"path": GraphQLArgument(STRING, description="JSON select path")} if is_json(column) else {}
        return GraphQLField(kind if column.nullable else GraphQLNonNull(kind), arguments, description=column.comment)

    def aggregate(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            return {
                "aggregate": GraphQLField(self.aggregate_fields(table)),
                "nodes": GraphQLField(rows_of(self.row(table))),
            }

        return self._object(f"{table.name}_aggregate", fields, f'aggregated selection of "{table.name}"')

    def aggregate_fields(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            columns = self.columns_enum(table, "select_column", "select columns of table", table.columns)
            count = {"columns": GraphQLArgument(listed(columns)), "distinct": symbol_argument(BOOLEAN)}
            found = {"count": GraphQLField(GraphQLNonNull(INT), count)}
            for function, chosen in self.functions(table).items():
                found[function] = GraphQLField(self.function_fields(table, function, chosen))
            return found

        return self._object(f"{table.name}_aggregate_fields", fields, f'aggregate fields of "{table.name}"')

    def function_fields(self, table: Table, function: str, columns: list[Column]) -> GraphQLObjectType:
        def kind(column: Column) -> Any:
            return self.column_type(column) if function in ("sum", *EXTREMES) else FLOAT

        def fields() -> Mapping[str, GraphQLField]:
            return {c.name: GraphQLField(kind(c), description=c.comment) for c in columns}

        return self._object(f"{table.name}_{function}_fields", fields, f"aggregate {function} on columns")

    def response(self, table: Table) -> GraphQLObjectType:
        def fields() -> Mapping[str, GraphQLField]:
            text = "number of rows affected by the mutation"
            return {
                "affected_rows": GraphQLField(GraphQLNonNull(INT), description=text),
                "returning": GraphQLField(
                    rows_of(self.row(table)), description="data from the rows affected by the mutation"
                ),
            }

        text = f'response of any mutation on the table "{table.name}"'
        return self._object(f"{table.name}_mutation_response", fields, text)


def _root_type(name: str, fields: Mapping[str, GraphQLField], description: str | None = None) -> Any:
    return GraphQLObjectType(name, in_order(fields), description=description)
