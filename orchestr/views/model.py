"""What the renderings need besides spec, plan and journal: facts that git and the files know.

Plain records; the commands fill them in, the renderings only read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestr.cell.notes import NO_NOTES, ProofNotes
from orchestr.cell.removed_cells import RemovedCell
from orchestr.plan.dag import FeaturePlan
from orchestr.spec.phases import Phase
from orchestr.spec.records import Feature
from orchestr.state.cell_state import describe_cell, interpret_view
from orchestr.state.replay import CellState, CellView, FeatureState, FeatureView, summarize_states
from orchestr.state.view import READS
from orchestr.views.audit import AuditFacts
from orchestr.views.terminal.text import clean_line, format_dollars, format_tokens

if TYPE_CHECKING:  # most commands make no forecast, and start without what makes it
    from orchestr.landing.forecast import ConflictForecast


@dataclass(frozen=True, slots=True)
class CellFacts:
    """Facts of one cell; None where there is none yet.

    ``base`` is the branch that the pull request goes to, ``head`` a commit, ``tree`` its tree.
    ``log`` is the newest transcript. ``state`` and ``phases`` replace what the journal says, for
    a caller that has looked at the result files. ``sign`` is the command that signs its commits,
    where signing was switched off. ``approvals`` are the cell's gates, see `docs/approval.md`.
    ``notes`` are what a reader has to know beside green and red. ``outdated`` says why a cell that
    was done has to run again.
    """

    base: str | None = None
    head: str | None = None
    tree: str | None = None
    worktree: str | None = None
    log: str | None = None
    pr_url: str | None = None
    pr_state: str | None = None
    pr_draft: bool | None = None
    sign: str | None = None
    approvals: tuple[Mapping[str, str | None], ...] = ()
    notes: ProofNotes = NO_NOTES
    state: CellState | None = None
    phases: Mapping[str, str] | None = None
    outdated: str | None = None


NOTHING = CellFacts()


@dataclass(frozen=True, slots=True)
class CrossFacts:
    """The cross checks of one repository. ``passed`` None: not made for what is there now.

    ``rows`` are the results as they are kept, ``logs`` the folder with their output.
    """

    repo: str
    passed: bool | None
    told: str = ""
    commit: str = ""
    rows: tuple[Mapping[str, Any], ...] = ()
    logs: str = ""


@dataclass(frozen=True, slots=True)
class LockFacts:
    """The lock of a spec: its file, how many amendments it has, what is wrong with it or its chain.

    ``changed`` are locked fields that differ now and need an amendment, ``free`` the others.
    """

    path: str
    amendments: int = 0
    fault: str | None = None
    changed: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureStatus:
    """All that is known of a feature. ``live``: who holds its lease now, in words.

    ``view`` is interpreted here (`orchestr.state.cell_state`), whoever makes the record.
    """

    feature: Feature
    plan: FeaturePlan
    view: FeatureView
    facts: Mapping[str, CellFacts] = field(default_factory=dict)
    live: str | None = None
    cross: tuple[CrossFacts, ...] = ()
    removed: tuple[RemovedCell, ...] = ()  # that are built, and that no spec names
    lock: LockFacts | None = None
    forecast: ConflictForecast | None = None  # of what concerns it, where a command made one
    audit: AuditFacts | None = None  # of a feature that has one

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", interpret_view(self.view, self.plan))

    def cell_facts(self, name: str) -> CellFacts:
        """The facts of a cell, empty when nothing is known."""
        return self.facts.get(name, NOTHING)

    def cell_state(self, name: str) -> CellState:
        """The state by the files if they were looked at, else by the journal."""
        return self.cell_facts(name).state or self.view.cell(name).state

    @property
    def state(self) -> FeatureState:
        """The state of the whole: its cells, and what they come to together. A feature with an
        audit is not done before it is made."""
        state = summarize_states(self.cell_state(c.name) for c in self.plan.cells)
        at_rest = state in (FeatureState.DONE, FeatureState.PARTIAL, FeatureState.ROLLED_BACK)
        if at_rest and self.is_red_together:
            return FeatureState.FAILED
        unmade = self.audit is not None and not self.audit.verdict
        return FeatureState.PARTIAL if unmade and state is FeatureState.DONE else state

    @property
    def is_red_together(self) -> bool:
        """Whether cross checks or the audit are red for the heads as they are now."""
        return bool(self.red_cross_checks) or (self.audit is not None and self.audit.is_red)

    @property
    def red_cross_checks(self) -> tuple[CrossFacts, ...]:
        """The cross checks that are red for the heads as they are now."""
        return tuple(one for one in self.cross if one.passed is False)

    def phase_states(self, name: str) -> dict[str, str]:
        """Every phase with its value; what was never reached is pending."""
        known = self.cell_facts(name).phases
        known = self.view.cell(name).phases if known is None else known
        steps = self.plan.cell(name).steps
        every = {str(p): "pending" for p in steps} | dict(known)
        order = dict.fromkeys((*steps, *Phase))  # a phase may be left of an earlier spec
        return {str(p): every[p] for p in order if p in every}

    def pull_request(self, name: str) -> tuple[str, str, bool | None] | None:
        """URL, state and draft of the cell's pull request, or None."""
        facts, view = self.cell_facts(name), self.view.cell(name)
        url = facts.pr_url or view.pr_url
        if not url or url == "none":
            return None
        draft = view.pr_draft if facts.pr_draft is None else facts.pr_draft
        return url, facts.pr_state or view.pr_state or "open", draft


def state_words(state: CellState, view: CellView) -> str:
    """The state in words."""
    return describe_cell(state, view).label


def pr_words(link: tuple[str, str, bool | None], view: CellView) -> str:
    """`draft, checks failed, approved`: what is known of a pull request, for people.

    Checks and reviews are those of the last look (`run`, `status --fetch`), if it was this one.
    """
    url, state, draft = link
    words = ["draft" if state == "open" and draft else state]
    if state == "open" and view.pr_url == url:
        words += [CHECKS_WORDS.get(view.pr_checks or "", ""), (view.pr_review or "")]
    return ", ".join(word.replace("_", " ") for word in words if word)


def describe_activity(view: CellView) -> str:
    """What goes on in a phase: `repair 1 of 3`, `round 2 of 4: eve reads, bob: no issues`."""
    if not view.state.is_moving:
        return ""  # what a killed run left there
    words = clean_line(view.doing)
    if view.round and not words.startswith("repair"):
        total = f" of {view.rounds + 1}" if view.rounds else ""
        words = f"round {view.round + 1}{total}" + (f", {words}" if words else "")
    if view.reviewers:
        read = [f"{n} reads" if v == READS else f"{n}: {v}" for n, v in view.reviewers.items()]
        words = ": ".join(part for part in (words, clean_line(", ".join(read))) if part)
    return words


def proof_lines(status: FeatureStatus, names: Iterable[str]) -> list[str]:
    """What a reader has to know beside green and red: cells without a check together, the rest
    cell by cell.
    """
    shown = [n for n in names if status.cell_state(n) is not CellState.IGNORED]
    bare: dict[str, list[str]] = {}
    lines = []
    for name in shown:
        notes = status.cell_facts(name).notes
        if notes.unchecked:
            bare.setdefault(notes.unchecked, []).append(name)
        lines += [f"! {name}: {clean_line(line)}" for line in replace(notes, unchecked="").lines()]
    return [
        *(f"! no check is run for {', '.join(cells)}: {why}" for why, cells in bare.items()),
        *lines,
    ]


def lock_lines(status: FeatureStatus) -> list[str]:
    """That the spec is locked, and what is in the way of a run."""
    lock = status.lock
    if lock is None:
        return []
    times = {0: "", 1: ", amended once", 2: ", amended twice"}
    amended = times.get(lock.amendments, f", amended {lock.amendments} times")
    free = f"; free changes since: {clean_line(', '.join(lock.free))}" if lock.free else ""
    lines = [f"locked by {lock.path}{amended}{free}"]
    if lock.fault is not None:
        lines += [f"! the lock is broken: {clean_line(lock.fault)}",
                  f"  hint: git log -p -- {lock.path}"]  # fmt: skip
    if lock.changed:
        lines += [f"✗ locked and changed: {clean_line(', '.join(lock.changed))}",
                  f"  next: orchestr amend {status.feature.name} --reason TEXT"]  # fmt: skip
    return lines


def cross_lines(status: FeatureStatus) -> list[str]:
    """What the cross checks came to: a line for each repository, and what to do about red ones."""
    lines = []
    for one in status.cross:
        what = clean_line(one.told) if one.passed is not None else "not made yet"
        unfinished = cells_without_result(status, one.repo) if one.passed is None else []
        if unfinished:
            what = f"not made: they wait for {', '.join(unfinished)}"
        mark = {True: "✓", False: "✗", None: "·"}[one.passed]
        lines.append(f"{mark} cross checks in {one.repo}: {what}")
        if one.passed is False:
            name = status.feature.name
            lines += [f"  log:  {one.logs}"] if one.logs else []
            lines.append(f"  next: mend a cell, then orchestr run {name}")
    return lines


def cells_without_result(status: FeatureStatus, repo: str) -> list[str]:
    """The cells that keep the cross checks of a repository from being made, with their states.

    They run as the last step of a feature, so a cell of another repository holds them, too.
    """
    found = []
    for cell in sorted(status.plan.cells, key=lambda cell: cell.repo != repo):
        state = status.cell_state(cell.name)
        if not state.is_good:
            found.append(f"{cell.name} ({state_words(state, status.view.cell(cell.name))})")
    return found


def spending_words(cells: Iterable[CellView]) -> str:
    """`; cost $0.03; 10k tokens` of these cells together; empty when nothing is known."""
    found = list(cells)
    paid = [c for c in found if c.costs]
    known = sum(c.cost_known_usd for c in paid)
    line = ""
    if known or any(c.cost_usd is not None for c in paid):
        line += f"; cost {format_dollars(known, all(c.cost_usd is not None for c in paid))}"
    used = [c.tokens_total for c in found if c.tokens_total is not None]
    return f"{line}; {format_tokens(sum(u[0] + u[2] for u in used))}" if used else line


CHECKS_WORDS = {
    "success": "checks passed",
    "failure": "checks failed",
    "pending": "checks running",
}


def word_for_now(command: str, *, alive: bool) -> str:
    """A command as it can be typed now: while a run holds the feature another one is refused."""
    return (
        f"{command}, once the run at work has ended" if alive and _RUN.search(command) else command
    )


_RUN = re.compile(r"\borchestr run\b")


def next_command(feature: str, view: CellView, state: CellState) -> str | None:
    """The command that brings a cell on, or None when there is nothing to be done."""
    cell = f"{feature}:{view.name}"
    match state:
        case CellState.FAILED:
            return f"orchestr run {cell}"
        case CellState.BLOCKED:
            return f"orchestr run {feature} --failed"
        case CellState.PENDING | CellState.ABORTED:
            return f"orchestr run {cell}"
        case CellState.RUNNING:
            return f"orchestr logs {cell} -f"
        case CellState.WAITING | CellState.DONE | CellState.LANDED:
            return None
        case CellState.ROLLED_BACK:
            return f"orchestr land {feature} --again"
        case CellState.IGNORED:
            return f"orchestr ignore --undo {cell}"
        case CellState.APPROVAL:
            return None  # the cell that asks has it as its hint
        case CellState.MERGE_CONFLICT | CellState.NEEDS_PERSON:
            return f"orchestr explain {cell}"
