"""A probe that cannot be trained says why; what it measures is in test_sweeps_plan."""

from pathlib import Path

import pytest

from bench.run.config import Run
from sweeps.expand import expand
from sweeps.forecast.probe import ProbeFailed, check_device, measure
from sweeps.resources import Resources
from sweeps.spec import StudySpec


def run(folder: Path, **recipe: object) -> Run:
    base = {"data": "digits", "image_size": 8, "steps": 100, "batch_size": 16, "recipe": recipe}
    base["model"] = "vit_nano2"
    (made,) = expand(StudySpec.model_validate({"study": "s", "base": base}), folder)
    return made


def test_a_study_on_gpus_is_not_foretold_from_a_cpu() -> None:
    row = {"model": "vit_nano2", "device": "some CPU", "peak_memory_bytes": None}
    check_device(row, Resources())
    check_device(row | {"peak_memory_bytes": 1}, Resources(gpus_per_node=1))
    with pytest.raises(ProbeFailed, match=r"vit_nano2 ran on some CPU, the study asks for GPUs"):
        check_device(row, Resources(gpus_per_node=1))


@pytest.mark.failures
def test_a_probe_that_fails_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed, match=r"the probe of vit_nano2 failed: .*loss"):
        measure(run(tmp_path, lr=1e30, clip_norm=None), Resources(), 30)
