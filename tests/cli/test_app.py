"""The entry point: exit codes, texts, and what is not loaded."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from automio.cli import app, commands, output
from automio.errors import CodegenError, ConfigError, Diagnostic

from .conftest import SDL, Run, clean_environment


def ends_with(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        app.main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """`automio init` ends in this error."""
    import automio.cli.init

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(automio.cli.init, "init", fail)


def test_help_and_version(automio_process: Run) -> None:
    automio = automio_process
    told = automio("--help")
    assert told.returncode == 0
    for name in ("init", "pull", "generate", "serve"):
        assert f"\n  {name} " in told.stdout
        assert automio(name, "--help").returncode == 0
    version = automio("--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, "automio")


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """
import sys
from automio.cli.app import main
try:
    main(["--help"])
except SystemExit as ended:
    assert ended.code == 0
heavy = "rich pydantic graphql gql aiohttp asyncpg uvicorn ariadne_codegen asyncio"
print("LOADED", *(name for name in heavy.split() if name in sys.modules))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "LOADED"


@pytest.mark.parametrize(
    "arguments", [("pul",), ("init", "--nope"), ("pull", "--timeout", "soon"), ("serve", "--port", "70000")]
)
def test_bad_arguments(automio: Run, arguments: tuple[str, ...]) -> None:
    done = automio(*arguments)
    assert done.returncode == 2
    assert "Error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, ConfigError("the moon is in the way", hint="Wait a night."))
    assert ends_with(capsys, "init") == (2, "", "error: the moon is in the way [AUTOMIO-001]\n  hint: Wait a night.\n")
    code, out, err = ends_with(capsys, "init", "--json")
    assert (code, err) == (2, "")
    assert json.loads(out) == {
        "ok": False,
        "error": {
            "code": "AUTOMIO-001",
            "message": "the moon is in the way",
            "hint": "Wait a night.",
            "diagnostics": [],
        },
    }


def test_diagnostics_stand_first_on_their_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Diagnostic("q.graphql", 2, 3, "no field `x`", "AUTOMIO-120", "Did you mean `y`?", "  x")]
    fails(monkeypatch, CodegenError(found))
    code, _, err = ends_with(capsys, "init")
    assert code == 1
    assert err.splitlines() == [
        "q.graphql:2:3: no field `x` [AUTOMIO-120]",
        "  2 |   x",
        "    |   ^",
        "  hint: Did you mean `y`?",
    ]
    fails(monkeypatch, output.Stopped(CodegenError(found), output.CANNOT))
    assert ends_with(capsys, "init")[0] == 2
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert ends_with(capsys, "init")[1] == "::error file=q.graphql,line=2,col=3,title=AUTOMIO-120::no field `x`\n"


def test_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, PermissionError(13, "Permission denied", "/there/codegen.toml"))
    assert ends_with(capsys, "init") == (2, "", "error: /there/codegen.toml: Permission denied\n")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn"))
    code, _, err = ends_with(capsys, "init")
    assert (code, err) == (2, "error: the package uvicorn is missing; install it with: pip install 'automio[local]'\n")


def test_an_unforeseen_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, ZeroDivisionError("nobody thought of this"))
    monkeypatch.delenv("AUTOMIO_DEBUG", raising=False)
    code, _, err = ends_with(capsys, "init")
    assert (code, err) == (
        2,
        "error: unexpected ZeroDivisionError: nobody thought of this (AUTOMIO_DEBUG=1 shows where)\n",
    )
    monkeypatch.setenv("AUTOMIO_DEBUG", "1")
    assert "Traceback (most recent call last)" in ends_with(capsys, "init")[2]


def test_colours_on_a_terminal_alone(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")

    def seen(env: dict[str, str]) -> str:
        ours, theirs = pty.openpty()
        try:
            command = [sys.executable, "-m", "automio", "init", "project"]
            environment = clean_environment(TERM="xterm", **env)
            subprocess.run(command, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs, check=True)
            return os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    assert "\x1b[32mmade codegen.toml" in seen({})
    (tmp_path / "project/codegen.toml").unlink()
    plain = seen({"NO_COLOR": "1"})
    assert "made codegen.toml" in plain
    assert "\x1b[32m" not in plain


def test_every_command_has_help() -> None:
    for command in commands.app.registered_commands:
        assert command.callback
        assert command.callback.__doc__


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    def completed(words: str) -> list[str]:
        env = clean_environment(_AUTOMIO_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
        command = [sys.executable, "-m", "automio"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("automio ge") == ["generate"]
    assert sorted(completed("automio export ")) == ["allow-list", "openapi", "permissions"]
    assert {"--check", "--json", "--unused", "--watch"} <= set(completed("automio generate --"))
    assert completed("automio generate --ch") == ["--check"]


def test_completion_is_installed_in_the_home_folder(tmp_path: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    line = f"{shlex.quote(sys.executable)} -m automio --install-completion; true"
    env = clean_environment(HOME=str(tmp_path), PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "bash completion installed" in done.stdout, done.stdout + done.stderr
    assert "automio" in (tmp_path / ".bash_completions" / "automio.sh").read_text()


def test_long_work_is_told_on_a_terminal_alone(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/all.graphql").write_text(SDL)
    (tmp_path / "codegen.toml").write_text("")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "automio", "generate"]
    env = clean_environment(TERM="xterm")
    piped = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    assert "compiling" in os.read(ours, 65536).decode()
    os.close(ours)
    assert "compiling" not in piped.stdout
    again = subprocess.run([*command, "--check"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert again.stderr == ""
