"""Two organizations at the same platform at the same time, with the same names for everything: neither sees the other's."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from automio.wrapper import API

SECONDS = float(os.environ.get("AUTOMIO_HAMMER_SECONDS", "2"))


async def hammer(api: API, url: str, mine: str, end: float) -> int:
    """Writes and reads under the same names as the other one, until `end`; how many rounds."""
    rounds = 0
    headers = {"Authorization": f"Bearer {mine}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while time.monotonic() < end:
            rounds += 1
            value = {"of": mine, "round": rounds}
            await api.app_cache.set_async("same", value, ttl=60, tags=["tag"])
            await api.user_cache.set_async("same", value)
            await api.task.set_progress_async(rounds % 100, mine)
            found = await asyncio.gather(
                api.app_cache.get_async("same", value),
                api.user_cache.get_async("same"),
                api.app_cache.get_or_set_async("made", lambda: mine, ttl=60),
                api.plugins.invoke_async("prices.foo", "allegro_sandbox", connection_ids=[rounds]),
            )
            assert [found[0]["of"], found[1]["of"], found[2], found[3][0]] == [mine] * 4
            async with session.get(f"{url}/set-progress/same/") as answer:
                assert (await answer.json())["info"] == mine
            if rounds % 5 == 0:
                await api.app_cache.delete_tag_async("tag")
                await api.app_cache.delete_async("made")
                await api.notify_me_async(mine, mine)
            assert await api.app_cache.increment_async("count") == rounds
    return rounds


async def test_two_organizations_see_nothing_of_each_other(
    local: Any, api_of: Callable[..., API], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    apis = {token: api_of(token, task_id="same") for token in ("one", "two")}
    for api in apis.values():
        await api.app_cache.delete_async("count")
    end = time.monotonic() + SECONDS
    rounds = await asyncio.gather(*(hammer(api, local.url, token, end) for token, api in apis.items()))
    assert min(rounds) > 3
    for token in apis:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"App-Token {token}"}) as session,
            session.get(f"{local.url}/api/notifications/") as answer,
        ):
            subjects = {one["subject"] for one in (await answer.json())["results"]}
        assert {"one": "two", "two": "one"}[token] not in subjects
