"""Documents without the app's id in their response keys, and small readers of selections. Used by operations.py, models.py.

Response keys must not depend on the app's id, since one package serves several installations (naming.py has the rule).
A key is taken when a field of the same type answers under it anywhere in the document, be it the same field: two
selections of one type may be merged, and the author kept these two apart.

A selection on a union or interface that has fragments gets `__typename`, unless its author wrote it: the models are told
apart by it, not by guessing from fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    NameNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
)

from automio.codegen.naming import without_app


def response_key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def flat_fields(
    selection_set: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    seen: frozenset[str] = frozenset(),
) -> Iterator[FieldNode]:
    """The fields of a selection, those of fragments in their place."""
    for selection in selection_set.selections if selection_set else ():
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from flat_fields(selection.selection_set, fragments, seen)
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            found = fragments.get(name)
            if found and name not in seen:
                yield from flat_fields(found.selection_set, fragments, seen | {name})


def alias_document(definitions: Iterable[DefinitionNode], schema: GraphQLSchema, app: str) -> DocumentNode:
    """The definitions as one document in which no response key holds the app's id. The given nodes are not changed."""
    definitions = tuple(definitions)
    if any(is_abstract_type(type_) and not type_.name.startswith("__") for type_ in schema.type_map.values()):
        definitions = tuple(_with_typenames(definition, schema) for definition in definitions)
    if not app:
        return DocumentNode(definitions=definitions)
    keys: dict[str, set[str]] = {}
    for definition in definitions:
        _collect_keys(definition, schema, app, keys)
    return DocumentNode(definitions=tuple(_aliased(d, schema, keys, app) for d in definitions))


def _with_typenames(node: Any, schema: GraphQLSchema, parent: Any = None) -> Any:
    """The node with `__typename` wherever an answer of a union or interface has fields by its type."""
    if not node.selection_set:
        return node
    parent = parent if isinstance(node, FieldNode) else _type_of(node, schema) or parent
    selections: list[SelectionNode] = []
    for selection in node.selection_set.selections:
        below = _field_type(parent, selection) if isinstance(selection, FieldNode) else parent
        spread = isinstance(selection, FragmentSpreadNode)
        selections.append(selection if spread else _with_typenames(selection, schema, below))
    told = any(isinstance(each, FieldNode) and response_key(each) == "__typename" for each in selections)
    if isinstance(node, FieldNode) and is_abstract_type(parent) and not told:
        fragments = [each for each in selections if not isinstance(each, FieldNode)]
        typename = FieldNode(name=NameNode(value="__typename"), alias=None, arguments=(), directives=())
        selections += [typename] if fragments else []
    return changed(node, selection_set=SelectionSetNode(selections=tuple(selections)))


def _type_of(definition: Any, schema: GraphQLSchema) -> Any:
    if isinstance(definition, FragmentDefinitionNode | InlineFragmentNode):
        condition = definition.type_condition
        return schema.get_type(condition.name.value) if condition else None
    return schema.get_root_type(definition.operation)


def _collect_keys(node: Any, schema: GraphQLSchema, app: str, keys: dict[str, set[str]], parent: Any = None) -> None:
    """Type -> the response keys under which its fields answer, of those that keep their key."""
    parent = _type_of(node, schema) or parent
    for selection in node.selection_set.selections if node.selection_set else ():
        if isinstance(selection, FieldNode):
            if selection.alias or without_app(selection.name.value, app) == selection.name.value:
                keys.setdefault(parent.name, set()).add(response_key(selection))
            if selection.selection_set:
                inner = InlineFragmentNode(type_condition=None, selection_set=selection.selection_set)
                _collect_keys(inner, schema, app, keys, _field_type(parent, selection))
        elif isinstance(selection, InlineFragmentNode):
            _collect_keys(selection, schema, app, keys, parent)


def _field_type(parent: Any, node: FieldNode) -> Any:
    if hasattr(parent, "fields"):
        definition = parent.fields.get(node.name.value)
        return get_named_type(definition.type) if definition else None
    return None


def _aliased(node: Any, schema: GraphQLSchema, keys: Mapping[str, set[str]], app: str, parent: Any = None) -> Any:
    parent = _type_of(node, schema) or parent if not isinstance(node, FieldNode) else parent
    if not node.selection_set:
        return node
    selections: list[SelectionNode] = []
    for selection in node.selection_set.selections:
        if isinstance(selection, FieldNode):
            below = _aliased(selection, schema, keys, app, _field_type(parent, selection))
            selections.append(_with_alias(below, keys.get(getattr(parent, "name", ""), set()), app))
        elif isinstance(selection, InlineFragmentNode):
            selections.append(_aliased(selection, schema, keys, app, parent))
        else:
            selections.append(selection)
    return changed(node, selection_set=SelectionSetNode(selections=tuple(selections)))


def _with_alias(node: FieldNode, taken: set[str], app: str) -> FieldNode:
    name = node.name.value
    short = without_app(name, app)
    if node.alias or short == name:
        return node
    wanted, number = short, 2
    while wanted in taken:
        wanted, number = f"{short}_{number}", number + 1
    return changed(node, alias=NameNode(value=wanted))


def changed(node: Any, **parts: Any) -> Any:
    """A copy of a node with some parts replaced; its place in the file is kept."""
    return type(node)(**{key: getattr(node, key, None) for key in node.keys} | parts)
