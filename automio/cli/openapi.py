"""`automio export openapi`: what the local platform serves, as OpenAPI 3.1 -> a file, or stdout. Text: local/openapi.py."""

from __future__ import annotations

import json
from pathlib import Path

from automio.cli.files import write_text
from automio.cli.output import Line, Report


def run(out: Path | None) -> Report:
    """Write the description; without `out` it is what is printed."""
    from automio.local.openapi import description

    text = json.dumps(description(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        return Report((Line(text.rstrip("\n")),))
    write_text(out, text)
    return Report((Line(f"wrote {out}", "green"),), {"written": [str(out)]})
