"""The text of a hand-off: what a reader of the pull request needs to know of how it came about.

Pure and deterministic. It stands outside of our part of the body, between two markers of its own:
what a person read, edited and sent is theirs, and no later run changes it. The next hand-off
replaces it. Foreign text is literal (`orchestr.forges.markdown_escape`), each part has a bound, so
that a body stays below what forges take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestr.forges.body_evidence import render_deviation
from orchestr.forges.markdown_escape import inline_code, literal_text, one_line
from orchestr.state.results import check_word

BEGIN, END = "<!-- orchestr:handoff -->", "<!-- orchestr:handoff end -->"
WORDS = 2000  # characters of an agent's last words
LINES = 40  # lines of an agent's last words, of a plan
PATHS = 60  # paths of a change that are listed
NAME = 200  # characters of a path or of the name of a check
ROWS = 60  # checks that are listed
_PART = re.compile(
    rf"^{re.escape(BEGIN)}\r?\n.*?^{re.escape(END)}[ \t]*\r?$", re.DOTALL | re.MULTILINE
)
_ISSUE = re.compile(r"https?://[^\s<>`\"')]+/(?:issues|browse|-/issues)/[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """One path with the lines that were added and removed; None for a binary file."""

    path: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes that counts for what is there: gate, name, ISO-8601 time."""

    gate: str
    name: str
    at: str


@dataclass(frozen=True, slots=True)
class HandoffFacts:
    """What the text of one pull request is made of.

    ``words`` are the agent's last ones. ``more_paths`` are changed and not in ``paths``. ``plan``
    is the approved plan, ``deviation`` the paths beside it, None where there is no plan.
    """

    head: str
    agent: str = ""
    words: str = ""
    paths: tuple[ChangedPath, ...] = ()
    more_paths: int = 0
    added: int = 0
    removed: int = 0
    checks: tuple[Mapping[str, Any], ...] = ()
    unchecked: str = ""
    reviews: tuple[Mapping[str, Any], ...] = ()
    plan: str = ""
    deviation: tuple[str, ...] | None = None
    explanation: str = ""
    plan_names_files: bool = True
    approvals: tuple[Approval, ...] = ()
    issues: tuple[str, ...] = ()
    todo: tuple[str, ...] = field(default=())


def render_handoff(facts: HandoffFacts) -> str:
    """The sections between their markers; no line end after the last."""
    sections = (
        ("Summary", _render_summary(facts)),
        ("Changes", _render_changes(facts)),
        ("Test plan", _render_test_plan(facts)),
        ("Plan", _render_plan(facts)),
        ("Approvals", [f"- {inline_code(a.gate)}: {literal_text(a.name)}, {literal_text(a.at)}"
                       for a in facts.approvals]),
        ("Issues", [f"- Refs {issue}" for issue in facts.issues]),
    )  # fmt: skip
    text = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections if lines)
    return f"{BEGIN}\n{text}\n{END}"


def splice_handoff(body: str, part: str) -> str:
    """``body`` with its hand-off replaced by ``part``, put before everything when it has none."""
    newline = "\r\n" if "\r\n" in body else "\n"
    part = part.replace("\n", newline)
    found = list(_PART.finditer(body))
    if not found:
        return f"{part}{newline * 2}{body}" if body else part
    first = found[0]
    rest = _PART.sub("", body[first.end() :])
    end = "\r" if body[: first.end()].endswith("\r") else ""
    return body[: first.start()] + part + end + rest


def read_handoff(body: str) -> str | None:
    """The hand-off in a body with its markers; None when it has none."""
    found = _PART.search(body)
    return None if found is None else found[0].replace("\r\n", "\n").rstrip("\r")


def find_issues(jira: str | None, texts: Iterable[str]) -> tuple[str, ...]:
    """The issues that a feature names: its key, and addresses of issues in its texts."""
    found = {literal_text(jira): None} if jira else {}
    for text in texts:
        found |= dict.fromkeys(_ISSUE.findall(text))
    return tuple(found)[:ROWS]


def _render_summary(facts: HandoffFacts) -> list[str]:
    """The agent's words as a quotation, marked as its own and as cut, where they are."""
    lines = [one_line(line) for line in facts.words[:WORDS].splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        wanted = [f"- {literal_text(todo)}" for todo in facts.todo[:LINES]]
        return ["Its author left no summary. What was asked for:", "", *wanted] if wanted else []
    cut = len(facts.words) > WORDS or len(lines) > LINES
    quoted = [f"> {literal_text(line, limit=WORDS)}" for line in lines[:LINES]]
    who = f"the agent {inline_code(facts.agent)}" if facts.agent else "the agent"
    note = f" (the first {WORDS} characters)" if cut else ""
    return [f"In the words of {who}, unchecked{note}:", "", *quoted]


def _render_changes(facts: HandoffFacts) -> list[str]:
    files = len(facts.paths) + facts.more_paths
    if not files:
        return []
    shown = facts.paths[:PATHS]
    lines = [f"- {inline_code(_shorten(p.path))} {_count_lines(p)}" for p in shown]
    if files > len(shown):
        lines.append(f"- and {files - len(shown)} more")
    total = f"{_count(files, 'file')}, +{facts.added} −{facts.removed}"
    return [f"{total}, at {inline_code(facts.head[:12])}:", "", *lines]


def _shorten(name: str) -> str:
    """A path or the name of a check; of a long one its end."""
    return name if len(name) <= NAME else f"…{name[1 - NAME :]}"


def _count_lines(path: ChangedPath) -> str:
    if path.added is None or path.removed is None:
        return "(binary)"
    return f"+{path.added} −{path.removed}"


def _render_test_plan(facts: HandoffFacts) -> list[str]:
    """Every check and what it showed, then who read the change."""
    lines = []
    for row in facts.checks[:ROWS]:
        mark = "x" if row.get("passed") is True else " "
        detail = literal_text(str(row.get("detail") or check_word(row)), limit=300)
        lines.append(f"- [{mark}] {inline_code(_shorten(str(row.get('name', '?'))))}: {detail}")
    if len(facts.checks) > ROWS:
        lines.append(f"- and {len(facts.checks) - ROWS} more")
    for row in facts.reviews[:ROWS]:
        issues = row.get("issues")
        count = len(issues) if isinstance(issues, list | tuple) else 0
        left = f"{_count(count, 'issue')} left" if count else "no issues"
        name = literal_text(str(row.get("reviewer", "?")))
        lines.append(f"- [x] read by the reviewer {name}: {left}")
    if facts.unchecked:
        lines.insert(0, f"- [ ] no check was run: {literal_text(facts.unchecked)}")
    return lines


def _render_plan(facts: HandoffFacts) -> list[str]:
    if facts.deviation is None:
        return []
    found = render_deviation(facts.deviation, facts.explanation, names_files=facts.plan_names_files)
    steps = [f"> {literal_text(line)}" for line in facts.plan.splitlines() if line.strip()]
    if len(steps) > LINES:
        steps = [*steps[:LINES], f"> … and {len(steps) - LINES} more lines"]
    if not found:
        return [*steps, "", "The change keeps to the approved plan."] if steps else []
    return [*steps, "", found.replace("### ", "#### ")]


def render_feature_summary(
    title: str,
    rows: Sequence[tuple[str, str, str]],
    facts: Sequence[HandoffFacts],
    cross_checks: Sequence[str],
) -> str:
    """The feature in a few lines. ``rows``: cell, address and what it is, in merge order; cells
    without a pull request stand among them."""
    green = sum(row.get("passed") is True for one in facts for row in one.checks)
    reviews = sum(len(one.reviews) for one in facts)
    files = sum(len(one.paths) + one.more_paths for one in facts)
    added, removed = sum(one.added for one in facts), sum(one.removed for one in facts)
    prs = sum(url != "-" for _, url, _ in rows)
    counts = (
        f"{_count(prs, 'pull request')}, {_count(files, 'file')}, +{added} −{removed};"
        f" {_count(green, 'check')} green, {_count(reviews, 'review')}"
    )
    lines = [
        f"{one_line(title)}: {counts}",
        *(f"cross checks: {one_line(line)}" for line in cross_checks),
    ]
    width = max((len(cell) for cell, _, _ in rows), default=0)
    lines += [f"{n}. {cell:<{width}}  {url}  {what}" for n, (cell, url, what) in enumerate(rows, 1)]
    return "\n".join(lines) + "\n"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
