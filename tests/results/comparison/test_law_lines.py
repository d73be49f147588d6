"""Comparisons of laws instead of frontiers."""

import math

import numpy as np
import pandas as pd
import pytest

from results import compare, reference
from results.comparison.crossing import crossing
from results.comparison.pair import Pair
from results.fit import FitError
from tests.helpers.known import known

FACTOR = 2.5


def study(seed: int = 0, sizes: int = 8) -> pd.DataFrame:
    """Error 0.5 (C / 1e15)^-0.2 of a; b needs FACTOR times the compute for the same."""
    generator = np.random.default_rng(seed)
    rows = []
    for family, factor in (("a", 1.0), ("b", FACTOR)):
        for place, flops in enumerate(np.geomspace(1e15, 1e18, sizes)):
            for number in range(2):
                error = 0.5 * (flops / factor / 1e15) ** -0.2
                error *= math.exp(0.01 * generator.normal())
                rows.append((family, f"{family}{place}", number, flops, 1 - min(error, 0.99)))
    names = ["family", "label", "seed", "train_flops", "top1_accuracy"]
    return pd.DataFrame(rows, columns=names)


def pair(runs: pd.DataFrame, a: str = "a", b: str = "b") -> Pair:
    return compare.groups(runs, a, b, cost="train_flops", method="law", replicas=200)


def test_a_known_ratio_lies_in_the_interval_at_every_accuracy() -> None:
    one = pair(study())
    for accuracy in (0.6, 0.7, 0.8):
        found = compare.ratio_at(one, accuracy)
        assert known(found.low) < FACTOR < known(found.high)
        assert found.value == pytest.approx(FACTOR, rel=0.1)
        assert found.method.startswith("a law")
    assert compare.mean_ratio(one).value == pytest.approx(FACTOR, rel=0.1)


def test_the_other_direction_is_the_inverse() -> None:
    forth, back = pair(study()), pair(study(), "b", "a")
    one, other = compare.ratio_at(forth, 0.7), compare.ratio_at(back, 0.7)
    assert other.value == pytest.approx(1 / known(one.value))
    assert other.high == pytest.approx(1 / known(one.low))
    assert compare.probability(forth, 1e17).value == 1


def test_a_law_says_nothing_beyond_its_runs() -> None:
    found = compare.ratio_at(pair(study()), 0.9)
    assert found.value is None
    assert "not comparable" in known(found.reason)
    assert crossing(pair(study())).ahead == "a"


def test_too_few_sizes_bear_no_interval() -> None:
    found = compare.ratio_at(pair(study(sizes=3)), 0.7)
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert "too_few_scales" in {warning.code for warning in found.warnings}
    with pytest.raises(FitError):
        compare.ratio_at(pair(study(sizes=1)), 0.7)


def test_laws_of_the_paper_s_rows_agree_with_their_frontiers() -> None:
    laws = compare.groups(reference.table6(), "vit", "bit", metric="imagenet", method="law")
    found = compare.mean_ratio(laws)
    lines = compare.groups(reference.table6(), "vit", "bit", metric="imagenet")
    assert known(found.low) < known(compare.mean_ratio(lines).value) < known(found.high)
    assert (
        1 < known(found.low) < 2 < known(found.high) < 4
    )  # the paper says about 2 to 4, on five data sets
