"""Configs of a run, and the run id that follows from them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

import models
from bench.run.errors import SettingError
from bench.run.fields import (
    Frozen,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from bench.run.recipe import Recipe
from bench.run.trackers import Tracker
from bench.run.validation import NAME_PATTERN, explain
from models import aliases
from models.cost.macs import Cost, count, train_flops

# json.dumps(sort_keys=True) builds an encoder per call, a fifth of the time to make an id.
_SORTED = json.JSONEncoder(sort_keys=True)


SEEDS = ("seed", "subset_seed")
# Ways to give the length of a run, of which it has one.
DURATIONS = ("epochs", "steps", "examples", "flops")


class EngineConfig(Frozen):
    """How a run is executed. Nothing here changes the result, so it is not in the run id.

    `micro_batch_size` is per device and forward pass (default: the device's whole share of the
    batch). `activation_checkpointing` recomputes activations instead of storing them. A checkpoint
    is due every `checkpoint_seconds` and every `checkpoint_steps`; the `keep_checkpoints` newest
    are kept, and those at `milestones` (these steps, or multiples of one number) forever. A rank
    without progress for `hang_seconds` ends the attempt; set-up and evaluation may take longer.
    Every `log_steps` a point goes to the curve and to the `trackers` (`bench.engine.trackers`).
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
    trackers: list[Tracker] = Field(default_factory=list)


def _registered(model: Any) -> Any:
    """Return the registered name of a network for any that it is known by."""
    meant = aliases.registered(model) if isinstance(model, str) else []
    return meant[0] if len(meant) == 1 else model


class RunConfig(Frozen):
    """One training run: a model, its data, a duration, a recipe.

    Exactly one of `epochs`, `steps`, `examples` and `flops` gives the duration; `flops` are those
    of `train_flops`, met to the nearest step. `train_examples` is the number of different training
    images (None: all), `batch_size` is global. `model` is a
    registered name, or `package.module:function`; `model_options` override fields of the
    registered model, such as `dropout`, or are arguments of the function.

    `init` is a run or a weights file to start from (`bench.run.init`), or keys and values of a run
    of the same study that has this run's model and seed, such as `{data: cifar10}`. Its head is
    kept where it is a run on the same data, else it is a new one, unless `init_head` says it.
    """

    model: Annotated[str, BeforeValidator(_registered)]
    data: Annotated[str, Field(min_length=1)] = "digits"
    image_size: PositiveInt | None = None
    train_examples: PositiveInt | None = None
    epochs: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    steps: PositiveInt | None = None
    examples: PositiveInt | None = None
    flops: PositiveFloat | None = None
    batch_size: PositiveInt = 64
    seed: NonNegativeInt = 0
    subset_seed: NonNegativeInt = 0
    augment: Literal["none", "flip", "crop_flip", "inception"] = "none"
    model_options: dict[str, Any] = Field(default_factory=dict)
    init: Annotated[str, Field(min_length=1)] | dict[str, Any] | None = None
    init_head: Literal["new", "keep"] | None = None
    recipe: Recipe = Recipe()
    engine: EngineConfig = EngineConfig()

    @model_validator(mode="after")
    def _one_duration(self) -> "RunConfig":
        given = [name for name in DURATIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"given {' and '.join(given) or 'no duration'}, "
                f"expected exactly one of {', '.join(DURATIONS)}"
            )
        return self

    @cached_property
    def network(self) -> models.Config:
        """Config of the network, with the image size and the options given."""
        size = {"image_size": self.image_size} if self.image_size else {}
        return models.config(self.model, **(self.model_options | size))

    @property
    def recipe_label(self) -> str:
        """The ledger's `recipe` column: recipe, augmentation and model options.

        >>> RunConfig(model="vit_s16", steps=1, augment="flip").recipe_label
        'adam lr=0.001 wd=0.1 warmup=0 linear clip=1 fp32 augment=flip'
        """
        parts = [self.recipe.label]
        if self.init is not None and self.init_head is not None:
            parts.append(f"init_head={self.init_head}")
        if self.augment != "none":
            parts.append(f"augment={self.augment}")
        return " ".join(parts + [f"{k}={v}" for k, v in sorted(self.model_options.items())])


class DataInfo(Frozen):
    """What a data source holds, as found when the run was planned.

    `fingerprint` hashes the names, sizes and row counts that distinguish sources. `kind` is
    the source that reads it (`bench.data.sources`). With `dev_every` one training image in so many
    of each class is the evaluation split, to choose settings on.
    """

    name: str
    source: str
    kind: Annotated[str, Field(pattern=NAME_PATTERN.pattern)]
    num_train: PositiveInt
    num_eval: PositiveInt
    num_classes: PositiveInt
    fingerprint: str
    dev_every: PositiveInt | None = None


class Init(Frozen):
    """Initial weights of a run, as found when it was planned.

    `source` is their file, relative to the run's folder, and `digest` tells them from others: a
    run's id, or a file's SHA-256. `name` leaves seeds out. Of a run, `data` is the fingerprint of
    its data, and `flops` and `examples_seen` are what it trained, with the runs that it started
    from itself; None where unknown.
    """

    source: str
    name: str
    digest: str
    run_id: str | None = None
    data: str | None = None
    flops: float | None = None
    examples_seen: int | None = None


# Describes a data set, given its name or a path relative to a folder chosen before.
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
    """A resolved run: everything a job needs; the content of `config.json`."""

    study: str
    config: RunConfig
    data: DataInfo
    init: Init | None = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the result, not where the run is executed or data are stored.

        Fields at their default are left out, so a field added later changes no existing id. The
        duration is in steps and sizes are resolved, so equivalent configs have the same identity.
        """
        chosen = self.config.model_dump(mode="json", exclude_defaults=True)
        for key in ("engine", "init", *DURATIONS):
            chosen.pop(key, None)
        if self.init is not None:
            chosen["init"] = self.init.digest
        return chosen | {
            "data": [self.data.name, self.data.fingerprint],
            "steps": self.num_steps,
            "image_size": self.image_size,
            "train_examples": self.train_examples,
        }

    @cached_property
    def run_id(self) -> str:
        """Readable prefix and 12 hex digits of a SHA-256 over `identity`."""
        digest = hashlib.sha256(_SORTED.encode(self.identity).encode()).hexdigest()
        config = self.config
        model = config.model.replace(":", ".")
        return f"{model}-{self.data.name}-n{self.train_examples}-s{config.seed}-{digest[:12]}"

    @property
    def name(self) -> str:
        """The run without its seed: readable prefix and 8 hex digits of a hash over the rest."""
        rest = {key: value for key, value in self.identity.items() if key not in SEEDS}
        if self.init is not None:
            rest["init"] = self.init.name
        digest = hashlib.sha256(_SORTED.encode(rest).encode()).hexdigest()
        return f"{self.config.model}-{self.data.name}-n{self.train_examples}-{digest[:8]}"

    @property
    def network(self) -> models.Config:
        """Config of the network, with the run's image size and options."""
        return self.config.network

    @property
    def cost(self) -> Cost:
        """Parameters and multiply-adds of the network; torch is imported if it must be built."""
        return count(self.network, num_classes=self.data.num_classes)

    @property
    def image_size(self) -> int:
        """Side of the network's square input images in pixels."""
        return self.config.image_size or self.network.image.rows

    @property
    def train_examples(self) -> int:
        """Number of different training images."""
        return self.config.train_examples or self.data.num_train

    @cached_property
    def num_steps(self) -> int:
        """Duration in optimizer steps; a partial last batch counts as a step."""
        config = self.config
        if config.steps is not None:
            return config.steps
        if config.flops is not None:
            of_a_step = train_flops(self.cost.forward_macs, config.batch_size)
            return max(1, round(config.flops / of_a_step))
        examples = config.examples
        if examples is None:
            assert config.epochs is not None
            examples = round(config.epochs * self.train_examples)
        return max(1, -(-examples // config.batch_size))

    @property
    def examples_seen(self) -> int:
        """Number of images trained on, repetitions included."""
        return self.num_steps * self.config.batch_size

    @property
    def keeps_head(self) -> bool:
        """Whether the head of the initial weights is trained on."""
        if self.init is None or self.config.init_head is not None:
            return self.config.init_head == "keep"
        return self.init.data == self.data.fingerprint

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


def read_run(run_dir: Path) -> Run:
    """Read the run in the folder `run_dir`; raise SettingError if there is none."""
    path = run_dir / "config.json"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingError(f"{run_dir}: expected a run's folder with a config.json") from error
    try:
        return Run.model_validate_json(text)
    except ValidationError as error:
        raise SettingError(f"{path}: {explain(error, Run)}") from error
