"""`automio export permissions`, applied to the engine: the role then answers what the walk gives for the same organization.

Each document goes three ways to a platform with rows of three organizations: as the role, unscoped, with organization 2 in
the session variable; as admin through the walk; as the gateway's caller, bound by the engine's own lock. Where tenancy
section 6 lists a difference the document is not among them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automio.wrapper import API

ROOT = Path(__file__).resolve().parents[2]
READS = [
    "{ app_130_orders(order_by: {orderId: asc}) { id orderId organization_id messages(order_by: {sent_at: asc}) { messageContent } } }",
    "{ app_130_orders_aggregate { aggregate { count max { total orderId } } nodes { orderId } } }",
    '{ app_130_orders(where: {messages: {messageContent: {_like: "%a%"}}}, order_by: {orderId: asc}) { orderId } }',
    "{ app_130_orders(where: {_not: {messages: {}}}, order_by: {orderId: asc}) { orderId } }",
    "{ app_130_orders(where: {messages_aggregate: {count: {predicate: {_gt: 0}}}}, order_by: {orderId: asc}) { orderId } }",
    "{ app_130_messages(order_by: {id: asc}) { messageContent order { orderId messages_aggregate { aggregate { count } } } } }",
    "{ app_130_messages(where: {order: {delivered: {_eq: false}}}, order_by: {id: asc}) { id } }",
    "{ app_130_orders(where: {organization_id: {_eq: 3}}) { id } }",
    "{ app_130_billing_entries(order_by: [{occurredAt: desc}, {id: asc}], limit: 3, offset: 1) { allegroId value order { orderId } } }",
    '{ one: app_130_orders_by_pk(id: "FOREIGN") { id } two: app_130_orders_by_pk(id: "OWN") { id organization_id } }',
]
WRITES = [
    'mutation { insert_app_130_orders_one(object: {orderId: "lock-1"}) { orderId organization_id } }',
    'mutation { update_app_130_orders(where: {orderId: {_eq: "lock-1"}}, _set: {status: "seen"}) { affected_rows returning { status } } }',
    'mutation { update_app_130_orders_by_pk(pk_columns: {id: "FOREIGN"}, _set: {status: "stolen"}) { id } }',
    'mutation { delete_app_130_orders(where: {orderId: {_in: ["lock-1", "FOREIGN-ID"]}}) { affected_rows } }',
]


def post(url: str, body: Any, **headers: str) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def url(serve: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A platform that has taken the exported request."""
    folder = tmp_path_factory.mktemp("exported")
    for name in ("schema", "queries"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "codegen.toml", folder)
    command = [sys.executable, "-m", "automio", "export", "permissions", "--out", "permissions.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    url = serve("locked")
    post(f"{url}/v1/metadata", json.loads((folder / "permissions.json").read_text()))
    return url


@pytest.fixture(scope="module")
def ways(url: str) -> dict[str, Callable[[str], Any]]:
    walk = API(hasura_graphql_endpoint=f"{url}/v1/graphql", organization_id=2)
    role = {"X-Hasura-Role": "organization", "X-Hasura-Organization-Id": "2"}
    token = {"Authorization": "App-Token local-org-2"}
    return {
        "role": lambda text: post(f"{url}/v1/graphql", {"query": text}, **role)["data"],
        "walk": lambda text: walk.tables.execute(text),
        "bound": lambda text: post(f"{url}/api/apps/graphql/?app=130&table=orders", {"query": text}, **token)["data"],
    }


def ids(url: str) -> dict[str, str]:
    rows = post(
        f"{url}/v1/graphql", {"query": "{ app_130_orders(order_by: {id: asc}) { id orderId organization_id } }"}
    )
    found = rows["data"]["app_130_orders"]
    own = next(row for row in found if row["organization_id"] == 2)
    foreign = next(row for row in found if row["organization_id"] == 3)
    return {"FOREIGN-ID": foreign["orderId"], "FOREIGN": foreign["id"], "OWN": own["id"]}


def filled(text: str, url: str) -> str:
    for name, value in ids(url).items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("text", READS)
def test_reads_are_the_same(text: str, url: str, ways: dict[str, Callable[[str], Any]]) -> None:
    text = filled(text, url)
    answers = {name: way(text) for name, way in ways.items()}
    assert answers["role"] == answers["walk"] == answers["bound"]
    admin = post(f"{url}/v1/graphql", {"query": text})["data"]
    assert admin != answers["role"] or "organization_id: {_eq: 3}" not in text


def test_most_reads_would_show_more_to_the_admin(url: str, ways: dict[str, Callable[[str], Any]]) -> None:
    texts = [filled(text, url) for text in READS]
    more = [post(f"{url}/v1/graphql", {"query": text})["data"] != ways["role"](text) for text in texts]
    assert sum(more) >= len(READS) - 2


def test_writes_are_the_same(url: str, ways: dict[str, Callable[[str], Any]]) -> None:
    seen: dict[str, list[Any]] = {}
    everything = "{ app_130_orders(order_by: {id: asc}) { id orderId status organization_id } }"
    before = post(f"{url}/v1/graphql", {"query": everything})
    for name, way in ways.items():
        seen[name] = [way(filled(text, url)) for text in WRITES]
        assert post(f"{url}/v1/graphql", {"query": everything}) == before, name
    assert seen["role"] == seen["walk"] == seen["bound"]


def test_another_organizations_row_is_refused_by_the_server(url: str) -> None:
    role = {"X-Hasura-Role": "organization", "X-Hasura-Organization-Id": "2"}
    foreign = ids(url)["FOREIGN"]
    text = (
        f'mutation {{ insert_app_130_messages_one(object: {{order_id: "{foreign}", messageContent: "x"}}) {{ id }} }}'
    )
    answer = post(f"{url}/v1/graphql", {"query": text}, **role)
    assert answer["errors"], "the composite key refuses a message under another organization's order"
    missing = post(f"{url}/v1/graphql", {"query": "{ app_130_orders { id } }"}, **{"X-Hasura-Role": "organization"})
    assert missing["errors"], "no organization in the session"
