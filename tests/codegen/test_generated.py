"""What is generated is imported, its models are built, and it is type-checked strictly by two checkers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TYPING = Path(__file__).resolve().parent.parent / "typing"
ROOT = TYPING.parent.parent
IMPORT_EVERYTHING = """
import importlib, pathlib, sys

root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
operations = {}
for path in sorted(root.rglob("*.py")):
    if path.name != "__init__.py" and "_inputs" not in path.parts:
        module = importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
        for name, value in vars(module).items():
            if type(value).__name__ == "Operation":
                operations[id(value)] = value
heavy = {"gql", "graphql", "aiohttp", "ariadne_codegen", "httpx"} & set(sys.modules)
assert not heavy, heavy
assert not [name for name in sys.modules if "._inputs" in name]
for operation in operations.values():
    operation.decoder
    text = operation.bound("999").text
    assert "app_130_" not in text, text
print(len(operations))
"""


def test_modules_import_light_and_their_models_build(packages: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", IMPORT_EVERYTHING, str(packages)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60


@pytest.fixture(scope="module")
def checked(packages: Path) -> Path:
    """The packages with tests/typing beside them, and a configuration of each checker."""
    for path in TYPING.glob("*.py"):
        shutil.copy(path, packages / path.name)
    config = {"include": ["."], "typeCheckingMode": "strict", "pythonVersion": "3.11", "reportRedundantCast": False}
    (packages / "pyrightconfig.json").write_text(json.dumps(config))
    return packages


def expected_notes() -> dict[tuple[str, int], str]:
    """(file, line) -> the type in the comment beside a reveal_type, or `error` where a call must be refused."""
    found: dict[tuple[str, int], str] = {}
    for path in sorted(TYPING.glob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            comment = re.search(r"  # (type: |refused)(.*)", line)
            if comment:
                found[path.name, number] = "error" if comment[1] == "refused" else comment[2].strip()
    return found


def test_pyright_accepts_everything_but_what_must_be_refused(checked: Path) -> None:
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=checked, capture_output=True, text=True, check=False)
    found: dict[tuple[str, int], str] = {}
    for item in json.loads(done.stdout)["generalDiagnostics"]:
        path = Path(item["file"]).relative_to(checked.resolve()).as_posix()
        shown = re.search(r' is "(.*)"$', item["message"])
        text = shown[1] if item["severity"] == "information" and shown else "error"
        assert text != "error" or path in {name for name, _ in expected_notes()}, f"{path}: {item['message']}"
        found[path, item["range"]["start"]["line"] + 1] = text
    assert found == expected_notes()


def test_mypy_accepts_everything_but_what_must_be_refused(checked: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--no-error-summary", "."]
    done = subprocess.run(command, cwd=checked, capture_output=True, text=True, check=False)
    found: dict[tuple[str, int], str] = {}
    for line in done.stdout.splitlines():
        parts = re.match(r"(.+?):(\d+): (error|note): (.*)", line)
        assert parts, line
        shown = re.match(r'Revealed type is "(.*)"$', parts[4])
        if parts[3] == "note" and not shown:
            continue
        # mypy writes the whole path of a class, pyright its name.
        text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", shown[1]) if shown else "error"
        assert shown or parts[1] in {name for name, _ in expected_notes()}, line
        found[parts[1], int(parts[2])] = text
    assert found == expected_notes()
