"""Mutations: document -> the writing part of a Plan. Called by plan.py. Next: render.py.

A mutation's root fields run in order, in one transaction. Most are one write; a nested insert is several, in Hasura's order:
the objects that a row belongs to, the row itself with their keys, the rows that belong to it with its key. Writes are
numbered through the whole mutation, and a later one may take a value from an earlier one's first row.

Flat rows become one INSERT. Rows with relationships are inserted one by one. A column that a relationship determines must not
be given as well, except the tenant column, which the foreign key compares anyway.

For a caller bound to an organization:
- an inserted row gets the organization; the same value may be given, another one is refused, null counts as not given;
- an update may not set the tenant column to anything but the organization, and no other operator may touch it;
- shared tables cannot be written: their fields are unknown to such a caller;
- `on_conflict` updates own rows only, as the table reference says;
- `Parent`: a foreign key that does not itself compare the organizations must not point to another organization's row; it fails
  in the words of a missing row. Only foreign keys whose columns are written are looked at, by whoever writes them (a default and
  a generated column do too). Where an upsert's update leaves the key as it was, the rows that it inserted are looked at alone,
  since the value in the object goes nowhere then; a partitioned table cannot tell them, so there all rows are;
- `Guard`: a delete (or an update of a referenced column) that cascades must not reach rows of others, at any depth, nor take
  own rows out of the organization (SET NULL and SET DEFAULT of a key with the tenant column); it fails in the words of a
  foreign key that does not cascade. Other foreign keys that compare the organizations need neither check.

For a caller with a role, as its permissions say (permissions.py): the presets of insert and update are put in, over what a
parent row determines; an update or a delete reaches rows of its filter alone, an upsert those of the update's filter; what was
inserted or changed is checked where it is written, in the same statement, as RETURNING sees it. What an upsert changed is
checked as an update, or, if the update has no check, as an insert. Foreign keys know no roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from automio.engine.catalog import Access, ForeignKey, Relationship, SqlType, Table
from automio.engine.document import Selected
from automio.engine.filter import can_fail, names_of
from automio.engine.inputs import Fields, Input, Items, Leaf, Null, Spread, Symbol
from automio.engine.permissions_types import NOTHING, Rights, UpdateRights
from automio.engine.plan_types import (
    AffectedRows,
    Cascade,
    Change,
    Conflict,
    Constant,
    DeletePlan,
    Everything,
    Guard,
    InsertPlan,
    Introspection,
    Kind,
    MutationField,
    Parameter,
    Parent,
    Plan,
    Predicate,
    Response,
    Returning,
    RootField,
    Rows,
    SingleRow,
    StepValue,
    TableRef,
    TypeName,
    UpdatePlan,
    Write,
)
from automio.engine.read import ReadPlanner, by_key, column_parameter
from automio.engine.refusal import PERMISSION, Refusal
from automio.engine.schema import Action
from automio.engine.schema_inputs import is_json, is_number

_PLACEHOLDER = "_PLACEHOLDER"
_CHANGES = ("_set", "_inc", "_append", "_prepend", "_delete_key", "_delete_elem", "_delete_at_path")
_INSERTS = frozenset({Action.INSERT, Action.INSERT_ONE})
_ONE = frozenset({Action.INSERT_ONE, Action.UPDATE_BY_KEY, Action.DELETE_BY_KEY})
_OPERANDS = {"_delete_key": SqlType("text"), "_delete_elem": SqlType("int4"), "_delete_at_path": SqlType("text")}

Cells = dict[str, Parameter | None]


class WritePlanner:
    """Plans one mutation; numbers its writes."""

    def __init__(self, reads: ReadPlanner) -> None:
        self.reads = reads
        self.tables = reads.tables
        self.filters = reads.filters
        self.catalog = reads.sight.catalog
        self.tenant = self.catalog.tenant_column
        self.writes: list[Write] = []

    def plan(self) -> Plan:
        """The whole mutation."""
        roots = self.reads.document.roots(self.reads.reader)
        return Plan(tuple(self._root(one) for one in roots), writes=True)

    def _root(self, selected: Selected) -> RootField:
        found = self.reads.sight.schema.roots.get(selected.name)
        if found is None:
            field = self.reads.root(selected)
            assert isinstance(field, TypeName | Introspection)
            return field
        table = self.catalog.tables[found.table]
        if not self.tables.writes(table) or not self._may(table, found.action):
            raise Refusal(f"field '{selected.name}' not found in type: 'mutation_root'", selected.path)
        arguments = self.reads.arguments(selected)
        before, path = len(self.writes), selected.path
        if found.action in _INSERTS:
            name = "objects" if found.action is Action.INSERT else "object"
            groups = (self._insert(table, arguments[name], arguments.get("on_conflict"), f"{path}.args.{name}"),)
        elif found.action is Action.UPDATE_MANY:
            items = arguments["updates"]
            assert isinstance(items, Items)
            groups = tuple(self._update(table, one.of, one.path) for one in items.of if isinstance(one, Fields))
        elif found.action in (Action.UPDATE, Action.UPDATE_BY_KEY):
            groups = (self._update(table, arguments, f"{path}.args"),)
        else:
            where, rights = self._where(table, arguments), self._rights(table).delete
            target = self.tables.target(table, rights.filter if rights else Everything(), can_fail(where))
            groups = ((self._add(Write(DeletePlan(target, where), "$", self._guard(table, target, where, None))),),)
        return MutationField(
            key=selected.key,
            table=self.tables.own(table),
            writes=tuple(self.writes[before:]),
            first=before,
            groups=groups,
            answer=self._answer(table, selected, found.action in _ONE),
            many=found.action is Action.UPDATE_MANY,
        )

    def _rights(self, table: Table) -> Rights:
        """The role's rights; none at all for the admin, who needs none."""
        return self.tables.role.of(table.reference) if self.tables.role else NOTHING

    def _may(self, table: Table, action: Action) -> bool:
        if self.tables.role is None:
            return True
        rights = self._rights(table)
        if action in _INSERTS:
            return rights.insert is not None
        return (rights.delete if action in (Action.DELETE, Action.DELETE_BY_KEY) else rights.update) is not None

    def _add(self, write: Write) -> int:
        self.writes.append(write)
        return len(self.writes) - 1

    def _answer(self, table: Table, selected: Selected, one: bool) -> Response | SingleRow:
        if one:
            return SingleRow(self.reads.fields(table, selected))
        fields: list[AffectedRows | Returning | TypeName] = []
        for field in self.reads.document.select(selected, self.reads.reader):
            if field.name == "affected_rows":
                fields.append(AffectedRows(field.key))
            elif field.name == "returning":
                fields.append(Returning(field.key, self.reads.fields(table, field)))
            else:
                fields.append(TypeName(field.key, selected.kind.name))
        return Response(tuple(fields))

    def _where(self, table: Table, given: Mapping[str, Input]) -> Predicate:
        if "where" in given:
            return self.filters.where(table, given["where"])
        key = given.get("pk_columns")
        return by_key(table, key if isinstance(key, Fields) else dict(given))

    # ── insert ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _insert(self, table: Table, given: Input, conflict: Input | None, path: str) -> tuple[int, ...]:
        on_conflict = self._conflict(table, conflict)
        if isinstance(given, Fields):
            given = Items((given,), given.path)
        return self._rows(table, given, on_conflict, {}, path)

    def _rows(
        self, table: Table, given: Input, conflict: Conflict | None, determined: Cells, path: str
    ) -> tuple[int, ...]:
        """Inserts a list of rows; `determined` are cells that a parent row gives. The numbers of the writes."""
        if isinstance(given, Spread):
            cells: Cells = {name: self._cell(table, name, leaf, path) for name, leaf in given.columns.items()}
            self._no_clash(cells, determined, path)
            row = self._own(table, {**determined, **cells})
            columns = tuple(sorted(row))
            target, values = self.tables.own(table, _barrier(conflict)), (tuple(row[c] for c in columns),)
            plan = InsertPlan(target, columns, values, conflict, spread=True, check=self._check(table))
            return (self._add(self._written(table, plan, columns, path)),)
        assert isinstance(given, Items)
        objects = [one for one in given.of if isinstance(one, Fields)]
        if any(name in table.relationships for one in objects for name in one.of):
            return tuple(self._object(table, one, conflict, determined, path) for one in objects)
        if not objects:
            return ()
        rows: list[Cells] = []
        for one in objects:
            cells = {name: self._cell(table, name, value, path) for name, value in one.of.items()}
            self._no_clash(cells, determined, path)
            rows.append(self._own(table, {**determined, **cells}))
        return (self._add(self._values(table, rows, conflict, path)),)

    def _values(
        self, table: Table, rows: list[Cells], conflict: Conflict | None, path: str, on_empty: str = ""
    ) -> Write:
        columns = tuple(sorted({name for row in rows for name in row}))
        if not columns:
            columns = (next(name for name, column in sorted(table.columns.items()) if column.writable),)
        cells = tuple(tuple(row.get(name) for name in columns) for row in rows)
        target = self.tables.own(table, _barrier(conflict))
        plan = InsertPlan(target, columns, cells, conflict, check=self._check(table))
        return self._written(table, plan, columns, path, on_empty)

    def _written(self, table: Table, plan: InsertPlan, columns: Iterable[str], path: str, on_empty: str = "") -> Write:
        written = {*columns, *(one.name for one in table.columns.values() if one.has_default)}
        changed = None
        if plan.conflict is not None and plan.conflict.columns and not table.partitioned:
            changed = {*plan.conflict.columns, *(one.column for one in plan.conflict.presets), *_generated(table)}
        return Write(plan, path, parents=tuple(self._parents(table, written, changed)), on_empty=on_empty)

    def _object(
        self, table: Table, given: Fields, conflict: Conflict | None, determined: Cells, path: str, on_empty: str = ""
    ) -> int:
        """Inserts one row with what hangs on it, and gives the number of the write of the row itself."""
        cells: Cells = {}
        later: list[tuple[Relationship, Fields]] = []
        for name, value in given.of.items():
            relationship = table.relationships.get(name)
            if relationship is None:
                cells[name] = self._cell(table, name, value, path)
                continue
            assert isinstance(value, Fields)
            other = self.catalog.tables[relationship.target]
            if not self.tables.writes(other) or not self._may(other, Action.INSERT):
                text = f"field '{name}' not found in type: '{table.name}_insert_input'"
                raise Refusal(text, f"{given.path}.{name}")
            if relationship.after:
                later.append((relationship, value))
        from_parents = {}
        for name, value in given.of.items():
            relationship = table.relationships.get(name)
            if relationship is not None and not relationship.after:
                assert isinstance(value, Fields)
                from_parents |= self._parent_object(table, relationship, value, given, path)
        self._no_clash(cells, determined, path)
        row = self._own(table, {**determined, **from_parents, **cells})
        children = [(one, value) for one, value in later if not _is_empty(value)]
        if children and not on_empty:
            on_empty = (
                f'cannot proceed to insert array relations since insert to table "{table.name}" affects zero rows'
            )
        number = self._add(self._values(table, [row], conflict, path, on_empty))
        for relationship, value in children:
            other = self.catalog.tables[relationship.target]
            keys: Cells = {
                there: Parameter(StepValue(number, here), other.columns[there].type)
                for here, there in relationship.pairs
            }
            on_conflict = self._conflict(other, value.of.get("on_conflict"))
            data = value.of["data"]
            rows = Items((data,), data.path) if isinstance(data, Fields) else data
            self._rows(other, rows, on_conflict, keys, path)
        return number

    def _parent_object(self, table: Table, relationship: Relationship, value: Fields, row: Fields, path: str) -> Cells:
        other = self.catalog.tables[relationship.target]
        given = [here for here, _ in relationship.pairs if here in row.of and here != self.tenant]
        if given:
            text = f'cannot insert object relationship "{relationship.name}" as "{given[0]}" column values are already determined'
            raise Refusal(text, path, "not-supported")
        data = value.of["data"]
        assert isinstance(data, Fields)
        on_empty = (
            f'cannot proceed to insert object relation "{relationship.name}" '
            f'since insert to table "{other.name}" affects zero rows'
        )
        on_conflict = self._conflict(other, value.of.get("on_conflict"))
        number = self._object(other, data, on_conflict, {}, path, on_empty)
        return {
            here: Parameter(StepValue(number, there), table.columns[here].type)
            for here, there in relationship.pairs
            if here not in row.of
        }

    def _no_clash(self, cells: Cells, determined: Cells, path: str) -> None:
        clash = sorted(set(cells) & set(determined) - {self.tenant})
        if clash:
            names = ", ".join(f'"{name}"' for name in clash)
            text = f"cannot insert {names} columns as their values are already being determined by parent insert"
            raise Refusal(text, path, "not-supported")

    def _cell(self, table: Table, name: str, value: Input, path: str) -> Parameter:
        column = table.columns[name]
        own = name == self.tenant and self.tables.bound
        if isinstance(value, Null):
            value = Leaf(Constant("null", None), path, column.graphql)
        assert isinstance(value, Leaf)
        made = column_parameter(column, value, Kind.OWN_OR_NULL if own else Kind.COLUMN, path if own else "")
        many = getattr(value.source, "row", None) is not None
        return Parameter(made.source, made.type, made.kind, many, made.graphql, made.path)

    def _own(self, table: Table, cells: Cells) -> Cells:
        """The row with the role's presets, and for a bound caller with the organization; where that was given it stays, and is
        checked when bound."""
        rights = self._rights(table).insert
        if rights is not None:
            cells |= rights.presets
        if self.tables.scoped(table):
            column = table.columns[self.tenant]
            given = cells.get(self.tenant)
            if given is None or given.kind is not Kind.OWN_OR_NULL:
                cells[self.tenant] = self.tables.organization(column)
        return cells

    def _conflict(self, table: Table, given: Input | None) -> Conflict | None:
        if not isinstance(given, Fields):
            return None
        constraint = given.of["constraint"]
        assert isinstance(constraint, Symbol)
        columns = names_of(given.of.get("update_columns"))
        where = self.filters.where(table, given.of.get("where"))
        if _PLACEHOLDER in columns:
            raise Refusal("erroneous column name", given.path)
        rights = self._rights(table)
        presets = self._presets(table, rights.update) if columns else ()
        if self._guard(table, self.tables.own(table), Everything(), {*columns, *(one.column for one in presets)}):
            raise Refusal(PERMISSION, given.path, "permission-error")
        if rights.update is None or rights.insert is None:
            return Conflict(str(constraint.value), columns, where)
        check = rights.insert.check if rights.update.check is None else rights.update.check
        allowed = None if rights.update.filter == Everything() else rights.update.filter
        return Conflict(str(constraint.value), columns, where, presets, allowed, _some(check), can_fail(where))

    def _check(self, table: Table) -> Predicate | None:
        rights = self._rights(table).insert
        return _some(rights.check) if rights else None

    # ── update ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _update(self, table: Table, given: Mapping[str, Input], path: str) -> tuple[int, ...]:
        operators = [name for name in _CHANGES if isinstance(given.get(name), Fields)]
        rights = self._rights(table).update
        if not operators and not (rights and rights.presets):
            raise Refusal(f"at least any one of {', '.join(self._offered(table))} is expected", path)
        changes: dict[str, Change] = {}
        for operator in operators:
            fields = given[operator]
            assert isinstance(fields, Fields)
            for name, value in fields.of.items():
                if name in changes:
                    raise Refusal(f'column found in multiple operators: "{name}".', path)
                changes[name] = self._change(table, name, operator, value, fields.path)
        changes |= {one.column: one for one in self._presets(table, rights)}
        where = self._where(table, given)
        if not changes:
            return ()
        columns = set(changes)
        target = self.tables.target(table, rights.filter if rights else Everything(), can_fail(where))
        check = _some(rights.check) if rights and rights.check is not None else None
        plan = UpdatePlan(target, where, tuple(changes[name] for name in sorted(changes)), check)
        guard = self._guard(table, target, where, columns)
        return (self._add(Write(plan, "$", guard, tuple(self._parents(table, columns | _generated(table))))),)

    def _presets(self, table: Table, rights: UpdateRights | None) -> tuple[Change, ...]:
        """What an update by this role always sets; the organization of a bound caller stays."""
        own = self.tenant if self.tables.scoped(table) else None
        presets = rights.presets if rights else {}
        return tuple(Change(name, "_set", value) for name, value in sorted(presets.items()) if name != own)

    def _offered(self, table: Table) -> list[str]:
        rights = self._rights(table).update
        columns = [c for c in table.columns.values() if c.writable and (rights is None or c.name in rights.columns)]
        has = {"_set": True, "_inc": any(map(is_number, columns))}
        return [name for name in _CHANGES if has.get(name, any(map(is_json, columns)))]

    def _change(self, table: Table, name: str, operator: str, value: Input, path: str) -> Change:
        column = table.columns[name]
        if isinstance(value, Null):
            value = Leaf(Constant("null", None), f"{path}.{name}", column.graphql)
        assert isinstance(value, Leaf)
        if name == self.tenant and self.tables.bound:
            if operator != "_set":
                raise Refusal(PERMISSION, path, "permission-error")
            return Change(name, operator, column_parameter(column, value, Kind.OWN, path))
        kind = _OPERANDS.get(operator, column.type)
        many = operator == "_delete_at_path"
        return Change(name, operator, Parameter(value.source, kind, many=many, graphql=value.graphql, path=value.path))

    # ── integrity between organizations ─────────────────────────────────────────────────────────────────────────────

    def _parents(self, table: Table, written: set[str], changed: set[str] | None = None) -> Iterable[Parent]:
        """What to look for behind the written columns; `changed`: those that the update of an upsert writes, if it has one."""
        if not self.tables.bound:
            return
        for key in table.foreign_keys:
            target = self.catalog.tables[key.target]
            columns = {here for here, _ in key.pairs}
            if target.access is Access.SHARED or self._compares(key) or not columns & (written | (changed or set())):
                continue
            inserted = changed is not None and not columns & changed
            yield Parent(self.tables.own(target), key.name, key.pairs, inserted)

    def _compares(self, key: ForeignKey) -> bool:
        return (self.tenant, self.tenant) in key.pairs

    def _guard(self, table: Table, target: TableRef, where: Predicate, changed: set[str] | None) -> Guard | None:
        """`target` are the rows that may be written; `changed` are the columns that an update writes; None for a delete. None when no row that must be spared can be reached."""
        if not self.tables.bound:
            return None
        if changed is not None:
            changed = changed - {self.tenant}  # it is only ever set to what it is
        nodes: list[tuple[Table, frozenset[str] | None]] = [(table, None if changed is None else frozenset(changed))]
        cascades: list[Cascade] = []
        for number, (parent, written) in enumerate(nodes):  # grows while it is read
            for key in self._cascading(parent, written):
                child, does = self.catalog.tables[key.table], key.on_delete if changed is None else key.on_update
                goes_on = None
                if does == "CASCADE" and child.access is Access.TENANT:
                    columns = frozenset(here for here, _ in key.pairs) - {self.tenant}
                    node = (child, None if changed is None else columns)
                    if node not in nodes:
                        nodes.append(node)
                    goes_on = nodes.index(node)
                spared = [] if self._compares(key) else [self.tables.foreign(child)]
                if self._takes_away(key, None if changed is None else does):
                    spared.append(self.tables.own(child))
                for rows in spared or [None]:
                    cascades.append(Cascade(key.name, key.table, number, key.pairs, goes_on, rows))
        if all(one.spared is None for one in cascades):
            return None
        parents = {one.parent for one in cascades}
        cascades = [one if one.child in parents else replace(one, child=None) for one in cascades]
        keys: list[tuple[tuple[str, SqlType], ...]] = []
        for number, (parent, _) in enumerate(nodes):
            used = sorted({there for one in cascades if one.parent == number for _, there in one.pairs})
            keys.append(tuple((name, parent.columns[name].type) for name in used))
        references = (target, *(self.tables.own(one) for one, _ in nodes[1:]))
        return Guard(Rows(references[0], where=where), references, tuple(keys), tuple(cascades))

    def _takes_away(self, key: ForeignKey, on_update: str | None) -> bool:
        """Whether the foreign key takes the organization from rows, in a delete (None) or by what it does on an update."""
        does, columns = (key.on_delete, key.delete_columns) if on_update is None else (on_update, ())
        return does in ("SET NULL", "SET DEFAULT") and self.tenant in (columns or [here for here, _ in key.pairs])

    def _cascading(self, table: Table, changed: frozenset[str] | None) -> Iterable[ForeignKey]:
        """The foreign keys to the table along which a delete, or a change of these columns, goes on."""
        for key in self.catalog.foreign_keys_to(table.reference):
            if changed is None and key.on_delete:
                yield key
            if changed is not None and key.on_update and changed & {there for _, there in key.pairs}:
                yield key


def _generated(table: Table) -> set[str]:
    """Columns that an update of others may change."""
    return {one.name for one in table.columns.values() if one.has_default and not one.writable}


def _is_empty(value: Fields) -> bool:
    data = value.of["data"]
    return isinstance(data, Items) and not data.of


def _barrier(conflict: Conflict | None) -> bool:
    return conflict is not None and (
        can_fail(conflict.where) or (conflict.filter is not None and can_fail(conflict.filter))
    )


def _some(predicate: Predicate) -> Predicate | None:
    """The predicate, None when every row satisfies it."""
    return None if predicate == Everything() else predicate
