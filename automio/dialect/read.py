"""Sdl -> SchemaIndex, by the rules of index.py. Next: scope/ and codegen/ use what comes out.

Only the root fields and types that the wanted tables touch are parsed. What decides is structure; the texts that are
read for their meaning are Hasura's own descriptions: "execute function …" tells a function without arguments from a
table, "A computed field, …" a computed field with rows from a relationship, and "… constraint on columns "a", "b"" tells
the columns of a constraint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from graphql import (
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
)

from automio.dialect.index import (
    Column,
    Input,
    InputKind,
    OperationKind,
    Reference,
    Relationship,
    Root,
    RootKind,
    SchemaIndex,
    Table,
)
from automio.dialect.names import snake_case, split_app, word
from automio.dialect.references import resolve
from automio.dialect.sdl import Sdl, type_text

_LIST_ARGUMENTS = frozenset({"where", "order_by", "limit", "offset", "distinct_on"})
_OPERATORS = frozenset({"_inc", "_append", "_prepend", "_delete_key", "_delete_elem", "_delete_at_path"})
_QUOTED = re.compile(r'"([^"]*)"')


def index_schema(
    sdl: Sdl,
    *,
    roots: Mapping[OperationKind, Iterable[str]] | None = None,
    tables: Iterable[str] = (),
    tenant_column: str | None = "organization_id",
    references: Mapping[str, Mapping[str, Reference]] | None = None,
) -> SchemaIndex:
    """The tables that the named root fields and row types touch, and all that relationships lead to from there.

    `roots` None means every table of the schema. `references`: table -> column -> where it leads, as the project declares
    it; these tables are read too, and what the schema cannot hold of it is left out. Unknown names are left out
    (validation reports them, with a place). Raises CodegenError when a definition on the way cannot be parsed.
    """
    return _Reader(sdl).read(roots, tables, tenant_column, references or {})


class _Reader:
    """One pass over one Sdl; keeps what it has parsed."""

    def __init__(self, sdl: Sdl) -> None:
        self.sdl = sdl
        self.parsed_roots: dict[tuple[OperationKind, str], Root] = {}
        self.inputs: dict[str, Input] = {}
        self.listings: dict[str, str | None] = {}
        self.members: dict[tuple[str, str], str] = {}

    def read(
        self,
        wanted: Mapping[OperationKind, Iterable[str]] | None,
        tables: Iterable[str],
        tenant_column: str | None,
        references: Mapping[str, Mapping[str, Reference]],
    ) -> SchemaIndex:
        asked: dict[OperationKind, list[str]] = {
            kind: list(fields if wanted is None else wanted.get(kind, ()))
            for kind, fields in self.sdl.root_fields.items()
        }
        queue = [name for name in tables if self.is_row(name)]
        roots: dict[OperationKind, dict[str, Root]] = {kind: {} for kind in self.sdl.root_fields}
        for kind, names in asked.items():
            for name in names:
                if name in self.sdl.root_fields[kind]:
                    root = roots[kind][name] = self.root(kind, name)
                    queue += [root.table] if root.table else []
        found: dict[str, Table] = {}
        while queue:
            name = queue.pop()
            if name not in found:
                table = found[name] = self.table(name)
                queue += [r.table for r in table.relationships.values()]
                queue += table.aggregates.values()
                if name in references:
                    queue += [to.table for to in references[name].values() if self.is_row(to.table)]
        for kind, name in [place for table in found for place in self.places(table)]:
            roots[kind][name] = self.root(kind, name)
        found = {name: self.with_ordered(table) for name, table in found.items()}
        for table in found.values():
            self.read_inputs(table, roots)
        found = {name: self.with_hidden(table, tenant_column) for name, table in found.items()}
        if references and tenant_column is not None:
            found = _with_references(found, roots.get("query", {}), tenant_column, references)
        return SchemaIndex(
            tables=dict(sorted(found.items())),
            roots={kind: dict(sorted(fields.items())) for kind, fields in sorted(roots.items())},
            inputs=dict(sorted(self.inputs.items())),
            tenant_column=tenant_column,
            aggregate_types=self.wrappers("nodes", found),
            response_types=self.wrappers("returning", found),
            **self.words(),
        )

    def words(self) -> dict[str, str]:
        """How this schema spells what the rest of the index doesn't hold: an order, and fields of answers and inputs."""
        found: dict[str, str] = {}
        kinds = {kind: name for name, kind in sorted((i.name, i.kind) for i in self.inputs.values())}
        for text in self.input_fields(kinds[InputKind.ORDER_BY]).values() if InputKind.ORDER_BY in kinds else ():
            values = [value for value, _ in self.enum_values(text.strip("[]!"))]
            if "ASC" in values:
                found["ascending"] = "ASC"
        response = next((name for (name, of), row in sorted(self.members.items()) if of == "returning" and row), "")
        spelt = [f.name.value for f in self.object_fields(response)] if response else []
        if InputKind.ON_CONFLICT in kinds:
            spelt += self.input_fields(kinds[InputKind.ON_CONFLICT])
        return found | {word(name): name for name in spelt if word(name) in ("affected_rows", "update_columns")}

    def wrappers(self, member: str, tables: Mapping[str, Table]) -> dict[str, str]:
        return {name: row for (name, of), row in sorted(self.members.items()) if of == member and row in tables}

    # Which types are rows, aggregates and responses. Texts say where to look; what is found there is parsed.

    def places(self, row: str) -> list[tuple[OperationKind, str]]:
        places: list[tuple[OperationKind, str]] = [(p.operation, p.name) for p in self.sdl.places.get(row, ())]
        return [place for place in places if self.root(*place).table == row]

    def listing(self, name: str) -> str | None:
        """The query root field that lists rows of this type; None when it is not a row type."""
        if name not in self.listings:
            roots = [r for r in self.sdl.places.get(name, ()) if r.operation == "query" and r.named_type == name]
            roots.sort(key=lambda root: not _called_alike(root.name, name))
            self.listings[name] = next((root.name for root in roots if _lists(self.sdl.field_node(root))), None)
        return self.listings[name]

    def is_row(self, name: str) -> bool:
        return self.kind_of(name) == "type" and self.listing(name) is not None

    def wrapped(self, name: str, member: str) -> str:
        """The row type in `nodes` or `returning` of an aggregate or mutation response type, "" when it is neither."""
        key = (name, member)
        if key not in self.members:
            self.members[key] = ""
            if self.kind_of(name) == "type" and member in self.sdl.definitions[name][0].body:
                for node in self.object_fields(name):
                    text = type_text(node.type)
                    if node.name.value == member and text.startswith("[") and self.is_row(text.strip("[]!")):
                        self.members[key] = text.strip("[]!")
        return self.members[key]

    def row_of(self, kind: OperationKind, name: str) -> str:
        if self.is_row(name):
            return name
        return self.wrapped(name, "returning" if kind == "mutation" else "nodes")

    def kind_of(self, name: str) -> str:
        spans = self.sdl.definitions.get(name)
        return spans[0].kind if spans else "scalar"

    def object_fields(self, name: str) -> list[FieldDefinitionNode]:
        nodes = self.sdl.nodes(name)
        return [
            field
            for node in nodes
            if isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode)
            for field in node.fields
        ]

    # Root fields.

    def root(self, kind: OperationKind, name: str) -> Root:
        key = (kind, name)
        if key not in self.parsed_roots:
            self.parsed_roots[key] = self.classify(kind, name, self.sdl.field_node(self.sdl.root_fields[kind][name]))
        return self.parsed_roots[key]

    def classify(self, kind: OperationKind, name: str, node: FieldDefinitionNode) -> Root:
        arguments = {argument.name.value: type_text(argument.type) for argument in node.arguments or ()}
        text = type_text(node.type)
        named = text.strip("[]!")
        row = self.row_of(kind, named)
        what = (
            self.mutation_kind(arguments, named, text)
            if kind == "mutation"
            else self.query_kind(arguments, named, text)
        )
        if not row or _is_function(node) or self.is_second(kind, name, named, what):
            what = RootKind.OTHER
        return Root(name, kind, what, "" if what is RootKind.OTHER else row, text, arguments)

    def is_second(self, kind: OperationKind, name: str, named: str, what: RootKind) -> bool:
        """True for one more list (or aggregate) of a type that has one called like itself. A table has only one: the
        other is a function without arguments, whose comment replaced Hasura's description."""
        if what not in (RootKind.LIST, RootKind.AGGREGATE) or _called_alike(name, named):
            return False
        return any(
            root.operation == kind
            and root.named_type == named
            and _called_alike(root.name, named)
            and (what is RootKind.AGGREGATE or _lists(self.sdl.field_node(root)))
            for root in self.sdl.places.get(named, ())
        )

    def query_kind(self, arguments: Mapping[str, str], named: str, text: str) -> RootKind:
        names = {word(name) for name in arguments}
        if {"cursor", "batch_size"} <= names <= {"cursor", "batch_size", "where"}:
            return RootKind.STREAM
        if "where" in names and names <= _LIST_ARGUMENTS:
            if text.startswith("["):
                return RootKind.LIST
            return RootKind.AGGREGATE if self.wrapped(named, "nodes") else RootKind.OTHER
        is_row = not text.startswith("[") and self.is_row(named)
        return RootKind.BY_PK if is_row and self.are_keys(arguments, named) else RootKind.OTHER

    def mutation_kind(self, arguments: Mapping[str, str], named: str, text: str) -> RootKind:
        names = {word(name) for name in arguments}
        for argument, kind in (
            ("objects", RootKind.INSERT),
            ("object", RootKind.INSERT_ONE),
            ("updates", RootKind.UPDATE_MANY),
            ("pk_columns", RootKind.UPDATE_BY_PK),
        ):
            if argument in names:
                return kind
        if "where" in names:
            if self.is_row(named):  # a write by filter answers with a response: rows come from a function
                return RootKind.OTHER
            return RootKind.DELETE if names == {"where"} else RootKind.UPDATE
        is_row = not text.startswith("[") and self.is_row(named)
        return RootKind.DELETE_BY_PK if is_row and self.are_keys(arguments, named) else RootKind.OTHER

    def are_keys(self, arguments: Mapping[str, str], row: str) -> bool:
        """True when the arguments are non-null columns of the row."""
        columns = {field.name.value for field in self.object_fields(row)}
        return bool(arguments) and all(text.endswith("!") and name in columns for name, text in arguments.items())

    # Tables.

    def table(self, name: str) -> Table:
        listing = self.root("query", self.listing(name) or "")
        selectable = self.selectable_columns(listing)
        columns: dict[str, Column] = {}
        relationships: dict[str, Relationship] = {}
        aggregates: dict[str, str] = {}
        other: set[str] = set()
        for node in self.object_fields(name):
            field, text = node.name.value, type_text(node.type)
            named, arguments = text.strip("[]!"), {word(a.name.value) for a in node.arguments or ()}
            if self.kind_of(named) in ("scalar", "enum"):
                if field in selectable if selectable else arguments <= {"path"}:
                    columns[field] = Column(field, text, node.description.value if node.description else "")
                else:
                    other.add(field)
            elif self.is_row(named) and text.startswith("[") and "where" in arguments <= _LIST_ARGUMENTS | {"args"}:
                relationships[field] = Relationship(field, "array", named, text)
                if "args" in arguments or _is_computed(node):
                    other.add(field)
            elif self.is_row(named) and not text.startswith("[") and not arguments:
                relationships[field] = Relationship(field, "object", named, text)
            elif self.wrapped(named, "nodes") and "where" in arguments <= _LIST_ARGUMENTS:
                aggregates[field] = self.wrapped(named, "nodes")
            else:
                other.add(field)
        app, short = split_app(name)
        node = self.sdl.nodes(name)[0]
        description = getattr(node, "description", None)
        return Table(
            type=name,
            app=app,
            name=short,
            columns=columns,
            relationships=relationships,
            aggregates=aggregates,
            other=frozenset(other),
            primary_key=self.primary_key(name),
            constraints=self.constraints(name),
            description=description.value if description else "",
        )

    def selectable_columns(self, listing: Root) -> frozenset[str]:
        """The columns that `distinct_on` names: the one place where Hasura lists columns and nothing else."""
        enum = listing.argument_type("distinct_on").strip("[]!")
        return frozenset(name for name, _ in self.enum_values(enum))

    def enum_values(self, name: str) -> list[tuple[str, str]]:
        return [
            (value.name.value, value.description.value if value.description else "")
            for node in self.sdl.nodes(name)
            if isinstance(node, EnumTypeDefinitionNode)
            for value in node.values or ()
        ]

    def primary_key(self, row: str) -> tuple[str, ...]:
        for kind, name in self.places(row):
            root = self.root(kind, name)
            if root.kind in (RootKind.BY_PK, RootKind.DELETE_BY_PK):
                return tuple(root.arguments)
            if root.kind is RootKind.UPDATE_BY_PK:
                return tuple(self.input_fields(root.argument_type("pk_columns").strip("[]!")))
        return ()

    def constraints(self, row: str) -> dict[str, tuple[str, ...]]:
        for kind, name in self.places(row):
            on_conflict = self.root(kind, name).argument_type("on_conflict")
            if on_conflict:
                enum = self.input_fields(on_conflict.strip("[]!")).get("constraint", "").strip("[]!")
                return {value: tuple(_QUOTED.findall(text)) for value, text in self.enum_values(enum)}
        return {}

    # Input types.

    def input_fields(self, name: str) -> dict[str, str]:
        """Field name -> type text of an input type, {} when it is not one."""
        return {
            field.name.value: type_text(field.type)
            for node in self.sdl.nodes(name)
            if isinstance(node, InputObjectTypeDefinitionNode)
            for field in node.fields or ()
        }

    def read_inputs(self, table: Table, roots: Mapping[OperationKind, Mapping[str, Root]]) -> None:
        for fields in roots.values():
            for root in fields.values():
                if root.table == table.type:
                    for argument, text in root.arguments.items():
                        kind = _argument_kind(root.kind, argument)
                        if kind:
                            self.add(text, kind, table.type)
        for known in [i for i in self.inputs.values() if i.table == table.type]:
            if known.kind in (InputKind.BOOL_EXP, InputKind.ORDER_BY, InputKind.INSERT):
                self.read_members(table, known)

    def read_members(self, table: Table, parent: Input) -> None:
        """Input types that hang below a table's own: aggregate predicates, aggregate orders, nested inserts."""
        for name, text in self.input_fields(parent.name).items():
            relationship = table.relationships.get(name)
            if parent.kind is InputKind.BOOL_EXP and name in table.aggregates:
                self.add(text, InputKind.AGGREGATE_BOOL_EXP, table.aggregates[name])
            elif parent.kind is InputKind.ORDER_BY and name in table.aggregates:
                self.add(text, InputKind.AGGREGATE_ORDER_BY, table.aggregates[name])
            elif parent.kind is InputKind.INSERT and relationship:
                kind = InputKind.OBJECT_INSERT if relationship.kind == "object" else InputKind.ARRAY_INSERT
                self.add(text, kind, relationship.table)

    def with_ordered(self, table: Table) -> Table:
        """The table, with the aggregates that it can only be ordered by: a role that may not aggregate still has these."""
        order_by = self.root("query", self.listing(table.type) or "").argument_type("order_by").strip("[]!")
        more: dict[str, str] = {}
        for name in self.input_fields(order_by) if order_by else ():
            head = word(name).removesuffix("_aggregate")
            relationship = next((r for r in table.relationships.values() if word(r.name) == head), None)
            known = name in table.aggregates or name in table.relationships or name in table.columns
            if not known and relationship and relationship.kind == "array":
                more[name] = relationship.table
        return replace(table, aggregates={**table.aggregates, **more}) if more else table

    def with_hidden(self, table: Table, tenant_column: str | None) -> Table:
        """The table, with its organization column among `other` when filters or rows know it and selections don't."""
        if tenant_column is None or tenant_column in table.columns:
            return table
        kinds = (InputKind.BOOL_EXP, InputKind.INSERT, InputKind.SET)
        for known in self.inputs.values():
            if known.table == table.type and known.kind in kinds and tenant_column in self.input_fields(known.name):
                return replace(table, other=table.other | {tenant_column})
        return table

    def add(self, text: str, kind: InputKind, table: str) -> None:
        name = text.strip("[]!")
        self.inputs.setdefault(name, Input(name, kind, table))


def _with_references(
    tables: Mapping[str, Table],
    queries: Mapping[str, Root],
    tenant_column: str,
    references: Mapping[str, Mapping[str, Reference]],
) -> dict[str, Table]:
    """The tables, each with its declared references as far as the schema can hold them."""
    found = dict(tables)
    for name in tables.keys() & references.keys():
        resolved = {
            column: resolve(tables[name], column, to, tables, queries, tenant_column)
            for column, to in sorted(references[name].items())
        }
        held = {column: to for column, to in resolved.items() if isinstance(to, Reference)}
        found[name] = replace(tables[name], references=held)
    return found


def _argument_kind(root: RootKind, argument: str) -> InputKind | None:
    argument = word(argument)
    if argument in _OPERATORS:
        return InputKind.OPERATOR
    return {
        "where": InputKind.BOOL_EXP,
        "order_by": InputKind.ORDER_BY,
        "objects": InputKind.INSERT,
        "object": InputKind.INSERT,
        "on_conflict": InputKind.ON_CONFLICT,
        "_set": InputKind.SET,
        "pk_columns": InputKind.PK_COLUMNS,
        "updates": InputKind.UPDATES,
        "cursor": InputKind.STREAM_CURSOR if root is RootKind.STREAM else None,
    }.get(argument)


def _is_function(node: FieldDefinitionNode) -> bool:
    return bool(node.description and node.description.value.lstrip().startswith("execute "))


def _called_alike(root: str, type_: str) -> bool:
    """`orders` and `orders`, or `Orders` where the naming convention says so."""
    return root == type_ or snake_case(root) == snake_case(type_)


def _is_computed(node: FieldDefinitionNode) -> bool:
    return bool(node.description and node.description.value.lstrip().startswith("A computed field"))


def _lists(node: FieldDefinitionNode) -> bool:
    """True for a table's list: takes a filter and paging, nothing else, and returns a list."""
    arguments = {word(argument.name.value) for argument in node.arguments or ()}
    return "where" in arguments <= _LIST_ARGUMENTS and type_text(node.type).startswith("[") and not _is_function(node)
