"""Store on Redis or Valkey: one server, a Cluster or behind Sentinels. The one importer of redis.

    REDIS_URL                                               or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD
    redis://…, rediss://…, unix://…                         one server
    redis+cluster://[user:password@]host:port[,host:port]   a Cluster (rediss+cluster with TLS)
    redis+sentinel://[user:password@]host:port[,…]/name[/db]  the master that the Sentinels call `name`; user and password are
                                                            the master's, ?sentinel_password=… is that of the Sentinels

Names of keys: `automio:{app:130:2}:value:<key>`. The braces make a Cluster keep a whole Space in one slot, so that a value
and its tags change together.

A command that may be repeated (reading, replacing, deleting) is sent once more when its pooled connection turns out to be
dead; a count is sent once, since the first one may have counted. So the library repeats nothing by itself, in a Cluster
neither: it only goes where MOVED and ASK send it, for these refuse a command unseen. While a master is replaced (some seconds)
calls raise CacheUnavailable; the next ones find the new master.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLError
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterError,
    ConnectionError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from automio.errors import CacheError, CacheUnavailable, ConfigError
from automio.runtime.cache_store import Space
from automio.settings import Settings

T = TypeVar("T")
_CONNECT_SECONDS: Final = 3.0
_UNREACHED: Final = (
    ConnectionError,
    TimeoutError,
    AuthenticationError,
    NoPermissionError,
    RedisClusterException,
    ClusterError,
    TryAgainError,
    OSError,
)
_PROBLEMS: Final = (RedisError, RedisClusterException, OSError)
"""Everything that the library raises; RedisClusterException is no RedisError."""

# KEYS: value, tags…; ARGV: text, milliseconds ("" for none). A tag lives at least as long as its longest value.
_SET: Final = """
if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  redis.call('SADD', KEYS[i], KEYS[1])
  if ARGV[2] == '' then redis.call('PERSIST', KEYS[i])
  elseif left ~= -1 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
end
"""
_LOOK: Final = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"
_DELETE_TAG: Final = """
local gone = 0
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do gone = gone + redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
return gone
"""
_INCREMENT: Final = """
local number = redis.call('INCRBY', KEYS[1], ARGV[1])
if ARGV[2] ~= '' and redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return number
"""
_LOCK: Final = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_UNLOCK: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """A pool of connections in one event loop, opened at first use."""

    def __init__(self, settings: Settings) -> None:
        self._servers = _connect(settings)
        self._client, self._place = self._servers.client, self._servers.place

    async def get(self, space: Space, key: str) -> bytes | None:
        return await self._twice(lambda: self._client.get(_name(space, "value", key)))

    async def look(self, space: Space, key: str) -> tuple[bytes, float | None] | None:
        """`get`, together with the seconds that are left (None: no end). For the local platform's cache service."""
        name = _name(space, "value", key)
        found = await self._twice(lambda: self._client.eval(_LOOK, 1, name))
        if found is None or found[0] is None:
            return None
        return found[0], None if found[1] < 0 else found[1] / 1000

    async def set_if_absent(self, space: Space, key: str, text: bytes, seconds: float | None) -> bool:
        """Whether there was nothing and it is kept now. Sent once. For the local platform's cache service."""
        name = _name(space, "value", key)
        milliseconds = None if seconds is None else int(_milliseconds(seconds))
        return await self._once(lambda: self._client.set(name, text, px=milliseconds, nx=True)) is True

    async def set(self, space: Space, key: str, text: bytes, seconds: float | None, tags: tuple[str, ...]) -> None:
        names = [_name(space, "value", key), *(_name(space, "tag", tag) for tag in tags)]
        await self._twice(lambda: self._client.eval(_SET, len(names), *names, text, _milliseconds(seconds)))

    async def delete(self, space: Space, key: str) -> bool:
        return await self._twice(lambda: self._client.delete(_name(space, "value", key))) > 0

    async def delete_tag(self, space: Space, tag: str) -> int:
        return await self._twice(lambda: self._client.eval(_DELETE_TAG, 1, _name(space, "tag", tag)))

    async def increment(self, space: Space, key: str, by: int, seconds: float | None) -> int:
        name = _name(space, "value", key)
        return await self._once(lambda: self._client.eval(_INCREMENT, 1, name, by, _milliseconds(seconds)))

    async def lock(self, space: Space, key: str, owner: str, seconds: float) -> bool:
        name = _name(space, "lock", key)
        return await self._twice(lambda: self._client.eval(_LOCK, 1, name, owner, _milliseconds(seconds))) == 1

    async def unlock(self, space: Space, key: str, owner: str) -> None:
        await self._twice(lambda: self._client.eval(_UNLOCK, 1, _name(space, "lock", key), owner))

    async def ping(self) -> str:
        """What answers: an address or several. Raises CacheUnavailable, also for a Cluster whose slots are not all served."""
        await self._twice(lambda: self._client.ping())
        if self._servers.is_cluster:
            info = await self._twice(lambda: self._client.cluster_info())
            if info.get("cluster_state") != "ok":
                raise CacheUnavailable(
                    f"the Cluster at {self._place} is down: {info.get('cluster_slots_ok', 0)} of 16384 slots are served."
                )
        return self._place

    async def close(self) -> None:
        await self._client.aclose()
        # What the client leaves open: its Sentinels; after a failure, a Cluster's nodes.
        for one in self._servers.sentinels:
            await one.aclose()
        if self._servers.is_cluster:
            nodes = self._client.nodes_manager
            for node in (*nodes.nodes_cache.values(), *nodes.startup_nodes.values()):
                await node.disconnect()
        await asyncio.sleep(0)  # the sockets close in the loop's next round, which may be its last

    async def _twice(self, command: Callable[[], Awaitable[T]]) -> T:
        """A command that may be repeated: a pool keeps connections that the server has closed since."""
        try:
            return await command()
        except ConnectionError:
            return await self._once(command)
        except _PROBLEMS as error:
            raise self._failure(error) from error

    async def _once(self, command: Callable[[], Awaitable[T]]) -> T:
        try:
            return await command()
        except _PROBLEMS as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> CacheError:
        """In our terms. A server's own text can quote a command, so only its class is shown."""
        if isinstance(error, AskError | ClusterCrossSlotError) and not self._servers.is_cluster:
            return CacheUnavailable(
                f"the server at {self._place} is a part of a Cluster.", hint="Write redis+cluster://… in REDIS_URL."
            )
        if isinstance(error, _UNREACHED):
            return CacheUnavailable(f"the cache at {self._place}: {_why(error)} ({type(error).__name__}).")
        if isinstance(error, ResponseError) and "not an integer" in str(error):
            return CacheError("the value under this key is not a number that can be counted.")
        return CacheError(f"the cache at {self._place} refused a command ({type(error).__name__}).")


def _why(error: Exception) -> str:
    """`error` and what it came from, in a word or two."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AuthenticationError | NoPermissionError):
            return "refused the credentials"
        if isinstance(cause, SSLError):
            return "not reached by TLS"
        cause = cause.__cause__ or cause.__context__
    return "not reached"


def _name(space: Space, kind: str, key: str) -> str:
    return f"automio:{{{space.kind}:{space.app}:{space.owner}}}:{kind}:{key}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else str(max(1, round(seconds * 1000)))


@dataclass(frozen=True, slots=True)
class _Servers:
    """A client, and how to call its servers in a message: never with a password."""

    client: Any
    place: str
    sentinels: tuple[Any, ...] = ()
    is_cluster: bool = False


def _connect(settings: Settings) -> _Servers:
    options: dict[str, Any] = {
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": min(settings.timeout, _CONNECT_SECONDS),
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.redis_url is None:
        client = redis.asyncio.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            db=settings.redis_db,
            password=settings.redis_password,
            **options,
        )
        return _Servers(client, f"{settings.redis_host}:{settings.redis_port}")
    scheme, _, rest = settings.redis_url.partition("://")
    try:
        if scheme.removeprefix("rediss+").removeprefix("redis+") == scheme:
            parts = urlsplit(settings.redis_url)
            place = f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if scheme != "unix" else parts.path
            return _Servers(redis.asyncio.Redis.from_url(settings.redis_url, **options), place)
        return _several(scheme, rest, options)
    except ValueError as error:
        # The text of redis-py can hold the URL, and the URL a password.
        raise ConfigError("REDIS_URL cannot be read: the top of docs/caches.md lists its forms.") from error


def _several(scheme: str, rest: str, options: dict[str, Any]) -> _Servers:
    """A Cluster or Sentinels: several hosts, which urlsplit does not know."""
    tls, _, kind = scheme.partition("+")
    rest, _, query = rest.partition("?")
    more = parse_qs(query, strict_parsing=True) if query else {}
    address, _, path = rest.partition("/")
    credentials, _, hosts = address.rpartition("@")
    user, _, password = credentials.partition(":")
    if tls == "rediss":
        options["ssl"] = True
    of_sentinel = options | {"socket_timeout": options["socket_connect_timeout"]}
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    nodes = [_host(one, 6379 if kind == "cluster" else 26379) for one in hosts.split(",")]
    if kind == "cluster" and not more:
        startup = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in nodes]
        return _Servers(redis.asyncio.cluster.RedisCluster(startup_nodes=startup, **options), hosts, is_cluster=True)
    if kind == "sentinel" and more.keys() <= {"sentinel_password"}:
        name, _, db = path.partition("/")
        if not name:
            raise ValueError("no name of a master")
        if more:
            of_sentinel["password"] = more["sentinel_password"][-1]
        manager = redis.asyncio.sentinel.Sentinel(nodes, sentinel_kwargs=of_sentinel, **options)
        master = manager.master_for(unquote(name), db=int(db or 0))
        return _Servers(master, f"{unquote(name)} behind {hosts}", sentinels=tuple(manager.sentinels))
    raise ValueError("an unknown scheme")


def _host(text: str, port: int) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    return (host, int(number)) if host else (text, port)
