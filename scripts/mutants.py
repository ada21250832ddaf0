"""The places of a Python file that scripts/mutate changes, one at a time."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COMPARED = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}
COMPARED |= {"is": ("is not",), "is not": ("is",), "in": ("not in",), "not in": ("in",)}
SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
SIGNS |= {ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"}
CALCULATED = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*")}
CALCULATED |= {ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&")}
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}
Change = tuple[int, int, str]


@dataclass(frozen=True)
class Mutant:
    """A text for the bytes [start, stop) of a file; `lines` are those of its statement, or `names` what that defines."""

    path: str
    start: int
    stop: int
    text: str
    lines: range
    names: tuple[str, ...]

    @property
    def constant(self) -> bool:
        """Whether it changes a constant of the module."""
        return bool(self.names) and "".join(self.names).isupper()

    def apply(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.text.encode() + source[self.stop :]

    def diff(self, source: bytes) -> str:
        """The change as a patch with a line around it."""
        before, after = source.decode().splitlines(), self.apply(source).decode().splitlines()
        return "\n".join(difflib.unified_diff(before, after, self.path, self.path, n=1, lineterm=""))


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """All mutants of a file."""
    place = Places(path, source)
    return list(dict.fromkeys(mutant for node in ast.parse(source).body for mutant in place.walk(node, node)))


class Places:
    """Where a file can be changed. Annotations, decorators, texts, errors' messages and protocols are left as they are."""

    def __init__(self, path: str, source: bytes) -> None:
        """Find where lines begin."""
        self.path, self.source = path, source
        self.begins = [0, *(match.end() for match in re.finditer(rb"\n", source))]

    def walk(self, node: ast.AST, statement: ast.stmt, *, inside: bool = False) -> Iterator[Mutant]:
        """The mutants of a node and of what it holds; `inside` says that it is part of a function."""
        statement = node if isinstance(node, ast.stmt) else statement
        body = getattr(statement, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) and body else statement.end_lineno or 0
        lines = range(statement.lineno, max(last, statement.lineno) + 1) if inside else range(0)
        names = () if inside else tuple(filter(None, map(_name, getattr(statement, "targets", [statement]))))
        for start, stop, text in self.changes(node):
            yield Mutant(self.path, start, stop, text, lines, names)
        for child in _children(node):
            within = inside or (isinstance(node, ast.FunctionDef) and child in node.body)
            yield from self.walk(child, statement, inside=within)

    def changes(self, node: ast.AST) -> Iterator[Change]:  # noqa: C901, PLR0912 - a case for each kind of change
        """The changes of a node itself."""
        match node:
            case ast.Compare():
                operands = [node.left, *node.comparators]
                for left, sign, right in zip(operands, node.ops, node.comparators, strict=False):
                    for other in COMPARED[SIGNS[type(sign)]]:
                        yield from self.between(left, right, SIGNS[type(sign)], other)
            case ast.BinOp() if type(node.op) in CALCULATED and not _power(node):
                yield from self.between(node.left, node.right, *CALCULATED[type(node.op)])
            case ast.BoolOp():
                words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from self.between(left, right, *words)
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                yield (*self.span(node), f"({self.text(node.operand)})")
            case ast.Constant(value=bool()):
                yield (*self.span(node), str(not node.value))
            case ast.Constant(value=int() | float() as number):
                yield from ((*self.span(node), text) for text in _near(number))
            case ast.Call() if (name := _called(node)) in SWAPPED:
                stop = self.span(node.func)[1]
                yield stop - len(name), stop, SWAPPED[name]
            case ast.Return(value=ast.expr() as value) if getattr(value, "value", True) not in {None, False}:
                yield (*self.span(value), "None")
            case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign():
                yield (*self.span(node), "pass")
            case ast.Assign() if all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets):
                yield (*self.span(node), "pass")
            case ast.Break() | ast.Continue():
                yield (*self.span(node), "continue" if isinstance(node, ast.Break) else "break")
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.If() | ast.IfExp() | ast.While() if isinstance(node.test, (ast.Name, ast.Attribute, ast.Call)):
                yield (*self.span(node.test), f"(not {self.text(node.test)})")

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The bytes of a node."""
        start = self.begins[node.lineno - 1] + node.col_offset
        return start, self.begins[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def text(self, node: ast.expr) -> str:
        """A node as it stands in the file."""
        return self.source[slice(*self.span(node))].decode()

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Change]:
        """The change of the operator between two nodes."""
        place = self.source.find(old.encode(), self.span(left)[1], self.span(right)[0])
        if place >= 0:
            yield place, place + len(old), new


def _children(node: ast.AST) -> Iterable[ast.AST]:
    """The parts of a node that are run when it is, and are no text."""
    match node:
        case ast.FunctionDef():
            return [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
        case ast.ClassDef():
            return [] if any(getattr(base, "id", "") == "Protocol" for base in node.bases) else node.body
        case ast.AnnAssign():
            return filter(None, [node.value])
        case ast.JoinedStr() | ast.Raise() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return []
        case ast.BinOp() if _power(node):
            return [node.right]
        case _:
            return ast.iter_child_nodes(node)


def _power(node: ast.BinOp) -> bool:
    """Whether it is one number: 1 << 18, 2**53."""
    return isinstance(node.op, (ast.LShift, ast.Pow)) and isinstance(node.left, ast.Constant)


def _near(number: float) -> tuple[str, str]:
    """A little more and a little less than a number."""
    if isinstance(number, int):
        return f"({number + 1})", f"({number - 1})"
    return (f"({number!r} * 1.1)", f"({number!r} * 0.9)") if number else ("1.0", "-1.0")


def _called(node: ast.Call) -> str:
    """The name of a function that is called."""
    return str(getattr(node.func, "id", "") or getattr(node.func, "attr", ""))


def _name(node: ast.AST) -> str:
    """What a target, a definition or a field is called."""
    return getattr(node, "id", "") or getattr(node, "name", "") or getattr(getattr(node, "target", None), "id", "")
