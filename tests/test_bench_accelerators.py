"""Peak FLOP/s by the name that the driver reports: exact where known, null where not."""

import pytest

from bench.accelerators import PEAK_FLOPS, peak_flops


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        # NVIDIA's data sheets, dense, 16-bit tensor cores.
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H200", 989.4),
        ("NVIDIA GH200 480GB", 989.4),
        ("Tesla V100-SXM2-32GB", 125),
        ("Tesla V100-PCIE-16GB", 112),
        ("Tesla T4", 65),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A40", 149.7),
        ("NVIDIA GeForce RTX 4090", 165.2),
        # AMD's data sheet gives 383 for the two dies of an MI250X, which are two devices.
        ("AMD Instinct MI250X", 191.5),
    ],
)
def test_known_accelerators_have_their_data_sheets_peak(name: str, tera: float) -> None:
    assert peak_flops(name) == tera * 1e12


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA L40",
        "NVIDIA RTX A4000",
        "NVIDIA T400",
        "Tesla V100S-PCIE-32GB",
        "NVIDIA H100 NVL",
        "NVIDIA GB200",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "",
    ],
)
def test_a_name_like_a_known_one_is_not_taken_for_it(name: str) -> None:
    assert peak_flops(name) is None


def test_every_entry_is_found_by_its_own_name() -> None:
    for part, peak in PEAK_FLOPS.items():
        assert peak_flops(f"NVIDIA {part}") == peak
