"""Whatever a provider sends, the caller gets a value, and the other calls of the same request keep theirs.

The provider is bytes on a socket, so that it can say what no HTTP library says. docs/reliability.md is the table of this file.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from encodings.aliases import aliases
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from automio.wrapper import API

from .providers import configured, platform, shop


def answer_of(body: bytes, kind: str = "application/json", status: str = "200 OK", more: str = "") -> bytes:
    """A whole HTTP answer."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode("latin-1")
        + body
    )


GIVEN: dict[str, Any] = {"app_token": "token-1", "app_id": None, "hasura_graphql_endpoint": None, "timeout": 10.0}
GOOD = answer_of(b'{"good": true}')


class Bytes(NamedTuple):
    """What the provider says to /bad, and whether it breaks the connection then, or waits so many seconds."""

    said: bytes
    abort: bool = False
    seconds: float = 0


class Speaking:
    """A provider that says `bad` to /bad and a good answer to everything else; `came` are the requests."""

    def __init__(self) -> None:
        self.bad = Bytes(b"")
        self.came: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.came.append(head.split()[1])
                lines = head.lower().split("\r\n")
                await reader.readexactly(
                    next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
                )
                bad = self.bad if self.came[-1] == "/bad" else Bytes(GOOD)
                writer.write(bad.said)
                await writer.drain()
                await asyncio.sleep(bad.seconds)
                if bad.abort:
                    writer.transport.abort()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def speaking() -> AsyncIterator[tuple[API, Speaking]]:
    """A client of a platform before such a provider."""
    provider = Speaking()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, platform(configured(address, "timeout = 0.3")) as url, API(api_base_url=url, **GIVEN) as api:
        yield api, provider


async def ways(api: API) -> list[tuple[Any, Any]]:
    """The answer of /bad by a call, a parallel call and a stream; its neighbours in the latter two must be good."""
    it = api.integrations
    found = [await it.call_async("shop", "POST", "/bad", 11)]
    items = [{"connection_id": 11, "url_params": {"p": path}} for path in ("good", "bad", "good")]
    three = await it.parallel_call_async("shop", "POST", "/{p}", items)
    assert [one.api_data for one in three[::2]] == [{"good": True}] * 2
    found.append((three[1].api_data, three[1].api_response))
    streamed = [one async for one in it.parallel_call_stream_async("shop", "POST", "/{p}", items)]
    assert streamed.pop() == {"final": True, "total_processed": 3}
    by_place = sorted(streamed, key=lambda one: one["index"])
    assert [one["data"] for one in by_place[::2]] == [{"good": True}] * 2
    found.append((by_place[1]["data"], by_place[1]["response"]))
    return found


BROKE = "the connection to the provider broke before its answer was complete"
FAULTS: dict[str, tuple[Bytes, int, Any]] = {
    "closed at once": (Bytes(b"", abort=True), 502, BROKE),
    "half of a body": (Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", abort=True), 502, BROKE),
    "half of a head": (Bytes(b"HTTP/1.1 200 OK\r\nContent-Le", abort=True), 502, BROKE),
    "half of a chunk": (Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", abort=True), 502, BROKE),
    "a chunk that is none": (Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"), 502, BROKE),
    "a head that comes too late": (Bytes(b"", seconds=2), 504, "the provider did not answer within 0.3 s"),
    "a body that comes too late": (
        Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", seconds=2),
        504,
        "the provider did not answer within 0.3 s",
    ),
    "no HTTP": (Bytes(b"\x00\x01SSH-2.0\r\n\r\n"), 502, BROKE),
    "a head without end": (Bytes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), 502, BROKE),
    "gzip that is none": (Bytes(answer_of(b"{}", more="Content-Encoding: gzip\r\n")), 502, BROKE),
    "gzip that is cut": (
        Bytes(answer_of(gzip.compress(b"[1]" * 999)[:-9], more="Content-Encoding: gzip\r\n")),
        200,
        None,
    ),
    "a status of its own": (Bytes(answer_of(b'{"why": 1}', status="999 Denied")), 999, {"why": 1}),
    "a status 600": (Bytes(answer_of(b'{"why": 1}', status="600 X")), 600, {"why": 1}),
    "500": (Bytes(answer_of(b'{"why": 1}', status="500 Oh")), 500, {"why": 1}),
    "a page for 500": (Bytes(answer_of(b"<h1>no</h1>", "text/html", "500 Oh")), 500, "<h1>no</h1>"),
    "429": (Bytes(answer_of(b'{"why": 1}', status="429 Slow")), 429, {"why": 1}),
    "JSON that is cut": (Bytes(answer_of(b'{"a": [1')), 200, None),
    "JSON that is a page": (Bytes(answer_of(b"<html>")), 200, None),
    "nothing as JSON": (Bytes(answer_of(b"")), 200, None),
    "a number that JSON has not": (Bytes(answer_of(b'{"a": NaN}')), 200, None),
    "JSON behind a mark": (Bytes(answer_of(b'\xef\xbb\xbf{"a": 1}')), 200, {"a": 1}),
    "half of a character": (Bytes(answer_of(b'{"a": "\\ud800"}')), 200, None),
    "deep JSON": (Bytes(answer_of(b"[" * 5000 + b"]" * 5000)), 200, None),
    "a number without end": (Bytes(answer_of(b"1" * 10_000)), 200, None),
    "bytes as JSON": (Bytes(answer_of(b'{"a": "\xff"}')), 200, {"a": "\ufffd"}),
}


async def test_whatever_a_provider_sends_is_a_value() -> None:
    async with speaking() as (api, provider):
        for name, (bad, status, data) in FAULTS.items():
            provider.bad = bad
            provider.came.clear()
            for found, response in await ways(api):
                assert (response.status_code, response.ok, found) == (status, status < 400, data), name
            assert provider.came.count("/bad") == 3, f"{name}: a write is sent once"


CHARSETS = sorted(
    {*aliases, *aliases.values(), "undefined", "idna", "punycode", "nonsense", "utf-8; x", "\xfc", '"', ""}
)


async def test_whatever_charset_is_named_is_a_value() -> None:
    """Python's own list, which has codecs that are no charset, and some that refuse every text."""
    kinds = [f"{kind}; charset={charset}" for charset in CHARSETS for kind in ("application/json", "text/plain")]

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kinds[int(request.path[1:])]})
        await response.prepare(request)
        await response.write(b'{"a": "\xc4\x85\xff"}')
        return response

    async with shop(answer) as url, API(api_base_url=url, **GIVEN) as api:
        items = [{"connection_id": 11, "url_params": {"n": n}} for n in range(len(kinds))]
        found = await api.integrations.parallel_call_async("shop", "POST", "/{n}", items)
        assert [kind for kind, one in zip(kinds, found, strict=True) if not one.api_response.ok] == []
        plain = kinds.index("text/plain; charset=undefined")
        assert found[plain].api_data == '{"a": "\u0105\ufffd"}'
        data, _ = await api.integrations.call_async("shop", "POST", f"/{plain - 1}", 11)
        assert data == {"a": "\u0105\ufffd"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
async def test_no_write_is_sent_again_when_its_connection_breaks(method: str) -> None:
    """The connection was good before, as one out of a pool is: HTTP clients like to take another one then."""
    async with speaking() as (api, provider):
        provider.bad = Bytes(b"", abort=True)
        for _ in range(3):
            data, _ = await api.integrations.call_async("shop", method, "/good", 11)
            assert data == {"good": True}
            data, response = await api.integrations.call_async("shop", method, "/bad", 11)
            assert (response.status_code, data) == (502, BROKE)
    assert provider.came == ["/good", "/bad"] * 3


async def test_a_read_takes_a_new_connection_when_the_pooled_one_breaks() -> None:
    async with speaking() as (api, provider):
        provider.bad = Bytes(b"", abort=True)
        items = [{"connection_id": 11, "url_params": {"p": path}} for path in ("good", "bad")]
        found = await api.integrations.parallel_call_async("shop", "GET", "/{p}", items)
        assert [one.api_response.status_code for one in found] == [200, 502]
    assert provider.came.count("/bad") == 2
