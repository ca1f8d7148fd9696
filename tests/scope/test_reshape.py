"""ReshapePlan + response."""

from __future__ import annotations

from typing import Any

import pytest

from automio.scope.reshape import Action, Step, reshape

OWN = Step(("m", "o"), Action.OWN, "h")


@pytest.mark.parametrize(
    ("data", "step", "expected"),
    [
        ({"a": [{"x": 1}]}, Step(("a",), Action.FIRST), {"a": {"x": 1}}),
        ({"a": []}, Step(("a",), Action.FIRST), {"a": None}),
        ({"a": None}, Step(("a",), Action.FIRST), {"a": None}),
        ({}, Step(("a",), Action.FIRST), {}),
        ({"a": {"returning": [1]}}, Step(("a",), Action.RETURNING_FIRST), {"a": 1}),
        ({"a": {"returning": []}}, Step(("a",), Action.RETURNING_FIRST), {"a": None}),
        ({"a": None}, Step(("a",), Action.RETURNING_FIRST), {"a": None}),
        ({"m": [{"o": {"h": 7, "x": 1}}, {"o": {"h": 8}}, {"o": None}, {}, None]}, OWN,
         {"m": [{"o": {"x": 1}}, {"o": None}, {"o": None}, {}, None]}),
        ({"m": {"o": {"h": "7"}}}, OWN, {"m": {"o": {}}}),
        ({"m": {"o": {"x": 1}}}, OWN, {"m": {"o": None}}),
        ({"m": {"o": {"h": None}}}, OWN, {"m": {"o": None}}),
        ({"m": [[{"o": {"h": 7}}]]}, OWN, {"m": [[{"o": {}}]]}),
    ],
)  # fmt: skip
def test_one_step(data: dict[str, Any], step: Step, expected: dict[str, Any]) -> None:
    assert reshape(data, (step,), 7) == expected


def test_true_is_not_organization_one() -> None:
    assert reshape({"m": {"o": {"h": True}}}, (OWN,), 1) == {"m": {"o": None}}


def test_without_an_organization_nothing_is_own() -> None:
    assert reshape({"m": {"o": {"h": 7}}}, (OWN,), None) == {"m": {"o": None}}


def test_outer_steps_first() -> None:
    plan = (
        Step(("a",), Action.RETURNING_FIRST),
        Step(("a", "o"), Action.OWN, "h"),
        Step(("a", "o", "p"), Action.OWN, "h"),
    )
    data = {"a": {"returning": [{"o": {"h": 7, "p": {"h": 8}}}]}}
    assert reshape(data, plan, 7) == {"a": {"o": {"p": None}}}


def test_repr_is_source() -> None:
    assert eval(repr(OWN), {"Step": Step, "Action": Action}) == OWN
