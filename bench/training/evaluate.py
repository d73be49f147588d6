"""Evaluate a network on the study's own evaluation split: loss and accuracy."""

from collections.abc import Callable

import torch

from bench.data.batches import EvaluationBatches, stream
from bench.engine.engine import Engine
from bench.engine.loss import summed
from bench.engine.world import World
from bench.run.ledger import Evaluation
from bench.run.recipe import Recipe


def evaluate(
    engine: Engine,
    batches: EvaluationBatches,
    world: World,
    *,
    num_workers: int = 0,
    beat: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Evaluate every image exactly once, whatever the world size (collective).

    `beat` is called after each batch.
    """
    totals = torch.zeros(4, dtype=torch.float64)
    for images, labels in stream(batches, range(len(batches)), num_workers):
        scores = engine.logits(images)
        totals += _score(scores, labels.to(scores.device), engine.recipe)
        beat()
    count, loss, top1, top5 = world.sum(totals.to(world.device)).tolist()
    return Evaluation(
        num_examples=round(count),
        loss=loss / count,
        top1_accuracy=top1 / count,
        top5_accuracy=top5 / count if scores.shape[1] > 5 else None,
    )


def _score(scores: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return number of images, summed loss, top-1 hits and top-5 hits: (4,).

    Images with the label -1 are padding and do not count.
    """
    scores, labels = scores[labels >= 0], labels[labels >= 0]
    guesses = scores.topk(min(5, scores.shape[1]), dim=1).indices  # (B, 5)
    right = guesses == labels[:, None]
    hits = [float(right[:, 0].sum()), float(right.any(dim=1).sum())]
    sums = [len(labels), summed(scores, labels, recipe), *hits]
    return torch.tensor(sums, dtype=torch.float64)
