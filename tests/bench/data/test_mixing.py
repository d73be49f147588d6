"""Mixup and CutMix by hand on two images."""

import numpy as np
import pytest
import torch

from bench.data.mixing import Mix, cut, draw, mixed, partners
from bench.run.recipe import Recipe

PAIR = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])


def test_neighbours_are_partners() -> None:
    assert partners(torch.arange(6)).tolist() == [1, 0, 3, 2, 5, 4]


def test_mixup_is_an_average() -> None:
    first, second = mixed(PAIR, Mix(0.75))
    assert first.unique().tolist() == [0.25] and second.unique().tolist() == [0.75]


def test_a_box_comes_from_the_partner() -> None:
    first, second = mixed(PAIR, Mix(14 / 16, (1, 3, 0, 1)))
    expected = torch.zeros(4, 4)
    expected[1:3, 0] = 1
    assert torch.equal(first[0], expected) and torch.equal(second[0], 1 - expected)


@pytest.mark.parametrize(
    ("weight", "row", "column", "expected"),
    [
        (0.75, 0.5, 0.5, Mix(0.75, (2, 6, 2, 6))),  # half of 8 pixels
        (0.75, 0.0, 0.99, Mix(1 - 2 * 3 / 64, (0, 2, 5, 8))),  # a corner cuts it off
        (0.0, 0.5, 0.5, Mix(0.0, (0, 8, 0, 8))),
        (1.0, 0.3, 0.3, Mix(1.0, (2, 2, 2, 2))),
    ],
)
def test_a_box_has_its_area_where_it_fits(
    weight: float, row: float, column: float, expected: Mix
) -> None:
    assert cut(weight, row, column, 8) == expected


def test_draws_depend_on_seed_and_step_alone() -> None:
    recipe = Recipe(mixup=0.8, cutmix=1.0)
    assert draw(recipe, 32, 0, 5) == draw(recipe, 32, 0, 5) != draw(recipe, 32, 0, 6)
    assert draw(Recipe(), 32, 0, 5) is None


def test_both_are_drawn_equally_often_and_follow_their_distribution() -> None:
    found = [draw(Recipe(mixup=0.2, cutmix=1.0), 64, 0, step) for step in range(4000)]
    boxes = [mix for mix in found if mix is not None and mix.box is not None]
    averages = [mix.weight for mix in found if mix is not None and mix.box is None]
    # Half of 4000, with a standard deviation of sqrt(4000) / 2 = 32.
    assert abs(len(boxes) - 2000) < 4 * 32
    # The mean of max(w, 1 - w) for Beta(0.2, 0.2) is 1/2 + E|w - 1/2|.
    random = np.random.default_rng(0).beta(0.2, 0.2, 10**6)
    assert np.mean(averages) == pytest.approx(np.maximum(random, 1 - random).mean(), abs=0.01)
    assert min(averages) >= 0.5
