"""Open checkpoints lazily: names and shapes first, each array on access.

Nothing is unpickled, and nothing is allocated before the file is known to hold it.
"""

import json
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.checkpoints import pickled
from models.checkpoints.arrays import Arrays, unwrapped
from models.configs import CheckpointError

# Twice the largest registered network, ViT-G/14, in float32.
MAX_BYTES = 16 * 2**30
# Training checkpoints keep the weights in here, beside what belongs to the optimizer.
PREFIXES = ("opt/target/", "params/")
TRAINING_STATE = ("opt/", "extra/", "states/")
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,  # another version or compression of zip
    SafetensorError,
)
# Exceptions other than ValueError that NumPy's header parser can raise.
NO_HEADER = (SyntaxError, tokenize.TokenError, TypeError, RecursionError)
# NumPy stores JAX's bfloat16 as an opaque two-byte void type.
BFLOAT16 = np.dtype("V2")
ENCRYPTED = 1  # in a zip member's flags
INDEX = ".index.json"
PICKLE = b"\x80"  # how a pickle of protocol 2 and later begins


@contextmanager
def open_arrays(path: Path) -> Iterator[Arrays]:
    """Open weights; their format is detected from the first bytes.

    It is an `.npz`, a `.safetensors`, shards of these with their `.index.json` (or the folder that
    holds it), or a file of `torch.save`, of which nothing but tensors is unpickled. Names lose the
    prefixes that wrappers put before all of them, which is logged. Raises CheckpointError for a
    file that is missing, foreign, damaged, or over MAX_BYTES, also while arrays are read within
    the `with`.
    """
    try:
        path = _index_in(path) if path.is_dir() else path
        with path.open("rb") as file:
            start = file.read(9)
        if path.name.endswith(INDEX):
            with ExitStack() as stack:
                yield unwrapped(path, _sharded(path, stack))
        elif start[:2] == b"PK" and not _is_of_torch(path):
            with zipfile.ZipFile(path) as archive:
                yield _npz(archive)
        elif start[8:] == b"{":
            with safe_open(path, "pt") as tensors:
                yield unwrapped(path, _safetensors(tensors, path.stat().st_size))
        elif start[:2] == b"PK" or start[:1] == PICKLE:
            yield unwrapped(path, pickled.read(path, MAX_BYTES))
        else:
            raise CheckpointError("neither an .npz nor a .safetensors file, nor one of torch.save")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise CheckpointError(f"cannot be read: {error.strerror}") from error
    except DAMAGED as error:
        raise CheckpointError(f"cannot be read, perhaps it is truncated: {error}") from error


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise CheckpointError(f"holds {num_bytes} bytes; expected at most {MAX_BYTES}")


def _npz(archive: zipfile.ZipFile) -> Arrays:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    foreign = [info.filename for info in members.values() if not info.filename.endswith(".npy")]
    if foreign or not members:
        raise CheckpointError(f"a zip archive, but not an .npz file: {', '.join(foreign[:3])}")
    if any(info.flag_bits & ENCRYPTED for info in members.values()):
        raise CheckpointError("an encrypted zip archive, or a damaged one")
    if len(members) < len(archive.infolist()):
        raise CheckpointError("holds two arrays of one name")
    _check_size(sum(info.file_size for info in members.values()))
    names = _plain_names(list(members))
    shapes = {name: _plain_shape(_header(archive, members[raw])) for name, raw in names.items()}

    def read(name: str) -> Tensor:
        with archive.open(members[names[name]]) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        if array.dtype == BFLOAT16:
            tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(array)
        return tensor.float().reshape(shapes[name])

    return Arrays(shapes, {}, read)


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """Return the shape in an array's header, after checking its type and size."""
    with archive.open(info) as file:
        try:
            shape, dtype = _read_header(file)
        except NO_HEADER as error:
            raise CheckpointError(f"{info.filename}: damaged, no header of an array") from error
        num_bytes = info.file_size - file.tell()
    if dtype.kind != "f" and dtype != BFLOAT16:
        raise CheckpointError(f"{info.filename}: expected floating-point numbers, got {dtype}")
    if math.prod(shape) * dtype.itemsize != num_bytes:
        raise CheckpointError(f"{info.filename}: shape {shape} does not fit in {num_bytes} bytes")
    return shape


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype


def _plain_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Flatten the (1, 1, 1, C) of older group norms to (C,) (google/flax issue 1721)."""
    return shape[3:] if len(shape) == 4 and shape[:3] == (1, 1, 1) else shape


def _plain_names(raw: list[str]) -> dict[str, str]:
    """Map canonical names to names in the file, leaving out optimizer state."""
    prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in raw)), "")
    names: dict[str, str] = {}
    for name in raw:
        if prefix and not name.startswith(prefix) and name.startswith(TRAINING_STATE):
            continue
        # Some BiT files number the convolutions of a unit (big_vision/models/bit_paper.py).
        plain = re.sub(r"/standardized_conv2d_\d+/", "/standardized_conv2d/", name)
        plain = plain.removeprefix(prefix)
        if plain in names:
            raise CheckpointError(f"{names[plain]} and {name} mean the same array")
        names[plain] = name
    return names


def _is_of_torch(path: Path) -> bool:
    """Return whether a zip archive was written by `torch.save`."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())


def _index_in(folder: Path) -> Path:
    """Return the index of shards in a folder, or its only file of weights."""
    found = sorted(folder.glob(f"*{INDEX}")) or sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise CheckpointError(
            f"a directory with {len(found)} files of weights, expected one or an *{INDEX}"
        )
    return found[0]


def _sharded(index: Path, stack: ExitStack) -> Arrays:
    """Return the arrays of all shards that an index lists, beside it."""
    try:
        places = json.loads(index.read_bytes())["weight_map"]
        names = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError("not an index of shards: expected a weight_map") from error
    foreign = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if foreign:
        raise CheckpointError(f"shard {foreign[0]!r}: expected a file beside the index")
    files = [index.with_name(name) for name in names]
    _check_size(sum(file.stat().st_size for file in files))
    shards = {
        name: _safetensors(stack.enter_context(safe_open(file, "pt")), 0)
        for name, file in zip(names, files, strict=True)
    }
    missing = [array for array, shard in places.items() if array not in shards[shard].shapes]
    if missing:
        raise CheckpointError(f"{missing[0]} is not in {places[missing[0]]}, as the index says")
    shapes = {array: shards[shard].shapes[array] for array, shard in places.items()}
    return Arrays(shapes, {}, lambda name: shards[places[name]].read(name))


def _safetensors(tensors: Any, num_bytes: int) -> Arrays:
    _check_size(num_bytes)
    shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118

    def read(name: str) -> Tensor:
        tensor: Tensor = tensors.get_tensor(name)
        if not tensor.is_floating_point():
            raise CheckpointError(f"{name}: expected floating-point numbers, got {tensor.dtype}")
        return tensor.float()

    return Arrays(shapes, tensors.metadata() or {}, read)
