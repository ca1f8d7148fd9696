"""The base of generated models, and the scalar types that pydantic has no decoder for. Imported by generated code.

Models read GraphQL response keys (aliases) into snake_case attributes. Nothing is built when a module is imported: the
validator of a whole answer is made at an operation's first call (decode.py), the models' own ones only if somebody
uses them directly. Fields that the server adds are ignored.

Exact numbers. Hasura sends `numeric` as a JSON number unless it was told otherwise, and pydantic reads JSON numbers
through a double: `12345678901234567890.123456789` loses digits, `1234.50` its last zero. decode.py therefore hands
`Numeric` fields the number's own text (as a JSON string, or as an ExactFloat). Used outside of decode.py, on Python
objects or on JSON that carries strings, `Numeric` is exact too; on JSON with bare numbers it is as exact as a double.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import AllowInfNan, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationInfo

_HOUR_OFFSET = re.compile(r"[+-]\d\d$")


class Model(BaseModel):
    """A row, or a part of an answer. Attributes are snake_case; `model_dump(by_alias=True)` gives GraphQL's names back."""

    model_config = ConfigDict(defer_build=True, extra="ignore", protected_namespaces=())

    def __str__(self) -> str:
        return repr(self)


class ExactFloat(float):
    """A JSON number with a fraction or exponent that remembers how it was written (`json.loads(parse_float=ExactFloat)`)."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactFloat:
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self) -> str:
        """The text: it is through `str` that pydantic makes a Decimal from a float."""
        return self.text


def _timetz(value: Any) -> Any:
    return f"{value}:00" if isinstance(value, str) and _HOUR_OFFSET.search(value) else value


def _plain(value: Any, info: ValidationInfo) -> Any:
    return value if info.mode == "json" else plain_json(value)


def plain_json(value: Any) -> Any:
    """A JSON value whose ExactFloats are plain floats again."""
    kind = type(value)
    if kind is ExactFloat:
        return float(value)
    if kind is dict:
        return {key: plain_json(inner) for key, inner in value.items()}
    if kind is list:
        return [plain_json(inner) for inner in value]
    return value


# PostgreSQL's interval texts: its own style, "verbose", SQL standard and ISO 8601.

_UNITS = {
    "year": timedelta(days=365),
    "mon": timedelta(days=30),
    "week": timedelta(weeks=1),
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "sec": timedelta(seconds=1),
}


class _Patterns(NamedTuple):
    iso: re.Pattern[str]
    words: re.Pattern[str]
    word: re.Pattern[str]
    sql: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    """Compiled when the first interval is read: compiling takes as long as importing everything else here."""
    number = r"[+-]?\d+(?:\.\d*)?|[+-]?\.\d+"
    unit = r"years?|mons?|months?|weeks?|days?|hours?|minutes?|mins?|seconds?|secs?"
    clock = r"(?P<sign>[+-]?)(?P<h>\d+):(?P<m>\d\d?)(?::(?P<s>\d\d?(?:\.\d*)?))?"
    return _Patterns(
        iso=re.compile(
            rf"(?P<minus>-?)P(?:(?P<y>{number})Y)?(?:(?P<mo>{number})M)?(?:(?P<w>{number})W)?(?:(?P<d>{number})D)?"
            rf"(?:T(?:(?P<h>{number})H)?(?:(?P<m>{number})M)?(?:(?P<s>{number})S)?)?"
        ),
        words=re.compile(
            rf"@?\s*(?P<parts>(?:(?:{number})\s*(?:{unit})\s*)*)(?:{clock})?\s*(?P<ago>ago)?", re.IGNORECASE
        ),
        word=re.compile(rf"({number})\s*({unit})", re.IGNORECASE),
        sql=re.compile(rf"(?:(?P<ys>[+-]?)(?P<y>\d+)-(?P<mo>\d+))?\s*(?:(?P<d>[+-]?\d+)(?=\s|$))?\s*(?:{clock})?"),
    )


def parse_interval(text: str) -> timedelta:
    """A PostgreSQL interval as a timedelta. A month counts 30 days and a year 365, as PostgreSQL's drivers do.

    Raises ValueError for a text that is no interval.
    """
    text = text.strip()
    if text == "@ 0":  # how the verbose style writes nothing
        return timedelta()
    if len(text) > 1 and (found := _patterns().iso.fullmatch(text)):
        parts = [("year", "y"), ("mon", "mo"), ("week", "w"), ("day", "d"), ("hour", "h"), ("min", "m"), ("sec", "s")]
        total = sum((_times(unit, found[group]) for unit, group in parts if found[group]), timedelta())
        return -total if found["minus"] else total
    if text and (found := _patterns().words.fullmatch(text)):
        total = sum((_times(unit, number) for number, unit in _patterns().word.findall(found["parts"])), timedelta())
        total += _clock(found)
        return -total if found["ago"] else total
    if text and (found := _patterns().sql.fullmatch(text)):
        months = int(found["y"] or 0) * 365 + int(found["mo"] or 0) * 30
        days, clock = int(found["d"] or 0), _clock(found)
        # One sign in front is everybody's (`-39 13:54:34` is 39 days and 13 hours ago), unless other signs are written.
        day_sign = (found["d"] or "")[:1] if found["y"] else ""
        clock_sign = found["sign"] if found["y"] or found["d"] else ""
        if text[0] == "-" and day_sign not in ("+", "-") and not clock_sign:
            return -timedelta(days=months + abs(days)) - abs(clock)
        return timedelta(days=(-months if found["ys"] == "-" else months) + days) + clock
    raise ValueError("not an interval")


def _times(unit: str, number: str) -> timedelta:
    unit = unit.lower()
    size = next(size for name, size in _UNITS.items() if unit.startswith(name))
    if number.lstrip("+-").isdigit():
        return int(number) * size
    # Exact to the microsecond: a float would turn 0.000001 times a long unit into noise.
    return timedelta(microseconds=int(Decimal(number) * (size // timedelta(microseconds=1))))


def _clock(found: re.Match[str]) -> timedelta:
    if found["h"] is None:
        return timedelta()
    value = timedelta(hours=int(found["h"]), minutes=int(found["m"])) + _times("sec", found["s"] or "0")
    return -value if found["sign"] == "-" else value


def _interval(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_interval(value)
        except OverflowError:
            raise ValueError("an interval of more than 999999999 days") from None
    return value


def _bytea(value: Any) -> Any:
    r"""PostgreSQL's hex form (`\x6869`); its older escape form is not sent by any server that Hasura supports."""
    if isinstance(value, str):
        if not value.startswith("\\x"):
            raise ValueError("not bytea in hex form")
        return bytes.fromhex(value[2:])
    return value


Numeric = Annotated[Decimal, AllowInfNan(True)]
"""numeric: from a number or text, digit for digit. NaN and Infinity are values."""
BigInt = int
"""bigint: from a number or text (Hasura sends either); Python's int has no limit."""
Interval = Annotated[timedelta, BeforeValidator(_interval)]
"""interval, in any of PostgreSQL's output styles; see parse_interval about months and years."""
TimeTz = Annotated[time, BeforeValidator(_timetz)]
"""timetz: a time with its offset; PostgreSQL writes `08:00:00+02`, which pydantic takes only as `+02:00`."""
Bytea = Annotated[
    bytes,
    BeforeValidator(_bytea),
    PlainSerializer(lambda value: f"\\x{value.hex()}", return_type=str, when_used="json"),
]
"""bytea: bytes from Hasura's hex text, and back to it in JSON."""
Json = Annotated[Any, BeforeValidator(_plain)]
"""json and jsonb: the JSON value as Python has it."""
