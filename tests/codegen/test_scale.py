"""Synthetic schemas of many tables generate, import and are clean in two strict checkers, with derived functions and without.

A small one always; `make scale` (pytest --scale) goes up to 2,000 tables and prints what each step took. That takes many
minutes and, for the checkers, gigabytes; the largest is generated and imported only.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_generated import IMPORT_EVERYTHING

LARGE = ["1x10", "1x100", "50x10", "200x10"]
TOO_LARGE_TO_CHECK = "200x10"
AT_ONCE = 5
"""Packages a run of a checker: they share nothing, and with many basedpyright runs into node's limit of memory."""
GENERATE = [sys.executable, "-m", "automio", "generate"]
PYRIGHT = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
MYPY = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "size" in metafunc.fixturenames:
        metafunc.parametrize("size", LARGE if metafunc.config.getoption("--scale") else ["2x5"])


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must end well, and gives its last line. With --scale its time is shown."""

    def run(name: str, command: list[str]) -> str:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if request.config.getoption("--scale"):
            with capsys.disabled():
                print(f"\n  {name:12} {time.perf_counter() - started:7.1f} s  {last}", end="", flush=True)
        return last

    return run


def project(folder: Path, shared: Path, size: str, settings: str) -> None:
    """codegen.toml, schema and 11 operations an app, which also write to tables without an organization."""
    apps, _, tables = size.partition("x")
    script = shared / "schemas" / "synthetic_hasura.py"
    sizes = ["--apps", apps, "--tables", tables, "--columns", "12", "--seed", "1"]
    command = [sys.executable, str(script), *sizes, "--operations", str(folder / "queries")]
    sdl = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    (folder / "schema").mkdir()
    (folder / "schema" / "all.graphql").write_text(sdl)
    filtered = set(re.findall(r"^input (\w+)_bool_exp \{", sdl, re.MULTILINE))
    types = re.finditer(r"^type (\w+) \{(.*?)^\}", sdl, re.MULTILINE | re.DOTALL)
    loose = [found[1] for found in types if found[1] in filtered and "organization_id: " not in found[2]]
    (folder / "codegen.toml").write_text(f"{settings}[tenancy]\nwritable_shared_tables = {json.dumps(loose)}\n")


@pytest.mark.parametrize("settings", ["derived = false\n", ""], ids=["operations", "derived"])
def test_a_schema_of_many_tables(
    size: str, settings: str, shared: Path, tmp_path: Path, run: Callable[..., str]
) -> None:
    project(tmp_path, shared, size, settings)
    run("generate", GENERATE)
    assert "0 written" in run("again", GENERATE)
    packages = [path.parent.name for path in sorted(tmp_path.glob("*/py.typed"))]
    assert len(packages) == int(size.partition("x")[0])
    operations = run("import", [sys.executable, "-W", "error", "-B", "-c", IMPORT_EVERYTHING, str(tmp_path)])
    assert int(operations) >= 11 * len(packages)
    for start in range(0, len(packages) if size != TOO_LARGE_TO_CHECK else 0, AT_ONCE):
        some = packages[start : start + AT_ONCE]
        strict = {"include": some, "typeCheckingMode": "strict", "pythonVersion": "3.11"}
        (tmp_path / "pyrightconfig.json").write_text(json.dumps(strict))
        run("basedpyright", PYRIGHT)
        run("mypy", [*MYPY, *some])
