"""The description and the routes say the same, and a running platform does what the description says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from automio.local import integrations
from automio.local.config import PlatformConfig
from automio.local.openapi import PATHS, description
from automio.local.platform import Platform


def _routes(root: Path) -> set[tuple[str, str, str]]:
    """(method, what the path begins with, what it ends with), of every route of the three tables."""
    platform = Platform(PlatformConfig(root), cast(Any, None))
    found = {(method, path, "") for path, (method, _) in platform.routes.items()}
    found |= {(route.method, route.prefix, route.end) for route in platform.companions.routes}
    found.add(("GET", f"{integrations.PREFIX}", ""))
    return found | {
        (method, f"{integrations.PREFIX}/", f"/{name}" if name else "") for name, method in integrations.ROUTES.items()
    }


def _described() -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for path, methods in PATHS.items():
        begin, brace, rest = (path.rstrip("/") or "/").partition("{")
        end = rest.rpartition("}")[2]
        found |= {(method.upper(), begin if brace else begin, end) for method in methods}
    return found


def test_each_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    assert _described() == _routes(tmp_path)


def test_every_reference_leads_somewhere() -> None:
    text = description()
    names = {name.rpartition("/")[2] for name in _references(text)}
    assert names == set(text["components"]["schemas"]), "each shape is used, and each name has a shape"
    operations = [one for path in PATHS.values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    for path, methods in PATHS.items():
        for operation in methods.values():
            given = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert given == {part.partition("}")[0] for part in path.split("{")[1:]}, path


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for item in value.values() for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list | tuple) else []
