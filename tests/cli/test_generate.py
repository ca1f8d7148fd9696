"""`automio generate`: what is told, what is written, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import SDL, Run

QUERY = "query AllOrders { app_130_orders { id } }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schema").mkdir()
    (tmp_path / "queries").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "queries/orders.graphql").write_text(QUERY)
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    return tmp_path


def test_writes_and_checks(automio: Run, project: Path) -> None:
    before = automio("generate", "--check")
    assert before.returncode == 1
    assert "missing: app_130/orders.py" in before.stdout
    assert "out of date: run `automio generate`" in before.stdout
    assert not (project / "app_130").exists()

    done = automio("generate")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote app_130/orders.py" in done.stdout
    assert "def all_orders(" in (project / "app_130/orders.py").read_text()
    *_, summary = done.stdout.splitlines()
    assert summary.startswith("2 tables, ")
    assert ", 0 unchanged, 0 removed; " in summary

    again = json.loads(automio("generate", "--json").stdout)
    assert (again["ok"], again["written"], again["replaced"], again["removed"]) == (True, [], [], [])
    assert again["unchanged"] > 5
    check = automio("generate", "--check")
    assert (check.returncode, check.stderr) == (0, "")
    assert check.stdout.startswith("up to date: 2 tables, ")


def test_stale_extra_missing(automio: Run, project: Path) -> None:
    automio("generate")
    orders = project / "app_130/orders.py"
    orders.write_text(orders.read_text() + "# touched\n")
    (project / "app_130/old.py").write_text(orders.read_text())
    (project / "app_130/_facts.py").unlink()
    done = automio("generate", "--check", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)
    assert (report["stale"], report["extra"]) == (["app_130/orders.py"], ["app_130/old.py"])
    assert report["missing"] == ["app_130/_facts.py"]
    assert automio("generate").returncode == 0
    assert not (project / "app_130/old.py").exists()
    assert automio("generate", "--check").returncode == 0


def test_faults_in_operations(automio: Run, project: Path) -> None:
    (project / "queries/orders.graphql").write_text("query Bad { app_130_orders { idd } }\n")
    (project / "queries/more.graphql").write_text("query Worse {\n")
    done = automio("generate")
    assert done.returncode == 1
    places = [line.split(" ")[0] for line in done.stderr.splitlines() if line.startswith("queries/")]
    assert "queries/more.graphql:2:1:" in places
    assert "Traceback" not in done.stderr
    assert not (project / "app_130").exists()
    error = json.loads(automio("generate", "--json").stdout)["error"]
    assert {found["path"] for found in error["diagnostics"]} >= {"queries/more.graphql"}


def test_no_codegen_toml(automio: Run) -> None:
    done = automio("generate")
    assert done.returncode == 2
    assert done.stderr == "error: codegen.toml was not found [AUTOMIO-001]\n  hint: `automio init` writes one.\n"


BROKEN = {
    "not TOML": ('schema = "schema\n', "codegen.toml:1:"),
    "unknown key": ('shema = "schema"\n', "codegen.toml:1:1: unknown key `shema`"),
    "wrong type": ("apps = 130\n", "codegen.toml:1:1: `apps` must be"),
    "not UTF-8": (b"\xff\xfe", "codegen.toml:1:1: this file is not UTF-8"),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_codegen_toml(automio: Run, project: Path, text: str | bytes, expected: str) -> None:
    (project / "codegen.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = automio("generate")
    assert done.returncode == 2
    assert done.stderr.startswith(expected)
    assert "Traceback" not in done.stderr
    assert not (project / "app_130").exists()


def test_no_schema(automio: Run, project: Path) -> None:
    (project / "schema/app_130.graphql").unlink()
    done = automio("generate")
    assert done.returncode == 1
    assert "`automio pull` writes it" in done.stderr


def test_another_config(automio: Run, project: Path) -> None:
    (project / "codegen.toml").rename(project / "other.toml")
    done = automio("generate", "--config", "other.toml")
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_written(automio: Run, project: Path) -> None:
    (project / "app_130").write_text("a file where the package goes")
    done = automio("generate")
    assert done.returncode == 1
    assert done.stderr.startswith("app_130:1:1: a file stands where a folder of a generated package goes")
    assert (project / "app_130").read_text() == "a file where the package goes"


def test_an_edited_file_is_reported_and_its_text_is_kept(automio: Run, project: Path) -> None:
    automio("generate")
    orders = project / "app_130/orders.py"
    right = orders.read_text()
    orders.write_text(edited := right + "# mine\n")
    check = automio("generate", "--check")
    assert (check.returncode, orders.read_text()) == (1, edited)
    assert "app_130/orders.py:1:1: this generated file was edited by hand [AUTOMIO-141]" in check.stdout
    done = automio("generate", env={"GITHUB_ACTIONS": "true"})
    assert (done.returncode, orders.read_text()) == (0, right)
    assert "::warning file=app_130/orders.py,line=1,col=1,title=AUTOMIO-141::" in done.stdout
    assert "hint: The edited text is in .automio/edited/app_130/orders.py." in done.stdout
    assert (project / ".automio/edited/app_130/orders.py").read_text() == edited
    assert "AUTOMIO-141" not in automio("generate").stdout

    orders.write_text(edited)
    (project / "queries/orders.graphql").unlink()  # the file is stale, and edited
    report = json.loads(automio("generate", "--json").stdout)
    assert (report["ok"], report["edited"]) == (True, ["app_130/orders.py"])
    assert [found["code"] for found in report["diagnostics"]] == ["AUTOMIO-141"]


def test_an_old_file_is_no_edited_one(automio: Run, project: Path) -> None:
    automio("generate")
    (project / "queries/orders.graphql").write_text(QUERY.replace("{ id }", "{ id organization_id }"))
    assert json.loads(automio("generate", "--check", "--json").stdout)["edited"] == []  # built, and not written
    assert json.loads(automio("generate", "--json").stdout)["edited"] == []
    (project / ".automio/written/codegen.json").write_text("{")
    (project / "queries/orders.graphql").write_text(QUERY)
    assert json.loads(automio("generate", "--json").stdout)["edited"] == []


def test_deleting_an_operation_deletes_its_function(automio: Run, project: Path) -> None:
    automio("generate")
    (project / "queries/orders.graphql").unlink()
    assert "replaced" in (report := json.loads(automio("generate", "--json").stdout))
    assert "app_130/orders.py" in report["replaced"]
    for name in ("app_130/orders.py", "app_130/aio/orders.py"):
        assert "all_orders" not in (project / name).read_text()


def test_unused_operations_are_told_where_asked(automio: Run, project: Path) -> None:
    (project / "queries/orders.graphql").write_text(f"{QUERY}query Seldom {{ app_130_orders {{ id }} }}\n")
    (project / "app.py").write_text("from app_130 import orders\n\norders.all_orders()\n")
    for hidden in (".venv/x.py", "node_modules/x.py", "venv2/lib/x.py"):
        (project / hidden).parent.mkdir(parents=True)
        (project / hidden).write_text("seldom")
    (project / "venv2/pyvenv.cfg").write_text("")
    assert "AUTOMIO-133" not in automio("generate").stdout
    done = automio("generate", "--unused")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:4] == [
        "queries/orders.graphql:2:7: no Python file of this project names app_130.orders.seldom [AUTOMIO-133]",
        "  2 | query Seldom { app_130_orders { id } }",
        "    |       ^",
        "  hint: Remove the operation, if nobody else calls it.",
    ]
    assert done.stdout.count("AUTOMIO-133") == 1
    (project / "job.py").write_text("call('seldom')\n")
    assert "diagnostics" not in json.loads(automio("generate", "--unused", "--check", "--json").stdout)
    assert automio("generate", "--watch", "--unused").returncode == 2
