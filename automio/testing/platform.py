"""A project's folder -> its local platform for tests: one server for the session, a database for each test. Next: __init__.py.

How a test gets the seeded rows: `CREATE DATABASE … TEMPLATE`. Schema files and seeds run once, into a template database that
nobody uses; each test works in a copy, which is dropped afterwards.
- It is sound for whatever a test does: commits, sequences, DDL, `run_sql`, several connections, rows made by triggers. Truncate
  and seed again would have to put sequences and tables back, fire the triggers of the seeds anew, and give rows another
  `now()`; a transaction that is rolled back would need every request of the test on one connection.
- It is fast: the copy is a copy of files, some 20 ms for a small database, and it is made ahead: while one test runs, the
  next one's database is copied and its engine connected. What a test waits for is the exchange, below a millisecond when the
  last test was longer than the copying.
- A database that no request has reached since the last reset is handed on as it is.

The server is a PostgreSQL in a temporary folder, without fsync, and removed at the end; where DATABASE_URL is set, scratch
databases on that server (the role needs CREATEDB), with a name of this process, dropped at the end; the database that
DATABASE_URL names is never touched.

The platform has a thread and an event loop of its own, and one URL for the session: `reset` exchanges the engine behind it.
So it serves tests of any kind, and clients built in one test still reach the server in the next.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from automio.dialect.names import split_app
from automio.errors import AutomioError, ConfigError, EngineError, LocalError
from automio.local.config import CONVENTION, FILE, ORGANIZATIONS, STRINGIFY, PlatformConfig, Token, load_platform
from automio.local.postgres import DATABASE_URL, Postgres
from automio.local.schema_files import apply_scripts, read_scripts
from automio.local.server import connect, http_server, listening, url_of
from automio.settings import Settings, Target
from automio.wrapper import API

if TYPE_CHECKING:
    from automio.engine.catalog import Catalog
    from automio.engine.engine import Engine
    from automio.engine.run import Database
    from automio.local.platform import Platform

_T = TypeVar("_T")
_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_GRACE = 2
"""Seconds that requests of an ended test may still take before they are cut."""
_LABELS = """
SELECT coalesce(json_object_agg(typname, enumlabel), '{}')::text FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid
WHERE enumsortorder = (SELECT min(enumsortorder) FROM pg_enum other WHERE other.enumtypid = pg_type.oid)
"""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A database and the engine on it."""

    name: str
    engine: Engine


class ScratchPlatform:
    """A running platform whose rows can be put back. Made by `scratch_platform`; its methods are for any thread."""

    running: ClassVar[ScratchPlatform | None] = None
    """The one that runs in this process, for factories.py."""

    def __init__(self, project: Path, config: PlatformConfig, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.project = project
        self.config = config
        self.url = url
        self.labels: Mapping[str, str] = {}
        """The first value of each enum type of PostgreSQL."""
        self._loop = loop
        self._used = False
        self._server = _Databases("", "")
        self._current: _Copy | None = None
        self._spare: asyncio.Task[_Copy] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._app: Platform | None = None

    @property
    def organization(self) -> int:
        """The organization of the first token, 1 when there is none."""
        return self.config.tokens[0].organization if self.config.tokens else 1

    @property
    def catalog(self) -> Catalog:
        """The tables of the present database."""
        return self._copy().engine.catalog

    @property
    def dsn(self) -> str:
        """The address of the present database, for a driver; another one after `reset`."""
        self._used = True
        return self._server.dsn(self._copy().name)

    def reset(self) -> None:
        """Back to the seeded rows and the tables of schema/*.sql. LocalError when the database refuses."""
        self._wait(self._reset())

    def run_sql(self, sql: str) -> None:
        """Run a script in the present database, all or nothing, as the owner: past organizations. Raises EngineError."""
        self._used = True
        self._wait(self._copy().engine.run_sql(sql))

    def api(self, organization: int | None = None, app: int | None = None) -> API:
        """An API() for an organization (default: the first token's), with its token for `app` if given; a token is made up
        for an organization that has none. Use it in a `with`, or close it. ConfigError for what is no organization.
        """
        token = self._token(organization, app)
        return API(
            api_base_url=self.url,
            app_token=token.token,
            app_id=_app_id(token, app),
            organization_id=token.organization,
            hasura_graphql_endpoint=None,
        )

    def environment(self, organization: int | None = None, app: int | None = None) -> dict[str, str | None]:
        """Variables under which an API() without arguments comes here, as `api` does; None: not set.

        Where `.env` of the working directory names a Hasura endpoint, the variables name the local one.
        """
        token = self._token(organization, app)
        number = _app_id(token, app)
        found: dict[str, str | None] = {
            "API_BASE_URL": self.url,
            "APP_TOKEN": token.token,
            "APP_ID": None if number is None else str(number),
            "ORGANIZATION_ID": str(token.organization),
            "HASURA_GRAPHQL_ENDPOINT": None,
        }
        with _unset("HASURA_GRAPHQL_ENDPOINT"):
            elsewhere = Settings.read().target is Target.HASURA
        if elsewhere:
            found["HASURA_GRAPHQL_ENDPOINT"] = f"{self.url}/v1/graphql"
            found["HASURA_GRAPHQL_ADMIN_SECRET"] = self.config.admin_secret or "unused"
        return found

    def __repr__(self) -> str:
        return f"ScratchPlatform({self.url!r})"

    def _token(self, organization: int | None, app: int | None) -> Token:
        wanted = self.organization if organization is None else organization
        if type(wanted) is not int or wanted not in ORGANIZATIONS:
            raise ConfigError(f"{wanted!r} is no organization", hint="An organization is an int of 32 bits.")
        for token in self.config.tokens:
            if token.organization == wanted and (app is None or app in token.apps):
                return token
        apps = {int(found) for found, _ in map(split_app, self.catalog.tables) if found}
        token = Token(f"test-{wanted}-{uuid4().hex}", wanted, frozenset(apps | ({app} if app is not None else set())))
        self._wait(self._add(token))
        return token

    def _copy(self) -> _Copy:
        if self._current is None:
            raise LocalError("the platform for tests has ended")
        return self._current

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # In the platform's own loop.

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._used = True
        if self._app is not None:
            await self._app(scope, receive, send)

    async def _add(self, token: Token) -> None:
        self.config = replace(self.config, tokens=(*self.config.tokens, token))
        self._serve()

    def _serve(self) -> None:
        from automio.local.platform import Platform

        self._app = Platform(self.config, self._copy().engine)

    async def _begin(self, address: str) -> None:
        server = self._server = _Databases(address, f"automio_test_{os.getpid()}_{uuid4().hex[:8]}")
        await server.make("template")
        engine = await connect(self.config, server.dsn(server.name("template")))
        try:
            await apply_scripts(engine, read_scripts(self.config))
        finally:
            await engine.close()
        self.labels = await server.labels(server.name("template"))
        self._current = await self._make()
        self._serve()
        self._spare = asyncio.create_task(self._make())

    async def _make(self) -> _Copy:
        name = await self._server.copy("template")
        return _Copy(name, await connect(self.config, self._server.dsn(name)))

    async def _reset(self) -> None:
        if not self._used:
            return
        spare = self._spare or asyncio.create_task(self._make())
        self._spare = None  # one that failed is not waited for again
        fresh = await spare
        old, self._current = self._current, fresh
        self._used = False
        self._serve()
        self._spare = asyncio.create_task(self._make())
        if old is not None:
            task = asyncio.create_task(self._discard(old))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _discard(self, copy: _Copy) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await copy.engine.close()
        with suppress(EngineError):  # tried again, for all that are left, at the end
            await self._server.drop(copy.name)

    async def _end(self) -> None:
        left = [self._current] if self._current else []
        self._current = self._app = None
        if self._spare is not None:
            with suppress(AutomioError):
                left.append(await self._spare)
        await asyncio.gather(*self._ending, *(self._discard(copy) for copy in left))
        await self._server.end()


class _Databases:
    """The databases of this process on a server; all names begin alike."""

    def __init__(self, address: str, prefix: str) -> None:
        self._address = address
        self._prefix = prefix
        self._made: set[str] = set()
        self._count = 0

    def name(self, what: str) -> str:
        return f"{self._prefix}_{what}"

    def dsn(self, name: str) -> str:
        parts = urlsplit(self._address)
        query = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("dbname", "database")]
        return urlunsplit(parts._replace(path=f"/{name}", query=urlencode(query, safe="/")))

    async def make(self, what: str) -> None:
        await self._script(f"CREATE DATABASE {self.name(what)}")
        self._made.add(self.name(what))

    async def copy(self, what: str) -> str:
        self._count += 1
        name = self.name(str(self._count))
        self._made.add(name)
        await self._script(f"CREATE DATABASE {name} TEMPLATE {self.name(what)}")
        return name

    async def drop(self, name: str) -> None:
        await self._script(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._made.discard(name)

    async def labels(self, name: str) -> dict[str, str]:
        database = await self._database(self.dsn(name))
        try:
            found: dict[str, str] = json.loads(await database.one_value(_LABELS))
            return found
        finally:
            await database.close()

    async def end(self) -> None:
        for name in sorted(self._made):
            with suppress(EngineError):
                await self.drop(name)

    async def _script(self, text: str) -> None:
        database = await self._database(self._address)
        try:
            await database.script(text)
        except EngineError as error:
            if error.sqlstate == "42501":
                hint = f"The role of {DATABASE_URL} needs the right to create databases (ALTER ROLE … CREATEDB)."
                raise LocalError(f"tests cannot have a database of their own: {error.message}", hint=hint) from error
            raise
        finally:
            await database.close()

    async def _database(self, dsn: str) -> Database:
        from automio.engine.run import Database

        return await Database.connect(dsn, 1)


@contextmanager
def scratch_platform(project: Path) -> Iterator[ScratchPlatform]:
    """The local platform of a project in a scratch database, for the time of the `with`.

    platform.toml and the SQL files that it names are used where they exist. Raises ConfigError and LocalError as
    `automio serve` does; nothing is left behind.
    """
    config = _read_project(project)
    with _server() as address, _thread() as loop:
        platform = ScratchPlatform(project, config, "", loop)
        stop: asyncio.Event = asyncio.run_coroutine_threadsafe(_event(), loop).result()
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        running = asyncio.run_coroutine_threadsafe(_run(platform, address, started, stop), loop)
        running.add_done_callback(partial(_hand_on, started))
        started.result()
        before, ScratchPlatform.running = ScratchPlatform.running, platform
        try:
            yield platform
        finally:
            ScratchPlatform.running = before
            loop.call_soon_threadsafe(stop.set)
            running.result()


def _hand_on(started: concurrent.futures.Future[None], ended: concurrent.futures.Future[None]) -> None:
    """What ended before it had started is told to who waits for the start."""
    if not started.done():
        started.set_exception(ended.exception() or LocalError("the platform for tests ended at once"))


async def _event() -> asyncio.Event:
    return asyncio.Event()


async def _run(
    platform: ScratchPlatform, address: str, started: concurrent.futures.Future[None], stop: asyncio.Event
) -> None:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening("127.0.0.1", 0))
        stack.push_async_callback(platform._end)
        try:
            await platform._begin(address)
        except EngineError as error:
            raise LocalError(error.message, hint=error.hint) from error
        await stack.enter_async_context(http_server(platform, listener))
        platform.url = url_of(listener)
        started.set_result(None)
        await stop.wait()


def _read_project(project: Path) -> PlatformConfig:
    path = project / FILE
    if not project.is_dir():
        raise ConfigError(f"{project}: there is no such folder", hint="Override the fixture automio_project.")
    return load_platform(path, _StandIns()) if path.exists() else PlatformConfig(project)


class _StandIns(dict[str, str]):
    """An environment in which every variable is set, to a text of its own: secrets for tests. Options of the engine are
    no secrets, and are the process's own."""

    def __missing__(self, name: str) -> str:
        return f"test-{name}"

    def get(self, name: str, default: Any = None) -> Any:
        return os.environ.get(name, default) if name in (STRINGIFY, CONVENTION) else self[name]


@contextmanager
def _server() -> Iterator[str]:
    given = os.environ.get(DATABASE_URL, "").strip()
    if given:
        if not given.startswith(("postgres://", "postgresql://")):
            raise LocalError(f"{DATABASE_URL} is not a PostgreSQL address.", hint="It starts with postgresql:// .")
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="automio-test-"))
    try:
        server = Postgres.start(home / "postgres", settings=_UNSAFE)
        try:
            yield server.dsn
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="automio-test-platform", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@contextmanager
def _unset(name: str) -> Iterator[None]:
    before = os.environ.pop(name, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before


def _app_id(token: Token, app: int | None) -> int | None:
    return app if app is not None else next(iter(token.apps)) if len(token.apps) == 1 else None
