"""`make demo`: from an empty folder to typed, scoped calls on a real PostgreSQL, and through a change of a table.

Everything happens in a scratch copy of the workspace under .automio/demo, so no tracked file changes. The local platform
is started as a user would start it, and is ended however the demo ends. Exit code 0 when each step did what it says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / ".automio" / "demo"
COPIED = ("schema", "queries", "codegen.toml", "platform.toml", "examples/orders.py")

BEFORE_AND_AFTER = """
from app_130 import orders

order = orders.get_by_order_id("eba6bc90-faab-11f0-96f9-c518c5ba21fb")
for row in orders.find(limit=1):
    print(row.gift_note{typo})
"""


def main() -> int:
    started = time.perf_counter()
    prepare()
    with platform() as url:
        title("The tables are there; pull what the server offers, and compile it")
        as_organization_1 = caller(url, 1)
        automio("pull", env=as_organization_1)
        automio("generate", env=as_organization_1)

        title("examples/orders.py, as organization 2")
        python("examples/orders.py", env=caller(url, 2))

        title("The same program as organization 3, which sees none of it")
        seen = python("examples/orders.py", env=caller(url, 3))
        if "anna" in seen or "parcel" in seen:
            print("organization 3 saw a row of organization 2")
            return 1

        title("A table changes: ALTER TABLE app_130_orders ADD COLUMN gift_note text")
        run_sql(url, "ALTER TABLE app_130_orders ADD COLUMN gift_note text DEFAULT 'no note'")
        automio("generate", "--check", env=as_organization_1)
        automio("pull", env=as_organization_1)
        automio("generate", "--check", env=as_organization_1, expected=1)
        automio("generate", env=as_organization_1)
        script(BEFORE_AND_AFTER.format(typo=""), "new_column.py")
        python("new_column.py", env=caller(url, 2))

        title("The new column is typed, and a misspelt one is refused before it runs")
        type_check("new_column.py", expected=0)
        script(BEFORE_AND_AFTER.format(typo="s"), "misspelt.py")
        type_check("misspelt.py", expected=1)
    print(f"\nAll of it took {time.perf_counter() - started:.1f} s. The workspace is {WORKSPACE.relative_to(ROOT)}.")
    return 0


def prepare() -> None:
    """A fresh scratch workspace with the inputs alone: nothing pulled, nothing generated, no database."""
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    for name in COPIED:
        source, target = ROOT / name, WORKSPACE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    shutil.rmtree(WORKSPACE / "schema" / "app_130", ignore_errors=True)
    (WORKSPACE / "pyrightconfig.json").write_text('{"exclude": [".automio"]}')  # it would pass over a hidden folder


@contextmanager
def platform() -> Generator[str]:
    """The local platform as a process of its own: its URL; ended on the way out."""
    title("automio serve: an empty folder becomes a database with tables, rows and a GraphQL API")
    started = time.perf_counter()
    command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=WORKSPACE, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline().strip()
            if not line.startswith("ready "):
                raise SystemExit(f"the local platform did not start: {line or 'see above'}")
            print(f"  {line}  ({time.perf_counter() - started:.2f} s)")
            yield line.removeprefix("ready ")
        finally:
            server.terminate()


def environment(**extra: str) -> dict[str, str]:
    """Our environment without what could point the demo elsewhere."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("API_", "APP_", "HASURA_", "ORG"))
    }
    ours.pop("DATABASE_URL", None)
    return ours | {"PYTHONPATH": str(WORKSPACE)} | extra


def caller(url: str, organization: int) -> dict[str, str]:
    token = f"local-org-{organization}"
    return environment(API_BASE_URL=url, APP_TOKEN=token, APP_ID="130", ORGANIZATION_ID=str(organization))


def automio(*arguments: str, env: dict[str, str], expected: int = 0) -> None:
    run([sys.executable, "-m", "automio", *arguments], f"automio {' '.join(arguments)}", env, expected)


def python(script_name: str, *, env: dict[str, str]) -> str:
    return run([sys.executable, script_name], f"python {script_name}", env, 0)


def type_check(script_name: str, *, expected: int) -> None:
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--level", "error", script_name]
    run(command, f"basedpyright {script_name}", environment(), expected)


def run(command: list[str], shown: str, env: dict[str, str], expected: int) -> str:
    """Run one command, print what it printed and how long it took; another exit code than `expected` ends the demo."""
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=WORKSPACE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(f"$ {shown}  ({time.perf_counter() - started:.2f} s, exit {done.returncode})")
    print(*(f"  {line}" for line in done.stdout.rstrip().replace(f"{WORKSPACE}/", "").splitlines()), sep="\n")
    if done.returncode != expected:
        raise SystemExit(f"`{shown}` ended with {done.returncode}, not {expected}")
    return done.stdout


def run_sql(url: str, sql: str) -> None:
    """DDL as anybody with the admin's rights would send it to Hasura."""
    started = time.perf_counter()
    body = json.dumps({"type": "run_sql", "args": {"sql": sql}}).encode()
    request = urllib.request.Request(f"{url}/v2/query", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(f"  {json.loads(answer.read())}  ({time.perf_counter() - started:.2f} s)")


def script(text: str, name: str) -> None:
    (WORKSPACE / name).write_text(text.lstrip())


def title(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
