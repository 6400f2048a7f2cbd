"""The sections on checks and reviews of a pull request's body. Pure; foreign text is literal.

Deterministic as the rest of the body: no times, no paths of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestr.forges.markdown_escape import inline_code, literal_text

MOST = 40  # issues that are listed
TEXT = 600  # characters of one issue's description

_SEVERITY = {"blocker": "Blocker", "tech_debt": "Tech debt", "skippable": "Skippable"}


def render_checks(rows: Sequence[Mapping[str, Any]], unchecked: str = "") -> str:
    """The section on checks. ``unchecked``: why none is run; without it and without rows there
    is no section.
    """
    if unchecked:
        return f"> **No check was run on this change**: {literal_text(unchecked)}."
    if not rows:
        return ""
    lines = [
        f"- {_check_mark(row)} {inline_code(str(row.get('name', '?')))}: "
        f"{literal_text(str(row.get('detail', '')), limit=300)}"
        for row in rows
    ]
    there = any(row.get("in_worktree") is True for row in rows)
    title = "Checks in the author's worktree" if there else "Checks on this head"
    return f"### {title}\n\n" + "\n".join(lines)


def _check_mark(row: Mapping[str, Any]) -> str:
    if row.get("passed") is True:
        return "✅"
    return "⚠️ not evaluated:" if row.get("unavailable") is True else "❌"


def render_pictures(paths: Sequence[str], report: str) -> str:
    """The section on pictures: their paths in the state folder of the run, and what shows them."""
    if not paths:
        return ""
    lines = [f"- {inline_code(path)}" for path in paths[:MOST]]
    if len(paths) > MOST:
        lines.append(f"- and {len(paths) - MOST} more")
    text = f"In the state folder of the run; {inline_code(report)} shows them."
    return f"### Pictures\n\n{text}\n\n" + "\n".join(lines)


def render_deviation(files: Sequence[str], explanation: str, *, names_files: bool) -> str:
    """The section on files that the approved plan does not name; empty where it names all."""
    if not names_files:
        return "> The approved plan names no files, so this change cannot be compared with it."
    if not files:
        return ""
    lines = [f"- {inline_code(path)}" for path in files[:MOST]]
    if len(files) > MOST:
        lines.append(f"- and {len(files) - MOST} more")
    text = "### Beside the approved plan\n\nThese files are changed, and the plan that was approved"
    text += " does not name them:\n\n" + "\n".join(lines)
    said = literal_text(explanation, limit=TEXT)
    return f"{text}\n\nThe last message of the agent that did the work: {said}" if said else text


def render_repairs(rows: Sequence[Mapping[str, Any]]) -> str:
    """The section on repairs: what was red and is green now; empty without repairs."""
    if not rows:
        return ""
    lines = [
        f"- {literal_text(str(row.get('why', '?')), limit=300)} "
        + (f"→ {inline_code(str(row.get('after', ''))[:10])}" if row.get("outcome") == "changed"
           else f"({literal_text(str(row.get('outcome', '?')))})")
        for row in rows[-MOST:]
    ]  # fmt: skip
    if len(rows) > MOST:
        lines.insert(0, f"- {len(rows) - MOST} earlier ones")
    return "### Repaired by its author\n\n" + "\n".join(lines)


def render_reviews(rows: Sequence[Mapping[str, Any]]) -> str:
    """The section on reviews: who, and the issues that stayed; empty without reviewers."""
    if not rows:
        return ""
    parts = ["### Reviews by agents"]
    listed = 0
    for row in rows:
        issues = row.get("issues")
        found = [i for i in issues if isinstance(i, Mapping)] if isinstance(issues, list) else []
        words = f"{len(found)} issue{'s' if len(found) != 1 else ''}" if found else "no issues"
        summary = literal_text(str(row.get("summary") or ""), limit=TEXT)
        parts.append(
            f"**{literal_text(str(row.get('reviewer', '?')))}**: {words}. {summary}".rstrip()
        )
        room = max(0, MOST - listed)
        if found[:room]:
            parts.append("\n".join(_render_issue(issue) for issue in found[:room]))
        if len(found) > room:
            parts.append(f"and {len(found) - room} more, in the cell's folder")
        listed += len(found)
    return "\n\n".join(parts)


def _render_issue(issue: Mapping[str, Any]) -> str:
    severity = str(issue.get("severity", ""))
    name = _SEVERITY.get(severity, "Issue")
    if severity == "blocker" and not str(issue.get("evidence") or "").strip():
        name = "Claimed blocker, without evidence"
    rule = issue.get("outvoted")
    if rule:
        name += f", outvoted ({inline_code(f'review_rule: {rule}')})"
    places = issue.get("places")
    listed = [str(p) for p in places[:5]] if isinstance(places, list) else []
    where = f" ({', '.join(inline_code(p) for p in listed)})" if listed else ""
    text = literal_text(str(issue.get("description") or ""), limit=TEXT)
    line = f"- {name}: **{literal_text(str(issue.get('title', '?')), limit=200)}**{where}"
    return f"{line}: {text}" if text else line
