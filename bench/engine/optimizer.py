"""Build the optimizer of a recipe: what decays, and with which learning rate."""

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from bench.engine.lamb import Lamb
from bench.run.config import RunConfig
from bench.run.recipe import Recipe
from models.layers import Recomputable

# Key of a parameter group: its learning rate as a multiple of the schedule's.
LR_SCALE = "lr_scale"
# Names of parameters before a hybrid's patch embedding, and after the last block.
STEM = "resnet."
OUTPUT = ("norm.", "representation.", "head.")


def make_optimizer(model: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over groups of equal weight decay and learning rate."""
    recipe = config.recipe
    groups = parameter_groups(model, recipe)
    betas = (recipe.beta1, recipe.beta2)
    if recipe.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, fused=True)
    if recipe.optimizer == "adam_coupled":
        return torch.optim.Adam(groups, lr=recipe.lr, betas=betas, fused=True)
    if recipe.optimizer == "lamb":
        return Lamb(groups, lr=recipe.lr, betas=betas)
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True
    )


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the parameter groups: `params`, `weight_decay` and the scale of the learning rate.

    Kernels, the parameters named `weight` with two axes or more, decay; the others only with the
    mask "all". Kernels come first.
    """
    depths = layer_indices(model) if recipe.layer_decay < 1 else {}
    last = max(depths.values(), default=0)
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        is_kernel = name.endswith("weight") and parameter.ndim > 1
        decay = recipe.weight_decay if is_kernel or recipe.decay_mask == "all" else 0.0
        if is_kernel and name.startswith("head.") and recipe.head_weight_decay is not None:
            decay = recipe.head_weight_decay
        scale = recipe.layer_decay ** (last - depths.get(name, last))
        groups[is_kernel, decay, scale].append(parameter)
    return [
        {"params": groups[key], "weight_decay": key[1], LR_SCALE: key[2]}
        for key in sorted(groups, reverse=True)
    ]


def layer_indices(model: nn.Module) -> dict[str, int]:
    """Return the layer of each parameter: 0 embeds, then one a block, the last norm and head.

    As in BEiT (arXiv:2106.08254). Blocks are the modules that can be recomputed. A hybrid's
    ResNet comes before the patch embedding, which belongs to the first block of its transformer.
    """
    blocks = [name for name, part in model.named_modules() if isinstance(part, Recomputable)]
    blocks.sort(key=lambda name: not name.startswith(STEM))
    numbers = {f"{name}.": number for number, name in enumerate(blocks, start=1)}
    in_stem = sum(name.startswith(STEM) for name in blocks)
    found: dict[str, int] = {}
    for name, _ in model.named_parameters():
        inside = [number for start, number in numbers.items() if name.startswith(start)]
        if inside:
            found[name] = inside[0]
        elif name.startswith(OUTPUT):
            found[name] = len(blocks) + 1
        else:
            found[name] = 0 if name.startswith(STEM) or not in_stem else in_stem + 1
    return found
