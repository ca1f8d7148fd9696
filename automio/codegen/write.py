"""{path: text} -> disk. The last step: everything is rendered before the first file is touched.

`generate` owns the files that begin with its header, `py.typed` beside them, and no others: a file of somebody else that
is in the way is an error, and stays. A package is brought in line in one step (folders.py): nobody sees a package that is
half old and half new, and a file whose text stays the same is not touched at all. What is owned and not made any more is
removed, also the package of an app that is gone. A file that was edited by hand is told from an old one (written.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from automio.codegen.config import CodegenConfig
from automio.codegen.folders import change, workspace
from automio.codegen.naming import HEADER
from automio.codegen.written import Written
from automio.errors import AutomioError, CodegenError, Diagnostic

MARKER = "py.typed"
_PREFIX = HEADER.partition(";")[0].encode()
_ENOUGH = 200
"""Files that are worth a process of ruff."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing does, or would do. Paths are relative to the project's root, in POSIX style, sorted."""

    missing: tuple[str, ...]
    stale: tuple[str, ...]
    extra: tuple[str, ...]
    edited: tuple[str, ...] = ()
    """Those of `stale` and `extra` that somebody edited by hand, as far as this machine knows."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.extra)


def compare(config: CodegenConfig, files: Mapping[Path, str], standing: Collection[Path] = ()) -> Changes:
    """Files to be added, replaced and removed. Raises CodegenError for each foreign file that is in the way.

    `standing`: those of the files that were just read from disk, with this text.
    """
    missing: list[str] = []
    stale: list[str] = []
    foreign: list[Diagnostic] = []
    folders: dict[Path, Diagnostic | None] = {}
    for path in (path for path in files if path not in standing):
        if path.parent not in folders:
            folders[path.parent] = _in_the_way(config.root, path.parent)
        in_the_way, content = folders[path.parent], None
        if not in_the_way:
            content, in_the_way = _read(config.root, path)
        if in_the_way:
            foreign.append(in_the_way)
        elif content is None:
            missing.append(path.as_posix())
        elif content != files[path].encode():
            stale.append(path.as_posix())
    if foreign:
        raise CodegenError(list(dict.fromkeys(foreign)))
    extra = sorted(path.as_posix() for path in _owned(config, files))
    edited = Written.of(config).edited(sorted([*stale, *extra])) if stale or extra else ()
    return Changes(tuple(sorted(missing)), tuple(sorted(stale)), tuple(extra), edited)


def write(config: CodegenConfig, files: Mapping[Path, str], standing: Collection[Path] = ()) -> Changes:
    """Bring the disk in line. Raises CodegenError, before anything is changed, when a foreign file is in the way."""
    with workspace(config.root) as place:
        changes = compare(config, files, standing)
        written = Written.of(config)
        if changes:
            contents = {name: files[Path(name)].encode() for name in (*changes.missing, *changes.stale)}
            written.keep(changes.edited)
            written.begin(contents)
            for folder, (changed, removed) in _by_package(config, changes, contents).items():
                change(config.root / folder, changed, removed, place)
        written.end(files, standing)
    return changes


def _by_package(
    config: CodegenConfig, changes: Changes, contents: Mapping[str, bytes]
) -> dict[Path, tuple[dict[Path, bytes], list[Path]]]:
    """Folder of a package -> what changes in it and what goes, by paths below it. `contents`: of all that changes."""
    target = Path(os.path.normpath(config.target))
    found: dict[Path, tuple[dict[Path, bytes], list[Path]]] = {}
    for name in (*changes.missing, *changes.stale, *changes.extra):
        first, *rest = Path(os.path.normpath(name)).relative_to(target).parts
        changed, removed = found.setdefault(target / first, ({}, []))
        if name in contents:
            changed[Path(*rest)] = contents[name]
        else:
            removed.append(Path(*rest))
    return found


def _in_the_way(root: Path, folder: Path) -> Diagnostic | None:
    for parent in (*reversed(folder.parents), folder):
        if (root / parent).is_file():
            return _foreign(parent, "a file stands where a folder of a generated package goes")
    return None


def _read(root: Path, path: Path) -> tuple[bytes | None, Diagnostic | None]:
    """What is at a generated file's place, None for nothing; or what is in the way there."""
    try:
        content = (root / path).read_bytes()
    except FileNotFoundError:
        return None, None
    except OSError:
        if not (root / path).is_dir():
            raise
        return None, _foreign(path, "a folder stands where a generated file goes")
    if path.name != MARKER and not content.startswith(_PREFIX):
        return None, _foreign(path, "this file was not generated, so it is not replaced")
    return content, None


def _foreign(path: Path, message: str) -> Diagnostic:
    hint = "Move it away, or give the package another name in codegen.toml."
    return Diagnostic(path.as_posix(), 1, 1, message, code="AUTOMIO-140", hint=hint)


def is_generated(path: Path) -> bool:
    """Is there a file that begins with our header?"""
    return path.is_file() and _is_owned(path)


def _is_owned(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PREFIX)) == _PREFIX


def _owned(config: CodegenConfig, known: Iterable[Path]) -> Iterator[Path]:
    """The files of generated packages but the known ones: folders below the target whose `__init__.py` has the header."""
    target = config.root / config.target
    names_in: dict[Path, set[str]] = {}
    for path in known:
        names_in.setdefault(path.parent, set()).add(path.name)
    if not target.is_dir():
        return
    for folder in sorted(target.iterdir()):
        initial = folder / "__init__.py"
        if folder.is_dir() and is_generated(initial):
            for base, _, names in os.walk(folder):
                place = Path(os.path.normpath(Path(base).relative_to(config.root)))
                for name in sorted(set(names) - names_in.get(place, set())):
                    path = Path(base, name)
                    is_marker = name == MARKER and path.parent == folder
                    if path.is_file() and (is_marker or (name.endswith(".py") and _is_owned(path))):
                        yield place / name


class Formatter:
    """Python files as ruff formats them, whatever configuration the project has.

    ruff works while the next packages are compiled: whenever enough files have come, a process of its own takes them.
    """

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.files: dict[Path, str | Path] = {}
        """Path -> the text of what is no Python, or the place where ruff formats it."""
        self.waiting: list[str] = []
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Formatter:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            process.kill()
            process.communicate()
        self.folder.cleanup()

    def add(self, files: Mapping[Path, str]) -> None:
        for path, text in files.items():
            if path.suffix != ".py":
                self.files[path] = text
                continue
            place = self.files[path] = Path(self.folder.name, f"{len(self.files)}.py")
            place.write_text(text, encoding="utf-8")
            self.waiting.append(str(place))
        if len(self.waiting) >= _ENOUGH:
            self.start()

    def start(self) -> None:
        if self.waiting:
            command = [*_ruff(), "format", "--isolated", "--no-cache", "--quiet", "--line-length=120"]
            command += ["--target-version=py311", *self.waiting]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.running.append(process)
            self.waiting.clear()

    def formatted(self) -> dict[Path, str]:
        """Everything that was added, in that order. Raises AutomioError when ruff takes something for no Python."""
        self.start()
        while self.running:
            said = self.running[0].communicate()[1]
            if self.running.pop(0).returncode:
                raise AutomioError(
                    f"ruff could not format what was generated: {said.strip()}", hint="Please report this."
                )
        return {
            path: found if isinstance(found, str) else found.read_text(encoding="utf-8")
            for path, found in self.files.items()
        }


def _ruff() -> list[str]:
    try:
        from ruff.__main__ import find_ruff_bin

        return [os.fsdecode(find_ruff_bin())]
    except (ImportError, FileNotFoundError):
        return [sys.executable, "-m", "ruff"]
