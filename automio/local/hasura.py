"""Hasura's endpoints: a body that was read and admitted -> status and JSON. Used by platform.py, which decides who may ask.

| request                                | answer                                                                            |
|----------------------------------------|-----------------------------------------------------------------------------------|
| POST /v1/graphql                       | one answer, or for a batch (a list of requests) a list; always 200                  |
| POST /v1alpha1/graphql                 | the same, but with 400 when the request failed                                     |
| POST /v1/metadata, /v2/query, /v1/query | a request about metadata, or run_sql (engine/admin.py): 200, or the status of its fault |

The three admin's paths take the same requests: Hasura parts them, older setups post everything to /v1/query.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from automio.errors import EngineError

if TYPE_CHECKING:
    from automio.engine.engine import Caller, Engine

GRAPHQL = "/v1/graphql"
LEGACY = "/v1alpha1/graphql"
ADMIN = ("/v1/metadata", "/v2/query", "/v1/query")


async def answer_graphql(engine: Engine, caller: Caller, body: Any, path: str) -> tuple[int, bytes]:
    """A request or a batch of them, one after the other, each by itself."""
    if isinstance(body, list):
        answers = [await _one(engine, caller, one) for one in body]
        return 200, b"[" + b",".join(answers) + b"]"
    answer = await _one(engine, caller, body)
    failed = path == LEGACY and answer.startswith(b'{"errors"')
    return 400 if failed else 200, answer


async def _one(engine: Engine, caller: Caller, body: Any) -> bytes:
    return await engine.execute(caller, body if isinstance(body, dict) else {})


async def answer_admin(engine: Engine, body: Any) -> tuple[int, bytes]:
    """A request of the admin's; the fault's status and body when it is refused."""
    from automio.engine.metadata_format import AdminRefusal

    try:
        return 200, _dump(await engine.admin(body))
    except AdminRefusal as refusal:
        return refusal.status, _dump(refusal.body())
    except EngineError as error:
        internal = {"error": {"message": error.message, "status_code": error.sqlstate}}
        body = {"path": "$.args", "error": "query execution failed", "code": "postgres-error", "internal": internal}
        return 400, _dump(body)


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
