"""Files that cannot be used are diagnostics; order and paths are the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graphql import build_schema, introspection_from_schema

from automio.codegen.config import CodegenConfig
from automio.codegen.sources import read_sources
from automio.errors import CodegenError


def config(root: Path, **values: str) -> CodegenConfig:
    return CodegenConfig(root, **values)  # pyright: ignore[reportArgumentType]


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_order_and_paths(tmp_path: Path) -> None:
    for name in ("schema/b.graphql", "schema/a/z.graphql", "schema/a.graphql", "schema/.hidden/x.graphql"):
        put(tmp_path, name, "type Query { a: Int }")
    put(tmp_path, "queries/app_1/b.graphql", "\ufeffquery B { a }\r\n")
    sources = read_sources(config(tmp_path))
    assert [file.path for file in sources.schema] == ["schema/a.graphql", "schema/a/z.graphql", "schema/b.graphql"]
    assert [(file.path, file.text) for file in sources.queries] == [("queries/app_1/b.graphql", "query B { a }\r\n")]


def test_one_file_as_schema(tmp_path: Path) -> None:
    put(tmp_path, "all.graphql", "type Query { a: Int }")
    assert [file.path for file in read_sources(config(tmp_path, schema="all.graphql")).schema] == ["all.graphql"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_introspection(tmp_path: Path, wrapped: bool) -> None:
    answer = introspection_from_schema(build_schema("type Query { order(id: ID!): String }"))
    put(tmp_path, "schema.json", json.dumps({"data": answer} if wrapped else answer))
    [file] = read_sources(config(tmp_path, schema="schema.json")).schema
    assert "order(id: ID!): String" in file.text


def test_every_unusable_file_is_reported(tmp_path: Path) -> None:
    put(tmp_path, "schema/a.graphql", b"type Query {\n  # caf\xe9\n}")
    put(tmp_path, "schema/b.json", "{\n  nope")
    put(tmp_path, "schema/c.json", '{"data": {}}')
    put(tmp_path, "queries/x.graphql", b"\xff")
    with pytest.raises(CodegenError) as caught:
        read_sources(config(tmp_path))
    places = [f"{d.path}:{d.line}:{d.column}" for d in caught.value.diagnostics]
    assert places == ["queries/x.graphql:1:1", "schema/a.graphql:2:8", "schema/b.json:2:3", "schema/c.json:1:1"]


def test_no_schema_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CodegenError, match=r"(?s)the schema does not exist.*automio pull"):
        read_sources(config(tmp_path))
    (tmp_path / "schema").mkdir()
    with pytest.raises(CodegenError, match=r"the schema has no \.graphql file"):
        read_sources(config(tmp_path))
