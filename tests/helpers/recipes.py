"""Engines that train by the recipes of `plain`."""

from bench.engine.engine import Engine
from bench.engine.world import World
from bench.run.config import RunConfig
from tests.helpers.plain import BATCH_SIZE, DECAY, RECIPES, Tower, batches, rate


def engine_of(world: World, name: str, stage: int, micro: int | None = None) -> Engine:
    config = RunConfig.model_validate(
        {
            "model": "tower",
            "steps": 1,
            "batch_size": BATCH_SIZE,
            "recipe": {"weight_decay": DECAY} | RECIPES[name].changes,
            "engine": {"zero_stage": stage, "micro_batch_size": micro},
        }
    )
    return Engine(Tower(), config, world)


def steps(engine: Engine, name: str, which: range) -> None:
    """Train on this process's share of the batches, neighbours kept together."""
    world = engine.world
    share = BATCH_SIZE // world.size
    mine = slice(world.rank * share, (world.rank + 1) * share)
    for step in which:
        images, labels = (part[step][mine] for part in batches())
        engine.train_step(images, labels, rate(step), mix=RECIPES[name].mix)
