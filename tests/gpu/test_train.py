"""Training on an accelerator: what only a device can show of a run and its costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.paths import ROOT
from tests.helpers.runs import read_all, row_of, write_run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def train(run_dir: Path, **variables: str) -> None:
    """Train in a process of its own, since a process keeps the device it began with."""
    command = [sys.executable, "-m", "bench", "train", str(run_dir)]
    subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_on_a_gpu_is_charged_its_device_memory_and_energy(
    tmp_path: Path, precision: str
) -> None:
    run_dir = write_run(tmp_path, recipe={"precision": precision})
    train(run_dir)
    row = row_of(run_dir)
    assert row["state"] == "done"
    assert row["device"] == torch.cuda.get_device_name()
    assert row["num_devices"] == 1
    assert row["peak_memory_bytes"] > row["params"] * 4  # the weights alone
    assert row["accelerator_days"] == pytest.approx(row["train_seconds"] / 86_400)
    assert row["energy_joules"] is None or row["energy_joules"] > 0


def test_losses_on_a_gpu_are_those_of_a_cpu_to_rounding(tmp_path: Path) -> None:
    on_gpu, on_cpu = write_run(tmp_path / "gpu"), write_run(tmp_path / "cpu")
    train(on_gpu)
    train(on_cpu, CUDA_VISIBLE_DEVICES="")
    losses = [[row["loss"] for row in read_all(path / "curve")] for path in (on_gpu, on_cpu)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
