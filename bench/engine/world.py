"""The process group of an attempt, joined through DeepSpeed, and its collectives."""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F

from bench.engine.devices import keep_freed_memory

# DeepSpeed chooses its accelerator on import.
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "warning")
import deepspeed

# Of collectives. The watchdog is faster; this is for what it cannot see.
TIMEOUT = timedelta(minutes=30)
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}

# Environment variables that `join_world` has set for a single process.
_lent: set[str] = set()
# ZeRO stage 3 replaces it for the rest of the process by a function that fvcore cannot count.
LINEAR = F.linear


T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of one attempt, one per device, as seen by one of them."""

    rank: int
    local_rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Rank 0, which writes the run's files."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of `values` over all ranks (all-reduce, in place)."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, value: T) -> T:
        """Return the value of rank 0 on every rank; any value that can be pickled."""
        if self.size == 1:
            return value
        holder: list[Any] = [value]
        dist.broadcast_object_list(holder, src=0, device=self.device)
        received: T = holder[0]
        return received

    def all_gather(self, value: T) -> list[T]:
        """Return the values of all ranks, in order; any value that can be pickled."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def barrier(self) -> None:
        """Wait until every rank has called this."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """Join the process group described by RANK, WORLD_SIZE, LOCAL_RANK and MASTER_*.

    A process started without these variables becomes a world of size one.
    """
    if "RANK" not in os.environ:
        os.environ.update(ALONE, MASTER_PORT=str(_free_port()))
        _lent.update(ALONE, ["MASTER_PORT"])
    local_rank = int(os.environ["LOCAL_RANK"])
    on_gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if on_gpu:
        # If a scheduler shows each process only its own device, that device is number 0.
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
        os.environ["LOCAL_RANK"] = str(device.index)  # DeepSpeed reads it
        torch.cuda.set_device(device)
    else:
        keep_freed_memory()
        if "LOCAL_SIZE" not in os.environ:
            # Without it DeepSpeed starts `numactl` to count devices in every step of stage 3.
            os.environ["LOCAL_SIZE"] = "1"
            _lent.add("LOCAL_SIZE")
    backend = "nccl" if on_gpu else "gloo"
    # An inference kernel that DeepSpeed would otherwise compile for half a minute on a CPU.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend=backend, auto_mpi_discovery=False, timeout=TIMEOUT, verbose=False
    )
    return World(dist.get_rank(), local_rank, dist.get_world_size(), device)


def leave_world() -> None:
    """Destroy the process group, so that this process can join another one later."""
    F.linear = LINEAR
    if dist.is_initialized():
        # DeepSpeed's own function, which also clears the groups it caches between engines.
        deepspeed.comm.destroy_process_group()
    deepspeed.comm.comm.cdb = None
    # Child processes must not inherit the address of a process group that is gone.
    while _lent:
        os.environ.pop(_lent.pop(), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
