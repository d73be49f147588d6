"""The verbs that look after a ledger itself."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import show
from results import compact as compacts


def compact(studies: Sequence[Path], *, json: bool) -> None:
    """Merges the small files of some studies, and prints what became of each table."""
    rows = []
    for study in studies:
        for done in compacts.compact(study):
            for line in done.skipped:
                show.note(f"skipped: {line}")
            rows.append({"study": study.name, **asdict(done)})
    if json:
        show.document(rows)
        return
    for row in rows:
        show.note(
            "{study}: {table}: {rows:,} rows of {parts:,} parts are in one file; "
            "{removed_files:,} files removed".format(**row)
        )
