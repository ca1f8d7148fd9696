"""notify-me -> a file in the inbox. On one's own machine nobody sends mail: what would be sent lies there to be read.

    .automio/notifications/<organization>/<time>-<number>.eml        ([notifications] inbox)

An .eml file is a message as mail programs open it, with a text and perhaps an HTML part. GET /notifications lists the token's
organization's own, newest first. Each organization keeps its last KEPT.
"""

from __future__ import annotations

import asyncio
import os
import time
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from automio.local.requests import Answer, Refusal, Request

KEPT: Final = 1000
LONGEST_SUBJECT: Final = 500
LONGEST_TEXT: Final = 1_000_000
_LISTED: Final = 100


class Inbox:
    """The folder; made by the first notification."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, request: Request, _: str) -> Answer:
        body = await request.read()
        subject, text, html = _text(body, "subject", LONGEST_SUBJECT), _text(body, "text"), body.get("html")
        if not subject or text is None:
            raise Refusal(400, "`subject` and `text` are needed")
        if html is not None:
            html = _text(body, "html")
        name = await asyncio.to_thread(self._write, request.organization, subject, text, html)
        return 200, {"success": True, "id": name}

    async def listing(self, request: Request, _: str) -> Answer:
        found = await asyncio.to_thread(self._read, request.organization)
        return 200, {"count": len(found), "results": found}

    def _write(self, organization: int, subject: str, text: str, html: str | None) -> str:
        message = EmailMessage(policy=policy.SMTP)
        message["Subject"] = " ".join(subject.split())  # a line break would begin another header
        message["Date"] = formatdate()
        message["To"] = f"organization-{organization}@localhost"
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        folder = self._folder / str(organization)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = max((int(path.stem.partition("-")[0]) for path in folder.glob("[0-9]*-*.eml")), default=0)
        name = f"{max(time.time_ns(), newest + 1)}-{uuid4().hex[:8]}"  # ascending, also when the clock goes back
        new = folder / f".{name}.new"
        new.write_bytes(bytes(message))
        new.replace(folder / f"{name}.eml")
        for old in sorted(folder.glob("*.eml"))[:-KEPT]:
            old.unlink(missing_ok=True)
        return name

    def _read(self, organization: int) -> list[dict[str, Any]]:
        parser = BytesParser(policy=policy.SMTP)
        found: list[dict[str, Any]] = []
        for path in sorted((self._folder / str(organization)).glob("*.eml"), key=os.fspath, reverse=True)[:_LISTED]:
            try:
                message = parser.parsebytes(path.read_bytes())
            except FileNotFoundError:
                continue
            item: dict[str, Any] = {"id": path.stem, "subject": message["Subject"], "date": message["Date"]}
            for key, kind in (("text", "plain"), ("html", "html")):
                part = message.get_body((kind,))
                item[key] = None if part is None else part.get_content()
            found.append(item)
        return found


def _text(body: dict[str, Any], name: str, limit: int = LONGEST_TEXT) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal(400, f"`{name}` is a text")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Refusal(400, f"`{name}` is Unicode; it holds half of a character") from None
    if size > limit:
        raise Refusal(413, f"`{name}` has more than {limit} bytes")
    return value
