"""Hasura's reads, evaluated row by row in plain Python: what the engine's answers are held against (test_random_reads.py).

Comes in: a description of tables (below), rows as dicts, an operation as text and its variables. Goes out: the answer as
Python values, or `Refused`. It shares nothing with automio/engine: graphql-core parses, everything else is written here again,
from Hasura's documented behaviour and PostgreSQL's, as slowly and plainly as possible.

Values of columns: int, Decimal, float, bool, str, an aware datetime, a list for an array, `Json` for jsonb (so that JSON's null
is not SQL's). A condition is True, False or None for SQL's unknown. In answers `Unordered` marks a list whose order nobody
promised, `About` a number that PostgreSQL computes with rounding of its own, `Folded` a text whose case depends on which of
two equal rows came first; `same` compares an answer with these in mind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    parse,
)

ABSENT: Any = object()
MOODS = ("bad", "fine", "good")
NUMBERS = ("int4", "int8", "numeric", "float8")
TEXTS = ("text", "citext")
ORDERED = (*NUMBERS, *TEXTS, "timestamptz", "mood")
STATISTICS = ("avg", "stddev", "stddev_pop", "stddev_samp", "sum", "var_pop", "var_samp", "variance")


class Refused(Exception):
    """The request is answered with an error."""


@dataclass(frozen=True)
class Relationship:
    """`pairs` are (this table's column, the other table's column)."""

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    many: bool


@dataclass
class Table:
    """`columns`: name -> kind (a name of a PostgreSQL type, `text[]`, or `mood`). `key` orders rows totally, also a view's."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    relationships: dict[str, Relationship] = field(default_factory=dict)
    is_view: bool = False


@dataclass(frozen=True)
class Json:
    value: Any


class Unordered(list[Any]):
    """Any order is right."""


@dataclass(frozen=True)
class About:
    value: float


@dataclass(frozen=True)
class Folded:
    value: str


Row = Mapping[str, Any]


class Naive:
    """Evaluates queries over `rows` (by table). With an organization only its rows exist where a table has `organization_id`."""

    def __init__(
        self, tables: Mapping[str, Table], rows: Mapping[str, Sequence[Row]], organization: int | None = None
    ) -> None:
        self.tables = tables
        self.rows = {
            name: [
                row
                for row in rows[name]
                if organization is None
                or "organization_id" not in table.columns
                or row["organization_id"] == organization
            ]
            for name, table in tables.items()
        }
        self.fragments: dict[str, FragmentDefinitionNode] = {}
        self.variables: dict[str, Any] = {}

    # ── the document ────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, text: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What stands in "data". Refused when it must be an error instead."""
        document = parse(text)
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        self.variables = dict(variables)
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            if name not in self.variables and definition.default_value is not None:
                self.variables[name] = self.plain(definition.default_value)
        found: dict[str, Any] = {}
        for key, nodes in self.collect([operation.selection_set]).items():
            found[key] = self.root(nodes)
        return found

    def root(self, nodes: list[FieldNode]) -> Any:
        name = nodes[0].name.value
        if name == "__typename":
            return "query_root"
        given = self.arguments(nodes[0])
        table = self.tables[name if name in self.tables else re.sub("(_by_pk|_aggregate)$", "", name)]
        self.try_without_rows(table, nodes)
        if name == table.name:
            return self.many(table, self.rows[name], given, nodes)
        if name.endswith("_by_pk"):
            for row in self.rows[table.name]:
                if all(self.compare(table.columns[c], "_eq", row[c], given[c]) for c in table.key):
                    return self.object(table, row, nodes)
            return None
        return self.aggregated(table, self.rows[table.name], given, nodes)

    def collect(self, sets: Iterable[SelectionSetNode | None]) -> dict[str, list[FieldNode]]:
        """Response key -> its fields, merged through fragments; what a directive leaves out is not there."""
        found: dict[str, list[FieldNode]] = {}
        for one in sets:
            for node in one.selections if one else ():
                if not self.included(node):
                    continue
                if isinstance(node, FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append(node)
                else:
                    inner = node
                    if isinstance(node, FragmentSpreadNode):
                        inner = self.fragments[node.name.value]
                    assert isinstance(inner, InlineFragmentNode | FragmentDefinitionNode)
                    for key, nodes in self.collect([inner.selection_set]).items():
                        found.setdefault(key, []).extend(nodes)
        return found

    def included(self, node: Any) -> bool:
        for directive in node.directives or ():
            condition = self.plain(directive.arguments[0].value)
            if condition is (directive.name.value == "skip"):
                return False
        return True

    def arguments(self, node: FieldNode) -> dict[str, Any]:
        found = {argument.name.value: self.plain(argument.value) for argument in node.arguments or ()}
        return {name: value for name, value in found.items() if value is not ABSENT and value is not None}

    def plain(self, node: Any) -> Any:
        """A literal as Python has it, variables filled in; ABSENT for one that was not given."""
        match node:
            case VariableNode():
                return self.variables.get(node.name.value, ABSENT)
            case NullValueNode():
                return None
            case IntValueNode():
                return int(node.value)
            case FloatValueNode():
                return Decimal(node.value)
            case StringValueNode() | EnumValueNode() | BooleanValueNode():
                return node.value
            case ListValueNode():
                return [self.plain(one) for one in node.values]
            case ObjectValueNode():
                fields = {one.name.value: self.plain(one.value) for one in node.fields}
                return {name: value for name, value in fields.items() if value is not ABSENT}
        raise AssertionError(node)

    def try_without_rows(self, table: Table, nodes: list[FieldNode]) -> None:
        """A fault in a request is one also where no row would bring it to light."""
        given = self.arguments(nodes[0])
        self.where(table, dict.fromkeys(table.columns), given.get("where", {}))
        self.chosen(table, [], given)
        fields = self.collect(node.selection_set for node in nodes)
        for inner in fields.values():
            name = inner[0].name.value
            relationship = table.relationships.get(name) or table.relationships.get(name.removesuffix("_aggregate"))
            if relationship:
                self.try_without_rows(self.tables[relationship.target], inner)
            elif name == "nodes":
                self.try_without_rows(table, inner)

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def many(self, table: Table, rows: Sequence[Row], given: Mapping[str, Any], nodes: list[FieldNode]) -> list[Any]:
        found = [self.object(table, row, nodes) for row in self.chosen(table, rows, given)]
        return found if self.is_total(table, given) else Unordered(found)

    def object(self, table: Table, row: Row, nodes: list[FieldNode]) -> dict[str, Any]:
        return {
            key: self.field(table, row, fields)
            for key, fields in self.collect(node.selection_set for node in nodes).items()
        }

    def field(self, table: Table, row: Row, nodes: list[FieldNode]) -> Any:
        name = nodes[0].name.value
        if name == "__typename":
            return table.name
        given = self.arguments(nodes[0])
        if name in table.columns:
            value = row[name]
            if isinstance(value, Json) and "path" in given:
                return at_path(value.value, given["path"])
            return shown(value)
        relationship = table.relationships.get(name) or table.relationships[name.removesuffix("_aggregate")]
        other, related = self.tables[relationship.target], self.related(row, relationship)
        if not relationship.many:
            return self.object(other, related[0], nodes) if related else None
        if name == relationship.name:
            return self.many(other, related, given, nodes)
        return self.aggregated(other, related, given, nodes)

    def related(self, row: Row, relationship: Relationship) -> list[Row]:
        return [
            other
            for other in self.rows[relationship.target]
            if all(row[here] is not None and row[here] == other[there] for here, there in relationship.pairs)
        ]

    def chosen(self, table: Table, rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
        """The rows that the arguments of a list leave, in their order."""
        found = [row for row in rows if self.where(table, row, given.get("where", {})) is True]
        orders = list(self.orders(table, given.get("order_by")))
        for path, direction in reversed(orders):
            found = self.sorted(table, found, path, direction)
        distinct = listed(given.get("distinct_on"))
        if distinct:
            first = [path[0] for path, _ in orders[: len(distinct)]]
            if orders and set(first) != set(distinct):
                raise Refused("distinct_on does not match order_by")
            seen: set[Any] = set()
            kept: list[Row] = []
            for row in found:
                value = tuple(sortable(table.columns[one], row[one]) for one in distinct)
                if value not in seen:
                    seen.add(value)
                    kept.append(row)
            found = kept
        offset = given.get("offset", 0)
        return found[offset : offset + given["limit"]] if "limit" in given else found[offset:]

    def is_total(self, table: Table, given: Mapping[str, Any]) -> bool:
        paths = {path[0] for path, _ in self.orders(table, given.get("order_by")) if len(path) == 1}
        return set(table.key) <= paths

    def orders(self, table: Table, given: Any) -> Iterable[tuple[tuple[str, ...], str]]:
        """(path to what is ordered by, direction)."""
        for one in listed(given):
            yield from paths(one, ())

    def sorted(self, table: Table, rows: list[Row], path: tuple[str, ...], direction: str) -> list[Row]:
        values = [self.order_value(table, row, path) for row in rows]
        nulls_first = direction.endswith("nulls_first") or direction == "desc"
        nulls = [row for row, value in zip(rows, values, strict=True) if value is None]
        others = [(value, row) for row, value in zip(rows, values, strict=True) if value is not None]
        others.sort(key=lambda pair: pair[0], reverse=direction.startswith("desc"))  # stable both ways
        found = [row for _, row in others]
        return nulls + found if nulls_first else found + nulls

    def order_value(self, table: Table, row: Row, path: tuple[str, ...]) -> Any:
        name, rest = path[0], path[1:]
        if not rest:
            return sortable(table.columns[name], row[name])
        relationship = table.relationships.get(name) or table.relationships[name.removesuffix("_aggregate")]
        other, related = self.tables[relationship.target], self.related(row, relationship)
        if not relationship.many:
            return self.order_value(other, related[0], rest) if related else None
        if rest == ("count",):
            return len(related)
        kind = other.columns[rest[1]]
        values = [one[rest[1]] for one in related if one[rest[1]] is not None]
        return exact_call(rest[0], kind, values)

    # ── conditions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def where(self, table: Table, row: Row, given: Any) -> bool | None:
        if not isinstance(given, dict):
            raise Refused("a condition is an object")
        return every(self.part(table, row, name, one) for name, one in given.items())

    def part(self, table: Table, row: Row, name: str, given: Any) -> bool | None:
        if given is None:
            raise Refused("null in a condition")
        if name == "_and":
            return every([self.where(table, row, one) for one in listed(given)])
        if name == "_or":
            return some([self.where(table, row, one) for one in listed(given)])
        if name == "_not":
            return negated(self.where(table, row, given))
        if name in table.columns:
            return self.comparisons(table.columns[name], row[name], given)
        if name in table.relationships:
            relationship = table.relationships[name]
            other = self.tables[relationship.target]
            self.where(other, dict.fromkeys(other.columns), given)
            return any(self.where(other, one, given) is True for one in self.related(row, relationship))
        relationship = table.relationships[name.removesuffix("_aggregate")]
        other = self.tables[relationship.target]
        found: list[bool | None] = []
        for function, one in given.items():
            self.where(other, dict.fromkeys(other.columns), one.get("filter", {}))
            rows = [r for r in self.related(row, relationship) if self.where(other, r, one.get("filter", {})) is True]
            value: Any
            if function == "count":
                columns = listed(one.get("arguments"))
                value = counted(other, rows, columns, one.get("distinct") is True)
                kind = "int8"
            else:
                values = [r[one["arguments"]] for r in rows if r[one["arguments"]] is not None]
                value = (all(values) if function == "bool_and" else any(values)) if values else None
                kind = "bool"
            found.append(self.comparisons(kind, value, one["predicate"]) is True)
        return every(found)

    def comparisons(self, kind: str, value: Any, given: Mapping[str, Any]) -> bool | None:
        found: list[bool | None] = []
        for operator, operand in given.items():
            if operand is None:
                raise Refused("null in a comparison")
            if operator == "_is_null":
                found.append((value is None) is operand)
            elif operator == "_cast":
                text = None if value is None else json_text(value.value)
                found.append(self.comparisons("text", text, operand["String"]))
            else:
                found.append(self.compare(kind, operator, value, operand))
        return every(found)

    def compare(self, kind: str, operator: str, value: Any, operand: Any) -> bool | None:
        """SQL's `value operator operand`."""
        if operator in ("_in", "_nin"):
            members = [self.compare(kind, "_eq", value, one) for one in listed(operand)]
            return some(members) if operator == "_in" else negated(some(members))
        if operator in ("_has_key", "_has_keys_any", "_has_keys_all"):
            if value is None:
                return None
            keys = [has_key(value.value, one) for one in listed(operand)]
            return all(keys) if operator == "_has_keys_all" else any(keys)
        other = typed(kind, operand)
        if value is None:
            return None
        if operator == "_contains":
            return contains(kind, value, other)
        if operator == "_contained_in":
            return contains(kind, other, value)
        if operator in PATTERNS:
            return matches(kind, operator, value, operand)
        left, right = sortable(kind, value), sortable(kind, other)
        match operator:
            case "_eq":
                return left == right
            case "_neq":
                return left != right
            case "_gt":
                return left > right
            case "_gte":
                return left >= right
            case "_lt":
                return left < right
            case "_lte":
                return left <= right
        raise AssertionError(operator)

    # ── aggregates ──────────────────────────────────────────────────────────────────────────────────────────────────

    def aggregated(
        self, table: Table, rows: Sequence[Row], given: Mapping[str, Any], nodes: list[FieldNode]
    ) -> dict[str, Any]:
        chosen = self.chosen(table, rows, given)
        found: dict[str, Any] = {}
        for key, fields in self.collect(node.selection_set for node in nodes).items():
            name = fields[0].name.value
            if name == "__typename":
                found[key] = f"{table.name}_aggregate"
            elif name == "nodes":
                objects = [self.object(table, row, fields) for row in chosen]
                found[key] = objects if self.is_total(table, given) else Unordered(objects)
            else:
                found[key] = self.values(table, chosen, fields)
        return found

    def values(self, table: Table, rows: list[Row], nodes: list[FieldNode]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, fields in self.collect(node.selection_set for node in nodes).items():
            name = fields[0].name.value
            if name == "__typename":
                found[key] = f"{table.name}_aggregate_fields"
            elif name == "count":
                given = self.arguments(fields[0])
                found[key] = counted(table, rows, listed(given.get("columns")), given.get("distinct") is True)
            else:
                found[key] = {}
                for inner, columns in self.collect(node.selection_set for node in fields).items():
                    column = columns[0].name.value
                    if column == "__typename":
                        found[key][inner] = f"{table.name}_{name}_fields"
                        continue
                    values = [row[column] for row in rows if row[column] is not None]
                    found[key][inner] = call(name, table.columns[column], values)
        return found


# ── SQL's logic ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def every(parts: Iterable[bool | None]) -> bool | None:
    found = list(parts)
    return False if False in found else None if None in found else True


def some(parts: Iterable[bool | None]) -> bool | None:
    found = list(parts)
    return True if True in found else None if None in found else False


def negated(one: bool | None) -> bool | None:
    return None if one is None else not one


def listed(given: Any) -> list[Any]:
    """GraphQL's coercion: one value stands for a list of it, absent for an empty one."""
    return [] if given is None else given if isinstance(given, list) else [given]


def paths(given: Any, before: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    for name, one in given.items():
        if isinstance(one, str):
            yield (*before, name), one
        else:
            yield from paths(one, (*before, name))


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def folded(text: str) -> str:
    """Lower case of ASCII alone, as a database with the collation "C" has it."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def typed(kind: str, given: Any) -> Any:
    """A value from a document or from variables, as a value of a column."""
    match kind:
        case "int4" | "int8":
            return int(given)
        case "numeric":
            return Decimal(str(given))
        case "float8":
            return float(given)
        case "timestamptz":
            return datetime.fromisoformat(given)
        case "jsonb":
            return Json(given)
        case "text[]":
            return listed(given)
    return given


def sortable(kind: str, value: Any) -> Any:
    """Something that Python compares and hashes as PostgreSQL compares values of this type; None stays None."""
    if value is None:
        return None
    match kind:
        case "citext":
            return folded(value)
        case "mood":
            return MOODS.index(value)
        case "text[]":
            return tuple((1, "") if one is None else (0, one) for one in value)
        case "jsonb":
            return hashable(value.value)
    return value


def hashable(value: Any) -> Any:
    """JSON values that are equal have equal ones, and only they."""
    match value:
        case bool() | None:
            return ("constant", value)
        case int() | float() | Decimal():
            return ("number", Fraction(value))
        case str():
            return ("text", value)
        case list():
            return ("array", tuple(map(hashable, value)))
    return ("object", tuple(sorted((key, hashable(one)) for key, one in value.items())))


def shown(value: Any) -> Any:
    """A value of a column in an answer."""
    match value:
        case Json():
            return value.value
        case datetime():
            return value.isoformat()
    return value


def json_text(value: Any) -> str:
    """jsonb's text: a space behind colons and commas, keys by length and then by bytes."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'"{escaped}"'
        case list():
            return f"[{', '.join(map(json_text, value))}]"
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key))
            return "{" + ", ".join(f"{json_text(key)}: {json_text(value[key])}" for key in keys) + "}"
    return str(value)


def has_key(value: Any, key: str) -> bool:
    return key == value if isinstance(value, str) else isinstance(value, dict | list) and key in value


def contains(kind: str, left: Any, right: Any) -> bool:
    """left @> right."""
    if kind == "jsonb":
        return _json_contains(left.value, right.value, top=True)
    return all(one is not None and one in left for one in right)


def _json_contains(left: Any, right: Any, top: bool = False) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return all(key in left and _json_contains(left[key], one) for key, one in right.items())
    if isinstance(left, list) and isinstance(right, list):
        return all(any(_json_contains(mine, one) for mine in left) for one in right)
    if top and isinstance(left, list) and not isinstance(right, dict):
        return any(hashable(mine) == hashable(right) for mine in left)
    return not isinstance(left, dict | list) and hashable(left) == hashable(right)


def at_path(value: Any, path: str) -> Any:
    for step in re.findall(r"""\[["']([^"']*)["']\]|\[(-?\d+)\]|\.?([^.\[\]]+)""", path.removeprefix("$")):
        name = "".join(step)
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", name) and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


# ── patterns ────────────────────────────────────────────────────────────────────────────────────────────────────────────

PATTERNS = frozenset("_like _nlike _ilike _nilike _similar _nsimilar _regex _nregex _iregex _niregex".split())


def matches(kind: str, operator: str, value: str, pattern: str) -> bool:
    negative = operator.startswith("_n")
    name = operator[2:] if negative else operator[1:]
    ignore = kind == "citext" or name in ("ilike", "iregex")
    if name.endswith("like"):
        found = re.fullmatch(_like(pattern), value, _flags(ignore))
    elif name == "similar":
        found = re.fullmatch(_similar(pattern), value, _flags(ignore))
    else:
        found = re.search(pattern.replace("$", r"\Z"), value, _flags(ignore))
    return (found is None) is negative


def _flags(ignore: bool) -> int:
    return re.DOTALL | (re.IGNORECASE | re.ASCII if ignore else 0)


def _like(pattern: str) -> str:
    parts = re.findall(r"\\(.)|([%_])|(.)", pattern, re.DOTALL)
    return "".join(re.escape(a or c) if a or c else ".*" if b == "%" else "." for a, b, c in parts)


def _similar(pattern: str) -> str:
    return "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) if c in ".^$" else c for c in pattern)


# ── functions over rows ─────────────────────────────────────────────────────────────────────────────────────────────────


def counted(table: Table, rows: Sequence[Row], columns: Sequence[str], distinct: bool) -> int:
    """count(*), count(a) of values that are there, count((a, b)) of all rows; DISTINCT of these."""
    if not columns:
        return len(rows)
    values = [tuple(sortable(table.columns[one], row[one]) for one in columns) for row in rows]
    if len(columns) == 1:
        values = [one for one in values if one != (None,)]
    return len(set(values)) if distinct else len(values)


def exact_call(function: str, kind: str, values: list[Any]) -> Any:
    """An aggregate, as something to order by: exact where PostgreSQL is exact, and what is rounded rounded alike."""
    if not values:
        return None
    if function in ("max", "min"):
        return (max if function == "max" else min)(sortable(kind, one) for one in values)
    numbers = [Fraction(one) for one in values]
    total, count = sum(numbers), len(numbers)
    if function == "sum":
        return total
    if function == "avg":
        return total / count
    squares = sum((one - total / count) ** 2 for one in numbers)
    if function in ("var_pop", "stddev_pop"):
        return squares / count
    return squares / (count - 1) if count > 1 else None  # the root keeps the order


def call(function: str, kind: str, values: list[Any]) -> Any:
    """An aggregate of the values that are not null, as it is shown."""
    if not values:
        return None
    if function in ("max", "min"):
        best = (max if function == "max" else min)(values, key=lambda one: sortable(kind, one))
        return Folded(folded(best)) if kind == "citext" else shown(best)
    value = exact_call(function, kind, values)
    if value is None:
        return None
    if function == "sum" and kind != "float8":
        return Decimal(value.numerator) / Decimal(value.denominator)
    return About(math.sqrt(value) if function.startswith("stddev") else float(value))


# ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def same(expected: Any, found: Any) -> bool:
    """Whether an answer (numbers with a fraction read as Decimal) is the expected one."""
    if isinstance(expected, Unordered):
        if not isinstance(found, list) or len(expected) != len(found):
            return False
        rest = list(found)
        for one in expected:
            place = next((i for i, other in enumerate(rest) if same(one, other)), None)
            if place is None:
                return False
            del rest[place]
        return True
    if isinstance(expected, About):
        return isinstance(found, int | Decimal) and math.isclose(expected.value, found, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(expected, Folded):
        return isinstance(found, str) and folded(found) == expected.value
    if isinstance(expected, dict):
        # The order of keys is part of the answer.
        return (
            isinstance(found, dict)
            and list(expected) == list(found)
            and all(same(one, found[key]) for key, one in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, bool) or isinstance(found, bool) or expected is None or found is None:
        return expected is found
    if isinstance(expected, int | float | Decimal):
        return isinstance(found, int | float | Decimal) and Decimal(expected) == Decimal(found)
    return type(expected) is type(found) and expected == found
