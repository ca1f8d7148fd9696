"""Real Hasura schemas with the operations that their applications run, and what scoping makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    build_schema,
    parse,
    validate,
)

from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import ScopeError
from automio.scope.policy import Policy
from automio.scope.walk import scope_document

CASES = [
    ("learn_dotnet_todo", None, 0),
    ("learn_dotnet_todo", "user_id", 0),
    ("intuition", None, 0),
    ("intuition", "account_id", 1),
    ("carnet_de_bord", None, 0),
    ("carnet_de_bord", "deploymentId", 6),
]


@pytest.mark.parametrize(("name", "column", "refused"), CASES)
def test_operations_of_applications(name: str, column: str | None, refused: int, shared: Path) -> None:
    """All pass where there are no organizations. With a column that plays the organization, and everything declared
    safe, what passes is valid and the rest has a reason."""
    text = (shared / "schemas" / "real" / f"{name}.graphql").read_text()
    if column:
        text = re.sub(rf"\b{column}: (?:uuid|String)(_comparison_exp)?", rf"{column}: Int\1", text)
        if "input Int_comparison_exp" not in text:
            text += "\ninput Int_comparison_exp { _eq: Int }\n"
    schema = build_schema(text, assume_valid=True)
    index = index_schema(Sdl.read([(name, text)]), tenant_column=column)
    policy = Policy(
        frozenset(
            {root for roots in index.roots.values() for root in roots}
            | {f"{table.type}.{field}" for table in index.tables.values() for field in table.other}
        ),
        frozenset(index.tables),
    )
    files = sorted((shared / "schemas" / "real" / f"{name}.operations").rglob("*.graphql"))
    definitions = [d for file in files for d in parse(file.read_text()).definitions]
    fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
    operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
    assert len(operations) > 30
    codes: list[str] = []
    for operation in operations:
        document = DocumentNode(definitions=(operation, *fragments.values()))
        try:
            scoped = scope_document(document, index, policy=policy)
        except ScopeError as error:
            codes.append(error.code)
            continue
        was_valid = all("never used" in error.message for error in validate(schema, document))
        assert not was_valid or validate(schema, scoped.document) == [], scoped.text
        if column and f"where: {{_and: [{{{column}" in scoped.text:
            assert scoped.scope_variable
    assert len(codes) == refused
    assert set(codes) <= {"AUTOMIO-205", "AUTOMIO-206"}
