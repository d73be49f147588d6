"""Laws and comparisons of a study as tables and curves of the report, with their warnings."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from results import compare, fit
from results.columns import configurations, families, formatting
from results.comparison.crossing import Crossing, crossing
from results.comparison.pair import PairAnswer
from results.figures import style
from results.laws import clusters
from results.laws.law_fit import LawFit
from results.report.facts import Facts
from results.schema import ResultsError

LARGE = 2000  # runs; above, a tenth of the resamples is drawn
CURVE_POINTS = 60
PARAMETERS = ("a", "b", "d", "e")


def replicas(runs: pd.DataFrame) -> int:
    """Return the number of resamples behind the report's intervals: fewer for a large ledger."""
    return clusters.REPLICAS if len(runs) <= LARGE else clusters.REPLICAS // 10


def _family(name: str) -> str:
    return families.title(name)


# --- laws


def fitted(runs: pd.DataFrame, x: str, metric: str) -> dict[str, LawFit | fit.FitError]:
    """Fit the law of error over `x` of each family; a family without one holds its error."""
    return fit.fit_groups(runs, x=x, metric=metric, replicas=replicas(runs))


def _parameter(made: LawFit, name: str) -> str:
    found = made.parameters[name]
    text = f"{found.value:.3g}"
    return text if found.low is None else f"{text} [{found.low:.3g}, {found.high:.3g}]"


def _hold_out(made: LawFit) -> str:
    """Return what a fit without the largest factor of two predicted, and what was observed."""
    check = made.hold_out
    if check is None:
        return ""
    inside = {None: "", True: ", inside its interval", False: ", outside its interval"}
    numbers = [formatting.metric_value(made.metric, v) for v in (check.predicted, check.observed)]
    return f"predicted {numbers[0]}, observed {numbers[1]}{inside[check.covered]}"


def law_table(found: dict[str, LawFit | fit.FitError], x: str, metric: str, num: int) -> Facts:
    """Return a table of the families' laws: parameters, hold-out test, warnings."""
    rows = []
    for name, made in found.items():
        if not isinstance(made, LawFit):
            rows.append([_family(name), *[""] * (len(PARAMETERS) + 3), f"no law: {made}"])
            continue
        values = [_parameter(made, parameter) for parameter in PARAMETERS]
        doubts = "; ".join(f"{warning.code}: {warning.text}" for warning in made.warnings)
        unit = f"{made.x_unit:.3g}"
        rows.append(
            [_family(name), unit, *values, str(made.num_configurations), _hold_out(made), doubts]
        )
    what = (
        f"{formatting.name(metric)} error"
        if formatting.is_fraction(metric)
        else formatting.name(metric)
    )
    return Facts(
        f"{what[0].upper()}{what[1:]} over {formatting.name(x)}",
        ("family", "unit of x", *PARAMETERS, "configurations", "hold-out", "warnings"),
        tuple(map(tuple, rows)),
        f"error = a·(x + d)^(−b) + e, x being {formatting.name(x)} in the unit given. In brackets: "
        f"90% intervals from {num:,} resamples of the configurations. “Hold-out”: the largest "
        "configuration as predicted by a fit without the largest factor of two in x.",
        remarks=True,
    )


def law_curves(found: dict[str, LawFit | fit.FitError], x: str, metric: str) -> dict[str, Any]:
    """Return the fitted errors over the range of each family's runs, with bands, for a chart."""
    curves = []
    for name, made in found.items():
        if not isinstance(made, LawFit):
            continue
        at = np.geomspace(made.x.min(), made.x.max(), CURVE_POINTS)
        band = made.band(at)
        numbers = {"x": at, "y": made.predict(at)}
        numbers |= {} if band is None else {"low": band[0], "high": band[1]}
        texts = {key: [float(f"{v:.6g}") for v in values] for key, values in numbers.items()}
        curves.append({"family": name, "color": style.style(name)[0], **texts})
    return {"x": x, "metric": metric, "curves": curves}


# --- comparisons


def _row(question: str, answer: PairAnswer, text: Any) -> tuple[str, ...]:
    """Return a row: question, number, interval, and warnings or the reason for no number."""
    doubts = [answer.reason] if answer.reason else []
    doubts += [f"{warning.code}: {warning.text}" for warning in answer.warnings]
    value = "not comparable" if answer.value is None else text(answer.value)
    ends = [None if end is None else text(end) for end in (answer.low, answer.high)]
    interval = "" if ends == [None, None] else f"[{ends[0] or 'open'}, {ends[1] or 'open'}]"
    return question, value, interval, "; ".join(doubts)


def _crossing_row(a: str, b: str, x: str, found: Crossing) -> tuple[str, ...]:
    question = f"{a} or {b}: who overtakes, at how much {formatting.name(x)}"
    row = _row(question, found.at, lambda value: formatting.amount(x, value))
    if found.overtaking is None:
        ahead = f"{_family(found.ahead)} is ahead throughout" if found.ahead else row[1]
        return row[0], ahead, *row[2:]
    return row[0], f"{_family(found.overtaking)}, at {row[1]}", *row[2:]


def _answers(
    runs: pd.DataFrame, a: str, b: str, cost: str, metric: str
) -> Iterator[tuple[str, ...]]:
    one, other = _family(a), _family(b)
    num = replicas(runs)
    pair = compare.groups(runs, a, b, metric=metric, cost=cost, replicas=num)
    question = f"{other}: {formatting.name(cost)} for the same {formatting.name(metric)}, {one} = 1"
    yield _row(question, compare.mean_ratio(pair), lambda value: f"{value:.2f} ×")
    yield _crossing_row(one, other, cost, crossing(pair))
    if cost != "train_examples" and runs["train_examples"].nunique() > 1:
        by_data = compare.groups(runs, a, b, metric=metric, cost="train_examples", replicas=num)
        yield _crossing_row(one, other, "train_examples", crossing(by_data))


def comparisons(runs: pd.DataFrame, cost: str, metric: str) -> Facts | None:
    """Compare each pair of families; None for fewer than two families with scores."""
    known = runs[runs[cost].notna() & runs[metric].notna() & (runs["state"] == "done")]
    names = configurations.in_order(known.reset_index(drop=True))["family"].dropna().unique()
    rows: list[Sequence[str]] = []
    for a, b in itertools.combinations(map(str, names), 2):
        try:
            rows += _answers(runs, a, b, cost, metric)
        except ResultsError as error:
            rows.append((f"{_family(a)} and {_family(b)}", "not comparable", "", str(error)))
    if not rows:
        return None
    return Facts(
        "Families compared",
        ("question", "answer", "90% interval", "remarks"),
        tuple(map(tuple, rows)),
        "Along the Pareto frontier of each family, linear in the score against the logarithm of "
        "cost (for training images: its best run at each size); nothing is extrapolated. The "
        "first line is the geometric mean over the scores that both reach. Intervals from "
        f"{replicas(runs):,} resamples of the configurations.",
        remarks=True,
    )
