"""Compiled operations hold what they promise: valid documents, models that read answers, variables that scoping maps."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from graphql import build_schema, parse, validate

from automio.codegen.config import load_config
from automio.codegen.pipeline import build
from automio.codegen.write import write
from automio.dialect.names import snake_case
from automio.runtime import call
from automio.runtime.call import Operation
from automio.scope.values import apply_rules

from .conftest import schema_of

CASES = Path(__file__).resolve().parent.parent / "golden" / "codegen"
GOOD = sorted(path.parent.name for path in CASES.glob("*/expected"))
ORDER = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def load(packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a generated module by its path below the packages, and forgets it after the test."""
    monkeypatch.setattr(call, "_registered", dict(call._registered))
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.split(".")[0] in GOOD:
            del sys.modules[name]


def operations(module: ModuleType) -> dict[str, Operation[Any]]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Operation)}


def all_operations(root: Path, load: Any) -> Iterator[Operation[Any]]:
    for path in sorted(root.glob("*/*.py")):
        if path.name != "__init__.py":
            name = ".".join((root.name, *path.relative_to(root).with_suffix("").parts))
            yield from operations(load(name)).values()


@pytest.mark.parametrize("case", GOOD)
def test_every_document_is_valid(case: str, packages: Path, load: Any) -> None:
    schema = build_schema(schema_of(CASES / case).read_text(), assume_valid_sdl=True)
    found = list(all_operations(packages / case, load))
    for operation in found:
        text = operation.bound(operation.facts.app).text
        assert not validate(schema, parse(text)), text
        assert operation.decoder
    assert found


def test_both_spellings_of_a_column_are_read(load: Any) -> None:
    orders = load("order_id_beside_orderId.app_130.orders")
    row = orders.BothOrder.model_validate({"orderId": "a", "order_id": 1, "OrderID": None, "orderID": ORDER})
    assert (row.order_id_3, row.order_id, row.order_id_2, row.order_id_4) == ("a", 1, None, UUID(ORDER))
    assert row.model_dump(by_alias=True, mode="json") == {
        "orderId": "a",
        "order_id": 1,
        "OrderID": None,
        "orderID": ORDER,
    }


def test_reserved_names_are_read(load: Any) -> None:
    classes = load("reserved_names.app_130.classes")
    data = {field.alias or name: None for name, field in classes.ListClass.model_fields.items()}
    data |= {"class": "c", "date": "2026-02-03", "other": "2026-02-04", "None": ORDER, "mro": "m", "json": {"a": [1]}}
    row = classes.ListClass.model_validate(data)
    assert (row.class_, row.mro_, row.json_, row.date.day, row.other.day) == ("c", "m", {"a": [1]}, 3, 4)


def test_fragments_are_merged_and_optional_where_a_directive_says_so(load: Any) -> None:
    orders = load("fragments.app_130.orders")
    row = {"id": ORDER, "orderId": "a", "status": "new", "messages": [{"id": ORDER, "messageContent": "hi"}]}
    merged = orders.MergedOrder.model_validate(row)
    assert merged.messages[0].message_content == "hi" and merged.messages[0].id == UUID(ORDER)
    full = orders.FullOrder.model_validate(row | {"total": "1.50"})
    assert isinstance(full, orders.OrderHead) and full.status == "new"
    maybe = orders.MaybeOrder.model_validate({"status": "new", "total": None})
    assert maybe.id is None and maybe.order_id is None


def test_foreign_rows_become_none(load: Any) -> None:
    messages = load("nested.app_130.messages")
    assert messages.OneMessage.model_validate({"messageContent": "hi", "order": None}).order is None
    assert [step.path for step in messages.ONE.plan] == [
        ("messages_by_pk",),
        ("messages_by_pk", "order"),
    ]


def test_variables_are_mapped_and_scoped(load: Any) -> None:
    orders = load("sample.app_130.orders")
    index = orders.FIND.facts.index("130")
    where = {"buyer_login": {"_eq": "x"}, "messages": {"message_content": {"_ilike": "%a%"}}}
    sent = apply_rules(
        orders.FIND.rules,
        {"where": where, "order_by": {"created_at": "desc"}, "distinct_on": ["order_id"]},
        7,
        index,
        python_names=True,
    )
    own = {"organization_id": {"_eq": 7}}
    assert sent == {
        "where": {"buyerLogin": {"_eq": "x"}, "messages": {"_and": [own, {"messageContent": {"_ilike": "%a%"}}]}},
        "order_by": {"created_at": "desc"},
        "distinct_on": ["orderId"],
    }


def test_models_of_aggregates_are_made_late_and_once(load: Any) -> None:
    orders = load("whole_table.app_130.orders")
    aio = load("whole_table.app_130.aio.orders")
    assert not {name for name in vars(orders) if name.startswith("Order")} - {"Order"}
    found = orders.OrderAggregate
    assert found is orders.OrderAggregate is aio.OrderAggregate and found.__module__ == orders.__name__
    numbers = found.model_validate_json('{"count": 2, "sum": {"total": "1.50"}, "max": {"orderId": "b"}}')
    assert (str(numbers.sum.total), numbers.sum.pieces, numbers.avg, numbers.max.order_id) == ("1.50", None, None, "b")
    assert type(numbers.sum) is orders.OrderSum
    with pytest.raises(AttributeError, match="has no attribute 'OrderMedian'"):
        _ = orders.OrderMedian


def test_an_aggregate_asks_for_what_is_named_and_nothing_else(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = load("whole_table.app_130.orders")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(orders, "run", lambda operation, variables, organization: sent.append(variables))
    orders.aggregate(sum=["total"], max=["order_id", "id"])
    asked = {name for name, value in sent[0].items() if value is True}
    assert asked == {"sum", "sum_total", "max", "max_order_id", "max_id"}
    assert not {name for name in sent[0] if name.startswith(("avg_", "min_", "sum_p"))}


def test_another_installation(load: Any) -> None:
    orders = load("sample.app_130.orders")
    bound = orders.UPSERT_MANY.bound("131")
    assert "app_130_" not in bound.text and "insert_app_131_orders" in bound.text
    assert {rule.table for rule in bound.rules} <= {"", "app_131_orders"}
    assert "insert_orders:" in bound.text


def test_the_organization_is_no_argument(load: Any) -> None:
    orders = load("orders_by_id.app_130.orders")
    assert orders.GET_BY_ORDER_ID.scope_variable == "organization_id"
    assert "$organization_id: Int!" in orders.GET_BY_ORDER_ID.bound("130").text


def distinct(text: str, taken: set[str]) -> str:
    """Operations whose names differ in case alone would be one function, which is an error: the later one is renamed."""

    def rename(match: re.Match[str]) -> str:
        name = match[2]
        while snake_case(name) in taken:
            name += "Again"
        taken.add(snake_case(name))
        return f"{match[1]} {name}"

    return re.sub(r"(?m)^(query|mutation|subscription) (\w+)", rename, text)


@pytest.mark.parametrize("name", ["learn_go", "learn_dotnet_todo", "intuition", "carnet_de_bord"])
def test_a_real_schema(name: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a real project's operations and tables give imports, and its documents are valid."""
    real = shared / "schemas" / "real"
    (tmp_path / "queries").mkdir()
    taken: set[str] = set()
    for path in sorted((real / f"{name}.operations").iterdir()):
        (tmp_path / "queries" / path.name).write_text(distinct(path.read_text(), taken))
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "all.graphql").write_bytes((real / f"{name}.graphql").read_bytes())
    package = f"real_{name}"
    (tmp_path / "codegen.toml").write_text(f'package = "{package}"\n[tenancy]\nenabled = false\n')
    config = load_config(tmp_path / "codegen.toml")
    built = build(config)
    assert not {w.code for w in built.warnings} - {"AUTOMIO-126"}
    write(config, built.files)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(call, "_registered", {})
    schema = build_schema((tmp_path / "schema" / "all.graphql").read_text(), assume_valid=True, assume_valid_sdl=True)
    count = 0
    for path in sorted((tmp_path / package).glob("*.py")):
        if path.name != "__init__.py":
            for operation in operations(importlib.import_module(f"{package}.{path.stem}")).values():
                assert not validate(schema, parse("".join(operation.document))), operation.name
                assert operation.decoder
                count += 1
    assert count > 5
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        del sys.modules[module]
