"""Compiled operations -> Hasura's allow list: query_collections.yaml and allow_list.yaml. Used by cli/export.py.

Hasura (metadata v3) compares what arrives with the listed documents by their parsed form, `__typename` left out, so what
stands here must be what is sent: the scoped text, not the one in queries/. Each query is named after its function
(`app_130.orders.find`): unique, as a collection demands, and telling where it is from. The query that checks foreign keys
before a mutation stands behind it.

Our queries are one collection; every other collection in the file, with its comments and layout, stays as it is, byte for
byte (yaml_text.py). `!include`, which Hasura's CLI knows elsewhere, it does not know in query_collections.yaml, so all of
ours stand in that file. Documents are literal blocks, and the result is read back by PyYAML before it is handed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import yaml

from automio.codegen.compiled import Function
from automio.codegen.yaml_text import compose, ended, place, put, refuse_flow, scalar, word
from automio.errors import ConfigError

_BREAKS = "\r\x85\u2028\u2029\ufeff"


def collection(name: str, functions: Iterable[Function], app_ids: dict[str, str] | None = None) -> str:
    """The collection as an entry of query_collections.yaml, sorted by function.

    `app_ids`: generated app -> the app of another installation whose names are to be listed.
    """
    lines = [f"- name: {scalar(name)}", "  definition:", "    queries:"]
    listed = sorted(functions, key=lambda function: function.name)
    if not listed:
        lines[-1] += " []"
    for function in listed:
        other = (app_ids or {}).get(function.app, function.app)
        for name, text in ((function.name, function.operation.scoped.text), (f"{function.name} check", function.check)):
            if function.app:
                text = text.replace(f"app_{function.app}_", f"app_{other}_")
            lines += [f"      - name: {scalar(name)}", *_literal(text)] if text else []
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
    lines = [f"- collection: {scalar(name)}", "  scope:", f"    global: {'false' if roles else 'true'}"]
    if roles:
        lines += ["    roles:", *(f"      - {scalar(role)}" for role in dict.fromkeys(roles))]
    return "\n".join(lines) + "\n"


def merge(before: str, ours: str, key: str, name: str, path: str) -> str:
    """The file's text with our entry in the place of the one whose `key` is `name`, or at its end.

    Everything else stays as it is. Raises ConfigError, with the place in the file, for text that is no YAML list of
    entries, for a name that stands there twice, and for a list in flow style.
    """
    root = compose(before, path)
    if root is None:
        return _checked(before, f"{ended(before)}{ours}", ours, key, name, path)
    if not isinstance(root, yaml.SequenceNode):
        raise ConfigError(f"{place(path, root)}: a list of entries is expected here")
    if not root.value:  # `[]`, as Hasura's CLI writes an empty list
        after = before[root.end_mark.index :].removeprefix("\n")
        return _checked(before, f"{before[: root.start_mark.index]}{ours}{after}", ours, key, name, path)
    refuse_flow(path, root)
    found = [node for node in root.value if word(node, key) == name]
    if len(found) > 1:
        line = found[1].start_mark.line + 1
        raise ConfigError(f"{path}:{line}: the collection {name!r} stands here a second time")
    return _checked(before, put(before, root, found[0] if found else None, ours), ours, key, name, path)


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
