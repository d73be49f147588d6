"""Files that are damaged, foreign or hostile are refused in one line."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import models
from models.checkpoints import files
from models.checkpoints.convert import to_npz
from tests.helpers.paths import DATA

TOKEN = DATA / "vit_p8_d64_l3_h4_token.npz"


def _refused(path: Path) -> str:
    with pytest.raises(models.CheckpointError) as error:
        models.load_checkpoint(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_npz(share: float, tmp_path: Path) -> None:
    content = TOKEN.read_bytes()
    path = tmp_path / "x.npz"
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated" in _refused(path)


def test_a_flipped_byte(tmp_path: Path) -> None:
    content = bytearray(TOKEN.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert "cannot be read" in _refused(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_safetensors(share: float, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    models.save_checkpoint(models.build("vit_nano2", num_classes=3), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated" in _refused(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_text("hello, this is not a checkpoint")
    assert "neither an .npz nor a .safetensors" in _refused(path)
    path.write_bytes(b"")
    assert "neither an .npz nor a .safetensors" in _refused(path)
    torch.save({"weight": torch.zeros(3)}, path)
    assert "not named like a ViT, hybrid or BiT" in _refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not an .npz file" in _refused(path)
    np.savez(path, weight=np.zeros(3, np.float32))
    assert "not named like a ViT, hybrid or BiT" in _refused(path)
    assert "No such file" in _refused(tmp_path / "missing.npz")
    assert "directory" in _refused(tmp_path)


def test_pickled_objects_and_whole_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, weight=np.array([{"a": 1}], dtype=object))
    assert "expected floating-point numbers, got object" in _refused(path)
    np.savez(path, weight=np.zeros(3, int))
    assert "expected floating-point numbers, got int64" in _refused(path)


def test_a_file_over_the_limit_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    assert "expected at most 1000" in _refused(TOKEN)
    path = tmp_path / "x.safetensors"
    models.save_checkpoint(models.build("vit_nano2", num_classes=3), path)
    assert "expected at most 1000" in _refused(path)


def test_a_header_that_claims_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, claim)
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("embedding/kernel.npy", header.getvalue() + b"\0" * 64)
    assert "shape (1000000, 1000000) does not fit in 64 bytes" in _refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(TOKEN) as source, zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("cls.npy", source.read("cls.npy"))
    assert "two arrays of one name" in _refused(path)


def test_metadata_that_describes_no_network(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for config in ("{", '{"family": "gpt"}'):
        metadata = {"config": config, "num_classes": "3"}
        save_file({"head.weight": torch.zeros(3, 4)}, path, metadata=metadata)
        assert "metadata does not describe a network" in _refused(path)


def _with_header(header: bytes, path: Path) -> None:
    """An .npz whose one array says this; large, so that its checksum is not read first."""
    length = len(header).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cls.npy", b"\x93NUMPY\x01\x00" + length + header + b"\0" * 2**16)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': [(2,)}",
        b"{1: 2, 'shape': (2,)}",
        b"{[]: 2}",
        b"(" * 5000,
        b"\0\0\0",
    ],
)
def test_a_damaged_array_header(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    _with_header(header, path)
    assert "cls.npy: damaged" in _refused(path) or "cannot be read" in _refused(path)


@pytest.mark.parametrize(("offset", "value"), [(6, 144), (8, 1), (10, 99)])
def test_a_damaged_zip_directory(offset: int, value: int, tmp_path: Path) -> None:
    # Version needed, flags (1: encrypted) and compression of the first entry (APPNOTE 4.3.12).
    content = bytearray(TOKEN.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert "cannot be read" in _refused(path) or "encrypted" in _refused(path)


def test_bfloat16_of_jax_is_read(tmp_path: Path) -> None:
    # numpy has no such type: JAX's arrays are written as two raw bytes, the upper half of float32.
    network = models.load_checkpoint(TOKEN)
    arrays = {name: array.view(np.uint32) for name, array in to_npz(network).items()}
    halves = {name: (array >> 16).astype(np.uint16) for name, array in arrays.items()}
    path = tmp_path / "x.npz"
    np.savez(path, **{name: array.view("V2") for name, array in halves.items()})  # type: ignore[arg-type]
    again = to_npz(models.load_checkpoint(path))
    for name, half in halves.items():
        assert np.array_equal(again[name].view(np.uint32), half.astype(np.uint32) << 16), name
