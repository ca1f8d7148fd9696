"""`automio export permissions`: golden cases hold what is written; here is how a folder is treated that others write too.

A case: schema.graphql and codegen.toml, metadata/ as it was; expected/ has the folder, the request and what is printed.
"""

from __future__ import annotations

import json
import re
import shutil
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest
import yaml

from automio.codegen.permissions import MARK

from .conftest import Run

GOLDEN = Path(__file__).parents[1] / "golden" / "permissions"
ORDERS = "metadata/databases/default/tables/public_app_130_orders.yaml"
TABLES = "metadata/databases/default/tables/tables.yaml"


def lay_out(case: str, root: Path) -> None:
    (root / "schema").mkdir()
    (root / "queries").mkdir()
    shutil.copy(GOLDEN / case / "schema.graphql", root / "schema")
    own = GOLDEN / case / "codegen.toml"
    (root / "codegen.toml").write_text(own.read_text() if own.exists() else "apps = [130]\n")
    if (GOLDEN / case / "metadata").is_dir():
        shutil.copytree(GOLDEN / case / "metadata", root / "metadata")


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    lay_out("merged", tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_golden(case: str, automio: Run, tmp_path: Path, update_golden: bool) -> None:
    lay_out(case, tmp_path)
    first = automio("export", "permissions")
    assert first.returncode == 0, first.stderr
    made = tree(tmp_path / "metadata")
    automio("export", "permissions", "--out", "request.json")
    found = {f"metadata/{name}": text for name, text in made.items()}
    found |= {"request.json": (tmp_path / "request.json").read_text(), "output.txt": first.stdout}
    expected = GOLDEN / case / "expected"
    if update_golden:
        shutil.rmtree(expected, ignore_errors=True)
        for name, text in found.items():
            (expected / name).parent.mkdir(parents=True, exist_ok=True)
            (expected / name).write_text(text)
    assert found == tree(expected)

    assert automio("export", "permissions", "--check").returncode == 0
    again = json.loads(automio("export", "permissions", "--json").stdout)
    assert (again["written"], again["new"]) == ([], [])
    assert tree(tmp_path / "metadata") == made


def test_every_line_of_others_stays(automio: Run, project: Path) -> None:
    before = tree(project / "metadata")
    automio("export", "permissions")
    after = tree(project / "metadata")
    for name, text in before.items():
        theirs = re.sub(r"(?m)^ +- role: organization\n(?: {4,}.*\n)+", "", text)
        gone = [line[2:] for line in ndiff(theirs.splitlines(), after[name].splitlines()) if line.startswith("- ")]
        # Empty lists get entries, and a list that was ours alone goes.
        assert {line.strip() for line in gone} <= {
            "select_permissions: []",
            "delete_permissions: []",
            "insert_permissions:",
        }, name


def test_check_tells_what_differs_and_writes_nothing(automio: Run, project: Path) -> None:
    automio("export", "permissions")
    orders = project / ORDERS
    orders.write_text(orders.read_text().replace("X-Hasura-Organization-Id", "X-Hasura-Other"))
    before = tree(project)
    done = automio("export", "permissions", "--check")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"stale: {ORDERS}")
    report = json.loads(automio("export", "permissions", "--check", "--json").stdout)
    assert (report["ok"], report["stale"]) == (False, [ORDERS])
    assert tree(project) == before


def test_a_permission_that_somebody_else_wrote_is_reported(automio: Run, project: Path) -> None:
    orders = project / ORDERS
    orders.write_text(orders.read_text().replace(f"    comment: {MARK}\n", ""))
    before = tree(project)
    done = automio("export", "permissions")
    assert done.returncode == 2
    assert re.match(rf"{ORDERS}:18:5: the role 'organization' has a select permission here", done.stderr)
    assert tree(project) == before
    assert automio("export", "permissions", "--role", "member").returncode == 0


def permissions_of(folder: Path, table: str) -> dict[str, Any]:
    path = folder / f"metadata/databases/default/tables/public_{table}.yaml"
    value = yaml.safe_load(path.read_text())
    return {key.partition("_")[0]: value[key][-1]["permission"] for key in value if key.endswith("_permissions")}


def test_without_preset_the_caller_names_the_organization(automio: Run, tmp_path: Path) -> None:
    lay_out("sample", tmp_path)
    automio("export", "permissions", "--no-preset", "--variable", "x-hasura-org")
    found = permissions_of(tmp_path, "app_130_orders")
    assert "set" not in found["insert"] and "organization_id" in found["insert"]["columns"]
    assert "organization_id" in found["update"]["columns"]
    assert found["insert"]["check"] == {"organization_id": {"_eq": "x-hasura-org"}}


def test_another_installation(automio: Run, tmp_path: Path) -> None:
    lay_out("sample", tmp_path)
    automio("export", "permissions", "--app-id", "77")
    assert (tmp_path / "metadata/databases/default/tables/public_app_77_orders.yaml").is_file()
    assert "app_130" not in "".join(tree(tmp_path / "metadata").values())


TRACKED = "table: {schema: public, name: app_130_orders}\n"
REFUSED = {
    "flow list": (
        ORDERS,
        f"{TRACKED}select_permissions: [{{role: x, permission: {{}}}}]\n",
        ":2:21: this list is in flow",
    ),
    "flow table": (ORDERS, "{table: {schema: public, name: app_130_orders}}\n", ":1:1: this mapping is in flow style"),
    "no table": (ORDERS, "select_permissions: []\n", ":1:1: a table is expected here"),
    "not YAML": (ORDERS, "table: [\n", ":2:1: not YAML"),
    "twice": (
        ORDERS,
        TRACKED + "select_permissions:\n" + f"- role: organization\n  comment: {MARK}\n" * 2,
        ":5:3: the role 'organization' stands here a second time",
    ),
    "no list": (TABLES, "tables: x\n", ":1:1: a list of tables is expected here"),
    "words": (TABLES, "- public_app_130_orders.yaml\n", ':1:3: a table or "!include …" is expected here'),
    "missing file": (TABLES, '- "!include gone.yaml"\n', "gone.yaml is empty or missing"),
    "not included": (TABLES, "[]\n", "exists, but"),
}


@pytest.mark.parametrize(("path", "text", "said"), REFUSED.values(), ids=REFUSED)
def test_files_that_are_refused(path: str, text: str, said: str, automio: Run, project: Path) -> None:
    (project / path).write_text(text)
    before = tree(project)
    done = automio("export", "permissions")
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert tree(project) == before


def test_sources(automio: Run, project: Path) -> None:
    done = automio("export", "permissions", "--source", "other")
    assert (done.returncode, "Known: default" in done.stderr) == (2, True)


@pytest.mark.parametrize("options", [("--role", "admin"), ("--role", " "), ("--variable", "org"), ("--app-id", "-1")])
def test_bad_options(options: tuple[str, str], automio: Run, project: Path) -> None:
    before = tree(project)
    done = automio("export", "permissions", *options)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert tree(project) == before


def test_no_organizations_no_permissions(automio: Run, project: Path) -> None:
    (project / "codegen.toml").write_text("[tenancy]\nenabled = false\n")
    assert automio("export", "permissions").returncode == 2


def test_an_organization_that_cannot_be_read_is_refused(automio: Run, project: Path) -> None:
    schema = project / "schema/schema.graphql"
    schema.write_text(
        schema.read_text().replace(
            "type app_130_bills { number: Int! organization_id: Int!", "type app_130_bills { number: Int!"
        )
    )
    done = automio("export", "permissions")
    assert (done.returncode, "cannot be scoped" in done.stderr) == (2, True)
