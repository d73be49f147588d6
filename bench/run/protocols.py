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
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, SerializeAsAny, ValidationError, create_model

from bench.run.config import DataInfo, Describe, Run
from bench.run.environment import environment
from bench.run.errors import SettingError
from bench.run.evaluation_options import Case as Case
from bench.run.evaluation_options import EvaluationOptions as EvaluationOptions
from bench.run.evaluation_options import FewShotOptions as FewShotOptions
from bench.run.evaluation_options import FinetuneOptions as FinetuneOptions
from bench.run.evaluation_options import KnnOptions as KnnOptions
from bench.run.evaluation_options import LinearOptions as LinearOptions
from bench.run.validation import explain
from results.ledger.files import write_json

# What can be asked of each protocol, by its name; `bench.protocols` has a measurement for each.
OPTIONS: dict[str, type[EvaluationOptions]] = {
    "fewshot": FewShotOptions,
    "linear": LinearOptions,
    "knn": KnnOptions,
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
