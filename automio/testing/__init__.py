"""Tests of an app on its own local platform. In the conftest.py at the top of the project's tests:

    pytest_plugins = ["automio.testing"]

    def test_an_order_is_paid(automio_api):
        order = orders.insert(testing.rows(orders.insert)(status="new"))
        pay(order.id)
        assert orders.get(order.id).status == "paid"

| fixture               | scope    | is                                                                                   |
|-----------------------|----------|--------------------------------------------------------------------------------------|
| `automio_project`     | session  | the folder of schema/*.sql and platform.toml: pytest's rootdir. Override it to change |
| `automio_platform`    | session  | the platform of that project in a database of its own (platform.py)                  |
| `automio_organization`| function | the organization of the test: that of the first token. Override or parametrize it    |
| `automio_app`         | function | None, or the app whose token is wanted, where an organization has several tokens     |
| `automio_api`         | function | an API() bound to both, entered: typed functions use it. Rows are the seeded ones    |

They are plain fixtures, so that tests may be plain, pytest-asyncio's or anyio's. While a test has `automio_api`, the environment
names the local platform too: code that builds an API() of its own, or runs in a thread, meets the same rows and never a real
server. Real secrets are not needed: a token that platform.toml takes from the environment gets a stand-in.

`rows` makes rows to insert (factories.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from automio.testing.factories import Rows, rows
from automio.testing.platform import ScratchPlatform, scratch_platform
from automio.wrapper import API

__all__ = [
    "Rows",
    "ScratchPlatform",
    "automio_api",
    "automio_app",
    "automio_organization",
    "automio_platform",
    "automio_project",
    "rows",
    "scratch_platform",
]


@pytest.fixture(scope="session")
def automio_project(request: pytest.FixtureRequest) -> Path:
    """The project's folder: pytest's rootdir, unless overridden."""
    return request.config.rootpath


@pytest.fixture(scope="session")
def automio_platform(automio_project: Path) -> Iterator[ScratchPlatform]:
    """The project's local platform, once for all tests. Its rows are what the last test left; `reset()` undoes that."""
    with scratch_platform(automio_project) as platform:
        yield platform


@pytest.fixture
def automio_organization(automio_platform: ScratchPlatform) -> int:
    """The organization of the first token of platform.toml, 1 without one."""
    return automio_platform.organization


@pytest.fixture
def automio_app() -> int | None:
    """The app whose token is used; None: the organization's first token."""
    return None


@pytest.fixture
def automio_api(
    automio_platform: ScratchPlatform,
    automio_organization: int,
    automio_app: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[API]:
    """The API of one test, on rows that no other test has touched; the ambient client of typed functions."""
    automio_platform.reset()
    for name, value in automio_platform.environment(automio_organization, automio_app).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    from automio.runtime import client

    monkeypatch.setattr(client._environment, "client", None)  # one that an earlier test's environment made
    with automio_platform.api(automio_organization, automio_app) as api:
        yield api
