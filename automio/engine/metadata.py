"""Metadata + one request -> the Metadata after it. Pure; admin.py runs it against the database. Next: metadata_follow.py.

`change` takes a request's type without its `pg_`, and its arguments. It refuses in Hasura's words what can be seen without
looking whether the whole is consistent afterwards: what is not tracked, what exists already, what others depend on. What the
change makes inconsistent is found by resolving the new Metadata (resolve.py).

The first change to inferred metadata starts from what is served: every table is tracked, with the inferred relationships.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from automio.engine.catalog import Catalog
from automio.engine.metadata_expressions import rename_relationship, uses_relationship
from automio.engine.metadata_format import (
    KINDS,
    AdminRefusal,
    boolean,
    configuration,
    mapping,
    member,
    not_supported,
    optional_text,
    permission,
    relationship,
    root_fields,
    table_name,
    text,
    with_permission,
)
from automio.engine.metadata_types import (
    ColumnConfig,
    Json,
    Metadata,
    OwnKey,
    RelationshipDefinition,
    RemoteKey,
    RolePermissions,
    TableConfig,
    TableMetadata,
    TableName,
)
from automio.engine.resolve import text_of


@dataclass(frozen=True, slots=True)
class Change:
    """The new metadata; `made` is the object that the request is about, as an Inconsistency names it: (kind, table, name)."""

    metadata: Metadata
    made: tuple[str, TableName, str] | None = None


def explicit(metadata: Metadata, catalog: Catalog) -> Metadata:
    """Inferred metadata as if somebody had tracked everything that is served; other metadata as it is."""
    if not metadata.inferred:
        return metadata
    tables: dict[TableName, TableMetadata] = {}
    for table in catalog.tables.values():
        if not table.type_name:
            continue
        objects: dict[str, RelationshipDefinition] = {}
        arrays: dict[str, RelationshipDefinition] = {}
        for name, one in table.relationships.items():
            target = catalog.tables[one.target]
            if one.many:
                key = RemoteKey((target.schema, target.name), tuple(there for _, there in one.pairs))
                arrays[name] = RelationshipDefinition(name, key)
            else:
                objects[name] = RelationshipDefinition(name, OwnKey(tuple(here for here, _ in one.pairs)))
        made = TableMetadata(table.schema, table.name, object_relationships=objects, array_relationships=arrays)
        tables[made.key] = made
    return replace(metadata, tables=tables, inferred=False)


def change(metadata: Metadata, database: Catalog, kind: str, args: Json) -> Change:
    """The metadata after a request. AdminRefusal; `not-supported` for a type that is out of scope."""
    done = _CHANGES.get(kind)
    if done is None:
        raise not_supported(f'the request "{kind}"', "$.type")
    return done(metadata, database, args)


def tracked(metadata: Metadata, table: TableName, path: str = "$.args") -> TableMetadata:
    """The table's metadata. AdminRefusal when it is not tracked."""
    found = metadata.tables.get(table)
    if found is None:
        raise AdminRefusal(f"table {text_of(*table)} does not exist in source: default", path, "not-exists")
    return found


def put(metadata: Metadata, table: TableMetadata) -> Metadata:
    """The metadata with this table in it."""
    return replace(metadata, tables={**metadata.tables, table.key: table})


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _track(metadata: Metadata, database: Catalog, args: Json) -> Change:
    whole = isinstance(args, Mapping) and "table" in args
    name = table_name(args["table"]) if whole else table_name(args, "$.args")
    if name in metadata.tables:
        raise AdminRefusal(f"view/table already tracked: {text_of(*name)}", code="already-tracked")
    if name in metadata.functions:
        raise AdminRefusal(f"function with name {text_of(*name)} already exists", code="not-supported")
    if database.find(*name) is None:
        raise AdminRefusal(f"no such table/view exists in source: {text_of(*name)}", code="not-exists")
    given = args if isinstance(args, Mapping) else {}
    config = configuration(given.get("configuration")) if whole else TableConfig()
    table = TableMetadata(*name, is_enum=boolean(given.get("is_enum"), "$.args.is_enum"), config=config)
    return Change(put(metadata, table), ("table", name, ""))


def _untrack(metadata: Metadata, database: Catalog, args: Json) -> Change:
    name = table_name(member(args, "table"))
    if name not in metadata.tables:
        raise AdminRefusal(f"view/table already untracked: {text_of(*name)}", code="already-untracked")
    rest = {key: one for key, one in metadata.tables.items() if key != name}
    texts: list[str] = []
    for key, one in rest.items():
        gone = {r for r in relationships_of(one) if target_of(database, one, r) == name}
        if gone:
            texts += [f'relationship {dotted(key)}.{r} in source "default"' for r in sorted(gone)]
            rest[key] = without_relationships(one, gone)
    if texts and not boolean(args.get("cascade"), "$.args.cascade"):
        raise dependency(texts)
    return Change(replace(metadata, tables=rest))


def _enum(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one = tracked(metadata, table_name(member(args, "table")))
    is_enum = boolean(member(args, "is_enum"), "$.args.is_enum")
    return Change(put(metadata, replace(one, is_enum=is_enum)), ("table", one.key, ""))


def _custom_fields(metadata: Metadata, database: Catalog, args: Json) -> Change:
    """The older request: names alone, so comments stay."""
    one = tracked(metadata, table_name(member(args, "table")))
    names = mapping(args.get("custom_column_names"), "$.args.custom_column_names")
    columns = {name: ColumnConfig(text(custom, "$.args.custom_column_names")) for name, custom in names.items()}
    roots = root_fields(args.get("custom_root_fields"), "$.args.custom_root_fields")
    custom_name = optional_text(args.get("custom_name"), "$.args.custom_name")
    config = TableConfig(custom_name, roots, columns, one.config.comment)
    return Change(put(metadata, replace(one, config=config)))


def _customize(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one = tracked(metadata, table_name(member(args, "table")))
    config = configuration(args.get("configuration"))
    return Change(put(metadata, replace(one, config=config)))


# ── relationships ───────────────────────────────────────────────────────────────────────────────────────────────────────


def relationships_of(table: TableMetadata) -> dict[str, RelationshipDefinition]:
    """Objects and arrays by name."""
    return {**table.object_relationships, **table.array_relationships}


def without_relationships(table: TableMetadata, names: set[str]) -> TableMetadata:
    return replace(
        table,
        object_relationships={key: one for key, one in table.object_relationships.items() if key not in names},
        array_relationships={key: one for key, one in table.array_relationships.items() if key not in names},
    )


def target_of(database: Catalog, table: TableMetadata, name: str) -> TableName | None:
    """Where a relationship leads to; None when its foreign key is not there."""
    using = relationships_of(table)[name].using
    if not isinstance(using, OwnKey):
        return using.table
    found = database.find(*table.key)
    for key in found.foreign_keys if found else ():
        if sorted(here for here, _ in key.pairs) == sorted(using.columns):
            target = database.tables[key.target]
            return target.schema, target.name
    return None


def dotted(table: TableName) -> str:
    """A table in the texts about dependencies."""
    return table[1] if table[0] == "public" else f"{table[0]}.{table[1]}"


def dependency(texts: list[str]) -> AdminRefusal:
    """The refusal that names what depends on something."""
    text_ = f"cannot drop due to the following dependent objects: {', '.join(texts)}"
    return AdminRefusal(text_, code="dependency-error")


def _create(many: bool) -> Callable[[Metadata, Catalog, Json], Change]:
    key, kind = ("array_relationships", "array_relation") if many else ("object_relationships", "object_relation")

    def create(metadata: Metadata, database: Catalog, args: Json) -> Change:
        one = tracked(metadata, table_name(member(args, "table")))
        made = relationship(args)
        found = database.find(*one.key)
        if made.name in relationships_of(one) or (found and made.name in found.columns):
            what = "column" if found and made.name in found.columns else "relationship"
            text_ = f"field with name {made.name!r} already exists as a {what} in table {text_of(*one.key)}"
            raise AdminRefusal(text_.replace("'", '"'), code="already-exists")
        held: Mapping[str, RelationshipDefinition] = getattr(one, key)
        changed = replace(one, **{key: {**held, made.name: made}})  # pyright: ignore[reportArgumentType]
        return Change(put(metadata, changed), (kind, one.key, made.name))

    return create


def _existing(metadata: Metadata, args: Json, key: str) -> tuple[TableMetadata, str]:
    one = tracked(metadata, table_name(member(args, "table")))
    name = text(member(args, key), f"$.args.{key}")
    if name not in relationships_of(one):
        raise AdminRefusal(f'relationship "{name}" does not exist', code="not-exists")
    return one, name


def _drop_relationship(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one, name = _existing(metadata, args, "relationship")
    users = uses_relationship(metadata, database, one.key, name)
    if users and not boolean(args.get("cascade"), "$.args.cascade"):
        raise dependency([f'permission {dotted(t)}.{role}.{kind} in source "default"' for t, role, kind in users])
    for table, role, kind in users:
        metadata = _without_permission(metadata, metadata.tables[table], role, kind)
    return Change(put(metadata, without_relationships(metadata.tables[one.key], {name})))


def _edit(one: TableMetadata, name: str, edited: RelationshipDefinition) -> TableMetadata:
    def swap(held: Mapping[str, RelationshipDefinition]) -> dict[str, RelationshipDefinition]:
        return {(edited.name if key == name else key): (edited if key == name else x) for key, x in held.items()}

    return replace(
        one,
        object_relationships=swap(one.object_relationships),
        array_relationships=swap(one.array_relationships),
    )


def _rename_relationship(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one, name = _existing(metadata, args, "name")
    new = text(member(args, "new_name"), "$.args.new_name")
    found = database.find(*one.key)
    if new in relationships_of(one) or (found and new in found.columns):
        raise AdminRefusal(
            f"cannot rename relationship {name} to {new} in table {text_of(*one.key)} as a column or relationship "
            "with the name already exists",
            code="already-exists",
        )
    metadata = rename_relationship(metadata, database, one.key, name, new)
    one = metadata.tables[one.key]
    edited = replace(relationships_of(one)[name], name=new)
    kind = "array_relation" if name in one.array_relationships else "object_relation"
    return Change(put(metadata, _edit(one, name, edited)), (kind, one.key, new))


def _comment_relationship(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one, name = _existing(metadata, args, "name")
    comment = optional_text(args.get("comment"), "$.args.comment")
    return Change(put(metadata, _edit(one, name, replace(relationships_of(one)[name], comment=comment))))


# ── functions and computed fields: kept for a Hasura that serves them ─────────────────────────────────────────────────────


def _add_computed(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one = tracked(metadata, table_name(member(args, "table")))
    name = text(member(args, "name"), "$.args.name")
    found = database.find(*one.key)
    if name in one.computed_fields or name in relationships_of(one) or (found and name in found.columns):
        raise AdminRefusal(
            f'field with name "{name}" already exists in table {text_of(*one.key)}', code="already-exists"
        )
    given = {key: args[key] for key in ("name", "definition", "comment") if key in args}
    member(args, "definition")
    return Change(put(metadata, replace(one, computed_fields={**one.computed_fields, name: given})))


def _drop_computed(metadata: Metadata, database: Catalog, args: Json) -> Change:
    one = tracked(metadata, table_name(member(args, "table")))
    name = text(member(args, "name"), "$.args.name")
    if name not in one.computed_fields:
        raise AdminRefusal(f'computed field "{name}" does not exist', code="not-exists")
    left = {key: given for key, given in one.computed_fields.items() if key != name}
    return Change(put(metadata, replace(one, computed_fields=left)))


def _track_function(metadata: Metadata, database: Catalog, args: Json) -> Change:
    whole = isinstance(args, Mapping) and "function" in args
    name = table_name(args["function"] if whole else args, "$.args")
    if name in metadata.functions:
        raise AdminRefusal(f"function already tracked: {text_of(*name)}", code="already-tracked")
    if name in metadata.tables:
        raise AdminRefusal(f"table with name {text_of(*name)} already exists", code="not-supported")
    given: dict[str, Json] = {"function": {"name": name[1], "schema": name[0]}}
    if whole and args.get("configuration"):
        given["configuration"] = args["configuration"]
    return Change(replace(metadata, functions={**metadata.functions, name: given}))


def _untrack_function(metadata: Metadata, database: Catalog, args: Json) -> Change:
    name = table_name(args["function"] if isinstance(args, Mapping) and "function" in args else args, "$.args")
    if name not in metadata.functions:
        raise AdminRefusal(f"function already untracked: {text_of(*name)}", code="already-untracked")
    return Change(replace(metadata, functions={key: one for key, one in metadata.functions.items() if key != name}))


# ── permissions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _create_permission(kind: str) -> Callable[[Metadata, Catalog, Json], Change]:
    def create(metadata: Metadata, database: Catalog, args: Json) -> Change:
        one = tracked(metadata, table_name(member(args, "table")))
        role = text(member(args, "role"), "$.args.role")
        roles = one.permissions.get(role, RolePermissions())
        if role == "admin" or getattr(roles, kind) is not None:
            text_ = f'{kind} permission already defined on table {text_of(*one.key)} with role "{role}"'
            raise AdminRefusal(text_, code="already-exists")
        made = permission(kind, member(args, "permission"), optional_text(args.get("comment"), "$.args.comment"))
        changed = replace(one, permissions={**one.permissions, role: with_permission(roles, kind, made)})
        return Change(put(metadata, changed), (f"{kind}_permission", one.key, role))

    return create


def _permission_of(metadata: Metadata, args: Json, kind: str) -> tuple[TableMetadata, str]:
    one = tracked(metadata, table_name(member(args, "table")))
    role = text(member(args, "role"), "$.args.role")
    if getattr(one.permissions.get(role, RolePermissions()), kind, None) is None:
        text_ = f'{kind} permission on {text_of(*one.key)} for role "{role}" does not exist'
        raise AdminRefusal(text_, code="permission-denied")
    return one, role


def _without_permission(metadata: Metadata, one: TableMetadata, role: str, kind: str) -> Metadata:
    left = with_permission(one.permissions[role], kind, None)
    roles = {**one.permissions, role: left}
    if left == RolePermissions():
        del roles[role]
    return put(metadata, replace(one, permissions=roles))


def _drop_permission(kind: str) -> Callable[[Metadata, Catalog, Json], Change]:
    def drop(metadata: Metadata, database: Catalog, args: Json) -> Change:
        one, role = _permission_of(metadata, args, kind)
        return Change(_without_permission(metadata, one, role, kind))

    return drop


def _comment_permission(metadata: Metadata, database: Catalog, args: Json) -> Change:
    kind = text(member(args, "type"), "$.args.type")
    if kind not in KINDS:
        raise AdminRefusal("type should be one of insert, select, update, delete", "$.args.type")
    one, role = _permission_of(metadata, args, kind)
    comment = optional_text(args.get("comment"), "$.args.comment")
    roles = one.permissions[role]
    edited = with_permission(roles, kind, replace(getattr(roles, kind), comment=comment))
    return Change(put(metadata, replace(one, permissions={**one.permissions, role: edited})))


_CHANGES: dict[str, Callable[[Metadata, Catalog, Json], Change]] = {
    "track_table": _track,
    "add_existing_table_or_view": _track,
    "untrack_table": _untrack,
    "set_table_is_enum": _enum,
    "set_table_custom_fields": _custom_fields,
    "set_table_customization": _customize,
    "set_table_configuration": _customize,
    "create_object_relationship": _create(False),
    "create_array_relationship": _create(True),
    "drop_relationship": _drop_relationship,
    "rename_relationship": _rename_relationship,
    "set_relationship_comment": _comment_relationship,
    "set_permission_comment": _comment_permission,
    "add_computed_field": _add_computed,
    "drop_computed_field": _drop_computed,
    "track_function": _track_function,
    "untrack_function": _untrack_function,
    **{f"create_{kind}_permission": _create_permission(kind) for kind in KINDS},
    **{f"drop_{kind}_permission": _drop_permission(kind) for kind in KINDS},
}
CHANGES = frozenset(_CHANGES)
"""The requests that `change` knows."""
