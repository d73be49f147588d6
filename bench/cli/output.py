"""What the command line prints: one JSON document, or tables that line up."""

import json as jsonlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from results.columns import formatting
from results.schema import of_role

Row = Mapping[str, Any]
Format = Callable[[Any], str]
# Indentation is the slow part of json: ten times the seconds for 10,000 rows.
_encode = jsonlib.JSONEncoder(default=str, allow_nan=False).encode


def count(value: Any) -> str:
    """Return a count with three significant digits and a prefix.

    >>> [count(n) for n in (86_567_656, 1_000, 12)]
    ['86.6 M', '1.00 k', '12']
    """
    if value < 1000:
        return f"{value:g}" if isinstance(value, int) else f"{value:.3g}"
    power = min(int(math.log10(value) + 1e-12) // 3, 7)
    scaled = value / 1000**power
    digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
    return f"{scaled:.{digits}f} {' kMGTPEZ'[power]}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(4000)
    ('42 s', '1 h 07 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return (
        f"{minutes} min"
        if minutes < 120 and minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )


def _text(value: Any) -> str:
    return str(value)


def _gmacs(value: Any) -> str:
    return f"{value / 1e9:.2f}" if value >= 1e7 else f"{value / 1e9:.5f}"


def _percent(value: Any) -> str:
    return f"{100 * value:.1f} %"


def _millions(value: Any) -> str:
    return f"{value / 1e6:.2f}"


def _days(value: Any) -> str:
    return f"{value:.3g}"


# Key of the row, heading with its unit, format.
Column = tuple[str, str, Format]

_MODEL: list[Column] = [
    ("name", "name", _text),
    ("label", "label", _text),
    ("family", "family", _text),
    ("image_size", "px", _text),
    ("params", "params (M)", _millions),
    ("forward_macs_per_image", "GMACs", _gmacs),
]
MODELS: list[Column] = [
    *_MODEL,
    ("published_names", "published as", lambda names: ", ".join(names)),
]
COST: list[Column] = [
    *_MODEL,
    ("forward_macs_valid_per_image", "GMACs valid", _gmacs),
    ("norm_operations_per_image", "norm Gops", _gmacs),
    ("forward_flops_per_image", "GFLOPs", _gmacs),
    ("train_exaflops", "train exaFLOPs", lambda value: f"{value:.4g}"),
    ("train_exaflops_valid", "valid", lambda value: f"{value:.4g}"),
]
BY_MODULE: list[Column] = [
    ("name", "name", _text),
    ("module", "module", _text),
    ("params", "params", lambda value: f"{value:,}"),
    ("forward_macs_per_image", "MACs", lambda value: f"{value:,}"),
    ("norm_operations_per_image", "norm operations", lambda value: f"{value:,}"),
]
PUBLISHED: list[Column] = [
    ("label", "published as", _text),
    ("name", "name", _text),
    ("image_size", "px", _text),
    ("epochs", "epochs", _text),
    ("train_exaflops_valid", "exaFLOPs", lambda value: f"{value:.1f}"),
    ("published_exaflops", "published", lambda value: f"{value:.0f}"),
    ("gmacs", "GMACs", lambda value: f"{value:.2f}"),
    ("gmacs_with_norms", "with norms", lambda value: f"{value:.2f}"),
    ("published_gmacs", "published", lambda value: f"{value:.2f}"),
    ("deviation", "deviation", lambda value: f"{100 * value:+.2f} %"),
    ("published_core_days", "core-days", _text),
    ("implied_utilization", "utilization", _percent),
    ("note", "note", _text),
]
THROUGHPUT: list[Column] = [
    ("model", "model", _text),
    ("mode", "mode", _text),
    ("precision", "precision", _text),
    ("image_size", "px", _text),
    ("batch_size", "batch", _text),
    ("images_per_second", "images/s", lambda value: f"{value:.4g}"),
    ("step_seconds", "ms a step", lambda value: f"{1e3 * value:.1f}"),
    ("step_seconds_low", "25 %", lambda value: f"{1e3 * value:.1f}"),
    ("step_seconds_high", "75 %", lambda value: f"{1e3 * value:.1f}"),
    ("num_steps", "steps", _text),
    ("peak_memory_bytes", "memory (B)", count),
    ("model_flops_utilization", "MFU", _percent),
]


def predicted_costs() -> list[Column]:
    """Return the columns of a plan for the costs that earlier runs predict."""
    costs = [column for column in of_role("cost") if column.plan == "predicted"]
    return [(column.planned, formatting.in_smallest_unit(column.name), count) for column in costs]


def plan_columns() -> list[Column]:
    """Return the columns of a plan: settings, then costs."""
    return [
        ("state", "state", _text),
        ("model", "model", _text),
        ("train_examples", "images", lambda value: f"{value:,}"),
        ("dataset", "data", _text),
        ("image_size", "px", _text),
        ("batch_size", "batch", _text),
        ("recipe", "recipe", _text),
        ("seed", "seed", _text),
        ("steps", "steps", lambda value: f"{value:,}"),
        ("params", "params", count),
        ("train_flops", "train FLOPs", count),
        ("accelerator_days", "acc.-days", _days),
        ("predicted_wall_seconds", "time", duration),
        *predicted_costs(),
        ("predicted_price", "price", lambda value: f"{value:,.2f}"),
        ("prediction", "from", _text),
        ("predicted_memory_bytes", "memory (B)", count),
    ]


def plan_totals() -> list[Column]:
    """Return the totals of a plan, besides compute, as "energy in J"."""
    return [
        ("predicted_wall_seconds_to_do", "time", duration),
        *(
            (f"{key}_to_do", heading.replace(" (", " in ").rstrip(")"), form)
            for key, heading, form in predicted_costs()
        ),
        ("predicted_price_to_do", "price", lambda value: f"{value:,.2f}"),
    ]


STATUS: list[Column] = [
    ("run_id", "run", _text),
    ("state", "state", _text),
    ("attempts", "tries", _text),
    ("progress", "done", _percent),
    ("images_per_second", "images/s", count),
    ("loss", "loss", lambda value: f"{value:.3f}"),
    ("eta_seconds", "left", duration),
    ("evaluated", "evals", _text),
    ("nodes", "nodes", _text),
    ("reason", "reason", _text),
]
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


def rows(content: Sequence[Row], *, json: bool, columns: Sequence[Column]) -> None:
    """Print rows as a JSON list, or as a table of those columns that any row has."""
    if json:
        document(content)
    else:
        _print(make_table(content, columns))


def plan(study: str, totals: Row, content: Sequence[Row], *, json: bool) -> None:
    """Print the plan of a study: its runs and their totals."""
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
    said = "not known before a run was measured" if days is None else f"{days:.3g}"
    line = (
        f"study {study}: {totals['runs']} runs, {count(totals['train_flops'])}FLOPs; to do: "
        f"{totals['runs_to_do']} runs, {count(totals['train_flops_to_do'])}FLOPs, "
        f"accelerator-days: {said}"
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
    if json:
        document(list(checks))
        return
    marks = {True: "ok", False: "MISSING"}
    columns: list[Column] = [
        ("mark", "", _text),
        ("name", "what", _text),
        ("found", "found", _text),
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
    if json:
        document(content)
        return
    keys = ("metric", *varied)
    cases = sorted({tuple(row[name] for name in keys) for row in content})
    metrics = sorted({row["metric"] for row in content})
    columns: list[Column] = [("run_id", "run", _text)]
    for case in cases:
        words = [_case(name, value) for name, value in zip(varied, case[1:], strict=True)]
        words += [_metric(case[0])] if len(metrics) > 1 or not words else []
        form = _percent if case[0].endswith("accuracy") else "{:.4g}".format
        columns.append((str(case), ", ".join(words), form))
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
    note(f"{' and '.join(map(_metric, metrics))}{over}")


def _case(name: str, value: Any) -> str:
    return f"{value} shot{'s' * (value > 1)}" if name == "shots" else f"{name} {value}"


def _metric(name: str) -> str:
    return name.replace("top1", "top-1").replace("top5", "top-5").replace("_", " ")


def make_table(content: Sequence[Row], columns: Sequence[Column]) -> Any:
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
