"""Preemption on a real Slurm: the job comes back, and the run goes on at the exact sample."""

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import Cluster
from test_bench_signals import same_run
from test_sweeps_slurm import scalebench

from bench.attempt import read_disk
from results import store

pytestmark = pytest.mark.slurm

SPEC = """
study: {study}
base:
  data: digits
  image_size: 8
  model: vit_nano2
  steps: 250
  batch_size: 32
  engine.zero_stage: {stage}
  engine.log_steps: 7
resources:
  cluster: slurm
  nodes: 2
  tasks_per_node: 2
  timeout_min: 60
"""
NUM_SIGNALS = 3
DEADLINE_SECONDS = 240


def beat_of(run_dir: Path) -> dict[str, Any]:
    disk = read_disk(run_dir)
    return disk.beat | {"state": disk.state}


def wait_for_steps(run_dir: Path, attempt: int) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        disk = read_disk(run_dir)
        if disk.attempt >= attempt and disk.beat.get("step"):
            return disk.beat
        assert time.monotonic() < deadline, disk
        time.sleep(0.1)


@pytest.mark.parametrize("stage", [0, 2])
def test_a_run_on_two_nodes_survives_preemption(
    cluster: Cluster, tmp_path: Path, stage: int
) -> None:
    folders = {}
    for study in ("whole", "interrupted"):
        spec = tmp_path / f"{study}.yaml"
        spec.write_text(SPEC.format(study=study, stage=stage))
        submitted = scalebench("submit", str(spec), "--root", str(tmp_path / "runs"))
        assert submitted.returncode == 0, submitted.stderr
        (folders[study],) = (p.parent for p in (tmp_path / "runs" / study).glob("*/config.json"))

    moments = random.Random(stage)
    for number in range(1, NUM_SIGNALS + 1):
        beat = wait_for_steps(folders["interrupted"], number)
        time.sleep(moments.uniform(0, 1))
        subprocess.run(["scancel", "--signal=USR2", beat["job_id"]], check=True)
    for study in folders:
        watched = scalebench(
            "submit", str(tmp_path / f"{study}.yaml"), "--wait", "--root", str(tmp_path / "runs")
        )
        assert watched.returncode == 0, watched.stderr

    attempts = store.load(tmp_path / "runs" / "interrupted").attempts.sort_values("attempt")
    print(attempts[["attempt", "ended", "from_examples", "to_examples"]].to_string(index=False))
    assert attempts["ended"].tolist()[-1] == "done"
    assert "preempted" in attempts["ended"].tolist()
    assert len(set(attempts["job_id"])) == 1
    assert (attempts["to_examples"] - attempts["from_examples"]).sum() == 250 * 32
    same_run(folders["interrupted"], folders["whole"])
