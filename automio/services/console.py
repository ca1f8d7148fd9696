"""Progress -> the console, where no platform shows it: the one thing that automio prints. Used by tasks.py.

On a terminal with rich installed a bar that stays on its line; else a line for each report, with an end that is seen in a log.
Both go to stderr: what a program prints on stdout is its own.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from typing import Any

from automio.services.progress import State


class Console:
    """Shows the last state. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: tuple[Any, Any] | None = None

    def show(self, state: State) -> None:
        """A state that ends the task also ends the bar."""
        with self._lock:
            if not _is_terminal():
                print(state.line(), file=sys.stderr, flush=True)
                return
            bar, row = self._bar = self._bar or _start_bar()
            bar.update(row, completed=state.progress, description=_text(state))
            if state.ended:
                self._end()

    def close(self) -> None:
        """Leave the terminal as it was; the last bar stays to be read."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and importlib.util.find_spec("rich") is not None


def _start_bar() -> tuple[Any, Any]:
    import rich.console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=rich.console.Console(stderr=True))
    bar.start()
    return bar, bar.add_task("", total=100)


def _text(state: State) -> str:
    from rich.markup import escape

    shown = escape(state.info)
    return f"{shown} ({state.status})" if state.ended and state.status == "failed" else shown
