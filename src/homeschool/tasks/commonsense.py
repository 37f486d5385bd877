"""Multiple choice and yes or no, judged by `choice`: CommonsenseQA, StrategyQA, AQuA, BIG-bench tasks, PubMedQA.

Needs a file of one of these sets as published; which one, its columns tell:

- CommonsenseQA (arXiv:1811.00937): `question {stem, choices [{label, text}]}` and `answerKey`, or the hub's Parquet;
- AQuA (Ling et al. 2017): `question`, `options` (`A)32400`), `correct`;
- StrategyQA (arXiv:2101.02235): `qid`, `question`, `answer` (true or false);
- a multiple-choice task of BIG-bench (arXiv:2206.04615), as date understanding: `input`, `target_scores`. The options
  are put in an order of their own, since some files have the right one first;
- PubMedQA (arXiv:1909.06146): `question`, `contexts`, `final_decision`, or the published file's capitals.

Columns made: `prompt` with the options listed, `choices`, `labels` (none for yes and no) and `answer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from homeschool.core.identity import digest
from homeschool.tasks.published import NEXT_QUESTION, Published

_OPTION = re.compile(r"\s*\(?([A-Z])\s*\)\s*")


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a right answer that is not among the options."""
    if "answerKey" in record:
        return _commonsenseqa(record)
    if "target_scores" in record:
        return _bigbench(record)
    if "final_decision" in record:
        return _pubmedqa(record)
    return _aqua(record) if "options" in record else _strategyqa(record)


def _commonsenseqa(record: Mapping[str, Any]) -> dict[str, Any]:
    question = record["question"]
    stem = question["stem"] if isinstance(question, Mapping) else question
    choices = question["choices"] if isinstance(question, Mapping) else record["choices"]
    if isinstance(choices, Mapping):
        labels, texts = list(choices["label"]), list(choices["text"])
    else:
        labels, texts = [choice["label"] for choice in choices], [choice["text"] for choice in choices]
    return {"id": record["id"]} | _listed(stem, labels, texts, answer=record["answerKey"])


def _aqua(record: Mapping[str, Any]) -> dict[str, Any]:
    parts = [_OPTION.match(option) for option in record["options"]]
    if not all(parts):
        raise ValueError(f"the options {record['options']!r:.60} do not begin with A) B) C)")
    texts = [option[part.end() :] for option, part in zip(record["options"], parts, strict=True) if part]
    labels = [part[1] for part in parts if part]
    columns = _listed(record["question"], labels, texts, answer=record["correct"])
    return columns | ({"reference": record["rationale"]} if record.get("rationale") else {})


def _bigbench(record: Mapping[str, Any]) -> dict[str, Any]:
    scores = {text: score for text, score in record["target_scores"].items() if score is not None}
    right = [text for text, score in scores.items() if score > 0]
    if len(right) != 1:
        raise ValueError(f"{len(right)} options are right, not one")
    texts = sorted(scores, key=lambda text: digest("option", record["input"], text))
    return _listed(record["input"], ascii_uppercase[: len(texts)], texts, answer=ascii_uppercase[texts.index(right[0])])


def _strategyqa(record: Mapping[str, Any]) -> dict[str, Any]:
    answer = {"true": "yes", "false": "no", "yes": "yes", "no": "no"}.get(str(record["answer"]).lower())
    if answer is None:
        raise ValueError(f"the answer {record['answer']!r:.60} is not true or false")
    prompt = f"{record['question']}\nAnswer yes or no."
    return {"id": record["qid"], "prompt": prompt, "choices": ["yes", "no"], "answer": answer}


def _pubmedqa(record: Mapping[str, Any]) -> dict[str, Any]:
    found = record.get("contexts") or record.get("CONTEXTS") or record.get("context")
    contexts: Sequence[str] = found["contexts"] if isinstance(found, Mapping) else found or ()
    choices, answer = ["yes", "no", "maybe"], record["final_decision"]
    if answer not in choices:
        raise ValueError(f"the decision {answer!r:.60} is not yes, no or maybe")
    question = record["question"] if "question" in record else record["QUESTION"]
    prompt = "\n\n".join([*contexts, f"{question}\nAnswer yes, no or maybe."])
    number = next((str(record[name]) for name in ("pmid", "pubid", "id") if name in record), None)
    return ({"id": number} if number else {}) | {"prompt": prompt, "choices": choices, "answer": answer}


def _listed(question: str, labels: Sequence[str], texts: Sequence[str], *, answer: str) -> dict[str, Any]:
    """The columns of a question with its options beneath it."""
    if answer not in labels:
        raise ValueError(f"the answer {answer!r:.60} is none of {', '.join(labels)}")
    options = [f"({label}) {text}" for label, text in zip(labels, texts, strict=True)]
    prompt = "\n".join([question.strip(), *options, "Answer with one letter."])
    return {"prompt": prompt, "choices": list(texts), "labels": list(labels), "answer": answer}


task = Published(
    "commonsense",
    (
        frozenset({"id", "question", "answerKey"}),
        frozenset({"question", "options", "correct"}),
        frozenset({"qid", "question", "answer"}),
        frozenset({"input", "target_scores"}),
        frozenset({"question", "final_decision"}),
        frozenset({"QUESTION", "CONTEXTS", "final_decision"}),
    ),
    problem,
    verify="choice",
    stop=NEXT_QUESTION,
)
