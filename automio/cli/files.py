"""{path: text} -> a folder on disk: all of it or nothing new, what nobody writes any more removed. Used by pull.py.

A file is ours when it starts with our header; any other file is the user's and is never overwritten nor removed. The texts
are first written beside their targets, and only when all of them are on disk are they moved into place, each in one step:
a full disk or a lost right leaves the folder as it was, and no reader sees half a file. Unchanged files are not touched,
so their times stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from automio.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths below the folder, with `/`, sorted."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def owned_files(folder: Path, header: str) -> list[str]:
    """The .graphql files below the folder that start with the header, as paths with `/`, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.graphql") if _is_ours(path, header))


def replace_files(folder: Path, files: Mapping[str, str], header: str) -> Changes:
    """Make our files below the folder exactly these. Raises ConfigError when a path is taken by somebody else's file."""
    foreign = [path for path in sorted(files) if os.path.lexists(folder / path) and not _is_ours(folder / path, header)]
    if foreign:
        raise ConfigError(
            f"{', '.join(str(folder / path) for path in foreign)}: not written by this command, so not overwritten",
            hint="Move or delete what is there.",
        )
    before = owned_files(folder, header)
    changed = {
        path: text for path, text in sorted(files.items()) if path not in before or _differs(folder / path, text)
    }
    _write(folder, changed)
    removed = [path for path in before if path not in files]
    for path in removed:
        (folder / path).unlink()
        with suppress(OSError):  # not empty: somebody else's files stay there
            (folder / path).parent.rmdir()
    unchanged = tuple(path for path in sorted(files) if path not in changed)
    return Changes(tuple(changed), unchanged, tuple(removed))


def _is_ours(path: Path, header: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(header.encode()) + 2).replace(b"\r\n", b"\n").startswith(header.encode())


def _differs(path: Path, text: str) -> bool:
    return path.read_bytes() != text.encode()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    staged: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for path, text in files.items():
            target = folder / path
            made += _make_folder(target.parent)
            beside = target.with_name(f".{target.name}.{os.getpid()}.new")
            staged.append((beside, target))
            beside.write_bytes(text.encode())
    except BaseException:
        for beside, _ in staged:
            beside.unlink(missing_ok=True)
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise
    for beside, target in staged:
        beside.replace(target)


def _make_folder(folder: Path) -> Iterator[Path]:
    """Create a folder and those above it; gives back the new ones, the outermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        yield parent


def read_text(path: Path) -> str | None:
    """A file's text, None when it isn't there. Raises ConfigError when it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8") from error


def write_text(path: Path, text: str) -> None:
    """In one step: who reads the file sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(text.encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
