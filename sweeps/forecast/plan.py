"""What a study will cost, before it is submitted: plain arithmetic, no torch."""

import heapq
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.run.accelerators import GB, find
from bench.run.attempt import read_disk
from bench.run.config import Run
from bench.run.ledger import SECONDS_PER_DAY, flops, init_columns
from bench.run.memory import training_memory
from models.configs import NotDescribed
from results.schema import of_role
from sweeps.documents import SpecError
from sweeps.expand import Planned
from sweeps.forecast import predict, probe
from sweeps.forecast.predict import Kind, Speed
from sweeps.resources import Resources
from sweeps.schedulers import SCHEDULERS
from sweeps.spec import StudySpec

Row = dict[str, Any]

SECONDS_PER_HOUR = 3600
SECONDS_PER_MINUTE = 60


class LimitExceeded(Exception):
    """The study would cost more than allowed."""


def plan(
    spec: StudySpec,
    planned: Sequence[Planned],
    root: Path,
    *,
    probe_steps: int = 0,
    states: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return a row for each run: its state, its cost and its predicted time; null if unknown.

    `prediction` says from what: earlier runs in the ledger, else `probe_steps` steps that are
    trained here of each kind of run, else the stated utilization.
    """
    speeds = _Speeds(
        predict.read_ledger(root, {one.run.config.model for one in planned}), probe_steps
    )
    folders = _folders(root / spec.study)
    rows = []
    for run, resources in ((one.run, one.resources) for one in planned):
        cost = run.cost
        seen = run.examples_seen
        state = (states or {}).get(run.run_id, "missing")
        if states is None and run.run_id in folders:
            state = read_disk(root / spec.study / run.run_id).state
        rows.append(
            asdict(run.summary())
            | {
                "state": state,
                "label": run.network.label,
                "family": run.network.family,
                "params": cost.params,
                "forward_macs_per_image": cost.forward_macs,
                "forward_macs_valid_per_image": cost.forward_macs_valid,
                "train_flops": flops(cost.forward_macs, seen),
                "train_flops_valid": flops(cost.forward_macs_valid, seen),
                **init_columns(run, flops(cost.forward_macs, seen)),
                **_predicted(run, resources, speeds.of(run, cost.forward_macs, resources)),
                "predicted_memory_bytes": _memory(run, resources),
            }
        )
    return rows


def _memory(run: Run, resources: Resources) -> int | None:
    """Return the predicted bytes of the peak on each device; None if unknown."""
    try:
        return training_memory(
            run.config,
            image_size=run.image_size,
            num_classes=run.data.num_classes,
            num_devices=resources.num_devices,
            device="cuda" if resources.gpus_per_node or resources.accelerator else "cpu",
        ).peak_bytes
    except NotDescribed:
        return None


def totals(rows: list[Row], resources: Resources | None = None) -> Row:
    """Return sums over the study and over what is still to be done; null if a part is unknown.

    With the study's resources also the time that it takes from now on, so many runs at a time.
    """
    open_rows = [row for row in rows if row["state"] not in ("done", "running")]
    found: Row = {"runs": len(rows), "runs_to_do": len(open_rows)}
    costs = [column.planned for column in of_role("cost") if column.plan]
    for key in (*costs, "predicted_price"):
        found[key] = _sum(row[key] for row in rows)
        found[f"{key}_to_do"] = _sum(row[key] for row in open_rows)
    found["total_flops"] = _total_flops(rows)
    if resources is not None:
        seconds = [row["predicted_wall_seconds"] for row in open_rows]
        found["predicted_wall_seconds_to_do"] = _wall_seconds(
            seconds, SCHEDULERS[resources.cluster].slots(resources)
        )
    return found


def _total_flops(rows: list[Row]) -> float | None:
    """Return the compute of all runs and, once each, of what they start from outside the study."""
    own = {row["run_id"] for row in rows}
    outside = {
        row["init_run_id"] or row["init"]: row["init_flops"]
        for row in rows
        if row["init"] is not None and row["init_run_id"] not in own
    }
    return _sum([row["train_flops"] for row in rows] + list(outside.values()))


def limit(resources: Resources, asked: float | None) -> float | None:
    """Return the limit of accelerator-days: what is asked for, else what the spec says."""
    if asked is None:
        return resources.max_accelerator_days
    if not asked >= 0:
        raise SpecError(f"--max-accelerator-days: given {asked:g}, expected a number from 0 on")
    return asked


def check_limit(rows: list[Row], limit: float | None) -> None:
    """Raise LimitExceeded if what is to be done costs more accelerator-days than `limit`.

    A cost that cannot be predicted is refused with SpecError: it may be anything.
    """
    if limit is None:
        return
    days = totals(rows)["accelerator_days_to_do"]
    if days is None:
        raise SpecError(
            "max-accelerator-days: the cost of some runs cannot be predicted; give "
            "resources.accelerator and resources.utilization, or measure a run of each model first"
        )
    if days > limit:
        raise LimitExceeded(f"the study needs {days:.3g} accelerator-days, the limit is {limit:g}")


def warnings(rows: list[Row], planned: Sequence[Planned], max_jobs: int | None = None) -> list[str]:
    """Return lines on schedules and models that do not fit, unknown devices and full queues.

    `rows` are those of `planned`, `max_jobs` how many jobs the queue takes.
    """
    placed = {one.run_id: one.resources for one in planned}
    names = {resources.accelerator for resources in placed.values()} - {None}
    found = [
        f"resources.accelerator: {name} is not in the table: its memory, peak and power are unknown"
        for name in sorted(str(name) for name in names)
        if find(name) is None
    ]
    open_rows = [row for row in rows if row["state"] not in ("done", "running")]
    found += _schedule_warnings(planned)
    found += _memory_warnings(rows, placed)
    found += _time_warnings(open_rows, placed)
    if max_jobs is not None and len(open_rows) > max_jobs:
        found.append(
            f"{len(open_rows):,} runs are to be done, the queue takes {max_jobs:,} jobs: the rest "
            "is left for the next submit"
        )
    return found


def _schedule_warnings(planned: Sequence[Planned]) -> list[str]:
    """Return a line for each phase of a schedule that is longer than runs that have it."""
    shortest: dict[tuple[str, float], list[int]] = {}
    for run in (one.run for one in planned):
        recipe, steps = run.config.recipe, run.num_steps
        warmup = recipe.phase(recipe.warmup_steps, steps)
        if warmup >= steps:
            shortest.setdefault(("warmup_steps", recipe.warmup_steps), []).append(steps)
        elif warmup + recipe.phase(recipe.cooldown_steps, steps) > steps:
            shortest.setdefault(("cooldown_steps", recipe.cooldown_steps), []).append(steps)
        if recipe.decay_steps and recipe.decay_steps[-1] >= steps:
            shortest.setdefault(("decay_steps", recipe.decay_steps[-1]), []).append(steps)
    return [
        f"recipe.{key}: {phase:,g} steps do not fit into {len(runs):,} runs, the shortest of "
        f"{min(runs):,} steps: the schedule is cut off"
        for (key, phase), runs in shortest.items()
    ]


def _memory_warnings(rows: list[Row], placed: Mapping[str, Resources]) -> list[str]:
    most: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["label"], placed[row["run_id"]].accelerator or "")
        most[key] = max(most.get(key, 0), row["predicted_memory_bytes"] or 0)
    found = []
    for (label, name), needed in most.items():
        accelerator = find(name)
        memory = accelerator.memory_bytes if accelerator else None
        if accelerator and memory and needed > memory:
            found.append(
                f"{label} needs {needed / GB:.1f} GB on each device, {accelerator.name} has "
                f"{memory / GB:.0f}: give a smaller engine.micro_batch_size, "
                "engine.activation_checkpointing or a higher engine.zero_stage"
            )
    return found


def _time_warnings(rows: list[Row], placed: Mapping[str, Resources]) -> list[str]:
    over: Counter[str] = Counter()
    longest: dict[str, float] = {}
    for row in rows:
        seconds = row["predicted_wall_seconds"]
        limit = placed[row["run_id"]].timeout_min * SECONDS_PER_MINUTE
        if seconds is not None and seconds > limit:
            over[row["label"]] += 1
            longest[row["label"]] = max(longest.get(row["label"], 0.0), seconds)
    return [
        f"{count} runs of {label} take up to {longest[label] / SECONDS_PER_HOUR:.1f} h, more than "
        "resources.timeout_min: they will be stopped and started again at the limit"
        for label, count in over.items()
    ]


class _Speeds:
    """The speed of each kind of run, found once."""

    def __init__(self, ledger: Mapping[str, list[Row]], probe_steps: int) -> None:
        self._ledger, self._probe_steps = ledger, probe_steps
        self._found: dict[tuple[Kind, int], Speed | None] = {}

    def of(self, run: Run, forward_macs: int, resources: Resources) -> Speed | None:
        """Return the speed of such runs; None if nothing is known."""
        kind = Kind.of(run, forward_macs, resources)
        key = (kind, id(resources))
        if key not in self._found:
            found = predict.speed(kind, resources, self._ledger[run.config.model])
            if self._probe_steps and (found is None or found.source != "ledger"):
                row = probe.measure(run, resources, self._probe_steps)
                found = predict.speed(kind, resources, [], row)
            self._found[key] = found
        return self._found[key]


def _predicted(run: Run, resources: Resources, speed: Speed | None) -> Row:
    """Start-up, evaluation and checkpoints are in the wall time where they were measured."""
    predicted = [column for column in of_role("cost") if column.plan == "predicted"]
    if speed is None:
        keys = ["accelerator_days", "predicted_wall_seconds", *(c.planned for c in predicted)]
        return dict.fromkeys((*keys, "predicted_price", "prediction"))
    seconds = run.examples_seen / speed.images_per_second_and_device
    price = resources.price_per_accelerator_hour
    wall = seconds / resources.num_devices + (speed.other_seconds or 0.0)
    seen, each = run.examples_seen, speed.costs_per_image
    return {
        "accelerator_days": seconds / SECONDS_PER_DAY,
        "predicted_wall_seconds": wall,
        **{c.planned: each[c.name] * seen if c.name in each else None for c in predicted},
        "predicted_price": None if price is None else price * seconds / SECONDS_PER_HOUR,
        "prediction": speed.source,
    }


def _wall_seconds(runs: list[float | None], slots: int | None) -> float | None:
    """When the last of `runs` ends, if each starts as soon as one of the slots is free."""
    seconds = [run for run in runs if run is not None]
    if len(seconds) < len(runs):
        return None
    ends = [0.0] * min(slots or len(seconds), len(seconds))
    for run in seconds:
        heapq.heapreplace(ends, ends[0] + run)
    return max(ends, default=0.0)


def _folders(study_dir: Path) -> set[str]:
    try:
        return set(os.listdir(study_dir))
    except FileNotFoundError:
        return set()


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(v for v in known if v is not None)
