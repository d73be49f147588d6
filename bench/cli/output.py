"""What the command line prints: one JSON document, or tables that line up."""

import json as jsonlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cli.layouts import Column

Row = Mapping[str, Any]
# Indentation is the slow part of json: ten times the seconds for 10,000 rows.
_encode = jsonlib.JSONEncoder(default=str, allow_nan=False).encode


# Of a plan shown where they differ between its runs.
IF_VARIED = ("dataset", "image_size", "batch_size", "recipe")
MAX_ROWS = 100
INTEREST = ("failed", "running", "missing", "queued", "cancelled", "done")
STATE_STYLES = {
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "failed": "bold red",
    "missing": "dim",
    "cancelled": "magenta",
}


def document(content: Any) -> None:
    """One JSON document on standard output, a row a line."""
    sys.stdout.write(document_text(content))


def document_text(content: Any) -> str:
    """Return the document as text."""
    if isinstance(content, Mapping):
        parts = [f"  {_encode(str(key))}: {_lines(value)}" for key, value in content.items()]
        return "{\n" + ",\n".join(parts) + "\n}\n" if parts else "{}\n"
    return _lines(content) + "\n"


def _lines(value: Any) -> str:
    if not isinstance(value, list | tuple) or not value:
        return _encode(value)
    return "[\n" + ",\n".join(f"    {_encode(item)}" for item in value) + "\n  ]"


def note(message: str) -> None:
    """Print a line for people on standard error."""
    sys.stderr.write(message + "\n")


def rows(content: Sequence[Row], *, json: bool, columns: "Sequence[Column]") -> None:
    """Print rows as a JSON list, or as a table of those columns that any row has."""
    if json:
        document(content)
    else:
        _print(make_table(content, columns))


def plan(study: str, totals: Row, content: Sequence[Row], *, json: bool) -> None:
    """Print the plan of a study: its runs and their totals."""
    from bench.cli.layouts import plan_columns, plan_totals
    from results.columns import formatting

    if json:
        document({"study": study, "totals": totals, "runs": content})
        return
    same = {key for key in IF_VARIED if len({row[key] for row in content}) < 2}
    _print(
        make_table(
            content[:MAX_ROWS], [column for column in plan_columns() if column[0] not in same]
        )
    )
    _say_more(content)
    days = totals["accelerator_days_to_do"]
    days_text = "not known before a run was measured" if days is None else f"{days:.3g}"
    flops, to_do = (formatting.count(totals[f"train_flops{part}"]) for part in ("", "_to_do"))
    line = (
        f"study {study}: {totals['runs']} runs, {flops}FLOPs; to do: {totals['runs_to_do']} runs, "
        f"{to_do}FLOPs, accelerator-days: {days_text}"
    )
    for key, name, form in plan_totals():
        if totals[key] is not None:
            line += f", {name}: {form(totals[key])}"
    note(line)


def _say_more(content: Sequence[Row]) -> None:
    if len(content) > MAX_ROWS:
        note(f"... and {len(content) - MAX_ROWS:,} more; --json has them all")


def status(
    study: str, totals: Row, content: Sequence[Row], analysis: Row | None, *, json: bool
) -> None:
    """Print the state of a study: its runs, the number in each state, its analysis if any."""
    if json:
        document({"study": study, "totals": totals, "runs": content, "analysis": analysis})
        return
    shown = sorted(content, key=lambda row: INTEREST.index(row["state"]))[:MAX_ROWS]
    _print(status_table(shown if len(shown) < len(content) else content))
    _say_more(content)
    note(f"study {study}: " + ", ".join(f"{n} {state}" for state, n in totals.items() if n))
    if analysis:
        reason = f" ({analysis['reason']})" if analysis["reason"] else ""
        note(f"analysis: {analysis['state']}{reason}, {', '.join(analysis['files'])}")


def status_table(content: Sequence[Row]) -> Any:
    """Return the states of runs as a rich table."""
    from bench.cli.layouts import STATUS

    shown = [{**row, "evaluated": _evaluated(row)} for row in content]
    return make_table(shown, STATUS)


def _evaluated(row: Row) -> str | None:
    """Return evaluations done of those wanted, with the first failure.

    >>> _evaluated({"evaluations": 2, "evaluations_done": 1, "evaluation_failure": None})
    '1/2'
    """
    if not row["evaluations"]:
        return None
    failure = f" {row['evaluation_failure']}" if row["evaluation_failure"] else ""
    return f"{row['evaluations_done']}/{row['evaluations']}{failure}"


def doctor(checks: Sequence[Row], *, json: bool) -> None:
    """Print the findings on the machine, a line each."""
    from bench.cli.layouts import text

    if json:
        document(list(checks))
        return
    marks = {True: "ok", False: "MISSING"}
    columns: list[Column] = [
        ("mark", "", text),
        ("name", "what", text),
        ("found", "found", text),
    ]
    _print(
        make_table(
            [{**c, "mark": marks[c["ok"]] if c["ok"] or c["needed"] else "-"} for c in checks],
            columns,
        )
    )


def evaluations(
    runs: Sequence[Row], content: Sequence[Row], varied: Sequence[str], *, json: bool
) -> None:
    """Print rows of `evals`, or a table of means over seeds: a line a run, a column a case.

    `varied` are the columns, besides the seed, that tell the cases apart.
    """
    from bench.cli.layouts import text
    from results.columns import formatting

    if json:
        document(content)
        return
    keys = ("metric", *varied)
    cases = sorted({tuple(row[name] for name in keys) for row in content})
    metrics = sorted({row["metric"] for row in content})
    columns: list[Column] = [("run_id", "run", text)]
    for case in cases:
        words = [_case(name, value) for name, value in zip(varied, case[1:], strict=True)]
        words += [formatting.name(case[0])] if len(metrics) > 1 or not words else []
        columns.append((str(case), ", ".join(words), partial(formatting.metric_value, case[0])))
    lines = []
    for run in runs:
        line: dict[str, Any] = {"run_id": run["run_id"]}
        for case in cases:
            of_case = [row for row in content if tuple(row[name] for name in keys) == case]
            values = [row["value"] for row in of_case if row["run_id"] == run["run_id"]]
            line[str(case)] = sum(values) / len(values) if values else None
        lines.append(line)
    _print(make_table(lines, columns))
    seeds = sorted({str(row["seed"]) for row in content if row.get("seed") is not None})
    over = f", mean over seeds {', '.join(seeds)}" if seeds else ""
    note(f"{' and '.join(map(formatting.name, metrics))}{over}")


def _case(name: str, value: Any) -> str:
    return f"{value} shot{'s' * (value > 1)}" if name == "shots" else f"{name} {value}"


def make_table(content: Sequence[Row], columns: "Sequence[Column]") -> Any:
    """Return a rich table: numbers right-aligned, unknown values empty, no empty columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    used = [c for c in columns if any(row.get(c[0]) not in (None, [], ()) for row in content)]
    for key, heading, _ in used:
        numeric = any(isinstance(row.get(key), int | float) for row in content)
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=key != "reason")
    for row in content:
        cells = []
        for key, _, form in used:
            value = row.get(key)
            style = STATE_STYLES.get(str(value), "") if key == "state" else ""
            cells.append(Text("" if value is None else form(value), style=style))
        table.add_row(*cells)
    return table


def _print(renderable: Any) -> None:
    """On a terminal as wide as it is; elsewhere as wide as the table, so that nothing is cut."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 400
    console = Console(width=width, highlight=False, soft_wrap=False)
    with console.capture() as capture:
        console.print(renderable)
    sys.stdout.write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")
