"""A Hasura project's folder of metadata, read and served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automio.engine.engine import Caller
from automio.errors import ConfigError
from automio.local.config import PlatformConfig
from automio.local.metadata_files import read_folder
from automio.local.server import running_platform

TABLE = """
table: {name: authors, schema: public}
configuration: {custom_name: Writer}
select_permissions:
  - {role: reader, permission: {columns: [id], filter: {id: {_eq: X-Hasura-User-Id}}}}
"""


def project(root: Path, tables: str = '"!include public_authors.yaml"') -> Path:
    folder = root / "metadata" / "databases"
    (folder / "default" / "tables").mkdir(parents=True)
    databases = '- name: default\n  kind: postgres\n  tables: "!include default/tables/tables.yaml"\n'
    (folder / "databases.yaml").write_text(databases, encoding="utf-8")
    (folder / "default" / "tables" / "tables.yaml").write_text(f"- {tables}\n", encoding="utf-8")
    (folder / "default" / "tables" / "public_authors.yaml").write_text(TABLE, encoding="utf-8")
    (root / "metadata" / "actions.yaml").write_text("actions: []\ncustom_types: {enums: []}\n", encoding="utf-8")
    return root


async def test_the_folder_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    root = project(tmp_path)
    (root / "schema").mkdir()
    (root / "schema" / "a.sql").write_text(
        "CREATE TABLE authors (id int); INSERT INTO authors VALUES (1), (2);", "utf-8"
    )
    notes: list[str] = []
    async with running_platform(PlatformConfig(root=root), note=notes.append) as platform:
        caller = Caller("reader", session={"x-hasura-role": "reader", "x-hasura-user-id": "2"})
        answer = json.loads(await platform.engine.execute(caller, {"query": "{ Writer { id } }"}))
        assert answer == {"data": {"Writer": [{"id": 2}]}}
    assert not notes


@pytest.mark.parametrize(
    "place", ["!include ../../../../outside.yaml", '"!include ../../../../outside.yaml"', "!include no.yaml"]
)
def test_what_is_not_in_the_folder_is_not_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "outside.yaml").write_text("secret: 1", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_folder(project(tmp_path, place))
    assert "secret" not in str(refused.value)


def test_no_folder_is_no_metadata(tmp_path: Path) -> None:
    assert read_folder(tmp_path) is None
