"""The deliberate faults of faults.py still have their places in the code. `make faults` puts each in and runs the tests."""

from __future__ import annotations

import pytest

from .faults import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_place(fault: Fault) -> None:
    assert (ROOT / "automio" / fault.file).read_text().count(fault.old) == 1
    assert fault.new != fault.old


def test_names_are_different() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
