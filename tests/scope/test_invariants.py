"""Invariants R and W of the tenancy reference, by naive.py on random databases and random documents (documents.py).

R: a scoped document on the whole database answers exactly what the caller's document answers on the database that
holds the organization's rows alone. W: rows of others and shared rows stay as they were, and the organization's rows
become what they would have become alone.
"""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from graphql import GraphQLSchema, parse, validate

from automio.dialect.index import SchemaIndex
from automio.errors import ScopeError
from automio.scope.reshape import reshape
from automio.scope.values import apply_rules
from automio.scope.walk import ScopedDocument, scope_document

from .documents import OWN, Writer, alone, database
from .naive import COLUMNS, TENANT, run

EACH = 20
"""Documents in one test."""


def rewritten(
    text: str, variables: dict[str, Any], index: SchemaIndex, schema: GraphQLSchema
) -> tuple[ScopedDocument, dict[str, Any]]:
    document = parse(text)
    assert validate(schema, document) == [], "the test wrote an invalid document"
    before = copy.deepcopy(variables)
    scoped = scope_document(document, index)
    assert validate(schema, scoped.document) == []
    sent = apply_rules(scoped.rules, variables, OWN, index, python_names=False)
    assert variables == before
    if scoped.scope_variable:
        sent[scoped.scope_variable] = OWN
    return scoped, sent


@pytest.mark.parametrize("batch", range(10))
def test_reads_answer_as_if_alone(schema: GraphQLSchema, index: SchemaIndex, batch: int) -> None:
    changed = 0
    for seed in range(batch * EACH, (batch + 1) * EACH):
        random = Random(seed)
        writer = Writer(random)
        text = writer.document("query", [writer.read() for _ in range(random.randint(1, 2))])
        data = database(random)
        scoped, sent = rewritten(text, writer.variables, index, schema)
        answer, after = run(scoped.document, sent, data)
        expected, _ = run(parse(text), writer.variables, alone(data, OWN))
        assert reshape(answer, scoped.plan, OWN) == expected, f"seed {seed}: {text} {writer.variables}"
        assert after == data
        unscoped, _ = run(parse(text), writer.variables, data)
        changed += unscoped != expected
    assert changed > EACH / 8, "most documents show nothing foreign: the test has become weak"


def test_streams_answer_as_if_alone(schema: GraphQLSchema, index: SchemaIndex) -> None:
    changed = 0
    for seed in range(4 * EACH):
        random = Random(f"stream {seed}")
        writer = Writer(random)
        text = writer.document("subscription", [writer.stream()])
        data = database(random)
        scoped, sent = rewritten(text, writer.variables, index, schema)
        answer, _ = run(scoped.document, sent, data)
        expected, _ = run(parse(text), writer.variables, alone(data, OWN))
        assert reshape(answer, scoped.plan, OWN) == expected, f"seed {seed}: {text} {writer.variables}"
        unscoped, _ = run(parse(text), writer.variables, data)
        changed += unscoped != expected
    assert changed > EACH


def test_the_named_operation_runs_and_nothing_else(schema: GraphQLSchema, index: SchemaIndex) -> None:
    """C: what else stands in the document changes nothing."""
    for seed in range(EACH):
        random = Random(f"named {seed}")
        writer, other = Writer(random), Writer(random)
        text = writer.document("query", [writer.read()])
        beside = other.document("query", [other.read()]).replace("query Q", "query Other").replace("F", "G")
        scoped = scope_document(parse(text), index)
        both = scope_document(parse(f"{beside}\n{text}"), index, operation_name="Q")
        assert (both.text, both.rules, both.plan) == (scoped.text, scoped.rules, scoped.plan)


KINDS = ["update", "many", "by_pk", "delete", "delete_by_pk", "insert", "one"]


@pytest.mark.parametrize("kind", KINDS)
def test_writes_touch_own_rows_alone(schema: GraphQLSchema, index: SchemaIndex, kind: str) -> None:
    refused = changed = 0
    for seed in range(4 * EACH):
        random = Random(f"{kind} {seed}")
        writer = Writer(random)
        text = writer.document("mutation", [writer.write(kind) for _ in range(random.randint(1, 2))])
        data = database(random)
        try:
            scoped, sent = rewritten(text, writer.variables, index, schema)
        except ScopeError as error:
            # A part of a filter that is `{}` in a variable: all_rows() is asked for.
            assert error.code == "AUTOMIO-207", f"seed {seed}: {text} {writer.variables}"
            refused += 1
            continue
        answer, after = run(scoped.document, sent, data)
        where = f"seed {seed}: {text} {writer.variables}"
        for table in COLUMNS:
            assert others(after[table], table) == others(data[table], table), where
        # An insert as it was written has no organization, so there the scoped one is run on D|o.
        inserts = kind in ("insert", "one")
        document, variables = (scoped.document, sent) if inserts else (parse(text), writer.variables)
        expected, expected_after = run(document, variables, alone(data, OWN))
        if inserts:
            reshape(expected, scoped.plan, OWN)
        assert reshape(answer, scoped.plan, OWN) == expected, where
        assert alone(after, OWN) == expected_after, where
        changed += after != data
    assert refused < EACH
    assert changed > EACH / 8


def others(rows: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    return [row for row in rows if table not in TENANT or row["organization_id"] != OWN]
