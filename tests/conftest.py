"""Options and fixtures that every part of the tests shares."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job starts with Ctrl-C ignored, and so would everything that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expected files; read the diff as you would code"
    )
    parser.addoption("--scale", action="store_true", help="tests/codegen/test_scale.py at its full sizes: many minutes")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference schemas and answers beside the repository; a test that needs them is skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared (reference schemas) is not here")
    return SHARED


NODE_PACKAGES = {
    "@graphql-inspector/core": "8.0.0",
    "@taplo/cli": "0.7.0",
    "graphql": "16.15.0",
    "graphql-language-service-cli": "3.5.0",
}
"""Programs of others that ours is compared with or read by; nothing of them is needed to use automio."""


@pytest.fixture(scope="session")
def node_tools() -> Path:
    """A folder with `node_modules`, kept outside the repository (AUTOMIO_NODE_TOOLS names another). Skips without npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    wanted = json.dumps({"private": True, "dependencies": NODE_PACKAGES}, sort_keys=True)
    home = Path(os.environ.get("AUTOMIO_NODE_TOOLS") or Path.home() / ".cache" / "automio-tests")
    folder = home / sha256(wanted.encode()).hexdigest()[:12]
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("npm could not fetch the packages in time")
        if done.returncode:
            pytest.skip(f"npm could not fetch the packages: {done.stderr.strip()[-200:]}")
        (folder / "done").touch()
    return folder
