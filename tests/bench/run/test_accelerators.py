"""Peaks of accelerators, and the unit that rows of different ones share."""

import pytest

from bench.run import accelerators


@pytest.mark.parametrize(
    ("device", "precision", "tera"),
    [
        # Dense figures of the makers' data sheets; sparse ones are twice as high.
        ("NVIDIA A100-SXM4-40GB", "bf16", 312),
        ("NVIDIA A100-PCIE-40GB", "fp32", 19.5),
        ("NVIDIA H100 80GB HBM3", "bf16", 1979 / 2),
        ("NVIDIA H100 PCIe", "bf16", 1513 / 2),
        ("NVIDIA H200", "bf16", 1979 / 2),
        ("NVIDIA B200", "bf16", 4500 / 2),
        ("Tesla V100-SXM2-32GB", "fp16", 125),
        ("Tesla V100-PCIE-16GB", "fp16", 112),
        ("NVIDIA A10", "bf16", 125),
        ("AMD Instinct MI250X", "bf16", 383 / 2),
        ("AMD Instinct MI300X", "bf16", 1307.4),
        ("TPU v3 core", "bf16", 123 / 2),
    ],
)
def test_dense_peaks_are_found_by_the_devices_name(
    device: str, precision: str, tera: float
) -> None:
    assert accelerators.peak_flops(device, precision) == pytest.approx(tera * 1e12)


def test_what_is_not_known_is_none_and_never_zero() -> None:
    assert accelerators.peak_flops("Abacus 9000") is None
    assert accelerators.peak_flops("Tesla V100-SXM2-16GB", "bf16") is None
    for known in accelerators.ACCELERATORS:
        for value in (known.bf16, known.fp16, known.fp32, known.memory_bytes, known.bandwidth):
            assert value is None or value > 0
        assert known.source and (known.bf16 or known.fp16)


@pytest.mark.parametrize(
    "device",
    [
        "NVIDIA L40",
        "NVIDIA RTX A1000",
        "NVIDIA RTX A4000",
        "NVIDIA T400",
        "Tesla V100S-PCIE-32GB",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        # Shares of one: MIG and vGPU (NVIDIA's user guides); half a chip.
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA A40-8Q",
        "NVIDIA A10-24Q",
        "GRID A100-1-5CME",
        "TPU v4 core",
    ],
)
def test_a_name_like_a_known_one_is_not_taken_for_it(device: str) -> None:
    assert accelerators.find(device) is None


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100"),
        ("Tesla T4", "NVIDIA T4"),
        ("NVIDIA L4", "NVIDIA L4"),
        ("NVIDIA L40S", "NVIDIA L40S"),
        ("NVIDIA H100 NVL", "NVIDIA H100 NVL"),
        ("NVIDIA GH200 480GB", "NVIDIA GH200"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA RTX 4090"),
    ],
)
def test_names_of_drivers_are_recognized(device: str, name: str) -> None:
    found = accelerators.find(device)
    assert found is not None and found.name == name


def test_each_accelerator_is_found_by_its_own_name() -> None:
    for known in accelerators.ACCELERATORS:
        assert accelerators.find(known.pattern) is known


def test_days_are_normalized_by_dense_peak() -> None:
    assert accelerators.normalized_days(2.0, 312e12) == pytest.approx(2.0)
    # 680 TPUv3-core-days at 61.5 TFLOP/s, in days of an A100 at 312.
    assert accelerators.normalized_days(680, 61.5e12) == pytest.approx(680 * 61.5 / 312)
