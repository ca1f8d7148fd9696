"""SDL text -> Sdl: where each definition stands, without parsing it. Next: index.py.

graphql-core needs more than a second for a megabyte of SDL; Hasura's schemas have ten. So the text is cut into
definitions and root fields by regular expressions that know strings, block strings, comments and one level of nesting,
and only what an operation reaches is parsed: by nodes.py where the text is plain, else by graphql-core. The cut is exact, not likely: every pattern is anchored where
the last one ended, and where a definition does not fit a pattern (no body, directives with arguments, deep nesting),
graphql-core itself parses that one definition from there. A property test compares the two.

Possessive quantifiers stand on character classes alone: on groups, Python before 3.11.5 matches them wrongly. What
keeps a failed match from trying another reading is that there is none: each character can start one alternative only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    Source,
    TokenKind,
    TypeNode,
    build_ast_schema,
    parse,
)
from graphql.language.parser import Parser

from automio.dialect.index import OperationKind
from automio.dialect.nodes import Nodes
from automio.errors import CodegenError, Diagnostic

_STRING = (
    r'"""[^"\\]*+(?:(?:\\(?:"""|(?!"""))|"(?!""))[^"\\]*+)*"""'
    r'|"(?!"")[^"\\\n]*+(?:\\.[^"\\\n]*+)*"'
)
_BLANK = r"(?:[\s,\ufeff]++|#[^\n\r]*+)*"
_IGNORED = re.compile(_BLANK)
_DESCRIPTION = re.compile(_STRING, re.DOTALL)
_NAME = r"[A-Za-z_]\w*"
_KEYWORD = re.compile(r"(extend\b\s*)?(schema|type|input|interface|enum|scalar|union|directive)\b")
_LIST = rf"\s+implements\s+&?\s*{_NAME}(?:\s*&\s*{_NAME})*"
_BODY = rf'\{{[^{{}}"#]*+(?:(?:{_STRING}|#[^\n\r]*+|\{{[^{{}}"#]*+\}})[^{{}}"#]*+)*\}}'
_HEAD = (
    rf"{_BLANK}()(?:(?:{_STRING}){_BLANK})?(extend\b\s*)?(type|input|interface|enum)\s+({_NAME})(?:{_LIST})?\s*(?=\{{)"
)
_HEADED = re.compile(_HEAD, re.DOTALL)
_DEFINITION = re.compile(f"{_HEAD}{_BODY}", re.DOTALL)
_FIELD = re.compile(
    rf"{_BLANK}()(?:(?:{_STRING})\s*)?({_NAME})\s*"
    rf'(?:\([^()"#]*+(?:(?:{_STRING}|#[^\n\r]*+)[^()"#]*+)*\))?\s*:\s*'
    rf"[\[\s]*({_NAME})[\]!\s]*"
    rf'(?:@{_NAME}(?:\s*\((?:[^()"#]++|{_STRING})*\))?\s*)*',
    re.DOTALL,
)
_MEMBER = re.compile(r"\b(?:nodes|returning)\s*:\s*\[\s*(\w+)")
_IMPLEMENTS = re.compile(rf"\b(?:type|interface)\s+({_NAME})\s+implements\b([^{{@]*)")
_REFERENCE = re.compile(rf"{_STRING}|#[^\n\r]*|[:=|&]\s*[\[\s]*({_NAME})|@({_NAME})", re.DOTALL)
_DEFAULT_ROOTS: dict[OperationKind, str] = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
BUILT_IN = frozenset({"Int", "Float", "String", "Boolean", "ID"})


class Span(NamedTuple):
    """A piece of one source: `text[start:end]` of the file `path`, a whole definition with its description."""

    path: str
    text: str
    start: int
    end: int
    kind: str
    extend: bool

    @property
    def body(self) -> str:
        return self.text[self.start : self.end]


class FieldSpan(NamedTuple):
    """A field of a root type: its span, and the name of the type that it returns."""

    operation: OperationKind
    name: str
    span: Span
    named_type: str


@dataclass(frozen=True)
class Sdl:
    """An index of SDL files: name -> where it is defined (extensions included). Made by `Sdl.read`."""

    definitions: Mapping[str, tuple[Span, ...]]
    schema_definitions: tuple[Span, ...]
    _parsed: dict[str, list[DefinitionNode]] = field(default_factory=dict, repr=False, compare=False)
    _nodes: Nodes = field(default_factory=Nodes, repr=False, compare=False)
    _mentions: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, sources: Iterable[tuple[str, str]]) -> Sdl:
        """Index (path, text) pairs. Raises CodegenError with every file's first syntax fault as file:line:column."""
        definitions: dict[str, tuple[Span, ...]] = {}
        schemas: list[Span] = []
        faults: list[Diagnostic] = []
        for path, text in sources:
            try:
                for name, span in _definitions(path, text):
                    if span.kind == "schema":
                        schemas.append(span)
                    else:
                        definitions[name] = (*definitions.get(name, ()), span)
            except GraphQLSyntaxError as error:
                faults.append(diagnostic(error, path, text))
        faults += _duplicates(definitions)
        if faults:
            raise CodegenError(faults)
        return cls(definitions, tuple(schemas))

    @cached_property
    def root_types(self) -> dict[OperationKind, str]:
        """The root types that exist, by operation: what `schema { … }` says, else the names GraphQL gives them."""
        found: dict[OperationKind, str] = {}
        for span in self.schema_definitions:
            node = parse_span(span)
            for operation in getattr(node, "operation_types", None) or ():
                found[operation.operation.value] = operation.type.name.value
        if not found:
            found = dict(_DEFAULT_ROOTS)
            if "Query" not in self.definitions and "query_root" in self.definitions:
                found = {"query": "query_root", "mutation": "mutation_root", "subscription": "subscription_root"}
        return {kind: name for kind, name in found.items() if name in self.definitions}

    @cached_property
    def root_fields(self) -> dict[OperationKind, dict[str, FieldSpan]]:
        """Every root field with its span, by operation and name, in the order of the files."""
        return {kind: self._fields(kind, name) for kind, name in self.root_types.items()}

    @cached_property
    def places(self) -> dict[str, list[FieldSpan]]:
        """Type -> root fields that may deal with its rows: they return it, or an object with a list of it."""
        found: dict[str, list[FieldSpan]] = {}
        inner: dict[str, str] = {}
        for fields in self.root_fields.values():
            for root in fields.values():
                named = root.named_type
                if named not in inner:
                    inner[named] = self._member(named)
                found.setdefault(named, []).append(root)
                if inner[named]:
                    found.setdefault(inner[named], []).append(root)
        return found

    def _member(self, name: str) -> str:
        for span in self.definitions.get(name, ()):
            hit = _MEMBER.search(span.body)
            if hit:
                return hit[1]
        return ""

    def mentions(self, name: str) -> list[str]:
        """What the definition of a type and its extensions mention, [] when it is not defined."""
        if name not in self._mentions:
            spans = self.definitions.get(name, ())
            found = [reference for span in spans for reference in references(span.body)]
            self._mentions[name] = [*found, *self.families.get(name, ())]
        return self._mentions[name]

    @cached_property
    def directives(self) -> list[str]:
        """The directives that the schema defines: any operation may use them."""
        return [name for name, spans in self.definitions.items() if spans[0].kind == "directive"]

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Interface -> the types that implement it, and such a type -> its interfaces. {} for tables alone: they have none."""
        found: dict[str, list[str]] = {}
        if not any(span.kind == "interface" for spans in self.definitions.values() for span in spans):
            return found
        for name, spans in self.definitions.items():
            for span in spans:
                header = _IMPLEMENTS.search(span.body) if span.kind in ("type", "interface") else None
                for interface in re.findall(_NAME, header[2]) if header and header[1] == name else ():
                    found.setdefault(interface, []).append(name)
                    found.setdefault(name, []).append(interface)
        return found

    def reach(self, names: Iterable[str]) -> set[str]:
        """These names and all that the texts about them mention: definitions, and root fields that deal with their rows.

        What is compiled from these names depends on nothing else of the schema.
        """
        found: set[str] = set()
        needed = list(names)
        while needed:
            name = needed.pop()
            if name not in found:
                found.add(name)
                needed += self.mentions(name)
                for root in self.places.get(name, ()):
                    needed += references(root.span.body)
        return found

    def texts(self, name: str) -> list[str]:
        """All texts about a name: its definition and extensions, and the root fields that deal with its rows."""
        found = [span.body for span in self.definitions.get(name, ())]
        for root in self.places.get(name, ()):
            found += (root.operation, root.span.body)
        return found

    def nodes(self, name: str) -> list[DefinitionNode]:
        """The parsed definition of a type and its extensions, [] when it is not defined. Parsed once."""
        if name not in self._parsed:
            spans = self.definitions.get(name, ())
            self._parsed[name] = [self._nodes.definition(span.body) or parse_span(span) for span in spans]
        return self._parsed[name]

    def field_node(self, root: FieldSpan) -> FieldDefinitionNode:
        """The parsed root field. Raises CodegenError with the place in the file when it is broken."""
        return self._nodes.field(root.span.body) or _parse_field(root.span)

    def forget(self) -> None:
        """Let go of parsed nodes: called between packages, so that memory holds one package's at a time."""
        self._parsed.clear()
        self._nodes.clear()

    def schema_for(self, roots: Mapping[OperationKind, Iterable[str]], types: Iterable[str] = ()) -> GraphQLSchema:
        """The schema of the named root fields, the named types and all that they reach; unknown names are left out.

        Built without validation of the SDL itself (Hasura's is valid, and checking it costs more than building it).
        Raises CodegenError when a reached definition cannot be parsed.
        """
        definitions: list[DefinitionNode] = []
        needed: list[str] = list(types)
        operation_types: list[str] = []
        root_names = set(self.root_types.values())
        for kind, root_type in self.root_types.items():
            fields = self.root_fields[kind]
            wanted = [fields[name] for name in dict.fromkeys(roots.get(kind, ())) if name in fields]
            if not wanted and kind != "query":
                continue
            operation_types.append(f"{kind}: {root_type}")
            definitions.append(self._root_definition(root_type, wanted))
            for root in wanted:
                needed += references(root.span.body)
        if not any(text.startswith("query:") for text in operation_types):
            operation_types.append("query: _Query")
            definitions += parse("type _Query { _empty: Boolean }", no_location=True).definitions
        seen: set[str] = root_names | BUILT_IN
        needed += self.directives
        while needed:
            name = needed.pop()
            if name in seen or name not in self.definitions:
                continue
            seen.add(name)
            definitions += self.nodes(name)
            needed += self.mentions(name)
        schema = parse(f"schema {{ {' '.join(operation_types)} }}", no_location=True)
        document = DocumentNode(definitions=(*schema.definitions, *merge_extensions(definitions)))
        try:
            return build_ast_schema(document, assume_valid=True)
        except (GraphQLError, TypeError) as error:
            raise CodegenError([Diagnostic("schema", 1, 1, f"the schema cannot be built: {error}")]) from error

    def _root_definition(self, name: str, wanted: list[FieldSpan]) -> DefinitionNode:
        """The root type with these fields alone. Raises CodegenError with every field that cannot be parsed."""
        if not wanted:
            return parse(f"type {name} {{ _empty: Boolean }}", no_location=True).definitions[0]
        fields: list[FieldDefinitionNode] = []
        faults: list[Diagnostic] = []
        for root in wanted:
            try:
                fields.append(self.field_node(root))
            except CodegenError as error:
                faults += error.diagnostics
        if faults:
            raise CodegenError(faults)
        return ObjectTypeDefinitionNode(name=NameNode(value=name), directives=(), interfaces=(), fields=tuple(fields))

    def _fields(self, kind: OperationKind, root_type: str) -> dict[str, FieldSpan]:
        found: dict[str, FieldSpan] = {}
        for span in self.definitions.get(root_type, ()):
            for root in _fields_of(span, kind):
                found.setdefault(root.name, root)
        return found


def references(text: str) -> list[str]:
    """Names of types and directives that a piece of SDL mentions (default values may add a few that are neither)."""
    return [found[1] or found[2] for found in _REFERENCE.finditer(text) if found[1] or found[2]]


def type_text(node: TypeNode) -> str:
    """A type node as GraphQL writes it: `[orders!]!`."""
    if isinstance(node, NonNullTypeNode):
        return f"{type_text(node.type)}!"
    if isinstance(node, ListTypeNode):
        return f"[{type_text(node.type)}]"
    assert isinstance(node, NamedTypeNode)
    return node.name.value


def type_name(node: TypeNode) -> str:
    """The type inside all lists and `!`: `orders` of `[orders!]!`."""
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    assert isinstance(node, NamedTypeNode)
    return node.name.value


def parse_span(span: Span) -> DefinitionNode:
    """The one definition of a span. Raises CodegenError with the place in the file when its body is broken."""
    try:
        return parse(span.body, no_location=True).definitions[0]
    except GraphQLSyntaxError as error:
        raise CodegenError([diagnostic(error, span.path, span.text, span.start)]) from error


def position(text: str, offset: int) -> tuple[int, int, str]:
    """Line and column (both from 1) of an offset, and that line of the text."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text.count("\n", 0, offset) + 1, offset - start + 1, text[start : end if end >= 0 else len(text)]


def diagnostic(error: GraphQLError, path: str, text: str, base: int = 0) -> Diagnostic:
    """A graphql-core error over `text[base:]` as a diagnostic of the file."""
    offset = base + _offset(error)
    line, column, source_line = position(text, min(offset, len(text)))
    message = error.message.removeprefix("Syntax Error: ")
    return Diagnostic(path, line, column, message, code="AUTOMIO-110", source_line=source_line)


def _offset(error: GraphQLError) -> int:
    return next(iter(error.positions or ()), 0)


def _definitions(path: str, text: str) -> Iterable[tuple[str, Span]]:
    """The definitions of one file in order. Raises GraphQLSyntaxError with an offset into the file."""
    at, size = 0, len(text)
    while True:
        found = _DEFINITION.match(text, at)
        if found:
            at = found.end()
            yield found[4], Span(path, text, found.start(1), at, found[3], bool(found[2]))
            continue
        start = _skip(text, at)
        if start == size:
            return
        described = _DESCRIPTION.match(text, start)
        keyword = _KEYWORD.match(text, _skip(text, described.end()) if described else start)
        name, at = _parse_one(text, start)
        yield name, Span(path, text, start, at, keyword[2] if keyword else "", bool(keyword and keyword[1]))


def _skip(text: str, at: int) -> int:
    found = _IGNORED.match(text, at)
    return found.end() if found else at


def _parse_one(text: str, start: int) -> tuple[str, int]:
    """Name and end of the definition at `start`, by graphql-core, in a window that grows while it is too small."""
    window = 4096
    while True:
        piece = text[start : start + window]
        whole = start + window >= len(text)
        try:
            parser = Parser(Source(piece), no_location=True)
            parser.expect_token(TokenKind.SOF)
            node = parser.parse_definition()
            following = parser._lexer.token
            if whole or following.kind is not TokenKind.EOF:
                if not hasattr(node, "name") and not hasattr(node, "operation_types"):
                    raise GraphQLSyntaxError(Source(text), start, "Only type system definitions may stand here.")
                name = getattr(getattr(node, "name", None), "value", "schema")
                last = following.prev
                while last and last.kind is TokenKind.COMMENT:
                    last = last.prev
                return name, start + (last.end if last else len(piece))
        except GraphQLSyntaxError as error:
            if whole or _offset(error) < window - 512:
                message = error.message.removeprefix("Syntax Error: ")
                raise GraphQLSyntaxError(Source(text), start + _offset(error), message) from None
        window *= 4


def _fields_of(span: Span, kind: OperationKind) -> Iterable[FieldSpan]:
    """The fields of a root type's definition. A field that no pattern fits makes graphql-core parse the whole type."""
    path, text = span.path, span.text
    head = _HEADED.match(text, span.start, span.end)
    if not head:
        yield from _parsed_fields(span, kind)
        return
    found: list[FieldSpan] = []
    at, end = head.end() + 1, span.end - 1
    while root := _FIELD.match(text, at, end):
        at = root.end()
        found.append(FieldSpan(kind, root[2], Span(path, text, root.start(1), at, "field", False), root[3]))
    yield from found if _skip(text, at) >= end else _parsed_fields(span, kind)


def _after_description(span: Span) -> int:
    described = _DESCRIPTION.match(span.text, span.start)
    return described.end() if described else span.start


def _parsed_fields(span: Span, kind: OperationKind) -> Iterable[FieldSpan]:
    try:
        node = parse(span.body).definitions[0]
    except GraphQLSyntaxError as error:
        raise CodegenError([diagnostic(error, span.path, span.text, span.start)]) from error
    assert isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode)
    for root in node.fields:
        assert root.loc
        where = Span(span.path, span.text, span.start + root.loc.start, span.start + root.loc.end, "field", False)
        yield FieldSpan(kind, root.name.value, where, type_text(root.type).strip("[]!"))


def _parse_field(span: Span) -> FieldDefinitionNode:
    before = "type X {"
    try:
        node = parse(f"{before}{span.body}}}", no_location=True).definitions[0]
    except GraphQLSyntaxError as error:
        raise CodegenError([diagnostic(error, span.path, span.text, span.start - len(before))]) from error
    assert isinstance(node, ObjectTypeDefinitionNode)
    return node.fields[0]


def merge_extensions(definitions: list[DefinitionNode]) -> list[DefinitionNode]:
    """Extensions folded into the type they extend, since build_ast_schema takes definitions only."""
    types: dict[str, ObjectTypeDefinitionNode] = {}
    rest: list[DefinitionNode] = []
    extensions: list[ObjectTypeExtensionNode] = []
    for node in definitions:
        if isinstance(node, ObjectTypeExtensionNode):
            extensions.append(node)
        elif isinstance(node, ObjectTypeDefinitionNode):
            types[node.name.value] = node
        else:
            rest.append(node)
    for extension in extensions:
        base = types.get(extension.name.value)
        fields = (*((base and base.fields) or ()), *(extension.fields or ()))
        interfaces = (*((base and base.interfaces) or ()), *(extension.interfaces or ()))
        directives = (*((base and base.directives) or ()), *(extension.directives or ()))
        types[extension.name.value] = ObjectTypeDefinitionNode(
            name=extension.name,
            description=base.description if base else None,
            fields=fields,
            interfaces=interfaces,
            directives=directives,
        )
    return [*types.values(), *rest]


def _duplicates(definitions: Mapping[str, tuple[Span, ...]]) -> list[Diagnostic]:
    faults: list[Diagnostic] = []
    for name, spans in definitions.items():
        if len(spans) == 1:
            continue
        own = [span for span in spans if not span.extend]
        for span in own[1:]:
            line, column, source_line = position(span.text, _after_description(span))
            first_line = position(own[0].text, own[0].start)[0]
            faults.append(
                Diagnostic(
                    span.path,
                    line,
                    column,
                    f"`{name}` is defined twice, first at {own[0].path}:{first_line}",
                    code="AUTOMIO-111",
                    hint="Keep one: a pulled schema and an SDL file of the same server often overlap.",
                    source_line=source_line,
                )
            )
    return faults
