"""Build the optimizer of a recipe."""

import torch

from bench.run.config import RunConfig


def make_optimizer(model: torch.nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Return AdamW (decoupled weight decay) or SGD (torch's L2 term) over two parameter groups.

    Only kernels decay: parameters named `weight` with two axes or more.
    """
    recipe = config.recipe
    kernels: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_kernel = name.endswith("weight") and parameter.ndim > 1
        (kernels if is_kernel else others).append(parameter)
    groups = [{"params": kernels, "weight_decay": recipe.weight_decay}]
    groups += [{"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        betas = (recipe.beta1, recipe.beta2)
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, fused=True)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=True)
