"""Check: what a mutation must find before it is sent, for foreign keys that the project declared. Carried out per call.

Reference: tenancy, section 5.7. Towards a server nothing but a query can tell, so the runtime sends one before the
mutation: every value that the mutation gives to a foreign key must name a row of the organization, and no row of others
may refer to a row that it deletes or whose key it changes. Made by integrity.py; runtime/client.py sends it.

A foreign row and a missing one get the same refusal, in the words, with the code and at the path that Hasura has for a
violated foreign key: it is an answer, and goes the way of one.

**Sealed.** The part about rows that refer is the one query of automio that looks at rows of others. What can be sent is
composed here, part by part, and each part is `aggregate { count }`; the numbers are compared here and go nowhere else.
The filters in it come from the walk. There is no way to hand a text in.

The text is the same at each call, so an allow-list can know it: keys are variables, and a part that a call doesn't need
is left out by `@include`. `repr` of a check is Python source: generated modules carry it. No import of graphql-core here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from automio.dialect.index import InputKind, Reference, RootKind
from automio.dialect.names import word
from automio.request import UNSET
from automio.scope.rules import Printed

if TYPE_CHECKING:
    from automio.dialect.index import SchemaIndex

REFUSED = "constraint-violation"


class Gives(Printed):
    """In which form a mutation gives values. `T` is the table of the `Given`."""

    VALUE = "value"
    """One value, of a column of T that is a foreign key or a key that others refer to."""
    ROWS = "rows"
    """A variable: a row of T or a list of rows, with rows of related tables below."""
    NESTED = "nested"
    """A variable: {data, on_conflict} for related rows of T."""
    SET = "set"
    """A variable: new values of columns of T."""
    UPDATES = "updates"
    """A variable: {where, _set, …} on T, or a list."""


@dataclass(frozen=True, slots=True)
class Given:
    """One place where a mutation gives values.

    `variable` is the name under which it is sent, "" for a literal; `constant` is the literal, or the variable's default
    in the document, as JSON text. `path` is where Hasura would say that a foreign key is violated. `new`: the row is
    inserted and replaces none, so a key in it may be referred to by the same mutation.
    """

    form: Gives
    table: str
    column: str = ""
    variable: str = ""
    constant: str = ""
    path: str = "$"
    new: bool = False

    def __repr__(self) -> str:
        return _source(self, ("form", "table"))


@dataclass(frozen=True, slots=True)
class Guard:
    """Rows of T that a mutation deletes or gives new keys to: `where` is their filter as it is sent, with the scope.

    `keys` are the columns that others refer to and that lose their value. `variables` are those of the filter: (name, its
    definition behind `$`). `when` are variables that say which columns change: the guard is needed when one of `keys` is
    among them, always when there are none. `each`: a variable that holds {where, _set, …} or a list, instead of `where`.
    """

    table: str
    keys: tuple[str, ...]
    where: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    when: tuple[str, ...] = ()
    each: str = ""

    def __repr__(self) -> str:
        return _source(self, ("table", "keys"))


@dataclass(frozen=True, slots=True)
class Check:
    """What is asked before one mutation. `organization` is the variable of the organization, `name` the query's."""

    name: str
    organization: str
    given: tuple[Given, ...] = ()
    guards: tuple[Guard, ...] = ()

    def __repr__(self) -> str:
        return _source(self, ("name", "organization"))

    def moved(self, old: str, new: str) -> Check:
        """The check for another installation: `moved("app_130_", "app_131_")`."""
        return replace(
            self,
            given=tuple(
                replace(
                    one,
                    table=one.table.replace(old, new),
                    constant=one.constant.replace(old, new),
                    path=one.path.replace(old, new),
                )
                for one in self.given
            ),
            guards=tuple(
                replace(
                    one,
                    table=one.table.replace(old, new),
                    where=one.where.replace(old, new),
                    variables=tuple((name, text.replace(old, new)) for name, text in one.variables),
                )
                for one in self.guards
            ),
        )


def _source(value: Any, positional: tuple[str, ...]) -> str:
    """`Check('Name', 'organization_id', given=(…,))`: what is left at its default is left out."""
    shown = [repr(getattr(value, name)) for name in positional]
    for name in value.__dataclass_fields__:
        if name not in positional and (given := getattr(value, name)) != value.__dataclass_fields__[name].default:
            shown.append(f"{name}={given!r}")
    return f"{type(value).__name__}({', '.join(shown)})"


# The document.


@dataclass(frozen=True, slots=True)
class _Keys:
    """The part that counts rows with the given keys. `sure`: a call always needs it."""

    to: tuple[str, str]
    alias: str
    variable: str
    needed: str
    type: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """The part that counts own rows that rows of others refer to."""

    guard: Guard
    alias: str
    wheres: str
    needed: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A check for the tables of one index: the text to send, and what `ask` needs."""

    check: Check
    index: SchemaIndex = field(repr=False)
    text: str
    keys: tuple[_Keys, ...]
    rows: tuple[_Rows, ...]

    def ask(self, sent: Mapping[str, Any], organization: int | None) -> Asked | None:
        """The question before a mutation with these variables; None when it gives no key and touches none."""
        found = _Collected(self.index)
        for one in self.check.given:
            found.take(one, sent)
        variables: dict[str, Any] = {self.check.organization: organization}
        counts: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {}
        for part in self.keys:
            keys, places = found.keys(part.to)
            variables[part.variable] = keys
            if part.needed:
                variables[part.needed] = bool(keys)
            if keys:
                counts[part.alias] = len(keys), places
        guarded: dict[str, str] = {}
        for part in self.rows:
            wheres = _wheres(part.guard, sent)
            if part.wheres:
                variables[part.wheres] = wheres
            if part.needed:
                variables[part.needed] = bool(wheres)
            if wheres:
                guarded[part.alias] = part.guard.table
            variables |= {name: sent[name] for name, _ in part.guard.variables if name in sent}
        return Asked(variables, counts, guarded) if counts or guarded else None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: the variables to send with the text, and what the counts must be."""

    variables: dict[str, Any]
    counts: Mapping[str, tuple[int, tuple[tuple[str, str], ...]]]
    """Alias -> number of keys, and (table, path) of each place that gave one."""
    guarded: Mapping[str, str]
    """Alias -> table whose rows nobody else may refer to."""

    def refusal(self, data: Any) -> dict[str, Any] | None:
        """The error that stands for the mutation's answer, None when it may be sent. ValueError for an answer of another
        shape: counts and nothing else are read."""
        for alias, (number, places) in self.counts.items():
            if _count(data, alias) != number:
                return _missing(places)
        for alias, table in self.guarded.items():
            if _count(data, alias):
                return _error(f' update or delete on table "{table}": row is referenced', "$")
        return None


def _count(data: Any, alias: str) -> int:
    try:
        count = data[alias]["aggregate"]["count"]
    except (KeyError, TypeError):
        raise ValueError(f"{alias} has no count") from None
    if type(count) is not int:
        raise ValueError(f"{alias} has no count")
    return count


def _missing(places: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The refusal of a key that names no row. Which of several places gave it the counts don't tell."""
    tables, paths = {table for table, _ in places}, {path for _, path in places}
    where = f' insert or update on table "{tables.pop()}":' if len(tables) == 1 else ""
    return _error(f"{where} referenced row does not exist", paths.pop() if len(paths) == 1 else "$")


def _error(text: str, path: str) -> dict[str, Any]:
    return {"message": f"Foreign key violation.{text}", "extensions": {"path": path, "code": REFUSED}}


def prepare(check: Check, index: SchemaIndex) -> Prepared:
    """The check with its text. Made once for each operation; plain text, no syntax trees."""
    targets: dict[tuple[str, str], None] = {}
    for one in check.given:
        for to in _targets(one, index):
            targets[to.table, to.key] = None
    taken = {check.organization, *(name for guard in check.guards for name, _ in guard.variables)}

    def fresh(wanted: str) -> str:
        while wanted in taken:
            wanted += "_"
        taken.add(wanted)
        return wanted

    several = len(targets) + len(check.guards) > 1
    keys: list[_Keys] = []
    rows: list[_Rows] = []
    for number, (table, key) in enumerate(targets):
        needed = fresh(f"needs_keys_{number}") if several else ""
        type_ = index.tables[table].columns[key].named_type
        keys.append(_Keys((table, key), f"keys_{number}", fresh(f"keys_{number}"), needed, type_))
    for number, guard in enumerate(check.guards):
        needed = fresh(f"needs_rows_{number}") if several and (guard.when or guard.each) else ""
        rows.append(_Rows(guard, f"rows_{number}", fresh(f"rows_{number}") if guard.each else "", needed))
    return Prepared(check, index, _text(check, index, keys, rows), tuple(keys), tuple(rows))


def _text(check: Check, index: SchemaIndex, keys: Iterable[_Keys], rows: Iterable[_Rows]) -> str:
    column = index.tenant_column or ""
    organization = f"${check.organization}"
    types = {index.tables[part.to[0]].columns[column].named_type for part in keys}
    types |= {index.tables[part.guard.table].columns[column].named_type for part in rows}
    definitions = [f"{organization}: {min(types)}!"]
    fields: list[str] = []
    for part in keys:
        table, key = part.to
        definitions.append(f"${part.variable}: [{part.type}!]!")
        where = f"{{_and: [{{{column}: {{_eq: {organization}}}}}, {{{key}: {{_in: ${part.variable}}}}}]}}"
        fields.append(_counted(part.alias, table, where, part.needed, index))
    for part in rows:
        guard = part.guard
        if part.wheres:
            filters = next(
                i.name for i in index.inputs.values() if i.kind is InputKind.BOOL_EXP and i.table == guard.table
            )
            definitions.append(f"${part.wheres}: [{filters}!]!")
        definitions += [f"${name}{text}" for name, text in guard.variables]
        theirs = ", ".join(_of_others(guard, index, column, organization))
        where = f"{{_and: [{f'{{_or: ${part.wheres}}}' if part.wheres else guard.where}, {{_or: [{theirs}]}}]}}"
        fields.append(_counted(part.alias, guard.table, where, part.needed, index))
    definitions += [f"${part.needed}: Boolean!" for part in (*keys, *rows) if part.needed]
    return f"query {check.name}({', '.join(dict.fromkeys(definitions))}) {{\n{''.join(fields)}}}"


def _counted(alias: str, table: str, where: str, needed: str, index: SchemaIndex) -> str:
    """One part: a number of rows and nothing else."""
    root = index.table_roots(table)[RootKind.AGGREGATE].name
    include = f" @include(if: ${needed})" if needed else ""
    return f"  {alias}: {root}(where: {where}){include} {{\n    aggregate {{\n      count\n    }}\n  }}\n"


def _of_others(guard: Guard, index: SchemaIndex, column: str, organization: str) -> Iterable[str]:
    """Filters that a row fulfils when a row of others refers to it. A row of a shared table is everybody's."""
    for table, to in index.referring(guard.table):
        if to.key in guard.keys and not index.is_tenant(table):
            yield f"{{{to.via}: {{}}}}"
        elif to.key in guard.keys:
            yield f"{{{to.via}: {{{column}: {{_neq: {organization}}}}}}}"
            yield f"{{{to.via}: {{{column}: {{_is_null: true}}}}}}"


def _targets(given: Given, index: SchemaIndex) -> Iterable[Reference]:
    """Where the foreign keys lead that may have a value there."""
    if given.form is Gives.VALUE:
        to = index.tables[given.table].references.get(given.column)
        return [to] if to else []
    if given.form in (Gives.ROWS, Gives.NESTED):
        return [to for table in below(index, given.table) for to in index.tables[table].references.values()]
    return index.tables[given.table].references.values()


def below(index: SchemaIndex, table: str) -> list[str]:
    """The table and all that rows of it may be inserted with, in the order of names."""
    found: set[str] = set()
    todo = [table]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [r.table for r in index.tables[name].relationships.values()]
    return sorted(found)


# What a call gives.


_Place = tuple[str, str]
"""The table that a key is given to, and the path."""
_Keyed = dict[Any, tuple[Any, dict[_Place, None]]]


class _Collected:
    """The keys of one call, by where they lead."""

    __slots__ = ("_given", "_index", "_made", "_referred")

    def __init__(self, index: SchemaIndex) -> None:
        self._index = index
        self._referred = index.referred
        self._given: dict[tuple[str, str], _Keyed] = {}
        self._made: set[tuple[str, str, Any]] = set()

    def keys(self, to: tuple[str, str]) -> tuple[list[Any], tuple[_Place, ...]]:
        """The different keys that must exist already, and the places that gave them."""
        given = self._given.get(to, {})
        found = [one for same, one in given.items() if (*to, same) not in self._made] if self._made else given.values()
        return [key for key, _ in found], tuple(dict.fromkeys(place for _, places in found for place in places))

    def take(self, given: Given, sent: Mapping[str, Any]) -> None:
        value = sent.get(given.variable, UNSET) if given.variable else UNSET
        if value is UNSET and given.constant:
            value = json.loads(given.constant)
        match given.form:
            case Gives.VALUE:
                self.row(given.table, {given.column: value}, given.path, new=given.new)
            case Gives.ROWS:
                self.rows(given.table, value, given.path, new=given.new)
            case Gives.NESTED:
                self.nested(given.table, value, given.path)
            case Gives.SET:
                self.rows(given.table, value, given.path, new=False)
            case Gives.UPDATES:
                for one in _listed(value):
                    self.rows(given.table, one.get("_set"), given.path, new=False)

    def rows(self, table: str, value: Any, path: str, *, new: bool) -> None:
        for row in _listed(value):
            self.row(table, row, path, new=new)

    def row(self, table: str, row: Mapping[str, Any], path: str, *, new: bool) -> None:
        facts = self._index.tables[table]
        for column, to in facts.references.items():
            if (value := row.get(column)) is not None and value is not UNSET:
                type_ = self._index.tables[to.table].columns[to.key].named_type
                keys = self._given.setdefault((to.table, to.key), {})
                keys.setdefault(_same(value, type_), (value, {}))[1][table, path] = None
        if new:
            for key in self._referred.get(table, ()):
                if (value := row.get(key)) is not None and value is not UNSET:
                    self._made.add((table, key, _same(value, facts.columns[key].named_type)))
        for name in row.keys() & facts.relationships.keys():
            self.nested(facts.relationships[name].table, row[name], path)

    def nested(self, table: str, value: Any, path: str) -> None:
        for one in _listed(value):
            replaces = any(word(name) == "on_conflict" and inner is not None for name, inner in one.items())
            self.rows(table, one.get("data"), path, new=not replaces)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, or the one object that stands for a list of one."""
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if isinstance(one, Mapping)]


def _wheres(guard: Guard, sent: Mapping[str, Any]) -> list[Any]:
    """The filters of the rows that lose a key, [] when a call needs no guard."""
    if guard.each:
        return [one["where"] for one in _listed(sent.get(guard.each)) if _changes(one, guard.keys)]
    changed = {name: sent.get(name) for name in guard.when}
    return [guard.where] if not guard.when or _changes(changed, guard.keys) else []


def _changes(given: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """True when new values name one of the columns. `given`: `_set` and its like, or variables that hold them."""
    changes = (value for name, value in given.items() if name != "where" and isinstance(value, Mapping))
    return any(not value.keys().isdisjoint(keys) for value in changes)


def _same(value: Any, type_: str) -> Any:
    """What is equal for values that name the same row, as far as the type tells: a key may be written in several ways.

    Where it doesn't, two spellings of one key in one mutation count as two, and it is refused."""
    try:
        if type_ == "uuid":
            return value if isinstance(value, UUID) else UUID(str(value))
        if type_ in ("Int", "smallint", "bigint") and type(value) in (int, str):
            return int(value)
        if type_ == "numeric":
            number = Decimal(str(value))
            return number if number.is_finite() else str(number)
        if type_ == "citext":
            return str(value).lower()
    except (ValueError, InvalidOperation):
        pass
    return value if isinstance(value, str) else repr(value)
