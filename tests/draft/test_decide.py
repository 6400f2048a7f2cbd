"""The two decisions of a draft, and that the loop of its rounds ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.draft.accept import Acceptance, add_schema_line, decide_acceptance
from orchestr.draft.answer import DraftAnswer, QuestionPart
from orchestr.draft.decide import (
    DraftInputs,
    DraftStep,
    RoundInputs,
    RoundStep,
    decide_draft,
    decide_round,
)
from orchestr.draft.files import DraftRecord, digest_bytes

DRAFTED = DraftRecord("i", "s", findings="f", attempt=1)
ASKED = DraftAnswer(question=(QuestionPart("scope", "Which?"),))


@pytest.mark.parametrize(
    ("record", "inputs", "force", "step", "why"),
    [
        (None, DraftInputs("i"), False, DraftStep.ASK, "it was not drafted yet"),
        (None, DraftInputs("i", uses_template=True), False, DraftStep.FILL, "not drafted yet"),
        (DRAFTED, DraftInputs("i"), False, DraftStep.KEEP, ""),
        (DRAFTED, DraftInputs("i", "f"), False, DraftStep.KEEP, ""),
        (DRAFTED, DraftInputs("i", "g"), False, DraftStep.ASK, "there are new findings"),
        (DRAFTED, DraftInputs("j"), False, DraftStep.ASK, "its intent changed"),
        (DRAFTED, DraftInputs("i", begun=2), False, DraftStep.ASK, "a new draft was begun"),
        (DRAFTED, DraftInputs("i", begun=1), False, DraftStep.KEEP, ""),
        (DRAFTED, DraftInputs("i"), True, DraftStep.ASK, "a new draft was asked for"),
    ],
)
def test_what_is_drafted(
    record: DraftRecord | None, inputs: DraftInputs, force: bool, step: DraftStep, why: str
) -> None:
    found, said = decide_draft(record, inputs, force=force)
    assert found is step
    assert why in said


def test_a_question_is_asked_once() -> None:
    assert decide_round(RoundInputs(ASKED, (), 0, 3))[0] is RoundStep.ASK_PERSON
    assert decide_round(RoundInputs(ASKED, (), 0, 3, known={"scope": " "}))[0] is (
        RoundStep.ASK_PERSON
    )
    assert (
        decide_round(RoundInputs(ASKED, (), 0, 3, known={"scope": "a"}))[0]
        is RoundStep.SEND_ANSWERS
    )
    step, why = decide_round(RoundInputs(ASKED, (), 0, 3, answered=True, known={"scope": "a"}))
    assert step is RoundStep.REFUSE
    assert "Which?" in why


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["bad", "ask", "good"]), min_size=30), st.integers(0, 10))
def test_the_loop_ends_within_its_bound(answers: list[str], limit: int) -> None:
    sent_back, answered, starts = 0, False, 0
    for kind in answers:
        starts += 1
        errors = ["wrong"] if kind == "bad" else []
        answer = {"bad": None, "ask": ASKED, "good": DraftAnswer("a: 1")}[kind]
        step, _ = decide_round(
            RoundInputs(answer, errors, sent_back, limit, answered, {"scope": "all"})
        )
        if step is RoundStep.SEND_BACK:
            sent_back += 1
        elif step is RoundStep.SEND_ANSWERS:
            assert not answered
            answered = True
        else:
            assert (step is RoundStep.ACCEPT) == (kind == "good")
            break
    assert starts <= limit + 2
    assert sent_back <= limit


def test_a_spec_that_was_edited_since_is_not_written_over() -> None:
    old, new = b"a: 1\n", b"a: 2\n"
    assert decide_acceptance(None, new, "") is Acceptance.WRITE
    assert decide_acceptance(old, new, digest_bytes(old)) is Acceptance.WRITE
    assert decide_acceptance(new, new, digest_bytes(old)) is Acceptance.WRITTEN
    assert decide_acceptance(old, new, "") is Acceptance.STALE
    assert decide_acceptance(b"a: 3\n", new, digest_bytes(old)) is Acceptance.STALE
    assert decide_acceptance(None, new, digest_bytes(old)) is Acceptance.STALE


def test_the_schema_line_is_there_once() -> None:
    once = add_schema_line(b"apiVersion: orchestr/v1\n")
    assert once.startswith(b"# yaml-language-server: $schema=")
    assert add_schema_line(once) == once
