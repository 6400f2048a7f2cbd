"""Gathers what the report and the board show of a feature: git, result files, ends of logs.

Reads only, and only so much: ends of logs by seeking, diffs bounded while git prints them. Every
text of an agent or a program is redacted here, before anything else sees it; the secrets are those
of our environment and of the attempts' (`launch.json`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.cell.agent.launch import secrets_of
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.context import CellContext, Run
from orchestr.errors import OrchestrError
from orchestr.files import one_look
from orchestr.git.diff import Bounds, Diff, Pair, diffs
from orchestr.git.repo import CommitId, Repo
from orchestr.process.redaction import SHORTEST, redact, secret_values
from orchestr.state import attempts, repairs
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    TRANSCRIPT,
    Evidence,
    Head,
    Implemented,
    Marker,
    valid_checks,
)
from orchestr.state.timeline import make_timeline
from orchestr.views.html.model import AttemptFacts, CellEvidence, FeaturePage, ItemFacts, SpecText
from orchestr.views.logs.transcript import show
from orchestr.views.model import FeatureStatus
from orchestr.views.query import evidence as proofs
from orchestr.views.query.status import feature_status

TAIL_BYTES = 24_000  # of a transcript or a check's log
TAIL_LINES = 40
LOGS_OF_CELLS = 60  # of more of them, only those that failed or run have their transcript's end
LOGS_OF_CHECKS = 60  # whose ends are read: red ones first
SPEC_CHARS = 200_000
PLAN_CHARS = 100_000
VALUE = 8_000  # characters of one text in a verdict
ITEMS = 200

Redact = Callable[[str], str]


class Gatherer:
    """Makes the page of a feature; keeps differences between looks, as commits do not change."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._diffs: dict[tuple[str, Pair], Diff] = {}

    @one_look()
    def page(self, run: Run) -> FeaturePage:
        """All of one feature as it was when ``run`` was made (`Session.run`)."""
        cells = [run.cell(p.name) for p in run.plan.cells]
        hide = redactor(cells)
        status = hidden(feature_status(run, fresh=False), hide)
        upstreams = {p.name: p.upstreams for p in run.plan.cells}
        live = status.live is not None
        line = make_timeline(run.journal.read(), upstreams, live=live)
        line = replace(line, spans=tuple(replace(s, note=hide(s.note)) if s.note else s
                                         for s in line.spans))  # fmt: skip
        found = self._differences(cells, hide)
        logs = [LOGS_OF_CHECKS]
        few = len(cells) <= LOGS_OF_CELLS
        evidence = {}
        for ctx in cells:
            state = status.cell_state(ctx.cell.name)
            evidence[ctx.cell.name] = self._cell(
                ctx, hide, found, logs, tail=few or state.is_bad or state.is_moving
            )
        return FeaturePage(status, line, time.time(), evidence, spec_text(run, hide))

    def _cell(
        self,
        ctx: CellContext,
        hide: Redact,
        found: Mapping[str, tuple[Pair | None, Diff | None, str]],
        logs: list[int],
        *,
        tail: bool,
    ) -> CellEvidence:
        pair, diff, why = found[ctx.cell.name]
        compare = f"git -C {ctx.repo_path} diff {pair[0][:12]} {pair[1][:12]}" if pair else ""
        done = Implemented.read(ctx.dir)
        checks = Evidence.read(ctx.dir / CHECKS)
        review = Evidence.read(ctx.dir / REVIEW)
        void = checks is not None and done is not None and checks.origin != done.head
        void = void or bool(review and checks and review.origin != checks.head)
        tried = tuple(
            AttemptFacts(a.number, a.agent, a.model, a.state, a.outcome, hide(a.reason)[:VALUE])
            for a in attempts.every(ctx.dir)
        )
        lines: tuple[str, ...] = ()
        size = 0
        if tried and tail:
            path = attempts.folder(ctx.dir, tried[-1].number) / TRANSCRIPT
            lines, size = last_lines(path, hide)
        return CellEvidence(
            diff=diff,
            why=why,
            compare=compare,
            checks=items(_checked(ctx, checks, review), ctx.dir, hide, logs),
            reviews=items(_reviewed(ctx, review), ctx.dir, hide, logs),
            void=void,
            attempts=tried,
            log=lines,
            log_bytes=size,
            plan=hide((read_plan(ctx) or "")[:PLAN_CHARS]) if ctx.cell.plans else "",
        )

    def _differences(
        self, cells: list[CellContext], hide: Redact
    ) -> dict[str, tuple[Pair | None, Diff | None, str]]:
        """Per cell its two commits, what differs, and why there is nothing to show."""
        by_repo: dict[Path, list[CellContext]] = {}
        for ctx in cells:
            by_repo.setdefault(ctx.repo_path, []).append(ctx)
        found: dict[str, tuple[Pair | None, Diff | None, str]] = {}
        for path, group in by_repo.items():
            repo = Repo(path)
            try:
                pairs = _pairs(repo, group) if path.is_dir() else {}
            except OrchestrError:
                pairs = {}
            key = str(path)
            new = [p for p in pairs.values() if (key, p) not in self._diffs]
            if new:
                self._diffs |= {
                    (key, p): d for p, d in diffs(repo, new, self._bounds, hide).items()
                }
            for ctx in group:
                pair = pairs.get(ctx.cell.name)
                diff = self._diffs.get((key, pair)) if pair else None
                why = (
                    "" if diff else "its commits are not in the clone" if pair else "no commit yet"
                )
                found[ctx.cell.name] = pair, diff, why
        wanted = {(str(c.repo_path), found[c.cell.name][0]) for c in cells}
        if len(self._diffs) > 4 * len(cells) + 100:  # a board that stays open for days
            self._diffs = {k: d for k, d in self._diffs.items() if k in wanted}
        return found


def _pairs(repo: Repo, cells: list[CellContext]) -> dict[str, Pair]:
    """Base and head of each cell: by its files, else the branch as it stands."""
    found: dict[str, Pair] = {}
    open_: dict[str, tuple[str, CommitId]] = {}
    for ctx in cells:
        head, done, marker = ctx.head(), Implemented.read(ctx.dir), Marker.read(ctx.dir)
        record: Head | Implemented | None = done or head
        if record is not None:
            found[ctx.cell.name] = CommitId(record.base), CommitId(_newest_head(ctx, record))
        elif marker is not None:
            open_[marker.branch] = ctx.cell.name, CommitId(marker.base)
    if open_:
        refs = [f"refs/heads/{branch}" for branch in open_]
        done_ = repo.ask("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", *refs)
        for line in done_.text.splitlines():
            commit, _, branch = line.partition(" ")
            if branch in open_:
                name, base = open_[branch]
                found[name] = base, CommitId(commit)
    return found


def _newest_head(ctx: CellContext, record: Head | Implemented) -> str:
    """What repairs made of the result of `implement`, else that."""
    if isinstance(record, Head) or not record.attempt:
        return record.head
    made = [one for one in repairs.every(ctx.dir, record.attempt) if one.origin == record.head]
    return next((one.after for one in reversed(made) if one.after), record.head)


def hidden(status: FeatureStatus, hide: Redact) -> FeatureStatus:
    """The same without secrets in what people and programs wrote: reasons, hints, todo, titles."""

    def text(value: str | None) -> str | None:
        return hide(value) if value else value

    cells = tuple(
        replace(c, todo=tuple(map(hide, c.todo)), title=text(c.title)) for c in status.feature.cells
    )
    views = {
        name: replace(v, reason=text(v.reason), hint=text(v.hint), pr_url=text(v.pr_url))
        for name, v in status.view.cells.items()
    }
    away = {repo: hide(why) for repo, why in status.view.forge_away.items()}
    facts = {
        name: replace(f, approvals=tuple(_hidden(dict(gate), hide) for gate in f.approvals))
        for name, f in status.facts.items()
    }
    cross = tuple(
        replace(one, told=hide(one.told), rows=tuple(_hidden(dict(r), hide) for r in one.rows))
        for one in status.cross
    )
    return replace(
        status,
        facts=facts,
        cross=cross,
        feature=replace(status.feature, title=hide(status.feature.title), cells=cells),
        view=replace(status.view, cells=views, forge_away=away),
    )


def redactor(cells: list[CellContext]) -> Redact:
    """Hides what must not be shown: a secret of several lines is hidden line by line, too."""
    secrets = set(secret_values(os.environ))
    for ctx in cells:
        for number in attempts.numbers(ctx.dir):
            secrets |= secrets_of(attempts.folder(ctx.dir, number))
    for secret in list(secrets):
        secrets |= {line for line in secret.splitlines() if len(line) >= SHORTEST}
    known = sorted(secrets, key=len, reverse=True)
    return lambda text: redact(text, known)


def _checked(ctx: CellContext, checks: Evidence | None, review: Evidence | None) -> Sequence[Any]:
    """The newest results with their logs; without an attempt's folder, those that are kept."""
    runs = proofs.check_runs(ctx, proofs.newest_number(ctx))
    if runs and runs[-1].rows:
        return [{**row, "head": runs[-1].head[:10]} for row in runs[-1].rows]
    return valid_checks(checks, review)


def _reviewed(ctx: CellContext, review: Evidence | None) -> Sequence[Any]:
    """What every reviewer said in every round, the newest last; else what is kept."""
    heard = proofs.heard(ctx, proofs.newest_number(ctx))
    if not heard:
        return review.items if review is not None else ()
    newest = heard[-1].head
    return [_opinion(one, one.head == newest) for one in heard]


def _opinion(one: proofs.Heard, newest: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"reviewer": one.reviewer, "kind": f"of {one.head[:10]}"}
    if not newest:
        row["kind"] += ", which was repaired"
    if one.opinion is None:
        return {**row, "summary": "no answer that can be read"}
    issues = [
        {"severity": issue.severity.replace("_", " "), "title": issue.title,
         "file": ", ".join(issue.places), "message": issue.description,
         "evidence": issue.evidence}
        for issue in one.opinion.issues
    ]  # fmt: skip
    told = f"{one.opinion.verdict}. {one.opinion.summary}".strip()
    return {**row, "ok": not one.opinion.blockers, "summary": told, "issues": issues}


def items(
    rows: Sequence[Any], folder: Path, hide: Redact, logs: list[int]
) -> tuple[ItemFacts, ...]:
    """The verdicts as they stand in the files, redacted; the ends of the red ones' logs."""
    found = []
    for item in rows[:ITEMS]:
        known = item if isinstance(item, Mapping) else {"text": str(item)}
        fields = _hidden(known, hide)
        red = known.get("passed") is False or known.get("ok") is False
        log = fields.get("log")
        text = ""
        if isinstance(log, str) and log and (red or logs[0] > 0):
            logs[0] -= 1
            text = hide(end_of(folder / log, folder))
        found.append(ItemFacts(fields, text))
    return tuple(found)


def _hidden(value: Any, hide: Redact, depth: int = 0) -> Any:
    """The value with its texts redacted and bounded."""
    if isinstance(value, str):
        text = hide(value)
        return text if len(text) <= VALUE else f"{text[: VALUE // 2]}\n…\n{text[-VALUE // 2 :]}"
    if depth > 6:
        return "…"
    if isinstance(value, Mapping):
        return {hide(str(k))[:200]: _hidden(v, hide, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(v, hide, depth + 1) for v in value[:ITEMS]]
    return value


def end_of(path: Path, folder: Path) -> str:
    """The last lines of a program's log; nothing that lies outside the cell's folder is read."""
    try:
        real = path.resolve()
        if not real.is_relative_to(folder.resolve()):
            return ""
        data, _ = _tail(real)
    except OSError:
        return ""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


def last_lines(path: Path, hide: Redact) -> tuple[tuple[str, ...], int]:
    """The end of a transcript for people, and the size of all of it."""
    try:
        data, size = _tail(path)
    except OSError:
        return (), 0
    found: list[str] = []
    for line in reversed(data.split(b"\n")):
        words = show(line)
        if words:
            found.append(words)
        if len(found) == TAIL_LINES:
            break
    return tuple(hide("\n".join(reversed(found))).split("\n")) if found else (), size


def _tail(path: Path) -> tuple[bytes, int]:
    """The last bytes, from the first whole line on, and the size."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(size - TAIL_BYTES, 0)
        stream.seek(start)
        data = stream.read(TAIL_BYTES)
    return (data.partition(b"\n")[2] if start else data), size


def spec_text(run: Run, hide: Redact) -> SpecText | None:
    """The spec as its file stands now."""
    feature = run.feature
    path = run.settings.workspace.root / feature.path
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(SPEC_CHARS + 1)
    except OSError:
        return None
    return SpecText(feature.path, feature.digest, hide(text[:SPEC_CHARS]), len(text) > SPEC_CHARS)
