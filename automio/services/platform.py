"""Settings -> Rest: the platform's own HTTP API, with the token. Used by notifications.py and plugins.py; next: rest.py."""

from __future__ import annotations

from typing import Any

from automio.errors import ServiceError
from automio.runtime.per_loop import PerLoop
from automio.services.rest import Rest, RestReply
from automio.settings import Settings


def platform_rest(settings: Settings) -> PerLoop[Rest]:
    """A session for each loop. ConfigError at the first use when there is no token; no header stands for an absent value."""

    def make() -> Rest:
        headers = {"Authorization": f"App-Token {settings.require('app_token')}"}
        if settings.app_id is not None:
            headers["X-App-Id"] = str(settings.app_id)
        return Rest(f"{settings.api_base_url}/api", headers, settings.timeout)

    return PerLoop(make)


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
