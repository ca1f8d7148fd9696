"""`automio dev`: serve, and after every change pull and generate, in this process. Next: sync.py does one round of it.

Where changes come from:
- the engine: DDL that anybody ran in the database, told by its tables having changed (engine/follow.py);
- files: codegen.toml, the schema and queries that it names, and the SQL files that platform.toml names.

They are collected while a round works, and one round answers all of them. A round is never started by what a round wrote:
a file event is only a reason to look, and where the inputs are those that were compiled last, nothing is done. A watcher
that starts anew looks as well, so nothing is missed in between. Two watchers: one on the project's folder itself, not below
it (codegen.toml, which editors replace; folders that appear), one on the folders of schema, queries and SQL.

The server answers meanwhile: rounds run in a thread. Faults are told and waited out; the next change may repair them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from automio.cli.output import Report, Stopped
from automio.cli.project import read_config
from automio.cli.sync import Changed, Round
from automio.errors import AutomioError
from automio.local.config import FILE, PlatformConfig, load_platform
from automio.local.server import print_note, serve

if TYPE_CHECKING:
    from automio.engine.catalog import Catalog
    from automio.local.server import RunningPlatform

_ENDINGS = (".graphql", ".json", ".sql")
_IDLE = 300
"""Milliseconds without a change, after which a watcher looks whether its folders are still the same."""


def run(config: Path, platform: Path | None, host: str, port: int) -> Report:
    """Serve, pull and generate until stopped; the first line on stdout is `ready http://HOST:PORT`.

    Raises ConfigError and Stopped for a codegen.toml or platform.toml that cannot be used, LocalError as `serve` does.
    """
    read_config(config)
    path = platform or config.parent / FILE
    if platform is None and not path.exists():
        print_note(f"there is no {FILE}, so no token is known and only the admin's endpoint serves")
        local = PlatformConfig(path.parent)
    else:
        local = load_platform(path)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(line_buffering=True)
    serve(local, host, port, beside=_Loop(config, path, local).run)
    return Report(())


class _Loop:
    """What has changed since the last round, and who tells of it."""

    def __init__(self, config: Path, platform: Path, local: PlatformConfig) -> None:
        self.root = config.parent.resolve()
        self.config = self.root / config.name
        self.platform = platform.resolve()
        self.local = local
        self.changed = Changed()
        self.wake = asyncio.Event()
        self.folders: list[Path] = []
        self.told = _text(self.platform)

    async def run(self, running: RunningPlatform) -> None:
        """Rounds until cancelled."""
        running.engine.observe(self.tables_changed)
        round = Round(self.config, self.local, running.engine)
        self.changed = Changed(("start",), tables=True)
        self.wake.set()
        tasks = [
            asyncio.create_task(work)
            for work in (self.work(round), self.watch(self.top, False), self.watch(self.below))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def work(self, round: Round) -> None:
        while True:
            await self.wake.wait()
            while self.changed.sql:
                await round.apply(self.take())  # what it does to the tables is told before it returns
            await round.follow(self.take())

    def take(self) -> Changed:
        changed, self.changed = self.changed, Changed()
        self.wake.clear()
        return changed

    def tables_changed(self, before: Catalog, after: Catalog) -> None:
        self.add(Changed(tuple(describe(before, after)), tables=True))

    def add(self, changed: Changed) -> None:
        self.changed |= changed
        self.wake.set()

    # Files.

    def top(self) -> list[Path]:
        return [self.root]

    def below(self) -> list[Path]:
        """The folders of schema, queries and SQL that exist; those of the last good codegen.toml while it has faults."""
        try:
            config = read_config(self.config)
        except (AutomioError, Stopped, OSError):
            pass
        else:
            places = [self.root / config.schema, self.root / config.queries]
            patterns = [self.local.root.resolve() / pattern for pattern in (*self.local.schema, *self.local.seeds)]
            places += [_above_wildcards(pattern) for pattern in patterns]
            self.folders = list(dict.fromkeys(place if place.suffix == "" else place.parent for place in places))
        found = [place for place in self.folders if place.is_dir() and place != self.root]
        return [place for place in found if not any(other in place.parents for other in found)]

    async def watch(self, wanted: Callable[[], list[Path]], recursive: bool = True) -> None:
        from watchfiles import awatch

        while True:
            present = wanted()
            identities = _identities(present)
            if not present:
                await asyncio.sleep(_IDLE / 1000)
                continue
            new = True
            async for found in awatch(
                *present,
                watch_filter=lambda _, name: self.counts(Path(name)),
                rust_timeout=_IDLE,
                yield_on_timeout=True,
                recursive=recursive,
                debounce=50,
                step=10,
            ):
                self.files_changed([Path(name) for _, name in found], new)
                new = False
                if _identities(wanted()) != identities:
                    break

    def counts(self, path: Path) -> bool:
        return path in (self.config, self.platform) or (path.suffix in _ENDINGS and not path.name.startswith("."))

    def files_changed(self, paths: list[Path], look: bool) -> None:
        if self.platform in paths:
            text = _text(self.platform)
            if text != self.told:
                print_note(f"{self.platform.name} has changed; `automio dev` uses it when started anew")
            self.told = text
            paths = [path for path in paths if path != self.platform]
        if not paths and not look:
            return
        scripts = tuple(sorted(_name(path, self.root) for path in paths if path.suffix == ".sql"))
        self.add(Changed(scripts, tables=self.config in paths, sql=look or bool(scripts)))


def describe(before: Catalog, after: Catalog) -> list[str]:
    """A text for each table that differs: `app_130_orders +gift_note`, `new app_130_notes`, `dropped app_130_notes`."""
    found: list[str] = []
    for name in sorted({*before.tables, *after.tables}):
        old, new = before.tables.get(name), after.tables.get(name)
        if old is None or new is None:
            found.append(f"new {name}" if new else f"dropped {name}")
        elif old != new:
            parts = [f"+{column}" for column in new.columns if column not in old.columns]
            parts += [f"-{column}" for column in old.columns if column not in new.columns]
            parts += [
                f"~{column}"
                for column in new.columns
                if old.columns.get(column, new.columns[column]) != new.columns[column]
            ]
            found.append(f"{name} {' '.join(parts) or 'changed'}")
    return found


def _above_wildcards(pattern: Path) -> Path:
    """The folder that the matches of a pattern are below of."""
    parts: list[str] = []
    for part in pattern.parts:
        if any(char in part for char in "*?["):
            break
        parts.append(part)
    return Path(*parts)


def _identities(places: list[Path]) -> list[tuple[Path, int]]:
    found: list[tuple[Path, int]] = []
    for place in places:
        try:
            found.append((place, place.stat().st_ino))
        except OSError:  # gone just now
            continue
    return found


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
