"""api.tables: the documentation's examples, ad-hoc documents with and without compiled packages, errors both ways."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import build_schema, graphql_sync

import automio
from automio import GraphQLRequest
from automio.errors import GraphQLErrors, ProtocolError, ScopeError
from automio.runtime.call import Facts, Repeat
from automio.services import tables as tables_module
from automio.wrapper import API

ID = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
ORDER = """query GetOrder($order_id: String!, $organization_id: Int) {
    app_130_orders(where: {orderId: {_eq: $order_id}, organization_id: {_eq: $organization_id}}, limit: 1) {
        id
        orderId
        buyerLogin
    }
}"""
UPDATE = """mutation UpdateOrderDelivered($order_id: String!, $delivered: Boolean!, $organization_id: Int) {
    update_app_130_orders(
        where: {orderId: {_eq: $order_id}, organization_id: {_eq: $organization_id}}, _set: {delivered: $delivered}
    ) { affected_rows }
}"""
INSERT = """mutation InsertMessage($data: app_130_messages_insert_input!) {
    insert_app_130_messages_one(object: $data) { order_id }
}"""
UPSERT = """mutation InsertBatch($objects: [app_130_orders_insert_input!]!) {
    insert_app_130_orders(
        objects: $objects, on_conflict: {constraint: uq_app_130_orders_orderId_org, update_columns: [delivered, total]}
    ) { affected_rows }
}"""


@pytest.fixture
def hasura(server: Any, schema_text: str) -> Any:
    """The server answers introspection as a real schema does, and counts it."""
    schema = build_schema(schema_text)
    server.introspections = []

    def answer(exchange: Any) -> Any:
        if "__schema" in exchange.body["query"]:
            server.introspections.append(exchange)
            return {"data": graphql_sync(schema, exchange.body["query"]).data}
        return {"data": {}}

    server.answer = answer
    return server


# The documentation's examples.


def test_the_documented_query(environment: Any, app: SimpleNamespace) -> None:
    environment.data(app_130_orders=[{"id": ID, "orderId": "A", "buyerLogin": None}])
    api = API()
    request = GraphQLRequest(query=ORDER, variables={"order_id": "A", "organization_id": 2})
    response = api.tables.apps_graphql_query(app=130, table="orders", graph_ql_request=request)
    assert not response.errors
    assert response.data is not None
    records = response.data.get("app_130_orders") or []
    assert records[0] == {"id": ID, "orderId": "A", "buyerLogin": None}
    [sent] = environment.exchanges
    assert sent.query == {"app": "130", "table": "orders"}
    assert sent.variables["order_id"] == "A" and sent.variables["organization_id"] == 2
    assert "{_and:[{organization_id:{_eq:$" in sent.document


def test_the_documented_writes(environment: Any, app: SimpleNamespace) -> None:
    environment.data(update_app_130_orders={"affected_rows": 1}, insert_app_130_messages_one={"order_id": ID})
    api = API()
    update = GraphQLRequest(query=UPDATE, variables={"order_id": "A", "delivered": True, "organization_id": 2})
    assert not api.tables.apps_graphql_query(130, "orders", update).errors
    insert = GraphQLRequest(
        query=INSERT, variables={"data": {"order_id": ID, "messageContent": "Hello", "organization_id": 2}}
    )
    assert not api.tables.apps_graphql_query(130, "messages", insert).errors
    batch = GraphQLRequest(query=UPSERT, variables={"objects": [{"orderId": "A", "delivered": True}]})
    assert not api.tables.apps_graphql_query(130, "orders", batch).errors
    assert environment.exchanges[1].variables["data"]["organization_id"] == 2
    assert environment.exchanges[2].variables["objects"] == [{"orderId": "A", "delivered": True, "organization_id": 2}]
    foreign = GraphQLRequest(query=INSERT, variables={"data": {"order_id": ID, "organization_id": 3}})
    with pytest.raises(ScopeError, match="another organization"):
        api.tables.apps_graphql_query(130, "messages", foreign)
    assert len(environment.exchanges) == 3


def test_errors_of_the_server_are_returned_by_one_and_raised_by_the_other(
    environment: Any, app: SimpleNamespace
) -> None:
    error = {
        "message": "m",
        "path": ["app_130_orders", 0],
        "locations": [{"line": 1, "column": 2}],
        "extensions": {"code": "c", "path": "$", "internal": "s3cret"},
    }
    environment.answer = lambda exchange: {
        "data": {"app_130_orders": []},
        "errors": [error],
        "extensions": {"took": 1},
    }
    api = API()
    response = api.tables.apps_graphql_query(130, "orders", GraphQLRequest("{ app_130_orders { id } }"))
    assert [found.message for found in response.errors] == ["m"] and response.errors[0].path == ("app_130_orders", 0)
    assert response.errors[0].extensions == {"code": "c", "path": "$"} and response.extensions == {"took": 1}
    assert response.data == {"app_130_orders": []}
    with pytest.raises(GraphQLErrors, match=r"ad hoc: m \(c at \$\)") as caught:
        api.tables.execute("{ app_130_orders { id } }")
    assert caught.value.data == {"app_130_orders": []}
    environment.answer = lambda exchange: app.Answer(b"<html>", status=200)
    with pytest.raises(ProtocolError):
        api.tables.apps_graphql_query(130, "orders", GraphQLRequest("{ app_130_orders { id } }"))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{ app_130_orders { id }", "Syntax Error"),
        ("query A { __typename } query B { __typename }", "not exactly one operation"),
        ("fragment F on app_130_orders { id }", "not exactly one operation"),
        ("subscription { app_130_orders { id } }", "subscription"),
        ("{" + "a{" * 5000, ""),
    ],
)
def test_an_unreadable_document_is_answered_without_being_sent(
    environment: Any, app: SimpleNamespace, document: str, message: str
) -> None:
    api = API()
    response = api.tables.apps_graphql_query(130, "orders", GraphQLRequest(document))
    assert response.data is None and message in response.errors[0].message
    assert response.errors[0].extensions["code"] == "validation-failed"
    with pytest.raises(GraphQLErrors):
        api.tables.execute(document)
    assert environment.exchanges == []


# Scoping.


def test_an_ad_hoc_document_is_scoped_and_reshaped(environment: Any, app: SimpleNamespace) -> None:
    environment.data(one=[{"id": ID, "messages": []}])
    with automio.organization(5), API() as api:
        data = api.tables.execute(
            "query One($id: uuid!) { one: app_130_orders_by_pk(id: $id) { id messages { id } } }", {"id": ID}
        )
    assert data == {"one": {"id": ID, "messages": []}}
    [sent] = environment.exchanges
    assert 5 in sent.variables.values() and sent.query == {"app": "130", "table": "orders"}


def test_the_organization_of_the_call_wins(environment: Any, app: SimpleNamespace) -> None:
    api = API()
    with automio.organization(5):
        api.tables.execute("{ app_130_orders { id } }", organization_id=6)
    assert list(environment.exchanges[0].variables.values()) == [6]
    with pytest.raises(ScopeError):
        api.tables.execute("{ app_130_orders { id } }", organization_id=True)


def test_one_of_several_operations(environment: Any, app: SimpleNamespace) -> None:
    document = "query A { app_130_orders { id } } query B { app_130_messages { id } }"
    api = API()
    api.tables.execute(document, operation_name="B")
    api.tables.execute(document, operation_name="A")
    second, first = environment.exchanges
    assert "app_130_messages" in second.body["query"] and "app_130_orders" not in second.body["query"]
    assert second.query["table"] == "messages" and first.query["table"] == "orders"
    with pytest.raises(GraphQLErrors, match="no operation named 'C'"):
        api.tables.execute(document, operation_name="C")


async def test_async_twins(environment: Any, app: SimpleNamespace) -> None:
    environment.data(app_130_orders=[])
    api = API()
    assert await api.tables.execute_async("{ app_130_orders { id } }") == {"app_130_orders": []}
    response = await api.tables.apps_graphql_query_async(130, "orders", GraphQLRequest("{ app_130_orders { id } }"))
    assert response.data == {"app_130_orders": []}
    await api.aclose()


def test_without_an_organization_the_gateway_gets_the_document_as_written(
    environment: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORGANIZATION_ID")
    environment.data(app_130_orders=[{"id": ID}])
    api = API()
    request = GraphQLRequest(query=ORDER, variables={"order_id": "A", "organization_id": None})
    response = api.tables.apps_graphql_query(app=130, table="orders", graph_ql_request=request)
    assert response.data == {"app_130_orders": [{"id": ID}]}
    assert environment.exchanges[0].body == {
        "query": ORDER,
        "variables": {"order_id": "A", "organization_id": None},
    }
    api.tables.execute("query A { app_130_orders_by_pk(id: 1) { id } } query B { x }", operation_name="A")
    assert environment.exchanges[1].body["operationName"] == "A"
    assert environment.exchanges[1].query == {"app": "130", "table": "orders"}


def test_without_an_organization_hasura_gets_nothing(hasura: Any, app: SimpleNamespace) -> None:
    with API(hasura_graphql_endpoint=hasura.url) as api:
        with pytest.raises(ScopeError, match="no organization"):
            api.tables.execute("{ app_130_orders { id } }")
        assert hasura.exchanges == []


def test_all_organizations_is_explicit_and_logged(
    hasura: Any, app: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    with API(hasura_graphql_endpoint=hasura.url, organization_id=2) as api:
        with automio.all_organizations():
            api.tables.execute("query Every { app_130_orders { id } }")
            with automio.organization(3):
                api.tables.execute("query Every { app_130_orders { id } }")
        api.tables.execute("query Every { app_130_orders { id } }")
    every, third, second = hasura.exchanges
    assert every.body == {"query": "query Every { app_130_orders { id } }"}
    assert list(third.variables.values()) == [3] and list(second.variables.values()) == [2]
    [record] = caplog.records
    assert (record.name, record.levelname) == ("automio", "WARNING") and "all_organizations" in record.getMessage()


def test_a_mutation_is_repeated_only_when_the_caller_says_so(environment: Any, app: SimpleNamespace) -> None:
    document = (
        "mutation { update_app_130_orders(where: {orderId: {_eq: 1}}, _set: {delivered: true}) { affected_rows } }"
    )
    environment.answer = [app.Answer(b"", status=503), app.Answer(b"", status=503), {"data": {"x": 1}}]
    api = API()
    with pytest.raises(ProtocolError):
        api.tables.execute(document)
    assert api.tables.execute(document, repeat=Repeat.ALWAYS) == {"x": 1}


# What is known of the tables.


def test_compiled_facts_spare_the_introspection(hasura: Any, app: SimpleNamespace) -> None:
    with API(api_base_url=hasura.url, app_token="t", organization_id=2) as api:
        api.tables.execute("{ app_130_orders { id } }")
    with API(api_base_url=hasura.url, app_token="t", organization_id=2, app_id=131) as api:
        api.tables.execute("{ app_131_orders { id } }")
    assert [exchange.query["app"] for exchange in hasura.exchanges] == ["130", "131"]
    assert hasura.introspections == []


@pytest.mark.parametrize("direct", [True, False])
def test_otherwise_one_introspection_is_asked_and_kept(hasura: Any, no_package: None, direct: bool) -> None:
    target = {"hasura_graphql_endpoint": hasura.url} if direct else {"api_base_url": hasura.url, "app_token": "t"}
    with API(**target, organization_id=2) as api:  # pyright: ignore[reportArgumentType]
        for _ in range(2):
            api.tables.execute("{ app_130_orders(where: {delivered: {_eq: true}}) { id } }")
            api.tables.execute("{ app_130_messages { id order { id } } }")
        with pytest.raises(ScopeError):
            api.tables.execute("{ app_130_nothing { id } }")
    assert len(hasura.introspections) == 1 and len(hasura.exchanges) == 5
    assert hasura.introspections[0].query == ({} if direct else {"app": "130", "table": "orders"})
    assert all(2 in exchange.variables.values() for exchange in hasura.exchanges[1:])


def test_a_root_that_no_package_knows_is_introspected(hasura: Any, app: SimpleNamespace) -> None:
    from dataclasses import replace

    own = app.facts.index()
    Facts("130", replace(own, roots={"query": {"app_130_messages": own.roots["query"]["app_130_messages"]}}).facts())
    with API(api_base_url=hasura.url, app_token="t", organization_id=2) as api:
        api.tables.execute("{ app_130_messages { id } }")
        assert hasura.introspections == []
        api.tables.execute("query Q { ...F } fragment F on query_root { ... { app_130_orders { id } } }")
        assert len(hasura.introspections) == 1


def test_introspection_of_the_schema_itself_needs_no_table(hasura: Any, no_package: None) -> None:
    with API(api_base_url=hasura.url, app_token="t", organization_id=2, app_id=130) as api:
        assert api.tables.execute("{ __schema { queryType { name } } }") == {
            "__schema": {"queryType": {"name": "query_root"}}
        }


async def test_many_first_uses_ask_once(hasura: Any, no_package: None) -> None:
    async with API(hasura_graphql_endpoint=hasura.url, organization_id=2) as api:
        threads = [
            threading.Thread(target=api.tables.execute, args=(f"query Q{n} {{ app_130_orders {{ id }} }}",))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        await asyncio.gather(
            *(api.tables.execute_async(f"query A{n} {{ app_130_orders {{ id }} }}") for n in range(20))
        )
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert len(hasura.introspections) == 1 and len(hasura.exchanges) == 25


async def test_a_cancelled_or_failed_introspection_does_not_stay(
    hasura: Any, no_package: None, app_answer: Any
) -> None:
    answer = hasura.answer
    async with API(hasura_graphql_endpoint=hasura.url, organization_id=2) as api:
        hasura.answer = lambda exchange: app_answer(answer(exchange), delay=0.3)
        first = asyncio.create_task(api.tables.execute_async("query A { app_130_orders { id } }"))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(api.tables.execute_async("query B { app_130_orders { id } }"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second == {}
        with pytest.raises(asyncio.CancelledError):
            await first
    async with API(hasura_graphql_endpoint=hasura.url, organization_id=2) as api:
        hasura.answer = lambda exchange: {"errors": [{"message": "introspection is disabled"}]}
        with pytest.raises(GraphQLErrors, match="introspection: introspection is disabled"):
            await api.tables.execute_async("{ app_130_orders { id } }")
        hasura.answer = answer
        assert await api.tables.execute_async("{ app_130_orders { id } }") == {}


def test_documents_are_kept_by_text_and_not_for_ever(
    environment: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_module, "KEPT_DOCUMENTS", 5)
    api = API()
    for number in range(20):
        api.tables.execute(f"query Q{number} {{ app_130_orders {{ id }} }}")
    assert len(api.tables._documents) == 5
    kept = list(api.tables._documents.values())
    api.tables.execute("query Q17 { app_130_orders { id } }")
    assert set(api.tables._documents.values()) == set(kept), "used again, not read again"
    long = "# a comment\n" * (tables_module.LONGEST_KEPT // 12 + 1)
    api.tables.execute(f"{long} query Long {{ app_130_orders {{ id }} }}")
    assert set(api.tables._documents.values()) == set(kept), "a very long document is not kept"
    api.close()
