"""The handwritten digits inside scikit-learn: 1,797 images of 8 × 8 pixels in 10 classes."""

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.data.sources.base import DataError, Images, Source, Split, count_held_out, hold_out
from bench.run.config import DataInfo

HOLD_OUT_EVERY = 5  # there are few, so twice the usual share


@lru_cache(maxsize=1)
def read() -> Images:
    """Return all 1,797 images, of 17 grey levels (UCI optical recognition of digits)."""
    # Read as a file of the package: importing scikit-learn costs every job a second.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("data: digits needs scikit-learn, which is not installed")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    grey = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)  # (N, 8, 8, 3)
    return Images(table[:, -1].astype(np.int64), lambda at: [pixels[i] for i in at])


class Digits(Source):
    """The one data set that comes with an installation."""

    kind = "digits"
    expected = "'digits'"
    names = ("digits",)

    def describe(self, given: str, path: Path) -> DataInfo | None:
        if given not in self.names:
            return None
        num_train, num_eval = count_held_out(read().labels, HOLD_OUT_EVERY)
        return DataInfo(
            name="digits",
            source="digits",
            kind=self.kind,
            num_train=num_train,
            num_eval=num_eval,
            num_classes=10,
            fingerprint="digits",
        )

    def open(self, info: DataInfo, split: Split) -> Images:
        return hold_out(read(), split, HOLD_OUT_EVERY)
