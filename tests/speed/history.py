"""Figures of the speed scripts over time: a Parquet file for each script, beside this one.

    python -m tests.speed.history              # the newest figure of each beside earlier ones
    python -m tests.speed.history store_speed  # of one script

A script hands its figures to `record`, which adds them to `history/<script>.parquet` with the
commit, the processor and the time. The command compares each newest figure with the median of the
earlier ones on the same processor, and exits 1 where it is more than a fifth worse.
"""

import argparse
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import psutil

from results.ledger.files import write_whole

FOLDER = Path(__file__).parent / "history"
SLOWER = 1.2  # medians of the scripts differ by up to a tenth between runs on a shared machine


@dataclass(frozen=True)
class Figure:
    """One measured value, the smaller the better; above `limit` its script exits 1."""

    name: str
    value: float
    unit: str = "s"
    limit: float | None = None

    @property
    def is_over(self) -> bool:
        """Return True above the limit."""
        return self.limit is not None and self.value > self.limit


def record(script: str, figures: Iterable[Figure], folder: Path = FOLDER) -> bool:
    """Add the figures to the script's history; return True if none is above its limit.

    `script` is the file's name or path.
    """
    found = list(figures)
    where = {
        "commit": _git("rev-parse", "--short", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "processor": _processor(),
        "num_cores": psutil.cpu_count(logical=True),
        "measured_at": datetime.now(UTC),
    }
    rows = pd.DataFrame([vars(figure) | where for figure in found])
    path = folder / f"{Path(script).stem}.parquet"
    if path.exists():
        rows = pd.concat([pd.read_parquet(path), rows.astype({"limit": "float64"})])
    write_whole(path, lambda stream: rows.to_parquet(stream, index=False))
    return not any(figure.is_over for figure in found)


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per figure: newest value, median of earlier ones, their number and ratio.

    Only figures of the newest one's processor and number of cores are compared; without an
    earlier one the ratio is missing.
    """
    rows = []
    for name, group in table.sort_values("measured_at").groupby("name", sort=False):
        last = group.iloc[-1]
        alike = (group.processor == last.processor) & (group.num_cores == last.num_cores)
        earlier = group[alike].iloc[:-1].value
        rows.append(
            {
                "name": name,
                "newest": last.value,
                "unit": last.unit,
                "earlier": earlier.median(),
                "n": len(earlier),
                "ratio": last.value / earlier.median() if len(earlier) else float("nan"),
                "commit": last.commit,
            }
        )
    return pd.DataFrame(rows)


def _git(*words: str) -> str | None:
    command = ("git", "-C", str(FOLDER.parent), *words)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def main() -> None:
    """Print the newest figures beside the earlier ones; exit 1 where one is a fifth worse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", nargs="*", help="Names of scripts; all by default.")
    names = parser.parse_args().script or sorted(path.stem for path in FOLDER.glob("*.parquet"))
    is_slower = False
    for name in names:
        found = compare(pd.read_parquet(FOLDER / f"{name}.parquet"))
        print(f"\n{name}\n{found.to_string(index=False, float_format='{:.3g}'.format)}")
        is_slower |= bool((found.ratio > SLOWER).any())
    sys.exit(is_slower)


if __name__ == "__main__":
    main()
