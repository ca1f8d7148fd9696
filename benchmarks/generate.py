"""What generation costs, beside its rivals on the same files in the same run.  python -m benchmarks.generate [CASE …]

Cases, by the reference schemas in ../shared (a case that misses them says so); AxT is A apps of T tables, synthetic, with
11 operations an app:

carnet   a real schema of 49 tables with its 98 operations
1x10     190 KB of SDL
1x100    1.8 MB
one-app  the 11 operations of one app out of 50x10
50x10    9 MB, all 550 operations
200x10   37 MB, all 2,200 operations

Each run is a process of its own. Figures are medians of --runs (rivals run once where they take half a minute): seconds of
the clock and of CPU, peak memory, files and lines made, and the CPU of a fresh process for `from app_1 import orders`
(bare interpreter taken off; that includes pydantic) and then for the first `where`. The ratio is to ariadne-codegen's best
settings; it counts, not the seconds. `automio` writes functions from operations and, as it does by default, from tables
alone; `operations only` is `derived = false`, which is nearer to what rivals make.

automio's first run has no cache (`.automio/cache` is removed before each). Then the same is measured with nothing changed,
and with one column of one table changed, which a run has to find and compile. Rivals have no such mode. They are left out
where they take minutes or gigabytes; --everything runs them there too.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import Cost, measure, median
from benchmarks.rivals import BEST, DEFAULT, NODE_PACKAGES, ariadne, install_node_codegen, node_codegen

SCHEMAS = Path(__file__).resolve().parent.parent.parent / "shared" / "schemas"
TARGET_SECONDS = {"one-app": (1.0, 1.0), "carnet": (1.0, None), "50x10": (5.0, 10.0)}
"""Whole process, from nothing: operations only, and with derived functions."""
TARGET_MB = {"one-app": 150, "50x10": 250}
AGAIN_SECONDS = (0.3, 0.6)
"""Whole process on 50x10: nothing changed, one table changed."""
SLOW = ("one-app", "50x10")
"""Rivals run once."""
TOO_LARGE = ("200x10",)
"""Rivals are left out: four times 50x10, where they take half a minute and a gigabyte."""

Files = tuple[Path, list[Path]]
"""The schema and the files of operations."""


@dataclass(frozen=True)
class Row:
    """What one tool did with a case. `first`: milliseconds of CPU for the import and for the first `where`."""

    name: str
    cost: Cost
    output: tuple[int, int] | None = None
    first: tuple[float, float] | None = None
    target: str = ""


# The cases.


def synthetic(folder: Path, apps: int, tables: int = 10) -> Files:
    sdl, operations = folder / "schema.graphql", folder / "operations"
    sizes = ["--apps", str(apps), "--tables", str(tables), "--columns", "12", "--seed", "1"]
    command = [sys.executable, str(SCHEMAS / "synthetic_hasura.py"), *sizes, "--operations", str(operations)]
    with sdl.open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    return sdl, sorted(operations.iterdir())


def carnet(folder: Path) -> Files:
    real = SCHEMAS / "real"
    return real / "carnet_de_bord.graphql", sorted((real / "carnet_de_bord.operations").iterdir())


def one_app(folder: Path) -> Files:
    sdl, operations = synthetic(folder, 50)
    return sdl, [path for path in operations if path.stem == "app_1"]


CASES: dict[str, Callable[[Path], Files]] = {
    "carnet": carnet,
    "1x10": lambda folder: synthetic(folder, 1),
    "1x100": lambda folder: synthetic(folder, 1, 100),
    "one-app": one_app,
    "50x10": lambda folder: synthetic(folder, 50),
    "200x10": lambda folder: synthetic(folder, 200),
}


def settings_of(case: str, schema: Path) -> str:
    """codegen.toml. The synthetic schema has tables without an organization that its operations write to."""
    if case == "carnet":
        return 'package = "shop"\n[tenancy]\nenabled = false\n'
    text = schema.read_text()
    tables = set(re.findall(r"^input (\w+)_bool_exp \{", text, re.MULTILINE))
    types = re.finditer(r"^type (app_\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    shared = [found[1] for found in types if found[1] in tables and "organization_id: " not in found[2]]
    apps = "apps = [1]\n" if case == "one-app" else ""
    return f"{apps}[tenancy]\nwritable_shared_tables = {json.dumps(shared)}\n"


def project(folder: Path, schema: Path, operations: Iterable[Path], settings: str) -> Path:
    (folder / "schema").mkdir(parents=True)
    (folder / "queries").mkdir()
    shutil.copy(schema, folder / "schema" / "all.graphql")
    for path in operations:
        shutil.copy(path, folder / "queries" / path.name)
    (folder / "codegen.toml").write_text(settings)
    return folder


# Ours.

GENERATE = [sys.executable, "-c", "from automio.cli.app import main; raise SystemExit(main(['generate']))"]


def ours(folder: Path, runs: int) -> Cost:
    """From nothing: no generated files, no cache. The first run is for the compiled Python files and does not count."""
    costs: list[Cost] = []
    for _ in range(runs + 1):
        for package in packages(folder):
            shutil.rmtree(package)
        shutil.rmtree(folder / ".automio", ignore_errors=True)
        costs.append(measure(GENERATE, folder))
    return median(costs[1:])


def again(folder: Path, runs: int, *, change: bool) -> Cost:
    """After a run, with nothing changed or with another type of one column of one table. Leaves the schema as it was."""
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
    schema.write_text(text)
    return median(costs)


def packages(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("*/py.typed")]


# What came of it.


def output(folders: Iterable[Path], ending: str) -> tuple[int, int]:
    """Files and lines."""
    files = [path for folder in folders for path in folder.rglob(f"*{ending}")]
    return len(files), sum(path.read_bytes().count(b"\n") for path in files)


FIRST = """
import time
begin = time.process_time()
{importing}
imported = time.process_time()
{where}
print((imported - begin) * 1000, (time.process_time() - imported) * 1000)
"""
OURS = ("from app_1 import orders", "where = {'status': {'_eq': 'new'}}")
RIVALS = (
    "from client import Client",
    "from client.input_types import app_1_orders_bool_exp, String_comparison_exp\n"
    "app_1_orders_bool_exp(status=String_comparison_exp(eq='new'))",
)


def first_use(folder: Path, importing: str, where: str, runs: int) -> tuple[float, float]:
    """CPU milliseconds of a fresh process: the import, then the first `where`; compiled modules present."""
    command = [sys.executable, "-c", FIRST.format(importing=importing, where=where)]
    done = [subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True) for _ in range(runs + 1)]
    numbers = [tuple(map(float, each.stdout.split())) for each in done[1:]]
    return statistics.median(n[0] for n in numbers), statistics.median(n[1] for n in numbers)


# A case.


def rivals(case: str, work: Path, files: Files, runs: int, tool: Path | str) -> Iterable[Row]:
    """The best of ariadne-codegen comes first."""
    schema, operations = files
    for name, settings in (("best", BEST), ("default", DEFAULT)):
        folder = project(work / f"ariadne_{name}", schema, operations, "")
        cost = ariadne(folder, schema, runs, settings)
        if cost is None:
            print("  ariadne-codegen left out: it is not installed")
            break
        first = None if case == "carnet" else first_use(folder, *RIVALS, min(runs, 3))
        yield Row(f"ariadne-codegen, {name}", cost, output([folder / "client"], ".py"), first)
    if isinstance(tool, Path):
        folder = project(work / "node", schema, operations, "")
        cost = node_codegen(tool, folder, schema, runs)
        yield Row("GraphQL Code Generator", cost, output([folder / "out"], ".ts"))


def automio(case: str, work: Path, files: Files, runs: int) -> Iterable[Row]:
    settings = settings_of(case, files[0])
    seconds = TARGET_SECONDS.get(case, (None, None))
    memory = f", {TARGET_MB[case]} MB" if case in TARGET_MB else ""
    bounds = AGAIN_SECONDS if case == "50x10" else (None, None)
    for name, derived, target in (
        ("automio, operations only", "derived = false\n", seconds[0]),
        ("automio", "", seconds[1]),
    ):
        folder = project(work / ("bare" if derived else "whole"), *files, derived + settings)
        cost = ours(folder, runs)
        first = None if case == "carnet" else first_use(folder, *OURS, runs)
        made = output(packages(folder), ".py")
        yield Row(name, cost, made, first, f"target {target:g} s{memory}" if target else "")
        for what, change, bound in (("nothing changed", False, bounds[0]), ("one table changed", True, bounds[1])):
            cost = again(folder, runs, change=change)
            yield Row(f"  {what}", cost, target=f"target {bound:g} s" if bound else "")


def show(row: Row, base: Cost | None) -> None:
    made = f"{row.output[0]:5} / {row.output[1]:7,}" if row.output else ""
    first = f"{row.first[0]:7.0f} + {row.first[1]:5.0f}" if row.first else ""
    ratio = f"{row.cost.wall / base.wall:.3f}" if base else ""
    cost = f"{row.cost.wall:7.2f} s {row.cost.cpu:7.2f} s {row.cost.memory:6.0f} MB"
    print(f"  {row.name:26} {cost}  {made:>15}  {first:>15}  {ratio:>6}  {row.target}".rstrip(), flush=True)


def run(case: str, runs: int, tool: Path | str, *, with_rivals: bool) -> None:
    with TemporaryDirectory() as name:
        work = Path(name)
        files = CASES[case](work)
        print(f"\n{case}: {files[0].stat().st_size / 1e6:.1f} MB of SDL, {len(files[1])} files of operations")
        print(
            f"  {'':26} {'clock':>9} {'CPU':>9} {'peak':>9}  {'files / lines':>15}  {'import + where':>15}  {'ratio':>6}"
        )
        base: Cost | None = None
        if with_rivals:
            for row in rivals(case, work, files, 1 if case in (*SLOW, *TOO_LARGE) else runs, tool):
                base = base or row.cost
                show(row, base)
        else:
            print("  rivals left out here: minutes and gigabytes (--everything runs them)")
        for row in automio(case, work, files, runs):
            show(row, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-rival", action="store_true", help="leave the rivals out")
    parser.add_argument("--everything", action="store_true", help="rivals on the largest case too")
    given = parser.parse_args()
    if not SCHEMAS.is_dir():
        raise SystemExit("the folder ../shared (reference schemas) is not here")
    cases = given.cases or list(CASES)
    for case in cases:
        if case not in CASES:
            raise SystemExit(f"no case {case!r}: {', '.join(CASES)}")
    tool = "not asked for" if given.no_rival else install_node_codegen()
    names = ["graphql-core", "ariadne-codegen", "pydantic", "ruff"]
    print(f"Python {sys.version.split()[0]}, {', '.join(f'{name} {version(name)}' for name in names)}")
    if isinstance(tool, Path):
        print(f"GraphQL Code Generator {NODE_PACKAGES['@graphql-codegen/cli']} on node")
    else:
        print(f"GraphQL Code Generator left out: {tool}")
    for case in cases:
        wanted = not given.no_rival and (given.everything or case not in TOO_LARGE)
        run(case, given.runs, tool, with_rivals=wanted)


if __name__ == "__main__":
    main()
