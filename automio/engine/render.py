"""Plan -> Program: the statements of a request and how the answer is put together. Next: run.py.

A query is one statement with a JSON column for each root field; run.py passes the bytes on. A mutation is one statement for
each write, or several: rows that a nested insert needs or that are shown with relationships are fetched as JSON first, and
the answer is made of them by a statement of its own, since a statement does not see what it writes itself.

The shape of a read: `row_to_json` over a subquery, relationships as subqueries in its select list.
- Not LATERAL joins: the list is evaluated after ORDER BY and LIMIT, so 100 of 10,000 rows ordered by a column without an
  index cost a tenth (measured: 8 ms against 80), with an index the two are equal; and rows keep their order by construction.
- Not json_build_object: it takes at most 50 pairs. Only an answer key longer than PostgreSQL's names makes an object by
  JSON_OBJECT (PostgreSQL 16).
- Aggregates are computed flat over a subquery of the rows, then put into their objects.
Conditions and orders are rendered by render_filter.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from automio.engine import sql
from automio.engine.catalog import SqlType
from automio.engine.plan_types import (
    AffectedRows,
    AggregateField,
    Call,
    CallField,
    ColumnField,
    DeletePlan,
    Everything,
    Field,
    GroupField,
    Guard,
    InsertPlan,
    Introspection,
    Kind,
    ListField,
    MutationField,
    NodesField,
    ObjectField,
    Parameter,
    Parent,
    Plan,
    Predicate,
    Response,
    Returning,
    Rows,
    SingleRow,
    StepCount,
    StepRows,
    StreamField,
    TableRef,
    TypeName,
    UpdatePlan,
    Write,
)
from automio.engine.refusal import PERMISSION, Refusal, database_refusal, foreign_key_refusal
from automio.engine.render_filter import Conditions

_F = TypeVar("_F", bound="_Keyed")
_JSON = SqlType("json")
_READS = ObjectField | ListField | AggregateField | StreamField
_WRITTEN = "written"
_CHECK = "check of a permission"
_INSERTED = "inserted by the upsert"
_MOST_PARAMETERS = 32767


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and what is bound to it, `$1` first."""

    text: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A statement in its place. `path` is for faults of the database.

    `keeps`: it gives the rows of the write of this number as a JSON array, which later steps use. `empty`: the refusal when there are none.
    `violated`: each column says whether something is violated; the refusal for each. `check`: the last column says whether the
    check of a permission failed; the refusal for that.
    """

    statement: Statement
    path: str = "$"
    keeps: int | None = None
    empty: Refusal | None = None
    violated: tuple[Refusal, ...] = ()
    check: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of what a step returned: JSON bytes."""

    step: int
    column: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A root field of the answer: JSON text, one cell, a list of cells, or None for what introspection.py answers."""

    key: str
    value: str | Cell | tuple[Cell, ...] | None


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that a request does; `transaction`: in one of its own, since it is more than one statement or may be undone."""

    steps: tuple[Step, ...]
    answers: tuple[Answer, ...]
    transaction: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """One statement for many subscribers of one plan: `number` (from 1) and a column for each root field, a row for each of them.

    `fixed` are bound first; then, for each of `varying`, the texts of all subscribers' values as one array.
    """

    text: str
    fixed: tuple[Parameter, ...]
    varying: tuple[Parameter, ...]


def render_batch(plan: Plan) -> Batch:
    """The statement that answers many subscribers; the columns are those of `render`."""
    renderer = _BatchRenderer()
    columns = [renderer.field(one, "") for one in plan.fields if isinstance(one, _READS)]
    text = renderer.batched([f"{one} AS f{i}" for i, one in enumerate(columns)])
    return Batch(text, renderer.parameters, tuple(renderer.varying))


def render(plan: Plan) -> Program:
    """The program of a plan: deterministic text, aliases counted."""
    program = _mutation(plan) if plan.writes else _query(plan)
    if any(len(step.statement.parameters) > _MOST_PARAMETERS for step in program.steps):
        raise Refusal("too many values for one statement: give all rows the same columns, or send fewer rows")
    return program


def _query(plan: Plan) -> Program:
    renderer = _Renderer()
    columns: list[str] = []
    answers: list[Answer] = []
    for field in plan.fields:
        if isinstance(field, TypeName):
            answers.append(Answer(field.key, f'"{field.name}"'))
        elif isinstance(field, Introspection):
            answers.append(Answer(field.key, None))
        else:
            assert isinstance(field, _READS)
            answers.append(Answer(field.key, Cell(0, len(columns))))
            columns.append(renderer.field(field, ""))
    if not columns:
        return Program((), tuple(answers))
    text = "SELECT " + ",\n".join(f"{one} AS f{i}" for i, one in enumerate(columns))
    return Program((Step(Statement(text, renderer.parameters)),), tuple(answers))


def _mutation(plan: Plan) -> Program:
    steps: list[Step] = []
    answers: list[Answer] = []
    for field in plan.fields:
        if isinstance(field, MutationField):
            answers.append(Answer(field.key, _mutation_field(field, steps)))
        else:
            assert isinstance(field, TypeName | Introspection)
            answers.append(Answer(field.key, f'"{field.name}"' if isinstance(field, TypeName) else None))
    transaction = len(steps) > 1 or any(step.check is not None for step in steps)
    return Program(tuple(steps), tuple(answers), transaction)


def _mutation_field(field: MutationField, steps: list[Step]) -> Cell | tuple[Cell, ...]:
    """Appends the steps of a root field; where its answer will be."""
    only = field.writes[0] if len(field.writes) == 1 and not field.many else None
    if only and not only.parents and _is_flat(field.answer):
        if only.guard:
            steps.append(_guard_step(only.guard, only.path))
        renderer = _Renderer()
        head = renderer.write(only.plan)
        asked, check = _with_check(only, renderer.answer(field.answer, None))
        text = f"WITH {_WRITTEN} AS (\n{sql.indent(head)}\n)\nSELECT {asked}"
        steps.append(Step(Statement(text, renderer.parameters), only.path, check=check))
        return Cell(len(steps) - 1)
    for number, write in enumerate(field.writes, field.first):
        if write.guard:
            steps.append(_guard_step(write.guard, write.path))
        steps.append(_kept_step(number, write))
        steps += [_parent_step(number, write, parent) for parent in write.parents]
    cells: list[Cell] = []
    every = tuple(range(field.first, field.first + len(field.writes)))
    for group in field.groups:
        renderer = _Renderer()
        rows = renderer.kept_rows(field.table, group)
        counted = Parameter(StepCount(group if field.many else every), SqlType("int8"), Kind.PLAIN)
        text = f"WITH {_WRITTEN} AS (\n{sql.indent(rows)}\n)\nSELECT {renderer.answer(field.answer, counted)}"
        steps.append(Step(Statement(text, renderer.parameters)))
        cells.append(Cell(len(steps) - 1))
    return tuple(cells) if field.many else cells[0]


def _is_flat(answer: Response | SingleRow) -> bool:
    """Whether the answer shows columns only, which RETURNING has."""
    if isinstance(answer, Response):
        return all(_is_flat(SingleRow(one.fields)) for one in answer.fields if isinstance(one, Returning))
    return all(isinstance(one, ColumnField | TypeName) for one in answer.fields)


def _kept_step(number: int, write: Write) -> Step:
    renderer = _Renderer()
    head = renderer.write(write.plan, told=any(parent.inserted for parent in write.parents))
    rows = f"coalesce(json_agg(row_to_json({_WRITTEN})), '[]'::json)"
    asked, check = _with_check(write, f"(SELECT {rows} FROM {_WRITTEN})" if write.plan.checks else rows)
    text = f"WITH {_WRITTEN} AS (\n{sql.indent(head)}\n)\nSELECT {asked}{'' if check else f' FROM {_WRITTEN}'}"
    empty = Refusal(write.on_empty, write.path, "not-supported") if write.on_empty else None
    return Step(Statement(text, renderer.parameters), write.path, keeps=number, empty=empty, check=check)


def _with_check(write: Write, asked: str) -> tuple[str, Refusal | None]:
    """What a writing step selects: `asked`, and whether a row failed its check, if there is one; the refusal for that."""
    if not write.plan.checks:
        return asked, None
    failed = f"(SELECT NOT bool_and({sql.name(_CHECK)}) FROM {_WRITTEN})"
    return f"{asked}, {failed}", Refusal(PERMISSION, write.path, "permission-error")


def _guard_step(guard: Guard, path: str) -> Step:
    """Follows the cascades from own rows to own rows, then asks of each foreign key whether it leads to a row of others."""
    renderer = _Renderer()
    row = renderer.alias()
    where = renderer.predicate(guard.rows.where, row, top=True)
    start = (
        f"SELECT 0, {sql.keys(row, guard.keys[0])} FROM {renderer.relation(guard.rows.table)} AS {row} WHERE {where}"
    )
    onward: list[str] = []
    asked: list[str] = []
    violated: list[Refusal] = []
    for cascade in guard.cascades:
        types = dict(guard.keys[cascade.parent])
        pairs = [(here, there, types[there]) for here, there in cascade.pairs]
        if cascade.child is not None:
            row = renderer.alias()
            made = f"SELECT {cascade.child} AS number, {sql.keys(row, guard.keys[cascade.child])} AS keys"
            relation = renderer.relation(guard.tables[cascade.child])
            onward.append(f"{made} FROM {relation} AS {row} WHERE {sql.refers('reached', cascade.parent, row, pairs)}")
        if cascade.spared is not None:
            row = renderer.alias()
            relation = renderer.relation(cascade.spared)
            asked.append(
                f"EXISTS (SELECT FROM reached, {relation} AS {row} WHERE {sql.refers('reached', cascade.parent, row, pairs)})"
            )
            message = (
                f'update or delete on table "{guard.rows.table.name}" violates foreign key constraint '
                f'"{cascade.constraint}" on table "{cascade.table}"'
            )
            violated.append(database_refusal("23503", message, path))
    step = ""
    if onward:
        further = "\n    UNION ALL ".join(onward)
        step = f"\n  UNION SELECT further.* FROM reached, LATERAL (\n    {further}\n  ) AS further"
    text = f"WITH RECURSIVE reached (number, keys) AS (\n  {start}{step}\n)\nSELECT " + ",\n  ".join(asked)
    return Step(Statement(text, renderer.parameters), violated=tuple(violated))


def _parent_step(number: int, write: Write, parent: Parent) -> Step:
    renderer = _Renderer()
    row, other = renderer.alias(), renderer.alias()
    rows = renderer.kept_rows(write.plan.table, (number,), inserted=parent.inserted)
    given = " AND ".join(f"{row}.{sql.name(here)} IS NOT NULL" for here, _ in parent.pairs)
    same = " AND ".join(f"{other}.{sql.name(there)} = {row}.{sql.name(here)}" for here, there in parent.pairs)
    found = f"SELECT FROM {renderer.relation(parent.table)} AS {other} WHERE {same}"
    text = f"SELECT EXISTS (\n  SELECT FROM ({rows}) AS {row}\n  WHERE {given} AND NOT EXISTS ({found})\n)"
    violated = foreign_key_refusal(write.plan.table.name, parent.constraint, write.path)
    return Step(Statement(text, renderer.parameters), violated=(violated,))


class _Renderer(Conditions):
    """Renders one statement: conditions and orders with the shapes of reads and writes."""

    # ── fields ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def field(self, field: Field | StreamField, outer: str) -> str:
        """The SQL expression of a field of the row with alias `outer`."""
        match field:
            case TypeName():
                return f"{sql.literal(field.name)}::text"
            case ColumnField():
                text = f"{outer}.{sql.name(field.column)}"
                if field.path:
                    text = f"{text} #> {self.bind(field.path)}"
                return f"{text}::text" if field.text else text
            case ObjectField():
                inner = self.alias()
                return self._one(
                    self._select(field.rows, inner, outer, self._object(field.fields, inner)), field.fields
                )
            case ListField():
                inner = self.alias()
                return self._many(
                    self._select(field.rows, inner, outer, self._object(field.fields, inner)), field.fields
                )
            case AggregateField():
                return self._aggregate(field, outer)
            case StreamField():
                return self._stream(field)

    def _object(self, fields: Sequence[Field], alias: str) -> list[tuple[str, str]]:
        return [(field.key, self.field(field, alias)) for field in fields]

    def _one(self, select: str, fields: Sequence[Field]) -> str:
        alias = self.alias()
        return f"(SELECT {_json_of(fields, alias)} FROM (\n{sql.indent(select)}\n) AS {alias})"

    def _many(self, select: str, fields: Sequence[Field]) -> str:
        alias = self.alias()
        rows = f"coalesce(json_agg({_json_of(fields, alias)}), '[]'::json)"
        return f"(SELECT {rows} FROM (\n{sql.indent(select)}\n) AS {alias})"

    def _select(self, rows: Rows, alias: str, outer: str, columns: list[tuple[str, str]]) -> str:
        """SELECT columns FROM rows; the columns as one row, or as one object when a name is too long for PostgreSQL."""
        distinct = ", ".join(f"{alias}.{sql.name(one)}" for one in rows.distinct)
        head = f"SELECT DISTINCT ON ({distinct}) " if distinct else "SELECT "
        wanted = _columns(columns) or ("NULL" if distinct else "")  # DISTINCT ON takes no empty list
        lines = [head + wanted, f"FROM {self.relation(rows.table)} AS {alias}"]
        conditions = [f"{alias}.{sql.name(here)} = {outer}.{sql.name(there)}" for here, there in rows.pairs]
        if rows.where != Everything():
            conditions.append(self.predicate(rows.where, alias, top=not conditions))
        if conditions:
            lines.append("WHERE " + " AND ".join(conditions))
        if rows.order:
            lines.append("ORDER BY " + ", ".join(self.order(one, alias) for one in rows.order))
        limit = self._limit(rows)
        if limit and rows.ties:
            lines.append(f"FETCH FIRST ({limit}) ROWS WITH TIES")
        elif limit:
            lines.append(f"LIMIT {limit}")
        if rows.offset is not None:
            lines.append(f"OFFSET {self.number(rows.offset)}")
        return "\n".join(lines)

    def _limit(self, rows: Rows) -> str:
        if rows.most is None:
            return "" if rows.limit is None else self.number(rows.limit)
        if rows.limit is None or isinstance(rows.limit, int):
            return str(rows.most if rows.limit is None else min(rows.limit, rows.most))
        return f"least({self.bind(rows.limit)}, {rows.most})"

    def _stream(self, field: StreamField) -> str:
        """An array of two texts: the rows as JSON, and the cursor of the last one (null when there is none)."""
        inner, alias = self.alias(), self.alias()
        row = self._row(field.fields, lambda one: self.field(one, inner))
        columns = [("row", row), ("cursor", f"{inner}.{sql.name(field.cursor)}::text")]
        select = self._select(field.rows, inner, "", columns)
        rows = f"coalesce(json_agg({alias}.row), '[]'::json)::text"
        found = f"ARRAY[{rows}, (array_agg({alias}.cursor))[count(*)]]"
        return f"(SELECT {found} FROM (\n{sql.indent(select)}\n) AS {alias})"

    def _aggregate(self, field: AggregateField, outer: str) -> str:
        """Values flat over the rows (`inner`), then the objects made of them."""
        row, inner, flat = self.alias(), self.alias(), self.alias()
        needed: dict[str, str] = {}
        values: list[str] = []
        sorts = _sorts(field.fields)

        def value(text: str) -> str:
            values.append(text)
            return f"{flat}.v{len(values) - 1}"

        def column(text: str) -> str:
            return f"{inner}.{needed.setdefault(text, f'c{len(needed)}')}"

        def group(fields: Iterable[CallField | TypeName | GroupField]) -> str:
            return self._row(fields, part)

        def part(one: CallField | TypeName | GroupField) -> str:
            if isinstance(one, GroupField):
                return group(one.fields)
            if isinstance(one, TypeName):
                return f"{sql.literal(one.name)}::text"
            columns = tuple(column(f"{row}.{sql.name(name)}") for name in one.call.columns)
            text = value(sql.call(one.call, columns))
            return f"{text}::text" if one.text else text

        def top(one: GroupField | NodesField | TypeName) -> str:
            if not isinstance(one, NodesField):
                return part(one)
            nodes = column(self._row(one.fields, lambda field: self.field(field, row)))
            in_order = f" ORDER BY {inner}.n" if sorts else ""
            if one.most is not None:
                return value(f"coalesce(array_to_json((array_agg({nodes}{in_order}))[1:{one.most}]), '[]'::json)")
            return value(f"coalesce(json_agg({nodes}{in_order}), '[]'::json)")

        made = self._row(field.fields, top)
        select = self._select(field.rows, row, outer, [(name, text) for text, name in needed.items()])
        if sorts:
            numbered = self.alias()
            select = f"SELECT {numbered}.*, row_number() OVER () AS n\nFROM (\n{sql.indent(select)}\n) AS {numbered}"
        # Without any value it must still be one row.
        flat_values = ", ".join(f"{text} AS v{i}" for i, text in enumerate(values or ["count(*)"]))
        computed = f"SELECT {flat_values}\nFROM (\n{sql.indent(select)}\n) AS {inner}"
        return f"(SELECT {made} FROM (\n{sql.indent(computed)}\n) AS {flat})"

    def _row(self, fields: Iterable[_F], part: Callable[[_F], str]) -> str:
        """An object of expressions, in an expression."""
        fields = tuple(fields)
        columns = _columns([(one.key, part(one)) for one in fields])
        alias = self.alias()
        return f"(SELECT {_json_of(fields, alias)} FROM (SELECT {columns}) AS {alias})"

    # ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, plan: InsertPlan | UpdatePlan | DeletePlan, told: bool = False) -> str:
        """INSERT, UPDATE or DELETE, returning the rows; `told`: an upsert says of each whether it inserted it."""
        alias = self.alias()
        target = self.target(plan.table, alias)
        if isinstance(plan, InsertPlan):
            head = f"INSERT INTO {target} {self._inserted(plan)}{self._conflict(plan, alias)}"
            inserted = f", {alias}.xmax = 0 AS {sql.name(_INSERTED)}" if told else ""
            return f"{head}\nRETURNING {alias}.*{self._checked(plan, alias)}{inserted}"
        where = self._guarded(plan.table, plan.where, alias)
        if isinstance(plan, DeletePlan):
            return f"DELETE FROM {target}\nWHERE {where}\nRETURNING {alias}.*"
        changes = []
        for change in plan.changes:
            column = sql.name(change.column)
            value = sql.CHANGES[change.operator].format(f"{alias}.{column}", self.bind(change.value))
            changes.append(f"{column} = {value}")
        head = f"UPDATE {target}\nSET {', '.join(changes)}\nWHERE {where}"
        return f"{head}\nRETURNING {alias}.*{self._checked(plan, alias)}"

    def _checked(self, plan: InsertPlan | UpdatePlan, alias: str) -> str:
        """One more column: whether the row is as the role's permission wants it. In a row that was there already the upsert
        has set xmax."""
        if not plan.checks:
            return ""
        text = self._check(plan.check, alias)
        conflict = plan.conflict if isinstance(plan, InsertPlan) else None
        if conflict is not None and conflict.columns and plan.check != conflict.check:
            text = f"CASE WHEN {alias}.xmax = 0 THEN {text} ELSE {self._check(conflict.check, alias)} END"
        return f", {text} AS {sql.name(_CHECK)}"

    def _check(self, check: Predicate | None, alias: str) -> str:
        return "TRUE" if check is None else f"coalesce({self.predicate(check, alias)}, FALSE)"

    def _guarded(self, table: TableRef, where: Predicate, alias: str) -> str:
        """The caller's condition and the user's.

        Behind a barrier in a CASE, which alone fixes the order of evaluation here; the condition before it can use an index.
        """
        parts: list[tuple[str, bool]] = []
        if table.scope is not None:
            parts.append((self.own(table, alias), table.scope.barrier))
        if table.filter is not None:
            parts.append((self.predicate(table.filter, alias), table.barrier))
        if where != Everything() or not parts:
            parts.append((self.predicate(where, alias, top=not parts), False))
        text = parts[-1][0]
        for condition, barrier in reversed(parts[:-1]):
            text = f"{condition} AND " + (f"CASE WHEN {condition} THEN {text} ELSE FALSE END" if barrier else text)
        return text

    def _inserted(self, plan: InsertPlan) -> str:
        columns = ", ".join(sql.name(one) for one in plan.columns)
        if not plan.spread:
            rows = [", ".join(self.bind(cell) if cell else "DEFAULT" for cell in row) for row in plan.rows]
            return f"({columns})\nVALUES " + ",\n  ".join(f"({row})" for row in rows)
        lists: list[str] = []
        values: list[str] = []
        for cell in plan.rows[0]:
            assert cell is not None
            if cell.many:
                values.append(f"u.c{len(lists)}{self.bind_texts(cell)[1]}")
                lists.append(self.bind_texts(cell)[0])
            else:
                values.append(self.bind(cell))
        names = ", ".join(f"c{i}" for i in range(len(lists)))
        return f"({columns})\nSELECT {', '.join(values)}\nFROM unnest({', '.join(lists)}) AS u ({names})"

    def _conflict(self, plan: InsertPlan, alias: str) -> str:
        conflict = plan.conflict
        if conflict is None:
            return ""
        head = f"\nON CONFLICT ON CONSTRAINT {sql.name(conflict.constraint)}"
        if not conflict.columns:
            return f"{head} DO NOTHING"
        changed = [f"{sql.name(one)} = EXCLUDED.{sql.name(one)}" for one in conflict.columns]
        changed += [f"{sql.name(one.column)} = {self.bind(one.value)}" for one in conflict.presets]
        changes = ", ".join(changed)
        target = replace(plan.table, filter=conflict.filter, barrier=conflict.barrier)
        where = self._guarded(target, conflict.where, alias)
        return f"{head} DO UPDATE SET {changes}\n  WHERE {where}"

    def kept_rows(self, table: TableRef, steps: tuple[int, ...], inserted: bool = False) -> str:
        """Rows that earlier steps wrote, as they were then; `inserted`: those alone of which `write` told so."""
        rows = self.bind(Parameter(StepRows(steps), _JSON, Kind.PLAIN))
        if inserted:
            made = f"json_array_elements({rows}) AS kept, json_populate_record({self.row_type(table)}, kept) AS made"
            return f"SELECT made.* FROM {made} WHERE (kept ->> {sql.literal(_INSERTED)})::bool"
        return f"SELECT * FROM json_populate_recordset({self.row_type(table)}, {rows})"

    def answer(self, answer: Response | SingleRow, counted: Parameter | None) -> str:
        """The answer of a mutation over the rows `written`; `counted`: how many rows to tell, else as many as there are."""
        row = self.alias()
        if isinstance(answer, SingleRow):
            select = f"SELECT {_columns(self._object(answer.fields, row))}\nFROM {_WRITTEN} AS {row} LIMIT 1"
            return self._one(select, answer.fields)

        def part(one: AffectedRows | Returning | TypeName) -> str:
            if isinstance(one, TypeName):
                return f"{sql.literal(one.name)}::text"
            if isinstance(one, AffectedRows):
                return self.bind(counted) if counted else f"(SELECT count(*) FROM {_WRITTEN})"
            select = f"SELECT {_columns(self._object(one.fields, row))}\nFROM {_WRITTEN} AS {row}"
            return self._many(select, one.fields)

        return self._row(answer.fields, part)


class _BatchRenderer(sql.Batches, _Renderer):
    """Renders one statement for many subscribers."""


def _sorts(fields: Iterable[GroupField | NodesField | CallField | TypeName]) -> bool:
    """Whether an aggregate beside `nodes` may sort its input: since version 16 PostgreSQL then sorts it for all of them."""
    calls: list[Call] = []

    def look(parts: Iterable[GroupField | NodesField | CallField | TypeName]) -> None:
        for one in parts:
            if isinstance(one, GroupField):
                look(one.fields)
            elif isinstance(one, CallField):
                calls.append(one.call)

    fields = tuple(fields)
    look(fields)
    return any(isinstance(one, NodesField) for one in fields) and any(map(sql.sorts, calls))


def _is_long(columns: Iterable[str]) -> bool:
    return any(len(key) > sql.NAME_BYTES for key in columns)


def _columns(columns: list[tuple[str, str]]) -> str:
    """A select list: the columns by their keys, or one JSON object named `object` when a key is too long for a name."""
    if _is_long(key for key, _ in columns):
        pairs = ", ".join(f"{sql.literal(key)} VALUE {text}" for key, text in columns)
        return f"JSON_OBJECT ({pairs} RETURNING json) AS object"
    return ", ".join(f"{text} AS {sql.name(key)}" for key, text in columns)


def _json_of(fields: Iterable[_Keyed], alias: str) -> str:
    """The object that such a select list makes."""
    return f"{alias}.object" if _is_long(one.key for one in fields) else f"row_to_json({alias})"
