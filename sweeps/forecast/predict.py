"""Predicted speed of a run: from earlier runs, from a probe, or at a stated utilization."""

import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.run.accelerators import find, peak_flops
from bench.run.config import Run
from models.cost.macs import train_flops
from results.ledger import parquet
from results.schema import of_role
from sweeps.documents import SpecError
from sweeps.resources import Resources

Row = dict[str, Any]

# Of a ledger of thousands of runs the newest of each model are read, and the newest alike used.
MAX_READ = 50
MAX_USED = 5
# Networks with another head do nearly the same work; those with other options do not.
SAME_WORK = 0.02


@dataclass(frozen=True)
class Speed:
    """What a run's cost follows from, and where it was found: ledger, probe or utilization.

    `other_seconds` is what a run needs besides training: start-up, evaluation, checkpoints;
    `costs_per_image` are the costs that the schema has predicted, by column, as far as known.
    """

    source: str
    images_per_second_and_device: float
    other_seconds: float | None
    costs_per_image: Mapping[str, float]


@dataclass(frozen=True)
class Kind:
    """What runs of the same speed have in common; `images` are those on a device at a step."""

    model: str
    image_size: int
    forward_macs: int
    precision: str
    images: int
    zero_stage: int

    @classmethod
    def of(cls, run: Run, forward_macs: int, resources: Resources) -> "Kind":
        """Return the kind of a run with those resources."""
        config = run.config
        images = config.batch_size // resources.num_devices
        precision, stage = config.recipe.precision, config.engine.zero_stage
        return cls(config.model, run.image_size, forward_macs, precision, images, stage)


def speed(
    kind: Kind, resources: Resources, ledger: Iterable[Row], probe: Row | None = None
) -> Speed | None:
    """Return the best estimate for such runs; None before anything was measured or stated.

    Raises SpecError for an accelerator whose peak the table lacks, where it is needed.
    """
    alike = [row for row in ledger if _is_alike(row, kind, resources)]
    if alike:
        return _measured("ledger", _closest(alike, kind)[:MAX_USED])
    if probe is not None:
        return _measured("probe", [probe])
    if resources.accelerator and resources.utilization:
        return _stated(resources.accelerator, resources.utilization, kind)
    return None


def read_ledger(root: Path, models: set[str]) -> dict[str, list[Row]]:
    """Return rows of finished runs of these models in any study below `root`, newest first."""
    found: dict[str, list[tuple[float, str]]] = {model: [] for model in models}
    for study in _folders(root):
        for run in _folders(study):
            model = os.path.basename(run).partition("-")[0]  # noqa: PTH119 (10,000 of them)
            if model in found:
                path = f"{run}/run.parquet"
                try:
                    found[model].append((os.stat(path).st_mtime, path))  # noqa: PTH116
                except FileNotFoundError:
                    continue
    return {
        model: [
            row
            for _, path in sorted(paths, reverse=True)[:MAX_READ]
            for row in parquet.read_rows(path)
            if row["state"] == "done" and row["images_per_second"] and row["recipe"]
        ]
        for model, paths in found.items()
    }


def _folders(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_alike(row: Row, kind: Kind, resources: Resources) -> bool:
    """Return whether a row is of the same network at the same precision on such a device."""
    if (row["model"], row["image_size"]) != (kind.model, kind.image_size):
        return False
    macs = row["forward_macs_per_image"]
    if macs is None or abs(macs / kind.forward_macs - 1) > SAME_WORK:
        return False
    return row["recipe"].split()[-1] == kind.precision and _is_on(row, resources)


def _is_on(row: Row, resources: Resources) -> bool:
    """Return whether a row's device is the spec's accelerator; without one, whether both are GPUs.

    A run on a CPU has no peak memory.
    """
    if resources.accelerator:
        wanted = find(resources.accelerator)
        there = find(row["device"] or "")
        return row["device"] == resources.accelerator if wanted is None else there is wanted
    return (row["peak_memory_bytes"] is not None) == bool(resources.gpus_per_node)


def _closest(rows: list[Row], kind: Kind) -> list[Row]:
    """Return the rows with as many images on a device, if there are any, else all."""
    same = [row for row in rows if row["batch_size"] == kind.images * row["num_devices"]]
    return same or rows


def _measured(source: str, rows: list[Row]) -> Speed:
    speeds = [row["images_per_second"] / row["num_devices"] for row in rows]
    found = statistics.median(speeds)
    overhead = [column.name for column in of_role("overhead")]
    others = [_sum(row[key] for key in overhead) for row in rows]
    known = [other for other in others if other is not None]
    costs = _energy_at_board_power(rows[0]["device"], found)
    for column in of_role("cost"):
        name = column.name
        if column.plan == "predicted":
            each = [row[name] / row["examples_seen"] for row in rows if row.get(name)]
            costs |= {name: statistics.median(each)} if each else {}
    return Speed(source, found, statistics.median(known) if known else None, costs)


def _stated(accelerator: str, utilization: float, kind: Kind) -> Speed:
    peak = peak_flops(accelerator, kind.precision)
    if peak is None:
        raise SpecError(
            f"resources.accelerator: given {accelerator!r}, which has no peak at "
            f"{kind.precision} in the table of accelerators"
        )
    found = peak * utilization / train_flops(kind.forward_macs, 1)
    return Speed("utilization", found, None, _energy_at_board_power(accelerator, found))


def _energy_at_board_power(device: str | None, images_per_second: float) -> dict[str, float]:
    """Return the energy per image at the power of the board; nothing for unknown devices."""
    known = find(device) if device else None
    if known is None or known.board_watts is None:
        return {}
    return {"energy_joules": known.board_watts / images_per_second}


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
