"""Optimal design: the runs that would narrow an interval most per cost.

Each family's error is taken as a power law, log error = alpha - b log x, with a random deviation
per configuration and a smaller one per seed. Then the width of an interval depends on where runs
are, not on their scores, so the value of a run is known before it is trained.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from results.columns import formatting
from results.comparison import lines as groups
from results.comparison.lines import Floats
from results.comparison.precision import Design, Key, Target, Variances
from results.comparison.precision import Estimate as Estimate
from results.comparison.precision import ProposeError as ProposeError
from results.laws import clusters
from results.schema import ResultsError

QUESTIONS = ("ratio", "crossing", "law")
MAX_RUNS = 500
UNKNOWN_SEEDS = 0.5  # share of seeds in the variance about a law if no seed was repeated: a guess
FAR = 10.0  # times the range of the runs: a few more runs cannot settle a crossing beyond
FARTHEST = 2.0  # by default a law is evaluated a factor of two beyond the largest run


class QuestionError(ResultsError):
    """Error raised for an unknown question or an invalid value of it."""


@dataclass(frozen=True)
class Proposal:
    """Candidates to run, best gain per cost first, with the intervals before and after.

    `before` and `after` hold the same numbers, with the present and the expected interval.
    """

    chosen: tuple[int, ...]
    cost: float
    before: tuple[Estimate, ...]
    after: tuple[Estimate, ...]


def _fit(
    table: pd.DataFrame, families: Sequence[str]
) -> tuple[Design, Variances, dict[str, Floats]]:
    """Estimate the design, the variance components, and alpha and -b of each family."""
    places: dict[str, dict[Key, tuple[float, int]]] = {}
    lines, left, within, repeats = {}, 0.0, 0.0, 0
    inverse_seeds = []
    for family in families:
        mine = groups.select(table, family)
        if mine["x"].nunique() < 2:
            raise ProposeError(
                f"{family}: {len(mine)} configurations with an error, a law needs two sizes"
            )
        logs, errors = np.log(mine["x"].to_numpy()), mine["log_errors"]
        means = np.array([np.mean(values) for values in errors])
        within += sum(float(np.sum((np.array(v) - np.mean(v)) ** 2)) for v in errors)
        repeats += sum(len(values) - 1 for values in errors)
        slope, alpha = np.polyfit(logs, means, 1)
        lines[family] = np.array([alpha, slope])
        left += float(np.sum((means - alpha - slope * logs) ** 2))
        inverse_seeds += [1 / len(values) for values in errors]
        keys = zip(mine["key"], logs, errors, strict=True)
        places[family] = {key: (float(x), len(values)) for key, x, values in keys}
    design = Design(places)
    if design.freedom < 1:
        raise ProposeError(
            f"{' and '.join(families)}: {sum(map(len, places.values()))} configurations, an "
            "interval needs more than two a family; add some by hand first"
        )
    scatter = left / design.freedom
    seed = within / repeats if repeats else UNKNOWN_SEEDS * scatter
    between = scatter - seed * float(np.mean(inverse_seeds))
    noise = Variances(max(between, 0.01 * scatter), seed)
    if noise.configuration <= 0:
        raise ProposeError("the runs lie on their laws without any scatter: nothing to narrow")
    return design, noise, lines


def _targets(
    question: str, table: pd.DataFrame, lines: dict[str, Floats], at: float | None
) -> list[Target]:
    """Return the numbers that a question is about, with their derivatives."""
    if question == "law":
        found = []
        for family, (alpha, slope) in lines.items():
            log_x = math.log(at or FARTHEST * float(groups.select(table, family)["x"].max()))
            name = f"error of {family} at {math.exp(log_x):.4g}"
            slopes = {family: np.array([1.0, log_x])}
            found.append(Target(name, alpha + slope * log_x, slopes))
        return found
    (a, (alpha_a, slope_a)), (b, (alpha_b, slope_b)) = lines.items()
    if question == "crossing":
        if math.isclose(slope_a, slope_b):
            raise ProposeError(f"{a} and {b} run in parallel: they do not cross")
        log_x = (alpha_a - alpha_b) / (slope_b - slope_a)
        ends = [float(end) for end in np.log(table["x"]).agg(["min", "max"])]
        if not ends[0] - math.log(FAR) <= log_x <= ends[1] + math.log(FAR):
            raise ProposeError(
                f"{a} and {b} do not cross near the runs, which span {math.exp(ends[0]):.4g} to "
                f"{math.exp(ends[1]):.4g}; their lines would at 10^{log_x / math.log(10):.3g}"
            )
        slope = np.array([1.0, log_x]) / (slope_b - slope_a)
        return [Target(f"where {a} and {b} cross", log_x, {a: slope, b: -slope})]
    if slope_a >= 0 or slope_b >= 0:
        worse = a if slope_a >= 0 else b
        raise ProposeError(f"{worse} gets no better with cost, so that no ratio can be asked")
    log_error = math.log(at) if at else _middle(table, a, b)
    logs = [(log_error - line[0]) / line[1] for line in lines.values()]
    slopes = {
        family: sign * np.array([1.0, log_x]) / -line[1]
        for sign, log_x, (family, line) in zip((-1, 1), logs, lines.items(), strict=True)
    }
    name = f"cost of {b} over that of {a} at an error of {math.exp(log_error):.4g}"
    return [Target(name, logs[1] - logs[0], slopes)]


def _middle(table: pd.DataFrame, a: str, b: str) -> float:
    """Return the log error in the middle of the range that both families reach."""
    ends = [
        [np.mean(values) for values in groups.select(table, name)["log_errors"]] for name in (a, b)
    ]
    low, high = max(min(one) for one in ends), min(max(one) for one in ends)
    if low >= high:
        raise ProposeError(f"not comparable: {a} and {b} share no range of errors")
    return float(low + high) / 2


def _errors(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Add the log errors of each run; drop configurations that have a run without error."""
    higher = formatting.higher_is_better(metric)
    errors = [tuple(1 - v if higher else v for v in scores) for scores in table["scores"]]
    kept = np.array([min(values) > 0 for values in errors], dtype=bool)
    logs = pd.Series([tuple(map(math.log, v)) for v in errors if min(v) > 0], dtype=object)
    return table[kept].reset_index(drop=True).assign(log_errors=logs)


def _key(label: object, train_examples: object) -> Key:
    """Return the key of a configuration: its model and its number of images."""
    known = train_examples is not None and train_examples == train_examples
    return str(label), str(int(float(str(train_examples)))) if known else ""


def _keyed(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add `key`; where more was varied, the first configuration of a key has it alone."""
    size = "train_examples"
    only = runs[size].iloc[0] if size in runs and len(runs) else None
    sizes = table[size] if size in table else [only] * len(table)
    keys = [_key(label, size) for label, size in zip(table["label"], sizes, strict=True)]
    seen: set[Key] = set()
    for at, key in enumerate(keys):
        if key in seen:
            keys[at] = (*key, str(at))
        seen.add(key)
    return table.assign(key=pd.Series(keys, index=table.index, dtype=object))


@dataclass(frozen=True)
class _State:
    """The state of the greedy choice."""

    design: Design
    noise: Variances
    targets: list[Target]
    level: float

    @property
    def width(self) -> float:
        return sum(t.width(self.design, self.noise, self.level) for t in self.targets)


@dataclass(frozen=True)
class _Run:
    """A candidate run: its row, configuration, place on the axis and cost."""

    row: int
    family: str
    key: Key
    x: float
    cost: float


def _greedy(waiting: list[_Run], budget: float, state: _State) -> tuple[list[_Run], _State]:
    """Choose runs one after another; return them and the state with all of them."""
    chosen: list[_Run] = []
    spent = 0.0
    while len(chosen) < MAX_RUNS:
        best, best_rate, best_state = None, 0.0, state
        # Seeds of one configuration are interchangeable: the first stands for all.
        for run in {(run.family, run.key): run for run in reversed(waiting)}.values():
            if spent + run.cost > budget:
                continue
            then = replace(state, design=state.design.plus(run.family, run.key, math.log(run.x)))
            rate = (state.width - then.width) / run.cost
            if rate > best_rate:
                best, best_rate, best_state = run, rate, then
        if best is None:
            break
        waiting = [run for run in waiting if run is not best]
        chosen.append(best)
        spent, state = spent + best.cost, best_state
    return chosen, state


def propose(
    runs: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    budget: float,
    families: Sequence[str],
    question: str = "ratio",
    metric: str = "top1_accuracy",
    x: str = "train_flops",
    at: float | None = None,
    level: float = clusters.LEVEL,
) -> Proposal:
    """Propose candidates to run next, greedily by the narrowing of the interval per cost.

    `candidates` has one row a run: `family`, `label`, `train_examples`, the column `x`, and `cost`
    in the unit of the budget. `question` is "ratio" (cost at equal error, `at` one),
    "crossing" or "law" (error at `at` of x). Raises QuestionError, and ProposeError where nothing
    can be proposed.
    """
    if question not in QUESTIONS:
        raise QuestionError(f"question: given {question!r}, expected {', '.join(QUESTIONS)}")
    if question == "ratio" and at is not None and formatting.is_fraction(metric) and at >= 1:
        raise QuestionError(f"at: given {at:g}, expected an error as a fraction, as 0.1 for 10%")
    if question != "law" and len(families) != 2:
        raise QuestionError(f"families: given {len(families)}, expected two to compare")
    table = _errors(_keyed(groups.configurations(runs, metric=metric, x=x), runs), metric)
    design, noise, lines = _fit(table, families)
    targets = _targets(question, table, lines, at)
    before = tuple(target.estimate(design, noise, level) for target in targets)
    possible = [
        _Run(row, run["family"], _key(run["label"], run["train_examples"]), run[x], run["cost"])
        for row, run in enumerate(candidates.to_dict("records"))
        if run["family"] in families
    ]
    least = min((run.cost for run in possible), default=math.inf)
    if least > budget:
        raise ProposeError(f"nothing is affordable: given {budget:g}, the cheapest takes {least:g}")
    chosen, state = _greedy(possible, budget, _State(design, noise, targets, level))
    if not chosen:
        raise ProposeError("no affordable run is expected to narrow the interval")
    after = tuple(target.estimate(state.design, noise, level) for target in targets)
    cost = sum(run.cost for run in chosen)
    return Proposal(tuple(run.row for run in chosen), cost, before, after)
