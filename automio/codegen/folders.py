"""A folder on disk -> the same folder with some files changed, in one step. Used by write.py.

Whoever looks, and whatever kills this process, sees the folder as it was or as it is to be: a second folder is laid out
below `.automio/` (files that stay are hard links, so their times and open handles stay too), and then the two change
places in one call of the system. What is left over of a killed run is cleared by the next one.

Linux and macOS can exchange two folders. Where that fails (another system, a file system without it, a package folder
that is a link or a mount) files are replaced one by one, each in one move: a run that is killed in the middle of these
moves leaves some files old and some new, which `--check` and the next run see.

A single file is replaced in one move anyway, and no second folder is made.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STATE = ".automio"
_CACHE = "__pycache__"


@contextmanager
def workspace(root: Path) -> Iterator[Path | None]:
    """An empty folder below `.automio/`, for one run at a time; another run waits. None where it can't be made."""
    folder = root / STATE / "writing"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignored = root / STATE / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield None
        return
    try:
        _lock(handle)
        for left in folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield folder
    finally:
        os.close(handle)


def change(folder: Path, changed: Mapping[Path, bytes], removed: Collection[Path], workspace: Path | None) -> None:
    """Give files of the folder these contents and remove others; paths are relative to it. Folders that become empty go."""
    several = not folder.is_dir() or len(changed) + len(removed) > 1
    if several and workspace and not folder.is_symlink() and _at_once(folder, changed, removed, workspace):
        return
    for path, content in changed.items():
        _replace(folder / path, content)
    for path in removed:
        (folder / path).unlink(missing_ok=True)
    for parent in sorted({(folder / path).parent for path in removed}, reverse=True):
        _remove_empty(parent, folder.parent)


def _at_once(folder: Path, changed: Mapping[Path, bytes], removed: Collection[Path], workspace: Path) -> bool:
    """False when the system can't do it; the folder is then as it was."""
    beside = workspace / folder.name
    try:
        _lay_out(folder, beside, changed, removed)
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside.rename(folder)
        elif beside.is_dir():
            if not _exchange(beside, folder):
                return False
        else:  # nothing stays of it
            folder.rename(workspace / f"{folder.name}.gone")
    except OSError:
        return False
    finally:
        for left in (beside, workspace / f"{folder.name}.gone"):
            shutil.rmtree(left, ignore_errors=True)
    return True


def _lay_out(folder: Path, beside: Path, changed: Mapping[Path, bytes], removed: Collection[Path]) -> None:
    gone = {str(path) for path in (*changed, *removed)}
    for base, folders, names in os.walk(folder):
        here = Path(base).relative_to(folder)
        prefix = "" if here == Path() else f"{here}{os.sep}"
        stays = [name for name in names if prefix + name not in gone]
        links = [name for name in folders if Path(base, name).is_symlink()]
        emptied = not stays and len(stays) < len(names)
        if here.name == _CACHE and not (beside / here.parent).is_dir():
            continue
        if not emptied and (stays or links or not folders):
            (beside / here).mkdir(parents=True, exist_ok=True)
        there = str(beside / here)
        for name in (*stays, *links):
            _link(f"{base}{os.sep}{name}", f"{there}{os.sep}{name}")
        folders.sort(key=lambda name: name == _CACHE)  # a folder with nothing but these goes, see _remove_empty
    for path, content in changed.items():
        target, old = beside / path, folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if old.exists():
            shutil.copymode(old, target)
    for base, _, _ in os.walk(beside):
        before = folder / Path(base).relative_to(beside)
        if before.is_dir():
            shutil.copymode(before, base)


def _link(old: str, new: str) -> None:
    """Texts and no Path: a package may have thousands of files, and this is all that is done with most of them."""
    try:
        os.link(old, new, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(old, new, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places. renameat2(2) on Linux, renamex_np(2) on macOS; Python has no name for either."""
    import ctypes

    first, second = os.fsencode(one.resolve()), os.fsencode(other.resolve())
    here, exchange = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, and on macOS RENAME_SWAP
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return library.renamex_np(first, second, exchange) == 0
        return library.renameat2(here, first, here, second, exchange) == 0
    return False


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # no such system call: two runs at once may then fail, with an error
        return
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove_empty(folder: Path, stop: Path) -> None:
    """Remove folders that generation has emptied, up to the target; compiled Python files in them don't count."""
    while folder != stop and folder.is_relative_to(stop) and folder.is_dir():
        cache = folder / _CACHE
        if [path for path in folder.iterdir() if path != cache]:
            return
        for path in cache.iterdir() if cache.is_dir() else ():
            path.unlink()
        if cache.is_dir():
            cache.rmdir()
        folder.rmdir()
        folder = folder.parent
