"""The documentation's text -> its code blocks, by a rule; nothing of the text stands here. Next: test_blocks.py.

The text has no fences. A paragraph is code when its first line begins as code does (a comment, an import, a definition, a loop,
an assignment, `pip install`), or when it is indented and no item of a list; a block is a run of such paragraphs. A list ends
with its last item, also without an empty line. Blocks are known by their order: NAMES. A block that moves, comes or goes makes the numbers differ, and every test says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NAMES: Final = (
    *("install", "env-file", "api"),
    *("query-order", "update-order", "query-without-variables", "upsert-batch", "insert-message"),
    *("call", "parallel-call", "parallel-call-for-connection", "parallel-call-stream"),
    *("import-template", "import-name", "import-everything", "plugin-list", "plugin-invoke", "plugin-code"),
    *("connected-accounts", "all-connections"),
    *("app-cache", "user-cache", "notify-me", "set-progress"),
    *("install-redis", "both-environments", "environment-detection"),
    *("get-integration", "get-integrations"),
    *("parallel-processing", "many-connections", "many-accounts", "progress-with-cache"),
    *("error-of-a-call", "errors-of-parallel-calls"),
)
"""In the text's order."""
COMMANDS: Final = ("install", "install-redis")
"""What a shell is given; all others are the 33 blocks of code."""

_CODE = re.compile(
    r"# |pip install |from \S+ import |import |def \w+\(|for .+ in .+:$|if .+:$|\w+(, \w+)*(: \w[\w\[\], ]*)? = "
)
_INDENTED = re.compile(r" +[^ •]")
_PARAGRAPH = re.compile(r"(?:^ +•.*\n?)+|(?:^(?! +•).+\n?)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """`text` is the block as it stands in the documentation, from its first line (`line`) to the end of its last."""

    name: str
    line: int
    text: str

    @property
    def place(self) -> str:
        """For tracebacks."""
        return f"<{self.name}, line {self.line} of the documentation>"


def find_blocks(text: str) -> list[tuple[int, str]]:
    """(first line, text) of every block."""
    found: list[tuple[int, int]] = []
    code = False
    for paragraph in _PARAGRAPH.finditer(text):
        first = paragraph[0].partition("\n")[0]
        before, code = code, bool(_CODE.match(first) or (code and _INDENTED.match(first)))
        if code and before:
            found[-1] = found[-1][0], paragraph.end()
        elif code:
            found.append(paragraph.span())
    return [(text.count("\n", 0, start) + 1, text[start:end]) for start, end in found]


def named_blocks(text: str) -> dict[str, Block]:
    """Every block under its name. Raises ValueError when they are not as many as the names."""
    found = find_blocks(text)
    return {name: Block(name, line, block) for name, (line, block) in zip(NAMES, found, strict=True)}
