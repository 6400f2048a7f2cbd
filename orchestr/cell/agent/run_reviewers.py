"""Reviewers: agents that only read, each in a fresh session, on a checkout of its own.

A reviewer gets a throw-away clone of exactly the head (no remote, no way back into the author's
worktree), settings that let it change nothing, the prompt with spec, diff and evidence, and answers
in JSON (`opinion`). Owns `attempts/<n>/reviews/<k>-<name>/`: an opinion that is there is not paid
again, a reviewer that runs is adopted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from orchestr.agents import AgentRequest
from orchestr.agents.permissions import reviewer_tools
from orchestr.agents.repo_settings import GUIDES
from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.agent.changed_guides import find_changed_guides
from orchestr.cell.agent.launch import (
    hide_secrets,
    last_start_offset,
    prepare_next_start,
    session_to_resume,
)
from orchestr.cell.agent.reader_launch import write_reader_launch
from orchestr.cell.agent.run_agent import drive_agent
from orchestr.cell.agent.run_agent import reviewer_work as reviewer_in
from orchestr.cell.agent.stop_agent import stop_agent
from orchestr.cell.agent.verdict import ReviewerOpinion, UnreadableAnswer
from orchestr.cell.agent_options import reader_options, request_options
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import reviewer_model
from orchestr.cell.option_inputs import count_options
from orchestr.cell.worktree.readable_checkout import readable_checkout
from orchestr.cell.worktree.throwaway_clone import (
    CheckoutPart,
    clone_at_commit,
    clone_side_by_side,
    remove_clone,
)
from orchestr.cell.worktree.wall import is_walled
from orchestr.errors import CorruptState, Interrupted, OrchestrError
from orchestr.files import read_json, write_atomic, write_json
from orchestr.git.repo import CommitId
from orchestr.settings.trust_words import EVERYTHING
from orchestr.spec.checks import Reviewer
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.results import TRANSCRIPT, digest

ASKED = 2  # times that a reviewer is asked for an answer that can be read
ANSWER, REQUEST, TREE, FAILED = "opinion.json", "request.json", "tree", "failed"


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """What is judged. ``prompt`` is a reviewer's whole prompt, ``pictures`` are files to see.

    With ``parts`` their checkouts lie side by side in the reviewer's folder, and nothing else.
    """

    attempt: int
    head: CommitId
    base: CommitId
    prompt: str
    pictures: tuple[Path, ...] = ()
    parts: tuple[CheckoutPart, ...] = ()


class Answer(Protocol):
    """What is journalled of a reviewer's answer."""

    @property
    def verdict(self) -> str: ...

    @property
    def blockers(self) -> Sequence[object]: ...

    @property
    def issues(self) -> Sequence[object]: ...


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class AnswerForm(Generic[A]):
    """How a reviewer answers. ``parse`` reads the answer of the reviewer of that name with that
    model, and raises UnreadableAnswer; `from_row` reads what `to_row` wrote, and raises KeyError,
    TypeError or ValueError for others."""

    schema: Mapping[str, Any]
    parse: Callable[[str, str, str], A]
    to_row: Callable[[A], dict[str, Any]]
    from_row: Callable[[Mapping[str, Any]], A]
    env: Mapping[str, str] = field(default_factory=dict)  # more variables of the agent


def _parse_opinion(name: str, answer: str, model: str) -> ReviewerOpinion:
    return replace(opinions.parse_opinion(name, answer), model=model)


OPINION = AnswerForm(
    opinions.SCHEMA, _parse_opinion, opinions.opinion_to_row, opinions.opinion_from_row
)


def collect_opinions(
    ctx: CellContext, reviewers: Sequence[Reviewer], case: ReviewCase
) -> tuple[ReviewerOpinion, ...]:
    """Every reviewer's opinion on the head, in their order. Raises PhaseFailed, Interrupted."""
    form = OPINION
    if case.pictures:
        form = replace(form, schema=opinions.answer_schema(has_pictures=True))
    return collect_answers(ctx, reviewers, case, form)


def collect_answers(
    ctx: CellContext, reviewers: Sequence[Reviewer], case: ReviewCase, form: AnswerForm[A]
) -> tuple[A, ...]:
    """Every reviewer's answer, in their order. Raises PhaseFailed, Interrupted.

    They work at the same time as far as there are slots. When one fails the others are heard to
    their end: what they found is kept for the next run.
    """
    folders = [_find_or_make_folder(ctx, reviewer, case) for reviewer in reviewers]
    _stop_outdated_reviewers(ctx, case, folders)
    with ThreadPoolExecutor(max_workers=len(reviewers), thread_name_prefix="review") as pool:
        futures = [pool.submit(_run_reviewer, ctx, reviewer, case, folder, form)
                   for reviewer, folder in zip(reviewers, folders, strict=True)]  # fmt: skip
    errors = [e for f in futures if (e := f.exception()) is not None]
    if errors:
        raise next((e for e in errors if not isinstance(e, OrchestrError)), errors[0])
    return tuple(future.result() for future in futures)


def mark_reviewers_stopped(cell_dir: Path, attempt: int) -> None:
    """After the reviewers of an attempt were stopped: the next run asks them afresh."""
    for folder in attempts.agent_folders(cell_dir, attempt)[1:]:
        _mark_failed(folder, "stopped")


def forget_answers(
    cell_dir: Path, attempt: int, is_void: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Put aside the answers of an attempt's reviewers that do not count any more, by their rows:
    those reviewers are asked afresh."""
    for folder in attempts.agent_folders(cell_dir, attempt)[1:]:
        with suppress(CorruptState):
            row = read_json(folder / ANSWER)
            if isinstance(row, dict) and is_void(row):
                write_atomic(folder / FAILED, b"put aside\n")
                (folder / ANSWER).rename(folder / f"former-{ANSWER}")


def _mark_failed(folder: Path, why: str) -> None:
    if not (folder / ANSWER).exists():
        write_atomic(folder / FAILED, f"{why}\n".encode())
        remove_clone(folder / TREE)


def _stop_outdated_reviewers(ctx: CellContext, case: ReviewCase, wanted: Collection[Path]) -> None:
    """End reviewers that an earlier run left at work, on what nobody asks about any more."""
    for folder in attempts.agent_folders(ctx.dir, case.attempt)[1:]:
        if folder not in wanted and _is_usable(folder) and not (folder / ANSWER).exists():
            stop_agent(ctx, reviewer_in(folder, case.attempt))
            _mark_failed(folder, "what it was asked about changed")


def _run_reviewer(
    ctx: CellContext, reviewer: Reviewer, case: ReviewCase, folder: Path, form: AnswerForm[A]
) -> A:
    known = _read_answer(folder, form)
    if known is not None:
        return known
    work = AgentWork(
        folder,
        _reviewer_marker(ctx, case, folder),
        reviewer.agent,
        case.attempt,
        Phase.REVIEW,
        lambda: _write_launch(ctx, reviewer, case, folder, form),
        part=f"review-{folder.name}",
        event_data={"reviewer": reviewer.name},
        options=lambda: reader_options(ctx, reviewer),
    )
    try:
        found = _ask_for_answer(ctx, reviewer, work, form)
    except Interrupted:
        _mark_failed(folder, "stopped")
        raise
    except OrchestrError as error:
        if not error.repeatable:  # else the next run resumes it: what the reviewer said is there
            _mark_failed(folder, str(error))
        raise
    finally:
        remove_clone(folder / TREE)
    declared = reviewer_model(ctx, reviewer)
    if isinstance(found, ReviewerOpinion) and found.model != declared:
        found = replace(found, declared=declared)  # the command line names another model
    write_json(folder / ANSWER, form.to_row(found))
    ctx.emit(
        EventKind.REVIEW_DONE,
        phase=Phase.REVIEW,
        attempt=case.attempt,
        reviewer=reviewer.name,
        verdict=found.verdict,
        blockers=len(found.blockers),
        others=len(found.issues) - len(found.blockers),
    )
    return found


def _ask_for_answer(
    ctx: CellContext, reviewer: Reviewer, work: AgentWork, form: AnswerForm[A]
) -> A:
    """Drive it until its answer can be read; it is asked once more, then it has failed."""
    folder, agent = work.folder, ctx.run.agent_adapter(reviewer.agent)
    for _ in range(ASKED):
        verdict = drive_agent(ctx, work)
        text = agent.read_answer(folder / TRANSCRIPT, last_start_offset(folder))
        try:
            return form.parse(reviewer.name, text, reader_options(ctx, reviewer).model or "")
        except UnreadableAnswer as error:
            why = str(error)
        asked = folder / "asked"
        if asked.exists():
            break
        write_atomic(asked, why.encode())
        write_atomic(folder / "again.md", AGAIN.format(why).encode())
        prepare_next_start(folder, verdict.session_id, AGAIN.format(why))
    raise ctx.fail(
        f"reviewer {reviewer.name} gave no answer that can be read: {why}",
        hint=f"read {folder / TRANSCRIPT}, then: orchestr run {ctx.name}",
    )


def _find_or_make_folder(ctx: CellContext, reviewer: Reviewer, case: ReviewCase) -> Path:
    """The folder of this reviewer for this head; made, with its request, when there is none.

    A review that failed is not gone on with: the next run asks afresh.
    """
    home = attempts.reviews_folder(ctx.dir, case.attempt)
    home.mkdir(parents=True, exist_ok=True)
    wanted = {"head": case.head, "agent": reviewer.agent, "model": reviewer.model or "",
              "name": reviewer.name, "case": digest(case.prompt),
              "reads": reviewer_model(ctx, reviewer), **_list_counted(ctx, reviewer)}  # fmt: skip
    numbers = [0]  # also of those that were forgotten: their costs are kept by these names
    for path in sorted(home.parent.glob(f"{home.name}*/*-*"), key=lambda p: p.name):
        number, _, name = path.name.partition("-")
        if not number.isdecimal():
            continue
        numbers.append(int(number))
        with suppress(CorruptState):
            mine = path.parent == home and name == reviewer.name
            if mine and _is_request_for(read_json(path / REQUEST), wanted) and _is_usable(path):
                return path
    folder = home / f"{max(numbers) + 1}-{reviewer.name}"
    folder.mkdir()
    write_json(folder / REQUEST, wanted)
    return folder


def _list_counted(ctx: CellContext, reviewer: Reviewer) -> dict[str, str]:
    """The options that change what it says, as text; nothing where none is given."""
    found = count_options(reader_options(ctx, reviewer))
    return {"options": json.dumps(found, sort_keys=True)} if found else {}


def _is_request_for(asked: object, wanted: Mapping[str, str]) -> bool:
    """Whether a reviewer was asked the same; a version of before did not note which model the
    settings named (`reads`)."""
    return isinstance(asked, dict) and {"reads": wanted["reads"], **asked} == wanted


def _reviewer_marker(ctx: CellContext, case: ReviewCase, folder: Path) -> str:
    """ORCHESTR_ATTEMPT_ID of one reviewer: its own, so that ending it ends nobody else."""
    return f"{ctx.key}/{case.attempt}/{folder.name}/{digest(str(folder), case.head)}"


def _is_usable(folder: Path) -> bool:
    """Whether what is in the folder can be gone on with, or is an opinion already."""
    if (folder / ANSWER).exists():
        return True
    return not (folder / FAILED).exists()


def _read_answer(folder: Path, form: AnswerForm[A]) -> A | None:
    try:
        raw = read_json(folder / ANSWER)
        return form.from_row(raw) if raw is not None else None
    except (CorruptState, KeyError, TypeError, ValueError):
        return None


def _write_launch(
    ctx: CellContext, reviewer: Reviewer, case: ReviewCase, folder: Path, form: AnswerForm[A]
) -> None:
    """The checkout, the prompt and `launch.json`: all that the supervisor gets."""
    if case.parts:
        tree = clone_side_by_side(case.parts, folder / TREE)
    else:
        tree = clone_at_commit(ctx.repo, case.head, folder / TREE)
    session = session_to_resume(folder)
    prompt = folder / ("go-on.md" if session else "prompt.md")
    if session is None:
        again = folder / "again.md"
        more = again.read_text(encoding="utf-8") if again.exists() else ""
        write_atomic(prompt, hide_secrets(ctx, case.prompt + more).encode())
    settings = ctx.run.settings
    marker = _reviewer_marker(ctx, case, folder)
    part = f"{case.attempt}/review-{folder.name}"
    read = (*case.pictures, *(readable_checkout(up) for up in ctx.upstreams()))
    launch = ctx.run.agent_adapter(reviewer.agent).prepare_launch(
        AgentRequest(
            tree,
            prompt,
            {
                "ORCHESTR_ROLE": "reviewer",
                "ORCHESTR_REVIEWER": reviewer.name,
                "ORCHESTR_FEATURE": ctx.run.feature.name,
                "ORCHESTR_CELL": ctx.cell.name,
                "ORCHESTR_REPO": ctx.cell.repo,
                "ORCHESTR_KEY": ctx.run.feature.key,
                "ORCHESTR_BASE": case.base,
                "ORCHESTR_HEAD": case.head,
                "ORCHESTR_PROMPT_FILE": str(prompt),
                **form.env,
            },
            **request_options(ctx, reviewer.agent, reader_options(ctx, reviewer)),
            folder=folder,
            session=session,
            tools=reviewer_tools(tuple(dict.fromkeys(p if p.is_dir() else p.parent
                                                      for p in read))),
            budget_usd=ctx.run.budget.remaining_usd(ctx.cell.name, part),
            schema=form.schema,
            pictures=() if session else case.pictures,
            walled=is_walled(ctx.run),
            trust=EVERYTHING in ctx.repo_settings.trust,
            trusted=ctx.repo_settings.trust,
            changed_guides=GUIDES if case.parts else find_changed_guides(ctx, tree),
        )
    )  # fmt: skip
    place = tree / case.parts[0].name if case.parts else tree
    write_reader_launch(
        ctx,
        launch,
        folder,
        agent=settings.agents[reviewer.agent],
        tree=tree,
        place=place,
        read=(*read, *(part.repo.common_dir() for part in case.parts)),
        marker=marker,
        inside=ctx.mark_inside(f"its reviewer {reviewer.name}", case.attempt),
        timeout=reviewer.timeout or settings.limits.timeout,
    )


AGAIN = """
Your last answer could not be read: {}. Answer once more, with nothing but one JSON object of the
form that you were given.
"""
