"""Costs and provenance of studies as tables of text for the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from results.columns import families, formatting
from results.schema import columns, of_role
from results.store import Study

MOST_ROWS = 200  # of a table that people read in a page


@dataclass(frozen=True)
class Facts:
    """A table of text: `rows` (R, C) under `header` (C), and a `note` on omitted rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    remarks: bool = False  # the last column is prose


def summed() -> tuple[str, ...]:
    """Return the costs that the report sums up."""
    return tuple(one.name for one in of_role("cost", shown="report"))


def total(values: pd.Series, column: str) -> str:
    """Format the sum of the known values, with their count if some are unknown; empty for none."""
    known = values.dropna().astype(float)
    if known.empty:
        return ""
    part = "" if len(known) == len(values) else f" ({len(known):,} of {len(values):,})"
    if column == "attempts":
        return f"{known.sum():,.0f}{part}"
    return formatting.amount(column, known.sum()) + part


def _capped(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Facts:
    texts = tuple(tuple(map(str, row)) for row in rows[:MOST_ROWS])
    left = len(rows) - len(texts)
    return Facts(title, tuple(header), texts, f"{left:,} more rows are not shown." if left else "")


def costs(study: Study) -> list[Facts]:
    """Return tables of costs by study and family, of ends of attempts, and of failures."""
    runs = study.runs
    sizes = summed()
    seconds = [one.name for one in columns("runs") if one.unit == "seconds"]
    header = ["study", "family", "runs", "done", "failed", "attempts", *map(formatting.name, sizes)]
    header += [name.removesuffix("_seconds") for name in seconds]
    rows = []
    parts: list[tuple[Any, pd.DataFrame]] = list(runs.groupby(["study", "family"], dropna=False))
    for (name, given), part in parts if len(parts) == 1 else [*parts, (("all", ""), runs)]:
        family = "" if pd.isna(given) else families.title(given)
        states = part["state"]
        counts = [len(part), (states == "done").sum(), (states == "failed").sum()]
        sums = [total(part[column], column) for column in ("attempts", *sizes, *seconds)]
        rows.append([name, family, *(f"{count:,}" for count in counts), *sums])
    made = [_capped("By family", header, rows)]
    ended = study.attempts.assign(ended=study.attempts["ended"].fillna("not ended"))
    if len(ended):
        spent = ended.groupby("ended")["train_seconds"]
        ways = [(str(how), len(part), total(part, "train_seconds")) for how, part in spent]
        ways.sort(key=lambda way: -way[1])
        lines = [(how, f"{n:,}", trained) for how, n, trained in ways]
        made.append(_capped("How attempts ended", ("ended", "attempts", "training time"), lines))
    failures = runs["failure"].dropna().value_counts()
    if len(failures):
        reasons = [(reason, f"{n:,}") for reason, n in failures.items()]
        made.append(_capped("Why runs failed", ("reason", "runs"), reasons))
    return made


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _counted(runs: pd.DataFrame, title: str, by: Sequence[str]) -> Facts:
    """Count the runs of each combination of `by`, the most frequent first."""
    names = [name for name in by if name in runs]
    sizes = runs.groupby(names, dropna=False).size()
    counted = sizes.sort_values(ascending=False, kind="stable")
    rows = [
        [*map(_text, key if isinstance(key, tuple) else (key,)), f"{n:,}"]
        for key, n in counted.items()
    ]
    return _capped(title, [*(formatting.name(name) for name in names), "runs"], rows)


def provenance(study: Study) -> list[Facts]:
    """Return tables of commits and environments, lists of training images, and seeds."""
    runs = study.runs
    data = ("dataset", "data_manifest", "train_examples")
    seeds = _counted(runs, "Seeds", ("seed",))
    origin = ("study", *(one.name for one in of_role("provenance")))
    return [
        _counted(runs, "Code, software and machines", origin),
        _counted(runs, "Training images (manifests)", data),
        seeds,
    ]


def specs(study: Study) -> list[tuple[str, str]]:
    """Return name and spec (JSON text) of each study whose file can be read."""
    found = []
    for folder in study.folders:
        try:
            written = json.loads((folder / "study.json").read_text())
        except (OSError, ValueError):
            continue
        if isinstance(written, dict):
            spec = {key: value for key, value in written.items() if key != "runs"}
            name = str(written.get("study", Path(folder).name))
            found.append((name, json.dumps(spec, indent=2, ensure_ascii=False)))
    return found
