"""What generation costs, beside ariadne-codegen on the same files in the same run.  python -m benchmarks.generate [CASE …]

Cases, by the reference schemas in ../shared (a case that misses them says so):

one-app  11 operations of one app out of 500 tables (50 apps of 10 tables, 9 MB of SDL)
all-apps all 550 operations of the same 50 apps
carnet   a real schema of 49 tables with its 98 operations
small    one app of 10 tables

The first run of a project has no cache (`.automio/cache` is removed before each). Then the same is measured again with
nothing changed, and with one column of one table changed, which a run has to find and compile. The rival has no such mode.

Each run is a process of its own: wall time, CPU seconds of the process and its children, peak memory. `automio` writes
functions from operations and, as it does by default, from tables alone; `operations only` is `derived = false`, which is
what the rival makes. The rival is ariadne-codegen with its fastest settings ("best"). Figures are medians of --runs (the
rival's first case takes half a minute and runs once); the ratio to the rival is what counts, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

SCHEMAS = Path(__file__).resolve().parent.parent.parent / "shared" / "schemas"
BEST = {
    "include_all_inputs": False,
    "include_all_enums": False,
    "lazy_imports": True,
    "defer_model_build": True,
    "use_alias_generator": True,
}
TARGET_SECONDS = {"one-app": (1.0, 1.0), "carnet": (1.0, None), "all-apps": (5.0, 10.0)}
"""Whole process, from nothing: operations only, and with derived functions."""
TARGET_MB = {"one-app": 150, "all-apps": 250}
AGAIN_SECONDS = (0.3, 0.6)
"""Whole process on the largest schema: nothing changed, one table changed."""


@dataclass(frozen=True)
class Cost:
    """One process: seconds of the clock, seconds of CPU, MB at its peak."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], folder: Path) -> Cost:
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            # compiled modules are kept between runs, as on anybody's machine, whatever this shell says
            os.execve(command[0], command, {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"})
        finally:
            os._exit(127)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed in {folder}")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "memory")))


def synthetic(folder: Path, apps: int) -> tuple[Path, list[Path]]:
    """Schema and the operations of app 1."""
    sdl, operations = folder / "schema.graphql", folder / "operations"
    script = SCHEMAS / "synthetic_hasura.py"
    arguments = [
        "--apps",
        str(apps),
        "--tables",
        "10",
        "--columns",
        "12",
        "--seed",
        "1",
        "--operations",
        str(operations),
    ]
    with sdl.open("wb") as out:
        import subprocess

        subprocess.run([sys.executable, str(script), *arguments], stdout=out, check=True)
    return sdl, [operations / "app_1.graphql"]


def carnet(folder: Path) -> tuple[Path, list[Path]]:
    return SCHEMAS / "real" / "carnet_de_bord.graphql", sorted(
        (SCHEMAS / "real" / "carnet_de_bord.operations").iterdir()
    )


def all_apps(folder: Path) -> tuple[Path, list[Path]]:
    sdl, (first,) = synthetic(folder, 50)
    return sdl, sorted(first.parent.iterdir())


def settings_of(case: str, schema: Path) -> str:
    """codegen.toml. The synthetic schema has tables without an organization that its operations write to."""
    if case == "carnet":
        return 'package = "shop"\n[tenancy]\nenabled = false\n'
    types = re.finditer(r"^type (app_\d+_[a-z]+) \{(.*?)^\}", schema.read_text(), re.MULTILINE | re.DOTALL)
    shared = [found[1] for found in types if "organization_id: " not in found[2]]
    apps = "" if case == "all-apps" else "apps = [1]\n"
    return f"{apps}[tenancy]\nwritable_shared_tables = {json.dumps(shared)}\n"


CASES: dict[str, Callable[[Path], tuple[Path, list[Path]]]] = {
    "small": lambda folder: synthetic(folder, 1),
    "carnet": carnet,
    "one-app": lambda folder: synthetic(folder, 50),
    "all-apps": all_apps,
}


def project(folder: Path, schema: Path, operations: list[Path], settings: str) -> Path:
    (folder / "schema").mkdir(parents=True)
    (folder / "queries").mkdir()
    shutil.copy(schema, folder / "schema" / "all.graphql")
    for path in operations:
        shutil.copy(path, folder / "queries" / path.name)
    (folder / "codegen.toml").write_text(settings)
    return folder


GENERATE = [sys.executable, "-c", "from automio.cli.app import main; raise SystemExit(main(['generate']))"]


def ours(folder: Path, runs: int) -> Cost:
    """From nothing: no generated files, no cache. The first run is for the compiled Python files and does not count."""
    costs: list[Cost] = []
    for _ in range(runs + 1):
        for package in (path.parent for path in folder.glob("*/py.typed")):
            shutil.rmtree(package)
        shutil.rmtree(folder / ".automio", ignore_errors=True)
        costs.append(measure(GENERATE, folder))
    return median(costs[1:])


def again(folder: Path, runs: int, *, change: bool) -> Cost:
    """After a run, with nothing changed or with another type of one column of one table."""
    schema = folder / "schema" / "all.graphql"
    text = schema.read_text()
    table = re.search(r"^input app_1_orders_bool_exp \{|^input \w+_bool_exp \{", text, re.MULTILINE)
    assert table
    costs: list[Cost] = []
    for number in range(runs):
        if change:
            kind = ("Int", "String")[number % 2]
            schema.write_text(f"{text[: table.end()]}\n  added: {kind}{text[table.end() :]}")
        costs.append(measure(GENERATE, folder))
    return median(costs)


def rival(folder: Path, schema: Path, runs: int) -> Cost | None:
    try:
        version("ariadne-codegen")
    except PackageNotFoundError:
        return None
    settings = {"schema_path": str(schema), "queries_path": str(folder / "queries"), "target_package_name": "client"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (settings | BEST).items()]
    (folder / "pyproject.toml").write_text("[tool.ariadne-codegen]\n" + "\n".join(lines) + "\n")
    costs: list[Cost] = []
    for _ in range(runs):
        shutil.rmtree(folder / "client", ignore_errors=True)
        costs.append(measure([sys.executable, "-W", "ignore", "-m", "ariadne_codegen"], folder))
    return median(costs)


def show(name: str, cost: Cost, base: Cost | None, target: str = "") -> None:
    ratio = f"{cost.wall / base.wall:7.3f} x" if base else "          "
    print(f"  {name:24} {cost.wall:7.2f} s  {cost.cpu:7.2f} s CPU  {cost.memory:6.0f} MB  {ratio}  {target}")


def run(case: str, runs: int, *, with_rival: bool) -> None:
    with TemporaryDirectory() as name:
        work = Path(name)
        schema, operations = CASES[case](work)
        package = settings_of(case, schema)
        whole = project(work / "whole", schema, operations, package)
        bare = project(work / "bare", schema, operations, "derived = false\n" + package)
        size = schema.stat().st_size / 1e6
        print(f"{case}: {size:.1f} MB of SDL, {len(operations)} files of operations")
        peer = (
            rival(
                project(work / "rival", schema, operations, ""), schema, 1 if case in ("one-app", "all-apps") else runs
            )
            if with_rival
            else None
        )
        if peer:
            show(f"ariadne-codegen {version('ariadne-codegen')}, best", peer, peer)
        memory = f", {TARGET_MB[case]} MB" if case in TARGET_MB else ""
        targets = TARGET_SECONDS.get(case, (None, None))
        for name, folder, seconds in (("operations only", bare, targets[0]), ("", whole, targets[1])):
            show(
                f"automio, {name}".rstrip(", "),
                ours(folder, runs),
                peer,
                f"target {seconds} s{memory}" if seconds else "",
            )
            bounds = AGAIN_SECONDS if case == "all-apps" else (None, None)
            for what, change, bound in (("nothing changed", False, bounds[0]), ("one table changed", True, bounds[1])):
                show(f"  {what}", again(folder, runs, change=change), peer, f"target {bound} s" if bound else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--no-rival", action="store_true", help="leave the rival out: the large case takes it half a minute"
    )
    given = parser.parse_args()
    if not SCHEMAS.is_dir():
        raise SystemExit("the folder ../shared (reference schemas) is not here")
    versions = [f"{name} {version(name)}" for name in ("graphql-core", "ariadne-codegen", "pydantic", "ruff")]
    print(f"Python {sys.version.split()[0]}, {', '.join(versions)}")
    for case in given.cases or list(CASES):
        if case not in CASES:
            raise SystemExit(f"no case {case!r}: {', '.join(CASES)}")
        run(case, given.runs, with_rival=not given.no_rival)


if __name__ == "__main__":
    main()
