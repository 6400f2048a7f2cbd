"""Asking an agent for a draft: it only reads, and its answer is judged until it can be used.

The rules are those of a plan (`orchestr.cell.agent.write_plan`): recorded before it starts, adopted
after a kill, under the same limits and budget. It works in `plans/<n>/tree/`, among throw-away
clones of all repositories; specs and settings are compared as for every agent.

What survives a kill: an answer is judged from the transcript, so it is judged again with the same
outcome. The words that go back are written, named by the start that they answer, before the next
start is prepared; so no round is counted twice and none is paid twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestr.agents import AgentVerdict
from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.agent.launch import (
    launch_secrets,
    prepare_next_start,
    start_offsets,
)
from orchestr.cell.agent.run_agent import drive_agent
from orchestr.cell.agent.stop_agent import end_lost_agent, stop_agent, stop_attempt_agents
from orchestr.cell.agent_options import attempt_options, planned_options
from orchestr.cell.context import CellContext
from orchestr.cell.worktree import workspace_guard
from orchestr.cell.worktree.throwaway_clone import remove_clone
from orchestr.cell.worktree.wall import is_walled
from orchestr.codec import write_json_record
from orchestr.draft import prompt as words
from orchestr.draft.agent_case import AGAIN, TREE, DraftCase
from orchestr.draft.answer import DraftAnswer, UnreadableDraft, parse_answer
from orchestr.draft.context import DraftWork, make_draft_run, make_rules
from orchestr.draft.decide import DraftInputs, RoundInputs, RoundStep, decide_round, list_unanswered
from orchestr.draft.files import (
    AnswersRecord,
    DraftPlaces,
    DraftRecord,
    digest_bytes,
    read_answers,
    read_if_there,
    write_draft,
)
from orchestr.draft.intent import Intent
from orchestr.draft.rules import read_drafted_spec
from orchestr.draft.watch_clones import list_changed_clones, picture_clones
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed, SpecError, UsageError
from orchestr.files import write_atomic
from orchestr.process.redaction import redact
from orchestr.settings.records import Settings
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.agent_options import Role
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState

BACK, ANSWERED = "sent-back", "answered"
SHOWN = 30  # errors of one answer that are sent back


class DraftRefused(OrchestrError):
    """The answer could not be used after the last round; the text is kept."""


class DraftQuestion(UsageError):
    """The drafting agent asked something that has no answer yet."""


def ask_agent(work: DraftWork, repositories: Sequence[str]) -> DraftRecord:
    """Have a draft of the intent written, and its record. Raises OrchestrError with what to do
    next, DraftQuestion, Interrupted."""
    ctx = make_draft_run(work, repositories)
    return _Asking(work, ctx, repositories).finish_draft()


def close_finished(work: DraftWork, record: DraftRecord) -> None:
    """After a kill between a draft's record and the end of its attempt: end that, too."""
    folder = work.places.folder
    newest = attempts.newest_plan(folder)
    if newest is None or newest.number != -record.attempt:
        return
    if newest.is_open:
        attempts.close(folder, newest, "done")
    remove_clone(attempts.attempt_folder(folder, newest.number) / TREE)


def end_draft(
    settings: Settings, layout: WorkspaceLayout, places: DraftPlaces, attempt: Attempt
) -> None:
    """End an open attempt that nothing shall go on with: its agent, if it lives, and its files."""
    known = attempt.agent if attempt.agent in settings.agents else None
    nothing = Intent(places.name, "")
    work = DraftWork(settings, layout, places, nothing, DraftInputs(""), print, agent=known)
    ctx = make_draft_run(work, tuple(settings.repos) or (places.name,))
    stop_attempt_agents(ctx, attempt)
    _close_attempt(ctx, attempt, "aborted", "forgotten")


class _Asking:
    """One agent's work on a draft, over all its rounds."""

    def __init__(self, work: DraftWork, ctx: CellContext, repositories: Sequence[str]) -> None:
        self.work, self.ctx, self.repositories = work, ctx, repositories
        self.key = work.inputs.key
        self.attempt = self._open_or_resume()
        self.folder = attempts.attempt_folder(ctx.dir, self.attempt.number)
        self.case = DraftCase(work, ctx, repositories, self.folder, self.key)

    # --- the attempt ---------------------------------------------------------------------------

    def _open_or_resume(self) -> Attempt:
        """The open attempt of the same inputs, else a new one."""
        ctx, newest = self.ctx, attempts.newest_plan(self.ctx.dir)
        if newest is not None and newest.is_open:
            if newest.key == self.key:
                lost = end_lost_agent(ctx, newest)
                if lost is None:
                    return newest
                self._end_attempt(newest, "failed", lost)
            else:
                stop_agent(ctx, self._make_work(newest))
                self._end_attempt(newest, "superseded", "its intent changed")
        agent = self.work.agent_name
        why = ctx.run.budget.reached_reason(ctx.cell.name)
        if why is not None:
            raise OrchestrError(why, hint=f"orchestr draft {self.work.name} --budget 5.0, or raise "
                                "[limits] budget_usd in orchestr.toml")  # fmt: skip
        before = digest_bytes(read_if_there(self.work.places.target))
        model = planned_options(ctx, Role.DRAFT).options.model
        opened = attempts.open_plan(ctx.dir, key=self.key, agent=agent, model=model, start=before)
        ctx.emit(EventKind.ATTEMPT_OPENED, phase=opened.phase, attempt=opened.number, key=self.key,
                 agent=agent, model=opened.model, start=before)  # fmt: skip
        return opened

    def _end_attempt(self, attempt: Attempt, outcome: str, why: str = "") -> None:
        _close_attempt(self.ctx, attempt, outcome, why)

    def _make_work(self, attempt: Attempt) -> AgentWork:
        folder = attempts.attempt_folder(self.ctx.dir, attempt.number)
        marker = attempt.process_marker(self.ctx.key)
        return AgentWork(
            folder,
            marker,
            attempt.agent,
            attempt.number,
            attempt.phase,
            lambda: self.case.write_launch(attempt, marker),
            options=lambda: attempt_options(self.ctx, attempt, Role.DRAFT),
        )

    def finish_draft(self) -> DraftRecord:
        """Drive it to a valid draft and write that; how it ends is recorded in any case."""
        try:
            text = self._drive_rounds()
        except DraftQuestion:
            raise  # it stays open: its session goes on with the answer
        except Interrupted:
            self._end_attempt(self.attempt, "aborted", "stopped")
            raise
        except OrchestrError as error:
            if error.repeatable:
                raise
            self._end_attempt(self.attempt, "failed", error.reason)
            again, transcript = f"orchestr draft {self.work.name}", self.folder / TRANSCRIPT
            hint = f"read {transcript}, then: {again}"
            if isinstance(error, DraftRefused) or not transcript.exists():
                hint = error.hint or again  # there is nothing to read before its agent started
            raise PhaseFailed(
                f"the draft of {self.work.name} failed: {error.reason}",
                hint=hint,
            ) from error
        record = DraftRecord(
            self.work.inputs.intent,
            digest_bytes(text.encode()),
            self.work.inputs.findings,
            self.attempt.start,
            agent=self.attempt.agent,
            model=self.attempt.model,
            rounds=self._count_rounds(BACK),
            attempt=-self.attempt.number,
            heads=self.case.read_heads(),
            drafted_at=utc_timestamp(),
        )
        kept = write_draft(self.work.places, text, record)
        if kept is not None:
            self.work.say(f"the former draft, as you edited it, is kept as {kept}")
        self._end_attempt(self.attempt, "done")
        return record

    # --- the rounds ----------------------------------------------------------------------------

    def _drive_rounds(self) -> str:
        agent = self.ctx.run.agent_adapter(self.attempt.agent)
        while True:
            verdict = self._drive_once()
            # Not what `launch.json` says: a supervisor that a killed run has just started may have
            # written before ours came.
            begins = start_offsets(self.folder)
            text = agent.read_answer(self.folder / TRANSCRIPT, begins[-1] if begins else 0)
            text = redact(text, launch_secrets(self.folder))
            answer, errors = self._judge_answer(text)
            known = {**read_answers(self.work.places, self.key), **self.work.answers}
            inputs = RoundInputs(
                answer, errors, self._count_rounds(BACK), self.work.settings.draft.repair,
                bool(self._count_rounds(ANSWERED)), known,
            )  # fmt: skip
            step, why = decide_round(inputs)
            match step:
                case RoundStep.ACCEPT if answer is not None:
                    return answer.spec
                case RoundStep.SEND_BACK:
                    count = "an error goes" if len(errors) == 1 else f"{len(errors)} errors go"
                    self.work.say(f"{count} back to {self.attempt.agent}: {errors[0]}")
                    self._send_words(BACK, verdict.session_id, words.render_errors(errors[:SHOWN]))
                case RoundStep.SEND_ANSWERS if answer is not None:
                    given = {part.key: known[part.key] for part in answer.question}
                    self._keep_answers(given)
                    self._send_words(ANSWERED, verdict.session_id, words.render_answers(given))
                case RoundStep.ASK_PERSON if answer is not None:
                    self._ask_person(answer, known)
                case _:
                    self._refuse_answer(why, text, errors)

    def _drive_once(self) -> AgentVerdict:
        if client.read_attempt_state(self.folder) is AttemptState.NEVER_STARTED:
            self.case.make_tree()
            self.case.read_map()  # before its start, which is to be quick
        watched = not is_walled(self.ctx.run)
        if watched:
            picture_clones(self.work.settings, self.case.repositories, self.folder)
        workspace_guard.snapshot_workspace(self.ctx)
        try:
            return drive_agent(self.ctx, self._make_work(self.attempt))
        finally:
            self._put_workspace_back()
            if watched:
                self._warn_of_changed_clones()

    def _put_workspace_back(self) -> None:
        def note(harm: list[str]) -> None:
            for one in harm:
                self.work.say(f"warning: {one}")

        number = self.attempt.number
        found = workspace_guard.restore_workspace(
            self.ctx, number, f"{self.work.name} was drafted", note
        )
        for text in (*found.restored, *found.personal):
            self.work.say(f"warning: {text}")

    def _warn_of_changed_clones(self) -> None:
        settings, names = self.work.settings, self.case.repositories
        for name in list_changed_clones(settings, names, self.folder):
            self.work.say(
                f"warning: while {self.work.name} was drafted, the clone of {name} was changed, by "
                f"its agent or by you: git -C {repo_path(settings, name)} status"
            )

    def _judge_answer(self, text: str) -> tuple[DraftAnswer | None, list[str]]:
        """The answer, and all that is wrong with it."""
        try:
            answer = parse_answer(text)
        except UnreadableDraft as error:
            return None, [f"draft: error: {error}"]
        if answer.question:
            return answer, []
        try:
            read_drafted_spec(answer.spec, make_rules(self.work, self.case.read_map()))
        except SpecError as error:
            return answer, [str(p) for p in error.problems if p.severity == "error"]
        return answer, []

    def _count_rounds(self, what: str) -> int:
        """How many words of a sort went back before the newest answer."""
        now = self.case.start_number()
        numbers = (path.suffix.removeprefix(".") for path in self.folder.glob(f"{what}.*"))
        return sum(number.isdecimal() and int(number) < now for number in numbers)

    def _send_words(self, what: str, session: str | None, text: str) -> None:
        """Have the same session go on with these words; without one, the whole prompt and them."""
        write_atomic(self.folder / f"{what}.{self.case.start_number()}", text.encode())
        write_atomic(self.folder / AGAIN, text.encode())
        prepare_next_start(self.folder, session, text)

    def _ask_person(self, answer: DraftAnswer, known: Mapping[str, str]) -> None:
        """Put the question; raises DraftQuestion without a person to answer."""
        missing = list_unanswered(answer.question, known)
        given = dict(self.work.ask(missing)) if self.work.ask is not None else {}
        if list_unanswered(missing, given):
            asked = "".join(
                f"\n  {part.key}: {part.ask}"
                + (f" ({', '.join(part.options)})" if part.options else "")
                for part in missing
            )
            flags = " ".join(f"--answer={part.key}=TEXT" for part in missing)
            raise DraftQuestion(
                f"the scope of {self.work.name} is not clear:{asked}",
                hint=f"orchestr draft {self.work.name} {flags}",
            )
        self._keep_answers({**{k: v for k, v in known.items() if v}, **given})

    def _keep_answers(self, answers: Mapping[str, str]) -> None:
        write_json_record(self.work.places.answers, AnswersRecord(self.key, dict(answers)))

    def _refuse_answer(self, why: str, text: str, errors: list[str]) -> None:
        problems = "\n".join(errors)
        kept = f"# The draft of {self.work.name} was refused: {why}\n\n"
        kept += f"{problems}\n\n## The answer as it was\n\n{text.strip()}\n"
        write_atomic(self.work.places.refused, kept.encode())
        shown = "".join(f"\n  {line}" for error in errors for line in error.splitlines())
        raise DraftRefused(
            f"{why}{shown}",
            hint=f"its text is kept in {self.work.places.refused}; say more in "
            f"{self.work.places.intent}, then: orchestr draft {self.work.name}",
        )


def _close_attempt(ctx: CellContext, attempt: Attempt, outcome: str, why: str) -> None:
    attempts.close(ctx.dir, attempt, outcome, why)
    ctx.emit(EventKind.ATTEMPT_CLOSED, phase=attempt.phase, attempt=attempt.number,
             outcome=outcome, reason=why)  # fmt: skip
    remove_clone(attempts.attempt_folder(ctx.dir, attempt.number) / TREE)
