"""Settings: where each value comes from, what is refused, and that no secret shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automio.errors import ConfigError
from automio.settings import Settings, Target, parse_env
from automio.wrapper import API


def test_defaults_without_any_environment() -> None:
    settings = Settings.read()
    assert settings == Settings()
    assert (settings.api_base_url, settings.timeout, settings.target) == ("https://automio.com", 30.0, Target.GATEWAY)


def test_argument_then_environment_then_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_TOKEN=file\nAPP_ID=1\nORGANIZATION_ID=1\n")
    monkeypatch.setenv("APP_ID", "2")
    monkeypatch.setenv("ORGANIZATION_ID", "2")
    settings = Settings.read(organization_id=3)
    assert (settings.app_token, settings.app_id, settings.organization_id) == ("file", 2, 3)
    assert settings.given == {"organization_id"}


def test_an_empty_variable_is_absent_and_none_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "")
    monkeypatch.setenv("ORGANIZATION_ID", "0")
    assert Settings.read().app_token is None
    assert Settings.read().organization_id == 0, "0 is an organization"
    assert Settings.read(organization_id=None).organization_id is None
    assert Settings.read(timeout=None).timeout == 30.0


def test_settings_are_read_when_the_api_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "first")
    api = API()
    monkeypatch.setenv("APP_TOKEN", "second")
    assert api.settings.app_token == "first"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APP_ID", "shop"),
        ("APP_ID", "-1"),
        ("ORGANIZATION_ID", "two"),
        ("ORGANIZATION_ID", "2147483648"),
        ("ORGANIZATION_ID", "2.0"),
        ("API_BASE_URL", "automio.com"),
        ("API_BASE_URL", "ftp://automio.com"),
        ("API_BASE_URL", "https://user:word@automio.com"),
        ("API_BASE_URL", "https://automio.com:port"),
        ("HASURA_GRAPHQL_ENDPOINT", "localhost:8080"),
        ("APP_TOKEN", "two\nlines"),
        ("REDIS_PORT", "0"),
        ("REDIS_DB", "-1"),
        ("AUTOMIO_TIMEOUT", "soon"),
        ("AUTOMIO_TIMEOUT", "0"),
        ("AUTOMIO_TIMEOUT", "inf"),
    ],
)
def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"^{variable} "):
        API()


@pytest.mark.parametrize(
    ("name", "value"),
    [("organization_id", "2"), ("organization_id", True), ("organization_id", 2.0), ("app_id", True), ("app_token", 5)],
)
def test_a_bad_argument_names_itself(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} "):
        Settings.read(**{name: value})


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean app_token"):
        Settings.read(app_tokn="x")


def test_repr_and_errors_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_TOKEN", "HASURA_GRAPHQL_ADMIN_SECRET", "CACHE_SERVICE_TOKEN", "REDIS_PASSWORD", "REDIS_URL"):
        monkeypatch.setenv(name, f"s3cret-{name}")
    api = API()
    assert "s3cret" not in repr(api) and "s3cret" not in repr(api.settings)
    assert "app_token=<hidden>" in repr(api)
    monkeypatch.setenv("APP_TOKEN", "s3cret\x01")
    with pytest.raises(ConfigError) as caught:
        API()
    assert "s3cret" not in str(caught.value)


def test_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASURA_GRAPHQL_ENDPOINT", "http://localhost:8080")
    monkeypatch.setenv("API_BASE_URL", "https://automio.com/")
    both = Settings.read()
    assert both.target is Target.HASURA and both.hasura_graphql_endpoint == "http://localhost:8080/v1/graphql"
    assert both.api_base_url == "https://automio.com"
    assert Settings.read(app_token="x").target is Target.GATEWAY, (
        "an argument for the gateway wins over the environment"
    )
    given = Settings.read(hasura_graphql_endpoint="https://h/other/graphql")
    assert given.hasura_graphql_endpoint == "https://h/other/graphql"
    with pytest.raises(ConfigError, match="both targets"):
        Settings.read(app_token="x", hasura_graphql_endpoint="http://h")


def test_the_env_file() -> None:
    text = "\n".join(
        [
            "\ufeff# a comment",
            "export A=1",
            r'B = "x # y\n\"q\" \\" # comment',
            "C='a$b # c\\n'",
            "D=plain value # comment",
            "E=a#b==",
            "F=",
            "G= # only a comment",
            'H="two',
            'lines"',
            "bare",
            "  I\t=\tt ",
            "A=2",
        ]
    )
    assert parse_env(text.replace("\n", "\r\n")) == {
        "A": "2",
        "B": 'x # y\n"q" \\',
        "C": "a$b # c\\n",
        "D": "plain value",
        "E": "a#b==",
        "F": "",
        "G": "",
        "H": "two\nlines",
        "I": "t",
    }


@pytest.mark.parametrize("line", ['APP_TOKEN="s3cret', "APP_TOKEN='s3cret", 'APP_TOKEN="s3cret" x', "!! s3cret"])
def test_a_broken_env_file_names_the_line_and_no_value(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# fine\nAPP_ID=1\n{line}")
    with pytest.raises(ConfigError, match=r"^\.env:3: ") as caught:
        Settings.read()
    assert "s3cret" not in str(caught.value)


def test_an_env_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        Settings.read()
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert Settings.read() == Settings()
