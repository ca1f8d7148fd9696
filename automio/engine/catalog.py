"""PostgreSQL's own catalog -> Catalog: the tables, columns and keys of every schema that is a user's. Next: resolve.py.

`CATALOG_QUERY` gives one JSON document (run.py runs it), `read_database` turns that into values; nothing here touches a socket.

Which relations count: tables, partitioned tables (not their partitions), foreign tables, views and materialized views that no
extension owns, outside of PostgreSQL's schemas, Hasura's and our own. Domains count as the type below them.

Names: everything in a Catalog is named as in PostgreSQL: columns by their names, tables by `table_key` (`orders`,
`sales.orders`). What GraphQL calls them stands beside it, in `Table.type_name` and `Column.field`; "" there means that GraphQL
does not see it, but it still counts where rows of others could be reached (foreign keys). resolve.py fills these in, with the
relationships, from the metadata.

The tenant column makes a relation a tenant relation when its type is an integer. `Access` says what a caller who is bound to
an organization may do with it:
- TENANT: reads and writes its own rows;
- SHARED: no tenant column: reads everything, writes nothing;
- CLOSED: nothing at all: the tenant column has a type we cannot compare, or a view without that column stands on a tenant
  relation (directly or through other views) and would show every organization's rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from automio.engine.metadata_types import Naming, RolePermissions, TableConfig, TableName

CATALOG_QUERY = """
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, c.reltype, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'automio', 'hdb_catalog', 'hdb_views')
      AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition
      AND NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT json_build_object(
  'relations', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT r.oid::bigint AS oid, r.nspname AS schema, r.relname AS name, r.relkind AS kind,
             obj_description(r.oid, 'pg_class') AS comment,
             CASE WHEN r.relkind IN ('r', 'p') THEN 28 ELSE pg_relation_is_updatable(r.oid, true) END AS writes,
             (SELECT coalesce(json_agg(row_to_json(a)), '[]') FROM (
                 SELECT attnum AS number, attname AS name, attnotnull AS required, attidentity AS identity,
                        attgenerated AS generated, atthasdef AS has_default, atttypid::bigint AS type,
                        col_description(attrelid, attnum) AS comment
                 FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum) a) AS columns
      FROM relation r ORDER BY r.relname, r.nspname) x),
  'constraints', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT k.conname AS name, k.contype AS kind, k.conrelid::bigint AS relation, k.conkey AS columns,
             k.confrelid::bigint AS target, k.confkey AS target_columns, k.confdeltype AS on_delete, k.confupdtype AS on_update,
             to_jsonb(k) -> 'confdelsetcols' AS delete_columns, k.condeferrable AS deferrable
      FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
      WHERE k.contype IN ('p', 'u', 'f') ORDER BY k.conname, k.conrelid) x),
  'types', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT t.oid::bigint AS oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typcategory AS category,
             t.typelem::bigint AS element, t.typbasetype::bigint AS base
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype <> 'p') x),
  'functions', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT n.nspname AS schema, p.proname AS name, obj_description(p.oid, 'pg_proc') AS comment,
             p.prorettype::bigint AS type, (SELECT r.oid::bigint FROM relation r WHERE r.reltype = p.prorettype) AS relation
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE p.prokind = 'f' AND EXISTS (SELECT FROM relation r WHERE r.reltype = ANY (p.proargtypes))
      ORDER BY p.proname, n.nspname, p.oid) x),
  'uses', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT DISTINCT w.ev_class::bigint AS view, d.refobjid::bigint AS used,
             ARRAY (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum > 0 ORDER BY attnum) AS columns
      FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class) x))
"""

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_INTEGERS = frozenset({"int2", "int4", "int8"})
_SCALARS = {"int4": "Int", "bool": "Boolean", "float4": "Float", "text": "String", "varchar": "String"}
_SCALARS |= {"int2": "smallint", "int8": "bigint"}
_CASCADES = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


class Access(Enum):
    """What a caller bound to an organization may do with a relation (module docstring)."""

    TENANT = "tenant"
    SHARED = "shared"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type of PostgreSQL without modifiers; `array` says that values are arrays of it.

    `kind` is PostgreSQL's letter: b base type, e enum, c composite, r range, m multirange.
    """

    name: str
    schema: str = "pg_catalog"
    array: bool = False
    kind: str = "b"


@dataclass(frozen=True, slots=True)
class Choices:
    """The values of an enum table: its GraphQL type, and its rows with their comments."""

    name: str
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `writable`: may be given in insert and update (not generated, not GENERATED ALWAYS AS IDENTITY).

    `field` is its name in GraphQL, "" when it has none. `choices`: it refers to an enum table. `number` is PostgreSQL's attnum.
    """

    name: str
    type: SqlType
    scalar: str
    nullable: bool
    writable: bool = True
    has_default: bool = False
    comment: str | None = None
    field: str = ""
    choices: Choices | None = None
    number: int = 0

    @property
    def graphql(self) -> str:
        """The GraphQL type without the outer `!`: `Int`, `[String!]`."""
        return f"[{self.scalar}!]" if self.type.array else self.scalar


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or unique constraint, columns in its own order."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of `table` -> columns of `target` (keys of Catalog.tables). `on_delete`, `on_update`: CASCADE, SET NULL, SET DEFAULT, or "" when refused.

    `delete_columns`: those that SET NULL and SET DEFAULT of a delete change, when they are not all.
    """

    name: str
    table: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    on_delete: str = ""
    on_update: str = ""
    delete_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relationship:
    """`pairs` are (this table's column, the other table's column). `many` tells an array from an object.

    `after`: a nested insert writes the other row after this one (its key is on the other table).
    """

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    many: bool
    nullable: bool = True
    after: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RowFunction:
    """A function that takes a row of some table: what it returns, a table's rows (`target`) or a scalar."""

    comment: str | None
    scalar: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Computed:
    """A computed field. It stands in the schema, so that this is the same as Hasura's, and is refused when it is asked for."""

    name: str
    description: str | None
    scalar: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `relationships` by name; `primary_key` and `keys` are empty for a view. `partitioned`: its rows are in others.

    `type_name` is its name in GraphQL, "" when it is not served (not tracked, or no GraphQL name). `permissions` by role.
    """

    name: str
    schema: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    relationships: Mapping[str, Relationship] = field(default_factory=dict)
    comment: str | None = None
    insertable: bool = True
    updatable: bool = True
    deletable: bool = True
    access: Access = Access.SHARED
    type_name: str = ""
    config: TableConfig = field(default_factory=TableConfig)
    permissions: Mapping[str, RolePermissions] = field(default_factory=dict)
    choices: Choices | None = None
    computed: Mapping[str, Computed] = field(default_factory=dict)
    partitioned: bool = False
    oid: int = 0

    @property
    def reference(self) -> str:
        """Its key in Catalog.tables."""
        return table_key(self.schema, self.name)

    @property
    def visible(self) -> list[Column]:
        """The columns that GraphQL sees."""
        return [column for column in self.columns.values() if column.field]

    def key(self, name: str) -> Key:
        """The constraint of that name; KeyError when there is none (the schema's enum allows no other)."""
        return {key.name: key for key in self.keys}[name]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables by `table_key`, sorted. `tenant_column` is the column that holds the organization.

    `functions` are root fields that a tracked function would have; they are not served.
    """

    tables: Mapping[str, Table]
    tenant_column: str = "organization_id"
    naming: Naming = Naming.HASURA
    functions: frozenset[str] = frozenset()
    row_functions: Mapping[TableName, RowFunction] = field(default_factory=dict)

    def find(self, schema: str, name: str) -> Table | None:
        """The table or view of that name, whether it is served or not."""
        return self.tables.get(table_key(schema, name))

    def foreign_keys_to(self, table: str) -> list[ForeignKey]:
        """The foreign keys of all tables that point to `table`, sorted by table and name."""
        found = [key for other in self.tables.values() for key in other.foreign_keys if key.target == table]
        return sorted(found, key=lambda key: (key.table, key.name))


def table_key(schema: str, name: str) -> str:
    """`orders` in schema public, `sales.orders` elsewhere; parts that are not plain names are quoted, so no two are the same."""
    return _part(name) if schema == "public" else f"{_part(schema)}.{_part(name)}"


def _part(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else '"' + name.replace('"', '""') + '"'


def read_database(document: str | bytes, tenant_column: str = "organization_id") -> Catalog:
    """What CATALOG_QUERY returned, without names of GraphQL and without relationships (resolve.py)."""
    raw = json.loads(document)
    types = {row["oid"]: row for row in raw["types"]}
    relations = {row["oid"]: row for row in raw["relations"]}
    numbers = {oid: {c["number"]: c["name"] for c in row["columns"]} for oid, row in relations.items()}
    columns = {oid: _columns(row["columns"], types) for oid, row in relations.items()}
    primary, keys, foreign = _constraints(raw["constraints"], relations, numbers, columns)
    access = _access(relations, columns, raw["uses"], tenant_column)
    tables: dict[str, Table] = {}
    for oid, row in relations.items():
        tables[table_key(row["schema"], row["name"])] = Table(
            name=row["name"],
            schema=row["schema"],
            columns=dict(sorted(columns[oid].items())),
            primary_key=primary.get(oid, ()),
            keys=tuple(sorted(keys.get(oid, ()), key=lambda key: key.name)),
            foreign_keys=tuple(foreign.get(oid, ())),
            comment=row["comment"],
            insertable=bool(row["writes"] & 8),
            updatable=bool(row["writes"] & 4),
            deletable=bool(row["writes"] & 16),
            access=access[oid],
            partitioned=row["kind"] == "p",
            oid=oid,
        )
    functions = {(row["schema"], row["name"]): _row_function(row, types, relations) for row in raw["functions"]}
    return Catalog(dict(sorted(tables.items())), tenant_column, row_functions=functions)


def _row_function(
    row: Mapping[str, Any], types: Mapping[int, Mapping[str, Any]], relations: Mapping[int, Mapping[str, Any]]
) -> RowFunction:
    found, target = types.get(row["type"]), relations.get(row["relation"])
    scalar = _scalar(_sql_type(found, types)) if found else "String"
    return RowFunction(row["comment"], scalar, table_key(target["schema"], target["name"]) if target else None)


def is_name(name: str) -> bool:
    """Whether GraphQL can write it."""
    return bool(_NAME.fullmatch(name)) and not name.startswith("__")


def _columns(rows: Iterable[Mapping[str, Any]], types: Mapping[int, Mapping[str, Any]]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for row in rows:
        found = types.get(row["type"])
        if found is None:
            continue
        sql = _sql_type(found, types)
        columns[row["name"]] = Column(
            name=row["name"],
            type=sql,
            scalar=_scalar(sql),
            nullable=not row["required"],
            writable=not row["generated"] and row["identity"] != "a",
            has_default=row["has_default"] or bool(row["identity"]),
            comment=row["comment"],
            number=row["number"],
        )
    return columns


def _sql_type(row: Mapping[str, Any], types: Mapping[int, Mapping[str, Any]]) -> SqlType:
    while row["kind"] == "d" and row["base"] in types:
        row = types[row["base"]]
    if row["category"] == "A" and row["element"] in types:
        element = _sql_type(types[row["element"]], types)
        return replace(element, array=True)
    return SqlType(row["name"], row["schema"], kind=row["kind"])


def _scalar(sql: SqlType) -> str:
    if sql.schema == "pg_catalog" and sql.name in _SCALARS:
        return _SCALARS[sql.name]
    return sql.name if is_name(sql.name) else "String"


def _constraints(
    rows: Iterable[Mapping[str, Any]],
    relations: Mapping[int, Mapping[str, Any]],
    numbers: Mapping[int, Mapping[int, str]],
    columns: Mapping[int, Mapping[str, Column]],
) -> tuple[dict[int, tuple[str, ...]], dict[int, list[Key]], dict[int, list[ForeignKey]]]:
    primary: dict[int, tuple[str, ...]] = {}
    keys: dict[int, list[Key]] = {}
    foreign: dict[int, list[ForeignKey]] = {}
    for row in rows:
        oid = row["relation"]
        if oid not in relations:
            continue
        names = tuple(numbers[oid].get(number, "") for number in row["columns"])
        if not all(name in columns[oid] for name in names):
            continue
        if row["kind"] != "f":
            if not row["deferrable"]:
                keys.setdefault(oid, []).append(Key(row["name"], names))
            if row["kind"] == "p":
                primary[oid] = names
        elif row["target"] in relations:
            targets = tuple(numbers[row["target"]].get(number, "") for number in row["target_columns"])
            pairs = tuple(zip(names, targets, strict=True))
            foreign.setdefault(oid, []).append(
                ForeignKey(
                    name=row["name"],
                    table=table_key(relations[oid]["schema"], relations[oid]["name"]),
                    target=table_key(relations[row["target"]]["schema"], relations[row["target"]]["name"]),
                    pairs=pairs,
                    on_delete=_CASCADES.get(row["on_delete"], ""),
                    on_update=_CASCADES.get(row["on_update"], ""),
                    delete_columns=tuple(numbers[oid].get(number, "") for number in row["delete_columns"] or ()),
                )
            )
    return primary, keys, foreign


def _access(
    relations: Mapping[int, Mapping[str, Any]],
    columns: Mapping[int, Mapping[str, Column]],
    uses: Iterable[Mapping[str, Any]],
    tenant_column: str,
) -> dict[int, Access]:
    used: dict[int, set[int]] = {}
    tenant: set[int] = set()  # of any schema, with any name: also what is not in the catalog
    for row in uses:
        used.setdefault(row["view"], set()).add(row["used"])
        if tenant_column in row["columns"]:
            tenant.add(row["used"])

    def stands_on_tenant(oid: int, seen: set[int]) -> bool:
        if oid in seen:
            return False
        seen.add(oid)
        return any(one in tenant or stands_on_tenant(one, seen) for one in used.get(oid, ()))

    access: dict[int, Access] = {}
    for oid in relations:
        column = columns[oid].get(tenant_column)
        if column is not None:
            usable = column.type.name in _INTEGERS and not column.type.array
            access[oid] = Access.TENANT if usable else Access.CLOSED
        else:
            access[oid] = Access.CLOSED if stands_on_tenant(oid, set()) else Access.SHARED
    return access
