"""Nodes that a study has lost: noted by the next attempt, avoided after two losses."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from bench.run import heartbeat
from bench.run.environment import environment
from results.ledger.files import write_json
from sweeps.schedulers import commands

FOLDER = "nodes"
# How an attempt ends that loses a node: without a report, or as Slurm ends what is left of it.
BY_LOSS = (None, "lost", "killed", "hang")
LOSSES_OF_A_BAD_NODE = 2


def note_losses(run_dir: Path) -> None:
    """Record which nodes the run's last attempt has lost, unless it ended as it should."""
    number = heartbeat.last_attempt(run_dir)
    beat = heartbeat.read(run_dir, number) if number else None
    if beat is None or beat.outcome not in BY_LOSS or beat.cluster != "slurm":
        return
    began = beat.created_at.timestamp()
    found = commands.describe_nodes(beat.hosts or beat.host)
    lost = [node["NodeName"] for node in found if _was_lost(node, began)]
    if lost:
        content = {"run_id": run_dir.name, "attempt": number, "nodes": lost}
        write_json(run_dir.parent / FOLDER / f"{run_dir.name}-{number:04d}.json", content)


def excluded(study_dir: Path) -> list[str]:
    """Return the nodes that the study has lost twice."""
    files = sorted((study_dir / FOLDER).glob("[!.]*.json"))
    return bad_nodes(json.loads(file.read_text())["nodes"] for file in files)


def bad_nodes(losses: Iterable[Iterable[str]]) -> list[str]:
    """Return the nodes that were lost twice, given which were lost each time.

    >>> bad_nodes([["n1", "n2"], ["n2"]])
    ['n2']
    """
    counted = Counter(node for nodes in losses for node in set(nodes))
    return sorted(node for node, times in counted.items() if times >= LOSSES_OF_A_BAD_NODE)


def bad_nodes_here(study_dir: Path) -> list[str]:
    """Return all bad nodes of the study if this job was given one of them, else none."""
    bad = excluded(study_dir)
    return bad if set(environment().hosts) & set(bad) else []


def _was_lost(node: dict[str, str], began: float) -> bool:
    """Return whether a node is down, or its daemon has been restarted since a moment."""
    if any(word in node["State"] for word in ("DOWN", "NOT_RESPONDING", "FAIL")):
        return True
    try:
        started = datetime.fromisoformat(node.get("SlurmdStartTime", "")).timestamp()
    except ValueError:
        return False
    return started > began
