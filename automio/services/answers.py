"""RestReply -> the value of a success, or the companion's error. Used by plugins.py, notifications.py and tasks.py."""

from __future__ import annotations

from typing import Any

from automio.errors import ServiceError
from automio.services.rest import RestReply


def refused(reply: RestReply, what: str, kind: type[ServiceError]) -> ServiceError:
    """The error for an answer that is none of success."""
    detail = reply.detail()
    said = f": {detail}" if detail else ""
    return kind(f"{what} (status {reply.status}){said}", status=reply.status, detail=detail)


def answered(reply: RestReply, what: str, kind: type[ServiceError]) -> Any:
    """The JSON value of a success. Raises `kind` for every other answer, ProtocolError for one that is no JSON."""
    if not reply.ok:
        raise refused(reply, what, kind)
    return reply.json()
