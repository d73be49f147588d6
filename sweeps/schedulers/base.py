"""What a scheduler is: jobs are submitted to it, asked for, cancelled and requeued."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.resources import Resources

# Slurm's own default, for a site that does not say.
MAX_ARRAY_SIZE = 1001

Jobs = Mapping[str, Callable[[], None]]  # what each job calls, by the id of its run


class SchedulerError(Exception):
    """A scheduler has refused a job, or does not answer."""


@dataclass(frozen=True)
class After:
    """What jobs wait for: the end of `jobs`, whatever it is; with `each`, success one by one.

    With `each` the first of the new jobs waits for the first of `jobs`, and so on.
    """

    jobs: tuple[str, ...] = ()
    each: bool = False


@dataclass(frozen=True)
class Job:
    """A job that a scheduler has: PENDING, RUNNING…; its nodes or ""; why it waits, or "None"."""

    state: str
    nodes: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What a scheduler says of the jobs it has.

    With `holds_all` every job that was submitted to it counts as its own still, as where it does
    not answer (`is_answered` False).
    """

    jobs: Mapping[str, Job] = field(default_factory=dict)
    is_answered: bool = True
    holds_all: bool = False


@dataclass(frozen=True)
class Limits:
    """The most elements of an array, one more than its largest index; and the jobs still taken.

    `room` is None where there is no limit, or the site does not tell it.
    """

    max_array_size: int = MAX_ARRAY_SIZE
    room: int | None = None


class Scheduler:
    """Base of all schedulers: `submit` and `state` are a scheduler's own, the rest has defaults.

    A job is a callable that can be pickled. What a job's process sees of its scheduler is an
    `Environment` (`bench.run.environment`), for which a scheduler adds a reader there.
    """

    name = ""

    def submit(
        self,
        study_dir: Path,
        resources: Resources,
        jobs: Jobs,
        after: After,
        limits: Limits,
        *,
        epilogue: str | None = None,
    ) -> Iterator[dict[str, str]]:
        """Submit `jobs`, which start after `after`, and yield ids of jobs by run id in batches.

        `epilogue` is a module to be run with the study's folder at the end of each job, by a
        scheduler that requeues its jobs. Raises SchedulerError.
        """
        raise NotImplementedError

    def state(self, study_dir: Path) -> Answer:
        """Return the jobs that the scheduler has, with at most one call to it."""
        raise NotImplementedError

    def ended(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return how jobs that are gone have ended, in words; {} where nothing is recorded."""
        return {}

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Take jobs back or stop them; jobs that are gone already are no error."""

    def requeue(self, job_id: str, without: Iterable[str] = ()) -> None:
        """Start a running job again, on other nodes than `without`. Raises SchedulerError."""
        raise SchedulerError(f"{self.name}: does not requeue jobs")

    def limits(self, resources: Resources) -> Limits:
        """Return what the scheduler takes of jobs with these resources."""
        return Limits()

    def slots(self, resources: Resources) -> int | None:
        """Return how many runs go at a time; None for any number."""
        return resources.parallel or None

    def complete(self, resources: Resources, lines: list[str], lost: list[str]) -> Resources:
        """Return the resources with shell `lines` that a job runs first and nodes to be avoided."""
        return resources

    def settings(self, resources: Resources, code: str) -> dict[str, Any]:
        """Return the resources as they are recorded beside the jobs; `code` names their code."""
        return resources.model_dump()

    def start(self, study_dir: Path, before: str, variables: Mapping[str, str]) -> None:
        """Start what hands the jobs out, once all are recorded after the submission `before`."""
