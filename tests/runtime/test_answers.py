"""What becomes of an answer: models with exact numbers, errors of the server, and answers that are none."""

from __future__ import annotations

import json
import traceback
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import Field

import automio
from automio import GraphQLRequest
from automio.errors import DecodeError, GraphQLErrors, ProtocolError
from automio.runtime.call import Operation
from automio.runtime.client import run
from automio.runtime.model import Json, Model, Numeric
from automio.wrapper import API

ID = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
NUMBERS = [
    "12345678901234567890.123456789",
    "1234.50",
    "0.10",
    "-0.000000000000000000012345678901234567890",
    "1e3",
    "1.50E-7",
    "100",
    "123456789012345678901234567890",
    '"1234.50"',
    '"NaN"',
]


def body(rows: str) -> bytes:
    return b'{"data": {"orders": [%b]}}' % rows.encode()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("space", ["", " ", "\n\t"])
def test_a_numeric_keeps_its_digits(environment: Any, app: SimpleNamespace, number: str, space: str) -> None:
    text = f'{{"id": "{ID}", "orderId": "a \\"total\\": 1.50 b", "total"{space}:{space}{number}}}'
    environment.answer = lambda exchange: app.Answer(body(text))
    [row] = run(app.find, {})
    assert str(row.total) == str(Decimal(number.strip('"')))
    assert row.order_id == 'a "total": 1.50 b', "text is left alone"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_numeric_keeps_its_digits_on_the_reshaped_path(environment: Any, app: SimpleNamespace, number: str) -> None:
    [step] = app.messages.plan
    text = f'{{"id": "{ID}", "messageContent": "", "order": {{"id": "{ID}", "total": {number}, "{step.helper}": 2}}}}'
    environment.answer = lambda exchange: app.Answer(b'{"data": {"messages": [%b]}}' % text.encode())
    assert str(run(app.messages, {})[0].order.total) == str(Decimal(number.strip('"')))


class Mixed(Model):
    total: Numeric
    totals: list[Numeric] | None = None
    meta: Json = None
    count: int = Field(default=0, alias="total_count")


class MixedRows(Model):
    orders: list[Mixed]


def with_model(operation: Operation[Any], model: type[Model]) -> Operation[Any]:
    from dataclasses import replace

    return replace(operation, result=lambda: model)


def test_open_json_beside_a_numeric_keeps_its_own_numbers(environment: Any, app: SimpleNamespace) -> None:
    text = '{"total": 1.50, "totals": [0.10, 2, "3.0"], "meta": {"total": 1.50, "x": [1.0, {"y": 2e3}]}, "total_count": "7"}'
    environment.answer = lambda exchange: app.Answer(body(text))
    [row] = run(with_model(app.find, MixedRows), {})
    assert str(row.total) == "1.50" and [str(number) for number in row.totals] == ["0.10", "2", "3.0"]
    assert row.meta == {"total": 1.5, "x": [1.0, {"y": 2000.0}]}
    assert type(row.meta["total"]) is float and type(row.meta["x"][1]["y"]) is float
    assert row.count == 7


class Nested(Model):
    total: Numeric
    parts: list[Nested] | None = None


class NestedRows(Model):
    orders: list[Nested]


def test_a_model_that_holds_itself(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(body('{"total": 1.50, "parts": [{"total": 2.50}]}'))
    [row] = run(with_model(app.find, NestedRows), {})
    assert (str(row.total), str(row.parts[0].total)) == ("1.50", "2.50")


def test_what_the_server_adds_is_ignored(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {
        "data": {"orders": [{"id": ID, "orderId": "A", "new": 1}], "more": 1},
        "errors": [],
        "extensions": {"total": 1.50},
    }
    assert run(app.find, {})[0].order_id == "A"


def test_errors_raise_with_source_and_partial_data(environment: Any, app: SimpleNamespace) -> None:
    [step] = app.messages.plan
    error = {
        "message": "no such thing",
        "path": ["messages", 3, "order"],
        "extensions": {"code": "unexpected", "path": "$.selectionSet", "internal": {"statement": "SELECT s3cret"}},
    }
    message = {"id": ID, "messageContent": "x", "order": {"id": ID, "total": 1.5, step.helper: 3}}
    environment.answer = lambda exchange: {"data": {"messages": [message]}, "errors": [error, {"message": "2"}]}
    with pytest.raises(GraphQLErrors) as caught:
        run(app.messages, {})
    assert str(caught.value).startswith(
        f"{app.messages.source}: no such thing (unexpected at $.selectionSet), and 1 more"
    )
    assert caught.value.source == app.messages.source
    assert caught.value.errors[0]["path"] == ["messages", 3, "order"]
    assert "s3cret" not in repr(caught.value.errors), "Hasura's statement stays inside"
    assert caught.value.data == {"messages": [{"id": ID, "messageContent": "x", "order": None}]}, "reshaped as well"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_errors_are_errors_whatever_the_status(environment: Any, app: SimpleNamespace, status: int) -> None:
    environment.answer = lambda exchange: app.Answer({"errors": [{"message": "m", "extensions": None}]}, status=status)
    with pytest.raises(GraphQLErrors, match=": m"):
        run(app.find, {})


def test_partial_data_that_does_not_fit_is_still_an_error_of_the_server(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {"data": {"orders": None}, "errors": [{"message": "m"}]}
    with pytest.raises(GraphQLErrors) as caught:
        run(app.find, {})
    assert caught.value.data == {"orders": None}


def test_refused_credentials_of_hasura_get_a_hint(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {
        "errors": [{"message": "invalid secret", "extensions": {"path": "$", "code": "access-denied"}}]
    }
    with pytest.raises(GraphQLErrors, match="HASURA_GRAPHQL_ADMIN_SECRET"):
        run(app.find, {})


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        (b"<html><head><style>p {}</style><title>Sign&nbsp;in</title></head>", 200, "not a GraphQL answer: Sign in"),
        (b"", 200, "not a GraphQL answer"),
        (b'{"data": {"orders": [{"id": "s3cret', 200, "bytes, cut"),
        (b"[1]", 200, "not a GraphQL answer"),
        (b"null", 200, "not a GraphQL answer"),
        (b'{"data": [1]}', 200, "not a GraphQL answer"),
        (b'{"errors": "text"}', 200, "not a GraphQL answer"),
        (b'{"something": 1}', 200, "not a GraphQL answer"),
        (b'{"data": null}', 200, "neither data nor errors"),
        (b"\xff\xfe", 200, "not a GraphQL answer"),
        (b'{"error": "Invalid token."}', 401, "answered 401: Invalid token. Check the token"),
        (b'{"detail": "not yours"}', 403, "answered 403: not yours. Check the token"),
        (b"<p>gone</p>", 404, "answered 404: gone. Check API_BASE_URL"),
        (b"Bad Gateway token secret-token seen", 500, "answered 500: Bad Gateway token <hidden> seen"),
        (b'{"data": {"orders": []}}', 500, "answered 500"),
    ],
)
def test_an_answer_that_is_none(
    environment: Any, app: SimpleNamespace, answer: bytes, status: int, expected: str
) -> None:
    environment.answer = lambda exchange: app.Answer(answer, status=status)
    with pytest.raises(ProtocolError) as caught:
        run(app.find, {})
    assert expected in str(caught.value)
    assert caught.value.status == status and caught.value.sent is True
    assert "s3cret" not in str(caught.value) and "secret-token" not in str(caught.value)


def test_201_is_as_good_as_200(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer({"data": {"orders": []}}, status=201)
    assert run(app.find, {}) == []


@pytest.mark.parametrize("name", ["find", "messages"])
def test_data_of_another_shape_names_the_place_and_no_value(environment: Any, app: SimpleNamespace, name: str) -> None:
    operation = getattr(app, name)
    key = "orders" if name == "find" else "messages"
    good = {"id": ID, "orderId": "A", "messageContent": "B"}
    environment.data(**{key: [good, {**good, "id": "s3cret", "total": ["s3cret"], "orderId": 5, "messageContent": 5}]})
    with pytest.raises(DecodeError) as caught:
        run(operation, {})
    assert caught.value.path == f"{key}.1.id"
    assert str(caught.value).startswith(f"{operation.source}: {key}.1.id does not fit the model (uuid_parsing), and ")
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown, "the values are somebody's data"


def test_a_missing_root_is_a_misfit(environment: Any, app: SimpleNamespace) -> None:
    environment.data(other=1)
    with pytest.raises(DecodeError) as caught:
        run(app.find, {})
    assert caught.value.path == "orders"


def test_many_rows(environment: Any, app: SimpleNamespace) -> None:
    rows = [{"id": ID, "orderId": str(n), "total": n + 0.5} for n in range(5000)]
    environment.answer = lambda exchange: app.Answer(json.dumps({"data": {"orders": rows}}).encode())
    found = run(app.find, {})
    assert [row.order_id for row in found] == [str(n) for n in range(5000)]
    assert str(found[10].total) == "10.5"


REFUSED = {
    "message": 'duplicate key value violates unique constraint "x"\n  DETAIL:  Key (id)=(s3cret) already exists.',
    "locations": [{"line": 3, "column": 7}],
    "path": ["order", "returning", 0, "id"],
    "extensions": {
        "code": "constraint-violation",
        "path": "$.selectionSet.update_app_130_orders.args.where._and[1].id._eq",
        "internal": {"statement": "s3cret"},
        "detail": "s3cret",
    },
}
TOLD = {
    "message": 'duplicate key value violates unique constraint "x"',
    "path": ["order", "id"],
    "extensions": {
        "code": "constraint-violation",
        "path": "$.selectionSet.update_app_130_orders_by_pk.args.pk_columns.id",
    },
}


def test_errors_speak_of_the_callers_document_and_show_no_foreign_data(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {"errors": [REFUSED]}
    with pytest.raises(GraphQLErrors, match=r"at \$\.selectionSet\.update_app_130_orders_by_pk\.args") as caught:
        run(app.update_by_pk, {"id": ID, "set": {"delivered": True}})
    assert caught.value.errors == (TOLD,)
    document = f"""mutation {{ order: update_app_130_orders_by_pk(pk_columns: {{id: "{ID}"}}, _set: {{delivered: true}})
      {{ id }} }}"""
    with API() as api:
        with pytest.raises(GraphQLErrors) as raised:
            api.tables.execute(document)
        [error] = api.tables.apps_graphql_query(130, "orders", GraphQLRequest(document)).errors
    assert raised.value.errors == (TOLD,)
    assert (error.message, list(error.path), error.extensions, error.locations) == (*TOLD.values(), ())


def test_errors_of_another_installation_name_the_callers_app(environment: Any, app: SimpleNamespace) -> None:
    place = "$.selectionSet.app_131_orders.args.where._and[1].messages._and[1].id._eq"
    environment.answer = lambda exchange: {"errors": [{"message": "m", "extensions": {"path": place}}]}
    with API(app_id=131), pytest.raises(GraphQLErrors) as caught:
        run(app.find, {})
    assert caught.value.errors[0]["extensions"]["path"] == "$.selectionSet.app_130_orders.args.where.messages.id._eq"
    assert "app_131_orders" in environment.exchanges[0].document


def test_errors_of_a_document_sent_as_written_keep_their_places(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: {"errors": [REFUSED]}
    with API() as api, automio.all_organizations():
        [error] = api.tables.apps_graphql_query(130, "orders", GraphQLRequest("{ app_130_orders { id } }")).errors
    assert error.extensions == {key: REFUSED["extensions"][key] for key in ("code", "path")}
    assert error.locations == ({"line": 3, "column": 7},) and "s3cret" not in str(error)
