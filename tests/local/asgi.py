"""A request to the platform without a socket, for test_platform.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automio.local.platform import Platform


@dataclass(frozen=True)
class Answer:
    """What the platform answered: the status, the headers, the body as it came and as JSON (None when it is none)."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    platform: Platform,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    pieces: int = 1,
) -> Answer:
    """One request to the ASGI app, without a socket; the body in so many pieces."""
    path, _, query = target.partition("?")
    content = body or b""
    size = max(1, -(-len(content) // pieces))
    parts = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
    messages = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    asyncio.run(platform(scope, receive, send))
    start, *rest = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(part["body"] for part in rest))
