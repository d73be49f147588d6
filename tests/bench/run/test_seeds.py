"""Randomness is the same everywhere and depends on what it is for, not on what came before."""

import hashlib

import numpy as np

from bench.run import seeds


def test_a_seed_is_63_bits_of_a_hash_of_its_parts() -> None:
    text = "int:7\x1fstr:order\x1fint:2"
    number = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)  # the first 64 bits
    assert seeds.derive(7, "order", 2) == number // 2
    assert 0 <= seeds.derive(7, "order", 2) < 2**63


def test_seeds_of_different_purposes_differ() -> None:
    parts: list[tuple[int | str, ...]] = [
        (0, "a"),
        (1, "a"),
        (0, "b"),
        ("0", "a"),
        (0, "a", 0),
        ("0a",),
        (0,),
        (),
    ]
    assert len({seeds.derive(*part) for part in parts}) == len(parts)


def test_a_permutation_has_each_place_once_and_depends_on_its_parts_alone() -> None:
    first = seeds.permutation(1000, 5, "order", 0)
    assert sorted(first.tolist()) == list(range(1000))
    np.random.default_rng(0).random(10)
    assert np.array_equal(first, seeds.permutation(1000, 5, "order", 0))
    assert not np.array_equal(first, seeds.permutation(1000, 5, "order", 1))


def test_a_draw_does_not_depend_on_the_batch_it_is_in() -> None:
    keys = np.arange(50)
    together = seeds.uniforms(3, keys, 4)
    assert together.shape == (50, 4)
    alone = np.concatenate([seeds.uniforms(3, keys[i : i + 1], 4) for i in range(50)])
    assert np.array_equal(together, alone)
    assert np.array_equal(together[::-1], seeds.uniforms(3, keys[::-1], 4))
    assert np.array_equal(together[:, :2], seeds.uniforms(3, keys, 2))


def splitmix64(state: int) -> int:
    """The mixing function of Steele, Lea and Flood (2014), in Python's whole numbers."""
    mask = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_draws_are_splitmix64_from_a_mix_of_seed_and_key() -> None:
    gamma, seed, key = 0x9E3779B97F4A7C15, 2**63 - 1, 12345
    start = splitmix64((key * gamma + seed) % 2**64)
    expected = [(splitmix64((start + i * gamma) % 2**64) >> 11) / 2**53 for i in (1, 2, 3)]
    assert seeds.uniforms(seed, np.array([key]), 3)[0].tolist() == expected


def test_draws_are_uniform_and_independent() -> None:
    count = 100_000
    draws = seeds.uniforms(0, np.arange(count), 2)
    assert draws.min() >= 0 and draws.max() < 1
    # A uniform number has mean 1/2 and variance 1/12; five standard errors are allowed.
    assert np.abs(draws.mean(0) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / count)
    # The variance of (u - 1/2)² is 1/80 - 1/144 = 1/180.
    assert np.abs(draws.var(0) - 1 / 12).max() < 5 * np.sqrt(1 / 180 / count)
    # Neither neighboring draws nor neighboring keys nor neighboring seeds are correlated.
    other = seeds.uniforms(1, np.arange(count), 1)[:, 0]
    pairs = [(draws[:, 0], draws[:, 1]), (draws[:-1, 0], draws[1:, 0]), (draws[:, 0], other)]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(count)
