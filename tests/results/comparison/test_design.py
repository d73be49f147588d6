"""Which runs narrow an interval most per cost."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results.comparison import design


def runs(seeds: int = 2, noise: float = 0.03, sizes: int = 5, steeper: float = 0.0) -> pd.DataFrame:
    """Of bit, which needs twice the compute, the exponent may be higher: they cross at 4e12."""
    generator = np.random.default_rng(0)
    rows = []
    for family, factor in (("vit", 1.0), ("bit", 2.0)):
        for place, flops in enumerate(np.geomspace(1e12, 1e14, sizes)):
            for seed in range(seeds):
                error = 0.5 * (flops / factor / 1e12) ** -0.25
                error *= (flops / 1e12) ** (-steeper * (family == "bit"))
                error *= math.exp(noise * generator.normal())
                rows.append((family, f"{family}{place}", 100, seed, flops, 1 - error))
    names = ["family", "label", "train_examples", "seed", "train_flops", "top1_accuracy"]
    return pd.DataFrame(rows, columns=names)


def candidates(**columns: Any) -> pd.DataFrame:
    """Two new configurations a family, of 1e13 and 1e15 FLOPs, at a cost of 1 and 10 days."""
    rows = [
        {"family": family, "label": f"new{flops:g}", "train_examples": 100, "seed": seed}
        | {"train_flops": flops, "cost": cost}
        for family in ("vit", "bit")
        for flops, cost in ((1e13, 1.0), (1e15, 10.0))
        for seed in range(2)
    ]
    return pd.DataFrame(rows).assign(**columns)


def asked(budget: float, question: str = "ratio", **options: Any) -> design.Proposal:
    table = runs(steeper=0.125 * (question == "crossing"))
    return design.propose(
        table, candidates(), budget=budget, families=("vit", "bit"), question=question, **options
    )


def width(estimates: Iterable[design.Estimate]) -> float:
    return sum(math.log(one.high / one.low) for one in estimates)


@pytest.mark.parametrize("question", design.QUESTIONS)
def test_the_proposal_narrows_and_stays_within_the_budget(question: str) -> None:
    made = asked(15, question)
    assert made.cost == sum(candidates()["cost"][list(made.chosen)]) <= 15
    assert width(made.after) < width(made.before)
    assert [one.value for one in made.after] == [one.value for one in made.before]


def test_the_interval_holds_the_known_ratio() -> None:
    (found,) = asked(5).before
    assert found.low < 2 < found.high  # b needs twice the compute
    assert found.value == pytest.approx(2, rel=0.15)


def test_a_larger_budget_never_gives_less() -> None:
    widths = [width(asked(budget).after) for budget in (1, 2, 12, 40)]
    assert widths == sorted(widths, reverse=True)


def test_a_law_far_out_is_narrowed_by_a_far_run() -> None:
    made = asked(25, "law", at=1e15)
    assert 1e15 in candidates()["train_flops"][list(made.chosen)].tolist()


def test_only_the_families_that_are_asked_for_are_run() -> None:
    made = design.propose(
        runs(), candidates(), budget=100, families=("vit",), question="law", at=1e15
    )
    assert set(candidates()["family"][list(made.chosen)]) == {"vit"}


def test_the_expected_width_is_that_of_least_squares() -> None:
    """One seed a configuration: var = s² cᵀ(XᵀX)⁻¹c, by numpy's own covariance of a line."""
    table = runs(seeds=1)
    vit = table[table.family == "vit"]
    logs, errors = np.log(vit.train_flops), np.log(1 - vit.top1_accuracy)
    (_, _), covariance = np.polyfit(logs, errors, 1, cov=True)  # slope first
    made = design.propose(table, candidates(), budget=1, families=("vit",), question="law", at=1e14)
    place = np.array([math.log(1e14), 1])
    half = math.log(made.before[0].high / made.before[0].low) / 2
    quantile = 2.3534  # Student's t, 3 degrees of freedom, 95 %
    assert half == pytest.approx(quantile * math.sqrt(place @ covariance @ place), rel=1e-3)


def test_what_cannot_be_paid_is_said_with_the_cheapest() -> None:
    with pytest.raises(design.ProposeError, match=r"given 0\.5, the cheapest takes 1"):
        asked(0.5)


def test_too_few_runs_are_said() -> None:
    with pytest.raises(design.ProposeError, match="an interval needs more"):
        design.propose(runs(sizes=2), candidates(), budget=9, families=("vit", "bit"))


def test_families_that_share_no_error_are_not_comparable() -> None:
    table = runs()
    worse = table["family"] == "bit"
    table.loc[worse, "top1_accuracy"] = 0.1 * table.loc[worse, "top1_accuracy"]
    with pytest.raises(design.ProposeError, match="not comparable"):
        design.propose(table, candidates(), budget=9, families=("vit", "bit"))


def test_an_unknown_question_is_refused() -> None:
    with pytest.raises(design.QuestionError, match="expected ratio, crossing, law"):
        asked(9, "best")
    with pytest.raises(design.QuestionError, match="expected two"):
        design.propose(runs(), candidates(), budget=9, families=("vit",))


def test_lines_that_cross_nowhere_near_the_runs_are_no_question() -> None:
    with pytest.raises(design.ProposeError, match="vit and bit do not cross near the runs"):
        design.propose(
            runs(steeper=0.01),
            candidates(),
            budget=9,
            families=("vit", "bit"),
            question="crossing",
        )


def test_an_error_above_one_is_no_error() -> None:
    with pytest.raises(design.QuestionError, match="given 85, expected an error as a fraction"):
        asked(9, at=85.0)
