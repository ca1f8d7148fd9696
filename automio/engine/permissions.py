"""A role's permissions in the metadata -> its Role (for planning) and its View (for its schema). Next: permissions_filter.py.

Comes in: the catalog, whose tables carry RolePermissions as they were given. Goes out, once for each reading of the catalog:
- `Role`: conditions as Predicates, presets as Parameters. It differs between bound callers and others, since the tables that a
  condition looks at are scoped too;
- `RoleView`: what of the catalog the role sees. What it may not use isn't in its schema: tables and relationships without a
  select permission, columns that aren't selectable, aggregates without allow_aggregations, `_by_pk` and `insert_…_one` without
  the columns or rows they would show, the preset columns of inserts and updates, and what the root fields' lists leave out.

`on_conflict` stands wherever the table has a unique key, as in Hasura: without columns that the role may update it can only
ignore a conflict, and its enum then has a placeholder in their place.

`backend_only` permissions exist for a caller who says so (Caller.backend), and for no other.

A permission that does not fit its table (a column is gone) is none: the role loses the right, and metadata.py tells of it, by
`check_permission`. So does a condition that looks at a table which cannot be scoped, for a bound caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from automio.engine.catalog import Catalog, Column, Computed, Table
from automio.engine.filter import Tables
from automio.engine.metadata_types import DeletePermission, InsertPermission, SelectPermission, UpdatePermission
from automio.engine.permissions_filter import Expressions, PermissionFault
from automio.engine.permissions_types import DeleteRights, InsertRights, Rights, Role, SelectRights, UpdateRights
from automio.engine.plan_types import Everything
from automio.engine.refusal import Refusal
from automio.engine.view import View

Permission = SelectPermission | InsertPermission | UpdatePermission | DeletePermission
_P = TypeVar("_P", bound=Permission)
_R = TypeVar("_R", SelectRights, InsertRights, UpdateRights, DeleteRights)


def check_permission(catalog: Catalog, table: Table, permission: Permission) -> None:
    """Raises PermissionFault when the permission does not fit the table, in Hasura's words."""
    read = Expressions(Tables(catalog, bound=False))
    match permission:
        case SelectPermission():
            _select(read, table, permission)
            if permission.limit is not None and permission.limit < 0:
                raise PermissionFault("unexpected negative value", ("limit",), "not-supported")
        case InsertPermission():
            _modifiable(table, table.insertable, "insertable")
            _insert(read, table, permission)
        case UpdatePermission():
            _modifiable(table, table.updatable, "updatable")
            _update(read, table, permission)
        case DeletePermission():
            _modifiable(table, table.deletable, "deletable")
            _delete(read, table, permission)


def _modifiable(table: Table, able: bool, word: str) -> None:
    if not able:
        raise PermissionFault(f'view "{table.name}" is not {word}', (), "not-supported")


def roles_of(catalog: Catalog) -> dict[str, bool]:
    """The roles that have a permission on some table; True for those that have a `backend_only` one."""
    found: dict[str, bool] = {}
    for table in catalog.tables.values():
        for name, one in table.permissions.items():
            backend = any(part is not None and part.backend_only for part in (one.insert, one.update, one.delete))
            found[name] = found.get(name, False) or backend
    return found


def read_role(catalog: Catalog, name: str, bound: bool, backend: bool) -> Role:
    """The rights of a role. `bound`: for callers of one organization. `backend`: with its `backend_only` permissions."""
    read = Expressions(Tables(catalog, bound))
    found: dict[str, Rights] = {}

    def right(make: Callable[[Expressions, Table, _P], _R], table: Table, permission: _P | None) -> _R | None:
        if permission is None or (getattr(permission, "backend_only", False) and not backend):
            return None
        try:
            return make(read, table, permission)
        except (PermissionFault, Refusal):
            return None

    for key, table in catalog.tables.items():
        one = table.permissions.get(name)
        if one is not None and table.type_name:
            found[key] = Rights(
                right(_select, table, one.select),
                right(_insert, table, one.insert),
                right(_update, table, one.update),
                right(_delete, table, one.delete),
            )
    return Role(name, found)


def _select(read: Expressions, table: Table, permission: SelectPermission) -> SelectRights:
    return SelectRights(
        columns=read.columns(table, permission.columns, "columns"),
        filter=read.condition(table, permission.filter, "filter"),
        most=permission.limit,
        aggregations=permission.allow_aggregations,
        query_roots=permission.query_root_fields,
        subscription_roots=permission.subscription_root_fields,
    )


def _insert(read: Expressions, table: Table, permission: InsertPermission) -> InsertRights:
    check = read.condition(table, permission.check, "check")
    presets = read.presets(table, permission.set, "set")
    return InsertRights(read.columns(table, permission.columns, "columns") - presets.keys(), check, presets)


def _update(read: Expressions, table: Table, permission: UpdatePermission) -> UpdateRights:
    allowed = read.condition(table, permission.filter, "filter")
    check = None if permission.check is None else read.condition(table, permission.check, "check")
    presets = read.presets(table, permission.set, "set")
    columns = read.columns(table, permission.columns, "columns") - presets.keys()
    return UpdateRights(columns, allowed, check, presets)


def _delete(read: Expressions, table: Table, permission: DeletePermission) -> DeleteRights:
    return DeleteRights(read.condition(table, permission.filter, "filter"))


class RoleView(View):
    """What a role sees."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def reads(self, table: Table) -> bool:
        return bool(table.type_name) and self.role.of(table.reference).select is not None

    def readable(self, table: Table) -> Sequence[Column]:
        rights = self.role.of(table.reference).select
        return [column for column in table.visible if column.name in rights.columns] if rights else []

    def whole(self, table: Table) -> bool:
        rights = self.role.of(table.reference).select
        return rights is not None and rights.filter == Everything()

    def aggregates(self, table: Table) -> bool:
        rights = self.role.of(table.reference).select
        return rights is not None and rights.aggregations

    def serves(self, table: Table, key: str, subscription: bool = False) -> bool:
        rights = self.role.of(table.reference).select
        if rights is None or not key.startswith("select"):
            return True
        allowed = rights.subscription_roots if subscription else rights.query_roots
        return allowed is None or key in allowed

    def computed(self, table: Table) -> Sequence[Computed]:
        return ()

    def insertable(self, table: Table) -> Sequence[Column] | None:
        rights = self.role.of(table.reference).insert
        columns = super().insertable(table)
        return None if rights is None or columns is None else [one for one in columns if one.name in rights.columns]

    def updatable(self, table: Table) -> Sequence[Column] | None:
        rights = self.role.of(table.reference).update
        columns = super().updatable(table)
        return None if rights is None or columns is None else [one for one in columns if one.name in rights.columns]

    def deletes(self, table: Table) -> bool:
        return super().deletes(table) and self.role.of(table.reference).delete is not None

    def upserts(self, table: Table) -> bool:
        return True
