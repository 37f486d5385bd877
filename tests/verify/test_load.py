"""Verifiers by name, with options, and composed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.verify.load import is_grouped, list_verifiers, load_verifier
from homeschool.verify.spec import Spec, checked, parse


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text("def judge(answer, row): return True", encoding="utf-8")
    return f"{tmp_path / 'mine.py'}:judge"


def test_ours_by_file_name() -> None:
    assert [load_verifier(name).name.partition("@")[0] for name in ("exact", "math")] == ["exact", "math"]
    listed = {listing["name"]: listing["summary"] for listing in list_verifiers()}
    assert {"exact", "math", "all_of", "first_of", "judge", "rubric", "citation", "consistency"} <= set(listed)
    assert not {"load", "user", "answers", "spec", "jury", "shaping", "math_pool", "math_worker"} & set(listed)
    assert all(listed.values())


def test_a_persons_own_alone_and_inside(mine: str) -> None:
    assert load_verifier(mine).name.startswith("mine.py:judge@")
    assert load_verifier(f'all_of(exact, "{mine}")').name.startswith("all_of@1(exact@2, mine.py:judge@")


def test_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "my (1)").mkdir()
    (tmp_path / "my (1)" / "a.py").write_text("def judge(answer, row): return True", encoding="utf-8")
    assert load_verifier(f"{tmp_path}/my (1)/a.py:judge").name.startswith("a.py:judge@")


def test_options_reach_the_verifier_and_are_part_of_its_name() -> None:
    assert load_verifier("consistency(least=0.6, group=4)").name == "consistency@1(group=4, least=0.6)"
    assert load_verifier("math( seconds = 2 )").seconds == 2.0  # pyright: ignore[reportAttributeAccessIssue]
    assert load_verifier('rubric(items=["a", "b"])').items == ("a", "b")  # pyright: ignore[reportAttributeAccessIssue]
    assert load_verifier("judge(pairs=true)").pairs is True  # pyright: ignore[reportAttributeAccessIssue]
    long = [load_verifier(f'judge(rubric="{letter * 500}")').name for letter in "ab"]
    assert long[0] != long[1] and max(map(len, long)) < 40


def test_composed_ones_nest_and_are_of_groups_if_a_part_is() -> None:
    made = load_verifier("all_of(first_of(exact, math), consistency(least=1))")
    inner = ", ".join(load_verifier(name).name for name in ("exact", "math"))
    assert made.name == f"all_of@1(first_of@1({inner}), consistency@1(least=1))"
    assert is_grouped(made) and not is_grouped(load_verifier("all_of(exact, math)"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("exakt", "unknown verifier 'exakt': did you mean 'exact'"),
        ("all_of(math, exakt)", "unknown verifier 'exakt': did you mean 'exact'"),
        ("answers", "unknown verifier 'answers'"),
        ("../math", "unknown verifier"),
        ("mine.py", "write `mine.py:judge`"),
        ("gone.py:judge", "no file 'gone.py'"),
        ('all_of(math, "gone.py:judge")', "no file 'gone.py'"),
        ("all_of(math, gone.py:judge)", "put a file in quotes"),
        ("", "unknown verifier"),
        ("math(worker=2)", "unknown option 'worker' of math: did you mean 'workers'?"),
        ("math(workers='two')", "math.workers must be a whole number, not 'two'"),
        ("math(2)", "options are given by name"),
        ("math(exact)", "math takes options by name only"),
        ("exact(least=1)", "exact takes no options"),
        ("all_of", "all_of needs verifiers"),
        ("first_of()", "first_of needs verifiers"),
        ("all_of(exact, least=1)", "all_of takes no options"),
        ("math(workers=2", "was never closed"),
        ("math(**{})", "without **"),
        ("math(workers=open('f'))", "is no plain value"),
        ("math(workers=__import__)", "is no plain value"),
        ("exact or math", "is no name"),
        ("lambda: 1", "no file 'lambda'"),
        ("__import__('os').system('true')", "is no name"),
        ("(" * 5000, "it is too long"),
        ("-" * 3999, "unknown verifier"),
        ("exact\x00", "unknown verifier"),
    ],
)
def test_what_is_no_verifier_is_one_sentence(name: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_verifier(name)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_name_is_not_evaluated(tmp_path: Path) -> None:
    file = tmp_path / "made"
    for text in (f"open({str(file)!r}, 'w')", f"math(workers=open({str(file)!r}, 'w'))", f"[open({str(file)!r}, 'w')]"):
        with pytest.raises(UsageError):
            load_verifier(text)
    assert not file.exists()


VALUES = st.recursive(
    st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}x", fullmatch=True), VALUES, max_size=3))
def test_options_are_read_as_they_were_written(options: dict[str, object]) -> None:
    text = ", ".join(f"{name}={value!r}" for name, value in options.items())
    assert parse(f"all_of({text})", kind="verifier") == Spec("all_of", (), options)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_a_spec_or_a_sentence(text: str) -> None:
    try:
        assert isinstance(parse(text, kind="verifier"), Spec)
    except UsageError as error:
        assert error.hint


def test_options_are_checked_against_the_signature() -> None:
    def made(*, most: int, weights: dict[str, float] | None = None, words: list[str] | None = None) -> None: ...

    spec = parse("length(most=400, weights={'a': 1}, words=['b'])", kind="verifier")
    assert checked(spec, made) == {"most": 400, "weights": {"a": 1.0}, "words": ("b",)}
    for text, words in (
        ("length(mots=400)", "unknown option 'mots' of length: did you mean 'most'?"),
        ("length(most=true)", "must be a whole number, not True"),
        ("length(most=1, words='b')", "must be a list, not 'b'"),
        ("length()", "length needs 'most'"),
    ):
        with pytest.raises(UsageError) as raised:
            checked(parse(text, kind="verifier"), made)
        assert words in str(raised.value)
