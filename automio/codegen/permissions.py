"""Schema -> Hasura's row permissions of one role, as metadata. Next: metadata.py merges them into a metadata folder.

The role sees and writes the rows of one organization, the one in a session variable. For each table of the apps:

| kind | tenant table | shared table |
|---|---|---|
| select | every column, aggregates where the schema has them; `filter` on the organization | the same, without a filter |
| insert | the columns of the insert input; `check` on the organization, which is preset | only if declared writable |
| update | the columns of `_set`; `filter` and `check` on the organization | only if declared writable |
| delete | `filter` on the organization | only if declared writable |

A kind that the schema doesn't offer (a view, a role without mutations) gets no permission. With the preset, Hasura takes
the organization's column out of the role's insert input, and it is left out of the update columns: callers never name it.
automio itself names it in what it sends, so for its own calls under such a role `preset=False` lets the column be given,
and the check still refuses any other value.

What Hasura cannot say by a permission stays a difference to the walk; docs/tenancy.md lists them.

Hasura's names are those of the database. The table's stands in the description of its root field, else the type is named
like it; a renamed column is only known from the metadata folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import EnumTypeDefinitionNode, InputObjectTypeDefinitionNode

from automio.dialect.index import RootKind, SchemaIndex, Table
from automio.dialect.sdl import Sdl

KINDS = ("insert", "select", "update", "delete")
MARK = "Made by `automio export permissions`; do not edit."
_TABLE = re.compile(r'\btable: "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Rights:
    """Whom the permissions are for: the role, and the session variable with its organization."""

    role: str
    variable: str = "X-Hasura-Organization-Id"
    preset: bool = True
    writable: frozenset[str] = frozenset()
    """Shared tables that may be written, by their types."""


@dataclass(frozen=True, slots=True)
class TableRights:
    """What the role may do with one table. Columns have their GraphQL names; None: the schema doesn't offer the kind."""

    type: str
    schema: str
    name: str
    tenant_column: str | None
    select: tuple[str, ...] | None = None
    insert: tuple[str, ...] | None = None
    update: tuple[str, ...] | None = None
    delete: bool = False
    aggregates: bool = False

    def permissions(
        self, rights: Rights, columns: Mapping[str, str] | None = None, computed: Iterable[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """Kind -> the permission in Hasura's words. `columns`: GraphQL name -> the database's, where they differ."""
        names = columns or {}
        left_out = frozenset(computed)
        tenant = names.get(self.tenant_column, self.tenant_column) if self.tenant_column else None
        own: dict[str, Any] = {tenant: {"_eq": rights.variable}} if tenant else {}
        found: dict[str, dict[str, Any]] = {}

        def listed(given: tuple[str, ...], *, tenant_too: bool) -> list[str]:
            own_names = [names.get(name, name) for name in given if name not in left_out]
            return [name for name in own_names if tenant_too or name != tenant]

        if self.select is not None:
            found["select"] = {
                "columns": listed(self.select, tenant_too=True),
                "filter": own,
                "allow_aggregations": self.aggregates,
            }
        given = not rights.preset
        if self.insert is not None:
            preset = {"set": {tenant: rights.variable}} if tenant and rights.preset else {}
            found["insert"] = {"check": own, **preset, "columns": listed(self.insert, tenant_too=given)}
        if self.update is not None:
            found["update"] = {"columns": listed(self.update, tenant_too=given), "filter": own, "check": own}
        if self.delete:
            found["delete"] = {"filter": own}
        return found


@dataclass(frozen=True, slots=True)
class Request:
    """The same for `POST /v1/metadata`: one `bulk` that creates all of them."""

    source: str
    rights: Rights
    tables: tuple[TableRights, ...] = field(default_factory=tuple)

    def value(self) -> dict[str, Any]:
        """A JSON value, tables and kinds in a fixed order."""
        args = [
            {
                "type": f"pg_create_{kind}_permission",
                "args": {
                    "source": self.source,
                    "table": {"schema": table.schema, "name": table.name},
                    "role": self.rights.role,
                    "permission": permission,
                    "comment": MARK,
                },
            }
            for table in self.tables
            for kind, permission in table.permissions(self.rights).items()
        ]
        return {"type": "bulk", "source": self.source, "args": args}


def table_rights(sdl: Sdl, index: SchemaIndex, types: Iterable[str], rights: Rights) -> tuple[TableRights, ...]:
    """What the schema offers, table by table, sorted by type.

    Raises ScopeError for a table whose organization column cannot be read: it must not pass for a shared one.
    """
    tables = (index.tables[name] for name in sorted(set(types)) if name in index.tables)
    return tuple(_table_rights(sdl, index, table, rights) for table in tables)


def _table_rights(sdl: Sdl, index: SchemaIndex, table: Table, rights: Rights) -> TableRights:
    roots = index.table_roots(table.type)
    tenant = index.tenant_column if index.is_tenant(table.type) else None
    may_write = bool(tenant) or table.type in rights.writable
    listing = roots.get(RootKind.LIST)
    chosen = _members(sdl, listing.arguments.get("distinct_on", "")) if listing else ()
    schema, name = _place(sdl, table, listing.name if listing else "")

    def written(kinds: Iterable[RootKind], argument: str) -> tuple[str, ...] | None:
        found = next((roots[kind].arguments.get(argument) for kind in kinds if kind in roots), None)
        if not may_write or found is None:
            return None
        return tuple(name for name in _members(sdl, found) if name in table.columns)

    updated = written((RootKind.UPDATE, RootKind.UPDATE_BY_PK), "_set")
    return TableRights(
        type=table.type,
        schema=schema,
        name=name,
        tenant_column=tenant,
        select=(chosen or tuple(table.columns)) if listing else None,
        insert=written((RootKind.INSERT,), "objects") or written((RootKind.INSERT_ONE,), "object"),
        update=updated,
        delete=may_write and (RootKind.DELETE in roots or RootKind.DELETE_BY_PK in roots),
        aggregates=RootKind.AGGREGATE in roots,
    )


def _members(sdl: Sdl, type_text: str) -> tuple[str, ...]:
    """The values of an enum of columns, the fields of an input."""
    name = type_text.strip("[]!")
    found: list[str] = []
    for node in sdl.nodes(name) if name in sdl.definitions else ():
        if isinstance(node, EnumTypeDefinitionNode):
            found += [value.name.value for value in node.values or ()]
        elif isinstance(node, InputObjectTypeDefinitionNode):
            found += [item.name.value for item in node.fields or ()]
    return tuple(dict.fromkeys(found))


def _place(sdl: Sdl, table: Table, root: str) -> tuple[str, str]:
    """Schema and name in the database: Hasura's description of the list says them, `public` left out."""
    node = sdl.field_node(sdl.root_fields["query"][root]) if root else None
    told = _TABLE.search(node.description.value) if node and node.description else None
    if not told:
        return "public", table.type
    schema, dot, name = told[1].partition(".")
    return (schema, name) if dot else ("public", schema)
