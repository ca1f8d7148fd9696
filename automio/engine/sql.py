"""SQL fragments: the one place that quotes names, writes types and binds values. Used by render.py.

Comes in: names and Parameters of a plan. Goes out: text, and the parameters in the order of their numbers. No value ever
stands in the text; equal parameters share a number, so an organization is `$1` wherever it stands.

`Writer.relation` and `Writer.target` are the only functions that write a table's name where rows come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from automio.engine.catalog import SqlType
from automio.engine.plan_types import Call, Constant, Kind, Organization, Parameter, Predicate, TableRef
from automio.engine.values import NATIVE, TEXT_CODECS, is_read_at_binding

NAME_BYTES = 63
"""The longest name that PostgreSQL keeps whole."""

OPERATORS = {
    "_eq": "{0} = {1}",
    "_neq": "{0} <> {1}",
    "_gt": "{0} > {1}",
    "_gte": "{0} >= {1}",
    "_lt": "{0} < {1}",
    "_lte": "{0} <= {1}",
    "_in": "{0} = ANY ({1})",
    "_nin": "{0} <> ALL ({1})",
    "_like": "{0} LIKE {1}",
    "_nlike": "{0} NOT LIKE {1}",
    "_ilike": "{0} ILIKE {1}",
    "_nilike": "{0} NOT ILIKE {1}",
    "_similar": "{0} SIMILAR TO {1}",
    "_nsimilar": "{0} NOT SIMILAR TO {1}",
    "_regex": "{0} ~ {1}",
    "_nregex": "{0} !~ {1}",
    "_iregex": "{0} ~* {1}",
    "_niregex": "{0} !~* {1}",
    "_contains": "{0} @> {1}",
    "_contained_in": "{0} <@ {1}",
    "_has_key": "{0} ? {1}",
    "_has_keys_any": "{0} ?| {1}",
    "_has_keys_all": "{0} ?& {1}",
    "_ancestor": "{0} @> {1}",
    "_ancestor_any": "{0} @> {1}",
    "_descendant": "{0} <@ {1}",
    "_descendant_any": "{0} <@ {1}",
    "_matches": "{0} ~ {1}",
    "_matches_any": "{0} ? {1}",
    "_matches_fulltext": "{0} @ {1}",
}

CHANGES = {
    "_set": "{1}",
    "_inc": "{0} + {1}",
    "_append": "{0} || {1}",
    "_prepend": "{1} || {0}",
    "_delete_key": "{0} - {1}",
    "_delete_elem": "{0} - {1}",
    "_delete_at_path": "{0} #- {1}",
}

DIRECTIONS = {
    "asc": "ASC NULLS LAST",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc": "DESC NULLS FIRST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}

_FUNCTIONS = frozenset(
    "count sum avg min max stddev stddev_pop stddev_samp var_pop var_samp variance bool_and bool_or".split()
)
_BARE_TYPES = frozenset({*NATIVE, *TEXT_CODECS, "json"})


def name(text: str) -> str:
    """A quoted identifier."""
    if "\0" in text:
        raise ValueError("a name with a zero byte")
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted text constant (names of types and keys of answers, never a value)."""
    if "\0" in text:
        raise ValueError("a text with a zero byte")
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def type_name(kind: SqlType) -> str:
    """A type as it stands behind `::`, always without modifiers."""
    bare = kind.schema == "pg_catalog" and kind.name in _BARE_TYPES
    text = kind.name if bare else f"{name(kind.schema)}.{name(kind.name)}"
    return f"{text}[]" if kind.array else text


def late(value: str, parameter: Parameter) -> str:
    """The same value, out of sight of PostgreSQL's planner. The cast keeps a list an array (ANY would take a subquery for rows)."""
    if parameter.many and parameter.type.array:
        return value
    return f"(SELECT {value})::{type_name(parameter.type)}{'[]' if parameter.many else ''}"


def call(function: Call, columns: tuple[str, ...]) -> str:
    """An aggregate over columns that are already written. PostgreSQL has no max(uuid) before version 19; order gives the same."""
    if function.function not in _FUNCTIONS:
        raise ValueError(f"no aggregate function {function.function!r}")
    if not columns:
        return "count(*)"
    inner = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
    if function.function in ("max", "min") and function.type == SqlType("uuid"):
        direction = "DESC" if function.function == "max" else "ASC"
        return f"(array_agg({inner} ORDER BY {inner} {direction} NULLS LAST))[1]"
    return f"{function.function}({'DISTINCT ' if function.distinct else ''}{inner})"


def sorts(function: Call) -> bool:
    """Whether `call` writes an aggregate that has its input sorted."""
    return function.distinct or (function.function in ("max", "min") and function.type == SqlType("uuid"))


def keys(alias: str, columns: Iterable[tuple[str, SqlType]]) -> str:
    """These columns of a row as one jsonb, to be compared by `refers`."""
    return f"jsonb_build_object({', '.join(f'{literal(one)}, {alias}.{name(one)}' for one, _ in columns)})"


def refers(kept: str, number: int, alias: str, pairs: Iterable[tuple[str, str, SqlType]]) -> str:
    """The row with this alias refers to a kept row of table `number`: (its column, the kept one, the kept one's type)."""
    same = [
        f"{alias}.{name(here)} = ({kept}.keys ->> {literal(there)})::{type_name(kind)}" for here, there, kind in pairs
    ]
    return " AND ".join([f"{kept}.number = {number}", *same])


class Writer:
    """Numbers parameters and aliases of one statement."""

    def __init__(self) -> None:
        self._numbers: dict[Parameter, int] = {}
        self._aliases = 0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, `$1` first."""
        return tuple(self._numbers)

    def place(self, parameter: Parameter) -> str:
        """Where the value stands: `$1`, or another expression of the statement (`Batches`)."""
        return f"${self._numbers.setdefault(parameter, len(self._numbers) + 1)}"

    def alias(self) -> str:
        """A fresh alias: t0, t1, …"""
        self._aliases += 1
        return f"t{self._aliases - 1}"

    def bind(self, parameter: Parameter) -> str:
        """A value: `$1::uuid`, `$2::int4[]`; through text for types that a parameter cannot have itself.

        A list of arrays becomes a query (ANY and ALL take one), since an array of arrays would be a matrix.
        """
        number = self.place(parameter)
        kind, lists = parameter.type, "[]" if parameter.many else ""
        if is_read_at_binding(kind):
            return f"{number}::{type_name(kind)}{lists}"
        if parameter.kind is Kind.JSON_PATH:
            return f"{number}::text[]"
        if kind.array and parameter.many:
            return f"SELECT x::{type_name(kind)} FROM unnest({number}::text[]) AS x"
        return f"{number}::text{lists}::{type_name(kind)}{lists}"

    def number(self, value: Parameter | int) -> str:
        """A number of the plan as it stands, else a bound one."""
        return str(int(value)) if isinstance(value, int) else self.bind(value)

    def bind_texts(self, parameter: Parameter) -> tuple[str, str]:
        """A list of values as a set of rows, and what makes one row of it the value's type."""
        if is_read_at_binding(parameter.type):
            return self.bind(parameter), ""
        return f"{self.place(parameter)}::text[]", f"::{type_name(parameter.type)}"

    def predicate(self, predicate: Predicate, alias: str, top: bool = False) -> str:
        """The condition on a row (render.py)."""
        raise NotImplementedError

    def relation(self, table: TableRef) -> str:
        """Where rows come from: the table, or the rows of it that belong to the organization and satisfy the role's filter.

        OFFSET 0 keeps other conditions outside.
        """
        inner = self._scoped(table)
        if table.filter is None:
            return inner
        alias = self.alias()
        condition = self.predicate(table.filter, alias, top=True)
        return f"(SELECT {alias}.* FROM {inner} AS {alias} WHERE {condition}{' OFFSET 0' if table.barrier else ''})"

    def _scoped(self, table: TableRef) -> str:
        plain = f"{name(table.schema)}.{name(table.name)}"
        scope = table.scope
        if scope is None:
            return plain
        operator = "IS DISTINCT FROM" if scope.foreign else "="
        barrier = " OFFSET 0" if scope.barrier else ""
        return f"(SELECT * FROM {plain} WHERE {name(scope.column)} {operator} {self.bind(scope.organization)}{barrier})"

    def target(self, table: TableRef, alias: str) -> str:
        """Where rows are written; `own` must stand in the condition, if the statement can touch rows that exist."""
        return f"{name(table.schema)}.{name(table.name)} AS {alias}"

    def own(self, table: TableRef, alias: str) -> str:
        """The condition that a row of the target is the caller's; "" for a caller who owns all rows."""
        scope = table.scope
        return f"{alias}.{name(scope.column)} = {self.bind(scope.organization)}" if scope else ""

    def row_type(self, table: TableRef) -> str:
        """A null of the table's row type; names a type, no rows."""
        return f"NULL::{name(table.schema)}.{name(table.name)}"


class Batches(Writer):
    """A Writer for one statement that serves many: values that differ between them are columns of the relation `batch`.

    The values of the document and the organization are bound once for all, so nothing of a batch can be about another one's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.varying: dict[Parameter, str] = {}

    def place(self, parameter: Parameter) -> str:
        if isinstance(parameter.source, Constant | Organization):
            return super().place(parameter)
        return f"batch.{self.varying.setdefault(parameter, f'p{len(self.varying)}')}"

    def batched(self, columns: list[str]) -> str:
        """SELECT number, columns, once for each row of values; the values of each parameter come as one array of texts.

        MATERIALIZED: each value is read as its type once and in any case, so a bad one is a fault also while there are no rows.
        """
        if not self.varying:
            return "SELECT " + ",\n".join(["1::int8 AS number", *columns])
        first, names = len(self.parameters) + 1, tuple(self.varying.values())
        lists = ", ".join(f"${first + i}::text[]" for i in range(len(names)))
        typed = ", ".join(f"given.{one}::{_batch_type(parameter)} AS {one}" for parameter, one in self.varying.items())
        given = f"unnest({lists}) WITH ORDINALITY AS given ({', '.join(names)}, number)"
        head = f"WITH batch AS MATERIALIZED (\n  SELECT given.number, {typed}\n  FROM {given}\n)"
        return f"{head}\nSELECT " + ",\n".join(["batch.number", *columns]) + "\nFROM batch"


def _batch_type(parameter: Parameter) -> str:
    if parameter.kind is Kind.JSON_PATH:
        return "text[]"
    kind = type_name(parameter.type) if is_read_at_binding(parameter.type) else "text"
    return f"{kind}[]" if parameter.many else kind


def as_texts(statement: str, columns: int) -> str:
    """A statement whose rows come as texts, each as PostgreSQL prints the value (`t`, not `true`), NULL as NULL."""
    names = ", ".join(f"c{i}" for i in range(columns))
    values = ", ".join(f"CASE num_nulls(c{i}) WHEN 0 THEN concat(c{i}) END" for i in range(columns))
    return f"WITH answer ({names}) AS MATERIALIZED ({statement}\n) SELECT {values} FROM answer"


def insert_objects(schema: str, table: str, columns: Iterable[str]) -> str:
    """Inserts the objects of a JSON array that all have these keys, returning each row as JSON."""
    target = f"{name(schema)}.{name(table)}"
    names = [name(column) for column in columns]
    if not names:
        return f"INSERT INTO {target} DEFAULT VALUES RETURNING row_to_json({name(table)})::text"
    listed = ", ".join(f"r.{one}" for one in names)
    rows = f"json_populate_recordset(NULL::{target}, $1::json) AS r"
    return f"INSERT INTO {target} AS made ({', '.join(names)}) SELECT {listed} FROM {rows} RETURNING row_to_json(made)::text"


def enum_rows(schema: str, table: str, value: str, comment: str | None) -> str:
    """The values of an enum table with their comments."""
    second = f"{name(comment)}::text" if comment else "NULL::text"
    return f"SELECT {name(value)}::text, {second} FROM {name(schema)}.{name(table)}"


def indent(text: str, by: str = "  ") -> str:
    """The text with every line moved to the right."""
    return re.sub(r"(?m)^(?=.)", by, text)
