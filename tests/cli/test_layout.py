"""The files of a pull are the introspected schema, and a change of one table is a change of one file."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    build_client_schema,
    build_schema,
    find_breaking_changes,
    introspection_from_schema,
    lexicographic_sort_schema,
    print_schema,
)
from graphql.utilities import find_dangerous_changes

from automio.cli.layout import HEADER, lay_out
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl


def _introspect(sdl: str) -> dict[str, Any]:
    return dict(introspection_from_schema(build_schema(sdl), specified_by_url=False, directive_is_repeatable=False))


SDL = (Path(__file__).parent / "orders.graphql").read_text()


def same(introspection: dict[str, Any], files: dict[str, str]) -> None:
    """The files together say what the introspection says, by graphql-core's own reading of both."""
    told = build_client_schema(introspection)  # pyright: ignore[reportArgumentType]
    pulled = build_schema("\n".join(files.values()))
    assert print_schema(lexicographic_sort_schema(pulled)) == print_schema(lexicographic_sort_schema(told))
    assert find_breaking_changes(told, pulled) == []
    assert find_dangerous_changes(told, pulled) == []
    assert find_breaking_changes(pulled, told) == []


def synthetic(shared: Path, **numbers: int) -> str:
    path = shared / "schemas" / "synthetic_hasura.py"
    arguments = [part for name, number in numbers.items() for part in (f"--{name}", str(number))]
    return subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, check=True).stdout


def test_the_files_of_one_app() -> None:
    layout = lay_out(_introspect(SDL))
    assert list(layout.files) == ["app_130/common.graphql", "app_130/messages.graphql", "app_130/orders.graphql"]
    assert (layout.apps, layout.tables) == (("130",), 2)
    same(_introspect(SDL), dict(layout.files))
    assert all(text.startswith(HEADER) and text.endswith("}\n") for text in layout.files.values())


def test_root_types_without_fields_of_their_own_have_no_braces() -> None:
    common = lay_out(_introspect(SDL)).files["app_130/common.graphql"]
    assert "\ntype query_root\n" in common
    assert "\ntype mutation_root\n" in common


def test_types_stand_with_their_table() -> None:
    files = lay_out(_introspect(SDL)).files
    orders, common = files["app_130/orders.graphql"], files["app_130/common.graphql"]
    for line in ("extend type query_root {", "type app_130_orders {", "enum app_130_orders_select_column {"):
        assert line in orders
    # Only messages have a numeric column today; the next table that gets one must not move these.
    assert "scalar numeric" in common
    assert "input numeric_comparison_exp {" in common
    assert "enum order_by {" in common
    assert "app_130" not in common


def test_the_pulled_files_index_like_the_schema_itself() -> None:
    files = lay_out(_introspect(SDL)).files
    pulled = index_schema(Sdl.read(files.items()))
    assert pulled.facts() == index_schema(Sdl.read([("all", SDL)])).facts()


def test_the_order_of_the_servers_answer_does_not_matter() -> None:
    introspection = _introspect(SDL)
    shuffled = _introspect(SDL)
    for type_ in shuffled["__schema"]["types"]:
        for key in ("fields", "inputFields", "enumValues"):
            random.Random(1).shuffle(type_[key] or [])
    shuffled["__schema"]["types"].reverse()
    assert lay_out(introspection) == lay_out(shuffled)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("type app_130_orders {", "type app_130_orders { note: numeric "),
        ("input app_130_orders_bool_exp {", "input app_130_orders_bool_exp { note: numeric_comparison_exp "),
        ("enum app_130_orders_select_column {", "enum app_130_orders_select_column { note "),
        ("input app_130_orders_order_by {", "input app_130_orders_order_by { note: order_by "),
        ("app_130_orders_by_pk(id: uuid!): app_130_orders", ""),
    ],
)
def test_a_change_of_a_table_changes_its_file_alone(before: str, after: str) -> None:
    changed = SDL.replace(before, after)
    assert changed != SDL
    old, new = lay_out(_introspect(SDL)).files, lay_out(_introspect(changed)).files
    assert {path for path in new if new[path] != old.get(path)} == {"app_130/orders.graphql"}
    assert old.keys() == new.keys()


def test_several_apps_and_other_tables() -> None:
    second = SDL.replace("app_130_orders", "users").replace("app_130_messages", "app_131_common")
    layout = lay_out(_introspect(second))
    # A table called `common` is not in the way of the shared types, which are above the folders here.
    assert list(layout.files) == ["app_131/common.graphql", "common.graphql", "tables/users.graphql"]
    same(_introspect(second), dict(layout.files))


def test_a_table_called_common_in_a_schema_of_one_app() -> None:
    sdl = SDL.replace("app_130_messages", "app_130_common")
    layout = lay_out(_introspect(sdl))
    assert list(layout.files) == ["app_130/common.graphql", "app_130/common_2.graphql", "app_130/orders.graphql"]
    same(_introspect(sdl), dict(layout.files))


def test_names_that_differ_in_case_alone_get_two_files() -> None:
    sdl = SDL.replace("app_130_messages", "app_130_Orders")
    names = list(lay_out(_introspect(sdl)).files)
    assert len({name.casefold() for name in names}) == len(names) == 3


def test_cut_down_to_one_app() -> None:
    other = SDL[SDL.index("type app_130_orders {") :].replace("app_130_", "app_131_")
    roots = "app_131_orders(where: app_131_orders_bool_exp): [app_131_orders!]!"
    both = SDL.replace("type query_root {", f"type query_root {{ {roots} ") + other
    layout = lay_out(_introspect(both), ["130"])
    assert (layout.apps, layout.tables, layout.apps_there) == (("130",), 2, ("130", "131"))
    assert lay_out(_introspect(SDL)).files == layout.files


def test_cut_down_keeps_what_relationships_lead_to() -> None:
    # app 130's messages belong to app 131's orders: scoping must know that table, so its root fields come along.
    sdl = SDL.replace("app_130_orders", "app_131_orders")
    layout = lay_out(_introspect(sdl), ["130"])
    assert layout.tables == 2
    same(_introspect(sdl), dict(layout.files))


def test_an_app_without_tables() -> None:
    assert lay_out(_introspect(SDL), ["7"]).tables == 0


@pytest.mark.parametrize("name", ["carnet_de_bord", "intuition", "learn_dotnet_todo", "learn_go"])
def test_real_schemas(shared: Path, name: str) -> None:
    introspection = _introspect((shared / "schemas" / "real" / f"{name}.graphql").read_text())
    layout = lay_out(introspection)
    same(introspection, dict(layout.files))
    tables = {path.removeprefix("tables/").removesuffix(".graphql") for path in layout.files} - {"common"}
    assert len(tables) == layout.tables
    # No table's own types are left behind in common.graphql.
    common = Sdl.read([("common", layout.files["common.graphql"])])
    endings = ("_bool_exp", "_order_by", "_insert_input", "_set_input", "_select_column", "_aggregate", "_max_fields")
    left = [name for name in common.definitions if name.endswith(endings) and name.rpartition("_")[0] in tables]
    assert left == []


def test_synthetic_schema_of_several_apps(shared: Path) -> None:
    sdl = synthetic(shared, apps=3, tables=4)
    layout = lay_out(_introspect(sdl))
    same(_introspect(sdl), dict(layout.files))
    assert (len(layout.apps), layout.tables, len(layout.files)) == (3, 12, 13)
    one = lay_out(_introspect(sdl), ["2"])
    assert len(one.files) == 5
    build_schema("\n".join(one.files.values()))
