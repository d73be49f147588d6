"""Runs as points: errors, texts, lines, and what is said when there is nothing."""

from typing import Any

import pandas as pd
import pytest

from results import reference
from results.columns import configurations
from results.figures import points


def make_runs(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "family": "vit",
        "label": "ViT-S/8",
        "state": "done",
        "train_examples": 100,
        "train_flops": 1e12,
    }
    return pd.DataFrame([base | row for row in rows])


def of_error(*rows: dict[str, Any], metric: str = "top1_accuracy") -> pd.DataFrame:
    return points.of_error(make_runs(*rows), metric, "train_flops")


def test_the_error_of_an_accuracy_is_its_complement_and_of_a_loss_itself() -> None:
    assert of_error({"top1_accuracy": 0.75}).error.tolist() == [0.25]
    assert of_error({"loss": 1.5}, metric="loss").error.tolist() == [1.5]


def test_seeds_become_one_point_and_the_bar_below_stays_above_zero() -> None:
    found = of_error({"top1_accuracy": 0.9}, {"top1_accuracy": 0.98})
    assert found.n.tolist() == [2]
    assert found.y[0] == pytest.approx(0.06)
    assert 0 < found.down[0] < found.y[0]


def test_no_error_at_all_is_drawn_below_the_others_and_says_so() -> None:
    found = of_error({"top1_accuracy": 0.9}, {"label": "B", "top1_accuracy": 1.0})
    found = found.set_index("model")
    assert 0 < found.y["B"] < found.y["ViT-S/8"]
    assert found.error["B"] == 0
    assert found.text["B"] == "B, no error"
    assert of_error({"top1_accuracy": 1.0}).y[0] > 0


def test_a_text_names_only_what_differs_between_points_of_the_model() -> None:
    found = of_error(
        {"top1_accuracy": 0.5},
        {"top1_accuracy": 0.6, "train_examples": 1437},
        {"top1_accuracy": 0.7, "label": "B", "train_examples": 1437},
    )
    assert sorted(found.text) == ["B", "ViT-S/8, 1.4k images", "ViT-S/8, 100 images"]


def test_the_papers_runs_of_two_lengths_are_told_apart() -> None:
    found = points.of_error(reference.table6(), "top1_accuracy", "train_flops_valid")
    assert len(found) == 18
    assert {"ViT-L/16, 7 ep", "ViT-L/16, 14 ep", "ViT-H/14"} <= set(found.text)


def test_a_point_of_fewer_runs_than_others_says_so() -> None:
    found = of_error(
        {"top1_accuracy": 0.5}, {"top1_accuracy": 0.6}, {"label": "B", "top1_accuracy": 0.7}
    )
    assert found.set_index("model").text["B"] == "B, n = 1"


def test_a_line_is_a_model_over_training_set_sizes() -> None:
    runs = make_runs(
        *(
            {"label": label, "train_examples": n, "epochs": 1000 / n, "top1_accuracy": 0.5}
            for label in ("A", "B")
            for n in (100, 400)
        )
    )
    found = points.by_data_scale(runs, "top1_accuracy")
    assert found.groupby("model").line.nunique().tolist() == [1, 1]
    assert found.line.nunique() == 2


def test_what_varies_at_one_size_makes_lines_of_its_own() -> None:
    runs = make_runs(
        *(
            {"recipe": recipe, "train_examples": n, "top1_accuracy": 0.5}
            for recipe in ("adam", "sgd")
            for n in (100, 400)
        )
    )
    found = points.by_data_scale(runs, "top1_accuracy")
    assert found.groupby("line").text.first().tolist() == ["ViT-S/8, adam", "ViT-S/8, sgd"]


def test_data_sets_of_several_sizes_are_not_joined_and_the_papers_three_are() -> None:
    runs = make_runs(
        *(
            {"dataset": dataset, "train_examples": n, "top1_accuracy": 0.5}
            for dataset, n in (("digits", 100), ("digits", 400), ("cifar", 1000), ("cifar", 4000))
        )
    )
    assert points.by_data_scale(runs, "top1_accuracy").line.nunique() == 2
    five = points.by_data_scale(reference.table5(), "top1_accuracy")
    assert five.line.nunique() == 5
    assert len(five) == 14  # H/14 on ImageNet was not reported


def test_nothing_to_draw_says_what_was_missing() -> None:
    with pytest.raises(points.NothingToDraw) as error:
        of_error({"top1_accuracy": 0.5, "state": "failed"}, {"top1_accuracy": None, "label": "B"})
    assert "2 have no finished run with top1_accuracy, 0 have one, but no train_flops" in str(
        error.value
    )
    with pytest.raises(points.NothingToDraw, match="1 have one, but no train_flops"):
        of_error({"top1_accuracy": 0.5, "train_flops": None})
    with pytest.raises(points.NothingToDraw, match="of 0 configurations"):
        points.of_error(make_runs({"top1_accuracy": 0.5}).iloc[:0], "top1_accuracy", "train_flops")


def test_a_missing_column_comes_with_the_near_match() -> None:
    with pytest.raises(configurations.MissingColumn, match=r"'train_flop' is missing.*train_flops"):
        points.of_error(make_runs({"top1_accuracy": 0.5}), "top1_accuracy", "train_flop")
