"""The expressions of `state_invariant` checks: a small language that can only compare values.

Never eval, which would run code of a spec: simpleeval's parser reads them, and what is not in the
list below is refused when the spec is read, so that a bad expression cannot wait until a night run.
There are no calls, no attributes, no assignments, no comprehensions; names are the check's probes.

Operators: ``and or not``, ``== != < <= > >= in  not in is  is not``, ``+ - * / // %``, ``a if c
else b``, ``value["key"]``, ``value[0]``, numbers, texts, True, False, None, lists and tuples.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from orchestr.spec.field_types import BadValue, quote_value, suggest_name

LONGEST = 2000  # characters
_ALLOWED = (
    ast.Expression, ast.Expr, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp,
    ast.Subscript, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
)  # fmt: skip
_HINT = "an expression compares values of probes, like total == 3 and state['ok']"


def check_expression(text: str, probes: Collection[str]) -> str:
    """The expression, when it is one. Raises BadValue: syntax, calls, attributes, no such probe."""
    if len(text) > LONGEST:
        raise BadValue(f"is longer than {LONGEST} characters")
    for node in ast.walk(_parse_expression(text)):
        if isinstance(node, ast.Name) and node.id not in probes:
            raise BadValue(
                f"there is no probe {quote_value(node.id)}", suggest_name(node.id, probes) or _HINT
            )
        if not isinstance(node, _ALLOWED):
            raise BadValue(f"cannot hold {_describe_node(node)}", _HINT)
        if isinstance(node, ast.Constant) and not isinstance(
            node.value, str | int | float | bool | None
        ):
            raise BadValue(f"cannot hold {quote_value(repr(node.value))}", _HINT)
    return text


def list_names(text: str) -> tuple[str, ...]:
    """The names that an expression reads, each once. Raises BadValue for what is no expression."""
    if len(text) > LONGEST:
        raise BadValue(f"is longer than {LONGEST} characters")
    found = (n.id for n in ast.walk(_parse_expression(text)) if isinstance(n, ast.Name))
    return tuple(dict.fromkeys(found))


def _parse_expression(text: str) -> ast.AST:
    import simpleeval

    try:
        ast.parse(text.strip(), mode="eval")  # simpleeval would pass over what follows a `;`
        tree: ast.AST = simpleeval.SimpleEval.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BadValue(f"cannot be read: {why}", _HINT) from None
    except Exception as error:  # simpleeval's own: empty, several statements
        raise BadValue(f"is not one expression: {error}", _HINT) from None
    return tree


def _describe_node(node: ast.AST) -> str:
    match node:
        case ast.Call():
            return "a call"
        case ast.Attribute():
            return "an attribute (`a.b`); write `a['b']`"
        case ast.Assign() | ast.NamedExpr() | ast.AugAssign():
            return "an assignment (`=`); to compare write `==`"
        case ast.Slice():
            return "a slice"
        case ast.Pow():
            return "a power (`**`)"
        case _:
            return f"{type(node).__name__}"
