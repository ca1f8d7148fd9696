"""The commands against the local platform: serve, pull, generate, and a table that changes in between."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from graphql import build_client_schema, build_schema, lexicographic_sort_schema, print_schema

from automio.cli.endpoint import find_endpoint, introspect
from automio.local.config import load_platform
from automio.local.server import running_platform

from .conftest import Done, Run


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shutil.copytree(root / "schema", tmp_path / "schema", ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copytree(root / "queries", tmp_path / "queries")
    for name in ("codegen.toml", "platform.toml"):
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


async def test_from_sql_to_python_and_through_a_change(project: Path, automio_process: Run) -> None:
    async with running_platform(load_platform(project / "platform.toml", {})) as running:
        env = {"API_BASE_URL": running.url, "APP_TOKEN": "local-org-2", "APP_ID": "130"}

        def command(*arguments: str) -> Callable[[], Done]:
            return lambda: automio_process(*arguments, env=env)

        pulled = await asyncio.to_thread(command("pull"))
        assert pulled.returncode == 0, pulled.stderr
        files = {path.name: path.read_text() for path in (project / "schema/app_130").iterdir()}
        assert sorted(files) == ["billing_entries.graphql", "common.graphql", "messages.graphql", "orders.graphql"]
        told = build_client_schema(await introspect(find_endpoint(running.url), 30))  # pyright: ignore[reportArgumentType]
        assert print_schema(lexicographic_sort_schema(build_schema("".join(files.values())))) == print_schema(
            lexicographic_sort_schema(told)
        )

        generated = await asyncio.to_thread(command("generate"))
        assert generated.returncode == 0, generated.stderr
        assert (await asyncio.to_thread(command("generate", "--check"))).returncode == 0

        # The admin's endpoint shows the same tables, so it gives the same files.
        again = await asyncio.to_thread(command("pull", "--endpoint", running.url))
        assert again.stdout.splitlines()[-1].endswith("0 written, 4 unchanged, 0 removed")

        await running.engine.run_sql("ALTER TABLE app_130_orders ADD COLUMN gift_note text")
        changed = await asyncio.to_thread(command("pull"))
        assert changed.stdout.splitlines()[0] == "wrote schema/app_130/orders.graphql"
        assert "1 written, 3 unchanged" in changed.stdout
        assert (await asyncio.to_thread(command("generate", "--check"))).returncode == 1
        assert (await asyncio.to_thread(command("generate"))).returncode == 0
        assert "gift_note" in (project / "app_130/orders.py").read_text()
