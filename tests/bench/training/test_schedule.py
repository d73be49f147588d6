"""The learning rate at points worked out by hand."""

import math

import pytest

from bench.run.recipe import Recipe
from bench.training.schedule import lr


def test_linear_decay_goes_straight_to_its_end() -> None:
    recipe = Recipe(lr=1.0, decay="linear", end_lr=0.0)
    assert [lr(step, 4, recipe) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_linear_decay_ends_at_1e_5_unless_told() -> None:
    recipe = Recipe(lr=1e-3)
    assert lr(10, 10, recipe) == pytest.approx(1e-5)
    assert lr(5, 10, recipe) == pytest.approx((1e-3 + 1e-5) / 2)
    assert lr(10, 10, Recipe(lr=1e-3, end_lr=1e-4)) == pytest.approx(1e-4)


def test_cosine_decay_ends_at_zero_unless_told() -> None:
    recipe = Recipe(lr=2.0, decay="cosine")
    # 2 · (1 + cos(π · progress)) / 2 at progress 0, 1/3, 1/2, 1.
    for step, expected in ((0, 2.0), (2, 1.5), (3, 1.0), (6, 0.0)):
        assert lr(step, 6, recipe) == pytest.approx(expected)
    ended = Recipe(lr=2.0, decay="cosine", end_lr=1.0)
    assert lr(2, 6, ended) == pytest.approx(1.0 + (1 + math.cos(math.pi / 3)) / 2)
    assert lr(6, 6, ended) == pytest.approx(1.0)


def test_constant_stays() -> None:
    assert {lr(step, 5, Recipe(lr=0.3, decay="constant")) for step in range(6)} == {0.3}


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_warm_up_rises_to_the_base_and_decay_begins_after_it(decay: str) -> None:
    recipe = Recipe.model_validate({"lr": 1.0, "warmup_steps": 4, "decay": decay})
    assert [lr(step, 12, recipe) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert lr(4, 12, recipe) == 1.0
    # Half way between the warm-up and the end is step 8.
    half = {"linear": 1e-5 + (1 - 1e-5) / 2, "cosine": 0.5, "constant": 1.0}[decay]
    assert lr(8, 12, recipe) == pytest.approx(half)


def test_a_warm_up_longer_than_the_run_takes_all_of_it() -> None:
    recipe = Recipe(lr=1.0, warmup_steps=100)
    assert [lr(step, 4, recipe) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert lr(0, 1, recipe) == 1.0


def test_steps_beyond_the_end_keep_the_last_value() -> None:
    assert lr(20, 10, Recipe(lr=1.0)) == lr(10, 10, Recipe(lr=1.0))


def test_linear_decay_never_rises() -> None:
    recipe = Recipe(lr=1e-6)
    assert lr(0, 10, recipe) >= lr(9, 10, recipe) > 0


def test_reciprocal_square_root_begins_after_the_warm_up() -> None:
    recipe = Recipe(lr=2.0, decay="rsqrt", timescale=100, warmup_steps=10)
    # 2 / sqrt(1 + 300 / 100) is 1, and 2 / sqrt(1 + 800 / 100) is 2 / 3.
    assert lr(10, 10_000, recipe) == 2.0
    assert lr(310, 10_000, recipe) == 1.0
    assert lr(810, 10_000, recipe) == pytest.approx(2 / 3)
    assert lr(4, 10_000, recipe) == 1.0


@pytest.mark.parametrize("decay", ["constant", "rsqrt"])
def test_a_cool_down_goes_straight_to_zero(decay: str) -> None:
    recipe = Recipe.model_validate(
        {"lr": 1.0, "decay": decay, "timescale": 10**12, "cooldown_steps": 4}
    )
    found = [lr(step, 8, recipe) for step in range(9)]
    assert found == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.0])


# bit_hyperrule.py: linear warm-up from 0, then a tenth strictly after each milestone.
@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (50, 0.0015),
        (100, 0.003),
        (200, 0.003),
        (201, 0.0003),
        (300, 0.0003),
        (301, 0.00003),
        (499, 0.000003),
    ],
)
def test_steps_divide_by_ten_strictly_after_them(step: int, expected: float) -> None:
    recipe = Recipe(lr=0.003, warmup_steps=100, decay="step", decay_steps=[200, 300, 400])
    assert lr(step, 500, recipe) == pytest.approx(expected)


def test_phases_may_be_fractions_of_the_run() -> None:
    # 30, 60 and 80 of 90 epochs, and a warm-up of a tenth.
    thirds = Recipe(lr=1.0, decay="step", decay_steps=[1 / 3, 2 / 3, 8 / 9], warmup_steps=0.1)
    steps = Recipe(lr=1.0, decay="step", decay_steps=[30, 60, 80], warmup_steps=9)
    assert [lr(n, 90, thirds) for n in range(90)] == [lr(n, 90, steps) for n in range(90)]
