"""What golden cases can't show: purity, determinism, types of the organization column, indexes from facts."""

from __future__ import annotations

import copy
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import parse, print_ast

from automio.dialect.index import OperationKind, Root, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import ScopeError
from automio.scope.policy import Policy
from automio.scope.values import apply_rules
from automio.scope.walk import scope_document

from .conftest import GOLDEN, SCHEMA, index_of, load

DOCUMENTS = sorted(
    path.name for path in GOLDEN.iterdir() if path.is_dir() and not path.name.startswith(("error_", "no_tenant"))
)
SAFE = frozenset(
    name
    for case in GOLDEN.glob("*/case.json")
    for name in json.loads(case.read_text()).get("policy", {}).get("safe_functions", ())
)
OPEN = Policy(SAFE, frozenset({"app_130_countries", "app_130_regions"}))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_pure_and_the_same_from_facts(name: str) -> None:
    document, index = parse((GOLDEN / name / "document.graphql").read_text()), index_of(GOLDEN / name)
    before = copy.deepcopy(document)
    operation = load(GOLDEN / name / "case.json", {}).get("operation")
    first = scope_document(document, index, operation_name=operation, policy=OPEN)
    assert print_ast(document) == print_ast(before)
    facts = SchemaIndex.from_facts(index.facts())
    second = scope_document(document, facts, operation_name=operation, policy=OPEN)
    assert (first.text, first.rules, first.plan, first.reasons) == (
        second.text,
        second.rules,
        second.plan,
        second.reasons,
    )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_scoped_documents_can_be_scoped_again(name: str) -> None:
    """What comes out is a document like any other: nothing in it is refused, and what it showed stays own."""
    document, index = parse((GOLDEN / name / "document.graphql").read_text()), index_of(GOLDEN / name)
    operation = load(GOLDEN / name / "case.json", {}).get("operation")
    once = scope_document(document, index, operation_name=operation, policy=OPEN)
    twice = scope_document(once.document, index, policy=OPEN)
    assert twice.tables == once.tables


def test_a_variable_that_is_turned_and_passed(index: SchemaIndex) -> None:
    """Sent twice under two names; whichever place comes first keeps the name."""
    places = ["a: app_130_orders(where: $w) { id }", "b: app_130_orders(where: {meta: {_contains: [$w]}}) { id }"]
    for order, (turned, passed) in ((places, ("w", "w_1")), (places[::-1], ("w_1", "w"))):
        document = parse(f"query ($w: app_130_orders_bool_exp) {{ {' '.join(order)} }}")
        scoped = scope_document(document, index)
        value = {"messages": {}}
        sent = apply_rules(scoped.rules, {"w": value}, 7, index, python_names=False)
        assert sent == {turned: {"messages": {"_and": [{"organization_id": {"_eq": 7}}, {}]}}, passed: value}
        assert scoped.dropped == frozenset()


def of_type(type_: str) -> SchemaIndex:
    text = SCHEMA.read_text().replace("organization_id: Int", f"organization_id: {type_}")
    return index_schema(Sdl.read([("schema.graphql", f"scalar bigint\nscalar smallint\n{text}")]))


@pytest.mark.parametrize("type_", ["bigint", "smallint"])
def test_an_organization_of_another_integer_type_has_a_variable_of_it(type_: str) -> None:
    scoped = scope_document(parse("{ app_130_orders { id } }"), of_type(type_))
    assert f"$organization_id: {type_}!" in scoped.text


@pytest.mark.parametrize("type_", ["uuid", "String", "numeric"])
@pytest.mark.parametrize(
    "text", ["{ app_130_orders { id } }", "{ app_130_countries { orders { messages { order { id } } } } }"]
)
def test_an_organization_of_another_type_is_refused(text: str, type_: str) -> None:
    with pytest.raises(ScopeError, match=f"organization column of type {type_} cannot be scoped"):
        scope_document(parse(text), of_type(type_))


def test_two_types_of_organization_are_refused() -> None:
    text = SCHEMA.read_text().replace(
        "type app_130_stock {\n  sku: String!\n  warehouse: Int!\n  organization_id: Int!",
        "type app_130_stock {\n  sku: String!\n  warehouse: Int!\n  organization_id: bigint!",
    )
    index = index_schema(Sdl.read([("schema.graphql", f"scalar bigint\nscalar smallint\n{text}")]))
    with pytest.raises(ScopeError, match="two types"):
        scope_document(parse("{ app_130_orders { id } app_130_stock { sku } }"), index)


def test_the_declared_scope_variable_is_an_int() -> None:
    document = parse(
        "query ($organization_id: [Int!]) { app_130_orders(where: {organization_id: {_in: $organization_id}}) { id } }"
    )
    index = of_type("Int")
    with pytest.raises(ScopeError, match="must be Int"):
        scope_document(document, index, scope_variable="organization_id")
    assert scope_document(document, index).scope_variable == "organization_id_1"


def test_by_key_needs_the_table_list(index: SchemaIndex) -> None:
    """A schema that shows a row by key but no list of it has no filter to bind it with."""
    roots: dict[OperationKind, dict[str, Root]] = {kind: dict(fields) for kind, fields in index.roots.items()}
    del roots["subscription"]["app_130_orders"]
    cut = SchemaIndex(
        index.tables, roots, index.inputs, index.tenant_column, index.aggregate_types, index.response_types
    )
    with pytest.raises(ScopeError, match="cannot be scoped: the schema has no list field"):
        scope_document(parse('subscription { app_130_orders_by_pk(id: "1") { id } }'), cut)
    scope_document(parse('{ app_130_orders_by_pk(id: "1") { id } }'), cut)


def test_deep_documents_are_refused_not_crashed_on(index: SchemaIndex) -> None:
    inner = "status"
    for _ in range(40):
        inner = f"messages {{ order {{ {inner} }} }}"
    document = parse(f"{{ app_130_orders {{ {inner} }} }}")
    scope_document(document, index)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 120)
    try:
        with pytest.raises(ScopeError, match="nested too deeply"):
            scope_document(document, index)
    finally:
        sys.setrecursionlimit(limit)


def test_values_and_reshape_load_no_graphql_core() -> None:
    program = "import sys, automio.scope.values, automio.scope.reshape; print('graphql' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"


REMOTE = """
schema { query: query_root }
type query_root {
  things(where: things_bool_exp, distinct_on: [things_select_column!]): [things!]!
  weather(city: String!): Weather!
}
enum things_select_column { id }
input things_bool_exp { id: Int_comparison_exp }
input Int_comparison_exp { _eq: Int }
type things { id: Int! weather(days: Int!): Weather! }
type Weather { degrees: Int! place: Place! thing: things! }
type Place { city: String! }
"""


def test_remote_objects_pass_where_there_are_no_organizations() -> None:
    """Whatever is below them, and fragments that stand both on rows and behind a remote object."""
    index = index_schema(Sdl.read([("schema.graphql", REMOTE)]), tenant_column=None)
    text = (
        "query A($days: Int!) { things { ...T weather(days: $days) { ...W thing { ...T } } }"
        ' weather(city: "x") { ... on Weather { thing { ... on things { id } } } } }'
        " fragment T on things { id }"
        " fragment W on Weather { degrees place { ...P } }"
        " fragment P on Place { city }"
    )
    scoped = scope_document(parse(text), index)
    assert scoped.text == print_ast(parse(text))
    assert (scoped.scope_variable, scoped.rules, scoped.plan) == (None, (), ())
    with pytest.raises(ScopeError, match="function is not declared safe"):
        scope_document(parse('{ weather(city: "x") { degrees } }'), index_schema(Sdl.read([("s", REMOTE)])))
