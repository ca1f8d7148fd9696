"""CodegenConfig -> Sources: text that knows its path. The only module that reads schema and operations. Next: operations.py.

Paths are relative to the project's root and in POSIX style, files come in the order of their paths: the same project
gives the same sources on every machine. A file that cannot be used becomes a diagnostic; all of them are reported at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from automio.codegen.config import CodegenConfig
from automio.errors import CodegenError, Diagnostic


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file's text and its path from the project's root."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What generation reads: SDL (an introspection is already SDL here) and operations."""

    schema: tuple[SourceFile, ...]
    queries: tuple[SourceFile, ...]


def read_sources(config: CodegenConfig) -> Sources:
    """All schema and operation files. Raises CodegenError with each one that is missing, unreadable or not UTF-8."""
    faults: list[Diagnostic] = []
    schema = [
        file if file.path.endswith(".graphql") else _introspection(file, faults)
        for file in read_files(config, config.schema, (".graphql", ".json"), faults)
    ]
    if not schema and not faults:
        there = "has no .graphql file" if (config.root / config.schema).exists() else "does not exist"
        fault = Diagnostic(
            config.schema, 1, 1, f"the schema {there}", code="AUTOMIO-104", hint="`automio pull` writes it."
        )
        faults.append(fault)
    queries = read_files(config, config.queries, (".graphql",), faults)
    if faults:
        raise CodegenError(faults)
    return Sources(tuple(file for file in schema if file), tuple(queries))


def read_files(
    config: CodegenConfig, place: str, endings: tuple[str, ...], faults: list[Diagnostic]
) -> list[SourceFile]:
    found: list[SourceFile] = []
    for path in _files(config.root / place, endings):
        name = path.relative_to(config.root).as_posix() if path.is_relative_to(config.root) else path.name
        try:
            found.append(SourceFile(name, path.read_bytes().decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            message = f"this file is not UTF-8 (byte {error.object[error.start]:#04x})"
            faults.append(Diagnostic(name, line, column, message, code="AUTOMIO-105", hint="Save it as UTF-8."))
        except OSError as error:
            message = f"this file cannot be read: {error.strerror}"
            faults.append(Diagnostic(name, 1, 1, message, code="AUTOMIO-106"))
    return found


def _files(place: Path, endings: tuple[str, ...]) -> Iterable[Path]:
    """The file itself, or the files of a folder and its folders, hidden ones left out, in the order of their paths."""
    if place.is_file():
        return [place]
    found = [path for ending in endings for path in place.rglob(f"*{ending}") if path.is_file()]
    visible = [path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts)]
    return sorted(visible, key=lambda path: path.as_posix())


def _introspection(file: SourceFile, faults: list[Diagnostic]) -> SourceFile | None:
    """An introspection answer (`{"data": {"__schema": …}}` or its data) as SDL. Another JSON beside SDL files is no schema."""
    from graphql import build_client_schema, print_schema

    try:
        value = json.loads(file.text)
        value = value.get("data", value) if isinstance(value, dict) else value
        if not isinstance(value, dict) or "__schema" not in value:
            raise ValueError("no __schema in it")
        return SourceFile(file.path, print_schema(build_client_schema(cast(Any, value), assume_valid=True)))
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg}"
        faults.append(Diagnostic(file.path, error.lineno, error.colno, message, code="AUTOMIO-107"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"not an introspection answer: {error}"
        hint = "Save the answer of an introspection query, or SDL as .graphql."
        faults.append(Diagnostic(file.path, 1, 1, message, code="AUTOMIO-107", hint=hint))
    return None
