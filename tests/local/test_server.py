"""The local platform as it runs: real HTTP, a real PostgreSQL, and the ways in which it does not start."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from automio.errors import ConfigError, LocalError
from automio.local.config import PlatformConfig, load_platform
from automio.local.integration_config import ConnectionConfig, IntegrationConfig
from automio.local.server import RunningPlatform, listening, running_platform
from automio.request import GraphQLRequest
from automio.wrapper import API

from .providers import provider

ORDERS = "query { app_130_orders(order_by: {created_at: asc}) { orderId organization_id messages { messageContent } } }"


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Path:
    """A copy of the sample: its SQL and its platform.toml."""
    folder = tmp_path / "project"
    shutil.copytree(root / "schema", folder / "schema", ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copy(root / "platform.toml", folder / "platform.toml")
    return folder


@pytest.fixture
def config(project: Path) -> PlatformConfig:
    return load_platform(project / "platform.toml")


async def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def ask(running: RunningPlatform, organization: int, query: str, **variables: Any) -> Any:
    """The answer of the gateway to a caller of this organization."""
    url = f"{running.url}/api/apps/graphql/?app=130&table=orders"
    body = {"query": query, "variables": variables}
    status, answer = await post(url, body, authorization=f"App-Token local-org-{organization}")
    assert status == 200
    return answer


async def run_sql(running: RunningPlatform, sql: str) -> tuple[int, Any]:
    return await post(f"{running.url}/v2/query", {"type": "run_sql", "args": {"sql": sql}})


async def admin(running: RunningPlatform, query: str) -> Any:
    _, answer = await post(f"{running.url}/v1/graphql", {"query": query})
    return answer["data"]


async def test_tokens_see_their_organization_and_the_admin_sees_all(config: PlatformConfig) -> None:
    async with running_platform(config) as running:
        assert running.applied == ("schema/app_130.sql", "schema/seeds/app_130.sql")
        seen = {n: (await ask(running, n, ORDERS))["data"]["app_130_orders"] for n in (1, 2, 3)}
        assert {n: len(rows) for n, rows in seen.items()} == {1: 2, 2: 3, 3: 1}
        assert all(row["organization_id"] == n for n, rows in seen.items() for row in rows)
        assert len((await admin(running, ORDERS))["app_130_orders"]) == 6

        answer = await ask(running, 2, "{ app_130_orders(where: {organization_id: {_eq: 1}}) { id } }")
        assert answer == {"data": {"app_130_orders": []}}
        deleted = await ask(running, 3, "mutation { delete_app_130_messages(where: {}) { affected_rows } }")
        assert deleted == {"data": {"delete_app_130_messages": {"affected_rows": 1}}}
        left = await admin(running, "{ app_130_messages_aggregate { aggregate { count } } }")
        assert left == {"app_130_messages_aggregate": {"aggregate": {"count": 4}}}


async def test_variables_errors_and_status_codes(config: PlatformConfig) -> None:
    async with running_platform(config) as running:
        query = "query ($id: String!) { app_130_orders(where: {orderId: {_eq: $id}}) { buyerLogin } }"
        answer = await ask(running, 2, query, id="order-2-b")
        assert answer == {"data": {"app_130_orders": [{"buyerLogin": "bartek"}]}}
        wrong = await ask(running, 2, "{ app_130_orders { nope } }")
        assert wrong["errors"][0]["extensions"]["code"] == "validation-failed"
        assert "app_130_orders" in wrong["errors"][0]["extensions"]["path"]
        url = f"{running.url}/api/apps/graphql/?app=130&table=orders"
        assert (await post(url, b"{", authorization="App-Token local-org-1"))[0] == 400
        assert (await post(url, {"query": ORDERS}, authorization="App-Token local-org-9"))[0] == 401
        assert (await post(url.replace("130", "131"), {}, authorization="App-Token local-org-1"))[0] == 404
        assert (await post(f"{running.url}/nothing", {}))[0] == 404
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{running.url}/healthz") as health:
                assert (health.status, await health.json()) == (200, {"status": "ok"})
            async with session.get(running.url) as page:
                assert "local-org" not in await page.text()


async def test_many_callers_at_once(config: PlatformConfig) -> None:
    async with running_platform(config) as running:
        answers = await asyncio.gather(*(ask(running, n % 3 + 1, ORDERS) for n in range(60)))
        for number, answer in enumerate(answers):
            assert {row["organization_id"] for row in answer["data"]["app_130_orders"]} == {number % 3 + 1}


async def test_tables_that_change_while_it_runs(config: PlatformConfig) -> None:
    async with running_platform(config) as running:
        assert "errors" in await ask(running, 1, "{ app_130_orders { gift_note } }")
        status, _ = await run_sql(running, "ALTER TABLE app_130_orders ADD COLUMN gift_note text DEFAULT 'none'")
        assert status == 200
        answer = await ask(running, 3, "{ app_130_orders { gift_note } }")
        assert answer == {"data": {"app_130_orders": [{"gift_note": "none"}]}}
        status, refused = await run_sql(running, "ALTER TABLE nowhere ADD COLUMN x text")
        assert (status, refused["code"]) == (400, "postgres-error")
        assert refused["internal"]["error"]["status_code"] == "42P01"


async def test_schema_files_run_when_new_or_changed_and_seeds_once(config: PlatformConfig, project: Path) -> None:
    async with running_platform(config) as running:
        await run_sql(running, "DELETE FROM app_130_messages WHERE organization_id = 3")
    async with running_platform(config) as running:
        assert running.applied == ()
    schema, seed = project / "schema/app_130.sql", project / "schema/seeds/app_130.sql"
    schema.write_text(schema.read_text() + "ALTER TABLE app_130_orders ADD COLUMN IF NOT EXISTS note text;\n")
    seed.write_text(seed.read_text() + "-- changed\n")
    (project / "schema/app_131.sql").write_text("CREATE TABLE IF NOT EXISTS app_131_notes (id int PRIMARY KEY);\n")
    async with running_platform(config) as running:
        assert running.applied == ("schema/app_130.sql", "schema/app_131.sql")
        assert await admin(running, "{ app_131_notes { id } app_130_orders(limit: 1) { note } }")
        count = "{ app_130_messages_aggregate { aggregate { count } } }"
        assert (await admin(running, count))["app_130_messages_aggregate"]["aggregate"]["count"] == 4
        # What the platform keeps for itself is nobody's to ask for.
        assert "applied" not in str(await admin(running, "{ __schema { queryType { fields { name } } } }"))


async def test_a_script_that_fails_leaves_nothing_and_is_told_with_its_place(
    config: PlatformConfig, project: Path
) -> None:
    broken = project / "schema/app_131.sql"
    broken.write_text("CREATE TABLE app_131_a (id int PRIMARY KEY);\n\nCREATE TABLE\n  app_131_b (id nonsense);\n")
    with pytest.raises(LocalError) as raised:
        async with running_platform(config):
            pass
    assert raised.value.message.startswith('schema/app_131.sql:4:1: type "nonsense" does not exist')
    broken.write_text("CREATE TABLE app_131_a (id int PRIMARY KEY);")
    async with running_platform(config) as running:
        # app_130.sql had run before and is not run again; the first table of the broken script was undone.
        assert running.applied == ("schema/app_131.sql", "schema/seeds/app_130.sql")


async def test_two_starts_at_once_seed_once(config: PlatformConfig, project: Path) -> None:
    (project / "schema/seeds/app_130.sql").write_text(
        'INSERT INTO app_130_orders (organization_id, "orderId") SELECT 1, gen_random_uuid()::text FROM generate_series(1, 5);'
    )
    async with running_platform(config) as first, running_platform(config) as second:
        assert first.url != second.url
        for running in (first, second):
            assert len((await admin(running, "{ app_130_orders { id } }"))["app_130_orders"]) == 5

    async def start() -> int:
        async with running_platform(config, home=config.root / ".new") as running:
            return len((await admin(running, "{ app_130_orders { id } }"))["app_130_orders"])

    assert await asyncio.gather(start(), start()) == [5, 5]


async def test_state_is_hidden_from_git(config: PlatformConfig, project: Path) -> None:
    async with running_platform(config):
        assert (project / ".automio/.gitignore").read_text() == "*\n"


async def test_an_open_admin_endpoint_stays_on_this_machine(config: PlatformConfig) -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 can be reached from other machines"):
        async with running_platform(config, host="0.0.0.0"):
            pass
    assert not config.home.exists()


def test_small_answers_are_not_held_back() -> None:
    """asyncio sets TCP_NODELAY on what a socket that says TCP accepts; else a kept connection waits 40 ms for each answer."""
    with listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


async def test_a_port_in_use(config: PlatformConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalError, match=r"port \d+ of .* is in use"):
        async with running_platform(config, port=taken.getsockname()[1]):
            pass
    with pytest.raises(LocalError, match=r"192\.0\.2\.1 .*|port 0 of 192\.0\.2\.1 cannot be used"):
        async with running_platform(PlatformConfig(config.root, admin_secret="s"), host="192.0.2.1"):
            pass
    assert not config.home.exists()


# The command, in a process of its own.


def environment(**extra: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "AUTOMIO_DEBUG")} | extra


def start(project: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "automio", "serve", *(arguments or ("--port", "0"))]
    return subprocess.Popen(
        command, cwd=project, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@contextmanager
def serving(project: Path, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the URL of its ready line."""
    with start(project, *arguments, **env) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.fullmatch(r"ready (http://127\.0\.0\.1:\d+)\n", line)
            assert found, (line, process.communicate(timeout=20) if not line else "")
            yield process, found[1]
        finally:
            process.kill()


def refused(project: Path, *arguments: str, **env: str) -> str:
    """What the command says when it cannot run."""
    with start(project, *arguments, **env) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, ""), err
    assert "Traceback" not in err
    return err


def postgres_of(project: Path) -> list[int]:
    """The processes whose command line names this project's database."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(project / ".automio").encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_until_a_signal(project: Path, number: signal.Signals) -> None:
    with serving(project) as (process, url):
        status, answer = asyncio.run(post(f"{url}/v1/graphql", {"query": "{ app_130_orders { id } }"}))
        assert (status, len(answer["data"]["app_130_orders"])) == (200, 6)
        if sys.platform == "linux":
            assert postgres_of(project)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)
    until = time.monotonic() + 10
    while postgres_of(project) and time.monotonic() < until:
        time.sleep(0.05)
    assert postgres_of(project) == []


def test_a_signal_while_it_starts(project: Path) -> None:
    with start(project) as process:
        time.sleep(0.35)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in err
    until = time.monotonic() + 20
    while postgres_of(project) and time.monotonic() < until:
        time.sleep(0.05)
    assert postgres_of(project) == []


def test_serve_on_a_port_in_use(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(project, "--port", str(port))
    assert told.startswith(f"error: port {port} of 127.0.0.1 is in use [AUTOMIO-600]\n  hint: ")


def test_serve_when_the_database_cannot_start(project: Path) -> None:
    (project / ".automio/postgres/data").mkdir(parents=True)
    (project / ".automio/postgres/data/PG_VERSION").write_text("12\n")
    assert "was not made by automio" in refused(project)
    assert (project / ".automio/postgres/data/PG_VERSION").read_text() == "12\n"


def test_serve_when_the_database_cannot_be_reached(project: Path) -> None:
    with socket.socket() as closed:  # bound and not listening
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://me:hush-hush@127.0.0.1:{closed.getsockname()[1]}/db"
        told = refused(project, DATABASE_URL=url)
    assert told.startswith("error: The database at 127.0.0.1:")
    assert "[AUTOMIO-600]" in told
    assert "hush-hush" not in told
    assert "PostgreSQL address" in refused(project, DATABASE_URL="mysql://x")


def test_serve_with_a_broken_platform_toml(project: Path) -> None:
    (project / "platform.toml").write_text("tokns = 1\n")
    told = refused(project)
    assert told.startswith("platform.toml:1:1: unknown key `tokns` [AUTOMIO-001]\n")
    assert "there is no such file" in refused(project, "--config", "nowhere.toml")


def test_serve_with_a_broken_script(project: Path) -> None:
    (project / "schema/app_130.sql").write_text("CREATE TABLE x (id int);\nSELEC 1;\n")
    told = refused(project)
    assert told.startswith('schema/app_130.sql:2:1: syntax error at or near "SELEC" [AUTOMIO-600]\n  2 | SELEC 1;\n')


def test_serve_without_platform_toml(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        status, answer = asyncio.run(post(f"{url}/v1/graphql", {"query": "{ __typename }"}))
        assert (status, answer) == (200, {"data": {"__typename": "query_root"}})
        gateway = asyncio.run(
            post(f"{url}/api/apps/graphql/?app=130&table=x", {}, authorization="App-Token local-org-1")
        )
        assert gateway[0] == 401
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert err == "note: there is no platform.toml, so no token is known and only the admin's endpoint serves\n"


async def test_integrations_beside_tables(config: PlatformConfig) -> None:
    """One API() on the platform as it is served: rows and calls to a provider, for the same token."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"who": request.headers["Authorization"]})

    async with provider(answer) as address:
        connection = ConnectionConfig(11, "main", 1, headers=(("Authorization", "Basic a"),))
        integration = IntegrationConfig("shop", "Shop", address, connections=(connection,))
        async with running_platform(replace(config, integrations=(integration,))) as running:
            api = API(api_base_url=running.url, app_token="local-org-1", app_id=130, hasura_graphql_endpoint=None)
            async with api:
                rows = await api.tables.apps_graphql_query_async(130, "orders", GraphQLRequest(ORDERS))
                data, response = await api.integrations.call_async("shop")
        assert len(rows.data["app_130_orders"]) == 2
        assert (data, response.ok) == ({"who": "<hidden>"}, True)


async def test_answers_leave_at_once() -> None:
    """Head and body are two writes: without TCP_NODELAY the second one waited 40 ms for the first one's acknowledgement."""
    found: asyncio.Queue[int] = asyncio.Queue()

    class Look(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            found.put_nowait(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    with listening("127.0.0.1", 0) as listener:
        async with await asyncio.get_running_loop().create_server(Look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            assert await found.get() != 0
            writer.close()
