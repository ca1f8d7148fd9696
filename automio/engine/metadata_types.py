"""What a Hasura project says about its tables, as data: tracked tables, relationships, permissions, names. Next: metadata.py.

Names in here are PostgreSQL's: columns, tables and constraints by their names in the database; a name of GraphQL stands only
in a `custom_…` field and as the name of a relationship. Filters, checks and presets are JSON as it was given: permissions.py
reads them for a role, metadata_format.py writes them back.

`Metadata.inferred` is the state before anybody has tracked a table: every table is served, relationships come from foreign
keys, and no role but the admin has permissions. The first request that changes the metadata makes it explicit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = Any
TableName = tuple[str, str]
"""(schema, name)."""


class Naming(Enum):
    """Hasura's naming conventions."""

    HASURA = "hasura-default"
    GRAPHQL = "graphql-default"


# ── permissions of one role on one table; `columns` None is "*", all columns ────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SelectPermission:
    """`query_root_fields` and `subscription_root_fields`: the root fields that are served ("select", "select_by_pk",
    "select_aggregate", "select_stream"), None for all that `allow_aggregations` allows."""

    columns: tuple[str, ...] | None
    filter: Json
    limit: int | None = None
    allow_aggregations: bool = False
    query_root_fields: frozenset[str] | None = None
    subscription_root_fields: frozenset[str] | None = None
    computed_fields: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class InsertPermission:
    """`set`: column -> its preset, a value or the name of a session variable ("x-hasura-user-id")."""

    columns: tuple[str, ...] | None
    check: Json
    set: Mapping[str, Json] = field(default_factory=dict)
    backend_only: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class UpdatePermission:
    """`check` None: what a row becomes is not checked (not even by the filter)."""

    columns: tuple[str, ...] | None
    filter: Json
    check: Json | None = None
    set: Mapping[str, Json] = field(default_factory=dict)
    backend_only: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class DeletePermission:
    filter: Json
    backend_only: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """What one role may do with one table."""

    select: SelectPermission | None = None
    insert: InsertPermission | None = None
    update: UpdatePermission | None = None
    delete: DeletePermission | None = None


# ── names and relationships ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ColumnConfig:
    """`comment` None: the column's comment in the database; "": none."""

    custom_name: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class TableConfig:
    """`custom_root_fields`: Hasura's key ("select", "insert_one", …) -> a name, or a name and a comment (RootField)."""

    custom_name: str | None = None
    custom_root_fields: Mapping[str, RootField] = field(default_factory=dict)
    column_config: Mapping[str, ColumnConfig] = field(default_factory=dict)
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RootField:
    name: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A foreign key on columns of this table."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A foreign key on columns of `table`, to this one."""

    table: TableName
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manual:
    """No foreign key: (our column, its column). `before_parent` is insertion_order; None leaves it to the relationship's kind."""

    table: TableName
    pairs: tuple[tuple[str, str], ...]
    insertion_order: str | None = None


@dataclass(frozen=True, slots=True)
class RelationshipDefinition:
    name: str
    using: OwnKey | RemoteKey | Manual
    comment: str | None = None


# ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """A tracked table. `permissions` by role. `computed_fields`, as they were given, are kept and not served."""

    schema: str
    name: str
    is_enum: bool = False
    config: TableConfig = field(default_factory=TableConfig)
    object_relationships: Mapping[str, RelationshipDefinition] = field(default_factory=dict)
    array_relationships: Mapping[str, RelationshipDefinition] = field(default_factory=dict)
    permissions: Mapping[str, RolePermissions] = field(default_factory=dict)
    computed_fields: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> TableName:
        return self.schema, self.name


@dataclass(frozen=True, slots=True)
class Metadata:
    """Tracked tables in the order of tracking. `version` counts the changes (resource_version).

    `functions`, as they were given, are kept and not served.
    """

    tables: Mapping[TableName, TableMetadata] = field(default_factory=dict)
    naming: Naming = Naming.HASURA
    inferred: bool = False
    version: int = 0
    functions: Mapping[TableName, Json] = field(default_factory=dict)


INFERRED = Metadata(inferred=True)
