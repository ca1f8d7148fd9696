"""`[[integrations]]` of platform.toml -> IntegrationConfig. Called by config.py; used by integrations.py.

    [[integrations]]
    id = "allegro_sandbox"
    name = "Allegro sandbox"                # default: the id
    base_url = "http://127.0.0.1:9000"
    rate_limit = 10.0                       # requests a second and connection; default: none
    concurrency = 10                        # requests in flight a connection
    timeout = 25.0                          # seconds for one request; less than a client waits, which gets a value then
    [[integrations.connections]]
    id = 34
    name = "user@domain.com"                # may stand for the id in calls
    organization = 2
    apps = [130]                            # apps of other organizations that may use it, too; default: none
    headers = { Authorization = "Bearer x" }
    header_env = { X-Key = "NAME" }         # a header whose value is in an environment variable

Headers are secrets: they are not in a repr, and no line that holds one is shown in a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

INTEGRATION = ("id", "name", "version", "base_url", "rate_limit", "concurrency", "timeout", "connections")
SECONDS = 25.0
CONNECTION = ("id", "name", "organization", "apps", "headers", "header_env")
_Place = tuple[str | int, ...]
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """A connected account of one organization. `apps`: apps through which other organizations may use it."""

    id: int
    name: str
    organization: int
    apps: frozenset[int] = frozenset()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class IntegrationConfig:
    """An HTTP service, and who is connected to it."""

    id: str
    name: str
    base_url: str
    version: str = "1.0"
    rate_limit: float | None = None
    concurrency: int = 10
    timeout: float = SECONDS
    connections: tuple[ConnectionConfig, ...] = ()


class Reader(Protocol):
    """What config.py's reader offers."""

    environment: Mapping[str, str]

    def fault(self, place: _Place, message: str, hint: str = "") -> None: ...

    def known(self, value: Mapping[str, Any], place: _Place, names: tuple[str, ...]) -> None: ...

    def organization(self, value: Mapping[str, Any], place: _Place) -> int | None: ...


def read_integrations(reader: Reader, value: Any) -> tuple[IntegrationConfig, ...]:
    """The integrations; what is wrong is a fault of the reader and left out."""
    found: dict[str, IntegrationConfig] = {}
    for place, item in _tables(reader, value, ("integrations",)):
        reader.known(item, place, INTEGRATION)
        integration = _integration(reader, item, place)
        if integration is None:
            continue
        if integration.id in found:
            reader.fault((*place, "id"), f"the integration {integration.id!r} is declared twice")
        found[integration.id] = integration
    return tuple(found.values())


def _tables(reader: Reader, value: Any, place: _Place) -> list[tuple[_Place, Mapping[str, Any]]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [((*place, number), item) for number, item in enumerate(value)]
    name = ".".join(str(part) for part in place if isinstance(part, str))
    reader.fault(place, f"`{place[-1]}` is a list of tables: write [[{name}]] above each")
    return []


def _integration(reader: Reader, item: Mapping[str, Any], place: _Place) -> IntegrationConfig | None:
    identifier = _text(reader, item, place, "id", 100)
    if identifier is not None and "/" in identifier:
        reader.fault((*place, "id"), "`id` holds no slash: it stands in the addresses of its endpoints")
    name = _text(reader, item, place, "name", 150, identifier or "-")
    version = _text(reader, item, place, "version", 10, "1.0")
    base_url = _base_url(reader, item, place)
    rate = _number(reader, item, place, "rate_limit", None)
    timeout = _number(reader, item, place, "timeout", SECONDS)
    concurrency = item.get("concurrency", 10)
    if type(concurrency) is not int or not 1 <= concurrency <= 1000:
        reader.fault((*place, "concurrency"), "`concurrency` is an integer from 1 to 1000")
    connections = _connections(reader, item.get("connections", []), (*place, "connections"))
    if identifier is None or name is None or version is None or base_url is None or timeout is None:
        return None
    return IntegrationConfig(identifier, name, base_url, version, rate, concurrency, timeout, connections)


def _connections(reader: Reader, value: Any, place: _Place) -> tuple[ConnectionConfig, ...]:
    found: list[ConnectionConfig] = []
    for at, item in _tables(reader, value, place):
        reader.known(item, at, CONNECTION)
        number = item.get("id")
        if type(number) is not int or not 0 <= number < 2**63:
            reader.fault((*at, "id"), "`id` is needed: the integer id of the connection")
        name = _text(reader, item, at, "name", 200)
        organization = reader.organization(item, at)
        apps = item.get("apps", [])
        if not (isinstance(apps, list) and all(type(app) is int and app >= 0 for app in apps)):
            reader.fault((*at, "apps"), "`apps` is a list of app ids, as in apps = [130]")
            apps = []
        headers = _headers(reader, item, at)
        if type(number) is not int or name is None or organization is None:
            continue
        if any(other.id == number for other in found):
            reader.fault((*at, "id"), f"the connection {number} is declared twice in this integration")
        if any((other.name, other.organization) == (name, organization) for other in found):
            reader.fault((*at, "name"), f"organization {organization} has two connections of this name")
        found.append(ConnectionConfig(number, name, organization, frozenset(apps), headers))
    return tuple(found)


def _text(
    reader: Reader, item: Mapping[str, Any], place: _Place, key: str, longest: int, default: str | None = None
) -> str | None:
    found = item.get(key, default)
    if isinstance(found, str) and found.strip() == found and 0 < len(found) <= longest:
        return found
    reader.fault((*place, key) if key in item else place, f"`{key}` is needed: a text of 1 to {longest} characters")
    return None


def _base_url(reader: Reader, item: Mapping[str, Any], place: _Place) -> str | None:
    found = item.get("base_url")
    try:
        parts = urlsplit(found) if isinstance(found, str) else None
        good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, good = None, False
    if parts is None or not good:
        reader.fault((*place, "base_url"), "`base_url` is needed: a URL that starts with http:// or https://")
    elif parts.username is not None or parts.query or parts.fragment:
        reader.fault((*place, "base_url"), "`base_url` holds no user name, query or fragment")
    elif isinstance(found, str):
        return found.rstrip("/")
    return None


def _number(reader: Reader, item: Mapping[str, Any], place: _Place, key: str, default: float | None) -> float | None:
    found = item.get(key, default)
    if found is None or (type(found) in (int, float) and 0 < found <= 86400):
        return found
    reader.fault((*place, key), f"`{key}` is a number above 0")
    return default


def _headers(reader: Reader, item: Mapping[str, Any], place: _Place) -> tuple[tuple[str, str], ...]:
    """Both tables together; a fault never quotes a value."""
    found: dict[str, str] = {}
    for key in ("headers", "header_env"):
        value = item.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            reader.fault((*place, key), f'`{key}` is a table of texts, as in {key} = {{ Authorization = "…" }}')
            continue
        for name, text in value.items():
            if not _NAME.fullmatch(name) or name.lower() in _OURS:
                reader.fault((*place, key), f"{name!r} cannot be a header of a connection")
            elif name.lower() in {other.lower() for other in found}:
                reader.fault((*place, key), f"the header {name} is declared twice")
            elif key == "header_env" and not reader.environment.get(text):
                reader.fault((*place, key), f"the environment variable {text} is not set")
            else:
                secret = text if key == "headers" else reader.environment[text]
                if not secret.isascii() or any(ord(char) < 32 or ord(char) == 127 for char in secret):
                    reader.fault((*place, key), f"the header {name} holds a character that headers can't carry")
                found[name] = secret
    return tuple(found.items())
