"""A call -> the provider's HTTP service -> Answer. Used by integrations.py; values come from platform.toml (integration_config.py).

    Outgoing   method, endpoint, parameters, body of one call, checked, on the connection that makes it
    Lane       one connection of one integration: how many calls at a time, and how many a second
    Answer     what came: status, headers, body; or what stands for it (502: not reached, 504: too slow)

**Where a call may go.** Below the integration's base URL alone: the endpoint is a path, placeholders are escaped to one segment,
and no segment is `.` or `..`, however it is written. A redirect is followed on the same server and below the same base, for
GET; any other one is the answer. The connection's headers are added last, so that the caller can't replace one.

**Secrets** of a connection are taken out of everything that comes back, also where the provider repeats them.

**Rates.** A lane lets calls pass in order, evenly spaced. A 429 with Retry-After holds the lane for that time; in parallel calls
a GET is then sent again, at most twice.

A body larger than the limit is not read to its end. Charsets that don't exist are read as UTF-8; bytes that don't fit are
replaced in the text.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import aiohttp
from yarl import URL

from automio.local.integration_config import ConnectionConfig, IntegrationConfig
from automio.runtime.wire import (
    BUSY,
    CONNECT_SECONDS,
    LONGEST_RETRY_AFTER,
    decoded,
    retry_after,
    user_agent,
    without_own_repetition,
)

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_SAFE: Final = "!$&'()*+,;=:@%~-._"
_HOP: Final = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade "
    "host content-length expect".split()
)
_NOT_BACK: Final = _HOP | {"content-encoding", "set-cookie"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_SHORTEST_SECRET: Final = 6
_LARGE: Final = 2**20


class BadCall(Exception):
    """A call that can't be made; the text says why. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One call, ready to be sent any number of times."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    form: tuple[tuple[str, Any, Mapping[str, Any]], ...] | None = field(default=None, repr=False)
    """The fields of a multipart body, as arguments of FormData.add_field."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answered; `sent` is False only when the request surely did not reach it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str
    sent: bool = True

    @property
    def kind(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def wait(self) -> float | None:
        """The seconds that Retry-After asks for, by the provider's clock."""
        return retry_after(self.headers.get("Retry-After"), self.headers.get("Date"))

    @property
    def is_text(self) -> bool:
        """Whether the body is one that people could read: text, JSON, XML, a form, or of no declared type and UTF-8."""
        kind = self.kind
        if not kind:
            return _is_utf8(self.body)
        return kind.startswith("text/") or kind.endswith(("json", "xml", "javascript", "x-www-form-urlencoded"))

    def text(self) -> str:
        """The body as text, in its charset."""
        found = re.search(r"charset\s*=\s*\"?([\w.:-]+)", self.headers.get("Content-Type", ""), re.IGNORECASE)
        return decoded(self.body, found[1] if found else "utf-8")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


# The call.


def outgoing(
    integration: IntegrationConfig,
    connection: ConnectionConfig,
    method: Any,
    endpoint: Any,
    headers: Any,
    params: Any,
    data: Any,
    url_params: Any,
    files: Sequence[tuple[str, Any, Mapping[str, Any]]] = (),
) -> Outgoing:
    """The request for one call. Raises BadCall."""
    sent = check(method, endpoint, headers)
    url = _url(integration.base_url, endpoint, url_params, params)
    kind = next((value for name, value in sent.items() if name.lower() == "content-type"), "")
    body: bytes | None = None
    form: tuple[tuple[str, Any, Mapping[str, Any]], ...] | None = None
    if files:
        if not isinstance(data, Mapping | None):
            raise BadCall("`data` beside files is an object: its values become fields of the form")
        sent = {name: value for name, value in sent.items() if name.lower() != "content-type"}
        names = [*(data or {}), *(text for name, _, more in files for text in (name, *more.values()))]
        if any(re.search(r"[\x00-\x1f\x7f]", str(name)) for name in names):
            raise BadCall("a field or file of the form has a control character in its name")
        form = (*((str(name), _field(value), {}) for name, value in (data or {}).items()), *files)
    elif data is not None and not (method == "GET" and data == {}) and not (data == {} and not kind):
        body, its_kind = _body(data, kind)
        if not kind:
            sent["Content-Type"] = its_kind
    own = {name.lower() for name, _ in connection.headers}
    sent = {name: value for name, value in sent.items() if name.lower() not in own} | dict(connection.headers)
    return Outgoing(method, url, sent, body, form)


def check(method: Any, endpoint: Any, headers: Any) -> dict[str, str]:
    """What every call of a request shares; the headers as they are sent. Raises BadCall."""
    if not isinstance(method, str) or method not in METHODS:
        raise BadCall(f"`method` is one of {', '.join(sorted(METHODS))}")
    if not isinstance(endpoint, str):
        raise BadCall("`endpoint` is a path below the integration's base URL")
    return _headers(headers)


def _body(data: Any, kind: str) -> tuple[bytes, str]:
    if isinstance(data, str) and not kind.lower().startswith("application/json"):
        return data.encode("utf-8", "surrogatepass"), "text/plain; charset=utf-8"
    if kind.lower().startswith("application/x-www-form-urlencoded") and isinstance(data, Mapping):
        return urlencode(_pairs(data), doseq=False).encode(), kind
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"), "application/json"


def _field(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _headers(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise BadCall("`request_headers` is an object")
    found: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise BadCall(f"the header {str(name)[:60]!r} is not a text")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\0]", str(value)):
            raise BadCall(f"{str(name)[:60]!r} cannot be a header")
        if name.lower() not in _HOP:
            found[name] = str(value)
    return found


def _url(base: str, endpoint: str, url_params: Any, params: Any) -> URL:
    if not isinstance(url_params, Mapping | None) or not isinstance(params, Mapping | None):
        raise BadCall("`url_params` and `params` are objects")
    pieces, names, query = _template(endpoint)
    path = pieces[0]
    for name, piece in zip(names, pieces[1:], strict=True):
        path = f"{path}{_value(url_params or {}, name)}{piece}"
    path = f"/{path}"
    if names and ("/." in path or ".." in path or "%" in path):
        _check_segments(path)
    text = f"{base}{path}"
    pairs = [*query, *_pairs(params)] if params else query
    return URL(f"{text}?{urlencode(pairs)}" if pairs else text, encoded=True)


@lru_cache(maxsize=512)
def _template(endpoint: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The path's texts between the placeholders, the placeholders' names, the query's pairs. Raises BadCall."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|\\", endpoint):
        raise BadCall("`endpoint` is a path below the integration's base URL")
    path, _, query = endpoint.partition("?")
    texts = _PLACEHOLDER.split(path.removeprefix("/"))
    pieces = tuple(quote(text, safe=f"{_SAFE}/") for text in texts[::2])
    _check_segments("x".join(pieces))
    return pieces, tuple(texts[1::2]), tuple(parse_qsl(query, keep_blank_values=True))


def _value(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, bool | Mapping | list) or value in (None, ""):
        raise BadCall(f"url_params has no value for {name!r} that can stand in a path")
    text = str(value)
    return text if text.isascii() and text.isalnum() else quote(text.encode("utf-8", "replace"), safe="")


def _check_segments(path: str) -> None:
    for segment in path.split("/"):
        if any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(segment)))):
            raise BadCall("no segment of the path can be `.` or `..`")


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Parameters as requests writes them: None is left out, a list repeats its name."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if isinstance(one, Mapping | list):
                raise BadCall(f"the parameter {name[:60]!r} is not a text or number")
            text = str(one).lower() if isinstance(one, bool) else str(one)
            found.append((str(name), text.encode("utf-8", "replace").decode()))
    return found


# The way there.


class Lane:
    """One connection: bounded, in order, evenly spaced."""

    def __init__(self, integration: IntegrationConfig, connection: ConnectionConfig) -> None:
        self.integration = integration
        self.connection = connection
        self.secrets = _secrets(connection)
        self.places = asyncio.Semaphore(integration.concurrency)
        self._space = 1 / integration.rate_limit if integration.rate_limit else 0.0
        self._next = 1e-9 if self._space else 0.0
        self._held = 0.0

    async def turn(self) -> None:
        """Wait for the right to send one request; to be called in one of the `places`."""
        if not self._next:
            return  # no rate, and never held
        loop = asyncio.get_running_loop()
        while True:
            mine = max(self._next, loop.time())
            self._next = mine + self._space
            if mine > loop.time():
                await asyncio.sleep(mine - loop.time())
            if loop.time() >= self._held:
                return  # else: held meanwhile, so take a new turn behind

    def hold(self, seconds: float) -> None:
        """No request before that time has gone."""
        self._held = max(self._held, asyncio.get_running_loop().time() + seconds)
        self._next = max(self._next, self._held)


def _secrets(connection: ConnectionConfig) -> tuple[bytes, ...]:
    """What must not come back: of `Bearer abc` the part behind the scheme, which the whole contains."""
    found: set[str] = set()
    for _, value in connection.headers:
        part = value.rpartition(" ")[2]
        found.add(part if len(part) >= _SHORTEST_SECRET else value)
    return tuple(sorted((text.encode() for text in found if len(text) >= _SHORTEST_SECRET), key=len, reverse=True))


class Providers:
    """The session to all providers in one event loop."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, lane: Lane, request: Outgoing, *, again: bool = False) -> Answer:
        """The provider's answer. `again`: a GET that is told to wait waits in the lane and goes again."""
        attempts = 3 if again and request.method == "GET" else 1
        while True:
            attempts -= 1
            async with lane.places:
                await lane.turn()
                answer = await self._answer(lane, request)
            if answer.status not in BUSY or not answer.sent:
                return answer
            seconds = answer.wait
            if seconds is None or seconds > LONGEST_RETRY_AFTER:
                return answer
            if answer.status == 429:
                lane.hold(seconds)
            if not attempts:
                return answer
            if answer.status != 429:
                await asyncio.sleep(seconds)

    async def _answer(self, lane: Lane, request: Outgoing) -> Answer:
        seconds = lane.integration.timeout
        url = request.url
        try:
            async with asyncio.timeout(seconds):
                for _ in range(_MOST_REDIRECTS):
                    try:
                        answer = await self._once(lane, request, url, seconds)
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                        if request.method != "GET" or isinstance(error, aiohttp.ClientConnectorError):
                            raise
                        # A connection out of the pool, which the provider may have closed a while ago.
                        answer = await self._once(lane, request, url, seconds)
                    target = _redirect(lane.integration.base_url, request.method, url, answer)
                    if target is None:
                        return answer
                    url = target
                return _failed(502, "the provider redirects without end", url)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            return _failed(502, "the provider was not reached", url, sent=False)
        except TimeoutError:
            return _failed(504, f"the provider did not answer within {seconds:g} s", url)
        except (aiohttp.ClientError, OSError):
            return _failed(502, "the connection to the provider broke before its answer was complete", url)

    async def _once(self, lane: Lane, request: Outgoing, url: URL, seconds: float) -> Answer:
        session = self._session or self._open()
        data: Any = request.body
        if request.body is not None and len(request.body) > _LARGE:
            data = BytesIO(request.body)  # aiohttp would copy it to the socket in one go, and warns of that
        if request.form is not None:
            data = aiohttp.FormData(quote_fields=False)
            for name, value, more in request.form:
                data.add_field(name, value, **more)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(seconds, CONNECT_SECONDS))
        async with session.request(
            request.method, url, data=data, headers=request.headers, allow_redirects=False, timeout=timeout
        ) as response:
            length = response.content_length
            if length is not None and length > self._largest and "Content-Encoding" not in response.headers:
                response.close()
                return _failed(502, f"the provider's answer is larger than {self._largest} bytes", url)
            if length is not None and "Content-Encoding" not in response.headers:
                body = await response.read()
            else:
                found = bytearray()
                async for chunk in response.content.iter_any():
                    found += chunk
                    if len(found) > self._largest:
                        response.close()
                        return _failed(502, f"the provider's answer is larger than {self._largest} bytes", url)
                body = bytes(found)
            headers = {
                name: _without(value, lane.secrets)
                for name, value in response.headers.items()
                if name.lower() not in _NOT_BACK
            }
            return Answer(response.status, headers, _clean(body, lane.secrets), _without(str(url), lane.secrets))

    def _open(self) -> aiohttp.ClientSession:
        self._session = without_own_repetition(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the lanes bound it
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": user_agent(), "Accept": "*/*"},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        )
        return self._session


def _redirect(base: str, method: str, url: URL, answer: Answer) -> URL | None:
    location = answer.headers.get("Location", "")
    if answer.status not in _REDIRECTS or method != "GET" or not location:
        return None
    try:
        target = url.join(URL(location))
        inside = target.origin() == url.origin() and f"{target.raw_path}/".startswith(f"{urlsplit(base).path}/")
    except ValueError:
        return None
    return target if inside else None


def _failed(status: int, text: str, url: URL, *, sent: bool = True) -> Answer:
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode(), str(url), sent)


def _clean(body: bytes, secrets: tuple[bytes, ...]) -> bytes:
    for secret in secrets:
        if secret in body:
            body = body.replace(secret, b"<hidden>")
    return body


def _without(text: str, secrets: tuple[bytes, ...]) -> str:
    for secret in secrets:
        if (found := secret.decode()) in text:
            text = text.replace(found, "<hidden>")
    return text
