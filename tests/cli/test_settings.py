"""YAML at the edge: what is read, what is refused, and that nothing but a UsageError ever comes out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.cli.settings import apply, load_config
from homeschool.core.errors import UsageError


def config(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_a_file_with_overrides_in_order(tmp_path: Path) -> None:
    path = config(tmp_path, "rounds: 3\nbudget: {memory: 64GiB}\n")
    values = load_config(path, ["rounds=5", "budget.hours=2", "train.objective=sft", "rounds=6"])
    assert values == {"rounds": 6, "budget": {"memory": "64GiB", "hours": 2}, "train": {"objective": "sft"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=true", True), ("a=x=y", "x=y"), ("a=", None), ("a=[1, 2]", [1, 2]), ("a=0.5", 0.5)],
)
def test_values_are_yaml(text: str, value: object) -> None:
    assert apply({}, [text]) == {"a": value}


def test_apply_leaves_its_argument_alone() -> None:
    values = {"a": {"b": 1}}
    assert apply(values, ["a.b=2"]) == {"a": {"b": 2}}
    assert values == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1,\n", "line"),
        ("a: 1\nb: 2\na: 3\n", "'a' twice (line 3)"),
        ("outer:\n  x: 1\n  x: 2\n", "'x' twice (line 3)"),
        ("", "is empty"),
        ("- 1\n- 2\n", "not a mapping"),
        ("a: !!python/object:os.system x\n", "line 1"),
        ("\ta: 1\n", "line 1"),
    ],
)
def test_refuses_a_bad_file_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(config(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_refuses_what_is_not_a_text_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_config(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError, match="is a folder"):
        load_config(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_config(binary)


@pytest.mark.parametrize("text", ["rounds", "=5", "a..b=1", ".a=1", "a.=1"])
def test_refuses_an_override_that_is_not_key_value(text: str) -> None:
    with pytest.raises(UsageError, match="not key=value"):
        apply({}, [text])


def test_refuses_an_override_through_a_value() -> None:
    with pytest.raises(UsageError, match="goes through"):
        apply({"rounds": 3}, ["rounds.x=1"])


def test_merge_keys_may_repeat(tmp_path: Path) -> None:
    text = "one: &one {a: 1}\ntwo: &two {b: 2}\nboth:\n  <<: *one\n  <<: *two\n  c: 3\n"
    assert load_config(config(tmp_path, text))["both"] == {"a": 1, "b": 2, "c": 3}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(apply({}, [text]), dict)
