"""The loss of a recipe; B batch, K classes."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from bench.data.mixing import Mix, partners
from bench.run.recipe import Recipe


def loss(logits: Tensor, labels: Tensor, recipe: Recipe, mix: Mix | None = None) -> Tensor:
    """Return the mean loss of logits (B, K) for labels (B,).

    Both losses are linear in the label, so the loss of a mixed label is the mixed loss.
    """
    value = _loss(logits, labels, recipe, recipe.label_smoothing, "mean")
    if mix is None:
        return value
    other = _loss(logits, partners(labels), recipe, recipe.label_smoothing, "mean")
    return value * mix.weight + other * (1 - mix.weight)


def summed(logits: Tensor, labels: Tensor, recipe: Recipe) -> float:
    """Return the evaluation loss, summed over the batch, without smoothing."""
    return float(_loss(logits, labels, recipe, 0.0, "sum"))


def _loss(
    logits: Tensor,
    labels: Tensor,
    recipe: Recipe,
    smoothing: float,
    reduction: Literal["mean", "sum"],
) -> Tensor:
    if recipe.loss == "softmax":
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction=reduction)
    num_classes = logits.shape[1]
    targets = F.one_hot(labels, num_classes).to(logits.dtype)  # (B, K)
    targets = targets * (1 - smoothing) + smoothing / num_classes
    # Summed over the classes, as big_vision's `sigmoid_xent` is.
    total = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / len(labels) if reduction == "mean" else total
