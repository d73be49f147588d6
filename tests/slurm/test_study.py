"""A whole study on a real Slurm: six runs over two nodes, each followed by its evaluation."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from results import store
from tests.helpers.runs import weights
from tests.helpers.slurm_cluster import Cluster
from tests.helpers.slurm_studies import scalestudy

SPEC = """
study: {study}
base:
  data: digits
  image_size: 8
  model: vit_nano2
  steps: 12
  batch_size: 32
  recipe.lr: 1e-3
grid:
  seed: [0, 1, 2, 3, 4, 5]
overrides:
  - {{match: {{seed: [1, 4]}}, set: {{engine.zero_stage: 1}}}}
  - {{match: {{seed: [2, 5]}}, set: {{engine.zero_stage: 2}}}}
  - {{match: {{seed: 3}}, set: {{engine.zero_stage: 3}}}}
evaluations:
  - {{protocol: fewshot, shots: [1, 5], seeds: [0, 1]}}
{more}
analysis:
  table.csv: table --format csv
resources:
  {resources}
"""
MORE = "  - {protocol: fewshot, shots: [10], seeds: [0]}"
SLURM = "{cluster: slurm, nodes: 2, tasks_per_node: 2, gpus_per_node: 2, timeout_min: 30}"
LOCAL = "{cluster: local, tasks_per_node: 4, parallel: 1}"
# What determines a result, and the result.
DETERMINED = (
    *("run_id", "state", "model", "params", "dataset", "data_manifest", "train_examples"),
    *("examples_seen", "epochs", "steps", "batch_size", "seed", "recipe", "train_flops"),
    *("num_devices", "loss", "top1_accuracy", "top5_accuracy"),
)


@dataclass(frozen=True)
class Done:
    """The study after its first submission, and what two simultaneous submits answered."""

    root: Path
    spec: Path
    answers: list[dict[str, Any]]

    @property
    def folder(self) -> Path:
        return self.root / "six"


def sacct(*fields: str, steps: bool = False) -> list[list[str]]:
    command = ["sacct", "--noheader", "--parsable2", "--duplicates", f"--format={','.join(fields)}"]
    shown = subprocess.run(
        command if steps else [*command, "-X"], capture_output=True, text=True, check=True
    )
    return [line.split("|") for line in shown.stdout.splitlines()]


@pytest.fixture(scope="module")
def done(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    root = tmp_path_factory.mktemp("study")
    spec = root / "six.yaml"
    spec.write_text(SPEC.format(study="six", more="", resources=SLURM))
    command = [sys.executable, "-m", "bench", "submit", str(spec), "--root", str(root), "--json"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    answers = [json.loads(process.communicate()[0]) for process in both]
    watched = scalestudy("submit", str(spec), "--root", str(root), "--wait")
    assert watched.returncode == 0, watched.stderr
    yield Done(root, spec, answers)


def test_two_submits_at_the_same_moment_submit_each_run_once(done: Done) -> None:
    print("submitted by the two:", [len(answer["submitted"]) for answer in done.answers])
    assert sorted(len(answer["submitted"]) for answer in done.answers) == [0, 6]
    assert sorted(answer["evaluations"] for answer in done.answers) == [0, 6]
    assert store.load(done.folder).runs["attempts"].tolist() == [1] * 6


def test_each_run_is_followed_by_its_evaluation_and_all_by_the_analysis(done: Done) -> None:
    status = json.loads(scalestudy("status", str(done.folder), "--json").stdout)
    assert status["totals"]["done"] == 6
    assert [run["evaluations_done"] for run in status["runs"]] == [1] * 6
    assert status["analysis"]["state"] == "done"
    assert (done.folder / "analysis" / "table.csv").read_text().count("\n") >= 2
    study = store.load(done.folder)
    assert set(study.attempts["hosts"]) == {"n1,n2"}
    times = {row[0]: row[1:] for row in sacct("JobID", "Start", "End", "State")}
    for run in status["runs"]:
        (trace,) = (done.folder / run["run_id"] / "evals").glob("fewshot-*.json")
        evaluated = json.loads(trace.read_text())["job_id"]
        assert times[evaluated][0] >= times[run["job_id"]][1], "evaluated before it was trained"
    print(f"6 runs, ZeRO 0 to 3, {len(study.evals)} rows of evaluations, one analysis")


def test_an_attempts_seconds_equal_what_slurm_accounts(done: Done) -> None:
    attempts = store.load(done.folder).attempts.set_index("job_id")
    spent = attempts.filter(regex="^(train|eval|checkpoint|startup)_seconds$").sum(axis=1)
    accounted = {
        row[0].split(".")[0]: float(row[1])
        for row in sacct("JobID", "ElapsedRaw", steps=True)
        if row[0].endswith(".0")
    }
    for job_id, seconds in spent.items():
        print(f"{job_id}: ours {seconds:.2f} s, Slurm's step {accounted[str(job_id)]:.0f} s")
    worst = max(abs(seconds - accounted[str(job)]) for job, seconds in spent.items())
    # Slurm counts whole seconds.
    assert worst <= 2 + 1


def test_gpus_are_scheduled_and_accounted(done: Done) -> None:
    jobs = set(store.load(done.folder).attempts["job_id"])
    found = {row[0]: row[1] for row in sacct("JobID", "AllocTRES") if row[0] in jobs}
    print(found)
    assert len(found) == 6
    assert all("gres/gpu=4" in tres and "node=2" in tres for tres in found.values())


def test_a_second_evaluation_runs_alone_on_what_is_there(done: Done) -> None:
    done.spec.write_text(SPEC.format(study="six", more=MORE, resources=SLURM))
    more = scalestudy("submit", str(done.spec), "--root", str(done.root), "--wait", "--json")
    assert more.returncode == 0, more.stderr
    answer = json.loads(more.stdout)
    assert (answer["submitted"], answer["evaluations"]) == ([], 6)
    evals = store.load(done.folder).evals
    fewshot = evals[evals["protocol"] == "fewshot"]
    assert fewshot.groupby("shots").size().to_dict() == {1: 12, 5: 12, 10: 6}
    assert store.load(done.folder).runs["attempts"].tolist() == [1] * 6


def test_the_ledger_equals_that_of_the_same_study_run_locally(done: Done) -> None:
    spec = done.root / "local.yaml"
    spec.write_text(SPEC.format(study="here", more=MORE, resources=LOCAL))
    ran = scalestudy("submit", str(spec), "--root", str(done.root), "--wait")
    assert ran.returncode == 0, ran.stderr
    there, here = store.load(done.folder), store.load(done.root / "here")
    columns = list(DETERMINED)
    pd.testing.assert_frame_equal(
        there.runs.sort_values("run_id")[columns].reset_index(drop=True),
        here.runs.sort_values("run_id")[columns].reset_index(drop=True),
        check_exact=True,
    )
    for run_id in there.runs["run_id"]:
        assert weights(done.folder / run_id) == weights(done.root / "here" / run_id)
    key = ["run_id", "protocol", "metric", "shots", "seed"]
    tables = [
        study.evals.sort_values(key)[[*key, "value", "num_examples"]].reset_index(drop=True)
        for study in (there, here)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    print(f"{len(columns)} columns of 6 runs and {len(tables[0])} evaluations are equal")
