"""`automio generate`: schema and operations -> typed packages. All of it is codegen/pipeline.py; here it is told.

Faults in schema or operations are findings, exit code 1, and so are stale files with `--check`; without a usable
codegen.toml nothing can run, exit code 2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from automio.cli.init import place_schemas
from automio.cli.output import FINDINGS, Line, Report, listing, number_of, working
from automio.cli.project import read_config
from automio.errors import Diagnostic


def run(path: Path, *, check: bool = False, quiet: bool = False) -> Report:
    """Compile what codegen.toml at `path` names, and write it, or with `check` only compare it with what is there.

    Raises ConfigError without a codegen.toml, Stopped for faults in it, CodegenError for faults in schema or operations;
    then no file has changed.
    """
    started = time.perf_counter()
    config = read_config(path)
    with working("compiling", quiet=quiet):
        from automio.codegen.pipeline import build
        from automio.codegen.write import compare, write

        built = build(config)
        changes = (compare if check else write)(config, built.files, built.standing)
    if not check:
        place_schemas(config.root)
    seconds = time.perf_counter() - started
    tables, functions = _count(built.files)
    unchanged = len(built.files) - len(changes.missing) - len(changes.stale)
    data = {
        "written" if not check else "missing": list(changes.missing),
        "replaced" if not check else "stale": list(changes.stale),
        "removed" if not check else "extra": list(changes.extra),
        "edited": list(changes.edited),
        "unchanged": unchanged,
        "tables": tables,
        "functions": functions,
        "seconds": round(seconds, 3),
    }
    diagnostics = (*built.warnings, *_edited(changes.edited, check))
    made = f"{number_of(tables, 'table')}, {number_of(functions, 'function')}"
    if not check:
        lines = listing("wrote", sorted((*changes.missing, *changes.stale)), "green")
        lines += listing("removed", changes.extra, "yellow")
        counts = (
            f"{len(changes.missing) + len(changes.stale)} written, {unchanged} unchanged, {len(changes.extra)} removed"
        )
        lines.append(Line(f"{made}; {number_of(len(built.files), 'file')}: {counts}; {seconds:.2f} s"))
        return Report(tuple(lines), data, diagnostics=diagnostics)
    if not changes:
        line = Line(f"up to date: {made}; {number_of(len(built.files), 'file')}; {seconds:.2f} s", "green")
        return Report((line,), data, diagnostics=diagnostics)
    found = [("missing:", changes.missing), ("stale:", changes.stale), ("extra:", changes.extra)]
    lines = [line for word, names in found for line in listing(word, names, "red")]
    total = number_of(sum(len(names) for _, names in found), "file")
    lines.append(Line(f"{total} out of date: run `automio generate`"))
    return Report(tuple(lines), data, FINDINGS, diagnostics)


def with_unused(report: Report, path: Path) -> Report:
    """The report with a warning for each operation whose function no Python file of the project names."""
    from automio.codegen.unused import unused_operations

    found = unused_operations(read_config(path))
    return replace(report, diagnostics=(*report.diagnostics, *found))


def _edited(names: Sequence[str], check: bool) -> Iterator[Diagnostic]:
    """A warning for each generated file that somebody edited: its text is not lost, and the package is whole."""
    for name in names:
        if check:
            message, hint = "this generated file was edited by hand", "The next `automio generate` replaces it."
        else:
            message = "this generated file was edited by hand; it is replaced"
            hint = f"The edited text is in .automio/edited/{name}."
        yield Diagnostic(name, 1, 1, message, code="AUTOMIO-141", hint=hint)


def _count(files: Mapping[Path, str]) -> tuple[int, int]:
    """Modules of tables and functions in them; a function and its twin in `aio` count once."""
    modules = [text for path, text in files.items() if path.parent.name not in ("aio", "_inputs") and _is_table(path)]
    return len(modules), sum(text.count("\ndef ") for text in modules)


def _is_table(path: Path) -> bool:
    return path.suffix == ".py" and not path.name.startswith("_")
