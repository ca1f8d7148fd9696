"""A provider's Answer -> what the platform answers. Used by integrations.py; the form is that of published clients.

    {"api_data": …, "api_response": {"status_code", "text", "headers", "url", "ok"}, "connection_id": …}

A JSON body goes into the envelope as it came, once it is known to be JSON. In `call`, a successful binary body goes out by itself,
with the provider's content type; elsewhere it is base64, marked by `api_data_encoding`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json, to_json

from automio.local.integration_config import ConnectionConfig
from automio.local.provider import Answer

JSON: Final = "application/json; charset=utf-8"
_NO_BODY: Final = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def mirrored(answer: Answer, connection: ConnectionConfig) -> Reply:
    """The answer to /call/. A binary body goes out as it came; everything else in the envelope, with the provider's status."""
    wait = {} if answer.wait is None else {"Retry-After": str(math.ceil(min(answer.wait, 1e9)))}  # its Date is not ours
    if answer.body and not answer.is_text and 200 <= answer.status < 300:
        more = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in ("content-type", "date", "server", "content-length")
        }
        more["X-Automio-Url"] = answer.url
        more["X-Automio-Connection-Id"] = str(connection.id)
        return Reply(answer.status, answer.body, answer.headers.get("Content-Type", "application/octet-stream"), more)
    status = 200 if answer.status in _NO_BODY or answer.status < 200 else answer.status
    if status > 599:  # no HTTP server of ours can say that; the envelope does
        status = 500
    return Reply(status, envelope(answer, {"connection_id": connection.id}), headers=wait)


def envelope(answer: Answer, ids: Mapping[str, Any]) -> bytes:
    text, data, more = "", b"null", b""
    if answer.is_text:
        text = answer.text()
        data = _data(answer, text)
    elif answer.body:
        data, more = b'"%b"' % base64.b64encode(answer.body), b',"api_data_encoding":"base64"'
    response = {
        "status_code": answer.status,
        "text": text,
        "headers": answer.headers,
        "url": answer.url,
        "ok": 200 <= answer.status < 400,
    }
    for name, value in ids.items():
        more += b',"%b":%d' % (name.encode(), value)
    return b'{"api_data":%b,"api_response":%b%b}' % (data, dump(response), more)


def _data(answer: Answer, text: str) -> bytes:
    """JSON text: the body itself where it is JSON, null where it says so and is not, else its text."""
    says_json = answer.kind.endswith("json")
    if says_json or not answer.kind:
        try:
            value = text.removeprefix("\ufeff").encode()
            from_json(value, allow_inf_nan=False)
        except ValueError:
            return b"null" if says_json or not text else dump(text)
        return value if b"\n" not in value and b"\r" not in value else dump(json.loads(value))  # a stream has lines
    return dump(text) if text else b"null"


def dump(value: Any) -> bytes:
    try:
        return to_json(value)
    except ValueError:  # a half of a surrogate pair
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
