"""Probes that are killed."""

from pathlib import Path

import pytest

from bench.data.sources import describe_from
from bench.run.config import Run
from sweeps.expand import expand
from sweeps.forecast.probe import ProbeFailed, measure
from sweeps.resources import Resources
from sweeps.spec import StudySpec


def run(folder: Path, **recipe: object) -> Run:
    base = {"data": "digits", "image_size": 8, "steps": 100, "batch_size": 16, "recipe": recipe}
    base["model"] = "vit_nano2"
    (made,) = expand(StudySpec.model_validate({"study": "s", "base": base}), describe_from(folder))
    return made.run


def test_a_probe_that_fails_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed, match=r"the probe of vit_nano2 failed: .*loss"):
        measure(run(tmp_path, lr=1e30, clip_norm=None), Resources(), 30)
