"""What nodes.py makes of plain text is what graphql-core's parser makes of it; for other text it makes nothing.

test_sdl.py does the same with definitions drawn at random.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import GraphQLSyntaxError, Node, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from automio.dialect.nodes import Nodes
from automio.dialect.sdl import Sdl

PIECES = st.sampled_from(
    [
        *'type input enum scalar extend implements true null A b _c1 : ! [ ] { } ( ) = @ & | , # """ " \\ \n \r 12 012 -3 1.5'.split(
            " "
        ),
        *[" ", "  ", "\n", "\ufeff", "\u00a0", "\x0b", "\x00", "\ud800", "é", "$x", "..."],
        *[
            '"""d"""',
            '"d"',
            '"""\n  a\n   "b"\n"""',
            '"\\"\\u0041"',
            '"a\\"b"',
            "a: Int",
            "b(c: [D!]! = [])",
            "[]",
            "= X",
            "= 1a",
        ],
    ]
)


def expected(text: str) -> Node | None:
    try:
        (node,) = parse(text, no_location=True).definitions
    except (GraphQLSyntaxError, ValueError, UnicodeError):
        return None
    return node


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(["", "type A {", "input A {", "enum A {", "type A { a("]), st.lists(PIECES, max_size=9).map("".join)
)
def test_no_node_for_what_the_parser_refuses(head: str, text: str) -> None:
    text = head + text + ("}" if head else "")
    made = Nodes().definition(text)
    if made:
        node = expected(text)
        assert node, text
        assert made.to_dict() == node.to_dict()


@pytest.mark.parametrize("name", ["carnet_de_bord", "intuition", "learn_dotnet_todo", "learn_go"])
def test_real_schemas_are_plain_text(shared: Path, name: str) -> None:
    """Every definition and root field equals the parser's, and hardly any needs it (three with directives or odd defaults)."""
    text = (shared / "schemas" / "real" / f"{name}.graphql").read_text()
    sdl, nodes, left = Sdl.read([(name, text)]), Nodes(), 0
    for spans in sdl.definitions.values():
        for span in spans:
            made = nodes.definition(span.body)
            left += made is None
            assert made is None or made.to_dict() == parse(span.body, no_location=True).definitions[0].to_dict()
    for roots in sdl.root_fields.values():
        for root in roots.values():
            made = nodes.field(root.span.body)
            assert made
            (node,) = parse(f"type X {{{root.span.body}}}", no_location=True).definitions[0].fields  # pyright: ignore[reportAttributeAccessIssue]
            assert made.to_dict() == node.to_dict()
    assert left <= 3


@pytest.mark.parametrize(
    "text",
    [
        "scalar A",
        '"""d"""\nscalar A',
        "enum A { B, C }",
        'enum A { "b" B\n"""c""" C }',
        "input A { b: [Int!]! = [], c: B = X d: Int = -3 }",
        'type A { "x" b("y" c: D, e: [F!]): [G!]! }',
        "extend type A { b: C }",
    ],
)
def test_plain_text_is_taken(text: str) -> None:
    made, node = Nodes().definition(text), expected(text)
    assert made and node
    assert made.to_dict() == node.to_dict()


@pytest.mark.parametrize(
    "text",
    [
        "type A @b { c: D }",
        "type A implements B { c: D }",
        "type A",
        "type A {}",
        "type A { b: C! ! }",
        "type A { b: C!! }",
        "type A { b: [C }",
        "type A { b: C] }",
        "type A { b(): C }",
        "type A { b: C # }\n}",
        "enum A { true }",
        "input A { b: C = 012 }",
        "input A { b: C = 1a }",
        "input A { b: C = {d: 1} }",
        'type A { "\\u0041" b: C }',
        'type A { """\\"""""" b: C }',
        '"d" extend type A { b: C }',
        "union A = B",
        "directive @a on FIELD",
        "schema { query: A }",
        "type A { b: C } type D { e: F }",
    ],
)
def test_other_text_is_left_to_the_parser(text: str) -> None:
    assert Nodes().definition(text) is None


def test_equal_texts_share_a_node() -> None:
    nodes = Nodes()
    one, other = nodes.definition("type A { id: Int! }"), nodes.definition("type B { id: Int! }")
    assert one and other
    assert one.fields[0] is other.fields[0]  # pyright: ignore[reportAttributeAccessIssue]
