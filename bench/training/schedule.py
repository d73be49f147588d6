"""The learning rate as a pure function of the step."""

import math

from bench.run.recipe import Recipe


def lr(step: int, num_steps: int, recipe: Recipe) -> float:
    """Return the learning rate of optimizer step `step` (0 is the first) out of `num_steps`.

    Linear warm-up multiplies the decayed value, and progress counts after the warm-up, as in the
    published code (google-research/vision_transformer, `vit_jax/utils.py`). Linear decay ends at
    1e-5 (or at the recipe's rate, if that is lower) unless `end_lr` says otherwise, cosine at 0.
    "rsqrt" divides by sqrt(1 + steps after warm-up / timescale), and the cool-down multiplies by
    what is left of it (big_vision `utils.py`; arXiv:2106.04560). "step" divides by ten strictly
    after each of `decay_steps`, with a warm-up from 0 (big_transfer `bit_hyperrule.py`).

    >>> [round(lr(s, 10, Recipe(lr=1.0, warmup_steps=2, decay="cosine")), 3) for s in (0, 1, 6)]
    [0.5, 1.0, 0.5]
    """
    warmup = min(recipe.phase(recipe.warmup_steps, num_steps), num_steps)
    value = _decayed(step, warmup, num_steps, recipe)
    if warmup:
        begun = step if recipe.decay == "step" else step + 1
        value *= min(1.0, begun / warmup)
    if cooldown := recipe.phase(recipe.cooldown_steps, num_steps):
        value *= min(1.0, (num_steps - step) / cooldown)
    return value


def _decayed(step: int, warmup: float, num_steps: int, recipe: Recipe) -> float:
    progress = min(max((step - warmup) / max(1, num_steps - warmup), 0.0), 1.0)
    if recipe.decay == "linear":
        end = min(1e-5, recipe.lr) if recipe.end_lr is None else recipe.end_lr
        return end + (recipe.lr - end) * (1 - progress)
    if recipe.decay == "cosine":
        end = 0.0 if recipe.end_lr is None else recipe.end_lr
        return end + (recipe.lr - end) * 0.5 * (1 + math.cos(math.pi * progress))
    if recipe.decay == "rsqrt":
        return recipe.lr / math.sqrt(1 + max(0, step - warmup) / recipe.timescale)
    if recipe.decay == "step":
        ends = (recipe.phase(length, num_steps) for length in recipe.decay_steps or [])
        return recipe.lr / 10.0 ** sum(step > end for end in ends)
    return recipe.lr
