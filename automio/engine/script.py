"""A script of SQL -> its statements, without understanding them: quotes, dollar quotes and comments are stepped over.

Used by admin.py to find the last statement (whose rows run_sql answers) and to run statements one by one. PostgreSQL itself
decides what they mean; a `;` inside a body of BEGIN ATOMIC is the one place where this finds too many statements.
"""

from __future__ import annotations

import re

_STEP = re.compile(
    r"""
    --[^\n]*                                  # a comment to the end of the line
  | [eE]'(?:[^'\\]|\\.|'')*'                  # a text with escapes
  | '(?:[^']|'')*'                            # a text
  | "(?:[^"]|"")*"                            # a name
  | (?<![\w$])(\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$).*?\1   # a dollar quote
  | [\w$]+
  | /\*
  | ;
  | .
    """,
    re.VERBOSE | re.DOTALL,
)


def split_script(text: str) -> list[str]:
    """The statements, each without its `;`. What holds nothing but space and comments is no statement."""
    found: list[str] = []
    start = place = 0
    holds = False
    while place < len(text):
        match = _STEP.match(text, place)
        assert match is not None
        piece, place = match[0], match.end()
        if piece == "/*":
            place = _comment_end(text, place)
        elif piece == ";":
            if holds:
                found.append(text[start : match.start()])
            start, holds = place, False
        elif not piece.isspace() and not piece.startswith("--"):
            holds = True
    if holds:
        found.append(text[start:])
    return found


def _comment_end(text: str, place: int) -> int:
    """Behind the comment that was opened before `place`; comments nest."""
    depth = 1
    for match in re.finditer(r"/\*|\*/", text[place:]):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return place + match.end()
    return len(text)


def first_word(statement: str) -> str:
    """The first word of a statement in upper case, `(` when it begins with one."""
    place = 0
    while place < len(statement):
        match = _STEP.match(statement, place)
        assert match is not None
        piece, place = match[0], match.end()
        if piece == "/*":
            place = _comment_end(statement, place)
        elif not piece.isspace() and not piece.startswith("--"):
            return piece.upper()
    return ""
