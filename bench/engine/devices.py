"""Query the device: name, peak memory, energy; configure the CPU allocator."""

import ctypes
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def name_of(device: torch.device) -> str:
    """Return the name of the accelerator, or of the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def peak_memory_bytes(device: torch.device) -> int | None:
    """Return the peak memory allocated by this process on the device; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def energy_meter(device: torch.device) -> Callable[[], float | None]:
    """Return a function that returns the joules used by the device since this call.

    It reads NVML's counter of millijoules since the driver was loaded (Volta and newer). The
    joules are None on a CPU, on devices without the counter, and once the counter was reset.
    """
    start = last = _energy_millijoules(device)

    def joules() -> float | None:
        nonlocal last
        now = _energy_millijoules(device)
        # A counter that decreased was reset: from then on the difference is unknown.
        last = None if last is None or now is None or now < last else now
        return None if start is None or last is None else (last - start) / 1000

    return joules


def _energy_millijoules(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    import pynvml

    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    return None


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def keep_freed_memory() -> None:
    """Configure glibc to reuse freed CPU memory instead of returning it to the system.

    glibc asks the system for each block over 32 MiB and gives the top of its heap back, so that
    every step pays for the same pages again. Without this a step of vit_b16 at ZeRO stage 1 takes
    1.6 times a bare loop's instead of 1.06 (tests/speed/engine_overhead.py), and a second
    micro-step of bit_r50x1 0.13 s more (tests/speed/weight_standardization.py). Other C libraries
    are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
