"""Sources -> the files of all packages: changed ones compiled, the others read from disk. Next: package.py, for each.

Sdl -> operations by app -> Package by Package -> {path: text}

A package is compiled and lets go of its nodes, so memory holds one app's slice of the schema at a time; where there are
many, other processes compile beside this one. Every diagnostic of the run is collected before CodegenError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
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
_ENOUGH = 150
"""Tables and operations that are worth another process: it needs half a second before its first package."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A package that was compiled or kept; of a compiled one its files, not formatted yet, and its faults."""

    remembered: Remembered
    files: dict[Path, str] = field(default_factory=dict)
    errors: tuple[Diagnostic, ...] = ()


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
        apps = {*operations, *kept, *filter(self.config.package_of, self.tables)}
        ordered = sorted(apps, key=lambda app: (len(app), app))
        made: dict[str, Outcome] = {}
        files: dict[Path, str] = {}
        changed: list[str] = []
        for app in ordered:
            known = kept.get(app) or self.cache.kept(app, self.package(app, queries, operations).parts(), self.sdl)
            if known:
                made[app] = Outcome(known[0])
                files |= known[1]
            else:
                changed.append(app)
        standing = frozenset(files)
        with Formatter() as formatter:
            for app, outcome in self.outcomes(changed, queries, operations, findings.errors):
                formatter.add(outcome.files)
                made[app] = replace(outcome, files={})
            for app in ordered:
                findings.warnings += made[app].remembered.warnings
                findings.errors += made[app].errors
            if findings.errors:
                raise CodegenError(list(dict.fromkeys(findings.errors)))
            files |= formatter.formatted()
        packages = {app: made[app].remembered for app in ordered}
        self.cache.save(files, packages, general)
        return files, tuple(dict.fromkeys(findings.warnings)), standing

    def package(
        self, app: str, queries: Queries, operations: Mapping[str, list[Located]], faults: Iterable[Diagnostic] = ()
    ) -> Package:
        own, tables = operations.get(app, []), self.tables.get(app, [])
        return Package(self.config, self.sdl, queries, app, own, tables, Findings([*faults]))

    def outcomes(
        self, apps: list[str], queries: Queries, operations: Mapping[str, list[Located]], faults: list[Diagnostic]
    ) -> Iterable[tuple[str, Outcome]]:
        """Compile these apps' packages, in no order; beside other processes where there is enough to do.

        `faults`: of the run so far. When there are any, no code is made and only more faults are looked for.
        """

        def here(app: str) -> Outcome:
            return self.outcome(self.package(app, queries, operations, faults))

        work = sum(len(operations.get(app, ())) + len(self.tables.get(app, ())) for app in apps)
        if faults or work < _ENOUGH or len(apps) == 1:
            return ((app, here(app)) for app in apps)
        from automio.codegen.processes import shared

        files_of = {app: tuple(file.path for file in self.package(app, queries, operations).sources()) for app in apps}
        project = (self.config, self.sources, replace(self.cache, last=None))
        return shared(apps, here, _outcome, _prepare, (project, files_of))

    def outcome(self, package: Package) -> Outcome:
        """Compile one package. Its faults are returned."""
        findings = package.findings
        files: dict[Path, str] = {}
        try:
            files = package.files()
        except CodegenError as error:
            findings.errors += error.diagnostics
        remembered = self.cache.remember(package, files, findings.warnings)
        self.sdl.forget()
        return Outcome(remembered, files, tuple(findings.errors))


# In another process (processes.py): the schema is indexed once, then it goes from package to package.

_project: Packages | None = None
_files_of: Mapping[str, tuple[str, ...]] = {}


def _prepare(project: tuple[CodegenConfig, Sources, Cache], files_of: Mapping[str, tuple[str, ...]]) -> None:
    global _project, _files_of
    _project, _files_of = Packages.of(*project), files_of


def _outcome(app: str) -> Outcome:
    assert _project
    queries, operations = _operations(_files_of[app])
    return _project.outcome(_project.package(app, queries, operations))


@lru_cache(maxsize=1)
def _operations(paths: tuple[str, ...]) -> tuple[Queries, Mapping[str, list[Located]]]:
    """Of these files, which have no faults: they were parsed before."""
    assert _project
    findings = Findings()
    queries = parse_queries((file for file in _project.sources.queries if file.path in paths), findings)
    return queries, assign(queries, _project.sdl, _project.config, findings)
