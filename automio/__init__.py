"""automio: a typed, GraphQL-first data layer for tables behind Hasura, scoped to one organization.

Importing this does nothing; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automio.errors import (
        AutomioError,
        CodegenError,
        ConfigError,
        ConnectError,
        DecodeError,
        EngineError,
        GraphQLErrors,
        LocalError,
        ProtocolError,
        RequestTimeout,
        ResponseError,
        ScopeError,
        TransportError,
    )
    from automio.request import UNSET, GraphQLError, GraphQLRequest, GraphQLResponse
    from automio.runtime.call import Repeat
    from automio.runtime.client import all_organizations, organization
    from automio.scope.values import all_rows

__all__ = [
    "UNSET",
    "AutomioError",
    "CodegenError",
    "ConfigError",
    "ConnectError",
    "DecodeError",
    "EngineError",
    "GraphQLError",
    "GraphQLErrors",
    "GraphQLRequest",
    "GraphQLResponse",
    "LocalError",
    "ProtocolError",
    "Repeat",
    "RequestTimeout",
    "ResponseError",
    "ScopeError",
    "TransportError",
    "all_organizations",
    "all_rows",
    "organization",
]

_HOMES = {
    "UNSET": "request",
    "GraphQLError": "request",
    "GraphQLRequest": "request",
    "GraphQLResponse": "request",
    "Repeat": "runtime.call",
    "all_organizations": "runtime.client",
    "organization": "runtime.client",
    "all_rows": "scope.values",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'automio' has no attribute {name!r}")
    value = getattr(import_module(f"automio.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
