"""Every folder of tests/golden/engine/: setup.sql and request.graphql -> plan.txt, statement.sql, response.json.

Optional inputs: variables.json, caller.json ({"organization": 1}). A request that is refused has a response only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine
from automio.engine.plan_types import pretty
from automio.engine.render import Statement
from automio.errors import EngineError

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "engine"
CASES = sorted(path.parent for path in GOLDEN.glob("*/request.graphql"))
CLEAN = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"

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


async def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_golden(case: Path, engine: Engine, update_golden: bool) -> None:
    await engine.run_sql(CLEAN + (case / "setup.sql").read_text())
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
    answer = json.loads(await engine.execute(caller, body))
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
