"""Schedulers: where the jobs of a study are submitted, asked for, cancelled and requeued."""

from sweeps.schedulers.base import Scheduler
from sweeps.schedulers.local import Local
from sweeps.schedulers.slurm import Slurm

# What `resources.cluster` may name.
SCHEDULERS: dict[str, Scheduler] = {"local": Local(), "slurm": Slurm()}
