"""The caches on a real Valkey, and on the cache service of a local platform that stands on it: one test for both.

The service differs in what is documented: it takes whole seconds, and knows the organization by its token alone.
With AUTOMIO_REDIS_TOPOLOGIES=1 the same tests run on a real Cluster and behind real Sentinels (test_topologies.py has
what only those can do).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import automio
from automio.errors import CacheError, CacheUnavailable, ConfigError, ScopeError
from automio.services.cache import WhenDown
from automio.wrapper import API

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


class Order(BaseModel):
    id: UUID
    total: Decimal
    at: datetime


TOPOLOGIES = ("cluster", "sentinels") if os.environ.get("AUTOMIO_REDIS_TOPOLOGIES") else ()


@pytest.fixture(params=["redis", "service", *TOPOLOGIES])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(backend: str, request: pytest.FixtureRequest) -> Any:
    """What the values lie on; a test may stop and start it."""
    return request.getfixturevalue(backend if backend in TOPOLOGIES else "valkey")


@pytest.fixture
def instant(backend: str) -> tuple[float, float]:
    """A short time to live, and the seconds after which it is over."""
    return (1, 1.1) if backend == "service" else (0.05, 0.1)


@pytest.fixture
def make(backend: str, server: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """API() on the cache, closed at the end; arguments replace the usual ones."""
    made: list[API] = []
    service = request.getfixturevalue("cache_service") if backend == "service" else None

    def api(**more: Any) -> API:
        given = {
            "app_token": "token",
            "app_id": 130,
            "organization_id": 1,
            "redis_url": server.url,
            "cache_service_url": service,
        } | more
        if service is not None and "cache_service_token" not in more:
            given["cache_service_token"] = "token-2" if given["organization_id"] == 2 else given["app_token"]
        made.append(API(**given))
        return made[-1]

    monkeypatch.delenv("CACHE_SERVICE_URL", raising=False)
    yield api
    for one in made:
        one.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, value=JSON)
def test_what_is_set_is_got(make: Any, key: str, value: Any) -> None:
    api = make()
    api.app_cache.set(key, value)
    assert api.app_cache.get(key, default="missing") == value
    assert api.user_cache.get(key, default="missing") == "missing"
    assert api.app_cache.delete(key) is True
    assert api.app_cache.delete(key) is False
    assert api.app_cache.get(key, default="missing") == "missing"


async def test_async_twins(make: Any) -> None:
    cache = make().user_cache
    await cache.set_async("k", [1], ttl=timedelta(minutes=1))
    assert await cache.get_async("k") == [1]
    assert await cache.increment_async("n", 2) == 2
    assert await cache.delete_async("k") and await cache.delete_async("n")


def test_types(make: Any) -> None:
    cache = make().app_cache
    order = Order(id=UUID(int=1), total=Decimal("1.10"), at=datetime(2026, 1, 1, tzinfo=UTC))
    cache.set("order", order)
    assert cache.get("order", type=Order) == order
    assert cache.get("order")["total"] == "1.10"
    cache.set("numbers", (1, 2))
    assert cache.get("numbers", type=list[int]) == [1, 2]
    with pytest.raises(CacheError, match="the value under 'numbers' does not fit"):
        cache.get("numbers", type=Order)
    assert cache.get("none of it", type=Order) is None


@pytest.mark.parametrize("value", [object(), math.nan, {"a": math.inf}, {1: {2}, "x": lambda: 0}])
def test_values_that_are_no_json_are_told(make: Any, value: Any) -> None:
    with pytest.raises(CacheError, match="cannot be cached"):
        make().app_cache.set("k", value)


@pytest.mark.parametrize("key", ["", None, 3, "\ud800", "x" * 2000])
def test_keys_that_are_none_are_told(make: Any, key: Any) -> None:
    with pytest.raises(CacheError, match="a key of the cache"):
        make().app_cache.get(key)


@pytest.mark.parametrize("ttl", [0, -1, True, math.nan, math.inf, "5", 1e12])
def test_times_to_live_that_are_none_are_told(make: Any, ttl: Any) -> None:
    with pytest.raises(CacheError, match="a time to live"):
        make().app_cache.set("k", 1, ttl=ttl)


def test_values_live_as_long_as_they_are_told(make: Any, instant: tuple[float, float]) -> None:
    cache = make().app_cache
    cache.set("short", 1, ttl=instant[0])
    cache.set("kept", 1, ttl=instant[0])
    cache.set("kept", 2)
    time.sleep(instant[1])
    assert cache.get("short") is None
    assert cache.get("kept") == 2


def test_each_sees_its_own(make: Any, backend: str) -> None:
    one, other_app, other = make(), make(app_id=131), make(organization_id=2)
    one.app_cache.set("k", "one")
    one.user_cache.set("k", "of all apps")
    assert other_app.app_cache.get("k") is None
    assert other_app.user_cache.get("k") == "of all apps"
    assert other.app_cache.get("k") is None and other.user_cache.get("k") is None
    if backend == "service":
        with automio.organization(2), pytest.raises(ScopeError, match="organization of its token alone"):
            one.app_cache.get("k")
        other.app_cache.set("k", "two")
    else:
        with automio.organization(2):
            assert one.app_cache.get("k") is None
            one.app_cache.set("k", "two")
    assert other.app_cache.get("k") == "two"
    assert one.app_cache.get("k") == "one"
    assert make(task_id="another").user_cache.get("k") == "of all apps", "no task in a key"


def test_a_token_stands_for_its_organization_where_none_is_named(make: Any) -> None:
    one, two = make(organization_id=None), make(organization_id=None, app_token="another")
    one.app_cache.set("k", "one")
    assert two.app_cache.get("k") is None
    assert make(organization_id=None).app_cache.get("k") == "one"
    with pytest.raises(ConfigError, match="belongs to an organization"):
        make(organization_id=None, app_token=None).app_cache.get("k")
    with pytest.raises(ConfigError, match="APP_ID is not set"):
        make(app_id=None).app_cache.get("k")
    with automio.all_organizations(), pytest.raises(ScopeError):
        one.app_cache.get("k")


def test_a_thread_that_lost_the_organization_is_refused(make: Any) -> None:
    api = make()
    found: list[BaseException] = []

    def look() -> None:
        try:
            api.app_cache.get("k")
        except ScopeError as error:
            found.append(error)

    with automio.organization(2):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len(found) == 1


def test_counting(make: Any, instant: tuple[float, float]) -> None:
    cache = make().app_cache
    cache.delete("n")
    with_threads: list[int] = []
    threads = [
        threading.Thread(target=lambda: with_threads.extend(cache.increment("n") for _ in range(20))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(with_threads) == list(range(1, 101))
    assert cache.get("n") == 100
    cache.set("text", "a")
    with pytest.raises(CacheError, match="not a number"):
        cache.increment("text")
    assert cache.increment("short", ttl=instant[0]) == 1
    time.sleep(instant[1])
    assert cache.increment("short", by=-1) == -1
    cache.delete("short")


def test_tags(make: Any) -> None:
    api = make()
    cache = api.app_cache
    cache.set("a", 1, tags=["x", "y"])
    cache.set("b", 2, ttl=60, tags=["x"])
    cache.set("c", 3)
    api.user_cache.set("a", 4, tags=["x"])
    assert cache.delete_tag("x") == 2
    assert [cache.get(key) for key in "abc"] == [None, None, 3]
    assert api.user_cache.get("a") == 4
    assert cache.delete_tag("y") == 0
    with pytest.raises(CacheError, match="tags is a list"):
        cache.set("a", 1, tags="x")


def test_a_missing_value_is_made_once_by_many_threads(make: Any) -> None:
    cache = make().app_cache
    cache.delete("slow")
    made: list[int] = []

    def slow() -> dict[str, Any]:
        made.append(1)
        time.sleep(0.2)
        return {"at": datetime(2026, 1, 1)}

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get_or_set("slow", slow, ttl=60))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == [{"at": "2026-01-01T00:00:00"}] * 8


async def test_what_raises_is_raised_there_and_the_next_one_makes_it(make: Any) -> None:
    cache = make().app_cache
    await cache.delete_async("shaky")
    calls = 0

    async def shaky() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        if calls == 1:
            raise LookupError("first")
        return 7

    found = await asyncio.gather(*(cache.get_or_set_async("shaky", shaky) for _ in range(4)), return_exceptions=True)
    assert sorted(map(str, found)) == ["7", "7", "7", "first"]
    assert calls == 2
    assert await cache.get_or_set_async("none", lambda: None) is None
    assert await cache.get_or_set_async("none", shaky) is None, "None is a value"
    await cache.delete_async("none")


PROCESS = """
import json, sys, time
from automio.wrapper import API
api = API(**json.loads(sys.argv[1]))
def slow():
    print("made", flush=True)
    if sys.argv[2] == "die":
        import os; os._exit(1)
    time.sleep(0.5)
    return 5
print(api.app_cache.get_or_set("processes", slow, ttl=60))
api.close()
"""


def test_a_missing_value_is_made_once_by_many_processes(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = make()
    names = ("app_token", "app_id", "organization_id", "redis_url", "cache_service_url", "cache_service_token")
    given = json.dumps({name: getattr(api.settings, name) for name in names})
    cache = api.app_cache
    cache.delete("processes")
    runs = [
        subprocess.Popen([sys.executable, "-c", PROCESS, given, "live"], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    texts = [run.communicate(timeout=60)[0] for run in runs]
    assert sorted("".join(texts).split()) == ["5", "5", "5", "made"]
    # One that dies while it makes the value does not block the others for longer than its lock lives.
    cache.delete("processes")
    monkeypatch.setattr("automio.services.cache.LOCK_SECONDS", 1.0)
    died = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROCESS.replace("def slow", "import automio.services.cache as c; c.LOCK_SECONDS = 1.0\ndef slow"),
            given,
            "die",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert died.communicate(timeout=60)[0] == "made\n"
    assert cache.get_or_set("processes", lambda: 6) == 6
    cache.delete("processes")


def test_a_long_making_keeps_its_lock(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automio.services.cache.LOCK_SECONDS", 0.3)
    first, second = make(), make()
    first.app_cache.delete("long")
    made: list[str] = []

    def slow(who: str) -> str:
        made.append(who)
        time.sleep(1)
        return who

    other: list[str] = []
    one = threading.Thread(
        target=lambda: other.append(first.app_cache.get_or_set("long", lambda: slow("first"), ttl=9))
    )
    one.start()
    time.sleep(0.2)
    assert second.app_cache.get_or_set("long", lambda: slow("second"), ttl=9) == "first"
    one.join()
    assert made == ["first"]


def test_down_is_told_or_declared(make: Any, server: Any, caplog: pytest.LogCaptureFixture) -> None:
    api, lenient = make(), make(cache_when_down=WhenDown.MISS)
    api.app_cache.set("k", 1)
    server.stop()
    try:
        for call in (
            lambda: api.app_cache.get("k"),
            lambda: api.app_cache.set("k", 2),
            lambda: api.app_cache.delete("k"),
            lambda: api.app_cache.get_or_set("k", lambda: 3),
            lambda: api.app_cache.increment("k"),
            lambda: lenient.app_cache.increment("k"),
        ):
            with pytest.raises(CacheUnavailable, match=r"not reached.*AUTOMIO-721") as fault:
                call()
            assert server.password not in str(fault.value)
        lenient.app_cache.set("k", 2)
        assert lenient.app_cache.get("k", default="missed") == "missed"
        assert lenient.app_cache.get_or_set("k", lambda: 3) == 3
        assert "Taken as a miss" in caplog.text and server.password not in caplog.text
    finally:
        server.start()
    assert api.app_cache.get("k") is None, "it is back, and empty"
    api.app_cache.set("k", 4)
    assert lenient.app_cache.get("k") == 4
    api.app_cache.delete("k")


def test_killed_while_many_count_and_back(make: Any, server: Any) -> None:
    """An answer is a number that nobody else got, or a typed error; when the server is back the same API() goes on."""
    api, lives, stop = make(), [set[int](), set[int]()], threading.Event()
    life, wrong = [0], list[str]()
    failed = [0]

    def work() -> None:
        while not stop.is_set():
            mine = life[0]
            try:
                number = api.app_cache.increment("count")
            except CacheUnavailable:
                failed[0] += 1
                time.sleep(0.01)
                continue
            except Exception as error:
                wrong.append(repr(error))
                return
            if mine == life[0]:
                if number in lives[mine]:
                    wrong.append(f"{number} twice")
                lives[mine].add(number)

    api.app_cache.delete("count")
    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    time.sleep(0.3)
    server.stop()
    time.sleep(0.2)
    life[0] = 1  # the new server begins with nothing
    server.start()
    until = time.monotonic() + 20
    while len(lives[1]) < 50 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    for worker in workers:
        worker.join(20)
    assert wrong == [] and failed[0] and all(len(numbers) >= 50 for numbers in lives)
    api.app_cache.delete("count")


def test_wrong_credentials_and_addresses_are_told(make: Any, server: Any, backend: str) -> None:
    if backend == "service":
        with pytest.raises(CacheUnavailable, match=r"refused the token \(status 401\)") as fault:
            make(cache_service_token="secret-one").app_cache.get("k")
        assert "secret-one" not in str(fault.value)
        return
    with pytest.raises(CacheUnavailable, match="refused the credentials") as fault:
        make(redis_url=server.url.replace("pass%20word", "secret-one")).app_cache.get("k")
    assert "secret-one" not in str(fault.value)
    for url in ("nonsense://:secret-two@host", "redis+sentinel://:secret-two@host:1"):
        with pytest.raises(ConfigError, match="REDIS_URL cannot be read") as wrong:
            make(redis_url=url).app_cache.get("k")
        assert "secret-two" not in str(wrong.value)


def test_a_closed_api_is_closed(make: Any) -> None:
    api = make()
    api.app_cache.set("k", 1)
    api.app_cache.delete("k")
    api.close()
    with pytest.raises(automio.TransportError, match="closed"):
        api.app_cache.get("k")
