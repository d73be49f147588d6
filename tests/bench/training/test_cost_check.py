"""A run starts only if it is charged for the network that it trains."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import models
from bench.run.config import Run
from bench.training import cost_check
from bench.training.cost_check import CostMismatch
from bench.training.loop import train
from models.cost.macs import count
from models.operators import Numerics, Operator, Part
from models.vit.config import ViTConfig
from models.vit.family import VisionTransformer
from models.vit.network import ViT
from tests.helpers.recorders import make_run
from tests.helpers.runs import row_of, write_run


class LayerScale(nn.Module):
    """A block whose output is scaled by a vector, one of the variants of the ViT."""

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        self.block, self.scale = block, nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.scale * (self.block(x) - x)
        return y


class Scaled(VisionTransformer):
    """The variant, with the operators of the network without it."""

    def network(self, config: ViTConfig, num_classes: int) -> nn.Module:
        network = ViT(config, num_classes)
        network.blocks = nn.ModuleList(LayerScale(b, config.width) for b in network.blocks)
        return network


class Shorter(VisionTransformer):
    """The network, with the operators of one without attention."""

    def operators(self, config: ViTConfig, num_classes: int, numerics: Numerics) -> list[Part]:
        parts = super().operators(config, num_classes, numerics)
        return [
            replace(part, operators=tuple(filter(_has_weights, part.operators))) for part in parts
        ]


def _has_weights(operator: Operator) -> bool:
    return operator.params > 0 or operator.forward_macs == 0


@pytest.fixture(autouse=True)
def forget_counts() -> None:
    count.cache_clear()


def build(run: Run) -> nn.Module:
    return models.assemble(run.network, num_classes=run.data.num_classes)


@pytest.mark.parametrize("name", ["vit_nano2", "r8_vit_nano2", "bit_nano"])
def test_registered_networks_are_charged_rightly(name: str) -> None:
    run = make_run()
    run = run.model_copy(update={"config": run.config.model_copy(update={"model": name})})
    cost_check.check(run, build(run))


def test_a_variant_with_more_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    monkeypatch.setitem(models.FAMILIES, "vit", Scaled())
    # A vector of 48 for each of two blocks.
    found, charged = run.cost.params + 2 * 48, run.cost.params
    expected = f"the network has {found:,} parameters, but would be charged {charged:,}"
    with pytest.raises(CostMismatch, match=re.escape(expected)):
        cost_check.check(run, build(run))


def test_a_description_with_fewer_multiply_adds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run()
    whole = run.cost.forward_macs
    monkeypatch.setitem(models.FAMILIES, "vit", Shorter())
    count.cache_clear()
    attention = 2 * 2 * 17**2 * 48  # two blocks, two products of 17 tokens by 17 tokens by 48
    assert run.cost.forward_macs == whole - attention
    with pytest.raises(CostMismatch, match=f"{whole:,} multiply-adds per image"):
        cost_check.check(run, build(run))


def test_the_run_fails_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = write_run(tmp_path)
    monkeypatch.setitem(models.FAMILIES, "vit", Scaled())
    with pytest.raises(CostMismatch):
        train(run_dir)
    row = row_of(run_dir)
    assert (row["state"], row["examples_seen"]) == ("failed", None)
    assert "its operators are described wrongly" in row["failure"]
    assert not list(run_dir.glob("curve/*"))
