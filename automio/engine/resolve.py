"""What the database holds + what the metadata says -> the Catalog that is served, and what in the metadata is inconsistent.

Comes in: read_database's Catalog, the Metadata, the rows of enum tables. Goes out: `Resolved`. Next: schema.py.

Inferred metadata (nobody has tracked a table yet) serves every table, with relationships from foreign keys:
- object: the key's columns without the tenant column, each without `_id` (`order_id`, `organization_id` -> `order`);
- array: the referencing table's name without its `app_<ID>_` prefix (`app_130_messages` -> `messages`), which also takes
  `<name>_aggregate`;
- a name that is already a column's, or an earlier relationship's, becomes `<name>_by_<columns>`; when that is taken as well
  there is no relationship. Earlier means: by the position of the key's first column, then by constraint name, objects first.

Explicit metadata serves tracked tables alone. What does not fit the database (a table that is gone, a relationship without
its foreign key, a name that means two things) is left out and told as an `Inconsistency`, in Hasura's words; all else works on.

Names: a table is its custom name, else its name, with the schema's before it outside of `public`; a column its custom name,
else its name. What GraphQL cannot write is not served. An object relationship is nullable when a column of its key is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from automio.dialect.names import split_app
from automio.engine.catalog import (
    Catalog,
    Choices,
    Column,
    Computed,
    ForeignKey,
    Relationship,
    Table,
    is_name,
    read_database,
    table_key,
)
from automio.engine.metadata_expressions import permissions_of, uses
from automio.engine.metadata_format import Permission, mapping, table_name, with_permission
from automio.engine.metadata_types import (
    INFERRED,
    Json,
    Manual,
    Metadata,
    OwnKey,
    RelationshipDefinition,
    RemoteKey,
    TableConfig,
    TableMetadata,
    TableName,
)
from automio.engine.naming import field_name, row_type, type_name
from automio.engine.permissions import check_permission
from automio.engine.permissions_filter import PermissionFault

EnumRows = Mapping[TableName, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """`kind` as in Hasura: table, object_relation, array_relation, select_permission, …; `name` of the relationship or role."""

    kind: str
    table: TableName
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    catalog: Catalog
    inconsistencies: tuple[Inconsistency, ...] = ()


def read_catalog(document: str | bytes, tenant_column: str = "organization_id") -> Catalog:
    """The catalog of a database without metadata."""
    return resolve(read_database(document, tenant_column), INFERRED, {}).catalog


def resolve(database: Catalog, metadata: Metadata, enums: EnumRows) -> Resolved:
    """The catalog to serve (module docstring)."""
    if metadata.inferred:
        named = replace(database, naming=metadata.naming)
        tables = {key: _named(named, table, TableConfig()) for key, table in database.tables.items()}
        served = {key: table for key, table in tables.items() if table.type_name}
        order = {key: {n: column.number for n, column in table.columns.items()} for key, table in served.items()}
        found = _inferred_relationships(served, order, database.tenant_column)
        return Resolved(replace(named, tables=_unambiguous({**tables, **found})))
    return _Resolver(replace(database, naming=metadata.naming), metadata, enums).run()


def _unambiguous(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Of two tables that GraphQL would call the same the first is served."""
    taken: set[str] = set()
    found: dict[str, Table] = {}
    for key, table in tables.items():
        found[key] = replace(table, type_name="", relationships={}) if table.type_name in taken else table
        taken |= {table.type_name} - {""}
    if len(taken) == sum(bool(table.type_name) for table in tables.values()):
        return found
    gone = {key for key, table in found.items() if not table.type_name}
    return {
        key: replace(table, relationships={n: r for n, r in table.relationships.items() if r.target not in gone})
        for key, table in found.items()
    }


def base_name(schema: str, name: str, config: TableConfig) -> str:
    """What the table is called before the convention: its custom name, `orders`, `sales_orders`."""
    return config.custom_name or (name if schema == "public" else f"{schema}_{name}")


def _named(catalog: Catalog, table: Table, config: TableConfig) -> Table:
    base = base_name(table.schema, table.name, config)
    columns: dict[str, Column] = {}
    for name, column in table.columns.items():
        own = config.column_config.get(name)
        field = (own.custom_name if own else None) or field_name(catalog.naming, name)
        comment = own.comment if own and own.comment is not None else column.comment
        columns[name] = replace(column, field=field if is_name(field) else "", comment=comment or None)
    return replace(
        table,
        columns=columns,
        config=config,
        type_name=row_type(catalog.naming, base, config.custom_name is not None) if is_name(base) else "",
        comment=table.comment if config.comment is None else config.comment,
    )


class _Resolver:
    def __init__(self, database: Catalog, metadata: Metadata, enums: EnumRows) -> None:
        self.database = database
        self.metadata = metadata
        self.enums = enums
        self.found: list[Inconsistency] = []
        self.tables = dict(database.tables)

    def run(self) -> Resolved:
        tracked: dict[TableName, TableMetadata] = {}
        for name, one in self.metadata.tables.items():
            table = self.database.find(*name)
            if table is None:
                self.fault("table", name, "", f"no such table/view exists in source: {text_of(*name)}")
                continue
            tracked[name] = one
            self.tables[table.reference] = _named(self.database, table, one.config)
        for name, one in tracked.items():
            if one.is_enum:
                self._choices(name)
        for name in tracked:
            self._enum_columns(self.tables[table_key(*name)])
        for one in tracked.values():
            self._relationships(one, tracked)
        for one in tracked.values():
            self._permissions(one)
        names = [base_name(*name, TableConfig()) for name in self.metadata.functions]
        functions = frozenset(names + [f"{name}_aggregate" for name in names])
        return Resolved(replace(self.database, tables=self.tables, functions=functions), tuple(self.found))

    def fault(self, kind: str, table: TableName, name: str, reason: str) -> None:
        self.found.append(Inconsistency(kind, table, name, f"Inconsistent object: {reason}"))

    def _choices(self, name: TableName) -> None:
        table = self.tables[table_key(*name)]
        reason = enum_fault(table, self.enums.get(name))
        if reason:
            self.fault("table", name, "", reason)
            return
        choices = Choices(type_name(self.database.naming, table.type_name, "enum"), self.enums[name])
        self.tables[table.reference] = replace(table, choices=choices)

    def _enum_columns(self, table: Table) -> None:
        columns = dict(table.columns)
        for key in table.foreign_keys:
            target = self.tables.get(key.target)
            if target is None or target.choices is None or len(key.pairs) != 1:
                continue
            here, there = key.pairs[0]
            if (there,) == target.primary_key:
                columns[here] = replace(columns[here], choices=target.choices, scalar=target.choices.name)
        if columns != table.columns:
            self.tables[table.reference] = replace(table, columns=columns)

    def _relationships(self, one: TableMetadata, tracked: Mapping[TableName, TableMetadata]) -> None:
        table = self.tables[table_key(*one.key)]
        if not table.type_name:
            return
        found: dict[str, Relationship] = {}
        fields = {column.field: column.name for column in table.visible}
        for many, definitions in ((False, one.object_relationships), (True, one.array_relationships)):
            kind = "array_relation" if many else "object_relation"
            for definition in definitions.values():
                made = self.relationship(table, definition, many)
                if isinstance(made, Relationship):
                    target = self.tables[made.target]
                    if (target.schema, target.name) not in tracked:
                        made = f"table {text_of(target.schema, target.name)} is not tracked"
                    elif definition.name in fields:
                        column = fields[definition.name]
                        made = f'field definition conflicts with custom field name for postgres column "{column}"'
                    elif not is_name(definition.name):
                        made = f'"{definition.name}" is not a valid GraphQL identifier'
                    elif not target.type_name:
                        continue
                if isinstance(made, str):
                    self.fault(kind, one.key, definition.name, made)
                else:
                    found[definition.name] = made
        self.tables[table.reference] = replace(table, relationships=dict(sorted(found.items())))

    def relationship(self, table: Table, definition: RelationshipDefinition, many: bool) -> Relationship | str:
        """The relationship, or why there is none."""
        using, name = definition.using, definition.name
        match using:
            case OwnKey():
                keys = [k for k in table.foreign_keys if sorted(h for h, _ in k.pairs) == sorted(using.columns)]
                fault = _key_fault(keys, table, using.columns)
                if fault:
                    return fault
                nullable = any(table.columns[here].nullable for here, _ in keys[0].pairs)
                return Relationship(name, keys[0].target, keys[0].pairs, many, nullable, many, definition.comment)
            case RemoteKey():
                other = self.database.find(*using.table)
                if other is None:
                    return f"table {text_of(*using.table)} does not exist"
                keys = [
                    k
                    for k in other.foreign_keys
                    if k.target == table.reference and sorted(h for h, _ in k.pairs) == sorted(using.columns)
                ]
                fault = _key_fault(keys, other, using.columns)
                if fault:
                    return fault
                pairs = tuple((there, here) for here, there in keys[0].pairs)
                return Relationship(name, other.reference, pairs, many, True, True, definition.comment)
            case Manual():
                other = self.database.find(*using.table)
                if other is None:
                    return f"table {text_of(*using.table)} does not exist"
                for here, there in using.pairs:
                    for owner, column in ((table, here), (other, there)):
                        if column not in owner.columns:
                            return f'column "{column}" does not exist in table {text_of(owner.schema, owner.name)}'
                after = many or using.insertion_order == "after_parent"
                return Relationship(name, other.reference, using.pairs, many, True, after, definition.comment)

    def _permissions(self, one: TableMetadata) -> None:
        table, catalog = self.tables[table_key(*one.key)], replace(self.database, tables=self.tables)
        served = dict(one.permissions)
        for role, kind, permission in permissions_of(one):
            if self._needs_computed(one, permission):
                served[role] = with_permission(served[role], kind, None)
                continue
            try:
                check_permission(catalog, table, permission)
            except PermissionFault as fault:
                text = f'in table {text_of(*one.key)}: in permission for role "{role}": {fault.message}'
                self.fault(f"{kind}_permission", one.key, role, text)
        computed = {name: self._computed(name, given) for name, given in one.computed_fields.items()}
        self.tables[table.reference] = replace(table, permissions=served, computed=computed)

    def _computed(self, name: str, given: Json) -> Computed:
        named = mapping(given.get("definition"), "$").get("function")
        schema, function = table_name(named, "$.definition.function")
        found = self.database.row_functions.get((schema, function))
        comment = given.get("comment")
        if comment is None:
            comment = (
                found.comment if found else None
            ) or f"A computed field, executes function {text_of(schema, function)}"
        return Computed(name, comment or None, found.scalar if found else "String", found.target if found else None)

    def _needs_computed(self, one: TableMetadata, permission: Permission) -> bool:
        """Whether it depends on a computed field. Then it gives nothing: a rule that cannot be kept must not be left out."""
        for use in uses(self.metadata, self.database, one.key, permission):
            held = self.metadata.tables.get(use.table)
            if held and use.name in held.computed_fields:
                return True
        return False


def _key_fault(keys: list[ForeignKey], table: Table, columns: Iterable[str]) -> str:
    if len(keys) == 1:
        return ""
    names, owner = ", ".join(f'"{column}"' for column in columns), text_of(table.schema, table.name)
    if keys:
        return f"more than one foreign key constraint exists on column(s) {names} of table {owner}"
    for column in columns:
        if column not in table.columns:
            return f'"{column}" does not exist'
    return f"no foreign constraint exists on the given column(s): {names}"


def enum_fault(table: Table, rows: Mapping[str, str | None] | None) -> str:
    """Why a table cannot be an enum table, "" when it can. `rows` None: they were not read, since its columns don't fit."""
    who = f"the table {text_of(table.schema, table.name)} cannot be used as an enum"
    if not table.primary_key:
        return f"{who} because the table must have a primary key"
    first, *more = table.primary_key
    if more:
        return f"{who} because the table's primary key must not span multiple columns"
    if table.columns[first].type.name not in ("text", "varchar", "bpchar", "citext"):
        return f"{who} because the table's primary key must have type text"
    if rows is None:
        return f"{who} because the table must have at most one column besides its primary key, of type text"
    if not rows:
        return f"{who} because the table must have at least one row"
    bad = sorted(value for value in rows if not is_name(value) or value in ("true", "false", "null"))
    if bad:
        names = ", ".join(f'"{value}"' for value in bad)
        return f"{who} because the values {names} are not valid GraphQL enum value names"
    return ""


def text_of(schema: str, name: str) -> str:
    """A table as Hasura names it in its messages: "orders", "sales.orders"."""
    return f'"{name}"' if schema == "public" else f'"{schema}.{name}"'


# ── relationships of inferred metadata ──────────────────────────────────────────────────────────────────────────────────


def _inferred_relationships(
    tables: Mapping[str, Table], order: Mapping[str, Mapping[str, int]], tenant_column: str
) -> dict[str, Table]:
    found: dict[str, dict[str, Relationship]] = {name: {} for name in tables}

    def add(table: Table, relationship: Relationship, columns: Iterable[str]) -> None:
        taken = found[table.reference]
        longer = f"{relationship.name}_by_{'_'.join(columns)}"
        for name in (relationship.name, longer):
            names = {name, f"{name}_aggregate"} if relationship.many else {name}
            others = set(table.columns) | set(taken) | {f"{r.name}_aggregate" for r in taken.values() if r.many}
            if not names & others and is_name(name):
                taken[name] = replace(relationship, name=name)
                return

    foreign = [key for table in tables.values() for key in table.foreign_keys if key.target in tables]
    foreign.sort(key=lambda key: (key.table, min(order[key.table][c] for c, _ in key.pairs), key.name))
    for key in foreign:
        table, columns = tables[key.table], _telling_columns(key, tenant_column)
        nullable = any(table.columns[c].nullable for c, _ in key.pairs)
        name = "_".join(_without_id(column) for column in columns)
        add(table, Relationship(name, key.target, key.pairs, many=False, nullable=nullable), columns)
    for key in foreign:
        back = tuple((there, here) for here, there in key.pairs)
        name = split_app(tables[key.table].name)[1]
        made = Relationship(name, key.table, back, many=True, after=True)
        add(tables[key.target], made, _telling_columns(key, tenant_column))
    return {name: replace(table, relationships=dict(sorted(found[name].items()))) for name, table in tables.items()}


def _telling_columns(key: ForeignKey, tenant_column: str) -> tuple[str, ...]:
    names = tuple(column for column, _ in key.pairs)
    return tuple(name for name in names if name != tenant_column) or names


def _without_id(column: str) -> str:
    for ending in ("_id", "Id"):
        if column.endswith(ending) and len(column) > len(ending):
            return column[: -len(ending)]
    return column
