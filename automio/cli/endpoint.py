"""Options and settings -> Endpoint, and Endpoint -> introspection over HTTP. Next: layout.py makes files of it.

Which server, first that applies:
1. `--endpoint URL`: a Hasura endpoint, or the gateway when the path ends in `/apps/graphql`;
2. HASURA_GRAPHQL_ENDPOINT (with HASURA_GRAPHQL_ADMIN_SECRET when it is set);
3. API_BASE_URL, APP_TOKEN and APP_ID: the platform's gateway.
The variables are read and checked by settings.py, as they are for API(): pull asks the server that the program will ask.

Redirects are not followed: a secret must not travel to a place that the user did not name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from automio.errors import ConfigError, ConnectError, GraphQLErrors, ProtocolError, RequestTimeout, TransportError
from automio.settings import Settings, Target

GATEWAY = "/api/apps/graphql/"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask. `app` is the gateway's app, "" at a Hasura endpoint; `name` is the URL as texts show it."""

    url: str
    name: str
    app: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def find_endpoint(endpoint: str | None = None, role: str | None = None, table: str = "") -> Endpoint:
    """The endpoint that options and settings name. Raises ConfigError, which says what to set.

    `table` is what the gateway's URL asks for beside the app; an introspection is about all tables, so "" is the usual.
    """
    base = _gateway_base(endpoint) if endpoint else None
    if endpoint and base is None:
        settings = _named(Settings.read, hasura_graphql_endpoint=endpoint)
    else:
        settings = _named(Settings.read, **({"api_base_url": base} if base else {}))
    if settings.target is Target.HASURA:
        secret = settings.hasura_graphql_admin_secret
        headers = {"x-hasura-admin-secret": secret} if secret else {}
        url = settings.hasura_graphql_endpoint or ""
        return Endpoint(url, url, "", headers | ({"x-hasura-role": role} if role else {}), settings.secrets)
    return _gateway(settings, role, table)


def _named(read: Any, **arguments: str) -> Settings:
    """Settings.read, with an argument's fault told by the name of the option."""
    try:
        return read(**arguments)
    except ConfigError as error:
        for name in arguments:
            error.message = error.message.replace(name, "--endpoint")
        raise


def _gateway_base(endpoint: str) -> str | None:
    """The base of a gateway's whole URL, None for any other URL."""
    try:
        path = urlsplit(endpoint).path.rstrip("/")
    except ValueError:
        return None
    ending = GATEWAY.rstrip("/")
    return endpoint.rstrip("/").removesuffix(ending) if path.endswith(ending) else None


def _gateway(settings: Settings, role: str | None, table: str) -> Endpoint:
    name = f"{settings.api_base_url}{GATEWAY}"
    if role:
        raise ConfigError("--role needs a Hasura endpoint; the gateway's token says what may be seen")
    if settings.app_token is None or settings.app_id is None:
        needed = {"APP_TOKEN": settings.app_token, "APP_ID": settings.app_id}
        missing = " and ".join(variable for variable, value in needed.items() if value is None)
        raise ConfigError(
            f"to pull from {name}, {missing} must be set",
            hint="Set them in the environment or .env; or HASURA_GRAPHQL_ENDPOINT, or --endpoint URL, for Hasura itself.",
        )
    query = urlencode({"app": settings.app_id, "table": table})
    headers = {"Authorization": f"App-Token {settings.app_token}"}
    return Endpoint(f"{name}?{query}", name, str(settings.app_id), headers, settings.secrets)


async def introspect(endpoint: Endpoint, seconds: float) -> dict[str, Any]:
    """The `data` of the introspection query. `seconds`: for the whole exchange.

    Raises ConnectError, RequestTimeout, ProtocolError (another status, no JSON, no introspection), TransportError, and
    GraphQLErrors when the server refuses the query.
    """
    from graphql import get_introspection_query

    data = await ask(endpoint, get_introspection_query(), seconds)
    if not isinstance(data.get("__schema"), dict):
        raise ProtocolError(f"{endpoint.name} answered without a schema", status=200)
    return data


async def ask(endpoint: Endpoint, query: str, seconds: float) -> dict[str, Any]:
    """The `data` of a query's answer. Raises as `introspect` does."""
    import aiohttp

    options = aiohttp.ClientTimeout(total=seconds)
    payload = {"query": query}
    try:
        async with (
            aiohttp.ClientSession(timeout=options, headers=endpoint.headers) as session,
            session.post(endpoint.url, json=payload, allow_redirects=False) as answer,
        ):
            status, location, body = answer.status, answer.headers.get("location", ""), await answer.read()
    except TimeoutError as exc:
        hint = "Is it busy, or the network slow? --timeout SECONDS waits longer."
        raise RequestTimeout(f"{endpoint.name} did not answer within {seconds:g} s", sent=True, hint=hint) from exc
    except aiohttp.InvalidURL as exc:
        raise ConfigError(f"{endpoint.name} is not a URL that can be asked") from exc
    except aiohttp.ClientConnectorError as exc:
        number = exc.os_error.errno
        reason = os.strerror(number) if number and number > 0 else exc.os_error.strerror or str(exc.os_error)
        raise ConnectError(f"{endpoint.name} was not reached: {reason}", sent=False) from exc
    except aiohttp.ClientError as exc:
        raise TransportError(f"{endpoint.name} broke off: {type(exc).__name__}", sent=True) from exc
    return read_answer(endpoint, status, body, location)


def read_answer(endpoint: Endpoint, status: int, body: bytes, location: str = "") -> dict[str, Any]:
    """The `data` in an answer. Raises as `introspect` does."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if 300 <= status < 400:
        to = _excerpt(endpoint, location.encode())
        raise ProtocolError(
            f"{endpoint.name} sends elsewhere: {to}", status=status, hint="Give that URL as the endpoint."
        )
    if isinstance(value, dict) and isinstance(value.get("errors"), list) and value["errors"]:
        raise GraphQLErrors(_errors(endpoint, value["errors"]), source=endpoint.name)
    if status != 200:
        reason = value.get("error") or value.get("detail") if isinstance(value, dict) else None
        text = _excerpt(endpoint, str(reason).encode() if reason else body)
        raise ProtocolError(
            f"{endpoint.name} answered {status}: {text}", status=status, hint=_status_hint(endpoint, status)
        )
    if value is None:
        text = _excerpt(endpoint, body)
        raise ProtocolError(f"{endpoint.name} does not speak GraphQL; its answer is no JSON: {text}", status=status)
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, dict):
        raise ProtocolError(f"{endpoint.name} answered without data: {_excerpt(endpoint, body)}", status=status)
    return data


def _errors(endpoint: Endpoint, errors: Sequence[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for error in errors:
        fields = error if isinstance(error, dict) else {}
        extensions = fields.get("extensions") if isinstance(fields.get("extensions"), dict) else {}
        message = _excerpt(endpoint, str(fields.get("message", "unknown error")).encode())
        found.append({"message": message, "extensions": extensions})
    return found


def _status_hint(endpoint: Endpoint, status: int) -> str:
    if status in (401, 403):
        return (
            "Is APP_TOKEN right, and is it for this app?" if endpoint.app else "Is HASURA_GRAPHQL_ADMIN_SECRET right?"
        )
    if status == 404:
        return "Is APP_ID right?" if endpoint.app else "Is this the server's GraphQL endpoint?"
    return ""


def _excerpt(endpoint: Endpoint, body: bytes) -> str:
    """The beginning of an answer, on one line, harmless on a terminal, and without the secret that we sent."""
    text = body[:2000].decode("utf-8", "replace")
    for secret in endpoint.secrets:
        text = text.replace(secret, "***")
    text = " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
    return (f"{text[:200]}…" if len(text) > 200 else text) or "(nothing)"
