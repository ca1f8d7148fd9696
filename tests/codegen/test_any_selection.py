"""Whatever an operation selects, its models read every answer that the schema allows, and lose none of it."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    print_ast,
)
from graphql.language import NameNode
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes

from automio.codegen.config import load_config
from automio.codegen.pipeline import build
from automio.codegen.write import write
from automio.errors import CodegenError
from automio.runtime import call
from automio.scope.reshape import reshape

SCHEMA = Path(__file__).resolve().parent.parent / "golden" / "codegen" / "sample" / "schema.graphql"
LEAVES: dict[str, Any] = {
    "Int": 7,
    "String": "s",
    "Boolean": True,
    "uuid": "00000000-0000-0000-0000-000000000001",
    "timestamptz": "2026-02-03T04:05:06+00:00",
    "numeric": "1.50",
    "bigint": 7,
}
NUMBERS = itertools.count()


def answer(seed: int) -> Any:
    """A resolver that gives some value that the type allows: now and then null, lists of none to two."""
    turn = itertools.count(seed)

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        return value(info.return_type, info.field_name)

    def value(type_: Any, name: str, *, null: bool = True) -> Any:
        number = next(turn)
        if isinstance(type_, GraphQLNonNull):
            return value(type_.of_type, name, null=False)
        # The organization is always 7, and what a mutation answers is never null: neither is in doubt here.
        if number % 5 == 0 and null and not name.startswith(("insert_", "update_", "delete_", "organization_id")):
            return None
        if isinstance(type_, GraphQLList):
            return [value(type_.of_type, name) for _ in range(number % 3)]
        if isinstance(type_, GraphQLObjectType):
            return {}
        return next(iter(type_.values)) if isinstance(type_, GraphQLEnumType) else LEAVES[type_.name]

    return resolve


def named(text: str) -> str:
    document = parse(text)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            definition.name = NameNode(value="Any")
    return print_ast(document)


def keys(value: Any) -> Any:
    """The shape of JSON: keys and lengths."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(inner) for inner in value] if isinstance(value, list) else value is None


def strict(schema: GraphQLSchema) -> GraphQLSchema:
    """Hasura gives `aggregate` always, whatever the schema says."""
    for name, type_ in schema.type_map.items():
        if name.endswith("_aggregate") and isinstance(type_, GraphQLObjectType) and "aggregate" in type_.fields:
            type_.fields["aggregate"].type = GraphQLNonNull(type_.fields["aggregate"].type)
    return schema


SCALARS = {name: st.just(nodes.String("00000000-0000-0000-0000-000000000001")) for name in ("uuid", "timestamptz")}
SCALARS |= {name: st.just(nodes.Int(1)) for name in ("numeric", "bigint")}
TEXT = from_schema(SCHEMA.read_text(), custom_scalars=SCALARS, allow_null=False).map(named)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(text=TEXT, seed=st.integers(0, 20))
def test_models_read_every_answer(text: str, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("any")
    package = f"any_{next(NUMBERS)}"
    (root / "schema").mkdir()
    (root / "queries").mkdir()
    (root / "schema" / "s.graphql").write_text(SCHEMA.read_text())
    (root / "queries" / "q.graphql").write_text(text)
    (root / "codegen.toml").write_text(f'derived = false\n[apps.130]\npackage = "{package}"\n')
    config = load_config(root / "codegen.toml")
    try:
        write(config, build(config).files)
    except CodegenError as error:
        # Orders through relationships cannot be scoped; everything else must compile.
        assert {d.code for d in error.diagnostics} <= {"AUTOMIO-205", "AUTOMIO-127"}, f"{error}\n{text}"
        return
    registered = dict(call._registered)
    sys.path.insert(0, str(root))
    try:
        module = next(path.stem for path in (root / package).glob("*.py") if not path.stem.startswith("_"))
        operation = importlib.import_module(f"{package}.{module}").ANY
        schema = strict(build_schema(SCHEMA.read_text()))
        sent = parse(operation.bound("130").text)
        variables = {"organization_id": 7}
        answered = execute_sync(schema, sent, variable_values=variables, field_resolver=answer(seed))
        assert answered.data and not answered.errors, answered.errors
        data = reshape(answered.data, operation.plan, 7)
        model = operation.result().model_validate(data)
        assert keys(model.model_dump(mode="json", by_alias=True)) == keys(data)
    finally:
        sys.path.remove(str(root))
        call._registered.clear()
        call._registered.update(registered)
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]
