"""Imports follow the arrows: cli, wrapper -> services, local -> codegen | runtime | engine -> scope -> dialect -> the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "automio"
BASE = {"request", "settings", "errors"}
DIALECT = BASE | {"dialect"}
SCOPE = DIALECT | {"scope"}
ALLOWED = {
    "request": set(),
    "errors": set(),
    "settings": {"request", "errors"},
    "dialect": BASE,
    "scope": DIALECT,
    "codegen": SCOPE,
    "runtime": SCOPE,
    "engine": DIALECT,
    "services": SCOPE | {"runtime"},
    "local": SCOPE | {"codegen", "runtime", "engine"},
    "wrapper": SCOPE | {"runtime", "services"},
    "testing": SCOPE | {"runtime", "engine", "services", "local", "wrapper"},
    "cli": SCOPE | {"codegen", "runtime", "engine", "services", "local", "wrapper"},
    "__main__": {"cli"},
    "__init__": SCOPE | {"runtime", "wrapper"},
}
ONLY_IN = {
    "ariadne_codegen": "codegen/models.py",
    "asyncpg": "engine/run.py",
    "gql": "runtime/http.py runtime/socket.py",
    "redis": "runtime/redis_store.py",
    "httpx": "nowhere",
    "requests": "nowhere",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, absolute dotted name) of every import of a module, wherever it stands."""
    found: list[tuple[int, str]] = []
    package = ("automio", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    layer = place.parts[0].removesuffix(".py")
    wrong: list[str] = []
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] == "automio" and len(parts) > 1:
            target = parts[1] if (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file() else ""
            if target and target != layer and target not in ALLOWED[layer]:
                wrong.append(f"automio/{place}:{line}: {layer} -> {target}")
        only = ONLY_IN.get(parts[0])
        if only and str(place) not in only.split():
            wrong.append(f"automio/{place}:{line}: {parts[0]} may be imported in {only} alone")
    assert not wrong, "\n".join(wrong)


def test_the_arrows_know_every_layer() -> None:
    layers = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert layers <= set(ALLOWED)
