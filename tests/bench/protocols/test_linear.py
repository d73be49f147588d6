"""Linear evaluation against scikit-learn, and on a run that was really trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from bench.data import sources
from bench.data.subsets import held_out
from bench.protocols import features, linear
from bench.protocols.evaluations import evaluate_run
from bench.run.config import read_run
from bench.run.protocols import EvaluationRequest, LinearOptions

STRENGTHS = [1e-4, 1e-2, 1.0]


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 12, generator=generator) @ torch.randn(12, 12, generator=generator)
    noise = torch.randn(300, 5, generator=generator)
    y = (x @ torch.randn(12, 5, generator=generator) + 3 * noise).argmax(1)
    return linear.standardized(x, x), y


def loss(x: torch.Tensor, y: torch.Tensor, weight: object, bias: object, l2: float) -> float:
    w, b = torch.as_tensor(weight), torch.as_tensor(bias)
    return float(F.cross_entropy(x @ w + b, y) + l2 / 2 * w.square().sum())


def test_regressions_are_those_of_scikit_learn_all_at_once() -> None:
    x, y = problem()
    weight, bias = linear.fit(x, y, STRENGTHS, 5)
    assert weight.shape == (3, 12, 5) and bias.shape == (3, 1, 5)
    for number, l2 in enumerate(STRENGTHS):
        peer = LogisticRegression(C=1 / (len(y) * l2), tol=1e-10, max_iter=10_000)
        peer.fit(x.numpy(), y.numpy())
        theirs = loss(x, y, peer.coef_.T, peer.intercept_, l2)
        assert loss(x, y, weight[number], bias[number], l2) == pytest.approx(theirs, rel=1e-5)
        # Biases are free up to a shared constant, weights are unique.
        assert weight[number].numpy() == pytest.approx(peer.coef_.T, abs=2e-2)


def test_the_strength_is_the_best_on_held_out_images_the_largest_of_equal_ones() -> None:
    x, y = problem()
    scores = []
    for l2 in STRENGTHS:
        weight, bias = linear.fit(x[:200], y[:200], [l2], 5)
        scores.append(float(linear.accuracies(x[200:], y[200:], weight, bias)[0]))
    best = linear.choose(x[:200], y[:200], x[200:], y[200:], STRENGTHS, 5)
    assert scores[STRENGTHS.index(best)] == max(scores)
    same = torch.zeros(10, 12, dtype=x.dtype), torch.zeros(10, dtype=torch.int64)
    assert linear.choose(*same, *same, STRENGTHS, 5) == 1.0


def test_features_are_standardized_by_the_training_images() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    # Mean 2 and biased deviation 1; a constant feature is divided by 1e-5.
    found = linear.standardized(torch.tensor([[4.0, 5.1]]), x)
    assert found.tolist()[0] == pytest.approx([2 / (1 + 1e-5), 0.1 / 1e-5], rel=1e-5)


def test_a_run_is_evaluated_as_scikit_learn_would(done: Path) -> None:
    run, options = read_run(done), LinearOptions(protocol="linear", strengths=[1e-3, 1e-1])
    (row,) = evaluate_run(done, EvaluationRequest(options))
    train, test = sources.load(run.data, "train"), sources.load(run.data, "eval")
    x = features.load(done, run, run.data, "train", np.arange(len(train)), 8).astype(float)
    x_test = features.load(done, run, run.data, "eval", np.arange(len(test)), 8).astype(float)
    mean, std = x.mean(0), x.std(0) + 1e-5
    x, x_test = (x - mean) / std, (x_test - mean) / std
    dev = held_out(train.labels, 10)

    def score(l2: float, on: np.ndarray, where: np.ndarray, labels: np.ndarray) -> float:
        peer = LogisticRegression(C=1 / (on.sum() * l2), tol=1e-10, max_iter=10_000)
        peer.fit(x[on], train.labels[on])
        return float(peer.score(where, labels))

    tried = {l2: score(l2, ~dev, x[dev], train.labels[dev]) for l2 in (1e-3, 1e-1)}
    assert tried[row["strength"]] == max(tried.values())
    everything = np.ones(len(train), bool)
    expected = score(row["strength"], everything, x_test, test.labels)
    assert row["value"] == pytest.approx(expected, abs=1.5 / len(test))
    assert row["settings"] == "l2=0.001..0.1 (2) dev=0.1"
    assert (row["metric"], row["num_examples"]) == ("top1_accuracy", len(test))
