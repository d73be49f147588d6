"""What the machine can do, as the doctor says it."""

from pathlib import Path

import pytest

from bench.cli import doctor


def test_everything_a_study_needs_is_found_here() -> None:
    checks = {check["name"]: check for check in doctor.examine()}
    assert all(check["ok"] for check in checks.values() if check["needed"])
    assert {"Python", "torch", "deepspeed", "CPU cores", "memory", "disk", "Slurm"} <= checks.keys()


def test_no_scheduler_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check["name"]: check for check in doctor.examine()}
    assert not checks["Slurm"]["ok"] and not checks["Slurm"]["needed"]
    assert "studies run on this machine" in checks["Slurm"]["found"]


def test_a_scheduler_without_a_controller_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("sbatch", "scontrol", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    checks = {check["name"]: check for check in doctor.examine()}
    assert checks["Slurm"]["found"] == "sbatch, but no controller"
    assert not checks["Slurm accounting"]["ok"]
