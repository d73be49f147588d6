"""Studies from disk as pandas tables, however far they have come."""

import errno
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from results import parquet
from results.files import is_temporary
from results.schema import ResultsError, Row, columns

THREADS = 4  # waits for a network file system overlap; on a local disk no gain and no loss
CHUNK_FILES = 64
TRIES = 3  # a file that vanished was merged into another, which only a second look finds

# Numbers that are whole stay whole beside nulls; floats hold null as NaN, as all of numpy does.
PANDAS_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=np.nan),
}


class NotAStudy(ResultsError):
    """The path is no folder of a study."""


@dataclass(frozen=True)
class Study:
    """The four tables of one or several studies: `runs` at once, the others when first asked for.

    Columns are those of `results.schema`, complete even where a file is older; a table without
    rows has them all the same. `skipped` says, in one line each, which files were passed over
    because they cannot be read, in the tables read so far.
    """

    folders: tuple[Path, ...]
    skipped: list[str] = field(default_factory=list)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run that ended, done or failed."""
        return self._read("runs")

    @cached_property
    def evals(self) -> pd.DataFrame:
        """One row per evaluation."""
        return self._read("evals")

    @cached_property
    def curve(self) -> pd.DataFrame:
        """The training curves; after a resumption, both attempts' rows of a step are there."""
        return self._read("curve")

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """One row per attempt, also of runs that have not ended."""
        return self._read("attempts")

    def _read(self, table: str) -> pd.DataFrame:
        for _ in range(TRIES):
            files = [file for folder in self.folders for file in list_parts(folder, table)]
            read = _read_files(files, table)
            if not read.vanished:
                break
        self.skipped.extend(read.skipped)
        together = pa.concat_tables([parquet.arrow_schema(table).empty_table(), *read.parts])
        frame = together.to_pandas(types_mapper=PANDAS_TYPES.get)
        key = [column.name for column in columns(table) if column.key]
        return frame.drop_duplicates(key, keep="last", ignore_index=True)


def list_parts(study: Path, table: str) -> Iterator[Path]:
    """The files of one table of a study, by run and name; temporary ones are left out.

    What `compact` merged lies in a folder whose name begins with "_", and comes first: where a
    row is in both, the run's own file is the newer one.
    """
    folders = sorted(
        (entry for entry in study.iterdir() if not is_temporary(entry.name)),
        key=lambda entry: (not entry.name.startswith("_"), entry.name),
    )
    for folder in folders:
        try:
            inside = sorted((folder if table == "runs" else folder / table).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        for file in inside:
            right = file.name == "run.parquet" if table == "runs" else file.suffix == ".parquet"
            if right and not is_temporary(file.name):
                yield file


def _conform(part: pa.Table, table: str) -> pa.Table:
    """`part` with exactly the columns of `table`: null where it is older, cast where it differs."""
    wanted = parquet.arrow_schema(table)
    if part.schema.equals(wanted):
        return part.replace_schema_metadata(None)
    for column in columns(table):
        if column.required and column.name not in part.schema.names:
            raise parquet.WrongColumns(f"column {column.name} is missing")
    arrays = []
    for name, kind in zip(wanted.names, wanted.types, strict=True):
        if name in part.schema.names:
            arrays.append(part.column(name).cast(kind))
        else:
            arrays.append(pa.nulls(part.num_rows, kind))
    return pa.table(arrays, schema=wanted)


@dataclass
class _Read:
    """What came of reading some files: tables, a line per unreadable file, vanished files."""

    parts: list[pa.Table] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    vanished: int = 0


def _read_chunk(files: list[Path], table: str) -> _Read:
    names = {column.name for column in columns(table)}
    read, lone = _Read(), list[Row]()
    for file in files:
        try:
            content = file.read_bytes()
            row = parquet.lone_row(content)
            if row is not None and row.keys() == names:
                lone.append(row)
            else:
                read.parts.append(_conform(parquet.decode(content, file), table))
        except (ResultsError, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ESTALE):
                read.vanished += 1
                continue
            text = str(error)
            read.skipped.append(text if str(file) in text else f"{file}: {text}")
    if lone:
        read.parts.append(pa.Table.from_pylist(lone, parquet.arrow_schema(table)))
    return read


def _read_files(files: list[Path], table: str) -> _Read:
    chunks = [files[at : at + CHUNK_FILES] for at in range(0, len(files), CHUNK_FILES)]
    together = _Read()
    with ThreadPoolExecutor(THREADS) as pool:
        for read in pool.map(lambda chunk: _read_chunk(chunk, table), chunks):
            together.parts += read.parts
            together.skipped += read.skipped
            together.vanished += read.vanished
    return together


def _check_study(path: Path) -> Path:
    expected = "expected the folder of a study, as runs/<study>"
    if not path.is_dir():
        what = "which is a file" if path.exists() else "which does not exist"
        raise NotAStudy(f"given {path}, {what}; {expected}")
    if (path / "study.json").is_file() or any(path.glob("*/config.json")):
        return path
    if any(path.glob("*/run.parquet")):
        return path
    inside = sorted(found.parent.name for found in path.glob("*/study.json"))
    hint = f" (there are studies in it: {', '.join(inside)})" if inside else ""
    raise NotAStudy(f"given {path}, which has neither study.json nor runs; {expected}{hint}")


def load(paths: Path | str | Iterable[Path | str]) -> Study:
    """The study in one folder, or several studies taken together.

    >>> load("runs/digits").runs.groupby("label").top1_accuracy.mean()  # doctest: +SKIP

    Half-finished studies, files that vanish while they are listed, and files of older versions
    are all right. Raises NotAStudy.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise NotAStudy("given no path; expected the folder of a study, as runs/<study>")
    unique = {path.resolve(): path for path in map(Path, given)}
    study = Study(tuple(_check_study(path) for path in unique.values()))
    _ = study.runs  # read now, so that `skipped` holds its files from the start
    return study
