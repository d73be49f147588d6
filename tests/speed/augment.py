"""What each augmentation of a recipe adds to the preparation of a training image.

    python -m tests.speed.augment --side 224 --images 64 --rounds 7

Batches of the same noise images are cropped and flipped by `inception` without and with each
augmentation, in turns and in one process on one thread; the figures are medians over rounds of the
difference from the plain batch, in milliseconds an image.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch

from bench.data.sources import Image
from bench.data.transforms import training_batch
from bench.run.recipe import Recipe
from tests.speed.history import Figure, record

RECIPES = {
    "plain": Recipe(),
    "three_augment": Recipe(three_augment=True),
    "color_jitter": Recipe(color_jitter=0.3),
    "randaugment": Recipe(randaugment_layers=2, randaugment_magnitude=10.0),
    "random_erasing": Recipe(random_erasing=0.25),
}


def milliseconds(images: list[Image], side: int, recipe: Recipe, number: int) -> float:
    """Return the time of an image in a batch, whose keys are those of round `number`."""
    keys = np.arange(len(images)) + number * len(images)
    start = time.perf_counter()
    training_batch(images, side, "inception", 0, keys, recipe)
    return (time.perf_counter() - start) * 1e3 / len(images)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    shape = (given.images, given.side, given.side, 3)
    images = list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    rounds = [
        {name: milliseconds(images, given.side, recipe, n) for name, recipe in RECIPES.items()}
        for n in range(given.rounds + 1)
    ][1:]
    figures = []
    for name in RECIPES:
        added = [found[name] - (found["plain"] if name != "plain" else 0) for found in rounds]
        figures.append(Figure(f"{name} at {given.side}", statistics.median(added), "ms/image"))
        print(
            f"{name:15} {statistics.median(added):7.3f} ms  ({min(added):.3f} to {max(added):.3f})"
        )
    return 0 if record(__file__, figures) else 1


if __name__ == "__main__":
    sys.exit(main())
