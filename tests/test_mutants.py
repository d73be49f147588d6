"""The planted faults are up to date: each has its place, and the tests that must notice it."""

import pytest

from tests.helpers.paths import ROOT
from tests.mutants import Fault, faults

FAULTS = faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_its_place_and_its_tests(fault: Fault) -> None:
    assert fault.planted((ROOT / fault.file).read_text()) is not None
    for test in fault.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).exists()
        assert not (ROOT / file).is_file() or name.partition("[")[0] in (ROOT / file).read_text()


def test_every_package_has_faults() -> None:
    rooms = {fault.file.split("/")[0] for fault in FAULTS}
    assert rooms == {"models", "bench", "sweeps", "results"}
