"""Nodes that a study has lost, as a program in scontrol's place describes them."""

import json
import stat
from pathlib import Path

import pytest

from sweeps.jobs.job import leave_bad_nodes
from sweeps.schedulers import SCHEDULERS, nodes
from tests.helpers.heartbeats import write_beat

# One line a node, as Slurm 22.05 prints it, shortened.
SHOWN = """NodeName=n1 State=IDLE BootTime=2026-01-01T00:00:00 SlurmdStartTime=2026-01-01T00:00:00
NodeName=n2 State=DOWN* BootTime=None SlurmdStartTime=2026-01-01T00:00:00
NodeName=n3 State=IDLE BootTime=2026-01-01T00:00:00 SlurmdStartTime=2026-03-01T12:30:00
"""


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program writes the words it is given."""
    calls = tmp_path / "calls"
    (tmp_path / "shown").write_text(SHOWN)
    program = tmp_path / "scontrol"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncat {tmp_path}/shown\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return calls


def write_lost(run_dir: Path, number: int, ended: str | None) -> None:
    write_beat(run_dir, number, cluster="slurm", host="n1", hosts="n1,n2,n3", ended=ended)


def test_nodes_that_are_down_or_began_anew_since_are_lost(
    tmp_path: Path, scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    run_dir = tmp_path / "study" / "run"
    write_lost(run_dir, 1, None)
    nodes.note_losses(run_dir)
    assert scontrol.read_text() == "--oneliner show node n1,n2,n3\n"
    (noted,) = (run_dir.parent / "nodes").iterdir()
    assert json.loads(noted.read_text())["nodes"] == ["n2", "n3"]
    assert nodes.excluded(run_dir.parent) == []

    write_lost(run_dir, 2, None)
    nodes.note_losses(run_dir)
    nodes.note_losses(run_dir)
    assert nodes.excluded(run_dir.parent) == ["n2", "n3"]


def test_an_attempt_that_said_how_it_ended_has_lost_no_node(tmp_path: Path, scontrol: Path) -> None:
    run_dir = tmp_path / "study" / "run"
    nodes.note_losses(run_dir)
    write_lost(run_dir, 1, "preempted")
    nodes.note_losses(run_dir)
    assert not (run_dir.parent / "nodes").exists() and not scontrol.exists()


def test_a_job_is_requeued_without_the_nodes_that_were_lost(scontrol: Path) -> None:
    SCHEDULERS["slurm"].requeue("17_3", [])
    SCHEDULERS["slurm"].requeue("17_4", ["n2", "n3"])
    assert scontrol.read_text().splitlines() == [
        "requeue 17_3",
        "requeuehold 17_4",
        "update JobId=17_4 ExcNodeList=n2,n3",
        "release 17_4",
    ]


def test_a_job_on_a_node_that_was_lost_twice_leaves_it(
    tmp_path: Path, scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    monkeypatch.setenv("SCALESTUDY_HOSTS", "n1,n2")
    assert not leave_bad_nodes(tmp_path)
    for number in (1, 2):
        path = tmp_path / "nodes" / f"run-{number:04d}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"nodes": ["n2"]}))
    assert leave_bad_nodes(tmp_path)
    monkeypatch.setenv("SCALESTUDY_HOSTS", "n1,n3")
    assert not leave_bad_nodes(tmp_path)
    assert "ExcNodeList=n2" in scontrol.read_text()


def test_a_node_is_bad_after_two_losses() -> None:
    assert nodes.bad_nodes([["n1"]]) == []
    assert nodes.bad_nodes([["n1", "n1"]]) == []
    assert nodes.bad_nodes([["n1", "n2"], ["n2"], ["n3"]]) == ["n2"]
