"""ScopedOperation -> HTTP -> Reply, on gql's aiohttp transport. Next: decode.py. Subscriptions: socket.py.

gql opens, keeps and closes the session. What it would do for each request is left out: print the document (half of its
time; ours was printed when it was generated) and read the body's JSON (pydantic-core reads the bytes). So the body is
`{"query": …, "variables": …}` whose head is made once for a text, and what comes back is bytes.

Failures by what they say about the server (errors.py): ConnectError, nothing was sent; RequestTimeout and a connection
that broke, it may have acted; an answer that broke off, ProtocolError. Redirects are not followed: credentials would
go with them. Cookies are not kept: one session serves every organization.

Sent again: queries after a failed or broken connection, a timeout, 429, 502, 503, 504; mutations only when they surely
were not sent. How often and how soon stands in wire.py.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import aiohttp
from gql.transport.aiohttp import AIOHTTPTransport
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json
from yarl import URL

from automio.errors import TransportError
from automio.request import UNSET
from automio.runtime.call import Repeat
from automio.runtime.scoping import ScopedOperation
from automio.runtime.transport import Reply
from automio.runtime.wire import BUSY, Busy, again, failure, retry_after, session_arguments, user_agent
from automio.settings import Settings, Target

if TYPE_CHECKING:
    from automio.runtime.socket import Feed, Sockets

_LONGEST_KEPT: Final = 65_536
"""Characters of a document whose part of the body is kept."""
_LARGE: Final = 1_000_000
"""Bytes from which aiohttp wants a body as a stream, since writing it in one piece would hold up the loop."""


class HttpTransport:
    """The Transport of one client in one event loop: a pooled session to the settings' target, opened at first use."""

    def __init__(self, settings: Settings) -> None:
        self._hasura = settings.target is Target.HASURA
        self._url = URL(_target_url(settings))
        self._seconds = settings.timeout
        self._secrets = settings.secrets
        self._gql = _PooledTransport(str(self._url), _headers(settings), settings.timeout)
        self._keep_alive = settings.keep_alive
        self._credentials = _credentials(settings)
        self._sockets: Sockets | None = None
        self._closed = False

    async def send(self, operation: ScopedOperation) -> Reply:
        """The answer, whatever its status is. Raises TransportError when there is none, after the repetitions above."""
        body = self._encode(operation)
        try:
            return await self._once(operation, body)
        except Busy as busy:
            if not _may_repeat(operation, busy):
                return busy.reply
            first: Exception = busy
        except TransportError as error:
            if self._closed or not _may_repeat(operation, error):
                raise
            first = error
        return await again(
            lambda: self._once(operation, body),
            first,
            may_repeat=lambda error: _may_repeat(operation, error),
            source=operation.operation.source,
            seconds=self._seconds,
        )

    async def subscribe(self, operation: ScopedOperation) -> Feed:
        """Start a subscription over the transport's socket. Raises socket.Lost for what may be tried again."""
        if self._closed:
            raise TransportError("this client is closed, nothing was sent.", sent=False, hint="Make a new API().")
        if self._sockets is None:
            from automio.runtime.socket import Sockets

            self._sockets = Sockets(
                self._session,
                self._credentials,
                seconds=self._seconds,
                keep_alive=self._keep_alive,
                secrets=self._secrets,
            )
        return await self._sockets.subscribe(self._address(operation), self._encode(operation), operation.operation)

    async def close(self) -> None:
        """Close the session. What is under way fails; later sends raise TransportError."""
        self._closed = True
        if self._sockets is not None:
            await self._sockets.close()
        if self._gql.session is not None:
            await self._gql.close()

    async def _session(self) -> aiohttp.ClientSession:
        return self._gql.session or await self._open()

    def _address(self, operation: ScopedOperation) -> URL:
        if self._hasura:
            return self._url
        return _gateway_url(self._url, operation.operation.app, operation.operation.table)

    async def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportError("this client is closed, nothing was sent.", sent=False, hint="Make a new API().")
        await self._gql.connect()
        assert self._gql.session is not None
        return self._gql.session

    def _encode(self, operation: ScopedOperation) -> bytes:
        # The published SDK never sends operationName to the gateway; one operation in a document needs none.
        what = operation.operation
        named = what.sends_name and (self._hasura or operation.organization is None)
        make = _head if len(what.text) <= _LONGEST_KEPT else _head.__wrapped__
        head = make(what.text, what.name if named else "")
        if not operation.variables:
            return head + b"}"
        try:
            variables = to_json(plain(operation.variables), inf_nan_mode="strings")
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise TransportError(
                f"{what.source}: the variables cannot be written as JSON, nothing was sent: {error}", sent=False
            ) from None
        return b'%b,"variables":%b}' % (head, variables)

    async def _once(self, operation: ScopedOperation, body: bytes) -> Reply:
        session = self._gql.session or await self._open()
        status = 0
        try:
            async with session.post(
                self._address(operation),
                data=body if len(body) < _LARGE else io.BytesIO(body),
                headers=operation.headers or None,
                allow_redirects=False,
            ) as response:
                status = response.status
                reply = Reply(status, await response.read(), self._secrets)
                if status in BUSY:
                    wait = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
                    raise Busy(reply, status, wait)
                return reply
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise failure(
                error,
                source=operation.operation.source,
                place=self._url.origin(),
                seconds=self._seconds,
                status=status,
            ) from error
        except RuntimeError as error:
            if not session.closed:
                raise
            raise TransportError(f"{operation.operation.source}: the client was closed.", sent=False) from error


class _PooledTransport(AIOHTTPTransport):
    """gql's transport with a session as we need it; what aiohttp wants to be made inside the loop is made on connect."""

    def __init__(self, url: str, headers: dict[str, str], seconds: float) -> None:
        super().__init__(url=url, headers=headers)
        self._seconds = seconds

    async def connect(self) -> None:
        self.client_session_args = session_arguments(self._seconds)
        await super().connect()

    async def close(self) -> None:
        await super().close()
        self.client_session_args = None  # its connector holds the loop, which shall be free to go


def _may_repeat(operation: ScopedOperation, error: Exception) -> bool:
    if operation.repeat is Repeat.NEVER:
        return False
    if operation.repeat is Repeat.ALWAYS or operation.operation.kind == "query":
        return isinstance(error, TransportError | Busy)
    return isinstance(error, TransportError) and not error.sent


# What a request is made of.


def _target_url(settings: Settings) -> str:
    return settings.hasura_graphql_endpoint or f"{settings.api_base_url}/api/apps/graphql/"


def _headers(settings: Settings) -> dict[str, str]:
    """Credentials stand in the session's own headers. Raises ConfigError for an absent token: never "App-Token None"."""
    return {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": user_agent(),
        **_credentials(settings),
    }


def _credentials(settings: Settings) -> dict[str, str]:
    if settings.target is Target.GATEWAY:
        return {"Authorization": f"App-Token {settings.require('app_token')}"}
    secret = settings.hasura_graphql_admin_secret
    return {"x-hasura-admin-secret": secret} if secret is not None else {}


@lru_cache(maxsize=1024)
def _gateway_url(base: URL, app: str, table: str) -> URL:
    return base.with_query(app=app, table=table)


@lru_cache(maxsize=4096)
def _head(text: str, name: str) -> bytes:
    operation = b',"operationName":%b' % to_json(name) if name else b""
    return b'{"query":%b%b' % (to_json(text), operation)


_AS_IS: Final = frozenset({str, int, float, bool, type(None), UUID, datetime, date, time, Decimal})


def plain(value: Any) -> Any:
    r"""The value with what pydantic-core would write differently than PostgreSQL reads it: bytes as `\x…`, timedelta as
    an interval. Unchanged parts are passed on, not copied. Raises ValueError for an UNSET inside."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is dict:
        changed: dict[str, Any] | None = None
        for key, inner in value.items():
            if type(inner) not in _AS_IS and (new := plain(inner)) is not inner:
                changed = changed or dict(value)
                changed[key] = new
        return value if changed is None else changed
    if kind is list or kind is tuple:
        items = [inner if type(inner) in _AS_IS else plain(inner) for inner in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{value.hex()}"
    if isinstance(value, timedelta):
        return f"P{value.days}DT{value.seconds}.{value.microseconds:06}S"
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, BaseModel):
        return plain(value.model_dump(by_alias=True))
    if value is UNSET:
        raise ValueError("UNSET stands inside a value")
    return value
