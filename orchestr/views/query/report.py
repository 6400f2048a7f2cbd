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

from orchestr.agents.events import Parse
from orchestr.cell.agent.launch import launch_secrets
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.errors import OrchestrError
from orchestr.files import cache_record_reads
from orchestr.git.diff import CommitDiff, DiffLimits, Pair, read_diffs
from orchestr.git.repo import CommitId, Repo
from orchestr.process.redaction import SHORTEST, redact, secret_values
from orchestr.state import attempts, repairs
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    TRANSCRIPT,
    Evidence,
    HeadRecord,
    ImplementRecord,
    WorktreeMarker,
    valid_checks,
)
from orchestr.state.timeline import make_timeline
from orchestr.views.html.model import AttemptFacts, CellEvidence, FeaturePage, ItemFacts, SpecText
from orchestr.views.logs.dialect import event_parser
from orchestr.views.logs.transcript import format_line
from orchestr.views.model import FeatureStatus
from orchestr.views.query import evidence as proofs
from orchestr.views.query.capabilities import list_capabilities
from orchestr.views.query.pictures import PictureReader
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


class FeaturePageBuilder:
    """Makes the page of a feature; keeps differences between looks, as commits do not change."""

    def __init__(self, bounds: DiffLimits | None = None, *, embeds_pictures: bool = True) -> None:
        self._embeds = embeds_pictures
        self._bounds = bounds or DiffLimits()
        self._diffs: dict[tuple[str, Pair], CommitDiff] = {}

    @cache_record_reads()
    def build_page(self, run: FeatureRun) -> FeaturePage:
        """All of one feature as it was when ``run`` was made (`Session.load_run`)."""
        cells = [run.cell_context(p.name) for p in run.plan.cells]
        hide = make_redactor(cells)
        status = redact_status(feature_status(run, fresh=False), hide)
        upstreams = {p.name: p.upstreams for p in run.plan.cells}
        live = status.live is not None
        line = make_timeline(run.journal.read(), upstreams, live=live)
        line = replace(line, spans=tuple(replace(s, note=hide(s.note)) if s.note else s
                                         for s in line.spans))  # fmt: skip
        found = self._gather_diffs(cells, hide)
        logs = [LOGS_OF_CHECKS]
        few = len(cells) <= LOGS_OF_CELLS
        evidence = {}
        pictures = PictureReader(run.layout.state, embeds=self._embeds)
        for ctx in cells:
            state = status.cell_state(ctx.cell.name)
            evidence[ctx.cell.name] = self._gather_evidence(
                ctx, hide, found, logs, pictures, tail=few or state.is_bad or state.is_moving
            )
        able = tuple(
            replace(one, statement=hide(one.statement))
            for one in list_capabilities(run.feature, status, evidence)
        )
        return FeaturePage(status, line, time.time(), evidence, read_spec_text(run, hide), able)

    def _gather_evidence(
        self,
        ctx: CellContext,
        hide: Redact,
        found: Mapping[str, tuple[Pair | None, CommitDiff | None, str]],
        logs: list[int],
        pictures: PictureReader,
        *,
        tail: bool,
    ) -> CellEvidence:
        pair, diff, why = found[ctx.cell.name]
        compare = f"git -C {ctx.repo_path} diff {pair[0][:12]} {pair[1][:12]}" if pair else ""
        done = ImplementRecord.read(ctx.dir)
        checks = Evidence.read(ctx.dir / CHECKS)
        review = Evidence.read(ctx.dir / REVIEW)
        void = checks is not None and done is not None and checks.origin != done.head
        void = void or bool(review and checks and review.origin != checks.head)
        tried = tuple(
            AttemptFacts(a.number, a.agent, a.model, a.state, a.outcome, hide(a.reason)[:VALUE])
            for a in attempts.iter_attempts(ctx.dir)
        )
        lines: tuple[str, ...] = ()
        size = 0
        if tried and tail:
            path = attempts.attempt_folder(ctx.dir, tried[-1].number) / TRANSCRIPT
            parse = event_parser(ctx.run.settings, tried[-1].agent)
            lines, size = read_transcript_tail(path, hide, parse)
        shown, heard = _check_rows(ctx, checks, review), _review_rows(ctx, review)
        return CellEvidence(
            diff=diff,
            why=why,
            compare=compare,
            checks=make_item_facts(shown, ctx.dir, hide, logs),
            reviews=make_item_facts(heard, ctx.dir, hide, logs),
            pictures=tuple(
                replace(one, issues=tuple(map(hide, one.issues)))
                for one in pictures.read_cell(ctx, shown, heard)
            ),
            void=void,
            attempts=tried,
            log=lines,
            log_bytes=size,
            plan=hide((read_plan(ctx) or "")[:PLAN_CHARS]) if ctx.cell.has_plan_phase else "",
        )

    def _gather_diffs(
        self, cells: list[CellContext], hide: Redact
    ) -> dict[str, tuple[Pair | None, CommitDiff | None, str]]:
        """Per cell its two commits, what differs, and why there is nothing to show."""
        by_repo: dict[Path, list[CellContext]] = {}
        for ctx in cells:
            by_repo.setdefault(ctx.repo_path, []).append(ctx)
        found: dict[str, tuple[Pair | None, CommitDiff | None, str]] = {}
        for path, group in by_repo.items():
            repo = Repo(path)
            try:
                pairs = _commit_pairs(repo, group) if path.is_dir() else {}
            except OrchestrError:
                pairs = {}
            key = str(path)
            new = [p for p in pairs.values() if (key, p) not in self._diffs]
            if new:
                self._diffs |= {
                    (key, p): d for p, d in read_diffs(repo, new, self._bounds, hide).items()
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


def _commit_pairs(repo: Repo, cells: list[CellContext]) -> dict[str, Pair]:
    """Base and head of each cell: by its files, else the branch as it stands."""
    found: dict[str, Pair] = {}
    open_: dict[str, tuple[str, CommitId]] = {}
    for ctx in cells:
        head, done, marker = (
            ctx.read_head(),
            ImplementRecord.read(ctx.dir),
            WorktreeMarker.read(ctx.dir),
        )
        record: HeadRecord | ImplementRecord | None = done or head
        if record is not None:
            found[ctx.cell.name] = CommitId(record.base), CommitId(_newest_head(ctx, record))
        elif marker is not None:
            open_[marker.branch] = ctx.cell.name, CommitId(marker.base)
    if open_:
        refs = [f"refs/heads/{branch}" for branch in open_]
        done_ = repo.run_readonly(
            "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", *refs
        )
        for line in done_.text.splitlines():
            commit, _, branch = line.partition(" ")
            if branch in open_:
                name, base = open_[branch]
                found[name] = base, CommitId(commit)
    return found


def _newest_head(ctx: CellContext, record: HeadRecord | ImplementRecord) -> str:
    """What repairs made of the result of `implement`, else that."""
    if isinstance(record, HeadRecord) or not record.attempt:
        return record.head
    made = [
        one for one in repairs.read_rounds(ctx.dir, record.attempt) if one.origin == record.origin
    ]
    if record.first is not None and record.head not in [one.before for one in made]:
        return record.head  # phases of one's own came after the last repair
    return next((one.after for one in reversed(made) if one.after), record.head)


def redact_status(status: FeatureStatus, hide: Redact) -> FeatureStatus:
    """The same without secrets in what people and programs wrote: reasons, hints, todo, titles."""

    def redact_text(value: str | None) -> str | None:
        return hide(value) if value else value

    cells = tuple(
        replace(c, todo=tuple(map(hide, c.todo)), title=redact_text(c.title))
        for c in status.feature.cells
    )
    views = {
        name: replace(
            v, reason=redact_text(v.reason), hint=redact_text(v.hint), pr_url=redact_text(v.pr_url)
        )
        for name, v in status.view.cells.items()
    }
    away = {repo: hide(why) for repo, why in status.view.forge_away.items()}
    facts = {
        name: replace(
            f,
            approvals=tuple(_redact_value(dict(gate), hide) for gate in f.approvals),
            notes=f.notes.redacted(hide),
        )
        for name, f in status.facts.items()
    }
    cross = tuple(
        replace(
            one, told=hide(one.told), rows=tuple(_redact_value(dict(r), hide) for r in one.rows)
        )
        for one in status.cross
    )
    return replace(
        status,
        facts=facts,
        cross=cross,
        audit=status.audit.redacted(hide) if status.audit is not None else None,
        feature=replace(status.feature, title=hide(status.feature.title), cells=cells),
        view=replace(status.view, cells=views, forge_away=away),
    )


def make_redactor(cells: list[CellContext]) -> Redact:
    """Hides what must not be shown: a secret of several lines is hidden line by line, too."""
    secrets = set(secret_values(os.environ))
    for ctx in cells:
        for number in attempts.attempt_numbers(ctx.dir):
            secrets |= launch_secrets(attempts.attempt_folder(ctx.dir, number))
    for secret in list(secrets):
        secrets |= {line for line in secret.splitlines() if len(line) >= SHORTEST}
    known = sorted(secrets, key=len, reverse=True)
    return lambda text: redact(text, known)


def _check_rows(
    ctx: CellContext, checks: Evidence | None, review: Evidence | None
) -> Sequence[Any]:
    """The newest results with their logs; without an attempt's folder, those that are kept."""
    runs = proofs.read_check_runs(ctx, proofs.newest_attempt_number(ctx))
    if runs and runs[-1].rows:
        return [{**row, "head": runs[-1].head[:10]} for row in runs[-1].rows]
    return valid_checks(checks, review)


def _review_rows(ctx: CellContext, review: Evidence | None) -> Sequence[Any]:
    """What every reviewer said in every round, the newest last; else what is kept."""
    heard = proofs.read_reviews(ctx, proofs.newest_attempt_number(ctx))
    if not heard:
        return review.items if review is not None else ()
    newest = heard[-1].head
    return [_opinion_row(one, one.head == newest) for one in heard]


def _opinion_row(one: proofs.ReviewRecord, newest: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"reviewer": one.reviewer, "kind": f"of {one.head[:10]}"}
    if not newest:
        row["kind"] += ", which was repaired"
    if one.opinion is None:
        return {**row, "summary": "no answer that can be read"}
    issues = [
        {"severity": issue.severity.replace("_", " "), "title": issue.title,
         "file": ", ".join(issue.places), "message": issue.description,
         "evidence": issue.evidence, "pictures": list(issue.pictures)}
        for issue in one.opinion.issues
    ]  # fmt: skip
    told = f"{one.opinion.verdict}. {one.opinion.summary}".strip()
    return {**row, "ok": not one.opinion.blockers, "summary": told, "issues": issues}


def make_item_facts(
    rows: Sequence[Any], folder: Path, hide: Redact, logs: list[int]
) -> tuple[ItemFacts, ...]:
    """The verdicts as they stand in the files, redacted; the ends of the red ones' logs."""
    found = []
    for item in rows[:ITEMS]:
        known = item if isinstance(item, Mapping) else {"text": str(item)}
        fields = _redact_value(known, hide)
        red = known.get("passed") is False or known.get("ok") is False
        log = fields.get("log")
        text = ""
        if isinstance(log, str) and log and (red or logs[0] > 0):
            logs[0] -= 1
            text = hide(read_log_tail(folder / log, folder))
        found.append(ItemFacts(fields, text))
    return tuple(found)


def _redact_value(value: Any, hide: Redact, depth: int = 0) -> Any:
    """The value with its texts redacted and bounded."""
    if isinstance(value, str):
        text = hide(value)
        return text if len(text) <= VALUE else f"{text[: VALUE // 2]}\n…\n{text[-VALUE // 2 :]}"
    if depth > 6:
        return "…"
    if isinstance(value, Mapping):
        return {hide(str(k))[:200]: _redact_value(v, hide, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(v, hide, depth + 1) for v in value[:ITEMS]]
    return value


def read_log_tail(path: Path, folder: Path) -> str:
    """The last lines of a program's log; nothing that lies outside the cell's folder is read."""
    try:
        real = path.resolve()
        if not real.is_relative_to(folder.resolve()):
            return ""
        data, _ = _read_tail(real)
    except OSError:
        return ""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


def read_transcript_tail(path: Path, hide: Redact, parse: Parse) -> tuple[tuple[str, ...], int]:
    """The end of a transcript for people, and the size of all of it."""
    try:
        data, size = _read_tail(path)
    except OSError:
        return (), 0
    found: list[str] = []
    for line in reversed(data.split(b"\n")):
        words = format_line(line, parse)
        if words:
            found.append(words)
        if len(found) == TAIL_LINES:
            break
    return tuple(hide("\n".join(reversed(found))).split("\n")) if found else (), size


def _read_tail(path: Path) -> tuple[bytes, int]:
    """The last bytes, from the first whole line on, and the size."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(size - TAIL_BYTES, 0)
        stream.seek(start)
        data = stream.read(TAIL_BYTES)
    return (data.partition(b"\n")[2] if start else data), size


def read_spec_text(run: FeatureRun, hide: Redact) -> SpecText | None:
    """The spec as its file stands now."""
    feature = run.feature
    path = run.settings.workspace.root / feature.path
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(SPEC_CHARS + 1)
    except OSError:
        return None
    return SpecText(feature.path, feature.digest, hide(text[:SPEC_CHARS]), len(text) > SPEC_CHARS)
