"""What an auditor answers: JSON of one form, strictly read, a finding for each statement. Pure.

A statement that the answer leaves out is a finding, too: not evaluated. So no statement is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestr.audit.findings import Finding, FindingState, Place, make_finding
from orchestr.cell.agent.run_reviewers import AnswerForm
from orchestr.cell.agent.verdict import (
    TEXT,
    UnreadableAnswer,
    read_last_object,
    require_items,
    require_table,
    require_text,
)
from orchestr.codec import decode, encode

_STRING = {"type": "string"}
_PLACE = {
    "type": "object",
    "properties": {"repo": _STRING, "path": _STRING, "line": {"type": ["integer", "null"]}},
    "required": ["repo", "path", "line"],
    "additionalProperties": False,
}
_FIELDS: dict[str, Any] = {
    "statement": _STRING,
    "state": {"type": "string", "enum": [str(one) for one in FindingState]},
    "detail": _STRING,
    "evidence": _STRING,
    "places": {"type": "array", "items": _PLACE},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": _STRING,
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        },
    },
    "required": ["summary", "findings"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class AuditorAnswer:
    """All that one auditor found."""

    auditor: str
    summary: str
    findings: tuple[Finding, ...]
    model: str = ""

    @property
    def issues(self) -> tuple[Finding, ...]:
        """What did not pass."""
        return tuple(one for one in self.findings if one.state is not FindingState.PASSED)

    @property
    def blockers(self) -> tuple[Finding, ...]:
        """What is red."""
        return tuple(one for one in self.findings if one.is_red)

    @property
    def verdict(self) -> str:
        """`3 passed, 1 failed`: one line for people."""
        return count_states(self.findings)


def count_states(findings: Sequence[Finding]) -> str:
    """`3 passed, 1 failed`."""
    states = [one.state for one in findings]
    return ", ".join(f"{states.count(s)} {s}" for s in FindingState if s in states)


def make_form(statements: Sequence[str], repos: Sequence[str]) -> AnswerForm[AuditorAnswer]:
    """How auditors answer about these statements (counted from 1) in these repositories."""

    def parse_answer(name: str, answer: str, model: str) -> AuditorAnswer:
        summary, found = parse_findings(f"auditor {name}", answer, statements, repos)
        return AuditorAnswer(name, summary, found, model)

    env = {"ORCHESTR_STATEMENTS": str(len(statements))}
    return AnswerForm(SCHEMA, parse_answer, _answer_to_row, _answer_from_row, env)


def parse_findings(
    source: str, answer: str, statements: Sequence[str], repos: Sequence[str]
) -> tuple[str, tuple[Finding, ...]]:
    """The summary and the findings that an answer ends with. Raises UnreadableAnswer."""
    table, listed = require_items(read_last_object(answer), "findings")
    found = [_parse_finding(source, item, n, statements, repos)
             for n, item in enumerate(listed, start=1)]  # fmt: skip
    known = {one.statement for one in found}
    found += [
        make_finding(source, one, FindingState.NOT_EVALUATED, detail="the answer leaves it out")
        for one in statements if one not in known
    ]  # fmt: skip
    return require_text(table, "summary", "")[:TEXT], tuple(found)


def _parse_finding(
    source: str, value: Any, number: int, statements: Sequence[str], repos: Sequence[str]
) -> Finding:
    here = f"finding {number}"
    table = require_table(value, here)
    unknown = sorted(table.keys() - _FIELDS.keys())
    if unknown:
        raise UnreadableAnswer(f"{here}: unknown field {unknown[0]!r}")
    state = table.get("state")
    if state not in list(FindingState):
        raise UnreadableAnswer(f"{here}: state {state!r} is none of {', '.join(FindingState)}")
    places = table.get("places") or []
    if not isinstance(places, list):
        raise UnreadableAnswer(f"{here}: `places` must be a list")
    return make_finding(
        source,
        _find_statement(require_text(table, f"{here}: statement"), here, statements),
        FindingState(state),
        detail=require_text(table, f"{here}: detail", "")[:TEXT],
        evidence=require_text(table, f"{here}: evidence", "")[:TEXT],
        places=[_parse_place(one, here, repos) for one in places[:50]],
    )


def _find_statement(text: str, here: str, statements: Sequence[str]) -> str:
    """The listed statement of that number, or the answer's own sentence."""
    text = text.strip()
    if not text:
        raise UnreadableAnswer(f"{here}: it has no statement")
    if not text.isdecimal():
        return text[:300]
    if not 1 <= int(text) <= len(statements):
        raise UnreadableAnswer(f"{here}: there is no statement {text}")
    return statements[int(text) - 1]


def _parse_place(value: Any, here: str, repos: Sequence[str]) -> Place:
    table = require_table(value, f"{here}: place")
    line = table.get("line") or 0
    if isinstance(line, bool) or not isinstance(line, int):
        raise UnreadableAnswer(f"{here}: `line` must be a number")
    path = require_text(table, f"{here}: path").strip().removeprefix("./")
    repo = require_text(table, f"{here}: repo", "").strip().strip("/")
    if not path:
        raise UnreadableAnswer(f"{here}: a place has no path")
    if not repo:  # the folder of a checkout is often written as a part of the path
        repo = next((one for one in repos if path.startswith(f"{one}/")), "")
        path = path.removeprefix(f"{repo}/") if repo else path
    if repo and repo not in repos:
        raise UnreadableAnswer(f"{here}: there is no repository {repo!r}: {', '.join(repos)}")
    return Place(repo, path, max(0, line))


def _answer_to_row(answer: AuditorAnswer) -> dict[str, Any]:
    return {"auditor": answer.auditor, "summary": answer.summary, "model": answer.model,
            "findings": [encode(one) for one in answer.findings]}  # fmt: skip


def _answer_from_row(row: Mapping[str, Any]) -> AuditorAnswer:
    found = tuple(decode(one, Finding) for one in row["findings"])
    return AuditorAnswer(str(row["auditor"]), str(row["summary"]), found, str(row["model"]))
