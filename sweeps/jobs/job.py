"""Jobs as they run on a node: thin importable callables of a run's folder."""

import hashlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import submitit
from submitit.helpers import TorchDistributedEnvironment

from bench.run.attempt import end_orphan
from bench.run.environment import HOSTS, environment
from bench.run.protocols import EvaluationRequest
from bench.training.signals import Signals, Stopped
from sweeps.schedulers import SCHEDULERS, commands, nodes

LOCALHOST = "127.0.0.1"
# Below the ports that Linux gives to connections, above those of services.
PORTS = range(15_000, 32_000)

log = logging.getLogger("scalestudy")


class TrainJob:
    """Job that trains the run in a folder, from its checkpoint if it is started again.

    It is started again not from here but by what started it: the epilogue of the batch script
    on Slurm (`sweeps.jobs.requeue`), the dispatcher locally.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def __call__(self) -> None:
        """Train; submitit calls this in every process of the job."""
        start_logging()
        # In place of submitit's handlers, which ignore SIGTERM and requeue without a save.
        with Signals():
            export_ranks()
            record_collectives(self.run_dir / "log")
            if os.environ.get("RANK", "0") == "0" and environment().can_requeue:
                nodes.note_losses(self.run_dir)
                if leave_bad_nodes(self.run_dir.parent):
                    return
                end_orphan(self.run_dir)
            from bench.training.loop import train

            try:
                train(self.run_dir)
            except Stopped as stopped:
                log.info("%s: %s", self.run_dir.name, stopped)
        leave()


def leave_bad_nodes(study_dir: Path) -> bool:
    """Send this job back to the queue if it was given a bad node; return whether it was."""
    bad, job = nodes.bad_nodes_here(study_dir), environment()
    if not bad or job.job_id is None:
        return False
    SCHEDULERS[job.cluster or "slurm"].requeue(job.job_id, bad)
    return True


class EvaluateJob:
    """Job that evaluates a finished run."""

    def __init__(self, run_dir: Path, wanted: EvaluationRequest) -> None:
        self.run_dir = run_dir
        self.wanted = wanted

    def __call__(self) -> None:
        """Evaluate, called by submitit."""
        start_logging()
        obey_sigterm()
        from bench.protocols.evaluations import evaluate_run

        evaluate_run(self.run_dir, self.wanted)


class AnalyseJob:
    """Job that makes the tables and figures of a study."""

    def __init__(self, study_dir: Path) -> None:
        self.study_dir = study_dir

    def __call__(self) -> None:
        """Make them, called by submitit."""
        start_logging()
        obey_sigterm()
        from sweeps.jobs.analysis import analyse

        analyse(self.study_dir)


def start_logging() -> None:
    """Log a run's messages to standard error, one a line."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", force=True
    )


def leave() -> None:
    """End the process once all is written: a regular exit of torch takes seconds, or hangs."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def obey_sigterm() -> None:
    """End at once on SIGTERM, which submitit ignores."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def export_ranks() -> None:
    """Set RANK, WORLD_SIZE, LOCAL_RANK and MASTER_* from submitit's view of the job.

    CUDA_VISIBLE_DEVICES stays as the scheduler set it: the engine picks a device by LOCAL_RANK. A
    job that submitit has not started sets all of these itself, or is one process.
    """
    try:
        job = submitit.JobEnvironment()
    except RuntimeError:
        return
    os.environ["MASTER_PORT"] = str(master_port(job.job_id, environment().restarts))
    ranks = TorchDistributedEnvironment()
    ranks.export(set_cuda_visible_devices=False, overwrite=True)
    os.environ[HOSTS] = ",".join(job.hostnames)
    if job.num_nodes == 1:
        os.environ["MASTER_ADDR"] = LOCALHOST
    else:
        os.environ["MASTER_ADDR"] = _address(ranks.master_addr)


def record_collectives(folder: Path) -> None:
    """Let NCCL's watchdog record what every GPU waits for if a collective times out.

    These are PyTorch's flight recorder's variables; whoever has set one keeps it.
    """
    os.environ.setdefault("TORCH_FR_BUFFER_SIZE", "2000")
    os.environ.setdefault("TORCH_NCCL_DUMP_ON_TIMEOUT", "1")
    os.environ.setdefault("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", str(folder / "collectives-"))


def master_port(job_id: str, restarts: int) -> int:
    """Return a port that all processes of a job agree on, a new one each time it is requeued.

    submitit's own stays the same, and may be taken by any connection of the host.
    """
    digest = hashlib.sha256(f"{job_id} {restarts}".encode()).digest()
    return PORTS[int.from_bytes(digest[:8]) % len(PORTS)]


def _address(node: str) -> str:
    """Return the address of a Slurm node: its name if that resolves, else the one Slurm has."""
    try:
        socket.getaddrinfo(node, None)
    except socket.gaierror:
        (described,) = commands.describe_nodes(node)
        return described["NodeAddr"]
    return node
