"""The last act of a job, on runs whose attempts are written down."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.data.sources import describe_from
from bench.run.attempt import Attempt, read_disk
from bench.run.environment import STARTED
from results.ledger import parquet
from sweeps import expand, submit
from sweeps.jobs import requeue
from sweeps.schedulers import submissions
from sweeps.schedulers.slurm import Slurm
from sweeps.spec import StudySpec

RESOURCES = {"max_timeouts": 1, "max_retries": 1}


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that is job 17_0 of an array, which began long ago."""
    base = {"data": "digits", "image_size": 8, "steps": 4, "batch_size": 8}
    spec = StudySpec(study="s", base=base, grid={"model": ["vit_nano2"]})
    (one,) = expand.expand(spec, describe_from(tmp_path))
    run = one.run
    submit.write_study(tmp_path / "s", spec, [run])
    submit.write_config(tmp_path / "s", run)
    submissions.write(tmp_path / "s", "slurm", {run.run_id: 0}, RESOURCES, {run.run_id: "17_0"})
    monkeypatch.setenv(STARTED, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    return tmp_path / "s" / run.run_id


@pytest.fixture
def requeued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(Slurm, "requeue", lambda _, job, without: asked.append((job, without)))
    return asked


def test_a_preempted_run_is_requeued_and_a_done_one_is_not(
    run_dir: Path, requeued: list[Any]
) -> None:
    Attempt(run_dir).end("preempted")
    assert not requeue.finish(run_dir.parent, "17_0")
    assert requeued == [("17_0", [])]
    Attempt(run_dir).end("done")
    assert requeue.finish(run_dir.parent, "17_0")
    assert len(requeued) == 1


def test_a_run_that_gets_no_further_is_given_up_with_its_row(
    run_dir: Path, requeued: list[Any]
) -> None:
    for _ in range(2):
        Attempt(run_dir).end("hang", "no step for 30 s")
        assert not requeue.finish(run_dir.parent, "17_0")
    assert len(requeued) == 1
    disk = read_disk(run_dir)
    assert disk.state == "failed" and "hang: no step for 30 s" in (disk.reason or "")
    (row,) = parquet.read_rows(run_dir / "run.parquet")
    assert (row["state"], row["attempts"], row["model"]) == ("failed", 2, "vit_nano2")
    assert len(list(run_dir.glob("attempts/*.parquet"))) == 2

    # Submitted again it starts from zero, and its old row says nothing of it.
    submissions.write(run_dir.parent, "slurm", {run_dir.name: 2}, RESOURCES, {run_dir.name: "18"})
    Attempt(run_dir).end("killed", "SIGTERM")
    assert read_disk(run_dir).state == "missing"
    assert not requeue.finish(run_dir.parent, "18")
    assert requeued[1:] == [("18", [])]


def test_jobs_without_an_attempt_are_counted_by_their_restarts(
    run_dir: Path, requeued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not requeue.finish(run_dir.parent, "17_0")
    assert requeued == [("17_0", [])]
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert not requeue.finish(run_dir.parent, "17_0")
    assert len(requeued) == 1
    disk = read_disk(run_dir)
    assert disk.state == "failed" and "before an attempt began" in (disk.reason or "")
    assert parquet.read_rows(run_dir / "run.parquet")[0]["state"] == "failed"


def test_what_was_cancelled_is_not_requeued(run_dir: Path, requeued: list[Any]) -> None:
    Attempt(run_dir).end("killed", "SIGTERM")
    submissions.write(run_dir.parent, submissions.CANCELLED, {run_dir.name: 1}, {}, {})
    assert not requeue.finish(run_dir.parent, "17_0")
    assert requeued == []


def test_a_job_that_no_submission_names_is_said(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requeue, "KNOWN_SECONDS", 0.0)
    with pytest.raises(LookupError, match="no submission names job 99"):
        requeue.finish(run_dir.parent, "99")
    assert json.loads((run_dir / "config.json").read_text())["study"] == "s"
