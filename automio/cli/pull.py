"""`automio pull`: a server's schema -> schema/, a file a table. Next: `automio generate`.

Asks endpoint.py, lays out with layout.py, writes with files.py. Nothing is written before the whole answer is understood.

What a pull writes stands for the whole server (or for the apps that it was cut down to): files of an earlier pull that it
does not write are removed. One exception: a pull of one app refuses to go beside the pulled files of another, since both
would define the shared types; it does not remove them either, because they are likely still wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphql import GraphQLError

from automio.cli.endpoint import Endpoint, find_endpoint, introspect
from automio.cli.files import owned_files, replace_files
from automio.cli.layout import HEADER, Layout, lay_out
from automio.cli.output import Line, Report, listing, number_of, working
from automio.cli.project import read_config
from automio.errors import CodegenError, ConfigError, ProtocolError


def pull(
    *,
    config: Path,
    schema: Path | None = None,
    endpoint: str | None = None,
    role: str | None = None,
    table: str = "",
    apps: Sequence[int] = (),
    timeout: float = 60,
    quiet: bool = False,
) -> Report:
    """Pull the schema into a folder: `schema`, else the one that codegen.toml names, else `schema` beside it.

    `timeout` in seconds. Raises ConfigError, TransportError, GraphQLErrors; then no file has changed.
    """
    folder = schema or _configured_folder(config)
    if folder.is_file():
        raise ConfigError(
            f"{folder} is a file; pull writes a folder", hint='Name a folder: schema = "schema" in codegen.toml.'
        )
    source = find_endpoint(endpoint, role, table)
    wanted = tuple(map(str, apps)) or ((source.app,) if source.app else ())
    with working(f"asking {source.name}", quiet=quiet):
        layout = read_layout(source, asyncio.run(introspect(source, timeout)), wanted)
    if wanted:
        refuse_neighbours(folder, layout)
    changes = replace_files(folder, layout.files, HEADER.rstrip("\n"))
    data = {
        "endpoint": source.name,
        "folder": str(folder),
        "apps": [int(app) for app in layout.apps],
        "tables": layout.tables,
        "written": list(changes.written),
        "unchanged": list(changes.unchanged),
        "removed": list(changes.removed),
    }
    counts = f"{len(changes.written)} written, {len(changes.unchanged)} unchanged, {len(changes.removed)} removed"
    lines = listing("wrote", [str(folder / path) for path in changes.written], "green")
    lines += listing("removed", [str(folder / path) for path in changes.removed], "yellow")
    lines.append(
        Line(f"{source.name}: {number_of(layout.tables, 'table')}; {number_of(len(layout.files), 'file')}: {counts}")
    )
    return Report(tuple(lines), data)


def read_layout(source: Endpoint, introspection: Mapping[str, object], apps: Sequence[str]) -> Layout:
    """The files for an introspection. Raises ProtocolError when it is none, ConfigError when the apps have no tables."""
    try:
        layout = lay_out(introspection, apps)
    except CodegenError as exc:
        raise ProtocolError(
            f"{source.name} sent a schema that cannot be written as SDL: {exc.message}", status=200
        ) from exc
    except (GraphQLError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        reason = " ".join(str(exc).split())[:200]
        raise ProtocolError(f"{source.name} sent an introspection that is not usable: {reason}", status=200) from exc
    if apps and not layout.tables:
        there = ", ".join(layout.apps_there) or "none"
        raise ConfigError(f"{source.name} shows no table of app {', '.join(apps)}; apps with tables there: {there}")
    return layout


def _configured_folder(config: Path) -> Path:
    return config.parent / (read_config(config).schema if config.exists() else "schema")


def refuse_neighbours(folder: Path, layout: Layout) -> None:
    """One app's pull beside another's: both would hold the shared types."""
    if len(layout.apps) != 1:
        return
    own = f"app_{layout.apps[0]}/"
    others = [path for path in owned_files(folder, HEADER.rstrip("\n")) if not path.startswith(own)]
    if others:
        raise ConfigError(
            f"{folder / others[0]} is from an earlier pull of other apps; both pulls would define the types that apps share",
            hint="Pull them together (a Hasura endpoint and no --app, or several), or delete the earlier files, or use --schema.",
        )
