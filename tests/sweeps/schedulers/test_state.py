"""What Slurm says it holds, through programs in its commands' place."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bench.run.protocols import EvaluationRecord, EvaluationRequest, FewShotOptions
from sweeps.schedulers import submissions
from sweeps.schedulers.base import Job
from sweeps.schedulers.state import accounted, is_pending, read

WANTED = EvaluationRequest(FewShotOptions(protocol="fewshot"))


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs in array 17, an evaluation of both in array 18, an analysis in job 19."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    folder = tmp_path / "study"
    submissions.write(folder, "slurm", {"a": 0, "b": 0}, {}, {"a": "17_0", "b": "17_1"})
    submissions.write(
        *(folder, "slurm", {"a": 0, "b": 0}, {}, {"a": "18_0", "b": "18_1"}),
        kind="evaluate",
        evaluation=WANTED.as_json(),
    )
    submissions.write(
        folder, "slurm", {submissions.STUDY: 0}, {}, {submissions.STUDY: "19"}, kind="analyse"
    )
    return folder


def test_one_call_tells_what_is_queued_and_why(study: Path, tmp_path: Path) -> None:
    lines = ["17_1|RUNNING|n1,n2|None", "18_1|PENDING||Dependency", "19|PENDING||Dependency"]
    shown = "\n".join(f"echo '{line}'" for line in lines)
    program(tmp_path, "squeue", f"echo called >> {tmp_path}/calls\n{shown}")
    found = read(study)
    assert (tmp_path / "calls").read_text() == "called\n"
    assert set(found.runs) == {"b"}
    assert set(found.evaluations) == {("b", WANTED.key)}
    assert found.analysis and not found.unanswered
    assert found.jobs["17_1"] == Job("RUNNING", "n1,n2", "None")


def test_without_an_answer_all_that_was_given_counts_as_held(study: Path, tmp_path: Path) -> None:
    program(tmp_path, "squeue", "exit 1")
    found = read(study)
    assert set(found.runs) == {"a", "b"} and len(found.evaluations) == 2
    assert found.unanswered == ["slurm"]


def test_what_is_cancelled_is_held_no_more(study: Path, tmp_path: Path) -> None:
    program(tmp_path, "squeue", "echo '17_0|PENDING||Priority'\necho '18_0|PENDING||Dependency'")
    submissions.write(study, submissions.CANCELLED, {"a": 0}, {}, {})
    found = read(study)
    assert found.runs["a"].cluster == submissions.CANCELLED
    assert not found.evaluations


def test_accounting_is_asked_once_and_may_be_missing(study: Path, tmp_path: Path) -> None:
    found = read(study)
    assert accounted(found, ["17_0"]) == {}
    program(tmp_path, "sacct", "echo '17_0|NODE_FAIL|1:0'\necho '17_1|TIMEOUT|0:0'")
    assert accounted(found, ["17_0", "17_1"]) == {
        "17_0": "NODE_FAIL, exit 1:0",
        "17_1": "TIMEOUT, exit 0:0",
    }
    program(tmp_path, "sacct", "exit 1")
    assert accounted(found, ["17_0"]) == {}


def test_an_evaluation_is_pending_until_it_ends_after_it_was_submitted() -> None:
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00"
    ended = EvaluationRecord(WANTED.key, "fewshot", early, ended="failed")
    assert is_pending(None, early)
    assert is_pending(ended, late)
    assert is_pending(replace(ended, created_at=late, ended=None), early)
    assert not is_pending(replace(ended, created_at=late), early)
    assert not is_pending(None, None)
