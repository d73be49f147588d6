"""Published checkpoints to our networks, and back; every array is used exactly once.

N tokens, D width, H W rows and columns of the grid.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import IO

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from models.bit.network import BiT
from models.checkpoints.files import Arrays, open_arrays
from models.checkpoints.infer import (
    ImageSize,
    Inferred,
    describe,
    described,
    infer,
)
from models.checkpoints.layouts import (
    PUBLISHED_BIT,
    PUBLISHED_VIT,
    Layout,
    Rule,
    rules,
)
from models.configs import CheckpointError, Config, ModelsError, ViTConfig, check_classes
from models.vit.network import ViT

MAX_LISTED = 30  # names of one kind in an error
# What an .npz says neither in words nor by its shapes: the published code's own values.
UNSAID = (
    "gelu",
    "norm_eps",
    "position_embedding",
    "group_norm_groups",
    "group_norm_eps",
    "weight_eps",
    "weight_eps_form",
)


def resize_positions(grid: Tensor, height: int, width: int) -> Tensor:
    """Position embeddings (H, W, D) of another grid, (height, width, D).

    Linear with the corners kept in place, as the published code does with scipy's zoom of order
    1 (vit_jax/checkpoint.py); torch's default and timm's put them elsewhere.
    """
    channels_first = grid.permute(2, 0, 1)[None]
    resized = F.interpolate(channels_first, (height, width), mode="bilinear", align_corners=True)
    return resized[0].permute(1, 2, 0)


def _resize(state: dict[str, Tensor], old: ViTConfig, new: ViTConfig) -> None:
    """Fit every position embedding of the state to another image size."""
    before, after = old.grid, new.grid
    if before == after:
        return
    if old.position_embedding == "relative":
        raise CheckpointError(
            f"relative positions of {old.image_size} pixels cannot be resized to {new.image_size}"
        )
    if old.position_embedding == "1d":
        tokens = state["position_embedding.tokens"]
        extra = old.num_tokens - before.area
        grid = tokens[extra:].unflatten(0, (before.rows, before.columns))  # type: ignore[no-untyped-call]
        grid = resize_positions(grid, after.rows, after.columns)
        state["position_embedding.tokens"] = torch.cat([tokens[:extra], grid.flatten(0, 1)])
    if old.position_embedding == "2d":
        for axis, length in (("rows", after.rows), ("columns", after.columns)):
            name = f"position_embedding.{axis}"
            state[name] = resize_positions(state[name][:, None], length, 1)[:, 0]


def _meta_state(config: Config, num_classes: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        return models.assemble(config, num_classes=num_classes).state_dict()


def _part(rule: Rule, parameter: Tensor) -> Tensor:
    return parameter if rule.third is None else parameter.chunk(3)[rule.third]


def _rules(inferred: Inferred, state: dict[str, Tensor]) -> list[Rule]:
    if inferred.layout.naming == "ours":
        return [Rule(name, name) for name in state]
    found = rules(inferred.config, inferred.layout)
    if inferred.num_classes is None:
        found = [rule for rule in found if not rule.ours.startswith("head.")]
    return found


def _listed(title: str, items: list[str]) -> str:
    more = f" and {len(items) - MAX_LISTED} more" if len(items) > MAX_LISTED else ""
    return f"{title}: {', '.join(items[:MAX_LISTED])}{more}" if items else ""


def _check(arrays: Arrays, expected: dict[str, tuple[int, ...]]) -> None:
    """Refuse a file whose arrays are not exactly those expected, and say all that is wrong."""
    missing = [name for name in expected if name not in arrays.shapes]
    unexpected = [name for name in arrays.shapes if name not in expected]
    misshaped = [
        f"{name} {arrays.shapes[name]} instead of {shape}"
        for name, shape in expected.items()
        if arrays.shapes.get(name, shape) != shape
    ]
    problems = [
        _listed("missing", missing),
        _listed("unexpected", unexpected),
        _listed("of another shape", misshaped),
    ]
    if any(problems):
        raise CheckpointError("; ".join(filter(None, problems)))


def _read(arrays: Arrays, image_size: ImageSize) -> tuple[Inferred, dict[str, Tensor]]:
    """Return the network of a file and the values of its parameters, by our names."""
    has_words = {"model", "config"} & arrays.metadata.keys()
    inferred = described(arrays.metadata) if has_words else infer(arrays.shapes, image_size)
    parameters = _meta_state(inferred.config, inferred.num_classes or 1)
    found = _rules(inferred, parameters)
    expected = {
        rule.theirs: tuple(rule.to_theirs(_part(rule, parameters[rule.ours])).shape)
        for rule in found
    }
    _check(arrays, expected)
    parts: dict[str, list[Tensor]] = {}
    for rule in found:  # the thirds of a parameter come in their order
        parts.setdefault(rule.ours, []).append(rule.to_ours(arrays.read(rule.theirs)))
    return inferred, {name: torch.cat(list_) for name, list_ in parts.items()}


def _replace_head(state: dict[str, Tensor], config: Config, num_classes: int) -> Config:
    """Drop the whole pre-training head, both its layers, for one of zeros (section 3.2)."""
    for name in [name for name in state if name.startswith(("head.", "representation."))]:
        del state[name]
    state["head.weight"] = torch.zeros(num_classes, len(state["norm.weight"]))
    state["head.bias"] = torch.full((num_classes,), config.head_bias_init)
    return replace(config, representation_size=None) if isinstance(config, ViTConfig) else config


def load_checkpoint(
    path: str | Path,
    *,
    image_size: ImageSize = None,
    num_classes: int | None = None,
) -> nn.Module:
    """Return the network in a file, in float32; see `models.load_checkpoint`."""
    path = Path(path)
    try:
        with open_arrays(path) as arrays:
            inferred, state = _read(arrays, image_size)
        config = inferred.config
        if num_classes is not None:
            check_classes(config.name, num_classes)
        if image_size is not None:
            config = replace(config, image_size=image_size)
        if isinstance(config, ViTConfig) and isinstance(inferred.config, ViTConfig):
            _resize(state, inferred.config, config)
    except ModelsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if num_classes is None:
        num_classes = inferred.num_classes
    if num_classes is None:
        raise CheckpointError(f"{path}: holds no head, so num_classes must be given")
    if num_classes != inferred.num_classes:
        config = _replace_head(state, config, num_classes)
    with torch.device("meta"):
        network = models.assemble(config, num_classes=num_classes)
    network.load_state_dict(state, assign=True)
    return network


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically: a temporary file beside it, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _ours(network: nn.Module) -> ViT | BiT:
    if not isinstance(network, ViT | BiT):
        kind = type(network).__name__
        raise CheckpointError(f"expected a network as models.build makes it, got {kind}")
    return network


def to_npz(network: nn.Module, *, layout: Layout | None = None) -> dict[str, np.ndarray]:
    """Return the network's arrays as the published files name and shape them.

    Reading them back gives the same network to the last bit. Raises CheckpointError for one that
    such a file cannot express, such as one with the erf GELU of timm.
    """
    network = _ours(network)
    config = network.config
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in UNSAID and value != field.default:
            implied = f"an .npz implies {field.name} = {field.default!r}"
            raise CheckpointError(f"model {config.name}: {implied}, not {value!r}")
    if isinstance(config, ViTConfig) and config.grid.rows != config.grid.columns:
        implied = "an .npz implies a square image"
        raise CheckpointError(f"model {config.name}: {implied}, not {config.image_size}")
    if layout is None:
        layout = PUBLISHED_BIT if isinstance(network, BiT) else PUBLISHED_VIT
    state = network.state_dict()
    arrays = {}
    for rule in rules(config, layout):
        value = rule.to_theirs(_part(rule, state[rule.ours].detach().cpu()))
        arrays[rule.theirs] = np.ascontiguousarray(value.numpy())
    return arrays


def save_checkpoint(network: nn.Module, path: str | Path) -> None:
    """Write a network of ours; see `models.save_checkpoint`."""
    path, network = Path(path), _ours(network)
    if path.suffix == ".npz":
        arrays = to_npz(network)
        _write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    elif path.suffix == ".safetensors":
        metadata = describe(network.config, network.head.out_features)
        content = safetensors.torch.save(network.state_dict(), metadata=metadata)
        _write_whole(path, lambda file: file.write(content))
    else:
        raise CheckpointError(f"{path}: expected a name that ends in .npz or .safetensors")
