"""Uniform random numbers by counting: one for every (seed, sample, position), whatever else is being drawn.

A generator with a state would tie a row's draws to the rows beside it. Here the number is a hash of where it stands,
so an answer is the same alone, in any batch, and after a restart. The hash is the finaliser of SplitMix64 (Steele,
Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), applied once per coordinate. It is
no good for cryptography.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def streams(seeds: Sequence[int], samples: Sequence[int]) -> NDArray[np.uint64]:
    """[R] one stream for each pair of a request's seed and the index of the sample."""
    first = mix(np.array([(seed + GAMMA) & MASK for seed in seeds], dtype=np.uint64))
    return mix(first + np.array([(sample + 1) * GAMMA & MASK for sample in samples], dtype=np.uint64))


def uniforms(stream: NDArray[np.uint64], position: int) -> NDArray[np.float64]:
    """[R] numbers in [0, 1): the one at `position` (0 is an answer's first token) of each stream.

    52 bits, so that a number times any total is less than the total in float64.
    """
    hashed = mix(stream + np.uint64((position + 1) * GAMMA & MASK))
    return (hashed >> np.uint64(12)).astype(np.float64) * np.float64(2.0**-52)


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser, elementwise, modulo 2**64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
