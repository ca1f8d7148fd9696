"""The admin's requests: run_sql, and everything about metadata. Engine + {"type", "args"} -> JSON. Next: metadata.py.

Comes in: a request of /v1/metadata, /v2/query or /v1/query, in the spelling of v1 (`track_table`) or of v2 (`pg_track_table`
with a `source`). Goes out: the answer, or AdminRefusal.

Metadata lives in the table automio.metadata of the database, as JSON of version 3, and in no other place. A request that
changes it is one transaction: what the change makes inconsistent refuses it, and nothing is kept. A script of run_sql is a
transaction as well: the catalog is read again before the end of it, and what depends on something that is gone refuses the
script (metadata_follow.py). Changes are told to other engines on the same database by the notification of follow.py.

A `bulk` stops at the first fault. Its steps are kept one by one, but for `bulk_atomic`, which takes changes of metadata alone
and keeps all or none.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from automio.engine import sql
from automio.engine.catalog import CATALOG_QUERY, Catalog, Table, read_database
from automio.engine.follow import CHANNEL
from automio.engine.metadata import CHANGES, Change, change, explicit, relationships_of, without_relationships
from automio.engine.metadata_expressions import permissions_of
from automio.engine.metadata_follow import follow_script
from automio.engine.metadata_format import (
    AdminRefusal,
    array,
    boolean,
    mapping,
    member,
    not_supported,
    read_metadata,
    table_name,
    text,
    with_permission,
    write_metadata,
    write_name,
    write_permission,
    write_using,
)
from automio.engine.metadata_types import INFERRED, Json, Metadata, Naming, RolePermissions, TableName
from automio.engine.naming import ROOTS, root_name
from automio.engine.resolve import EnumRows, Inconsistency, Resolved, resolve
from automio.engine.run import Database, Session, SqlFault
from automio.engine.script import first_word, split_script
from automio.errors import EngineError

_SUCCESS = {"message": "success"}
_READABLE = frozenset({"SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "("})
_STORE = """
INSERT INTO automio.metadata (id, version, document) VALUES (1, $1, $2::text::json)
ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, document = EXCLUDED.document
RETURNING pg_notify($3, '')::text
"""
_TABLE = """
CREATE SCHEMA IF NOT EXISTS automio;
CREATE TABLE IF NOT EXISTS automio.metadata (
    id integer PRIMARY KEY CHECK (id = 1), version bigint NOT NULL, document json NOT NULL
);
COMMENT ON TABLE automio.metadata IS 'tracked tables, relationships, permissions and names, as Hasura exports them'
"""
_IS_STORED = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'automio' AND c.relname = 'metadata')
"""  # not to_regclass: a role without the right to the schema may still serve a database without metadata
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})


@dataclass(frozen=True, slots=True)
class State:
    """One reading of the database: what it holds, what its metadata says, and both together."""

    document: str
    database: Catalog
    metadata: Metadata
    enums: EnumRows
    resolved: Resolved = field(default_factory=lambda: Resolved(Catalog({})))

    @property
    def catalog(self) -> Catalog:
        """What is served."""
        return self.resolved.catalog


class Keeper:
    """Reads and changes the State of one database. `naming` holds where the metadata names no convention."""

    def __init__(self, database: Database, tenant_column: str, naming: Naming = Naming.HASURA) -> None:
        self._database = database
        self._tenant_column = tenant_column
        self._naming = naming

    async def read(self, before: State | None = None) -> State:
        """The state now; `before` itself when nothing has changed. EngineError."""
        try:
            async with self._database.session() as session:
                return await self._read(session, before)
        except SqlFault as fault:
            raise EngineError(fault.message, sqlstate=fault.sqlstate) from None

    async def _read(self, session: Session, before: State | None = None) -> State:
        document = (await session.rows(CATALOG_QUERY))[0][0]
        metadata = INFERRED
        if (await session.rows(_IS_STORED))[0][0]:
            rows = await session.rows("SELECT version, document::text FROM automio.metadata WHERE id = 1")
            if rows:
                try:
                    metadata = replace(read_metadata(json.loads(rows[0][1])), version=rows[0][0])
                except AdminRefusal as refusal:
                    raise EngineError(f"automio.metadata cannot be read: {refusal.message}") from None
        same = before is not None and document == before.document
        database = before.database if before and same else read_database(document, self._tenant_column)
        enums = await self._enum_rows(session, database, metadata)
        if before and same and metadata == before.metadata and enums == before.enums:
            return before
        return self._state(State(document, database, metadata, enums))

    def _state(self, state: State) -> State:
        metadata = state.metadata
        if metadata.naming is Naming.HASURA:
            metadata = replace(metadata, naming=self._naming)
        return replace(state, resolved=resolve(state.database, metadata, state.enums))

    async def _enum_rows(self, session: Session, database: Catalog, metadata: Metadata) -> EnumRows:
        found: dict[TableName, Mapping[str, str | None]] = {}
        for name, one in metadata.tables.items():
            table = database.find(*name) if one.is_enum else None
            comment = _comment_column(table) if table else None
            if table and comment is not None:
                rows = await session.rows(sql.enum_rows(*name, table.primary_key[0], comment or None))
                found[name] = dict(sorted(rows))
        return found

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def request(self, state: State, body: Json) -> tuple[State, Json]:
        """The state after a request, and its answer. AdminRefusal, EngineError."""
        kind = text(member(body, "type", "$"), "$.type")
        args = body.get("args", {})
        plain = kind.removeprefix("pg_")
        if isinstance(args, Mapping) and args.get("source", "default") not in ("default", None):
            raise AdminRefusal(f'source with name "{args["source"]}" does not exist', code="not-exists")
        if plain in CHANGES:
            state = await self._change(state, plain, args)
            return state, _SUCCESS
        handler = self._handlers().get(plain)
        if handler is None:
            raise not_supported(f'the request "{kind}"', "$.type")
        version = body.get("version", 1)
        return await handler(state, args, version if isinstance(version, int) else 1)

    def _handlers(self) -> Mapping[str, Callable[[State, Json, int], Awaitable[tuple[State, Json]]]]:
        return {
            "run_sql": self._run_sql,
            "bulk": self._bulk,
            "concurrent_bulk": self._bulk,
            "bulk_keep_going": self._bulk_keep_going,
            "bulk_atomic": self._bulk_atomic,
            "clear_metadata": self._clear,
            "export_metadata": self._export,
            "replace_metadata": self._replace,
            "reload_metadata": self._reload,
            "get_inconsistent_metadata": self._inconsistent,
            "drop_inconsistent_metadata": self._drop_inconsistent,
            "insert": self._insert,
        }

    async def _change(self, state: State, kind: str, args: Json) -> State:
        done = change(explicit(state.metadata, state.catalog), state.database, kind, args)
        return await self._keep(state, done)

    async def _keep(self, state: State, done: Change, tolerate: bool = False) -> State:
        """Stores new metadata. Refuses what it would make inconsistent."""
        metadata = replace(done.metadata, version=state.metadata.version + 1)
        async with self._database.session() as session:
            try:
                await session.run("BEGIN")
                enums = await self._enum_rows(session, state.database, metadata)
                new = self._state(replace(state, metadata=metadata, enums=enums))
                if not tolerate:
                    _refuse_new(state, new, done)
                await self._store(session, metadata)
                await session.run("COMMIT")
            except SqlFault as fault:
                raise EngineError(fault.message, sqlstate=fault.sqlstate) from None
        return new

    async def _store(self, session: Session, metadata: Metadata) -> None:
        if not (await session.rows(_IS_STORED))[0][0]:
            await session.run(_TABLE)
        document = json.dumps(write_metadata(metadata), ensure_ascii=False)
        await session.rows(_STORE, metadata.version, document, CHANNEL)

    # ── bulk ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _bulk(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        answers: list[Json] = []
        for i, one in enumerate(array(args, "$.args")):
            try:
                state, answer = await self.request(state, one)
            except AdminRefusal as refusal:
                refusal.path = f"$.args[{i}]{refusal.path[1:]}"
                raise BulkRefusal(state, refusal) from None
            except BulkRefusal as inner:
                inner.refusal.path = f"$.args[{i}]{inner.refusal.path[1:]}"
                raise
            answers.append(answer)
        return state, answers

    async def _bulk_keep_going(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        answers: list[Json] = []
        for one in array(args, "$.args"):
            try:
                state, answer = await self.request(state, one)
            except AdminRefusal as refusal:
                answer = refusal.body()
            answers.append(answer)
        return state, answers

    async def _bulk_atomic(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        steps = array(args, "$.args")
        metadata = explicit(state.metadata, state.catalog)
        for i, one in enumerate(steps):
            kind = text(member(one, "type", f"$.args[{i}]"), f"$.args[{i}].type").removeprefix("pg_")
            try:
                metadata = change(metadata, state.database, kind, one.get("args", {})).metadata
            except AdminRefusal as refusal:
                refusal.path = f"$.args[{i}]{refusal.path[1:]}"
                raise
        return await self._keep(state, Change(metadata)), [_SUCCESS for _ in steps]

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _clear(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        return await self._keep(state, Change(Metadata())), _SUCCESS

    async def _export(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        found = write_metadata(explicit(state.metadata, state.catalog))
        if version == 2:
            return state, {"resource_version": state.metadata.version, "metadata": found}
        return state, found

    async def _replace(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        wrapped = isinstance(args, Mapping) and "metadata" in args
        metadata = read_metadata(args["metadata"], "$.args.metadata") if wrapped else read_metadata(args)
        tolerate = boolean(mapping(args, "$.args").get("allow_inconsistent_metadata"), "$.args")
        new = await self._keep(replace(state, resolved=Resolved(state.catalog)), Change(metadata), tolerate)
        if version == 2:
            return new, _consistency(new)
        return new, _SUCCESS

    async def _reload(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        new = await self.read()
        found = _consistency(new)
        return new, {"message": "success"} | (found if found["inconsistent_objects"] else {"is_consistent": True})

    async def _inconsistent(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        return state, _consistency(state)

    async def _drop_inconsistent(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        while state.resolved.inconsistencies:
            tables = dict(state.metadata.tables)
            for one in state.resolved.inconsistencies:
                table = tables.get(one.table)
                if table is None:
                    continue
                if one.kind == "table":
                    del tables[one.table]
                elif one.kind.endswith("_relation"):
                    tables[one.table] = without_relationships(table, {one.name})
                else:
                    roles = dict(table.permissions)
                    roles[one.name] = with_permission(roles[one.name], one.kind.removesuffix("_permission"), None)
                    if roles[one.name] == RolePermissions():
                        del roles[one.name]
                    tables[one.table] = replace(table, permissions=roles)
            state = await self._keep(state, Change(replace(state.metadata, tables=tables)), tolerate=True)
        return state, _SUCCESS

    # ── SQL ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run_sql(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        script = text(member(args, "sql"), "$.args.sql")
        checked = args.get("check_metadata_consistency")
        alone = boolean(args.get("no_transaction"), "$.args.no_transaction")
        read_only = boolean(args.get("read_only"), "$.args.read_only")
        cascade = boolean(args.get("cascade"), "$.args.cascade")
        async with self._database.session() as session:
            try:
                if not alone:
                    await session.run("BEGIN READ ONLY" if read_only else "BEGIN")
                answer = await _run(session, script, alone)
                new = state
                if not read_only:
                    new = await self._read(session, state)
                    if checked is not False and new.database is not state.database:
                        followed = follow_script(state.metadata, state.database, new.database, cascade or alone)
                        if followed != state.metadata:
                            followed = replace(followed, version=followed.version + 1)
                            enums = await self._enum_rows(session, new.database, followed)
                            new = self._state(replace(new, metadata=followed, enums=enums))
                            await self._store(session, followed)
                        _refuse_new(state, new, Change(followed))
                if not alone:
                    await session.run("COMMIT")
            except SqlFault as fault:
                raise _postgres_refusal(script, fault) from None
        if new.database is not state.database:
            await self._database.renew()
        return new, answer

    async def _insert(self, state: State, args: Json, version: int) -> tuple[State, Json]:
        """The data request of v1, as far as setups use it: objects into a table."""
        name = table_name(member(args, "table"))
        for key in ("on_conflict", "returning"):
            if args.get(key):
                raise not_supported(f'"{key}" of the request "insert"', f"$.args.{key}")
        if name not in explicit(state.metadata, state.catalog).tables:
            raise AdminRefusal(f'table "{name[1]}" does not exist', "$.args.table", "not-exists")
        count = 0
        async with self._database.session() as session:
            try:
                await session.run("BEGIN")
                for one in array(member(args, "objects"), "$.args.objects"):
                    columns = list(mapping(one, "$.args.objects"))
                    given = (json.dumps([one]),) if columns else ()
                    count += len(await session.rows(sql.insert_objects(*name, columns), *given))
                await session.run("COMMIT")
            except SqlFault as fault:
                raise AdminRefusal(fault.message, "$.args.objects", "constraint-violation") from None
        return state, {"affected_rows": count}


class BulkRefusal(Exception):
    """A bulk that stopped on the way: the state that its kept steps have led to, and why it stopped."""

    def __init__(self, state: State, refusal: AdminRefusal) -> None:
        super().__init__(refusal.message)
        self.state = state
        self.refusal = refusal


async def _run(session: Session, script: str, alone: bool) -> Json:
    """Runs a script and answers its last statement's rows; `alone`: each statement by itself."""
    statements = split_script(script)
    if not statements:
        return {"result_type": "CommandOk", "result": None}
    before = statements[:-1]
    for one in before if alone or not before else [";".join(before)]:
        await session.run(one)
    last = statements[-1]
    names = await session.columns(last) if first_word(last) not in ("BEGIN", "COMMIT") else []
    if not names:
        await session.run(last)
        return {"result_type": "CommandOk", "result": None}
    rows: list[Json] | None = None
    if first_word(last) in _READABLE:
        wrapped = sql.as_texts(last, len(names))
        try:
            if not alone:
                await session.run("SAVEPOINT automio_rows")
            await session.columns(wrapped)
        except SqlFault:  # a WITH that writes cannot stand inside another one
            if not alone:
                await session.run("ROLLBACK TO SAVEPOINT automio_rows")
        else:
            rows = [list(row) for row in await session.rows(wrapped)]
    if rows is None:
        rows = [[None if one is None else str(one) for one in row] for row in await session.rows(last)]
    return {"result_type": "TuplesOk", "result": [names, *rows]}


def _postgres_refusal(script: str, fault: SqlFault) -> AdminRefusal:
    error = {
        "exec_status": "FatalError",
        "hint": fault.hint,
        "message": fault.message,
        "status_code": fault.sqlstate,
        "description": fault.detail,
    }
    internal = {"statement": script, "prepared": False, "error": error, "arguments": []}
    return AdminRefusal("query execution failed", code="postgres-error", internal=internal)


def _comment_column(table: Table) -> str | None:
    """The column of an enum table that holds comments, "" when it has none, None when its columns don't fit."""
    if len(table.primary_key) != 1 or table.columns[table.primary_key[0]].type.name not in _TEXTS:
        return None
    others = [column for column in table.columns.values() if column.name != table.primary_key[0]]
    if not others:
        return ""
    fits = len(others) == 1 and others[0].type.name in _TEXTS and not others[0].type.array
    return others[0].name if fits else None


# ── consistency ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_new(before: State, new: State, done: Change) -> None:
    conflict = _conflict(new.catalog)
    if conflict:
        raise AdminRefusal(conflict, code="unexpected", status=500)
    known = set(before.resolved.inconsistencies)
    fresh = [one for one in new.resolved.inconsistencies if one not in known]
    if not fresh:
        return
    internal = [_object(new.metadata, one) for one in fresh]
    for one in fresh:
        if (one.kind, one.table, one.name) == done.made:
            raise AdminRefusal(one.reason, code="invalid-configuration", internal=internal)
    raise AdminRefusal("cannot continue due to new inconsistent metadata", code="unexpected", internal=internal)


def _conflict(catalog: Catalog) -> str:
    """Root fields that two tables would have, in Hasura's words; "" without any."""
    owners: dict[tuple[str, str], list[str]] = {}
    for table in catalog.tables.values():
        if not table.type_name:
            continue
        who = f"table {write_name_text(table)} in source default"
        for key in ROOTS:
            configured = table.config.custom_root_fields.get(key)
            name = (configured.name if configured else None) or root_name(
                catalog.naming, key, table.type_name, table.config.custom_name is not None
            )
            root = "query_root" if key.startswith("select") else "mutation_root"
            found = owners.setdefault((root, name), [])
            if who not in found:
                found.append(who)
    for root in ("mutation_root", "query_root"):
        lines = [
            f"  '{name}' defined in [{', '.join(who)}]"
            for (kind, name), who in sorted(owners.items())
            if kind == root and len(who) > 1
        ]
        if lines:
            listed = ",\n".join(lines)
            return (
                f"Encountered conflicting definitions in the selection set for '{root}' for fields: [\n{listed}\n]. "
                "Fields must not be defined more than once across all sources."
            )
    return ""


def write_name_text(table: Table) -> str:
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"


def _consistency(state: State) -> dict[str, Json]:
    objects = [_object(state.metadata, one) for one in state.resolved.inconsistencies]
    return {"is_consistent": not objects, "inconsistent_objects": objects}


def _object(metadata: Metadata, one: Inconsistency) -> dict[str, Json]:
    """An inconsistent object as Hasura describes it."""
    table = metadata.tables[one.table]
    name = one.table[1] if one.table[0] == "public" else f"{one.table[0]}.{one.table[1]}"
    if one.kind == "table":
        definition: Json = write_name(one.table)
        title = f"table {name} in source default"
    elif one.kind.endswith("_relation"):
        made = relationships_of(table)[one.name]
        definition = {
            "using": write_using(made.using),
            "name": one.name,
            "source": "default",
            "comment": made.comment,
            "table": write_name(one.table),
        }
        title = f"{one.kind} {one.name} in table {name} in source default"
    else:
        kind = one.kind.removesuffix("_permission")
        allowed = next(x for role, k, x in permissions_of(table) if (role, k) == (one.name, kind))
        definition = {"role": one.name, "permission": write_permission(allowed), "table": write_name(one.table)}
        definition |= {"source": "default", "comment": allowed.comment}
        title = f"{one.kind} {one.name} in table {name} in source default"
    return {"definition": definition, "reason": one.reason, "name": title, "type": one.kind}
