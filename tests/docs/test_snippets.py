"""Each fenced block of README.md and docs/*.md is executed, or read by what reads such a file. By the block's language:

| language | what happens |
|---|---|
| none, `sh` | each line is a command: `automio …` is parsed by the real commands, `make` and `pip install automio[…]` are looked up |
| `toml codegen.toml`, `toml platform.toml` | read by automio's own reader; without a name it is codegen.toml |
| `ini .env` | each name is a setting |
| `graphql` | validated against the sample's schema, and scoped |
| `python` | type-checked strictly beside the sample's package |
| `sql`, `json`, `yaml` | parsed |
| `text` | what something prints or looks like: nothing to execute |

A page that a test of its own follows line by line (`FOLLOWED`) has its Python, SQL and GraphQL run there. A block that cannot
be executed says so and why in its info string: ```python not-run: needs a broker of yours
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import typer
import yaml
from graphql import OperationDefinitionNode, parse

from automio.cli.commands import app
from automio.codegen.config import load_config
from automio.dialect.sdl import Sdl
from automio.local.config import read_platform
from automio.settings import _VARIABLES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLLOWED = {
    "guide.md": "tests/main_job/test_guide.py",
    "testing.md": "tests/testing/test_page.py",
}
BLOCK = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    name: str
    text: str
    reason: str
    """Why it is not run, "" where it is."""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = path.read_text()
    found: list[Block] = []
    for match in BLOCK.finditer(text):
        info, _, reason = match["info"].partition("not-run:")
        language, _, name = info.strip().partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(path.name, line, language, name.strip(), match["text"], reason.strip()))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in BLOCKS if not block.reason]


def of(*languages: str) -> Callable[..., object]:
    chosen = [block for block in RUN if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=[block.place for block in chosen])


def test_every_block_has_a_way_to_be_executed() -> None:
    known = {"", "sh", "toml", "ini", "graphql", "python", "sql", "json", "yaml", "text"}
    assert [block.place for block in BLOCKS if block.language not in known] == []
    assert [block.place for block in BLOCKS if "not-run" in block.name or block.reason == "why"] == []
    assert len(RUN) > 15
    for page in PAGES:  # none is missed by the pattern above
        assert page.read_text().count("```") == 2 * len(blocks(page)), page.name


def test_pages_with_a_test_of_their_own_have_it() -> None:
    for page, test in FOLLOWED.items():
        assert page in (ROOT / test).read_text()


# Commands.


def parse_command(arguments: list[str]) -> None:
    """As the real command parses it, without running it. Raises UsageError for what the command doesn't know.

    Typer brings a click of its own, or uses the one that is installed, by version: nothing here names its classes.
    """
    command: Any = typer.main.get_command(app)
    rest, parent = arguments, None
    while hasattr(command, "commands"):
        context = command.make_context("automio", [*rest], parent, allow_extra_args=True, allow_interspersed_args=False)
        rest = [*context._protected_args, *context.args]
        _, command, rest = command.resolve_command(context, rest)
        parent = context
    command.make_context("automio", [*rest], parent)


def is_usage_error(error: BaseException) -> bool:
    return any(kind.__name__ == "UsageError" for kind in type(error).__mro__)


def check_command(line: str) -> None:
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "automio":
        if words[1:] != ["--install-completion"]:
            parse_command(words[1:])
    elif words[0] == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) <= targets, line
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for word in words[2:]:
            found = re.fullmatch(r"automio(?:\[([\w,]+)\])?", word)
            assert found and set((found[1] or "local").split(",")) <= extras.keys(), line
    elif words[0] == "$EDITOR":
        assert all((ROOT / word).is_file() for word in words[1:]), line
    elif words[:3] == ["hasura", "metadata", "export"] or words[:3] == ["hasura", "metadata", "apply"]:
        assert len(words) == 3
    else:
        raise AssertionError(f"no known command: {line}")


@of("", "sh")
def test_commands(block: Block) -> None:
    for line in block.text.splitlines():
        check_command(line)


INLINE = re.compile(r"`(automio [^`]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_sentences(page: Path) -> None:
    text = BLOCK.sub("", page.read_text())
    for command in INLINE.findall(text):
        words = shlex.split(command)
        known: Any = typer.main.get_command(app)
        if words[1].startswith("-"):
            continue
        assert words[1] in known.commands, command
        found = known.commands[words[1]]
        if hasattr(found, "commands") and len(words) > 2:
            assert words[2] in found.commands, command
            found = found.commands[words[2]]
        options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words[2:] if word.startswith("--")} <= options, command


def test_a_wrong_command_is_told() -> None:
    for line in (
        "automio generat",
        "automio generate --chek",
        "automio export",
        "automio serve --port x",
        "make x",
        "ls",
    ):
        with pytest.raises(Exception) as caught:
            check_command(line)
        assert isinstance(caught.value, AssertionError) or is_usage_error(caught.value), line


# Files.


@of("toml")
def test_toml(block: Block, tmp_path: Path) -> None:
    name = block.name or "codegen.toml"
    path = tmp_path / name
    path.write_text(block.text)
    if name == "codegen.toml":
        load_config(path)
    elif name == "platform.toml":
        read_platform(block.text, path, {})
    else:
        assert name == "pyproject.toml", f"{block.place}: which file is this?"
        tomllib.loads(block.text)


@of("ini")
def test_environment_files(block: Block) -> None:
    names = {line.partition("=")[0] for line in block.text.splitlines() if line and not line.startswith("#")}
    assert names and names <= {variable for variable, _ in _VARIABLES.values()}


@of("graphql", "sql", "json", "yaml")
def test_texts(block: Block) -> None:
    if block.language == "sql":
        assert all(sqlglot.parse(block.text, read="postgres"))
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.page not in FOLLOWED:
        scope(block.text)
    else:
        parse(block.text)


def scope(text: str) -> None:
    from automio.codegen.compiled import compile_functions
    from automio.codegen.sources import SourceFile

    config = load_config(ROOT / "codegen.toml")
    sdl = Sdl.read((path.name, path.read_text()) for path in sorted((ROOT / "schema").rglob("*.graphql")))
    compiled = compile_functions(sdl, [SourceFile("queries/app_130/page.graphql", text)], config)
    names = {
        node.name.value for node in parse(text).definitions if isinstance(node, OperationDefinitionNode) and node.name
    }
    assert not compiled.errors and not [failed for package in compiled.packages for failed in package.failed]
    assert names <= {function.operation.name for function in compiled.functions.values()}


# Python.

PYTHON = [block for block in RUN if block.language == "python" and block.page not in FOLLOWED]


def test_python_is_clean_under_a_strict_checker(tmp_path: Path) -> None:
    for number, block in enumerate(PYTHON):
        (tmp_path / f"block_{number}.py").write_text(f"# {block.place}\n{block.text}")
    settings = {
        "include": ["."],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT)],
        "reportUnusedVariable": False,
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert PYTHON and done.returncode == 0, done.stdout[-3000:]


# The configuration reference has every key and every variable.


def keys(schema: object, place: tuple[str, ...] = ()) -> set[str]:
    """`tenancy.column`, `tokens.env`: the leaves of a JSON schema, names of tables as they stand in the page."""
    found: set[str] = set()
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            found |= {".".join((*place, key))} | keys(value, (*place, key))
        for one in (schema.get("items"), *schema.get("oneOf", ())):
            found |= keys(one, place)
        if isinstance(schema.get("additionalProperties"), dict):
            found |= keys(schema["additionalProperties"], (*place, "*"))
    return found


def test_the_reference_names_every_key_and_variable() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    rows = {re.sub(r"<\w+>|\b130\b", "*", name) for name in rows}
    codegen = json.loads((ROOT / "automio/codegen/codegen.schema.json").read_text())
    platform = json.loads((ROOT / "automio/local/platform.schema.json").read_text())
    tables = {
        "notifications",
        "tenancy",
        "scalars",
        "tables",
        "database",
        "server",
        "scalars.*.type",
        "scalars.*.argument",
    }
    assert (keys(codegen) | keys(platform)) - tables <= rows
    assert {variable for variable, _ in _VARIABLES.values()} <= rows
