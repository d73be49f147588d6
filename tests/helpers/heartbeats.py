"""Heartbeats as attempts leave them."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.run import heartbeat
from bench.run.attempt import read_disk
from bench.run.heartbeat import Heartbeat

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_beat(**changes: Any) -> Heartbeat:
    """Return a heartbeat of this very process."""
    me: dict[str, Any] = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_started": psutil.Process().create_time(),
        "created_at": BEGAN,
    }
    return Heartbeat(**me | changes)


def write_beat(run_dir: Path, number: int = 1, **changes: Any) -> None:
    """Write a heartbeat of this process as that of an attempt."""
    heartbeat.write(run_dir, number, make_beat(**changes))


def last_beat(run_dir: Path) -> Heartbeat:
    """Return the heartbeat of the newest attempt, which must be there."""
    beat = read_disk(run_dir).beat
    assert beat is not None, f"{run_dir}: no attempt has begun"
    return beat


def has_stepped(run_dir: Path) -> bool:
    """Return whether the newest attempt has done a step."""
    beat = read_disk(run_dir).beat
    return bool(beat and beat.step)
