"""What the walk meets of foreign keys and deletes -> Check. Called by inputs.py and walk.py while they rewrite a mutation.

Reference: tenancy, section 5.7. The walk tells here each value that it lets through to a column that is a foreign key, each
filter that deletes rows, and each that gives new values to a key that others refer to; `finish` makes one check of it.
Nodes come as they will be sent, so that the check and the mutation speak of the same rows. Nothing is collected where no
reference is declared, and then there is no check.

Not needed: the update arm of an upsert, whose values are those of its rows. Refused, since no query could tell beforehand:
to change a foreign key by an operator (`_inc`), and to replace a referenced key in an upsert, where the rows that will
lose it are not known.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphql import NullValueNode, ObjectValueNode, ValueNode, VariableDefinitionNode, VariableNode

from automio.dialect.index import SchemaIndex
from automio.scope import nodes, refusals
from automio.scope.check import Check, Given, Gives, Guard, below
from automio.scope.printing import print_definition, print_value
from automio.scope.variables import Variables


class Integrity:
    """The book of one mutation. `path` is where Hasura would say that a foreign key is violated; the walk keeps it."""

    def __init__(self, index: SchemaIndex, variables: Variables) -> None:
        self.index = index
        self.variables = variables
        self.path = "$"
        self.new = True
        """Whether the rows that are being walked replace none: no `on_conflict` stands beside them."""
        self.keys = index.referred
        self.given: dict[Given, None] = {}
        self.guards: dict[tuple[Guard, tuple[str, ...]], None] = {}

    # What the walk tells.

    def value(self, table: str, column: str, node: ValueNode, *, new: bool = False) -> None:
        """A value for a column, as it is sent. `new`: of a row that is inserted."""
        if not self.keys:
            return
        known = column in self.index.tables[table].references
        new = new and self.new and column in self.keys.get(table, ())
        if not (known or new) or isinstance(node, NullValueNode):
            return
        variable, constant = "", ""
        if isinstance(node, VariableNode):
            variable, constant = node.name.value, self.variables.default_of(node.name.value)
        elif nodes.variables_in(node):
            raise refusals.unchecked("a value made of several variables")
        else:
            constant = nodes.json_text(node)
        self.given[Given(Gives.VALUE, table, column, variable, constant, self.path, new)] = None

    def whole(self, form: Gives, table: str, node: ValueNode) -> None:
        """A variable that holds rows, new values or updates of a table."""
        if not self.keys or not isinstance(node, VariableNode):
            return
        inserts = form in (Gives.ROWS, Gives.NESTED)
        tables = below(self.index, table) if inserts else [table]
        if any(self.index.tables[name].references for name in tables):
            new = form is Gives.ROWS and self.new
            self.given[Given(form, table, variable=node.name.value, path=self.path, new=new)] = None

    def delete(self, table: str, where: ValueNode) -> None:
        keys = self.keys.get(table)
        if keys:
            self.guard(Guard(table, tuple(sorted(keys)), print_value(where)), where)

    def update(self, table: str, where: ValueNode, changes: Iterable[ValueNode]) -> None:
        """An update by one filter. `changes` are the values of `_set` and its like."""
        keys = self.keys.get(table)
        if not keys:
            return
        changed: set[str] = set()
        when: list[str] = []
        for node in changes:
            if isinstance(node, VariableNode):
                when.append(node.name.value)
            elif isinstance(node, ObjectValueNode):
                changed |= {member.name.value for member in node.fields} & keys
        if changed:
            self.guard(Guard(table, tuple(sorted(changed)), print_value(where)), where)
        if when and keys - changed:
            guard = Guard(table, tuple(sorted(keys - changed)), print_value(where), when=tuple(when))
            self.guard(guard, where)

    def updates(self, table: str, node: VariableNode) -> None:
        """A variable of `updates`."""
        self.whole(Gives.UPDATES, table, node)
        if keys := self.keys.get(table):
            self.guard(Guard(table, tuple(sorted(keys)), each=node.name.value), None)

    def guard(self, guard: Guard, where: ValueNode | None) -> None:
        used = [variable.name.value for variable in nodes.variables_in(where)] if where is not None else []
        self.guards[guard, tuple(dict.fromkeys(used))] = None

    # What comes of it.

    def finish(self, name: str, definitions: Iterable[VariableDefinitionNode]) -> Check | None:
        """The check of the operation of this name, with these definitions. Raises ScopeError for tables that no one
        variable can be compared with."""
        if not self.given and not self.guards:
            return None
        organization = self.variables.scope_name
        texts = {d.variable.name.value: print_definition(d).removeprefix("$") for d in definitions}
        guards = tuple(
            Guard(
                guard.table,
                guard.keys,
                guard.where,
                tuple((used, texts[used].removeprefix(used)) for used in names if used != organization),
                guard.when,
                guard.each,
            )
            for guard, names in self.guards
        )
        check = Check(f"{name}Check", organization, tuple(self.given), guards)
        self.check_types(check)
        return check

    def check_types(self, check: Check) -> None:
        tables = {table for one in check.given for table in self.asked(one)}
        for guard in check.guards:
            tables |= {guard.table, *(name for name, to in self.index.referring(guard.table) if to.key in guard.keys)}
        column = self.index.tenant_column or ""
        types = {self.index.tables[name].columns[column].named_type for name in tables if self.index.is_tenant(name)}
        if len(types) > 1:
            raise refusals.broken(f"organization columns of two types ({', '.join(sorted(types))}) cannot be compared")

    def asked(self, given: Given) -> Iterable[str]:
        inserts = given.form in (Gives.ROWS, Gives.NESTED)
        for name in below(self.index, given.table) if inserts else [given.table]:
            yield from (to.table for to in self.index.tables[name].references.values())
