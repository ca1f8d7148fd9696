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
        "role",
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
    env = {"HASURA_GRAPHQL_ENDPOINT": server.url, "DATABASE_URL": "postgresql://me:hush@nowhere.invalid/db"}
    env["REDIS_URL"] = "redis://:hush@127.0.0.1:1/0"
    done = automio("doctor", "--json", env=env)
    found = checks(done)
    assert done.returncode == 1
    wrong = {name: check["text"] for name, check in found.items() if check["state"] == "wrong"}
    assert set(wrong) == {"codegen.toml", "generated files", "server", "platform.toml", "database", "cache"}
    assert wrong["database"].startswith("DATABASE_URL: nowhere.invalid:5432 was not reached: ")
    assert wrong["cache"].startswith("REDIS_URL: 127.0.0.1:1 was not reached: ")
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


def test_the_role(automio: Run, server: Served) -> None:
    server.body = b'{"data": {"__typename": "query_root"}}'
    env = {"HASURA_GRAPHQL_ENDPOINT": server.url, "ORGANIZATION_ID": "2"}
    role = checks(automio("doctor", "--json", env=env))["role"]
    assert role["text"] == "no admin secret; calls run as organization 2 unless they name one"
    done = automio("doctor", "--json", env=env | {"HASURA_GRAPHQL_ADMIN_SECRET": "hush"})
    assert checks(done)["role"]["text"] == "admin; calls run as organization 2 unless they name one"
    assert "export permissions" in checks(done)["role"]["hint"] and "hush" not in done.stdout
    gateway = {"API_BASE_URL": server.url, "APP_TOKEN": "hush", "APP_ID": "130"}
    role = checks(automio("doctor", "--json", env=gateway))["role"]
    assert role["text"] == "the token's organization; calls run as no organization unless they name one"


def test_what_answers_is_fine(automio: Run, server: Served) -> None:
    at = server.url.removeprefix("http://")
    found = checks(
        automio("doctor", "--json", env={"DATABASE_URL": f"postgresql://{at}/x", "REDIS_URL": f"redis://{at}"})
    )
    assert (found["database"]["state"], found["cache"]["state"]) == ("fine", "fine")
    assert found["cache"]["text"].endswith("Redis answers")
