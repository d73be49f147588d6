"""Representations of images, computed once for all protocols; N images, D dimensions."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from filelock import FileLock

from bench.data import sources
from bench.data.sources.base import Split
from bench.protocols import base
from bench.run.config import DataInfo, Run
from results.ledger.files import write_bytes

MAX_STORED_BYTES = 2_000_000_000

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

log = logging.getLogger("scalestudy")


def load(
    run_dir: Path, run: Run, source: DataInfo, split: Split, chosen: Indices, image_size: int
) -> Floats:
    """Return the features (N, D) of the images at `chosen` (N,) of a split; compute what is new.

    They are stored in the run's `evals/features/`, a file a data set, split and image size, which
    the weights' size and date are compared with. More than 2 GB are not stored.
    """
    name = f"{source.name}-{source.fingerprint}-{split}-{image_size}.safetensors"
    path = run_dir / "evals" / "features" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    version = _version(run_dir)
    with FileLock(path.with_name(f".{path.stem}.lock")):
        index, stored = _read(path, version)
        new = np.setdiff1d(chosen, index)
        if len(new):
            network = base.load_network(run_dir, image_size)
            found = base.features(network, sources.load(source, split), new, image_size)
            index = np.concatenate([index, new])
            stored = np.concatenate([stored, found]) if len(stored) else found
            order = np.argsort(index)
            index, stored = index[order], stored[order]
            _write(path, version, index, stored)
    return stored[np.searchsorted(index, chosen)]


def _version(run_dir: Path) -> str:
    """Return what changes with the weights of a run; raise EvaluationError without weights."""
    weights = base.weights_of(run_dir)
    about = weights.stat()
    return f"{about.st_size}-{about.st_mtime_ns}"


def _read(path: Path, version: str) -> tuple[Indices, Floats]:
    """Return stored indices (N,) and features (N, D); empty ones where there are none to use."""
    try:
        with safetensors.safe_open(path, "np") as file:
            if (file.metadata() or {}).get("weights") == version:
                return file.get_tensor("index"), file.get_tensor("features")
    except FileNotFoundError:
        pass
    except (OSError, safetensors.SafetensorError) as error:
        log.warning("%s: not readable, features are computed again: %s", path, error)
    return np.empty(0, np.int64), np.empty((0, 0), np.float32)


def _write(path: Path, version: str, index: Indices, stored: Floats) -> None:
    if stored.nbytes > MAX_STORED_BYTES:
        log.warning("%s: %d bytes of features are not stored", path.name, stored.nbytes)
        return
    tensors = {"index": torch.from_numpy(index), "features": torch.from_numpy(stored)}
    write_bytes(path, safetensors.torch.save(tensors, metadata={"weights": version}))
