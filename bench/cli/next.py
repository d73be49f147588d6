"""What the verb `next` asks of a ledger, and how it says what was found."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cli import layouts
from bench.cli import output as show
from results.comparison import design, lines

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """The question of `propose.propose`, and the accelerator-days that may be spent on it."""

    question: str
    families: tuple[str, str]
    metric: str
    x: str
    at: float | None
    level: float
    budget_days: float


def find(runs: pd.DataFrame, rows: Sequence[Row], asked: Asked) -> design.Proposal:
    """Return the proposal from a ledger's runs and rows of `plan`; raise ProposeError."""
    candidates = pd.DataFrame(rows).rename(columns={"accelerator_days": "cost"})
    if candidates.empty:
        raise design.ProposeError("every run that could be added is there already")
    return design.propose(
        runs,
        candidates,
        budget=asked.budget_days,
        families=asked.families,
        question=asked.question,
        metric=lines.column(runs, asked.metric),
        x=asked.x,
        at=asked.at,
        level=asked.level,
    )


def show_all(
    made: design.Proposal, rows: Sequence[Row], spec: str, output: Path | None, *, json: bool
) -> None:
    """Print the spec, unless it went to a file, and the intervals that it is expected to give."""
    if json:
        runs = [{key: row[key] for key in ("run_id", "model", "train_examples", "seed",
                 "train_flops", "accelerator_days")} for row in rows]  # fmt: skip
        show.document(
            {
                "runs": runs,
                "accelerator_days": made.cost,
                "before": [asdict(one) for one in made.before],
                "after": [asdict(one) for one in made.after],
                "spec": spec,
            }
        )
        return
    if output is None:
        sys.stdout.write(spec)
    else:
        show.rows(rows, json=False, columns=layouts.plan_columns())
    for now, then in zip(made.before, made.after, strict=True):
        show.note(
            f"{now.name}: {now.value:.3g} [{now.low:.3g}, {now.high:.3g}], "
            f"expected after {len(rows)} runs of {made.cost:.3g} accelerator-days: "
            f"[{then.low:.3g}, {then.high:.3g}]"
        )
    if output is not None:
        show.note(f"{output}: next, scalestudy submit {output}")
