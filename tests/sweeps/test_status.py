"""States of runs as the files of a study tell them."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.run.config import RunSummary
from sweeps.schedulers import submissions
from sweeps.status import RunStatus, counts, eta_seconds, status
from sweeps.study import StudyError, StudyRecord, read
from tests.helpers.heartbeats import make_beat, write_beat

ABOUT = RunSummary("r", "vit_nano2", "digits", 8, 100, 640, 10, 64, 0, "adam")


def write_study(folder: Path, *run_ids: str) -> None:
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps({"runs": [{"run_id": i} for i in run_ids]}))


def test_each_state_is_told_from_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_study(folder, "untouched", "alive", "dead", "over", "broken")
    write_beat(folder / "alive")
    write_beat(folder / "dead", pid_started=1.0)
    write_beat(folder / "over", ended="done")
    write_beat(folder / "broken", ended="failed", reason="no luck")
    runs = {run.run_id: run for run in status(folder)}
    assert {run_id: run.state for run_id, run in runs.items()} == {
        "untouched": "missing",
        "alive": "running",
        "dead": "missing",
        "over": "done",
        "broken": "failed",
    }
    assert runs["broken"].as_json()["failure"] == "no luck"
    assert counts(list(runs.values()))["missing"] == 2


def test_a_run_is_queued_while_a_dispatcher_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_study(folder, "first", "second")
    write_beat(folder / "second", ended="failed")
    submissions.write(folder, "local", {"first": 0, "second": 1}, {}, {})
    assert [run.state for run in status(folder)] == ["missing", "failed"]
    handle = submissions.take_dispatch(folder)
    assert handle is not None
    assert submissions.take_dispatch(folder) is None, "two dispatchers at a time"
    assert [run.state for run in status(folder)] == ["queued", "queued"]
    write_beat(folder / "second", number=2, ended="done")
    assert [run.state for run in status(folder)] == ["queued", "done"]
    os.close(handle)
    assert [run.state for run in status(folder)] == ["missing", "done"]


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such study"):
        status(tmp_path)


def test_the_time_left_follows_from_the_speed_of_this_attempt() -> None:
    # From step 20 to 60 of 100 in 8 seconds: 40 steps are left, another 8 seconds.
    beat = make_beat(
        step=60,
        num_steps=100,
        from_examples=20 * 16,
        to_examples=60 * 16,
        train_seconds=8.0,
    )
    assert eta_seconds(RunStatus("r", "running", 1, ABOUT, beat)) == pytest.approx(8.0)
    assert eta_seconds(RunStatus("r", "running", 1, ABOUT, make_beat())) is None


@pytest.mark.parametrize("text", ["{}", "[]", "{", ""])
def test_a_study_whose_record_is_damaged_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match=r"study\.json: no.*, expected what submit writes"):
        read(tmp_path)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = StudyRecord("s", (ABOUT,), {"analysis": {"a.png": "plot frontier"}}, ("few-1",), "now")
    record.write(tmp_path)
    assert read(tmp_path) == record
    assert record.analysis == {"a.png": "plot frontier"}


def test_a_record_of_another_version_is_read(tmp_path: Path) -> None:
    rows = [{"run_id": "r", "model": "vit_nano2", "later": 1}]
    (tmp_path / "study.json").write_text(json.dumps({"runs": rows, "git_commit": "abc"}))
    record = read(tmp_path)
    assert asdict(record.runs[0])["model"] == "vit_nano2"
    assert asdict(record.runs[0])["seed"] is None
    assert record.software == {"git_commit": "abc"} and record.evaluations == ()
