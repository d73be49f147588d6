"""What a person may ask of one run, and the identity that follows from it."""

import difflib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import models
from bench.run.errors import ConfigError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")

MAX_INT = 2**63 - 1  # what a column of the ledger holds
PositiveInt = Annotated[int, Field(gt=0, le=MAX_INT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
# json.dumps makes an encoder at each call that sorts: a fifth of the time of making an id.
_SORTED = json.JSONEncoder(sort_keys=True)


class Frozen(BaseModel):
    """A strict, immutable config: a misspelt key or a wrong type is refused with its path."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Recipe(Frozen):
    """How the weights move: the paper's section 4.1 and appendix B.1 by default.

    `weight_decay` is decoupled and multiplied by the learning rate (AdamW's convention), with SGD
    added to the gradient (torch's); only kernels are decayed. `end_lr` 1e-5 for linear decay is
    the published code's, cosine ends at 0.
    """

    optimizer: Literal["adam", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    momentum: Fraction = 0.9
    weight_decay: NonNegativeFloat = 0.1
    warmup_steps: NonNegativeInt = 0
    decay: Literal["linear", "cosine", "constant"] = "linear"
    end_lr: NonNegativeFloat | None = None
    clip_norm: PositiveFloat | None = 1.0
    label_smoothing: Fraction = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"

    @property
    def label(self) -> str:
        """The recipe in one line, as the ledger's `recipe` column holds it.

        >>> Recipe(lr=8e-4, warmup_steps=10_000).label
        'adam lr=0.0008 wd=0.1 warmup=10000 linear clip=1 fp32'
        """
        parts = [self.optimizer, f"lr={self.lr:g}", f"wd={self.weight_decay:g}"]
        parts += [f"warmup={self.warmup_steps}", self.decay]
        if self.end_lr is not None:
            parts.append(f"end={self.end_lr:g}")
        if self.clip_norm is not None:
            parts.append(f"clip={self.clip_norm:g}")
        if self.label_smoothing:
            parts.append(f"smooth={self.label_smoothing:g}")
        defaults = Recipe()
        for name in ("beta1", "beta2") if self.optimizer == "adam" else ("momentum",):
            if self.optimizer == "sgd" or getattr(self, name) != getattr(defaults, name):
                parts.append(f"{name}={getattr(self, name):g}")
        return " ".join([*parts, self.precision])


class EngineConfig(Frozen):
    """How a run is executed. None of it changes the result, so none of it is in the run's id.

    `micro_batch_size` is per device and forward pass (default: the whole share of a device);
    `activation_checkpointing` computes activations again instead of keeping them;
    `checkpoint_seconds` is the time between two checkpoints, `checkpoint_steps` their distance in
    steps; the `keep_checkpoints` newest stay, and those after `milestones` (these steps, or each
    multiple of one number) for ever. A process without progress for `hang_seconds` ends the
    attempt, later where there is more to wait for than a step.
    """

    zero_stage: Literal[0, 1, 2, 3] = 0
    micro_batch_size: PositiveInt | None = None
    activation_checkpointing: bool = False
    num_workers: NonNegativeInt = 0
    checkpoint_seconds: PositiveFloat = 300.0
    checkpoint_steps: PositiveInt | None = None
    keep_checkpoints: PositiveInt = 1
    milestones: PositiveInt | list[PositiveInt] | None = None
    hang_seconds: PositiveFloat = 300.0
    heartbeat_seconds: PositiveFloat = 2.0
    log_steps: PositiveInt = 10
    eval_batch_size: PositiveInt = 256


class RunConfig(Frozen):
    """One training run: a model, some data, a duration, a recipe.

    Exactly one of `epochs`, `steps` and `examples` gives the duration. `train_examples` is the
    number of different training images (None: all of them), `batch_size` is global.
    `model_options` overrides fields of the registered model, such as `dropout`.
    """

    model: str
    data: Annotated[str, Field(min_length=1)] = "digits"
    image_size: PositiveInt | None = None
    train_examples: PositiveInt | None = None
    epochs: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    steps: PositiveInt | None = None
    examples: PositiveInt | None = None
    batch_size: PositiveInt = 64
    seed: NonNegativeInt = 0
    subset_seed: NonNegativeInt = 0
    augment: Literal["none", "flip", "crop_flip", "inception"] = "none"
    model_options: dict[str, Any] = Field(default_factory=dict)
    recipe: Recipe = Recipe()
    engine: EngineConfig = EngineConfig()

    @model_validator(mode="after")
    def _one_duration(self) -> "RunConfig":
        given = [n for n in ("epochs", "steps", "examples") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"given {' and '.join(given) or 'no duration'}, "
                "expected exactly one of epochs, steps, examples"
            )
        return self

    @property
    def recipe_label(self) -> str:
        """The ledger's `recipe`: that of the weights, augmentation and the model's options.

        >>> RunConfig(model="vit_s16", steps=1, augment="flip").recipe_label
        'adam lr=0.001 wd=0.1 warmup=0 linear clip=1 fp32 augment=flip'
        """
        parts = [self.recipe.label]
        if self.augment != "none":
            parts.append(f"augment={self.augment}")
        return " ".join(parts + [f"{k}={v}" for k, v in sorted(self.model_options.items())])


class DataInfo(Frozen):
    """What a data source holds, as found when the run was planned.

    `fingerprint` is a hash of what tells two sources apart: names, sizes and row counts. `kind` is
    the source that reads it (`bench.data.sources`).
    """

    name: str
    source: str
    kind: Annotated[str, Field(pattern=NAME_PATTERN.pattern)]
    num_train: PositiveInt
    num_eval: PositiveInt
    num_classes: PositiveInt
    fingerprint: str


# Finds out what a data set holds: a name, or a path relative to a folder chosen before.
Describe = Callable[[str], DataInfo]


@dataclass(frozen=True)
class RunSummary:
    """The columns of a run that are known before it starts, as plan and status show them."""

    run_id: str
    model: str
    dataset: str
    image_size: int
    train_examples: int
    examples_seen: int
    steps: int
    batch_size: int
    seed: int
    recipe: str


class Run(Frozen):
    """One run, resolved: everything a job needs, as `config.json` holds it."""

    study: str
    config: RunConfig
    data: DataInfo

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What determines the result: neither where the run is executed nor where the data lie.

        Fields at their default are left out, so a field added later changes no existing id; the
        duration stands in steps and sizes are resolved, so two ways to say the same are one.
        """
        chosen = self.config.model_dump(mode="json", exclude_defaults=True)
        for key in ("engine", "epochs", "examples"):
            chosen.pop(key, None)
        return chosen | {
            "data": [self.data.name, self.data.fingerprint],
            "steps": self.num_steps,
            "image_size": self.image_size,
            "train_examples": self.train_examples,
        }

    @cached_property
    def run_id(self) -> str:
        """A readable prefix and 12 hex digits of a SHA-256 over `identity`."""
        digest = hashlib.sha256(_SORTED.encode(self.identity).encode()).hexdigest()
        config = self.config
        return (
            f"{config.model}-{self.data.name}-n{self.train_examples}-s{config.seed}-{digest[:12]}"
        )

    @property
    def image_size(self) -> int:
        """Pixels per side of the images the network sees."""
        return self.config.image_size or models.config(self.config.model).image.rows

    @property
    def train_examples(self) -> int:
        """How many different training images there are."""
        return self.config.train_examples or self.data.num_train

    @property
    def num_steps(self) -> int:
        """The duration in optimizer steps; a last partial batch is rounded up."""
        config = self.config
        if config.steps is not None:
            return config.steps
        examples = config.examples
        if examples is None:
            assert config.epochs is not None
            examples = round(config.epochs * self.train_examples)
        return max(1, -(-examples // config.batch_size))

    @property
    def examples_seen(self) -> int:
        """Images the network is trained on, each time counted."""
        return self.num_steps * self.config.batch_size

    def summary(self) -> RunSummary:
        """Return the columns that follow from the config."""
        return RunSummary(
            run_id=self.run_id,
            model=self.config.model,
            dataset=self.data.name,
            image_size=self.image_size,
            train_examples=self.train_examples,
            examples_seen=self.examples_seen,
            steps=self.num_steps,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            recipe=self.config.recipe_label,
        )


def micro_batches(config: RunConfig, world_size: int) -> tuple[int, int]:
    """Micro-batch size and number of accumulation steps on each of `world_size` devices.

    Raises ConfigError where batch_size is not micro-batch × accumulation × devices.

    >>> micro_batches(RunConfig(model="vit_b16", epochs=1, batch_size=64), 4)
    (16, 1)
    """
    batch, micro = config.batch_size, config.engine.micro_batch_size
    if batch % world_size:
        raise ConfigError(f"batch_size: given {batch}, expected a multiple of {world_size} devices")
    share = batch // world_size
    if micro is not None and share % micro:
        raise ConfigError(
            f"engine.micro_batch_size: given {micro}, expected a divisor of "
            f"batch_size / devices = {batch} / {world_size} = {share}"
        )
    return micro or share, share // (micro or share)


def clamp_micro_batch(config: RunConfig, world_size: int, limit: int | None) -> RunConfig:
    """Return the config with micro-batches of at most `limit` images, the global batch unchanged.

    Evaluation batches shrink in proportion.

    >>> small = clamp_micro_batch(RunConfig(model="vit_b16", epochs=1, batch_size=48), 2, 11)
    >>> micro_batches(small, 2), small.engine.eval_batch_size
    ((8, 3), 85)
    """
    before, _ = micro_batches(config, world_size)
    if limit is None or before <= limit:
        return config
    share = config.batch_size // world_size
    size = max(n for n in range(1, limit + 1) if share % n == 0)
    changes = {
        "micro_batch_size": size,
        "eval_batch_size": max(1, config.engine.eval_batch_size * size // before),
    }
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """The first complaint of `error` in one line: key, value given, what was expected."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    where = ".".join(keys)
    given = first.get("input")
    kind = first["type"]
    if kind == "json_invalid":
        return first["msg"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key{_near(keys, root)}"
    if kind == "missing":
        return f"{where}: missing"
    if kind == "value_error":
        return f"{where}: {first['ctx']['error']}" if where else str(first["ctx"]["error"])
    expected = first["msg"].removeprefix("Input should be ")
    complaint = f"given {given!r}, expected {expected}"
    return f"{where}: {complaint}" if where else complaint


def _near(keys: list[str], root: type[BaseModel]) -> str:
    choices = known_keys(root, keys[:-1])
    close = difflib.get_close_matches(keys[-1], choices, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"{hint} (expected one of {', '.join(choices)})"


def known_keys(root: type[BaseModel], path: list[str]) -> list[str]:
    """The field names of the config found at `path` below `root`; [] where there is none."""
    here: type[BaseModel] = root
    for key in path:
        field = here.model_fields.get(key)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        here = inner
    return list(here.model_fields)


def check_name(name: str, what: str) -> str:
    """`name` if it may become a folder's name; raises ConfigError otherwise."""
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"{what}: given {name!r}, expected letters, digits, '.', '_' and '-', "
            "the first a letter or digit, at most 101"
        )
    return name


def read_run(run_dir: Path) -> Run:
    """The run whose folder is `run_dir`; raises ConfigError where there is none."""
    path = run_dir / "config.json"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{run_dir}: expected a run's folder with a config.json") from error
    try:
        return Run.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, Run)}") from error
