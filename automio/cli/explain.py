"""`automio explain FILE[:OPERATION]`: what an operation becomes, and why. The words are made in codegen/explain.py.

FILE is a file of operations, of this project or not, or `-` for text on stdin; or the name of a generated function, which
shows what the derived ones send: `automio explain orders.find`. Nothing is sent and nothing is run: with
`--sql` our engine plans the scoped document on the local platform's database and shows the statements, those of a caller
who is bound to the organization, as the platform's gateway is. The database is DATABASE_URL, else the project's own in
`.automio/`, started if need be; without either, or where the tables are not in it, a note says so and the rest stands.

Exit code 1 for a faulty or refused document, with its place; 2 when there is no such file or operation.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automio.cli.output import OK, Line, Report, working
from automio.cli.project import read_config
from automio.errors import AutomioError, ConfigError

if TYPE_CHECKING:
    from automio.codegen.config import CodegenConfig
    from automio.codegen.explain import Explanation
    from automio.codegen.sources import SourceFile

_FUNCTION = re.compile(r"(?!.*\.(graphql|gql)$)[A-Za-z_]\w*(\.[A-Za-z_]\w*){1,2}")


@dataclass(frozen=True, slots=True)
class Sql:
    """The statements of an operation and the variables they were planned with, or why there are none."""

    statements: tuple[str, ...] = ()
    variables: Mapping[str, Any] | None = None
    note: str = ""


def run(
    file: str,
    *,
    config: Path,
    sql: bool = False,
    variables: str = "",
    organization: int = 1,
    quiet: bool = False,
) -> Report:
    """The explanation of one operation, or of all in the file.

    Raises ConfigError when there is nothing to explain, CodegenError for faults and refusals, with their places.
    """
    given = _variables(variables)
    project = read_config(config)
    with working("reading the schema", quiet=quiet):
        from automio.codegen.explain import explain, explain_function
        from automio.codegen.sources import read_sources
        from automio.dialect.sdl import Sdl

        sources = read_sources(project)
        sdl = Sdl.read((source.path, source.text) for source in sources.schema)
        if _FUNCTION.fullmatch(file) and not Path(file).exists():
            found = [explain_function(sdl, sources.queries, file, project)]
        else:
            target, operation = _target(file, project, sources.queries)
            found = explain(sdl, sources.queries, target, project, operation=operation)
    plans = _plans(found, project, given, organization) if sql else [None] * len(found)
    lines = [line for one, plan in zip(found, plans, strict=True) for line in _lines(one, plan)]
    data = [_data(one, plan) for one, plan in zip(found, plans, strict=True)]
    return Report(tuple(lines[1:]), {"operations": data}, OK)


def _variables(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--variables is not JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise ConfigError("--variables takes a JSON object")
    return value


def _target(file: str, config: CodegenConfig, queries: Sequence[SourceFile]) -> tuple[SourceFile, str]:
    """The text to explain and the name of the operation in it, "" for all."""
    from automio.codegen.sources import SourceFile

    path, operation = file, ""
    if not Path(file).exists() and ":" in file:
        path, _, operation = file.rpartition(":")
    if path == "-":
        return SourceFile("<stdin>", sys.stdin.read()), operation
    place = Path(path)
    if not place.is_file():
        raise ConfigError(f"{path} {'is no file' if place.exists() else 'does not exist'}")
    whole = place.resolve()
    if whole.is_relative_to(config.root):
        name = whole.relative_to(config.root).as_posix()
        for known in queries:
            if known.path == name:
                return known, operation
    try:
        return SourceFile(path, whole.read_bytes().decode("utf-8-sig")), operation
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None


# SQL.


def _plans(
    found: Sequence[Explanation], config: CodegenConfig, given: Mapping[str, Any], organization: int
) -> list[Sql | None]:
    """The SQL of each operation. What hinders it becomes a note: the rest of the explanation stands without it."""
    from automio.local.config import FILE, PlatformConfig, load_platform
    from automio.local.postgres import DATABASE_URL, database_url

    path = config.root / FILE
    platform = load_platform(path) if path.exists() else PlatformConfig(config.root)
    home = platform.home / "postgres"
    if not os.environ.get(DATABASE_URL, "").strip() and not home.is_dir():
        note = f"no database here: run `automio serve` once, or set {DATABASE_URL}"
        return [Sql(note=note)] * len(found)
    try:
        with database_url(home) as dsn:
            return asyncio.run(_planned(found, dsn, platform, given, organization))
    except AutomioError as error:
        return [Sql(note=f"the database was not reached: {error.message}")] * len(found)


async def _planned(
    found: Sequence[Explanation], dsn: str, platform: Any, given: Mapping[str, Any], organization: int
) -> list[Sql | None]:
    from automio.engine.engine import Caller, Engine

    engine = await Engine.connect(
        dsn, pool_size=1, stringify_numeric=platform.stringify_numeric, tenant_column=platform.tenant_column
    )
    try:
        plans: list[Sql | None] = []
        for one in found:
            try:
                sent = _sent(one, given, organization)
                body = {"query": one.scoped.text, "variables": sent, "operationName": one.scoped.name}
                statements = await engine.explain(Caller(organization=organization), body)
                plans.append(Sql(tuple(statement.text for statement in statements), sent))
            except AutomioError as error:
                path = getattr(error, "path", "")
                plans.append(Sql(note=f"no SQL: {f'{path}: ' if path else ''}{error.message}"))
        return plans
    finally:
        await engine.close()


def _sent(one: Explanation, given: Mapping[str, Any], organization: int) -> dict[str, Any]:
    """The variables as the runtime would send them; what is needed and was not given gets a value of its type."""
    from automio.codegen.explain import sample_variables
    from automio.scope.values import apply_rules

    names = {name for name, _, _ in one.variables}
    values = sample_variables(one, {name: value for name, value in given.items() if name in names})
    sent = apply_rules(one.scoped.rules, values, organization, one.index, python_names=False)
    for name in one.scoped.dropped:
        sent.pop(name, None)
    if one.scoped.scope_variable:
        sent[one.scoped.scope_variable] = organization
    return sent


# Telling.


def _lines(one: Explanation, sql: Sql | None) -> Iterator[Line]:
    yield Line("")
    yield Line(f"{one.scoped.kind} {one.name or 'without a name'} ({one.source})", "bold")
    yield from _part("sent", one.scoped.text.split("\n"))
    variables = [f"${name}: {type_}: {text}" for name, type_, said in one.variables for text in said]
    if one.asked:
        yield from _part("asked before", one.asked.split("\n"))
        yield from _part("asked for", one.asked_for)
    yield from _part("variables", variables or ["none"])
    yield from _part("checked at each call", one.checks)
    yield from _part("why", [f"{reason.path}: {reason.text}" for reason in one.scoped.reasons] or [_nothing(one)])
    yield from _part("the answer", one.plan or ["returned as it comes"])
    yield from _part("tables", one.scoped.tables)
    if sql is not None:
        for number, statement in enumerate(sql.statements, start=1):
            title = "SQL" if len(sql.statements) == 1 else f"SQL, statement {number} of {len(sql.statements)}"
            yield from _part(title, statement.split("\n"))
        if sql.statements:
            yield from _part("planned with", [json.dumps(sql.variables, ensure_ascii=False, default=str)])
        elif sql.note:
            yield from _part("SQL", [sql.note])
        else:
            yield from _part("SQL", ["none: no table is asked"])


def _nothing(one: Explanation) -> str:
    return (
        "nothing is changed" if one.scoped.scope_variable is None else "the organization is the document's own variable"
    )


def _part(title: str, texts: Sequence[str]) -> Iterator[Line]:
    if texts:
        yield Line(f"  {title}", "cyan")
        for text in texts:
            yield Line(f"    {text}" if text else "")


def _data(one: Explanation, sql: Sql | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": one.name,
        "kind": one.scoped.kind,
        "source": one.source,
        "written": one.written,
        "sent": one.scoped.text,
        "asked": {"query": one.asked, "for": one.asked_for} if one.asked else None,
        "variables": [{"name": name, "type": type_, "rules": said} for name, type_, said in one.variables],
        "checks": one.checks,
        "reasons": [{"path": reason.path, "text": reason.text} for reason in one.scoped.reasons],
        "plan": one.plan,
        "tables": list(one.scoped.tables),
    }
    if sql is not None:
        data["sql"] = {"statements": list(sql.statements), "variables": sql.variables, "note": sql.note}
    return data
