"""Keyset pages over a compiled list operation: batches in the order of a key, in constant memory. Used by generated code.

The operation is a list with the variables `where`, `order_by` and `limit` (what `find` runs). A page is the rows behind
the last key of the page before: `where: {_and: [<the caller's>, <behind>]}`, ordered by the key's columns, so no row is
seen twice and none is missed while others are inserted or deleted, and page 10,000 costs what page 1 costs (an offset
would count through all rows before it). For a key of several columns "behind" is written out, since Hasura has no row
comparison: `a > x OR (a = x AND b > y)`. The key's columns must be unique together, not null, and selected.

The end is an empty page, not a short one: a role may be limited to fewer rows than were asked for.

Client and organization are those of the place where `iterate` is called, not of the place where a page is fetched: a
generator that leaves a `with organization(2)` block half consumed goes on in organization 2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from automio.errors import DecodeError
from automio.request import UNSET, Unset
from automio.runtime.call import Operation
from automio.runtime.client import Client, current_client, run_sync

T = TypeVar("T")
DEFAULT_BATCH: Final = 500


def iterate(
    operation: Operation[list[T]],
    variables: Mapping[str, Any],
    key: Sequence[str] = ("id",),
    batch_size: int = DEFAULT_BATCH,
    organization_id: int | Unset = UNSET,
) -> Iterator[list[T]]:
    """Lists of at most `batch_size` rows, in the key's order; no empty list. One request a list, and one that
    finds the end.

    `key` names columns (GraphQL or Python names). Raises ValueError for a `batch_size` below 1 or an `order_by` in the
    variables, ScopeError at once when there is no organization; while iterating what a call raises.
    """
    pages = _Pages(operation, variables, key, batch_size, organization_id)
    return pages.sync()


def aiterate(
    operation: Operation[list[T]],
    variables: Mapping[str, Any],
    key: Sequence[str] = ("id",),
    batch_size: int = DEFAULT_BATCH,
    organization_id: int | Unset = UNSET,
) -> AsyncIterator[list[T]]:
    """`iterate` for `async for`."""
    pages = _Pages(operation, variables, key, batch_size, organization_id)
    return pages.async_()


class _Pages:
    """What the two faces share: the variables of the next page, and when to stop."""

    def __init__(
        self,
        operation: Operation[list[Any]],
        variables: Mapping[str, Any],
        key: Sequence[str],
        batch_size: int,
        organization_id: int | Unset,
    ) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size!r}")
        if not key:
            raise ValueError("key must name at least one column")
        if variables.get("order_by", UNSET) is not UNSET:
            raise ValueError("pages are ordered by their key: leave order_by out")
        self.operation = operation
        self.key = tuple(key)
        self.batch_size = batch_size
        self.client: Client = current_client()
        self.organization = self.client.typed_organization(operation, organization_id)
        where = variables.get("where", UNSET)
        self.where = None if where is UNSET else where
        self.variables = {
            **variables,
            "order_by": [{column: operation.facts.index().ascending} for column in self.key],
            "limit": batch_size,
        }
        self.read_key: Callable[[Any], list[Any]] | None = None

    def sync(self) -> Iterator[list[Any]]:
        rows = run_sync(self.fetch())
        while rows:
            yield rows
            rows = run_sync(self.fetch(rows[-1]))

    async def async_(self) -> AsyncIterator[list[Any]]:
        rows = await self.fetch()
        while rows:
            yield rows
            rows = await self.fetch(rows[-1])

    async def fetch(self, last: Any = None) -> list[Any]:
        variables = self.variables
        if last is not None:
            behind = keyset(self.key, self.key_of(last))
            variables = {**variables, "where": behind if self.where is None else {"_and": [self.where, behind]}}
        return await self.client.run_async(self.operation, variables, self.organization)

    def key_of(self, row: Any) -> list[Any]:
        if self.read_key is None:
            attributes = [_attribute(row, column, self.operation.source) for column in self.key]
            self.read_key = lambda row: [getattr(row, name) for name in attributes]
        values = self.read_key(row)
        if any(value is None for value in values):
            raise DecodeError(
                "a row has no key, so there is no next page.", path=".".join(self.key), source=self.operation.source
            )
        return values


def keyset(key: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The filter "behind this key", in the order of the key's columns."""
    behind: dict[str, Any] = {key[-1]: {"_gt": values[-1]}}
    for column, value in zip(key[-2::-1], values[-2::-1], strict=True):
        behind = {"_or": [{column: {"_gt": value}}, {"_and": [{column: {"_eq": value}}, behind]}]}
    return behind


def _attribute(row: Any, column: str, source: str) -> str:
    """The model's attribute of a column that is named as in GraphQL (the alias) or in Python."""
    fields = type(row).model_fields
    found = next((name for name, field in fields.items() if field.alias == column), column)
    if found not in fields:
        raise DecodeError(f"the key's column {column} is not selected.", path=column, source=source)
    return found
