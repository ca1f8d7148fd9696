"""Golden cases of the scoping walk: a folder each under tests/golden/scope/.

In:  document.graphql, whose first line names the rules it stands for (`# tenancy: 5.4.2`; rules.md lists them); optional
     variables.json, answer.json (what a server says to the scoped document), case.json: {schema: a file beside the shared
     schema.graphql, organization, operation, scope_variable, policy, tenant_column, python_names, references}.
Out: scoped.graphql, rules.txt (rules, dropped, plan, tables, reasons), sent.json, check.txt (what is asked
     before a mutation), reshaped.json; or refusal.txt alone.

Beyond the text: the scoped document must be valid for the schema, and the sent variables must fit its definitions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, parse, print_ast, validate
from graphql.execution.values import get_variable_values

from automio.errors import ScopeError
from automio.scope.check import Asked, prepare
from automio.scope.policy import Policy
from automio.scope.reshape import reshape
from automio.scope.values import all_rows, apply_rules
from automio.scope.walk import ScopedDocument, scope_document

from .conftest import GOLDEN, index_of, load, schema_of

CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, update_golden: bool) -> None:
    case = GOLDEN / name
    found = outcome(case)
    if update_golden:
        for old in ("scoped.graphql", "rules.txt", "sent.json", "check.txt", "reshaped.json", "refusal.txt"):
            (case / old).unlink(missing_ok=True)
        for file, text in found.items():
            (case / file).write_text(text)
    written = {
        file: (case / file).read_text()
        for file in ("scoped.graphql", "rules.txt", "sent.json", "check.txt", "reshaped.json", "refusal.txt")
        if (case / file).exists()
    }
    assert normal(found) == normal(written)


def outcome(case: Path) -> dict[str, str]:
    options = load(case / "case.json", {})
    schema, index = schema_of(case), index_of(case)
    policy = {key: frozenset(names) for key, names in options.get("policy", {}).items()}
    organization = options.get("organization", 7)
    try:
        scoped = scope_document(
            parse((case / "document.graphql").read_text()),
            index,
            operation_name=options.get("operation"),
            scope_variable=options.get("scope_variable"),
            policy=Policy(**policy),
        )
        sent = apply_rules(
            scoped.rules,
            special(load(case / "variables.json", {})),
            organization,
            index,
            python_names=options.get("python_names", False),
        )
    except ScopeError as error:
        return {"refusal.txt": f"{error}\n"}
    if scoped.scope_variable:
        sent[scoped.scope_variable] = organization
    check_valid(schema, scoped, sent)
    found = {
        "scoped.graphql": scoped.text + "\n",
        "rules.txt": describe(scoped),
        "sent.json": json.dumps(sent, indent=2, ensure_ascii=False) + "\n",
    }
    if scoped.check is not None:
        prepared = prepare(scoped.check, index)
        asked = prepared.ask(sent, organization)
        if asked is not None:
            check_asked(schema, prepared.text, asked.variables)
        found["check.txt"] = f"{prepared.text}\n{describe_asked(asked)}"
    if (case / "answer.json").exists():
        answer = reshape(load(case / "answer.json", {}), scoped.plan, organization)
        found["reshaped.json"] = json.dumps(answer, indent=2) + "\n"
    return found


def check_valid(schema: GraphQLSchema, scoped: ScopedDocument, sent: dict[str, Any]) -> None:
    assert validate(schema, scoped.document) == []
    assert validate(schema, parse(scoped.text)) == []
    definitions = scoped.document.definitions[0].variable_definitions  # pyright: ignore
    coerced = get_variable_values(schema, definitions, sent)
    if isinstance(coerced, list):
        assert coerced == []
    assert set(sent) <= {definition.variable.name.value for definition in definitions}


def check_asked(schema: GraphQLSchema, text: str, variables: dict[str, Any]) -> None:
    document = parse(text)
    assert validate(schema, document) == []
    definitions = document.definitions[0].variable_definitions  # pyright: ignore
    assert not isinstance(get_variable_values(schema, definitions, variables), list)
    names = {definition.variable.name.value for definition in definitions}
    assert set(variables) <= names


def describe_asked(asked: Asked | None) -> str:
    if asked is None:
        return "not asked\n"
    lines = ["variables", *(f"  {name}: {json.dumps(value)}" for name, value in asked.variables.items())]
    for alias, (number, places) in asked.counts.items():
        lines += [f"{alias} must count {number}", *(f"  {table} {path}" for table, path in places)]
    return "\n".join([*lines, *(f"{alias} must count 0: {table}" for alias, table in asked.guarded.items())]) + "\n"


def describe(scoped: ScopedDocument) -> str:
    lines = ["rules", *(f"  {rule!r}" for rule in scoped.rules)]
    lines += ["dropped", *(f"  {name}" for name in sorted(scoped.dropped))]
    lines += [
        "plan",
        *(f"  {'.'.join(s.path)}: {s.action.value}{' ' + s.helper if s.helper else ''}" for s in scoped.plan),
    ]
    lines += ["tables", *(f"  {table}" for table in scoped.tables)]
    lines += ["reasons", *(f"  {reason.path}: {reason.text}" for reason in scoped.reasons)]
    return "\n".join(lines) + "\n"


def special(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: all_rows() if value == "all_rows()" else value for name, value in variables.items()}


def normal(files: dict[str, str]) -> dict[str, str]:
    """graphql-core prints objects in two ways, by version: compare documents as they parse."""
    return {file: print_ast(parse(text)) if file == "scoped.graphql" else text for file, text in files.items()}
