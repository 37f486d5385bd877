from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from homeschool.core.errors import StoppedError, UsageError
from homeschool.core.records import Completion
from homeschool.engine.answers import AnswerStore


def answer(key: str, *, tokens: int = 5, finish: str = "stop") -> Completion:
    return Completion(
        text=f"text of {key} \ud800 \0 é",
        finish_reason=finish,
        token_ids=tuple(range(tokens)),
        logprobs=tuple(-i / 3 for i in range(tokens)),
        prompt_tokens=7,
        key=key,
        model="m",
        sampling={"temperature": 1.0, "stop": ["x"]},
        seed=2**62,
    )


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers.db")


def test_what_is_committed_comes_back_exactly_and_in_another_process_too(store: AnswerStore) -> None:
    answers = [answer("a"), replace(answer("b"), logprobs=None, token_ids=()), answer("c", tokens=0)]
    store.commit(answers, max_tokens=64)
    with AnswerStore(store.path) as other:
        assert other.lookup(["a", "b", "c", "d"], max_tokens=64) == {a.key: a for a in answers}


def test_many_keys_are_looked_up(store: AnswerStore) -> None:
    answers = [answer(f"k{i}") for i in range(1203)]
    store.commit(answers, max_tokens=9)
    assert store.lookup([a.key for a in answers], max_tokens=9) == {a.key: a for a in answers}
    assert len(store) == 1203


@pytest.mark.parametrize(("limit", "served"), [(4, False), (5, True), (8, True), (100, True)])
def test_a_complete_answer_serves_every_limit_it_fits_in(store: AnswerStore, limit: int, served: bool) -> None:
    store.commit([answer("a", tokens=5)], max_tokens=8)
    assert ("a" in store.lookup(["a"], max_tokens=limit)) is served


def test_without_token_ids_an_answer_is_as_long_as_its_limit(store: AnswerStore) -> None:
    store.commit([replace(answer("a"), token_ids=())], max_tokens=8)
    assert store.lookup(["a"], max_tokens=7) == {}
    assert "a" in store.lookup(["a"], max_tokens=8)


def test_a_cut_answer_serves_its_own_limit_only_and_stays_beside_the_longer_one(store: AnswerStore) -> None:
    cut, whole = answer("a", tokens=4, finish="length"), answer("a", tokens=6)
    store.commit([cut], max_tokens=4)
    assert store.lookup(["a"], max_tokens=8) == {}
    store.commit([whole], max_tokens=8)
    assert store.lookup(["a"], max_tokens=4) == {"a": cut}
    assert store.lookup(["a"], max_tokens=8) == {"a": whole}
    assert store.max_asked() == 1


def test_a_second_commit_keeps_the_first_answer_and_is_counted(store: AnswerStore) -> None:
    store.commit([answer("a"), answer("b")], max_tokens=8)
    store.commit([replace(answer("a"), text="another")], max_tokens=8)
    assert store.times_asked() == {"a": 2, "b": 1}
    assert store.max_asked() == 2
    assert store.lookup(["a"], max_tokens=8)["a"].text == answer("a").text


def test_one_limit_per_answer(store: AnswerStore) -> None:
    store.commit([answer("a", finish="length"), answer("b", finish="length")], max_tokens=[5, 6])
    assert set(store.lookup(["a", "b"], max_tokens=5)) == {"a"}
    assert set(store.lookup(["a", "b"], max_tokens=6)) == {"b"}


@pytest.mark.parametrize(
    "damage",
    [
        "answer = 'not JSON'",
        "answer = replace(answer, 'text of', 'lies of')",
        "answer = CAST(x'ff80' AS TEXT)",
        "answer = x'00ff'",
        "tokens = 'many'",
        "checksum = ''",
    ],
)
def test_a_damaged_entry_is_noticed_counted_absent_and_replaced(store: AnswerStore, damage: str) -> None:
    store.commit([answer("a"), answer("b")], max_tokens=8)
    with sqlite3.connect(store.path) as other:
        other.execute(f"UPDATE answers SET {damage} WHERE key = 'a'")
    assert set(store.lookup(["a", "b"], max_tokens=8)) == {"b"}
    assert set(store.lookup(["a", "b"], max_tokens=8)) == {"b"}
    assert store.damaged == 1
    store.commit([answer("a")], max_tokens=8)
    assert set(store.lookup(["a", "b"], max_tokens=8)) == {"a", "b"}
    assert store.max_asked() == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"this is no database, whatever its name may say" * 50)
    with pytest.raises(UsageError, match=r"answers.db is not an answer store"):
        AnswerStore(path)


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE answers (question TEXT)")
    with pytest.raises(UsageError, match="is not an answer store"):
        AnswerStore(path)


def test_a_full_disk_stops_the_run_and_keeps_what_was_committed(store: AnswerStore) -> None:
    store.commit([answer("a")], max_tokens=8)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoppedError, match="disk is full") as raised:
        store.commit([answer(f"k{i}", tokens=200) for i in range(100)], max_tokens=200)
    assert "same command" in raised.value.hint
    assert set(store.times_asked()) == {"a"}, "a batch is committed whole or not at all"
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.commit([answer("k0")], max_tokens=200)
    assert len(store) == 2


def test_ten_thousand_answers_take_seconds_at_most(store: AnswerStore) -> None:
    answers = [answer(f"k{i}", tokens=64) for i in range(10_000)]
    began = time.process_time()
    for start in range(0, len(answers), 512):
        store.commit(answers[start : start + 512], max_tokens=64)
    store.lookup([a.key for a in answers], max_tokens=64)
    assert time.process_time() - began < 6
