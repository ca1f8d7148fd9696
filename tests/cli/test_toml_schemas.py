"""The JSON schemas of codegen.toml and platform.toml know the keys that the readers know, and an editor's TOML tool uses them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automio.codegen.config import DERIVED, load_config
from automio.errors import CodegenError, ConfigError
from automio.local.config import read_platform

from .conftest import Run

ROOT = Path(__file__).resolve().parents[2]
CODEGEN = json.loads((ROOT / "automio/codegen/codegen.schema.json").read_text())
PLATFORM = json.loads((ROOT / "automio/local/platform.schema.json").read_text())


def objects(schema: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Each table of the schema: the way to it (`*` for any name, `#` for an element), and its keys."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False:
            yield place, set(schema["properties"])
        for key, value in schema.get("properties", {}).items():
            yield from objects(value, (*place, key))
        if isinstance(schema.get("additionalProperties"), dict):
            yield from objects(schema["additionalProperties"], (*place, "*"))
        yield from objects(schema.get("items"), (*place, "#"))
        for one in schema.get("oneOf", ()):
            yield from objects(one, place)


def name_of(value: object) -> str:
    return ".".join(value) or "top" if isinstance(value, tuple) else "keys"


def asking(place: tuple[str, ...]) -> str:
    """A file with a key that nothing knows at that place; the reader's hint names those that it knows."""
    names = ["7" if part == "*" else part for part in place if part != "#"]
    header = f"[[{'.'.join(names)}]]\n" if "#" in place else f"[{'.'.join(names)}]\n" if names else ""
    if place.count("#") > 1:
        header = f"[[{names[0]}]]\n{header}"
    return f"{header}zzzzzzzzzzzzzzzz = 1\n"


@pytest.mark.parametrize(("place", "keys"), list(objects(CODEGEN)), ids=name_of)
def test_codegen_toml(place: tuple[str, ...], keys: set[str], tmp_path: Path) -> None:
    path = tmp_path / "codegen.toml"
    path.write_text(asking(place))
    with pytest.raises(CodegenError) as caught:
        load_config(path)
    (hint,) = [found.hint for found in caught.value.diagnostics if "zzzz" in found.message]
    assert set(hint.removeprefix("Known: ").removesuffix(".").split(", ")) == keys


@pytest.mark.parametrize(("place", "keys"), list(objects(PLATFORM)), ids=name_of)
def test_platform_toml(place: tuple[str, ...], keys: set[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_platform(asking(place), Path("platform.toml"), {})
    hint = re.search(r"Known here: (.*)\.", caught.value.message)
    assert hint and set(hint[1].split(", ")) == keys


def test_kinds_of_functions() -> None:
    one_of = CODEGEN["properties"]["tables"]["additionalProperties"]["properties"]["derived"]["oneOf"]
    assert one_of[1]["items"]["enum"] == list(DERIVED)


def test_init_and_generate_lay_them_out(automio: Run, tmp_path: Path) -> None:
    automio("init")
    first = (tmp_path / "codegen.toml").read_text().splitlines()[0]
    place = tmp_path / first.removeprefix("#:schema ")
    assert json.loads(place.read_text()) == CODEGEN
    assert (tmp_path / ".automio/.gitignore").read_text() == "*\n"
    shutil.rmtree(tmp_path / ".automio")
    shutil.copytree(ROOT / "schema/app_130", tmp_path / "schema", dirs_exist_ok=True)
    assert automio("generate").returncode == 0
    assert json.loads(place.read_text()) == CODEGEN


WRONG = {
    "codegen.toml": [
        'shema = "schema"',
        "apps = ['x']",
        "derived = 1",
        "[tables.x]\nderived = ['finds']",
        "[scalars]\na = 1",
    ],
    "platform.toml": ["[[tokens]]\ntoken = 'a'", "[database]\npool_size = 0", "[tenancy]\ncolum = 'x'"],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_toml_tool_accepts_ours_and_marks_faults(name: str, node_tools: Path, automio: Run, tmp_path: Path) -> None:
    automio("init")

    def lint(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / name).write_text(text)
        command = [str(node_tools / "node_modules/.bin/taplo"), "lint", "--no-auto-config", str(tmp_path / name)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    line = f"#:schema ./.automio/schemas/{name.replace('.toml', '.schema.json')}\n"
    done = lint((ROOT / name).read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    for text in WRONG[name]:
        assert lint(line + text + "\n").returncode != 0, text
