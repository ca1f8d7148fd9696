"""kill -9 at any moment: an acknowledged write is there afterwards, a mutation is there whole or not at all, the next start works.

A client in a process of its own sends mutations of two root fields over several connections and notes each acknowledged
number in a file. Then the client, `automio serve`, PostgreSQL's first process or one of its connections is killed at a random
moment, and the platform is asked what is there, started again where it died. 8 kills in a plain run, AUTOMIO_KILLS=50
(`make engine-proof`) for the full proof; AUTOMIO_SEED repeats a run's choices.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

KILLS = int(os.environ.get("AUTOMIO_KILLS", "8"))
WHOM = ("client", "server", "postgres", "backend")
TABLES = """
CREATE TABLE heads (id integer PRIMARY KEY, organization_id integer NOT NULL DEFAULT 1);
CREATE TABLE parts (id serial PRIMARY KEY, head_id integer NOT NULL REFERENCES heads (id), body text NOT NULL);
CREATE INDEX ON parts (head_id);
"""
CLIENT = """
import http.client, json, os, sys, threading
port, first, noted = int(sys.argv[1]), int(sys.argv[2]), os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
TEXT = '''mutation ($id: Int!, $body: String!) {
  insert_heads_one(object: {id: $id}) { id }
  insert_parts(objects: [{head_id: $id, body: $body}, {head_id: $id, body: $body}]) { affected_rows }
}'''

def write(lane):
    number, connection = first + lane, None
    while True:
        number += 8
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            body = json.dumps({"query": TEXT, "variables": {"id": number, "body": "b" * (number % 3000)}})
            connection.request("POST", "/v1/graphql", body, {"content-type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            connection = None
            continue
        if "data" in answer:
            os.write(noted, b"%d\\n" % number)

for lane in range(8):
    threading.Thread(target=write, args=(lane,)).start()
"""


class Platform:
    """`automio serve` in a project folder, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Serves when this returns."""
        environment = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "AUTOMIO_DEBUG")
        }
        command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
        with (self.folder / "serve.log").open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"ready http://127\.0\.0\.1:(\d+)\n", line)
        assert found, (line, (self.folder / "serve.log").read_text()[-2000:])
        self.port = int(found[1])

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stdout.close()
        self.process = None

    def post(self, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def rows(self) -> dict[int, int]:
        """How many parts each head has. Waits for a server that recovers from the loss of its connections."""
        text = "{ heads { id parts_aggregate { aggregate { count } } } parts { head_id } }"
        until = time.monotonic() + 30
        while True:
            answer = self.post("/v1/graphql", {"query": text})
            if "data" in answer:
                break
            assert answer["errors"][0]["extensions"]["code"] == "unexpected", answer
            assert time.monotonic() < until, answer
            time.sleep(0.1)
        found = {row["id"]: row["parts_aggregate"]["aggregate"]["count"] for row in answer["data"]["heads"]}
        assert {row["head_id"] for row in answer["data"]["parts"]} <= found.keys()
        return found

    def of_postgres(self) -> list[int]:
        """The processes whose command line names this project's database."""
        found: list[int] = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if str(self.folder / ".automio").encode() in words:
                found.append(int(path.parent.name))
        return found

    def postmaster(self) -> int:
        """PostgreSQL's first process."""
        number = int((self.folder / ".automio/postgres/data/postmaster.pid").read_text().split()[0])
        assert number in self.of_postgres(), "not a process of this test"
        return number

    def backend(self) -> int:
        """The process of one of PostgreSQL's connections."""
        parent = self.postmaster()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                text, command = path.read_text(), path.with_name("cmdline").read_bytes()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == parent and command.startswith(b"postgres: postgres postgres"):
                return int(path.parent.name)
        return parent


def noted(path: Path) -> set[int]:
    """The numbers whose line is complete."""
    text = path.read_text() if path.exists() else ""
    return {int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")}


@pytest.mark.timeout(900)
def test_acknowledged_writes_survive_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("AUTOMIO_SEED", random.SystemRandom().randrange(2**32)))
    print(f"AUTOMIO_SEED={seed}")
    rnd = random.Random(seed)
    platform = Platform(tmp_path)
    client: subprocess.Popen[bytes] | None = None
    acknowledged: set[int] = set()
    whom = [WHOM[i % len(WHOM)] for i in range(KILLS)]
    rnd.shuffle(whom)
    try:
        platform.start()
        made = platform.post("/v2/query", {"type": "run_sql", "args": {"sql": TABLES}})
        assert made["result_type"] == "CommandOk", made
        for turn, victim in enumerate(whom):
            notes = tmp_path / f"noted{turn}"
            first = 1_000_000 * (turn + 1)
            client = subprocess.Popen([sys.executable, "-c", CLIENT, str(platform.port), str(first), str(notes)])
            time.sleep(0.2 + rnd.random() * 0.6)
            assert platform.process is not None
            if victim == "client":
                client.kill()
            elif victim == "server":
                platform.end(signal.SIGKILL)
            else:
                os.kill(platform.postmaster() if victim == "postgres" else platform.backend(), signal.SIGKILL)
            if victim != "client":
                time.sleep(rnd.random() * 0.2)
            client.kill()
            client.wait()
            if victim == "postgres":
                platform.end(rnd.choice([signal.SIGTERM, signal.SIGKILL]))
            if platform.process is None:
                platform.start()
            acknowledged |= noted(notes)
            found = platform.rows()
            assert acknowledged <= found.keys(), (turn, victim, sorted(acknowledged - found.keys()))
            print(f"{turn}: {victim}, {len(acknowledged)} of {len(found)} rows acknowledged")
            assert set(found.values()) <= {2}, (turn, victim, {n: c for n, c in found.items() if c != 2})
        assert len(acknowledged) > KILLS, "the client wrote nothing"
        platform.end(signal.SIGTERM)
        told = (tmp_path / "serve.log").read_text()
        assert all(line.startswith("note: ") for line in told.splitlines()), told[-3000:]
        until = time.monotonic() + 30
        while platform.of_postgres() and time.monotonic() < until:
            time.sleep(0.05)
        assert platform.of_postgres() == []
    finally:
        if client is not None:
            client.kill()
            client.wait()
        if platform.process is not None:
            platform.end(signal.SIGKILL)
