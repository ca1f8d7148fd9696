"""[[plugins]] of platform.toml -> what an organization can list and load. The client runs the code: services/plugins.py.

A plugin is a file that implements an interface (a namespace) for one integration, for one organization; an interface's shared
code is a file too. An organization without a plugin of a namespace sees nothing of it: empty lists, and 404 for code.
What a plugin implements is read from the file without running it: the functions on its top level.
"""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

from automio.local.config import PlatformConfig, Plugin
from automio.local.requests import Answer, Refusal, Request

_LARGEST_PAGE = 100


class PluginShelf:
    """The plugins of a platform. Files are read when they are asked for, so that an edit is seen at once."""

    def __init__(self, config: PlatformConfig) -> None:
        self._root = config.root
        self._plugins = config.plugins
        self._connections = {
            (integration.id, organization): [
                one.id for one in integration.connections if one.organization == organization
            ]
            for integration in config.integrations
            for organization in {one.organization for one in integration.connections}
        }

    async def enabled(self, request: Request, namespace: str) -> Answer:
        return 200, [
            {"id": plugin.integration, "connection_ids": self._connection_ids(plugin)}
            for plugin in self._of(request, namespace)
            if plugin.enabled
        ]

    async def interface_code(self, request: Request, namespace: str) -> Answer:
        found = next((plugin for plugin in self._of(request, namespace) if plugin.enabled), None)
        if found is None:
            raise Refusal(404, "no such plugin interface")
        return 200, {"namespace": namespace, "code": await self._code(found.interface_path)}

    async def plugin_code(self, request: Request, rest: str) -> Answer:
        namespace, _, integration = rest.partition("/")
        for plugin in self._of(request, namespace):
            if plugin.integration == integration and plugin.enabled:
                code = await self._code(plugin.path)
                return 200, {"namespace": namespace, "integration": integration, "code": code}
        raise Refusal(404, "no such plugin")

    def _connection_ids(self, plugin: Plugin) -> list[int]:
        """Those that the file names, else the organization's own connections to the integration."""
        if plugin.connection_ids is not None:
            return list(plugin.connection_ids)
        return self._connections.get((plugin.integration, plugin.organization), [])

    async def page(self, request: Request, namespace: str) -> Answer:
        number, size = _number(request, "page", 1, 10**9), _number(request, "per_page", 20, _LARGEST_PAGE)
        plugins = self._of(request, namespace)
        first = (number - 1) * size
        base = f"/api/plugins/plugin-interfaces/{namespace}/plugins/?per_page={size}&page="
        return 200, {
            "count": len(plugins),
            "next": f"{base}{number + 1}" if first + size < len(plugins) else None,
            "previous": f"{base}{number - 1}" if number > 1 else None,
            "results": [await self._row(plugin) for plugin in plugins[first : first + size]],
        }

    async def _row(self, plugin: Plugin) -> dict[str, Any]:
        code, interface = await self._code(plugin.path, ""), await self._code(plugin.interface_path, "")
        return {
            "id": self._plugins.index(plugin) + 1,
            "organization": plugin.organization,
            "plugin_interface": {"id": 1, "namespace": plugin.namespace, "title": plugin.namespace},
            "integration": {"name": plugin.integration, "icon": None, "integration_id": plugin.integration},
            "implemented_capabilities": _functions(code),
            "capabilities": _functions(interface),
            "is_enabled": plugin.enabled,
            "is_official": False,
            "is_mine": True,
            "is_visible": True,
            "code": code,
        }

    def _of(self, request: Request, namespace: str) -> list[Plugin]:
        return [
            plugin
            for plugin in self._plugins
            if plugin.organization == request.organization and plugin.namespace == namespace
        ]

    async def _code(self, path: Path, absent: str | None = None) -> str:
        try:
            return await asyncio.to_thread((self._root / path).read_text, "utf-8")
        except (OSError, UnicodeDecodeError):
            if absent is not None:
                return absent
            raise Refusal(404, f"{path.as_posix()} cannot be read") from None


def _functions(code: str) -> list[str]:
    """The names of the public functions on the top level; none for what is no Python."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(400, f"{name} is a number from 1 to {most}")
    return int(text)
