"""Filters, orders and the organization: input trees -> Predicate, Order, Rows. Used by plan.py and write.py. Next: render.py.

THE SECOND LOCK. `Tables` is the only maker of `TableRef`, and nothing but a TableRef names a table in a plan. For a caller
bound to an organization it puts the organization's condition into every reference to a tenant table, wherever it stands:
roots, relationships, EXISTS in filters, aggregates, joins of an order, and the targets of writes. It knows nothing of the
rewriting in the client (`scope/`) and holds for requests that were never rewritten.

A barrier is asked for when a filter on the table can fail on a row: a LIKE pattern may end in an escape, a regular expression
may be malformed, a value may be cast from text as late as at the first row. PostgreSQL is free to evaluate such a condition
before the organization's, and then the error would tell of foreign rows. A filter through a relationship is evaluated for
rows of the outer table, so a filter that can fail there puts the barrier on both. The planner too must not evaluate such a
condition: it would try the pattern on the statistics of the column, foreign rows included, so it is kept from seeing the value
(`Comparison.late`).

A ROLE has its lock beside that one, in the same place: `refer` gives the rows that the role's select permission lets through,
`target` those that its update or delete permission does, `own` leaves the role out (conditions of permissions themselves, and
foreign keys). A bound caller with a role has both, and a barrier then stands behind the role's condition as well.

Null and empty: no filter, or `{}`, is TRUE; `{column: {}}` is TRUE; `_and: []` TRUE, `_or: []` FALSE, `_not: {}` FALSE;
`{relationship: {}}` asks for a related row. Keys of one object are combined with AND. An explicit null was refused before
(inputs.py). A null in a column makes a comparison neither true nor false, also `_neq` and `_nin`, as in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from automio.engine.catalog import Access, Catalog, Column, Relationship, SqlType, Table
from automio.engine.inputs import Fields, Input, Items, Leaf, Symbol
from automio.engine.permissions_types import Role
from automio.engine.plan_types import (
    AggregateTest,
    Anything,
    Call,
    Comparison,
    Constant,
    Everything,
    Exists,
    Hop,
    IsNull,
    Kind,
    Negation,
    Order,
    Organization,
    Parameter,
    Predicate,
    Rooted,
    Rows,
    Scope,
    TableRef,
)
from automio.engine.refusal import Refusal
from automio.engine.schema_inputs import LTREE_OPERANDS
from automio.engine.values import is_read_at_binding, limit

_LISTS = frozenset({"_in", "_nin"})
_KEYS = frozenset({"_has_keys_any", "_has_keys_all"})
_PATTERNS = frozenset("_like _nlike _ilike _nilike _similar _nsimilar _regex _nregex _iregex _niregex".split())
_TEXT = SqlType("text")
_VALUE = "value"


class Tables:
    """The only maker of TableRef. `bound`: the caller belongs to one organization. `role` is None for the admin."""

    def __init__(self, catalog: Catalog, bound: bool, role: Role | None = None) -> None:
        self.catalog = catalog
        self.bound = bound
        self.role = role

    @property
    def guarded(self) -> bool:
        """Whether there may be rows that the caller must learn nothing of."""
        return self.bound or self.role is not None

    def sees(self, table: Table) -> bool:
        """Whether the caller may read the table at all."""
        if self.role is not None and self.role.of(table.reference).select is None:
            return False
        return self._can_be_scoped(table)

    def _can_be_scoped(self, table: Table) -> bool:
        return not self.bound or table.access is not Access.CLOSED

    def writes(self, table: Table) -> bool:
        """Whether the caller may write to it: a bound caller only to tables that hold an organization."""
        return not self.bound or table.access is Access.TENANT

    def scoped(self, table: Table) -> bool:
        """Whether references to the table carry the organization's condition."""
        return self.bound and table.access is Access.TENANT

    def refer(self, table: Table, barrier: bool = False) -> TableRef:
        """A reference to the table, of the rows that the caller may read. Refuses a table that the caller may not read."""
        rights = self.role.of(table.reference).select if self.role is not None else None
        if self.role is not None and rights is None:
            raise Refusal(f"table '{table.name}' cannot be read by this role", code="permission-error")
        return self.target(table, rights.filter if rights else Everything(), barrier)

    def target(self, table: Table, role: Predicate, barrier: bool = False) -> TableRef:
        """Rows of the caller's organization that satisfy `role`, a condition of the caller's role."""
        if role == Everything():
            return self.own(table, barrier)
        return replace(self.own(table, barrier or can_fail(role)), filter=role, barrier=barrier)

    def own(self, table: Table, barrier: bool = False) -> TableRef:
        """Rows of the caller's organization, whatever the role. Refuses a table that no organization can be told of."""
        if not self._can_be_scoped(table):
            raise Refusal(f"table '{table.name}' cannot be scoped to an organization", code="permission-error")
        if not self.scoped(table):
            return TableRef(table.schema, table.name)
        column = table.columns[self.catalog.tenant_column]
        return TableRef(table.schema, table.name, Scope(column.name, self.organization(column), barrier))

    def foreign(self, table: Table) -> TableRef:
        """The rows of everybody else; of a shared table all rows. Only to find out that there are none."""
        column = table.columns.get(self.catalog.tenant_column)
        if column is None:
            return TableRef(table.schema, table.name)
        return TableRef(table.schema, table.name, Scope(column.name, self.organization(column), foreign=True))

    def organization(self, column: Column) -> Parameter:
        """The caller's organization as a value of the tenant column."""
        return Parameter(Organization(), column.type, Kind.PLAIN)


def can_fail(predicate: Predicate) -> bool:
    """Whether evaluating it on a row can raise an error in PostgreSQL."""
    match predicate:
        case Everything() | Anything():
            return any(map(can_fail, predicate.of))
        case Negation() | Rooted():
            return can_fail(predicate.of)
        case Comparison():
            return predicate.operator in _PATTERNS or not is_read_at_binding(predicate.value.type)
        case Exists() | AggregateTest():
            return can_fail(predicate.where)
    return False


class Filters:
    """Reads filters and orders for one caller."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.catalog = tables.catalog

    def rows(
        self, table: Table, arguments: dict[str, Input], path: str, pairs: tuple[tuple[str, str], ...] = ()
    ) -> Rows:
        """The rows that the arguments of a list or an aggregate ask for; `pairs` tie them to the row at hand."""
        where = self.where(table, arguments.get("where"))
        order = tuple(self.order(table, arguments.get("order_by")))
        distinct = names_of(arguments.get("distinct_on"))
        if distinct and order:
            first = order[: len(distinct)]
            if any(one.hops or one.call for one in first) or {one.column for one in first} != set(distinct):
                raise Refusal('"distinct_on" columns must match initial "order_by" columns', f"{path}.args")
            distinct = tuple(one.column for one in first)
        return Rows(
            table=self.tables.refer(table, barrier=can_fail(where)),
            pairs=pairs,
            where=where,
            distinct=distinct,
            order=order,
            limit=_limit(arguments.get("limit")),
            offset=_limit(arguments.get("offset")),
        )

    def most(self, table: Table) -> int | None:
        """How many rows of the table a list may have for the caller's role."""
        rights = self.tables.role.of(table.reference).select if self.tables.role is not None else None
        return rights.most if rights else None

    def capped(self, table: Table, rows: Rows) -> Rows:
        """The rows of a list, no more than the role may have."""
        most = self.most(table)
        return rows if most is None else replace(rows, most=most)

    # ── where ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def where(self, table: Table, given: Input | None) -> Predicate:
        """The predicate of a `<table>_bool_exp`; absent is TRUE."""
        if not isinstance(given, Fields):
            return Everything()
        parts: list[Predicate] = []
        for name, one in given.of.items():
            parts.append(self._part(table, name, one, f"{given.path}.{name}"))
        return all_of(parts)

    def _part(self, table: Table, name: str, given: Input, path: str) -> Predicate:
        if name in table.columns:
            assert isinstance(given, Fields)
            return self._comparisons(table.columns[name], given)
        relationship = table.relationships.get(name)
        if relationship is not None:
            other = self._other(table, relationship, path)
            where = self.where(other, given)
            return Exists(self.tables.refer(other, can_fail(where)), relationship.pairs, where)
        if name == "_not":
            return Negation(self.where(table, given))
        if name in ("_and", "_or"):
            assert isinstance(given, Items)
            parts = [self.where(table, one) for one in given.of]
            return all_of(parts) if name == "_and" else Anything(tuple(parts))
        relationship = table.relationships[name.removesuffix("_aggregate")]
        assert isinstance(given, Fields)
        return self._aggregate(self._other(table, relationship, path), relationship, given)

    def _other(self, table: Table, relationship: Relationship, path: str) -> Table:
        other = self.catalog.tables[relationship.target]
        if not self.tables.sees(other):
            raise Refusal(f"field '{relationship.name}' not found in type: '{table.name}_bool_exp'", path)
        return other

    def _comparisons(self, column: Column, given: Fields, cast: SqlType | None = None) -> Predicate:
        parts: list[Predicate] = []
        for operator, one in given.of.items():
            if operator == "_is_null":
                assert isinstance(one, Symbol)
                parts.append(IsNull(column.name, bool(one.value), cast))
            elif operator == "_cast":
                assert isinstance(one, Fields)
                parts += [self._comparisons(column, x, _TEXT) for x in one.of.values() if isinstance(x, Fields)]
            else:
                assert isinstance(one, Leaf)
                kind = cast or column.type
                if operator == "_has_key" or operator in _KEYS:
                    kind = _TEXT
                elif operator in LTREE_OPERANDS:
                    kind = replace(column.type, name=LTREE_OPERANDS[operator])
                many = operator in _LISTS or operator in _KEYS or operator.endswith("_any")
                value = Parameter(one.source, kind, many=many, graphql=one.graphql, path=one.path)
                compared = Comparison(column.name, operator, value, cast)
                parts.append(replace(compared, late=self.tables.guarded and can_fail(compared)))
        return all_of(parts)

    def _aggregate(self, other: Table, relationship: Relationship, given: Fields) -> Predicate:
        parts: list[Predicate] = []
        for function, one in given.of.items():
            assert isinstance(one, Fields)
            where = self.where(other, one.of.get("filter"))
            columns = names_of(one.of.get("arguments"))
            call = Call(function, columns, distinct=is_true(one.of.get("distinct")))
            kind = SqlType("int8" if function == "count" else "bool")
            predicate = one.of["predicate"]
            assert isinstance(predicate, Fields)
            test = self._comparisons(Column(_VALUE, kind, "Int" if function == "count" else "Boolean", True), predicate)
            table = self.tables.refer(other, can_fail(where))
            parts.append(AggregateTest(table, relationship.pairs, where, call, test))
        return all_of(parts)

    # ── order_by ────────────────────────────────────────────────────────────────────────────────────────────────────

    def order(self, table: Table, given: Input | None) -> Iterable[Order]:
        """What `order_by` asks for, in order; absent is nothing."""
        for one in given.of if isinstance(given, Items) else ():
            assert isinstance(one, Fields)
            yield from self._order(table, one, ())

    def _order(self, table: Table, given: Fields, hops: tuple[Hop, ...]) -> Iterable[Order]:
        for name, one in given.of.items():
            if isinstance(one, Symbol):
                yield Order(str(one.value), name, hops)
                continue
            assert isinstance(one, Fields)
            relationship = table.relationships.get(name)
            if relationship is None or relationship.many:
                relationship = table.relationships[name.removesuffix("_aggregate")]
            other = self.catalog.tables[relationship.target]
            if not self.tables.sees(other):
                raise Refusal(f"field '{name}' not found in type: '{table.name}_order_by'", f"{given.path}.{name}")
            further = (*hops, Hop(self.tables.refer(other), relationship.pairs))
            if relationship.many:
                yield from _aggregate_order(other, one, further)
            else:
                yield from self._order(other, one, further)


def _aggregate_order(table: Table, given: Fields, hops: tuple[Hop, ...]) -> Iterable[Order]:
    for function, one in given.of.items():
        if isinstance(one, Symbol):
            yield Order(str(one.value), "", hops, Call(function))
        elif isinstance(one, Fields):
            for name, direction in one.of.items():
                assert isinstance(direction, Symbol)
                yield Order(str(direction.value), name, hops, Call(function, (name,), type=table.columns[name].type))


def all_of(parts: list[Predicate]) -> Predicate:
    """AND, flat: `{a: …, b: …}` is one Everything, a single part is itself."""
    flat: list[Predicate] = []
    for part in parts:
        flat += part.of if isinstance(part, Everything) else (part,)
    return flat[0] if len(flat) == 1 else Everything(tuple(flat))


def both(first: Predicate, second: Predicate) -> Predicate:
    """AND of two."""
    return all_of([first, second])


def names_of(given: Input | None) -> tuple[str, ...]:
    if isinstance(given, Symbol):
        return (str(given.value),)
    if isinstance(given, Items):
        return tuple(dict.fromkeys(str(one.value) for one in given.of if isinstance(one, Symbol)))
    return ()


def is_true(given: Input | None) -> bool:
    return isinstance(given, Symbol) and given.value is True


def _limit(given: Input | None) -> Parameter | int | None:
    if not isinstance(given, Leaf):
        return None
    if isinstance(given.source, Constant):
        return limit(given.source.value, given.path)
    return Parameter(given.source, SqlType("int4"), Kind.LIMIT, graphql="Int", path=given.path)
