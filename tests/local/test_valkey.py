"""The embedded Valkey on the real program. Processes are told by the home folder in the supervisor's command line."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from automio.errors import LocalError
from automio.local import valkey
from automio.local.valkey import CacheHome, Valkey

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the tests look at processes through /proc"),
    pytest.mark.skipif(importlib.util.find_spec(valkey.WHEEL) is None, reason="the wheel of Valkey is not installed"),
]
ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from automio.local.valkey import Valkey
server = Valkey.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
"""


def supervisors(home: Path) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(home / "users.lock") in words:
                found.append(int(entry.name))
    return found


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def user(home: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ("a folder with spaces and a long name " * 3) / "val'key"


def test_it_serves_and_stops_with_its_last_user(home: Path) -> None:
    with Valkey.start(home) as first:
        client = redis.Redis.from_url(first.url)
        client.set("k", "v")
        process, url = user(home)
        assert url == first.url, "shared with another process"
        with Valkey.start(home) as second:
            assert second.url == first.url
        first.close()
        time.sleep(0.2)
        assert client.get("k") == b"v", "somebody is still there"
        client.close()
        process.kill()  # kill -9: nobody says goodbye
        process.communicate()
        wait_for(lambda: not supervisors(home))
        assert not first.address.socket.parent.exists()
    with Valkey.start(home) as again:
        with redis.Redis.from_url(again.url) as client:
            assert client.get("k") is None, "nothing is kept"
        assert again.url != first.url
        again.stop()
        assert not again.answers()
        again.stop()


def test_it_is_closed_to_others(home: Path) -> None:
    with Valkey.start(home) as server:
        with (
            redis.Redis(unix_socket_path=str(server.address.socket)) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.get("k")
        assert stat.S_IMODE(server.address.socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "valkey.conf").stat().st_mode) == 0o600
        assert server.address.password not in repr(server.address) + repr(server)
        for number in Path("/proc").iterdir():
            if number.name.isdigit():
                try:
                    assert server.address.password.encode() not in (number / "cmdline").read_bytes()
                except OSError:
                    continue
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("port") == {"port": "0"}
            assert client.config_get("save") == {"save": ""}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_runs_it_as_somebody_else(home: Path) -> None:
    with Valkey.start(home) as server, redis.Redis.from_url(server.url) as client:
        pid = client.info("server")["process_id"]
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status


def test_killed_servers_and_supervisors_are_replaced(home: Path) -> None:
    with Valkey.start(home) as first:
        with redis.Redis.from_url(first.url) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        wait_for(lambda: not first.answers())
        with Valkey.start(home) as second:
            assert second.answers() and second.url != first.url
            [supervisor] = supervisors(home)
            os.kill(supervisor, signal.SIGKILL)
            # A process that is ending has no command line any more while it still holds its lock.
            wait_for(lambda: not supervisors(home) and not CacheHome.open(home).has_supervisor())
            assert second.answers()
            with Valkey.start(home) as third:
                assert third.answers() and not second.answers(), "an unwatched server would stay for ever"
                assert not second.address.socket.parent.exists()
    wait_for(lambda: not supervisors(home))


def test_many_start_at_once_and_share(home: Path) -> None:
    found: list[Valkey] = []
    threads = [threading.Thread(target=lambda: found.append(Valkey.start(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({server.url for server in found}) == 1 and len(found) == 8
    for server in found:
        server.close()
    wait_for(lambda: not supervisors(home))


def test_what_cannot_start_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such thing\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(valkey, "_program", lambda: broken)
    with pytest.raises(LocalError, match=r"(?s)did not start.*no such thing"):
        Valkey.start(home)
    monkeypatch.undo()
    monkeypatch.setattr(valkey, "WHEEL", "no_such_package")
    with pytest.raises(LocalError, match=r"not installed.*REDIS_URL"):
        Valkey.start(home)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(LocalError, match="Windows"):
        Valkey.start(home)
