"""Configurations, groups of them, and the lines through them."""

import numpy as np
import pandas as pd
import pytest

from results import reference
from results.columns import configurations
from results.comparison import lines
from results.frontier import frontier
from tests.helpers.known import known

RUNS = pd.DataFrame(
    {
        "family": ["vit", "vit", "vit", "bit", "bit"],
        "label": ["A", "A", "B", "C", "C"],
        "seed": [0, 1, 0, 0, 0],
        "train_examples": [100, 100, 100, 100, 2000],
        "cost": [1.0, 3.0, 4.0, 1.0, 8.0],
        "accuracy": [0.2, 0.4, 0.6, 0.1, 0.7],
        "state": ["done", "done", "done", "done", "failed"],
    }
)


def made(runs: pd.DataFrame, x: str = "cost") -> pd.DataFrame:
    return lines.configurations(runs, metric="accuracy", x=x)


def test_a_configuration_is_everything_but_the_seed() -> None:
    table = made(RUNS)
    assert table["name"].tolist() == ["C", "A", "B"]  # by cost; the failed run is no point
    assert table["x"].tolist() == [1, 2, 4]
    assert table["y"].tolist() == pytest.approx([0.1, 0.3, 0.6], abs=1e-11)
    assert table["scores"].tolist() == [(0.1,), (0.2, 0.4), (0.6,)]
    assert table["n"].tolist() == [1, 2, 1]


def test_names_say_what_differs_within_a_model() -> None:
    names = made(RUNS.assign(state="done"))["name"].tolist()
    assert names == ["C, 100 images", "A", "B", "C, 2k images"]


def test_order_and_repeated_rows_change_nothing() -> None:
    runs = reference.table6()
    once = lines.configurations(runs, metric="average_of_five_accuracy", x="train_flops_valid")
    doubled = pd.concat([runs, runs.iloc[::-1], runs]).sample(frac=1, random_state=0)
    again = lines.configurations(doubled, metric="average_of_five_accuracy", x="train_flops_valid")
    pd.testing.assert_frame_equal(once, again)


def test_runs_without_a_value_are_left_out() -> None:
    runs = RUNS.assign(cost=[1.0, np.nan, np.inf, 0.0, 8.0])
    assert made(runs)["name"].tolist() == ["A"]
    assert made(runs.iloc[:0]).empty


def test_a_group_is_found_by_family_label_name_or_label_and_epochs() -> None:
    table = lines.configurations(
        reference.table6(), metric="imagenet_accuracy", x="train_flops_valid"
    )
    assert len(lines.select(table, "vit")) == len(lines.select(table, "ViT")) == 6
    assert len(lines.select(table, "ResNet")) == len(lines.select(table, "bit")) == 7
    assert len(lines.select(table, "ViT-L/16")) == 2
    (row,) = lines.select(table, "vit-l/16@14").itertuples()
    assert row.name == "ViT-L/16, 14 ep"
    assert row.x == pytest.approx(1567e18, rel=1e-11)
    assert len(lines.select(table, "ViT-L/16, 14 ep")) == 1


def test_an_unknown_group_comes_with_the_near_matches() -> None:
    with pytest.raises(lines.UnknownGroup, match=r"did you mean .*ViT-L/16"):
        lines.select(
            lines.configurations(
                reference.table6(), metric="imagenet_accuracy", x="train_flops_valid"
            ),
            "ViT-L16",
        )


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("imagenet", "imagenet_accuracy"),
        ("real", "imagenet_real_accuracy"),
        ("cifar10", "cifar10_accuracy"),
        ("cifar100", "cifar100_accuracy"),
        ("average_of_five", "average_of_five_accuracy"),
        ("top1_accuracy", "top1_accuracy"),
    ],
)
def test_an_accuracy_may_be_called_by_its_data_set(short: str, full: str) -> None:
    assert lines.column(reference.table6(), short) == full


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(configurations.MissingColumn, match="imagnet"):
        lines.column(reference.table6(), "imagnet")


@pytest.mark.parametrize("sign", [1, -1])
def test_the_curve_passes_the_frontier_and_nothing_else(sign: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        x, y = generator.integers(1, 12, (2, 30)).astype(float)
        curve = lines.frontier_line(x, y, sign)
        on = frontier(x, -sign * y)
        assert set(zip(curve.x, curve.y, strict=True)) == set(zip(x[on], y[on], strict=True))
        assert (np.diff(curve.x) > 0).all()
        assert (np.diff(sign * curve.y) > 0).all()


def test_a_line_is_linear_against_log_x_and_ends_where_its_points_do() -> None:
    curve = lines.frontier_line(np.array([1.0, 100.0]), np.array([0.2, 0.4]), 1)
    assert curve.at(10.0) == pytest.approx(0.3)
    assert curve.reach(0.3) == pytest.approx(10.0)
    assert curve.at([1.0, 100.0]).tolist() == [0.2, 0.4]
    assert curve.reach([0.2, 0.4]) == pytest.approx([1.0, 100.0])
    assert np.isnan(curve.at([0.99, 101])).all()
    assert np.isnan(curve.reach([0.19, 0.41])).all()


def test_a_lower_loss_is_reached_at_a_higher_cost() -> None:
    curve = lines.frontier_line(np.array([1.0, 10.0, 100.0]), np.array([3.0, 3.5, 1.0]), -1)
    assert curve.y.tolist() == [3.0, 1.0]
    assert curve.reach(2.0) == pytest.approx(10.0)


def test_the_best_at_each_size_need_not_rise() -> None:
    curve = lines.best_line(np.array([1.0, 1.0, 2.0]), np.array([0.5, 0.6, 0.4]), 1)
    assert (curve.x.tolist(), curve.y.tolist()) == ([1.0, 2.0], [0.6, 0.4])


def test_the_cheapest_that_reaches_and_the_best_within_a_budget() -> None:
    table = lines.configurations(
        reference.table6(), metric="imagenet_accuracy", x="train_flops_valid"
    )
    # 87.12 is reached by ViT-L/16@14 (1567) and R50+L/16@14 (1668), on the threshold.
    assert known(lines.cheapest(table, 0.8712))["name"] == "ViT-L/16, 14 ep"
    assert known(lines.cheapest(table, 0.85))["name"] == "R50x1+ViT-L/32"
    assert lines.cheapest(table, 0.89) is None
    assert known(lines.best(table, 106 * 1e18))["name"] == "R50x1+ViT-B/32"
    assert known(lines.best(table, 105 * 1e18))["name"] == "ViT-B/32"
    assert (
        known(lines.best(table, 1668 * 1e18))["name"] == "ViT-L/16, 14 ep"
    )  # the cheaper of equals
    assert lines.best(table, 49 * 1e18) is None
