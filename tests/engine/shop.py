"""A shop of several organizations: the tables, rows and random requests of the tenancy tests.

Everything that can go wrong between organizations is in it: foreign keys that compare organizations and such that don't (with
rows that cross), a shared table between tenant tables, rows of nobody, a table that refers to itself, a global unique key, a
tenant column of another integer type, views with and without the tenant column.
"""

from __future__ import annotations

import random
from typing import Any

from automio.engine.catalog import Catalog, Column, Table

TABLES = """
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (
    id integer PRIMARY KEY,
    organization_id integer,
    name text,
    mood mood,
    country_id text REFERENCES countries,
    UNIQUE (id, organization_id)
);
CREATE TABLE app_1_orders (
    id integer PRIMARY KEY,
    organization_id integer,
    sku text UNIQUE,
    status text NOT NULL DEFAULT 'new',
    total numeric,
    paid boolean,
    details jsonb,
    tags text[],
    customer_id integer REFERENCES customers (id),
    UNIQUE (sku, organization_id),
    UNIQUE (id, organization_id)
);
CREATE TABLE app_1_messages (
    id integer PRIMARY KEY,
    organization_id integer,
    order_id integer,
    content text,
    FOREIGN KEY (order_id, organization_id) REFERENCES app_1_orders (id, organization_id) ON DELETE CASCADE
);
CREATE TABLE notes (
    id integer PRIMARY KEY,
    organization_id bigint,
    order_id integer REFERENCES app_1_orders (id) ON DELETE CASCADE,
    reply_id integer REFERENCES notes (id) ON DELETE SET NULL,
    weight float8,
    body text
);
CREATE VIEW open_orders AS SELECT id, organization_id, sku, total FROM app_1_orders WHERE status = 'new';
CREATE VIEW totals AS SELECT status, sum(total) AS total FROM app_1_orders GROUP BY status;
"""
TENANT = ("customers", "app_1_orders", "app_1_messages", "notes")
NAMES = ("countries", *TENANT)


def rows(seed: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) in an order that foreign keys allow; organizations 1 to 3 and None, a third of the loose keys cross."""
    rnd = random.Random(seed)
    found: list[tuple[str, dict[str, Any]]] = [
        ("countries", {"code": c, "name": f"Land {c}"}) for c in ("de", "fr", "pl")
    ]
    organizations = [1, 1, 2, 2, 3, None]
    texts = ["alpha", "beta", "a%b", "a\\b", "", None, "gamma(", "Alpha"]
    owner: dict[tuple[str, int], int | None] = {}

    def key(table: str, organization: int | None, crossing: float) -> int | None:
        own = [i for (t, i), o in owner.items() if t == table and (o == organization or rnd.random() < crossing)]
        return rnd.choice(own) if own and rnd.random() < 0.8 else None

    for i in range(1, 25):
        o = owner["customers", i] = rnd.choice(organizations)
        found.append(
            (
                "customers",
                {
                    "id": i,
                    "organization_id": o,
                    "name": rnd.choice(texts),
                    "mood": rnd.choice(["bad", "good", None]),
                    "country_id": rnd.choice(["de", "fr", None]),
                },
            )
        )
    for i in range(1, 61):
        o = owner["orders", i] = rnd.choice(organizations)
        found.append(
            (
                "app_1_orders",
                {
                    "id": i,
                    "organization_id": o,
                    "sku": rnd.choice([f"sku{i}", None]),
                    "status": rnd.choice(["new", "sent", "a\\"]),
                    "total": rnd.choice([None, 1, 2.5, 10, 10]),
                    "paid": rnd.choice([True, False, None]),
                    "details": rnd.choice([None, {"colour": "red"}, {"colour": "blue", "n": [1, 2]}, [1, "colour"]]),
                    "tags": rnd.choice([None, "{}", "{x}", "{x,y}"]),
                    "customer_id": key("customers", o, 0.3),
                },
            )
        )
    for i in range(1, 121):
        o = rnd.choice(organizations)
        found.append(
            (
                "app_1_messages",
                {
                    "id": i,
                    "organization_id": o,
                    "order_id": key("orders", o, 0) if o else None,
                    "content": rnd.choice(texts),
                },
            )
        )
    for i in range(1, 61):
        o = rnd.choice(organizations)
        row = {"id": i, "organization_id": o, "order_id": key("orders", o, 0.3), "reply_id": key("notes", o, 0.3)}
        owner["notes", i] = o
        found.append(("notes", {**row, "weight": rnd.choice([None, 0.5, 3]), "body": rnd.choice(texts)}))
    return found


def script(organization: int | None = None, seed: int = 1) -> str:
    """DDL and rows; with an organization only its rows of the tenant tables (foreign keys to the others dangle)."""
    lines = [TABLES, "SET session_replication_role = replica;"]
    for table, row in rows(seed):
        if organization is None or table not in TENANT or row["organization_id"] == organization:
            names = ", ".join(row)
            lines.append(f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(_literal, row.values()))});")
    lines.append("ANALYZE;")  # statistics of foreign rows must not show either
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, dict | list):
        import json

        value = json.dumps(value)
    return str(value) if isinstance(value, bool | int | float) else "'" + str(value).replace("'", "''") + "'"


class Requests:
    """Random documents over a catalog, each with a total order, so that equal data gives equal text."""

    def __init__(self, catalog: Catalog, seed: int, failing: bool = False) -> None:
        self.catalog = catalog
        self.rnd = random.Random(seed)
        self.failing = failing
        self.readable = [t for t in catalog.tables.values() if t.schema == "public" and t.name != "totals"]

    def query(self) -> str:
        """A query of one to three root fields."""
        return "{ " + " ".join(self.root(f"r{i}") for i in range(self.rnd.randint(1, 3))) + " }"

    def root(self, key: str) -> str:
        table = self.rnd.choice(self.readable)
        if table.primary_key and self.rnd.random() < 0.2:
            arguments = ", ".join(f"{c}: {self.value(table.columns[c])}" for c in table.primary_key)
            return f"{key}: {table.name}_by_pk({arguments}) {self.selection(table, 2)}"
        if self.rnd.random() < 0.3:
            return f"{key}: {table.name}_aggregate{self.arguments(table)} {self.aggregate(table, 2)}"
        return f"{key}: {table.name}{self.arguments(table)} {self.selection(table, 3)}"

    def selection(self, table: Table, depth: int) -> str:
        names = self.rnd.sample(sorted(table.columns), self.rnd.randint(1, len(table.columns)))
        parts = names[:4]
        if self.rnd.random() < 0.1:
            parts.append(f"again: {names[0]}")
        for relationship in table.relationships.values() if depth else ():
            if self.rnd.random() < 0.5:
                continue
            other = self.catalog.tables[relationship.target]
            arguments = self.arguments(other) if relationship.many else ""
            parts.append(f"{relationship.name}{arguments} {self.selection(other, depth - 1)}")
            if relationship.many and self.rnd.random() < 0.5:
                parts.append(f"{relationship.name}_aggregate{self.arguments(other)} {self.aggregate(other, depth - 1)}")
        return "{ " + " ".join(dict.fromkeys(parts)) + " __typename }"

    def aggregate(self, table: Table, depth: int) -> str:
        numbers = [c.name for c in table.columns.values() if c.type.name in ("int4", "int8", "numeric", "float8")]
        parts = ["count", f"d: count(columns: [{self.rnd.choice(sorted(table.columns))}], distinct: true)"]
        for function in self.rnd.sample(["sum", "avg", "max", "min", "stddev"], 2):
            if numbers:
                parts.append(f"{function} {{ {self.rnd.choice(numbers)} }}")
        nodes = f" nodes {self.selection(table, depth)}" if self.rnd.random() < 0.6 else ""
        return "{ aggregate { " + " ".join(parts) + " }" + nodes + " }"

    def arguments(self, table: Table) -> str:
        parts: list[str] = []
        if self.rnd.random() < 0.7:
            parts.append(f"where: {self.where(table, 3)}")
        order, distinct = self.order(table)
        if distinct:
            parts.append(f"distinct_on: [{distinct}]")
        parts.append(f"order_by: [{', '.join(order)}]")
        if self.rnd.random() < 0.4:
            parts.append(f"limit: {self.rnd.randint(0, 5)}")
        if self.rnd.random() < 0.2:
            parts.append(f"offset: {self.rnd.randint(0, 3)}")
        return f"({', '.join(parts)})"

    def order(self, table: Table) -> tuple[list[str], str]:
        sortable = [c.name for c in table.columns.values() if c.type.name != "jsonb"]
        found = [f"{{{name}: {self.direction()}}}" for name in self.rnd.sample(sortable, self.rnd.randint(0, 2))]
        distinct = ""
        if found and self.rnd.random() < 0.2:
            distinct = found[0][1:].partition(":")[0]
        for relationship in table.relationships.values():
            if self.rnd.random() < 0.25:
                other = self.catalog.tables[relationship.target]
                name = self.rnd.choice([c.name for c in other.columns.values() if _is_simple(c)])
                inner = f"{{{name}: {self.direction()}}}"
                if relationship.many:
                    inner = self.rnd.choice([f"{{max: {inner}}}", f"{{count: {self.direction()}}}"])
                    found.append(f"{{{relationship.name}_aggregate: {inner}}}")
                else:
                    found.append(f"{{{relationship.name}: {inner}}}")
        last = table.primary_key or ("id",)
        return [*found, *(f"{{{name}: asc}}" for name in last)], distinct

    def direction(self) -> str:
        return self.rnd.choice(["asc", "desc", "asc_nulls_first", "desc_nulls_last"])

    def where(self, table: Table, depth: int) -> str:
        parts: list[str] = []
        for _ in range(self.rnd.randint(0, 2)):
            kind = self.rnd.random()
            if kind < 0.5 or not depth:
                column = self.rnd.choice(list(table.columns.values()))
                parts.append(f"{column.name}: {self.comparison(column)}")
            elif kind < 0.7:
                name = self.rnd.choice(["_and", "_or"])
                parts.append(
                    f"{name}: [{', '.join(self.where(table, depth - 1) for _ in range(self.rnd.randint(0, 2)))}]"
                )
            elif kind < 0.8:
                parts.append(f"_not: {self.where(table, depth - 1)}")
            elif table.relationships:
                relationship = self.rnd.choice(list(table.relationships.values()))
                other = self.catalog.tables[relationship.target]
                if relationship.many and self.rnd.random() < 0.5:
                    inner = f"{{count: {{filter: {self.where(other, depth - 1)}, predicate: {{_gte: {self.rnd.randint(0, 2)}}}}}}}"
                    parts.append(f"{relationship.name}_aggregate: {inner}")
                else:
                    parts.append(f"{relationship.name}: {self.where(other, depth - 1)}")
        unique = {part.partition(":")[0]: part for part in parts}
        return "{" + ", ".join(unique.values()) + "}"

    def comparison(self, column: Column) -> str:
        if self.rnd.random() < 0.2:
            return f"{{_is_null: {self.rnd.choice(['true', 'false'])}}}"
        if column.type.array:
            return f'{{{self.rnd.choice(["_contains", "_contained_in", "_eq"])}: ["x"]}}'
        if column.type.name == "jsonb":
            return self.rnd.choice(
                [
                    '{_contains: {colour: "red"}}',
                    '{_has_key: "colour"}',
                    '{_has_keys_any: ["n", "m"]}',
                    '{_cast: {String: {_like: "%red%"}}}',
                ]
            )
        if column.type.name == "text" and self.rnd.random() < 0.5:
            patterns = ['"a%"', '"%a%"', '"A.*"']
            if self.failing:
                patterns = ['"a%"', '"a\\\\"', '"("', '"%\\\\"']
            operator = self.rnd.choice(["_like", "_ilike", "_nlike", "_regex", "_iregex", "_similar", "_nregex"])
            return f"{{{operator}: {self.rnd.choice(patterns)}}}"
        operator = self.rnd.choice(["_eq", "_neq", "_gt", "_lte", "_in", "_nin"])
        if operator in ("_in", "_nin"):
            return f"{{{operator}: [{', '.join(self.value(column) for _ in range(self.rnd.randint(0, 3)))}]}}"
        return f"{{{operator}: {self.value(column)}}}"

    def value(self, column: Column) -> str:
        match column.type.name:
            case "int4" | "int8":
                return str(self.rnd.randint(1, 3 if column.name == "organization_id" else 30))
            case "numeric" | "float8":
                return str(self.rnd.choice([0.5, 1, 2.5, 10]))
            case "bool":
                return self.rnd.choice(["true", "false"])
            case "mood":
                return self.rnd.choice(['"bad"', '"good"'])
        if column.name == "code" or column.name == "country_id":
            return self.rnd.choice(['"de"', '"fr"', '"pl"'])
        return self.rnd.choice(['"alpha"', '"new"', '"sku1"', '"a%b"', '""'])


def _is_simple(column: Column) -> bool:
    return column.type.name in ("int4", "text", "numeric") and not column.type.array
