"""Measure speed and memory of networks: images per second over batch sizes (ViT, Fig. 12)."""

import errno
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.nn.functional as F

import models
import models.cost.macs
from bench.engine import devices
from bench.run.accelerators import peak_flops
from bench.run.errors import BenchError
from bench.run.provenance import software
from models.configs import NotDescribed
from models.cost.macs import train_flops
from models.cost.memory import kept
from models.operators import Precision
from results.ledger import parquet

Row = dict[str, Any]

MODES = ("train", "infer")
PRECISIONS = ("fp32", "bf16")
WARMUP_STEPS = 3
MIN_STEPS = 5
MAX_STEPS = 200
LARGEST_TRIED = 1 << 16
_STATE_BYTES = 16  # a weight, its gradient and two moments, in fp32


class ThroughputError(BenchError):
    """A mode, precision or batch size that cannot be measured."""


def parse_sizes(text: str) -> list[int]:
    """Return the batch sizes in "1,8,64", [] for an empty text; raises ThroughputError."""
    try:
        sizes = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise ThroughputError(f"--batch-sizes: given {text!r}, expected numbers such as 1,8,64")
    return sizes


def describe(row: Row) -> str:
    """Return a row in one line, for progress messages."""
    what = f"{row['model']} {row['mode']} {row['precision']} batch {row['batch_size']}"
    if not row["fits"]:
        return f"{what}: does not fit"
    return f"{what}: {row['images_per_second']:.4g} images/s over {row['num_steps']} steps"


def place(path: Path | None, root: Path) -> Path:
    """Return the file to write rows to, by default a new one in `root`/throughput.

    Creates its folder. Raises OSError if the file cannot be written.
    """
    if path is None:
        path = root / "throughput" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    code = errno.EISDIR if path.is_dir() else errno.EACCES
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(code, os.strerror(code), str(path))
    return path


def write(rows: list[Row], path: Path) -> Path:
    """Write the rows as one Parquet file; returns its path."""
    return parquet.write(path, "throughput", rows)


def check(
    names: Sequence[str], *, mode: str, precision: str, image_size: int | None
) -> list[models.Config]:
    """Return the configs of the networks to measure; raises ThroughputError or ModelsError."""
    if mode not in MODES:
        raise ThroughputError(f"--mode: given {mode!r}, expected one of {', '.join(MODES)}")
    if precision not in PRECISIONS:
        expected = ", ".join(PRECISIONS)
        raise ThroughputError(f"--precision: given {precision!r}, expected one of {expected}")
    size = {} if image_size is None else {"image_size": image_size}
    return [models.config(name, **size) for name in names]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def peak_warning(precision: str) -> str | None:
    """Return a warning where the GPU's peak FLOP/s at `precision` are unknown; None on a CPU."""
    device = _device()
    name = devices.name_of(device)
    if device.type != "cuda" or peak_flops(name, precision) is not None:
        return None
    return f"{name}: no peak at {precision} is known, utilization is null"


def measure(
    name: str,
    batch_sizes: Sequence[int],
    *,
    mode: str = "train",
    precision: str = "fp32",
    image_size: int | None = None,
    compiled: bool = False,
    seconds: float = 5.0,
) -> Iterator[Row]:
    """Yield a row of the table `throughput` for each batch size, as soon as it is measured.

    Without `batch_sizes`, measures powers of two up to the largest batch that fits, and that batch.
    A CPU's memory has no hard limit: there it ends at `largest_predicted`, or at the first batch
    whose step takes more than `seconds`. A batch that does not fit gives a row with `fits` False.
    Each batch size is measured for `seconds`, after three steps of warm-up.
    """
    (config,) = check([name], mode=mode, precision=precision, image_size=image_size)
    device = _device()
    cost = models.cost.macs.count(config)
    network = models.assemble(config, num_classes=1000).to(device)
    step = _step(network, mode, precision, device, compiled)

    def attempt(batch_size: int) -> list[float] | None:
        images = torch.rand(batch_size, 3, config.image.rows, config.image.columns, device=device)
        labels = torch.randint(1000, (batch_size,), device=device)
        return _times(lambda: step(images * 2 - 1, labels), device, seconds)

    sizes = list(batch_sizes)
    if not sizes and device.type == "cuda":
        largest = largest_that_fits(lambda size: attempt(size) is not None)
        sizes = sorted({*_powers_of_two(largest), largest} - {0})
    elif not sizes:
        sizes = _powers_of_two(largest_predicted(config, precision))
    for batch_size in sizes:
        times = attempt(batch_size)
        yield _row(config, cost, mode, precision, compiled, device, batch_size, times)
        is_slow = times is not None and statistics.median(times) > seconds
        if is_slow and not batch_sizes and device.type == "cpu":
            return


def largest_predicted(config: models.Config, precision: str) -> int:
    """Return the largest batch whose training is predicted to fit into the free memory.

    Raises ThroughputError if the memory of the network cannot be predicted.
    """
    free = psutil.virtual_memory().available
    known: Precision = "bf16" if precision == "bf16" else "fp32"
    try:
        parts = kept(config, precision=known, device="cpu")
    except NotDescribed as error:
        raise ThroughputError(f"{error}: give --batch-sizes") from error
    weights = _STATE_BYTES * sum(part.params for part in parts)

    def fits(batch_size: int) -> bool:
        kept = sum(batch_size * part.per_image + part.constant for part in parts)
        return weights + kept <= free

    return largest_that_fits(fits)


def largest_that_fits(fits: Callable[[int], bool], most: int = LARGEST_TRIED) -> int:
    """Return the largest batch size up to `most` that `fits`; 0 where no image does.

    Doubles until a batch fails, then bisects: a larger batch never needs less memory.

    >>> largest_that_fits(lambda n: n <= 300)
    300
    """
    good, bad = 0, 1
    while bad <= most and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def _powers_of_two(most: int) -> list[int]:
    return [1 << k for k in range(most.bit_length())]


def _step(
    network: torch.nn.Module,
    mode: str,
    precision: str,
    device: torch.device,
    compiled: bool,
) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Return one step: forward only, or forward, backward and an update by fused AdamW."""
    forward = torch.compile(network) if compiled else network
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    if mode == "infer":
        network.eval()

        @torch.inference_mode()
        def infer(images: torch.Tensor, labels: torch.Tensor) -> None:
            with autocast:
                forward(images)

        return infer
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def train(images: torch.Tensor, labels: torch.Tensor) -> None:
        with autocast:
            scores = forward(images)
        loss = F.cross_entropy(scores.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return train


def _times(run: Callable[[], None], device: torch.device, seconds: float) -> list[float] | None:
    """Return the seconds of each step after the warm-up; None where memory ran out."""
    on_gpu = device.type == "cuda"
    synchronize: Callable[[], None] = torch.cuda.synchronize if on_gpu else lambda: None
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    try:
        for _ in range(WARMUP_STEPS):
            run()
        synchronize()
        until = time.perf_counter() + seconds
        while len(times) < MIN_STEPS or (time.perf_counter() < until and len(times) < MAX_STEPS):
            start = time.perf_counter()
            run()
            synchronize()
            times.append(time.perf_counter() - start)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None
    return times


def _row(
    config: models.Config,
    cost: models.cost.macs.Cost,
    mode: str,
    precision: str,
    compiled: bool,
    device: torch.device,
    batch_size: int,
    times: list[float] | None,
) -> Row:
    name = devices.name_of(device)
    row: Row = {
        "model": config.name,
        "label": config.label,
        "family": config.family,
        "params": cost.params,
        "image_size": config.image_size,
        "mode": mode,
        "precision": precision,
        "compiled": compiled,
        "device": name,
        "num_threads": torch.get_num_threads(),
        "batch_size": batch_size,
        "fits": times is not None,
        "forward_macs_per_image": cost.forward_macs,
        "created_at": datetime.now(UTC),
        **software(),
    }
    if times is None:
        return row
    quarters = statistics.quantiles(times, n=4)
    median = statistics.median(times)
    flops = train_flops(cost.forward_macs, batch_size) / (1 if mode == "train" else 3)
    peak = peak_flops(name, precision)
    return row | {
        "num_steps": len(times),
        "step_seconds": median,
        "step_seconds_low": quarters[0],
        "step_seconds_high": quarters[2],
        "images_per_second": batch_size / median,
        "peak_memory_bytes": devices.peak_memory_bytes(device),
        "model_flops_utilization": None if peak is None else flops / median / peak,
    }
