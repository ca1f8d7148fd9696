"""What importing costs and loads. Each case runs in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from automio.dialect.index import SchemaIndex

HEAVY = {"gql", "graphql", "aiohttp", "stamina", "tenacity", "redis", "yarl", "httpx", "asyncpg"}

# The shape of a generated module (contracts of codegen), with enough models to feel their cost.
MODULE = """
from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import Field

from automio.request import UNSET, Unset
from automio.runtime.call import Operation
from automio.runtime.client import run
from automio.runtime.model import Model, Numeric
from automio.runtime.pages import iterate as _iterate
from automio.scope.reshape import Action, Step
from automio.scope.rules import Missing, Rule, ValueRule

from ._facts import FACTS

{models}

_FIND: Operation[list[Order0]] = Operation(
    name="Find",
    kind="query",
    document=("query Find($where: app_", "_orders_bool_exp!, $organization: Int!) {{ orders: app_", "_orders(where: $where) {{ id }} }}"),
    facts=FACTS,
    table="orders",
    source="derived: orders.find",
    result=lambda: Data0,
    unwrap=("orders",),
    scope_variable="organization",
    rules=(Rule("where", ValueRule.BOOL_EXP, table="app_130_orders", target="where", missing=Missing.EMPTY),),
)


def find(where: Any = UNSET, *, organization_id: int | Unset = UNSET) -> list[Order0]:
    return run(_FIND, {{"where": where}}, organization_id)
"""
MODELS = """
class Order{n}(Model):
    id: UUID
    order_id: str = Field(alias="orderId")
    total: Numeric | None = None
    created_at: datetime | None = None
    a: str | None = None
    b: int | None = None
    c: bool | None = None


class Data{n}(Model):
    orders: list[Order{n}]
"""


def python(code: str, folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def package(tmp_path: Path, index: SchemaIndex) -> Path:
    folder = tmp_path / "app_130"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_facts.py").write_text(
        f"from automio.runtime.call import Facts\n\nFACTS = Facts('130', {index.facts()!r})\n"
    )
    models = "".join(MODELS.format(n=n) for n in range(10))
    (folder / "orders.py").write_text(MODULE.format(models=models))
    return tmp_path


def test_importing_automio_loads_nothing(tmp_path: Path) -> None:
    code = "import sys; before = set(sys.modules); import automio, json; print(json.dumps(sorted(set(sys.modules) - before)))"
    loaded = set(python(code, tmp_path))
    assert {name for name in loaded if name.startswith("automio")} == {"automio"}
    assert not loaded & (HEAVY | {"pydantic", "asyncio"})


@pytest.mark.parametrize(
    "statement", ["from automio.wrapper import API; API()", "import automio; automio.organization(2)"]
)
def test_the_api_is_built_without_the_heavy_packages(tmp_path: Path, statement: str) -> None:
    loaded = set(python(f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))", tmp_path))
    assert not loaded & HEAVY


def test_a_generated_module_loads_no_heavy_package_before_the_first_call(package: Path) -> None:
    code = """
import sys, json
from app_130 import orders
where = {"order_id": {"_eq": "A"}}
print(json.dumps(sorted(sys.modules)))
"""
    loaded = set(python(code, package))
    assert not loaded & (HEAVY | {"asyncio"}), "no gql, graphql-core or aiohttp; asyncio comes with the first call"


def test_importing_a_generated_module_reads_no_environment(package: Path) -> None:
    (package / ".env").write_text("this is not readable\n")
    code = """
import json, os
os.environ["APP_ID"] = "nonsense"
from app_130 import orders
from automio.errors import ConfigError
try:
    orders.find(organization_id=1)
except ConfigError as error:
    print(json.dumps(str(error)))
"""
    assert ".env:1" in python(code, package)


def test_importing_a_generated_module_is_quick(package: Path) -> None:
    """With 20 models, 20 to 45 ms of CPU seen beside 60 to 105 ms for pydantic itself, the higher figures on a machine
    with other work to do; the design's aim is 30 ms, so the bar is one that noise alone doesn't reach."""
    code = """
import json, time
start = time.process_time()
import pydantic
from pydantic import BaseModel, Field
between = time.process_time()
from app_130 import orders
print(json.dumps([between - start, time.process_time() - between]))
"""
    python(code, package)
    seen = [python(code, package) for _ in range(5)]
    pydantic, ours = (min(column) for column in zip(*seen, strict=True))
    assert ours < max(0.06, 0.75 * pydantic), f"{ours * 1000:.0f} ms beside pydantic's {pydantic * 1000:.0f} ms"


def test_exit_is_quiet_after_sync_and_async_calls(package: Path, server: Any) -> None:
    """No open session, no pending task, no traceback when the interpreter ends with everything left open."""
    server.data(orders=[])
    code = f"""
import asyncio, json, os
os.environ.update(API_BASE_URL={server.url!r}, APP_TOKEN="t", ORGANIZATION_ID="2")
from app_130 import orders
from automio.runtime.client import run_async
orders.find()
asyncio.run(run_async(orders._FIND, {{}}))
print(json.dumps("done"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '"done"\n', "")
    assert len(server.exchanges) == 2
