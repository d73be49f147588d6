"""Operators of a Vision Transformer. n tokens, d width, m MLP, h heads."""

from models.operators import FP32, Numerics, Operator, Part, cross_entropy, dense, layer_norm
from models.vit.config import ViTConfig


def operators(config: ViTConfig, num_classes: int, numerics: Numerics) -> list[Part]:
    """Return the parts of the network in forward order, loss included."""
    pixels = numerics.operand * 3 * config.image.area
    return transformer(config, 3, num_classes, numerics, saved=pixels, entering=pixels)


def transformer(
    config: ViTConfig,
    channels: int,
    num_classes: int,
    numerics: Numerics,
    *,
    saved: int,
    entering: int,
) -> list[Part]:
    """Return the operators that follow the image, or a feature map of `channels` channels.

    The patch embedding keeps `saved` bytes of its input; `entering` are those that come in.
    """
    return [
        _embedding(config, channels, numerics, saved, entering),
        *[_block(config, numerics)] * config.depth,
        _head(config, num_classes, numerics),
    ]


def _embedding(
    config: ViTConfig, channels: int, numerics: Numerics, saved: int, entering: int
) -> Part:
    d, inputs = config.width, channels * config.patch_size**2
    # On a CPU dropout saves a number an element, elsewhere a byte.
    mask = (FP32 if numerics.device == "cpu" else 1) * config.num_tokens * d
    return Part(
        "embedding",
        (
            dense("embedding", inputs, d, config.grid.area, numerics, saved=saved),
            Operator(
                "position_embedding",
                params=_position_params(config),
                saved=mask if config.dropout else 0,
            ),
        ),
        entering=entering,
        gradients=FP32 * config.num_tokens * d,
    )


def _position_params(config: ViTConfig) -> int:
    """Return parameters of the position embedding added to the tokens, and of the class token."""
    n, d, grid = config.num_tokens, config.width, config.grid
    class_token = (n - grid.area) * d
    if config.position_embedding == "1d":
        return n * d + class_token
    if config.position_embedding == "2d":
        return (grid.rows + grid.columns) * (d // 2) + 2 * class_token
    return class_token


def _block(config: ViTConfig, numerics: Numerics) -> Part:
    n, d, m = config.num_tokens, config.width, config.mlp_dim
    mask = numerics.operand if numerics.device == "cpu" else 1
    found = [
        layer_norm("blocks", d, n),
        dense("blocks", d, 3 * d, n, numerics),
        _attention(config, numerics),
        dense("blocks", d, d, n, numerics),
        layer_norm("blocks", d, n),
        dense("blocks", d, m, n, numerics),
        Operator("blocks", saved=numerics.operand * n * m),  # GELU: its input
        dense("blocks", m, d, n, numerics),
        Operator("blocks", saved=mask * n * (2 * d + m) if config.dropout else 0),
    ]
    if config.position_embedding == "relative":
        head_size, rows = d // config.num_heads, config.num_heads * n
        found.append(dense("blocks", head_size, 2 * n - 1, rows, numerics, bias=False, saved=0))
    return Part(
        "block",
        tuple(found),
        entering=FP32 * n * d,
        gradients=FP32 * n * (d + m),
        is_recomputable=True,
    )


def _attention(config: ViTConfig, numerics: Numerics) -> Operator:
    """Return the two matrix products of attention, which saves query, key and value.

    The output is the input of the next layer, which saves it.
    """
    n, d = config.num_tokens, config.width
    macs = 2 * n * n * d
    return Operator(
        "blocks",
        forward_macs=macs,
        forward_macs_valid=macs,
        activations=config.num_heads * n * n + n * d,
        saved=numerics.operand * 3 * n * d + _attention_extra(config, numerics),
    )


def _attention_extra(config: ViTConfig, numerics: Numerics) -> int:
    """Return the bytes attention saves beside query, key and value: a log-sum per query.

    Relative positions save their products and a bias like the attention weights, twice. Dropout
    and a bias have no fused kernel on a CPU: there the weights are saved, with dropout also its
    mask and what it leaves of them, and with a bias a copy of the query.
    """
    n, h = config.num_tokens, config.num_heads
    is_relative = config.position_embedding == "relative"
    if numerics.device == "cpu" and (is_relative or config.attention_dropout):
        weights = (3 if config.attention_dropout else 1) * FP32 * h * n * n
        return weights + (numerics.operand * n * config.width if is_relative else 0)
    sums = FP32 * n * h
    return sums + (numerics.operand * h * n * (2 * n - 1) + 2 * FP32 * h * n * n) * is_relative


def _head(config: ViTConfig, num_classes: int, numerics: Numerics) -> Part:
    n, d, size = config.num_tokens, config.width, config.representation_size
    # In fp32 the head reads one token of the norm's output, which stays whole.
    is_view = config.pooling == "token" and numerics.precision == "fp32"
    pooled = FP32 * n * d if is_view else numerics.operand * d
    found = [layer_norm("norm", d, n)]
    if size is None:
        found.append(dense("head", d, num_classes, 1, numerics, saved=pooled))
    else:
        # tanh and the head share its output in fp32; in bf16 each has one.
        tanh = (1 if numerics.precision == "fp32" else 2) * numerics.operand * size
        found.append(dense("representation", d, size, 1, numerics, saved=pooled))
        found.append(dense("head", size, num_classes, 1, numerics, saved=tanh))
    return Part(
        "head",
        (*found, cross_entropy("head", num_classes)),
        entering=FP32 * n * d,
        gradients=FP32 * n * d,
    )
