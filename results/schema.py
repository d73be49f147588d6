"""The columns of every table of a study: name, type, unit, meaning. Imports nothing heavy."""

import difflib
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

# 2 adds code_hash to runs and attempts. Files of any version load (`results.store`).
SCHEMA_VERSION = 2
WRITER_VERSION = "0.1.0"

Type = Literal["text", "int", "float", "bool", "time"]
Row = dict[str, Any]

EXPECTED = {
    "text": "text",
    "int": "a whole number of 64 bits",
    "float": "a number",
    "bool": "True or False",
    "time": "a datetime with a time zone",
}


class ResultsError(Exception):
    """Base of every error of this package: a table, file or figure is not what was expected."""


class NoAnswer(ResultsError):
    """What was asked is right, but the runs there are do not answer it."""


class SchemaError(ResultsError):
    """A table, column or value is not in the schema."""


@dataclass(frozen=True)
class Column:
    """One column. `unit` is empty for text, flags and plain numbers; `required` forbids null.

    Rows that agree in all `key` columns are the same fact, written twice.
    """

    name: str
    type: Type
    unit: str
    meaning: str
    required: bool = False
    key: bool = False


def _key(name: str, type: Type, unit: str, meaning: str, required: bool = True) -> Column:
    return Column(name, type, unit, meaning, required=required, key=True)


STUDY = _key("study", "text", "", "name of the study")
RUN_ID = _key("run_id", "text", "", "readable prefix and hash of what determines the result")
MACS = "multiply-adds per image"
# The causes of an end: the attempt's own (done; failed: a user's error, a loss that is no number),
# a person's (killed), the scheduler's (preempted, timeout), the machine's (the others).
ENDED = "done, failed, killed, preempted, timeout, lost, out_of_memory or hang"

COST = (
    Column("train_seconds", "float", "seconds", "forward, backward and update, with data waits"),
    Column("eval_seconds", "float", "seconds", "evaluations during training and at its end"),
    Column("checkpoint_seconds", "float", "seconds", "writing and reading checkpoints"),
    Column("startup_seconds", "float", "seconds", "from the start of the process to step one"),
)
SOFTWARE = (
    Column("git_commit", "text", "", "commit of the code that ran"),
    Column("git_dirty", "bool", "", "whether the code had changes on top of the commit"),
    Column("code_hash", "text", "", "hash of the source files that ran"),
    Column("torch_version", "text", "", "version of PyTorch"),
    Column("deepspeed_version", "text", "", "version of DeepSpeed"),
)
CREATED_AT = Column("created_at", "time", "UTC", "when it began")
ENDED_AT = Column("ended_at", "time", "UTC", "when it ended")

RUNS = (
    STUDY,
    RUN_ID,
    Column("state", "text", "", "missing, queued, running, done, failed or cancelled", True),
    Column("failure", "text", "", "why the run failed"),
    Column("attempts", "int", "attempts", "how often the run was started"),
    Column("model", "text", "", "id in the registry of models"),
    Column("label", "text", "", "the paper's spelling of the model"),
    Column("family", "text", "", "vit, hybrid or bit"),
    Column("params", "int", "parameters", "trainable parameters, head included"),
    Column("image_size", "int", "pixels", "side of the square images the network saw"),
    Column("dataset", "text", "", "name of the data set"),
    Column("data_manifest", "text", "", "id of the list of training images"),
    Column("train_examples", "int", "images", "different images trained on"),
    Column("examples_seen", "int", "images", "images trained on, each counted every time"),
    Column("epochs", "float", "epochs", "examples_seen / train_examples"),
    Column("steps", "int", "steps", "updates of the weights"),
    Column("batch_size", "int", "images", "images per update, over all devices"),
    Column("seed", "int", "", "the run's seed"),
    Column("recipe", "text", "", "optimiser, schedule, augmentation, options of the model"),
    Column("forward_macs_per_image", "int", MACS, "convolutions and matrix products, all taps"),
    Column("forward_macs_valid_per_image", "int", MACS, "the same without taps on zero padding"),
    Column("train_flops", "float", "FLOPs", "6 x forward_macs_per_image x examples_seen"),
    Column("train_flops_valid", "float", "FLOPs", "6 x forward_macs_valid_per_image x examples"),
    Column("device", "text", "", "name of the accelerator"),
    Column("num_devices", "int", "devices", "accelerators of the last attempt"),
    *COST,
    Column("accelerator_days", "float", "days", "devices x training seconds / 86400"),
    Column("normalized_accelerator_days", "float", "days", "of an A100: x dense peak / 312e12"),
    Column("energy_joules", "float", "joules", "energy of all accelerators"),
    Column("peak_memory_bytes", "int", "bytes", "most memory ever held on one accelerator"),
    Column("images_per_second", "float", "images/s", "training throughput over all devices"),
    Column("model_flops_utilization", "float", "fraction", "train_flops over time x dense peak"),
    Column("loss", "float", "nats", "cross-entropy on the study's evaluation split"),
    Column("top1_accuracy", "float", "fraction", "top-1 on the study's evaluation split"),
    Column("top5_accuracy", "float", "fraction", "top-5 on the study's evaluation split"),
    *SOFTWARE,
    Column("host", "text", "", "first host of the last attempt"),
    CREATED_AT,
    ENDED_AT,
)

EVALS = (
    STUDY,
    RUN_ID,
    _key("protocol", "text", "", "upstream, finetune, fewshot or linear"),
    _key("dataset", "text", "", "name of the data set"),
    _key("split", "text", "", "split that was evaluated"),
    _key("metric", "text", "", "what was measured: top1_accuracy, top5_accuracy, loss"),
    Column("value", "float", "of the metric", "accuracies are fractions, losses nats"),
    Column("num_examples", "int", "images", "images evaluated on"),
    _key("shots", "int", "images per class", "training images per class of fewshot", False),
    _key("seed", "int", "", "seed of the subset or of the fine-tuning", False),
    _key("lr", "float", "", "learning rate of finetune", False),
    _key("step", "int", "steps", "updates the evaluated weights had", False),
    _key("image_size", "int", "pixels", "side of the images evaluated on", False),
    _key("manifest", "text", "", "id of the list of images used to adapt", False),
)

CURVE = (
    STUDY,
    RUN_ID,
    _key("attempt", "int", "", "attempt that made the step, from 1"),
    _key("step", "int", "steps", "updates so far"),
    Column("examples_seen", "int", "images", "images so far, each counted every time"),
    Column("train_flops", "float", "FLOPs", "training FLOPs so far"),
    Column("train_seconds", "float", "seconds", "training seconds so far, over all attempts"),
    Column("loss", "float", "nats", "mean training loss since the last row"),
    Column("lr", "float", "", "learning rate of the last step"),
    Column("grad_norm", "float", "", "global gradient norm before clipping"),
    Column("images_per_second", "float", "images/s", "throughput since the last row"),
)

ATTEMPTS = (
    STUDY,
    RUN_ID,
    _key("attempt", "int", "", "number of the attempt, from 1"),
    Column("state", "text", "", "running, done, failed or cancelled", True),
    Column("ended", "text", "", ENDED),
    Column("reason", "text", "", "why it ended so"),
    Column("cluster", "text", "", "local or slurm"),
    Column("job_id", "text", "", "the scheduler's id of the job"),
    Column("hosts", "text", "", "hosts, separated by commas"),
    Column("device", "text", "", "name of the accelerator"),
    Column("num_devices", "int", "devices", "accelerators used"),
    Column("micro_batch_size", "int", "images", "images per device and forward pass"),
    Column("from_examples", "int", "images", "examples seen when it began"),
    Column("to_examples", "int", "images", "examples seen when it ended"),
    *COST,
    Column("energy_joules", "float", "joules", "energy of all accelerators"),
    Column("peak_memory_bytes", "int", "bytes", "most memory ever held on one accelerator"),
    *SOFTWARE,
    CREATED_AT,
    ENDED_AT,
)

THROUGHPUT = (
    _key("model", "text", "", "id in the registry of models"),
    Column("label", "text", "", "the paper's spelling of the model"),
    Column("family", "text", "", "vit, hybrid or bit"),
    Column("params", "int", "parameters", "trainable parameters, head included"),
    _key("image_size", "int", "pixels", "side of the square images"),
    _key("mode", "text", "", "train (with the update) or infer"),
    _key("precision", "text", "", "fp32 or bf16"),
    _key("compiled", "bool", "", "whether torch.compile was used"),
    _key("device", "text", "", "name of the accelerator, or of the CPU"),
    _key("num_threads", "int", "", "threads of torch on the CPU"),
    _key("batch_size", "int", "images", "images per step"),
    Column("fits", "bool", "", "whether the step had enough memory"),
    Column("num_steps", "int", "steps", "steps measured after the warm-up"),
    Column("step_seconds", "float", "seconds", "median of a step"),
    Column("step_seconds_low", "float", "seconds", "a quarter of the steps are faster"),
    Column("step_seconds_high", "float", "seconds", "a quarter of the steps are slower"),
    Column("images_per_second", "float", "images/s", "batch_size / median step"),
    Column("peak_memory_bytes", "int", "bytes", "most memory ever held on the accelerator"),
    Column("forward_macs_per_image", "int", MACS, "convolutions and matrix products, all taps"),
    Column("model_flops_utilization", "float", "fraction", "model FLOPs over time x dense peak"),
    *SOFTWARE,
    _key("created_at", "time", "UTC", "when it was measured"),
)

# The tables of a study, and what is measured outside of one.
STUDY_TABLES: dict[str, tuple[Column, ...]] = {
    "runs": RUNS,
    "evals": EVALS,
    "curve": CURVE,
    "attempts": ATTEMPTS,
}
TABLES = STUDY_TABLES | {"throughput": THROUGHPUT}


# Keys of `evals` that every protocol has. The others are options of protocols, such as shots: they
# tell evaluations apart wherever scores are shown.
SHARED_KEYS = frozenset(
    {"study", "run_id", "protocol", "dataset", "split", "metric", "seed", "lr", "step"}
    | {"image_size", "manifest"}
)


def protocol_keys() -> tuple[str, ...]:
    """Return the columns of `evals` that hold options of protocols."""
    keys = (column.name for column in columns("evals") if column.key)
    return tuple(name for name in keys if name not in SHARED_KEYS)


def suggestion(name: str, choices: Iterable[str]) -> str:
    """Return a hint after an unknown name: the near matches, or else all choices."""
    known = list(choices)
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else f"choices: {', '.join(known)}"


def columns(table: str) -> tuple[Column, ...]:
    """Return the columns of `table`; raise SchemaError for an unknown one."""
    if table not in TABLES:
        raise SchemaError(f"table {table!r} is unknown; {suggestion(table, TABLES)}")
    return TABLES[table]


def _typed(value: Any, kind: Type) -> Any:
    """`value` as a plain Python value of the column's type; raises TypeError or ValueError."""
    if kind == "text" and isinstance(value, str):
        value.encode()  # lone surrogates, as of undecodable file names, cannot be stored
        return str(value)
    if kind == "bool" and (isinstance(value, bool) or type(value).__name__ == "bool"):
        return bool(value)
    if kind == "time" and isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    if not isinstance(value, bool):
        if kind == "int" and isinstance(value, numbers.Integral) and int(value).bit_length() < 64:
            return int(value)
        if kind == "float" and isinstance(value, numbers.Real):
            return float(value)
    raise TypeError


def check(table: str, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows with every column of `table` in order as plain Python values, or None.

    Numbers of numpy are accepted, whole numbers also where a float is due; times become UTC.
    Raises SchemaError naming table, row, column and value.
    """
    known = columns(table)
    names = [column.name for column in known]
    checked = []
    for number, row in enumerate(rows):
        where = f"table {table}, row {number}"
        for name in row:
            if name not in names:
                raise SchemaError(
                    f"{where}: column {name!r} is unknown; {suggestion(str(name), names)}"
                )
        made: Row = {}
        for column in known:
            value = row.get(column.name)
            if value is None:
                if column.required:
                    raise SchemaError(f"{where}: column {column.name} is missing, it has no null")
                made[column.name] = None
                continue
            try:
                made[column.name] = _typed(value, column.type)
            except (TypeError, ValueError) as error:
                raise SchemaError(
                    f"{where}: column {column.name} is given {value!r}, "
                    f"expected {EXPECTED[column.type]}"
                ) from error
        checked.append(made)
    return checked
