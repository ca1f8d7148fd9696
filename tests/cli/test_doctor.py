"""`automio doctor` names what is wrong, and goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .conftest import SDL, Done, Run, Served


def checks(done: Done) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_an_empty_folder(automio: Run) -> None:
    done = automio("doctor", "--json")
    found = checks(done)
    assert done.returncode == 0
    assert {name for name, check in found.items() if check["state"] == "absent"} == {
        "codegen.toml",
        "generated files",
        "server",
        "platform.toml",
    }
    assert found["python"]["state"] == found["packages"]["state"] == found["database"]["state"] == "fine"
    assert "embedded PostgreSQL 1" in found["database"]["text"]


def test_all_is_well(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    (tmp_path / "platform.toml").write_text('[[tokens]]\ntoken = "hush"\norganization = 1\napps = [130]\n')
    automio("generate")
    server.body = b'{"data": {"__typename": "query_root"}}'
    done = automio("doctor", env={"API_BASE_URL": server.url, "APP_TOKEN": "hush-hush", "APP_ID": "130"})
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "nothing is wrong"
    assert f"fine    server: {server.url}/api/apps/graphql/ answers for app 130" in done.stdout
    assert "fine    platform.toml: 1 token, apps: 130" in done.stdout
    assert "hush" not in done.stdout
    assert server.seen[0][2] == {"query": "{ __typename }"}


def test_everything_is_wrong(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / "codegen.toml").write_text("aps = [130]\n")
    (tmp_path / "platform.toml").write_text("tokns = 1\n")
    server.status, server.body = 401, b'{"error": "no"}'
    env = {"HASURA_GRAPHQL_ENDPOINT": server.url, "DATABASE_URL": "postgresql://me:hush@nowhere/db"}
    done = automio("doctor", "--json", env=env)
    found = checks(done)
    assert done.returncode == 1
    wrong = {name: check["text"] for name, check in found.items() if check["state"] == "wrong"}
    assert set(wrong) == {"codegen.toml", "generated files", "server", "platform.toml"}
    assert wrong["codegen.toml"].startswith("codegen.toml:1:1: unknown key `aps`")
    assert "answered 401: no" in wrong["server"]
    assert "HASURA_GRAPHQL_ADMIN_SECRET" in found["server"]["hint"]
    assert wrong["platform.toml"].startswith("platform.toml:1:1: unknown key `tokns`")
    assert "hush" not in done.stdout


def test_stale_files(automio: Run, tmp_path: Path) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "codegen.toml").write_text("")
    found = checks(automio("doctor", "--json"))
    assert found["generated files"] == {
        "name": "generated files",
        "state": "wrong",
        "text": "out of date",
        "hint": "Run `automio generate`.",
    }
