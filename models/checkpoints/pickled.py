"""Weights written by `torch.save`: tensors are read, nothing else is unpickled."""

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.arrays import Arrays
from models.configs import CheckpointError

# Where training code keeps the weights beside other things, in the order of preference.
PLACES = ("model", "state_dict", "model_state_dict", "network", "model_ema", "ema", "teacher")

log = logging.getLogger("scalestudy")


def read(path: Path, max_bytes: int) -> Arrays:
    """Return the arrays of a file of `torch.save`; raise CheckpointError if it holds more.

    What is not a tensor, a number or a container of them is refused, since unpickling it would run
    the code of whoever wrote the file.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise CheckpointError(f"holds {size} bytes; expected at most {max_bytes}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("WeightsUnpickler error: ")[-1].splitlines()[0]
        raise CheckpointError(
            f"holds more than tensors, which is not unpickled ({reason}); save its state dict alone"
        ) from None
    except (RuntimeError, EOFError, KeyError, AssertionError) as error:
        raise CheckpointError(f"cannot be read as a file of torch.save: {error}") from error
    tensors = _tensors(path, content)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}

    def array(name: str) -> torch.Tensor:
        if not tensors[name].is_floating_point():
            raise CheckpointError(
                f"{name}: expected floating-point numbers, got {tensors[name].dtype}"
            )
        return tensors[name].float()

    return Arrays(shapes, {}, array)


def _tensors(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """Return the state dict: the content itself, or what stands under a known key of it."""
    found = _only_tensors(content)
    if found:
        return found
    keys = list(content) if isinstance(content, Mapping) else []
    places = [key for key in PLACES if key in keys and _only_tensors(content[key])]
    if not places:
        expected = f"expected tensors by name, or below one of {', '.join(PLACES)}"
        raise CheckpointError(f"holds {', '.join(map(str, keys[:8])) or 'no names'}; {expected}")
    first, *others = places
    beside = f", not {', '.join(others)}" if others else ""
    log.warning("%s: the weights below %r are read%s", path, first, beside)
    return _only_tensors(content[first])


def _only_tensors(content: Any) -> dict[str, torch.Tensor]:
    """Return a mapping of names to tensors as a dict; {} if it is anything else."""
    if not isinstance(content, Mapping) or not content:
        return {}
    is_state = all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items())
    return dict(content) if is_state else {}
