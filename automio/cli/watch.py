"""`automio generate --watch`: compile now, and again after each change of codegen.toml, schema or operations.

What is watched: codegen.toml, and the schema and queries that it names, as far as they exist. The watcher is on before the
first run begins, and collects while a run works, so no change is missed. It is set up anew after a change of codegen.toml
(other folders may count now, and an editor may have put another file in its place) and when something that was missing has
appeared; a run follows each time. Faults are told and waited out: the next change may repair them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from automio.cli import generate
from automio.cli.output import Report, Stopped, show_error
from automio.cli.project import read_config
from automio.errors import AutomioError

_ENDINGS = (".graphql", ".json")
_IDLE = 200
"""Milliseconds without a change, after which the watcher reports back."""


def watch(path: Path, show: Callable[[Report], None]) -> None:
    """Run until Ctrl-C. `show` gets the report of each run that wrote or removed something, and of the first one.

    Raises ConfigError when there is no codegen.toml to begin with.
    """
    if not path.exists():
        read_config(path)
    try:
        first = True
        while True:
            _watch_once(path, show, first)
            first = False
    except KeyboardInterrupt:
        return


def _watch_once(path: Path, show: Callable[[Report], None], first: bool) -> None:
    """Watch until what is to be watched has changed."""
    from watchfiles import watch as changes

    wanted = _wanted(path)
    present = [place for place in wanted if place.exists()]
    started = False
    for found in changes(
        *(present or [path.parent]),
        watch_filter=lambda _, name: Path(name).name == path.name or name.endswith(_ENDINGS),
        rust_timeout=_IDLE,
        yield_on_timeout=True,
        debounce=50,
        step=20,
    ):
        if not started or found:
            _run(path, show, first and not started)
            started = True
        again = any(Path(name).name == path.name for _, name in found)
        if again or [place for place in wanted if place.exists()] != present:
            return


def _wanted(path: Path) -> list[Path]:
    try:
        config = read_config(path)
    except (AutomioError, Stopped):
        return [path]
    return [path, config.root / config.schema, config.root / config.queries]


def _run(path: Path, show: Callable[[Report], None], always: bool) -> None:
    try:
        report = generate.run(path, quiet=True)
    except Stopped as stopped:
        show_error(stopped.error, as_json=False)
    except AutomioError as error:
        show_error(error, as_json=False)
    else:
        if always or any(report.data[name] for name in ("written", "replaced", "removed")):
            show(report)
