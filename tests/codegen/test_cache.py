"""With the cache and without it generation gives the same; and what has not changed is not compiled."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace as with_values
from pathlib import Path

import pytest

from automio.codegen import cache as cache_module
from automio.codegen import packages as packages_module
from automio.codegen.config import CodegenConfig, load_config
from automio.codegen.operations import Findings, Queries
from automio.codegen.package import Package
from automio.codegen.pipeline import Build, build, check
from automio.codegen.sources import SourceFile
from automio.codegen.write import write
from automio.errors import CodegenError

TABLE = """
type app_{app}_{name} {{ id: Int! organization_id: Int! note: String }}
input app_{app}_{name}_bool_exp {{ id: Int_comparison_exp organization_id: Int_comparison_exp }}
extend type query_root {{ app_{app}_{name}(where: app_{app}_{name}_bool_exp, limit: Int): [app_{app}_{name}!]! }}
"""
COMMON = "schema { query: query_root }\ntype query_root\ninput Int_comparison_exp { _eq: Int _in: [Int!] }\n"
ORDERS = "query Orders {{ app_{app}_orders {{ id {more} }} }}\n"


@pytest.fixture
def config(tmp_path: Path) -> CodegenConfig:
    """Apps 1 and 2, two tables each, an operation each; generated once."""
    for folder in ("schema", "queries"):
        (tmp_path / folder).mkdir()
    (tmp_path / "schema" / "common.graphql").write_text(COMMON)
    for app in (1, 2):
        for name in ("orders", "items"):
            (tmp_path / "schema" / f"{app}_{name}.graphql").write_text(TABLE.format(app=app, name=name))
        (tmp_path / "queries" / f"app_{app}.graphql").write_text(ORDERS.format(app=app, more=""))
    (tmp_path / "codegen.toml").write_text("")
    config = load_config(tmp_path / "codegen.toml")
    write(config, build(config).files)
    return config


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The apps that were compiled, in their order."""
    apps: list[str] = []
    files = Package.files

    def noted(self: Package) -> dict[Path, str]:
        apps.append(self.app)
        return files(self)

    monkeypatch.setattr(Package, "files", noted)
    return apps


def place(config: CodegenConfig) -> Path:
    return config.root / ".automio" / "cache" / "codegen.json"


def afresh(config: CodegenConfig) -> Build:
    """What a run without a cache gives."""
    shutil.rmtree(config.root / ".automio", ignore_errors=True)
    return build(config)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_nothing_changed_compiles_nothing(config: CodegenConfig, compiled: list[str]) -> None:
    again = build(config)
    assert compiled == []
    assert check(config) == []
    assert again == afresh(config)
    assert list(again.files) == list(afresh(config).files)


@pytest.mark.parametrize(
    ("file", "old", "new", "apps"),
    [
        ("schema/1_orders.graphql", "note: String", "note: Int", ["1"]),
        ("schema/1_orders.graphql", "note: String", "note: String more: Int", ["1"]),
        ("schema/2_items.graphql", "limit: Int", "limit: Int, offset: Int", ["2"]),
        ("schema/common.graphql", "_eq: Int", "_eq: Int _neq: Int", ["1", "2"]),
        ("schema/common.graphql", "type query_root", "type query_root\ntype app_3_x { id: Int! }", []),
        ("schema/common.graphql", "type query_root", "type query_root { app_1_f: [app_1_orders!]! }", ["1"]),
        (
            "schema/common.graphql",
            "type query_root",
            "type query_root { agg: W } type W { nodes: [app_2_items!]! }",
            ["", "2"],
        ),
        ("queries/app_2.graphql", "id", "id note", ["2"]),
        ("queries/app_2.graphql", "query", "# what it is for\nquery", ["2"]),
        ("queries/app_2.graphql", "Orders", "All", ["2"]),
        ("codegen.toml", "", "derived = false\n", ["1", "2"]),
        ("codegen.toml", "", "[scalars]\nString = 'bytes'\n", ["1", "2"]),
    ],
)
def test_what_depends_on_a_change_is_compiled_and_nothing_else(
    config: CodegenConfig, compiled: list[str], file: str, old: str, new: str, apps: list[str]
) -> None:
    path = config.root / file
    path.write_text(new) if not old else replace(path, old, new)
    config = load_config(config.root / "codegen.toml")
    incremental = build(config)
    assert [app for app in compiled if app] == [app for app in apps if app]
    assert incremental == afresh(config)
    write(config, incremental.files)
    compiled.clear()
    assert build(config) == incremental
    assert compiled == []


def test_a_fragment_of_another_file_counts(config: CodegenConfig, compiled: list[str]) -> None:
    fragment = config.root / "queries" / "fragments.graphql"
    fragment.write_text("fragment Part on app_1_orders { id }\n")
    (config.root / "queries" / "app_1.graphql").write_text("query Orders { app_1_orders { ... # here\n Part } }\n")
    write(config, build(config).files)
    assert compiled == ["1"]
    replace(fragment, "{ id }", "{ id note }")
    assert build(config) == afresh(config)
    assert compiled == ["1", "1", "1", "2"]


def test_a_table_that_is_new_in_an_app(config: CodegenConfig, compiled: list[str]) -> None:
    (config.root / "schema" / "2_more.graphql").write_text(TABLE.format(app=2, name="more"))
    built = build(config)
    assert compiled == ["2"]
    assert Path("app_2/more.py") in built.files
    assert built == afresh(config)


def test_a_change_of_the_schema_parses_the_operations_of_changed_packages_only(
    config: CodegenConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = packages_module.parse_queries

    def noted(files: Iterable[SourceFile], findings: Findings) -> Queries:
        given = list(files)
        parsed.extend(file.path for file in given)
        return parse(given, findings)

    monkeypatch.setattr(packages_module, "parse_queries", noted)
    replace(config.root / "schema" / "2_orders.graphql", "note: String", "note: Int")
    build(config)
    assert parsed == ["queries/app_2.graphql"]


def test_an_operation_that_goes_to_another_package_with_the_schema(config: CodegenConfig) -> None:
    config = with_values(config, safe_functions=frozenset({"latest"}))  # a second list of a table's rows is a function
    common = config.root / "schema" / "common.graphql"
    replace(common, "type query_root", "type query_root { latest(where: app_1_orders_bool_exp): [app_1_orders!]! }")
    (config.root / "queries" / "latest.graphql").write_text("query Latest { latest { id } }\n")
    write(config, build(config).files)
    assert "def latest(" in (config.root / "app_1" / "orders.py").read_text()
    replace(common, "latest(where: app_1_orders_bool_exp): [app_1_", "latest(where: app_2_orders_bool_exp): [app_2_")
    write(config, build(config).files)
    assert "def latest(" not in (config.root / "app_1" / "orders.py").read_text()
    assert "def latest(" in (config.root / "app_2" / "orders.py").read_text()
    assert build(config) == afresh(config)


def test_an_app_that_is_gone(config: CodegenConfig) -> None:
    for name in ("schema/2_orders", "schema/2_items", "queries/app_2"):
        (config.root / f"{name}.graphql").unlink()
    changes = write(config, build(config).files)
    assert changes.extra and all(name.startswith("app_2/") for name in changes.extra)
    assert check(config) == []


@pytest.mark.parametrize("how", ["edited", "missing", "cut off"])
def test_a_changed_file_on_disk_is_noticed(config: CodegenConfig, compiled: list[str], how: str) -> None:
    path = config.root / "app_1" / "orders.py"
    if how == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text() + "# edited\n" if how == "edited" else path.read_text()[:-20])
    word = "missing" if how == "missing" else "stale"
    assert check(config) == [f"{word}: app_1/orders.py"]
    assert compiled == ["1"]
    assert write(config, build(config).files)
    assert check(config) == []


def test_check_says_the_same_with_and_without_the_cache(config: CodegenConfig) -> None:
    replace(config.root / "schema" / "1_items.graphql", "note", "remark")
    (config.root / "app_2" / "left.py").write_text("# Generated by automio; do not edit. Source: x.\n")
    (config.root / "app_1" / "py.typed").unlink()
    found = check(config)
    assert [line.partition(":")[0] for line in found].count("stale") >= 1
    assert "extra: app_2/left.py" in found and "missing: app_1/py.typed" in found
    assert check(config) == found
    shutil.rmtree(config.root / ".automio")
    assert check(config) == found


@pytest.mark.parametrize("damage", ["", "{}", "x\n{}", "cut", "changed", "binary", "other shape", "folder"])
def test_a_damaged_cache_is_ignored(config: CodegenConfig, compiled: list[str], damage: str) -> None:
    path, good = place(config), place(config).read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "other shape":
        content = json.dumps({"key": 1, "packages": [], "warnings": {}}).encode()
        path.write_bytes(cache_module._digest_of(content).encode() + b"\n" + content)
    else:
        texts = {"cut": good[:-5], "changed": good.replace(b"app_1", b"app_2"), "binary": b"\xff\xfe\n\x00"}
        path.write_bytes(texts.get(damage, damage.encode()))
    assert check(config) == []
    assert compiled == ["1", "2"]
    if damage != "folder":
        assert path.read_bytes() == good


def test_a_cache_of_other_versions_is_ignored(
    config: CodegenConfig, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "version", lambda name: "99")
    build(config)
    assert compiled == ["1", "2"]


def test_the_cache_holds_no_place_and_no_text(config: CodegenConfig) -> None:
    content = place(config).read_text()
    assert str(config.root) not in content
    assert "def " not in content and "note" not in content
    assert (config.root / ".automio" / ".gitignore").read_text() == "*\n"


def test_a_project_that_was_moved_keeps_its_cache(config: CodegenConfig, compiled: list[str], tmp_path: Path) -> None:
    moved = tmp_path.with_name(f"{tmp_path.name}_moved")
    shutil.copytree(tmp_path, moved)
    assert check(load_config(moved / "codegen.toml")) == []
    assert compiled == []


def test_where_nothing_can_be_kept_the_answer_is_the_same(config: CodegenConfig, compiled: list[str]) -> None:
    shutil.rmtree(config.root / ".automio")
    (config.root / ".automio").write_text("in the way")
    assert check(config) == []
    assert check(config) == []
    assert compiled == ["1", "2", "1", "2"]


def test_a_run_with_faults_leaves_the_cache_as_it_was(config: CodegenConfig) -> None:
    before = place(config).read_bytes()
    replace(config.root / "queries" / "app_1.graphql", "id", "nothing")
    for _ in range(2):
        with pytest.raises(CodegenError) as caught:
            build(config)
        assert [fault.path for fault in caught.value.diagnostics] == ["queries/app_1.graphql"]
    assert place(config).read_bytes() == before


def test_warnings_are_told_every_time_at_their_lines(project: Callable[..., Path]) -> None:
    """The golden case has a collision of names, whose warning names a line of the schema."""
    config = load_config(project("order_id_beside_orderId"))
    first = build(config)
    write(config, first.files)
    assert first.warnings
    assert build(config).warnings == first.warnings
    schema = config.root / "schema" / "schema.graphql"
    schema.write_text("# a line more\n" + schema.read_text())
    moved = build(config).warnings
    assert moved == afresh(config).warnings != first.warnings


def test_two_runs_at_once_leave_a_whole_cache(config: CodegenConfig, compiled: list[str]) -> None:
    def work() -> None:
        for _ in range(5):
            shutil.rmtree(config.root / ".automio" / "cache", ignore_errors=True)
            failed.extend(check(config))

    failed: list[str] = []
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    build(config)
    compiled.clear()
    build(config)
    assert compiled == []
