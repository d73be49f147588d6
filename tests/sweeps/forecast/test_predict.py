"""Speeds from the ledger, of the same network on the same kind of device, and from data sheets."""

from pathlib import Path
from typing import Any

import pytest

from bench.run.accelerators import find
from results.ledger import parquet
from sweeps.forecast.predict import Kind, read_ledger, speed
from sweeps.resources import Resources

MACS = 1_000_000
KIND = Kind("vit_nano2", 8, MACS, "fp32", images=32, zero_stage=0)


def row(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "study": "before",
        "run_id": "r",
        "state": "done",
        "model": "vit_nano2",
        "image_size": 8,
        "forward_macs_per_image": MACS,
        "recipe": "adam lr=0.001 fp32",
        "batch_size": 64,
        "examples_seen": 640,
        "images_per_second": 200.0,
        "num_devices": 2,
        "device": "some CPU",
        "peak_memory_bytes": None,
        "energy_joules": None,
        "startup_seconds": 5.0,
        "eval_seconds": 1.0,
        "checkpoint_seconds": 2.0,
    }
    return values | changes


def gpu(device: str, **changes: Any) -> dict[str, Any]:
    return row(device=device, peak_memory_bytes=10**9, **changes)


def test_speed_is_that_of_one_device_with_what_else_a_run_takes() -> None:
    found = speed(KIND, Resources(), [row()])
    assert found is not None and found.source == "ledger"
    assert found.images_per_second_and_device == 200.0 / 2
    assert found.other_seconds == 5.0 + 1.0 + 2.0
    assert not found.costs_per_image


def test_the_median_of_the_newest_alike_counts() -> None:
    speeds = [100.0, 110.0, 300.0, 120.0, 130.0, 1.0, 2.0]
    found = speed(KIND, Resources(), [row(images_per_second=2 * s) for s in speeds])
    assert found is not None and found.images_per_second_and_device == 120.0


def test_runs_with_as_many_images_a_device_go_before_others() -> None:
    others = [row(batch_size=8, images_per_second=20.0), row(batch_size=64)]
    found = speed(KIND, Resources(), others)
    assert found is not None and found.images_per_second_and_device == 100.0
    found = speed(KIND, Resources(), others[:1])
    assert found is not None and found.images_per_second_and_device == 10.0


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "vit_micro2"},
        {"image_size": 16},
        {"recipe": "adam bf16"},
        {"forward_macs_per_image": 2 * MACS},
        {"peak_memory_bytes": 10**9},
    ],
)
def test_other_networks_precisions_and_devices_say_nothing(changes: dict[str, Any]) -> None:
    assert speed(KIND, Resources(), [row(**changes)]) is None


def test_only_the_specs_accelerator_counts_and_its_energy() -> None:
    resources = Resources(gpus_per_node=2, accelerator="NVIDIA H100")
    ledger = [
        gpu("NVIDIA A100-SXM4-80GB"),
        gpu("NVIDIA H100 80GB HBM3", images_per_second=800.0, energy_joules=320.0),
    ]
    found = speed(KIND, resources, ledger)
    assert found is not None
    assert found.images_per_second_and_device == 400.0
    assert found.costs_per_image["energy_joules"] == 320.0 / 640
    # Without a counter the board's power stands in: 700 W for 400 images a second.
    ledger[1]["energy_joules"] = None
    found = speed(KIND, resources, ledger)
    assert found is not None and found.costs_per_image["energy_joules"] == 700 / 400


def test_a_probe_goes_before_what_is_stated_and_after_the_ledger() -> None:
    resources = Resources(accelerator="NVIDIA A100", utilization=0.5, gpus_per_node=1)
    probe = gpu("NVIDIA A100-SXM4-80GB", images_per_second=50.0, num_devices=1)
    stated = speed(KIND, resources, [])
    assert stated is not None and stated.source == "utilization"
    # Six FLOPs a multiply-add and image, half of 19.5 TFLOP/s; 400 W.
    assert stated.images_per_second_and_device == pytest.approx(0.5 * 19.5e12 / (6 * MACS))
    assert stated.costs_per_image["energy_joules"] == pytest.approx(
        400 / (0.5 * 19.5e12 / (6 * MACS))
    )
    assert stated.other_seconds is None
    probed = speed(KIND, resources, [], probe)
    assert probed is not None and probed.source == "probe"
    measured = speed(KIND, resources, [gpu("NVIDIA A100-PCIE-40GB")], probe)
    assert measured is not None and measured.source == "ledger"


def test_power_is_known_of_boards_that_have_a_data_sheet() -> None:
    # NVIDIA's data sheets: A100 SXM 400 W, H100 SXM 700 W, L4 72 W; Google prints none.
    names = ("NVIDIA A100", "NVIDIA H100", "NVIDIA L4", "TPU v4")
    assert [getattr(find(name), "board_watts", 0) for name in names] == [400, 700, 72, None]


def test_the_newest_rows_of_the_wanted_models_are_read(tmp_path: Path) -> None:
    for number in range(60):
        run_id = f"vit_nano2-digits-n100-s{number}-0123456789ab"
        path = tmp_path / "before" / run_id / "run.parquet"
        parquet.write(path, "runs", [row(run_id=run_id, state="failed" if number else "done")])
    parquet.write(
        tmp_path / "before" / "bit_nano-digits-n1-s0-0123456789ab" / "run.parquet",
        "runs",
        [row(model="bit_nano", run_id="bit_nano-digits-n1-s0-0123456789ab")],
    )
    (tmp_path / "stray.txt").write_text("no study")
    assert read_ledger(tmp_path, {"vit_nano2"}) == {"vit_nano2": []}
    assert len(read_ledger(tmp_path, {"bit_nano"})["bit_nano"]) == 1
    assert read_ledger(tmp_path / "nothing", {"bit_nano"}) == {"bit_nano": []}
