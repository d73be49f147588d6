"""Alone a process hears itself at once; in company, what any has said at the call before."""

from collections.abc import Iterator

import pytest
import torch

from bench.engine.world import World, join_world, leave_world
from bench.training.async_max import AsyncMax


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield join_world()
    leave_world()


def test_alone_a_vote_is_heard_at_once(world: World) -> None:
    async_max = AsyncMax(world)
    assert [async_max(number) for number in (0, 7, 0)] == [0, 7, 0]
    assert async_max.close() == 0


def test_in_company_the_largest_of_the_round_before_is_heard(world: World) -> None:
    # A group of one process, which does not know that it is alone.
    async_max = AsyncMax(World(0, 0, 2, torch.device("cpu")))
    assert [async_max(number) for number in (0, 7, 0, 3)] == [0, 0, 7, 0]
    assert async_max.close() == 3
    assert async_max.close() == 0
