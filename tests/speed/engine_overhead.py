"""What DeepSpeed adds to a bare torch loop: the same network, fused AdamW, autocast and clipping.

    python -m tests.speed.engine_overhead --model vit_b16 --batch-size 4 --pairs 7

Steps of the two loops alternate in one process, so that a slow moment of the machine falls on
both; the ratio and the difference are taken pair by pair. Limits: 1.03 × at stage 0 and 1.08 × at
stages 1 and 2 for a large network, 3 and 9 ms for a small one; stage 3 is only reported.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

import models
from bench.data.transforms import normalize
from bench.engine.engine import Engine
from bench.engine.optimizer import make_optimizer
from bench.engine.world import World, join_world, leave_world
from bench.run.config import EngineConfig, RunConfig
from bench.run.recipe import Recipe
from tests.speed.history import Figure, record

LARGE_PARAMS = 10_000_000
RATIO_LIMITS = {0: 1.03, 1: 1.08, 2: 1.08}
MILLISECOND_LIMITS = {0: 3.0, 1: 9.0, 2: 9.0}
WARMUP_STEPS = 2


def bare_step(
    network: torch.nn.Module, config: RunConfig, pixels: torch.Tensor, labels: torch.Tensor
) -> Callable[[], None]:
    optimizer = make_optimizer(network, config)
    is_bf16 = config.recipe.precision == "bf16"

    def step() -> None:
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=is_bf16):
            scores = network(normalize(pixels))
        torch.autograd.backward(F.cross_entropy(scores.float(), labels))
        assert config.recipe.clip_norm is not None
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(stage: int, options: argparse.Namespace, world: World) -> list[tuple[float, float]]:
    """Pairs of (engine, bare) seconds a step."""
    config = RunConfig(
        model=options.model,
        steps=1,
        batch_size=options.batch_size,
        recipe=Recipe(precision=options.precision),
        engine=EngineConfig.model_validate({"zero_stage": stage}),
    )
    torch.manual_seed(0)
    network = models.build(options.model, num_classes=1000).to(world.device)
    image = models.config(options.model).image
    shape = (options.batch_size, 3, image.rows, image.columns)
    pixels = torch.randint(256, shape, dtype=torch.uint8, device=world.device)
    labels = torch.randint(1000, (options.batch_size,), device=world.device)
    bare = bare_step(copy.deepcopy(network), config, pixels, labels)
    engine = Engine(network, config, world)

    def deep() -> None:
        engine.train_step(pixels, labels, config.recipe.lr)

    pairs = []
    for number in range(WARMUP_STEPS + options.pairs):
        first, second = (deep, bare) if number % 2 else (bare, deep)
        times = {first: seconds(first), second: seconds(second)}
        pairs.append((times[deep], times[bare]))
    return pairs[WARMUP_STEPS:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_b16")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--stages", type=int, nargs="+", default=[0, 1, 2, 3])
    options = parser.parse_args()
    num_params = sum(p.numel() for p in models.build(options.model, num_classes=1000).parameters())
    is_large = num_params > LARGE_PARAMS
    print(
        f"{options.model}, batch {options.batch_size}, {options.precision}, {options.pairs} pairs"
    )
    print(f"{'stage':>5}{'engine ms':>11}{'bare ms':>9}{'ratio':>8}{'ms more':>9}{'limit':>9}")
    figures = []
    world = join_world()
    for stage in options.stages:
        pairs = compare(stage, options, world)
        ratio = statistics.median(deep / bare for deep, bare in pairs)
        more = 1e3 * statistics.median(deep - bare for deep, bare in pairs)
        deep_ms, bare_ms = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
        limit = (RATIO_LIMITS if is_large else MILLISECOND_LIMITS).get(stage)
        shown = "" if limit is None else f"{limit:g}" + ("" if is_large else " ms")
        print(f"{stage:>5}{deep_ms:>11.1f}{bare_ms:>9.1f}{ratio:>8.3f}{more:>9.1f}{shown:>9}")
        what = f"{options.model} batch {options.batch_size} {options.precision} stage {stage}"
        figures += [
            Figure(f"{what} ratio", ratio, "x", limit if is_large else None),
            Figure(f"{what} more", more, "ms", None if is_large else limit),
        ]
    leave_world()
    sys.exit(not record(__file__, figures))


if __name__ == "__main__":
    main()
