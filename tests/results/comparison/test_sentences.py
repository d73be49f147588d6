"""Sentences on the rows of the ViT paper's Table 6, whose numbers other tests work out."""

import doctest
from typing import Any

import pytest

from results import compare, reference
from results.comparison import sentences
from results.comparison.crossing import crossing
from results.comparison.pair import Pair, PairAnswer


def pair(a: str = "vit", b: str = "bit", metric: str = "imagenet", **options: Any) -> Pair:
    return compare.groups(reference.table6(), a, b, metric=metric, replicas=100, **options)


def test_the_examples_are_so() -> None:
    assert doctest.testmod(sentences).failed == 0


def test_a_ratio_is_said_with_its_interval() -> None:
    said = sentences.mean_ratio(pair(), PairAnswer(2.12, low=1.7, high=2.6))
    assert said.startswith("ViT needs 2.1 × [1.7, 2.6] less training compute than ResNet for the")


def test_a_ratio_below_one_is_more_and_its_interval_turns() -> None:
    said = sentences.mean_ratio(pair(), PairAnswer(0.5, low=0.25, high=0.8))
    assert "ViT needs 2.0 × [1.2, 4.0] more training compute than ResNet" in said


def test_what_is_not_comparable_is_said_with_both_ranges() -> None:
    one = pair()
    said = sentences.ratio_at(one, compare.ratio_at(one, 0.9), 0.9)
    assert said == (
        "ViT and ResNet: not comparable at 90.00%: "
        "on the frontiers ViT spans 80.73% to 88.08%; ResNet spans 77.54% to 87.22%"
    )


def test_a_gain_is_in_points() -> None:
    said = sentences.gain_at(pair(), PairAnswer(0.0113, low=0.01, high=0.0126), 1e21)
    assert said == (
        "at 1,000 exaFLOPs ViT is +1.13 points [+1.00, +1.26] against ResNet in ImageNet top-1"
    )


def test_a_probability_that_is_not_known_says_why() -> None:
    one = pair("ViT-L/16")
    said = sentences.probability(one, compare.probability(one, 1e21), 1e21)
    assert "is not known: ViT-L/16 has 2 configurations" in said
    assert sentences.probability(one, PairAnswer(0.97), 1e21).endswith("is 97%")


def test_a_crossing_in_data_and_who_is_ahead_without_one() -> None:
    runs = reference.table5()
    one = compare.groups(runs, "ViT-B/16", "ViT-L/16", metric="imagenet", cost="train_examples")
    # 1.3e6 × (14 / 1.3)^(1.38 / 2.56): Table 5's gaps of 1.38 and -1.18 points.
    assert sentences.crossing(one, crossing(one)) == "ViT-L/16 overtakes ViT-B/16 at 4.7M images"
    ahead = sentences.crossing(pair(), crossing(pair()))
    assert (
        ahead
        == "ViT is ahead of ResNet wherever both have runs, from 55.0 exaFLOPs to 3,306 exaFLOPs"
    )


@pytest.mark.parametrize(
    ("low", "high", "text"), [(None, 2.0, "[–, 2.0]"), (1.0, None, "[1.0, –]")]
)
def test_an_open_end_is_a_dash(low: float | None, high: float | None, text: str) -> None:
    assert text in sentences.mean_ratio(pair(), PairAnswer(1.5, low=low, high=high))
