"""DDL that anybody runs in the database -> the catalog read again. Started by engine.py, on a connection of run.py.

Two event triggers (`ddl_command_end`, `sql_drop`) send NOTIFY when a transaction with DDL commits; we listen. What follows:
- The triggers live in the schema `automio` of the database and stay there: they cost a notification for each DDL, serve
  every platform on that database, and go with `DROP SCHEMA automio CASCADE`. Their function says its version in its
  comment, so that another start changes nothing, and a role that may not create event triggers can use those of one that may.
- Temporary tables are not told. A notification carries nothing: what has changed is seen by reading the catalog, and a
  catalog that is the same as before (an index, a grant, a reload that `run_sql` has done itself) changes nothing.
- Statements in a row are waited for: the catalog is read when there was none for 50 ms, or after 0.3 s at the latest.
- The catalog is read after each new start of listening as well: what happened before it was not heard. A transaction that
  was under way when the triggers were made does not fire them, so while such ones run the catalog is read every 0.5 s.
- A connection that is lost is made again, first soon, then every 5 s; the loss and the return are told.
- Where it can't be heard (no right to create the triggers, a standby, a pooler in between that does not hand notifications
  on: a test notification tells), the catalog itself is read every 0.5 s, or less often where reading takes long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from automio.errors import EngineError

if TYPE_CHECKING:
    from automio.engine.run import Database, Listener

CHANNEL = "automio_schema"
_VERSION = "automio: tells schema changes, 1"
_LOCK = 0x6175746F6D696F  # the one that local/schema_files.py takes, which creates the same schema
_QUIET, _LONGEST = 0.05, 0.3
_POLL = 0.5
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0

_INSTALLED = f"""
SELECT count(*) = 2 FROM pg_event_trigger
WHERE evtname IN ('automio_ddl', 'automio_drop') AND evtenabled IN ('O', 'A')
  AND obj_description(evtfoid, 'pg_proc') = '{_VERSION}'
"""

_OLDER = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND backend_type = 'client backend' AND xact_start < '{}')
"""

_INSTALL = f"""
BEGIN;
SELECT pg_advisory_xact_lock({_LOCK});
CREATE SCHEMA IF NOT EXISTS automio;
CREATE OR REPLACE FUNCTION automio.tell_schema_change() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $automio$
BEGIN
    IF TG_EVENT = 'sql_drop' THEN
        PERFORM FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary;
    ELSE
        PERFORM FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp';
    END IF;
    IF FOUND THEN
        PERFORM pg_notify('{CHANNEL}', '');
    END IF;
END $automio$;
COMMENT ON FUNCTION automio.tell_schema_change() IS '{_VERSION}';
DROP EVENT TRIGGER IF EXISTS automio_ddl;
DROP EVENT TRIGGER IF EXISTS automio_drop;
CREATE EVENT TRIGGER automio_ddl ON ddl_command_end EXECUTE FUNCTION automio.tell_schema_change();
CREATE EVENT TRIGGER automio_drop ON sql_drop EXECUTE FUNCTION automio.tell_schema_change();
COMMIT;
"""


async def follow(database: Database, refresh: Callable[[], Awaitable[None]], note: Callable[[str], None]) -> None:
    """Call `refresh` after each change of the schema, until cancelled. `note` gets what people should know, a line each.

    `refresh` may raise EngineError (the database is away: it is waited for); any other failure is told and survived.
    """
    pause, away = _FIRST_PAUSE, False
    while True:
        heard = asyncio.Event()
        try:
            listener = await database.listen(CHANNEL, heard.set)
            try:
                reason, made = await _begin(database, listener, heard)
                if reason:
                    break
                while not listener.lost:
                    if made and not await listener.value(_OLDER.format(made)):
                        made = ""
                    await _refresh(refresh, note)
                    if away:
                        note("the database is back")
                    pause, away = _FIRST_PAUSE, False
                    await _next(heard, _POLL if made else None)
            finally:
                listener.close()
        except EngineError:
            pass
        if not away:
            note("the connection to the database is lost; trying again")
            away = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)
    note(f"changes of tables are looked for every {_POLL:g} s: {reason}")
    await _poll(refresh, note)


async def _begin(database: Database, listener: Listener, heard: asyncio.Event) -> tuple[str, str]:
    """Why changes cannot be heard, "" when they can; and when the triggers were made, "" when they had been there.

    Makes the triggers and sends a test.
    """
    made = ""
    try:
        if not await listener.value(_INSTALLED):
            await listener.run(_INSTALL)
            made = await listener.value("SELECT clock_timestamp()::text")
    except EngineError as error:
        if listener.lost:
            raise
        return f"the database does not tell of them ({error.message})", ""
    await database.one_value(f"SELECT pg_notify('{CHANNEL}', '')::text")
    try:
        async with asyncio.timeout(2):
            await heard.wait()
    except TimeoutError:
        return "notifications do not come through (is there a connection pooler in between?)", ""
    heard.clear()
    return "", made


async def _next(heard: asyncio.Event, seconds: float | None) -> None:
    """Until something was heard and it is quiet again, or nothing was heard for `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await heard.wait()
    except TimeoutError:
        return
    end = asyncio.get_running_loop().time() + _LONGEST
    while asyncio.get_running_loop().time() < end:
        heard.clear()
        try:
            async with asyncio.timeout(_QUIET):
                await heard.wait()
        except TimeoutError:
            return
    heard.clear()  # what comes from here on is heard before the catalog is read, or sets it again


async def _poll(refresh: Callable[[], Awaitable[None]], note: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    away = False
    while True:
        started = loop.time()
        try:
            await _refresh(refresh, note)
        except EngineError:
            if not away:
                note("the connection to the database is lost; trying again")
            away = True
        else:
            if away:
                note("the database is back")
            away = False
        await asyncio.sleep(max(_POLL, 10 * (loop.time() - started)))


async def _refresh(refresh: Callable[[], Awaitable[None]], note: Callable[[str], None]) -> None:
    try:
        await refresh()
    except EngineError:
        raise
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        note(f"the changed tables cannot be served, the earlier ones still are: {text}")
