"""Derive random numbers from their purpose, so that there is no generator state to save."""

import hashlib

import numpy as np
import numpy.typing as npt


def derive(*parts: int | str) -> int:
    """Return a 63-bit seed for (study seed, run id, purpose, rank, …), the same on every machine.

    >>> derive(0, "order") == derive(0, "order") != derive(0, "augment")
    True
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def permutation(size: int, *parts: int | str) -> npt.NDArray[np.int64]:
    """Return a permutation of range(size) that depends on `parts` alone."""
    return np.random.Generator(np.random.Philox(derive(*parts))).permutation(size)


def uniforms(seed: int, keys: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Return `count` numbers in [0, 1) for each key, independent of the others: (len(keys), count).

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), seeded with a mix of the seed and the key.
    """
    gamma = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        start = _mix(keys.astype(np.uint64) * gamma + np.uint64(seed))
        states = start[:, None] + np.arange(1, count + 1, dtype=np.uint64) * gamma
        return (_mix(states) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
