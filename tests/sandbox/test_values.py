"""Values survive the way to the other process as they are; what is no value is refused, and nothing in it is run."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import math
import pathlib
import time
from typing import Any

import pytest
from exchange_pair import exchange, values
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import LEVELS, Packer, Unpacker


def outside(value: Any, packer: Packer, depth: int) -> Any:
    node = values.pack_foreign(packer, value, depth)
    if node is None:
        raise TypeError(f"no plain value: {value!r}")
    return node


def inside(node: list[Any], unpacker: Unpacker, depth: int) -> Any:
    raise exchange.ProtocolError(f"no plain value: {node!r:.100}")


def sent(value: Any) -> Any:
    packer, unpacker = Packer(outside), Unpacker(inside)
    found = unpacker.unpack(values.decode(values.encode(packer.pack(value))))
    # Both number alike: else a reference, or a shared container, would be another one over there.
    assert list(map(type, unpacker.items)) == list(map(type, packer.items))
    return found


def same(a: Any, b: Any) -> bool:
    """Equal, of the same types, NaN equal to NaN and -0.0 not to 0.0, in the same order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, slice):
        return same([a.start, a.stop, a.step], [b.start, b.stop, b.step])
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    return a == b


zones = st.none() | st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
keys = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.binary() | st.floats(allow_nan=False)
    | st.fractions() | st.decimals(allow_nan=False) | st.dates() | st.timedeltas() | st.times() | st.just(...)
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
plain = st.recursive(
    keys | st.floats() | st.datetimes(timezones=zones) | st.builds(bytearray, st.binary()) | st.integers(2**60, 2**70)
    | st.builds(range, st.integers(), st.integers(), st.integers(1, 9)),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner) | st.sets(keys)
    | st.builds(collections.deque, st.lists(inner, max_size=3), st.none() | st.just(9)) | st.builds(slice, inner, inner)
    | st.builds(collections.OrderedDict, st.dictionaries(keys, inner)) | st.builds(collections.Counter, st.lists(keys)),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(plain)
def test_plain_values_arrive_as_they_are(value: Any) -> None:
    assert same(sent(value), value)


def test_odd_values_arrive_as_they_are() -> None:
    odd = [
        "\ud800",
        "\ud83d\ude00",
        "\udcff\0\u2028",
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        2**63,
        -(2**63),
        -(2**63) - 1,
        3**9999,
    ]
    assert same(sent(odd), odd) and len(sent("\ud83d\ude00")) == 2
    both = [
        NotImplemented,
        ...,
        int,
        ValueError,
        type(None),
        collections.Counter,
        object,
        slice(1, [2]),
        pathlib.PurePosixPath("a/b"),
    ]
    assert sent(both) == both and sent(array.array("d", [1.5])) == array.array("d", [1.5])
    table = collections.defaultdict(list, a=[1])
    assert same(sent(table), table) and sent(table)["new"] == []
    assert (
        list(sent({2: 1, 1: 2}.keys())) == [2, 1]
        and sent({1: [2]}.items()) == {1: [2]}.items()
        and list(sent({1: [2]}.values())) == [[2]]
    )
    assert sent(datetime.UTC) is not None and sent(collections.deque([1, 2], 2)).maxlen == 2
    assert sent(decimal.Decimal("-0E+3")).as_tuple() == decimal.Decimal("-0E+3").as_tuple()
    assert sent(fractions.Fraction(-1, 3)) == fractions.Fraction(-1, 3)


def test_numpy_arrives_as_arrays_and_plain_scalars() -> None:
    numpy = pytest.importorskip("numpy")
    for kind in ("i8", "f4", "?", "c16", "u1", "U3", "S2", "M8[D]"):
        values_ = numpy.zeros((2, 3), dtype=kind)
        found = sent(values_)
        assert found.dtype == values_.dtype and found.shape == (2, 3) and (found == values_).all()
    assert type(sent(numpy.float64(1.5))) is float and type(sent(numpy.int32(3))) is int
    with pytest.raises(TypeError):
        sent(numpy.array([object()]))


def test_shared_and_cyclic_containers_stay_so() -> None:
    shared, cycle, table, deep = [1], [], {}, ((1, 2), [3])
    cycle.append(cycle)
    table["me"] = table
    a = sent([shared, shared, cycle, table, deep, deep, {(1, 2): shared}])
    assert a[0] is a[1] is a[6][1, 2] and a[2][0] is a[2] and a[3]["me"] is a[3] and a[4] is a[5]
    row = collections.deque()
    row.append(row)
    factory: dict[str, Any] = collections.defaultdict(None, a=1)
    factory["me"] = factory
    assert (found := sent(row))[0] is found and (again := sent(factory))["me"] is again


def test_depth_is_bounded_and_not_by_a_crash() -> None:
    value: Any = []
    for _ in range(LEVELS - 1):
        value = [value]
    assert sent(value) == value
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {1: x}, lambda x: frozenset([x])):
        value = 1
        for _ in range(100_000):
            value = wrap(value)
        with pytest.raises(exchange.DeepError):
            sent(value)
        while not isinstance(value, int):  # taken apart one by one, as freeing it at once takes much of the stack
            value = next(iter(value.values())) if isinstance(value, dict) else next(iter(value))
    inner: list[Any] = []
    through = (inner,)
    inner.append(through)
    with pytest.raises(exchange.DeepError, match="cycle through a tuple"):
        sent(through)


def test_tuples_that_share_tuples_are_no_trap() -> None:
    value: Any = (1,)
    for _ in range(12):
        value = (value, value)
    assert sent([value]) == [value] and sent({value: 1}) == {value: 1}
    node: Any = ["t", 1]
    for place in range(60):
        node = ["t", node, ["@", 60 - place]]
    with pytest.raises(exchange.ProtocolError):
        Unpacker(inside).unpack(["s", node])


def test_subclasses_are_not_taken_for_their_bases() -> None:
    class Mine(list[int]):
        pass

    for value in (Mine(), type("S", (str,), {})("x"), lambda: 1, object(), math):
        with pytest.raises(TypeError):
            sent([value])


@pytest.mark.parametrize("data", [b"", b"[", b"nul", b"[1] 2", b"\xff", b'"a', b"{'a': 1}", b"[" * 99_999, b"1" * 9999])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises((exchange.ProtocolError, exchange.DeepError)):
        values.decode(data)


def test_keys_of_one_hash_are_refused_before_they_take_long() -> None:
    prime = 2**61 - 1
    crowd = {n * prime: 1 for n in range(600)}
    with pytest.raises(exchange.ProtocolError, match="same hash"):
        sent(crowd)
    with pytest.raises(exchange.ProtocolError, match="same hash"):
        sent(set(crowd))
    started = time.process_time()
    node = ["s", *(["i", f"{n * prime:x}"] for n in range(30_000))]
    with pytest.raises(exchange.ProtocolError):
        Unpacker(inside).unpack(node)
    assert time.process_time() - started < 1


def test_long_lists_cost_little() -> None:
    numbers, started = list(range(10_000)), time.process_time()
    for _ in range(20):
        assert sent(numbers) == numbers
    each = (time.process_time() - started) / 20
    started, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    # About 1/20 on a quiet machine; a loop over the elements in Python would be near 1.
    assert each < (time.process_time() - started) / 4
