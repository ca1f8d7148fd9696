"""Run the benchmarks one after the other, never side by side: `python -m benchmarks [generate] [import_time] [call] [engine]
[dev_loop] [scoping] [integrations]`."""

from __future__ import annotations

import importlib
import sys
import time

ALL = ("generate", "import_time", "call", "engine", "dev_loop", "scoping", "integrations")


def main() -> int:
    wanted = sys.argv[1:] or list(ALL)
    unknown = [name for name in wanted if name not in ALL]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    sys.argv = sys.argv[:1]
    for name in wanted:
        started = time.perf_counter()
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
