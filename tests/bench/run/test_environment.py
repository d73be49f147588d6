"""A job's id, time limit and hosts, from the variables of its scheduler."""

import pytest

from bench.run.environment import ENVIRONMENTS, Environment, environment

SLURM = {"SLURM_JOB_ID": "12", "SUBMITIT_EXECUTOR": "slurm"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Environment()),
        ({"SUBMITIT_LOCAL_JOB_ID": "99"}, Environment(job_id="99")),
        (SLURM, Environment("slurm", "12", can_requeue=True)),
        (
            SLURM | {"SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "2"},
            Environment("slurm", "10_2", can_requeue=True),
        ),
        (
            SLURM | {"SLURM_RESTART_COUNT": "3", "SLURM_JOB_END_TIME": "1800000000"},
            Environment("slurm", "12", 3, 1.8e9, can_requeue=True),
        ),
        # The harness's own limit goes before Slurm's; it holds without a scheduler too.
        (
            {"SCALESTUDY_END_TIME": "5", "SLURM_JOB_END_TIME": "9", "SCALESTUDY_HOSTS": "a,b"},
            Environment(end_time=5.0, hosts=("a", "b")),
        ),
    ],
)
def test_a_process_knows_its_job(variables: dict[str, str], expected: Environment) -> None:
    assert environment(variables) == expected


def test_a_job_on_slurm_is_not_taken_for_a_local_one() -> None:
    assert environment(SLURM | {"SUBMITIT_LOCAL_JOB_ID": "99"}).job_id == "12"


def test_another_schedulers_jobs_are_known_by_one_more_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(variables: object) -> Environment:
        return Environment("toy", "toy-1")

    monkeypatch.setitem(ENVIRONMENTS, "toy", read)
    assert environment({}).job_id == "toy-1"
    assert environment(SLURM).job_id == "12"
