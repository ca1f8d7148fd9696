"""What generation costs, beside ariadne-codegen on the same files in the same run.  python -m benchmarks.generate [CASE …]

Cases, by the reference schemas in ../shared (a case that misses them says so):

one-app  11 operations of one app out of 500 tables (50 apps of 10 tables, 9 MB of SDL)
carnet   a real schema of 49 tables with its 98 operations
small    one app of 10 tables

Each run is a process of its own: wall time, CPU seconds of the process and its children, peak memory. `automio` writes
functions from operations and, as it does by default, from tables alone; `operations only` is `derived = false`, which is
what the rival makes. The rival is ariadne-codegen with its fastest settings ("best"). Figures are medians of --runs (the
rival's first case takes half a minute and runs once); the ratio to the rival is what counts, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
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
TARGET_SECONDS = {"one-app": 1.0, "carnet": 1.0}
TARGET_MB = {"one-app": 150}


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


CASES: dict[str, Callable[[Path], tuple[Path, list[Path]]]] = {
    "small": lambda folder: synthetic(folder, 1),
    "carnet": carnet,
    "one-app": lambda folder: synthetic(folder, 50),
}


def project(folder: Path, schema: Path, operations: list[Path], settings: str) -> Path:
    (folder / "schema").mkdir(parents=True)
    (folder / "queries").mkdir()
    shutil.copy(schema, folder / "schema" / "all.graphql")
    for path in operations:
        shutil.copy(path, folder / "queries" / path.name)
    (folder / "codegen.toml").write_text(settings)
    return folder


def ours(folder: Path, runs: int) -> Cost:
    code = "from automio.cli.app import main; raise SystemExit(main(['generate']))"
    try:
        import automio.cli.app  # noqa: F401
    except ImportError:
        code = (
            "from pathlib import Path; from automio.codegen import config, pipeline, write; "
            "c = config.load_config(Path('codegen.toml')); write.write(c, pipeline.build(c).files)"
        )
    costs: list[Cost] = []
    for _ in range(runs + 1):
        for package in (path.parent for path in folder.glob("*/py.typed")):
            shutil.rmtree(package)
        costs.append(measure([sys.executable, "-c", code], folder))
    return median(costs[1:])


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
        package = 'package = "shop"\n[tenancy]\nenabled = false\n' if case == "carnet" else "apps = [1]\n"
        whole = project(work / "whole", schema, operations, package)
        bare = project(work / "bare", schema, operations, "derived = false\n" + package)
        size = schema.stat().st_size / 1e6
        print(f"{case}: {size:.1f} MB of SDL, {len(operations)} files of operations")
        peer = (
            rival(project(work / "rival", schema, operations, ""), schema, 1 if case == "one-app" else runs)
            if with_rival
            else None
        )
        if peer:
            show(f"ariadne-codegen {version('ariadne-codegen')}, best", peer, peer)
        only, both = ours(bare, runs), ours(whole, runs)
        seconds, memory = TARGET_SECONDS.get(case), TARGET_MB.get(case)
        target = f"target {seconds} s" + (f", {memory} MB" if memory else "") if seconds else ""
        show("automio, operations only", only, peer, target)
        show("automio", both, peer, target)


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
