"""The second lock: a caller bound to an organization sees and changes what it would on a database of its rows alone.

`full` holds the rows of all organizations, `own` only those of organization 1. Requests are not rewritten in any way. For
reads, updates and deletes the bound caller's answer on `full` must be that of an unbound one on `own`; inserts, and requests
whose conditions can fail on a row, are compared with the bound caller on `own`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from automio.engine.catalog import Access
from automio.engine.engine import Caller, Engine
from automio.engine.refusal import PERMISSION

ONE, ADMIN = Caller(organization=1), Caller()
WRITES = [
    # updates and deletes of everything, by key, through relationships, with every operator
    'update_app_1_orders(where: {}, _set: {status: "x"}) { affected_rows returning { id status customer { id } messages(order_by: {id: asc}) { id } } }',
    "update_app_1_orders(where: {customer: {name: {_is_null: false}}}, _inc: {total: 1}) { affected_rows }",
    "update_app_1_orders(where: {_not: {messages: {}}}, _set: {sku: null}) { affected_rows }",
    'update_app_1_orders(where: {messages_aggregate: {count: {predicate: {_gte: 1}}}}, _set: {tags: ["m"]}) { affected_rows }',
    'update_app_1_orders(where: {details: {_has_key: "colour"}}, _append: {details: {n: 1}}) { affected_rows returning { id details } }',
    'update_app_1_orders(where: {sku: {_like: "%"}}, _set: {status: "y"}) { affected_rows }',
    'update_app_1_orders(where: {organization_id: {_neq: 1}}, _set: {status: "z"}) { affected_rows }',
    'update_app_1_orders(where: {}, _set: {organization_id: 1, status: "own"}) { affected_rows }',
    'update_notes(where: {}, _inc: {weight: 1}, _set: {body: "n"}) { affected_rows returning { id order { id } reply { id } } }',
    'update_app_1_messages_many(updates: [{where: {}, _set: {content: "1"}}, {where: {content: {_eq: "1"}}, _set: {content: null}}]) { affected_rows returning { id } }',
    "delete_app_1_messages(where: {}) { affected_rows returning { id order { id } } }",
    "delete_app_1_messages(where: {order: {customer: {}}}) { affected_rows }",
    'delete_app_1_messages(where: {_or: [{content: {_is_null: true}}, {order: {status: {_eq: "new"}}}]}) { affected_rows }',
    *(
        f'a{i}: update_app_1_orders_by_pk(pk_columns: {{id: {i}}}, _set: {{status: "k"}}) {{ id organization_id customer {{ id }} }}'
        for i in range(1, 12)
    ),
    *(f"d{i}: delete_app_1_messages_by_pk(id: {i}) {{ id organization_id }}" for i in range(1, 12)),
]
INSERTS = [
    'insert_app_1_orders(objects: [{id: 900, sku: "n"}, {id: 901, organization_id: 1, total: 3}]) { affected_rows returning { id organization_id status } }',
    'insert_app_1_orders_one(object: {id: 902, organization_id: null, sku: "n"}) { id organization_id }',
    'insert_customers_one(object: {id: 903, name: "c", orders: {data: [{id: 904, messages: {data: [{id: 905, content: "m"}, {id: 906}]}}, {id: 907}]}}) { id organization_id orders(order_by: {id: asc}) { id organization_id messages_aggregate { aggregate { count } } } }',
    'insert_app_1_messages(objects: [{id: 908, content: "child first", order: {data: {id: 909, customer: {data: {id: 910}}}}}]) { affected_rows returning { id order { id organization_id customer { id organization_id } } } }',
    *(
        f'u{i}: insert_app_1_orders(objects: [{{id: {i}, sku: "taken{i}"}}], on_conflict: {{constraint: app_1_orders_pkey, update_columns: [sku, status]}}) {{ affected_rows returning {{ id sku organization_id }} }}'
        for i in range(1, 12)
    ),
    'insert_app_1_orders(objects: [{id: 920, sku: "s"}, {id: 921, sku: "t"}], on_conflict: {constraint: app_1_orders_sku_key, update_columns: [organization_id, total], where: {status: {_eq: "new"}}}) { affected_rows }',
    'insert_notes(objects: [{id: 922, body: "n", reply: {data: {id: 923}}}]) { affected_rows }',
]
REFUSED = [
    "insert_app_1_orders(objects: [{id: 900, organization_id: 2}]) { affected_rows }",
    "insert_app_1_orders(objects: [{id: 900}, {id: 901, organization_id: 3}]) { affected_rows }",
    "insert_customers_one(object: {id: 900, orders: {data: [{id: 901, organization_id: 2}]}}) { id }",
    "update_app_1_orders(where: {}, _set: {organization_id: 2}) { affected_rows }",
    "update_app_1_orders(where: {}, _set: {organization_id: null}) { affected_rows }",
    "update_app_1_orders(where: {}, _inc: {organization_id: 1}) { affected_rows }",
    "update_app_1_orders_by_pk(pk_columns: {id: 1}, _set: {organization_id: 3}) { id }",
    'update_app_1_orders_many(updates: [{where: {}, _set: {status: "x"}}, {where: {}, _set: {organization_id: 2}}]) { affected_rows }',
]
SHARED = [
    'insert_countries(objects: [{code: "xx", name: "x"}]) { affected_rows }',
    'update_countries(where: {}, _set: {name: "x"}) { affected_rows }',
    "delete_countries(where: {}) { affected_rows }",
    'delete_countries_by_pk(code: "de") { code }',
    'insert_customers_one(object: {id: 900, country: {data: {code: "xx", name: "x"}}}) { id }',
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Pair:
    """The same tables, with everybody's rows and with organization 1's rows."""

    full: Engine
    own: Engine
    shop: ModuleType
    addresses: tuple[str, str]

    async def make(self) -> None:
        """The tables with their rows, and copies of these to come back to."""
        copies = "".join(f"CREATE TABLE saved.{name} AS TABLE {name};" for name in self.shop.NAMES)
        copies = f"DROP SCHEMA IF EXISTS saved CASCADE; CREATE SCHEMA saved; {copies}"
        await self.full.run_sql(self.shop.script() + copies)
        await self.own.run_sql(self.shop.script(organization=1) + copies)

    async def fill(self) -> None:
        """Every table as it was made."""
        names = self.shop.NAMES
        text = f"SET session_replication_role = replica; TRUNCATE {', '.join(names)};"
        text += "".join(f"INSERT INTO {name} TABLE saved.{name};" for name in names)
        for address in self.addresses:
            connection = await asyncpg.connect(address)
            await connection.execute(text)
            await connection.close()

    async def rows(self, which: int) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, ordered by key."""
        connection = await asyncpg.connect(self.addresses[which])
        try:
            found: dict[str, list[dict[str, Any]]] = {}
            for name in self.shop.NAMES:
                rows = await connection.fetch(f"SELECT to_jsonb(t) AS row FROM {name} t ORDER BY 1")
                found[name] = [json.loads(row["row"]) for row in rows]
            return found
        finally:
            await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(database: str, second_database: str, shop: ModuleType) -> AsyncIterator[Pair]:
    full, own = [await Engine.connect(one, pool_size=2) for one in (database, second_database)]
    pair = Pair(full, own, shop, (database, second_database))
    await pair.make()
    yield pair
    await full.close()
    await own.close()


async def ask(engine: Engine, caller: Caller, text: str, variables: Any = None) -> Any:
    return json.loads(await engine.execute(caller, {"query": text, "variables": variables}))


def split(rows: dict[str, list[dict[str, Any]]]) -> tuple[Any, Any]:
    """(the rows of organization 1 and of nobody's tables, the rows of all others)."""
    own = {name: [r for r in found if r.get("organization_id", 1) == 1] for name, found in rows.items()}
    return own, {name: [r for r in found if r.get("organization_id", 1) != 1] for name, found in rows.items()}


@pytest.mark.parametrize("seed", range(0, 400, 40))
async def test_reads_are_those_of_the_own_rows(pair: Pair, seed: int) -> None:
    for one in range(seed, seed + 40):
        text = pair.shop.Requests(pair.full.catalog, one).query()
        bound = await ask(pair.full, ONE, text)
        assert bound == await ask(pair.own, ADMIN, text), text
        assert "errors" not in bound, (bound, text)


@pytest.mark.parametrize("seed", range(1000, 1400, 40))
async def test_errors_do_not_depend_on_foreign_rows(pair: Pair, seed: int) -> None:
    failed = 0
    for one in range(seed, seed + 40):
        text = pair.shop.Requests(pair.full.catalog, one, failing=True).query()
        bound = await ask(pair.full, ONE, text)
        assert bound == await ask(pair.own, ONE, text), text
        failed += "errors" in bound
    assert failed, "no request of this batch failed, so nothing was tested"


async def test_a_failing_condition_never_sees_a_foreign_row(pair: Pair) -> None:
    """Organization 9 has no rows: nothing can fail for it, while the condition fails for everybody else."""
    for where in (
        '{sku: {_regex: "("}}',
        '{customer: {name: {_regex: "("}}}',
        '{_not: {messages: {content: {_like: "a\\\\"}}}}',
    ):
        text = f"{{ app_1_orders(where: {where}) {{ id }} }}"
        assert "errors" in await ask(pair.full, ADMIN, text), where
        assert await ask(pair.full, Caller(organization=9), text) == {"data": {"app_1_orders": []}}, where
        text = f'mutation {{ update_app_1_orders(where: {where}, _set: {{status: "x"}}) {{ affected_rows }} }}'
        assert (await ask(pair.full, Caller(organization=9), text)) == {
            "data": {"update_app_1_orders": {"affected_rows": 0}}
        }


@pytest.mark.parametrize("write", WRITES, ids=lambda text: re.sub(r"\W+", "_", text)[:60])
async def test_updates_and_deletes_touch_own_rows_only(pair: Pair, write: str) -> None:
    await pair.fill()
    before = split(await pair.rows(0))
    text = f"mutation {{ {write} }}"
    bound = await ask(pair.full, ONE, text)
    after = split(await pair.rows(0))
    assert after[1] == before[1], "rows of others changed"
    assert sort_returning(bound) == sort_returning(await ask(pair.own, ADMIN, text))
    assert after[0] == split(await pair.rows(1))[0]


@pytest.mark.parametrize("write", INSERTS, ids=lambda text: re.sub(r"\W+", "_", text)[:60])
async def test_inserts_are_of_the_organization(pair: Pair, write: str) -> None:
    await pair.fill()
    before = split(await pair.rows(0))
    text = f"mutation {{ {write} }}"
    bound = await ask(pair.full, ONE, text)
    after = split(await pair.rows(0))
    assert after[1] == before[1], "rows of others changed"
    taken = re.match(r"u(\d+): ", write)
    foreign = taken and any(row["id"] == int(taken[1]) for row in before[1]["app_1_orders"])
    if foreign:
        # The one residual bit: a key that the caller chose is taken. Nothing of the row shows, nothing changes.
        assert bound == {"data": {f"u{taken[1]}": {"affected_rows": 0, "returning": []}}}
        assert after[0] == before[0]
        return
    assert "errors" not in bound
    assert bound == await ask(pair.own, ONE, text)
    assert after[0] == split(await pair.rows(1))[0]


@pytest.mark.parametrize("write", REFUSED, ids=lambda text: re.sub(r"\W+", "_", text)[:60])
async def test_another_organization_is_refused(pair: Pair, write: str) -> None:
    before = await pair.rows(0)
    answer = await ask(pair.full, ONE, f"mutation {{ {write} }}")
    assert [error["message"] for error in answer["errors"]] == [PERMISSION]
    assert answer["errors"][0]["extensions"]["code"] == "permission-error"
    assert await pair.rows(0) == before


@pytest.mark.parametrize("write", SHARED, ids=lambda text: re.sub(r"\W+", "_", text)[:60])
async def test_shared_tables_are_read_only(pair: Pair, write: str) -> None:
    answer = await ask(pair.full, ONE, f"mutation {{ {write} }}")
    assert re.fullmatch(r"field '\w+' not found in type: '\w+'", answer["errors"][0]["message"])
    assert "data" not in answer


async def test_a_foreign_parent_is_a_missing_parent(pair: Pair) -> None:
    await pair.fill()
    rows = (await pair.rows(0))["app_1_orders"]
    foreign = next(row["id"] for row in rows if row["organization_id"] == 2)
    own = next(row["id"] for row in rows if row["organization_id"] == 1)
    note = next(row["id"] for row in (await pair.rows(0))["notes"] if row["organization_id"] == 1)
    for template in (
        "insert_notes_one(object: {id: 800, order_id: %s}) { id }",
        "insert_notes(objects: [{id: 800, order_id: %s}, {id: 801}]) { affected_rows }",
        f"update_notes_by_pk(pk_columns: {{id: {note}}}, _set: {{order_id: %s}}) {{ id }}",
        "update_notes(where: {}, _set: {order_id: %s}) { affected_rows }",
    ):
        answers = [await ask(pair.full, ONE, f"mutation {{ {template % key} }}") for key in (foreign, 99999)]
        assert answers[0] == answers[1], template
        assert answers[0]["errors"][0]["message"].startswith("Foreign key violation.")
        assert "errors" not in await ask(pair.full, ONE, f"mutation {{ {template % own} }}")
        await pair.fill()


async def test_cascades_do_not_reach_foreign_rows(pair: Pair) -> None:
    """Deleting all own orders one by one: each either goes, with own rows only, or is refused since others refer to it."""
    await pair.fill()
    start = await pair.rows(0)
    refused = gone = 0
    for row in start["app_1_orders"]:
        before = split(await pair.rows(0))
        answer = await ask(pair.full, ONE, f"mutation {{ delete_app_1_orders_by_pk(id: {row['id']}) {{ id }} }}")
        assert split(await pair.rows(0))[1] == before[1]
        if row["organization_id"] != 1:
            assert answer == {"data": {"delete_app_1_orders_by_pk": None}}
        elif "errors" in answer:
            refused += 1
            assert answer["errors"][0]["message"].startswith("Foreign key violation.")
            assert any(n["order_id"] == row["id"] and n["organization_id"] != 1 for n in start["notes"]) or any(
                n["organization_id"] != 1 for n in start["notes"]
            )
        else:
            gone += 1
    assert refused and gone


async def test_cascades_are_followed_to_any_depth(pair: Pair) -> None:
    """A tree whose key does not compare organizations: own branches go, a foreign leaf keeps its whole branch."""
    tree = """
        DROP TABLE IF EXISTS tree;
        CREATE TABLE tree (id integer PRIMARY KEY, organization_id integer, parent_id integer REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE);
        INSERT INTO tree SELECT i, 1, NULLIF(i - 1, 0) FROM generate_series(1, 50) i;
        INSERT INTO tree SELECT i, 1, NULLIF(i - 1, 100) FROM generate_series(101, 150) i;
        INSERT INTO tree VALUES (200, 2, 150);
    """
    await pair.full.run_sql(tree)
    assert await ask(pair.full, ONE, "mutation { delete_tree_by_pk(id: 1) { id } }") == {
        "data": {"delete_tree_by_pk": {"id": 1}}
    }
    refused = await ask(pair.full, ONE, "mutation { delete_tree_by_pk(id: 101) { id } }")
    assert refused["errors"][0]["message"] == (
        'Foreign key violation. update or delete on table "tree" violates foreign key constraint "tree_parent_id_fkey" on table "tree"'
    )
    refused = await ask(pair.full, ONE, "mutation { update_tree_by_pk(pk_columns: {id: 150}, _set: {id: 151}) { id } }")
    assert refused["errors"][0]["extensions"]["code"] == "constraint-violation"
    moved = await ask(pair.full, ONE, "mutation { update_tree_by_pk(pk_columns: {id: 149}, _set: {id: 160}) { id } }")
    assert moved == {"data": {"update_tree_by_pk": {"id": 160}}}
    assert await ask(pair.full, ADMIN, "{ tree_aggregate { aggregate { count } } }") == {
        "data": {"tree_aggregate": {"aggregate": {"count": 51}}}
    }
    await pair.full.run_sql("DROP TABLE tree")


async def test_a_view_over_tenant_rows_without_the_column_is_closed(pair: Pair) -> None:
    assert pair.full.catalog.tables["totals"].access is Access.CLOSED
    answer = await ask(pair.full, ONE, "{ totals { status } }")
    assert answer["errors"][0]["message"] == "field 'totals' not found in type: 'query_root'"
    assert "data" in await ask(pair.full, ADMIN, "{ totals { status } }")
    assert pair.full.catalog.tables["open_orders"].access is Access.TENANT


async def test_every_table_in_every_statement_is_scoped(pair: Pair) -> None:
    """In the text of statements of a bound caller: a tenant table stands in a filtered subquery, or is the target of a write."""
    tables = "|".join((*pair.shop.TENANT, "open_orders"))
    named = re.compile(rf'"public"\."({tables})"')
    allowed = re.compile(
        rf'\(SELECT \* FROM "public"\."({tables})" WHERE "organization_id" = \$\d+::int[48]( OFFSET 0)?\)'
        rf'|(UPDATE|DELETE FROM) "public"\."({tables})" AS t0\n *(SET .*\n)? *WHERE t0\."organization_id" = \$\d+::int[48]\b'
        rf'|INSERT INTO "public"\."({tables})" AS t0 \([^)]*"organization_id"[^)]*\)'
        rf'|json_populate_record(?:set)?\(NULL::"public"\."({tables})", '
        rf'|EXISTS \(SELECT FROM \(SELECT \* FROM "public"\."({tables})" WHERE "organization_id" IS DISTINCT FROM \$\d+::int[48]\)'
    )
    texts = [pair.shop.Requests(pair.full.catalog, seed, failing=True).query() for seed in range(300)]
    texts += [f"mutation {{ {write} }}" for write in [*WRITES, *INSERTS]]
    seen = 0
    for text in texts:
        for statement in await pair.full.explain(ONE, {"query": text}):
            seen += len(named.findall(statement.text))
            assert not named.findall(allowed.sub("", statement.text)), statement.text
    assert seen > 1000


def sort_returning(answer: Any) -> Any:
    """Without the order of rows in `returning`, which is that of the table's pages."""
    if isinstance(answer, dict):
        return {
            key: sorted(map(json.dumps, value)) if key == "returning" else sort_returning(value)
            for key, value in answer.items()
        }
    return [sort_returning(one) for one in answer] if isinstance(answer, list) else answer
