"""platform.toml: what it may say, and how its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from automio.errors import ConfigError
from automio.local.config import PlatformConfig, Token, key_places, load_platform, read_platform

WHOLE = """
admin_secret_env = "ADMIN"
[[tokens]]
token = "one"
organization = 1
apps = [130, 131]
[[tokens]]
env = "SECOND"
organization = -2
apps = []
[database]
schema = "sql/*.sql"
seeds = []
stringify_numeric = true
pool_size = 3
[tenancy]
column = "tenant"
[server]
max_body_bytes = 2048
"""


def read(text: str, **environment: str) -> PlatformConfig:
    return read_platform(text, Path("p/platform.toml"), environment)


def faults(text: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(text, **environment)
    return raised.value.message


def test_everything() -> None:
    assert read(WHOLE, ADMIN="root", SECOND="two") == PlatformConfig(
        root=Path("p"),
        tokens=(Token("one", 1, frozenset({130, 131})), Token("two", -2, frozenset())),
        admin_secret="root",
        schema=("sql/*.sql",),
        seeds=(),
        stringify_numeric=True,
        pool_size=3,
        tenant_column="tenant",
        max_body_bytes=2048,
    )


def test_nothing() -> None:
    config = read("")
    assert config == PlatformConfig(Path("p"))
    assert (config.home, config.apps) == (Path("p/.automio"), frozenset())


def test_the_sample_of_the_repository(root: Path) -> None:
    config = load_platform(root / "platform.toml", {})
    assert [(token.token, token.organization) for token in config.tokens] == [
        ("local-org-1", 1),
        ("local-org-2", 2),
        ("local-org-3", 3),
    ]
    assert config.apps == {130}


def test_secrets_are_in_no_repr() -> None:
    shown = repr(read(WHOLE, ADMIN="the-admins", SECOND="the-second"))
    assert "organization=1" in shown
    assert not any(secret in shown for secret in ("the-admins", "the-second", "'one'"))


def test_every_fault_of_a_file_with_its_place() -> None:
    text = """\
tokns = []
[[tokens]]
token = "one"
apps = [130]
[[tokens]]
token = "one"
organization = 2
apps = [130]
  env = "X"
[[tokens]]
env = "NOT_SET"
organization = 3000000000
apps = ["130"]
[database]
schma = "x"
pool_size = 0
seeds = "../elsewhere/*.sql"
[server]
max_body_bytes = "1 MB"
"""
    lines = [line for line in faults(text).splitlines() if line.startswith("p/platform.toml")]
    assert [line.removeprefix("p/platform.toml:") for line in lines] == [
        "1:1: unknown key `tokns`",
        "2:1: `organization` is needed: the integer id of one organization",
        "9:3: `token` and `env` exclude each other",
        "11:1: the environment variable NOT_SET is not set",
        "12:1: `organization` is needed: the integer id of one organization",
        "13:1: `apps` is needed: a list of app ids, as in apps = [130]",
        "15:1: unknown key `schma`",
        "16:1: `pool_size` is an integer from 1 to 1000",
        "17:1: `seeds` is a list of patterns below the folder of platform.toml",
        "19:1: `max_body_bytes` is an integer from 1024 to 2147483647",
    ]
    assert "Did you mean `tokens`?" in faults(text)
    assert "Did you mean `schema`?" in faults(text)


@pytest.mark.parametrize("secret", ['""', '" one"', "7", "true"])
def test_tokens_that_are_none(secret: str) -> None:
    assert "`token` is a text" in faults(f"[[tokens]]\ntoken = {secret}\norganization = 1\napps = []\n")


def test_two_equal_tokens() -> None:
    one = '[[tokens]]\ntoken = "hush-hush"\norganization = 1\napps = []\n'
    told = faults(one + one)
    assert "platform.toml:6:1: this token is declared twice" in told
    assert "hush-hush" not in told


@pytest.mark.parametrize("value", ["1.5", "true", '"2"', "2147483648"])
def test_organizations_that_are_none(value: str) -> None:
    assert "`organization` is needed" in faults(f'[[tokens]]\ntoken = "a"\norganization = {value}\napps = []\n')


def test_a_table_where_a_value_is_and_the_other_way_round() -> None:
    assert "`database` is a table" in faults("database = 3\n")
    assert "`tokens` is a list of tables" in faults("[tokens]\n")
    assert "`tokens` is a list of tables" in faults("tokens = [3]\n")


def test_not_toml() -> None:
    assert faults("[[tokens]\n").startswith("p/platform.toml:1:")
    assert faults("a = 1\na = 2\n").startswith("p/platform.toml:2:")
    hidden = faults('[[tokens]]\ntoken = "hush-hush\n')
    assert hidden.startswith("p/platform.toml:2:")
    assert "hush-hush" not in hidden


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_platform(tmp_path / "platform.toml")
    (tmp_path / "platform.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load_platform(tmp_path / "platform.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_platform(tmp_path)


def test_places() -> None:
    assert key_places('a = 1\n[t]\n  "b" = 2\n[[l]]\nc.d = 1\n[[l]]\nc = 2\n') == {
        ("a",): (1, 1),
        ("t",): (2, 1),
        ("t", "b"): (3, 3),
        ("l",): (4, 1),
        ("l", 0): (4, 1),
        ("l", 0, "c"): (5, 1),
        ("l", 1): (6, 1),
        ("l", 1, "c"): (7, 1),
    }
