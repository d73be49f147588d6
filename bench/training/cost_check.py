"""Check before the first step that a run is charged for the network that it trains."""

from torch import nn

from bench.run.config import Run
from bench.run.errors import BenchError
from models.cost.counted import count_config


class CostMismatch(BenchError):
    """The network that was built is not the one whose cost is in the ledger."""


def check(run: Run, network: nn.Module) -> None:
    """Compare the run's cost with the network: parameters with it, multiply-adds by fvcore.

    Raises CostMismatch on a difference. fvcore, which counts what is executed, is the count of
    record; a network without a description of its operators has been counted by it already.
    """
    cost = run.cost
    params = sum(parameter.numel() for parameter in network.parameters())
    _compare(run, "parameters", params, cost.params)
    if cost.parts:
        counted = count_config(run.network, run.data.num_classes)
        _compare(run, "multiply-adds per image", counted.forward_macs, cost.forward_macs)


def _compare(run: Run, what: str, found: int, charged: int) -> None:
    if found != charged:
        raise CostMismatch(
            f"model {run.config.model}: the network has {found:,} {what}, "
            f"but would be charged {charged:,}; its operators are described wrongly"
        )
