"""A server's home folder: whose it is, its locks and small files, and what is said when something fails. Used by cluster.py and
postgres.py, and by valkey.py; what the locks mean stands in supervisor.py.
"""
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from automio.errors import LocalError

if sys.platform != "win32":  # refused where a server is started; importing this module works everywhere
    import pwd

    from automio.local.supervisor import FileLock

_LOG_READ = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group of the system."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The user's name, "" when the system has none for this number (a folder of the host in a container)."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return ""

    def __str__(self) -> str:
        return self.name or f"user {self.uid}"


@dataclass(frozen=True, slots=True)
class ServerHome:
    """The folder of one kind of server. `owner` gets what root makes in it; `account` is None where we run it as ourselves."""

    path: Path
    owner: Account
    account: Account | None

    server: ClassVar[str]
    log_name: ClassVar[str]
    elsewhere: ClassVar[str]
    """What a user can do instead, for hints."""
    patience: ClassVar[float]
    """Seconds for another process that starts or stops the same server."""

    @property
    def log(self) -> Path:
        return self.path / self.log_name

    def lock(self, name: str) -> FileLock:
        """A lock file of this home, made when absent, not locked yet."""
        return FileLock(self.path / name, owner=(self.owner.uid, self.owner.gid) if self.account else None)

    @contextmanager
    def starting(self) -> Iterator[FileLock]:
        """Alone in starting or stopping the server. A helper process that inherits the lock holds it to its own end."""
        with self.lock("start.lock") as lock:
            if not lock.wait_exclusive(self.patience):
                raise self.error("another process has been starting it for too long")
            yield lock

    def has_supervisor(self) -> bool:
        """Whether somebody will stop the server when its last user is gone."""
        with self.lock("supervisor.lock") as lock:
            return not lock.try_exclusive()

    def write(self, name: str, text: str) -> None:
        """Replaces a small text file (0600) in one step, on disk before we return."""
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            if self.account:
                os.fchown(descriptor, self.owner.uid, self.owner.gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        new.replace(self.path / name)

    def error(self, what: str, *, since: int | None = None, hint: str | None = None) -> LocalError:
        """What failed, where, the log's last lines from byte `since` on, and what to do."""
        lines = _last_lines(self.log, since) if since is not None else []
        said = "".join(f"\n  {line}" for line in lines)
        fallback = f"The log is {self.log}. Put right what it says, {self.elsewhere}"
        return LocalError(
            f"The {self.server} in {self.path}: {what}.{said}" + ("\n" if lines else ""), hint=hint or fallback
        )


def _last_lines(log: Path, since: int) -> list[str]:
    """What the server said about its failure: its complaints, else its last lines; ten at most."""
    try:
        with log.open("rb") as file:
            file.seek(since)
            lines = file.read(_LOG_READ).decode(errors="replace").splitlines()
    except OSError:
        return []
    return complaints(lines)


def complaints(lines: list[str]) -> list[str]:
    told = [line for line in lines if re.search(r"\b(FATAL|PANIC|ERROR|HINT|DETAIL|error|could not|cannot)\b", line)]
    return (told or lines)[-10:]
