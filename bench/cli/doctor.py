"""What this machine can do, and what a study would miss on it."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("torch", "deepspeed", "fvcore", "submitit", "pandas", "pyarrow", "matplotlib")
MIN_FREE_BYTES = 5e9

Check = dict[str, Any]


def examine() -> list[Check]:
    """One entry a thing looked at: `name`, `found`, `ok`, and whether a study needs it."""
    return [
        _check("Python", sys.version_info >= (3, 11), platform.python_version()),
        *(_package(name) for name in PACKAGES),
        _cores(),
        _memory(),
        _disk(),
        *_accelerators(),
        _slurm(),
        _accounting(),
    ]


def _check(name: str, ok: bool, found: str, *, needed: bool = True) -> Check:
    return {"name": name, "ok": bool(ok), "found": found, "needed": needed}


def _package(name: str) -> Check:
    try:
        found = version(name)
    except PackageNotFoundError:
        return _check(name, False, "not installed: make .venv, or pip install scalestudy")
    return _check(name, importlib.util.find_spec(name) is not None, found)


def _cores() -> Check:
    cores = len(psutil.Process().cpu_affinity() or [])
    return _check("CPU cores", cores > 0, f"{cores} of {psutil.cpu_count()}")


def _memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    return _check("memory", memory.available > 1e9, found)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    return _check("disk", free > MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free in this folder")


def _accelerators() -> list[Check]:
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    from bench.run.accelerators import peak_flops

    if not torch.cuda.is_available():
        return [_check("GPU", False, "none: runs train on the CPU, over gloo", needed=False)]
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        peak = peak_flops(properties.name)
        speed = "peak not in the table" if peak is None else f"{peak / 1e12:.0f} TFLOP/s dense"
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        found.append(_check(f"GPU {index}", True, f"{properties.name}, {memory}, {speed}"))
    return found


def _slurm() -> Check:
    if shutil.which("sbatch") is None:
        return _check("Slurm", False, "no sbatch: studies run on this machine", needed=False)
    answer = _ask("scontrol", "ping")
    return _check(
        "Slurm",
        bool(answer) and "UP" in answer,
        answer or "sbatch, but no controller",
        needed=False,
    )


def _accounting() -> Check:
    if shutil.which("sacct") is None:
        return _check("Slurm accounting", False, "no sacct", needed=False)
    answer = _ask("sacct", "--noheader", "--allocations", "--format=JobID")
    found = "answers" if answer is not None else "sacct gives no answer"
    return _check("Slurm accounting", answer is not None, found, needed=False)


def _ask(*command: str) -> Any:
    """Return what a command prints, in one line; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return " ".join(done.stdout.split())
