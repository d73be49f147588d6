"""A scheduler from outside the packages, from the spec to the ledger."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.run import environment
from results import store
from sweeps import schedulers
from tests.helpers import pages
from tests.helpers.studies import DEADLINE_SECONDS, wait

PAGE = "docs/how-to/add-a-scheduler.md"
SPEC = """
study: toy
base: {data: digits, image_size: 8, steps: 4, batch_size: 8, model: vit_nano2}
grid: {seed: [0, 1]}
evaluations: [{protocol: fewshot, shots: [1], seeds: [0]}]
analysis: {table.csv: table --format csv}
resources: {cluster: one-by-one}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the page, loaded, and a spec beside it."""
    (tmp_path / "toy.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(schedulers.SCHEDULERS, "one-by-one", schedulers.SCHEDULERS["local"])
    monkeypatch.setitem(environment.ENVIRONMENTS, "one-by-one", lambda _: None)
    return pages.load_program(PAGE, tmp_path / "my_scheduler.py")


def scalestudy(program: Path, *words: str, code: int = 0) -> str:
    """Run a verb of the page's program; return its output, or its complaint."""
    command = [sys.executable, str(program), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_a_toy_scheduler_runs_a_study_to_its_analysis(program: Path, tmp_path: Path) -> None:
    planned = json.loads(scalestudy(program, "plan", "toy.yaml", "--json"))
    assert [run["state"] for run in planned["runs"]] == ["missing", "missing"]
    submitted = json.loads(scalestudy(program, "submit", "toy.yaml", "--json"))
    assert len(submitted["submitted"]) == submitted["evaluations"] == 2
    states = json.loads(scalestudy(program, "status", "toy", "--json"))["runs"]
    assert {run["state"] for run in states} <= {"queued", "running", "done"}
    again = json.loads(scalestudy(program, "submit", "toy.yaml", "--json"))
    assert again["submitted"] == []
    wait(tmp_path / "runs" / "toy")

    study = store.load(tmp_path / "runs" / "toy")
    assert study.runs["state"].tolist() == ["done", "done"]
    first, second = study.attempts.sort_values("created_at").to_dict("records")
    assert first["cluster"] == "one-by-one" and first["job_id"] != second["job_id"]
    assert first["ended_at"] <= second["created_at"], "side by side"
    assert (study.evals["protocol"] == "fewshot").sum() == 2
    assert "ViT-nano/2" in (tmp_path / "runs" / "toy" / "analysis" / "table.csv").read_text()
    assert "ViT-nano/2" in scalestudy(program, "table", "toy")


def test_what_a_toy_scheduler_has_can_be_cancelled(program: Path, tmp_path: Path) -> None:
    scalestudy(program, "submit", "toy.yaml", "--json", "--set", "steps=100000")
    cancelled = json.loads(scalestudy(program, "cancel", "toy", "--yes", "--json"))["cancelled"]
    assert len(cancelled) == 2
    deadline = time.monotonic() + DEADLINE_SECONDS
    while schedulers.SCHEDULERS["one-by-one"].state(tmp_path / "runs" / "toy").jobs:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_help_and_errors_list_what_there_is(program: Path) -> None:
    assert "one-by-one" in scalestudy(program, "submit", "--help")
    said = scalestudy(program, "plan", "toy.yaml", "--set", "resources.cluster=pbs", code=2)
    expected = "resources.cluster: given 'pbs', expected 'local', 'slurm' or 'one-by-one'"
    assert expected in said
