"""Meters start together, and what they read goes by the names of the ledger's columns."""

import pytest
import torch

from bench.training import meters
from results.schema import columns


def test_every_meter_has_a_column_in_attempts_and_a_total_in_runs() -> None:
    attempts = {column.name for column in columns("attempts")}
    added = {column.name for column in columns("runs") if column.total}
    assert set(meters.METERS) <= attempts & added


def test_energy_and_memory_of_a_cpu_are_unknown() -> None:
    read = meters.start(torch.device("cpu"))
    assert read() == {"energy_joules": None, "peak_memory_bytes": None}


def test_a_meter_counts_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = iter((100.0, 103.0, 107.0))

    def meter(device: torch.device) -> meters.Reading:
        start = next(counter)
        return lambda: next(counter) - start

    monkeypatch.setattr(meters, "METERS", {"water_liters": meter})
    read = meters.start(torch.device("cpu"))
    assert [read(), read()] == [{"water_liters": 3.0}, {"water_liters": 7.0}]
