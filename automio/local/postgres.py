"""A home folder -> a running PostgreSQL and its address. Next: cluster.py (the data), supervisor.py (who stops it).

What comes in is a folder of the server's own (`.automio/postgres`, say); several processes may give the same one and
share the server. What goes out is a DSN. The folder holds `data/` (the database), `data.json` (who made it, with which
version), `postgres.log`, the locks that supervisor.py explains, and the two files that say who may connect.

The rules:
- One starter at a time (start.lock). A server lives exactly while server.lock is held; then it is joined, once it
  answers a protocol message. A mere connect() proves nothing: a postmaster killed a moment ago still accepts.
- The socket lies in a short folder under /tmp (a path in the home could pass the 107 bytes that a socket path may
  have), inside a 0700 folder of the home's owner; its name comes from a secret of `data.json`, so nobody can make it
  first. Who joins reads it from postmaster.pid: the home may be seen under two paths. There is no TCP port.
- "peer" authentication lets in root, the home's owner and the one who started: trusting the folder alone would let any
  process of `nobody` be superuser where root starts the server.
- postmaster.pid may name any process (a container restarts, small numbers come again). When server.lock is free the
  file is stale, unless the process it names is a postgres on this very folder, started by hand: that is refused.
- The server keeps PostgreSQL's own settings for durability. A server whose supervisor was killed is restarted by the
  next user: nobody would stop it otherwise.
"""
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from automio.errors import LocalError
from automio.local.cluster import ELSEWHERE, Binaries, Home, ensure_data, environment
from automio.local.home import Account

if sys.platform != "win32":  # refused in Postgres.start; importing this module works everywhere
    from automio.local import privileges, supervisor
    from automio.local.supervisor import FileLock

DATABASE_URL = "DATABASE_URL"
START_SECONDS = 120.0  # until ready or gone; recovery after a crash is part of it
STOP_SECONDS = 60.0  # a fast shutdown longer than this becomes an immediate one, which recovery repairs

_PORT = 5432  # only a part of the socket's name; said everywhere, since PGPORT would change both sides' default
_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
_RESERVED = frozenset(
    "config_file data_directory external_pid_file hba_file ident_file listen_addresses port unix_socket_directories".split()
)
_LOG_LIMIT = 1_000_000  # bytes; a longer log is set aside as postgres.log.1 at the next start


class Postgres:
    """One process's use of the PostgreSQL of a home folder. Leave with `close`, or use it in a `with`."""

    def __init__(self, home: Home, sockets: Path, users: FileLock) -> None:
        self._home = home
        self._users = users
        self.dsn = f"postgresql://postgres@/postgres?host={sockets}&port={_PORT}"

    @classmethod
    def start(cls, home: Path, *, settings: Mapping[str, str] | None = None) -> Postgres:
        """The server of `home`, started unless it runs; blocks until it answers.

        `home` is made when absent. `settings` are PostgreSQL's own (`{"max_connections": "50"}`) and count only for the
        process that starts the server: who joins gets it as it runs. The server stops by itself when the last process
        that holds a `Postgres` of this home has closed it or has ended, however it ended.
        Raises LocalError: no binaries, no right to the folder, foreign data, a server that does not start (the last
        lines of its log are in the message). Not for Windows.
        """
        if sys.platform == "win32":
            raise LocalError("The embedded PostgreSQL does not run on Windows.", hint=f"Use WSL, {ELSEWHERE}")
        options = _options(settings or {})
        try:
            place = Home.open(Path(home))
            with place.starting() as held:
                users = place.lock("users.lock")
                try:
                    if not users.wait_shared(STOP_SECONDS + 10):
                        raise place.error("the last server is stopping and does not come to an end")
                    return cls(place, _join_or_launch(place, options, held), users)
                except BaseException:
                    users.close()
                    raise
        except OSError as exc:
            where = f" ({exc.filename})" if exc.filename else ""
            raise LocalError(
                f"The PostgreSQL in {home} could not be started: {exc.strerror or exc}{where}.",
                hint=f"Give it a folder of your own on a local disk, {ELSEWHERE}",
            ) from exc

    def close(self) -> None:
        """This process leaves; the server stops by itself when it was the last one. Idempotent, does not wait."""
        self._users.close()

    def stop(self) -> None:
        """Stops the server now, whoever else uses it (their connections end), waits until it is gone, and closes.

        Returns at once when it has stopped already. Raises LocalError when it is still there after some 70 seconds.
        """
        try:
            with self._home.starting():
                server = self._home.lock("server.lock")
                try:
                    end = time.monotonic() + STOP_SECONDS + 10
                    asked = 0
                    while not server.try_exclusive():
                        if time.monotonic() > end:
                            raise self._home.error("the server was asked to stop and is still there")
                        pid = _postmaster(self._home.data)
                        if pid not in (0, asked):
                            asked = pid
                            _signal(pid)
                        time.sleep(0.005)
                finally:
                    server.close()
        except OSError as exc:
            raise self._home.error(f"the server could not be stopped: {exc.strerror or exc}") from exc
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Postgres({str(self._home.path)!r})"


@contextmanager
def database_url(home: Path) -> Iterator[str]:
    """A DSN for the time of the `with`: DATABASE_URL of the environment where it is set, else `home`'s own server's.

    DATABASE_URL is handed on as it is and never shown. Raises LocalError when it is no PostgreSQL address, and as
    `Postgres.start` does.
    """
    given = os.environ.get(DATABASE_URL, "").strip()
    if given:
        if not re.match(r"postgres(ql)?://", given):
            raise LocalError(f"{DATABASE_URL} is not a PostgreSQL address.", hint="It starts with postgresql:// .")
        yield given
        return
    with Postgres.start(home) as server:
        yield server.dsn


# --- join or launch --------------------------------------------------------------------------------------------------


def _join_or_launch(home: Home, options: list[str], held: FileLock) -> Path:
    """The socket folder of the server, which runs now. We hold start.lock, and users.lock shared."""
    server = home.lock("server.lock")
    try:
        end = time.monotonic() + START_SECONDS
        asked = 0
        while not server.try_exclusive():
            sockets = _ready(home.data)
            if sockets is not None:
                if home.has_supervisor():
                    return sockets
                pid = _postmaster(home.data)
                if pid not in (0, asked):
                    asked = pid
                    _signal(pid)
            if time.monotonic() > end:
                raise home.error(
                    "a server holds it (server.lock) but does not answer here",
                    hint="Does another container use the same folder? Give this one another folder, or stop that one.",
                )
            time.sleep(0.005)
        return _launch(home, options, held, server)
    finally:
        server.close()  # the server has its own copy


def _launch(home: Home, options: list[str], held: FileLock, server: FileLock) -> Path:
    binaries = Binaries.find()
    _remove_stale_pid(home)
    secret = ensure_data(home, binaries, held)
    sockets = _socket_folder(home, secret)
    _write_access(home)
    command = [
        *(binaries.path("postgres"), "-D", str(home.data), "-c", f"port={_PORT}", "-c", "listen_addresses="),
        *("-c", f"unix_socket_directories={sockets}", "-c", f"hba_file={home.path / 'hba.conf'}"),
        *("-c", f"ident_file={home.path / 'ident.conf'}", *options),
    ]
    if home.account:
        command = privileges.command_as(home.account.uid, home.account.gid, command)
    log, since = _open_log(home)
    own = home.lock("supervisor.lock")
    try:
        if not own.wait_exclusive(10):
            raise home.error("the supervisor of the last server does not end")
        process = supervisor.launch(
            command,
            users=home.path / "users.lock",
            server=server,
            supervisor=own,
            log=log,
            environment=environment(),
            remove=[sockets / f".s.PGSQL.{_PORT}", sockets / f".s.PGSQL.{_PORT}.lock", sockets, sockets.parent],
            stop=signal.SIGINT,
            last_resort=signal.SIGQUIT,
            patience=STOP_SECONDS,
        )
    finally:
        own.close()
        os.close(log)
    end = time.monotonic() + START_SECONDS
    while (answering := _ready(home.data)) is None:
        if process.poll() is not None:
            raise home.error("the server did not start", since=since)
        if time.monotonic() > end:
            raise home.error(f"the server was not ready within {START_SECONDS:.0f} seconds", since=since)
        time.sleep(0.005)
    return answering


def _ready(data: Path) -> Path | None:
    """The socket folder of the server that serves `data`, once it lets clients in; None before and after that."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="surrogateescape").split("\n")
        if lines[7].strip() != "ready":
            return None
        folder = Path(lines[4])
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(folder / f".s.PGSQL.{_PORT}"))
            client.sendall(_SSL_REQUEST)
            return folder if client.recv(1) in (b"N", b"S") else None
    except (OSError, IndexError):
        return None


def _remove_stale_pid(home: Home) -> None:
    """Removes postmaster.pid, which no living server of ours owns. Raises LocalError when somebody else's server does."""
    pid = _postmaster(home.data)
    if pid:
        raise home.error(
            f"a server that automio did not start runs on {home.data} (process {pid})", hint="Stop it first."
        )
    try:
        (home.data / "postmaster.pid").unlink(missing_ok=True)
    except PermissionError:
        pass  # root without CAP_DAC_OVERRIDE: postgres removes it, unless another process has that number


def _postmaster(data: Path) -> int:
    """The process that postmaster.pid names when it really is a living postgres on `data`; else 0."""
    try:
        pid = int((data / "postmaster.pid").read_text(errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return 0
    if pid <= 0:
        return 0
    if Path("/proc/self/cmdline").exists():
        return pid if _serves_by_proc(pid, data) else 0
    return pid if _serves_by_ps(pid, data) else 0


def _serves_by_proc(pid: int, data: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for a zombie
        if Path(os.fsdecode(words[0])).name != "postgres":
            return False
        if os.fsencode(data) in words:
            return True
        return Path(f"/proc/{pid}/cwd").samefile(data)  # postgres works in its data folder; started with a relative -D
    except OSError:
        return False


def _serves_by_ps(pid: int, data: Path) -> bool:
    """For macOS, where other users' working folders can't be seen: by the command line alone."""
    command = ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)]
    result = subprocess.run(command, capture_output=True, check=False)
    state, _, line = result.stdout.strip().partition(b" ")
    return not state.startswith(b"Z") and b"postgres" in line and os.fsencode(data) in line


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGINT)  # "fast shutdown": sessions end, everything is written
    except ProcessLookupError:
        pass


# --- what the server reads -------------------------------------------------------------------------------------------


def _options(settings: Mapping[str, str]) -> list[str]:
    options: list[str] = []
    for name, value in settings.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or "\0" in value:
            raise LocalError(f"{name!r} is no name of a PostgreSQL setting.", hint="Names look like max_connections.")
        if name.lower() in _RESERVED:
            raise LocalError(f"The setting {name} is automio's own and cannot be given.", hint="Leave it out.")
        options += ["-c", f"{name}={value}"]
    return options


def _write_access(home: Home) -> None:
    """hba.conf and ident.conf: by the kernel's word for who connects, as every role. Nothing else gets in."""
    users = dict.fromkeys((0, home.owner.uid, os.geteuid()))
    names = [name for uid in users if (name := Account(uid, 0).name)]
    home.write("hba.conf", "local all all peer map=automio\n")
    home.write("ident.conf", "".join(f'automio "{name}" all\n' for name in names))


def _socket_folder(home: Home, secret: str) -> Path:
    """An empty 0700 folder of the server's user, below a 0700 folder of the home's owner; the path has some 40 bytes."""
    digest = hashlib.sha256(os.fsencode(f"{secret}:{home.path}")).hexdigest()[:16]
    base = Path("/tmp") if os.access("/tmp", os.W_OK | os.X_OK) else Path(tempfile.gettempdir())  # noqa: S108
    outer = base / f"automio-{digest}"
    outer.mkdir(mode=0o700, exist_ok=True)
    status = outer.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid not in (os.geteuid(), home.owner.uid)
        or status.st_mode & 0o077
    ):
        raise home.error(f"{outer} should be a folder of your own, closed to others", hint="Remove it and start again.")
    inner = outer / "pg"
    shutil.rmtree(inner, ignore_errors=True)  # left by a server that was killed; we hold server.lock
    inner.mkdir(mode=0o700, exist_ok=True)
    if home.account:
        os.chown(outer, home.owner.uid, home.owner.gid)
        os.chown(inner, home.account.uid, home.account.gid)
    return inner


def _open_log(home: Home) -> tuple[int, int]:
    """The log opened for appending, and where this start's lines begin."""
    if home.log.exists() and home.log.stat().st_size > _LOG_LIMIT:
        home.log.replace(home.log.with_suffix(".log.1"))
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if home.account:
        os.fchown(log, home.owner.uid, home.owner.gid)
    return log, os.fstat(log).st_size
