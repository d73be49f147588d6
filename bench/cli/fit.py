"""The verb `fit`: laws of the runs of some studies, and what they predict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cli import layouts, ledgers, output
from bench.run.errors import BenchError
from results import fit as fits
from results import reference
from results.columns import configurations, formatting
from results.comparison.lines import column, cost
from results.laws import isoflop, points, published_constants
from results.laws import joint as joint_laws

Record = dict[str, Any]
ENDS = ("low", "high")
LAWS: list[layouts.Column] = [
    ("group", "group", str),
    ("formula", "law", str),
    ("unit", "C in", str),
    ("a", "a", str),
    ("b", "b", str),
    ("d", "d", str),
    ("alpha", "alpha", str),
    ("beta", "beta", str),
    ("e", "e", str),
    ("num_configurations", "configurations", str),
    ("num_runs", "runs", str),
    ("hold_out", "hold-out", str),
    ("miss", "miss", str),
    ("codes", "warnings", str),
]
PROFILES: list[layouts.Column] = [
    ("group", "group", str),
    ("budget", "budget", str),
    ("sizes", "sizes", str),
    ("best", "best size", str),
    ("error", "error", str),
    ("codes", "warnings", str),
]
DIVISIONS: list[layouts.Column] = [
    ("group", "group", str),
    ("budget", "budget", str),
    ("params", "best parameters", str),
    ("data", "best data", str),
    ("error", "error", str),
]
CONSTANTS: list[layouts.Column] = [
    ("metric", "metric", str),
    ("symbol", "constant", str),
    ("published", "published", "{:g}".format),
    ("ours", "ours", str),
]
PREDICTIONS: list[layouts.Column] = [
    ("group", "group", str),
    ("x", "at", str),
    ("curve", "error", str),
    ("next_run", "next run", str),
    ("codes", "warnings", str),
]


class FitRefused(BenchError):
    """Nothing can be fitted: no runs, or the wrong question."""


def _chosen(
    studies: Sequence[Path], where: Sequence[str], settings: dict[str, Any], *axes: str
) -> pd.DataFrame:
    """Return the runs to fit; `settings` get the full names of the metric and of the axes."""
    runs = ledgers.runs(studies, where)
    settings["metric"] = column(runs, settings["metric"])
    settings |= {axis: cost(runs, settings[axis]) for axis in axes}
    return runs


def _by_group(
    runs: pd.DataFrame, by: Sequence[str], fit: Callable[[pd.DataFrame], Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fit of each group, and why others have none; raise FitRefused if all have none."""
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, part in points.groups(runs, by):
        try:
            found[name] = fit(part)
        except fits.FitError as error:
            refused[name] = str(error)
    _refuse_if_none(found, refused)
    return found, refused


def law(
    studies: Sequence[Path],
    *,
    by: Sequence[str],
    at: Sequence[float],
    published: bool,
    json: bool,
    where: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Print a law per group of runs, with predictions at some x; raise FitRefused.

    With `published` the ViT paper's Table 6 is fitted beside them, family by family.
    """
    runs = _chosen(studies, where, settings, "x")
    found = fits.fit_groups(runs, by, **settings)
    if published:
        paper = reference.table6()
        paper = paper.assign(train_flops=paper["train_flops_valid"])
        theirs = fits.fit_groups(paper, ["family"], **settings)
        found |= {f"{name}{configurations.THEIRS}": made for name, made in theirs.items()}
    good = {name: made for name, made in found.items() if isinstance(made, fits.LawFit)}
    refused = {name: str(made) for name, made in found.items() if name not in good}
    _refuse_if_none(good, refused)
    records = [{"group": name, **made.record(at)} for name, made in good.items()]
    if json:
        output.document({"fits": records, "not_fitted": refused})
        return
    _print(records, settings["metric"])
    _notes(records, refused)


def profiles(
    studies: Sequence[Path],
    *,
    by: Sequence[str],
    at: Sequence[float],
    json: bool,
    where: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Print the IsoFLOP profiles of each group of runs; raise FitRefused."""
    runs = _chosen(studies, where, settings, "budget", "size")
    found, refused = _by_group(runs, by, partial(isoflop.profiles, **settings))
    documents, lines, notes = [], [], [f"{name}: {why}" for name, why in refused.items()]
    form = partial(formatting.metric_value, settings["metric"])
    for name, made in found.items():
        document: Record = {"group": name, "profiles": isoflop.record(made), "growth": None}
        try:
            growth = isoflop.growth(made, settings["level"])
            document["growth"] = growth.record(at)
            exponent = _with_interval(asdict(growth.exponent), "{:.3g}".format, "value", ENDS)
            notes.append(f"{name}: best {settings['size']} grows with budget^{exponent}")
        except fits.FitError as error:
            notes.append(f"{name}: growth of the best size: {error}")
        documents.append(document)
        for profile in document["profiles"]:
            line = {"group": name, "budget": f"{profile['budget']:.3g}"}
            line["sizes"] = str(len(profile["sizes"]))
            if profile["best_size"]:
                line["best"] = _with_interval(profile["best_size"], "{:.3g}".format, "value", ENDS)
                line["error"] = form(profile["best_error"])
            line["codes"] = ", ".join(w["code"] for w in profile["warnings"])
            lines.append(line)
    if json:
        output.document({"isoflop": documents, "not_fitted": refused})
        return
    output.rows(lines, json=False, columns=PROFILES)
    for note in notes:
        output.note(note)


def joint(
    studies: Sequence[Path],
    *,
    by: Sequence[str],
    at: Sequence[float],
    json: bool,
    where: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Print the joint law of each group of runs and divide budgets; raise FitRefused."""
    runs = _chosen(studies, where, settings, "cost", "n", "d")
    found, refused = _by_group(runs, by, partial(joint_laws.fit_joint, **settings))
    records = [{"group": name, **joint_laws.record(made, at)} for name, made in found.items()]
    if json:
        output.document({"joint": records, "not_fitted": refused})
        return
    form = partial(formatting.metric_value, settings["metric"])
    lines, divisions = [], []
    for record in records:
        units_of = f"{record['n_unit']:.0e} {record['n_name']}, {record['d_unit']:.0e} "
        line = {key: record[key] for key in ("group", "formula", "num_configurations", "num_runs")}
        line["unit"] = units_of + record["d_name"]
        for name, parameter in record["parameters"].items():
            line[name] = _with_interval(parameter, "{:.3g}".format, "value", ENDS)
        lines.append(line | _doubts(record, form))
        for made in record["divisions"]:
            parts = {
                part: _with_interval(made[part], "{:.3g}".format, "value", ENDS)
                for part in ("params", "data")
            }
            divisions.append(
                {"group": record["group"], "budget": f"{made['budget']:.3g}", **parts}
                | {"error": form(made["error"])}
            )
    output.rows(lines, json=False, columns=LAWS)
    if divisions:
        output.rows(divisions, json=False, columns=DIVISIONS)
    _notes(records, refused)


def constants(*, replicas: int, level: float, json: bool) -> None:
    """Print the published constants that come with their points beside a fit of these points."""
    found = published_constants.refit(replicas=replicas, level=level)
    rows = [row for made in found for row in made.rows()]
    if json:
        fitted = [{"metric": r.metric, **r.made.record()} for r in found]
        without = published_constants.WITHOUT_POINTS
        output.document({"constants": rows, "fits": fitted, "without_points": without})
        return
    form = "{:.3g}".format
    shown = [row | {"ours": _with_interval(row, form, "value", ENDS)} for row in rows]
    output.rows(shown, json=False, columns=CONSTANTS)
    output.note(
        f"{published_constants.LAW}: E = a·(C + d)^-b + e through the frontier of the "
        "published points, C in TPUv3 core-days at a utilization of "
        f"{published_constants.UTILIZATION:g}: it moves a and d only"
    )
    for law, why in published_constants.WITHOUT_POINTS.items():
        output.note(f"{law}: not fitted: {why}")


def _refuse_if_none(found: Mapping[str, Any], refused: Mapping[str, str]) -> None:
    if not found:
        raise FitRefused("; ".join(f"{name}: {reason}" for name, reason in refused.items()))


def _with_interval(
    values: Mapping[str, Any], form: Callable[[float], str], key: str, ends: tuple[str, str]
) -> str:
    """Return a value with its interval in brackets; alone where there is none."""
    low, high = (values[end] for end in ends)
    text = form(values[key])
    return text if low is None or high is None else f"{text} [{form(low)}, {form(high)}]"


def _print(records: Sequence[Record], metric: str) -> None:
    form = partial(formatting.metric_value, metric)
    lines, predictions = [], []
    for record in records:
        line = {key: record[key] for key in ("group", "formula", "num_configurations", "num_runs")}
        line["unit"] = f"{record['x_unit']:.0e} {record['x']}"
        for name, parameter in record["parameters"].items():
            if name in record["formula"].replace("C", ""):
                line[name] = _with_interval(parameter, "{:.3g}".format, "value", ENDS)
        lines.append(line | _doubts(record, form))
        for made in record["predictions"]:
            predictions.append(
                {
                    "group": record["group"],
                    "x": f"{made['x']:.4g}",
                    "curve": _with_interval(made, form, "error", ENDS),
                    "next_run": _next_run(made, form),
                    "codes": ", ".join(w["code"] for w in made["warnings"]),
                }
            )
    output.rows(lines, json=False, columns=LAWS)
    if predictions:
        output.rows(predictions, json=False, columns=PREDICTIONS)
    level = formatting.percent(records[0]["level"])
    output.note(
        f"error of {formatting.name(metric)}; {level} intervals by a bootstrap over configurations"
    )


def _doubts(record: Record, form: Callable[[float], str]) -> dict[str, str]:
    """Return the hold-out prediction with its miss, and the codes of warnings."""
    codes = {"codes": ", ".join(dict.fromkeys(w["code"] for w in record["warnings"]))}
    check = record["hold_out"]
    if not check:
        return codes
    predicted = _with_interval(check, form, "predicted", ENDS)
    return codes | {
        "hold_out": f"{form(check['observed'])}, predicted {predicted}",
        "miss": f"{'+' if check['miss'] > 0 else '-'}{form(abs(check['miss']))}",
    }


def _notes(records: Sequence[Record], refused: Mapping[str, str]) -> None:
    for record in records:
        for warning in record["warnings"]:
            output.note(f"{record['group']}: {warning['code']}: {warning['text']}")
    for name, reason in refused.items():
        output.note(f"{name}: not fitted: {reason}")
    output.note("hold-out: the largest scale, predicted without the largest factor of two in x")


def _next_run(made: Record, form: Callable[[float], str]) -> str:
    if made["next_run_low"] is None:
        return ""
    return f"{form(made['next_run_low'])} to {form(made['next_run_high'])}"
