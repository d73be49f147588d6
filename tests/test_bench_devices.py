"""What a process computes on, and what is unknown of a CPU."""

import os

import torch

from bench import devices

CPU = torch.device("cpu")


def test_a_cpu_has_a_name_and_no_peak() -> None:
    device = devices.describe(CPU)
    assert device.name and device.name == device.name.strip()
    assert device.peak_flops is None


def test_memory_and_energy_of_a_cpu_are_unknown_not_zero() -> None:
    assert devices.peak_memory_bytes(CPU) is None
    joules = devices.energy_meter(CPU)
    assert joules() is None


def test_cores_are_those_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert devices.num_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert devices.num_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
