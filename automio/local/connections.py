"""A request's token -> the connections that it may use. Used by integrations.py.

A token uses the connections of its organization, and those of another organization that name one of the token's apps in `apps`
(with X-App-Id: that app). Every other connection is answered like one that does not exist: 403. A connection is named by its
id or its name; the caller's own come first. Without one it is the organization's first.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from automio.local.config import Token
from automio.local.integration_config import ConnectionConfig, IntegrationConfig
from automio.local.requests import Refusal, number

_NO_ACCESS: Final = "no access to this connection"


@dataclass(frozen=True, slots=True)
class Request:
    """What came, read as far as every endpoint needs it."""

    token: Token
    app: int | None
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    target: str


def request_of(token: Token, scope: MutableMapping[str, Any]) -> Request:
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(len(values) > 1 for values in query.values()):
        raise Refusal(400, "a query parameter stands there twice")
    headers = dict(scope["headers"])
    text = headers.get(b"x-app-id", b"").decode("latin-1")
    app = number(text)
    if app is not None and app not in token.apps:
        raise Refusal(403, f"this token does not open app {app}")
    host = headers.get(b"host", b"127.0.0.1").decode("latin-1")
    target = f"{scope.get('scheme', 'http')}://{host}{scope['path']}"
    return Request(token, app, {name: values[0] for name, values in query.items()}, headers, target)


def positive(request: Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0):
        raise Refusal(400, f"`{name}` is a number from 1")
    return min(int(text), most)


def page_url(request: Request, page: int, size: int) -> str:
    return f"{request.target}?{urlencode({'page': page, 'per_page': size})}"


def _may_use(connection: ConnectionConfig, request: Request) -> bool:
    if connection.organization == request.token.organization:
        return True
    apps = request.token.apps if request.app is None else request.token.apps & {request.app}
    return not apps.isdisjoint(connection.apps)


def connection_for(integration: IntegrationConfig, request: Request, name: Any, organization: Any) -> ConnectionConfig:
    """The connection that a call names. Raises Refusal, the same for what is another's and what does not exist."""
    wanted = None if organization in (None, "") else str(organization)
    usable = [
        one
        for one in integration.connections
        if _may_use(one, request) and (wanted is None or str(one.organization) == wanted)
    ]
    own = [one for one in usable if one.organization == request.token.organization]
    if name is None or name == "":
        found = own[:1] or (usable[:1] if wanted is not None else [])
        if not found:
            raise Refusal(403, "no connected account that this token may use")
        return found[0]
    text = str(name)
    by_id = [one for one in usable if str(one.id) == text]
    named = by_id or [one for one in own if one.name == text] or [one for one in usable if one.name == text]
    if not named:
        raise Refusal(403, _NO_ACCESS)
    if len(named) > 1:
        raise Refusal(400, "several organizations have a connection of this name; give its id or organization_id")
    return named[0]


def own_connections(integration: IntegrationConfig, request: Request) -> list[dict[str, Any]]:
    mine = (one for one in integration.connections if one.organization == request.token.organization)
    return [{"id": one.id, "name": one.name} for one in mine]


def connections_of_table(integration: IntegrationConfig, request: Request) -> dict[str, list[dict[str, Any]]]:
    app = number(request.query.get("app_id", ""))
    if app is None:
        raise Refusal(400, "the query parameter `app_id` is needed: the integer id of an app")
    if app not in request.token.apps:
        raise Refusal(403, f"this token does not open app {app}")
    found: dict[str, list[dict[str, Any]]] = {}
    for one in integration.connections:
        if one.organization == request.token.organization or app in one.apps:
            found.setdefault(str(one.organization), []).append({"id": one.id, "name": one.name})
    return found
