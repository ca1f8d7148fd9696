"""A mutation with a check -> the check's question, then the mutation, or a refusal in its place. Called by client.py.

It comes last, below the hooks: they see one operation and its answer, headers that they added go with both requests, and a
mutation that a hook sends twice is checked twice. The check is a query and repeated as one; when the mutation is repeated
it is not. Nothing is asked when a call gives no foreign key and touches none.

What the server says to the check is read for its counts and goes no further. Between the two requests another client may
write: where that matters, foreign keys that hold the organization leave no gap (docs/tenancy.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from automio.errors import ProtocolError, TransportError
from automio.runtime.decode import cleaned, read_answer
from automio.runtime.scoping import question
from automio.runtime.transport import Reply

if TYPE_CHECKING:
    from automio.runtime.scoping import ScopedOperation
    from automio.runtime.transport import Transport

_NOT_SENT = "the mutation was not sent, since the check of its foreign keys before it failed"


async def ask_first(transport: Transport, operation: ScopedOperation) -> Reply:
    """The answer to a mutation; what the server would answer to a violated foreign key when the check refuses it.

    Raises TransportError with `.sent` False when the check got no answer.
    """
    asking = question(operation)
    if asking is not None:
        sent, asked = asking
        try:
            answer = read_answer(reply := await transport.send(sent), sent.operation.source)
        except TransportError as error:
            _unsent(error)
            raise
        if answer.get("errors"):
            return _answer([_told(error) for error in cleaned(answer["errors"])])
        try:
            refusal = asked.refusal(answer.get("data"))
        except ValueError:
            source = sent.operation.source
            unread = ProtocolError(f"{source}: the answer does not count what was asked.", status=reply.status)
            _unsent(unread)
            raise unread from None
        if refusal is not None:
            return _answer([refusal])
    return await transport.send(operation)


def _unsent(error: TransportError) -> None:
    """Let a failure speak of the mutation, which the server surely did not see."""
    error.message = f"{_NOT_SENT}: {error.message}"
    error.sent = False


def _told(error: dict[str, Any]) -> dict[str, Any]:
    """An error of the check: its code, and its message behind ours. Its places are none of the caller's document."""
    code = (error.get("extensions") or {}).get("code", "unexpected")
    return {"message": f"{_NOT_SENT}: {error.get('message', '')}", "extensions": {"path": "$", "code": code}}


def _answer(errors: list[dict[str, Any]]) -> Reply:
    return Reply(200, json.dumps({"errors": errors}).encode())
