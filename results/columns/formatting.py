"""How columns are called and numbers are written where people read them."""

import math
from collections.abc import Iterable

from results import schema

TOO_SMALL = 1e-4  # of a column's unit, for plain digits
SUFFIXES = ((1e9, "B"), (1e6, "M"), (1e3, "k"), (1.0, ""))
COUNTED = ("images", "parameters", "pixels", "steps")  # units that are written after short counts
# Two parts of a duration: size of the larger in seconds and its unit, then of the smaller.
PARTS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def is_fraction(column: str) -> bool:
    """Whether the column holds fractions, which people read as per cent."""
    known = schema.column(column)
    return column.endswith("accuracy") or (known is not None and known.unit == "fraction")


def higher_is_better(metric: str) -> bool:
    """Return True for accuracies and other fractions, False for losses."""
    return is_fraction(metric)


def name(column: str) -> str:
    """Return the column's name for people: `train_examples` is "training images"."""
    known = schema.column(column)
    return known.words if known is not None else column.replace("_", " ")


def header(column: str) -> str:
    """Return the name with the unit of fractions: `top1_accuracy` is "top-1 (%)"."""
    return f"{name(column)} (%)" if is_fraction(column) else name(column)


def unit(column: str) -> str:
    """Return the unit of a column, empty if it has none."""
    known = schema.column(column)
    return known.unit if known is not None else ""


def title(column: str) -> str:
    """Return the name of a column with its unit.

    >>> title("train_flops"), title("train_examples")
    ('training compute (FLOPs)', 'training images')
    """
    words, own = name(column), unit(column)
    return words if words.endswith(own) else f"{words} ({own})"


def display(column: str) -> schema.Display:
    """Return the units that a column is shown in, largest first, each with its header."""
    known = schema.column(column)
    return known.display if known is not None else ()


def in_smallest_unit(column: str) -> str:
    """Return the header of a column in its smallest unit.

    >>> in_smallest_unit("energy_joules"), in_smallest_unit("train_seconds")
    ('energy (J)', 'train seconds')
    """
    units = display(column)
    return units[-1][1] if units else title(column)


def number(value: float) -> str:
    """Three significant digits, all digits before the point; nothing for unknown.

    >>> number(4262), number(55), number(0.02345), number(math.nan)
    ('4,262', '55.0', '0.0234', '')
    """
    if not math.isfinite(value):
        return ""
    decimals = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(decimals, 0)}f}"


def plain(value: float) -> str:
    """Return a number with four significant digits.

    >>> plain(0.00123456), plain(2.0)
    ('0.001235', '2')
    """
    return f"{value:.4g}"


def percent(fraction: float, decimals: int | None = None, *, sign: str = "") -> str:
    """Return a fraction in per cent, by default with four significant digits.

    >>> percent(0.125), percent(0.87654, 1), percent(0.02, 2, sign="+")
    ('12.5%', '87.7%', '+2.00%')
    """
    kind = ".4g" if decimals is None else f".{decimals}f"
    return f"{100 * fraction:{sign}{kind}}%"


def duration(seconds: float) -> str:
    """Return seconds as a duration.

    >>> duration(7.84), duration(125), duration(7260), duration(200_000)
    ('7.84 s', '2 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    size, name, small, rest = next(part for part in PARTS if seconds >= part[0])
    return f"{seconds // size:.0f} {name} {seconds % size // small:.0f} {rest}"


def power_of_ten(value: float) -> str:
    """Return a number as a power of ten, to two digits, for matplotlib.

    >>> power_of_ten(5e10), power_of_ten(1e11), power_of_ten(1.2e11)
    ('$5 \\\\times 10^{10}$', '$10^{11}$', '$1.2 \\\\times 10^{11}$')
    """
    digits, exponent = f"{value:.1e}".split("e")
    digits, power = digits.removesuffix(".0"), f"10^{{{int(exponent)}}}"
    return f"${power}$" if digits == "1" else rf"${digits} \times {power}$"


def count(value: float) -> str:
    """Return a count with three significant digits and a prefix.

    >>> [count(n) for n in (86_567_656, 1_000, 12)]
    ['86.6 M', '1.00 k', '12']
    """
    if value < 1000:
        return f"{value:g}" if isinstance(value, int) else f"{value:.3g}"
    power = min(int(math.log10(value) + 1e-12) // 3, 7)
    scaled = value / 1000**power
    digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
    return f"{scaled:.{digits}f} {' kMGTPEZ'[power]}"


def giga(value: float) -> str:
    """Return a number in units of 10⁹, small ones with more digits.

    >>> giga(17.58e9), giga(1.2e6)
    ('17.58', '0.00120')
    """
    return f"{value / 1e9:.2f}" if value >= 1e7 else f"{value / 1e9:.5f}"


def millions(value: float) -> str:
    """Return a number in units of 10⁶."""
    return f"{value / 1e6:.2f}"


def short_count(value: float) -> str:
    """Return a count as it stands on an axis.

    >>> short_count(1437), short_count(9e6), short_count(1.3e6)
    ('1.4k', '9M', '1.3M')
    """
    scale, suffix = next(((s, suffix) for s, suffix in SUFFIXES if value >= s), SUFFIXES[-1])
    return f"{value / scale:.2g}{suffix}" if value < 10 * scale else f"{value / scale:.0f}{suffix}"


def scaled(column: str, values: Iterable[float]) -> tuple[str, list[str]]:
    """Header with unit and texts of a column, all in the one unit that suits its maximum.

    Where that is no unit for the smallest, all are powers of ten in the smallest unit.

    >>> scaled("train_flops", [5.5e19, 4.262e21])
    ('train exaFLOPs', ['55.0', '4,262'])
    """
    numbers = list(values)
    if is_fraction(column):
        return header(column), [number(100 * value) for value in numbers]
    units = display(column) or ((1.0, header(column)),)
    largest = max((value for value in numbers if math.isfinite(value)), default=0.0)
    scale, words = next((unit for unit in units if unit[0] <= largest), units[-1])
    if any(0 < value / scale < TOO_SMALL for value in numbers):
        scale, words = units[-1]
        return words, [f"{v / scale:.2e}" if math.isfinite(v) else "" for v in numbers]
    return words, [number(value / scale) for value in numbers]


def amount(column: str, value: float) -> str:
    """Return a value of a column with its unit.

    >>> amount("train_flops_valid", 1.567e21), amount("train_examples", 4e7)
    ('1,567 exaFLOPs', '40M images')
    >>> amount("energy_joules", 7.2e6), amount("train_seconds", 125), amount("epochs", 7)
    ('2.00 kWh', '2 min 5 s', '7.00 epochs')
    """
    if unit(column) in COUNTED:
        return f"{short_count(value)} {unit(column)}"
    if unit(column) == "seconds":
        return duration(value)
    if is_fraction(column):
        return percent(value)
    words, (text,) = scaled(column, [value])
    inside = words.partition(" (")[2].removesuffix(")")
    return f"{text} {inside or words.removeprefix('train ').removesuffix(', valid')}"


def score(mean: float, std: float, metric: str) -> str:
    """Return a mean with its spread, accuracies in per cent; "" if unknown.

    >>> score(0.8712, 0.0004, "top1_accuracy"), score(0.8712, math.nan, "top1_accuracy")
    ('87.12 ± 0.04', '87.12')
    """
    if not math.isfinite(mean):
        return ""
    scale, decimals = (100, 2) if is_fraction(metric) else (1, 3)
    text = f"{scale * mean:.{decimals}f}"
    return f"{text} ± {scale * std:.{decimals}f}" if math.isfinite(std) else text


def metric_value(metric: str, value: float) -> str:
    """Return a metric's value for people, with fractions in per cent: "84.15%"."""
    return percent(value, 2) if is_fraction(metric) else plain(value)
