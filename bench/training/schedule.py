"""The learning rate as a pure function of the step."""

import math

from bench.run.config import Recipe


def lr(step: int, num_steps: int, recipe: Recipe) -> float:
    """Return the learning rate of optimizer step `step` (0 is the first) out of `num_steps`.

    Linear warm-up multiplies the decayed value, and progress counts after the warm-up, as in the
    published code (google-research/vision_transformer, `vit_jax/utils.py`). Linear decay ends at
    1e-5 (or at the recipe's rate, if that is lower) unless `end_lr` says otherwise, cosine at 0.

    >>> [round(lr(s, 10, Recipe(lr=1.0, warmup_steps=2, decay="cosine")), 3) for s in (0, 1, 6)]
    [0.5, 1.0, 0.5]
    """
    warmup = min(recipe.warmup_steps, num_steps)
    progress = min(max((step - warmup) / max(1, num_steps - warmup), 0.0), 1.0)
    if recipe.decay == "linear":
        end = min(1e-5, recipe.lr) if recipe.end_lr is None else recipe.end_lr
        value = end + (recipe.lr - end) * (1 - progress)
    elif recipe.decay == "cosine":
        end = 0.0 if recipe.end_lr is None else recipe.end_lr
        value = end + (recipe.lr - end) * 0.5 * (1 + math.cos(math.pi * progress))
    else:
        value = recipe.lr
    return value * min(1.0, (step + 1) / warmup) if warmup else value
