"""Classify the error that ended an attempt, and pass it from rank to rank.

Only rank 0 writes an attempt's rows. Another rank that fails writes a failure record into the
run's `log/`, from which rank 0, which may be waiting for it in a collective, learns the cause.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from bench.run.heartbeat import Ended
from results.ledger.files import write_json

# Messages of torch's allocators, the C++ library and the kernel.
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate|bad_alloc", re.I)
TIMED_OUT = re.compile(r"timed out|timeout", re.I)
# gloo names its source file that noticed; for NCCL's errors torch has a class.
GLOO = re.compile(r"gloo/|connection (closed|reset)", re.I)


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended early: its cause in the ledger's terms, and the reason in one line."""

    ended: Ended
    reason: str

    @property
    def is_indirect(self) -> bool:
        """True if the error only shows that another rank is gone or does not answer."""
        return self.ended in ("lost", "hang")


def classify(error: BaseException) -> Failure:
    """Return the cause behind an error.

    >>> classify(MemoryError("std::bad_alloc"))
    Failure(ended='out_of_memory', reason='MemoryError: std::bad_alloc')
    """
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return Failure("out_of_memory", text)
    if isinstance(error, (RuntimeError, OSError)):
        if isinstance(error, dist.DistError) or GLOO.search(text):
            return Failure("hang" if TIMED_OUT.search(text) else "lost", text)
        if OUT_OF_MEMORY.search(text):
            return Failure("out_of_memory", text)
    return Failure("failed", text)


def write_failure(run_dir: Path, attempt: int, rank: int, failure: Failure) -> None:
    """Write the failure record of a rank, for the other ranks of the attempt."""
    write_json(_record_path(run_dir, attempt, rank), asdict(failure))


def read_first_failure(run_dir: Path, attempt: int, ranks: range) -> Failure | None:
    """Return the first failure record among `ranks`, its reason prefixed with the rank."""
    for rank in ranks:
        try:
            content = json.loads(_record_path(run_dir, attempt, rank).read_text())
        except FileNotFoundError:
            continue
        return Failure(content["ended"], f"process {rank}: {content['reason']}")
    return None


def stack_path(run_dir: Path, attempt: int, rank: int) -> Path:
    """Return the path to which a rank that hangs writes the stacks of its threads."""
    return run_dir / "log" / f"stack-{attempt:04d}-rank{rank}.txt"


def _record_path(run_dir: Path, attempt: int, rank: int) -> Path:
    return run_dir / "log" / f"ended-{attempt:04d}-rank{rank}.json"
