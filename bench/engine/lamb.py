"""LAMB (arXiv:1904.00962) over whole layers, however ZeRO divides them."""

from collections.abc import Callable
from typing import Any

import torch

from bench.engine.shards import Piece

Reduce = Callable[[torch.Tensor], torch.Tensor]


class Lamb(torch.optim.Optimizer):
    """Adam whose update of each layer is scaled to the norm of the layer's weights.

    Algorithm 2 with phi the identity. As in apex's FusedLAMB, with which DeiT III is trained, a
    layer without weight decay keeps Adam's update, and so does one whose weights or update are 0.
    `bind` must be called before the first step.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float], eps: float = 1e-6
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    def bind(self, names: list[str], pieces: list[Piece], reduce: Reduce) -> None:
        """Set the layers' names, in the order of all ranks, and the pieces that this rank updates.

        `reduce` sums a tensor over the ranks among which layers are divided.
        """
        self._row = {name: row for row, name in enumerate(names)}
        self._pieces, self._reduce = pieces, reduce

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the weights of all groups (collective where layers are divided)."""
        updates: list[tuple[torch.Tensor, torch.Tensor, dict[str, Any]]] = []
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    updates.append((weight, self._update(weight, group), group))
        self._scale(
            [(weight, update) for weight, update, group in updates if group["weight_decay"]]
        )
        for weight, update, group in updates:
            weight.sub_(update, alpha=group["lr"])

    def _update(self, weight: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        """Return Adam's update with bias correction and weight decay, shaped like `weight`."""
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if "step" not in state:
            state["step"] = torch.zeros((), device=weight.device)
        for moment in ("exp_avg", "exp_avg_sq"):
            if moment not in state:
                state[moment] = torch.zeros_like(weight)
        state["step"] += 1
        step, (beta1, beta2) = float(state["step"]), group["betas"]
        mean = state["exp_avg"].lerp_(gradient, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update: torch.Tensor = (mean / (1 - beta1**step)).div_(root)
        return update.add_(weight, alpha=group["weight_decay"])

    def _scale(self, updates: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Multiply each layer's part of an update by norm of weights / norm of update."""
        parts = [
            (self._row[piece.name], piece.view_in(weight), piece.view_in(update))
            for weight, update in updates
            for piece in self._pieces
            if piece.master is weight
        ]
        device = updates[0][0].device if updates else self._pieces[0].master.device
        squares = torch.zeros(len(self._row), 2, device=device)
        for row, weights, update in parts:
            squares[row] += torch.stack([weights.square().sum(), update.square().sum()])
        norms = self._reduce(squares).sqrt()
        ratios = torch.where((norms > 0).all(1), norms[:, 0] / norms[:, 1], 1.0)
        for row, _, update in parts:
            update.mul_(ratios[row])
