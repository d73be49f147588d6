"""What a process computes on, and what is unknown of a CPU."""

import pytest
import torch

from bench.engine import devices

CPU = torch.device("cpu")


def test_a_cpu_has_a_name() -> None:
    name = devices.name_of(CPU)
    assert name and name == name.strip()


def test_memory_and_energy_of_a_cpu_are_unknown_not_zero() -> None:
    assert devices.peak_memory_bytes(CPU) is None
    joules = devices.energy_meter(CPU)
    assert joules() is None


@pytest.mark.parametrize(
    ("counter", "joules"),
    [
        ([5000, 5000, 8500], [0.0, 3.5]),
        ([5000, 8000, 2000, 9000], [3.0, None, None]),  # reset, by a driver that was loaded again
        ([5000, None, 9000], [None, None]),
        ([None, 5000], [None]),
    ],
)
def test_energy_is_unknown_once_its_counter_went_back_or_failed(
    monkeypatch: pytest.MonkeyPatch, counter: list[int | None], joules: list[float | None]
) -> None:
    readings = iter(counter)
    monkeypatch.setattr(devices, "_energy_millijoules", lambda _: next(readings))
    meter = devices.energy_meter(torch.device("cuda"))
    assert [meter() for _ in joules] == joules
