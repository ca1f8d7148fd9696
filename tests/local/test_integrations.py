"""The platform's endpoints for integrations: real HTTP on both sides. Who may, what goes out, what comes back, what fails."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from automio.errors import IntegrationAccessDenied, IntegrationError, StreamBroken, TransportError
from automio.local import integration_config, integrations
from automio.local.provider import Answer
from automio.services.integrations import Integrations
from automio.settings import DEFAULT_TIMEOUT
from automio.wrapper import API

from .providers import configured, platform, provider, shop

CALL = {"method": "GET", "endpoint": "/x", "request_headers": {}, "request_params": {}, "data": {}}


async def ask(
    url: str, path: str, body: Any = None, *, token: str | None = "token-1", **more: Any
) -> tuple[int, Any, dict[str, str]]:
    """A request as published clients send it: status, JSON (else text), headers."""
    headers = {"Authorization": f"App-Token {token}"} if token else {}
    headers |= more.pop("headers", {})
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", json=body, headers=headers, **more) as answer,
    ):
        raw = await answer.read()
        try:
            return answer.status, json.loads(raw), dict(answer.headers)
        except ValueError:
            return answer.status, raw, dict(answer.headers)


async def echo(request: web.Request) -> web.StreamResponse:
    """What came, without the secret; which one came, by its end."""
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "who": request.headers.get("Authorization", "").rpartition("-")[2],
            "type": request.headers.get("Content-Type"),
            "headers": {k: v for k, v in request.headers.items() if k.startswith("X-")},
            "body": body.decode("utf-8", "replace"),
        }
    )


def api_of(url: str, organization: int = 1, **more: Any) -> API:
    given = {"app_token": f"token-{organization}", "app_id": None, "hasura_graphql_endpoint": None, "timeout": 10.0}
    return API(api_base_url=url, **given | more)


# Who may.


@pytest.mark.parametrize("prefix", ["/api", ""])
@pytest.mark.parametrize("end", ["/", ""])
async def test_both_prefixes(prefix: str, end: str) -> None:
    async with shop(echo) as url:
        status, page, _ = await ask(url, f"{prefix}/integrations{end}")
        assert (status, page["count"], page["results"][0]["integration_id"]) == (200, 1, "shop")
        status, one, headers = await ask(url, f"{prefix}/integrations/shop{end}")
        assert (status, one["name"], one["version"], one["connected_accounts"]) == (200, "Shop", "1.0", [11])
        assert headers["Content-Type"].startswith("application/json")
        status, found, _ = await ask(url, f"{prefix}/integrations/shop/call{end}?connection_id=11", CALL)
        assert (status, found["api_data"]["who"], found["connection_id"]) == (200, "one", 11)


@pytest.mark.parametrize("token", [None, "nope", "None", ""])
async def test_no_token_no_answer(token: str | None) -> None:
    seen: list[Any] = []

    async def count(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response()

    async with shop(count) as url:
        for path, body in (
            ("/", None),
            ("/shop/", None),
            ("/shop/get_connections/", None),
            ("/shop/table_connections/?app_id=130&table=x", None),
            ("/shop/call/?connection_id=11", CALL),
            ("/shop/parallel_call/", {**CALL, "data_list": []}),
            ("/shop/parallel_call_for_connection/", {**CALL, "data_list": []}),
        ):
            status, answer, _ = await ask(url, f"/api/integrations{path}", body, token=token)
            assert (status, list(answer)) == (401, ["detail"])
    assert seen == []


async def test_whose_connections_are_seen() -> None:
    async with shop(echo) as url:

        async def seen(token: int, path: str) -> Any:
            return (await ask(url, f"/api/integrations/shop/{path}", token=f"token-{token}"))[:2]

        assert await seen(1, "get_connections/") == (200, [{"id": 11, "name": "main"}])
        assert await seen(2, "get_connections/") == (200, [{"id": 21, "name": "main"}])
        both = {"1": [{"id": 11, "name": "main"}], "3": [{"id": 31, "name": "granted"}]}
        assert await seen(1, "table_connections/?app_id=130&table=app_130_orders") == (200, both)
        assert await seen(2, "table_connections/?app_id=131&table=x") == (200, {"2": [{"id": 21, "name": "main"}]})
        assert (await seen(1, "table_connections/?app_id=131&table=x"))[0] == 403
        assert (await seen(1, "table_connections/?app_id=org%2Fapp&table=x"))[0] == 400
        assert [(await seen(n, ""))[1]["connected_accounts"] for n in (1, 2, 3)] == [[11], [21], [31]]


@pytest.mark.parametrize(
    ("token", "query", "who"),
    [
        (1, "", "one"),
        (2, "", "two"),
        (1, "?connection_id=main", "one"),
        (2, "?connection_id=main", "two"),
        (1, "?connection_id=11&organization_id=1", "one"),
        (1, "?connection_id=31", "three"),
        (1, "?connection_id=granted&organization_id=3", "three"),
        (1, "?organization_id=3", "three"),
        (2, "?connection_id=31", "three"),
        (3, "?connection_id=31", "three"),
    ],
)
async def test_which_connection_is_used(token: int, query: str, who: str) -> None:
    async with shop(echo) as url:
        status, found, _ = await ask(url, f"/integrations/shop/call/{query}", CALL, token=f"token-{token}")
        assert (status, found["api_data"]["who"]) == (200, who)


@pytest.mark.parametrize(
    ("token", "query", "headers"),
    [
        (1, "?connection_id=21", {}),
        (1, "?connection_id=99", {}),
        (1, "?connection_id=nobody", {}),
        (1, "?connection_id=11&organization_id=2", {}),
        (1, "?organization_id=2", {}),
        (3, "?connection_id=11", {}),
        (3, "?connection_id=main", {}),
        (2, "?connection_id=31", {"X-App-Id": "131"}),
    ],
)
async def test_what_is_anothers_looks_like_what_is_not_there(token: int, query: str, headers: Any) -> None:
    async with shop(echo) as url:
        answers = {
            path: await ask(url, f"/integrations/shop/{path}/{query}", body, token=f"token-{token}", headers=headers)
            for path, body in (
                ("call", CALL),
                ("parallel_call_for_connection", {**CALL, "data_list": [{}]}),
                ("parallel_call", {**CALL, "data_list": [{}], "streaming": True}),
                ("parallel_call", {**CALL, "data_list": [{}]}),
            )
        }
        details = {answer["detail"] for _, answer, _ in answers.values()}
        assert {status for status, _, _ in answers.values()} == {403} and len(details) == 1
        missing = await ask(url, "/integrations/shop/call/?connection_id=99", CALL)
        if "connection_id" in query:
            assert details == {missing[1]["detail"]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/none/", None, 404),
        ("/none/call/", CALL, 404),
        ("/shop/nothing/", None, 404),
        ("/shop/call/x/", CALL, 404),
        ("/shop/call/", None, 405),
        ("/shop/get_connections/", CALL, 405),
        ("/?page=0", None, 400),
        ("/shop/call/", [], 400),
        ("/shop/call/", {**CALL, "method": "TRACE"}, 400),
        ("/shop/call/", {**CALL, "method": {}}, 400),
        ("/shop/call/", {**CALL, "method": ["GET"]}, 400),
        ("/shop/call/", {**CALL, "endpoint": None}, 400),
        ("/shop/call/", {**CALL, "endpoint": "//elsewhere/"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "http://elsewhere/"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/a/../../b"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/a/%2e%2E/b"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/a/..%5cb"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/{a}"}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/{a}", "url_params": {"a": "../b"}}, 400),
        ("/shop/call/", {**CALL, "endpoint": "{a}/b", "url_params": {"a": "."}}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/{a}{b}/b", "url_params": {"a": ".", "b": "."}}, 400),
        ("/shop/call/", {**CALL, "endpoint": "/x/%2e{a}", "url_params": {"a": "."}}, 400),
        ("/shop/call/", {**CALL, "request_headers": {"a": "b\r\nc"}}, 400),
        ("/shop/call/", {**CALL, "request_headers": ["a"]}, 400),
        ("/shop/call/", {**CALL, "request_params": {"a": {"b": 1}}}, 400),
        ("/shop/call/?connection_id=11&connection_id=31", CALL, 400),
        ("/shop/parallel_call/", {**CALL}, 400),
        ("/shop/parallel_call/", {"data_list": []}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [], "method": {}}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [], "request_params": False}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [], "request_headers": 1}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [], "streaming": "no"}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [1]}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [{"connection_id": {}}]}, 400),
        ("/shop/parallel_call/", {**CALL, "data_list": [{"connection_id": "11"}, {"connection_id": "21"}]}, 403),
        ("/shop/parallel_call/", {**CALL, "data_list": [{"connection_id": "11", "params": 1}]}, 400),
        ("/shop/parallel_call/", {**CALL, "endpoint": "/{a}", "data_list": [{"connection_id": "11"}]}, 400),
    ],
)
async def test_refusals(path: str, body: Any, status: int) -> None:
    seen: list[Any] = []

    async def count(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response()

    async with shop(count) as url:
        found, answer, _ = await ask(url, f"/api/integrations{path}", body)
        assert (found, list(answer)) == (status, ["detail"])
    assert seen == []


# What goes out, what comes back.


async def test_what_goes_out() -> None:
    async with shop(echo, extra="", more="") as url, api_of(url, 2) as api:
        data, answer = await api.integrations.call_async(
            "shop",
            "POST",
            "/offers/{id}/a b?z=1",
            url_params={"id": "ü/x?#%"},
            params={"limit": 10, "tag": ["a", "b&c"], "no": None, "yes": True},
            headers={"X-Mine": "1", "X-Key": "stolen", "authorization": "Bearer mine", "Host": "elsewhere"},
            json={"a": ["ż", None]},
        )
        assert data["method"] == "POST"
        assert data["path"] == "/offers/%C3%BC%2Fx%3F%23%25/a%20b?z=1&limit=10&tag=a&tag=b%26c&yes=true"
        assert data["who"] == "two" and data["headers"] == {"X-Mine": "1", "X-Key": "<hidden>"}
        assert (data["type"], json.loads(data["body"])) == ("application/json", {"a": ["ż", None]})
        assert answer.url.endswith(data["path"])
        data, _ = await api.integrations.call_async(
            "shop", "POST", "/", data={"a": "b c"}, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert data["body"] == "a=b+c"
        data, _ = await api.integrations.call_async(
            "shop", "PUT", "/", data="<xml/>", headers={"Content-Type": "text/xml"}
        )
        assert (data["type"], data["body"]) == ("text/xml", "<xml/>")
        data, _ = await api.integrations.call_async("shop", "DELETE", "/a%2Fb")
        assert (data["method"], data["path"], data["body"], data["type"]) == ("DELETE", "/a%2Fb", "", None)


async def test_files_go_out_as_a_form() -> None:
    async def receive(request: web.Request) -> web.StreamResponse:
        found: dict[str, Any] = {}
        for name, value in (await request.post()).items():
            is_file = isinstance(value, web.FileField)
            found[name] = [value.filename, value.content_type, value.file.read().hex()] if is_file else value
        return web.json_response({"form": found, "query": dict(request.query)})

    async with shop(receive) as url, api_of(url) as api:
        data, _ = await api.integrations.call_async(
            "shop",
            "POST",
            "/upload",
            params={"limit": 10},
            data={"note": "ż", "number": 7},
            files=[("file", ("ü.bin", b"\r\n--\xff\x00", "image/png")), ("other", b"")],
        )
    assert data["query"] == {"limit": "10"}
    assert data["form"] == {
        "note": "ż",
        "number": "7",
        "file": ["ü.bin", "image/png", b"\r\n--\xff\x00".hex()],
        "other": ["other", "application/octet-stream", ""],
    }


async def test_a_form_that_is_none_is_refused() -> None:
    """Found by schemathesis: a control character in a part's header was a 500."""

    async def never(request: web.Request) -> web.StreamResponse:
        raise AssertionError

    bodies = [
        b'--b\r\nContent-Disposition: form-data; name="\x13"\r\n\r\n1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="a\r\n\r\n1\r\n--b--\r\n',
        b"--b\r\n: \r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n\r\n1\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="method"\r\n\r\nGET',
        b"\xff",
        b"",
    ]
    headers = {"Authorization": "App-Token token-1", "Content-Type": "multipart/form-data; boundary=b"}
    async with shop(never) as url, aiohttp.ClientSession(headers=headers) as session:
        for body in bodies:
            async with session.post(f"{url}/integrations/shop/call/", data=body) as answer:
                assert (answer.status, list(await answer.json())) == (400, ["detail"]), body


ANSWERS: list[tuple[str, bytes, Any]] = [
    ("application/json", b'{"a": [1, null]}', {"a": [1, None]}),
    ("application/problem+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
    ("application/json", b'{"a": ', None),
    ("application/json", b'{"a": NaN}', None),
    ("application/json", b"", None),
    ("application/json; charset=nonsense", '"ż"'.encode(), "ż"),
    ("application/json; charset=iso-8859-2", '"ż"'.encode("iso-8859-2"), "ż"),
    ("text/plain; charset=utf-8", b"\xffa", "\ufffda"),
    ("text/html; charset=utf-8", "<p>ż</p>".encode(), "<p>ż</p>"),
    ("application/pdf", b"%PDF\x00\xff", b"%PDF\x00\xff"),
    ("application/octet-stream", b"\x00", b"\x00"),
    ("", b"plain", "plain"),
    ("", b"\xff\x00", b"\xff\x00"),
]


@pytest.mark.parametrize(("kind", "body", "data"), ANSWERS)
@pytest.mark.parametrize("status", [200, 404])
async def test_answers_come_back_by_their_type(kind: str, body: bytes, data: Any, status: int) -> None:
    """The same data from `call`, from a parallel call and from a stream."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": kind} if kind else {})

    async def bare(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        del response.headers["Content-Type"]
        await response.prepare(request)
        await response.write(body)
        return response

    async with shop(answer) as url, api_of(url) as api:
        found = [await api.integrations.call_async("shop")]
        many = await api.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}])
        found += [(one.api_data, one.api_response) for one in many]
        async for one in api.integrations.parallel_call_stream_async("shop", "GET", "/", [{}], 11):
            found += [(one["data"], one["response"])] if "data" in one else []
    kinds = {type(value) for value, _ in found}
    if not kind:  # aiohttp's server names a type by itself
        assert [value if isinstance(value, bytes) else value.encode() for value, _ in found] == [body] * 3
    else:
        assert [value for value, _ in found] == [data] * 3 and len(kinds) == 1
    assert [(answer.status_code, answer.ok) for _, answer in found] == [(status, status < 400)] * 3


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 402, 403, 404, 409, 418, 500])
async def test_the_status_is_the_providers(status: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"why": 1}, status=status) if status not in (204, 304) else web.Response(status=status)

    async with shop(answer) as url, api_of(url) as api:
        mirrored, found, _ = await ask(url, "/integrations/shop/call/", CALL)
        assert mirrored == (status if status not in (204, 304) else 200)
        assert found["api_response"]["status_code"] == status
        data, response = await api.integrations.call_async("shop", "POST")
        assert (data, response.status_code) == ({"why": 1} if status not in (204, 304) else None, status)
        parallel, found, _ = await ask(
            url, "/integrations/shop/parallel_call/", {**CALL, "data_list": [{"connection_id": "11"}]}
        )
        assert (parallel, found["responses"][0]["api_response"]["status_code"]) == (200, status)


async def test_shapes_of_published_clients() -> None:
    async with shop(echo) as url:
        body = {**CALL, "endpoint": "/{id}", "data_list": [{"url_params": {"id": n}} for n in range(3)]}
        _, found, _ = await ask(url, "/integrations/shop/parallel_call_for_connection/?connection_id=main", body)
        assert found["connection_id"] == "11"  # a text: one of them takes nothing else
        assert [one["api_data"]["path"] for one in found["responses"]] == ["/0", "/1", "/2"]
        assert set(found["responses"][0]["api_response"]) == {"status_code", "text", "headers", "url", "ok"}
        items = [
            {"connection_id": "11", "url_params": {"id": 1}},
            {"connection_id": "31", "organization_id": "3", "url_params": {"id": 2}},
        ]
        _, found, _ = await ask(url, "/integrations/shop/parallel_call/", {**body, "data_list": items})
        assert found["connections_used"] == {"11": 1, "31": 1}
        assert [one["connection_id"] for one in found["responses"]] == [11, 31]
        assert [one["organization_id"] for one in found["responses"]] == [1, 3]
        _, raw, headers = await ask(
            url, "/integrations/shop/parallel_call/?connection_id=11", {**body, "streaming": True}
        )
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        lines = [line for line in raw.decode().splitlines() if line]
        assert all(line.startswith("data: ") for line in lines)
        frames = [json.loads(line[6:]) for line in lines]
        assert sorted(frame["index"] for frame in frames[:-1]) == [0, 1, 2] and frames[0]["total"] == 3
        assert frames[-1] == {"completed": True, "total_processed": 3}


async def test_secrets_do_not_come_back() -> None:
    async def repeat(request: web.Request) -> web.StreamResponse:
        secret = request.headers["Authorization"]
        headers = {"X-Was": secret, "Set-Cookie": "session=abc"}
        if request.path == "/redirect":
            return web.Response(status=302, headers={"Location": f"http://127.0.0.1:1/?token={secret[7:]}", **headers})
        return web.json_response(dict(request.headers), headers=headers)

    async with shop(repeat) as url:
        for endpoint in ("/x", "/redirect"):
            for path, more in (
                ("call/", {}),
                ("parallel_call/?connection_id=11", {"data_list": [{}]}),
                ("parallel_call/?connection_id=11", {"data_list": [{}], "streaming": True}),
            ):
                status, body, headers = await ask(
                    url, f"/integrations/shop/{path}", {**CALL, "endpoint": endpoint, **more}, allow_redirects=False
                )
                text = f"{body}{headers}"
                assert status in (200, 302) and "secret-of-one" not in text and "session=abc" not in text
                assert "<hidden>" in text
    config = configured("http://127.0.0.1:1")
    assert "secret-of" not in repr(config) and "key-of-two" not in repr(config)


# Redirects, sizes, time.


async def test_redirects_stay_with_the_provider() -> None:
    stolen: list[Any] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        stolen.append(dict(request.headers))
        return web.Response()

    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(provider(elsewhere))

        async def answer(request: web.Request) -> web.StreamResponse:
            target = {
                "/base/away": f"{other}/",
                "/base/out": "/other",
                "/base/round": "/base/round",
                "/base/in": "/base/there",
            }
            if request.path in target:
                return web.Response(status=302, headers={"Location": target[request.path]})
            return web.json_response(request.path)

        address = await stack.enter_async_context(provider(answer))
        url = await stack.enter_async_context(platform(configured(f"{address}/base")))
        api = await stack.enter_async_context(api_of(url))

        async def status(path: str, method: str = "GET") -> tuple[Any, int]:
            data, found = await api.integrations.call_async("shop", method, path)
            return data, found.status_code

        assert await status("/in") == ("/base/there", 200)
        assert (await status("/in", "POST"))[1] == 302
        assert (await status("/away"))[1] == 302
        assert (await status("/out"))[1] == 302
        assert await status("/round") == ("the provider redirects without end", 502)
    assert stolen == []


async def test_a_slow_provider_is_a_value() -> None:
    assert integration_config.SECONDS < DEFAULT_TIMEOUT - 3, "the client still waits when the platform gives up"

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async with shop(slow, "timeout = 0.2") as url, api_of(url) as api:
        data, answer = await api.integrations.call_async("shop", "POST")
        assert (answer.status_code, answer.ok, data) == (504, False, "the provider did not answer within 0.2 s")
        (one,) = await api.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}])
        assert one.api_response.status_code == 504


@pytest.mark.parametrize("way", ["refused", "reset", "cut", "nonsense"])
async def test_a_provider_that_breaks_is_a_value(way: str, unused_tcp_port: int) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if way == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif way == "nonsense":
            writer.write(b"\x00\x01nonsense\r\n\r\n")
        await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = unused_tcp_port if way == "refused" else server.sockets[0].getsockname()[1]
    async with server, platform(configured(f"http://127.0.0.1:{port}")) as url, api_of(url) as api:
        for _ in range(2):
            data, answer = await api.integrations.call_async("shop", "POST")
            assert (answer.status_code, answer.ok) == (502, False) and "the provider" in data
        items = [{"connection_id": 11}, {"connection_id": 31}]
        found = await api.integrations.parallel_call_async("shop", "POST", "/", items)
        assert [one.api_response.status_code for one in found] == [502, 502]


async def test_a_huge_body_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0

    async def huge(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if request.path == "/bomb":
            return web.Response(body=gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
        if request.path == "/back":
            return web.json_response(len(await request.read()))
        response = web.StreamResponse()
        if request.path == "/told":
            response.content_length = 10**10
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 100_000)
            sent += 100_000
        return response

    async with provider(huge) as address:
        config = configured(address, extra="[server]\nmax_body_bytes = 1000000")
        async with platform(config) as url, api_of(url) as api:
            for path in ("/bomb", "/told", "/chunks"):
                data, answer = await api.integrations.call_async("shop", "POST", path)
                assert (answer.status_code, data) == (502, "the provider's answer is larger than 1000000 bytes")
            assert sent < 20_000_000
            with pytest.raises(IntegrationError, match="larger than 1000000 bytes") as caught:
                await api.integrations.call_async("shop", "POST", json="x" * 2_000_000)
            assert caught.value.status == 413
        async with platform(configured(address)) as url, api_of(url) as api:
            data, _ = await api.integrations.call_async("shop", "POST", "/back", json="x" * 2_000_000)
            assert data == 2_000_002


async def test_a_moment_counts_by_the_providers_clock() -> None:
    """It is not the platform's: what goes on to the client are seconds."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    seen = 0

    async def busy(request: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        headers = {"Date": then, "Retry-After": then}
        return web.json_response(seen, status=429 if seen in (1, 3) else 200, headers=headers)

    async with shop(busy) as url, api_of(url) as api:
        status, _, headers = await ask(url, "/integrations/shop/call/", CALL)
        assert (status, headers["Retry-After"]) == (429, "0")
        for expected in (2, 4):
            (one,) = await api.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}])
            assert one.api_data == expected


async def test_429_and_retry_after() -> None:
    times: list[float] = []

    async def busy(request: web.Request) -> web.StreamResponse:
        times.append(time.monotonic())
        if len(times) == 1:
            headers = {"Retry-After": "1"} if request.path == "/told" else {}
            return web.json_response({"why": "slow down"}, status=429, headers=headers)
        return web.json_response({"ok": True})

    async with shop(busy, "concurrency = 1") as url, api_of(url) as api:
        status, found, headers = await ask(url, "/integrations/shop/call/", {**CALL, "endpoint": "/told"})
        assert (status, headers["Retry-After"], found["api_data"]) == (429, "1", {"why": "slow down"})
        times.clear()
        items = [{"connection_id": 11}] * 3
        found = await api.integrations.parallel_call_async("shop", "GET", "/told", items)
        assert [one.api_response.status_code for one in found] == [200] * 3
        assert len(times) == 4 and times[1] - times[0] > 0.9, "told to wait, the whole connection waits"
        times.clear()
        found = await api.integrations.parallel_call_async("shop", "POST", "/told", items)
        assert [one.api_response.status_code for one in found] == [429, 200, 200], "a write is not repeated"
        times.clear()
        found = await api.integrations.parallel_call_async("shop", "GET", "/", items)
        assert [one.api_response.status_code for one in found] == [429, 200, 200] and len(times) == 3


# Bounds.


async def test_rates_are_kept_for_each_connection() -> None:
    times: dict[str, list[float]] = {}

    async def note(request: web.Request) -> web.StreamResponse:
        times.setdefault(request.headers["Authorization"], []).append(time.monotonic())
        return web.json_response(1)

    async with shop(note, "rate_limit = 20") as url, api_of(url) as api, api_of(url, 2) as other:
        begun = time.monotonic()
        await asyncio.gather(
            api.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}] * 10),
            api.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 31}] * 10),
            other.integrations.parallel_call_async("shop", "GET", "/", [{"connection_id": 21}] * 10),
        )
        assert 0.4 < time.monotonic() - begun < 5
    assert len(times) == 3
    for one in times.values():
        assert len(one) == 10 and one[-1] - one[0] > 0.4


async def test_calls_in_flight_are_bounded_and_order_is_kept() -> None:
    running = most = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        number = int(request.path[1:])
        await asyncio.sleep(0.001 * (number * 7 % 5))
        running -= 1
        return web.json_response(number, status=500 if number % 100 == 99 else 200)

    async with shop(answer, "concurrency = 4") as url, api_of(url) as api:
        items = [{"connection_id": 11 if n % 2 else 31, "url_params": {"n": n}} for n in range(400)]
        found = await api.integrations.parallel_call_async("shop", "GET", "/{n}", items)
        assert [one.api_data for one in found] == list(range(400))
        assert sum(not one.api_response.ok for one in found) == 4
        assert 6 <= most <= 8
        seen: list[int] = []
        async for one in api.integrations.parallel_call_stream_async("shop", "GET", "/{n}", items):
            seen += [one["data"]] if "data" in one else []
            assert "data" not in one or one["data"] == one["index"]
        assert sorted(seen) == list(range(400)) != seen


# Writes that come again.


async def test_a_write_with_a_key_is_made_once() -> None:
    written = 0

    async def write(request: web.Request) -> web.StreamResponse:
        nonlocal written
        written += 1
        await asyncio.sleep(0.2)
        return web.json_response({"number": written})

    async with shop(write) as url, api_of(url) as api, api_of(url, 2) as other:
        call = api.integrations.call_async
        both = await asyncio.gather(*(call("shop", "POST", "/", json=1, idempotency_key="k") for _ in range(3)))
        assert [data for data, _ in both] == [{"number": 1}] * 3 and written == 1
        with pytest.raises(IntegrationError, match="came with another request before") as caught:
            await call("shop", "POST", "/", json=2, idempotency_key="k")
        assert caught.value.status == 422
        assert (await other.integrations.call_async("shop", "POST", "/", json=1, idempotency_key="k"))[0] == {
            "number": 2
        }
        with pytest.raises(TransportError):
            await call("shop", "POST", "/", json=3, idempotency_key="late", timeout=0.1)
        assert (await call("shop", "POST", "/", json=3, idempotency_key="late"))[0] == {"number": 3}
        assert written == 3, "the client that gave up did not stop the write, and got its answer later"


async def test_a_parallel_write_goes_on_where_it_was() -> None:
    written: list[str] = []

    async def write(request: web.Request) -> web.StreamResponse:
        written.append(request.path)
        await asyncio.sleep(0.2)
        return web.json_response(request.path)

    async with shop(write, "concurrency = 2") as url, api_of(url) as api:
        items = [{"connection_id": 11, "url_params": {"n": n}} for n in range(6)]
        arguments = ("shop", "POST", "/{n}", items)
        with pytest.raises(TransportError):
            await api.integrations.parallel_call_async(*arguments, idempotency_key="k", timeout=0.3)
        await asyncio.sleep(1)
        assert len(written) < 6, "what had not begun was not begun any more"
        found = await api.integrations.parallel_call_async(*arguments, idempotency_key="k")
        assert [one.api_data for one in found] == [f"/{n}" for n in range(6)]
        assert sorted(written) == [f"/{n}" for n in range(6)]


# Ends.


@pytest.mark.parametrize("way", ["call", "parallel", "stream"])
async def test_what_is_in_flight_ends_when_the_client_goes(way: str) -> None:
    begun, ended = 0, 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun, ended
        begun += 1
        await reader.read()  # until the platform closes
        ended += 1
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, platform(configured(address, "concurrency = 3")) as url, api_of(url) as api:
        made: dict[str, Callable[[Integrations], Awaitable[Any]]] = {
            "call": lambda it: it.call_async("shop"),
            "parallel": lambda it: it.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}] * 10),
            "stream": lambda it: it.parallel_call_stream_async("shop", "GET", "/", [{}] * 10, 11).__anext__(),
        }
        task = asyncio.ensure_future(made[way](api.integrations))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.wait({task})
        for _ in range(40):
            await asyncio.sleep(0.05)
            if ended == begun:
                break
        assert begun == ended == (1 if way == "call" else 3)


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrations, "ALIVE_SECONDS", 0.1)

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.json_response(1)

    async with shop(slow) as url, api_of(url) as api:
        stream = api.integrations.parallel_call_stream_async("shop", "GET", "/", [{}], 11, timeout=0.5)
        assert [one.get("data") for one in [item async for item in stream]] == [1, None]


@pytest.mark.parametrize("way", ["call", "parallel", "stream"])
async def test_a_fault_of_our_own_is_told(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    async def broken(self: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if way == "call" or count == 30:
            raise RuntimeError("secret thoughts")
        await asyncio.sleep(0)
        return Answer(200, {}, b"1", "http://p/")

    monkeypatch.setattr("automio.local.provider.Providers.call", broken)
    async with shop(echo) as url, api_of(url) as api:
        it = api.integrations
        with pytest.raises(StreamBroken if way == "stream" else IntegrationError) as caught:
            if way == "call":
                await it.call_async("shop", "POST")
            elif way == "parallel":
                await it.parallel_call_async("shop", "GET", "/", [{"connection_id": 11}] * 100)
            else:
                async for _ in it.parallel_call_stream_async("shop", "GET", "/", [{}] * 100, 11):
                    pass
        assert "secret thoughts" not in str(caught.value)
        if way != "stream":
            assert caught.value.status == 500


async def test_two_organizations_with_the_same_names_see_their_own() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0)
        return web.json_response({"who": request.headers["Authorization"].rpartition("-")[2]})

    async with shop(answer) as url, api_of(url) as one, api_of(url, 2) as two:

        async def hammer(api: API, who: str, own: int, others: int) -> None:
            it = api.integrations
            until = time.monotonic() + 2
            while time.monotonic() < until:
                assert (await it.call_async("shop", connection_id="main"))[0] == {"who": who}
                data, _ = await it.call_async("shop", "POST", idempotency_key="same", json=1)
                assert data == {"who": who}
                found = await it.parallel_call_for_connection_async("shop", "GET", "/", [{}] * 5, "main")
                assert {one.api_data["who"] for one in found} == {who}
                assert [one.id for one in await it.my_connections_async("shop")] == [own]
                with pytest.raises(IntegrationAccessDenied):
                    await it.call_async("shop", connection_id=others)

        await asyncio.gather(hammer(one, "one", 11, 21), hammer(two, "two", 21, 11))


# platform.toml.


@pytest.mark.parametrize(
    ("more", "extra", "message"),
    [
        ("rate_limit = 0", "", "`rate_limit` is a number above 0"),
        ("concurrency = 0", "", "`concurrency` is an integer"),
        ("timeout = 'x'", "", "`timeout` is a number above 0"),
        ("colour = 1", "", "unknown key `colour`"),
        ("", "[[integrations.connections]]\nname = 'a'\norganization = 1", "`id` is needed"),
        (
            "",
            "[[integrations.connections]]\nid = 11\nname = 'a'\norganization = 1",
            "declared twice in this integration",
        ),
        ("", "[[integrations.connections]]\nid = 12\nname = 'main'\norganization = 1", "two connections of this name"),
        ("", "[[integrations.connections]]\nid = 12\nname = 'a'", "`organization` is needed"),
        ("", "[[integrations.connections]]\nid = 12\nname = 'a'\norganization = 1\napps = ['x']", "`apps` is a list"),
        (
            "",
            "[[integrations.connections]]\nid = 12\nname = 'a'\norganization = 1\nheaders = { Host = 'sEcReT' }",
            "'Host' cannot be a header",
        ),
        (
            "",
            "[[integrations.connections]]\nid = 12\nname = 'a'\norganization = 1\n"
            "headers = { A = 'sEcReT' }\nheader_env = { a = 'NAME' }",
            "the header a is declared twice",
        ),
        (
            "",
            "[[integrations.connections]]\nid = 12\nname = 'a'\norganization = 1\nheader_env = { A = 'NAME' }",
            "the environment variable NAME is not set",
        ),
        ("", "[[integrations]]\nid = 'shop'\nbase_url = 'http://x'", "is declared twice"),
        ("", "[[integrations]]\nid = 'b'\nbase_url = 'http://u:p@x'", "holds no user name"),
        ("", "[[integrations]]\nid = 'b'\nbase_url = 'ftp://x'", "`base_url` is needed"),
        ("", "[[integrations]]\nid = 'a/b'\nbase_url = 'http://x'", "holds no slash"),
        ("", "[[integrations]]\nbase_url = 'http://x'", "`id` is needed"),
    ],
)
def test_faults_have_their_place(more: str, extra: str, message: str) -> None:
    from automio.errors import ConfigError

    with pytest.raises(ConfigError, match=message) as caught:
        configured("http://127.0.0.1:1", more, extra)
    first = str(caught.value).splitlines()[0]
    line = int(first.split(":")[1])
    source = (configured.__doc__ or "") and line
    assert source > 13 and "sEcReT" not in str(caught.value) and "secret-of" not in str(caught.value)
    if extra.startswith("[[integrations.connections]]"):
        assert line >= 36, "the place is that of the connection at fault, not of the first one"
