"""Evaluations that are asked for, and the trace that each leaves beside its rows; without torch."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.run.attempt import job_id
from bench.run.config import DataInfo, Run
from results.ledger.files import write_json

SHOTS = (1, 5, 10, 25)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class FewShot:
    """Ridge regression on so many images of each class, drawn with each seed.

    `data` is another source than the run's own; its training split is what is drawn from, its
    evaluation split what is tested on.
    """

    data: DataInfo | None = None
    shots: tuple[int, ...] = SHOTS
    seeds: tuple[int, ...] = SEEDS

    def source(self, run: Run) -> DataInfo:
        """What the run is evaluated on."""
        return self.data or run.data

    def path(self, run_dir: Path, run: Run) -> Path:
        """Where its rows are."""
        source = self.source(run)
        return run_dir / "evals" / f"fewshot-{source.name}-{source.fingerprint[:12]}.parquet"

    @property
    def key(self) -> str:
        """A name for just this evaluation, the same for every run."""
        data = None if self.data is None else self.data.fingerprint
        said = json.dumps([data, sorted(self.shots), sorted(self.seeds)])
        return f"fewshot-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    def as_json(self) -> dict[str, Any]:
        """For `from_json`."""
        data = None if self.data is None else self.data.model_dump(mode="json")
        return {"data": data, "shots": self.shots, "seeds": self.seeds}


def from_json(said: dict[str, Any]) -> FewShot:
    """What `as_json` has said."""
    data = None if said["data"] is None else DataInfo.model_validate(said["data"])
    return FewShot(data, tuple(said["shots"]), tuple(said["seeds"]))


def read_trace(run_dir: Path, key: str) -> dict[str, Any]:
    """How the evaluation of a run went: `ended` is done, failed, or None; {} before it began."""
    try:
        return json.loads(_path(run_dir, key).read_text())
    except FileNotFoundError:
        return {}


@contextmanager
def traced(run_dir: Path, wanted: FewShot) -> Iterator[None]:
    """Writes down that an evaluation began, and how it ended."""
    trace: dict[str, Any] = {
        "key": wanted.key,
        "protocol": "fewshot",
        **asdict(wanted),
        "data": None if wanted.data is None else wanted.data.name,
        "job_id": job_id(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "created_at": datetime.now(UTC).isoformat(),
        "ended": None,
        "reason": None,
    }
    _write(run_dir, trace)
    try:
        yield
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        _write(run_dir, trace | _end("failed", reason))
        raise
    _write(run_dir, trace | _end("done", None))


def _end(ended: str, reason: str | None) -> dict[str, Any]:
    return {"ended": ended, "reason": reason, "ended_at": datetime.now(UTC).isoformat()}


def _path(run_dir: Path, key: str) -> Path:
    return run_dir / "evals" / f"{key}.json"


def _write(run_dir: Path, trace: dict[str, Any]) -> None:
    write_json(_path(run_dir, trace["key"]), trace)
