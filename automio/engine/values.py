"""Parameter -> the Python value that is bound for it. Called by render.py's programs, once for each value of each request.

What comes in is JSON as a client wrote it, or a literal of the document (a float is a Decimal then, a bare name an
EnumLiteral). What goes out is what run.py's codecs take: int, float and bool for numbers and booleans, text for everything
else, which PostgreSQL itself reads by the input function of the type. Its faults come at binding, before a row is looked at.

As in Hasura a number may be given as a string (`"9223372036854775807"`), a boolean as `"true"`, and an array column as a
list or as PostgreSQL's text (`"{a,b}"`). A number is no text, and a fraction is no integer.

An organization given by a caller who is bound to one (`Kind.OWN`) must be that one; anything else is a refusal with the
words of a failed permission check. `OWN_OR_NULL` takes null and absent for "not given" and puts the caller's there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from automio.engine.catalog import Choices, SqlType
from automio.engine.plan_types import (
    Composed,
    Constant,
    Cursor,
    Hole,
    Kind,
    Organization,
    Parameter,
    Session,
    StepCount,
    StepRows,
    StepValue,
    Variable,
)
from automio.engine.refusal import PERMISSION, EnumLiteral, Refusal, describe

# Types that a parameter has itself, so that PostgreSQL reads the value when it is bound; besides these, enums and the base
# types of extensions. All others travel as text and are cast in the statement, which may happen as late as at the first row.
NATIVE = frozenset("int2 int4 int8 float4 float8 bool text varchar bpchar name".split())
TEXT_CODECS = ("numeric", "uuid", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "jsonb", "bytea")

_BITS = {"int2": 16, "int4": 32, "int8": 64}
_FLOATS = frozenset({"float4", "float8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_JSON = frozenset({"json", "jsonb"})
_TRUTHS = {"true": True, "t": True, "yes": True, "y": True, "on": True, "1": True}
_TRUTHS |= {"false": False, "f": False, "no": False, "n": False, "off": False, "0": False}


def is_read_at_binding(kind: SqlType) -> bool:
    """Whether a parameter can have this type itself; else its value is cast from text within the statement."""
    if kind.schema == "pg_catalog":
        known = kind.name in NATIVE or kind.name in TEXT_CODECS or kind.name == "json"
    else:
        known = kind.kind in ("b", "e")
    return known and not kind.array


@dataclass(frozen=True, slots=True)
class Written:
    """What a writing step left: its rows as one JSON array, and the same decoded."""

    json: bytes
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Context:
    """All that values can come from."""

    variables: Mapping[str, Any]
    organization: int | None
    written: Mapping[int, Written] = field(default_factory=dict)
    cursor: str | None = None
    session: Mapping[str, str] = field(default_factory=dict)


Binder = Callable[[Context], Any]


def binder(parameter: Parameter) -> Binder:
    """The function that gives a parameter's value in a request. Values of the document are checked here and now: Refusal."""
    source = parameter.source
    check = checker(parameter)
    match source:
        case Organization():
            return lambda context: context.organization
        case Session(name):
            return lambda context: check(_session_variable(context, name), context)
        case Cursor():
            return lambda context: context.cursor
        case StepRows():
            return lambda context: _join([context.written[step].json for step in source.steps])
        case StepCount():
            return lambda context: sum(len(context.written[step].rows) for step in source.steps)
        case StepValue():
            return lambda context: check(context.written[source.step].rows[0].get(source.column), context)
        case Constant() if parameter.kind in (Kind.OWN, Kind.OWN_OR_NULL):
            return lambda context: check(source.value, context)
        case Constant():
            value = check(source.value, Context({}, None))
            return lambda context: value
        case Composed():
            return lambda context: check(_filled(source.template, context.variables), context)
        case Variable(path=(str(name),), row=None):
            return lambda context: check(context.variables.get(name), context)
        case Variable():
            return lambda context: check(_at(context.variables, source), context)


def checker(parameter: Parameter) -> Callable[[Any, Context], Any]:
    """The check of one value (with its context), for a parameter of this kind and type."""
    graphql, path = parameter.graphql.strip("[]!") or parameter.type.name, parameter.path
    match parameter.kind:
        case Kind.LIMIT:
            return lambda value, _: limit(value, path)
        case Kind.JSON_PATH:
            return lambda value, _: _json_path(value, path)
        case Kind.PLAIN:
            return lambda value, _: value
        case Kind.SESSION:
            return _session(parameter)
    choices = getattr(parameter.source, "choices", None)
    one = (
        _chosen(choices, graphql, isinstance(parameter.source, Constant))
        if choices
        else _column(parameter.type, graphql)
    )
    if parameter.kind in (Kind.OWN, Kind.OWN_OR_NULL):
        one = _own(one, parameter.kind is Kind.OWN_OR_NULL)
    if not parameter.many:
        return lambda value, context: one(value, path, context)
    if isinstance(parameter.source, Variable) and parameter.source.row is not None:
        return lambda value, context: [
            one(x, path.replace("[*]", f"[{i}]"), context) if x is not None or one.__name__ == "own" else None
            for i, x in enumerate(value)
        ]
    return lambda value, context: _list(value, one, graphql, path, context)


def _session_variable(context: Context, name: str) -> str:
    value = context.session.get(name)
    if value is None:
        raise Refusal(f'missing session variable: "{name}"', code="not-found")
    return value


def _session(parameter: Parameter) -> Callable[[Any, Context], Any]:
    """A session variable is text, whatever it is compared with: PostgreSQL's text of the value, or JSON for a list."""
    kind, path = parameter.type, parameter.path
    one = _session_scalar(replace(kind, array=False), path)
    if not parameter.many and not kind.array:
        return lambda value, _: one(value)
    if parameter.many and kind.array:
        whole = _column(kind, kind.name)
        return lambda value, context: [whole(x, path, context) for x in _session_list(value, path)]
    if not parameter.many:
        return lambda value, _: (
            value if value.lstrip()[:1] != "[" else array_text(_session_list(value, path), _same, path)
        )
    return lambda value, _: [one(x if isinstance(x, str) else dumps(x)) for x in _session_list(value, path)]


def _same(value: Any, path: str) -> Any:
    return value


def _session_scalar(kind: SqlType, path: str) -> Callable[[str], Any]:
    if kind.schema == "pg_catalog" and kind.name in _JSON:
        return lambda value: value
    convert = _scalar(kind, kind.name)

    def scalar(value: str) -> Any:
        try:
            return convert(value.strip() if kind.name in _BITS else value, path)
        except Refusal as refusal:
            raise Refusal(refusal.message, path, "data-exception") from None

    return scalar


def _session_list(value: str, path: str) -> list[Any]:
    """`{a,"b c"}` or `["a", "b c"]` -> the elements; none of them may be null."""
    text = value.strip()
    found: Any = None
    if text[:1] == "[":
        try:
            found = json.loads(text)
        except ValueError:
            found = None
    else:
        found = _array_elements(text)
    if not isinstance(found, list) or None in found:
        raise Refusal(f'malformed array literal: "{value}"', path, "data-exception")
    return found


_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^",{}\\]|\\.)+?))\s*([,}])', re.DOTALL)


def _array_elements(text: str) -> list[str | None] | None:
    """The elements of PostgreSQL's text of a flat array, None when it is not one."""
    if text[:1] != "{" or text[-1:] != "}":
        return None
    if not text[1:-1].strip():
        return []
    found: list[str | None] = []
    place = 1
    while place < len(text):
        match = _ELEMENT.match(text, place)
        if match is None:
            return None
        quoted, bare, end = match.groups()
        if quoted is None and bare.upper() == "NULL":
            found.append(None)
        else:
            found.append(re.sub(r"\\(.)", r"\1", bare if quoted is None else quoted, flags=re.DOTALL))
        place = match.end()
        if end == "}":
            return found if place == len(text) else None
    return None


def _list(value: Any, one: Callable[..., Any], graphql: str, path: str, context: Context) -> list[Any]:
    if not isinstance(value, list | tuple):
        value = [value]
    found: list[Any] = []
    for i, x in enumerate(value):
        if x is None:
            raise Refusal(f"unexpected null value for type '{graphql}'", f"{path}[{i}]")
        found.append(one(x, f"{path}[{i}]", context))
    return found


def _chosen(choices: Choices, graphql: str, literal: bool) -> Callable[..., Any]:
    """A name in an enum table: bare in a document (`literal`), a string in variables."""

    def chosen(value: Any, path: str, context: Context) -> str | None:
        if value is None:
            return None
        if not isinstance(value, EnumLiteral if literal else str):
            raise Refusal(f"expected an enum value for type '{graphql}', but found {describe(value)}", path)
        if value not in choices.values:
            names = ", ".join(f"'{one}'" for one in sorted(choices.values))
            raise Refusal(f"expected one of the values [{names}] for type '{graphql}', but found '{value}'", path)
        return str(value)

    return chosen


def _own(inner: Callable[..., Any], nullable: bool) -> Callable[..., Any]:
    def own(value: Any, path: str, context: Context) -> Any:
        if value is None and nullable:
            return context.organization
        if value is None or inner(value, path, context) != context.organization:
            raise Refusal(PERMISSION, path, "permission-error")
        return context.organization

    return own


def _column(kind: SqlType, graphql: str) -> Callable[..., Any]:
    """value, path, context -> what is bound for one value of this type; null stays null."""
    convert = _array(replace(kind, array=False), graphql) if kind.array else _scalar(kind, graphql)

    def column(value: Any, path: str, context: Context) -> Any:
        return None if value is None else convert(value, path)

    return column


def _scalar(kind: SqlType, graphql: str) -> Callable[[Any, str], Any]:
    if kind.schema == "pg_catalog":
        if kind.name in _BITS:
            return lambda value, path: _integer(value, _BITS[kind.name], graphql, path)
        if kind.name in _FLOATS:
            return lambda value, path: _float(value, graphql, path)
        if kind.name == "bool":
            return lambda value, path: _boolean(value, graphql, path)
        if kind.name in _JSON:
            return lambda value, path: dumps(value)
        if kind.name in _TEXTS:
            return lambda value, path: _text(value, graphql, path)
    if kind.name == "ltree":
        return lambda value, path: _label_path(value, graphql, path)
    return lambda value, path: _text(value, graphql, path, numbers=True)


def _integer(value: Any, bits: int, graphql: str, path: str) -> int:
    number: Any = value
    if isinstance(value, str) and not isinstance(value, EnumLiteral):
        try:
            number = int(value)
        except ValueError:
            raise Refusal(f'invalid input syntax for type integer: "{value}"', path, "data-exception") from None
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        raise Refusal(f"expected {_integer_name(bits)} for type '{graphql}', but found {describe(value)}", path)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) or number != int(number):
        text = f"The value {_scientific(number)} lies outside the bounds or is not an integer. "
        raise Refusal(text + "Maybe it is a float, or is there integer overflow?", path, "parse-failed")
    return int(number)


def _integer_name(bits: int) -> str:
    return f"a {bits}-bit integer" if bits != 64 else "an integer"


def _scientific(number: float | Decimal) -> str:
    """A number as Hasura prints it: 2.147483648e9."""
    sign, digits, exponent = Decimal(str(number)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return str(number)
    place = len(digits) + exponent - 1
    text = "".join(map(str, digits))
    minus = "-" if sign else ""
    if 0 <= place < 7:
        whole = text[: place + 1].ljust(place + 1, "0")
        return f"{minus}{whole}.{text[place + 1 :] or '0'}"
    return f"{minus}{text[0]}.{text[1:] or '0'}e{place}"


def _float(value: Any, graphql: str, path: str) -> float:
    if isinstance(value, bool | EnumLiteral) or not isinstance(value, int | float | Decimal | str):
        raise Refusal(f"expected a float for type '{graphql}', but found {describe(value)}", path)
    try:
        return float(value)
    except (ValueError, OverflowError):
        text = f'invalid input syntax for type double precision: "{value}"'
        raise Refusal(text, path, "data-exception") from None


def _boolean(value: Any, graphql: str, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, EnumLiteral):
        truth = _TRUTHS.get(value.strip().lower())
        if truth is not None:
            return truth
        raise Refusal(f'invalid input syntax for type boolean: "{value}"', path, "data-exception")
    raise Refusal(f"expected a boolean for type '{graphql}', but found {describe(value)}", path)


def _text(value: Any, graphql: str, path: str, numbers: bool = False) -> str:
    if isinstance(value, str) and not isinstance(value, EnumLiteral):
        if "\0" in value:
            raise Refusal('invalid byte sequence for encoding "UTF8": 0x00', path, "data-exception")
        return value
    if numbers and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise Refusal(f"expected a string for type '{graphql}', but found {describe(value)}", path)


def _label_path(value: Any, graphql: str, path: str) -> str:
    found = _text(value, graphql, path)
    if found and not all(label and all(c.isalnum() or c in "_-" for c in label) for label in found.split(".")):
        text = "Expecting label path: a sequence of zero or more labels separated by dots, for example L1.L2.L3"
        raise Refusal(text, path, "parse-failed")
    return found


def _array(element: SqlType, graphql: str) -> Callable[[Any, str], str]:
    one = _scalar(element, graphql)

    def array(value: Any, path: str) -> str:
        if isinstance(value, str) and not isinstance(value, EnumLiteral):
            return value
        return array_text(value if isinstance(value, list | tuple) else [value], one, path)

    return array


def array_text(values: Sequence[Any], one: Callable[[Any, str], Any], path: str) -> str:
    """PostgreSQL's text of an array, nested ones included: {1,"a b",NULL}."""
    parts: list[str] = []
    for i, value in enumerate(values):
        if value is None:
            parts.append("NULL")
        elif isinstance(value, list | tuple):
            parts.append(array_text(value, one, f"{path}[{i}]"))
        else:
            text = str(one(value, f"{path}[{i}]"))
            parts.append('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + ",".join(parts) + "}"


def text_of(value: Any) -> str | None:
    """A bound value as text which PostgreSQL reads as that value; a list as an array."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.decode()
        case list() | tuple():
            return array_text(value, lambda one, _: text_of(one), "$")
    return str(value)


def limit(value: Any, path: str) -> int | None:
    """A limit or an offset; null is none. Refusal."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        text = f"expected a non-negative 32-bit integer for type 'Int', but found {describe(value)}"
        raise Refusal(text, path)
    return value


def _json_path(value: Any, path: str) -> list[str]:
    """`$.a.b[0]["c d"]` -> a, b, 0, c d."""
    if not isinstance(value, str):
        raise Refusal(f"expected a string for type 'String', but found {describe(value)}", path)
    parts: list[str] = []
    rest = value.removeprefix("$")
    while rest:
        if rest[0] == "[":
            inner, closed, rest = rest[1:].partition("]")
            part = inner.strip("'\"") if inner[:1] in ("'", '"') else inner if inner.lstrip("-").isdigit() else ""
            if not closed or not part:
                break
        else:
            rest = rest.removeprefix(".")
            end = min((i for i in (rest.find("."), rest.find("[")) if i >= 0), default=len(rest))
            part, rest = rest[:end], rest[end:]
            if not part:
                break
        parts.append(part)
    else:
        return parts
    raise Refusal(f"parse json path error: {value}", path, "parse-failed")


def dumps(value: Any) -> str:
    """JSON text of a value from a document or from variables."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise Refusal(f"not a JSON value: {type(value).__name__}")


def _filled(template: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(template, Hole):
        return variables.get(template.name)
    if isinstance(template, list):
        return [_filled(one, variables) for one in template]
    return {key: _filled(one, variables) for key, one in template.items()} if isinstance(template, dict) else template


def _at(variables: Mapping[str, Any], source: Variable) -> Any:
    found: Any = variables
    for step in source.path:
        found = found[step]
    return [row.get(source.row) for row in found] if source.row is not None else found


def _join(arrays: Sequence[bytes]) -> bytes:
    if len(arrays) == 1:
        return arrays[0]
    inner = [one.strip()[1:-1].strip() for one in arrays]
    return b"[" + b",".join(one for one in inner if one) + b"]"
