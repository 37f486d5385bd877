"""Ending an answer in time: a way out is known at every step, and taken when there is just enough room left.

A *certificate* is a run of symbols after which the answer may end. It is found by walking on a copy of the state: in
a text its closing quote if allowed, else closing brackets, else the longest forced token. A drawn token stands only
if a certificate of the state after it fits into the tokens that remain; otherwise the first token of the certificate
at hand is written instead. That certificate always fits, by induction, once the shortest one of the schema does.

Certificates cost time, so none is computed while so many tokens remain that any state as deep as this one could be
ended (see `schema.ending`), and the last one is tried again before a new one is sought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from homeschool.decode.grammar import State

CLOSERS = b'"]}'
SHIFTS = 3
"""How the last plan is tried again: whole, and without its first symbols, which the token may stand for."""

HASTE = 256
"""Tokens within which a walk that does not look ahead must end, where one that does may be tried after it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a walk may look ahead, and the symbols of texts (closing quote included) that may meet a pattern."""

    steps: int
    hints: tuple[tuple[int, ...], ...] = ()


class StuckError(Exception):
    """The grammar library cannot follow a token, though its mask allowed it: it has met a limit of its own."""


class Form:
    """One answer held to a schema, and the way out of it."""

    def __init__(
        self, state: State, plan: tuple[int, ...], *, ends: Sequence[int], ending: int | None, patience: Patience | None
    ) -> None:
        self._state = state
        self._plan: tuple[int, ...] | None = plan
        self._ends = ends
        self._ending = ending
        """Bytes that end one open bracket (see `schema.ending`); None if every step must be looked at."""
        self._patience = patience
        self._stuck = False

    def allowed(self) -> NDArray[np.bool_]:
        """[V] whether each token may come next; every token, where the library is stuck and the answer is lost."""
        tokens = self._state.next_tokens()
        self._stuck = not (tokens.any() or self._state.complete)
        if self._stuck:
            return np.ones_like(tokens)
        if self._ends and self._state.complete:
            tokens = tokens.copy()
            tokens[list(self._ends)] = True
        return tokens

    def settle(self, token: int, *, left: int) -> int:
        """Write `token`, or the certificate's where the answer could not end within `left` more tokens; which one."""
        if token in self._ends or self._stuck:
            return token
        state, plan = self._state, self._plan
        if plan is not None and state.cost(plan) > left:
            return self._follow(plan)
        after = state.copy()
        try:
            after.type(token)
        except StuckError:
            return self._give_way(token, left=left)
        if self._ending is not None and left >= (after.depth + 1) * self._ending:
            self._state, self._plan = after, None
            return token
        way_out = self._way_out(after, token, left=left)
        if way_out is None:
            return self._give_way(token, left=left)
        self._state, self._plan = after, way_out
        return token

    def _give_way(self, token: int, *, left: int) -> int:
        """Write the certificate's token instead of `token`, after which there would be no way out."""
        plan = self._plan
        if plan is None:
            plan = certificate(self._state, most=left + 1, patience=self._patience)
        self._stuck = plan is None
        return token if plan is None else self._follow(plan)

    def _follow(self, plan: tuple[int, ...]) -> int:
        """Write the next token of a plan; an end token if nothing is left of it."""
        if not plan:
            return self._ends[0]
        token = self._state.symbols.spelled(plan[0])[len(self._state.typed)]
        try:
            self._state.type(token)
        except StuckError:
            self._stuck = True
        self._plan = plan if self._state.typed else plan[1:]
        return token

    @property
    def complete(self) -> bool:
        """Whether what is written is a whole answer."""
        return self._state.complete and not self._stuck

    @property
    def over(self) -> bool:
        """Whether the answer ends here: it is whole, and cannot go on or has no other way to end; or it is lost."""
        return self._stuck or (self._state.complete and (not self._ends or self._state.closed))

    def _way_out(self, after: State, token: int, *, left: int) -> tuple[int, ...] | None:
        """A certificate of `after`, the state after `token`, of at most `left` tokens."""
        if self._plan:
            if self._state.symbols.spelled(self._plan[0])[len(self._state.typed)] == token:
                return self._plan if after.typed else self._plan[1:]
            for dropped in range(SHIFTS) if not after.typed else ():
                rest = self._plan[dropped:]
                if after.cost(rest) <= left and after.ends_with(rest):
                    return rest
        return certificate(after, most=left, patience=self._patience)


class Held(Protocol):
    """A row that may be held to a schema."""

    form: Form | None
    limit: int
    tokens: list[int]


class Holding:
    """The rows of a batch that are held to a schema."""

    def __init__(self, rows: Sequence[Held], places: Sequence[int], *, device: torch.device) -> None:
        self._rows = [rows[place] for place in places]
        self._places = torch.tensor(places, dtype=torch.long, device=device)

    @staticmethod
    def of(rows: Sequence[Held], device: torch.device) -> Holding | None:
        """None if no row is held."""
        places = [place for place, row in enumerate(rows) if row.form]
        return Holding(rows, places, device=device) if places else None

    def masked(self, logits: torch.Tensor) -> torch.Tensor:
        """A copy of logits [R, V] in which what a row may not write is minus infinity."""
        allowed = torch.from_numpy(np.stack([row.form.allowed() for row in self._rows if row.form]))
        forbidden = allowed.to(logits.device).logical_not_()
        if len(forbidden) == len(logits):
            return logits.masked_fill(forbidden, float("-inf"))
        masked = logits.clone()
        masked[self._places] = logits[self._places].masked_fill_(forbidden, float("-inf"))
        return masked

    def settle(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens [R] as they are written, given those that were drawn."""
        drawn = tokens[self._places].tolist()
        written = [
            row.form.settle(token, left=row.limit - len(row.tokens) - 1)
            for row, token in zip(self._rows, drawn, strict=True)
            if row.form
        ]
        settled = tokens.clone()
        settled[self._places] = torch.tensor(written, dtype=tokens.dtype, device=tokens.device)
        return settled


def certificate(state: State, *, most: int, patience: Patience | None) -> tuple[int, ...] | None:
    """Symbols that end the answer from `state` in at most `most` tokens (those in `typed` not counted), if found.

    patience: look ahead too if the quick walk fails; it goes round in circles inside patterns.
    """
    try:
        if patience is None:
            return _walk(state, most=most)
        quick = _walk(state, most=min(most, HASTE))
        return quick if quick is not None else _walk(state, most=min(most, patience.steps), patience=patience)
    except StuckError:
        return None


def preferences(texts: Sequence[bytes], *, inside: bool) -> NDArray[np.int64]:
    """Symbols from the one that ends an answer soonest on, inside or outside a text; those without text left out."""
    rank = _rank_inside if inside else _rank_outside
    ranked = sorted((*rank(text), index) for index, text in enumerate(texts) if text)
    return np.array([index for _, _, index in ranked], dtype=np.int64)


def _walk(state: State, *, most: int, patience: Patience | None = None) -> tuple[int, ...] | None:
    """Symbols to the end by preference; a patient walk tries its hints, and goes where it has been least."""
    begun, left = state.begun() if state.typed else [], most + len(state.typed)
    state = state.copy()
    state.typed = ()
    path: list[int] = []
    seen = Counter[bytes]()
    while begun or not state.complete:
        if begun:
            choices = (min(begun, key=lambda symbol: len(state.symbols.spelled(symbol))),)
            begun = []
        else:
            choices = _look_ahead(state, seen, patience.hints) if patience else _preferred(state)
        left -= sum(len(state.symbols.spelled(choice)) for choice in choices)
        if not choices or left < 0:
            return None
        path += choices
        for choice in choices:
            state.take(choice)
    return tuple(path)


def _preferred(state: State) -> tuple[int, ...]:
    """The one symbol that ends the answer soonest, by its looks; none if nothing may come next."""
    order = state.symbols.orders[state.inside]
    allowed = state.next_symbols()[order]
    return (int(order[allowed.argmax()]),) if allowed.any() else ()


def _look_ahead(state: State, seen: Counter[bytes], hints: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """A closing quote or bracket; else what leads to one; else what leads where the walk has been least."""
    preferred = _preferred(state)
    if not preferred or _closes(state, preferred):
        return preferred
    for hint in hints if state.inside else ():
        if state.follows(hint):
            return hint
    order = state.symbols.orders[state.inside]
    firsts: dict[int, int] = {}
    for symbol in order[state.next_symbols()[order]].tolist():
        firsts.setdefault(_kind(state.symbols.texts[symbol][0]), symbol)
    best: tuple[int, bytes] | None = None
    for symbol in firsts.values():
        after = state.copy()
        after.take(symbol)
        closing = _preferred(after)
        if after.complete or _closes(state, closing):
            return (symbol,)
        mask = after.next_symbols().tobytes()
        if closing and (best is None or seen[mask] < seen[best[1]]):
            best = symbol, mask
    if best is None:
        return ()
    seen[best[1]] += 1
    return (best[0],)


def _kind(byte: int) -> int:
    """What a patient walk holds for the same choice: small letters, capitals; any other byte is one by itself."""
    return 97 if 97 <= byte <= 122 else 65 if 65 <= byte <= 90 else byte


def _closes(state: State, choice: Sequence[int]) -> bool:
    """Whether the choice is one symbol of closing quotes and brackets only."""
    return any(_closing(state.symbols.texts[symbol]) for symbol in choice)


def _closing(text: bytes) -> bool:
    return all(byte in CLOSERS for byte in text)


def _rank_inside(text: bytes) -> tuple[int, int]:
    """(class, order within it): closing quotes, the rest of names, plain words, other characters, escapes."""
    if text[:1] == b'"':
        return (0 if _closing(text) else 1), -len(text)
    if text.isascii() and text.isalnum():
        return 2, -len(text)
    return (4 if b"\\" in text else 3), -len(text)


def _rank_outside(text: bytes) -> tuple[int, int]:
    """(class, order): closing brackets, separators with a forced name, numbers, literals, empty values, openings."""
    rest = text[1:]
    if all(byte in b"]}" for byte in text):
        return 0, -len(text)
    if text[:1] in b",:":
        return (1 if rest.strip(b'":').isalnum() or not rest.strip(b'":') else 2), -len(text)
    if text.isdigit():
        return 3, len(text)
    if text.isalpha():
        return 4, -len(text) if text[:1] != b"f" else 0
    if text[:1] in b'"[{':
        empty = text[:2] in (b'""', b"[]", b"{}") and all(byte in CLOSERS for byte in rest)
        if empty:
            return 5, -len(text)
        if text[:1] == b'"':
            return 6, -len(text) if rest.strip(b'":').isalnum() else len(text)
        return (7 if text[:1] == b"[" else 8), len(text)
    return 9, -len(text)
