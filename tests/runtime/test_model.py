"""Scalars that pydantic has no decoder for, and the base of models."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from automio.runtime.model import BigInt, Bytea, Interval, Json, Model, Numeric, TimeTz, parse_interval

HOURS = timedelta(hours=2, minutes=3, seconds=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:00", timedelta()),
        ("02:03:04", HOURS),
        ("-02:03:04", -HOURS),
        ("1 day 02:03:04", timedelta(days=1) + HOURS),
        ("-1 days +02:03:04", timedelta(days=-1) + HOURS),
        ("1 day -02:03:04.5", timedelta(days=1) - HOURS - timedelta(milliseconds=500)),
        (
            "1 year 2 mons 3 days 04:05:06.789012",
            timedelta(days=428, hours=4, minutes=5, seconds=6, microseconds=789012),
        ),
        ("-1 years -2 mons +3 days", timedelta(days=-365 - 60 + 3)),
        ("100000:00:00", timedelta(hours=100000)),
        ("00:00:00.000001", timedelta(microseconds=1)),
        ("@ 1 year 2 mons 3 days 4 hours 5 mins 6.5 secs", timedelta(days=428, hours=4, minutes=5, seconds=6.5)),
        ("@ 1 day 2 hours ago", -timedelta(days=1, hours=2)),
        ("@ 0", timedelta()),
        ("1-2", timedelta(days=425)),
        ("-1-2 +3 -4:05:06", timedelta(days=-422) - timedelta(hours=4, minutes=5, seconds=6)),
        ("-39 13:54:34.5", -timedelta(days=39, hours=13, minutes=54, seconds=34.5)),
        ("-1-2 3 4:05:06", -timedelta(days=428, hours=4, minutes=5, seconds=6)),
        ("-3 +4:05:06", timedelta(days=-3, hours=4, minutes=5, seconds=6)),
        ("-4:05:06", -timedelta(hours=4, minutes=5, seconds=6)),
        ("3 4:05:06", timedelta(days=3, hours=4, minutes=5, seconds=6)),
        ("0", timedelta()),
        ("P1Y2M3DT4H5M6.789S", timedelta(days=428, hours=4, minutes=5, seconds=6.789)),
        ("P-1DT2H", timedelta(days=-1, hours=2)),
        ("-P1DT2H", -timedelta(days=1, hours=2)),
        ("PT0S", timedelta()),
        ("P2W", timedelta(weeks=2)),
        ("PT-0.000001S", timedelta(microseconds=-1)),
    ],
)
def test_intervals_in_every_style_of_postgresql(text: str, expected: timedelta) -> None:
    assert parse_interval(text) == expected
    assert TypeAdapter(Interval).validate_json(f'"{text}"') == expected


@pytest.mark.parametrize("text", ["", " ", "P", "1 fortnight", "x", "1:2:3:4", "99999999999 days"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Interval).validate_python(text)


def test_bytea() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Bytea)
    assert adapter.validate_json('"\\\\x00ff"') == b"\x00\xff" and adapter.validate_python("\\x") == b""
    assert adapter.dump_json(b"\x00\xff") == b'"\\\\x00ff"'
    for bad in ("00ff", "\\x0", "\\xzz"):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)


def test_bigint_and_numeric_from_either_form() -> None:
    assert TypeAdapter(BigInt).validate_json('["9223372036854775807"]'[1:-1]) == 2**63 - 1
    assert TypeAdapter(BigInt).validate_json("9223372036854775808") == 2**63
    assert TypeAdapter(Numeric).validate_json('"0.30"') == Decimal("0.30")
    assert TypeAdapter(Numeric).validate_json('"NaN"').is_nan()
    assert TypeAdapter(Json).validate_json('{"a": [1.5, null]}') == {"a": [1.5, None]}


class Row(Model):
    order_id: str = Field(alias="orderId")
    model_name: str | None = None


def test_models_read_response_keys_and_show_attributes() -> None:
    row = Row.model_validate({"orderId": "A", "later": 1})
    assert repr(row) == str(row) == "Row(order_id='A', model_name=None)"
    assert row.model_dump(by_alias=True) == {"orderId": "A", "model_name": None}


@pytest.mark.parametrize("text", ["08:00:00+02", "08:00:00+02:00", "08:00:00.5-03:30", "08:00:00"])
def test_timetz_reads_every_offset_that_postgresql_writes(text: str) -> None:
    found = TypeAdapter(TimeTz).validate_json(f'"{text}"')
    assert found.hour == 8
    expected = {"+02": 2.0, "+02:00": 2.0, "-03:30": -3.5}
    offset = found.utcoffset()
    assert (offset.total_seconds() / 3600 if offset else None) == next(
        (hours for end, hours in expected.items() if text.endswith(end)), None
    )
