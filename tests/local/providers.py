"""Real providers and a real platform before them, for tests of integrations: HTTP on both sides, no database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from automio.local.config import PlatformConfig, read_platform
from automio.local.platform import Platform
from automio.local.server import http_server, listening, url_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKENS = """
[[tokens]]
token = "token-1"
organization = 1
apps = [130]
[[tokens]]
token = "token-2"
organization = 2
apps = [130, 131]
[[tokens]]
token = "token-3"
organization = 3
apps = [131]
"""


@asynccontextmanager
async def provider(handler: Handler) -> AsyncIterator[str]:
    """The address of a server that answers every request with `handler`."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # pyright: ignore
    finally:
        await runner.cleanup()


def configured(base_url: str, more: str = "", extra: str = "") -> PlatformConfig:
    """The configuration in `text_of`."""
    return read_platform(text_of(base_url, more, extra), Path("platform.toml"), {})


def text_of(base_url: str, more: str = "", extra: str = "") -> str:
    """`shop`: two organizations with connections of the same name; 3 is granted to app 130. `more` are keys of the integration."""
    return f"""{TOKENS}
[[integrations]]
id = "shop"
name = "Shop"
base_url = "{base_url}"
{more}
[[integrations.connections]]
id = 11
name = "main"
organization = 1
headers = {{ Authorization = "Bearer secret-of-one" }}
[[integrations.connections]]
id = 21
name = "main"
organization = 2
headers = {{ Authorization = "Bearer secret-of-two", X-Key = "key-of-two" }}
[[integrations.connections]]
id = 31
name = "granted"
organization = 3
apps = [130]
headers = {{ Authorization = "Bearer secret-of-three" }}
{extra}
"""


@asynccontextmanager
async def platform(config: PlatformConfig) -> AsyncIterator[str]:
    """The address of the platform."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening("127.0.0.1", 0))
        app = Platform(config, cast(Any, None))
        stack.push_async_callback(app.close)
        await stack.enter_async_context(http_server(app, listener))
        yield url_of(listener)


@asynccontextmanager
async def shop(handler: Handler, more: str = "", extra: str = "") -> AsyncIterator[str]:
    """A platform before one provider."""
    async with provider(handler) as url, platform(configured(url, more, extra)) as address:
        yield address
