"""A definition's selections -> the same ones as ariadne-codegen can take them. Used by models.py.

Its names are tokens afterwards, unique in the definition: fields get aliases `f1`, `f2`, …, fragments `Frag1`, …. And:
- fields that stand twice in a selection, directly or by fragments, are merged as GraphQL merges them;
- a fragment stays a base class only where that is sound: same type, no directive on the spread, and no object field
  that another part of the selection has too. Everywhere else its fields are taken into the place;
- where a union or interface has other fields for other types, each type gets one fragment with all of its own;
- a directive on a spread or inline fragment makes its fields optional; inline fragments without a type are accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
)

from automio.codegen.aliases import response_key

_CONDITIONAL = (DirectiveNode(name=NameNode(value="include"), arguments=()),)


@dataclass(slots=True)
class Selected:
    """What a token `f1` stands for."""

    node: FieldNode
    parent: str
    selections: list[SelectionSetNode]
    conditional: bool


@dataclass
class Normalizer:
    """Rewrites the selections of one definition; `fields` and `tokens` say what the tokens stand for."""

    schema: GraphQLSchema
    nodes: Mapping[str, FragmentDefinitionNode]
    fields: dict[str, Selected] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Fragment -> its token."""
    mixins: set[str] = field(default_factory=set)

    def definition(
        self, node: OperationDefinitionNode | FragmentDefinitionNode
    ) -> tuple[OperationDefinitionNode | FragmentDefinitionNode, dict[str, FragmentDefinitionNode]]:
        """The definition, and the fragments that are still spread in it, under their tokens."""
        if isinstance(node, FragmentDefinitionNode):
            type_, out = node.type_condition.name.value, FragmentDefinitionNode(type_condition=node.type_condition)
        else:
            root = self.schema.get_root_type(node.operation)
            type_, out = root.name if root else "", OperationDefinitionNode(operation=node.operation)
        out.name = NameNode(value="Top")
        out.directives = ()
        out.selection_set = self.selection_set(node.selection_set, type_)
        known: dict[str, FragmentDefinitionNode] = {}
        todo = list(self.mixins)
        while todo:
            name = todo.pop()
            if self.token(name) not in known:
                inner = Normalizer(self.schema, self.nodes, {}, self.tokens)
                selections = inner.selection_set(
                    self.nodes[name].selection_set, self.nodes[name].type_condition.name.value
                )
                known[self.token(name)] = FragmentDefinitionNode(
                    name=NameNode(value=self.token(name)),
                    type_condition=self.nodes[name].type_condition,
                    selection_set=selections,
                )
                todo += inner.mixins
        return out, known

    def token(self, fragment: str) -> str:
        return self.tokens.setdefault(fragment, f"Frag{len(self.tokens) + 1}")

    def selection_set(self, node: SelectionSetNode, type_: str) -> SelectionSetNode:
        if self.differs_by_type(node, type_):
            return self.by_type(node, type_)
        merged, mixins, abstract = self.merged([node], type_)
        selections: list[SelectionNode] = [
            FragmentSpreadNode(name=NameNode(value=self.token(name)), directives=()) for name in mixins
        ]
        for found in merged.values():
            token = f"f{len(self.fields) + 1}"
            self.fields[token] = found
            below = None
            if found.selections:
                joined = SelectionSetNode(selections=tuple(s for part in found.selections for s in part.selections))
                below = self.selection_set(joined, self.type_below(type_, found.node))
            selections.append(
                FieldNode(
                    name=found.node.name,
                    alias=NameNode(value=token),
                    arguments=(),
                    directives=_CONDITIONAL if found.conditional else (),
                    selection_set=below,
                )
            )
        return SelectionSetNode(selections=(*selections, *abstract))

    def differs_by_type(self, node: SelectionSetNode, type_: str) -> bool:
        """True where a union or interface has other fields for other types."""
        parent: Any = self.schema.get_type(type_)
        if not is_abstract_type(parent):
            return False
        every = {possible.name for possible in self.schema.get_possible_types(parent)}
        return any(
            not every <= self.types_of(condition) or self.differs_by_type(inner, type_)
            for condition, inner in self.conditions(node)
        )

    def conditions(self, node: SelectionSetNode) -> Iterator[tuple[str, SelectionSetNode]]:
        """The fragments of a selection, inline or spread: the type that each is for ("": any), and what it selects."""
        for selection in node.selections:
            if isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                yield condition.name.value if condition else "", selection.selection_set
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self.nodes[selection.name.value]
                yield fragment.type_condition.name.value, fragment.selection_set

    def types_of(self, name: str) -> set[str]:
        """The object types that a fragment on this type is for."""
        known: Any = self.schema.get_type(name) if name else None
        if is_abstract_type(known):
            return {possible.name for possible in self.schema.get_possible_types(known)}
        return {name} if name else {found.name for found in self.schema.type_map.values()}

    def by_type(self, node: SelectionSetNode, type_: str) -> SelectionSetNode:
        """`... on T { everything that is selected for T }` for each type: fields of two fragments are merged as elsewhere."""
        parent: Any = self.schema.get_type(type_)
        possible = sorted(each.name for each in self.schema.get_possible_types(parent))
        typename = FieldNode(name=NameNode(value="__typename"), arguments=(), directives=())
        found: list[SelectionNode] = []
        for name in possible:
            below = self.selection_set(SelectionSetNode(selections=(*node.selections, typename)), name)
            found.append(
                InlineFragmentNode(
                    type_condition=NamedTypeNode(name=NameNode(value=name)), directives=(), selection_set=below
                )
            )
        return SelectionSetNode(selections=tuple(found))

    def type_below(self, parent: str, node: FieldNode) -> str:
        fields = getattr(self.schema.get_type(parent), "fields", {})
        definition = fields.get(node.name.value)
        return get_named_type(definition.type).name if definition else ""

    def merged(
        self, parts: Iterable[SelectionSetNode], type_: str
    ) -> tuple[dict[str, Selected], list[str], list[InlineFragmentNode]]:
        """Fields by response key, the fragments that stay base classes, and inline fragments on other types."""
        fields: dict[str, Selected] = {}
        spreads: list[str] = []
        abstract: list[InlineFragmentNode] = []
        for part in parts:
            self.collect(part, type_, False, fields, spreads, abstract)
        mixins = spreads
        while flat := next((name for name in mixins if not self.is_sound(name, mixins, fields)), None):
            mixins = [name for name in mixins if name != flat]
            self.collect(self.nodes[flat].selection_set, type_, False, fields, [], abstract, flat=True)
        for key in {key for name in mixins for key in self.keys(name)} & fields.keys():
            del fields[key]
        self.mixins.update(mixins)
        return fields, mixins, abstract

    def is_sound(self, name: str, mixins: list[str], fields: Mapping[str, Selected]) -> bool:
        """True when a fragment can be a base: an object that it shares with others would be one part's alone."""
        others: dict[str, bool] = {}
        for other in mixins:
            if other != name:
                others |= self.keys(other)
        keys = self.keys(name)
        if any((holds or others[key]) for key, holds in keys.items() if key in others):
            return False
        earlier = mixins[: mixins.index(name)]
        if any(keys.keys() & self.keys(other).keys() for other in earlier):
            return False
        return not any(fields[key].selections or fields[key].conditional for key in keys.keys() & fields.keys())

    def collect(
        self,
        node: SelectionSetNode,
        type_: str,
        conditional: bool,
        fields: dict[str, Selected],
        spreads: list[str],
        abstract: list[InlineFragmentNode],
        flat: bool = False,
    ) -> None:
        for selection in node.selections:
            maybe = conditional or is_conditional(selection)
            if isinstance(selection, FieldNode):
                key = response_key(selection)
                known = fields.setdefault(key, Selected(selection, type_, [], maybe))
                known.conditional = known.conditional and maybe
                if selection.selection_set:
                    known.selections.append(selection.selection_set)
                continue
            if isinstance(selection, InlineFragmentNode):
                condition, inner = selection.type_condition, selection.selection_set
            else:
                assert isinstance(selection, FragmentSpreadNode)
                name = selection.name.value
                condition, inner = self.nodes[name].type_condition, self.nodes[name].selection_set
                if not flat and not maybe and condition.name.value == type_ and self.can_be_base(type_):
                    if name not in spreads:
                        spreads.append(name)
                    continue
            other = condition.name.value if condition else type_
            if other == type_ or is_abstract_type(self.schema.get_type(other)):
                if is_abstract_type(self.schema.get_type(type_)) or type_ in self.types_of(other):
                    self.collect(inner, type_, maybe, fields, spreads, abstract, flat)
            elif is_abstract_type(self.schema.get_type(type_)):
                below = self.selection_set(inner, other)
                abstract.append(InlineFragmentNode(type_condition=condition, directives=(), selection_set=below))

    def can_be_base(self, type_: str) -> bool:
        roots = (self.schema.query_type, self.schema.mutation_type, self.schema.subscription_type)
        known = self.schema.get_type(type_)
        return isinstance(known, GraphQLObjectType) and all(root is not known for root in roots)

    def keys(self, fragment: str) -> dict[str, bool]:
        """All response keys of a fragment, those of fragments inside it too; True for an object's."""
        found: dict[str, Selected] = {}
        node = self.nodes[fragment]
        self.collect(node.selection_set, node.type_condition.name.value, False, found, [], [], flat=True)
        return {key: bool(selected.selections) for key, selected in found.items()}


def is_conditional(node: SelectionNode) -> bool:
    return any(d.name.value in ("skip", "include") for d in node.directives or ())
