"""Rows of the verbs `models` and `cost`: plain arithmetic over configs, no torch."""

from collections.abc import Sequence
from typing import Any

import models
import models.cost.macs
from bench.run.errors import SettingError
from models.cost.macs import train_flops
from models.custom.config import entry_points

Row = dict[str, Any]

EXA = 1e18


def of_registry(names: Sequence[str]) -> list[Row]:
    """Print registered models (all without `names`) at their own image size, 1000 classes."""
    rows = []
    for name in names or models.names():
        config = models.config(name)
        row = _row(config, models.cost.macs.count(config))
        rows.append(row | {"published_names": list(config.published_names)})
    return rows if names else [*rows, *_entry_points()]


def _entry_points() -> list[Row]:
    """Return the networks of others by name: `cost` counts them, since that imports torch."""
    found = []
    for name in entry_points():
        config = models.config(name)
        row: Row = dict.fromkeys(_row(config, models.cost.macs.Cost(name)))
        row |= {"name": name, "label": config.label, "family": config.family}
        found.append(row | {"published_names": []})
    return found


def of_models(
    names: Sequence[str],
    image_size: int | None,
    num_classes: int,
    examples: int | None,
    epochs: float | None,
) -> list[Row]:
    """Models at an image size, with the exaFLOPs of a training of `epochs` over `examples` images.

    Raises SettingError where only one of the two is given.
    """
    if (examples is None) != (epochs is None):
        raise SettingError("--examples and --epochs: given one, expected both or none")
    if epochs is not None and not epochs > 0:
        raise SettingError(f"--epochs: given {epochs:g}, expected a positive number")
    size = {} if image_size is None else {"image_size": image_size}
    rows = []
    for name in names:
        config = models.config(name, **size)
        counted = models.cost.macs.count(config, num_classes=num_classes)
        row = _row(config, counted)
        if examples is not None and epochs is not None:
            row |= _training(counted, examples, epochs)
        rows.append(row)
    return rows


def _training(counted: models.cost.macs.Cost, examples: int, epochs: float) -> Row:
    valid = counted.forward_macs_valid
    try:
        seen = round(examples * epochs)
        return {
            "train_exaflops": train_flops(counted.forward_macs, seen) / EXA,
            "train_exaflops_valid": None if valid is None else train_flops(valid, seen) / EXA,
        }
    except OverflowError:
        expected = "expected numbers whose FLOPs are finite"
        given = f"--examples and --epochs: given {examples} and {epochs:g}"
        raise SettingError(f"{given}, {expected}") from None


def by_module(names: Sequence[str], image_size: int | None, num_classes: int) -> list[Row]:
    """Models module by module, as fvcore counts a real network; imports torch."""
    from bench import flops

    rows = []
    for name in names:
        counted = flops.count(name, image_size, num_classes=num_classes)
        rows += [
            {
                "name": name,
                "module": module.name or "(all)",
                "params": module.params,
                "forward_macs_per_image": module.forward_macs,
                "norm_operations_per_image": module.norm_operations,
            }
            for module in counted.by_module
        ]
    return rows


def _row(config: models.Config, counted: models.cost.macs.Cost) -> Row:
    return {
        "name": config.name,
        "label": config.label,
        "family": config.family,
        "image_size": config.image_size,
        "params": counted.params,
        "forward_macs_per_image": counted.forward_macs,
        "forward_macs_valid_per_image": counted.forward_macs_valid,
        "norm_operations_per_image": counted.norm_operations,
        "forward_flops_per_image": 2 * counted.forward_macs,
    }
