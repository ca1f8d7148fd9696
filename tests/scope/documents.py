"""Random databases and random documents over the tables of naive.py, from a seeded generator: equal seed, equal text.

Pieces of a filter or a row go into the text, into a variable (given, absent, null) or into a variable's default.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from .naive import COLUMNS, COUNTRIES, KEYS, MESSAGES, ORDERS, REGIONS, RELATIONSHIPS, TENANT, Database

OWN = 1
VALUES: dict[str, Any] = {
    "id": ["o0", "o1", "o2", "m0", "m1"],
    "organization_id": [OWN, 2],
    "status": ["a", "b"],
    "total": [1, 2, 3],
    "country_code": ["c1", "c2"],
    "order_id": ["o0", "o1"],
    "urgent": [True, False],
    "code": ["c1", "r1"],
    "name": ["nc1", "R"],
    "region_code": ["r1"],
}
CHANGE = {ORDERS: '_set: {status: "c", country_code: "c1"}, _inc: {total: 1}', MESSAGES: "_set: {urgent: true}"}


def database(random: Random) -> Database:
    """Foreign keys cross organizations freely, also to rows that are gone; some rows belong to nobody."""
    choice = random.choice
    countries = [{"code": c, "name": f"n{c}", "region_code": choice(["r1", None])} for c in ("c1", "c2")]
    orders = [
        {
            "id": f"o{n}",
            "organization_id": choice([OWN, OWN, 2, 3, None]),
            "status": choice(["a", "b"]),
            "total": choice([None, 1, 2, 3]),
            "country_code": choice([None, "c1", "c2"]),
        }
        for n in range(random.randint(1, 6))
    ]
    messages = [
        {
            "id": f"m{n}",
            "organization_id": choice([OWN, OWN, 2, 3, None]),
            "order_id": f"o{random.randint(0, 6)}",
            "urgent": choice([True, False]),
        }
        for n in range(random.randint(1, 8))
    ]
    return {ORDERS: orders, MESSAGES: messages, COUNTRIES: countries, REGIONS: [{"code": "r1", "name": "R"}]}


def alone(data: Database, organization: int) -> Database:
    """D|o: the organization's rows and the shared ones."""
    return {
        table: [row for row in rows if table not in TENANT or row["organization_id"] == organization]
        for table, rows in data.items()
    }


def literal(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {literal(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


class Writer:
    """Writes one document and the variables for it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.definitions: list[str] = []
        self.variables: dict[str, Any] = {}
        self.types: dict[str, tuple[str, bool]] = {}
        """Variable -> its type without `!`, and whether it has a value in each case."""
        self.keys = 0
        self.fragments: dict[str, list[str]] = {}
        """Row type -> names of the fragments on it."""
        self.texts: list[str] = []

    def one_in(self, number: int) -> bool:
        return self.random.randrange(number) == 0

    def some(self, items: Any, most: int) -> list[Any]:
        return self.random.sample(list(items), self.random.randint(0, min(most, len(items))))

    def fresh(self, prefix: str) -> str:
        self.keys += 1
        return f"{prefix}{self.keys}"

    # Values.

    def comparison(self, column: str) -> dict[str, Any]:
        value = self.random.choice(VALUES[column])
        operators = [{"_eq": value}, {"_neq": value}, {"_in": [value]}, {"_is_null": self.one_in(2)}, {}]
        if column != "urgent":
            operators += [{"_gt": value}, {"_lt": value}]
        return self.random.choice(operators)

    def filter(self, table: str, depth: int) -> dict[str, Any]:
        """A bool_exp of the table as JSON."""
        out: dict[str, Any] = {}
        for key in self.some([*COLUMNS[table], *RELATIONSHIPS[table], *RELATIONSHIPS[table]], 2):
            if key in COLUMNS[table]:
                out[key] = self.comparison(key)
                continue
            target, _, _, is_list = RELATIONSHIPS[table][key]
            inner = self.filter(target, depth - 1) if depth > 0 else {}
            if is_list and self.one_in(2):
                counted: dict[str, Any] = {"predicate": {self.random.choice(["_eq", "_gt"]): self.random.randint(0, 2)}}
                if self.one_in(2):
                    counted["filter"] = inner
                out[f"{key}_aggregate"] = {"count": counted}
            else:
                out[key] = inner
        if depth > 0 and self.one_in(3):
            key = self.random.choice(["_and", "_or", "_not"])
            inners = [self.filter(table, depth - 1) for _ in range(self.random.randint(0, 2))]
            out[key] = self.filter(table, depth - 1) if key == "_not" or self.one_in(2) else inners
        return out

    def new_row(self, table: str, depth: int = 1) -> dict[str, Any]:
        """An object to insert, with related ones; some name the organization, rightly or as null."""
        row: dict[str, Any] = {"status": "n"} if table == ORDERS else {"urgent": self.one_in(2)}
        if self.one_in(3):
            row["organization_id"] = self.random.choice([OWN, None])
        if depth and table == ORDERS and self.one_in(2):
            row["messages"] = {"data": [self.new_row(MESSAGES, 0) for _ in range(self.random.randint(0, 2))]}
        elif depth and table == MESSAGES and self.one_in(2):
            row["order"] = {"data": self.new_row(ORDERS, 0)}
        return row

    # Text.

    def variable(self, type_: str, value: Any, *, required: bool) -> str:
        """A variable of this type: a new one with this value, or one that stands somewhere already.

        `required`: the position takes neither null nor nothing.
        """
        again = [name for name, (known, never_null) in self.types.items() if known == type_ and never_null >= required]
        if again and self.one_in(3):
            return f"${self.random.choice(again)}"
        name = self.fresh("v")
        how = self.random.choice(
            ["required", "default"] if required else ["given", "required", "default", "null", "absent"]
        )
        text = f"${name}: {type_}{'!' if how == 'required' else ''}"
        if how == "default":
            text += f" = {literal(value)}"
        elif how == "null":
            self.variables[name] = None
        elif how != "absent":
            self.variables[name] = value
        self.definitions.append(text)
        self.types[name] = (type_, how in ("required", "default"))
        return f"${name}"

    def where(self, table: str, depth: int = 3) -> str:
        """A whole filter's text: null and absent are allowed."""
        value = self.filter(table, depth)
        if self.one_in(3):
            return self.variable(f"{table}_bool_exp", value, required=False)
        return "null" if self.one_in(20) else self.inside(table, value)

    def inside(self, table: str, value: dict[str, Any]) -> str:
        parts = []
        for key, inner in value.items():
            parts.append(f"{key}: {self.member(table, key, inner)}")
        return f"{{{', '.join(parts)}}}"

    def member(self, table: str, key: str, inner: Any) -> str:
        as_variable = self.one_in(5)
        own = f"{table}_bool_exp"
        if key in RELATIONSHIPS[table]:
            target = RELATIONSHIPS[table][key][0]
            return (
                self.variable(f"{target}_bool_exp", inner, required=True) if as_variable else self.inside(target, inner)
            )
        if key in ("_and", "_or") and isinstance(inner, list):
            if as_variable:
                return self.variable(f"[{own}!]", inner, required=True)
            texts = [self.variable(own, i, required=True) if self.one_in(5) else self.inside(table, i) for i in inner]
            return f"[{', '.join(texts)}]"
        if key in ("_and", "_or", "_not"):
            is_one = key == "_not" and as_variable
            return self.variable(own, inner, required=True) if is_one else self.inside(table, inner)
        if key.endswith("_aggregate") and as_variable:
            of = RELATIONSHIPS[table][key.removesuffix("_aggregate")][0]
            return self.variable(f"{of}_aggregate_bool_exp", inner, required=True)
        return literal(inner)

    def listing(self, table: str) -> str:
        parts = []
        if self.one_in(2):
            parts.append(f"where: {self.where(table, 2)}")
        if self.one_in(2):
            orders = [f"{{{self.random.choice(COLUMNS[table])}: {self.random.choice(['asc', 'desc'])}}}"]
            if table == ORDERS and self.one_in(2):
                orders.insert(0, "{country: {region: {name: desc}}}")
            parts.append(f"order_by: [{', '.join(orders)}]")
        if self.one_in(2):
            parts.append(f"limit: {self.random.randint(0, 3)}")
        if self.one_in(4):
            parts.append("offset: 1")
        return f"({', '.join(parts)})" if parts else ""

    def selection(self, table: str, depth: int = 3) -> str:
        parts = [self.random.choice([*COLUMNS[table], "__typename"])]
        if self.one_in(6):
            parts.append(f"organization_id_1: {COLUMNS[table][0]}")  # the name that a helper would like to have
        for name, (target, _, _, is_list) in RELATIONSHIPS[table].items():
            if depth == 0 or self.one_in(3):
                continue
            key = self.fresh("k")
            if not is_list:
                parts.append(f"{key}: {name} {self.selection(target, depth - 1)}")
            elif self.one_in(2):
                parts.append(f"{key}: {name}{self.listing(target)} {self.rows(target, depth - 1)}")
            else:
                parts.append(f"{key}: {name}_aggregate{self.listing(target)} {self.aggregate(target, depth - 1)}")
        if self.one_in(4):
            parts.append(
                f"... on {table} @{self.random.choice(['skip', 'include'])}(if: true) {self.selection(table, 1)}"
            )
        return f"{{ {' '.join(parts)} }}"

    def rows(self, table: str, depth: int = 3) -> str:
        """A selection, now and then through a fragment, which may have been used before."""
        if not self.one_in(4):
            return self.selection(table, depth)
        known = self.fragments.setdefault(table, [])
        name = self.random.choice([*known, ""])
        if not name:
            name = self.fresh("F")
            self.texts.append(f"fragment {name} on {table} {self.selection(table, depth)}")
            known.append(name)
        return f"{{ __typename ...{name} }}"

    def stream(self) -> str:
        """The one root field of a subscription to rows behind a cursor."""
        table = self.random.choice(TENANT)
        cursor = {"initial_value": {"id": "m0" if table == MESSAGES else "o0"}}
        type_ = f"[{table}_stream_cursor_input]"
        given = self.variable(type_, [cursor], required=True) if self.one_in(2) else literal(cursor)
        filtered = f", where: {self.where(table, 2)}" if self.one_in(2) else ""
        return f"{self.fresh('r')}: {table}_stream(batch_size: 2, cursor: {given}{filtered}) {self.rows(table)}"

    def aggregate(self, table: str, depth: int) -> str:
        nodes = f" nodes {self.selection(table, depth)}" if self.one_in(2) else ""
        most = {ORDERS: "max { total status }", MESSAGES: "max { id }"}.get(table, "max { name }")
        return f"{{ aggregate {{ count {most} }}{nodes} }}"

    def read(self) -> str:
        table = self.random.choice(list(COLUMNS))
        key = self.fresh("r")
        kind = self.random.choice(["list", "list", "aggregate", "by_pk"])
        if kind == "list":
            return f"{key}: {table}{self.listing(table)} {self.rows(table)}"
        if kind == "aggregate":
            return f"{key}: {table}_aggregate{self.listing(table)} {self.aggregate(table, 2)}"
        column = KEYS[table]
        value = self.random.choice(VALUES[column])
        type_ = "uuid" if column == "id" else "String"
        given = self.variable(type_, value, required=True) if self.one_in(2) else literal(value)
        return f"{key}: {table}_by_pk({column}: {given}) {self.selection(table)}"

    def write(self, kind: str) -> str:
        table, key = self.random.choice(TENANT), self.fresh("r")
        identity = {"id": self.random.choice(VALUES["id"])}
        if kind in ("insert", "one"):
            rows: Any = [self.new_row(table) for _ in range(self.random.randint(1, 2))]
            one = kind == "one"
            rows = rows[0] if one or self.one_in(2) else rows
            type_ = f"{table}_insert_input" if one else f"[{table}_insert_input!]"
            given = self.variable(type_, rows, required=True) if self.one_in(2) else literal(rows)
            if one:
                return f"{key}: insert_{table}_one(object: {given}) {self.selection(table, 2)}"
            return f"{key}: insert_{table}(objects: {given}) {self.response(table)}"
        if kind == "delete_by_pk":
            return f"{key}: delete_{table}_by_pk(id: {literal(identity['id'])}) {self.selection(table, 2)}"
        if kind == "by_pk":
            pk = f"{table}_pk_columns_input"
            keys = self.variable(pk, identity, required=True) if self.one_in(2) else literal(identity)
            return f"{key}: update_{table}_by_pk(pk_columns: {keys}, {CHANGE[table]}) {self.selection(table, 2)}"
        where = self.inside(table, self.filter(table, 2))
        if kind == "delete":
            return f"{key}: delete_{table}(where: {where}) {self.response(table)}"
        if kind == "many":
            return f"{key}: update_{table}_many(updates: [{{where: {where}, {CHANGE[table]}}}]) {self.response(table)}"
        return f"{key}: update_{table}(where: {where}, {CHANGE[table]}) {self.response(table)}"

    def response(self, table: str) -> str:
        return f"{{ affected_rows returning {self.selection(table, 2)} }}"

    def document(self, kind: str, roots: list[str]) -> str:
        declared = f"({', '.join(self.definitions)})" if self.definitions else ""
        return "\n".join([f"{kind} Q{declared} {{ {' '.join(roots)} }}", *self.texts])
