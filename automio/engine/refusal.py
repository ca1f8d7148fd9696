"""What the engine answers instead of data: one error in Hasura's shape. No imports of ours; raised everywhere in engine/.

A refusal has a message, a code and a path (`$.selectionSet.orders.args.where.id._eq`), in Hasura's words. It never holds
SQL, bound arguments, PostgreSQL's DETAIL, or a row of the database.

Faults of the database become refusals by SQLSTATE (the table below, as in Hasura): constraint violations and bad data keep
PostgreSQL's primary message, which names constraints, columns and the caller's own value; everything else says only
"database query error", since the text could show how the statement was built.
"""

from __future__ import annotations

import json
from typing import Any


class Refusal(Exception):
    """The request is answered with one GraphQL error; nothing of it was kept."""

    def __init__(self, message: str, path: str = "$", code: str = "validation-failed") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.code = code

    def again(self) -> Refusal:
        """The same as a new exception: one that is kept in a plan must not collect tracebacks."""
        return Refusal(self.message, self.path, self.code)

    def body(self) -> bytes:
        """The complete response: {"errors": [{"message", "extensions": {"path", "code"}}]}."""
        error = {"message": self.message, "extensions": {"path": self.path, "code": self.code}}
        return json.dumps({"errors": [error]}, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


PERMISSION = "check constraint of an insert/update permission has failed"

_CONSTRAINT = {
    "23001": "Restrict violation. ",
    "23502": "Not-NULL violation. ",
    "23503": "Foreign key violation. ",
    "23505": "Uniqueness violation. ",
    "23514": "Check constraint violation. ",
    "23P01": "Exclusion violation. ",
}


def database_refusal(sqlstate: str, message: str, path: str) -> Refusal:
    """The refusal for a fault of the database. `message` is PostgreSQL's primary message, shown for the first two kinds only."""
    if sqlstate == "23514":
        return Refusal(_CONSTRAINT[sqlstate] + message, path, "permission-error")
    if sqlstate.startswith("23"):
        return Refusal(_CONSTRAINT.get(sqlstate, "") + message, path, "constraint-violation")
    if sqlstate.startswith("22"):
        return Refusal(message, path, "data-exception")
    if sqlstate == "57014":
        return Refusal("database query timeout", path, "unexpected")
    return Refusal("database query error", path, "unexpected")


def foreign_key_refusal(table: str, constraint: str, path: str) -> Refusal:
    """PostgreSQL's own words for a missing parent, used as well when the parent belongs to another organization."""
    text = f'insert or update on table "{table}" violates foreign key constraint "{constraint}"'
    return database_refusal("23503", text, path)


class EnumLiteral(str):
    """A bare name in a document, where a value stands. Inside JSON it is a string."""

    __slots__ = ()


def describe(value: Any) -> str:
    """What a value is, in the words of Hasura's type errors."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case EnumLiteral():
            return "an enum value"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return "a float"
