"""docs/guide.md, followed line by line in an empty folder; what it says is printed is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guide.md").read_text()
BLOCK = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_guide(
    tmp_path: Path, served: Callable[[Path], str], clean_environment: Callable[..., dict[str, str]]
) -> None:
    printed, url = "", ""
    for language, name, text in BLOCK.findall(GUIDE):
        if name:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            assert not file.exists(), f"init made {name} already"
            file.write_text(text.replace("http://127.0.0.1:8080", url))
        if language == "python":
            printed = run([sys.executable, name], tmp_path, clean_environment(PYTHONPATH=str(tmp_path)))
        elif language == "text":
            assert printed == text
        elif not language:
            for line in text.splitlines():
                if line.startswith("automio serve"):
                    url = served(tmp_path)
                elif line.startswith("automio "):
                    run([sys.executable, "-m", *line.split()], tmp_path, clean_environment())
    assert printed


def run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
