"""What was found out about a cell's work: check runs, repairs, reviews, approvals, by the files.

For `explain` as lines, for the report as records. Reads only, and never raises for what it cannot
read: whoever owns a file says what is wrong with it. A phase that failed has no result file; what
it found lies in its attempt's folder (`checks/<k>`, `reviews/<k>-<name>`, `rounds/<k>.toml`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.run_reviewers import ANSWER, REQUEST
from orchestr.cell.agent.verdict import ReviewerOpinion, Severity
from orchestr.cell.context import CellContext
from orchestr.cell.notes import IN_WORKTREE, ran_in_worktree
from orchestr.cell.pull_request.text import is_partial
from orchestr.files import read_file
from orchestr.state import attempts, repairs
from orchestr.state.repairs import RepairRound
from orchestr.state.results import CHECKS, REVIEW, Evidence, check_word, valid_checks
from orchestr.views.terminal.text import clean_line, clip, format_count, headline

MOST = 8  # checks, rounds and issues that are shown
LINES = 3  # of a failure's message


@dataclass(frozen=True, slots=True)
class CheckRun:
    """The checks on one head: the K-th time in an attempt. ``at``: seconds since 1970, if known."""

    number: int
    head: str
    rows: tuple[Mapping[str, Any], ...]
    folder: Path
    at: float | None = None

    @property
    def red_rows(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(row for row in self.rows if row.get("passed") is not True)


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """One reviewer, once. ``opinion`` None: no answer that could be read, or not yet."""

    place: int
    reviewer: str
    agent: str
    head: str
    folder: Path
    opinion: ReviewerOpinion | None = None


def read_check_runs(ctx: CellContext, number: int) -> list[CheckRun]:
    """Every time that an attempt's heads were checked, oldest first (0: a person's head)."""
    found = []
    for path in (attempts.attempt_folder(ctx.dir, number) / "checks").glob("*/results.json"):
        value = read_json_object(path)
        if value is None or not path.parent.name.isdecimal():
            continue
        rows = tuple(row for row in value.get("results") or () if isinstance(row, dict))
        # A result from the cache has the times of the check that made it, maybe of another attempt.
        fresh = (row.get("started_at") for row in rows if row.get("cached") is not True)
        times = [at for at in fresh if isinstance(at, int | float)]
        found.append(
            CheckRun(int(path.parent.name), str(value.get("head") or ""), rows, path.parent,
                     min(times, default=None))
        )  # fmt: skip
    return sorted(found, key=lambda run: run.number)


def read_reviews(ctx: CellContext, number: int) -> list[ReviewRecord]:
    """Every review of an attempt, oldest first; those that were put aside, too."""
    found = []
    for path in attempts.attempt_folder(ctx.dir, number).glob(f"reviews*/*/{REQUEST}"):
        place, _, rest = path.parent.name.partition("-")
        request = read_json_object(path)
        if request is not None and place.isdecimal():
            found.append(
                ReviewRecord(int(place), str(request.get("name") or rest),
                      str(request.get("agent") or ""), str(request.get("head") or ""),
                      path.parent, _read_opinion(path.parent))
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.folder.parent.name == "reviews", one.place))


def _read_opinion(folder: Path) -> ReviewerOpinion | None:
    answer = read_json_object(folder / ANSWER)
    with suppress(KeyError, TypeError, ValueError):
        return opinions.opinion_from_row(answer) if answer is not None else None
    return None


def read_json_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None for anything else."""
    try:
        value = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def newest_attempt_number(ctx: CellContext) -> int:
    """The newest attempt, of several side by side the one that was taken; 0 for a cell without an
    agent."""
    newest = attempts.newest_attempt(ctx.dir)
    return (
        newest.number if newest is not None else max(attempts.attempt_numbers(ctx.dir), default=0)
    )


# ---- as lines ----------------------------------------------------------------------------------


def describe_proofs(
    ctx: CellContext, gates: tuple[Mapping[str, str | None], ...] = ()
) -> list[str]:
    """Checks, repairs, reviews and approvals of the newest attempt; more of what is red."""
    number = newest_attempt_number(ctx)
    partial = "partial: red was allowed to stay (allow_partial), the pull request says so"
    return [
        *_describe_checks(ctx, number),
        *(_describe_repair(one) for one in repairs.read_rounds(ctx.dir, number)[-MOST:]),
        *_describe_reviews(ctx, number),
        *([partial] if is_partial(ctx) else []),
        *(_describe_gate(gate) for gate in gates),
    ]


def _describe_checks(ctx: CellContext, number: int) -> Iterator[str]:
    runs = read_check_runs(ctx, number)
    if runs:
        rows, head = runs[-1].rows, f", on {runs[-1].head[:10]}"
    else:
        rows, head = _read_kept_checks(ctx), ""
    if ran_in_worktree(rows):
        yield IN_WORKTREE
    for row in sorted(rows, key=lambda r: r.get("passed") is True)[:MOST]:
        bad = row.get("passed") is not True
        detail = clean_line(headline(str(row.get("detail") or "")))
        told = f"{check_word(row)} ({detail}{head if bad else ''})"
        yield f"check {clean_line(str(row.get('name')))}: {told}"
        if bad:
            yield from _describe_failure(row)


def _read_kept_checks(ctx: CellContext) -> tuple[Mapping[str, Any], ...]:
    """The verdicts of the result files, which outlive the attempt's folder."""
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    return tuple(row for row in valid_checks(checks, review) if isinstance(row, Mapping))


def _describe_failure(row: Mapping[str, Any]) -> Iterator[str]:
    """What failed in a red check: the tests by name, or the end of its output; how to see it."""
    failures = [f for f in row.get("failures") or () if isinstance(f, Mapping)]
    for failure in failures[:MOST]:
        name = clean_line(str(failure.get("name") or ""))
        place = clean_line(str(failure.get("file") or ""))
        if name and name != row.get("name"):
            yield f"    {name}" + (f" in {place}" if place else "")
        told = str(failure.get("message") or "").splitlines()
        said = [line for text in told if (line := clean_line(text)) and not line.startswith("$ ")]
        yield from (f"      {clip(line, 160)}" for line in said[-LINES:])
    if len(failures) > MOST:
        yield f"    and {len(failures) - MOST} more"
    command = next((str(f["command"]) for f in failures if f.get("command")), "")
    if command:
        yield f"    again: {clean_line(command)}"
    if row.get("log"):
        yield f"    log:   {clean_line(str(row['log']))}"


def _describe_repair(one: RepairRound) -> str:
    came = one.outcome + (f" to {one.after[:10]}" if one.outcome == repairs.CHANGED else "")
    more = f" ({clean_line(headline(one.detail))})" if one.detail else ""
    return f"repair {one.number} in {one.phase}, {came}{more}: {clean_line(headline(one.why))}"


def _describe_reviews(ctx: CellContext, number: int) -> Iterator[str]:
    """The newest word of each reviewer, with its issues."""
    found = {one.reviewer: one for one in read_reviews(ctx, number)}
    for one in found.values():
        if one.opinion is None:
            yield f"review by {clean_line(one.reviewer)}: no answer ({one.folder})"
            continue
        yield f"review by {clean_line(one.reviewer)}: {one.opinion.verdict}, of {one.head[:10]}"
        for issue in one.opinion.issues[:MOST]:
            where = f" ({', '.join(issue.places)})" if issue.places else ""
            yield f"    {issue.severity}: {clean_line(issue.title + where)}"
            if issue.severity is Severity.BLOCKER:
                shown = issue.evidence if issue.is_proven else "without evidence: it blocks nothing"
                yield f"      {clip(clean_line(shown), 160)}"
        if len(one.opinion.issues) > MOST:
            yield f"    and {format_count(len(one.opinion.issues) - MOST, 'issue')} more"


def _describe_gate(gate: Mapping[str, str | None]) -> str:
    who = gate.get("name") or gate.get("user") or ""
    by = f" by {clean_line(who)}" if who else ""
    at = f" at {gate['at']}" if gate.get("at") else ""
    why = f": {clean_line(headline(gate['reason']))}" if gate.get("reason") else ""
    return f"gate {gate.get('gate')}: {gate.get('state')}{by}{at}{why}"
