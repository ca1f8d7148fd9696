"""`automio init` makes what is missing and changes nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from .conftest import Run


def test_a_new_project(automio: Run, tmp_path: Path) -> None:
    done = automio("init", "new/project")
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "new/project").iterdir())
    assert made == [".automio", ".graphqlrc.yml", "codegen.toml", "queries", "schema"]
    assert done.stdout.splitlines()[:4] == ["made schema/", "made queries/", "made codegen.toml", "made .graphqlrc.yml"]
    assert "APP_TOKEN and APP_ID must be set (or HASURA_GRAPHQL_ENDPOINT); then automio pull" in done.stdout
    from automio.codegen.config import load_config

    config = load_config(tmp_path / "new/project/codegen.toml")
    assert (config.schema, config.queries, config.apps, config.tenant_column) == (
        "schema",
        "queries",
        None,
        "organization_id",
    )


def test_what_the_environment_says(automio: Run, tmp_path: Path) -> None:
    env = {"API_BASE_URL": "https://platform.example", "APP_TOKEN": "a-secret", "APP_ID": "130"}
    done = automio("init", "--json", env=env)
    report = json.loads(done.stdout)
    assert report["endpoint"] == "https://platform.example/api/apps/graphql/"
    assert tomllib.loads((tmp_path / "codegen.toml").read_text())["apps"] == [130]
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "a-secret" not in written + done.stdout + done.stderr


def test_nothing_is_overwritten(automio: Run, tmp_path: Path) -> None:
    (tmp_path / "codegen.toml").write_text("# mine\n")
    (tmp_path / "schema").mkdir()
    done = automio("init", env={"APP_ID": "130"})
    assert done.returncode == 0
    assert (tmp_path / "codegen.toml").read_text() == "# mine\n"
    assert "kept codegen.toml, which was there" in done.stdout
    again = json.loads(automio("init", "--json").stdout)
    assert again["made"] == []


def test_a_file_where_a_folder_should_be(automio: Run, tmp_path: Path) -> None:
    (tmp_path / "queries").write_text("")
    done = automio("init")
    assert done.returncode == 2
    assert "queries: File exists" in done.stderr
    assert "Traceback" not in done.stderr
