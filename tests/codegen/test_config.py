"""codegen.toml: defaults, every key, and faults with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from automio.codegen.config import DERIVED, CodegenConfig, load_config
from automio.errors import CodegenError, ConfigError, Diagnostic


def load(tmp_path: Path, text: str) -> CodegenConfig:
    path = tmp_path / "codegen.toml"
    path.write_text(text)
    return load_config(path)


def faults(tmp_path: Path, text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(CodegenError) as caught:
        load(tmp_path, text)
    return caught.value.diagnostics


def test_an_empty_file_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert (config.schema, config.queries, config.target) == ("schema", "queries", ".")
    assert config.tenant_column == "organization_id"
    assert config.package_of("130") == "app_130"
    assert config.package_of("") == ""
    assert config.derived_of("app_130_orders") == frozenset(DERIVED)


def test_every_key(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
schema = "sdl/all.graphql"
queries = "operations/"
target = "src"
package = "shop"
derived = false

[apps.130]
package = "market"
[apps.131]

[tenancy]
column = "tenant"
safe_functions = ["search_orders"]
writable_shared_tables = ["app_130_countries"]

[scalars]
citext = "str"
point = { type = "geo.Point", argument = "geo.PointLike" }

[tables."app_130_orders"]
derived = ["find"]
model = "Purchase"
""",
    )
    assert config.queries == "operations"
    assert [config.package_of(app) for app in ("", "130", "131", "132")] == ["shop", "market", "app_131", ""]
    assert config.tenant_column == "tenant"
    assert config.safe_functions == {"search_orders"}
    assert config.writable_shared_tables == {"app_130_countries"}
    assert config.scalars["citext"].annotation == "str"
    assert config.scalars["point"].imports == (("geo", "Point"), ("geo", "PointLike"))
    assert config.scalars["uuid"].annotation == "UUID"
    assert config.derived_of("app_130_orders") == {"find"}
    assert config.derived_of("app_130_messages") == frozenset()
    assert config.tables["app_130_orders"].model == "Purchase"


def test_tenancy_can_be_off(tmp_path: Path) -> None:
    assert load(tmp_path, "[tenancy]\nenabled = false\n").tenant_column is None


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="automio init"):
        load_config(tmp_path / "codegen.toml")


def test_a_folder_in_place_of_the_file_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "codegen.toml"
    path.write_bytes(b'schema = "\xff"')
    with pytest.raises(CodegenError, match=r"codegen\.toml:1:1: this file is not UTF-8"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a = 1", (1, 1), "unknown key `a`"),
        ("\n  schema = 3", (2, 3), "`schema` must be a string, not 3"),
        ("[tables.x]\nderived = 1", (2, 1), "`derived` must be true, false or a list of function kinds, not 1"),
        ("[tables.x]\n[tables.y]\nmodel = 'not a name'", (3, 1), "'not a name' is not a Python class name"),
        ("[apps.shop]\n", (1, 2), "'shop' is not an app id, a number"),
        ("[apps]\n130 = 'market'", (2, 1), "`130` must be a table, not 'market'"),
        ("tables = 1", (1, 1), "`tables` must be a table, not 1"),
        ("tenancy.colum = 'x'", (1, 1), "unknown key `colum` in [tenancy]"),
        ("[scalars]\npoint = { kind = 'x' }", (2, 11), "unknown key `kind` in [scalars.point]"),
        ("apps = [130]\npackage = 'app_130'", (2, 1), "two sets of tables go to the package 'app_130'"),
        ('schema = "a', (1, 12), "not TOML"),
        ("x = [1,", (1, 8), "not TOML"),
    ],
)
def test_faults_have_places(tmp_path: Path, text: str, place: tuple[int, int], message: str) -> None:
    first = faults(tmp_path, text)[0]
    assert first.message.startswith(message)
    assert (first.line, first.column) == place


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, "a = 1\nb = 2\n[tenancy]\ncolum = 'x'\n")) == 3
