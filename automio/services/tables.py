"""api.tables: ad-hoc GraphQL documents, through the same scoping, hooks and transport as the compiled functions.

A document is parsed and scoped when it is first seen and kept by its text; each later use pays for its values alone.
What scoping must know of the tables comes from the compiled packages that are imported, when they know all root fields
of the document, else from one introspection of the same target, kept as long as the API() is.

Without an organization a document goes to the gateway as it was written, since the server binds it to the token's
organization; towards Hasura, which has no such lock, it is refused, unless inside all_organizations().

Errors of the server: `apps_graphql_query` returns them in `.errors`, as the documentation's examples expect; `execute`
raises GraphQLErrors. A document with a syntax error is answered in the same two ways, without being sent.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from automio.dialect.index import OperationKind, Reference, SchemaIndex
from automio.dialect.names import split_app
from automio.errors import GraphQLErrors, ScopeError
from automio.request import UNSET, GraphQLError, GraphQLRequest, GraphQLResponse, Unset
from automio.runtime.call import BoundOperation, Call, Reach, Repeat, bind_check, registered_facts
from automio.runtime.client import Client, run_sync
from automio.runtime.decode import decode_document, graphql_errors
from automio.runtime.scoping import introspection
from automio.runtime.subscribe import Answers, AsyncSubscription, Subscription
from automio.runtime.transport import Reply

if TYPE_CHECKING:
    from graphql import DocumentNode, SelectionSetNode

    from automio.dialect.sdl import Sdl

_Where = tuple[Reach, int | None]
"""How far a call sees, and its organization: decided in the caller's thread."""
KEPT_DOCUMENTS: Final = 512
LONGEST_KEPT: Final = 65_536
"""Characters of a document that is kept; a longer one is read at each use."""
_APP: Final = re.compile(r"app_(\d+)_(\w+)")
_SUFFIX: Final = re.compile(r"_(by_pk|aggregate|one|many|stream)$")


class Tables:
    """GraphQL on the tables of one API(). Safe from any thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._documents: OrderedDict[tuple[Any, ...], BoundOperation] = OrderedDict()
        self._schemas: dict[str, Future[Sdl]] = {}

    def apps_graphql_query(self, app: int | str, table: str, graph_ql_request: GraphQLRequest) -> GraphQLResponse:
        """The answer to a document on tables of an app: `.data`, `.errors` (empty when all went well), `.extensions`.

        `table` is the table's name without the app (`orders`). Read `.errors` before `.data`. The organization is that
        of `automio.organization(…)` or API(). Raises ScopeError (nothing was sent) and TransportError.
        """
        return run_sync(self.apps_graphql_query_async(app, table, graph_ql_request))

    def apps_graphql_query_async(
        self, app: int | str, table: str, graph_ql_request: GraphQLRequest
    ) -> Coroutine[Any, Any, GraphQLResponse]:
        """`apps_graphql_query` for async code."""
        reach = self._client.reach(UNSET)
        return self._query(graph_ql_request.query, graph_ql_request.variables, reach, str(app), table)

    async def _query(
        self, document: str, variables: Mapping[str, Any] | None, reach: _Where, app: str, table: str
    ) -> GraphQLResponse:
        try:
            return await self._answer(document, variables, reach, app=app, table=table)
        except _Unreadable as fault:
            return GraphQLResponse(data=None, errors=(fault.error,))

    def execute(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        organization_id: int | Unset = UNSET,
        repeat: Repeat = Repeat.WHEN_SAFE,
    ) -> dict[str, Any]:
        """The `data` of the answer to a document, scoped to the organization.

        `operation_name` chooses one of several operations. `repeat` says whether a failed mutation may be sent again.
        Raises ScopeError (nothing was sent), TransportError, and GraphQLErrors, which keeps partial data.
        """
        return run_sync(
            self.execute_async(
                document, variables, operation_name=operation_name, organization_id=organization_id, repeat=repeat
            )
        )

    def execute_async(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        organization_id: int | Unset = UNSET,
        repeat: Repeat = Repeat.WHEN_SAFE,
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """`execute` for async code. The organization is that of this moment, not of the await."""
        reach = self._client.reach(organization_id)
        return self._execute(document, variables, reach, operation_name, repeat)

    async def _execute(
        self,
        document: str,
        variables: Mapping[str, Any] | None,
        reach: _Where,
        operation_name: str | None,
        repeat: Repeat,
    ) -> dict[str, Any]:
        try:
            response = await self._answer(document, variables, reach, operation_name, repeat=repeat)
        except _Unreadable as fault:
            raise GraphQLErrors([_plain(fault.error)], source=AD_HOC) from None
        if response.errors:
            raise graphql_errors([_plain(error) for error in response.errors], response.data, AD_HOC)
        return response.data if response.data is not None else {}

    async def _answer(
        self,
        document: str,
        variables: Mapping[str, Any] | None,
        where: _Where,
        operation_name: str | None = None,
        *,
        app: str = "",
        table: str = "",
        repeat: Repeat = Repeat.WHEN_SAFE,
    ) -> GraphQLResponse:
        reach, organization = where
        operation = await self._operation(document, operation_name, app, table, reach)
        if operation.kind == "subscription":
            raise _Unreadable("a subscription is not carried by one request: tables.subscribe(…)")
        call = Call(operation, variables or {}, organization, reach, python_names=False, repeat=repeat)
        reply = await self._client.perform(call)
        return decode_document(reply, operation.source, operation, organization)

    def subscribe(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        organization_id: int | Unset = UNSET,
    ) -> Subscription[dict[str, Any]]:
        """The `data` of each answer to a subscription, scoped to the organization: an iterator to be closed.

        What is delivered, what is raised, and how it goes on after a lost connection: runtime/subscribe.py. A stream
        needs an organization. Raises ScopeError at once without one; while iterating ScopeError for a document that
        cannot be scoped, TransportError, GraphQLErrors.
        """
        return Subscription(self._answers(document, variables, operation_name, organization_id))

    def subscribe_async(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        organization_id: int | Unset = UNSET,
    ) -> AsyncSubscription[dict[str, Any]]:
        """`subscribe` for `async for`."""
        return AsyncSubscription(self._answers(document, variables, operation_name, organization_id))

    def _answers(
        self, document: str, variables: Mapping[str, Any] | None, name: str | None, organization_id: int | Unset
    ) -> Answers[dict[str, Any]]:
        reach, organization = self._client.reach(organization_id)
        sent: BoundOperation | None = None

        async def prepare() -> Call:
            nonlocal sent
            try:
                operation = await self._operation(document, name, "", "", reach)
                if operation.kind != "subscription":
                    raise _Unreadable("the document is not a subscription")
            except _Unreadable as fault:
                raise GraphQLErrors([_plain(fault.error)], source=AD_HOC) from None
            sent = operation
            return Call(operation, variables or {}, organization, reach, python_names=False)

        def decode(reply: Reply, organization: int | None) -> dict[str, Any]:
            response = decode_document(reply, AD_HOC, sent, organization)
            if response.errors:
                raise graphql_errors([_plain(error) for error in response.errors], response.data, AD_HOC)
            return response.data if response.data is not None else {}

        return Answers(self._client, prepare, decode)

    async def _operation(
        self, document: str, operation_name: str | None, app: str, table: str, reach: Reach
    ) -> BoundOperation:
        """The document, read when it is first seen."""
        scoped = reach is Reach.ORGANIZATION
        key = (document, operation_name, app, table, scoped)
        with self._lock:
            operation = self._documents.get(key)
            if operation is not None:
                self._documents.move_to_end(key)
        if operation is None:
            operation = await self._read(document, operation_name, app, table, scoped)
            if len(document) <= LONGEST_KEPT:
                with self._lock:
                    self._documents[key] = operation
                    while len(self._documents) > KEPT_DOCUMENTS:
                        self._documents.popitem(last=False)
        return operation

    async def _read(self, text: str, operation_name: str | None, app: str, table: str, scoped: bool) -> BoundOperation:
        """Parse a document, and scope it unless it is to be sent as written."""
        document = _parse(text)
        kind, roots = _roots(document, operation_name, strict=scoped)
        guessed_app, guessed_table = _place(roots)
        if not scoped:
            if kind == "subscription" and any("_stream" in name or name.endswith("Stream") for name in roots):
                raise ScopeError(
                    "a stream that is sent as written could not go on after a lost connection.",
                    code="AUTOMIO-208",
                    hint="Give an organization, so that it is read and its cursor known.",
                )
            return BoundOperation(
                name=operation_name or "",
                kind=kind,
                text=text,
                app=app or guessed_app or _text(self._client.settings.app_id),
                table=table or guessed_table,
                source=AD_HOC,
                sends_name=operation_name is not None,
            )
        from automio.scope.stream import resumable
        from automio.scope.walk import scope_document

        index = await self._index(kind, roots, app or guessed_app, table or guessed_table)
        found, cursor = resumable(scope_document(document, index, operation_name=operation_name), index)
        first_app, first_table = split_app(found.tables[0]) if found.tables else (guessed_app, guessed_table)
        app, table = app or first_app or _text(self._client.settings.app_id), table or first_table
        return BoundOperation(
            name=found.name or "",
            kind=found.kind,
            text=found.text,
            app=app,
            table=table,
            source=AD_HOC,
            index=index,
            scope_variable=found.scope_variable,
            rules=found.rules,
            dropped=found.dropped,
            plan=found.plan,
            cursor=cursor,
            check=bind_check(found.check, index, app, table, AD_HOC),
            sends_name=found.name is not None,
        )

    async def _index(self, kind: OperationKind, roots: frozenset[str], app: str, table: str) -> SchemaIndex:
        """What is known of the tables behind these root fields."""
        names = {name for name in roots if not name.startswith("__")}
        if not names:
            return SchemaIndex(tables={}, roots={}, inputs={})
        for index in self._compiled(app):
            if names <= index.roots.get(kind, {}).keys():
                return index
        from automio.dialect.read import index_schema

        sdl = await self._schema(app if self._client.settings.hasura_graphql_endpoint is None else "", table)
        known = names & sdl.root_fields.get(kind, {}).keys()
        column, references = self._tenant_column(), self._references(app)
        return index_schema(sdl, roots={kind: known}, tenant_column=column, references=references)

    def _compiled(self, app: str) -> list[SchemaIndex]:
        """Indexes of imported packages that may know an app's tables, the app's own first."""
        registered = registered_facts()
        if app in registered:
            return [registered[app].index()]
        apps = [facts for name, facts in registered.items() if name]
        if len(apps) == 1 and app and app == _text(self._client.settings.app_id):
            return [apps[0].index(app)]
        return []

    def _references(self, app: str) -> dict[str, Mapping[str, Reference]]:
        """Table -> its foreign keys as imported packages declare them: the server's schema doesn't tell."""
        indexes = [*(facts.index() for facts in registered_facts().values()), *self._compiled(app)]
        return {name: table.references for index in indexes for name, table in index.tables.items() if table.references}

    def _tenant_column(self) -> str:
        """The column that the imported packages were generated with, when they agree on one."""
        columns = {facts.index().tenant_column for facts in registered_facts().values()}
        column = columns.pop() if len(columns) == 1 else None
        return column if column is not None else "organization_id"

    async def _schema(self, app: str, table: str) -> Sdl:
        """The target's schema. Asked once, also when several tasks or threads need it at the same time."""
        while True:
            with self._lock:
                future = self._schemas.get(app)
                if future is None:
                    future = self._schemas[app] = Future()
                    break
            try:
                return await asyncio.shield(asyncio.wrap_future(future))
            except _Abandoned:
                continue
        try:
            sdl = await self._introspect(app, table)
        except BaseException as error:
            with self._lock:
                del self._schemas[app]
            future.set_exception(error if isinstance(error, Exception) else _Abandoned())
            raise
        future.set_result(sdl)
        return sdl

    async def _introspect(self, app: str, table: str) -> Sdl:
        from graphql import get_introspection_query

        text = get_introspection_query(descriptions=True, specified_by_url=False)
        reply = await self._client.introspect(introspection(text, "IntrospectionQuery", app, table))
        response = decode_document(reply, "introspection", None, None)
        if response.errors or response.data is None:
            raise graphql_errors([_plain(error) for error in response.errors], None, "introspection")
        return await asyncio.to_thread(_to_sdl, response.data)


AD_HOC: Final = "ad hoc"


class _Unreadable(Exception):
    """A document that is not GraphQL, or has no operation to run; `error` says so in the server's manner."""

    def __init__(self, message: str, locations: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.error = GraphQLError(message, {"code": "validation-failed", "path": "$"}, locations)


class _Abandoned(Exception):
    """The task that asked for the schema was cancelled; another one asks again."""


def _to_sdl(introspected: dict[str, Any]) -> Sdl:
    from graphql import build_client_schema, print_schema

    from automio.dialect.sdl import Sdl

    schema = build_client_schema(introspected, assume_valid=True)  # pyright: ignore[reportArgumentType]
    return Sdl.read([("introspection", print_schema(schema))])


def _parse(text: str) -> DocumentNode:
    from graphql import GraphQLSyntaxError, parse

    try:
        return parse(text)
    except GraphQLSyntaxError as error:
        locations = tuple({"line": place.line, "column": place.column} for place in error.locations or ())
        raise _Unreadable(error.message, locations) from None
    except RecursionError:
        raise _Unreadable("the document is nested too deeply") from None


def _roots(document: DocumentNode, operation_name: str | None, *, strict: bool) -> tuple[OperationKind, frozenset[str]]:
    """The kind of the operation that will run and its root fields. Not strict: an unclear choice is left to the server."""
    from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation_name is not None:
        operations = [node for node in operations if node.name is not None and node.name.value == operation_name]
    if len(operations) != 1:
        if not strict:
            return "mutation", frozenset()
        what = f"no operation named {operation_name!r}" if operation_name is not None else "not exactly one operation"
        raise _Unreadable(f"the document has {what}")
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: set[str] = set()
    seen: set[str] = set()

    def walk(selections: SelectionSetNode) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                found.add(node.name.value)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in fragments and name not in seen:
                    seen.add(name)
                    walk(fragments[name].selection_set)
            else:
                walk(node.selection_set)  # pyright: ignore[reportAttributeAccessIssue]

    walk(operations[0].selection_set)
    kind: OperationKind = operations[0].operation.value
    return kind, frozenset(found)


def _place(roots: frozenset[str]) -> tuple[str, str]:
    """The app and table that the names of root fields speak of: only what the gateway's address needs, no rule rests on it."""
    for name in sorted(roots):
        if found := _APP.search(name):
            return found[1], _SUFFIX.sub("", found[2])
    return "", ""


def _text(app_id: int | None) -> str:
    return "" if app_id is None else str(app_id)


def _plain(error: GraphQLError) -> dict[str, Any]:
    plain: dict[str, Any] = {"message": error.message, "extensions": dict(error.extensions)}
    if error.locations:
        plain["locations"] = list(error.locations)
    if error.path:
        plain["path"] = list(error.path)
    return plain
