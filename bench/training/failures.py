"""How an attempt ended, told from the error that ended it; and notes from process to process.

Only the main process writes an attempt's rows. Another one that fails leaves a note in the run's
`log/`, from which the main process, perhaps waiting for it in a collective, learns why.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from bench.run.heartbeat import Ended
from results.ledger.files import write_json

# What the allocators of torch, the C++ library and the kernel say.
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate|bad_alloc", re.I)
TIMED_OUT = re.compile(r"timed out|timeout", re.I)
# gloo names the file of its own that noticed; torch has a class for what NCCL says.
GLOO = re.compile(r"gloo/|connection (closed|reset)", re.I)


@dataclass(frozen=True)
class Ending:
    """`ended` in the ledger's words, and the reason in one line."""

    ended: Ended
    reason: str

    @property
    def is_second_hand(self) -> bool:
        """Whether the error only says that another process is gone or silent."""
        return self.ended in ("lost", "hang")


def of(error: BaseException) -> Ending:
    """What an error that ended an attempt means for the next one.

    >>> of(MemoryError("std::bad_alloc"))
    Ending(ended='out_of_memory', reason='MemoryError: std::bad_alloc')
    """
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return Ending("out_of_memory", text)
    if isinstance(error, (RuntimeError, OSError)):
        if isinstance(error, dist.DistError) or GLOO.search(text):
            return Ending("hang" if TIMED_OUT.search(text) else "lost", text)
        if OUT_OF_MEMORY.search(text):
            return Ending("out_of_memory", text)
    return Ending("failed", text)


def leave_note(run_dir: Path, attempt: int, rank: int, ending: Ending) -> None:
    """Tells the other processes of the attempt why this one ends it."""
    write_json(_note(run_dir, attempt, rank), asdict(ending))


def read_note(run_dir: Path, attempt: int, ranks: range) -> Ending | None:
    """What the first of `ranks` that has left a note says, its rank before the reason."""
    for rank in ranks:
        try:
            said = Ending(**json.loads(_note(run_dir, attempt, rank).read_text()))
        except FileNotFoundError:
            continue
        return Ending(said.ended, f"process {rank}: {said.reason}")
    return None


def stack_path(run_dir: Path, attempt: int, rank: int) -> Path:
    """Where a process of an attempt that hangs leaves what its threads were doing."""
    return run_dir / "log" / f"stack-{attempt:04d}-rank{rank}.txt"


def _note(run_dir: Path, attempt: int, rank: int) -> Path:
    return run_dir / "log" / f"ended-{attempt:04d}-rank{rank}.json"
