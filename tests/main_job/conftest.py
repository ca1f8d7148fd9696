"""The local platform as a user starts it: `automio serve` in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app_130._facts import FACTS
from automio.runtime import call

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("schema", "queries", "codegen.toml", "platform.toml")
OURS = ("API_", "APP_", "HASURA_", "ORG", "DATABASE_URL")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without what could point a call elsewhere, and `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | extra


@contextmanager
def platform(workspace: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=workspace, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline().strip()
            assert line.startswith("ready "), line
            yield line.removeprefix("ready ")
        finally:
            server.terminate()


@pytest.fixture(autouse=True, scope="module")
def sample_package_alone() -> Iterator[None]:
    """Of packages for app 130 only the sample's is known: other tests of this process may have imported theirs."""
    before = dict(call._registered)
    call._registered.clear()
    call._registered["130"] = FACTS
    yield
    call._registered.clear()
    call._registered.update(before)


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Path], str]]:
    """Starts a platform in a folder and gives its URL; all end with the module's tests."""
    with ExitStack() as stack:
        yield lambda workspace: stack.enter_context(platform(workspace))


@pytest.fixture(scope="module")
def serve(served: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Starts a platform on a copy of the sample workspace, in a folder of this name, and gives its URL."""

    def start(name: str) -> str:
        workspace = tmp_path_factory.mktemp(name)
        for part in INPUTS:
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, workspace / part)
        return served(workspace)

    return start


@pytest.fixture(scope="session")
def clean_environment() -> Callable[..., dict[str, str]]:
    return environment
