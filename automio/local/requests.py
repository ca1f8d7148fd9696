"""What the handlers of the companions' endpoints take and give. Made by platform.py; next: companions.py. The
rest is everybody's: platform.py and the integrations read bodies and ids by it, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

Answer = tuple[int, Any]
"""Status and JSON value."""


class Refusal(Exception):
    """Ends a request with this status and `{"detail": detail}`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail


class WrongMethod(Exception):
    """The address takes other methods."""

    def __init__(self, methods: str) -> None:
        super().__init__(methods)
        self.methods = methods


def allow(methods: str) -> str:
    """An Allow header of these methods: GET answers HEAD."""
    return methods.replace("GET", "GET, HEAD")


class Gone(Exception):
    """The client went away; nobody waits for an answer."""


async def read_body(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int) -> bytes | None:
    """The whole body of an ASGI request, None when it is larger than the limit (bytes). Raises Gone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def whole(value: Any) -> int | None:
    """The whole number that a JSON number is (5 and 5.0 are the same), None for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def number(text: str) -> int | None:
    """The id that a URL or header names, None for what is no number of at most 18 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose token is known. `path` is still encoded and begins behind /api; `read` gives the body's object."""

    method: str
    path: str
    query: Mapping[str, str]
    organization: int
    apps: frozenset[int]
    read: Callable[[], Awaitable[dict[str, Any]]]

    def app(self) -> int:
        """The app that the query or the token names. Raises Refusal."""
        app = self.named_app()
        if app is None:
            if len(self.apps) == 1:
                return next(iter(self.apps))
            raise Refusal(400, "this token opens several apps or none: say which by ?app_id=<APP_ID>")
        if app not in self.apps:
            raise Refusal(403, f"this token does not open app {app}")
        return app

    def named_app(self) -> int | None:
        """The app that the query names, whosever it is. Raises Refusal."""
        given = self.query.get("app_id")
        app = None if given is None else number(given)
        if given is not None and app is None:
            raise Refusal(400, "app_id is the number of an app")
        return app
