"""What files.py owns, leaves alone, and leaves behind when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from automio.cli.files import Changes, owned_files, replace_files
from automio.errors import ConfigError

HEADER = "# ours"


def everything(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_written_unchanged_removed(tmp_path: Path) -> None:
    first = {"a/x.graphql": "# ours\n1", "a/y.graphql": "# ours\n2", "b/z.graphql": "# ours\n3"}
    assert replace_files(tmp_path, first, HEADER) == Changes(tuple(first), (), ())
    assert everything(tmp_path) == first
    stamp = (tmp_path / "a/x.graphql").stat().st_mtime_ns
    second = {"a/x.graphql": "# ours\n1", "a/y.graphql": "# ours\nchanged"}
    changes = replace_files(tmp_path, second, HEADER)
    assert changes == Changes(("a/y.graphql",), ("a/x.graphql",), ("b/z.graphql",))
    assert everything(tmp_path) == second
    assert (tmp_path / "a/x.graphql").stat().st_mtime_ns == stamp
    assert not (tmp_path / "b").exists()


def test_files_of_others_are_neither_overwritten_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine.graphql").write_text("type Mine { id: ID }")
    replace_files(tmp_path, {"a/x.graphql": "# ours\n"}, HEADER)
    replace_files(tmp_path, {"b/x.graphql": "# ours\n"}, HEADER)
    assert everything(tmp_path) == {"a/mine.graphql": "type Mine { id: ID }", "b/x.graphql": "# ours\n"}
    with pytest.raises(ConfigError, match=r"mine\.graphql: not written by this command"):
        replace_files(tmp_path, {"a/mine.graphql": "# ours\n", "c/new.graphql": "# ours\n"}, HEADER)
    assert everything(tmp_path) == {"a/mine.graphql": "type Mine { id: ID }", "b/x.graphql": "# ours\n"}


def test_a_folder_or_link_in_the_way_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "x.graphql").mkdir()
    (tmp_path / "y.graphql").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"x\.graphql, .*y\.graphql: not written"):
        replace_files(tmp_path, {"x.graphql": "# ours\n", "y.graphql": "# ours\n"}, HEADER)


def test_a_checkout_with_windows_line_ends_is_still_ours(tmp_path: Path) -> None:
    (tmp_path / "x.graphql").write_bytes(b"# ours\r\ntype X\r\n")
    assert owned_files(tmp_path, HEADER) == ["x.graphql"]


def test_a_failure_while_writing_leaves_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_files(tmp_path, {"a/x.graphql": "# ours\nold"}, HEADER)
    write = Path.write_bytes

    def full_disk(path: Path, data: bytes) -> int:
        if "z.graphql" in path.name:
            write(path, data[:3])
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        replace_files(tmp_path, {"a/x.graphql": "# ours\nnew", "n/e/w/z.graphql": "# ours\n"}, HEADER)
    assert everything(tmp_path) == {"a/x.graphql": "# ours\nold"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
