"""Table + its root fields -> the documents of derived functions, as OperationIR. Next: models.py, functions.py.

`orders.find` and its kind are operations that automio writes from the table's facts; from here on they are compiled like
a user's, through the same scoping walk. There is no second path to the wire.

| kind | root field | document | value |
|---|---|---|---|
| get | by_pk | the key's columns | Row or None |
| get_by | list, for each unique constraint whose columns the schema tells | `_eq` each column, `limit: 1` | Row or None |
| find | list | every argument of the list is a variable | rows |
| iterate | list, for a table with a primary key | `where`, `order_by`, `limit` are variables; runtime/pages.py pages | batches of rows |
| count | aggregate | `where` | int |
| aggregate | aggregate | every argument, and a flag a column of each function | a model of numbers |
| insert, insert_many | insert_one, insert | the row, the rows | Row, rows |
| upsert_many | insert with `on_conflict` | rows, constraint and columns are variables | rows affected |
| update, update_by_pk | update, update_by_pk | the filter or key, and `_set`, `_inc`, `_append`, …: what the schema has | rows affected; Row or None |
| update_many | update_many | a list of filters with changes | rows affected, by element |
| delete, delete_by_pk | delete, delete_by_pk | the filter or key | rows affected; Row or None |
| watch | list, of the subscriptions | every argument of the list is a variable | rows, again after each change |

What the schema doesn't offer is absent: a root field that a role hasn't got, a constraint without a description. What
scoping refuses is absent too (writes to a table that all organizations share). The organization's column is dropped from
keys, since the scope feeds it: a constraint of `orderId` and `organization_id` gives `get_by_order_id(order_id)`, and one
that leaves the primary key over gives nothing that `get` is not.

Aggregates. `aggregate(sum=["total"], max=["created_at"])` must be typed, must ask the server only for what it says, and
must stay one text (allow-lists and the server's plan cache know operations by text). So the document has every column of
every function, each behind `@include(if: $sum_total)`, and the flags of what was asked are sent; what was not asked is
None. Rejected: always everything (each column of each function costs on every row), a flag a function (wide tables
again), a text made for each choice. The count is always there: it costs nothing beside the scan. sum, avg, min and max
only: the deviations and variances would double the text for what few need; write an operation for those. Which columns a
function takes stands in the schema alone, not in the index, so this document is completed when the schema's slice has been
parsed (`with_choices`, called by models.py).

Documents are made as nodes: they are thousands in a large project, and parsing them took longer than all else that
happens to them. A test compares each with what graphql-core reads from its text, and validates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    get_named_type,
)

from automio.codegen.naming import without_app
from automio.codegen.operations import OperationIR, root_fields, scope
from automio.dialect.index import OperationKind, Root, RootKind, SchemaIndex, Table
from automio.dialect.names import pascal_case, snake_case
from automio.dialect.nodes import Types
from automio.errors import ScopeError
from automio.scope import nodes
from automio.scope.policy import Policy
from automio.scope.values import python_fields

_OPERATORS = "_set _inc _append _prepend _delete_key _delete_elem _delete_at_path".split()
_LIST_ARGUMENTS = ("where", "order_by", "limit", "offset", "distinct_on")
AGGREGATE_FUNCTIONS = ("sum", "avg", "min", "max")


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived function before it is compiled."""

    kind: str
    function: str
    operation: OperationDefinitionNode
    selects_rows: bool
    """True when it spreads the row's fragment."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An argument and its value, a variable and its type, or both: `where: $where` with `$where: orders_bool_exp`."""

    argument: str = ""
    value: ValueNode | None = None
    variable: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the documents of one table."""

    table: Table
    roots: Mapping[RootKind, Root]
    row: str
    """The fragment that selects every column: the row's class name."""
    tenant: str
    names: Mapping[str, str]
    """Column or relationship -> Python name."""
    types: Types
    affected_rows: str
    update_columns: str
    watched: Root | None
    """The list among the subscriptions."""

    def documents(self) -> Iterator[Derived]:
        yield from self.reads()
        yield from self.writes()
        if self.watched:
            parts = self.plain(self.watched, _LIST_ARGUMENTS)
            yield self.make("watch", "watch", "subscription", self.watched, parts, self.row_selection)

    def reads(self) -> Iterator[Derived]:
        by_pk, listing = self.roots.get(RootKind.BY_PK), self.roots.get(RootKind.LIST)
        aggregate = self.roots.get(RootKind.AGGREGATE)
        if by_pk:
            yield self.make("get", "get", "query", by_pk, self.key(by_pk.arguments), self.row_selection)
        if listing:
            yield from self.by_unique_key(listing)
            yield self.make("find", "find", "query", listing, self.plain(listing, _LIST_ARGUMENTS), self.row_selection)
            if self.pages():
                variables = self.plain(listing, ["where", "order_by", "limit"])
                yield self.make("iterate", "iterate", "query", listing, variables, self.row_selection)
        if aggregate:
            variables = self.plain(aggregate, ["where"])
            yield self.make("count", "count", "query", aggregate, variables, self.count_selection)
            variables = self.plain(aggregate, _LIST_ARGUMENTS)
            yield self.make("aggregate", "aggregate", "query", aggregate, variables, self.count_selection)

    def writes(self) -> Iterator[Derived]:
        for kind, function, argument, name, selection in (
            (RootKind.INSERT_ONE, "insert", "object", "row", self.row_selection),
            (RootKind.INSERT, "insert_many", "objects", "rows", _field("returning", [self.row_selection])),
        ):
            root = self.roots.get(kind)
            if root:
                parts = [_variable_part(argument, name, root.arguments[argument])]
                yield self.make(function, function, "mutation", root, parts, selection)
        insert = self.roots.get(RootKind.INSERT)
        on_conflict = insert.argument_type("on_conflict") if insert else ""
        if insert and on_conflict and self.table.constraints:
            yield self.upsert(insert, on_conflict)
        for kind, function, selection in (
            (RootKind.UPDATE, "update", _field(self.affected_rows)),
            (RootKind.UPDATE_MANY, "update_many", _field(self.affected_rows)),
            (RootKind.UPDATE_BY_PK, "update_by_pk", self.row_selection),
            (RootKind.DELETE, "delete", _field(self.affected_rows)),
            (RootKind.DELETE_BY_PK, "delete_by_pk", self.row_selection),
        ):
            root = self.roots.get(kind)
            if root and kind is RootKind.UPDATE_MANY:
                yield self.make(function, function, "mutation", root, self.plain(root, ["updates"]), selection)
            elif root and (_operators(root) or "delete" in function):
                yield self.make(function, function, "mutation", root, list(self.change(root)), selection)

    def change(self, root: Root) -> Iterator[_Part]:
        if "where" in root.arguments:
            yield _variable_part("where", "where", root.arguments["where"])
        elif pk_columns := root.argument("pk_columns"):
            types = {column: self.table.columns[column].type for column in self.table.primary_key}
            parts = self.key(types)
            yield _Part(pk_columns, nodes.obj([nodes.entry(p.argument, p.value) for p in parts if p.value]))
            yield from (_Part(variable=p.variable, type=p.type) for p in parts)
        else:
            yield from self.key(root.arguments)
        operators = _operators(root)
        taken = set() if "where" in root.arguments else {self.names[c] for c in self.table.primary_key}
        for argument in operators:
            name = snake_case(argument).strip("_")
            name = f"{name}_values" if name in taken else name
            # With several, each may be left out, but not all (scope/values.py: changed).
            type_ = root.arguments[argument].removesuffix("!")
            yield _variable_part(argument, name, type_ if len(operators) > 1 else f"{type_}!")

    def upsert(self, root: Root, on_conflict: str) -> Derived:
        base = on_conflict.rstrip("!").removesuffix("_on_conflict").removesuffix("OnConflict")
        camel = on_conflict.rstrip("!").endswith("OnConflict")
        constraint, column = (
            (f"{base}Constraint", f"{base}UpdateColumn") if camel else (f"{base}_constraint", f"{base}_update_column")
        )
        conflict = [
            nodes.entry("constraint", nodes.variable("on_conflict")),
            nodes.entry(self.update_columns, nodes.variable("update")),
        ]
        parts = [
            _variable_part("objects", "rows", root.arguments["objects"]),
            _Part(root.argument("on_conflict"), nodes.obj(conflict), "on_conflict", f"{constraint}!"),
            _Part(variable="update", type=f"[{column}!]!"),
        ]
        return self.make("upsert_many", "upsert_many", "mutation", root, parts, _field(self.affected_rows))

    def by_unique_key(self, listing: Root) -> Iterator[Derived]:
        names = self.names
        seen = {frozenset(self.without_tenant(self.table.primary_key))}
        for _, columns in sorted(self.table.constraints.items()):
            kept = self.without_tenant(columns)
            if not kept or frozenset(kept) in seen or not all(column in self.table.columns for column in kept):
                continue
            seen.add(frozenset(kept))
            where = nodes.obj([nodes.equals(column, nodes.variable(names[column])) for column in kept])
            parts = [_Part("where", where), _Part("limit", nodes.integer(1))]
            parts += [_Part(variable=names[c], type=f"{self.table.columns[c].type.removesuffix('!')}!") for c in kept]
            function = f"get_by_{'_and_'.join(names[column] for column in kept)}"
            yield self.make("get_by", function, "query", listing, parts, self.row_selection)

    # Parts of a document.

    def plain(self, root: Root, arguments: Iterable[str]) -> list[_Part]:
        return [
            _variable_part(root.argument(name), name, root.argument_type(name))
            for name in arguments
            if root.argument(name)
        ]

    def key(self, types: Mapping[str, str]) -> list[_Part]:
        """The columns of a key. The organization's keeps its own name: scoping takes that variable over."""
        return [
            _variable_part(
                column, column if column == self.tenant else self.names[column], f"{type_.removesuffix('!')}!"
            )
            for column, type_ in types.items()
        ]

    def without_tenant(self, columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(column for column in columns if column != self.tenant)

    def pages(self) -> bool:
        key = self.table.primary_key
        return bool(key) and all(column in self.table.columns for column in key)

    @property
    def row_selection(self) -> FragmentSpreadNode:
        return FragmentSpreadNode(name=nodes.named(self.row), directives=())

    @property
    def count_selection(self) -> FieldNode:
        return _field("aggregate", [_field("count")])

    def row_fragment(self) -> FragmentDefinitionNode:
        """Every column: what functions that give rows select."""
        return FragmentDefinitionNode(
            name=nodes.named(self.row),
            type_condition=NamedTypeNode(name=nodes.named(self.table.type)),
            directives=(),
            selection_set=nodes.make(SelectionSetNode, selections=tuple(map(_field, self.table.columns))),
        )

    def make(
        self,
        kind: str,
        function: str,
        operation: OperationKind,
        root: Root,
        parts: Iterable[_Part],
        selection: SelectionNode,
    ) -> Derived:
        parts = list(parts)
        alias = without_app(root.name, self.table.app)
        field = nodes.make(
            FieldNode,
            alias=None if alias == root.name else nodes.named(alias),
            name=nodes.named(root.name),
            arguments=tuple(nodes.argument(p.argument, p.value) for p in parts if p.value),
            directives=(),
            selection_set=nodes.make(SelectionSetNode, selections=(selection,)),
        )
        node = nodes.make(
            OperationDefinitionNode,
            operation=OperationType(operation),
            name=nodes.named(f"{pascal_case(self.table.name)}{pascal_case(function)}"),
            variable_definitions=tuple(
                nodes.make(
                    VariableDefinitionNode, variable=nodes.variable(p.variable), type=self.types[p.type], directives=()
                )
                for p in parts
                if p.variable
            ),
            directives=(),
            selection_set=nodes.make(SelectionSetNode, selections=(field,)),
        )
        below = (
            selection.selection_set.selections if isinstance(selection, FieldNode) and selection.selection_set else ()
        )
        return Derived(kind, function, node, any(isinstance(each, FragmentSpreadNode) for each in (selection, *below)))


def _variable_part(argument: str, name: str, type_: str) -> _Part:
    return _Part(argument, nodes.variable(name), name, type_)


def with_choices(op: OperationIR, schema: GraphQLSchema, index: SchemaIndex) -> OperationIR:
    """A derived `aggregate` with the functions and columns that the schema offers, scoped by the same walk."""
    root = op.roots[0].root
    assert root
    table = index.tables[root.table]
    names = python_fields(table)
    offered = _columns_by_function(schema, root.type.strip("[]!"), table, index)
    if not offered:
        return op
    choices = {function: {names[column]: column for column in columns} for function, columns in offered.items()}
    operation, field = copy(op.operation), copy(op.roots[0].node)
    flags: list[str] = []
    selections: list[FieldNode] = [_field("count")]
    for function, columns in choices.items():
        flags += [function, *(f"{function}_{name}" for name in columns)]
        inner = [_field(column, flag=f"{function}_{name}") for name, column in columns.items()]
        selections.append(_field(function, inner, flag=function))
    field.selection_set = nodes.make(SelectionSetNode, selections=(_field("aggregate", selections),))
    operation.variable_definitions = (*(operation.variable_definitions or ()), *map(_flag, flags))
    operation.selection_set = nodes.make(SelectionSetNode, selections=(field,))
    document = DocumentNode(definitions=(operation,))
    return replace(
        op,
        document=document,
        roots=root_fields(document, index, operation),
        scoped=scope(document, index, Policy()),
        choices=choices,
    )


def _field(name: str, inner: Iterable[SelectionNode] = (), *, flag: str = "") -> FieldNode:
    """`name @include(if: $flag) { inner }`."""
    below = tuple(inner)
    return nodes.make(
        FieldNode,
        alias=None,
        name=nodes.named(name),
        arguments=(),
        directives=(_include(flag),) if flag else (),
        selection_set=nodes.make(SelectionSetNode, selections=below) if below else None,
    )


def _include(flag: str) -> DirectiveNode:
    return nodes.make(
        DirectiveNode, name=nodes.named("include"), arguments=(nodes.argument("if", nodes.variable(flag)),)
    )


_BOOLEAN = NonNullTypeNode(type=NamedTypeNode(name=nodes.named("Boolean")))
_FALSE = BooleanValueNode(value=False)


def _flag(name: str) -> VariableDefinitionNode:
    """`$name: Boolean! = false`."""
    return nodes.make(
        VariableDefinitionNode, variable=nodes.variable(name), type=_BOOLEAN, default_value=_FALSE, directives=()
    )


def _columns_by_function(schema: GraphQLSchema, type_: str, table: Table, index: SchemaIndex) -> dict[str, list[str]]:
    """The columns that each function takes. The organization's is none of them: it is the same in all rows."""
    numbers = _field_type(schema.get_type(type_), "aggregate")
    found: dict[str, list[str]] = {}
    for function in AGGREGATE_FUNCTIONS:
        inner = _field_type(numbers, function)
        columns = [name for name in (inner.fields if inner else ()) if name in table.columns]
        kept = [name for name in columns if name != index.tenant_column]
        if kept:
            found[function] = kept
    return found


def _field_type(type_: object, name: str) -> GraphQLObjectType | None:
    definition = type_.fields.get(name) if isinstance(type_, GraphQLObjectType) else None
    inner = get_named_type(definition.type) if definition else None
    return inner if isinstance(inner, GraphQLObjectType) else None


def _operators(root: Root) -> list[str]:
    """What an update may do to columns: arguments such as `_set` and `_inc`, in a fixed order."""
    names = [name for name in root.arguments if name.startswith("_")]
    known = {name: number for number, name in enumerate(_OPERATORS)}
    return sorted(names, key=lambda name: (known.get(snake_case(name), len(known)), name))


def derive(
    table: Table,
    row: str,
    module: str,
    kinds: frozenset[str],
    taken: Iterable[str],
    index: SchemaIndex,
    policy: Policy,
) -> list[OperationIR]:
    """The derived functions of a table, of the asked kinds. `row`: the class of a whole row; `taken`: names of functions."""
    tenant = index.tenant_column if index.tenant_column in table.columns else None
    lists = [root for root in index.roots.get("subscription", {}).values() if root.kind is RootKind.LIST]
    writer = _Writer(
        table,
        index.table_roots(table.type),
        row,
        tenant or "",
        python_fields(table),
        Types(),
        index.affected_rows,
        index.update_columns,
        next((root for root in lists if root.table == table.type), None),
    )
    fragment = writer.row_fragment()
    names = set(taken)
    found: list[OperationIR] = []
    for derived in writer.documents():
        if derived.kind not in kinds or derived.function in names or not table.columns:
            continue
        operation = derived.operation
        assert operation.name
        document = DocumentNode(definitions=(operation, fragment) if derived.selects_rows else (operation,))
        try:
            scoped = scope(document, index, policy)
        except ScopeError:
            continue
        names.add(derived.function)
        found.append(
            OperationIR(
                name=operation.name.value,
                function=derived.function,
                kind=operation.operation.value,
                module=module,
                document=document,
                roots=root_fields(document, index, operation),
                scoped=scoped,
                source=f"derived: {module}.{derived.function}",
                derived=derived.kind,
                table=table.name,
            )
        )
    return found
