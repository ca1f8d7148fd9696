"""`automio export permissions`: the schema -> row permissions of a role. What they say is made in codegen/permissions.py.

`--out` is a metadata folder (format v3), whose table files are merged by codegen/metadata.py and sent by `hasura metadata
apply`; or a .json file, which is the body of one `POST /v1/metadata`. `--check` writes nothing and ends with 1 when a file
would change.

A folder must know the tables before it is applied: a table that it doesn't know is added without its relationships, which
is told, since applying such a folder would take them away from the server.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from automio.cli.files import read_text, write_text
from automio.cli.output import FINDINGS, OK, Line, Report, listing, number_of, working
from automio.cli.project import read_config
from automio.errors import ConfigError

if TYPE_CHECKING:
    from automio.codegen.config import CodegenConfig
    from automio.codegen.permissions import Rights, TableRights

_VARIABLE = re.compile(r"x-hasura-[\w-]+", re.IGNORECASE)


def run(
    config: Path,
    *,
    out: Path,
    role: str = "organization",
    variable: str = "X-Hasura-Organization-Id",
    source: str = "default",
    preset: bool = True,
    app_id: int | None = None,
    check: bool = False,
    quiet: bool = False,
) -> Report:
    """Write the permissions, or with `check` only compare.

    Raises ConfigError for files that are not Hasura's and options that cannot be used, CodegenError for faults in the
    schema, ScopeError for a table whose organization cannot be read; then nothing is written.
    """
    for name, value in (("--role", role), ("--source", source)):
        if not value.strip() or not value.isprintable():
            raise ConfigError(f"{name} needs a name")
    if role == "admin":
        raise ConfigError("the role admin may do everything in Hasura; it takes no permissions")
    if not _VARIABLE.fullmatch(variable):
        raise ConfigError(f"{variable!r} is not a session variable", hint="Hasura's begin with X-Hasura-.")
    project = read_config(config)
    if project.tenant_column is None:
        raise ConfigError("[tenancy] enabled = false: without organizations there is nothing to bind a role to")
    with working("reading the schema", quiet=quiet):
        from automio.codegen.metadata import Folder
        from automio.codegen.permissions import Request, Rights

        rights = Rights(role, variable, preset, project.writable_shared_tables)
        tables, other = _tables(project, rights, app_id)
    if out.suffix == ".json":
        value = Request(source, rights, tables).value()
        before: dict[Path, str | None] = {out: read_text(out)}
        after = {out: json.dumps(value, indent=2, ensure_ascii=False) + "\n"}
        changed = {path: text for path, text in after.items() if text != before[path]}
        new: list[str] = []
    else:
        folder = Folder.read(out, source)
        types = {one.type for one in folder.tracked if other(one.type)}
        folder.grant(tables, rights, types)
        changed, new = folder.changed(), folder.new
    return _report(rights, tables, changed, new, check)


def _tables(project: CodegenConfig, rights: Rights, app_id: int | None) -> tuple[tuple[TableRights, ...], _Ours]:
    """The tables of the project's apps, and what tells a type of these apps."""
    from automio.codegen.groundwork import tables_by_app
    from automio.codegen.permissions import table_rights
    from automio.codegen.sources import read_sources
    from automio.dialect.read import index_schema
    from automio.dialect.sdl import Sdl

    sources = read_sources(project)
    sdl = Sdl.read((file.path, file.text) for file in sources.schema)
    by_app = {app: types for app, types in tables_by_app(sdl).items() if project.package_of(app)}
    types = [name for names in by_app.values() for name in names]
    index = index_schema(sdl, roots={}, tables=types, tenant_column=project.tenant_column)
    tables = table_rights(sdl, index, types, rights)
    if app_id is None:
        return tables, _Ours(project)
    apps = sorted(by_app.keys() - {""})
    if len(apps) != 1:
        raise ConfigError(f"--app-id needs a project of one app; this one has {', '.join(apps) or 'none'}")
    old, new = f"app_{apps[0]}_", f"app_{app_id}_"
    renamed = tuple(
        replace(table, type=table.type.replace(old, new, 1), name=table.name.replace(old, new, 1)) for table in tables
    )
    return renamed, _Ours(project, str(app_id))


class _Ours:
    """Is a type one of the apps that this run speaks for? Permissions of other apps are left alone."""

    def __init__(self, project: CodegenConfig, app: str = "") -> None:
        self.project = project
        self.app = app

    def __call__(self, type_: str) -> bool:
        from automio.dialect.names import split_app

        app = split_app(type_)[0]
        return app == self.app if self.app and app else bool(self.project.package_of(app))


def _report(
    rights: Rights, tables: tuple[TableRights, ...], changed: dict[Path, str], new: list[str], check: bool
) -> Report:
    names = [str(path) for path in changed]
    count = sum(len(table.permissions(rights)) for table in tables)
    shared = sorted(table.type for table in tables if not table.tenant_column)
    data = {
        "role": rights.role,
        "tables": len(tables),
        "permissions": count,
        "shared": shared,
        "stale" if check else "written": names,
        "new": new,
    }
    told = f"{number_of(count, 'permission')} of the role {rights.role} on {number_of(len(tables), 'table')}"
    notes = [Line(f"{path} is new: the table is tracked there without its relationships", "yellow") for path in new]
    if new:
        notes.append(Line("  If the server has the table already, run `hasura metadata export` first.", "yellow"))
    if check:
        last = f"{number_of(len(names), 'file')} out of date: run `automio export permissions`"
        lines = [*listing("stale:", names, "red"), Line(f"{last if names else 'up to date'}; {told}")]
        return Report(tuple(lines), data, FINDINGS if names else OK)
    for path, text in changed.items():
        write_text(path, text)
    lines = [*listing("wrote", names, "green"), *notes, Line(f"{told}; {number_of(len(names), 'file')} written")]
    return Report(tuple(lines), data)
