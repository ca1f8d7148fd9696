"""Plain values that every layer may hold: UNSET, GraphQLRequest, GraphQLResponse. No imports of ours beyond this line.

Absent and null are two values: UNSET means "not given", None means null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal


class Unset(Enum):
    """The type of UNSET; an enum so that type checkers can narrow `is UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A document and its variables, as the documentation's examples build them."""

    query: str
    variables: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GraphQLError:
    """One error of an answer. Hasura puts its code and path into `extensions`."""

    message: str
    extensions: Mapping[str, Any] = field(default_factory=dict)
    locations: tuple[Any, ...] = ()
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """The answer to a GraphQLRequest. `data` is None when nothing was answered; `errors` is empty when all went well."""

    data: dict[str, Any] | None
    errors: tuple[GraphQLError, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
