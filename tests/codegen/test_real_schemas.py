"""Real schemas with their real operations: every generated function is called, over HTTP, and reads every answer.

The server knows the full schema. It parses and validates what is sent and coerces the variables with graphql-core, then
answers with what the schema allows for that document: the structure (null where nullable, empty lists, what directives
leave out, one type of a union) comes from a seed, the values of scalars from hypothesis, in the spellings that
PostgreSQL and Hasura have for them. The model must give back what was sent, value by value. Arguments are drawn from the
schema's input types, None and UNSET where the function's annotation says so.

REAL_SCHEMA_EXAMPLES=50 calls each function of an operation fifty times; a plain run calls it twice.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_required_input_field,
    parse,
    type_from_ast,
    validate,
)
from graphql.execution.values import get_variable_values
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import to_json

from automio.codegen.config import load_config
from automio.codegen.naming import argument_names, constant_name
from automio.codegen.pipeline import build
from automio.codegen.write import write
from automio.dialect.index import InputKind, SchemaIndex
from automio.errors import CodegenError
from automio.request import UNSET
from automio.runtime import call as call_module
from automio.runtime.call import Operation
from automio.runtime.http import plain
from automio.runtime.transport import Reply
from automio.scope.values import Missing, python_fields
from automio.wrapper import API

from .test_compiled import distinct

NAMES = ["learn_go", "learn_dotnet_todo", "intuition", "carnet_de_bord"]
EXAMPLES = int(os.environ.get("REAL_SCHEMA_EXAMPLES", "2"))
DERIVED_TABLES = 3
"""Tables a schema whose derived functions are called too; all with REAL_SCHEMA_EXAMPLES above 2."""
NOT_VALID: dict[str, dict[str, str]] = {}
"""Schema -> operation -> why it can't be generated. Operations that upstream's own schema refuses come here."""
MAPPED = {
    InputKind.BOOL_EXP,
    InputKind.ORDER_BY,
    InputKind.INSERT,
    InputKind.SET,
    InputKind.PK_COLUMNS,
    InputKind.OPERATOR,
}
NULLS = {InputKind.INSERT, InputKind.SET, InputKind.ON_CONFLICT, InputKind.OPERATOR}


# Values of scalars: as the server writes them, and as Python should have them.


@dataclass(frozen=True)
class Leaf:
    text: str
    """JSON text."""
    value: Any


def leaf(value: Any, text: str | None = None) -> Leaf:
    return Leaf(json.dumps(value if text is None else text), value)


def fraction(value: datetime | time) -> str:
    """Microseconds as PostgreSQL writes them: without zeros at the end, nothing when there are none."""
    return f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""


def offset(value: datetime) -> str:
    minutes = int((value.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def timestamp(value: datetime) -> Leaf:
    text = f"{value.replace(tzinfo=None, microsecond=0).isoformat()}{fraction(value)}"
    return leaf(value, text + (offset(value) if value.tzinfo else ""))


def interval(parts: tuple[int, int, int]) -> Leaf:
    days, seconds, micro = parts
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    text = f"{days} day{'s' if days != 1 else ''} {clock}" if days else clock
    text += f".{micro:06d}".rstrip("0") if micro else ""
    return leaf(timedelta(days=days, seconds=seconds, microseconds=micro), text)


def numeric(parts: tuple[Decimal, bool]) -> Leaf:
    value, as_text = parts
    text = format(value, "f")
    return Leaf(json.dumps(text) if as_text else text, value)


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
INT64 = st.integers(-(2**63), 2**63 - 1)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=6)
ANSWERS: dict[str, st.SearchStrategy[Leaf]] = {
    "Int": st.integers(-(2**31), 2**31 - 1).map(leaf),
    "Float": st.floats(allow_nan=False, allow_infinity=False).map(leaf),
    "Boolean": st.booleans().map(leaf),
    "bigint": INT64.map(leaf) | INT64.map(lambda n: leaf(n, str(n))),
    "numeric": st.tuples(DECIMALS, st.booleans()).map(numeric),
    "uuid": st.uuids().map(lambda u: leaf(u, str(u)) if isinstance(u, UUID) else leaf(u)),
    "timestamptz": st.datetimes(timezones=ZONES).map(timestamp),
    "timestamp": st.datetimes().map(timestamp),
    "date": st.dates().map(lambda d: leaf(d, d.isoformat())),
    "time": st.times().map(lambda t: leaf(t, t.replace(microsecond=0).isoformat() + fraction(t))),
    "interval": st.tuples(st.integers(-400, 400), st.integers(0, 86399), st.integers(0, 999999)).map(interval),
    "bytea": st.binary(max_size=8).map(lambda b: leaf(b, f"\\x{b.hex()}")),
    "jsonb": JSON.map(leaf),
    "json": JSON.map(leaf),
    "_text": (st.lists(TEXT, max_size=3) | st.just("{a,b}")).map(leaf),
}
ANSWERS |= {"float8": ANSWERS["Float"], "smallint": st.integers(-(2**15), 2**15 - 1).map(leaf)}
WORDS = TEXT.map(leaf)

ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "Int": st.integers(0, 2**31 - 1),
    "Float": st.floats(allow_nan=False, allow_infinity=False),
    "Boolean": st.booleans(),
    "bigint": INT64,
    "numeric": DECIMALS | st.integers(-(10**9), 10**9) | DECIMALS.map(str),
    "float8": st.floats(allow_nan=False, allow_infinity=False),
    "uuid": st.uuids() | st.uuids().map(str),
    "timestamptz": st.datetimes(timezones=ZONES) | st.datetimes(timezones=ZONES).map(datetime.isoformat),
    "timestamp": st.datetimes(),
    "date": st.dates() | st.dates().map(date.isoformat),
    "time": st.times(),
    "interval": st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    "bytea": st.binary(max_size=8),
    "jsonb": JSON.filter(lambda value: value is not None),
    "_text": st.just("{a,b}"),
}


# The server.


class Stub:
    """Hands each request to whoever waits at `inbox`, who answers by putting the body into the request's own queue."""

    def __init__(self) -> None:
        self.inbox: queue.Queue[tuple[str, Any, queue.Queue[bytes] | None]] = queue.Queue()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer: queue.Queue[bytes] = queue.Queue()
                stub.inbox.put(("request", json.loads(body), answer))
                sent = answer.get()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/graphql"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def serve(self, pool: ThreadPoolExecutor, call: Callable[[], Any], answer: Callable[[Any], bytes]) -> Any:
        """What `call` gives, in a thread of `pool`; each request that it makes is answered here, in this thread."""
        context = contextvars.copy_context()

        def run() -> None:
            try:
                self.inbox.put(("done", context.run(call), None))
            except BaseException as error:
                self.inbox.put(("failed", error, None))

        pool.submit(run)
        while True:
            what, value, waiting = self.inbox.get(timeout=30)
            if what == "done":
                return value
            if what == "failed":
                raise value
            assert waiting
            try:
                waiting.put(answer(value))
            except BaseException:
                waiting.put(b"{}")
                self.inbox.get(timeout=30)
                raise

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


# A project of a real schema.


@dataclass
class Project:
    name: str
    root: Path
    package: str
    schema_text: str
    refused: dict[str, str] = field(default_factory=dict)
    documents: dict[str, DocumentNode] = field(default_factory=dict)

    @cached_property
    def schema(self) -> GraphQLSchema:
        """The full schema, whose scalars and enums let everything out: what an answer may hold is decided here."""
        schema = build_schema(self.schema_text)
        for type_ in schema.type_map.values():
            if isinstance(type_, GraphQLScalarType | GraphQLEnumType) and not type_.name.startswith("__"):
                type_.serialize = lambda value: value  # type: ignore[method-assign]
        return schema

    @cached_property
    def written(self) -> dict[str, OperationDefinitionNode]:
        """The operations as their author wrote them: scoping may cut a variable into several."""
        documents = [parse(path.read_text()) for path in (self.root / "queries").rglob("*.graphql")]
        nodes = [d for document in documents for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        return {node.name.value: node for node in nodes if node.name}

    @cached_property
    def modules(self) -> list[ModuleType]:
        paths = sorted((self.root / self.package).glob("*.py"))
        return [importlib.import_module(f"{self.package}.{p.stem}") for p in paths if not p.stem.startswith("_")]

    @cached_property
    def index(self) -> SchemaIndex:
        return importlib.import_module(f"{self.package}._facts").FACTS.index()

    def functions(self) -> list[tuple[ModuleType, str, Operation[Any]]]:
        """Functions of operations, and those of some tables alone."""
        found: list[tuple[ModuleType, str, Operation[Any]]] = []
        for module in self.modules:
            for name in module.__all__:
                constant = getattr(module, constant_name(name), None)
                if inspect.isfunction(getattr(module, name)):
                    assert isinstance(constant, Operation)
                    found.append((module, name, constant))
        derived = sorted({m.__name__ for m, _, op in found if op.source.startswith("derived")})
        tables = derived if EXAMPLES > 2 else derived[:: max(1, len(derived) // DERIVED_TABLES)][:DERIVED_TABLES]
        return [each for each in found if not each[2].source.startswith("derived") or each[0].__name__ in tables]

    def document(self, text: str) -> DocumentNode:
        """The document, parsed and valid."""
        if text not in self.documents:
            document = parse(text)
            assert validate(self.schema, document) == [], text
            self.documents[text] = document
        return self.documents[text]


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    return next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))


def lay_out(name: str, shared: Path, root: Path) -> Project:
    """The project with all operations; what diagnostics name is taken out, and noted, until the rest generates."""
    real = shared / "schemas" / "real"
    (root / "schema").mkdir(parents=True)
    shutil.copytree(real / f"{name}.operations", root / "queries", copy_function=shutil.copyfile)
    shutil.copyfile(real / f"{name}.graphql", root / "schema" / "schema.graphql")
    package = f"real_{name}"
    (root / "codegen.toml").write_text(f'package = "{package}"\n[tenancy]\nenabled = false\n')
    config = load_config(root / "codegen.toml")
    project = Project(name, root, package, (real / f"{name}.graphql").read_text())
    (root / "queries").chmod(0o755)
    taken: set[str] = set()
    for path in sorted((root / "queries").rglob("*.graphql")):
        path.write_text(distinct(path.read_text(), taken))
    while True:
        try:
            write(config, build(config).files)
            return project
        except CodegenError as error:
            taken_out = [take_out(project, d.path, d.line, d.message) for d in error.diagnostics]
            assert any(taken_out), error


def take_out(project: Project, path: str, line: int, message: str) -> bool:
    """Take the operation around a diagnostic out of its file."""
    file = project.root / path
    text = file.read_text()
    for definition in parse(text).definitions:
        assert definition.loc
        start, end = definition.loc.start_token.line, definition.loc.end_token.line
        if isinstance(definition, OperationDefinitionNode) and start <= line <= end and definition.name:
            project.refused[definition.name.value] = message
            file.write_text(text[: definition.loc.start] + text[definition.loc.end :])
            return True
    return False


@pytest.fixture(scope="module", params=NAMES)
def project(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    project = lay_out(request.param, shared, tmp_path_factory.mktemp("real") / request.param)
    registered = dict(call_module._registered)
    sys.path.insert(0, str(project.root))
    yield project
    sys.path.remove(str(project.root))
    call_module._registered.clear()
    call_module._registered.update(registered)
    for name in [name for name in sys.modules if name.split(".")[0] == project.package]:
        del sys.modules[name]


# What is sent.


@dataclass
class Arguments:
    """Draws arguments from input types. `python` writes keys as generated types show them, else as GraphQL has them."""

    project: Project
    draw: Callable[[st.SearchStrategy[Any]], Any]
    python: bool

    def some(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def outer(self, type_: Any, depth: int, null: bool) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self.inner(type_.of_type, depth)
        return None if null and self.some(True, False, False) else self.inner(type_, depth)

    def inner(self, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLList):
            return [self.outer(type_.of_type, depth, False) for _ in range(self.some(1, 2))]
        if isinstance(type_, GraphQLInputObjectType):
            return self.object(type_, depth)
        if isinstance(type_, GraphQLEnumType):
            value = self.some(*type_.values)
            return self.names(self.table_of_columns(type_)).get(value, value)
        return self.draw(ARGUMENTS.get(type_.name, TEXT))

    def object(self, type_: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        known = self.project.index.inputs.get(type_.name)
        names = self.names(known.table) if known and known.kind in MAPPED else {}
        comparison = all(name.startswith("_") for name in type_.fields) or type_.name.endswith("_cast_exp")
        # None is a value in rows and in what actions take; a condition of None is refused.
        null = known.kind in NULLS if known else not comparison and not self.belongs_to_table(type_)
        required = [name for name, f in type_.fields.items() if is_required_input_field(f)]
        free = [name for name, f in type_.fields.items() if name not in required and (depth > 0 or self.ends(f.type))]
        if known and known.kind is InputKind.UPDATES:
            free = ["_set"]
        count = 0 if not free else self.some(*range(0 if required or null else 1, 3))
        chosen = (
            self.draw(st.lists(st.sampled_from(free), min_size=count, max_size=count, unique=True))
            if count <= len(free) and free
            else free
        )
        return {
            names.get(name, name): self.outer(type_.fields[name].type, depth - 1, null) for name in [*required, *chosen]
        }

    def ends(self, type_: Any) -> bool:
        """True for what holds no other table's input: scalars, enums, comparisons."""
        named = get_named_type(type_)
        return not isinstance(named, GraphQLInputObjectType) or (
            all(name.startswith("_") and name not in ("_and", "_or", "_not") for name in named.fields)
        )

    def belongs_to_table(self, type_: GraphQLInputObjectType) -> bool:
        return any(
            get_named_type(f.type).name in ("order_by", "cursor_ordering") for f in type_.fields.values()
        ) or any(name in ("predicate", "ordering") for name in type_.fields)

    def table_of_columns(self, type_: GraphQLEnumType) -> str:
        return next((t.type for t in self.project.index.tables.values() if type_.values.keys() <= t.columns.keys()), "")

    def names(self, table: str) -> dict[str, str]:
        return python_fields(self.project.index.tables[table]) if self.python and table else {}

    def of(self, function: Callable[..., Any], op: Operation[Any]) -> dict[str, Any]:
        """Keyword arguments of one call."""
        operation = self.project.written.get(op.name) or operation_of(self.project.document(op.bound("").text))
        variables = {d.variable.name.value: d for d in operation.variable_definitions or ()}
        by_argument = {argument: variables[name] for name, argument in argument_names(variables).items()}
        # Which rows are changed must be said, also where the document's variable may be null (a warning of generate).
        needed = {rule.variable for rule in op.rules if rule.missing is Missing.REFUSE and not rule.default}
        given: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            allowed = [part.strip() for part in re.split(r"\|(?![^\[]*\])", str(parameter.annotation))]
            if name in ("sum", "avg", "min", "max") and op.name.endswith("Aggregate"):
                flags = [v.removeprefix(f"{name}_") for v in variables if v.startswith(f"{name}_")]
                given[name] = self.draw(st.lists(st.sampled_from(flags), max_size=2, unique=True)) if flags else ()
            elif name == "batch_size":
                given[name] = self.some(1, 500)
            elif (
                parameter.default is not inspect.Parameter.empty
                and by_argument[name].variable.name.value not in needed
                and self.some(True, False)
            ):
                if self.some(True, False):
                    given[name] = UNSET
            elif "None" in allowed and self.some(True, False, False):
                given[name] = None
            else:
                type_: Any = type_from_ast(self.project.schema, by_argument[name].type)
                given[name] = self.inner(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, 2)
        changes = [name for name in inspect.signature(function).parameters if name in ("set", "set_values")]
        if op.name.endswith(("Update", "UpdateByPk")) and changes and op.source.startswith("derived"):
            set_: Any = type_from_ast(self.project.schema, by_argument[changes[0]].type)
            given[changes[0]] = self.inner(get_named_type(set_), 1)  # at least one change is needed
        return given


# What is answered.


@dataclass
class Answers:
    """Answers one document as the schema allows, and keeps what Python should make of it."""

    project: Project
    random: random.Random
    pools: dict[str, list[Leaf]]
    expected: Any = None
    requests: int = 0

    def __call__(self, body: Any, *, empty: bool = False) -> bytes:
        project, self.requests = self.project, self.requests + 1
        document = project.document(body["query"])
        operation = operation_of(document)
        variables = body.get("variables") or {}
        coerced = get_variable_values(project.schema, operation.variable_definitions or (), variables)
        assert isinstance(coerced, dict), coerced
        assert body.get("operationName") in (None, operation.name and operation.name.value)
        made = execute_sync(
            project.schema,
            document,
            variable_values=variables,
            field_resolver=(lambda *_, **__: []) if empty else self.resolve,
            type_resolver=lambda value, info, type_: value["__typename"],
        )
        assert made.data is not None and not made.errors, made.errors
        if self.requests == 1:
            self.expected = python(made.data)
        return b'{"data":' + text(made.data).encode() + b"}"

    def resolve(self, source: Any, info: GraphQLResolveInfo, /, **arguments: Any) -> Any:
        index, named = self.project.index, get_named_type(info.return_type)
        # Hasura answers these whatever the schema says.
        always = (
            named.name in index.response_types
            or (info.field_name == "aggregate" and info.parent_type.name in index.aggregate_types)
            or ("object" in arguments and "on_conflict" not in arguments)
        )
        return self.value(info.return_type, not always)

    def value(self, type_: Any, null: bool) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return (
                self.value(type_.of_type, False)
                if not isinstance(type_.of_type, GraphQLList)
                else self.items(type_.of_type, null)
            )
        if null and self.random.random() < 0.2:
            return None
        if isinstance(type_, GraphQLList):
            return self.items(type_, null)
        if isinstance(type_, GraphQLEnumType):
            known = self.random.choice([*type_.values, "a_value_of_tomorrow"])
            return leaf(known)
        if is_abstract_type(type_):
            return {"__typename": self.random.choice(self.project.schema.get_possible_types(type_)).name}
        if is_composite_type(type_):
            return {}
        return self.random.choice(self.pools[type_.name])

    def items(self, type_: Any, null: bool) -> list[Any]:
        return [self.value(type_.of_type, null) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]


def text(value: Any) -> str:
    if isinstance(value, Leaf):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text(inner) for inner in value) + "]"
    return json.dumps(value)


def python(value: Any) -> Any:
    if isinstance(value, Leaf):
        return value.value
    if isinstance(value, dict):
        return {key: python(inner) for key, inner in value.items()}
    return [python(inner) for inner in value] if isinstance(value, list) else value


def dumped(value: Any) -> Any:
    """What a function gave, with GraphQL's names: models as dicts of what was in the answer."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    return [dumped(each) for each in value] if isinstance(value, list) else value


def unwrapped(data: Any, op: Operation[Any], function: str) -> Any:
    """The part of the answer that a function gives."""
    for number, step in enumerate(op.unwrap):
        if step == "0":
            data = data[0] if data else None
        elif data is not None:
            data = next(iter(data.values())) if number == 0 else data[step]
    if function == "update_many" and op.source.startswith("derived"):
        return [each["affected_rows"] for each in data]
    if function == "iterate" and op.source.startswith("derived"):
        return [data] if data else []
    return data


def assert_same(found: Any, expected: Any, place: str) -> None:
    assert type(found) is type(expected), f"{place}: {found!r} is no {expected!r}"
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), f"{place}: {sorted(found.keys() ^ expected.keys())}"
        for key, inner in expected.items():
            assert_same(found[key], inner, f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{place}[{number}]")
    else:
        assert str(found) == str(expected) if isinstance(expected, Decimal) else found == expected, place


# The tests.


def test_every_operation_is_generated_or_refused_for_a_known_reason(project: Project) -> None:
    assert project.refused == NOT_VALID.get(project.name, {})
    written = sum(
        len(re.findall(r"^(?:query|mutation|subscription) ", p.read_text(), re.M))
        for p in (project.root / "queries").rglob("*.graphql")
    )
    made = {
        op.name
        for module in project.modules
        for _, name, op in project.functions()
        if not op.source.startswith("derived")
    }
    assert len(made) == written


def test_every_function_sends_what_is_valid_and_reads_what_may_come(project: Project) -> None:
    stub, called = Stub(), 0
    functions = project.functions()
    scalars = sorted({t.name for t in project.schema.type_map.values() if isinstance(t, GraphQLScalarType)})
    with (
        API(hasura_graphql_endpoint=stub.url, middleware=[subscriptions_over_http(stub)]),
        ThreadPoolExecutor(1) as pool,
    ):
        for module, name, op in functions:
            twin = importlib.import_module(f"{project.package}.aio.{module.__name__.rpartition('.')[2]}")
            called += call_with_examples(project, stub, pool, (getattr(module, name), getattr(twin, name)), op, scalars)
    stub.stop()
    assert called >= len(functions)


def call_with_examples(
    project: Project,
    stub: Stub,
    pool: ThreadPoolExecutor,
    faces: tuple[Callable[..., Any], Callable[..., Any]],
    op: Operation[Any],
    scalars: list[str],
) -> int:
    calls = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES == 2,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), seed=st.integers(0, 2**32), awaits=st.sampled_from([False, False, False, True]))
    def run(data: st.DataObject, seed: int, awaits: bool) -> None:
        nonlocal calls
        calls += 1
        function = faces[awaits]
        keywords = Arguments(project, data.draw, bool(seed % 2)).of(function, op)
        pools = {name: [data.draw(ANSWERS.get(name, WORDS)) for _ in range(2)] for name in scalars}
        answers = Answers(project, random.Random(seed), pools)
        paged = op.source.startswith("derived") and function.__name__ == "iterate"

        def call() -> Any:
            if op.kind == "subscription":
                return asyncio.run(_first(function(**keywords))) if awaits else _next(function(**keywords))
            if not awaits:
                return list(function(**keywords)) if paged else function(**keywords)
            return asyncio.run(_collect(function(**keywords)) if paged else function(**keywords))

        found = stub.serve(pool, call, lambda body: answers(body, empty=paged and answers.requests > 0))
        assert_same(dumped(found), unwrapped(answers.expected, op, function.__name__), f"{op.name} {op.source}")

    run()
    return calls


def subscriptions_over_http(stub: Stub) -> Any:
    """A hook that gives a subscription its first answer by a plain request: the server here has no WebSocket."""

    async def hook(operation: Any, following: Any) -> Reply:
        if operation.operation.kind != "subscription":
            return await following(operation)
        body = to_json(plain({"query": operation.operation.text, "variables": operation.variables}))
        request = urllib.request.Request(stub.url, body)
        return Reply(200, await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=30).read()))

    return hook


def _next(answers: Any) -> Any:
    with answers:
        return next(answers)


async def _first(answers: Any) -> Any:
    async with answers:
        return await anext(answers)


async def _collect(pages: Any) -> list[Any]:
    return [page async for page in pages]


def test_the_packages_are_clean_in_strict_type_checkers(project: Project) -> None:
    configuration = {"include": [project.package], "typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (project.root / "pyrightconfig.json").write_text(json.dumps(configuration))
    for command in (
        ["basedpyright", "--pythonpath", sys.executable],
        ["mypy", "--strict", "--cache-dir", ".mypy", "--explicit-package-bases", project.package],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]
