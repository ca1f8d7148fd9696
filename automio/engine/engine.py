"""The face of the engine: who asks + a GraphQL request -> the bytes of the answer. The steps, in order:

  text -> Document of the caller's role (document.py, cached by text and operation name)
  variables -> values and their shape (inputs.py)
  Document + shape + bound or not -> Plan -> Program (plan.py, render.py; cached by these three)
  Program + values + organization + session variables -> JSON bytes (run.py)

So a request whose document and shape were seen before costs two lookups, the binding of its values and the database's work.
The caches are bounded, keep nothing of unusual size, and belong to one reading of the catalog: `reload` starts empty ones.

Answers are {"data": …} or {"errors": [one error]}, in Hasura's shape and words, and never hold SQL, bound values or details of
the database.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from graphql import OperationType

from automio.engine.admin import BulkRefusal, Keeper, State
from automio.engine.catalog import Catalog
from automio.engine.document import Document, read_document
from automio.engine.follow import follow
from automio.engine.inputs import Reader
from automio.engine.introspection import introspect
from automio.engine.live import Live, Ready, Subscription
from automio.engine.metadata_types import Naming
from automio.engine.permissions import RoleView, read_role, roles_of
from automio.engine.permissions_types import Role
from automio.engine.plan import plan_document
from automio.engine.plan_types import Plan
from automio.engine.read import Sight
from automio.engine.refusal import Refusal
from automio.engine.render import Cell, Program, Statement, render, render_batch
from automio.engine.run import Database
from automio.engine.schema import Schema, build_schema
from automio.engine.values import Binder, Context, binder
from automio.engine.view import ADMIN
from automio.errors import EngineError

_DOCUMENTS = 512
_PROGRAMS = 2048
_LONGEST_KEPT = 65536
_MOST_KEPT_VALUES = 1000
_TOO_DEEP = Refusal("the request is nested too deeply")
_NOT_OVER_HTTP = Refusal("subscriptions are not supported over HTTP, use websockets instead", code="unexpected-payload")
_T = TypeVar("_T")


class _NotASubscription(Exception):
    """A query or a mutation."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. With an organization the caller reads and writes that organization's rows only, whatever the request says.

    A role other than admin sees and does what its permissions say, in the same bounds. `session` are its session variables, by
    their names in lower case. `backend`: permissions that are `backend_only` count.
    """

    role: str = "admin"
    organization: int | None = None
    session: Mapping[str, str] = field(default_factory=dict)
    backend: bool = False

    def __post_init__(self) -> None:
        if self.organization is not None and type(self.organization) is not int:
            raise EngineError("The organization of a caller is an integer.")


class Engine:
    """Answers GraphQL requests on one PostgreSQL database, as Hasura v2 does. Made by `Engine.connect`."""

    def __init__(
        self,
        database: Database,
        stringify_numeric: bool,
        tenant_column: str,
        live_interval: float = 1.0,
        naming: Naming = Naming.HASURA,
    ) -> None:
        self._database = database
        self._stringify_numeric = stringify_numeric
        self._keeper = Keeper(database, tenant_column, naming)
        self._reading = _Reading(Catalog({}, tenant_column), stringify_numeric)
        self._state: State | None = None
        self._reads = asyncio.Lock()
        self._live = Live(database, lambda: self._reading, live_interval)
        self._observers: list[Callable[[Catalog, Catalog], None]] = [lambda before, now: self._live.changed()]

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        pool_size: int = 8,
        stringify_numeric: bool = False,
        tenant_column: str = "organization_id",
        live_interval: float = 1.0,
        naming: str = "hasura-default",
    ) -> Engine:
        """An engine that has read the catalog. `stringify_numeric`: bigint, numeric and double precision as JSON strings.

        `live_interval`: seconds between two statements of a live query or stream. `naming`: the convention where the metadata
        names none, "hasura-default" or "graphql-default".

        Raises EngineError when the database cannot be reached; the text names host and database, never a password.
        """
        database = await Database.connect(dsn, pool_size)
        engine = cls(database, stringify_numeric, tenant_column, live_interval, Naming(naming))
        try:
            await engine._read()
        except BaseException:
            await database.close()
            raise
        return engine

    async def close(self) -> None:
        """Ends the subscriptions, and the connections after the requests that are running."""
        await self._live.close()
        await self._database.close()

    async def ping(self) -> None:
        """Returns when the database answers. EngineError when it does not."""
        await self._database.one_value("SELECT 1")

    async def reload(self) -> None:
        """Reads the catalog again, after DDL. Requests that run meanwhile finish on what they began with."""
        await self._database.renew()
        await self._read()

    def observe(self, observer: Callable[[Catalog, Catalog], None]) -> None:
        """Call `observer` with the catalog of before and of now, whenever a reading shows another one."""
        self._observers.append(observer)

    @asynccontextmanager
    async def following(self, note: Callable[[str], None]) -> AsyncIterator[None]:
        """Inside, DDL of anybody is followed by a reload (follow.py). `note` gets what people should know, a line each."""
        task = asyncio.create_task(follow(self._database, lambda: self._read(if_changed=True), note))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def run_sql(self, sql: str) -> None:
        """Runs a script of DDL or rows as the owner of the database, then reloads.

        All or nothing, unless the script itself says BEGIN and COMMIT. EngineError with the line of the fault.
        """
        await self._database.script(sql)
        await self.reload()

    async def admin(self, body: Any) -> Any:
        """The answer to a request about metadata or run_sql (admin.py), as JSON. AdminRefusal; EngineError without a database."""
        async with self._reads:
            assert self._state is not None
            try:
                state, answer = await self._keeper.request(self._state, body)
            except BulkRefusal as stopped:
                self._take(stopped.state)
                raise stopped.refusal from None
            self._take(state)
            return answer

    @property
    def catalog(self) -> Catalog:
        """The tables as last read."""
        return self._reading.catalog

    @property
    def schema(self) -> Schema:
        """The GraphQL schema of these tables."""
        return self._reading.schema

    async def execute(self, caller: Caller, body: Mapping[str, Any]) -> bytes:
        """The complete response to {"query", "variables"?, "operationName"?}. Bad requests are answered, not raised.

        A mutation is one transaction: with an error nothing of it is kept.
        """
        try:
            prepared, values = self._reading.prepare(caller, body)
            if prepared.document.kind is OperationType.SUBSCRIPTION:
                raise _NOT_OVER_HTTP.again()
            cells: Sequence[Sequence[Any]] = ()
            if prepared.program.steps:
                context = Context(values, caller.organization, session=caller.session)
                cells = await self._database.run(prepared.program, prepared.binders, context)
            return prepared.answer(cells, values)
        except Refusal as refusal:
            return refusal.body()
        except RecursionError:
            return _TOO_DEEP.body()

    def subscribe(self, caller: Caller, body: Mapping[str, Any]) -> Subscription | None:
        """The answers to a subscription, from now on (live.py); None when the request is another operation.

        Close it when it is not wanted any more. Raises Refusal.
        """

        def prepare() -> Ready:
            reading = self._reading
            prepared, values = reading.prepare(caller, body)
            if prepared.document.kind is not OperationType.SUBSCRIPTION:
                raise _NotASubscription
            group = (prepared, caller.role, caller.organization)
            return Ready(prepared, Context(values, caller.organization, session=caller.session), group, reading)

        try:
            return self._live.add(prepare)
        except _NotASubscription:
            return None

    async def explain(self, caller: Caller, body: Mapping[str, Any]) -> list[Statement]:
        """The statements that the request would run, in order; nothing runs. EngineError when it would be refused.

        Of a subscription: the one that serves all its subscribers, whose last parameters are arrays of their values.
        """
        try:
            prepared, _ = self._reading.prepare(caller, body)
        except Refusal as refusal:
            raise EngineError(f"{refusal.message} ({refusal.path})") from None
        if prepared.document.kind is OperationType.SUBSCRIPTION:
            batch = render_batch(prepared.plan)
            return [Statement(batch.text, (*batch.fixed, *batch.varying))]
        return [step.statement for step in prepared.program.steps]

    async def plan(self, caller: Caller, body: Mapping[str, Any]) -> Plan:
        """The plan of the request, for people and golden files. EngineError when it would be refused."""
        try:
            prepared, _ = self._reading.prepare(caller, body)
        except Refusal as refusal:
            raise EngineError(f"{refusal.message} ({refusal.path})") from None
        return prepared.plan

    async def _read(self, *, if_changed: bool = False) -> None:
        """One reading at a time, so that a later one is never replaced by an earlier one."""
        async with self._reads:
            state = await self._keeper.read(self._state)
            if if_changed and state is self._state:
                return
            if if_changed:
                await self._database.renew()
            self._take(state)

    def _take(self, state: State) -> None:
        """Serves this state from now on; the observers hear of another catalog."""
        if state is self._state:
            return
        self._state = state
        before = self._reading.catalog
        if self._reading.catalog == state.catalog:
            return
        self._reading = _Reading(state.catalog, self._stringify_numeric)
        if before != self._reading.catalog:
            for observer in self._observers:
                observer(before, self._reading.catalog)


@dataclass(eq=False, slots=True)
class _Prepared:
    """A program with the functions that give its values, and the frame of its answer."""

    document: Document
    plan: Plan
    program: Program
    reader: Reader
    binders: tuple[tuple[Binder, ...], ...]
    heads: tuple[bytes, ...]
    known: dict[str, bytes] = field(default_factory=dict)

    def answer(self, cells: Sequence[Sequence[Any]], values: Mapping[str, Any]) -> bytes:
        parts: list[bytes] = []
        for head, answer in zip(self.heads, self.program.answers, strict=True):
            parts.append(head)
            value = answer.value
            if isinstance(value, Cell):
                parts.append(cells[value.step][value.column] or b"null")
            elif isinstance(value, str):
                parts.append(value.encode())
            elif value is None:
                parts.append(self._introspected(answer.key, values))
            else:
                parts.append(b"[" + b",".join(cells[one.step][one.column] for one in value) + b"]")
        return b'{"data":{' + b"".join(parts) + b"}}"

    def _introspected(self, key: str, values: Mapping[str, Any]) -> bytes:
        """Kept when the document has no variables: then it cannot come out differently."""
        if key in self.known:
            return self.known[key]
        selected = next(one for one in self.document.roots(self.reader) if one.key == key)
        found = introspect(self.document, selected, values)
        if not self.document.operation.variable_definitions:
            self.known[key] = found
        return found


class _Reading:
    """One reading of the catalog with its schema and caches."""

    def __init__(self, catalog: Catalog, stringify_numeric: bool) -> None:
        self.catalog = catalog
        self.stringify_numeric = stringify_numeric
        self._admin = _Face(self, None)
        self.schema = self._admin.schema
        self._roles = roles_of(catalog)
        self._faces: dict[tuple[str, bool], _Face] = {}
        self._programs: _Bounded[_Prepared] = _Bounded(_PROGRAMS)

    def prepare(self, caller: Caller, body: Mapping[str, Any]) -> tuple[_Prepared, Mapping[str, Any]]:
        """The program of a request and the values of its variables. Refusal."""
        try:
            return self._prepare(caller, body)
        except RecursionError:
            raise _TOO_DEEP.again() from None

    def _prepare(self, caller: Caller, body: Mapping[str, Any]) -> tuple[_Prepared, Mapping[str, Any]]:
        text, name, given = _parts(body)
        face = self._admin if caller.role == "admin" else self._face(caller)
        document = face.documents.get((text, name))
        if document is None:
            document = read_document(face.schema.graphql, text, name)
            if len(text) <= _LONGEST_KEPT:
                face.documents.put((text, name), document)
        values, shapes = document.variables.read(given)
        key = (document, caller.organization is not None, shapes)
        prepared = self._programs.get(key)
        if prepared is None:
            prepared = _prepare(document, face.sight(key[1]), shapes)
            if sum(map(len, prepared.binders)) <= _MOST_KEPT_VALUES:
                self._programs.put(key, prepared)
        return prepared, values

    def _face(self, caller: Caller) -> _Face:
        """What this caller's role sees; all roles without any permission see the same nothing."""
        name = caller.role if caller.role in self._roles else ""
        key = (name, caller.backend and self._roles.get(name, False))
        face = self._faces.get(key)
        if face is None:
            face = self._faces[key] = _Face(self, key)
        return face


class _Face:
    """The schema that a role has, with its documents. `role`: its name, and whether `backend_only` counts; None is the admin."""

    def __init__(self, reading: _Reading, role: tuple[str, bool] | None) -> None:
        self._reading = reading
        self._role = role
        self._sights: dict[bool, Sight] = {}
        view = ADMIN if role is None else RoleView(self._rights(False))
        self.schema = build_schema(reading.catalog, view)
        self.documents: _Bounded[Document] = _Bounded(_DOCUMENTS)

    def sight(self, bound: bool) -> Sight:
        """How its callers see the tables; `bound`: those of one organization."""
        found = self._sights.get(bound)
        if found is None:
            rights = None if self._role is None else self._rights(bound)
            reading = self._reading
            found = Sight(reading.catalog, self.schema, bound, reading.stringify_numeric, rights)
            self._sights[bound] = found
        return found

    def _rights(self, bound: bool) -> Role:
        assert self._role is not None
        return read_role(self._reading.catalog, self._role[0], bound, self._role[1])


def _prepare(document: Document, sight: Sight, shapes: tuple[Hashable, ...]) -> _Prepared:
    plan = plan_document(document, sight, shapes)
    program = render(plan)
    binders = tuple(tuple(binder(one) for one in step.statement.parameters) for step in program.steps)
    heads = [f"{json.dumps(answer.key)}:".encode() for answer in program.answers]
    heads[1:] = [b"," + head for head in heads[1:]]
    return _Prepared(document, plan, program, Reader(document.variables, shapes), binders, tuple(heads))


def _parts(body: Mapping[str, Any]) -> tuple[str, str | None, Mapping[str, Any]]:
    text, name, given = body.get("query"), body.get("operationName"), body.get("variables")
    if not isinstance(text, str):
        raise Refusal(
            'key "query" not found' if text is None else "expected a string for the query", code="parse-failed"
        )
    if name is not None and not isinstance(name, str):
        raise Refusal("expected a string for operationName", code="parse-failed")
    if given is not None and not isinstance(given, Mapping):
        raise Refusal("expected an object for variables", code="parse-failed")
    return text, name or None, given or {}


class _Bounded(Generic[_T]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, _T] = OrderedDict()

    def get(self, key: Hashable) -> _T | None:
        found = self._items.get(key)
        if found is not None:
            self._items.move_to_end(key)
        return found

    def put(self, key: Hashable, value: _T) -> None:
        self._items[key] = value
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def __len__(self) -> int:
        return len(self._items)
