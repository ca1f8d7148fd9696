"""Variables: the book that the walk keeps of every variable it meets, and what comes of it: definitions and rules.

A variable is sent once for each different treatment of its value, "unchanged" being one of them. The first treatment
that the walk meets keeps the variable's name, the others get `name_1`, `name_2`, …; a key that is taken apart gives
`name_column`. A target whose value is turned has no default in the document: the client fills it (the rule carries it),
since a default is a value like any other and has to be turned like one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphql import (
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    TypeNode,
    VariableDefinitionNode,
    VariableNode,
    parse_type,
)

from automio.dialect.index import InputKind, SchemaIndex
from automio.scope import nodes, refusals
from automio.scope.rules import Missing, Rule, ValueRule

_EXPECTED = {
    ValueRule.BOOL_EXP: InputKind.BOOL_EXP,
    ValueRule.BOOL_EXPS: InputKind.BOOL_EXP,
    ValueRule.SCOPED_BOOL_EXP: InputKind.BOOL_EXP,
    ValueRule.REQUIRED_FILTER: InputKind.BOOL_EXP,
    ValueRule.AGGREGATE_BOOL_EXP: InputKind.AGGREGATE_BOOL_EXP,
    ValueRule.ORDER_BY: InputKind.ORDER_BY,
    ValueRule.INSERT: InputKind.INSERT,
    ValueRule.ON_CONFLICT: InputKind.ON_CONFLICT,
    ValueRule.SET: InputKind.SET,
    ValueRule.OPERATOR: InputKind.OPERATOR,
    ValueRule.UPDATES: InputKind.UPDATES,
    ValueRule.PK_COLUMN: InputKind.PK_COLUMNS,
    ValueRule.CURSOR: InputKind.STREAM_CURSOR,
}


_OWN = ValueRule.OWN_ORGANIZATION
_NAMES = (ValueRule.COLUMNS, ValueRule.REPLACED)
_INTEGERS = ("Int", "bigint", "smallint")


@dataclass(frozen=True, slots=True)
class _Treatment:
    """How a value is turned. Equal treatments of one variable share one target."""

    kind: ValueRule
    table: str
    missing: Missing
    column: str
    type: str
    """Type text of the target."""


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    type: TypeNode


@dataclass(slots=True)
class _Entry:
    """One variable of the operation."""

    definition: VariableDefinitionNode
    as_is: str = ""
    """The name under which the value is sent unchanged."""
    checks: dict[tuple[ValueRule, Missing], None] = field(default_factory=dict)
    targets: dict[_Treatment, _Target] = field(default_factory=dict)
    own_name_is_taken: bool = False

    @property
    def default(self) -> str:
        default = self.definition.default_value
        return nodes.json_text(default) if default is not None else ""


class Variables:
    """Filled by the walk through its methods; `finish` gives the definitions and the rules."""

    def __init__(
        self,
        operation: OperationDefinitionNode,
        index: SchemaIndex,
        allowed: tuple[str, ...],
        scope_variable: str | None,
    ) -> None:
        self.index = index
        self.allowed = allowed
        self.entries = {d.variable.name.value: _Entry(d) for d in operation.variable_definitions or ()}
        self.declared = scope_variable if scope_variable in self.entries else None
        if self.declared and not _is_integer(self.entries[self.declared].definition.type):
            raise refusals.broken(f"${self.declared} carries the organization, so its type must be Int")
        self.made: set[str] = set()
        """Names of the new document that the caller's has not."""
        self.scope_name = self.declared or self.fresh(scope_variable or index.tenant_column or "organization_id")
        self.made.add(self.scope_name)
        self.scope_type = ""
        self.constants: dict[Rule, None] = {}

    def fresh(self, wanted: str) -> str:
        """A name that neither document has: the wanted one, or with a number behind it."""
        used = self.entries.keys() | self.made
        if wanted not in used:
            return wanted
        number = 1
        while f"{wanted}_{number}" in used:
            number += 1
        return f"{wanted}_{number}"

    def target_name(self, name: str, entry: _Entry, column: str) -> str:
        """The name for one more treatment of a variable."""
        if not column and not entry.own_name_is_taken:
            entry.own_name_is_taken = True
            return name
        found = self.fresh(f"{name}_{column}" if column else name)
        self.made.add(found)
        return found

    # Uses.

    def organization(self, type_: str, place: str) -> VariableNode:
        """The scope variable. `type_` is the organization column's type, which all tables must agree on."""
        self.check_organization_type(type_, place)
        self.scope_type = type_
        return nodes.variable(self.scope_name)

    def check_organization_type(self, type_: str, place: str) -> None:
        if type_ not in _INTEGERS:
            raise refusals.broken(f"an organization column of type {type_} cannot be scoped", place)
        if self.scope_type not in ("", type_):
            raise refusals.broken(
                f"organization columns of two types ({self.scope_type}, {type_}) in one document cannot be scoped",
                place,
            )

    def is_organization(self, node: VariableNode) -> bool:
        """True for the scope variable that the caller's document declares itself."""
        return node.name.value == self.declared

    def as_is(self, node: VariableNode) -> VariableNode:
        """The value goes through unchanged."""
        entry = self.entry(node)
        if not entry.as_is:
            entry.as_is = self.target_name(node.name.value, entry, "")
        return node if entry.as_is == node.name.value else nodes.variable(entry.as_is)

    def default_of(self, sent: str) -> str:
        """The default that the server fills in for a variable that is sent unchanged, as JSON text; "" for none."""
        return next((entry.default for entry in self.entries.values() if entry.as_is == sent), "")

    def checked(self, node: VariableNode, kind: ValueRule, missing: Missing) -> VariableNode:
        """The value goes through unchanged after a check."""
        if not self.is_organization(node):
            self.check(node, kind, missing)
        return self.as_is(node)

    def check(self, node: VariableNode, kind: ValueRule, missing: Missing) -> None:
        """The value is checked; the variable need not stand in the new document."""
        entry = self.entry(node)
        default = entry.definition.default_value
        if kind is ValueRule.COMPARISON_EXP and isinstance(default, ObjectValueNode) and _has_null_operand(default):
            raise refusals.null_comparison(f"${node.name.value}")
        if missing is Missing.OPTIONAL and (isinstance(default, NullValueNode) or self.declared_not_null(node)):
            missing = Missing.REFUSE
        entry.checks[kind, missing] = None

    def literal(self, kind: ValueRule, value: str, place: str) -> None:
        """A literal of the document that is checked at each call. `value` is JSON text."""
        self.constants[Rule("", kind, default=value, place=place)] = None

    def turned(
        self,
        node: VariableNode,
        kind: ValueRule,
        table: str,
        missing: Missing,
        place: str,
        *,
        not_null: bool = False,
        column: str = "",
        type_: str = "",
    ) -> VariableNode:
        """The value is turned by a rule. `not_null`: the position takes no null. `type_`: when it isn't the declared one."""
        entry = self.entry(node)
        declared = entry.definition.type
        if self.declared_not_null(node):
            missing = Missing.REFUSE
        self.check_type(nodes.type_name(declared), kind, table, place)
        target_type = parse_type(type_) if type_ else nodes.non_null(declared) if not_null else declared
        treatment = _Treatment(kind, table, missing, column, nodes.type_text(target_type))
        target = entry.targets.get(treatment)
        if target is None:
            target = _Target(self.target_name(node.name.value, entry, column), target_type)
            entry.targets[treatment] = target
        return nodes.variable(target.name)

    def declared_not_null(self, node: VariableNode) -> bool:
        type_ = self.entry(node).definition.type
        return nodes.non_null(type_) is type_

    def entry(self, node: VariableNode) -> _Entry:
        return self.entries[node.name.value]

    def check_type(self, name: str, kind: ValueRule, table: str, place: str) -> None:
        known = self.index.inputs.get(name)
        expected = _EXPECTED.get(kind)
        if known is not None and (known.table != table or (expected is not None and known.kind is not expected)):
            raise refusals.broken(f"a variable of type {name} does not fit here", place)

    # What comes of it.

    def finish(self) -> tuple[tuple[VariableDefinitionNode, ...], tuple[Rule, ...], frozenset[str]]:
        """The definitions of the new operation, the rules, and the caller's variables that are not sent any more."""
        definitions: list[VariableDefinitionNode] = []
        rules: list[Rule] = list(self.constants)
        dropped: set[str] = set()
        for name, entry in self.entries.items():
            if name == self.declared:
                definitions.append(self.scope_definition(entry.definition))
                continue
            if not entry.own_name_is_taken:
                dropped.add(name)
            if entry.as_is:
                definitions.append(_definition(entry.definition, entry.as_is))
            definitions += [
                # Names of columns come out as they went in, and the default makes a nullable variable fit where null doesn't.
                _definition(entry.definition, t.name, None if treatment.kind in _NAMES else t.type)
                for treatment, t in entry.targets.items()
            ]
            rules += self.rules_of(name, entry)
        if self.scope_type and self.declared is None:
            definitions.append(self.scope_definition(None))
        return tuple(definitions), tuple(rules), frozenset(dropped)

    def rules_of(self, name: str, entry: _Entry) -> list[Rule]:
        sent = entry.as_is
        default = entry.default
        rules = [
            Rule(name, kind, target=sent, missing=missing, default="" if sent and kind is not _OWN else default)
            for kind, missing in _with_default(entry.checks, default if sent else "")
        ]
        if sent and entry.targets and not rules:
            rules.append(Rule(name, ValueRule.AS_IS, target=sent))
        rules += [
            Rule(
                name,
                treatment.kind,
                table=treatment.table,
                target=target.name,
                missing=treatment.missing,
                column=treatment.column,
                default=default,
                allowed=self.allowed,
            )
            for treatment, target in entry.targets.items()
        ]
        return rules

    def scope_definition(self, declared: VariableDefinitionNode | None) -> VariableDefinitionNode:
        return nodes.make(
            VariableDefinitionNode,
            variable=nodes.variable(self.scope_name),
            type=nodes.non_null(declared.type if declared and not self.scope_type else parse_type(self.scope_type)),
            directives=tuple(declared.directives or ()) if declared else (),
        )


def _with_default(
    checks: Mapping[tuple[ValueRule, Missing], None], default: str
) -> Iterable[tuple[ValueRule, Missing]]:
    """An absent variable that the document gives a default is not missing: the server fills it in."""
    for kind, missing in checks:
        absent_is_fine = missing is Missing.REFUSE and default not in ("", "null")
        yield kind, Missing.OPTIONAL if absent_is_fine else missing


def _has_null_operand(comparison: ObjectValueNode) -> bool:
    """Whether `{_eq: …}` compares with null, which a value of the caller may not either; also inside `_cast`."""
    for member in comparison.fields:
        operand = member.value
        if isinstance(operand, NullValueNode):
            return True
        if member.name.value == "_cast" and isinstance(operand, ObjectValueNode):
            casts = [cast.value for cast in operand.fields]
            if any(isinstance(one, ObjectValueNode) and _has_null_operand(one) for one in casts):
                return True
    return False


def _is_integer(type_: TypeNode) -> bool:
    return nodes.type_text(type_).removesuffix("!") in _INTEGERS


def _definition(declared: VariableDefinitionNode, name: str, type_: TypeNode | None = None) -> VariableDefinitionNode:
    """The definition of one target: as declared when the value goes through, else with its own type and no default."""
    return nodes.make(
        VariableDefinitionNode,
        variable=nodes.variable(name),
        type=declared.type if type_ is None else type_,
        default_value=declared.default_value if type_ is None else None,
        directives=tuple(declared.directives or ()),
    )
