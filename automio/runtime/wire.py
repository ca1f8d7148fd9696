"""What every HTTP request of automio has in common: aiohttp's failures in our terms, and when a request is sent again.
Used by http.py (GraphQL) and services/rest.py (the companions).

A request is sent again at most twice, not later than two timeouts after the first failure, with growing pauses; Retry-After
is obeyed up to 30 seconds, above that the answer is the failure. Which failures allow it is the caller's to say
(`may_repeat`). stamina waits and counts; each repetition is a warning of the logger "automio", without payload. The first
attempt runs outside of stamina: what that needs to start costs as much as a call.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Generic, TypeVar

import aiohttp

from automio.errors import ConfigError, ConnectError, ProtocolError, RequestTimeout, TransportError

logger = logging.getLogger("automio")
logger.addHandler(logging.NullHandler())

T = TypeVar("T")

ATTEMPTS: Final = 3
LONGEST_RETRY_AFTER: Final = 30.0
CONNECTIONS: Final = 100
CONNECT_SECONDS: Final = 10.0
BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses that say "later"."""
_NULL: Final = logging.NullHandler()


class Busy(Exception, Generic[T]):
    """A reply whose status says "later"; `seconds` is what Retry-After asks for, None when it is absent."""

    def __init__(self, reply: T, status: int, seconds: float | None) -> None:
        super().__init__(f"status {status}")
        self.reply = reply
        self.seconds = seconds


def session_arguments(seconds: float) -> dict[str, Any]:
    """For aiohttp.ClientSession, made inside the loop: a pool, no cookies (one session serves every organization)."""
    return {
        "connector": aiohttp.TCPConnector(limit=CONNECTIONS),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "timeout": aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS)),
    }


def user_agent() -> str:
    """`automio/<version>`."""
    try:
        return f"automio/{version('automio')}"
    except PackageNotFoundError:
        return "automio/0"


def failure(
    error: aiohttp.ClientError | OSError, *, source: str, place: object, seconds: float, status: int
) -> ConfigError | TransportError:
    """The error in our terms, narrowest first. `place` is the server's origin, `status` 0 before an answer began."""
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigError(f"{place} is not a usable URL.")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectError(f"{source}: {place} did not take the connection in time.", sent=False)
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(f"{source}: {place} was not reached: {error.os_error}.", sent=False)
    if isinstance(error, TimeoutError):
        return RequestTimeout(
            f"{source}: no answer within {seconds:g} s.",
            sent=True,
            hint="API(timeout=…) or AUTOMIO_TIMEOUT sets the seconds.",
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        return ProtocolError(f"{source}: the answer broke off.", status=status)
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(f"{source}: {place} does not speak HTTP.", status=error.status)
    return TransportError(f"{source}: the connection to {place} broke before the answer came.", sent=True)


async def again(
    send: Callable[[], Awaitable[T]],
    first: Exception,
    *,
    may_repeat: Callable[[Exception], bool],
    source: str,
    seconds: float,
) -> T:
    """The reply after the failure `first` (a TransportError or Busy). A reply that stays busy is returned as it is."""
    import stamina

    # stamina's own line about a retry would reach stderr where logging is not set up; ours says the same.
    logging.getLogger("stamina").addHandler(_NULL)
    failed = first

    def decide(error: Exception) -> bool | float:
        if not may_repeat(error):
            return False
        if not isinstance(error, Busy) or error.seconds is None:
            return True
        return error.seconds if error.seconds <= LONGEST_RETRY_AFTER else False

    attempts = stamina.retry_context(
        on=decide, attempts=ATTEMPTS, timeout=2 * seconds, wait_initial=0.2, wait_max=5.0, wait_jitter=0.2
    )
    try:
        async for attempt in attempts:
            with attempt:
                if attempt.num == 1:
                    raise failed
                logger.warning("%s: attempt %d of %d, after: %s", source, attempt.num, ATTEMPTS, _short(failed))
                try:
                    return await send()
                except (TransportError, Busy) as error:
                    failed = error
                    raise
    except Busy as busy:
        return busy.reply
    raise failed


def _short(error: Exception) -> str:
    return str(error) if isinstance(error, Busy) else type(error).__name__


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """The seconds that a Retry-After header asks for (a number or a date); None without a readable one.

    `date` is the answer's Date: a moment counts from there, by the server's own clock. Ours, which may be wrong or jump,
    counts only where there is none.
    """
    if value is None:
        return None
    if value.strip().isdigit():
        try:
            return float(value)
        except ValueError:  # a digit that is none in a number, such as ²
            return None
    moment = _moment(value)
    if moment is None:
        return None
    return max(0.0, (moment - (_moment(date) or datetime.now(UTC))).total_seconds())


def _moment(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and found.tzinfo else None


def decoded(body: bytes, charset: str) -> str:
    """The text; UTF-8 where Python has no such charset. Undecodable bytes are replaced."""
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):  # not there, or one of Python's codecs that refuse
        return body.decode("utf-8", "replace")


def without_own_repetition(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """The session, which sends nothing again: aiohttp does that, in silence, with a PUT, DELETE or GET whose connection
    breaks before an answer, also when the server has carried it out. Nothing public turns it off."""
    session._retry_connection = False
    return session
