"""Store on the platform's cache service (CACHE_SERVICE_URL): HTTP with `Authorization: Bearer`. Protocol: wire.md 2.5.

    GET    {url}/get/{key}/      -> {"key", "value", "exists", "ttl"}; a missing key says exists: false
    POST   {url}/set/            {"key", "value", "ttl", "action"?, "tags"?, "if_absent"?} -> {"success": true, …}
    DELETE {url}/delete/{key}/   -> {"success": true, "deleted": bool}
    POST   {url}/increment/      {"key", "by", "ttl"} -> {"value"}              an extension: the local platform has it
    DELETE {url}/delete-tag/{tag}/ -> {"deleted": int}                          an extension
The service finds the organization by the token. Keys are escaped to one segment, so none can walk out of its path or end it.

A service without the extensions answers 404 there, which is told as what it is. `if_absent` is the lock: a service that
does not know it answers without `created`, and then each process computes for itself.
"""

from __future__ import annotations

import json
import math
from typing import Any

from automio.errors import CacheError, CacheUnavailable, TransportError
from automio.runtime.cache_store import Space
from automio.runtime.call import Repeat
from automio.services.rest import Rest, RestReply, segment
from automio.settings import Settings

_REFUSED = frozenset({401, 403})


class ServiceStore:
    """The session to the service in one event loop."""

    def __init__(self, settings: Settings, task_id: str) -> None:
        assert settings.cache_service_url is not None
        token = settings.require("cache_service_token")
        self._rest = Rest(settings.cache_service_url, {"Authorization": f"Bearer {token}"}, settings.timeout)
        self._task = task_id
        self._action = settings.action_id

    async def get(self, space: Space, key: str) -> bytes | None:
        answer = await self._ask("GET", f"/get/{segment(key)}/", space)
        if not isinstance(answer.get("exists"), bool) or "value" not in answer:
            raise CacheError("the cache service's answer to get has no `exists` and `value`.")
        return json.dumps(answer["value"], ensure_ascii=False).encode() if answer["exists"] else None

    async def set(self, space: Space, key: str, text: bytes, seconds: float | None, tags: tuple[str, ...]) -> None:
        more = {"tags": list(tags)} if tags else {}
        answer = await self._ask("POST", "/set/", space, self._body(space, key, text, seconds) | more, Repeat.ALWAYS)
        if answer.get("success") is not True:
            raise CacheError("the cache service did not keep the value.")
        if tags and answer.get("tags") != list(tags):
            raise CacheError("this cache service has no tags; the value is kept without them.")

    async def delete(self, space: Space, key: str) -> bool:
        return (await self._ask("DELETE", f"/delete/{segment(key)}/", space, None, Repeat.ALWAYS)).get(
            "deleted"
        ) is True

    async def delete_tag(self, space: Space, tag: str) -> int:
        answer = await self._ask("DELETE", f"/delete-tag/{segment(tag)}/", space, None, Repeat.ALWAYS, "tags")
        return int(answer.get("deleted", 0))

    async def increment(self, space: Space, key: str, by: int, seconds: float | None) -> int:
        body = {"key": key, "by": by, "ttl": _whole(seconds)}
        answer = await self._ask("POST", "/increment/", space, body, Repeat.WHEN_SAFE, "counters")
        if type(answer.get("value")) is not int:
            raise CacheError("the cache service's answer to increment has no number.")
        return answer["value"]

    async def lock(self, space: Space, key: str, owner: str, seconds: float) -> bool:
        body = self._body(space, f"lock:{key}", json.dumps(owner).encode(), seconds) | {"if_absent": True}
        answer = await self._ask("POST", "/set/", space, body)
        if answer.get("created") is not False:
            return True
        held = await self.get(space, f"lock:{key}")
        if held is None or json.loads(held) != owner:
            return False
        await self._ask("POST", "/set/", space, body | {"if_absent": False})  # ours: it lasts longer
        return True

    async def unlock(self, space: Space, key: str, owner: str) -> None:
        held = await self.get(space, f"lock:{key}")
        if held is not None and json.loads(held) == owner:
            await self.delete(space, f"lock:{key}")

    async def close(self) -> None:
        await self._rest.close()

    def _body(self, space: Space, key: str, text: bytes, seconds: float | None) -> dict[str, Any]:
        body: dict[str, Any] = {"key": key, "value": json.loads(text), "ttl": _whole(seconds)}
        if space.kind == "app" and self._action is not None:
            body["action"] = self._action
        return body

    async def _ask(
        self,
        method: str,
        path: str,
        space: Space,
        body: Any = None,
        repeat: Repeat = Repeat.WHEN_SAFE,
        extension: str = "",
    ) -> dict[str, Any]:
        params: dict[str, object] = {"task_id": self._task, "cache_type": space.kind}
        if space.kind == "app":
            params |= {"action_id": self._action, "app_id": space.app}
        given = {} if body is None else {"json": body}
        try:
            reply = await self._rest.request(
                method,
                path,
                source="cache",
                params=params,
                repeat=repeat,
                **given,
            )
        except TransportError as error:
            raise CacheUnavailable(error.message, hint=error.hint or None) from error
        return _read(reply, extension)


def _read(reply: RestReply, extension: str) -> dict[str, Any]:
    if reply.status in _REFUSED:
        raise CacheUnavailable(
            f"the cache service refused the token (status {reply.status}).", status=reply.status, detail=reply.detail()
        )
    if reply.status in (404, 405) and extension:
        raise CacheError(f"this cache service has no {extension}.", status=reply.status)
    if reply.status >= 500 or reply.status == 429:
        said = f": {reply.detail()}" if reply.detail() else "."
        raise CacheUnavailable(
            f"the cache service answered with status {reply.status}{said}", status=reply.status, detail=reply.detail()
        )
    if not reply.ok:
        raise CacheError(
            f"the cache service refused: {reply.detail() or f'status {reply.status}'}.",
            status=reply.status,
            detail=reply.detail(),
        )
    try:
        answer = reply.json()
    except TransportError as error:
        raise CacheError(error.message, status=reply.status) from error
    if not isinstance(answer, dict):
        raise CacheError("the cache service's answer is not an object.", status=reply.status)
    return answer


def _whole(seconds: float | None) -> int | None:
    """The wire takes whole seconds; a part of one counts as one."""
    return None if seconds is None else max(1, math.ceil(seconds))
