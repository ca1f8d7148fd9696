"""notify_me: a subject and a text -> POST /api/integrations/mailer/notify-me/. Next: rest.py."""

from __future__ import annotations

from automio.errors import NotificationError
from automio.runtime.per_loop import PerLoop
from automio.services.answers import answered
from automio.services.rest import Rest


async def notify(rests: PerLoop[Rest], subject: str, text: str, html: str | None) -> None:
    """Sent once more only where it surely was not sent: nobody wants a message twice."""
    for name, value in (("subject", subject), ("text", text), ("html", html or "")):
        if not isinstance(value, str):
            raise NotificationError(f"{name} is a text, not {type(value).__name__}.")
    if not subject.strip():
        raise NotificationError("a notification needs a subject.")
    reply = await rests.current().request(
        "POST",
        "/integrations/mailer/notify-me/",
        source="notify_me",
        json={"subject": subject, "text": text, "html": html},
    )
    answered(reply, "the notification was refused", NotificationError)
