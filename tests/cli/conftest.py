"""Fixtures of the commands' tests: a command in a process of its own, and servers that answer as told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, get_introspection_query, graphql_sync

from automio.cli.app import main

SDL = (Path(__file__).parent / "orders.graphql").read_text()


def introspect(sdl: str = SDL) -> dict[str, Any]:
    """What a server with this schema answers to the introspection query."""
    data = graphql_sync(build_schema(sdl), get_introspection_query()).data
    assert data
    return data


def clean_environment(**extra: str) -> dict[str, str]:
    """Ours without what could point a command elsewhere or change its output."""
    dropped = ("API_", "APP_", "HASURA_", "ORG", "AUTOMIO_", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    for name in ("DATABASE_URL", "NO_COLOR", "FORCE_COLOR"):
        kept.pop(name, None)
    return kept | extra


Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def automio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`automio *arguments` in tmp_path, with `env` added to a clean environment; in this process, which is quick."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
        with monkeypatch.context() as changed:
            changed.chdir(tmp_path)
            changed.setattr(os, "environ", clean_environment(**(env or {})))
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        code = ended.value.code
        assert isinstance(code, int)
        return Done(["automio", *arguments], code, *capsys.readouterr())

    return run


@pytest.fixture
def automio_process(tmp_path: Path) -> Run:
    """The same in a process of its own, as users run it."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
        command = [sys.executable, "-m", "automio", *arguments]
        environment = clean_environment(**(env or {}))
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    return run


@dataclass
class Served:
    """A server on this machine: its answer, and the requests that it saw."""

    url: str
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, sdl: str) -> None:
        self.body = json.dumps({"data": introspect(sdl)}).encode()


@pytest.fixture
def server() -> Iterator[Served]:
    """An HTTP server that introspects as SDL, until told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            served.seen.append(
                (self.path, {name.lower(): value for name, value in self.headers.items()}, json.loads(body))
            )
            if served.delay:
                served.released.wait(served.delay)
            self.send_response(served.status)
            for name, value in {"content-type": "application/json", **served.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(served.body)))
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that went away is part of the test

    http = Quiet(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{http.server_address[1]}")
    served.answer(SDL)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.released.set()
    http.shutdown()
    thread.join()
    http.server_close()
