"""Requests of the companions on a real socket: what is repeated, what is raised, how streams are read."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from automio.errors import ConnectError, ProtocolError, RequestTimeout, TransportError
from automio.runtime.call import Repeat
from automio.services.rest import Rest, segment


def rest(url: str, seconds: float = 5) -> Rest:
    return Rest(f"{url}/api", {"Authorization": "App-Token secret"}, seconds)


async def test_a_request_and_its_answer(serve: Any) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, dict(request.headers), await request.json()))
        return web.json_response({"a": 1}, status=201)

    async with serve(handler) as url:
        client = rest(url)
        reply = await client.request(
            "POST", "/x/", source="test", params={"b": "ü&=", "none": None}, json={"c": [1]}, headers={"X-App-Id": "1"}
        )
        await client.close()
    assert (reply.status, reply.ok, reply.json()) == (201, True, {"a": 1})
    ((method, path, headers, body),) = seen
    assert (method, path, body) == ("POST", "/api/x/?b=%C3%BC%26%3D", {"c": [1]})
    assert headers["Authorization"] == "App-Token secret" and headers["X-App-Id"] == "1"
    assert headers["User-Agent"].startswith("automio/")


@pytest.mark.parametrize(
    ("method", "repeat", "attempts"),
    [
        ("GET", Repeat.WHEN_SAFE, 3),
        ("GET", Repeat.NEVER, 1),
        ("POST", Repeat.WHEN_SAFE, 1),
        ("POST", Repeat.ALWAYS, 3),
    ],
)
async def test_busy_answers_are_asked_again_where_that_is_safe(
    serve: Any, method: str, repeat: Repeat, attempts: int
) -> None:
    seen = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        return web.json_response({"detail": "later"}, status=503, headers={"Retry-After": "0"})

    async with serve(handler) as url:
        client = rest(url)
        reply = await client.request(method, "/", source="test", repeat=repeat)
        await client.close()
    assert (reply.status, reply.detail(), seen) == (503, "later", attempts)


@pytest.mark.parametrize(("repeat", "attempts"), [(Repeat.NEVER, 1), (Repeat.WHEN_SAFE, 3)])
async def test_a_pooled_connection_that_breaks_is_one_attempt(serve: Any, repeat: Repeat, attempts: int) -> None:
    """aiohttp sends a GET again by itself, in silence."""
    seen = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal seen
        if "bad" in request.path:
            seen += 1
            request.transport.abort()  # pyright: ignore
        return web.json_response(1)

    async with serve(handler) as url:
        client = rest(url)
        assert (await client.request("GET", "/good", source="test")).json() == 1
        with pytest.raises(TransportError, match="broke before the answer came"):
            await client.request("GET", "/bad", source="test", repeat=repeat)
        await client.close()
    assert seen == attempts


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_other_statuses_are_asked_once(serve: Any, status: int) -> None:
    seen = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        return web.Response(status=status, text="<html>no</html>", content_type="text/html")

    async with serve(handler) as url:
        client = rest(url)
        reply = await client.request("GET", "/", source="test")
        await client.close()
    assert (reply.status, reply.detail(), seen) == (status, "", 1)
    with pytest.raises(ProtocolError, match=rf"test: the answer \(status {status}, text/html.*is not JSON"):
        reply.json()


async def test_failures_have_their_classes(serve: Any, unused_tcp_port: int) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with serve(slow) as url:
        client = rest(url, 0.1)
        with pytest.raises(RequestTimeout, match="test: no answer within"):
            await client.request("POST", "/", source="test")
        await client.close()
        with pytest.raises(TransportError, match="closed, nothing was sent"):
            await client.request("GET", "/", source="test")
    client = rest(f"http://127.0.0.1:{unused_tcp_port}", 0.5)
    with pytest.raises(ConnectError, match="was not reached"):
        await client.request("POST", "/", source="test", repeat=Repeat.NEVER)
    with pytest.raises(TransportError, match="cannot be written as JSON") as fault:
        await client.request("POST", "/", source="test", json={"a": object()})
    assert not fault.value.sent
    await client.close()


async def test_a_redirect_is_an_answer(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/elsewhere")

    async with serve(handler) as url:
        client = rest(url)
        assert (await client.request("GET", "/", source="test")).status == 302
        await client.close()


async def test_lines_of_a_stream_arrive_one_by_one(serve: Any) -> None:
    read = asyncio.Event()
    wanted = ["", "zażółć", "x" * 300_000, "end"]

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\r\n")
        await read.wait()
        text = "\n".join(wanted).encode()
        for start in range(0, len(text), 7001):
            await response.write(text[start : start + 7001])
        return response

    async with serve(handler) as url:
        client = rest(url)
        found: list[str] = []
        async with client.stream("POST", "/", source="test", json={}) as (status, lines):
            assert status == 200
            async for line in lines:
                found.append(line.decode())
                read.set()
        await client.close()
    assert found == ["first", *wanted]


async def test_a_stream_that_breaks_or_falls_silent_is_told(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"one\ntwo\n")
        if "silent" in request.query:
            await asyncio.sleep(5)
        request.transport.abort()  # pyright: ignore
        return response

    async with serve(handler) as url:
        client = rest(url)
        for params, error in (({}, TransportError), ({"silent": 1}, RequestTimeout)):
            found: list[bytes] = []
            with pytest.raises(error):
                async with client.stream("GET", "/", source="test", params=params, silence=0.2) as (_, lines):
                    async for line in lines:
                        found.append(line)
            assert found == [b"one", b"two"]
        await client.close()


async def test_an_error_of_the_reader_is_its_own(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="a\nb\n")

    async with serve(handler) as url:
        client = rest(url)
        with pytest.raises(OSError, match="mine"):
            async with client.stream("GET", "/", source="test") as (_, lines):
                async for _line in lines:
                    raise OSError("mine")
        await client.close()


@given(st.text(min_size=1))
def test_a_segment_is_one_segment(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    made = segment(text)
    assert "/" not in made and "?" not in made and "#" not in made and made not in (".", "..")
    assert unquote(made) == text


async def test_multipart_goes_once(serve: Any) -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        data = await request.post()
        seen.extend((name, str(value)) for name, value in data.items())
        return web.Response(status=503)

    async with serve(handler) as url:
        client = rest(url)
        form = aiohttp.FormData()
        form.add_field("method", "POST")
        reply = await client.request("POST", "/", source="test", data=form, repeat=Repeat.ALWAYS)
        await client.close()
    assert reply.status == 503 and seen == [("method", "POST")]
