"""notify_me on a real local platform, and what refuses it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from email import policy
from email.parser import BytesParser
from typing import Any

import pytest
from aiohttp import web

from automio.errors import ConfigError, NotificationError, RequestTimeout
from automio.wrapper import API

Make = Callable[..., API]


def inbox(url: str, token: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/api/notifications/", headers={"Authorization": f"App-Token {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["results"]


def test_it_lies_in_the_inbox_of_its_organization(api_of: Make, local: Any) -> None:
    api_of().notify_me(
        subject="API Process Completed\r\nBcc: x@example.com",
        text="Successfully processed 1000 records ✓\nsecond line",
        html="<h1>Success!</h1>",
    )
    api_of("two").notify_me("of another", "organization")
    [found] = inbox(local.url, "one")
    assert found["subject"] == "API Process Completed Bcc: x@example.com", "no other header begins in it"
    assert found["text"].splitlines() == ["Successfully processed 1000 records ✓", "second line"]
    assert found["html"].strip() == "<h1>Success!</h1>"
    [file] = (local.folder / ".automio" / "notifications" / "1").iterdir()
    message = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
    assert message["Subject"] == found["subject"] and message["Bcc"] is None
    assert [one["subject"] for one in inbox(local.url, "two")] == ["of another"]


async def test_async_twin(api_of: Make, local: Any) -> None:
    await api_of("many").notify_me_async("async", "text")
    import asyncio

    assert [one["html"] for one in await asyncio.to_thread(inbox, local.url, "many")] == [None]


def test_refusals_are_raised(api_of: Make) -> None:
    """Defect p: the error's text was returned."""
    with pytest.raises(NotificationError, match=r"status 401") as refused:
        api_of("nobody").notify_me("s", "t")
    assert refused.value.status == 401 and "nobody" not in str(refused.value)
    with pytest.raises(NotificationError, match="more than 500 bytes"):
        api_of().notify_me("s" * 501, "t")
    with pytest.raises(NotificationError, match="more than 1000000 bytes"):
        api_of().notify_me("s", "t" * 1_000_001)
    with pytest.raises(NotificationError, match="text is a text"):
        api_of().notify_me("s", None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotificationError, match="needs a subject"):
        api_of().notify_me(" ", "t")
    with pytest.raises(ConfigError, match="APP_TOKEN is not set"):
        api_of(app_token=None).notify_me("s", "t")


async def test_it_is_sent_once(serve: Any) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, dict(request.headers), await request.json()))
        if len(seen) == 1:
            return web.json_response({"detail": "later"}, status=503)
        raise AssertionError("sent twice")

    async with serve(handler) as url, API(api_base_url=url, app_token="t", app_id=None, timeout=5) as api:
        with pytest.raises(NotificationError, match=r"status 503\): later"):
            await api.notify_me_async("s", "t", "h")
    [(path, headers, body)] = seen
    assert path == "/api/integrations/mailer/notify-me/"
    assert body == {"subject": "s", "text": "t", "html": "h"}
    assert headers["Authorization"] == "App-Token t" and "X-App-Id" not in headers, "defect f: no header of None"


async def test_silence_is_told(serve: Any) -> None:
    import asyncio

    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        raise AssertionError

    async with serve(handler) as url, API(api_base_url=url, app_token="t", timeout=0.3) as api:
        with pytest.raises(RequestTimeout):
            await api.notify_me_async("s", "t")
