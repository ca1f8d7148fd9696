"""A permission's JSON -> Predicates and presets: the language of Hasura's metadata. Used by permissions.py. Next: filter.py.

The language is that of a `where`, with these differences:
- operators are spelled `_eq` or `$eq`; a bare value means `_eq`: {"id": "X-Hasura-User-Id"};
- any string that begins with `x-hasura-`, in any case, is a session variable, wherever a value stands, also within a list. It
  becomes a `Session`: bound with each request, never text of a statement. In place of a list it is PostgreSQL's text of an
  array (`{a,b}`) or a JSON list;
- `_ceq`, `_cneq`, `_cgt`, … compare with a column: "other" or ["other"] of the same row, ["$", "other"] of the row that the
  whole permission is about;
- null is a value: `_eq` finds the rows without one and `_neq` those with one, as Hasura's comparison of nullable columns does;
- `_exists` asks for any row of any table.

Names are PostgreSQL's. The permissions of other tables play no part in here, as in Hasura: the admin wrote the condition. The
organization does: every table that is named comes from `Tables.own`, so a bound caller's condition looks at own rows only.

What does not fit is a `PermissionFault`, in Hasura's words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from automio.engine import sql
from automio.engine.catalog import Column, SqlType, Table
from automio.engine.filter import Tables, all_of, can_fail
from automio.engine.plan_types import (
    Anything,
    ColumnComparison,
    Comparison,
    Constant,
    Exists,
    IsNull,
    Kind,
    Negation,
    Parameter,
    Predicate,
    Rooted,
    Session,
)
from automio.engine.refusal import Refusal
from automio.engine.values import binder

_PREFIX = "x-hasura-"
_TEXT = SqlType("text")
_SYNONYMS = {"_ne": "_neq", "_cne": "_cneq"}
_COLUMNS = {f"_c{one}": f"_{one}" for one in ("eq", "neq", "gt", "lt", "gte", "lte")}
_LISTS: dict[str, tuple[str, bool]] = {"_in": ("_eq", False), "_nin": ("_neq", True)}
_KEYS: dict[str, tuple[str, bool]] = {"_has_keys_any": ("_has_key", False), "_has_keys_all": ("_has_key", True)}
_PATTERNS = frozenset("_like _nlike _ilike _nilike _similar _nsimilar _regex _nregex _iregex _niregex".split())
_TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_NAMES = {"int2": "smallint", "int4": "integer", "int8": "bigint", "bool": "boolean", "float4": "real"}
_NAMES |= {"float8": "float8", "bpchar": "bpchar", "timestamptz": "timestamptz"}


class PermissionFault(Exception):
    """A permission does not fit its table. `place` are the keys below the permission; `code` is Hasura's."""

    def __init__(self, message: str, place: tuple[str, ...] = (), code: str = "unexpected-payload") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.code = code


class Expressions:
    """Reads the conditions and presets of permissions. `tables` says what of other tables they see."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.catalog = tables.catalog

    def condition(self, table: Table, given: Any, *place: str) -> Predicate:
        """The predicate on a row of the table. Raises PermissionFault, and Refusal for a table that cannot be scoped."""
        reader = _Condition(self, table)
        found = reader.read(table, given, place)
        return Rooted(found) if reader.uses_root else found

    def presets(self, table: Table, given: Mapping[str, Any], *place: str) -> dict[str, Parameter]:
        """Column -> the value that is put there."""
        found: dict[str, Parameter] = {}
        for name, value in given.items():
            column = table.columns.get(name)
            if column is None:
                text = f'column "{name}" not found in table "{table.name}"'
                raise PermissionFault(text, (*place, name), "not-exists")
            found[name] = self.value(column, column.type, value, (*place, name))
        return found

    def columns(self, table: Table, given: Iterable[str] | None, *place: str) -> frozenset[str]:
        """The columns that are meant; None is all."""
        if given is None:
            return frozenset(table.columns)
        for i, name in enumerate(given):
            if name not in table.columns:
                raise PermissionFault(f'"{name}" does not exist', (*place, f"[{i}]"), "not-exists")
        return frozenset(given)

    def value(self, column: Column, kind: SqlType, given: Any, place: tuple[str, ...], many: bool = False) -> Parameter:
        """A value for a column, or to compare it with."""
        if is_session(given):
            return Parameter(Session(given.lower()), kind, Kind.SESSION, many)
        made = Parameter(
            Constant(json.dumps(given, ensure_ascii=False), given), kind, many=many, graphql=column.graphql
        )
        try:
            binder(made)
        except Refusal as refusal:
            raise PermissionFault(refusal.message, place, refusal.code) from None
        return made


class _Condition:
    """Reads one condition, whose root is a row of `root`."""

    def __init__(self, expressions: Expressions, root: Table) -> None:
        self.expressions = expressions
        self.tables = expressions.tables
        self.root = root
        self.uses_root = False

    def read(self, table: Table, given: Any, place: tuple[str, ...]) -> Predicate:
        if not isinstance(given, Mapping):
            raise PermissionFault("a boolean expression must be an object", place, "parse-failed")
        return all_of([self._key(table, key, one, (*place, key)) for key, one in given.items()])

    def _key(self, table: Table, key: str, given: Any, place: tuple[str, ...]) -> Predicate:
        word = "_" + key[1:] if key[:1] == "$" else key
        if word in ("_and", "_or"):
            if not isinstance(given, list):
                raise PermissionFault("expected a list of boolean expressions", place, "parse-failed")
            parts = [self.read(table, one, (*place, f"[{i}]")) for i, one in enumerate(given)]
            return all_of(parts) if word == "_and" else Anything(tuple(parts))
        if word == "_not":
            return Negation(self.read(table, given, place))
        if word == "_exists":
            return self._exists(given, place)
        column = table.columns.get(key)
        if column is not None:
            return self._column(table, column, given, place)
        relationship = table.relationships.get(key)
        if relationship is None:
            raise PermissionFault(f'"{key}" does not exist', place, "not-exists")
        other = self.expressions.catalog.tables[relationship.target]
        where = self.read(other, given, place)
        return Exists(self.tables.own(other, can_fail(where)), relationship.pairs, where)

    def _exists(self, given: Any, place: tuple[str, ...]) -> Predicate:
        if not isinstance(given, Mapping) or not given.keys() >= {"_table", "_where"}:
            raise PermissionFault("_exists needs the keys _table and _where", place, "parse-failed")
        named = given["_table"]
        schema, name = (
            (named.get("schema", "public"), named.get("name")) if isinstance(named, dict) else ("public", named)
        )
        other = self.expressions.catalog.find(schema, name) if isinstance(name, str) else None
        if other is None:
            full = name if schema == "public" else f"{schema}.{name}"
            raise PermissionFault(f'table "{full}" does not exist', (*place, "_table"), "not-exists")
        where = self.read(other, given["_where"], (*place, "_where"))
        return Exists(self.tables.own(other, can_fail(where)), (), where)

    def _column(
        self, table: Table, column: Column, given: Any, place: tuple[str, ...], cast: SqlType | None = None
    ) -> Predicate:
        kind = cast or column.type
        if kind.name == "json":
            raise PermissionFault("JSON column can not be part of boolean expression", place)
        if not isinstance(given, Mapping):
            return self._compare(column, "_eq", given, place, cast)
        parts: list[Predicate] = []
        for key, one in given.items():
            below = (*place, key)
            word = "_" + key[1:] if key[:1] == "$" else key
            word = _SYNONYMS.get(word) or word
            if word in _COLUMNS:
                parts.append(self._other_column(table, column, _COLUMNS[word], one, below, cast))
            elif word == "_is_null":
                if not isinstance(one, bool):
                    raise PermissionFault("expected a boolean for _is_null", below, "parse-failed")
                parts.append(IsNull(column.name, one, cast))
            elif word == "_cast":
                parts += self._cast(table, column, one, below)
            elif word in _LISTS or word in _KEYS:
                parts.append(self._list(column, word, one, below, cast))
            else:
                parts.append(self._compare(column, word, one, below, cast))
        return all_of(parts)

    def _cast(self, table: Table, column: Column, given: Any, place: tuple[str, ...]) -> list[Predicate]:
        if not isinstance(given, Mapping):
            raise PermissionFault("_cast needs an object", place, "parse-failed")
        for target in given:
            if column.type.name != "jsonb" or target not in ("String", "text"):
                text = f'cannot cast column of type "{_shown(column.type)}" to type "{target}"'
                raise PermissionFault(text, place)
        return [self._column(table, column, one, (*place, target), _TEXT) for target, one in given.items()]

    def _compare(
        self, column: Column, operator: str, given: Any, place: tuple[str, ...], cast: SqlType | None
    ) -> Predicate:
        kind = cast or column.type
        _guard(operator, kind, place)
        if given is None and operator in ("_eq", "_neq"):
            return IsNull(column.name, operator == "_eq", cast)
        operand = _TEXT if operator == "_has_key" else kind
        value = self.expressions.value(column, operand, given, place)
        return self._made(Comparison(column.name, operator, value, cast))

    def _made(self, made: Comparison) -> Comparison:
        if self.tables.guarded and can_fail(made):
            return Comparison(made.column, made.operator, made.value, made.cast, late=True)
        return made

    def _list(
        self, column: Column, operator: str, given: Any, place: tuple[str, ...], cast: SqlType | None
    ) -> Predicate:
        kind = cast or column.type
        _guard(operator, kind, place)
        if isinstance(given, list) and any(map(is_session, given)):
            single, every = (_LISTS | _KEYS)[operator]
            parts = [self._compare(column, single, one, (*place, f"[{i}]"), cast) for i, one in enumerate(given)]
            return all_of(parts) if every else Anything(tuple(parts))
        if not isinstance(given, list) and not is_session(given):
            raise PermissionFault("expected a list of values or a session variable", place, "parse-failed")
        operand = _TEXT if operator in _KEYS else kind
        value = self.expressions.value(column, operand, given, place, many=True)
        return self._made(Comparison(column.name, operator, value, cast))

    def _other_column(
        self, table: Table, column: Column, operator: str, given: Any, place: tuple[str, ...], cast: SqlType | None
    ) -> Predicate:
        path = [given] if isinstance(given, str) else given
        if not isinstance(path, list) or not all(isinstance(one, str) for one in path):
            text = "a boolean expression JSON must be either a string or an array"
            raise PermissionFault(text, place, "unexpected")
        if not path:
            raise PermissionFault("path cannot be empty", place, "unexpected")
        root = len(path) == 2 and path[0] == "$"
        if len(path) > 1 and not root:
            text = "Relationship references are not supported in column comparison RHS"
            raise PermissionFault(text, place, "not-supported")
        other = (self.root if root else table).columns.get(path[-1])
        if other is None:
            raise PermissionFault(f'"{path[-1]}" does not exist', place, "not-exists")
        if (cast or column.type) != other.type:
            text = (
                f'incompatible column types: "{column.name}" has type "{_shown(cast or column.type)}", '
                f'but "{other.name}" has type "{_shown(other.type)}"'
            )
            raise PermissionFault(text, place)
        self.uses_root |= root
        return ColumnComparison(column.name, operator, other.name, root, cast)


def is_session(value: Any) -> bool:
    """Whether a value of the metadata is the name of a session variable."""
    return isinstance(value, str) and value.lower().startswith(_PREFIX)


def _guard(operator: str, kind: SqlType, place: tuple[str, ...]) -> None:
    """Whether there is such an operator, and for this type."""
    if operator not in sql.OPERATORS:
        raise PermissionFault(f"Unknown operator: {operator}", place)
    fits: Callable[[SqlType], bool] | None = None
    wanted = ""
    if operator in _PATTERNS:
        fits, wanted = (lambda one: one.name in _TEXTS and not one.array), ", ".join(f'"{one}"' for one in _TEXTS)
    elif operator in ("_contains", "_contained_in"):
        fits, wanted = (lambda one: one.array or one.name == "jsonb"), "an array or JSONB"
    elif operator == "_has_key" or operator in _KEYS:
        fits, wanted = (lambda one: one.name == "jsonb" and not one.array), '"jsonb"'
    if fits is not None and not fits(kind):
        text = f' is of type "{_shown(kind)}"; this operator works only on columns of type {wanted}'
        raise PermissionFault(text, place)


def _shown(kind: SqlType) -> str:
    return _NAMES.get(kind.name, kind.name) + ("[]" if kind.array else "")
