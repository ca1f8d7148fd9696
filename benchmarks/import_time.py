"""What `from app_1 import orders` costs, beside the same in ariadne-codegen's package.  python -m benchmarks.import_time

A process each: import, then the first `where` is built. `pydantic` is `import pydantic` with one model class, since a
generated module needs that; what comes on top is ours. The rival's is its `Client` and the bool_exp class of one table,
constructed once (its "best" settings: lazy imports, deferred models). The schema is one app of 10 and, with --large, of
100 connected tables; a module a table and inputs for checkers alone make its size no matter.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generate import SCHEMAS, ours, project, synthetic
from benchmarks.processes import measure
from benchmarks.rivals import ariadne

EXTRA_MS = 30
PYDANTIC = "import pydantic; type('M', (pydantic.BaseModel,), {'model_config': {'defer_build': True}})"
OURS = "from app_1 import orders; where = {'status': {'_eq': 'new'}}; orders.find"
RIVALS = (
    "from client import Client; from client.input_types import app_1_orders_bool_exp, String_comparison_exp; "
    "app_1_orders_bool_exp(status=String_comparison_exp(eq='new'))"
)


def milliseconds(code: str, folder: Path, runs: int) -> tuple[float, float]:
    """CPU milliseconds and MB of a process that runs `code`, compiled modules present; medians."""
    costs = [measure([sys.executable, "-c", code], folder) for _ in range(runs + 1)][1:]
    return statistics.median(c.cpu for c in costs) * 1000, statistics.median(c.memory for c in costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument(
        "--large", action="store_true", help="100 connected tables instead of 10; the rival takes longer"
    )
    given = parser.parse_args()
    if not SCHEMAS.is_dir():
        raise SystemExit("the folder ../shared (reference schemas) is not here")
    tables = 100 if given.large else 10
    with TemporaryDirectory() as name:
        work = Path(name)
        schema, operations = synthetic(work, 1, tables)
        mine = project(work / "mine", schema, operations, "")
        ours(mine, 1)
        peer_folder = project(work / "rival", schema, operations, "")
        peer = ariadne(peer_folder, schema, 1)
        bare, _ = milliseconds("pass", mine, given.runs)
        pydantic, memory = milliseconds(PYDANTIC, mine, given.runs)
        print(
            f"{tables} tables; Python {sys.version.split()[0]}, pydantic {version('pydantic')}; bare interpreter {bare:.0f} ms"
        )
        print(f"  pydantic alone             {pydantic:6.0f} ms CPU  {memory:5.0f} MB")
        if peer:
            cost, memory = milliseconds(RIVALS, peer_folder, given.runs)
            print(f"  ariadne-codegen {version('ariadne-codegen')}, best {cost:6.0f} ms CPU  {memory:5.0f} MB")
        cost, memory = milliseconds(OURS, mine, given.runs)
        extra = cost - pydantic
        print(
            f"  automio                    {cost:6.0f} ms CPU  {memory:5.0f} MB  {extra:+.0f} ms over pydantic, target +{EXTRA_MS}"
        )


if __name__ == "__main__":
    main()
