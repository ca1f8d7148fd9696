"""Typed calls against a real server: what is sent, in which organization, and what comes back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

import automio
from automio.dialect.index import SchemaIndex
from automio.errors import ConfigError, ScopeError, TransportError
from automio.request import UNSET
from automio.runtime.call import Facts
from automio.runtime.client import run, run_async
from automio.runtime.http import plain
from automio.wrapper import API

ID = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
ROW = {"id": ID, "orderId": "A-1", "total": "12.50", "created_at": "2026-01-02T03:04:05.678901+00:00"}


def test_a_query_is_scoped_and_decoded(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[ROW])
    rows = run(app.find, {"where": {"order_id": {"_eq": "A-1"}}, "limit": 5, "order_by": UNSET})
    assert [type(row) for row in rows] == [app.Order]
    assert rows[0].id == UUID(ID) and rows[0].order_id == "A-1" and rows[0].total == Decimal("12.50")
    assert rows[0].created_at == datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    [sent] = environment.exchanges
    assert sent.path == "/api/apps/graphql/" and sent.query == {"app": "130", "table": "orders"}
    assert sent.headers["authorization"] == "App-Token secret-token"
    assert sent.body.keys() == {"query", "variables"}
    assert sent.variables == {
        app.find.scope_variable: 2,
        "where": {"orderId": {"_eq": "A-1"}},
        "limit": 5,
    }
    assert "{_and:[{organization_id:{_eq:$" in sent.document


async def test_the_async_face_sends_the_same(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[ROW])
    assert run(app.find, {}) == await run_async(app.find, {})
    first, second = environment.exchanges
    assert first.raw == second.raw


def test_a_row_by_key_is_a_list_on_the_wire(environment: Any, app: SimpleNamespace) -> None:
    environment.data(order=[ROW])
    order = run(app.get, {"id": UUID(ID)})
    assert isinstance(order, app.Order) and order.order_id == "A-1"
    assert environment.exchanges[0].variables["id"] == ID
    environment.data(order=[])
    assert run(app.get, {"id": ID}) is None


def test_the_first_of_a_list(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[{"id": ID, "orderId": "A-1", "total": None}])
    assert run(app.by_order_id, {"order_id": "A-1"}).order_id == "A-1"
    environment.data(orders=[])
    assert run(app.by_order_id, {"order_id": "A-1"}) is None


def test_an_update_by_key_takes_the_row_out_of_returning(environment: Any, app: SimpleNamespace) -> None:
    environment.data(order={"returning": [ROW]})
    assert run(app.update_by_pk, {"id": ID, "set": {"delivered": True}}).order_id == "A-1"
    environment.data(order={"returning": []})
    assert run(app.update_by_pk, {"id": ID, "set": {"delivered": True}}) is None


def test_affected_rows(environment: Any, app: SimpleNamespace) -> None:
    environment.data(change={"affected_rows": 3})
    assert run(app.update, {"where": {"order_id": {"_eq": "A-1"}}, "set": {"order_id": "B"}}) == 3
    assert environment.exchanges[0].variables["set"] == {"orderId": "B"}
    environment.data(change=None)
    assert run(app.update, {"where": {"order_id": {"_eq": "A-1"}}, "set": {}}) is None


def test_a_row_of_another_organization_behind_a_relationship_is_none(environment: Any, app: SimpleNamespace) -> None:
    [step] = app.messages.plan
    own = {"id": ID, "total": 1.25, step.helper: 2}
    environment.data(
        messages=[
            {"id": ID, "messageContent": "own", "order": own},
            {"id": ID, "messageContent": "foreign", "order": {**own, step.helper: 3}},
            {"id": ID, "messageContent": "none", "order": None},
        ]
    )
    rows = run(app.messages, {})
    assert [row.order is not None for row in rows] == [True, False, False]
    assert rows[0].order.total == Decimal("1.25")


# Organization.


def test_without_an_organization_nothing_is_sent(
    environment: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORGANIZATION_ID")
    with pytest.raises(ScopeError, match="no organization"):
        run(app.find, {})
    with pytest.raises(ScopeError, match="no organization"):
        run(app.find, {}, None)  # pyright: ignore[reportArgumentType]
    assert environment.exchanges == []


@pytest.mark.parametrize("value", [True, "2", 2.0, 2**31, -(2**31) - 1, Decimal(2)])
def test_an_organization_is_an_exact_int(environment: Any, app: SimpleNamespace, value: Any) -> None:
    with pytest.raises(ScopeError):
        run(app.find, {}, value)
    with pytest.raises(ScopeError):
        automio.organization(value)
    assert environment.exchanges == []


def test_the_innermost_organization_counts(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[])

    def sent() -> int:
        return environment.exchanges[-1].variables[app.find.scope_variable]

    run(app.find, {})
    assert sent() == 2
    with automio.organization(0):
        run(app.find, {})
        assert sent() == 0
        with automio.organization(-4):
            run(app.find, {})
            assert sent() == -4
            run(app.find, {}, 9)
            assert sent() == 9
        run(app.find, {})
        assert sent() == 0
    run(app.find, {})
    assert sent() == 2


async def test_organizations_of_tasks_do_not_mix(environment: Any, app: SimpleNamespace) -> None:
    import asyncio

    environment.answer = lambda exchange: app.Answer(
        {"data": {"orders": [{**ROW, "orderId": str(exchange.variables[app.find.scope_variable])}]}}, delay=0.01
    )

    async def one(number: int) -> str:
        async with automio.organization(number):
            await asyncio.sleep(0)
            return (await run_async(app.find, {}))[0].order_id

    assert await asyncio.gather(*(one(n) for n in range(40))) == [str(n) for n in range(40)]


def test_the_callers_variable_cannot_take_the_organizations_place(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[])
    run(app.find, {app.find.scope_variable: 7})
    assert environment.exchanges[0].variables[app.find.scope_variable] == 2


def test_typed_functions_need_an_organization_inside_all_organizations(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[])
    with automio.all_organizations():
        with pytest.raises(ScopeError, match="one organization"):
            run(app.find, {})
        assert environment.exchanges == []
        run(app.find, {}, 5)
        with automio.organization(6):
            run(app.find, {})
    assert [e.variables[app.find.scope_variable] for e in environment.exchanges] == [5, 6]


def test_a_refused_value_sends_nothing(environment: Any, app: SimpleNamespace) -> None:
    with pytest.raises(ScopeError) as caught:
        run(app.update, {"where": {}, "set": {"delivered": True}})
    assert caught.value.path.startswith("$where")
    with pytest.raises(ScopeError):
        run(app.find, {"where": {"order_id": {"_eq": None}}})
    assert environment.exchanges == []


def test_all_rows_means_it(environment: Any, app: SimpleNamespace) -> None:
    environment.data(change={"affected_rows": 3})
    assert run(app.update, {"where": automio.all_rows(), "set": {"delivered": True}}) == 3
    assert environment.exchanges[0].variables["where"] == {}


def test_a_schema_without_organizations_needs_none(server: Any, index: SchemaIndex, app: SimpleNamespace) -> None:
    from dataclasses import replace

    server.data(orders=[ROW])
    facts = Facts("130", replace(index, tenant_column=None).facts())
    operation = replace(app.find, facts=facts, scope_variable=None)
    with API(api_base_url=server.url, app_token="t"):
        assert run(operation, {"where": {"order_id": {"_eq": "A-1"}}})[0].order_id == "A-1"
    assert server.exchanges[0].variables == {"where": {"orderId": {"_eq": "A-1"}}}


# Client and installation.


def test_the_ambient_client_is_the_innermost_api(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[])
    with API(app_token="one") as api, API(app_token="two", organization_id=8):
        run(app.find, {})
        with automio.organization(4):
            run(app.find, {})
        assert api.settings.app_token == "one"
    run(app.find, {})
    assert [(e.headers["authorization"], e.variables[app.find.scope_variable]) for e in environment.exchanges] == [
        ("App-Token two", 8),
        ("App-Token two", 4),
        ("App-Token secret-token", 2),
    ]


def test_an_absent_token_is_an_error_not_the_text_none(
    environment: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APP_TOKEN")
    with pytest.raises(ConfigError, match="APP_TOKEN is not set"):
        run(app.find, {})
    assert environment.exchanges == []


def test_a_hasura_endpoint_is_called_directly(server: Any, app: SimpleNamespace) -> None:
    server.data(orders=[])
    with API(
        hasura_graphql_endpoint=server.url, hasura_graphql_admin_secret="adminsecret", organization_id=3, app_token=None
    ):
        run(app.find, {})
    with API(hasura_graphql_endpoint=f"{server.url}/v1/graphql", organization_id=3):
        run(app.find, {})
    first, second = server.exchanges
    assert first.path == second.path == "/v1/graphql" and first.query == {}
    assert first.headers["x-hasura-admin-secret"] == "adminsecret" and "authorization" not in first.headers
    assert "x-hasura-admin-secret" not in second.headers
    assert first.body["operationName"] == "Find"


def test_another_installation_runs_the_same_package(environment: Any, app: SimpleNamespace) -> None:
    environment.data(change={"affected_rows": 1})
    rows = [{"orderId": "A", "messages": {"data": [{"message_content": "app_130_"}]}}]
    conflict = {"constraint": "uq_app_130_orders_orderId_org", "update_columns": ["total"]}
    with API(app_id=131):
        run(app.upsert, {"objects": rows, "on_conflict": conflict})
        nested = {"order": {"data": {"order_id": "B"}, "on_conflict": conflict}, "message_content": "app_130_x"}
        run(app.add_messages, {"objects": [nested]})
    run(app.upsert, {"objects": rows, "on_conflict": conflict})
    moved, below, own = environment.exchanges
    assert moved.query == {"app": "131", "table": "orders"} and own.query["app"] == "130"
    assert "insert_app_131_orders" in moved.body["query"] and "app_130" not in moved.body["query"]
    assert moved.variables["on_conflict"]["constraint"] == "uq_app_131_orders_orderId_org"
    assert own.variables["on_conflict"]["constraint"] == "uq_app_130_orders_orderId_org"
    assert moved.variables["objects"] == own.variables["objects"], "values of columns stay"
    [message] = below.variables["objects"]
    assert message["messageContent"] == "app_130_x"
    assert message["order"]["on_conflict"]["constraint"] == "uq_app_131_orders_orderId_org"
    assert conflict["constraint"] == "uq_app_130_orders_orderId_org", "the caller's objects are not changed"


def test_a_constraint_that_stands_alone_is_renamed_and_text_is_not(environment: Any, app: SimpleNamespace) -> None:
    environment.data(change={"affected_rows": 1})
    name = "uq_app_130_orders_orderId_org"
    with API(app_id=131):
        run(app.upsert_on, {"objects": [{"order_id": name}], "name": name, "text": name})
    sent = environment.exchanges[0].variables
    assert sent["name"] == "uq_app_131_orders_orderId_org"
    assert sent["text"] == name and sent["objects"][0]["orderId"] == name


def test_one_app_id_cannot_stand_for_two_packages(environment: Any, app: SimpleNamespace, index: SchemaIndex) -> None:
    environment.data(orders=[])
    with API(app_id=131):
        run(app.find, {})
        Facts("140", index.facts().replace("app_130_", "app_140_"))
        with pytest.raises(ConfigError, match="apps 130, 140"):
            run(app.find, {})
    with API(app_id=140):
        run(app.find, {})
    assert [e.query["app"] for e in environment.exchanges] == ["131", "130"]


# Values.


def test_values_travel_as_postgresql_reads_them(environment: Any, app: SimpleNamespace) -> None:
    environment.data(change={"affected_rows": 1})
    objects = [
        {
            "id": UUID(ID),
            "created_at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
            "total": Decimal("12.500"),
            "orderId": b"\x00\xff",
            "buyer_login": timedelta(days=-1, microseconds=1500),
        }
    ]
    run(app.upsert, {"objects": tuple(objects)})
    assert environment.exchanges[0].variables["objects"] == [
        {
            "id": ID,
            "created_at": "2026-01-02T03:04:05.000006Z",
            "total": "12.500",
            "orderId": "\\x00ff",
            "buyerLogin": "P-1DT0.001500S",
            "organization_id": 2,
        }
    ]


def test_plain_copies_only_what_changes() -> None:
    kept = {"a": [1, "x", {"b": (1.5, None, date(2026, 1, 2))}]}
    assert plain(kept) is kept
    changed = {"a": kept, "b": [{"c": bytearray(b"\x01")}], "d": {3}}
    assert plain(changed) == {"a": kept, "b": [{"c": "\\x01"}], "d": [3]}
    assert plain(changed)["a"] is kept


def test_what_is_no_json_is_not_sent(environment: Any, app: SimpleNamespace) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (object(), loop, {"x": UNSET}):
        with pytest.raises(TransportError, match="nothing was sent") as caught:
            run(app.upsert, {"objects": [{"orderId": value}]})
        assert caught.value.sent is False
    assert environment.exchanges == []


def test_numbers_without_json_form(environment: Any, app: SimpleNamespace) -> None:
    environment.data(orders=[])
    run(app.find, {"where": {"total": {"_in": [float("nan"), float("-inf"), Decimal("NaN"), 2**70]}}})
    assert environment.exchanges[0].variables["where"]["total"]["_in"] == ["NaN", "-Infinity", "NaN", 2**70]
