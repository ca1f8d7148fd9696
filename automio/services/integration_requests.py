"""Arguments of api.integrations -> what travels. Checked before anything is sent; next: rest.py.

Ids: an integration is its id or an Integration; a connection is its integer id or an alias (an e-mail address, the name of an
API key); on the wire, inside parallel bodies, both kinds and organizations are text. Methods are those of the platform.

Nothing is dropped in silence: an unknown key of an item, `json` beside `data`, a placeholder `{id}` without its value in
`url_params`, and a value without its placeholder are refused. Values of placeholders are escaped to one segment of the path,
and none of them can be `.` or `..`; in `call` that happens here, since that request has no place for them, in parallel calls
in the platform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import aiohttp
from pydantic_core import PydanticSerializationError, to_json

from automio.errors import IntegrationError
from automio.request import UNSET
from automio.runtime.call import Repeat
from automio.runtime.http import plain
from automio.services.integration_values import Integration
from automio.services.rest import segment

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ITEM_KEYS: Final = ("connection_id", "organization_id", "params", "data", "json", "url_params")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def refuse(source: str, why: str) -> IntegrationError:
    """For arguments that can't be sent."""
    return IntegrationError(f"{source}: {why}; nothing was sent")


def integration_path(integration: str | Integration, source: str) -> str:
    """`/integrations/<id>`, the id as one segment."""
    found = integration.integration_id if isinstance(integration, Integration) else integration
    if not isinstance(found, str) or not found:
        raise refuse(source, f"an integration is its id or what get_integration gave, not {type(found).__name__}")
    return f"/integrations/{segment(found)}"


def reference(value: Any, what: str, source: str) -> str | None:
    """A connection or organization as it travels. An int, or text that is not blank."""
    if value is None:
        return None
    if type(value) is int or (isinstance(value, str) and value.strip()):
        return str(value)
    raise refuse(source, f"{what} is an integer or a text, not {value!r:.60}")


def method_of(method: Any, source: str) -> str:
    """The method in upper case."""
    found = method.upper() if isinstance(method, str) else method
    if found not in METHODS:
        raise refuse(source, f"the method is one of {', '.join(METHODS)}, not {method!r:.40}")
    return found


def path_of(endpoint: Any, source: str) -> str:
    """The endpoint: a path below the integration's base URL."""
    if not isinstance(endpoint, str) or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|\\", endpoint):
        raise refuse(source, f"the endpoint is a path, as in '/users', not {endpoint!r:.60}")
    return endpoint if endpoint.startswith("/") else f"/{endpoint}"


def placeholders(endpoint: str) -> frozenset[str]:
    """The names in braces."""
    return frozenset(_PLACEHOLDER.findall(endpoint))


def check_url_params(names: frozenset[str], given: Any, source: str) -> None:
    """Raises IntegrationError when `url_params` and the placeholders are not the same."""
    values: Any = {} if given is None else given
    if not isinstance(values, Mapping):
        raise refuse(source, "url_params is a dictionary")
    if values.keys() != names:
        missing, more = sorted(names - values.keys()), sorted(map(str, values.keys() - names))
        if missing:
            raise refuse(source, f"url_params has no value for {missing[0]!r}")
        raise refuse(source, f"the endpoint has no place {{{more[0]}}} for url_params")
    for name, value in values.items():
        if value is None or isinstance(value, bool | Mapping | list | tuple) or str(value) in ("", ".", ".."):
            raise refuse(source, f"url_params[{name!r}] cannot stand in a path")


def filled(endpoint: str, url_params: Mapping[str, object] | None) -> str:
    """The endpoint with its placeholders replaced by escaped values."""
    return _PLACEHOLDER.sub(lambda found: segment((url_params or {})[found[1]]), endpoint)


def body_of(data: Any, json_: Any, source: str) -> Any:
    """The body for the provider: `json` and `data` are two names of one place."""
    if data is not None and json_ is not UNSET:
        raise refuse(source, "data and json exclude each other")
    found = data if json_ is UNSET else json_
    if isinstance(found, bytes | bytearray | memoryview):
        raise refuse(source, "bytes travel as files={'file': ...}")
    return {} if found is None and json_ is UNSET else found


def text_headers(headers: Any, source: str) -> dict[str, str]:
    """Headers for the provider."""
    found: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if (
            isinstance(value, bool)
            or not isinstance(value, str | int | float)
            or re.search(r"[\r\n\0]", f"{name}{value}")
        ):
            raise refuse(source, f"the header {name!r:.60} is not a text")
        found[str(name)] = str(value)
    return found


def json_marked(headers: dict[str, str], json_: Any) -> dict[str, str]:
    """With a content type where `json` is a text or empty: the wire has one place for `json` and `data`."""
    if json_ is UNSET or (isinstance(json_, Mapping | list) and json_) or "content-type" in map(str.lower, headers):
        return headers
    return headers | {"Content-Type": "application/json"}


def item_of(item: Any, number: int, names: frozenset[str], shared: Mapping[str, Any], source: str) -> dict[str, Any]:
    """One element of `data_list` as it travels; `shared` are parameters of all of them."""
    place = f"{source}: data_list[{number}]"
    if not isinstance(item, Mapping):
        raise refuse(place, "is a dictionary")
    for key in item:
        if key not in _ITEM_KEYS:
            raise refuse(place, f"unknown key {key!r:.40}; known are {', '.join(_ITEM_KEYS)}")
    check_url_params(names, item.get("url_params"), place)
    sent: dict[str, Any] = {}
    for key in ("connection_id", "organization_id"):
        if (found := reference(item.get(key), key, place)) is not None:
            sent[key] = found
    params = item.get("params")
    if params is not None and not isinstance(params, Mapping):
        raise refuse(place, "params is a dictionary")
    if shared or params is not None:
        sent["params"] = {**shared, **(params or {})}
    if item.get("data") is not None or "json" in item:
        sent["data"] = body_of(item.get("data"), item.get("json", UNSET), place)
    if names:
        sent["url_params"] = dict(item["url_params"])
    return sent


def items_of(data_list: Sequence[Any], endpoint: str, params: Any, source: str, first: int = 0) -> list[dict[str, Any]]:
    """The elements of `data_list` as they travel; `first` is the number of the first one in messages."""
    if isinstance(data_list, Mapping | str | bytes):
        raise refuse(source, "data_list is a list of dictionaries")
    names = placeholders(endpoint)
    return [item_of(item, number, names, params or {}, source) for number, item in enumerate(data_list, first)]


def need_connections(items: Sequence[Mapping[str, Any]], source: str) -> None:
    """Raises IntegrationError for an item that names no connection."""
    for number, item in enumerate(items):
        if "connection_id" not in item:
            raise refuse(f"{source}: data_list[{number}]", "has no connection_id")


def form_of(body: Mapping[str, Any], files: Any, source: str) -> aiohttp.FormData:
    """`files` as requests takes them: {field: content} or {field: (file name, content[, content type])}, or a list of pairs.

    The other fields are JSON texts. A form is sent once, so nothing of it is repeated.
    """
    pairs = list(files.items()) if isinstance(files, Mapping) else list(files)
    texts: dict[str, str] = {}
    for name, value in body.items():
        try:
            texts[name] = (
                value if isinstance(value, str) and name in ("method", "endpoint") else to_json(plain(value)).decode()
            )
        except (PydanticSerializationError, ValueError) as error:
            raise refuse(source, f"{name} cannot be written as JSON: {error}") from None
    parts: list[tuple[str, str, Any, str | None]] = []
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise refuse(source, "files is a dictionary of field names")
        field, given = pair
        if isinstance(given, tuple | list):
            if not 2 <= len(given) <= 3:
                raise refuse(source, f"files[{field!r}] is (file name, content, content type)")
            filename, content, kind = (*given, None)[:3]
        else:
            filename, content, kind = getattr(given, "name", field), given, None
        read = getattr(content, "read", None)
        content = content if read is None else read()
        content = content.encode() if isinstance(content, str) else content
        if not isinstance(content, bytes | bytearray | memoryview):
            raise refuse(source, f"files[{field!r}] is a text, bytes or an open file")
        if field in texts:
            raise refuse(source, f"a file cannot be named {field!r}")
        if re.search(r"[\x00-\x1f\x7f]", f"{field}{filename}{kind}"):
            raise refuse(source, f"files[{field!r}] has a control character in a name")
        parts.append((field, re.split(r"[/\\]", str(filename))[-1], bytes(content), kind))

    form = aiohttp.FormData(quote_fields=False)  # names as they are, not percent-encoded
    for name, text in texts.items():
        form.add_field(name, text)
    for field, filename, content, kind in parts:
        form.add_field(field, content, filename=filename, content_type=kind or "application/octet-stream")
    return form


def write_headers(method: str, key: str | None) -> dict[str, str]:
    """The header that makes a repeated write the same write, for methods that write."""
    return {} if method == "GET" else {"Idempotency-Key": key or uuid4().hex}


def repetition(method: str, repeat: Repeat) -> Repeat:
    """Our requests are all POST; whether one may be sent again is the provider's method to say."""
    return Repeat.ALWAYS if method == "GET" and repeat is Repeat.WHEN_SAFE else repeat
