"""The heartbeat of an attempt: what its process writes to `attempts/0001.json` while it runs."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from results.ledger.files import write_json
from results.schema import columns

Ended = Literal["done", "failed", "killed", "preempted", "timeout", "lost", "out_of_memory", "hang"]
# Why an attempt counts as lost whose last heartbeat does not say how it ended.
NO_REPORT = "its process died without reporting an end"


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """State of an attempt as last reported; a field that is not known yet is None.

    `pid_started` is in seconds since 1970, `interval` the seconds between two heartbeats; `hosts`
    are separated by commas. Examples and seconds count from the start of the run and of the
    attempt, respectively. `measured` are the columns of `attempts` that meters read, by name
    (`bench.training.meters`); in the file they stand beside the other fields.
    """

    host: str
    pid: int
    pid_started: float
    created_at: datetime
    job_id: str | None = None
    cluster: str | None = None
    interval: float | None = None
    hosts: str | None = None
    device: str | None = None
    num_devices: int | None = None
    micro_batch_size: int | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    code_hash: str | None = None
    torch_version: str | None = None
    deepspeed_version: str | None = None
    step: int | None = None
    num_steps: int | None = None
    from_examples: int | None = None
    to_examples: int | None = None
    loss: float | None = None
    images_per_second: float | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    checkpoint_seconds: float | None = None
    startup_seconds: float | None = None
    measured: Mapping[str, float | None] = field(default_factory=dict)
    ended: Ended | None = None
    reason: str | None = None
    ended_at: datetime | None = None

    @property
    def outcome(self) -> Ended:
        """How the attempt ended; "lost" if its process died without reporting an end."""
        return self.ended or "lost"

    def as_json(self) -> dict[str, Any]:
        """Return the content of its file: the fields that are known, and always those of a claim.

        `from_json` reads it back.
        """
        known = asdict(self)
        known |= known.pop("measured")
        content = {
            name: value
            for name, value in known.items()
            if value is not None or name in ("job_id", "cluster", "ended")
        }
        times = {name: content[name].isoformat() for name in _TIMES if name in content}
        return content | times


_NAMES = frozenset(one.name for one in fields(Heartbeat)) - {"measured"}
_TIMES = ("created_at", "ended_at")


def from_json(content: dict[str, Any]) -> Heartbeat:
    """Return the heartbeat that a file of this or another version holds.

    Fields that the file lacks are None, those that this version does not know are left out.
    """
    known = {name: value for name, value in content.items() if name in _NAMES}
    for name in _TIMES:
        if known.get(name) is not None:
            known[name] = datetime.fromisoformat(known[name])
    others = content.keys() - _NAMES
    measured = others and {column.name for column in columns("attempts")} & others
    return Heartbeat(**known, measured={name: content[name] for name in measured})


def path(run_dir: Path, number: int) -> Path:
    """Return the path of an attempt's heartbeat."""
    return run_dir / "attempts" / f"{number:04d}.json"


def last_attempt(run_dir: Path) -> int:
    """Return the number of the newest attempt, 0 before the first."""
    try:
        names = os.listdir(f"{run_dir}/attempts")
    except FileNotFoundError:
        return 0
    return max((int(n[:4]) for n in names if n[:4].isdigit()), default=0)


def read(run_dir: Path, number: int) -> Heartbeat | None:
    """Return the last heartbeat of an attempt, None if it has not written one."""
    try:
        with open(f"{run_dir}/attempts/{number:04d}.json", "rb") as file:  # noqa: PTH123
            return from_json(json.loads(file.read()))
    except FileNotFoundError:
        return None


def read_all(run_dir: Path, after: int = 0) -> list[Heartbeat]:
    """Return the last heartbeats of all attempts after number `after`, oldest first."""
    numbers = range(after + 1, last_attempt(run_dir) + 1)
    return [beat for number in numbers if (beat := read(run_dir, number))]


def unrecorded(run_dir: Path, before: int) -> list[tuple[int, Heartbeat]]:
    """Return number and heartbeat of attempts before `before` without a ledger row.

    Their processes died before they could write it.
    """
    found = []
    for number in range(1, before):
        if not (run_dir / "attempts" / f"{number:04d}.parquet").exists():
            beat = read(run_dir, number)
            if beat:
                found.append((number, beat))
    return found


def write(run_dir: Path, number: int, beat: Heartbeat) -> None:
    """Replace the heartbeat of an attempt, whole."""
    write_json(path(run_dir, number), beat.as_json())
