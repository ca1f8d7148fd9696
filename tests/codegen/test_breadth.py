"""What golden cases show as text, run: chosen names are mapped, unions are told apart, the other naming convention is sent."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from automio.errors import DecodeError
from automio.runtime import call as call_module
from automio.runtime.transport import Reply
from automio.scope.values import apply_rules


@pytest.fixture
def load(packages: Path) -> Iterator[Callable[[str], Any]]:
    """Imports a module of a golden case: `load("overrides.app_130.purchases")`."""
    registered = dict(call_module._registered)
    before = set(sys.modules)
    sys.path.insert(0, str(packages))
    yield importlib.import_module
    sys.path.remove(str(packages))
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {path.name for path in packages.iterdir()}:
            del sys.modules[name]
    call_module._registered.clear()
    call_module._registered.update(registered)


def decoded(operation: Any, data: Any) -> Any:
    return operation.decoder(Reply(200, json.dumps({"data": data}).encode()), None)


def test_chosen_names_are_mapped_back(load: Callable[[str], Any]) -> None:
    purchases = load("overrides.app_130.purchases")
    bound = purchases.FIND.bound("130")
    sent = apply_rules(
        bound.rules, {"where": {"external_id": {"_eq": "x"}}}, 2, purchases.FIND.facts.index(), python_names=True
    )
    assert '{"orderId": {"_eq": "x"}}' in json.dumps(sent)


def test_types_of_a_union_are_told_apart(load: Callable[[str], Any]) -> None:
    operations = load("actions_and_remotes.shop.operations")
    rain = {"__typename": "Rain", "day": "TODAY", "summary": None, "millimetres": 2.5, "clouds": []}
    sun = {"__typename": "Sun", "day": "A_DAY_OF_TOMORROW", "summary": "hot", "uv": 7.0}
    found = decoded(operations.FORECAST, {"forecast": [rain, sun]})
    assert [type(each).__name__ for each in found] == ["ForecastForecastRain", "ForecastForecastSun"]
    assert found[1].day == "A_DAY_OF_TOMORROW"
    # The same fields, another type: fields alone would not tell.
    same = [{"__typename": name, "day": "TODAY", "millimetres": 1.0} for name in ("Sun", "Rain")]
    found = decoded(operations.SEARCH, {"search": same})
    assert [type(each).__name__ for each in found] == ["SearchSearchSun", "SearchSearchRain"]
    with pytest.raises(DecodeError):
        decoded(operations.FORECAST, {"forecast": [{**sun, "__typename": "Snow"}]})


def test_what_is_sent_has_typenames_for_them(load: Callable[[str], Any]) -> None:
    operations = load("actions_and_remotes.shop.operations")
    assert "__typename" in operations.SEARCH.bound("").text
    assert "__typename" not in operations.WEATHER.bound("").text
    assert "@cached(ttl: 120)" in load("actions_and_remotes.shop.quotes").CACHED.bound("").text


def test_pages_are_ordered_as_the_schema_spells_it(load: Callable[[str], Any]) -> None:
    orders = load("graphql_default.shop.customer_orders")
    assert orders.ITERATE.facts.index().ascending == "ASC"
    assert "orderBy: $order_by" in orders.ITERATE.bound("").text
    changed = decoded(orders.UPDATE_MANY, {"updateCustomerOrdersMany": [{"affectedRows": 3}]})
    assert changed == [{"affectedRows": 3}]


@pytest.mark.parametrize("value", ["infinity", "-infinity", "0044-03-15T00:00:00+00:00 BC"])
def test_times_that_python_cannot_hold_are_refused_with_their_column(load: Callable[[str], Any], value: str) -> None:
    checkout = load("actions_and_remotes.shop.operations").CHECKOUT
    answer = {
        "accepted": True,
        "quote": None,
        "payment": {"method": "CARD", "receipts": []},
        "attempts": [{"at": value, "error": None}],
    }
    with pytest.raises(DecodeError, match=r"checkout\.attempts\.0\.at"):
        decoded(checkout, {"checkout": answer})
