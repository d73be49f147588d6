"""Make the ledger's rows: of an attempt from its last heartbeat, of a run from its attempts."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.run import heartbeat
from bench.run.accelerators import normalized_days, peak_flops
from bench.run.attempt import Attempt
from bench.run.config import Run
from bench.run.heartbeat import NO_REPORT, Ended, Heartbeat
from models import ModelsError
from models.cost.macs import Cost, train_flops
from results.ledger import parquet
from results.schema import Total, columns

Row = dict[str, Any]

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Evaluation:
    """Means over `num_examples` images; `top5_accuracy` is None with five classes or fewer."""

    num_examples: int
    loss: float
    top1_accuracy: float
    top5_accuracy: float | None


METRICS = tuple(field.name for field in fields(Evaluation) if field.name != "num_examples")


def write_attempt(run_dir: Path, run: Run, number: int, beat: Heartbeat) -> None:
    """Write the row of an attempt that has ended, from its last heartbeat."""
    known = {**asdict(beat), **beat.measured}
    row: Row = {column.name: known.get(column.name) for column in columns("attempts")}
    row |= {"study": run.study, "run_id": run.run_id, "attempt": number}
    row["state"] = "done" if beat.ended == "done" else "failed"
    parquet.write(run_dir / "attempts" / f"{number:04d}.parquet", "attempts", [row])


def write_lost_attempts(run_dir: Path, run: Run, before: int) -> None:
    """Write the missing rows of attempts before number `before` from their last heartbeats."""
    for number, beat in heartbeat.unrecorded(run_dir, before):
        if beat.ended is None:
            beat = replace(beat, ended=beat.outcome, reason=NO_REPORT)
        write_attempt(run_dir, run, number, beat)


def write_failed(run_dir: Path, run: Run, failure: str) -> None:
    """Write the row of a run that is given up, even if no attempt has begun."""
    if not heartbeat.read_all(run_dir):
        Attempt(run_dir).end("failed", failure)
    write_lost_attempts(run_dir, run, heartbeat.last_attempt(run_dir) + 1)
    cost = known_cost(run)
    row = run_row(
        run,
        read_attempts(run_dir),
        state="failed",
        failure=failure,
        cost=cost,
        manifest=None,
        evaluation=None,
    )
    parquet.write(run_dir / "run.parquet", "runs", [row])


def known_cost(run: Run) -> Cost | None:
    """Return the cost of the network; None if it cannot be built, which may be why a run failed."""
    try:
        return run.cost
    except ModelsError:
        return None


def end_attempt(
    run_dir: Path, run: Run, number: int, ended: Ended, reason: str, seconds: dict[str, float]
) -> None:
    """Write the row and last heartbeat of an attempt on behalf of its main process."""
    last = heartbeat.read(run_dir, number)
    assert last is not None, f"{run_dir.name}: attempt {number} was never claimed"
    times: dict[str, Any] = {"ended_at": datetime.now(UTC), **seconds}
    beat = replace(last, ended=ended, reason=reason, **times)
    write_attempt(run_dir, run, number, beat)
    heartbeat.write(run_dir, number, beat)


def micro_batch_limit(attempts: Iterable[Row]) -> int | None:
    """Return half the micro-batch of the last attempt that ran out of memory; None without one."""
    sizes = [row["micro_batch_size"] for row in attempts if row["ended"] == "out_of_memory"]
    return max(1, sizes[-1] // 2) if sizes else None


def read_attempts(run_dir: Path) -> list[Row]:
    """Return the rows of all recorded attempts, oldest first."""
    paths = sorted((run_dir / "attempts").glob("[0-9]*.parquet"))
    return [row for path in paths for row in parquet.read_rows(path)]


def totals(attempts: Iterable[Row]) -> Row:
    """Return the columns of `runs` that add up over attempts; a sum with an unknown part is None.

    An attempt that ended before its first step adds nothing to device-seconds and images.
    """
    rows = list(attempts)
    summed: Row = {key: _sum(row.get(key) for row in rows) for key in _added_by("sum")}
    for key in _added_by("max"):
        peaks: list[Any] = [row.get(key) for row in rows]
        summed[key] = None if None in peaks else max(peaks, default=None)
    trained = [row for row in rows if row["train_seconds"] != 0.0]
    device_seconds = _sum(_times(row["num_devices"], row["train_seconds"]) for row in trained)
    images = _sum(_minus(row["to_examples"], row["from_examples"]) for row in trained)
    summed["accelerator_days"] = (
        None if device_seconds is None else device_seconds / SECONDS_PER_DAY
    )
    seconds = summed["train_seconds"]
    summed["images_per_second"] = images / seconds if images and seconds else None
    return summed


def run_row(
    run: Run,
    attempts: list[Row],
    *,
    state: str,
    failure: str | None,
    cost: Cost | None,
    manifest: str | None,
    evaluation: Evaluation | None,
) -> Row:
    """Return the row of a run that has ended. What it did not reach is None."""
    macs = cost.forward_macs if cost else None
    macs_valid = cost.forward_macs_valid if cost else None
    last = attempts[-1]
    seen = last["to_examples"]
    precision = run.config.recipe.precision
    row: Row = asdict(run.summary()) | {name: last.get(name) for name in _added_by("last")}
    row |= {
        "study": run.study,
        "state": state,
        "failure": failure,
        "attempts": last["attempt"],
        "label": run.network.label,
        "family": run.network.family,
        "params": cost.params if cost else None,
        "data_manifest": manifest,
        "examples_seen": seen,
        "epochs": None if seen is None else seen / run.train_examples,
        "steps": None if seen is None else seen // run.config.batch_size,
        "forward_macs_per_image": macs,
        "forward_macs_valid_per_image": macs_valid,
        "train_flops": flops(macs, seen),
        "train_flops_valid": flops(macs_valid, seen),
        **init_columns(run, flops(macs, seen)),
        "host": (last["hosts"] or "").split(",")[0] or None,
        "created_at": attempts[0]["created_at"],
    }
    row |= totals(attempts)
    row["model_flops_utilization"] = _utilization(row, macs, precision)
    row["normalized_accelerator_days"] = _sum(_normalized(a, precision) for a in attempts)
    for metric in METRICS:
        row[metric] = getattr(evaluation, metric) if evaluation else None
    return row


def init_columns(run: Run, own_flops: float | None) -> Row:
    """Return what a run started from, and its compute with that of the runs before it."""
    init = run.init
    before = 0.0 if init is None else init.flops
    return {
        "init": None if init is None else init.name,
        "init_run_id": None if init is None else init.run_id,
        "init_flops": None if init is None else init.flops,
        "init_examples_seen": None if init is None else init.examples_seen,
        "own_flops": own_flops,
        "total_flops": None if before is None or own_flops is None else before + own_flops,
    }


def eval_rows(run: Run, evaluation: Evaluation) -> list[Row]:
    """Return the study's own evaluation as rows of `evals`, one per metric."""
    shared = {
        "study": run.study,
        "run_id": run.run_id,
        "protocol": "upstream",
        "dataset": run.data.name,
        "split": "eval",
        "num_examples": evaluation.num_examples,
        "step": run.num_steps,
        "image_size": run.image_size,
    }
    found = {metric: getattr(evaluation, metric) for metric in METRICS}
    return [
        shared | {"metric": metric, "value": value}
        for metric, value in found.items()
        if value is not None
    ]


def _normalized(attempt: Row, precision: str) -> float | None:
    """Return an attempt's accelerator-days in days of the reference accelerator."""
    peak = peak_flops(attempt["device"], precision) if attempt["device"] else None
    seconds = _times(attempt["num_devices"], attempt["train_seconds"])
    if peak is None or seconds is None:
        return None
    return normalized_days(seconds / SECONDS_PER_DAY, peak)


def _utilization(row: Row, forward_macs: int | None, precision: str) -> float | None:
    """Return model FLOPs per second and device over the dense peak; None if the peak is unknown."""
    peak = peak_flops(row["device"], precision) if row["device"] else None
    speed = row["images_per_second"]
    if peak is None or speed is None or forward_macs is None or not row["num_devices"]:
        return None
    return float(train_flops(forward_macs, 1) * speed / (peak * row["num_devices"]))


def flops(macs: int | None, examples_seen: int | None) -> float | None:
    """Return model FLOPs of training; None if one of the two is unknown."""
    return None if macs is None or examples_seen is None else train_flops(macs, examples_seen)


def _added_by(total: Total) -> tuple[str, ...]:
    """Return the columns of `runs` that come from those of the attempts in this way."""
    return tuple(column.name for column in columns("runs") if column.total == total)


def _sum(values: Iterable[Any]) -> Any:
    known = list(values)
    return None if None in known else sum(known)


def _times(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a * b


def _minus(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a - b
