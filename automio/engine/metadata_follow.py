"""What a script changed in the database -> the Metadata that goes with it, or why the script must not stand. Used by admin.py.

Tables and columns are recognised by PostgreSQL's own numbers (oid, attnum), so a rename is seen as one, and everything in the
metadata that names the table or column is renamed with it. What is gone takes along what the metadata says about it alone (its
permissions, its names); what others say about it (a relationship to a dropped table, a filter on a dropped column) must go
too: with `cascade` it does, without it the script is refused with the list of it. A column's type must not change under a
permission that compares it with a fixed value.
"""

from __future__ import annotations

from dataclasses import replace

from automio.engine.catalog import Catalog, Table
from automio.engine.metadata import dependency, dotted, relationships_of, target_of, without_relationships
from automio.engine.metadata_expressions import permissions_of, renamed, uses
from automio.engine.metadata_format import AdminRefusal, with_permission
from automio.engine.metadata_types import (
    Manual,
    Metadata,
    OwnKey,
    RelationshipDefinition,
    RemoteKey,
    RolePermissions,
    TableMetadata,
    TableName,
)


def follow_script(metadata: Metadata, before: Catalog, after: Catalog, cascade: bool) -> Metadata:
    """The metadata after a script. AdminRefusal (dependency-error) when something depends on what it took away."""
    if metadata.inferred or before == after:
        return metadata
    now = {table.oid: table for table in after.tables.values()}
    tables: dict[TableName, TableName] = {}
    columns: dict[tuple[TableName, str], str] = {}
    gone: set[tuple[TableName, str]] = set()
    retyped: dict[tuple[TableName, str], str] = {}
    for name in metadata.tables:
        old = before.find(*name)
        if old is None:
            continue
        new = now.get(old.oid) or after.find(*name)
        if new is None:
            gone.add((name, ""))
            continue
        tables[name] = (new.schema, new.name)
        by_number = {column.number: column for column in new.columns.values()} if new.oid == old.oid else {}
        for column in old.columns.values():
            found = by_number.get(column.number) or (new.columns.get(column.name) if not by_number else None)
            if found is None:
                gone.add((name, column.name))
            else:
                columns[name, column.name] = found.name
                if found.type != column.type:
                    retyped[name, column.name] = new.name
    _refuse_new_types(metadata, before, retyped)
    metadata = _without(metadata, before, gone, cascade)
    metadata = _without_lost_keys(metadata, before, after, tables, columns, cascade)
    if all(key == name for key, name in tables.items()) and all(key[1] == name for key, name in columns.items()):
        return metadata
    return _with_names(metadata, before, tables, columns)


def _refuse_new_types(metadata: Metadata, before: Catalog, retyped: dict[tuple[TableName, str], str]) -> None:
    for (table, column), _ in retyped.items():
        texts = [
            f'permission {dotted(key)}.{role}.{kind} in source "default"'
            for key, one in metadata.tables.items()
            for role, kind, allowed in permissions_of(one)
            if any(
                (use.table, use.name, use.typed) == (table, column, True)
                for use in uses(metadata, before, key, allowed)
            )
        ]
        if texts:
            raise AdminRefusal(
                f'cannot change type of column "{column}" in table "{dotted(table)}" because of the following '
                f"dependencies: {', '.join(texts)}",
                code="dependency-error",
            )


def _without(metadata: Metadata, before: Catalog, gone: set[tuple[TableName, str]], cascade: bool) -> Metadata:
    texts: list[str] = []
    tables: dict[TableName, TableMetadata] = {}
    for key, one in metadata.tables.items():
        if (key, "") in gone:
            continue
        lost: set[str] = set()
        for name, definition in relationships_of(one).items():
            target = target_of(before, one, name)
            named = _columns_of(key, definition)
            if (target and (target, "") in gone) or named & gone:
                lost.add(name)
                texts.append(f'relationship {dotted(key)}.{name} in source "default"')
        changed = without_relationships(one, lost)
        for role, kind, allowed in permissions_of(one):
            named = {(use.table, use.name) for use in uses(metadata, before, key, allowed)}
            if named & gone or any((use, "") in gone for use, _ in named) or named & {(key, name) for name in lost}:
                texts.append(f'permission {dotted(key)}.{role}.{kind} in source "default"')
                roles = dict(changed.permissions)
                roles[role] = with_permission(roles[role], kind, None)
                if roles[role] == RolePermissions():
                    del roles[role]
                changed = replace(changed, permissions=roles)
        config = changed.config
        kept = {name: x for name, x in config.column_config.items() if (key, name) not in gone}
        tables[key] = replace(changed, config=replace(config, column_config=kept))
    if texts and not cascade:
        raise dependency(texts)
    return replace(metadata, tables=tables)


def _columns_of(table: TableName, definition: RelationshipDefinition) -> set[tuple[TableName, str]]:
    match definition.using:
        case OwnKey(columns=columns):
            return {(table, column) for column in columns}
        case RemoteKey(table=other, columns=columns):
            return {(other, column) for column in columns}
        case Manual(table=other, pairs=pairs):
            return {(table, here) for here, _ in pairs} | {(other, there) for _, there in pairs}


def _without_lost_keys(
    metadata: Metadata,
    before: Catalog,
    after: Catalog,
    tables: dict[TableName, TableName],
    columns: dict[tuple[TableName, str], str],
    cascade: bool,
) -> Metadata:
    """Relationships whose foreign key is gone, though table and columns are there."""
    texts: list[str] = []
    found = dict(metadata.tables)
    for key, one in metadata.tables.items():
        lost: set[str] = set()
        for name, definition in relationships_of(one).items():
            using = definition.using
            if isinstance(using, Manual):
                continue
            owner = using.table if isinstance(using, RemoteKey) else key
            old, new = before.find(*owner), after.find(*tables.get(owner, owner))
            now = sorted(columns.get((owner, column), column) for column in using.columns)
            if old and new and _has_key(old, sorted(using.columns)) and not _has_key(new, now):
                lost.add(name)
                texts.append(f'relationship {dotted(key)}.{name} in source "default"')
        found[key] = without_relationships(one, lost)
    if texts and not cascade:
        raise dependency(texts)
    return replace(metadata, tables=found)


def _has_key(table: Table, columns: list[str]) -> bool:
    return any(sorted(here for here, _ in key.pairs) == columns for key in table.foreign_keys)


def _with_names(
    metadata: Metadata,
    before: Catalog,
    tables: dict[TableName, TableName],
    columns: dict[tuple[TableName, str], str],
) -> Metadata:
    def column(table: TableName, name: str) -> str:
        return columns.get((table, name), name)

    def definition(owner: TableName, one: RelationshipDefinition) -> RelationshipDefinition:
        match one.using:
            case OwnKey(columns=names):
                return replace(one, using=OwnKey(tuple(column(owner, name) for name in names)))
            case RemoteKey(table=other, columns=names):
                made = tuple(column(other, name) for name in names)
                return replace(one, using=RemoteKey(tables.get(other, other), made))
            case Manual(table=other, pairs=pairs):
                made_pairs = tuple((column(owner, here), column(other, there)) for here, there in pairs)
                return replace(one, using=Manual(tables.get(other, other), made_pairs, one.using.insertion_order))

    metadata = renamed(metadata, before, column, lambda table, _: tables.get(table, table)[1])
    found: dict[TableName, TableMetadata] = {}
    for key, one in metadata.tables.items():
        schema, name = tables.get(key, key)
        config = replace(one.config, column_config={column(key, n): x for n, x in one.config.column_config.items()})
        found[schema, name] = replace(
            one,
            schema=schema,
            name=name,
            config=config,
            object_relationships={n: definition(key, x) for n, x in one.object_relationships.items()},
            array_relationships={n: definition(key, x) for n, x in one.array_relationships.items()},
        )
    return replace(metadata, tables=found)
