"""SchemaIndex: tables, columns, keys, relationships, root fields. Read by scope/walk.py and by codegen/.

Made from SDL by dialect/read.py, or from the compact facts that a generated package carries. Plain frozen values; no
import of graphql-core, since generated modules load this one.

Everything is told by structure (arguments and return types), never by name: a table may be called `x_aggregate`, and
custom names and `graphql-default` naming are legal (`order_by` stands for `orderBy` too). The rules, on a field `f` of a root type:

| field                                                         | is                                          |
|---------------------------------------------------------------|---------------------------------------------|
| query, has `where`, returns a list of an object T              | LIST of T                                   |
| query, has `where`, returns one object with `nodes: [T!]!`     | AGGREGATE of T                              |
| subscription, has `cursor` and `batch_size`                    | STREAM of T                                 |
| query, no `where`, all arguments non-null, returns nullable T  | BY_PK, when T has a LIST                    |
| mutation, `objects` / `object`                                 | INSERT / INSERT_ONE                         |
| mutation, `updates`                                            | UPDATE_MANY                                 |
| mutation, `pk_columns`                                         | UPDATE_BY_PK                                |
| mutation, `where` and more / `where` alone, returns a response | UPDATE / DELETE                             |
| mutation, key columns of T only, returns nullable T            | DELETE_BY_PK                                |
| a second list or aggregate, beside one called like its type    | a function's: OTHER                         |
| anything else                                                  | not a table's: Root.kind is OTHER           |

On a field of a row type T: scalar or enum -> column; an object type that has a LIST -> object relationship; a list of it
with `where` -> array relationship; an object with `nodes` and an argument `where` -> aggregate of an array relationship;
arguments of any other kind (computed fields, remote relationships) -> `other`, which scoping refuses unless the policy
names it. A computed field with rows is both: when it is allowed it is scoped like an array relationship.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from automio.dialect.names import split_app, word
from automio.errors import ScopeError

OperationKind = Literal["query", "mutation", "subscription"]


class RootKind(StrEnum):
    """What a root field does with its table."""

    LIST = "list"
    AGGREGATE = "aggregate"
    BY_PK = "by_pk"
    STREAM = "stream"
    INSERT = "insert"
    INSERT_ONE = "insert_one"
    UPDATE = "update"
    UPDATE_BY_PK = "update_by_pk"
    UPDATE_MANY = "update_many"
    DELETE = "delete"
    DELETE_BY_PK = "delete_by_pk"
    OTHER = "other"


class InputKind(StrEnum):
    """What an input type says about its table."""

    BOOL_EXP = "bool_exp"
    AGGREGATE_BOOL_EXP = "aggregate_bool_exp"
    ORDER_BY = "order_by"
    AGGREGATE_ORDER_BY = "aggregate_order_by"
    STREAM_CURSOR = "stream_cursor"
    INSERT = "insert"
    OBJECT_INSERT = "object_insert"
    ARRAY_INSERT = "array_insert"
    ON_CONFLICT = "on_conflict"
    UPDATES = "updates"
    PK_COLUMNS = "pk_columns"
    SET = "set"
    OPERATOR = "operator"
    """_inc, _append, _prepend, _delete_key, _delete_elem, _delete_at_path: a map from columns to values."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as GraphQL shows it. `type` is GraphQL type text: `uuid!`, `[String!]`, `numeric`."""

    name: str
    type: str
    description: str = ""

    @property
    def named_type(self) -> str:
        return self.type.replace("[", "").replace("]", "").replace("!", "")

    @property
    def nullable(self) -> bool:
        return not self.type.endswith("!")


@dataclass(frozen=True, slots=True)
class Relationship:
    """A field of a row that leads to rows of another table. `table` is the target's row type; `type` the field's type text."""

    name: str
    kind: Literal["object", "array"]
    table: str
    type: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a column declared as a foreign key leads: `key` of a row of `table`. `via` is the array relationship back from there."""

    table: str
    key: str
    via: str


@dataclass(frozen=True, slots=True)
class Root:
    """A root field. `table` is the row type, "" for OTHER. `arguments` maps names to GraphQL type text."""

    name: str
    operation: OperationKind
    kind: RootKind
    table: str
    type: str
    arguments: Mapping[str, str] = field(default_factory=dict)

    def argument(self, wanted: str) -> str:
        """How this schema spells one of Hasura's arguments (`order_by`), "" when the field hasn't got it."""
        if wanted in self.arguments:
            return wanted
        return next((name for name in self.arguments if word(name) == wanted), "")

    def argument_type(self, wanted: str) -> str:
        """The type text of an argument of Hasura's, "" when the field hasn't got it."""
        return self.arguments.get(self.argument(wanted), "")


@dataclass(frozen=True, slots=True)
class Input:
    """An input type of a table."""

    name: str
    kind: InputKind
    table: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `type` is its row type in GraphQL, the key everywhere; `app` the app id or "", `name` the rest."""

    type: str
    app: str
    name: str
    columns: Mapping[str, Column]
    relationships: Mapping[str, Relationship]
    aggregates: Mapping[str, str]
    """Field name of an array relationship's aggregate -> the target's row type (`messages_aggregate` -> messages)."""
    other: frozenset[str]
    """Fields that need a policy: computed fields, remote relationships; and an organization column that cannot be read."""
    primary_key: tuple[str, ...]
    constraints: Mapping[str, tuple[str, ...]]
    """Constraint (enum value) -> its columns, () when the schema does not say."""
    description: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """Python names that the project chose itself for columns and relationships; the others go by rule."""
    references: Mapping[str, Reference] = field(default_factory=dict)
    """Column -> where it leads, for columns that the project declared to be foreign keys. The schema doesn't tell."""

    def is_tenant(self, column: str) -> bool:
        """True when rows of this table belong to one organization."""
        return column in self.columns


@dataclass(frozen=True)
class SchemaIndex:
    """The tables that a set of operations can reach. Equal input gives equal text and order."""

    tables: Mapping[str, Table]
    roots: Mapping[OperationKind, Mapping[str, Root]]
    inputs: Mapping[str, Input]
    tenant_column: str | None = "organization_id"
    """The column that says whose row it is; None when the schema has no organizations."""
    aggregate_types: Mapping[str, str] = field(default_factory=dict)
    """Aggregate type (`app_130_orders_aggregate`) -> row type."""
    response_types: Mapping[str, str] = field(default_factory=dict)
    """Mutation response type (`app_130_orders_mutation_response`) -> row type."""
    ascending: str = "asc"
    """How orders say "from the least": `ASC` where enum values are upper case."""
    affected_rows: str = "affected_rows"
    """How mutation responses call the number of rows."""
    update_columns: str = "update_columns"
    """How `on_conflict` calls the columns to replace."""

    def table_roots(self, table: str) -> dict[RootKind, Root]:
        """The query and mutation root fields of a table, by kind (STREAM from the subscriptions)."""
        found: dict[RootKind, Root] = {}
        for operation in ("query", "mutation", "subscription"):
            for root in self.roots.get(operation, {}).values():
                if root.table == table:
                    found.setdefault(root.kind, root)
        return found

    def is_tenant(self, table: str) -> bool:
        """True when rows of the table belong to one organization each.

        Raises ScopeError for a table whose organization column exists but cannot be read (a role may hide it): taking
        it for a shared table would show everybody's rows.
        """
        if self.tenant_column is None:
            return False
        if self.tenant_column in self.tables[table].other:
            raise ScopeError(
                f"{table} has a column {self.tenant_column} that this role cannot read, so it cannot be scoped",
                hint="Let the role select the column, or pull the schema of a role that may.",
                code="AUTOMIO-208",
            )
        return self.tables[table].is_tenant(self.tenant_column)

    def referring(self, table: str) -> list[tuple[str, Reference]]:
        """The declared references to a table: (the table that refers, where from there), in the order of names."""
        return [
            (name, to) for name, found in self.tables.items() for to in found.references.values() if to.table == table
        ]

    @cached_property
    def referred(self) -> Mapping[str, frozenset[str]]:
        """Table -> its columns that declared references lead to; {} where none are declared."""
        found: dict[str, frozenset[str]] = {}
        for table in self.tables.values():
            for to in table.references.values():
                found[to.table] = found.get(to.table, frozenset()) | {to.key}
        return found

    def facts(self) -> str:
        """The index as compact JSON text, deterministic: what a generated package carries. `from_facts` reads it back."""
        tables = {
            table.type: {
                "columns": {column.name: column.type for column in table.columns.values()},
                "relationships": {r.name: [r.kind, r.table, r.type] for r in table.relationships.values()},
                "aggregates": dict(table.aggregates),
                "other": sorted(table.other),
                "primary_key": list(table.primary_key),
                "constraints": {name: list(columns) for name, columns in table.constraints.items()},
                **({"names": dict(table.names)} if table.names else {}),
                **({"references": _plain(table.references)} if table.references else {}),
            }
            for table in sorted(self.tables.values(), key=lambda t: t.type)
        }
        roots = {
            operation: {
                root.name: [root.kind.value, root.table, root.type, dict(root.arguments)]
                for root in sorted(fields.values(), key=lambda r: r.name)
            }
            for operation, fields in sorted(self.roots.items())
        }
        value = {
            "tenant_column": self.tenant_column,
            "tables": tables,
            "roots": roots,
            "inputs": {i.name: [i.kind.value, i.table] for i in sorted(self.inputs.values(), key=lambda i: i.name)},
            "aggregate_types": dict(sorted(self.aggregate_types.items())),
            "response_types": dict(sorted(self.response_types.items())),
        }
        if self.ascending != "asc":
            value["ascending"] = self.ascending
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_facts(cls, text: str) -> SchemaIndex:
        """The index of `facts()`. Descriptions are not kept."""
        value: dict[str, Any] = json.loads(text)
        return cls(
            tables={name: _table(name, facts) for name, facts in value["tables"].items()},
            roots={
                operation: {
                    name: Root(name, operation, RootKind(kind), table, type_, arguments)
                    for name, (kind, table, type_, arguments) in fields.items()
                }
                for operation, fields in value["roots"].items()
            },
            inputs={name: Input(name, InputKind(kind), table) for name, (kind, table) in value["inputs"].items()},
            tenant_column=value["tenant_column"],
            aggregate_types=value["aggregate_types"],
            response_types=value["response_types"],
            ascending=value.get("ascending", "asc"),
        )


def _plain(references: Mapping[str, Reference]) -> dict[str, list[str]]:
    return {column: [to.table, to.key, to.via] for column, to in references.items()}


def _table(type_: str, facts: Mapping[str, Any]) -> Table:
    app, name = split_app(type_)
    return Table(
        type=type_,
        app=app,
        name=name,
        columns={column: Column(column, text) for column, text in facts["columns"].items()},
        relationships={
            r: Relationship(r, kind, table, text) for r, (kind, table, text) in facts["relationships"].items()
        },
        aggregates=facts["aggregates"],
        other=frozenset(facts["other"]),
        primary_key=tuple(facts["primary_key"]),
        constraints={constraint: tuple(columns) for constraint, columns in facts["constraints"].items()},
        names=facts.get("names", {}),
        references={column: Reference(*to) for column, to in facts.get("references", {}).items()},
    )
