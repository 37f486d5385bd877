"""The programs of the race "sandbox": what small programs with small tests look like. Standard library only.

Twelve functions of the kind that public sets ask for, each with four calls and what they give. Every program of a race
is one of them with its own number in it, so that no two are the same text; every tenth is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Small:
    source: str
    entry: str
    inputs: list[list[Any]]
    expected: list[Any]
    right: bool

    def asserts(self) -> str:
        """The calls as assert statements about `candidate`."""
        calls = zip(self.inputs, self.expected, strict=True)
        return "".join(f"    assert candidate({', '.join(map(repr, args))}) == {want!r}\n" for args, want in calls)


def small_programs(count: int) -> Iterator[Small]:
    """`count` programs, the same ones each time."""
    for number in range(count):
        entry, body, calls = SMALL[number % len(SMALL)]
        right = number % 10 != 9
        wrong = (
            "" if right else f"\n_right_{entry} = {entry}\ndef {entry}(*args):\n    return [_right_{entry}(*args)]\n"
        )
        source = f"# program {number}\n{body}{wrong}"
        yield Small(source, entry, [args for args, _ in calls], [want for _, want in calls], right)


SMALL: list[tuple[str, str, list[tuple[list[Any], Any]]]] = [
    (
        "double_all",
        "def double_all(xs):\n    return [2 * x for x in xs]\n",
        [([[]], []), ([[1, 2]], [2, 4]), ([[0, -3]], [0, -6]), ([[5]], [10])],
    ),
    (
        "is_palindrome",
        "def is_palindrome(text):\n    return text == text[::-1]\n",
        [([""], True), (["abba"], True), (["abc"], False), (["x"], True)],
    ),
    (
        "fib",
        "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
        [([0], 0), ([1], 1), ([10], 55), ([40], 102334155)],
    ),
    (
        "word_counts",
        "from collections import Counter\n\ndef word_counts(text):\n    return dict(Counter(text.split()))\n",
        [([""], {}), (["a b a"], {"a": 2, "b": 1}), (["x"], {"x": 1}), (["p q"], {"p": 1, "q": 1})],
    ),
    (
        "gcd",
        "def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return a\n",
        [([12, 18], 6), ([7, 3], 1), ([0, 5], 5), ([100, 75], 25)],
    ),
    (
        "sort_by_last",
        "def sort_by_last(pairs):\n    return sorted(pairs, key=lambda p: p[-1])\n",
        [([[]], []), ([[[1, 3], [2, 1]]], [[2, 1], [1, 3]]), ([[[5]]], [[5]]), ([[[1, 2], [0, 2]]], [[1, 2], [0, 2]])],
    ),
    (
        "primes",
        "def primes(n):\n    return [p for p in range(2, n) if all(p % q for q in range(2, int(p ** 0.5) + 1))]\n",
        [([2], []), ([10], [2, 3, 5, 7]), ([20], [2, 3, 5, 7, 11, 13, 17, 19]), ([3], [2])],
    ),
    (
        "flatten",
        "def flatten(x):\n    return [z for y in x for z in (flatten(y) if isinstance(y, list) else [y])]\n",
        [([[]], []), ([[1, [2, [3]]]], [1, 2, 3]), ([[[], [[]]]], []), ([[[1], 2]], [1, 2])],
    ),
    (
        "caesar",
        "def caesar(text, k):\n    return ''.join(chr((ord(c) - 97 + k) % 26 + 97) for c in text)\n",
        [(["abc", 1], "bcd"), (["xyz", 3], "abc"), (["", 5], ""), (["m", 13], "z")],
    ),
    (
        "transpose",
        "def transpose(m):\n    return [list(row) for row in zip(*m)]\n",
        [([[]], []), ([[[1, 2], [3, 4]]], [[1, 3], [2, 4]]), ([[[1, 2, 3]]], [[1], [2], [3]]), ([[[7]]], [[7]])],
    ),
    (
        "balanced",
        "def balanced(s):\n    depth = 0\n    for c in s:\n        depth += 1 if c == '(' else -1\n"
        "        if depth < 0:\n            return False\n    return depth == 0\n",
        [([""], True), (["(())"], True), ([")("], False), (["(()"], False)],
    ),
    (
        "digits_sum",
        "def digits_sum(n):\n    return sum(int(d) for d in str(abs(n)))\n",
        [([0], 0), ([123], 6), ([-45], 9), ([9999], 36)],
    ),
]
