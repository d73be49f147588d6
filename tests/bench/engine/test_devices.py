"""What a process computes on, and what is unknown of a CPU."""

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
