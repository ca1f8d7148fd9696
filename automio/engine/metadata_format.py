"""Hasura's JSON <-> Metadata: the arguments of requests, and the whole as export_metadata writes it (version 3; 1 and 2 are read).

Comes in: JSON as a client or a file wrote it. Goes out: values of metadata_types.py, or an `AdminRefusal` that names the place
(`$.args.permission.columns`). What the local engine has no part for (functions, actions, …) is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from automio.engine.metadata_types import (
    ColumnConfig,
    DeletePermission,
    InsertPermission,
    Json,
    Manual,
    Metadata,
    Naming,
    OwnKey,
    RelationshipDefinition,
    RemoteKey,
    RolePermissions,
    RootField,
    SelectPermission,
    TableConfig,
    TableMetadata,
    TableName,
    UpdatePermission,
)

_T = TypeVar("_T")
Permission = SelectPermission | InsertPermission | UpdatePermission | DeletePermission
KINDS = ("insert", "select", "update", "delete")
_FOREIGN = ("remote_schemas", "actions", "cron_triggers", "inherited_roles", "query_collections", "allowlist",
            "rest_endpoints", "api_limits", "opentelemetry", "remote_schema_permissions")  # fmt: skip
_FOREIGN_IN_TABLE = ("remote_relationships", "event_triggers", "logical_models")
_SOURCE = {
    "connection_info": {
        "database_url": {"from_env": "HASURA_GRAPHQL_DATABASE_URL"},
        "isolation_level": "read-committed",
        "use_prepared_statements": True,
    }
}


class AdminRefusal(Exception):
    """A request to the admin's endpoints that is refused: {"path", "error", "code"}, and `internal` for those who asked."""

    def __init__(
        self,
        message: str,
        path: str = "$.args",
        code: str = "parse-failed",
        internal: Json = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.code = code
        self.internal = internal
        self.status = status

    def body(self) -> dict[str, Json]:
        """The JSON of the answer."""
        found: dict[str, Json] = {"path": self.path, "error": self.message, "code": self.code}
        return found if self.internal is None else {**found, "internal": self.internal}


def not_supported(thing: str, path: str = "$.args") -> AdminRefusal:
    """The refusal of what is out of scope."""
    return AdminRefusal(f"{thing} is not supported by the local engine", path, "not-supported")


# ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def member(args: Json, name: str, path: str = "$.args") -> Json:
    """A key that must be there."""
    if not isinstance(args, Mapping):
        raise AdminRefusal("parsing failed, expected Object", path)
    if name not in args:
        raise AdminRefusal(f'key "{name}" not found', path)
    return args[name]


def text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise AdminRefusal("parsing Text failed, expected String", path)
    return value


def optional_text(value: Json, path: str) -> str | None:
    return None if value is None else text(value, path)


def boolean(value: Json, path: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise AdminRefusal("expected Bool", path)
    return value


def mapping(value: Json, path: str) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise AdminRefusal("parsing failed, expected Object", path)
    return value


def array(value: Json, path: str) -> Sequence[Json]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise AdminRefusal("parsing failed, expected Array", path)
    return value


def table_name(value: Json, path: str = "$.args.table") -> TableName:
    """`"orders"` or {"schema", "name"}."""
    if isinstance(value, str):
        return "public", value
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return text(value.get("schema") or "public", f"{path}.schema"), value["name"]
    raise AdminRefusal('expected a table: a name, or {"schema", "name"}', path)


def columns_of(value: Json, path: str) -> tuple[str, ...] | None:
    """A list of columns; None is all of them."""
    if value == "*":
        return None
    return tuple(text(one, f"{path}[{i}]") for i, one in enumerate(array(value, path)))


def _roots(value: Json, path: str) -> frozenset[str] | None:
    return None if value is None else frozenset(text(one, path) for one in array(value, path))


def permission(kind: str, value: Json, comment: str | None, path: str = "$.args.permission") -> Permission:
    """The permission of a create_<kind>_permission."""
    given = mapping(value, path)
    if kind == "select":
        limit = given.get("limit")
        if limit is not None and (type(limit) is not int or limit < 0):
            raise AdminRefusal("unexpected negative value", f"{path}.limit")
        return SelectPermission(
            columns_of(given.get("columns", ()), f"{path}.columns"),
            mapping(given.get("filter"), f"{path}.filter"),
            limit,
            boolean(given.get("allow_aggregations"), f"{path}.allow_aggregations"),
            _roots(given.get("query_root_fields"), f"{path}.query_root_fields"),
            _roots(given.get("subscription_root_fields"), f"{path}.subscription_root_fields"),
            columns_of(given.get("computed_fields"), f"{path}.computed_fields") or (),
            comment,
        )
    backend_only = boolean(given.get("backend_only"), f"{path}.backend_only")
    if kind == "delete":
        return DeletePermission(mapping(given.get("filter"), f"{path}.filter"), backend_only, comment)
    presets = mapping(given.get("set"), f"{path}.set")
    check = given.get("check")
    if kind == "insert":
        columns = columns_of(given.get("columns", "*"), f"{path}.columns")
        return InsertPermission(columns, mapping(check, f"{path}.check"), presets, backend_only, comment)
    columns = columns_of(given.get("columns", ()), f"{path}.columns")
    where = mapping(given.get("filter"), f"{path}.filter")
    checked = None if check is None else mapping(check, f"{path}.check")
    return UpdatePermission(columns, where, checked, presets, backend_only, comment)


def root_fields(value: Json, path: str) -> dict[str, RootField]:
    found: dict[str, RootField] = {}
    for key, one in mapping(value, path).items():
        if isinstance(one, str):
            found[key] = RootField(one)
        elif isinstance(one, Mapping):
            found[key] = RootField(optional_text(one.get("name"), path), optional_text(one.get("comment"), path))
    return found


def configuration(value: Json, path: str = "$.args.configuration") -> TableConfig:
    """A table's `configuration`, with the older `custom_column_names`."""
    given = mapping(value, path)
    columns: dict[str, ColumnConfig] = {}
    for name, one in mapping(given.get("custom_column_names"), f"{path}.custom_column_names").items():
        columns[name] = ColumnConfig(text(one, path))
    for name, one in mapping(given.get("column_config"), f"{path}.column_config").items():
        inner = mapping(one, path)
        columns[name] = ColumnConfig(
            optional_text(inner.get("custom_name"), path), optional_text(inner.get("comment"), path)
        )
    return TableConfig(
        optional_text(given.get("custom_name"), f"{path}.custom_name"),
        root_fields(given.get("custom_root_fields"), f"{path}.custom_root_fields"),
        columns,
        optional_text(given.get("comment"), f"{path}.comment"),
    )


def relationship(value: Json, path: str = "$.args") -> RelationshipDefinition:
    """{"name", "using", "comment"?}."""
    name = text(member(value, "name", path), f"{path}.name")
    using = mapping(member(value, "using", path), f"{path}.using")
    comment = optional_text(value.get("comment"), f"{path}.comment")
    if "manual_configuration" in using:
        place = f"{path}.using.manual_configuration"
        manual = mapping(using["manual_configuration"], place)
        pairs = mapping(member(manual, "column_mapping", place), f"{place}.column_mapping")
        order = optional_text(manual.get("insertion_order"), f"{place}.insertion_order")
        remote = table_name(member(manual, "remote_table", place), f"{place}.remote_table")
        return RelationshipDefinition(
            name, Manual(remote, tuple((here, text(there, place)) for here, there in pairs.items()), order), comment
        )
    key = member(using, "foreign_key_constraint_on", f"{path}.using")
    place = f"{path}.using.foreign_key_constraint_on"
    if isinstance(key, Mapping):
        remote = table_name(member(key, "table", place), f"{place}.table")
        columns = key["columns"] if "columns" in key else member(key, "column", place)
        return RelationshipDefinition(name, RemoteKey(remote, _one_or_more(columns, place)), comment)
    return RelationshipDefinition(name, OwnKey(_one_or_more(key, place)), comment)


def _one_or_more(value: Json, path: str) -> tuple[str, ...]:
    return tuple(text(one, path) for one in ([value] if isinstance(value, str) else array(value, path)))


# ── the whole, read ─────────────────────────────────────────────────────────────────────────────────────────────────────


def read_metadata(value: Json, path: str = "$.args") -> Metadata:
    """Metadata of version 1, 2 or 3. AdminRefusal for what is out of scope."""
    given = mapping(value, path)
    for thing in _FOREIGN:
        if given.get(thing):
            raise not_supported(thing.replace("_", " "), f"{path}.{thing}")
    if "sources" not in given:
        tables = array(given.get("tables"), f"{path}.tables")
        return Metadata(_tables(tables, f"{path}.tables"), functions=_functions(given.get("functions"), path))
    sources = array(given["sources"], f"{path}.sources")
    if not sources:
        return Metadata()
    place = f"{path}.sources[0]"
    source = mapping(sources[0], place)
    if len(sources) > 1 or source.get("kind", "postgres") not in ("postgres", "pg"):
        raise not_supported("a source besides one PostgreSQL database", f"{path}.sources")
    for thing in ("native_queries", "stored_procedures", "logical_models"):
        if source.get(thing):
            raise not_supported(thing.replace("_", " "), f"{place}.{thing}")
    custom = mapping(source.get("customization"), f"{place}.customization")
    if custom.get("root_fields") or custom.get("type_names"):
        raise not_supported("customization of root fields and types of a source", f"{place}.customization")
    tables = _tables(array(source.get("tables"), f"{place}.tables"), f"{place}.tables")
    convention = naming(custom.get("naming_convention"), f"{place}.customization.naming_convention")
    return Metadata(tables, convention, functions=_functions(source.get("functions"), place))


def naming(value: Json, path: str = "$.args") -> Naming:
    """A naming convention; none is Hasura's."""
    try:
        return Naming(value) if value else Naming.HASURA
    except ValueError:
        raise AdminRefusal("naming_convention can either be graphql-default or hasura-default", path) from None


def _functions(rows: Json, path: str) -> dict[TableName, Json]:
    found: dict[TableName, Json] = {}
    for i, row in enumerate(array(rows, f"{path}.functions")):
        place = f"{path}.functions[{i}]"
        found[table_name(member(row, "function", place), f"{place}.function")] = row
    return found


def _tables(rows: Sequence[Json], path: str) -> dict[TableName, TableMetadata]:
    found: dict[TableName, TableMetadata] = {}
    for i, row in enumerate(rows):
        one = read_table(row, f"{path}[{i}]")
        if one.key in found:
            raise AdminRefusal(f'multiple declarations exist for table "{one.name}"', f"{path}[{i}]", "not-supported")
        found[one.key] = one
    return found


def read_table(row: Json, path: str) -> TableMetadata:
    """One table of the whole."""
    for thing in _FOREIGN_IN_TABLE:
        if mapping(row, path).get(thing):
            raise not_supported(thing.replace("_", " ").removesuffix("s"), f"{path}.{thing}")
    schema, name = table_name(member(row, "table", path), f"{path}.table")
    roles: dict[str, RolePermissions] = {}
    for kind in KINDS:
        for i, one in enumerate(array(row.get(f"{kind}_permissions"), path)):
            place = f"{path}.{kind}_permissions[{i}]"
            role = text(member(one, "role", place), f"{place}.role")
            made = permission(
                kind, member(one, "permission", place), optional_text(one.get("comment"), place), f"{place}.permission"
            )
            roles[role] = with_permission(roles.get(role, RolePermissions()), kind, made)

    def relationships(key: str) -> dict[str, RelationshipDefinition]:
        made = [relationship(one, f"{path}.{key}[{i}]") for i, one in enumerate(array(row.get(key), path))]
        return {one.name: one for one in made}

    return TableMetadata(
        schema,
        name,
        boolean(row.get("is_enum"), f"{path}.is_enum"),
        configuration(row.get("configuration"), f"{path}.configuration"),
        relationships("object_relationships"),
        relationships("array_relationships"),
        roles,
        {text(member(one, "name", path), path): one for one in array(row.get("computed_fields"), path)},
    )


def with_permission(roles: RolePermissions, kind: str, one: Permission | None) -> RolePermissions:
    """The same with another permission of this kind."""
    changed: dict[str, Any] = {kind: one}
    return replace(roles, **changed)


# ── the whole, written ──────────────────────────────────────────────────────────────────────────────────────────────────


def write_metadata(metadata: Metadata) -> dict[str, Json]:
    """Version 3, as export_metadata gives it; what is empty is left out."""
    source: dict[str, Json] = {"name": "default", "kind": "postgres", "tables": []}
    source["tables"] = [write_table(one) for one in sorted(metadata.tables.values(), key=lambda one: one.key)]
    if metadata.functions:
        source["functions"] = [metadata.functions[name] for name in sorted(metadata.functions)]
    source["configuration"] = _SOURCE
    if metadata.naming is not Naming.HASURA:
        source["customization"] = {"naming_convention": metadata.naming.value}
    return {"version": 3, "sources": [source]}


def write_table(one: TableMetadata) -> dict[str, Json]:
    found: dict[str, Json] = {"table": write_name(one.key)}
    if one.is_enum:
        found["is_enum"] = True
    configured = write_configuration(one.config)
    if configured:
        found["configuration"] = configured
    for key in ("object_relationships", "array_relationships"):
        definitions: Mapping[str, RelationshipDefinition] = getattr(one, key)
        if definitions:
            found[key] = [write_relationship(definitions[name]) for name in sorted(definitions)]
    if one.computed_fields:
        found["computed_fields"] = [one.computed_fields[name] for name in sorted(one.computed_fields)]
    for kind in KINDS:
        rows = []
        for role in sorted(one.permissions):
            allowed: Permission | None = getattr(one.permissions[role], kind)
            if allowed is not None:
                row: dict[str, Json] = {"role": role, "permission": write_permission(allowed)}
                rows.append({**row, "comment": allowed.comment} if allowed.comment is not None else row)
        if rows:
            found[f"{kind}_permissions"] = rows
    return found


def write_name(table: TableName) -> dict[str, str]:
    return {"name": table[1], "schema": table[0]}


def write_relationship(one: RelationshipDefinition) -> dict[str, Json]:
    found: dict[str, Json] = {"name": one.name, "using": write_using(one.using)}
    return {**found, "comment": one.comment} if one.comment is not None else found


def write_using(using: OwnKey | RemoteKey | Manual) -> dict[str, Json]:
    match using:
        case OwnKey(columns=columns):
            return {"foreign_key_constraint_on": columns[0] if len(columns) == 1 else list(columns)}
        case RemoteKey(table=table, columns=columns):
            names = {"column": columns[0]} if len(columns) == 1 else {"columns": list(columns)}
            return {"foreign_key_constraint_on": {**names, "table": write_name(table)}}
        case Manual():
            return {
                "manual_configuration": {
                    "column_mapping": dict(using.pairs),
                    "insertion_order": using.insertion_order,
                    "remote_table": write_name(using.table),
                }
            }


def write_configuration(config: TableConfig) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if config.column_config:
        found["column_config"] = {
            name: _given(custom_name=one.custom_name, comment=one.comment) for name, one in config.column_config.items()
        }
        names = {name: one.custom_name for name, one in config.column_config.items() if one.custom_name}
        if names:
            found["custom_column_names"] = names
    if config.custom_root_fields:
        found["custom_root_fields"] = {
            key: one.name if one.comment is None else _given(name=one.name, comment=one.comment)
            for key, one in config.custom_root_fields.items()
        }
    return {**found, **_given(custom_name=config.custom_name, comment=config.comment)}


def write_permission(one: Permission) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if not isinstance(one, DeletePermission):
        found["columns"] = "*" if one.columns is None else list(one.columns)
    if isinstance(one, InsertPermission):
        found["check"] = one.check
    else:
        found["filter"] = one.filter
    if isinstance(one, UpdatePermission):
        found["check"] = one.check
    if isinstance(one, SelectPermission):
        found |= _given(limit=one.limit)
        if one.computed_fields:
            found["computed_fields"] = list(one.computed_fields)
        if one.allow_aggregations:
            found["allow_aggregations"] = True
        for key in ("query_root_fields", "subscription_root_fields"):
            roots: frozenset[str] | None = getattr(one, key)
            if roots is not None:
                found[key] = sorted(roots)
        return found
    if not isinstance(one, DeletePermission) and one.set:
        found["set"] = dict(one.set)
    if one.backend_only:
        found["backend_only"] = True
    return found


def _given(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value is not None}


def mapped(items: Mapping[str, _T], change: Callable[[_T], _T]) -> dict[str, _T]:
    """The same keys with changed values."""
    return {key: change(one) for key, one in items.items()}
