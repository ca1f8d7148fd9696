"""The invariants of the tenancy reference (R, W, E, F, C) on the real PostgreSQL: random schemas, rows and documents.

D holds everybody's rows, D|o those of organization 1 and the shared ones; both are served by the engine. For each document

  expected   the caller's own text on D|o as admin (inserts with the preset)
  the walk   the scoped text on D as admin, its answer reshaped
  the engine the caller's own text on D by a caller bound to organization 1
  both       the scoped text on D by the bound caller

must answer the same and leave the same rows, and rows of others and shared rows must stay as they were. What the reference lists
as different is told by exceptions.py. A third database with other rows answers whether a refusal depends on data.

AUTOMIO_TENANCY is the number of documents: 300 in a plain run, 10,000 in `make tenancy`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_schema,
    validate,
    visit,
)

from automio.dialect.index import SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.engine.engine import Caller, Engine
from automio.errors import ScopeError
from automio.scope.reshape import reshape
from automio.scope.values import apply_rules
from automio.scope.walk import ScopedDocument, scope_document

from . import exceptions, schemas
from .documents import ORGANIZATION, Writer
from .schemas import OWN, World

DOCUMENTS = int(os.environ.get("AUTOMIO_TENANCY", "300"))
EACH = 30 if DOCUMENTS <= 1000 else 100
"""Documents on one schema."""
ADMIN, BOUND = Caller(), Caller(organization=OWN)
STATIC = {"AUTOMIO-202", "AUTOMIO-203", "AUTOMIO-204"}
"""Refusals of the walk that the engine's lock has too; the others are the walk's own."""
REFERS = "constraint-violation"
OF_ROWS = {REFERS, "data-exception"}
"""Codes of faults that hang on rows."""

Rows = dict[str, list[dict[str, Any]]]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Database:
    """One database with its engine. `connection` restores and reads rows."""

    engine: Engine
    connection: asyncpg.Connection

    async def make(self, world: World, rows: Rows) -> None:
        await self.connection.execute("DISCARD TEMP")
        await self.engine.run_sql(schemas.script(world, rows))
        await self.connection.execute(schemas.save(world))

    async def rows(self, world: World) -> Rows:
        found: Rows = {}
        for name in world.names:
            rows = await self.connection.fetch(f"SELECT to_jsonb(t)::text AS row FROM public.{name} t ORDER BY 1")
            found[name] = [json.loads(row["row"]) for row in rows]
        return found

    async def ask(self, caller: Caller, text: str, variables: dict[str, Any]) -> Any:
        body = {"query": text, "variables": variables}
        return json.loads(await self.engine.execute(caller, body))

    async def first(self, caller: Caller, text: str, variables: dict[str, Any], seconds: float = 0.4) -> Any:
        """The first answer of a subscription; None when there is none for a while, as of a stream without rows."""
        subscription = self.engine.subscribe(caller, {"query": text, "variables": variables})
        assert subscription is not None
        try:
            return json.loads(await asyncio.wait_for(anext(aiter(subscription)), seconds))
        except TimeoutError:
            return None
        finally:
            subscription.close()


@dataclass(frozen=True)
class Bench:
    """D, D|o, and a database with other rows."""

    full: Database
    own: Database
    other: Database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(addresses: tuple[str, str, str]) -> AsyncIterator[Bench]:
    made: list[Database] = []
    try:
        for address in addresses:
            connection = await asyncpg.connect(address)
            made.append(Database(await Engine.connect(address, pool_size=2), connection))
        yield Bench(*made)
    finally:
        for one in made:
            await one.engine.close()
            await one.connection.close()


class Prover:
    """One schema with its rows, and the checks of a document on it."""

    def __init__(self, bench: Bench, world: World, rows: Rows, counts: Counter[str]) -> None:
        self.bench = bench
        self.world = world
        self.loaded = rows
        self.counts = counts
        self.full, self.own = bench.full, bench.own
        self.catalog = self.full.engine.catalog
        self.schema = self.full.engine.schema.graphql
        self.index: SchemaIndex = index_schema(Sdl.read([("schema.graphql", print_schema(self.schema))]))
        self.start: Rows = {}
        self.alone: Rows = {}
        self.where = ""

    @classmethod
    async def make(cls, bench: Bench, seed: str, counts: Counter[str]) -> Prover:
        random = Random(seed)
        world = schemas.random_world(random)
        rows = schemas.random_rows(random, world)
        await bench.full.make(world, rows)
        await bench.own.make(world, schemas.alone(world, rows, OWN))
        await bench.other.make(world, schemas.random_rows(random, world))
        found = cls(bench, world, rows, counts)
        found.start = await bench.full.rows(world)
        found.alone = await bench.own.rows(world)
        assert found.mine(found.start) == found.alone
        return found

    def writer(self, seed: str, *, preset: bool = False) -> Writer:
        return Writer(Random(seed), self.schema, self.catalog, self.alone, preset=preset)

    def mine(self, rows: Rows) -> Rows:
        return {name: [r for r in found if r.get(ORGANIZATION, OWN) == OWN] for name, found in rows.items()}

    def others(self, rows: Rows) -> Rows:
        """Rows of others, and of shared tables."""
        return {
            name: [r for r in found if ORGANIZATION not in r or r[ORGANIZATION] != OWN] for name, found in rows.items()
        }

    def parsed(self, text: str) -> DocumentNode:
        document = parse(text)
        assert validate(self.schema, document) == [], f"the test wrote an invalid document: {self.where}"
        return document

    def scoped(self, writer: Writer, text: str) -> tuple[ScopedDocument, dict[str, Any]] | ScopeError:
        """What is sent instead. A refusal must be one that the writer foresaw, and one that it foresaw must come."""
        document = self.parsed(text)
        given = copy.deepcopy(writer.variables)
        try:
            scoped = scope_document(document, self.index)
            sent = apply_rules(scoped.rules, writer.variables, OWN, self.index, python_names=False)
        except ScopeError as error:
            assert error.code in writer.must | writer.may, f"{error.code} {error} {error.path}: {self.where}"
            self.counts[f"refused by the walk: {error.code}"] += 1
            return error
        assert not writer.must, f"the walk let {writer.must} pass: {self.where}"
        assert writer.variables == given
        assert validate(self.schema, scoped.document) == [], f"{scoped.text}: {self.where}"
        if scoped.scope_variable:
            sent[scoped.scope_variable] = OWN
        return scoped, sent

    # ── reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(self, seed: str) -> None:
        """R for a query, by each lock and both."""
        writer = self.writer(seed)
        count = writer.random.randint(1, 2)
        text = writer.document("query", [writer.read() for _ in range(count)])
        self.where = f"{seed}: {text} {json.dumps(writer.variables)}"
        found = self.scoped(writer, text)
        expected = await self.own.ask(ADMIN, text, writer.variables)
        assert "errors" not in expected or writer.must, f"{expected} {self.where}"
        bound = await self.full.ask(BOUND, text, writer.variables)
        self.same(bound, expected, "the engine")
        unscoped = await self.full.ask(ADMIN, text, writer.variables)
        self.counts["would have shown foreign rows"] += plain(unscoped) != plain(expected)
        if isinstance(found, ScopeError):
            return
        scoped, sent = found
        for caller, lock in ((ADMIN, "the walk"), (BOUND, "both")):
            answer = await self.full.ask(caller, scoped.text, sent)
            self.same(self.turned(answer, scoped), expected, lock)

    async def subscribe(self, seed: str) -> None:
        """R for the first answer of a live query or a stream."""
        writer = self.writer(seed)
        root = writer.stream() if writer.one_in(2) else writer.read("subscription_root")
        text = writer.document("subscription", [root])
        self.where = f"{seed}: {text} {json.dumps(writer.variables)}"
        found = self.scoped(writer, text)
        if isinstance(found, ScopeError):
            return
        scoped, sent = found
        asked: list[tuple[Database, Caller, str, dict[str, Any]]] = [
            (self.own, ADMIN, text, writer.variables),
            (self.full, BOUND, text, writer.variables),
            (self.full, ADMIN, scoped.text, sent),
            (self.full, BOUND, scoped.text, sent),
        ]
        answers = await asyncio.gather(*(one.first(who, what, given) for one, who, what, given in asked))
        if any(answers):  # silence of some may be that of a busy machine
            answers = [
                answer or await one.first(who, what, given, seconds=10)
                for answer, (one, who, what, given) in zip(answers, asked, strict=True)
            ]
        expected, bound, walked, both = answers
        unscoped = await self.full.first(ADMIN, text, writer.variables)
        self.counts["subscriptions without an answer, as alone"] += expected is None
        self.same(bound, expected, "the engine")
        self.same(self.turned(walked, scoped), expected, "the walk")
        self.same(self.turned(both, scoped), expected, "both")
        self.counts["would have shown foreign rows"] += unscoped is not None and plain(unscoped) != plain(expected)

    async def compose(self, seed: str) -> None:
        """C: root fields, operations and fragments beside it change nothing for a query."""
        writer = self.writer(seed)
        parts = [writer.read(), writer.read()]
        declared = f"({', '.join(writer.definitions)})" if writer.definitions else ""
        tail = "\n".join(writer.texts)
        self.where = f"{seed}: {parts} {tail} {json.dumps(writer.variables)}"
        merged: dict[str, Any] = {}
        whole = f"query Q{declared} {{ {' '.join(parts)} }}\n{tail}"
        beside = f"{whole}\nquery Beside {{ __typename }}\nfragment Beside on query_root {{ __typename }}\nmutation M {{ __typename }}"
        found = self.scoped(writer, whole)
        if isinstance(found, ScopeError):
            return
        scoped, sent = found
        again = scope_document(parse(beside), self.index, operation_name="Q")
        assert (again.text, again.rules, again.plan) == (scoped.text, scoped.rules, scoped.plan), self.where
        for part in parts:
            alone, used = pruned(f"query Q{declared} {{ {part} }}\n{tail}")
            single = scope_document(alone, self.index)
            mine = {name: value for name, value in writer.variables.items() if name in used}
            values = apply_rules(single.rules, mine, OWN, self.index, python_names=False)
            if single.scope_variable:
                values[single.scope_variable] = OWN
            merged |= self.turned(await self.full.ask(ADMIN, single.text, values), single)["data"]
        self.same(self.turned(await self.full.ask(ADMIN, scoped.text, sent), scoped), {"data": merged}, "composition")

    # ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def write(self, seed: str) -> None:
        """R, W, E and F for a mutation."""
        text, writer = self.mutation(seed)
        self.where = f"{seed}: {text} {json.dumps(writer.variables)}"
        found = self.scoped(writer, text)
        if writer.must & STATIC:
            await self.refused(text, writer.variables)
            return
        preset, with_preset = self.mutation(seed, preset=True)
        wanted = await self.own.ask(ADMIN, preset, with_preset.variables)
        rows = await self.own.rows(self.world)
        await self.restore(self.own)
        taken = exceptions.takes_a_global_key(writer, self.catalog, self.start)
        crossing = exceptions.names_a_foreign_row(writer, self.catalog, self.start)
        crossing |= exceptions.upserts_a_crossing_row(writer, self.catalog, self.start)
        crossing |= exceptions.reaches_foreign_rows(writer, self.catalog, self.start)
        dangling = exceptions.changes_dangling_rows_twice(writer, self.catalog, self.alone)
        wanted_code = wanted["errors"][0]["extensions"]["code"] if "errors" in wanted else ""
        self.counts["listed: keys that dangle in D|o are looked at again (§2)"] += dangling and wanted_code in OF_ROWS
        self.counts["listed: a global unique key that others hold (§8)"] += taken
        self.counts["listed: foreign keys across organizations (§5.7)"] += crossing
        self.counts["changed rows"] += rows != self.alone
        self.counts["failed alike"] += "errors" in wanted
        unscoped = await self.full.ask(ADMIN, text, writer.variables)
        after = await self.full.rows(self.world)
        self.counts["would have changed or shown foreign rows"] += self.others(after) != self.others(self.start) or (
            plain(unscoped) != plain(wanted)
        )
        await self.restore(self.full)
        attempts: list[tuple[str, Caller, str, dict[str, Any], ScopedDocument | None]]
        attempts = [("the engine", BOUND, text, writer.variables, None)]
        if not isinstance(found, ScopeError):
            scoped, sent = found
            attempts += [("both", BOUND, scoped.text, sent, scoped), ("the walk", ADMIN, scoped.text, sent, scoped)]
        for lock, caller, sent_text, variables, plan in attempts:
            answer = await self.full.ask(caller, sent_text, variables)
            after = await self.full.rows(self.world)
            await self.restore(self.full)
            if lock == "the walk" and crossing:
                continue  # foreign keys are the database's there
            assert self.others(after) == self.others(self.start), f"{lock}: rows of others changed: {self.where}"
            assert "errors" not in answer or after == self.start, f"{lock}: {self.where}"
            if taken or (dangling and wanted_code in OF_ROWS):
                continue
            if crossing and "errors" in answer and answer["errors"][0]["extensions"]["code"] == REFERS:
                self.counts["refused by the engine: foreign keys across organizations"] += 1
                continue
            self.same(self.turned(answer, plan) if plan else answer, wanted, lock)
            assert self.mine(after) == rows, f"{lock}: {self.where}"

    def mutation(self, seed: str, *, preset: bool = False) -> tuple[str, Writer]:
        writer = self.writer(seed, preset=preset)
        count = writer.random.choice([1, 1, 2, 3])
        return writer.document("mutation", [writer.write() for _ in range(count)]), writer

    async def refused(self, text: str, variables: dict[str, Any]) -> None:
        """E and F: the engine refuses too, in the same words whatever the rows are, and nothing of it ran."""
        answer = await self.full.ask(BOUND, text, variables)
        assert "errors" in answer, f"the engine let it pass: {self.where}"
        assert await self.full.rows(self.world) == self.start, self.where
        self.counts["refused by both locks"] += 1
        elsewhere = await self.bench.other.ask(BOUND, text, variables)
        await self.restore(self.bench.other)
        codes = {one["errors"][0]["extensions"]["code"] for one in (answer, elsewhere)}
        if codes & OF_ROWS:
            # As with a role (§6, number 2): an earlier root field, or the row itself, failed first.
            self.counts["refused by both locks, by the engine for an earlier fault"] += 1
            return
        assert elsewhere == answer, self.where

    async def restore(self, database: Database) -> None:
        await database.connection.execute(schemas.restore(self.world))

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def turned(self, answer: Any, scoped: ScopedDocument) -> Any:
        if answer and "data" in answer:
            reshape(answer["data"], scoped.plan, OWN)
        return answer

    def same(self, answer: Any, expected: Any, lock: str) -> None:
        assert plain(answer) == plain(expected), f"{lock}: {answer} for {expected}: {self.where}"
        if answer and "data" in answer:
            assert in_order(answer) == in_order(expected), f"{lock}: order of keys: {self.where}"


class _Uses(Visitor):
    """The variables and fragments that selections reach."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self.fragments = fragments
        self.variables: set[str] = set()
        self.reached: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.variables.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        name = node.name.value
        if name not in self.reached:
            self.reached.add(name)
            visit(self.fragments[name], self)


def pruned(text: str) -> tuple[DocumentNode, set[str]]:
    """The operation without the variables and fragments that it does not reach, and those that it does."""
    operation, *others = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    uses = _Uses({d.name.value: d for d in others if isinstance(d, FragmentDefinitionNode)})
    visit(operation.selection_set, uses)
    declared = operation.variable_definitions or ()
    operation.variable_definitions = tuple(d for d in declared if d.variable.name.value in uses.variables)
    return DocumentNode(
        definitions=(operation, *(uses.fragments[name] for name in sorted(uses.reached)))
    ), uses.variables


def plain(value: Any, *, ordered: bool = False) -> Any:
    """Rows without an order sorted, and errors as (code, message): the place is in another document."""
    if isinstance(value, dict):
        if "errors" in value:
            error = value["errors"][0]
            return (error["extensions"]["code"], error["message"])
        return {key: plain(one, ordered=key[0] == "o" or (key == "nodes" and ordered)) for key, one in value.items()}
    if isinstance(value, list):
        found = [plain(one) for one in value]
        return found if ordered else sorted(found, key=lambda one: json.dumps(one, sort_keys=True))
    return value


def in_order(value: Any) -> Any:
    """The response keys in their order, as far as that does not hang on rows."""
    if isinstance(value, dict):
        return [(key, in_order(one)) for key, one in value.items()]
    return None


@pytest.mark.parametrize("batch", range(max(1, DOCUMENTS // EACH)))
async def test_documents_answer_as_if_alone(bench: Bench, batch: int, counts: Counter[str]) -> None:
    prover = await Prover.make(bench, f"schema {batch}", counts)
    for number in range(EACH):
        seed = f"{batch} {number}"
        kind = Random(seed).choice(["read"] * 9 + ["write"] * 9 + ["subscribe", "compose"])
        counts["documents"] += 1
        counts[f"documents: {kind}"] += 1
        await getattr(prover, kind)(seed)


async def test_the_proof_has_power(counts: Counter[str]) -> None:
    """Of the examples above: the listed exceptions are few, and without scoping much would have shown."""
    writes = counts["documents: write"]
    if not writes:
        pytest.skip("no documents ran in this process")
    listed = sum(number for key, number in counts.items() if key.startswith("listed:"))
    assert listed < writes / 2
    assert counts["changed rows"] > writes / 8
    assert counts["would have changed or shown foreign rows"] > writes / 8
    assert counts["would have shown foreign rows"] > counts["documents: read"] / 8
    refused = sum(number for key, number in counts.items() if key.startswith("refused by the walk"))
    assert refused < counts["documents"] / 2
