"""Permissions -> the table files of a Hasura metadata folder (format v3). Used by cli/permissions.py.

    databases/databases.yaml                       `tables: "!include default/tables/tables.yaml"`
    databases/default/tables/tables.yaml           a list of `"!include public_app_130_orders.yaml"`, or of whole tables
    databases/default/tables/public_app_130_orders.yaml

One role's entry of each `…_permissions` list is ours when its comment says so. It is put in, replaced or cut out
(yaml_text.py), and nothing else of a file changes; what was merged is read back, and compared with what was meant. An
entry of the role that somebody else wrote is never replaced, but reported. A table that stands nowhere gets a file of its
own and a line in tables.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from automio.codegen.permissions import KINDS, MARK, Rights, TableRights
from automio.codegen.yaml_text import compose, dump, end_of, ended, indent, member, place, put, refuse_flow, span, word
from automio.errors import ConfigError

_INCLUDE = "!include "


@dataclass(frozen=True, slots=True)
class Tracked:
    """A table of the folder: the file it stands in, and its number there, None where the file is this table alone."""

    path: Path
    number: int | None
    schema: str
    name: str
    type: str
    columns: Mapping[str, str]
    """GraphQL name -> column, for columns that are renamed."""
    computed: frozenset[str]


@dataclass(slots=True)
class Folder:
    """The tables of one source in a metadata folder, and the texts of its files: as read, and as they are to be."""

    tables: Path
    before: dict[Path, str | None] = field(default_factory=dict)
    after: dict[Path, str] = field(default_factory=dict)
    tracked: list[Tracked] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    """Files of tables that stood nowhere."""

    @classmethod
    def read(cls, root: Path, source: str) -> Folder:
        """Raises ConfigError for files that are not Hasura's, and for a source that databases.yaml doesn't know."""
        folder = cls(_tables_file(root / "databases", source))
        text = folder.text(folder.tables)
        entries = compose(text, str(folder.tables)) if text else None
        if entries is not None and not isinstance(entries, yaml.SequenceNode):
            raise ConfigError(f"{place(str(folder.tables), entries)}: a list of tables is expected here")
        for number, entry in enumerate(entries.value if entries else ()):
            if not isinstance(entry, yaml.ScalarNode):
                folder.tracked.append(_tracked(folder.tables, number, entry))
            elif entry.value.startswith(_INCLUDE):
                path = folder.tables.parent / entry.value.removeprefix(_INCLUDE).strip()
                node = compose(folder.text(path) or "", str(path))
                if node is None:
                    raise ConfigError(f"{path} is empty or missing; {folder.tables} includes it")
                folder.tracked.append(_tracked(path, None, node))
            else:
                raise ConfigError(f'{place(str(folder.tables), entry)}: a table or "!include …" is expected here')
        return folder

    def text(self, path: Path) -> str | None:
        if path not in self.before:
            try:
                self.before[path] = path.read_bytes().decode("utf-8")
            except FileNotFoundError:
                self.before[path] = None
            except UnicodeDecodeError as error:
                raise ConfigError(f"{path} is not UTF-8") from error
        return self.after.get(path, self.before[path])

    def changed(self) -> dict[Path, str]:
        """Files that are to be written, sorted."""
        return {path: text for path, text in sorted(self.after.items()) if text != self.before.get(path)}

    def grant(self, tables: Iterable[TableRights], rights: Rights, types: Iterable[str]) -> None:
        """Give the role what it may do, and take away what it no longer may in tables of `types` that the schema lost."""
        wanted = list(tables)
        by_place = {(one.schema, one.name): one for one in self.tracked}
        by_type = {one.type: one for one in self.tracked}
        seen: set[tuple[Path, int | None]] = set()
        for table in wanted:
            tracked = by_place.get((table.schema, table.name)) or by_type.get(table.type)
            if tracked is None:
                self.add(table, rights)
            else:
                seen.add((tracked.path, tracked.number))
                self.set(tracked, table.permissions(rights, tracked.columns, tracked.computed), rights.role)
        gone = set(types)
        for tracked in self.tracked:
            if (tracked.path, tracked.number) not in seen and tracked.type in gone:
                self.set(tracked, {}, rights.role)

    def set(self, table: Tracked, permissions: Mapping[str, Any], role: str) -> None:
        """The role's permissions on a table of the folder are these."""
        path = str(table.path)
        for kind in KINDS:
            text = self.text(table.path) or ""
            given = permissions.get(kind)
            entry = None if given is None else {"role": role, "permission": given, "comment": MARK}
            self.after[table.path] = _with_permission(text, table.number, kind, entry, role, path)

    def add(self, table: TableRights, rights: Rights) -> None:
        """A table that the folder doesn't know: a file of its own, and its line in tables.yaml."""
        name = f"{table.schema}_{table.name}.yaml"
        path = self.tables.parent / name
        if self.text(path) is not None:
            raise ConfigError(
                f"{path} exists, but {self.tables} doesn't include it", hint=f'Add the line - "{_INCLUDE}{name}" there.'
            )
        permissions = table.permissions(rights)
        value: dict[str, Any] = {"table": {"name": table.name, "schema": table.schema}}
        for kind in KINDS:
            if kind in permissions:
                entry = {"role": rights.role, "permission": permissions[kind], "comment": MARK}
                value[f"{kind}_permissions"] = [entry]
        self.new.append(str(path))
        self.after[path] = dump(value)
        self.after[self.tables] = _including(self.text(self.tables) or "", name, str(self.tables))


def _tables_file(databases: Path, source: str) -> Path:
    path = databases / "databases.yaml"
    usual = databases / source / "tables" / "tables.yaml"
    try:
        root = compose(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return usual
    if root is None:
        return usual
    entries = root.value if isinstance(root, yaml.SequenceNode) else []
    found = next((entry for entry in entries if word(entry, "name") == source), None)
    if found is None:
        known = ", ".join(name for entry in entries if (name := word(entry, "name"))) or "none"
        raise ConfigError(f"{path} has no source {source!r}", hint=f"Known: {known}; --source names another one.")
    tables = word(found, "tables")
    if tables is None or not tables.startswith(_INCLUDE):
        raise ConfigError(
            f"{place(str(path), found)}: the tables of {source!r} stand in this file",
            hint='Hasura\'s format v3 has them in files of their own: tables: "!include default/tables/tables.yaml".',
        )
    return databases / tables.removeprefix(_INCLUDE).strip()


def _tracked(path: Path, number: int | None, node: yaml.Node) -> Tracked:
    told = member(node, "table")
    name = told.value if isinstance(told, yaml.ScalarNode) else word(told, "name")
    if not name or not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{place(str(path), node)}: a table is expected here, with the key `table`")
    schema = word(told, "schema") or "public"
    configuration = member(node, "configuration")
    type_ = word(configuration, "custom_name") or (name if schema == "public" else f"{schema}_{name}")
    columns: dict[str, str] = {}
    older = member(configuration, "custom_column_names")
    for column, shown in older.value if isinstance(older, yaml.MappingNode) else ():
        columns[shown.value] = column.value
    newer = member(configuration, "column_config")
    for column, settings in newer.value if isinstance(newer, yaml.MappingNode) else ():
        if shown_as := word(settings, "custom_name"):
            columns[shown_as] = column.value
    computed = member(node, "computed_fields")
    fields = computed.value if isinstance(computed, yaml.SequenceNode) else []
    names = frozenset(found for item in fields if (found := word(item, "name")))
    return Tracked(path, number, schema, name, type_, columns, names)


def _with_permission(
    text: str, number: int | None, kind: str, entry: dict[str, Any] | None, role: str, path: str
) -> str:
    """The file's text with the role's entry of one list put in, replaced or, for None, cut out."""
    root = compose(text, path)
    table = root.value[number] if isinstance(root, yaml.SequenceNode) and number is not None else root
    assert isinstance(table, yaml.MappingNode)
    key = f"{kind}_permissions"
    entries = member(table, key)
    listed = entries.value if isinstance(entries, yaml.SequenceNode) else []
    found = [node for node in listed if word(node, "role") == role]
    for node in found:
        if word(node, "comment") != MARK:
            raise ConfigError(
                f"{place(path, node)}: the role {role!r} has a {kind} permission here that automio didn't write",
                hint="Remove it, or choose another role with --role.",
            )
    if len(found) > 1:
        raise ConfigError(f"{place(path, found[1])}: the role {role!r} stands here a second time")
    if not found and entry is None:
        return text
    ours = dump([entry]) if entry else ""
    if not listed:
        refuse_flow(path, table)
        block = indent(f"{key}:\n{indent(ours, 2)}", table.start_mark.column)
        start = end = end_of(text, table)
        if entries is not None:  # `[]`, or nothing at all behind the key
            start, end = _line_of(text, table, key, path), end_of(text, entries)
        merged = f"{ended(text[:start])}{block}{text[end:]}"
    elif entry is not None:
        assert isinstance(entries, yaml.SequenceNode)
        refuse_flow(path, entries)
        merged = put(text, entries, found[0] if found else None, ours)
    else:
        assert isinstance(entries, yaml.SequenceNode)
        refuse_flow(path, entries)
        start, end = span(text, found[0])
        if len(listed) == 1:  # with the last entry the key goes too
            start = _line_of(text, table, key, path)
        merged = text[:start] + text[end:]
    _compare(text, merged, number, key, role, entry, path)
    return merged


def _line_of(text: str, table: yaml.MappingNode, key: str, path: str) -> int:
    """Where the line of a table's key begins; it must begin with the key."""
    name = next(name for name, _ in table.value if name.value == key)
    start = text.rfind("\n", 0, name.start_mark.index) + 1
    if text[start : name.start_mark.index].strip():
        raise ConfigError(f"{place(path, name)}: write `{key}` below the table's other keys")
    return start


def _compare(
    before: str, merged: str, number: int | None, key: str, role: str, entry: dict[str, Any] | None, path: str
) -> None:
    """Raises ConfigError when the merged text doesn't read as the old values with the one change that was meant."""
    readable = False
    with suppress(yaml.YAMLError, ValueError):
        old, new = yaml.safe_load(before), yaml.safe_load(merged)
        was, now = (old, new) if number is None else (old[number], new[number])
        others = [one for one in was.pop(key, None) or [] if one.get("role") != role]
        listed = now.pop(key, None) or []
        mine = [one for one in listed if one.get("role") == role]
        kept = [one for one in listed if one.get("role") != role]
        readable = old == new and kept == others and mine == ([entry] if entry else [])
    if not readable:
        raise ConfigError(f"{path}: the permission does not fit the way this file is written")


def _including(text: str, name: str, path: str) -> str:
    line = f'- "{_INCLUDE}{name}"\n'
    root = compose(text, path)
    if root is None:
        return f"{ended(text)}{line}"
    assert isinstance(root, yaml.SequenceNode)
    if not root.value:
        after = text[root.end_mark.index :].removeprefix("\n")
        return f"{text[: root.start_mark.index]}{line}{after}"
    refuse_flow(path, root)
    return put(text, root, None, line)
