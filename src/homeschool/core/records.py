"""The records that flow through every room: Row, Request, Completion, Dropped, ModelCard.

All are immutable and plain enough to be written as JSON. A row's id is a hash of its content and lineage, so the
same work has the same id on every machine; verdicts are not part of it, so judging a row never renames it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from homeschool.core.identity import canonical, digest, name_of
from homeschool.core.verdict import Verdict, verdict_from_dict

PROVENANCE = "_provenance"
"""The one reserved column name: where a written row keeps its history."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row came from. `calls` are answer keys: one for every model answer that went into the row."""

    id: str
    parents: tuple[str, ...] = ()
    step: str = "source"
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    calls: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Immutable columns plus provenance. `row["prompt"]` reads a column; `row.derive(...)` makes a child."""

    columns: Mapping[str, Any]
    provenance: Provenance

    @staticmethod
    def source(columns: Mapping[str, Any], *, occurrence: int = 0) -> Row:
        """A row from outside. A repeated source row counts its `occurrence` so that its id stays its own."""
        copied = dict(columns)
        return Row(MappingProxyType(copied), Provenance(digest("source", copied, occurrence)))

    @property
    def id(self) -> str:
        return self.provenance.id

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.provenance.verdicts

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def get(self, column: str, default: Any = None) -> Any:
        return self.columns.get(column, default)

    def derive(
        self,
        *,
        step: str,
        calls: Sequence[Completion] = (),
        verdicts: Sequence[Verdict] = (),
        **columns: Any,
    ) -> Row:
        """A child with these columns added or replaced, made by `step` from the answers `calls`."""
        merged = MappingProxyType({**self.columns, **columns})
        provenance = Provenance(id="", parents=(self.id,), step=step, verdicts=tuple(verdicts))
        return Row(merged, provenance).called(calls)

    def called(self, calls: Sequence[Completion]) -> Row:
        """The same row with `calls` as the answers it was made from, under the id that this gives it."""
        p, keys = self.provenance, tuple(call.key for call in calls)
        name = digest("row", self.columns, p.parents, p.step, keys)
        first = calls[0] if calls else p
        made = (first.model, first.sampling, first.seed)
        return Row(self.columns, Provenance(name, p.parents, p.step, *made, calls=keys, verdicts=p.verdicts))

    @staticmethod
    def join(
        rows: Sequence[Row],
        *,
        step: str,
        calls: Sequence[Completion] = (),
        verdicts: Sequence[Verdict] = (),
        **columns: Any,
    ) -> Row:
        """One child of several rows, with these columns only. Raises ValueError for no rows."""
        if not rows:
            raise ValueError("a row is joined from at least one row")
        parents = tuple(row.id for row in rows)
        provenance = Provenance(id="", parents=parents, step=step, verdicts=tuple(verdicts))
        return Row(MappingProxyType(columns), provenance).called(calls)

    def judged(self, *verdicts: Verdict) -> Row:
        """The same row (same id) with more verdicts."""
        return replace(self, provenance=replace(self.provenance, verdicts=(*self.verdicts, *verdicts)))

    def to_dict(self) -> dict[str, Any]:
        """Columns at the top, history under `_provenance`. No clock times, retries or cache hits."""
        p = self.provenance
        history = {
            "id": p.id,
            "parents": list(p.parents),
            "step": p.step,
            "model": p.model,
            "sampling": dict(p.sampling),
            "seed": p.seed,
            "calls": list(p.calls),
            "verdicts": [verdict.to_dict() for verdict in p.verdicts],
        }
        return {**self.columns, PROVENANCE: history}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Row:
        """The inverse of `to_dict`; a record without history becomes a source row."""
        columns = {name: value for name, value in record.items() if name != PROVENANCE}
        history = record.get(PROVENANCE)
        if history is None:
            return Row.source(columns)
        provenance = Provenance(
            id=history["id"],
            parents=tuple(history["parents"]),
            step=history["step"],
            model=history["model"],
            sampling=dict(history["sampling"]),
            seed=history["seed"],
            calls=tuple(history["calls"]),
            verdicts=tuple(verdict_from_dict(verdict) for verdict in history["verdicts"]),
        )
        return Row(MappingProxyType(columns), provenance)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that left the stream, by which rule and why. Funnels are counts of these."""

    row: Row
    reason: str
    """One short phrase that can be counted."""
    rule: str
    """Which recipe, curator or part of the engine says so."""
    detail: str = ""
    """What it saw, for a person: a traceback, the server's words, the answer that could not be read."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. The last two fields are for models that call tools, and empty otherwise."""

    role: str
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """What an assistant's turn called, each as `Completion.tool_calls` has it."""
    tool_call_id: str = ""
    """Of a tool's turn: which call this is the result of."""

    def to_dict(self) -> dict[str, Any]:
        """The message as the OpenAI protocol and chat templates write it; empty fields are left out."""
        record: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            record["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.tool_call_id:
            record["tool_call_id"] = self.tool_call_id
        return record

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Message:
        """The inverse of `to_dict`."""
        calls = tuple(record.get("tool_calls") or ())
        return Message(record["role"], record.get("content") or "", calls, record.get("tool_call_id") or "")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy. All but `max_tokens` are part of an answer's identity."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    max_tokens: int = 256
    stop: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """What names an answer; a greedy request has no use for top_p and top_k."""
        if self.temperature == 0:
            return {"temperature": 0.0, "stop": list(self.stop)}
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "stop": list(self.stop),
        }


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Who a model is and what it can do. Capabilities: chat, raw, logprobs, schema (in a chat), schema:raw (after a
    text prompt), tools, hidden, batch.
    """

    name: str
    fingerprint: str
    """Hash of the weights, or of the lineage (run, step) of a model in training."""
    capabilities: frozenset[str] = frozenset()
    template: str = ""
    """Hash of the chat template; empty if the model has none."""
    context: int = 0
    """Longest prompt plus answer, in tokens; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model: a prompt (text for raw completion, messages for chat) and how to draw `n` answers.

    Sample i of a request is an answer of its own with its own key, so a larger `n` never asks the first ones again.
    """

    prompt: str | tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    n: int = 1
    first: int = 0
    """Index of the first sample that is wanted; the ones before it are known already."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer must satisfy."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Tools that the model may call, as the OpenAI protocol describes them."""
    logprobs: bool = False
    """Whether log-probabilities are wanted from a model that only gives them when asked."""

    def seeded(self, seed: int) -> Request:
        """The same request with this seed."""
        # As dataclasses.replace, which takes three times as long, and every question comes through here.
        rest = (self.schema, self.tools, self.logprobs)
        return Request(self.prompt, self.sampling, seed, self.n, self.first, *rest)

    @property
    def samples(self) -> range:
        """The indices of the samples that are wanted."""
        return range(self.first, self.first + self.n)

    def rendered(self) -> dict[str, Any]:
        """All that names an answer of any model but its seed and sample: what `trace` shows as the question."""
        prompt = self.prompt if isinstance(self.prompt, str) else [message.to_dict() for message in self.prompt]
        rendered: dict[str, Any] = {"prompt": prompt, "sampling": self.sampling.identity()}
        if self.schema or self.tools or self.logprobs:
            extra = {"schema": self.schema, "tools": self.tools, "logprobs": self.logprobs}
            rendered |= {name: value for name, value in extra.items() if value}
        return rendered

    def question(self, card: ModelCard, *, text: str = "") -> str:
        """The name of the question as put to the model with `card`: the whole rendered request but `max_tokens`.

        `text` is `canonical(self.rendered())`, for a caller that has it already.
        """
        text = text or canonical(self.rendered())
        return name_of(f"question\0{card.fingerprint}\0{card.template}\0{text}")

    def key(self, sample: int, *, card: ModelCard, question: str = "") -> str:
        """The name of answer `sample` (an absolute index); `question` saves computing it again for every sample."""
        # A greedy answer depends on neither seed nor sample index: every copy is one answer.
        drawn = f"{self.seed}\0{sample}" if self.sampling.temperature > 0 else ""
        return name_of(f"answer\0{question or self.question(card)}\0{drawn}")


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back from a model for one sample of one request."""

    text: str
    finish_reason: str
    """`stop`, `length`, `tool_calls`, `content_filter`, or the model's own word for why it ended."""
    token_ids: tuple[int, ...] = ()
    """The answer's tokens, the end token included if one was drawn."""
    logprobs: tuple[float, ...] | None = None
    """Natural log-probability of each of `token_ids` under the model at temperature 1; None if it does not tell."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """As the model counts them; 0 if it tells neither them nor `token_ids`."""
    reasoning: str = ""
    """What a thinking model wrote before its answer, where the server keeps it apart."""
    refusal: str = ""
    """Why the model would not answer, where it says so outside the text."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Each `{id, type: function, function: {name, arguments}}`."""
    key: str = ""
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0

    def named(self, key: str, *, model: str, sampling: Mapping[str, Any], seed: int) -> Completion:
        """The same answer under its key, with who gave it to what."""
        # As dataclasses.replace, which takes three times as long, and every answer comes through here.
        said = (self.text, self.finish_reason, self.token_ids, self.logprobs)
        counted = (self.prompt_tokens, self.completion_tokens)
        return Completion(*said, *counted, self.reasoning, self.refusal, self.tool_calls, key, model, sampling, seed)

    @property
    def tokens(self) -> int:
        """Length of the answer in tokens, the end token included; 0 if unknown."""
        return len(self.token_ids) or self.completion_tokens
