"""Studies from disk as pandas tables, however far they have come."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from results.ledger import origin as traces
from results.ledger import segments
from results.ledger.folders import NotAStudy as NotAStudy
from results.ledger.folders import check_study, matching
from results.schema import columns

# Numbers that are whole stay whole beside nulls; floats hold null as NaN, as all of numpy does.
PANDAS_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=np.nan),
}


@dataclass(frozen=True)
class Study:
    """The four tables of one or several studies: `runs` at once, the others when first asked for.

    Columns are those of `results.schema`, complete even where a file is older; a table without
    rows has them all the same. `skipped` says, in one line each, which files were passed over
    because they cannot be read, in the tables read so far; `notes`, which columns of newer files
    were left out. With `only`, pairs of study and run id, the tables hold what belongs to these.
    """

    folders: tuple[Path, ...]
    only: frozenset[tuple[str, str]] | None = None
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

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
        wholes = [segments.read_table(folder, table) for folder in self.folders]
        for whole in wholes:
            self.skipped.extend(whole.skipped)
            self.notes.extend(_about_newer(whole.newer))
        together = pa.concat_tables([whole.rows for whole in wholes])
        frame: pd.DataFrame = together.to_pandas(types_mapper=PANDAS_TYPES.get)
        if self.only is not None:
            pairs = pd.MultiIndex.from_frame(frame[["study", "run_id"]])
            frame = frame[pairs.isin(list(self.only))].reset_index(drop=True)
        if len(wholes) == 1:
            return frame
        key = [column.name for column in columns(table) if column.key]
        return frame.drop_duplicates(key, keep="last", ignore_index=True)


def _about_newer(newer: dict[str, list[str]]) -> list[str]:
    """Return a line if files have columns that a later version of this program has written."""
    if not newer:
        return []
    names = ", ".join(sorted({column for unknown in newer.values() for column in unknown}))
    return [f"{len(newer)} files, {next(iter(newer))} first, have columns unknown here: {names}"]


def load(paths: Path | str | Iterable[Path | str]) -> Study:
    """Load the study in one folder, or several studies together, as `load("runs/vit-*")`.

    >>> load("runs/digits").runs.groupby("label").top1_accuracy.mean()  # doctest: +SKIP

    Half-finished studies, files that vanish while they are listed, and files of older versions
    are all right. Raises NotAStudy.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    given = [one for path in given for one in matching(path)]
    if not given:
        raise NotAStudy("given no path; expected the folder of a study, as runs/<study>")
    unique = {path.resolve(): path for path in map(Path, given)}
    study = Study(tuple(check_study(path) for path in unique.values()))
    _ = study.runs  # read now, so that `skipped` holds its files from the start
    return study


def trace(study: Path | str, run_id: str) -> traces.Trace:
    """Where the rows of a run are from: code, environment, hosts, seeds, images, attempts.

    >>> trace("runs/digits", "vit_nano2-digits-n100").code[0].patch  # doctest: +SKIP

    The run's id may be cut short. Raises NotAStudy and UnknownRun.
    """
    return traces.trace(check_study(Path(study)), run_id)
