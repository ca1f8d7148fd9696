"""What a command found or did -> the terminal, a pipe, or a script. Next: commands.py, where the commands are declared.

On a terminal rich colours and shows that something runs; piped, the same lines come plain, and rich is not even loaded;
`NO_COLOR` is honoured; `--json` prints one JSON value and nothing else on stdout. Errors go to stderr, places first:
`file:line:column: what [code]`, a frame, a hint. In GitHub Actions each place becomes an annotation as well.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from automio.errors import AutomioError, Diagnostic

OK, FINDINGS, CANNOT = 0, 1, 2
"""Exit codes: all is well; something was found that somebody should look at; the command could not do its work."""

_PLACE = re.compile(r"\S.*?:\d+:\d+: ")


class Stopped(Exception):
    """An error that ends the command with another exit code than its class stands for."""

    def __init__(self, error: AutomioError, exit_code: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Line:
    """A line for people. `style` is rich's word for it, "" for plain."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a command hands back: lines for people, data for `--json`, the exit code."""

    lines: tuple[Line, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = OK
    diagnostics: tuple[Diagnostic, ...] = ()
    """Places that somebody should look at."""
    level: Literal["warning", "error"] = "warning"
    """What the diagnostics are: an annotation in CI says so."""


def listing(word: str, names: Sequence[str], style: str, *, most: int = 20) -> list[Line]:
    """`wrote schema/x.graphql`, a line a name; of many, the first ones and how many more. `--json` has them all."""
    lines = [Line(f"{word} {name}", style) for name in names[:most]]
    return [*lines, Line(f"{word} {len(names) - most} more", style)] if len(names) > most else lines


def number_of(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def show(report: Report, *, as_json: bool) -> None:
    """Print a report on stdout."""
    if as_json:
        data = {"ok": report.exit_code == OK, **report.data}
        if report.diagnostics:
            data["diagnostics"] = [_fields(diagnostic) for diagnostic in report.diagnostics]
        print(json.dumps(data, indent=2, ensure_ascii=False))
        return
    for diagnostic in report.diagnostics:
        _print(diagnostic.render(), "yellow", sys.stdout)
    _annotate(report.diagnostics, report.level)
    for line in report.lines:
        _print(line.text, line.style, sys.stdout)


def show_error(error: AutomioError, *, as_json: bool) -> None:
    """Print an error: on stderr for people, as JSON on stdout for scripts."""
    diagnostics: tuple[Diagnostic, ...] = getattr(error, "diagnostics", ())
    if as_json:
        value = {"code": error.code, "message": error.message, "hint": error.hint}
        value["diagnostics"] = [_fields(diagnostic) for diagnostic in diagnostics]  # pyright: ignore[reportArgumentType]
        print(json.dumps({"ok": False, "error": value}, indent=2, ensure_ascii=False))
        return
    for diagnostic in diagnostics:
        _print(diagnostic.render(), "", sys.stderr)
    _annotate(diagnostics, "error")
    if not diagnostics:
        first, *rest = error.message.splitlines() or [""]
        label = "" if _PLACE.match(first) else "error: "
        _print("\n".join([f"{label}{first} [{error.code}]", *rest]), "red", sys.stderr)
        if error.hint:
            _print(f"  hint: {error.hint}", "", sys.stderr)


def show_failure(text: str, *, as_json: bool) -> None:
    """Print a failure that has no code of ours."""
    if as_json:
        error = {"code": "", "message": text, "hint": "", "diagnostics": []}
        print(json.dumps({"ok": False, "error": error}, indent=2, ensure_ascii=False))
    else:
        _print(f"error: {text}", "red", sys.stderr)


@contextmanager
def working(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Says on a terminal's stderr that something runs; nothing anywhere else."""
    if quiet or not _is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _print(text: str, style: str, stream: TextIO) -> None:
    if style and _is_terminal(stream):
        from rich.console import Console
        from rich.text import Text

        Console(file=stream, soft_wrap=True).print(Text(text, style=style))
    else:
        print(text, file=stream)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _fields(diagnostic: Diagnostic) -> dict[str, Any]:
    names = ("path", "line", "column", "message", "code", "hint")
    return {name: getattr(diagnostic, name) for name in names}


def _annotate(diagnostics: tuple[Diagnostic, ...], level: str) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for found in diagnostics:
            place = f"file={_escaped(found.path)},line={found.line},col={found.column},title={found.code}"
            print(f"::{level} {place}::{_escaped(found.message)}")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
