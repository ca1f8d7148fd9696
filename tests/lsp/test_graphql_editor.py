"""`.graphqlrc.yml` makes .graphql files complete: the language server of GraphQL's editor extensions, on the sample workspace."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from automio.cli.init import GRAPHQLRC

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, node_tools: Path) -> Iterator[Path]:
    """What `automio init` and `pull` leave behind, and operations."""
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "schema", folder / "schema")
    shutil.copytree(ROOT / "queries", folder / "queries")
    (folder / ".graphqlrc.yml").write_text(GRAPHQLRC)
    (folder / "node_modules").symlink_to(node_tools / "node_modules")
    yield folder


NUMBERS = count()


async def completions(client: LanguageClient, workspace: Path, text: str) -> set[str]:
    """The labels offered where `|` stands, each time in a new file, since this server knows no didClose."""
    before, _, after = text.partition("|")
    uri = (workspace / "queries" / "app_130" / f"new{next(NUMBERS)}.graphql").as_uri()
    document = types.TextDocumentItem(uri=uri, language_id="graphql", version=1, text=before + after)
    client.text_document_did_open(types.DidOpenTextDocumentParams(document))
    position = types.Position(line=before.count("\n"), character=len(before) - before.rfind("\n") - 1)
    params = types.CompletionParams(text_document=types.TextDocumentIdentifier(uri=uri), position=position)
    answer = await client.text_document_completion_async(params)
    for _ in range(100):  # the server answers nothing until it has read configuration and schema
        if answer and (not isinstance(answer, types.CompletionList) or answer.items):
            break
        await asyncio.sleep(0.1)
        answer = await client.text_document_completion_async(params)
    items = answer.items if isinstance(answer, types.CompletionList) else answer or []
    return {item.label for item in items}


@pytest.fixture
async def client(workspace: Path, node_tools: Path) -> AsyncIterator[LanguageClient]:
    program = node_tools / "node_modules" / ".bin" / "graphql-lsp"
    config = ClientServerConfig(
        server_command=[str(program), "server", "--method", "stream", "--configDir", str(workspace)]
    )
    lsp_client = await config.start()
    lsp_client.set_configuration({"graphql-config": {}, "vscode-graphql": {}})
    items = types.ClientCompletionItemOptions(snippet_support=True)
    capabilities = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(configuration=True),
        text_document=types.TextDocumentClientCapabilities(
            completion=types.CompletionClientCapabilities(completion_item=items)
        ),
    )
    await lsp_client.initialize_session(types.InitializeParams(capabilities=capabilities, root_uri=workspace.as_uri()))
    yield lsp_client
    await lsp_client.shutdown_session()
    await lsp_client.stop()


async def test_a_graphql_file_completes(client: LanguageClient, workspace: Path) -> None:
    found = await completions(client, workspace, "query New { | }\n")
    assert {"app_130_orders", "app_130_messages", "app_130_billing_entries"} <= found
    found = await completions(client, workspace, "query New { app_130_orders { | } }\n")
    assert {"orderId", "buyerLogin", "messages"} <= found
    found = await completions(client, workspace, "query New { app_130_orders(|) { id } }\n")
    assert {"where", "order_by", "limit"} <= {name.rstrip(": ") for name in found}
    found = await completions(client, workspace, "query New { app_130_orders(where: {|}) { id } }\n")
    assert {"orderId", "_and"} <= {name.rstrip(": ") for name in found}


def test_its_globs_name_schema_and_operations(tmp_path: Path) -> None:
    """Without a language server: what graphql-config makes of the file is every file that `pull` and people write."""
    config = yaml.safe_load(GRAPHQLRC)
    assert config.keys() == {"schema", "documents"}
    for folder, key in (("schema", "schema"), ("queries", "documents")):
        here = set((ROOT / folder).rglob("*.graphql"))
        assert here and set(ROOT.glob(config[key])) == here
