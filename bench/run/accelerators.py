"""Peak speeds of accelerators, and normalized accelerator-days that are comparable across them.

Imports no torch. Peaks are for dense matrices: the data sheets of NVIDIA (A100 and later) and AMD
also print twice as much, for 2:4 sparse ones.
"""

import re
from dataclasses import dataclass

GB = 10**9
TERA = 10**12

# Its peak is the unit of normalized accelerator-days.
REFERENCE = "NVIDIA A100"


@dataclass(frozen=True)
class Accelerator:
    """Peak figures of one accelerator; None if not supported or not known.

    `pattern` is the part of torch's device name that identifies it, `unit` what counts as one
    accelerator. `bf16`, `fp16` and `fp32` are dense peaks in FLOP/s with accumulation in fp32; fp32
    is without TF32, as torch multiplies by default. `board_watts` is the maker's power limit, the
    upper end of a range.
    """

    name: str
    pattern: str
    unit: str
    bf16: float | None
    fp16: float | None
    fp32: float | None
    memory_bytes: int | None
    bandwidth: float | None
    source: str
    board_watts: float | None = None

    def peak_flops(self, precision: str) -> float | None:
        """Return the dense peak in FLOP/s for inputs in "bf16", "fp16" or "fp32"."""
        return {"bf16": self.bf16, "fp16": self.fp16, "fp32": self.fp32}[precision]


def _row(
    name: str,
    pattern: str,
    unit: str,
    tera: tuple[float | None, float | None, float | None],
    memory_gb: int | None,
    gb_per_second: float | None,
    source: str,
    board_watts: float | None = None,
) -> Accelerator:
    bf16, fp16, fp32 = (None if peak is None else peak * TERA for peak in tera)
    return Accelerator(
        name,
        pattern,
        unit,
        bf16,
        fp16,
        fp32,
        None if memory_gb is None else memory_gb * GB,
        None if gb_per_second is None else gb_per_second * GB,
        source,
        board_watts,
    )


TPU = "cloud.google.com/tpu/docs"
NV = "NVIDIA data sheet"
AMD = "AMD data sheet"

# More specific patterns first: "H100 PCIe" before "H100". Peaks in TFLOP/s: bf16, fp16, fp32.
ACCELERATORS: tuple[Accelerator, ...] = (
    _row("TPU v3 core", "TPU v3 core", "core", (61.5, None, None), 16, 450, f"{TPU}/v3, halved"),
    _row("TPU v2", "TPU v2", "chip", (45, None, None), 16, 700, f"{TPU}/v2"),
    _row("TPU v3", "TPU v3", "chip", (123, None, None), 32, 900, f"{TPU}/v3"),
    _row("TPU v4", "TPU v4", "chip", (275, None, None), 32, 1200, f"{TPU}/v4"),
    _row("TPU v5e", "TPU v5e", "chip", (197, None, None), 16, 819, f"{TPU}/v5e"),
    _row("TPU v5p", "TPU v5p", "chip", (459, None, None), 95, 2765, f"{TPU}/v5p"),
    _row("NVIDIA V100 PCIe", "V100-PCIE", "gpu", (None, 112, 14), 32, 900, f"{NV} V100", 250),
    _row("NVIDIA V100", "V100", "gpu", (None, 125, 15.7), 32, 900, f"{NV} V100", 300),
    _row("NVIDIA T4", "T4", "gpu", (None, 65, 8.1), 16, 320, f"{NV} T4", 70),
    _row("NVIDIA A100", "A100", "gpu", (312, 312, 19.5), 80, 2039, f"{NV} A100", 400),
    _row("NVIDIA A10", "A10", "gpu", (125, 125, 31.2), 24, 600, f"{NV} A10", 150),
    _row("NVIDIA A40", "A40", "gpu", (149.7, 149.7, 37.4), 48, 696, f"{NV} A40", 300),
    _row("NVIDIA L40S", "L40S", "gpu", (362, 362, 91.6), 48, 864, f"{NV} L40S", 350),
    _row("NVIDIA L4", "L4", "gpu", (121, 121, 30.3), 24, 300, f"{NV} L4", 72),
    _row("NVIDIA H100 PCIe", "H100 PCIe", "gpu", (756.5, 756.5, 51), 80, 2000, f"{NV} H100", 350),
    _row("NVIDIA H100 NVL", "H100 NVL", "gpu", (835, 835, 60), 94, 3900, f"{NV} H100", 400),
    _row("NVIDIA GH200", "GH200", "gpu", (989.5, 989.5, 67), 96, 4000, f"{NV} GH200"),
    _row("NVIDIA H100", "H100", "gpu", (989.5, 989.5, 67), 80, 3350, f"{NV} H100", 700),
    _row("NVIDIA H200 NVL", "H200 NVL", "gpu", (835.5, 835.5, 60), 141, 4800, f"{NV} H200", 600),
    _row("NVIDIA H200", "H200", "gpu", (989.5, 989.5, 67), 141, 4800, f"{NV} H200", 700),
    _row("NVIDIA B100", "B100", "gpu", (1750, 1750, None), 192, 8000, f"{NV} B100", 700),
    _row("NVIDIA GB200", "GB200", "gpu", (2500, 2500, None), 192, 8000, f"{NV} GB200"),
    _row("NVIDIA B200", "B200", "gpu", (2250, 2250, None), 192, 8000, f"{NV} HGX B200", 1000),
    _row("NVIDIA RTX 3090", "RTX 3090", "gpu", (71, 71, 35.6), 24, 936, f"{NV} GA102", 350),
    _row("NVIDIA RTX 4090", "RTX 4090", "gpu", (165.2, 165.2, 82.6), 24, 1008, f"{NV} Ada", 450),
    _row("NVIDIA RTX 5090", "RTX 5090", "gpu", (209.5, 209.5, 104.8), 32, 1792, f"{NV} RTX", 575),
    _row("AMD MI250X", "MI250X", "die", (191.5, 191.5, 23.95), 64, 1638, f"{AMD} MI250X, /2", 280),
    _row("AMD MI250", "MI250", "die", (181.05, 181.05, 22.65), 64, 1638, f"{AMD} MI250, /2", 280),
    _row("AMD MI300X", "MI300X", "gpu", (1307.4, 1307.4, 163.4), 192, 5300, f"{AMD} MI300X", 750),
)

# Words after a name that make it another product, which may be missing from the table.
OTHER_TYPES = "Ti|D|SUPER|Laptop|Max-Q|NVL|core"
# A share of an accelerator: a MIG instance, a profile of NVIDIA's vGPU ("A40-8Q").
SHARE = r"\bMIG\b|-\d+[QCAB](ME)?$"


def find(name: str) -> Accelerator | None:
    """Return the accelerator with a device name; None if unknown, or a share of one.

    >>> find("NVIDIA A100-SXM4-80GB").name
    'NVIDIA A100'
    """
    if re.search(SHARE, name):
        return None
    for known in ACCELERATORS:
        # Whole words only: L40 is not L4, RTX A1000 not A100, V100S not V100.
        if re.search(rf"(?<!\w){re.escape(known.pattern)}(?!\w| (?:{OTHER_TYPES})\b)", name):
            return known
    return None


def peak_flops(name: str, precision: str = "bf16") -> float | None:
    """Return the dense peak in FLOP/s of a device, given its name; None if unknown.

    >>> peak_flops("NVIDIA H100 PCIe"), peak_flops("Tesla V100-SXM2-16GB")
    (756500000000000.0, None)
    """
    known = find(name)
    return None if known is None else known.peak_flops(precision)


def normalized_days(accelerator_days: float, peak: float) -> float:
    """Convert days on an accelerator with this dense peak to days on an A100 at bf16.

    The rule is days × peak / 312e12. It counts what the accelerator could have computed, so idle
    time costs as much as busy time.

    >>> normalized_days(1.0, 61.5e12)  # TPUv3 core
    0.1971153846153846
    """
    reference = peak_flops(REFERENCE)
    assert reference is not None
    return accelerator_days * peak / reference
