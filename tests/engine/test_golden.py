"""Every folder of tests/golden/engine/: setup.sql and request.graphql -> plan.txt, statement.sql, response.json.

Optional inputs: variables.json, caller.json ({"organization": 1}), permissions.json (table -> role -> kind -> what a
create_<kind>_permission gets), metadata.json (what replace_metadata gets). A request that is refused has a response only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine, _Reading
from automio.engine.metadata_format import permission
from automio.engine.metadata_types import RolePermissions
from automio.engine.plan_types import pretty
from automio.engine.refusal import Refusal
from automio.engine.render import Statement
from automio.errors import EngineError

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "engine"
CASES = sorted(path.parent for path in GOLDEN.glob("*/request.graphql"))
CLEAN = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP TABLE IF EXISTS automio.metadata;"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=2)
    yield engine
    await engine.close()


def statement_text(statement: Statement) -> str:
    """The statement with its parameters as comments above."""
    lines = [f"-- ${i}: {pretty(one)}" for i, one in enumerate(statement.parameters, 1)]
    return "\n".join([*lines, f"{statement.text};", ""])


def serve(engine: Engine, given: dict[str, Any]) -> None:
    """The engine with these permissions."""
    tables = dict(engine.catalog.tables)
    for name, roles in given.items():
        made = {
            role: RolePermissions(**{kind: permission(kind, one, None) for kind, one in kinds.items()})  # type: ignore[arg-type]
            for role, kinds in roles.items()
        }
        tables[name] = replace(tables[name], permissions=made)
    engine._reading = _Reading(replace(engine.catalog, tables=tables), False)


async def first_answer(engine: Engine, caller: Caller, body: dict[str, Any]) -> bytes:
    """The answer, or the first one of a subscription."""
    try:
        subscription = engine.subscribe(caller, body)
    except Refusal as refusal:
        return refusal.body()
    if subscription is None:
        return await engine.execute(caller, body)
    answer = await anext(subscription)
    subscription.close()
    return answer


async def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_golden(case: Path, engine: Engine, update_golden: bool) -> None:
    await engine.run_sql(CLEAN + (case / "setup.sql").read_text())
    if (case / "metadata.json").is_file():
        await engine.admin({"type": "replace_metadata", "args": json.loads((case / "metadata.json").read_text())})
    if (case / "permissions.json").is_file():
        serve(engine, json.loads((case / "permissions.json").read_text()))
    body = {"query": (case / "request.graphql").read_text()}
    if (case / "variables.json").is_file():
        body["variables"] = json.loads((case / "variables.json").read_text())
    caller = Caller()
    if (case / "caller.json").is_file():
        caller = Caller(**json.loads((case / "caller.json").read_text()))
    found: dict[str, str] = {}
    try:
        found["plan.txt"] = pretty(await engine.plan(caller, body)) + "\n"
        found["statement.sql"] = "\n".join(map(statement_text, await engine.explain(caller, body)))
    except EngineError:
        pass
    answer = json.loads(await first_answer(engine, caller, body))
    found["response.json"] = json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    for name in ("plan.txt", "statement.sql", "response.json"):
        path = case / name
        if update_golden:
            path.unlink(missing_ok=True)
            if name in found:
                path.write_text(found[name])
        else:
            expected = path.read_text() if path.is_file() else None
            assert found.get(name) == expected, f"{path.name}: if it is right, run pytest --update-golden"
