"""The shapes that openapi.py names: JSON Schema of what the local platform takes and answers. Data alone.

An answer's shape lists what published clients read and says `required` for what they cannot do without; a client must bear
more keys, so no answer forbids them. A request's shape says what is looked at; what else a client sends is not.
"""

from __future__ import annotations

from typing import Any, Final

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
INTEGER: Final[Shape] = {"type": "integer"}
BOOLEAN: Final[Shape] = {"type": "boolean"}
ANYTHING: Final[Shape] = {}
APP: Final[Shape] = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999_999}
KEY: Final[Shape] = {"type": "string", "minLength": 1, "maxLength": 1024, "description": "At most 1024 bytes of UTF-8."}
CAPABILITIES: Final[Shape] = {"type": "array", "items": TEXT}
METHOD: Final[Shape] = {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]}
_TTL: Final[Shape] = {
    "type": ["number", "null"],
    "exclusiveMinimum": 0,
    "maximum": 315_360_000,
    "description": "Seconds.",
}
_PARAMETER: Final[Shape] = {"type": ["string", "number", "boolean", "null"]}
_PARAMETERS: Final[Shape] = {
    "type": ["object", "null"],
    "additionalProperties": {**_PARAMETER, "type": [*_PARAMETER["type"], "array"], "items": _PARAMETER},
}
_REFERENCE: Final[Shape] = {"type": ["integer", "string", "null"]}
_ENDPOINT: Final[Shape] = {
    "type": "string",
    "description": "A path below the integration's base URL; `{name}` stands for url_params.name. No `.` or `..`.",
}


def nullable(kind: str) -> Shape:
    """The type, or null."""
    return {"type": [kind, "null"]}


def several(items: Shape) -> Shape:
    """A list of these."""
    return {"type": "array", "items": items}


def fields(required: str = "", /, **properties: Shape) -> Shape:
    """An object; `required` names keys, parted by spaces, "*" all of them."""
    names = list(properties) if required == "*" else required.split()
    return {"type": "object", "properties": properties, **({"required": names} if names else {})}


def named(name: str) -> Shape:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


_GRAPHQL = fields("query", query=TEXT, variables=nullable("object"), operationName=nullable("string"))
_CALL = {
    "method": METHOD,
    "endpoint": _ENDPOINT,
    "request_headers": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number"]}},
    "request_params": _PARAMETERS,
}
_ITEM = {"params": _PARAMETERS, "data": ANYTHING, "url_params": nullable("object")}
_ANSWERED = {
    "api_data": ANYTHING,
    "api_response": fields("*", status_code=INTEGER, text=TEXT, headers=nullable("object"), url=TEXT, ok=BOOLEAN),
}
_PAGE = {"count": INTEGER, "next": nullable("string"), "previous": nullable("string")}

SCHEMAS: Final[dict[str, Shape]] = {
    # Refusals.
    "Detail": fields("detail", detail=TEXT),
    "Refused": {"anyOf": [fields("error", error=TEXT), fields("detail", detail=TEXT)]},
    "AdminRefused": fields("path error code", path=TEXT, error=TEXT, code=TEXT, internal=ANYTHING),
    # GraphQL.
    "GraphQLRequest": _GRAPHQL,
    "GraphQLAnswer": {
        **fields(
            data=nullable("object"),
            errors=several(fields("message", message=TEXT, extensions=fields(path=TEXT, code=TEXT))),
            extensions=nullable("object"),
        ),
        "minProperties": 1,
    },
    "GraphQLRequests": {"anyOf": [named("GraphQLRequest"), several(named("GraphQLRequest"))]},
    "GraphQLAnswers": {"anyOf": [named("GraphQLAnswer"), several(named("GraphQLAnswer"))]},
    "AdminRequest": fields("type", type=TEXT, args=ANYTHING, version=ANYTHING),
    # Integrations.
    "Integration": fields(
        "integration_id name version connected_accounts",
        integration_id={"type": "string", "maxLength": 100},
        name={"type": "string", "maxLength": 150},
        version={"type": "string", "maxLength": 10},
        connected_accounts=several(INTEGER),
        activated=BOOLEAN,
    ),
    "Integrations": fields("*", **_PAGE, results=several(named("Integration"))),
    "Connection": fields("*", id=INTEGER, name=TEXT),
    "Call": fields("method endpoint", **_CALL, url_params=nullable("object"), data=ANYTHING),
    "CallForm": fields(
        "method endpoint",
        method=METHOD,
        endpoint=_ENDPOINT,
        request_headers={"type": "string", "description": "JSON text, as the next three."},
        request_params=TEXT,
        url_params=TEXT,
        data=TEXT,
        file={"type": "string", "format": "binary", "description": "Files, under any names."},
    ),
    "ParallelCall": fields(
        "method endpoint data_list",
        **_CALL,
        data_list=several(fields(**_ITEM, connection_id=_REFERENCE, organization_id=_REFERENCE)),
        streaming={**BOOLEAN, "description": "true: a line for each answer, in order of completion."},
    ),
    "ConnectionCall": fields("method endpoint data_list", **_CALL, data_list=several(fields(**_ITEM))),
    "Answered": fields(
        "api_data api_response connection_id",
        **_ANSWERED,
        connection_id=INTEGER,
        organization_id=INTEGER,
        api_data_encoding={"const": "base64"},
    ),
    "AllAnswered": fields(
        "*", responses=several(named("Answered")), connections_used={"type": "object", "additionalProperties": INTEGER}
    ),
    "ConnectionAnswered": fields("*", responses=several(named("Answered")), connection_id=nullable("string")),
    # Plugins.
    "EnabledPlugins": several(fields("*", id=TEXT, connection_ids=several(INTEGER))),
    "Plugin": fields(
        "*",
        id=INTEGER,
        organization=INTEGER,
        plugin_interface=fields("*", id=INTEGER, namespace=TEXT, title=TEXT),
        integration=fields("*", name=TEXT, icon=nullable("string"), integration_id=TEXT),
        implemented_capabilities=CAPABILITIES,
        capabilities=CAPABILITIES,
        is_enabled=BOOLEAN,
        is_official=BOOLEAN,
        is_mine=BOOLEAN,
        is_visible=BOOLEAN,
        code=TEXT,
    ),
    "Plugins": fields("*", **_PAGE, results=several(named("Plugin"))),
    "Code": fields("namespace code", namespace=TEXT, integration=TEXT, code=TEXT),
    # Cache and tasks.
    "Value": fields("*", key=TEXT, value=ANYTHING, exists=BOOLEAN, ttl=nullable("integer")),
    "SetValue": fields(
        "key value",
        key=KEY,
        value=ANYTHING,
        ttl=_TTL,
        action={"description": "Accepted, not looked at."},
        tags={"type": ["array", "null"], "items": KEY},
        if_absent={**BOOLEAN, "description": "Only where there is none yet, and without tags."},
    ),
    "ValueSet": fields(
        "success key message ttl",
        success=BOOLEAN,
        key=TEXT,
        message=TEXT,
        ttl=nullable("number"),
        tags=several(TEXT),
        created=BOOLEAN,
    ),
    "Deleted": fields("*", success=BOOLEAN, key=TEXT, message=TEXT, deleted=BOOLEAN),
    "TagDeleted": fields("*", success=BOOLEAN, deleted=INTEGER),
    "Increment": fields("key", key=KEY, by={"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, ttl=_TTL),
    "Incremented": fields("*", success=BOOLEAN, value=INTEGER),
    "Progress": fields(
        "progress",
        progress={"type": "integer", "minimum": 0, "maximum": 100},
        info={"type": "string", "maxLength": 10_000},
        status={"enum": ["pending", "in_progress", "completed", "failed"]},
    ),
    "ProgressSet": fields("*", success=BOOLEAN, message=TEXT, task_id=TEXT, progress=INTEGER, info=TEXT, status=TEXT),
    "ProgressNow": fields("*", task_id=TEXT, progress=INTEGER, info=TEXT, status=TEXT),
    # Notifications.
    "Notification": fields(
        "subject text",
        subject={"type": "string", "minLength": 1, "maxLength": 500},
        text={"type": "string", "maxLength": 1_000_000},
        html=nullable("string"),
    ),
    "NotificationSent": fields("*", success=BOOLEAN, id=TEXT),
    "Inbox": fields(
        "*",
        count=INTEGER,
        results=several(
            fields(
                "*",
                id=TEXT,
                subject=nullable("string"),
                date=nullable("string"),
                text=nullable("string"),
                html=nullable("string"),
            )
        ),
    ),
    "Health": fields("status", status=TEXT),
}
