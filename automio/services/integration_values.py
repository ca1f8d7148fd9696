"""What api.integrations gives back, and how the platform's answers become that. Used by integrations.py and integration_stream.py.

An answer of the provider, also an error, is a value: `(data, ApiResponse)`. What the platform itself refuses, or answers
unreadably, is an exception. The platform's envelope tells the two apart, not the status, since that mirrors the provider's:

    {"api_data": …, "api_response": {"status_code", "text", "headers", "url", "ok"}, "connection_id": …}

An answer to `call` that is neither JSON nor a web page is the provider's own body (a PDF, an image, a CSV file): text where its
type is text/…, else bytes. In parallel calls such a body comes as text in base64, marked by `api_data_encoding`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from automio.errors import IntegrationAccessDenied, IntegrationError, PaymentRequired
from automio.services.rest import RestReply

_KEYS: Final = {"status_code": int, "text": str, "headers": dict, "url": str, "ok": bool}


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """How the provider answered. `ok`: whether it was a success; `text`: the body as text, "" for a binary one."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    url: str
    ok: bool


@dataclass(frozen=True, slots=True)
class ParallelCallResponse:
    """One answer of a parallel call, at the place that its request had in `data_list`."""

    api_data: Any = field(repr=False)
    api_response: ApiResponse
    connection_id: int | str | None
    organization_id: int | str | None


@dataclass(frozen=True, slots=True)
class Integration:
    """An integration as the platform describes it; `details` is all that it says.

    `connected_accounts`: the ids of the caller's connections, none when there are none.
    """

    integration_id: str
    name: str
    version: str = ""
    connected_accounts: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class IntegrationPage:
    """A page of integrations; `count` is the number of all."""

    count: int
    next: str | None
    previous: str | None
    results: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected account. `connection["id"]` and `connection.id` are the same."""

    id: int
    name: str
    organization_id: int | str | None = None

    def __getitem__(self, key: str) -> Any:
        if key not in ("id", "name", "organization_id"):
            raise KeyError(key)
        return getattr(self, key)


class Connections:
    """Connected accounts: an iterable of Connection; `.items()`, `.keys()` and `[organization_id]` see them by organization."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Mapping[int | str | None, tuple[Connection, ...]]) -> None:
        self._groups = dict(groups)

    def __iter__(self) -> Iterator[Connection]:
        for connections in self._groups.values():
            yield from connections

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __getitem__(self, organization_id: int | str | None) -> tuple[Connection, ...]:
        return self._groups[organization_id]

    def __repr__(self) -> str:
        return f"Connections({self._groups!r})"

    def keys(self) -> tuple[int | str | None, ...]:
        """The ids of the organizations."""
        return tuple(self._groups)

    def items(self) -> tuple[tuple[int | str | None, tuple[Connection, ...]], ...]:
        """(organization id, its connections)."""
        return tuple(self._groups.items())


# From the wire.


def refusal(reply: RestReply) -> IntegrationError:
    """The exception for a platform that says no, or whose answer is unreadable."""
    detail = reply.detail()
    text = f"{reply.source}: the platform refused (status {reply.status}){': ' + detail if detail else ''}"
    if reply.status == 402:
        return PaymentRequired(text, status=402, detail=detail)
    if reply.status == 403:
        return IntegrationAccessDenied(text, status=403, detail=detail)
    return IntegrationError(text, status=reply.status, detail=detail)


def answer_object(reply: RestReply) -> dict[str, Any]:
    """The JSON object of a successful answer. Raises IntegrationError, ProtocolError."""
    value = answer_value(reply)
    if not isinstance(value, dict):
        raise unusable(reply.source, "is not an object", reply.status)
    return value


def answer_value(reply: RestReply) -> Any:
    """The JSON value of a successful answer. Raises IntegrationError, ProtocolError."""
    if not reply.ok:
        raise refusal(reply)
    return reply.json()


def unusable(source: str, why: str, status: int) -> IntegrationError:
    """For an answer that is not in the platform's form."""
    return IntegrationError(f"{source}: the platform's answer {why}", status=status)


def call_answer(reply: RestReply) -> tuple[Any, ApiResponse]:
    """The provider's answer in an answer to `call`. Raises IntegrationError, ProtocolError."""
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        if not reply.ok:
            raise refusal(reply)
        if kind != "text/html" or "X-Automio-Url" in reply.headers:
            return _own_body(reply, kind)
    try:
        value = reply.json()
    except Exception:
        if reply.ok:
            raise
        raise refusal(reply) from None
    if not isinstance(value, dict) or "api_response" not in value:
        if not reply.ok:
            raise refusal(reply)
        raise unusable(reply.source, "has no api_response", reply.status)
    return envelope(value, reply.source, reply.status)


def _own_body(reply: RestReply, kind: str) -> tuple[Any, ApiResponse]:
    text = reply.text() if kind.startswith("text/") else ""
    url = reply.headers.get("X-Automio-Url", "")
    data = text if kind.startswith("text/") else reply.body
    return data, ApiResponse(reply.status, text, dict(reply.headers), url, reply.ok)


def envelope(value: Mapping[str, Any], source: str, status: int) -> tuple[Any, ApiResponse]:
    """(data, ApiResponse) of one envelope. Raises IntegrationError for one that lacks something."""
    response = value.get("api_response")
    if not isinstance(response, dict):
        raise unusable(source, "has no api_response", status)
    for key, kind in _KEYS.items():
        if not isinstance(response.get(key), kind) or (kind is int and type(response[key]) is bool):
            raise unusable(source, f"has no usable api_response.{key}", status)
    if "api_data" not in value:
        raise unusable(source, "has no api_data", status)
    data = value["api_data"]
    if value.get("api_data_encoding") == "base64":
        try:
            data = base64.b64decode(data, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise unusable(source, "has an api_data that is not base64", status) from None
    return data, ApiResponse(
        response["status_code"], response["text"], response["headers"], response["url"], response["ok"]
    )


def parallel_answer(
    value: Any, source: str, connection: int | str | None, organization: int | str | None
) -> ParallelCallResponse:
    """One element of `responses`; ids that it does not name are those of the request."""
    if not isinstance(value, dict):
        raise unusable(source, "has a response that is not an object", 200)
    data, response = envelope(value, source, 200)
    own, its = value.get("connection_id"), value.get("organization_id")
    return ParallelCallResponse(
        data,
        response,
        identifier(connection if own is None else own),
        identifier(organization if its is None else its),
    )


def identifier(value: Any) -> int | str | None:
    """Ids travel as numbers or as digits; here they are numbers. An alias stays text."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else value
    return value if type(value) is int else None


def integration_of(value: Any, source: str) -> Integration:
    """Raises IntegrationError for what is no integration."""
    if not isinstance(value, dict) or not isinstance(value.get("integration_id"), str):
        raise unusable(source, "is no integration: it has no integration_id", 200)
    accounts = value.get("connected_accounts") or []
    if not isinstance(accounts, list):
        raise unusable(source, "has connected_accounts that are no list", 200)
    ids = tuple(number for number in map(identifier, accounts) if isinstance(number, int))
    if len(ids) != len(accounts):
        raise unusable(source, "has connected_accounts that are no ids", 200)
    name, version = value.get("name"), value.get("version")
    return Integration(
        value["integration_id"],
        name if isinstance(name, str) else value["integration_id"],
        version if isinstance(version, str) else "",
        ids,
        value,
    )


def page_of(value: Mapping[str, Any], source: str) -> IntegrationPage:
    """Raises IntegrationError for what is no page."""
    count, results = value.get("count"), value.get("results")
    if type(count) is not int or not isinstance(results, list):
        raise unusable(source, "has no count and results", 200)
    links = [link if isinstance(link, str) else None for link in (value.get("next"), value.get("previous"))]
    return IntegrationPage(count, links[0], links[1], tuple(integration_of(item, source) for item in results))


def connections_of(value: Any, organization: int | str | None, source: str) -> tuple[Connection, ...]:
    """Raises IntegrationError for what is no list of connections."""
    if not isinstance(value, list):
        raise unusable(source, "is no list of connections", 200)
    found: list[Connection] = []
    for item in value:
        number = identifier(item.get("id")) if isinstance(item, dict) else None
        if not isinstance(number, int) or not isinstance(item.get("name"), str):
            raise unusable(source, "has a connection without id and name", 200)
        found.append(Connection(number, item["name"], organization))
    return tuple(found)
