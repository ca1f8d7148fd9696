"""PlatformConfig -> a running local platform: database, engine and HTTP server, started in order and stopped in reverse.

`running_platform` is for programs (tests, the demo): an address inside this process, for the time of an `async with`.
`serve` is for the command: the same until Ctrl-C or SIGTERM, announced by one line on stdout.

The order: the port is taken first, because a port in use is the likeliest failure and should not cost a database start; from
then on clients can connect, and are answered when all is ready. The database starts in a thread while this one imports the
engine and the HTTP server. Then the SQL files (schema_files.py), a Hasura
project's metadata (metadata_files.py), the catalog, and the first answer. From then on the engine
follows DDL that anybody runs in the database (engine/follow.py).

The database is the embedded one in `.automio/postgres`, or the one that DATABASE_URL names. The folder `.automio` is
hidden from git by a .gitignore of its own. The embedded server stops by itself when its last user has gone, even after a
kill -9 (postgres.py), so nothing is left behind.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automio.errors import ConfigError, EngineError, LocalError
from automio.local.config import FILE, PlatformConfig
from automio.local.metadata_files import apply_folder
from automio.local.postgres import database_url
from automio.local.schema_files import apply_scripts, read_scripts

if TYPE_CHECKING:
    from automio.engine.engine import Engine
    from automio.local.platform import Platform

_GRACE = 5
"""Seconds that running requests may take when the platform stops."""


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    """A platform that answers at `url` (no slash at its end). `applied`: the SQL files that ran at this start."""

    url: str
    engine: Engine
    applied: tuple[str, ...]


def print_note(text: str) -> None:
    """A line for people on stderr."""
    print(f"note: {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def running_platform(
    config: PlatformConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    home: Path | None = None,
    note: Callable[[str], None] = print_note,
) -> AsyncIterator[RunningPlatform]:
    """The local platform in this process and event loop; `port` 0 picks a free one, `home` defaults to config.home.

    `note` gets what people should know while it runs, a line each (the database went away, and came back).

    Raises ConfigError (an open admin endpoint on a public address), LocalError (port, database, SQL files), all before
    anything is left running.
    """
    _check_address(config, host)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        dsn = await _start_database(stack, home or config.home)
        engine = await connect(config, dsn)
        stack.push_async_callback(engine.close)
        applied = await apply_scripts(engine, read_scripts(config))
        await apply_folder(engine, config.root, note)
        platform = _platform(config, engine)
        stack.push_async_callback(platform.close)
        await stack.enter_async_context(http_server(platform, listener, config.max_body_bytes))
        await stack.enter_async_context(engine.following(note))
        yield RunningPlatform(url_of(listener), engine, applied)


def serve(
    config: PlatformConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    announce: Callable[[str], None] | None = None,
    beside: Callable[[RunningPlatform], Awaitable[None]] | None = None,
) -> None:
    """Run the platform until SIGINT or SIGTERM. `announce` gets `ready http://HOST:PORT`; the default prints it.

    `beside` runs along with it: cancelled at the end, and its failure ends the platform.
    Raises as `running_platform` does.
    """
    _run(_until_stopped(config, host, port, announce or _print_line, beside))


def _print_line(line: str) -> None:
    print(line, flush=True)


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # not on Windows
        asyncio.run(main)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)


async def _until_stopped(
    config: PlatformConfig,
    host: str,
    port: int,
    announce: Callable[[str], None],
    beside: Callable[[RunningPlatform], Awaitable[None]] | None,
) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with running_platform(config, host=host, port=port) as running:
            announce(f"ready {running.url}")
            ready.set()
            if beside is None:
                await stop.wait()
                return
            helper = asyncio.ensure_future(beside(running))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({helper, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            helper.cancel()  # a no-op when it has failed by itself
            with suppress(asyncio.CancelledError):
                await helper

    with _stopping_by_signal(stop):
        working = asyncio.create_task(work())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ready.is_set():
            working.cancel()  # stopped while still starting; a no-op when it has failed by itself
        with suppress(asyncio.CancelledError):
            await working


@contextmanager
def _stopping_by_signal(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set the event once; the next one has its usual effect, for whoever doesn't want to wait."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stopped() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop.set()

    with suppress(NotImplementedError, ValueError):  # Windows; not the main thread
        for number in signals:
            loop.add_signal_handler(number, stopped)
    try:
        yield
    finally:
        with suppress(NotImplementedError, ValueError):
            for number in signals:
                loop.remove_signal_handler(number)


def _check_address(config: PlatformConfig, host: str) -> None:
    if config.admin_secret is None and not _is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and the admin's endpoint has no secret",
            hint=f"Set admin_secret or admin_secret_env in {FILE}, or listen on 127.0.0.1.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; port 0 picks a free one. Raises LocalError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY where it says TCP, and nowhere else
    except OSError as exc:
        raise LocalError(f"{host} is not an address of this machine: {exc.strerror}") from exc
    with listener:
        try:
            if sys.platform != "win32":  # there it would let two programs share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                hint = "Stop the program that uses it, or take another: --port 0 picks a free one."
                raise LocalError(f"port {port} of {host} is in use", hint=hint) from exc
            raise LocalError(f"port {port} of {host} cannot be used: {exc.strerror}") from exc
        listener.setblocking(False)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Where clients reach it."""
    address: tuple[str, int] = listener.getsockname()[:2]
    host, port = address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  what a client can connect to
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _make_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (home / ".gitignore").open("x", encoding="utf-8") as file:
        file.write("*\n")


async def _start_database(stack: AsyncExitStack, home: Path) -> str:
    _make_home(home)
    inner = ExitStack()
    stack.enter_context(inner)
    starting = asyncio.create_task(asyncio.to_thread(inner.enter_context, database_url(home / "postgres")))
    await asyncio.sleep(0)  # let the thread begin
    try:
        import uvicorn  # noqa: F401

        import automio.engine.engine
        import automio.local.platform  # noqa: F401
    except ImportError:
        with suppress(LocalError):
            await starting
        raise
    return await starting


async def connect(config: PlatformConfig, dsn: str) -> Engine:
    """The engine on a database. Raises LocalError."""
    from automio.engine.engine import Engine

    try:
        return await Engine.connect(
            dsn,
            pool_size=config.pool_size,
            live_interval=config.live_interval_ms / 1000,
            stringify_numeric=config.stringify_numeric,
            tenant_column=config.tenant_column,
            naming=config.naming_convention,
        )
    except EngineError as exc:
        raise LocalError(exc.message, hint=exc.hint) from exc


def _platform(config: PlatformConfig, engine: Engine) -> Platform:
    from automio.local.platform import Platform

    return Platform(config, engine)


def _web_socket(*arguments: Any, **options: Any) -> Any:
    """uvicorn's protocol for WebSockets, imported when the first one comes."""
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    assert AutoWebSocketsProtocol is not None
    return AutoWebSocketsProtocol(*arguments, **options)


@asynccontextmanager
async def http_server(
    app: Any, listener: socket.socket, max_message_bytes: int = 32 * 1024 * 1024
) -> AsyncIterator[None]:
    """An ASGI app, served on the socket inside the `async with`. A longer WebSocket message closes its connection (1009)."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:  # signals are the caller's business
            yield

    options = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws=cast("Any", _web_socket),  # it takes any callable, though its type says otherwise
        ws_max_size=max_message_bytes,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = Server(options)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                await serving
                raise LocalError("the HTTP server ended at once")
            await asyncio.sleep(0.001)
        yield
    finally:
        server.should_exit = True
        await serving
