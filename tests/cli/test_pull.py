"""`automio pull` against real HTTP servers: good ones, and all kinds of bad ones."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from graphql import build_schema

from automio.cli.endpoint import find_endpoint
from automio.errors import ConfigError

from .conftest import SDL, Run, Served, introspect

SECRET = "a-very-secret-value"


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_from_a_hasura_endpoint(automio_process: Run, server: Served, tmp_path: Path) -> None:
    env = {"HASURA_GRAPHQL_ENDPOINT": server.url, "HASURA_GRAPHQL_ADMIN_SECRET": SECRET}
    done = automio_process("pull", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote schema/app_130/common.graphql",
        "wrote schema/app_130/messages.graphql",
        "wrote schema/app_130/orders.graphql",
        f"{server.url}/v1/graphql: 2 tables; 3 files: 3 written, 0 unchanged, 0 removed",
    ]
    path, headers, body = server.seen[0]
    assert (path, headers["x-hasura-admin-secret"]) == ("/v1/graphql", SECRET)
    assert "x-hasura-role" not in headers
    assert "__schema" in body["query"]
    build_schema("\n".join(tree(tmp_path / "schema").values()))


def test_again_and_after_a_change(automio: Run, server: Served, tmp_path: Path) -> None:
    env = {"HASURA_GRAPHQL_ENDPOINT": f"{server.url}/v1/graphql"}
    automio("pull", env=env)
    first = tree(tmp_path)
    again = automio("pull", env=env)
    assert again.stdout.splitlines() == [
        f"{server.url}/v1/graphql: 2 tables; 3 files: 0 written, 3 unchanged, 0 removed"
    ]
    assert tree(tmp_path) == first
    server.answer(SDL.replace("type app_130_messages {", "type app_130_messages { read: Boolean "))
    changed = automio("pull", env=env)
    assert changed.stdout.splitlines()[0] == "wrote schema/app_130/messages.graphql"
    assert {path for path, text in tree(tmp_path).items() if first.get(path) != text} == {
        "schema/app_130/messages.graphql"
    }


def test_through_the_gateway_with_dotenv(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"API_BASE_URL={server.url}/\nexport APP_TOKEN='{SECRET}'\nAPP_ID=130 # the sample\n"
    )
    done = automio("pull", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert (report["apps"], report["tables"], len(report["written"])) == ([130], 2, 3)
    path, headers, _ = server.seen[0]
    assert (path, headers["authorization"]) == ("/api/apps/graphql/?app=130&table=", f"App-Token {SECRET}")
    assert SECRET not in done.stdout + done.stderr


def test_role_app_schema_options(automio: Run, server: Served, tmp_path: Path) -> None:
    done = automio("pull", "--endpoint", server.url, "--role", "user", "--app", "130", "--schema", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert server.seen[0][1]["x-hasura-role"] == "user"
    assert sorted(tree(tmp_path)) == [f"elsewhere/app_130/{name}.graphql" for name in ("common", "messages", "orders")]


def test_the_folder_of_codegen_toml(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / "codegen.toml").write_text('schema = "sdl"\n')
    assert automio("pull", "--endpoint", server.url).returncode == 0
    assert (tmp_path / "sdl/app_130/orders.graphql").is_file()


def test_a_broken_codegen_toml(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / "codegen.toml").write_text('shema = "sdl"\n')
    done = automio("pull", "--endpoint", server.url)
    assert done.returncode == 2
    assert done.stderr.startswith("codegen.toml:1:1: unknown key `shema`")
    assert server.seen == []


def test_an_app_that_is_not_there(automio: Run, server: Served, tmp_path: Path) -> None:
    done = automio("pull", "--endpoint", server.url, "--app", "131")
    assert done.returncode == 2
    assert "shows no table of app 131; apps with tables there: 130" in done.stderr
    assert tree(tmp_path) == {}


def test_a_pull_of_another_app_beside_the_first(automio: Run, server: Served, tmp_path: Path) -> None:
    assert automio("pull", "--endpoint", server.url, "--app", "130").returncode == 0
    before = tree(tmp_path)
    server.answer(SDL.replace("app_130_", "app_131_"))
    done = automio("pull", "--endpoint", server.url, "--app", "131")
    assert done.returncode == 2
    assert "common.graphql is from an earlier pull of other apps" in done.stderr
    assert tree(tmp_path) == before
    # The whole server is another matter: it has no app 130 any more.
    done = automio("pull", "--endpoint", server.url)
    assert done.returncode == 0
    assert set(tree(tmp_path)) == {path.replace("130", "131") for path in before}


def test_a_file_of_the_user_is_not_overwritten(automio: Run, server: Served, tmp_path: Path) -> None:
    (tmp_path / "schema/app_130").mkdir(parents=True)
    (tmp_path / "schema/app_130/orders.graphql").write_text("type Mine")
    (tmp_path / "schema/mine.sql").write_text("SELECT 1")
    before = tree(tmp_path)
    done = automio("pull", "--endpoint", server.url)
    assert done.returncode == 2
    assert "schema/app_130/orders.graphql: not written by this command" in done.stderr
    assert tree(tmp_path) == before


REFUSALS = {
    "401 of the gateway": (401, b'{"error": "this token is not known"}', "answered 401: this token is not known"),
    "403 of the gateway": (403, b'{"detail": "not for you"}', "answered 403: not for you"),
    "502 with a page": (502, b"<html>Bad\x1b[31m Gateway</html>", "answered 502: <html>Bad?[31m Gateway</html>"),
    "200 with a page": (200, b"<html>welcome</html>", "its answer is no JSON: <html>welcome</html>"),
    "200 with nothing": (200, b"", "its answer is no JSON: (nothing)"),
    "200 with binary": (200, b"\xff\xfe\x00\x01", "its answer is no JSON"),
    "cut JSON": (200, json.dumps({"data": introspect()}).encode()[:5000], "its answer is no JSON"),
    "JSON that is no answer": (200, b"[1, 2]", "answered without data: [1, 2]"),
    "an answer without a schema": (200, b'{"data": {"hello": 1}}', "answered without a schema"),
    "null": (200, b'{"data": null}', 'answered without data: {"data": null}'),
    "too deep": (200, b"[" * 100_000, "its answer is no JSON"),
    "errors": (
        200,
        b'{"errors": [{"message": "introspection is off", "extensions": {"code": "access-denied", "path": "$"}}]}',
        "introspection is off (access-denied at $)",
    ),
    "errors that are none": (200, b'{"errors": [3]}', "unknown error"),
    "an empty schema": (200, b'{"data": {"__schema": {}}}', "sent an introspection that is not usable"),
    "a schema that names what is not there": (
        200,
        json.dumps({"data": introspect()}).replace('"name": "numeric"', '"name": "numerik"', 1).encode(),
        "sent an introspection that is not usable",
    ),
    "fields that are no list": (
        200,
        json.dumps({"data": {"__schema": {"queryType": {"name": "Q"}, "types": 7}}}).encode(),
        "sent an introspection that is not usable",
    ),
    "elsewhere": (302, b"", "sends elsewhere: https://login.example/"),
}


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_bad_answer(automio: Run, server: Served, tmp_path: Path, status: int, body: bytes, expected: str) -> None:
    server.status, server.body = status, body
    server.headers = {"location": "https://login.example/"} if status == 302 else {}
    done = automio("pull", env={"HASURA_GRAPHQL_ENDPOINT": server.url, "HASURA_GRAPHQL_ADMIN_SECRET": SECRET})
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert tree(tmp_path) == {}
    assert len(server.seen) == 1


def test_a_bad_answer_leaves_the_last_pull(automio: Run, server: Served, tmp_path: Path) -> None:
    automio("pull", "--endpoint", server.url)
    before = tree(tmp_path)
    server.body = server.body[:-100]
    assert automio("pull", "--endpoint", server.url).returncode == 2
    assert tree(tmp_path) == before


def test_a_server_that_echoes_the_secret(automio: Run, server: Served) -> None:
    server.body = f"you sent {SECRET}".encode()
    done = automio("pull", env={"HASURA_GRAPHQL_ENDPOINT": server.url, "HASURA_GRAPHQL_ADMIN_SECRET": SECRET})
    assert "you sent ***" in done.stderr
    assert SECRET not in done.stderr


def test_server_down(automio: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = automio("pull", "--endpoint", url, env={"HASURA_GRAPHQL_ADMIN_SECRET": SECRET})
    assert done.returncode == 2
    assert "was not reached: Connection refused [AUTOMIO-301]" in done.stderr
    assert SECRET not in done.stderr
    assert tree(tmp_path) == {}


def test_server_slow(automio: Run, server: Served, tmp_path: Path) -> None:
    server.delay = 30
    done = automio("pull", "--endpoint", server.url, "--timeout", "0.3")
    assert done.returncode == 2
    assert "did not answer within 0.3 s [AUTOMIO-302]" in done.stderr
    assert tree(tmp_path) == {}


def test_server_that_hangs_up(automio: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        done = automio("pull", "--endpoint", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert done.returncode == 2
    assert "broke off" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_named(automio: Run) -> None:
    done = automio("pull", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "AUTOMIO-001"
    assert "APP_TOKEN and APP_ID must be set" in error["message"]
    assert "HASURA_GRAPHQL_ENDPOINT" in error["hint"]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Set the environment to exactly these of our variables, in a folder without .env."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("API_", "APP_", "HASURA_", "ORG")):
            monkeypatch.delenv(name)

    def set_them(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_them


URLS = ["localhost:8080", "ftp://host/x", "http://", "http://[::1", "http://host:99999", "https://a:b@host", ""]


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_none(automio: Run, url: str) -> None:
    done = automio("pull", "--endpoint", url)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --endpoint must" if url else "error: to pull from https://automio.com")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("https://h.example", "https://h.example/v1/graphql"),
        ("https://h.example/", "https://h.example/v1/graphql"),
        ("https://h.example:8443/v1/graphql", "https://h.example:8443/v1/graphql"),
        ("https://h.example/custom/graphql/", "https://h.example/custom/graphql"),
    ],
)
def test_hasura_urls(variables: Callable[..., None], given: str, asked: str) -> None:
    variables(HASURA_GRAPHQL_ENDPOINT=given, API_BASE_URL="https://other.example")
    assert find_endpoint().url == asked
    assert find_endpoint(given).url == asked


def test_gateway_urls_and_what_is_missing(variables: Callable[..., None]) -> None:
    variables(APP_TOKEN=SECRET, APP_ID="130")
    whole = find_endpoint("https://h.example/api/apps/graphql/")
    assert whole.url == "https://h.example/api/apps/graphql/?app=130&table="
    assert SECRET not in repr(whole)
    variables(API_BASE_URL="https://h.example/")
    assert find_endpoint(table="orders").url == "https://h.example/api/apps/graphql/?app=130&table=orders"
    with pytest.raises(ConfigError, match="--role needs a Hasura endpoint"):
        find_endpoint(role="user")
    variables(APP_TOKEN="")
    with pytest.raises(ConfigError, match="APP_TOKEN must be set"):
        find_endpoint()
