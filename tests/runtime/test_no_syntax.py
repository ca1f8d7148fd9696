"""A compiled call does no work on syntax: no function of graphql-core runs, and none of the walk's. Nor does an ad-hoc call
whose text is kept. What runs is watched, not what is imported: gql loads graphql-core at the first request."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import graphql
import pytest

import automio.runtime.http  # loads gql and graphql-core before anything is watched
import automio.scope
from automio.runtime.client import run_async
from automio.wrapper import API

ID = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
FILTER = {"messages": {"message_content": {"_like": "a%"}, "_not": {"order": {"total": {"_gt": 1}}}}}
ROWS = [{"order_id": "A", "messages": {"data": [{"message_content": "x"}]}}]
CONFLICT = {"constraint": "app_130_orders_pkey", "update_columns": ["order_id"], "where": FILTER}
CALLS: list[tuple[str, dict[str, Any], Any]] = [
    ("find", {"where": FILTER, "order_by": [{"order_id": "asc"}], "limit": 3}, {"orders": []}),
    ("get", {"id": ID}, {"order": []}),
    ("by_order_id", {"order_id": "A"}, {"orders": []}),
    ("messages", {"where": {"order": {"order_id": {"_eq": "A"}}}}, {"messages": []}),
    ("update", {"where": FILTER, "set": {"order_id": "B"}}, {"change": {"affected_rows": 1}}),
    ("update_by_pk", {"id": ID, "set": {"order_id": "B"}}, {"order": {"returning": []}}),
    ("upsert", {"objects": ROWS, "on_conflict": CONFLICT}, {"change": {"affected_rows": 1}}),
]
GRAPHQL = str(Path(graphql.__file__).parent)
SCOPE = Path(automio.scope.__file__).parent
WALK = {
    str(SCOPE / f"{name}.py") for name in ("walk", "document", "inputs", "nodes", "printing", "stream", "variables")
}


async def on_syntax(work: Callable[[], Awaitable[Any]]) -> set[str]:
    """The functions on syntax that ran in this thread, in which the loop is."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and (code.co_filename.startswith(GRAPHQL) or code.co_filename in WALK):
            found.add(f"{Path(code.co_filename).name}:{code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        await work()
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize(("name", "variables", "data"), CALLS, ids=[name for name, _, _ in CALLS])
async def test_a_compiled_call(
    name: str, variables: dict[str, Any], data: Any, environment: Any, app: SimpleNamespace
) -> None:
    environment.data(**data)
    async with API():
        assert await on_syntax(lambda: run_async(getattr(app, name), variables)) == set()
    [sent] = environment.exchanges
    assert b":2" in sent.raw, "it was scoped all the same"


async def test_a_kept_text(environment: Any, app: SimpleNamespace) -> None:
    text = "query ($w: app_130_orders_bool_exp) { app_130_orders(where: $w) { messages { order { id } } } }"
    variables = {"w": {"messages": {"messageContent": {"_eq": "a"}}}}
    async with API() as api:
        first = await on_syntax(lambda: api.tables.execute_async(text, variables))
        assert any(name.startswith("parser.py:") for name in first), "what is looked for shows when it is there"
        assert any(name.startswith("walk.py:") for name in first)
        assert await on_syntax(lambda: api.tables.execute_async(text, variables)) == set()
        assert await on_syntax(lambda: api.tables.execute_async(text, {}, organization_id=5)) == set()
