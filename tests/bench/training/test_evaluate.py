"""Loss and accuracy by hand, of a network that gives each image the scores in a table."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.batches import EvaluationBatches
from bench.data.sources import Image, Images
from bench.engine.engine import Engine
from bench.engine.world import World, join_world, leave_world
from bench.run.config import RunConfig
from bench.run.ledger import Evaluation
from bench.run.recipe import Recipe
from bench.training.evaluate import _score, evaluate

# Probabilities of six classes; an image of grey level i gets row i.
TABLE = torch.tensor(
    [
        [0.40, 0.30, 0.10, 0.10, 0.06, 0.04],
        [0.05, 0.50, 0.20, 0.10, 0.10, 0.05],
        [0.10, 0.15, 0.05, 0.35, 0.30, 0.05],
        [0.30, 0.25, 0.20, 0.15, 0.07, 0.03],
    ]
)
# Right at once; in the second place; in the fourth; in the sixth.
LABELS = [0, 2, 0, 5]
LOSS = -(math.log(0.40) + math.log(0.20) + math.log(0.10) + math.log(0.03)) / 4


class Table(nn.Module):
    """Scores (B, K) by the grey level of an image."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(table.log())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        levels = (images[:, 0, 0, 0] * 127.5 + 127.5).round().long()
        return self.scores[levels]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield join_world()
    leave_world()


def result(world: World, table: torch.Tensor, labels: list[int], batch_size: int) -> Evaluation:
    def read(at: Sequence[int]) -> list[Image]:
        return [np.full((2, 2, 3), i, np.uint8) for i in at]

    images = Images(np.array(labels), read)
    engine = Engine(Table(table), RunConfig(model="table", steps=1), world)
    batches = EvaluationBatches(images, 2, batch_size, 0, 1)
    beats: list[int] = []
    found = evaluate(engine, batches, world, beat=lambda: beats.append(1))
    assert len(beats) == len(batches)
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_means_over_all_images_whatever_the_batches(world: World, batch_size: int) -> None:
    found = result(world, TABLE, LABELS, batch_size)
    assert found.num_examples == 4
    assert found.loss == pytest.approx(LOSS, rel=1e-6)
    assert found.top1_accuracy == 1 / 4
    assert found.top5_accuracy == 3 / 4


def test_five_guesses_among_five_classes_are_no_measurement(world: World) -> None:
    found = result(world, TABLE[:, :5], [0, 1, 3, 0], 4)
    assert found.top1_accuracy == 1.0
    assert found.top5_accuracy is None


def test_images_that_fill_a_batch_do_not_count() -> None:
    scores, labels = TABLE.log(), torch.tensor(LABELS)
    padded = torch.cat([scores, scores]), torch.cat([labels, torch.full((4,), -1)])
    assert torch.equal(_score(*padded, Recipe()), _score(scores, labels, Recipe()))
    assert _score(scores, torch.full((4,), -1), Recipe()).tolist() == [0, 0, 0, 0]


def test_parts_add_up_to_the_whole() -> None:
    scores, labels = TABLE.log(), torch.tensor(LABELS)
    parts = _score(scores[:1], labels[:1], Recipe()) + _score(scores[1:], labels[1:], Recipe())
    assert torch.allclose(parts, _score(scores, labels, Recipe()))
    assert parts[[0, 2, 3]].tolist() == [4, 1, 3]
