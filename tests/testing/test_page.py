"""docs/testing.md as written: its files, on a copy of the sample workspace, run by pytest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_runs_as_written(tmp_path: Path) -> None:
    for name in ("schema", "queries", "app_130"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("codegen.toml", "platform.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    for name, text in re.findall(r"^```python (\S+)\n(.*?)^```", (ROOT / "docs/testing.md").read_text(), re.M | re.S):
        (tmp_path / name).write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DATABASE_URL"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
