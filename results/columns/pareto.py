"""Pareto frontiers, with values that agree to 1e-12 counted as equal."""

import numpy as np
import numpy.typing as npt

TIE_BITS = 40  # values that agree in so many binary digits (1e-12) tie: a mean's rounding is less


def settled(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Round values (N,) to 40 binary digits, so that sums in another order compare equal.

    >>> 0.1 + 0.2 == 0.3, bool(settled([0.1 + 0.2]) == settled([0.3]))
    (False, True)
    """
    mantissas, exponents = np.frexp(np.asarray(values, dtype=float))
    rounded = np.round(np.ldexp(mantissas, TIE_BITS))
    found: npt.NDArray[np.float64] = np.ldexp(rounded, exponents - TIE_BITS)
    return found


def frontier(cost: npt.ArrayLike, error: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return the mask (N,) of the Pareto frontier of cost and error (N,), both minimized.

    A point is on it if no other has both at most as large and at least one of them smaller. So of
    two points with equal error only the cheaper one is on it, and exact duplicates both are or
    both are not. Values that agree to 1e-12 are equal. A point with a null, NaN or infinite value
    is never on it. Raises ValueError where the lengths differ.

    >>> frontier([55, 224, 196], [0.1927, 0.1585, 0.1563])  # B/32, B/16, L/32 of the ViT paper
    array([ True, False,  True])
    """
    costs, errors = settled(cost), settled(error)
    if costs.ndim != 1 or costs.shape != errors.shape:
        raise ValueError(f"given cost {costs.shape} and error {errors.shape}, expected (N,) twice")
    on = np.zeros(len(costs), dtype=bool)
    known = np.flatnonzero(np.isfinite(costs) & np.isfinite(errors))
    order = known[np.lexsort((errors[known], costs[known]))]
    best_cost, best_error = np.nan, np.inf
    for point in order:
        if errors[point] < best_error:
            best_cost, best_error = costs[point], errors[point]
        on[point] = (costs[point], errors[point]) == (best_cost, best_error)
    return on
