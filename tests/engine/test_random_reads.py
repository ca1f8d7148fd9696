"""Random documents on random tables and rows: the engine answers as naive.py does, for the admin and for an organization.

300 documents in a plain run; AUTOMIO_READS=2000 (`make engine-proof`) for the full proof. Tables and rows come from a seed, so
that hypothesis shrinks only the document and its variables. Pictures of values are chosen so that they meet: comparisons
that are never true would prove nothing.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automio.engine.engine import Caller, Engine


def _beside(name: str) -> ModuleType:
    """A module beside this file (tests are not a package)."""
    spec = importlib.util.spec_from_file_location(f"engine_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


naive = _beside("naive")
Table, Relationship, Json = naive.Table, naive.Relationship, naive.Json

SEEDS = (1, 2, 3, 4, 5)
EXAMPLES = int(os.environ.get("AUTOMIO_READS", "300"))
KINDS = ("int4", "int8", "numeric", "float8", "bool", "text", "citext", "timestamptz", "jsonb", "text[]", "mood")
DDL = {"text": 'text COLLATE "C"', "citext": 'citext COLLATE "C"', "text[]": 'text[] COLLATE "C"'}
SCALARS = {
    "int4": "Int",
    "int8": "bigint",
    "float8": "float8",
    "bool": "Boolean",
    "text": "String",
    "text[]": "[String!]",
}
TEXTS = ("", "a", "A", "ab", "a%b", "a_b", "a\\b", "Ab'c", 'q"q', "żółw", "b\nc", "B")
ASCII = ("", "a", "A", "ab", "AB", "a%b", "b.c", "aab")
LIKES = ("a%", "%b", "%", "_", "a\\%b", "%'%", "a_b", "A%", "", "%\\\\%", "%\n%")
SIMILARS = ("a%", "(a|b)%", "[ab]_?", "a+b*", "_", "a.b", "%")
REGEXES = ("^a", "b$", "a.b", "[A-B]", "(a|b)+", "^$", "a*b", "^.b")
KEYS = ("a", "b", "kk")
MOODS = naive.MOODS
TIMES = (
    "2024-01-01T00:00:00+00:00",
    "2024-01-01T02:00:00+02:00",
    "2024-06-30T12:30:15+00:00",
    "1999-12-31T23:59:59-05:00",
)


# ── tables and rows ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class World:
    """Tables, their rows, and the script that makes them."""

    tables: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    script: str = ""


def world(seed: int) -> World:
    """Three to five tables with keys of several kinds, foreign keys among them and to themselves, and a view."""
    rnd = random.Random(seed)
    made = World()
    ddl = [
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION citext SCHEMA public;",
        f"CREATE TYPE mood AS ENUM ({', '.join(map(literal, MOODS))});",
    ]
    keys: list[tuple[str, str, str]] = []  # (table, column, target), in the order in which relationships are named
    for number in range(rnd.randint(3, 5)):
        name = f"t{number}"
        columns = {"id": rnd.choice(["int4", "int8", "text"])}
        key = ("id",)
        if number == 2:  # a key of two columns
            columns["part"] = "int4"
            key = ("id", "part")
        required = set(key)
        if number % 4 != 1:
            columns["organization_id"] = "int4"
        for kind in KINDS:
            for copy in range(rnd.choice([0, 1, 1, 2]) if number else 1):
                column = f"{kind.strip('[]')}_{copy}"
                columns[column] = kind
                if rnd.random() < 0.2:
                    required.add(column)
        foreign: list[str] = []
        targets = [one for one, table in made.tables.items() if len(table.key) == 1]
        for copy, target in enumerate([*rnd.sample(targets, min(len(targets), rnd.randint(1, 2))), name]):
            if target == name and (len(key) > 1 or rnd.random() < 0.4):
                continue
            column = f"{'abcd'[copy]}_id"
            columns[column] = columns["id"] if target == name else made.tables[target].columns["id"]
            keys.append((name, column, target))
            foreign.append(f", FOREIGN KEY ({column}) REFERENCES {target} (id)")
        made.tables[name] = Table(name, columns, key)
        body = ", ".join(
            f'"{c}" {DDL.get(kind, kind)}{" NOT NULL" if c in required else ""}' for c, kind in columns.items()
        )
        ddl.append(f"CREATE TABLE {name} ({body}, PRIMARY KEY ({', '.join(key)}){''.join(foreign)});")
        references = {column: target for table, column, target in keys if table == name}
        made.rows[name] = _rows(rnd, made, name, required, references)
        ddl += [insertion(name, row) for row in made.rows[name]]
    _relate(made, keys)
    _view(rnd, made, ddl)
    made.script = "\n".join([*ddl, "ANALYZE;"])
    return made


def _rows(
    rnd: random.Random, made: World, name: str, required: set[str], references: dict[str, str]
) -> list[dict[str, Any]]:
    table, found = made.tables[name], []
    for number in range(rnd.choice([0, 6, 12, 20]) if name != "t0" else 10):
        row: dict[str, Any] = {}
        for column, kind in table.columns.items():
            if column == "id":
                row[column] = f"k{number}" if kind == "text" else number // (2 if len(table.key) > 1 else 1)
            elif column == "part":
                row[column] = number % 2
            elif column == "organization_id":
                row[column] = rnd.choice([1, 1, 2, None])
            elif column in references:
                rows = found if references[column] == name else made.rows[references[column]]
                row[column] = rnd.choice(rows)["id"] if rows and rnd.random() < 0.8 else None
            else:
                row[column] = stored(rnd, kind) if column in required or rnd.random() < 0.75 else None
        found.append(row)
    return found


def stored(rnd: random.Random, kind: str) -> Any:
    match kind:
        case "int4":
            return rnd.choice([-2, 0, 1, 1, 7])
        case "int8":
            return rnd.choice([0, 1, 2**53 + 1, -(2**40)])
        case "numeric":
            return Decimal(rnd.choice(["0", "1", "1.50", "-2.25", "100000000000000000000.5"]))
        case "float8":
            return rnd.choice([0.0, 0.5, -1.5, 2.0])
        case "bool":
            return rnd.random() < 0.5
        case "text":
            return rnd.choice(TEXTS)
        case "citext":
            return rnd.choice(ASCII)
        case "timestamptz":
            return datetime.fromisoformat(rnd.choice(TIMES)).astimezone(datetime.fromisoformat(TIMES[0]).tzinfo)
        case "text[]":
            return [rnd.choice(["a", "b", "c d", 'q"', None]) for _ in range(rnd.randint(0, 3))]
        case "mood":
            return rnd.choice(MOODS)
    parts: list[Any] = [None, True, 1, "a", [], {}, [1, "a"], {"a": 1}, {"kk": [{"b": "a"}, {"b": 2}]}]
    whole = [["a", [1, 2]], {"a": "b", "kk": [1, {"b": None}]}, {"b": {"a": 1.5}}, [{"a": 1}, {"a": 2, "b": "a"}]]
    return Json(rnd.choice([*parts, *whole, {"a": rnd.choice(parts), "kk": [rnd.choice(parts), "a"]}]))


def _relate(made: World, keys: list[tuple[str, str, str]]) -> None:
    """The relationships that the platform infers from foreign keys."""
    for name, column, target in keys:
        relationship = Relationship(column.removesuffix("_id"), target, ((column, "id"),), False)
        made.tables[name].relationships[relationship.name] = relationship
    for name, column, target in keys:
        taken = made.tables[target].relationships
        many = f"{name}_by_{column}" if name in taken else name
        taken[many] = Relationship(many, name, (("id", column),), True)


def _view(rnd: random.Random, made: World, ddl: list[str]) -> None:
    base = made.tables["t0"]
    columns = {c: kind for c, kind in base.columns.items() if c in ("id", "organization_id") or rnd.random() < 0.5}
    made.tables["seen"] = Table("seen", columns, ("id",), is_view=True)
    made.rows["seen"] = [{c: row[c] for c in columns} for row in made.rows["t0"] if row["int4_0"] == 1]
    ddl.append(f"CREATE VIEW seen AS SELECT {', '.join(columns)} FROM t0 WHERE int4_0 = 1;")


def literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int() | float() | Decimal():
            return str(value)
        case Json():
            return literal(json.dumps(value.value))
        case list():
            return f"ARRAY[{', '.join(map(literal, value))}]::text[]"
        case datetime():
            return literal(value.isoformat())
    return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def insertion(table: str, row: dict[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(literal, row.values()))});"


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Request:
    text: str
    variables: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.text}\n{json.dumps(self.variables, ensure_ascii=False)}"


class Documents:
    """Draws one document over the tables of a world."""

    def __init__(self, draw: Callable[[Any], Any], tables: dict[str, Any]) -> None:
        self.draw = draw
        self.tables = tables
        self.declared: list[str] = []
        self.variables: dict[str, Any] = {}
        self.fragments: list[str] = []
        self.keys = 0

    def chance(self, one_in: int) -> bool:
        """True now and then; shrinks to False."""
        return self.draw(st.integers(0, one_in - 1)) == one_in - 1

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def request(self) -> Request:
        roots = [self.root() for _ in range(self.pick([2, 3, 4, 1]))]
        head = f"query Q({', '.join(self.declared)})" if self.declared else "query"
        return Request("\n".join([f"{head} {{ {' '.join(roots)} }}", *self.fragments]), self.variables)

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, kind: str, value: Any, may_be_absent: Callable[[], bool] | None = None) -> str:
        """A value as a literal, or in a variable of this GraphQL type: given, as a default, or as a default that is not used."""
        if not self.chance(3):
            return graphql(value)
        name = f"v{len(self.declared)}"
        if may_be_absent and may_be_absent():
            self.declared.append(f"${name}: {kind.rstrip('!')}")
            return f"${name}"
        way = self.pick(["given", "given", "default", "overridden"])
        if way == "given":
            self.declared.append(f"${name}: {kind}")
            self.variables[name] = value
        elif way == "default":
            self.declared.append(f"${name}: {kind} = {graphql(value)}")
        else:
            self.declared.append(f"${name}: {kind} = {graphql(value)}")
            self.variables[name] = value
        return f"${name}"

    def condition(self, value: bool) -> str:
        return self.write("Boolean!", value)

    def value(self, kind: str) -> Any:
        """A value to compare with, as a client writes it."""
        match kind:
            case "int4":
                return self.pick([1, 0, -2, 5])
            case "int8":
                return self.pick([1, 2**53 + 1, str(2**53 + 1), "0", -(2**40)])
            case "numeric":
                return self.pick([1, "1.5", "100000000000000000000.5", 0, -3])
            case "float8":
                return self.pick([0.5, 2, -1.5, 0])
            case "bool":
                return self.pick([True, False])
            case "text":
                return self.pick(TEXTS)
            case "citext":
                return self.pick(ASCII)
            case "timestamptz":
                return self.pick(TIMES)
            case "text[]":
                return self.draw(st.lists(st.sampled_from(["a", "b", "c d", 'q"']), max_size=2))
            case "mood":
                return self.pick(MOODS)
        return self.pick(["a", 1, [], {}, ["a"], {"a": 1}, [1], {"kk": [1]}, [{"a": 2}], True, {"b": {}}, ["a", [1]]])

    # ── selections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def key(self) -> str:
        if not self.chance(3):
            return ""
        self.keys += 1
        return f"k{self.keys}: "

    def directive(self) -> str:
        if not self.chance(6):
            return ""
        return f" @{self.pick(['include', 'skip'])}(if: {self.condition(self.draw(st.booleans()))})"

    def root(self) -> str:
        self.keys += 1
        key, table = f"r{self.keys}", self.tables[self.pick(self.tables)]
        way = self.pick(["list", "list", "aggregate", "by_pk"])
        if way == "by_pk" and not table.is_view:
            values = [(c, table.columns[c]) for c in table.key]
            given = ", ".join(
                f"{c}: {self.write(scalar(kind) + '!', self.pick(['k1', 'k5', 'k77']) if kind == 'text' else self.pick([0, 1, 3, 99]))}"
                for c, kind in values
            )
            return f"{key}: {table.name}_by_pk({given}){self.directive()} {self.selection(table, 2)}"
        if way == "aggregate":
            return f"{key}: {table.name}_aggregate{self.arguments(table, True)}{self.directive()} {self.aggregate(table, 2)}"
        return f"{key}: {table.name}{self.arguments(table, True)}{self.directive()} {self.selection(table, 3)}"

    def selection(self, table: Any, depth: int) -> str:
        parts = [self.part(table, depth) for _ in range(self.draw(st.integers(1, 4)))]
        if self.chance(5):
            inner = self.part(table, depth)
            if self.chance(2):
                name = f"F{len(self.fragments)}"
                self.fragments.append("")
                self.fragments[int(name[1:])] = f"fragment {name} on {table.name} {{ {inner} }}"
                parts.insert(0, f"...{name}{self.directive()}")
            else:
                parts.append(f"...{self.pick([' on ' + table.name, ''])}{self.directive()} {{ {inner} }}")
        # A key may come twice when it means the same; here it does only without arguments.
        unique: dict[str, str] = {}
        for one in parts:
            unique.setdefault(one.partition(" ")[0] if one.startswith("...") else one.partition("(")[0].split()[0], one)
        return "{ " + " ".join(unique.values()) + " }"

    def part(self, table: Any, depth: int) -> str:
        if table.relationships and depth and self.chance(2):
            relationship = table.relationships[self.pick(table.relationships)]
            other = self.tables[relationship.target]
            self.keys += 1
            key = f"k{self.keys}: "
            if not relationship.many:
                return f"{key}{relationship.name}{self.directive()} {self.selection(other, depth - 1)}"
            if self.chance(3):
                return f"{key}{relationship.name}_aggregate{self.arguments(other)} {self.aggregate(other, depth - 1)}"
            return (
                f"{key}{relationship.name}{self.arguments(other)}{self.directive()} {self.selection(other, depth - 1)}"
            )
        if self.chance(10):
            return f"{self.key()}__typename"
        column = self.pick(table.columns)
        if table.columns[column] == "jsonb" and self.chance(2):
            self.keys += 1
            path = self.pick(["$.kk[0]", "a", "$.kk[-1].b", "$[1].a", "[0]", "$", '$["b"].a', "$.a.b"])
            return f"k{self.keys}: {column}(path: {self.write('String', path)}){self.directive()}"
        return f"{self.key()}{column}{self.directive()}"

    def aggregate(self, table: Any, depth: int) -> str:
        values: list[str] = []
        for _ in range(self.draw(st.integers(1, 3))):
            self.keys += 1
            columns = self.draw(st.lists(st.sampled_from(list(table.columns)), max_size=2, unique=True))
            if not columns or self.chance(2):
                chosen = {
                    name: [c for c, kind in table.columns.items() if kind in kinds]
                    for names, kinds in ((naive.STATISTICS, naive.NUMBERS), (("max", "min"), naive.ORDERED))
                    for name in names
                }
                function = self.pick([name for name, found in chosen.items() if found])
                column = self.pick(chosen[function])
                values.append(f"k{self.keys}: {function} {{ {self.key()}{column} __typename }}")
                continue
            distinct = self.pick(["", ", distinct: false", f", distinct: {self.write('Boolean', True)}"])
            values.append(f"k{self.keys}: count(columns: [{', '.join(columns)}]{distinct})")
        if self.chance(3):
            values.append("count")
        parts = [f"aggregate{self.directive()} {{ {' '.join(values)} }}"]
        if self.chance(2):
            parts.append(f"nodes {self.selection(table, max(depth - 1, 0))}")
        if self.chance(6):
            parts.append("__typename")
        return "{ " + " ".join(parts) + " }"

    # ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def arguments(self, table: Any, at_root: bool = False) -> str:
        parts: list[str] = []
        if self.chance(2) or (at_root and not self.chance(4)):
            where = self.where(table, 3)
            parts.append(f"where: {self.write(f'{table.name}_bool_exp', where, lambda: self.chance(6))}")
        orders, distinct = self.orders(table)
        bounded = self.chance(2)
        if distinct:
            names = self.write(f"[{table.name}_select_column!]", [Name(one) for one in distinct])
            parts.append(f"distinct_on: {names if len(distinct) > 1 or names[0] == '$' else distinct[0]}")
        if distinct or bounded or self.chance(2):
            orders += [{name: Name("asc")} for name in table.key]
        if orders:
            parts.append(f"order_by: {self.write(f'[{table.name}_order_by!]', orders)}")
        if bounded:
            parts.append(f"limit: {self.write('Int', self.draw(st.integers(0, 4)), lambda: self.chance(6))}")
            if self.chance(2):
                parts.append(f"offset: {self.write('Int', self.draw(st.integers(0, 3)), lambda: self.chance(6))}")
        return f"({', '.join(parts)})" if parts else ""

    def orders(self, table: Any) -> tuple[list[Any], list[str]]:
        columns = [c for c, kind in table.columns.items() if kind != "jsonb"]
        chosen = self.draw(st.lists(st.sampled_from(columns), max_size=2, unique=True))
        found: list[Any] = [{name: self.direction()} for name in chosen]
        distinct: list[str] = []
        if chosen and self.chance(3):
            distinct = self.pick([chosen, chosen[:1], chosen[::-1], chosen[-1:]])
        for relationship in table.relationships.values():
            if self.chance(5):
                found.append(self.related_order(relationship, 2))
        return found, distinct

    def related_order(self, relationship: Any, depth: int) -> Any:
        other = self.tables[relationship.target]
        if relationship.many:
            numbers = [c for c, kind in other.columns.items() if kind in naive.NUMBERS]
            functions = {"max": naive.ORDERED, "min": naive.ORDERED} | dict.fromkeys(naive.STATISTICS, naive.NUMBERS)
            function = self.pick(["count", *functions] if numbers else ["count", "max", "min"])
            if function == "count":
                return {f"{relationship.name}_aggregate": {"count": self.direction()}}
            columns = [c for c, kind in other.columns.items() if kind in functions[function]]
            inner = {function: {self.pick(columns): self.direction()}}
            return {f"{relationship.name}_aggregate": inner}
        further = [one for one in other.relationships.values() if not one.many]
        if further and depth and self.chance(3):
            return {relationship.name: self.related_order(self.pick(further), depth - 1)}
        columns = [c for c, kind in other.columns.items() if kind != "jsonb"]
        return {relationship.name: {self.pick(columns): self.direction()}}

    def direction(self) -> Any:
        return Name(
            self.pick(["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"])
        )

    def where(self, table: Any, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.pick([1, 0, 2] if depth < 3 else [2, 3, 1])):
            way = self.pick(
                ["column", "column", "column", "list", "not", "related", "aggregate"] if depth else ["column"]
            )
            many = [one for one in table.relationships.values() if one.many]
            if way == "list":
                count = self.draw(st.integers(0, 2))
                found[self.pick(["_and", "_or"])] = [self.where(table, depth - 1) for _ in range(count)]
            elif way == "not":
                found["_not"] = self.where(table, depth - 1)
            elif way == "related" and table.relationships:
                relationship = table.relationships[self.pick(table.relationships)]
                found[relationship.name] = self.where(self.tables[relationship.target], depth - 1)
            elif way == "aggregate" and many:
                relationship = self.pick(many)
                found[f"{relationship.name}_aggregate"] = self.aggregate_test(self.tables[relationship.target], depth)
            else:
                # A kind first, so that those with many operators are not lost among the keys.
                kinds = sorted(set(table.columns.values()), key=KINDS.index)
                kind = self.pick([*kinds, *(one for one in kinds if one in ("text", "citext", "text[]", "jsonb"))])
                column = self.pick([name for name, one in table.columns.items() if one == kind])
                found[column] = self.comparison(kind)
        return found

    def aggregate_test(self, other: Any, depth: int) -> dict[str, Any]:
        booleans = [c for c, kind in other.columns.items() if kind == "bool"]
        function = self.pick(["count", "bool_and", "bool_or"] if booleans else ["count"])
        test: dict[str, Any] = {}
        if function != "count":
            test["arguments"] = Name(self.pick(booleans))
            test["predicate"] = self.pick([{"_eq": True}, {"_eq": False}, {"_is_null": True}, {"_neq": True}])
        else:
            if self.chance(2):
                columns = self.draw(st.lists(st.sampled_from(list(other.columns)), min_size=1, max_size=2, unique=True))
                test["arguments"] = [Name(one) for one in columns]
                if self.chance(2):
                    test["distinct"] = self.draw(st.booleans())
            test["predicate"] = {self.pick(["_eq", "_gt", "_lte", "_neq"]): self.draw(st.integers(0, 3))}
        if self.chance(2):
            test["filter"] = self.where(other, depth - 1)
        return {function: test}

    def comparison(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.pick([1, 1, 1, 2, 0])):
            operators = ["_eq", "_neq", "_in", "_nin", "_is_null"]
            own: list[str] = []
            if kind in ("text", "citext"):
                own = sorted(naive.PATTERNS)
            elif kind in ("text[]", "jsonb"):
                own = ["_contains", "_contained_in"]
            if kind == "jsonb":
                own += ["_has_key", "_has_keys_any", "_has_keys_all", "_cast"]
            else:
                operators += ["_gt", "_gte", "_lt", "_lte"]
            operator = self.pick(own if own and self.chance(2) else operators)
            found[operator] = None if self.chance(100) else self.operand(kind, operator)
        return found

    def operand(self, kind: str, operator: str) -> Any:
        if operator in ("_in", "_nin"):
            count = self.draw(st.integers(0, 3))
            return [self.value(kind) for _ in range(count)]
        if operator == "_is_null":
            return self.draw(st.booleans())
        if operator == "_cast":
            way = self.pick(["_eq", "_like", "_ilike", "_regex", "_in", "_is_null"])
            if way in ("_eq", "_in"):
                texts = ['{"a": 1}', "[]", '"a"', "1", '{"a": "b", "kk": [1, {"b": null}]}']
                value = self.pick(texts)
                return {"String": {way: [value] if way == "_in" else value}}
            return {"String": {way: self.draw(st.booleans()) if way == "_is_null" else self.pick(["%a%", "%1", "kk"])}}
        if operator == "_has_key":
            return self.pick(KEYS)
        if operator.startswith("_has_keys"):
            return self.draw(st.lists(st.sampled_from(KEYS), max_size=2))
        if operator.endswith("like"):
            return self.pick(LIKES)
        if operator.endswith("similar"):
            return self.pick(SIMILARS)
        if operator.endswith("regex"):
            return self.pick(REGEXES)
        return self.value(kind)


class Name(str):
    """A name in an enum: bare in a document, a string in variables."""


def scalar(kind: str) -> str:
    return SCALARS.get(kind, kind)


def graphql(value: Any) -> str:
    """A value as a literal."""
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {graphql(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(graphql, value))}]"
    return json.dumps(value, ensure_ascii=False)


@st.composite
def requests(draw: Callable[[Any], Any], tables: dict[str, Any]) -> Request:
    return Documents(draw, tables).request()


# ── the proof ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(database: str, runner: asyncio.Runner) -> Iterator[Engine]:
    engine = runner.run(Engine.connect(database, pool_size=1))
    yield engine
    runner.run(engine.close())


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_answers_are_those_of_a_naive_reader(seed: int, engine: Engine, runner: asyncio.Runner) -> None:
    made = world(seed)
    runner.run(engine.run_sql(made.script))
    callers = [(Caller(organization=o), naive.Naive(made.tables, made.rows, o)) for o in (None, 1, 2)]

    @settings(
        max_examples=-(-EXAMPLES // len(SEEDS)),
        deadline=None,
        derandomize=EXAMPLES <= 300,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(requests(made.tables), st.sampled_from(callers))
    def check(request: Request, who: Any) -> None:
        caller, reader = who
        body = {"query": request.text, "variables": request.variables}
        answer = json.loads(runner.run(engine.execute(caller, body)), parse_float=Decimal)
        try:
            expected = reader.answer(request.text, request.variables)
        except naive.Refused as refused:
            assert "errors" in answer, f"expected a refusal ({refused}), got {answer}"
            return
        assert "data" in answer, (caller.organization, answer)
        assert naive.same(expected, answer["data"]), (caller.organization, expected, answer["data"])

    check()


def test_the_comparison_tells_answers_apart() -> None:
    """What `same` accepts and what it doesn't."""
    same, about, unordered = naive.same, naive.About, naive.Unordered
    assert same(unordered([{"a": 1}, {"a": 2}]), [{"a": 2}, {"a": 1}])
    assert not same([1, 2], [2, 1])
    assert not same(unordered([1, 1, 2]), [1, 2, 2])
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert same(about(1 / 3), Decimal("0.33333333333333333333")) and not same(about(1 / 3), Decimal("0.3333"))
    assert not same(1, True) and not same(None, False) and not same("1", 1) and not same([], None)
    assert same(Decimal("1.50"), Decimal("1.5")) and not same(2**53 + 1, 2**53)


def test_every_operator_with_every_value(engine: Engine, runner: asyncio.Runner) -> None:
    """What chance may leave out: each operator of each kind of column, and each path, with values that meet the rows."""
    values: dict[str, list[Any]] = {
        "int4": [1, 0], "int8": [1, str(2**53 + 1)], "numeric": ["1.5", 0], "float8": [0.5, -1.5], "bool": [True, False],
        "text": [*TEXTS], "citext": [*ASCII], "timestamptz": [*TIMES], "text[]": [["a"], [], ["c d", "a"]], "mood": [*MOODS],
        "jsonb": ["a", 1, [], {}, ["a"], {"a": 1}, [1], {"kk": [1]}, [{"a": 2}]],
    }  # fmt: skip
    patterns = {"like": LIKES, "similar": SIMILARS, "regex": REGEXES}
    made = world(2)
    runner.run(engine.run_sql(made.script))
    reader = naive.Naive(made.tables, made.rows)
    for table in made.tables.values():
        asked: list[str] = []
        for column, kind in table.columns.items():
            for operator in ("_eq", "_neq", *(("_gt", "_gte", "_lt", "_lte") if kind != "jsonb" else ())):
                asked += [f"{{{column}: {{{operator}: {graphql(value)}}}}}" for value in values[kind]]
            if kind in ("text", "citext"):
                for operator in sorted(naive.PATTERNS):
                    found = next(several for ending, several in patterns.items() if operator.endswith(ending))
                    asked += [f"{{{column}: {{{operator}: {graphql(value)}}}}}" for value in found]
            if kind in ("text[]", "jsonb"):
                for operator in ("_contains", "_contained_in"):
                    asked += [f"{{{column}: {{{operator}: {graphql(value)}}}}}" for value in values[kind]]
            if kind == "jsonb":
                for operator in ("_has_keys_any", "_has_keys_all"):
                    asked += [
                        f"{{{column}: {{{operator}: {keys}}}}}"
                        for keys in ("[]", '["a"]', '["a", "kk"]', '["b", "kk"]')
                    ]
        order = ", ".join(f"{{{name}: asc}}" for name in table.key)
        roots = [f"r{i}: {table.name}(where: {one}, order_by: [{order}]) {{ id }}" for i, one in enumerate(asked)]
        for column in (name for name, kind in table.columns.items() if kind == "jsonb"):
            paths = ["$.kk[0]", "a", "$.kk[-1].b", "$[1].a", "[0]", '$["b"].a', "$.kk[5]"]
            shown = " ".join(f"p{i}: {column}(path: {graphql(path)})" for i, path in enumerate(paths))
            roots.append(f"{column}: {table.name}(order_by: [{order}]) {{ {shown} }}")
        for start in range(0, len(roots), 100):
            text = f"{{ {' '.join(roots[start : start + 100])} }}"
            answer = json.loads(runner.run(engine.execute(Caller(), {"query": text})), parse_float=Decimal)
            expected = reader.answer(text, {})
            wrong = [key for key in expected if not naive.same(expected[key], answer["data"][key])]
            assert not wrong, [one for one in roots if one.partition(":")[0] in wrong]
