"""generate(): the steps of compilation in their order. Next: packages.py, then write.py puts files on disk.

files -> Sources -> (cache.py: has anything changed?) -> packages.py -> {path: text}

Every diagnostic of the run is collected before CodegenError is raised; no generated file is written here. Paths are
relative to the project's root.

Only what has changed is compiled: a run without changes reads its inputs and the files on disk, nothing else, and loads
no compiler (hence the late imports). What cache.py remembers are digests of inputs and of the files that came of them,
so the answer is the same with and without it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from automio.codegen.cache import Cache
from automio.codegen.config import CodegenConfig
from automio.codegen.sources import Sources, read_sources
from automio.codegen.write import compare
from automio.errors import Diagnostic

_SELDOM = 50_000


@dataclass(frozen=True, slots=True)
class Build:
    """What a run made: the files, and warnings that did not stop it."""

    files: dict[Path, str]
    warnings: tuple[Diagnostic, ...]
    standing: frozenset[Path] = field(default=frozenset(), compare=False)
    """The files that stand on disk with this text: they were read from there."""


def generate(config: CodegenConfig) -> dict[Path, str]:
    """Path from the project's root -> text of every generated file. Raises CodegenError with all faults of the run."""
    return build(config).files


def build(config: CodegenConfig) -> Build:
    """The same, with the warnings. Remembers the run in `.automio/cache`."""
    with _seldom_collected():
        sources = read_sources(config)
        cache = Cache.of(config, sources)
        unchanged = cache.unchanged()
        return Build(*unchanged, frozenset(unchanged[0])) if unchanged else _compile(config, sources, cache)


def check(config: CodegenConfig) -> list[str]:
    """What is out of date on disk, a line a file: `stale: app_130/orders.py`; [] when nothing is."""
    built = build(config)
    changes = compare(config, built.files, built.standing)
    return [
        *(f"missing: {path}" for path in changes.missing),
        *(f"stale: {path}" for path in changes.stale),
        *(f"extra: {path}" for path in changes.extra),
    ]


def _compile(config: CodegenConfig, sources: Sources, cache: Cache) -> Build:
    from automio.codegen.packages import Packages

    return Build(*Packages.of(config, sources, cache).files())


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Python looks for unreachable cycles after every 700 new objects; trees of syntax are many objects and no garbage."""
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
