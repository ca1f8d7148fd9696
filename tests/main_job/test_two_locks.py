"""With other organizations' rows in every table, no call of the demo reads or writes one of them; either lock alone is enough.

The oracle is a second database that holds organization 2's rows and nothing else: what a caller sees must be equal on
both, and the rows of the others must be the same before and after. Three ways: both locks; the client's alone (the Hasura
endpoint as admin, which the engine does not bind); the engine's alone (a package generated without tenancy, through the
gateway, which binds the caller to the token's organization).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLS = Path(__file__).with_name("calls.py")
TABLES = ("app_130_orders", "app_130_messages", "app_130_billing_entries")
NOT_OURS = ("organization 1", "organization 3", "org1-", "org3-", "order-1-", "order-3-")


Environment = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def crowded(serve: Callable[[str], str]) -> str:
    """The URL of a platform with rows of three organizations."""
    return serve("crowded")


@pytest.fixture(scope="module")
def alone(serve: Callable[[str], str]) -> str:
    """The URL of a platform that is to hold rows of organization 2 alone."""
    return serve("alone")


@pytest.fixture(scope="module")
def without_tenancy(tmp_path_factory: pytest.TempPathFactory, clean_environment: Environment) -> Path:
    """A folder with a package app_130 that was generated as if there were no organizations."""
    workspace = tmp_path_factory.mktemp("without_tenancy")
    for name in ("schema", "queries"):
        shutil.copytree(ROOT / name, workspace / name)
    config = (ROOT / "codegen.toml").read_text().replace('column = "organization_id"', "enabled = false")
    (workspace / "codegen.toml").write_text(config)
    command = [sys.executable, "-m", "automio", "generate"]
    subprocess.run(command, cwd=workspace, env=clean_environment(), check=True, capture_output=True)
    text = (workspace / "app_130" / "orders.py").read_text()
    assert "_and: [{organization_id" not in text, "the client's lock is still on"
    return workspace


def run_sql(url: str, sql: str) -> Any:
    body = json.dumps({"type": "run_sql", "args": {"sql": sql}}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v2/query", body), timeout=30) as answer:
        return json.loads(answer.read())


def rows_of_others(url: str) -> dict[str, Any]:
    columns = {
        "app_130_orders": "id organization_id orderId buyerLogin status delivered total",
        "app_130_messages": "id organization_id order_id messageContent",
        "app_130_billing_entries": "organization_id allegroId type value balance order_id",
    }
    fields = " ".join(
        f"{table}(where: {{organization_id: {{_neq: 2}}}}, order_by: {{id: asc}}) {{ {names} }}"
        for table, names in columns.items()
    )
    body = json.dumps({"query": f"{{ {fields} }}"}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/graphql", body), timeout=30) as answer:
        data = json.loads(answer.read())["data"]
    assert all(data[table] for table in TABLES), "every table holds rows of another organization"
    return data


@pytest.fixture(scope="module")
def calls(clean_environment: Environment) -> Callable[[dict[str, str], Path], list[str]]:
    """Runs calls.py against a target with the package of a folder: its lines."""

    def run(target: dict[str, str], package: Path) -> list[str]:
        env = clean_environment(PYTHONPATH=str(package), APP_ID="130", ORGANIZATION_ID="2", **target)
        done = subprocess.run(
            [sys.executable, str(CALLS)], env=env, cwd=package, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def gateway(url: str) -> dict[str, str]:
    return {"API_BASE_URL": url, "APP_TOKEN": "local-org-2"}


def hasura(url: str) -> dict[str, str]:
    return {"HASURA_GRAPHQL_ENDPOINT": f"{url}/v1/graphql"}


@pytest.mark.parametrize("locks", ["both", "the client's alone", "the engine's alone"])
def test_no_foreign_row_is_read_or_written(
    locks: str, crowded: str, alone: str, without_tenancy: Path, calls: Callable[[dict[str, str], Path], list[str]]
) -> None:
    target = hasura if locks == "the client's alone" else gateway
    package = without_tenancy if locks == "the engine's alone" else ROOT
    before = rows_of_others(crowded)
    reset(crowded)
    reset(alone)
    for table in reversed(TABLES):
        run_sql(alone, f"DELETE FROM {table} WHERE organization_id <> 2")
    seen = calls(target(crowded), package)
    assert seen == calls(target(alone), package)
    assert not [line for line in seen if "Error" in line], "no call of the demo fails"
    assert not [line for line in seen for mark in NOT_OURS if mark in line]
    assert rows_of_others(crowded) == before


def reset(url: str) -> None:
    """Organization 2's rows as the seeds made them, so that each run starts equal."""
    for table in reversed(TABLES):
        run_sql(url, f"DELETE FROM {table} WHERE organization_id = 2")
    run_sql(url, (ROOT / "schema/seeds/app_130.sql").read_text())


def test_with_both_locks_off_the_test_would_see_it(
    crowded: str, without_tenancy: Path, calls: Callable[[dict[str, str], Path], list[str]]
) -> None:
    """The proof that the tests above can fail: the package without tenancy as admin does read foreign rows."""
    seen = calls(hasura(crowded), without_tenancy)
    assert [line for line in seen for mark in NOT_OURS if mark in line]
