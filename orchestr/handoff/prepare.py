"""A hand-off before its first call: whether it may begin, what it would send, what was cut off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestr.cell.context import FeatureRun
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.forges.base import PRState, PullRequest
from orchestr.handoff.choose import Choices
from orchestr.handoff.decide import list_actions
from orchestr.handoff.gather import (
    describe_cross_checks,
    find_pull_request,
    make_texts,
    read_cells,
    read_facts,
    select_cells,
)
from orchestr.handoff.readiness import CellReadiness, Obstacle, find_obstacles
from orchestr.handoff.records import (
    ActionKind,
    Choice,
    HandoffAction,
    HandoffRecord,
    PullRequestText,
    handoffs_dir,
    read_newest,
)
from orchestr.handoff.text import HandoffFacts, render_feature_summary
from orchestr.state.journal import utc_timestamp


@dataclass(frozen=True, slots=True)
class Readiness:
    """All cells as they are, and what is in the way."""

    states: list[CellReadiness]
    obstacles: list[Obstacle]
    cross_checks: list[str]  # a line for each repository whose cross checks are green

    @property
    def open_cells(self) -> list[str]:
        """The cells with an open pull request, in merge order."""
        return select_cells(self.states, ())


def read_readiness(run: FeatureRun) -> Readiness:
    """Whether a feature can be handed over; the forge was observed before."""
    states = read_cells(run)
    red, green = describe_cross_checks(run)
    return Readiness(states, find_obstacles(run.feature.name, states, red), green)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a hand-off with these choices would send, and the calls that it takes."""

    choices: Choices
    texts: tuple[PullRequestText, ...]
    prs: dict[str, PullRequest]
    summary: str
    edited: tuple[str, ...] = ()

    @property
    def choice(self) -> Choice:
        return self.choices.choice or Choice.LEAVE

    @property
    def actions(self) -> list[HandoffAction]:
        """The calls, in merge order."""
        return list_actions(self.texts, self.prs, self.choice)

    def with_text(self, text: PullRequestText) -> Draft:
        """The same with a text that the person edited."""
        texts = tuple(text if one.cell == text.cell else one for one in self.texts)
        return Draft(self.choices, texts, self.prs, self.summary, (*self.edited, text.cell))


def make_draft(run: FeatureRun, readiness: Readiness, choices: Choices) -> Draft:
    """The texts of all cells that are not skipped. Raises OrchestrError."""
    names = select_cells(readiness.states, choices.skipped)
    facts: dict[str, HandoffFacts] = {}
    for name in names:
        ctx = run.cell_context(name)
        head = ctx.read_head()
        if head is not None:
            facts[name] = read_facts(ctx, head)
    newest = read_newest(run.layout, run.feature.name)
    texts = make_texts(run, facts, choice=choices.choice or Choice.LEAVE, bases=choices.bases,
                       former=newest[1] if newest else None)  # fmt: skip
    prs = {}
    for text in texts:
        pr = find_pull_request(run.cell_context(text.cell), text.url)
        if pr is None:
            raise OrchestrError(f"{text.url} is gone", hint=f"orchestr run {run.feature.name}")
        prs[text.url] = pr
    rows = [_summary_row(state, choices) for state in readiness.states]
    title = f"{run.feature.title} ({run.feature.key})"
    summary = render_feature_summary(title, rows, list(facts.values()), readiness.cross_checks)
    edited = newest[1].edited if newest else ()
    return Draft(choices, tuple(texts), prs, summary, tuple(n for n in edited if n in facts))


def _summary_row(state: CellReadiness, choices: Choices) -> tuple[str, str, str]:
    name = state.name.rpartition(":")[2]
    if state.pr is None:
        return name, "-", "no pull request"
    if state.pr.state is not PRState.OPEN:
        return name, state.pr.url, str(state.pr.state)
    words = ["skipped"] if name in choices.skipped else []
    words += ["draft" if state.pr.draft else "ready"]
    words += [f"CI {state.pr.checks}"] if state.pr.checks else []
    words += [state.pr.review.replace("_", " ")] if state.pr.review else []
    return name, state.pr.url, ", ".join(words)


def begin_record(
    run: FeatureRun, draft: Draft, *, by: str, command: str
) -> tuple[Path, HandoffRecord]:
    """Write the hand-off down, before its first call. Raises OSError."""
    at = utc_timestamp()
    record = HandoffRecord(
        feature=run.feature.name,
        started_at=at,
        choice=draft.choice,
        texts=draft.texts,
        actions=tuple(draft.actions),
        summary=draft.summary,
        skipped=draft.choices.skipped,
        bases=dict(draft.choices.bases),
        edited=tuple(dict.fromkeys(draft.edited)),
        by=by,
        command=command,
    )
    folder, name = handoffs_dir(run.layout, run.feature.name), _file_name(at)
    path, number = folder / f"{name}.json", 2
    while path.exists():
        path, number = folder / f"{name}-{number}.json", number + 1
    record.write(path)
    return path, record


def _file_name(at: str) -> str:
    """A time as the name of a file; names sort as their times do."""
    return at.partition("+")[0].replace(":", "").replace("-", "").replace(".", "-").rstrip("Z")


def finish_record(path: Path, record: HandoffRecord, outcome: str) -> HandoffRecord:
    """Write down that a hand-off came to its end."""
    done = replace(record, finished_at=utc_timestamp(), outcome=outcome)
    done.write(path)
    return done


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A hand-off that was cut off; ``why_not`` this command does not go on with it, None if it
    does."""

    path: Path
    record: HandoffRecord
    why_not: str | None = None


def find_interrupted(run: FeatureRun, choices: Choices) -> Interrupted | None:
    """The hand-off that was cut off. This command goes on with it when it chooses nothing or the
    same, and the texts are of the heads of now."""
    newest = read_newest(run.layout, run.feature.name)
    if newest is None or newest[1].finished_at is not None:
        return None
    path, record = newest
    if choices.choice is not None and choices.key != record.choices:
        return Interrupted(path, record, "something else was chosen")
    if only_landing_is_left(record) or _is_current(run, record.texts):  # a landing moves heads
        return Interrupted(path, record)
    return Interrupted(path, record, "a head changed")


def only_landing_is_left(record: HandoffRecord) -> bool:
    """Whether all calls were made but the landing."""
    left = [action.kind for action in record.actions if action.result is None]
    return left == [ActionKind.LAND]


def _is_current(run: FeatureRun, texts: Sequence[PullRequestText]) -> bool:
    heads = {text.cell: run.cell_context(text.cell).read_head() for text in texts}
    return all((head := heads[t.cell]) is not None and head.head == t.head for t in texts)
