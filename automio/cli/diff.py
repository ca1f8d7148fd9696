"""`automio diff OLD NEW`: what a change of the schema breaks in this project. Judged in codegen/diff.py and breaks.py.

OLD and NEW: a folder of SDL files, an SDL file, an introspection .json, or one of these in git, `HEAD~1:schema` (a path
from the repository's root, as git reads it; `HEAD~1:./schema` counts from here).

Exit code 1 when a function of ours breaks, since that is what a reviewer or CI must stop at. A breaking change that
nothing of ours uses is listed and ends with 0: a column that another team dropped is no reason to stop this one. Whoever
publishes the schema to others wants the stricter reading: `--strict` ends with 1 on any breaking change. Functions that
only break with certain values (`may break`) don't count for 1: whether a caller writes such a value, its type checker
tells after `automio generate`. Operations that the old schema refuses too are left out, which is told: `generate` is
where they fail.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from automio.cli.output import CANNOT, FINDINGS, OK, Line, Report, Stopped, number_of, working
from automio.cli.project import read_config
from automio.errors import CodegenError, ConfigError, Diagnostic

if TYPE_CHECKING:
    from automio.codegen import breaks
    from automio.codegen.compiled import Function
    from automio.codegen.config import CodegenConfig
    from automio.codegen.sources import SourceFile
    from automio.dialect.sdl import Sdl

_CODE = "AUTOMIO-150"
_STYLES = {"breaking": "red", "dangerous": "yellow", "safe": "green"}
_MOST = 12
"""Functions or safe changes that are shown one by one; `--json` has them all."""


def run(old: str, new: str, *, config: Path, strict: bool = False, quiet: bool = False) -> Report:
    """The changes from OLD to NEW, and our functions that they break.

    Raises ConfigError when a schema is not there, Stopped (cannot run) for faults in a schema or codegen.toml.
    """
    project = read_config(config)
    with working("comparing", quiet=quiet):
        from automio.codegen.breaks import compare

        try:
            before, after = _read_schema(old, project), _read_schema(new, project)
            found = compare(before, after, _read_queries(project), project)
        except CodegenError as error:
            raise Stopped(error, CANNOT) from error
    breaking = any(finding.group.level.value == "breaking" for finding in found.findings)
    code = FINDINGS if found.broken or (strict and breaking) else OK
    return Report(tuple(_lines(found)), _data(found), code, tuple(_diagnostics(found)), "error")


# Reading.


def _read_queries(config: CodegenConfig) -> list[SourceFile]:
    """The project's operations alone: OLD and NEW need not be the schema that codegen.toml names."""
    from automio.codegen.sources import read_files

    faults: list[Diagnostic] = []
    files = read_files(config, config.queries, (".graphql",), faults)
    if faults:
        raise CodegenError(faults)
    return files


def _read_schema(place: str, config: CodegenConfig) -> Sdl:
    path = Path(place)
    if path.exists():
        return _read_path(path, place, config)
    revision, colon, _ = place.partition(":")
    if colon and revision and len(revision) > 1:
        with tempfile.TemporaryDirectory() as folder:
            return _read_path(_from_git(place, Path(folder)), place, config)
    raise ConfigError(f"{place} does not exist", hint="Name a folder, a file, or a place in git: HEAD~1:schema.")


def _read_path(path: Path, shown: str, config: CodegenConfig) -> Sdl:
    from automio.codegen.sources import read_sources
    from automio.dialect.sdl import Sdl

    folder, name = (path.parent, path.name) if path.is_file() else (path, ".")
    try:
        sources = read_sources(replace(config, root=folder.resolve(), schema=name, queries=".no-queries"))
        names = {file.path: shown if path.is_file() else f"{shown.rstrip('/')}/{file.path}" for file in sources.schema}
        sdl = Sdl.read((names[file.path], file.text) for file in sources.schema)
    except CodegenError as error:
        if any(found.code == "AUTOMIO-104" for found in error.diagnostics):
            raise ConfigError(f"{shown} holds no .graphql file", hint="`automio pull` writes a schema.") from error
        raise
    if not sdl.root_fields.get("query"):
        raise ConfigError(f"{shown} has no query type: is it a schema?")
    return sdl


def _from_git(place: str, folder: Path) -> Path:
    """The tree or file that git calls by this name, written to the folder."""
    if place.startswith("-"):
        raise ConfigError(f"{place} is not a place in git")
    kind = _git("cat-file", "-t", place, place=place).decode().strip()
    if kind == "blob":
        target = folder / PurePosixPath(place.partition(":")[2]).name
        target.write_bytes(_git("cat-file", "blob", place, place=place))
        return target
    tree = _git("rev-parse", "--verify", place, place=place).decode().strip()
    top = _git("rev-parse", "--show-toplevel", place=place).decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", tree, place=place, folder=top))) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member) if member.isfile() else None
            if content and member.name.endswith((".graphql", ".json")):
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    return folder


def _git(*arguments: str, place: str, folder: str | None = None) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise ConfigError(f"{place} does not exist, and git, which might know it, is not installed") from None
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"])[0]
        hint = "The path counts from the repository's root; HEAD~1:./schema counts from here."
        raise ConfigError(f"{place}: {reason.removeprefix('fatal: ')}", hint=hint)
    return done.stdout


# Telling.


def _lines(found: breaks.Report) -> Iterator[Line]:
    for level in ("breaking", "dangerous", "safe"):
        findings = [finding for finding in found.findings if finding.group.level.value == level]
        shown = findings if level != "safe" else findings[:_MOST]
        for finding in shown:
            yield Line(f"{level}: {finding.group}", _STYLES[level])
            if level == "breaking":
                yield from _reached(finding)
        if len(findings) > len(shown):
            yield Line(f"safe: {len(findings) - len(shown)} more changes", _STYLES[level])
    for failure in found.failures:
        yield Line(f"breaks {_place(failure.function)}", "red")
        for reason in failure.reasons:
            yield Line(f"  {reason}")
    for fault in found.broken_before:
        yield Line(f"left out, since it doesn't fit the old schema either: {fault}", "yellow")
    yield Line(_summary(found))


def _reached(finding: breaks.Finding) -> Iterator[Line]:
    if not finding.breaks and not finding.may_break:
        yield Line("  reaches no function of ours")
    written = [one for one in finding.breaks if one.located]
    derived = [one for one in finding.breaks if not one.located]
    for one in written:
        yield Line(f"  breaks {_place(one)}")
    for one in derived[:_MOST]:
        yield Line(f"  breaks {_place(one)}")
    if len(derived) > _MOST:
        yield Line(f"  breaks {len(derived) - _MOST} more derived functions")
    for one, place in finding.may_break[:_MOST]:
        yield Line(f"  may break {_place(one)}, when called with {place}")
    if len(finding.may_break) > _MOST:
        yield Line(f"  may break {len(finding.may_break) - _MOST} more functions")


def _place(function: Function) -> str:
    return f"{function.name} ({function.operation.source})"


def _summary(found: breaks.Report) -> str:
    if not found.findings and not found.failures:
        return "no change"
    counts = dict.fromkeys(_STYLES, 0)
    for finding in found.findings:
        counts[finding.group.level.value] += 1
    changes = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    broken = number_of(len(found.broken), "function") if found.broken else "no function"
    return f"{changes or 'no change'}; {broken} of ours {'breaks' if len(found.broken) < 2 else 'break'}"


def _data(found: breaks.Report) -> dict[str, Any]:
    return {
        "changes": [
            {
                "level": finding.group.level.value,
                "text": str(finding.group),
                "parts": [
                    {"kind": change.kind, "at": str(change.at), "text": change.text} for change in finding.group.changes
                ],
                "breaks": [_function(one) for one in finding.breaks],
                "may_break": [{**_function(one), "value": place} for one, place in finding.may_break],
            }
            for finding in found.findings
        ],
        "failures": [{**_function(one.function), "reasons": list(one.reasons)} for one in found.failures],
        "broken": [one.name for one in found.broken],
        "left_out": [str(fault) for fault in found.broken_before],
    }


def _function(function: Function) -> dict[str, str]:
    return {"function": function.name, "source": function.operation.source}


def _diagnostics(found: breaks.Report) -> Iterator[Diagnostic]:
    """A written operation that breaks, as a finding at its place: the frame in a terminal, the annotation in CI."""
    from automio.codegen.operations import at_node

    why: dict[str, list[str]] = {}
    for finding in found.findings:
        for one in finding.breaks:
            why.setdefault(one.name, []).append(finding.group.first.text)
    for failure in found.failures:
        why.setdefault(failure.function.name, []).extend(failure.reasons)
    for one in found.broken:
        if one.located:
            reasons: Sequence[str] = list(dict.fromkeys(why[one.name]))
            node = one.located.node.name or one.located.node
            yield at_node(one.located.file, node, f"{one.name} breaks: {'; '.join(reasons)}", _CODE)
