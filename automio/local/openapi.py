"""The local platform's endpoints as OpenAPI 3.1. Answers GET /openapi.json (platform.py) and `automio export openapi`.

A row for each endpoint, in the order of the routing tables (platform.py, companions.py, integrations.py);
tests/local/test_openapi.py compares the two both ways, and sends generated requests to a running platform by what is said
here. Shapes: openapi_shapes.py. What OpenAPI has no words for:

- Every path also works below /api (the second of `servers`), and without the slash at its end.
- The rest of a path after /get/, /delete/, /delete-tag/ and /set-progress/ is one key, with or without %2F for its slashes.
- GET answers HEAD. The two GraphQL addresses and the gateway also take WebSockets.
- /call/ answers with the provider's own status, so any status can come: `default` is the same envelope.
- X-Action-Type, X-Action-Id, X-Task-Id, X-Organization-Id, X-Automio-… of newer clients are accepted and not looked at.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from automio.local.openapi_shapes import ANYTHING, APP, KEY, SCHEMAS, TEXT, Shape, named, several

JSON: Final = "application/json"
_DETAIL, _REFUSED, _ADMIN = named("Detail"), named("Refused"), named("AdminRefused")
_SECURITY: Final = {
    "appToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`App-Token <token>`, one of platform.toml's; it stands for one organization and its apps.",
    },
    "bearerToken": {"type": "http", "scheme": "bearer", "description": "The same token, as cache clients send it."},
    "adminSecret": {
        "type": "apiKey",
        "in": "header",
        "name": "x-hasura-admin-secret",
        "description": "Where platform.toml sets one; without, this machine's own programs and pages may ask.",
    },
}
_TOKEN: Final = [{"appToken": []}]
_EITHER: Final = [{"appToken": []}, {"bearerToken": []}]
_SECRET: Final = [{"adminSecret": []}]
_WORDS: Final = {
    200: "Done.",
    400: "The request is not one of these.",
    401: "No token, or none of platform.toml's.",
    403: "Not the token's to use.",
    404: "There is no such thing for this token.",
    413: "Larger than [server] max_body_bytes.",
    415: "A compressed body is not read.",
    422: "The Idempotency-Key came with another request before.",
    503: "The cache's server is not reached.",
}


def _parameter(name: str, schema: Shape, where: str = "query", *, required: bool = False, text: str = "") -> Shape:
    found: Shape = {"name": name, "in": where, "schema": schema, "required": required or where == "path"}
    return {**found, "description": text} if text else found


def _answer(status: int | str, schema: Shape, kind: str = JSON) -> Shape:
    words = _WORDS.get(status) if isinstance(status, int) else None
    return {"description": words or "Refused, or the provider's.", "content": {kind: {"schema": schema}}}


def _operation(
    name: str,
    summary: str,
    answer: Shape,
    *parameters: Shape,
    security: list[dict[str, list[str]]] = _EITHER,
    body: str = "",
    form: str = "",
    refusal: Shape = _DETAIL,
    refused: tuple[int, ...] = (),
    more: dict[str, Shape] | None = None,
    links: Shape | None = None,
) -> Shape:
    """An operation; `answer` is the shape of the 200's JSON, `more` its other content. Without a token it is refused: 401."""
    by_kind = {JSON: {"schema": answer}, **(more or {})}
    statuses = {*refused, *((401,) if security else ()), *((400, 413, 415) if body else ())}
    responses: Shape = {"200": {"description": _WORDS[200], "content": by_kind, **({"links": links} if links else {})}}
    responses |= {str(status): _answer(status, refusal) for status in sorted(statuses)}
    found: Shape = {"operationId": name, "summary": summary, "security": security, "responses": responses}
    if parameters:
        found["parameters"] = list(parameters)
    if body:
        content = {JSON: {"schema": named(body)}}
        content |= {"multipart/form-data": {"schema": named(form)}} if form else {}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _linked(operation: str, parameter: str, expression: str) -> Shape:
    return {operation: {"operationId": operation, "parameters": {parameter: expression}}}


# Parameters.

_NUMBER: Final[Shape] = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
_PAGES = (_parameter("page", _NUMBER), _parameter("per_page", _NUMBER, text="At most 100 are given."))
_FEW = (_parameter("page", _NUMBER), _parameter("per_page", {**_NUMBER, "maximum": 100}))
_GATEWAY = (
    _parameter("app", APP, required=True),
    _parameter("table", TEXT, text="Not needed: the document says which tables it uses."),
)
_CACHE = (
    _parameter("cache_type", {"enum": ["app", "org"], "default": "app"}),
    _parameter("app_id", APP, text="Needed where the token opens several apps."),
    _parameter("task_id", TEXT, text="Not looked at."),
    _parameter("action_id", TEXT, text="Not looked at."),
)
_INTEGRATION = _parameter("integration_id", {"type": "string", "minLength": 1, "maxLength": 100}, "path")
_APP_HEADER = _parameter("X-App-Id", TEXT, "header", text="Which of the token's apps: it decides about grants.")
_CONNECTION = (
    _parameter("connection_id", TEXT, text="Its id or its name; the organization's first where absent."),
    _parameter("organization_id", TEXT),
)
_CALLING = (
    _INTEGRATION,
    *_CONNECTION,
    _parameter("table", TEXT, text="Not looked at."),
    _APP_HEADER,
    _parameter("Idempotency-Key", TEXT, "header", text="Writes that come again with it are answered, not repeated."),
)
_ONE = (_INTEGRATION, _CONNECTION[0])
_NAMESPACE = _parameter("namespace", {"type": "string", "minLength": 1}, "path")
_TASK = _parameter("task_id", KEY, "path")
_KEY = _parameter("key", KEY, "path")
_STREAM: Final = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "`data: ` and JSON, a line each: {index, total, connection_id, organization_id, response}, then {completed, total_processed}. Charset UTF-8.",
        }
    },
}


def _hasura(name: str, summary: str, *refused: int) -> Shape:
    found = _operation(name, summary, named("GraphQLAnswers"), security=_SECRET, body="GraphQLRequests")
    answers = ("200", "400", "413", "415", *map(str, refused))
    found["responses"] = {status: _answer(int(status), named("GraphQLAnswers")) for status in answers}
    return found


def _admin(name: str) -> Shape:
    summary = "Metadata and run_sql, in Hasura's words."
    return _operation(name, summary, ANYTHING, security=_SECRET, body="AdminRequest", refusal=_ADMIN, refused=(403,))


def _cached(
    name: str, summary: str, answer: str, *parameters: Shape, body: str = "", links: Shape | None = None
) -> Shape:
    refused = (400, 403, 503)
    return _operation(name, summary, named(answer), *parameters, *_CACHE, body=body, refused=refused, links=links)


def _plugins(name: str, summary: str, answer: str, *parameters: Shape) -> Shape:
    return _operation(name, summary, named(answer), *parameters, refused=(400, 404))


def _integrations(name: str, summary: str, answer: str | Shape, *parameters: Shape) -> Shape:
    shape = named(answer) if isinstance(answer, str) else answer
    return _operation(name, summary, shape, *parameters, _APP_HEADER, security=_TOKEN, refused=(400, 403, 404))


def _call(
    name: str, summary: str, answer: str, body: str, form: str = "", more: dict[str, Shape] | None = None
) -> Shape:
    refused = (403, 404, 422)
    return _operation(
        name, summary, named(answer), *_CALLING, security=_TOKEN, body=body, form=form, refused=refused, more=more
    )


def _mirrored(operation: Shape) -> Shape:
    """/call/: any status, with JSON in the envelope or the provider's bytes."""
    either = {"schema": {"anyOf": [named("Answered"), _DETAIL]}}
    answers = operation["responses"]
    for status in answers.keys() - {"200"}:
        answers[status]["content"] = {JSON: either}
    answers["200"]["content"]["*/*"] = {"schema": ANYTHING}
    answers["default"] = {"description": "The provider's status.", "content": {JSON: either}}
    return operation


PATHS: Final[dict[str, Shape]] = {
    # platform.py
    "/apps/graphql/": {
        "post": _operation(
            "tables",
            "An organization's rows of one app. GraphQL's errors come with 200.",
            named("GraphQLAnswer"),
            *_GATEWAY,
            security=_TOKEN,
            body="GraphQLRequest",
            refusal=_REFUSED,
            refused=(403, 404),
        )
    },
    "/v1/graphql": {
        "post": _hasura(
            "graphql", "Hasura's endpoint: every organization's rows, by role. Refusals come with 200, too."
        )
    },
    "/v1alpha1/graphql": {"post": _hasura("graphqlAlpha", "The older one: what failed comes with 400.", 400)},
    "/v1/metadata": {"post": _admin("metadata")},
    "/v2/query": {"post": _admin("query")},
    "/v1/query": {"post": _admin("queryV1")},
    "/healthz": {
        "get": {
            "operationId": "health",
            "summary": "Whether the database answers.",
            "security": [],
            "responses": {"200": _answer(200, named("Health")), "503": _answer(503, named("Health"))},
        }
    },
    "/openapi.json": {
        "get": _operation(
            "description",
            "This text.",
            {"type": "object", "required": ["openapi", "paths"]},
            security=[*_EITHER, *_SECRET],
            refusal=_REFUSED,
        )
    },
    "/": {
        "get": {
            "operationId": "page",
            "summary": "What is served, for people.",
            "security": [],
            "responses": {"200": _answer(200, TEXT, "text/html")},
        }
    },
    # companions.py
    "/get/{key}/": {"get": _cached("getValue", "A value of the cache.", "Value", _KEY)},
    "/set/": {
        "post": _cached(
            "setValue",
            "Keep a value.",
            "ValueSet",
            body="SetValue",
            links=_linked("getValue", "key", "$request.body#/key")
            | _linked("deleteValue", "key", "$request.body#/key"),
        )
    },
    "/delete/{key}/": {"delete": _cached("deleteValue", "Forget a value.", "Deleted", _KEY)},
    "/increment/": {"post": _cached("increment", "Count up or down.", "Incremented", body="Increment")},
    "/delete-tag/{tag}/": {
        "delete": _cached("deleteTag", "Forget what was set with a tag.", "TagDeleted", _parameter("tag", KEY, "path"))
    },
    "/set-progress/{task_id}/": {
        "post": _operation(
            "setProgress",
            "Report on a task.",
            named("ProgressSet"),
            _TASK,
            body="Progress",
            refused=(503,),
            links=_linked("getProgress", "task_id", "$request.path.task_id"),
        ),
        "get": _operation("getProgress", "The last report.", named("ProgressNow"), _TASK, refused=(400, 404, 503)),
    },
    "/integrations/mailer/notify-me/": {
        "post": _operation("notifyMe", "A message to the organization.", named("NotificationSent"), body="Notification")
    },
    "/notifications/": {"get": _operation("notifications", "The last messages, newest first.", named("Inbox"))},
    "/plugins/plugins/get_list/{namespace}/": {
        "get": _plugins("enabledPlugins", "The enabled plugins of an interface.", "EnabledPlugins", _NAMESPACE)
    },
    "/plugins/plugins/code/{namespace}/{integration_id}/": {
        "get": _plugins("pluginCode", "A plugin's code.", "Code", _NAMESPACE, _INTEGRATION)
    },
    "/plugins/plugin-interfaces/{namespace}/plugins/": {
        "get": _plugins("plugins", "The organization's plugins of an interface.", "Plugins", _NAMESPACE, *_FEW)
    },
    "/plugins/plugin-interfaces/{namespace}/code/": {
        "get": _plugins("interfaceCode", "An interface's shared code.", "Code", _NAMESPACE)
    },
    # integrations.py
    "/integrations/": {"get": _integrations("integrations", "What can be called.", "Integrations", *_PAGES)},
    "/integrations/{integration_id}/": {
        "get": _integrations("integration", "One, with the connections of the organization.", "Integration", *_ONE)
    },
    "/integrations/{integration_id}/get_connections/": {
        "get": _integrations(
            "connections", "The organization's connections.", several(named("Connection")), _INTEGRATION
        )
    },
    "/integrations/{integration_id}/table_connections/": {
        "get": _integrations(
            "tableConnections",
            "The connections that an app may use, by organization.",
            {"type": "object", "additionalProperties": several(named("Connection"))},
            _INTEGRATION,
            _parameter("app_id", APP, required=True),
            _parameter("table", TEXT, text="Not looked at."),
        )
    },
    "/integrations/{integration_id}/call/": {
        "post": _mirrored(_call("call", "One call.", "Answered", "Call", "CallForm"))
    },
    "/integrations/{integration_id}/parallel_call/": {
        "post": _call(
            "parallelCall",
            "Calls, answered in the order of data_list or streamed.",
            "AllAnswered",
            "ParallelCall",
            more=_STREAM,
        )
    },
    "/integrations/{integration_id}/parallel_call_for_connection/": {
        "post": _call("parallelCallForConnection", "Calls of one connection.", "ConnectionAnswered", "ConnectionCall")
    },
}


def description() -> Shape:
    """The whole text, as a JSON value."""
    try:
        ours = version("automio")
    except PackageNotFoundError:
        ours = "0"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "automio, local platform",
            "version": ours,
            "description": (__doc__ or "").partition("\n\n")[2],
        },
        "servers": [{"url": "/"}, {"url": "/api"}],
        "paths": PATHS,
        "components": {"schemas": SCHEMAS, "securitySchemes": _SECURITY},
    }
