"""App cache and user cache: values that outlive a process, the same on Redis and on the platform's cache service.

`api.app_cache` belongs to one app and one organization, `api.user_cache` to one organization; never to a task. The
organization is that of the call (`automio.organization(…)`, API(organization_id=…), ORGANIZATION_ID). Where none is known
the token stands for it, by a digest, so that two tokens never see each other's values. Without either: ConfigError. The
cache service knows the organization by its token alone, so inside `with organization(n)` for another one the call is
refused: it would read the token's.

Values are JSON. What is no JSON by itself (datetime, UUID, Decimal, a pydantic model) is written as pydantic writes it; `type=`
reads it back. NaN and infinity are refused. Missing and None differ: `get` gives `default` for a missing key.

Down is told: CacheUnavailable. `API(cache_when_down=WhenDown.MISS)` declares another answer: reads miss, `get_or_set` computes,
writes are left out, each with a warning of the logger "automio". Counting is always told.

`get_or_set` computes once, however many tasks, threads and processes ask at the same time: the first takes a lock in the
store, which it keeps alive while it computes; the others wait for the value. A process that dies loses the lock after
LOCK_SECONDS, and another one computes. What raises in the computing is raised there alone; the next in line computes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import lru_cache
from inspect import isawaitable
from typing import Any, Final, TypeVar, overload
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from automio.errors import CacheError, CacheUnavailable, ConfigError, ScopeError
from automio.request import UNSET
from automio.runtime.cache_store import Space, Store
from automio.runtime.client import Client, run_sync
from automio.runtime.per_loop import PerLoop

logger = logging.getLogger("automio")
logger.addHandler(logging.NullHandler())

T = TypeVar("T")
LOCK_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_LONGEST_KEY: Final = 1024
_LONGEST_TTL: Final = 10 * 365 * 86400


class WhenDown(Enum):
    """What a cache that is not reached means."""

    RAISE = "raise"
    MISS = "miss"


class Cache:
    """One of the two caches of an API(). Safe from any thread and event loop; every method has a twin `…_async`."""

    def __init__(self, kind: str, client: Client, stores: PerLoop[Any], when_down: WhenDown) -> None:
        self._kind = kind
        self._client = client
        self._stores = stores
        self._when_down = when_down
        self._claims: dict[tuple[object, Space, str], asyncio.Event] = {}

    # Values.

    @overload
    def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    def get(self, key: str, default: T, *, type: type[T]) -> T: ...
    @overload
    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any: ...
    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """The value, `default` when there is none or its time is over.

        With `type` (`Order`, `list[int]`) the value is read as that. Raises CacheError for a value that is no such thing,
        CacheUnavailable.
        """
        return run_sync(self._get(self._space(), _checked(key), default, type))

    def get_async(self, key: str, default: Any = None, *, type: Any = None) -> Awaitable[Any]:
        """`get` for async code."""
        return self._get(self._space(), _checked(key), default, type)

    async def _get(self, space: Space, key: str, default: Any, type_: Any) -> Any:
        text = await self._or_miss(lambda store: store.get(space, key), None)
        return default if text is None else _decode(text, type_, key)

    def set(self, key: str, value: Any, ttl: float | timedelta | None = None, *, tags: Iterable[str] = ()) -> None:
        """Keep the value, for `ttl` seconds (above 0) or until it is deleted.

        `tags` put it into groups that `delete_tag` deletes together, until it is deleted. Raises CacheError for a value that
        is no JSON, CacheUnavailable.
        """
        run_sync(self._set(self._space(), _checked(key), _encode(value), _seconds(ttl), _tags(tags)))

    def set_async(
        self, key: str, value: Any, ttl: float | timedelta | None = None, *, tags: Iterable[str] = ()
    ) -> Awaitable[None]:
        """`set` for async code."""
        return self._set(self._space(), _checked(key), _encode(value), _seconds(ttl), _tags(tags))

    async def _set(self, space: Space, key: str, text: bytes, seconds: float | None, tags: tuple[str, ...]) -> None:
        await self._or_miss(lambda store: store.set(space, key, text, seconds, tags), None)

    def delete(self, key: str) -> bool:
        """Whether there was a value. Raises CacheUnavailable."""
        return run_sync(self._delete(self._space(), _checked(key)))

    def delete_async(self, key: str) -> Awaitable[bool]:
        """`delete` for async code."""
        return self._delete(self._space(), _checked(key))

    async def _delete(self, space: Space, key: str) -> bool:
        return await self._or_miss(lambda store: store.delete(space, key), False)

    def delete_tag(self, tag: str) -> int:
        """Delete every value that was set with this tag; how many went. Raises CacheUnavailable."""
        return run_sync(self._delete_tag(self._space(), _checked(tag)))

    def delete_tag_async(self, tag: str) -> Awaitable[int]:
        """`delete_tag` for async code."""
        return self._delete_tag(self._space(), _checked(tag))

    async def _delete_tag(self, space: Space, tag: str) -> int:
        return await self._or_miss(lambda store: store.delete_tag(space, tag), 0)

    def increment(self, key: str, by: int = 1, *, ttl: float | timedelta | None = None) -> int:
        """Count, and the new number; no two callers get the same. An absent key counts from 0, and lives `ttl` seconds.

        Raises CacheError when the value is no number, CacheUnavailable (it may have counted).
        """
        return run_sync(self._increment(self._space(), _checked(key), by, _seconds(ttl)))

    def increment_async(self, key: str, by: int = 1, *, ttl: float | timedelta | None = None) -> Awaitable[int]:
        """`increment` for async code."""
        return self._increment(self._space(), _checked(key), by, _seconds(ttl))

    async def _increment(self, space: Space, key: str, by: int, seconds: float | None) -> int:
        if type(by) is not int:
            raise CacheError("a count goes by whole numbers.")
        return await self._stores.current().increment(space, key, by, seconds)

    # Values that are made when they are missing.

    def get_or_set(
        self,
        key: str,
        make: Callable[[], T],
        ttl: float | timedelta | None = None,
        *,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> T:
        """The value; a missing one is made by `make()`, here in this thread, once for all who ask, and kept.

        What is returned is what the cache holds (a datetime comes back as text), so the first caller and the others get
        equal values; `type` reads it. Raises what `make` raises, CacheError, CacheUnavailable.
        """
        space, key, seconds, names = self._space(), _checked(key), _seconds(ttl), _tags(tags)
        found = run_sync(self._claim(space, key))
        if isinstance(found, bytes):
            return _decode(found, type, key)
        with found:
            text = _encode(make())
            run_sync(found.fulfil(text, seconds, names))
        return _decode(text, type, key)

    async def get_or_set_async(
        self,
        key: str,
        make: Callable[[], T | Awaitable[T]],
        ttl: float | timedelta | None = None,
        *,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> T:
        """`get_or_set` for async code; `make` may be a coroutine function."""
        space, key, seconds, names = self._space(), _checked(key), _seconds(ttl), _tags(tags)
        found = await self._claim(space, key)
        if isinstance(found, bytes):
            return _decode(found, type, key)
        async with found:
            made = make()
            text = _encode(await made if isawaitable(made) else made)
            await found.fulfil(text, seconds, names)
        return _decode(text, type, key)

    async def _claim(self, space: Space, key: str) -> bytes | _Claim:
        """The JSON text, or the right and duty to make it."""
        me = (asyncio.get_running_loop(), space, key)
        while True:
            text = await self._or_miss(lambda store: store.get(space, key), None)
            if text is not None:
                return text
            busy = self._claims.get(me)
            if busy is not None:
                await busy.wait()
                continue
            self._claims[me] = done = asyncio.Event()
            claim = _Claim(
                self, space, key, uuid4().hex, lambda me=me, done=done: (self._claims.pop(me, None), done.set())
            )
            try:
                if await claim.take():
                    # It may have been made between our look and the lock.
                    text = await self._or_miss(lambda store: store.get(space, key), None)
                    if text is None:
                        return claim
                    await claim.end()
                    return text
            except BaseException:
                await claim.end()
                raise
            claim.release()
            await asyncio.sleep(_POLL_SECONDS)

    # What every call needs.

    async def _or_miss(self, command: Callable[[Store], Awaitable[T]], miss: T) -> T:
        try:
            return await command(self._stores.current())
        except CacheUnavailable as error:
            if self._when_down is WhenDown.RAISE:
                raise
            logger.warning("cache: %s Taken as a miss.", error.message)
            return miss

    def _space(self) -> Space:
        """Whose values the caller sees, decided in the caller's thread."""
        settings = self._client.settings
        owner = self._client.organization_or_none()
        if settings.cache_service_url is not None and owner is not None and owner != settings.organization_id:
            raise ScopeError(
                "the cache service knows the organization of its token alone, and another one is set here.",
                hint="Use an API() with that organization's CACHE_SERVICE_TOKEN.",
            )
        token = settings.app_token or settings.cache_service_token
        if owner is None and token is None:
            raise ConfigError(
                "a cache belongs to an organization, and neither ORGANIZATION_ID nor APP_TOKEN says which.",
                hint="Set one of them.",
            )
        named = str(owner) if owner is not None else f"token-{hashlib.sha256((token or '').encode()).hexdigest()[:16]}"
        if self._kind == "org":
            return Space("org", "", named)
        return Space("app", str(settings.require("app_id")), named)


@dataclass(slots=True)
class _Claim:
    """The lock on one key, held while its value is made. A context manager for both faces."""

    cache: Cache
    space: Space
    key: str
    owner: str
    forget: Callable[[], object]
    renewal: asyncio.Task[None] | None = None
    locked: bool = False

    async def take(self) -> bool:
        """Whether the lock is ours now. Where the cache is down and that means a miss, nobody else can have it."""
        self.locked = await self.cache._or_miss(
            lambda store: store.lock(self.space, self.key, self.owner, LOCK_SECONDS), True
        )
        if self.locked:
            self.renewal = asyncio.get_running_loop().create_task(self._renew())
        return self.locked

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LOCK_SECONDS / 3)
            with suppress(CacheError):
                await self.cache._stores.current().lock(self.space, self.key, self.owner, LOCK_SECONDS)

    async def fulfil(self, text: bytes, seconds: float | None, tags: tuple[str, ...]) -> None:
        await self.cache._set(self.space, self.key, text, seconds, tags)

    def release(self) -> None:
        """Those who wait in this process look again."""
        if self.renewal is not None:
            self.renewal.cancel()
        self.forget()

    async def end(self) -> None:
        self.release()
        if self.locked:
            with suppress(CacheError):
                await self.cache._stores.current().unlock(self.space, self.key, self.owner)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        run_sync(self.end())

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        await self.end()


def make_stores(client: Client, task_id: str) -> PerLoop[Any]:
    """The store that the settings name: the cache service where CACHE_SERVICE_URL is set, else Redis."""
    settings = client.settings

    def make() -> Any:
        if settings.cache_service_url is not None:
            from automio.services.service_store import ServiceStore

            return ServiceStore(settings, task_id)
        from automio.runtime.redis_store import RedisStore

        return RedisStore(settings)

    return PerLoop(make)


def _checked(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise CacheError("a key of the cache is a text that is not empty.")
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise CacheError("a key of the cache is Unicode; this one holds half of a character.") from None
    if length > _LONGEST_KEY:
        raise CacheError(f"a key of the cache has at most {_LONGEST_KEY} bytes; this one has {length}.")
    return key


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise CacheError("tags is a list of texts.")
    return tuple(dict.fromkeys(_checked(tag) for tag in tags))


def _seconds(ttl: float | timedelta | None) -> float | None:
    if ttl is None:
        return None
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if type(seconds) not in (int, float) or not math.isfinite(seconds) or not 0 < seconds <= _LONGEST_TTL:
        raise CacheError("a time to live is a number of seconds above 0, at most ten years; None keeps the value.")
    return float(seconds)


def _encode(value: Any) -> bytes:
    if value is UNSET:
        raise CacheError("UNSET is no value.")
    try:
        plain = to_jsonable_python(value, inf_nan_mode="constants")
        return json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise CacheError(f"a value of type {type(value).__name__} cannot be cached: it is no JSON.") from error


def _decode(text: bytes, type_: Any, key: str) -> Any:
    if type_ is None:
        try:
            return json.loads(text)
        except ValueError:
            raise CacheError(f"the value under {key!r} was not written by a cache: it is no JSON.") from None
    try:
        return _adapter(type_).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CacheError(f"the value under {key!r} does not fit: {place or 'it'}: {first['msg']}.") from None


@lru_cache(maxsize=256)
def _adapter(type_: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_)
