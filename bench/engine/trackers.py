"""Export a run's curve to TensorBoard, W&B and CSV through DeepSpeed's monitor."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bench.engine.world  # noqa: F401  it chooses DeepSpeed's accelerator
from bench.run.trackers import Tracker, check_packages

# isort: split
from deepspeed.monitor.config import get_monitor_config
from deepspeed.monitor.monitor import MonitorMaster

FOLDER = "trackers"


class Trackers:
    """The trackers of one attempt, on rank 0 of a process group that has been joined.

    They write below `<run_dir>/trackers/`: `csv/<attempt>/`, a file for each quantity;
    `tensorboard/<attempt>/`; and `wandb/`, offline unless WANDB_MODE says otherwise. An attempt
    begins a series of its own, since it repeats the steps after the last checkpoint.
    """

    def __init__(self, run_dir: Path, study: str, attempt: int, names: Sequence[Tracker]) -> None:
        """Open the trackers; raise SettingError if a package is missing."""
        check_packages(names)
        folder = run_dir / FOLDER
        part = f"{attempt:04d}"
        settings: dict[str, Any] = {
            key: {"enabled": True, "output_path": str(folder / name), "job_name": part}
            for name, key in (("csv", "csv_monitor"), ("tensorboard", "tensorboard"))
            if name in names
        }
        self._has_wandb = "wandb" in names
        if self._has_wandb:
            settings["wandb"] = {"enabled": True, "project": study, "group": run_dir.name}
            folder.mkdir(parents=True, exist_ok=True)
            os.environ.setdefault("WANDB_MODE", "offline")
            os.environ |= {"WANDB_DIR": str(folder), "WANDB_NAME": f"{run_dir.name}-{part}"}
        self._monitor = MonitorMaster(get_monitor_config(settings))

    def write(self, examples_seen: int, values: Mapping[str, float | None]) -> None:
        """Add a point to the series of each value that is known, at `examples_seen`."""
        self._monitor.write_events(
            [(name, value, examples_seen) for name, value in values.items() if value is not None]
        )

    def close(self) -> None:
        """Write what is buffered and close the files."""
        if self._monitor.tb_monitor is not None:
            self._monitor.tb_monitor.summary_writer.close()
        if self._has_wandb:
            import wandb  # an optional package

            wandb.finish()
