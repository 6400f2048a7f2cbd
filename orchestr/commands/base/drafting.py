"""What `draft`, `run spec:NAME` and `approve spec:NAME` share: a draft begun under its lease."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from orchestr.cell.budget import RunBudget
from orchestr.commands.base import options
from orchestr.commands.base.agent_overrides import read_effort
from orchestr.draft.answer import QuestionPart
from orchestr.draft.context import DraftWork, load_inputs
from orchestr.draft.decide import DraftStep, decide_draft
from orchestr.draft.files import DraftPlaces, read_draft
from orchestr.draft.intent import Intent, check_draft_name
from orchestr.errors import Interrupted, OrchestrError, UsageError
from orchestr.process.lease import Lease
from orchestr.run.signals import InterruptHandler
from orchestr.run.start import lease_record
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import DRAFT_PREFIX
from orchestr.state import attempts
from orchestr.state.layout import create_state_dirs
from orchestr.views.terminal.output import ask_line, confirm_reasons, print_stderr


def find_places(session: Session, name: str) -> DraftPlaces:
    """The places of a draft, its spec where the feature's is already. Raises UsageError where that
    would be another feature's."""
    known = session.specs.features.get(check_draft_name(name))
    target = session.root / known.path if known is not None else None
    places = DraftPlaces.find(session.settings, name, target)
    for other in session.specs.features.values() if known is None else ():
        if session.root / other.path == places.target:
            raise UsageError(
                f"{other.path} is the spec of the feature {other.name!r}",
                hint=f"orchestr draft {other.name}, or name the file as its feature",
            )
    return places


def read_names(words: Sequence[str]) -> list[str]:
    """The names of `spec:NAME` goals. Raises UsageError."""
    return [check_draft_name(word.removeprefix(DRAFT_PREFIX)) for word in words]


@contextmanager
def hold_draft(session: Session, name: str) -> Iterator[None]:
    """Hold the lease of a draft: no second one of that name at once. Raises Busy."""
    create_state_dirs(session.layout)
    path = session.layout.draft_lease_file(name)
    lease = Lease.acquire(path, lease_record((f"{DRAFT_PREFIX}{name}",), 1))
    try:
        yield
    finally:
        lease.release()


def make_draft_work(
    session: Session,
    name: str,
    *,
    answers: Mapping[str, str] | None = None,
    force: bool = False,
    agent: str | None = None,
    model: str | None = None,
    purse: RunBudget | None = None,
    effort: str | None = None,
    unwritten: Intent | None = None,
) -> DraftWork:
    """The draft of an intent as it is now; ``unwritten`` is one whose file is still to be written.
    Raises SpecError, UsageError."""
    places = find_places(session, name)
    intent, inputs = load_inputs(session.settings, places, unwritten)
    ask = ask_at_terminal if sys.stdin.isatty() else None
    return DraftWork(
        session.settings, session.layout, places, intent, inputs, print_stderr, answers or {}, ask,
        force, agent, model, purse, effort,
    )  # fmt: skip


def confirm_draft(work: DraftWork, *, yes: bool) -> bool:
    """Ask before a paid agent drafts; with nothing to do there is no question. Raises UsageError
    where its agent cannot be started."""
    step, _ = decide_draft(read_draft(work.places), work.inputs, force=work.force)
    if step is not DraftStep.ASK:
        return True
    from orchestr.agents import make_agent

    agent = make_agent(work.settings, work.agent_name)
    why = agent.explain_unusable()
    if why is not None:
        raise UsageError(
            f"agent {agent.name} cannot draft: {why}",
            hint=f"without an agent: orchestr draft {work.name} --no-agent",
        )
    if yes or not agent.paid:
        return True
    return confirm_reasons([f"This draft uses an agent that costs money: {agent.name}."])


@contextmanager
def stop_on_signals(work: DraftWork) -> Iterator[None]:
    """Ctrl+C once ends the drafting agent with its grace, twice at once. Raises Interrupted."""
    with InterruptHandler(work.runs) as signals:
        try:
            yield
        except OrchestrError as error:
            if signals.count or isinstance(error, Interrupted):
                raise Interrupted("stopped", hint=f"orchestr draft {work.name}") from error
            raise


def forget_draft(session: Session, name: str) -> bool:
    """Forget a draft, so that the next one is made anew; whether there was one. Raises Busy.

    An agent that a killed command left at work, or whose question waits, is ended.
    """
    places = DraftPlaces.find(session.settings, name)
    with hold_draft(session, name):
        was_there = places.record.exists()
        newest = attempts.newest_plan(places.folder)
        if newest is not None and newest.is_open:
            from orchestr.draft.ask_agent import end_draft

            end_draft(session.settings, session.layout, places, newest)
            was_there = True
        places.record.unlink(missing_ok=True)
    return was_there


def begin_drafts(
    session: Session, words: Sequence[str], params: Any, stack: ExitStack
) -> dict[str, DraftWork]:
    """The drafts of `run spec:NAME ...`, each under its lease while ``stack`` is open; empty where
    a person said no. Raises UsageError, Busy."""
    purse = options.make_purse(params)
    begun: dict[str, DraftWork] = {}
    for name in read_names(words):
        stack.enter_context(hold_draft(session, name))
        work = make_draft_work(session, name, force=params["force"], agent=params["agent"],
                               model=params["model"], purse=purse,
                               effort=read_effort(params["effort"]))  # fmt: skip
        if not confirm_draft(work, yes=params["yes"]):
            return {}
        stack.enter_context(stop_on_signals(work))
        begun[name] = work
    return begun


def ask_at_terminal(parts: Sequence[QuestionPart]) -> dict[str, str]:
    """The answers that a person types, one line each; an empty one is none."""
    found = {}
    for part in parts:
        options = f" ({', '.join(part.options)})" if part.options else ""
        print_stderr(f"{part.ask}{options}")
        found[part.key] = ask_line(f"{part.key}: ") or ""
    return found


def read_pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` of a repeated option. Raises UsageError."""
    found = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark or not key.strip():
            raise UsageError(
                f"--{option} wants KEY=VALUE, got {word!r}", hint=f"--{option}=KEY=VALUE"
            )
        found[key.strip()] = value.strip()
    return found
