"""ScopedOperation -> Reply: what a transport is. Implemented by http.py; used through chain.py.

The promise is in the types: `send` takes a ScopedOperation, and only scoping.py makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from automio.runtime.scoping import ScopedOperation


class Reply:
    """An answer as it came: the HTTP status and the body's bytes. Next: decode.py."""

    __slots__ = ("body", "secrets", "status")

    def __init__(self, status: int, body: bytes, secrets: tuple[str, ...] = ()) -> None:
        self.status = status
        self.body = body
        self.secrets = secrets
        """What must not be quoted from the body, should the server echo it."""

    def __repr__(self) -> str:
        return f"Reply({self.status}, <{len(self.body)} bytes>)"

    def excerpt(self, length: int = 160) -> str:
        """The beginning of a body that is not GraphQL, for an error message: without markup and secrets, on one line."""
        import html
        import re

        text = self.body[: 64 * length].decode("utf-8", "replace")
        text = re.sub(r"(?s)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", " ", text)
        text = " ".join(html.unescape(text).split())
        for secret in self.secrets:
            text = text.replace(secret, "<hidden>")
        return text if len(text) <= length else f"{text[: length - 1]}…"


class Transport(Protocol):
    """Carries operations to one target. Safe to share between tasks of the loop that it was made in."""

    async def send(self, operation: ScopedOperation) -> Reply:
        """The answer, whatever its status. Raises TransportError when none came."""
        ...

    async def close(self) -> None:
        """Let go of the connections. A closed transport sends nothing any more."""
        ...
