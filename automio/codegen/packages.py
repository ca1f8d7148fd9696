"""Sources -> the files of all packages: changed ones compiled, the others read from disk. Next: package.py, for each.

Sdl -> operations by app -> Package by Package -> {path: text}

Packages are compiled one after the other and let go of their nodes, so memory holds one app's slice of the schema at a
time. Every diagnostic of the run is collected before CodegenError is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from automio.codegen.cache import Cache, Remembered
from automio.codegen.config import CodegenConfig
from automio.codegen.groundwork import tables_by_app
from automio.codegen.operations import Findings, Located, Queries, assign, parse_queries, unused_fragments
from automio.codegen.overrides import unknown_tables
from automio.codegen.package import Package
from automio.codegen.sources import Sources
from automio.codegen.write import Formatter
from automio.dialect.sdl import Sdl
from automio.errors import CodegenError, Diagnostic

Made = tuple[dict[Path, str], tuple[Diagnostic, ...], frozenset[Path]]


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages of one run."""

    config: CodegenConfig
    sources: Sources
    cache: Cache
    sdl: Sdl
    tables: Mapping[str, list[str]]

    @classmethod
    def of(cls, config: CodegenConfig, sources: Sources, cache: Cache) -> Packages:
        """Index the schema. Raises CodegenError for its faults."""
        sdl = Sdl.read((file.path, file.text) for file in sources.schema)
        return cls(config, sources, cache, sdl, tables_by_app(sdl))

    def files(self) -> Made:
        """Every file, formatted, the warnings, and those of the files that were read from disk. Raises CodegenError with all faults."""
        return self.after_schema_change() or self.everything()

    def after_schema_change(self) -> Made | None:
        """When only the schema has changed: only the operations of packages that it changes are parsed.

        None when this shortcut does not hold: other operations, faults (which want the whole list), or an operation that
        goes to another package now.
        """
        last = self.cache.last_of_same_queries()
        if not last:
            return None
        kept: dict[str, tuple[Remembered, dict[Path, str]]] = {}
        for app, known in last.packages.items():
            parts = replace(known.parts, tables=tuple(self.tables.get(app, ())))
            found = self.cache.kept(app, parts, self.sdl)
            if found:
                kept[app] = found
        wanted = {path for app, known in last.packages.items() if app not in kept for path in known.parts.sources}
        findings = Findings()
        queries = parse_queries((file for file in self.sources.queries if file.path in wanted), findings)
        operations = assign(queries, self.sdl, self.config, findings)
        here = {app: tuple(located.name for located in found) for app, found in operations.items() if app not in kept}
        then = {app: known.parts.operations for app, known in last.packages.items() if app not in kept}
        if findings.errors or here != {app: names for app, names in then.items() if names}:
            return None
        try:
            return self.compiled(queries, operations, findings, last.warnings, kept)
        except CodegenError:
            return None

    def everything(self) -> Made:
        """Parse all operations; a package is still read from disk when nothing that it depends on has changed."""
        findings = Findings()
        queries = parse_queries(self.sources.queries, findings)
        operations = assign(queries, self.sdl, self.config, findings)
        unused_fragments(queries, findings)
        return self.compiled(queries, operations, findings, tuple(findings.warnings), {})

    def compiled(
        self,
        queries: Queries,
        operations: Mapping[str, list[Located]],
        findings: Findings,
        general: tuple[Diagnostic, ...],
        kept: Mapping[str, tuple[Remembered, dict[Path, str]]],
    ) -> Made:
        """Go through the packages: those of `kept` and others that have not changed are read from disk."""
        findings.warnings[:] = general
        findings.errors += unknown_tables(self.sdl, self.config)
        files: dict[Path, str] = {}
        packages: dict[str, Remembered] = {}
        apps = {*operations, *kept, *filter(self.config.package_of, self.tables)}
        with Formatter() as formatter:
            for app in sorted(apps, key=lambda app: (len(app), app)):
                tables = self.tables.get(app, [])
                package = Package(self.config, self.sdl, queries, app, operations.get(app, []), tables, findings)
                known = kept.get(app) or self.cache.kept(app, package.parts(), self.sdl)
                if known:
                    packages[app] = known[0]
                    files |= known[1]
                    findings.warnings += known[0].warnings
                    continue
                said = len(findings.warnings)
                try:
                    own = package.files()
                except CodegenError as error:
                    findings.errors += error.diagnostics
                    continue
                formatter.add(own)
                packages[app] = self.cache.remember(package, own, findings.warnings[said:])
                self.sdl.forget()
            if findings.errors:
                raise CodegenError(list(dict.fromkeys(findings.errors)))
            standing = frozenset(files)
            files |= formatter.formatted()
        self.cache.save(files, packages, general)
        return files, tuple(dict.fromkeys(findings.warnings)), standing
