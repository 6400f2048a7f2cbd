"""One more todo line in a spec of people: nothing else of it changes."""

from __future__ import annotations

import difflib

import pytest

from orchestr.spec.edit import CannotAppend, append_todo
from orchestr.spec.reader import compile_spec

HEAD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: demo}
cells:
"""
LINE = 'Amend "api": é — #1 {now}'
FORMS = {
    "block": "  a:\n    repo: r\n    todo:\n      - one  # why\n      # end\n    branch: b\n",
    "indentless": "  a:\n    repo: r\n    todo:\n    - one\n    - two\n",
    "no newline": "  a:\n    repo: r\n    todo:\n    - one",
    "literal": "  a:\n    repo: r\n    todo:\n    - |\n      one\n      two\n  z: {repo: r}\n",
    "folded": "  a:\n    repo: r\n    todo:\n    - one\n      goes on\n    branch: b\n",
    "flow": "  a: {repo: r, todo: [one, 'two']}  # both\n",
    "flow lines": "  a:\n    repo: r\n    todo: [\n      one,  # 1\n      two,\n    ]\n",
    "quoted": "  \"a\":\n    repo: r\n    todo:\n      - \"one: #2\"\n\n\n  z: {repo: r}\n",
    "crlf": "  a:\r\n    repo: r\r\n    todo:\r\n    - one\r\n",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_exactly_one_line_more(form: str) -> None:
    text = FORMS[form]
    old = (HEAD.replace("\n", "\r\n") if form == "crlf" else HEAD) + text
    before, _ = compile_spec(old.encode(), "s.yaml", "", None)
    new = append_todo(old.encode(), "s.yaml", "a", LINE, None)
    after, _ = compile_spec(new, "s.yaml", "", None)
    todos = {c.name: c.todo for c in before.cells}
    assert {c.name: c.todo for c in after.cells} == {**todos, "a": (*todos["a"], LINE)}
    removed = [
        line
        for line in difflib.ndiff(old.splitlines(), new.decode().splitlines())
        if line.startswith("- ")
    ]
    assert len(removed) <= ("flow" in form)
    assert append_todo(new, "s.yaml", "a", LINE, None) == new


def test_the_opentdf_form() -> None:
    text = (
        "apiVersion: opentdf.io/v1alpha1\nkind: Feature\nmetadata: {name: demo}\n"
        "repos:\n  a:\n    path: b\n    todo:\n      - one\n"
    )
    new = append_todo(text.encode(), "s.yaml", "a", "two", None).decode()
    assert new == f'{text}      - "two"\n'


@pytest.mark.parametrize(
    "cells",
    [
        "  a: {repo: r, todo: &t [one]}\n  b: {repo: r, todo: *t}\n",
        "  a:\n    repo: r\n    title: no todo\n",
    ],
)
def test_what_cannot_be_done_is_refused_with_the_line(cells: str) -> None:
    with pytest.raises(CannotAppend) as refused:
        append_todo((HEAD + cells).encode(), "s.yaml", "a", "two", None)
    assert refused.value.hint is not None
    assert '- "two"' in refused.value.hint
