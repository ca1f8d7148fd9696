"""The check before a mutation on the wire: what is asked, with what, when not, and what its failures say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stamina

from automio.dialect.index import Reference, SchemaIndex
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl
from automio.errors import GraphQLErrors, ProtocolError, ScopeError, TransportError
from automio.request import GraphQLRequest
from automio.runtime import call as call_module
from automio.runtime.call import BoundOperation, Facts, Repeat
from automio.runtime.client import all_organizations
from automio.runtime.scoping import ScopedOperation
from automio.wrapper import API

SCHEMA = Path(__file__).resolve().parents[1] / "golden" / "scope" / "schema.graphql"
KEY = "c9a1d25a-fcf3-4950-a660-2f5b04a25320"
ADD = "mutation Add($o: uuid) { insert_app_130_messages_one(object: {order_id: $o}) { id } }"
DROP = "mutation Drop($w: app_130_orders_bool_exp!) { delete_app_130_orders(where: $w) { affected_rows } }"
DONE: dict[str, Any] = {"data": {"insert_app_130_messages_one": {"id": KEY}}}


def count(alias: str, number: Any) -> dict[str, Any]:
    return {"data": {alias: {"aggregate": {"count": number}}}}


@pytest.fixture(autouse=True)
def quick_retries() -> Any:
    stamina.set_testing(True, attempts=2, cap=True)
    yield
    stamina.set_testing(False)


@pytest.fixture
def asked(server: Any, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server as a Hasura endpoint, and a package that declares one reference."""
    references = {"app_130_messages": {"order_id": Reference("app_130_orders", "id", "")}}
    index = index_schema(Sdl.read([("schema.graphql", SCHEMA.read_text())]), references=references)
    monkeypatch.setattr(call_module, "_registered", {})
    Facts("130", index.facts())
    monkeypatch.setenv("HASURA_GRAPHQL_ENDPOINT", f"{server.url}/v1/graphql")
    monkeypatch.setenv("ORGANIZATION_ID", "2")
    return server


def kinds(server: Any) -> list[str]:
    return [exchange.body["query"].split("(")[0] for exchange in server.exchanges]


def test_the_check_goes_first_with_the_mutations_headers_and_organization(asked: Any) -> None:
    seen: list[str] = []

    async def hook(operation: ScopedOperation, next: Any) -> Any:
        seen.append(operation.operation.name)
        return await next(operation.with_header("X-Trace", "t"))

    asked.answer = [count("keys_0", 1), DONE]
    with API(middleware=[hook]) as api:
        assert api.tables.execute(ADD, {"o": KEY}, organization_id=3) == DONE["data"]
    assert kinds(asked) == ["query AddCheck", "mutation Add"] and seen == ["Add"]
    check, mutation = asked.exchanges
    assert check.variables == {"organization_id": 3, "keys_0": [KEY]} and check.path == mutation.path
    assert check.headers["x-trace"] == mutation.headers["x-trace"] == "t"
    assert check.body["operationName"] == "AddCheck"


def test_nothing_is_asked_where_nothing_is_given(asked: Any) -> None:
    asked.answer = lambda exchange: DONE
    with API() as api:
        api.tables.execute(ADD, {"o": None})
        api.tables.execute(ADD)
        api.tables.execute("query Q { app_130_orders { id } }")
        api.tables.execute("mutation M { delete_app_130_stock(where: {}) { affected_rows } }")
        with all_organizations():
            api.tables.execute(ADD, {"o": KEY})
    assert kinds(asked) == ["mutation Add", "mutation Add", "query Q", "mutation M", "mutation Add"]


@pytest.mark.parametrize("number", [0, 2])
def test_a_refusal_is_an_answer_and_the_mutation_is_not_sent(asked: Any, number: int) -> None:
    asked.answer = lambda exchange: count("keys_0", number)
    with API() as api:
        response = api.tables.apps_graphql_query(130, "messages", GraphQLRequest(ADD, {"o": KEY}))
        with pytest.raises(GraphQLErrors) as caught:
            api.tables.execute(ADD, {"o": KEY})
    assert kinds(asked) == ["query AddCheck"] * 2
    assert caught.value.errors[0]["message"] == response.errors[0].message
    assert response.errors[0].message == (
        'Foreign key violation. insert or update on table "app_130_messages": referenced row does not exist'
    )
    assert response.errors[0].extensions == {
        "code": "constraint-violation",
        "path": "$.selectionSet.insert_app_130_messages_one.args.object",
    }
    assert response.data is None


def test_rows_of_others_are_counted_and_never_told(asked: Any) -> None:
    asked.answer = lambda exchange: count("rows_0", 12345)
    with API() as api, pytest.raises(GraphQLErrors, match="row is referenced") as caught:
        api.tables.execute(DROP, {"w": {"status": {"_eq": "x"}}})
    assert "12345" not in repr(caught.value.errors) and kinds(asked) == ["query DropCheck"]
    document = asked.exchanges[0].document
    assert "{_and:[{organization_id:{_eq:$organization_id}},$w]}" in document, "own rows alone are looked at"
    assert document.count("{aggregate{count}}") == 1


@pytest.mark.parametrize("answer", ["drop", "html", "shape", "bool"])
def test_a_check_without_an_answer_stops_the_mutation(asked: Any, app: SimpleNamespace, answer: str) -> None:
    bad = {
        "drop": app.Answer(drop=True),
        "html": app.Answer(b"<html>", status=500),
        "shape": {"data": {"keys_0": None}},
        "bool": count("keys_0", True),
    }[answer]
    asked.answer = lambda exchange: bad
    with API() as api, pytest.raises(TransportError, match="the mutation was not sent") as caught:
        api.tables.execute(ADD, {"o": KEY})
    assert caught.value.sent is False and isinstance(caught.value, ProtocolError) == (answer != "drop")
    assert set(kinds(asked)) == {"query AddCheck"}
    asked.exchanges.clear()
    with API() as api, pytest.raises(TransportError):
        api.tables.execute(ADD, {"o": KEY}, repeat=Repeat.NEVER)
    assert len(asked.exchanges) == 1


def test_an_error_of_the_check_says_that_nothing_was_written(asked: Any) -> None:
    error = {"message": "invalid input\nDETAIL: s3cret", "extensions": {"code": "data-exception", "internal": "s3cret"}}
    asked.answer = lambda exchange: {"errors": [error]}
    with API() as api, pytest.raises(GraphQLErrors, match=r"the mutation was not sent.*invalid input") as caught:
        api.tables.execute(ADD, {"o": KEY})
    assert caught.value.errors[0]["extensions"] == {"code": "data-exception", "path": "$"}
    assert "s3cret" not in repr(caught.value.errors) and len(asked.exchanges) == 1


def test_a_repeated_mutation_is_not_checked_again(asked: Any, app: SimpleNamespace) -> None:
    asked.answer = [count("keys_0", 1), app.Answer(drop=True), DONE]
    with API() as api:
        assert api.tables.execute(ADD, {"o": KEY}, repeat=Repeat.ALWAYS) == DONE["data"]
    assert kinds(asked) == ["query AddCheck", "mutation Add", "mutation Add"]


def test_references_hold_for_tables_that_are_read_from_the_server(asked: Any) -> None:
    """A document on a root field that the package doesn't know: the schema is asked for, the declarations are kept."""
    from graphql import build_schema, graphql_sync

    schema = build_schema(SCHEMA.read_text())
    facts = SchemaIndex.from_facts(call_module._registered["130"].text)
    roots = {kind: {n: r for n, r in found.items() if "insert" not in n} for kind, found in facts.roots.items()}
    call_module._registered.clear()
    from dataclasses import replace

    Facts("130", replace(facts, roots=roots).facts())

    def answer(exchange: Any) -> Any:
        if "__schema" in exchange.body["query"]:
            return {"data": graphql_sync(schema, exchange.body["query"]).data}
        return count("keys_0", 0)

    asked.answer = answer
    with API() as api, pytest.raises(GraphQLErrors, match="referenced row"):
        api.tables.execute(ADD, {"o": KEY})


def test_the_seal_holds() -> None:
    with pytest.raises(ScopeError):
        ScopedOperation(object(), BoundOperation("q", "query", "{ a }", "", "", ""), {}, 1, Repeat.NEVER, {})
