"""What accelerators can do at most. Imports no torch."""

import re

# Dense peak FLOP/s with bf16 inputs (fp16 where the type has no bf16), by a part of the name that
# torch reports, the more special part first. Sources: NVIDIA's and AMD's data sheets, halved where
# they print the sparse figure; V100 fp16: NVIDIA V100 data sheet. MI250X is one of its two dies.
PEAK_FLOPS: dict[str, float] = {
    "B200": 2.25e15,
    "H200": 989.4e12,
    "GH200": 989.4e12,
    "H100 PCIe": 756.5e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "A40": 149.7e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "V100-PCIE": 112e12,
    "V100": 125e12,
    "T4": 65e12,
    "MI300X": 1307.4e12,
    "MI250X": 191.5e12,
}

# Words after a name that make it another, slower or faster type, and not one of the table.
OTHER_TYPES = "Ti|D|SUPER|Laptop|Max-Q|NVL"


def peak_flops(name: str) -> float | None:
    """Dense 16-bit peak FLOP/s of the accelerator `name`; None where the table lacks it.

    >>> peak_flops("NVIDIA A100-SXM4-80GB")
    312000000000000.0
    """
    for part, peak in PEAK_FLOPS.items():
        # Whole words: an L40 is no L4 and an A4000 no A40.
        if re.search(rf"(?<!\w){re.escape(part)}(?!\w| (?:{OTHER_TYPES})\b)", name):
            return peak
    return None
