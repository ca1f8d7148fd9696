"""The generators beside us: ariadne-codegen with its defaults and at its best, and GraphQL Code Generator on node.

The same files in, each in a folder of its own. ariadne-codegen comes with this project; GraphQL Code Generator is put by
npm into a cache folder of the user's (not into the repository) where node and npm are there, in the versions below. It
makes types and typed documents, no client and no checks at run time, so it does less than the others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.processes import Cost, measure, median

DEFAULT: dict[str, object] = {}
BEST: dict[str, object] = {
    "include_all_inputs": False,
    "include_all_enums": False,
    "lazy_imports": True,
    "defer_model_build": True,
    "use_alias_generator": True,
}
NODE_PACKAGES = {
    "@graphql-codegen/cli": "7.4.3",
    "@graphql-codegen/typescript": "6.1.0",
    "@graphql-codegen/typescript-operations": "6.1.9",
    "@graphql-codegen/typed-document-node": "7.1.1",
    "graphql": "^16.0.0",
    "typescript": "^5.0.0",
}
_PLUGINS = ["typescript", "typescript-operations", "typed-document-node"]


def ariadne(folder: Path, schema: Path, runs: int, settings: dict[str, object] = BEST) -> Cost | None:
    """Generation of `folder`/client, None where ariadne-codegen is not installed."""
    try:
        version("ariadne-codegen")
    except PackageNotFoundError:
        return None
    places = {"schema_path": str(schema), "queries_path": str(folder / "queries"), "target_package_name": "client"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (places | settings).items()]
    (folder / "pyproject.toml").write_text("[tool.ariadne-codegen]\n" + "\n".join(lines) + "\n")
    costs: list[Cost] = []
    for _ in range(runs):
        shutil.rmtree(folder / "client", ignore_errors=True)
        costs.append(measure([sys.executable, "-W", "ignore", "-m", "ariadne_codegen"], folder))
    return median(costs)


def node_codegen(tool: Path, folder: Path, schema: Path, runs: int) -> Cost:
    """Generation of `folder`/types.ts: types, operations and typed documents."""
    config = {
        "schema": str(schema),
        "documents": str(folder / "queries" / "*.graphql"),
        "generates": {str(folder / "out" / "types.ts"): {"plugins": _PLUGINS}},
    }
    (folder / "codegen.json").write_text(json.dumps(config))
    node = shutil.which("node")
    assert node
    script = tool / "node_modules" / "@graphql-codegen" / "cli" / "cjs" / "bin.js"
    command = [node, "--max-old-space-size=8192", str(script), "--config", str(folder / "codegen.json")]
    costs: list[Cost] = []
    for _ in range(runs):
        shutil.rmtree(folder / "out", ignore_errors=True)
        costs.append(measure(command, tool))
    return median(costs)


def install_node_codegen() -> Path | str:
    """The folder with GraphQL Code Generator, installed once; or why there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return "node and npm are not installed"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "automio-benchmarks" / f"graphql-codegen-{NODE_PACKAGES['@graphql-codegen/cli']}"
    wanted = json.dumps({"private": True, "dependencies": NODE_PACKAGES}, indent=2)
    done = folder / ".installed"
    if done.exists() and done.read_text() == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(wanted)
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        return f"npm could not install it: {error.stderr.strip()[-500:]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm could not install it: {error}"
    done.write_text(wanted)
    return folder
