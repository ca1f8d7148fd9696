"""`plugins.…` -> modules, for one API(). One import hook for the process, and none when no API() is open. Next: plugins.py.

Two modules are known for a namespace: `plugins.interfaces.<namespace>` (shared code) and `plugins.<namespace>_<integration>`.
The source is the file of that name below `plugins/` of the working directory in which API() was built; where there is none,
what the platform serves to the token's organization.

A plugin uses `api` without importing it: each module gets the API() that loaded it as its global `api`. So modules belong to
one API(), and two of different organizations in one process never share any. They do not go through `sys.modules` for this:
plugin code has an `__import__` of its own for names that begin with `plugins`.

`import plugins.…` in other code goes through the hook, a finder in front of `sys.meta_path`:
- It answers for the API() of the innermost `with API(…)`, else for the one that is open; several open ones of different
  tokens or apps without a `with` are an ImportError.
- A package `plugins` of your own (a folder with `__init__.py`, or a module) comes first: the hook gives only what it does not
  have. A folder `plugins/` without `__init__.py` is the project's, and the hook's.
- close() takes the modules it loaded out of `sys.modules`, the last close() the finder out of `sys.meta_path`.
"""

from __future__ import annotations

import builtins
import importlib.util
import re
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import InspectLoader, Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from automio.errors import AutomioError
from automio.runtime.client import Client, ambient_client

ROOT: Final = "plugins"
INTERFACES: Final = "plugins.interfaces"
_NAME = re.compile(r"plugins(\.interfaces)?\.[A-Za-z0-9_-]+")
_hook_lock = threading.RLock()  # the garbage collector may come in between, with _forget
_open: list[weakref.ref[PluginModules]] = []


class PluginModules:
    """The plugin modules of one API(). Safe from any thread."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._api: Callable[[], Any] = lambda: None
        self._absent: set[str] = set()
        self._modules: dict[str, ModuleType] = {}
        self._lock = threading.RLock()

    def serve(self, api: Any) -> None:
        """From now on: `api` for the modules; its `plugins.fetch` has the code of a name that has no file. Installs the hook."""
        self._api = weakref.ref(api)
        with _hook_lock:
            _open.append(weakref.ref(self, _forget))
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)

    @property
    def identity(self) -> tuple[object, ...]:
        """What two API() have in common when either may load a module."""
        settings = self._client.settings
        return settings.api_base_url, settings.app_token, settings.app_id, settings.organization_id, self._folder

    @property
    def client(self) -> Client:
        return self._client

    def find(self, name: str) -> tuple[str, str] | None:
        """(source, where it comes from) of a module, None when there is none."""
        if not _NAME.fullmatch(name):
            return None
        path = self._folder.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if path.is_file():
            return importlib.util.decode_source(path.read_bytes()), str(path)
        if name in self._absent:  # asked once; a new API() asks again
            return None
        code = self._api().plugins.fetch(name)
        if code is None:
            self._absent.add(name)
            return None
        return code, f"<{name} of the platform>"

    def load(self, name: str) -> ModuleType | None:
        """The module, executed at its first use; None when there is none. Raises what its code raises, as it is."""
        with self._lock:
            if name in self._modules:
                return self._modules[name]
            if name in (ROOT, INTERFACES):
                module = ModuleType(name)
                module.__path__ = [str(self._folder.joinpath(*name.split(".")[1:]))]
                self._modules[name] = module
                return module
            found = self.find(name)
            if found is None:
                return None
            source, place = found
            module = self._modules[name] = ModuleType(name)
            module.__file__ = place
            module.__package__ = name.rpartition(".")[0]
            module.__loader__ = _Source(source)
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
            module.__dict__["api"] = self._api()
            try:
                exec(compile(source, place, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  the plugin
            except BaseException:
                del self._modules[name]
                raise
            return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`import` in plugin code."""
        full = name
        if level:
            full = importlib.util.resolve_name("." * level + name, str((globals or {}).get("__package__") or ""))
        if full != ROOT and not full.startswith(f"{ROOT}."):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        parent: ModuleType | None = None
        parts = full.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            module = self.load(part)
            if module is None:
                return builtins.__import__(name, globals, locals, fromlist or (), level)
            if parent is not None:
                setattr(parent, parts[end - 1], module)
            parent = module
        assert parent is not None
        if not fromlist:
            return self._modules[ROOT]
        if full in (ROOT, INTERFACES):
            for item in fromlist:
                if not hasattr(parent, item) and (found := self.load(f"{full}.{item}")) is not None:
                    setattr(parent, item, found)
        return parent

    def close(self) -> None:
        """Take everything back. Idempotent."""
        with _hook_lock:
            _open[:] = [one for one in _open if one() not in (self, None)]
            if not _open and _finder in sys.meta_path:
                sys.meta_path.remove(_finder)
        with self._lock:
            modules, self._modules = self._modules, {}
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
            parent = sys.modules.get(name.rpartition(".")[0])
            if parent is not None and vars(parent).get(name.rpartition(".")[2]) is module:
                delattr(parent, name.rpartition(".")[2])


def _forget(gone: weakref.ref[PluginModules]) -> None:
    with _hook_lock:
        if gone in _open:
            _open.remove(gone)
        if not _open and _finder in (sys.meta_path or ()):  # None while the interpreter ends
            sys.meta_path.remove(_finder)


class _Source(InspectLoader):
    """Lets a traceback show the lines of code that is in no file."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:
        return self._source


class _Loader(Loader):
    """Gives the import system a module that PluginModules has loaded."""

    def __init__(self, modules: PluginModules) -> None:
        self._modules = modules

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module = self._modules.load(spec.name)
        if module is None:
            raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Done by load()."""


class _Finder:
    """The hook."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != ROOT and not name.startswith(f"{ROOT}."):
            return None
        real = PathFinder.find_spec(name, path, target)
        if real is not None and real.origin is not None and not _is_ours(sys.modules.get(name.rpartition(".")[0])):
            return None
        modules = _current(name)
        if modules is None:
            return None
        if name in (ROOT, INTERFACES):
            return ModuleSpec(name, _Loader(modules), is_package=True)
        return ModuleSpec(name, _Loader(modules)) if _NAME.fullmatch(name) and _known(modules, name) else None


def _is_ours(package: ModuleType | None) -> bool:
    return isinstance(getattr(getattr(package, "__spec__", None), "loader", None), _Loader)


def _known(modules: PluginModules, name: str) -> bool:
    try:
        return name in modules._modules or modules.find(name) is not None
    except AutomioError as error:
        raise ImportError(f"{name}: {error}", name=name) from error


_finder = _Finder()


def _current(name: str) -> PluginModules | None:
    """Whose modules `import` in other code gets."""
    with _hook_lock:
        found = [modules for one in _open if (modules := one()) is not None]
    ambient = ambient_client()
    chosen = next((modules for modules in found if modules.client is ambient), None)
    if chosen is not None or not found:
        return chosen
    if len({modules.identity for modules in found}) > 1:
        raise ImportError(
            f"{name}: several API() are open, of different tokens or apps; import it inside `with API(…)`", name=name
        )
    return found[-1]
