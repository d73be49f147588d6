"""The graph of a study on this machine: training, evaluations, analysis."""

import time
from pathlib import Path

import pytest

from bench.run import protocols
from results import store
from sweeps import expand
from sweeps.launch import for_one_device
from sweeps.resources import Resources
from sweeps.spec import StudySpec
from sweeps.status import study_status
from sweeps.submit import Submitted, removed, submit

DEADLINE_SECONDS = 240

VALUES = {
    "study": "graph",
    "base": {"data": "digits", "image_size": 8, "steps": 4, "batch_size": 8},
    "grid": {"model": ["vit_nano2"], "seed": [0, 1]},
    "evaluations": [{"protocol": "fewshot", "shots": [1], "seeds": [0]}],
    "analysis": {"table.csv": "table --format csv", "frontier.png": "plot frontier"},
    "resources": {"parallel": 2},
}


def submit_spec(spec: StudySpec, root: Path) -> Submitted:
    runs = expand.expand(spec, root)
    return submit(spec, runs, root, expand.evaluations(spec, root))


def wait(study_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not study_status(study_dir).is_over:
        assert time.monotonic() < deadline, study_status(study_dir)
        time.sleep(0.2)


def test_runs_are_evaluated_then_analysed_and_a_new_evaluation_runs_alone(tmp_path: Path) -> None:
    spec = StudySpec.model_validate(VALUES)
    first = submit_spec(spec, tmp_path)
    assert (len(first.submitted), first.evaluations) == (2, 2)
    assert submit_spec(spec, tmp_path).evaluations == 0
    wait(first.study_dir)
    found = study_status(first.study_dir)
    assert [(run.state, run.evaluations.done) for run in found.runs] == [("done", 1)] * 2
    assert found.analysis is not None and found.analysis["state"] == "done", found.analysis
    folder = first.study_dir / "analysis"
    assert (folder / "table.csv").read_text().count("\n") == 2
    assert (folder / "frontier.png").read_bytes().startswith(b"\x89PNG")

    more = spec.model_copy(
        update={
            "evaluations": [
                *spec.evaluations,
                spec.evaluations[0].model_copy(update={"shots": [2], "seeds": [3]}),
            ]
        }
    )
    second = submit_spec(more, tmp_path)
    assert (second.submitted, second.evaluations) == ([], 2)
    wait(second.study_dir)
    assert [run.evaluations.done for run in study_status(second.study_dir).runs] == [2, 2]
    evals = store.load(second.study_dir).evals
    shots = evals.loc[evals["protocol"] == "fewshot", ["shots", "seed"]]
    assert sorted(map(tuple, shots.to_numpy().tolist())) == [(1, 0), (1, 0), (2, 3), (2, 3)]
    assert store.load(second.study_dir).runs["attempts"].tolist() == [1, 1]


@pytest.mark.failures
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
    (wanted,) = expand.evaluations(spec, tmp_path)
    assert protocols.read_trace(study_dir / run.run_id, wanted.key)["ended"] == "failed"
    assert submit_spec(spec, tmp_path).evaluations == 1


@pytest.mark.failures
def test_queued_runs_that_the_spec_has_no_more_are_cancelled(tmp_path: Path) -> None:
    values = VALUES | {"study": "narrower", "evaluations": [], "analysis": {}}
    wide = values | {"grid": {"model": ["vit_nano2"], "seed": [0, 1, 2]}}
    spec = StudySpec.model_validate(wide | {"resources": {"parallel": 1}})
    study_dir = submit_spec(spec, tmp_path).study_dir
    narrow = spec.model_copy(update={"grid": values["grid"]})
    runs = expand.expand(narrow, tmp_path)
    (gone,) = removed(study_dir, runs)
    assert "-s2-" in gone.run_id
    assert submit(narrow, runs, tmp_path, (), [gone.run_id]).cancelled == (gone.run_id,)
    wait(study_dir)
    assert [run.state for run in study_status(study_dir).runs] == ["done", "done"]
    assert not (study_dir / gone.run_id / "attempts").exists()


def test_an_evaluation_takes_one_device() -> None:
    single = for_one_device(Resources(nodes=4, gpus_per_node=8, tasks_per_node=8))
    assert (single.num_devices, single.gpus_per_node) == (1, 1)
    assert for_one_device(Resources(nodes=2, tasks_per_node=2)).num_devices == 1
