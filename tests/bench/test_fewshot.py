"""Ridge regression on few images: the reference's accuracies, and cases worked out another way."""

from typing import Any

import numpy as np
import pytest
import torch

from bench import fewshot
from bench.fewshot import FewShotError, ridge_accuracy
from tests.helpers.paths import DATA

FIXTURE = DATA / "fewshot_a.npz"


def data(num_train: int, dim: int, num_classes: int = 3) -> dict[str, Any]:
    """Classes around random centres, hard enough that not all are right."""
    generator = np.random.default_rng(num_train * dim)
    centres = generator.normal(size=(num_classes, dim))

    def draw(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % num_classes
        noise = generator.normal(size=(count, dim)) * np.sqrt(dim) / 2
        return (3 + centres[labels] + noise).astype(np.float32), labels

    train, test = draw(num_train), draw(300)
    names = ("features_train", "labels_train", "features_test", "labels_test")
    return dict(zip(names, (*train, *test), strict=True)) | {"num_classes": num_classes}


def test_the_reference_is_met() -> None:
    with np.load(FIXTURE, allow_pickle=False) as given:
        arrays = {name: given[name] for name in given.files}
    names = ("features_train", "labels_train", "features_test", "labels_test")
    for l2_reg, expected in zip(arrays["l2_regs"], arrays["accuracies"], strict=True):
        found = ridge_accuracy(
            *(arrays[name] for name in names),
            num_classes=int(arrays["num_classes"]),
            l2_reg=float(l2_reg),
        )
        assert found == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("num_train", [9, 40])  # fewer and more images than the 12 dimensions
@pytest.mark.parametrize("l2_reg", [10.0, 1024.0])
def test_it_solves_the_normal_equations(num_train: int, l2_reg: float) -> None:
    given = data(num_train, 12)
    x, test = (given[name].astype(float) for name in ("features_train", "features_test"))
    mean, deviation = x.mean(0), np.sqrt(((x - x.mean(0)) ** 2).mean(0)) + 1e-5
    x, test = ((part - mean) / deviation for part in (x, test))
    x, test = (np.hstack([part, 100 * np.ones((len(part), 1))]) for part in (x, test))
    # Ridge is least squares with sqrt(l2) times the identity below the data, and zeros to meet.
    padded = np.vstack([x, np.sqrt(l2_reg) * np.eye(13)])
    targets = 2.0 * np.eye(3)[given["labels_train"]] - 1
    weights = np.linalg.lstsq(padded, np.vstack([targets, np.zeros((13, 3))]), rcond=None)[0]
    expected = np.mean((test @ weights).argmax(1) == given["labels_test"])
    assert 0.4 < expected < 1
    assert ridge_accuracy(**given, l2_reg=l2_reg) == pytest.approx(expected, abs=1 / 300)


def test_tensors_and_half_precision_are_taken() -> None:
    given = data(40, 12)
    expected = ridge_accuracy(**given)
    as_tensors: dict[str, Any] = {
        k: torch.from_numpy(v) if k != "num_classes" else v for k, v in given.items()
    }
    assert ridge_accuracy(**as_tensors) == expected
    for name in ("features_train", "features_test"):
        given[name] = given[name].astype(np.float16)
    assert ridge_accuracy(**given) == pytest.approx(expected, abs=0.01)


def test_a_constant_dimension_does_no_harm() -> None:
    given = data(40, 12)
    given["features_train"][:, 3] = given["features_test"][:, 3] = 5.0
    assert ridge_accuracy(**given) > 0.4


def test_shapes_that_do_not_fit_are_refused() -> None:
    given = data(40, 12) | {"labels_train": np.zeros(39, int)}
    with pytest.raises(FewShotError, match="39 labels"):
        ridge_accuracy(**given)


def test_shots_are_nested_balanced_and_differ_by_seed() -> None:
    labels = np.repeat(np.arange(4), 30)
    five, ten = (fewshot.choose(labels, shots, 0, 4) for shots in (5, 10))
    assert np.bincount(labels[ten]).tolist() == [10] * 4
    assert set(five) <= set(ten) and len(set(ten)) == 40
    assert set(five) != set(fewshot.choose(labels, 5, 1, 4))
    assert set(five[:5]) != set(five[5:10] - 30)  # the classes of 30 images are drawn apart
    with pytest.raises(FewShotError, match="class 0 has 30 training images, expected at least 31"):
        fewshot.choose(labels, 31, 0, 4)


@pytest.mark.parametrize("num_train", [170, 17])
def test_a_dimension_that_never_varied_in_training_has_no_weight(num_train: int) -> None:
    """Standardized it is 0 for all of training, so that the exact solution gives it none."""
    generator = np.random.default_rng(0)
    centers = 3 * generator.normal(size=(17, 64))
    labels = np.arange(170) % 17
    features = centers[labels] + generator.normal(size=(170, 64))
    features[:, :4] = 0.7
    test = features.copy()
    test[:, :4] = generator.normal(size=(170, 4))
    given = (features[:num_train], labels[:num_train])
    found = ridge_accuracy(*given, test, labels, num_classes=17)
    without = (given[0][:, 4:], given[1], test[:, 4:], labels)
    assert found == ridge_accuracy(*without, num_classes=17) > 0.9


def test_non_finite_features_are_refused() -> None:
    with pytest.raises(FewShotError, match="non-finite"):
        ridge_accuracy([[np.nan]], [0], [[1.0]], [0], num_classes=1)
