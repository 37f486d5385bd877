from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai_server import serving

from homeschool.core.errors import HomeschoolError
from homeschool.models.endpoint import Endpoint
from homeschool.models.flow import Pace

QUICK = Pace(first_pause=0.005, longest_pause=0.05, floor=0.2, start=0.5, patience=0.5)
CHAT = {"n", "seed", "top_k", "logprobs", "schema", "tools"}
RAW = (CHAT - {"tools"}) | {"echo"}


def probed(**options: Any) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        async with serving(**options) as server:
            return await Endpoint.open(f"{server.url}#stand-in", pace=QUICK).probe()

    return asyncio.run(asyncio.wait_for(look(), timeout=10))


def test_a_server_that_does_everything() -> None:
    assert probed(context=4096, models=["stand-in", "other"]) == {
        "model": "stand-in", "chat": sorted(CHAT), "raw": sorted(RAW), "limit_name": "max_tokens", "context": 4096,
        "models": ["stand-in", "other"],
    }  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("feature", ["n", "logprobs", "schema"])
def test_a_feature_that_is_ignored_or_refused_is_not_there(feature: str, strict: bool) -> None:
    known = probed(without=[feature], strict=strict)
    assert set(known["chat"]) == CHAT - {feature}
    # A server without log-probabilities cannot score what it repeats either.
    assert set(known["raw"]) == RAW - {feature} - ({"echo"} if feature == "logprobs" else set())


@pytest.mark.parametrize("feature", ["seed", "tools", "top_k"])
def test_a_parameter_that_is_refused_is_not_sent_later(feature: str) -> None:
    assert set(probed(without=[feature], strict=True)["chat"]) == CHAT - {feature}


def test_a_server_with_only_one_of_the_two_paths() -> None:
    assert probed(without=["chat"])["chat"] is None
    known = probed(without=["completions"])
    assert known["raw"] is None and set(known["chat"]) == CHAT


def test_the_name_of_the_limit_is_found_out() -> None:
    known = probed(without=["max_tokens", "completions"])
    assert known["limit_name"] == "max_completion_tokens" and set(known["chat"]) == CHAT


def test_a_server_without_a_list_of_models_needs_a_name_only() -> None:
    known = probed(without=["models", "echo"])
    assert known["models"] == [] and known["context"] == 0 and "echo" not in known["raw"]


def test_faults_of_transport_are_not_taken_for_what_a_server_lacks() -> None:
    rates = {"429": 0.1, "500": 0.08, "cut": 0.05, "malformed": 0.05, "empty": 0.05}
    for seed in range(3):
        known = probed(faults=rates, seed=seed)
        assert set(known["chat"]) == CHAT and set(known["raw"]) == RAW


def test_a_server_that_answers_neither_chat_nor_text_is_refused() -> None:
    with pytest.raises(HomeschoolError, match="Not Found"):
        probed(without=["chat", "completions"])
