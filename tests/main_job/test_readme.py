"""The README's Python runs as written, against the local platform; both of its commands are targets of the Makefile."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_example_runs(serve: Callable[[str], str], clean_environment: Callable[..., dict[str, str]]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    env = clean_environment(PYTHONPATH=str(ROOT), API_BASE_URL=serve("readme"), APP_TOKEN="local-org-2", APP_ID="130")
    checked = f"{code}\n    assert order and order.buyer_login == 'anna'\n    assert len(late) == 2\n    assert orders.count() == 4\n"
    done = subprocess.run([sys.executable, "-c", checked], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 bartek\n"


def test_its_commands_are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", README, re.MULTILINE)) <= targets


def test_the_pages_it_links_exist() -> None:
    for page in re.findall(r"\]\(([\w/.-]+)\)", README):
        assert (ROOT / page).is_file(), page
