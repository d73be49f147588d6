"""Meters of an attempt: resources other than time, by column of the ledger."""

from collections.abc import Callable

import torch

from bench.engine import devices

Reading = Callable[[], float | None]
Meter = Callable[[torch.device], Reading]


def _peak_memory(device: torch.device) -> Reading:
    return lambda: devices.peak_memory_bytes(device)


# A meter starts when it is called, and returns a function that reads what the attempt has used
# since; None is unknown. Its column is one of `attempts` and, with a `total`, of `runs`.
METERS: dict[str, Meter] = {
    "energy_joules": devices.energy_meter,
    "peak_memory_bytes": _peak_memory,
}


def start(device: torch.device) -> Callable[[], dict[str, float | None]]:
    """Start all meters; return a function that reads them, by column."""
    readings = {column: meter(device) for column, meter in METERS.items()}
    return lambda: {column: read() for column, read in readings.items()}
