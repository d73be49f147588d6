"""How fast a ledger of a million rows loads, beside DuckDB on the same files; and once merged.

    python -m tests.speed.store_speed

10,000 runs, each with its row and one part of 100 rows x 14 columns in `evals`. Every figure is of
a fresh process, imports not counted; DuckDB and ours take turns, so that a slow moment of the
machine does not fall on one of them alone. `table` and `plot` are whole commands, start included.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from results.ledger import parquet
from results.ledger.compact import compact
from tests.speed.history import Figure, record

RUNS, ROWS = 10_000, 100
RATIO, MERGED_SECONDS, COMPACT_SECONDS, ANSWER_SECONDS, PEAK_MB = 1.3, 1.0, 15.0, 4.0, 1000
MODELS = {
    "vit_s16": ("ViT-S/16", "vit", 22_050_664, 4_598_882_304),
    "vit_b16": ("ViT-B/16", "vit", 86_567_656, 17_563_828_224),
    "r50_vit_b16": ("R50+ViT-B/16", "hybrid", 97_885_480, 22_000_000_000),
    "bit_r50x1": ("ResNet50x1 (BiT)", "bit", 25_549_352, 4_100_000_000),
}
DUCKDB = """
import duckdb
duckdb.sql("set enable_progress_bar = false")
found = "{study}/*/evals/*.parquet"
ask = f"select * from read_parquet('{{found}}', union_by_name=true)"
def act(): return len(duckdb.sql(ask).df())
"""
LOAD = """
from results import store
def act(): return len(store.load("{study}").evals)
"""
MEASURE = """
import json, resource, time
start = time.perf_counter()
rows = act()
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([rows, seconds, peak]))
"""


def rows_of_runs() -> Iterator[dict[str, Any]]:
    """A row for each run: 4 models, 50 amounts of data, 50 seeds."""
    random = np.random.default_rng(0)
    for number in range(RUNS):
        name = list(MODELS)[number % len(MODELS)]
        label, family, params, macs = MODELS[name]
        seed, size = divmod(number // len(MODELS), 50)
        examples = round(1000 * 1.2**size)
        yield {
            "study": "large",
            "run_id": f"{name}-photos-n{examples}-s{seed}-{number:012x}",
            "state": "done",
            "attempts": 1,
            "model": name,
            "label": label,
            "family": family,
            "params": params,
            "image_size": 224,
            "dataset": "photos",
            "train_examples": examples,
            "examples_seen": 10 * examples,
            "epochs": 10.0,
            "seed": seed,
            "forward_macs_per_image": macs,
            "train_flops": 60.0 * macs * examples,
            "accelerator_days": 60.0 * macs * examples / 86_400e14,
            "top1_accuracy": 1 - 0.9 * examples**-0.1 - 0.01 * random.random(),
        }


def write_study(study: Path) -> None:
    """The study as its runs would have left it."""
    schema = parquet.arrow_schema("evals")
    random = np.random.default_rng(0)
    at = np.arange(ROWS)
    same = {
        "study": "large",
        "protocol": "fewshot",
        "dataset": "photos",
        "split": "eval",
        "metric": "top1_accuracy",
        "num_examples": 5000,
        "step": 400,
        "image_size": 224,
        "manifest": "ac56e741e52d",
    }
    for row in rows_of_runs():
        columns: dict[str, Any] = {name: [value] * ROWS for name, value in same.items()}
        columns |= {"run_id": [row["run_id"]] * ROWS, "value": random.random(ROWS)}
        columns |= {"shots": at % 4 * 5 + 1, "seed": at // 4, "lr": [None] * ROWS}
        part = pa.table([pa.array(columns[f.name], f.type) for f in schema], schema=schema)
        folder = study / row["run_id"]
        parquet.write_table(folder / "evals" / "fewshot.parquet", "evals", part)
        parquet.write(folder / "run.parquet", "runs", [row])
    (study / "study.json").write_text(json.dumps({"study": "large", "runs": []}))


def measured(program: str, study: Path) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a program in a process of its own."""
    command = [sys.executable, "-c", program.format(study=study) + MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, seconds, peak = json.loads(done.stdout)
    assert rows == RUNS * ROWS, rows
    return seconds, peak


def command_seconds(*arguments: str) -> float:
    """The whole time of one of our commands."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "bench", *arguments]
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="Where the study is kept for another time.")
    given = parser.parse_args()
    temporary = tempfile.TemporaryDirectory()
    study = (given.folder or Path(temporary.name)) / "large"
    if not study.exists():
        with patch("os.fsync"):  # nothing here must outlive a power cut
            write_study(study)
    figure = Path(temporary.name) / "figure.png"
    answers = (("table", str(study)), ("plot", "frontier", str(study), "-o", str(figure)))
    turns = [(measured(DUCKDB, study), measured(LOAD, study)) for _ in range(given.rounds)]
    (duckdb_seconds, duckdb_peak), (seconds, peak) = (
        tuple(statistics.median(values) for values in zip(*side, strict=True))
        for side in zip(*turns, strict=True)
    )
    ratio = statistics.median(ours[0] / theirs[0] for theirs, ours in turns)
    lines = [
        ("DuckDB to pandas", duckdb_seconds, "s", None),
        ("  its peak", duckdb_peak, "MB", None),
        ("load to pandas", seconds, "s", None),
        ("  its peak", peak, "MB", PEAK_MB),
        ("  its ratio to DuckDB", ratio, "x", RATIO),
    ]
    lines += [(f"{words[0]}, not merged", command_seconds(*words), "s", None) for words in answers]
    start = time.perf_counter()
    compact(study)
    lines.append(("compact", time.perf_counter() - start, "s", COMPACT_SECONDS))
    again = [measured(LOAD, study) for _ in range(given.rounds)]
    merged = statistics.median(seconds for seconds, _ in again)
    lines.append(("load once merged", merged, "s", MERGED_SECONDS))
    for words in answers:
        taken = statistics.median(command_seconds(*words) for _ in range(given.rounds))
        lines.append((words[0], taken, "s", ANSWER_SECONDS))
    temporary.cleanup()
    print(f"{RUNS * ROWS:,} rows x 14 columns in {RUNS:,} parts; medians of {given.rounds}")
    for name, value, unit, limit in lines:
        shown = "" if limit is None else f"   limit {limit:g} {unit}"
        print(f"{name:<24}{value:>8.2f} {unit:<3}{shown}")
    sys.exit(not record(__file__, (Figure(*line) for line in lines)))


if __name__ == "__main__":
    main()
