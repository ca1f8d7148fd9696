"""The documents of derived functions are made as nodes, and each is valid: `generate` doesn't validate them itself.

It would find nothing, and take as long as everything else. So every derived document of the golden cases, of the real
schemas and of a synthetic one is validated here, against the whole schema, before scoping and after.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from automio.codegen.config import load_config
from automio.codegen.derived import with_choices
from automio.codegen.groundwork import lay_groundwork, tables_by_app
from automio.codegen.operations import Queries
from automio.dialect.sdl import Sdl

from .conftest import schema_of

CASES = Path(__file__).resolve().parent.parent / "golden" / "codegen"
WITHOUT_ORGANIZATIONS = 'package = "shop"\n[tenancy]\nenabled = false\n'


def check(text: str, config: Path) -> set[str]:
    """The kinds of the derived documents of all apps of a schema, each of them validated."""
    sdl, schema = Sdl.read([("schema.graphql", text)]), build_schema(text, assume_valid=True)
    kinds: set[str] = set()
    for app, types in tables_by_app(sdl).items():
        ground = lay_groundwork(sdl, Queries((), {}), app, (), types, load_config(config))
        for op in ground.derived:
            op = with_choices(op, ground.schema, ground.index) if op.derived == "aggregate" else op
            for document in (op.document, op.scoped.document, parse(op.scoped.text)):
                assert validate(schema, document) == [], op.scoped.text
            kinds.add(op.derived)
    return kinds


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/expected")))
def test_golden_cases(case: str, tmp_path: Path) -> None:
    config = tmp_path / "codegen.toml"
    given = CASES / case / "codegen.toml"
    config.write_text(given.read_text() if given.exists() else "")
    check(schema_of(CASES / case).read_text(), config)


@pytest.mark.parametrize("name", ["carnet_de_bord", "intuition", "learn_dotnet_todo", "learn_go"])
def test_real_schemas(name: str, shared: Path, tmp_path: Path) -> None:
    config = tmp_path / "codegen.toml"
    config.write_text(WITHOUT_ORGANIZATIONS)
    kinds = check((shared / "schemas" / "real" / f"{name}.graphql").read_text(), config)
    assert kinds >= {"find", "aggregate"}


def test_synthetic_schema(shared: Path, tmp_path: Path) -> None:
    script = shared / "schemas" / "synthetic_hasura.py"
    command = [sys.executable, str(script), "--apps", "2", "--tables", "6", "--columns", "12", "--seed", "1"]
    config = tmp_path / "codegen.toml"
    config.write_text("")
    kinds = check(subprocess.run(command, capture_output=True, check=True, text=True).stdout, config)
    assert len(kinds) >= 14
