"""What an audit found: statements about the whole feature, each with its state and evidence. Pure.

A failed or partial statement counts only with evidence: a claim without any is not evaluated, and
what is not evaluated never starts a repair. No finding is dropped: each one that is red ends in
exactly one fate (`orchestr.audit.decide`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from orchestr.codec import Record
from orchestr.state.results import digest


class FindingState(StrEnum):
    """What was found of one statement."""

    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_EVALUATED = "not evaluated"  # no program, port, server or evidence


class Place(Record, frozen=True):
    """A file that a finding names. ``repo`` "" where it is not known, ``line`` 0 for none."""

    repo: str
    path: str
    line: int = 0

    def __str__(self) -> str:
        text = f"{self.repo}/{self.path}" if self.repo else self.path
        return f"{text}:{self.line}" if self.line else text


class Finding(Record, frozen=True, kw_only=True):
    """One statement and what was found of it.

    ``source`` is who found it (`cross checks in app`, `auditor eve`), ``evidence`` what shows it.
    ``mark`` tells two failures of one statement apart: the names of the failed tests. ``claimed``
    is the state that was named without evidence, for people.
    """

    source: str
    statement: str
    state: FindingState
    detail: str = ""
    evidence: str = ""
    places: tuple[Place, ...] = ()
    mark: str = ""
    claimed: str = ""

    @property
    def is_red(self) -> bool:
        """Whether something is wrong, and shown to be."""
        return self.state in (FindingState.FAILED, FindingState.PARTIAL)

    @property
    def id(self) -> str:
        """A digest of who found what."""
        return digest(self.source, self.statement, self.mark)


def make_finding(
    source: str, statement: str, state: FindingState, *, detail: str = "", evidence: str = "",
    places: Iterable[Place] = (), mark: str = "",
) -> Finding:  # fmt: skip
    """A finding; what is called failed or partial without evidence is not evaluated."""
    claimed = ""
    if state in (FindingState.FAILED, FindingState.PARTIAL) and not evidence.strip():
        state, claimed = FindingState.NOT_EVALUATED, str(state)
        detail = "; ".join(filter(None, (f"called {claimed} without evidence", detail)))
    return Finding(
        source=source, statement=statement, state=state, detail=detail, evidence=evidence,
        places=tuple(dict.fromkeys(places)), mark=mark, claimed=claimed,
    )  # fmt: skip


def red_digest(findings: Iterable[Finding]) -> str:
    """A digest of what is red, to see whether a repair changed anything."""
    return digest(sorted(one.id for one in findings if one.is_red))


class Verdict(StrEnum):
    """What an audit comes to. Only `passed` is green."""

    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_EVALUATED = "not evaluated"


def judge_findings(findings: Sequence[Finding], cap: str = "") -> Verdict:
    """The verdict: the worst finding's; without any, nothing was evaluated. ``cap``: why it is
    partial at best."""
    states = {one.state for one in findings}
    if FindingState.FAILED in states:
        return Verdict.FAILED
    if FindingState.PARTIAL in states:
        return Verdict.PARTIAL
    if FindingState.NOT_EVALUATED in states or not findings:
        return Verdict.NOT_EVALUATED
    return Verdict.PARTIAL if cap else Verdict.PASSED
