"""An error of a scoped document reads as if the caller's own had been sent: compared with the engine's word on that one.

The oracle is the same engine: as admin it gets the document as it was written (all_organizations()), and what it says of it
must be what the caller sees of the scoped one, word for word and with the same path.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = "00000000-0000-4000-8000-000000000000"
MESSAGE = f'order_id: "{ABSENT}", messageContent: "x", organization_id: 2'
BAD = '{delivered: {_eq: "x"}}'
DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a filter": (f"{{ app_130_orders(where: {BAD}) {{ id }} }}", {}),
    "a filter of a relationship": (f"{{ app_130_messages(where: {{order: {BAD}}}) {{ id }} }}", {}),
    "a filter below": ("{ app_130_orders { messages(where: {_not: {organization_id: {_in: [true]}}}) { id } } }", {}),
    "a filter in a variable": (
        "query ($w: app_130_messages_bool_exp!) { app_130_messages(where: $w) { id } }",
        {"w": {"_or": [{"order": {"messages": {"order": {"delivered": {"_eq": "x"}}}}}]}},
    ),
    "an aggregate's filter": (
        f"{{ app_130_messages_aggregate(where: {{order: {{_or: [{BAD}]}}}}) {{ aggregate {{ count }} }} }}",
        {},
    ),
    "a filter below a key": (
        f'{{ app_130_messages_by_pk(id: "{ABSENT}") {{ order {{ messages(where: {{order: {BAD}}}) {{ id }} }} }} }}',
        {},
    ),
    "an argument below a key": (
        f'{{ o: app_130_orders_by_pk(id: "{ABSENT}") {{ messages(limit: "x") {{ id }} }} }}',
        {},
    ),
    "a key": ("{ one: app_130_orders_by_pk(id: {a: 1}) { id } }", {}),
    "a value of an update by key": (
        f'mutation {{ update_app_130_orders_by_pk(pk_columns: {{id: "{ABSENT}"}}, _set: {{delivered: "x"}}) {{ id }} }}',
        {},
    ),
    "rows of an update by key": (
        f'mutation {{ update_app_130_orders_by_pk(pk_columns: {{id: "{ABSENT}"}}, _set: {{delivered: true}}) '
        f"{{ messages(where: {{order: {BAD}}}) {{ id }} }} }}",
        {},
    ),
    "rows of a delete by key": (
        f'mutation {{ delete_app_130_orders_by_pk(id: "{ABSENT}") {{ messages(limit: "x") {{ id }} }} }}',
        {},
    ),
    "an update of many": (
        f"mutation {{ update_app_130_orders_many(updates: [{{where: {BAD}, _set: {{delivered: true}}}}]) "
        "{ affected_rows } }",
        {},
    ),
    "a row without its parent": (f"mutation {{ insert_app_130_messages_one(object: {{{MESSAGE}}}) {{ id }} }}", {}),
    "rows in a variable": (
        "mutation ($o: [app_130_orders_insert_input!]!) { insert_app_130_orders(objects: $o) { affected_rows } }",
        {"o": [{"orderId": "x", "delivered": "x", "organization_id": 2}]},
    ),
}
PROGRAM = """
import json, sys
import automio
from app_130 import orders
from automio.errors import GraphQLErrors
from automio.wrapper import API

documents = json.loads(sys.argv[1])


def told(api, text, variables):
    response = api.tables.apps_graphql_query(130, "orders", automio.GraphQLRequest(text, variables))
    return [{"message": e.message, **e.extensions, "at": list(e.path), "lines": list(e.locations)} for e in response.errors]


with API() as api:
    scoped = {name: told(api, *document) for name, document in documents.items()}
    with automio.all_organizations():
        written = {name: told(api, *document) for name, document in documents.items()}
    try:
        orders.find(where={"messages": {"organization_id": {"_eq": True}}})
    except GraphQLErrors as error:
        typed = [dict(error.errors[0])]
    print(json.dumps([scoped, written, typed]))
"""


@pytest.fixture(scope="module")
def answers(serve: Callable[[str], str], clean_environment: Callable[..., dict[str, str]]) -> Any:
    endpoint = {"HASURA_GRAPHQL_ENDPOINT": f"{serve('errors')}/v1/graphql"}
    env = clean_environment(PYTHONPATH=str(ROOT), APP_ID="130", ORGANIZATION_ID="2", **endpoint)
    command = [sys.executable, "-c", PROGRAM, json.dumps(DOCUMENTS)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_error_is_that_of_the_document_as_written(answers: Any, name: str) -> None:
    scoped, written, _ = answers
    assert scoped[name] == written[name]
    assert scoped[name], "the document fails"
    assert scoped[name][0]["path"] != "$", "the engine names a place"


def test_a_typed_function_names_the_place_in_its_document(answers: Any) -> None:
    [error] = answers[2]
    assert error["extensions"]["path"].startswith("$.selectionSet.app_130_orders.args.where.messages.organization_id")
    assert "locations" not in error
