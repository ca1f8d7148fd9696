"""api.plugins: what plugins there are, and one capability called. Next: plugin_modules.py, which loads their code.

`invoke("namespace.capability", integration, …)` calls the function `capability` of the plugin for that integration; a plugin
that doesn't define it takes the interface's. Before the call two things are checked, each a PluginError: that the plugin's
function can be called in every way that the interface's can, and that it takes the arguments of this call. What the code itself
raises comes through as it is, whatever it is.

The code runs in this process, as the platform runs it: the files of the project's `plugins/` folder, else what the platform
serves to the token's organization. `invoke_async` runs a plain function in a thread, and awaits a coroutine function.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from inspect import Parameter, Signature, isawaitable, iscoroutinefunction, signature
from types import FunctionType, ModuleType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from automio.errors import PluginError, ProtocolError
from automio.runtime.client import run_sync
from automio.runtime.per_loop import PerLoop
from automio.services.answers import answered
from automio.services.plugin_modules import INTERFACES, ROOT, PluginModules
from automio.services.rest import Rest, RestReply, segment

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGRATION: Final = re.compile(r"[A-Za-z0-9_-]+")


class EnabledPlugin(BaseModel):
    """A plugin as `get_list` gives it: `id` is its integration's, `connection_ids` the connections it may use."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    connection_ids: list[int] = []


class PluginInterface(BaseModel):
    """The contract that a plugin implements."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int | None = None
    namespace: str
    title: str = ""


class PluginIntegration(BaseModel):
    """The integration that a plugin is for."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    integration_id: str


class Plugin(BaseModel):
    """A plugin as `get_plugins` gives it. What the platform says beyond these fields is kept as attributes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int
    plugin_interface: PluginInterface
    integration: PluginIntegration
    implemented_capabilities: list[str] = []
    capabilities: list[str] = []
    is_enabled: bool = False
    code: str | None = None


class PluginPage(BaseModel):
    """One page of plugins. `count` is that of all pages."""

    model_config = ConfigDict(extra="allow", frozen=True)

    count: int
    next: str | None = None
    previous: str | None = None
    results: list[Plugin]


class Plugins:
    """api.plugins. Safe from any thread and event loop; every method has a twin `…_async`."""

    def __init__(self, api: object, rests: PerLoop[Rest], modules: PluginModules) -> None:
        self._api = api  # kept alive: its modules use it
        self._rests = rests
        self._modules = modules
        self._asked: dict[str, tuple[str, str]] = {}
        self._has_platform = modules.client.settings.app_token is not None

    def get_list(self, namespace: str) -> list[EnabledPlugin]:
        """The enabled plugins of an interface, an empty list when there are none.

        Raises PluginError (refused), TransportError. Safe to repeat.
        """
        return run_sync(self.get_list_async(namespace))

    async def get_list_async(self, namespace: str) -> list[EnabledPlugin]:
        """`get_list` for async code."""
        value = await self._get(f"/plugins/plugins/get_list/{segment(_namespace(namespace))}/", {})
        if not isinstance(value, list):
            raise ProtocolError("plugins.get_list: the answer is not a list.", status=200)
        return [_read(EnabledPlugin, item, "plugins.get_list") for item in value]

    def get_plugins(self, namespace: str, page: int | None = None, per_page: int | None = None) -> PluginPage:
        """All plugins of an interface, enabled or not, a page of them. Raises PluginError, TransportError."""
        return run_sync(self.get_plugins_async(namespace, page, per_page))

    async def get_plugins_async(
        self, namespace: str, page: int | None = None, per_page: int | None = None
    ) -> PluginPage:
        """`get_plugins` for async code."""
        path = f"/plugins/plugin-interfaces/{segment(_namespace(namespace))}/plugins/"
        return _read(PluginPage, await self._get(path, {"page": page, "per_page": per_page}), "plugins.get_plugins")

    def invoke(self, plugin: str, integration: Any, /, connection_ids: Iterable[Any] = (), **payload: Any) -> Any:
        """What the capability returns. `plugin` is "namespace.capability"; `integration` an id, or what get_integration gave.

        `connection_ids` reach the function as a list, the payload as it is, under any names.
        Raises PluginError: no such plugin or capability, a signature that is not the interface's, arguments that it does
        not take; TransportError when its code had to be asked for; and whatever the code raises.
        """
        function, arguments = self._prepare(plugin, integration, connection_ids, payload)
        result = function(**arguments)
        return run_sync(_awaited(result)) if isawaitable(result) else result

    async def invoke_async(
        self, plugin: str, integration: Any, /, connection_ids: Iterable[Any] = (), **payload: Any
    ) -> Any:
        """`invoke` for async code."""
        function, arguments = await asyncio.to_thread(self._prepare, plugin, integration, connection_ids, payload)
        if iscoroutinefunction(function):
            return await function(**arguments)
        result = await asyncio.to_thread(function, **arguments)
        return await result if isawaitable(result) else result

    def fetch(self, name: str) -> str | None:
        """The code of a module from the platform; None when it has none, or there is no token. For PluginModules."""
        return run_sync(self._fetch(name)) if self._has_platform else None

    async def _fetch(self, name: str) -> str | None:
        if name.startswith(f"{INTERFACES}."):
            paths = [f"/plugins/plugin-interfaces/{segment(name.rpartition('.')[2])}/code/"]
        else:
            paths = [f"/plugins/plugins/code/{segment(one)}/{segment(two)}/" for one, two in self._pairs(name)]
        for path in paths:
            reply = await self._ask(path, {})
            if reply.status == 404:
                continue
            value = answered(reply, f"the code of {name} was refused", PluginError)
            if not isinstance(value, dict) or not isinstance(value.get("code"), str):
                raise ProtocolError(f"plugins: the answer for {name} has no code.", status=reply.status)
            return value["code"]
        return None

    def _pairs(self, name: str) -> list[tuple[str, str]]:
        """(namespace, integration) of a module's name: those of the invoke, else every way to divide it at a `_`."""
        if name in self._asked:
            return [self._asked[name]]
        words = name.removeprefix(f"{ROOT}.")
        borders = [at for at, char in enumerate(words) if char == "_" and 0 < at < len(words) - 1]
        return [(words[:at], words[at + 1 :]) for at in borders]

    def _prepare(
        self, plugin: str, integration: Any, connection_ids: Iterable[Any], payload: dict[str, Any]
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        namespace, capability = _capability(plugin)
        identity = _integration(integration)
        name = f"{ROOT}.{namespace}_{identity}"
        self._asked[name] = namespace, identity
        module = self._modules.load(name)
        if module is None:
            raise PluginError(
                f"there is no plugin of {namespace!r} for {identity!r}: neither plugins/{namespace}_{identity}.py here "
                "nor an enabled one on the platform.",
            )
        interface = self._modules.load(f"{INTERFACES}.{namespace}")
        declared = _function(interface, capability)
        function = _function(module, capability) or declared
        if function is None:
            raise PluginError(f"the plugin of {namespace!r} for {identity!r} has no capability {capability!r}.")
        if declared is not None and declared is not function:
            _check_signature(f"{plugin} for {identity!r}", signature(function), signature(declared))
        arguments = {"connection_ids": list(connection_ids), **payload}
        try:
            signature(function).bind(**arguments)
        except TypeError as error:
            raise PluginError(f"{plugin} for {identity!r} cannot be called so: {error}.") from None
        return function, arguments

    async def _get(self, path: str, params: dict[str, object]) -> Any:
        return answered(await self._ask(path, params), "plugins were refused", PluginError)

    async def _ask(self, path: str, params: dict[str, object]) -> RestReply:
        return await self._rests.current().request("GET", path, params=params, source="plugins")


async def _awaited(result: Any) -> Any:
    return await result


def _read(kind: type[Any], value: Any, source: str) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ProtocolError(f"{source}: the answer has another shape ({place or 'it'}).", status=200) from None


def _namespace(namespace: object) -> str:
    if not isinstance(namespace, str) or not _WORD.fullmatch(namespace):
        raise PluginError(f"a namespace is a Python name without dots, not {namespace!r}.")
    return namespace


def _capability(plugin: object) -> tuple[str, str]:
    parts = plugin.split(".") if isinstance(plugin, str) else []
    if len(parts) != 2 or not all(_WORD.fullmatch(part) for part in parts):
        raise PluginError(
            f"{plugin!r} is not namespace.capability.", hint="A namespace has no dots: `test_interface.foo`."
        )
    if parts[1].startswith("_"):
        raise PluginError(f"{parts[1]!r} is private to the plugin: no capability.")
    return parts[0], parts[1]


def _integration(integration: Any) -> str:
    identity = integration if isinstance(integration, str) else getattr(integration, "integration_id", None)
    if not isinstance(identity, str) or not _INTEGRATION.fullmatch(identity):
        raise PluginError("an integration is its id, a text like 'allegro_sandbox', or what get_integration gave.")
    return identity


def _function(module: ModuleType | None, name: str) -> Callable[..., Any] | None:
    """A function on the module's top level; not `api`, not a class, nothing of builtins."""
    found = None if module is None else vars(module).get(name)
    return found if callable(found) and (isinstance(found, FunctionType) or hasattr(found, "__wrapped__")) else None


def _check_signature(what: str, own: Signature, declared: Signature) -> None:
    """Every call by keyword that the interface's function takes, the plugin's takes too."""
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in own.parameters.values())
    faults: list[str] = []
    for name, parameter in declared.parameters.items():
        if parameter.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL):
            continue
        mine = own.parameters.get(name)
        if mine is None or mine.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL):
            if not takes_any:
                faults.append(f"`{name}` is missing")
        elif mine.kind is Parameter.POSITIONAL_ONLY:
            faults.append(f"`{name}` cannot be given by name")
        elif mine.default is Parameter.empty and parameter.default is not Parameter.empty:
            faults.append(f"`{name}` has no default")
    for name, parameter in own.parameters.items():
        needed = parameter.default is Parameter.empty and parameter.kind not in (
            Parameter.VAR_KEYWORD,
            Parameter.VAR_POSITIONAL,
        )
        if needed and name not in declared.parameters:
            faults.append(f"`{name}` is not the interface's")
    if faults:
        raise PluginError(f"{what} is not what its interface declares, {declared}: {', '.join(faults)}.")
