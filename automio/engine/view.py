"""What of the catalog somebody sees: the schema is built for a View. This one is the admin's, who sees everything.

schema.py and schema_inputs.py ask a View and nothing else about columns and root fields, so a role's View (permissions.py)
makes a role's schema: what it may not see does not exist for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from automio.engine.catalog import Column, Computed, Table


class View:
    """The admin's. A role's view overrides all of it; `key` is Hasura's key of a root field ("select_by_pk", naming.ROOTS)."""

    def reads(self, table: Table) -> bool:
        """Whether rows of it can be read: it has a type, and relationships may lead to it."""
        return bool(table.type_name)

    def readable(self, table: Table) -> Sequence[Column]:
        """The columns that can be read, filtered and ordered by."""
        return table.visible

    def whole(self, table: Table) -> bool:
        """Whether every row of it can be read; if not, a relationship to it may lead to nothing."""
        return True

    def aggregates(self, table: Table) -> bool:
        """Whether `<table>_aggregate` is there."""
        return True

    def serves(self, table: Table, key: str, subscription: bool = False) -> bool:
        """Whether this root field is there, if nothing else speaks against it."""
        return True

    def computed(self, table: Table) -> Sequence[Computed]:
        """The computed fields that are shown."""
        return list(table.computed.values())

    def insertable(self, table: Table) -> Sequence[Column] | None:
        """The columns that may be given in an insert; None: no insert."""
        return [column for column in table.visible if column.writable] if table.insertable else None

    def updatable(self, table: Table) -> Sequence[Column] | None:
        """The columns that may be set; None: no update."""
        return [column for column in table.visible if column.writable] if table.updatable else None

    def deletes(self, table: Table) -> bool:
        """Whether rows may be deleted."""
        return table.deletable

    def upserts(self, table: Table) -> bool:
        """Whether an insert may say `on_conflict`."""
        return self.updatable(table) is not None


ADMIN = View()
