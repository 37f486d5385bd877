"""The limits of the exchange, and bytes that no honest program sends."""

from __future__ import annotations

import json
import os
import time

import pytest
from exchange_pair import answering, exchange, frame, judge_of, source, tried, verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAM = source("honest_program.txt")


# --- limits -------------------------------------------------------------------------------------------------------


def test_limits_have_errors_of_their_own() -> None:
    with judge_of(PROGRAM, largest=20_000) as peer:
        assert isinstance(verdict(peer, "nested(3000)"), exchange.DeepError)
        peer.failure = None
        assert isinstance(verdict(peer, "x = []\nfor _ in range(3000): x = [x]\ngive(x)"), exchange.DeepError)
        peer.failure = None
        assert verdict(peer, "assert nested(200)") is None
        assert isinstance(verdict(peer, "give('x' * 30_000)"), exchange.TooLargeError)
        peer.failure = None
        assert isinstance(verdict(peer, "f(range(30_000))"), exchange.TooLargeError)
        assert isinstance(verdict(peer, "give(1)"), exchange.GoneError)


@pytest.mark.parametrize(
    "body", ["time.sleep(9)", "[0 for _ in iter(int, 1)]", "[k() for _ in iter(int, 1)]", "os.read(3, 1 << 20)"]
)
def test_the_deadline_holds(body: str) -> None:
    started = time.monotonic()
    (error,) = tried(f"import os, time\ndef f(k):\n  {body}", "f(lambda: 1)", seconds=0.3)
    assert isinstance(error, (exchange.SlowError, exchange.ProtocolError)) and time.monotonic() - started < 1


def test_the_deadline_holds_while_sending() -> None:
    with judge_of(lambda read_fd, write_fd: time.sleep(5), seconds=0.3, largest=1 << 24) as peer:
        error = verdict(peer, "import solution\nsolution.x = 'x' * 10_000_000")
    assert isinstance(error, exchange.SlowError)


def test_an_endless_generator_is_read_as_far_as_needed() -> None:
    source = "import itertools\ndef f(): yield from itertools.count()"
    assert tried(source, "from itertools import islice\nassert list(islice(f(), 5)) == [0, 1, 2, 3, 4]") == [None]


# --- bytes --------------------------------------------------------------------------------------------------------

ENDLESS = ["h", 1, [2, [[3, [], ["A", "m", "", "object", ["__len__"], []]]], ["B", "m", "", "object", [], []]]]
OK = ["ok", "N"]
CRUEL: dict[str, tuple[object, ...]] = {
    "no JSON": (frame(b"hello"),),
    "nothing": (frame(b""),),
    "no text": (frame(b"\xff\xfe"),),
    "two values": (frame(b'["ok",1,1,[],[],""] 2'),),
    "too large": ((1 << 31).to_bytes(4, "big"),),
    "a long number": (frame(b'["ok",1,' + b"9" * 100_000 + b',[],[],""]'),),
    "deep JSON": (frame(b"[" * 100_000),),
    "deep value": ([*OK, json.loads('["l",' * 400 + "1" + "]" * 400), [], [], ""],),
    "an object": (frame({"a": 1}),),
    "short": (frame(["ok", 1]),),
    "empty": (frame([]),),
    "other question": (["ok", 77, 1, [], [], ""],),
    "unknown kind": (["maybe", "N", 1, [], [], ""],),
    "unknown tag": ([*OK, ["?"], [], [], ""],),
    "no tag": ([*OK, [], [], [], ""],),
    "dict as a value": ([*OK, {}, [], [], ""],),
    "cycle through a tuple": ([*OK, ["t", ["@", 0]], [], [], ""],),
    "reference too far": ([*OK, ["l", ["@", 5]], [], [], ""],),
    "list in a set": ([*OK, ["s", ["l"]], [], [], ""],),
    "key without a value": ([*OK, ["d", 1], [], [], ""],),
    "unknown share": ([*OK, ["$", 1, 4], [], [], ""],),
    "unknown class": ([*OK, ["h", 1, 55], [], [], ""],),
    "class of junk": ([*OK, ["h", 1, [2, [], [1, 2, 3, 4, 5, 6]]], [], [], ""],),
    "object of an exception's class": ([*OK, ["h", 1, "ValueError"], [], [], ""],),
    "value of a wrong root": ([*OK, ["v", 1, [2, [], ["A", "m", "", "int", [], []]], False, "x"], [], [], ""],),
    "list without a list": ([*OK, ["v", 1, [2, [], ["A", "m", "", "list", [], []]], False, 3], [], [], ""],),
    "exception of junk": ([*OK, ["x", "int", 0, [], "", None], [], [], ""],),
    "type by a wrong name": ([*OK, ["T", "eval"], [], [], ""],),
    "module": ([*OK, ["n", "os:system"], [], [], ""],),
    "recipe": ([*OK, ["u", ["T", "int"], ["t"], ["d"]], [], [], ""],),
    "same hashes": ([*OK, ["s", *(["i", f"{n * (2**61 - 1):x}"] for n in range(5000))], [], [], ""],),
    "tuples of shared tuples": ([*OK, ["s", ["t", ["t", 1], ["@", 2]]], [], [], ""],),
    "huge fraction": ([*OK, ["F", "f" * 100_000, "3"], [], [], ""],),
    "array of objects": ([*OK, ["numpy", "|O", [1], "12345678"], [], [], ""],),
    "array too short": ([*OK, ["numpy", "<i8", [1000000], ""], [], [], ""],),
    "bytes that are none": ([*OK, ["b", "\u1234"], [], [], ""],),
    "date that is none": ([*OK, ["date", 0, 0, 0], [], [], ""],),
    "forgets nothing": ([*OK, 1, [], [[1, 1]], ""],),
    "forgets junk": ([*OK, 1, [], [7], ""],),
    "changes junk": ([*OK, 1, [7], [], ""],),
    "fetches of the judge": (["fetch", 9, 0, "f", [], {}, [], [], False],),
    "calls what it has not": (["call", 9, 1, "f", [], {}, [], [], False],),
    "request of junk": (["call", 9, 1, 5, 5, 5, 5, 5, 5],),
    "class of classes": ([*OK, ["c", [1, [[n, [], ["A", "m", "", "object", [], []]] for n in range(2, 90)],
                                      ["A", "m", "", "object", [], []]]], [], [], ""],),
}  # fmt: skip


@pytest.mark.parametrize("replies", CRUEL.values(), ids=CRUEL.keys())
def test_bytes_that_are_no_message_end_in_an_error_of_the_exchange(replies: tuple[object, ...]) -> None:
    with judge_of(answering(*replies), seconds=3) as peer, pytest.raises(exchange.ExchangeError) as caught:
        peer.fetch("f")
    assert isinstance(caught.value, (exchange.ProtocolError, exchange.TooLargeError, exchange.DeepError))


nodes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | st.sampled_from(["", "a", "N", "__len__", "object", "list"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(
            st.sampled_from([*"ltdszbiCrDFvhxcynu$@T:aq", "dd", "od", "count", "path", "numpy", "date"]),
            inner,
            inner,
            inner,
        ).map(list)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=12,
)
lists = nodes | st.just([])
asked = st.sampled_from(["call", "op", "get", "set", "run"])
messages = st.one_of(
    nodes,
    st.tuples(st.sampled_from(["ok", "no", "exit", "deep"]), st.just(1), nodes, lists, lists, nodes).map(list),
    st.tuples(asked, st.just(5), nodes, nodes | st.just("__eq__"), nodes, nodes, lists, lists, nodes).map(list),
)


def end_of(sent: bytes) -> list[object]:
    """Call three times, and be answered with these bytes: what was passed, what came, and the error.

    Anything but a value, an error of the exchange and an error of the other side is raised.
    """
    (read_fd, theirs), (ours, write_fd) = os.pipe(), os.pipe()
    peer = exchange.Peer(read_fd, write_fd, trusted=True, largest=1 << 16)
    peer.deadline = time.monotonic() + 2
    seen: list[object] = []
    try:
        os.write(theirs, sent)
        os.close(theirs)
        for _ in range(3):
            passed = [1, {2: 3}, {4}]
            seen.append(passed)
            seen.append(peer.call(1, (passed, lambda: seen.append("called")), {"key": [5]}))
    except (exchange.ExchangeError, exchange.ExitedError):
        return seen
    except Exception as error:
        if not exchange.is_remote_error(error) and not isinstance(error, RuntimeError):
            raise
        seen.append(error)
    finally:
        for fd in (read_fd, ours, write_fd):
            os.close(fd)
    return seen


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=st.lists(messages | st.binary(max_size=40), max_size=3))
def test_messages_of_junk_end_in_an_error_of_the_exchange(sent: list[object]) -> None:
    end_of(b"".join(each if isinstance(each, bytes) else frame(each) for each in sent))


NODE = [2, [[4, [], ["A", "m", "", "object", ["__len__", "__eq__"], []]]], ["B", "m", "d", "object", [], []]]
STACK = [7, [], ["Stack", "m", "", "list", ["__len__"], ["append"]]]
FAULT = [8, ["ValueError"], ["E", "m", "", "exception", [], []]]
HONEST = [
    ["ok", 1, ["h", 3, NODE], [], [], ""],
    ["call", 5, 3, "", [], {}, [[0, 7, ["s", 9]]], [], False],
    ["ok", 2, ["v", 6, STACK, False, ["l", 1]], [[0, 6, ["d", 1, 2]]], [[3, 1]], ""],
    ["no", 3, ["x", FAULT, 9, [1, ["d", 1, 2]], "text", None], [], [], ""],
]
STREAM = b"".join(frame(message) for message in HONEST)


def test_the_honest_stream_is_understood() -> None:
    first, remote, second, called, stack, _, error = end_of(STREAM)
    assert first == [1, {2: 3}, {4}] and second == [1, {1: 2}, {9}] and called == "called" and stack == [1]
    assert (
        type(remote).__name__ == "B"
        and isinstance(error, ValueError)
        and error.args == (1, {1: 2})
        and str(error) == "text"
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.sampled_from(list(b'[]"0123489ltvhxc,-\x00'))), max_size=4)
)
def test_an_honest_stream_that_was_tampered_with_ends_in_an_error_of_the_exchange(
    changes: list[tuple[int, int]],
) -> None:
    stream = bytearray(STREAM)
    for place, byte in changes:
        stream[place] = byte
    end_of(bytes(stream))
