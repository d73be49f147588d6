"""Attempts that are killed while they record."""

import torch

from bench.data import sources
from bench.engine.world import World
from bench.run.config import EngineConfig, Run, RunConfig
from bench.run.ledger import Evaluation

WORLD = World(0, 0, 1, torch.device("cpu"))


DEVICE = "A processor"


EVALUATION = Evaluation(355, 1.5, 0.4, 0.8)


def make_run() -> Run:
    engine = EngineConfig(heartbeat_seconds=1e-9)
    config = RunConfig(model="vit_nano2", steps=10, batch_size=32, engine=engine)
    return Run(study="study", config=config, data=sources.describe("digits"))
