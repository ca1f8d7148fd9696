"""OperationIR -> model classes. The one importer of ariadne_codegen (late: it costs 0.15 s). Next: functions.py.

ariadne-codegen's ResultTypesGenerator turns a selection into classes with annotations: nullability, lists, scalars,
unions, directives, fragments as base classes. It is driven here as a library, over a schema slice, and what it gets and
gives is treated on both sides:

Before: selections.py turns every selection into one of tokens, so that the names that users see are given here, afterwards
(naming.py). That avoids, in ariadne-codegen 0.19: `orderId` beside `order_id` (one attribute is lost), `mro`, `value`
and builtins as names, classes in plural, two nested classes that come to one name (the second is lost), a field that
stands twice (the second's selection is lost), directives on fragments (a missing field would break the read).

The schema slice is changed before (`prepare_schema`), since the models describe the answer after reshaping:
- an object relationship to a table with organizations is nullable whatever the schema says (scoping nulls foreign rows);
- `aggregate` of an aggregate and a mutation's own answer are never null: Hasura always gives them.

After: classes come inner ones first, annotations are modern (`X | None`), enums are `str` (a value that the schema
doesn't know yet must not break a read). Nothing is imported from files of ariadne-codegen and no path gets into the text.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
)

from automio.codegen.aliases import response_key
from automio.codegen.derived import with_choices
from automio.codegen.naming import Names, class_name, root_class, rows_class
from automio.codegen.operations import OperationIR, RootField
from automio.codegen.selections import Normalizer, Selected, is_conditional
from automio.dialect.index import RootKind, SchemaIndex, Table
from automio.dialect.names import pascal_case, python_name, split_app, word
from automio.dialect.scalars import Scalar
from automio.errors import CodegenError, Diagnostic
from automio.scope.values import python_fields

if TYPE_CHECKING:
    from ariadne_codegen.client_generators.scalars import ScalarData

_FUNCTIONS = {"sum": "Sums", "avg": "Averages", "min": "Least values", "max": "Greatest values"}
_RESPONSES = frozenset({RootKind.INSERT, RootKind.UPDATE, RootKind.UPDATE_MANY, RootKind.DELETE})


@dataclass(frozen=True, slots=True)
class Type:
    """An annotation as a tree. `name` is a class, a GraphQL scalar, or "" for list, optional and union.

    A `literal` is the name of a type, as `__typename` has it. `numbers` is an object of nothing but integers, which gets no class.
    """

    kind: Literal["class", "scalar", "any", "list", "optional", "union", "str", "literal", "numbers"]
    name: str = ""
    of: tuple[Type, ...] = ()

    @property
    def inner(self) -> Type:
        return self.of[0]

    @property
    def named(self) -> Type:
        """The type inside all lists and optionals."""
        return self.inner.named if self.kind in ("list", "optional") else self

    def renamed(self, names: Mapping[str, str]) -> Type:
        if self.kind == "class":
            return Type("class", names.get(self.name, self.name))
        return replace(self, of=tuple(inner.renamed(names) for inner in self.of)) if self.of else self

    def not_null(self) -> Type:
        return self.inner if self.kind == "optional" else self

    def or_none(self) -> Type:
        return self if self.kind in ("optional", "any") else Type("optional", of=(self,))


_INT = Type("scalar", "Int")
COUNTS = Type("list", of=(Type("numbers"),))
"""What an update_many answers: `[{affected_rows: 3}]`."""


@dataclass(frozen=True, slots=True)
class ModelField:
    """An attribute: its name, its response key, its type; `absent` when a directive may leave it out."""

    name: str
    key: str
    type: Type
    absent: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A class of a generated module."""

    name: str
    fields: tuple[ModelField, ...]
    bases: tuple[str, ...] = ()
    """Fragment models; none means Model."""
    doc: str = ""
    late: bool = False
    """Made when first asked for, not when its module is imported."""

    @property
    def private(self) -> bool:
        """True for the object around a function's value, which the function takes apart."""
        return self.name.startswith("_")


@dataclass(frozen=True, slots=True)
class OperationModels:
    """What one operation needs: its own classes (inner ones first), the class of its data, and its value."""

    classes: tuple[ModelClass, ...]
    data: str
    value: Type
    unwrap: tuple[str, ...]
    completed: OperationIR | None = None
    """The operation, when the schema completed it: a derived `aggregate`."""


@dataclass(frozen=True, slots=True)
class FragmentModels:
    """The classes of the fragments of a package, in an order in which each stands behind what it needs."""

    classes: tuple[ModelClass, ...]
    names: Mapping[str, str]
    """Fragment -> its class."""


@dataclass
class SharedModels:
    """The small private classes of one module's derived functions, by their fields."""

    known: dict[tuple[ModelField, ...], str] = field(default_factory=dict)

    def class_of(self, fields: tuple[ModelField, ...], classes: list[ModelClass], names: Names) -> Type:
        """The class with these fields; a new one is added to `classes`."""
        if fields not in self.known:
            self.known[fields] = names.take(f"_{class_name(fields[0].key)}Data")
            classes.append(ModelClass(self.known[fields], fields))
        return Type("class", self.known[fields])


def prepare_schema(schema: GraphQLSchema, index: SchemaIndex) -> None:
    """Make the slice's types say what an answer holds after reshaping. After validation: it compares types."""
    for table in index.tables.values():
        row = schema.get_type(table.type)
        if isinstance(row, GraphQLObjectType):
            for name, relationship in table.relationships.items():
                if relationship.kind == "object" and index.is_tenant(relationship.table) and name in row.fields:
                    definition = row.fields[name]
                    if isinstance(definition.type, GraphQLNonNull):
                        definition.type = definition.type.of_type
    for name in index.aggregate_types:
        _require(schema.get_type(name), "aggregate")
    mutation = schema.mutation_type
    for name, root in index.roots.get("mutation", {}).items():
        if root.kind in _RESPONSES:
            _require(mutation, name)
        if root.kind is RootKind.UPDATE_MANY and isinstance(mutation, GraphQLObjectType) and name in mutation.fields:
            mutation.fields[name].type = _all_required(mutation.fields[name].type)


def _all_required(type_: Any) -> Any:
    """The type with no null in it, at any depth of lists."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return GraphQLNonNull(GraphQLList(_all_required(inner.of_type)) if isinstance(inner, GraphQLList) else inner)


def _require(type_: Any, name: str) -> None:
    definition = type_.fields.get(name) if isinstance(type_, GraphQLObjectType) else None
    if definition and not isinstance(definition.type, GraphQLNonNull):
        definition.type = GraphQLNonNull(definition.type)


class ModelMaker:
    """Makes the classes of one package. `schema` must be prepared."""

    def __init__(self, schema: GraphQLSchema, index: SchemaIndex, scalars: Mapping[str, Scalar]) -> None:
        from ariadne_codegen.client_generators.result_types import ResultTypesGenerator
        from ariadne_codegen.client_generators.scalars import ScalarData
        from ariadne_codegen.exceptions import CodeGenException

        self.faults = CodeGenException
        self.schema = schema
        self.index = index
        self.generator = ResultTypesGenerator
        self.scalars: dict[str, ScalarData] = {
            name: ScalarData(type_=f"scalar__{name}", graphql_name=name) for name in scalars
        }
        self.tables = {table.type: python_fields(table) for table in index.tables.values()}

    def row(self, table: Table, name: str) -> ModelClass:
        """The class of a whole row: every column that may be selected."""
        columns = tuple(FieldNode(name=NameNode(value=column)) for column in table.columns)
        condition = NamedTypeNode(name=NameNode(value=table.type))
        fragment = FragmentDefinitionNode(
            name=NameNode(value=name), type_condition=condition, selection_set=SelectionSetNode(selections=columns)
        )
        made = self._generate(fragment, {}, name, Names())[-1]
        described = [replace(f, description=self.column_doc(table, f.key)) for f in made.fields]
        doc = " ".join(table.description.split()) if _is_comment(table) else ""
        first = f"A row of {table.name}: every column." + (f" {_sentence(doc)}" if doc else "")
        return replace(made, fields=tuple(described), doc=first)

    def column_doc(self, table: Table, column: str) -> str:
        text = " ".join(table.columns[column].description.split())
        row: Any = self.schema.get_type(table.type)
        reason = row.fields[column].deprecation_reason
        return f"{_sentence(text)} Deprecated: {reason}".strip() if reason else text

    def fragments(
        self, nodes: Mapping[str, FragmentDefinitionNode], avoided: Mapping[str, frozenset[str]]
    ) -> FragmentModels:
        """The classes of the fragments of a package. `avoided`: the rows of the modules that use a fragment."""
        names = Names()
        taken: dict[str, str] = {}
        for name in sorted(nodes):
            names.avoided = avoided[name]
            taken[name] = names.take(class_name(name))
        classes: dict[str, list[ModelClass]] = {}
        begun: set[str] = set()

        def visit(name: str) -> None:
            on = nodes[name].type_condition.name.value
            if name in begun or self._is_root(on):
                return
            begun.add(name)
            normalizer = Normalizer(self.schema, nodes)
            normalizer.selection_set(nodes[name].selection_set, on)
            for below in sorted(normalizer.mixins):
                visit(below)
            names.avoided = avoided[name]
            made = self._generate(nodes[name], nodes, taken[name], names, taken)
            classes[name] = [*made[:-1], replace(made[-1], doc=f"Fragment {name} on {on}.")]

        for name in sorted(nodes):
            visit(name)
        return FragmentModels(tuple(c for found in classes.values() for c in found), taken)

    def _is_root(self, type_: str) -> bool:
        roots = (self.schema.query_type, self.schema.mutation_type, self.schema.subscription_type)
        return any(root is not None and root.name == type_ for root in roots) or is_abstract_type(
            self.schema.get_type(type_)
        )

    def operation(self, operation: OperationIR, fragments: Mapping[str, str], names: Names) -> OperationModels:
        """The classes of an operation. `fragments`: fragment -> class (for derived operations the row's)."""
        nodes = operation.fragments
        single = len(operation.roots) == 1
        data = names.take(f"_{class_name(operation.name)}Data") if single else names.take(class_name(operation.name))
        made = self._generate(operation.operation, nodes, data, names, fragments, operation)
        if not single:
            return OperationModels(tuple(made), data, Type("class", data), ())
        return _unwrapped(operation, made)

    def derived(self, operation: OperationIR, row: str, shared: SharedModels, names: Names) -> OperationModels:
        """The classes around a derived function's rows; functions of one shape share them."""
        if operation.derived == "aggregate":
            return self.aggregate(with_choices(operation, self.schema, self.index), row, shared, names)
        root, holder = operation.roots[0], Type("class", row)
        attribute = python_name(root.key)
        kind = root.root.kind if root.root else RootKind.OTHER
        inner = inner_path(operation, root)
        classes: list[ModelClass] = []
        value = holder
        if operation.derived == "update_many":
            data = shared.class_of((ModelField(attribute, root.key, COUNTS),), classes, names)
            return OperationModels(tuple(classes), data.name, Type("list", of=(_INT,)), (attribute,))
        if inner:
            value = Type("list", of=(holder,)) if inner[-1] == "returning" else _INT
            for name in reversed(inner):
                key = self.index.affected_rows if name == "affected_rows" else name
                holder = shared.class_of(
                    (ModelField(name, key, value if name == inner[-1] else holder),), classes, names
                )
        elif kind is RootKind.LIST:
            value = holder = Type("list", of=(holder,))
        elif kind is not RootKind.INSERT_ONE:
            value = holder = holder.or_none()
        data = shared.class_of((ModelField(attribute, root.key, holder),), classes, names)
        unwrap = (attribute, *inner)
        if operation.derived == "get_by":
            value, unwrap = value.inner.or_none(), (*unwrap, "0")
        return OperationModels(tuple(classes), data.name, value, unwrap)

    def aggregate(self, operation: OperationIR, row: str, shared: SharedModels, names: Names) -> OperationModels:
        """`OrderAggregate` with the count and an object a function; made late, since a class costs import time."""
        root = operation.roots[0]
        assert root.root
        table = self.index.tables[root.root.table]
        aggregate: Any = self.schema.get_type(root.root.type.strip("[]!"))
        numbers: Any = get_named_type(aggregate.fields["aggregate"].type)
        classes: list[ModelClass] = []
        fields = [ModelField("count", "count", _INT)]
        for function, columns in operation.choices.items():
            types: Any = get_named_type(numbers.fields[function].type).fields
            name = names.take(f"{row}{function.title()}")
            inner = tuple(
                ModelField(attribute, column, self.output_type(types[column].type).or_none(), absent=True)
                for attribute, column in columns.items()
            )
            doc = f"{_FUNCTIONS[function]} of {table.name}. None: not asked for, or no row has a value."
            classes.append(ModelClass(name, inner, doc=doc, late=True))
            fields.append(ModelField(function, function, Type("class", name).or_none(), absent=True))
        name = names.take(f"{row}Aggregate")
        doc = f"Numbers over rows of {table.name}. A function that was not asked for is None."
        classes.append(ModelClass(name, tuple(fields), doc=doc, late=True))
        value = Type("class", name)
        holder = shared.class_of((ModelField("aggregate", "aggregate", value),), classes, names)
        attribute = python_name(root.key)
        data = shared.class_of((ModelField(attribute, root.key, holder),), classes, names)
        return OperationModels(tuple(classes), data.name, value, (attribute, "aggregate"), operation)

    def output_type(self, type_: Any) -> Type:
        if isinstance(type_, GraphQLNonNull):
            return self.output_type(type_.of_type).not_null()
        if isinstance(type_, GraphQLList):
            return Type("list", of=(self.output_type(type_.of_type),)).or_none()
        if isinstance(type_, GraphQLEnumType):
            return Type("str").or_none()
        return Type("scalar", type_.name).or_none() if type_.name in self.scalars else Type("any")

    # ariadne-codegen's part.

    def _generate(
        self,
        node: OperationDefinitionNode | FragmentDefinitionNode,
        nodes: Mapping[str, FragmentDefinitionNode],
        name: str,
        names: Names,
        fragments: Mapping[str, str] | None = None,
        operation: OperationIR | None = None,
    ) -> list[ModelClass]:
        """The classes of a definition, inner ones first, its own last."""
        normalizer = Normalizer(self.schema, nodes)
        definition, known = normalizer.definition(node)
        try:
            with warnings.catch_warnings():  # deprecated fields are operations.py's to report, with their place
                warnings.simplefilter("ignore", DeprecationWarning)
                generator = self.generator(
                    schema=self.schema,
                    operation_definition=definition,
                    enums_module_name="enums",
                    fragments_module_name="fragments",
                    fragments_definitions=known,
                    convert_to_snake_case=False,
                    custom_scalars=self.scalars,
                    include_typename=False,
                )
        except self.faults as error:
            where, _, line = (operation.source if operation else "").rpartition(":")
            place = (where, int(line)) if line.isdigit() else (name, 1)
            message = f"no model can be made of this: {error}"
            raise CodegenError([Diagnostic(*place, 1, message, code="AUTOMIO-129")]) from error
        classes = generator.get_classes()
        tokens = normalizer.tokens
        reader = _ClassReader(
            self, normalizer.fields, {tokens[n]: c for n, c in (fragments or {}).items() if n in tokens}
        )
        return reader.read(classes, name, names, operation)


@dataclass
class _ClassReader:
    """ariadne-codegen's class definitions -> ModelClass, with the names of naming.py."""

    maker: ModelMaker
    fields: Mapping[str, Selected]
    fragments: Mapping[str, str]
    """Fragment token -> class."""
    members: set[str] = field(default_factory=set)
    """The classes that are one of a union's."""

    def read(
        self, definitions: list[ast.ClassDef], name: str, names: Names, operation: OperationIR | None
    ) -> list[ModelClass]:
        # A union or interface whose types differ (selections.py) has a class for each, and no object is of none of them.
        empty = {d.name for d in definitions[1:] if not d.bases[1:] and isinstance(d.body[0], ast.Pass)}
        empty -= {d.name for d in definitions if self.only_base(d)}
        definitions = [_without(definition, empty) for definition in definitions if definition.name not in empty]
        by_token = {definition.name: definition for definition in definitions}
        self.members = {token for definition in definitions for token in _union_tokens(definition)}
        renamed = {definitions[0].name: name}
        collapsed: set[str] = set()
        roots: dict[str, RootField] = {}
        for definition in definitions:
            # Outer classes come first, so the owner's name is known when its inner classes are named.
            for token, found, annotation in self.annotated(definition):
                for below in _class_tokens(annotation):
                    base = self.only_base(by_token[below])
                    if base:
                        renamed[below] = base
                        collapsed.add(below)
                    else:
                        owner = renamed[definition.name]
                        suffix = pascal_case(below.removeprefix(definition.name + token[:1].upper() + token[1:]))
                        if operation and definition is definitions[0]:
                            root = next(r for r in operation.roots if r.key == response_key(found.node))
                            roots[below] = root
                            wanted = self.root_class(operation, root)
                        else:
                            wanted = self.inner_class(operation, roots.get(definition.name), found, owner)
                        renamed[below] = names.take(wanted + suffix)
        return [
            self.model(definition, renamed, operation)
            for definition in reversed(definitions)
            if definition.name not in collapsed
        ]

    def annotated(self, definition: ast.ClassDef) -> Iterator[tuple[str, Selected, ast.expr]]:
        for statement in definition.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield statement.target.id, self.fields[statement.target.id], statement.annotation

    def only_base(self, definition: ast.ClassDef) -> str:
        """The fragment's class, when the definition adds nothing to one fragment."""
        bases = [b.id for b in definition.bases if isinstance(b, ast.Name)]
        if len(bases) == 1 and isinstance(definition.body[0], ast.Pass):
            return self.fragments.get(bases[0], "")
        return ""

    def root_class(self, operation: OperationIR, root: RootField) -> str:
        table = self.maker.index.tables.get(root.root.table) if root.root else None
        hidden = len(operation.roots) == 1 and bool(inner_path(operation, root))
        return ("_" if hidden else "") + root_class(operation.name, root.key, root.root, table, root.aliased)

    def inner_class(self, operation: OperationIR | None, root: RootField | None, found: Selected, owner: str) -> str:
        if operation and root and root.root and not root.aliased and found.node.name.value in ("nodes", "returning"):
            return rows_class(operation.name, self.maker.index.tables[root.root.table])
        return owner + class_name(response_key(found.node))

    def model(self, definition: ast.ClassDef, renamed: Mapping[str, str], operation: OperationIR | None) -> ModelClass:
        bases = tuple(
            self.fragments[b.id] for b in definition.bases if isinstance(b, ast.Name) and b.id in self.fragments
        )
        names = self.attributes(definition)
        fields = [
            ModelField(
                names[token], response_key(found.node), self.type(definition, annotation, renamed), found.conditional
            )
            for token, found, annotation in self.annotated(definition)
        ]
        name = renamed[definition.name]
        doc = f"Part of what `{operation.name}` answers." if operation and not name.startswith("_") else ""
        return ModelClass(name, tuple(fields), bases, doc)

    def type(self, definition: ast.ClassDef, annotation: ast.expr, renamed: Mapping[str, str]) -> Type:
        found = _type(annotation).renamed(renamed)
        # `__typename` tells the classes of a union apart; elsewhere, and where it holds an app's id, it is a text.
        told = definition.name in self.members and not split_app(found.name)[0]
        return Type("str") if found.kind == "literal" and not told else found

    def attributes(self, definition: ast.ClassDef) -> dict[str, str]:
        """Token -> attribute. Columns and relationships are called the same in every model of their table."""
        chosen: dict[str, str] = {}
        loose: list[str] = []
        for token, found, _ in self.annotated(definition):
            name = found.node.name.value
            known = self.maker.tables.get(found.parent, {})
            if name in known and response_key(found.node) == name:
                chosen[token] = known[name]
            else:
                loose.append(token)
        taken = set(chosen.values())
        for token in sorted(loose, key=lambda t: (python_name(self.key(t)) != self.key(t), self.key(t))):
            base = wanted = python_name(self.key(token))
            number = 2
            while wanted in taken:
                wanted, number = f"{base}_{number}", number + 1
            taken.add(wanted)
            chosen[token] = wanted
        return chosen

    def key(self, token: str) -> str:
        return response_key(self.fields[token].node)


def inner_path(operation: OperationIR, root: RootField) -> tuple[str, ...]:
    """Attributes from the root's object to the function's value, () when the object is the value."""
    selected = root.node.selection_set.selections if root.node.selection_set else ()
    only = selected[0] if len(selected) == 1 and isinstance(selected[0], FieldNode) else None
    if root.root is None or is_conditional(root.node) or only is None or only.alias or only.directives:
        return ()
    if root.root.kind in _RESPONSES and root.root.kind is not RootKind.UPDATE_MANY:
        if word(only.name.value) == "affected_rows":
            return ("affected_rows",)
        if only.name.value == "returning" and operation.derived:
            return ("returning",)
    if root.root.kind is RootKind.AGGREGATE and operation.derived == "count":
        return ("aggregate", "count")
    return ()


def _unwrapped(operation: OperationIR, classes: list[ModelClass]) -> OperationModels:
    """One root field: the function gives its value, not the object around it."""
    root, data = operation.roots[0], classes[-1]
    field_ = data.fields[0]
    kind = root.root.kind if root.root else None
    arguments = {a.name.value: a.value for a in root.node.arguments or ()}
    if kind is RootKind.INSERT_ONE and not any(word(name) == "on_conflict" for name in arguments) and not field_.absent:
        # Null only when a conflict was ignored.
        field_ = replace(field_, type=field_.type.not_null())
        data = replace(data, fields=(field_,))
        classes = [*classes[:-1], data]
    unwrap, value = (field_.name,), field_.type
    limit = arguments.get("limit")
    if kind is RootKind.LIST and isinstance(limit, IntValueNode) and limit.value == "1" and not field_.absent:
        return OperationModels(tuple(classes), data.name, value.inner.or_none(), (*unwrap, "0"))
    for name in inner_path(operation, root):
        holder = next(c for c in classes if c.name == value.name)
        value = next(f for f in holder.fields if f.name == name).type
        unwrap = (*unwrap, name)
    return OperationModels(tuple(classes), data.name, value, unwrap)


def _without(definition: ast.ClassDef, tokens: set[str]) -> ast.ClassDef:
    """The class without these in its unions."""
    if tokens:
        for node in ast.walk(definition):
            if isinstance(node, ast.Tuple):
                node.elts = [each for each in node.elts if not set(_class_tokens(each)) & tokens]
    return definition


def _union_tokens(definition: ast.ClassDef) -> list[str]:
    return [token for node in ast.walk(definition) if isinstance(node, ast.Tuple) for token in _class_tokens(node)]


def _class_tokens(annotation: ast.expr) -> list[str]:
    """The classes that an annotation names: ariadne-codegen writes them as quoted names (and so are literals)."""
    if isinstance(annotation, ast.Name):
        return [annotation.id.strip('"')] if annotation.id.startswith('"') else []
    if isinstance(annotation, ast.Tuple):
        return [token for each in annotation.elts for token in _class_tokens(each)]
    if isinstance(annotation, ast.Subscript) and not (
        isinstance(annotation.value, ast.Name) and annotation.value.id == "Literal"
    ):
        return _class_tokens(annotation.slice)
    return []


def _type(annotation: ast.expr) -> Type:
    if isinstance(annotation, ast.Name):
        return _named(annotation.id)
    assert isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name)
    inner = annotation.slice
    match annotation.value.id:
        case "Optional":
            return _type(inner).or_none()
        case "list" | "List":
            return Type("list", of=(_type(inner),))
        case "Union" if isinstance(inner, ast.Tuple):
            return Type("union", of=tuple(_type(each) for each in inner.elts))
        case "Annotated" if isinstance(inner, ast.Tuple):
            return _type(inner.elts[0])
        case "Literal" if isinstance(inner, ast.Name | ast.Constant):
            return Type("literal", str(inner.id if isinstance(inner, ast.Name) else inner.value).strip("\"'"))
    return Type("str")


def _named(name: str) -> Type:
    if name.startswith('"'):
        return Type("class", name.strip('"'))
    if name.startswith("scalar__"):
        return Type("scalar", name.removeprefix("scalar__"))
    if name == "Any":
        return Type("any")
    builtins = {"str": "String", "int": "Int", "bool": "Boolean", "float": "Float"}
    return Type("scalar", builtins[name]) if name in builtins else Type("str")


def _is_comment(table: Table) -> bool:
    """A description that somebody wrote, not the one that Hasura makes."""
    return bool(table.description) and not table.description.startswith("columns and relationships of")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
