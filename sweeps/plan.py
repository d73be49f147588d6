"""What a study will cost, before it is submitted: plain arithmetic, no torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import models
import models.cost
from bench.accelerators import peak_flops
from bench.attempt import read_disk
from bench.config import Run
from bench.ledger import SECONDS_PER_DAY, train_flops
from results import parquet
from sweeps.spec import Resources, SpecError, StudySpec
from sweeps.submit import about

BYTES_PER_WEIGHT = 4
STATES_PER_WEIGHT = 4


class LimitExceeded(Exception):
    """The study would cost more than allowed."""


def plan(spec: StudySpec, runs: list[Run], root: Path) -> list[dict[str, Any]]:
    """A row a run: its state, cost and predicted accelerator-days (null where not known)."""
    speeds = _measured_speeds(root)
    rows = []
    for run in runs:
        model = models.config(run.config.model, **run.config.model_options)
        cost = models.cost.count(model, image_size=run.image_size, num_classes=run.data.num_classes)
        seen = run.examples_seen
        rows.append(
            about(run)
            | {
                "state": read_disk(root / spec.study / run.run_id).state,
                "label": model.label,
                "family": model.family,
                "params": cost.params,
                "forward_macs_per_image": cost.forward_macs,
                "forward_macs_valid_per_image": cost.forward_macs_valid,
                "train_flops": train_flops(cost.forward_macs, seen),
                "train_flops_valid": train_flops(cost.forward_macs_valid, seen),
                "accelerator_days": _accelerator_days(run, cost.forward_macs, spec, speeds),
                "state_memory_bytes": state_memory_bytes(cost.params, run, spec.resources),
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


def state_memory_bytes(params: int, run: Run, resources: Resources) -> int:
    """Bytes on each device for weights, gradients and both Adam moments, all fp32.

    ZeRO stage 1 shares the moments out, 2 the gradients too, 3 the weights too (Rajbhandari et
    al. 2020, figure 1, with 4 bytes each). Activations are not in it.
    """
    moments = 2 if run.config.recipe.optimizer == "adam" else 1
    shared = {0: 0, 1: moments, 2: moments + 1, 3: moments + 2}[run.config.engine.zero_stage]
    whole = 2 + moments - shared
    return BYTES_PER_WEIGHT * params * whole + BYTES_PER_WEIGHT * params * shared // (
        resources.num_devices
    )


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
