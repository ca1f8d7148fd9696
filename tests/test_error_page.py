"""docs/errors.md knows every code that the package can show, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"AUTOMIO-\d{3}")


def test_every_code_has_a_row_and_every_row_a_code() -> None:
    used = {code for path in (ROOT / "automio").rglob("*.py") for code in CODE.findall(path.read_text())}
    rows = re.findall(r"^\| (AUTOMIO-\d{3}) \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(used)
