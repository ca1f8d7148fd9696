"""Each folder of tests/golden/codegen is a project: what is generated from it, or how it is refused, word by word."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from automio.codegen.config import load_config
from automio.codegen.pipeline import build, check
from automio.codegen.write import write
from automio.errors import AutomioError

CASES = Path(__file__).resolve().parent.parent / "golden" / "codegen"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, project: Callable[..., Path], update_golden: bool) -> None:
    case = CASES / name
    found = run(project(name))
    if update_golden:
        update(case, found)
    expected = read(case)
    assert sorted(found) == sorted(expected)
    for path, text in expected.items():
        assert found[path] == text, path


def run(config_path: Path) -> dict[str, str]:
    """What a run leaves: the generated files below `expected/`, `warnings.txt`, or `error.txt`."""
    try:
        config = load_config(config_path)
        built = build(config)
        write(config, built.files)
    except AutomioError as error:
        return {"error.txt": f"{error}\n"}
    found = {f"expected/{path.as_posix()}": (config.root / path).read_text() for path in built.files}
    if built.warnings:
        found["warnings.txt"] = "\n".join(warning.render() for warning in built.warnings) + "\n"
    assert check(config) == []
    return found


def read(case: Path) -> dict[str, str]:
    paths = [*(case / "expected").rglob("*"), case / "warnings.txt", case / "error.txt"]
    return {
        path.relative_to(case).as_posix(): path.read_text()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def update(case: Path, found: dict[str, str]) -> None:
    shutil.rmtree(case / "expected", ignore_errors=True)
    for name in ("error.txt", "warnings.txt"):
        (case / name).unlink(missing_ok=True)
    for name, text in found.items():
        path = case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_same_input_gives_the_same_text(tmp_path: Path, project: Callable[..., Path]) -> None:
    first = run(project("fragments", "one"))
    assert first == run(project("fragments", "two"))
    assert not any(str(tmp_path) in text for text in first.values())
