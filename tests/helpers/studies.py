"""Studies of a few small runs, submitted to this machine."""

import time
from pathlib import Path
from typing import Any

from bench.data.sources import describe_from
from sweeps import expand
from sweeps.expand import Planned
from sweeps.spec import StudySpec
from sweeps.status import status, study_status
from sweeps.submit import Submitted, submit

DEADLINE_SECONDS = 300


def spec(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "study": "small",
        "base": {"data": "digits", "image_size": 8, "steps": 4, "batch_size": 8},
        "grid": {"model": ["vit_nano2"], "seed": [0, 1]},
        "resources": {"parallel": 2},
    }
    return StudySpec.model_validate(values | changes)


def runs_of(study: StudySpec) -> list[Planned]:
    return expand.expand(study, describe_from(Path()))


def states(study_dir: Path) -> list[str]:
    return [run.state for run in status(study_dir)]


def wait_for(study_dir: Path, wanted: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while wanted not in states(study_dir):
        assert time.monotonic() < deadline, states(study_dir)
        time.sleep(0.1)


def wait_until_over(study_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while {"queued", "running"} & set(states(study_dir)):
        assert time.monotonic() < deadline, states(study_dir)
        time.sleep(0.1)


DEADLINE_SECONDS = 240


VALUES = {
    "study": "graph",
    "base": {"data": "digits", "image_size": 8, "steps": 4, "batch_size": 8},
    "grid": {"model": ["vit_nano2"], "seed": [0, 1]},
    "evaluations": [{"protocol": "fewshot", "shots": [1], "seeds": [0]}],
    "analysis": {"table.csv": "table --format csv", "frontier.png": "plot frontier"},
    "resources": {"parallel": 2},
}


def submit_spec(spec: StudySpec, root: Path) -> Submitted:
    runs = expand.expand(spec, describe_from(root))
    return submit(spec, runs, root, expand.evaluations(spec, describe_from(root)))


def wait(study_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not study_status(study_dir).is_over:
        assert time.monotonic() < deadline, study_status(study_dir)
        time.sleep(0.2)
