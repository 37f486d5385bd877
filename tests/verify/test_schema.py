"""`schema`: one JSON value that fits, formats and patterns included; nothing fetched, nothing for ever."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.formats import FORMATS
from homeschool.verify.json_text import DEEPEST, depth, read_json
from homeschool.verify.patterns import found
from homeschool.verify.planted.schema import planted
from homeschool.verify.schema import verifier


def judge(schema: Any, answer: str) -> Verdict:
    return asyncio.run(verifier()(Row.source({"schema": schema}), [answer]))[0]


def reason(schema: Any, answer: str) -> str:
    verdict = judge(schema, answer)
    return verdict.reason or verdict.status


@pytest.mark.parametrize("answer", ["1", " 1\r\n", "```json\n1\n```", "```\n1\n```", "\n```JSON\n1```\n"])
def test_one_fence_and_white_space_are_taken_off(answer: str) -> None:
    assert reason({"type": "integer"}, answer) == "pass"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "empty answer"),
        (" \n", "empty answer"),
        ("```json\n```", "empty answer"),
        ("So: 1", "not JSON"),
        ("1 2", "not JSON"),
        ("```json\n1\n```\n```json\n1\n```", "not JSON"),
        ("```json\n```json\n1\n```\n```", "not JSON"),
        ("\u200b1", "not JSON"),
        ("\u00a01", "not JSON"),
        ("\ufeff1", "not JSON"),
        ("NaN", "not JSON"),
        ("-Infinity", "not JSON"),
        ("1e999", "not JSON"),
        ("01", "not JSON"),
        ("'a'", "not JSON"),
        ("１", "not JSON"),  # noqa: RUF001
        ("9" * 5_000, "not JSON"),
        ('{"a": {"b": 1, "b": 1}}', "duplicate key"),
        ('{"a": 1, "\\u0061": 2}', "duplicate key"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested too deeply"),
        ("1" + " " * 1_000_000, "too long"),
    ],
)
def test_what_is_not_read_fails_with_its_reason(answer: str, why: str) -> None:
    verdict = judge(True, answer)
    assert (verdict.status, verdict.reason) == ("fail", why)


def test_the_deepest_is_read() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert depth(read_json(text)) == DEEPEST
    assert reason({"items": {"$ref": "#"}, "type": "array"}, text) == "pass"


@pytest.mark.parametrize(
    "schema",
    [
        None,
        7,
        "{",
        "7",
        {"type": "strin"},
        {"properties": {"a": None}},
        {"minimum": "1"},
        {"pattern": "("},
        {"properties": {"default": {"pattern": "("}}},
        {"patternProperties": {"(": {}}},
        {"format": "phone"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "other.json"},
        {"$ref": "#"},
        {"$schema": "http://example.org/mine"},
        {"patternProperties": {"a": True}, "unevaluatedProperties": False},
        {"$ref": "http://example.org/schema.json"},
        {"properties": {"const": {"$ref": "file:///etc/passwd"}}},
    ],
    ids=str,
)
def test_a_bad_schema_is_broken(schema: Any) -> None:
    assert judge(schema, '{"const": "a"}').status == "broken"


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    for target in ("http://127.0.0.1:9/a.json", "https://example.org/a.json#/b", "file:///etc/hostname"):
        verdict = judge({"properties": {"a": {"$ref": target}}}, '{"a": 1}')
        assert verdict.status == "broken" and target in verdict.evidence


def test_references_within_and_to_the_drafts_are_followed() -> None:
    assert reason({"$ref": "https://json-schema.org/draft/2020-12/schema"}, '{"type": "array"}') == "pass"
    assert reason({"$ref": "https://json-schema.org/draft/2020-12/schema"}, '{"type": 1}') == "does not fit the schema"
    bundled = {"$ref": "https://example.org/a", "$defs": {"a": {"$id": "https://example.org/a", "type": "null"}}}
    assert reason(bundled, "null") == "pass"
    assert reason(bundled, "1") == "does not fit the schema"


def test_older_drafts_are_read_as_such() -> None:
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
    assert reason(draft4, "3") == "does not fit the schema"
    assert reason(draft4, "2") == "pass"


def test_values_under_const_and_enum_are_no_schemas() -> None:
    value = {"$ref": "http://example.org", "format": "phone", "pattern": "("}
    assert reason({"const": value}, json.dumps(value)) == "pass"


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"multipleOf": 0.01}, "0.07", "0.075"),
        ({"multipleOf": 1e-300}, "1e300", "1.5e-300"),
        ({"multipleOf": 3}, "9" * 4000, "9" * 4000 + "1"),
        ({"uniqueItems": True}, '[1, true, "1", [1], {"a": 1}]', '[{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]'),
        ({"pattern": "^a$"}, '"a"', '"a\\n"'),
        ({"pattern": r"^[\d-]+$"}, '"1-2"', '"١"'),  # noqa: RUF001
        ({"pattern": r"^\w+\$$"}, '"ab$"', '"é$"'),
        ({"pattern": r"^\p{L}+$"}, '"é"', '"1"'),
        ({"additionalProperties": False, "patternProperties": {"^x": {"type": "null"}}}, '{"xa": null}', '{"a": null}'),
        ({"additionalProperties": {"type": "null"}, "properties": {"a": {}}}, '{"a": 1, "b": null}', '{"b": 1}'),
        ({"patternProperties": {"^x": {"type": "null"}}}, '{"a": 1}', '{"xa": 1}'),
        ({"propertyNames": {"pattern": "^[a-z]+$"}}, '{"a": 1}', '{"A": 1}'),
        ({"enum": [1]}, "1.0", "true"),
        ({"type": "integer"}, "1.0", "1.5"),
        (False, "", "1"),
    ],
    ids=str,
)
def test_both_sides_of_a_keyword(schema: Any, right: str, wrong: str) -> None:
    assert not right or reason(schema, right) == "pass"
    assert reason(schema, wrong) == "does not fit the schema"


FORMAT_CASES = [
    ("date", "2024-02-29", "2023-02-29 20240229 2024-1-01 ２０２４-02-29"),  # noqa: RUF001
    ("time", "23:59:60Z 00:00:00.5+01:00", "24:00:00Z 00:00 00:00:00 12:30:60Z"),
    ("date-time", "2024-02-29T00:00:00Z 2024-02-29t00:00:00-05:00", "2024-02-29 2024-02-30T00:00:00Z"),
    ("duration", "P1Y2M3DT4H5M6S P2W PT0S", "P 1Y P1H PT P1YT"),
    ("email", "a.b+c@d.org a@localhost", "a@ @b a.b .a@b a..b@c a@b@c a@-b"),
    ("hostname", "a a-b.org 1.de", "-a a- a..b . a_b"),
    ("ipv4", "127.0.0.1", "256.0.0.1 1.2.3 01.2.3.4 ١.2.3.4"),  # noqa: RUF001
    ("ipv6", "::1 2001:db8::ff", "1.2.3.4 ::g fe80::1%eth0"),
    ("uri", "https://a.org/b?c=d#e urn:isbn:1 mailto:a@b.org", "a.org /a http://[a http://a:b/ https://é.org"),
    ("uri-reference", "/a#b ?c a", "<a> a%zz"),
    ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000 g23e4567"),
    ("json-pointer", "/a/b~1c /", "a /a~2"),
    ("regex", "^a+$", "( [a"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), FORMAT_CASES)
def test_formats(name: str, right: str, wrong: str) -> None:
    schema = {"type": "string", "format": name}
    for text in right.split():
        assert reason(schema, json.dumps(text)) == "pass", text
    for text in wrong.split():
        assert reason(schema, json.dumps(text)) == "does not fit the schema", text
    assert reason({"format": name}, "1") == "pass"


def test_every_format_is_tested() -> None:
    assert {name for name, _, _ in FORMAT_CASES} == set(FORMATS)


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"pattern": "^(a|aa)+$"}, '"' + "a" * 5_000 + 'b"'),
        ({"patternProperties": {"^(a|aa)+$": {}}}, '{"' + "a" * 5_000 + 'b": 1}'),
        ({"additionalProperties": False, "patternProperties": {"^(a|aa)+$": {}}}, '{"' + "a" * 5_000 + 'b": 1}'),
    ],
)
def test_a_pattern_may_not_run_for_ever(schema: Any, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeschool.verify.patterns.SECONDS", 0.1)
    start = time.monotonic()
    assert reason(schema, answer) == "pattern took too long"
    assert time.monotonic() - start < 5


def test_a_schema_that_branches_may_not_run_for_ever() -> None:
    branch = {"properties": {"a": {"$ref": "#"}}}
    schema = {"anyOf": [{**branch, "required": ["b"]}, {**branch, "required": ["c"]}]}
    assert reason(schema, '{"a":' * 40 + "1" + "}" * 40) == "too much to check"


def test_many_items_are_compared_at_once() -> None:
    answer = json.dumps([{"a": each} for each in range(30_000)])
    start = time.process_time()
    assert reason({"uniqueItems": True}, answer) == "pass"
    assert time.process_time() - start < 3


def test_evidence_names_the_place_and_is_short() -> None:
    verdict = judge({"properties": {"a": {"items": {"type": "null"}}}}, json.dumps({"a": [None, "x" * 10_000]}))
    assert verdict.evidence.startswith("$.a[1]: 'xxx") and len(verdict.evidence) <= 200
    judge({"const": 1}, '"\\ud800"').evidence.encode("utf-8")


def test_no_planted_error_is_accepted_and_no_right_answer_rejected() -> None:
    found = Counter[tuple[bool, str]]()
    for each in planted(11, 500):
        found[each.right, judge(each.columns["schema"], each.answer).status] += 1
    assert found == {(True, "pass"): 250, (False, "fail"): 250}


def test_planting_is_deterministic() -> None:
    assert list(planted(3, 50)) == list(planted(3, 50)) != list(planted(4, 50))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(JSON)
def test_what_json_writes_is_read_and_is_itself(value: Any) -> None:
    assert read_json(json.dumps(value)) == value
    assert reason({"const": value}, json.dumps(value)) == "pass"


@settings(max_examples=60)
@given(st.from_regex(r"\A[a-c]{1,3}[+*?]?[a-c]?\Z"), st.text(alphabet="abc\n", max_size=6))
def test_anchored_patterns_are_of_the_whole_text(pattern: str, text: str) -> None:
    import re

    assert found(f"^(?:{pattern})$", text) == (re.fullmatch(pattern, text) is not None)
