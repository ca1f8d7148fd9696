"""What a generated function holds (Facts, Operation) and builds (Call). Next: client.py runs it, scoping.py binds it.

Generated modules load this file when they are imported, so nothing heavy is imported here and nothing is computed
before the first call: no gql, graphql-core, aiohttp, no validator.

One package serves several installations. What depends on the app's id is kept as text that is split at it, and joined
once for each id that is called: `Operation.bound`. Which id runs is the client's decision (`app_of` in client.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from automio.scope.reshape import ReshapePlan
from automio.scope.rules import Rule, retarget

if TYPE_CHECKING:
    from automio.dialect.index import OperationKind, SchemaIndex
    from automio.runtime.decode import Decoder
    from automio.scope.check import Check, Prepared
    from automio.scope.cursor import Cursor

T = TypeVar("T")

_registered: dict[str, Facts] = {}


class Facts:
    """What a generated package knows of its tables: `SchemaIndex.facts()` of one app, read when first needed.

    Making one registers it by its app, for ad-hoc documents on the same tables; the last one made for an app counts.
    """

    __slots__ = ("_indexes", "app", "text")

    def __init__(self, app: str, text: str) -> None:
        self.app = app
        self.text = text
        self._indexes: dict[str, SchemaIndex] = {}
        _registered[app] = self

    def __repr__(self) -> str:
        return f"Facts({self.app!r}, <{len(self.text)} characters>)"

    def index(self, app_id: str | None = None) -> SchemaIndex:
        """The index with the app's own id, or with another installation's. Read once for each."""
        app = self.app if app_id is None or not self.app else app_id
        found = self._indexes.get(app)
        if found is None:
            from automio.dialect.index import SchemaIndex

            text = self.text if app == self.app else self.text.replace(f"app_{self.app}_", f"app_{app}_")
            found = self._indexes[app] = SchemaIndex.from_facts(text)
        return found


def registered_facts() -> Mapping[str, Facts]:
    """App id -> the facts of the imported package, "" for tables that belong to no app. Live: later imports show up."""
    return _registered


class Reach(Enum):
    """How far a call may see. Only compiled and scoped operations have ORGANIZATION; the others are sent as written."""

    ORGANIZATION = "organization"
    SERVER = "server"
    """As written, to the gateway: the server binds it to the token's organization."""
    ALL = "all"
    """As written, inside all_organizations()."""


class Repeat(Enum):
    """When a failed operation is sent again."""

    WHEN_SAFE = "when_safe"
    """Queries on failures that pass; mutations only when they surely did not reach the server."""
    ALWAYS = "always"
    """Like a query: the caller says that doing it twice is the same as once."""
    NEVER = "never"


@dataclass(frozen=True, slots=True, eq=False)
class BoundOperation:
    """An operation of one installation: the text to send and what to do with variables and answer."""

    name: str
    kind: OperationKind
    text: str
    app: str
    """For the gateway's `?app=`, "" when it isn't known."""
    table: str
    """For the gateway's `?table=`: the table's name without the app."""
    source: str
    index: SchemaIndex | None = field(default=None, repr=False)
    scope_variable: str | None = None
    rules: tuple[Rule, ...] = ()
    dropped: frozenset[str] = frozenset()
    plan: ReshapePlan = ()
    renamed: tuple[str, str] | None = None
    """("app_130_", "app_131_") when another installation is called: names of constraints in values change too."""
    cursor: Cursor | None = None
    """Of a stream: how it goes on after a lost connection."""
    check: BoundCheck | None = field(default=None, repr=False)
    """What must hold before a mutation is sent, where the project declared foreign keys."""
    sends_name: bool = True
    """False for a document sent as written whose caller gave no operation name."""

    @property
    def needs_organization(self) -> bool:
        """False only where the schema has no organizations at all."""
        return self.index is None or self.index.tenant_column is not None


@dataclass(frozen=True, slots=True, eq=False)
class BoundCheck:
    """The question before a mutation: its text as an operation of its own, and what turns variables into it."""

    operation: BoundOperation
    prepared: Prepared


def bind_check(check: Check | None, index: SchemaIndex, app: str, table: str, source: str) -> BoundCheck | None:
    """The check of one installation, None for an operation that has none."""
    if check is None:
        return None
    from automio.scope.check import prepare

    prepared = prepare(check, index)
    text = prepared.text
    return BoundCheck(BoundOperation(check.name, "query", text, app, table, f"{source}, check of references"), prepared)


@dataclass(frozen=True, eq=False)
class Operation(Generic[T]):
    """One compiled operation; a constant of a generated module. `T` is what its function returns."""

    name: str
    kind: OperationKind
    document: tuple[str, ...]
    """The scoped text, cut where the app's id stands."""
    facts: Facts
    table: str
    """The root's table without the app: `orders`."""
    source: str
    """`queries/app_130/orders.graphql:3`, or `derived: orders.find`."""
    result: Callable[[], Any] = field(repr=False)
    """Gives the model class of the whole `data` object; called at the first call."""
    unwrap: tuple[str, ...] = ()
    """Attributes from the data model to the value; "0" is the first of a list, or None."""
    scope_variable: str | None = None
    rules: tuple[Rule, ...] = field(default=(), repr=False)
    dropped: frozenset[str] = field(default=frozenset(), repr=False)
    plan: ReshapePlan = field(default=(), repr=False)
    cursor: Cursor | None = field(default=None, repr=False)
    check: Check | None = field(default=None, repr=False)
    repeat: Repeat = Repeat.WHEN_SAFE
    _bound: dict[str, BoundOperation] = field(default_factory=dict, init=False, repr=False)
    _decoder: list[Decoder[T]] = field(default_factory=list, init=False, repr=False)

    def bound(self, app_id: str) -> BoundOperation:
        """The operation for one app id ("" for tables that belong to no app). Made once for each."""
        found = self._bound.get(app_id)
        if found is None:
            found = self._bound[app_id] = self._bind(app_id)
        return found

    def _bind(self, app_id: str) -> BoundOperation:
        own = self.facts.app
        moved = bool(own) and app_id != own
        renamed = (f"app_{own}_", f"app_{app_id}_") if moved else None
        index = self.facts.index(app_id)
        check = self.check.moved(*renamed) if self.check and renamed else self.check
        return BoundOperation(
            name=self.name,
            kind=self.kind,
            text=app_id.join(self.document),
            app=app_id,
            table=self.table,
            source=self.source,
            index=index,
            scope_variable=self.scope_variable,
            rules=retarget(self.rules, *renamed) if renamed else self.rules,
            dropped=self.dropped,
            plan=self.plan,
            renamed=renamed,
            cursor=self.cursor,
            check=bind_check(check, index, app_id, self.table, self.source),
        )

    @property
    def decoder(self) -> Decoder[T]:
        """Made at the first call (decode.py)."""
        if not self._decoder:
            from automio.runtime.decode import Decoder

            self._decoder.append(Decoder(self))
        return self._decoder[0]


class Call(NamedTuple):
    """One use of an operation. `variables` are the caller's; what is sent is made by scoping.py."""

    operation: BoundOperation
    variables: Mapping[str, Any]
    organization: int | None
    reach: Reach = Reach.ORGANIZATION
    python_names: bool = True
    """True for compiled functions, whose inputs have snake_case keys."""
    repeat: Repeat = Repeat.WHEN_SAFE
