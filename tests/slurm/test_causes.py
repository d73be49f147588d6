"""What goes wrong on a real Slurm, all in one study's time: each run ends as its cause says."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from results import store
from tests.helpers.runs import same_run
from tests.helpers.slurm_cluster import Cluster, wait_until
from tests.helpers.slurm_studies import scalestudy, wait_for_steps

SPEC = """
study: {study}
base:
  data: digits
  image_size: 8
  model: vit_nano2
  steps: {steps}
  batch_size: 32
  engine.checkpoint_seconds: 2
  engine.heartbeat_seconds: 0.5
grid:
  seed: [{seeds}]
{more}
resources: {{cluster: slurm, {resources}}}
"""
ONE = "timeout_min: 30"
TWO_NODES = "nodes: 2, tasks_per_node: 1, timeout_min: 30"
# Of three runs the first has a learning rate that no loss survives, and the job of the second
# never gets as far as an attempt.
FAILING = """
overrides:
  - {match: {seed: 0}, set: {recipe.lr: 1e30, recipe.clip_norm: null}}
"""
BROKEN = (
    'timeout_min: 30, max_retries: 1, setup: ["[ $SLURM_ARRAY_TASK_ID != 1 ] || '
    'export DS_ACCELERATOR=nonsense"]'
)
# The process takes 10.8 GB of address space with 4096 images of this network at once, 6.5 GB with
# 2048.
WIDE = """
overrides:
  - match: {seed: 0}
    set: {model: r11_vit_nano4, image_size: 32, batch_size: 4096, steps: 2}
"""
TIGHT = 'timeout_min: 30, setup: ["ulimit -v 8600000"]'
# More than two attempts have at 15 ms a step: Slurm's warning comes 15 to 45 seconds after a job's
# start.
LIMITED_STEPS = 4_000
# A quarter of a minute: long enough for a test to interrupt it.
LONG = 800
# Well over the 15 seconds after which a node is back: its orphaned processes train until then.
OUTLIVING = 2_000
DEADLINE_SECONDS = 900


class Studies:
    """Submits studies into one folder and reads them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def submit(self, study: str, resources: str, *options: str, **values: Any) -> "Result":
        spec = self.root / f"{study}.yaml"
        if not spec.exists():
            values = {"steps": 40, "seeds": "0", "more": ""} | values
            spec.write_text(SPEC.format(study=study, resources=resources, **values))
        return scalestudy("submit", str(spec), "--root", str(self.root), *options)

    def status(self, study: str) -> dict[str, Any]:
        shown = scalestudy("status", str(self.root / study), "--json")
        assert shown.returncode == 0, shown.stderr
        status: dict[str, Any] = json.loads(shown.stdout)
        return status

    def wait(self, study: str) -> dict[str, Any]:
        def is_over() -> bool:
            totals = self.status(study)["totals"]
            return bool(totals["queued"] + totals["running"] == 0)

        wait_until(is_over, DEADLINE_SECONDS, study)
        return self.status(study)

    def run_dirs(self, study: str) -> list[Path]:
        return sorted(path.parent for path in (self.root / study).glob("*/config.json"))


Result = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def studies(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studies]:
    """With the studies that take long submitted already."""
    made = Studies(tmp_path_factory.mktemp("runs"))
    limited = made.submit("limited", "timeout_min: 1, max_timeouts: 100", steps=LIMITED_STEPS)
    assert limited.returncode == 0, limited.stderr
    failing = made.submit("failing", BROKEN, seeds="0, 1, 2", more=FAILING)
    assert failing.returncode == 0, failing.stderr
    tight = made.submit("tight", TIGHT, more=WIDE)
    assert tight.returncode == 0, tight.stderr
    yield made


def test_a_node_that_dies_costs_nothing_but_time(cluster: Cluster, studies: Studies) -> None:
    submitted = studies.submit("lost", TWO_NODES, steps=OUTLIVING)
    assert submitted.returncode == 0, submitted.stderr
    (run_dir,) = studies.run_dirs("lost")
    wait_until((run_dir / "checkpoint" / "latest.json").exists, DEADLINE_SECONDS, "a checkpoint")
    wait_for_steps(run_dir, 1)
    killed = cluster.kill_node("n2")
    print("killed the daemon of n2 and its step daemons:", killed)
    time.sleep(15)
    cluster.start_node("n2")
    assert studies.wait("lost")["totals"]["done"] == 1
    submitted = studies.submit("whole", TWO_NODES, steps=OUTLIVING)
    assert submitted.returncode == 0, submitted.stderr
    assert studies.wait("whole")["totals"]["done"] == 1

    lost = store.load(studies.root / "lost")
    attempts = lost.attempts.sort_values("attempt")
    print(attempts[["attempt", "ended", "reason", "from_examples", "to_examples"]].to_string())
    assert attempts["ended"].tolist()[-1] == "done" and len(attempts) >= 2
    assert len(lost.runs) == 1
    (noted,) = (studies.root / "lost" / "nodes").iterdir()
    assert json.loads(noted.read_text())["nodes"] == ["n2"]
    same_run(run_dir, studies.run_dirs("whole")[0])


def test_status_and_submit_go_on_without_controller_or_accounting(
    cluster: Cluster, studies: Studies
) -> None:
    assert studies.submit("going", ONE, steps=300).returncode == 0
    cluster.stop_slurmdbd()
    cluster.stop_slurmctld()
    began = time.monotonic()
    try:
        away = scalestudy("status", str(studies.root / "going"))
        refused = studies.submit("later", ONE)
        again = studies.submit("going", ONE, "--json")
    finally:
        cluster.start_slurmctld()
    print(f"without a controller: {time.monotonic() - began:.1f} s\n{away.stderr}{refused.stderr}")
    assert away.returncode == 0 and "Slurm does not answer" in away.stderr
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("scalestudy: sbatch") and refused.stderr.count("\n") == 1
    assert json.loads(again.stdout)["submitted"] == []

    wait_until(cluster.answers, 60, "the controller")
    later = studies.submit("later", ONE, "--json")
    assert len(json.loads(later.stdout)["submitted"]) == 1
    assert studies.wait("going")["totals"]["done"] == 1
    assert studies.wait("later")["totals"]["done"] == 1
    cluster.start_slurmdbd()
    assert store.load(studies.root / "going").runs["attempts"].tolist() == [1]


def test_one_that_always_fails_does_not_stop_the_others(studies: Studies) -> None:
    runs = {run["seed"]: run for run in studies.wait("failing")["runs"]}
    for run in runs.values():
        print(run["seed"], run["state"], run["attempts"], run["reason"])
    assert (runs[0]["state"], runs[0]["attempts"]) == ("failed", 1)
    assert "NonFiniteLoss" in runs[0]["failure"]
    assert runs[1]["state"] == "failed"
    assert "ended before an attempt began; 2 attempts got no further" in runs[1]["failure"]
    assert (runs[2]["state"], runs[2]["attempts"]) == ("done", 1)
    ledger = store.load(studies.root / "failing").runs
    assert sorted(ledger["state"]) == ["done", "failed", "failed"]


def test_one_out_of_memory_goes_on_with_half_of_its_micro_batch(studies: Studies) -> None:
    assert studies.wait("tight")["totals"]["done"] == 1
    attempts = store.load(studies.root / "tight").attempts.sort_values("attempt")
    print(attempts[["attempt", "ended", "micro_batch_size", "reason"]].to_string(index=False))
    assert attempts["ended"].tolist() == ["out_of_memory", "done"]
    assert attempts["micro_batch_size"].tolist() == [4096, 2048]
    assert store.load(studies.root / "tight").runs["batch_size"].tolist() == [4096]


def test_a_run_at_its_time_limit_goes_on_in_another_job(studies: Studies) -> None:
    assert studies.wait("limited")["totals"]["done"] == 1
    attempts = store.load(studies.root / "limited").attempts.sort_values("attempt")
    print(attempts[["attempt", "ended", "from_examples", "to_examples"]].to_string(index=False))
    *limited, last = attempts["ended"].tolist()
    assert len(limited) >= 2 and set(limited) == {"timeout"} and last == "done"
    assert (attempts["to_examples"] - attempts["from_examples"]).sum() == LIMITED_STEPS * 32


def test_what_is_cancelled_stops_and_goes_on_when_submitted_again(studies: Studies) -> None:
    assert studies.submit("cancelled", ONE, steps=LONG, seeds="0, 1").returncode == 0
    for run_dir in studies.run_dirs("cancelled"):
        wait_for_steps(run_dir, 1)
    stopped = scalestudy("cancel", str(studies.root / "cancelled"), "--yes")
    assert stopped.returncode == 0, stopped.stderr
    assert studies.wait("cancelled")["totals"]["cancelled"] == 2
    assert studies.submit("cancelled", ONE).returncode == 0
    assert studies.wait("cancelled")["totals"]["done"] == 2
    attempts = store.load(studies.root / "cancelled").attempts
    assert sorted(attempts["ended"]) == ["done", "done", "killed", "killed"]
    assert (attempts["to_examples"] - attempts["from_examples"]).sum() == 2 * LONG * 32
