"""One value of the caller -> the value that is sent, by what kind of value it is. Called by values.py; twin of inputs.py.

Here stand, once more and for values instead of text, the rules of inputs.py. Every method takes a row type and a value,
gives a new value, and raises ScopeError with the path below the variable (`.order.total`). An object or list that needs
no change is passed on as it is; nothing of the caller's is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from automio.dialect.names import python_names as map_python_names
from automio.dialect.names import word
from automio.errors import ScopeError
from automio.request import UNSET
from automio.scope import refusals

if TYPE_CHECKING:
    from automio.dialect.index import SchemaIndex, Table


class AllRows(Enum):
    """The type of all_rows()."""

    ALL_ROWS = "ALL_ROWS"

    def __repr__(self) -> str:
        return "all_rows()"


ALL_ROWS: Final = AllRows.ALL_ROWS


def all_rows() -> AllRows:
    """A filter that means every row of the organization. An update or delete takes it where `{}` is refused."""
    return ALL_ROWS


def python_fields(table: Table) -> dict[str, str]:
    """GraphQL name -> Python name of a table's columns, relationships and aggregates: the keys of its typed inputs."""
    return map_python_names([*table.columns, *table.relationships, *table.aggregates], table.names)


def names_one(name: Any, columns: Iterable[str]) -> bool:
    """Whether an enum value of column names means one of the columns; naming conventions write it in several ways."""
    wanted = str(name).replace("_", "").lower()
    return any(column.replace("_", "").lower() == wanted for column in columns)


class _Role(Enum):
    COLUMN = 1
    RELATIONSHIP = 2
    AGGREGATE = 3
    OTHER = 4


_COLUMN, _RELATIONSHIP, _AGGREGATE, _OTHER = _Role
_Field = tuple[_Role, str, str]
"""What a key of a table's input means: its role, its GraphQL name, the row type it leads to ("" for a column). OTHER
leads to one when it is a computed field with rows."""


def _fields(index: SchemaIndex, table: str, python: bool) -> dict[str, _Field]:
    """Key -> field, made once for each table of an index and kept with the index itself."""
    views: dict[tuple[str, bool], dict[str, _Field]] = index.__dict__.setdefault("_scope_fields", {})
    found = views.get((table, python))
    if found is None:
        found = views[table, python] = _make_fields(index.tables[table], python)
    return found


def _make_fields(table: Table, python: bool) -> dict[str, _Field]:
    exact: dict[str, _Field] = {name: (_OTHER, name, "") for name in table.other}
    exact |= {name: (_AGGREGATE, name, target) for name, target in table.aggregates.items()}
    exact |= {name: (_RELATIONSHIP, name, r.table) for name, r in table.relationships.items()}
    exact |= {name: (_COLUMN, name, "") for name in table.columns}
    exact |= {name: (_OTHER, name, r.table) for name, r in table.relationships.items() if name in table.other}
    if not python:
        return exact
    return {wanted: exact[name] for name, wanted in python_fields(table).items()} | exact


class Turning:
    """What one call of apply_rules knows, and a method for each kind of value."""

    __slots__ = ("allowed", "authored", "column", "index", "organization", "python")

    def __init__(self, index: SchemaIndex, organization: int | None, python: bool) -> None:
        self.index = index
        self.organization = organization
        self.python = python
        self.column = index.tenant_column
        self.allowed: tuple[str, ...] = ()
        self.authored = False

    def fields(self, table: str) -> dict[str, _Field]:
        return _fields(self.index, table, self.python)

    def organization_of(self, table: str) -> str:
        """The organization's column when the table has one, else ""."""
        column = self.column
        if column is None:
            return ""
        if column in self.index.tables[table].columns:
            return column
        self.index.is_tenant(table)  # refuses a table whose column is there but cannot be read
        return ""

    def is_safe(self, table: str, field: str) -> bool:
        return self.column is None or f"{table}.{field}" in self.allowed

    def refuse_key(self, table: str, key: object, field: _Field | None) -> ScopeError:
        if field is not None and field[0] is _OTHER:
            return refusals.undeclared_function(f"{table}.{field[1]}")
        return refusals.unknown_field(str(key), table, self.fields(table))

    # Filters.

    def bool_exp(self, table: str, value: Any) -> dict[str, Any]:
        if value is ALL_ROWS:
            return {}
        fields = self.fields(table)
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            try:
                if inner is UNSET:
                    raise refusals.unset_inside()
                field = fields.get(key)
                if field is None:
                    if key == "_and" or key == "_or":
                        out[key] = self.bool_exps(table, inner)
                        continue
                    if key != "_not":
                        raise self.refuse_key(table, key, None)
                    out[key] = self.bool_exp(table, _not_null(inner))
                    continue
                role, name, target = field
                if name in out:
                    raise refusals.broken(f"{name!r} is given twice")
                if role is _COLUMN:
                    out[name] = self.comparison(inner)
                elif role is _RELATIONSHIP:
                    out[name] = self.scoped(target, _not_null(inner))
                elif role is _AGGREGATE:
                    out[name] = self.aggregate_bool_exp(target, _not_null(inner))
                elif self.is_safe(table, name):
                    out[name] = self.scoped(target, _not_null(inner)) if target else self.comparison(inner)
                else:
                    raise self.refuse_key(table, key, field)
            except ScopeError as error:
                error.path = f".{key}{error.path}"
                raise
        return out

    def bool_exps(self, table: str, value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            return self.bool_exp(table, _not_null(value))
        return [self.bool_exp(table, _not_null(inner)) for inner in value]

    def scoped(self, table: str, value: Any) -> dict[str, Any]:
        return self.wrapped(table, self.bool_exp(table, value))

    def wrapped(self, table: str, inner: dict[str, Any]) -> dict[str, Any]:
        column = self.organization_of(table)
        return {"_and": [{column: {"_eq": self.organization}}, inner]} if column else inner

    def required(self, table: str, value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            if not value:
                raise refusals.empty_filter()
            return [self.required(table, _not_null(inner)) for inner in value]
        out = self.bool_exp(table, value)
        if value is not ALL_ROWS and not self.authored and self.surely_true(table, out):
            raise refusals.empty_filter()
        return out

    def surely_true(self, table: str, value: Any) -> bool:
        """True for a mapped filter that holds for every row whatever the data is, as far as its form tells."""
        if type(value) is list:
            return all(self.surely_true(table, inner) for inner in value)
        columns = self.index.tables[table].columns
        for key, inner in value.items():
            if key == "_or" and type(inner) is list:
                if not any(self.surely_true(table, each) for each in inner):
                    return False
            elif key == "_and" or key == "_or":
                if not self.surely_true(table, inner):
                    return False
            elif inner or key not in columns:
                return False
        return True

    def comparison(self, value: Any) -> Any:
        for operator, operand in _items(value):
            if operand is None:
                raise refusals.null_comparison(f".{operator}")
            if operand is UNSET:
                raise refusals.unset_inside(f".{operator}")
            if operator == "_cast":
                for target, inner in _items(operand):
                    try:
                        self.comparison(inner)
                    except ScopeError as error:
                        error.path = f"._cast.{target}{error.path}"
                        raise
        return value

    def aggregate_bool_exp(self, table: str, value: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for function, inner in _items(value):
            try:
                out[function] = self.aggregate_predicate(table, _not_null(inner))
            except ScopeError as error:
                error.path = f".{function}{error.path}"
                raise
        return out

    def aggregate_predicate(self, table: str, value: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            try:
                if inner is UNSET:
                    raise refusals.unset_inside()
                if key == "filter":
                    out[key] = {} if inner is None else inner
                elif key == "predicate":
                    out[key] = self.comparison(inner)
                elif key == "arguments":
                    out[key] = self.columns(table, inner)
                elif key == "distinct":
                    out[key] = inner
                else:
                    raise refusals.broken(f"an aggregate's predicate has no field {key!r}")
            except ScopeError as error:
                error.path = f".{key}{error.path}"
                raise
        if "filter" in out or self.organization_of(table):
            try:
                out["filter"] = self.scoped(table, out.get("filter", {}))
            except ScopeError as error:
                error.path = f".filter{error.path}"
                raise
        return out

    # Orders and names of columns.

    def order_by(self, table: str, value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            return [self.order_by(table, _given(inner)) for inner in value]
        fields = self.fields(table)
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            try:
                if inner is UNSET:
                    continue
                role, name, target = fields.get(key) or (_OTHER, "", "")
                if name in out:
                    raise refusals.broken(f"{name!r} is given twice")
                if role is _COLUMN:
                    out[name] = inner
                elif role is not _OTHER and self.organization_of(target):
                    raise refusals.order_by_tenant()
                elif role is _RELATIONSHIP:
                    out[name] = None if inner is None else self.order_by(target, inner)
                elif role is _AGGREGATE:
                    out[name] = None if inner is None else self.aggregate_order_by(target, inner)
                elif name and not target and self.is_safe(table, name):
                    out[name] = inner
                else:
                    raise self.refuse_key(table, key, fields.get(key))
            except ScopeError as error:
                error.path = f".{key}{error.path}"
                raise
        return out

    def aggregate_order_by(self, table: str, value: Any) -> dict[str, Any]:
        """`{count: desc, max: {price: asc}}` on a shared table: only names of columns are mapped."""
        return {
            function: self.named(table, inner) if isinstance(inner, Mapping) else inner
            for function, inner in _items(value)
        }

    def columns(self, table: str, value: Any) -> Any:
        """One name, a list of names, or a map to names."""
        if type(value) is str:
            field = self.fields(table).get(value)
            return field[1] if field is not None and field[0] is _COLUMN else value
        if isinstance(value, Mapping):
            return {key: self.columns(table, inner) for key, inner in value.items()}
        return [self.columns(table, inner) for inner in value] if type(value) in (list, tuple) else value

    def named(self, table: str, value: Any) -> dict[str, Any]:
        """A map from columns to anything."""
        fields = self.fields(table)
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            if inner is not UNSET:
                field = fields.get(key)
                if field is None or field[0] is not _COLUMN:
                    error = self.refuse_key(table, key, field)
                    error.path = f".{key}"
                    raise error
                if field[1] in out:
                    raise refusals.broken(f"{field[1]!r} is given twice", f".{key}")
                out[field[1]] = inner
        return out

    def replaced(self, table: str, value: Any) -> Any:
        """Columns that an upsert replaces: never a key that others refer to."""
        out = self.columns(table, value)
        keys = self.index.referred.get(table)
        if keys and any(names_one(name, keys) for name in (out if type(out) is list else [out])):
            raise refusals.unchecked_upsert()
        return out

    def cursor(self, table: str, value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            return [self.cursor(table, inner) for inner in value]
        return {
            key: self.named(table, inner) if word(key) == "initial_value" else inner for key, inner in _items(value)
        }

    # Writes.

    def check_writable(self, table: str) -> None:
        if self.column is not None and not self.organization_of(table) and table not in self.allowed:
            raise refusals.read_only()

    def insert(self, table: str, value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            rows = []
            for number, inner in enumerate(value):
                try:
                    rows.append(self.insert_row(table, _given(inner)))
                except ScopeError as error:
                    error.path = f"[{number}]{error.path}"
                    raise
            return rows
        return self.insert_row(table, value)

    def insert_row(self, table: str, value: Any) -> dict[str, Any]:
        fields = self.fields(table)
        column = self.organization_of(table)
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            if inner is UNSET:
                continue
            field = fields.get(key)
            if field is None:
                raise _at(key, self.refuse_key(table, key, None))
            role, name, target = field
            if name in out:
                raise refusals.broken(f"{name!r} is given twice", f".{key}")
            if role is _COLUMN:
                if name == column:
                    if inner is not None and not self.is_own(inner):
                        raise refusals.other_organization(f".{key}")
                    continue
                out[name] = inner
            elif role is _RELATIONSHIP:
                try:
                    out[name] = None if inner is None else self.nested_insert(target, inner)
                except ScopeError as error:
                    raise _at(key, error) from None
            else:
                raise _at(key, self.refuse_key(table, key, field))
        if column:
            out[column] = self.organization
        return out

    def nested_insert(self, table: str, value: Any) -> dict[str, Any]:
        self.check_writable(table)
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            if inner is UNSET:
                continue
            try:
                if key == "data":
                    out[key] = self.insert(table, _given(inner))
                elif word(key) == "on_conflict":
                    out[key] = None if inner is None else self.on_conflict(table, inner)
                else:
                    raise refusals.broken(f"a nested insert has no field {key!r}")
            except ScopeError as error:
                raise _at(key, error) from None
        return out

    def on_conflict(self, table: str, value: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        where: Any = {}
        for key, inner in _items(value):
            if inner is UNSET:
                continue
            if key == "where":
                where = {} if inner is None else inner
            elif word(key) == "update_columns":
                try:
                    out[key] = self.replaced(table, inner)
                except ScopeError as error:
                    raise _at(key, error) from None
            elif key == "constraint":
                out[key] = inner
            else:
                raise refusals.broken(f"on_conflict has no field {key!r}", f".{key}")
        if "where" in value or self.organization_of(table):
            try:
                out["where"] = self.scoped(table, where)
            except ScopeError as error:
                raise _at("where", error) from None
        return out

    def set(self, table: str, value: Any) -> dict[str, Any]:
        out = self.named(table, value)
        column = self.organization_of(table)
        if column and column in out and not self.is_own(out[column]):
            if out[column] is None:
                raise refusals.cannot_be_changed(f".{column}")
            raise refusals.other_organization(f".{column}")
        return out

    def operator(self, table: str, value: Any) -> dict[str, Any]:
        out = self.named(table, value)
        if self.organization_of(table) in out:
            raise refusals.cannot_be_changed(f".{self.column}")
        if references := self.index.tables[table].references:
            for column in out:
                if column in references:
                    raise refusals.unchecked_operator(f".{column}")
        return out

    def updates(self, table: str, value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            updates = []
            for number, inner in enumerate(value):
                try:
                    updates.append(self.updates(table, _given(inner)))
                except ScopeError as error:
                    error.path = f"[{number}]{error.path}"
                    raise
            return updates
        out: dict[str, Any] = {}
        for key, inner in _items(value):
            try:
                if key == "where":
                    if inner is None or inner is UNSET:
                        raise refusals.absent_filter()
                    out[key] = self.wrapped(table, self.required(table, inner))
                elif inner is None or inner is UNSET:
                    continue
                elif key == "_set":
                    out[key] = self.set(table, inner)
                elif key.startswith("_"):
                    out[key] = self.operator(table, inner)
                else:
                    raise refusals.broken(f"an update has no field {key!r}")
            except ScopeError as error:
                raise _at(key, error) from None
        if "where" not in out:
            raise refusals.absent_filter(".where")
        return out

    def is_own(self, value: Any) -> bool:
        return type(value) is int and value == self.organization

    def own_organization(self, value: Any) -> Any:
        if not self.is_own(value):
            raise refusals.other_organization()
        return value

    def pk_column(self, table: str, column: str, value: Any) -> Any:
        keys = self.named(table, value)
        missing = [key for key in self.index.tables[table].primary_key if keys.get(key) is None]
        if missing:
            raise refusals.missing_key(f".{missing[0]}")
        extra = sorted(set(keys) - set(self.index.tables[table].primary_key))
        if extra:
            raise refusals.broken(f"{extra[0]!r} is not part of the key", f".{extra[0]}")
        return keys[column]


def _at(key: str, error: ScopeError) -> ScopeError:
    error.path = f".{key}{error.path}"
    return error


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if type(value) is dict or isinstance(value, Mapping):
        return value.items()
    raise refusals.broken("an object is expected here")


def _not_null(value: Any) -> Any:
    if value is None:
        raise refusals.null_filter()
    return value


def _given(value: Any) -> Any:
    if value is None:
        raise refusals.missing_value()
    return value
