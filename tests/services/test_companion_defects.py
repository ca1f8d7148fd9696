"""What the published client does wrong in caches, tasks, notifications and plugins, and ours must not (letters: its list).

a, b: whose values (test_cache.py); c: keys; d: settings at two times; f: "None" on the wire; j: errors as values; k: no cache, no
attribute; o: plugins (test_plugins.py); p: notify_me (test_notifications.py); v: effects of an import; x: endless values.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web

from automio.errors import CacheError, CacheUnavailable, ConfigError, TaskError
from automio.wrapper import API

Make = Callable[..., API]


@pytest.mark.parametrize(
    "key", ["../../api/integrations", "..", ".", "a?b", "a#b", "a/b", "a%2Fb", "/", " ", "a\tb", "%"]
)
async def test_c_a_key_stays_in_its_path(serve: Any, api_of: Make, key: str) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.raw_path.partition("?")[0])
        return web.json_response({"key": key, "value": 1, "exists": True, "ttl": None})

    async with (
        serve(handler) as url,
        API(app_token="t", app_id=1, cache_service_url=url, cache_service_token="t") as api,
    ):
        assert await api.app_cache.get_async(key) == 1
    [path] = seen
    assert path.startswith("/get/") and path.count("/") == 3 and "#" not in path
    real = api_of()
    await real.app_cache.set_async(key, key)
    await real.app_cache.set_async(f"{key} another", "x")
    assert await real.app_cache.get_async(key) == key
    assert await real.app_cache.delete_async(key)


async def test_d_settings_are_those_of_one_moment(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.headers["Authorization"], request.headers.get("X-App-Id")))
        if request.path.startswith("/get/"):
            return web.json_response({"key": "k", "value": request.query["app_id"], "exists": True, "ttl": None})
        return web.json_response([] if "plugins" in request.path else {"success": True})

    async with serve(handler) as url:
        for name, value in {"API_BASE_URL": url, "APP_TOKEN": "one", "APP_ID": "1", "CACHE_SERVICE_URL": url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CACHE_SERVICE_TOKEN", "cache-one")
        async with API() as api:
            for name in ("APP_TOKEN", "CACHE_SERVICE_TOKEN"):
                monkeypatch.setenv(name, "two")
            monkeypatch.setenv("APP_ID", "2")
            monkeypatch.setenv("API_BASE_URL", "http://127.0.0.1:9")
            assert await api.app_cache.get_async("k") == "1"
            await api.task.set_progress_async(1)
            await api.notify_me_async("s", "t")
            await api.plugins.get_list_async("n")
    assert {authorization for _, authorization, _ in seen} == {"App-Token one", "Bearer cache-one"}
    assert {app for path, _, app in seen if path.startswith("/api/")} == {"1"}


async def test_f_what_is_unset_is_never_sent_as_none(serve: Any) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.raw_path} {dict(request.headers)}")
        return web.json_response({"key": "k", "value": 1, "exists": True, "ttl": None, "success": True})

    async with serve(handler) as url:
        async with API(cache_service_url=url, api_base_url=url, app_token=None, organization_id=1, app_id=1) as api:
            for call in (
                lambda: api.app_cache.get_async("k"),
                lambda: api.task.set_progress_async(1),
                lambda: api.notify_me_async("s", "t"),
                lambda: api.plugins.get_list_async("n"),
            ):
                with pytest.raises(ConfigError, match="TOKEN is not set"):
                    await call()
        assert seen == []
        async with API(cache_service_url=url, cache_service_token="c", app_token="t") as api:
            await api.user_cache.get_async("k")
            await api.task.set_progress_async(1)
            with pytest.raises(ConfigError, match="APP_ID is not set"):
                await api.app_cache.get_async("k")
    assert len(seen) == 2 and "None" not in "".join(seen)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"error": "no"}', CacheUnavailable),
        (404, b'{"value": 5, "exists": true}', CacheError),
        (500, b"<html>", CacheUnavailable),
        (200, b"<html>", CacheError),
        (200, b'{"detail": "x"}', CacheError),
        (200, b"[1]", CacheError),
    ],
)
async def test_j_an_error_is_no_value(serve: Any, status: int, body: bytes, error: type[Exception]) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    async with (
        serve(handler) as url,
        API(cache_service_url=url, cache_service_token="t", app_token="t", app_id=1) as api,
    ):
        with pytest.raises(error):
            await api.app_cache.get_async("k")
        with pytest.raises(error):
            await api.app_cache.set_async("k", 1)


async def test_j_a_refused_progress_is_told(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "no such task"}, status=404)

    async with serve(handler) as url, API(cache_service_url=url, cache_service_token="t") as api:
        with pytest.raises(TaskError, match=r"status 404\): no such task"):
            await api.task.set_progress_async(1)


def test_k_the_services_are_there_without_a_back_end() -> None:
    with API(app_token="t", app_id=1, cache_service_url=None, redis_host="127.0.0.1", redis_port=9) as api:
        for call in (
            lambda: api.app_cache.get("k"),
            lambda: api.user_cache.set("k", 1),
            lambda: api.app_cache.delete("k"),
        ):
            with pytest.raises(CacheUnavailable):
                call()
        assert api.task.id


def test_v_an_import_does_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_TOKEN=from-the-file\n")
    code = """
import logging, os, sys, threading
before, hooks, signals = dict(os.environ), list(sys.meta_path), __import__("signal").getsignal(15)
import automio, automio.wrapper
from automio.services import cache, notifications, plugin_modules, plugins, progress, tasks
assert dict(os.environ) == before and sys.meta_path == hooks and __import__("signal").getsignal(15) is signals
assert not logging.getLogger().handlers and threading.active_count() == 1
api = automio.wrapper.API(app_id=1)
assert threading.active_count() == 1 and api.settings.app_token == "from-the-file" and "APP_TOKEN" not in os.environ
api.close()
assert sys.meta_path == hooks
"""
    environment = {"PYTHONPATH": str(root), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_x_nothing_is_kept_for_ever_by_mistake(api_of: Make, local: Any) -> None:
    api = api_of(task_id="ends")
    with pytest.raises(CacheError, match="a time to live"):
        api.app_cache.set("k", 1, ttl=0)
    api.task.set_progress(1)
    api.task.checkpoint("ends").set(1)
    conf = (local.folder / ".automio" / "valkey" / "valkey.conf").read_text()
    words = dict(line.replace('"', "").split(" ", 1) for line in conf.splitlines())
    with redis.Redis(unix_socket_path=words["unixsocket"], password=words["requirepass"]) as client:
        names = [name for name in client.scan_iter() if name.endswith(b":ends")]
        assert len(names) == 2 and all(0 < client.ttl(name) <= 7 * 86400 for name in names)
    api.task.checkpoint("ends").clear()
