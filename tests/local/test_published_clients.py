"""The published clients, old and new, call real providers through the local platform, and can't tell it from the hosted one.

Each is installed into an environment of its own, which takes some seconds; without a package index the tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .providers import shop

PROGRAM = """
import json
from automio.wrapper import API

api = API()
it = api.integrations
found = {}


def note(name, make):
    try:
        found[name] = make()
    except Exception as error:
        found[name] = type(error).__name__


def answer(response):
    return [response.status_code, response.ok]


def call(**arguments):
    data, response = it.call(shop, **arguments)
    return [data, *answer(response)]


def parallel(responses):
    return [[one.api_data, one.connection_id, one.organization_id, *answer(one.api_response)] for one in responses]


def stream(**arguments):
    ones = list(it.parallel_call_stream(shop, **arguments))
    return [sorted([one["index"], one["data"], *answer(one["response"])] for one in ones[:-1]), ones[-1]]


shop = it.get_integration("shop")
found["accounts"] = list(shop.connected_accounts)
note("list", lambda: [one.integration_id for one in it.get_integrations().results])
table = it.all_connections if hasattr(it, "all_connections") else it.get_table_connections
note("connections", lambda: {key: [one.id for one in ones] for key, ones in table(shop, "orders").items()})
note("call", lambda: call(method="POST", endpoint="/x", json={"a": 1}, params={"limit": 10}, connection_id="main"))
note("error", lambda: call(method="GET", endpoint="/error"))
note("foreign", lambda: call(method="GET", endpoint="/x", connection_id=21))
ids = [{"connection_id": 11, "organization_id": 1}, {"connection_id": 31, "organization_id": 3}]
items = [{"url_params": {"id": n}} for n in "ab"]
many = [one | two for one, two in zip(ids, items)]
note("parallel", lambda: parallel(it.parallel_call(shop, method="GET", endpoint="/i/{id}", data_list=many, table="t")))
note("single", lambda: parallel(it.parallel_call_for_connection(
    shop, method="GET", endpoint="/i/{id}", data_list=items, connection_id="main", organization_id=1, table="t")))
note("stream", lambda: stream(method="GET", endpoint="/i/{id}", data_list=items, connection_id=11))
print("FOUND" + json.dumps(found))
"""


async def answer(request: web.Request) -> web.StreamResponse:
    body = await request.text()
    status = 404 if request.path == "/error" else 200
    who = request.headers["Authorization"].rpartition("-")[2]
    return web.json_response({"at": request.path_qs, "who": who, "body": body, "text": "zażółć"}, status=status)


@pytest.fixture(scope="module", params=["0.1.6", "0.5.7"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has this version of the published client."""
    folder = tmp_path_factory.mktemp("published")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "-q", f"automio=={request.param}", "requests"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=150, check=False)
    if done.returncode:
        pytest.skip(f"automio=={request.param} could not be installed: {done.stderr.strip()[-200:]}")
    return python


async def test_every_documented_call(client: Path, tmp_path: Path) -> None:
    def value(at: str, who: str = "one", body: str = "") -> dict[str, Any]:
        return {"at": at, "who": who, "body": body, "text": "zażółć"}

    async with shop(answer) as url:
        hidden = {"PYTHONPATH", "HASURA_GRAPHQL_ENDPOINT", "CACHE_SERVICE_URL"}
        environment = {name: text for name, text in os.environ.items() if name not in hidden}
        environment |= {"API_BASE_URL": url, "PUBLIC_API_BASE_URL": url, "APP_TOKEN": "token-1", "APP_ID": "130"}
        process = await asyncio.create_subprocess_exec(
            str(client), "-c", PROGRAM, stdout=-1, stderr=-1, cwd=tmp_path, env=environment
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
    lines = [line for line in out.decode().splitlines() if line.startswith("FOUND")]
    assert lines, err.decode()[-2000:]
    found = json.loads(lines[0].removeprefix("FOUND"))
    assert found == {
        "accounts": [11],
        "list": ["shop"],
        "connections": {"1": [11], "3": [31]},
        "call": [value("/x?limit=10", body='{"a": 1}'), 200, True],
        "error": [None, 404, False],  # they throw the data of an error away
        "foreign": "IntegrationAccessDeniedError",
        "parallel": [[value("/i/a"), 11, 1, 200, True], [value("/i/b", "three"), 31, 3, 200, True]],
        "single": [[value("/i/a"), 11, 1, 200, True], [value("/i/b"), 11, 1, 200, True]],
        "stream": [
            [[0, value("/i/a"), 200, True], [1, value("/i/b"), 200, True]],
            {"final": True, "total_processed": 2},
        ],
    }
