"""Comparisons of two groups, on the ViT paper's Table 6 and on studies whose truth is known."""

import doctest
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results import compare, reference
from results.comparison import crossing
from results.comparison.pair import Pair
from tests.helpers.known import known

EXA = 1e18
PAPER = reference.table6()


def pair(a: str = "vit", b: str = "bit", metric: str = "imagenet", **options: Any) -> Pair:
    return compare.groups(PAPER, a, b, metric=metric, **options)


def between(wanted: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """Cost at `wanted`, linear in accuracy against log cost between two (cost, accuracy)."""
    share = (wanted - low[1]) / (high[1] - low[1])
    return float(low[0] * (high[0] / low[0]) ** share)


# --- Table 6: ResNet compute over that of the ViT frontier at the ResNet's accuracy


# The printed accuracies and exaFLOPs of the ResNet, and of the two ViTs around it.
@pytest.mark.parametrize(
    ("metric", "name", "resnet", "below", "above", "printed"),
    [
        ("imagenet", "ResNet50x2", (199, 82.12), (55, 80.73), (196, 84.37), 2.2),
        ("imagenet", "ResNet152x1", (141, 81.88), (55, 80.73), (196, 84.37), 1.7),
        ("imagenet", "ResNet152x2, 7 ep", (563, 84.97), (196, 84.37), (783, 86.30), 1.9),
        ("imagenet", "ResNet152x2, 14 ep", (1126, 85.56), (196, 84.37), (783, 86.30), 2.45),
        ("imagenet", "ResNet200x3", (3306, 87.22), (1567, 87.12), (4262, 88.08), 1.9),
        ("average_of_five", "ResNet152x2, 7 ep", (563, 94.014), (55, 92.5), (196, 94.272), 3.5),
        ("average_of_five", "ResNet152x2, 14 ep", (1126, 94.244), (55, 92.5), (196, 94.272), 5.9),
        ("average_of_five", "ResNet200x3", (3306, 95.09), (196, 94.272), (783, 95.122), 4.45),
    ],
)
def test_each_resnet_against_the_vit_frontier(
    metric: str,
    name: str,
    resnet: tuple[float, float],
    below: tuple[float, float],
    above: tuple[float, float],
    printed: float,
) -> None:
    table = compare.points_ratio(pair(metric=metric)).set_index("name")
    expected = resnet[0] / between(resnet[1], below, above)
    assert table["ratio"][name] == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(printed, abs=0.05)


def test_resnets_below_the_smallest_vit_are_not_comparable() -> None:
    table = compare.points_ratio(pair(metric="average_of_five")).set_index("name")
    missing = table[table["ratio"].isna()]
    assert set(missing.index) == {"ResNet50x1", "ResNet101x1", "ResNet152x1", "ResNet50x2"}
    assert missing["reason"].str.contains("not comparable").all()
    assert table.loc[table["ratio"].notna(), "reason"].isna().all()


def test_the_ratio_of_frontiers_at_an_accuracy() -> None:
    # At 85 %: ViT between L/32 and L/16@7, ResNet between R152x2@7 (84.97) and @14 (85.56).
    vit = between(85, (196, 84.37), (783, 86.30))
    resnet = between(85, (563, 84.97), (1126, 85.56))
    found = compare.ratio_at(pair(), 0.85)
    assert found.value == pytest.approx(resnet / vit, rel=1e-9)
    assert "log cost" in found.method


def test_the_other_direction_is_the_inverse() -> None:
    forth, back = compare.mean_ratio(pair()), compare.mean_ratio(pair("bit", "vit"))
    assert back.value == pytest.approx(1 / known(forth.value))
    assert back.low == pytest.approx(1 / known(forth.high))
    assert back.high == pytest.approx(1 / known(forth.low))
    forth, back = compare.gain_at(pair(), 1e21), compare.gain_at(pair("bit", "vit"), 1e21)
    assert known(forth.value) == -known(back.value)


def test_an_end_of_a_line_belongs_to_it_and_nothing_beyond_does() -> None:
    # 80.73 % is the smallest ViT's own; ResNets pass it between R101x1 (80.67) and R152x1.
    at_end = compare.ratio_at(pair(), 0.8073).value
    assert at_end == pytest.approx(between(80.73, (96, 80.67), (141, 81.88)) / 55)
    assert compare.ratio_at(pair(), 0.8722).value == pytest.approx(
        3306 / between(87.22, (1567, 87.12), (4262, 88.08))
    )
    for outside in (0.8072, 0.8723):
        answer = compare.ratio_at(pair(), outside)
        assert answer.value is None
        assert "ViT spans 80.73% to 88.08%; ResNet spans 77.54% to 87.22%" in known(answer.reason)


def test_the_geometric_mean_over_the_shared_range() -> None:
    # By Simpson on a fine grid: log cost is piecewise linear in accuracy on both sides.
    one = pair()
    grid = np.linspace(0.8073, 0.8722, 20001)
    logs = np.log(one.b.line.reach(grid) / one.a.line.reach(grid))
    assert compare.mean_ratio(one).value == pytest.approx(np.exp(logs.mean()), rel=1e-4)


def test_the_paper_s_claim_of_two_to_four_times_less_on_imagenet() -> None:
    found = compare.mean_ratio(pair())
    assert 1 < known(found.low) < 2 < known(found.value) < known(found.high) < 4


def test_the_curve_of_ratios_is_the_ratio_at_each() -> None:
    one = pair(metric="average_of_five")
    table = compare.ratio_curve(one)
    assert table["accuracy"].min() == pytest.approx(0.925)
    assert table["accuracy"].max() == pytest.approx(0.9509)
    for row in table.itertuples():
        assert row.ratio == compare.ratio_at(one, float(str(row.accuracy))).value
    assert compare.ratio_curve(one, [0.5])["ratio"].isna().all()


def test_single_runs_and_models_may_be_compared() -> None:
    # L/16 at 14 epochs against the hybrids: R50+L/16@14 ties at 87.12 with more compute.
    found = compare.ratio_at(pair("ViT-L/16@14", "hybrid"), 0.8712)
    assert found.value == pytest.approx(1668 / 1567)
    assert (found.low, found.high) == (None, None)
    assert [warning.code for warning in found.warnings] == ["too_few_configurations"]


def test_accuracy_at_equal_compute() -> None:
    # At 1000 exaFLOPs: ViT between L/16@7 and @14, ResNet between R152x2@7 and @14.
    def accuracy(low: tuple[float, float], high: tuple[float, float]) -> float:
        share = math.log(1000 / low[0]) / math.log(high[0] / low[0])
        return low[1] + share * (high[1] - low[1])

    expected = accuracy((783, 0.8630), (1567, 0.8712)) - accuracy((563, 0.8497), (1126, 0.8556))
    assert compare.gain_at(pair(), 1000 * EXA).value == pytest.approx(expected)
    assert "not comparable" in str(compare.gain_at(pair(), 5000 * EXA).reason)


def test_order_and_repeated_rows_change_no_answer() -> None:
    mixed = pd.concat([PAPER, PAPER]).sample(frac=1, random_state=1)
    one = compare.groups(mixed, "vit", "bit", metric="imagenet")
    assert compare.mean_ratio(one) == compare.mean_ratio(pair())
    assert compare.ratio_at(one, 0.85) == compare.ratio_at(pair(), 0.85)


# --- studies whose truth is known


def study(
    generator: np.random.Generator, configurations: int = 8, seeds: int = 3, noise: float = 0.01
) -> pd.DataFrame:
    """Error (C / 1e15)^-0.2 of family a; b needs 2.5 times the compute for the same."""
    rows = []
    for family, factor in (("a", 1.0), ("b", 2.5)):
        for flops in np.geomspace(1e15, 1e18, configurations) * factor**0.5:
            error = 0.5 * (flops / factor / 1e15) ** -0.2
            for seed in range(seeds):
                noisy = error * math.exp(noise * generator.normal())
                rows.append((family, f"{family}-{flops:.2e}", seed, flops, 1 - noisy))
    names = ["family", "label", "seed", "train_flops", "top1_accuracy"]
    return pd.DataFrame(rows, columns=names)


def test_a_known_ratio_lies_in_its_interval() -> None:
    inside = 0
    for seed in range(12):
        runs = study(np.random.default_rng(seed))
        found = compare.mean_ratio(compare.groups(runs, "a", "b", cost="train_flops", replicas=100))
        inside += known(found.low) <= 2.5 <= known(found.high)
        assert found.value == pytest.approx(2.5, rel=0.15)
    assert inside >= 9


def test_who_is_ahead_is_certain_where_the_lines_are_far_apart() -> None:
    runs = study(np.random.default_rng(0), configurations=12)
    one = compare.groups(runs, "a", "b", cost="train_flops", replicas=100)
    assert compare.probability(one, 1e16).value == 1
    other = compare.groups(runs, "b", "a", cost="train_flops", replicas=100)
    assert compare.probability(other, 1e16).value == 0
    same = compare.groups(runs, "a", "a", cost="train_flops", replicas=100)
    assert compare.probability(same, 1e16).value == 0.5


def test_no_probability_from_too_few_runs() -> None:
    found = compare.probability(pair("ViT-L/16", "bit"), 1000 * EXA)
    assert found.value is None
    assert "2 configurations" in known(found.reason)


def test_the_examples_are_so() -> None:
    assert doctest.testmod(compare, extraglobs={"reference": reference}).failed == 0


def test_a_frontier_of_one_run_is_compared_where_it_is() -> None:
    one = compare.groups(reference.table6(), "vit", "hybrid", metric="flowers")
    assert len(one.b.line.x) == 1  # R50x1+ViT-B/32 beats all other hybrids, and at less cost
    # ViT-L/32 has 99.45 % at 196 exaFLOPs, ViT-B/16 99.56 % at 224; the hybrid 99.46 % at 106.
    share = (99.46 - 99.45) / (99.56 - 99.45)
    expected = 106 / (196 * (224 / 196) ** share)
    assert compare.mean_ratio(one).value == pytest.approx(expected)
    found = crossing.crossing(one)
    assert found.ahead == "hybrid" and found.shared == (106e18, 106e18)
