"""Reply -> T. The last step of a call; errors of the server and answers that are none become exceptions here.

The common case is one pass: the body's bytes go to pydantic-core, envelope and rows together, and what comes out is the
model. Rows by key, which the scoped document asks as lists (plan steps FIRST and RETURNING_FIRST at the root), are
still one pass: the model that reads the answer has a list where the one that the caller knows has a row. Where foreign
rows must be taken out (OWN), the answer is read as JSON, reshaped, then validated.

Numbers. pydantic-core reads a JSON number as a double, also on its way to a Decimal. So when an answer's model has
Decimal fields, a number that is written behind such a field's key is put into quotes before the pass. Is that safe? The
pattern is the quoted key, a colon, a number with a fraction or exponent. Inside a JSON string quotes are escaped, so
`"total":` can only be a key; keys are response keys, names of GraphQL, unless the model holds open JSON or the list
itself holds Decimals. In those two cases the body is read by json.loads with ExactFloat instead.

`errors` decide, whatever the data is: a non-empty list raises GraphQLErrors with the partial data, reshaped, in it.
`errors: []` and `errors: null` are fine. Values never stand in a message: rows are somebody's data. An error is told in
terms of the caller's own document (scope/paths.py), without the statement, its arguments and PostgreSQL's DETAIL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import copy
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, NoReturn, NotRequired, TypeVar

from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError, create_model
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic reads typing's own from Python 3.12 on only

from automio.errors import DecodeError, GraphQLErrors, ProtocolError
from automio.request import GraphQLError, GraphQLResponse
from automio.runtime.model import ExactFloat, plain_json
from automio.runtime.transport import Reply
from automio.scope.reshape import Action, ReshapePlan, reshape

if TYPE_CHECKING:
    from automio.runtime.call import BoundOperation, Operation

T = TypeVar("T")
_SERVERS_OWN: Final = frozenset({"internal", "detail", "details"})
_FURTHER: Final = re.compile(r"\s*\n\s*(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT)\s*:")
"""What follows the first line of an error of PostgreSQL's."""
_FRACTION = rb"(-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+))"


class Decoder(Generic[T]):
    """Turns replies to one operation into its result. Built at the operation's first call; keeps no state after that."""

    def __init__(self, operation: Operation[T]) -> None:
        self._source = operation.source
        self._plan = operation.plan
        model: type[BaseModel] = operation.result()
        reads_lists = _reads_lists(operation.plan)
        if reads_lists:
            model = _with_lists(model, tuple(s for s in operation.plan if s.action is not Action.STRIP))
        adapter: TypeAdapter[Any] = TypeAdapter(_envelope(model))
        self._validate_json = adapter.validator.validate_json
        self._validate_python = adapter.validator.validate_python
        numbers = _Numbers()
        numbers.read(_data_schema(adapter.core_schema))
        self._quote = numbers.quote()
        self._exact = bool(numbers.keys)
        self._direct = reads_lists and not (self._exact and numbers.open)
        self._unwrap = _unwrapper(operation.unwrap)

    def __call__(self, reply: Reply, organization: int | None, sent: BoundOperation | None = None) -> T:
        """The value. `sent` is what the reply answers, for its errors. Raises GraphQLErrors, ProtocolError, DecodeError."""
        if not self._direct or not 200 <= reply.status < 300:
            return self._decode_slowly(reply, organization, sent)
        body = reply.body
        for pattern in self._quote:
            body = b'"'.join(pattern.split(body))
        try:
            envelope = self._validate_json(body)
        except ValidationError as error:
            self._explain(reply, organization, sent, error)
        data = envelope.get("data")
        if data is None or envelope.get("errors"):
            self._refuse(read_answer(reply, self._source), reply, organization, sent)
        return self._unwrap(data)

    def _decode_slowly(self, reply: Reply, organization: int | None, sent: BoundOperation | None) -> T:
        answer = read_answer(reply, self._source, exact=self._exact)
        data = answer.get("data")
        if data is None or answer.get("errors"):
            self._refuse(answer, reply, organization, sent)
        if not self._direct and not _reads_lists(self._plan):
            answer["data"] = reshape(data, self._plan, organization)
        try:
            envelope = self._validate_python({"data": answer["data"]})
        except ValidationError as error:
            raise _misfit(error, self._source) from None
        return self._unwrap(envelope["data"])

    def _explain(
        self, reply: Reply, organization: int | None, sent: BoundOperation | None, error: ValidationError
    ) -> NoReturn:
        """Why the one pass failed: no JSON, an answer with errors and partial data, or another shape than the model's."""
        answer = read_answer(reply, self._source)
        if answer.get("data") is None or answer.get("errors"):
            self._refuse(answer, reply, organization, sent)
        raise _misfit(error, self._source) from None

    def _refuse(
        self, answer: dict[str, Any], reply: Reply, organization: int | None, sent: BoundOperation | None
    ) -> NoReturn:
        errors = answer.get("errors")
        if not errors:
            raise ProtocolError(f"{self._source}: the answer has neither data nor errors.", status=reply.status)
        data = answer.get("data")
        if type(data) is dict:
            data = plain_json(reshape(data, self._plan, organization))
        raise graphql_errors(errors, data, self._source, sent)


def decode_document(
    reply: Reply, source: str, sent: BoundOperation | None, organization: int | None
) -> GraphQLResponse:
    """The answer to an ad-hoc document as plain values; its errors are in it. Raises ProtocolError when it is none."""
    answer = read_answer(reply, source)
    data = answer.get("data")
    if type(data) is dict and sent is not None and sent.plan:
        data = reshape(data, sent.plan, organization)
    extensions = answer.get("extensions")
    return GraphQLResponse(
        data=data if type(data) is dict else None,
        errors=tuple(_error(error) for error in cleaned(answer.get("errors") or (), sent)),
        extensions=extensions if type(extensions) is dict else {},
    )


def graphql_errors(errors: Any, data: Any, source: str, sent: BoundOperation | None = None) -> GraphQLErrors:
    """The exception for an answer's errors; refused credentials get a hint. `sent`: what was answered, None when the
    errors speak of the caller's own document already."""
    raised = GraphQLErrors(cleaned(errors, sent), data, source=source)
    codes = {(error.get("extensions") or {}).get("code") for error in raised.errors}
    if codes & {"access-denied", "invalid-headers", "invalid-jwt"}:
        raised.hint = "Check HASURA_GRAPHQL_ADMIN_SECRET or APP_TOKEN."
    return raised


def read_answer(reply: Reply, source: str, *, exact: bool = False) -> dict[str, Any]:
    """The GraphQL answer as a dict whose `data` is an object or None and whose `errors` is a list or None.

    Any status will do when the body carries errors. `exact` keeps the digits of numbers (ExactFloat). Raises
    ProtocolError for everything else.
    """
    try:
        answer = json.loads(reply.body, parse_float=ExactFloat) if exact else from_json(reply.body)
    except ValueError:
        raise _no_answer(reply, source, None) from None
    if type(answer) is not dict:
        raise _no_answer(reply, source, answer)
    data, errors = answer.get("data"), answer.get("errors")
    good = ("data" in answer or "errors" in answer) and (errors is None or type(errors) is list)
    if not good or not (data is None or type(data) is dict) or not (errors or 200 <= reply.status < 300):
        raise _no_answer(reply, source, answer)
    return answer


def _no_answer(reply: Reply, source: str, answer: Any) -> ProtocolError:
    status = reply.status
    said = ""
    if type(answer) is dict:
        said = next((value for key in ("error", "detail", "message") if isinstance(value := answer.get(key), str)), "")
        if said:
            said = Reply(status, said.encode(), reply.secrets).excerpt()
    elif reply.body.lstrip()[:1] not in (b"{", b"["):
        said = reply.excerpt()
    said = f": {said}" if said else "."
    if status in (401, 403):
        hint = "Check the token (APP_TOKEN, or HASURA_GRAPHQL_ADMIN_SECRET) and what it may do."
    elif status == 404:
        hint = "Check API_BASE_URL or HASURA_GRAPHQL_ENDPOINT, the app and the table."
    elif 300 <= status < 400:
        hint = "The server sends elsewhere, and credentials are not sent after it: set the final URL."
    elif status == 429:
        hint = "The server asks for fewer requests; wait, then repeat."
    elif status in (502, 503, 504):
        hint = "The server or something before it is overloaded or restarting."
    else:
        hint = None
    what = f"the server answered {status}" if not 200 <= status < 300 else "the answer is not a GraphQL answer"
    if 200 <= status < 300 and not said.startswith(":"):
        what += f" ({len(reply.body)} bytes, cut or of another kind)"
    return ProtocolError(f"{source}: {what}{said}", status=status, hint=hint)


def cleaned(errors: Any, sent: BoundOperation | None = None) -> list[dict[str, Any]]:
    """The errors of an answer to `sent`, as its caller may see them.

    Without `extensions.internal`, where Hasura shows an administrator the statement and its arguments, and without what
    PostgreSQL tells below its message, which may be another organization's row. Those of a scoped document speak of the
    caller's own.
    """
    found: list[dict[str, Any]] = []
    for error in errors:
        error: dict[str, Any] = dict(error) if isinstance(error, Mapping) else {"message": str(error)}
        extensions = error.get("extensions")
        if isinstance(extensions, Mapping):
            error["extensions"] = {key: value for key, value in extensions.items() if key not in _SERVERS_OWN}
        if isinstance(message := error.get("message"), str):
            error["message"] = _FURTHER.split(message, maxsplit=1)[0]
        found.append(error)
    if sent is None or sent.index is None or not found:
        return found
    from automio.scope.paths import Sent, callers_errors

    return callers_errors(found, Sent(sent.text, sent.kind, sent.index, sent.plan, sent.rules, sent.renamed))


def _error(error: dict[str, Any]) -> GraphQLError:
    extensions, locations, path = error.get("extensions"), error.get("locations"), error.get("path")
    return GraphQLError(
        message=str(error.get("message", "unknown error")),
        extensions=extensions if isinstance(extensions, dict) else {},
        locations=tuple(locations) if isinstance(locations, list) else (),
        path=tuple(path) if isinstance(path, list) else (),
    )


def _misfit(error: ValidationError, source: str) -> DecodeError:
    """What does not fit, without the values: they stand in pydantic's own texts, so those are not quoted or chained."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    place = ".".join(str(part) for part in faults[0]["loc"] if part != "data" or len(faults[0]["loc"]) == 1)
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return DecodeError(f"{place} does not fit the model ({faults[0]['type']}){more}.", path=place, source=source)


# Building.


def _envelope(model: type[BaseModel]) -> Any:
    fields: dict[str, Any] = {"data": NotRequired[model | None], "errors": NotRequired[Any]}
    return TypedDict("Envelope", fields)  # pyright: ignore


def _reads_lists(plan: ReshapePlan) -> bool:
    """True when the model alone can undo the plan: rows by key at the root, helper keys that it ignores, nothing else."""
    return all(len(step.path) == 1 and step.action is not Action.OWN for step in plan)


def _with_lists(model: type[BaseModel], plan: ReshapePlan) -> type[BaseModel]:
    """The data model, with lists where the plan asks for the first row. Its instances are instances of `model`."""
    if not plan:
        return model
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    changed: dict[str, Any] = {}
    for step in plan:
        name = names.get(step.path[0])
        if name is not None:
            field = copy(model.model_fields[name])
            rows = list[field.rebuild_annotation()] | None  # pyright: ignore
            if step.action is Action.RETURNING_FIRST:
                rows = TypedDict("Returning", {"returning": rows}) | None  # pyright: ignore
                changed[name] = (Annotated[rows, AfterValidator(_first_returned)], field)
            else:
                changed[name] = (Annotated[rows, AfterValidator(_first)], field)
            field.annotation, field.metadata = None, []
    return create_model(model.__name__, __base__=model, **changed)


def _first(rows: list[Any] | None) -> Any:
    return rows[0] if rows else None


def _first_returned(response: dict[str, Any] | None) -> Any:
    return _first(response["returning"]) if response else None


def _unwrapper(path: tuple[str, ...]) -> Callable[[Any], Any]:
    if not path:
        return lambda data: data
    if len(path) == 1:
        return attrgetter(path[0])
    if len(path) == 2 and path[1] == "0":
        rows = attrgetter(path[0])
        return lambda data: _first(rows(data))

    def unwrap(value: Any) -> Any:
        for step in path:
            if value is None:
                return None
            value = _first(value) if step == "0" else getattr(value, step)
        return value

    return unwrap


def _data_schema(envelope: Any) -> Any:
    """The envelope's schema without `errors`, which is open JSON in every answer."""
    if envelope["type"] == "definitions":
        return [_data_schema(envelope["schema"]), envelope["definitions"]]
    return envelope["fields"]["data"]["schema"]


class _Numbers:
    """Where an answer's model holds Decimals: read from the schema that pydantic-core got."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.open = False
        """True when the quoted key alone does not tell: open JSON in the model, or Decimals inside a list."""

    def read(self, schema: Any, key: str = "", inside: bool = False) -> None:
        """Walk a core schema. `key` is the response key above, `inside` is True below a list of that key."""
        if isinstance(schema, list | tuple):
            for inner in schema:
                self.read(inner, key, inside)
            return
        if not isinstance(schema, dict):
            return
        kind = schema.get("type")
        if kind == "decimal":
            self.keys.add(key)
            self.open = self.open or inside or not key
        elif kind in ("any", "json", "dict"):
            self.open = True
        elif kind in ("model-fields", "typed-dict"):
            for name, field in schema["fields"].items():
                self.read(field["schema"], str(field.get("validation_alias", name)))
        else:
            inside = inside or kind in ("list", "tuple", "set", "frozenset")
            for name, inner in schema.items():
                if name not in ("metadata", "serialization"):
                    self.read(inner, key, inside)

    def quote(self) -> list[re.Pattern[bytes]]:
        """A pattern a key. Joining what it splits with `"` puts the key's numbers into quotes.

        The quote before the key is eaten by the match and put back by the join; the two groups, key and number, are what
        the others go around. Twice as fast as a substitution.
        """
        if self.open:
            return []
        names = [re.escape(json.dumps(key)[1:].encode()) for key in sorted(self.keys)]
        return [re.compile(rb'"(' + name + rb"\s*:\s*)" + _FRACTION) for name in names]
