"""How timm's networks would be read: `python -m tests.peers.timm_networks`.

Every network of seven of timm's modules is built on the meta device. Its arrays' names and shapes
are given to the reader of checkpoints, and what that infers is compared with what timm says of
the network: heads, width, depth, GELU, pooling, epsilons, and the names and shapes of all arrays.
"""

import argparse
import inspect
import sys
from collections import Counter
from typing import Any

import torch
from torch import nn

from models.checkpoints.convert import expected_shapes
from models.checkpoints.infer import infer
from models.configs import ModelsError
from tests.helpers.torchvision_stub import TorchvisionStub

MODULES = (
    "vision_transformer",
    "vision_transformer_hybrid",
    "resnetv2",
    "deit",
    "eva",
    "beit",
    "naflexvit",
)


def names() -> list[str]:
    """Return the names of all networks of the modules."""
    import timm

    return sorted({name for module in MODULES for name in timm.list_models(module=module)})


def build(name: str) -> nn.Module:
    """Return a network of timm's on the meta device."""
    import timm

    with torch.device("meta"):
        network: nn.Module = timm.create_model(name)
    return network


def verdict(network: nn.Module) -> tuple[str, str]:
    """Return "right", "refused" or "wrong", and why."""
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    try:
        inferred = infer(shapes)
        expected = expected_shapes(inferred)
    except ModelsError as error:
        return "refused", str(error)
    if inferred.unsaid:
        return "refused", "; ".join(f"{key}: {why}" for key, why in inferred.unsaid.items())
    if expected != shapes:
        different = set(expected.items()) ^ set(shapes.items())
        return "refused", f"arrays differ: {sorted(name for name, _ in different)[:2]}"
    complaints = [
        f"{key}: {value!r} for {wanted!r}"
        for key, wanted in _facts(network).items()
        if (value := getattr(inferred.config, key)) != wanted
    ]
    return ("wrong", "; ".join(complaints)) if complaints else ("right", "")


def _facts(network: Any) -> dict[str, Any]:
    """Return what timm says of a network, in our words."""
    if not hasattr(network, "blocks"):
        conv = next(m for m in network.modules() if type(m).__name__.startswith("StdConv2d"))
        return {"weight_eps": conv.eps}
    block = network.blocks[0]
    heads = block.attn.num_heads
    act = block.mlp.act
    gelu = "tanh" if getattr(act, "approximate", "none") == "tanh" else "erf"
    if not isinstance(act, nn.GELU) and type(act).__name__ not in ("GELU", "GELUTanh"):
        gelu = type(act).__name__
    gelu = "tanh" if type(act).__name__ == "GELUTanh" else gelu
    pooling = {"token": "token", "avg": "gap"}.get(network.global_pool, network.global_pool)
    return {"num_heads": heads, "gelu": gelu, "pooling": pooling, "norm_eps": block.norm1.eps}


def main() -> None:
    """Print the counts, and with --all every network that is not right."""
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="List what is refused, and why.")
    arguments = parser.parse_args()
    sys.meta_path.insert(0, TorchvisionStub())
    counts: Counter[str] = Counter()
    for name in names():
        kind, why = verdict(build(name))
        counts[kind] += 1
        if kind == "wrong" or arguments.all:
            print(f"{kind:8} {name}: {why}")
    print(dict(counts), "of", sum(counts.values()))


if __name__ == "__main__":
    main()
