"""The scheduler of one machine: slots, and the GPUs that each has for itself."""

import os

import pytest

from sweeps.resources import Resources
from sweeps.schedulers import SCHEDULERS, local


def test_runs_of_different_slots_never_share_a_gpu() -> None:
    for gpus_per_run in (1, 2, 3):
        slots = [local.gpus_of_slot(slot, gpus_per_run, list(range(7, 19))) for slot in range(4)]
        used = [gpu for gpus in slots for gpu in gpus]
        assert len(used) == len(set(used)) == 4 * gpus_per_run
        assert set(used) <= set(range(7, 19))


def test_where_the_gpus_are_not_known_they_are_numbered() -> None:
    assert [local.gpus_of_slot(slot, 2, []) for slot in (0, 1)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("visible", "expected"), [("0,1,2,3", 2), ("5", 1), ("", 4), ("GPU-1,GPU-2", 4)]
)
def test_no_more_runs_than_have_their_own_gpus(
    visible: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    wanted = Resources(gpus_per_node=2)
    # Eight cores are four runs of two processes; names of GPUs that are no numbers tell nothing.
    assert SCHEDULERS["local"].slots(wanted) == expected
