"""Requests of the cache service -> a Redis or Valkey -> answers. Protocol: docs/caches.md; next: runtime/redis_store.py.

The server is the embedded Valkey (valkey.py), started by the first request that needs it, or the one that REDIS_URL or
REDIS_HOST names. An embedded server that has died is started again, empty; the request that found out is repeated once.

Whose values: `cache_type=app` is one app of the token's organization, `cache_type=org` the organization. The organization is
the token's; `task_id`, `action_id` and `action` are accepted and mean nothing.

The progress of a task lies beside them, by organization and task, for a week. `completed` and `failed` are always at 100, and
100 is always an end: `pending` or `in_progress` become `completed`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from automio.errors import CacheUnavailable, LocalError
from automio.local.requests import Answer, Refusal, Request, whole
from automio.local.valkey import Valkey
from automio.runtime.cache_store import Space
from automio.settings import Settings

if TYPE_CHECKING:
    from automio.runtime.redis_store import RedisStore  # loaded with the first request: it takes a tenth of a second

T = TypeVar("T")
STATUSES: Final = ("pending", "in_progress", "completed", "failed")
PROGRESS_SECONDS: Final = 7 * 86400.0
_LONGEST_KEY: Final = 1024
_LONGEST_TTL: Final = 10 * 365 * 86400
_LONGEST_INFO: Final = 10_000
_SECONDS: Final = 10.0
"""How long one command may take."""


class CacheService:
    """The endpoints, in one event loop."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._settings = _given_server(environment)
        self._server: Valkey | None = None
        self._store: RedisStore | None = None
        self._opening = asyncio.Lock()

    async def get(self, request: Request, key: str) -> Answer:
        space, key = _space(request), _key(key)
        found = await self._use(lambda store: store.look(space, key))
        if found is None:
            return 200, {"key": key, "value": None, "exists": False, "ttl": None}
        text, seconds = found
        return 200, {
            "key": key,
            "value": json.loads(text),
            "exists": True,
            "ttl": None if seconds is None else math.ceil(seconds),
        }

    async def set(self, request: Request, _: str) -> Answer:
        space, body = _space(request), await request.read()
        key, ttl = _key(body.get("key")), _ttl(body.get("ttl"))
        if "value" not in body:
            raise Refusal(400, "`value` is missing")
        text, tags = _text(body["value"]), _tags(body.get("tags"))
        answer: dict[str, Any] = {"success": True, "key": key, "message": "Cache set successfully", "ttl": ttl}
        if not isinstance(body.get("if_absent", False), bool):
            raise Refusal(400, "`if_absent` is true or false")
        if body.get("if_absent"):
            if tags:
                raise Refusal(400, "`if_absent` and `tags` exclude each other")
            return 200, answer | {"created": await self._use(lambda store: store.set_if_absent(space, key, text, ttl))}
        await self._use(lambda store: store.set(space, key, text, ttl, tags))
        return 200, answer | ({"tags": list(tags)} if tags else {})

    async def delete(self, request: Request, key: str) -> Answer:
        space, key = _space(request), _key(key)
        gone = await self._use(lambda store: store.delete(space, key))
        message = "Key deleted successfully" if gone else "Key not found"
        return 200, {"success": True, "key": key, "message": message, "deleted": gone}

    async def delete_tag(self, request: Request, tag: str) -> Answer:
        space, tag = _space(request), _key(tag)
        return 200, {"success": True, "deleted": await self._use(lambda store: store.delete_tag(space, tag))}

    async def increment(self, request: Request, _: str) -> Answer:
        space, body = _space(request), await request.read()
        key, ttl, by = _key(body.get("key")), _ttl(body.get("ttl")), whole(body.get("by", 1))
        if by is None or not -(2**63) <= by < 2**63:
            raise Refusal(400, "`by` is a whole number of 64 bits")
        return 200, {"success": True, "value": await self._use(lambda store: store.increment(space, key, by, ttl))}

    async def set_progress(self, request: Request, task: str) -> Answer:
        body = await request.read()
        progress, info, status = whole(body.get("progress")), body.get("info", ""), body.get("status", "pending")
        if progress is None or not 0 <= progress <= 100:
            raise Refusal(400, "`progress` is a whole number from 0 to 100")
        if not isinstance(info, str) or len(info) > _LONGEST_INFO:
            raise Refusal(400, f"`info` is a text of at most {_LONGEST_INFO} characters")
        if status not in STATUSES:
            raise Refusal(400, f"`status` is one of {', '.join(STATUSES)}")
        if status in ("completed", "failed"):
            progress = 100
        elif progress == 100:
            status = "completed"
        state = {"task_id": _key(task), "progress": progress, "info": info, "status": status}
        space = Space("task", "", str(request.organization))
        await self._use(lambda store: store.set(space, task, _text(state), PROGRESS_SECONDS, ()))
        return 200, {"success": True, "message": "Progress updated successfully", **state}

    async def progress(self, request: Request, task: str) -> Answer:
        space, task = Space("task", "", str(request.organization)), _key(task)
        found = await self._use(lambda store: store.get(space, task))
        if found is None:
            raise Refusal(404, "nothing was reported for this task")
        return 200, json.loads(found)

    async def _use(self, command: Callable[[RedisStore], Awaitable[T]]) -> T:
        store = await self._open()
        try:
            return await command(store)
        except CacheUnavailable:
            if not await self._replaced(store):
                raise
        return await command(await self._open())

    async def _open(self) -> RedisStore:
        if self._store is None:
            async with self._opening:
                if self._store is None:
                    from automio.runtime.redis_store import RedisStore

                    settings = self._settings
                    if settings is None:
                        self._server = await asyncio.to_thread(Valkey.start, self._home)
                        settings = Settings(redis_url=self._server.url, timeout=_SECONDS)
                    self._store = RedisStore(settings)
        return self._store

    async def _replaced(self, store: RedisStore) -> bool:
        """Whether the embedded server was dead, and `_open` gives another one now."""
        async with self._opening:
            if self._store is not store:
                return True
            if self._server is None or await asyncio.to_thread(self._server.answers):
                return False
            await self._let_go()
            return True

    async def _let_go(self) -> None:
        store, server = self._store, self._server
        self._store = self._server = None
        if store is not None:
            await store.close()
        if server is not None:
            server.close()

    async def close(self) -> None:
        """Leave the server; the embedded one stops with its last user."""
        async with self._opening:
            await self._let_go()


def _given_server(environment: Mapping[str, str]) -> Settings | None:
    """The server that the environment names, instead of the embedded one. Raises LocalError."""
    url, host = environment.get("REDIS_URL", "").strip(), environment.get("REDIS_HOST", "").strip()
    if url:
        return Settings(redis_url=url, timeout=_SECONDS)
    if not host:
        return None
    try:
        port, db = int(environment.get("REDIS_PORT") or 6379), int(environment.get("REDIS_DB") or 0)
    except ValueError:
        raise LocalError("REDIS_PORT and REDIS_DB are numbers.") from None
    password = environment.get("REDIS_PASSWORD") or None
    return Settings(redis_host=host, redis_port=port, redis_db=db, redis_password=password, timeout=_SECONDS)


def _space(request: Request) -> Space:
    kind = request.query.get("cache_type", "app")
    if kind == "org":
        request.named_app()  # not needed, but no nonsense
        return Space("org", "", str(request.organization))
    if kind != "app":
        raise Refusal(400, "cache_type is app or org")
    return Space("app", str(request.app()), str(request.organization))


def _key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise Refusal(400, "a key is a text that is not empty")
    try:
        if len(key.encode()) <= _LONGEST_KEY:
            return key
    except UnicodeEncodeError:
        raise Refusal(400, "a key is Unicode; this one holds half of a character") from None
    raise Refusal(400, f"a key has at most {_LONGEST_KEY} bytes")


def _ttl(ttl: object) -> float | None:
    if ttl is None:
        return None
    if isinstance(ttl, int | float) and not isinstance(ttl, bool) and 0 < ttl <= _LONGEST_TTL:
        return ttl
    raise Refusal(400, "`ttl` is a number of seconds above 0, at most ten years, or null")


def _tags(tags: object) -> tuple[str, ...]:
    if tags is None:
        return ()
    if not isinstance(tags, list):
        raise Refusal(400, "`tags` is a list of texts")
    return tuple(dict.fromkeys(_key(tag) for tag in tags))


def _text(value: object) -> bytes:
    """JSON text, in ASCII: half a character inside of a value stays what it was."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise Refusal(400, "`value` holds a number that JSON does not have, or is nested too deep") from None
