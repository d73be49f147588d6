"""Few-shot linear evaluation: ridge regression in closed form on a network's representations.

The protocol of arXiv:2010.11929, section 4.1, in the form of big_vision's
`evaluators/fewshot_lsr.py` (arXiv:2205.01580). N training and M test images, D dimensions.
"""

import numpy as np
import numpy.typing as npt
import torch

from bench.run import seeds
from bench.run.errors import BenchError

_BIAS = 100.0
_STD_EPS = 1e-5


class FewShotError(BenchError):
    """Features, labels or numbers of shots do not fit each other."""


def ridge_accuracy(
    features_train: npt.ArrayLike,
    labels_train: npt.ArrayLike,
    features_test: npt.ArrayLike,
    labels_test: npt.ArrayLike,
    *,
    num_classes: int,
    l2_reg: float = 1024.0,
) -> float:
    """Fit a linear map to (N, D) and return its top-1 accuracy on (M, D), a fraction.

    Features are standardized with the mean and the biased standard deviation (+ 1e-5) of the
    training features. A constant of 100 is appended as bias and regularized like the rest. Targets
    are -1 and +1. Raises FewShotError where shapes do not fit.
    """
    x, test = _matrix(features_train), _matrix(features_test)
    labels, expected = np.asarray(labels_train).ravel(), np.asarray(labels_test).ravel()
    if x.shape[1] != test.shape[1] or len(x) != len(labels) or len(test) != len(expected):
        raise FewShotError(
            f"given features {x.shape} with {len(labels)} labels to train on and {test.shape} "
            f"with {len(expected)} to test on, expected (N, D) with N and (M, D) with M"
        )
    # A constant feature gets no weight; rounding would give it one that 1 / 1e-5 makes large.
    varies = np.ptp(x, axis=0) > 0
    x, test = x[:, varies], test[:, varies]
    mean, std = x.mean(0), x.std(0) + _STD_EPS
    x, test = _with_bias((x - mean) / std), _with_bias((test - mean) / std)
    targets = np.where(labels[:, None] == np.arange(num_classes), 1.0, -1.0)  # (N, num_classes)
    weights = _solve(x, targets, l2_reg)  # (D + 1, num_classes)
    return float(np.mean((test @ weights).argmax(1) == expected))


def choose(
    labels: npt.NDArray[np.int64], shots: int, seed: int, num_classes: int
) -> npt.NDArray[np.int64]:
    """Return the indices of `shots` images of each class, nested over shots of the same seed.

    Raises FewShotError where a class has fewer images.
    """
    chosen = []
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        if len(members) < shots:
            raise FewShotError(
                f"class {label} has {len(members)} training images, expected at least {shots} shots"
            )
        chosen.append(members[seeds.permutation(len(members), seed, "fewshot", label)[:shots]])
    return np.concatenate(chosen)


def _matrix(features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2 or not len(found):
        raise FewShotError(f"given features of shape {found.shape}, expected (N, D) with N > 0")
    if not np.isfinite(found).all():
        raise FewShotError("given non-finite features, expected finite numbers")
    return found


def _with_bias(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([x, np.full(len(x), _BIAS)])


def _solve(
    x: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], l2_reg: float
) -> npt.NDArray[np.float64]:
    """Return (X'X + l2 I)^-1 X'Y, through the smaller of X'X and XX'."""
    if len(x) >= x.shape[1]:
        values, vectors = _eigen(x.T @ x)
        return vectors @ ((vectors.T @ (x.T @ targets)) / (values + l2_reg)[:, None])
    values, vectors = _eigen(x @ x.T)
    return x.T @ (vectors @ ((vectors.T @ targets) / (values + l2_reg)[:, None]))


def _eigen(
    gram: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return eigenvalues and eigenvectors in fp32 by divide and conquer, as the original does.

    The bias makes one eigenvalue 1e4 N, and rounding it moves the smallest ones by about 0.1. That
    is negligible at the protocol's `l2_reg` of 1024, but changes accuracies below 1.
    """
    values, vectors = torch.linalg.eigh(torch.from_numpy(gram).float())
    return values.double().numpy(), vectors.double().numpy()
