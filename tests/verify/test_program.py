"""The program in an answer, as chat and base models write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.program import helpers_of, program_of

CODE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "code"
PREFIX = '''import math


def half(x):
    return x / 2


def area(r):
    """ The area of a circle.
    >>> area(0)
    0.0
    """
'''
ROW = {"prefix": PREFIX, "entry_point": "area"}
WHOLE = "def area(r):\n    return math.pi * r * r\n"
BODY = "    return math.pi * r * r\n"
PLAIN: dict[str, Any] = {"entry_point": "area"}


def area(program: str) -> float:
    """What the program's function gives: our own fixtures only are ever executed here."""
    names: dict[str, Any] = {}
    exec(compile(program, "program", "exec"), names)
    return names["area"](1)


def right(answer: str, row: dict[str, Any] = ROW) -> None:
    program = program_of(answer, row)
    assert area(program) == pytest.approx(3.14159265), program
    assert program.endswith("\n") and not program.endswith("\n\n")


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{WHOLE}```",
        f"Sure! Here it is:\n\n```python\n{WHOLE}```\n\nIt uses `math.pi`. Call it:\n",
        f"```\n{WHOLE}```",
        f"~~~py\n{WHOLE}~~~",
        f"```Python\n{WHOLE}```",
        f"````python\n{WHOLE}````",
        f"```python title=x\n{WHOLE}```",
        f"```{{.python}}\n{WHOLE}```",
        f"```python\n{WHOLE}",
        f"Well\n```python\n{WHOLE}\n",
        f"```python\r\n{WHOLE}```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"First:\n```python\ndef area(r):\n    return 0\n```\nNo, better:\n```python\n{WHOLE}```",
        f"```python\n{WHOLE}```\nExample:\n```python\nprint(area(2))\n```\nOutput:\n```\n12.56\n```",
        f"```bash\npip install x\n```\n```python\n{WHOLE}```\n```text\ndef area(r): return 0\n```",
        "1. Like this:\n\n   ```python\n   def area(r):\n       return math.pi * r * r\n   ```\nDone",
        "- ```python\n  def area(r):\n      return math.pi * r * r\n  ```",
        f"```python\n{PREFIX}{BODY}```",
        f"```python\nfrom __future__ import annotations\n\n\n{WHOLE}```",
        "```python\ndef area(r):\n\treturn math.pi * r * r\n```",
        "```python\nasync_ = 1\narea = lambda r: math.pi * r * r\n```",
        f"```\n{BODY}```",
        f"The body:\n```python\n{BODY}```",
        "```python\nreturn math.pi * r * r\n```",
        WHOLE,
        f"Here is the function:\n\n{WHOLE}\nThis works because a circle is round.\n",
        f"{WHOLE}\nExplanation:\n1. pi",
        f"from math import pi\n\n{WHOLE}",
        "So:\n\nPI: float = 3.14159265\ndef area(r):\n    return PI * r * r\n",
        "K, L = 3.14159265, 1\ndef area(r):\n    return K * L * r * r\n",
        "try:\n    from math import pi\nexcept ImportError:\n    pi = 3\ndef area(r):\n    return pi * r * r\n",
        f"{WHOLE}```\nThat closes what the prompt opened.",
        f"{WHOLE}\n# Example usage:\nX, Y = 1, 2\n",
        f"{PREFIX}{BODY}",
    ],
)
def test_a_chat_model(answer: str) -> None:
    right(answer)


@pytest.mark.parametrize(
    "answer",
    [
        BODY,
        BODY.rstrip(),
        BODY.lstrip(),
        f"\n\n{BODY}",
        BODY.replace("\n", "\r\n"),
        f"{BODY}\n\ndef other(x):\n    oops(",
        f"{BODY}\n\nclass Other:\n    oops(",
        f"{BODY}\nprint(area(",
        f"{BODY}\nif __name__ == '__main__':\n    area(",
        f"{BODY}\n# Test\nassert area(0) == (",
        f"{BODY}\n\ndef area(r):\n    return 0\n",
        f"{BODY}```\n\nSome words about it.",
        f"{BODY}```\n\n```python\ndef area(r):\n    return 0\n```",
        "    def square(x):\n        return x * x\n\n    return math.pi * square(r)\n\n\ndef f(",
        "    if r < 0:\n        return 0\n    return math.pi * r * r\n\nThe end",
        "if r < 0:\n        return 0\n    return math.pi * r * r\n",
        "if r < 0:\n    return 0\nreturn math.pi * r * r\n",
        "x = r * r\n    return math.pi * x",
        "x = r * r\nreturn math.pi * x",
        "    text = '''\nThis is at the margin\n'''\n    return math.pi * r * r\nThis not",
        "    return sum(\n        [math.pi * r * r]\n)\nprint(",
        f"    # as above\n{BODY}",
    ],
)
def test_a_base_model_goes_on(answer: str) -> None:
    right(answer)


def test_a_prefix_that_ends_inside_a_line_or_in_a_colon() -> None:
    right(" math.pi * r * r\nprint(oops(", {"prefix": "import math\ndef area(r):\n    return", "entry_point": "area"})
    right("return math.pi * r * r", {"prefix": "import math\ndef area(r):\n", "entry_point": "area"})
    right("\treturn math.pi * r * r\n\nx", {"prefix": "import math\ndef area(r):\n", "entry_point": "area"})


def test_tabs_that_the_model_mixed_stay_its_fault() -> None:
    with pytest.raises(TabError):
        area(program_of("\treturn 1\n", ROW))


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("x = 1", "x = 1\n"),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```python\ndef f(): pass\n```\n```python\nf()\n```", "def f(): pass\n"),
        ("```python\na = 1\n```\n```python\nb = 2\n```", "b = 2\n"),
        ("```js\na = 1\n```", "a = 1\n"),
        ("    x = 1", "    x = 1\n"),
        ("", "\n"),
        ("```", "\n"),
        ("```python\n```", "\n"),
    ],
)
def test_without_an_entry_point(answer: str, program: str) -> None:
    assert program_of(answer, {}).lstrip("`") == program


def test_mbpp_marks() -> None:
    shown = f"[BEGIN]\nimport math\n{WHOLE}[DONE]\n\nYou are an expert"
    assert program_of(shown, PLAIN) == f"import math\n{WHOLE}"
    right(f"import math\n{WHOLE}[DONE]", PLAIN)


def test_an_answer_that_is_no_program_is_left_to_fail() -> None:
    for answer in ("I cannot do that.", "", "\n", "```python\nprint(3)\n```", "def other(r):\n    return 3.14159265"):
        with pytest.raises((SyntaxError, NameError, TypeError, AssertionError)):
            right(answer)


def test_helpers() -> None:
    assert helpers_of(PREFIX, "area") == PREFIX[: PREFIX.index("def area")]
    assert helpers_of(PREFIX, "other") == PREFIX
    assert helpers_of("def area_of(x):\n    pass\ndef area(r):\n", "area") == "def area_of(x):\n    pass\n"


@given(
    answer=st.text(alphabet="abd ef()\n\r\t`~:#\"'[]BEGINDO=", max_size=200), entry=st.sampled_from(["", "f", "a.b["])
)
def test_no_text_makes_it_raise(answer: str, entry: str) -> None:
    for prefix in ("", PREFIX, "def f():", "x"):
        program = program_of(answer, {"prefix": prefix, "entry_point": entry})
        assert program.endswith("\n")


def test_odd_columns_are_no_columns() -> None:
    assert program_of("x = 1", {"prefix": None, "entry_point": 3}) == "x = 1\n"


def test_a_long_answer_takes_time_in_proportion() -> None:
    import time

    def cost(n: int) -> float:
        started = time.process_time()
        for text in ("```\n" * n, "    x\n" * n, "def area(r):\n" * n, "(" * 4 * n, "- " * 2 * n, " " * 6 * n):
            program_of(text, ROW)
        return time.process_time() - started

    small, large = min(cost(2000) for _ in range(3)), min(cost(16_000) for _ in range(3))
    assert large < 40 * small + 0.05


@pytest.mark.skipif(not CODE.is_dir(), reason="the shared data is not here")
def test_humaneval_references_come_back_whole_in_every_form() -> None:
    with (CODE / "humaneval_even.jsonl").open(encoding="utf-8") as file:
        problems = [json.loads(line) for line in file]
    assert len(problems) == 82
    for problem in problems:
        row = {"prefix": problem["prompt"], "entry_point": problem["entry_point"]}
        body = problem["canonical_solution"]
        whole = problem["prompt"] + body
        assert program_of(body, row).rstrip() == whole.rstrip()
        assert program_of(body + "\n\ndef more(", row).rstrip() == whole.rstrip()
        assert program_of(body.lstrip(), row).split() == whole.split()
        compile(program_of(body.lstrip(), row), problem["task_id"], "exec")
        definition = whole[len(helpers_of(problem["prompt"], problem["entry_point"])) :]
        for answer in (definition, f"Yes:\n```python\n{definition}```\nThis is it.", f"```\n{whole}"):
            program = program_of(answer, row)
            compile(program, problem["task_id"], "exec")
            assert program.rstrip().endswith(definition.strip())
            assert program.startswith(helpers_of(problem["prompt"], problem["entry_point"]).rstrip())
