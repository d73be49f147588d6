"""Where one group overtakes another."""

import doctest
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from results import compare, reference
from results.comparison import crossing
from results.comparison.lines import Polyline
from tests.helpers.known import known

FIVE = reference.table5()


def line(x: Sequence[float], y: Sequence[float]) -> Polyline:
    return Polyline(np.array(x, dtype=float), np.array(y, dtype=float), 1)


def found(a: Polyline, b: Polyline) -> list[tuple[float, str]]:
    return [(round(change.x, 6), change.ahead) for change in crossing.changes(a, b)]


def test_lines_cross_where_they_are_equal_against_log_x() -> None:
    # 0.2 + 0.1 log10 x and 0.4 - 0.1 log10 x are equal at log10 x = 1.
    assert found(line([1, 100], [0.2, 0.4]), line([1, 100], [0.4, 0.2])) == [(10, "a")]


def test_a_touch_is_no_crossing_and_a_crossing_on_a_point_is_one() -> None:
    flat = line([1, 10, 100], [0.5, 0.5, 0.5])
    assert found(flat, line([1, 10, 100], [0.4, 0.5, 0.4])) == []
    assert found(flat, line([1, 10, 100], [0.4, 0.5, 0.6])) == [(10, "b")]


def test_after_a_stretch_of_equals_the_change_is_at_its_end() -> None:
    flat = line([1, 10, 100, 1000], [0.5, 0.5, 0.5, 0.5])
    assert found(flat, line([1, 10, 100, 1000], [0.4, 0.5, 0.5, 0.6])) == [(100, "b")]


def test_lines_that_share_no_range_do_not_cross() -> None:
    assert found(line([1, 10], [0.1, 0.9]), line([20, 30], [0.2, 0.3])) == []


# Table 5, ImageNet after pre-training on 1.3, 14 and 303 million images: B/16 77.91 and 83.97,
# L/16 76.53 and 85.15; B/32 73.38, 81.28, 80.73, L/32 71.16, 80.99, 84.37.
@pytest.mark.parametrize(
    ("base", "large", "sizes", "gaps"),
    [
        ("ViT-B/16", "ViT-L/16", (1.3e6, 14e6), (77.91 - 76.53, 85.15 - 83.97)),
        ("ViT-B/32", "ViT-L/32", (14e6, 303e6), (81.28 - 80.99, 84.37 - 80.73)),
    ],
)
def test_larger_vits_overtake_with_more_data(
    base: str, large: str, sizes: tuple[float, float], gaps: tuple[float, float]
) -> None:
    answer = crossing.crossing(
        compare.groups(FIVE, base, large, metric="imagenet", cost="train_examples")
    )
    share = gaps[0] / sum(gaps)
    assert answer.at.value == pytest.approx(sizes[0] * (sizes[1] / sizes[0]) ** share)
    assert answer.overtaking == large
    assert answer.at.low is None  # three sizes carry no interval
    assert {warning.code for warning in answer.at.warnings} == {"too_few_configurations"}


def test_both_directions_find_the_same_place() -> None:
    forth = crossing.crossing(compare.groups(FIVE, "ViT-B/16", "ViT-L/16", cost="train_examples"))
    back = crossing.crossing(compare.groups(FIVE, "ViT-L/16", "ViT-B/16", cost="train_examples"))
    assert forth.at.value == back.at.value
    assert forth.overtaking == back.overtaking


def test_who_is_ahead_all_along_is_said() -> None:
    answer = crossing.crossing(compare.groups(FIVE, "ViT-B/32", "ViT-L/16", cost="train_examples"))
    assert answer.at.value is None
    assert answer.ahead == "ViT-L/16"  # 76.53, 85.15, 87.12 against 73.38, 81.28, 80.73
    assert "ahead in the whole range" in known(answer.at.reason)
    table6 = compare.groups(reference.table6(), "vit", "bit", metric="imagenet")
    assert crossing.crossing(table6).ahead == "vit"


def study(generator: np.random.Generator, noise: float = 0.02) -> pd.DataFrame:
    """The error of a is 0.5 (C/1e15)^-0.1 and that of b 0.5 (C/1e17)^-0.3 × 1e-0.2.

    Equal where 0.1 c = 0.2 + 0.3 (c - 2), with c = log10(C / 1e15): c = 2, at 1e17.
    """
    rows = []
    for place, c in enumerate(np.linspace(0, 4, 12)):
        for family, error in (("a", 0.5 * 10 ** (-0.1 * c)), ("b", 0.5 * 10 ** (0.4 - 0.3 * c))):
            for seed in range(3):
                score = 1 - error * math.exp(noise * generator.normal())
                rows.append((family, f"{family}{place}", seed, 1e15 * 10**c, score))
    return pd.DataFrame(rows, columns=["family", "label", "seed", "train_flops", "top1_accuracy"])


def test_a_known_crossing_lies_in_its_interval() -> None:
    inside = 0
    for seed in range(12):
        one = compare.groups(
            study(np.random.default_rng(seed)), "a", "b", cost="train_flops", replicas=100
        )
        answer = crossing.crossing(one)
        assert answer.overtaking == "b"
        assert answer.at.value == pytest.approx(1e17, rel=0.5)
        inside += known(answer.at.low) <= 1e17 <= known(answer.at.high)
    assert inside >= 9


def test_several_crossings_are_counted() -> None:
    runs = pd.DataFrame(
        {
            "family": ["a"] * 4 + ["b"] * 4,
            "label": list("abcdefgh"),
            "train_flops": [1.0, 10, 100, 1000] * 2,
            "top1_accuracy": [0.1, 0.4, 0.5, 0.8, 0.2, 0.3, 0.6, 0.7],
        }
    )
    answer = crossing.crossing(compare.groups(runs, "a", "b", cost="train_flops"))
    assert [change.ahead for change in answer.changes] == ["a", "b", "a"]
    assert answer.overtaking == "a"
    assert "several_crossings" in {warning.code for warning in answer.at.warnings}


def test_the_interval_holds_a_crossing_that_resamples_put_elsewhere() -> None:
    # Noise as large as the gap: the lines of most resamples cross last at another place.
    for seed in range(6):
        runs = study(np.random.default_rng(seed), noise=0.2)
        answer = crossing.crossing(
            compare.groups(runs, "a", "b", cost="train_flops", replicas=50)
        ).at
        if answer.value is not None:
            assert answer.low is None or answer.low <= answer.value
            assert answer.high is None or answer.value <= answer.high


def test_the_examples_are_so() -> None:
    names = {"reference": reference, "compare": compare}
    assert doctest.testmod(crossing, extraglobs=names).failed == 0
