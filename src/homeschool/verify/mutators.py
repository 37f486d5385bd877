"""The mutation operators: each takes a spot of a program and yields what may stand there instead.

One function an operator, each small enough to be read at a glance. None changes the tree it is given: a yielded node is
new at its top and may share what lies below. `mutants` decides which of the results are programs of their own.

Left out on purpose: forcing a `while` to be true (it only ever times out), and `-` for the `+` of texts and lists (it
only ever raises, so that any test at all kills it).
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Spot:
    """A node and where it hangs. `index` is its place in a list of nodes, None where the field holds one node."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    scope: frozenset[str]
    """The variables of the function around it; empty outside functions."""

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0) or getattr(self.parent, "lineno", 0)

    @property
    def column(self) -> int:
        return getattr(self.node, "col_offset", 0)

    def put(self, node: ast.AST) -> None:
        """Hang `node` in this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


Mutator = Callable[[Spot, random.Random], Iterator[ast.AST]]


def _with(node: Node, **fields: Any) -> Node:
    """A copy of `node` with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _arithmetic(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    node = spot.node
    if isinstance(node, ast.BinOp) and not _joins(node):
        for operator in _OPERATORS.get(type(node.op), ()):
            yield _with(node, op=operator())


def _augmented(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """`x += y` becomes `x -= y`, and `x = y`."""
    node = spot.node
    if isinstance(node, ast.AugAssign):
        if not _is_text_or_list(node.value):
            for operator in _OPERATORS.get(type(node.op), ()):
                yield _with(node, op=operator())
        yield ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)


def _comparison(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """Each comparison of a chain becomes its opposite: `<` becomes `>=`."""
    yield from _compared(spot.node, _OPPOSITES)


def _boundary(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """`<` becomes `<=`; the last bound of `range` moves by one."""
    yield from _compared(spot.node, _BOUNDARIES)
    node = spot.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        place = min(1, len(node.args) - 1)
        for moved in _shifted(node.args[place]):
            yield _with(node, args=[*node.args[:place], moved, *node.args[place + 1 :]])


def _boolean(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """`and` becomes `or` and the other way round; then each operand is left out."""
    node = spot.node
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for left_out in range(len(node.values)):
            rest = [value for place, value in enumerate(node.values) if place != left_out]
            yield rest[0] if len(rest) == 1 else _with(node, values=rest)


def _not(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    if isinstance(spot.node, ast.UnaryOp) and isinstance(spot.node.op, ast.Not):
        yield spot.node.operand


def _sign(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    if isinstance(spot.node, ast.UnaryOp) and not isinstance(spot.node.op, ast.Not):
        yield spot.node.operand


def _condition(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """A condition is negated, and forced to be true and false."""
    node, parent = spot.node, spot.parent
    decides = spot.field == "test" and isinstance(parent, (ast.If, ast.While, ast.IfExp))
    if not isinstance(node, ast.expr) or not (decides or spot.field == "ifs"):
        return
    # The opposite of a lone comparison, and of `not x`, are other operators' work.
    if not isinstance(node, ast.UnaryOp) and not (isinstance(node, ast.Compare) and len(node.ops) == 1):
        yield ast.UnaryOp(ast.Not(), node)
    yield ast.Constant(False)
    if not isinstance(parent, ast.While):
        yield ast.Constant(True)


def _constant(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """Numbers move by one, True and False change places, a text gains a letter or is emptied."""
    if not isinstance(spot.node, ast.Constant) or isinstance(spot.parent, ast.JoinedStr):
        return
    value = spot.node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, str):
        yield ast.Constant(value + "x")
        if value:
            yield ast.Constant("")


def _return(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """A returned value becomes None; a yes becomes a no."""
    if isinstance(spot.parent, ast.Return) and isinstance(spot.node, ast.expr):
        yield ast.Constant(None)
        if isinstance(spot.node, ast.BoolOp):
            yield ast.UnaryOp(ast.Not(), spot.node)


def _statement(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    deletable = (ast.Assign, ast.AugAssign, ast.Expr, ast.Raise, ast.Return, ast.Delete, ast.Break, ast.Continue)
    if isinstance(spot.node, deletable):
        yield ast.Pass()


def _loop(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    if isinstance(spot.node, ast.Break):
        yield ast.Continue()
    elif isinstance(spot.node, ast.Continue):
        yield ast.Break()


def _index(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    node = spot.node
    if isinstance(spot.parent, ast.Subscript) and spot.field == "slice" and isinstance(node, ast.expr):
        whole = not isinstance(node, (ast.Slice, ast.Tuple))
        if whole and not isinstance(node, ast.Constant):
            yield from _shifted(node)


def _slice(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """A bound of a slice moves by one either way or goes; a step goes."""
    node = spot.node
    if not isinstance(node, ast.Slice):
        return
    for name in ("lower", "upper"):
        bound = getattr(node, name)
        if bound is not None:
            for moved in _shifted(bound):
                yield _with(node, **{name: moved})
            yield _with(node, **{name: None})
    if node.step is not None:
        yield _with(node, step=None)


def _variable(spot: Spot, rng: random.Random) -> Iterator[ast.AST]:
    """A variable is mistaken for another one of the same function."""
    node = spot.node
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in spot.scope:
        others = sorted(spot.scope - {node.id})
        if others:
            yield ast.Name(rng.choice(others), ast.Load())


def _arguments(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """Two neighbouring arguments of a call change places."""
    node = spot.node
    if isinstance(node, ast.Call) and not any(isinstance(argument, ast.Starred) for argument in node.args):
        for place in range(len(node.args) - 1):
            before, (one, other), after = node.args[:place], node.args[place : place + 2], node.args[place + 2 :]
            yield _with(node, args=[*before, other, one, *after])


def _function(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """A function or method is mistaken for its counterpart: `min` for `max`."""
    node, parent = spot.node, spot.parent
    if isinstance(node, ast.Attribute) and isinstance(parent, ast.Call) and node.attr in _COUNTERPARTS:
        yield _with(node, attr=_COUNTERPARTS[node.attr])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _COUNTERPARTS:
        yield ast.Name(_COUNTERPARTS[node.id], ast.Load())


def _exception(spot: Spot, _: random.Random) -> Iterator[ast.AST]:
    """What handled an exception swallows it, or lets it out."""
    if isinstance(spot.node, ast.ExceptHandler):
        yield _with(spot.node, body=[ast.Pass()])
        yield _with(spot.node, body=[ast.Raise()])


def _compared(node: ast.AST, exchange: dict[type[ast.cmpop], type[ast.cmpop]]) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = exchange.get(type(operator))
            if other is not None:
                yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])


def _shifted(node: ast.expr) -> Iterator[ast.expr]:
    """One more and one less."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    else:
        yield ast.BinOp(node, ast.Add(), ast.Constant(1))
        yield ast.BinOp(node, ast.Sub(), ast.Constant(1))


def _joins(node: ast.BinOp) -> bool:
    return isinstance(node.op, (ast.Add, ast.Mod)) and (_is_text_or_list(node.left) or _is_text_or_list(node.right))


def _is_text_or_list(node: ast.expr) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    return text or isinstance(node, (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple))


_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv, ast.Add),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitAnd,),
}
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("append", "extend"),
    ("upper", "lower"),
    ("lstrip", "rstrip"),
    ("startswith", "endswith"),
    ("find", "rfind"),
    ("index", "rindex"),
    ("floor", "ceil"),
    ("keys", "values"),
    ("union", "intersection"),
)
_COUNTERPARTS = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}

MUTATORS: tuple[tuple[str, Mutator], ...] = (
    ("comparison", _comparison),
    ("boundary", _boundary),
    ("arithmetic", _arithmetic),
    ("augmented", _augmented),
    ("boolean", _boolean),
    ("not", _not),
    ("sign", _sign),
    ("condition", _condition),
    ("constant", _constant),
    ("return", _return),
    ("statement", _statement),
    ("loop", _loop),
    ("index", _index),
    ("slice", _slice),
    ("variable", _variable),
    ("arguments", _arguments),
    ("function", _function),
    ("exception", _exception),
)
"""Name and operator, in the order in which they are tried on a spot."""
