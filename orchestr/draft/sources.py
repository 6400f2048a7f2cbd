"""What an intent and a revision are made of: issues, reviews, an audit. Words for `specs/NAME.md`
and `findings.md`; asks the forge, writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestr.errors import CorruptState, OrchestrError, UsageError
from orchestr.files import read_file, read_json
from orchestr.forges.base import Forge, Issue, IssueForge
from orchestr.spec.records import Feature
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.results import REVIEW

SOURCES = ("audit", "review", "issues")
MOST = 1 << 20  # bytes of an issue in a file


def read_issues(
    addresses: Sequence[str], root: Path, find_forge: Callable[[], Forge]
) -> list[Issue]:
    """Every issue: an address is asked for at the forge, anything else is a file.

    Raises UsageError, ForgeError, ForgeAway.
    """
    found = []
    for address in addresses:
        if "://" not in address:
            found.append(_read_issue_file(address, root))
            continue
        forge = find_forge()
        if not isinstance(forge, IssueForge):
            raise UsageError(
                f"the forge of kind {forge.kind!r} has no issues",
                hint="set [forge] kind, or save the issue: --issue FILE",
            )
        found.append(forge.read_issue(address))
    return found


def _read_issue_file(name: str, root: Path) -> Issue:
    path = root / name
    try:
        text = read_file(path)[:MOST].decode("utf-8-sig", "replace").strip()
    except OSError as error:
        why = f"cannot read the issue {name}: {error.strerror}"
        raise UsageError(why, hint="--issue takes an address or a file") from None
    title, _, rest = text.partition("\n")
    return Issue(name, title.lstrip("# ").strip() or name, rest.strip())


def render_issues(issues: Sequence[Issue]) -> str:
    """The issues as Markdown, each below a heading with its address."""
    parts = []
    for issue in issues:
        lines = [f"## {' '.join(issue.title.split())}", f"Issue: {issue.address}"]
        lines += [issue.text.strip()] if issue.text.strip() else []
        lines += [f"Comment of {comment.strip()}" for comment in issue.comments]
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts)


def collect_review_findings(layout: WorkspaceLayout, feature: Feature) -> str:
    """What reviewers found and was not repaired, by the cells' review files, as Markdown."""
    parts = []
    for cell in feature.cells:
        try:
            raw = read_json(layout.cell_dir(feature.name, cell.name) / REVIEW)
        except CorruptState:
            continue
        lines = [line for row in _list_rows(raw, "items") for line in _issue_lines(row)]
        if lines:
            parts.append("\n".join([f"## Cell {cell.name}", *lines]))
    return "\n\n".join(parts)


def _issue_lines(row: Any) -> list[str]:
    reviewer = row.get("reviewer") if isinstance(row, dict) else None
    found = []
    for issue in _list_rows(row, "issues"):
        if isinstance(issue, dict) and issue.get("title"):
            places = ", ".join(map(str, issue.get("places") or ()))
            text = " ".join(str(issue.get("description") or "").split())
            where = f" ({places})" if places else ""
            found.append(
                f"- {issue['title']}{where}, {issue.get('severity')}, by {reviewer}: {text}"
            )
    return found


def _list_rows(value: Any, key: str) -> list[Any]:
    rows = value.get(key) if isinstance(value, dict) else None
    return rows if isinstance(rows, list) else []


class AuditedStatement(Protocol):
    """One statement of an audit, as `orchestr.audit.findings.Finding` has it."""

    @property
    def source(self) -> str: ...
    @property
    def statement(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def evidence(self) -> str: ...
    @property
    def places(self) -> Sequence[object]: ...


def render_audit(audited: Sequence[AuditedStatement]) -> str:
    """What an audit did not find to hold, as Markdown; empty where all of it holds."""
    parts = []
    for one in audited:
        if one.state == "passed":
            continue
        lines = [f"## {one.statement}", f"{one.state}, by {one.source}"]
        lines += [one.detail] if one.detail else []
        lines += [f"Where: {', '.join(map(str, one.places))}"] if one.places else []
        lines += [f"Evidence: {one.evidence}"] if one.evidence else []
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts)


def check_source(source: str) -> None:
    """Raises UsageError for what no revision can answer."""
    if source not in SOURCES:
        raise UsageError(
            f"--from takes {' or '.join(SOURCES)}, not {source!r}", hint="orchestr help draft"
        )


def collect_findings(
    source: str,
    layout: WorkspaceLayout,
    feature: Feature,
    issues: Sequence[str],
    find_forge: Callable[[], Forge],
    audited: Sequence[AuditedStatement] = (),
) -> str:
    """What a revision of the feature's spec has to answer. Raises OrchestrError where there is
    nothing, ForgeError."""
    check_source(source)
    if source == "audit":
        found, what = render_audit(audited), "its audit is green, or was not made"
    elif source == "review":
        found, what = collect_review_findings(layout, feature), "reviewers found nothing in it"
    else:
        found = render_issues(read_issues(issues, layout.root, find_forge))
        what = "its intent names no issue"
    if not found:
        raise OrchestrError(
            f"there is nothing to answer: {what}", hint=f"orchestr status {feature.name}"
        )
    return found + "\n"
