"""Subscriptions against a real WebSocket server that is killed, silent, closing, refusing."""

from __future__ import annotations

import asyncio
import gc
import random
import socket as sockets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

import automio
from automio.errors import ConnectError, DecodeError, GraphQLErrors, ProtocolError, ScopeError, TransportError
from automio.request import UNSET
from automio.runtime import client as client_module
from automio.runtime.subscribe import AsyncSubscription, Subscription, subscribe, subscribe_async
from automio.runtime.transport import Reply
from automio.wrapper import API

from .hub import PROTOCOLS, Hub


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.UUID(int=number)), "orderId": f"{number:06}", "total": number + 0.1, **more}


@pytest.fixture(params=PROTOCOLS)
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    hub = Hub((request.param,))
    yield hub
    hub.stop()


@pytest.fixture
def hasura(hub: Hub) -> Iterator[API]:
    with API(
        hasura_graphql_endpoint=hub.url,
        hasura_graphql_admin_secret="the-secret",
        organization_id=2,
        reconnect_timeout=20,
        timeout=5,
    ) as api:
        yield api


@pytest.fixture(autouse=True)
def nothing_is_left(hub: Hub, hasura: API) -> Iterator[None]:
    """After each test, once its iterators are closed: no socket at the server, no task in the background loop, no thread."""
    before = {*threading.enumerate()}
    yield
    gc.collect()
    end = time.monotonic() + 5
    while (left := [*hub.open, *_tasks()]) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left
    new = {each.name for each in threading.enumerate() if each not in before}
    assert new <= {"automio"}, "the background loop's is the process's own"


def _tasks() -> list[asyncio.Task[Any]]:
    loop = client_module._background.loop
    return [task for task in asyncio.all_tasks(loop) if not task.done()] if loop else []


def numbers(rows: Any) -> list[int]:
    return [int(row.order_id) for row in rows]


# Live queries.


def test_a_live_query_gives_the_answer_and_each_change(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    with subscribe(app.watch, {"limit": 10}) as answers:
        assert isinstance(answers, Subscription)
        first = next(answers)
        assert (first[0].order_id, first[0].total) == ("000001", Decimal("1.1")), "every digit is kept"
        hub.add(row(2))
        assert numbers(next(answers)) == [1, 2]
    assert list(answers) == []
    start = next(m for m in hub.messages if m["type"] in ("subscribe", "start"))
    assert start["payload"]["variables"] == {"where": {}, "limit": 10, "organization_id": 2}


async def test_the_async_face(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    seen: list[list[int]] = []
    async with subscribe_async(app.watch, {}) as answers:
        assert isinstance(answers, AsyncSubscription)
        async for rows in answers:
            seen.append(numbers(rows))
            if len(seen) == 2:
                break
            hub.add(row(2))
    assert seen == [[1], [1, 2]]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await hasura.aclose()


def test_credentials_go_as_headers_and_in_the_payload(hub: Hub, hasura: API, app: Any) -> None:
    with subscribe(app.watch, {}) as answers:
        assert next(answers) == []
    assert hub.upgrades[0]["path"] == "/v1/graphql"
    assert hub.upgrades[0]["headers"]["x-hasura-admin-secret"] == "the-secret"
    assert hub.messages[0] == {
        "type": "connection_init",
        "payload": {"headers": {"x-hasura-admin-secret": "the-secret"}},
    }


def test_the_gateway_has_an_address_for_each_table(hub: Hub, app: Any) -> None:
    with API(api_base_url=hub.url, app_token="the-secret", organization_id=2), subscribe(app.watch, {}) as answers:
        next(answers)
    assert hub.upgrades[0]["path"] == "/api/apps/graphql/"
    assert hub.upgrades[0]["query"] == {"app": "130", "table": "orders"}
    assert hub.messages[0]["payload"] == {"headers": {"Authorization": "App-Token the-secret"}}


def test_subscriptions_share_a_socket(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    with subscribe(app.watch, {}) as first, subscribe(app.watch, {}, 3) as second:
        assert numbers(next(first)) == numbers(next(second)) == [1]
        assert len(hub.upgrades) == 1
        first.close()
        hub.add(row(2))
        assert numbers(next(second)) == [1, 2]
    organizations = [
        m["payload"]["variables"]["organization_id"] for m in hub.messages if "query" in m.get("payload", {})
    ]
    assert organizations == [2, 3]


def test_an_unread_answer_is_replaced_by_the_latest(hub: Hub, hasura: API, app: Any) -> None:
    with subscribe(app.watch, {}) as answers:
        assert next(answers) == []
        for number in range(1, 30):
            hub.add(row(number))
        time.sleep(0.3)
        assert numbers(next(answers)) == list(range(1, 30))


def test_a_live_query_goes_on_after_a_kill(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    with subscribe(app.watch, {}) as answers:
        assert numbers(next(answers)) == [1]
        hub.kill()
        threading.Timer(1.0, hub.add, (row(2),)).start()
        assert numbers(next(answers)) == [1, 2], "the equal answer after reconnecting is not delivered again"
    assert len(hub.upgrades) == 2
    time.sleep(0.1)


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4408])
def test_a_close_that_passes_is_tried_again(hub: Hub, hasura: API, app: Any, code: int) -> None:
    hub.add(row(1))
    with subscribe(app.watch, {}) as answers:
        next(answers)
        hub.close(code)
        hub.add(row(2))
        assert numbers(next(answers)) == [1, 2]


def test_a_restarting_server_is_waited_for(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    statuses = [503, 502, 0]
    with subscribe(app.watch, {}) as answers:
        next(answers)
        hub.refuse_upgrades = lambda: statuses.pop(0)
        hub.kill()
        hub.add(row(2))
        assert numbers(next(answers)) == [1, 2]
    assert not statuses


def test_it_gives_up_at_last(hub: Hub, app: Any) -> None:
    with (
        API(hasura_graphql_endpoint=hub.url, organization_id=2, reconnect_timeout=0.5),
        subscribe(app.watch, {}) as answers,
    ):
        next(answers)
        hub.refuse_upgrades = lambda: 503
        hub.kill()
        start = time.monotonic()
        with pytest.raises(ConnectError, match=r"not made again within 0\.5 s.*503.*AUTOMIO_RECONNECT_TIMEOUT"):
            next(answers)
        assert time.monotonic() - start < 5
        assert list(answers) == [], "an iterator that raised is at its end"


def test_the_first_connection_is_tried_like_a_query(app: Any) -> None:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        API(hasura_graphql_endpoint=f"http://127.0.0.1:{port}", organization_id=2),
        subscribe(app.watch, {}) as answers,
        pytest.raises(ConnectError, match="was not reached"),
    ):
        next(answers)


def test_a_silent_peer_is_noticed(hub: Hub, app: Any) -> None:
    hub.add(row(1))
    with (
        API(hasura_graphql_endpoint=hub.url, organization_id=2, keep_alive=0.2),
        subscribe(app.watch, {}) as answers,
    ):
        next(answers)
        hub.silent = True
        threading.Timer(0.5, setattr, (hub, "silent", False)).start()
        threading.Timer(0.6, hub.add, (row(2),)).start()
        assert numbers(next(answers)) == [1, 2]
        assert len(hub.upgrades) >= 1
    time.sleep(0.1)


def test_a_connection_outlives_the_timeout_of_a_request(hub: Hub, app: Any) -> None:
    hub.add(row(1))
    with API(hasura_graphql_endpoint=hub.url, organization_id=2, timeout=0.3), subscribe(app.watch, {}) as answers:
        next(answers)
        time.sleep(0.8)
        hub.add(row(2))
        assert numbers(next(answers)) == [1, 2]
    assert len(hub.upgrades) == 1


# What is final.


def test_errors_of_the_document_are_raised_at_once(hub: Hub, hasura: API, app: Any) -> None:
    hub.on_subscribe = lambda message: [{"message": "field 'x' not found", "extensions": {"code": "validation-failed"}}]
    with subscribe(app.watch, {}) as answers:
        with pytest.raises(GraphQLErrors, match="field 'x' not found"):
            next(answers)
        assert list(answers) == []
    assert len(hub.upgrades) == 1
    place = {"path": "$.selectionSet.app_130_orders.args.where._and[1].total._gt"}
    hub.on_subscribe = lambda message: [{"message": "m", "extensions": place}]
    with subscribe(app.watch, {}) as answers, pytest.raises(GraphQLErrors) as caught:
        next(answers)
    assert caught.value.errors[0]["extensions"]["path"] == "$.selectionSet.app_130_orders.args.where.total._gt"


@pytest.mark.parametrize("code", [4400, 4401, 4403, 1008])
def test_refused_credentials_are_raised_at_once(hub: Hub, hasura: API, app: Any, code: int) -> None:
    hub.on_init = lambda: code
    with subscribe(app.watch, {}) as answers, pytest.raises(ProtocolError, match=str(code)) as raised:
        next(answers)
    assert raised.value.status == code
    assert "the-secret" not in str(raised.value)
    assert len(hub.upgrades) == 1


@pytest.mark.parametrize("where", ["upgrade", "init"])
def test_credentials_that_are_revoked_meanwhile_are_not_tried_for_ever(
    hub: Hub, hasura: API, app: Any, where: str
) -> None:
    hub.add(row(1))
    with subscribe(app.watch, {}) as answers:
        assert numbers(next(answers)) == [1]
        hub.refuse_upgrades = lambda: 401 if where == "upgrade" else 0
        hub.on_init = lambda: 4401
        hub.kill()
        with pytest.raises(ProtocolError, match="401"):
            next(answers)
    assert len(hub.upgrades) == 2


def test_a_connection_error_is_final(hub: Hub, hasura: API, app: Any) -> None:
    hub.on_init = lambda: "error"
    with subscribe(app.watch, {}) as answers, pytest.raises(ProtocolError, match="invalid token <hidden>"):
        next(answers)
    assert len(hub.upgrades) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_upgrade_is_final(hub: Hub, hasura: API, app: Any, status: int) -> None:
    hub.refuse_upgrades = lambda: status
    with subscribe(app.watch, {}) as answers, pytest.raises(ProtocolError, match=f"answered {status}"):
        next(answers)
    assert len(hub.upgrades) == 1


def test_rubbish_is_final(hub: Hub, hasura: API, app: Any) -> None:
    hub.on_subscribe = lambda message: "rubbish"
    with subscribe(app.watch, {}) as answers, pytest.raises(ProtocolError, match="no GraphQL over a WebSocket"):
        next(answers)


def test_what_the_server_completes_ends(hub: Hub, hasura: API, app: Any) -> None:
    hub.on_subscribe = lambda message: "complete"
    assert list(subscribe(app.watch, {})) == []


def test_an_answer_that_does_not_fit(hub: Hub, hasura: API, app: Any) -> None:
    hub.add({**row(1), "total": "many"})
    with subscribe(app.watch, {}) as answers, pytest.raises(DecodeError, match=r"orders\.0\.total"):
        next(answers)


# Organization, hooks, ends.


def test_no_organization_nothing_sent(hub: Hub, app: Any) -> None:
    with API(hasura_graphql_endpoint=hub.url):
        with pytest.raises(ScopeError):
            subscribe(app.watch, {})
        with pytest.raises(ScopeError):
            subscribe(app.watch, {"where": {"order_id": {"_eq": None}}}, 2)
    assert not hub.upgrades


def test_the_organization_is_that_of_where_it_was_made(hub: Hub, hasura: API, app: Any) -> None:
    with automio.organization(5):
        answers = subscribe(app.watch, {})
    with automio.organization(6), answers:
        next(answers)
        hub.kill()
        hub.add(row(1))
        next(answers)
    starts = [m["payload"]["variables"]["organization_id"] for m in hub.messages if "query" in m.get("payload", {})]
    assert starts == [5, 5]


def test_a_thread_without_a_context_is_refused(hub: Hub, hasura: API, app: Any) -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            client_module._enter(client_module._ambient, hasura._client, "test")
            subscribe(app.watch, {})
        except ScopeError as error:
            raised.append(error)

    with automio.organization(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(raised) == 1


def test_hooks_run_once_around_the_start(hub: Hub, app: Any) -> None:
    seen: list[Any] = []

    async def hook(operation: Any, next: Any) -> Reply:
        seen.append(operation.organization)
        reply = await next(operation)
        seen.append(len(reply.body))
        return reply

    with (
        API(hasura_graphql_endpoint=hub.url, organization_id=2, middleware=[hook]),
        subscribe(app.watch, {}) as answers,
    ):
        next(answers)
        hub.kill()
        hub.add(row(1))
        next(answers)
    assert seen == [2, len(b'{"data": {"orders": []}}')]


def test_a_hook_may_answer(hub: Hub, app: Any) -> None:
    async def hook(operation: Any, next: Any) -> Reply:
        return Reply(200, b'{"data":{"orders":[]}}')

    with API(hasura_graphql_endpoint=hub.url, organization_id=2, middleware=[hook]):
        assert list(subscribe(app.watch, {})) == [[]]
    assert not hub.upgrades


def test_garbage_and_closing(hub: Hub, hasura: API, app: Any) -> None:
    answers = subscribe(app.watch, {})
    next(answers)
    del answers
    gc.collect()
    end = time.monotonic() + 3
    while hub.open and time.monotonic() < end:
        time.sleep(0.01)
    assert not hub.open
    with closing(subscribe(app.watch, {})) as closed:
        next(closed)
    subscribe(app.watch, {}).close()


def test_close_wakes_who_waits(hub: Hub, hasura: API, app: Any) -> None:
    answers = subscribe(app.watch, {})
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.extend(answers))
    thread.start()
    while not seen:
        time.sleep(0.01)
    answers.close()
    thread.join(3)
    assert not thread.is_alive()
    assert seen == [[]]


def test_closing_while_the_server_is_away(hub: Hub, hasura: API, app: Any) -> None:
    answers = subscribe(app.watch, {})
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.extend(answers))
    thread.start()
    while not seen:
        time.sleep(0.01)
    hub.refuse_upgrades = lambda: 503
    hub.kill()
    time.sleep(0.3)
    answers.close()
    thread.join(3)
    assert not thread.is_alive()


def test_the_end_of_the_client_ends_subscriptions(hub: Hub, app: Any) -> None:
    with API(hasura_graphql_endpoint=hub.url, organization_id=2):
        answers = subscribe(app.watch, {})
        next(answers)
    with pytest.raises(TransportError, match="closed"):
        next(answers)


async def test_a_cancelled_wait_loses_nothing(hub: Hub, hasura: API, app: Any) -> None:
    async with subscribe_async(app.stream, {"from": ""}) as answers:
        for number in range(1, 8):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(answers), 0.05)
            hub.add(row(number))
            assert numbers(await anext(answers)) == [number]
    await hasura.aclose()


# Streams.


def test_a_stream_gives_batches(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(*map(row, range(1, 8)))
    with subscribe(app.stream, {"from": ""}) as batches:
        assert [numbers(next(batches)) for _ in range(3)] == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("stream", {"from": ""}),
        ("stream_by", {"cursor": {"initial_value": {"order_id": ""}, "ordering": "ASC"}}),
        ("stream_hidden", {}),
        ("stream_default", {}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_each_row_comes_exactly_once_whenever_the_server_dies(
    hub: Hub, hasura: API, app: Any, name: str, variables: dict[str, Any], seed: int
) -> None:
    hub.killer = random.Random(seed)
    count = 25
    hub.add(*map(row, range(1, count // 2)))
    threading.Timer(0.3, lambda: hub.add(*map(row, range(count // 2, count)))).start()
    seen: list[int] = []
    with subscribe(getattr(app, name), variables) as batches:
        for batch in batches:
            assert 0 < len(batch) <= 3
            seen += [each.id.int for each in batch]
            if len(seen) >= count - 1:
                break
    assert seen == list(range(1, count))
    assert len(hub.upgrades) > 1
    time.sleep(0.05)


def test_a_slow_reader_of_a_stream_pauses_it(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(*map(row, range(1, 200)))
    with subscribe(app.stream, {"from": "", "batch_size": 1}) as batches, subscribe(app.watch, {}) as other:
        seen = numbers(next(batches))
        assert len(next(other)) == 199, "another subscription of the socket goes on"
        time.sleep(0.3)
        while len(seen) < 199:
            seen += numbers(next(batches))
    assert seen == list(range(1, 200))
    assert len(hub.upgrades) == 1
    assert sum(1 for m in hub.messages if m["type"] in ("subscribe", "start")) > 5


def test_a_cursor_on_a_column_that_is_not_selected(hub: Hub, hasura: API, app: Any) -> None:
    with pytest.raises(ScopeError, match="created_at, which is not selected"):
        subscribe(app.stream_by, {"cursor": {"initial_value": {"created_at": "2026-01-01"}}})


# Ad hoc.


def test_ad_hoc_documents(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(*map(row, range(1, 5)))
    text = (
        'subscription { orders: app_130_orders_stream(batch_size: 2, cursor: {initial_value: {orderId: "0"}}) { id } }'
    )
    seen: list[Any] = []
    with hasura.tables.subscribe(text) as answers:
        seen.append(next(answers))
        seen.append(next(answers))
    assert [set(row) for data in seen for row in data["orders"]] == [{"id"}] * len(
        [r for d in seen for r in d["orders"]]
    )
    assert "organization_id" in next(m for m in hub.messages if "query" in m.get("payload", {}))["payload"]["variables"]


async def test_ad_hoc_documents_in_a_loop(hub: Hub, hasura: API, app: Any) -> None:
    hub.add(row(1))
    async with hasura.tables.subscribe_async("subscription { orders: app_130_orders { id } }") as answers:
        assert await anext(answers) == {"orders": [{"id": row(1)["id"]}]}
    await hasura.aclose()


def test_what_is_no_subscription(hub: Hub, hasura: API, app: Any) -> None:
    with pytest.raises(GraphQLErrors, match="not a subscription"):
        next(hasura.tables.subscribe("{ app_130_orders { id } }"))
    with pytest.raises(GraphQLErrors, match="one request"):
        hasura.tables.execute("subscription { app_130_orders { id } }")


def test_a_stream_as_written_is_refused(hub: Hub, app: Any) -> None:
    text = "subscription { app_130_orders_stream(batch_size: 2, cursor: {initial_value: {id: 0}}) { id } }"
    with API(hasura_graphql_endpoint=hub.url) as api, automio.all_organizations():
        with pytest.raises(ScopeError, match="stream"):
            next(api.tables.subscribe(text))
        assert next(api.tables.subscribe("subscription { orders: app_130_orders { id } }", organization_id=UNSET)) == {
            "orders": []
        }
