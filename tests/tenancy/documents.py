"""A random document over the tables of an engine's catalog, from a seed, with what the rules say about it.

Arguments are made as plain values first; `put` then writes each with the types of the schema, and on the way puts parts of it
into variables: with a value, with a default, null, or absent where the position allows that; one object may stand for a list.

What a writer notes besides the text:
- `must`: refusals of the walk (codes) that the document earns; `may`: those that depend on how a value is handed over;
- `inserted`, `changed`, `upserted`, `rekeyed`, `deleted`: what the document does to keys, for the listed exceptions (exceptions.py).

A response key that starts with `o` is a list with a total order; all other lists are compared as multisets. With `preset` an
inserted row gets the organization: the same seed gives the same document but for that.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from automio.engine.catalog import Access, Catalog, Relationship, Table

from .schemas import KEYS, OWN, VALUES, key_value

ORGANIZATION = "organization_id"
KINDS = ("list", "list", "aggregate", "by_pk")
WRITES = (
    "insert",
    "insert",
    "insert_one",
    "upsert",
    "upsert",
    "update",
    "update",
    "update_many",
    "update_by_pk",
    "delete",
    "delete_by_pk",
)
_NULL = {"_eq": None}
"""A null in a comparison: refused wherever it comes to stand."""
_SQL = {"int4": "integer", "text": "text", "numeric": "numeric", "bool": "boolean"}
_SQL |= {"timestamptz": "timestamptz", "jsonb": "jsonb"}
_KEY_NAMES = {name: kind for key in KEYS.values() for name, kind in key.items() if name != ORGANIZATION}


Rows = dict[str, list[dict[str, Any]]]


class Name(str):
    """A name of an enum: written bare in a literal, as a string in JSON."""

    __slots__ = ()


class Preset(int):
    """The organization that the preset writes. `instead`: of a null that was given; it takes part in chance as that null does."""

    instead = False


_ADDED, _INSTEAD = Preset(OWN), Preset(OWN)
_INSTEAD.instead = True


def literal(value: Any) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {literal(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


class Writer:
    """Writes one document and its variables. `own`: the organization's rows and the shared ones, to refer to."""

    def __init__(
        self, random: Random, schema: GraphQLSchema, catalog: Catalog, own: Rows, *, preset: bool = False
    ) -> None:
        self.random = random
        self.schema = schema
        self.own = own
        self.preset = preset
        self.tables = {t.type_name: t for t in catalog.tables.values() if t.type_name and t.access is not Access.CLOSED}
        self.by_reference = {t.reference: t for t in self.tables.values()}
        self.definitions: list[str] = []
        self.variables: dict[str, Any] = {}
        self.count = 0
        self.fragments: dict[str, list[str]] = {}
        self.texts: list[str] = []
        self.must: set[str] = set()
        self.may: set[str] = set()
        self.writing = False
        self.inserted: list[tuple[str, dict[str, Any]]] = []
        self.changed: list[tuple[str, dict[str, Any]]] = []
        self.upserted: set[str] = set()
        self.rekeyed: set[str] = set()
        self.deleted: set[str] = set()

    # ── small things ────────────────────────────────────────────────────────────────────────────────────────────────

    def one_in(self, number: int) -> bool:
        return self.random.randrange(number) == 0

    def some(self, items: Any, most: int, least: int = 0) -> list[Any]:
        items = list(items)
        return self.random.sample(items, min(len(items), self.random.randint(least, most)))

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def tenant(self, table: Table) -> bool:
        return table.access is Access.TENANT

    def target(self, relationship: Relationship) -> Table:
        return self.by_reference[relationship.target]

    def value(self, table: Table, name: str, *, new: bool = False) -> Any:
        """A value of the column, of those that the rows have; `new`: more often one that they don't."""
        if name == ORGANIZATION:
            return self.random.choice([OWN, OWN, 2, 3])
        if name == "code":
            return f"code{self.random.randint(0, 30 if new else 8)}"
        if name == "label":
            return f"l{self.random.randint(0, 9 if new else 2)}"
        last = name.rsplit("_", 1)[-1]
        if last in _KEY_NAMES and not name.startswith("c_"):
            return key_value(last, _KEY_NAMES[last].split()[0], self.random.randint(9 if new else 1, 60 if new else 12))
        return self.random.choice(VALUES[_SQL[table.columns[name].type.name]])

    # ── values to text ──────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, kind: Any, value: Any, *, optional: bool = False, lone: bool = False) -> str:
        """The value's text at a position of this type. `optional`: null and absent mean that the argument is not there.
        `lone`: one item where a list is expected, which a variable of the item's type cannot be."""
        if value is _ADDED:
            return literal(value)
        nullable = not isinstance(kind, GraphQLNonNull)
        inner = kind if nullable else kind.of_type
        if optional and nullable and self.one_in(25):
            how = self.random.choice(["literal", "null", "absent"])
            return "null" if how == "literal" else self.variable(inner, value, how)
        if not lone and self.one_in(9):
            ways = ["given"] if value is None or value is _INSTEAD else ["required", "default", "given"][: 2 + nullable]
            return self.variable(inner, value, self.random.choice(ways))
        if isinstance(inner, GraphQLList) and isinstance(value, list):
            if len(value) == 1 and not isinstance(value[0], list) and self.one_in(3):
                return self.put(inner.of_type, value[0], lone=True)
            return f"[{', '.join(self.put(inner.of_type, one) for one in value)}]"
        if value == _NULL:
            self.must.add("AUTOMIO-207")
        if isinstance(inner, GraphQLInputObjectType) and isinstance(value, dict):
            parts = [f"{key}: {self.put(inner.fields[key].type, one)}" for key, one in value.items()]
            return f"{{{', '.join(parts)}}}"
        return literal(value)

    def variable(self, kind: Any, value: Any, how: str) -> str:
        """A new variable; `given` is one of a nullable type, which may stand at nullable positions alone."""
        name = self.fresh("v")
        text = f"${name}: {kind}{'!' if how == 'required' else ''}"
        if how not in ("null", "absent") and json.dumps(_NULL)[1:-1] in json.dumps(value):
            self.must.add("AUTOMIO-207")
        if how == "default":
            text += f" = {literal(value)}"
        elif how == "null":
            self.variables[name] = None
        elif how != "absent":
            if isinstance(kind, GraphQLList) and isinstance(value, list) and len(value) == 1 and self.one_in(3):
                value = value[0]
            self.variables[name] = value
        self.definitions.append(text)
        if self.writing:
            self.may.add("AUTOMIO-207")  # a filter of a write, or a part of it, that is `{}` in a variable
        return f"${name}"

    def arguments(self, field: Any, values: dict[str, Any], *, optional: bool = False) -> str:
        texts = [f"{key}: {self.put(field.args[key].type, value, optional=optional)}" for key, value in values.items()]
        return f"({', '.join(texts)})" if texts else ""

    # ── filters and orders ──────────────────────────────────────────────────────────────────────────────────────────

    def comparison(self, table: Table, name: str) -> dict[str, Any]:
        one, two = self.value(table, name), self.value(table, name)
        found: list[dict[str, Any]] = [{"_eq": one}, {"_neq": one}, {"_in": [one, two]}, {"_nin": [two]}]
        found += [{"_is_null": self.one_in(2)}, {"_is_null": False}, {"_gt": one}, {"_lte": two}]
        kind = table.columns[name].type.name
        if kind == "text":
            found += [{"_like": "%a%"}, {"_ilike": "a%"}, {"_regex": "^[a-k]"}]
        elif kind == "jsonb":
            found += [{"_contains": {"a": 1}}, {"_has_key": "a"}]
        if not self.writing:
            found.append({})
        if self.one_in(60):
            return dict(_NULL)
        return self.random.choice(found)

    def filter(self, table: Table, depth: int = 3) -> dict[str, Any]:
        """A bool_exp as a value."""
        found: dict[str, Any] = {}
        for key in self.some([*table.columns, *table.relationships, *table.relationships], 2, 1):
            relationship = table.relationships.get(key)
            if relationship is None:
                found[key] = self.comparison(table, key)
                continue
            other = self.target(relationship)
            inner = self.filter(other, depth - 1) if depth > 0 and not self.one_in(3) else {}
            if relationship.many and self.one_in(2):
                found[f"{key}_aggregate"] = self.predicate(other, inner)
            else:
                found[key] = inner
        if depth > 0 and self.one_in(3):
            key = self.random.choice(["_and", "_or", "_not"])
            if key == "_not":
                found[key] = self.filter(table, depth - 1)
            else:
                found[key] = [self.filter(table, depth - 1) for _ in range(self.random.randint(0, 2))]
        return found

    def predicate(self, table: Table, inner: dict[str, Any]) -> dict[str, Any]:
        booleans = [name for name, column in table.columns.items() if column.type.name == "bool"]
        if booleans and self.one_in(3):
            function = self.random.choice(["bool_and", "bool_or"])
            found: dict[str, Any] = {"arguments": Name(booleans[0]), "predicate": {"_eq": self.one_in(2)}}
        else:
            function = "count"
            found = {"predicate": {self.random.choice(["_eq", "_gt", "_lte"]): self.random.randint(0, 3)}}
            if self.one_in(4):
                found |= {"arguments": [Name(self.random.choice(list(table.columns)))], "distinct": self.one_in(2)}
        if self.one_in(2):
            found["filter"] = inner
        return {function: found}

    def order(self, table: Table) -> list[dict[str, Any]]:
        """A total order. Now and then through relationships: the walk refuses those to tenant tables."""
        found: list[dict[str, Any]] = []
        for _ in range(self.random.randint(0, 2)):
            found.append(self.order_item(table, 2))
        last = table.primary_key or tuple(table.columns)
        return [*found, *({name: Name(self.random.choice(["asc", "desc"]))} for name in last)]

    def order_item(self, table: Table, depth: int) -> dict[str, Any]:
        direction = Name(self.random.choice(["asc", "desc", "asc_nulls_first", "desc_nulls_last"]))
        shared = [r for r in table.relationships.values() if not self.tenant(self.target(r))]
        wanted = list(table.relationships.values()) if self.one_in(8) else shared
        if depth and wanted and self.one_in(2):
            relationship = self.random.choice(wanted)
            other = self.target(relationship)
            if self.tenant(other):
                self.must.add("AUTOMIO-205")
            if relationship.many:
                return {f"{relationship.name}_aggregate": {"count": direction}}
            return {relationship.name: self.order_item(other, depth - 1)}
        return {self.random.choice(list(table.columns)): direction}

    def list_arguments(self, table: Table) -> tuple[dict[str, Any], bool]:
        """(arguments, whether the rows have a total order)."""
        found: dict[str, Any] = {}
        if self.one_in(2):
            found["where"] = self.filter(table)
        if not self.one_in(2):
            return found, False
        order = self.order(table)
        if self.one_in(5):
            name = self.random.choice(list(table.columns))
            found["distinct_on"] = [Name(name)]
            order = [{name: Name("asc")}, *order]
        found["order_by"] = order
        if self.one_in(2):
            found["limit"] = self.random.randint(0, 4)
        if self.one_in(4):
            found["offset"] = self.random.randint(0, 2)
        return found, True

    # ── selections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def listing(self, field: Any, table: Table, name: str, depth: int, *, aggregate: bool) -> str:
        arguments, ordered = self.list_arguments(table)
        # What makes the order must not be null or absent, or the rows have none.
        loose = {key: value for key, value in arguments.items() if key in ("where", "offset") or not ordered}
        texts = [f"{k}: {self.put(field.args[k].type, v, optional=k in loose)}" for k, v in arguments.items()]
        given = f"({', '.join(texts)})" if texts else ""
        key = self.fresh("o" if ordered else "k")
        below = self.aggregate(table, depth) if aggregate else self.rows(table, depth)
        return f"{key}: {name}{given} {below}"

    def selection(self, table: Table, depth: int = 3) -> str:
        """Columns and what hangs below; `{ … }`."""
        row: Any = self.schema.type_map[table.type_name]
        parts = self.some([*table.columns, "__typename"], 4, 1)
        if self.one_in(6):
            parts.append(f"organization_id_1: {next(iter(table.columns))}")
        for name, relationship in table.relationships.items():
            if depth <= 0 or self.one_in(2):
                continue
            other = self.target(relationship)
            if not relationship.many:
                text = f"{self.fresh('k')}: {name} {self.rows(other, depth - 1)}"
            elif self.one_in(3):
                key = f"{name}_aggregate"
                text = self.listing(row.fields[key], other, key, depth - 1, aggregate=True)
            else:
                text = self.listing(row.fields[name], other, name, depth - 1, aggregate=False)
            parts.append(text)
        if self.one_in(6):
            parts.append(f"... on {table.type_name} {self.directive()} {self.selection(table, min(depth - 1, 1))}")
        return f"{{ {' '.join(parts)} }}"

    def directive(self) -> str:
        how, given = self.random.choice(["skip", "include"]), self.one_in(2)
        if self.one_in(2):
            return f"@{how}(if: {json.dumps(given)})"
        name = self.fresh("b")
        self.definitions.append(f"${name}: Boolean!")
        self.variables[name] = given
        return f"@{how}(if: ${name})"

    def rows(self, table: Table, depth: int) -> str:
        """A selection, now and then by a fragment that may stand elsewhere too."""
        if not self.one_in(5):
            return self.selection(table, depth)
        known = self.fragments.setdefault(table.type_name, [])
        name = self.random.choice([*known, ""])
        if not name:
            name = self.fresh("F")
            self.texts.append(f"fragment {name} on {table.type_name} {self.selection(table, min(depth, 1))}")
            known.append(name)
        return f"{{ __typename ...{name} }}"

    def aggregate(self, table: Table, depth: int) -> str:
        kind: Any = self.schema.type_map[f"{table.type_name}_aggregate_fields"]
        parts: list[str] = []
        for name in self.some(kind.fields, 3, 1):
            of = get_named_type(kind.fields[name].type)
            if isinstance(of, GraphQLObjectType):
                parts.append(f"{name} {{ {' '.join(self.some(of.fields, 2, 1))} }}")
            elif self.one_in(3):
                column = self.random.choice(list(table.columns))
                parts.append(f"{self.fresh('n')}: {name}(columns: [{column}], distinct: {json.dumps(self.one_in(2))})")
            else:
                parts.append(name)
        nodes = f" nodes {self.selection(table, depth)}" if self.one_in(2) else ""
        return f"{{ aggregate {{ {' '.join(parts)} }}{nodes} }}"

    # ── reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, root: str = "query_root") -> str:
        """One root field of a query or subscription."""
        fields: Any = self.schema.type_map[root]
        table = self.random.choice(list(self.tables.values()))
        kind = self.random.choice(KINDS)
        if kind == "by_pk" and table.primary_key:
            name = f"{table.type_name}_by_pk"
            key = {one: self.value(table, one) for one in table.primary_key}
            given = self.arguments(fields.fields[name], key)
            text = f"{self.fresh('k')}: {name}{given} {self.rows(table, 3)}"
        else:
            name = f"{table.type_name}_aggregate" if kind == "aggregate" else table.type_name
            text = self.listing(fields.fields[name], table, name, 3, aggregate=kind == "aggregate")
        return text

    def stream(self) -> str:
        """The root field of a subscription to rows behind a cursor."""
        fields: Any = self.schema.type_map["subscription_root"]
        table = self.random.choice([t for t in self.tables.values() if t.primary_key])
        name = f"{table.type_name}_stream"
        values: dict[str, Any] = {
            "batch_size": self.random.randint(1, 3),
            "cursor": [{"initial_value": {table.primary_key[-1]: self.first(table.primary_key[-1])}}],
        }
        if self.one_in(2):
            values["where"] = self.filter(table, 2)
        return f"{self.fresh('k')}: {name}{self.arguments(fields.fields[name], values)} {self.rows(table, 2)}"

    def first(self, name: str) -> Any:
        return "" if _KEY_NAMES.get(name) == "text" else 0

    # ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self) -> str:
        """One root field of a mutation."""
        self.writing = True
        fields: Any = self.schema.mutation_type
        tables = [t for t in self.tables.values() if t.primary_key]
        tenants = [t for t in tables if self.tenant(t)]
        table = self.random.choice(tables if self.one_in(12) else tenants)
        if not self.tenant(table):
            self.must.add("AUTOMIO-204")
        kind = self.random.choice(WRITES)
        own, name = self.fresh("k"), table.type_name
        if kind in ("insert", "insert_one", "upsert"):
            one = kind == "insert_one"
            rows = [self.new_row(table) for _ in range(1 if one else self.random.randint(1, 3))]
            values: dict[str, Any] = {"object": rows[0]} if one else {"objects": rows}
            if kind == "upsert" or self.one_in(5):
                values["on_conflict"] = self.on_conflict(table)
            root = f"insert_{name}_one" if one else f"insert_{name}"
            below = self.rows(table, 2) if one else self.response(table)
        elif kind in ("delete", "delete_by_pk"):
            self.deleted.add(table.reference)
            by_key = kind == "delete_by_pk"
            values = (
                {n: self.value(table, n) for n in table.primary_key} if by_key else {"where": self.filter(table, 2)}
            )
            root, below = f"delete_{name}{'_by_pk' * by_key}", self.rows(table, 2) if by_key else self.response(table)
        elif kind == "update_many":
            updates = [{"where": self.filter(table, 2), **self.change(table)} for _ in range(self.random.randint(1, 2))]
            root, below, values = f"update_{name}_many", self.response(table), {"updates": updates}
        elif kind == "update_by_pk":
            values = {"pk_columns": {n: self.value(table, n) for n in table.primary_key}, **self.change(table)}
            root, below = f"update_{name}_by_pk", self.rows(table, 2)
        else:
            values = {"where": self.filter(table, 2), **self.change(table)}
            root, below = f"update_{name}", self.response(table)
        return f"{own}: {root}{self.arguments(fields.fields[root], values)} {below}"

    def response(self, table: Table) -> str:
        return f"{{ affected_rows returning {self.selection(table, 2)} }}"

    def new_row(self, table: Table, depth: int = 2, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """An object to insert, with related ones. `without`: columns that a parent determines."""
        row: dict[str, Any] = {}
        nested: dict[str, Any] = {}
        for name, relationship in table.relationships.items():
            if depth == 0 or not self.one_in(5 if self.tenant(self.target(relationship)) else 60):
                continue
            other = self.target(relationship)
            mine = {a for a, _ in relationship.pairs}
            if mine & without - {ORGANIZATION} or mine & set(row):
                continue
            if not self.tenant(other):
                self.must.add("AUTOMIO-204")
            data: Any
            if relationship.many:
                theirs = frozenset(b for _, b in relationship.pairs)
                data = [self.new_row(other, depth - 1, theirs) for _ in range(self.random.randint(0, 2))]
            else:
                without |= mine
                data = self.new_row(other, depth - 1)
            nested[name] = {"data": data}
            if self.one_in(4):
                nested[name]["on_conflict"] = self.on_conflict(other)
        for key in table.foreign_keys:
            columns = {a for a, _ in key.pairs} - {ORGANIZATION}
            known = self.own.get(key.target, [])
            if known and not columns & (without | set(row)) and not self.one_in(5):
                chosen = self.random.choice(known)
                row |= {a: chosen[b] for a, b in key.pairs if a != ORGANIZATION}
        for name, column in table.columns.items():
            if name == ORGANIZATION or name in without or name in row:
                continue
            needed = not column.nullable and not column.has_default
            if needed or (name in table.primary_key and self.one_in(4)) or (not column.has_default and self.one_in(2)):
                row[name] = self.value(table, name, new=name in table.primary_key or name == "code")
        if self.tenant(table):
            given = self.random.choice([OWN, None, None, 2]) if self.one_in(8) else OWN if self.one_in(4) else ...
            if given == 2:
                self.must.add("AUTOMIO-202")
            if self.preset and given != OWN:
                row[ORGANIZATION] = _INSTEAD if given is None else _ADDED
            elif given is not ...:
                row[ORGANIZATION] = given
        self.inserted.append((table.reference, dict(row)))
        return row | nested

    def on_conflict(self, table: Table) -> dict[str, Any]:
        self.upserted.add(table.reference)
        key = self.random.choice(table.keys)
        columns = [n for n in table.columns if n not in table.primary_key and n not in _linked(table)]
        found: dict[str, Any] = {"constraint": Name(key.name)}
        found["update_columns"] = [Name(name) for name in self.some(columns, 3)]
        if self.one_in(3):
            found["where"] = self.filter(table, 1)
        return found

    def change(self, table: Table) -> dict[str, Any]:
        """_set and the like, as arguments."""
        values: dict[str, Any] = {}
        linked = _linked(table)
        plain = [n for n in table.columns if n not in (*table.primary_key, ORGANIZATION)]
        for name in self.some([n for n in plain if n not in linked or self.one_in(4)], 3, 1):
            null = table.columns[name].nullable and self.one_in(5)
            values[name] = None if null else self.value(table, name, new=name == "code")
        if self.one_in(25):
            name = self.random.choice(table.primary_key)
            if name != ORGANIZATION:
                values[name] = self.value(table, name, new=True)
                self.rekeyed.add(table.reference)
        if self.tenant(table) and self.one_in(12):
            values[ORGANIZATION] = self.random.choice([OWN, OWN, 2, None])
            if values[ORGANIZATION] != OWN:
                self.must.add("AUTOMIO-202" if values[ORGANIZATION] else "AUTOMIO-203")
        self.changed.append((table.reference, dict(values)))
        found: dict[str, Any] = {"_set": values} if values else {}
        numbers = [n for n in ("c_inte", "c_nume") if n in table.columns and n not in values]
        if numbers and (not found or self.one_in(3)):
            found["_inc"] = {self.random.choice(numbers): 1}
        if self.tenant(table) and self.one_in(40):
            found["_inc"] = {ORGANIZATION: 1}
            self.must.add("AUTOMIO-203")
        if "c_json" in table.columns and "c_json" not in values and self.one_in(4):
            found["_append"] = {"c_json": {"z": 1}}
        if not found:
            found = {"_set": {next(iter(plain), table.primary_key[-1]): self.value(table, plain[0])}}
        return found

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────

    def document(self, kind: str, roots: list[str], name: str = "Q") -> str:
        """Root fields, now and then through a fragment on the root type, or said twice where that means once."""
        body = " ".join(roots)
        if kind == "query" and self.one_in(15):
            body += f" {roots[0]}"
        if kind != "subscription" and self.one_in(8):
            fragment = self.fresh("R")
            self.texts.append(f"fragment {fragment} on {kind}_root {{ {body} }}")
            body = f"...{fragment}"
        elif self.one_in(8):
            body = f"... on {kind}_root {{ {body} }}"
        declared = f"({', '.join(self.definitions)})" if self.definitions else ""
        return "\n".join([f"{kind} {name}{declared} {{ {body} }}", *self.texts])


def _linked(table: Table) -> set[str]:
    """Columns of foreign keys, but for the organization."""
    return {a for key in table.foreign_keys for a, _ in key.pairs if a != ORGANIZATION}
