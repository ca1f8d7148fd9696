"""`make demo`, as its script: exit 0, twice in a row, tracked files untouched, nothing left running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def status() -> str:
    done = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def test_the_demo_runs_twice_and_leaves_tracked_files_alone() -> None:
    before = status()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gift_note" in done.stdout
        assert "gift_notes" in done.stdout, "the type checker names the misspelt column"
    assert status() == before
