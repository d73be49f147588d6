"""Where and how widely runs are executed, and what of it may reach a batch script."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from bench.run.errors import SettingError
from bench.run.fields import (
    Frozen,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

OPTION_PATTERN = re.compile(r"[a-z][a-z0-9]+(-[a-z0-9]+)*")
# Options of sbatch that a resource of ours stands for.
OPTIONS = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "exclude": "exclude",
    "nodes": "nodes",
    "ntasks": "tasks_per_node",
    "ntasks-per-node": "tasks_per_node",
    "cpus-per-task": "cpus_per_task",
    "gpus-per-node": "gpus_per_node",
    "mem": "mem_gb",
    "time": "timeout_min",
    "array": "parallel",
}
# Options that the harness gives itself, for what it promises of jobs.
OWN_OPTIONS = (
    "output",
    "error",
    "open-mode",
    "dependency",
    "kill-on-invalid-dep",
    "signal",
    "requeue",
    "no-requeue",
    "job-name",
    "chdir",
    "export",
    "export-file",
    "wrap",
    "test-only",
    "wait",
    "parsable",
)
# What holds for a whole study, so that one run cannot have a value of its own.
STUDY_WIDE = ("cluster", "profile", "max_accelerator_days", "max_array_size", "max_jobs")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, the keys of a mapping included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.items():
            yield from _texts(list(item))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _check_option(name: str) -> None:
    """Raise SettingError for what is not an option of sbatch, or not the user's to set.

    sbatch takes any beginning of an option's name for it, so `outp` is refused like `output`.
    """
    if not OPTION_PATTERN.fullmatch(name):
        raise SettingError(
            f"sbatch.{name}: expected the long name of an option of sbatch, such as reservation"
        )
    for option, resource in OPTIONS.items():
        if option.startswith(name):
            raise SettingError(f"sbatch.{name}: give resources.{resource} instead")
    for option in OWN_OPTIONS:
        if option.startswith(name):
            raise SettingError(f"sbatch.{name}: --{option} is given by the harness itself")


class Resources(Frozen):
    """Where and how widely runs are executed; none of it changes a result or an id.

    `parallel` is how many runs go at a time (0: as many as the machine or the queue takes).
    `setup` are shell lines that a job runs first, `sbatch` further options of sbatch by name, true
    for one without a value.
    A job at its time limit is started again at most `max_timeouts` times, one that was lost,
    killed or hung at most `max_retries` times from the same checkpoint.
    A device is a GPU, or a process where `gpus_per_node` is 0. `accelerator` and `utilization`
    (model FLOPs utilization) let `plan` predict accelerator-days before anything was measured;
    the price is in whatever currency the reader thinks of.
    `max_array_size` and `max_jobs` are the site's limits, for one that does not tell them.
    """

    profile: str | None = None
    cluster: str = "local"
    parallel: NonNegativeInt = 0
    nodes: PositiveInt = 1
    gpus_per_node: NonNegativeInt = 0
    tasks_per_node: PositiveInt | None = None
    cpus_per_task: PositiveInt = 1
    mem_gb: PositiveFloat | None = None
    timeout_min: PositiveInt = 24 * 60
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    setup: list[str] = Field(default_factory=list)
    sbatch: dict[str, str | int | Literal[True]] = Field(default_factory=dict)
    max_timeouts: NonNegativeInt = 20
    max_retries: NonNegativeInt = 2
    accelerator: str | None = None
    utilization: PositiveFloat | None = None
    price_per_accelerator_hour: PositiveFloat | None = None
    max_accelerator_days: PositiveFloat | None = None
    max_array_size: PositiveInt | None = None
    max_jobs: PositiveInt | None = None

    @property
    def devices_per_node(self) -> int:
        """Processes on a node, one a GPU."""
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def num_devices(self) -> int:
        """Processes of one run."""
        return self.nodes * self.devices_per_node


def check(resources: Resources) -> None:
    """Raise SettingError for what must not reach a batch script; the message begins with its key.

    A control character in a key or a value of the script's header runs as shell.
    """
    for key, value in resources.model_dump().items():
        for text in _texts(value):
            if not text.isprintable():
                raise SettingError(f"{key}: given {text!r}, expected printable text")
    for option in resources.sbatch:
        _check_option(option)
