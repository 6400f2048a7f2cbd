"""The words of `lineage` and `verify` at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestr.provenance.gather import CellOrigin
from orchestr.provenance.lineage import Lineage, TracedCommit
from orchestr.provenance.records import HeadFact, LandingFact
from orchestr.provenance.traces import Role, Trace
from orchestr.provenance.verify import Point
from orchestr.views.terminal.text import clean_line, clip, format_count

SHORT = 12
UNKNOWN = "orchestr did not make it, as far as its records and trailers go"
PLACE = 11  # where the words of a row begin


def lineage_text(found: Lineage) -> str:
    """Each commit with what made it, then each cell with all that is known of its head."""
    lines: list[str] = []
    if found.path:
        ours = sum(one.trace is not None for one in found.commits)
        count = format_count(len(found.commits), "commit")
        lines += [f"{clean_line(found.path)} in {found.repo}: {count}, {ours} of cells"]
    for one in found.commits:
        lines += _commit_lines(one)
    for origin in found.cells:
        lines += ["", *_cell_lines(origin, found)]
    return "\n".join(lines) + "\n"


def describe_trace(trace: Trace) -> str:
    """What a commit is, in words."""
    name = f"{trace.feature}:{trace.cell}"
    words = {
        Role.REPAIR: f"repair {trace.round} in {trace.phase} of attempt {trace.attempt} of {name}",
        Role.ATTEMPT: f"attempt {trace.attempt} of {name}",
        Role.UPDATE: f"its target merged into the branch of {name}",
        Role.LANDING: f"landing of {name}",
        Role.ROLLBACK: f"rollback of {name}",
        Role.PERSON: f"a person's commit, taken as work of {name}",
        Role.BRANCH: f"on the branch of {name}, by which hand is not recorded",
    }[trace.role]
    run = f", run {trace.run}" if trace.run else ""
    return f"{words}{run}" + (", by its trailers" if trace.known_by == "trailers" else "")


def verify_text(commit: str, repo: str, points: Sequence[Point]) -> str:
    """Each point on a line, then what they come to."""
    lines = [f"{'✓' if one.ok else '✗'} {one.name:<10} {clean_line(one.text)}" for one in points]
    bad = sum(not one.ok for one in points)
    word = "verified" if not bad else f"NOT verified: {format_count(bad, 'point')} failed"
    return "\n".join([*lines, f"{repo} {commit[:SHORT]} {word}"]) + "\n"


def _commit_lines(one: TracedCommit) -> Iterator[str]:
    line = one.line
    yield f"{line.commit[:SHORT]} {clip(clean_line(line.subject), 100)}"
    yield f"  by {clean_line(line.author)}, {line.date}"
    # Names in trailers can be forged.
    yield f"  {clean_line(describe_trace(one.trace)) if one.trace is not None else UNKNOWN}"
    if one.resolved:
        yield f"  conflicts resolved without an agent: {clean_line(one.resolved)}"


def _cell_lines(origin: CellOrigin, found: Lineage) -> Iterator[str]:
    name, head = origin.records.name, origin.head
    if head is None:
        yield f"{name}: no head is recorded (cleaned away, or not built yet)"
    else:
        at = f"head {head.head[:SHORT]} on {clean_line(head.branch)}"
        yield f"{name}: {at}, tree {head.tree[:SHORT]}"
    field = found.fields.get(name)
    if field is not None:
        yield _format_row("spec", f"{field.place} {field.field}: {clip(field.value, 80)}")
    else:
        yield _format_row("spec", "no spec names it any more")
    if head is not None:
        yield from _head_rows(head)
    for landing in origin.landings:
        yield _format_row("landed", _describe_landing(landing))


def _head_rows(head: HeadFact) -> Iterator[str]:
    if head.attempt:
        at = f", {head.opened_at} to {head.closed_at or '?'}" if head.opened_at else ""
        yield _format_row("attempt", f"{head.attempt}{at}, inputs {head.key}")
        author = head.author
        version = (author.version if author is not None else "") or "not recorded"
        model = head.model or "the agent's own"
        yield _format_row("agent", f"{head.agent or '?'}, version {version}, model {model}")
        prompt = (author.prompt if author is not None else "") or "not recorded"
        yield _format_row("prompt", f"sha256 {prompt}")
    if not head.by_agent:
        yield _format_row("outcome", head.outcome)
    yield _format_row("base", head.base)
    for name, tree in head.upstreams:
        yield _format_row("upstream", f"{name}, tree {tree}")
    for one in head.repairs:
        yield _format_row(
            "repair", f"{one.number} in {one.phase} to {one.after[:SHORT]}: {one.why}"
        )
    for check in head.checks:
        yield _format_row("check", f"{check.name} {check.word} on {head.checked[:SHORT]}")
    if not head.checks:
        yield _format_row("check", "none")
    for file in head.files:
        if file.name.endswith("results.json"):
            yield _format_row("evidence", file.name)
    for review in head.reviews:
        model = f" ({review.model})" if review.model else ""
        yield _format_row(
            "review", f"{review.reviewer}{model}: {review.verdict}, of {head.reviewed[:SHORT]}"
        )
    for gate in head.approvals:
        yield _format_row("approval", f"{gate.gate}: {gate.verdict} by {gate.who} at {gate.at}")
    for file_name in head.broken_seals:
        yield _format_row("NOT OURS", f"{file_name}: its content is none that orchestr wrote")
    for reason in head.missing:
        yield _format_row("missing", reason)


def _describe_landing(one: LandingFact) -> str:
    resolved = f", conflicts resolved by {'; '.join(one.resolved)}" if one.resolved else ""
    checked = {True: ", checked green", False: ", red", None: ""}[one.green]
    undone = ", rolled back later" if one.undone else ""
    return (
        f"{one.target} at {one.commit[:SHORT]}, run {one.run}, {one.at}{checked}{resolved}{undone}"
    )


def _format_row(name: str, words: str) -> str:
    return f"  {name:<{PLACE - 2}}{clean_line(words)}"
