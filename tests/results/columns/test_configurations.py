"""Runs that differ in their seed only become one row; nothing else is merged unnoticed."""

import math
import statistics
from typing import Any

import pandas as pd
import pytest

from results.columns import configurations


def make_runs(*rows: Any) -> Any:
    base = {
        "family": "vit",
        "label": "ViT-S/8",
        "params": 10,
        "train_examples": 100,
        "state": "done",
    }
    return pd.DataFrame([base | row for row in rows])


def test_mean_sample_deviation_and_number_are_of_finished_runs_with_a_score() -> None:
    scores = [0.5, 0.6, 0.8]
    done = [{"top1_accuracy": score} for score in scores]
    runs = make_runs(*done, {"top1_accuracy": 0.1, "state": "failed"}, {"top1_accuracy": None})
    (row,) = configurations.over_seeds(runs, ["label"], "top1_accuracy").to_dict("records")
    assert row["top1_accuracy_mean"] == pytest.approx(sum(scores) / 3)
    assert row["top1_accuracy_std"] == pytest.approx(statistics.stdev(scores))
    assert row["top1_accuracy_n"] == 3


def test_one_run_has_no_deviation_and_none_has_no_mean() -> None:
    runs = make_runs({"loss": 1.0}, {"loss": 2.0, "label": "B", "state": "running"})
    first, second = configurations.over_seeds(runs, ["label"], "loss").to_dict("records")
    assert math.isnan(first["loss_std"])
    assert math.isnan(second["loss_mean"])
    assert second["loss_n"] == 0


def test_what_an_unfinished_run_cost_does_not_count_but_its_size_does() -> None:
    runs = make_runs(
        {"loss": 1.0, "train_flops": 8.0}, {"loss": 9.0, "train_flops": 2.0, "state": "cancelled"}
    )
    (row,) = configurations.over_seeds(runs, ["label"], "loss", ["train_flops", "params"]).to_dict(
        "records"
    )
    assert (row["train_flops"], row["params"]) == (8.0, 10.0)


def test_rows_without_a_state_count_as_finished() -> None:
    runs = make_runs({"loss": 1.0, "state": None}, {"loss": 3.0})
    assert configurations.over_seeds(runs, ["label"], "loss").loss_mean.tolist() == [2.0]


def test_order_of_rows_does_not_matter() -> None:
    runs = make_runs(*({"loss": float(n), "train_examples": n % 3} for n in range(12)))
    shuffled = runs.sample(frac=1, random_state=0)
    by = ["label", "train_examples"]
    pd.testing.assert_frame_equal(
        configurations.over_seeds(runs, by, "loss"), configurations.over_seeds(shuffled, by, "loss")
    )


def test_families_come_in_their_usual_order_and_models_by_size() -> None:
    runs = make_runs(
        {"family": "bit", "label": "R"},
        {"family": "vit", "label": "L", "params": 20},
        {"family": "vit", "label": "B"},
        {"family": "mlp", "label": "M"},
        {"family": "hybrid", "label": "H"},
    )
    assert configurations.in_order(runs).label.tolist() == ["B", "L", "H", "R", "M"]


def test_varying_names_what_tells_runs_apart_and_nothing_that_follows_from_it() -> None:
    runs = make_runs(
        {"train_examples": 100, "epochs": 40.0},
        {"train_examples": 400, "epochs": 10.0},  # the same number of steps
    )
    assert configurations.varying(runs, ["label"]) == ("train_examples",)
    assert configurations.varying(runs, ["label", "train_examples"]) == ()


def test_runs_without_labels_go_by_their_models_id() -> None:
    runs = make_runs({"model": "vit_s8"}).drop(columns="label")
    assert configurations.model_column(runs) == "model"
    assert configurations.model_column(runs.assign(label=None)) == "model"
