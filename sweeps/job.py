"""What a job does on its node: a thin importable callable of a run's folder."""

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import submitit
from submitit.helpers import DelayedSubmission, TorchDistributedEnvironment

LOCALHOST = "127.0.0.1"


class TrainJob:
    """Trains the run in a folder; started again, it goes on from the checkpoint."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def __call__(self) -> None:
        """Called by submitit in every process of the job."""
        start_logging()
        export_ranks()
        from bench.signals import Stopped
        from bench.train import train

        try:
            train(self.run_dir)
        except Stopped as stopped:
            # By now all is saved and submitit's own handler is back: it requeues the job.
            again = signal.getsignal(stopped.signum)
            if stopped.comes_back and callable(again):
                again(stopped.signum, None)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit submits again after preemption or at the time limit: the same."""
        return DelayedSubmission(TrainJob(self.run_dir))


def start_logging() -> None:
    """Messages of a run, one a line, on standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", force=True
    )


def export_ranks() -> None:
    """RANK, WORLD_SIZE, LOCAL_RANK and MASTER_* from submitit's view of the job.

    CUDA_VISIBLE_DEVICES stays as the scheduler set it: the engine picks a device by LOCAL_RANK.
    """
    os.environ.pop("MASTER_PORT", None)
    environment = TorchDistributedEnvironment()
    environment.export(set_cuda_visible_devices=False, overwrite=True)
    job = submitit.JobEnvironment()
    os.environ["SCALEBENCH_HOSTS"] = ",".join(job.hostnames)
    if job.num_nodes == 1:
        os.environ["MASTER_ADDR"] = LOCALHOST
    else:
        os.environ["MASTER_ADDR"] = _address(environment.master_addr)


def _address(node: str) -> str:
    """An address of a Slurm node: its name where that resolves, else what Slurm knows of it."""
    try:
        socket.getaddrinfo(node, None)
    except socket.gaierror:
        shown = subprocess.run(
            ["scontrol", "--oneliner", "show", "node", node],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        fields = dict(part.split("=", 1) for part in shown.split() if "=" in part)
        return fields["NodeAddr"]
    return node
