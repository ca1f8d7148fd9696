"""Input types of the schema slice -> TypedDicts, a module a table. Only type checkers read them. Next: functions.py.

`_inputs/orders.py` holds what orders' functions take: `Where`, `OrderBy`, `Insert`, `Set`, …, `Column`, `Constraint`. What
belongs to no table (comparisons, the order of sorting, enums of enum tables, arguments of functions) is in
`_inputs/_shared.py`. Nothing of it is imported when a program runs, so it costs nothing, whatever its size; modules may
import each other in circles. One module a table keeps checkers fast: a flat module of all input types makes them give up.

Keys are the Python names of columns, relationships and aggregates (scope/values.py maps them at each call), and GraphQL's
own names everywhere else (`_and`, `_eq`, `data`). A TypedDict is closed: a key that it hasn't got is an error in
checkers. A key that is a Python keyword makes the functional form. None is accepted where it means null: in rows and new
values, never in filters and orders, where it is refused at run time as well. The organization's column is not offered
in rows and new values, since scoping fills it in.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    TypeNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_required_input_field,
    type_from_ast,
    visit,
)

from automio.codegen.naming import Imports, Names, class_name, without_app
from automio.dialect.index import InputKind, SchemaIndex, Table
from automio.dialect.scalars import Scalar
from automio.scope.values import python_fields

SHARED = "_shared"

_CLASSES = {
    InputKind.BOOL_EXP: "Where",
    InputKind.AGGREGATE_BOOL_EXP: "AggregateWhere",
    InputKind.ORDER_BY: "OrderBy",
    InputKind.AGGREGATE_ORDER_BY: "AggregateOrderBy",
    InputKind.STREAM_CURSOR: "StreamCursor",
    InputKind.INSERT: "Insert",
    InputKind.OBJECT_INSERT: "ObjectInsert",
    InputKind.ARRAY_INSERT: "ArrayInsert",
    InputKind.ON_CONFLICT: "OnConflict",
    InputKind.UPDATES: "Updates",
    InputKind.PK_COLUMNS: "PkColumns",
    InputKind.SET: "Set",
}
_MAPPED = frozenset(
    {
        InputKind.BOOL_EXP,
        InputKind.ORDER_BY,
        InputKind.INSERT,
        InputKind.SET,
        InputKind.PK_COLUMNS,
        InputKind.OPERATOR,
    }
)
"""Kinds whose keys are columns and relationships."""
_TAKES_NULL = frozenset({InputKind.INSERT, InputKind.SET, InputKind.ON_CONFLICT, InputKind.OPERATOR})
_FILLED_IN = frozenset({InputKind.INSERT, InputKind.SET, InputKind.OPERATOR})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the type of one GraphQL input or enum is: its module and its name there."""

    module: str
    name: str
    table: str = ""
    kind: InputKind | None = None


@dataclass
class Inputs:
    """The input types of one package. `modules`: row type -> module; `used` collects what functions name."""

    schema: GraphQLSchema
    index: SchemaIndex
    scalars: Mapping[str, Scalar]
    modules: Mapping[str, str]
    app: str
    used: dict[str, None] = field(default_factory=dict)
    literals: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """(module, wanted name) -> the name and values of a Literal that is no enum of the schema."""
    _names: dict[str, Names] = field(default_factory=dict)
    _places: dict[str, Place] = field(default_factory=dict)

    # Annotations.

    def argument(self, node: TypeNode, imports: Imports, own: str, *, null: bool, prefix: str) -> str:
        """The annotation of a function's argument. `own`: its module; `prefix`: `.` or `..`, where `_inputs` is from there."""
        type_: Any = type_from_ast(self.schema, node)
        if type_ is None:
            return imports.use("typing", "Any", checking=True)

        def local(module: str) -> str:
            name = "_inputs" if module == own else f"_{module.strip('_')}_inputs"
            return imports.alias(f"{prefix}_inputs", module, name)

        return _Annotator(self, imports, local, null).outer(type_, single=True)

    def never_null(self, document: DocumentNode) -> frozenset[str]:
        """Variables that stand where GraphQL takes no null: `$all: Boolean = true` in `@include(if: $all)`."""
        found: set[str] = set()
        types = TypeInfo(self.schema)

        class Visit(Visitor):
            def enter_variable(self, node: VariableNode, *_: Any) -> None:
                if isinstance(types.get_input_type(), GraphQLNonNull):
                    found.add(node.name.value)

        visit(document, TypeInfoVisitor(types, Visit()))
        return frozenset(found)

    def columns(self, own: str, wanted: str, values: Iterable[str], imports: Imports, prefix: str) -> str:
        """The annotation of one of these columns: a Literal `wanted` in the module of inputs of `own`."""
        if (own, wanted) not in self.literals:
            self.literals[own, wanted] = self._names.setdefault(own, Names()).take(wanted), tuple(values)
        return f"{imports.alias(f'{prefix}_inputs', own, '_inputs')}.{self.literals[own, wanted][0]}"

    # Where a type is.

    def use(self, name: str) -> Place:
        place = self.place(name)
        assert place
        self.used[name] = None
        return place

    def place(self, name: str) -> Place | None:
        if name not in self._places:
            type_ = self.schema.get_type(name)
            if not isinstance(type_, GraphQLInputObjectType | GraphQLEnumType):
                return None
            self._places[name] = self.make_place(name)
        return self._places[name]

    def make_place(self, name: str) -> Place:
        known = self.index.inputs.get(name)
        table = known.table if known else self.owners.get(name, "")
        module = self.modules.get(table, SHARED)
        if module == SHARED:
            table = ""
        wanted = _CLASSES.get(known.kind, "") if known else self.enum_names.get(name, "")
        if not wanted:
            rest = name.removeprefix(f"{table}_").removeprefix(table) if table else without_app(name, self.app)
            wanted = class_name(rest.removesuffix("_input").removesuffix("Input") or name)
        taken = self._names.setdefault(module, Names())
        return Place(module, taken.take(wanted), table, known.kind if known else None)

    @cached_property
    def enum_names(self) -> dict[str, str]:
        """Enums of columns and constraints that have names of their own: `Column`, `UpdateColumn`, `Constraint`."""
        found: dict[str, str] = {}
        for fields in self.index.roots.values():
            for root in fields.values():
                columns = root.argument_type("distinct_on").strip("[]!")
                if root.table and columns:
                    found[columns] = "Column"
                if root.table and root.argument("on_conflict"):
                    type_ = self.schema.get_type(root.argument_type("on_conflict").strip("[]!"))
                    if isinstance(type_, GraphQLInputObjectType):
                        for key, name in (
                            ("constraint", "Constraint"),
                            (self.index.update_columns, "UpdateColumn"),
                        ):
                            if key in type_.fields:
                                found[get_named_type(type_.fields[key].type).name] = name
        return found

    @cached_property
    def owners(self) -> dict[str, str]:
        """Input types and enums that the index doesn't list, but that hang below a table's own: their row type."""
        found: dict[str, str] = {}
        for fields in self.index.roots.values():
            for root in fields.values():
                columns = root.argument_type("distinct_on").strip("[]!")
                if root.table and columns:
                    found.setdefault(columns, root.table)
        below = (
            InputKind.AGGREGATE_BOOL_EXP,
            InputKind.AGGREGATE_ORDER_BY,
            InputKind.STREAM_CURSOR,
            InputKind.ON_CONFLICT,
        )
        todo = [(i.name, i.table) for i in self.index.inputs.values() if i.kind in below]
        while todo:
            name, table = todo.pop()
            type_ = self.schema.get_type(name)
            for definition in type_.fields.values() if isinstance(type_, GraphQLInputObjectType) else ():
                inner = get_named_type(definition.type)
                columns = self.index.tables[table].columns
                if inner.name in self.index.inputs or inner.name in found:
                    continue
                if isinstance(inner, GraphQLEnumType) and (
                    inner.name in self.enum_names or inner.values.keys() <= columns.keys()
                ):
                    found[inner.name] = table
                elif isinstance(inner, GraphQLInputObjectType) and not _is_comparison(inner):
                    found[inner.name] = table
                    todo.append((inner.name, table))
        return found

    # Modules.

    def render(self) -> dict[str, str]:
        """Module -> text, of everything that functions use and what that leads to."""
        bodies: dict[str, dict[str, GraphQLInputObjectType | GraphQLEnumType]] = {}
        done: set[str] = set()
        while len(done) < len(self.used):
            for name in [name for name in self.used if name not in done]:
                done.add(name)
                type_ = self.schema.get_type(name)
                assert isinstance(type_, GraphQLInputObjectType | GraphQLEnumType)
                place = self.use(name)
                bodies.setdefault(place.module, {})[place.name] = type_
                if isinstance(type_, GraphQLInputObjectType):
                    for definition in type_.fields.values():
                        inner = get_named_type(definition.type)
                        if isinstance(inner, GraphQLInputObjectType | GraphQLEnumType) and not self.is_empty(inner):
                            self.use(inner.name)
        for module, _ in self.literals:
            bodies.setdefault(module, {})
        return {module: self.module(module, types) for module, types in sorted(bodies.items())}

    def module(self, module: str, types: Mapping[str, GraphQLInputObjectType | GraphQLEnumType]) -> str:
        literals = dict(sorted(literal for (own, _), literal in self.literals.items() if own == module))
        imports = Imports([*types, *literals])
        lines: list[str] = []
        for name, values in literals.items():
            lines += [self.alias(name, values, imports), ""]
        for name, type_ in sorted(types.items()):
            if isinstance(type_, GraphQLEnumType):
                lines += [self.literal(name, type_, imports), ""]
        for name, type_ in sorted(types.items()):
            if isinstance(type_, GraphQLInputObjectType):
                lines += [*self.typed_dict(name, type_, module, imports), ""]
        owner = next((t for t, m in self.modules.items() if m == module), "")
        about = f"What functions on {owner} take." if owner else "What functions of all tables take."
        for name, locals_ in imports.checking.items():
            imports.running.setdefault(name, {}).update(locals_)
        imports.checking.clear()
        head = [f'"""{about} For type checkers alone."""', "", "from __future__ import annotations", ""]
        return "\n".join([*head, *imports.lines(), "", *lines])

    def keys(self, type_: GraphQLInputObjectType, place: Place) -> dict[str, str]:
        """Field -> key. Columns and relationships have Python names."""
        table = self.index.tables.get(place.table)
        names = self.python_fields(table) if table and self.is_mapped(type_, place, table) else {}
        hidden = self.index.tenant_column if place.kind in _FILLED_IN else None
        fields: list[str] = [
            name
            for name, definition in type_.fields.items()
            if name != hidden and not self.is_empty(get_named_type(definition.type))
        ]
        return {name: names.get(name, name) for name in fields}

    def is_empty(self, type_: object) -> bool:
        """True for `_inc` and its kind where the organization is the only column: nobody may give anything."""
        if not isinstance(type_, GraphQLInputObjectType):
            return False
        known = self.index.inputs.get(type_.name)
        only = known is not None and known.kind is InputKind.OPERATOR
        return only and type_.fields.keys() <= {self.index.tenant_column}

    def offers(self, node: TypeNode) -> bool:
        """True when a variable of this type can hold anything."""
        type_: Any = type_from_ast(self.schema, node)
        return type_ is None or not self.is_empty(get_named_type(type_))

    def python_fields(self, table: Table) -> dict[str, str]:
        return python_fields(table)

    def is_mapped(self, type_: GraphQLInputObjectType, place: Place, table: Table) -> bool:
        return place.kind in _MAPPED or (place.kind is None and type_.fields.keys() <= table.columns.keys())

    def typed_dict(self, name: str, type_: GraphQLInputObjectType, module: str, imports: Imports) -> list[str]:
        place = self.use(type_.name)

        def local(other: str) -> str:
            return "" if other == module else imports.alias(".", other, f"_{other.strip('_')}")

        null = place.kind in _TAKES_NULL or (place.kind is None and not place.table and not _is_comparison(type_))
        keys = self.keys(type_, place)
        annotator = _Annotator(self, imports, local, null, frozenset(keys.values()))
        entries: list[tuple[str, str]] = []
        for key, wanted in keys.items():
            definition = type_.fields[key]
            text = annotator.outer(definition.type)
            if place.kind is InputKind.UPDATES and key == "where":
                text += f" | {imports.use('automio.scope.values', 'AllRows', checking=True)}"
            if is_required_input_field(definition):
                text = f"{imports.use('typing', 'Required')}[{text}]"
            entries.append((wanted, text))
        base = imports.use("typing", "TypedDict")
        if any(keyword.iskeyword(key) for key, _ in entries):
            items = ", ".join(f'"{key}": "{text}"' for key, text in entries)
            return [f'{name} = {base}("{name}", {{{items}}}, total=False)']
        body = [f"    {key}: {text}" for key, text in entries] or ["    pass"]
        return [f"class {name}({base}, total=False):", *body]

    def literal(self, name: str, type_: GraphQLEnumType, imports: Imports) -> str:
        table = self.index.tables.get(self.use(type_.name).table)
        names = self.python_fields(table) if table and type_.values.keys() <= table.columns.keys() else {}
        return self.alias(name, [names.get(value, value) for value in type_.values], imports)

    def alias(self, name: str, values: Iterable[str], imports: Imports) -> str:
        shown = ", ".join(f'"{value}"' for value in values)
        alias = imports.use("typing", "TypeAlias")
        return f"{name}: {alias} = {imports.use('typing', 'Literal')}[{shown}]"


@dataclass(frozen=True, slots=True)
class _Annotator:
    """GraphQL input types as annotations in one place. `null`: None is accepted where GraphQL accepts null.

    `local` gives the local name of a module of inputs, "" for the module at hand.
    """

    inputs: Inputs
    imports: Imports
    local: Callable[[str], str]
    null: bool
    within: frozenset[str] = frozenset()

    def outer(self, type_: GraphQLInputType, *, single: bool = False) -> str:
        """`single`: one order stands for a list of one."""
        if isinstance(type_, GraphQLNonNull):
            return self.inner(type_.of_type, single=single)
        text = self.inner(type_, single=single)
        return f"{text} | None" if self.null and text not in ("Any", "_Any") else text

    def inner(self, type_: Any, *, single: bool) -> str:
        if isinstance(type_, GraphQLList):
            inner = self.outer(type_.of_type)
            sequence = f"{self.imports.use('collections.abc', 'Sequence', checking=True)}[{inner}]"
            place = self.inputs.place(get_named_type(type_).name)
            return f"{inner} | {sequence}" if single and place and place.kind is InputKind.ORDER_BY else sequence
        if isinstance(type_, GraphQLInputObjectType | GraphQLEnumType):
            place = self.inputs.use(type_.name)
            module = self.local(place.module)
            return f"{module}.{place.name}" if module else place.name
        scalar = self.inputs.scalars.get(type_.name)
        if scalar is None:
            return self.imports.use("typing", "Any", checking=True)
        pairs = [pair for pair in scalar.imports if pair[1] in scalar.argument]
        return self.imports.text(scalar.argument, pairs, checking=True, within=self.within)


def _is_comparison(type_: GraphQLInputObjectType) -> bool:
    """True for `String_comparison_exp` and its kind: every field is an operator. What `_cast` takes holds only such."""
    if not type_.fields:
        return False
    below = [get_named_type(field.type) for field in type_.fields.values()]
    return all(name.startswith("_") for name in type_.fields) or all(
        isinstance(inner, GraphQLInputObjectType)
        and inner.fields
        and all(name.startswith("_") for name in inner.fields)
        for inner in below
    )


def input_modules(tables: Iterable[Table], modules: Mapping[str, str]) -> dict[str, str]:
    """Row type -> module in `_inputs`: the table's own module, or one named after the whole type for other tables."""
    names = Names(modules.values())
    return {t.type: modules.get(t.type) or names.take(_module_of(t)) for t in tables}


def _module_of(table: Table) -> str:
    from automio.dialect.names import python_name

    return python_name(table.type)
