"""How a network is trained: optimizer, schedule, regularization, precision."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.run.fields import (
    Fraction,
    Frozen,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

# A name that people use -> the name in configs, ledgers and ids.
OPTIMIZER_ALIASES = {"adamw": "adam"}
# "Usually best values will be in the range [5, 30]": big_vision, pp/autoaugment.py.
MAX_MAGNITUDE = 30


def _canonical(name: Any) -> Any:
    return OPTIMIZER_ALIASES.get(name, name) if isinstance(name, str) else name


Optimizer = Annotated[Literal["adam", "adam_coupled", "sgd", "lamb"], BeforeValidator(_canonical)]


PositiveFraction = Annotated[float, Field(gt=0, lt=1)]


class Recipe(Frozen):
    """Optimizer, schedule, regularization and precision; the defaults are the paper's (4.1, B.1).

    `weight_decay` is decoupled and multiplied by the learning rate with `adam` (AdamW, which
    `adamw` names too) and `lamb`; with `adam_coupled` and `sgd` it is added to the gradient
    (torch's convention). It applies to kernels, or with `decay_mask` "all" to every parameter;
    `head_weight_decay` is that of the head's kernel. `layer_decay` multiplies the learning rate
    once for every block between a parameter and the head (arXiv:2106.08254).

    Phases of the schedule are numbers of steps, or fractions of the run where they are not whole.
    Without `end_lr`, linear decay ends at 1e-5, as in the published code, the others at 0. "rsqrt"
    has the time scale `timescale`; "step" divides by ten after each of `decay_steps`. With
    `cooldown_steps` the last steps decay linearly to 0 (arXiv:2106.04560).

    The sigmoid `loss` is a binary cross-entropy, summed over classes. `mixup` and `cutmix` are
    parameters of their Beta distributions; given both, each step draws one of them. `ema_decay`
    averages the weights, and the average is what is evaluated and saved.

    Training images pass through `three_augment` (arXiv:2204.07118), `color_jitter` (factors of
    brightness, contrast and saturation within 1 ± this number), `randaugment_layers` operations of
    RandAugment at `randaugment_magnitude` of 0 to 30 (arXiv:1909.13719; AugReg has 2 layers and
    up to 20), and random erasing with probability `random_erasing` (arXiv:1708.04896).
    """

    optimizer: Optimizer = "adam"
    lr: PositiveFloat = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.1
    decay_mask: Literal["kernels", "all"] = "kernels"
    head_weight_decay: NonNegativeFloat | None = None
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    warmup_steps: NonNegativeInt | Fraction = 0
    decay: Literal["linear", "cosine", "constant", "rsqrt", "step"] = "linear"
    end_lr: NonNegativeFloat | None = None
    timescale: PositiveInt = 10_000
    decay_steps: list[PositiveInt | PositiveFraction] | None = None
    cooldown_steps: NonNegativeInt | Fraction = 0
    clip_norm: PositiveFloat | None = 1.0
    loss: Literal["softmax", "sigmoid"] = "softmax"
    label_smoothing: Fraction = 0.0
    mixup: NonNegativeFloat = 0.0
    cutmix: NonNegativeFloat = 0.0
    ema_decay: Fraction | None = None
    randaugment_layers: NonNegativeInt = 0
    randaugment_magnitude: NonNegativeFloat = 0.0
    random_erasing: Fraction = 0.0
    color_jitter: NonNegativeFloat = 0.0
    three_augment: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.decay == "step" and not self.decay_steps:
            raise ValueError("decay: given 'step', expected decay_steps to say after which steps")
        if self.decay_steps and self.decay != "step":
            raise ValueError(f"decay_steps: not used by decay {self.decay!r}, expected 'step'")
        if self.decay_steps and self.decay_steps != sorted(set(self.decay_steps)):
            raise ValueError(f"decay_steps: given {self.decay_steps}, expected rising steps")
        if self.end_lr is not None and self.decay in ("constant", "rsqrt", "step"):
            raise ValueError(f"end_lr: not used by decay {self.decay!r}")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError("nesterov: expected optimizer sgd with momentum")
        if self.randaugment_magnitude and not self.randaugment_layers:
            raise ValueError(
                f"randaugment_magnitude: given {self.randaugment_magnitude:g} "
                "without randaugment_layers, expected 1 or more layers"
            )
        if self.randaugment_magnitude > MAX_MAGNITUDE:
            raise ValueError(
                f"randaugment_magnitude: given {self.randaugment_magnitude:g}, "
                f"expected 0 to {MAX_MAGNITUDE}"
            )
        return self

    def phase(self, length: float, num_steps: int) -> float:
        """Return a phase in steps: as given, or that fraction of the run, to the nearest step.

        >>> Recipe().phase(0.25, 90), Recipe().phase(500, 90)
        (22, 500)
        """
        return round(length * num_steps) if 0 < length < 1 else length

    @property
    def mixes(self) -> bool:
        """Whether training images are mixed in pairs."""
        return bool(self.mixup or self.cutmix)

    @property
    def num_moments(self) -> int:
        """Optimizer states per weight, of the weight's size and precision."""
        return 1 if self.optimizer == "sgd" else 2

    @property
    def label(self) -> str:
        """The recipe in one line, as in the ledger's `recipe` column.

        >>> Recipe(lr=8e-4, warmup_steps=10_000).label
        'adam lr=0.0008 wd=0.1 warmup=10000 linear clip=1 fp32'
        """
        parts = [self.optimizer, f"lr={self.lr:g}", f"wd={self.weight_decay:g}"]
        parts += [f"warmup={self.warmup_steps:g}", self.decay]
        if self.end_lr is not None:
            parts.append(f"end={self.end_lr:g}")
        if self.clip_norm is not None:
            parts.append(f"clip={self.clip_norm:g}")
        if self.label_smoothing:
            parts.append(f"smooth={self.label_smoothing:g}")
        for name in ("momentum",) if self.optimizer == "sgd" else ("beta1", "beta2"):
            if self.optimizer == "sgd" or self._differs(name):
                parts.append(f"{name}={getattr(self, name):g}")
        parts += [
            f"{word}={_words(getattr(self, name))}"
            for name, word in _LABELS.items()
            if self._differs(name)
        ]
        return " ".join([*parts, self.precision])

    def _differs(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)


# Fields that the label mentions only where they differ from the default, and their names there.
_LABELS = {
    "nesterov": "nesterov",
    "decay_mask": "mask",
    "head_weight_decay": "head_wd",
    "layer_decay": "layer_decay",
    "timescale": "timescale",
    "decay_steps": "at",
    "cooldown_steps": "cooldown",
    "loss": "loss",
    "mixup": "mixup",
    "cutmix": "cutmix",
    "ema_decay": "ema",
    "randaugment_layers": "randaugment",
    "randaugment_magnitude": "magnitude",
    "random_erasing": "erasing",
    "color_jitter": "jitter",
    "three_augment": "three_augment",
}


def _words(value: Any) -> str:
    """Return a value without spaces, which separate the parts of a label."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
