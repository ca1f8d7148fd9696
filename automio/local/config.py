"""platform.toml -> PlatformConfig: who may call the local platform, and which SQL it starts from. Next: platform.py.

    admin_secret = "..."             # or admin_secret_env = "NAME"; without one the Hasura endpoint is open (loopback only)
    unauthorized_role = "anonymous"  # whom a request to the Hasura endpoint without the secret is, instead of refused
    [[tokens]]                       # any number
    token = "local-org-1"            # or env = "NAME"
    organization = 1
    apps = [130]
    [database]
    schema = ["schema/*.sql"]        # applied in the order of their paths
    seeds = ["schema/seeds/*.sql"]   # applied once
    stringify_numeric = false        # numeric and bigint as JSON strings, as Hasura's option of that name
    naming_convention = "hasura-default"   # or "graphql-default", where the metadata names none
    pool_size = 8                    # connections of the engine
    live_interval_ms = 1000          # between two statements of a live query, as Hasura's refetch interval
    [tenancy]
    column = "organization_id"
    [server]
    max_body_bytes = 33554432
    [[integrations]]                 # HTTP services that calls are passed to: integration_config.py
    [[plugins]]                      # any number
    namespace = "prices"             # the interface
    integration = "allegro_sandbox"
    organization = 1
    path = "plugins/prices_allegro_sandbox.py"     # default: plugins/<namespace>_<integration>.py
    interface = "plugins/interfaces/prices.py"     # default: plugins/interfaces/<namespace>.py
    connection_ids = [34]            # what get_list gives with it; default: the organization's own
    enabled = true
    [notifications]
    inbox = ".automio/notifications"

A token stands for one organization and its apps. Two equal tokens, an empty one, and an unset environment variable are
faults: a token that is nobody's would otherwise be a token that anybody can guess. Every fault of the file is reported in
one run as path:line:column. tomllib keeps no positions, so they are looked up in the text; a key that the look-up does not
find (written inline, `tokens = [{...}]`) is reported at the line of its table, or at 1:1.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automio.errors import ConfigError, Diagnostic
from automio.local.integration_config import IntegrationConfig, read_integrations

FILE = "platform.toml"
CONVENTIONS = ("hasura-default", "graphql-default")
STRINGIFY, CONVENTION = "HASURA_GRAPHQL_STRINGIFY_NUMERIC_TYPES", "HASURA_GRAPHQL_DEFAULT_NAMING_CONVENTION"
"""Hasura's own variables, read where platform.toml says nothing."""
ORGANIZATIONS = range(-(2**31), 2**31)
"""An organization's id is a PostgreSQL integer."""

_TOP = (
    *("tokens", "admin_secret", "admin_secret_env", "unauthorized_role", "database", "tenancy", "server"),
    *("integrations", "plugins", "notifications"),
)
_TOKEN = ("token", "env", "organization", "apps")
_PLUGIN = ("namespace", "integration", "organization", "path", "interface", "connection_ids", "enabled")
_TABLES = {
    "database": ("schema", "seeds", "stringify_numeric", "naming_convention", "pool_size", "live_interval_ms"),
    "tenancy": ("column",),
    "server": ("max_body_bytes",),
    "notifications": ("inbox",),
}
_Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """An App-Token: the organization that it stands for, and the apps that it opens. The secret is not in the repr."""

    token: str = field(repr=False)
    organization: int
    apps: frozenset[int]


@dataclass(frozen=True, slots=True)
class Plugin:
    """The implementation of an interface (`namespace`) for an integration, for one organization. Paths are below `root`."""

    namespace: str
    integration: str
    organization: int
    path: Path
    interface_path: Path
    connection_ids: tuple[int, ...] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PlatformConfig:
    """What platform.toml says. Paths in `schema` and `seeds` are patterns below `root`, the folder of the file."""

    root: Path
    tokens: tuple[Token, ...] = ()
    admin_secret: str | None = field(default=None, repr=False)
    unauthorized_role: str | None = None
    schema: tuple[str, ...] = ("schema/*.sql",)
    seeds: tuple[str, ...] = ("schema/seeds/*.sql",)
    stringify_numeric: bool = False
    naming_convention: str = "hasura-default"
    pool_size: int = 8
    live_interval_ms: int = 1000
    tenant_column: str = "organization_id"
    max_body_bytes: int = 32 * 1024 * 1024
    integrations: tuple[IntegrationConfig, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    inbox_path: str = ".automio/notifications"

    @property
    def home(self) -> Path:
        """Where the platform keeps its state: `.automio` beside platform.toml."""
        return self.root / ".automio"

    @property
    def inbox(self) -> Path:
        """Where notifications go."""
        return self.root / self.inbox_path

    @property
    def apps(self) -> frozenset[int]:
        """Every app that some token opens."""
        return frozenset().union(*(token.apps for token in self.tokens))


def load_platform(path: Path, environment: Mapping[str, str] | None = None) -> PlatformConfig:
    """The configuration in a file. Raises ConfigError: not there, not TOML, or one line for every fault in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: there is no such file", hint="`automio init` writes a first one.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from exc
    return read_platform(text, path, os.environ if environment is None else environment)


def read_platform(text: str, path: Path, environment: Mapping[str, str]) -> PlatformConfig:
    """The configuration in a text; `path` names it in messages and gives `root`. Raises ConfigError."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise _config_error([_syntax_fault(str(exc), text, path)]) from exc
    reader = _Reader(text, path, environment)
    config = reader.config(value)
    if reader.faults:
        raise _config_error(reader.faults)
    return config


def _config_error(faults: list[Diagnostic]) -> ConfigError:
    lines = [
        fault.render().replace(f" [{fault.code}]", "", 1) for fault in sorted(faults, key=lambda f: (f.line, f.column))
    ]
    return ConfigError("\n".join(lines))


def _syntax_fault(message: str, text: str, path: Path) -> Diagnostic:
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    lines = text.splitlines() or [""]
    line, column = (int(found[1]), int(found[2])) if found and found[1] else (len(lines), len(lines[-1]) + 1)
    source = lines[line - 1] if line <= len(lines) else ""
    return Diagnostic(str(path), line, column, re.sub(r" \(at .*\)$", "", message), "AUTOMIO-001", "", _shown(source))


def _shown(source: str) -> str:
    """A line for a message: "" when it may hold a secret."""
    return (
        "" if "=" in source and re.search(r"token|secret|header|authorization|key", source, re.IGNORECASE) else source
    )


class _Reader:
    """Checks the values one by one and collects the faults; what is wrong is left at its default."""

    def __init__(self, text: str, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.places = key_places(text)
        self.environment = environment
        self.faults: list[Diagnostic] = []

    def config(self, value: Mapping[str, Any]) -> PlatformConfig:
        self.known(value, (), _TOP)
        tables = {name: self.table(value, name) for name in _TABLES}
        database, tenancy, server = tables["database"], tables["tenancy"], tables["server"]
        default = PlatformConfig(self.path.parent)
        return PlatformConfig(
            root=self.path.parent,
            tokens=self.tokens(value.get("tokens", [])),
            admin_secret=self.secret(value, (), "admin_secret", "admin_secret_env", needed=False),
            unauthorized_role=self.text(value, ("unauthorized_role",), "") if "unauthorized_role" in value else None,
            schema=self.patterns(database, "schema", default.schema),
            seeds=self.patterns(database, "seeds", default.seeds),
            stringify_numeric=self.boolean(database, ("database", "stringify_numeric")) or self.stringifies(),
            naming_convention=self.convention(database),
            pool_size=self.number(database, ("database", "pool_size"), range(1, 1001), default.pool_size),
            live_interval_ms=self.number(
                database, ("database", "live_interval_ms"), range(10, 60_001), default.live_interval_ms
            ),
            tenant_column=self.text(tenancy, ("tenancy", "column"), default.tenant_column),
            max_body_bytes=self.number(
                server, ("server", "max_body_bytes"), range(1024, 2**31), default.max_body_bytes
            ),
            integrations=read_integrations(self, value.get("integrations", [])),
            plugins=self.plugins(value.get("plugins", [])),
            inbox_path=self.text(tables["notifications"], ("notifications", "inbox"), default.inbox_path),
        )

    def fault(self, place: _Place, message: str, hint: str = "") -> None:
        while place and place not in self.places:
            place = place[:-1]
        line, column = self.places.get(place, (1, 1))
        source = self.lines[line - 1] if line <= len(self.lines) else ""
        self.faults.append(Diagnostic(str(self.path), line, column, message, "AUTOMIO-001", hint, _shown(source)))

    def known(self, value: Mapping[str, Any], place: _Place, names: tuple[str, ...]) -> None:
        for name in value:
            if name not in names:
                close = difflib.get_close_matches(name, names, 1)
                hint = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(names)}."
                self.fault((*place, name), f"unknown key `{name}`", hint)

    def table(self, value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found = value.get(name, {})
        if not isinstance(found, dict):
            self.fault((name,), f"`{name}` is a table: write [{name}] above its keys")
            return {}
        self.known(found, (name,), _TABLES[name])
        return found

    def tokens(self, value: Any) -> tuple[Token, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(("tokens",), "`tokens` is a list of tables: write [[tokens]] above each")
            return ()
        found: dict[str, Token] = {}
        for number, item in enumerate(value):
            place = ("tokens", number)
            self.known(item, place, _TOKEN)
            secret = self.secret(item, place, "token", "env", needed=True)
            organization, apps = self.organization(item, place), self.app_ids(item, place)
            if secret is None or organization is None or apps is None:
                continue
            if secret in found:
                self.fault((*place, "token"), "this token is declared twice", "A token stands for one organization.")
            found[secret] = Token(secret, organization, apps)
        return tuple(found.values())

    def plugins(self, value: Any) -> tuple[Plugin, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(("plugins",), "`plugins` is a list of tables: write [[plugins]] above each")
            return ()
        found: dict[tuple[int, str, str], Plugin] = {}
        for number, item in enumerate(value):
            place = ("plugins", number)
            self.known(item, place, _PLUGIN)
            namespace, integration = (
                self.name(item, place, "namespace", _NAMESPACE, "a Python name, without dots"),
                self.name(item, place, "integration", _INTEGRATION, "letters, digits, - and _"),
            )
            organization = self.organization(item, place)
            if namespace is None or integration is None or organization is None:
                continue
            key = (organization, namespace, integration)
            if key in found:
                self.fault(place, "this plugin is declared twice", "One for a namespace and an integration.")
            found[key] = Plugin(
                *(namespace, integration, organization),
                path=self.file(item, place, "path", f"plugins/{namespace}_{integration}.py"),
                interface_path=self.file(item, place, "interface", f"plugins/interfaces/{namespace}.py"),
                connection_ids=self.integers(item, place, "connection_ids"),
                enabled=self.switch(item, place, "enabled"),
            )
        return tuple(found.values())

    def name(self, value: Mapping[str, Any], place: _Place, key: str, shape: re.Pattern[str], is_: str) -> str | None:
        found = value.get(key)
        if isinstance(found, str) and shape.fullmatch(found):
            return found
        self.fault((*place, key), f"`{key}` is needed: {is_}")
        return None

    def file(self, value: Mapping[str, Any], place: _Place, key: str, default: str) -> Path:
        found = value.get(key, default)
        if _is_pattern(found):
            return Path(found)
        self.fault((*place, key), f"`{key}` is a file below the folder of {self.path.name}")
        return Path(default)

    def integers(self, value: Mapping[str, Any], place: _Place, key: str) -> tuple[int, ...] | None:
        found = value.get(key)
        if found is None:
            return None
        if isinstance(found, list) and all(type(item) is int for item in found):
            return tuple(found)
        self.fault((*place, key), f"`{key}` is a list of integers")
        return None

    def switch(self, value: Mapping[str, Any], place: _Place, key: str) -> bool:
        found = value.get(key, True)
        if not isinstance(found, bool):
            self.fault((*place, key), f"`{key}` is true or false")
        return found is not False

    def secret(self, value: Mapping[str, Any], place: _Place, key: str, env_key: str, *, needed: bool) -> str | None:
        if key in value and env_key in value:
            self.fault((*place, env_key), f"`{key}` and `{env_key}` exclude each other")
            return None
        if env_key in value:
            name = value[env_key]
            if not isinstance(name, str) or not name:
                self.fault((*place, env_key), f"`{env_key}` is the name of an environment variable")
            elif not self.environment.get(name):
                self.fault((*place, env_key), f"the environment variable {name} is not set")
            else:
                return self.environment[name]
            return None
        if key not in value:
            if needed:
                self.fault(place, f"`{key}` is missing", f'Write {key} = "...", or {env_key} = "NAME".')
            return None
        secret = value[key]
        if not isinstance(secret, str) or not secret or secret != secret.strip():
            self.fault((*place, key), f"`{key}` is a text, not empty, without spaces around it")
            return None
        return secret

    def organization(self, value: Mapping[str, Any], place: _Place) -> int | None:
        organization = value.get("organization")
        if type(organization) is int and organization in ORGANIZATIONS:
            return organization
        self.fault((*place, "organization"), "`organization` is needed: the integer id of one organization")
        return None

    def app_ids(self, value: Mapping[str, Any], place: _Place) -> frozenset[int] | None:
        apps = value.get("apps")
        if isinstance(apps, list) and all(type(app) is int and app >= 0 for app in apps):
            return frozenset(apps)
        self.fault((*place, "apps"), "`apps` is needed: a list of app ids, as in apps = [130]")
        return None

    def patterns(self, value: Mapping[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        found = value.get(name, list(default))
        if isinstance(found, str):
            found = [found]
        if isinstance(found, list) and all(_is_pattern(item) for item in found):
            return tuple(found)
        self.fault(("database", name), f"`{name}` is a list of patterns below the folder of {self.path.name}")
        return default

    def boolean(self, value: Mapping[str, Any], place: tuple[str, str]) -> bool:
        found = value.get(place[1], False)
        if not isinstance(found, bool):
            self.fault(place, f"`{place[1]}` is true or false")
        return found is True

    def stringifies(self) -> bool:
        """Hasura's variable of that name, for who has set it already."""
        return self.environment.get(STRINGIFY, "").lower() in ("true", "t", "yes", "y")

    def convention(self, value: Mapping[str, Any]) -> str:
        """platform.toml's convention, else the one of Hasura's variable."""
        named = self.environment.get(CONVENTION) or CONVENTIONS[0]
        found = value.get("naming_convention", named)
        if found in CONVENTIONS:
            return found
        self.fault(("database", "naming_convention"), f"`naming_convention` is {' or '.join(CONVENTIONS)}")
        return CONVENTIONS[0]

    def number(self, value: Mapping[str, Any], place: tuple[str, str], allowed: range, default: int) -> int:
        found = value.get(place[1], default)
        if type(found) is int and found in allowed:
            return found
        self.fault(place, f"`{place[1]}` is an integer from {allowed.start} to {allowed.stop - 1}")
        return default

    def text(self, value: Mapping[str, Any], place: _Place, default: str) -> str:
        found = value.get(str(place[-1]), default)
        if isinstance(found, str) and found:
            return found
        self.fault(place, f"`{place[-1]}` is a text")
        return default


def _is_pattern(value: object) -> bool:
    """A glob below a folder: relative, and without `..`."""
    return isinstance(value, str) and value != "" and not Path(value).is_absolute() and ".." not in Path(value).parts


_NAMESPACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_INTEGRATION = re.compile(r"[A-Za-z0-9_-]{1,100}")
_HEADER = re.compile(r"(\s*)(\[\[?)\s*([\w.-]+)\s*\]\]?")
_KEY = re.compile(r"""(\s*)(["']?)([\w-]+)\2\s*[=.]""")


def key_places(text: str) -> dict[_Place, tuple[int, int]]:
    """Where each key and table stands, (line, column) from 1; list tables carry their number: ("tokens", 0, "env")."""
    places: dict[_Place, tuple[int, int]] = {}
    numbers: dict[_Place, int] = {}
    table: _Place = ()

    def numbered(names: list[str]) -> _Place:
        """The way to a table, through the latest element of each list on it."""
        found: _Place = ()
        for name in names:
            found = (*found, name)
            if found in numbers:
                found = (*found, numbers[found])
        return found

    for line, source in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(source):
            names = header[3].split(".")
            if header[2] == "[[":
                table = (*numbered(names[:-1]), names[-1])
                places.setdefault(table, (line, len(header[1]) + 1))
                numbers[table] = numbers.get(table, -1) + 1
                table = (*table, numbers[table])
                places[table] = (line, len(header[1]) + 1)
            else:
                table = numbered(names)
                places.setdefault(table, (line, len(header[1]) + 1))
        elif key := _KEY.match(source):
            places.setdefault((*table, key[3]), (line, len(key[1]) + 1))
    return places
