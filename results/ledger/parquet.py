"""Whole Parquet files: our tables out and in, and what a data set's own files hold."""

import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from results import schema as tables
from results.ledger.files import write_whole
from results.schema import ResultsError, Row

ARROW_TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}
ROW_KEY = f"scalestudy.row.{tables.SCHEMA_VERSION}"
CRC_DIGITS = 8
END_BYTES = 8  # a Parquet file ends with the length of its footer (4 bytes) and "PAR1"


class NotParquet(ResultsError):
    """The file is empty, cut off, or of another kind."""


class WrongColumns(ResultsError):
    """The file is Parquet, but a column is missing or of the wrong type."""


# --- our tables


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of one of our tables; raise SchemaError for an unknown one."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in tables.columns(table)])


def _metadata(table: str) -> dict[str, str]:
    units = {column.name: column.unit for column in tables.columns(table) if column.unit}
    return {
        "scalestudy.table": table,
        "scalestudy.schema_version": str(tables.SCHEMA_VERSION),
        "scalestudy.writer_version": tables.WRITER_VERSION,
        "scalestudy.units": json.dumps(units),
    }


def _row_text(row: Row, data: bytes) -> str:
    """Return the only row of a file as JSON, after a checksum of it and of the data it repeats."""
    times = [name for name, value in row.items() if isinstance(value, datetime)]
    plain = row | {name: row[name].isoformat() for name in times}
    text = json.dumps({"times": times, "row": plain})
    return f"{zlib.crc32(text.encode(), zlib.crc32(data)):0{CRC_DIGITS}x}{text}"


def write(path: Path | str, table: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write `rows` of `table` (a name of `schema.TABLES`) as one whole file; return its path.

    Missing columns become null. The file's metadata hold table, schema version, writer version
    and units. A lone row stands in the footer a second time, as JSON: reading thousands of such
    files takes a third of the time (`read_rows`). Raises SchemaError before anything is
    written.
    """
    checked = tables.check(table, rows)
    content = io.BytesIO()
    with pq.ParquetWriter(content, arrow_schema(table)) as writer:
        writer.write_table(pa.Table.from_pylist(checked, arrow_schema(table)))
        writer.add_key_value_metadata(_metadata(table))
        if len(checked) == 1:
            writer.add_key_value_metadata({ROW_KEY: _row_text(checked[0], content.getvalue())})

    def fill(stream: BinaryIO) -> None:
        stream.write(content.getbuffer())

    return write_whole(path, fill)


def write_table(
    path: Path | str, table: str, rows: pa.Table, pairs: Mapping[str, str] | None = None
) -> Path:
    """Write an Arrow table with exactly the columns of `table` as one whole file.

    `pairs` go into the file's metadata, besides our own; every page has a checksum.
    """

    def fill(stream: BinaryIO) -> None:
        with pq.ParquetWriter(stream, arrow_schema(table), write_page_checksum=True) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata(_metadata(table) | dict(pairs or {}))

    return write_whole(path, fill)


def lone_row(content: bytes, pairs: Mapping[bytes, bytes]) -> Row | None:
    """Return the row that the footer of a file repeats, in a third of the time of its columns.

    None where there is none, it is of another schema version, or the file was changed by a tool
    that left our metadata in it.
    """
    value = pairs.get(ROW_KEY.encode(), b"")
    crc, text = value[:CRC_DIGITS], value[CRC_DIGITS:]
    footer = END_BYTES + int.from_bytes(content[-END_BYTES:-4], "little")
    if crc != f"{zlib.crc32(text, zlib.crc32(content[:-footer])):0{CRC_DIGITS}x}".encode():
        return None
    lone = json.loads(text)
    row: Row = lone["row"]
    return row | {name: datetime.fromisoformat(row[name]) for name in lone["times"]}


def decode(content: bytes, path: Path | str) -> pa.Table:
    """Return the bytes of a whole file as an Arrow table; raise NotParquet naming `path`."""
    with _opened(path, pa.BufferReader(content)) as file:
        return file.read(use_threads=False)


def decode_part(content: bytes, path: Path | str) -> pa.Table | Row:
    """As `decode`, or the only row of a file whose footer repeats it; raises NotParquet."""
    with _opened(path, pa.BufferReader(content)) as file:
        if file.metadata.num_rows == 1:
            row = lone_row(content, file.metadata.metadata or {})
            if row is not None:
                return row
        return file.read(use_threads=False)


def read_table(path: Path | str) -> pa.Table:
    """All of a Parquet file, with checksums verified and the file's metadata in the schema's.

    Raises NotParquet, and FileNotFoundError where there is nothing.
    """
    with _opened(path, page_checksum_verification=True) as file:
        return file.read().replace_schema_metadata(file.metadata.metadata)


def read_rows(path: Path | str) -> list[Row]:
    """Return the rows of one file of ours, with the columns that the file has.

    Raises NotParquet, and FileNotFoundError where there is nothing.
    """
    found = decode_part(Path(path).read_bytes(), path)
    return [found] if isinstance(found, dict) else found.to_pylist()


# --- any Parquet file


@contextmanager
def _opened(path: Path | str, source: Any = None, **options: Any) -> Iterator[pq.ParquetFile]:
    """Open a file; raise NotParquet, also for errors while it is read inside the block."""
    try:
        with pq.ParquetFile(path if source is None else source, **options) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise NotParquet(f"{path}: expected a whole Parquet file: {reason}") from error


def schema(path: Path | str) -> pa.Schema:
    """Return the Arrow schema of any Parquet file with its metadata; raise NotParquet."""
    with _opened(path) as file:
        return file.schema_arrow


def metadata(path: Path | str) -> dict[str, str]:
    """Return the key-value metadata of any Parquet file as text; raise NotParquet."""
    with _opened(path) as file:
        pairs = file.metadata.metadata or {}
    return {key.decode(): value.decode(errors="replace") for key, value in pairs.items()}


def columns(path: Path | str) -> list[str]:
    """Return the names of the top-level columns of any Parquet file; raise NotParquet."""
    return list(schema(path).names)


def num_rows(path: Path | str) -> int:
    """How many rows any Parquet file has, from its footer alone; raises NotParquet."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_column(path: Path | str, name: str) -> npt.NDArray[Any]:
    """One column (N,) of any Parquet file, nothing else being read.

    Raises NotParquet, and WrongColumns where the column is missing or holds nulls.
    """
    with _opened(path) as file:
        if name not in file.schema_arrow.names:
            have = ", ".join(file.schema_arrow.names)
            raise WrongColumns(f"{path}: column {name!r} is missing; it has {have}")
        column = file.read(columns=[name]).column(name)
    if column.null_count:
        raise WrongColumns(f"{path}: column {name!r} has {column.null_count} nulls, expected none")
    labels: npt.NDArray[Any] = column.to_numpy()
    return labels


# --- a data set of images, in the layout of the Hugging Face hub


def image_labels(
    path: Path | str, image: str = "image", label: str = "label"
) -> npt.NDArray[np.int64]:
    """Return the labels (N,) of a data set's file with images as `struct<bytes, path>`.

    The images are not read. Raises NotParquet, and WrongColumns naming what was expected.
    """
    have = schema(path)
    for name in (image, label):
        if name not in have.names:
            raise WrongColumns(
                f"{path}: column {name!r} is missing; it has {', '.join(have.names)}"
            )
    kind = have.field(image).type
    parts = {part.name: part.type for part in kind} if pa.types.is_struct(kind) else {}
    if parts.get("bytes") not in (pa.binary(), pa.large_binary()):
        raise WrongColumns(
            f"{path}: column {image!r} is {kind}, expected struct<bytes: binary, path: string>"
        )
    if not pa.types.is_integer(have.field(label).type):
        raise WrongColumns(
            f"{path}: column {label!r} is {have.field(label).type}, expected whole numbers"
        )
    return read_column(path, label).astype(np.int64)


def class_names(path: Path | str, label: str = "label") -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library leaves in a file's metadata.

    None where the file has none. Raises NotParquet.
    """
    text = (schema(path).metadata or {}).get(b"huggingface")
    if text is None:
        return None
    try:
        names = json.loads(text)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(str(name) for name in names) if isinstance(names, list) else None
