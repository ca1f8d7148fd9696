"""YAML text with entries put in, replaced and cut out; the rest stays as it is, byte for byte. Used by allow_list.py, permissions.py.

A rewritten YAML file would lose comments and layout. So PyYAML only finds where things stand (a parser must do that,
since block texts, quotes and anchors can look like entries), and text is replaced from the start of an entry to its end.
What we put in needs no library: names are plain words or quoted. Who calls reads the result back and compares.

A list in flow style (`[{…}]`) that has entries is refused: nothing can be put into it without writing it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from automio.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
_NOT_PLAIN = frozenset("true false yes no on off null y n".split())


def compose(text: str, path: str) -> yaml.Node | None:
    """The tree of the text with its places, None when it is empty. Raises ConfigError with the place of a fault."""
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from error


def place(path: str, node: yaml.Node) -> str:
    """`file:line:column` of a node."""
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def refuse_flow(path: str, node: yaml.CollectionNode) -> None:
    """Raises ConfigError for a list or mapping in flow style."""
    if node.flow_style:
        kind = "list" if isinstance(node, yaml.SequenceNode) else "mapping"
        hint = "Write it as lines that begin with `- `." if kind == "list" else "Write it as lines, `key: value`."
        raise ConfigError(
            f"{place(path, node)}: this {kind} is in flow style, so nothing can be put into it", hint=hint
        )


def put(text: str, entries: yaml.SequenceNode, found: yaml.Node | None, ours: str) -> str:
    """The text with our entry (written from the first column) in the place of `found`, or after the last entry.

    `entries` is a list in block style that has at least one. Comments at the end of the file stay at the end.
    """
    indented = indent(ours, entries.start_mark.column)
    if found is None:
        end = end_of(text, entries.value[-1])
        return f"{ended(text[:end])}{indented}{text[end:]}"
    start, end = span(text, found)
    return f"{text[:start]}{indented}{text[end:]}"


def span(text: str, entry: yaml.Node) -> tuple[int, int]:
    """From the line of an entry's dash to the line after its last content."""
    dash = text.rindex("-", 0, entry.start_mark.index)
    end = min(end_of(text, entry), len(text[: entry.end_mark.index].rstrip()) + 1)
    return text.rfind("\n", 0, dash) + 1, end


def end_of(text: str, node: yaml.Node) -> int:
    """The offset after the line on which the node's last content ends: comments after it belong to what follows."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = text.find("\n", max(node.start_mark.index, node.end_mark.index - 1))
    return end + 1 if end >= 0 else len(text)


def member(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a key of a mapping; None for anything else."""
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key:
            return value
    return None


def word(node: yaml.Node | None, key: str) -> str | None:
    """The same, when it is a scalar."""
    value = member(node, key)
    return value.value if isinstance(value, yaml.ScalarNode) else None


def dump(value: Any) -> str:
    """Mappings, lists, names and flags as lines in block style, in the order given."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines: list[str] = []
        for key, item in value.items():
            nested = _lines(item)
            if isinstance(item, (Mapping, list)) and item:
                lines += [f"{scalar(key)}:", *(f"  {line}" for line in nested)]
            else:
                lines.append(f"{scalar(key)}: {nested[0]}")
        return lines
    if isinstance(value, list) and value:
        return [f"{'  ' if number else '- '}{line}" for item in value for number, line in enumerate(_lines(item))]
    return [scalar(value) if isinstance(value, str) else json.dumps(value)]


def indent(text: str, columns: int) -> str:
    """Each line that is not empty moved to the right."""
    return "".join(f"{' ' * columns}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def ended(text: str) -> str:
    """The text with a line end at its end, unless it is empty."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def scalar(text: str) -> str:
    """A name as YAML reads it back: plain where that is safe, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return json.dumps(text, ensure_ascii=False)
