"""ReshapePlan + response -> response, as the caller's own document would have shaped it. Made by walk.py; runs per call.

Some things of the scoped document look different from what was asked, and each has one action:
- a row by key was asked as a list of at most one row: FIRST makes it that row, or None;
- an update or delete by key was asked as one by filter: RETURNING_FIRST takes the row out of `returning`;
- an object relationship cannot be filtered: the row came with its organization under a helper key. OWN makes a row of
  another organization None and takes the helper away;
- the rows of a stream came with the column of its cursor under a helper key: STRIP takes it away (stream.py).

Places are paths of response keys, never names of fields: a list may be called `x_by_pk`. The steps stand in the order of
the document, outer before inner, so an inner path is written in the final shape. No import of graphql-core here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Action(Enum):
    """What a step does at its place."""

    FIRST = "first"
    RETURNING_FIRST = "returning_first"
    OWN = "own"
    STRIP = "strip"

    def __repr__(self) -> str:
        return f"Action.{self.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a response. Lists on the way are gone through; a key that is missing or null ends the way.

    `repr` is Python source.
    """

    path: tuple[str, ...]
    action: Action
    helper: str = ""


ReshapePlan = tuple[Step, ...]


def reshape(data: dict[str, Any], plan: ReshapePlan, organization: int | None) -> dict[str, Any]:
    """`data` changed in place and returned. It must be a freshly decoded answer that nobody else holds."""
    for step in plan:
        _go(data, step.path, 0, step, organization)
    return data


def _go(node: Any, path: tuple[str, ...], depth: int, step: Step, organization: int | None) -> None:
    if type(node) is list:
        for item in node:
            _go(item, path, depth, step, organization)
    elif type(node) is dict:
        key = path[depth]
        below = node.get(key)
        if below is None:
            return
        if depth + 1 < len(path):
            _go(below, path, depth + 1, step, organization)
        elif step.action is Action.FIRST:
            node[key] = _first(below)
        elif step.action is Action.RETURNING_FIRST:
            node[key] = _first(below.get("returning")) if type(below) is dict else None
        elif step.action is Action.STRIP:
            _strip(below, step.helper)
        else:
            node[key] = _own(below, step.helper, organization)


def _first(rows: Any) -> Any:
    return rows[0] if type(rows) is list and rows else None


def _strip(rows: Any, helper: str) -> None:
    for row in rows if type(rows) is list else [rows]:
        if type(row) is dict:
            row.pop(helper, None)


def _own(row: Any, helper: str, organization: int | None) -> dict[str, Any] | None:
    """The row without its helper when it is the organization's, else None. A bigint may come as text."""
    found = row.pop(helper, None) if type(row) is dict else None
    if found is None or organization is None or type(found) is bool:
        return None
    return row if found == organization or found == str(organization) else None
