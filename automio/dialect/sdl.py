"""SDL text -> Sdl: where each definition stands, without parsing it. Next: index.py.

graphql-core needs more than a second for a megabyte of SDL; Hasura's schemas have ten. So the text is cut into
definitions and root fields by regular expressions that know strings, block strings, comments and one level of nesting,
and graphql-core parses only what an operation reaches. The cut is exact, not likely: every pattern is anchored where
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

from graphql import (
    DefinitionNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    ListTypeNode,
    NamedTypeNode,
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
from automio.errors import CodegenError, Diagnostic

_STRING = r'"""(?:[^"\\]++|\\.|"(?!""))*"""|"(?!"")(?:[^"\\\n]++|\\.)*"'
_IGNORED = re.compile(r"(?:[\s,\ufeff]++|#[^\n\r]*+)*")
_DESCRIPTION = re.compile(_STRING, re.DOTALL)
_NAME = r"[A-Za-z_]\w*"
_KEYWORD = re.compile(r"(extend\b\s*)?(schema|type|input|interface|enum|scalar|union|directive)\b")
_LIST = rf"\s+implements\s+&?\s*{_NAME}(?:\s*&\s*{_NAME})*"
_BODY = rf'\{{(?:[^{{}}"#]++|{_STRING}|#[^\n\r]*+|\{{[^{{}}"#]*+\}})*\}}'
_BODIED = re.compile(rf"(?:type|input|interface|enum)\s+({_NAME})(?:{_LIST})?\s*({_BODY})", re.DOTALL)
_FIELD = re.compile(
    rf"(?:(?:{_STRING})\s*)?({_NAME})\s*"
    rf'(\((?:[^()"#]++|{_STRING}|#[^\n\r]*+)*\))?\s*:\s*'
    rf"([\[\s]*({_NAME})[\]!\s]*)"
    rf'(?:@{_NAME}(?:\s*\((?:[^()"#]++|{_STRING})*\))?\s*)*',
    re.DOTALL,
)
_REFERENCE = re.compile(rf"{_STRING}|#[^\n\r]*|[:=|&]\s*[\[\s]*({_NAME})|@({_NAME})", re.DOTALL)
_DEFAULT_ROOTS: dict[OperationKind, str] = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
BUILT_IN = frozenset({"Int", "Float", "String", "Boolean", "ID"})


@dataclass(frozen=True, slots=True)
class Span:
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


@dataclass(frozen=True, slots=True)
class FieldSpan:
    """A field of a root type: its span, and the name of the type that it returns."""

    name: str
    span: Span
    named_type: str


@dataclass(frozen=True)
class Sdl:
    """An index of SDL files: name -> where it is defined (extensions included). Made by `Sdl.read`."""

    definitions: Mapping[str, tuple[Span, ...]]
    schema_definitions: tuple[Span, ...]
    _parsed: dict[str, list[DefinitionNode]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, sources: Iterable[tuple[str, str]]) -> Sdl:
        """Index (path, text) pairs. Raises CodegenError with every file's first syntax fault as file:line:column."""
        definitions: dict[str, list[Span]] = {}
        schemas: list[Span] = []
        faults: list[Diagnostic] = []
        for path, text in sources:
            try:
                for name, span in _definitions(path, text):
                    if span.kind == "schema":
                        schemas.append(span)
                    else:
                        definitions.setdefault(name, []).append(span)
            except GraphQLSyntaxError as error:
                faults.append(diagnostic(error, path, text))
        faults += _duplicates(definitions)
        if faults:
            raise CodegenError(faults)
        return cls({name: tuple(spans) for name, spans in definitions.items()}, tuple(schemas))

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
        return {kind: self._fields(name) for kind, name in self.root_types.items()}

    def nodes(self, name: str) -> list[DefinitionNode]:
        """The parsed definition of a type and its extensions, [] when it is not defined. Parsed once."""
        if name not in self._parsed:
            self._parsed[name] = [parse_span(span) for span in self.definitions.get(name, ())]
        return self._parsed[name]

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
            body = "\n".join(root.span.body for root in wanted) or "  _empty: Boolean"
            operation_types.append(f"{kind}: {root_type}")
            node = _root_definition(f"type {root_type} {{\n{body}\n}}", [root.span for root in wanted])
            definitions.append(node)
            for root in wanted:
                needed += references(root.span.body)
        if not any(text.startswith("query:") for text in operation_types):
            operation_types.append("query: _Query")
            definitions += parse("type _Query { _empty: Boolean }", no_location=True).definitions
        seen: set[str] = root_names | BUILT_IN
        while needed:
            name = needed.pop()
            if name in seen or name not in self.definitions:
                continue
            seen.add(name)
            definitions += self.nodes(name)
            for span in self.definitions[name]:
                needed += references(span.body)
        schema = parse(f"schema {{ {' '.join(operation_types)} }}", no_location=True)
        document = DocumentNode(definitions=(*schema.definitions, *_merged(definitions)))
        try:
            return build_ast_schema(document, assume_valid=True)
        except (GraphQLError, TypeError) as error:
            raise CodegenError([Diagnostic("schema", 1, 1, f"the schema cannot be built: {error}")]) from error

    def _fields(self, root_type: str) -> dict[str, FieldSpan]:
        found: dict[str, FieldSpan] = {}
        for span in self.definitions.get(root_type, ()):
            for root in _fields_of(span):
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
    at, size = _skip(text, 0), len(text)
    while at < size:
        start = at
        described = _DESCRIPTION.match(text, at)
        if described:
            at = _skip(text, described.end())
        keyword = _KEYWORD.match(text, at)
        extend = bool(keyword and keyword[1])
        bodied = _BODIED.match(text, keyword.start(2)) if keyword else None
        if keyword and bodied:
            name, end = bodied[1], bodied.end()
        else:
            name, end = _parse_one(text, start)
        yield name, Span(path, text, start, end, keyword[2] if keyword else "", extend)
        at = _skip(text, end)


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


def _fields_of(span: Span) -> Iterable[FieldSpan]:
    """The fields of a root type's definition. A field that no pattern fits makes graphql-core parse the whole type."""
    text = span.text
    head = _BODIED.match(text, text.index(span.kind, _after_description(span)))
    if not head:
        yield from _parsed_fields(span)
        return
    found: list[FieldSpan] = []
    at, end = _skip(text, head.start(2) + 1), head.end(2) - 1
    while at < end:
        root = _FIELD.match(text, at, end)
        if not root:
            yield from _parsed_fields(span)
            return
        found.append(FieldSpan(root[1], Span(span.path, text, at, root.end(), "field", False), root[4]))
        at = _skip(text, root.end())
    yield from found


def _after_description(span: Span) -> int:
    described = _DESCRIPTION.match(span.text, span.start)
    return described.end() if described else span.start


def _parsed_fields(span: Span) -> Iterable[FieldSpan]:
    try:
        node = parse(span.body).definitions[0]
    except GraphQLSyntaxError as error:
        raise CodegenError([diagnostic(error, span.path, span.text, span.start)]) from error
    assert isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode)
    for root in node.fields:
        assert root.loc
        where = Span(span.path, span.text, span.start + root.loc.start, span.start + root.loc.end, "field", False)
        yield FieldSpan(root.name.value, where, type_text(root.type).strip("[]!"))


def _root_definition(text: str, spans: list[Span]) -> DefinitionNode:
    try:
        return parse(text, no_location=True).definitions[0]
    except GraphQLSyntaxError as error:
        faults: list[Diagnostic] = []
        for span in spans:
            try:
                parse(f"type X {{{span.body}}}", no_location=True)
            except GraphQLSyntaxError as fault:
                faults.append(diagnostic(fault, span.path, span.text, span.start - len("type X {")))
        raise CodegenError(faults or [Diagnostic("schema", 1, 1, error.message)]) from error


def _merged(definitions: list[DefinitionNode]) -> list[DefinitionNode]:
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
        fields = (*(base.fields if base else ()), *extension.fields)
        interfaces = (*(base.interfaces if base else ()), *extension.interfaces)
        directives = (*(base.directives if base else ()), *extension.directives)
        types[extension.name.value] = ObjectTypeDefinitionNode(
            name=extension.name,
            description=base.description if base else None,
            fields=fields,
            interfaces=interfaces,
            directives=directives,
        )
    return [*types.values(), *rest]


def _duplicates(definitions: Mapping[str, list[Span]]) -> list[Diagnostic]:
    faults: list[Diagnostic] = []
    for name, spans in definitions.items():
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
