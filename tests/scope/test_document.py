"""The schema-free checks of scope/document.py agree with graphql-core's own rules."""

from __future__ import annotations

from random import Random

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    KnownFragmentNamesRule,
    NoFragmentCyclesRule,
    NoUndefinedVariablesRule,
    NoUnusedVariablesRule,
    OverlappingFieldsCanBeMergedRule,
    UniqueArgumentNamesRule,
    UniqueInputFieldNamesRule,
    UniqueVariableNamesRule,
    build_schema,
    parse,
    validate,
)

from automio.errors import ScopeError
from automio.scope.document import choose

from .documents import Writer

RULES = (
    KnownFragmentNamesRule,
    NoFragmentCyclesRule,
    UniqueVariableNamesRule,
    NoUndefinedVariablesRule,
    NoUnusedVariablesRule,
    UniqueArgumentNamesRule,
    UniqueInputFieldNamesRule,
    OverlappingFieldsCanBeMergedRule,
)
BROKEN = [
    "{ a(x: $n) }",
    "query ($n: Int) { a }",
    "query ($n: Int, $n: Int) { a(x: $n) }",
    "{ a(x: 1, x: 2) }",
    "{ a(x: {k: 1, k: 2}) }",
    "{ a(x: [{k: {l: 1, l: 1}}]) }",
    "{ a @include(if: $n) }",
    "{ a @include(if: true, if: false) }",
    "{ ...F }",
    "{ ...F } fragment F on X { ...F }",
    "{ ...F } fragment F on X { a { ...G } } fragment G on X { ... { ...F } }",
    "{ ...F } fragment F on X { a(x: $n) }",
    "query ($n: Int = 1) { ...F } fragment F on X { a }",
    "{ x: a x: b }",
    "{ a(x: 1) a(x: 2) }",
    "{ a { x: b } a { x: c } }",
    "{ a { ...F } a { x: c } } fragment F on X { x: b }",
    "{ a ... @include(if: true) { a(x: 1) } }",
]
FINE = [
    "{ a a }",
    "{ a(x: 1) a(x: 1) }",
    "{ x: a { b } y: a { b: c } }",
    "query ($n: Int) { ...F ...G } fragment F on X { a { ...G } } fragment G on X { b(x: [{k: $n}]) }",
    "{ a(x: 1) { b } c { a(x: 2) } }",
]


@pytest.fixture(scope="module")
def empty() -> GraphQLSchema:
    return build_schema("type Query { _: Int }")


def refused(document: DocumentNode) -> bool:
    try:
        choose(document, None)
    except ScopeError:
        return True
    return False


@pytest.mark.parametrize("text", BROKEN)
def test_broken_documents_are_refused_with_a_place(text: str, empty: GraphQLSchema) -> None:
    assert validate(empty, parse(text), RULES)
    with pytest.raises(ScopeError, match=r"\(line 1, column \d+\) \[AUTOMIO-208\]"):
        choose(parse(text), None)
    with pytest.raises(ScopeError):
        choose(parse(text, no_location=True), None)


@pytest.mark.parametrize("text", FINE)
def test_fine_documents_pass(text: str, empty: GraphQLSchema) -> None:
    assert validate(empty, parse(text), RULES) == []
    choose(parse(text), None)


def test_random_documents_with_one_name_changed(empty: GraphQLSchema) -> None:
    """A name of the text is put in another name's place: both see a fault, or neither."""
    both = 0
    for seed in range(300):
        random = Random(seed)
        writer = Writer(random)
        text = writer.document("query", [writer.read()])
        words = [w for w in text.replace("(", " ").replace(":", " ").split() if w[:1] in "$kr" and w.isascii()]
        if len(words) > 1:
            old, new = random.sample(words, 2)
            text = text.replace(old, new, 1)
        try:
            document = parse(text)
        except GraphQLSyntaxError:
            continue
        expected = bool(validate(empty, document, RULES))
        assert refused(document) == expected, text
        both += expected
    assert both > 5


def test_only_the_chosen_operation_and_what_it_reaches() -> None:
    text = "query A { ...F } query B { ...G } fragment F on X { k: a } fragment G on X { b(x: $nowhere) }"
    chosen = choose(parse(text), "A")
    assert list(chosen.fragments) == ["F"]
    assert all(isinstance(f, FragmentDefinitionNode) for f in chosen.fragments.values())
    assert chosen.response_keys == {"k"}
    assert chosen.label == "query A"


@pytest.mark.parametrize(
    ("text", "name"),
    [("query A { a } query A { b }", "A"), ("{ a } query B { a }", "B"), ("fragment F on X { a }", None)],
)
def test_no_guess_between_operations(text: str, name: str | None) -> None:
    with pytest.raises(ScopeError):
        choose(parse(text), name)
