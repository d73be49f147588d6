"""Bringing a study to its wanted state with the local scheduler: real jobs, tiny runs."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.run.attempt import read_disk
from bench.run.config import Run
from results import store
from results.ledger import parquet
from sweeps.expand import expand
from sweeps.schedulers import submissions
from sweeps.spec import SpecError, StudySpec
from sweeps.status import counts, read_study, status
from sweeps.submit import submit

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 300


def spec(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "study": "small",
        "base": {"data": "digits", "image_size": 8, "steps": 4, "batch_size": 8},
        "grid": {"model": ["vit_nano2"], "seed": [0, 1]},
        "resources": {"parallel": 2},
    }
    return StudySpec.model_validate(values | changes)


def runs_of(study: StudySpec) -> list[Run]:
    return expand(study, Path())


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


def kill_tree(study_dir: Path) -> None:
    """Kills the dispatcher of a study and whatever it has started, without a warning."""
    for process in psutil.process_iter(["cmdline"]):
        if str(study_dir) in " ".join(process.info["cmdline"] or []):
            os.kill(process.pid, signal.SIGKILL)


def test_a_study_is_run_once_and_again_only_what_is_missing(tmp_path: Path) -> None:
    study = spec()
    first = submit(study, runs_of(study), tmp_path)
    assert len(first.submitted) == 2 and first.skipped == []
    twice = submit(study, runs_of(study), tmp_path)
    assert twice.submitted == [] and twice.skipped == first.submitted
    wait_until_over(first.study_dir)
    assert states(first.study_dir) == ["done", "done"]

    wider = spec(grid={"model": ["vit_nano2"], "seed": [0, 1, 2]})
    more = submit(wider, runs_of(wider), tmp_path)
    assert [run_id.split("-")[3] for run_id in more.submitted] == ["s2"]
    wait_until_over(more.study_dir)

    study_read = store.load(more.study_dir)
    assert sorted(study_read.runs["seed"]) == [0, 1, 2]
    assert study_read.runs["attempts"].tolist() == [1, 1, 1]
    assert read_study(more.study_dir)["spec"]["grid"]["seed"] == [0, 1, 2]

    # What has been trained keeps the config that it was trained with.
    configs = {path: path.read_text() for path in more.study_dir.glob("*/config.json")}
    other = wider.model_copy(update={"base": wider.base | {"engine.zero_stage": 2}})
    assert submit(other, runs_of(other), tmp_path).submitted == []
    assert configs == {path: path.read_text() for path in configs}


@pytest.mark.failures
def test_a_killed_study_goes_on_and_has_each_run_once(tmp_path: Path) -> None:
    base = {"data": "digits", "image_size": 8, "steps": 150, "batch_size": 64}
    base |= {"engine": {"checkpoint_seconds": 0.2, "log_steps": 5}}
    study = spec(base=base)
    runs = runs_of(study)
    study_dir = submit(study, runs, tmp_path).study_dir
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not list(study_dir.glob("*/checkpoint/latest.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kill_tree(study_dir)
    # What is killed is gone a moment later, on a busy machine.
    wait_until_over(study_dir)
    assert set(states(study_dir)) == {"missing"}

    again = submit(study, runs, tmp_path)
    assert again.submitted
    wait_until_over(study_dir)
    loaded = store.load(study_dir)
    assert sorted(loaded.runs["run_id"]) == sorted(run.run_id for run in runs)
    assert set(loaded.runs["state"]) == {"done"}
    lost = loaded.attempts[loaded.attempts["ended"] == "lost"]
    assert len(lost) >= 1
    resumed = loaded.attempts[loaded.attempts["from_examples"] > 0]
    assert len(resumed) >= 1, "no attempt went on from a checkpoint"


@pytest.mark.failures
def test_a_run_that_fails_is_shown_with_its_reason_and_tried_again(tmp_path: Path) -> None:
    base = {"data": "digits", "image_size": 8, "steps": 40, "batch_size": 8}
    base |= {"recipe": {"lr": 1e30, "clip_norm": None}}
    study = spec(base=base, grid={"model": ["vit_nano2"]})
    runs = runs_of(study)
    study_dir = submit(study, runs, tmp_path).study_dir
    wait_until_over(study_dir)
    (run,) = status(study_dir)
    assert run.state == "failed"
    assert "NonFiniteLoss: the loss is" in run.as_json()["failure"]
    (row,) = parquet.read_rows(study_dir / run.run_id / "run.parquet")
    assert row["state"] == "failed" and row["top1_accuracy"] is None
    assert submit(study, runs, tmp_path).submitted == [run.run_id]
    wait_until_over(study_dir)
    assert read_disk(study_dir / run.run_id).attempt == 2


def test_never_more_runs_at_a_time_than_asked(tmp_path: Path) -> None:
    study = spec(resources={"parallel": 1})
    study_dir = submit(study, runs_of(study), tmp_path).study_dir
    most = 0
    while {"queued", "running"} & set(states(study_dir)):
        most = max(most, counts(status(study_dir))["running"])
        time.sleep(0.05)
    assert most == 1
    assert states(study_dir) == ["done", "done"]


@pytest.mark.failures
def test_two_submits_at_the_same_moment_submit_each_run_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "submit", "demo", "--json", "--root", str(tmp_path)]
    command += ["--set", "model=vit_nano2", "--set", "train_examples=[50, 60]", "--set", "steps=2"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        for _ in range(2)
    ]
    answers = [json.loads(process.communicate()[0]) for process in both]
    assert sorted(len(answer["submitted"]) for answer in answers) == [0, 2]
    wait_until_over(tmp_path / "demo")
    assert store.load(tmp_path / "demo").runs["attempts"].tolist() == [1, 1]


def test_an_id_that_exists_with_another_config_is_refused(tmp_path: Path) -> None:
    study = spec(grid={"model": ["vit_nano2"]})
    (run,) = runs_of(study)
    other = run.model_copy(update={"config": run.config.model_copy(update={"seed": 5})})
    run_dir = tmp_path / "small" / run.run_id
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(other.model_dump_json())
    with pytest.raises(SpecError, match="another config with the same id") as caught:
        submit(study, [run], tmp_path)
    assert '"seed": 5' in str(caught.value)
    assert not (tmp_path / "small" / "study.json").exists(), "something was started"


def test_submissions_are_read_oldest_first_and_after_a_name(tmp_path: Path) -> None:
    written = [submissions.write(tmp_path, "slurm", {f"run{i}": 0}, {}, {}) for i in range(3)]
    assert submissions.read(tmp_path) == written
    assert submissions.read(tmp_path, after=written[0].name) == written[1:]


@pytest.mark.failures
def test_a_run_that_is_warned_is_started_again(tmp_path: Path) -> None:
    base = {"data": "digits", "image_size": 8, "steps": 200, "batch_size": 64}
    base |= {"engine": {"heartbeat_seconds": 0.01}}
    study = spec(base=base, grid={"model": ["vit_nano2"], "seed": [0]})
    (run,) = runs_of(study)
    study_dir = submit(study, [run], tmp_path).study_dir
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not read_disk(study_dir / run.run_id).beat.get("step"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(read_disk(study_dir / run.run_id).beat["pid"], signal.SIGUSR2)
    wait_until_over(study_dir)
    attempts = store.load(study_dir).attempts.sort_values("attempt")
    assert attempts["ended"].tolist() == ["preempted", "done"]
    first, second = attempts["from_examples"].tolist()
    assert first == 0 and second == attempts["to_examples"].tolist()[0] > 0


def test_a_folder_whose_name_would_run_in_a_shell_is_refused(tmp_path: Path) -> None:
    study = spec()
    with pytest.raises(SpecError, match="expected printable text"):
        submit(study, runs_of(study), tmp_path / "a\ntouch b")
    assert not list(tmp_path.iterdir())


def test_looking_for_the_dispatcher_keeps_none_from_its_place(tmp_path: Path) -> None:
    first = submissions.take_dispatch(tmp_path)
    assert first is not None and submissions.take_dispatch(tmp_path) is None
    assert submissions.is_dispatched(tmp_path)
    os.close(first)
    assert not submissions.is_dispatched(tmp_path)
    with (tmp_path / submissions.DISPATCHER_LOCK).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not submissions.is_dispatched(tmp_path)  # nor does one who looks take another for it
