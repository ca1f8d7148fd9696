"""Document + SchemaIndex -> ScopedDocument: the one walk, used by codegen ahead of time and by runtime for ad-hoc text.

Reference: tenancy, section 4. Steps: document.py chooses and checks; this file walks selections with their types;
inputs.py rewrites arguments; variables.py keeps the book of variables and makes the rules that values.py applies at each
call; reshape.py puts the answer back into the shape that was asked for. No value and no organization enters here, so one
scoped text serves every call.

What each place of a document may hold (a *position*) decides everything; names decide nothing. A field or an argument
that the index doesn't know is refused, never passed:

| position | its fields |
|---|---|
| ROOT | root fields of the operation |
| ROW of T | columns, relationships and their aggregates; others only when the policy names them |
| AGGREGATE of T | `aggregate` (numbers, no rows) and `nodes` (rows of T) |
| NUMBERS, STATISTICS of T | functions, and columns of T below them |
| RESPONSE of T | `affected_rows` and `returning` (rows of T) |
| LEAVES | the scalars of a field that the policy names |
| OPEN | anything: introspection, which shows no rows; what lies below functions when there are no organizations |

A fragment is rewritten once, in its place: the rewriting depends on the type alone. One that is used at two different
positions is refused. Paths of the plan are kept relative and get their front at each use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from operator import is_

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)

from automio.dialect.index import OperationKind, Root, RootKind, SchemaIndex
from automio.dialect.names import word
from automio.errors import ScopeError
from automio.scope import nodes, refusals
from automio.scope.check import Check
from automio.scope.document import Chosen, choose
from automio.scope.inputs import Inputs, Reason
from automio.scope.policy import Policy
from automio.scope.printing import print_document
from automio.scope.reshape import Action, ReshapePlan, Step
from automio.scope.rules import Rule
from automio.scope.values import check_organization
from automio.scope.variables import Variables

__all__ = ["Policy", "Reason", "ScopedDocument", "check_organization", "scope_document"]

_LIST_ARGUMENTS = frozenset({"where", "order_by", "limit", "offset", "distinct_on"})
_DIRECTIVES = frozenset({"skip", "include", "cached", "_multiple_top_level_fields"})
_RESPONSE_KINDS = (RootKind.INSERT, RootKind.UPDATE, RootKind.UPDATE_MANY, RootKind.DELETE)
_ROWS_OF_RETURNING = "returning"


class Place(Enum):
    """What kind of object a selection set belongs to (the table above)."""

    ROOT = "root"
    ROW = "row"
    AGGREGATE = "aggregate"
    NUMBERS = "numbers"
    STATISTICS = "statistics"
    RESPONSE = "response"
    LEAVES = "leaves"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Position:
    """A place and its row type (the operation's kind for ROOT)."""

    place: Place
    of: str = ""


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ScopedDocument:
    """What is sent instead of the caller's document, and how to turn its variables and its answer.

    `document` holds the chosen operation and the fragments it reaches, `text` is its print. `scope_variable` is the
    non-null variable that carries the organization, None when nothing needs it. `rules` turn the caller's variables,
    `dropped` are those that are not sent any more, `plan` turns the answer back. `tables` are the row types that are
    touched, the root's first. `reasons` say what was changed and why. `check` is what must hold before a mutation is sent,
    None when there is nothing to ask.
    """

    document: DocumentNode
    text: str
    name: str | None
    kind: OperationKind
    scope_variable: str | None
    rules: tuple[Rule, ...]
    dropped: frozenset[str]
    plan: ReshapePlan
    tables: tuple[str, ...]
    reasons: tuple[Reason, ...]
    check: Check | None = None


def scope_document(
    document: DocumentNode,
    index: SchemaIndex,
    *,
    operation_name: str | None = None,
    scope_variable: str | None = None,
    policy: Policy = Policy(),  # noqa: B008 - frozen
) -> ScopedDocument:
    """The operation as it may be sent for one organization, whichever that will be.

    `scope_variable`: when the operation declares a variable of this name, that variable carries the organization and the
    caller doesn't give it. Raises ScopeError, with the place in the caller's document; nothing of a refused document runs.
    """
    try:
        return _Walk(choose(document, operation_name), index, scope_variable, policy).scoped()
    except RecursionError:
        raise refusals.broken("the document is nested too deeply") from None


class _Walk:
    """One document being rewritten."""

    def __init__(self, chosen: Chosen, index: SchemaIndex, scope_variable: str | None, policy: Policy) -> None:
        self.chosen = chosen
        self.index = index
        self.kind: OperationKind = chosen.operation.operation.value
        self.variables = Variables(chosen.operation, index, policy.allowed(index.tables), scope_variable)
        self.inputs = Inputs(index, policy, self.variables)
        self.helper = _fresh_alias(index.tenant_column or "", chosen.response_keys)
        self.fragments: dict[str, tuple[Position, FragmentDefinitionNode, Steps]] = {}

    def scoped(self) -> ScopedDocument:
        operation = self.chosen.operation
        self.directives(operation.directives, self.chosen.label)
        selection_set, steps = self.selections(
            Position(Place.ROOT, self.kind), operation.selection_set, f"{self.chosen.label}: "
        )
        definitions, rules, dropped = self.variables.finish()
        scoped = nodes.make(
            OperationDefinitionNode,
            operation=operation.operation,
            name=operation.name,
            variable_definitions=definitions,
            directives=tuple(operation.directives or ()),
            selection_set=selection_set,
        )
        document = DocumentNode(
            definitions=(scoped, *(self.fragments[name][1] for name in self.chosen.fragments)),
        )
        used = self.variables.scope_type or self.variables.declared
        return ScopedDocument(
            document=document,
            text=print_document(document),
            name=operation.name.value if operation.name else None,
            kind=self.kind,
            scope_variable=self.variables.scope_name if used else None,
            rules=rules,
            dropped=dropped,
            plan=tuple(dict.fromkeys(steps)),
            tables=tuple(self.inputs.tables),
            reasons=tuple(self.inputs.reasons),
            check=self.inputs.integrity.finish(operation.name.value if operation.name else "", definitions),
        )

    # Selections.

    def selections(self, position: Position, node: SelectionSetNode, place: str) -> tuple[SelectionSetNode, Steps]:
        """The selection set rewritten, and the plan below it. `place` ends where a response key follows."""
        out: list[SelectionNode] = []
        steps: list[Step] = []
        for selection in node.selections:
            self.directives(selection.directives, place)
            if isinstance(selection, FieldNode):
                at = f"{place}{nodes.response_key(selection)}"
                try:
                    rewritten, below = self.field(position, selection, at)
                except ScopeError as error:
                    error.path = error.path or at
                    raise
            elif isinstance(selection, FragmentSpreadNode):
                rewritten, below = selection, self.fragment(position, selection.name.value, place)
            else:
                assert isinstance(selection, InlineFragmentNode)
                inside = self.within(position, selection)
                self.check_condition(inside, selection, place)
                inner, below = self.selections(inside, selection.selection_set, place)
                rewritten = InlineFragmentNode(
                    type_condition=selection.type_condition, directives=selection.directives, selection_set=inner
                )
            out.append(rewritten)
            steps += below
        same = len(out) == len(node.selections) and all(map(is_, out, node.selections))
        return node if same else nodes.make(SelectionSetNode, selections=tuple(out)), tuple(steps)

    def fragment(self, position: Position, name: str, place: str) -> Steps:
        position = self.within(position, self.chosen.fragments[name])
        if name not in self.fragments:
            node = self.chosen.fragments[name]
            self.directives(node.directives, place)
            self.check_condition(position, node, place)
            selection_set, steps = self.selections(position, node.selection_set, place)
            rewritten = FragmentDefinitionNode(
                name=node.name,
                type_condition=node.type_condition,
                variable_definitions=(),
                directives=tuple(node.directives or ()),
                selection_set=selection_set,
            )
            self.fragments[name] = (position, rewritten, steps)
        known, _, steps = self.fragments[name]
        if known != position:
            raise refusals.broken(f"fragment {name} is used on two types", place.rstrip(".: "))
        return steps

    def within(self, position: Position, node: InlineFragmentNode | FragmentDefinitionNode) -> Position:
        """The position inside a fragment. Where there are no organizations a remote object may lead back to rows: a
        fragment on a type that the index knows is at home there, so that one fragment serves both places."""
        if position.place is Place.OPEN and self.index.tenant_column is None and node.type_condition is not None:
            return self.position_of(node.type_condition.name.value) or position
        return position

    def check_condition(
        self, position: Position, node: InlineFragmentNode | FragmentDefinitionNode, place: str
    ) -> None:
        """The type condition of a fragment names the position's type, as far as the index knows the name."""
        if node.type_condition is None:
            return
        name = node.type_condition.name.value
        known = self.position_of(name)
        if known is None and position.place is not Place.ROW:
            return
        if known != position:
            raise refusals.broken(f"a fragment on {name} does not fit here", place.rstrip(".: "))

    def position_of(self, type_: str) -> Position | None:
        if type_ in self.index.tables:
            return Position(Place.ROW, type_)
        if type_ in self.index.aggregate_types:
            return Position(Place.AGGREGATE, self.index.aggregate_types[type_])
        if type_ in self.index.response_types:
            return Position(Place.RESPONSE, self.index.response_types[type_])
        return None

    def directives(self, directives: Iterable[DirectiveNode] | None, place: str) -> None:
        for directive in directives or ():
            if directive.name.value not in _DIRECTIVES:
                raise refusals.broken(f"directive @{directive.name.value} is not known to be safe", place.rstrip(".: "))
            for argument in directive.arguments or ():
                self.inputs.plain(argument.value)

    # Fields.

    def field(self, position: Position, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        name = node.name.value
        if name == "__typename":
            return self.leaf(node, at), ()
        match position.place:
            case Place.ROOT:
                return self.root_field(position.of, node, at)
            case Place.ROW:
                return self.row_field(position.of, node, at)
            case Place.AGGREGATE if name == "nodes":
                return self.inside(Position(Place.ROW, position.of), self.without_arguments(node, at), at)
            case Place.AGGREGATE if name == "aggregate":
                return self.inside(Position(Place.NUMBERS, position.of), self.without_arguments(node, at), at)
            case Place.NUMBERS:
                self.pass_arguments(node)
                return (
                    self.inside(Position(Place.STATISTICS, position.of), node, at) if node.selection_set else (node, ())
                )
            case Place.STATISTICS:
                if name not in self.index.tables[position.of].columns:
                    raise self.inputs.refuse_field(position.of, name, at)
                return self.leaf(node, at), ()
            case Place.RESPONSE if word(name) == "affected_rows":
                return self.leaf(node, at), ()
            case Place.RESPONSE if name == _ROWS_OF_RETURNING:
                return self.inside(Position(Place.ROW, position.of), self.without_arguments(node, at), at)
            case Place.LEAVES:
                if node.selection_set or node.arguments:
                    raise refusals.unknown_below(name, at)
                return node, ()
            case Place.OPEN:
                self.pass_arguments(node)
                return self.inside(position, node, at) if node.selection_set else (node, ())
            case _:
                raise refusals.broken(f"unknown field {name!r}", at)

    def inside(self, position: Position, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        """The field with its selection set rewritten; the plan below gets the field's key in front."""
        if node.selection_set is None:
            raise refusals.broken(f"{node.name.value} needs a selection", at)
        if position.place in (Place.ROW, Place.AGGREGATE, Place.RESPONSE):
            self.inputs.table(position.of)
        selection_set, steps = self.selections(position, node.selection_set, f"{at}.")
        key = nodes.response_key(node)
        below = tuple(Step((key, *step.path), step.action, step.helper) for step in steps)
        return nodes.field(node, selection_set=selection_set), below

    def leaf(self, node: FieldNode, at: str) -> FieldNode:
        if node.selection_set:
            raise refusals.broken(f"{node.name.value} takes no selection", at)
        return self.without_arguments(node, at)

    def without_arguments(self, node: FieldNode, at: str) -> FieldNode:
        for argument in node.arguments or ():
            raise refusals.broken(f"{node.name.value} has no argument {argument.name.value!r}", at)
        return node

    def pass_arguments(self, node: FieldNode) -> None:
        for argument in node.arguments or ():
            self.inputs.plain(argument.value)

    # Fields of rows.

    def row_field(self, table: str, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        name = node.name.value
        facts = self.index.tables[table]
        if name in facts.columns:
            if node.selection_set:
                raise refusals.broken(f"{name} takes no selection", at)
            for argument in node.arguments or ():
                if argument.name.value != "path":
                    raise refusals.broken(f"{name} has no argument {argument.name.value!r}", at)
            self.pass_arguments(node)
            return node, ()
        passing: tuple[str, ...] = ()
        if name in facts.other:
            if not self.inputs.is_safe(f"{table}.{name}"):
                raise self.inputs.refuse_field(table, name, at)
            passing = ("args",)
        relationship = facts.relationships.get(name)
        if relationship is not None and relationship.kind == "array":
            rows = self.listing(relationship.table, node, at, passing)
            return self.inside(Position(Place.ROW, relationship.table), rows, at)
        if relationship is not None:
            return self.object_relationship(relationship.table, self.without_arguments(node, at), at)
        if name in facts.aggregates:
            target = facts.aggregates[name]
            return self.inside(Position(Place.AGGREGATE, target), self.listing(target, node, at), at)
        if name in facts.other:
            return self.unknown(node, at)
        raise self.inputs.refuse_field(table, name, at)

    def listing(self, table: str, node: FieldNode, at: str, passing: Iterable[str] = ()) -> FieldNode:
        """A field that lists or counts rows of T: its filter is wrapped, its order checked. `passing`: other arguments."""
        given = {argument.name.value: argument for argument in node.arguments or ()}
        out: list[ArgumentNode] = []
        where = self.inputs.where(table, given["where"].value if "where" in given else None, f"{at}.where")
        if where is not None:
            out.append(nodes.argument("where", where))
        for name, argument in given.items():
            known = word(name)
            if known == "order_by":
                out.append(nodes.argument(name, self.inputs.order_by(table, argument.value, f"{at}.{name}")))
            elif known == "distinct_on":
                out.append(nodes.argument(name, self.inputs.columns(table, argument.value, f"{at}.{name}")))
            elif known in _LIST_ARGUMENTS or name in passing:
                if name != "where":
                    out.append(nodes.argument(name, self.inputs.plain(argument.value)))
            else:
                raise refusals.broken(f"{node.name.value} has no argument {name!r}", at)
        return nodes.field(node, arguments=out)

    def object_relationship(self, table: str, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        """One related row. Hasura has no filter here: the row brings its organization along and is checked afterwards."""
        rewritten, below = self.inside(Position(Place.ROW, table), node, at)
        column = self.index.tenant_column
        if column is None or not self.index.is_tenant(table):
            return rewritten, below
        self.variables.check_organization_type(self.inputs.organization_type(table), at)
        assert rewritten.selection_set is not None
        helper = FieldNode(
            alias=nodes.named(self.helper), name=nodes.named(column), arguments=(), directives=(), selection_set=None
        )
        self.inputs.reason(at, f"a row of another organization becomes null: {column} comes along as {self.helper}")
        selection_set = nodes.make(SelectionSetNode, selections=(*rewritten.selection_set.selections, helper))
        own = Step((nodes.response_key(node),), Action.OWN, self.helper)
        return nodes.field(rewritten, selection_set=selection_set), (own, *below)

    # Root fields.

    def root_field(self, kind: str, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        name = node.name.value
        if kind == "query" and name in ("__schema", "__type"):
            self.pass_arguments(node)
            return self.inside(Position(Place.OPEN), node, at)
        root = self.index.roots.get(self.kind, {}).get(name)
        if root is None:
            raise refusals.broken(f"unknown root field {name!r}", at, hint="If the schema has changed: `automio pull`.")
        for argument in node.arguments or ():
            if argument.name.value not in root.arguments:
                raise refusals.broken(f"{name} has no argument {argument.name.value!r}", at)
        if root.kind is RootKind.OTHER:
            return self.function(root, node, at)
        self.inputs.table(root.table)
        if root.kind in (RootKind.LIST, RootKind.AGGREGATE):
            place = Place.ROW if root.kind is RootKind.LIST else Place.AGGREGATE
            return self.inside(Position(place, root.table), self.listing(root.table, node, at), at)
        if root.kind is RootKind.STREAM:
            return self.inside(Position(Place.ROW, root.table), self.stream(root, node, at), at)
        if root.kind is RootKind.BY_PK:
            return self.by_pk(root, node, at)
        self.inputs.check_writable(root.table, at)
        return self.write(root, node, at)

    def function(self, root: Root, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        """A root field that is no table's: only when the policy names it; what it returns is scoped all the same."""
        if not self.inputs.is_safe(root.name):
            raise refusals.undeclared_function(root.name, at)
        position = self.position_of(root.type.strip("[]!"))
        if position is None:
            return self.unknown(node, at)
        table, own = position.of, [name for name in root.arguments if name not in _LIST_ARGUMENTS]
        if "where" in root.arguments and position.place in (Place.ROW, Place.AGGREGATE):
            return self.inside(position, self.listing(table, node, at, own), at)
        self.pass_arguments(node)
        if self.index.tenant_column is None:
            return self.inside(position, node, at)
        if position.place is Place.ROW and not root.type.startswith("["):
            return self.object_relationship(table, node, at)
        raise refusals.unknown_below(root.name, at)

    def unknown(self, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        """A field that is allowed and whose type the index doesn't know."""
        self.pass_arguments(node)
        if node.selection_set is None:
            return node, ()
        return self.inside(Position(Place.OPEN if self.index.tenant_column is None else Place.LEAVES), node, at)

    def arguments(self, node: FieldNode) -> dict[str, ValueNode]:
        return {argument.name.value: argument.value for argument in node.arguments or ()}

    def stream(self, root: Root, node: FieldNode, at: str) -> FieldNode:
        given = self.arguments(node)
        out: list[ArgumentNode] = []
        for name, value in given.items():
            if name == "cursor":
                out.append(nodes.argument(name, self.inputs.cursor(root.table, value, f"{at}.cursor")))
            elif name != "where":
                out.append(nodes.argument(name, self.inputs.plain(value)))
        where = self.inputs.where(root.table, given.get("where"), f"{at}.where")
        if where is not None:
            out.append(nodes.argument("where", where))
        return nodes.field(node, arguments=out)

    def by_pk(self, root: Root, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        keys = self.keys_of(root, node, at)
        if not self.index.is_tenant(root.table):
            return self.inside(Position(Place.ROW, root.table), node, at)
        listing = self.twin(root, RootKind.LIST, at)
        rewritten = nodes.field(
            node,
            name=listing.name,
            arguments=[
                nodes.argument("where", self.inputs.key_filter(root.table, keys, at)),
                nodes.argument("limit", nodes.integer(1)),
            ],
        )
        rewritten, below = self.inside(Position(Place.ROW, root.table), rewritten, at)
        return rewritten, (Step((nodes.response_key(node),), Action.FIRST), *below)

    def keys_of(self, root: Root, node: FieldNode, at: str) -> list[tuple[str, ValueNode]]:
        given = {name: self.inputs.key_value(value, f"{at}.{name}") for name, value in self.arguments(node).items()}
        return self.inputs.whole_key(root.arguments, given, at)

    def twin(self, root: Root, kind: RootKind, at: str) -> Root:
        """The root field of the same table and operation that takes a filter."""
        for other in self.index.roots.get(root.operation, {}).values():
            if other.kind is kind and other.table == root.table:
                return other
        raise refusals.broken(
            f"{root.name} cannot be scoped: the schema has no {kind.value} field for {root.table}", at
        )

    # Writes.

    def write(self, root: Root, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        if root.kind in (RootKind.UPDATE_BY_PK, RootKind.DELETE_BY_PK) and self.index.is_tenant(root.table):
            return self.write_by_pk(root, node, at)
        position = Position(Place.RESPONSE if root.kind in _RESPONSE_KINDS else Place.ROW, root.table)
        return self.inside(position, nodes.field(node, arguments=self.write_arguments(root, node, at)), at)

    def write_arguments(self, root: Root, node: FieldNode, at: str) -> list[ArgumentNode]:
        given = self.arguments(node)
        table = root.table
        if root.kind is RootKind.DELETE_BY_PK:
            self.keys_of(root, node, at)
            return list(node.arguments or ())
        out: list[ArgumentNode] = []
        where: ValueNode | None = None
        integrity = self.inputs.integrity
        if root.kind in (RootKind.UPDATE, RootKind.DELETE):
            where = self.inputs.required_where(table, given.pop("where", None), f"{at}.where")
            out.append(nodes.argument("where", where))
        for name, value in given.items():
            place = f"{at}.{name}"
            if name in ("objects", "object"):
                integrity.path = f"$.selectionSet.{root.name}.args.{name}"
                integrity.new = given.keys().isdisjoint(("on_conflict", "onConflict"))
                rewritten = self.inputs.insert(table, value, place)
                integrity.path = "$"
            elif word(name) == "on_conflict":
                rewritten = self.inputs.on_conflict(table, value, place)
            elif name == "updates":
                rewritten = self.inputs.updates(table, value, place)
            elif word(name) == "pk_columns":
                keys = self.inputs.pk_columns(table, value, place)
                rewritten = nodes.obj(nodes.entry(column, key) for column, key in keys)
            elif name.startswith("_"):
                rewritten = self.inputs.change(table, name, value, place)
            else:
                raise refusals.broken(f"{root.name} has no argument {name!r}", at)
            out.append(nodes.argument(name, rewritten))
        if where is not None and root.kind is RootKind.DELETE:
            integrity.delete(table, where)
        elif where is not None:
            integrity.update(table, where, [argument.value for argument in out if argument.name.value.startswith("_")])
        return out

    def write_by_pk(self, root: Root, node: FieldNode, at: str) -> tuple[FieldNode, Steps]:
        """One row by key becomes the rows by filter; the row is taken out of `returning`."""
        given = self.arguments(node)
        out: list[ArgumentNode] = []
        if root.kind is RootKind.DELETE_BY_PK:
            twin, keys = self.twin(root, RootKind.DELETE, at), self.keys_of(root, node, at)
        else:
            twin = self.twin(root, RootKind.UPDATE, at)
            argument = root.argument("pk_columns")
            if argument not in given:
                raise refusals.missing_key(f"{at}.pk_columns")
            keys = self.inputs.pk_columns(root.table, given.pop(argument), f"{at}.{argument}")
            out = [
                nodes.argument(name, self.inputs.change(root.table, name, value, f"{at}.{name}"))
                for name, value in given.items()
            ]
        exact = self.inputs.key_filter(root.table, keys, at)
        where = nodes.argument("where", exact)
        if root.kind is RootKind.DELETE_BY_PK:
            self.inputs.integrity.delete(root.table, exact)
        else:
            self.inputs.integrity.update(root.table, exact, [argument.value for argument in out])
        row, below = self.inside(Position(Place.ROW, root.table), node, at)
        assert row.selection_set is not None
        returning = FieldNode(
            alias=None,
            name=nodes.named(_ROWS_OF_RETURNING),
            arguments=(),
            directives=(),
            selection_set=row.selection_set,
        )
        rewritten = nodes.field(
            node,
            name=twin.name,
            arguments=[where, *out],
            selection_set=nodes.make(SelectionSetNode, selections=(returning,)),
        )
        return rewritten, (Step((nodes.response_key(node),), Action.RETURNING_FIRST), *below)


def _fresh_alias(column: str, taken: frozenset[str]) -> str:
    number = 1
    while f"{column}_{number}" in taken:
        number += 1
    return f"{column}_{number}"
