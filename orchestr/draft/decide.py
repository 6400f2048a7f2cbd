"""What a draft does next: two decisions, pure.

`decide_draft` looks at the files that a draft is made of, `decide_round` at one answer of its
agent. A kill between any two steps leads back to the same decision with the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestr.draft.answer import DraftAnswer, QuestionPart
from orchestr.draft.files import DraftRecord
from orchestr.state.results import digest


class DraftStep(StrEnum):
    """What is done about a draft."""

    KEEP = "keep"  # it was made from this intent
    FILL = "fill"  # a template is filled in
    ASK = "ask"  # an agent drafts


@dataclass(frozen=True, slots=True)
class DraftInputs:
    """Digests of what a draft is made from; ``findings`` is empty while there is nothing to answer
    (`orchestr.draft.files`). ``begun`` is the number of an agent's open attempt of just these, 0
    without one: it works, was killed, or waits for the answer to its question."""

    intent: str
    findings: str = ""
    uses_template: bool = False
    begun: int = 0

    @property
    def key(self) -> str:
        """What an agent's attempt was begun for."""
        return digest(self.intent, self.findings)


def decide_draft(
    record: DraftRecord | None, inputs: DraftInputs, *, force: bool = False
) -> tuple[DraftStep, str]:
    """The step, and why for people. Moved heads alone make no new draft: a person asks for one."""
    step = DraftStep.FILL if inputs.uses_template else DraftStep.ASK
    if record is None:
        return step, "it was not drafted yet"
    if force:
        return step, "a new draft was asked for"
    if record.intent != inputs.intent:
        return step, "its intent changed"
    if inputs.findings and record.findings != inputs.findings:
        return step, "there are new findings"
    if inputs.begun and inputs.begun != record.attempt and step is DraftStep.ASK:
        return step, "a new draft was begun"
    return DraftStep.KEEP, ""


class RoundStep(StrEnum):
    """What becomes of an agent's answer."""

    ACCEPT = "accept"
    SEND_BACK = "send back"  # with its errors
    SEND_ANSWERS = "send answers"  # to its question
    ASK_PERSON = "ask person"
    REFUSE = "refuse"  # it ends here, the text is kept


@dataclass(frozen=True, slots=True)
class RoundInputs:
    """``errors`` are all that is wrong with the answer, ``sent_back`` the rounds before it,
    ``limit`` how many there may be. ``answered``: one question was answered already."""

    answer: DraftAnswer | None
    errors: Sequence[str]
    sent_back: int
    limit: int
    answered: bool = False
    known: Mapping[str, str] | None = None


def decide_round(inputs: RoundInputs) -> tuple[RoundStep, str]:
    """The step, and the reason of a refusal."""
    if inputs.errors:
        if inputs.sent_back < inputs.limit:
            return RoundStep.SEND_BACK, ""
        if not inputs.limit:
            return RoundStep.REFUSE, "it is not valid"
        times = "once" if inputs.sent_back == 1 else f"{inputs.sent_back} times"
        return RoundStep.REFUSE, f"it is still not valid, after it was sent back {times}"
    question = inputs.answer.question if inputs.answer is not None else ()
    if not question:
        return RoundStep.ACCEPT, ""
    if inputs.answered:
        asked = "; ".join(part.ask for part in question)
        return RoundStep.REFUSE, f"its scope is not clear, and one question was answered: {asked}"
    missing = list_unanswered(question, inputs.known or {})
    return (RoundStep.ASK_PERSON if missing else RoundStep.SEND_ANSWERS), ""


def list_unanswered(
    question: Sequence[QuestionPart], known: Mapping[str, str]
) -> tuple[QuestionPart, ...]:
    """The parts of a question that have no answer."""
    return tuple(part for part in question if not known.get(part.key, "").strip())
