"""`automio export allow-list`: the compiled operations -> Hasura's metadata. The texts are made in codegen/allow_list.py.

Two files of a metadata folder (format v3): query_collections.yaml holds the documents, allow_list.yaml says who may send
them. Both are merged into what is there; `hasura metadata apply` sends them to the server. `--check` writes nothing and
ends with 1 when a file would change. Faults in operations are findings, exit code 1, as in `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from automio.cli.files import read_text, write_text
from automio.cli.output import FINDINGS, OK, Line, Report, listing, number_of, working
from automio.cli.project import read_config
from automio.errors import CodegenError, ConfigError

if TYPE_CHECKING:
    from automio.codegen.compiled import Package

_COLLECTIONS, _ALLOWED = "query_collections.yaml", "allow_list.yaml"


def allow_list(
    config: Path,
    *,
    out: Path,
    collection: str = "automio",
    roles: Sequence[str] = (),
    app_id: int | None = None,
    check: bool = False,
    quiet: bool = False,
) -> Report:
    """Write the collection, or with `check` only compare. `out`: query_collections.yaml or its folder.

    Raises ConfigError for files that are not Hasura's, CodegenError for faults in schema or operations; then nothing is
    written.
    """
    for name, value in (("--collection", collection), *(("--role", role) for role in roles)):
        if not value.strip() or not value.isprintable():
            raise ConfigError(f"{name} needs a name")
    project = read_config(config)
    with working("compiling", quiet=quiet):
        from automio.codegen.allow_list import collection as render
        from automio.codegen.allow_list import entry, merge
        from automio.codegen.compiled import compile_functions
        from automio.codegen.sources import read_sources
        from automio.dialect.sdl import Sdl

        sources = read_sources(project)
        sdl = Sdl.read((file.path, file.text) for file in sources.schema)
        compiled = compile_functions(sdl, sources.queries, project)
        faults = [*compiled.errors, *(d for package in compiled.packages for _, found in package.failed for d in found)]
        if faults:
            raise CodegenError(faults)
    functions = list(compiled.functions.values())
    target = out if out.suffix in (".yaml", ".yml") else out / _COLLECTIONS
    files = {
        target: (render(collection, functions, _app_ids(compiled.packages, app_id)), "name"),
        target.with_name(_ALLOWED): (entry(collection, roles), "collection"),
    }
    before = {path: read_text(path) for path in files}
    after = {path: merge(before[path] or "", text, key, collection, str(path)) for path, (text, key) in files.items()}
    changed = [path for path in files if before[path] != after[path]]
    names = [str(path) for path in changed]
    data = {
        "collection": collection,
        "queries": len(functions),
        "roles": list(roles),
        "stale" if check else "written": names,
        "unchanged": [str(path) for path in files if path not in changed],
    }
    told = f"{number_of(len(functions), 'operation')} in the collection {collection}"
    if check:
        lines = listing("stale:", names, "red")
        last = (
            f"{number_of(len(names), 'file')} out of date: run `automio export allow-list`" if names else "up to date"
        )
        return Report((*lines, Line(f"{last}; {told}")), data, FINDINGS if names else OK)
    for path in changed:
        write_text(path, after[path])
    return Report((*listing("wrote", names, "green"), Line(f"{told}; {number_of(len(names), 'file')} written")), data)


def _app_ids(packages: Sequence[Package], app_id: int | None) -> dict[str, str]:
    if app_id is None:
        return {}
    apps = sorted({package.app for package in packages} - {""})
    if len(apps) != 1:
        raise ConfigError(f"--app-id needs a project of one app; this one has {', '.join(apps) or 'none'}")
    return {apps[0]: str(app_id)}
