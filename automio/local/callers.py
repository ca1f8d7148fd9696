"""The headers of a request -> the Caller that Hasura's rules make of them. Used by platform.py; the engine decides what it may do.

| admin secret is       | the request has            | it is                                                            |
|-----------------------|----------------------------|------------------------------------------------------------------|
| not set               | anything                   | the role in X-Hasura-Role, else the admin                        |
| set                   | the secret                 | the same                                                         |
| set                   | another secret             | refused                                                          |
| set                   | none                       | the unauthorized role, if one is configured; else refused        |

Every header `x-hasura-…` is a session variable, by its name in lower case, except the secrets and the switch below. They are
what the client says, as in Hasura also for the unauthorized role; only the role itself it can't choose.

`x-hasura-use-backend-only-permissions: true` makes permissions count that are `backend_only`, for a caller with the secret, or
where none is set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automio.engine.engine import Caller

Headers = Mapping[bytes, bytes]

_SECRETS = (b"x-hasura-admin-secret", b"x-hasura-access-key")
_BACKEND = b"x-hasura-use-backend-only-permissions"
_PREFIX = b"x-hasura-"
_TRUE = ("true", "t", "yes", "y")
_FALSE = ("false", "f", "no", "n")


class NotACaller(Exception):
    """Nobody may ask with these headers. `code` and `message` are Hasura's."""

    def __init__(self, message: str, code: str = "access-denied") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def caller_of(headers: Headers, admin_secret: str | None, unauthorized_role: str | None = None) -> Caller:
    """Who asks. Raises NotACaller. Secrets are compared by hash, so the time it takes says nothing about them."""
    from automio.engine.engine import Caller

    session = {
        _text(name): _text(value)
        for name, value in headers.items()
        if name.startswith(_PREFIX) and name not in _SECRETS and name != _BACKEND
    }
    if admin_secret is not None:
        given = next((headers[name] for name in _SECRETS if name in headers), None)
        if given is None and unauthorized_role is not None:
            return Caller(unauthorized_role, session={**session, "x-hasura-role": unauthorized_role})
        if given is None:
            raise NotACaller("x-hasura-admin-secret/x-hasura-access-key required, but not found")
        if _digest(given) != _digest(admin_secret.encode()):
            raise NotACaller("invalid x-hasura-admin-secret/x-hasura-access-key")
    backend = _BACKEND in headers and _boolean(_text(headers[_BACKEND]))
    role = session.get("x-hasura-role", "admin")
    return Caller() if role == "admin" else Caller(role, session=session, backend=backend)


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise NotACaller(
        f"{_text(_BACKEND)}:  Not a valid boolean text. True values are {_list(_TRUE)} and  False values are {_list(_FALSE)}. "
        "All values are case insensitive",
        "bad-request",
    )


def _list(words: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{word}"' for word in words) + "]"


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
