"""A `generate` that is killed leaves the old tree or the new one, wherever it is killed; and two runs give equal bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from automio.codegen.folders import STATE, change, workspace

ROOT = Path(__file__).resolve().parents[2]

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from automio.codegen.config import load_config
from automio.codegen.pipeline import build
from automio.codegen.write import write

config = load_config(Path(sys.argv[1]))
files = build(config).files
calls, last = 0, int(sys.argv[2])

def count(event, arguments):
    global calls
    touches = event in ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "ctypes.dlsym")
    if touches or (event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
write(config, files)
"""
GENERATE = [sys.executable, "-m", "automio", "generate"]


def environment(**extra: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | extra


def tree(root: Path) -> dict[str, bytes]:
    """The generated files."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for package in root.glob("app_*")
        for path in package.rglob("*")
        if path.is_file()
    }


def generate(root: Path, **extra: str) -> dict[str, bytes]:
    subprocess.run(GENERATE, cwd=root, env=environment(**extra), check=True, capture_output=True)
    return tree(root)


class Change:
    """A project whose schema changes: `old` and `new` are its generated trees."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.schema = root / "schema" / "schema.graphql"
        self.operations = root / "queries" / "orders.graphql"
        self.before = self.schema.read_text(), self.operations.read_text()
        self.new = generate(self.changed())
        self.old = generate(self.back())

    def changed(self) -> Path:
        """A column more, an operation less: files of the table change, and none of the others."""
        text = self.before[0].replace("  buyerLogin: String\n", "  buyerLogin: String\n  extra: String\n")
        assert text != self.before[0]
        self.schema.write_text(text)
        self.operations.write_text("query OnlyThis { app_130_orders { id } }\n")
        return self.root

    def back(self) -> Path:
        self.schema.write_text(self.before[0])
        self.operations.write_text(self.before[1])
        return self.root


@pytest.fixture
def changing(project: Callable[..., Path]) -> Change:
    return Change(project("sample").parent)


@pytest.mark.timeout(600)
def test_killed_at_every_step(changing: Change) -> None:
    assert changing.old != changing.new
    seen: list[bool] = []
    for step in range(1, 500):
        changing.changed()
        command = [sys.executable, "-c", WRITE_AND_DIE, str(changing.root / "codegen.toml"), str(step)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        found = tree(changing.root)
        assert found in (changing.old, changing.new), f"step {step} leaves a mixture"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        seen.append(found == changing.new)
        if found == changing.new:
            # The next run finishes, clears what is left, and takes nothing for an edit.
            again = subprocess.run(GENERATE, cwd=changing.root, env=environment(), capture_output=True, text=True)
            assert (again.returncode, "edited" in again.stdout, tree(changing.root) == changing.new) == (0, False, True)
            assert [path.name for path in (changing.root / STATE / "writing").iterdir()] == ["lock"]
            changing.back()
            assert generate(changing.root) == changing.old
    assert len(seen) > 10 and seen[0] is False and seen[-1] is True


@pytest.mark.timeout(600)
def test_killed_at_any_moment(changing: Change) -> None:
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    started = time.perf_counter()
    generate(changing.changed())
    whole = time.perf_counter() - started
    for _ in range(12):
        for move, wanted in ((changing.back, changing.old), (changing.changed, changing.new)):
            move()
            process = subprocess.Popen(
                GENERATE, cwd=changing.root, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(whole * moments.uniform(0.3, 1.1))
            process.kill()
            process.wait()
            found = tree(changing.root)
            assert found in (changing.old, changing.new), seed
            if moments.random() < 0.3:
                assert generate(changing.root) == wanted, seed


def test_equal_bytes_whatever_the_process(project: Callable[..., Path]) -> None:
    first = project("sample", "first").parent
    expected = generate(first, PYTHONHASHSEED="0")
    assert generate(first, PYTHONHASHSEED="1") == expected
    for seed in ("1", "4711"):  # another folder, files made in another order, another working directory
        other = first.parent / f"other {seed}"
        for path in sorted(first.rglob("*"), reverse=seed == "1"):
            if path.is_file() and path.suffix in (".graphql", ".toml"):
                (other / path.relative_to(first)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, other / path.relative_to(first))
        command = [*GENERATE, "--config", str(other / "codegen.toml")]
        subprocess.run(command, cwd=first.parent, env=environment(PYTHONHASHSEED=seed), check=True, capture_output=True)
        assert tree(other) == expected


def test_what_stays_is_the_same_file(tmp_path: Path) -> None:
    package = tmp_path / "app_1"
    (package / "aio" / "__pycache__").mkdir(parents=True)
    (package / "mine").mkdir()
    for name in ("a.py", "b.py", "stays.py", "aio/gone.py", "aio/__pycache__/gone.pyc", "notes.txt"):
        (package / name).write_text("old")
    (package / "link").symlink_to("notes.txt")
    (package / "b.py").chmod(0o600)
    before = (package / "stays.py").stat()
    with workspace(tmp_path) as place:
        change(package, {Path("a.py"): b"new", Path("b.py"): b"new"}, [Path("aio/gone.py")], place)
    after = (package / "stays.py").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    names = sorted(path.relative_to(package).as_posix() for path in package.rglob("*"))
    assert names == ["a.py", "b.py", "link", "mine", "notes.txt", "stays.py"]
    assert (package / "link").is_symlink() and (package / "b.py").stat().st_mode & 0o777 == 0o600


def test_without_an_exchange_files_are_replaced_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automio.codegen.folders._exchange", lambda *_: False)
    package = tmp_path / "app_1"
    package.mkdir()
    (package / "a.py").write_text("old")
    (package / "b.py").write_text("old")
    with workspace(tmp_path) as place:
        change(package, {Path("a.py"): b"new", Path("c.py"): b"new"}, [Path("b.py")], place)
    assert {path.name: path.read_text() for path in package.iterdir()} == {"a.py": "new", "c.py": "new"}
