"""Count parameters and multiply-adds of a built network with fvcore, operator by operator."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models.configs import Config, ConfigError, ModelsError
from models.custom.config import CustomConfig, load
from models.families import assemble

with warnings.catch_warnings():
    # fvcore scripts a loss function while it is imported, which torch has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis

MAC_OPERATORS = (
    "addmm",
    "bmm",
    "conv",
    "einsum",
    "linear",
    "matmul",
    "mm",
    "scaled_dot_product_attention",
)
NORM_OPERATORS = ("layer_norm", "group_norm", "linalg_vector_norm")

# Element-wise operators and pooling, which published FLOP counts leave out. An operator that is
# neither here, nor counted, nor a reshape is an error.
FREE_OPERATORS = (
    "aten::adaptive_avg_pool2d",
    "aten::add",
    "aten::add_",
    "aten::avg_pool2d",
    "aten::clamp",
    "aten::clamp_min",
    "aten::div",
    "aten::elu",
    "aten::exp",
    "aten::gelu",
    "aten::hardsigmoid",
    "aten::hardswish",
    "aten::leaky_relu",
    "aten::max_pool2d",
    "aten::mean",
    "aten::mul",
    "aten::neg",
    "aten::pow",
    "aten::reciprocal",
    "aten::relu",
    "aten::relu_",
    "aten::rsqrt",
    "aten::rsub",
    "aten::sigmoid",
    "aten::silu",
    "aten::silu_",
    "aten::softmax",
    "aten::sqrt",
    "aten::sub",
    "aten::sum",
    "aten::tanh",
)


# Reshaping operators that fvcore does not ignore by itself.
SHAPE_OPERATORS = ("aten::numpy_T", "aten::pad", "aten::unflatten", "aten::view_as")


class UncountedOperator(ModelsError):
    """The network uses an operator without a FLOP formula."""


@dataclass(frozen=True)
class ModuleCount:
    """A module's share, its children's included; `name` is dotted, "" the whole network."""

    name: str
    params: int
    forward_macs: int
    norm_operations: int


@dataclass(frozen=True)
class FlopCount:
    """Cost of one forward pass over one image.

    `norm_operations` (layer and group norms, weight standardization) stand apart from the MACs:
    fvcore's and timm's totals are the sum of the two. One MAC is 2 FLOPs.
    """

    model: str
    image_size: int | tuple[int, int]
    params: int
    forward_macs: int
    norm_operations: int
    by_operator: dict[str, int]
    by_module: tuple[ModuleCount, ...]


def _shape(value: Any) -> list[int]:
    sizes: list[int] = value.type().sizes()
    return sizes


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Both products of (B, h, N, K) queries with (B, h, M, K) keys and (B, h, M, V) values."""
    *_, num_keys, head_size = _shape(inputs[1])
    batch_heads_queries = math.prod(_shape(inputs[0])[:-1])
    return batch_heads_queries * num_keys * (head_size + _shape(inputs[2])[-1])


def _per_element(operations: int) -> Callable[[list[Any], list[Any]], int]:
    """Return a handle that counts `operations` per input element, as fvcore's does for norms."""
    return lambda inputs, outputs: operations * math.prod(_shape(inputs[0]))


def _analyse(
    name: str, network: nn.Module, images: torch.Tensor, free: Iterable[str]
) -> FlopCountAnalysis:
    """Return fvcore's count with our formulas; refuse what has none and is not `free`."""
    analysis = FlopCountAnalysis(network, images)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_macs)
    # Standardizing with the deviation is counted as fvcore counts the norm without a scale.
    analysis.set_op_handle("aten::linalg_vector_norm", _per_element(4))
    for operator in (*FREE_OPERATORS, *SHAPE_OPERATORS, *free):
        analysis.set_op_handle(operator, None)
    with warnings.catch_warnings():
        # fvcore traces with torch.jit, which torch has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        analysis.total()
    unknown = sorted(analysis.unsupported_ops())
    if unknown:
        raise UncountedOperator(
            f"model {name}: no FLOP formula for {', '.join(unknown)}; if it does no "
            "multiply-adds, name it in `free_operators`, an attribute of the model's function"
        )
    return analysis


def _sum(counts: Counter[str], operators: tuple[str, ...]) -> int:
    return sum(int(counts[operator]) for operator in operators)


def _num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(config: Config, num_classes: int) -> nn.Module:
    """Return the network without storage for its parameters."""
    with torch.device("meta"):
        return assemble(config, num_classes=num_classes).eval()


def count_network(
    name: str, network: nn.Module, image_size: int | tuple[int, int], free: Iterable[str] = ()
) -> FlopCount:
    """Run one image through the network and count with fvcore.

    `free` names operators that do no multiply-adds, as "aten::erf", beyond those known here.
    Raises UncountedOperator if the network uses an operator without a FLOP formula.
    """
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    analysis = _analyse(name, network, torch.zeros(1, 3, *sides), free)
    modules = dict(network.named_modules())
    by_module = tuple(
        ModuleCount(
            module,
            _num_params(modules[module]),
            _sum(counts, MAC_OPERATORS),
            _sum(counts, NORM_OPERATORS),
        )
        for module, counts in analysis.by_module_and_operator().items()
    )
    by_operator = {key: int(value) for key, value in analysis.by_operator().items() if value}
    uncounted = set(by_operator) - {*MAC_OPERATORS, *NORM_OPERATORS}
    if uncounted:
        raise UncountedOperator(f"model {name}: neither MACs nor norms: {', '.join(uncounted)}")
    return FlopCount(
        model=name,
        image_size=image_size,
        params=by_module[0].params,
        forward_macs=by_module[0].forward_macs,
        norm_operations=by_module[0].norm_operations,
        by_operator=by_operator,
        by_module=by_module,
    )


def count_config(config: Config, num_classes: int) -> FlopCount:
    """Build the network of a config and count one forward pass over one image.

    It allocates the network's real size. Raises UncountedOperator, and ConfigError for a network
    whose output is not (B, num_classes).
    """
    if isinstance(config, CustomConfig):
        return _count_custom(config, num_classes)
    # Built without storage and then given storage as it comes: no value matters here, and
    # drawing initial weights would take longer than the count.
    network = on_meta(config, num_classes).to_empty(device="cpu")
    return count_network(config.name, network, config.image_size)


def _count_custom(config: CustomConfig, num_classes: int) -> FlopCount:
    generator = torch.get_rng_state()
    network = assemble(config, num_classes=num_classes).eval()
    torch.set_rng_state(generator)
    image = torch.zeros(1, 3, config.image.rows, config.image.columns)
    try:
        with torch.no_grad():
            shape = tuple(network(image).shape)
    except Exception as error:  # whatever the user's network raises
        given = f"cannot take an image {tuple(image.shape)}"
        raise ConfigError(f"model {config.name}: {given}: {error!r}") from error
    if shape != (1, num_classes):
        raise ConfigError(
            f"model {config.name}: one image gives {shape}, expected logits (1, {num_classes})"
        )
    free = getattr(load(config), "free_operators", ())
    return count_network(config.name, network, config.image_size, free)
