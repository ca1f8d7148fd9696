"""PostgreSQL's own catalog -> Catalog: the tables, columns, keys and relationships of schema `public`. Next: schema.py.

`CATALOG_QUERY` gives one JSON document (run.py runs it), `read_catalog` turns that into values; nothing here touches a socket.

Which relations count: tables, partitioned tables (not their partitions), foreign tables, views and materialized views that no
extension owns and whose name, like the names of their columns, is a GraphQL name. Domains count as the type below them.

Relationships come from foreign keys between such tables:
- object: the key's columns without the tenant column, each without `_id` (`order_id`, `organization_id` -> `order`);
- array: the referencing table's name without its `app_<ID>_` prefix (`app_130_messages` -> `messages`), which also takes
  `<name>_aggregate`;
- a name that is already a column's, or an earlier relationship's, becomes `<name>_by_<columns>`; when that is taken as well
  there is no relationship. Earlier means: by the position of the key's first column, then by constraint name, objects first.
An object relationship is nullable when a column of the key is.

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

from automio.dialect.names import split_app

CATALOG_QUERY = """
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition
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
      FROM relation r ORDER BY r.relname) x),
  'constraints', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT k.conname AS name, k.contype AS kind, k.conrelid::bigint AS relation, k.conkey AS columns,
             k.confrelid::bigint AS target, k.confkey AS target_columns, k.confdeltype AS on_delete, k.confupdtype AS on_update,
             k.condeferrable AS deferrable
      FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
      WHERE k.contype IN ('p', 'u', 'f') ORDER BY k.conname) x),
  'types', (SELECT coalesce(json_agg(row_to_json(x)), '[]') FROM (
      SELECT t.oid::bigint AS oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typcategory AS category,
             t.typelem::bigint AS element, t.typbasetype::bigint AS base
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype <> 'p') x),
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
class Column:
    """A column. `writable`: may be given in insert and update (not generated, not GENERATED ALWAYS AS IDENTITY)."""

    name: str
    type: SqlType
    scalar: str
    nullable: bool
    writable: bool = True
    has_default: bool = False
    comment: str | None = None

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
    """Columns of `table` -> columns of `target`. `on_delete`, `on_update`: CASCADE, SET NULL, SET DEFAULT, or "" when refused."""

    name: str
    table: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    on_delete: str = ""
    on_update: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """`pairs` are (this table's column, the other table's column). `many` tells an array from an object."""

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    many: bool
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `relationships` by name; `primary_key` and `keys` are empty for a view."""

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

    def key(self, name: str) -> Key:
        """The constraint of that name; KeyError when there is none (the schema's enum allows no other)."""
        return {key.name: key for key in self.keys}[name]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables by name, sorted. `tenant_column` is the column that holds the organization."""

    tables: Mapping[str, Table]
    tenant_column: str = "organization_id"

    def foreign_keys_to(self, table: str) -> list[ForeignKey]:
        """The foreign keys of all tables that point to `table`, sorted by table and name."""
        found = [key for other in self.tables.values() for key in other.foreign_keys if key.target == table]
        return sorted(found, key=lambda key: (key.table, key.name))


def read_catalog(document: str | bytes, tenant_column: str = "organization_id") -> Catalog:
    """The catalog from what CATALOG_QUERY returned. Relations whose names GraphQL cannot write are left out."""
    raw = json.loads(document)
    types = {row["oid"]: row for row in raw["types"]}
    relations = {row["oid"]: row for row in raw["relations"] if _is_name(row["name"])}
    numbers = {oid: {c["number"]: c["name"] for c in row["columns"]} for oid, row in relations.items()}
    columns = {oid: _columns(row["columns"], types) for oid, row in relations.items()}
    primary, keys, foreign = _constraints(raw["constraints"], relations, numbers, columns)
    access = _access(relations, columns, raw["uses"], tenant_column)
    tables: dict[str, Table] = {}
    for oid, row in sorted(relations.items(), key=lambda item: item[1]["name"]):
        tables[row["name"]] = Table(
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
        )
    order = {row["name"]: {name: i for i, name in enumerate(numbers[oid].values())} for oid, row in relations.items()}
    return Catalog(_with_relationships(tables, order, tenant_column), tenant_column)


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not name.startswith("__")


def _columns(rows: Iterable[Mapping[str, Any]], types: Mapping[int, Mapping[str, Any]]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for row in rows:
        found = types.get(row["type"])
        if found is None or not _is_name(row["name"]):
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
    return sql.name if _is_name(sql.name) else "String"


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
            if _is_name(row["name"]) and not row["deferrable"]:
                keys.setdefault(oid, []).append(Key(row["name"], names))
            if row["kind"] == "p":
                primary[oid] = names
        elif row["target"] in relations:
            targets = tuple(numbers[row["target"]].get(number, "") for number in row["target_columns"])
            pairs = tuple(zip(names, targets, strict=True))
            foreign.setdefault(oid, []).append(
                ForeignKey(
                    name=row["name"],
                    table=relations[oid]["name"],
                    target=relations[row["target"]]["name"],
                    pairs=pairs,
                    on_delete=_CASCADES.get(row["on_delete"], ""),
                    on_update=_CASCADES.get(row["on_update"], ""),
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


def _with_relationships(
    tables: Mapping[str, Table], order: Mapping[str, Mapping[str, int]], tenant_column: str
) -> dict[str, Table]:
    found: dict[str, dict[str, Relationship]] = {name: {} for name in tables}

    def add(table: Table, relationship: Relationship, columns: Iterable[str]) -> None:
        taken = found[table.name]
        longer = f"{relationship.name}_by_{'_'.join(columns)}"
        for name in (relationship.name, longer):
            names = {name, f"{name}_aggregate"} if relationship.many else {name}
            others = set(table.columns) | set(taken) | {f"{r.name}_aggregate" for r in taken.values() if r.many}
            if not names & others:
                taken[name] = replace(relationship, name=name)
                return

    foreign = [key for table in tables.values() for key in table.foreign_keys]
    foreign.sort(key=lambda key: (key.table, min(order[key.table][c] for c, _ in key.pairs), key.name))
    for key in foreign:
        table, columns = tables[key.table], _telling_columns(key, tenant_column)
        nullable = any(table.columns[c].nullable for c, _ in key.pairs)
        name = "_".join(_without_id(column) for column in columns)
        add(table, Relationship(name, key.target, key.pairs, many=False, nullable=nullable), columns)
    for key in foreign:
        back = tuple((there, here) for here, there in key.pairs)
        name = split_app(key.table)[1]
        add(tables[key.target], Relationship(name, key.table, back, many=True), _telling_columns(key, tenant_column))
    return {name: replace(table, relationships=dict(sorted(found[name].items()))) for name, table in tables.items()}


def _telling_columns(key: ForeignKey, tenant_column: str) -> tuple[str, ...]:
    names = tuple(column for column, _ in key.pairs)
    return tuple(name for name in names if name != tenant_column) or names


def _without_id(column: str) -> str:
    for ending in ("_id", "Id"):
        if column.endswith(ending) and len(column) > len(ending):
            return column[: -len(ending)]
    return column
