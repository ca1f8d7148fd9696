"""(method, path, values) -> HTTP -> RestReply: how the companions reach the platform. Used by integrations.py, plugins.py,
tasks.py, notifications.py and cache.py; what is common with GraphQL stands in runtime/wire.py.

One pooled session for each event loop, opened at first use, with this service's own credentials: never those of a Hasura
endpoint. Redirects are not followed, since credentials would go with them. Any status is an answer, not an exception: what
it means is the service's to say.

Sent again: requests that are safe to repeat (GET, HEAD, and any with `Repeat.ALWAYS`) after a failed or broken connection, a
timeout, 429, 502, 503, 504; others only when they surely were not sent. 401 and 403 are never repeated.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from pydantic_core import PydanticSerializationError, to_json
from yarl import URL

from automio.errors import ProtocolError, TransportError
from automio.request import UNSET, Unset
from automio.runtime.call import Repeat
from automio.runtime.http import plain
from automio.runtime.wire import (
    BUSY,
    CONNECT_SECONDS,
    Busy,
    again,
    decoded,
    failure,
    retry_after,
    session_arguments,
    user_agent,
    without_own_repetition,
)

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LARGE: Final = 2**20
_LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes that one line of a stream may have."""


@dataclass(frozen=True, slots=True)
class RestReply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    source: str

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def text(self) -> str:
        """The body as text: in its declared charset, else UTF-8; undecodable bytes are replaced."""
        charset = "utf-8"
        for part in self.headers.get("Content-Type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip().strip('"')
        return decoded(self.body, charset)

    def json(self) -> Any:
        """The body's value. Raises ProtocolError when it is not JSON; the text is not shown, it may hold anything."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            kind = self.headers.get("Content-Type", "no content type")
            raise ProtocolError(
                f"{self.source}: the answer (status {self.status}, {kind}) is not JSON.", status=self.status
            ) from None

    def detail(self) -> str:
        """What the platform says about a refusal (`detail` or `error`), "" when it says nothing readable."""
        try:
            return detail_of(json.loads(self.body))
        except (ValueError, RecursionError):
            return ""


def detail_of(value: Any) -> str:
    """The text under `detail`, `error` or `message` of a JSON object; "" where there is none."""
    if not isinstance(value, dict):
        return ""
    return next((value[key] for key in ("detail", "error", "message") if isinstance(value.get(key), str)), "")


def segment(value: object) -> str:
    """A value as one segment of a path: nothing in it can end the segment or walk out of it."""
    text = quote(str(value), safe="")
    return text.replace(".", "%2E") if set(text) == {"."} else text


class Rest:
    """The requests of one service, in one event loop. `base` has no slash at its end; paths begin with one."""

    def __init__(self, base: str, headers: Mapping[str, str], seconds: float) -> None:
        self._base = base
        self._origin = URL(base).origin()
        self._headers = {"Accept": "application/json", "User-Agent": user_agent(), **headers}
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        source: str,
        params: Mapping[str, object] | None = None,
        json: Any = UNSET,
        data: aiohttp.FormData | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | Unset = UNSET,
        repeat: Repeat = Repeat.WHEN_SAFE,
    ) -> RestReply:
        """The answer, whatever its status is. `source` names the call in errors; parameters of None are left out.

        `seconds`: for the whole request, default the timeout of Settings. Raises TransportError when no answer came,
        after the repetitions above; a value that is no JSON is one too, with `.sent` False.
        """
        body = _encode(json, source) if json is not UNSET else data
        sent = {"Content-Type": "application/json", **(headers or {})} if json is not UNSET else headers
        limit = self._seconds if isinstance(seconds, Unset) else seconds
        one_shot = isinstance(body, aiohttp.FormData)  # its files are read while they are sent

        def may_repeat(error: Exception) -> bool:
            if repeat is Repeat.NEVER or one_shot or self._closed:
                return False
            if repeat is Repeat.ALWAYS or method in _SAFE:
                return isinstance(error, TransportError | Busy)
            return isinstance(error, TransportError) and not error.sent

        async def once() -> RestReply:
            timeout = aiohttp.ClientTimeout(total=limit, sock_connect=min(limit, CONNECT_SECONDS))
            response = await self._start(method, path, params, body, sent, timeout, source)
            try:
                reply = RestReply(response.status, response.headers, await response.read(), source)
            except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                raise self._failure(error, source, limit, response.status) from error
            finally:
                response.release()
            if reply.status in BUSY:
                wait = retry_after(reply.headers.get("Retry-After"), reply.headers.get("Date"))
                raise Busy(reply, reply.status, wait)
            return reply

        try:
            return await once()
        except Busy as busy:
            if not may_repeat(busy):
                return busy.reply
            first: Exception = busy
        except TransportError as error:
            if not may_repeat(error):
                raise
            first = error
        return await again(once, first, may_repeat=may_repeat, source=source, seconds=limit)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        source: str,
        params: Mapping[str, object] | None = None,
        json: Any = UNSET,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The status, and the lines of the body as they arrive, without their ends; at most one line is held.

        `silence`: seconds without a byte after which it is a RequestTimeout (None: the timeout of Settings). Sent once.
        Leaving the `async with` ends the request. Raises TransportError, also between two lines.
        """
        body = _encode(json, source) if json is not UNSET else None
        sent = {"Content-Type": "application/json", **(headers or {})} if json is not UNSET else headers
        limit = self._seconds if silence is None else silence
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(limit, CONNECT_SECONDS), sock_read=limit)
        response = await self._start(method, path, params, body, sent, timeout, source)
        try:
            yield response.status, self._lines(response, source, limit)
        finally:
            response.close()  # not release: what the server still sends is not wanted

    async def _start(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | None,
        body: Any,
        headers: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own
        source: str,
    ) -> aiohttp.ClientResponse:
        """The answer's beginning."""
        session = self._session or self._open(source)
        url = URL(f"{self._base}{path}", encoded=True)
        if given := {name: str(value) for name, value in (params or {}).items() if value is not None}:
            url = url.update_query(given)
        try:
            return await session.request(
                method, url, data=_sendable(body), headers=headers, allow_redirects=False, timeout=timeout
            )
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure(error, source, timeout.total or timeout.sock_read or 0, 0) from error
        except RuntimeError as error:
            if not session.closed:
                raise
            raise TransportError(f"{source}: the client was closed.", sent=False) from error

    def _failure(self, error: aiohttp.ClientError | OSError, source: str, seconds: float, status: int) -> Exception:
        return failure(error, source=source, place=self._origin, seconds=seconds, status=status)

    async def _lines(self, response: aiohttp.ClientResponse, source: str, seconds: float) -> AsyncIterator[bytes]:
        """Lines of any length up to the limit; aiohttp's own reader gives up at its buffer's size."""
        rest = bytearray()
        try:
            async for chunk in response.content.iter_any():
                rest += chunk
                if b"\n" not in chunk:
                    if len(rest) > _LONGEST_LINE:
                        raise ProtocolError(f"{source}: a line of the stream is too long.", status=response.status)
                    continue
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield bytes(line.removesuffix(b"\r"))
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure(error, source, seconds, response.status) from error
        if rest:
            yield bytes(rest)

    def _open(self, source: str) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportError(f"{source}: this client is closed, nothing was sent.", sent=False)
        self._session = without_own_repetition(
            aiohttp.ClientSession(headers=self._headers, read_bufsize=2**16, **session_arguments(self._seconds))
        )
        return self._session

    async def close(self) -> None:
        """Close the session. What is under way fails; later requests raise TransportError."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _sendable(body: Any) -> Any:
    """A large body as a file: aiohttp would copy it to the socket in one go, and warns of that."""
    return BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE else body


def _encode(value: Any, source: str) -> bytes:
    try:
        return to_json(plain(value), inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise TransportError(
            f"{source}: the values cannot be written as JSON, nothing was sent: {error}", sent=False
        ) from None
