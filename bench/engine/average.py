"""Exponential moving average of the weights (Polyak averaging), however ZeRO divides them."""

import torch

from bench.engine.shards import Piece


class WeightAverage:
    """The average of the weights that this rank updates, one tensor per master of its pieces.

    After each step it becomes decay × average + (1 - decay) × weights; it starts at the initial
    weights.
    """

    def __init__(self, pieces: list[Piece], decay: float) -> None:
        masters = {id(piece.master): piece.master for piece in pieces}
        self._masters = [master.detach() for master in masters.values()]
        self._averages = [master.clone() for master in self._masters]
        self._index = {key: number for number, key in enumerate(masters)}
        self._decay = decay

    def update(self) -> None:
        """Follow the weights by one step."""
        if self._masters:
            torch._foreach_lerp_(self._averages, self._masters, 1 - self._decay)

    def of(self, piece: Piece) -> torch.Tensor:
        """Return the average, shaped like the piece's master."""
        return self._averages[self._index[id(piece.master)]]

    def swap(self) -> None:
        """Exchange average and weights; a second call undoes it."""
        for master, average in zip(self._masters, self._averages, strict=True):
            kept = master.clone()
            master.copy_(average)
            average.copy_(kept)
