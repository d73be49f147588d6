"""Comparison tables: what each network cost and scored, for people, papers and programs."""

import csv
import io
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from results import summary, units

COSTS = ("params", "forward_macs_per_image", "train_flops", "accelerator_days")
MIN_WIDTH = 72  # of a footnote under a narrow table
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


@dataclass(frozen=True)
class Comparison:
    """A comparison as numbers: `frame` has one row per `rows` and value of `columns`.

    Its columns are `rows`, `columns`, `costs` and `{metric}_mean`, `_std`, `_n`, in the units of
    the ledger. `pooled` are the columns besides the seed that runs in one cell differ in.
    """

    frame: pd.DataFrame
    rows: tuple[str, ...]
    columns: str | None
    costs: tuple[str, ...]
    metric: str
    pooled: tuple[str, ...]

    @property
    def footnote(self) -> str:
        """What the columns are, what ± is over, what n counts, what an empty cell means."""
        over = ", ".join(["seeds", *(units.name(column) for column in self.pooled)])
        counts = self.frame[f"{self.metric}_n"]
        same = f" (here always {counts.iloc[0]})" if len(counts) and counts.nunique() == 1 else ""
        sides = "" if self.columns is None else f", by {units.name(self.columns)}"
        return (
            f"{units.header(self.metric)}{sides}: mean ± sample standard deviation (ddof = 1) over "
            f"{over}; n is the number of finished runs behind a mean{same}. "
            "There is no ± where n = 1, and an empty cell where no run has finished."
        )


@dataclass(frozen=True)
class Grid:
    """A comparison as text: `cells` (R, C) under `header` (C), columns of words or numbers.

    `bold` holds the (row, column) of the best scores, where there are two to compare.
    """

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    is_number: tuple[bool, ...]
    bold: frozenset[tuple[int, int]]
    footnote: str


def comparison(
    runs: pd.DataFrame,
    *,
    rows: Sequence[str] | None = None,
    columns: str | None = None,
    costs: Sequence[str] | None = None,
    metric: str = "top1_accuracy",
) -> Comparison:
    """The mean score per row over seeds, with its spread and number, and what it cost.

    By default a row is a model and whatever else was varied but the seed. `columns` names a
    column of `runs` whose values stand side by side, each with its scores: training-set sizes, or
    data sets. `costs` defaults to size, forward MACs, training FLOPs and accelerator time, as far
    as known; beside `columns`, to size and MACs. Raises MissingColumn.

    >>> print(to_text(comparison(store.load("runs/digits").runs)))  # doctest: +SKIP
    """
    model = summary.model_column(runs)
    across = [] if columns is None else [columns]
    if rows is None:
        family = ["family"] if "family" in runs else []
        summary.check_columns(runs, [model, *across])
        varied = summary.varying(runs, [*family, model, *across])
        rows = [*family, model, *(name for name in varied if name != "params")]
    if costs is None:
        usual = COSTS if columns is None else COSTS[:2]
        costs = [name for name in usual if name in runs and runs[name].notna().any()]
    keys = [*rows, *across]
    frame = summary.over_seeds(runs, keys, metric, costs)
    pooled = summary.varying(runs, keys)
    return Comparison(frame, tuple(rows), columns, tuple(costs), metric, pooled)


# --- a comparison as text


def _keys(values: pd.Series) -> list[str]:
    """The values of a key column: numbers with thousands separated, families by their names."""
    if values.name == "family":
        values = values.map(lambda family: summary.FAMILIES.get(family, family))
    known = values.notna()
    is_number = pd.api.types.is_numeric_dtype(values)

    def text(value: Any) -> str:
        if not is_number:
            return str(value)
        return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"

    return [text(value) if ok else "" for value, ok in zip(values, known, strict=True)]


def _sides(made: Comparison) -> list[tuple[str, pd.DataFrame]]:
    """What stands side by side: a header, and its part of the frame with every row of the table."""
    if made.columns is None:
        return [(units.header(made.metric), made.frame)]
    lines = made.frame[list(made.rows)].drop_duplicates()
    parts = [part for _, part in made.frame.groupby(made.columns, dropna=False)]
    return [
        (_keys(part[made.columns])[0], lines.merge(part, how="left", on=list(made.rows)))
        for part in parts
    ]


def _best(means: pd.Series, metric: str) -> list[int]:
    """The places of the best of several scores; none where there is nothing to compare with."""
    if means.notna().sum() < 2:
        return []
    best = means.max() if units.higher_is_better(metric) else means.min()
    return [place for place, mean in enumerate(means) if mean == best]


def grid(made: Comparison) -> Grid:
    """The texts of a comparison: keys, costs in readable units, scores with ± and n."""
    lines = made.frame.drop_duplicates(list(made.rows))
    columns = [(units.header(name), _keys(lines[name])) for name in made.rows]
    is_number = [pd.api.types.is_numeric_dtype(lines[name]) for name in made.rows]
    columns += [units.scaled(name, lines[name]) for name in made.costs]
    show_n = made.columns is None or made.frame[f"{made.metric}_n"].nunique() > 1
    bold = set()
    for title, part in _sides(made):
        means, stds = part[f"{made.metric}_mean"], part[f"{made.metric}_std"]
        bold |= {(row, len(columns)) for row in _best(means, made.metric)}
        scores = [units.score(*pair, made.metric) for pair in zip(means, stds, strict=True)]
        columns.append((title, scores))
        if show_n:
            counts = part[f"{made.metric}_n"]
            columns.append(("n", [f"{n:.0f}" if n > 0 else "" for n in counts]))
    is_number += [True] * (len(columns) - len(is_number))
    return Grid(
        header=tuple(title for title, _ in columns),
        cells=tuple(zip(*(texts for _, texts in columns), strict=True)),
        is_number=tuple(is_number),
        bold=frozenset(bold),
        footnote=made.footnote,
    )


# --- renderers


def _map_cells(made: Grid, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    """Header and rows escaped, the best in `bold` (a template with {})."""
    rows = [[escape(cell) for cell in made.header]]
    for at, cells in enumerate(made.cells):
        texts = [escape(cell) for cell in cells]
        rows.append([bold.format(t) if (at, c) in made.bold else t for c, t in enumerate(texts)])
    return rows


def to_markdown(made: Comparison) -> str:
    """A table of GitHub's Markdown, the best in bold, the footnote under it."""
    table = grid(made)

    def escape(cell: str) -> str:
        return re.sub(r"([\\|*_<>`\[\]])", r"\\\1", " ".join(cell.split()))

    header, *rows = _map_cells(table, escape, "**{}**")
    rule = ["---:" if is_number else "---" for is_number in table.is_number]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return "\n".join([*lines, "", table.footnote]) + "\n"


def to_latex(made: Comparison) -> str:
    """A `tabular` of the booktabs package, the best in bold, the footnote under it."""
    table = grid(made)

    def escape(cell: str) -> str:
        return "".join(LATEX.get(letter, letter) for letter in " ".join(cell.split()))

    header, *rows = _map_cells(table, escape, r"\textbf{{{}}}")
    align = "".join("r" if is_number else "l" for is_number in table.is_number)
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [rf"{' & '.join(header)} \\", r"\midrule"]
    lines += [rf"{' & '.join(cells)} \\" for cells in rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip{{\footnotesize {escape(table.footnote)}}}"]
    return "\n".join(lines) + "\n"


def to_text(made: Comparison) -> str:
    """Aligned columns for a terminal, the footnote under them."""
    table = grid(made)
    rows = [table.header, *table.cells]
    widths = [max(len(row[at]) for row in rows) for at in range(len(table.header))]

    def line(cells: Sequence[str]) -> str:
        parts = zip(cells, widths, table.is_number, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in parts).rstrip()

    header, *body = map(line, rows)
    rule = "  ".join("-" * width for width in widths)
    note = textwrap.fill(table.footnote, max(len(rule), MIN_WIDTH))
    return "\n".join([header, rule, *body, "", note]) + "\n"


def to_csv(made: Comparison) -> str:
    """The frame as numbers for programs: fractions, FLOPs, days; one row per row and column.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """

    def safe(value: Any) -> object:
        if isinstance(value, str) and value.startswith(FORMULA_STARTS):
            return f"'{value}"
        if pd.isna(value):
            return None
        return int(value) if isinstance(value, float) and value.is_integer() else value

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe(name) for name in made.frame.columns])
    for row in made.frame.itertuples(index=False):
        writer.writerow([safe(value) for value in row])
    return stream.getvalue()
