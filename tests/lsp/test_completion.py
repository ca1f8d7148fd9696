"""An editor completes the generated functions, the models' attributes and the keys of `where`: seen through a language server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
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


async def completions(client: LanguageClient, text: str) -> set[str]:
    """The labels offered where `|` stands in the text."""
    before, _, after = text.partition("|")
    uri = (ROOT / "editor_session.py").as_uri()
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            types.TextDocumentItem(uri=uri, language_id="python", version=1, text=before + after)
        )
    )
    try:
        answer = await client.text_document_completion_async(
            types.CompletionParams(
                text_document=types.TextDocumentIdentifier(uri=uri),
                position=types.Position(line=before.count("\n"), character=len(before) - before.rfind("\n") - 1),
            )
        )
    finally:
        client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri=uri)))
    items = answer.items if isinstance(answer, types.CompletionList) else answer or []
    return {item.label for item in items}


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
    assert {'"order_id"', '"delivered"', '"messages"', '"_and"'} <= found or {
        "order_id",
        "delivered",
        "messages",
        "_and",
    } <= found


async def test_operators_of_a_column_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.find(where={"total": {"|"}})\n')
    assert {'"_gte"', '"_in"'} <= found or {"_gte", "_in"} <= found


async def test_constraints_complete(client: LanguageClient) -> None:
    found = await completions(client, 'from app_130 import orders\norders.upsert_many([], on_conflict="|")\n')
    assert any("uq_app_130_orders_orderId_org" in label for label in found)
