"""Compiled operations -> Hasura's allow list: query_collections.yaml and allow_list.yaml. Used by cli/export.py.

Hasura (metadata v3) compares what arrives with the listed documents by their parsed form, `__typename` left out, so what
stands here must be what is sent: the scoped text, not the one in queries/. Each query is named after its function
(`app_130.orders.find`): unique, as a collection demands, and telling where it is from.

Our queries are one collection; every other collection in the file, with its comments and layout, stays as it is, byte for
byte. A rewritten YAML file would lose comments, and `!include`, which Hasura's CLI knows elsewhere, it does not know in
query_collections.yaml. So PyYAML only finds where the entries stand (a parser must do that, since block texts, quotes and
anchors can look like entries), and text is replaced from the start of our entry to its end. Our own text needs no
library: keys and names are plain words or quoted, documents are literal blocks, and the result is read back by PyYAML
before it is handed over.

A list in flow style (`[{…}]`) that has entries is refused: nothing can be put into it without writing it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import yaml

from automio.codegen.compiled import Function
from automio.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
_BREAKS = "\r\x85\u2028\u2029\ufeff"
_NOT_PLAIN = frozenset("true false yes no on off null y n".split())


def collection(name: str, functions: Iterable[Function], app_ids: dict[str, str] | None = None) -> str:
    """The collection as an entry of query_collections.yaml, sorted by function.

    `app_ids`: generated app -> the app of another installation whose names are to be listed.
    """
    lines = [f"- name: {_scalar(name)}", "  definition:", "    queries:"]
    listed = sorted(functions, key=lambda function: function.name)
    if not listed:
        lines[-1] += " []"
    for function in listed:
        text = function.operation.scoped.text
        if function.app:
            other = (app_ids or {}).get(function.app, function.app)
            text = text.replace(f"app_{function.app}_", f"app_{other}_")
        lines += [f"      - name: {_scalar(function.name)}", *_literal(text)]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> list[str]:
    """`query:` with the document as a literal block; quoted when it holds what YAML takes for the end of a line."""
    if any(mark in text for mark in _BREAKS):
        quoted = json.dumps(text, ensure_ascii=False)
        for mark in _BREAKS:
            quoted = quoted.replace(mark, f"\\u{ord(mark):04x}")
        return [f"        query: {quoted}"]
    return ["        query: |-", *(f"          {line}" if line else "" for line in text.split("\n"))]


def entry(name: str, roles: Sequence[str]) -> str:
    """The collection's entry of allow_list.yaml: for every role, or for these alone."""
    lines = [f"- collection: {_scalar(name)}", "  scope:", f"    global: {'false' if roles else 'true'}"]
    if roles:
        lines += ["    roles:", *(f"      - {_scalar(role)}" for role in dict.fromkeys(roles))]
    return "\n".join(lines) + "\n"


def merge(before: str, ours: str, key: str, name: str, path: str) -> str:
    """The file's text with our entry in the place of the one whose `key` is `name`, or at its end.

    Everything else stays as it is. Raises ConfigError, with the place in the file, for text that is no YAML list of
    entries, for a name that stands there twice, and for a list in flow style.
    """
    root = _compose(before, path)
    if root is None:
        return _checked(before, f"{_ended(before)}{ours}", ours, key, name, path)
    mark = root.start_mark
    if not isinstance(root, yaml.SequenceNode):
        raise ConfigError(f"{path}:{mark.line + 1}:{mark.column + 1}: a list of entries is expected here")
    if not root.value:  # `[]`, as Hasura's CLI writes an empty list
        after = before[root.end_mark.index :].removeprefix("\n")
        return _checked(before, f"{before[: mark.index]}{ours}{after}", ours, key, name, path)
    if root.flow_style:
        raise ConfigError(
            f"{path}:{mark.line + 1}:{mark.column + 1}: this list is in flow style, so nothing can be put into it",
            hint="Write it as lines that begin with `- `.",
        )
    found = [node for node in root.value if _value(node, key) == name]
    if len(found) > 1:
        line = found[1].start_mark.line + 1
        raise ConfigError(f"{path}:{line}: the collection {name!r} stands here a second time")
    indented = "".join(
        f"{' ' * mark.column}{line}" if line.strip() else line for line in ours.splitlines(keepends=True)
    )
    if not found:  # after the last entry; comments at the end of the file stay at the end
        end = _end_of(before, root.value[-1])
        merged = f"{_ended(before[:end])}{indented}{before[end:]}"
    else:
        start = before.rindex("-", 0, found[0].start_mark.index)
        end = min(_end_of(before, found[0]), len(before[: found[0].end_mark.index].rstrip()) + 1)
        merged = f"{before[: before.rfind(chr(10), 0, start) + 1]}{indented}{before[end:]}"
    return _checked(before, merged, ours, key, name, path)


def _compose(text: str, path: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from error


def _end_of(text: str, node: yaml.Node) -> int:
    """The offset after the line on which the entry's last content ends: comments after it belong to what follows."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = text.find("\n", max(node.start_mark.index, node.end_mark.index - 1))
    return end + 1 if end >= 0 else len(text)


def _checked(before: str, merged: str, ours: str, key: str, name: str, path: str) -> str:
    """The merged text, when it reads as the old entries with ours among them; ConfigError when it doesn't."""
    try:
        old, new = yaml.safe_load(before) or [], yaml.safe_load(merged)
        wanted = yaml.safe_load(ours)
    except (yaml.YAMLError, ValueError):
        old, new, wanted = [], None, [None]
    others = [one for one in old if not (isinstance(one, dict) and one.get(key) == name)]
    if isinstance(new, list) and wanted[0] in new:
        new.remove(wanted[0])
        if new == others:
            return merged
    raise ConfigError(f"{path}: our collection does not fit the way this file is written")


def _value(node: yaml.Node, key: str) -> str | None:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key and isinstance(value, yaml.ScalarNode):
            return value.value
    return None


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _scalar(text: str) -> str:
    """A name as YAML reads it back: plain where that is safe, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return json.dumps(text, ensure_ascii=False)
