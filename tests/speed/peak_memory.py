"""The memory that training takes beside what `plan` predicts, at each ZeRO stage.

    python -m tests.speed.peak_memory vit_ti16 bit_r50x1 --batch-size 8

On a GPU the device's own peak is read; on a CPU torch's profiler reports every tensor that is made
and freed, and the peak is that of their sum. Limit: 15 % either way.
"""

import argparse
import gc
import sys

import torch

import models
from bench.engine.engine import Engine
from bench.engine.world import World, join_world, leave_world
from bench.run.config import EngineConfig, RunConfig
from bench.run.memory import training_memory
from bench.run.recipe import Recipe
from tests.speed.history import Figure, record

LIMIT = 0.15
STEPS = 3
NUM_CLASSES = 1000


def train(config: RunConfig, size: int, world: World) -> None:
    network = models.build(config.model, num_classes=NUM_CLASSES, image_size=size)
    engine = Engine(network, config, world)
    images = torch.randint(256, (config.batch_size, 3, size, size), dtype=torch.uint8)
    labels = torch.randint(NUM_CLASSES, (config.batch_size,))
    for _ in range(STEPS):
        engine.train_step(images, labels, config.recipe.lr)
    engine.close()


def peak_bytes(config: RunConfig, size: int, world: World) -> int:
    gc.collect()
    if world.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(world.device)
        before = torch.cuda.memory_allocated(world.device)
        train(config, size, world)
        return torch.cuda.max_memory_allocated(world.device) - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        train(config, size, world)
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="MODEL", nargs="*", default=["vit_ti16", "bit_r50x1"])
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    world = join_world()
    print(
        f"{options.image_size} px, batch {options.batch_size}, {options.precision}, {world.device}"
    )
    print(f"{'':<14}{'stage':>6}{'micro':>6}{'recompute':>10}{'measured MB':>13}{'predicted':>11}")
    figures = []
    for name in options.names:
        for stage in (0, 1, 2):
            for micro, again in ((None, False), (options.batch_size // 2, False), (None, True)):
                config = RunConfig(
                    model=name,
                    steps=1,
                    batch_size=options.batch_size,
                    recipe=Recipe(precision=options.precision),
                    engine=EngineConfig.model_validate(
                        {
                            "zero_stage": stage,
                            "micro_batch_size": micro,
                            "activation_checkpointing": again,
                        }
                    ),
                )
                size = options.image_size
                predicted = training_memory(
                    config, image_size=size, num_classes=NUM_CLASSES, num_devices=1
                ).peak_bytes
                measured = peak_bytes(config, size, world)
                miss = predicted / measured - 1
                what = f"{name} stage {stage} micro {micro} recompute {again}"
                figures.append(Figure(f"{what} miss", abs(miss), "", LIMIT))
                print(
                    f"{name:<14}{stage:>6}{micro or options.batch_size:>6}"
                    f"{'yes' if again else 'no':>10}{measured / 1e6:>13.1f}"
                    f"{predicted / 1e6:>11.1f}{miss:>+8.1%}",
                    flush=True,
                )
    leave_world()
    sys.exit(not record(__file__, figures))


if __name__ == "__main__":
    main()
