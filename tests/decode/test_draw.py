from __future__ import annotations

import torch

from homeschool.decode.draw import invert, keep_likely


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64).unsqueeze(1)


def test_inversion_follows_the_cumulative_sum_and_skips_impossible_tokens() -> None:
    chances = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]], dtype=torch.float64).expand(5, 5)
    uniform = torch.tensor([0.0, 0.2499, 0.25, 0.9, 1 - 2.0**-52], dtype=torch.float64)
    assert invert(chances, uniform).tolist() == [1, 1, 3, 3, 3]


def test_each_row_has_its_own_filters() -> None:
    chances = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64).repeat(5, 1)
    unlimited = float("inf")
    kept = keep_likely(chances, top_k=column(unlimited, 2, 1, 3, unlimited), top_p=column(1, 1, 1, 0.4, 0.45))
    assert (kept > 0).tolist() == [
        [True, True, True, True],
        [False, True, False, True],
        [False, True, False, False],
        [False, True, False, False],  # top_p counts within what top_k left: 0.4 of 0.9 is above 0.4
        [False, True, False, True],
    ]
    assert torch.equal(kept[0], chances[0])


def test_of_equal_chances_the_lower_id_stays() -> None:
    chances = torch.full((1, 6), 1 / 6, dtype=torch.float64)
    assert keep_likely(chances, top_k=column(2), top_p=column(1))[0].nonzero().flatten().tolist() == [0, 1]
