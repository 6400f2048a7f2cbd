"""What a reviewer answers: JSON of one form, strictly read, and what several of them decide.

Pure. Output that is not of the form is no opinion: it is never taken for "nothing found". A blocker
must bring evidence, else it starts no repair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from orchestr.spec.checks import ReviewRule
from orchestr.state.results import digest

LIMIT = 200  # issues of one reviewer that are read
TEXT = 4000  # characters of a field that are kept


class Severity(StrEnum):
    """How bad an issue is."""

    BLOCKER = "blocker"
    TECH_DEBT = "tech_debt"
    SKIPPABLE = "skippable"


@dataclass(frozen=True, slots=True)
class ReviewIssue:
    """One finding. ``places`` are ``path`` or ``path:line``; ``evidence`` is what shows it,
    ``pictures`` are those of the change that do, as the reviewer names them."""

    title: str
    description: str
    severity: Severity
    places: tuple[str, ...] = ()
    evidence: str = ""
    pictures: tuple[str, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Whether it is more than a claim."""
        return bool(self.evidence.strip())


@dataclass(frozen=True, slots=True)
class ReviewerOpinion:
    """All that one reviewer found; ``model`` is the one that read, None in records of before.
    ``declared`` is the one of spec and settings where the command line named another."""

    reviewer: str
    summary: str
    issues: tuple[ReviewIssue, ...]
    model: str | None = None
    declared: str | None = None

    @property
    def blockers(self) -> tuple[ReviewIssue, ...]:
        """What must be mended: blockers with evidence."""
        return tuple(i for i in self.issues if i.severity is Severity.BLOCKER and i.is_proven)

    @property
    def verdict(self) -> str:
        """One line for people."""
        others = len(self.issues) - len(self.blockers)
        if not self.issues:
            return "no issues"
        bad = len(self.blockers)
        words = [f"{bad} blocker{'s' if bad != 1 else ''}"] if bad else []
        words += [f"{others} other{'s' if others != 1 else ''}"] if others else []
        return ", ".join(words)


class UnreadableAnswer(ValueError):
    """An answer that is not of the form; the message says why."""


_STRINGS = {"type": "string"}
_PLACE = {
    "type": "object",
    "properties": {"path": _STRINGS, "line": {"type": ["integer", "null"]}},
    "required": ["path", "line"],
    "additionalProperties": False,
}
_FIELDS: dict[str, Any] = {
    "title": _STRINGS,
    "description": _STRINGS,
    "severity": {"type": "string", "enum": [str(s) for s in Severity]},
    "places": {"type": "array", "items": _PLACE},
    "evidence": _STRINGS,
}
_PICTURES = {"pictures": {"type": "array", "items": _STRINGS}}


def answer_schema(*, has_pictures: bool) -> dict[str, Any]:
    """The form of an answer; where there are pictures of the change, an issue can name some."""
    fields = {**_FIELDS, **_PICTURES} if has_pictures else _FIELDS
    issue = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"summary": _STRINGS, "issues": {"type": "array", "items": issue}},
        "required": ["summary", "issues"],
        "additionalProperties": False,
    }


SCHEMA = answer_schema(has_pictures=False)


def parse_opinion(reviewer: str, answer: str) -> ReviewerOpinion:
    """The opinion that an answer ends with. Raises Unreadable.

    One that stands before the end is no verdict: it may be quoted, from the change or the prompt.
    """
    return _build_opinion(reviewer, read_last_object(answer))


def read_last_object(answer: str) -> Any:
    """The JSON object at the end of a text, alone, after prose, in a fence or not. Raises
    UnreadableAnswer."""
    found = re.finditer(r"^[ \t]*(\{)", answer, re.MULTILINE)
    decoder, value, end, broken = json.JSONDecoder(), None, 0, True
    for start in (match.start(1) for match in found):
        if start < end:
            continue  # inside of the one before
        try:
            value, end = decoder.raw_decode(answer, start)
            broken = False
        except (ValueError, RecursionError):
            broken = True
    if value is None or broken:
        raise UnreadableAnswer(
            "there is no JSON object in it" if value is None else "it is cut off"
        )
    if answer[end:].strip("`~ \t\r\n"):
        raise UnreadableAnswer("there is text after its JSON object")
    return value


def require_items(value: Any, field: str) -> tuple[dict[str, Any], list[Any]]:
    """An answer of a summary and one list, `field`; and that list. Raises UnreadableAnswer."""
    table = require_table(value, "the answer")
    items = table.get(field)
    if not isinstance(items, list):
        raise UnreadableAnswer(f"`{field}` must be a list")
    if len(items) > LIMIT:
        raise UnreadableAnswer(f"more than {LIMIT} {field}")
    unknown = sorted(table.keys() - {"summary", field})
    if unknown:
        raise UnreadableAnswer(f"unknown field {unknown[0]!r}")
    return table, items


def _build_opinion(reviewer: str, value: Any) -> ReviewerOpinion:
    table, issues = require_items(value, "issues")
    found = tuple(_parse_issue(item, n) for n, item in enumerate(issues, start=1))
    return ReviewerOpinion(reviewer, require_text(table, "summary", ""), found)


def _parse_issue(value: Any, number: int) -> ReviewIssue:
    here = f"issue {number}"
    table = require_table(value, here)
    unknown = sorted(table.keys() - _FIELDS.keys() - _PICTURES.keys())
    if unknown:
        raise UnreadableAnswer(f"{here}: unknown field {unknown[0]!r}")
    severity = table.get("severity")
    if severity not in list(Severity):
        raise UnreadableAnswer(f"{here}: severity {severity!r} is none of {', '.join(Severity)}")
    title = require_text(table, f"{here}: title")
    if not title.strip():
        raise UnreadableAnswer(f"{here}: it has no title")
    places = table.get("places") or []
    if not isinstance(places, list):
        raise UnreadableAnswer(f"{here}: `places` must be a list")
    return ReviewIssue(
        title[:300],
        require_text(table, f"{here}: description", "")[:TEXT],
        Severity(severity),
        tuple(_parse_place(place, here) for place in places[:50]),
        require_text(table, f"{here}: evidence", "")[:TEXT],
        _parse_pictures(table.get("pictures") or [], here),
    )


def _parse_pictures(value: Any, here: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnreadableAnswer(f"{here}: `pictures` must be a list of texts")
    return tuple(item[:1000] for item in value[:10])


def _parse_place(value: Any, here: str) -> str:
    table = require_table(value, f"{here}: place")
    line = table.get("line")
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise UnreadableAnswer(f"{here}: `line` must be a number")
    path = require_text(table, f"{here}: path")
    return f"{path}:{line}" if line else path


def require_table(value: Any, what: str) -> dict[str, Any]:
    """A JSON object. Raises UnreadableAnswer."""
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"{what} must be an object")
    return value


def require_text(table: Mapping[str, Any], what: str, default: str | None = None) -> str:
    """The text of a field, whose name is the last word of ``what``. Raises UnreadableAnswer."""
    value = table.get(what.rpartition(" ")[2], default)
    if not isinstance(value, str):
        raise UnreadableAnswer(f"{what} must be a text")
    return value


def blocking_issues(
    opinions: Sequence[ReviewerOpinion], rule: ReviewRule
) -> tuple[tuple[ReviewerOpinion, ReviewIssue], ...]:
    """The blockers that count: all of them when enough reviewers have one, else none."""
    against = sum(bool(o.blockers) for o in opinions)
    match rule:
        case ReviewRule.ANY:
            enough = against > 0
        case ReviewRule.MAJORITY:
            enough = against * 2 > len(opinions)
        case ReviewRule.ALL:
            enough = bool(opinions) and against == len(opinions)
    return tuple((o, i) for o in opinions for i in o.blockers) if enough else ()


def blockers_digest(blockers: Sequence[tuple[ReviewerOpinion, ReviewIssue]]) -> str:
    """A digest of what blocks, to see whether a repair changed anything: who, where, what."""
    return digest(sorted([o.reviewer, i.title, *i.places] for o, i in blockers))


def opinion_to_row(opinion: ReviewerOpinion) -> dict[str, Any]:
    """An opinion as JSON values, for `review.json`."""
    return {
        "reviewer": opinion.reviewer,
        "summary": opinion.summary[:TEXT],
        "issues": [_issue_to_row(issue) for issue in opinion.issues],
        **({} if opinion.model is None else {"model": opinion.model}),
        **({} if opinion.declared is None else {"declared": opinion.declared}),
    }  # fmt: skip


def _issue_to_row(issue: ReviewIssue) -> dict[str, Any]:
    row = {**asdict(issue), "severity": str(issue.severity), "places": list(issue.places)}
    pictures = list(row.pop("pictures"))
    return {**row, "pictures": pictures} if pictures else row


def mark_outvoted(
    rows: Sequence[Mapping[str, Any]], opinions: Sequence[ReviewerOpinion], rule: ReviewRule
) -> tuple[Mapping[str, Any], ...]:
    """The rows of opinions of which none blocks: a blocker with evidence gets the rule that
    outvoted it. Rows without one stay as they are.
    """
    found = []
    for row, opinion in zip(rows, opinions, strict=True):
        outvoted = set(opinion.blockers)
        issues = [
            {**told, "outvoted": str(rule)} if issue in outvoted else told
            for told, issue in zip(row["issues"], opinion.issues, strict=True)
        ]
        found.append({**row, "issues": issues} if outvoted else row)
    return tuple(found)


def opinion_from_row(row: Mapping[str, Any]) -> ReviewerOpinion:
    """What `opinion_to_row` wrote. Raises KeyError, TypeError, ValueError for others."""
    return ReviewerOpinion(
        row["reviewer"],
        row["summary"],
        tuple(
            ReviewIssue(i["title"], i["description"], Severity(i["severity"]), tuple(i["places"]),
                  i["evidence"], tuple(i.get("pictures") or ()))
            for i in row["issues"]
        ),
        row.get("model"),
        row.get("declared"),
    )  # fmt: skip


def format_blockers(blockers: Sequence[tuple[ReviewerOpinion, ReviewIssue]]) -> str:
    """The blockers as the author is told of them."""
    parts = []
    for opinion, issue in blockers:
        lines = [f"## {issue.title} ({opinion.reviewer})", issue.description]
        if issue.places:
            lines.append("Where: " + ", ".join(issue.places))
        lines.append(f"Evidence: {issue.evidence}")
        if issue.pictures:
            lines.append("Pictures: " + ", ".join(issue.pictures))
        parts.append("\n\n".join(line for line in lines if line))
    return "\n\n".join(parts) + "\n"
