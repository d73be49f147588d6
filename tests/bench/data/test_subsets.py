"""Subsets of a training set: nested, with the class shares of the whole, and written down."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.data import subsets
from bench.run.config import DataInfo
from bench.run.errors import SettingError

DATA = DataInfo(
    name="cats",
    source="/data/cats",
    kind="folder",
    num_train=4,
    num_eval=2,
    num_classes=2,
    fingerprint="f00d",
)


@pytest.fixture
def labels() -> subsets.Indices:
    """Ten classes of 10 to 100 images, in no order."""
    by_class = np.repeat(np.arange(10), np.arange(10, 110, 10))
    return np.random.default_rng(0).permutation(by_class)


def test_a_larger_subset_holds_every_smaller_one(labels: subsets.Indices) -> None:
    before: set[int] = set()
    for size in range(len(labels) + 1):
        chosen = subsets.subset(labels, size, seed=0)
        assert len(chosen) == size and np.all(np.diff(chosen) > 0)
        assert before <= set(chosen.tolist())
        before = set(chosen.tolist())
    assert before == set(range(len(labels)))


@pytest.mark.parametrize("seed", range(5))
def test_every_prefix_has_one_share_of_each_class_up_to_one_image(
    labels: subsets.Indices, seed: int
) -> None:
    sizes = np.bincount(labels)
    shown = np.eye(10, dtype=int)[labels[subsets.order(labels, seed)]]  # (N, 10)
    counts = shown.cumsum(0)
    # There is a share t with n·t - 1 <= count <= n·t + 1 for each class of n images.
    lowest = ((counts - 1) / sizes).max(1)
    highest = ((counts + 1) / sizes).min(1)
    assert np.all(lowest <= highest)


def test_equal_classes_are_equally_filled() -> None:
    labels = np.tile(np.arange(10), 100)
    for size in range(0, 1001, 10):
        counts = np.bincount(labels[subsets.subset(labels, size, seed=1)], minlength=10)
        assert np.abs(counts - size / 10).max() <= 1


def test_another_seed_is_another_subset(labels: subsets.Indices) -> None:
    first, again, other = (subsets.subset(labels, 100, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_class_is_shuffled_by_itself() -> None:
    labels = np.repeat([0, 1], 50)
    order = subsets.order(labels, 0)
    assert (order[order < 50]).tolist() != (order[order >= 50] - 50).tolist()


def test_a_class_keeps_its_order_when_another_is_added(labels: subsets.Indices) -> None:
    more = np.concatenate([labels, np.full(30, 10)])
    order, wider = subsets.order(labels, 0), subsets.order(more, 0)
    assert np.array_equal(order, wider[wider < len(labels)])


def test_more_images_than_there_are_is_refused(labels: subsets.Indices) -> None:
    with pytest.raises(SettingError, match="train_examples: given 551, expected at most 550"):
        subsets.subset(labels, 551, seed=0)


def test_one_image_in_ten_of_each_class_is_held_out(labels: subsets.Indices) -> None:
    mask = subsets.held_out(labels, 10)
    assert np.bincount(labels[mask]).tolist() == list(range(1, 11))


def test_a_class_too_small_to_spare_one_stays_whole() -> None:
    assert subsets.held_out(np.zeros(4, np.int64), 5).tolist() == [False] * 4
    assert subsets.held_out(np.zeros(5, np.int64), 5).tolist() == [False] * 4 + [True]


def test_a_manifest_holds_the_indices(tmp_path: Path) -> None:
    chosen = np.array([0, 2, 3])
    manifest = subsets.write_manifest(tmp_path, DATA, chosen, seed=7)
    (path,) = tmp_path.iterdir()
    assert path.name == f"cats-n3-{manifest}.json"
    assert json.loads(path.read_text()) == {
        "manifest": manifest,
        "dataset": "cats",
        "fingerprint": "f00d",
        "split": "train",
        "subset_seed": 7,
        "num_examples": 3,
        "indices": [0, 2, 3],
    }


def test_a_manifest_is_named_by_its_data_and_indices(tmp_path: Path) -> None:
    chosen = np.array([0, 2, 3])
    first = subsets.write_manifest(tmp_path, DATA, chosen, seed=7)
    moved = DATA.model_copy(update={"source": "/elsewhere"})
    assert subsets.write_manifest(tmp_path, moved, chosen.astype(np.int32), seed=7) == first
    assert len(list(tmp_path.iterdir())) == 1
    changed = DATA.model_copy(update={"fingerprint": "beef"})
    others = [
        subsets.write_manifest(tmp_path, DATA, np.array([0, 1, 3]), seed=7),
        subsets.write_manifest(tmp_path, DATA, np.array([0, 2]), seed=7),
        subsets.write_manifest(tmp_path, changed, chosen, seed=7),
    ]
    assert len({first, *others}) == 4


def test_images_of_a_class_are_drawn_at_random() -> None:
    labels = np.zeros(1000, np.int64)
    first, other = (set(subsets.subset(labels, 100, seed).tolist()) for seed in (0, 1))
    # 100 of 1,000 drawn twice share 10 by chance, with a standard deviation of 2.8.
    assert 0 < len(first & other) < 25
    assert 0 < len(first & set(range(100))) < 25
