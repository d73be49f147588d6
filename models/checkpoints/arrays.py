"""Arrays of a weights file, and the prefixes that wrappers put before their names."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from models.configs import CheckpointError

# Of DistributedDataParallel, torch.compile, Lightning, and detection and self-supervised code.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.", "timm_model.")

log = logging.getLogger("scalestudy")


@dataclass(frozen=True)
class Arrays:
    """Contents of a checkpoint file: shapes by name, metadata, and a reader of single arrays."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]
    read: Callable[[str], Tensor]


def unwrapped(path: Path, arrays: Arrays) -> Arrays:
    """Return the arrays without the prefixes that all names but those of a head have."""
    prefix = ""
    names = list(arrays.shapes)
    while found := _prefix([name.removeprefix(prefix) for name in names]):
        prefix += found
    if not prefix:
        return arrays
    plain = {name.removeprefix(prefix): name for name in names}
    if len(plain) < len(names):
        raise CheckpointError(f"two arrays have one name without the prefix {prefix!r}")
    log.warning("%s: names are read without their prefix %r", path, prefix)
    shapes = {short: arrays.shapes[name] for short, name in plain.items()}
    return replace(arrays, shapes=shapes, read=lambda name: arrays.read(plain[name]))


def _prefix(names: list[str]) -> str:
    body = [name for name in names if not name.startswith("head.")]
    return next((p for p in PREFIXES if body and all(n.startswith(p) for n in body)), "")
