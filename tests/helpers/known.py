"""Values that a test expects to be there."""

from typing import TypeVar

T = TypeVar("T")


def known(value: T | None) -> T:
    """Return the value; fail if it is None."""
    assert value is not None
    return value
