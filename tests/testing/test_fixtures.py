"""automio.testing as an app's own tests use it: pytest in a process of its own, on a copy of the sample, on a real platform."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

from automio.local.postgres import Postgres

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded PostgreSQL")

INI = "[pytest]\npythonpath = .\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n{more}"


@pytest.fixture
def app(pytester: pytest.Pytester, root: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The sample as a project with tests."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name in list(os.environ):
        if name.startswith(("API_", "APP_", "HASURA_", "ORGANIZATION", "PYTEST_ADDOPTS")):
            monkeypatch.delenv(name)
    for name in ("schema", "app_130"):
        shutil.copytree(root / name, pytester.path / name)
    shutil.copy(root / "platform.toml", pytester.path / "platform.toml")
    pytester.makeini(INI.format(more=""))
    pytester.makeconftest('pytest_plugins = ["automio.testing"]')
    return pytester


def passes(app: pytest.Pytester, count: int, *arguments: str) -> pytest.RunResult:
    result = app.runpytest_subprocess("-q", "-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(passed=count)
    return result


def test_each_test_starts_from_the_seeded_rows(app: pytest.Pytester) -> None:
    app.makepyfile(
        """
        import os, threading
        import pytest
        from app_130 import orders, messages
        from app_130.aio import orders as aio
        from automio import testing
        from automio.wrapper import API

        @pytest.mark.parametrize("round", range(3))
        def test_writes_are_gone_in_the_next_test(automio_api, round):
            assert orders.count() == 2
            order = orders.insert({"order_id": "mine"})
            assert orders.get(order.id).order_id == "mine"
            assert orders.count() == 3

        def test_ddl_is_gone_too(automio_api, automio_platform):
            automio_platform.run_sql("DROP TABLE app_130_messages; ALTER TABLE app_130_orders ADD COLUMN x int")
            assert "app_130_messages" not in automio_platform.catalog.tables

        def test_after_ddl(automio_api, automio_platform):
            assert messages.count() == 1
            assert "x" not in automio_platform.catalog.tables["app_130_orders"].columns

        def test_code_that_builds_its_own_api_or_uses_a_thread(automio_api):
            seen = []
            def work():
                with API() as own:
                    assert own.settings.api_base_url == automio_api.settings.api_base_url
                    seen.append(orders.count())
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            assert seen == [2]

        @pytest.mark.parametrize("automio_organization", [1, 2, 3, 77])
        def test_organizations(automio_api, automio_organization):
            assert orders.count() == {1: 2, 2: 3, 3: 1, 77: 0}[automio_organization]
            assert automio_api.settings.organization_id == automio_organization
            orders.insert({"order_id": "x"})

        @pytest.mark.asyncio
        @pytest.mark.parametrize("round", range(2))
        async def test_coroutines(automio_api, round):
            assert await aio.count() == 2
            await aio.insert({"order_id": "mine"})
            assert await aio.count() == 3
            assert orders.count() == 3

        def test_the_environment_is_as_before():
            assert "APP_TOKEN" not in os.environ
        """
    )
    passes(app, 13)
    assert not (app.path / ".automio").exists()


def test_rows_are_insertable(app: pytest.Pytester) -> None:
    (app.path / "schema/app_130_more.sql").write_text(
        """
        CREATE TYPE mood AS ENUM ('calm', 'upset');
        CREATE TABLE app_130_items (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, organization_id int NOT NULL,
            a smallint NOT NULL, b numeric NOT NULL, c float8 NOT NULL, d date NOT NULL, e time NOT NULL, f interval NOT NULL,
            g jsonb NOT NULL, h bytea NOT NULL, i text[] NOT NULL, j mood NOT NULL, k timestamptz NOT NULL, l timestamp NOT NULL,
            m inet NOT NULL, n boolean NOT NULL, o uuid NOT NULL, p varchar NOT NULL, "class" text NOT NULL,
            double numeric GENERATED ALWAYS AS (b * 2) STORED, filled text NOT NULL DEFAULT 'yes', UNIQUE (p), UNIQUE (o));
        CREATE TABLE app_130_nodes (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id int NOT NULL, parent_id uuid NOT NULL,
            UNIQUE (id, organization_id), FOREIGN KEY (parent_id, organization_id) REFERENCES app_130_nodes (id, organization_id));
        """
    )
    (app.path / "codegen.toml").write_text("apps = [130]\n")
    app.makepyfile(
        make_package="""
        import asyncio
        from pathlib import Path
        from automio.cli.sync import Changed, Round
        from automio.local.config import load_platform
        from automio.local.server import running_platform

        async def main():
            local = load_platform(Path("platform.toml"))
            async with running_platform(local) as running:
                await Round(Path("codegen.toml").resolve(), local, running.engine).follow(Changed(tables=True))
        asyncio.run(main())
        """,
        test_rows="""
        import pytest
        from app_130 import billing_entries, items, messages, nodes, orders
        from automio.errors import AutomioError
        from automio.testing import rows

        def test_columns_of_every_kind(automio_api):
            make = rows(items.insert)
            assert len(items.insert_many(make.many(3))) == 3
            row = make(p="given")
            assert row["p"] == "given" and row["j"] == "calm"
            assert not row.keys() & {"number", "double", "filled", "organization_id"}
            assert items.insert(row).organization_id == 1

        def test_names_values_and_numbers(automio_api):
            make = rows("app_130", "orders")
            first, second = make(status="paid"), make(buyerLogin="anna")
            assert first.keys() == {"order_id", "status"} and second["buyer_login"] == "anna"
            assert first["order_id"] != second["order_id"]
            assert [order.status for order in orders.insert_many([first, second])] == ["paid", "new"]
            assert repr(make) == "Rows('app_130_orders')"
            assert rows(orders.Order)().keys() == {"order_id"}

        def test_parents(automio_api):
            make = rows(messages.insert)
            message = messages.insert(make(message_content="hello"))
            assert orders.get(message.order_id).order_id.startswith("order_id-")
            order = orders.insert(rows(orders.insert)())
            assert messages.insert(make(order_id=order.id)).order_id == order.id
            assert "order" not in rows(billing_entries.insert)(), "a key that may be null has no parent made up"
            billing_entries.insert(rows(billing_entries.insert)())
            with pytest.raises(AutomioError, match="Give parent_id or parent"):
                rows(nodes.insert)()

        @pytest.mark.parametrize("given, message", [
            ({"organization_id": 2}, "it is the organization of the API"),
            ({"statsu": "x"}, "Did you mean status"),
        ])
        def test_what_is_refused(given, message):
            with pytest.raises(AutomioError, match=message):
                rows("app_130", "orders")(**given)

        def test_wrong_names():
            with pytest.raises(AutomioError, match="Did you mean orders"):
                rows("app_130", "order")
            with pytest.raises(AutomioError, match="there is no generated package app_131"):
                rows("app_131", "orders")
            with pytest.raises(AutomioError, match="is not of a generated module"):
                rows(print)
        """,
    )
    made = app.runpython(app.path / "make_package.py")
    assert made.ret == 0
    passes(app, 6)


def test_rows_without_a_platform(app: pytest.Pytester) -> None:
    app.makepyfile(
        """
        from datetime import datetime
        from automio.testing import rows

        def test_facts_alone():
            row = rows("app_130", "messages")()
            assert row.keys() == {"message_content", "sent_at", "order"}
            assert row["order"]["data"].keys() == {"created_at", "delivered", "order_id", "status"}
            assert isinstance(row["sent_at"], datetime)
            first, second = rows("app_130", "billing_entries").many(2)
            assert first.keys() == {"allegro_id", "occurred_at", "type", "value"}
            assert all(first[name] != second[name] for name in first)
        """
    )
    passes(app, 1)


def test_the_same_rows_in_each_run(app: pytest.Pytester) -> None:
    app.makepyfile(
        """
        from pathlib import Path
        from automio.testing import rows

        def test_rows():
            with Path("seen.txt").open("a") as file:
                print(rows("app_130", "messages").many(3), file=file)
        """
    )
    passes(app, 1)
    passes(app, 1)
    first, second = (app.path / "seen.txt").read_text().splitlines()
    assert first == second


def test_secrets_are_not_needed_and_real_servers_not_met(app: pytest.Pytester) -> None:
    (app.path / "platform.toml").write_text('[[tokens]]\nenv = "REAL_TOKEN"\norganization = 5\napps = [130]\n')
    (app.path / ".env").write_text("HASURA_GRAPHQL_ENDPOINT=http://127.0.0.1:9/v1/graphql\n")
    app.makepyfile(
        """
        from app_130 import orders
        from automio.wrapper import API

        def test_it(automio_api):
            orders.insert({"order_id": "x"})
            with API():
                assert [order.order_id for order in orders.find()] == ["x"]
        """
    )
    passes(app, 1)


def test_without_platform_toml(app: pytest.Pytester) -> None:
    (app.path / "platform.toml").unlink()
    app.makepyfile("def test_it(automio_api):\n    from app_130 import orders\n    assert orders.count() == 2\n")
    passes(app, 1)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("schema/app_130.sql", "CREATE TABLE x (id int);\nSELEC 1;\n", "schema/app_130.sql:2:1: syntax error"),
        ("platform.toml", "tokns = 1\n", "platform.toml:1:1: unknown key `tokns`"),
    ],
)
def test_what_is_wrong_is_told(app: pytest.Pytester, file: str, text: str, told: str) -> None:
    (app.path / file).write_text(text)
    app.makepyfile("def test_it(automio_api):\n    pass\n")
    result = app.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{told}*"])


def test_on_a_server_of_ones_own(
    app: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DATABASE_URL: databases beside the one that it names, which is left alone, and nothing remains."""
    with Postgres.start(tmp_path_factory.mktemp("server")) as server:
        monkeypatch.setenv("DATABASE_URL", server.dsn)
        app.makepyfile(
            """
            import pytest
            from app_130 import orders

            @pytest.mark.parametrize("round", range(2))
            def test_it(automio_api, automio_platform, round):
                assert orders.count() == 2
                orders.insert({"order_id": "x"})
                assert "/automio_test_" in automio_platform.dsn
            """
        )
        passes(app, 2)

        async def left() -> tuple[list[str], int]:
            connection = await asyncpg.connect(server.dsn)
            databases = [row[0] for row in await connection.fetch("SELECT datname FROM pg_database ORDER BY 1")]
            tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            await connection.close()
            return databases, tables

        assert asyncio.run(left()) == (["postgres", "template0", "template1"], 0)
