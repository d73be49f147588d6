"""A probe that cannot be trained says why; what it measures is in test_sweeps_plan."""

import pytest

from sweeps.forecast.probe import ProbeFailed, check_device
from sweeps.resources import Resources


def test_a_study_on_gpus_is_not_foretold_from_a_cpu() -> None:
    row = {"model": "vit_nano2", "device": "some CPU", "peak_memory_bytes": None}
    check_device(row, Resources())
    check_device(row | {"peak_memory_bytes": 1}, Resources(gpus_per_node=1))
    with pytest.raises(ProbeFailed, match=r"vit_nano2 ran on some CPU, the study asks for GPUs"):
        check_device(row, Resources(gpus_per_node=1))
