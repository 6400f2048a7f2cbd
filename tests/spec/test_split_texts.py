"""A text that YAML cut at a comma is told, with its line and the whole of it in quotes."""

from __future__ import annotations

import pytest

from orchestr.errors import SpecError
from orchestr.spec.document import read_document

CUT = "a comma ends the text"
INSIDE = "inside of [...] and {...}"


def warnings_of(text: str) -> list[tuple[int, int, str, str | None]]:
    found = [p for p in read_document("s.yaml", text.encode(), None).problems if CUT in p.message]
    assert {p.severity for p in found} <= {"warning"}
    return [(p.line, p.column, p.field, p.hint) for p in found]


@pytest.mark.parametrize(
    ("text", "field", "whole"),
    [
        ("todo: [write, apply(price, percent) in x.py]", "todo[1]",
         '"apply(price, percent) in x.py"'),
        ("todo: [f(a, b, c) in x, second]", "todo[0]", '"f(a, b, c) in x"'),
        ("todo: [f(a, g(b, c)), d]", "todo[0]", '"f(a, g(b, c))"'),
        ('todo: [say "hello, world" now]', "todo[0]", "'say \"hello, world\" now'"),
        ("todo: [say 'hello, world' now]", "todo[0]", "\"say 'hello, world' now\""),
        ("todo: [run `x, y` there]", "todo[0]", '"run `x, y` there"'),
        ('todo: [f(a, "b", c)]', "todo[0]", "'f(a, \"b\", c)'"),
        ("todo: [call f(x: int, y)]", "todo[0]", '"call f(x: int, y)"'),
        ("metadata: {title: add f(a, b), name: x}", "metadata.title", '"add f(a, b)"'),
        ("checks: [{run: [sh, -c, echo (a, b)]}]", "checks[0].run[2]", '"echo (a, b)"'),
    ],
)  # fmt: skip
def test_a_cut_text_is_told_in_one_piece(text: str, field: str, whole: str) -> None:
    (found,) = warnings_of(text)
    assert found[2:] == (field, f"if it is one text, quote it: {whole}")


def test_the_place_is_where_the_text_starts_and_lines_are_joined() -> None:
    text = "todo:\n  - f(a, b)\n  - [x, g(c,  # the first\n     d) here]\n"
    hint = 'if it is one text, quote it: "g(c, d) here"'
    assert warnings_of(text) == [(3, 9, "todo[1][1]", hint)]


def test_a_bracket_that_nothing_closes_is_told_too() -> None:
    (found,) = warnings_of("todo: [f(a, test it]")
    assert found[2:] == ("todo[0]", "close it, or put the whole text in quotes")


@pytest.mark.parametrize(
    "text",
    [
        "todo: [don't break, it's fine]",
        "todo: [the users' table, the cats' food]",
        "todo: [rock 'n' roll, x 'n' y]",
        "todo: [a) first, b) second]",
        "todo: [use (this), and (that)]",
        "todo: [\"apply(price, percent)\", 'f(a', 'b)']",
        'todo: [5" disk, 3" disk]',
        'todo:\n  - apply(price, percent)\n  - say "hello, world" now\n',
        "a: &x [1, 2]\nb: [*x, *x]",
    ],
)
def test_what_is_whole_is_not_told(text: str) -> None:
    assert warnings_of(text) == []


@pytest.mark.parametrize("text", ["todo: [f(a, b) c]", 't: {title: say "x, y" z}'])
def test_the_quoted_form_is_read_as_one_text(text: str) -> None:
    (found,) = warnings_of(text)
    whole = str(found[3]).partition(": ")[2]
    again = read_document("s.yaml", f"todo: [{whole}]".encode(), None)
    assert len(again.value["todo"]) == 1
    assert again.problems == []


@pytest.mark.parametrize(
    ("items", "hint"),
    [
        ("use a[0], then b", f'{INSIDE} this text needs quotes: "use a[0]"'),
        ("x, set {a, b} here", f'{INSIDE} this text needs quotes: "set {{a, b}} here"'),
        ("@you, b", f'{INSIDE} this text needs quotes: "@you"'),
        ("a, , b", f"{INSIDE} there is nothing between two commas: remove one"),
        ("fix #12, next", '`#12,` starts a comment there: this text needs quotes: "fix #12"'),
        ("f, g", None),
    ],
)  # fmt: skip
def test_what_is_not_yaml_in_brackets_is_quoted_alone(items: str, hint: str | None) -> None:
    text = f"cells:\n  a: {{repo: r, todo: [{items}], checks: none}}\n"
    if hint is None:
        assert read_document("s.yaml", text.encode(), None).problems == []
        return
    with pytest.raises(SpecError) as caught:
        read_document("s.yaml", text.encode(), None)
    (problem,) = caught.value.problems
    assert (problem.line, problem.hint) == (2, hint)
