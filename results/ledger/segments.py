"""The files of a study's tables: parts as their writers left them, and what `compact` merged.

A part belongs to one writer and appears whole. A merged file holds the rows of many parts, one
part after the other, and an index of them in its metadata: each part's name in the study, what
told this file from any other of that name, and its number of rows. So a reader knows which parts
it need not open, and which rows a part that was written again has replaced.
"""

import errno
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from results.ledger import parquet
from results.ledger.listing import COMPACT as COMPACT
from results.ledger.listing import Identity as Identity
from results.ledger.listing import identity as identity
from results.ledger.listing import list_merged as list_merged
from results.ledger.listing import list_own as list_own
from results.schema import ResultsError, Row, columns

INDEX_KEY = "scalestudy.parts"
FORMER_INDEX_KEY = "scalebench.parts"  # the name of the package before 0.2
MOVED = frozenset({"curve"})  # parts nobody looks for by name: once merged, they are removed
THREADS = 4  # waits for a network file system overlap; on a local disk no gain and no loss
CHUNK_FILES = 64
GONE = (errno.ENOENT, errno.ESTALE)


@dataclass(frozen=True)
class PartFile:
    """A part that was read: its name (as run/curve/0001.parquet), which file it was, its rows."""

    name: str
    identity: Identity
    num_rows: int


@dataclass
class Read:
    """The rows of some parts, in the order of `parts`, and what was in the way.

    `skipped` has a line per unreadable file, `vanished` the names of files that are gone, `newer`
    the columns that this version does not know, by part.
    """

    tables: list[pa.Table] = field(default_factory=list)
    parts: list[PartFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    newer: dict[str, list[str]] = field(default_factory=dict)


# --- what is in them


def _conform(part: pa.Table, table: str, wanted: pa.Schema) -> pa.Table:
    """`part` with exactly the columns of `table`: null where it is older, cast where it differs."""
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


def _read_chunk(study: Path, names: Iterable[str], table: str) -> Read:
    wanted = parquet.arrow_schema(table)
    known = set(wanted.names)
    read, lone, lone_parts = Read(), list[Row](), list[PartFile]()
    for name in names:
        path = f"{study}/{name}"
        try:
            with Path(path).open("rb", buffering=0) as file:
                which = identity(os.fstat(file.fileno()))
                content = file.read()
            rows = parquet.decode_part(content, path)
            if isinstance(rows, dict):
                if rows.keys() == known:
                    lone.append(rows)
                    lone_parts.append(PartFile(name, which, 1))
                    continue
                rows = pa.Table.from_pylist([rows])
            conformed = _conform(rows, table, wanted)
        except (ResultsError, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno in GONE:
                read.vanished.append(name)
                continue
            text = str(error)
            read.skipped.append(text if path in text else f"{path}: {text}")
            continue
        read.tables.append(conformed)
        read.parts.append(PartFile(name, which, conformed.num_rows))
        if not known.issuperset(rows.schema.names):
            read.newer[name] = sorted(set(rows.schema.names) - known)
    if lone:
        read.tables.append(pa.Table.from_pylist(lone, wanted))
        read.parts += lone_parts
    read.tables = [pa.concat_tables(read.tables).combine_chunks()] if read.tables else []
    return read


def read_own(study: Path, names: list[str], table: str) -> Read:
    """Read the rows of these parts; damaged or missing ones are reported, not raised."""
    chunks = [names[at : at + CHUNK_FILES] for at in range(0, len(names), CHUNK_FILES)]
    together = Read()
    with ThreadPoolExecutor(THREADS) as pool:
        for read in pool.map(lambda chunk: _read_chunk(study, chunk, table), chunks):
            together.tables += read.tables
            together.parts += read.parts
            together.skipped += read.skipped
            together.vanished += read.vanished
            together.newer |= read.newer
    return together


def index_text(parts: Iterable[PartFile]) -> str:
    """Return the index of a merged file, for its metadata."""
    return json.dumps([[part.name, *part.identity, part.num_rows] for part in parts])


def read_merged(study: Path, name: str, table: str) -> Read:
    """Read the rows of one merged file; one without an index counts as a part by its name."""
    path = study / COMPACT / table / name
    try:
        content = parquet.read_table(path)
        rows = _conform(content, table, parquet.arrow_schema(table))
        pairs = content.schema.metadata or {}
        text = pairs.get(INDEX_KEY.encode()) or pairs.get(FORMER_INDEX_KEY.encode())
        index = json.loads(text or b"null") or [[f"{COMPACT}/{table}/{name}", 0, 0, rows.num_rows]]
    except (ResultsError, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in GONE:
            return Read(vanished=[name])
        return Read(skipped=[str(error) if str(path) in str(error) else f"{path}: {error}"])
    read = Read([rows], [PartFile(part, (at, inode), count) for part, at, inode, count in index])
    unknown = sorted(set(content.schema.names) - set(rows.schema.names))
    read.newer = {part.name: unknown for part in read.parts} if unknown else {}
    return read


# --- all of a table


@dataclass(frozen=True)
class Whole:
    """All rows of a table of a study, each once, with the parts they are from.

    `own` are the parts that were listed where their writers put them, `merged` the names of the
    merged files that were read and understood, `is_merged` says whether one of them holds exactly
    these rows.
    """

    rows: pa.Table
    parts: list[PartFile]
    own: dict[str, Identity]
    merged: list[str]
    is_merged: bool
    skipped: list[str]
    newer: dict[str, list[str]]


def _read_all_merged(study: Path, table: str, before: dict[str, Read]) -> dict[str, Read]:
    """Read the merged files that there are, except those in `before`."""
    while True:
        found = {
            name: before.get(name) or read_merged(study, name, table)
            for name in list_merged(study, table)
        }
        before = {name: read for name, read in found.items() if not read.vanished}
        if len(before) == len(found):
            return found


def _chosen(study: Path, reads: list[Read], own: dict[str, Identity], table: str) -> list[bool]:
    """For each part of the reads, merged ones first, whether its rows are the ones that count.

    The newest of a name do. What is removed by hand does not count any more: the run's folder, or
    the part's file where `compact` leaves it.
    """
    folders = {COMPACT, *os.listdir(study)}
    best: dict[str, tuple[Identity, int]] = {}
    parts = [part for read in reads for part in read.parts]
    num_merged = len(parts) - len(reads[-1].parts)
    for at, part in enumerate(parts):
        if at >= num_merged:
            best[part.name] = part.identity, at
        elif part.name not in best or part.identity > best[part.name][0]:
            run = part.name.split("/")[0]
            moved = table in MOVED or run == COMPACT or part.name in own
            if run in folders and (moved or (study / part.name).exists()):
                best[part.name] = part.identity, at
    kept = {at for _, at in best.values()}
    return [at in kept for at in range(len(parts))]


def select(
    rows: pa.Table, parts: list[PartFile], kept: list[bool]
) -> tuple[pa.Table, list[PartFile]]:
    """Return the rows of the chosen parts by the names of the parts; without an index first."""
    names = [(not part.name.startswith(COMPACT), part.name.split("/")) for part in parts]
    order = sorted((at for at, keep in enumerate(kept) if keep), key=names.__getitem__)
    if order == list(range(len(parts))):
        return rows, parts
    counts = np.array([part.num_rows for part in parts], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    chosen = np.array(order, dtype=np.int64)
    lengths = counts[chosen]
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows.take(np.repeat(starts[chosen], lengths) + steps), [parts[at] for at in order]


def _without_doubles(
    rows: pa.Table, parts: list[PartFile], table: str
) -> tuple[pa.Table, list[PartFile]]:
    """Of rows that agree in the key, the last one."""
    key = [column.name for column in columns(table) if column.key]
    double = rows.select(key).to_pandas().duplicated(keep="last").to_numpy()
    if not double.any():
        return rows, parts
    ends = np.cumsum([part.num_rows for part in parts])
    left = np.diff(np.concatenate([[0], np.cumsum(~double)])[np.concatenate([[0], ends])])
    counted = zip(parts, left.tolist(), strict=True)
    return rows.filter(~double), [replace(part, num_rows=count) for part, count in counted]


def read_table(study: Path, table: str) -> Whole:
    """All rows of one table of a study, while others write and merge its files.

    Where the writers put their files is listed first, what was merged afterwards: a part that is
    merged in between is found twice, and counts once, but is never missed.
    """
    own = list_own(study, table)
    merged = _read_all_merged(study, table, {})
    indexed = {(part.name, part.identity) for read in merged.values() for part in read.parts}
    read = read_own(study, [name for name in own if (name, own[name]) not in indexed], table)
    if read.vanished:
        merged = _read_all_merged(study, table, merged)
    reads = [*merged.values(), read]
    kept = _chosen(study, reads, own, table)
    is_merged = len(merged) == 1 and not read.parts and all(kept)
    tables = [rows for read in reads for rows in read.tables]
    rows = pa.concat_tables([parquet.arrow_schema(table).empty_table(), *tables])
    parts = [part for read in reads for part in read.parts]
    if not is_merged:
        rows, parts = select(rows, parts, kept)
        rows, parts = _without_doubles(rows, parts, table)
    skipped = [line for read in reads for line in read.skipped]
    newer = {name: unknown for read in reads for name, unknown in read.newer.items()}
    understood = [name for name, found in merged.items() if not found.skipped and not found.newer]
    return Whole(rows, parts, own, understood, is_merged, skipped, newer)
