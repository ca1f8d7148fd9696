"""What has changed -> SQL applied, schema pulled, packages generated, and one line about it. Used by dev.py.

A round, in order: SQL files that are due run in the database (schema_files.py); when tables have changed, the schema is
pulled: the engine's own schema (introspection.py), laid out and written as `automio pull` does; when inputs differ from those compiled
last, `automio generate` runs. Each step has faults of its own. They are printed when they come or change, the files stay as
they were, and when they are gone the line says `mended`. Whatever fails, the next round is tried.

Two cases in which pull leaves schema/ alone: codegen.toml names a file as the schema, and a database without tables, which
is a project that has only just begun, or works on what it pulled from elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automio.cli import generate
from automio.cli.endpoint import Endpoint
from automio.cli.files import replace_files
from automio.cli.introspection import introspection_of
from automio.cli.layout import HEADER
from automio.cli.output import Line, Report, Stopped, show, show_error
from automio.cli.project import read_config
from automio.cli.pull import read_layout, refuse_neighbours
from automio.errors import AutomioError, LocalError
from automio.local.schema_files import Script, apply_scripts, read_scripts
from automio.local.server import print_note

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from automio.codegen.config import CodegenConfig
    from automio.engine.engine import Engine
    from automio.local.config import PlatformConfig

_HERE = Endpoint("", "the local database", "", {}, ())
_Inputs = dict[Path, tuple[int, int, int]]
"""File -> time, size and number: enough to see that it is another one."""


@dataclass(frozen=True, slots=True)
class Changed:
    """`causes` are for people. `tables`: pull; `sql`: look for scripts that are due. Inputs are looked at in any case."""

    causes: tuple[str, ...] = ()
    tables: bool = False
    sql: bool = False

    def __or__(self, other: Changed) -> Changed:
        causes = tuple(dict.fromkeys((*self.causes, *other.causes)))
        return Changed(causes, self.tables or other.tables, self.sql or other.sql)


class Round:
    """One round after the other; what it must remember in between."""

    def __init__(self, config: Path, local: PlatformConfig, engine: Engine) -> None:
        self.config = config
        self.local = local
        self.engine = engine
        self.scripts: tuple[Script, ...] | None = None
        self.compiled: _Inputs | None = None
        self.faults: dict[str, str] = {}
        self.warned: tuple[str, ...] = ()
        self.noted = ""
        self.before = Changed()
        self.ran: list[str] = []
        self.started: float | None = None
        self.acted = self.mended = False

    async def apply(self, changed: Changed) -> None:
        """Run the SQL files that are due. What else has changed waits for `follow`, which comes next."""
        self.started = self.started or time.perf_counter()
        self.before |= changed
        try:
            scripts = read_scripts(self.local)
            if scripts == self.scripts:
                return
            self.acted |= self.scripts is not None
            self.scripts = scripts
            self.ran += [f"ran {path}" for path in await apply_scripts(self.engine, scripts)]
            self.right("sql")
        except Exception as error:
            self.wrong("sql", _fault(error))

    async def follow(self, changed: Changed) -> None:
        """Pull and generate as far as needed, and tell."""
        started = time.perf_counter() if self.started is None else self.started
        changed |= self.before
        done = self.ran
        inputs = await asyncio.to_thread(_inputs, self.config)
        causes = (*changed.causes, *self.differing(inputs))
        self.before, self.ran, self.started = Changed(), [], None
        if changed.tables:
            try:
                done += await self.pull()
                self.right("pull")
            except Exception as error:
                self.wrong("pull", _fault(error))
            inputs = await asyncio.to_thread(_inputs, self.config)
        if inputs != self.compiled or changed.tables:
            self.compiled = inputs
            try:
                done += self.tell_generated(await asyncio.to_thread(generate.run, self.config, quiet=True))
                self.right("generate")
            except Exception as error:
                self.wrong("generate", _fault(error))
        elif not self.acted and not self.mended:
            return  # what a round wrote itself, or a file that was saved without a change
        self.tell(tuple(dict.fromkeys(causes)), done, (time.perf_counter() - started) * 1000)

    def differing(self, inputs: _Inputs) -> list[str]:
        """The names of inputs that are not those compiled last."""
        if self.compiled is None:
            return []
        paths = [path for path in {**self.compiled, **inputs} if self.compiled.get(path) != inputs.get(path)]
        root = self.config.parent
        return sorted(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name for path in paths)

    async def pull(self) -> list[str]:
        """Write the schema of the tables as they are now. Raises AutomioError, OSError."""
        config = read_config(self.config)
        folder = config.root / config.schema
        if folder.is_file():
            self.note(f"{config.schema} is a file, so the schema of the local database is not pulled into it")
            return []
        if not self.engine.catalog.tables:
            self.note(f"the database has no tables, so {config.schema}/ stays as it is")
            return []
        return await asyncio.to_thread(_write_schema, config, folder, self.engine.schema.graphql)

    def tell_generated(self, report: Report) -> list[str]:
        """What was written; new warnings are printed."""
        warnings = tuple(map(str, report.diagnostics))
        if warnings != self.warned:
            show(Report((), diagnostics=report.diagnostics), as_json=False)
        self.warned = warnings
        data: Mapping[str, Any] = report.data
        written = sorted((*data["written"], *data["replaced"]))
        return [f"wrote {name}" for name in written] + [f"removed {name}" for name in data["removed"]]

    def wrong(self, step: str, error: AutomioError) -> None:
        """Print a fault that is new."""
        text = str(error)
        if self.faults.get(step) != text:
            show_error(error, as_json=False)
        self.faults[step] = text

    def right(self, step: str) -> None:
        self.mended |= self.faults.pop(step, None) is not None

    def note(self, text: str) -> None:
        if text != self.noted:
            print_note(text)
        self.noted = text

    def tell(self, causes: tuple[str, ...], done: list[str], milliseconds: float) -> None:
        what = _few(list(causes)) or "files"
        told = _few(_grouped(done)) or ("" if self.faults else "nothing to write")
        state = "mended" if self.mended and not self.faults else ""
        fault = "not in order, see above" if self.faults else ""
        outcome = "; ".join(part for part in (state, told, fault) if part)
        style = "red" if self.faults else "green"
        self.acted = self.mended = False
        show(Report((Line(f"{what}: {outcome} ({milliseconds:.0f} ms)", style),)), as_json=False)


def _write_schema(config: CodegenConfig, folder: Path, schema: GraphQLSchema) -> list[str]:
    apps = config.apps if config.apps and not config.package else ()
    layout = read_layout(_HERE, introspection_of(schema), apps)
    if apps:
        refuse_neighbours(folder, layout)
    changes = replace_files(folder, layout.files, HEADER.rstrip("\n"))
    found = [f"wrote {config.schema}/{path}" for path in changes.written]
    return found + [f"removed {config.schema}/{path}" for path in changes.removed]


def _inputs(path: Path) -> _Inputs:
    """What tells one state of codegen.toml, schema and operations from another, without reading them."""
    try:
        config = read_config(path)
        places = [path, config.root / config.schema, config.root / config.queries]
    except (AutomioError, Stopped):
        places = [path]
    found: _Inputs = {}
    for place in places:
        for file in _files(place):
            try:
                status = file.stat()
            except OSError:  # gone just now
                continue
            found[file] = status.st_mtime_ns, status.st_size, status.st_ino
    return found


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (file for file in place.rglob("*") if file.suffix in (".graphql", ".json"))
    else:
        yield place


def _grouped(done: list[str]) -> list[str]:
    """`wrote a`, `b`, `removed c`: each word once."""
    found: list[str] = []
    last = ""
    for text in sorted(done, key=lambda text: ("ran", "wrote", "removed").index(text.partition(" ")[0])):
        word, _, name = text.partition(" ")
        found.append(name if word == last else text)
        last = word
    return found


def _few(texts: list[str], most: int = 4) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _fault(error: Exception) -> AutomioError:
    """What is told of a failure; one that nobody foresaw is told too, since the platform serves on."""
    if isinstance(error, Stopped):
        return error.error
    if isinstance(error, AutomioError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return LocalError(f"{where}{error.strerror or error}")
    if os.environ.get("AUTOMIO_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    return AutomioError(f"unexpected {text}", hint="AUTOMIO_DEBUG=1 shows where.")
