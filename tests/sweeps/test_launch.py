"""The graph of a study on this machine: training, evaluations, analysis."""

from pathlib import Path

from results import store
from sweeps.launch import for_one_device
from sweeps.resources import Resources
from sweeps.spec import StudySpec
from sweeps.status import study_status
from tests.helpers.studies import VALUES, submit_spec, wait


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


def test_an_evaluation_takes_one_device() -> None:
    single = for_one_device(Resources(nodes=4, gpus_per_node=8, tasks_per_node=8))
    assert (single.num_devices, single.gpus_per_node) == (1, 1)
    assert for_one_device(Resources(nodes=2, tasks_per_node=2)).num_devices == 1
