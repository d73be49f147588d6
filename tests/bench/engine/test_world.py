"""A process joins a world, alone or with others, and leaves it without a trace."""

import os

from bench.engine.world import World, join_world, leave_world

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def joined() -> World:
    try:
        return join_world()
    finally:
        leave_world()


def test_a_process_alone_joins_again_and_again_and_leaves_no_variables() -> None:
    for _ in range(2):
        world = joined()
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
        assert not set(NAMES) & os.environ.keys()


def test_alone_collectives_give_what_they_are_given() -> None:
    world = joined()
    assert world.broadcast("x") == "x" and world.all_gather("x") == ["x"]
    world.barrier()
