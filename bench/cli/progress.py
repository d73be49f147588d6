"""Progress of a study in the terminal, read from its files."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cli import output
from bench.run.heartbeat import Heartbeat
from results.columns import formatting
from sweeps.status import RunStatus, StudyStatus, counts, study_status

POLL_SECONDS = 0.5
LINES_EVERY_SECONDS = 15.0
MAX_RUNNING_SHOWN = 12


def wait(study_dir: Path) -> list[str]:
    """Show progress until nothing is queued or running; return a line per run that is not done."""
    follow = _follow_bars if sys.stderr.isatty() else _follow_lines
    found = follow(study_dir)
    problems = []
    for run in found.runs:
        if run.state == "failed":
            problems.append(f"{run.run_id}: failed: {run.reason}")
        elif run.state != "done":
            log = study_dir / run.run_id / "log"
            log = log if log.exists() else study_dir / "log"
            why = run.reason or "its job ended without a record"
            problems.append(f"{run.run_id}: {run.state}, {why}; see {log}")
        elif run.evaluations.failure:
            problems.append(f"{run.run_id}: evaluation failed: {run.evaluations.failure}")
    if found.analysis and found.analysis["state"] != "done":
        problems.append(f"analysis: {found.analysis['state']}: {found.analysis['reason']}")
    return problems


def track(runs: list[RunStatus], what: str) -> Iterator[RunStatus]:
    """Yield the runs one by one, with a bar on a terminal and lines elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(runs, what, console=Console(stderr=True), transient=True)
        return
    for number, run in enumerate(runs, start=1):
        output.note(f"[{number}/{len(runs)}] {what} {run.run_id}")
        yield run


def only(found: StudyStatus, study_dir: Path, where: Sequence[str]) -> StudyStatus:
    """Return the status with the runs that meet the conditions of `--where`.

    Conditions may name columns of the status and of the ledger, which are null until a run ends.
    """
    if not where:
        return found
    import pandas as pd

    import models
    from results import store
    from results.columns import filters

    families = {name: models.config(name).family for name in models.names()}
    rows = pd.DataFrame([run.as_json() for run in found.runs])
    ended = store.load([study_dir]).runs.set_index("run_id").reindex(rows["run_id"])
    rows = rows.join(ended.reset_index(drop=True)[ended.columns.difference(rows.columns)])
    rows["family"] = rows["family"].fillna(rows["model"].map(families))
    chosen, _ = filters.select(rows, None, where)
    return replace(found, runs=[found.runs[at] for at in chosen.index])


def watch(study_dir: Path, where: Sequence[str] = ()) -> None:
    """Show the table of `status`, refreshed until all runs have ended."""
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            found = only(study_status(study_dir), study_dir, where)
            rows = [run.as_json() for run in found.runs]
            live.update(output.status_table(rows), refresh=True)
            if found.is_over:
                return
            time.sleep(2 * POLL_SECONDS)


def _follow_lines(study_dir: Path) -> StudyStatus:
    """Plain lines: one when a run ends, and now and then a summary."""
    ended: set[str] = set()
    said_at = time.monotonic()
    first = True
    while True:
        found = study_status(study_dir)
        runs = found.runs
        for run in runs:
            if run.state in ("done", "failed") and run.run_id not in ended:
                ended.add(run.run_id)
                if not first:
                    output.note(f"[{len(ended)}/{len(runs)}] {run.run_id}: {run.state}")
        first = False
        if found.is_over:
            return found
        if time.monotonic() - said_at > LINES_EVERY_SECONDS:
            said_at = time.monotonic()
            output.note(", ".join(f"{n} {state}" for state, n in counts(runs).items() if n))
        time.sleep(POLL_SECONDS)


def _follow_bars(study_dir: Path) -> StudyStatus:
    """One bar for the study, and one for each run under way."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    bars: dict[str, Any] = {}
    with progress:
        whole = progress.add_task(f"study {study_dir.name}", note="")
        while True:
            found = study_status(study_dir)
            runs = found.runs
            tally = counts(runs)
            failed = f"{tally['failed']} failed" if tally["failed"] else ""
            progress.update(whole, total=len(runs), completed=tally["done"], note=failed)
            running = [run for run in runs if run.state == "running"][:MAX_RUNNING_SHOWN]
            for run_id in bars.keys() - {run.run_id for run in running}:
                progress.remove_task(bars.pop(run_id))
            for run in running:
                if run.run_id not in bars:
                    bars[run.run_id] = progress.add_task(_name(run), note="starting")
                beat = run.beat
                progress.update(
                    bars[run.run_id],
                    total=beat.num_steps if beat else None,
                    completed=(beat.step if beat else None) or 0,
                    note=_speed(beat),
                )
            if found.is_over:
                return found
            time.sleep(POLL_SECONDS)


def _name(run: RunStatus) -> str:
    about = run.about
    return f"  {about.model} n={about.train_examples} seed={about.seed}"


def _speed(beat: Heartbeat | None) -> str:
    if beat is None or beat.loss is None or beat.images_per_second is None:
        return "starting"
    return f"loss {beat.loss:.3f}, {formatting.count(beat.images_per_second)} images/s"
