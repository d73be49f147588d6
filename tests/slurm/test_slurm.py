"""What only a real Slurm can show. `make test-slurm` runs these, and fails without the packages."""

import json
import subprocess
from pathlib import Path

from results import store
from tests.helpers.slurm_cluster import Cluster
from tests.helpers.slurm_studies import scalestudy

SPEC = """
study: two_nodes
base:
  data: digits
  image_size: 8
  model: vit_nano2
  steps: 12
  batch_size: 32
  recipe.lr: 1e-3
grid:
  seed: [0, 1]
resources:
  cluster: slurm
  nodes: 2
  tasks_per_node: 2
  gpus_per_node: 2
  timeout_min: 10
"""


def test_a_study_runs_over_two_nodes_and_is_not_run_again(cluster: Cluster, tmp_path: Path) -> None:
    spec, root = tmp_path / "spec.yaml", tmp_path / "runs"
    spec.write_text(SPEC)

    first = scalestudy("submit", str(spec), "--root", str(root), "--wait", "--json")
    assert first.returncode == 0, first.stderr
    assert len(json.loads(first.stdout)["submitted"]) == 2

    study = store.load(root / "two_nodes")
    assert study.runs["state"].tolist() == ["done", "done"]
    assert study.runs["num_devices"].tolist() == [4, 4]
    assert study.runs["examples_seen"].tolist() == [12 * 32, 12 * 32]
    assert set(study.attempts["hosts"]) == {"n1,n2"}
    assert set(study.attempts["cluster"]) == {"slurm"}
    array = {job_id.split("_")[0] for job_id in study.attempts["job_id"]}
    assert len(array) == 1, "expected both runs in one job array"

    again = scalestudy("submit", str(spec), "--root", str(root), "--json")
    assert json.loads(again.stdout)["submitted"] == []
    assert len(json.loads(again.stdout)["skipped"]) == 2


def test_a_run_the_queue_holds_is_shown_as_queued(cluster: Cluster, tmp_path: Path) -> None:
    spec, root = tmp_path / "spec.yaml", tmp_path / "runs"
    spec.write_text(SPEC)
    subprocess.run(["scontrol", "update", "partition=main", "state=down"], check=True)
    try:
        submitted = scalestudy("submit", str(spec), "--root", str(root), "--set", "study=held")
        assert submitted.returncode == 0, submitted.stderr
        status = json.loads(scalestudy("status", str(root / "held"), "--json").stdout)
        assert status["totals"]["queued"] == 2
        again = scalestudy(
            "submit", str(spec), "--root", str(root), "--set", "study=held", "--json"
        )
        assert json.loads(again.stdout)["submitted"] == []
        subprocess.run(["scancel", "--user=root"], check=True)
        gone = json.loads(scalestudy("status", str(root / "held"), "--json").stdout)
        assert gone["totals"]["missing"] == 2
    finally:
        subprocess.run(["scontrol", "update", "partition=main", "state=up"], check=True)
