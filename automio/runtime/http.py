"""ScopedOperation -> HTTP -> Reply, on gql's aiohttp transport. The one importer of gql; next: decode.py.

gql opens, keeps and closes the session. What it would do for each request is left out: print the document (half of its
time; ours was printed when it was generated) and read the body's JSON (pydantic-core reads the bytes). So the body is
`{"query": …, "variables": …}` whose head is made once for a text, and what comes back is bytes.

Failures by what they say about the server (errors.py): ConnectError, nothing was sent; RequestTimeout and a connection
that broke, it may have acted; an answer that broke off, ProtocolError. Redirects are not followed: credentials would
go with them. Cookies are not kept: one session serves every organization.

Sent again: queries after a failed or broken connection, a timeout, 429, 502, 503, 504; mutations only when they surely
were not sent; neither more than twice, nor later than two timeouts after the first failure. Retry-After is obeyed up to
30 seconds; above, the answer is the failure. stamina waits and counts; each repetition is a warning of the logger
"automio", without payload. The first attempt runs outside of stamina: what it needs to start costs as much as a call.
"""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final
from uuid import UUID

import aiohttp
from gql.transport.aiohttp import AIOHTTPTransport
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json
from yarl import URL

from automio.errors import ConfigError, ConnectError, ProtocolError, RequestTimeout, TransportError
from automio.request import UNSET
from automio.runtime.call import Repeat
from automio.runtime.scoping import ScopedOperation
from automio.runtime.transport import Reply
from automio.settings import Settings, Target

logger = logging.getLogger("automio")
logger.addHandler(logging.NullHandler())

ATTEMPTS: Final = 3
LONGEST_RETRY_AFTER: Final = 30.0
CONNECTIONS: Final = 100
CONNECT_SECONDS: Final = 10.0
_BUSY: Final = frozenset({429, 502, 503, 504})
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
        self._lifetime: AsyncGenerator[None] | None = None
        self._closed = False

    async def send(self, operation: ScopedOperation) -> Reply:
        """The answer, whatever its status is. Raises TransportError when there is none, after the repetitions above."""
        body = self._encode(operation)
        try:
            return await self._once(operation, body)
        except _Busy as busy:
            if not _may_repeat(operation, busy):
                return busy.reply
            failure: Exception = busy
        except TransportError as error:
            if self._closed or not _may_repeat(operation, error):
                raise
            failure = error
        return await self._again(operation, body, failure)

    async def close(self) -> None:
        """Close the session. What is under way fails; later sends raise TransportError."""
        self._closed = True
        lifetime, self._lifetime = self._lifetime, None
        if lifetime is not None:
            await lifetime.aclose()

    async def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportError("this client is closed, nothing was sent.", sent=False, hint="Make a new API().")
        await self._gql.connect()
        self._lifetime = self._while_loop_runs()
        await anext(self._lifetime)
        assert self._gql.session is not None
        return self._gql.session

    async def _while_loop_runs(self) -> AsyncGenerator[None]:
        """Suspended until close(), or until the loop ends: asyncio closes open async generators before it closes a loop,
        so `asyncio.run(main())` leaves no open session behind although nobody closed one."""
        try:
            yield
        finally:
            self._lifetime = None  # it holds the loop, too
            await self._gql.close()

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
        url = self._url
        if not self._hasura:
            url = _gateway_url(url, operation.operation.app, operation.operation.table)
        status = 0
        try:
            async with session.post(
                url,
                data=body if len(body) < _LARGE else io.BytesIO(body),
                headers=operation.headers or None,
                allow_redirects=False,
            ) as response:
                status = response.status
                reply = Reply(status, await response.read(), self._secrets)
                if status in _BUSY:
                    raise _Busy(reply, retry_after(response.headers.get("Retry-After")))
                return reply
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._failure(error, operation, status) from error
        except RuntimeError as error:
            if not session.closed:
                raise
            raise TransportError(f"{operation.operation.source}: the client was closed.", sent=False) from error

    def _failure(self, error: aiohttp.ClientError | OSError, operation: ScopedOperation, status: int) -> Exception:
        """The error in our terms. Narrowest first."""
        source, place = operation.operation.source, self._url.origin()
        if isinstance(error, aiohttp.InvalidURL):
            return ConfigError(f"{place} is not a usable URL.")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return ConnectError(f"{source}: {place} did not take the connection in time.", sent=False)
        if isinstance(error, aiohttp.ClientConnectorError):
            return ConnectError(f"{source}: {place} was not reached: {error.os_error}.", sent=False)
        if isinstance(error, TimeoutError):
            return RequestTimeout(
                f"{source}: no answer within {self._seconds:g} s.",
                sent=True,
                hint="API(timeout=…) or AUTOMIO_TIMEOUT sets the seconds.",
            )
        if isinstance(error, aiohttp.ClientPayloadError):
            return ProtocolError(f"{source}: the answer broke off.", status=status)
        if isinstance(error, aiohttp.ClientResponseError):
            return ProtocolError(f"{source}: {place} does not speak HTTP.", status=error.status)
        return TransportError(f"{source}: the connection to {place} broke before the answer came.", sent=True)

    async def _again(self, operation: ScopedOperation, body: bytes, failure: Exception) -> Reply:
        import stamina

        # stamina's own line about a retry would reach stderr where logging is not set up; ours says the same.
        logging.getLogger("stamina").addHandler(_NULL)

        def decide(error: Exception) -> bool | float:
            if not _may_repeat(operation, error):
                return False
            if not isinstance(error, _Busy) or error.seconds is None:
                return True
            return error.seconds if error.seconds <= LONGEST_RETRY_AFTER else False

        attempts = stamina.retry_context(
            on=decide, attempts=ATTEMPTS, timeout=2 * self._seconds, wait_initial=0.2, wait_max=5.0, wait_jitter=0.2
        )
        try:
            async for attempt in attempts:
                with attempt:
                    if attempt.num == 1:
                        raise failure
                    logger.warning(
                        "%s: attempt %d of %d, after: %s",
                        operation.operation.source,
                        attempt.num,
                        ATTEMPTS,
                        _short(failure),
                    )
                    try:
                        return await self._once(operation, body)
                    except (TransportError, _Busy) as error:
                        failure = error
                        raise
        except _Busy as busy:
            return busy.reply
        raise failure


class _PooledTransport(AIOHTTPTransport):
    """gql's transport with a session as we need it; what aiohttp wants to be made inside the loop is made on connect."""

    def __init__(self, url: str, headers: dict[str, str], seconds: float) -> None:
        super().__init__(url=url, headers=headers)
        self._seconds = seconds

    async def connect(self) -> None:
        self.client_session_args = {
            "connector": aiohttp.TCPConnector(limit=CONNECTIONS),
            "cookie_jar": aiohttp.DummyCookieJar(),
            "timeout": aiohttp.ClientTimeout(total=self._seconds, sock_connect=min(self._seconds, CONNECT_SECONDS)),
        }
        await super().connect()

    async def close(self) -> None:
        await super().close()
        self.client_session_args = None  # its connector holds the loop, which shall be free to go


class _Busy(Exception):
    """A status that says "later"; `seconds` is what Retry-After asks for, None when it is absent."""

    def __init__(self, reply: Reply, seconds: float | None) -> None:
        super().__init__(f"status {reply.status}")
        self.reply = reply
        self.seconds = seconds


def _may_repeat(operation: ScopedOperation, error: Exception) -> bool:
    if operation.repeat is Repeat.NEVER:
        return False
    if operation.repeat is Repeat.ALWAYS or operation.operation.kind == "query":
        return isinstance(error, TransportError | _Busy)
    return isinstance(error, TransportError) and not error.sent


def _short(error: Exception) -> str:
    return str(error) if isinstance(error, _Busy) else type(error).__name__


def retry_after(value: str | None) -> float | None:
    """The seconds that a Retry-After header asks for (a number or a date); None without a readable one."""
    if value is None:
        return None
    try:
        if value.strip().isdigit():
            return float(value)
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo or UTC)).total_seconds()) if moment.tzinfo else None


# What a request is made of.


def _target_url(settings: Settings) -> str:
    return settings.hasura_graphql_endpoint or f"{settings.api_base_url}/api/apps/graphql/"


def _headers(settings: Settings) -> dict[str, str]:
    """Credentials stand in the session's own headers. Raises ConfigError for an absent token: never "App-Token None"."""
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"automio/{_version()}",
    }
    if settings.target is Target.GATEWAY:
        headers["Authorization"] = f"App-Token {settings.require('app_token')}"
    elif settings.hasura_graphql_admin_secret is not None:
        headers["x-hasura-admin-secret"] = settings.hasura_graphql_admin_secret
    return headers


def _version() -> str:
    try:
        return version("automio")
    except PackageNotFoundError:
        return "0"


@lru_cache(maxsize=1024)
def _gateway_url(base: URL, app: str, table: str) -> URL:
    return base.with_query(app=app, table=table)


@lru_cache(maxsize=4096)
def _head(text: str, name: str) -> bytes:
    operation = b',"operationName":%b' % to_json(name) if name else b""
    return b'{"query":%b%b' % (to_json(text), operation)


_AS_IS: Final = frozenset({str, int, float, bool, type(None), UUID, datetime, date, time, Decimal})
_NULL: Final = logging.NullHandler()


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
