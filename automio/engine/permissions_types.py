"""What one role may do, ready for planning: only data. Made by permissions.py, read by filter.py, read.py and write.py.

Columns are named as in PostgreSQL. Predicates and presets hold no values of a caller: a session variable is a `Session` in them,
bound with each request. `None` in place of a right says that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from automio.engine.plan_types import Parameter, Predicate


@dataclass(frozen=True, slots=True)
class SelectRights:
    """`most`: a list has no more rows. The two sets are Hasura's keys of the root fields that are served, None for all."""

    columns: frozenset[str]
    filter: Predicate
    most: int | None = None
    aggregations: bool = False
    query_roots: frozenset[str] | None = None
    subscription_roots: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class InsertRights:
    """`columns` may be given, `presets` are put in, and the row that results must satisfy `check`."""

    columns: frozenset[str]
    check: Predicate
    presets: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpdateRights:
    """Rows of `filter` may be changed; what they become must satisfy `check`, if there is one."""

    columns: frozenset[str]
    filter: Predicate
    check: Predicate | None = None
    presets: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeleteRights:
    filter: Predicate


@dataclass(frozen=True, slots=True)
class Rights:
    """Of one table."""

    select: SelectRights | None = None
    insert: InsertRights | None = None
    update: UpdateRights | None = None
    delete: DeleteRights | None = None


NOTHING = Rights()


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """A role's rights by table (a key of Catalog.tables)."""

    name: str
    tables: Mapping[str, Rights]

    def of(self, table: str) -> Rights:
        """What it may do with this table."""
        return self.tables.get(table, NOTHING)
