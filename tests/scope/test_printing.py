"""print_document writes what graphql-core 3.2 writes, and what graphql-core of any version reads back as the same document."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from graphql import DocumentNode, parse, print_ast, version_info

from automio.scope.printing import print_document

from .documents import Writer

LONG = ", ".join(f"argument_{number}: {{_eq: $n}}" for number in range(6))
TEXTS = [
    "{ a }",
    "query { a }",
    "query Q { a { b } }",
    "query ($n: Int) { a(x: $n) }",
    "query ($n: [Int!]! = [1, 2], $o: X = {a: {b: null}, c: RED}) @cached(ttl: 60) { a(x: $n, y: $o) @skip(if: true) }",
    'mutation M { k: a(x: 1.5, y: "a \\" \\n \\u00e9", z: true, l: [], o: {}) { ...F ... on T @include(if: $n) { b } ... { c } } }',
    "fragment F on X @d { a ...G @include(if: $b) }",
    f"query Q($n: Int) {{ a {{ b({LONG}) @include(if: $n) {{ c({LONG}) }} d }} }}",
    "subscription S { a(x: 1) }",
    "query Q { a } query R { b } fragment F on X { c }",
    'query Q { a(text: """one\n  two""") { b(x: 1) } }',
    'query Q($t: String = """one\ntwo""") { a(text: $t) }',
]


def check(document: DocumentNode) -> None:
    text = print_document(document)
    assert print_ast(parse(text, no_location=True)) == print_ast(document)
    if version_info < (3, 3):
        assert text == print_ast(document)


@pytest.mark.parametrize("text", TEXTS)
def test_each_kind_of_node(text: str) -> None:
    check(parse(text))


def test_arguments_are_laid_out_at_the_same_width() -> None:
    for length in range(60, 90):
        check(parse(f"{{ k: field(x: {'1' * length}) {{ field(x: {'1' * length}) }} }}"))


def test_random_documents() -> None:
    for seed in range(100):
        writer = Writer(Random(seed))
        check(parse(writer.document("query", [writer.read(), writer.read()])))


def test_operations_of_applications(shared: Path) -> None:
    files = sorted((shared / "schemas" / "real").rglob("*.operations/**/*.graphql"))
    assert len(files) > 30
    for file in files:
        check(parse(file.read_text()))
