"""PlatformConfig + Engine -> the ASGI app of the local platform. Next: server.py, which runs it.

| request                                   | who                       | answer                                            |
|-------------------------------------------|---------------------------|---------------------------------------------------|
| POST [/api]/apps/graphql/?app=&table=     | `Authorization: App-Token`| the gateway: bound to the token's organization    |
| POST /v1/graphql                          | admin secret, if one is set | Hasura's endpoint, the admin's: every organization |
| the same two, as WebSockets               | in connection_init        | queries, mutations, subscriptions: websocket.py   |
| POST /v1/metadata, /v2/query, /v1/query   | the same                  | metadata and `run_sql` (hasura.py)                |
| cache, tasks, notifications, plugins      | App-Token or Bearer       | the token's organization's: companions.py         |
| [/api]/integrations/…                     | `Authorization: App-Token`| calls to providers: integrations.py               |
| GET /openapi.json                         | any of these              | all of it, described: openapi.py                  |
| GET /, /healthz                           | anybody                   | what is served; that the database answers         |

Written on ASGI itself: between the socket and the engine stand a dictionary look-up for the route, one for the token and
one for the document's root fields. The engine's bytes go out as they came.

The gateway's rules:
- 401 without a token that platform.toml knows, 404 for an app that no token opens, 403 for an app that this one does not
  open, 400 for a body that is not a GraphQL request. Everything that GraphQL says, errors too, comes with exactly 200:
  published clients decode nothing else.
- The organization is the token's and goes into the Caller; nothing that the client sends can name another one.
- Through app 130 only app 130's tables can be used: each root field of every operation in the document must be named as
  Hasura names the fields of `app_130_…` tables (a query `app_130_…`, a mutation `<verb>_app_130_…`) or be introspection.
  The names are read by graphql-core once per document text. What it cannot parse is refused here: the engine uses the
  same parser, and a document that only one of the two understands must not pass. Relationships may lead to a table of
  another app, within the organization: whoever declared that foreign key made the two apps one.
- `table` is accepted and not needed: the document says which tables it uses.

A browser page from elsewhere can post to a port on this machine. The gateway needs a token, which such a page doesn't have;
the admin's endpoints, when no secret is set, refuse a request whose Origin is not this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache, partial
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from automio.errors import AutomioError, EngineError
from automio.local.callers import NotACaller, caller_of
from automio.local.companions import Companions
from automio.local.config import PlatformConfig, Token
from automio.local.hasura import ADMIN as QUERIES
from automio.local.hasura import GRAPHQL as HASURA
from automio.local.hasura import LEGACY, answer_admin, answer_graphql
from automio.local.requests import Gone, Request, WrongMethod, allow, number, read_body

if TYPE_CHECKING:
    from automio.engine.engine import Caller, Engine
    from automio.local.integrations import IntegrationEndpoints
    from automio.local.websocket import Admitted

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]

GATEWAY = "/apps/graphql"
_JSON = b"application/json; charset=utf-8"
_HTML = b"text/html; charset=utf-8"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_INTROSPECTION = frozenset({"__schema", "__type", "__typename"})
_EITHER = (b"app-token", b"bearer")
_VERBS = ("insert_", "update_", "delete_")


class Refused(Exception):
    """An answer that ends the request: its status and JSON body; for a 405, the methods that would do."""

    def __init__(self, status: int, body: Mapping[str, Any], allow: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.allow = allow

    @property
    def text(self) -> str:
        """What the body says."""
        errors = self.body.get("errors")
        return str(errors[0]["message"] if errors else self.body.get("error", self.body.get("detail", "")))


class Platform:
    """The ASGI app. It holds no connection of its own: the engine is given, open, and closed by whoever opened it."""

    def __init__(self, config: PlatformConfig, engine: Engine) -> None:
        from automio.engine.engine import Caller

        self.config = config
        self.engine = engine
        self.companions = Companions(config, os.environ)
        self.admin = Caller(role="admin", organization=None)
        self.callers: dict[bytes, tuple[Token, Caller]] = {
            _digest(token.token.encode()): (token, Caller(role="admin", organization=token.organization))
            for token in config.tokens
        }
        self.integrations: IntegrationEndpoints | None = None
        self.routes: dict[str, tuple[str, Callable[[Scope, Receive], Awaitable[tuple[int, bytes, bytes]]]]] = {
            GATEWAY: ("POST", self._gateway),
            HASURA: ("POST", self._hasura),
            LEGACY: ("POST", self._hasura),
            "/openapi.json": ("GET", self._description),
            "/healthz": ("GET", self._health),
            "/": ("GET", self._page),
            **dict.fromkeys(QUERIES, ("POST", self._query)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            from automio.local.websocket import serve_socket

            await serve_socket(self, scope, receive, send)

    def refuses(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text for a WebSocket that isn't accepted at all (websocket.py)."""
        plain = _plain(scope["path"])
        if plain not in (GATEWAY, HASURA, LEGACY):
            return 404, f"no WebSocket is served at {scope['path']}"
        if plain != GATEWAY and self.config.admin_secret is None:
            try:
                self._admit_admin(dict(scope["headers"]), 200)
            except Refused:
                return 403, "a page from elsewhere may not use an endpoint without admin secret"
        return None

    def admit(self, scope: Scope, headers: Headers) -> Admitted:
        """Whom a WebSocket speaks for, with the rules of HTTP. Raises NotAdmitted."""
        from automio.local.websocket import Admitted, NotAdmitted

        try:
            if _plain(scope["path"]) != GATEWAY:
                return Admitted(self._hasura_caller(headers), lambda query: None)
            token, caller = self._token(headers)
            app = self._app(scope["query_string"], token)
            return Admitted(caller, lambda query: _foreign_field(query, app))
        except Refused as refused:
            raise NotAdmitted(refused.text) from None

    def failure(self, error: Exception) -> Mapping[str, Any]:
        """The GraphQL answer when something broke inside."""
        return _failure(error, HASURA)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        plain = _plain(path)
        more: list[tuple[bytes, bytes]] = []
        companion = plain not in self.routes and self.companions.serves(_raw_path(scope))
        if not companion and f"{plain}/".startswith("/integrations/"):
            await self._integrations(plain, scope, receive, send)
            return
        try:
            allowed, handler = self.routes.get(plain, ("", None))
            if companion:
                allowed, handler = scope["method"], partial(self._companion, _raw_path(scope))
            if handler is None:
                raise Refused(404, {"error": f"nothing is served at {path}; GET / lists what is"})
            if scope["method"] != allowed and not (scope["method"] == "HEAD" and allowed == "GET"):
                raise Refused(405, {"error": f"{path} answers {allowed} alone"}, allow(allowed))
            status, content_type, body = await handler(scope, receive)
        except Refused as refusal:
            status, content_type, body = refusal.status, _JSON, _dump(refusal.body)
            more = _more(refusal.status, refusal.allow)
        except Gone:
            return
        except Exception as error:
            status, content_type, body = 500, _JSON, _dump(_failure(error, plain))
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _integrations(self, plain: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            token, _ = self._token(dict(scope["headers"]))
            if self.integrations is None:
                from automio.local.integrations import IntegrationEndpoints

                self.integrations = IntegrationEndpoints(self.config)
        except Refused as refusal:
            body = _dump({"detail": refusal.body["error"]})
            headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(body)), *_more(refusal.status)]
            await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
            return
        await self.integrations.serve(plain, token, scope, receive, send)

    async def _gateway(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        token, caller = self._token(headers)
        app = self._app(scope["query_string"], token)
        body = _gateway_body(await self._json(headers, receive, _gateway_refusal))
        foreign = _foreign_field(body["query"], app)
        if foreign is not None:
            return 200, _JSON, _dump(foreign)
        return 200, _JSON, await self.engine.execute(caller, body)

    async def _hasura(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        caller = self._hasura_caller(headers)
        body = await self._json(headers, receive, _hasura_refusal, batch=True)
        status, answer = await answer_graphql(self.engine, caller, body, _plain(scope["path"]))
        return status, _JSON, answer

    async def _query(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        self._admit_admin(headers, 401)
        if headers.get(b"x-hasura-role", b"admin") != b"admin":
            body = {"path": "$.args", "error": "restricted access : admin only", "code": "access-denied"}
            raise Refused(400, body)
        status, answer = await answer_admin(self.engine, await self._json(headers, receive, _query_refusal))
        return status, _JSON, answer

    async def _companion(self, path: str, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        try:
            token, _ = self._token(headers, _EITHER)
        except Refused as refused:
            raise Refused(refused.status, {"detail": refused.text}) from None

        async def read() -> dict[str, Any]:
            return await self._json(headers, receive, _companion_refusal)

        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        request = Request(method, path, query, token.organization, token.apps, read)
        try:
            status, value = await self.companions.answer(request)
        except WrongMethod as wrong:
            raise Refused(
                405, {"detail": f"this address answers {wrong.methods} alone"}, allow(wrong.methods)
            ) from None
        return status, _JSON, json.dumps(value, separators=(",", ":")).encode()

    async def close(self) -> None:
        """Close what was opened for requests: connections to providers and the cache. The engine is not ours."""
        if self.integrations is not None:
            await self.integrations.close()
        await self.companions.close()

    async def _health(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        try:
            await self.engine.ping()
        except EngineError:
            return 503, _JSON, b'{"status":"the database does not answer"}'
        return 200, _JSON, b'{"status":"ok"}'

    async def _description(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        if self.config.admin_secret is not None and b"x-hasura-admin-secret" in headers:
            self._admit_admin(headers, 401)
        else:
            self._token(headers, _EITHER)
        from automio.local.openapi import description

        return 200, _JSON, _dump(description())

    async def _page(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        return 200, _HTML, page(self.config).encode()

    def _token(self, headers: Headers, schemes: tuple[bytes, ...] = (b"app-token",)) -> tuple[Token, Caller]:
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() not in schemes:
            raise Refused(401, {"error": "a token is needed: Authorization: App-Token <token>"})
        found = self.callers.get(_digest(secret.strip()))
        if found is None:
            raise Refused(401, {"error": "this token is not one of platform.toml's"})
        return found

    def _app(self, query_string: bytes, token: Token) -> int:
        value = _app_parameter(query_string)
        if value is None:
            raise Refused(400, {"error": "the query parameter `app` is needed once: ?app=<APP_ID>&table=<name>"})
        app = number(value)
        if app is None or app not in self.config.apps:
            raise Refused(
                404, {"error": f"no app {value[:100]!r} here; platform.toml says which token opens which app"}
            )
        if app not in token.apps:
            raise Refused(403, {"detail": f"this token does not open app {app}"})
        return app

    def _admit_admin(self, headers: Headers, status: int) -> None:
        """The admin's endpoints: the secret when one is set, else this machine's own pages and programs alone."""
        if self.config.admin_secret is None:
            origin = headers.get(b"origin")
            if origin is not None and urlsplit(origin.decode("latin-1")).hostname not in _LOOPBACK:
                raise _hasura_refusal(
                    403, "access-denied", "a page from elsewhere may not use an endpoint without admin secret"
                )
        else:
            given = headers.get(b"x-hasura-admin-secret", headers.get(b"x-hasura-access-key"))
            refusal = _hasura_refusal if status == 200 else _query_refusal
            if given is None:
                raise refusal(
                    status, "access-denied", "x-hasura-admin-secret/x-hasura-access-key required, but not found"
                )
            if _digest(given) != _digest(self.config.admin_secret.encode()):
                raise refusal(status, "access-denied", "invalid x-hasura-admin-secret/x-hasura-access-key")

    def _hasura_caller(self, headers: Headers) -> Caller:
        """Who asks at Hasura's endpoint (callers.py); without an admin secret only this machine's own pages and programs may."""
        if self.config.admin_secret is None:
            self._admit_admin(headers, 200)
        try:
            return caller_of(headers, self.config.admin_secret, self.config.unauthorized_role)
        except NotACaller as refused:
            raise _hasura_refusal(200, refused.code, refused.message) from None

    async def _json(
        self, headers: Headers, receive: Receive, refusal: Callable[[int, str, str], Refused], *, batch: bool = False
    ) -> Any:
        """The body: one JSON object, or (`batch`) a list as well."""
        limit = self.config.max_body_bytes
        if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
            raise refusal(415, "bad-request", "a compressed body is not read here")
        length = headers.get(b"content-length", b"0")
        body = None if length.isdigit() and int(length) > limit else await read_body(receive, limit)
        if body is None:
            raise refusal(413, "bad-request", f"the body is larger than {limit} bytes ([server] max_body_bytes)")
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as exc:
            reason = f"{exc}" if isinstance(exc, json.JSONDecodeError) else "it is nested too deep or is not UTF-8"
            raise refusal(400, "invalid-json", f"the body is not JSON: {reason}") from exc
        if not isinstance(value, dict) and not (batch and isinstance(value, list)):
            raise refusal(400, "parse-failed", "the body must be one JSON object")
        return value


def _plain(path: str) -> str:
    """The path without the prefix /api and without a slash at its end: both generations of clients find the same."""
    return (path.removeprefix("/api") if path.startswith("/api/") else path).rstrip("/") or "/"


def _more(status: int, allow: str = "") -> list[tuple[bytes, bytes]]:
    """What HTTP wants beside a refusal: how to come in, which methods would do."""
    found = [(b"www-authenticate", b"App-Token")] if status == 401 else []
    return [*found, (b"allow", allow.encode())] if allow else found


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def _raw_path(scope: Scope) -> str:
    """The path behind /api as it was sent, percent signs and all."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    return path.removeprefix("/api") if path.startswith("/api/") else path


def _digest(secret: bytes) -> bytes:
    """Secrets are compared by hash, so that the time of a look-up says nothing about them."""
    return hashlib.sha256(secret).digest()


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _gateway_refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"error": message})


def _companion_refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"detail": message})


def _hasura_refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"errors": [{"extensions": {"path": "$", "code": code}, "message": message}]})


def _query_refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"path": "$", "error": message, "code": code})


def _failure(error: Exception, path: str) -> Mapping[str, Any]:
    """The body of a 500. What went wrong inside stays inside; AUTOMIO_DEBUG=1 prints it on the server's stderr."""
    if os.environ.get("AUTOMIO_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    text = str(error) if isinstance(error, AutomioError) else "internal error; start with AUTOMIO_DEBUG=1 to see it"
    if path == GATEWAY:
        return {"error": text}
    return {"errors": [{"extensions": {"path": "$", "code": "unexpected"}, "message": text}]}


def _gateway_body(value: dict[str, Any]) -> dict[str, Any]:
    """The request with exactly the three keys of GraphQL. Raises Refused."""
    query, variables, name = value.get("query"), value.get("variables"), value.get("operationName")
    if not isinstance(query, str):
        raise Refused(400, {"error": "the body needs `query`, a GraphQL document as text"})
    if not isinstance(variables, dict | None):
        raise Refused(400, {"error": "`variables` must be an object or null"})
    if not isinstance(name, str | None):
        raise Refused(400, {"error": "`operationName` must be a text or null"})
    return {"query": query, "variables": variables, "operationName": name}


@lru_cache(maxsize=1024)
def _app_parameter(query_string: bytes) -> str | None:
    values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True).get("app", [])
    return values[0] if len(values) == 1 and values[0] else None


def _foreign_field(query: str, app: int) -> Mapping[str, Any] | None:
    """The GraphQL answer to a document that uses a table outside the app, None when it stays inside."""
    roots = root_fields(query) if len(query) < 20_000 else root_fields.__wrapped__(query)
    if roots is None:
        return _graphql_error("$.query", "not a valid graphql query")
    for operation, name in roots:
        if name not in _INTROSPECTION and not _is_of_app(operation, name, app):
            return _graphql_error(f"$.selectionSet.{name}", f"field '{name}' not found in type: '{operation}_root'")
    return None


def _graphql_error(path: str, message: str) -> Mapping[str, Any]:
    return {"errors": [{"message": message, "extensions": {"path": path, "code": "validation-failed"}}]}


def _is_of_app(operation: str, name: str, app: int) -> bool:
    prefix = f"app_{app}_"
    if operation == "mutation":
        return any(name.startswith(verb + prefix) for verb in _VERBS)
    return name.startswith(prefix)


@lru_cache(maxsize=2048)
def root_fields(query: str) -> tuple[tuple[str, str], ...] | None:
    """(operation kind, name) of every root field of every operation, through fragments; None for what doesn't parse."""
    try:
        document = parse(query, no_location=True)
    except (GraphQLError, RecursionError):
        return None
    return tuple(sorted(_root_fields(document)))


def _root_fields(document: DocumentNode) -> set[tuple[str, str]]:
    fragments: dict[str, list[SelectionSetNode]] = {}  # two of one name are invalid; until that is said, both count
    for node in document.definitions:
        if isinstance(node, FragmentDefinitionNode):
            fragments.setdefault(node.name.value, []).append(node.selection_set)
    found: set[tuple[str, str]] = set()
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        seen: set[str] = set()
        pending: list[SelectionSetNode] = [operation.selection_set]
        while pending:
            for node in pending.pop().selections:
                if isinstance(node, FieldNode):
                    found.add((operation.operation.value, node.name.value))
                elif isinstance(node, FragmentSpreadNode):
                    name = node.name.value
                    if name in fragments and name not in seen:
                        seen.add(name)
                        pending += fragments[name]
                else:
                    pending.append(getattr(node, "selection_set"))  # noqa: B009  an inline fragment
    return found


def page(config: PlatformConfig) -> str:
    """The root page: what is served and where. No token and no secret stands in it."""
    tokens = sorted(config.tokens, key=lambda token: token.organization)
    rows = "\n".join(
        f"<tr><td>{token.organization}</td><td>{escape(', '.join(map(str, sorted(token.apps)))) or 'none'}</td></tr>"
        for token in tokens
    )
    admin = "with the header x-hasura-admin-secret" if config.admin_secret else "no secret is set"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>automio, local platform</title></head>
<body>
<h1>automio, local platform</h1>
<table>
<tr><th align="left">Request</th><th align="left">Serves</th></tr>
<tr><td><code>POST /api{GATEWAY}/?app=&lt;APP_ID&gt;&amp;table=&lt;name&gt;</code></td>
<td>an organization's rows of one app; <code>Authorization: App-Token &lt;token&gt;</code></td></tr>
<tr><td><code>POST {HASURA}</code></td><td>every row, for the admin; {admin}</td></tr>
<tr><td><code>POST {QUERIES[0]}</code>, <code>{QUERIES[1]}</code></td><td>metadata and <code>run_sql</code>, for the admin</td></tr>
<tr><td><code>GET /get/&lt;key&gt;/</code>, <code>POST /set/</code>, …</td>
<td>the cache service (<code>CACHE_SERVICE_URL</code> is this address), task progress, notifications, plugins</td></tr>
<tr><td><code>GET /api/integrations/</code></td>
<td>the HTTP services that calls are passed to, and below it the calls; <code>Authorization: App-Token &lt;token&gt;</code></td></tr>
<tr><td><code>GET /openapi.json</code></td>
<td>all of this as OpenAPI; with a token, or the admin secret; <code>automio export openapi</code> writes it</td></tr>
<tr><td><code>GET /healthz</code></td><td>that this process answers</td></tr>
</table>
<h2>Tokens of platform.toml</h2>
<table>
<tr><th align="left">Organization</th><th align="left">Apps</th></tr>
{rows or '<tr><td colspan="2">none: write [[tokens]] in platform.toml</td></tr>'}
</table>
</body></html>
"""
