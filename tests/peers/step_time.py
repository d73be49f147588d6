"""Our networks beside timm's and transformers': seconds of a training step in the same process.

    pip install --no-deps timm==1.0.31 transformers==5.24.0
    python -m tests.peers.step_time vit_b16 bit_r50x1 --batch-size 4 --rounds 11

A step is forward, loss and backward. In each round every network takes one, in an order that
rotates, so that a slow moment of the machine falls on all; the ratio is taken round by round
against the peer with the lower median. All have the same shape, precision and memory format; on
a CPU freed memory stays with the process, as in training (`keep_freed_memory`).
"""

import argparse
import importlib.metadata
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from bench.engine.devices import keep_freed_memory
from models import BiTConfig, HybridConfig, ViTConfig
from tests.helpers.torchvision_stub import TorchvisionStub

TIMM = {
    "vit_ti16": "vit_tiny_patch16_224",
    "vit_s16": "vit_small_patch16_224",
    "vit_b16": "vit_base_patch16_224",
    "vit_b32": "vit_base_patch32_224",
    "vit_l16": "vit_large_patch16_224",
    "vit_h14": "vit_huge_patch14_224",
    "r50_vit_b16": "vit_base_r50_s16_224",
    "bit_r50x1": "resnetv2_50x1_bit",
    "bit_r101x1": "resnetv2_101x1_bit",
    "bit_r152x2": "resnetv2_152x2_bit",
    "bit_r152x4": "resnetv2_152x4_bit",
}
DEFAULT = ["vit_s16", "vit_b16", "r50_vit_b16", "bit_r50x1", "bit_r101x1"]
WARMUP_ROUNDS = 2
NUM_CLASSES = 1000


def of_timm(name: str) -> nn.Module:
    import timm

    network = timm.create_model(TIMM[name], num_classes=NUM_CLASSES, img_size=None)
    assert isinstance(network, nn.Module)
    return network


class _Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images).logits
        return logits


def of_transformers(name: str) -> nn.Module | None:
    """None where transformers has no such network."""
    import transformers as hf  # type: ignore[import-not-found]

    config = models.config(name)
    if isinstance(config, HybridConfig):
        return None
    if isinstance(config, BiTConfig):
        width = config.root_width
        bit = hf.BitConfig(
            embedding_size=width,
            hidden_sizes=[4 * width * 2**stage for stage in range(len(config.stages))],
            depths=list(config.stages),
            layer_type="preactivation",
            global_padding=None,
            num_labels=NUM_CLASSES,
        )
        return _Logits(hf.BitForImageClassification(bit))
    assert isinstance(config, ViTConfig)
    vit = hf.ViTConfig(
        hidden_size=config.width,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        intermediate_size=config.mlp_dim,
        patch_size=config.patch_size,
        image_size=config.image_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=NUM_CLASSES,
        attn_implementation="sdpa",
    )
    return _Logits(hf.ViTForImageClassification(vit))


def step_of(
    network: nn.Module, images: Tensor, labels: Tensor, options: argparse.Namespace
) -> Callable[[], float]:
    """Takes one step and gives its seconds."""
    network = network.to(images.device).train()
    called = torch.compile(network) if options.compile else network
    is_bf16 = options.precision == "bf16"

    def step() -> float:
        network.zero_grad()
        start = time.perf_counter()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            scores = called(images)
        torch.autograd.backward(F.cross_entropy(scores.float(), labels))
        if images.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def interval(values: list[float], level: float = 0.9) -> tuple[float, float]:
    """The bootstrap's percentile interval of the median."""
    draws = np.random.default_rng(0).choice(values, (10_000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(name: str, options: argparse.Namespace) -> float:
    """Prints the line of one network; its median ratio to the faster peer."""
    image = models.config(name).image
    torch.manual_seed(0)
    images = torch.randn(options.batch_size, 3, image.rows, image.columns, device=options.device)
    labels = torch.randint(NUM_CLASSES, (options.batch_size,), device=options.device)
    networks = {
        "ours": models.build(name, num_classes=NUM_CLASSES),
        "timm": of_timm(name),
        "transformers": of_transformers(name),
    }
    # Only the weights of the head may differ in number: pre-training heads, of one kind or other.
    steps = {k: step_of(n, images, labels, options) for k, n in networks.items() if n is not None}
    seconds: dict[str, list[float]] = {who: [] for who in steps}
    order = list(steps)
    for number in range(WARMUP_ROUNDS + options.rounds):
        order = order[1:] + order[:1]
        for who in order:
            elapsed = steps[who]()
            if number >= WARMUP_ROUNDS:
                seconds[who].append(elapsed)
    medians = {who: statistics.median(times) for who, times in seconds.items()}
    peer = min((who for who in medians if who != "ours"), key=medians.__getitem__)
    ratios = [a / b for a, b in zip(seconds["ours"], seconds[peer], strict=True)]
    low, high = interval(ratios)
    ratio = statistics.median(ratios)
    shown = "".join(
        f"{1e3 * medians[who]:>14.1f}" if who in medians else f"{'–':>14}" for who in networks
    )
    print(f"{name:<14}{shown}{ratio:>9.3f}  [{low:.3f}, {high:.3f}]  of {peer}", flush=True)
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="MODEL", nargs="*", default=DEFAULT)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--system-malloc", action="store_true", help="Leave the allocator alone.")
    options = parser.parse_args()
    if options.device == "cpu" and not options.system_malloc:
        keep_freed_memory()
    sys.meta_path.append(TorchvisionStub())
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("timm", "transformers"))
    print(
        f"a training step in ms (medians of {options.rounds} rounds), batch {options.batch_size}, "
        f"{options.precision}, {options.device}; torch {torch.__version__}, {versions}"
    )
    columns = "".join(f"{who:>14}" for who in ("ours", "timm", "transformers"))
    print(f"{'':<14}{columns}{'ratio':>9}  90 % interval")
    ratios = [compare(name, options) for name in options.names]
    sys.exit(max(ratios) > 1.0)


if __name__ == "__main__":
    main()
