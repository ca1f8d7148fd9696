"""`automio generate --watch` as a user runs it: a process that follows changes until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import SDL, Run, clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    return tmp_path


@pytest.fixture
def watching(project: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    log = project / "log.txt"
    with log.open("w") as out:
        command = [sys.executable, "-m", "automio", "generate", "--watch"]
        environment = clean_environment(PYTHONUNBUFFERED="1")
        with subprocess.Popen(command, cwd=project, env=environment, stdout=out, stderr=out, text=True) as process:
            yield process, log
            process.kill()


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def test_follows_changes(project: Path, watching: tuple[subprocess.Popen[str], Path]) -> None:
    process, log = watching
    orders = project / "app_130/orders.py"
    assert until(lambda: "2 tables" in log.read_text())
    assert "weight" not in orders.read_text()

    # The schema, replaced as an editor does it.
    new = project / "schema/.new"
    new.write_text(
        SDL.replace("type app_130_orders {", "type app_130_orders { weight: numeric ").replace(
            "enum app_130_orders_select_column {", "enum app_130_orders_select_column { weight "
        )
    )
    new.replace(project / "schema/app_130.graphql")
    assert until(lambda: "weight" in orders.read_text())

    # A folder that was not there, with a fault in it; then without.
    (project / "queries").mkdir()
    query = project / "queries/orders.graphql"
    query.write_text("query AllOrders { app_130_orders { idd } }\n")
    assert until(lambda: "queries/orders.graphql:1:36: " in log.read_text())
    query.write_text("query AllOrders { app_130_orders { id } }\n")
    assert until(lambda: "def all_orders(" in orders.read_text())

    # The configuration: a fault, then another package name.
    (project / "codegen.toml").write_text("aps = [130]\n")
    assert until(lambda: "codegen.toml:1:1: unknown key `aps`" in log.read_text())
    (project / "codegen.toml").write_text('[apps.130]\npackage = "shop"\n')
    assert until(lambda: (project / "shop/orders.py").exists() and not orders.exists())

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    assert "Traceback" not in log.read_text()


def test_what_it_does_not_go_with(automio: Run) -> None:
    assert automio("generate", "--watch", "--check").returncode == 2
    done = automio("generate", "--watch")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: codegen.toml was not found [AUTOMIO-001]")
