"""A few steps of a run, really trained on this machine, to predict what the whole will take."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.run import provenance
from bench.run.config import Run
from results.ledger import parquet
from sweeps.resources import Resources

Row = dict[str, Any]


class ProbeFailed(Exception):
    """The few steps could not be trained here."""


def check_device(row: Row, resources: Resources) -> None:
    """Raise ProbeFailed if a study on GPUs was probed without one."""
    if resources.gpus_per_node and row["peak_memory_bytes"] is None:
        raise ProbeFailed(
            f"the probe of {row['model']} ran on {row['device']}, the study asks for GPUs: "
            "plan on a machine that has one"
        )


def measure(run: Run, resources: Resources, num_steps: int) -> Row:
    """Return the row of `run` cut to `num_steps` steps and one device's share of the batch.

    It is trained in a process of its own and a temporary folder, with the cores that a process of
    the study has. Raises ProbeFailed.
    """
    shorter = {"steps": num_steps, "epochs": None, "examples": None}
    shorter |= {"batch_size": run.config.batch_size // resources.num_devices}
    probe = Run(study="probe", config=run.config.model_copy(update=shorter), data=run.data)
    with tempfile.TemporaryDirectory(prefix="scalestudy-probe-") as folder:
        run_dir = Path(folder) / probe.study / probe.run_id
        run_dir.mkdir(parents=True)
        (run_dir / "config.json").write_text(probe.model_dump_json())
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        threads = {"OMP_NUM_THREADS": str(resources.cpus_per_task)}
        done = subprocess.run(
            [sys.executable, "-m", "bench", "train", str(run_dir)],
            env=os.environ | provenance.python_path(provenance.ROOT, inherited) | threads,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise ProbeFailed(f"the probe of {run.config.model} failed: {lines[-1]}")
        (row,) = parquet.read_rows(run_dir / "run.parquet")
    check_device(row, resources)
    return row
