"""Bringing a study to its wanted state with the local scheduler: real jobs, tiny runs."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from bench.run import attempt
from bench.run.errors import SettingError
from results import store
from sweeps import study as studies
from sweeps import submit as submission
from sweeps.documents import SpecError
from sweeps.schedulers import submissions
from sweeps.status import RunStatus, StudyStatus, counts, status
from sweeps.submit import submit
from tests.helpers.studies import runs_of, spec, states, wait_until_over


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
    assert studies.read(more.study_dir).spec["grid"]["seed"] == [0, 1, 2]

    # What has been trained keeps the config that it was trained with.
    configs = {path: path.read_text() for path in more.study_dir.glob("*/config.json")}
    other = wider.model_copy(update={"base": wider.base | {"engine.zero_stage": 2}})
    assert submit(other, runs_of(other), tmp_path).submitted == []
    assert configs == {path: path.read_text() for path in configs}


def test_never_more_runs_at_a_time_than_asked(tmp_path: Path) -> None:
    study = spec(resources={"parallel": 1})
    study_dir = submit(study, runs_of(study), tmp_path).study_dir
    most = 0
    while {"queued", "running"} & set(states(study_dir)):
        most = max(most, counts(status(study_dir))["running"])
        time.sleep(0.05)
    assert most == 1
    assert states(study_dir) == ["done", "done"]


def test_an_id_that_exists_with_another_config_is_refused(tmp_path: Path) -> None:
    study = spec(grid={"model": ["vit_nano2"]})
    (planned,) = runs_of(study)
    run = planned.run
    other = run.model_copy(update={"config": run.config.model_copy(update={"seed": 5})})
    run_dir = tmp_path / "small" / run.run_id
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(other.model_dump_json())
    with pytest.raises(SpecError, match="another config with the same id") as caught:
        submit(study, [planned], tmp_path)
    assert '"seed": 5' in str(caught.value)
    assert not (tmp_path / "small" / "study.json").exists(), "something was started"


def test_submissions_are_read_oldest_first_and_after_a_name(tmp_path: Path) -> None:
    written = [submissions.write(tmp_path, "slurm", {f"run{i}": 0}, {}, {}) for i in range(3)]
    assert submissions.read(tmp_path) == written
    assert submissions.read(tmp_path, after=written[0].name) == written[1:]


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


def test_one_submit_asks_slurm_once_and_reads_each_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, answer in (("squeue", "echo '17_0|PENDING||Priority'"), ("scontrol", "exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/calls\n{answer}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    study = spec(resources={"cluster": "slurm"})
    planned = runs_of(study)
    folder = tmp_path / "runs" / "small"
    given = {one.run_id: f"17_{at}" for at, one in enumerate(planned)}
    submissions.write(folder, "slurm", dict.fromkeys(given, 0), {}, given)
    submission.write_study(folder, study, [one.run for one in planned])
    read: list[str] = []

    def read_disk(run_dir: Path) -> attempt.Disk:
        read.append(run_dir.name)
        return attempt.read_disk(run_dir)

    monkeypatch.setattr("sweeps.status.read_disk", read_disk)

    def agree(before: StudyStatus, removed: list[RunStatus]) -> None:
        raise SettingError(", ".join(run.state for run in before.runs))

    with pytest.raises(SettingError, match=r"^queued, missing$"):
        submit(study, planned, tmp_path / "runs", (), agree)
    assert (tmp_path / "calls").read_text().split() == ["squeue"]
    assert sorted(read) == sorted(given)
