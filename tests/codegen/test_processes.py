"""Packages compiled beside other processes: the same files and faults, whatever happens to those processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from automio.codegen import packages as packages_module
from automio.codegen import processes
from automio.codegen.config import CodegenConfig, load_config
from automio.codegen.pipeline import build
from automio.codegen.write import write
from automio.errors import CodegenError
from tests.codegen.test_cache import COMMON, ORDERS, TABLE

T = TypeVar("T")
APPS = range(1, 7)


def wait_for(found: Callable[[], T | None]) -> T:
    end = time.monotonic() + 30
    while (value := found()) is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


@pytest.fixture
def config(tmp_path: Path) -> CodegenConfig:
    """Six apps of a table and an operation each; one operation warns of a fragment that nothing uses."""
    for folder in ("schema", "queries"):
        (tmp_path / folder).mkdir()
    (tmp_path / "schema" / "common.graphql").write_text(COMMON)
    for app in APPS:
        (tmp_path / "schema" / f"{app}.graphql").write_text(TABLE.format(app=app, name="orders"))
        (tmp_path / "queries" / f"app_{app}.graphql").write_text(ORDERS.format(app=app, more="note"))
    (tmp_path / "queries" / "app_1.graphql").write_text(ORDERS.format(app=1, more="...Id"))
    (tmp_path / "queries" / "fragments.graphql").write_text(
        "fragment Id on app_1_orders { id }\nfragment Lost on app_1_orders { id }\n"
    )
    (tmp_path / "codegen.toml").write_text("")
    return load_config(tmp_path / "codegen.toml")


def alone(config: CodegenConfig) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages_module, "_ENOUGH", 10**9)
        return outcome(config)


def outcome(config: CodegenConfig) -> object:
    """What a run says, without what earlier runs remembered."""
    for path in (config.root / ".automio" / "cache").glob("*.json"):
        path.unlink()
    try:
        built = build(config)
    except CodegenError as error:
        return error.diagnostics
    return built.files, built.warnings


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any work is enough for another process, and there is a core for it."""
    monkeypatch.setattr(packages_module, "_ENOUGH", 0)
    monkeypatch.setattr(processes, "_cores", lambda: 2)


@pytest.mark.usefixtures("beside")
def test_the_same_files_and_warnings(config: CodegenConfig) -> None:
    assert outcome(config) == alone(config)


@pytest.mark.usefixtures("beside")
def test_all_faults_of_all_packages(config: CodegenConfig) -> None:
    for app in (2, 5):
        (config.root / "queries" / f"app_{app}.graphql").write_text(ORDERS.format(app=app, more="lost_column"))
    found = outcome(config)
    assert found == alone(config)
    assert isinstance(found, list | tuple)
    assert [fault.path for fault in found] == ["queries/app_2.graphql", "queries/app_5.graphql"]


@pytest.mark.usefixtures("beside")
def test_what_was_made_elsewhere_is_remembered(config: CodegenConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(config)
    write(config, built.files)
    monkeypatch.setattr(packages_module, "parse_queries", None)  # nothing may be compiled again
    assert build(config).standing == frozenset(built.files)


# The processes themselves, on numbers.


def prepared(folder: Path, power: int) -> None:
    os.environ["TEST_POWER"] = str(power)
    Path(folder, f"worker-{os.getpid()}").touch()


def power_of(number: int) -> tuple[int, int]:
    time.sleep(0.01)
    return number ** int(os.environ["TEST_POWER"]), os.getpid()


def dying(number: int) -> tuple[int, int]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(number)


def here(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number**3, os.getpid()


def test_both_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: 2)
    done = dict(processes.shared(range(40), here, power_of, prepared, (tmp_path, 3)))
    assert {number: cube for number, (cube, _) in done.items()} == {number: number**3 for number in range(40)}
    (worker,) = tmp_path.iterdir()
    assert {pid for _, pid in done.values()} == {os.getpid(), int(worker.name.rpartition("-")[2])}


def test_a_process_that_dies_leaves_its_items_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: 2)
    done = dict(processes.shared(range(8), here, dying, prepared, (tmp_path, 3)))
    assert done == {number: (number**3, os.getpid()) for number in range(8)}


def test_one_core_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: 1)
    done = dict(processes.shared(range(3), here, power_of, prepared, (tmp_path, 3)))
    assert done == {number: (number**3, os.getpid()) for number in range(3)}
    assert not list(tmp_path.iterdir())


PROGRAM = """
import sys, time
from tests.codegen import test_processes as parts

def slow(number):
    print("begun", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    parts.processes._cores = lambda: 2
    list(parts.processes.shared(range(9), slow, parts.power_of, parts.prepared, (sys.argv[1], 3)))
"""


@pytest.mark.parametrize(
    ("how", "late"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGKILL, True)], ids=str
)
def test_ends_with_its_parent(tmp_path: Path, how: signal.Signals, late: bool) -> None:
    """And has nothing to say about it: Ctrl-C goes to all processes, also to one that has hardly started."""
    (tmp_path / "program.py").write_text(PROGRAM)
    folder = tmp_path / "workers"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    if late:
        wait_for(lambda: next(folder.iterdir(), None))
    else:
        time.sleep(0.15)  # Python is up there, what it is for is not
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.kill()
    _, said = process.communicate(timeout=30)
    wait_for(lambda: None if is_alive(process.pid) else True)
    assert "SpawnProcess" not in said
    assert "spawn_main" not in said


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
