"""What a cache stands on: Space + key -> JSON text. Implemented by redis_store.py and services/service_store.py;
used by services/cache.py, and by the local platform's cache service: so it stands below both.

A Space is the part of the cache that one caller sees: an app's cache belongs to one app and one organization, a user's
cache to one organization. It is never named by a task. Values are JSON text, so both stores give the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Space:
    """`kind` is "app" or "org" (the wire's words), `app` is "" for a user's cache. `owner` stands for the organization:
    its id, or a digest of the token where no id is known."""

    kind: str
    app: str
    owner: str


class Store(Protocol):
    """Keys are checked, times are seconds. Every method raises CacheUnavailable when the store is not reached, CacheError
    for what it cannot do. One for each event loop."""

    async def get(self, space: Space, key: str) -> bytes | None:
        """The JSON text, None when there is none."""
        ...

    async def set(self, space: Space, key: str, text: bytes, seconds: float | None, tags: tuple[str, ...]) -> None:
        """Replaces value and time to live; None keeps the value until it is deleted."""
        ...

    async def delete(self, space: Space, key: str) -> bool:
        """Whether there was something."""
        ...

    async def delete_tag(self, space: Space, tag: str) -> int:
        """How many values went."""
        ...

    async def increment(self, space: Space, key: str, by: int, seconds: float | None) -> int:
        """The new number; an absent one counts from 0, and `seconds` is set with the first count. Sent once."""
        ...

    async def lock(self, space: Space, key: str, owner: str, seconds: float) -> bool:
        """Take the key's lock, or keep it when `owner` has it. False: somebody else has it."""
        ...

    async def unlock(self, space: Space, key: str, owner: str) -> None:
        """Give it back; nothing happens when `owner` has it no more."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
