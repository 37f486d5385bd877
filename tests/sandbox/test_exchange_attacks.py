"""What a hostile program might do so that a wrong answer passes, or to reach into the judge: none of it works."""

from __future__ import annotations

import pytest
from exchange_pair import blocks, exchange, source, tried

LIARS = source("liars.txt")

COMPARISONS = blocks("wrong_answers.txt")


@pytest.mark.parametrize("case", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_a_wrong_answer_is_never_right(case: str) -> None:
    program, test = case.split("---\n")
    (error,) = tried(LIARS + program, test)
    assert error is not None


ENDINGS = blocks("endings.txt")


@pytest.mark.parametrize("program", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("test", ["assert f(2) == 4", "try: f(2)\nexcept Exception: pass", "try: f(2)\nexcept: raise"])
def test_a_program_that_ends_does_not_pass(program: str, test: str) -> None:
    (error,) = tried(program, test, seconds=0.5)
    assert isinstance(error, (exchange.ExchangeError, exchange.ExitedError))


def test_a_bare_except_hides_no_failure() -> None:
    (error,) = tried("import os\ndef f(x): os._exit(0)", "try: f(2)\nexcept BaseException: pass")
    assert isinstance(error, exchange.GoneError)


# --- reaching into the judge --------------------------------------------------------------------------------------

RAW = source("raw.txt")
SECRET = """
secret = ["hidden"]
class Mine:
    '''doc'''
    _private = secret
    def __init__(self): self.public = 1
    def check(self, value): return value == secret
def callback(value, default=secret): return secret and value
def generate(): yield secret
"""
REACHES = blocks("reaches.txt")


@pytest.mark.parametrize("program", REACHES.values(), ids=REACHES.keys())
def test_internals_of_a_tests_objects_cannot_be_reached(program: str) -> None:
    handed = ["callback", "Mine()", "Mine().check", "generate()", "Mine"]
    errors = tried(RAW + program, *(f"{SECRET}\nf({each})" for each in handed))
    assert [type(error) for error in errors] == [AttributeError] * len(handed)


FORBIDDEN = {
    "judge's globals": "peer_()._ask('fetch', 0, 'expected')",
    "judge's names": "peer_()._ask('names', 0, '')",
    "judge's new global": "peer_()._ask('put', 0, 'f', (1,))",
    "new class": "peer_()._ask('subclass', 1, 'X', ((object,), {}))",
    "no such operator": "peer_()._ask('op', handle_of(k).number, '__getattribute__', ('__globals__',))",
    "reduce as an operator": "peer_()._ask('op', handle_of(k).number, '__reduce_ex__', (4,))",
    "a number never handed out": "peer_()._ask('call', 12345, '')",
    "no such request": "peer_()._ask('eval', handle_of(k).number, '1')",
    "a function by name": "peer_()._send(exchange.Packer(None), ['ok', 3, ['n', 'os:system']], '')",
    "how to make one": "peer_()._send(exchange.Packer(None), ['ok', 3, ['u', ['T', 'int'], ['t'], ['d']]], '')",
    "another's object": "peer_()._send(exchange.Packer(None), ['ok', 3, ['y', 9999]], '')",
    "letting go of what it has not": "peer_().forgotten.append([999, 1])",
    "a change of what is not shared": 'peer_()._channel.send(b\'["ok",3,null,[[1,99,["l"]]],[],""]\')',
    "a change to another kind": 'peer_()._channel.send(b\'["ok",3,null,[[0,1,["d"]]],[],""]\')',
}


@pytest.mark.parametrize("attack", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_no_honest_program_sends_ends_the_talk(attack: str) -> None:
    program = f"{RAW}def f(k, *_):\n  {attack}\n  return 4"
    (error,) = tried(program, "expected = 4\nassert f(lambda: 1, [1]) == 5", seconds=3)
    assert isinstance(error, exchange.ProtocolError)


OWN = [
    "getattr",
    "eval",
    "exec",
    "open",
    "vars",
    "globals",
    "setattr",
    "type",
    "repr",
    "str.lower",
    "__import__",
    "object",
]


@pytest.mark.parametrize("name", OWN)
def test_the_librarys_functions_are_the_candidates_own(name: str) -> None:
    assert tried(f"def f(k): return k is {name}", f"assert f({name}) is True") == [None]


WITHHELD = {
    "globals": "f(globals())",
    "builtins": "f(__builtins__)",
    "a module of the test": "import types; f(types.ModuleType('mine'))",
    "a frame": "import sys; f(sys._getframe())",
    "code": "f((lambda: 1).__code__)",
    "a cell": "f((lambda x: lambda: x)(1).__closure__[0])",
    "getattribute of an object": "f(Mine().__getattribute__)",
    "subclasses": "f(Mine.__subclasses__)",
    "bound getattr": "import types; f(types.MethodType(getattr, callback))",
    "a method of the globals": "f(globals().get)",
    "globals from a callback": "f(lambda: globals())",
}


@pytest.mark.parametrize("test", WITHHELD.values(), ids=WITHHELD.keys())
def test_what_would_tell_all_is_not_handed_over(test: str) -> None:
    program = "def f(k): return k() if type(k).__name__ == 'function' else 1"
    (error,) = tried(program, f"{SECRET}\n{test}")
    assert isinstance(error, TypeError) and "cannot be handed" in str(error)


@pytest.mark.parametrize("made", ["operator.attrgetter('__globals__')", "functools.partial(getattr, callback)"])
def test_getters_and_partials_are_made_anew_over_there(made: str) -> None:
    program = "def f(k, c):\n  return k(c) if 'attrgetter' in repr(k) else k('__globals__')"
    (error,) = tried(program, f"import operator, functools\n{SECRET}\nf({made}, callback)")
    assert isinstance(error, AttributeError)


def test_code_of_the_candidates_making_is_not_run_by_the_judge() -> None:
    program = 'decode = exec\ndef encode(x): return "import builtins; builtins.hacked = 1"'
    test = "import builtins\ndecode(encode(1))\nassert not hasattr(builtins, 'hacked')"
    assert tried(program, test) == [None]


def test_the_candidate_finds_no_expected_value_in_its_memory() -> None:
    program = """
import gc, sys
def f(x):
    frames, seen, frame = [], [], sys._getframe()
    while frame: frames.append(frame.f_locals); frame = frame.f_back
    wanted = int("731" * 3)
    groups = [o for o in gc.get_objects() + frames if type(o) in (list, tuple, dict)]
    return [repr(o)[:99] for o in groups if any(type(e) is int and e == wanted for e in list(o))]
"""
    assert tried(program, "assert f(2) == []\nassert f(2) != [731_731_731]") == [None]


def test_a_decoy_does_not_deny_what_is_really_in() -> None:
    program = """
class Bag:
    def __contains__(self, x): return x in ([4, -3, 0, 2.5, "four", b"b", (1, "a"), True])
class Even:
    def __contains__(self, x): return x % 2 == 0
def f(x): return Bag()
"""
    test = "\n".join(f"assert {value!r} in f(2)" for value in (4, -3, 0, 2.5, "four", b"b", (1, "a"), True))
    assert tried(
        program, f"{test}\nassert 5 not in f(2) and all(n in Even() for n in (0, 2, -4)) and 3 not in Even()"
    ) == [None]


def test_what_a_judge_holds_for_a_candidate_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objects.MOST_OBJECTS", 50)
    (error,) = tried("def f(k): return [k() for _ in range(60)]", "f(lambda: object.__new__(type('X', (), {})))")
    assert isinstance(error, exchange.ProtocolError)
    (error,) = tried("def f(): return [type('C', (), {})() for _ in range(6000)]", "f()")
    assert isinstance(error, exchange.ProtocolError)
