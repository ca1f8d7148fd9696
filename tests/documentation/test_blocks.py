"""Every code block of the documentation, run as it stands there; each check looks at the effect that the block promises.

`@of(name)` makes a function the check of a block, `@of(name, "redis", "service")` once for each variant: the cache on a Redis of
this machine and on the platform's cache service; plugins from the project's folder and from the platform.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from automio.errors import ConfigError
from automio.services.cache import Cache
from automio.settings import Settings
from automio.wrapper import API

from .blocks import COMMANDS, NAMES, Block, find_blocks
from .conftest import CONNECTIONS, ROOT, World

CHECKS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {}
BACKENDS = ("redis", "service")


def of(name: str, *variants: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(check: Callable[..., None]) -> Callable[..., None]:
        assert name not in CHECKS
        CHECKS[name] = check, variants
        return check

    return register


def test_there_are_33_blocks(text: str, blocks: dict[str, Block]) -> None:
    assert len(blocks) - len(COMMANDS) == 33
    assert CHECKS.keys() == blocks.keys() == set(NAMES)
    rest = text
    for block in blocks.values():
        assert text.split("\n", block.line - 1)[-1].startswith(block.text), "as it stands there"
        rest = rest.replace(block.text, "", 1)
    assert re.findall(r"^ *(?:from |import |pip |\w+ = ).*", rest, re.MULTILINE) == [], "code that is in no block"


def test_the_rule_that_finds_blocks() -> None:
    text = "Heading\n\n# code\na = 1\n\n    b = 2\n\nProse.\n\n  • an item\nx, y = 1, 2\nProse, which ends nothing.\n"
    assert find_blocks(text) == [(3, "# code\na = 1\n\n    b = 2\n"), (11, "x, y = 1, 2\nProse, which ends nothing.\n")]


# GraphQL.

ORDER = "eba6bc90-faab-11f0-96f9-c518c5ba21fb"
MESSAGE_ORDER = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
ROWS = f"""
TRUNCATE app_130_orders, app_130_messages, app_130_billing_entries;
INSERT INTO app_130_orders (organization_id, "orderId", "buyerLogin") VALUES
    (1, '{ORDER}', 'of 1'), (2, '{ORDER}', 'of 2'), (3, '{ORDER}', 'of 3'), (2, 'another', 'of 2, too');
INSERT INTO app_130_orders (id, organization_id, "orderId") VALUES ('{MESSAGE_ORDER}', 2, 'with messages');
INSERT INTO app_130_billing_entries (organization_id, "allegroId", "occurredAt", type, value, balance) VALUES
    (1, 'same', '2026-03-01T00:00:00Z', 'fee', 1, 1), (2, 'same', '2026-02-01T00:00:00Z', 'fee', 2, 2),
    (2, 'older', '2026-01-01T00:00:00Z', 'fee', 2, 2), (3, 'newest', '2026-04-01T00:00:00Z', 'fee', 3, 3);
"""


def as_organization_3(world: World) -> None:
    """From now on the environment's token is another organization's."""
    world.monkeypatch.setenv("APP_TOKEN", "org-3")


@of("query-order")
def _(world: World) -> None:
    world.sql(ROWS)
    assert not world.run("query-order")["response"].errors
    (line,) = world.printed()
    assert ast.literal_eval(line) == {
        "id": world.sql("SELECT id FROM app_130_orders WHERE \"buyerLogin\" = 'of 2'")[0][0],
        "orderId": ORDER,
        "buyerLogin": "of 2",
    }
    as_organization_3(world)
    world.run("query-order")
    assert world.printed() == ["Order not found"], "the block asks for rows of organization 2"


@of("update-order")
def _(world: World) -> None:
    world.sql(ROWS)
    delivered = 'SELECT "buyerLogin" FROM app_130_orders WHERE delivered'
    as_organization_3(world)
    world.run("update-order")
    assert world.sql(delivered) == []
    world.monkeypatch.setenv("APP_TOKEN", "org-2")
    assert world.run("update-order")["response"].data == {"update_app_130_orders": {"affected_rows": 1}}
    assert world.printed() == []
    assert world.sql(delivered) == [["of 2"]]


@of("query-without-variables")
def _(world: World) -> None:
    world.sql(ROWS)
    world.run("query-without-variables")
    assert world.printed() == ["same"], "the newest of organization 2; others have newer ones"
    world.sql("DELETE FROM app_130_billing_entries WHERE organization_id = 2")
    world.run("query-without-variables")
    assert world.printed() == ["No records"]


@of("upsert-batch")
def _(world: World) -> None:
    world.sql(ROWS)
    row = {"organization_id": 2, "occurredAt": "2026-05-01T00:00:00Z", "type": "refund", "value": 9.5, "balance": 11}
    space = world.run("upsert-batch")
    space["upsert_batch"]([row | {"allegroId": "same"}, row | {"allegroId": "new"}])
    assert world.printed() == ["Saved 2 rows"]
    found = 'SELECT organization_id, "allegroId", type, value, balance FROM app_130_billing_entries ORDER BY 1, 2'
    assert world.sql(found) == [
        ["1", "same", "fee", "1.00", "1.00"],
        ["2", "new", "refund", "9.50", "11.00"],
        ["2", "older", "fee", "2.00", "2.00"],
        ["2", "same", "refund", "9.50", "11.00"],
        ["3", "newest", "fee", "3.00", "3.00"],
    ]
    space["upsert_batch"]([row | {"allegroId": "wrong", "value": "no number"}])
    (line,) = world.printed()
    assert line.startswith("Batch upsert errors: ")


@of("insert-message")
def _(world: World) -> None:
    world.sql(ROWS)
    as_organization_3(world)
    world.run("insert-message")
    assert world.printed()[0].startswith("Message insert errors: "), "the order is organization 2's"
    assert world.sql("SELECT * FROM app_130_messages") == []
    world.monkeypatch.setenv("APP_TOKEN", "org-2")
    world.run("insert-message")
    assert world.printed() == [str({"insert_app_130_messages_one": {"order_id": MESSAGE_ORDER}})]
    found = 'SELECT organization_id, order_id, "messageContent" FROM app_130_messages'
    assert world.sql(found) == [["2", MESSAGE_ORDER, "Hello, user"]]


# Calls.


def argument(block: Block, name: str) -> Any:
    """The value of the last argument of that name in the block."""
    found = [
        node.value for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.keyword) and node.arg == name
    ]
    return ast.literal_eval(found[-1])


@of("call")
def _(world: World) -> None:
    space = world.run("call", api=world.api())
    first, *offers, last = world.services.seen
    assert (first.method, first.path, first.account) == ("GET", "/github/user", 7)
    assert [(one.method, one.path, one.account) for one in offers] == [
        ("GET", "/allegro_sandbox/sale/offers", number) for number in (34, 35)
    ]
    assert all(one.query == {"limit": "10", "offset": "0"} and one.body is None for one in offers)
    assert (last.method, last.path, last.account) == ("POST", "/allegro_sandbox/messages/submit", 35)
    assert last.body == argument(world.blocks["call"], "json")
    assert space["data"] == {"accepted": True}
    response = space["response"]
    assert response.ok and response.status_code == 201 and response.text == '{"accepted": true}'
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.url == f"{world.services.url}/allegro_sandbox/messages/submit"


@of("parallel-call")
def _(world: World) -> None:
    api = world.api()
    integration = api.integrations.get_integration("allegro_sandbox")
    world.run("parallel-call", api=api, integration=integration)
    good = ["Connection 123, Org 456", "Offer: Offer offer_1", "Status: 200"]
    assert world.printed() == [*good, "Connection 789, Org 101", "Offer: Offer offer_2", "Status: 200"]
    one, two = sorted(world.services.seen, key=lambda seen: seen.account)
    assert (one.path, one.account) == ("/allegro_sandbox/sale/product-offers/offer_1", 123)
    assert one.query == {"include": "details"} and one.body is None
    assert (two.path, two.account) == ("/allegro_sandbox/sale/product-offers/offer_2", 789)
    assert two.query == {} and two.body == {"expand": True}
    world.services.answers["/allegro_sandbox/sale/product-offers/offer_2"] = 404, "gone"
    world.run("parallel-call", api=api, integration=integration)
    assert world.printed() == [*good, "Connection 789, Org 101", 'Error: "gone"']


@of("parallel-call-for-connection")
def _(world: World) -> None:
    api = world.api()
    integration = api.integrations.get_integration("allegro_sandbox")
    world.run("parallel-call-for-connection", api=api, integration=integration)
    assert world.printed() == ["Offer: Offer 123", "Offer: Offer 456", "Offer: Offer 789"]
    path = "/allegro_sandbox/sale/product-offers"
    assert world.services.paths() == [(f"{path}/{offer}", 50) for offer in (123, 456, 789)]
    world.services.answers[f"{path}/456"] = 404, "gone"
    world.run("parallel-call-for-connection", api=api, integration=integration)
    assert world.printed() == ["Offer: Offer 123", 'Error: "gone"', "Offer: Offer 789"]


@of("parallel-call-stream")
def _(world: World) -> None:
    api = world.api()
    path = "/allegro_sandbox/sale/product-offers"
    world.services.answers[f"{path}/o3"] = 404, "gone"
    world.services.held[f"{path}/o0"] = go = threading.Event()
    saved: list[str] = []

    def save(name: str) -> None:
        saved.append(name)
        if len(saved) == 3:
            go.set()  # the first call is answered when others have been processed

    world.run(
        "parallel-call-stream",
        api=api,
        integration=api.integrations.get_integration("allegro_sandbox"),
        offers=[{"id": f"o{number}"} for number in range(5)],
        connection_id=34,
        process_data=lambda data: data["name"],
        save_to_database=save,
    )
    assert sorted(saved) == ["Offer o0", "Offer o1", "Offer o2", "Offer o4"] and saved[-1] == "Offer o0"
    assert sorted(world.services.paths()) == [(f"{path}/o{number}", 34) for number in range(5)]
    error, end = world.printed()
    assert error.endswith('Error for request 3: "gone"')
    assert end == " Completed! Processed 5 requests"


@of("connected-accounts")
def _(world: World) -> None:
    world.run("connected-accounts", api=world.api())
    assert world.services.paths() == [("/allegro_sandbox/billing/billing-entries", number) for number in (34, 35)]
    assert all(one.query == {"limit": "100"} for one in world.services.seen)


def connections(integration: str, *ids: int) -> list[str]:
    return sorted(f"ID: {number}, Name: {name}" for number, name, _, _ in CONNECTIONS[integration] if number in ids)


@of("all-connections")
def _(world: World) -> None:
    api = world.api()
    integration = api.integrations.get_integration("allegro_sandbox")
    for table, usable in (("app_130_orders", (34, 35, 50, 123, 789)), (None, (34, 35))):
        world.services.seen.clear()
        world.run("all-connections", api=api, integration=integration, table_name=table)
        assert sorted(world.printed()) == connections("allegro_sandbox", *usable)
        assert world.services.paths() == [("/allegro_sandbox/sale/offers", number) for number in usable]


@of("get-integration")
def _(world: World) -> None:
    api = world.api()
    integration = world.run("get-integration", api=api)["integration"]
    assert (integration.integration_id, integration.name) == ("allegro_sandbox", "Allegro sandbox")
    assert api.integrations.call(integration, endpoint="/sale/offers")[1].ok, "as the block says: for .call()"


@of("get-integrations")
def _(world: World) -> None:
    world.run("get-integrations", api=world.api())
    declared = tomllib.loads((world.served.project / "platform.toml").read_text())["integrations"]
    assert world.printed() == [f"ID: {one['id']}, Name: {one['name']}" for one in declared]


@of("parallel-processing")
def _(world: World) -> None:
    api = world.api()
    space = world.run("parallel-processing", api=api, transform_data=lambda data: data["item"])
    assert space["processed_data"] == ["a", "b", "c"] and world.printed() == []
    assert world.services.paths() == [
        ("/api_service/items", 21),
        *((f"/api_service/items/{item}/details", 21) for item in "abc"),
    ]
    assert world.services.seen[0].query == {"limit": "50"}
    world.services.answers["/api_service/items/b/details"] = 404, "gone"
    space = world.run("parallel-processing", api=api, transform_data=lambda data: data["item"])
    assert space["processed_data"] == ["a", "c"] and world.printed() == ['Error for connection 21: "gone"']


@of("many-connections")
def _(world: World) -> None:
    saved: list[Any] = []
    errors: list[Any] = []
    given = {"save_data": lambda *given: saved.append(given), "log_error": lambda *given: errors.append(given)}
    world.run("many-connections", api=world.api(), **given)
    assert sorted(saved, key=lambda one: one[1]) == [({"account": "21"}, 21, 123), ({"account": "22"}, 22, 2)]
    assert sorted(world.printed()) == ["Org 123, Connection 21", "Org 2, Connection 22"] and errors == []
    assert world.services.paths() == [(f"/api_service/accounts/{number}/data", number) for number in (21, 22)]
    assert all(one.query == {"limit": "50"} for one in world.services.seen)
    world.services.answers["/api_service/accounts/22/data"] = 404, "gone"
    saved.clear()
    world.run("many-connections", api=world.api(), **given)
    assert saved == [({"account": "21"}, 21, 123)] and errors == [(22, '"gone"')]


@of("many-accounts")
def _(world: World) -> None:
    api = world.api()
    processed: list[Any] = []
    world.services.answers["/service_name/data 42"] = 404, "gone"
    world.run(
        "many-accounts",
        api=api,
        integration=api.integrations.get_integration("service_name"),
        process_account_data=lambda *given: processed.append(given),
    )
    assert world.printed() == ["Processing account: first", "Processing account: second"]
    assert world.services.paths() == [("/service_name/data", 41), ("/service_name/data", 42)]
    assert processed == [({"account": 41}, 41)]


@of("error-of-a-call")
def _(world: World) -> None:
    api = world.api()
    integration = api.integrations.get_integration("service_name")
    processed: list[Any] = []

    def run(answer: tuple[int, Any] | None) -> list[str]:
        if answer is not None:
            world.services.answers["/service_name/data"] = answer
        world.run_in_function("error-of-a-call", api=api, integration=integration, process_data=processed.append)
        return world.printed()

    assert run(None) == [] and processed == [{"account": 41}]
    assert run((404, "gone")) == ['API Error: 404 - "gone"']
    assert run((200, [])) == ["No data received"]
    assert processed == [{"account": 41}]


@of("errors-of-parallel-calls")
def _(world: World) -> None:
    api = world.api()
    processed: list[Any] = []

    def run(answer: tuple[int, Any] | None) -> list[str]:
        if answer is not None:
            world.services.answers["/service_name/data 42"] = answer
        world.run(
            "errors-of-parallel-calls",
            api=api,
            integration=api.integrations.get_integration("service_name"),
            requests_data=[{"connection_id": 41}, {"connection_id": 42}],
            process_data=lambda *given: processed.append(given),
        )
        return world.printed()

    assert run(None) == []
    assert processed == [({"account": 41}, 41), ({"account": 42}, 42)]
    assert run((404, "gone")) == ['Error for connection 42: "gone"']
    assert run((200, [])) == ["No data received for connection 42"]
    assert processed[2:] == [({"account": 41}, 41)] * 2


# Plugins.

SOURCES = ("folder", "platform")
INTERFACE = """
OWNER = "the interface"


def test_ifc():
    return f"of {OWNER}"


def foo(connection_ids: list):
    raise NotImplementedError
"""


@pytest.fixture
def write_plugin(world: World, tmp_path: Path, variant: str) -> Callable[[str], None]:
    """Puts a plugin and its interface into the project's `plugins/`, where the platform has them from, too.

    Variant `folder` runs in the project, `platform` in a folder without them.
    """
    plugins = world.served.project / "plugins"

    def write(text: str) -> None:
        (plugins / "interfaces").mkdir(parents=True, exist_ok=True)
        (plugins / "interfaces" / "test_interface.py").write_text(INTERFACE)
        (plugins / "test_interface_allegro_sandbox.py").write_text(text)
        if variant == "platform":
            world.monkeypatch.chdir(tmp_path)

    return write


@of("import-template")
def _(world: World) -> None:
    filled = world.blocks["import-template"].text.replace("<namespace>", "test_interface").replace("<name>", "test_ifc")
    assert filled == world.blocks["import-name"].text, "the next block is the example of this one"


def check_import(world: World, write_plugin: Callable[[str], None], name: str) -> dict[str, Any]:
    """In a plugin, and in a script that has an API()."""
    write_plugin(f"{world.blocks[name].text}\ndef foo(connection_ids: list):\n    return test_ifc(), connection_ids\n")
    api = world.api()
    assert api.plugins.invoke("test_interface.foo", "allegro_sandbox", [34]) == ("of the interface", [34])
    space = world.run(name)
    assert space["test_ifc"]() == "of the interface"
    return space


@of("import-name", *SOURCES)
def _(world: World, write_plugin: Callable[[str], None]) -> None:
    assert "OWNER" not in check_import(world, write_plugin, "import-name")


@of("import-everything", *SOURCES)
def _(world: World, write_plugin: Callable[[str], None]) -> None:
    assert check_import(world, write_plugin, "import-everything")["OWNER"] == "the interface"


@of("plugin-list")
def _(world: World) -> None:
    world.run("plugin-list", api=world.api())
    assert world.printed() == ["Plugin ID: allegro_sandbox", "Connection IDs: [34, 35]"]
    world.run("plugin-list", api=world.of_organization_3())
    assert world.printed() == ["Plugin ID: service_name", "Connection IDs: [43]"]


@of("plugin-invoke", *SOURCES)
def _(world: World, write_plugin: Callable[[str], None]) -> None:
    write_plugin(f"{world.blocks['import-everything'].text}\n{world.blocks['plugin-code'].text}")
    assert world.run("plugin-invoke", api=world.api())["result"] is None
    assert world.services.paths() == [("/allegro_sandbox/sale/offers", number) for number in (34, 35)]
    assert [ast.literal_eval(line)["account"] for line in world.printed()] == [34, 35]


@of("plugin-code")
def _(world: World) -> None:
    world.run("plugin-code", api=world.api())["foo"](connection_ids=[35])
    assert world.services.paths() == [("/allegro_sandbox/sale/offers", 35)]
    assert [ast.literal_eval(line)["account"] for line in world.printed()] == [35]


# Caches.


@of("app-cache", *BACKENDS)
def _(world: World, variant: str) -> None:
    world.use(variant)
    seen: list[Any] = []

    def look() -> None:
        others = world.api(), world.api(app_id=131), world.of_organization_3()
        seen.append((world.cached("api_data"), [other.app_cache.get("api_data") for other in others]))

    world.before(Cache, "delete", look)
    world.run("app-cache", api=world.api())
    (((value, seconds), (another_script, another_app, another_organization)),) = seen
    assert value == {"rates": [1.2, 1.5, 1.8]} == another_script
    assert 290 <= seconds <= 300
    assert another_app is None and another_organization is None
    shown = re.search(r"print\(cached_data\) +# (.+)", world.blocks["app-cache"].text)
    assert shown and world.printed() == [shown[1]]
    assert world.cached("api_data") is None


@of("user-cache", *BACKENDS)
def _(world: World, variant: str) -> None:
    world.use(variant)
    seen: list[Any] = []

    def look() -> None:
        others = world.api(app_id=131), world.of_organization_3()
        seen.append((world.cached("my_key", "org"), [other.user_cache.get("my_key") for other in others]))

    world.before(Cache, "delete", look)
    assert world.run("user-cache", api=world.api())["preferences"] == "my_value"
    (((value, seconds), (another_app, another_organization)),) = seen
    assert value == "my_value" == another_app and 3590 <= seconds <= 3600
    assert another_organization is None
    assert world.cached("my_key", "org") is None


@of("both-environments", *BACKENDS)
def _(world: World, variant: str) -> None:
    world.use(variant)
    space = world.run("both-environments", api=world.api(task_id="both"))
    assert space["cached_data"] == {"data": "value"}
    value, seconds = world.cached("my_key") or (None, 0)
    assert value == {"data": "value"} and 290 <= seconds <= 300
    assert world.reported("both") == "[ 50 %] Halfway done (pending)"
    assert bool(world.console) is (variant == "redis"), "shown where there is no platform to show it"


# Tasks and notifications.


@of("set-progress", *BACKENDS)
def _(world: World, variant: str) -> None:
    world.use(variant)
    seen: dict[int, str] = {}

    def process_item(item: int) -> None:
        if item % 100 < 2:
            seen[item] = world.reported("documented")

    world.run("set-progress", api=world.api(task_id="documented"), large_dataset=range(250), process_item=process_item)
    halves = {item: text for item, text in seen.items() if item < 2 or item % 100 == 1}
    assert halves == {
        0: "[  0 %] Starting data processing... (pending)",
        1: "[  0 %] Processed 0/250 items (pending)",
        101: "[ 40 %] Processed 100/250 items (pending)",
        201: "[ 80 %] Processed 200/250 items (pending)",
    }
    assert seen[100] == seen[1] and seen[200] == seen[101], "the platform hears of it once in a hundred items"
    assert world.reported("documented") == "[100 %] Processing completed! (completed)"


@of("progress-with-cache", *BACKENDS)
def _(world: World, variant: str) -> None:
    world.use(variant)
    seen: list[tuple[int, str, Any]] = []

    def process_item(item: int) -> None:
        if item == 0 or item % 100 == 50:
            value, seconds = world.cached("task_checkpoint") or (None, 0)
            assert 3500 < seconds <= 3600
            seen.append((item, world.reported("long"), value))

    space = world.run("progress-with-cache", api=world.api(task_id="long"), process_item=process_item)
    assert seen == [] and world.reported("long") == "", "a definition does nothing"
    space["long_running_task"]()
    assert seen[0] == (0, "[  0 %] Initializing... (in_progress)", {"processed": 0})
    assert seen[1:] == [
        (
            hundred * 100 + 50,
            f"[{hundred * 10:3d} %] Processed {hundred * 100}/1000 (in_progress)",
            {"processed": hundred * 100},
        )
        for hundred in range(10)
    ]
    assert world.reported("long") == "[100 %] Completed! (completed)"
    assert world.cached("task_checkpoint") is None


@of("notify-me")
def _(world: World) -> None:
    world.run("notify-me", api=world.api())
    block = world.blocks["notify-me"]
    newest = world.ask("/api/notifications/")["results"][0]
    assert {name: newest[name].strip() for name in ("subject", "text", "html")} == {
        name: argument(block, name) for name in ("subject", "text", "html")
    }
    assert world.ask("/api/notifications/", "org-3") == {"count": 0, "results": []}


# Installation and settings.


def installed(world: World, name: str) -> str:
    """The one package that the command installs."""
    words = shlex.split(world.blocks[name].text)
    assert words[:2] == ["pip", "install"]
    (package,) = words[2:]
    return package


@of("install")
def _(world: World) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert re.fullmatch(r"[a-z]+", installed(world, "install")), "the client's distribution, with no extra"
    modules = {Path(package).name for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    imported = set(re.findall(r"^from (\w+)", world.blocks["api"].text, re.MULTILINE))
    assert imported == modules, "what the examples import comes with our distribution, without an extra"


@of("install-redis")
def _(world: World) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^\w-]", requirement, maxsplit=1)[0] for requirement in project["dependencies"]}
    assert installed(world, "install-redis") in needed, "it is there already: one of ours, without an extra"


@of("env-file")
def _(world: World, tmp_path: Path) -> None:
    text = world.blocks["env-file"].text
    (tmp_path / ".env").write_text(text)
    world.monkeypatch.chdir(tmp_path)
    for variable in ("API_BASE_URL", "APP_TOKEN", "APP_ID"):
        world.monkeypatch.delenv(variable)
    assigned = dict(re.findall(r"^(\w+)=(.+)$", text, re.MULTILINE))
    placeholder = assigned.pop("APP_ID")
    with pytest.raises(ConfigError, match=rf"^APP_ID must be an integer, not '{placeholder}'"):
        API()
    world.monkeypatch.setenv("APP_ID", "130")
    settings = Settings.read()
    assert {variable: str(getattr(settings, variable.lower())) for variable in assigned} == assigned
    # The addresses are examples; in the environment, which comes first, they are the local ones.
    for variable, value in {"API_BASE_URL": world.served.url, "APP_TOKEN": "org-2"}.items():
        world.monkeypatch.setenv(variable, value)
    world.use("service")
    api = world.api()
    api.task.set_progress(10, "from .env", "pending")
    assert world.reported(assigned["TASK_ID"]) == "[ 10 %] from .env (pending)"
    api.app_cache.set("from .env", 1)
    assert world.cached("from .env") == (1, None)
    assert api.settings.action_id == assigned["ACTION_ID"]


@of("api")
def _(world: World) -> None:
    api = world.run("api")["api"]
    assert isinstance(api, API) and api.settings.app_id == 130
    assert world.services.seen == []
    assert api.integrations.get_integrations().count == len(CONNECTIONS)


@of("environment-detection", *BACKENDS)
def _(world: World, variant: str) -> None:
    found = re.fullmatch(
        r"#.*\nif (\w+):\n((?: +#.*\n)+)else:\n((?: +#.*\n)+)", world.blocks["environment-detection"].text
    )
    assert found, "a condition and two branches, which only say what happens"
    variable, set_, not_set = found.groups()
    assert "cache service" in set_ and "Redis" in not_set
    world.use("redis")
    if variant == "service":
        world.use("service")  # the variable alone decides: the Redis is still named beside it
    assert (variable in os.environ) is (variant == "service")
    api = world.api()
    api.app_cache.set("detected", variant, ttl=60)
    api.task.set_progress(30, "detected", "pending")
    assert UUID(api.task.id).version == 4
    assert (world.cached("detected") or ("",))[0] == variant
    assert world.reported(api.task.id) == "[ 30 %] detected (pending)"
    with world.redis() as client:
        assert bool(client.keys("*")) is (variant == "redis")
    assert bool(world.console) is (variant == "redis")
    world.monkeypatch.setenv("TASK_ID", "from the environment")
    assert world.api().task.id == "from the environment"


# One test a block.


CASES = [(name, variant) for name, (_check, variants) in CHECKS.items() for variant in variants or ("",)]
CASES.sort(key=lambda case: NAMES.index(case[0]))


@pytest.mark.parametrize(("name", "variant"), CASES, ids=["-".join(filter(None, case)) for case in CASES])
def test_block(name: str, variant: str, request: pytest.FixtureRequest) -> None:
    check = CHECKS[name][0]
    code = check.__code__
    check(**{wanted: request.getfixturevalue(wanted) for wanted in code.co_varnames[: code.co_argcount]})
