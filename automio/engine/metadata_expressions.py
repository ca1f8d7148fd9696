"""The boolean expressions of permissions, walked: which columns and relationships they name, and the same with new names.

An expression names columns of its table, relationships (whose value is an expression on another table), `_exists` with a
table of its own, and `_and`, `_or`, `_not` (with `_` or `$`). A column's value is a value, or operators with values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

from automio.engine.catalog import Catalog
from automio.engine.metadata_format import Permission, table_name, with_permission
from automio.engine.metadata_types import Json, Metadata, OwnKey, RolePermissions, TableMetadata, TableName

_WORDS = frozenset({"and", "or", "not"})
Rename = Callable[[TableName, str], str]


@dataclass(frozen=True, slots=True)
class Use:
    """A name in an expression. `typed`: a column that is compared with a fixed value, so its type matters."""

    table: TableName
    name: str
    typed: bool = False


def permissions_of(table: TableMetadata) -> Iterator[tuple[str, str, Permission]]:
    """(role, kind, permission), sorted."""
    for role in sorted(table.permissions):
        for kind in sorted(field.name for field in fields(RolePermissions)):
            found: Permission | None = getattr(table.permissions[role], kind)
            if found is not None:
                yield role, kind, found


def uses(metadata: Metadata, database: Catalog, table: TableName, one: Permission) -> Iterator[Use]:
    """Every column and relationship that a permission on `table` names."""
    for key in ("filter", "check"):
        yield from _walk(metadata, database, table, getattr(one, key, None))
    for column, value in getattr(one, "set", {}).items():
        yield Use(table, column, not _is_session(value))
    for column in getattr(one, "columns", None) or ():
        yield Use(table, column)


def uses_relationship(
    metadata: Metadata, database: Catalog, table: TableName, name: str
) -> list[tuple[TableName, str, str]]:
    """The permissions (table, role, kind) that go through this relationship."""
    found: list[tuple[TableName, str, str]] = []
    for key, one in metadata.tables.items():
        for role, kind, allowed in permissions_of(one):
            if any((use.table, use.name) == (table, name) for use in uses(metadata, database, key, allowed)):
                found.append((key, role, kind))
    return sorted(found)


def rename_relationship(metadata: Metadata, database: Catalog, table: TableName, name: str, new: str) -> Metadata:
    """All permissions with the new name of a relationship in them."""
    return renamed(metadata, database, lambda owner, one: new if (owner, one) == (table, name) else one)


def renamed(metadata: Metadata, database: Catalog, rename: Rename, table: Rename | None = None) -> Metadata:
    """All permissions with new names: `rename` for columns and relationships of a table, `table` for names of tables.

    `metadata` and `database` are those of before, by which the expressions are understood.
    """

    def expression(owner: TableName, value: Json) -> Json:
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Json] = {}
        for key, one in value.items():
            word = key[1:] if key[:1] in ("_", "$") else ""
            if word in _WORDS:
                found[key] = [expression(owner, x) for x in one] if isinstance(one, list) else expression(owner, one)
            elif word == "exists" and isinstance(one, Mapping):
                other = table_name(one.get("_table"))
                found[key] = {**one, "_where": expression(other, one.get("_where"))}
                if table:
                    found[key]["_table"] = {"schema": other[0], "name": table(other, "")}
            else:
                target = _target(metadata, database, owner, key)
                found[rename(owner, key)] = expression(target, one) if target else one
        return found

    def permission(owner: TableName, one: Permission) -> Permission:
        changed: dict[str, Json] = {}
        for key in ("filter", "check"):
            if getattr(one, key, None) is not None:
                changed[key] = expression(owner, getattr(one, key))
        if getattr(one, "columns", None) is not None:
            changed["columns"] = tuple(rename(owner, column) for column in getattr(one, "columns"))  # noqa: B009
        if hasattr(one, "set"):
            changed["set"] = {rename(owner, column): x for column, x in getattr(one, "set").items()}  # noqa: B009
        return replace(one, **changed)  # pyright: ignore[reportArgumentType]

    tables: dict[TableName, TableMetadata] = {}
    for key, one in metadata.tables.items():
        roles: dict[str, RolePermissions] = dict(one.permissions)
        for role, kind, allowed in permissions_of(one):
            roles[role] = with_permission(roles[role], kind, permission(key, allowed))
        tables[key] = replace(one, permissions=roles)
    return replace(metadata, tables=tables)


def _walk(metadata: Metadata, database: Catalog, owner: TableName, value: Json) -> Iterable[Use]:
    if not isinstance(value, Mapping):
        return
    for key, one in value.items():
        word = key[1:] if key[:1] in ("_", "$") else ""
        if word in _WORDS:
            for x in one if isinstance(one, list) else [one]:
                yield from _walk(metadata, database, owner, x)
        elif word == "exists" and isinstance(one, Mapping):
            yield from _walk(metadata, database, table_name(one.get("_table")), one.get("_where"))
        else:
            target = _target(metadata, database, owner, key)
            yield Use(owner, key, target is None and not _is_session(one))
            if target:
                yield from _walk(metadata, database, target, one)


def _target(metadata: Metadata, database: Catalog, owner: TableName, name: str) -> TableName | None:
    held = metadata.tables.get(owner)
    using = None
    if held:
        found = held.object_relationships.get(name) or held.array_relationships.get(name)
        using = found.using if found else None
    if not isinstance(using, OwnKey):
        return using.table if using else None
    table = database.find(*owner)
    for key in table.foreign_keys if table else ():
        if sorted(here for here, _ in key.pairs) == sorted(using.columns):
            target = database.tables[key.target]
            return target.schema, target.name
    return None


def _is_session(value: Json) -> bool:
    """Whether nothing but session variables is compared with."""
    if isinstance(value, Mapping):
        return all(_is_session(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_session(one) for one in value)
    return isinstance(value, str) and value.lower().startswith("x-hasura-")
