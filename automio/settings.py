"""Arguments, environment and `.env` -> Settings. Next: runtime/client.py, services/.

Read when API() is built (or the first typed function runs without one), never on import, and never again: a later change
of the environment does not turn half of the calls to another token or app.

The order for each name: an argument, else the environment, else `.env` of the working directory, else the default. An
empty value counts as absent; an argument of None means "none, whatever the environment says". `.env` is read by the
small reader below: python-dotenv would be one more dependency and looks for the file beside the installed package. It
knows comments, `export`, single and double quotes (over several lines too; \\n, \\t, \\", \\\\ inside double ones). It
does not expand `$NAME`: a token may hold a dollar sign. A bare name without `=` is skipped.

Two targets. The gateway is API_BASE_URL with APP_TOKEN; a Hasura endpoint is HASURA_GRAPHQL_ENDPOINT with
HASURA_GRAPHQL_ADMIN_SECRET. The endpoint wins when both come from the environment, since the base URL has a default; an
argument that names one target puts the other's environment aside; arguments for both are refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from automio.errors import ConfigError
from automio.request import UNSET

DEFAULT_BASE_URL: Final = "https://automio.com"
DEFAULT_TIMEOUT: Final = 30.0
DEFAULT_KEEP_ALIVE: Final = 20.0
DEFAULT_RECONNECT_TIMEOUT: Final = 300.0


class Target(Enum):
    """Where operations go."""

    GATEWAY = "gateway"
    HASURA = "hasura"


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What one API() works with. `repr` hides secrets. Made by `Settings.read`; the constructor checks nothing."""

    api_base_url: str = DEFAULT_BASE_URL
    app_token: str | None = None
    app_id: int | None = None
    action_id: str | None = None
    task_id: str | None = None
    organization_id: int | None = None
    connection_id: str | None = None
    hasura_graphql_endpoint: str | None = None
    hasura_graphql_admin_secret: str | None = None
    cache_service_url: str | None = None
    cache_service_token: str | None = None
    redis_url: str | None = None
    redis_host: str = "localhost"
    redis_port: int = 6379
    redis_db: int = 0
    redis_password: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for one request, connecting and reading included."""
    keep_alive: float = DEFAULT_KEEP_ALIVE
    """Seconds of silence after which a subscription's server is asked whether it is there; half as many to answer."""
    reconnect_timeout: float = DEFAULT_RECONNECT_TIMEOUT
    """Seconds for which a subscription's lost connection is tried again."""
    given: frozenset[str] = field(default=frozenset(), compare=False)
    """The names that were arguments, not environment."""

    @property
    def target(self) -> Target:
        return Target.HASURA if self.hasura_graphql_endpoint else Target.GATEWAY

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that is set, for taking them out of texts that came from outside."""
        return tuple(value for name in sorted(_SECRETS) if (value := getattr(self, name)))

    def __repr__(self) -> str:
        shown: list[str] = []
        for name in _VARIABLES:
            value = getattr(self, name)
            if value is not None:
                shown.append(f"{name}=<hidden>" if name in _SECRETS else f"{name}={value!r}")
        return f"Settings({', '.join(shown)})"

    @classmethod
    def read(cls, **overrides: Any) -> Settings:
        """The settings of now. `overrides` are named like the fields; UNSET ones are not given.

        Raises ConfigError, naming the variable or argument, for a value that can't be used and for an unknown name.
        """
        given = {name: value for name, value in overrides.items() if value is not UNSET}
        for name in given:
            if name not in _VARIABLES:
                close = get_close_matches(name, _VARIABLES, 1)
                raise ConfigError(f"there is no setting {name!r}.", hint=f"Did you mean {close[0]}?" if close else None)
        gateway, hasura = given.keys() & _GATEWAY_ONLY, given.keys() & _HASURA_ONLY
        if any(given[name] is not None for name in gateway) and any(given[name] is not None for name in hasura):
            raise ConfigError(
                "arguments for both targets are given: the gateway (api_base_url, app_token) and a Hasura endpoint.",
                hint="Give those of one.",
            )
        file = _read_env_file(Path.cwd() / ".env")
        values: dict[str, Any] = {}
        for name, (variable, read) in _VARIABLES.items():
            if name in given:
                value, label = given[name], name
                if name == "organization_id" and isinstance(value, str):
                    raise ConfigError("organization_id must be an int, not text.")
            elif gateway and not hasura and name in _HASURA_ONLY:
                continue
            else:
                value, label = os.environ.get(variable) or file.get(variable), variable
                value = value.strip() if value is not None else None
            if value is not None and value != "":
                values[name] = read(label, value)
            elif name in given and name not in _WITH_DEFAULT:
                values[name] = None
        return cls(**values, given=frozenset(name for name in given if given[name] is not None))

    def require(self, name: str) -> str:
        """The text setting `name`. Raises ConfigError, naming its variable, when it is absent."""
        value = getattr(self, name)
        if value is None:
            variable = _VARIABLES[name][0]
            raise ConfigError(
                f"{variable} is not set.", hint=f"Set it in the environment or .env, or pass {name}= to API()."
            )
        return value


# Readers: (name to show, value) -> value. Texts come from the environment, other types from arguments.


def _text(label: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{label} must be text, not {type(value).__name__}.")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ConfigError(f"{label} holds a line break or another control character.")
    return value


def _name(label: str, value: object) -> str:
    """Text, or a number that is used as text (ACTION_ID=17)."""
    return _text(label, str(value) if type(value) is int else value)


def _integer(label: str, value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        value = int(value)
    if type(value) is not int:
        raise ConfigError(f"{label} must be an integer, not {_shown(value)}.")
    return value


def _app(label: str, value: object) -> int:
    number = _integer(label, value)
    if number < 0:
        raise ConfigError(f"{label} must be the number of an app, not {number}.")
    return number


def _organization(label: str, value: object) -> int:
    number = _integer(label, value)
    if not -(2**31) <= number < 2**31:
        raise ConfigError(f"{label} must be an integer of 32 bits, not {number}.")
    return number


def _port(label: str, value: object) -> int:
    number = _integer(label, value)
    if not 0 < number < 65536:
        raise ConfigError(f"{label} must be a port, 1 to 65535, not {number}.")
    return number


def _count(label: str, value: object) -> int:
    number = _integer(label, value)
    if number < 0:
        raise ConfigError(f"{label} must be 0 or more, not {number}.")
    return number


def _seconds(label: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and type(value) is not bool else -1.0
    except ValueError:
        seconds = -1.0
    if not (seconds > 0 and isfinite(seconds)):
        raise ConfigError(f"{label} must be a number of seconds above 0, not {_shown(value)}.")
    return seconds


def _url(label: str, value: object) -> str:
    text = _text(label, value)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        parts, good = None, False
    if parts is None or not good:
        raise ConfigError(f"{label} must be a URL that starts with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{label} must not hold a user name or password.")
    if parts.query or parts.fragment:
        raise ConfigError(f"{label} must not hold a query or fragment.")
    return text.rstrip("/")


def _endpoint(label: str, value: object) -> str:
    """A Hasura endpoint; `http://host:8080`, as Hasura's own tools write it, gets the path of its GraphQL API."""
    text = _url(label, value)
    return text if urlsplit(text).path else f"{text}/v1/graphql"


def _shown(value: object) -> str:
    """A value that is no secret, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


_VARIABLES: Final = {
    "api_base_url": ("API_BASE_URL", _url),
    "app_token": ("APP_TOKEN", _text),
    "app_id": ("APP_ID", _app),
    "action_id": ("ACTION_ID", _name),
    "task_id": ("TASK_ID", _name),
    "organization_id": ("ORGANIZATION_ID", _organization),
    "connection_id": ("CONNECTION_ID", _name),
    "hasura_graphql_endpoint": ("HASURA_GRAPHQL_ENDPOINT", _endpoint),
    "hasura_graphql_admin_secret": ("HASURA_GRAPHQL_ADMIN_SECRET", _text),
    "cache_service_url": ("CACHE_SERVICE_URL", _url),
    "cache_service_token": ("CACHE_SERVICE_TOKEN", _text),
    "redis_url": ("REDIS_URL", _text),
    "redis_host": ("REDIS_HOST", _text),
    "redis_port": ("REDIS_PORT", _port),
    "redis_db": ("REDIS_DB", _count),
    "redis_password": ("REDIS_PASSWORD", _text),
    "timeout": ("AUTOMIO_TIMEOUT", _seconds),
    "keep_alive": ("AUTOMIO_KEEP_ALIVE", _seconds),
    "reconnect_timeout": ("AUTOMIO_RECONNECT_TIMEOUT", _seconds),
}
_SECRETS: Final = {"app_token", "hasura_graphql_admin_secret", "cache_service_token", "redis_url", "redis_password"}
_GATEWAY_ONLY: Final = {"api_base_url", "app_token"}
_HASURA_ONLY: Final = {"hasura_graphql_endpoint", "hasura_graphql_admin_secret"}
_WITH_DEFAULT: Final = {
    "api_base_url",
    "redis_host",
    "redis_port",
    "redis_db",
    "timeout",
    "keep_alive",
    "reconnect_timeout",
}


# The .env reader.

_ASSIGNMENT = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*
    (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<bare>[^\n"'#][^\n]*?|) )
    [ \t]*(?:(?<=[ \t"'=])\#[^\n]*)?(?=\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_SKIPPED = re.compile(r"[ \t]*(?:\#[^\n]*|(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.]*[ \t]*)?(?=\n|\Z)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_env(text: str, path: str = ".env") -> dict[str, str]:
    """The assignments of a `.env` text; of a name that stands twice, the last. Raises ConfigError with path and line."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _SKIPPED.match(text, place)
        if match is None:
            match = _ASSIGNMENT.match(text, place)
            if match is None:
                line = text.count("\n", 0, place) + 1
                raise ConfigError(f"{path}:{line}: not NAME=value, or a quote that is not closed.")
            if (value := match["double"]) is not None:
                value = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), value, flags=re.DOTALL)
            elif (value := match["single"]) is None:
                value = re.split(r"[ \t]#", match["bare"], maxsplit=1)[0].strip()
            found[match["name"]] = value
        place = match.end() + 1
    return found


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        return parse_env(path.read_text(encoding="utf-8"), path.name)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text.") from error
