"""`automio diff`: golden cases hold the wording and the exit code; here is what a case cannot hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from graphql import NoUnusedFragmentsRule, build_ast_schema, print_ast, specified_rules, validate, visit
from graphql.language import REMOVE, Visitor, parse

from automio.codegen.breaks import compare
from automio.codegen.compiled import compile_functions
from automio.codegen.config import CodegenConfig
from automio.codegen.diff import Level, compare_schemas
from automio.codegen.sources import SourceFile
from automio.dialect.sdl import Sdl

from .conftest import Run, introspect

GOLDEN = Path(__file__).parents[1] / "golden" / "diff"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def prepare(case: str, folder: Path) -> None:
    shutil.copytree(GOLDEN / case, folder, dirs_exist_ok=True)


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, automio: Run, tmp_path: Path, update_golden: bool) -> None:
    prepare(case, tmp_path)
    done = automio("diff", "old.graphql", "new.graphql")
    text = f"{done.stdout}exit {done.returncode}\n"
    expected = GOLDEN / case / "expected.txt"
    if update_golden:
        expected.write_text(text)
    assert text == expected.read_text()
    assert done.stderr == ""


def test_json_names_every_part_and_function(automio: Run, tmp_path: Path) -> None:
    prepare("column_removed", tmp_path)
    done = automio("diff", "old.graphql", "new.graphql", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)
    (change,) = [one for one in report["changes"] if one["level"] == "breaking"]
    assert {part["at"] for part in change["parts"]} == {
        "app_130_orders.buyer",
        "app_130_orders_bool_exp.buyer",
        "app_130_orders_order_by.buyer",
        "app_130_orders_select_column.buyer",
    }
    assert change["breaks"] == [{"function": "app_130.orders.open_orders", "source": "queries/orders.graphql:1"}]
    assert change["may_break"][0]["value"] == "where.order.buyer"
    assert report["broken"] == ["app_130.orders.open_orders"]
    assert (report["diagnostics"][0]["path"], report["diagnostics"][0]["line"]) == ("queries/orders.graphql", 1)


def test_strict_counts_what_nobody_uses(automio: Run, tmp_path: Path) -> None:
    prepare("not_reached", tmp_path)
    assert automio("diff", "old.graphql", "new.graphql").returncode == 0
    assert automio("diff", "old.graphql", "new.graphql", "--strict").returncode == 1
    assert automio("diff", "old.graphql", "old.graphql", "--strict").returncode == 0


def test_annotations_in_github(automio: Run, tmp_path: Path) -> None:
    prepare("column_removed", tmp_path)
    done = automio("diff", "old.graphql", "new.graphql", env={"GITHUB_ACTIONS": "true"})
    assert (
        "::error file=queries/orders.graphql,line=1,col=7,title=AUTOMIO-150::app_130.orders.open_orders" in done.stdout
    )


def test_introspection_is_the_same_schema(automio: Run, tmp_path: Path) -> None:
    prepare("no_change", tmp_path)
    (tmp_path / "old.json").write_text(json.dumps({"data": introspect((tmp_path / "old.graphql").read_text())}))
    (tmp_path / "again.json").write_text(json.dumps(introspect((tmp_path / "new.graphql").read_text())))
    done = automio("diff", "old.json", "again.json")
    assert (done.returncode, done.stdout) == (0, "no change\n")
    assert "breaking" not in automio("diff", "old.json", "new.graphql").stdout


def test_a_revision_of_git(automio: Run, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    prepare("column_removed", tmp_path)
    folder = tmp_path / "schema" / "app_130"
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "old.graphql", folder / "all.graphql")
    (folder / "notes.txt").write_text("no schema")
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "old"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    shutil.copy(tmp_path / "new.graphql", folder / "all.graphql")
    for old in ("HEAD:schema", "HEAD:./schema", "HEAD:schema/app_130/all.graphql"):
        done = automio("diff", old, "schema")
        assert (done.returncode, done.stderr) == (1, ""), old
        assert "app_130.orders.open_orders (queries/orders.graphql:1)" in done.stdout
    assert automio("diff", "HEAD:schema", "HEAD:schema").stdout == "no change\n"
    missing = automio("diff", "HEAD:nothing", "schema")
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: HEAD:nothing: ")


@pytest.mark.parametrize(
    ("old", "text", "said"),
    [
        ("nowhere", None, "error: nowhere does not exist"),
        ("empty", None, "error: empty holds no .graphql file"),
        ("old.graphql", "type query_root {", "old.graphql:1:"),
        ("old.graphql", "scalar x", "error: old.graphql has no query type"),
        ("old.graphql", "\xff", "old.graphql:1:1: this file is not UTF-8"),
        ("old.json", "{", "old.json:1:"),
        ("old.json", "{}", "old.json:1:1: not an introspection answer"),
        ("old.graphql", "type query_root { app_130_orders: [gone!]! }", "the schema cannot be built"),
    ],
)
def test_what_cannot_be_compared(automio: Run, tmp_path: Path, old: str, text: str | None, said: str) -> None:
    prepare("column_removed", tmp_path)
    (tmp_path / "empty").mkdir()
    if text is not None:
        (tmp_path / old).write_bytes(text.encode("latin-1"))
    done = automio("diff", old, "new.graphql")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_operation_that_was_broken_before_is_told_apart(automio: Run, tmp_path: Path) -> None:
    prepare("column_removed", tmp_path)
    (tmp_path / "queries/odd.graphql").write_text("query Odd { app_130_orders { colour } }\n")
    done = automio("diff", "old.graphql", "new.graphql")
    assert "left out, since it doesn't fit the old schema either: queries/odd.graphql:1:30: " in done.stdout
    assert "breaks app_130.orders.open_orders" in done.stdout
    report = json.loads(automio("diff", "old.graphql", "new.graphql", "--json").stdout)
    assert [place.split(" ")[0] for place in report["left_out"]] == ["queries/odd.graphql:1:30:"]


def test_equal_definitions_are_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (GOLDEN / "column_removed/old.graphql").read_text()
    changed = text.replace("  buyer: String\n", "")
    parsed: list[str] = []
    nodes = Sdl.nodes
    monkeypatch.setattr(Sdl, "nodes", lambda self, name: parsed.append(name) or nodes(self, name))
    diff = compare_schemas(Sdl.read([("old", text)]), Sdl.read([("new", changed)]))
    assert set(parsed) == {"app_130_orders"}
    assert [str(change.at) for change in diff.changes] == ["app_130_orders.buyer"]


def test_types_of_a_table_are_one_group_in_either_naming() -> None:
    old = """type query_root { Orders: [Orders!]! OrdersItems: [OrdersItems!]! }
    type Orders { id: Int note: Int } type OrdersItems { id: Int note: Int }
    input OrdersBoolExp { note: Int } input OrdersItemsBoolExp { id: Int note: Int }"""
    new = old.replace(" note: Int }", " }").replace("input OrdersBoolExp {", "input OrdersBoolExp { id: Int")
    groups = compare_schemas(Sdl.read([("old", old)]), Sdl.read([("new", new)])).groups
    removed = [[str(change.at) for change in group.changes] for group in groups if group.level is Level.BREAKING]
    assert removed == [
        ["Orders.note", "OrdersBoolExp.note"],
        ["OrdersItems.note", "OrdersItemsBoolExp.note"],
    ]


def test_real_schema_loses_a_column(shared: Path) -> None:
    """One column of a real schema, everywhere it stands: one finding, and time for a commit hook."""
    text = (shared / "schemas/real/carnet_de_bord.graphql").read_text()

    class Dropped(Visitor):
        def enter(self, node: object, *_: object) -> object:
            kinds = ("field_definition", "input_value_definition", "enum_value_definition")
            kind, name = getattr(node, "kind", ""), getattr(getattr(node, "name", None), "value", "")
            return REMOVE if kind in kinds and name == "peNumber" else None

    old, new = print_ast(parse(text)), print_ast(visit(parse(text), Dropped()))
    assert old != new
    started = time.perf_counter()
    diff = compare_schemas(Sdl.read([("old", old)]), Sdl.read([("new", new)]))
    seconds = time.perf_counter() - started
    assert {group.level for group in diff.groups} == {Level.BREAKING}
    assert all(re.search(r"\bpeNumber\b", change.text) for change in diff.changes)
    assert "beneficiary.peNumber was removed" in [group.first.text for group in diff.groups]
    assert seconds < 5  # 0.1 to 0.3 seen; a full build of both takes 1.5


def test_no_broken_operation_of_a_real_project_is_missed(shared: Path) -> None:
    """graphql-core validates each operation against the whole new schema: what it refuses, we report."""
    folder = shared / "schemas/real"
    files = [
        SourceFile(f"queries/{path.name}", path.read_text())
        for path in sorted((folder / "carnet_de_bord.operations").glob("*.graphql"))
    ]
    gone = {"email", "notebook_id", "notebookId", "deploymentId", "mobileNumber", "theme"}

    class Dropped(Visitor):
        def enter(self, node: object, *_: object) -> object:
            kind, name = getattr(node, "kind", ""), getattr(getattr(node, "name", None), "value", "")
            return REMOVE if kind in ("field_definition", "input_value_definition") and name in gone else None

    text = (folder / "carnet_de_bord.graphql").read_text()
    document = parse(text)
    changed = visit(document, Dropped())
    old_schema, new_schema = build_ast_schema(document, assume_valid=True), build_ast_schema(changed, assume_valid=True)
    config = CodegenConfig(Path(), package="carnet", tenant_column=None, derived=False)
    sdls = Sdl.read([("old", print_ast(document))]), Sdl.read([("new", print_ast(changed))])
    report = compare(*sdls, files, config)
    ours = compile_functions(sdls[0], files, config).functions
    refused: set[str] = set()
    for name, function in ours.items():
        rules = [rule for rule in specified_rules if rule is not NoUnusedFragmentsRule]
        whole = function.operation.document
        assert not validate(old_schema, whole, rules)
        if validate(new_schema, whole, rules):
            refused.add(name)
    assert len(refused) > 5
    assert refused <= {function.name for function in report.broken}
