"""The verb `fit`: laws of the runs of some studies, and what they predict."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench import show
from bench.config import BenchError
from results import fit as fits
from results import reference, store, units

Record = dict[str, Any]
LAWS: list[show.Column] = [
    ("group", "group", str),
    ("formula", "law", str),
    ("unit", "C in", str),
    ("a", "a", str),
    ("b", "b", str),
    ("d", "d", str),
    ("e", "e", str),
    ("num_configurations", "configurations", str),
    ("num_runs", "runs", str),
    ("hold_out", "hold-out", str),
    ("miss", "miss", str),
]
PREDICTIONS: list[show.Column] = [
    ("group", "group", str),
    ("x", "at", str),
    ("curve", "error", str),
    ("next_run", "next run", str),
    ("codes", "warnings", str),
]


class FitRefused(BenchError):
    """Nothing can be fitted: no runs, or the wrong question."""


def law(
    studies: Sequence[Path],
    *,
    by: Sequence[str],
    at: Sequence[float],
    published: bool,
    json: bool,
    **settings: Any,
) -> None:
    """Prints a law per group of runs, with predictions at some x; raises FitRefused.

    With `published` the ViT paper's Table 6 is fitted beside them, family by family.
    """
    found = fits.fit_groups(_runs(studies), by, **settings)
    if published:
        paper = reference.table6()
        paper = paper.assign(train_flops=paper["train_flops_valid"])
        theirs = fits.fit_groups(paper, ["family"], **settings)
        found |= {f"{name}, ViT paper": made for name, made in theirs.items()}
    good = {name: made for name, made in found.items() if isinstance(made, fits.Fit)}
    refused = {name: str(made) for name, made in found.items() if name not in good}
    if not good:
        raise FitRefused("; ".join(f"{name}: {reason}" for name, reason in refused.items()))
    records = [{"group": name, **made.record(at)} for name, made in good.items()]
    if json:
        show.document({"fits": records, "not_fitted": refused})
        return
    _print(records, settings["metric"])
    for name, reason in refused.items():
        show.note(f"{name}: not fitted: {reason}")


def _runs(studies: Sequence[Path]) -> pd.DataFrame:
    study = store.load(studies)
    for skipped in study.skipped:
        show.note(f"skipped: {skipped}")
    if study.runs.empty:
        names = ", ".join(str(path) for path in studies)
        raise FitRefused(f"{names}: no run has ended yet; see scalebench status")
    return study.runs


def _error(metric: str) -> Callable[[float], str]:
    """How errors are written: those of accuracies in per cent."""
    if units.higher_is_better(metric):
        return lambda value: f"{100 * value:.2f} %"
    return lambda value: f"{value:.4g}"


def _with_interval(
    values: Mapping[str, Any], form: Callable[[float], str], key: str, ends: tuple[str, str]
) -> str:
    """A value with its interval in brackets; alone where there is none."""
    low, high = (values[end] for end in ends)
    text = form(values[key])
    return text if low is None or high is None else f"{text} [{form(low)}, {form(high)}]"


def _print(records: Sequence[Record], metric: str) -> None:
    form, ends = _error(metric), ("low", "high")
    lines, predictions = [], []
    for record in records:
        line = {key: record[key] for key in ("group", "formula", "num_configurations", "num_runs")}
        line["unit"] = f"{record['x_unit']:.0e} {record['x']}"
        for name, parameter in record["parameters"].items():
            if name in record["formula"].replace("C", ""):
                line[name] = _with_interval(parameter, "{:.3g}".format, "value", ends)
        held = record["hold_out"]
        if held:
            line["hold_out"] = f"{form(held['observed'])}, predicted " + _with_interval(
                held, form, "predicted", ends
            )
            line["miss"] = f"{'+' if held['miss'] > 0 else '-'}{form(abs(held['miss']))}"
        lines.append(line)
        for made in record["predictions"]:
            predictions.append(
                {
                    "group": record["group"],
                    "x": f"{made['x']:.4g}",
                    "curve": _with_interval(made, form, "error", ends),
                    "next_run": _next_run(made, form),
                    "codes": ", ".join(w["code"] for w in made["warnings"]),
                }
            )
    show.rows(lines, json=False, columns=LAWS)
    if predictions:
        show.rows(predictions, json=False, columns=PREDICTIONS)
    for record in records:
        for caution in record["warnings"]:
            show.note(f"{record['group']}: {caution['code']}: {caution['text']}")
    level = f"{100 * records[0]['level']:g} %"
    show.note(
        f"error of {units.name(metric)}; {level} intervals by a bootstrap over configurations; "
        "hold-out: the largest scale, predicted without the largest octave"
    )


def _next_run(made: Record, form: Callable[[float], str]) -> str:
    if made["next_run_low"] is None:
        return ""
    return f"{form(made['next_run_low'])} to {form(made['next_run_high'])}"
