"""Batches are functions of the step: whatever the process, the worker or the attempt."""

import gc
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.batches import (
    Batch,
    EvaluationBatches,
    TrainingBatches,
    stream,
)
from bench.data.sources import Image, Images
from bench.run.recipe import Recipe

NUM_IMAGES = 40
DEFAULTS = Recipe()
AUGMENTED = Recipe(
    randaugment_layers=2,
    randaugment_magnitude=10.0,
    random_erasing=0.5,
    color_jitter=0.3,
    three_augment=True,
)


def numbered(size: int = 4) -> Images:
    """Image i has label i and grey level i."""

    def read(at: Sequence[int]) -> list[Image]:
        return [np.full((size, size, 3), i, np.uint8) for i in at]

    return Images(np.arange(NUM_IMAGES), read)


def training(
    *,
    subset: Sequence[int] = range(NUM_IMAGES),
    batch_size: int = 8,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    augment: str = "none",
    size: int = 4,
    recipe: Recipe = DEFAULTS,
) -> TrainingBatches:
    return TrainingBatches(
        images=numbered(size),
        subset=np.array(subset),
        image_size=size,
        augment=augment,
        seed=seed,
        batch_size=batch_size,
        rank=rank,
        world_size=world_size,
        recipe=recipe,
    )


def labels(batches: TrainingBatches, steps: range) -> list[int]:
    return [label for step in steps for label in batches[step][1].tolist()]


def equal(a: Batch, b: Batch) -> bool:
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_an_epoch_sees_each_image_once() -> None:
    batches = training()
    first, second = labels(batches, range(5)), labels(batches, range(5, 10))
    assert sorted(first) == sorted(second) == list(range(NUM_IMAGES))
    assert first != second and first != sorted(first)


def test_images_and_labels_belong_together() -> None:
    pixels, found = training()[3]
    assert pixels.shape == (8, 3, 4, 4) and pixels.dtype == torch.uint8
    assert torch.equal(pixels[:, 0, 0, 0].long(), found)


def test_only_the_subset_is_seen() -> None:
    subset = [3, 5, 8, 13, 21]
    seen = labels(training(subset=subset), range(10))  # 80 images, 16 epochs
    assert sorted(seen) == sorted(subset * 16)


def test_batches_span_epochs_and_no_image_is_dropped() -> None:
    subset = range(12)
    seen = labels(training(subset=subset, batch_size=8), range(3))  # 24 images are two epochs
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(subset)
    tiny = labels(training(subset=[0, 1, 2], batch_size=8), range(3))  # 8 epochs in 3 batches
    assert [sorted(tiny[i : i + 3]) for i in range(0, 24, 3)] == [[0, 1, 2]] * 8


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip", "inception"])
def test_a_batch_does_not_depend_on_those_before_it(augment: str) -> None:
    used, fresh = training(augment=augment, size=6), training(augment=augment, size=6)
    before = [used[step] for step in range(12)]
    assert equal(fresh[11], before[11])
    assert equal(used[2], before[2])


def test_another_seed_is_another_order() -> None:
    assert labels(training(seed=0), range(5)) != labels(training(seed=1), range(5))


@pytest.mark.parametrize("recipe", [DEFAULTS, AUGMENTED], ids=["default", "augmented"])
@pytest.mark.parametrize("augment", ["none", "inception"])
@pytest.mark.parametrize("world_size", [2, 4])
def test_the_shares_of_all_ranks_are_the_global_batch(
    world_size: int, augment: str, recipe: Recipe
) -> None:
    whole = training(augment=augment, recipe=recipe)
    ranks = range(world_size)
    shares = [
        training(rank=r, world_size=world_size, augment=augment, recipe=recipe) for r in ranks
    ]
    for step in (0, 4, 7):
        parts = [share[step] for share in shares]
        pixels, found = (torch.cat(part) for part in zip(*parts, strict=True))
        assert equal((pixels, found), whole[step])


def test_large_images_are_read_again_instead_of_kept() -> None:
    small, large = training(size=64), training(size=65)
    for batches in (small, large):
        first = batches[0]
        assert equal(batches[0], first)
    assert len(small._cache) == 8 and len(large._cache) == 0


def evaluation(rank: int, world_size: int, batch_size: int = 7) -> EvaluationBatches:
    return EvaluationBatches(numbered(), 4, batch_size, rank, world_size)


@pytest.mark.parametrize("batch_size", [7, 40, 100])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_counts_each_image_once(world_size: int, batch_size: int) -> None:
    ranks = [evaluation(rank, world_size, batch_size) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1  # they enter collectives together
    batches = [batches[i] for batches in ranks for i in range(len(batches))]
    found = torch.cat([counted for _, counted in batches])
    assert sorted(found[found >= 0].tolist()) == list(range(NUM_IMAGES))
    for pixels, counted in batches:
        assert 1 <= len(pixels) <= batch_size
        is_real = counted >= 0
        assert torch.equal(pixels[is_real][:, 0, 0, 0].long(), counted[is_real])


def test_a_rank_without_images_left_gets_one_that_does_not_count() -> None:
    # 40 images over 3 ranks are 14, 13, 13: in batches of 13 the first has one more to do.
    ranks = [evaluation(rank, 3, batch_size=13) for rank in range(3)]
    assert [len(batches) for batches in ranks] == [2, 2, 2]
    assert [batches[1][1].tolist() for batches in ranks] == [[39], [-1], [-1]]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_give_the_same_batches_in_order(num_workers: int) -> None:
    augmented = training(augment="flip", size=6, recipe=AUGMENTED)
    for batches in (training(augment="inception", size=6), augmented, evaluation(0, 1)):
        alone = list(stream(batches, range(2, 6), 0))
        prepared = list(stream(batches, range(2, 6), num_workers))
        assert len(alone) == len(prepared) == 4
        assert all(equal(a, b) for a, b in zip(alone, prepared, strict=True))


class Left:
    """Garbage that only the collector finds, and that says which process destroyed it."""

    def __init__(self, folder: Path) -> None:
        self.itself = self
        self.folder = folder

    def __del__(self) -> None:
        (self.folder / str(os.getpid())).touch()


def test_workers_do_not_destroy_what_their_parent_left(tmp_path: Path) -> None:
    # A process group of an earlier run among it would never come to an end there.
    def read(at: Sequence[int]) -> list[Image]:
        gc.collect()
        return numbered().read(at)

    batches = replace(training(), images=Images(np.arange(NUM_IMAGES), read))
    gc.disable()
    try:
        Left(tmp_path)
        assert len(list(stream(batches, range(4), 2))) == 4
        assert list(tmp_path.iterdir()) == []
    finally:
        gc.enable()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_an_image_is_augmented_anew_in_every_epoch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    batches = training(subset=[0], batch_size=1, augment="crop_flip", size=8)
    batches = replace(batches, images=Images(np.array([0]), lambda at: [pixels] * len(at)))
    seen = [batches[step][0].numpy().tobytes() for step in range(20)]  # of 2 x 81 that there are
    assert len(set(seen)) > 10
    other = replace(batches, seed=1)
    assert sum(other[step][0].numpy().tobytes() == seen[step] for step in range(20)) < 10
