"""Read what is known of a cell's head and landings from its records. Changes nothing.

Unlike the readers of a run, these set no file aside: a file that was changed by another hand is
evidence here, and is named. A cell needs no spec any more; its folder and journal are enough.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.run_agent import PROMPT
from orchestr.cell.approval import ApprovalDecision
from orchestr.cell.input_changes import read_kept_inputs
from orchestr.codec import InvalidRecord, Record, decode
from orchestr.files import read_file
from orchestr.landing.events import Checked
from orchestr.landing.journal import LandingJournal
from orchestr.provenance.records import (
    AgentStart,
    ApprovalFact,
    CheckVerdict,
    EvidenceFile,
    HeadFact,
    LandingFact,
    RepairFact,
    ReviewVerdict,
)
from orchestr.spec.phases import Phase
from orchestr.state.attempts import Attempt, attempt_file, attempt_folder
from orchestr.state.event_details import (
    AttemptOpened,
    AttemptStarted,
    LandDone,
    LandUndone,
)
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import DECISIONS, Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.repairs import CHANGED, RepairRound, list_round_files
from orchestr.state.results import (
    CHECKS,
    HEAD,
    IMPLEMENT,
    MARKER,
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementRecord,
    WorktreeMarker,
    check_word,
    valid_checks,
)
from orchestr.state.seals import ResultSeals, digest_bytes, seals_of
from orchestr.views.query.evidence import read_json_object

R = TypeVar("R", bound=Record)


class CellRecords:
    """One cell's folder and events, read once."""

    def __init__(
        self,
        layout: WorkspaceLayout,
        journal: Journal,
        events: list[Event],
        feature: str,
        cell: str,
    ) -> None:
        """``events`` are all of the feature; those of the cell are taken."""
        self.feature, self.cell = feature, cell
        self.dir = layout.cell_dir(feature, cell)
        self.events = [event for event in events if event.cell == cell]
        self._seals: ResultSeals = seals_of(journal)
        self.files: dict[str, EvidenceFile] = {}
        self.missing: list[str] = []

    @property
    def name(self) -> str:
        return f"{self.feature}:{self.cell}"

    def read_sealed(self, name: str, kind: type[R]) -> R | None:
        """A result file's record, whoever wrote it: `files` says whether we did."""
        data = self.take_file(name, sealed=True)
        if data is None:
            return None
        load: Callable[[str], Any] = tomllib.loads if name.endswith(".toml") else json.loads
        try:
            return decode(load(data.decode()), kind)
        except (InvalidRecord, ValueError, RecursionError):
            self.missing.append(f"{name} cannot be read")
            return None

    def take_file(self, name: str, *, sealed: bool = False) -> bytes | None:
        """The bytes of a file of the cell, noted as evidence; None where there is none."""
        try:
            data = read_file(self.dir / name)
        except OSError:
            return None
        kept = None
        if sealed:
            kept = self._seals.accepts(self.cell, name, digest_bytes(data), alone=False)
        self.files[name] = EvidenceFile(name, hashlib.sha256(data).hexdigest(), kept)
        return data

    @cached_property
    def repo(self) -> str:
        """The repository that its worktree was made for; "" where that is not known any more."""
        with suppress(OSError, KeyError, TypeError):
            return str(read_kept_inputs(self.dir)[Phase.WORKTREE]["repo"])
        return ""

    def read_marker(self) -> WorktreeMarker | None:
        return self._read_plain(self.dir / MARKER, WorktreeMarker)

    def read_attempt(self, number: int) -> Attempt | None:
        return self._read_plain(attempt_file(self.dir, number), Attempt)

    def read_rounds(self, number: int) -> list[RepairRound]:
        """The repairs of an attempt, oldest first."""
        files: list[Path] = []
        with suppress(OSError):
            files = list_round_files(self.dir, number)
        found = [self._read_plain(file, RepairRound) for file in files]
        return sorted((one for one in found if one is not None), key=lambda one: one.number)

    def _read_plain(self, path: Path, kind: type[R]) -> R | None:
        try:
            return decode(tomllib.loads(read_file(path).decode()), kind)
        except (OSError, InvalidRecord, ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class CellOrigin:
    """All that is known of a cell: its records, its head (None: none yet) and its landings."""

    records: CellRecords
    head: HeadFact | None
    landings: tuple[LandingFact, ...]


def read_origin(records: CellRecords, repo: str, checked: dict[str, bool]) -> CellOrigin:
    """The head and the landings of a cell; ``checked`` is `read_checked_commits`."""
    landings = tuple(read_landings(records.feature, records.events, checked))
    return CellOrigin(records, read_head_fact(records, repo), landings)


def read_head_fact(records: CellRecords, repo: str) -> HeadFact | None:
    """The facts about the head that all phases agreed on; None where there is none.

    ``repo`` counts where the cell's own records do not name the repository.
    """
    head = records.read_sealed(HEAD, HeadRecord)
    if head is None:
        return None
    done = records.read_sealed(IMPLEMENT, ImplementRecord)
    checks, review = (records.read_sealed(name, Evidence) for name in (CHECKS, REVIEW))
    approvals = tuple(_read_approvals(records))
    number = done.attempt if done is not None else 0
    attempt = records.read_attempt(number) if number else None
    marker = records.read_marker()
    rounds = records.read_rounds(number) if number else []
    starts = tuple(list_starts(records.events, number)) if number else ()
    missing = [] if done is not None else [f"{IMPLEMENT} is gone"]
    if number and attempt is None:
        missing.append(f"attempts/{number} is gone")
    prompt = f"attempts/{number}/{PROMPT}"
    if number and records.take_file(prompt) is not None:
        given = {one.prompt for one in starts if not one.part and one.prompt}
        if given and records.files[prompt].sha256 not in given:
            missing.append(f"{prompt} is not what its agent was given, by the journal")
    for name in sorted(_find_check_results(records, number, head.head)):
        records.take_file(name)
    covers_checks = review is not None and review.checks is not None
    about = review if covers_checks else checks
    return HeadFact(
        feature=records.feature,
        cell=records.cell,
        repo=records.repo or repo,
        branch=head.branch,
        head=head.head,
        tree=head.tree,
        base=head.base,
        outcome=str(done.outcome if done is not None else head.outcome),
        attempt=number,
        key=done.key if done is not None else "",
        agent=attempt.agent if attempt is not None else "",
        model=attempt.model if attempt is not None else "",
        opened_at=attempt.opened_at if attempt is not None else "",
        closed_at=attempt.closed_at if attempt is not None else "",
        runs=tuple(dict.fromkeys(e.run for e in records.events if _is_start(e, number))),
        upstreams=tuple(sorted(marker.upstreams.items())) if marker is not None else (),
        starts=starts,
        checked=about.head if about is not None else "",
        reviewed=review.head if review is not None and review.items else "",
        partial=any(one is not None and one.partial for one in (checks, review)),
        checks=tuple(_list_checks(checks, review)),
        reviews=tuple(_list_reviews(review)),
        approvals=approvals,
        repairs=tuple(
            RepairFact(one.number, one.phase, one.before, one.after, one.why)
            for one in rounds
            if one.outcome == CHANGED
        ),
        files=tuple(records.files[name] for name in sorted(records.files)),
        missing=(*missing, *records.missing),
    )


def list_starts(events: Iterable[Event], attempt: int) -> Iterator[AgentStart]:
    """The starts of an attempt's agents, reviewers included, oldest first. Pure."""
    model = ""
    for event in events:
        if event.attempt != attempt:
            continue
        match event.details:
            case AttemptOpened(model=chosen):
                model = chosen or ""
            case AttemptStarted() as one:
                part = one.reviewer or one.part or ""
                yield AgentStart(
                    attempt, one.agent or "", event.ts, part, int(one.round or 0),
                    "" if part else model, one.version or "", one.prompt or "",
                )  # fmt: skip
            case _:
                pass


def read_landings(
    feature: str, events: Iterable[Event], checked: dict[str, bool]
) -> Iterator[LandingFact]:
    """Every landing of a cell, oldest first; those that were rolled back say so. Pure."""
    found: list[LandingFact] = []
    for event in events:
        match event.details:
            case LandDone(commit=str() as commit) as one:
                resolved = tuple(str(line) for line in one.resolved or ())
                found.append(
                    LandingFact(feature, event.cell, event.run, event.ts, one.target or "",
                                one.before or "", commit, one.head or "", resolved,
                                checked.get(commit))
                )  # fmt: skip
            case LandUndone():
                found = [replace(one, undone=True) for one in found]
            case _:
                pass
    yield from found


def read_checked_commits(layout: WorkspaceLayout) -> dict[str, bool]:
    """Whether the merge queue found a commit green, by its journal; the last verdict counts."""
    journal = LandingJournal(layout.landing_queue_file)
    return {event.commit: event.green for event in journal.read() if isinstance(event, Checked)}


def _is_start(event: Event, attempt: int) -> bool:
    return bool(attempt) and event.attempt == attempt and event.kind is EventKind.ATTEMPT_STARTED


def _read_approvals(records: CellRecords) -> Iterator[ApprovalFact]:
    for path in sorted((records.dir / DECISIONS).glob("*.toml")):
        one = records.read_sealed(f"{DECISIONS}{path.name}", ApprovalDecision)
        if one is not None:
            email = f" <{one.email}>" if one.email else ""
            who = f"{one.display_name}{email}"
            yield ApprovalFact(one.gate, one.verdict, who, one.at, one.digest)


def _find_check_results(records: CellRecords, attempt: int, head: str) -> Iterator[str]:
    """The results of checks on exactly this head, in the attempt's folder."""
    for path in attempt_folder(records.dir, attempt).glob("checks/*/results.json"):
        results = read_json_object(path)
        if results is not None and results.get("head") == head:
            yield str(path.relative_to(records.dir))


def _list_checks(checks: Evidence | None, review: Evidence | None) -> Iterator[CheckVerdict]:
    for row in valid_checks(checks, review):
        if isinstance(row, dict):
            name, kind = str(row.get("name") or ""), str(row.get("kind") or "")
            yield CheckVerdict(name, kind, check_word(row))


def _list_reviews(review: Evidence | None) -> Iterator[ReviewVerdict]:
    for row in review.items if review is not None else ():
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            one = opinions.opinion_from_row(row)
            yield ReviewVerdict(one.reviewer, one.verdict, one.model or "")
