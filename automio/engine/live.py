"""Live queries and streams: a subscription -> its answers, one after the other. Used by engine.py; the sockets are local/websocket.py.

PostgreSQL does not tell what a query would answer now, so it is asked again: every `interval` seconds, as Hasura does. What
asks is a *group*: all subscribers of one plan (one document and one shape of variables, so one role) and one organization.

- One statement serves a group, up to 100 different sets of values in it (`render_batch`): the values that differ between
  subscribers (variables, session variables, the place in a stream) are rows of a relation, the answers come back with the
  number of their row. Subscribers whose values are all equal share a row. The organization and the literals of the document
  are not in these rows; they are bound for the statement as a whole, exactly as in a query. So two organizations never share a
  statement, nor do two roles, and within a group an answer goes to those alone who asked with the very values it was made of.
- A new subscriber is answered at once, not at the next turn. Many that come together are taken together: between two
  statements of a group lie 50 ms at least. A group waits `interval` after it was answered, so a slow query slows itself down.
- A live query sends the first answer, then each one that differs from the last sent (told by its hash). An answer that nobody
  has taken yet is replaced by the next: a slow consumer misses states in between, never the latest, and costs one answer.
- A stream keeps for each subscriber how far it has come. It sends a batch when there are rows behind that place, else nothing,
  and is not asked again before the batch was taken; then at once. Rows that are equal to the last row of a batch in the cursor's
  column belong to that batch, which may thus be longer than `batch_size`, so none is lost. What no cursor can see is lost, as in
  Hasura: a row that appears (is committed) with a value that the stream has passed already, or with null.
- Statements of subscriptions use half of the engine's connections at most, so queries and mutations always find one.
- Faults of the first answer that lie in the request end the subscription. All others (the database is away, a row that cannot
  be cast) are told once, as an answer with errors, and asked again at the usual times; nothing else is ever repeated. When the
  values of one subscriber make a statement fail, the sets of values of that turn are asked for one by one.
- As soon as the catalog was read anew every subscription is planned again: it goes on where it was, or ends with the refusal
  that a query would get now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol

from automio.engine.plan_types import Cursor, Plan, StreamField
from automio.engine.refusal import Refusal
from automio.engine.render import render_batch
from automio.engine.run import Database
from automio.engine.values import Context, binder, text_of

_BATCH = 100
_SOONEST = 0.05
_FAULTS_OF_OTHERS = "unexpected"


class Prepared(Protocol):
    """A planned document, as engine.py keeps it."""

    @property
    def plan(self) -> Plan: ...

    def answer(self, cells: Sequence[Sequence[Any]], values: Mapping[str, Any]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A subscription that can be asked. Equal `group`s are asked together; `reading` is the catalog that it was planned with."""

    prepared: Prepared
    context: Context
    group: Hashable
    reading: object


class Live:
    """All subscriptions of one engine. `reading` gives the catalog of now."""

    def __init__(self, database: Database, reading: Callable[[], object], interval: float) -> None:
        self.database = database
        self.reading = reading
        self.interval = interval
        self.statements = asyncio.Semaphore(max(1, database.size // 2))
        self.groups: dict[Hashable, _Group] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def add(self, prepare: Callable[[], Ready]) -> Subscription:
        """A subscription; `prepare` is called again for each reading of the catalog. Refusal when it cannot be asked."""
        subscription = Subscription(prepare)
        self.join(subscription, prepare())
        return subscription

    def join(self, subscription: Subscription, ready: Ready) -> None:
        """Puts it into its group, a new one if it is the first there."""
        key = (ready.group, ready.reading)
        group = self.groups.get(key)
        if group is None:
            group = _Group(self, key, ready)
        group.add(subscription, ready.context)  # may refuse
        if key not in self.groups:
            self.groups[key] = group
            group.start()

    def changed(self) -> None:
        """The catalog was read anew: no group waits for its turn to see it."""
        for group in self.groups.values():
            group.wake.set()

    async def close(self) -> None:
        """Ends every subscription and waits until no statement runs for any."""
        for group in list(self.groups.values()):
            for one in list(group.members):
                one.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Subscription:
    """The answers of one subscriber, complete GraphQL responses: iterate, and `close` when done. Made by `Engine.subscribe`.

    Ends by Refusal when the request is at fault (then nothing was answered, or the tables have changed), and silently when
    the engine closes.
    """

    __slots__ = (
        "_answer",
        "_changed",
        "_ended",
        "_failure",
        "cursor",
        "eager",
        "fresh",
        "group",
        "prepare",
        "sent",
        "values",
    )

    def __init__(self, prepare: Callable[[], Ready]) -> None:
        self.prepare = prepare
        self.group: _Group | None = None
        self.values: tuple[str | None, ...] = ()
        self.cursor: str | None = None
        self.fresh = True  # nothing was answered yet
        self.eager = True  # to be asked for before the next turn
        self.sent = b""
        self._answer: bytes | None = None
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> bytes:
        while self._answer is None:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        answer, self._answer = self._answer, None
        if self.group is not None and self.group.stream is not None:
            self.eager = True
            self.group.wake.set()
        return answer

    @property
    def waits(self) -> bool:
        """Whether an answer lies there that was not taken yet."""
        return self._answer is not None

    def offer(self, answer: bytes, digest: bytes) -> None:
        """The next answer, in place of one that was not taken. Nothing when it is the one that was sent last."""
        if self.sent != digest:
            self.sent, self._answer = digest, answer
            self._changed.set()

    def offer_batch(self, answer: bytes) -> None:
        """The next rows of a stream."""
        self.sent, self._answer = b"", answer
        self._changed.set()

    def fail(self, failure: Exception) -> None:
        """Ends it; whoever waits for an answer gets the failure, after an answer that lies there."""
        self._failure = failure
        self.close()

    def close(self) -> None:
        """Nothing more is asked for it. May be called at any time, and again."""
        self._ended = True
        self._changed.set()
        if self.group is not None:
            self.group.remove(self)


class _Group:
    """Subscribers that one statement serves, and the task that asks for them."""

    def __init__(self, live: Live, key: Hashable, ready: Ready) -> None:
        self.live = live
        self.key = key
        self.prepared = ready.prepared
        self.reading = ready.reading
        self.context = ready.context
        self.batch = render_batch(ready.prepared.plan)
        self.fixed = [binder(one)(ready.context) for one in self.batch.fixed]
        self.binders = [binder(one) for one in self.batch.varying]
        fields = ready.prepared.plan.fields
        self.stream = next((one for one in fields if isinstance(one, StreamField)), None)
        self.place = next((i for i, one in enumerate(self.batch.varying) if isinstance(one.source, Cursor)), -1)
        self.members: dict[Subscription, None] = {}
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.live.tasks.add(self.task)
        self.task.add_done_callback(self.live.tasks.discard)

    def add(self, one: Subscription, context: Context) -> None:
        """Refusal when one of its values cannot be bound; then it is not in the group."""
        if self.stream is not None and one.cursor is None:
            one.cursor = text_of(binder(self.stream.initial)(context))
        context = replace(context, cursor=one.cursor)
        one.values = tuple(text_of(bind(context)) for bind in self.binders)
        one.group = self
        one.eager = True
        self.members[one] = None
        self.wake.set()

    def remove(self, one: Subscription) -> None:
        """The last one to go takes the task along, and the statement that it runs."""
        one.group = None
        self.members.pop(one, None)
        if not self.members:
            if self.live.groups.get(self.key) is self:
                del self.live.groups[self.key]
            if self.task is not None:
                self.task.cancel()

    async def _run(self) -> None:
        try:
            await self._turns()
        except Exception as error:  # ours to repair: whoever waits must hear of it
            for one in list(self.members):
                one.fail(error)

    async def _turns(self) -> None:
        loop = asyncio.get_running_loop()
        next_turn = loop.time()
        while self.members:
            if self.reading is not self.live.reading():
                self._move()
                return
            self.wake.clear()
            turn = loop.time() >= next_turn
            await self._ask([one for one in self.members if self._is_due(one, turn)])
            if turn:
                next_turn = loop.time() + self.live.interval
            await asyncio.sleep(min(_SOONEST, self.live.interval))
            try:
                async with asyncio.timeout_at(next_turn):
                    await self.wake.wait()
            except TimeoutError:
                pass

    def _is_due(self, one: Subscription, turn: bool) -> bool:
        return (turn or one.eager) and not (self.stream is not None and one.waits)

    def _move(self) -> None:
        """The tables have changed: each member joins the group of its new plan."""
        self.live.groups.pop(self.key, None)
        for one in list(self.members):
            try:
                ready = one.prepare()
                self.members.pop(one)
                self.live.join(one, ready)
            except Refusal as refusal:
                one.fail(refusal)

    async def _ask(self, due: Iterable[Subscription]) -> None:
        """One turn: every set of values once."""
        asked: dict[tuple[str | None, ...], list[Subscription]] = {}
        for one in due:
            one.eager = False
            asked.setdefault(one.values, []).append(one)
        rows = iter(asked)
        while some := list(islice(rows, _BATCH)):
            try:
                try:
                    found = await self._fetch(some)
                except Refusal as refusal:
                    if len(some) == 1 or refusal.code == _FAULTS_OF_OTHERS:
                        raise
                    found = [await self._fetch_one(row) for row in some]
            except Refusal as refusal:
                if self.reading is not self.live.reading():
                    return  # planned for tables that are not there any more
                found = [refusal] * len(some)
            for row, cells in zip(some, found, strict=True):
                self._deliver(asked[row], cells)

    async def _fetch_one(self, row: tuple[str | None, ...]) -> Sequence[Any] | Refusal:
        try:
            return (await self._fetch([row]))[0]
        except Refusal as refusal:
            return refusal

    async def _fetch(self, rows: Sequence[tuple[str | None, ...]]) -> list[Sequence[Any] | Refusal]:
        """The cells for each of these sets of values. Refusal."""
        lists = [[row[i] for row in rows] for i in range(len(self.binders))]
        found: list[Sequence[Any] | Refusal] = [()] * len(rows)
        async with self.live.statements:
            answered = await self.live.database.rows(self.batch.text, [*self.fixed, *lists])
        for number, *cells in answered:
            found[number - 1] = cells
        return found

    def _deliver(self, to: Sequence[Subscription], cells: Sequence[Any] | Refusal) -> None:
        """Hands the answer out. Some of them may have gone while it was made."""
        if isinstance(cells, Refusal):
            body = cells.body()
            digest = _digest(body)
            for one in to:
                if one.fresh and cells.code != _FAULTS_OF_OTHERS:
                    one.fail(cells.again())
                else:
                    one.fresh = False
                    one.offer(body, digest)
        elif self.stream is None:
            body = self.prepared.answer([cells], self.context.variables)
            digest = _digest(body)
            for one in to:
                one.fresh = False
                one.offer(body, digest)
        else:
            text, cursor = cells[0]
            for one in to:
                one.fresh = False
                if cursor is not None:
                    one.cursor = cursor
                    one.values = (*one.values[: self.place], cursor, *one.values[self.place + 1 :])
                    one.offer_batch(self.prepared.answer([[text.encode()]], self.context.variables))


def _digest(answer: bytes) -> bytes:
    return blake2b(answer, digest_size=16).digest()
