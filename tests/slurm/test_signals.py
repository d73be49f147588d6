"""Preemption on a real Slurm: the job comes back, and the run goes on at the exact sample."""

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from results import store
from tests.helpers.runs import same_run
from tests.helpers.slurm_cluster import Cluster
from tests.helpers.slurm_studies import scalestudy, wait_for_steps

SPEC = """
study: {study}
base:
  data: digits
  image_size: 8
  model: vit_nano2
  steps: {steps}
  batch_size: 32
  engine.zero_stage: {stage}
  engine.log_steps: 7
resources:
  cluster: slurm
  nodes: 2
  tasks_per_node: 2
  timeout_min: 60
"""
NUM_SIGNALS = {0: 10, 2: 2}
STEPS = 1200


def interrupt(run_dir: Path, signals: int, seed: int) -> None:
    """So many warnings at random moments; then Slurm itself takes the nodes away."""
    moments = random.Random(seed)
    for number in range(1, signals + 1):
        beat = wait_for_steps(run_dir, number)
        time.sleep(moments.uniform(0, 0.5))
        subprocess.run(["scancel", "--signal=USR2", str(beat.job_id)], check=True)
    beat = wait_for_steps(run_dir, signals + 1)
    subprocess.run(["scontrol", "requeue", str(beat.job_id)], check=True)


def test_runs_on_two_nodes_survive_preemption(cluster: Cluster, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    folders = {}
    for stage in NUM_SIGNALS:
        for study in (f"interrupted{stage}", f"whole{stage}"):
            spec = tmp_path / f"{study}.yaml"
            spec.write_text(SPEC.format(study=study, stage=stage, steps=STEPS))
            submitted = scalestudy("submit", str(spec), "--root", str(root))
            assert submitted.returncode == 0, submitted.stderr
            (folders[study],) = (path.parent for path in (root / study).glob("*/config.json"))

    with ThreadPoolExecutor() as pool:
        made = [
            pool.submit(interrupt, folders[f"interrupted{stage}"], signals, stage)
            for stage, signals in NUM_SIGNALS.items()
        ]
        for interrupted in made:
            interrupted.result()
    for study in folders:
        watched = scalestudy(
            "submit", str(tmp_path / f"{study}.yaml"), "--wait", "--root", str(root)
        )
        assert watched.returncode == 0, watched.stderr

    for stage, signals in NUM_SIGNALS.items():
        attempts = store.load(root / f"interrupted{stage}").attempts.sort_values("attempt")
        print(attempts[["attempt", "ended", "from_examples", "to_examples"]].to_string(index=False))
        assert attempts["ended"].tolist()[-1] == "done"
        assert (attempts["ended"] == "preempted").sum() == signals
        assert len(set(attempts["job_id"])) == 1
        assert (attempts["to_examples"] - attempts["from_examples"]).sum() == STEPS * 32
        same_run(folders[f"interrupted{stage}"], folders[f"whole{stage}"])
