"""`automio export allow-list`: what is listed is what is sent, and nobody else's text changes."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from graphql import parse, print_ast

from automio.codegen.allow_list import collection, entry, merge
from automio.errors import ConfigError

from .conftest import SDL, Run

QUERY = """query AllOrders { app_130_orders { ...Head } }
fragment Head on app_130_orders { id }
mutation DropOrders($id: uuid!) { delete_app_130_orders(where: {id: {_eq: $id}}) { affected_rows } }
"""
Sent = Callable[[str], dict[str, str]]
OURS = collection("automio", [])
THEIRS = """\
# kept by hand
- name: theirs   # two spaces
  definition:
    queries:
      - name: one
        query: |
          query One {
            # - name: automio
            x
          }


# before the last
- {name: flow, definition: {queries: []}}
# the end
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schema").mkdir()
    (tmp_path / "queries").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "queries/orders.graphql").write_text(QUERY)
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    return tmp_path


def read(folder: Path) -> tuple[list[Any], list[Any]]:
    names = ("query_collections.yaml", "allow_list.yaml")
    collections, allowed = (yaml.safe_load((folder / name).read_text()) for name in names)
    return collections, allowed


@pytest.fixture
def sent(automio: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """What the functions of the generated package send, by function, for an app id."""
    from automio.runtime.call import Operation

    (project / "codegen.toml").write_text('[apps.130]\npackage = "exported_shop"\n')
    assert automio("generate").returncode == 0
    monkeypatch.syspath_prepend(project)
    modules = {path.stem: importlib.import_module(f"exported_shop.{path.stem}") for path in files(project)}

    def texts(app_id: str) -> dict[str, str]:
        return {
            f"exported_shop.{stem}.{name.lower()}": operation.bound(app_id).text
            for stem, module in modules.items()
            for name, operation in vars(module).items()
            if isinstance(operation, Operation)
        }

    yield texts
    for name in [name for name in sys.modules if name.startswith("exported_shop")]:
        del sys.modules[name]


def test_the_sample_lists_what_it_sends(
    automio: Run, root: Path, project: Path, request: pytest.FixtureRequest
) -> None:
    """The same with real tables: keys, aggregates, relationships of several tables."""
    for name in ("schema", "queries"):
        shutil.rmtree(project / name)
        shutil.copytree(root / name, project / name)
    sent: Sent = request.getfixturevalue("sent")
    assert automio("export", "allow-list").returncode == 0
    (ours,), _ = read(project / "metadata")
    listed = {query["name"]: query["query"] for query in ours["definition"]["queries"]}
    assert len(listed) > 30 and listed == sent("130")


def files(project: Path) -> list[Path]:
    return [path for path in sorted((project / "exported_shop").glob("*.py")) if not path.stem.startswith("_")]


@pytest.mark.parametrize("app_id", ["130", "77"])
def test_lists_what_generated_code_sends(automio: Run, project: Path, sent: Sent, app_id: str) -> None:
    done = automio("export", "allow-list", "--app-id", app_id)
    assert (done.returncode, done.stderr) == (0, "")
    collections, allowed = read(project / "metadata")
    assert allowed == [{"collection": "automio", "scope": {"global": True}}]
    (ours,) = collections
    listed = {query["name"]: query["query"] for query in ours["definition"]["queries"]}
    assert list(listed) == sorted(listed)
    assert {"exported_shop.orders.all_orders", "exported_shop.orders.find"} < set(listed)
    assert listed == sent(app_id)


def test_every_text_is_a_document(automio: Run, project: Path) -> None:
    automio("export", "allow-list", "--out", "hasura/metadata")
    collections, _ = read(project / "hasura/metadata")
    for query in collections[0]["definition"]["queries"]:
        assert print_ast(parse(query["query"])) == query["query"]
        assert "organization_id" in query["query"]


def test_check_and_again(automio: Run, project: Path) -> None:
    first = automio("export", "allow-list", "--check")
    assert (first.returncode, first.stderr) == (1, "")
    assert first.stdout.splitlines()[0] == "stale: metadata/query_collections.yaml"
    assert not (project / "metadata").exists()
    automio("export", "allow-list")
    before = {path: path.read_bytes() for path in (project / "metadata").iterdir()}
    assert automio("export", "allow-list", "--check").returncode == 0
    again = json.loads(automio("export", "allow-list", "--json").stdout)
    assert (again["ok"], again["written"]) == (True, [])
    assert {path: path.read_bytes() for path in (project / "metadata").iterdir()} == before
    (project / "queries/orders.graphql").write_text(QUERY.replace("AllOrders", "EveryOrder"))
    drift = json.loads(automio("export", "allow-list", "--check", "--json").stdout)
    assert (drift["ok"], drift["stale"]) == (False, ["metadata/query_collections.yaml"])


def test_roles_and_another_app_id(automio: Run, project: Path) -> None:
    automio("export", "allow-list", "--role", "user", "--role", "on", "--app-id", "77", "--collection", "shop api")
    collections, allowed = read(project / "metadata")
    assert allowed == [{"collection": "shop api", "scope": {"global": False, "roles": ["user", "on"]}}]
    assert collections[0]["name"] == "shop api"
    text = json.dumps(collections[0]["definition"]["queries"][0]["query"])
    assert "app_77_" in text and "app_130_" not in text


def test_foreign_entries_stay_as_they_are(automio: Run, project: Path) -> None:
    folder = project / "metadata"
    folder.mkdir()
    (folder / "query_collections.yaml").write_text(THEIRS)
    (folder / "allow_list.yaml").write_text("- collection: theirs\n")
    automio("export", "allow-list")
    text = (folder / "query_collections.yaml").read_text()
    head, tail = THEIRS[: THEIRS.index("# the end")], "# the end\n"
    assert text.startswith(head) and text.endswith(tail)
    assert (folder / "allow_list.yaml").read_text().startswith("- collection: theirs\n- collection: automio\n")
    assert automio("export", "allow-list", "--check").returncode == 0


@pytest.mark.parametrize(
    "before", ["", "[]\n", "---\n[]\n", "# only words\n", THEIRS, THEIRS.rstrip("\n"), "  - name: a\n"]
)
def test_merge_twice_is_merge_once(before: str) -> None:
    once = merge(before, OURS, "name", "automio", "f.yaml")
    assert merge(once, OURS, "name", "automio", "f.yaml") == once
    others = [one for one in yaml.safe_load(once) if one["name"] != "automio"]
    assert others == (yaml.safe_load(before) or [])


def test_our_entry_is_replaced_where_it_stands() -> None:
    before = f"# a\n{THEIRS}\n- name: automio\n  comment: old\n  definition:\n    queries: []\n\n# c\n- name: last\n"
    merged = merge(before, OURS, "name", "automio", "f.yaml")
    assert merged == f"# a\n{THEIRS}\n{OURS}\n# c\n- name: last\n"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("- name: [", "f.yaml:1:10: not YAML"),
        ("name: x\n", "f.yaml:1:1: a list of entries is expected here"),
        ("[{name: a}]\n", "f.yaml:1:1: this list is in flow style"),
        ("- name: automio\n- name: automio\n", "f.yaml:2: the collection 'automio' stands here a second time"),
        ("- name: automio\n  definition: &a {queries: []}\n- name: b\n  definition: *a\n", "does not fit"),
    ],
)
def test_files_that_are_refused(before: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        merge(before, OURS, "name", "automio", "f.yaml")


def test_a_refused_file_changes_nothing(automio: Run, project: Path) -> None:
    folder = project / "metadata"
    folder.mkdir()
    (folder / "allow_list.yaml").write_text("{}: [")
    done = automio("export", "allow-list")
    assert done.returncode == 2
    assert done.stderr.startswith("error: metadata/allow_list.yaml:1:") or "metadata/allow_list.yaml:1:" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["allow_list.yaml"]


def test_names_are_read_back() -> None:
    for name in ("null", "007", "a: b", 'say "hi"', "yes", "ünï", "- x"):
        assert yaml.safe_load(entry(name, [name]))[0] == {
            "collection": name,
            "scope": {"global": False, "roles": [name]},
        }


def test_faults_in_operations_are_findings(automio: Run, project: Path) -> None:
    (project / "queries/orders.graphql").write_text("query Bad { app_130_orders { idd } }\n")
    done = automio("export", "allow-list")
    assert done.returncode == 1
    assert done.stderr.startswith("queries/orders.graphql:1:30: ")
    assert not (project / "metadata").exists()


def test_bad_arguments(automio: Run, project: Path) -> None:
    assert automio("export", "allow-list", "--role", " ").returncode == 2
    (project / "codegen.toml").unlink()
    done = automio("export", "allow-list")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: codegen.toml was not found [AUTOMIO-001]")
