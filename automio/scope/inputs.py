"""Input values of the document -> the same values, scoped. Called by walk.py; values.py is its twin for variables.

Reference: tenancy, section 4 (SCOPE, BE, ORDER) and 5.2, 5.4, 5.5, 5.6, 5.9. The scope wraps a filter and is never
merged into it: the author may have the same key, the filter may be a variable, and `_and` needs no proof.

`T` is always a row type of the index. `missing` says what an absent variable in a comparison means: OPTIONAL (no
condition: a query's optional filter) or REFUSE (an update, a delete, the update arm of an upsert).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphql import (
    EnumValueNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)

from automio.dialect.index import SchemaIndex, Table
from automio.dialect.names import word
from automio.scope import nodes, refusals
from automio.scope.check import Gives
from automio.scope.integrity import Integrity
from automio.scope.policy import Policy
from automio.scope.rules import Missing, ValueRule
from automio.scope.turning import names_one
from automio.scope.variables import Variables


@dataclass(frozen=True, slots=True)
class Reason:
    """One change that scoping made: where in the caller's document, and what and why. For `automio explain`."""

    path: str
    text: str


class Inputs:
    """The rewriting of one document's input values. Collects reasons and the row types that values touch."""

    def __init__(self, index: SchemaIndex, policy: Policy, variables: Variables) -> None:
        self.index = index
        self.policy = policy
        self.variables = variables
        self.reasons: dict[Reason, None] = {}
        self.tables: dict[str, None] = {}
        self.integrity = Integrity(index, variables)

    def table(self, name: str) -> Table:
        self.tables[name] = None
        return self.index.tables[name]

    def reason(self, place: str, text: str) -> None:
        self.reasons[Reason(place, text)] = None

    def is_safe(self, field: str) -> bool:
        """True when a function (`search_orders`, `row_type.field`) may run: named by the policy, or nothing to protect."""
        return self.index.tenant_column is None or field in self.policy.safe_functions

    def refuse_field(self, table: str, field: str, place: str) -> Exception:
        known = self.index.tables[table]
        if field in known.other:
            return refusals.undeclared_function(f"{table}.{field}", place)
        return refusals.unknown_field(field, table, [*known.columns, *known.relationships, *known.aggregates], place)

    def plain(self, node: ValueNode) -> ValueNode:
        """A value that names no rows. Its variables go through."""
        if isinstance(node, VariableNode):
            return self.variables.as_is(node)
        for variable in nodes.variables_in(node):
            self.variables.as_is(variable)
        return node

    def organization(self, table: str, place: str) -> VariableNode:
        return self.variables.organization(self.organization_type(table), place)

    def organization_type(self, table: str) -> str:
        return self.index.tables[table].columns[self.index.tenant_column or ""].named_type

    def wrapped(self, table: str, inner: ValueNode, place: str, why: str) -> ObjectValueNode:
        """`{_and: [{organization_id: {_eq: $org}}, inner]}`"""
        self.reason(place, why)
        column = self.index.tenant_column or ""
        return nodes.both(nodes.obj([nodes.equals(column, self.organization(table, place))]), inner)

    # Filters.

    def where(
        self, table: str, node: ValueNode | None, place: str, missing: Missing = Missing.OPTIONAL
    ) -> ValueNode | None:
        """SCOPE(T, w) where a whole filter may be absent or null: lists, aggregates, streams, predicates, upserts."""
        self.table(table)
        tenant = self.index.is_tenant(table)
        if isinstance(node, VariableNode):
            kind, absent = ValueRule.BOOL_EXP, Missing.EMPTY if tenant else Missing.KEEP
            inner: ValueNode | None = self.variables.turned(node, kind, table, absent, place, not_null=tenant)
        elif node is None or isinstance(node, NullValueNode):
            inner = nodes.obj() if tenant else node
        else:
            inner = self.bool_exp(table, node, place, missing)
        if not tenant or inner is None:
            return inner
        return self.wrapped(
            table, inner, place, f"only rows of the organization: {table} has {self.index.tenant_column}"
        )

    def required_where(self, table: str, node: ValueNode | None, place: str) -> ValueNode:
        """The filter of an update or delete: it must be there. A literal `{}` is its author's written choice."""
        self.table(table)
        if node is None or isinstance(node, NullValueNode):
            raise refusals.absent_filter(place)
        if isinstance(node, VariableNode):
            inner: ValueNode = self.variables.turned(
                node, ValueRule.REQUIRED_FILTER, table, Missing.REFUSE, place, not_null=True
            )
        else:
            inner = self.bool_exp(table, node, place, Missing.REFUSE)
        if not self.index.is_tenant(table):
            return inner
        return self.wrapped(table, inner, place, f"only rows of the organization are changed: {table}")

    def bool_exp(self, table: str, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        """BE(T, w) of a literal."""
        facts = self.table(table)
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key in ("_and", "_or"):
                value = self.bool_exps(table, value, at, missing)
            elif isinstance(value, NullValueNode):
                raise refusals.null_comparison(at) if key in facts.columns else refusals.null_filter(at)
            elif key == "_not":
                value = (
                    self.variables.turned(value, ValueRule.BOOL_EXP, table, missing, at)
                    if isinstance(value, VariableNode)
                    else self.bool_exp(table, value, at, missing)
                )
            elif key in facts.other and not self.is_safe(f"{table}.{key}"):
                raise self.refuse_field(table, key, at)
            elif key in facts.columns or (key in facts.other and key not in facts.relationships):
                value = self.comparison(value, at, missing)
            elif key in facts.relationships:
                value = self.related(facts.relationships[key].table, value, at, missing)
            elif key in facts.aggregates:
                value = self.aggregate_bool_exp(facts.aggregates[key], value, at, missing)
            else:
                raise self.refuse_field(table, key, at)
            out.append(nodes.entry(key, value))
        return nodes.obj(out)

    def bool_exps(self, table: str, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        """The value of `_and` or `_or`: a list, or one object for a list of one."""
        required = missing is Missing.REFUSE
        if isinstance(node, VariableNode):
            kind = ValueRule.REQUIRED_FILTER if required else ValueRule.BOOL_EXPS
            return self.variables.turned(node, kind, table, missing, place)
        if not isinstance(node, ListValueNode):
            if isinstance(node, NullValueNode):
                raise refusals.null_filter(place)
            return self.bool_exp(table, node, place, missing)
        out: list[ValueNode] = []
        for value in node.values:
            if isinstance(value, NullValueNode):
                raise refusals.null_filter(place)
            if isinstance(value, VariableNode):
                kind = ValueRule.REQUIRED_FILTER if required else ValueRule.BOOL_EXP
                out.append(self.variables.turned(value, kind, table, Missing.REFUSE, place, not_null=True))
            else:
                out.append(self.bool_exp(table, value, place, missing))
        return nodes.array(out)

    def related(self, table: str, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        """The filter on a relationship to T: SCOPE(T, v). An absent variable stays "no condition", so it is wrapped in
        its value, unless it cannot be absent."""
        self.table(table)
        why = f"only related rows of the organization count: {table}"
        tenant = self.index.is_tenant(table)
        if not isinstance(node, VariableNode):
            inner = self.bool_exp(table, node, place, missing)
            return self.wrapped(table, inner, place, why) if tenant else inner
        if not tenant:
            return self.variables.turned(node, ValueRule.BOOL_EXP, table, missing, place)
        if missing is Missing.REFUSE or self.variables.declared_not_null(node):
            inner = self.variables.turned(node, ValueRule.BOOL_EXP, table, Missing.REFUSE, place, not_null=True)
            return self.wrapped(table, inner, place, why)
        self.reason(place, f"{why} (wrapped in the variable's value)")
        return self.variables.turned(node, ValueRule.SCOPED_BOOL_EXP, table, missing, place)

    def comparison(self, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        """`{_eq: …}`: no operand may be null, and none may vanish where the filter decides what is changed."""
        if isinstance(node, VariableNode):
            return self.variables.checked(node, ValueRule.COMPARISON_EXP, missing)
        out: list[ObjectFieldNode] = []
        for operator, operand, at in self.members(node, place):
            if isinstance(operand, NullValueNode):
                raise refusals.null_comparison(at)
            if operator == "_cast" and isinstance(operand, ObjectValueNode):
                casts = [
                    nodes.entry(name, self.comparison(value, below, missing))
                    for name, value, below in self.members(operand, at)
                ]
                out.append(nodes.entry(operator, nodes.obj(casts)))
                continue
            if isinstance(operand, VariableNode):
                operand = self.variables.checked(operand, ValueRule.COMPARISON, missing)
            elif missing is Missing.REFUSE:
                for variable in nodes.variables_in(operand):
                    self.variables.checked(variable, ValueRule.COMPARISON, missing)
            else:
                self.plain(operand)
            out.append(nodes.entry(operator, operand))
        return nodes.obj(out)

    def aggregate_bool_exp(self, table: str, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        """`{count: {predicate: …, filter: …}}` over related rows of T."""
        if isinstance(node, VariableNode):
            self.reason(place, f"only related rows of the organization count: {table} (in the variable's value)")
            return self.variables.turned(node, ValueRule.AGGREGATE_BOOL_EXP, table, missing, place)
        out: list[ObjectFieldNode] = []
        for function, value, at in self.members(node, place):
            if isinstance(value, NullValueNode):
                raise refusals.null_filter(at)
            if isinstance(value, VariableNode):
                self.reason(at, f"only related rows of the organization count: {table} (in the variable's value)")
                value = self.variables.turned(value, ValueRule.AGGREGATE_PREDICATE, table, missing, at)
            else:
                value = self.aggregate_predicate(table, value, at, missing)
            out.append(nodes.entry(function, value))
        return nodes.obj(out)

    def aggregate_predicate(self, table: str, node: ValueNode, place: str, missing: Missing) -> ValueNode:
        filter_: ValueNode | None = None
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key == "filter":
                filter_ = value
            elif key == "predicate":
                if isinstance(value, NullValueNode):
                    raise refusals.null_comparison(at)
                out.append(nodes.entry(key, self.comparison(value, at, missing)))
            elif key == "arguments":
                out.append(nodes.entry(key, self.columns(table, value, at)))
            elif key == "distinct":
                out.append(nodes.entry(key, self.plain(value)))
            else:
                raise refusals.broken(f"an aggregate's predicate has no field {key!r}", at)
        scoped = self.where(table, filter_, f"{place}.filter", missing)
        return nodes.obj([*out, nodes.entry("filter", scoped)] if scoped is not None else out)

    # Orders and names of columns.

    def order_by(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """ORDER(T, l): a list, or one object for a list of one."""
        if isinstance(node, NullValueNode):
            return node
        if isinstance(node, VariableNode):
            return self.variables.turned(node, ValueRule.ORDER_BY, table, Missing.KEEP, place)
        if not isinstance(node, ListValueNode):
            return self.order(table, node, place)
        return nodes.array(
            self.variables.turned(value, ValueRule.ORDER_BY, table, Missing.REFUSE, place, not_null=True)
            if isinstance(value, VariableNode)
            else self.order(table, value, place)
            for value in node.values
        )

    def order(self, table: str, node: ValueNode, place: str) -> ValueNode:
        facts = self.table(table)
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            relationship = facts.relationships.get(key)
            target = relationship.table if relationship else facts.aggregates.get(key)
            if key in facts.columns or (key in facts.other and not target and self.is_safe(f"{table}.{key}")):
                out.append(nodes.entry(key, self.plain(value)))
            elif target is None or key in facts.other:
                raise self.refuse_field(table, key, at)
            elif self.index.is_tenant(target):
                raise refusals.order_by_tenant(at)
            elif relationship is not None:
                out.append(nodes.entry(key, self.order_by(target, value, at)))
            else:
                self.table(target)
                out.append(nodes.entry(key, self.plain(value)))
        return nodes.obj(out)

    def columns(self, table: str, node: ValueNode, place: str) -> ValueNode:
        if isinstance(node, VariableNode):
            return self.variables.turned(node, ValueRule.COLUMNS, table, Missing.KEEP, place)
        return self.plain(node)

    def cursor(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """A stream's cursor: a list, or one object for a list of one. As a whole it takes no null, its elements do."""
        if isinstance(node, VariableNode):
            return self.variables.turned(node, ValueRule.CURSOR, table, Missing.REFUSE, place, not_null=True)
        if not isinstance(node, ListValueNode):
            return self.plain(node)
        return nodes.array(
            self.variables.turned(value, ValueRule.CURSOR, table, Missing.KEEP, place)
            if isinstance(value, VariableNode)
            else self.plain(value)
            for value in node.values
        )

    # Writes.

    def check_writable(self, table: str, place: str) -> None:
        shared = self.index.tenant_column is not None and not self.index.is_tenant(table)
        if shared and table not in self.policy.writable_shared_tables:
            raise refusals.read_only(place)

    def insert(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """Rows of T: a list, or one object for a list of one."""
        self.table(table)
        if isinstance(node, VariableNode):
            if self.index.is_tenant(table):
                self.reason(place, f"the organization is filled in: {table} (in the variable's value)")
            turned = self.variables.turned(node, ValueRule.INSERT, table, Missing.REFUSE, place, not_null=True)
            self.integrity.whole(Gives.ROWS, table, turned)
            return turned
        if isinstance(node, ListValueNode):
            return nodes.array(self.insert(table, value, place) for value in node.values)
        if isinstance(node, NullValueNode):
            raise refusals.missing_value(place)
        return self.row(table, node, place)

    def row(self, table: str, node: ValueNode, place: str) -> ValueNode:
        facts = self.table(table)
        column = self.index.tenant_column if self.index.is_tenant(table) else None
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key == column:
                self.own_organization(value, at, Missing.KEEP)
            elif key in facts.columns:
                out.append(nodes.entry(key, self.plain(value)))
                self.integrity.value(table, key, out[-1].value, new=True)
            elif key in facts.relationships and key not in facts.other:
                out.append(nodes.entry(key, self.nested_insert(facts.relationships[key].table, value, at)))
            else:
                raise self.refuse_field(table, key, at)
        if column is not None:
            self.reason(place, f"the organization is filled in: {table}")
            out.append(nodes.entry(column, self.organization(table, place)))
        return nodes.obj(out)

    def own_organization(self, node: ValueNode, place: str, missing: Missing) -> None:
        """The author gave the organization: it must be the caller's at each call."""
        if isinstance(node, VariableNode):
            if not self.variables.is_organization(node):
                self.variables.check(node, ValueRule.OWN_ORGANIZATION, missing)
        elif isinstance(node, IntValueNode):
            self.variables.literal(ValueRule.OWN_ORGANIZATION, node.value, place)
        elif not isinstance(node, NullValueNode):
            raise refusals.other_organization(place)
        elif missing is not Missing.KEEP:
            raise refusals.cannot_be_changed(place)

    def nested_insert(self, table: str, node: ValueNode, place: str) -> ValueNode:
        if isinstance(node, NullValueNode):
            return node
        self.check_writable(table, place)
        self.table(table)
        if isinstance(node, VariableNode):
            self.reason(place, f"the organization is filled in: {table} (in the variable's value)")
            turned = self.variables.turned(node, ValueRule.NESTED_INSERT, table, Missing.KEEP, place)
            self.integrity.whole(Gives.NESTED, table, turned)
            return turned
        out: list[ObjectFieldNode] = []
        outer, self.integrity.new = self.integrity.new, not self.replaces(node)
        for key, value, at in self.members(node, place):
            if key == "data":
                out.append(nodes.entry(key, self.insert(table, value, at)))
            elif word(key) == "on_conflict":
                out.append(nodes.entry(key, self.on_conflict(table, value, at)))
            else:
                raise refusals.broken(f"a nested insert has no field {key!r}", at)
        self.integrity.new = outer
        return nodes.obj(out)

    def replaces(self, node: ValueNode) -> bool:
        """Whether a nested insert says what happens to rows that exist. A null says nothing, but a variable may."""
        members = node.fields if isinstance(node, ObjectValueNode) else ()
        return any(word(m.name.value) == "on_conflict" and not isinstance(m.value, NullValueNode) for m in members)

    def on_conflict(self, table: str, node: ValueNode, place: str) -> ValueNode:
        if isinstance(node, NullValueNode):
            return node
        if isinstance(node, VariableNode):
            if self.index.is_tenant(table):
                self.reason(place, f"only rows of the organization are updated: {table} (in the variable's value)")
            return self.variables.turned(node, ValueRule.ON_CONFLICT, table, Missing.KEEP, place)
        where: ValueNode | None = None
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key == "where":
                where = value
            elif word(key) == "update_columns":
                out.append(nodes.entry(key, self.replaced(table, value, at)))
            elif key == "constraint":
                out.append(nodes.entry(key, self.plain(value)))
            else:
                raise refusals.broken(f"on_conflict has no field {key!r}", at)
        scoped = self.where(table, where, f"{place}.where", Missing.REFUSE)
        return nodes.obj([*out, nodes.entry("where", scoped)] if scoped is not None else out)

    def replaced(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """Columns that an upsert replaces: never a key that others refer to."""
        keys = self.integrity.keys.get(table)
        if not keys:
            return self.columns(table, node, place)
        if isinstance(node, VariableNode):
            return self.variables.turned(node, ValueRule.REPLACED, table, Missing.KEEP, place)
        if isinstance(node, ListValueNode):
            return nodes.array(self.replaced(table, value, place) for value in node.values)
        if isinstance(node, EnumValueNode) and names_one(node.value, keys):
            raise refusals.unchecked_upsert(place)
        return self.plain(node)

    def set(self, table: str, node: ValueNode, place: str) -> ValueNode:
        if isinstance(node, NullValueNode):
            return node
        if isinstance(node, VariableNode):
            turned = self.variables.turned(node, ValueRule.SET, table, Missing.KEEP, place)
            self.integrity.whole(Gives.SET, table, turned)
            return turned
        facts = self.table(table)
        column = self.index.tenant_column if self.index.is_tenant(table) else None
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key not in facts.columns:
                raise self.refuse_field(table, key, at)
            if key == column:
                self.own_organization(value, at, Missing.OPTIONAL)
                self.reason(at, "checked at each call: rows stay in their organization")
                out.append(nodes.entry(key, self.organization(table, at)))
            else:
                out.append(nodes.entry(key, self.plain(value)))
                self.integrity.value(table, key, out[-1].value)
        return nodes.obj(out)

    def operator(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """_inc, _append and their like."""
        if isinstance(node, NullValueNode):
            return node
        if isinstance(node, VariableNode):
            return self.variables.turned(node, ValueRule.OPERATOR, table, Missing.KEEP, place)
        facts = self.table(table)
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key not in facts.columns:
                raise self.refuse_field(table, key, at)
            if key == self.index.tenant_column:
                raise refusals.cannot_be_changed(at)
            if key in facts.references:
                raise refusals.unchecked_operator(at)
            out.append(nodes.entry(key, self.plain(value)))
        return nodes.obj(out)

    def change(self, table: str, key: str, node: ValueNode, place: str) -> ValueNode:
        """An argument of an update, or a field of an `updates` object, that is not its filter."""
        return self.set(table, node, place) if key == "_set" else self.operator(table, node, place)

    def updates(self, table: str, node: ValueNode, place: str) -> ValueNode:
        """`[{where, _set, …}]`, or one object for a list of one."""
        if isinstance(node, VariableNode):
            if self.index.is_tenant(table):
                self.reason(place, f"only rows of the organization are changed: {table} (in the variable's value)")
            turned = self.variables.turned(node, ValueRule.UPDATES, table, Missing.REFUSE, place, not_null=True)
            self.integrity.updates(table, turned)
            return turned
        if isinstance(node, ListValueNode):
            return nodes.array(self.updates(table, value, place) for value in node.values)
        where: ValueNode | None = None
        out: list[ObjectFieldNode] = []
        for key, value, at in self.members(node, place):
            if key == "where":
                where = value
            elif key.startswith("_"):
                out.append(nodes.entry(key, self.change(table, key, value, at)))
            else:
                raise refusals.broken(f"an update has no field {key!r}", at)
        scoped = self.required_where(table, where, f"{place}.where")
        self.integrity.update(table, scoped, [change.value for change in out])
        return nodes.obj([nodes.entry("where", scoped), *out])

    # Keys.

    def key_value(self, node: ValueNode, place: str) -> ValueNode:
        """A part of a key: never null, never absent, since Hasura could read that as "true"."""
        if isinstance(node, NullValueNode):
            raise refusals.missing_key(place)
        if isinstance(node, VariableNode):
            return self.variables.checked(node, ValueRule.KEY, Missing.REFUSE)
        return self.plain(node)

    def key_filter(self, table: str, keys: Iterable[tuple[str, ValueNode]], place: str) -> ObjectValueNode:
        """The filter for the one row with this key: own and equal in each part."""
        exact = nodes.obj([nodes.equals(column, value) for column, value in keys])
        return self.wrapped(table, exact, place, f"by key, but only a row of the organization: {table}")

    def pk_columns(self, table: str, node: ValueNode, place: str) -> list[tuple[str, ValueNode]]:
        """The parts of a key that is given as one object. A variable is taken apart: one variable a column."""
        facts = self.table(table)
        if isinstance(node, VariableNode):
            return [
                (
                    column,
                    self.variables.turned(
                        node,
                        ValueRule.PK_COLUMN,
                        table,
                        Missing.REFUSE,
                        place,
                        column=column,
                        type_=f"{facts.columns[column].type.removesuffix('!')}!",
                    ),
                )
                for column in facts.primary_key
            ]
        given = {key: self.key_value(value, at) for key, value, at in self.members(node, place)}
        return self.whole_key(facts.primary_key, given, place)

    def whole_key(self, columns: Iterable[str], given: dict[str, ValueNode], place: str) -> list[tuple[str, ValueNode]]:
        """The parts in the schema's order; all of them and no other."""
        wanted = list(columns)
        for name in given:
            if name not in wanted:
                raise refusals.broken(f"{name!r} is not part of the key", place)
        for name in wanted:
            if name not in given:
                raise refusals.missing_key(f"{place}.{name}")
        return [(name, given[name]) for name in wanted]

    def members(self, node: ValueNode, place: str) -> Iterable[tuple[str, ValueNode, str]]:
        """The fields of an object literal, each with its place."""
        if not isinstance(node, ObjectValueNode):
            raise refusals.broken("an object is expected here", place)
        for member in node.fields:
            name = member.name.value
            yield name, member.value, f"{place}.{name}"
