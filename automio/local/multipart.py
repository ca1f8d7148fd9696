"""A multipart/form-data body -> its fields and files. Used by integrations.py.

Fields are JSON texts; one that is no JSON stays the text it is (published clients send `method` and `endpoint` bare).
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError

_BARE = frozenset({"method", "endpoint"})


class NotMultipart(Exception):
    """The body can't be read as a form."""


async def read_form(kind: str, body: bytes) -> tuple[dict[str, Any], list[tuple[str, Any, Mapping[str, Any]]]]:
    """(fields, files); a file is (name, content, {"filename", "content_type"}). Raises NotMultipart."""
    fields: dict[str, Any] = {}
    files: list[tuple[str, Any, Mapping[str, Any]]] = []
    loop = asyncio.get_running_loop()
    content = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    content.feed_data(body)
    content.feed_eof()
    try:
        with warnings.catch_warnings():  # aiohttp warns of a header that it cannot read, and takes it for none
            warnings.simplefilter("ignore", RuntimeWarning)
            reader = aiohttp.MultipartReader({"Content-Type": kind}, content)
            while (part := await reader.next()) is not None:
                if not isinstance(part, aiohttp.BodyPartReader) or part.name is None:
                    raise NotMultipart("a part has no name")
                value = bytes(await part.read(decode=True))
                if part.filename is not None:
                    what = part.headers.get("Content-Type", "application/octet-stream")
                    files.append((part.name, value, {"filename": part.filename, "content_type": what}))
                else:
                    fields[part.name] = _field(part.name, value)
    except (ValueError, AssertionError, aiohttp.ClientError, HttpProcessingError) as error:
        raise NotMultipart(str(error)[:200] or "it is cut off") from None
    return fields, files


def _field(name: str, value: bytes) -> Any:
    text = value.decode("utf-8", "replace")
    if name in _BARE:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
