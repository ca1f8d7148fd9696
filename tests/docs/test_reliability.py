"""docs/reliability.md names the test behind each row: they exist, and pytest collects them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_each_row_has_its_test(root: Path) -> None:
    text = (root / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"\| `tests/[\w/]+\.py::test_\w+` \|$", row)] == []
    named = sorted(set(re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", text)))
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *named]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    collected = set(re.findall(r"^(tests/[\w/]+\.py::test_\w+)", done.stdout, re.MULTILINE))
    assert collected == set(named)
