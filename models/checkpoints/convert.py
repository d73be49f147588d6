"""Convert published checkpoints to our networks and back, using every array exactly once.

N tokens, D width, H W rows and columns of the grid.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from models.checkpoints.arrays import Arrays
from models.checkpoints.files import open_arrays
from models.checkpoints.infer import describe, described, infer, registered
from models.configs import CheckpointError, Config, Grid, ModelsError, check_classes
from models.families import assemble, family_of
from models.layouts.rules import Layout, Rule
from models.layouts.shapes import ImageSize, Inferred

log = logging.getLogger("scalestudy")

MAX_LISTED = 30  # names of one kind in an error
# Values that an .npz does not record and that its shapes do not imply: the published code's.
UNSAID = (
    "gelu",
    "norm_eps",
    "position_embedding",
    "group_norm_groups",
    "group_norm_eps",
    "weight_eps",
    "weight_eps_form",
)


def _meta_state(config: Config, num_classes: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        return assemble(config, num_classes=num_classes).state_dict()


def _rules_of(config: Config, layout: Layout | None) -> list[Rule]:
    """Return the rules of a layout, by default the one in which `.npz` files are published."""
    files = family_of(config).published_files()
    if files is None:
        raise CheckpointError(f"family {config.family} has no published files to read or write")
    return files.rules(config, files.npz if layout is None else layout)


def _part(rule: Rule, parameter: Tensor) -> Tensor:
    return parameter if rule.third is None else parameter.chunk(3)[rule.third]


def _rules(inferred: Inferred, state: dict[str, Tensor]) -> list[Rule]:
    if inferred.layout.naming == "ours":
        return [Rule(name, name) for name in state]
    found = _rules_of(inferred.config, inferred.layout)
    if inferred.num_classes is None:
        found = [rule for rule in found if not rule.ours.startswith("head.")]
    return found


def _listed(title: str, items: list[str]) -> str:
    more = f" and {len(items) - MAX_LISTED} more" if len(items) > MAX_LISTED else ""
    return f"{title}: {', '.join(items[:MAX_LISTED])}{more}" if items else ""


def _check(arrays: Arrays, expected: dict[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError listing every missing, unexpected or misshaped array."""
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


def expected_shapes(inferred: Inferred) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of all arrays in a file of this network and layout."""
    parameters = _meta_state(inferred.config, inferred.num_classes or 1)
    return {
        rule.theirs: tuple(rule.to_theirs(_part(rule, parameters[rule.ours])).shape)
        for rule in _rules(inferred, parameters)
    }


def _inferred(arrays: Arrays, image_size: ImageSize) -> Inferred:
    """Return the network that a file's metadata describes, else that of its names and shapes."""
    if "num_classes" not in arrays.metadata or not {"model", "config"} & arrays.metadata.keys():
        return infer(arrays.shapes, image_size)
    try:
        return described(arrays.metadata)
    except CheckpointError as error:
        try:
            return infer(arrays.shapes, image_size)  # the keys may be there by chance
        except CheckpointError:
            raise error from None


def _completed(inferred: Inferred, given: dict[str, Any]) -> Inferred:
    """Return the network with what the user says of it; raise CheckpointError for a mere guess."""
    config = inferred.config
    names = {field.name for field in fields(config)}
    foreign = [key for key in given if key not in names]
    if foreign:
        raise CheckpointError(f"{foreign[0]}: a network of family {config.family} has none")
    if given.get("pooling", pooling := getattr(config, "pooling", None)) != pooling:
        has = "a" if pooling == "token" else "no"
        raise CheckpointError(
            f"pooling: given {given['pooling']!r}, but the file has {has} class token: {pooling!r}"
        )
    if inferred.layout.naming != "timm":
        for key, value in given.items():
            if getattr(config, key) != value:
                raise CheckpointError(
                    f"{key}: given {value!r}, but the file says {getattr(config, key)!r}"
                )
    for key, why in inferred.unsaid.items():
        if key not in given:
            raise CheckpointError(
                f"{key} is not in the arrays ({why}): give {key}, or --{key.replace('_', '-')}"
            )
    if not given:
        return inferred
    return replace(inferred, config=registered(replace(config, **given)))


def _read(
    path: Path, arrays: Arrays, image_size: ImageSize, given: dict[str, Any]
) -> tuple[Inferred, dict[str, Tensor]]:
    """Return the config of a file's network and its state dict, under our names."""
    inferred = _inferred(arrays, image_size)
    found = _rules(inferred, _meta_state(inferred.config, inferred.num_classes or 1))
    _check(arrays, expected_shapes(inferred))
    assumed = [text for text in inferred.assumed if not given]
    inferred = _completed(inferred, given)
    if assumed:
        log.warning("%s: assumed, as the arrays do not say it: %s", path, ", ".join(assumed))
    parts: dict[str, list[Tensor]] = {}
    for rule in found:  # the thirds of a parameter come in their order
        array = arrays.read(rule.theirs)
        if not array.isfinite().all():
            raise CheckpointError(f"{rule.theirs} holds a value that is not finite")
        parts.setdefault(rule.ours, []).append(rule.to_ours(array))
    return inferred, {name: torch.cat(list_) for name, list_ in parts.items()}


def _replace_head(state: dict[str, Tensor], config: Config, num_classes: int) -> Config:
    """Replace the pre-training head, both layers, by one initialized to zero (section 3.2)."""
    config = family_of(config).without_representation(config)
    expected = _meta_state(config, num_classes)
    for name in [name for name in state if name not in expected]:
        del state[name]
    state["head.weight"] = torch.zeros(expected["head.weight"].shape)
    state["head.bias"] = torch.full(expected["head.bias"].shape, config.head_bias_init)
    return config


def load_checkpoint(
    path: str | Path,
    *,
    image_size: ImageSize = None,
    num_classes: int | None = None,
    new_head: bool = False,
    **given: Any,
) -> nn.Module:
    """Load a network in float32; see `models.load_checkpoint`."""
    path = Path(path)
    given = {key: value for key, value in given.items() if value is not None}
    try:
        with open_arrays(path) as arrays:
            inferred, state = _read(path, arrays, image_size, given)
        config = inferred.config
        if num_classes is not None:
            check_classes(config.name, num_classes)
        if image_size is not None:
            config = replace(config, image_size=image_size)
        family_of(config).resize(state, inferred.config, config)
    except ModelsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if num_classes is None:
        num_classes = inferred.num_classes
    if num_classes is None:
        raise CheckpointError(f"{path}: holds no head, so num_classes must be given")
    if new_head or num_classes != inferred.num_classes:
        config = _replace_head(state, config, num_classes)
    with torch.device("meta"):
        network = assemble(config, num_classes=num_classes)
    network.load_state_dict(state, assign=True)
    return network


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
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


def config_of(network: nn.Module) -> Config:
    """Return the config of a network of ours; raise CheckpointError for any other."""
    config = getattr(network, "config", None)
    if not isinstance(config, Config):
        kind = type(network).__name__
        raise CheckpointError(f"expected a network as models.build makes it, got {kind}")
    return config


def _check_implied(config: Config) -> None:
    """Raise CheckpointError if an `.npz` cannot represent the config."""
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in UNSAID and value != field.default:
            implied = f"an .npz implies {field.name} = {field.default!r}"
            raise CheckpointError(f"model {config.name}: {implied}, not {value!r}")
    grid: Grid | None = getattr(config, "grid", None)
    if grid is not None and grid.rows != grid.columns:
        implied = "an .npz implies a square image"
        raise CheckpointError(f"model {config.name}: {implied}, not {config.image_size}")


def to_layout(network: nn.Module, layout: Layout | None) -> dict[str, Tensor]:
    """Return the network's arrays as a layout (None: that of `.npz` files) names and shapes them.

    What the names and shapes do not say is not checked.
    """
    state = network.state_dict()
    return {
        rule.theirs: rule.to_theirs(_part(rule, state[rule.ours].detach().cpu()))
        for rule in _rules_of(config_of(network), layout)
    }


def to_npz(network: nn.Module, *, layout: Layout | None = None) -> dict[str, np.ndarray]:
    """Return the network's arrays under the names and in the shapes of published files.

    Reading them back restores the network bit for bit. Raises CheckpointError for a network that
    such a file cannot represent, such as one with timm's erf GELU.
    """
    _check_implied(config_of(network))
    arrays = to_layout(network, layout).items()
    return {name: np.ascontiguousarray(value.numpy()) for name, value in arrays}


def save_checkpoint(network: nn.Module, path: str | Path) -> None:
    """Save a network; see `models.save_checkpoint`."""
    path, config = Path(path), config_of(network)
    if path.suffix == ".npz":
        arrays = to_npz(network)
        write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    elif path.suffix == ".safetensors":
        metadata = describe(config, len(network.state_dict()["head.bias"]))
        content = safetensors.torch.save(network.state_dict(), metadata=metadata)
        write_whole(path, lambda file: file.write(content))
    else:
        raise CheckpointError(f"{path}: expected a name that ends in .npz or .safetensors")
