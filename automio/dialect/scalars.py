"""One row a scalar: Hasura's name -> the Python type that a model shows and the one that a function takes.

Decoding is pydantic's; where it has no answer (interval, bytea, exact numeric) the row names a type of
`automio.runtime.model`. Encoding is the transport's (UUID, datetime, Decimal, … all become JSON text).
A scalar that is not listed is `Any` in models and `Any` in arguments; `[scalars]` in codegen.toml adds rows.
To add one: a row here, a golden case in tests/golden/codegen/.
"""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "automio.runtime.model"


@dataclass(frozen=True, slots=True)
class Scalar:
    """`annotation` in models, `argument` in arguments and inputs; `imports` are (module, name) pairs that both need."""

    graphql: str
    annotation: str
    argument: str
    imports: tuple[tuple[str, str], ...] = ()


def _plain(graphql: str, annotation: str, argument: str = "", *imports: tuple[str, str]) -> Scalar:
    return Scalar(graphql, annotation, argument or annotation, imports)


_UUID, _DATETIME, _DATE, _TIME = ("uuid", "UUID"), ("datetime", "datetime"), ("datetime", "date"), ("datetime", "time")
_TIMEDELTA, _DECIMAL, _ANY = ("datetime", "timedelta"), ("decimal", "Decimal"), ("typing", "Any")
_NUMERIC, _BIGINT = (MODEL, "Numeric"), (MODEL, "BigInt")
_INTERVAL, _BYTEA, _JSON = (MODEL, "Interval"), (MODEL, "Bytea"), (MODEL, "Json")

_ROWS = (
    _plain("Int", "int"),
    _plain("Float", "float"),
    _plain("String", "str"),
    _plain("Boolean", "bool"),
    _plain("ID", "str"),
    _plain("smallint", "int"),
    _plain("bigint", "BigInt", "int", _BIGINT),
    _plain("numeric", "Numeric", "Decimal | int | float | str", _NUMERIC, _DECIMAL),
    _plain("float8", "float"),
    _plain("money", "str"),
    _plain("uuid", "UUID", "UUID | str", _UUID),
    _plain("timestamptz", "datetime", "datetime | str", _DATETIME),
    _plain("timestamp", "datetime", "datetime | str", _DATETIME),
    _plain("date", "date", "date | str", _DATE),
    _plain("time", "time", "time | str", _TIME),
    _plain("timetz", "TimeTz", "time | str", (MODEL, "TimeTz"), _TIME),
    _plain("interval", "Interval", "timedelta | str", _INTERVAL, _TIMEDELTA),
    _plain("json", "Json", "Any", _JSON, _ANY),
    _plain("jsonb", "Json", "Any", _JSON, _ANY),
    _plain("bytea", "Bytea", "bytes | str", _BYTEA),
    _plain("citext", "str"),
    _plain("bpchar", "str"),
    _plain("name", "str"),
    _plain("ltree", "str"),
    _plain("inet", "str"),
    _plain("cidr", "str"),
    _plain("macaddr", "str"),
    _plain("geometry", "Json", "Any", _JSON, _ANY),
    _plain("geography", "Json", "Any", _JSON, _ANY),
)

SCALARS: dict[str, Scalar] = {row.graphql: row for row in _ROWS}
