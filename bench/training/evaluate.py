"""Loss and accuracy of a network on the study's own evaluation split."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from bench.data.batches import EvaluationBatches, stream
from bench.engine.engine import Engine
from bench.engine.world import World
from bench.run.ledger import Evaluation


def evaluate(
    engine: Engine,
    batches: EvaluationBatches,
    world: World,
    *,
    num_workers: int = 0,
    beat: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Every image counted once, whatever the number of processes; all of them must enter."""
    totals = torch.zeros(4, dtype=torch.float64)
    for images, labels in stream(batches, range(len(batches)), num_workers):
        scores = engine.logits(images)
        totals += _score(scores, labels.to(scores.device))
        beat()
    count, loss, top1, top5 = world.sum(totals.to(world.device)).tolist()
    return Evaluation(
        num_examples=round(count),
        loss=loss / count,
        top1_accuracy=top1 / count,
        top5_accuracy=top5 / count if scores.shape[1] > 5 else None,
    )


def _score(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Number of images, summed loss, and how many are right in one and in five guesses: (4,).

    A label of -1 marks an image that does not count.
    """
    scores, labels = scores[labels >= 0], labels[labels >= 0]
    guesses = scores.topk(min(5, scores.shape[1]), dim=1).indices  # (B, 5)
    right = guesses == labels[:, None]
    sums = [
        F.cross_entropy(scores, labels, reduction="sum"),
        right[:, 0].sum(),
        right.any(dim=1).sum(),
    ]
    return torch.tensor([len(labels), *(float(s) for s in sums)], dtype=torch.float64)
