"""The verb `compare`: frontiers, ratios and crossings of groups of runs, printed or as JSON."""

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cli import layouts, ledgers, output
from bench.run.errors import BenchError
from results import compare, frontier
from results.columns import configurations, families, filters, formatting
from results.comparison import lines, sentences
from results.comparison.crossing import crossing
from results.comparison.pair import Pair, group
from results.laws import clusters

Row = dict[str, Any]

DATA = "train_examples"
METHODS = ("frontier", "law")


class ComparisonError(BenchError):
    """What was asked to be compared does not exist, or there is nothing to compare."""


@dataclass(frozen=True)
class ComparisonQuestion:
    """What is asked of the runs. `families` are two groups, by default every two of them."""

    families: tuple[str, str] | None = None
    metric: str = compare.METRIC
    cost: str | None = None
    accuracy: float | None = None
    budget: float | None = None
    level: float = clusters.LEVEL
    replicas: int = clusters.REPLICAS
    method: str = "frontier"


def runs_of(
    studies: Sequence[Path],
    published: str | None = None,
    with_published: bool = False,
    where: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the runs of studies or of a table of the paper that meet the conditions of `where`.

    With `with_published` the paper's Table 6 is beside a study's runs, as families of its own
    ("vit, ViT paper"), whatever the conditions. Raises LedgerError where there are none.
    """
    if published is not None:
        return filters.select(ledgers.published(published, studies), None, where)[0]
    runs = ledgers.runs(studies, where)
    if not with_published:
        return runs
    paper = ledgers.beside()
    return pd.concat([runs, paper.assign(family=paper["family"] + configurations.THEIRS)])


def answer(runs: pd.DataFrame, question: ComparisonQuestion, *, json: bool) -> None:
    """Print the answers that the runs give; raise ComparisonError or ResultsError."""
    metric = lines.column(runs, question.metric)
    if question.accuracy is not None and formatting.is_fraction(metric) and question.accuracy > 1:
        raise ComparisonError(
            f"--at-accuracy: given {question.accuracy:g}, expected a fraction, as 0.85 for 85%"
        )
    if question.method not in METHODS:
        expected = ", ".join(METHODS)
        raise ComparisonError(f"--method: given {question.method!r}, expected one of {expected}")
    cost = lines.cost(runs, question.cost) if question.cost else _usual_cost(runs)
    document: Row = {
        "metric": metric,
        "cost": cost,
        "level": question.level,
        "replicas": question.replicas,
    }
    document |= _single_runs(runs, metric, cost, question)
    pairs = _pairs(runs, metric, cost or DATA, question)
    document["comparisons"] = [_compared(runs, a, b, metric, cost, question) for a, b in pairs]
    if json:
        output.document(_plain(document))
    else:
        _print(document)


def _usual_cost(runs: pd.DataFrame) -> str | None:
    """Training FLOPs, by the paper's count where some runs have no other; None without either."""
    known = [c for c in ("train_flops", compare.COST) if c in runs and runs[c].notna().any()]
    return next((c for c in known if runs[c].notna().all()), known[0] if known else None)


def _single_runs(
    runs: pd.DataFrame, metric: str, cost: str | None, question: ComparisonQuestion
) -> Row:
    """Every configuration with its place on the frontiers, and the best within the limits."""
    table = lines.configurations(runs, metric=metric, x=cost or DATA)
    if table.empty:
        raise ComparisonError(f"no finished run has both {metric} and {cost or DATA}")
    if cost is None:
        return {"configurations": []}
    higher = formatting.higher_is_better(metric)
    marked = frontier.mark(
        table, cost="x", metric="y", by="group", name="name", higher_is_better=higher
    )
    made: Row = {"configurations": [_configuration(row) for row in marked.to_dict("records")]}
    sign = 1 if higher else -1
    if question.accuracy is not None:
        found = lines.cheapest(table, question.accuracy, sign)
        made["cheapest"] = None if found is None else _configuration(found.to_dict())
    if question.budget is not None:
        found = lines.best(table, question.budget, sign)
        made["best"] = None if found is None else _configuration(found.to_dict())
    return made


def _configuration(row: dict[Any, Any]) -> Row:
    """One configuration under the names of the document."""
    names = {"name": "name", "group": "family", "label": "label", "x": "cost", "y": "value"}
    made: Row = {new: row[old] for old, new in names.items()} | {"n": row["n"]}
    if "on_frontier" in row:
        made["on_frontier"] = bool(row["on_frontier"])
        made["on_family_frontier"] = bool(row["on_group_frontier"])
        made["dominated_by"] = list(row["dominated_by"])
        made["dominated_by_in_family"] = list(row["dominated_by_in_group"])
    return made


def _pairs(
    runs: pd.DataFrame, metric: str, axis: str, question: ComparisonQuestion
) -> list[tuple[str, str]]:
    """Return the pairs to compare: the two asked for, or families with each other."""
    if question.families is not None:
        return [question.families]
    table = lines.configurations(runs, metric=metric, x=axis)
    known = [name for name in families.LOOKS if name in set(table["group"])]
    known += sorted(set(table["group"]) - set(known))
    ours = [name for name in known if not name.endswith(configurations.THEIRS)]
    pairs = list(itertools.combinations(ours, 2))
    theirs = [(name, name + configurations.THEIRS) for name in ours]
    return pairs + [(name, published) for name, published in theirs if published in known]


def _compared(
    runs: pd.DataFrame, a: str, b: str, metric: str, cost: str | None, question: ComparisonQuestion
) -> Row:
    """All answers on two groups, and a sentence for each."""
    settings: Row = {"metric": metric, "level": question.level, "replicas": question.replicas}
    settings["method"] = question.method
    made: Row = {"a": a, "b": b}
    answers: list[str] = []
    if cost is not None:
        _in_cost(compare.groups(runs, a, b, cost=cost, **settings), question, made, answers)
    has_data = DATA in runs and runs[DATA].nunique() > 1
    made["crossing_in_data"] = None
    if has_data and cost != DATA:
        pair = compare.groups(runs, a, b, cost=DATA, **settings)
        found = crossing(pair)
        made["crossing_in_data"] = asdict(found)
        answers.append(sentences.crossing(pair, found))
    return made | {"sentences": answers}


def _in_cost(pair: Pair, question: ComparisonQuestion, made: Row, answers: list[str]) -> None:
    """Add the answers along the axis of cost to `made` and `answers`."""
    mean, found = compare.mean_ratio(pair), crossing(pair)
    answers += [sentences.mean_ratio(pair, mean), sentences.crossing(pair, found)]
    made |= {
        "mean_ratio": asdict(mean),
        "ratio_of_each_run": compare.points_ratio(pair).to_dict("records"),
        "ratio_curve": compare.ratio_curve(pair).to_dict("records"),
        "crossing": asdict(found),
    }
    if (accuracy := question.accuracy) is not None:
        ratio = compare.ratio_at(pair, accuracy)
        made["at_accuracy"] = {"accuracy": accuracy, "ratio": asdict(ratio)} | {
            f"cost_{name}": float(side.line.reach(accuracy))
            for name, side in (("a", pair.a), ("b", pair.b))
        }
        answers.append(sentences.ratio_at(pair, ratio, accuracy))
    if (budget := question.budget) is not None:
        gain, chance = compare.gain_at(pair, budget), compare.probability(pair, budget)
        made["at_cost"] = {"cost": budget, "gain": asdict(gain), "probability": asdict(chance)} | {
            f"value_{name}": float(side.line.at(budget))
            for name, side in (("a", pair.a), ("b", pair.b))
        }
        answers += [
            sentences.gain_at(pair, gain, budget),
            sentences.probability(pair, chance, budget),
        ]


def _plain(value: Any) -> Any:
    """Return the value with None for unknown numbers, which JSON cannot express otherwise."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --- for people


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _print(document: Row) -> None:
    metric, cost = document["metric"], document["cost"]
    columns: list[layouts.Column] = [
        ("name", "run", str),
        ("family", "family", group),
        ("cost", formatting.name(cost) if cost else "", lambda x: formatting.amount(cost, x)),
        ("value", formatting.name(metric), lambda y: formatting.metric_value(metric, y)),
        ("n", "n", str),
        ("frontier", "on the frontier of", str),
        ("dominated_by", "dominated by", "; ".join),
    ]
    rows = [{**row, "frontier": _membership(row)} for row in document["configurations"]]
    if rows:
        output.rows(rows, json=False, columns=columns)
    for key, words in (("cheapest", "cheapest that reaches it"), ("best", "best within it")):
        if key in document:
            found = document[key]
            text = "none" if found is None else f"{found['name']}, {_costs(document, found)}"
            _say(f"{words}: {text}")
    remarks: list[str] = []
    for made in document["comparisons"]:
        for sentence in made["sentences"]:
            _say(f"{sentence[:1].upper()}{sentence[1:]}.")
        for answer in _answers(made):
            who = f"{group(made['a'])} and {group(made['b'])}"
            remarks += [f"{who}: {c['text']} ({c['code']})" for c in answer["warnings"]]
            remarks.append(f"method: {answer['method']}")
    for line in dict.fromkeys(remarks):
        output.note(line)
    output.note(
        f"intervals: {formatting.percent(document['level'])}, configurations and their seeds "
        "drawn anew"
    )


def _membership(row: Row) -> str:
    return "all" if row["on_frontier"] else "its family" if row["on_family_frontier"] else ""


def _costs(document: Row, found: Row) -> str:
    value = formatting.metric_value(document["metric"], found["value"])
    return f"{value} at {formatting.amount(document['cost'], found['cost'])}"


def _answers(made: Row) -> list[Row]:
    """Every answer in a comparison, as dictionaries."""
    places = [made.get("mean_ratio"), *(made.get("at_accuracy") or {}).values()]
    places += [*(made.get("at_cost") or {}).values()]
    places += [(made.get(key) or {}).get("at") for key in ("crossing", "crossing_in_data")]
    return [place for place in places if isinstance(place, dict)]
