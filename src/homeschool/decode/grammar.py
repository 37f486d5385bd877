"""Answers held to a JSON Schema: which tokens may come next, by the grammar library llguidance.

The only file that knows the library; it is imported when the first request with a schema comes. Chosen over xgrammar
for its coverage of JSON Schema (numeric bounds, disjoint oneOf, merged allOf, formats), because it refuses by name
what it cannot hold, rolls a state on in microseconds on a copy, and depends on nothing.

JSON is written compactly, keys in the schema's order, and every text in one way only: no escapes but the short ones,
so that a name cannot be written twice in two spellings. Numbers have no exponent and at most `LONGEST_NUMBER`
characters, so that none overflows when it is read.

Tokenizers that cannot write every character (nano's has ASCII only) get the characters of the schema's own names and
constants as extra *symbols* of the grammar, which the model writes as JSON escapes, token by token. Refused, by
UnanswerableError: tokenizers whose tokens have no fixed bytes, and schemas named in `schema`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from homeschool.core.errors import UnanswerableError
from homeschool.decode.closing import HASTE, Form, Patience, StuckError, certificate, preferences
from homeschool.decode.schema import ending, examples, prepare, refused, strings
from homeschool.models.local import Checkpoint

OPTIONS: dict[str, Any] = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
    "coerce_one_of": False,
    "lenient": False,
    "json_allowed_escapes": 'nrbtf\\"',
    "json_allow_general_unicode_escapes": False,
}

NEEDED = [*range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF5)]
"""The bytes of JSON text in UTF-8."""

STRUCTURE = frozenset('{}[]:,"\\+-.0123456789truefalsn')
"""Characters that mean something outside texts, so that an escape cannot stand for them everywhere."""

LONGEST_NUMBER = 300

LONGEST_CERTIFICATE = 1 << 14
"""Tokens after which the search for the shortest answer to a schema gives up."""

PATIENCE = 1 << 10
"""Tokens after which the slow search gives up, which looks ahead."""

OVER = "<|over|>"
"""A token that no model has: the library wants one that ends a text."""


class Vocabulary:
    """The tokens of a checkpoint as bytes; empty for those that are not text (special tokens, end tokens)."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        backend = getattr(checkpoint.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise refused(f"the tokenizer of {checkpoint.name!r}, which has no tokenizer.json")
        self.ends = checkpoint.end_ids
        self.size: int = checkpoint.module.config.get_text_config().vocab_size
        tokens, library = _tokens(backend, size=self.size, name=checkpoint.name)
        special = {*checkpoint.tokenizer.all_special_ids, *self.ends}
        self.tokens = [b"" if index in special else token for index, token in enumerate(tokens)]
        self._known = set(self.tokens)
        self.complete = library is not None and all(bytes([byte]) in self._known for byte in NEEDED)
        """Whether every text can be written."""
        self._library = library
        self._symbols: Symbols | None = None

    def symbols(self, schema: Mapping[str, Any]) -> Symbols:
        """What answers to `schema` are made of: the tokens, and the characters of `schema` that they cannot write."""
        if self.complete:
            self._symbols = self._symbols or Symbols(self.tokens, {}, library=self._library)
            return self._symbols
        found = {character for text in strings(schema) for character in text} - STRUCTURE
        spellings = {
            character: spelling
            for character in sorted(found)
            if character.encode() not in self._known and (spelling := self._spelling(character))
        }
        return Symbols(self.tokens, spellings, library=None)

    def _spelling(self, character: str) -> tuple[int, ...]:
        """The tokens of a character's JSON escape; none if they cannot be written either."""
        units = np.frombuffer(character.encode("utf-16-be"), dtype=">u2")
        escape = "".join(f"\\u{unit:04x}" for unit in units.tolist())
        known = {token: index for index, token in reversed(list(enumerate(self.tokens)))}
        found = [known.get(letter.encode()) for letter in escape]
        return tuple(index for index in found if index is not None) if None not in found else ()


class Symbols:
    """The alphabet of a grammar: tokens 0..V-1, then characters that are spelled with several tokens."""

    def __init__(
        self, tokens: list[bytes], spellings: Mapping[str, tuple[int, ...]], *, library: LLTokenizer | None
    ) -> None:
        self.texts = [*tokens, *(character.encode() for character in spellings)]
        self.spellings = dict(enumerate(spellings.values(), start=len(tokens)))
        self.vocabulary = len(tokens)
        self.library = library or _wrapped([*self.texts, b""])
        self._known = {text: index for index, text in reversed(list(enumerate(self.texts)))}
        self.orders = {inside: preferences(self.texts, inside=inside) for inside in (False, True)}
        self.texted = self._matching(rb".")
        self.digits = self._matching(rb"[0-9.]")
        self.exponents = self._matching(rb"[eE]")
        self.exponents_within = self._matching(rb".*[0-9][eE]")

    def _matching(self, pattern: bytes) -> NDArray[np.bool_]:
        compiled = re.compile(pattern, re.DOTALL)
        return np.array([compiled.match(text) is not None for text in self.texts], dtype=bool)

    def written(self, text: str) -> tuple[int, ...]:
        """Symbols of a text, the longest each time; none if it cannot be written."""
        found, rest = list[int](), text.encode()
        while rest:
            length = next((n for n in range(min(len(rest), 16), 0, -1) if rest[:n] in self._known), 0)
            if not length:
                return ()
            found.append(self._known[rest[:length]])
            rest = rest[length:]
        return tuple(found)

    def spelled(self, symbol: int) -> tuple[int, ...]:
        """The tokens that write a symbol."""
        return self.spellings.get(symbol, (symbol,))


class Grammar:
    """A schema compiled for a vocabulary. `shortest` is how many tokens the shortest answer found needs."""

    def __init__(self, schema: Mapping[str, Any], vocabulary: Vocabulary) -> None:
        ready = prepare(schema)
        self.symbols = vocabulary.symbols(ready)
        self._ends = vocabulary.ends
        try:
            text = json.dumps(ready, allow_nan=False)
            source = LLMatcher.grammar_from_json_schema(text, overrides=OPTIONS)  # pyright: ignore[reportArgumentType]
        except (ValueError, TypeError) as error:
            raise _told(error) from error
        if wrong := LLMatcher.validate_grammar(source, self.symbols.library):
            raise _told(wrong)
        self._start = State(self.symbols, LLMatcher(self.symbols.library, source, log_level=0))
        length = ending(ready)
        self._ending = length if vocabulary.complete else None
        hints = (self.symbols.written(json.dumps(text, ensure_ascii=False)[1:]) for text in examples(ready))
        patience = None if length is not None else Patience(PATIENCE, tuple(hint for hint in hints if hint))
        found = certificate(self._start, most=LONGEST_CERTIFICATE, patience=patience)
        if found is None:
            raise UnanswerableError(
                "no short answer to the schema can be written with the model's tokens",
                hint="check that its patterns and constants can be met, or simplify them",
            )
        self._plan = found
        self.shortest = self._start.cost(found)
        # While an answer is drawn, a way out that is much longer than the shortest answer is not worth the search.
        self._patience = replace(patience, steps=2 * self.shortest + HASTE) if patience else None

    def form(self) -> Form:
        """An answer about to begin."""
        return Form(self._start.copy(), self._plan, ends=self._ends, ending=self._ending, patience=self._patience)


class State:
    """How far an answer has come.

    `typed` are the tokens of a spelled character that is not whole yet; the library's matcher stands before it.
    """

    __slots__ = ("_escaped", "_mask", "_matcher", "_number", "depth", "inside", "symbols", "typed")

    def __init__(self, symbols: Symbols, matcher: LLMatcher) -> None:
        self.symbols = symbols
        self._matcher = matcher
        self._mask: NDArray[np.bool_] | None = None
        self.typed: tuple[int, ...] = ()
        self.inside = False
        """Whether a text has been opened and not closed."""
        self._escaped = False
        self.depth = 0
        """Open brackets."""
        self._number = 0
        """Length of the number that the answer ends with."""

    def copy(self) -> State:
        twin = State(self.symbols, self._matcher.deep_copy())
        twin._mask, twin.typed = self._mask, self.typed
        twin.inside, twin._escaped, twin.depth, twin._number = self.inside, self._escaped, self.depth, self._number
        return twin

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""
        return not self.typed and self._matcher.is_accepting()

    @property
    def closed(self) -> bool:
        """Whether the answer can only end here."""
        return self.complete and (self._matcher.is_stopped() or not self.next_symbols().any())

    def next_symbols(self) -> NDArray[np.bool_]:
        """[symbols] whether each may come next, `typed` forgotten. Not to be written to."""
        if self._mask is None:
            self._mask = self._compute()
        return self._mask

    def next_tokens(self) -> NDArray[np.bool_]:
        """[V] whether each token may come next."""
        symbols = self.symbols
        allowed = self.next_symbols()
        if not symbols.spellings:
            return allowed[: symbols.vocabulary]
        tokens = np.zeros(symbols.vocabulary, dtype=bool)
        if not self.typed:
            tokens |= allowed[: symbols.vocabulary]
        elif self.follows(self.typed):
            plain = self.copy()
            for token in self.typed:
                plain.take(token)
            tokens |= plain.next_symbols()[: symbols.vocabulary]
        for symbol in self.begun():
            tokens[symbols.spellings[symbol][len(self.typed)]] = True
        return tokens

    def begun(self) -> list[int]:
        """The spelled characters that `typed` may become."""
        allowed, count = self.next_symbols(), len(self.typed)
        spellings = self.symbols.spellings.items()
        return [symbol for symbol, spelling in spellings if allowed[symbol] and spelling[:count] == self.typed]

    def type(self, token: int) -> None:
        """Go on by one of `next_tokens`."""
        if not self.symbols.spellings:
            self.take(token)
            return
        self.typed = (*self.typed, token)
        begun = self.begun()
        whole = [symbol for symbol in begun if self.symbols.spellings[symbol] == self.typed]
        if begun and not whole:
            return
        for symbol in whole or self.typed:
            self.take(symbol)
        self.typed = ()

    def take(self, symbol: int) -> None:
        """Go on by one of `next_symbols`. Raises StuckError where the library meets a limit of its own."""
        if not self._matcher.consume_token(symbol):
            raise StuckError(_first_line(self._matcher.get_error()))
        self._mask = None
        self._scan(self.symbols.texts[symbol])

    def follows(self, plan: tuple[int, ...]) -> bool:
        """Whether the symbols may come next, one after the other."""
        return self._matcher.validate_tokens(list(plan)) == len(plan)

    def ends_with(self, plan: tuple[int, ...]) -> bool:
        """Whether the symbols may come next and the answer may end after them."""
        matcher = self._matcher.deep_copy()
        return matcher.consume_tokens(list(plan)) and matcher.is_accepting()

    def cost(self, plan: tuple[int, ...]) -> int:
        """How many tokens write `plan`, those in `typed` not counted."""
        return sum(len(self.symbols.spelled(symbol)) for symbol in plan) - len(self.typed)

    def _compute(self) -> NDArray[np.bool_]:
        count = len(self.symbols.texts)
        if self._matcher.is_stopped():
            return np.zeros(count, dtype=bool)
        try:
            packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        except (ValueError, RuntimeError):
            # No token at all may come next: the library takes that for an error.
            return np.zeros(count, dtype=bool)
        # The library keeps a number for the end of the text, past the tokens or among those that the model has not.
        allowed = np.unpackbits(packed, count=count, bitorder="little").view(bool)
        allowed &= self.symbols.texted
        if self.inside:
            return allowed
        allowed &= ~self.symbols.exponents_within
        if self._number:
            allowed &= ~self.symbols.exponents
        if self._number >= LONGEST_NUMBER:
            shorter = allowed & ~self.symbols.digits
            return shorter if shorter.any() or self._matcher.is_accepting() else allowed
        return allowed

    def _scan(self, text: bytes) -> None:
        """Follow texts, brackets and numbers through what was written."""
        for byte in text:
            if self.inside:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:
                    self._escaped = True
                elif byte == 0x22:
                    self.inside = False
                continue
            self._number = self._number + 1 if byte in b"0123456789.-" else 0
            if byte == 0x22:
                self.inside = True
            elif byte in b"{[":
                self.depth += 1
            elif byte in b"}]":
                self.depth -= 1


def _wrapped(tokens: list[bytes]) -> LLTokenizer:
    wrapper: Any = _Wrapper(tokens)
    return LLTokenizer(wrapper, n_vocab=len(tokens), slices=[])


class _Wrapper:
    """Tokens as the library asks for them, where it cannot read the tokenizer itself. The last one is the end."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.eos_token_id = len(tokens) - 1
        self.special_token_ids = [index for index, token in enumerate(tokens) if not token]
        self._known = {token: index for index, token in reversed(list(enumerate(tokens))) if token}
        self._longest = max(map(len, self._known), default=0)

    def __call__(self, text: bytes | str) -> list[int]:
        """The longest token each time; the end where nothing fits, for there nothing can be written."""
        rest = text.encode() if isinstance(text, str) else bytes(text)
        found: list[int] = []
        while rest:
            length = next((n for n in range(min(self._longest, len(rest)), 0, -1) if rest[:n] in self._known), 0)
            if not length:
                return [*found, self.eos_token_id]
            found.append(self._known[rest[:length]])
            rest = rest[length:]
        return found


def _tokens(backend: Tokenizer, *, size: int, name: str) -> tuple[list[bytes], LLTokenizer | None]:
    """The bytes of each token, and the tokenizer as the library has it; None if it knows no such decoder."""
    twin = Tokenizer.from_str(backend.to_str())
    twin.no_padding()
    twin.no_truncation()
    decoder = json.loads(twin.to_str())["decoder"]
    if decoder is None or decoder["type"] == "Fuse":
        words = [(twin.id_to_token(index) or "").encode() for index in range(size)]
        return words, None
    twin.add_special_tokens([OVER])
    over: Any = twin.token_to_id(OVER)
    count = max(size, twin.get_vocab_size(), over + 1)
    try:
        library = LLTokenizer(twin.to_str(), n_vocab=count, eos_token=over, slices=LLTokenizer.json_slices())
    except ValueError as error:
        raise refused(f"the tokenizer of {name!r} ({_first_line(error)})") from error
    return [b"" if library.is_special_token(i) else library.decode_bytes([i]) for i in range(size)], library


def _told(error: Exception | str) -> UnanswerableError:
    """What the library says against a schema, as our own error."""
    found = re.search(r"Unimplemented keys: \[(.*)\]", str(error))
    return refused(found.group(1).replace('"', "'") if found else f"a fault or limit: {_first_line(error)}")


def _first_line(error: Exception | str) -> str:
    return str(error).strip().partition("\n")[0][:160]
