"""Options, requests and records of evaluations; imports no torch.

How a protocol measures is in `bench.protocols`; its options are here, where `sweeps` reads them.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, SerializeAsAny, ValidationError, create_model

from bench.run.config import DataInfo, Describe, Run
from bench.run.environment import environment
from bench.run.errors import SettingError
from bench.run.fields import Frozen, NonNegativeInt, PositiveFloat, PositiveInt
from bench.run.recipe import Recipe
from bench.run.validation import explain
from results.ledger.files import write_json

SHOTS = (1, 5, 10, 25)
SEEDS = (0, 1, 2)
FINETUNE_LRS = (0.001, 0.003, 0.01, 0.03)  # Table 4, but for ImageNet

# One result of an evaluation: the columns of `evals` that tell it from its others.
Case = dict[str, Any]


class EvaluationOptions(Frozen):
    """Base class of the options of an evaluation; each protocol has a subclass.

    `protocol` is its name, a literal. `data` is another data set than the run's own: the network
    is adapted to its training split and tested on its evaluation split. `summary` describes
    the measurement in help texts.
    """

    protocol: str
    data: str | None = None

    summary: ClassVar[str]

    def cases(self) -> list[Case]:
        """Return the results wanted, each as the columns of `evals` that tell it from others."""
        raise NotImplementedError

    def identity(self) -> list[Any]:
        """Return the JSON values that distinguish this evaluation from others on the same data."""
        chosen = self.model_dump(mode="json", exclude={"protocol", "data"}, exclude_defaults=True)
        return [chosen]


class FewShotOptions(EvaluationOptions):
    """Options of few-shot ridge regression: images per class, and seeds of the draws."""

    protocol: Literal["fewshot"]
    shots: list[PositiveInt] = Field(default_factory=lambda: list(SHOTS), min_length=1)
    seeds: list[NonNegativeInt] = Field(default_factory=lambda: list(SEEDS), min_length=1)

    summary: ClassVar[str] = "ridge regression on few images"

    def cases(self) -> list[Case]:
        return [{"shots": number, "seed": seed} for number in self.shots for seed in self.seeds]

    def identity(self) -> list[Any]:
        return [sorted(self.shots), sorted(self.seeds)]


class FinetuneOptions(EvaluationOptions):
    """Options of fine-tuning; the defaults are those of the ViT paper's Table 4 and appendix B.1.1.

    The learning rate is the best of `lrs` on `dev_fraction` of the training images, which the
    others train for; with it the network is trained on all of them, once for each seed. `steps`
    are those of Pets and Flowers; CIFAR has 10,000 and ImageNet 20,000 steps and larger rates.
    `image_size` is the run's own by default, 384 in the paper.
    """

    protocol: Literal["finetune"]
    lrs: list[PositiveFloat] = Field(default_factory=lambda: list(FINETUNE_LRS), min_length=1)
    steps: PositiveInt = 500
    batch_size: PositiveInt = 512
    image_size: PositiveInt | None = None
    augment: Literal["none", "flip", "crop_flip", "inception"] = "inception"
    dev_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    seeds: list[NonNegativeInt] = Field(default_factory=lambda: [0], min_length=1)
    recipe: Recipe = Recipe(optimizer="sgd", weight_decay=0.0, decay="cosine")

    summary: ClassVar[str] = "all weights trained further, learning rate chosen on held-out images"

    def cases(self) -> list[Case]:
        return [{"seed": seed, "recipe": self.label} for seed in self.seeds]

    @property
    def label(self) -> str:
        """How the network is trained, in one line: the column `recipe` of `evals`."""
        rates = ",".join(f"{lr:g}" for lr in sorted(self.lrs))
        size = [] if self.image_size is None else [f"{self.image_size}px"]
        parts = [f"{self.steps} steps", f"batch={self.batch_size}", *size, f"lrs={rates}"]
        rest = [word for word in self.recipe.label.split() if not word.startswith("lr=")]
        parts += [f"dev={self.dev_fraction:g}", *rest, f"augment={self.augment}"]
        return " ".join(parts)


# What can be asked of each protocol, by its name; `bench.protocols` has a measurement for each.
OPTIONS: dict[str, type[EvaluationOptions]] = {
    "fewshot": FewShotOptions,
    "finetune": FinetuneOptions,
}


def read_options(value: Any) -> EvaluationOptions:
    """Return the options in `value` as those of its `protocol`; raises ValidationError."""
    if isinstance(value, EvaluationOptions):
        return value
    name = value.get("protocol") if isinstance(value, dict) else None
    model = OPTIONS.get(name) if isinstance(name, str) else None
    if model is None:
        choice: Any = Literal[tuple(OPTIONS)]
        model = create_model("Choice", __base__=EvaluationOptions, protocol=(choice, ...))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        (first, *_) = error.errors()
        if first["type"] != "extra_forbidden":
            raise
        # The caller knows the spec, but not which protocol's options these are.
        (key,) = first["loc"]
        wrong = ValueError(explain(error, model).removeprefix(f"{key}: "))
        raise ValidationError.from_exception_data(
            error.title,
            [{"type": "value_error", "loc": (key,), "input": value, "ctx": {"error": wrong}}],
        ) from None


def check_options(values: dict[str, Any]) -> EvaluationOptions:
    """Return the options in `values`; raises SettingError naming protocol, key and value."""
    try:
        return read_options(values)
    except ValidationError as error:
        raise SettingError(
            f"{values.get('protocol')}: {explain(error, EvaluationOptions)}"
        ) from error


# An item of a spec's `evaluations`: a union of the classes in OPTIONS, discriminated by `protocol`.
AnyOptions = Annotated[SerializeAsAny[EvaluationOptions], PlainValidator(read_options)]


@dataclass(frozen=True)
class EvaluationRequest:
    """An evaluation to be made of a run: options, and the data set if it is not the run's own."""

    options: EvaluationOptions
    data: DataInfo | None = None

    def source(self, run: Run) -> DataInfo:
        """Return the data set that the run is evaluated on."""
        return self.data or run.data

    def path(self, run_dir: Path, run: Run) -> Path:
        """Return the file of its rows, one a protocol and data set."""
        source = self.source(run)
        name = f"{self.options.protocol}-{source.name}-{source.fingerprint[:12]}.parquet"
        return run_dir / "evals" / name

    @property
    def key(self) -> str:
        """A name for exactly this evaluation, the same for every run."""
        data = None if self.data is None else self.data.fingerprint
        content = json.dumps([data, *self.options.identity()])
        return f"{self.options.protocol}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def as_json(self) -> dict[str, Any]:
        """Return the request for `read_request`."""
        data = None if self.data is None else self.data.model_dump(mode="json")
        return self.options.model_dump(mode="json") | {"data": data}


def resolve(options: EvaluationOptions, describe: Describe) -> EvaluationRequest:
    """Return the request for an evaluation, with its data set found; raises DataError."""
    if options.data is None:
        return EvaluationRequest(options)
    info = describe(options.data)
    return EvaluationRequest(options.model_copy(update={"data": info.source}), info)


def read_request(content: dict[str, Any]) -> EvaluationRequest:
    """Return the request that `as_json` gave; older versions left `protocol` out."""
    data = None if content["data"] is None else DataInfo.model_validate(content["data"])
    given = {"protocol": "fewshot"} | content | {"data": data and data.source}
    return EvaluationRequest(read_options(given), data)


@dataclass(frozen=True)
class EvaluationRecord:
    """State of the evaluation `key` of a run: the content of `evals/<key>.json`.

    `ended` is done or failed, None until then; `options` are the protocol's own.
    """

    key: str
    protocol: str
    created_at: str
    data: str | None = None
    job_id: str | None = None
    host: str | None = None
    pid: int | None = None
    ended: Literal["done", "failed"] | None = None
    reason: str | None = None
    ended_at: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def finished(self, ended: Literal["done", "failed"], reason: str | None) -> "EvaluationRecord":
        """Return a copy of the record that has ended now."""
        return replace(self, ended=ended, reason=reason, ended_at=_now())

    def write(self, run_dir: Path) -> None:
        """Write the record into the run's folder, whole."""
        content = {key: value for key, value in vars(self).items() if key != "options"}
        write_json(_record_path(run_dir, self.key), content | self.options)


def read_record(run_dir: Path, key: str) -> EvaluationRecord | None:
    """Return the record of an evaluation of a run; None before it has begun."""
    try:
        content = json.loads(_record_path(run_dir, key).read_text())
    except FileNotFoundError:
        return None
    known = {one.name for one in fields(EvaluationRecord)} - {"options"}
    own = {name: content.pop(name) for name in list(content) if name in known}
    return EvaluationRecord(**own, options=content)


@contextmanager
def recorded(run_dir: Path, request: EvaluationRequest) -> Iterator[None]:
    """Write a record when an evaluation begins, and again when it ends, with the error if any."""
    record = EvaluationRecord(
        key=request.key,
        protocol=request.options.protocol,
        created_at=_now(),
        data=None if request.data is None else request.data.name,
        job_id=environment().job_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        options=request.options.model_dump(mode="json", exclude={"protocol", "data"}),
    )
    record.write(run_dir)
    try:
        yield
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        record.finished("failed", reason).write(run_dir)
        raise
    record.finished("done", None).write(run_dir)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _record_path(run_dir: Path, key: str) -> Path:
    return run_dir / "evals" / f"{key}.json"
