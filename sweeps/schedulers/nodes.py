"""Nodes that a study has lost: noted by the attempt that follows, left out after two losses."""

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path

from bench.run import heartbeat
from bench.run.attempt import job_id
from results.ledger.files import write_json
from sweeps.jobs.retry import lemons

FOLDER = "nodes"
ASK_SECONDS = 30
# How an attempt ends that loses a node: without a word, or as Slurm ends what is left of it.
BY_LOSS = ("lost", "killed", "hang")


def on_slurm() -> bool:
    """Whether this process belongs to a job of Slurm."""
    return "SLURM_JOB_ID" in os.environ


def note_losses(run_dir: Path) -> None:
    """Writes down which nodes the run's last attempt has lost, unless it ended as it should."""
    number = heartbeat.last_attempt(run_dir)
    beat = heartbeat.read(run_dir, number) if number else None
    if beat is None or beat.outcome not in BY_LOSS or beat.cluster != "slurm":
        return
    command = ["scontrol", "--oneliner", "show", "node", beat.hosts or beat.host]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS)
    began = beat.created_at.timestamp()
    lost = [
        described["NodeName"]
        for described in map(fields, shown.stdout.splitlines())
        if "NodeName" in described and _was_lost(described, began)
    ]
    if lost:
        path = run_dir.parent / FOLDER / f"{run_dir.name}-{number:04d}.json"
        write_json(path, {"run_id": run_dir.name, "attempt": number, "nodes": lost})


def excluded(study_dir: Path) -> list[str]:
    """The nodes that the study has lost twice."""
    files = sorted((study_dir / FOLDER).glob("[!.]*.json"))
    return lemons(json.loads(file.read_text())["nodes"] for file in files)


def leave_lemons(study_dir: Path) -> bool:
    """Whether this job has been sent back to the queue, because it was given such a node."""
    wrong = excluded(study_dir)
    mine = set(os.environ.get("SCALESTUDY_HOSTS", "").split(","))
    job = job_id()
    if job is None or not mine & set(wrong):
        return False
    requeue(job, wrong)
    return True


def requeue(job: str, exclude: list[str]) -> None:
    """Has Slurm start a running job, an array's element by itself, again on other nodes.

    Raises CalledProcessError where Slurm refuses.
    """
    if not exclude:
        _scontrol("requeue", job)
        return
    _scontrol("requeuehold", job)
    _scontrol("update", f"JobId={job}", f"ExcNodeList={','.join(exclude)}")
    _scontrol("release", job)


def fields(line: str) -> dict[str, str]:
    """The `key=value` words of a line that scontrol prints."""
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def _was_lost(node: dict[str, str], began: float) -> bool:
    """Whether a node is down, or its daemon has been started since a moment."""
    if any(word in node["State"] for word in ("DOWN", "NOT_RESPONDING", "FAIL")):
        return True
    try:
        started = datetime.fromisoformat(node.get("SlurmdStartTime", "")).timestamp()
    except ValueError:
        return False
    return started > began


def _scontrol(*words: str) -> None:
    command = ["scontrol", *words]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=ASK_SECONDS)
