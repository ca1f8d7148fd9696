"""The plan of a request: only data, no behaviour. Made by plan.py, filter.py and write.py; next: render.py.

A plan says which rows, which fields and which changes; not which aliases, quotes or `$1`. Predicates and columns are read
against "the row at hand", so a plan of a relationship is the same wherever it hangs.

`TableRef` is the only way in which a plan names a table, and filter.py's `Tables` is the only maker of it.

Values are `Parameter`s: where a value comes from (`Source`), as what it is bound, and how a fault in it is reported. A plan
never holds the value of a variable, nor an organization, so it serves every request of the same shape and every organization.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from automio.engine.catalog import Choices, SqlType

# ── where values come from ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of the document; `text` is a printable, comparable form of `value`. `choices`: it is a name in an enum table."""

    text: str
    value: Any = field(compare=False, repr=False)
    choices: Choices | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """The value at `path` in the variables; `row`: and then at `row` in each element of the list found there."""

    path: tuple[str | int, ...]
    row: str | None = None
    choices: Choices | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Composed:
    """A JSON literal with variables in it; `template` holds `Hole`s."""

    text: str
    template: Any = field(compare=False, repr=False)
    choices: Choices | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of a variable in a JSON literal."""

    name: str


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization of the caller."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session variable of the caller, by its name in lower case."""

    name: str


@dataclass(frozen=True, slots=True)
class StepValue:
    """A column of the first row that an earlier step of the same mutation wrote."""

    step: int
    column: str


@dataclass(frozen=True, slots=True)
class StepRows:
    """All rows that these steps wrote, as one JSON array."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepCount:
    """How many rows these steps wrote."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a subscriber of a stream has come: the value of the cursor's column in the last row that it got."""


Source = Constant | Variable | Composed | Organization | Session | StepValue | StepRows | StepCount | Cursor


class Kind(Enum):
    """How a value is checked and turned into what is bound (values.py)."""

    COLUMN = "column"
    LIMIT = "limit"
    JSON_PATH = "json path"
    OWN = "own organization"
    OWN_OR_NULL = "own organization or null"
    SESSION = "session variable"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A bound value; `many`: a list of them, bound as one array. `graphql` and `path` are for the text of a fault and don't make two parameters different."""

    source: Source
    type: SqlType
    kind: Kind = Kind.COLUMN
    many: bool = False
    graphql: str = field(default="", compare=False, repr=False)
    path: str = field(default="$", compare=False, repr=False)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Scope:
    """Only rows whose `column` equals the organization. `barrier`: and nothing else may look at a row before that.

    `foreign` turns it round, for one use: to count the rows of others that a write would drag along (`Guard`).
    """

    column: str
    organization: Parameter
    barrier: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table as a caller sees it. `scope` is None for a caller who sees all rows, or for a shared table.

    `filter` is what the caller's role adds to it. `barrier`: and nothing else may look at a row before that.
    """

    schema: str
    name: str
    scope: Scope | None = None
    filter: Predicate | None = None
    barrier: bool = False


@dataclass(frozen=True, slots=True)
class Everything:
    """All of these; none of them is TRUE."""

    of: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Anything:
    """One of these; none of them is FALSE."""

    of: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Negation:
    of: Predicate


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column operator value`; `cast` names a type that the column is cast to first. `operator` is a key of sql.OPERATORS.

    `late`: PostgreSQL's planner must not see the value. It tries patterns on the column's statistics, which hold foreign rows.
    """

    column: str
    operator: str
    value: Parameter
    cast: SqlType | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class ColumnComparison:
    """`column operator other`, both columns of the row at hand; `root`: `other` is one of the nearest `Rooted` row."""

    column: str
    operator: str
    other: str
    root: bool = False
    cast: SqlType | None = None


@dataclass(frozen=True, slots=True)
class Rooted:
    """The row at hand is the root of what stands below."""

    of: Predicate


@dataclass(frozen=True, slots=True)
class IsNull:
    column: str
    null: bool
    cast: SqlType | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """A row of `table` with our keys satisfies `where`. `pairs` are (our column, its column)."""

    table: TableRef
    pairs: tuple[tuple[str, str], ...]
    where: Predicate


@dataclass(frozen=True, slots=True)
class AggregateTest:
    """`predicate` on the column "value", which is `call` over the rows of `table` with our keys that satisfy `where`."""

    table: TableRef
    pairs: tuple[tuple[str, str], ...]
    where: Predicate
    call: Call
    predicate: Predicate


Predicate = Everything | Anything | Negation | Comparison | ColumnComparison | Rooted | IsNull | Exists | AggregateTest


@dataclass(frozen=True, slots=True)
class Call:
    """An aggregate function over columns; `count` of no columns counts rows."""

    function: str
    columns: tuple[str, ...] = ()
    distinct: bool = False
    type: SqlType | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One relationship on the way to what rows are ordered by."""

    table: TableRef
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Order by a column, or by `call` over it, at the end of `hops`. `direction`: `asc`, `desc_nulls_last`, …"""

    direction: str
    column: str = ""
    hops: tuple[Hop, ...] = ()
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows, in which order. `pairs` tie them to the row at hand: (its column, our column); () at the root.

    A limit that stands in the document is a number of the plan: PostgreSQL plans better for a limit that it knows.
    `ties`: rows beyond the limit that are equal to the last one in the order belong to them.
    `most`: there are no more than that, whatever the limit says.
    """

    table: TableRef
    pairs: tuple[tuple[str, str], ...] = ()
    where: Predicate = Everything()
    distinct: tuple[str, ...] = ()
    order: tuple[Order, ...] = ()
    limit: Parameter | int | None = None
    offset: Parameter | int | None = None
    ties: bool = False
    most: int | None = None


# ── fields of an answer; `key` is the response key ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A column; `path` selects inside a jsonb; `text`: as a JSON string (stringify_numeric)."""

    key: str
    column: str
    path: Parameter | None = None
    text: bool = False


@dataclass(frozen=True, slots=True)
class TypeName:
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class ObjectField:
    """The one row, or null."""

    key: str
    rows: Rows
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class ListField:
    key: str
    rows: Rows
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class CallField:
    """One aggregate value; `text` as in ColumnField."""

    key: str
    call: Call
    text: bool = False


@dataclass(frozen=True, slots=True)
class GroupField:
    """An object of values (`aggregate`, `sum`, …)."""

    key: str
    fields: tuple[CallField | TypeName | GroupField, ...]


@dataclass(frozen=True, slots=True)
class NodesField:
    """The rows that an aggregate is about, the first `most` of them."""

    key: str
    fields: tuple[Field, ...]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class AggregateField:
    key: str
    rows: Rows
    fields: tuple[GroupField | NodesField | TypeName, ...]


Field = ColumnField | TypeName | ObjectField | ListField | AggregateField


@dataclass(frozen=True, slots=True)
class StreamField:
    """The next rows of a stream, in order of its column `cursor`; `rows` has the condition on it. `initial`: where it starts."""

    key: str
    rows: Rows
    fields: tuple[Field, ...]
    cursor: str
    initial: Parameter


# ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Conflict:
    """ON CONFLICT ON CONSTRAINT; no columns: do nothing.

    `presets` are set in the row that is there already, `filter` says which ones may be changed (`barrier`: before `where` looks at
    them), and `check` is for what they become.
    """

    constraint: str
    columns: tuple[str, ...]
    where: Predicate = Everything()
    presets: tuple[Change, ...] = ()
    filter: Predicate | None = None
    check: Predicate | None = None
    barrier: bool = False


@dataclass(frozen=True, slots=True)
class InsertPlan:
    """`rows` are cells in the order of `columns` (None: the default). `spread`: there is one row of lists, one value an inserted row.

    `check`: what each row that was written must satisfy, else nothing is kept.
    """

    table: TableRef
    columns: tuple[str, ...]
    rows: tuple[tuple[Parameter | None, ...], ...]
    conflict: Conflict | None = None
    spread: bool = False
    check: Predicate | None = None

    @property
    def checks(self) -> bool:
        """Whether rows are checked after they were written."""
        return self.check is not None or (self.conflict is not None and self.conflict.check is not None)


@dataclass(frozen=True, slots=True)
class Change:
    """`operator` is _set, _inc, _append, _prepend, _delete_key, _delete_elem or _delete_at_path."""

    column: str
    operator: str
    value: Parameter


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """`check`: what each row must satisfy afterwards, else nothing is kept."""

    table: TableRef
    where: Predicate
    changes: tuple[Change, ...]
    check: Predicate | None = None

    @property
    def checks(self) -> bool:
        """Whether rows are checked after they were written."""
        return self.check is not None


@dataclass(frozen=True, slots=True)
class DeletePlan:
    table: TableRef
    where: Predicate

    @property
    def checks(self) -> bool:
        """A row that is gone has nothing to check."""
        return False


@dataclass(frozen=True, slots=True)
class Parent:
    """Rows just written must find a row of `table` behind the foreign key `constraint` (where the key is not null). `inserted`:
    only those that an upsert inserted, since its update leaves the key as it was."""

    table: TableRef
    constraint: str
    pairs: tuple[tuple[str, str], ...]
    inserted: bool = False


@dataclass(frozen=True, slots=True)
class Cascade:
    """A foreign key along which a write goes on: from rows of table number `parent` to rows that refer to them.

    `pairs` are (the referring column, the referred one). `child` is the number of the referring table when the cascade goes
    on from there. `spared` are the rows that it must not reach, None when it may reach all that refer.
    """

    constraint: str
    table: str
    parent: int
    pairs: tuple[tuple[str, str], ...]
    child: int | None = None
    spared: TableRef | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A write to `rows` must not reach rows of others. `tables` are what it reaches, the written one first, with their keys."""

    rows: Rows
    tables: tuple[TableRef, ...]
    keys: tuple[tuple[tuple[str, SqlType], ...], ...]
    cascades: tuple[Cascade, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """One writing step. `guard` is checked before it, `parents` after it. `on_empty`: the error when it wrote nothing, if any."""

    plan: InsertPlan | UpdatePlan | DeletePlan
    path: str
    guard: Guard | None = None
    parents: tuple[Parent, ...] = ()
    on_empty: str = ""


@dataclass(frozen=True, slots=True)
class AffectedRows:
    key: str


@dataclass(frozen=True, slots=True)
class Returning:
    key: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """The object that a mutation of many rows answers."""

    fields: tuple[AffectedRows | Returning | TypeName, ...]


@dataclass(frozen=True, slots=True)
class SingleRow:
    """The one row written, or null."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class MutationField:
    """A root field of a mutation. `writes` in order, numbered from `first`; the answer is about the rows of those in `groups`.

    `many`: the answer is a list, one element a group (`update_many`); else there is one group. `table` names the row type of the answer.
    """

    key: str
    table: TableRef
    writes: tuple[Write, ...]
    first: int
    groups: tuple[tuple[int, ...], ...]
    answer: Response | SingleRow
    many: bool = False


@dataclass(frozen=True, slots=True)
class Introspection:
    """A root field about the schema; introspection.py answers it, from the document itself."""

    key: str


RootField = ObjectField | ListField | AggregateField | StreamField | MutationField | TypeName | Introspection


@dataclass(frozen=True, slots=True)
class Plan:
    """The root fields in order of the answer; `writes` says that they run in order, in one transaction."""

    fields: tuple[RootField, ...]
    writes: bool = False


def _scope(scope: Scope | None) -> str:
    if scope is None:
        return ""
    whose = " of others than " if scope.foreign else " of "
    return whose + pretty(scope.organization.source) + (" behind a barrier" if scope.barrier else "")


def pretty(value: Any, indent: str = "") -> str:
    """The plan as indented text, for golden files and for people. Empty parts and defaults are left out."""
    inner = indent + "  "
    if isinstance(value, tuple):
        if not value:
            return "()"
        if all(isinstance(one, str | int) for one in value):
            return f"({', '.join(map(str, value))})"
        if all(isinstance(one, tuple) and all(isinstance(x, str) for x in one) for one in value):
            return f"({', '.join(' = '.join(one) for one in value)})"
        if all(isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], SqlType) for one in value):
            return f"({', '.join(f'{one[0]} {pretty(one[1])}' for one in value)})"
        return "[\n" + "".join(f"{inner}{pretty(one, inner)}\n" for one in value) + f"{indent}]"
    match value:
        case SqlType():
            return f"{value.name}[]" if value.array else value.name
        case Parameter():
            return f"{pretty(value.source)} as {pretty(value.type)}{'[]' if value.many else ''}" + (
                "" if value.kind is Kind.COLUMN else f" ({value.kind.value})"
            )
        case Constant() | Composed():
            return value.text
        case Variable():
            return "$" + ".".join(map(str, value.path)) + (f"[].{value.row}" if value.row is not None else "")
        case Organization():
            return "organization"
        case Session():
            return value.name
        case Cursor():
            return "cursor"
        case TableRef() if value.filter is None:
            return f"{value.name}{_scope(value.scope)}"
        case Enum():
            return value.value
    if not hasattr(value, "__dataclass_fields__"):
        return str(value)
    parts: list[str] = []
    for name, info in value.__dataclass_fields__.items():
        one = getattr(value, name)
        if info.repr and one is not None and one != info.default and one not in ((), ""):
            parts.append(f"{name}: {pretty(one, inner)}")
    title = type(value).__name__
    line = f"{title} {', '.join(parts)}".rstrip()
    if "\n" not in line and len(indent) + len(line) <= 120:
        return line
    return title + "".join(f"\n{inner}{part}" for part in parts)
