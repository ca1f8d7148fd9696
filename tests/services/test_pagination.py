"""paginate: how lists of providers go on, and that none ends in silence."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from automio.errors import IntegrationError
from automio.services.pagination import Cursor, Links, Offset, Pages, moved, next_link
from automio.wrapper import API

ITEMS = list(range(23))


def answer(data: Any, url: str = "http://p/base/items", status: int = 200, **headers: str) -> web.Response:
    response = {"status_code": status, "text": "t", "headers": headers, "url": url, "ok": status < 400}
    return web.json_response({"api_data": data, "api_response": response}, status=status)


async def pages(serve: Any, provider: Any, by: Any, **more: Any) -> tuple[list[Any], list[Any]]:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        seen.append((body["endpoint"], body["request_params"]))
        return provider(body["endpoint"], body["request_params"])

    async with serve(handler) as url, API(api_base_url=url, app_token="t", hasura_graphql_endpoint=None) as api:
        found = [item async for item in api.integrations.paginate_async("x", "/items", by, **more)]
        count = len(seen)
        assert await asyncio.to_thread(lambda: list(api.integrations.paginate("x", "/items", by, **more))) == found
    return found, seen[:count]


@pytest.mark.parametrize("most", [100, 7], ids=["as asked", "the provider cuts the limit"])
async def test_offset(serve: Any, most: int) -> None:
    def provider(endpoint: str, params: Any) -> web.Response:
        size = min(params["limit"], most)
        return answer({"offers": ITEMS[params["offset"] :][:size], "totalCount": 23})

    found, seen = await pages(serve, provider, Offset(10), params={"q": "a"})
    assert found == ITEMS
    assert seen[0] == ("/items", {"q": "a", "limit": 10, "offset": 0}) and seen[-1][1]["offset"] == 23
    found, fewer = await pages(serve, provider, Offset(10, total="totalCount"), items="offers")
    assert found == ITEMS and len(fewer) == len(seen) - 1


async def test_pages(serve: Any) -> None:
    def provider(endpoint: str, params: Any) -> web.Response:
        return answer(ITEMS[(params["p"] - 1) * 5 :][:5])

    found, seen = await pages(serve, provider, Pages(page_name="p"))
    assert found == ITEMS and [params for _, params in seen] == [{"p": n} for n in range(1, 7)]


async def test_cursor(serve: Any) -> None:
    def provider(endpoint: str, params: Any) -> web.Response:
        start = int(params.get("after", 0))
        after = str(start + 10) if start + 10 < 23 else None
        return answer({"items": ITEMS[start : start + 10], "meta": {"next": after}})

    found, seen = await pages(serve, provider, Cursor("meta.next", "after"))
    assert found == ITEMS and [params for _, params in seen] == [{}, {"after": "10"}, {"after": "20"}]


@pytest.mark.parametrize("path", ["/items", "/more/items"])
async def test_links(serve: Any, path: str) -> None:
    def provider(endpoint: str, params: Any) -> web.Response:
        start = int(params.get("from", 0))
        url = f"http://p/base{endpoint}?{urlencode(params)}"
        more = f'</base{path}?from={start + 10}&q=%C3%BC>; rel="next", <http://p/last>; rel=last'
        return answer(ITEMS[start : start + 10], url, link=more if start < 20 else '<http://p/>; rel="prev"')

    found, seen = await pages(serve, provider, Links(), params={"q": "ü"})
    assert found == ITEMS
    assert seen == [("/items", {"q": "ü"}), (path, {"from": "10", "q": "ü"}), (path, {"from": "20", "q": "ü"})]


WRONG: list[tuple[Any, Any, str]] = [
    (lambda e, p: answer(None, status=500), Offset(), r"refused by the provider \(status 500\)"),
    (lambda e, p: answer({"a": 1}), Offset(), "no single list"),
    (lambda e, p: answer({"a": [], "b": []}), Offset(), "no single list"),
    (lambda e, p: answer({"items": [1], "next": "same"}), Cursor("next"), "leads to itself"),
    (lambda e, p: answer([1] if p else {"items": [1], "m": {"next": [1]}}), Cursor("m.next"), "is no cursor"),
    (lambda e, p: answer([1], link="<https://elsewhere/items?a=1>; rel=next"), Links(), "on another server"),
    (lambda e, p: answer([1], link="</other/items?a=1>; rel=next"), Links(), "outside of the integration"),
]


@pytest.mark.parametrize(("provider", "by", "message"), WRONG, ids=[message for _, _, message in WRONG])
async def test_a_list_does_not_end_in_silence(serve: Any, provider: Any, by: Any, message: str) -> None:
    with pytest.raises(IntegrationError, match=message):
        await pages(serve, provider, by)


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ("", None),
        ("<a>; rel=prev", None),
        ("<a>; rel=next", "a"),
        ('<a>; title="x, y"; rel="prev next", <b>; rel=next', "a"),
        ('<b>; rel="last", <a?x=1,2;3>;rel="next"', "a?x=1,2;3"),
        ("<a>; REL=NEXT", "a"),
    ],
)
def test_links_are_read(header: str, link: str | None) -> None:
    assert next_link(header) == link


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    next_link(header)


def test_moving() -> None:
    assert moved("/a b", "/base/a%20b -> /base/c") == "/c"
    assert dict(parse_qsl("")) == {}
