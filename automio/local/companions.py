"""A companion's request to the local platform -> its answer: cache service, task progress, notifications, plugins.

| request (also below /api; with or without a slash at its end)     | file             |
|--------------------------------------------------------------------|------------------|
| GET /get/{key}, POST /set, DELETE /delete/{key}                    | cache.py         |
| POST /increment, DELETE /delete-tag/{tag}                          | cache.py, ours   |
| POST /set-progress/{task_id}, GET (ours)                           | cache.py         |
| POST /integrations/mailer/notify-me, GET /notifications (ours)     | notifications.py |
| GET /plugins/plugins/get_list/{namespace}                          | plugins.py       |
| GET /plugins/plugin-interfaces/{namespace}/plugins                 | plugins.py       |
| GET /plugins/plugins/code/{namespace}/{integration}                | plugins.py, ours |
| GET /plugins/plugin-interfaces/{namespace}/code                    | plugins.py, ours |

platform.py finds the token and hands over a Request; what a handler sees is the token's organization and apps, so that nothing
that a client writes can name another organization. `App-Token` and `Bearer` are the same here: the cache service's clients
send the token's value as a bearer token. A refusal is an answer too: `{"detail": …}` with its status.

The rest of a path is taken as it came, percent signs and all, and read once: `a/b` and `a%2Fb` are the same key, `..` is two
dots. Headers that newer clients add (X-Action-Id, X-Task-Id, X-Automio-…, X-Organization-Id) are accepted and not looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from automio.errors import CacheError, CacheUnavailable, LocalError
from automio.local.cache import CacheService
from automio.local.config import PlatformConfig
from automio.local.notifications import Inbox
from automio.local.plugins import PluginShelf
from automio.local.requests import Answer, Refusal, Request, WrongMethod

Handler = Callable[[Request, str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """What begins with `prefix`; `rest`: whether something follows it, up to `end`."""

    method: str
    prefix: str
    rest: bool
    handler: Handler
    end: str = ""


class Companions:
    """The handlers of one platform, in its event loop. Nothing is opened before the first request that needs it."""

    def __init__(self, config: PlatformConfig, environment: Mapping[str, str]) -> None:
        self.cache = CacheService(config.home / "valkey", environment)
        inbox, shelf = Inbox(config.inbox), PluginShelf(config)
        self.routes = (
            Route("GET", "/get/", True, self.cache.get),
            Route("POST", "/set", False, self.cache.set),
            Route("DELETE", "/delete/", True, self.cache.delete),
            Route("POST", "/increment", False, self.cache.increment),
            Route("DELETE", "/delete-tag/", True, self.cache.delete_tag),
            Route("POST", "/set-progress/", True, self.cache.set_progress),
            Route("GET", "/set-progress/", True, self.cache.progress),
            Route("POST", "/integrations/mailer/notify-me", False, inbox.deliver),
            Route("GET", "/notifications", False, inbox.listing),
            Route("GET", "/plugins/plugins/get_list/", True, shelf.enabled),
            Route("GET", "/plugins/plugins/code/", True, shelf.plugin_code),
            Route("GET", "/plugins/plugin-interfaces/", True, shelf.page, "/plugins"),
            Route("GET", "/plugins/plugin-interfaces/", True, shelf.interface_code, "/code"),
        )

    def serves(self, path: str) -> bool:
        """Whether a path (encoded, without its prefix) is one of ours."""
        return any(_rest(route, path) is not None for route in self.routes)

    async def answer(self, request: Request) -> Answer:
        """Status and JSON value; refusals included. Raises WrongMethod."""
        found = [(route, rest) for route in self.routes if (rest := _rest(route, request.path)) is not None]
        try:
            for route, rest in found:
                if route.method == request.method:
                    return await route.handler(request, _decoded(rest))
        except Refusal as refusal:
            return refusal.status, {"detail": refusal.detail}
        except (CacheUnavailable, LocalError) as error:
            return 503, {"detail": error.message}
        except CacheError as error:
            return 409, {"detail": error.message}  # what is kept there is something else
        raise WrongMethod(", ".join(sorted({route.method for route, _ in found})))

    async def close(self) -> None:
        """Leave the cache's server; it stops with its last user."""
        await self.cache.close()


def _rest(route: Route, path: str) -> str | None:
    if not route.rest:
        return "" if path in (route.prefix, f"{route.prefix}/") else None
    if not path.startswith(route.prefix):
        return None
    rest = path.removeprefix(route.prefix).removesuffix("/")
    return rest.removesuffix(route.end) if rest.endswith(route.end) else None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(400, "the path is not UTF-8") from None
