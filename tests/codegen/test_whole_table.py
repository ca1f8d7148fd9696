"""Everything that a table offers, called against the local platform: pulled, generated, then run by whole_table/calls.py.

The same calls go through the gateway and to the Hasura endpoint; rows of another organization stand beside ours and must
be there afterwards as they were. expected.jsonl says what each call gives (`pytest --update-golden` rewrites it).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILES = Path(__file__).with_name("whole_table")
ROOT = FILES.parents[2]


def environment(**extra: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("API_", "APP_", "HASURA_", "ORG"))
    }
    kept.pop("DATABASE_URL", None)
    return kept | {"PYTHONPATH": str(ROOT)} | extra


def automio(workspace: Path, *command: str, **extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "automio", *command],
        cwd=workspace,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a platform with the tables of app 140, and the folder with the package generated from it."""
    workspace = tmp_path_factory.mktemp("whole_table") / "project"
    shutil.copytree(FILES, workspace)
    command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=workspace, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline().strip()
            assert line.startswith("ready "), line
            url = line.removeprefix("ready ")
            automio(workspace, "pull", HASURA_GRAPHQL_ENDPOINT=f"{url}/v1/graphql")
            automio(workspace, "generate")
            yield url, workspace
        finally:
            server.terminate()


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def calls(workspace: Path, target: dict[str, str]) -> str:
    env = environment(APP_ID="140", ORGANIZATION_ID="2", **target)
    env["PYTHONPATH"] = f"{workspace}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "calls.py"], cwd=workspace, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_function_of_a_table(platform: tuple[str, Path], update_golden: bool) -> None:
    url, workspace = platform
    insert = """mutation { insert_app_140_orders(objects: [
        {organization_id: 3, orderId: "A1", total: 9, pieces: 7, messages: {data: {organization_id: 3, content: "theirs"}}}
        {organization_id: 3, orderId: "N1", pieces: 8}]) { affected_rows } }"""
    theirs = """{ app_140_orders(where: {organization_id: {_eq: 3}}, order_by: {orderId: asc}) {
        orderId total pieces details messages { content } } }"""
    assert post(f"{url}/v1/graphql", {"query": insert})["data"]
    before = post(f"{url}/v1/graphql", {"query": theirs})
    seen = calls(workspace, {"API_BASE_URL": url, "APP_TOKEN": "local-org-2"})
    if update_golden:
        (FILES / "expected.jsonl").write_text(seen)
    assert seen == (FILES / "expected.jsonl").read_text()
    assert seen == calls(workspace, {"HASURA_GRAPHQL_ENDPOINT": f"{url}/v1/graphql"})
    assert before == post(f"{url}/v1/graphql", {"query": theirs}) and len(before["data"]["app_140_orders"]) == 2
