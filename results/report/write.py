"""A study as one HTML file that opens offline: charts, ledger, tables, costs, provenance."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from results import reference, table
from results.columns import configurations, formatting
from results.ledger.files import write_whole
from results.report import answers, data, facts
from results.schema import ResultsError
from results.store import Study
from results.tables import render

# plotly.js's own bundle of scatter, bar and pie: a quarter of the size of the whole, which the
# plotly package ships, and a page that opens in half the time.
PLOTLY = "plotly-basic.min.js"
SCRIPTS = ("data.js", "charts.js", "ledger.js", "page.js")
MOST_LINES = 200  # of a comparison table that people read in a page


def _page(name: str) -> str:
    return files("results.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return the source expression of a script for a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _tiles(study: Study, metric: str) -> list[tuple[str, str]]:
    """Return the figures at the top of the page: runs done, their costs, the best score."""
    runs = study.runs
    done = int((runs["state"] == "done").sum())
    tiles = [("runs done", f"{done:,} of {len(runs):,}")]
    for column in facts.summed():
        text = facts.total(runs[column], column)
        tiles += [(formatting.name(column), text)] if text else []
    scores = runs.loc[runs["state"] == "done", metric].dropna()
    if len(scores):
        best = scores.max() if formatting.higher_is_better(metric) else scores.min()
        tiles.append((f"best {formatting.name(metric)}", formatting.metric_value(metric, best)))
    return tiles


def _shortened(title: str, grid: render.TableGrid) -> dict[str, Any]:
    """Return a comparison table for the page, and the number of rows it leaves out."""
    rows = grid.cells[:MOST_LINES]
    bold = frozenset(place for place in grid.bold if place[0] < len(rows))
    shown = replace(grid, cells=rows, bold=bold)
    return {"title": title, "html": render.to_html(shown), "left": len(grid.cells) - len(rows)}


def _comparisons(study: Study, metric: str) -> list[dict[str, Any]]:
    """Return the tables of the runs' own scores and of evaluations, if there are any."""
    made = []
    if study.runs[metric].notna().any():
        made.append(_shortened("By model", table.comparison(study.runs, metric=metric)))
    evals = study.evals[study.evals["protocol"] != "upstream"]
    if (evals["metric"] == metric).any():
        grid = table.comparison(study.runs, evals, metric=metric)
        made.append(_shortened("Evaluations of finished runs", grid))
    return made


def html(
    study: Study,
    *,
    cost: str = "train_flops",
    metric: str = "top1_accuracy",
    published: bool = False,
) -> str:
    """Return the report of a study as an HTML page that loads nothing.

    Charts show `cost` and `metric` first; laws and comparisons are about them. With `published`
    the charts also show the ViT paper's Tables 5 and 6. A content security policy
    lets only the page's own scripts run. Raises MissingColumn, and ResultsError for a study in
    which no run has ended.
    """
    runs = study.runs
    if runs.empty:
        raise ResultsError("no run has ended yet, so there is nothing to report")
    configurations.check_columns(runs, [cost, metric])
    found = {x: answers.fitted(runs, x, metric) for x in (cost, "train_examples")}
    papers = {"frontier": reference.table6(), "scale": reference.table5()} if published else {}
    payload = data.payload(runs, study.evals, papers, cost=cost, metric=metric)
    payload["laws"] = [answers.law_curves(laws, x, metric) for x, laws in found.items()]
    num = answers.replicas(runs)
    plotly_js = _page(PLOTLY)
    own_js = '"use strict";\n' + "\n".join(_page(name) for name in SCRIPTS)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_page("report.html")).render(
        names=sorted(runs["study"].unique()),
        policy=f"{_hash(plotly_js)} {_hash(own_js)}",
        css=_page("report.css"),
        plotly_js=plotly_js,
        own_js=own_js,
        data=data.to_json(payload),
        tiles=_tiles(study, metric),
        comparisons=_comparisons(study, metric),
        laws=[answers.law_table(laws, x, metric, num) for x, laws in found.items()],
        pairs=answers.comparisons(runs, cost, metric),
        costs=facts.costs(study),
        provenance=facts.provenance(study),
        specs=facts.specs(study),
        skipped=study.skipped,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def write(study: Study, path: Path | str, **options: Any) -> Path:
    """Write `html` of the study to `path` atomically; takes its options and returns the path.

    >>> write(store.load("runs/demo"), "demo.html")  # doctest: +SKIP
    """
    text = html(study, **options)
    return write_whole(path, lambda stream: stream.write(text.encode(errors="replace")))
