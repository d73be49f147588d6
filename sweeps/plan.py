"""What a study will cost, before it is submitted: plain arithmetic, no torch."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import models
import models.cost
from bench.accelerators import GB, find, peak_flops
from bench.attempt import read_disk
from bench.config import Run
from bench.ledger import SECONDS_PER_DAY, train_flops
from bench.memory import training_memory
from results import parquet
from sweeps.spec import Resources, SpecError, StudySpec
from sweeps.submit import about


class LimitExceeded(Exception):
    """The study would cost more than allowed."""


def plan(spec: StudySpec, runs: list[Run], root: Path) -> list[dict[str, Any]]:
    """A row a run: its state, cost and predicted accelerator-days (null where not known)."""
    speeds = _measured_speeds(root)
    folders = _folders(root / spec.study)
    rows = []
    for run in runs:
        model = models.config(run.config.model, **run.config.model_options)
        cost = models.cost.count(model, image_size=run.image_size, num_classes=run.data.num_classes)
        seen = run.examples_seen
        rows.append(
            about(run)
            | {
                "state": read_disk(root / spec.study / run.run_id).state
                if run.run_id in folders
                else "missing",
                "label": model.label,
                "family": model.family,
                "params": cost.params,
                "forward_macs_per_image": cost.forward_macs,
                "forward_macs_valid_per_image": cost.forward_macs_valid,
                "train_flops": train_flops(cost.forward_macs, seen),
                "train_flops_valid": train_flops(cost.forward_macs_valid, seen),
                "accelerator_days": _accelerator_days(run, cost.forward_macs, spec, speeds),
                "predicted_memory_bytes": training_memory(
                    run.config,
                    image_size=run.image_size,
                    num_classes=run.data.num_classes,
                    num_devices=spec.resources.num_devices,
                ).peak_bytes,
            }
        )
    return rows


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the study, and over what is still to be done; null where a part is not known."""
    open_rows = [row for row in rows if row["state"] not in ("done", "running")]
    return {
        "runs": len(rows),
        "train_flops": sum(row["train_flops"] for row in rows),
        "train_flops_valid": sum(row["train_flops_valid"] for row in rows),
        "accelerator_days": _sum(row["accelerator_days"] for row in rows),
        "runs_to_do": len(open_rows),
        "train_flops_to_do": sum(row["train_flops"] for row in open_rows),
        "accelerator_days_to_do": _sum(row["accelerator_days"] for row in open_rows),
    }


def check_limit(rows: list[dict[str, Any]], limit: float | None) -> None:
    """Raises LimitExceeded where what is to be done costs more accelerator-days than `limit`.

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


def warnings(rows: list[dict[str, Any]], resources: Resources) -> list[str]:
    """A line for each model whose runs need more memory than the spec's accelerator has."""
    accelerator = find(resources.accelerator) if resources.accelerator else None
    if accelerator is None or accelerator.memory_bytes is None:
        return []
    memory = accelerator.memory_bytes
    most: dict[str, int] = {}
    for row in rows:
        needed = row["predicted_memory_bytes"]
        most[row["label"]] = max(most.get(row["label"], 0), needed)
    return [
        f"{label} needs {needed / GB:.1f} GB on each device, {accelerator.name} has "
        f"{memory / GB:.0f}: give a smaller engine.micro_batch_size, "
        "engine.activation_checkpointing or a higher engine.zero_stage"
        for label, needed in most.items()
        if needed > memory
    ]


def _folders(study_dir: Path) -> set[str]:
    try:
        return set(os.listdir(study_dir))
    except FileNotFoundError:
        return set()


def _accelerator_days(
    run: Run, forward_macs: int, spec: StudySpec, speeds: dict[tuple[Any, ...], float]
) -> float | None:
    """From the speed of earlier runs of the model, else from a stated utilisation, else None."""
    speed = speeds.get((run.config.model, run.image_size, run.config.recipe.precision))
    resources = spec.resources
    if speed is None and resources.accelerator and resources.utilization:
        peak = peak_flops(resources.accelerator, run.config.recipe.precision)
        if peak is None:
            raise SpecError(
                f"resources.accelerator: given {resources.accelerator!r}, which has no peak at "
                f"{run.config.recipe.precision} in the table of accelerators"
            )
        speed = peak * resources.utilization / train_flops(forward_macs, 1)
    return None if speed is None else run.examples_seen / speed / SECONDS_PER_DAY


def _measured_speeds(root: Path) -> dict[tuple[Any, ...], float]:
    """Images a second and device, by model, image size and precision, of the newest done runs."""
    speeds = {}
    for path in sorted(root.glob("*/*/run.parquet"), key=lambda p: p.stat().st_mtime):
        row = parquet.read_rows(path)[0]
        if row["state"] == "done" and row["images_per_second"] and row["recipe"]:
            key = (row["model"], row["image_size"], row["recipe"].split()[-1])
            speeds[key] = row["images_per_second"] / row["num_devices"]
    return speeds


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(v for v in known if v is not None)
