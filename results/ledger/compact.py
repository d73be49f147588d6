"""Merges the many small files of a study into few, while runs write and readers read.

Nobody waits for anybody. A merged file appears whole and is read back before what it holds is
taken away, so that after a kill at any point every row is in some file; a reader sees twice what
is in two of them, and counts it once. What jobs look for by name (`run.parquet`, `attempts/`,
`evals/`) stays where it is, and readers only open it when it has changed since; the parts of
`curve/` go.
"""

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from results.ledger import parquet
from results.ledger import segments as files
from results.ledger.files import remove_abandoned
from results.ledger.folders import check_study
from results.ledger.segments import (
    COMPACT,
    INDEX_KEY,
    MOVED,
    Identity,
    PartFile,
    Whole,
)
from results.schema import STUDY_TABLES, ResultsError


class NotWritten(ResultsError):
    """A merged file cannot be read back whole."""


@dataclass(frozen=True)
class Compacted:
    """What became of one table: how many rows of how many parts are merged; what is in the way."""

    table: str
    rows: int
    parts: int
    removed_files: int
    skipped: list[str]


def _retire(study: Path, name: str, which: Identity, table: str) -> int:
    """Remove a part that has been merged; return the number of files removed.

    It is renamed first, into the folder of the merged files, where readers still see it: so it
    cannot be the part's successor that goes, whose writer has just put it in its place.
    """
    aside = study / COMPACT / table / f"{uuid.uuid4().hex}.parquet"
    try:
        (study / name).rename(aside)
    except FileNotFoundError:
        return 0  # another `compact` was faster
    with suppress(FileNotFoundError):  # or has merged what was set aside
        if files.identity(aside.stat()) != which:
            with suppress(FileExistsError):  # it has a successor itself
                os.link(aside, study / name)
        aside.unlink()
    return 1


def _write(study: Path, table: str, whole: Whole) -> list[PartFile]:
    """Write all rows into one new file, except parts with columns that only they have.

    Returns the parts that are safe in it; none where it has been merged further already.
    """
    rows, kept = whole.rows, whole.parts
    if whole.newer:
        rows, kept = files.select(rows, kept, [part.name not in whole.newer for part in kept])
    name = f"{uuid.uuid4().hex}.parquet"
    path = study / COMPACT / table / name
    parquet.write_table(path, table, rows, {INDEX_KEY: files.index_text(kept)})
    read = files.read_merged(study, name, table)
    if read.vanished:
        return []
    if read.parts != kept or [len(found) for found in read.tables] != [len(rows)]:
        path.unlink()
        raise NotWritten(f"{path}: it cannot be read back: {' '.join(read.skipped)}")
    return kept


def _compact_table(study: Path, table: str) -> Compacted:
    """Merge one table of a study into one file, and remove the files it replaces."""
    whole = files.read_table(study, table)
    merged = whole.parts
    removed = remove_abandoned(study / COMPACT / table)
    if not whole.is_merged and len(whole.parts) > len(whole.newer):
        merged = _write(study, table, whole)
        for other in whole.merged if merged else ():
            (study / COMPACT / table / other).unlink(missing_ok=True)
            removed += 1
    if table in MOVED:
        for part in merged:
            if whole.own.get(part.name) == part.identity:
                removed += _retire(study, part.name, part.identity, table)
    return Compacted(table, whole.rows.num_rows, len(merged), removed, whole.skipped)


def compact(study: Path | str) -> list[Compacted]:
    """Merge the files of each table of a study, safely beside other readers and writers.

    Raises NotAStudy, and NotWritten where a merged file cannot be read back; then nothing is
    removed.
    """
    folder = check_study(Path(study))
    return [_compact_table(folder, table) for table in STUDY_TABLES]
