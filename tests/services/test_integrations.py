"""api.integrations against a platform whose answers the test writes: what travels, what is a value, what is raised.

tests/local/test_integrations.py has the local platform and real providers behind it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

import automio.wrapper
from automio.errors import (
    ConfigError,
    IntegrationAccessDenied,
    IntegrationError,
    PaymentRequired,
    ProtocolError,
    RequestTimeout,
    StreamBroken,
    TransportError,
)
from automio.runtime.call import Repeat
from automio.services.integration_values import ApiResponse, ParallelCallResponse
from automio.services.integrations import Integrations
from automio.wrapper import API


def response(status: int = 200, text: str = "", **more: Any) -> dict[str, Any]:
    return {"status_code": status, "text": text, "headers": {}, "url": "http://p/x", "ok": status < 400, **more}


def enveloped(data: Any, status: int = 200, **more: Any) -> dict[str, Any]:
    return {"api_data": data, "api_response": response(status), "connection_id": 34, **more}


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Fake:
    """A platform that records, and answers as `answer` says."""

    answer: Callable[[web.Request, Any], Awaitable[web.StreamResponse] | web.StreamResponse]
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read() if not request.content_type.startswith("multipart/") else b""
        body = json.loads(raw) if raw else dict(await request.post())
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        found = self.answer(request, body)
        return await found if isinstance(found, Awaitable) else found


@asynccontextmanager
async def asked(
    serve: Any, answer: Callable[[web.Request, Any], Any], **settings: Any
) -> AsyncIterator[tuple[Integrations, Fake]]:
    fake = Fake(answer)
    given = {"app_token": "token", "app_id": 130, "timeout": 5.0, "hasura_graphql_endpoint": None} | settings
    async with serve(fake.handle) as url, API(api_base_url=url, **given) as api:
        yield api.integrations, fake


def of_json(value: Any, status: int = 200, **headers: str) -> Callable[[web.Request, Any], web.Response]:
    return lambda request, body: web.json_response(value, status=status, headers=headers)


# What travels.


async def test_a_call_travels_as_the_protocol_says(serve: Any) -> None:
    async with asked(serve, of_json(enveloped({"a": [1]}))) as (api, fake):
        data, answer = await api.call_async(
            "allegro_sandbox",
            "post",
            "/offers/{id}",
            connection_id="user@domain.com",
            organization_id=2,
            table="app_130_offers",
            headers={"X-A": "b"},
            params={"limit": 10},
            json={"c": None},
            url_params={"id": "ü/?#"},
        )
    assert data == {"a": [1]}
    assert (answer.status_code, answer.text, answer.headers, answer.url, answer.ok) == (200, "", {}, "http://p/x", True)
    (seen,) = fake.seen
    assert (seen.method, seen.path) == ("POST", "/api/integrations/allegro_sandbox/call/")
    assert seen.query == {"connection_id": "user@domain.com", "organization_id": "2", "table": "app_130_offers"}
    assert seen.body == {
        "method": "POST",
        "endpoint": "/offers/%C3%BC%2F%3F%23",
        "request_headers": {"X-A": "b"},
        "request_params": {"limit": 10},
        "data": {"c": None},
    }
    assert seen.headers["Authorization"] == "App-Token token" and seen.headers["X-App-Id"] == "130"


async def test_a_text_as_json_is_told_from_a_text_as_data(serve: Any) -> None:
    async with asked(serve, of_json(enveloped(1))) as (api, fake):
        await api.call_async("x", "POST", json="text")
        await api.call_async("x", "POST", data="text")
        await api.call_async("x", "POST", json={})
    assert [seen.body["data"] for seen in fake.seen] == ["text", "text", {}]
    marked = {"Content-Type": "application/json"}
    assert [seen.body["request_headers"] for seen in fake.seen] == [marked, {}, marked]


async def test_what_is_not_set_is_not_sent(serve: Any) -> None:
    """Defect f: "App-Token None", "X-App-Id: None"."""
    async with asked(serve, of_json(enveloped(1)), app_id=None) as (api, fake):
        await api.call_async("github", method="GET", endpoint="/user")
    (seen,) = fake.seen
    assert seen.query == {} and "X-App-Id" not in seen.headers
    assert seen.body["request_params"] == {} and seen.body["data"] == {} and seen.body["request_headers"] == {}
    async with asked(serve, of_json(enveloped(1)), app_token=None) as (api, fake):
        with pytest.raises(ConfigError, match="APP_TOKEN is not set"):
            await api.call_async("github")
    assert fake.seen == []


async def test_settings_are_read_once(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect d: one half of the calls with the token of now, the other with that of the construction."""
    fake = Fake(
        lambda request, body: web.json_response({"responses": [enveloped(1)]} if "data_list" in body else enveloped(1))
    )
    async with serve(fake.handle) as url:
        monkeypatch.delenv("HASURA_GRAPHQL_ENDPOINT", raising=False)
        for name, value in {"API_BASE_URL": url, "APP_TOKEN": "one", "APP_ID": "130", "CONNECTION_ID": "7"}.items():
            monkeypatch.setenv(name, value)
        async with API() as api:
            for name in ("API_BASE_URL", "APP_TOKEN", "APP_ID", "CONNECTION_ID"):
                monkeypatch.setenv(name, "http://two.invalid" if name.endswith("URL") else "2")
            await api.integrations.call_async("x")
            await api.integrations.parallel_call_for_connection_async("x", "GET", "/", [{}])
    assert [seen.headers["Authorization"] for seen in fake.seen] == ["App-Token one"] * 2
    assert [seen.headers["X-App-Id"] for seen in fake.seen] == ["130"] * 2
    assert [seen.query["connection_id"] for seen in fake.seen] == ["7"] * 2


async def test_no_call_changes_another(serve: Any) -> None:
    """Defect e: the last answer's connection stuck to later calls, and was written into the caller's objects."""
    item = {"params": {"a": 1}}

    def answer(request: web.Request, body: Any) -> web.Response:
        return web.json_response({"responses": [enveloped(1)]} if "data_list" in body else enveloped(1))

    async with asked(serve, answer) as (api, fake):
        await api.call_async("x", connection_id=34)
        await api.call_async("x")
        await api.parallel_call_for_connection_async("x", "GET", "/", [item], 34, params={"b": 2})
        await api.call_async("x")
    assert [seen.query.get("connection_id") for seen in fake.seen] == ["34", None, "34", None]
    assert item == {"params": {"a": 1}}
    assert fake.seen[2].body["data_list"] == [{"params": {"a": 1, "b": 2}}]
    assert not hasattr(api, "connection_id")


async def test_parallel_calls_travel_with_ids_as_text(serve: Any) -> None:
    given = [
        {
            "connection_id": 123,
            "organization_id": 456,
            "url_params": {"offerId": "offer_1"},
            "params": {"include": "details"},
        },
        {"connection_id": "user@domain.com", "url_params": {"offerId": 2}, "json": [1, 2]},
    ]
    answers = [
        {**enveloped({"name": "one"}), "connection_id": "123", "organization_id": 456},
        {"api_data": None, "api_response": response(404, "none")},
    ]
    async with asked(serve, of_json({"responses": answers, "connections_used": {}})) as (api, fake):
        found = await api.parallel_call_async("allegro", "GET", "/offers/{offerId}", given, table="app_123_products")
    assert found == [
        ParallelCallResponse({"name": "one"}, ApiResponse(**response()), 123, 456),
        ParallelCallResponse(None, ApiResponse(**response(404, "none")), "user@domain.com", None),
    ]
    (seen,) = fake.seen
    assert (seen.path, seen.query) == ("/api/integrations/allegro/parallel_call/", {"table": "app_123_products"})
    assert seen.body == {
        "method": "GET",
        "endpoint": "/offers/{offerId}",
        "data_list": [
            {
                "connection_id": "123",
                "organization_id": "456",
                "params": {"include": "details"},
                "url_params": {"offerId": "offer_1"},
            },
            {"connection_id": "user@domain.com", "data": [1, 2], "url_params": {"offerId": 2}},
        ],
        "request_headers": {},
        "streaming": False,
    }


async def test_multipart_keeps_what_is_in_its_fields(serve: Any) -> None:
    """Defect q: `{"limit": 10}` travelled as "limit"."""
    found: dict[str, Any] = {}

    async def answer(request: web.Request, body: Any) -> web.Response:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                found[name] = (value.filename, value.content_type, value.file.read())
            else:
                found[name] = value
        return web.json_response(enveloped("kept"))

    files = {"file": ("../a/ü.csv", b"\xff\x00", "text/csv"), "plain": "text"}
    async with asked(serve, answer) as (api, _):
        data, _answer = await api.call_async(
            "x", "POST", "/upload", params={"limit": 10}, data={"a": {"b": 1}}, headers={"X-A": "b"}, files=files
        )
    assert data == "kept"
    assert {name: json.loads(found[name]) for name in ("request_params", "data", "request_headers")} == {
        "request_params": {"limit": 10},
        "data": {"a": {"b": 1}},
        "request_headers": {"X-A": "b"},
    }
    assert (found["method"], found["endpoint"]) == ("POST", "/upload")
    assert found["file"] == ("ü.csv", "text/csv", b"\xff\x00")
    assert found["plain"] == ("plain", "application/octet-stream", b"text")


WRONG: list[tuple[Callable[[Integrations], Any], str]] = [
    (lambda api: api.call_async("x", "TRACE"), "the method is one of"),
    (lambda api: api.call_async("", "GET"), "an integration is its id"),
    (lambda api: api.call_async("x", "GET", "http://elsewhere/"), "the endpoint is a path"),
    (lambda api: api.call_async("x", "GET", "//elsewhere/"), "the endpoint is a path"),
    (lambda api: api.call_async("x", "GET", "/{a}"), "url_params has no value for 'a'"),
    (lambda api: api.call_async("x", "GET", "/", url_params={"a": 1}), r"has no place \{a\}"),
    (lambda api: api.call_async("x", "GET", "/{a}", url_params={"a": ".."}), "cannot stand in a path"),
    (lambda api: api.call_async("x", "POST", "/", data={}, json={}), "data and json exclude each other"),
    (lambda api: api.call_async("x", "POST", "/", data=b"x"), "bytes travel as files"),
    (lambda api: api.call_async("x", "POST", "/", headers={"a": "b\r\nc: d"}), "is not a text"),
    (lambda api: api.call_async("x", connection_id=True), "connection_id is an integer or a text"),
    (lambda api: api.call_async("x", connection_id=" "), "connection_id is an integer or a text"),
    (lambda api: api.call_async("x", organization_id=1.5), "organization_id is an integer or a text"),  # pyright: ignore
    (lambda api: api.parallel_call_async("x", "GET", "/", [{}]), r"data_list\[0\]: has no connection_id"),
    (lambda api: api.parallel_call_async("x", "GET", "/", [{"connection_id": 1, "body": 1}]), "unknown key 'body'"),
    (
        lambda api: api.parallel_call_async("x", "GET", "/{a}", [{"connection_id": 1}]),
        r"data_list\[0\].*no value for 'a'",
    ),
    (lambda api: api.parallel_call_async("x", "GET", "/", {"connection_id": 1}), "a list of dictionaries"),  # pyright: ignore
    (lambda api: api.parallel_call_for_connection_async("x", "GET", "/", [{"connection_id": 1}], 2), "of its own"),
    (lambda api: api.parallel_call_stream_async("x", "GET", "/{a}", [{}]).__anext__(), "no value for 'a'"),
    (lambda api: api.parallel_call_stream_async("x", "GET", "/", "text").__anext__(), "a list of dictionaries"),  # pyright: ignore
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
async def test_what_cannot_be_sent_is_refused(serve: Any, call: Any, message: str) -> None:
    """Defect r: url_params, timeout, json of items and others were dropped without a word."""
    async with asked(serve, of_json(enveloped(1))) as (api, fake):
        with pytest.raises(IntegrationError, match=message) as caught:
            await call(api)
    assert caught.value.status == 0 and "nothing was sent" in caught.value.message
    assert fake.seen == []


async def test_url_params_and_timeout_of_a_call_count(serve: Any) -> None:
    async def answer(request: web.Request, body: Any) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with asked(serve, answer) as (api, fake):
        begun = time.monotonic()
        with pytest.raises(RequestTimeout):
            await api.call_async("x", "POST", "/{a}", url_params={"a": "b"}, timeout=0.1)
        assert time.monotonic() - begun < 2
    assert fake.seen[0].body["endpoint"] == "/b"


# Values and errors.


@pytest.mark.parametrize("status", [200, 201, 400, 401, 402, 403, 404, 409, 418, 500])
async def test_what_the_provider_answers_is_a_value(serve: Any, status: int) -> None:
    """Defect n: the data of an error was thrown away."""
    async with asked(serve, of_json(enveloped({"code": "why"}, status), status)) as (api, _):
        data, answer = await api.call_async("x", "POST")
    assert data == {"code": "why"}
    assert (answer.status_code, answer.ok) == (status, status < 400)


@pytest.mark.parametrize("data", [[1, 2], None, 0, "", "text", [], {"api_data": 1}])
async def test_data_is_any_json(serve: Any, data: Any) -> None:
    """Defect n: a JSON array was an AttributeError."""
    async with asked(serve, of_json(enveloped(data))) as (api, _):
        assert (await api.call_async("x"))[0] == data


REFUSALS = [
    (402, {"detail": "no plan"}, PaymentRequired, "no plan"),
    (403, {"detail": "not yours"}, IntegrationAccessDenied, "not yours"),
    (401, {"detail": "who?"}, IntegrationError, "who?"),
    (404, {"detail": "none"}, IntegrationError, "none"),
    (500, {"error": "broken"}, IntegrationError, "broken"),
    (500, ["no object"], IntegrationError, ""),
]


@pytest.mark.parametrize(("status", "body", "kind", "detail"), REFUSALS)
@pytest.mark.parametrize("method", ["call", "parallel", "single", "stream", "get"])
async def test_what_the_platform_refuses_is_raised(
    serve: Any, method: str, status: int, body: Any, kind: type[IntegrationError], detail: str
) -> None:
    """Defects h, i: sys.exit(0) on 402, None for a tuple, SystemExit on 404."""
    async with asked(serve, of_json(body, status)) as (api, fake):
        with pytest.raises(kind) as caught:
            if method == "call":
                await api.call_async("x", "POST")
            elif method == "parallel":
                await api.parallel_call_async("x", "POST", "/", [{"connection_id": 1}])
            elif method == "single":
                await api.parallel_call_for_connection_async("x", "POST", "/", [{}], 1)
            elif method == "get":
                await api.get_integration_async("x")
            else:
                await anext(api.parallel_call_stream_async("x", "POST", "/", [{}], 1))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.detail) == (status, detail)
    assert len(fake.seen) == 1
    assert automio.wrapper.IntegrationAccessDeniedError is IntegrationAccessDenied
    assert automio.wrapper.ApiResponse is ApiResponse


UNUSABLE = [
    {},
    [1],
    {"api_data": 1},
    {"api_data": 1, "api_response": None},
    {"api_response": response()},
    {"api_data": 1, "api_response": response(ok="yes")},
    {"api_data": 1, "api_response": response(status_code=True)},
    *({"api_data": 1, "api_response": {k: v for k, v in response().items() if k != key}} for key in response()),
    {"api_data": "%", "api_data_encoding": "base64", "api_response": response()},
]


@pytest.mark.parametrize("body", UNUSABLE)
async def test_answers_that_are_no_envelope_are_told(serve: Any, body: Any) -> None:
    """Defect n: KeyError, AttributeError."""
    async with asked(serve, of_json(body)) as (api, _):
        with pytest.raises(IntegrationError, match=r"the platform's answer has (no|an)"):
            await api.call_async("x")
    async with asked(serve, of_json({"responses": [body]})) as (api, _):
        with pytest.raises(IntegrationError, match="the platform's answer has"):
            await api.parallel_call_async("x", "GET", "/", [{"connection_id": 1}])


@pytest.mark.parametrize("body", [{}, [], {"responses": None}, {"responses": []}, {"responses": [enveloped(1)] * 2}])
async def test_a_parallel_answer_has_one_response_for_each_item(serve: Any, body: Any) -> None:
    async with asked(serve, of_json(body)) as (api, _):
        with pytest.raises(IntegrationError, match="the platform's answer"):
            await api.parallel_call_async("x", "GET", "/", [{"connection_id": 1}])


@pytest.mark.parametrize(
    ("kind", "body", "data", "text"),
    [
        ("application/pdf", b"%PDF\xff", b"%PDF\xff", ""),
        ("image/png", b"\x89PNG", b"\x89PNG", ""),
        ("text/csv; charset=iso-8859-2", "zażółć;1".encode("iso-8859-2"), "zażółć;1", "zażółć;1"),
        ("text/plain; charset=nonsense", "zażółć".encode(), "zażółć", "zażółć"),
        ("text/plain", b"a\xffb", "a\ufffdb", "a\ufffdb"),
    ],
)
async def test_bodies_of_their_own_are_read_by_their_type(
    serve: Any, kind: str, body: bytes, data: Any, text: str
) -> None:
    """Defect n: text and binary answers were guessed."""

    async def answer(request: web.Request, _: Any) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": kind})

    async with asked(serve, answer) as (api, _):
        found, response_ = await api.call_async("x")
    assert (found, response_.text, response_.status_code, response_.ok) == (data, text, 200, True)


@pytest.mark.parametrize(("status", "error"), [(200, ProtocolError), (502, IntegrationError), (500, IntegrationError)])
async def test_a_web_page_is_no_answer(serve: Any, status: int, error: type[Exception]) -> None:
    async def answer(request: web.Request, _: Any) -> web.Response:
        return web.Response(status=status, text="<html>log in</html>", content_type="text/html")

    async with asked(serve, answer) as (api, _):
        with pytest.raises(error):
            await api.call_async("x", "POST")


async def test_cut_json_is_told(serve: Any) -> None:
    async def answer(request: web.Request, _: Any) -> web.Response:
        return web.Response(text='{"api_data": ', content_type="application/json")

    async with asked(serve, answer) as (api, _):
        with pytest.raises(ProtocolError, match="not JSON"):
            await api.call_async("x", "POST")
        with pytest.raises(ProtocolError, match="not JSON"):
            await api.parallel_call_async("x", "POST", "/", [{"connection_id": 1}])


# Repetition.


@pytest.mark.parametrize(
    ("method", "repeat", "attempts"),
    [
        ("GET", Repeat.WHEN_SAFE, 3),
        ("GET", Repeat.NEVER, 1),
        ("POST", Repeat.WHEN_SAFE, 1),
        ("DELETE", Repeat.WHEN_SAFE, 1),
        ("POST", Repeat.ALWAYS, 3),
    ],
)
async def test_a_busy_provider_is_asked_again_where_that_is_safe(
    serve: Any, method: str, repeat: Repeat, attempts: int
) -> None:
    """Defect u: POST was sent four times, without a key."""
    async with asked(serve, of_json(enveloped(None, 429), 429, **{"Retry-After": "0"})) as (api, fake):
        _, answer = await api.call_async("x", method, repeat=repeat)
    assert (answer.status_code, len(fake.seen)) == (429, attempts)
    keys = {seen.headers.get("Idempotency-Key") for seen in fake.seen}
    assert keys == {None} if method == "GET" else len(keys) == 1 and None not in keys


async def test_the_key_can_be_named(serve: Any) -> None:
    async with asked(serve, of_json(enveloped(1))) as (api, fake):
        await api.call_async("x", "POST", idempotency_key="mine")
        await api.call_async("x", "POST")
        await api.call_async("x", "POST")
    keys = [seen.headers["Idempotency-Key"] for seen in fake.seen]
    assert keys[0] == "mine" and len(set(keys)) == 3


# What there is.


async def test_integrations(serve: Any) -> None:
    described = {
        "integration_id": "github",
        "name": "GitHub",
        "version": "1",
        "connected_accounts": [34, "35"],
        "tags": ["a"],
    }
    async with asked(serve, of_json(described)) as (api, fake):
        found = await api.get_integration_async("github", connection_id=34)
        await api.get_integration_async("a/../b")
    assert (found.integration_id, found.name, found.version, found.connected_accounts) == (
        "github",
        "GitHub",
        "1",
        (34, 35),
    )
    assert found.details["tags"] == ["a"]
    assert (fake.seen[0].path, fake.seen[0].query) == ("/api/integrations/github/", {"connection_id": "34"})  # defect s
    async with asked(serve, of_json(described | {"connected_accounts": None})) as (api, _):
        assert (await api.get_integration_async("github")).connected_accounts == ()  # defect h
    page = {"count": 3, "next": "http://x/?page=3", "previous": None, "results": [described]}
    async with asked(serve, of_json(page)) as (api, fake):
        listed = await api.get_integrations_async(page=2, per_page=1)
    assert [one.integration_id for one in listed.results] == ["github"]
    assert (listed.count, listed.next, listed.previous) == (3, "http://x/?page=3", None)
    assert fake.seen[0].query == {"page": "2", "per_page": "1"}


@pytest.mark.parametrize("body", [[], {"name": "x"}, {"integration_id": "x", "connected_accounts": 1}, {"results": []}])
async def test_what_describes_no_integration_is_told(serve: Any, body: Any) -> None:
    async with asked(serve, of_json(body)) as (api, _):
        with pytest.raises(IntegrationError, match="the platform's answer"):
            await api.get_integration_async("x")
        with pytest.raises(IntegrationError, match="the platform's answer"):
            await api.get_integrations_async()
        if body:
            with pytest.raises(IntegrationError, match="the platform's answer"):
                await api.my_connections_async("x")


async def test_the_three_forms_of_all_connections(serve: Any) -> None:
    """One value that is iterated, asked by key and walked by organization; with and without a table; a slug (defect s)."""

    def answer(request: web.Request, body: Any) -> web.Response:
        if request.path.endswith("/get_connections/"):
            return web.json_response([{"id": 1, "name": "own"}])
        return web.json_response(
            {"2": [{"id": 34, "name": "a"}, {"id": 35, "name": "b"}], "7": [{"id": 36, "name": "c"}]}
        )

    async with asked(serve, answer, organization_id=2) as (api, fake):
        integration = automio.services.integration_values.Integration("allegro_sandbox", "Allegro")
        found = await api.all_connections_async("allegro_sandbox", "orders")
        again = await api.all_connections_async(integration, "orders", app_id="org/app")
        own = await api.all_connections_async("service_name")
    assert [(one.id, one.name) for one in found] == [(34, "a"), (35, "b"), (36, "c")]
    assert [(org, [one["id"] for one in ones]) for org, ones in again.items()] == [(2, [34, 35]), (7, [36])]
    assert [one["name"] for one in own] == ["own"] and own[2][0].organization_id == 2 and len(found) == 3
    with pytest.raises(KeyError):
        next(iter(own))["token"]
    assert [seen.query.get("app_id") for seen in fake.seen] == ["130", "org/app", None]
    async with asked(serve, answer, app_id=None) as (api, _):
        with pytest.raises(ConfigError, match="APP_ID"):
            await api.all_connections_async("x", "orders")


# Both faces.


async def test_the_sync_face(serve: Any) -> None:
    def answer(request: web.Request, body: Any) -> web.Response:
        if request.method == "GET":
            return web.json_response({"integration_id": "x", "name": "x", "version": "1", "connected_accounts": [1]})
        return web.json_response({"responses": [enveloped(1)]} if "data_list" in body else enveloped(1))

    async with asked(serve, answer) as (api, _):

        def work() -> list[Any]:
            integration = api.get_integration("x")
            return [
                [
                    api.call(integration, method="GET", endpoint="/", connection_id=n)[0]
                    for n in integration.connected_accounts
                ],
                api.parallel_call(integration, "GET", "/", [{"connection_id": 1}])[0].api_data,
                api.parallel_call_for_connection(integration, "GET", "/", [{}], 1)[0].api_data,
            ]

        assert await asyncio.to_thread(work) == [[1], 1, 1]


def test_every_method_has_its_twin() -> None:
    names = {name for name in vars(Integrations) if not name.startswith("_") and not name.endswith("_async")}
    assert len(names) == 10
    for name in names:
        assert hasattr(Integrations, f"{name}_async")
        one, two = getattr(Integrations, name), getattr(Integrations, f"{name}_async")
        assert one.__kwdefaults__ == two.__kwdefaults__ and one.__defaults__ == two.__defaults__


async def test_a_closed_client_says_so(serve: Any) -> None:
    async with asked(serve, of_json(enveloped(1))) as (api, fake):
        await api.call_async("x")
    with pytest.raises(TransportError, match="closed"):
        await api.call_async("x")
    with pytest.raises(TransportError, match="closed"):
        await anext(api.parallel_call_stream_async("x", "GET", "/", [{}]))
    assert len(fake.seen) == 1


def test_nothing_is_opened_before_the_first_call() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from automio.wrapper import API; api = API(app_token='t', hasura_graphql_endpoint=None); "
        "assert 'aiohttp' not in sys.modules and 'automio.services.integrations' not in sys.modules; "
        "api.integrations; import threading; assert threading.active_count() == 1; api.close()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


# Streams.


def frames(*values: Any, before: bytes = b"") -> bytes:
    return before + b"".join(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n" for value in values)


def item(index: int, total: int, data: Any = None) -> dict[str, Any]:
    return {"index": index, "total": total, "response": enveloped(data), "connection_id": "34"}


@asynccontextmanager
async def streamed(serve: Any, *parts: Any, kind: str = "text/event-stream; charset=utf-8") -> AsyncIterator[Any]:
    """A platform that streams parts: bytes; a number waits, "cut" ends without the end of the body."""
    gone = asyncio.Event()

    async def answer(request: web.Request, body: Any) -> web.StreamResponse:
        out = web.StreamResponse(headers={"Content-Type": kind})
        await out.prepare(request)
        try:
            for part in parts:
                if part == "cut":
                    assert request.transport is not None
                    request.transport.abort()
                elif isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    await out.write(part)
        except (ConnectionError, asyncio.CancelledError):
            gone.set()
            raise
        return out

    async with asked(serve, answer) as (api, fake):
        yield api, fake, gone


async def test_a_stream(serve: Any) -> None:
    body = frames(
        item(1, 2, "zażółć"), item(0, 2), {"completed": True, "total_processed": 2}, before=b"event: x\n: note\n\n"
    )
    # Defect m: latin-1 where the type names no charset.
    async with streamed(serve, body[:9], 0.01, body[9:40], 0.01, body[40:], kind="text/event-stream") as (api, fake, _):
        found = [
            one
            async for one in api.parallel_call_stream_async(
                "x", "GET", "/{i}", [{"url_params": {"i": n}} for n in "ab"], 34
            )
        ]
    first, second, last = found
    assert (first["index"], first["total"], first["data"], first["connection_id"]) == (1, 2, "zażółć", 34)
    assert (second["index"], second["response"].ok, last) == (0, True, {"final": True, "total_processed": 2})
    (seen,) = fake.seen
    assert (seen.path, seen.query) == ("/api/integrations/x/parallel_call/", {"connection_id": "34"})
    assert seen.body["streaming"] is True and seen.body["request_params"] == {}
    assert seen.body["data_list"] == [{"url_params": {"i": "a"}}, {"url_params": {"i": "b"}}]


BROKEN = [
    ((frames(item(0, 2)),), 1, "ended early, after 1"),
    ((frames(item(0, 2)), "cut"), 1, "broke off after 1"),
    ((), 0, "ended early, after 0"),
    ((frames(item(0, 2), {"completed": True, "total_processed": 2}),), 1, "1 answers to 2 calls"),
    ((frames(item(0, 2), {"error": "the worker died"}),), 1, "the worker died"),
    ((frames({"detail": "no more"}),), 0, "no more"),
    ((b"data: {\n\n",), 0, "not JSON"),
    ((b"data: 1\n\n",), 0, "not an object"),
    ((frames({"index": 5, "total": 2, "response": enveloped(1)}),), 0, "no usable index"),
]


@pytest.mark.parametrize(("parts", "received", "message"), BROKEN, ids=[message for _, _, message in BROKEN])
async def test_a_broken_stream_is_told(serve: Any, parts: Any, received: int, message: str) -> None:
    """Defect m: a stream that was cut short just ended; an error frame was a KeyError."""
    for face in ("async", "sync"):
        async with streamed(serve, *parts) as (api, _, _gone):
            found: list[Any] = []

            with pytest.raises(StreamBroken, match=message) as caught:
                if face == "async":
                    async for one in api.parallel_call_stream_async("x", "GET", "/", [{}, {}], 34):
                        found.append(one)
                else:
                    stream = api.parallel_call_stream("x", "GET", "/", [{}, {}], 34)
                    while True:
                        found.append(await asyncio.to_thread(next, stream))
            assert caught.value.received == received == len(found)


async def test_silence_in_a_stream_is_told(serve: Any) -> None:
    async with streamed(serve, frames(item(0, 2)), 5.0) as (api, _, _gone):
        stream = api.parallel_call_stream_async("x", "GET", "/", [{}, {}], 34, timeout=0.2)
        assert (await anext(stream))["index"] == 0
        with pytest.raises(StreamBroken, match="no answer within") as caught:
            await anext(stream)
        assert isinstance(caught.value.__cause__, TransportError)


@pytest.mark.parametrize("way", ["aclose", "with", "cancel", "sync close", "sync dropped", "sync break"])
async def test_leaving_a_stream_ends_the_request(serve: Any, way: str) -> None:
    """Defect m: the response stayed open."""
    endless = [part for n in range(400) for part in (frames(item(0, 2, "x" * 10)), 0.02)]
    async with streamed(serve, *endless) as (api, _, gone):
        made = (("x", "GET", "/", [{}, {}]), {"connection_id": 34})
        if way == "aclose":
            stream = api.parallel_call_stream_async(*made[0], **made[1])
            await anext(stream)
            await stream.aclose()
        elif way == "with":
            async with api.parallel_call_stream_async(*made[0], **made[1]) as stream:
                await anext(stream)
        elif way == "cancel":

            async def read() -> None:
                async for _ in api.parallel_call_stream_async(*made[0], **made[1]):
                    pass

            task = asyncio.create_task(read())
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task})
        else:

            def work() -> None:
                stream = api.parallel_call_stream(*made[0], **made[1])
                for _ in stream:
                    break
                if way == "sync close":
                    stream.close()
                    assert list(stream) == []

            await asyncio.to_thread(work)
            gc.collect()
        await asyncio.wait_for(gone.wait(), 3)


async def test_a_sync_reader_that_waits_is_ended_by_close(serve: Any) -> None:
    async with streamed(serve, frames(item(0, 2)), *[b"\n", 0.02] * 500) as (api, _, gone):
        stream = api.parallel_call_stream("x", "GET", "/", [{}, {}], 34)
        found: list[Any] = []
        reader = threading.Thread(target=lambda: found.extend(stream))
        reader.start()
        await asyncio.sleep(0.2)
        await asyncio.to_thread(stream.close)
        await asyncio.to_thread(reader.join, 3)
        assert not reader.is_alive() and len(found) == 1
        await asyncio.wait_for(gone.wait(), 3)


async def test_a_generator_is_sent_in_batches(serve: Any) -> None:
    taken: list[int] = []

    async def answer(request: web.Request, body: Any) -> web.StreamResponse:
        count = len(body["data_list"])
        out = web.StreamResponse()
        await out.prepare(request)
        await out.write(
            frames(*(item(n, count) for n in reversed(range(count))), {"completed": True, "total_processed": count})
        )
        return out

    def requests() -> Any:
        for number in range(2500):
            taken.append(number)
            yield {"params": {"n": number}}

    async with asked(serve, answer) as (api, fake):
        indexes: list[int] = []
        async for one in api.parallel_call_stream_async("x", "POST", "/", requests(), 34, idempotency_key="k"):
            if one.get("final"):
                assert one == {"final": True, "total_processed": 2500}
            else:
                indexes.append(one["index"])
                assert one["total"] is None and len(taken) <= len(indexes) + 1000
        nothing = [one async for one in api.parallel_call_stream_async("x", "GET", "/", [], 34)]
    assert sorted(indexes) == list(range(2500))
    assert [len(seen.body["data_list"]) for seen in fake.seen] == [1000, 1000, 500]
    assert [seen.headers["Idempotency-Key"] for seen in fake.seen] == ["k", "k-1", "k-2"]
    assert nothing == [{"final": True, "total_processed": 0}]


async def test_a_slow_sync_reader_holds_few_answers(serve: Any) -> None:
    written = 0

    async def answer(request: web.Request, body: Any) -> web.StreamResponse:
        nonlocal written
        out = web.StreamResponse()
        await out.prepare(request)
        for number in range(1000):
            await out.write(frames(item(number, 1000, "x" * 100_000)))
            written += 1
        await out.write(frames({"completed": True, "total_processed": 1000}))
        return out

    async with asked(serve, answer) as (api, _):

        def work() -> int:
            stream = api.parallel_call_stream("x", "GET", "/", [{}] * 1000, 34)
            next(stream)
            time.sleep(0.5)
            ahead = written
            assert sum("data" in one for one in stream) == 999
            return ahead

        assert await asyncio.to_thread(work) < 300
