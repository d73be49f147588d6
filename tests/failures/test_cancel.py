"""Studies cancelled while their jobs run."""

import time
from pathlib import Path

import pytest

from results import store
from sweeps.cancel import CancelError, cancel
from sweeps.status import study_status
from sweeps.submit import submit
from tests.helpers.heartbeats import has_stepped
from tests.helpers.studies import DEADLINE_SECONDS, runs_of, spec, states, wait_for, wait_until_over

LONG = {"data": "digits", "image_size": 8, "steps": 100, "batch_size": 64}
LONG |= {"engine": {"heartbeat_seconds": 0.01}}


def test_a_study_is_cancelled_and_goes_on_when_submitted_again(tmp_path: Path) -> None:
    study = spec(
        base=LONG, grid={"model": ["vit_nano2"], "seed": [0, 1, 2, 3]}, resources={"parallel": 2}
    )
    study_dir = submit(study, runs_of(study), tmp_path).study_dir
    wait_for(study_dir, "running")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not any(has_stepped(study_dir / run.run_id) for run in runs_of(study)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cancel(study_dir)
    wait_until_over(study_dir)
    ended = states(study_dir)
    assert set(ended) <= {"done", "cancelled"} and ended[2:] == ["cancelled"] * 2
    assert cancel(study_dir) == []
    stopped = store.load(study_dir).attempts
    stopped = stopped[stopped["ended"] == "killed"]

    again = submit(study, runs_of(study), tmp_path).submitted
    assert len(again) == ended.count("cancelled")
    wait_until_over(study_dir)
    assert states(study_dir) == ["done"] * 4
    attempts = store.load(study_dir).attempts
    assert set(stopped["to_examples"]) <= set(attempts["from_examples"])
    assert len(attempts) == 4 + len(stopped)


def test_one_queued_run_is_taken_back(tmp_path: Path) -> None:
    study = spec(grid={"model": ["vit_nano2"], "seed": [0, 1, 2]}, resources={"parallel": 1})
    runs = runs_of(study)
    study_dir = submit(study, runs, tmp_path).study_dir
    last = runs[-1].run_id
    assert cancel(study_dir, [last]) == [last]
    wait_until_over(study_dir)
    assert states(study_dir) == ["done", "done", "cancelled"]
    assert not (study_dir / last / "attempts").exists()
    with pytest.raises(CancelError, match="no run nothing"):
        cancel(study_dir, ["nothing"])


def test_what_waits_for_the_runs_is_cancelled_with_them(tmp_path: Path) -> None:
    study = spec(
        base=LONG, grid={"model": ["vit_nano2"]}, analysis={"frontier.png": "plot frontier"}
    )
    study_dir = submit(study, runs_of(study), tmp_path).study_dir
    cancel(study_dir)
    wait_until_over(study_dir)
    found = study_status(study_dir)
    assert found.is_over and found.analysis is not None
    assert found.analysis["state"] == "missing"
