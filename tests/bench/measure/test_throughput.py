"""Measured speed: rows that hold together, and the search for the largest batch."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import models
import models.cost.macs
from bench.cli.app import main
from bench.measure import throughput
from results.ledger import parquet


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 63, 64, 65, 300, 1000])
def test_the_largest_batch_is_found_to_the_image(limit: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= limit

    assert throughput.largest_that_fits(fits) == limit
    assert len(tried) <= 2 * limit.bit_length() + 1


def test_the_search_stops_where_memory_has_no_end() -> None:
    assert throughput.largest_that_fits(lambda size: True, most=100) == 100


@pytest.mark.parametrize("mode", throughput.MODES)
@pytest.mark.parametrize("precision", throughput.PRECISIONS)
def test_a_row_holds_together(mode: str, precision: str) -> None:
    rows = throughput.measure("vit_nano2", [2, 4], mode=mode, precision=precision, seconds=0.0)
    for size, row in zip([2, 4], rows, strict=True):
        assert row["batch_size"] == size and row["fits"]
        assert row["num_steps"] == throughput.MIN_STEPS
        assert row["step_seconds_low"] <= row["step_seconds"] <= row["step_seconds_high"]
        assert row["images_per_second"] == pytest.approx(size / row["step_seconds"])
        cost = models.cost.macs.count(models.config("vit_nano2"))
        assert row["forward_macs_per_image"] == cost.forward_macs
        # A CPU has no peak and no memory of its own.
        assert row["model_flops_utilization"] is None and row["peak_memory_bytes"] is None


@pytest.mark.parametrize(("mode", "passes"), [("infer", 1), ("train", 3)])
def test_utilization_counts_the_passes_of_the_mode(
    monkeypatch: pytest.MonkeyPatch, mode: str, passes: int
) -> None:
    monkeypatch.setattr(throughput, "peak_flops", lambda *_: 1e12)
    (row,) = throughput.measure("vit_nano2", [2], mode=mode, seconds=0.0)
    flops = passes * 2 * row["forward_macs_per_image"] * 2
    assert row["model_flops_utilization"] == pytest.approx(flops / row["step_seconds"] / 1e12)


def test_without_batch_sizes_a_cpu_continues_while_steps_are_short() -> None:
    (row,) = throughput.measure("vit_nano2", [], mode="infer", seconds=0.0)
    assert row["batch_size"] == 1
    rows = throughput.measure("vit_nano2", [], mode="infer", seconds=0.5)
    assert [next(rows)["batch_size"] for _ in range(3)] == [1, 2, 4]


def test_the_largest_batch_is_predicted_from_free_memory() -> None:
    small = throughput.largest_predicted(models.config("vit_b16"), "fp32")
    large = throughput.largest_predicted(models.config("vit_l16"), "fp32")
    # B/16 keeps about 12 MB a block and image: no machine that runs this test holds 2**16 of them.
    assert 0 < large < small < throughput.LARGEST_TRIED


@pytest.mark.parametrize("text", ["x", "0", "4,-1", "1;2"])
def test_wrong_batch_sizes_are_refused(text: str) -> None:
    with pytest.raises(throughput.ThroughputError, match="--batch-sizes: given"):
        throughput.parse_sizes(text)


def _command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["throughput", *arguments, "--batch-sizes", "1", "--seconds", "0"])
    return int(end.value.code or 0)


def test_nothing_is_measured_before_all_is_known_to_be_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(throughput, "measure", lambda *_, **__: pytest.fail("measured"))
    output = str(tmp_path / "q.parquet")
    (tmp_path / "file").touch()
    for arguments in (
        ("vit_nano2", "nope", "-o", output),
        ("vit_nano2", "vit_b16", "--image-size", "8", "-o", output),
        ("vit_nano2", "--mode", "sleep", "-o", output),
        ("vit_nano2", "-o", str(tmp_path)),
        ("vit_nano2", "-o", str(tmp_path / "file" / "q.parquet")),
    ):
        assert _command(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_what_was_measured_before_a_failure_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measure = throughput.measure

    def fails_at_the_second(name: str, *given: Any, **more: Any) -> Iterator[throughput.Row]:
        if name == "vit_micro2":
            raise throughput.ThroughputError("out of luck")
        return measure(name, *given, **more)

    monkeypatch.setattr(throughput, "measure", fails_at_the_second)
    path = tmp_path / "q.parquet"
    assert _command("vit_nano2", "vit_micro2", "-o", str(path)) == 2
    assert [row["model"] for row in parquet.read_rows(path)] == ["vit_nano2"]


def test_an_accelerator_of_unknown_peak_gives_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert throughput.peak_warning("fp32") is None or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Abacus 9000")
    expected = "Abacus 9000: no peak at bf16 is known, utilization is null"
    assert throughput.peak_warning("bf16") == expected
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100-SXM4-40GB")
    assert throughput.peak_warning("bf16") is None


def test_the_command_writes_its_rows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "throughput", "vit_nano2", "--batch-sizes", "2"]
    command += ["--seconds", "0", "--root", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    (path,) = (tmp_path / "throughput").glob("*.parquet")
    (written,) = parquet.read_rows(path)
    assert written["images_per_second"] == row["images_per_second"]
