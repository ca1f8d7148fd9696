"""API: builds the services and holds them; no logic of its own. `from automio.wrapper import API`.

Settings are read here (settings.py); connections open at the first call (runtime/client.py).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from automio.request import UNSET, Unset
from automio.runtime.client import Ambient, Client, run_sync
from automio.runtime.per_loop import PerLoop
from automio.services.plugin_modules import PluginModules
from automio.services.tables import Tables
from automio.settings import Settings

if TYPE_CHECKING:
    from typing import Self

    from automio.runtime.chain import Middleware
    from automio.services.cache import Cache, WhenDown
    from automio.services.integrations import Integrations
    from automio.services.plugins import Plugins
    from automio.services.tasks import Task


class API:
    """The services of one target, for one token. Every argument falls back to the environment, then `.env`.

    `with API(…) as api:` (or `async with`) makes it the client of typed functions inside, and closes it at the end
    (the last end, when several threads are inside).
    Without `with` it serves its own methods, until close(). Safe to share between threads and event loops.
    Raises ConfigError for a setting that can't be used; an absent token is reported by the call that needs it.
    """

    def __init__(
        self,
        *,
        api_base_url: str | None | Unset = UNSET,
        app_token: str | None | Unset = UNSET,
        app_id: int | str | None | Unset = UNSET,
        action_id: str | int | None | Unset = UNSET,
        task_id: str | int | None | Unset = UNSET,
        organization_id: int | None | Unset = UNSET,
        connection_id: int | str | None | Unset = UNSET,
        hasura_graphql_endpoint: str | None | Unset = UNSET,
        hasura_graphql_admin_secret: str | None | Unset = UNSET,
        cache_service_url: str | None | Unset = UNSET,
        cache_service_token: str | None | Unset = UNSET,
        redis_url: str | None | Unset = UNSET,
        redis_host: str | None | Unset = UNSET,
        redis_port: int | None | Unset = UNSET,
        redis_db: int | None | Unset = UNSET,
        redis_password: str | None | Unset = UNSET,
        timeout: float | None | Unset = UNSET,
        keep_alive: float | None | Unset = UNSET,
        reconnect_timeout: float | None | Unset = UNSET,
        middleware: Iterable[Middleware] = (),
        cache_when_down: WhenDown | None = None,
    ) -> None:
        self.settings = Settings.read(
            api_base_url=api_base_url,
            app_token=app_token,
            app_id=app_id,
            action_id=action_id,
            task_id=task_id,
            organization_id=organization_id,
            connection_id=connection_id,
            hasura_graphql_endpoint=hasura_graphql_endpoint,
            hasura_graphql_admin_secret=hasura_graphql_admin_secret,
            cache_service_url=cache_service_url,
            cache_service_token=cache_service_token,
            redis_url=redis_url,
            redis_host=redis_host,
            redis_port=redis_port,
            redis_db=redis_db,
            redis_password=redis_password,
            timeout=timeout,
            keep_alive=keep_alive,
            reconnect_timeout=reconnect_timeout,
        )
        self._client = Client(self.settings, middleware)
        self._ambient = Ambient(self._client)
        self.tables = Tables(self._client)
        self._cache_when_down = cache_when_down
        self._closing: list[PerLoop[Any]] = []
        self._modules = PluginModules(self._client, Path.cwd() / "plugins")
        self._modules.serve(self)

    @cached_property
    def task_id(self) -> str:
        """TASK_ID, else one that this API() made for itself."""
        return self.settings.task_id or str(uuid4())

    @cached_property
    def integrations(self) -> Integrations:
        """Calls to providers through the platform: services/integrations.py."""
        from automio.services.integrations import Integrations

        return Integrations(self._client, self._platform)

    @cached_property
    def app_cache(self) -> Cache:
        """Values of one app and organization: services/cache.py."""
        return self._cache("app")

    @cached_property
    def user_cache(self) -> Cache:
        """Values of one organization, shared by its apps: services/cache.py."""
        return self._cache("org")

    @cached_property
    def task(self) -> Task:
        """The progress of TASK_ID, loops that report it, and checkpoints: services/tasks.py."""
        from automio.services.tasks import Task, progress_rest

        rests = None
        if self.settings.cache_service_url is not None:
            rests = self._closed_with_me(progress_rest(self.settings))
        return Task(self.task_id, rests, partial(getattr, self, "app_cache"))

    @cached_property
    def plugins(self) -> Plugins:
        """Shared code by interface and integration: services/plugins.py."""
        from automio.services.plugins import Plugins

        return Plugins(self, self._platform, self._modules)

    def notify_me(self, subject: str, text: str, html: str | None = None) -> None:
        """An e-mail to the token's owner. Raises NotificationError (refused), TransportError. Sent once."""
        run_sync(self.notify_me_async(subject, text, html))

    async def notify_me_async(self, subject: str, text: str, html: str | None = None) -> None:
        """`notify_me` for async code."""
        from automio.services.notifications import notify

        await notify(self._platform, subject, text, html)

    def _cache(self, kind: str) -> Cache:
        from automio.services.cache import Cache, WhenDown

        return Cache(kind, self._client, self._stores, self._cache_when_down or WhenDown.RAISE)

    @cached_property
    def _stores(self) -> PerLoop[Any]:
        from automio.services.cache import make_stores

        return self._closed_with_me(make_stores(self._client, self.task_id))

    @cached_property
    def _platform(self) -> PerLoop[Any]:
        """The companions' way to the platform's own endpoints."""
        from automio.services.platform_rest import platform_rest

        return self._closed_with_me(PerLoop(partial(platform_rest, self.settings)))

    def _closed_with_me(self, resource: PerLoop[Any]) -> PerLoop[Any]:
        self._closing.append(resource)
        weakref.finalize(self, resource.abandon).atexit = False
        return resource

    def __repr__(self) -> str:
        return f"API({repr(self.settings).removeprefix('Settings(').removesuffix(')')})"

    def close(self) -> None:
        """Close all connections. Later calls raise TransportError."""
        self._end_companions()
        for resource in self._closing:
            resource.close(run_sync)
        self._client.close()

    async def aclose(self) -> None:
        """`close` for async code."""
        self._end_companions()
        for resource in self._closing:
            await resource.aclose()
        await self._client.aclose()

    def _end_companions(self) -> None:
        self._modules.close()
        task = vars(self).get("task")
        if task is not None:
            task.close()

    def __enter__(self) -> Self:
        self._ambient.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ambient.exit():
            self.close()

    async def __aenter__(self) -> Self:
        self._ambient.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ambient.exit():
            await self.aclose()


_HOMES = {
    "ApiResponse": ("automio.services.integration_values", "ApiResponse"),
    "ParallelCallResponse": ("automio.services.integration_values", "ParallelCallResponse"),
    "IntegrationAccessDeniedError": ("automio.errors", "IntegrationAccessDenied"),
}
"""Names that the published client has here; loaded when they are first used."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value
