"""The frontier's tie rule, and its members among the published runs of the ViT paper."""

import doctest
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results import frontier as module
from results import reference
from results.frontier import frontier, mark


def members(metric: str, family: str | None = None) -> list[str]:
    runs = reference.table6()
    if family:
        runs = runs[runs.family == family]
    on = runs[frontier(runs.train_flops_valid, 1 - runs[metric])].sort_values("train_flops_valid")
    return [f"{run.label}@{run.epochs}" for run in on.itertuples()]


ON_BOTH = [
    "ResNet50x1@7",
    "ViT-B/32@7",
    "R50x1+ViT-B/32@7",
    "R50x1+ViT-L/32@7",
    "ViT-L/16@7",
    "R50x1+ViT-L/16@7",
    "ViT-L/16@14",
]


# Worked out by hand from the 18 rows of Table 6 (arXiv:2010.11929v2).


def test_table_6_on_the_average_of_five() -> None:
    assert members("average_of_five_accuracy") == [*ON_BOTH, "ViT-H/14@14"]


def test_table_6_on_imagenet_where_a_costlier_tie_at_87_12_is_left_out() -> None:
    assert members("imagenet_accuracy") == [*ON_BOTH, "ResNet200x3@14", "ViT-H/14@14"]


@pytest.mark.parametrize("metric", ["imagenet_accuracy", "average_of_five_accuracy"])
def test_vit_b16_is_dominated_by_vit_l32(metric: str) -> None:
    assert "ViT-B/16@7" not in members(metric, "vit")
    assert "ViT-L/32@7" in members(metric, "vit")


def test_resnet50x2_is_dominated_by_resnet152x1_on_the_average_but_not_on_imagenet() -> None:
    assert "ResNet50x2@7" not in members("average_of_five_accuracy", "bit")
    assert "ResNet50x2@7" in members("imagenet_accuracy", "bit")


def test_the_mask_is_the_definition() -> None:
    generator = np.random.default_rng(0)
    cost, error = generator.integers(0, 12, (2, 200)).astype(float)  # many ties and duplicates
    expected = []
    for c, e in zip(cost, error, strict=True):
        beaten = (cost <= c) & (error <= e) & ((cost < c) | (error < e))
        expected.append(not beaten.any())
    assert frontier(cost, error).tolist() == expected


def test_order_does_not_matter() -> None:
    generator = np.random.default_rng(1)
    cost, error = generator.integers(0, 12, (2, 100))
    shuffled = generator.permutation(100)
    assert (frontier(cost, error)[shuffled] == frontier(cost[shuffled], error[shuffled])).all()


def test_exact_duplicates_are_both_on_it_and_costlier_ties_are_not() -> None:
    assert frontier([1, 1, 2, 1], [0.5, 0.5, 0.5, 0.6]).tolist() == [True, True, False, False]


def test_unknown_values_are_never_on_it() -> None:
    cost = [1.0, np.nan, 2.0, np.inf, np.nan, -np.inf]
    error = [np.nan, 0.1, 0.5, 0.1, 0.1, 0.1]
    assert frontier(cost, error).tolist() == [False, False, True, False, False, False]


def test_no_points_have_no_frontier() -> None:
    assert frontier([], []).tolist() == []


def test_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected"):
        frontier([1.0], [1.0, 2.0])


# --- marking a table


def marked(metric: str, **options: Any) -> pd.DataFrame:
    runs = reference.table6()
    runs["name"] = runs["label"] + "@" + runs["epochs"].astype(str)
    return mark(runs, cost="train_flops_valid", metric=metric, name="name", **options).set_index(
        "name"
    )


def test_each_dominated_run_comes_with_the_members_that_beat_it() -> None:
    table = marked("average_of_five_accuracy")
    assert table["on_frontier"].sum() == 8
    assert table["dominated_by"]["ViT-L/32@7"] == ("R50x1+ViT-B/32@7",)  # equal, at 106 for 196
    assert table["dominated_by_in_family"]["ViT-B/16@7"] == ("ViT-L/32@7",)
    assert table["dominated_by_in_family"]["ResNet50x2@7"] == ("ResNet152x1@7",)
    # 95.09 at 3306 against 95.12 at 783, 95.17 at 859 and 95.44 at 1567.
    assert table["dominated_by"]["ResNet200x3@14"] == (
        "ViT-L/16@7",
        "R50x1+ViT-L/16@7",
        "ViT-L/16@14",
    )


def test_a_costlier_tie_is_dominated_by_what_it_ties_with() -> None:
    table = marked("imagenet_accuracy")
    assert table["dominated_by"]["R50x1+ViT-L/16@14"] == ("ViT-L/16@14",)
    assert table["dominated_by_in_family"]["R50x1+ViT-L/16@14"] == ()


def test_what_is_not_dominated_is_on_the_frontier() -> None:
    for metric in reference.TRANSFER_SETS.values():
        table = marked(metric)
        assert ((table["dominated_by"].map(len) == 0) == table["on_frontier"]).all()
        inside = table["dominated_by_in_family"].map(len) == 0
        assert (inside == table["on_family_frontier"]).all()


def test_means_that_differ_by_rounding_tie() -> None:
    assert frontier([1.0, 2.0], [0.3, 0.1 + 0.2 - 1e-16]).tolist() == [True, False]


def test_a_loss_is_better_when_lower_and_unknown_is_not_judged() -> None:
    table = pd.DataFrame(
        {"family": ["a", "a", None], "c": [1.0, 2.0, None], "loss": [1.0, 2.0, 3.0]}
    )
    found = mark(table, cost="c", metric="loss")
    assert found["on_frontier"].tolist() == [True, False, False]
    assert found["dominated_by"].tolist() == [(), (0,), ()]


def test_the_examples_are_so() -> None:
    assert doctest.testmod(module, extraglobs={"reference": reference}).failed == 0
