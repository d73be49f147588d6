"""Nested stratified subsets of a training set, and the manifest that records one."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.run import seeds
from bench.run.config import DataInfo
from bench.run.errors import SettingError
from results.ledger.files import write_json

Indices = npt.NDArray[np.int64]


def order(labels: Indices, seed: int) -> Indices:
    """Return all indices in an order whose every prefix is a stratified subset.

    Each class is shuffled, and image k of a class with n images is placed at (k + u) / n with u
    uniform in [0, 1). Prefixes are nested by construction, and have the class shares of the whole,
    up to one image.
    """
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank = seeds.permutation(len(members), seed, "subset", int(label))
        place[members] = rank / len(members)
        place[members] += seeds.uniforms(seed, members, 1)[:, 0] / len(members)
    return np.argsort(place, kind="stable")


def subset(labels: Indices, num_examples: int, seed: int) -> Indices:
    """Return the first `num_examples` indices of `order`, sorted.

    Raises SettingError if the training set is smaller.
    """
    if num_examples > len(labels):
        raise SettingError(
            f"train_examples: given {num_examples}, expected at most {len(labels)}, "
            "the size of the training set"
        )
    return np.sort(order(labels, seed)[:num_examples])


def held_out(labels: Indices, every: int) -> npt.NDArray[np.bool_]:
    """Return a mask of one image in `every` of each class, the held-out evaluation split."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.equal(rank % every, every - 1)


def write_manifest(folder: Path, data: DataInfo, indices: Indices, seed: int) -> str:
    """Write the list of training images of `data`, whole; returns the manifest's id.

    The id is 12 hex digits of a hash over the source and the indices, and is part of the name of
    the file in `folder`. Writers of the same manifest write the same bytes.
    """
    digest = hashlib.sha256(f"{data.name} {data.fingerprint} ".encode())
    digest.update(indices.astype("<i8").tobytes())
    manifest_id = digest.hexdigest()[:12]
    path = folder / f"{data.name}-n{len(indices)}-{manifest_id}.json"
    if path.exists():
        return manifest_id
    content = {
        "manifest": manifest_id,
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "split": "train",
        "subset_seed": seed,
        "num_examples": len(indices),
        "indices": indices.tolist(),
    }
    write_json(path, content)
    return manifest_id
