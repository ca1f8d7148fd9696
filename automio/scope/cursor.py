"""Where a `_stream` stands: Cursor + the last answer -> the variables with which it goes on. Made by stream.py.

A stream gives the rows behind a value of its cursor column. After a lost connection it is asked again for the rows behind
the last one that was delivered, in the same text: only variables differ, so an allow-list knows it. The values are taken
as the server wrote them. No import of graphql-core here: generated modules hold a Cursor (its `repr` is source).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automio.errors import ScopeError


@dataclass(frozen=True, slots=True)
class Cursor:
    """The cursor of the stream under a response key.

    `columns` are (column, its response key in a row). `variables` are (column, the variable of its value); `whole` names
    the variable that carries the whole cursor instead, and then only the caller knows which columns it has; `default` is the
    JSON text of that variable's default.
    """

    key: str
    columns: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...] = ()
    whole: str = ""
    default: str = ""

    def check(self, variables: Mapping[str, Any], source: str) -> None:
        """Raises ScopeError for a cursor on a column that is not selected: the stream could not go on after it."""
        known = dict(self.columns)
        for entry in self._given(variables):
            for column in entry.get("initial_value") or ():
                if column not in known:
                    raise ScopeError(
                        f"{source}: the stream's cursor is on {column}, which is not selected.",
                        code="AUTOMIO-208",
                        hint=f"Select {column}, so that the stream can go on where it was.",
                    )

    def behind(self, variables: Mapping[str, Any], data: Any) -> Mapping[str, Any]:
        """`variables` moved behind the last row of `data`, an answer as the server wrote it."""
        rows = data.get(self.key) if isinstance(data, Mapping) else None
        if not isinstance(rows, list) or not rows or not isinstance(rows[-1], Mapping):
            return variables
        row: Mapping[str, Any] = rows[-1]
        values = {column: row[key] for column, key in self.columns if row.get(key) is not None}
        if self.whole:
            entries = [_moved(entry, values) for entry in self._given(variables)]
            return {**variables, self.whole: entries}
        return {**variables, **{name: values[column] for column, name in self.variables if column in values}}

    def _given(self, variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The parts of a whole cursor, the document's default when the caller gave none."""
        if self.default and self.whole not in variables:
            return _entries(json.loads(self.default))
        return _entries(variables.get(self.whole))


def _entries(value: Any) -> list[Mapping[str, Any]]:
    """The parts of a cursor: one object stands for a list of one."""
    if isinstance(value, Mapping):
        return [value]
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def _moved(entry: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    initial = entry.get("initial_value") or {}
    return {**entry, "initial_value": {column: values.get(column, value) for column, value in initial.items()}}
