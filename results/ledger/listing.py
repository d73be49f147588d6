"""Which files of a table a study has: parts where their writers put them, and merged files."""

import os
from pathlib import Path

from results.ledger.files import is_temporary

COMPACT = "_compact"

# Time of the last change in ns and inode: distinguish a file from a later one of the same name.
Identity = tuple[int, int]


def identity(status: os.stat_result) -> Identity:
    """Return (mtime_ns, inode): tells a file from an earlier or later one of the same name."""
    return status.st_mtime_ns, status.st_ino


def list_own(study: Path, table: str) -> dict[str, Identity]:
    """List the parts of one table where their writers put them, by run and name."""
    found = {}
    for run in sorted(os.listdir(study)):
        if run.startswith("_") or is_temporary(run):
            continue
        try:
            if table == "runs":
                found[f"{run}/run.parquet"] = identity(Path(f"{study}/{run}/run.parquet").stat())
                continue
            with os.scandir(f"{study}/{run}/{table}") as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in inside:
            if entry.name.endswith(".parquet") and not is_temporary(entry.name):
                try:
                    found[f"{run}/{table}/{entry.name}"] = identity(entry.stat())
                except FileNotFoundError:
                    continue  # merged meanwhile: it is in a file that is listed later
    return found


def list_merged(study: Path, table: str) -> list[str]:
    """List the names of the merged files of one table.

    A folder that changes while it is listed may show neither a file that has just been made nor
    those it replaces; two equal listings in a row say that this did not happen.
    """
    before = None
    while True:
        try:
            found = sorted(os.listdir(study / COMPACT / table))
        except FileNotFoundError:
            found = []
        if found == before:
            return [n for n in found if n.endswith(".parquet") and not is_temporary(n)]
        before = found
