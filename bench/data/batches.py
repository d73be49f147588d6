"""Batches as pure functions of the step, so that a resumed run sees the same images."""

import ctypes
import gc
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from bench.data.sources import Image, Images
from bench.data.transforms import evaluation_batch, training_batch
from bench.run import seeds
from bench.run.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]

CACHE_PIXELS = 64 * 64
_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


@dataclass
class TrainingBatches:
    """One rank's micro-batches of training: item `step` is its share of the global batch.

    Each epoch is a permutation of the subset, a function of (seed, epoch). Epochs follow each other
    without a gap: no image is dropped, and a batch may span two epochs.
    """

    images: Images
    subset: npt.NDArray[np.int64]
    image_size: int
    augment: str
    seed: int
    batch_size: int
    rank: int
    world_size: int
    recipe: Recipe = field(default_factory=Recipe)
    _cache: dict[int, Image] = field(default_factory=dict, init=False)
    _orders: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, init=False)

    def __getitem__(self, step: int) -> Batch:
        share = self.batch_size // self.world_size
        start = step * self.batch_size + self.rank * share
        positions = np.arange(start, start + share)
        epochs, places = np.divmod(positions, len(self.subset))
        chosen = np.empty(share, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = self.subset[self._order(int(epoch))[places[here]]]
        pixels = self._read(chosen)
        seed = seeds.derive(self.seed, "augment")
        batch = training_batch(pixels, self.image_size, self.augment, seed, positions, self.recipe)
        return batch, torch.from_numpy(self.images.labels[chosen])

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._orders:
            # A batch spans at most as many epochs as it has images; earlier ones are not needed.
            if len(self._orders) > self.batch_size + 1:
                self._orders.clear()
            self._orders[epoch] = seeds.permutation(len(self.subset), self.seed, "order", epoch)
        return self._orders[epoch]

    def _read(self, chosen: npt.NDArray[np.int64]) -> list[Image]:
        """Return the images at `chosen`; small ones are decoded once and cached."""
        missing = sorted({int(i) for i in chosen} - self._cache.keys())
        fresh = dict(zip(missing, self.images.read(missing), strict=True)) if missing else {}
        for index, image in fresh.items():
            if image.shape[0] * image.shape[1] <= CACHE_PIXELS:
                self._cache[index] = image
        return [self._cache[i] if i in self._cache else fresh[i] for i in chosen.tolist()]


@dataclass(frozen=True)
class EvaluationBatches:
    """One rank's batches of evaluation; together the ranks see each image exactly once.

    All ranks have the same number of batches, since ZeRO stage 3 gathers weights in each. A rank
    that has no images left gets the first one again, with label -1.
    """

    images: Images
    image_size: int
    batch_size: int
    rank: int
    world_size: int

    def __len__(self) -> int:
        most = -(-len(self.images) // self.world_size)
        return -(-most // self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        mine = np.arange(self.rank, len(self.images), self.world_size)
        chosen = mine[index * self.batch_size : (index + 1) * self.batch_size]
        labels = self.images.labels[chosen]
        if not len(chosen):
            chosen, labels = np.array([0]), np.array([-1])
        pixels = self.images.read(chosen.tolist())
        return evaluation_batch(pixels, self.image_size), torch.from_numpy(labels)


def _end_with_parent(_worker: int) -> None:
    """Have the kernel kill this process when its parent ends for whatever reason (Linux only)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        parent = os.getppid()
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent == 1:  # it was gone already
            os._exit(1)


def stream(
    batches: TrainingBatches | EvaluationBatches, items: range, num_workers: int
) -> Iterator[Batch]:
    """Yield the items in order, prefetched by `num_workers` processes (0: read in this one)."""
    if num_workers == 0:
        return (batches[item] for item in items)
    pin = torch.cuda.is_available()
    loader: DataLoader[Batch] = DataLoader(
        batches,  # type: ignore[arg-type]
        sampler=items,
        batch_size=None,
        num_workers=num_workers,
        pin_memory=pin,
        prefetch_factor=4,
        worker_init_fn=_end_with_parent,
    )
    # The workers are forked here, and must never collect garbage that they inherit: destroying a
    # copy of a process group waits for ever for threads that a fork does not copy.
    gc.freeze()
    try:
        return iter(loader)
    finally:
        gc.unfreeze()
