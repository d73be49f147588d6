"""Comparison tables: what each network cost and scored, by any columns of the ledger."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from results.columns import configurations, formatting
from results.columns import scores as long
from results.schema import suggestion
from results.tables import cells, layouts
from results.tables.render import TableGrid

AGGREGATES = ("mean", "median", "min", "max", "best")
DRAWS = "draws of the images a run was adapted to"


# --- from scores to one number per cell


def _one_score_per_run(table: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Choose what the standard deviation is over: runs, or draws if every cell has one run.

    Where a cell has several runs, the draws of each are averaged before.
    """
    if "draw" not in table or table["draw"].isna().all():
        return table, "seeds"
    run = list(dict.fromkeys([*long.OF_A_RUN, *keys]))
    runs = table.drop_duplicates(run).groupby(list(keys), dropna=False).size()
    if runs.max() <= 1:
        return table, DRAWS
    means = table.groupby(run, dropna=False, sort=False)["value"].transform("mean")
    return table.assign(value=means).drop_duplicates(run), "seeds, each run the mean of its draws"


def _summarise(
    table: pd.DataFrame, keys: Sequence[str], costs: Sequence[str], aggregate: str
) -> pd.DataFrame:
    """One row per `keys` and metric: costs, and `value_{aggregate}`, `value_std`, `value_n`.

    Scores that were published as a mean bring their `std` and `n` along.
    """
    by = list(dict.fromkeys([*keys, "metric"]))
    sign = _sign(table["metric"]) if aggregate == "best" else 1
    table = table.assign(value=table["value"] * sign)
    frame = configurations.over_seeds(
        table, by, "value", costs, "max" if aggregate == "best" else aggregate
    )
    if aggregate == "best":
        frame = frame.rename(columns={"value_max": "value_best"})
        frame["value_best"] *= _sign(frame["metric"])
    if "std" in table and "n" in table:
        given = table.groupby(by, dropna=False, sort=False)[["std", "n"]].first().reset_index()
        given = frame[by].merge(given, how="left", on=by)
        alone = (frame["value_n"] == 1) & given["n"].notna()
        frame["value_std"] = given["std"].where(alone, frame["value_std"])
        frame["value_n"] = given["n"].where(alone, frame["value_n"]).astype(int)
    return frame


def _sign(metrics: pd.Series) -> pd.Series:
    return metrics.map(lambda name: 1 if formatting.higher_is_better(name) else -1).astype(float)


# --- from numbers to texts


def _title(metric: str, aggregate: str) -> str:
    return formatting.header(metric) + ("" if aggregate == "mean" else f", {aggregate}")


def _columns(
    scores: cells.Scores, layout: layouts.TableLayout, costs: cells.Columns, title: str
) -> tuple[cells.Columns, int]:
    """Return the columns with their headers, and the index of the first one with scores."""
    left = [(formatting.header(name), cells.keys(scores.lines[name])) for name in layout.rows]
    left += costs if layout.costs_at == "left" else []
    titles = cells.titles(scores.sides) if layout.columns else [title]
    made = [(text, cells.texts(scores, at)) for at, text in enumerate(titles)]
    if not layout.columns:
        made.append(("n", [f"{n:.0f}" if n > 0 else "" for n in scores.n[:, 0]]))
    right = costs if layout.costs_at == "right" else []
    return [*left, *made, *right], len(left)


def _grid(
    table: pd.DataFrame, layout: layouts.TableLayout, metrics: Sequence[str], aggregate: str
) -> TableGrid:
    """Return the comparison in its layout: keys, scores with ± and n, costs in readable units."""
    keys = [*layout.rows, *layout.columns]
    configurations.check_columns(table, [*keys, *layout.costs])
    covered = [*keys, *(long.evaluation_keys() if "evaluation" in keys else ())]
    known = [name for name in dict.fromkeys(covered) if name in table]
    pooled = configurations.varying(table, known, layouts.pooled())
    table, over = _one_score_per_run(table, keys)
    frame = _summarise(table, keys, layout.costs, aggregate)
    scores = cells.arrange(frame, layout.rows, layout.columns, aggregate)
    by_model = configurations.model_column(table) in layout.columns
    below = layout.costs_at == "below"
    costs = cells.costs(frame, layout.costs, scores.sides if below else scores.lines)
    columns, first = _columns(scores, layout, costs, _title(metrics[0], aggregate))
    lines = list(zip(*(texts for _, texts in columns), strict=True))
    rules = {len(lines)} if below and costs else set()
    if below:
        lines += [(title, *[""] * (first - 1), *texts) for title, texts in costs]
    is_number = [pd.api.types.is_numeric_dtype(scores.lines[name]) for name in layout.rows]
    over = ", ".join([over, *(formatting.name(name) for name in pooled)])
    return TableGrid(
        header=tuple(title for title, _ in columns),
        cells=tuple(lines),
        is_number=(*is_number, *[True] * (len(columns) - len(is_number))),
        bold=frozenset((row, first + at) for row, at in cells.bold(scores, by_model)),
        footnote=_footnote(scores, layout, metrics, aggregate, over),
        frame=_numbers(frame, keys, layout.costs, metrics),
        rules=frozenset(rules),
    )


def _footnote(
    scores: cells.Scores,
    layout: layouts.TableLayout,
    metrics: Sequence[str],
    aggregate: str,
    over: str,
) -> str:
    """Return the footnote: the scores, what ± is over, what n counts, what an empty cell means."""
    what = ", ".join(formatting.header(name) for name in metrics)
    sides = f", by {', '.join(map(formatting.name, layout.columns))}" if layout.columns else ""
    is_mean = aggregate == "mean"
    how = "mean ± sample standard deviation (ddof = 1)" if is_mean else aggregate
    things = "evaluations of finished runs" if over.startswith(DRAWS) else "finished runs"
    counted = f"n is the number of {things} behind a {'mean' if is_mean else 'cell'}"
    if scores.n_is_same:
        counted += f" (here always {scores.most})"
    elif layout.columns:
        counted += f" ({scores.most} where a cell does not say)"
    none = "There is no ± where n = 1, and an" if is_mean else "An"
    parts = [
        f"{what}{sides}: {how} over {over}; {counted}.",
        f"{none} empty cell where no run has finished.",
        layout.note,
    ]
    return " ".join(part for part in parts if part)


def _numbers(
    frame: pd.DataFrame, keys: Sequence[str], costs: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Return the frame for programs; with one metric its scores are named after it."""
    columns = [str(name) for name in frame]
    found = [name for name in columns if name in (*keys, *costs) or name.startswith("value_")]
    if len(metrics) > 1:
        return frame[list(dict.fromkeys([*keys, "metric", *found]))]
    return frame[found].rename(columns=lambda name: re.sub("^value_", f"{metrics[0]}_", name))


def comparison(
    runs: pd.DataFrame,
    evals: pd.DataFrame | None = None,
    *,
    rows: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    costs: Sequence[str] | None = None,
    metric: str | Sequence[str] = "top1_accuracy",
    aggregate: str = "mean",
    form: str | None = None,
    published: pd.DataFrame | None = None,
) -> TableGrid:
    """Return the score per row, summarized over seeds with its spread and number, and its cost.

    By default a row is a model and whatever else was varied but the seed. `columns` names columns
    whose values stand side by side: training-set sizes, data sets, shots. `costs` defaults to
    size, forward MACs, training FLOPs and accelerator time, as far as known; beside `columns`, to
    size and MACs. `aggregate` may also be median, min, max, or best: the highest accuracy, the
    lowest loss.

    With `evals` the scores are theirs: `protocol`, `shots` and `dataset` are those of an
    evaluation, `pretrain_dataset` is the run's, and `evaluation` names all of them in words.
    `form` is that of Table 2, 5 or 6 of the ViT paper (table2, table5, table6); `published`, as
    `reference.scores("table6")`, are further scores beside those of the runs.

    `frame` of what comes out has the numbers: keys, costs, and `{metric}_mean`, `_std`, `_n`
    (`value_mean` and so on for several metrics). Raises MissingColumn and UnknownForm.

    >>> from results import reference
    >>> from results.tables import render
    >>> paper = reference.table6().query("family == 'vit' and epochs == 14")
    >>> made = comparison(paper, rows=["label"], costs=["train_flops_valid"])
    >>> print(render.to_markdown(made).split("\\n\\n")[0])
    | model | train exaFLOPs, valid | top-1 (%) | n |
    | --- | ---: | ---: | ---: |
    | ViT-L/16 | 1,567 | 87.12 | 1 |
    | ViT-H/14 | 4,262 | **88.08** | 1 |
    """
    if aggregate not in AGGREGATES:
        choices = suggestion(aggregate, AGGREGATES)
        raise layouts.UnknownForm(f"aggregate {aggregate!r} is unknown; {choices}")
    metrics, beside = _names(metric), _names(columns)
    table = long.of_runs(runs, metrics) if evals is None else long.of_evals(runs, evals, metrics)
    table = table if published is None else pd.concat([table, published], ignore_index=True)
    asked = {*beside, *_names(rows)}
    several = len(metrics) > 1
    telling = {"evaluation", *(["metric"] if several else long.evaluation_keys())}
    if form is None and (several or evals is not None) and not asked & telling:
        beside = (*beside, "evaluation")  # no cell holds scores of different kinds
    if form is not None or "evaluation" in (*beside, *asked):
        table = table.assign(evaluation=long.describe(table))
    if form is None:
        layout = layouts.usual(table, beside)
    else:
        table, layout = layouts.of_paper(form, table)
    if rows is not None or (form is not None and beside):
        layout = replace(layout, rows=_names(rows) or layout.rows, columns=beside or layout.columns)
    if costs is not None:
        layout = replace(layout, costs=tuple(costs))
    elif rows is not None:
        along = layout.columns if layout.costs_at == "below" else layout.rows
        if configurations.model_column(table) not in along:
            layout = replace(layout, costs=())  # of several models together they mean little
    return _grid(table, layout, metrics, aggregate)


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())
