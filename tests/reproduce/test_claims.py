from homeschool.reproduce.claims import below_verified, claim

CONTROL = {"name": "majority", "versus_verified": {"difference_points": -31.0, "ci95": [-36.0, -26.0], "n": 600}}


def test_a_claim_holds_if_what_was_measured_reaches_the_target() -> None:
    assert claim("gain", target=30, measured=30.0, ci95=[25, 35], n=10)["holds"]
    assert not claim("gain", target=30, measured=29.9, ci95=[25, 35], n=10)["holds"]


def test_by_interval_the_whole_interval_must_reach_it() -> None:
    assert not claim("gain", target=30, measured=32.0, ci95=[28, 36], n=10, by_interval=True)["holds"]
    assert claim("gain", target=30, measured=34.0, ci95=[30, 38], n=10, by_interval=True)["holds"]


def test_what_was_not_measured_does_not_hold() -> None:
    assert not claim("gain", target=0, measured=None, ci95=None, n=None)["holds"]


def test_a_control_is_told_as_points_below_with_its_interval_turned_round() -> None:
    (told,) = below_verified({"controls": [CONTROL]}, target=30)
    assert (told["measured"], told["ci95"], told["n"], told["holds"]) == (31.0, [26.0, 36.0], 600, True)
    (strict,) = below_verified({"controls": [CONTROL]}, target=30, by_interval=True)
    assert not strict["holds"]
