"""Launchers and dispatchers that are killed or race."""

from pathlib import Path

import pytest

from bench.data.sources import describe_from
from bench.run import protocols
from bench.run.errors import SettingError
from sweeps import expand
from sweeps.spec import StudySpec
from sweeps.status import RunStatus, StudyStatus, study_status
from sweeps.submit import submit
from tests.helpers.studies import VALUES, submit_spec, wait


def test_an_evaluation_that_fails_says_why_and_is_tried_again(tmp_path: Path) -> None:
    values = VALUES | {
        "study": "impossible",
        "grid": {"model": ["vit_nano2"]},
        "evaluations": [{"protocol": "fewshot", "shots": [9000], "seeds": [0]}],
        "analysis": {},
    }
    spec = StudySpec.model_validate(values)
    study_dir = submit_spec(spec, tmp_path).study_dir
    wait(study_dir)
    (run,) = study_status(study_dir).runs
    assert run.state == "done" and run.evaluations.done == 0
    assert "expected at least 9000 shots" in str(run.evaluations.failure)
    (wanted,) = expand.evaluations(spec, describe_from(tmp_path))
    record = protocols.read_record(study_dir / run.run_id, wanted.key)
    assert record is not None and record.ended == "failed"
    assert submit_spec(spec, tmp_path).evaluations == 1


def test_queued_runs_that_the_spec_has_no_more_are_cancelled(tmp_path: Path) -> None:
    values = VALUES | {"study": "narrower", "evaluations": [], "analysis": {}}
    wide = values | {"grid": {"model": ["vit_nano2"], "seed": [0, 1, 2]}}
    spec = StudySpec.model_validate(wide | {"resources": {"parallel": 1}})
    study_dir = submit_spec(spec, tmp_path).study_dir
    narrow = spec.model_copy(update={"grid": values["grid"]})
    planned = expand.expand(narrow, describe_from(tmp_path))

    def refuse(before: StudyStatus, removed: list[RunStatus]) -> None:
        raise SettingError(f"{len(removed)} of {len(before.runs)} and 1 would be cancelled")

    with pytest.raises(SettingError, match="1 of 2 and 1"):
        submit(narrow, planned, tmp_path, (), refuse)
    assert len(study_status(study_dir).runs) == 3  # nothing has changed
    (gone,) = submit(narrow, planned, tmp_path).cancelled
    assert "-s2-" in gone
    wait(study_dir)
    assert [run.state for run in study_status(study_dir).runs] == ["done", "done"]
    assert not (study_dir / gone / "attempts").exists()
