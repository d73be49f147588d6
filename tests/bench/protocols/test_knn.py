"""Nearest neighbours against a few lines of numpy, and on a run that was really trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data import sources
from bench.protocols import features, knn
from bench.protocols.base import EvaluationError
from bench.protocols.evaluations import evaluate_run
from bench.run.config import read_run
from bench.run.protocols import EvaluationRequest, KnnOptions


def by_hand(
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    neighbours: int,
    temperature: float,
) -> list[int]:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    guesses = []
    for one in x_test:
        similarity = x @ (one / np.linalg.norm(one))
        nearest = np.argsort(-similarity)[:neighbours]
        votes: dict[int, float] = {}
        for index in nearest:
            vote = np.exp(similarity[index] / temperature)
            votes[y[index]] = votes.get(y[index], 0.0) + vote
        guesses.append(max(votes, key=lambda label: votes[label]))
    return guesses


@pytest.mark.parametrize("neighbours", [1, 5, 40])
def test_votes_are_those_counted_by_hand(neighbours: int) -> None:
    random = np.random.default_rng(0)
    x, x_test = random.standard_normal((200, 6)), random.standard_normal((50, 6))
    y = random.integers(0, 4, 200)
    found = knn.predict(
        torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(x_test), neighbours, 4, 0.07
    )
    assert found.tolist() == by_hand(x, y, x_test, neighbours, 0.07)


def test_a_close_neighbour_outvotes_two_far_ones() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    labels, test = torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.2]])
    assert knn.predict(x, labels, test, 3, 2, 0.07).tolist() == [0]
    assert knn.predict(x, labels, test, 3, 2, 100.0).tolist() == [1]


def test_a_run_is_evaluated_for_each_number_of_neighbours(done: Path) -> None:
    run = read_run(done)
    options = KnnOptions(protocol="knn", neighbours=[1, 10])
    rows = evaluate_run(done, EvaluationRequest(options))
    assert [row["neighbours"] for row in rows] == [1, 10]
    train, test = sources.load(run.data, "train"), sources.load(run.data, "eval")
    x = features.load(done, run, run.data, "train", np.arange(len(train)), 8)
    x_test = features.load(done, run, run.data, "eval", np.arange(len(test)), 8)
    for row in rows:
        guesses = by_hand(x, train.labels, x_test, row["neighbours"], 0.07)
        # Equal similarities may be counted in another order.
        expected = (np.array(guesses) == test.labels).mean()
        assert row["value"] == pytest.approx(expected, abs=1.5 / len(test))


def test_more_neighbours_than_images_are_refused(done: Path) -> None:
    options = KnnOptions(protocol="knn", neighbours=[5000])
    with pytest.raises(EvaluationError, match="given 5000 neighbours, expected at most 1442"):
        evaluate_run(done, EvaluationRequest(options))
