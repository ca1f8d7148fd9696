"""One generated package against two installations: apps 130 and 131 side by side in one database, called from one process.

App 131 has app 130's tables and seeds under its own id. Every call of the package that was generated from app 130 is made
in both, through the gateway and to the Hasura endpoint; the answers must be equal byte for byte, the models too, and
what happens in one installation must not be seen in the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "orders": "id organization_id orderId buyerLogin status delivered total created_at",
    "messages": "id organization_id order_id messageContent sent_at",
    "billing_entries": "organization_id allegroId occurredAt type value balance order_id",
}
PROGRAM = '''
"""Every kind of call in the installation of the first argument, as JSON lines: name, value, bodies of the answers."""

import asyncio, json, sys
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

from app_130 import billing_entries, messages, orders
from app_130.aio import orders as async_orders
from automio.wrapper import API
from pydantic import BaseModel

ORDER = "eba6bc90-faab-11f0-96f9-c518c5ba21fb"
WHEN = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
bodies = []


async def keep(operation, next):
    reply = await next(operation)
    bodies.append(reply.body.decode())
    return reply


def plain(value):
    if isinstance(value, BaseModel):
        return [type(value).__name__, value.model_dump(mode="json")]
    return [plain(item) for item in value] if isinstance(value, list) else value


def report(name, call):
    bodies.clear()
    try:
        value = plain(call())
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    print(json.dumps([name, value, list(bodies)], default=str))


def calls():
    report("get_by_order_id", lambda: orders.get_by_order_id(ORDER))
    report("list_with_messages", lambda: orders.list_with_messages(False))
    report("search", lambda: messages.search("%"))
    report("latest", billing_entries.latest)
    report("get", lambda: orders.get("c9a1d25a-fcf3-4950-a660-2f5b04a25320"))
    report("find", lambda: orders.find(
        where={"messages": {"message_content": {"_like": "%a%"}}}, order_by={"created_at": "desc"}, distinct_on=[]
    ))
    report("iterate", lambda: [row for batch in orders.iterate(batch_size=2) for row in batch])
    report("count", orders.count)
    report("aggregate", lambda: orders.aggregate(sum=["total"], avg=["total"], min=["order_id"], max=["created_at"]))
    report("async", lambda: asyncio.run(async_orders.find(order_by=[{"order_id": "asc"}])))
    row = {
        "id": UUID(int=7), "order_id": "nested", "created_at": WHEN,
        "messages": {"data": [{"id": UUID(int=8), "message_content": "hello", "sent_at": WHEN}]},
        "billing_entries": {
            "data": [{"allegro_id": "bill-7", "occurred_at": WHEN, "type": "fee", "value": 1}],
            "on_conflict": {"constraint": "uq_app_130_billing_entries_allegroId_org", "update_columns": ["type"]},
        },
    }
    report("insert with rows below", lambda: orders.insert(row))
    report("insert again", lambda: orders.insert(row))
    entries = [
        {"allegro_id": f"bill-{n}", "occurred_at": WHEN, "type": "x", "value": Decimal(n)} for n in range(1, 4)
    ]
    constraint = "uq_app_130_billing_entries_allegroId_org"
    report("upsert_many", lambda: billing_entries.upsert_many(entries, on_conflict=constraint, update=["value"]))
    report("save_batch", lambda: billing_entries.save_batch([{**entry, "type": "y"} for entry in entries]))
    report("entries", lambda: billing_entries.aggregate(sum=["value"], max=["allegro_id"]))
    report("set_delivered", lambda: orders.set_delivered(ORDER, True))
    report("update", lambda: orders.update({"order_id": {"_eq": "nested"}}, {"status": "seen"}, inc={"total": 1}))
    report("update_by_pk", lambda: orders.update_by_pk(UUID(int=7), {"total": Decimal("2.50")}))
    report("update_many", lambda: orders.update_many([
        {"where": {"order_id": {"_eq": "nested"}}, "_inc": {"total": 1}},
        {"where": {"messages": {"message_content": {"_eq": "hello"}}}, "_set": {"buyer_login": "me"}},
    ]))
    report("through a relationship", lambda: messages.find(where={"order": {"buyer_login": {"_eq": "me"}}}))
    report("delete", lambda: messages.delete({"message_content": {"_eq": "hello"}}))
    report("at the end", lambda: orders.find(order_by={"order_id": "asc"}))


for app in sys.argv[1:]:
    with API(app_id=int(app), middleware=[keep]):
        print(json.dumps(["installation", app, []]))
        calls()
'''


def environment(**extra: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("API_", "APP_", "HASURA_", "ORG"))
    }
    kept.pop("DATABASE_URL", None)
    return kept | {"PYTHONPATH": str(ROOT)} | extra


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a platform whose token opens both apps."""
    workspace = tmp_path_factory.mktemp("installations")
    (workspace / "schema" / "seeds").mkdir(parents=True)
    for path in ("schema/app_130.sql", "schema/seeds/app_130.sql"):
        text = (ROOT / path).read_text()
        (workspace / path).write_text(text)
        (workspace / path.replace("130", "131")).write_text(text.replace("app_130_", "app_131_"))
    (workspace / "platform.toml").write_text('[[tokens]]\ntoken = "local-org-2"\norganization = 2\napps = [130, 131]\n')
    command = [sys.executable, "-m", "automio", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=workspace, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline().strip()
            assert line.startswith("ready "), line
            yield line.removeprefix("ready ")
        finally:
            server.terminate()


def post(url: str, body: dict[str, Any]) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=30) as answer:
        return json.loads(answer.read())


def rows(url: str, app: str, organizations: str = "") -> dict[str, Any]:
    """All rows of an installation, by table."""
    fields = " ".join(
        f"{table}: app_{app}_{table}(where: {{{organizations}}}, order_by: {{{columns.split()[2]}: asc}}) {{ {columns} }}"
        for table, columns in TABLES.items()
    )
    return post(f"{url}/v1/graphql", {"query": f"{{ {fields} }}"})["data"]


def reset(url: str) -> None:
    """Organization 2's rows in both installations as the seeds made them."""
    seeds = (ROOT / "schema/seeds/app_130.sql").read_text()
    for app in ("130", "131"):
        for table in ("billing_entries", "messages", "orders"):
            sql = f"DELETE FROM app_{app}_{table} WHERE organization_id = 2"
            post(f"{url}/v2/query", {"type": "run_sql", "args": {"sql": sql}})
        sql = seeds.replace("app_130_", f"app_{app}_")
        post(f"{url}/v2/query", {"type": "run_sql", "args": {"sql": sql}})


def run(url: str, way: str, *apps: str) -> dict[str, list[list[Any]]]:
    """Installation -> its lines."""
    target = (
        {"API_BASE_URL": url, "APP_TOKEN": "local-org-2"}
        if way == "gateway"
        else {"HASURA_GRAPHQL_ENDPOINT": f"{url}/v1/graphql"}
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *apps],
        env=environment(ORGANIZATION_ID="2", **target),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[list[Any]]] = {}
    for line in done.stdout.splitlines():
        name, value, bodies = json.loads(line)
        if name == "installation":
            found[value] = []
        else:
            found[list(found)[-1]].append([name, value, bodies])
    return found


@pytest.mark.parametrize("way", ["gateway", "hasura"])
def test_both_installations_answer_alike(url: str, way: str) -> None:
    reset(url)
    before = {app: rows(url, app, "organization_id: {_neq: 2}") for app in ("130", "131")}
    found = run(url, way, "130", "131")
    for ours, theirs in zip(found["130"], found["131"], strict=True):
        if ours[0] == "insert again":  # its error names the constraint, which has the app's id in it
            ours, theirs = json.loads(json.dumps([ours, theirs]).replace("app_131_", "app_130_"))
            assert "Uniqueness violation" in ours[1]
        assert ours == theirs
    failed = [name for name, value, _ in found["130"] if isinstance(value, str) and "Error" in value]
    assert failed == ["insert again"]
    assert rows(url, "130") == rows(url, "131")
    assert before == {app: rows(url, app, "organization_id: {_neq: 2}") for app in ("130", "131")}
    assert all(before["131"].values()), "each table holds rows of other organizations"


@pytest.mark.parametrize("way", ["gateway", "hasura"])
def test_one_installation_is_not_seen_in_the_other(url: str, way: str) -> None:
    reset(url)
    before = rows(url, "130")
    run(url, way, "131")
    assert rows(url, "130") == before
    assert rows(url, "131") != before
