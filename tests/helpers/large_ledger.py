"""Ledgers of any size with a known law, for what must be fast or must be safe."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from results.ledger import parquet

START = datetime(2026, 7, 1, tzinfo=UTC)
MODELS = {
    "vit": ("vit_s16", "vit_b32", "vit_b16", "vit_l32", "vit_l16"),
    "hybrid": ("r26_vit_s32", "r50_vit_b32", "r50_vit_b16", "r50_vit_l32", "r50_vit_l16"),
    "bit": ("bit_r50x1", "bit_r101x1", "bit_r152x1", "bit_r152x2", "bit_r152x4"),
}
SEEDS = 5
EXAMPLES_SEEN = 10_000_000


def rows(count: int, seed: int = 0, **same: Any) -> list[dict[str, Any]]:
    """`count` rows of the runs table: models × sizes of the training set × seeds.

    The error falls as a power of compute down to a floor; one run in 50 failed, and the energy
    of one in ten is unknown. `same` are values that all rows get.
    """
    generator = np.random.default_rng(seed)
    models = [(family, model) for family, names in MODELS.items() for model in names]
    sizes = np.geomspace(1000, EXAMPLES_SEEN, -(-count // (len(models) * SEEDS))).astype(int)
    made = []
    for at in range(count):
        family, model = models[at // SEEDS % len(models)]
        size = int(sizes[at // (SEEDS * len(models))])
        size_of_model = MODELS[family].index(model)
        macs = int(1e9 * 2.5**size_of_model * (1.0, 1.3, 1.7)[list(MODELS).index(family)])
        flops = 6.0 * macs * EXAMPLES_SEEN
        strength = {"vit": 0.55, "hybrid": 0.5, "bit": 0.45}[family]
        power = {"vit": 0.2, "hybrid": 0.16, "bit": 0.12}[family]
        error = 0.04 + strength * (size / 1000) ** -power * (flops / 1e17) ** -0.1
        seconds = flops / 1e14 * generator.uniform(1.0, 1.3)
        row = {
            "study": "large",
            "run_id": f"{model}-n{size}-s{at % SEEDS}-{at:012x}",
            "state": "done",
            "attempts": 1 + int(generator.integers(0, 2)),
            "model": model,
            "label": model,
            "family": family,
            "params": macs // 100,
            "image_size": 224,
            "dataset": "synthetic",
            "data_manifest": f"{size:012x}",
            "train_examples": size,
            "examples_seen": EXAMPLES_SEEN,
            "epochs": EXAMPLES_SEEN / size,
            "steps": EXAMPLES_SEEN // 1024,
            "batch_size": 1024,
            "seed": at % SEEDS,
            "recipe": "adam lr=0.001 wd=0.1 warmup=400 cosine clip=1 bf16",
            "forward_macs_per_image": macs,
            "forward_macs_valid_per_image": macs * 98 // 100,
            "train_flops": flops,
            "train_flops_valid": flops * 0.98,
            "device": "NVIDIA H200",
            "num_devices": 8,
            "train_seconds": seconds,
            "eval_seconds": seconds / 50,
            "checkpoint_seconds": seconds / 100,
            "startup_seconds": 20.0,
            "accelerator_days": 8 * seconds / 86400,
            "energy_joules": None if at % 10 == 3 else 8 * 600 * seconds,
            "images_per_second": EXAMPLES_SEEN / seconds,
            "loss": error * 4 * generator.uniform(0.95, 1.05),
            "top1_accuracy": 1 - error * generator.uniform(0.95, 1.05),
            "git_commit": f"{at // 3000:040x}",
            "git_dirty": False,
            "torch_version": "2.13.0",
            "deepspeed_version": "0.19.8",
            "host": f"node{at % 64:03d}",
            "created_at": START + timedelta(minutes=at),
            "ended_at": START + timedelta(minutes=at, seconds=seconds),
        }
        if at % 50 == 7:
            unknown = dict.fromkeys(("loss", "top1_accuracy", "images_per_second"))
            row |= {"state": "failed", "failure": "CUDA out of memory"} | unknown
        made.append(row | same)
    return made


def write(folder: Path, count: int, **same: Any) -> Path:
    """A study's folder with `rows`, in one file; returns `folder`."""
    folder.mkdir(parents=True)
    (folder / "study.json").write_text('{"study": "large", "spec": {"study": "large"}}')
    parquet.write(folder / "all" / "run.parquet", "runs", rows(count, **same))
    return folder
