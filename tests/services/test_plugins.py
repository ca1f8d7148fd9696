"""Plugins from the project's folder and from a real local platform; the import hook and what it leaves behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from automio.errors import PluginError, TransportError
from automio.services import plugin_modules
from automio.wrapper import API

Make = Callable[..., API]
INTERFACE = """
from datetime import date
LIMIT = 3
def foo(connection_ids: list, day: date = date(2026, 1, 1)): ...
def shared(connection_ids): return "shared", api.settings.app_id
def abstract(connection_ids): raise NotImplementedError("abstract")
"""
PLUGIN = """
from plugins.interfaces.shop import LIMIT, shared as helper
import plugins.interfaces.shop as interface
from .interfaces.shop import LIMIT as again
from plugins.interfaces import shop

def foo(connection_ids: list, day=None):
    return connection_ids, day, LIMIT, again, interface is shop, helper([])

def odd(connection_ids, plugin, integration, self, name="n"):
    return plugin, integration, self, name

def uses_api(connection_ids):
    return api

def fails(connection_ids, kind):
    raise {"import": ImportError, "attribute": AttributeError, "not": NotImplementedError, "type": TypeError}[kind]("mine")

async def later(connection_ids):
    return "later", connection_ids

def _private(connection_ids): ...
word = "no function"
class Thing: ...
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a plugin; the working directory."""
    interfaces = tmp_path / "plugins" / "interfaces"
    interfaces.mkdir(parents=True)
    (interfaces / "shop.py").write_text(INTERFACE)
    (tmp_path / "plugins" / "shop_allegro_sandbox.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def api(project: Path) -> Iterator[API]:
    with_api = API(app_token=None, app_id=130)
    yield with_api
    with_api.close()


@pytest.fixture(autouse=True)
def _no_trace() -> Iterator[None]:
    before = list(sys.meta_path)
    yield
    gc.collect()
    assert [finder for finder in sys.meta_path if finder not in before] == []
    assert [name for name in sys.modules if name == "plugins" or name.startswith("plugins.")] == []
    assert plugin_modules._open == []


def test_the_documented_plugin_runs(api: API) -> None:
    result = api.plugins.invoke("shop.foo", "allegro_sandbox", connection_ids=(34, 35))
    assert result == ([34, 35], None, 3, 3, True, ("shared", 130))
    assert api.plugins.invoke("shop.foo", type("I", (), {"integration_id": "allegro_sandbox"})(), day="d")[1] == "d"
    assert api.plugins.invoke("shop.uses_api", "allegro_sandbox") is api


def test_what_the_plugin_lacks_its_interface_has(api: API) -> None:
    assert api.plugins.invoke("shop.shared", "allegro_sandbox") == ("shared", 130)


def test_a_payload_may_have_any_names(api: API) -> None:
    """Defect o: a key named plugin or integration was a TypeError."""
    result = api.plugins.invoke("shop.odd", "allegro_sandbox", plugin=1, integration=2, self=3, name=4)
    assert result == (1, 2, 3, 4)
    first = api.plugins.invoke("shop.foo", "allegro_sandbox")[0]
    first.append(1)
    assert api.plugins.invoke("shop.foo", "allegro_sandbox")[0] == [], "no list is shared between calls"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("import", ImportError), ("attribute", AttributeError), ("not", NotImplementedError), ("type", TypeError)],
)
def test_errors_inside_of_it_come_as_they_are(api: API, kind: str, error: type[Exception]) -> None:
    """Defect o: they were told as a missing module or capability, or as None."""
    with pytest.raises(error, match=r"^mine$") as raised:
        api.plugins.invoke("shop.fails", "allegro_sandbox", kind=kind)
    assert str(raised.traceback[-1].path).endswith("shop_allegro_sandbox.py"), "its own line is the last"
    with pytest.raises(NotImplementedError, match="abstract"):
        api.plugins.invoke("shop.abstract", "allegro_sandbox")


async def test_async_twin(api: API) -> None:
    assert await api.plugins.invoke_async("shop.later", "allegro_sandbox", connection_ids=[1]) == ("later", [1])
    assert (await api.plugins.invoke_async("shop.foo", "allegro_sandbox"))[2] == 3
    with pytest.raises(ImportError, match="mine"):
        await api.plugins.invoke_async("shop.fails", "allegro_sandbox", kind="import")


def test_a_coroutine_function_is_waited_for(api: API) -> None:
    assert api.plugins.invoke("shop.later", "allegro_sandbox", connection_ids=[2]) == ("later", [2])


@pytest.mark.parametrize(
    ("plugin", "integration", "payload", "said"),
    [
        ("shop.missing", "allegro_sandbox", {}, "has no capability 'missing'"),
        ("shop.word", "allegro_sandbox", {}, "has no capability 'word'"),
        ("shop.Thing", "allegro_sandbox", {}, "has no capability"),
        ("shop.api", "allegro_sandbox", {}, "has no capability"),
        ("shop._private", "allegro_sandbox", {}, "private"),
        ("shop.foo", "other", {}, "there is no plugin of 'shop' for 'other'"),
        ("a.b.foo", "allegro_sandbox", {}, "not namespace.capability.*no dots"),
        ("foo", "allegro_sandbox", {}, "not namespace.capability"),
        ("../x.foo", "allegro_sandbox", {}, "not namespace.capability"),
        ("shop.foo", "../../etc", {}, "an integration is its id"),
        ("shop.foo", None, {}, "an integration is its id"),
        ("shop.foo", "allegro_sandbox", {"unknown": 1}, "cannot be called so: got an unexpected keyword"),
        ("shop.odd", "allegro_sandbox", {}, "cannot be called so: missing a required"),
    ],
)
def test_what_cannot_be_called_is_told(api: API, plugin: Any, integration: Any, payload: Any, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        api.plugins.invoke(plugin, integration, **payload)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("def foo(connection_ids): ...", "`day` is missing"),
        ("def foo(connection_ids, day): ...", "`day` has no default"),
        ("def foo(connection_ids, day=1, *, more): ...", "`more` is not the interface's"),
        ("def foo(connection_ids, day=1, /): ...", "cannot be given by name"),
        ("def foo(**everything): return 1", ""),
        ("def foo(day=1, connection_ids=(), more=2): return 1", ""),
    ],
)
def test_its_signature_is_its_interfaces(api: API, project: Path, own: str, said: str) -> None:
    (project / "plugins" / "shop_own.py").write_text(own)
    if said:
        with pytest.raises(PluginError, match=f"is not what its interface declares.*{said}"):
            api.plugins.invoke("shop.foo", "own")
    else:
        assert api.plugins.invoke("shop.foo", "own") == 1


def test_code_that_cannot_be_loaded_says_why(api: API, project: Path) -> None:
    (project / "plugins" / "shop_syntax.py").write_text("def foo(:\n")
    (project / "plugins" / "shop_import.py").write_text("import no_such_module_at_all\n")
    with pytest.raises(SyntaxError):
        api.plugins.invoke("shop.foo", "syntax")
    for _ in range(2):  # nothing half-made is kept
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            api.plugins.invoke("shop.foo", "import")


# From the platform.


def test_the_platform_lists_and_serves(api_of: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    api = api_of()
    [plugin] = api.plugins.get_list("prices")
    assert (plugin.id, plugin.connection_ids) == ("allegro_sandbox", [34, 35])
    result = api.plugins.invoke("prices.foo", plugin.id, connection_ids=plugin.connection_ids)
    assert result == ("one", [34, 35], "one")
    page = api.plugins.get_plugins("prices", page=1, per_page=1)
    assert page.count == 2 and page.next and len(page.results) == 1
    [first] = page.results
    assert first.implemented_capabilities == ["foo"] and first.capabilities == ["foo"] and first.is_enabled
    assert first.integration.integration_id == "allegro_sandbox"
    with pytest.raises(PluginError, match="there is no plugin of 'prices' for 'off'"):
        api.plugins.invoke("prices.foo", "off")
    assert api.plugins.get_list("nothing") == []
    for namespace in ("a.b", "", "../x", None):
        with pytest.raises(PluginError, match="a namespace is a Python name without dots"):
            api.plugins.get_list(namespace)  # pyright: ignore[reportArgumentType]


def test_two_organizations_never_share_code(api_of: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    apis = {"one": api_of("one"), "two": api_of("two")}
    found: list[tuple[str, Any]] = []

    def ask(token: str) -> None:
        found.extend((token, apis[token].plugins.invoke("prices.foo", "allegro_sandbox")) for _ in range(50))

    threads = [threading.Thread(target=ask, args=(token,)) for token in ("one", "two") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 300
    assert all(result == (token, [], token) for token, result in found)
    with pytest.raises(ImportError, match="several API"):
        import plugins.interfaces.prices  # pyright: ignore[reportMissingImports]  # noqa: F401
    with apis["two"]:
        from plugins.interfaces.prices import OWNER  # pyright: ignore[reportMissingImports]

        assert OWNER == "two"
    assert api_of("many").plugins.get_list("prices") == []
    with pytest.raises(PluginError, match="there is no plugin"):
        api_of("many").plugins.invoke("prices.foo", "allegro_sandbox")


async def test_async_twins_of_the_platform(api_of: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    api = api_of()
    assert [plugin.id for plugin in await api.plugins.get_list_async("prices")] == ["allegro_sandbox"]
    assert (await api.plugins.get_plugins_async("prices")).count == 2
    assert await api.plugins.invoke_async("prices.foo", "allegro_sandbox") == ("one", [], "one")


def test_refusals_of_the_platform(api_of: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match="status 401"):
        api_of("nobody").plugins.get_list("prices")
    with pytest.raises(PluginError, match="status 401"):
        api_of("nobody").plugins.invoke("prices.foo", "allegro_sandbox")
    away = api_of(api_base_url="http://127.0.0.1:9", timeout=1)
    with pytest.raises(TransportError):
        away.plugins.invoke("prices.foo", "allegro_sandbox")
    with away, pytest.raises(ImportError, match="was not reached"):
        import plugins.prices_allegro_sandbox  # pyright: ignore[reportMissingImports]  # noqa: F401


# `import plugins.…` in other code.


def test_other_code_imports_them_too(api: API) -> None:
    import plugins.shop_allegro_sandbox as plugin  # pyright: ignore[reportMissingImports]
    from plugins.interfaces.shop import LIMIT, shared  # pyright: ignore[reportMissingImports]

    assert LIMIT == 3 and shared([]) == ("shared", 130)
    assert plugin.uses_api([]) is api
    plugin.word = "changed"
    assert vars(api._modules.load("plugins.shop_allegro_sandbox"))["word"] == "changed", "one module, not two"
    with pytest.raises(ModuleNotFoundError):
        import plugins.shop_missing  # pyright: ignore[reportMissingImports]  # noqa: F401


def test_a_closed_api_serves_no_more(project: Path) -> None:
    one, two = API(app_token=None), API(app_token=None)
    from plugins.interfaces.shop import LIMIT  # pyright: ignore[reportMissingImports]

    assert LIMIT == 3
    two.close()
    from plugins.interfaces.shop import LIMIT  # pyright: ignore[reportMissingImports]

    one.close()
    two.close()
    with pytest.raises(ModuleNotFoundError):
        import plugins.interfaces.shop  # pyright: ignore[reportMissingImports]  # noqa: F401


RUN = """
import sys
sys.path.insert(0, "")
from automio.wrapper import API
before = list(sys.meta_path)
with API(app_token=None, app_id=1) as api:
    {code}
assert not [name for name in sys.modules if name.startswith("plugins.interfaces.shop")]
"""


@pytest.mark.parametrize(
    ("files", "code"),
    [
        # A folder without __init__.py is the project's: its plugins find `api`, other modules of it are found as ever.
        (
            {"plugins/other/deep.py": "x = 5"},
            "import plugins.shop_allegro_sandbox as p, plugins.other.deep as d; assert p.uses_api([]) is api and d.x == 5",
        ),
        # A package of one's own comes first; what it does not have is ours.
        (
            {"plugins/__init__.py": "mine = 1", "plugins/shop_allegro_sandbox.py": "mine = 2"},
            "import plugins, plugins.shop_allegro_sandbox as p; assert plugins.mine == 1 and p.mine == 2",
        ),
        (
            {"lib/plugins/__init__.py": "mine = 1", "lib/plugins/tool.py": "y = 2"},
            "sys.path.insert(0, 'lib'); import plugins.tool as t; from plugins.interfaces.shop import shared;"
            " import plugins; assert plugins.mine == 1 and t.y == 2 and shared([]) == ('shared', 1);"
            " assert api.plugins.invoke('shop.uses_api', 'allegro_sandbox') is api",
        ),
    ],
)
def test_packages_of_ones_own(project: Path, root: Path, files: dict[str, str], code: str) -> None:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", RUN.replace("{code}", code)],
        env={"PYTHONPATH": str(root), "PATH": ""},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_api_lives_as_long_as_its_plugins(project: Path) -> None:
    plugins = API(app_token=None, app_id=7).plugins
    gc.collect()
    assert plugins.invoke("shop.shared", "allegro_sandbox") == ("shared", 7)
    del plugins
    gc.collect()
