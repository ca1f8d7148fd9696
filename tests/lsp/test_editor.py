"""What an editor shows of generated code, seen through a language server.

Completed: functions, coroutines, arguments, attributes, keys of `where`, operators, columns, constraint names. Hovering shows
the docstring with its source; the definition of a function is its table's module.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = Path(sys.executable).parent / "basedpyright-langserver"


@pytest_lsp.fixture(config=ClientServerConfig(server_command=[str(SERVER), "--stdio"]))
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    lsp_client.set_configuration({"python": {"pythonPath": sys.executable}, "basedpyright": {}})
    await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(configuration=True)),
            root_uri=ROOT.as_uri(),
            workspace_folders=[types.WorkspaceFolder(uri=ROOT.as_uri(), name="automio")],
        )
    )
    yield
    await lsp_client.shutdown_session()


URI = (ROOT / "editor_session.py").as_uri()


@asynccontextmanager
async def opened(client: LanguageClient, text: str) -> AsyncIterator[types.Position]:
    """A file with this text is open in the editor; the position where `|` stood."""
    before, _, after = text.partition("|")
    document = types.TextDocumentItem(uri=URI, language_id="python", version=1, text=before + after)
    client.text_document_did_open(types.DidOpenTextDocumentParams(document))
    try:
        yield types.Position(line=before.count("\n"), character=len(before) - before.rfind("\n") - 1)
    finally:
        client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri=URI)))


async def completions(client: LanguageClient, text: str) -> set[str]:
    """The labels offered where `|` stands in the text, quotes of strings left out."""
    async with opened(client, text) as position:
        params = types.CompletionParams(text_document=types.TextDocumentIdentifier(uri=URI), position=position)
        answer = await client.text_document_completion_async(params)
    items = answer.items if isinstance(answer, types.CompletionList) else answer or []
    return {item.label.strip("\"'") for item in items}


async def test_functions_of_a_table_complete(client: LanguageClient) -> None:
    found = await completions(client, "from app_130 import orders\norders.|\n")
    assert {"get_by_order_id", "find", "upsert_many", "Order"} <= found


async def test_coroutines_of_a_table_complete(client: LanguageClient) -> None:
    found = await completions(client, "from app_130.aio import orders\norders.|\n")
    assert {"get_by_order_id", "find", "upsert_many"} <= found


async def test_attributes_of_a_model_complete(client: LanguageClient) -> None:
    text = 'from app_130 import orders\norder = orders.get_by_order_id("1")\nif order:\n    order.|\n'
    found = await completions(client, text)
    assert {"order_id", "buyer_login", "delivered"} <= found


async def test_keys_of_where_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(where={"|"})\n')
    assert {"order_id", "delivered", "messages", "_and"} <= found


async def test_operators_of_a_column_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(where={"total": {"|"}})\n')
    assert {"_gte", "_in"} <= found
    assert "_like" not in found, "a number has no patterns"


async def test_arguments_complete(client: LanguageClient) -> None:
    found = await completions(client, "from app_130 import orders\norders.find(|)\n")
    assert {"where=", "order_by=", "limit=", "organization_id="} <= found


async def test_columns_of_an_update_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.update(where={}, set={"|"})\n')
    assert {"status", "buyer_login"} <= found
    assert "organization_id" not in found, "the scope gives it"


async def test_constraints_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.upsert_many([], on_conflict="|")\n')
    assert "uq_app_130_orders_orderId_org" in found


async def test_columns_of_a_row_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.insert({"|"})\n')
    assert {"status", "buyer_login", "messages"} <= found
    assert "organization_id" not in found, "the scope gives it"


async def test_columns_of_an_order_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(order_by={"|"})\n')
    assert {"created_at", "status"} <= found
    found = await completions(client, 'from app_130 import orders\norders.find(order_by={"created_at": "|"})\n')
    assert {"asc", "desc_nulls_last"} <= found


async def test_columns_in_lists_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(distinct_on=["|"])\n')
    assert {"created_at", "status"} <= found
    text = 'from app_130 import orders\nname = "uq_app_130_orders_orderId_org"\n'
    found = await completions(client, f'{text}orders.upsert_many([], on_conflict=name, update=["|"])\n')
    assert {"status", "total"} <= found
    found = await completions(client, 'from app_130 import orders\norders.aggregate(sum=["|"])\n')
    assert "total" in found and "status" not in found, "a text has no sum"


async def test_keys_below_a_relationship_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(where={"messages": {"|"}})\n')
    assert {"message_content", "sent_at", "order"} <= found
    assert "buyer_login" not in found, "that is a column of orders"


async def test_arguments_of_an_operation_complete(client: LanguageClient) -> None:
    found = await completions(client, "from app_130 import orders\norders.get_by_order_id(|)\n")
    assert {"order_id=", "organization_id="} <= found
    found = await completions(client, 'from app_130.aio import orders\norders.find(where={"|"})\n')
    assert {"order_id", "messages"} <= found


async def test_hovering_over_a_derived_function_says_so(client: LanguageClient) -> None:
    async with opened(client, "from app_130.aio import orders\norders.fi|nd()\n") as position:
        params = types.HoverParams(text_document=types.TextDocumentIdentifier(uri=URI), position=position)
        answer = await client.text_document_hover_async(params)
    assert answer
    text = answer.contents.value if isinstance(answer.contents, types.MarkupContent) else str(answer.contents)
    assert "async def" in text or "CoroutineType" in text
    assert "Safe to repeat" in text and "derived: orders.find" in text


async def test_the_definition_of_an_attribute_is_its_model(client: LanguageClient) -> None:
    text = "from app_130 import orders\nfor order in orders.find():\n    print(order.buyer_lo|gin)\n"
    async with opened(client, text) as position:
        params = types.DefinitionParams(text_document=types.TextDocumentIdentifier(uri=URI), position=position)
        answer = await client.text_document_definition_async(params)
    (place,) = answer if isinstance(answer, list) else [answer]
    assert isinstance(place, types.Location) and place.uri == (ROOT / "app_130" / "orders.py").as_uri()
    line = (ROOT / "app_130" / "orders.py").read_text().splitlines()[place.range.start.line]
    assert line.strip().startswith("buyer_login: ")


async def test_hovering_shows_the_docstring_and_its_source(client: LanguageClient) -> None:
    async with opened(client, "from app_130 import orders\norders.get_by_or|der_id\n") as position:
        params = types.HoverParams(text_document=types.TextDocumentIdentifier(uri=URI), position=position)
        answer = await client.text_document_hover_async(params)
    assert answer
    text = answer.contents.value if isinstance(answer.contents, types.MarkupContent) else str(answer.contents)
    assert "GetByOrderIdOrder | None" in text
    assert "queries/app\\_130/orders.graphql:3" in text or "queries/app_130/orders.graphql:3" in text


async def test_the_definition_is_in_the_tables_module(client: LanguageClient) -> None:
    async with opened(client, "from app_130 import orders\norders.get_by_or|der_id\n") as position:
        params = types.DefinitionParams(text_document=types.TextDocumentIdentifier(uri=URI), position=position)
        answer = await client.text_document_definition_async(params)
    places = answer if isinstance(answer, list) else [answer]
    assert any(
        isinstance(place, types.Location) and place.uri == (ROOT / "app_130" / "orders.py").as_uri() for place in places
    ), places
