"""Submitting while jobs die or race."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from bench.run.attempt import read_disk
from results import store
from results.ledger import parquet
from sweeps.status import status
from sweeps.submit import submit
from tests.helpers.heartbeats import has_stepped, last_beat
from tests.helpers.paths import ROOT
from tests.helpers.studies import DEADLINE_SECONDS, runs_of, spec, states, wait_until_over


def kill_tree(study_dir: Path) -> None:
    """Kills the dispatcher of a study and whatever it has started, without a warning."""
    for process in psutil.process_iter(["cmdline"]):
        if str(study_dir) in " ".join(process.info["cmdline"] or []):
            os.kill(process.pid, signal.SIGKILL)


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


def test_a_run_that_is_warned_is_started_again(tmp_path: Path) -> None:
    base = {"data": "digits", "image_size": 8, "steps": 200, "batch_size": 64}
    base |= {"engine": {"heartbeat_seconds": 0.01}}
    study = spec(base=base, grid={"model": ["vit_nano2"], "seed": [0]})
    (run,) = runs_of(study)
    study_dir = submit(study, [run], tmp_path).study_dir
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not has_stepped(study_dir / run.run_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(last_beat(study_dir / run.run_id).pid, signal.SIGUSR2)
    wait_until_over(study_dir)
    attempts = store.load(study_dir).attempts.sort_values("attempt")
    assert attempts["ended"].tolist() == ["preempted", "done"]
    first, second = attempts["from_examples"].tolist()
    assert first == 0 and second == attempts["to_examples"].tolist()[0] > 0
