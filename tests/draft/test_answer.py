"""What a drafting agent may answer: one document in a fence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.draft.answer import DraftAnswer, QuestionPart, UnreadableDraft, parse_answer


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("Here you are.", "there is no fence"),
        ("Here you are:\n```yaml\na: 1\n```", "text before its fence: 'Here you are:'"),
        ("```yaml\na: 1\n```\nI hope it helps.", "text after its fence: 'I hope it helps.'"),
        ("```yaml\na: 1\n```\n```yaml\nb: 1\n```", "text after its fence"),
        ("```yaml\na: 1\n", "it was cut off"),
        ("```yaml\n\n```", "its fence is empty"),
        ("```yaml\nkind: Question\n```", "`questions` must be a list"),
        ("```yaml\nkind: Question\nquestions: []\n```", "`questions` must be a list"),
        ("```yaml\nkind: Question\nquestions: [{key: a}]\n```", "question a"),
        ("```yaml\nkind: Question\nquestions: [a]\n```", "has the fields key, ask"),
        ("```yaml\nkind: Question\nquestions: [{key: A B, ask: c}]\n```", "is a word"),
        ("```yaml\nkind: Question\nquestions: [{key: a, ask: c}]\nx: 1\n```", "unknown field 'x'"),
        (
            "```yaml\nkind: Question\nquestions: [{key: a, ask: c}, {key: a, ask: d}]\n```",
            "two questions have the same key",
        ),
        ("```yaml\nkind: Question\nquestions: [\n```", "this is not YAML"),
    ],
)
def test_anything_else_is_named(text: str, said: str) -> None:
    with pytest.raises(UnreadableDraft) as caught:
        parse_answer(text)
    assert said in str(caught.value)


def test_a_question_has_its_parts() -> None:
    found = parse_answer(
        '```yaml\nkind: Question\nquestions:\n  - {key: scope, ask: "Which?", options: [a, b]}\n```'
    )
    assert found == DraftAnswer(question=(QuestionPart("scope", "Which?", ("a", "b")),))


def test_a_longer_fence_may_hold_a_fence() -> None:
    assert parse_answer("````yaml\na: |\n  ```\n````\n").spec == "a: |\n  ```\n"


@given(st.text())
def test_what_is_in_the_fence_comes_out_as_it_is(text: str) -> None:
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("`")
    ]
    lines = [line for line in lines if not line.startswith("kind:")] or ["a: 1"]
    inner = "\n".join(lines) + "\n"
    if len(inner.splitlines()) != len(lines):
        return
    assert parse_answer(f"```yaml\n{inner}```\n").spec == inner


@given(st.text())
def test_nothing_else_is_raised(text: str) -> None:
    try:
        parse_answer(text)
    except UnreadableDraft:
        return
