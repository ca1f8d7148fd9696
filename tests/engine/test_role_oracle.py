"""Roles against what they must equal: the role whose every permission is "my organization" is the bound caller, a role that
may do everything is the admin, and within an organization the bound caller.

Random documents of shop.py over rows of several organizations; a role is configured by permissions alone and shares none of
the second lock's code paths but `TableRef`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from automio.engine.catalog import Access
from automio.engine.engine import Caller, Engine, _Reading
from automio.engine.metadata_types import (
    DeletePermission,
    InsertPermission,
    RolePermissions,
    SelectPermission,
    UpdatePermission,
)

OWN = {"organization_id": "X-Hasura-Organization-Id"}
BOUND, ADMIN = Caller(organization=1), Caller()
MEMBER = Caller("member", session={"x-hasura-organization-id": "1"})

pytestmark = pytest.mark.asyncio(loop_scope="module")


def everything(filter: dict[str, Any]) -> RolePermissions:
    return RolePermissions(
        SelectPermission(None, filter, allow_aggregations=True),
        InsertPermission(None, filter, filter),
        UpdatePermission(None, filter, filter),
        DeletePermission(filter),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str, shop: ModuleType) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=2)
    await engine.run_sql(shop.script())
    tables = {
        name: replace(
            table,
            permissions={
                "everything": everything({}),
                "member": everything(OWN if table.access is Access.TENANT else {}),
            },
        )
        for name, table in engine.catalog.tables.items()
    }
    engine._reading = _Reading(replace(engine.catalog, tables=tables), False)
    yield engine
    await engine.close()


async def ask(engine: Engine, caller: Caller, text: str) -> Any:
    return json.loads(await engine.execute(caller, {"query": text}))


@pytest.mark.parametrize("seed", range(0, 160, 40))
async def test_a_role_of_an_organization_is_the_bound_caller(engine: Engine, shop: ModuleType, seed: int) -> None:
    for one in range(seed, seed + 40):
        text = shop.Requests(engine.catalog, one).query()
        assert await ask(engine, MEMBER, text) == await ask(engine, BOUND, text), text


@pytest.mark.parametrize("seed", range(2000, 2080, 40))
async def test_its_errors_do_not_depend_on_other_rows(engine: Engine, shop: ModuleType, seed: int) -> None:
    failed = 0
    for one in range(seed, seed + 40):
        text = shop.Requests(engine.catalog, one, failing=True).query()
        found = await ask(engine, MEMBER, text)
        assert ("errors" in found) == ("errors" in await ask(engine, BOUND, text)), text
        failed += "errors" in found
    assert failed, "no request of this batch failed, so nothing was tested"


@pytest.mark.parametrize("seed", range(4000, 4080, 40))
async def test_a_role_that_may_everything_changes_nothing(engine: Engine, shop: ModuleType, seed: int) -> None:
    for one in range(seed, seed + 40):
        text = shop.Requests(engine.catalog, one).query()
        for caller in (ADMIN, BOUND):
            assert await ask(engine, replace(caller, role="everything"), text) == await ask(engine, caller, text), text


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (MEMBER, 1),
        (replace(BOUND, role="everything"), 1),
        (replace(MEMBER, organization=1), 1),
        (replace(MEMBER, organization=2), None),  # both locks: rows of 2 that belong to 1
    ],
)
async def test_writes_reach_own_rows_only(engine: Engine, caller: Caller, expected: int | None) -> None:
    text = "mutation { update_app_1_orders(where: {}, _inc: {total: 0}) { returning { organization_id } } }"
    found = (await ask(engine, caller, text))["data"]["update_app_1_orders"]["returning"]
    assert {row["organization_id"] for row in found} == ({expected} if expected else set())
