"""REDIS_URL of a Cluster and of Sentinels, on real ones: what happens when a slot moves and when a master dies.

The whole contract of the caches runs on both in test_cache.py with AUTOMIO_REDIS_TOPOLOGIES=1, and so do the failovers here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.asyncio.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import ConnectionError

from automio.errors import CacheUnavailable
from automio.wrapper import API

from .topologies import Cluster, Node, Sentinels, until

slow = pytest.mark.skipif(not os.environ.get("AUTOMIO_REDIS_TOPOLOGIES"), reason="AUTOMIO_REDIS_TOPOLOGIES=1 runs it")
NAME = "automio:{app:130:1}:value:n"
Make = Callable[..., API]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[API] = []

    def api(url: str, **more: Any) -> API:
        made.append(API(**{"app_token": "token", "app_id": 130, "organization_id": 1, "redis_url": url} | more))
        made[-1].app_cache.delete("n")
        return made[-1]

    monkeypatch.delenv("CACHE_SERVICE_URL", raising=False)
    yield api
    for one in made:
        one.close()


def recovered(api: API, seconds: float = 20) -> int:
    """Until the cache answers again; how many calls were refused meanwhile, all by the error that says so."""
    refused = 0
    end = time.monotonic() + seconds
    while True:
        try:
            api.app_cache.set("n", refused)
            assert api.app_cache.get("n") == refused
            return refused
        except CacheUnavailable:
            refused += 1
        assert time.monotonic() < end, f"not back within {seconds} seconds"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["cluster", "sentinels"])
def test_values_tags_counts_and_locks(kind: str, make: Make, request: pytest.FixtureRequest) -> None:
    api, two = (make(request.getfixturevalue(kind).url, organization_id=number) for number in (1, 2))
    cache = api.app_cache
    for number in range(20):
        cache.set(f"{{{number}}}", number, ttl=60, tags=["even" if number % 2 == 0 else "odd", "all"])
    assert cache.delete_tag("even") == 10 and cache.delete_tag("all") == 10
    assert cache.get_or_set("{made}", lambda: [1]) == [1] and cache.delete("{made}")
    assert [cache.increment("n") for _ in range(3)] == [1, 2, 3]
    assert two.app_cache.get("n") is None and api.user_cache.get("n") is None


def test_a_part_of_a_cluster_is_told(cluster: Cluster, make: Make) -> None:
    other = next(node for node in cluster.masters if node is not cluster.owner(NAME))
    with pytest.raises(CacheUnavailable, match=r"is a part of a Cluster[\s\S]*redis\+cluster://"):
        make(f"redis://:pass%20word@127.0.0.1:{other.port}")


@slow
def test_a_slot_that_moves(cluster: Cluster, make: Make) -> None:
    api = make(cluster.url)
    source = cluster.owner(NAME)
    target = next(node for node in cluster.masters if node is not source)
    api.app_cache.set("moving", 1, tags=["tag"])
    assert api.app_cache.increment("n") == 1
    slot = key_slot(NAME.encode())
    end = cluster.move(slot, source, target)
    assert api.app_cache.increment("n") == 2, "ASK"
    assert api.app_cache.get("moving") == 1
    end()
    assert cluster.owner(NAME) is target
    assert api.app_cache.increment("n") == 3, "MOVED"
    assert api.app_cache.delete_tag("tag") == 1
    cluster.move(slot, target, source)()
    assert [api.app_cache.increment("n") for _ in range(20)] == list(range(4, 24)), "and back"


@slow
def test_a_master_that_does_not_answer(cluster: Cluster, make: Make) -> None:
    """What was sent to it is done when it comes to, once."""
    api, patient = make(cluster.url, timeout=0.3), make(cluster.url)
    node = cluster.owner(NAME)
    assert api.app_cache.increment("n") == 1
    node.freeze()
    try:
        with pytest.raises(CacheUnavailable):
            api.app_cache.increment("n")
    finally:
        node.thaw()
    recovered_at = time.monotonic() + 20
    while True:
        try:
            assert patient.app_cache.get("n") == 2
            break
        except CacheUnavailable:
            assert time.monotonic() < recovered_at
    cluster.wait()


def test_a_count_whose_answer_is_lost_is_sent_once(
    cluster: Cluster, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make(cluster.url)
    real = ClusterNode.parse_response
    lost: list[str] = []

    async def lose(node: ClusterNode, connection: Any, command: str, **more: Any) -> Any:
        answer = await real(node, connection, command, **more)
        if command == "EVAL" and not lost:
            lost.append(command)
            raise ConnectionError("the answer is lost")
        return answer

    monkeypatch.setattr(ClusterNode, "parse_response", lose)
    with pytest.raises(CacheUnavailable):
        api.app_cache.increment("n")
    assert lost and api.app_cache.increment("n") == 2


@slow
def test_a_master_of_a_cluster_dies(cluster: Cluster, make: Make) -> None:
    number, node = next((n, node) for n in range(1, 1000) if (node := owner_for(cluster, n)) is cluster.masters[0])
    api, other = (make(cluster.url, organization_id=number) for _ in range(2))
    api.app_cache.set("kept", 1)
    until(lambda: cluster.replicas[0].ask("DBSIZE") == node.ask("DBSIZE"), "the replica has it")
    node.kill()
    try:
        assert recovered(api) > 0, "the calls before the failover are refused"
        assert api.app_cache.get("kept") == 1
        assert owner_for(cluster, number) is cluster.replicas[0]
        assert recovered(other) == 0, "a client that slept meanwhile finds the new master at once"
    finally:
        cluster.start()
    node.ask("CLUSTER", "FAILOVER")
    until(lambda: owner_for(cluster, number) is node, "the old one is the master again")
    assert recovered(api) == 0 and api.app_cache.get("kept") == 1


def owner_for(cluster: Cluster, organization: int) -> Node:
    return cluster.owner(f"automio:{{app:130:{organization}}}:value:n")


@slow
def test_a_master_without_a_replica_dies(cluster: Cluster, make: Make) -> None:
    """The rest of the Cluster refuses too, as it is configured by default; its refusal is told as what it is."""
    number, node = next((n, node) for n in range(1, 1000) if (node := owner_for(cluster, n)) is cluster.masters[1])
    elsewhere = next(n for n in range(1, 1000) if owner_for(cluster, n) is cluster.masters[2])
    api, other = (make(cluster.url, organization_id=one) for one in (number, elsewhere))
    node.kill()
    try:
        with pytest.raises(CacheUnavailable):
            api.app_cache.get("n")
        until(lambda: cluster.masters[2].ask("CLUSTER INFO")["cluster_state"] == "fail", "the others know")
        with pytest.raises(CacheUnavailable) as fault:
            other.app_cache.get("n")
        assert "pass word" not in str(fault.value)
    finally:
        cluster.start()
    recovered(api)
    recovered(other)


@slow
def test_a_master_behind_sentinels_dies(sentinels: Sentinels, make: Make) -> None:
    api, other = make(sentinels.url), make(sentinels.url)
    old = sentinels.master()
    api.app_cache.set("kept", 1)
    until(lambda: all(one.ask("DBSIZE") == old.ask("DBSIZE") for one in sentinels.servers), "the replica has it")
    old.kill()
    try:
        assert recovered(api) > 0, "the calls before the failover are refused"
        assert sentinels.master() is not old
        assert api.app_cache.get("kept") == 1
        assert recovered(other) == 0, "a client that slept meanwhile finds the new master at once"
    finally:
        sentinels.start()


@slow
def test_a_master_is_replaced_by_order(sentinels: Sentinels, make: Make) -> None:
    api = make(sentinels.url)
    old = sentinels.master()
    sentinels.sentinels[0].ask("SENTINEL", "FAILOVER", sentinels.name)
    until(lambda: sentinels.master() is not old, "the Sentinels have another master")
    recovered(api)  # by the new master, or still by the old one, which is cut off and loses it
    sentinels.start()
    assert recovered(api) == 0


@slow
def test_sentinels_die(sentinels: Sentinels, make: Make) -> None:
    url = sentinels.url
    with pytest.raises(CacheUnavailable, match="not reached") as fault:
        make(url.replace(sentinels.name, "another"))
    assert "pass" not in str(fault.value)
    api = make(url)
    try:
        sentinels.sentinels[0].kill()
        began = time.monotonic()
        make(url).app_cache.set("n", 1)
        assert time.monotonic() - began < 2, "the next one is asked at once"
        for one in sentinels.sentinels:
            one.kill()
        assert api.app_cache.get("n") == 1, "a client that is connected needs none"
        with pytest.raises(CacheUnavailable, match="not reached"):
            make(url)
    finally:
        sentinels.start()
