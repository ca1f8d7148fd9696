"""What the last run was made from, in `.automio/cache/`: lets pipeline.py leave out what has not changed.

Remembered are digests, never texts: of everything that a package depends on (its key), and of the files that came of it.
A package is left out when its key is the same and its files on disk still have these digests; then their texts are read
from disk. So a file that was edited, lost or replaced leads to a compilation, as if there were no cache, and a cache can
at most say that a file on disk is right. Its own digest stands in its first line: one that is damaged, cut off or of
another make is ignored. It is replaced in one move, so two runs at once leave one of their two behind, whole.

There are two keys, a cheap one for the whole project and one a package:
- the project's: versions, configuration, every source file. The same means that nothing has changed at all;
- a package's: versions, configuration, the files of its operations and their fragments, its tables, and all texts of the
  schema that these reach (`Sdl.reach`). The names reached are remembered, since while their texts stay the same, so do
  they. A package with a warning that names a line of the schema has no key: the line may have moved.

Versions are those of automio and of the packages that make the text. A checkout of automio is told by the sizes and
times of its source files, too: its version stays while it is worked on.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automio.codegen.config import CodegenConfig
from automio.codegen.sources import Sources
from automio.dialect.index import OperationKind
from automio.errors import Diagnostic

if TYPE_CHECKING:
    from automio.codegen.package import Package
    from automio.dialect.sdl import Sdl

_FOLDER = Path(".automio")
_MADE_BY = ("automio", "ariadne-codegen", "graphql-core", "ruff")
_SOURCES = ("codegen", "dialect", "scope")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a package is made of, by name: its tables, operations and their files, the root fields that these name."""

    tables: tuple[str, ...]
    operations: tuple[str, ...]
    sources: tuple[str, ...]
    roots: tuple[tuple[OperationKind, str], ...]


@dataclass(frozen=True, slots=True)
class Remembered:
    """A package of an earlier run. `key` "" fits nothing; `names` are the schema's names that it reaches."""

    key: str
    parts: Parts
    names: tuple[str, ...]
    files: Mapping[str, str]
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """An earlier run: the keys of project and queries, warnings of no package, and packages by app in their order."""

    key: str
    queries: str
    warnings: tuple[Diagnostic, ...]
    packages: Mapping[str, Remembered]


@dataclass(slots=True)
class Cache:
    """The last run, if there was one, and the keys of this one. Made by `Cache.of`."""

    config: CodegenConfig
    setting: str
    key: str
    queries: str
    sources: Sources
    last: Run | None

    @classmethod
    def of(cls, config: CodegenConfig, sources: Sources) -> Cache:
        """The cache of a project, for these sources."""
        setting = _digest([*_versions(), _canonical(config)])
        schema, queries = (
            _digest([setting, *(part for file in files for part in (file.path, file.text))])
            for files in (sources.schema, sources.queries)
        )
        return cls(config, setting, _digest([schema, queries]), queries, sources, _load(_place(config)))

    def unchanged(self) -> tuple[dict[Path, str], tuple[Diagnostic, ...]] | None:
        """Files and warnings of the last run, when nothing has changed since: neither inputs nor what came of them."""
        if not self.last or self.last.key != self.key:
            return None
        files: dict[Path, str] = {}
        warnings = list(self.last.warnings)
        for package in self.last.packages.values():
            found = self.on_disk(package)
            if found is None:
                return None
            files |= found
            warnings += package.warnings
        return files, tuple(dict.fromkeys(warnings))

    def last_of_same_queries(self) -> Run | None:
        """The last run when no file of operations has changed since: then its parts are still the packages' parts."""
        return self.last if self.last and self.last.queries == self.queries else None

    def kept(self, app: str, parts: Parts, sdl: Sdl) -> tuple[Remembered, dict[Path, str]] | None:
        """The package as the last run made it, and its files; None when something that it depends on is not the same."""
        known = self.last.packages.get(app) if self.last else None
        if not known or not known.key or known.key != self.package_key(app, parts, known.names, sdl):
            return None
        files = self.on_disk(known)
        return None if files is None else (known, files)

    def on_disk(self, package: Remembered) -> dict[Path, str] | None:
        """The package's files, read from disk; None when one is missing or not as it was written."""
        found: dict[Path, str] = {}
        for name, digest in package.files.items():
            try:
                content = (self.config.root / name).read_bytes()
            except OSError:
                return None
            if _digest_of(content) != digest:
                return None
            found[Path(name)] = content.decode()
        return found

    def remember(self, package: Package, files: Iterable[Path], warnings: Iterable[Diagnostic]) -> Remembered:
        """A package that was just compiled. Its files get their digests when they are formatted (`save`)."""
        warnings = tuple(warnings)
        parts, names = package.parts(), tuple(sorted(package.sdl.reach(package.starts())))
        schema = {file.path for file in self.sources.schema}
        lines_of_schema = any(warning.path in schema for warning in warnings)
        key = "" if lines_of_schema else self.package_key(package.app, parts, names, package.sdl)
        return Remembered(key, parts, names, {path.as_posix(): "" for path in files}, warnings)

    def save(
        self, files: Mapping[Path, str], packages: Mapping[str, Remembered], warnings: Iterable[Diagnostic]
    ) -> None:
        """Keep this run for the next one. Where that is not possible the next one takes longer, and nothing else."""
        value = {
            "key": self.key,
            "queries": self.queries,
            "warnings": [asdict(warning) for warning in warnings],
            "packages": {
                app: {
                    "key": package.key,
                    "parts": asdict(package.parts),
                    "names": package.names,
                    "files": {
                        name: digest or _digest_of(files[Path(name)].encode()) for name, digest in package.files.items()
                    },
                    "warnings": [asdict(warning) for warning in package.warnings],
                }
                for app, package in packages.items()
            },
        }
        content = json.dumps(value, separators=(",", ":")).encode()
        try:
            _replace(_place(self.config), _digest_of(content).encode() + b"\n" + content)
        except OSError:
            return

    def package_key(self, app: str, parts: Parts, names: Iterable[str], sdl: Sdl) -> str:
        """A digest of all that the package's text depends on, when the schema's names that it reaches are these."""
        queries = {file.path: file.text for file in self.sources.queries}
        content = [self.setting, app, *map(str, sdl.root_types.items())]
        content += ["tables", *parts.tables, "operations", *parts.operations]
        for path in parts.sources:
            content += [path, queries.get(path, "")]
        for kind, name in parts.roots:
            root = sdl.root_fields.get(kind, {}).get(name)
            content += [kind, name, root.span.body if root else ""]
        for name in names:
            content.append(name)
            content += sdl.texts(name)
        return _digest(content)


def _digest(parts: Iterable[str]) -> str:
    """Of the parts and where they end: their lengths come first."""
    texts = list(parts)
    found = sha256(f"{','.join(map(str, map(len, texts)))}:".encode())
    found.update("".join(texts).encode())
    return found.hexdigest()


def _digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def _canonical(config: CodegenConfig) -> str:
    """The configuration as one text, whatever order sets have in this process. Where the project lies is no part of it."""
    values = {known.name: getattr(config, known.name) for known in fields(config) if known.name != "root"}
    return json.dumps(values, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else asdict(value)


def _versions() -> list[str]:
    found = [f"Python {sys.version_info[0]}.{sys.version_info[1]}"]
    for name in _MADE_BY:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} ?")
    house = Path(__file__).parent.parent
    for path in sorted(path for folder in _SOURCES for path in (house / folder).glob("*.py")):
        stat = path.stat()
        found.append(f"{path.name} {stat.st_size} {stat.st_mtime_ns}")
    return found


def _place(config: CodegenConfig) -> Path:
    return config.root / _FOLDER / "cache" / f"{Path(config.path).stem}.json"


def _load(path: Path) -> Run | None:
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        if digest.decode() != _digest_of(content):
            return None
        value = json.loads(content)
        packages = {
            app: Remembered(
                known["key"],
                _parts(known["parts"]),
                tuple(known["names"]),
                known["files"],
                _warnings(known["warnings"]),
            )
            for app, known in value["packages"].items()
        }
        return Run(value["key"], value["queries"], _warnings(value["warnings"]), packages)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _parts(value: Mapping[str, Any]) -> Parts:
    lists = {name: tuple(value[name]) for name in ("tables", "operations", "sources")}
    return Parts(**lists, roots=tuple((kind, name) for kind, name in value["roots"]))


def _warnings(values: Iterable[Mapping[str, Any]]) -> tuple[Diagnostic, ...]:
    return tuple(Diagnostic(**value) for value in values)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ignored = path.parent.parent / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n")
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
