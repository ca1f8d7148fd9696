"""Program -> JSON bytes, on PostgreSQL (the one importer of the database driver). Used by engine.py.

Comes in: statements and the functions that give their values. Goes out: the bytes of JSON columns as PostgreSQL wrote them;
nothing is parsed, except rows that a later step of the same mutation needs.

The pool sends no reset query (a third of a small query's cost): statements here leave nothing behind in a session, and
scripts, which might, get a connection of their own. Sessions run in UTC, so that timestamps read the same everywhere.

Values travel as text for types whose text PostgreSQL itself should read (values.py): asyncpg's own codecs want Python's dates
and UUIDs, and would refuse forms that PostgreSQL takes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from automio.engine.plan_types import StepCount, StepRows, StepValue
from automio.engine.refusal import Refusal, database_refusal
from automio.engine.render import Program, Step
from automio.engine.values import TEXT_CODECS, Binder, Context, Written
from automio.errors import EngineError

_STATEMENTS = 512
_LONGEST_KEPT = 65536
_OF_STEPS = (StepRows, StepCount, StepValue)
_LATER = object()
_SETTINGS = {"application_name": "automio", "timezone": "UTC", "jit": "off"}


class Database:
    """A pool of connections to one database."""

    def __init__(self, dsn: str, pool: Any) -> None:
        self._dsn = dsn
        self._pool = pool

    @classmethod
    async def connect(cls, dsn: str, pool_size: int) -> Database:
        """A pool whose first connection stands. EngineError when the database cannot be reached; no password in its text."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=0,  # with a minimum asyncpg logs a traceback whenever it cannot hold it
                max_size=pool_size,
                init=_prepare,
                reset=_keep,
                statement_cache_size=_STATEMENTS,
                max_cacheable_statement_size=_LONGEST_KEPT,
                server_settings=_SETTINGS,
            )
            async with pool.acquire():
                pass
        except _UNREACHABLE as error:
            raise _unreachable(dsn, error) from None
        return cls(dsn, pool)

    @property
    def size(self) -> int:
        """The most connections that it has."""
        return self._pool.get_max_size()

    async def close(self) -> None:
        """Waits for running statements, then closes every connection."""
        await self._pool.close()

    async def renew(self) -> None:
        """Connections in use end when they are given back: what they know about types and statements may be old."""
        await self._pool.expire_connections()

    async def one_value(self, text: str) -> Any:
        """The first column of the first row. EngineError on a fault."""
        try:
            return await self._pool.fetchval(text)
        except asyncpg.PostgresError as error:
            raise EngineError(_message(error), sqlstate=_state(error)) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None

    async def script(self, text: str) -> None:
        """Runs statements as they stand, all or nothing unless the script itself says BEGIN and COMMIT."""
        try:
            connection = await asyncpg.connect(self._dsn, server_settings=_SETTINGS)
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None
        try:
            await connection.execute(text)
        except asyncpg.PostgresError as error:
            position = getattr(error, "position", None)
            line = text.count("\n", 0, int(position) - 1) + 1 if position else 0
            place = f"line {line}: " if line else ""
            raise EngineError(f"{place}{_message(error)}", sqlstate=_state(error)) from None
        finally:
            await connection.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection of its own for the admin's work; what it has not committed is undone. EngineError."""
        try:
            connection = await asyncpg.connect(self._dsn, server_settings=_SETTINGS)
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None
        try:
            yield Session(connection, self._dsn)
        finally:
            await connection.close()

    async def listen(self, channel: str, heard: Callable[[], None]) -> Listener:
        """A connection of its own; `heard` is called for each notification, and once when the connection is lost.

        EngineError when the database cannot be reached.
        """
        try:
            connection = await asyncpg.connect(self._dsn, server_settings=_SETTINGS)
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None
        try:
            await connection.add_listener(channel, lambda *_: heard())
        except BaseException as error:
            connection.terminate()
            if isinstance(error, _UNREACHABLE):
                raise _unreachable(self._dsn, error) from None
            raise
        connection.add_termination_listener(lambda _: heard())
        return Listener(connection, self._dsn)

    async def rows(self, text: str, arguments: Sequence[Any]) -> list[Sequence[Any]]:
        """All rows of one reading statement. Refusal on a fault; one and the same for all ways in which the database is away."""
        connected = False
        try:
            async with self._pool.acquire() as connection:
                connected = True
                return await connection.fetch(text, *arguments)
        except asyncpg.PostgresError as error:
            if not connected or _state(error).startswith(("08", "57P")):
                raise Refusal("the database is not reachable", code="unexpected") from None
            raise database_refusal(_state(error), _message(error), "$") from None
        except (asyncpg.DataError, UnicodeError):
            raise Refusal("invalid value", code="data-exception") from None
        except _UNREACHABLE:
            raise Refusal("the database is not reachable", code="unexpected") from None

    async def run(self, program: Program, binders: Sequence[Sequence[Binder]], context: Context) -> list[Sequence[Any]]:
        """What each step returned, in order. Refusal on a fault; then nothing of a transaction is kept."""
        steps = program.steps
        if program.transaction:
            ready = [_bound_ahead(step, bind_all, context) for step, bind_all in zip(steps, binders, strict=True)]
        else:
            ready = [[bind(context) for bind in binders[0]]]
        try:
            if not program.transaction:
                row = await self._pool.fetchrow(steps[0].statement.text, *ready[0])
                return [row]
            async with self._pool.acquire() as connection, connection.transaction():
                return await _run_steps(connection, steps, binders, ready, context)
        except asyncpg.PostgresError as error:
            raise database_refusal(_state(error), _message(error), steps[0].path) from None
        except (asyncpg.DataError, UnicodeError):
            raise Refusal("invalid value", steps[0].path, "data-exception") from None
        except _UNREACHABLE:
            raise Refusal("the database is not reachable", code="unexpected") from None


class SqlFault(Exception):
    """PostgreSQL refused a statement of the admin's: everything that it said, for whoever wrote the statement."""

    def __init__(self, error: asyncpg.PostgresError) -> None:
        super().__init__(_message(error))
        self.message = _message(error)
        self.sqlstate = _state(error)
        self.hint: str | None = getattr(error, "hint", None)
        self.detail: str | None = getattr(error, "detail", None)


class Session:
    """A connection on which the admin's statements run, in transactions that they open themselves. Raises SqlFault, and EngineError when it is lost."""

    def __init__(self, connection: Any, dsn: str) -> None:
        self._connection = connection
        self._dsn = dsn

    async def run(self, text: str) -> None:
        """Runs statements as they stand."""
        try:
            await self._connection.execute(text)
        except asyncpg.PostgresError as error:
            raise SqlFault(error) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None

    async def columns(self, text: str) -> list[str]:
        """The names of the columns that a statement would return; nothing runs."""
        try:
            prepared = await self._connection.prepare(text)
        except asyncpg.PostgresError as error:
            raise SqlFault(error) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None
        return [one.name for one in prepared.get_attributes()]

    async def rows(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a statement returns."""
        try:
            return [tuple(row) for row in await self._connection.fetch(text, *arguments)]
        except asyncpg.PostgresError as error:
            raise SqlFault(error) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None


class Listener:
    """A connection that hears notifications until it is closed or lost. Made by `Database.listen`."""

    def __init__(self, connection: Any, dsn: str) -> None:
        self._connection = connection
        self._dsn = dsn

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.is_closed()

    async def value(self, text: str) -> Any:
        """The first column of the first row. EngineError on a fault."""
        try:
            return await self._connection.fetchval(text)
        except asyncpg.PostgresError as error:
            raise EngineError(_message(error), sqlstate=_state(error)) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None

    async def run(self, text: str) -> None:
        """Runs a script; one that fails within its own BEGIN is undone. EngineError on a fault."""
        try:
            await self._connection.execute(text)
        except asyncpg.PostgresError as error:
            if not self.lost:
                await self._connection.execute("ROLLBACK")
            raise EngineError(_message(error), sqlstate=_state(error)) from None
        except _UNREACHABLE as error:
            raise _unreachable(self._dsn, error) from None

    def close(self) -> None:
        """Ends the connection at once."""
        self._connection.terminate()


def _bound_ahead(step: Step, binders: Sequence[Binder], context: Context) -> list[Any]:
    """The values of a step, but `_LATER` for those of earlier steps: what is wrong with a value is refused before anything runs."""
    parameters = step.statement.parameters
    return [
        _LATER if isinstance(parameter.source, _OF_STEPS) else bind(context)
        for parameter, bind in zip(parameters, binders, strict=True)
    ]


async def _run_steps(
    connection: Any,
    steps: Sequence[Step],
    binders: Sequence[Sequence[Binder]],
    ready: Sequence[Sequence[Any]],
    context: Context,
) -> list[Sequence[Any]]:
    written: dict[int, Written] = {}
    context = replace(context, written=written)
    found: list[Sequence[Any]] = []
    for step, bind_all, known in zip(steps, binders, ready, strict=True):
        arguments = [bind(context) if one is _LATER else one for one, bind in zip(known, bind_all, strict=True)]
        try:
            row = await connection.fetchrow(step.statement.text, *arguments)
        except asyncpg.PostgresError as error:
            raise database_refusal(_state(error), _message(error), step.path) from None
        except (asyncpg.DataError, UnicodeError):
            raise Refusal("invalid value", step.path, "data-exception") from None
        for found_violated, refusal in zip(row, step.violated, strict=False):
            if found_violated:
                raise refusal.again()
        if step.check is not None and row[-1]:
            raise step.check.again()
        if step.keeps is not None:
            written[step.keeps] = Written(row[0], json.loads(row[0], parse_float=Decimal))
            if step.empty and not written[step.keeps].rows:
                raise step.empty.again()
        found.append(row)
    return found


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_bytes, decoder=_same, format="binary")
    for name in TEXT_CODECS:
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _keep(connection: Any) -> None:
    """Instead of a reset: nothing to undo."""


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _same(value: bytes) -> bytes:
    return value


# What asyncpg raises when there is no database to talk to, or no connection to it any more.
_UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)


def _state(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _message(error: asyncpg.PostgresError) -> str:
    """PostgreSQL's primary message alone, without DETAIL."""
    return str(getattr(error, "message", None) or "database error")


def _unreachable(dsn: str, error: BaseException) -> EngineError:
    """Host and database of the dsn, never its password (nor the driver's text, which could quote the dsn)."""
    try:
        parts = urlsplit(dsn)
        place = f"{parts.hostname or 'a local socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        place = "the given address"
    reason = _message(error) if isinstance(error, asyncpg.PostgresError) else type(error).__name__
    return EngineError(
        f"The database at {place} cannot be used: {reason}.",
        sqlstate=_state(error),
        hint="Is PostgreSQL running there, and is DATABASE_URL right?",
    )
