"""Operations + the project's Python files -> operations whose function no file names. Used by `automio generate --unused`.

A word search, no analysis: a function counts as used when its name stands anywhere in a Python file of the project, in a
call, an import, a string or a comment. So what is listed is named nowhere here, which is worth a look; it may still be
called from another repository, or by a name that is put together at run time. And a function with a common name (`latest`)
may be unused and not listed. Derived functions are left out: nobody wrote them.

Not searched: generated packages, folders that begin with a dot, environments and what was installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from automio.codegen.compiled import compile_functions
from automio.codegen.config import CodegenConfig
from automio.codegen.operations import at_node
from automio.codegen.sources import read_sources
from automio.codegen.write import is_generated
from automio.dialect.sdl import Sdl
from automio.errors import Diagnostic

_NOT_OURS = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "env"})
_WORD = re.compile(r"\w+")


def unused_operations(config: CodegenConfig) -> list[Diagnostic]:
    """A warning for each, at its name. Raises CodegenError when the schema cannot be read."""
    sources = read_sources(config)
    sdl = Sdl.read((file.path, file.text) for file in sources.schema)
    written = [found for found in compile_functions(sdl, sources.queries, config).functions.values() if found.located]
    missing = {found.name.rpartition(".")[2] for found in written}
    for path in python_files(config.root):
        if not missing:
            break
        missing -= set(_WORD.findall(path.read_text(encoding="utf-8", errors="replace")))
    return [
        at_node(
            found.located.file,
            found.located.node.name or found.located.node,
            f"no Python file of this project names {found.name}",
            "AUTOMIO-133",
            "Remove the operation, if nobody else calls it.",
        )
        for found in written
        if found.located and found.name.rpartition(".")[2] in missing
    ]


def python_files(root: Path) -> Iterator[Path]:
    """The project's own Python files, in a fixed order."""
    for base, folders, names in os.walk(root):
        here = Path(base)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_OURS
            and not (here / name / "pyvenv.cfg").exists()
            and not is_generated(here / name / "__init__.py")
        )
        yield from (here / name for name in sorted(names) if name.endswith(".py"))
