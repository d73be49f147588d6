"""Scores in long form: of runs, and of evaluations with the columns of their runs."""

from typing import Any

import pandas as pd
import pytest

from results.columns import configurations, scores

RUNS = pd.DataFrame(
    {
        "study": ["s", "s"],
        "run_id": ["a", "b"],
        "dataset": ["cifar", "cifar"],
        "seed": [7, 8],
        "image_size": [32, 32],
        "top1_accuracy": [0.5, 0.6],
        "loss": [1.0, None],
    }
)


def make_evals(**columns: Any) -> Any:
    base = {
        "study": "s",
        "run_id": "a",
        "protocol": "fewshot",
        "dataset": "pets",
        "split": "eval",
        "metric": "top1_accuracy",
        "value": [0.1, 0.2],
        "shots": [1, 5],
        "seed": 0,
        "lr": None,
        "step": 10,
        "image_size": 64,
        "num_examples": 9,
        "manifest": None,
    }
    return pd.DataFrame(base | columns)


def test_a_run_has_a_row_per_metric() -> None:
    made = scores.of_runs(RUNS, ["top1_accuracy", "loss"])
    assert made["metric"].tolist() == ["top1_accuracy"] * 2 + ["loss"] * 2
    assert made["value"].tolist()[:3] == [0.5, 0.6, 1.0]
    assert pd.isna(made["value"].iloc[3])
    with pytest.raises(configurations.MissingColumn, match="top5"):
        scores.of_runs(RUNS, ["top5"])


def test_an_evaluation_has_the_columns_of_its_run_under_their_own_names() -> None:
    made = scores.of_evals(RUNS, make_evals(), ["top1_accuracy"])
    first = made.iloc[0]
    assert (first["dataset"], first["pretrain_dataset"]) == ("pets", "cifar")
    assert (first["image_size"], first["pretrain_image_size"]) == (64, 32)
    assert (first["draw"], first["seed"], first["value"]) == (0, 7, 0.1)
    assert len(made) == 2


def test_of_weights_evaluated_at_several_steps_the_last_count() -> None:
    evals = make_evals(shots=[1, 1], step=[20, 10])
    (value,) = scores.of_evals(RUNS, evals, ["top1_accuracy"])["value"]
    assert value == 0.1


def test_evaluations_of_runs_that_have_not_ended_and_other_metrics_are_left_out() -> None:
    evals = make_evals(run_id=["a", "z"], shots=[1, 1])
    assert len(scores.of_evals(RUNS, evals, ["top1_accuracy"])) == 1
    assert len(scores.of_evals(RUNS, evals, ["loss"])) == 0


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        ({"shots": [1, 5]}, ["pets, 1-shot", "pets, 5-shot"]),
        ({"dataset": ["pets", "cifar"], "shots": None}, ["pets", "cifar"]),
        (
            {"protocol": ["finetune", "linear"], "shots": None},
            ["pets, finetune", "pets, linear"],
        ),
        # each data set has one protocol: nothing to tell apart
        (
            {"protocol": ["finetune", "linear"], "dataset": ["a", "b"], "shots": None},
            ["a", "b"],
        ),
        ({"metric": ["top1_accuracy", "loss"], "shots": None}, ["top-1 (%)", "loss"]),
        ({"split": ["eval", "test"], "shots": None}, ["pets, eval", "pets, test"]),
    ],
)
def test_an_evaluation_is_named_by_what_differs(columns: Any, texts: Any) -> None:
    assert scores.describe(make_evals(**columns)).tolist() == texts


def test_evaluations_become_columns_of_runs_the_mean_over_draws() -> None:
    evals = pd.concat([make_evals(), make_evals(value=[0.3, 0.4], seed=1)])
    made, names = scores.wide(RUNS, evals, ["top1_accuracy"])
    assert names == ("pets, 1-shot accuracy", "pets, 5-shot accuracy")
    assert made["pets, 1-shot accuracy"].tolist()[0] == pytest.approx((0.1 + 0.3) / 2)
    assert made["pets, 5-shot accuracy"].isna().tolist() == [False, True]  # b has none
    assert made["dataset"].tolist() == ["cifar", "cifar"]
