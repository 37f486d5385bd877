"""The examples are what they say: every config can be read, and the verifier tells right from wrong.

The reference of the config, docs/improve.md, names every key.
"""

from __future__ import annotations

import asyncio
import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeschool.cli.settings import load_config
from homeschool.core.config import build
from homeschool.core.records import Row
from homeschool.improve.settings import ImproveConfig, normalise
from homeschool.verify.load import load_verifier

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CONFIGS = sorted(EXAMPLES.glob("*.yaml"))


def test_there_are_examples() -> None:
    assert {"gsm8k.yaml", "own_verifier.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_can_be_read(path: Path) -> None:
    config = build(ImproveConfig, normalise(load_config(path)))
    assert (config.task.name is None) != (config.task.problems is None)
    assert "{prompt}" in (config.task.template or "{prompt}")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_named_function_is_there(path: Path) -> None:
    verify = str(load_config(path)["task"]["verify"])
    assert load_verifier(str(ROOT / verify) if ":" in verify else verify).name


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ("The baker sold all her bread today.", "pass", ""),
        ("The baker sold bread.", "fail", "wrong length"),
        ("The baker sold all her cakes today.", "fail", "word missing"),
        ("The baker sold all her bread today", "fail", "not a sentence"),
        ("", "fail", "wrong length"),
    ],
)
def test_the_verifier_judges(answer: str, status: str, reason: str) -> None:
    judge = load_verifier(f"{EXAMPLES / 'checks.py'}:judge")
    row = Row.source({"prompt": "Write a sentence of 7 words with the word bread.", "words": 7, "must": "bread"})
    verdict = asyncio.run(judge(row, [answer]))[0]
    assert (verdict.status, verdict.reason) == (status, reason)
    assert verdict.verifier.startswith("checks.py:judge@")


def keys(config: type) -> Iterator[str]:
    """The names of a config's fields and of those of the configs in it."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        yield field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys(hints[field.name])


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "improve.md").read_text(encoding="utf-8")
    ways = ("`{}`", ".{}`", "`{}.")  # by itself, or in a dotted path as its end or its beginning
    missing = [key for key in keys(ImproveConfig) if not any(way.format(key) in page for way in ways)]
    assert not missing
