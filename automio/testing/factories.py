"""Rows to insert, made up as far as the table asks for them. Used in tests, beside the fixtures of __init__.py.

    make = rows(orders.insert)            # the type checker knows what comes out: what orders.insert takes
    make = rows("app_130", "orders")      # the same by names
    orders.insert(make(status="paid"))    # {"order_id": "order_id-1", "status": "paid"}

The rules:
- Columns that must have a value get one: those that are not nullable and have no default. The generated facts know nullability
  alone; defaults come from the running `automio_platform`. Without one, a key of one column that is a uuid or an integer is
  taken to have a default, and every other column that is not nullable gets a value.
- The organization's column is never given, and giving it is refused: it comes from the API.
- A required foreign key becomes its parent, nested (`"order": {"data": …}`), unless the call names one of its columns, or the
  relationship. A parent that needs a row of its own table, directly or through others, cannot be made up and is asked for.
- Values depend on the column and on a number that goes up with each row made for that table in this process, so the same tests
  make the same rows, and no two rows share a value that could be unique (booleans and enums aside). Dates count from 2026-01-01.
- Enum types of PostgreSQL give their first value (with the platform); a type that we don't know is asked for.
- Lengths and CHECK constraints are not known: give a value where one refuses ours.
- Names in and out are Python's, as in the typed functions; exact GraphQL names are accepted.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Generic, Protocol, TypeVar, cast, overload
from uuid import NAMESPACE_OID, uuid5

from automio.dialect.index import Column, SchemaIndex, Table
from automio.errors import ConfigError
from automio.request import Unset
from automio.runtime.call import Facts, Operation
from automio.scope.turning import python_fields

RowT = TypeVar("RowT")
_Insert = TypeVar("_Insert", contravariant=True)
_numbers: dict[str, Iterator[int]] = {}
_KEYS_WITH_DEFAULT = frozenset({"uuid", "Int", "bigint", "smallint"})
_START = datetime(2026, 1, 1, tzinfo=UTC)

_VALUES: dict[str, Callable[[str, int], Any]] = {
    **dict.fromkeys(("String", "ID", "citext", "bpchar", "name"), lambda column, n: f"{column}-{n}"),
    **dict.fromkeys(("Int", "smallint", "bigint"), lambda _, n: n),
    **dict.fromkeys(("Float", "float8"), lambda _, n: float(n)),
    **dict.fromkeys(("json", "jsonb"), lambda _, n: {"number": n}),
    "numeric": lambda _, n: Decimal(n),
    "money": lambda _, n: f"{n}.00",
    "Boolean": lambda _, n: False,
    "uuid": lambda column, n: uuid5(NAMESPACE_OID, f"{column}-{n}"),
    "timestamptz": lambda _, n: _START + timedelta(minutes=n),
    "timestamp": lambda _, n: (_START + timedelta(minutes=n)).replace(tzinfo=None),
    "date": lambda _, n: date(2026, 1, 1) + timedelta(days=n),
    "time": lambda _, n: time(n // 3600 % 24, n // 60 % 60, n % 60),
    "timetz": lambda _, n: time(n // 3600 % 24, n // 60 % 60, n % 60, tzinfo=UTC),
    "interval": lambda _, n: timedelta(seconds=n),
    "bytea": lambda _, n: n.to_bytes(4, "big"),
    "ltree": lambda _, n: f"n{n}",
    "inet": lambda _, n: _address(n),
    "cidr": lambda _, n: f"{_address(n)}/32",
    "macaddr": lambda _, n: f"02:00:00:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}",
}


class Rows(Generic[RowT]):
    """Makes rows of one table. Call it for one, `many` for several."""

    def __init__(self, facts: Facts, name: str) -> None:
        self._facts = facts
        self._index = facts.index()
        self._table = _find_table(self._index, name, facts)

    def __repr__(self) -> str:
        return f"Rows({self._table.type!r})"

    def __call__(self, **given: Any) -> RowT:
        """A row with these values, and values for what else it must have.

        Raises ConfigError for a column that there is not, for the organization's column, and where no value can be made up.
        """
        return cast(RowT, self._row(self._table, self._named(given), ()))

    def many(self, number: int, **given: Any) -> list[RowT]:
        """That many rows, each with these values."""
        return [self(**given) for _ in range(number)]

    def _named(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given values by Python name."""
        names = python_fields(self._table)
        known = {**{name: name for name in names.values()}, **names}
        tenant = self._index.tenant_column
        found: dict[str, Any] = {}
        for name, value in given.items():
            if tenant is not None and tenant in (name, next((k for k, v in names.items() if v == name), None)):
                hint = "Use another API(), or the fixture automio_organization."
                raise ConfigError(f"{name} is not given to a row: it is the organization of the API", hint=hint)
            python = name if name in names.values() else known.get(name)
            if python is None:
                close = difflib.get_close_matches(name, [v for k, v in names.items() if k != tenant], 1)
                hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(sorted(names.values()))}."
                raise ConfigError(f"{self._table.type} has no column {name}", hint=hint)
            found[python] = value
        return found

    def _row(self, table: Table, given: Mapping[str, Any], above: tuple[str, ...]) -> dict[str, Any]:
        names = python_fields(table)
        number = next(_numbers.setdefault(table.type, count(1)))
        parents, held = self._parents(table)
        row: dict[str, Any] = {}
        for relation, columns in parents.items():
            taken = [names[column] for column in columns if names[column] in given]
            if names[relation] in given or taken:
                continue
            target = self._index.tables[table.relationships[relation].table]
            if target.type == table.type or target.type in above:
                wanted = " or ".join((*(names[column] for column in columns), names[relation]))
                raise ConfigError(
                    f"a row of {table.type} needs a row of {target.type} that was there before", hint=f"Give {wanted}."
                )
            row[names[relation]] = {"data": self._row(target, {}, (*above, table.type))}
        for column in table.columns.values():
            if names[column.name] not in given and column.name not in held and self._required(table, column):
                row[names[column.name]] = self._value(table, column, names[column.name], number)
        return row | dict(given)

    def _parents(self, table: Table) -> tuple[dict[str, tuple[str, ...]], set[str]]:
        """The required object relationships with the columns that hold them, and all these columns."""
        tenant = self._index.tenant_column
        found: dict[str, tuple[str, ...]] = {}
        known = _known_table(table)
        for relation in table.relationships.values():
            if relation.kind != "object" or relation.table not in self._index.tables:
                continue
            if known is not None:
                pairs = known.relationships[relation.name].pairs if relation.name in known.relationships else ()
                columns = tuple(mine for mine, _ in pairs if mine != tenant and mine in table.columns)
            else:
                columns = tuple(name for name in (f"{relation.name}_id", f"{relation.name}Id") if name in table.columns)
            if columns and not set(columns) <= set(table.primary_key) and self._needed(table, columns):
                found[relation.name] = columns
        return found, {column for columns in found.values() for column in columns}

    def _needed(self, table: Table, columns: tuple[str, ...]) -> bool:
        return any(self._required(table, table.columns[column]) for column in columns)

    def _required(self, table: Table, column: Column) -> bool:
        if column.nullable or column.name == self._index.tenant_column:
            return False
        known = _known_table(table)
        if known is not None and column.name in known.columns:
            return known.columns[column.name].writable and not known.columns[column.name].has_default
        return table.primary_key != (column.name,) or column.named_type not in _KEYS_WITH_DEFAULT

    def _value(self, table: Table, column: Column, name: str, number: int) -> Any:
        made = _VALUES.get(column.named_type)
        platform = _running()
        if made is not None:
            value = made(name, number)
        elif platform is not None and column.named_type in platform.labels:
            value = platform.labels[column.named_type]
        else:
            raise ConfigError(
                f"there is no sample value for {table.type}.{name}, a {column.named_type}", hint=f"Give {name}=…."
            )
        return [value] if column.type.startswith("[") else value


class _Function(Protocol[_Insert]):
    """A generated `insert`, or its twin in `aio`."""

    def __call__(self, row: _Insert, *, organization_id: int | Unset = ...) -> Any: ...


@overload
def rows(source: _Function[RowT], /) -> Rows[RowT]: ...
@overload
def rows(source: type[Any], /) -> Rows[dict[str, Any]]: ...
@overload
def rows(source: str, table: str, /) -> Rows[dict[str, Any]]: ...
def rows(source: Any, table: str = "", /) -> Rows[Any]:
    """A maker of rows for `orders.insert`, for the model `orders.Order`, or for ("app_130", "orders").

    `("app_130", "orders")` names the generated package and the table, without its app. Raises ConfigError when there is no
    such package or table.
    """
    if isinstance(source, str):
        return Rows(_facts_of(source), table)
    module = sys.modules.get(getattr(source, "__module__", None) or "")
    found = next((value for value in vars(module or object).values() if isinstance(value, Operation)), None)
    if found is None or not found.table:
        raise ConfigError(
            f"{source!r} is not of a generated module",
            hint="Give orders.insert, or the names of a package and a table.",
        )
    return Rows(found.facts, found.table)


def _facts_of(package: str) -> Facts:
    try:
        facts = getattr(importlib.import_module(f"{package}._facts"), "FACTS", None)
    except ModuleNotFoundError as error:
        if error.name and not f"{package}._facts".startswith(error.name):
            raise
        facts = None
    if not isinstance(facts, Facts):
        raise ConfigError(
            f"there is no generated package {package}",
            hint='Run `automio generate`, and see that pytest finds the project: pythonpath = ["."] in its settings.',
        )
    return facts


def _find_table(index: SchemaIndex, name: str, facts: Facts) -> Table:
    own = {table.name: table for table in index.tables.values() if table.app == facts.app}
    found = own.get(name) or index.tables.get(name)
    if found is None:
        close = difflib.get_close_matches(name, own, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(sorted(own))}."
        raise ConfigError(f"app {facts.app} has no table {name}" if facts.app else f"no table {name}", hint=hint)
    return found


def _running() -> Any:
    from automio.testing.platform import ScratchPlatform

    return ScratchPlatform.running


def _known_table(table: Table) -> Any:
    """The table as the running platform's database has it; None without one, or when it has no such table."""
    platform = _running()
    return platform.catalog.tables.get(table.type) if platform is not None else None


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
