"""What weight standardization adds to a training step, and to each further micro-step of it.

    python -m tests.speed.weight_standardization --model bit_r50x1 --batch-size 4 --rounds 15

The same network with and without it takes turns in one process, on one micro-batch and on several
that are accumulated; differences are taken round by round. Limits: 8 % of a step on one
micro-batch; for a further one nothing that can be measured, that is at most 1 % of it or an
interval that holds 0.
"""

import argparse
import copy
import statistics
import sys
import time
from types import MethodType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from bench.engine.devices import keep_freed_memory
from models.layers import StdConv2d, pad_same
from tests.speed.history import Figure, record

LIMIT, MEASURABLE = 0.08, 0.01
WARMUP_ROUNDS = 2


def _plain(self: StdConv2d, x: Tensor) -> Tensor:
    if self.pads_first:
        x = pad_same(x, self.kernel_size[0], self.stride[0])
    return F.conv2d(x, self.weight, None, self.stride, self.padding)


def without(network: nn.Module) -> nn.Module:
    """A copy that convolves with its weights as they are."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, StdConv2d):
            module.forward = MethodType(_plain, module)  # type: ignore[method-assign]
    return network


def seconds(network: nn.Module, images: Tensor, labels: Tensor, micro_steps: int) -> float:
    """Forward and backward passes of one step."""
    network.zero_grad()
    start = time.perf_counter()
    for number in range(1, micro_steps + 1):
        for module in network.modules():
            if isinstance(module, StdConv2d):
                module.defers = number < micro_steps
        torch.autograd.backward(F.cross_entropy(network(images), labels))
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interval(values: list[float], level: float = 0.9) -> tuple[float, float]:
    """The bootstrap's percentile interval of the median."""
    draws = np.random.default_rng(0).choice(values, (10_000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bit_r50x1")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--micro-steps", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--system-malloc", action="store_true", help="Leave the allocator alone.")
    options = parser.parse_args()
    if not options.system_malloc:
        keep_freed_memory()
    torch.manual_seed(0)
    network = models.build(options.model, num_classes=1000).to(options.device).train()
    networks = {"with": network, "without": without(network)}
    image = models.config(options.model).image
    images = torch.randn(options.batch_size, 3, image.rows, image.columns, device=options.device)
    labels = torch.randint(1000, (options.batch_size,), device=options.device)

    cases = [(who, steps) for steps in (1, options.micro_steps) for who in networks]
    times: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for number in range(WARMUP_ROUNDS + options.rounds):
        cases = cases[1:] + cases[:1]
        for who, steps in cases:
            elapsed = seconds(networks[who], images, labels, steps)
            if number >= WARMUP_ROUNDS:
                times[who, steps].append(elapsed)

    one = [a / b - 1 for a, b in zip(times["with", 1], times["without", 1], strict=True)]
    rows = zip(
        *(times[who, steps] for steps in (1, options.micro_steps) for who in networks), strict=True
    )
    further = [1e3 * ((d - c) - (b - a)) / (options.micro_steps - 1) for b, a, d, c in rows]
    print(f"{options.model}, batch {options.batch_size}, fp32, {options.device}: median ms")
    for (who, steps), values in times.items():
        print(
            f"{who:>8} standardization, {steps} micro-steps {1e3 * statistics.median(values):8.1f}"
        )
    share, more = statistics.median(one), statistics.median(further)
    low, high = interval(one)
    print(f"of a step           {share:8.1%}     90 % interval [{low:.1%}, {high:.1%}]")
    low, high = interval(further)
    print(f"further micro-step  {more:8.2f} ms  90 % interval [{low:.2f}, {high:.2f}]")
    alone = 1e3 * statistics.median(times["without", 1])
    what = f"{options.model} batch {options.batch_size} {options.device}"
    figures = (
        Figure(f"{what} share of a step", share, "", LIMIT),
        Figure(f"{what} further micro-step", more, "ms", MEASURABLE * alone if low > 0 else None),
    )
    sys.exit(not record(__file__, figures))


if __name__ == "__main__":
    main()
