from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.core.records import Completion, Message, Request, Sampling
from homeschool.models import wire
from homeschool.models.wire import CHAT, RAW, Call, EmptyReply, MalformedReply, Server, calls_of, completions_of

ALL = frozenset(["n", "seed", "top_k", "logprobs", "schema", "tools", "echo"])
SERVER = Server("m", chat=ALL, raw=ALL)
HELLO = (Message("system", "Be kind."), Message("user", "Hello"))
ONE = Call(CHAT, {})


def chat_reply(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def read(reply: Any, call: Call = ONE) -> list[Completion]:
    return completions_of(json.dumps(reply).encode(), call=call)


def test_a_chat_is_sent_with_all_that_was_asked_and_nothing_else() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=20, max_tokens=7, stop=("\n",))
    request = Request(HELLO, sampling, seed=3, schema={"type": "object"}, tools=({"type": "function"},), logprobs=True)
    (call,) = calls_of(request, server=SERVER)
    seed = call.body["seed"]
    assert call.path == CHAT and call.choices == 1 and 0 <= seed < 1 << 31
    assert call.body == {
        "model": "m", "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 20, "stop": ["\n"], "logprobs": True, "seed": seed,
        "tools": [{"type": "function"}],
        "response_format": {"type": "json_schema",
                            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": False}},
    }  # fmt: skip


def test_a_plain_request_sends_no_key_it_does_not_need() -> None:
    (call,) = calls_of(Request("Once", Sampling(max_tokens=5)), server=Server("m", chat=None, raw=frozenset()))
    assert call == Call(RAW, {"model": "m", "prompt": "Once", "max_tokens": 5, "temperature": 1.0})


def test_a_greedy_request_is_one_call_without_seed_top_p_and_top_k() -> None:
    sampling = Sampling(temperature=0, top_p=0.5, top_k=4, max_tokens=5)
    (call,) = calls_of(Request("Once", sampling, n=3), server=SERVER)
    assert call.body == {"model": "m", "prompt": "Once", "max_tokens": 5, "temperature": 0}


def test_samples_are_one_call_where_the_server_draws_n_and_one_each_where_it_does_not() -> None:
    request = Request("Once", seed=1, n=3, first=2)
    (together,) = calls_of(request, server=SERVER)
    assert together.choices == together.body["n"] == 3
    apart = calls_of(request, server=Server("m", raw=frozenset(["seed"])))
    assert all("n" not in call.body and call.choices == 1 for call in apart)
    seeds = [call.body["seed"] for call in apart]
    assert len(set(seeds)) == 3
    (alone,) = calls_of(Request("Once", seed=1, n=1, first=3), server=Server("m", raw=frozenset(["seed"])))
    assert alone.body["seed"] == seeds[1]  # sample 3, however it is asked for


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (Request("Once"), "chat=true"),
        (Request(HELLO, schema={}), "schema"),
        (Request(HELLO, tools=({},)), "tools"),
        (Request(HELLO, logprobs=True), "logprobs"),
        (Request(HELLO, Sampling(top_k=3)), "top_k"),
    ],
)
def test_what_the_server_cannot_do_is_refused_and_not_left_out(request_: Request, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        calls_of(request_, server=Server("m", chat=frozenset()))


def test_the_limit_has_the_name_that_the_server_wants() -> None:
    (call,) = calls_of(Request(HELLO), server=Server("m", limit_name="max_completion_tokens"))
    assert call.body["max_completion_tokens"] == 256 and "max_tokens" not in call.body


def test_choices_come_in_order_and_share_the_count_of_tokens() -> None:
    choices = [{"index": i, "message": {"content": f"answer {i}"}, "finish_reason": "length"} for i in (2, 0, 1)]
    answers = read({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 10}}, Call(CHAT, {}, 3))
    assert [answer.text for answer in answers] == ["answer 0", "answer 1", "answer 2"]
    assert [answer.completion_tokens for answer in answers] == [4, 3, 3]
    assert {answer.prompt_tokens for answer in answers} == {9} and answers[0].finish_reason == "length"


def test_logprobs_are_read_from_both_kinds_of_reply() -> None:
    chat = chat_reply(content="ab")
    chat["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -9e999}]}
    assert read(chat)[0].logprobs == (-0.5, wire.LOWEST)
    raw = {"choices": [{"text": "ab", "logprobs": {"token_logprobs": [-1, -2.5]}, "finish_reason": None}]}
    (answer,) = read(raw, Call(RAW, {}))
    assert answer.logprobs == (-1.0, -2.5) and answer.completion_tokens == 2 and answer.finish_reason == "stop"


def test_refusal_reasoning_and_tool_calls_are_kept() -> None:
    (answer,) = read(chat_reply(content=None, refusal="No.", reasoning_content="Hm."))
    assert (answer.text, answer.refusal, answer.reasoning) == ("", "No.", "Hm.")
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1'}}
    (answer,) = read(chat_reply(content=None, tool_calls=[call]))
    assert answer.tool_calls == (call,)  # arguments that are no JSON are for others to judge


def test_a_reply_that_says_nothing_is_empty_unless_its_length_was_cut() -> None:
    with pytest.raises(EmptyReply) as caught:
        read(chat_reply(content=""))
    assert caught.value.answer == [Completion("", "stop")]
    for raw in (b"", b" \n", b'{"choices": []}'):
        with pytest.raises(EmptyReply):
            completions_of(raw, call=ONE)
    cut = chat_reply(content="")
    cut["choices"][0]["finish_reason"] = "length"
    assert read(cut)[0].text == ""


def test_half_a_surrogate_pair_becomes_text_that_can_be_written() -> None:
    raw = b'{"choices": [{"message": {"content": "a\\ud83d b \\ud83d\\ude00"}}]}'
    (answer,) = completions_of(raw, call=ONE)
    assert answer.text == "a\ufffd b \U0001f600" and answer.text.encode()


@pytest.mark.parametrize(
    "reply",
    [
        [], {}, {"choices": None}, {"choices": [1]}, {"choices": [{}]}, {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": ["x"]}}]}, {"choices": [{"message": {"content": "x"}}] * 2},
        chat_reply(content="x", tool_calls=[{"function": []}]), {"error": {"message": "overloaded"}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_malformed(reply: Any) -> None:
    with pytest.raises(MalformedReply):
        read(reply)


def test_echoed_numbers_are_those_of_the_continuation_alone() -> None:
    told = {"token_logprobs": [None, -1, -2, -3, -4], "text_offset": [0, 3, 5, 7, 9]}
    raw = json.dumps({"choices": [{"text": "...", "logprobs": told}]}).encode()
    assert wire.echoed(raw, start=5, end=9) == (-2.0, -3.0)
    with pytest.raises(UsageError, match="reaches into the continuation"):
        wire.echoed(raw, start=4, end=9)


def test_a_complaint_is_short_and_without_the_secret() -> None:
    raw = json.dumps({"error": {"message": "bad key sk-secret-123\n" + "x" * 999}}).encode()
    said = wire.complaint(raw, "sk-secret-123")
    assert said.startswith("bad key *** xxx") and len(said) < 320
    assert wire.complaint(b"<html>gone</html>") == "<html>gone</html>"
    assert wire.complaint(b'{"detail": "Not Found"}') == "Not Found"


def test_a_server_survives_being_written_and_read() -> None:
    server = Server("m", chat=None, raw=frozenset(["n", "seed"]), limit_name="x", context=9, models=("m", "k"))
    assert Server.from_dict(json.loads(json.dumps(server.to_dict()))) == server


KEYS = st.sampled_from(
    [
        *("choices", "message", "content", "text", "index", "logprobs", "logprob", "token_logprobs", "text_offset"),
        *("usage", "tool_calls", "function", "arguments", "refusal", "finish_reason", "completion_tokens", "error"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CHOICES = st.lists(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, min_size=1, max_size=2)
REPLIES = VALUES | st.fixed_dictionaries({"choices": CHOICES}, optional={"usage": VALUES})


@given(reply=REPLIES, path=st.sampled_from([CHAT, RAW]), wanted=st.integers(0, 2))
def test_any_json_is_answers_or_malformed(reply: Any, path: str, wanted: int) -> None:
    raw = json.dumps(reply).encode()
    try:
        answers = completions_of(raw, call=Call(path, {}, wanted))
    except MalformedReply:
        answers = []
    for answer in answers:
        json.dumps([answer.text, answer.logprobs, answer.tool_calls], allow_nan=False, ensure_ascii=False).encode()
    with contextlib.suppress(MalformedReply, UsageError):
        wire.echoed(raw, start=0, end=3)
    assert isinstance(wire.complaint(raw), str)


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedReply):
        completions_of(raw, call=ONE)


def test_a_deep_reply_is_malformed_and_not_a_crash() -> None:
    with pytest.raises(MalformedReply):
        completions_of(b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", call=ONE)


CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({"type": "array", "items": CLOSED}, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
    ],
)
def test_only_what_strict_mode_takes_is_asked_for_in_it(schema: dict[str, Any], strict: bool) -> None:
    [call] = calls_of(Request((Message("user", "hi"),), schema=schema), server=SERVER)
    assert call.body["response_format"]["json_schema"]["strict"] is strict
