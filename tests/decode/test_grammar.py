"""Answers held to schemas are valid JSON of them, whatever the model, the tokenizer and the room."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemas import BOUNDED_ARRAYS, HARD, PERSON, SCALARS, TREE, UNICODE, UNION
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from homeschool.core.errors import UnanswerableError, UsageError
from homeschool.core.records import Completion, Request, Sampling
from homeschool.decode import closing
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.decode.schema import ending, prepare
from homeschool.models import nano as box
from homeschool.models.local import Checkpoint


@pytest.fixture(scope="module")
def nano() -> Sampler:
    return Sampler(open_checkpoint("nano", device="cpu"))


@pytest.fixture(scope="module")
def bytes_model() -> Sampler:
    """A random Llama over a byte-level BPE vocabulary with multilingual merges: its free text is seldom UTF-8."""
    text = ['naïve café 李白 said 😀 "hello", {"name": "Łukasz", "items": [1, 2.5, true, null]}'] * 20
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    raw.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=400, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"], show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    return Sampler(_llama(tokenizer, vocabulary=408, end=1))


def _llama(tokenizer: Any, *, vocabulary: int, end: int | None) -> Checkpoint:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=512, initializer_range=0.3, eos_token_id=end, bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    module: Any = LlamaForCausalLM(config)
    module.generation_config.eos_token_id = end
    return Checkpoint("bytes", module, tokenizer=tokenizer, fingerprint="f0")


def answers(sampler: Sampler, requests: Sequence[Request]) -> list[list[Completion]]:
    return asyncio.run(sampler.generate_batch(requests))


def least(sampler: Sampler, schema: dict[str, Any]) -> int:
    """What the obstacle to one token says is needed; 1 if there is none."""
    why = sampler.obstacle(Request("a", Sampling(max_tokens=1), schema=schema))
    return int(why.split("at least ")[1].split()[0]) if why else 1


def check(answer: Completion, request: Request) -> Any:
    """The value of a valid, whole answer."""
    assert request.schema is not None
    value = json.loads(answer.text)
    Draft202012Validator(request.schema).validate(value)
    json.dumps(value, allow_nan=False)
    assert answer.finish_reason == "stop"
    assert len(answer.token_ids) == answer.completion_tokens <= request.sampling.max_tokens
    return value


def hard(sampler: Sampler, *, name: str, seeds: int) -> list[Request]:
    schema, comfortable = HARD[name]
    fewest = least(sampler, schema)
    rooms = [fewest, fewest + 9, comfortable]
    return [
        Request(f"{name} {seed}", Sampling(temperature, max_tokens=room), seed=seed, schema=schema)
        for seed in range(seeds)
        for room in rooms
        for temperature in (0.0, 1.0)
    ]


def test_nano_writes_valid_json_two_hundred_times(nano: Sampler) -> None:
    """Every hard schema, greedy and at temperature 1, from the fewest tokens on."""
    requests = [request for name in HARD for request in hard(nano, name=name, seeds=3)]
    assert len(requests) >= 200
    texts = set[str]()
    for request, (answer,) in zip(requests, answers(nano, requests), strict=True):
        check(answer, request)
        assert nano.checkpoint.decode(answer.token_ids) == answer.text
        texts.add(answer.text)
    assert len(texts) > len(requests) / 4


@pytest.mark.parametrize("name", HARD)
def test_bytes_give_valid_json_and_valid_text(bytes_model: Sampler, name: str) -> None:
    requests = hard(bytes_model, name=name, seeds=1)
    for request, (answer,) in zip(requests, answers(bytes_model, requests), strict=True):
        check(answer, request)
        assert "\N{REPLACEMENT CHARACTER}" not in answer.text
        assert bytes_model.checkpoint.decode(answer.token_ids) == answer.text


def test_free_text_of_bytes_is_unicode(bytes_model: Sampler) -> None:
    """A random model writes characters of several bytes in free text, and is stopped inside none."""
    schema = {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 3}
    asked = Request("a", Sampling(1.0, max_tokens=40), n=40, schema=schema)
    values = [check(answer, asked) for answer in answers(bytes_model, [asked])[0]]
    letters = {letter for value in values for text in value for letter in text}
    assert len([letter for letter in letters if ord(letter) > 127]) > 20


@pytest.mark.parametrize("schema", [PERSON, UNICODE, TREE, BOUNDED_ARRAYS], ids=["person", "unicode", "tree", "arrays"])
def test_the_fewest_tokens_suffice_and_one_less_is_an_obstacle(nano: Sampler, schema: dict[str, Any]) -> None:
    fewest = least(nano, schema)
    enough = Request("go", Sampling(1.0, max_tokens=fewest), n=3, schema=schema)
    assert nano.obstacle(enough) == ""
    for answer in answers(nano, [enough])[0]:
        check(answer, enough)
    short = replace(enough, sampling=Sampling(1.0, max_tokens=fewest - 1))
    says = f"the schema needs at least {fewest} tokens and max_tokens is {fewest - 1}"
    assert nano.obstacle(short) == says
    with pytest.raises(UnanswerableError, match=says):
        answers(nano, [short])


def test_the_context_bounds_an_answer_too(nano: Sampler) -> None:
    room = 512 - 470
    asked = Request("x" * 469, Sampling(1.0, max_tokens=400), schema=SCALARS)
    for answer in answers(nano, [replace(asked, n=5)])[0]:
        check(answer, asked)
        assert len(answer.token_ids) <= room
    assert nano.obstacle(replace(asked, schema=PERSON)) == (
        f"the schema needs at least {least(nano, PERSON)} tokens and the prompt leaves {room} of the context"
    )


def test_more_samples_of_a_schema_are_the_same_samples(nano: Sampler) -> None:
    asked = Request("again", Sampling(1.0, max_tokens=90), seed=5, n=8, schema=UNION)
    whole = answers(nano, [asked])[0]
    first, then = answers(nano, [replace(asked, n=4), replace(asked, n=4, first=4)])
    assert [answer.token_ids for answer in whole] == [answer.token_ids for answer in [*first, *then]]
    assert [answer.key for answer in whole] == [answer.key for answer in [*first, *then]]
    assert len({answer.text for answer in whole}) > 2


def test_free_rows_do_not_notice_held_ones(nano: Sampler) -> None:
    free = [Request("2+3=", Sampling(1.0, max_tokens=20), seed=seed) for seed in range(6)]
    held = [Request("2+3=", Sampling(1.0, max_tokens=60), seed=seed, schema=PERSON) for seed in range(3)]
    alone, together = answers(nano, free), answers(nano, [*free, *held])
    assert [a.token_ids for (a,) in alone] == [a.token_ids for (a,) in together[:6]]
    assert [a.token_ids for (a,) in answers(nano, held)] == [a.token_ids for (a,) in together[6:]]


def test_logprobs_are_the_models_own(nano: Sampler) -> None:
    asked = Request("Say", Sampling(1.0, max_tokens=60), schema=PERSON)
    answer = answers(nano, [asked])[0][0]
    scored = asyncio.run(nano.score("Say", [answer.text]))[0]
    assert answer.logprobs is not None
    assert answer.logprobs[: len(scored)] == pytest.approx(scored, abs=1e-4)
    assert min(scored) < -3


def test_stop_strings_do_not_cut_json(nano: Sampler) -> None:
    asked = Request("a", Sampling(1.0, max_tokens=80, stop=('"', "}")), n=3, schema=PERSON)
    for answer in answers(nano, [asked])[0]:
        check(answer, asked)


def test_a_model_without_an_end_token_ends_too(bytes_model: Sampler) -> None:
    endless = Sampler(_llama(bytes_model.checkpoint.tokenizer, vocabulary=402, end=None))
    endless.checkpoint.end_ids = ()
    for schema in (SCALARS, UNION, BOUNDED_ARRAYS):
        asked = Request("a", Sampling(1.0, max_tokens=120), n=4, schema=schema)
        for answer in answers(endless, [asked])[0]:
            check(answer, asked)


def test_end_tokens_that_are_letters_stay_out_of_the_text(sampler: Sampler) -> None:
    """The random models of these tests end by D, N and X; a name with them is written by escapes."""
    schema = {"type": "object", "properties": {"DNX": {"const": "ND"}}, "required": ["DNX"]}
    asked = Request("a", Sampling(1.0, max_tokens=60), n=4, schema=schema)
    for answer in answers(sampler, [asked])[0]:
        assert check(answer, asked)["DNX"] == "ND"
        assert not {"D", "N", "X"} & set(answer.text)


def test_an_answer_that_the_library_cannot_follow_is_cut(nano: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of the library, met inside an answer, cost that answer and not the run."""
    from homeschool.decode.grammar import State

    asked = Request("a", Sampling(1.0, max_tokens=60), schema=PERSON)
    free = Request("2+2=", Sampling(1.0, max_tokens=9))
    before = answers(nano, [asked, free])

    def take(state: State, symbol: int, real: Any = State.take) -> None:
        if state.symbols.texts[symbol] == b":":
            raise closing.StuckError("too many items")
        real(state, symbol)

    monkeypatch.setattr(State, "take", take)
    (cut,), (same,) = answers(nano, [asked, free])
    assert (cut.finish_reason, cut.text) == ("length", '{"name":')
    assert before[0][0].text.startswith(cut.text)
    assert same == before[1][0]


def test_one_name_has_one_spelling(nano: Sampler) -> None:
    """`{"\\u0061": ...}` would be a second `a` of another type."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    vocabulary = {token.decode(): index for index, token in enumerate(_grammar(nano, schema).symbols.texts)}
    state = _grammar(nano, schema)._start.copy()
    for letter in '{"':
        state.type(vocabulary[letter])
    assert state.next_tokens()[vocabulary["\\"]]
    state.type(vocabulary["\\"])
    assert not state.next_tokens()[vocabulary["u"]]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "string"}}, "'not'"),
        ({"if": {"type": "string"}, "then": {"minLength": 3}}, "'if', 'then'"),
        ({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, "oneOf"),
        ({"type": "string", "format": "iban"}, "Unknown format: iban"),
        ({"type": "string", "pattern": "(?=a)b"}, "a fault or limit: regex"),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "minimum"),
        ({"type": "number", "multipleOf": 0.01}, "multipleOf 0.01"),
        ({"type": "integer", "minimum": 10**17}, "minimum 100000000000000000"),
        ({"const": 2**60}, "the constant 1152921504606846976"),
        ({"const": 0.1 + 0.2}, "the constant 0.30000000000000004"),
        ({"type": "object", "minProperties": 3}, "minProperties 3"),
        ({"const": "a\x01"}, "control character '\\\\x01'"),
        ({"const": "\ud800"}, "half of a surrogate pair"),
        ({"$ref": "#/$defs/nowhere"}, "does not exist"),
        ({"$ref": "https://example.org/schema"}, "example.org"),
        ({"type": "array", "items": [{"type": "string"}]}, "a list of items"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "no short answer"),
        ({"type": "string", "pattern": "^[à-ü]$"}, "no short answer"),
    ],
)
def test_what_cannot_be_held_is_an_obstacle_by_name(nano: Sampler, schema: dict[str, Any], says: str) -> None:
    asked = Request("a", schema=schema)
    with pytest.raises(UnanswerableError, match=says) as error:
        answers(nano, [asked])
    assert nano.obstacle(asked) == error.value.message


def test_other_obstacles(nano: Sampler) -> None:
    assert nano.obstacle(Request("a")) == ""
    assert "prompt of 601 tokens" in nano.obstacle(Request("a" * 600))
    assert "cannot call tools" in nano.obstacle(Request("a", tools=({"type": "function"},)))
    with pytest.raises(UsageError, match="top_p=0"):
        nano.obstacle(Request("a", Sampling(top_p=0.0)))
    assert "schema" in nano.card.capabilities


def test_a_model_that_lacks_braces_can_still_write_a_text(bytes_model: Sampler) -> None:
    """Without `{` no object is possible: an obstacle for an object, no dead end where a text will do."""
    tokenizer = box.tokenizer()
    words = json.loads(tokenizer.backend_tokenizer.to_str())
    words["model"]["vocab"]["<0>"] = words["model"]["vocab"].pop("{")
    lame = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(words)), eos_token="<eos>")
    sampler = Sampler(_llama(lame, vocabulary=99, end=2))
    assert "no short answer" in sampler.obstacle(Request("a", schema=PERSON))
    asked = Request("a", Sampling(1.0, max_tokens=30), n=10, schema={"anyOf": [PERSON, {"type": ["string", "null"]}]})
    for answer in answers(sampler, [asked])[0]:
        assert not isinstance(check(answer, asked), dict)


NAMES = st.sampled_from(["a", "b c", "naïve", "😀", 'q"', "\\", "x" * 30])
CONSTANTS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text('aé"\\\n😀', max_size=4))
LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": ["integer", "null"]}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, *[st.integers(0, 500)] * 2),
    st.builds(
        lambda low, more: {"type": "number", "exclusiveMinimum": low, "maximum": low + more / 8},
        st.integers(-20, 20),
        st.integers(1, 40),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, *[st.integers(0, 4)] * 2
    ),
    st.builds(lambda values: {"enum": values}, st.lists(CONSTANTS, min_size=1, max_size=3)),
    st.sampled_from([{"type": "string", "pattern": "^[a-c]+-[0-9]$"}, {"type": "string", "format": "date"}]),
)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, values, min_size=1, max_size=3)
    return st.builds(
        lambda inner, required, more: {
            "type": "object",
            "properties": inner,
            "required": [name for name in inner if name in required],
            "additionalProperties": more,
        },
        properties,
        st.sets(NAMES),
        st.one_of(st.just(False), values),
    )


def _arrays(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        values,
        *[st.integers(0, 2)] * 2,
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda values: st.one_of(
        _objects(values),
        _arrays(values),
        st.builds(lambda options: {"anyOf": options}, st.lists(values, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(schema=SCHEMAS, extra=st.integers(0, 30), seed=st.integers(0, 99), complete=st.booleans())
def test_any_schema_in_any_room(
    nano: Sampler, bytes_model: Sampler, schema: dict[str, Any], extra: int, seed: int, complete: bool
) -> None:
    sampler = bytes_model if complete else nano
    room = least(sampler, schema) + extra
    asked = Request("a", Sampling(1.0, max_tokens=room), seed=seed, n=2, schema=schema)
    assert sampler.obstacle(asked) == ""
    for answer in answers(sampler, [asked])[0]:
        check(answer, asked)


def test_long_budgets_look_for_no_way_out(bytes_model: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bound allows, no certificate is computed until the end is near."""
    asked = Request("a", Sampling(1.0, max_tokens=450), n=3, schema=TREE)
    bytes_model.obstacle(asked)
    sought: list[int] = []
    walk = closing.certificate
    monkeypatch.setattr(closing, "certificate", lambda *a, **k: sought.append(1) or walk(*a, **k))
    found = answers(bytes_model, [asked])[0]
    assert sum(len(answer.token_ids) for answer in found) > 10 * len(sought)


def test_the_length_of_an_ending_is_bounded_or_unknown() -> None:
    assert (ending(prepare(TREE)) or 0) < 200
    assert ending(prepare({"type": "string", "pattern": "a"})) is None
    assert ending(prepare(PERSON)) is not None


def test_only_a_schema_imports_the_grammar_library() -> None:
    """One file imports it, and nothing imports that file before a schema comes."""
    first: dict[str, set[str]] = {}
    for path in Path(closing.__file__).parents[1].rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                first.setdefault(node.module or "", set()).add(path.name)
    assert first["llguidance"] == {"grammar.py"}
    assert "homeschool.decode.grammar" not in first
    assert "sample.py" in first["homeschool.decode.closing"]


def _grammar(sampler: Sampler, schema: dict[str, Any]) -> Any:
    return sampler._admit(Request("a", schema=schema))[2]
