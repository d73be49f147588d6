"""Which columns the verbs' tables have, their headings and formats."""

from collections.abc import Callable
from typing import Any

from results.columns import formatting
from results.schema import of_role

Format = Callable[[Any], str]
# Key of the row, heading with its unit, format.
Column = tuple[str, str, Format]


def share(value: float) -> str:
    """Return a fraction in per cent, to one decimal."""
    return formatting.percent(value, 1)


def text(value: Any) -> str:
    """Return a value as it is."""
    return str(value)


def _days(value: Any) -> str:
    return f"{value:.3g}"


_MODEL: list[Column] = [
    ("name", "name", text),
    ("label", "label", text),
    ("family", "family", text),
    ("image_size", "px", text),
    ("params", "params (M)", formatting.millions),
    ("forward_macs_per_image", "GMACs", formatting.giga),
]
MODELS: list[Column] = [
    *_MODEL,
    ("published_names", "published as", lambda names: ", ".join(names)),
]
COST: list[Column] = [
    *_MODEL,
    ("forward_macs_valid_per_image", "GMACs valid", formatting.giga),
    ("norm_operations_per_image", "norm Gops", formatting.giga),
    ("forward_flops_per_image", "GFLOPs", formatting.giga),
    ("train_exaflops", "train exaFLOPs", lambda value: f"{value:.4g}"),
    ("train_exaflops_valid", "valid", lambda value: f"{value:.4g}"),
]
BY_MODULE: list[Column] = [
    ("name", "name", text),
    ("module", "module", text),
    ("params", "params", lambda value: f"{value:,}"),
    ("forward_macs_per_image", "MACs", lambda value: f"{value:,}"),
    ("norm_operations_per_image", "norm operations", lambda value: f"{value:,}"),
]
PUBLISHED: list[Column] = [
    ("label", "published as", text),
    ("name", "name", text),
    ("image_size", "px", text),
    ("epochs", "epochs", text),
    ("train_exaflops_valid", "exaFLOPs", lambda value: f"{value:.1f}"),
    ("published_exaflops", "published", lambda value: f"{value:.0f}"),
    ("gmacs", "GMACs", lambda value: f"{value:.2f}"),
    ("gmacs_with_norms", "with norms", lambda value: f"{value:.2f}"),
    ("published_gmacs", "published", lambda value: f"{value:.2f}"),
    ("deviation", "deviation", lambda value: formatting.percent(value, 2, sign="+")),
    ("published_core_days", "core-days", text),
    ("implied_utilization", "utilization", share),
    ("note", "note", text),
]
THROUGHPUT: list[Column] = [
    ("model", "model", text),
    ("mode", "mode", text),
    ("precision", "precision", text),
    ("image_size", "px", text),
    ("batch_size", "batch", text),
    ("images_per_second", "images/s", lambda value: f"{value:.4g}"),
    ("step_seconds", "ms a step", lambda value: f"{1e3 * value:.1f}"),
    ("step_seconds_low", "25%", lambda value: f"{1e3 * value:.1f}"),
    ("step_seconds_high", "75%", lambda value: f"{1e3 * value:.1f}"),
    ("num_steps", "steps", text),
    ("peak_memory_bytes", "memory (B)", formatting.count),
    ("model_flops_utilization", "MFU", share),
]


def predicted_costs() -> list[Column]:
    """Return the columns of a plan for the costs that earlier runs predict."""
    costs = [column for column in of_role("cost") if column.plan == "predicted"]
    return [
        (column.planned, formatting.in_smallest_unit(column.name), formatting.count)
        for column in costs
    ]


def plan_columns() -> list[Column]:
    """Return the columns of a plan: settings, then costs."""
    return [
        ("state", "state", text),
        ("model", "model", text),
        ("train_examples", "images", lambda value: f"{value:,}"),
        ("dataset", "data", text),
        ("image_size", "px", text),
        ("batch_size", "batch", text),
        ("recipe", "recipe", text),
        ("seed", "seed", text),
        ("steps", "steps", lambda value: f"{value:,}"),
        ("params", "params", formatting.count),
        ("train_flops", "train FLOPs", formatting.count),
        ("accelerator_days", "acc.-days", _days),
        ("predicted_wall_seconds", "time", formatting.duration),
        *predicted_costs(),
        ("predicted_price", "price", lambda value: f"{value:,.2f}"),
        ("prediction", "from", text),
        ("predicted_memory_bytes", "memory (B)", formatting.count),
    ]


def plan_totals() -> list[Column]:
    """Return the totals of a plan, besides compute, as "energy in J"."""
    return [
        ("predicted_wall_seconds_to_do", "time", formatting.duration),
        *(
            (f"{key}_to_do", heading.replace(" (", " in ").rstrip(")"), form)
            for key, heading, form in predicted_costs()
        ),
        ("predicted_price_to_do", "price", lambda value: f"{value:,.2f}"),
    ]


STATUS: list[Column] = [
    ("run_id", "run", text),
    ("state", "state", text),
    ("attempts", "tries", text),
    ("progress", "done", share),
    ("images_per_second", "images/s", formatting.count),
    ("loss", "loss", lambda value: f"{value:.3f}"),
    ("eta_seconds", "left", formatting.duration),
    ("evaluated", "evals", text),
    ("nodes", "nodes", text),
    ("reason", "reason", text),
]
