"""A network with blocks, and recipes in plain PyTorch: what the engine must equal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.mixing import Mix
from models.layers import Recomputable

STEPS, BATCH_SIZE, NUM_CLASSES, WIDTH = 20, 8, 5, 12
DECAY = 0.3


class TowerBlock(Recomputable):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.gelu(self.hidden(self.norm(x)))


class Tower(nn.Module):
    """An embedding, two blocks, a norm and a head, with an odd number of parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.token = nn.Parameter(torch.randn(WIDTH))
        self.embedding = nn.Linear(48, WIDTH)
        self.blocks = nn.ModuleList([TowerBlock(), TowerBlock()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embedding(images.flatten(1)) + self.token
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


@lru_cache
def batches() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (STEPS, BATCH_SIZE, 3, 4, 4), generator=generator)
    labels = torch.randint(0, NUM_CLASSES, (STEPS, BATCH_SIZE), generator=generator)
    return images.to(torch.uint8), labels


def rate(step: int) -> float:
    return 1e-2 * (1 + step % 3)


@dataclass
class Plain:
    """One recipe: `changes` of the default recipe, and the same with torch's own optimizers."""

    changes: dict[str, Any]
    optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer] = lambda groups: (
        torch.optim.AdamW(groups)
    )
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    mix: Mix | None = None
    scales: dict[str, float] = field(default_factory=dict)  # of the learning rate, by prefix
    masked: bool = True


def decays(name: str) -> bool:
    return name.endswith("weight") and "norm" not in name


def train(plain: Plain, steps: int = STEPS) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the weights after `steps`, and their averages with decay 0.9."""
    model = Tower()
    groups = []
    for name, parameter in model.named_parameters():
        found = [scale for prefix, scale in plain.scales.items() if name.startswith(prefix)]
        decay = DECAY if decays(name) or not plain.masked else 0.0
        groups.append({"params": [parameter], "weight_decay": decay, "scale": (found or [1.0])[0]})
    optimizer = plain.optimizer(groups)
    averages = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(steps):
        images, labels = (part[step] for part in batches())
        for group in optimizer.param_groups:
            group["lr"] = rate(step) * group["scale"]
        pixels = (images.float() - 127.5) / 127.5
        value = _mixed_loss(model, pixels, labels, plain)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for name, weight in model.state_dict().items():
            averages[name] = 0.9 * averages[name] + 0.1 * weight
    return model.state_dict(), averages


def _mixed_loss(model: nn.Module, pixels: Tensor, labels: Tensor, plain: Plain) -> Tensor:
    if plain.mix is None:
        return plain.loss(model(pixels), labels)
    images, targets = [], []
    for number in range(len(labels)):
        other = number + 1 if number % 2 == 0 else number - 1
        image = plain.mix.weight * pixels[number] + (1 - plain.mix.weight) * pixels[other]
        if plain.mix.box is not None:
            top, bottom, left, right = plain.mix.box
            image = pixels[number].clone()
            image[:, top:bottom, left:right] = pixels[other][:, top:bottom, left:right]
        images.append(image)
        share = torch.zeros(NUM_CLASSES)
        share[labels[number]] += plain.mix.weight
        share[labels[other]] += 1 - plain.mix.weight
        targets.append(share)
    return plain.loss(model(torch.stack(images)), torch.stack(targets))


def sigmoid_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-log of the probability of each class's right answer, summed over classes."""
    targets = torch.zeros_like(logits)
    targets[torch.arange(len(labels)), labels] = 1.0
    right = targets * torch.sigmoid(logits) + (1 - targets) * (1 - torch.sigmoid(logits))
    return -right.log().sum(1).mean()


class PlainLamb(torch.optim.Optimizer):
    """Algorithm 2 of arXiv:1904.00962 for one tensor a layer; no ratio without weight decay."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 1.0})
        self.t = 0
        self.m = {id(p): torch.zeros_like(p) for group in groups for p in group["params"]}
        self.v = {id(p): torch.zeros_like(p) for group in groups for p in group["params"]}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.t += 1
        for group in self.param_groups:
            (weight,) = group["params"]
            m, v, g = self.m[id(weight)], self.v[id(weight)], weight.grad
            m.copy_(0.9 * m + 0.1 * g)
            v.copy_(0.999 * v + 0.001 * g * g)
            root = (v / (1 - 0.999**self.t)).sqrt() + 1e-6
            update = m / (1 - 0.9**self.t) / root + group["weight_decay"] * weight
            ratio = 1.0
            if group["weight_decay"] and weight.norm() > 0 and update.norm() > 0:
                ratio = float(weight.norm() / update.norm())
            weight -= group["lr"] * ratio * update


# BEiT's exponents for two blocks: the embedding is three layers below the head.
LAYER_DECAY = {
    "token": 0.5**3,
    "embedding": 0.5**3,
    "blocks.0": 0.5**2,
    "blocks.1": 0.5,
    "norm": 1.0,
    "head": 1.0,
}

RECIPES = {
    "adamw": Plain({"optimizer": "adamw"}),
    "adam_coupled": Plain({"optimizer": "adam_coupled"}, torch.optim.Adam),
    "sgd": Plain(
        {"optimizer": "sgd", "momentum": 0.8},
        lambda groups: torch.optim.SGD(groups, momentum=0.8),
    ),
    "nesterov": Plain(
        {"optimizer": "sgd", "nesterov": True},
        lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True),
    ),
    "lamb": Plain({"optimizer": "lamb"}, PlainLamb),
    "layer_decay": Plain({"layer_decay": 0.5}, scales=LAYER_DECAY),
    "mask_all": Plain({"decay_mask": "all"}, masked=False),
    "mixup": Plain({}, mix=Mix(0.7)),
    "cutmix": Plain({}, mix=Mix(12 / 16, (1, 3, 0, 2))),
    "sigmoid": Plain({"loss": "sigmoid"}, loss=sigmoid_loss),
    "ema": Plain({"ema_decay": 0.9}),
}
