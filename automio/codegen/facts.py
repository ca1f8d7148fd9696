"""What depends on the app's id: the facts of the tables, and documents as templates on it. Used by functions.py.

One package serves several installations, whose apps have other ids. Facts are replaced as text at run time; a document
is cut where the id stands, so that joining is all that is left to do.
"""

from __future__ import annotations

from automio.codegen.naming import HEADER
from automio.dialect.index import SchemaIndex

_WIDTH = 116


def render_facts(app: str, index: SchemaIndex) -> str:
    """`_facts.py`: the index as JSON, broken at commas. Names in it hold no commas, quotes or backslashes."""
    about = f"the tables of app {app}" if app else "the tables"
    body = "\n".join(_broken(index.facts()))
    return f'''{HEADER} Source: the schema.
"""What scoping and the mapping of names need to know of {about}, and of those they lead to. Read at the first call."""

from __future__ import annotations

from automio.runtime.call import Facts

FACTS = Facts(
    "{app}",
    """{body}""",
)
'''


def _broken(text: str) -> list[str]:
    """JSON text as lines of a readable width: a new line for each table and each part, else where it gets too wide."""
    lines: list[str] = []
    line = ""
    for piece in text.split(","):
        starts = piece.endswith("{") or ":{" in piece or piece.startswith(('"roots"', '"inputs"'))
        if line and (len(line) + len(piece) + 1 > _WIDTH or starts):
            lines.append(line + ",")
            line = piece
        else:
            line = f"{line},{piece}" if line else piece
    return [*lines, line]


def document_source(text: str, app: str) -> str:
    """Python source of `Operation.document`: the text cut where the app's id stands, readable as one piece."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    if not app or f"app_{app}_" not in text:
        return f'("""{escaped}""",)'
    mark = "<ID>"
    while mark in text:
        mark = f"<{mark}>"
    template = escaped.replace(f"app_{app}_", f"app_{mark}_")
    return f'tuple("""{template}""".split("{mark}"))'
