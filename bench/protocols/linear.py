"""Linear evaluation: logistic regression on a network's representations.

N images, D dimensions, K classes, S strengths of the regularization.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data import sources
from bench.data.subsets import held_out
from bench.protocols import base, features
from bench.run.config import Run
from bench.run.protocols import Case, EvaluationRequest, LinearOptions
from results.schema import Row

MIN_STD = 1e-5  # as in few-shot evaluation (big_vision's `evaluators/fewshot_lsr.py`)
MAX_ITERATIONS = 1000

log = logging.getLogger("scalestudy")


def measure(
    run_dir: Path, run: Run, request: EvaluationRequest, cases: Sequence[Case]
) -> list[Row]:
    """Return the row of the only case: top-1 of the best strength, trained on all images."""
    options, source = request.options, request.source(run)
    assert isinstance(options, LinearOptions)
    size = options.image_size or run.image_size
    train, test = sources.load(source, "train"), sources.load(source, "eval")
    every, every_test = np.arange(len(train)), np.arange(len(test))
    raw = torch.from_numpy(features.load(run_dir, run, source, "train", every, size))
    raw_test = torch.from_numpy(features.load(run_dir, run, source, "eval", every_test, size))
    x, x_test = standardized(raw, raw), standardized(raw_test, raw)
    y, y_test = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    dev = torch.from_numpy(held_out(train.labels, max(2, round(1 / options.dev_fraction))))
    strengths = sorted(options.strengths)
    best = choose(x[~dev], y[~dev], x[dev], y[dev], strengths, source.num_classes)
    if len(strengths) > 1 and best in (strengths[0], strengths[-1]):
        log.warning("%s: linear: the best strength, %g, is on the edge", run.run_id, best)
    weight, bias = fit(x, y, [best], source.num_classes)
    value = float(accuracies(x_test, y_test, weight, bias)[0])
    (case,) = cases
    shared = base.shared_columns(run, request, len(test)) | {"image_size": size}
    return [shared | case | {"value": value, "strength": best}]


def standardized(x: Tensor, of: Tensor) -> Tensor:
    """Return features (N, D), as float64, on the scale on which `of` has mean 0 and deviation 1."""
    mean, std = of.double().mean(0), of.double().std(0, correction=0)
    return (x.double() - mean) / (std + MIN_STD)


def choose(
    x: Tensor, y: Tensor, x_dev: Tensor, y_dev: Tensor, strengths: Sequence[float], num_classes: int
) -> float:
    """Return the strength with the best top-1 on held-out images; of equal ones the largest."""
    if len(strengths) == 1:
        return strengths[0]
    weight, bias = fit(x, y, strengths, num_classes)
    scores = accuracies(x_dev, y_dev, weight, bias).tolist()
    return max(zip(scores, strengths, strict=True))[1]


def fit(
    x: Tensor, y: Tensor, strengths: Sequence[float], num_classes: int
) -> tuple[Tensor, Tensor]:
    """Fit one regression a strength, all at once; return weights (S, D, K) and biases (S, 1, K).

    Each minimizes the mean cross-entropy plus strength / 2 times the sum of squared weights, the
    biases left free: scikit-learn's LogisticRegression with C = 1 / (N × strength).
    """
    l2 = torch.tensor(strengths, dtype=x.dtype)
    weight = torch.zeros(len(l2), x.shape[1], num_classes, dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(len(l2), 1, num_classes, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAX_ITERATIONS,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = x @ weight + bias  # (S, N, K)
        targets = y.expand(len(l2), -1)  # (S, N)
        entropy = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / len(y)
        total: Tensor = entropy + (l2 * weight.square().sum((1, 2))).sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def accuracies(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the top-1 of each regression, (S,)."""
    guesses = (x @ weight + bias).argmax(2)  # (S, N)
    return (guesses == y).double().mean(1)
