"""The text index of SDL is exact: what it cuts out is what graphql-core reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import ObjectTypeDefinitionNode, ObjectTypeExtensionNode, parse, print_type
from hypothesis import given, settings
from hypothesis import strategies as st

from automio.dialect.nodes import Nodes
from automio.dialect.sdl import Sdl, references
from automio.errors import CodegenError

NAMES = st.sampled_from(["A", "B1", "type", "input", "query_root", "_x", "enum", "schema", "where", "é".encode().hex()])
NASTY = [
    "plain",
    "type X {",
    "}",
    "{",
    '\\"""',
    '\\\\"""',
    "\\\\",
    "a\r\n\t b\r c",
    '""',
    "# no comment",
    "extend type Q { a: Int }",
    "a\n  b: [C]\n",
    "(",
    ")",
]
BLOCK = st.lists(st.sampled_from(NASTY), max_size=4).map(lambda parts: '"""' + " ".join(parts) + ' """')
LINE = st.lists(st.sampled_from(["plain", "}", "{ # x", '\\"', "(", "type X"]), max_size=3).map(
    lambda p: f'"{" ".join(p)}"'
)
DESCRIPTION = st.one_of(st.just(""), BLOCK, LINE).map(lambda text: text and f"{text}\n")
COMMENT = st.sampled_from(["", "# type Y { a: Int }\n", '# """ \n', "\n", " , ", "\t"])
DIRECTIVE = st.sampled_from(
    ["", ' @deprecated(reason: "use } { b")', " @a @b", ' @c(x: {y: "}"}, z: [{a: 1}])', " @d(x: 1)"]
)
TYPE = st.sampled_from(["Int", "[String!]!", "[[B1]]", " A ", "uuid!"])
DEFAULT = st.sampled_from(["", ' = "}{"', " = {a: {b: [1, {c: 2}]}}", " = [1, 2]", " = null"])


@st.composite
def fields(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        arguments = ""
        if draw(st.booleans()):
            inner = f"{draw(DESCRIPTION)}{draw(NAMES)}: {draw(TYPE)}{draw(DEFAULT)}{draw(DIRECTIVE)}"
            arguments = f"({draw(COMMENT)}{inner})"
        lines.append(
            f"{draw(DESCRIPTION)}{draw(NAMES)}{number}{arguments}: {draw(TYPE)}{draw(DIRECTIVE)}{draw(COMMENT)}"
        )
    return "{" + draw(st.sampled_from(["\n  ", " ", ""])) + "\n".join(lines) + "\n}"


@st.composite
def definitions(draw: st.DrawFn) -> str:
    number = draw(st.integers(0, 10**6))
    name = f"{draw(NAMES)}{number}"
    head = draw(DESCRIPTION)
    kind = draw(
        st.sampled_from(["type", "input", "enum", "scalar", "union", "directive", "interface", "extend", "bare"])
    )
    directive = draw(DIRECTIVE)
    if kind in ("type", "interface"):
        implements = draw(st.sampled_from(["", " implements A", " implements & A & B1", " implements A&B1"]))
        return f"{head}{kind} {name}{implements}{directive} {draw(fields())}"
    if kind == "extend":
        return f"extend type {name}{directive} {draw(fields())}"
    if kind == "input":
        inner = f"{draw(DESCRIPTION)}a: {draw(TYPE)}{draw(DEFAULT)}{draw(DIRECTIVE)}"
        return f"{head}input {name}{directive} {{ {inner} }}"
    if kind == "enum":
        return f"{head}enum {name}{directive} {{ {draw(DESCRIPTION)}X{draw(DIRECTIVE)} type }}"
    if kind == "union":
        return f"{head}union {name}{directive} = {draw(st.sampled_from(['A', '| A | B1', 'A | type', 'A|input']))}"
    if kind == "directive":
        return f"{head}directive @{name}(a: Int = 1, {draw(DESCRIPTION)} b: {draw(TYPE)}) on FIELD | OBJECT"
    if kind == "bare":
        return f"{head}type {name}{directive}"
    return f"{head}scalar {name}{directive}"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(definitions(), COMMENT), min_size=1, max_size=6))
def test_every_definition_is_cut_as_graphql_core_reads_it(parts: list[tuple[str, str]]) -> None:
    text = "\n".join(comment + definition for definition, comment in parts)
    expected = []
    for node in parse(text).definitions:
        assert node.loc
        expected.append((node.name.value, node.loc.start, node.loc.end))  # pyright: ignore[reportAttributeAccessIssue]
    try:
        sdl = Sdl.read([("s.graphql", text)])
    except CodegenError as error:
        assert all("defined twice" in fault.message for fault in error.diagnostics)
        return
    found = sorted((name, span.start, span.end) for name, spans in sdl.definitions.items() for span in spans)
    assert found == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(fields(), st.sampled_from(["type Query", "extend type Query", '"""{"""\ntype Query', "type Query @a"]))
def test_every_root_field_is_cut_as_graphql_core_reads_it(body: str, head: str) -> None:
    text = f"{head} {body}"
    node = parse(text).definitions[0]
    assert isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode)
    found = Sdl.read([("s.graphql", text)]).root_fields["query"]
    for field in node.fields:
        span = found[field.name.value].span
        assert field.loc
        (again,) = parse(f"type X {{{span.body}}}").definitions[0].fields  # pyright: ignore[reportAttributeAccessIssue]
        assert span.start == field.loc.start
        assert again.name.value == field.name.value
        assert again.to_dict() == field.to_dict()


@settings(max_examples=500, deadline=None)
@given(definitions())
def test_nodes_equal_those_of_the_parser(text: str) -> None:
    made = Nodes().definition(text)
    assert made is None or made.to_dict() == parse(text, no_location=True).definitions[0].to_dict()


@settings(max_examples=300, deadline=None)
@given(fields(), st.sampled_from(["type A ", "extend type A ", "input A ", '"""d""" type A', "type A @b "]))
def test_bodies_in_heads_of_any_kind(body: str, head: str) -> None:
    made = Nodes().definition(head + body)
    assert made is None or made.to_dict() == parse(head + body, no_location=True).definitions[0].to_dict()


@pytest.mark.parametrize("name", ["carnet_de_bord", "intuition", "learn_dotnet_todo", "learn_go"])
def test_real_schemas_are_cut_exactly(shared: Path, name: str) -> None:
    text = (shared / "schemas" / "real" / f"{name}.graphql").read_text()
    sdl = Sdl.read([(f"{name}.graphql", text)])
    nodes = [node for node in parse(text).definitions if hasattr(node, "name")]
    assert sorted(sdl.definitions) == sorted({node.name.value for node in nodes})  # pyright: ignore[reportAttributeAccessIssue]
    for node in nodes:
        (span,) = sdl.definitions[node.name.value]  # pyright: ignore[reportAttributeAccessIssue]
        assert node.loc
        assert (span.start, span.end) == (node.loc.start, node.loc.end)


SCHEMA = '''
"""Rows."""
type orders { id: Int! total: numeric messages(where: messages_bool_exp): [messages!]! }
type messages { id: Int! order: orders! }
type unrelated { id: Int! }
input messages_bool_exp { id: Int_comparison_exp _and: [messages_bool_exp!] }
input Int_comparison_exp { _eq: Int }
scalar numeric
type query_root { orders: [orders!]! }
extend type query_root { unrelated: [unrelated!]! }
'''


def test_a_slice_holds_what_is_reached_and_nothing_else() -> None:
    schema = Sdl.read([("s.graphql", SCHEMA)]).schema_for({"query": ["orders"]})
    assert "unrelated" not in schema.type_map
    assert {"orders", "messages", "messages_bool_exp", "Int_comparison_exp", "numeric"} <= set(schema.type_map)
    assert schema.query_type
    assert print_type(schema.query_type) == "type query_root {\n  orders: [orders!]!\n}"


def test_a_definition_that_needs_the_parser_does_not_end_inside_a_string() -> None:
    text = 'type A @c(x: {y: {z: {}}}) {\n  """a } "b } """\n  a(x: X = {y: {z: {}}}): Int\n}\ntype B { b: Int }'
    assert [span.body for span in Sdl.read([("s.graphql", text)]).definitions["B"]] == ["type B { b: Int }"]


def test_names_in_strings_are_no_references() -> None:
    assert references('type A { """: [B] """ a: C b: "= D" }') == ["C"]


def test_all_faults_of_all_files_come_at_once_with_their_places() -> None:
    with pytest.raises(CodegenError) as caught:
        Sdl.read([("a.graphql", "type A {\n  a: Int\n"), ("b.graphql", "type B { b: Int }\ntipe C { c: Int }")])
    assert [str(fault) for fault in caught.value.diagnostics] == [
        "a.graphql:3:1: Expected Name, found <EOF>. [AUTOMIO-110]",
        "b.graphql:2:1: Unexpected Name 'tipe'. [AUTOMIO-110]",
    ]


def test_a_type_defined_twice_names_both_places() -> None:
    with pytest.raises(CodegenError) as caught:
        Sdl.read([("a.graphql", "type A { a: Int }"), ("b.graphql", "\ntype A { a: Int }")])
    assert "b.graphql:2:1: `A` is defined twice, first at a.graphql:1" in str(caught.value)


def test_a_fault_inside_a_reached_type_keeps_its_place() -> None:
    sdl = Sdl.read([("a.graphql", "type Query { a: A }\ntype A {\n  a Int\n}")])
    with pytest.raises(CodegenError) as caught:
        sdl.schema_for({"query": ["a"]})
    assert "a.graphql:3:5" in str(caught.value)
