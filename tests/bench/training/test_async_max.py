"""A rank alone gets its own value at once; one of several the maximum of the previous call."""

import socket
from collections.abc import Iterator

import pytest
import torch

from bench.engine.world import World, join_world, leave_world
from bench.training.async_max import AsyncMax
from tests.helpers.processes import Start


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield join_world()
    leave_world()


def test_alone_a_value_comes_back_at_once(world: World) -> None:
    async_max = AsyncMax(world)
    assert [async_max(number) for number in (0, 7, 0)] == [0, 7, 0]
    assert async_max.close() == 0


def test_of_several_the_value_of_the_previous_call_comes_back(world: World) -> None:
    # A group of one process, which does not know that it is alone.
    async_max = AsyncMax(World(0, 0, 2, torch.device("cpu")))
    assert [async_max(number) for number in (0, 7, 0, 3)] == [0, 0, 7, 0]
    assert async_max.close() == 3
    assert async_max.close() == 0


RANK = """
import sys
from bench.engine.world import join_world, leave_world
from bench.training.async_max import AsyncMax
world = join_world()
largest = AsyncMax(world)
values = [[0, 12, 3], [5, 12, 0]][world.rank]
print([largest(value) for value in values], largest.close())
leave_world()
"""


def test_two_ranks_get_the_maximum_of_both(start_python: Start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [start_python(RANK, RANK=rank, LOCAL_RANK=rank, **shared) for rank in range(2)]
    for process in ranks:
        output, errors = process.communicate(timeout=240)
        assert output == "[0, 5, 12] 3\n", errors
