import pytest

from homeschool.improve.health import Group, Sample, stop, untrustworthy, vitals
from homeschool.improve.settings import HealthConfig


def group(*answers: tuple[str, str], level: int | None = None) -> Group:
    samples = tuple(
        Sample(text, status, "" if status == "pass" else f"{status} reason", "seen", 2.0, 4) for text, status in answers
    )
    return Group(level, samples)


def test_vitals_count_what_happened() -> None:
    groups = [group(("a", "pass"), ("b", "fail")), group(("c", "broken"), ("c", "broken")), group(("d", "pass"))]
    seen = vitals(groups)
    assert (seen.asked, seen.passed, seen.broken) == (5, 2, 2)
    assert seen.failed == {"broken reason": 2, "fail reason": 1}
    assert seen.uniform == pytest.approx(2 / 3)
    assert seen.identical == pytest.approx(1 / 2)
    assert seen.entropy == pytest.approx(0.5)


def test_a_verifier_that_breaks_often_is_not_trusted() -> None:
    seen = vitals([group(*[("a", "pass")] * 9, ("b", "broken"))])
    assert untrustworthy(seen, HealthConfig(broken=0.2)) is None
    assert "broke on 1 of 10" in (untrustworthy(seen, HealthConfig(broken=0.05)) or "")


def test_nothing_passed_stops_the_run() -> None:
    groups = [group(("a", "fail"), ("b", "fail"))]
    assert "none of 2 samples passed" in (stop(vitals(groups), groups, HealthConfig(), at_top=False) or "")


def test_everything_passed_stops_only_at_the_top() -> None:
    groups = [group(("a", "pass"), ("b", "pass"))]
    assert stop(vitals(groups), groups, HealthConfig(), at_top=False) is None
    assert "nothing left to learn" in (stop(vitals(groups), groups, HealthConfig(), at_top=True) or "")


def test_copies_of_one_wrong_text_are_a_collapse() -> None:
    stuck = [group(("x", "fail"), ("x", "fail")) for _ in range(20)]
    groups = [*stuck, group(("a", "pass"), ("b", "pass"))]
    assert "explores nothing" in (stop(vitals(groups), groups, HealthConfig(), at_top=False) or "")
    lively = [group((f"x{index}", "fail"), ("y", "pass")) for index in range(20)]
    assert stop(vitals(lively), lively, HealthConfig(), at_top=False) is None
