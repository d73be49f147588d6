"""Small engines and a few of their steps."""

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

import models
from bench.engine import shards
from bench.engine.engine import Engine, Losses
from bench.engine.world import World
from bench.run.config import EngineConfig, RunConfig
from bench.run.recipe import Recipe
from models.bit.network import BiT

STEPS, BATCH_SIZE, NUM_CLASSES = 5, 8, 5


LRS = [1e-2, 2e-2, 3e-2, 1e-2, 1e-3]


RECIPE = Recipe(lr=1e-2, weight_decay=0.3)


Point = tuple[float, float | None]


def mlp() -> nn.Module:
    """Two layers, with an odd number of parameters; the same weights each time."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, NUM_CLASSES)
    )


@lru_cache
def batches() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (STEPS, BATCH_SIZE, 3, 4, 4), generator=generator)
    labels = torch.randint(0, NUM_CLASSES, (STEPS, BATCH_SIZE), generator=generator)
    return images.to(torch.uint8), labels


def build(
    world: World,
    recipe: Recipe = RECIPE,
    stage: int = 0,
    micro: int | None = None,
    network: nn.Module | None = None,
) -> Engine:
    engine = EngineConfig.model_validate({"zero_stage": stage, "micro_batch_size": micro})
    config = RunConfig(model="mlp", steps=1, batch_size=BATCH_SIZE, recipe=recipe, engine=engine)
    return Engine(network or mlp(), config, world)


def build_bit(world: World, stage: int = 0, micro: int | None = None) -> Engine:
    """Of the smallest ResNet; with SGD, since Adam would blow up what is only rounding."""
    torch.manual_seed(0)
    network = models.build("bit_nano", num_classes=NUM_CLASSES)
    assert isinstance(network, BiT)
    nn.init.normal_(network.head.weight, std=0.02)
    recipe = Recipe(optimizer="sgd", lr=1e-2, clip_norm=None)
    return build(world, recipe, stage, micro, network)


def run(engine: Engine, steps: range = range(STEPS)) -> list[Point]:
    """Loss and gradient norm of each step, of this process's share of the batches."""
    share = slice(engine.world.rank, None, engine.world.size)
    points = []
    for step in steps:
        images, labels = (part[step][share] for part in batches())
        engine.train_step(images, labels, LRS[step], measure=True)
        points.append((engine.take_loss(), engine.grad_norm()))
    return points


def save(engine: Engine, folder: Path) -> None:
    """This process's shard and the losses; one after the other in one folder, if there are two."""
    folder.mkdir(exist_ok=True)
    shards.write(folder / f"{engine.world.rank}.safetensors", engine.shard())
    (folder / "losses.json").write_text(json.dumps(asdict(engine.losses())))


def load(engine: Engine, folder: Path, step: int) -> Engine:
    losses = Losses(**json.loads((folder / "losses.json").read_text()))
    engine.load(sorted(folder.glob("*.safetensors")), step, losses)
    return engine
