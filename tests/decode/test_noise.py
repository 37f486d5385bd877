from __future__ import annotations

import numpy as np

from homeschool.decode.noise import mix, streams, uniforms


def test_the_hash_is_splitmix64() -> None:
    """The first outputs of SplitMix64 seeded with 1234567, as published with its reference code."""
    states = [(1234567 + (index + 1) * 0x9E3779B97F4A7C15) % 2**64 for index in range(3)]
    want = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix(np.array(states, dtype=np.uint64)).tolist() == want


def test_a_number_depends_on_its_own_place_only() -> None:
    together = uniforms(streams([5, 5, 2**63 - 1], [0, 1, 0]), 7)
    assert [uniforms(streams([seed], [sample]), 7)[0] for seed, sample in ((5, 0), (5, 1), (2**63 - 1, 0))] == list(
        together
    )
    assert len({*together, *uniforms(streams([5, 5], [0, 1]), 8)}) == 5


def test_numbers_are_uniform_and_independent_along_every_coordinate() -> None:
    by_position = np.array([uniforms(streams([3], [0]), position)[0] for position in range(20_000)])
    by_sample = uniforms(streams([3] * 20_000, range(20_000)), 0)
    by_seed = uniforms(streams(range(20_000), [0] * 20_000), 0)
    for numbers in (by_position, by_sample, by_seed):
        assert numbers.min() >= 0 and numbers.max() < 1
        counts = np.histogram(numbers, bins=50, range=(0, 1))[0]
        assert ((counts - 400) ** 2 / 400).sum() < 49 + 4 * 98**0.5
        assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.03
    assert abs(np.corrcoef(by_sample, by_seed)[0, 1]) < 0.03
