"""`automio serve`: the local platform in the foreground, until Ctrl-C or SIGTERM. All of it is local/server.py."""

from __future__ import annotations

import sys
from pathlib import Path

from automio.cli.output import Report
from automio.local.config import FILE, PlatformConfig, load_platform
from automio.local.server import serve


def run(config: Path | None, host: str, port: int) -> Report:
    """Serve until stopped; prints `ready http://HOST:PORT` on stdout when it answers. Raises ConfigError, LocalError.

    Without a platform.toml the gateway has no tokens, and the admin's endpoint serves alone: that is said on stderr.
    """
    path = config or Path(FILE)
    if config is None and not path.exists():
        print(f"note: there is no {FILE}, so no token is known and only the admin's endpoint serves", file=sys.stderr)
        platform = PlatformConfig(path.parent)
    else:
        platform = load_platform(path)
    serve(platform, host, port)
    return Report(())
