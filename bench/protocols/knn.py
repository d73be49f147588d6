"""Nearest neighbours of a network's representations; N images, D dimensions, K classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data import sources
from bench.protocols import base, features
from bench.run.config import Run
from bench.run.protocols import Case, EvaluationRequest, KnnOptions
from results.schema import Row

BATCH_SIZE = 1024


def measure(
    run_dir: Path, run: Run, request: EvaluationRequest, cases: Sequence[Case]
) -> list[Row]:
    """Return a row of each case, a number of neighbours; raise EvaluationError for too many."""
    options, source = request.options, request.source(run)
    assert isinstance(options, KnnOptions)
    size = options.image_size or run.image_size
    train, test = sources.load(source, "train"), sources.load(source, "eval")
    most = max(case["neighbours"] for case in cases)
    if most > len(train):
        raise base.EvaluationError(
            f"knn: given {most} neighbours, expected at most {len(train)}, the training images"
        )
    x = torch.from_numpy(features.load(run_dir, run, source, "train", np.arange(len(train)), size))
    x_test = torch.from_numpy(
        features.load(run_dir, run, source, "eval", np.arange(len(test)), size)
    )
    y, y_test = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    rows = []
    for case in cases:
        guesses = predict(x, y, x_test, case["neighbours"], source.num_classes, options.temperature)
        value = float((guesses == y_test).double().mean())
        shared = base.shared_columns(run, request, len(test)) | {"image_size": size}
        rows.append(shared | case | {"value": value})
    return rows


def predict(
    x: Tensor, y: Tensor, x_test: Tensor, neighbours: int, num_classes: int, temperature: float
) -> Tensor:
    """Return the classes (M,) of test features (M, D) by those of training features (N, D).

    The nearest by cosine similarity s vote with weight exp(s / temperature), as in DINO's
    evaluation (arXiv:2104.14294), whose temperature is 0.07.
    """
    x, x_test = F.normalize(x, dim=1), F.normalize(x_test, dim=1)
    found = []
    for part in torch.split(x_test, BATCH_SIZE):
        similarity, nearest = (part @ x.T).topk(neighbours, dim=1)  # (B, neighbours)
        votes = torch.zeros(len(part), num_classes, dtype=x.dtype)
        votes.scatter_add_(1, y[nearest], (similarity / temperature).exp())
        found.append(votes.argmax(1))
    return torch.cat(found)
