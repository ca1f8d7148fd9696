"""Golden cases of the compiler as projects on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parent.parent / "golden" / "codegen"


def schema_of(case: Path) -> Path:
    """The schema of a golden case: its own, else that of the scope cases."""
    own = case / "schema.graphql"
    return own if own.exists() else CASES.parent / "scope" / "schema.graphql"


def lay_out(case: Path, root: Path) -> Path:
    """A project of a case: its schema -> schema/, other .graphql -> queries/, `project/` as it is. Gives codegen.toml."""
    (root / "schema").mkdir(parents=True)
    (root / "queries").mkdir()
    if (case / "project").is_dir():
        shutil.copytree(case / "project", root, dirs_exist_ok=True)
    for path in sorted({*case.glob("*.graphql"), schema_of(case)}):
        shutil.copy(path, root / ("schema" if path.name == "schema.graphql" else "queries") / path.name)
    config = root / "codegen.toml"
    config.write_bytes((case / "codegen.toml").read_bytes() if (case / "codegen.toml").exists() else b"")
    return config


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what every golden case generates, each below its case's name: `sample.app_130.orders`."""
    root = tmp_path_factory.mktemp("packages")
    for expected in sorted(CASES.glob("*/expected")):
        shutil.copytree(expected, root / expected.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Lays a golden case out as a project in a folder of its own; gives its codegen.toml."""
    return lambda name, folder="project": lay_out(CASES / name, tmp_path / folder)
