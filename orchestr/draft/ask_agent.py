"""Asking an agent for a draft: it only reads, and its answer is judged until it can be used.

The rules are those of a plan (`orchestr.cell.agent.write_plan`): recorded before it starts, adopted
after a kill, under the same limits and budget. It works in `plans/<n>/tree/`, among throw-away
clones of all repositories; specs and settings are compared as for every agent.

What survives a kill: an answer is judged from the transcript, so it is judged again with the same
outcome. The words that go back are written, named by the start that they answer, before the next
start is prepared; so no round is counted twice and none is paid twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestr.agents import AgentRequest, AgentVerdict
from orchestr.agents.permissions import reviewer_tools
from orchestr.cell.agent.launch import (
    hide_secrets,
    last_start_offset,
    launch_secrets,
    prepare_next_start,
    session_to_resume,
    write_launch_record,
)
from orchestr.cell.agent.run_agent import PROMPT, AgentWork, drive_agent
from orchestr.cell.agent.stop_agent import end_lost_agent, stop_agent
from orchestr.cell.context import CellContext
from orchestr.cell.worktree import workspace_guard
from orchestr.cell.worktree.throwaway_clone import clone_at_commit, remove_clone
from orchestr.cell.worktree.wall import is_walled, wall_reviewer
from orchestr.codec import write_json_record
from orchestr.draft import prompt as words
from orchestr.draft.answer import DraftAnswer, UnreadableDraft, parse_answer
from orchestr.draft.context import DraftWork, make_draft_run
from orchestr.draft.decide import RoundInputs, RoundStep, decide_round, list_unanswered
from orchestr.draft.files import (
    AnswersRecord,
    DraftRecord,
    digest_bytes,
    read_answers,
    read_if_there,
    write_draft,
)
from orchestr.draft.read_repos import find_start, read_facts, read_heads
from orchestr.draft.repo_map import RepoFacts
from orchestr.draft.rules import DraftRules, read_drafted_spec
from orchestr.errors import Interrupted, OrchestrError, PhaseFailed, SpecError, UsageError
from orchestr.files import write_atomic
from orchestr.git.agent_environment import agent_git_env
from orchestr.git.repo import CommitId, Repo
from orchestr.process.redaction import redact
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.results import TRANSCRIPT, digest

TREE, HEADS, BACK, TOLD = "tree", "heads.json", "sent-back", "told"
AGAIN = "again.md"  # what an agent without a session is told beside the whole prompt
SHOWN = 30  # errors of one answer that are sent back


class DraftQuestion(UsageError):
    """The drafting agent asked something, and nobody has answered yet."""


def ask_agent(work: DraftWork, repositories: Sequence[str]) -> DraftRecord:
    """Have a draft of the intent written, and its record. Raises OrchestrError with what to do
    next, DraftQuestion, Interrupted."""
    ctx = make_draft_run(work, repositories)
    return _Asking(work, ctx, repositories).finish()


def close_finished(work: DraftWork, record: DraftRecord) -> None:
    """After a kill between a draft's record and the end of its attempt: end that, too."""
    folder = work.places.folder
    newest = attempts.newest_plan(folder)
    if newest is not None and newest.is_open and newest.number == -record.attempt:
        attempts.close(folder, newest, "done")
        remove_clone(attempts.attempt_folder(folder, newest.number) / TREE)


class _Asking:
    """One agent's work on a draft, over all its rounds."""

    def __init__(self, work: DraftWork, ctx: CellContext, repositories: Sequence[str]) -> None:
        self.work, self.ctx, self.repositories = work, ctx, repositories
        self.key = digest(work.inputs.intent, work.inputs.findings)
        self.attempt = self._open_or_resume()
        self.folder = attempts.attempt_folder(ctx.dir, self.attempt.number)
        self._facts: dict[str, RepoFacts] | None = None

    # --- the attempt ---------------------------------------------------------------------------

    def _open_or_resume(self) -> Attempt:
        """The open attempt of the same inputs, else a new one."""
        ctx, newest = self.ctx, attempts.newest_plan(self.ctx.dir)
        if newest is not None and newest.is_open:
            if newest.key == self.key:
                lost = end_lost_agent(ctx, newest)
                if lost is None:
                    return newest
                self._close(newest, "failed", lost)
            else:
                stop_agent(ctx, self._make_work(newest))
                self._close(newest, "superseded", "its intent changed")
        agent = self.work.agent_name
        why = ctx.run.budget.reached_reason(ctx.cell.name)
        if why is not None:
            raise OrchestrError(why, hint=f"orchestr draft {self.work.name} --budget 5.0, or raise "
                                "[limits] budget_usd in orchestr.toml")  # fmt: skip
        before = digest_bytes(read_if_there(self.work.places.target))
        opened = attempts.open_plan(
            ctx.dir, key=self.key, agent=agent, model=ctx.model, start=before
        )
        ctx.emit(EventKind.ATTEMPT_OPENED, phase=opened.phase, attempt=opened.number, key=self.key,
                 agent=agent, model=opened.model, start=before)  # fmt: skip
        return opened

    def _close(self, attempt: Attempt, outcome: str, why: str = "") -> None:
        attempts.close(self.ctx.dir, attempt, outcome, why)
        self.ctx.emit(EventKind.ATTEMPT_CLOSED, phase=attempt.phase, attempt=attempt.number,
                      outcome=outcome, reason=why)  # fmt: skip
        remove_clone(attempts.attempt_folder(self.ctx.dir, attempt.number) / TREE)

    def _make_work(self, attempt: Attempt) -> AgentWork:
        folder = attempts.attempt_folder(self.ctx.dir, attempt.number)
        marker = attempt.process_marker(self.ctx.key)
        return AgentWork(folder, marker, attempt.agent, attempt.number, attempt.phase,
                         lambda: self._write_launch(folder, marker))  # fmt: skip

    def finish(self) -> DraftRecord:
        """Drive it to a valid draft and write that; how it ends is recorded in any case."""
        try:
            text = self._drive()
        except DraftQuestion:
            raise  # it stays open: its session goes on with the answer
        except Interrupted:
            self._close(self.attempt, "aborted", "stopped")
            raise
        except OrchestrError as error:
            if error.repeatable:
                raise
            self._close(self.attempt, "failed", error.reason)
            hint = error.hint if isinstance(error, DraftRefused) else None
            transcript = self.folder / TRANSCRIPT
            raise PhaseFailed(
                f"the draft of {self.work.name} failed: {error.reason}",
                hint=hint or f"read {transcript}, then: orchestr draft {self.work.name}",
            ) from error
        record = DraftRecord(
            self.work.inputs.intent,
            digest_bytes(text.encode()),
            self.work.inputs.findings,
            self.attempt.start,
            agent=self.attempt.agent,
            model=self.attempt.model,
            rounds=self._count(BACK),
            attempt=-self.attempt.number,
            heads=self._read_heads(),
            drafted_at=utc_timestamp(),
        )
        write_draft(self.work.places, text, record)
        self._close(self.attempt, "done")
        return record

    # --- the rounds ----------------------------------------------------------------------------

    def _drive(self) -> str:
        agent = self.ctx.run.agent_adapter(self.attempt.agent)
        while True:
            verdict = self._drive_once()
            text = agent.read_answer(self.folder / TRANSCRIPT, last_start_offset(self.folder))
            text = redact(text, launch_secrets(self.folder))
            answer, errors = self._judge(text)
            known = {**read_answers(self.work.places, self.key), **self.work.answers}
            inputs = RoundInputs(
                answer, errors, self._count(BACK), self.work.settings.draft.repair,
                bool(self._count(TOLD)), known,
            )  # fmt: skip
            step, why = decide_round(inputs)
            match step:
                case RoundStep.ACCEPT if answer is not None:
                    return answer.spec
                case RoundStep.SEND_BACK:
                    count = "an error goes" if len(errors) == 1 else f"{len(errors)} errors go"
                    self.work.say(f"{count} back to {self.attempt.agent}: {errors[0]}")
                    self._continue(BACK, verdict.session_id, words.render_errors(errors[:SHOWN]))
                case RoundStep.TELL if answer is not None:
                    told = {part.key: known[part.key] for part in answer.question}
                    self._keep_answers(told)
                    self._continue(TOLD, verdict.session_id, words.render_answers(told))
                case RoundStep.ASK_PERSON if answer is not None:
                    self._ask_person(answer, known)
                case _:
                    self._refuse(why, text, errors)

    def _drive_once(self) -> AgentVerdict:
        workspace_guard.snapshot_workspace(self.ctx)
        try:
            return drive_agent(self.ctx, self._make_work(self.attempt))
        finally:
            self._put_workspace_back()

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

    def _judge(self, text: str) -> tuple[DraftAnswer | None, list[str]]:
        """The answer, and all that is wrong with it."""
        try:
            answer = parse_answer(text)
        except UnreadableDraft as error:
            return None, [f"draft: error: {error}"]
        if answer.question:
            return answer, []
        try:
            read_drafted_spec(answer.spec, self._rules())
        except SpecError as error:
            return answer, [str(p) for p in error.problems if p.severity == "error"]
        return answer, []

    def _rules(self) -> DraftRules:
        settings = self.work.settings
        return DraftRules(
            self.work.name, settings.workspace.root, "draft", tuple(settings.agents), self._map()
        )

    def _start_number(self) -> int:
        """Which start of the agent the newest answer is of."""
        return len(list(self.folder.glob("exit.*.json"))) + 1

    def _count(self, what: str) -> int:
        """How many words of a sort went back before the newest answer."""
        now = self._start_number()
        numbers = (path.suffix.removeprefix(".") for path in self.folder.glob(f"{what}.*"))
        return sum(number.isdecimal() and int(number) < now for number in numbers)

    def _continue(self, what: str, session: str | None, text: str) -> None:
        """Have the same session go on with these words; without one, the whole prompt and them."""
        write_atomic(self.folder / f"{what}.{self._start_number()}", text.encode())
        write_atomic(self.folder / AGAIN, text.encode())
        prepare_next_start(self.folder, session, text)

    def _ask_person(self, answer: DraftAnswer, known: Mapping[str, str]) -> None:
        """Put the question; raises DraftQuestion where nobody is there to answer."""
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

    def _refuse(self, why: str, text: str, errors: list[str]) -> None:
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

    # --- what the agent is given ---------------------------------------------------------------

    def _read_heads(self) -> dict[str, str]:
        """The commits that the agent reads: written down once, at its first start."""
        place = self.folder / HEADS
        known = read_if_there(place)
        if known is None:
            heads = read_heads(self.work.settings, self.repositories)
            write_atomic(place, json.dumps(heads).encode())
            return heads
        return {str(k): str(v) for k, v in json.loads(known).items()}

    def _map(self) -> dict[str, RepoFacts]:
        if self._facts is None:
            tree = self.folder / TREE
            checkouts = {name: tree / name for name in self.repositories if (tree / name).is_dir()}
            self._facts = read_facts(self.work.settings, self.repositories, checkouts)
        return self._facts

    def _make_tree(self) -> Path:
        """A checkout of every repository, side by side, in a repository that holds nothing."""
        tree, whole = self.folder / TREE, self.folder / f"{TREE}.whole"
        if whole.exists() and tree.is_dir():
            return tree
        remove_clone(tree)
        tree.mkdir(parents=True)
        Repo(self.folder).run_git("init", "--quiet", "--template=", str(tree))
        for name, head in self._read_heads().items():
            clone_at_commit(find_start(self.work.settings, name)[0], CommitId(head), tree / name)
        write_atomic(whole, b"")
        return tree

    def _write_launch(self, folder: Path, marker: str) -> None:
        """The checkouts, the prompt and `launch.json`: all that the supervisor gets."""
        ctx, work = self.ctx, self.work
        tree = self._make_tree()
        session = session_to_resume(folder)
        place = folder / ("go-on.md" if session else PROMPT)
        walled = is_walled(ctx.run)
        if session is None:
            again = read_if_there(folder / AGAIN)
            more = f"\n\n## About your last answer\n{again.decode()}" if again else ""
            text = words.render_draft_prompt(
                work.intent,
                self._map(),
                tree=str(tree),
                agents=tuple(work.settings.agents),
                existing=(read_if_there(work.places.target) or b"").decode("utf-8", "replace"),
                findings=(read_if_there(work.places.findings) or b"").decode("utf-8", "replace"),
                answers=read_answers(work.places, self.key) or None,
            )
            write_atomic(place, hide_secrets(ctx, text + more).encode())
        launch = ctx.run.agent_adapter(self.attempt.agent).prepare_launch(
            AgentRequest(
                tree,
                place,
                {
                    "ORCHESTR_ROLE": "drafter",
                    "ORCHESTR_FEATURE": work.name,
                    "ORCHESTR_ROUND": str(self._start_number()),
                    "ORCHESTR_PROMPT_FILE": str(place),
                },
                model=self.attempt.model or None,
                folder=folder,
                session=session,
                tools=reviewer_tools(),
                budget_usd=ctx.run.budget.remaining_usd(ctx.cell.name, self.attempt.number),
                walled=walled,
            )
        )
        git = agent_git_env(Repo(tree), tree, ctx.run.layout.excludes_file, record=ctx.git_record)
        clones = [find_start(work.settings, name)[0].common_dir() for name in self.repositories]
        command = wall_reviewer(
            ctx,
            launch,
            {
                "GH_CONFIG_DIR": str(ctx.run.layout.state / "no-gh"),
                **launch.env,
                **git,
                **ctx.mark_inside("its drafting agent", self.attempt.number),
                "ORCHESTR_ATTEMPT_ID": marker,
            },
            folder,
            agent=work.settings.agents[self.attempt.agent],
            tree=tree,
            read=tuple(clones),
        )
        write_launch_record(
            ctx,
            folder,
            launch,
            command,
            cwd=tree,
            marker=marker,
            timeout=ctx.timeout,
            idle_timeout=work.settings.limits.idle_timeout,
        )


class DraftRefused(OrchestrError):
    """The answer could not be used after the last round; the text is kept."""
